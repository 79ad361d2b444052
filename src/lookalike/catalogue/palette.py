"""Named colours, shared by captions and drawings."""

from __future__ import annotations

import math

from lookalike.catalogue.relief_canvas import Rgb


def _rgb(code: str) -> Rgb:
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


# Far enough from each other that anyone can name each without doubt. White and black are not extreme, so
# that light and shade remain visible on them.
COLOURS: dict[str, Rgb] = {
    "red": _rgb("c62a2f"),
    "orange": _rgb("e8792a"),
    "yellow": _rgb("edc630"),
    "green": _rgb("3a8f4a"),
    "olive": _rgb("7d7f3a"),
    "mint": _rgb("8fd0b0"),
    "teal": _rgb("1d7f83"),
    "sky blue": _rgb("7fb9e0"),
    "blue": _rgb("2c5fb8"),
    "navy": _rgb("25315c"),
    "purple": _rgb("6f4396"),
    "lilac": _rgb("b9a2d8"),
    "pink": _rgb("e58aa8"),
    "burgundy": _rgb("74233a"),
    "brown": _rgb("80532f"),
    "tan": _rgb("c29a6b"),
    "cream": _rgb("ece0c3"),
    "white": _rgb("f0efec"),
    "grey": _rgb("8c9096"),
    "black": _rgb("2c2d31"),
}
LOGO_COLOURS: dict[str, Rgb] = {
    "gold": _rgb("d9a520"),
    "silver": _rgb("c3c8ce"),
    **{
        name: COLOURS[name] for name in ("white", "black", "red", "blue", "green", "yellow", "pink")
    },
}

STEEL = _rgb("b9bec5")
BRASS = _rgb("c39a45")
CHARCOAL = _rgb("333438")
RUBBER = _rgb("26272a")
PAPER = _rgb("f3efe4")
GLASS = _rgb("bcd6e2")
OAK = _rgb("b98a56")
WALNUT = _rgb("6d4a30")
LEATHER = _rgb("8a5a34")
LEAF = _rgb("4f8a45")


def luma(colour: Rgb) -> float:
    """Return the perceived brightness, 0 to 1 (Rec. 601 weights)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def mixed(a: Rgb, b: Rgb, share: float) -> Rgb:
    """Return `a` mixed with a fraction (0 to 1) of `b`."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def darker(colour: Rgb, share: float = 0.3) -> Rgb:
    """Return the colour mixed with a fraction of black."""
    return mixed(colour, (0.02, 0.02, 0.03), share)


def lighter(colour: Rgb, share: float = 0.3) -> Rgb:
    """Return the colour mixed with a fraction of white."""
    return mixed(colour, (1.0, 1.0, 1.0), share)


def distance(a: Rgb, b: Rgb) -> float:
    """Return how different two colours look, from 0 to about 1 for black and white.

    Mean of the Euclidean distance in RGB and the difference in brightness, which counts most in a pattern.
    """
    plain = math.dist(a, b) / math.sqrt(3)
    return 0.5 * plain + 0.5 * abs(luma(a) - luma(b))
