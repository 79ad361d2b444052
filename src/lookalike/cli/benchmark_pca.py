"""`lookalike benchmark pca`: how many dimensions the vectors of a library need."""

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
    "--extractor",
    "-e",
    metavar="NAME",
    help="Whose vectors. Default: those of the largest dimension.",
)
@click.option(
    "--keep",
    default="512,256,128,64",
    show_default=True,
    metavar="N,...",
    help="Numbers of principal components to try; values not below the dimension are skipped.",
)
@click.option(
    "--labels",
    metavar="WHAT",
    help="Which images belong together, as for `evaluate`. Adds mAP and P@1.",
)
@parameters.library_option
@parameters.format_options("table", "json")
def pca(
    extractor: str | None, keep: str, labels: str | None, library: Path | None, format_: str
) -> None:
    """Measure what vectors lose when they are reduced by PCA. Nothing is stored.

    Shows for each number of principal components the share of the variance that they explain, the
    recall@10 against the full vectors, and with labels the quality of the rankings. To store such
    vectors, index with EXTRACTOR+pcaN or import with --pca N.

    \b
    lookalike benchmark pca -e color --labels folders
    """
    from lookalike.evaluation.collection import select_spaces
    from lookalike.evaluation.pca_ablation import ablate_space

    try:
        wanted = [int(number) for number in keep.split(",")]
    except ValueError as error:
        raise click.UsageError(f"--keep takes numbers such as 256,64, not {keep!r}") from error
    with open_library.open_library(library) as opened, opened.snapshot() as snapshot:
        spaces = select_spaces(snapshot, [extractor] if extractor else [])
        full = [space for space in spaces if extractor or _is_full(space)]
        if not full:
            raise UsageError("the library has no vectors that are not reduced or of regions")
        space = max(full, key=lambda one: one.dim)
        fewer = [number for number in wanted if number < space.dim] or wanted
        count, made = ablate_space(
            snapshot, space, fewer, labels=labels, folder=opened.folder.parent
        )
    if format_ == "json":
        lines = [asdict(one) for one in made]
        output.put(output.as_json({"extractor": space.name, "vectors": count, "components": lines}))
        return
    output.put(
        f"{space.name}: {format.number(count)} vectors of {format.number(space.dim)} dimensions"
    )
    output.put()
    titles = ["dimensions", "bytes", "variance", "recall@10"] + ["mAP", "P@1"] * (
        labels is not None
    )
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


def _is_full(space: Space) -> bool:
    return space.boxes is None and space.projection is None
