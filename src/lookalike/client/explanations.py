"""Why pictures of a served library match, and the map of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lookalike.client.connection import Connection
from lookalike.client.images import id_of
from lookalike.client.query_request import upload
from lookalike.query import QueryImage


class Explanations:
    """Explanations by a served library: `Client.explanations`. They come as documents, for which
    docs/http.md has the keys."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def match(
        self, query: QueryImage | int | str, hit: int | Path | str, *, by: str | None = None
    ) -> Mapping[str, Any]:
        """Why a hit is like a question: a picture that is sent, an image's id, or its path in the
        library. As `Explainer.match(…).as_dict()`."""
        if isinstance(query, str):
            query = Path(query)
        if isinstance(query, Path) and not query.exists():
            query = id_of(self._connection, query)
        asked = str(query) if isinstance(query, int) else upload(self._connection, query)
        return self._explain({"query": asked, "by": by}, hit)

    def words(
        self, text: str, hit: int | Path | str, *, by: str | None = None
    ) -> Mapping[str, Any]:
        """Where a picture shows what the words say; in a space that knows words."""
        return self._explain({"text": text, "by": by}, hit)

    def map(
        self,
        *,
        by: str | None = None,
        method: str | None = None,
        color: str = "cluster",
        where: str = "",
    ) -> Mapping[str, Any]:
        """The pictures laid out so that those that look alike lie near each other: `ids`, `x`, `y` and
        `groups` beside each other. A large library takes minutes the first time; they are waited for."""
        words = {"by": by, "method": method, "color": color, "where": where}
        return self._connection.get("/api/map", words)

    def _explain(self, words: Mapping[str, Any], hit: int | Path | str) -> Mapping[str, Any]:
        return self._connection.get("/api/explain", {**words, "hit": id_of(self._connection, hit)})
