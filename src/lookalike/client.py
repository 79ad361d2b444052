"""A library that is served elsewhere, asked over HTTP: `lookalike.Client`, in the words of `Library`.

Only the standard library is used, so a program that asks needs nothing else of this package's machinery.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from lookalike.errors import (
    LibraryBusy,
    LibraryError,
    LibraryReadOnly,
    LookalikeError,
    UsageError,
)
from lookalike.images.needs import Pixels
from lookalike.query import Hit, Hits, Picture, Query, Term
from lookalike.searching.grammar import WEIGHT

_ERRORS: Mapping[int, type[LookalikeError]] = {
    403: LibraryReadOnly,
    409: LibraryBusy,
    429: LibraryBusy,
    503: LibraryBusy,
}


class Client:
    """A served library. For one thread at a time; make one for each.

    address  as `lookalike serve` showed it; a token in it is taken out and kept
    token    what the server asks for
    timeout  seconds that an answer may take

    >>> with Client("http://127.0.0.1:8484") as library:      # doctest: +SKIP
    ...     hits = library.search("cat.jpg", k=5)

    Errors are those of `Library`: `UsageError` for what cannot be asked, `LibraryBusy` where the server
    has too much to do, `LibraryReadOnly` where it does not allow it, `LibraryError` where it cannot be
    reached.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{address} is no address of a server: http://127.0.0.1:8484")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._address = f"{parts.scheme}://{parts.netloc}"
        words = dict(part.partition("=")[::2] for part in parts.query.split("&"))
        self._token = token or words.get("token")

    def search(self, question: Query | Path | str | bytes | Pixels, *, k: int = 10) -> Hits:
        """As `Library.search`. Pictures are sent; a path that is no file here is looked for in the
        library. A hit's `file` is its path below the root: the server does not tell where that lies."""
        if isinstance(question, str):
            question = Path(question)
        if not isinstance(question, Query):
            question = Query.of(question, k=k)
        return answer(self._get("/api/search", self._words(question)))

    def search_batch(self, queries: Sequence[Query]) -> list[Hits]:
        """As `Library.search_batch`: a question that cannot be answered has its reason as `failure`."""
        found: list[Hits] = []
        several: list[dict[str, Any]] = []
        for query in queries:
            try:
                several.append(self._words(query))
            except UsageError as error:
                several.append({"text": ["-"], "where": ""})
                found.append(refusal(str(error)))
                continue
            found.append(refusal(""))
        if not several:
            return []
        document = self._send("POST", "/api/batch", {"queries": several})
        return [
            mine if mine.failure else answer(theirs)
            for mine, theirs in zip(found, document["answers"], strict=True)
        ]

    def add(self, sources: Sequence[Path | str] = ()) -> Mapping[str, Any]:
        """Index again: folders and files below the library's roots (all of them without any), by their
        paths there. Returns at once; `indexing` tells how it goes."""
        paths = [Path(source).as_posix() for source in sources]
        return self._send("POST", "/api/images", {"paths": paths})

    def indexing(self) -> Mapping[str, Any]:
        """How indexing goes: running, done, total, failed, rate, message."""
        return self._get("/api/indexing")

    def remove(self, ids: Iterable[int]) -> int:
        """Forget images; how many. Their files stay."""
        return sum(self._send("DELETE", f"/api/images/{id}")["forgotten"] for id in ids)

    def read(self, what: str, **words: Any) -> Mapping[str, Any]:
        """Any other document of the server (docs/http.md): `read("info")`, `read("images/17")`,
        `read("images", where="price < 50")`, `read("failures")`, `read("duplicates", kind="near")`."""
        return self._get(f"/api/{quote(what)}", words)

    def picture(self, id: int, *, size: int | None = None) -> bytes:
        """The file of an image, or a JPEG of at most `size` pixels."""
        what = "file" if size is None else f"thumbnail?size={size}"
        return self._bytes("GET", f"/api/images/{id}/{what}", None, {})

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _words(self, query: Query) -> dict[str, Any]:
        """The question in the words of HTTP. Its pictures are sent on the way."""
        words: dict[str, Any] = {
            field.name: getattr(query, field.name)
            for field in fields(query)
            if field.name != "terms" and getattr(query, field.name) != field.default
        }
        words["k"] = query.k
        pictures = [term for term in query.terms if term.words is None]
        # In the order in which the server takes them, because a region belongs to its first picture.
        sent = [term for term in pictures if term.image is None and term.weight > 0]
        first = next(iter([*sent, *(term for term in pictures if term.weight > 0)]), None)
        for term in query.terms:
            if term.region is not None:
                words["region"] = region(term, first)
            kind, what = self._named(term)
            name = kind if term.weight > 0 else f"not_{kind}"
            words.setdefault(name, []).append(what)
        return words

    def _named(self, term: Term) -> tuple[str, str]:
        if term.words is not None:
            return "text", weighted(term.words, term.weight)
        if term.image is not None:
            return "image", weighted(str(term.image), term.weight)
        picture = term.picture
        assert picture is not None
        if isinstance(picture, Path) and not picture.exists():
            return "image", weighted(str(self._id(picture)), term.weight)
        upload = self._bytes("POST", "/api/uploads", content(picture), {})
        return "upload", weighted(str(json.loads(upload)["upload"]), term.weight)

    def _id(self, path: Path) -> int:
        """The image of the library with this path."""
        text = path.as_posix().replace("'", "''")
        images = self._get("/api/images", {"where": f"path = '{text}'", "k": 1})["images"]
        if not images:
            raise UsageError(
                f"cannot search with {path}: there is no such file, and no such path in the library"
            )
        return int(images[0]["id"])

    def _get(self, path: str, words: Mapping[str, Any] | None = None) -> dict[str, Any]:
        pairs = [
            (name, str(one).lower() if isinstance(one, bool) else one)
            for name, value in (words or {}).items()
            for one in (value if isinstance(value, list | tuple) else [value])
        ]
        document: dict[str, Any] = json.loads(
            self._bytes("GET", f"{path}?{urlencode(pairs)}" if pairs else path, None, {})
        )
        return document

    def _send(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        answered: dict[str, Any] = json.loads(self._bytes(method, path, body, kind))
        return answered

    def _bytes(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        sent = {"X-Lookalike": "1", **headers}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            try:
                status, data = self._once(method, path, body, sent)
            except (ConnectionError, HTTPException):  # the server closed a connection that was idle
                self._connection.close()
                status, data = self._once(method, path, body, sent)
        except (OSError, HTTPException) as error:
            self._connection.close()
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise LibraryError(f"no answer from {self._address}: {why.lower()}") from None
        if status >= 400:
            raise meaning(status, data)
        return data

    def _once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()


def weighted(what: str, weight: float) -> str:
    """With its weight before it, where it has one or might seem to have one."""
    amount = f"{abs(weight):.6f}".rstrip("0").rstrip(".")
    return what if amount == "1" and not WEIGHT.fullmatch(what) else f"{amount}:{what}"


def region(term: Term, first: Term | None) -> str:
    assert term.region is not None
    if term is not first:
        raise UsageError("over HTTP a region is a part of the first picture alone")
    if max(term.region) > 1:
        raise UsageError("over HTTP a region is in fractions of the picture, not in pixels")
    return ",".join(f"{edge:.6f}" for edge in term.region)


def content(picture: Picture) -> bytes:
    """The bytes of a picture; pixels as PNG."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Path):
        try:
            return picture.read_bytes()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"cannot search with {picture}: {reason}") from None
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def answer(document: Mapping[str, Any]) -> Hits:
    """The hits of an answer."""
    found = tuple(
        Hit(
            rank=hit["rank"],
            id=hit["id"],
            path=hit["path"],
            file=Path(hit["path"]),
            similarity=hit["similarity"],
            relevance=hit["relevance"],
            metadata=hit["metadata"],
            parts=hit["parts"],
            copies=hit["copies"],
            orientation=hit["orientation"],
            box=None if hit["box"] is None else tuple(hit["box"]),
            inliers=hit["inliers"],
        )
        for hit in document["hits"]
    )
    return Hits(
        hits=found,
        by=document["by"],
        similarity=document["similarity"],
        exact=document["exact"],
        searched=document["searched"],
        seconds=document["seconds"],
        failure=document.get("failure") or "",
        best=document["best"],
    )


def refusal(reason: str) -> Hits:
    return Hits((), by="", similarity=None, exact=True, searched=0, seconds={}, failure=reason)


def meaning(status: int, data: bytes) -> LookalikeError:
    """The error that the server's library raised, as far as its status tells."""
    try:
        sentence = str(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError):
        sentence = f"the server answers with status {status}"
    kind = _ERRORS.get(status, UsageError if status < 500 else LibraryError)
    return kind(sentence)
