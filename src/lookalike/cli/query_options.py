"""The query of `lookalike search`: its terms, its options, and files of queries for --batch.

The options of a query are made from the fields of `Query`.
"""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lookalike.cli import parameters
from lookalike.errors import UsageError
from lookalike.field_options import Option
from lookalike.query import OPTIONS

if TYPE_CHECKING:
    from lookalike.query import Box, Query, Term

F = TypeVar("F", bound=Callable[..., Any])

TERMS = ("terms", "images", "texts", "negatives", "vectors", "region")
QUERY_PARAMETERS = frozenset({*TERMS, *(option.name for option in OPTIONS)})
"""Parameters that belong to one query; the others say where to search and what to do with hits."""


def query_options(command: F) -> F:
    """Add the options that say what to search for, and how."""
    term_options = (
        click.option(
            "--image",
            "images",
            multiple=True,
            metavar="FILE",
            shell_complete=parameters.complete_file,
            help="An image; '-' reads it from standard input.",
        ),
        click.option("--text", "texts", multiple=True, metavar="TEXT", help="Text."),
        click.option(
            "--vector",
            "vectors",
            multiple=True,
            type=parameters.PATH,
            metavar="FILE.npy",
            help="A vector made elsewhere, in the space named by --extractor.",
        ),
        click.option(
            "--not",
            "negatives",
            multiple=True,
            metavar="TEXT|FILE",
            shell_complete=parameters.complete_file,
            help="Less like this.",
        ),
        click.option(
            "--region",
            metavar="X,Y,W,H",
            help="Search with this part of the image: pixels, or fractions if all are at most 1.",
        ),
    )
    for add in reversed([*term_options, *(click_option(option) for option in OPTIONS)]):
        command = add(command)
    return command


def click_option(option: Option) -> Callable[[F], F]:
    """Return the command-line option for an option of a query."""
    type_: Any = option.kind
    if option.choices:
        type_ = click.Choice(option.choices)
    elif option.kind is int and option.low is not None:
        type_ = click.IntRange(min=int(option.low))
    elif option.kind is float and (option.low, option.high) != (None, None):
        type_ = click.FloatRange(option.low, option.high)
    if option.kind is bool:
        return click.option(*option.flags, option.name, is_flag=True, help=option.help)
    return click.option(
        *option.flags,
        option.name,
        type=type_,
        multiple=option.many,
        default=None if option.many else option.default,
        show_default=bool(option.default),
        metavar=option.metavar,
        shell_complete=parameters.complete_extractors if option.name == "extractors" else None,
        help=option.help,
    )


class QueryCommand(click.Command):
    """A command whose error for an unknown flag explains negative terms."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; `click.UsageError` for unknown options."""
        given = list(args)  # click removes them from the list
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            letter = error.option_name.lstrip("-")
            terms = (word for word in given if word[:1] == "-" != word[1:2] and letter in word)
            word = next(terms, "")
            if not word:
                raise
            raise click.UsageError(
                f"No such option: {word}. For less like this, put a space after the minus: "
                f"- {word[1:]}; name a file of that name as ./{word}",
                ctx,
            ) from None


def build_query(
    *,
    terms: Sequence[str],
    images: Sequence[str],
    texts: Sequence[str],
    negatives: Sequence[str],
    vectors: Sequence[Path],
    region: str | None,
    extractors: Sequence[str],
    where: str | None,
    stdin: Callable[[], bytes] | None,
    **options: Any,
) -> Query:
    """Return the query that the parameters describe. `options` are fields of `Query` as they are."""
    from lookalike.extractors.registry import parse
    from lookalike.query import Query, Term
    from lookalike.search.query_parser import parse_terms, term_of

    found: list[Term] = list(parse_terms(terms, stdin=stdin))
    found += [Term(image=stdin() if stdin and image == "-" else _file(image)) for image in images]
    found += [Term(text=text) for text in texts]
    found += [_vector(file) for file in vectors]
    found += [term_of(negative, -1.0) for negative in negatives]
    if not found and where is None and options.get("sort") is None:
        raise UsageError(
            "name an image to search with, text, or a filter: lookalike search cat.jpg, "
            'lookalike search "red shoe", lookalike search --where "width > 1000"'
        )
    if region is not None:
        found = list(_with_region(found, _parse_region(region)))
    names = [name for given in extractors for name in parse(given)]
    return Query(tuple(found), extractors=tuple(names), where=where or None, **options)


def standard_input() -> bytes:
    """Return the bytes of an image that is piped in."""
    if sys.stdin.isatty():
        raise UsageError("'-' is an image on standard input: lookalike search - < cat.jpg")
    data: bytes = sys.stdin.buffer.read()
    if not data:
        raise UsageError("'-' is an image on standard input, but standard input is empty")
    return data


def _vector(file: Path) -> Term:
    """Return the one vector in an NPY file, (dim,) or (1, dim), as a term."""
    import numpy as np

    from lookalike.query import Term

    try:
        vector = np.load(file, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise UsageError(f"{file} is not a complete NPY file of numbers") from error
    if vector.dtype.kind not in "fiu" or vector.size != vector.shape[-1:][0]:
        raise UsageError(f"{file} holds {vector.shape}, not one vector")
    return Term(vector=vector.reshape(-1).astype(np.float32))


def _file(image: str) -> Path:
    path = Path(image)
    if path.is_dir():
        raise UsageError(f"'{image}' is a folder: name an image in it to search with")
    return path


def _parse_region(text: str) -> Box:
    try:
        x, y, width, height = (float(part) for part in text.split(","))
        if all(map(math.isfinite, (x, y, width, height))):
            return x, y, width, height
    except ValueError:
        pass
    raise UsageError(
        f"--region '{text}': write X,Y,WIDTH,HEIGHT in pixels (10,20,300,200) or as fractions "
        "(0.5,0,0.5,1 is the right half)"
    )


def _with_region(terms: Sequence[Term], region: Box) -> Iterator[Term]:
    """Yield the terms, with the region in the images that hits should be like."""
    if not any(term.text is None and term.weight > 0 for term in terms):
        raise UsageError("--region is a part of an image: name the image")
    for term in terms:
        has_region = term.text is None and term.weight > 0
        yield replace(term, region=region) if has_region else term


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One query of a file: its number from 1, its text, and its words or why it has none."""

    number: int
    text: str
    words: tuple[str, ...]
    failure: str = ""


def batch_lines(text: Iterable[str]) -> Iterator[BatchLine]:
    """Yield the queries of a file: one a line, quoted as for a shell; "#" begins a comment."""
    for number, raw in enumerate(text, start=1):
        line = raw.strip().removeprefix("\ufeff")
        try:
            words = tuple(shlex.split(line, comments=True))
        except ValueError as error:
            yield BatchLine(number, line, (), f"cannot be read: {str(error).lower()}")
            continue
        if words:
            yield BatchLine(number, line, words)


def read_batch(name: str) -> list[BatchLine]:
    """Return the queries of a file, or of standard input ("-")."""
    try:
        with click.open_file(name, encoding="utf-8", errors="surrogateescape") as file:
            found = list(batch_lines(file))
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    if not found:
        raise UsageError(f"{name} has no queries: write one a line, for example: cat.jpg")
    return found
