"""Vectors out of a served library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode

from lookalike.client.connection import Connection, pairs
from lookalike.errors import UsageError
from lookalike.vectors.ann import Progress, quiet


class Vectors:
    """The vectors of a served library, as `Library.vectors`: `Client.vectors`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take_out(
        self,
        by: str,
        file: Path | str,
        *,
        paths: Path | str | None = None,
        where: str | None = None,
        progress: Progress = quiet,
    ) -> int:
        """As `Library.vectors.take_out`: write the vectors of a space to an NPY file, or a Parquet file
        where the name ends in .parquet, as they come; how many. `progress` is told of bytes.
        `LibraryBusy` where the library changed between the vectors and their `paths`."""
        file = Path(file)
        form = "parquet" if file.suffix.lower() == ".parquet" else "npy"

        def watch(done: int, total: int) -> None:
            progress("export", done, total)

        with settled(file) as out:
            told = self._connection.download(address(by, form, where), out, watch=watch)
        if paths is not None:
            with settled(Path(paths)) as out:
                same = {"If-Match": told["etag"]}
                self._connection.download(address(by, "paths", where), out, same)
        return int(told["x-lookalike-rows"])


def address(by: str, form: str, where: str | None) -> str:
    words = {"by": by, "format": form, "where": where}
    return f"/api/vectors?{urlencode(pairs(words))}"


@contextmanager
def settled(file: Path) -> Iterator[BinaryIO]:
    """A file that has its name once it is whole."""
    part = file.with_name(f"{file.name}.part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(file)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or file}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
