"""Removes the location of the library from responses to other machines."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.library import Library


def redact_paths(library: Library, value: Any) -> Any:
    """Return a document or a sentence in which files are named by their path below the library's folders,
    and the folders themselves are not named."""
    folders = {os.fspath(library.folder)}
    with suppress(LookalikeError), library.snapshot() as snapshot:
        folders |= {os.fspath(root.path) for root in snapshot.roots()}
    folders |= {os.path.realpath(folder) for folder in folders}
    longest = sorted((f for f in folders if f.strip(os.sep)), key=len, reverse=True)
    names = "|".join(re.escape(folder.rstrip(os.sep)) for folder in longest)
    return _replace(re.compile(rf"(?:{names})({re.escape(os.sep)}|(?![\w.-]))"), value)


def _replace(folder: re.Pattern[str], value: Any) -> Any:
    if isinstance(value, str):
        return folder.sub(lambda found: "" if found[1] else "the library", value)
    if isinstance(value, dict):
        return {name: _replace(folder, part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(folder, part) for part in value]
    return value
