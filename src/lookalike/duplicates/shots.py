"""What names and times say of two files: raw and JPEG of one shot, live photos, bursts, other shots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

from lookalike.duplicates.companions import FolderListings
from lookalike.duplicates.report import Group, Kind, Link, Member
from lookalike.stores.interface import Image, Snapshot

# Seconds between two shots of a series.
BURST_SECONDS = 3

# Seconds up to which two times of one camera mean two shots; a longer one may be a corrected clock.
SHOT_SECONDS = 900

# The values of an exposure: "1/250 s f/8 ISO 100 +1.0 EV".
_EXPOSURE = re.compile(r"(?P<time>\S+ s\b)|(?P<aperture>f/\S+)|(?P<speed>ISO \S+)|(?P<bias>\S+ EV)")


def by_time(link: Link, one: Image, other: Image) -> Link:
    """Return the link of two images of one camera by the times at which they were taken.

    Images that were taken at different times, or exposed differently, are no copies, however alike they are.
    """
    seconds = _seconds_apart(one, other)
    if seconds is None or link.kind == "exact":
        return link
    kind: Kind = "burst" if seconds <= BURST_SECONDS else "near"
    exposures = [str(image.facts.get("exposure", "")) for image in (one, other)]
    if seconds <= BURST_SECONDS and _differ(*exposures):
        return Link(kind, link.similarity, f"exposed differently: {' and '.join(exposures)}")
    if link.kind == "near" and kind == "near":
        return link
    if link.kind == "near" or 0 < seconds <= SHOT_SECONDS:
        return Link(kind, link.similarity, f"taken {seconds:.0f} s apart by one camera")
    return link


def _differ(one: str, other: str) -> bool:
    """Return whether a value that both exposures state differs: programs drop some when they save."""
    a, b = (
        {match.lastgroup: match[0] for match in _EXPOSURE.finditer(text)} for text in (one, other)
    )
    return any(a[name] != b[name] for name in a.keys() & b.keys())


def _seconds_apart(one: Image, other: Image) -> float | None:
    """Return the seconds between two shots of one camera; None where that is not known."""
    camera, taken = one.facts.get("camera"), (one.facts.get("taken"), other.facts.get("taken"))
    if not camera or camera != other.facts.get("camera") or not all(taken):
        return None
    try:
        times = [datetime.fromisoformat(str(time)).replace(tzinfo=None) for time in taken]
    except ValueError:
        return None
    return abs((times[0] - times[1]).total_seconds())


def companion_groups(
    snapshot: Snapshot, images: Iterable[Image], kind: Literal["raw-jpeg", "live-photo"]
) -> tuple[Group, ...]:
    """Return each image with the raw file, or the video, of the same name beside it. Nothing is spare."""
    roots = {root.id: root.path for root in snapshot.roots()}
    folders = FolderListings()
    groups = []
    for image in images:
        file = roots[image.root] / image.path
        belonging = folders.companions(file)
        paths = belonging.raw if kind == "raw-jpeg" else belonging.videos
        found = [
            (path, companion)
            for path in paths
            if (companion := snapshot.lookup(image.root, _beside(image, path.name)))
        ]
        if not found:
            continue
        evidence = "raw file of the same name" if kind == "raw-jpeg" else "video of the same name"
        still = Member(image, file, "exact", 1.0, "", reason="belongs to the other")
        others = (
            Member(companion, path, kind, 1.0, evidence, reason="stays: belongs to the image")
            for path, companion in found
        )
        groups.append(Group(kind, (still, *others)))
    return tuple(groups)


def _beside(image: Image, name: str) -> str:
    folder = PurePosixPath(image.path).parent
    return name if str(folder) == "." else f"{folder}/{name}"
