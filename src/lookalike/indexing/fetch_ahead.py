"""Fetches the content of remote images before the workers need it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from lookalike.errors import ImageError
from lookalike.images.remote import fetch

T = TypeVar("T")

# Fetches at once: a request to an object storage takes some 30 ms, decoding an image 5 ms on each core.
THREADS = 24
# Bytes that may be on their way, by the sizes that were listed; a larger image is fetched alone.
AHEAD_BYTES = 192 << 20


def fetch_ahead(
    files: Iterable[T], paths_of: Callable[[T], Sequence[str]], size_of: Callable[[T], int]
) -> Iterator[tuple[T, list[bytes | ImageError]]]:
    """Yield files in their order with what is at their paths, or why that could not be fetched."""
    source = iter(files)
    waiting: deque[tuple[T, int, Future[list[bytes | ImageError]]]] = deque()
    ahead = 0
    exhausted = False
    with ExitStack() as stack:
        threads = ThreadPoolExecutor(THREADS, "lookalike-fetch")
        # If the run is interrupted, requests in flight are not waited for.
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        while True:
            while (
                not exhausted
                and len(waiting) < 2 * THREADS
                and (ahead < AHEAD_BYTES or not waiting)
            ):
                file = next(source, None)
                if file is None:
                    exhausted = True
                    break
                size = size_of(file)
                ahead += size
                waiting.append((file, size, threads.submit(_all, paths_of(file))))
            if not waiting:
                return
            file, size, future = waiting.popleft()
            ahead -= size
            yield file, future.result()


def _all(paths: Sequence[str]) -> list[bytes | ImageError]:
    return [_fetched(path) for path in paths]


def _fetched(path: str) -> bytes | ImageError:
    try:
        return fetch(path)
    except ImageError as error:
        return error
