"""`lookalike map`: the collection in the plane, alike beside alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar
from lookalike.errors import UsageError
from lookalike.files import output_file

if TYPE_CHECKING:
    from lookalike.embedding_map.neighbourhood import Kept


@click.command("map")
@click.argument("folder", metavar="[FOLDER]", required=False, type=parameters.PATH)
@click.option(
    "-o",
    "--out",
    type=parameters.PATH,
    metavar="FILE",
    default=Path("map.html"),
    show_default=True,
    help="An .html file to zoom and search in (nothing is loaded from elsewhere), or a .png.",
)
@click.option("--by", metavar="EXTRACTOR", help="Which vectors say what is alike.")
@click.option(
    "--method",
    type=click.Choice(("tsne", "pca", "umap")),
    help="How the plane is found. Default: tsne if openTSNE is installed (pip install "
    "'lookalike[map]'), else pca.",
)
@click.option(
    "--color",
    default="cluster",
    show_default=True,
    metavar="WHAT",
    help="cluster, folder, or a field of the metadata or of the files, such as label or camera.",
)
@click.option("--where", default="", metavar="EXPR", help="Only pictures that satisfy this filter.")
@click.option(
    "--limit",
    type=click.IntRange(2),
    default=100_000,
    show_default=True,
    help="Pictures at most; of more an evenly spread sample.",
)
@click.option(
    "--thumbnails",
    type=click.IntRange(0),
    default=10_000,
    show_default=True,
    help="How many of them can be seen when one zooms in; the rest are points.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed, the same map.")
@parameters.library_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="What is written to stdout: the report, or all of the map as data.",
)
def command(
    folder: Path | None,
    out: Path,
    by: str | None,
    method: str | None,
    color: str,
    where: str,
    limit: int,
    thumbnails: int,
    seed: int,
    library: Path | None,
    format_: str,
) -> None:
    """Draw the collection as a map: what is alike lies close together.

    \b
    lookalike map -o map.html
    lookalike map --by color --color label -o map.png
    """
    from lookalike.embedding_map.build import draw_up
    from lookalike.embedding_map.sprites import sprites

    kind = out.suffix.lower()
    if kind not in (".html", ".htm", ".png"):
        raise UsageError(f"a map is drawn into an .html or a .png file, not into '{out}'")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"cannot draw {out}: there is no folder {out.parent}")
    near = [folder.absolute()] if folder else []
    # Writable, if it is, so that thumbnails are kept for the next map and for the page.
    with open_library.open_library(library or folder, near, read_only=False) as opened:
        found = draw_up(
            opened,
            by=by,
            method=method,  # type: ignore[arg-type]
            color=color,
            where=where,
            most=limit,
            seed=seed,
        )
        with ProgressBar("thumbnails") as line:
            packed = sprites(opened, found, most=thumbnails, progress=line.count)
        title = f"{opened.folder.parent.name or 'pictures'}: a map"
    if kind == ".png":
        from lookalike.viz.map_image import draw_map

        draw_map(found, packed, out, title=title)
    else:
        from lookalike.viz.map_html import page

        text = page(found, packed, title=title)
        with output_file(out) as file:
            file.write(text.encode("utf-8"))
    if format_ == "json":
        output.put(output.as_json(found.as_dict(), indent=None))
    else:
        _report(found.kept, len(found), found.total, found.method, found.by)
    if packed.lost:
        output.note(f"{format.counted(packed.lost, 'picture')} could not be read: points only.")
    output.note(f"Drawn: {out} ({format.size(out.stat().st_size)})")


def _report(kept: Kept, mapped: int, total: int, method: str, by: str) -> None:
    """What is on the map, and how far it can be believed."""
    names = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
    of = f" of {format.number(total)}" if total > mapped else ""
    rows = [
        ("pictures", f"{format.number(mapped)}{of}", f"by {by}, laid out by {names[method]}"),
        ("trustworthiness", f"{kept.trustworthiness:.3f}", "what lies close together is alike"),
        ("continuity", f"{kept.continuity:.3f}", "what is alike lies close together"),
        ("kept", f"{kept.same:.3f}", f"of the {kept.neighbours} nearest neighbours are the same"),
    ]
    output.table(["", "", ""], rows, right="lrl")
