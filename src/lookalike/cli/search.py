"""`lookalike search`: find images that look like an image or fit a text."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli import format, open_library, output, parameters, prestart, query_options
from lookalike.cli.hit_output import hits_document, write_hits, write_plan
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.library import Library
    from lookalike.query import Box, Hits, Query, QueryImage, Term

_BATCH_SIZE = 1000
"""Queries of a file that are answered together before their results are written."""


@click.command("search", cls=query_options.QueryCommand)
@click.argument("terms", metavar="[TERM]...", nargs=-1, shell_complete=parameters.complete_file)
@query_options.query_options
@click.option(
    "--batch",
    metavar="FILE",
    shell_complete=parameters.complete_file,
    help="Many queries, one a line, with the same terms and options; '-' reads them from standard "
    "input. Writes one JSON object a line.",
)
@parameters.library_option
@parameters.model_dir_option
@parameters.format_options("table", "json", "jsonl", "csv", "paths")
@parameters.figure_option(
    "--grid", "Also draw the query and its hits into one figure (PNG, PDF or SVG)."
)
@click.option(
    "--show",
    is_flag=True,
    help="Also show the hits above the table, on terminals that can: kitty, Ghostty, iTerm2, "
    "WezTerm, mintty.",
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    batch: str | None,
    library: parameters.LibraryName | None,
    format_: str,
    null: bool,
    grid: Path | None,
    show: bool,
    **query_parameters: Any,
) -> None:
    """Find the images that look most like an image, or that fit a text best.

    TERM is an image file (in the library or not), id:42 for an image of the library, '-' for an image on
    standard input, or plain text. A '+' before a term means more like this, a '-' less like this, and
    '2:' counts it twice. Text is compared with what images show in a space that understands it (clip),
    else searched in captions, else understood by the classes of a network, the built-in one included.
    Similarity is larger for closer images, at most 1 for cosine. Without TERM, --where or --sort list
    images.

    \b
    lookalike search cat.jpg
    lookalike search red.jpg blue.jpg -k 20 --grid found.png
    lookalike search "2:shoe.jpg" + "red" - boot.jpg
    lookalike search --where "camera like 'Canon%'" --sort taken
    lookalike search cat.jpg -0 | xargs -0 cp -t similar/
    """
    format_ = parameters.chosen_format(format_, null)
    if batch is not None:
        if grid or show or format_ not in ("table", "jsonl"):
            raise click.UsageError("--batch writes one JSON object a line, and nothing else")
        prestart.start_workers(ctx, None)
        if not _search_batch(ctx, batch, library):
            output.note("Nothing found.")
            ctx.exit(1)
        return
    words = (query_parameters[name] for name in ("terms", "images", "negatives"))
    if prestart.names_a_file(word for several in words for word in several):
        prestart.start_workers(ctx, 1)
    stdin = functools.cache(query_options.standard_input)  # for several `-` in one query
    query = query_options.build_query(stdin=stdin, **query_parameters)
    with open_library.open_library(library, _images_of([query])) as opened:
        hits = opened.search(query)
        if grid is not None:
            _draw_grid(query, hits, grid, opened)
    if show and format_ == "table":
        _show(hits)
    write_hits(hits, format_, query=query, null=null)
    if format_ != "json":
        write_plan(hits.plan)
    if not hits:
        output.note(_nothing_found(query, hits))
        ctx.exit(1)


def _images_of(queries: Sequence[Query]) -> list[Path]:
    """Return the images of queries, above which a library is looked for if there is none here."""
    return [term.image for query in queries for term in query.terms if isinstance(term.image, Path)]


def _draw_grid(query: Query, hits: Hits, file: Path, library: Library) -> None:
    """Draw hits and the whole query: images and the part used, texts, what is not wanted, the filter."""
    from lookalike.viz.result_grid import result_grid

    images: list[QueryImage] = []
    regions: list[Box | None] = []
    weights: list[float] = []
    against: list[QueryImage] = []
    for term in query.terms:
        image = _image_of(term, library)
        if image is None:
            continue
        if term.weight < 0:
            against.append(image)
            continue
        images.append(image)
        regions.append(term.region)
        weights.append(term.weight)
    names: dict[bool, list[str]] = {True: [], False: []}
    for term in query.terms:
        if term.text is not None:
            weight = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} × "
            names[term.weight > 0].append(f"{weight}{term.text}")
    options = [f"where {query.where}"] if query.where else []
    if any(term.vector is not None for term in query.terms):
        options.append("with a vector made elsewhere")
    result_grid(
        images,
        hits,
        file,
        regions=regions,
        weights=weights,
        against=against,
        words=names[True],
        without=names[False],
        options=options,
    )
    output.note(f"Drawn: {file}")


def _image_of(term: Term, library: Library) -> QueryImage | None:
    """Return the image of a term, also of one that is named by id or by its path in the library."""
    from lookalike.stores.paths import image_by_path

    if term.id is None and (not isinstance(term.image, Path) or term.image.exists()):
        return term.image
    with library.snapshot() as snapshot:
        if term.id is not None:
            found = snapshot.images([term.id]).get(term.id)
        else:
            assert isinstance(term.image, Path)
            found = image_by_path(snapshot, term.image)
        folders = {root.id: root.path for root in snapshot.roots()}
    return term.image if found is None else folders[found.root] / found.path


def _nothing_found(query: Query, hits: Hits) -> str:
    if query.min_relevance and hits.top_relevance:
        return (
            f"Nothing found that is at least {query.min_relevance}; the best was "
            f"{hits.top_relevance}."
        )
    if query.where and not hits.searched_count:
        return f"Nothing found: no image matches --where {query.where}."
    if hits.ranked_by == "captions":
        return (
            "Nothing found: no caption or keyword has these words. In a library indexed with the built-in "
            "network, `efficientnet-lite2` or `clip`, text finds images by what they show."
        )
    if hits.ranked_by.startswith("content") and not query.min_relevance:
        return "Nothing found: no image shows this."
    return "Nothing found."


def _search_batch(ctx: click.Context, batch: str, library: parameters.LibraryName | None) -> int:
    """Run the queries of a file, write one JSON object a line, and return how many had hits."""
    lines = query_options.read_batch(batch)
    queries = [_query_of_line(ctx, line) for line in lines]
    valid = [query for query in queries if not isinstance(query, str)]
    found = failed = 0
    with open_library.open_library(library, _images_of(valid)) as opened:
        for start in range(0, len(lines), _BATCH_SIZE):
            part = slice(start, start + _BATCH_SIZE)
            for record in _batch_records(opened, lines[part], queries[part]):
                output.put(output.as_json(record, indent=None))
                found += bool(record.get("hits"))
                failed += "failure" in record
    if failed:
        output.note(
            f"{format.number(failed)} of {format.counted(len(lines), 'query', 'queries')} could not "
            'be answered: "failure" says why.'
        )
    return found


def _batch_records(
    library: Library,
    lines: Sequence[query_options.BatchLine],
    queries: Sequence[Query | str],
) -> list[dict[str, Any]]:
    """Return the output of each line; `queries` has the query of a line, or why there is none."""
    valid = [query for query in queries if not isinstance(query, str)]
    results = iter(library.search_batch(valid))
    records: list[dict[str, Any]] = []
    for line, query in zip(lines, queries, strict=True):
        record: dict[str, Any] = {"line": line.number, "text": line.text}
        if isinstance(query, str):
            records.append({**record, "failure": query})
            continue
        hits = next(results)
        if hits.failure:
            records.append({**record, "failure": hits.failure})
        else:
            records.append({**record, **hits_document(hits, query)})
    return records


def _query_of_line(ctx: click.Context, line: query_options.BatchLine) -> Query | str:
    """Return the query of a line, or why there is none. Its options override the command line's."""
    if line.failure:
        return line.failure
    try:
        own = ctx.command.make_context("", list(line.words))
        given = {
            name
            for name in own.params
            if own.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        }
        names = query_options.QUERY_PARAMETERS
        if given - names:
            wrong = next(p.opts[0] for p in own.command.params if p.name in given - names)
            return f"{wrong} does not belong to one query: give it once, beside --batch"
        values = {name: (own if name in given else ctx).params[name] for name in names}
        return query_options.build_query(stdin=None, **values)
    except click.UsageError as error:
        return error.format_message()
    except UsageError as error:
        return str(error)


def _show(hits: Hits) -> None:
    """Show the hits in the terminal."""
    from lookalike.cli import terminal_images
    from lookalike.viz.result_grid import thumbnails

    how = terminal_images.protocol(os.environ) if output.is_terminal(sys.stdout) else None
    if how is None:
        output.note("This terminal is not known to show images; --grid OUT.png draws them.")
    elif hits:
        # A column is about eight pixels wide; terminals do not tell without being asked.
        width = 8 * shutil.get_terminal_size().columns
        row = terminal_images.strip(thumbnails([hit.file for hit in hits]), width)
        output.put_raw(terminal_images.escape(row, how))
