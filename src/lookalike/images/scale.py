"""How small a picture may be decoded so that every extractor still gets what it needs."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.images.pixel_spec import PixelSpec

WIDEST = 3
"""Pictures beyond 3:1 are cut to 3:1 around the centre: a panorama or a screenshot of a whole page
would otherwise be squeezed by "stretch", and "cover" would enlarge it without limit."""


def crop_box(width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of the centre that keeps within 3:1; all of it if it does."""
    if width > WIDEST * height:
        kept = WIDEST * height
        return (width - kept) // 2, 0, kept, height
    if height > WIDEST * width:
        kept = WIDEST * width
        return 0, (height - kept) // 2, width, kept
    return 0, 0, width, height


def least_scale(width: int, height: int, needs: Sequence[PixelSpec]) -> float:
    """The smallest factor, at most 1, by which (width, height) may shrink before `fit`."""
    scale = 0.0 if needs else 1.0
    shorter, longer = min(width, height), max(width, height)
    for need in needs:
        if need.fit == "any":
            wanted = need.min_side / shorter if need.min_side else 1.0
        elif need.fit == "inside":
            wanted = need.max_side / longer
        elif need.fit == "stretch":
            wanted = max(need.width / width, need.height / height)
        else:
            wanted = cover_scale(width, height, need)
        scale = max(scale, wanted, need.min_side / shorter)
    return min(scale, 1.0)


def cover_scale(width: int, height: int, need: PixelSpec) -> float:
    """The factor of "cover": shorter side to `shortest_edge`, but never less than is cut out."""
    return max(need.shortest_edge / min(width, height), need.width / width, need.height / height)
