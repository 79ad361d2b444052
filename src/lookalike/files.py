"""Files that people asked for, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import UsageError


@contextmanager
def settled(file: Path) -> Iterator[BinaryIO]:
    """A file that gets its name once it is whole: what stood there before stays if the disk is full, or
    the program ends. A device or a pipe is written to as it is, a link followed.

    `UsageError` where it cannot be written.
    """
    part: Path | None = None
    try:
        if file.exists() and not file.is_file():
            with file.open("wb") as out:
                yield out
            return
        target = file.resolve()
        part = target.with_name(f"{target.name}.part")
        with part.open("wb") as out:
            yield out
        part.replace(target)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
