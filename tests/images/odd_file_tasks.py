"""Work for the tests of odd files, imported by the workers."""

from __future__ import annotations

from lookalike.errors import ImageError
from lookalike.images.decode import decode
from lookalike.images.pixel_spec import Pixels, PixelSpec
from lookalike.images.reading import read
from lookalike.images.resize import fit
from lookalike.workers.limits import Failure


def read_and_fit(task: tuple[str, PixelSpec]) -> Pixels | Failure:
    """Return the pixels of a file as an extractor with these needs gets them."""
    path, needs = task
    try:
        return fit(decode(read(path).data, specs=[needs], name=path).pixels, needs)
    except ImageError as error:
        return Failure(error.outcome, error.reason)
