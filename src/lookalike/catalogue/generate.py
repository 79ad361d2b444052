"""Simulated product catalogue: drawn images with known ground truth, made in seconds.

    rows = write_catalogue(Path("shop"), products=200, views=5)

writes `shop/mug/p0001-0.jpg` ... and `shop/products.csv`. The folder of an image is its kind,
so the catalogue is also a labelled folder of folders.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

from lookalike.catalogue.products import KINDS, Product, make_product
from lookalike.catalogue.relief_canvas import Pixels
from lookalike.catalogue.scene import encode_jpeg, make_view, render_view
from lookalike.catalogue.shapes import draw_product
from lookalike.files import atomic_write

__all__ = ["KINDS", "Row", "draw_query", "view_images", "write_catalogue"]

MANIFEST = "products.csv"
_SMALLEST, _LARGEST = 32, 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One image of the catalogue, as `products.csv` lists it."""

    path: str
    """Path of the image relative to the catalogue's folder, with forward slashes."""
    product: str
    """Code of the product ("p0012"): images with the same code are views of one product."""
    kind: str
    """One of `KINDS`."""
    colour: str
    """Main colour, a name of the palette."""
    price: float
    """In euros."""
    caption: str
    """Description as a person would give it: "a red and white striped mug with a gold star"."""
    accent: str
    """Second colour, of the pattern and of details."""
    pattern: str
    """Name of the printed pattern; "plain" for none."""
    logo: str
    """Name of its logo."""
    name: str
    """Product name in the shop."""
    view: int
    """Number of the view; 0 is the studio image."""


def write_catalogue(
    folder: Path,
    *,
    products: int = 200,
    views: int = 5,
    seed: int = 0,
    size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Write `products` x `views` JPEG images of `size` pixels a side, and `products.csv`.

    The same arguments give the same bytes (with the same versions of NumPy and OpenCV on the same
    kind of machine); more products or views add images and change none. Files are written atomically
    and `products.csv` last, so an interrupted run is completed by running it again. Images of an
    earlier, larger catalogue in the same folder stay.

    `progress` is called with (images written, total). Raises ValueError for invalid numbers, and
    OSError if the folder cannot be written to.
    """
    _check(products, views, seed, size)
    rows: list[Row] = []
    for number in range(products):
        product = make_product(number, seed=seed)
        kind_folder = folder / _kind_folder(product)
        kind_folder.mkdir(parents=True, exist_ok=True)
        for view, data in enumerate(view_images(product, range(views), size=size)):
            row = _row(product, view)
            _write(folder / row.path, data)
            rows.append(row)
            if progress is not None:
                progress(len(rows), products * views)
    _write(folder / MANIFEST, _csv(rows))
    return rows


def view_images(product: Product, views: range, *, size: int = 256) -> Iterator[bytes]:
    """Yield the JPEG files of some views of a product, which is drawn once for all of them."""
    sprite = draw_product(product, size=size)
    for number in views:
        view = make_view(product.number, number, seed=product.seed)
        yield encode_jpeg(render_view(sprite, view, size=size), view.quality)


def draw_query(product: int, view: int, *, size: int = 256) -> Pixels:
    """Return one view as pixels, `(size, size, 3)` uint8 RGB.

    With `view` at or above the catalogue's `views` it is an image that the catalogue does not contain.
    """
    sprite = draw_product(make_product(product), size=size)
    return render_view(sprite, make_view(product, view), size=size)


def _check(products: int, views: int, seed: int, size: int) -> None:
    if products < 1:
        raise ValueError(f"a catalogue needs at least 1 product, not {products}")
    if views < 1:
        raise ValueError(f"a product needs at least 1 view, not {views}")
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError(f"images can be {_SMALLEST} to {_LARGEST} pixels a side, not {size}")


def _kind_folder(product: Product) -> str:
    return product.kind.replace(" ", "-")


def _row(product: Product, view: int) -> Row:
    return Row(
        path=str(PurePosixPath(_kind_folder(product), f"{product.code}-{view}.jpg")),
        product=product.code,
        kind=product.kind,
        colour=product.colour,
        price=product.price,
        caption=product.caption,
        accent=product.accent,
        pattern=product.pattern,
        logo=product.logo,
        name=product.name,
        view=view,
    )


def _csv(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**asdict(row), "price": f"{row.price:.2f}"} for row in rows)
    return text.getvalue().encode()


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)
