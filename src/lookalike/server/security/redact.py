"""What other machines are not told: where on this one the library lies."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.library import Library


def without_places(library: Library, told: Any) -> Any:
    """A document or a sentence in whose texts files are named by their path below the library's
    folders, and these are not named at all."""
    folders = {os.fspath(library.folder)}
    with suppress(LookalikeError), library.snapshot() as snapshot:
        folders |= {os.fspath(root.path) for root in snapshot.roots()}
    folders |= {os.path.realpath(folder) for folder in folders}
    longest = sorted((f for f in folders if f.strip(os.sep)), key=len, reverse=True)
    names = "|".join(re.escape(folder.rstrip(os.sep)) for folder in longest)
    return _replaced(re.compile(rf"(?:{names})({re.escape(os.sep)}|(?![\w.-]))"), told)


def _replaced(folder: re.Pattern[str], told: Any) -> Any:
    if isinstance(told, str):
        return folder.sub(lambda found: "" if found[1] else "the library", told)
    if isinstance(told, dict):
        return {name: _replaced(folder, part) for name, part in told.items()}
    if isinstance(told, list | tuple):
        return [_replaced(folder, part) for part in told]
    return told
