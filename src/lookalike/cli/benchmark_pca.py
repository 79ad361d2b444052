"""`lookalike benchmark pca`: how many numbers a vector needs, on one's own library."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.stores.records import Space


@click.command("pca")
@click.option(
    "--by", metavar="EXTRACTOR", help="Whose vectors. Default: those with the most numbers."
)
@click.option(
    "--keep",
    default="512,256,128,64",
    show_default=True,
    metavar="N,...",
    help="How many principal components to try; what is no fewer than there are is passed over.",
)
@click.option(
    "--labels",
    metavar="WHAT",
    help="What belongs together, as for evaluate: adds mAP and P@1.",
)
@parameters.library_option
@parameters.format_options("table", "json")
def pca(by: str | None, keep: str, labels: str | None, library: Path | None, format_: str) -> None:
    """What vectors lose with fewer numbers: nothing in the library is changed.

    Shows for each number of principal components how much of the variance is left, how many of the ten
    nearest by the whole vectors are still among the ten nearest, and with labels how good the rankings
    are. Index with EXTRACTOR+pcaN to keep such vectors, or import with --pca N.

    \b
    lookalike benchmark pca --by color --labels folders
    """
    from lookalike.evaluation.collection import select_spaces
    from lookalike.evaluation.pca_ablation import ablate_space

    try:
        wanted = [int(number) for number in keep.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--keep takes numbers, as 256,64: not {keep!r}") from error
    with open_library.open_library(library) as opened, opened.snapshot() as snapshot:
        whole = [s for s in select_spaces(snapshot, [by] if by else []) if by or _is_whole(s)]
        if not whole:
            raise UsageError("the library has no space of whole vectors")
        space = max(whole, key=lambda one: one.dim)
        fewer = [number for number in wanted if number < space.dim] or wanted
        count, made = ablate_space(
            snapshot, space, fewer, labels=labels, folder=opened.folder.parent
        )
    if format_ == "json":
        lines = [asdict(one) for one in made]
        output.put(output.as_json({"extractor": space.name, "vectors": count, "components": lines}))
        return
    output.put(
        f"{space.name}: {format.number(count)} vectors of {format.number(space.dim)} numbers"
    )
    output.put()
    titles = ["numbers", "bytes", "variance", "recall@10"] + ["mAP", "P@1"] * (labels is not None)
    rows = []
    for one in made:
        cells = [
            format.number(one.components),
            format.number(4 * one.components),
            f"{one.retained_variance:.1%}",
            f"{one.recall:.3f}",
        ]
        rows.append([*cells, *(f"{value:.3f}" for value in (one.AP, one.P1) if value is not None)])
    output.table(titles, rows, right="r" * len(titles), stretch=0)


def _is_whole(space: Space) -> bool:
    return space.boxes is None and space.projection is None
