"""Products, drawn: from a `Product` to a `Sprite`, which any number of views light and place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lookalike.datasets.clay import Clay, Plane, Print
from lookalike.datasets.kinds import accessories, carry, clothes, desk, home, play, table
from lookalike.datasets.patterns import pattern_ink
from lookalike.datasets.products import Product

# A product is modelled this much larger than its picture, then averaged down: the antialiasing
# that thin lines (strings, seams, clock hands) need.
_OVERSAMPLING = 1.25

_ARTISTS: dict[str, Callable[[Clay, Product, Print], None]] = {
    "shoe": clothes.shoe,
    "mug": table.mug,
    "bag": carry.bag,
    "chair": home.chair,
    "lamp": home.lamp,
    "bottle": table.bottle,
    "watch": accessories.watch,
    "shirt": clothes.shirt,
    "hat": clothes.hat,
    "teapot": table.teapot,
    "guitar": play.guitar,
    "sofa": home.sofa,
    "toy car": play.toy_car,
    "book": desk.book,
    "vase": table.vase,
    "backpack": carry.backpack,
    "headphones": accessories.headphones,
    "sunglasses": accessories.sunglasses,
    "camera": desk.camera,
    "umbrella": accessories.umbrella,
    "clock": desk.clock,
    "teddy bear": play.teddy_bear,
}


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A drawn product before any light falls on it.

    `colour` is `(s, s, 3)` float32 RGB 0 to 1; `slope` is `(s, s, 2)`, the x and y parts of the
    unit normal; `gloss` and `alpha` are `(s, s)`. `bounds` is (x0, y0, x1, y1) of what is not
    transparent, as shares of the side. Colours are premultiplied with alpha.
    """

    product: Product
    colour: Plane
    slope: Plane
    gloss: Plane
    alpha: Plane
    bounds: tuple[float, float, float, float]


def draw_product(product: Product, *, size: int = 256) -> Sprite:
    """Draw the product for pictures of `size` pixels; the sprite's side is the same `size`."""
    side = max(round(size * _OVERSAMPLING), 192)
    clay = Clay(side)
    ink = pattern_ink(
        product.pattern, side, pitch=product.pitch, phase=product.phase, turn=product.turn
    )
    _ARTISTS[product.kind](clay, product, Print(ink, product.accent_rgb))
    return _sprite(clay, product, size)


def _sprite(clay: Clay, product: Product, size: int) -> Sprite:
    colour = cv2.merge((clay.red, clay.green, clay.blue))
    colour = cv2.resize(colour, (size, size), interpolation=cv2.INTER_AREA)
    rest = cv2.resize(
        cv2.merge((clay.slope_x, clay.slope_y, clay.gloss, clay.alpha)),
        (size, size),
        interpolation=cv2.INTER_AREA,
    )
    slope_x, slope_y, gloss, alpha = cv2.split(rest)
    columns, rows = np.flatnonzero(alpha.max(0) > 0.3), np.flatnonzero(alpha.max(1) > 0.3)
    bounds = (columns[0] / size, rows[0] / size, (columns[-1] + 1) / size, (rows[-1] + 1) / size)
    return Sprite(product, colour, cv2.merge((slope_x, slope_y)), gloss, alpha, bounds)
