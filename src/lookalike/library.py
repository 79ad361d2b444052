"""`Library`: the facade that brings together images, extractors and a store."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from lookalike import __version__
from lookalike.errors import FAILED, Outcome, UsageError
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor
from lookalike.field_options import check_choice
from lookalike.query import Embeddings, Hits, ImageLike, Query, QueryOptions, to_query
from lookalike.search.encode import QueryEncoders
from lookalike.search.pipeline import run_queries
from lookalike.search.relevance import BackgroundSamples
from lookalike.search.result_cache import ResultCache
from lookalike.stores.interface import Image, Root, Snapshot, Space, Store
from lookalike.stores.open_store import FOLDER, Location, create_store, library_folder, open_store
from lookalike.stores.paths import Paths, ids_below, images_below, path_list
from lookalike.stores.postgres.url import is_url
from lookalike.stores.records import IMPORTED
from lookalike.thumbnails import Thumbnails, damaged_files
from lookalike.workers.limits import Limits

if TYPE_CHECKING:
    from lookalike.duplicates.move_record import Undone
    from lookalike.duplicates.move_spare import MoveReport
    from lookalike.duplicates.report import Duplicates, Scope
    from lookalike.duplicates.similar_folders import FolderPair
    from lookalike.duplicates.trash_images import TrashReport
    from lookalike.feedback import Feedback
    from lookalike.indexing.ann import Ann
    from lookalike.indexing.copy_library import CopyReport
    from lookalike.indexing.export_metadata import MetadataExport
    from lookalike.indexing.import_parts import PartsReport
    from lookalike.indexing.report import IndexEstimate, IndexOptions, IndexReport, ProgressCallback
    from lookalike.indexing.vectors import Vectors
    from lookalike.vectors import Relevance

DEFAULT_EXTRACTORS = ("lookalike", "phash", "dhash")
"""The network answers searches; the hashes find duplicates and cost little compared with decoding."""


@dataclass(frozen=True, slots=True)
class Info:
    """Facts about a library.

    location  where it is kept: a folder or a URL
    images    number of indexed images
    outcomes  number of files by outcome
    bytes     disk space that the library takes

    The file of an `Image` is the path of its root (found by id) joined with its own path.
    """

    location: str
    version: str
    roots: tuple[Root, ...]
    images: int
    outcomes: dict[Outcome, int]
    spaces: tuple[Space, ...]
    bytes: int
    read_only: bool


class Library:
    """A collection of indexed images that can be searched. Use it as a context manager.

    >>> with Library.create("photos") as library:      # doctest: +SKIP
    ...     library.add("photos")
    ...     hits = library.search("photos/cat.jpg", text="red", k=5)
    """

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits | None = None,
        readers: int = 1,
        address: Location | None = None,
    ) -> None:
        self._store = store
        self._address = address
        self._encoders = QueryEncoders(limits or Limits(), readers=readers)
        self._thumbnails = Thumbnails(store, (limits or Limits()).for_indexed())
        self._results = ResultCache()
        self._samples: tuple[Hashable, BackgroundSamples] = (None, BackgroundSamples())
        # Seconds from which on the plan of a search is logged, by the logger "lookalike.search".
        self.slow_query_seconds = 1.0

    @classmethod
    def create(cls, root: Path | str, *, folder: Location | None = None) -> Self:
        """Create the library of the images below `root`, or open it if it exists.

        folder  where it is kept, or the URL of a database, as for `open`; by default `root/.lookalike`
        """
        from lookalike.indexing.sources import resolve_path

        if folder is not None and is_url(folder):
            return cls(create_store(folder), address=folder)
        kept = Path(folder) if folder else resolve_path(Path(root)) / FOLDER
        return cls(create_store(kept))

    @classmethod
    def open(
        cls,
        folder: Location,
        *,
        read_only: bool = False,
        limits: Limits | None = None,
        readers: int = 1,
        device: str | None = None,
    ) -> Self:
        """Open the library of a folder of images; `NoLibrary` if there is none.

        folder   the folder of images, or its `.lookalike` folder; or the URL of a database, as
                 postgresql://user@host/database?schema=photos (extra `postgres`)
        limits   what one query image may cost
        readers  processes per space that decode query images; they start when they are needed, and more
                 than one only helps if queries come at the same time
        device   GPU that searches, as PyTorch calls it ("cuda"): its memory holds the vectors, and the
                 hits are the same, or with an ANN index not worse (extra `gpu`); `UsageError` if it is
                 not available
        """
        store = open_store(folder, read_only=read_only, device=device)
        return cls(
            store, limits=limits, readers=readers, address=folder if is_url(folder) else None
        )

    @property
    def address(self) -> Location:
        """Folder or URL with which `open` opens the library again. It may hold a password: never show it."""
        return self.folder if self._address is None else self._address

    @property
    def home(self) -> Path:
        """The folder of images in which the library is kept; for one in a database its first root, or the
        working directory without one."""
        if self._address is None:
            return self.folder.parent if self.folder.name == FOLDER else self.folder
        with self._store.snapshot() as snapshot:
            roots = (root.path for root in snapshot.roots() if not root.imported)
            return next(roots, Path.cwd())

    @property
    def folder(self) -> Path:
        """The folder in which the library is kept, or in which this machine keeps files derived from a
        library in a database; `UsageError` if its store has none."""
        if self._store.folder is None:
            raise UsageError(f"the library {self._store.location} is not kept in a folder")
        return self._store.folder

    @property
    def read_only(self) -> bool:
        """Whether the library cannot be changed."""
        return self._store.read_only

    @property
    def limits(self) -> Limits:
        """Limits on decoding one query image."""
        return self._encoders.limits

    def reachable(self) -> dict[str, bool]:
        """Return whether each part of the library answers, by name (see `GET /health`)."""
        return self._store.reachable()

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Return one consistent state of the library for reading: images, filters, fields, vectors.

        Use it in a `with` statement, in one thread.
        """
        return self._store.snapshot()

    def register(self, *extractors: Extractor) -> None:
        """Encode queries with these objects in the spaces of their names.

        Needed after `open` for extractors of your own that cannot be loaded by name.
        """
        self._encoders.register(extractors)

    def encodes_text(self, space: Space) -> bool:
        """Return whether text can be searched in this space: any text, or the words of a classifier."""
        return (
            self._encoders.encodes_text(space) or self._encoders.words_of(space).classes is not None
        )

    def add(
        self,
        sources: Paths,
        *,
        extractors: Sequence[str | Extractor] | None = None,
        options: IndexOptions | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexReport:
        """Index folders and files.

        New and changed images get vectors; moved and copied ones keep theirs; those that no longer exist
        are removed from the library (only below the given folders, only without globs, and more than a
        tenth of the library only with `IndexOptions.prune`).

        extractors  names or objects; None: those that the library has, or the default ones
        progress    called about ten times a second, in this thread

        `UsageError` for a missing source, `LibraryBusy`, `LibraryReadOnly`, `StorageFull`. If the call is
        interrupted, finished work is stored, and the next call continues from there.
        """
        # Imported on use: a search from the command line should not wait for what indexing needs.
        from lookalike.indexing.index_folders import index_folders
        from lookalike.indexing.report import IndexOptions

        started = time.monotonic()
        options = options or IndexOptions()
        chosen = self._extractors(extractors)
        report, fitted = index_folders(
            self._store,
            path_list(sources),
            chosen,
            options,
            progress,
            keep_thumbnail=self._thumbnails.keep,
        )
        self._encoders.register(fitted)
        if options.ann:
            self.ann.build_due()
        names = tuple(extractor.name for extractor in fitted)
        return replace(report, spaces=names, seconds=time.monotonic() - started)

    def import_parts(
        self,
        location: Path | str,
        *,
        root: Path | str | None = None,
        ann: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> PartsReport:
        """Load what `lookalike index --parts` wrote on this machine or others.

        location  folder or URL of the parts
        root      folder or URL that holds the images now; None: where they were indexed
        ann       afterwards, build ANN indexes where spaces are large enough
        progress  called with the number of parts done, and of all

        Rows that the library has already are left alone, so an import can be repeated. Damaged parts, and
        those of another extractor revision, are refused, and the others are loaded. `UsageError` if there
        are no parts, `MissingExtra` without pyarrow, `ObjectStorageError`, `LibraryBusy`, `LibraryReadOnly`,
        `StorageFull`.
        """
        from lookalike.indexing.import_parts import PartsImport

        report = PartsImport(
            self._store,
            location,
            root=None if root is None else Path(root),
            keep_thumbnail=self._thumbnails.keep,
            progress=progress,
        ).run()
        if ann:
            self.ann.build_due()
        return report

    def add_folder(self, folder: Path | str) -> None:
        """Make a folder one of those whose images the library holds; nothing of it is indexed yet.
        `UsageError` for one that does not exist."""
        from lookalike.indexing.sources import resolve_path, resolve_source

        with self._store.writer() as writer, self._store.snapshot() as snapshot:
            resolve_source(writer, snapshot.roots(), resolve_path(Path(folder)))

    def estimate(
        self,
        sources: Paths,
        *,
        extractors: Sequence[str | Extractor] | None = None,
        options: IndexOptions | None = None,
        sample: int = 128,
    ) -> IndexEstimate:
        """Estimate the cost of `add` from a timed sample. Nothing is written."""
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

    def search(
        self,
        images: Query | ImageLike | Sequence[ImageLike] | None = None,
        *,
        text: str | Sequence[str] | None = None,
        extractor: str | Sequence[str] | None = None,
        **options: Unpack[QueryOptions],
    ) -> Hits:
        """Return the images most like a query, best first; `UsageError` if it cannot be answered.

        images     a path (also relative to the library), the bytes of a file, pixels (height, width, 3)
                   uint8, an image of Pillow, or a list of these; or a whole `Query`
        text       what the images should show; may be given beside images or alone
        extractor  whose vectors are searched; several are fused
        options    fields of `Query`: k, where, alpha, diversity, min_relevance …

        >>> library.search("cat.jpg", text="red", where="price < 50", k=10)      # doctest: +SKIP
        """
        query = to_query(images, text=text, extractor=extractor, **options)
        with self._store.snapshot() as snapshot:
            (hits,) = self._run(snapshot, [query], tolerant=False)
        return hits

    def embed(
        self,
        images: ImageLike | Sequence[ImageLike] = (),
        *,
        text: str | Sequence[str] = (),
        extractor: str | None = None,
    ) -> Embeddings:
        """Return the vectors of images and texts, as an extractor of the library makes them.

        images     files, bytes or pixels
        text       needs an extractor that embeds text (CLIP)
        extractor  None: the first of the library that is not a hash

        Nothing is stored. `UsageError` naming the first image that cannot be used, and for an extractor that
        the library lacks or that does not embed text.
        """
        from lookalike.duplicates.similar import select_space

        terms = to_query(images, text=text, extractor=None).terms
        with self._store.snapshot() as snapshot:
            space = select_space(snapshot, extractor)
        return self._encoders.embed(space, terms)

    def search_batch(self, queries: Sequence[Query]) -> list[Hits]:
        """Return the hits of many queries, in order, from one state of the library.

        Queries that search the same space in the same way share one matrix product. A query that cannot
        be answered, because of a broken image for example, has no hits and a reason in `failure`.
        """
        with self._store.snapshot() as snapshot:
            return self._run(snapshot, queries, tolerant=True)

    def _run(self, snapshot: Snapshot, queries: Sequence[Query], *, tolerant: bool) -> list[Hits]:
        """Return the hits of queries; what was computed for the same state of the library is used again."""
        version = snapshot.version
        known, samples = self._samples
        if version != known:
            samples = BackgroundSamples()
            self._samples = version, samples
        return self._results.get(
            version,
            queries,
            lambda missing: run_queries(
                snapshot,
                self._encoders,
                missing,
                samples=samples,
                tolerant=tolerant,
                slow=self.slow_query_seconds,
            ),
        )

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
        limits: Limits | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Duplicates:
        """Find images that exist more than once, in groups, with the one to keep.

        paths     only images at or below these; all by default
        kind      the loosest that counts: "exact" (same bytes), "copies" (saved again, resized,
                  cropped, rotated …), "near" (another shot of the same scene); or only "burst" (shots
                  of one series), "raw-jpeg" (both files of one shot), "live-photo" (with its video)
        thorough  whether to find crops, frames and tilted copies, which takes longest; None: if there
                  are at most 100,000 images
        against   compare them only with the images at or below these paths, of this library or of another
                  one, which are never spare
        prefer    folders whose files are kept, the most important first
        edits     edits are spare, too, not only copies
        rotated   include images that were rotated or mirrored
        exposure  include images that were made lighter or darker
        limits    what reading one image may cost
        progress  called in this thread with the number of pairs compared and of copies measured, and of
                  those known to need it; the second grows when the next stage finds more

        Pairs judged "not-duplicate" are left out.
        """
        from lookalike.duplicates.comparison_memory import ComparisonMemory
        from lookalike.duplicates.detail_reader import DetailReader
        from lookalike.duplicates.find_duplicates import find_duplicates
        from lookalike.duplicates.joined_snapshot import with_archive
        from lookalike.duplicates.pair_verifier import PairVerifier, files_of
        from lookalike.duplicates.report import SCOPES

        check_choice("kind", kind, tuple(SCOPES))
        scenes = kind in ("near", "burst")
        with (
            self._store.snapshot() as own,
            with_archive(own, self._store.folder, path_list(against)) as (snapshot, archive),
            PairVerifier(
                files_of(snapshot),
                memory=ComparisonMemory(self._store, snapshot, scenes=scenes),
                scenes=scenes,
                limits=limits,
                progress=progress,
            ) as verifier,
        ):
            details = DetailReader(self._store, snapshot, files_of(snapshot), verifier.measure)
            return find_duplicates(
                snapshot,
                verifier,
                path_list(paths),
                archive=archive,
                kind=kind,
                thorough=thorough,
                prefer=path_list(prefer),
                edits=edits,
                rotated=rotated,
                exposure=exposure,
                details=details,
            )

    def similar_folders(self, found: Duplicates) -> tuple[FolderPair, ...]:
        """Return pairs of folders that have images in common, from the groups that `duplicates` found."""
        from lookalike.duplicates.similar_folders import similar_folders

        with self._store.snapshot() as snapshot:
            roots = {root.id: root.path for root in snapshot.roots()}
            files = snapshot.iter_files(outcomes=[Outcome.INDEXED])
            return similar_folders(found, (roots[image.root] / image.path for image in files))

    def move_spare(
        self,
        found: Duplicates,
        to: Path | str | None = None,
        *,
        record: Path | str | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> MoveReport:
        """Move the spare files of groups to the trash of the system, or to a folder.

        Right before each move both files are read again: the one that is kept must have the content of which
        the other is a copy. Sidecars go along; those that the kept image lacks are copied beside it, and it
        gets captions, keywords and other metadata that only the spare one has. What does not hold stays where
        it is, with the reason. The library forgets the files when their folder is indexed next.

        to        the folder; sub-folders are kept, and nothing is overwritten. None: the trash
        record    file to write, which `duplicates.move_record.undo` reads; by default in the library's folder
        dry_run   only say what would be done
        progress  called with the number of files that are done, and of all

        `UsageError` if the record cannot be written; `LibraryBusy`, `LibraryReadOnly` if metadata has to be
        kept and the library cannot be changed.
        """
        from lookalike.duplicates.move_spare import move_spare

        target = None if to is None else Path(to).absolute()
        file = None if record is None else Path(record)
        return move_spare(
            self._store, found, target, record=file, dry_run=dry_run, progress=progress
        )

    def trash(
        self, images: Paths, *, progress: Callable[[int, int], None] | None = None
    ) -> TrashReport:
        """Move images with their sidecars to the trash of the system, and remove them from the library. Each
        is read again: one that has changed since it was indexed stays.

        images    paths, as for `remove`
        progress  called with the number of files that are done, and of all

        The report names the record, which `undo_move` reads.
        """
        from lookalike.duplicates.trash_images import trash_images

        with self._store.snapshot() as snapshot:
            wanted = [image for path in path_list(images) for image in images_below(snapshot, path)]
        report = trash_images(self._store, wanted, progress=progress)
        if report.moved:
            self.remove([Path(f"id:{id}") for id in report.moved])
        return report

    def undo_move(self, record: Path | str) -> Undone:
        """Put the files of a record, by `trash` or `move_spare`, back where they were and index them again;
        nothing is overwritten. `UsageError` if it is no record."""
        from lookalike.duplicates.move_record import undo
        from lookalike.images.sniff import IMAGE_SUFFIXES

        undone = undo(Path(record))
        images = [file for file in undone.restored if file.suffix.lower() in IMAGE_SUFFIXES]
        if images:
            self.add(images)
        return undone

    def set_metadata(
        self,
        images: Paths,
        values: Mapping[str, Any] | None = None,
        *,
        add_tags: Sequence[str] = (),
        remove_tags: Sequence[str] = (),
    ) -> int:
        """Set metadata of images, and return how many that were. It is kept by content, as that of tables is.

        images       paths, as for `remove`
        values       JSON values by name; other names keep their values. None removes what was set, so that
                     what the file or a sidecar says counts again; an empty text or list hides that, too
        add_tags     texts that are added to the field "tags", a list
        remove_tags  texts that are removed from it
        """
        with self._store.writer() as writer, self._store.snapshot() as snapshot:
            found = [image for path in path_list(images) for image in images_below(snapshot, path)]
            sources = snapshot.metadata_sources(image.id for image in found)
            rows = {
                image.id: {
                    **sources[image.id].table,
                    **(values or {}),
                    **_tags(image, add_tags, remove_tags),
                }
                for image in found
            }
            writer.set_metadata(
                {
                    id: {name: value for name, value in row.items() if value is not None}
                    for id, row in rows.items()
                }
            )
        return len(rows)

    def export_metadata(
        self,
        images: Paths = (),
        *,
        where: str | None = None,
        replace: bool = False,
        dry_run: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> MetadataExport:
        """Write captions, tags, ratings and names of people into XMP sidecars beside the images.

        An existing sidecar (photo.jpg.xmp, or photo.xmp if no other image has that name) keeps what it says:
        lists get what they lack. Only images that tables, sidecars or people have described get one.

        images    paths, as for `remove`; none: all images
        where     filter: only images that match it
        replace   a title, caption, rating or colour label that differs is replaced
        dry_run   write nothing
        progress  called with the number of images that are done, and of all
        """
        from lookalike.indexing.export_metadata import export_metadata

        with self._store.snapshot() as snapshot:
            found = [one for path in path_list(images) for one in images_below(snapshot, path)]
            wanted = found if images else list(snapshot.iter_files(outcomes=[Outcome.INDEXED]))
            if where is not None:
                chosen = set(snapshot.select(where).tolist())
                wanted = [image for image in wanted if image.id in chosen]
            roots = snapshot.roots()
        return export_metadata(wanted, roots, replace=replace, dry_run=dry_run, progress=progress)

    def similar_groups(
        self,
        paths: Paths = (),
        *,
        extractor: str | None = None,
        min_relevance: Relevance = "strong",
        min_similarity: float | None = None,
    ) -> Duplicates:
        """Find groups of images that look alike, copies or not: bursts, one scene, one product.

        extractor       the extractor whose vectors are compared; None: the first that is not a hash
        min_relevance   how similar each image must be to the best of its group
        min_similarity  the same as a number; overrides `min_relevance`
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
        """Import of vectors made elsewhere, and export of the vectors of this library."""
        from lookalike.indexing.vectors import Vectors

        return Vectors(self._store)

    @property
    def ann(self) -> Ann:
        """ANN indexes, which make large spaces fast to search: build, check, remove them."""
        from lookalike.indexing.ann import Ann

        return Ann(self._store)

    @property
    def feedback(self) -> Feedback:
        """Judgements of people about images: not a duplicate, keep this one, relevant, not relevant."""
        from lookalike.feedback import Feedback

        return Feedback(self._store)

    def extractor(self, name: str | None = None) -> Extractor:
        """Return the extractor of a space as it was when the library was indexed, ready for use.

        None: of the first space that is not a hash. `UsageError` if there is no such space, or if its
        extractor has changed since.
        """
        from lookalike.duplicates.similar import select_space

        with self._store.snapshot() as snapshot:
            return self._encoders.of(select_space(snapshot, name)).extractor

    @property
    def thumbnails(self) -> Thumbnails:
        """Thumbnails of the images by id, made once and stored."""
        return self._thumbnails

    def remove(self, paths: Paths) -> int:
        """Remove images or whole folders from the library and return how many images that were.

        A path may be written as hits show it, relative to a folder of the library, or as `id:N`.

        Their thumbnails are deleted; their files stay.
        """
        with self._store.writer() as writer, self._store.snapshot() as snapshot:
            images = [image for path in path_list(paths) for image in images_below(snapshot, path)]
            return writer.remove([image.id for image in images])

    def files(
        self, outcomes: Iterable[Outcome] | None = None, *, below: Path | str | None = None
    ) -> Iterator[Image]:
        """Yield the files that the library knows, by root and path, each with its outcome.

        outcomes  only files with one of these; all by default
        below     only this file, or the files of this folder; `UsageError` if none is known there
        """
        wanted = set(Outcome) if outcomes is None else set(outcomes)
        with self._store.snapshot() as snapshot:
            if below is None:
                yield from snapshot.iter_files(outcomes=wanted)
            else:
                images = images_below(snapshot, Path(below))
                yield from (image for image in images if image.outcome in wanted)

    def failures(self, *, below: Path | str | None = None) -> Iterator[Image]:
        """Yield the files that could not be indexed, with outcome and reason; `below` as in `files`."""
        return self.files(FAILED, below=below)

    def copy_to(
        self, other: Location, *, progress: Callable[[int, int], None] | None = None
    ) -> CopyReport:
        """Copy the library to another folder or database, and compare the two.

        The images stay where they are. What is there already is not written again, so an interrupted copy
        goes on. ANN indexes and other derived data are not copied.

        other     a folder, which will hold `.lookalike`, or the URL of a database
        progress  called with the number of files that are done, and of all

        `UsageError` if the other library has images that this one lacks, `LibraryError` if the copy differs.
        """
        from lookalike.indexing.copy_library import copy_library

        target = create_store(other if is_url(other) else library_folder(Path(other)))
        try:
            return copy_library(self._store, target, progress=progress)
        finally:
            target.close()

    def check(self) -> list[str]:
        """Return every contradiction in the library's files, a line each; empty if there is none.

        Reads all vectors, ANN indexes and thumbnails once. `LibraryDamaged` if the catalogue cannot be read
        at all.
        """
        damaged = self._damaged_thumbnails()
        thumbnails = [f"thumbnails: damaged files: {len(damaged)}"] if damaged else []
        return self._store.check() + thumbnails

    def repair(self, *, progress: ProgressCallback | None = None) -> list[str]:
        """Mend what can be mended, and return what was done and what is lost, a line each.

        Derived data is made again: the index of texts, columns of filters, ANN indexes, thumbnails. Damaged
        vectors are made again from the images that are still there. Raises the errors of `add`, and
        `LibraryDamaged` if the catalogue cannot be read.
        """
        from lookalike.indexing.repair import missing_lines, present_files

        lines, lost = self._store.repair()
        for file in self._damaged_thumbnails():
            file.unlink(missing_ok=True)
            lines.append(f"thumbnails: {file.name} was damaged; it is made again when it is shown")
        with self._store.snapshot() as snapshot:
            present = present_files(snapshot, lost)
        if present:
            report = self.add(present, progress=progress)
            lines.append(f"{report.added_vectors} vectors are made again from their images")
        with self._store.snapshot() as snapshot:
            lines += missing_lines(snapshot, lost)
        return [*lines, *(f"{name}: its ANN index is built again" for name in self.ann.build_due())]

    def _damaged_thumbnails(self) -> list[Path]:
        folder = self._store.folder
        return [] if folder is None else list(damaged_files(folder))

    def info(self) -> Info:
        """Return facts about the library as it is now."""
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
        """End the workers and close the files."""
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


def _tags(image: Image, add: Sequence[str], remove: Sequence[str]) -> dict[str, Any]:
    """Return the new tags of an image as metadata; empty if they stay."""
    if not add and not remove:
        return {}
    known = image.metadata.get("tags", [])
    known = known if isinstance(known, list) else [known]
    return {"tags": [tag for tag in dict.fromkeys([*known, *add]) if tag not in remove]}
