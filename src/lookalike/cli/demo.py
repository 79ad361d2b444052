"""`lookalike demo`: everything once, on drawn products or on one's own photos."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli import format, open_library, output, parameters
from lookalike.cli.hit_output import write_hits
from lookalike.cli.index import files, summary
from lookalike.cli.progress import ProgressBar
from lookalike.errors import Outcome, UsageError

if TYPE_CHECKING:
    from lookalike.catalogue.products import Product
    from lookalike.library import Library
    from lookalike.query import Hits

_VIEWS = 5  # pictures of each product in the catalogue; the query is the view after the last
# The product that is asked for, of any catalogue that has so many: a mug that shows well. Of 120 products
# asked for in this way among 200, 99 % are among the ten hits, 71 % are the first (benchmarks/demo.py).
_ASKED = 67


@click.command("demo")
@click.option(
    "--photos",
    type=parameters.PATH,
    metavar="DIR",
    help="Use this folder of your own pictures; nothing is written into it.",
)
@click.option(
    "--folder",
    type=parameters.PATH,
    metavar="DIR",
    default=Path("lookalike-demo"),
    show_default=True,
    help="Where the drawn pictures and the library go.",
)
@click.option(
    "--products",
    type=click.IntRange(min=1),
    metavar="N",
    default=200,
    show_default=True,
    help=f"How many products are drawn, {_VIEWS} pictures of each.",
)
@click.option(
    "--grid",
    type=parameters.FIGURE,
    metavar="OUT.png",
    default=Path("search_results.png"),
    show_default=True,
    help="Where the question and its hits are drawn.",
)
def command(photos: Path | None, folder: Path, products: int, grid: Path) -> None:
    """Show what this is about: make pictures, index them, search them.

    Draws a small simulated shop, indexes it, and asks for one of its products with a picture that
    is not among them. With --photos it does the same with your own pictures.
    """
    from lookalike.catalogue.products import make_product
    from lookalike.library import Library

    if photos is not None:
        # `make demo PHOTOS=~/Pictures` hands the tilde on as it is in zsh.
        photos = photos.expanduser()
        if not photos.is_dir():
            raise UsageError(f"there is no folder {photos}")
        with Library.create(photos, folder=_home(folder / "photos")) as library:
            query = _index_photos(library, photos)
            _finish(library, query, _ask(library, query), grid)
        return
    shop = folder / "products"
    query = _draw(folder, shop, products)
    with Library.create(shop, folder=_home(folder)) as library:
        _index_shop(library, shop)
        hits = _ask(library, query)
        _judge(hits, make_product(_asked(products)))
        _finish(library, query, hits, grid)


def _asked(products: int) -> int:
    return min(_ASKED, products - 1)


def _judge(hits: Hits, asked: Product) -> None:
    """Say what nobody can say about real photos: how many of the hits are right."""
    same = sum(hit.metadata.get("product") == asked.code for hit in hits.hits)
    kind = sum(hit.metadata.get("kind") == asked.kind for hit in hits.hits)
    output.put(
        f"\nAsked for: {asked.caption} ({asked.code}). Of the {len(hits)} hits, {same} "
        f"{'is' if same == 1 else 'are'} the same product, {kind} are of its kind."
    )


def _home(folder: Path) -> Path:
    """The library's folder, made; `UsageError` where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make {folder}: {error.strerror}; choose another with --folder"
        ) from error
    return folder / ".lookalike"


def _draw(folder: Path, shop: Path, products: int) -> Path:
    """The catalogue as files, and beside it a picture that is not in it."""
    from lookalike.catalogue.generate import view_pictures, write_catalogue
    from lookalike.catalogue.products import make_product

    _home(folder)
    output.note(f"Drawing {format.counted(products * _VIEWS, 'picture')} of products in {shop} …")
    query = folder / "query.jpg"
    try:
        with ProgressBar("Drawing") as line:
            write_catalogue(shop, products=products, views=_VIEWS, progress=line.count)
        product = make_product(_asked(products))
        query.write_bytes(next(view_pictures(product, range(_VIEWS, _VIEWS + 1))))
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}") from error
    return query


def _index_shop(library: Library, shop: Path) -> None:
    from lookalike.indexing.report import IndexOptions

    with ProgressBar("Indexing") as line:
        options = IndexOptions(metadata=shop / "products.csv")
        added = library.add([shop], options=options, progress=line)
    output.note(summary(added))


def _index_photos(library: Library, photos: Path) -> Path:
    """Index the folder; one of its pictures is the question."""
    with ProgressBar("Indexing") as line:
        added = library.add([photos], progress=line)
    output.note(summary(added))
    images = library.failures({Outcome.INDEXED}, below=photos) if files(added) else iter(())
    image = next(images, None)
    if image is None:
        raise UsageError(f"there are no pictures in {photos}")
    roots = {root.id: root.path for root in library.info().roots}
    return roots[image.root] / image.path


def _ask(library: Library, query: Path) -> Hits:
    from lookalike.query import Query

    output.note(f"What looks like {open_library.shown(query)}?\n")
    question = Query.of(query)
    hits = library.search(question)
    write_hits(hits, "table", query=question)
    return hits


def _finish(library: Library, query: Path, hits: Hits, grid: Path) -> None:
    """Draw the hits, and say what to try next."""
    from lookalike.viz.result_grid import result_grid

    result_grid([query], hits, grid)
    output.flush()
    output.note(f"\nThe hits as pictures: {open_library.shown(grid)}")
    again = f"search {shlex.quote(open_library.shown(query))}"
    output.note(f"Next: {open_library.typed(library.folder, again)}")
    named = shlex.quote(open_library.shown(open_library.named_by(library.folder)))
    output.note(f"The page: {open_library.program()} serve {named} --open")
