"""`lookalike export`: the vectors of a library, for others."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar
from lookalike.errors import UsageError


@click.command("export")
@click.argument("file", metavar="VECTORS.npy|.parquet", type=parameters.PATH)
@click.option("--by", required=True, metavar="EXTRACTOR", help="Which vectors.")
@click.option(
    "--paths",
    type=parameters.PATH,
    metavar="FILE",
    help="Also write the path of each row, one a line.",
)
@click.option("--where", metavar="EXPR", help="Only pictures of which this is true.")
@parameters.library_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    by: str,
    paths: Path | None,
    where: str | None,
    library: Path | None,
) -> None:
    """Write the vectors of an extractor to a file.

    An .npy has one row a picture, float32, in the order of the pictures' ids. A .parquet has columns id,
    path, vector and metadata (JSON), and needs `pip install 'lookalike[parquet]'`.
    """
    if file.suffix.lower() not in (".npy", ".parquet"):
        raise UsageError(f"cannot tell how to write {file}: name a .npy or .parquet file")
    with (
        open_library.open_library(library) as opened,
        ProgressBar("Exporting", unit="vectors") as line,
    ):
        count = opened.vectors.export_vectors(
            by, file, paths=paths, where=where, progress=line.stage
        )
    output.put(f"Wrote {format.counted(count, 'vector')} to {file}.")
    if not count:
        ctx.exit(1)
