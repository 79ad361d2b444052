"""`lookalike explain`: how a picture becomes a vector, and why two pictures match."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import NoLibrary, UsageError

if TYPE_CHECKING:
    from lookalike.explain.match import Explanation
    from lookalike.library import Library

ALL = (
    *("pixels", "histogram", "color", "shape", "keypoints", "keypoints-orb"),
    *("phash", "dhash", "lookalike"),
)
"""In the order of the story: from the picture itself to a network."""


@click.command("explain")
@click.argument("picture", type=parameters.PATH)
@click.argument("hit", required=False, type=parameters.PATH)
@click.option(
    "--by",
    "by",
    multiple=True,
    metavar="EXTRACTOR",
    help="Which extractors. Default: for one picture all that need no download, for two the "
    "library's first that is no hash.",
)
@click.option(
    "--text", metavar="WORDS", help="Where in the picture these words are (by a CLIP model)."
)
@click.option(
    "-o",
    "--out",
    type=parameters.FIGURE,
    metavar="FILE",
    help="The figure: .png, .jpg, .pdf or .svg. Default: explained.png",
)
@parameters.library_option
@parameters.model_dir_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="How the numbers of two pictures are written; with json nothing is drawn without -o.",
)
def command(
    picture: Path,
    hit: Path | None,
    by: tuple[str, ...],
    text: str | None,
    out: Path | None,
    library: Path | None,
    format_: str,
) -> None:
    """Draw how a picture becomes a vector; with two pictures, what makes them alike.

    \b
    lookalike explain cat.jpg
    lookalike explain cat.jpg another.jpg --by color -o why.png
    lookalike explain shop.jpg --text "a red shoe" --by clip:siglip2
    """
    from lookalike.explain.explainer import Explainer
    from lookalike.extractors.registry import parse

    names = parse(",".join(by))
    if (hit or text) and len(names) > 1:
        raise UsageError("two pictures are explained by one extractor at a time: give --by once")
    if hit and text:
        raise UsageError("explain words in one picture, or two pictures, not both")
    if format_ == "json" and not (hit or text):
        raise UsageError("--format json needs a second picture or --text")
    drawn = out or (None if format_ == "json" else Path("explained.png"))
    if drawn is not None and not drawn.absolute().parent.is_dir():
        raise UsageError(f"cannot draw {drawn}: there is no folder {drawn.parent}")
    opened = _library(library, picture)
    try:
        with Explainer(opened) as explainer:
            if hit is None and text is None:
                assert drawn is not None
                _journeys(explainer, picture, names or list(ALL), drawn)
                return
            one = names[0] if names else None
            if text is not None:
                found = explainer.words(text, picture, by=one)
            else:
                assert hit is not None
                found = explainer.match(picture, hit, by=one)
    finally:
        if opened is not None:
            opened.close()
    if format_ == "json":
        output.put(output.as_json(found.as_dict()))
    else:
        _report(found)
    if drawn is not None:
        from lookalike.viz.match_figure import draw_match

        draw_match(found, [str(p) for p in (picture, hit) if p is not None], drawn)
        output.note(f"Drawn: {drawn}")


def _library(library: Path | None, picture: Path) -> Library | None:
    """The library that is meant, if there is one: an explanation needs none."""
    try:
        return open_library.open_library(library, [picture.absolute().parent])
    except NoLibrary:
        if library is not None:
            raise
        return None


def _journeys(explainer: object, picture: Path, names: list[str], out: Path) -> None:
    from lookalike.explain.explainer import Explainer
    from lookalike.viz.pipeline_figure import draw_journeys

    assert isinstance(explainer, Explainer)
    journeys = [explainer.journey(picture, by=name) for name in names]
    image = explainer.picture(picture)
    draw_journeys(image, journeys, out, title=f"How {picture.name} becomes a vector")
    for each in journeys:
        output.put(f"{each.by}: {' → '.join(stage.title for stage in each.stages)}")
    output.note(f"Drawn: {out}")


def _report(found: Explanation) -> None:
    faith = found.faithfulness
    digits = 1 if found.kind == "keypoints" else 3
    rows = [("similarity", f"{found.similarity:.{digits}f}", f"{found.kind}, by {found.by}")]
    for name, share in found.shares.items():
        rows.append((f"  {name}", f"{share:.3f}", "its part of the cosine"))
    if found.links:
        rows.append(("links", format.number(len(found.links)), "places that go together"))
    rows += [
        ("marked", f"{faith.marked:.{digits}f}", "what covering the marked places costs"),
        ("others", f"{faith.others:.{digits}f}", "what covering as much elsewhere costs"),
    ]
    output.table(["", "", ""], rows, right="lrl")
    if not faith.faithful:
        output.note("Covering other places costs as much: do not trust what is marked.")
