"""Python's garbage collector at rest while a batch is answered.

Tens of thousands of images and hits are made, none of them in a cycle; the collector would go through them,
and through all that the program holds beside, again and again: a twentieth of a batch's time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 64
"""Questions from which it is worth a thought."""


@contextmanager
def uncollected(questions: int) -> Iterator[None]:
    """The collector rests in the block, unless there are few questions or somebody has switched it off
    already. Of two batches at the same time the first that ends switches it on again: no harm is done."""
    if questions < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
