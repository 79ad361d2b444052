"""`lookalike.Client`: a library that is served over HTTP, with the methods of `Library`."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, Unpack

import numpy as np

from lookalike.client.connection import (
    PAGE_SIZE,
    Connection,
    index_parameters,
    index_progress,
    wait_for,
)
from lookalike.client.images import Explanations, Feedback, Images, file_bytes, ids_below, to_params
from lookalike.client.vectors import Ann, Vectors
from lookalike.duplicates.report import Duplicates, Scope
from lookalike.errors import FAILED, Outcome, UsageError
from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport, ProgressCallback
from lookalike.query import Embeddings, Hits, ImageLike, Query, QueryOptions, to_query
from lookalike.stores.paths import Paths, path_list
from lookalike.stores.records import Image
from lookalike.wire import decode
from lookalike.wire.http import (
    BatchResponse,
    DuplicatePage,
    EmbedResponse,
    FailurePage,
    JobState,
    SearchResponse,
    ServedInfo,
    failed_hits,
)


class Client:
    """A served library, with the methods of `Library`. For one thread at a time; make one for each.

    Where `Library` takes a file, this takes its path below the library's folder.

    address    as `lookalike serve` shows it; a token in it is used
    token      what the server requires
    timeout    seconds that a response may take
    page_size  items of a list that are requested at a time

    >>> with Client("http://127.0.0.1:8484") as library:      # doctest: +SKIP
    ...     hits = library.search("cat.jpg", k=5)

    Errors are those of `Library`: `UsageError` for a request that is not possible, `LibraryBusy` if the
    server has too much to do, `LibraryReadOnly` if it does not allow it, `LibraryError` if it cannot be
    reached.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        page_size: int = PAGE_SIZE,
    ) -> None:
        self.connection = Connection(address, token=token, timeout=timeout, page_size=page_size)

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
        params = to_params(self.connection, query)
        if "vector" in params or "not_vector" in params:  # too long for an address
            document = self.connection.send("POST", "/api/search", params)
        else:
            document = self.connection.get("/api/search", params)
        return decode(SearchResponse, document).to_hits()

    def embed(
        self,
        images: ImageLike | Sequence[ImageLike] = (),
        *,
        text: str | Sequence[str] = (),
        extractor: str | None = None,
    ) -> Embeddings:
        """Return the vectors of images and texts, as `Library.embed`. Images are sent."""
        terms = to_query(images, text=text, extractor=None).terms
        sent = [file_bytes(term.image) for term in terms if term.image is not None]
        document = {
            "images": [base64.b64encode(data).decode() for data in sent],
            "texts": [term.text for term in terms if term.text is not None],
            "extractor": extractor,
        }
        made = decode(EmbedResponse, self.connection.send("POST", "/api/embed", document))
        return Embeddings(
            made.extractor,
            made.revision,
            made.similarity,
            np.array(made.images, np.float32).reshape(-1, made.dim),
            np.array(made.texts, np.float32).reshape(-1, made.dim),
        )

    def search_batch(self, queries: Sequence[Query]) -> list[Hits]:
        """Search as `Library.search_batch` does: a query that cannot be answered has the reason as
        `failure`."""
        failed: dict[int, Hits] = {}
        sent: list[dict[str, Any]] = []
        for place, query in enumerate(queries):
            try:
                sent.append(to_params(self.connection, query))
            except UsageError as error:
                failed[place] = failed_hits(str(error))
        found: list[Hits] = []
        if sent:
            document = self.connection.send("POST", "/api/batch", {"queries": sent})
            found = [one.to_hits() for one in decode(BatchResponse, document).results]
        answered = iter(found)
        return [
            failed[place] if place in failed else next(answered) for place in range(len(queries))
        ]

    def add(
        self,
        sources: Paths = (),
        *,
        options: IndexOptions | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexReport:
        """Index folders and files below the library's roots (all of them by default) in the spaces that it
        has, as `Library.add` does, and wait for the end. `LibraryReadOnly`. The server decides about workers,
        limits and normalising itself, and takes no table of metadata."""
        request = {**index_parameters(options), "paths": posix_paths(sources)}
        job = self.connection.send("POST", "/api/images", request)
        on_state = None
        if progress is not None:

            def on_state(job: JobState, seconds: float) -> None:
                progress(index_progress(job, seconds))

        return decode(IndexReport, wait_for(self.connection, job, on_state))

    def estimate(
        self,
        sources: Paths = (),
        *,
        options: IndexOptions | None = None,
        sample: int = 128,
    ) -> IndexEstimate:
        """Return what `add` would cost, from a timed sample, as `Library.estimate`; nothing is written.
        `LibraryReadOnly` if nothing may be added."""
        given = index_parameters(options)
        params = {name: given.get(name) for name in ("include", "exclude", "retry_failed")}
        params |= {"path": posix_paths(sources), "sample": sample}
        return decode(IndexEstimate, self.connection.get("/api/estimate", params))

    def remove(self, images: Iterable[int | Path | str] | int | Path | str) -> int:
        """Remove images (by id), files or whole folders, as `Library.remove`, and return their number. The
        files stay."""
        ids = self._ids(images)
        return int(self.connection.send("DELETE", "/api/images", {"ids": ids})["removed"])

    def set_metadata(
        self,
        images: Iterable[int | Path | str] | int | Path | str,
        values: Mapping[str, Any] | None = None,
        *,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
    ) -> int:
        """Set metadata and tags of images (by id), files or folders, as `Library.set_metadata`."""
        body = {
            "ids": self._ids(images),
            "metadata": dict(values or {}),
            "add_tags": list(add_tags),
            "remove_tags": list(remove_tags),
        }
        return int(self.connection.send("PATCH", "/api/images", body)["images"])

    def duplicates(
        self,
        paths: Paths = (),
        *,
        kind: Scope = "copies",
        thorough: bool | None = None,
        against: Paths = (),
        prefer: Paths = (),
        edits: bool = False,
        rotated: bool = True,
        exposure: bool = True,
    ) -> Duplicates:
        """Return duplicates as `Library.duplicates`. For a large library the first search takes minutes; this
        waits for it."""
        params = {
            "kind": kind,
            "thorough": thorough,
            "path": posix_paths(paths),
            "against": posix_paths(against),
            "prefer": posix_paths(prefer),
            "edits": edits,
            "rotated": rotated,
            "exposure": exposure,
        }
        return self._groups("/api/duplicates", params)

    def similar_groups(
        self,
        paths: Paths = (),
        *,
        extractor: str | None = None,
        min_relevance: Literal["plausible", "strong", "near-copy"] = "strong",
        min_similarity: float | None = None,
    ) -> Duplicates:
        """Return groups of similar images as `Library.similar_groups`."""
        params = {
            "extractor": extractor,
            "min_relevance": min_relevance,
            "min_similarity": min_similarity,
            "path": posix_paths(paths),
        }
        return self._groups("/api/similar-groups", params)

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
            yield from decode(FailurePage, page).failures

    def info(self) -> ServedInfo:
        """Return facts of the library as it is now."""
        return decode(ServedInfo, self.connection.get("/api/info"))

    @property
    def images(self) -> Images:
        """The images one by one: facts, filters, thumbnails, files, neighbours."""
        return Images(self.connection)

    @property
    def feedback(self) -> Feedback:
        """Judgements of people, as `Library.feedback`."""
        return Feedback(self.connection)

    @property
    def vectors(self) -> Vectors:
        """Import and export of vectors, as `Library.vectors`."""
        return Vectors(self.connection)

    @property
    def ann(self) -> Ann:
        """The ANN indexes of large spaces, as `Library.ann`."""
        return Ann(self.connection)

    @property
    def explanations(self) -> Explanations:
        """Why images match, and the map."""
        return Explanations(self.connection)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ids(self, images: Iterable[int | Path | str] | int | Path | str) -> list[int]:
        """Return the ids of images, files and folders, each once."""
        ids = [
            id
            for image in ([images] if isinstance(images, int | str | Path) else images)
            for id in ([image] if isinstance(image, int) else ids_below(self.connection, image))
        ]
        return list(dict.fromkeys(ids))

    def _groups(self, path: str, params: Mapping[str, Any]) -> Duplicates:
        pages = [decode(DuplicatePage, page) for page in self.connection.pages(path, params)]
        groups = tuple(group for page in pages for group in page.found.groups)
        return replace(pages[0].found, groups=groups)


def posix_paths(paths: Paths) -> list[str]:
    """Return paths as addresses have them."""
    return [path.as_posix() for path in path_list(paths)]
