"""Speed of drawing the simulated catalogue on one core.

    python benchmarks/catalogue.py [--products 200] [--views 5] [--size 256]

Times are CPU times of the process, so that a busy machine does not affect them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2

from lookalike.catalogue.generate import write_catalogue
from lookalike.catalogue.products import make_product
from lookalike.catalogue.shapes import draw_product


def main() -> None:
    """Draw a catalogue and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--views", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    cv2.setNumThreads(1)  # one core, whatever the machine has
    with tempfile.TemporaryDirectory() as folder:
        # The first images also make the surfaces that all later ones share.
        write_catalogue(Path(folder), products=2, views=options.views, size=options.size)
        wall, cpu = time.perf_counter(), time.process_time()
        rows = write_catalogue(
            Path(folder), products=options.products, views=options.views, size=options.size
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    start = time.process_time()
    for number in range(min(44, options.products)):
        draw_product(make_product(number), size=options.size)
    each = (time.process_time() - start) / min(44, options.products)
    print(f"images                  {len(rows)} of {options.size}x{options.size}")
    print(f"images/s per core       {len(rows) / cpu:.0f}")
    ratio = 1000 / len(rows)
    print(f"seconds per 1,000       {cpu * ratio:.2f} CPU, {wall * ratio:.2f} elapsed")
    print(f"drawing one product     {each * 1000:.1f} ms, shared by its {options.views} views")


if __name__ == "__main__":
    main()
