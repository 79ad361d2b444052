"""Numbers in the format of the command line."""

import pytest

from lookalike.cli import format


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0004, "0 ms"),
        (0.0042, "4 ms"),
        (0.3, "0.3 s"),
        (12.34, "12.3 s"),
        (99.4, "99.4 s"),
        (120, "2 min"),
        (3569, "59 min"),
        (3599, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_use_the_unit_that_fits(seconds: float, text: str) -> None:
    assert format.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (23_400_000, "23 MB"),
        (999_499, "999 KB"),
        (999_600, "1.0 MB"),
        (1_400_000_000, "1.4 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_sizes_use_decimal_units(size: int, text: str) -> None:
    assert format.size(size) == text


def test_one_is_singular_and_all_other_counts_are_plural() -> None:
    assert format.counted(1, "image") == "1 image"
    assert format.counted(0, "image") == "0 images"
    assert format.counted(1204, "image") == "1,204 images"
    assert format.counted(2, "is", "are") == "2 are"


def test_a_slow_rate_keeps_a_decimal() -> None:
    assert format.rate(6.61) == "6.6"
    assert format.rate(9.96) == "10"
    assert format.rate(1204.4) == "1,204"


def test_a_similarity_is_never_shown_as_minus_zero() -> None:
    assert format.similarity(-0.0) == "0.000"
    assert format.similarity(-0.0004) == "0.000"
    assert format.similarity(-0.0006) == "-0.001"
    assert format.similarity(0.98765) == "0.988"
