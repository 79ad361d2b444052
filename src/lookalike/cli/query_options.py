"""What is typed after `lookalike search`, as a question: terms, flags, and files full of them."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.query import Query, Term

_NEGATIVE = re.compile(r"-[^-].+")
_HITS = re.compile(r"-k\d+")


class Question(click.Command):
    """A command whose words may begin with a minus: `-fruit` is `- fruit`, not five flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(self._apart(args)))

    def _apart(self, args: Sequence[str]) -> Iterator[str]:
        takes_value = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        before = ""
        for place, word in enumerate(args):
            if word == "--":
                yield from args[place:]
                return
            if before in takes_value or not _NEGATIVE.fullmatch(word) or _HITS.fullmatch(word):
                yield word
            else:
                yield from ("-", word[1:])
            before = "" if before in takes_value else word


def question(
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
    **rest: Any,
) -> Query:
    """What the words and flags of one question ask for; `rest` are fields of `Query` as they are."""
    from lookalike.extractors.registry import parse
    from lookalike.query import Query, Term
    from lookalike.search.query_parser import parse_terms, term_of

    found: list[Term] = list(parse_terms(terms, stdin=stdin))
    found += [Term(image=stdin() if stdin and image == "-" else _file(image)) for image in images]
    found += [Term(text=text) for text in texts]
    found += [_vector(file) for file in vectors]
    found += [term_of(negative, -1.0) for negative in negatives]
    if not found:
        raise UsageError(
            "name a picture to search with, or words: lookalike search cat.jpg, "
            'lookalike search "red shoe"'
        )
    if region is not None:
        found = list(_with_region(found, _region(region)))
    names = [name for given in extractors for name in parse(given)]
    return Query(tuple(found), extractors=tuple(names), where=where or None, **rest)


def standard_input() -> bytes:
    """The bytes of a picture that is piped in."""
    if sys.stdin.isatty():
        raise UsageError("'-' is a picture on standard input: lookalike search - < cat.jpg")
    data: bytes = sys.stdin.buffer.read()
    if not data:
        raise UsageError("'-' is a picture on standard input, but there is nothing on it")
    return data


def once(read: Callable[[], bytes]) -> Callable[[], bytes]:
    """The same bytes for every `-` of a question: standard input can be read only once."""
    kept: list[bytes] = []

    def again() -> bytes:
        if not kept:
            kept.append(read())
        return kept[0]

    return again


def _vector(file: Path) -> Term:
    """The one vector in an NPY file, (dim,) or (1, dim)."""
    import numpy as np

    from lookalike.query import Term

    try:
        vector = np.load(file, allow_pickle=False)
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise UsageError(f"{file} is not a whole NPY file of numbers") from error
    if vector.dtype.kind not in "fiu" or vector.size != vector.shape[-1:][0]:
        raise UsageError(f"{file} holds {vector.shape}, not one vector")
    return Term(vector=vector.reshape(-1).astype(np.float32))


def _file(image: str) -> Path:
    path = Path(image)
    if path.is_dir():
        raise UsageError(f"'{image}' is a folder: name a picture in it to search with")
    return path


def _region(text: str) -> tuple[float, float, float, float]:
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


def _with_region(
    terms: Sequence[Term], region: tuple[float, float, float, float]
) -> Iterator[Term]:
    """The region belongs to the pictures that hits should be like."""
    if not any(term.text is None and term.weight > 0 for term in terms):
        raise UsageError("--region is a part of a picture: name the picture")
    for term in terms:
        cut = term.text is None and term.weight > 0
        yield replace(term, region=region) if cut else term


@dataclass(frozen=True, slots=True)
class Line:
    """One question of a file: its number from 1, its text, and its words, or why it has none."""

    number: int
    text: str
    words: tuple[str, ...]
    failure: str = ""


def lines(text: Iterable[str]) -> Iterator[Line]:
    """The questions of a file: one a line, quoted as for a shell; "#" begins a comment."""
    for number, raw in enumerate(text, start=1):
        line = raw.strip().removeprefix("\ufeff")
        try:
            words = tuple(shlex.split(line, comments=True))
        except ValueError as error:
            yield Line(number, line, (), f"cannot be read: {str(error).lower()}")
            continue
        if words:
            yield Line(number, line, words)


def read_batch(name: str) -> list[Line]:
    """The questions of a file, or of standard input ("-")."""
    try:
        with click.open_file(name, encoding="utf-8", errors="surrogateescape") as file:
            found = list(lines(file))
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    if not found:
        raise UsageError(f"there is no question in {name}: write one a line, for example: cat.jpg")
    return found
