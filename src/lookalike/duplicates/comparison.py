"""Judges from the pixels of two files how their images are related, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from lookalike.duplicates.difference import Difference, find_difference
from lookalike.duplicates.pixel_compare import (
    MIN_ROUGH_AGREEMENT,
    GreyImage,
    PixelMatch,
    compare_aligned,
    compare_overlap,
    compare_whole,
)
from lookalike.duplicates.registration import Registered, refine, register
from lookalike.duplicates.report import Kind
from lookalike.duplicates.tone import MIN_LEVELS, in_one_palette, is_sign, levels, luma
from lookalike.images.pixel_spec import Pixels

REVISION = "10"
"""Changes whenever the results change: remembered comparisons of another revision do not count."""

Change: TypeAlias = Literal[
    "rotated", "mirrored", "lighter", "grey", "colors", "palette", "cropped", "aligned", "lettered"
]
"""An edit that turns one image of a pair into the other. "aligned": framed, tilted or stretched."""

DESCRIPTIONS: dict[Change, str] = {
    "rotated": "rotated",
    "mirrored": "mirrored",
    "lighter": "lighter or darker",
    "grey": "without color",
    "colors": "other colors",
    "palette": "reduced to a palette",
    "cropped": "cropped",
    "aligned": "framed or tilted",
    "lettered": "letters or lines over it",
}

# Stops (doublings of the values) of a change of light from which two images are two exposures.
MAX_STOPS = 0.7

# Matching keypoints, and shared part of each image, from which two images are shots of the same scene.
NEAR_INLIERS, NEAR_OVERLAP = 25, 0.25

# Agreement of the tiles of two whole images from which they are of one subject.
NEAR_AGREEMENT = 0.6

# Ratio of the scales along the two axes from which two aligned parts are two views of one article: alone;
# where there are few grey levels, so that little more than an outline agrees; and where light or letters
# differ, too. Edits scale both axes alike, or stretch a whole image.
MAX_STRETCH_ALONE, MAX_STRETCH_PLAIN, MAX_STRETCH = 1.3, 1.05, 1.02

# Pages and frames up to which all are compared; of more, so many beyond the first, spread over all of them.
ALL_FRAMES, SAMPLES = 32, 12


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing two files.

    kind        how they are related; None if they are not
    similarity  share of the image that agrees, 0 to 1
    evidence    the reason in words
    changes     what was done to one of them
    readable    False where a file is missing, changed or broken: then nothing is known
    """

    kind: Kind | None
    similarity: float = 0.0
    evidence: str = ""
    changes: tuple[Change, ...] = ()
    readable: bool = True


UNREADABLE = Comparison(None, readable=False)
UNRELATED = Comparison(None)


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """An image file as it is compared with others.

    coarse  a small grey version, which aligns them
    frames  number of frames or pages
    part    what it is of a file that has more: "frame of a video", "page of a file"; "" for a whole file
    fine    returns a frame as RGB (h, w, 3), large enough to show letters; raises ImageError
    """

    coarse: GreyImage
    frames: int
    fine: Callable[[int], Pixels]
    part: str = ""


def compare_files(one: ComparedFile, other: ComparedFile, *, scenes: bool = False) -> Comparison:
    """Return how the images of two files are related. Raises ImageError for a file that cannot be read.

    scenes  also recognise two shots of one scene in which everything has moved, which takes longer
    """
    best: Comparison | None = None
    for match in _matches(one.coarse, other.coarse, scenes=scenes):
        if not match.is_promising:
            found = _near(match)
        elif one.frames != other.frames:
            return Comparison("near", match.agreement, _counts(one.frames, other.frames))
        else:
            found = _compare_frame(one, other, match, 0)
            if found.kind in ("copy", "edit"):
                if part := one.part or other.part:
                    return Comparison("near", found.similarity, f"a {part} shows the same")
                return _compare_samples(one, other, match, found)
        if best is None or (found.kind is not None and found.similarity > best.similarity):
            best = found
    return best or UNRELATED


def _matches(one: GreyImage, other: GreyImage, *, scenes: bool) -> Iterator[PixelMatch]:
    """Yield how two images may be aligned, the cheapest way first."""
    direct = compare_whole(one, other)
    if direct is not None:
        yield direct
        if direct.is_promising and not scenes:
            return  # the pixels align them better than keypoints
    if not scenes:
        rough = compare_overlap(one, other)
        if rough is None or rough.agreement < MIN_ROUGH_AGREEMENT:
            return
        if rough.is_promising:
            yield rough
            return
    aligned = compare_aligned(one, other)
    if aligned is not None:
        yield aligned


