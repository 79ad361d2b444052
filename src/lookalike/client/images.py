"""The images of a served library one by one: what is known of them, and how they look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lookalike.client.connection import Connection
from lookalike.client.decode import answer, field, image
from lookalike.errors import UsageError
from lookalike.query import Hits
from lookalike.stores.filters import FieldStats
from lookalike.stores.records import Image


class Images:
    """The images of a served library: `Client.images`. They are named by their id, or by their path below
    the library's folder; `UsageError` for one that is not there.

    The server does not tell a program everything: an image's `root` is 0, `mtime_ns` is whole seconds,
    and only `facts` knows `hash` and `facts`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, where: str | None = None, *, order: str = "oldest") -> Iterator[Image]:
        """The indexed images, or those that a filter selects (`"price < 50"`); by id, or in the order
        "newest" or "spread"."""
        for page in self._connection.pages("/api/images", {"where": where, "order": order}):
            yield from map(image, page["images"])

    def fields(self) -> dict[str, FieldStats]:
        """What can be filtered, by name, as `View.fields`."""
        document = self._connection.get("/api/fields")
        return {one["name"]: field(one) for one in document["fields"]}

    def facts(self, picture: int | Path | str) -> Image:
        """Everything known of one image."""
        return image(self._connection.get(self._address(picture)))

    def neighbours(
        self, picture: int | Path | str, *, k: int = 12, extractor: str | tuple[str, ...] = ()
    ) -> Hits:
        """The images most like this one, without itself."""
        names = (extractor,) if isinstance(extractor, str) else extractor
        words = {"k": k, "extractor": names}
        return answer(self._connection.get(f"{self._address(picture)}/neighbours", words))

    def thumbnail(self, picture: int | Path | str, size: int = 256) -> bytes:
        """A JPEG of at most `size` pixels (64, 128, 256, 512 or 1,024, the next larger one), upright."""
        return self._connection.fetch("GET", f"{self._address(picture)}/thumbnail?size={size}")

    def file(self, picture: int | Path | str) -> bytes:
        """The picture's file as it is."""
        return self._connection.fetch("GET", f"{self._address(picture)}/file")

    def _address(self, picture: int | Path | str) -> str:
        return f"/api/images/{id_of(self._connection, picture)}"


def id_of(connection: Connection, picture: int | Path | str) -> int:
    """The id of an image, which may be named by its path in the library."""
    if isinstance(picture, int):
        return picture
    where = f"path = {quoted(Path(picture).as_posix())}"
    found = connection.get("/api/images", {"where": where, "k": 1})["images"]
    if not found:
        raise UsageError(f"there is no file {picture} here, and no such path in the library")
    return int(found[0]["id"])


def ids_below(connection: Connection, path: Path | str) -> list[int]:
    """The ids of one file, or of all below a folder, by its path in the library; `UsageError` where it
    has none there."""
    whole = Path(path).as_posix()
    where = f"path = {quoted(whole)} or path like {quoted(whole + '/%')}"
    if whole == ".":
        where = "size >= 0"
    found = [
        one["id"]
        for page in connection.pages("/api/images", {"where": where})
        for one in page["images"]
        # What a name has of % and _ stands for anything in the filter.
        if whole in (".", one["path"]) or one["path"].startswith(f"{whole}/")
    ]
    if not found:
        raise UsageError(f"the library has no picture at {path}")
    return found


def quoted(text: str) -> str:
    """A text as filters write it."""
    return "'" + text.replace("'", "''") + "'"
