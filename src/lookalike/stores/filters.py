"""Filters as data: what an expression asks of an image, and when a value satisfies it.

    kind = 'shoe' and price < 50 and taken >= '2024-01-01'

`parse` (in `filter_grammar`) makes an expression of a text; a store finds the images that satisfy
it. What a comparison means is settled here, for every store:

* A field may have no value, one, or several (keywords). A comparison holds if any value satisfies it.
* Numbers are compared with numbers (64-bit floats) and texts with texts, by code points, case and
  all. A comparison of one with the other never holds. true and false are the numbers 1 and 0.
* Logic has two values: a comparison with a missing value is false, and `not` turns it around. So
  `not kind = 'shoe'` includes images without a kind; `kind != 'shoe'` has one, and another one.
* A text that is the beginning of a date (2024, 2024-05, 2024-05-17, 2024-05-17T12:30) means all of
  that year, month, day or minute: taken = '2024-05' is any time in May, taken <= '2024' includes
  December, taken > '2024' begins with 2025.
* `like` has % (any run of characters) and _ (any one), and ignores case; `glob` has * ? [a-z] and
  does not. Both look at texts alone.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lookalike.errors import UsageError

Value: TypeAlias = str | float
Operator: TypeAlias = Literal["=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Compare:
    """A value of the field stands in this order to `value`."""

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
    """A value of the field is neither below `low` nor above `high`, both of one kind."""

    field: str
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class Like:
    """A text of the field fits a pattern as a whole; `glob` tells which kind of pattern."""

    field: str
    pattern: str
    glob: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The field has no value."""

    field: str


@dataclass(frozen=True, slots=True)
class Not:
    part: Expression


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Expression, ...]


Test: TypeAlias = Compare | In | Between | Like | Missing
Expression: TypeAlias = Test | Not | And | Or

FieldKind: TypeAlias = Literal["number", "text", "date", "mixed", "none"]


@dataclass(frozen=True, slots=True)
class FieldStats:
    """What a library has in one field.

    kind       "date" if the examples are ISO dates, "mixed" for numbers and texts, "none" without any
    images     how many images have a value
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
"""Fields that every image has. Where the metadata of a library has a field of that name, the bare
name means the metadata; "file.size" is always the file's."""

EMBEDDED_FIELDS = (
    "caption", "keywords", "taken", "camera", "lens", "latitude", "longitude",
)  # fmt: skip
"""Fields that a picture file may fill by itself; metadata of the same name goes before it."""

_SEPARATORS = {4: "-", 7: "-", 10: "T ", 13: ":", 16: ":", 19: ".Z+-"}
"""What may follow in a longer date, by the length of the date so far."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


def fields_of(expression: Expression) -> Iterator[str]:
    """The names that an expression mentions, with repeats."""
    match expression:
        case Not(part):
            yield from fields_of(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from fields_of(part)
        case _:
            yield expression.field


def is_date(text: str) -> bool:
    """Is it an ISO 8601 date, with or without a time?"""
    return _FULL_DATE.fullmatch(text) is not None


def matching_ranges(test: Compare | In | Between, ordered: Sequence[str]) -> list[tuple[int, int]]:
    """Where the texts that satisfy a comparison stand among `ordered` ones: half-open intervals."""
    match test:
        case Compare(_, "=", str() as text):
            return _within(text, ordered)
        case In(_, values):
            return [i for text in values if isinstance(text, str) for i in _within(text, ordered)]
        case Compare(_, operator, str() as text):
            return _order(operator, text, ordered)
        case Between(_, str() as low, str() as high):
            [(start, _)] = _order(">=", low, ordered)
            up_to = _order("<=", high, ordered)
            return [(max(start, a), b) for a, b in up_to if b > start]
        case _:
            return []


def _within(text: str, ordered: Sequence[str]) -> list[tuple[int, int]]:
    """The text itself and, if it is the beginning of a date, all dates that go on from it."""
    found = [(bisect_left(ordered, text), bisect_right(ordered, text))]
    if _DATE.fullmatch(text):
        for character in _SEPARATORS[len(text)]:
            after = text + chr(ord(character) + 1)
            found.append((bisect_left(ordered, text + character), bisect_left(ordered, after)))
    return [(start, end) for start, end in found if start < end]


def _order(operator: Operator, text: str, ordered: Sequence[str]) -> list[tuple[int, int]]:
    if operator == "<":
        return [(0, bisect_left(ordered, text))]
    if operator == ">=":
        return [(bisect_left(ordered, text), len(ordered))]
    within = _within(text, ordered)
    if operator == "<=":
        return [(0, bisect_left(ordered, text)), *within]
    edges = [bisect_right(ordered, text)]
    for start, end in sorted(within):
        edges += [max(start, edges[0]), max(end, edges[0])]
    edges.append(len(ordered))
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def fits(pattern: Like) -> Callable[[str], bool]:
    """Tells whether a text fits. No pattern is slow on purpose: `fnmatch` makes regular expressions
    that never backtrack far."""
    text = pattern.pattern if pattern.glob else _as_glob(pattern.pattern.lower())
    runs = text.split("*")
    if len(runs) == 3 and not (runs[0] or runs[2] or {*"?["} & {*text}):
        within = runs[1]  # the usual one, %word%, at a fifth of the time
        return (lambda t: within in t) if pattern.glob else (lambda t: within in t.lower())
    match = re.compile(fnmatch.translate(text)).match
    if pattern.glob:
        return lambda text: match(text) is not None
    return lambda text: match(text.lower()) is not None


def _as_glob(like: str) -> str:
    """The glob that means the same as a pattern of `like`, where a backslash makes %, _ and itself
    ordinary."""
    glob = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    parts = re.findall(r"\\[%_\\]|.", like, re.DOTALL)
    return "".join(part[1] if len(part) == 2 else glob.get(part, part) for part in parts)


def resolve_field(name: str, known: Iterable[str]) -> str:
    """The field that a name means: itself, or the only one that differs in case alone.
    `UsageError` with the known ones."""
    names = list(known)
    if name in names:
        return name
    same = [other for other in names if other.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0]
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" (did you mean {shown(close[0])}?)" if close else ""
    listed = ", ".join(shown(other) for other in names[:40])
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    raise UsageError(f"no field {shown(name)}{hint}; the fields: {listed}{more}")


def shown(name: str) -> str:
    """A field's name as it is written in an expression."""
    plain = re.fullmatch(r"[^\W\d][\w.]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'
