"""`lookalike search`: what looks like this picture?"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import finding, output, parameters, wording
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.query import Hit, Hits
    from lookalike.vectors.similarity import Similarity

_FIELDS = ("rank", "path", "similarity", "relevance", "metadata")


@click.command("search")
@click.argument("terms", metavar="TERM...", nargs=-1)
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many hits."
)
@click.option(
    "--by", metavar="EXTRACTOR", help="Which vectors decide, where the library has several kinds."
)
@click.option(
    "--similarity",
    type=click.Choice(("cosine", "euclidean")),
    help="How vectors are compared; euclidean shows minus the distance. Default: what the "
    "extractor was made for.",
)
@click.option(
    "--exact", is_flag=True, help="Compare with every picture, even where an index is faster."
)
@parameters.library_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.option(
    "--grid",
    type=parameters.PATH,
    metavar="OUT.png",
    help="Also draw the question and its hits as one picture (PNG, PDF or SVG).",
)
@click.option(
    "--show",
    is_flag=True,
    help="Also show the hits above the table, on terminals that can: kitty, Ghostty, iTerm2, "
    "WezTerm, mintty, foot, mlterm.",
)
@click.pass_context
def command(
    ctx: click.Context,
    terms: tuple[str, ...],
    k: int,
    by: str | None,
    similarity: Similarity | None,
    exact: bool,
    library: Path | None,
    format_: str,
    null: bool,
    grid: Path | None,
    show: bool,
) -> None:
    """Find the pictures that look most like the given ones.

    TERM is a picture file; it need not be in the library. Several are taken together as one
    question. Similarity is larger for closer pictures, at most 1 for cosine.

    \b
    lookalike search cat.jpg
    lookalike search red.jpg blue.jpg -k 20 --grid found.png
    lookalike search cat.jpg -0 | xargs -0 cp -t similar/
    """
    from lookalike.query import Query, Term

    format_ = parameters.chosen_format(format_, null)
    if not terms:
        raise UsageError("name a picture to search with: lookalike search PICTURE")
    pictures = tuple(_picture(term) for term in terms)
    near = [picture.absolute().parent for picture in pictures]
    with finding.open_library(library, near) as opened:
        hits = opened.search(
            Query(
                tuple(Term(picture=picture) for picture in pictures),
                k=k,
                by=tuple(by.split(",")) if by else (),
                similarity=similarity,
                exact=exact,
            )
        )
    if show and format_ == "table":
        _show(hits)
    write_hits(hits, format_, terms=terms, null=null)
    if grid is not None:
        from lookalike.plots import result_grid

        result_grid(pictures, hits, grid)
        output.note(f"Drawn: {grid}")
    if not hits.hits:
        output.note("Nothing found.")
        ctx.exit(1)


def _picture(term: str) -> Path:
    path = Path(term)
    if path.is_dir():
        raise UsageError(f"'{term}' is a folder: name one or more pictures in it to search with")
    if not path.exists():
        raise UsageError(f"there is no picture '{term}': a question is one or more picture files")
    return path


def _show(hits: Hits) -> None:
    from lookalike.cli import pictures
    from lookalike.plots import thumbnails

    how = pictures.protocol(os.environ) if output.is_terminal(sys.stdout) else None
    if how is None:
        output.note("This terminal is not known to show pictures; --grid OUT.png draws them.")
    elif hits.hits:
        # A column is about eight pixels wide; no terminal tells it without being asked.
        width = 8 * shutil.get_terminal_size().columns
        row = pictures.strip(thumbnails([hit.file for hit in hits.hits]), width)
        output.put_raw(pictures.escape(row, how))


def write_hits(hits: Hits, format_: str, *, terms: tuple[str, ...], null: bool = False) -> None:
    """The hits on stdout in one of the formats."""
    if format_ == "json":
        output.put(output.as_json(document(hits, terms)))
    elif format_ == "jsonl":
        for hit in hits.hits:
            output.put(output.as_json(record(hit), indent=None))
    elif format_ == "csv":
        output.put(output.csv_line(_FIELDS))
        for hit in hits.hits:
            output.put(output.csv_line(output.flatten(record(hit))))
    elif format_ == "paths":
        for hit in hits.hits:
            output.put_raw(finding.shown(hit.file) + ("\0" if null else "\n"))
    elif hits.hits:
        _table(hits)


def document(hits: Hits, terms: tuple[str, ...]) -> dict[str, Any]:
    """What --format json writes; its keys are a promise to scripts."""
    return {
        "query": {"images": list(terms)},
        "by": hits.by,
        "exact": hits.exact,
        "seconds": {stage: round(seconds, 6) for stage, seconds in hits.seconds.items()},
        "hits": [record(hit) for hit in hits.hits],
    }


def record(hit: Hit) -> dict[str, Any]:
    """One hit of --format json, jsonl and csv."""
    return {
        "rank": hit.rank,
        "path": hit.path,
        "similarity": round(hit.similarity, 6) + 0.0,
        "relevance": hit.relevance,
        "metadata": dict(hit.metadata),
    }


def _table(hits: Hits) -> None:
    judged = any(hit.relevance for hit in hits.hits)
    titles = ["rank", "similarity", *(["relevance"] if judged else []), "path"]
    rows = [
        [
            str(hit.rank),
            wording.similarity(hit.similarity),
            *([hit.relevance or ""] if judged else []),
            finding.shown(hit.file),
        ]
        for hit in hits.hits
    ]
    output.table(titles, rows, right="rr", stretch=-1)
    among = wording.counted(hits.searched, "picture")
    took = wording.duration(hits.seconds.get("total", 0.0))
    output.aside(f"{among} compared by {hits.by} ({hits.similarity}) in {took}")
