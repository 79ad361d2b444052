"""Indexes a shard of the sources into parts, which `import_parts` loads into a library."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.extractors.interface import Extractor
from lookalike.indexing.indexer import Indexer
from lookalike.indexing.part_writer import PartWriter
from lookalike.indexing.report import IndexOptions, IndexReport, ProgressCallback
from lookalike.indexing.shards import WHOLE, Shard, shard_key
from lookalike.indexing.sources import Source, exclude_below, resolve_paths, resolve_source
from lookalike.indexing.spaces import ensure_fitted, space_to_add
from lookalike.object_storage import Location
from lookalike.thumbnails import STORED_SIDE


def index_parts(
    sources: Sequence[Path],
    extractors: Sequence[Extractor],
    location: Location,
    *,
    shard: Shard = WHOLE,
    options: IndexOptions | None = None,
    progress: ProgressCallback | None = None,
) -> IndexReport:
    """Index the files of a shard of the sources into parts; return the report.

    location  folder or URL for the parts of all shards

    A run for the same shard continues where an earlier one stopped: unchanged files that have a row are
    skipped. An extractor that is fitted to images is fitted to a sample of all sources, the same for all
    shards. Raises `UsageError`, `MissingExtra` without pyarrow, and `ObjectStorageError`.
    """
    started = time.monotonic()
    options = options or IndexOptions()
    paths = checked_sources(sources, options)
    with PartWriter(location, shard) as writer:
        fitted = fit_and_start(writer, paths, extractors, options)
        resolved = resolve_sources(writer, paths, options)
        indexer = Indexer(
            writer,
            fitted,
            [],
            None,
            options,
            progress,
            may_forget=lambda missing: True,
            takes=None if shard == WHOLE else lambda path: shard.contains(shard_key(path)),
            share=shard.count,
            thumbnail_side=STORED_SIDE,
            keep_thumbnail=writer.keep_thumbnail,
        )
        report = indexer.run(resolved)
        writer.complete()
    names = tuple(extractor.name for extractor in fitted)
    return replace(report, spaces=names, seconds=time.monotonic() - started)


def checked_sources(sources: Sequence[Path], options: IndexOptions) -> list[Path]:
    """Return the resolved sources. Raises `UsageError` for options that parts do not have."""
    if options.metadata is not None:
        raise UsageError(
            "parts hold no tables: give --metadata to `lookalike index` after the import"
        )
    return resolve_paths(sources)


def fit_and_start(
    writer: PartWriter,
    paths: Sequence[Path],
    extractors: Sequence[Extractor],
    options: IndexOptions,
) -> list[Extractor]:
    """Fit the extractors, once for all shards, and start the writer with their spaces."""
    known = writer.known_spaces()
    fitted = [ensure_fitted(extractor, known, paths, options) for extractor in extractors]
    writer.start([space_to_add(one, [], normalise=options.normalise) for one in fitted])
    return fitted


def resolve_sources(
    writer: PartWriter, paths: Sequence[Path], options: IndexOptions
) -> list[Source]:
    """Return the sources below the roots of the manifest; they are added where they are missing."""
    sources = []
    for path in paths:
        source = exclude_below(resolve_source(writer, [], path), options)
        writer.set_exclude(source.root.id, source.root.exclude)
        sources.append(source)
    return sources
