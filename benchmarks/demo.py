"""Quality of the search in `lookalike demo`: queries are views of its products that it does not contain.

    python benchmarks/demo.py [--products 200] [--queries 120]

Prints in how many cases the product itself is among the ten hits, and first, by the default extractor.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from lookalike import Library, Query
from lookalike.catalogue.generate import draw_query, write_catalogue

VIEWS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--queries", type=int, default=120)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = Path(scratch) / "shop"
        write_catalogue(shop, products=options.products, views=VIEWS)
        with Library.create(shop) as library:
            library.add([shop])
            queries = [Query.of(draw_query(number, VIEWS)) for number in range(options.queries)]
            answers = library.search_batch(queries)
    among = first = 0
    for number, answer in enumerate(answers):
        own = [f"p{number:04d}-" in hit.path for hit in answer.hits]
        among += any(own)
        first += own[0]
    print(f"{options.queries} of {options.products} products searched for")
    print(
        f"  among the ten hits {among / options.queries:.0%}, first {first / options.queries:.0%}"
    )


if __name__ == "__main__":
    main()
