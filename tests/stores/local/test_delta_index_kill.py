"""Kills at random moments while new vectors are indexed: all that was stored is found."""

from __future__ import annotations

from pathlib import Path

from tests.stores.local.processes import posix, python


@posix
def test_all_that_was_stored_is_found_whenever_the_writer_is_killed(tmp_path: Path) -> None:
    with python(
        "import sys; from tests.stores.local.killed_delta_writer import main; main(sys.argv[1])",
        tmp_path,
    ) as other:
        output, errors = other.communicate()
    assert errors == ""
    assert other.returncode == 0
    killed, used = map(int, output.split())
    assert killed >= 12
    assert used >= 4
