"""Explains matches by the name of an extractor, for images of a library or any others."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from lookalike.errors import UsageError
from lookalike.explain.image_views import DISPLAY_PIXELS, ViewLoader
from lookalike.explain.match import Explanation, explain_match, explain_text
from lookalike.explain.pipeline_stages import Pipeline, pipeline
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor, TextExtractor
from lookalike.images.pixel_spec import Pixels
from lookalike.library import DEFAULT_EXTRACTORS, Library
from lookalike.query import QueryImage
from lookalike.stores.paths import image_by_path
from lookalike.workers.limits import Limits


class Explainer:
    """Explains matches. Close it: it owns a worker process that reads the images.

    library  its extractors are used as they were when it was indexed; others, and all of them without a
             library, are loaded by name
    """

    def __init__(self, library: Library | None = None, *, limits: Limits | None = None) -> None:
        self._library = library
        self._views = ViewLoader(limits)
        self._loaded: dict[str, Extractor] = {}

    def match(
        self,
        first: QueryImage | int,
        second: QueryImage | int,
        *,
        extractor: str | None = None,
    ) -> Explanation:
        """Explain the similarity of a query and a hit; an int is the id of an image of the library.

        extractor  None: the library's first that is not a hash, or the default one

        Raises UsageError for an image that cannot be read, an unknown extractor or id.
        """
        loaded = self._extractor(extractor)
        images = [self._resolve(first), self._resolve(second)]
        one, other = self._views.load(images, loaded.pixels)
        return explain_match(loaded, one, other)

    def match_text(
        self, text: str, image: QueryImage | int, *, extractor: str | None = None
    ) -> Explanation:
        """Explain where in an image a text is found.

        Raises UsageError for an extractor that does not support text.
        """
        loaded = self._extractor(extractor)
        if not isinstance(loaded, TextExtractor):
            raise UsageError(
                f"{loaded.name} does not support text: name a CLIP or SigLIP model with "
                "--extractor clip:…"
            )
        (view,) = self._views.load([self._resolve(image)], loaded.pixels)
        return explain_text(loaded, text, view)

    def pipeline(self, image: QueryImage | int, *, extractor: str | None = None) -> Pipeline:
        """Return the stages by which an image becomes the vector of an extractor."""
        loaded = self._extractor(extractor)
        (view,) = self._views.load([self._resolve(image)], loaded.pixels)
        return pipeline(loaded, view)

    def display(self, image: QueryImage | int) -> Pixels:
        """Return the image as upright RGB pixels of at most 640 a side."""
        return self._views.load([self._resolve(image)], DISPLAY_PIXELS)[0].display

    def close(self) -> None:
        """Stop the worker and release the extractors that were loaded here."""
        self._views.close()
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _extractor(self, name: str | None) -> Extractor:
        if self._library is not None and (name is None or name in self._library_extractors()):
            return self._library.extractor(name)
        name = name or DEFAULT_EXTRACTORS[0]
        if name not in self._loaded:
            self._loaded[name] = load(name)
        return self._loaded[name]

    def _library_extractors(self) -> set[str]:
        assert self._library is not None
        with self._library.snapshot() as snapshot:
            return {space.name for space in snapshot.spaces() if space.current}

    def _resolve(self, image: QueryImage | int) -> QueryImage:
        """Return the file of an image of the library (an id, `id:N`, or a path as hits show it).

        Other images are returned as they are.
        """
        if isinstance(image, Path) and self._library is not None and not image.exists():
            with self._library.snapshot() as snapshot:
                known = image_by_path(snapshot, image)
            if known is None and str(image).startswith("id:"):
                raise UsageError(f"the library has no image with the id {str(image)[3:]}")
            return image if known is None else self._resolve(known.id)
        if not isinstance(image, int):
            return image
        if self._library is None:
            raise UsageError("an id needs a library")
        with self._library.snapshot() as snapshot:
            found = snapshot.images([image]).get(image)
            roots: dict[int, Path] = {root.id: root.path for root in snapshot.roots()}
        if found is None:
            raise UsageError(f"the library has no image with the id {image}")
        return roots[found.root] / found.path
