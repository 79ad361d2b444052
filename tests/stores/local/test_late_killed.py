"""A kill at any moment, while new vectors are indexed: all that was stored is found."""

from __future__ import annotations

from pathlib import Path

from tests.stores.local.test_writing import posix, python


@posix
def test_whenever_the_writer_is_killed_all_that_was_stored_is_found(tmp_path: Path) -> None:
    with python(
        "import sys; from tests.stores.local.killing_late import main; main(sys.argv[1])",
        tmp_path,
    ) as other:
        output, errors = other.communicate()
    assert errors == ""
    assert other.returncode == 0
    killed, used = map(int, output.split())
    assert killed >= 12
    assert used >= 4
