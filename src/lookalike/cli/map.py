"""`lookalike map`: draw a library as a 2-D map."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.progress import ProgressBar
from lookalike.files import output_file

if TYPE_CHECKING:
    from lookalike.embedding_map.build import EmbeddingMap


@click.command("map")
@click.argument("folder", metavar="[FOLDER]", required=False, type=parameters.PATH)
@parameters.output_option(
    "An interactive .html file (it loads nothing from elsewhere), or a .png.",
    type_=parameters.UserPath(".html", ".htm", ".png", output=True, remedy="an .html or .png file"),
    default="map.html",
)
@parameters.extractor_option("The extractor whose vectors are laid out.")
@click.option(
    "--method",
    type=click.Choice(("tsne", "pca", "umap")),
    help="Layout method. Default: tsne if openTSNE is installed (pip install "
    "'lookalike[map]'), else pca.",
)
@click.option(
    "--color",
    default="cluster",
    show_default=True,
    metavar="WHAT",
    help="cluster, folder, or a field of the metadata or of the files, such as label or camera.",
)
@click.option("--where", default="", metavar="EXPR", help="Only images that match this filter.")
@parameters.count_option(
    "--limit",
    "Largest number of images; of more an evenly spaced sample is shown.",
    default=100_000,
    low=2,
)
@parameters.count_option(
    "--thumbnails",
    "Images with a thumbnail; the others are points.",
    default=10_000,
    low=0,
)
@parameters.count_option("--seed", "Equal seeds give equal maps.", default=0, low=0)
@parameters.library_option
@parameters.format_options(
    "table", "json", description="Output on stdout: the report, or the whole map as data."
)
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    out: Path,
    extractor: str | None,
    method: str | None,
    color: str,
    where: str,
    limit: int,
    thumbnails: int,
    seed: int,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Draw the library as a map: similar images lie close together.

    \b
    lookalike map -o map.html
    lookalike map -e color --color label -o map.png
    """
    from lookalike.embedding_map.build import build_map
    from lookalike.embedding_map.sprites import pack_sprites

    named = parameters.library_or_folder(ctx, library, folder)
    # Writable if possible, so that the thumbnails are stored for later.
    with open_library.open_library(named, read_only=False) as opened:
        with ProgressBar("Layout", unit="iterations") as bar:
            found = build_map(
                opened,
                extractor=extractor,
                method=method,  # type: ignore[arg-type]
                color=color,
                where=where,
                max_images=limit,
                seed=seed,
                progress=bar.count,
            )
        with ProgressBar("Thumbnails") as bar:
            sprites = pack_sprites(opened, found, max_thumbnails=thumbnails, progress=bar.count)
        title = f"{opened.home.name or 'images'}: a map"
    if out.suffix.lower() == ".png":
        from lookalike.viz.map_image import draw_map

        draw_map(found, sprites, out, title=title)
    else:
        from lookalike.viz.map_html import map_page

        text = map_page(found, sprites, title=title)
        with output_file(out) as file:
            file.write(text.encode("utf-8"))
    if format_ == "json":
        output.put(output.as_json(found.as_dict(), indent=None))
    else:
        _report(found)
    if sprites.lost:
        output.note(f"{format.counted(sprites.lost, 'image')} could not be read: points only.")
    output.note(f"Drawn: {out} ({format.size(out.stat().st_size)})")


FEW_NEIGHBOURS = 0.5
"""Overlap of nearest neighbours below which a plain layout is said to keep few: less than half of them."""


def _report(found: EmbeddingMap) -> None:
    """Print what is on the map, and how faithful it is."""
    names = {"tsne": "t-SNE", "pca": "PCA", "umap": "UMAP"}
    count = format.number(len(found))
    if found.total > len(found):
        count += f" of {format.number(found.total)}"
    preservation = found.preservation
    rows = [
        ("images", count, f"by {found.extractor}, laid out by {names[found.method]}"),
        ("trustworthiness", f"{preservation.trustworthiness:.3f}", "what is close is similar"),
        ("continuity", f"{preservation.continuity:.3f}", "what is similar is close"),
        (
            "overlap",
            f"{preservation.overlap:.3f}",
            f"of the {preservation.neighbours} nearest neighbours are the same",
        ),
    ]
    output.table(["", "", ""], rows, right="lrl")
    if found.method == "pca" and preservation.overlap < FEW_NEIGHBOURS:
        have = importlib.util.find_spec("openTSNE") is not None
        how = "--method tsne" if have else "pip install 'lookalike[map]', then --method tsne,"
        output.note(
            f"The plain layout (PCA) keeps few neighbours: {preservation.overlap:.0%} of the "
            f"{preservation.neighbours} nearest; {how} keeps more."
        )
