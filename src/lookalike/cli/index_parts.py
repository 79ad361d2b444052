"""`lookalike index --parts`: write parts instead of a library."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output
from lookalike.cli.index_report import put_unreadable, summary
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from lookalike.indexing.report import IndexOptions, IndexReport


def write_parts(
    ctx: click.Context,
    sources: Sequence[Path],
    extractors: Sequence[str],
    options: IndexOptions,
    location: str,
    shard: str | None,
    ray: str | None,
) -> IndexReport:
    """Index the sources into parts, say what was done, and return the report."""
    from lookalike.extractors import load
    from lookalike.indexing.index_parts import index_parts
    from lookalike.indexing.shards import WHOLE, Shard

    wanted = Shard.parse(shard) if shard else WHOLE
    loaded = [load(name) for name in extractors]
    try:
        with ProgressBar("Indexing") as bar:
            shown = bar if bar.visible else None
            if ray is not None:
                from lookalike.indexing.ray_driver import index_with_ray

                report = index_with_ray(
                    sources, loaded, location, ray, options=options, progress=shown
                )
            else:
                report = index_parts(
                    sources, loaded, location, shard=wanted, options=options, progress=shown
                )
    except KeyboardInterrupt:
        output.interrupted("Finished parts are kept; run the same command to continue.")
        ctx.exit(130)
    put_unreadable(report)
    output.put(summary(report))
    if report.failures:
        output.put(f"{format.counted(report.failures, 'file')} failed; the parts say why.")
    whole = f"Shard {wanted} is" if wanted.count > 1 else "All files are"
    output.put(f"{whole} complete in {location}.")
    command = f"import-parts {shlex.quote(location)} --library DIR"
    output.aside(f"Next: {open_library.program()} {command}")
    return report
