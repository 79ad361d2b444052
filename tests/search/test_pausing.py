"""The garbage collector rests while many questions are answered, and only then."""

from __future__ import annotations

import gc

import pytest

from lookalike.search.pausing import MANY, uncollected


def test_it_rests_in_a_large_batch_and_works_again_after_it() -> None:
    assert gc.isenabled()
    with uncollected(MANY):
        assert not gc.isenabled()
    assert gc.isenabled()
    with uncollected(MANY - 1):
        assert gc.isenabled()


def test_an_error_in_the_batch_does_not_leave_it_off() -> None:
    with pytest.raises(ValueError, match="broken"), uncollected(MANY):
        raise ValueError("broken")
    assert gc.isenabled()


def test_who_has_switched_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with uncollected(MANY):
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
