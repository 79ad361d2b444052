"""Facts that the queries of a batch share: spaces, filter results, stored vectors, digests of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome, UsageError
from lookalike.extractors.registry import HASHES
from lookalike.images.reading import read
from lookalike.query import Query, QueryImage, Term
from lookalike.search.stages import stage
from lookalike.stores.interface import Ids, Image, Snapshot, Space
from lookalike.stores.records import missing_vectors
from lookalike.vectors.blocks import Floats
from lookalike.vectors.similarity import normalise

if TYPE_CHECKING:
    from lookalike.search.word_query import SpaceWords


@dataclass(slots=True)
class ResolvedTerm:
    """A term other than text, looked up in the library once for all spaces.

    image_id  the image of the library that it is, if known
    source    the image to decode; None for an image that is named by id or library path, and for vectors
    """

    term: Term
    image_id: int | None = None
    source: QueryImage | None = None


class BatchContext:
    """State shared by the queries of a batch: spaces, filter results, stored vectors, file digests."""

    def __init__(
        self,
        snapshot: Snapshot,
        encodes_text: Callable[[Space], bool],
        words_of: Callable[[Space], SpaceWords],
    ) -> None:
        self.snapshot = snapshot
        self.encodes_text = encodes_text
        self.words_of = words_of
        self._spaces: list[Space] = []
        self._filtered: dict[str, Ids] = {}
        self._vectors: dict[str, dict[int, NDArray[np.float32] | None]] = {}
        self._digests: dict[Path | bytes, tuple[int, bytes] | None] = {}

    @property
    def spaces(self) -> Sequence[Space]:
        """The spaces that can be searched; `UsageError` if there is none."""
        if not self._spaces:
            current = [space for space in self.snapshot.spaces() if space.current]
            # Those of a new revision come after the hashes of before, and the first one answers by default.
            self._spaces = sorted(current, key=lambda space: space.name in HASHES)
        if not self._spaces:
            raise UsageError(
                "the library is empty: index a folder first (`lookalike index FOLDER`)"
            )
        return self._spaces

    def filter_ids(self, where: str | None) -> Ids | None:
        """Return the ids of the images that pass a filter."""
        if where is None:
            return None
        if where not in self._filtered:
            with stage("plan/filter") as details:
                self._filtered[where] = self.snapshot.select(where)
                details["passing"] = len(self._filtered[where])
        return self._filtered[where]

    def load_vectors(self, queries: Iterable[Query]) -> None:
        """Read the stored vectors of all images that the queries name by id at once."""
        ids: dict[str, tuple[Space, list[int]]] = {}
        for query in queries:
            try:
                spaces = find_spaces(self.spaces, query)
            except UsageError:  # reported when the query is planned
                continue
            for space in spaces:
                named = ids.setdefault(space.key, (space, []))[1]
                named += [term.id for term in query.terms if term.id is not None]
        for space, named in ids.values():
            if named:
                self._load(space, list(dict.fromkeys(named)))

    def vector(self, space: Space, id: int) -> NDArray[np.float32] | None:
        """Return the stored vector (1, width) of an image, None if it has none in the space."""
        if id not in self._vectors.get(space.key, {}):
            self._load(space, [id])
        return self._vectors[space.key][id]

    def same_content(self, space: Space, image: Path | bytes) -> int | None:
        """Return the id of an image with the same bytes and a vector in the space.

        Such a copy gets the vector that was stored, and need not be decoded.
        """
        found = self._digest_of(image)
        if found is None:
            return None
        size, digest = found
        same = self.snapshot.same_content(size, hash=digest, spaces=(space.key,))
        return next((image.id for image in same if image.outcome is Outcome.INDEXED), None)

    def image(self, id: int) -> Image:
        """Return an image of the library by its id."""
        image = self.snapshot.images([id]).get(id)
        if image is None:
            raise UsageError(f"the library has no image with the id {id}")
        return image

    def file(self, image: Image) -> Path:
        """Return where the file of an image of the library is."""
        folders = {root.id: root.path for root in self.snapshot.roots()}
        return folders[image.root] / image.path

    def exact_copies(self, resolved: ResolvedTerm) -> list[int]:
        """Return the ids of the images of the library that have the bytes of a term's image."""
        id, source = resolved.image_id, resolved.source
        if id is not None:
            digest = self.image(id).hash
        elif isinstance(source, Path | bytes):
            found = self._digest_of(source)
            digest = None if found is None else found[1]
        else:
            digest = None
        copies = [] if digest is None else [one.id for one in self.snapshot.by_hash(digest)]
        return copies if id is None else [id, *copies]

    def _digest_of(self, image: Path | bytes) -> tuple[int, bytes] | None:
        if image not in self._digests:
            self._digests[image] = self._digest(image)
        return self._digests[image]

    def _digest(self, image: Path | bytes) -> tuple[int, bytes] | None:
        """Return size and hash; None if no image has that size, so that the file need not be read."""
        try:
            size = len(image) if isinstance(image, bytes) else image.stat().st_size
            if not self.snapshot.same_content(size):
                return None
            if isinstance(image, bytes):
                return size, hashlib.sha256(image).digest()
            content = read(image)
        except (OSError, ImageError):  # decoding it will say why
            return None
        return content.size, content.digest

    def _load(self, space: Space, ids: list[int]) -> None:
        vectors = self.snapshot.vectors(space.key, np.array(ids, np.int64))
        missing = np.isnan(vectors[:, 0]).tolist()
        rows = summand(space, vectors)[:, None]
        self._vectors.setdefault(space.key, {}).update(
            {id: None if none else row for id, row, none in zip(ids, rows, missing, strict=True)}
        )


def find_spaces(spaces: Sequence[Space], query: Query) -> list[Space]:
    """Return the spaces that a query names, the first one if it names none."""
    if not query.extractors:
        return [spaces[0]]
    found = []
    for name in query.extractors:
        space = next((space for space in spaces if name in (space.name, space.key)), None)
        if space is None:
            raise missing_vectors(name, (space.name for space in spaces))
        found.append(space)
    return list(dict.fromkeys(found))


def summand(space: Space, vectors: Floats) -> NDArray[np.float32]:
    """Return vectors (n, width) as terms are added up: normalised if the space is.

    Otherwise an image with a longer vector would count for more than its weight.
    """
    unit = space.normalised or (space.boxes is not None and space.similarity == "cosine")
    return normalise(vectors) if unit else np.asarray(vectors, np.float32)
