"""The meaning of filters: reference implementation, and the parts of it that faster ones share.

* A field has no value, one, or several (keywords). A comparison holds if any value satisfies it.
* Numbers are compared with numbers (64-bit floats) and texts with texts, by code points and case-sensitively.
  A number never equals a text. true and false are the numbers 1 and 0.
* Logic has two values: a comparison with a missing value is false, and `not` inverts it. So
  `not kind = 'shoe'` includes images without a kind; `kind != 'shoe'` requires another kind.
* A text that is the beginning of a date (2024, 2024-05, 2024-05-17, 2024-05-17T12:30) means all of that
  year, month, day or minute: taken = '2024-05' is any time in May, taken <= '2024' includes December,
  taken > '2024' begins with 2025.
* `like` knows % (any characters) and _ (one character) and ignores case; `glob` knows * ? [a-z] and is
  case-sensitive. Both match texts only.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from lookalike.stores.filters import (
    And,
    Between,
    Compare,
    Expression,
    In,
    Like,
    Missing,
    Not,
    Operator,
    Or,
    Value,
)


def matches(expression: Expression, values: Callable[[str], Sequence[Value]]) -> bool:
    """Return whether one image satisfies an expression; `values` returns its values of a field by name."""
    match expression:
        case And(parts):
            return all(matches(part, values) for part in parts)
        case Or(parts):
            return any(matches(part, values) for part in parts)
        case Not(part):
            return not matches(part, values)
        case Missing(field):
            return not values(field)
        case _:
            return any(_satisfies(expression, value) for value in values(expression.field))


_ORDER: dict[Operator, Callable[[float, float], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _satisfies(test: Compare | In | Between | Like, value: Value) -> bool:
    if isinstance(value, str):
        if isinstance(test, Like):
            return pattern_matcher(test)(value)
        return any(start < end for start, end in matching_ranges(test, [value]))
    match test:
        case Compare(_, order, float() as other):
            return _ORDER[order](value, other)
        case In(_, others):
            return value in others
        case Between(_, float() as low, float() as high):
            return low <= value <= high
        case _:
            return False


_DATE_SEPARATORS = {4: "-", 7: "-", 10: "T ", 13: ":", 16: ":", 19: ".Z+-"}
"""Separator that may follow in a longer date, by the length of the date so far."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


def is_date(text: str) -> bool:
    """Return whether a text is an ISO 8601 date, with or without a time."""
    return _FULL_DATE.fullmatch(text) is not None


def matching_ranges(test: Compare | In | Between, ordered: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the matching texts are in a sorted sequence: half-open ranges (start, end)."""
    match test:
        case Compare(_, "=", str() as text):
            return _equal(text, ordered)
        case In(_, values):
            return [i for text in values if isinstance(text, str) for i in _equal(text, ordered)]
        case Compare(_, order, str() as text):
            return _compare(order, text, ordered)
        case Between(_, str() as low, str() as high):
            [(start, _)] = _compare(">=", low, ordered)
            up_to = _compare("<=", high, ordered)
            return [(max(start, a), b) for a, b in up_to if b > start]
        case _:
            return []


def _equal(text: str, ordered: Sequence[str]) -> list[tuple[int, int]]:
    """The ranges of the text itself and, if it is the beginning of a date, of all dates within it."""
    found = [(bisect_left(ordered, text), bisect_right(ordered, text))]
    if _DATE.fullmatch(text):
        for character in _DATE_SEPARATORS[len(text)]:
            after = text + chr(ord(character) + 1)
            found.append((bisect_left(ordered, text + character), bisect_left(ordered, after)))
    return [(start, end) for start, end in found if start < end]


def _compare(order: Operator, text: str, ordered: Sequence[str]) -> list[tuple[int, int]]:
    if order == "<":
        return [(0, bisect_left(ordered, text))]
    if order == ">=":
        return [(bisect_left(ordered, text), len(ordered))]
    equal = _equal(text, ordered)
    if order == "<=":
        return [(0, bisect_left(ordered, text)), *equal]
    edges = [bisect_right(ordered, text)]
    for start, end in sorted(equal):
        edges += [max(start, edges[0]), max(end, edges[0])]
    edges.append(len(ordered))
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def pattern_matcher(test: Like) -> Callable[[str], bool]:
    """Return a function that tells whether a text matches the pattern.

    No pattern can be made slow on purpose: the regular expressions of `fnmatch` hardly backtrack.
    """
    text = test.pattern if test.glob else _as_glob(test.pattern.lower())
    runs = text.split("*")
    if len(runs) == 3 and not (runs[0] or runs[2] or {*"?["} & {*text}):
        part = runs[1]  # the usual pattern, %word%, in a fifth of the time
        return (lambda t: part in t) if test.glob else (lambda t: part in t.lower())
    match = re.compile(fnmatch.translate(text)).match
    if test.glob:
        return lambda text: match(text) is not None
    return lambda text: match(text.lower()) is not None


def _as_glob(like: str) -> str:
    """Return the glob that means the same as a `like` pattern, in which a backslash escapes %, _ and \\."""
    glob = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    parts = re.findall(r"\\[%_\\]|.", like, re.DOTALL)
    return "".join(part[1] if len(part) == 2 else glob.get(part, part) for part in parts)
