"""The images of a served library: facts and files, queries, explanations, and people's judgements."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.client.connection import Connection
from lookalike.errors import UsageError
from lookalike.feedback import Judgement
from lookalike.query import OPTIONS, Hits, Query, QueryImage, Term
from lookalike.search.query_parser import WEIGHT
from lookalike.stores.filters import FieldStats, quote_value
from lookalike.stores.records import Decision, DecisionKind, Image
from lookalike.wire import decode
from lookalike.wire.http import (
    FeedbackList,
    FeedbackRecord,
    FieldList,
    ImageDetails,
    ImagePage,
    SearchResponse,
)


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
    where = f"path = {quote_value(Path(image).as_posix())}"
    found = connection.get("/api/images", {"where": where, "k": 1})["images"]
    if not found:
        raise UsageError(f"there is no file {image} here, and no such path in the library")
    return int(found[0]["id"])


def ids_below(connection: Connection, path: Path | str) -> list[int]:
    """Return the ids of one file, or of all files below a folder, by its path in the library. `UsageError` if
    the library has none there."""
    whole = Path(path).as_posix()
    if match := re.fullmatch(r"id:(\d{1,18})", whole, re.ASCII):
        return [int(match[1])]
    where = f"path = {quote_value(whole)} or path like {quote_value(whole + '/%')}"
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


def to_params(connection: Connection, query: Query) -> dict[str, Any]:
    """Return the HTTP parameters of a query, and send its images."""
    params: dict[str, Any] = {
        option.parameter: value
        for option in OPTIONS
        if (value := getattr(query, option.name)) != option.default or option.name == "k"
    }
    images = [term for term in query.terms if term.text is None and term.vector is None]
    # In the order in which the server takes them, because a region belongs to its first image.
    sent = [term for term in images if term.id is None and term.weight > 0]
    first = next(iter([*sent, *(term for term in images if term.weight > 0)]), None)
    for term in query.terms:
        if term.region is not None:
            params["region"] = format_region(term, first)
        kind, value = term_param(connection, term)
        name = kind if term.weight > 0 else f"not_{kind}"
        params.setdefault(name, []).append(with_weight(value, term.weight))
    return params


def term_param(connection: Connection, term: Term) -> tuple[str, str]:
    """Return the name of the parameter for a term, and its value without the weight."""
    if term.text is not None:
        return "text", term.text
    if term.vector is not None:
        numbers = np.ascontiguousarray(term.vector, "<f4")
        if numbers.ndim != 1:
            raise UsageError(f"a vector has one dimension, not the shape {numbers.shape}")
        return "vector", base64.urlsafe_b64encode(numbers.tobytes()).decode()
    if term.id is not None:
        return "image", str(term.id)
    image = term.image
    assert image is not None
    if isinstance(image, Path) and not image.exists():
        return "image", str(id_of(connection, image))
    return "upload", upload(connection, image)


def upload(connection: Connection, image: QueryImage) -> str:
    """Send an image and return the name by which the server knows it from then on."""
    answer = connection.request("POST", "/api/uploads", content=file_bytes(image))
    return str(json.loads(answer)["upload"])


def with_weight(value: str, weight: float) -> str:
    """Return a value with its weight before it, unless the weight is 1 and cannot be misread."""
    amount = f"{abs(weight):.6f}".rstrip("0").rstrip(".")
    return value if amount == "1" and not WEIGHT.fullmatch(value) else f"{amount}:{value}"


def format_region(term: Term, first: Term | None) -> str:
    """Return the region of a term as HTTP has it; `UsageError` if it has none such."""
    assert term.region is not None
    if term is not first:
        raise UsageError("over HTTP only the first image can have a region")
    if max(term.region) > 1:
        raise UsageError("over HTTP a region is in fractions of the image, not in pixels")
    return ",".join(f"{edge:.6f}" for edge in term.region)


def file_bytes(image: QueryImage) -> bytes:
    """Return the bytes of an image file; pixels are encoded as PNG."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, Path):
        try:
            return image.read_bytes()
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise UsageError(f"cannot search with {image}: {reason}") from None
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


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
        as parallel arrays, `names` of the groups. For a large library the first map takes minutes; this waits
        for it."""
        params = {"extractor": extractor, "method": method, "where": where}
        layout = self._connection.get("/api/map", params)
        groups = self._connection.get("/api/map/groups", {**params, "color": color})
        return {**layout, **groups}

    def _explain(self, params: Mapping[str, Any], hit: int | Path | str) -> Mapping[str, Any]:
        return self._connection.get("/api/explain", {**params, "hit": id_of(self._connection, hit)})


class Feedback:
    """The judgements stored in a served library, as `Library.feedback`.

    Images are named by their id, or by their path in the library.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        kind: DecisionKind,
        image: int | Path | str,
        *others: int | Path | str,
        who: str = "",
    ) -> list[Decision]:
        """Store a judgement: see `lookalike.feedback.Feedback.add`."""
        body = {**self._body(kind, image, others), "who": who}
        document = self._connection.send("POST", "/api/feedback", body)
        return [judgement(one).decision for one in decode(FeedbackList, document).decisions]

    def remove(self, kind: DecisionKind, image: int | Path | str, *others: int | Path | str) -> int:
        """Remove judgements and return how many there were."""
        body = self._body(kind, image, others)
        return int(self._connection.send("DELETE", "/api/feedback", body)["removed"])

    def all(self, kinds: Iterable[DecisionKind] | None = None) -> list[Judgement]:
        """Return every judgement (of these kinds), with the paths in the library it is about."""
        wanted = None if kinds is None else set(kinds)
        document = self._connection.get("/api/feedback")
        return [
            judgement(one)
            for one in decode(FeedbackList, document).decisions
            if wanted is None or one.kind in wanted
        ]

    def export_lines(self) -> Iterator[str]:
        """Yield the judgements as JSON lines, for `import_lines` of this or another library."""
        yield from self._connection.request("GET", "/api/feedback/lines").decode().splitlines()

    def import_lines(self, lines: Iterable[str]) -> int:
        """Store exported judgements and return how many are new.

        `UsageError` names the first line that is wrong; then nothing is stored.
        """
        body = "".join(f"{line.rstrip()}\n" for line in lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        answer = self._connection.request(
            "POST", "/api/feedback/lines", content=body, headers=headers
        )
        return int(json.loads(answer)["added"])

    def _body(
        self, kind: DecisionKind, image: int | Path | str, others: Iterable[int | Path | str]
    ) -> dict[str, Any]:
        first, *rest = (id_of(self._connection, one) for one in (image, *others))
        return {"kind": kind, "image": first, "others": rest}


def judgement(record: FeedbackRecord) -> Judgement:
    """Return a record as `Library.feedback` has it."""
    second = bytes.fromhex(record.second) if record.second else None
    return Judgement(
        Decision(record.kind, bytes.fromhex(record.first), second, record.who, record.when),
        tuple(map(Path, record.paths)),
        tuple(map(Path, record.other_paths)),
    )
