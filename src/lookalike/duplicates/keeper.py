"""Chooses which of several copies is kept, and says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lookalike.duplicates.detail import LOSSLESS, Detail
from lookalike.duplicates.file_identity import PresentFile
from lookalike.stores.interface import Image

# Formats that cameras write, the best first; metadata in another one was copied from an original.
CAMERA_FORMATS = {"heic": 2, "jpeg": 1, "tiff": 1}

# How much more detail counts as more. Saving again, framing and lettering change the measure, too.
MORE_DETAIL, MUCH_MORE_DETAIL = 1.6, 3.0

# Nanoseconds between two dates that count as different; FAT stores even seconds.
SAME_DATE_NS = 2_000_000_000

# How file managers and browsers name copies.
_COPY_NAME = re.compile(
    r"( \(\d+\)|[ _-]+(copy|kopie|copie|copia)([ _-]*\(?\d+\)?)?)$|^(copy of|kopie van|copie de) ",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """The user's rules for which files to keep.

    prefer   folders whose files are kept, the most important first
    archive  ids of images that are never spare; if there are any, only copies of one of them are reported
    edits    edits count as spare, too
    """

    prefer: tuple[Path, ...] = ()
    archive: Collection[int] = frozenset()
    edits: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """One file among copies.

    paths     its paths in the library, one without symbolic links first
    marked    a person marked its content to be kept
    raw       there is a raw file of the same name beside it
    pinned    it cannot go: it is reached through links only, or has other hard links
    detail    what was measured in its pixels; None for nothing
    original  False for a lossless file that has the pixels of a lossy one among the others
    """

    paths: tuple[PresentFile, ...]
    marked: bool = False
    raw: bool = False
    pinned: bool = False
    detail: Detail | None = None
    original: bool = True

    @property
    def file(self) -> PresentFile:
        """The path by which it is shown."""
        return self.paths[0]

    @property
    def image(self) -> Image:
        """The image of the library that the file belongs to."""
        return self.file.image

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts that the file states about itself, such as the time it was taken."""
        return self.image.facts

    @property
    def detailed_pixels(self) -> float:
        """Pixels that hold detail; all of them where they were not measured."""
        return self.pixels if self.detail is None else self.detail.pixels

    @property
    def pixels(self) -> int:
        """Number of its pixels."""
        return (self.image.width or 0) * (self.image.height or 0)

    @property
    def lossless(self) -> bool:
        """Whether its format keeps every pixel."""
        return self.image.format in LOSSLESS

    def is_among(self, ids: Collection[int]) -> bool:
        """Return whether one of its paths is that of one of these images."""
        return any(file.image.id in ids for file in self.paths)


Prefers = Callable[[Candidate, Candidate], bool]


@dataclass(frozen=True, slots=True)
class Criterion:
    """One reason to keep a file.

    prefers  whether the first of two files is clearly better
    words    why the better one is kept
    content  whether it is about the content, so that a file which is better may not go
    """

    prefers: Prefers
    words: Callable[[Candidate], str]
    content: bool = False


def _larger(value: Callable[[Candidate], float]) -> Prefers:
    return lambda one, other: value(one) > value(other)


