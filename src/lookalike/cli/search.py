"""`lookalike search`: what looks like this picture?"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, open_library, output, parameters, prestart, query_options
from lookalike.cli.hit_output import document, write_hits
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.library import Library
    from lookalike.query import Box, Hits, Query, Term

_FLAGS = frozenset({
    "terms", "images", "texts", "negatives", "vectors", "region", "extractors", "where", "k",
    "similarity", "alpha", "fusion", "diversity", "collapse_duplicates", "any_orientation",
    "min_relevance", "feedback", "verify", "exact",
})  # fmt: skip
"""Parameters that belong to a question; the others say where to look and what to do with hits."""

_BATCH = 1000
"""Questions of a file that are answered together; then their answers are written."""


@click.command("search", cls=query_options.Question)
@click.argument("terms", metavar="TERM...", nargs=-1)
@click.option(
    "--image", "images", multiple=True, metavar="FILE", help="A picture; '-' reads it from stdin."
)
@click.option("--text", "texts", multiple=True, metavar="WORDS", help="Words.")
@click.option(
    "--vector",
    "vectors",
    multiple=True,
    type=parameters.PATH,
    metavar="FILE.npy",
    help="A vector made elsewhere, for the vectors named by --extractor.",
)
@click.option("--not", "negatives", multiple=True, metavar="WORDS|FILE", help="Less like this.")
@click.option(
    "-k", "k", type=click.IntRange(min=1), default=10, show_default=True, help="How many hits."
)
@click.option(
    "--extractor",
    "-e",
    "extractors",
    multiple=True,
    metavar="EXTRACTOR",
    help="Which vectors decide, where the library has several kinds; a,b: both, fused.",
)
@click.option(
    "--similarity",
    type=click.Choice(("cosine", "euclidean")),
    help="How vectors are compared; euclidean shows minus the distance. Default: what the "
    "extractor was made for.",
)
@click.option(
    "--where",
    metavar="EXPR",
    help="Only pictures of which this is true: \"kind = 'shoe' and price < 50\".",
)
@click.option(
    "--min-relevance",
    type=click.Choice(("weak", "plausible", "strong", "near-copy")),
    help="No hits below this; exit 1 if there are none.",
)
@click.option(
    "--region",
    metavar="X,Y,W,H",
    help="Ask with this part of the picture: pixels, or fractions if all are at most 1.",
)
@click.option(
    "--any-orientation", is_flag=True, help="Try the picture turned and mirrored in all eight ways."
)
@click.option(
    "--feedback",
    is_flag=True,
    help="Let what was decided relevant or not-relevant to the picture steer the question.",
)
@click.option(
    "--verify",
    type=click.Choice(("orb", "sift")),
    help="Look for keypoints in the best 50 and put those first that show the very thing, wherever "
    "in them; orb is fast, sift finds more.",
)
@click.option(
    "--diversity",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="WEIGHT",
    help="0 to 1: hits unlike each other, at some cost of similarity; 0.3 is a good start.",
)
@click.option(
    "--collapse-duplicates",
    is_flag=True,
    help="Count near-copies of a hit instead of listing them.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Weight of pictures beside words: 1 hears only the pictures.",
)
@click.option(
    "--fusion",
    type=click.Choice(("scores", "ranks")),
    default="scores",
    show_default=True,
    help="How several rankings become one: by scores on one scale, or by ranks (RRF).",
)
@click.option(
    "--exact", is_flag=True, help="Compare with every picture, even where an index is faster."
)
@click.option(
    "--batch",
    metavar="FILE",
    help="Many questions, one a line, with the same words and flags; '-' reads them from stdin. "
    "Writes one JSON object a line.",
)
@parameters.library_option
@parameters.model_dir_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@click.option(
    "--grid",
    type=parameters.FIGURE,
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
    /,
    batch: str | None,
    library: Path | None,
    format_: str,
    null: bool,
    grid: Path | None,
    show: bool,
    **asked: Any,
) -> None:
    """Find the pictures that look most like what is asked for.

    TERM is a picture file (in the library or not), id:42 for a picture of the library, '-' for a
    picture on standard input, or plain words. '+' and '-' before a term say more and less like this,
    '2:' makes it count double. Words are looked up in a space that understands them (clip), else in
    captions. Similarity is larger for closer pictures, at most 1 for cosine.

    \b
    lookalike search cat.jpg
    lookalike search red.jpg blue.jpg -k 20 --grid found.png
    lookalike search "2:shoe.jpg" + "red" - boot.jpg
    lookalike search cat.jpg -0 | xargs -0 cp -t similar/
    """
    format_ = parameters.chosen_format(format_, null)
    if batch is not None:
        if grid or show or format_ not in ("table", "jsonl"):
            raise click.UsageError("--batch writes one JSON object a line, and nothing else")
        prestart.start_workers(ctx, None)
        if not _answer_all(ctx, batch, library):
            output.note("Nothing found.")
            ctx.exit(1)
        return
    if prestart.names_a_file((*asked["terms"], *asked["images"], *asked["negatives"])):
        prestart.start_workers(ctx, 1)
    query = query_options.question(stdin=query_options.once(query_options.standard_input), **asked)
    with open_library.open_library(library, _near([query])) as opened:
        hits = opened.search(query)
    if show and format_ == "table":
        _show(hits)
    write_hits(hits, format_, query=query, null=null)
    if grid is not None:
        from lookalike.viz.result_grid import result_grid

        terms = _shown(query)
        parts = [_fractions(term.region) for term in terms]
        result_grid(
            [term.image for term in terms if term.image is not None],
            hits,
            grid,
            regions=parts,
        )
        output.note(f"Drawn: {grid}")
    if not hits.hits:
        output.note(_nothing(query, hits))
        ctx.exit(1)


def _near(queries: Sequence[Query]) -> list[Path]:
    """Folders at or above which the library may be, where it is not above this one."""
    return [
        term.image.absolute().parent
        for query in queries
        for term in query.terms
        if isinstance(term.image, Path)
    ]


def _shown(query: Query) -> list[Term]:
    """What the question shows of itself."""
    return [term for term in query.terms if term.image is not None and term.weight > 0]


def _fractions(region: Box | None) -> Box | None:
    """A region that can be drawn on a small picture; pixels would need the size of the large one."""
    return region if region is not None and max(region) <= 1 else None


def _nothing(query: Query, hits: Hits) -> str:
    if query.min_relevance and hits.top_relevance:
        return f"Nothing found that is at least {query.min_relevance}; the best was {hits.top_relevance}."
    if query.where and not hits.searched_count:
        return f"Nothing found: no picture fulfils --where {query.where}."
    if hits.ranked_by == "captions":
        return (
            "Nothing found: no caption or keyword has these words. In a library indexed with "
            "`--extractor clip` words find pictures by what they show."
        )
    return "Nothing found."


def _answer_all(ctx: click.Context, batch: str, library: Path | None) -> int:
    """Answer the questions of a file, one JSON object a line; how many had hits."""
    lines = query_options.read_batch(batch)
    made = [_query(ctx, line) for line in lines]
    queries = [query for query in made if not isinstance(query, str)]
    found = failed = 0
    with open_library.open_library(library, _near(queries)) as opened:
        for start in range(0, len(lines), _BATCH):
            some = slice(start, start + _BATCH)
            for record in _answered(opened, lines[some], made[some]):
                output.put(output.as_json(record, indent=None))
                found += bool(record.get("hits"))
                failed += "failure" in record
    if failed:
        output.note(
            f"{format.number(failed)} of {format.counted(len(lines), 'question')} could not be "
            'answered: "failure" says why.'
        )
    return found


def _answered(
    library: Library, lines: Sequence[query_options.Line], made: Sequence[Query | str]
) -> list[dict[str, Any]]:
    answers = iter(library.search_batch([query for query in made if not isinstance(query, str)]))
    records: list[dict[str, Any]] = []
    for line, query in zip(lines, made, strict=True):
        record: dict[str, Any] = {"line": line.number, "question": line.text}
        hits = None if isinstance(query, str) else next(answers)
        if isinstance(query, str) or hits is None:
            records.append({**record, "failure": query})
        elif hits.failure:
            records.append({**record, "failure": hits.failure})
        else:
            records.append({**record, **document(hits, query)})
    return records


def _query(ctx: click.Context, line: query_options.Line) -> Query | str:
    """The question of a line, or why it is none. Its flags go before those of the command line."""
    if line.failure:
        return line.failure
    try:
        own = ctx.command.make_context("", list(line.words))
        given = {
            name
            for name in own.params
            if own.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        if given - _FLAGS:
            wrong = next(p.opts[0] for p in own.command.params if p.name in given - _FLAGS)
            return f"{wrong} does not belong to one question: give it once, beside --batch"
        asked = {name: (own if name in given else ctx).params[name] for name in _FLAGS}
        return query_options.question(stdin=None, **asked)
    except click.UsageError as error:
        return error.format_message()
    except UsageError as error:
        return str(error)


def _show(hits: Hits) -> None:
    from lookalike.cli import terminal_images
    from lookalike.viz.result_grid import thumbnails

    how = terminal_images.protocol(os.environ) if output.is_terminal(sys.stdout) else None
    if how is None:
        output.note("This terminal is not known to show pictures; --grid OUT.png draws them.")
    elif hits.hits:
        # A column is about eight pixels wide; no terminal tells it without being asked.
        width = 8 * shutil.get_terminal_size().columns
        row = terminal_images.strip(thumbnails([hit.file for hit in hits.hits]), width)
        output.put_raw(terminal_images.escape(row, how))
