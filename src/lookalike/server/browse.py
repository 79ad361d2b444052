"""Groups of images for looking around without a query: by month, folder, place, or the values of a field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.stores.filter_semantics import is_date
from lookalike.stores.filters import quote_field, quote_value
from lookalike.stores.interface import Image, Snapshot
from lookalike.wire.http import ImageGroup, ImageGroups

# Groups that are returned, and images that stand for one.
MAX_GROUPS, COVERS = 2000, 4

# Degrees of the side of a place: about a town at the equator.
PLACE_DEGREES = 0.5

PLACE, FOLDER = "place", "folder"


@dataclass(frozen=True, slots=True)
class Key:
    """The value that the images of a group share.

    order      by which groups are sorted
    condition  the filter that selects them
    """

    order: Any
    name: str
    condition: str
    latitude: float | None = None
    longitude: float | None = None
    is_month: bool = False


def browse(snapshot: Snapshot, by: str, where: str) -> ImageGroups:
    """Return the images that a filter selects in groups: the newest months, the largest groups first.

    by  "folder", "place" (cells of half a degree), or a field: dates are grouped by month

    Raises UsageError for an unknown field or filter.
    """
    ids = snapshot.select(where)
    if by not in (PLACE, FOLDER) and len(ids):
        snapshot.sort(ids[:1], by)  # reports an unknown field
    images = snapshot.images(ids.tolist())
    groups: dict[Key, list[int]] = {}
    for id in ids.tolist():
        for key in keys_of(images[id], by):
            groups.setdefault(key, []).append(id)
    dates = all(key.is_month for key in groups)
    if by == FOLDER:
        ordered = sorted(groups, key=lambda key: key.name)
    elif dates:
        ordered = sorted(groups, key=lambda key: key.order, reverse=True)
    else:
        ordered = sorted(groups, key=lambda key: (-len(groups[key]), key.name))
    found = tuple(
        ImageGroup(
            name=key.name,
            images=len(groups[key]),
            where=key.condition,
            covers=covers_of(groups[key]),
            latitude=key.latitude,
            longitude=key.longitude,
        )
        for key in ordered[:MAX_GROUPS]
    )
    kind = "date" if dates and groups else by if by in (PLACE, FOLDER) else "value"
    placed = {id for members in groups.values() for id in members}
    return ImageGroups(by, kind, found, len(ordered), len(ids) - len(placed))


def covers_of(ids: Sequence[int]) -> tuple[int, ...]:
    """Return ids spread over a group."""
    step = max(1, len(ids) / COVERS)
    return tuple(ids[int(number * step)] for number in range(min(COVERS, len(ids))))


def keys_of(image: Image, by: str) -> list[Key]:
    """Return the groups that an image belongs to: none without a value, several for several values."""
    if by == FOLDER:
        folder = image.path.rpartition("/")[0]
        return [Key(folder, folder, f"folder = {quote_value(folder)}")]
    if by == PLACE:
        return place_of(image)
    value = image.metadata.get(by, image.facts.get(by, getattr(image, by, None)))
    values = value if isinstance(value, list | tuple) else [value]
    return list({one: None for each in values for one in key_of(by, each)})


def key_of(field: str, value: Any) -> list[Key]:
    """Return the group of a value."""
    name = quote_field(field)
    if isinstance(value, str) and value:
        if is_date(value):
            month = value[:7]
            condition = f"{name} >= '{month}' and {name} < '{next_month(month)}'"
            return [Key(month, month, condition, is_month=True)]
        return [Key(value, value, f"{name} = {quote_value(value)}")]
    if isinstance(value, bool):
        return [Key(value, str(value).lower(), f"{name} = {str(value).lower()}")]
    if isinstance(value, int | float):
        return [Key(value, f"{value:g}", f"{name} = {value!r}")]
    return []


def next_month(month: str) -> str:
    """Return the month after "2024-12": "2025-01"."""
    year, number = int(month[:4]), int(month[5:7])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def place_of(image: Image) -> list[Key]:
    """Return the cell that an image was taken in; none without coordinates."""
    found = [image.metadata.get(n, image.facts.get(n)) for n in ("latitude", "longitude")]
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in found):
        return []
    south, west = (math.floor(one / PLACE_DEGREES) * PLACE_DEGREES for one in found)
    north, east = south + PLACE_DEGREES, west + PLACE_DEGREES
    condition = (
        f"latitude >= {south:g} and latitude < {north:g} "
        f"and longitude >= {west:g} and longitude < {east:g}"
    )
    latitude, longitude = south + PLACE_DEGREES / 2, west + PLACE_DEGREES / 2
    return [Key((south, west), degrees(latitude, longitude), condition, latitude, longitude)]


def degrees(latitude: float, longitude: float) -> str:
    """Return coordinates as people write them: "52.25° N, 13.25° E"."""
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    return f"{abs(latitude):g}° {north}, {abs(longitude):g}° {east}"
