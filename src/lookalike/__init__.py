"""Lookalike finds images that look alike.

In Python:

    import lookalike

    with lookalike.index("photos") as library:
        for hit in library.search("photos/cat.jpg", k=5):
            print(hit.rank, hit.similarity, hit.path)
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from lookalike.client.client import Client
    from lookalike.errors import LookalikeError, Outcome
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport, Progress
    from lookalike.library import Info, Library
    from lookalike.query import Hit, Hits, Query, Term
    from lookalike.workers.limits import Limits

__version__ = "0.1.0"

# From 1.29 on, ONNX Runtime reports to Microsoft which networks are loaded, unless it is disabled before the
# import. Nothing about anybody's images leaves the machine. Set the variable to 0 to allow it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Names are imported on use, so that `import lookalike` and `lookalike --help` do not load NumPy.
_MODULES = {
    "Client": "lookalike.client.client",
    "Hit": "lookalike.query",
    "Hits": "lookalike.query",
    "IndexEstimate": "lookalike.indexing.report",
    "IndexOptions": "lookalike.indexing.report",
    "IndexReport": "lookalike.indexing.report",
    "Info": "lookalike.library",
    "Library": "lookalike.library",
    "Limits": "lookalike.workers.limits",
    "LookalikeError": "lookalike.errors",
    "Outcome": "lookalike.errors",
    "Progress": "lookalike.indexing.report",
    "Query": "lookalike.query",
    "Term": "lookalike.query",
}

__all__ = [
    "Client",
    "Hit",
    "Hits",
    "IndexEstimate",
    "IndexOptions",
    "IndexReport",
    "Info",
    "Library",
    "Limits",
    "LookalikeError",
    "Outcome",
    "Progress",
    "Query",
    "Term",
    "index",
    "open",
]


def index(folder: Path | str) -> Library:
    """Index a folder of images with the default extractors and return its open library."""
    from lookalike.library import Library

    library = Library.create(folder)
    library.add(folder)
    return library


def open(folder: Path | str, *, read_only: bool = False) -> Library:
    """Open the library of a folder of images that was indexed before."""
    from lookalike.library import Library

    return Library.open(folder, read_only=read_only)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'lookalike' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
