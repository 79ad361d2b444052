"""The smallest scale at which an image may be decoded, given what the extractors need."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.images.pixel_spec import PixelSpec

# Images beyond 3:1 are cropped to 3:1 around the centre: a panorama or a screenshot of a whole page
# would otherwise be squeezed by "stretch", and "cover" would enlarge it without limit.
MAX_ASPECT_RATIO = 3


def crop_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of the central part that is at most 3:1."""
    if width > MAX_ASPECT_RATIO * height:
        kept = MAX_ASPECT_RATIO * height
        return (width - kept) // 2, 0, kept, height
    if height > MAX_ASPECT_RATIO * width:
        kept = MAX_ASPECT_RATIO * width
        return 0, (height - kept) // 2, width, kept
    return 0, 0, width, height


def decode_scale(width: int, height: int, specs: Sequence[PixelSpec]) -> float:
    """Return the smallest factor, at most 1, by which an image may shrink before `resize.fit`."""
    scale = 0.0 if specs else 1.0
    shorter, longer = min(width, height), max(width, height)
    for spec in specs:
        if spec.fit == "any":
            wanted = spec.min_side / shorter if spec.min_side else 1.0
        elif spec.fit == "inside":
            wanted = spec.max_side / longer
        elif spec.fit == "stretch":
            wanted = max(spec.width / width, spec.height / height)
        else:
            wanted = cover_scale(width, height, spec)
        scale = max(scale, wanted, spec.min_side / shorter)
    return min(scale, 1.0)


def cover_scale(width: int, height: int, spec: PixelSpec) -> float:
    """Return the factor of fit="cover": shorter side to `shortest_edge`, at least the crop's size."""
    return max(spec.shortest_edge / min(width, height), spec.width / width, spec.height / height)
