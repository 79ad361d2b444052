"""The simulated product catalogue: pictures whose ground truth is known, drawn in seconds.

    rows = write_catalogue(Path("shop"), products=200, views=5)

writes `shop/mug/p0001-0.jpg` ... and `shop/products.csv`. The folder of a picture is its kind, so
the catalogue is also a labelled folder of folders.
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

__all__ = ["KINDS", "Row", "draw_query", "view_pictures", "write_catalogue"]

MANIFEST = "products.csv"
_SMALLEST, _LARGEST = 32, 1024


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of the catalogue, as `products.csv` lists it."""

    path: str
    """Where the picture is, relative to the catalogue's folder, with forward slashes."""
    product: str
    """The product it shows ("p0012"): pictures with the same one are views of the same thing."""
    kind: str
    """What it is: one of `KINDS`."""
    colour: str
    """The main colour, a name of the palette."""
    price: float
    """In euros."""
    caption: str
    """What a person would say it is: "a red and white striped mug with a gold star"."""
    accent: str
    """The second colour: of the pattern and of details."""
    pattern: str
    """What is printed on it; "plain" for nothing."""
    logo: str
    """The figure it carries."""
    name: str
    """What the shop calls it."""
    view: int
    """Which picture of the product; 0 is the studio picture."""


def write_catalogue(
    folder: Path,
    *,
    products: int = 200,
    views: int = 5,
    seed: int = 0,
    size: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """Write `products` x `views` JPEG pictures of `size` pixels a side, and `products.csv`.

    The same arguments give the same bytes (with the same versions of NumPy and OpenCV on the same
    kind of machine); more products or more views add pictures and change none. Files are put in
    place whole, and `products.csv` last, so that an interrupted run is finished by running it
    again. Pictures of an earlier, larger catalogue in the same folder stay.

    `progress` is called with (pictures written, pictures in all). Raises ValueError for numbers
    that make no catalogue, and OSError when the folder cannot be written to.
    """
    _check(products, views, seed, size)
    rows: list[Row] = []
    for number in range(products):
        product = make_product(number, seed=seed)
        shelf = folder / _shelf(product)
        shelf.mkdir(parents=True, exist_ok=True)
        for view, data in enumerate(view_pictures(product, range(views), size=size)):
            row = _row(product, view)
            _put(folder / row.path, data)
            rows.append(row)
            if progress is not None:
                progress(len(rows), products * views)
    _put(folder / MANIFEST, _csv(rows))
    return rows


def view_pictures(product: Product, views: range, *, size: int = 256) -> Iterator[bytes]:
    """The JPEG files of some views of a product, which is drawn once for all of them."""
    sprite = draw_product(product, size=size)
    for number in views:
        view = make_view(product.number, number, seed=product.seed)
        yield encode_jpeg(render_view(sprite, view, size=size), view.quality)


def draw_query(product: int, view: int, *, seed: int = 0, size: int = 256) -> Pixels:
    """One view as pixels, `(size, size, 3)` uint8 RGB, written nowhere.

    With `view` at or above the catalogue's `views` it is a picture the catalogue does not contain.
    """
    _check(1, 1, seed, size)
    sprite = draw_product(make_product(product, seed=seed), size=size)
    return render_view(sprite, make_view(product, view, seed=seed), size=size)


def _check(products: int, views: int, seed: int, size: int) -> None:
    if products < 1:
        raise ValueError(f"a catalogue needs at least 1 product, not {products}")
    if views < 1:
        raise ValueError(f"a product needs at least 1 view, not {views}")
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    if not _SMALLEST <= size <= _LARGEST:
        raise ValueError(f"pictures can be {_SMALLEST} to {_LARGEST} pixels a side, not {size}")


def _shelf(product: Product) -> str:
    return product.kind.replace(" ", "-")


def _row(product: Product, view: int) -> Row:
    return Row(
        path=str(PurePosixPath(_shelf(product), f"{product.code}-{view}.jpg")),
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


def _put(path: Path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)
