"""Set-up for the tests of worker processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.workers import worker_process

# Workers import `tests.workers.pool_tasks`, however pytest was started.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(autouse=True, scope="module")
def ended_with_their_pool() -> Iterator[None]:
    """End workers with their pool, which is the default."""
    worker_process.keep(0)
    worker_process.end_prestarted()
    yield
    worker_process.keep(
        2, ignored=["PYTEST_CURRENT_TEST", "COLUMNS", "LOOKALIKE_LIBRARY", "HOME", "XDG_DATA_HOME"]
    )
