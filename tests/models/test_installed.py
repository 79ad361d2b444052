"""Installed models are listed, and a complete model is fetched in advance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.extractors.networks import write_clip

from lookalike.errors import UnknownExtractor
from lookalike.extractors import load
from lookalike.extractors.interface import TextExtractor
from lookalike.models import MODELS, fetch_model, installed_models


def test_on_a_new_machine_no_model_is_installed(home: Path) -> None:
    listed = installed_models()
    assert [entry.model.name for entry in listed] == list(MODELS)
    from_hub = [entry for entry in listed if not entry.model.package]
    assert not any(entry.images or entry.text for entry in from_hub)


def test_a_fetched_model_is_complete_with_its_text_encoder(
    hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_the_image_encoder_can_be_installed_without_the_text_encoder(home: Path) -> None:
    folder = home / "models" / "Xenova" / "mobileclip_s0"
    (folder / "onnx").mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "onnx/vision_model.onnx"):
        (folder / name).write_text("{}")
    (entry,) = [e for e in installed_models() if e.model.name == "clip:mobileclip-s0"]
    assert (entry.images, entry.text) == (True, False)


@pytest.mark.parametrize("name", ["color", "timm:resnet18", "clip:"])
def test_a_name_that_cannot_be_fetched_lists_the_known_models(home: Path, name: str) -> None:
    with pytest.raises(UnknownExtractor, match="known are onnx:resnet18"):
        fetch_model(name)


def test_a_preset_in_a_folder_of_its_repository_is_found_and_loads(home: Path) -> None:
    place = home / "models" / "plhery" / "mobileclip2-onnx"
    write_clip(place)
    (place / "onnx" / "s2").mkdir()
    for name in ("onnx/vision_model.onnx", "onnx/text_model.onnx", "config.json"):
        (place / name).rename(place / "onnx" / "s2" / Path(name).name)
    (place / "preprocessor_config.json").rename(place / "onnx/s2/preprocessor_config.json")
    installed = {entry.model.name: entry for entry in installed_models() if entry.images}
    assert [name for name in installed if name.startswith("clip:")] == ["clip:mobileclip2-s2"]
    assert installed["clip:mobileclip2-s2"].text
    extractor = load("clip:mobileclip2-s2")
    assert isinstance(extractor, TextExtractor)
    assert extractor.extract_text(["cat", "dog"]).shape == (2, extractor.dim)
