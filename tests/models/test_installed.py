"""What is here and what is not, and fetching a whole model before going where no network is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import UnknownExtractor
from lookalike.models import MODELS, fetch_model, installed_models


def test_on_a_new_machine_every_model_is_listed_and_none_is_here(home: Path) -> None:
    listed = installed_models()
    assert [entry.model.name for entry in listed] == list(MODELS)
    assert not any(entry.pictures or entry.words for entry in listed)


def test_a_fetched_model_is_whole_words_and_all(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {
        name: name.encode()
        for name in (
            "config.json",
            "preprocessor_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "onnx/vision_model.onnx",
            "onnx/text_model.onnx",
            "onnx/text_model.onnx_data",
            "onnx/model.onnx",
        )
    }
    folder = fetch_model("clip:someone/network")
    assert set(hub.fetched()) == set(hub.files) - {"onnx/model.onnx"}
    assert (folder / "onnx" / "text_model.onnx_data").is_file()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch_model("clip:someone/network") == folder


def test_the_side_for_pictures_can_be_here_without_the_side_for_words(home: Path) -> None:
    folder = home / "models" / "Xenova" / "mobileclip_s0"
    (folder / "onnx").mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "onnx/vision_model.onnx"):
        (folder / name).write_text("{}")
    (entry,) = [e for e in installed_models() if e.model.name == "clip:mobileclip-s0"]
    assert (entry.pictures, entry.words) == (True, False)


@pytest.mark.parametrize("name", ["color", "timm:resnet18", "clip:"])
def test_what_is_no_model_to_fetch_is_answered_with_those_that_are(home: Path, name: str) -> None:
    with pytest.raises(UnknownExtractor, match="known are onnx:resnet18"):
        fetch_model(name)
