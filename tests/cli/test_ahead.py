"""Which questions seem to need a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.cli.prestart import names_a_file


@pytest.mark.parametrize(
    "word", ["cat.jpg", "2:cat.jpg", "+cat.jpg", "-0.5:cat.jpg", "-", "a:b.jpg"]
)
def test_a_word_that_is_a_file_here_is_a_picture_to_be_read(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "a:b.jpg"):
        Path(name).touch()
    assert names_a_file(["red", word])


@pytest.mark.parametrize("word", ["red shoe", "id:42", "gone.jpg", "", "2:", "\0", "x" * 9000, "."])
def test_other_words_are_not(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not names_a_file([word])
