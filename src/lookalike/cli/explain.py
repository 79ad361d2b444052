"""`lookalike explain`: show how an image becomes a vector, or why two images match."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import NoLibrary, UsageError

if TYPE_CHECKING:
    from lookalike.explain.explainer import Explainer
    from lookalike.explain.match import Explanation
    from lookalike.library import Library

# From simple to complex: from the pixels to a network.
DEFAULT_EXTRACTORS = (
    *("pixels", "histogram", "color", "shape", "keypoints", "keypoints-orb"),
    *("phash", "dhash", "lookalike"),
)


@click.command("explain")
@click.argument("image", type=parameters.PATH)
@click.argument("hit", required=False, type=parameters.PATH)
@parameters.extractors_option(
    "Extractors. Default: for one image all that need no download, for two the library's first "
    "that is not a hash."
)
@click.option("--text", metavar="TEXT", help="Show where in the image this text is (with CLIP).")
@parameters.output_option(
    "The figure: .png, .jpg, .pdf or .svg. Default: explained.png", type_=parameters.FIGURE
)
@parameters.library_option
@parameters.model_dir_option
@parameters.format_options(
    "table",
    "json",
    description="Format of the result for two images; with json nothing is drawn without -o.",
)
def command(
    image: Path,
    hit: Path | None,
    extractors: tuple[str, ...],
    text: str | None,
    out: Path | None,
    library: parameters.LibraryName | None,
    format_: str,
) -> None:
    """Draw how an image becomes a vector or, with two images, why they match.

    \b
    lookalike explain cat.jpg
    lookalike explain cat.jpg another.jpg -e color -o why.png
    lookalike explain shop.jpg --text "a red shoe" -e clip:siglip2
    """
    from lookalike.explain.explainer import Explainer

    names = parameters.parse_names(extractors)
    if (hit or text) and len(names) > 1:
        raise UsageError("a match is explained by one extractor: give --extractor once")
    if hit and text:
        raise UsageError("give a second image or --text, not both")
    if format_ == "json" and not (hit or text):
        raise UsageError("--format json needs a second image or --text")
    figure = out or (None if format_ == "json" else Path("explained.png"))
    opened = _library(library, image)
    try:
        with Explainer(opened) as explainer:
            if hit is None and text is None:
                assert figure is not None
                _draw_pipelines(explainer, image, names or list(DEFAULT_EXTRACTORS), figure)
                return
            name = names[0] if names else None
            if text is not None:
                found = explainer.match_text(text, image, extractor=name)
            else:
                assert hit is not None
                found = explainer.match(image, hit, extractor=name)
    finally:
        if opened is not None:
            opened.close()
    if format_ == "json":
        output.put(output.as_json(found.as_dict()))
    else:
        _table(found)
    if figure is not None:
        from lookalike.viz.match_figure import draw_match

        draw_match(found, [str(p) for p in (image, hit) if p is not None], figure)
        output.note(f"Drawn: {figure}")


def _library(library: parameters.LibraryName | None, image: Path) -> Library | None:
    """Open the library, if there is one: an explanation does not need it."""
    try:
        return open_library.open_library(library, [image])
    except NoLibrary:
        if library is not None:
            raise
        return None


def _draw_pipelines(explainer: Explainer, image: Path, names: list[str], out: Path) -> None:
    from lookalike.viz.pipeline_figure import draw_pipelines

    pipelines = [explainer.pipeline(image, extractor=name) for name in names]
    title = f"How {image.name} becomes a vector"
    draw_pipelines(explainer.display(image), pipelines, out, title=title)
    for each in pipelines:
        output.put(f"{each.extractor}: {' → '.join(stage.title for stage in each.stages)}")
    output.note(f"Drawn: {out}")


def _table(found: Explanation) -> None:
    faith = found.faithfulness
    digits = 1 if found.kind == "keypoints" else 3
    kind = f"{found.kind}, by {found.extractor}"
    rows = [("similarity", f"{found.similarity:.{digits}f}", kind)]
    for name, share in found.shares.items():
        rows.append((f"  {name}", f"{share:.3f}", "its part of the cosine"))
    if found.matches:
        rows.append(("matches", format.number(len(found.matches)), "places that match"))
    rows += [
        ("marked", f"{faith.marked_drop:.{digits}f}", "drop when the marked places are covered"),
        ("others", f"{faith.other_drop:.{digits}f}", "drop when as much is covered elsewhere"),
    ]
    output.table(["", "", ""], rows, right="lrl")
    if not faith.faithful:
        output.note("Covering other places costs as much: do not trust the marked places.")
