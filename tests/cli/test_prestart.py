"""Which queries need a worker process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.cli.prestart import names_a_file


@pytest.mark.parametrize(
    "argument", ["cat.jpg", "2:cat.jpg", "+cat.jpg", "-0.5:cat.jpg", "-", "a:b.jpg"]
)
def test_an_argument_that_names_a_file_is_an_image_to_read(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "a:b.jpg"):
        Path(name).touch()
    assert names_a_file(["red", argument])


@pytest.mark.parametrize(
    "argument", ["red shoe", "id:42", "gone.jpg", "", "2:", "\0", "x" * 9000, "."]
)
def test_other_arguments_name_no_file(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not names_a_file([argument])
