"""Index files that this user has not written are tried in a process of their own before they are read here.

FAISS may crash on a crafted file, or take any amount of memory. So the first reading of a file happens in a
process with limits, which compares the index with one made from its recipe, looks at every id, and searches
all of it. Files that passed, and those that were written here, are remembered by what the system says of them
(size, times, inode), in the user's cache: copies and changed files are tried again.

    python -m lookalike.ann.untrusted_index FILE RECIPE      prints why the file is refused
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.ann.faiss_index import AnnIndex, unwrap
from lookalike.models.files import cache_folder
from lookalike.vectors.kmeans import import_faiss
from lookalike.vectors.similarity import Similarity
from lookalike.workers.worker_main import limit_memory

SPARE_BYTES = 2 << 30
"""Address space that the process may take beyond three times the size of the file."""

SECONDS = 60
"""Time that it may take, and one second more for each `BYTES_A_SECOND`."""

BYTES_A_SECOND = 4 << 20

TABLE_BYTES = 1 << 30
"""Size of the tables that FAISS may compute from what a file holds."""

MAX_DIM = 1 << 16

MAX_REMEMBERED = 1000

QUERIES, HITS = 32, 64
"""Random queries that search all of the index, and candidates of each."""

NUMBERS = (
    *("d", "metric_type", "nlist", "code_size", "by_residual", "bbs", "M", "M2", "ksub", "dsub"),
    *("nbits", "nb_bits", "qtype"),
)  # fmt: skip
"""Attributes of FAISS's objects that a recipe decides."""

READ_AS = {"IndexFlatL2": "IndexFlat", "OPQMatrix": "LinearTransform"}
"""Classes that FAISS writes as another one."""

PARTS = ("index", "base_index", "refine_index", "quantizer", "storage", "pq", "sq", "rabitq")
"""Attributes that hold other objects of FAISS."""


def load(path: Path, recipe: str, similarity: Similarity, *, writable: bool = False) -> AnnIndex:
    """Read an index as `AnnIndex.load` does, after it was tried. `ValueError` if it is refused."""
    if not _is_remembered(path):
        if reason := _try(path, recipe):
            raise ValueError(reason)
        remember(path)
    return AnnIndex.load(path, recipe, similarity, writable=writable)


def remember(path: Path) -> None:
    """Note that a file was written by this user, or was tried."""
    with suppress(OSError):
        record = _record(path)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.touch()
        others = list(record.parent.iterdir())
        if len(others) > MAX_REMEMBERED:
            for old in sorted(others, key=lambda file: file.stat().st_mtime)[: MAX_REMEMBERED // 2]:
                old.unlink(missing_ok=True)


def _is_remembered(path: Path) -> bool:
    try:
        return _record(path).exists()
    except OSError:
        return False


def _record(path: Path) -> Path:
    status = path.stat()
    facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return cache_folder() / "ann" / hashlib.sha256(repr(facts).encode()).hexdigest()


def _try(path: Path, recipe: str) -> str:
    """Return why a process of its own refuses the file, "" if it does not."""
    command = [sys.executable, "-P", "-m", __name__, os.fspath(path.absolute()), recipe]
    try:
        run = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS + path.stat().st_size // BYTES_A_SECOND,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "reading it takes too long"
    except OSError as error:
        return f"it cannot be tried: {error}"
    if run.returncode == 0:
        return ""
    lines = run.stdout.splitlines()
    return lines[-1][:200] if run.returncode == 1 and lines else "FAISS fails when it reads it"


def problem(path: Path, recipe: str) -> str:
    """Return why the file is no index that this recipe makes, "" if it is one. May crash."""
    library = import_faiss()
    library.omp_set_num_threads(1)
    size = path.stat().st_size
    library.set_deserialization_vector_byte_limit(size + TABLE_BYTES)
    library.set_deserialization_loop_limit(size)
    index = AnnIndex.load(path, recipe, "cosine")
    dim, count = int(index.index.d), index.count
    if not 0 < dim <= MAX_DIM or not 0 <= count <= size:
        return "its head states an impossible size"
    expected = library.index_factory(dim, recipe, library.METRIC_L2)
    if _structure(library, index.index) != _structure(library, expected):
        return "it is another kind of index than its manifest says"
    inner, _ = unwrap(index.index)
    if hasattr(inner, "nlist") and (wrong := _wrong_lists(library, inner, count)):
        return wrong
    queries = np.random.default_rng(1).standard_normal((QUERIES, dim)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    found = index.candidates(queries, min(HITS, max(1, count)), nprobe=index.max_nprobe)
    return "" if (found < count).all() else "it holds ids of other vectors"


def _structure(library: Any, one: Any) -> tuple[object, ...]:
    """Return the classes of an object of FAISS and of its parts, with their numbers."""
    if isinstance(one, library.Index):
        one = library.downcast_index(one)
    names = ("d_in", "d_out") if isinstance(one, library.VectorTransform) else NUMBERS
    numbers = tuple(
        (name, int(value))
        for name in names
        if isinstance(value := getattr(one, name, None), int | bool)
    )
    parts = [value for name in PARTS if (value := getattr(one, name, None)) is not None]
    if isinstance(one, library.IndexPreTransform):
        chain = (one.chain.at(number) for number in range(one.chain.size()))
        parts += [library.downcast_VectorTransform(transform) for transform in chain]
    name = READ_AS.get(type(one).__name__, type(one).__name__)
    return name, numbers, *(_structure(library, part) for part in parts)


def _wrong_lists(library: Any, index: Any, count: int) -> str:
    """Return what is wrong with the lists of an inverted file, "" if nothing is."""
    lists = library.downcast_InvertedLists(index.invlists)
    quantizer = library.downcast_index(index.quantizer)
    if lists is None or lists.nlist != index.nlist or quantizer.ntotal != index.nlist:
        return "its lists are not those that its head states"
    total = 0
    for number in range(index.nlist):
        if size := lists.list_size(number):
            total += size
            ids = library.rev_swig_ptr(lists.get_ids(number), size) if total <= count else [-1]
            if np.min(ids) < 0 or np.max(ids) >= count:
                return "it holds ids of other vectors"
    return "" if total == count else "its lists do not hold all vectors"


def main(path: str, recipe: str) -> None:
    """Print why a file is refused, and end with 1; end with 0 if it is not."""
    limit_memory(3 * Path(path).stat().st_size + SPARE_BYTES)
    try:
        reason = problem(Path(path), recipe)
    except Exception as error:  # whatever FAISS raises
        reason = " ".join(str(error).split()) or type(error).__name__
    sys.stdout.write(f"{reason}\n")
    sys.exit(1 if reason else 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
