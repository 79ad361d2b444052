"""`lookalike export`: write the vectors of a library to a file."""

from __future__ import annotations

from pathlib import Path

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar


@click.command("export")
@click.argument(
    "file",
    metavar="VECTORS.npy|.parquet",
    type=parameters.UserPath(".npy", ".parquet", output=True, remedy="a .npy or .parquet file"),
)
@parameters.extractor_option("Whose vectors to export.", required=True)
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
    library: parameters.LibraryName | None,
) -> None:
    """Write the vectors of an extractor to a file.

    A .npy file has one float32 row per image, ordered by image id. A .parquet file has the columns id, path,
    vector and metadata (JSON), and needs `pip install 'lookalike[parquet]'`.
    """
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
