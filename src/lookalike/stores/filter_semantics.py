"""The meaning of filters: reference implementation, and the parts of it that faster ones share.

* A field has no value, one, or several (keywords). A comparison holds if any value satisfies it.
* Numbers are compared with numbers, exactly, and texts with texts, by code points of their composed form
  (NFC) and case-sensitively. A number never equals a text. true and false are the numbers 1 and 0.
* Logic has two values: a comparison with a missing value is false, and `not` inverts it. So
  `not kind = 'shoe'` includes images without a kind; `kind != 'shoe'` requires another kind.
* A text that is the beginning of a date (2024, 2024-05, 2024-05-17, 2024-05-17T12:30) means all of that
  year, month, day or minute: taken = '2024-05' is any time in May, taken <= '2024' includes December,
  taken > '2024' begins with 2025.
* Dates are compared as they are written, in local time, whatever separates day and time: 2024-05-01 9:30,
  2024:05:01 09:30 and 2024-05-01T09:30 are one (`comparable`).
* `like` knows % (any characters) and _ (one character) and ignores case; `glob` knows * ? [a-z] and is
  case-sensitive. Both match texts only.
"""

from __future__ import annotations

import fnmatch
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from lookalike.files import compose
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


def sorted_ids(ids: Iterable[int], values: Mapping[int, Value], *, reverse: bool) -> list[int]:
    """Return ids in the order of their values, see `Snapshot.sort`."""
    rising = sorted(ids)
    missing = [id for id in rising if id not in values]
    kinds: tuple[list[int], list[int]] = [], []  # numbers sort before texts
    for id in rising:
        if id in values:
            kinds[isinstance(values[id], str)].append(id)
    for kind in kinds:
        kind.sort(key=values.__getitem__, reverse=reverse)
    return [id for kind in (kinds[::-1] if reverse else kinds) for id in kind] + missing