def _near(match: PixelMatch) -> Comparison:
    """Return the result for images whose tiles do not agree."""
    same_scene = match.inliers >= NEAR_INLIERS and match.overlap >= NEAR_OVERLAP
    if not (same_scene or (match.transform is None and match.agreement >= NEAR_AGREEMENT)):
        return UNRELATED
    evidence = f"{match.agreement:.0%} of the image agrees"
    return Comparison("near", match.agreement, evidence)


def _compare_frame(
    one: ComparedFile, other: ComparedFile, match: PixelMatch, number: int
) -> Comparison:
    """Compare one frame of both files in full detail, aligned as `match` says."""
    sides = one.coarse.grey.shape, other.coarse.grey.shape
    pair = register(one.fine(number), other.fine(number), match, sides)
    if not pair.contained:
        return Comparison("near", match.overlap, f"{match.overlap:.0%} of the image is shared")
    found = find_difference(pair.one, pair.other, pair.covered)
    whole = found.changed and match.transform is None
    if whole and (both := in_one_palette(pair.one, pair.other)) is not None:
        again = find_difference(*both, pair.covered)
        if again.changed < found.changed:
            found = replace(again, tone="palette") if again.tone == "same" else again
    doubtful = (found.changed and not found.overlay) or found.tone == "colors"
    if doubtful and (better := refine(pair)) is not None:
        again = find_difference(better.one, better.other, better.covered)
        if again.changed <= found.changed:
            found, pair = again, better
    return _judge(found, match, pair)


def _judge(found: Difference, match: PixelMatch, pair: Registered) -> Comparison:
    if found.changed and not found.overlay:
        differs = "less than 1 %" if found.changed < 0.01 else f"{found.changed:.0%}"
        return Comparison("near", 1 - found.changed, f"{differs} of the image differs")
    if pair.linear is not None:
        widths = np.linalg.svd(pair.linear, compute_uv=False)
        limit = MAX_STRETCH_ALONE
        if levels(luma(pair.other), pair.covered) < MIN_LEVELS:
            limit = MAX_STRETCH_PLAIN
        if found.tone != "same" or found.overlay:
            limit = MAX_STRETCH
        if widths[0] > limit * widths[1]:
            return Comparison("near", match.overlap, "a part agrees only if it is stretched")
    if found.stops > MAX_STOPS:
        evidence = f"same image, {found.stops:.1f} stops apart: maybe two exposures"
        return Comparison("near", 1 - found.changed, evidence)
    changes = tuple(_changes(found, match, pair))
    if {"rotated", "mirrored"} & {*changes} and is_sign(pair.other):
        return Comparison("near", 1 - found.changed, f"{DESCRIPTIONS[changes[0]]}: another sign")
    kind: Kind = "edit" if changes else "copy"
    done = ", ".join(DESCRIPTIONS[change] for change in changes)
    if pair.cropped:
        done = done.replace("cropped", f"cropped ({match.overlap:.0%} is shared)")
    return Comparison(
        kind, 1 - found.changed, f"same image: {done}" if done else "same image", changes
    )


def _changes(found: Difference, match: PixelMatch, pair: Registered) -> Iterator[Change]:
    if match.mirrored or match.orientation in (2, 4, 5, 7):
        yield "mirrored"
    if match.orientation in (3, 5, 6, 7, 8):
        yield "rotated"
    if match.transform is not None:
        yield "cropped" if pair.cropped else "aligned"
    if found.tone != "same":
        yield found.tone
    if found.overlay:
        yield "lettered"


def _compare_samples(
    one: ComparedFile, other: ComparedFile, match: PixelMatch, found: Comparison
) -> Comparison:
    """Compare further frames of files whose first ones agree; return `found` if they agree, too."""
    count = one.frames - 1 if one.frames <= ALL_FRAMES else SAMPLES
    for number in (round(step * (one.frames - 1) / count) for step in range(1, count + 1)):
        sample = _compare_frame(one, other, match, number)
        if sample.kind not in ("copy", "edit"):
            evidence = f"page or frame {number + 1} of {one.frames} differs"
            return Comparison("near", sample.similarity, evidence)
    return found


def _counts(one: int, other: int) -> str:
    return f"{min(one, other)} and {max(one, other)} pages or frames"
