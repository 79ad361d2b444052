"""Limits on the time and memory that one image may cost, and what a task that exceeds them gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lookalike.errors import Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on processing one image. A file that needs more gets an outcome that says so.

    timeout     seconds per file: reading, decoding and extraction in the worker together
    max_pixels  width × height as stated in the header, checked before decoding
    max_memory  bytes of address space that a worker may add to what it has at start; None: half of
                the machine's memory divided by the number of workers, at least 1 GiB
    """

    timeout: float = 20.0
    max_pixels: int = 512_000_000
    max_memory: int | None = None

    def for_indexed(self) -> Limits:
        """Return limits for images of a library: indexing has accepted them, whatever queries may cost."""
        return replace(self, max_pixels=max(self.max_pixels, Limits().max_pixels))


@dataclass(frozen=True, slots=True)
class Failure:
    """The result of a task that failed, with the outcome of its file and the reason as a sentence.

    The pool gives it for a task whose worker was lost (`timed_out`, `out_of_memory` or
    `unreadable`); work may also return it itself.
    """

    outcome: Outcome
    reason: str
