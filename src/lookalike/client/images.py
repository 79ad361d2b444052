"""The images of a served library, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lookalike.client.connection import Connection
from lookalike.errors import UsageError
from lookalike.query import Hits
from lookalike.stores.filters import FieldStats
from lookalike.stores.records import Image
from lookalike.wire import decode
from lookalike.wire.http import FieldList, ImageDetails, ImagePage, SearchResponse


class Images:
    """The images of a served library, named by their id or by their path below the library's folder.
    `UsageError` for one that does not exist.

    The server does not tell everything: an image's `root` is 0, `mtime_ns` is in whole seconds, and only
    `facts` has `hash` and `facts`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, where: str | None = None, *, order: str = "oldest") -> Iterator[Image]:
        """Yield the indexed images, or those that a filter selects (`"price < 50"`); by id, or in the order
        "newest" or "spread"."""
        for page in self._connection.pages("/api/images", {"where": where, "order": order}):
            yield from decode(ImagePage, page).images

    def fields(self) -> dict[str, FieldStats]:
        """Return what can be filtered, by name, as `Snapshot.fields`."""
        found = decode(FieldList, self._connection.get("/api/fields"))
        return {field.name: field.facts for field in found.fields}

    def facts(self, image: int | Path | str) -> Image:
        """Return everything known of one image."""
        return decode(ImageDetails, self._connection.get(self._address(image))).image

    def neighbours(
        self, image: int | Path | str, *, k: int = 12, extractor: str | tuple[str, ...] = ()
    ) -> Hits:
        """Return the images most similar to this one, without itself."""
        names = (extractor,) if isinstance(extractor, str) else extractor
        params = {"k": k, "extractor": names}
        found = self._connection.get(f"{self._address(image)}/neighbours", params)
        return decode(SearchResponse, found).to_hits()

    def thumbnail(self, image: int | Path | str, size: int = 256) -> bytes:
        """Return a JPEG of at most `size` pixels (rounded up to 64, 128, 256, 512 or 1,024), upright."""
        path = f"{self._address(image)}/thumbnail"
        return self._connection.request("GET", path, params={"size": size})

    def file(self, image: int | Path | str) -> bytes:
        """Return the bytes of the image's file."""
        return self._connection.request("GET", f"{self._address(image)}/file")

    def _address(self, image: int | Path | str) -> str:
        return f"/api/images/{id_of(self._connection, image)}"


def id_of(connection: Connection, image: int | Path | str) -> int:
    """Return the id of an image, which may be named by its path in the library."""
    if isinstance(image, int):
        return image
    where = f"path = {quoted(Path(image).as_posix())}"
    found = connection.get("/api/images", {"where": where, "k": 1})["images"]
    if not found:
        raise UsageError(f"there is no file {image} here, and no such path in the library")
    return int(found[0]["id"])


def ids_below(connection: Connection, path: Path | str) -> list[int]:
    """Return the ids of one file, or of all files below a folder, by its path in the library. `UsageError` if
    the library has none there."""
    whole = Path(path).as_posix()
    where = f"path = {quoted(whole)} or path like {quoted(whole + '/%')}"
    if whole == ".":
        where = "size >= 0"
    found = [
        one["id"]
        for page in connection.pages("/api/images", {"where": where})
        for one in page["images"]
        # In the filter, % and _ of a name match anything.
        if whole in (".", one["path"]) or one["path"].startswith(f"{whole}/")
    ]
    if not found:
        raise UsageError(f"the library has no image at {path}")
    return found


def quoted(text: str) -> str:
    """Return a text as filters write it."""
    return "'" + text.replace("'", "''") + "'"