class Keeper:
    """Ranks copies by the rules, in this order: what a person marked; the preferred folders; the camera's
    original; color; more real detail; lossless before lossy of the same; the archive; the older file."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._prefer = tuple(folder.resolve() for folder in rules.prefer)
        ranked = [Criterion(_larger(lambda c: c.marked), lambda _: "marked to be kept")]
        if rules.prefer:
            ranked.append(Criterion(_larger(self._preference), self._preferred))
        self._ranked = tuple(ranked)
        self._others = (
            Criterion(_larger(_camera_facts), _camera_words, content=True),
            Criterion(
                _larger(lambda c: c.raw), lambda _: "its raw file is beside it", content=True
            ),
            Criterion(_larger(_camera_format), lambda c: f"the camera's {_format(c)}"),
            Criterion(_larger(_color), lambda _: "in color", content=True),
            Criterion(_has_more_detail, lambda _: "more detail", content=True),
            Criterion(_was_enlarged_from, lambda _: "others were enlarged from it"),
            Criterion(_has_more_fidelity, _fidelity_words),
            Criterion(_larger(_has_position), lambda _: "has the place of the shot", content=True),
            Criterion(_larger(lambda c: c.is_among(rules.archive)), lambda _: "in the archive"),
            Criterion(_larger(lambda c: c.pinned), lambda _: "other paths lead to this file"),
            Criterion(_is_older, lambda _: "the older file"),
            Criterion(_larger(lambda c: c.image.size), lambda _: "the larger file"),
            Criterion(_larger(_plain_name), lambda _: "the others are named as copies"),
        )

    @property
    def _criteria(self) -> tuple[Criterion, ...]:
        return self._ranked + self._others

    def choose(self, candidates: Sequence[Candidate]) -> Candidate:
        """Return the file to keep."""
        left = mark_conversions(candidates)
        for criterion in self._criteria:
            # Where each is worse than some other, the criterion decides nothing.
            unbeaten = [
                one for one in left if not any(criterion.prefers(other, one) for other in left)
            ]
            left = unbeaten or left
        return min(left, key=lambda one: (one.image.root, one.image.path))

    def reason(self, best: Candidate, others: Sequence[Candidate]) -> str:
        """Return why the best file is kept rather than the others."""
        best, *others = mark_conversions([best, *others])
        decisive = {self._decisive(best, other) for other in others}
        words = [c.words(best) for c in self._criteria if c in decisive]
        return "; ".join(words) or "the first by its path"

    def objection(self, best: Candidate, other: Candidate) -> str:
        """Return what would be lost if the other file went although the best one is kept; "" for nothing.

        A file that was chosen by a person may lose to any other in detail.
        """
        if any(criterion.prefers(best, other) for criterion in self._ranked):
            return ""
        better = next((c for c in self._others if c.content and c.prefers(other, best)), None)
        return f"stays: {better.words(other)}" if better else ""

    def _decisive(self, best: Candidate, other: Candidate) -> Criterion | None:
        return next((c for c in self._criteria if c.prefers(best, other)), None)

    def _preference(self, one: Candidate) -> float:
        """Return the rank of the preferred folder that has the file; 0 if none has."""
        places = [file.path.parent.resolve() for file in one.paths]
        for rank, folder in enumerate(self._prefer):
            if any(place.is_relative_to(folder) for place in places):
                return len(self._prefer) - rank
        return 0

    def _preferred(self, one: Candidate) -> str:
        return (
            f"in {self._rules.prefer[len(self._prefer) - int(self._preference(one))]}, as preferred"
        )


def mark_conversions(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Mark lossless files that have the pixels of a lossy one: they were made from it."""
    lossy = [one.detail for one in candidates if not one.lossless and one.detail]
    return [
        replace(one, original=False)
        if one.lossless and one.detail and any(one.detail.has_values_of(other) for other in lossy)
        else one
        for one in candidates
    ]


def _camera_facts(one: Candidate) -> float:
    return sum(bool(one.facts.get(name)) for name in ("camera", "taken"))


def _camera_words(one: Candidate) -> str:
    said = (one.facts.get("camera"), str(one.facts.get("taken") or "")[:10])
    return f"the camera's original ({', '.join(part for part in said if part)})"


def _camera_format(one: Candidate) -> float:
    return CAMERA_FORMATS.get(one.image.format or "", 0) if _camera_facts(one) == 2 else 0


def _is_older(one: Candidate, other: Candidate) -> bool:
    return one.image.mtime_ns < other.image.mtime_ns - SAME_DATE_NS


def _has_more_detail(one: Candidate, other: Candidate) -> bool:
    """Return whether the first has more detail. A newer and larger file may have been enlarged by less than
    can be measured, and the steps of a palette look like detail, so these need more of it."""
    newer = _is_older(other, one) and one.pixels > other.pixels
    banded = one.detail is not None and one.detail.reduced
    needed = MUCH_MORE_DETAIL if newer or banded else MORE_DETAIL
    return one.detailed_pixels > needed * other.detailed_pixels


def _was_enlarged_from(one: Candidate, other: Candidate) -> bool:
    """Return whether the other is larger, but not filled with detail as the first is."""
    if one.detail is None or other.detail is None or _is_older(other, one):
        return False
    return other.pixels > one.pixels and one.detail.filled > MORE_DETAIL * other.detail.filled


def _fidelity(one: Candidate) -> float:
    """Return how likely the others were made from this file, by its format."""
    if one.detail and one.detail.reduced:  # a palette has lost most colors
        return 0
    if not one.lossless:
        return {"heic": 3, "gif": 0}.get(one.image.format or "", 2)
    if not one.original:
        return 1
    return 2 if one.detail and one.detail.was_jpeg else 4


def _has_more_fidelity(one: Candidate, other: Candidate) -> bool:
    """Return whether the first is less likely to be made from the other, by their formats.

    Only of the same pixels do they tell that: a lossless file may be an edit of a lossy one.
    """
    edited = one.detail and other.detail and not one.detail.resembles(other.detail)
    if edited and other.detail and other.detail.reduced:
        edited = False  # other colors come from the palette
    return not edited and _fidelity(one) > _fidelity(other)


def _color(one: Candidate) -> float:
    return one.detail is None or one.detail.color


def _fidelity_words(one: Candidate) -> str:
    return (
        "lossless" if _fidelity(one) == 4 else f"{_format(one)}, from which others were converted"
    )


def _has_position(one: Candidate) -> float:
    return one.facts.get("latitude") is not None


def _plain_name(one: Candidate) -> float:
    return not _COPY_NAME.search(PurePosixPath(one.image.path).stem)


def _format(one: Candidate) -> str:
    return (one.image.format or "file").upper()
