"""Questions that come at the same time, answered together.

One question reads all vectors once; thirty-two read them once, too. And products of matrices that run
at the same time fight for the same cores: with four threads each takes more than four times as long.
So questions that only compare stored vectors are answered by one thread, all that wait at a time.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.query import Hits, Query
from lookalike.server.errors import Refusal

AT_ONCE = 32
"""Questions of one product: beyond it the time grows as their number does."""

PATIENT_AT_ONCE = 8
"""Of those that can wait: whoever comes meanwhile waits for no more than these."""

CALM_SECONDS = 2.0
"""After an urgent question those that can wait are taken one by one for so long: another may follow, and
would find a product of many under way every time."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A question that waits for its answer."""

    question: Query
    since: float
    urgent: bool
    answer: Future[Hits] = field(default_factory=Future)


class Gathering:
    """One thread that answers questions together. For any number of threads."""

    def __init__(
        self,
        library: Library,
        *,
        waiting: int,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._library = library
        self._clock = clock
        self._most = waiting
        self._patience = patience
        self._urgent: deque[Asked] = deque()
        self._patient: deque[Asked] = deque()
        self._worked = self._visited = -math.inf
        """When the last product began, and the last one with an urgent question in it."""
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        return len(self._urgent) + len(self._patient)

    def submit(self, question: Query, *, patient: bool = False) -> Future[Hits]:
        """The answer to come. `patient`: let others go before. `Refusal` 429 where too many wait."""
        asked = Asked(question, self._clock(), urgent=not patient)
        with self._changed:
            if self._closed:
                raise Refusal(503, "the server is going down")
            if not patient and len(self._urgent) >= self._most:
                raise Refusal(
                    429,
                    "too many searches wait already: try again in a moment",
                    {"Retry-After": "1"},
                )
            (self._patient if patient else self._urgent).append(asked)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="lookalike-gathering", daemon=True
                )
                self._thread.start()
            self._changed.notify()
        return asked.answer

    def close(self) -> None:
        """Whoever still waits is told so."""
        with self._changed:
            self._closed = True
            left = [*self._urgent, *self._patient]
            self._urgent.clear()
            self._patient.clear()
            self._changed.notify()
        for asked in left:
            with suppress(Exception):  # nobody may wait for it any more
                asked.answer.set_exception(Refusal(503, "the server is going down"))

    def _work(self) -> None:
        while some := self._take():
            wanted = [asked for asked in some if asked.answer.set_running_or_notify_cancel()]
            self._worked = self._clock()
            late = self._worked - self._patience
            if some[0].urgent:
                self._visited = self._worked
            for asked in wanted:
                if asked.since < late:
                    asked.answer.set_exception(
                        Refusal(
                            503, "the server is too busy: try again later", {"Retry-After": "5"}
                        )
                    )
            if in_time := [asked for asked in wanted if asked.since >= late]:
                self._answer(in_time)

    def _take(self) -> list[Asked]:
        with self._changed:
            while not self._urgent and not self._patient and not self._closed:
                self._changed.wait()
            most, source = AT_ONCE, self._urgent
            if not self._urgent:
                calm = self._worked - self._visited > CALM_SECONDS
                most, source = PATIENT_AT_ONCE if calm else 1, self._patient
            return [source.popleft() for _ in range(min(most, len(source)))]

    def _answer(self, some: list[Asked]) -> None:
        try:
            found = self._library.search_batch([asked.question for asked in some])
        except Exception as error:
            for asked in some:
                asked.answer.set_exception(error)
            return
        for asked, hits in zip(some, found, strict=True):
            if hits.failure:
                asked.answer.set_exception(UsageError(hits.failure))
            else:
                asked.answer.set_result(hits)


def is_light(question: Query) -> bool:
    """Does answering it only compare stored vectors? No picture to read, no words, no keypoints."""
    return (
        all(term.id is not None and term.region is None for term in question.terms)
        and not question.any_orientation
        and question.verify is None
    )
