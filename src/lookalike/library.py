"""The library: the meeting place of pictures, extractors and store."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lookalike import __version__
from lookalike.errors import Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor
from lookalike.images.pixel_spec import Pixels
from lookalike.query import Hits, Query
from lookalike.search.encode import QueryEncoders
from lookalike.search.pipeline import run_queries
from lookalike.search.result_cache import ResultCache
from lookalike.stores.interface import Image, Root, Snapshot, Space, Store
from lookalike.stores.open_store import FOLDER, create_store, open_store
from lookalike.stores.paths import Paths, ids_below, images_below, path_list
from lookalike.stores.records import IMPORTED
from lookalike.thumbnails.thumbnails import Thumbnails
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from lookalike.duplicates.report import Duplicates, Kind
    from lookalike.feedback.judgements import Feedback
    from lookalike.indexing.ann import Ann
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport, ProgressCallback
    from lookalike.indexing.vectors import Vectors
    from lookalike.vectors.calibration import Relevance

DEFAULT_EXTRACTORS = ("lookalike", "phash", "dhash")
"""Colour answers searches; the hashes make copies findable and cost little beside decoding."""


@dataclass(frozen=True, slots=True)
class Info:
    """Facts of a library. `location` is where it is kept (a folder or a URL), `bytes` what it takes there;
    an `Image` lies at the path of its root (found by id) joined with its own."""

    location: str
    version: str
    roots: tuple[Root, ...]
    images: int
    outcomes: dict[Outcome, int]
    spaces: tuple[Space, ...]
    bytes: int
    read_only: bool


class Library:
    """A collection of indexed pictures, open for questions. Use it as a context manager.

    >>> with Library.create(Path("photos")) as library:      # doctest: +SKIP
    ...     library.add([Path("photos")])
    ...     hits = library.search("photos/cat.jpg")
    """

    def __init__(self, store: Store, *, limits: Limits | None = None, readers: int = 1) -> None:
        self._store = store
        self._encoders = QueryEncoders(limits or Limits(), readers=readers)
        self._thumbnails = Thumbnails(store, limits or Limits())
        self._results = ResultCache()

    @classmethod
    def create(cls, root: Path | str, *, folder: Path | str | None = None) -> Self:
        """The library of the pictures below `root`, kept in `root/.lookalike` or in `folder`: a new one,
        or the one that is there."""
        from lookalike.indexing.sources import resolve_path

        kept = Path(folder) if folder else resolve_path(Path(root)) / FOLDER
        return cls(create_store(kept))

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        read_only: bool = False,
        limits: Limits | None = None,
        readers: int = 1,
        device: str | None = None,
    ) -> Self:
        """The library of a folder of pictures, or the `.lookalike` folder itself; `NoLibrary`.

        limits   what a picture that somebody asks with may cost
        readers  processes that read such pictures, for every space that is asked; they start when they
                 are needed, and more than one only serve questions that come at the same time
        device   the graphics card that searches, as PyTorch calls it ("cuda"): its memory holds the
                 vectors, and the answers are the same, or with an index no worse (the extra `gpu`);
                 `UsageError` if it is not there
        """
        store = open_store(folder, read_only=read_only, device=device)
        return cls(store, limits=limits, readers=readers)

    @property
    def folder(self) -> Path:
        """The folder in which the library is kept; `UsageError` where its store has none."""
        if self._store.folder is None:
            raise UsageError(f"the library {self._store.location} is not kept in a folder")
        return self._store.folder

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed."""
        return self._store.read_only

    @property
    def limits(self) -> Limits:
        """What a picture that somebody asks with may cost."""
        return self._encoders.limits

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """One consistent state of everything the library remembers, for reading: images by id, filters,
        fields, captions, vectors. To be used in a `with`, in one thread."""
        return self._store.snapshot()

    def register(self, *extractors: Extractor) -> None:
        """Encode queries with these objects in the spaces of their names.

        Needed after `open` for extractors of your own that cannot be loaded by name.
        """
        self._encoders.register(extractors)

    def reads(self, space: Space) -> bool:
        """Whether words can be searched in this space."""
        return self._encoders.encodes_text(space)

    def add(
        self,
        sources: Paths,
        *,
        extractors: Sequence[str | Extractor] | None = None,
        options: IndexOptions | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexReport:
        """Index folders and files: new and changed pictures get vectors, moved and copied ones keep
        theirs, vanished ones are forgotten (only below the folders given, and without globs).

        extractors  names or objects; None: those that the library has, or the default ones
        progress    called about ten times a second, in this thread

        `UsageError` for a missing source, `LibraryBusy`, `LibraryReadOnly`, `StorageFull`. When it is
        interrupted, what was finished is stored; the next call goes on from there.
        """
        # Imported on use: a search from the command line should not wait for what indexing needs.
        from lookalike.indexing.indexer import Indexer
        from lookalike.indexing.metadata import describe
        from lookalike.indexing.report import IndexOptions
        from lookalike.indexing.sources import drop_nested, resolve_path, resolve_source
        from lookalike.indexing.spaces import ensure_fitted, promote, space_to_add

        started = time.monotonic()
        options = options or IndexOptions()
        paths = drop_nested([resolve_path(source) for source in path_list(sources)])
        chosen = self._extractors(extractors)
        with self._store.writer() as writer:
            with self._store.snapshot() as snapshot:
                spaces, roots = snapshot.spaces(), snapshot.roots()
            fitted = [ensure_fitted(extractor, spaces, paths, options) for extractor in chosen]
            for extractor in fitted:
                writer.add_space(space_to_add(extractor, spaces, normalise=options.normalise))
            resolved = [resolve_source(writer, roots, path) for path in paths]
            indexer = Indexer(writer, fitted, roots, self._store.folder, options, progress)
            report = indexer.run(resolved)
            promote(self._store, writer, fitted)
            if options.metadata:
                described, missing, example = describe(self._store, writer, options.metadata)
                report = replace(
                    report, described=described, unmatched_rows=missing, unmatched_example=example
                )
        self._encoders.register(fitted)
        if options.ann:
            self.ann.build_due()
        names = tuple(extractor.name for extractor in fitted)
        return replace(report, spaces=names, seconds=time.monotonic() - started)

    def estimate(
        self,
        sources: Paths,
        *,
        extractors: Sequence[str | Extractor] | None = None,
        options: IndexOptions | None = None,
        sample: int = 128,
    ) -> IndexEstimate:
        """What `add` would cost, from a timed sample. Nothing is written."""
        from lookalike.indexing.estimate import estimate
        from lookalike.indexing.report import IndexOptions
        from lookalike.indexing.spaces import ensure_fitted

        paths = path_list(sources)
        options = options or IndexOptions()
        with self._store.snapshot() as snapshot:
            spaces = snapshot.spaces()
            chosen = [
                ensure_fitted(one, spaces, paths, options) for one in self._extractors(extractors)
            ]
            return estimate(
                snapshot, paths, chosen, options, skip=self._store.folder, sample=sample
            )

    def search(self, question: Query | Path | str | bytes | Pixels, *, k: int = 10) -> Hits:
        """The pictures most like the question: a `Query`, or a picture (path, bytes, or upright RGB
        pixels (h, w, 3) uint8) with `k`. `UsageError` where the question cannot be answered."""
        if not isinstance(question, Query):
            question = Query.of(question, k=k)
        with self._store.snapshot() as snapshot:
            (hits,) = self._results.get(
                snapshot.version,
                [question],
                lambda some: run_queries(snapshot, self._encoders, some),
            )
        return hits

    def search_batch(self, queries: Sequence[Query]) -> list[Hits]:
        """The answers to many questions, in order, from one state of the library; those that ask the
        same space in the same way share one matrix product. A question that cannot be answered (a
        broken picture, say) has no hits and the reason as its `failure`."""
        with self._store.snapshot() as snapshot:
            return self._results.get(
                snapshot.version,
                queries,
                lambda some: run_queries(snapshot, self._encoders, some, tolerant=True),
            )

    def duplicates(
        self,
        paths: Paths = (),
        *,
        kind: Kind = "copies",
        thorough: bool | None = None,
        limits: Limits | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Duplicates:
        """Pictures that are there more than once (all, or those at or below `paths`), in groups, with
        the one to keep.

        kind      the loosest that counts: "exact" (the same bytes), "copies" (saved again, resized,
                  cropped, turned …), "near" (another shot of the same)
        thorough  whether crops, frames and tilts are looked for, which takes longest; None: among up
                  to 100,000 pictures
        limits    of reading a picture that must be looked at
        progress  called in this thread with the pairs compared and the pairs known to need it; the
                  second grows when the next stage finds more

        Pairs that somebody decided are no duplicates are left out.
        """
        from lookalike.duplicates.find_duplicates import find_duplicates
        from lookalike.duplicates.pair_verifier import PairVerifier, files_of

        with (
            self._store.snapshot() as snapshot,
            PairVerifier(files_of(snapshot), limits=limits, progress=progress) as verifier,
        ):
            ids = ids_below(snapshot, paths)
            return find_duplicates(snapshot, verifier, ids, kind=kind, thorough=thorough)

    def similar_groups(
        self,
        paths: Paths = (),
        *,
        extractor: str | None = None,
        min_relevance: Relevance = "strong",
        min_similarity: float | None = None,
    ) -> Duplicates:
        """Pictures that look alike, copies or not, in groups: bursts, one scene, one product.

        extractor       whose vectors decide; None: the first that is not a hash
        min_relevance   how alike each must be to the best of its group
        min_similarity  the same as a number, which goes first
        """
        from lookalike.duplicates.similar import find_similar

        with self._store.snapshot() as snapshot:
            return find_similar(
                snapshot,
                ids_below(snapshot, paths),
                extractor=extractor,
                min_relevance=min_relevance,
                min_similarity=min_similarity,
            )

    @property
    def vectors(self) -> Vectors:
        """Vectors made elsewhere, into this library, and those of this library out of it."""
        from lookalike.indexing.vectors import Vectors

        return Vectors(self._store)

    @property
    def ann(self) -> Ann:
        """The indexes that make large spaces quick to search: build, check, remove them."""
        from lookalike.indexing.ann import Ann

        return Ann(self._store)

    @property
    def feedback(self) -> Feedback:
        """What people decided about pictures: "not a duplicate", "keep this", "not relevant"."""
        from lookalike.feedback.judgements import Feedback

        return Feedback(self._store)

    def extractor(self, by: str | None = None) -> Extractor:
        """The extractor of a space as it was when the library was indexed, ready for pictures; None: of
        the first space that is no hash. `UsageError` where there is no such space, or its extractor
        has changed."""
        from lookalike.duplicates.similar import select_space

        with self._store.snapshot() as snapshot:
            return self._encoders.of(select_space(snapshot, by)).extractor

    @property
    def thumbnails(self) -> Thumbnails:
        """Small pictures of the images, by id, made once and kept."""
        return self._thumbnails

    def remove(self, paths: Paths) -> int:
        """Forget pictures or whole folders, with their thumbnails; how many. The files stay where they
        are."""
        with self._store.writer() as writer, self._store.snapshot() as snapshot:
            images = [image for path in path_list(paths) for image in images_below(snapshot, path)]
            removed = writer.remove([image.id for image in images])
        self._thumbnails.forget({image.hash for image in images if image.hash is not None})
        return removed

    def failures(
        self, outcomes: Iterable[Outcome] | None = None, *, below: Path | str | None = None
    ) -> Iterator[Image]:
        """The files that could not be indexed, by root and path, with outcome and reason.

        outcomes  which ones instead; `set(Outcome)` lists every file the library has met
        below     only this file, or the files of this folder; `UsageError` where it has met none
        """
        wanted = set(outcomes) if outcomes is not None else set(Outcome) - {Outcome.INDEXED}
        with self._store.snapshot() as snapshot:
            if below is None:
                yield from snapshot.iter_files(outcomes=wanted)
            else:
                images = images_below(snapshot, Path(below))
                yield from (image for image in images if image.outcome in wanted)

    def check(self) -> list[str]:
        """Everything in the library's files that contradicts itself, a line each; empty if it is whole.
        Reads all vectors once. `LibraryDamaged` where the catalogue cannot be read at all."""
        return self._store.check()

    def info(self) -> Info:
        """Facts of the library as it is now."""
        with self._store.snapshot() as snapshot:
            counts = snapshot.counts()
            return Info(
                location=self._store.location,
                version=__version__,
                roots=tuple(snapshot.roots()),
                images=counts.get(Outcome.INDEXED, 0),
                outcomes=counts,
                spaces=tuple(snapshot.spaces()),
                bytes=self._store.disk_bytes(),
                read_only=self._store.read_only,
            )

    def close(self) -> None:
        """End the workers and close the files. The library can be opened again."""
        self._encoders.close()
        self._thumbnails.close()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _extractors(self, wanted: Sequence[str | Extractor] | None) -> list[Extractor]:
        if wanted is None:
            with self._store.snapshot() as snapshot:
                spaces = snapshot.spaces()
            wanted = [s.name for s in spaces if s.current and s.revision != IMPORTED]
        if isinstance(wanted, str):
            wanted = [wanted]
        chosen = [load(e) if isinstance(e, str) else e for e in wanted or DEFAULT_EXTRACTORS]
        return list({extractor.name: extractor for extractor in chosen}.values())
