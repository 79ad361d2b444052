"""Why images of a served library match, and the map of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.client.connection import Connection
from lookalike.client.images import id_of
from lookalike.client.query_request import upload
from lookalike.query import QueryImage


class Explanations:
    """Explanations of a served library, as the documents that docs/http.md describes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def match(
        self, query: QueryImage | int | str, hit: int | Path | str, *, extractor: str | None = None
    ) -> Mapping[str, Any]:
        """Return why a hit is similar to a query: an image that is sent, or one of the library by its id or
        path. As `Explainer.match(…).as_dict()`."""
        if isinstance(query, str):
            query = Path(query)
        if isinstance(query, Path) and not query.exists():
            query = id_of(self._connection, query)
        name = str(query) if isinstance(query, int) else upload(self._connection, query)
        return self._explain({"query": name, "extractor": extractor}, hit)

    def match_text(
        self, text: str, hit: int | Path | str, *, extractor: str | None = None
    ) -> Mapping[str, Any]:
        """Return where an image shows what a text says, by an extractor that understands text."""
        return self._explain({"text": text, "extractor": extractor}, hit)

    def map(
        self,
        *,
        extractor: str | None = None,
        method: str | None = None,
        color: str = "cluster",
        where: str = "",
    ) -> Mapping[str, Any]:
        """Return the images laid out so that similar ones are close together: `ids`, `x`, `y` and `groups`
        as parallel arrays. For a large library the first map takes minutes; this waits for it."""
        params = {"extractor": extractor, "method": method, "color": color, "where": where}
        return self._connection.get("/api/map", params)

    def _explain(self, params: Mapping[str, Any], hit: int | Path | str) -> Mapping[str, Any]:
        return self._connection.get("/api/explain", {**params, "hit": id_of(self._connection, hit)})
