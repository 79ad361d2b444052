"""Presets, names of models after "onnx:" and "clip:", and checksums."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lookalike.errors import UnknownExtractor, UsageError
from lookalike.models import MODELS
from lookalike.models.files import file_sha256, models_folder
from lookalike.models.presets import DEFAULT_CLIP
from lookalike.models.spec import parse_spec


def test_every_record_is_complete_and_well_formed() -> None:
    for name, model in MODELS.items():
        assert name == model.name
        assert re.fullmatch(r"((onnx|clip):)?[a-z0-9-]+", name)
        assert model.package or re.fullmatch(r"[\w.-]+/[\w.-]+", model.source)
        assert model.revision is None or re.fullmatch(r"[0-9a-f]{40}", model.revision)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in model.sha256.values())
        assert model.licence
        assert model.preprocessing
        assert model.bytes > 1_000_000
        assert model.dim >= 384
        assert model.text == name.startswith("clip:")


def test_the_table_of_the_docs_lists_every_preset_with_its_dimension() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z]+[:-][\w.-]+)` \| (\d+) \|", page, re.MULTILINE)
    assert {name: int(dim) for name, dim in rows} == {n: m.dim for n, m in MODELS.items()}
    assert MODELS[DEFAULT_CLIP].text


def test_importing_and_listing_models_loads_no_runtime() -> None:
    code = (
        "import sys; import lookalike.models, lookalike.extractors.onnx, lookalike.extractors.clip,"
        " lookalike.extractors.timm; sum(m.bytes for m in lookalike.models.MODELS.values());"
        "print(sorted({'onnxruntime', 'onnx', 'torch', 'timm', 'tokenizers', 'cv2', 'PIL'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_presets_repositories_and_variants_are_distinguished(home: Path) -> None:
    preset = parse_spec("onnx", "resnet18:fp16")
    assert (preset.name, preset.source) == ("onnx:resnet18:fp16", "Xenova/resnet-18")
    assert preset.graph("model") == "onnx/model_fp16.onnx"
    remote = parse_spec("onnx", "someone/net@v2:quantized")
    assert (remote.source, remote.revision, remote.variant) == ("someone/net", "v2", "quantized")
    assert remote.name == "onnx:someone/net@v2:quantized"
    assert parse_spec("onnx", "someone/net").revision is None
    cut = parse_spec("onnx", "resnet18:fp16:crop")
    assert (cut.variant, cut.crop, cut.name) == ("fp16", True, "onnx:resnet18:fp16:crop")


def test_a_folder_takes_precedence_and_its_name_is_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "someone" / "net").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    near = parse_spec("onnx", "someone/net")
    assert near.folder == tmp_path / "someone" / "net"
    assert near.name == parse_spec("onnx", str(tmp_path / "someone" / "net")).name


def test_a_folder_of_another_machine_is_searched_among_the_models(
    home: Path,
) -> None:
    (home / "models" / "mynet").mkdir(parents=True)
    spec = parse_spec("onnx", "/old/machine/mynet")
    assert spec.folder == home / "models" / "mynet"
    assert spec.name == "onnx:/old/machine/mynet"
    with pytest.raises(UsageError, match="no folder /old/machine/other"):
        parse_spec("onnx", "/old/machine/other")


def test_an_unknown_name_lists_the_known_models(home: Path) -> None:
    with pytest.raises(UnknownExtractor, match=r"no model onnx:resnet19; known are onnx:resnet18"):
        parse_spec("onnx", "resnet19")
    with pytest.raises(UsageError, match=r"no variant fp17; known are fp16"):
        parse_spec("onnx", "resnet18:fp17")


def test_the_models_folder_is_that_of_the_variable_or_the_cache(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models_folder() == home / "models"
    monkeypatch.delenv("LOOKALIKE_MODELS")
    monkeypatch.setattr(sys, "platform", "linux")
    assert models_folder() == home / "cache" / "lookalike" / "models"


def test_a_checksum_is_cached_until_the_file_changes(home: Path) -> None:
    path = home / "weights"
    path.write_bytes(b"one")
    assert file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    (cache,) = (home / "cache" / "lookalike" / "checksums").iterdir()
    cache.write_text(cache.read_text().replace(hashlib.sha256(b"one").hexdigest(), "cached"))
    assert file_sha256(path) == "cached"
    status = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time
    assert file_sha256(path) == hashlib.sha256(b"two").hexdigest()
