"""`lookalike export`: write the vectors of a library to a file."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar
from lookalike.errors import UsageError


@click.command("export")
@click.argument("file", metavar="VECTORS.npy|.parquet", type=parameters.PATH)
@click.option(
    "--extractor", "-e", required=True, metavar="EXTRACTOR", help="Whose vectors to export."
)
@click.option(
    "--paths",
    type=parameters.PATH,
    metavar="FILE",
    help="Also write the path of each row, one per line.",
)
@click.option("--where", metavar="EXPR", help="Only images that match this filter.")
@parameters.library_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    extractor: str,
    paths: Path | None,
    where: str | None,
    library: Path | None,
) -> None:
    """Write the vectors of an extractor to a file.

    A .npy file has one float32 row per image, ordered by image id. A .parquet file has the columns id, path,
    vector and metadata (JSON), and needs `pip install 'lookalike[parquet]'`.
    """
    if file.suffix.lower() not in (".npy", ".parquet"):
        raise UsageError(f"cannot tell how to write {file}: name a .npy or .parquet file")
    with (
        open_library.open_library(library) as opened,
        ProgressBar("Exporting", unit="vectors") as bar,
    ):
        count = opened.vectors.export_vectors(
            extractor, file, paths=paths, where=where, progress=bar.stage
        )
    output.put(f"Wrote {format.counted(count, 'vector')} to {file}.")
    if not count:
        ctx.exit(1)
