"""Indexes folders: everything that one call of `Library.add` does under the writer's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lookalike.errors import Outcome
from lookalike.extractors.interface import Extractor
from lookalike.indexing.indexer import Indexer
from lookalike.indexing.metadata import Described, describe, mixed_notes
from lookalike.indexing.report import IndexOptions, IndexReport, ProgressCallback
from lookalike.indexing.sources import exclude_below, resolve_paths, resolve_source
from lookalike.indexing.spaces import ensure_fitted, promote, space_to_add
from lookalike.indexing.tables import CheckedTable, check_table
from lookalike.object_storage import is_url
from lookalike.stores.interface import Store
from lookalike.thumbnails import STORED_SIDE


def index_folders(
    store: Store,
    sources: Sequence[Path],
    extractors: Sequence[Extractor],
    options: IndexOptions,
    progress: ProgressCallback | None,
    *,
    keep_thumbnail: Callable[[bytes, bytes], None] | None = None,
) -> tuple[IndexReport, list[Extractor]]:
    """Index folders and files into a store; return the report, and the extractors as they were fitted.

    keep_thumbnail  called with content (SHA-256) and JPEG of every image that is fetched from elsewhere

    Raises the errors of `Library.add`.
    """
    paths = resolve_paths(sources)
    # A table that is wrong is reported before the work, not after it.
    table = None
    if options.metadata is not None:
        table = check_table(options.metadata, options.path_column)
    with store.writer() as writer:
        with store.snapshot() as snapshot:
            spaces, roots = snapshot.spaces(), snapshot.roots()
            several = (
                frozenset(snapshot.select("frames > 1").tolist())
                if "frames" in snapshot.fields()
                else frozenset()
            )
        fitted = [ensure_fitted(extractor, spaces, paths, options) for extractor in extractors]
        for extractor in fitted:
            writer.add_space(space_to_add(extractor, spaces, normalise=options.normalise))
        resolved = [exclude_below(resolve_source(writer, roots, path), options) for path in paths]
        for source in resolved:
            if options.exclude or options.no_exclude:
                writer.set_exclude(source.root.id, source.root.exclude)
        may_forget = partial(_may_forget, store)
        remote = any(is_url(source.root.path) for source in resolved)
        indexer = Indexer(
            writer,
            fitted,
            roots,
            store.folder,
            options,
            progress,
            may_forget=may_forget,
            thumbnail_side=STORED_SIDE,
            keep_thumbnail=keep_thumbnail if remote else None,
            several=several,
        )
        report = indexer.run(resolved)
        promote(store, writer, fitted)
        described = None
        if table is not None:
            described = describe(store, writer, table, replace=options.replace_metadata)
    if table is not None and described is not None:
        report = _with_metadata(report, store, table, described)
    return report, fitted


def _with_metadata(
    report: IndexReport, store: Store, table: CheckedTable, described: Described
) -> IndexReport:
    """Return the report with what became of the rows of a table."""
    notes = tuple(table.notes)
    if described.fields:
        with store.snapshot() as snapshot:
            notes += tuple(mixed_notes(snapshot, described.fields))
    return replace(
        report,
        described=described.images,
        repeated_rows=described.repeated,
        table_notes=notes,
        unmatched_rows=described.unmatched,
        unmatched_example=described.example,
    )


def _may_forget(store: Store, missing: int) -> bool:
    """Return whether so few images are missing that they were surely deleted: at most a tenth, or one."""
    with store.snapshot() as snapshot:
        images = snapshot.counts().get(Outcome.INDEXED, 0)
    return missing <= max(1, images // 10)
