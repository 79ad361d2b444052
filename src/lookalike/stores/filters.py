"""Filters as data: the expression tree, and the fields that an expression may name.

    kind = 'shoe' and price < 50 and taken >= '2024-01-01'

`filter_parser.parse` makes an expression of a text; a store finds the images that satisfy it. The meaning
is the same in every store; `filter_semantics.matches` is its reference implementation.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lookalike.errors import UsageError
from lookalike.files import compose

Value: TypeAlias = str | float
"""A text, or a number: an int where a float would lose digits (`exact_number`)."""

Operator: TypeAlias = Literal["=", "<", "<=", ">", ">="]

Field: TypeAlias = tuple[str, bool]
"""Name of a field, and whether it is one of `FILE_FIELDS` of the file itself, not of the metadata."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A value of the field is equal to, less than or greater than `value`."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """A value of the field equals one of these."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """A value of the field is neither below `low` nor above `high`; both are of one type."""

    field: str
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Like:
    """A text of the field matches a pattern as a whole; `glob` tells which kind of pattern."""

    field: str
    pattern: str
    glob: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The field has no value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds."""

    parts: tuple[Expression, ...]


Test: TypeAlias = Compare | In | Between | Like | Missing
Expression: TypeAlias = Test | Not | And | Or

FieldKind: TypeAlias = Literal["number", "text", "date", "mixed", "none"]


@dataclass(frozen=True, slots=True)
class FieldStats:
    """Statistics of one field over the indexed images of a library.

    kind       "date" if the examples are ISO dates, "mixed" for numbers and texts, "none" without values
    images     number of images with a value
    low, high  smallest and largest value; None for kinds "mixed" and "none"
    examples   the most frequent values, at most five
    """

    kind: FieldKind
    images: int
    low: Value | None
    high: Value | None
    examples: tuple[Value, ...]


FILE_FIELDS = (
    "id", "path", "name", "folder", "size", "width", "height", "format", "outcome",
)  # fmt: skip
"""Fields that every image has. Where the metadata of a library has a field of that name, the bare name
means the metadata; "file.size" is always the file's."""

EMBEDDED_FIELDS = (
    "caption", "keywords", "taken", "camera", "lens", "latitude", "longitude",
)  # fmt: skip
"""Fields that an image file may fill by itself (EXIF, IPTC, XMP); metadata of that name overrides them."""


def exact_number(number: float) -> float:
    """Return a number as a float, or as the int that it is where a float would lose digits (above 2**53).

    OverflowError for an int beyond the range of floats.
    """
    rounded = float(number)
    return rounded if rounded == number else number


# Names of fields


def field_names(metadata: Iterable[str]) -> dict[str, Field]:
    """Return all names that a filter may use, given the names in the library's metadata.

    A name of the metadata overrides the file's own field, which is then called "file.…". The names of the
    metadata come first.
    """
    given = set(metadata)
    names = {
        name: (name, False) for name in [*sorted(given - {*EMBEDDED_FIELDS}), *EMBEDDED_FIELDS]
    }
    for name in FILE_FIELDS:
        names[f"file.{name}" if name in given else name] = (name, True)
    return names


def resolve_fields(expression: Expression, names: Mapping[str, Field]) -> dict[str, Field]:
    """Return the field that each name of an expression means; `UsageError` for an unknown name."""
    return {name: resolve_field(name, names) for name in {t.field for t in tests_of(expression)}}


def resolve_field(name: str, names: Mapping[str, Field]) -> Field:
    """Return the field of that name, or of the only one that differs in case alone; `UsageError`."""
    name = compose(name)
    prefix, _, own = name.partition("file.")
    if name in names:
        return names[name]
    if not prefix and own in FILE_FIELDS:
        return own, True
    same = [other for other in names if other.casefold() == name.casefold()]
    if len(same) == 1:
        return names[same[0]]
    listed = list(names)
    close = difflib.get_close_matches(name, listed, n=1)
    hint = f" (did you mean {quote_field(close[0])}?)" if close else ""
    shown = ", ".join(map(quote_field, listed[:40]))
    more = f" and {len(listed) - 40} more" if len(listed) > 40 else ""
    raise UsageError(f"no field {quote_field(name)}{hint}; the fields: {shown}{more}")


def tests_of(expression: Expression) -> Iterator[Test]:
    """Yield all tests in an expression."""
    match expression:
        case Not(part):
            yield from tests_of(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from tests_of(part)
        case _:
            yield expression


def quote_field(name: str) -> str:
    """Return a field's name as it is written in a filter, in double quotes if need be."""
    plain = re.fullmatch(r"[^\W\d][\w.]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'


def quote_value(value: Value) -> str:
    """Return a value as it is written in a filter."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


def check_types(test: Test, *, number: float | None, text: str | None) -> None:
    """Raise `UsageError` where a field that holds only numbers is compared with texts, or the reverse.

    number, text  an example of what the field holds in the whole library; None: it holds no such values
    """
    values = _operands(test)
    texts = [value for value in values if isinstance(value, str)]
    name = quote_field(test.field)
    if not values or (number is None) == (text is None):
        return
    if text is not None and not texts:
        shown = text if len(text) <= 40 else f"{text[:40]}…"
        raise UsageError(
            f"the field {name} holds texts, such as '{shown}', not numbers "
            "(`lookalike info --fields` shows the type of every field)"
        )
    if number is not None and len(texts) == len(values):
        if isinstance(test, Like):
            remedy = "patterns match texts only"
        elif texts[0].lower() in ("true", "false"):
            remedy = f"write {texts[0].lower()} without quotes"
        else:
            remedy = "compare it with a number, without quotes"
        raise UsageError(f"the field {name} holds numbers, such as {number:g}: {remedy}")


def _operands(test: Test) -> tuple[Value, ...]:
    match test:
        case Compare(_, _, value):
            return (value,)
        case In(_, values):
            return values
        case Between(_, low, high):
            return (low, high)
        case Like(_, pattern):
            return (pattern,)
        case _:
            return ()
