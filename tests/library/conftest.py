"""Fixtures for the tests of indexing."""

from __future__ import annotations

import pytest

from lookalike.indexing import indexer


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look up, extract and report a few files at a time, so that a small run can be interrupted."""
    for name, value in {
        "CHUNK": 4,
        "REPORT_SECONDS": 0.0,
        "EXTRACTOR_BATCH": 8,
        "MAX_WAITING": 0,
        "MAX_WAITING_OF_ANY_SIZE": 0,
    }.items():
        monkeypatch.setattr(indexer, name, value)
