"""`lookalike.Client`: a library that is served elsewhere, in the words of `Library`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Self, Unpack
from urllib.parse import urlencode

from lookalike.client.ann import Ann
from lookalike.client.connection import Connection
from lookalike.client.decode import Served, added, answer, duplicates, image, refusal, served
from lookalike.client.explanations import Explanations
from lookalike.client.feedback import Feedback
from lookalike.client.images import Images, ids_below
from lookalike.client.jobs import ended, step
from lookalike.client.jobs import words_of as words_of_options
from lookalike.client.query_request import words_of
from lookalike.client.vectors import Vectors
from lookalike.duplicates.report import Duplicates, Kind
from lookalike.errors import FAILED, Outcome, UsageError
from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport, ProgressCallback
from lookalike.query import Hits, ImageLike, Query, QueryOptions, to_query
from lookalike.stores.paths import Paths, path_list
from lookalike.stores.records import Image


class Client:
    """A served library, with the methods of `Library`. For one thread at a time; make one for each.

    What `Library` names by a file is named here by its path below the library's folder.

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
        self.connection = Connection(address, token=token, timeout=timeout)

    def search(
        self,
        images: Query | ImageLike | Sequence[ImageLike] | None = None,
        *,
        text: str | Sequence[str] | None = None,
        extractor: str | Sequence[str] | None = None,
        **options: Unpack[QueryOptions],
    ) -> Hits:
        """Return the images most like a query, as `Library.search`.

        Images are sent; a path that is not a file here is looked up in the library. A hit's `file` is its
        path below the root: the server does not tell where that lies.
        """
        query = to_query(images, text=text, extractor=extractor, **options)
        words = words_of(self.connection, query)
        if "vector" not in words and "not_vector" not in words:
            return answer(self.connection.get("/api/search", words))
        # An address has no room for the numbers of a long vector.
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"query": json.dumps(words)}).encode()
        return answer(json.loads(self.connection.fetch("POST", "/api/search", body, kind)))

    def search_batch(self, queries: Sequence[Query]) -> list[Hits]:
        """As `Library.search_batch`: a question that cannot be answered has its reason as `failure`."""
        found: list[Hits] = []
        path_list: list[dict[str, Any]] = []
        for query in queries:
            try:
                path_list.append(words_of(self.connection, query))
            except UsageError as error:
                path_list.append({"text": ["-"], "where": ""})
                found.append(refusal(str(error)))
                continue
            found.append(refusal(""))
        if not path_list:
            return []
        document = self.connection.send("POST", "/api/batch", {"queries": path_list})
        return [
            mine if mine.failure else answer(theirs)
            for mine, theirs in zip(found, document["answers"], strict=True)
        ]

    def add(
        self,
        sources: Paths = (),
        *,
        options: IndexOptions | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexReport:
        """As `Library.add`: index folders and files below the library's roots again (all of them without
        any), in the spaces that it has, and wait for the end. `LibraryReadOnly`; of the options, the
        server decides on workers, limits and normalising itself, and takes no table of metadata."""
        words = {**words_of_options(options), "paths": posix(sources)}
        state = self.connection.send("POST", "/api/images", words)
        watch = None
        if progress is not None:

            def watch(state: Mapping[str, Any], seconds: float) -> None:
                progress(step(state, seconds))

        return added(ended(self.connection, state, watch))

    def estimate(
        self,
        sources: Paths = (),
        *,
        options: IndexOptions | None = None,
        sample: int = 128,
    ) -> IndexEstimate:
        """As `Library.estimate`: what `add` would cost, from a timed sample; nothing is written.
        `LibraryReadOnly` where nothing may be added."""
        words = words_of_options(options)
        asked = {name: words.get(name) for name in ("include", "exclude", "retry_failed")}
        document = self.connection.get(
            "/api/promise", {**asked, "path": posix(sources), "sample": sample}
        )
        return IndexEstimate(
            **{field.name: document[field.name] for field in fields(IndexEstimate)}
        )

    def remove(self, pictures: Iterable[int | Path | str] | int | Path | str) -> int:
        """As `Library.remove`: forget images (by id), files or whole folders; how many. The files stay."""
        ids = [
            id
            for picture in ([pictures] if isinstance(pictures, int | str | Path) else pictures)
            for id in (
                [picture] if isinstance(picture, int) else ids_below(self.connection, picture)
            )
        ]
        return sum(
            self.connection.send("DELETE", f"/api/images/{id}")["forgotten"]
            for id in dict.fromkeys(ids)
        )

    def duplicates(
        self,
        paths: Paths = (),
        *,
        kind: Kind = "copies",
        thorough: bool | None = None,
    ) -> Duplicates:
        """As `Library.duplicates`. A large library takes minutes the first time; they are waited for."""
        words = {"kind": kind, "thorough": thorough, "path": posix(paths)}
        return self._grouped("/api/duplicates", words)

    def similar_groups(
        self,
        paths: Paths = (),
        *,
        extractor: str | None = None,
        min_relevance: Literal["plausible", "strong", "near-copy"] = "strong",
        min_similarity: float | None = None,
    ) -> Duplicates:
        """As `Library.similar_groups`."""
        words = {
            "extractor": extractor,
            "min_relevance": min_relevance,
            "min_similarity": min_similarity,
        }
        return self._grouped("/api/similar-groups", {**words, "path": posix(paths)})

    def failures(self, *, below: Path | str | None = None) -> Iterator[Image]:
        """Yield the files that could not be indexed, as `Library.failures`."""
        return self.files(FAILED, below=below)

    def files(
        self, outcomes: Iterable[Outcome] | None = None, *, below: Path | str | None = None
    ) -> Iterator[Image]:
        """Yield the files that the library knows, as `Library.files`."""
        wanted = [str(outcome) for outcome in (Outcome if outcomes is None else outcomes)]
        if not wanted:
            return
        place = None if below is None else Path(below).as_posix()
        for page in self.connection.pages("/api/failures", {"outcome": wanted, "below": place}):
            yield from map(image, page["failures"])

    def info(self) -> Served:
        """Facts of the library as it is now."""
        return served(self.connection.get("/api/info"))

    @property
    def images(self) -> Images:
        """The images one by one: facts, filters, thumbnails, files, neighbours."""
        return Images(self.connection)

    @property
    def feedback(self) -> Feedback:
        """As `Library.feedback`: "not a duplicate", "keep this", "not relevant"."""
        return Feedback(self.connection)

    @property
    def vectors(self) -> Vectors:
        """As `Library.vectors`: vectors made elsewhere into the library, and those of the library out."""
        return Vectors(self.connection)

    @property
    def ann(self) -> Ann:
        """As `Library.ann`: the indexes that make large spaces quick to search."""
        return Ann(self.connection)

    @property
    def explanations(self) -> Explanations:
        """Why pictures match, and the map."""
        return Explanations(self.connection)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _grouped(self, path: str, words: Mapping[str, Any]) -> Duplicates:
        pages = list(self.connection.pages(path, words))
        return duplicates(pages[0], [group for page in pages for group in page["groups"]])


def posix(paths: Paths) -> list[str]:
    """Paths as addresses have them."""
    return [path.as_posix() for path in path_list(paths)]
