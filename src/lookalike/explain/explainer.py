"""The door to explanations: pictures of a library, or any, by the name of an extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from lookalike.errors import UsageError
from lookalike.explain.image_views import SHOWN, Looks
from lookalike.explain.match import Explanation, why, why_words
from lookalike.explain.pipeline_stages import Journey, journey
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor, TextExtractor
from lookalike.images.pixel_spec import Pixels
from lookalike.library import DEFAULT_EXTRACTORS, Library
from lookalike.query import QueryImage
from lookalike.workers.limits import Limits


class Explainer:
    """Explains matches. Close it: it has a worker that reads the pictures.

    library  whose extractors are asked, as they were when it was indexed; others, and all without one, are
             loaded by their names
    """

    def __init__(self, library: Library | None = None, *, limits: Limits | None = None) -> None:
        self._library = library
        self._looks = Looks(limits)
        self._loaded: dict[str, Extractor] = {}

    def match(
        self, first: QueryImage | int, second: QueryImage | int, *, by: str | None = None
    ) -> Explanation:
        """What drove the similarity of a query and a hit: pictures, or ids of images of the library.

        by  the extractor; None: the library's first that is no hash, or the default one

        `UsageError` for a picture that cannot be read, an unknown extractor or id.
        """
        extractor = self._extractor(by)
        looks = self._looks.of([self._picture(first), self._picture(second)], extractor.pixels)
        return why(extractor, looks[0], looks[1])

    def words(self, text: str, picture: QueryImage | int, *, by: str | None = None) -> Explanation:
        """Where in a picture these words are found. `UsageError` for an extractor that knows no words."""
        extractor = self._extractor(by)
        if not isinstance(extractor, TextExtractor):
            raise UsageError(
                f"{extractor.name} knows no words: name a CLIP or SigLIP model with --by clip:…"
            )
        (look,) = self._looks.of([self._picture(picture)], extractor.pixels)
        return why_words(extractor, text, look)

    def journey(self, picture: QueryImage | int, *, by: str | None = None) -> Journey:
        """How a picture becomes the vector of an extractor, stage by stage."""
        extractor = self._extractor(by)
        (look,) = self._looks.of([self._picture(picture)], extractor.pixels)
        return journey(extractor, look)

    def picture(self, picture: QueryImage | int) -> Pixels:
        """The picture itself, upright RGB, at most 640 pixels long."""
        return self._looks.of([self._picture(picture)], SHOWN)[0].shown

    def close(self) -> None:
        """End the worker and forget extractors that were loaded here."""
        self._looks.close()
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _extractor(self, by: str | None) -> Extractor:
        if self._library is not None and (by is None or by in self._spaces()):
            return self._library.extractor(by)
        name = by or DEFAULT_EXTRACTORS[0]
        if name not in self._loaded:
            self._loaded[name] = load(name)
        return self._loaded[name]

    def _spaces(self) -> set[str]:
        """The extractors that the library knows."""
        assert self._library is not None
        with self._library.snapshot() as snapshot:
            return {space.name for space in snapshot.spaces() if space.current}

    def _picture(self, picture: QueryImage | int) -> QueryImage:
        if not isinstance(picture, int):
            return picture
        if self._library is None:
            raise UsageError("an id needs a library")
        with self._library.snapshot() as snapshot:
            image = snapshot.images([picture]).get(picture)
            folders: dict[int, Path] = {root.id: root.path for root in snapshot.roots()}
        if image is None:
            raise UsageError(f"the library has no image with the id {picture}")
        return folders[image.root] / image.path
