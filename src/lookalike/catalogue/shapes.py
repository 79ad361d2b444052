"""Draw a `Product` as a `Sprite`, which any number of views can light and place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lookalike.catalogue.kinds import accessories, carry, clothes, desk, home, play, table
from lookalike.catalogue.patterns import pattern_mask
from lookalike.catalogue.products import Product
from lookalike.catalogue.relief_canvas import Plane, Print, ReliefCanvas

# On a smaller canvas seams, strings and clock hands would be too thick, so smaller sprites are drawn at
# this size and averaged down.
_MIN_CANVAS = 192

_DRAW_KIND: dict[str, Callable[[ReliefCanvas, Product, Print], None]] = {
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
    """A drawn product without lighting, cropped to its bounds of `h` by `w` pixels.

    `colour` is `(3, h, w)` float32 RGB 0 to 1, `normal` is `(3, h, w)` (x right, y down, z to the
    camera), `gloss` and `alpha` are `(h, w)`. Colour and gloss are premultiplied with alpha.
    """

    product: Product
    colour: Plane
    normal: Plane
    gloss: Plane
    alpha: Plane


def draw_product(product: Product, *, size: int = 256) -> Sprite:
    """Return the sprite of a product for images of `size` pixels a side."""
    side = max(size, _MIN_CANVAS)
    canvas = ReliefCanvas(side)
    mask = pattern_mask(
        product.pattern, side, pitch=product.pitch, phase=product.phase, turn=product.turn
    )
    _DRAW_KIND[product.kind](canvas, product, Print(mask, product.accent_rgb))
    planes = canvas.planes
    if side != size:
        planes = np.stack(
            [cv2.resize(plane, (size, size), interpolation=cv2.INTER_AREA) for plane in planes]
        )
    columns, rows = (np.flatnonzero(planes[6].max(axis) > 0.02) for axis in (0, 1))
    planes = np.ascontiguousarray(planes[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    slope_x, slope_y = planes[3], planes[4]
    facing = np.sqrt(np.maximum(0, 1 - slope_x * slope_x - slope_y * slope_y))
    return Sprite(product, planes[:3], np.stack([slope_x, slope_y, facing]), planes[5], planes[6])
