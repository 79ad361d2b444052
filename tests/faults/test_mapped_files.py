"""A vector file that is cut or shrinks under a running process must not end it (SIGBUS)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGBUS ends a process")

READER = """
import os, sys
from pathlib import Path
import numpy as np
from tests.stores.builders import begin, entry, put, space
from lookalike.errors import LibraryDamaged
from lookalike.stores.ann_index import IndexBuildOptions
from lookalike.stores.local import bus_errors
from lookalike.stores.local.store import LocalStore

store = LocalStore.create(Path(sys.argv[1]) / "photos" / ".lookalike")
begin(store, space(dim=64))
vectors = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
put(store, *(entry(f"{n}.jpg", vectors={"toy@1": v}) for n, v in enumerate(vectors)))
store.indexes.build("toy@1", IndexBuildOptions(recipe="IVF16,Flat"))
folder = store.folder / "spaces" / "toy-1"

def search(exact):
    with store.snapshot() as snapshot:
        return snapshot.search("toy@1", vectors[-1:], 3, exact=exact).ids.tolist()

def read(_):
    with store.snapshot() as snapshot:
        return snapshot.vectors("toy@1", np.arange(1, 2001)).tolist()

def sample(_):
    with store.snapshot() as snapshot:
        return snapshot.sample("toy@1", 100).tolist()

refused = survived = 0
expected = [[one(exact) for one in (search, read, sample)] for exact in (True, False)]
for name, sizes in {
    "vectors-1.f32": (0, 4096, 100_000, 2000 * 256 - 1),
    "ids-1.i64": (0, 4096, 15_999),
    "ann-1.faiss": (0, 4096),
}.items():
    file = folder / name
    whole = file.read_bytes()
    for size in sizes:
        for exact in (True, False):
            for one, known in zip((search, read, sample), expected[exact is False]):
                one(exact)  # everything is mapped
                with store.snapshot() as before:
                    os.truncate(file, size)
                    for _ in range(3):
                        try:
                            assert one(exact) == known, (name, size, one)
                            survived += 1
                        except LibraryDamaged:
                            refused += 1
                    with file.open("r+b") as restored:
                        restored.write(whole)
                assert one(exact) == known, (name, size, one, "restored")
print(refused > 40, survived > 0, bus_errors.faults() > 0)
"""


def test_reads_of_a_file_that_was_cut_are_refused_and_right_again_when_it_is_whole(
    tmp_path: Path,
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (run.returncode, run.stdout) == (0, "True True True\n"), run.stderr


def test_a_fault_elsewhere_ends_the_process_as_before(tmp_path: Path) -> None:
    program = """
import mmap, os, sys
from lookalike.stores.local import bus_errors
bus_errors.install()
with open(sys.argv[1], "w+b") as file:
    file.write(bytes(1 << 16))
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0)
    os.truncate(sys.argv[1], 0)
    mapped[30_000]
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "file")], capture_output=True, check=False
    )
    assert run.returncode == -7
