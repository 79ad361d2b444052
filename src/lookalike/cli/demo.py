"""`lookalike demo`: index and search a simulated catalogue, or your own photos."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.hit_output import write_hits
from lookalike.cli.index_report import count_files, summary
from lookalike.cli.progress import ProgressBar
from lookalike.errors import Outcome, UsageError

if TYPE_CHECKING:
    from lookalike.catalogue.products import Product
    from lookalike.library import Library
    from lookalike.query import Hits

# Images of each product in the catalogue; the query is the view after the last.
_VIEWS = 5
# Number of the product to search for, a mug. Of 120 products searched in this way among 200, 99 % are among
# the ten hits, 71 % come first (benchmarks/demo.py).
_PRODUCT = 67


@click.command("demo")
@click.option(
    "--photos",
    type=parameters.PATH,
    metavar="DIR",
    help="Use this folder of your own images; nothing is written into it.",
)
@click.option(
    "--folder",
    type=parameters.PATH,
    metavar="DIR",
    default=Path("lookalike-demo"),
    show_default=True,
    help="Folder for the drawn images and the library.",
)
@parameters.count_option(
    "--products", f"Number of products to draw, {_VIEWS} images of each.", default=200
)
@parameters.figure_option(
    "--grid", "File to draw the query and its hits into.", default="search_results.png"
)
def command(photos: Path | None, folder: Path, products: int, grid: Path) -> None:
    """Draw images, index them, search them.

    Draws a small simulated catalogue, indexes it, and searches for one of its products with an image that
    is not in it. With --photos it does the same with your own images.
    """
    from lookalike.catalogue.products import make_product
    from lookalike.library import Library

    if photos is not None:
        # zsh passes the tilde of `make demo PHOTOS=~/Pictures` unexpanded.
        photos = photos.expanduser()
        if not photos.is_dir():
            raise UsageError(f"there is no folder {photos}")
        with Library.create(photos, folder=_home(folder / "photos")) as library:
            query = _index_photos(library, photos)
            _finish(library, query, _search(library, query), grid)
        return
    shop = folder / "products"
    query = _draw(folder, shop, products)
    with Library.create(shop, folder=_home(folder)) as library:
        _index_shop(library, shop)
        hits = _search(library, query)
        _report(hits, make_product(_product_number(products)))
        _finish(library, query, hits, grid)


def _product_number(products: int) -> int:
    return min(_PRODUCT, products - 1)


def _report(hits: Hits, product: Product) -> None:
    """Print how many of the hits are right, which is known for simulated products."""
    same = sum(hit.metadata.get("product") == product.code for hit in hits.hits)
    kind = sum(hit.metadata.get("kind") == product.kind for hit in hits.hits)
    output.put(
        f"\nQuery: {product.caption} ({product.code}). Of the {len(hits)} hits, {same} "
        f"{'is' if same == 1 else 'are'} the same product, {kind} are of its kind."
    )


def _home(folder: Path) -> Path:
    """Create and return the library's folder; raise `UsageError` where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make {folder}: {error.strerror}; choose another with --folder"
        ) from error
    return folder / ".lookalike"


def _draw(folder: Path, shop: Path, products: int) -> Path:
    """Draw the catalogue and beside it an image that is not in it; return that image's path."""
    from lookalike.catalogue.generate import view_images, write_catalogue
    from lookalike.catalogue.products import make_product

    _home(folder)
    output.note(f"Drawing {format.counted(products * _VIEWS, 'image')} of products in {shop} …")
    query = folder / "query.jpg"
    try:
        with ProgressBar("Drawing") as bar:
            write_catalogue(shop, products=products, views=_VIEWS, progress=bar.count)
        product = make_product(_product_number(products))
        query.write_bytes(next(view_images(product, range(_VIEWS, _VIEWS + 1))))
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}") from error
    return query


def _index_shop(library: Library, shop: Path) -> None:
    from lookalike.indexing.report import IndexOptions

    with ProgressBar("Indexing") as bar:
        options = IndexOptions(metadata=shop / "products.csv")
        added = library.add([shop], options=options, progress=bar)
    output.note(summary(added))


def _index_photos(library: Library, photos: Path) -> Path:
    """Index the folder and return one of its images as the query."""
    with ProgressBar("Indexing") as bar:
        added = library.add([photos], progress=bar)
    output.note(summary(added))
    images = library.files({Outcome.INDEXED}, below=photos) if count_files(added) else iter(())
    image = next(images, None)
    if image is None:
        raise UsageError(f"there are no images in {photos}")
    roots = {root.id: root.path for root in library.info().roots}
    return roots[image.root] / image.path


def _search(library: Library, image: Path) -> Hits:
    from lookalike.query import Query

    output.note(f"What looks like {open_library.display_path(image)}?\n")
    query = Query.of(image)
    hits = library.search(query)
    write_hits(hits, "table", query=query)
    return hits


def _finish(library: Library, query: Path, hits: Hits, grid: Path) -> None:
    """Draw the hits and suggest what to try next."""
    from lookalike.viz.result_grid import result_grid

    result_grid([query], hits, grid)
    output.flush()
    output.note(f"\nThe hits as an image: {open_library.display_path(grid)}")
    again = f"search {shlex.quote(open_library.display_path(query))}"
    output.note(f"Next: {open_library.command_line(library.address, again)}")
    named = shlex.quote(open_library.display_path(open_library.library_name(library.folder)))
    output.note(f"The page: {open_library.program()} serve {named} --open")
