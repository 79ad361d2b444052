"""Facets: how many images that pass a filter have each value of a field, or lie in each range of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from lookalike.errors import UsageError
from lookalike.stores.filters import FieldStats, Value, quote_field, quote_value
from lookalike.stores.interface import Ids, Snapshot
from lookalike.wire.http import Facet, FacetRange, FacetValue

# Images whose values are looked at to find the frequent ones; their counts are exact.
SAMPLE = 2000

# Values that are listed; more are found by a part of their text.
MAX_VALUES = 60

# Bars of a histogram.
RANGES = 24

# Bars of a timeline, and the months that one may have.
DATE_RANGES, MONTH_STEPS = 48, (1, 3, 12, 60, 120, 1200, 12_000)

# Longer texts, such as captions, are no categories.
MAX_TEXT = 80


def facet(snapshot: Snapshot, field: str, where: str, contains: str = "") -> Facet:
    """Return the facet of a field over the indexed images that pass a filter.

    contains  only values that contain this text, for fields with texts
    """
    stats = snapshot.fields().get(field)
    if stats is None:
        known = ", ".join(sorted(snapshot.fields()))
        raise UsageError(f"no image has a field {field!r}; there are: {known}")
    name = quote_field(field)
    base = f"({where}) and " if where else ""
    base += f"outcome = 'indexed' and {name} is not null"
    if stats.kind == "number" or (stats.kind == "date" and not contains):
        ranges = tuple(counted_ranges(snapshot, name, base, stats))
        return Facet(field, stats.kind, len(snapshot.select(base)), (), ranges)
    if contains:
        base += f" and {name} like {quote_value(f'%{contains}%')}"
    ids = snapshot.select(base)
    found = counted_values(snapshot, field, base, ids, contains)
    return Facet(field, stats.kind, len(ids), tuple(found), ())


def counted_values(
    snapshot: Snapshot, field: str, base: str, ids: Ids, contains: str
) -> Iterator[FacetValue]:
    """Yield the most frequent values with the number of images that have them; none if most occur once."""
    sample = ids[:: len(ids) // SAMPLE + 1]
    counts = Counter(
        value
        for value in values_of(snapshot, field, sample.tolist())
        if contains.casefold() in str(value).casefold() and len(str(value)) <= MAX_TEXT
    )
    repeated = sum(count for count in counts.values() if count > 1)
    if not contains and len(counts) > MAX_VALUES and 2 * repeated < counts.total():
        return  # nearly all are different: text in images, titles
    ranked = sorted(counts, key=lambda value: (-counts[value], str(value)))[:MAX_VALUES]
    if len(sample) < len(ids):
        name = quote_field(field)
        for value in ranked:
            counts[value] = len(snapshot.select(f"{base} and {name} = {quote_value(value)}"))
        ranked.sort(key=lambda value: (-counts[value], str(value)))
    yield from (FacetValue(value, counts[value]) for value in ranked)


def values_of(snapshot: Snapshot, field: str, ids: Iterable[int]) -> Iterator[Value]:
    """Yield the values of a field, every item of a list by itself."""
    if field == "folder":
        for fields in snapshot.hit_fields(ids).values():
            yield fields.path.rpartition("/")[0]
        return
    for image in snapshot.images(ids).values():
        value: Any = image.metadata.get(field, image.facts.get(field))
        if value is None:
            value = getattr(image, field, None)
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, str | int | float) and one != "":
                yield one


def counted_ranges(
    snapshot: Snapshot, name: str, base: str, stats: FieldStats
) -> Iterator[FacetRange]:
    """Yield ranges of equal width between the smallest and the largest value of the library, so that they are
    the same under every filter. `between`, because an image may have several values: one of them must lie in
    the range."""
    edges = date_edges(stats) if stats.kind == "date" else number_edges(stats)
    for place, (low, high) in enumerate(pairwise(edges)):
        last = high if place == len(edges) - 2 else before(high)
        part = f"{base} and {name} between {quote_value(low)} and {quote_value(last)}"
        yield FacetRange(low, high, len(snapshot.select(part)))


def before(edge: Value) -> Value:
    """Return the largest value below a border."""
    if isinstance(edge, str):
        return f"{(day_of(edge) - timedelta(days=1)).date().isoformat()}T23:59:59.999999"
    return edge - 1 if isinstance(edge, int) else float(np.nextafter(edge, -np.inf))


def number_edges(stats: FieldStats) -> list[Value]:
    """Return the borders of the ranges of numbers; whole numbers of few values have one range each."""
    low, high = float(stats.low or 0), float(stats.high or 0)
    if all(isinstance(value, int) or float(value).is_integer() for value in stats.examples):
        if high - low < RANGES:
            return [*range(int(low), int(high) + 1), int(high) + 1]
        step = -(-(high - low + 1) // RANGES)
        return [int(low + step * i) for i in range(int((high - low) // step) + 2)]
    return [float(edge) for edge in np.linspace(low, high, RANGES + 1)]


def date_edges(stats: FieldStats) -> list[Value]:
    """Return the borders of the ranges of dates, as days: whole days, weeks, months or years, whichever gives
    at most `DATE_RANGES` of them."""
    low, high = (day_of(str(edge)).date() for edge in (stats.low, stats.high))
    for days in (1, 7):
        count = (high - low).days // days + 1
        if count <= DATE_RANGES:
            return [(low + timedelta(days=days * i)).isoformat() for i in range(count + 1)]
    first, last = 12 * low.year + low.month - 1, 12 * high.year + high.month - 1
    months = next(step for step in MONTH_STEPS if last // step - first // step < DATE_RANGES)
    edges = range(first // months * months, last + months + 1, months)
    return [month_start(edge) for edge in edges]


def month_start(months: int) -> str:
    """Return the first day of a month, counted from the year 0, within the years 1 to 9999."""
    if months >= 12 * 10_000:
        return "9999-12-31"
    months = max(months, 12)
    return f"{months // 12:04d}-{months % 12 + 1:02d}-01"


def day_of(text: str) -> datetime:
    """Return the day of an ISO 8601 date, with or without a time."""
    return datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
