"""`lookalike models` and `models get`, and the networks in `info`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.program_runner import Album, draw, lookalike
from tests.search.test_words import write_classifier

from lookalike.models import MODELS


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """Return an environment without the user's caches and without a hub."""
    return {
        "LOOKALIKE_MODELS": str(tmp_path / "models"),
        "HF_HOME": str(tmp_path / "huggingface"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


@pytest.fixture
def mobilenet(tmp_path: Path) -> Path:
    """Return a folder of models with one whose files are empty."""
    onnx = tmp_path / "brought" / "mobilenet_v2_1.0_224" / "onnx"
    onnx.mkdir(parents=True)
    for name in ("config.json", "preprocessor_config.json", "onnx/model.onnx"):
        (onnx.parent / name).write_text("{}")
    return tmp_path / "brought"


def test_every_model_is_listed(tmp_path: Path, nowhere: dict[str, str]) -> None:
    run = lookalike("models", cwd=tmp_path, env=nowhere)
    assert run.returncode == 0
    lines = run.stdout.splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(MODELS)]] == list(MODELS)
    listed = next(line for line in lines if line.startswith("onnx:resnet18"))
    assert listed.split() == [
        *("onnx:resnet18", "words", "512", "47", "MB", "no", "Apache-2.0"),
        "Xenova/resnet-18@6e70fa1e",
    ]
    assert lines[-1] == f"Downloads go to {nowhere['LOOKALIKE_MODELS']}"


def test_json_has_the_folder_of_an_installed_model(
    tmp_path: Path, nowhere: dict[str, str], mobilenet: Path
) -> None:
    command = ("models", "--model-dir", mobilenet, "--format", "json")
    found = json.loads(lookalike(*command, cwd=tmp_path, env=nowhere).stdout)
    assert found["model_dir"] == str(mobilenet)
    here = {one["name"]: one["folder"] for one in found["models"] if one["folder"] is not None}
    assert here == {"onnx:mobilenetv2": str(mobilenet / "mobilenet_v2_1.0_224")}
    assert all(
        set(one) >= {"source", "revision", "licence", "bytes", "dim", "text", "preprocessing"}
        for one in found["models"]
    )


def test_listing_models_loads_no_runtime_and_decodes_nothing() -> None:
    heavy = ("numpy", "onnxruntime", "torch", "timm", "cv2", "PIL", "matplotlib", "tokenizers")
    code = (
        "import sys\n"
        "from lookalike.cli.program import program\n"
        "program(['models'], standalone_mode=False)\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "[]\n")


def test_an_installed_model_is_not_downloaded(
    tmp_path: Path, nowhere: dict[str, str], mobilenet: Path
) -> None:
    run = lookalike(
        "models", "get", "onnx:mobilenetv2", "--model-dir", mobilenet, cwd=tmp_path, env=nowhere
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{mobilenet / 'mobilenet_v2_1.0_224'}\n"


@pytest.mark.parametrize(
    "arguments",
    [("models", "get", "onnx:resnet18"), ("index", ".", "--extractor", "onnx:resnet18")],
)
def test_without_a_network_one_line_says_what_to_do(
    tmp_path: Path, nowhere: dict[str, str], arguments: tuple[str, ...]
) -> None:
    run = lookalike(*arguments, cwd=tmp_path, env=nowhere)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.count("\n") == 1
    assert "http://127.0.0.1:9 cannot be reached" in run.stderr and "--model-dir" in run.stderr
    assert not (tmp_path / ".lookalike").exists()


def test_an_unknown_model_lists_the_known_ones(tmp_path: Path, nowhere: dict[str, str]) -> None:
    run = lookalike("models", "get", "color", cwd=tmp_path, env=nowhere)
    assert run.returncode == 2 and "known are onnx:resnet18" in run.stderr


def test_info_on_a_library_without_networks_has_no_runtime(album: Album) -> None:
    found = json.loads(lookalike("info", "--format", "json", cwd=album.photos).stdout)
    assert found["runtime"] is None
    assert "runs on" not in lookalike("info", cwd=album.photos).stdout


def runtimes(folder: Path, extractor: str) -> tuple[dict[str, Any], str]:
    """Return the runtime of the only network of a library, and the last line of the table of `info`."""
    draw(folder / "photos" / "one.png", 1)
    run = lookalike("index", "photos", "--extractor", extractor, cwd=folder)
    assert run.returncode == 0, run.stderr
    found = json.loads(
        lookalike("info", "--library", "photos", "--format", "json", cwd=folder).stdout
    )
    (space,) = found["spaces"]
    assert space["runtime"] == found["runtime"]
    table = lookalike("info", "--library", "photos", cwd=folder).stdout.splitlines()
    return space["runtime"], table[-1]


def test_info_shows_the_runtime_of_the_built_in_network(tmp_path: Path) -> None:
    found, line = runtimes(tmp_path, "lookalike")
    assert set(found) == {"provider", "threads", "batch"}
    threads = "1 thread" if found["threads"] == 1 else f"{found['threads']} threads"
    assert line == (
        f"lookalike runs on {found['provider']}: {threads}, up to {found['batch']} images per batch"
    )


def test_info_shows_the_runtime_of_the_networks_of_a_library(
    tmp_path: Path, shared_folder: Path
) -> None:
    network = (shared_folder / "models" / "mobilenet_v2_1.0_224").resolve()
    if not network.is_dir():
        pytest.skip(f"no network in {network}")
    found, line = runtimes(tmp_path, f"onnx:{network}")
    assert found["provider"].endswith("ExecutionProvider") and found["threads"] >= 1
    assert line.startswith(f"onnx:{network} runs on {found['provider']}: ")


def test_the_words_of_a_classifier_are_listed(tmp_path: Path, nowhere: dict[str, str]) -> None:
    model = f"onnx:{write_classifier(tmp_path / 'model')}"
    run = lookalike("models", "words", model, cwd=tmp_path, env=nowhere)
    assert run.returncode == 0
    rows = [line.rsplit(maxsplit=1) for line in run.stdout.splitlines()]
    assert rows[0] == ["word", "classes"]
    assert ["strawberry", "1"] in rows
    assert ["fruit", "1"] in rows
    found = lookalike("models", "words", model, "--format", "json", cwd=tmp_path, env=nowhere)
    document = json.loads(found.stdout)
    assert document["extractor"] == model
    assert document["words"]["windsor tie"] == 1


@pytest.mark.parametrize(("name", "reason"), [("color", "colours only"), ("shape", "no words")])
def test_extractors_without_classes_have_no_list_of_words(
    tmp_path: Path, nowhere: dict[str, str], name: str, reason: str
) -> None:
    run = lookalike("models", "words", name, cwd=tmp_path, env=nowhere)
    assert run.returncode == 2
    assert re.search(reason, run.stderr)
    assert run.stderr.count("\n") == 1
