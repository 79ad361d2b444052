"""Explanations of networks, on small graphs whose outputs can be computed by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.explain.attribution import match_patches
from lookalike.explain.explainer import Explainer
from lookalike.extractors import load
from lookalike.extractors.feature_maps import NetworkExtractor, feature_maps
from lookalike.images.pixel_spec import Pixels

onnx = pytest.importorskip("onnx")
tokenizers = pytest.importorskip("tokenizers")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIDE, CELL = 32, 8
COLOURS = ("red", "green", "blue")
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "photo", "picture", "of", *COLOURS]


def save(
    path: Path, nodes: Sequence[Any], inputs: dict[str, Any], outputs: list[str], **weights: Any
) -> None:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)


def write_settings(folder: Path, kind: str) -> None:
    config = {"model_type": kind, "text_config": {"max_position_embeddings": 12}}
    (folder / "config.json").write_text(json.dumps(config))
    size = {"size": {"height": SIDE, "width": SIDE}, "do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(size))


PIXELS = {"pixel_values": (TensorProto.FLOAT, ["n", 3, SIDE, SIDE])}
# Channels that respond to red, green and blue, and one with a small constant.
COLOUR_WEIGHTS = np.concatenate([np.eye(3), np.zeros((1, 3))]).astype(np.float32)[:, :, None, None]
CONSTANT = np.array([0, 0, 0, 0.02], np.float32)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Write a model whose vectors are mean colours, with a text encoder for red, green and blue."""
    folder = tmp_path / "clip"
    vision = [
        helper.make_node("Conv", ["pixel_values", "eye"], ["colours"]),
        helper.make_node("Relu", ["colours"], ["seen"]),
        helper.make_node("GlobalAveragePool", ["seen"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["image_embeds"]),
    ]
    save(
        folder / "onnx" / "vision_model.onnx",
        vision,
        PIXELS,
        ["image_embeds"],
        eye=COLOUR_WEIGHTS[:3],
    )
    table = np.zeros((len(WORDS), 3), np.float32)
    table[-3:] = np.eye(3)
    text = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["text_embeds"], axes=[1], keepdims=0),
    ]
    words = {"input_ids": (TensorProto.INT64, ["t", "length"])}
    save(folder / "onnx" / "text_model.onnx", text, words, ["text_embeds"], table=table)
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
    write_settings(folder, "clip")
    return f"clip:{folder}"


@pytest.fixture
def transformer(tmp_path: Path) -> str:
    """Write a transformer of 16 patches, each the mean colour of 8 × 8 pixels, after a class token."""
    folder = tmp_path / "vit"
    patches = (COLOUR_WEIGHTS.repeat(CELL, axis=2).repeat(CELL, axis=3) / CELL**2).astype(
        np.float32
    )
    nodes = [
        helper.make_node("Conv", ["pixel_values", "eye", "on"], ["grid"], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["grid", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["patches"], ["whole"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["whole", "patches"], ["tokens"], axis=1),
        helper.make_node("MatMul", ["tokens", "same"], ["mixed"]),
        helper.make_node("MatMul", ["mixed", "same"], ["last_hidden_state"]),
    ]
    save(
        folder / "onnx" / "model.onnx",
        nodes,
        PIXELS,
        ["last_hidden_state"],
        eye=patches,
        on=CONSTANT,
        flat=np.array([0, 4, -1], np.int64),
        same=np.eye(4, dtype=np.float32),
    )
    write_settings(folder, "vit")
    return f"onnx:{folder}"


def patched(at: dict[tuple[int, int], tuple[int, int, int]]) -> Pixels:
    """Return a black image with patches of these colours in a 4 × 4 grid."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for (y, x), colour in at.items():
        pixels[y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] = colour
    return pixels


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_texts_are_found_in_the_patches_that_show_them(clip: str) -> None:
    image = patched({(0, 0): RED, (1, 2): BLUE, (3, 3): GREEN})
    with Explainer() as explainer:
        for word, (y, x) in zip(COLOURS, [(0, 0), (3, 3), (1, 2)], strict=True):
            found = explainer.match_text(word, image, extractor=clip)
            marked = found.images[0].marked
            assert marked[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].all()
            # The mean colour is (1, 1, 1) / 16: the cosine to each word is 1 / √3.
            assert found.similarity == pytest.approx(3**-0.5, abs=1e-5)
            assert found.faithfulness.faithful
            assert found.text == word


def test_positions_of_the_feature_map_match_by_content(clip: str) -> None:
    first, second = patched({(0, 0): RED, (3, 1): BLUE}), patched({(1, 3): RED, (2, 0): BLUE})
    with Explainer() as explainer:
        found = explainer.match(first, second, extractor=clip)
    assert found.matches
    for match in found.matches:
        (x, y), (u, v) = ((int(box[0] * 4), int(box[1] * 4)) for box in (match.first, match.second))
        colour = tuple(first[y * CELL, x * CELL])
        assert colour == tuple(second[v * CELL, u * CELL])
    marked = found.images[0].marked
    assert marked[:2, :2].all()
    assert marked[6:, 2:4].all()


def test_the_patch_tokens_of_a_transformer_are_a_feature_map(
    transformer: str,
) -> None:
    network = load(transformer)
    assert isinstance(network, NetworkExtractor)
    (found,) = feature_maps(network, [patched({(0, 3): RED, (2, 1): GREEN})])
    assert found.positions == (4, 4)
    assert found.values[0, 0] == pytest.approx(np.eye(4)[[3, 0, 0, 0]] * [[1], [0], [0], [0]])
    assert np.argwhere(found.values[0, 1] > 0.5).tolist() == [[2, 1]]
    assert found.values[0, 3] == pytest.approx(0.02)


def test_a_coarse_feature_map_gives_no_matches(transformer: str) -> None:
    network = load(transformer)
    assert isinstance(network, NetworkExtractor)
    assert match_patches(feature_maps(network, [patched({(0, 0): RED})] * 2)) == ()


def test_a_transformer_is_explained_by_occlusion(transformer: str) -> None:
    first, second = patched({(0, 0): RED, (3, 3): GREEN}), patched({(1, 2): RED, (3, 0): BLUE})
    with Explainer() as explainer:
        found = explainer.match(first, second, extractor=transformer)
    assert found.images[0].marked[:2, :2].all()
    assert found.images[1].marked[2:4, 4:6].all()
    assert found.faithfulness.faithful