_ORDER: dict[Operator, Callable[[float, float], bool]] = {
    "=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _satisfies(test: Compare | In | Between | Like, value: Value) -> bool:
    if isinstance(value, str):
        if isinstance(test, Like):
            return pattern_matcher(test)(value)
        return any(start < end for start, end in matching_ranges(test, [value]))
    match test:
        case Compare(_, order, other) if not isinstance(other, str):
            return _ORDER[order](value, other)
        case In(_, others):
            return value in others
        case Between(_, low, high) if not isinstance(low, str) and not isinstance(high, str):
            return low <= value <= high
        case _:
            return False


_DATE_SEPARATORS = {4: "-", 7: "-", 10: "T ", 13: ":", 16: ":", 19: ".Z+-"}
"""Separator that may follow in a longer date, by the length of the date so far."""

_DATE = re.compile(r"\d{4}(-\d\d(-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?)?)?")
_FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


_WRITTEN_DATE = re.compile(
    r"(\d{4})([-/:])(\d\d?)\2(\d\d?)"
    r"(?:[T ] ?(\d\d?):(\d\d)((?::\d\d(?:\.\d+)?)?)(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?))?)?"
)
_ZONE = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


def comparable(text: str) -> str:
    """Return a text as filters compare it: composed, and dates as ISO 8601 with T between day and time.

    2024-5-1, 2024/05/01 and, as EXIF has it, 2024:05:01 are dates: whatever begins with the year.
    """
    composed = compose(text)
    if composed[4:5] not in ("-", "/", ":") or not (found := _WRITTEN_DATE.fullmatch(composed)):
        return composed
    year, _, month, day, hour, minute, seconds, zone = found.groups()
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return composed
    date = f"{year}-{month:0>2}-{day:0>2}"
    if hour is None:
        return date
    if zone and zone not in ("Z", "UTC"):
        zone = f"{zone[:3]}:{zone[3:].strip(':') or '00'}"
    return f"{date}T{hour:0>2}:{minute}{seconds}{'Z' if zone == 'UTC' else zone or ''}"


def has_zone(text: str) -> bool:
    """Return whether a text is a date with the time and its zone."""
    return is_date(text) and _ZONE.fullmatch(text[11:]) is not None


def is_date(text: str) -> bool:
    """Return whether a text is an ISO 8601 date, with or without a time."""
    return _FULL_DATE.fullmatch(text) is not None


def matching_ranges(test: Compare | In | Between, ordered: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the matching texts are in a sorted sequence: half-open ranges (start, end)."""
    found = []
    for low, high in date_ranges(test):
        start = 0 if low is None else bisect_left(ordered, low)
        end_of = bisect_right if high == low else bisect_left
        end = len(ordered) if high is None else end_of(ordered, high)
        if start < end:
            found.append((start, end))
    return found


def date_ranges(test: Compare | In | Between) -> list[tuple[str | None, str | None]]:
    """Return the ranges of the texts that match: from `low` up to below `high` (None: no limit), or `low`
    itself where both are the same."""
    match test:
        case Compare(_, "=", str() as text):
            return _equal_ranges(text)
        case In(_, values):
            return [one for text in values if isinstance(text, str) for one in _equal_ranges(text)]
        case Compare(_, order, str() as text):
            return _ordered_ranges(order, text)
        case Between(_, str() as low, str() as high):
            up_to = _ordered_ranges("<=", high)
            return [
                (max(low, start or ""), end)
                for start, end in up_to
                if end is not None and (end > low or start == end == low)
            ]
        case _:
            return []


def _equal_ranges(text: str) -> list[tuple[str | None, str | None]]:
    found: list[tuple[str | None, str | None]] = [(text, text)]
    if _DATE.fullmatch(text):
        found += [(text + c, text + chr(ord(c) + 1)) for c in _DATE_SEPARATORS[len(text)]]
    return found


def _ordered_ranges(order: Operator, text: str) -> list[tuple[str | None, str | None]]:
    if order == "<":
        return [(None, text)]
    if order == ">=":
        return [(text, None)]
    equal = _equal_ranges(text)
    if order == "<=":
        return [(None, text), *equal]
    # Greater than the text itself, and between the ranges of the dates within it.
    after = text + "\0"  # the next text of all
    edges: list[str] = [after]
    for start, end in sorted((start or "", end or "") for start, end in equal[1:]):
        edges += [max(start, edges[0]), max(end, edges[0])]
    ends: list[str | None] = [*edges[1::2], None]
    return [(low, high) for low, high in zip(edges[::2], ends, strict=True) if low != high]


def pattern_matcher(test: Like) -> Callable[[str], bool]:
    """Return a function that tells whether a text matches the pattern.

    No pattern can be made slow on purpose: the regular expressions of `fnmatch` hardly backtrack.
    """
    forms = dict.fromkeys((test.pattern, _DATE_AND_TIME.sub(r"\1T", test.pattern)))
    if test.glob:
        return _any_of([_glob_matcher(form) for form in forms])
    lower = _any_of([_glob_matcher(_as_glob(form.lower())) for form in forms])
    folded = _any_of([_glob_matcher(_as_glob(_fold(form))) for form in forms])
    if test.pattern.isascii():
        return lambda text: lower(text.lower()) or (not text.isascii() and folded(_fold(text)))
    return lambda text: lower(text.lower()) or folded(_fold(text))


def _any_of(matchers: Sequence[Callable[[str], bool]]) -> Callable[[str], bool]:
    if len(matchers) == 1:
        return matchers[0]
    return lambda text: any(match(text) for match in matchers)


_DATE_AND_TIME = re.compile(r"^(\d{4}-\d\d-\d\d) (?=\d)")
_DOTLESS = str.maketrans({"ı": "i", "\u0307": None})


def _fold(text: str) -> str:
    """Return a text without differences of case: ß is ss, and dotted and dotless i are one."""
    return text.casefold().translate(_DOTLESS)


def _glob_matcher(glob: str) -> Callable[[str], bool]:
    runs = glob.split("*")
    if len(runs) == 3 and not (runs[0] or runs[2] or {*"?["} & {*glob}):
        part = runs[1]  # the usual pattern, %word%, in a fifth of the time
        return lambda text: part in text
    match = re.compile(fnmatch.translate(glob)).match
    return lambda text: match(text) is not None


def _as_glob(like: str) -> str:
    """Return the glob that means the same as a `like` pattern, in which a backslash escapes %, _ and \\."""
    glob = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    parts = re.findall(r"\\[%_\\]|.", like, re.DOTALL)
    return "".join(part[1] if len(part) == 2 else glob.get(part, part) for part in parts)
