"""Power cuts, failing and full disks and too little memory leave a library that is whole. See disk.py."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CUTS = int(os.environ.get("CUTS", "1000"))
"""Power cuts for each of five seeds in `make torture`; a tenth as many failing calls."""

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that is preloaded."""
    built = tmp_path_factory.mktemp("inject") / "inject.so"
    source = Path(__file__).with_name("inject.c")
    command = [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(built), str(source), "-ldl"]
    subprocess.run([*command, "-lpthread"], check=True)
    return built


def simulate(library: Path, place: Path, kind: str, count: int, seed: int) -> dict[str, int]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.disk", kind, str(place), str(count), str(seed)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"LD_PRELOAD": str(library), "FAULTS_ROOT": str(place / "disk")},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found: dict[str, int] = json.loads(run.stdout)
    return found


def test_a_power_cut_loses_no_committed_batch(library: Path, tmp_path: Path) -> None:
    found = simulate(library, tmp_path, "power", 40, 1)
    assert found["operations"] > 300


def test_a_failing_disk_ends_a_writer_with_an_error_and_nothing_else(
    library: Path, tmp_path: Path
) -> None:
    found = simulate(library, tmp_path, "errors", 10, 1)
    assert found["failed"] > 3


def test_a_writer_without_memory_leaves_whole_batches(library: Path, tmp_path: Path) -> None:
    found = simulate(library, tmp_path, "memory", 8, 1)
    assert found["failed"] and found["survived"]


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("kind", "count"), [("power", CUTS), ("errors", CUTS // 10), ("memory", CUTS // 25)]
)
def test_many_faults(library: Path, tmp_path: Path, kind: str, count: int, seed: int) -> None:
    print(kind, simulate(library, tmp_path, kind, count, 100 + seed))
