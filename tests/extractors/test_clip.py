"""CLIP and SigLIP with graphs and tokenizers built here, and with CLIP's real vocabulary."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import MissingExtra, UsageError
from lookalike.extractors.clip import TEMPLATES, ClipExtractor, load_clip
from lookalike.extractors.interface import Extractor, TextExtractor
from lookalike.extractors.tokenizer import TextRules, Tokenizer, read_rules

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
tokenizers = pytest.importorskip("tokenizers")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIZE, DIM, CONTEXT = 4, 5, 9
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "photo", "picture", "of", "cat", "dog", "red"]
RNG = np.random.default_rng(11)
EYE = RNG.normal(size=(DIM, 3, 1, 1)).astype(np.float32)
TABLE = RNG.normal(size=(len(WORDS), DIM)).astype(np.float32)

Make = Callable[..., Path]


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **numbers: Any) -> Any:
    return helper.make_node(op, list(inputs), list(outputs), **numbers)


def vision_nodes(output: str) -> list[Any]:
    return [
        node("Conv", ["pixel_values", "eye"], ["seen"]),
        node("GlobalAveragePool", ["seen"], ["pool"]),
        node("Flatten", ["pool"], [output]),
    ]


def text_nodes(output: str, *, masked: bool) -> list[Any]:
    """Return nodes that average the token vectors, over the mask or including the padding."""
    nodes = [node("Gather", ["table", "input_ids"], ["words"])]
    if not masked:
        return [*nodes, node("ReduceMean", ["words"], [output], axes=[1], keepdims=0)]
    return [
        *nodes,
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["mask", "last"], ["wide"]),
        node("Mul", ["words", "wide"], ["kept"]),
        node("ReduceSum", ["kept", "rows"], ["sum"], keepdims=0),
        node("ReduceSum", ["mask", "rows"], ["count"], keepdims=1),
        node("Div", ["sum", "count"], [output]),
    ]


def save(path: Path, nodes: list[Any], inputs: list[str], outputs: list[str], **more: Any) -> None:
    kinds = {
        "pixel_values": (TensorProto.FLOAT, ["n", 3, SIZE, SIZE]),
        "input_ids": (TensorProto.INT64, ["t", more.pop("context", "length")]),
        "attention_mask": (TensorProto.INT64, ["t", "length"]),
    }
    weights = {
        "eye": EYE,
        "table": TABLE,
        "last": np.array([2], np.int64),
        "rows": np.array([1], np.int64),
        **more,
    }
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, *kinds[name]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )


def write_tokenizer(path: Path) -> None:
    """Write a tokenizer with one id per word, a start and an end token."""
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    made.save(str(path))


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that writes a "clip" or "siglip" folder; `joint`: both sides in one graph."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))

    def write(kind: str = "clip", *, joint: bool = False, **more: Any) -> Path:
        folder = tmp_path / f"{kind}{'-joint' if joint else ''}"
        clip = kind == "clip"
        image, text = ("image_embeds", "text_embeds") if clip else ("pooler_output",) * 2
        words = ["input_ids", "attention_mask"] if clip else ["input_ids"]
        seeing, reading = vision_nodes(image), text_nodes(text, masked=clip)
        if joint:
            path = folder / "onnx" / "model.onnx"
            save(path, seeing + reading, ["pixel_values", *words], [image, text], **more)
        else:
            save(folder / "onnx" / "vision_model.onnx", seeing, ["pixel_values"], [image])
            save(folder / "onnx" / "text_model.onnx", reading, words, [text], **more)
        write_tokenizer(folder / "tokenizer.json")
        config = {"model_type": kind, "text_config": {"max_position_embeddings": CONTEXT}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "preprocessor_config.json").write_text(
            json.dumps({"size": {"height": SIZE, "width": SIZE}, "do_normalize": False})
        )
        (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "<pad>"}))
        return folder

    return write


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def read(text: str, *, masked: bool) -> NDArray[Any]:
    """Return the output of the text graph, computed in NumPy; with `masked`, without the padding."""
    numbers = [*[1, *(WORDS.index(word) for word in text.split())][: CONTEXT - 1], 2]
    if not masked:
        numbers += [0] * (CONTEXT - len(numbers))
    return np.asarray(TABLE[numbers].mean(axis=0))


def text_vector(text: str, *, masked: bool = True) -> NDArray[Any]:
    each = [unit(read(template.format(text), masked=masked)) for template in TEMPLATES]
    return unit(np.mean(each, axis=0))


def random_images(n: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(2).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8))


def seen(images: list[NDArray[np.uint8]]) -> NDArray[Any]:
    return unit(np.einsum("nhwc,kc->nk", np.stack(images) / 255, EYE[:, :, 0, 0]))


@pytest.mark.parametrize("joint", [False, True])
def test_image_and_text_vectors_have_unit_length_and_one_space(make: Make, joint: bool) -> None:
    extractor = load_clip(str(make(joint=joint)))
    assert isinstance(extractor, Extractor)
    assert isinstance(extractor, TextExtractor)
    assert extractor.dim == DIM
    images = random_images(7)
    np.testing.assert_allclose(extractor.extract(images), seen(images), atol=1e-5)
    texts = ["red cat", "a dog"]
    expected = np.stack([text_vector(text) for text in texts])
    np.testing.assert_allclose(extractor.extract_text(texts), expected, atol=1e-5)


def test_siglip_reads_the_padding_and_lower_case_without_punctuation(make: Make) -> None:
    extractor = load_clip(str(make("siglip")))
    found = extractor.extract_text(["  RED, Cat! "])
    np.testing.assert_allclose(found[0], text_vector("red cat", masked=False), atol=1e-5)


def test_texts_alone_and_in_a_batch_give_the_same_vectors(make: Make) -> None:
    extractor = load_clip(str(make()))
    both = extractor.extract_text(["cat", "a photo of a red red red dog"])
    np.testing.assert_allclose(both[0], extractor.extract_text(["cat"])[0], atol=1e-6)
    assert extractor.extract_text([]).shape == (0, DIM)
    assert extractor.extract([]).shape == (0, DIM)


def test_a_graph_with_a_fixed_text_length_gets_rows_of_that_length(make: Make) -> None:
    found = load_clip(str(make("siglip", context=12))).extract_text(["cat"])
    numbers = np.array(
        [
            TABLE[[1, *ids, 2] + [0] * (10 - len(ids))].mean(axis=0)
            for ids in ([8], [4, 5, 7, 8], [4, 6, 7, 8])
        ]
    )
    np.testing.assert_allclose(found[0], unit(unit(numbers).mean(axis=0)), atol=1e-5)


def test_the_text_side_is_loaded_with_the_first_text(make: Make) -> None:
    folder = make()
    (folder / "onnx" / "text_model.onnx").rename(folder / "elsewhere.onnx")
    extractor = load_clip(str(folder))
    assert extractor.extract(random_images(1)).shape == (1, DIM)
    with pytest.raises(UsageError, match=r"has no onnx/text_model\.onnx; there are vision_model"):
        extractor.extract_text(["cat"])
    (folder / "elsewhere.onnx").rename(folder / "onnx" / "text_model.onnx")
    assert extractor.extract_text(["cat"]).shape == (1, DIM)


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json"])
def test_the_missing_file_of_a_folder_is_named(make: Make, missing: str) -> None:
    folder = make()
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=f"{folder} has no {missing}"):
        load_clip(str(folder))


def test_a_folder_without_any_graph_is_refused(make: Make) -> None:
    folder = make()
    (folder / "onnx" / "vision_model.onnx").unlink()
    with pytest.raises(UsageError, match=r"has no onnx/vision_model\.onnx; there are text_model"):
        load_clip(str(folder))


def test_a_network_that_is_not_clip_is_refused_with_its_outputs(make: Make) -> None:
    folder = make()
    path = folder / "onnx" / "vision_model.onnx"
    save(path, vision_nodes("logits"), ["pixel_values"], ["logits"])
    with pytest.raises(UsageError, match=r"vision_model\.onnx has no output .* only logits"):
        load_clip(str(folder))


def test_images_need_no_tokenizer_and_texts_name_the_extra(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make()
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    extractor: ClipExtractor = load_clip(str(folder))
    assert extractor.extract(random_images(1)).shape == (1, DIM)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[clip\]'"):
        extractor.extract_text(["cat"])


def test_an_invalid_tokenizer_is_named(make: Make) -> None:
    folder = make()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match=r"tokenizer\.json is not a tokenizer"):
        load_clip(str(folder)).extract_text(["cat"])


# Rules, as the families' files state them.

SIGLIP = {"processor_class": "SiglipProcessor", "model_max_length": 64, "pad_token": "</s>"}


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        (
            {"model_type": "clip"},
            {"model_max_length": 77, "pad_token": "<|endoftext|>", "do_lower_case": True},
            TextRules(77, "<|endoftext|>", lower=True),
        ),
        (
            {"model_type": "siglip"},
            {**SIGLIP, "do_lower_case": True},
            TextRules(64, "</s>", lower=True, punctuation=False, masked=False),
        ),
        (
            {"model_type": "siglip"},
            {
                "tokenizer_class": "GemmaTokenizer",
                "model_max_length": 10**30,
                "pad_token": {"content": "<pad>"},
                "eos_token": "<eos>",
                "add_eos_token": True,
            },
            TextRules(64, "<pad>", lower=True, masked=False, end="<eos>"),
        ),
        ({}, {}, TextRules(77)),
    ],
)
def test_the_rules_of_each_family_are_read_from_its_files(
    config: dict[str, Any], settings: dict[str, Any], expected: TextRules
) -> None:
    assert read_rules(config, settings, {}) == expected


def test_the_end_token_is_appended_where_the_tokenizer_omits_it(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>")
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    ready = Tokenizer(tmp_path / "tokenizer.json", TextRules(4, "<pad>", end="</s>"))
    numbers, mask = ready.encode(["cat", "a red cat a dog"])
    assert numbers.tolist() == [[8, 2, 0, 0], [4, 10, 8, 2]]
    assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


# CLIP's own vocabulary.


@pytest.fixture(scope="module")
def clip_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Return openai/CLIP's byte-pair vocabulary as the tokenizer.json of its ONNX exports."""
    named = os.environ.get("LOOKALIKE_SHARED")
    shared = Path(named) if named else Path(__file__).parents[3] / "shared"
    packed = shared / "models" / "clip-tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
    if not packed.is_file():
        pytest.skip("shared/models/clip-tokenizer is not on this machine")
    lines = gzip.decompress(packed.read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    # CLIP's order of the 256 bytes: the printable ones first (clip/simple_tokenizer.py).
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    letters = [chr(n) for n in printable] + [chr(256 + n) for n in range(len(hidden))]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(m) for m in merges)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            vocab={piece: n for n, piece in enumerate(pieces)},
            merges=merges,
            end_of_word_suffix="</w>",
            unk_token="<|endoftext|>",
        )
    )
    made.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.NFC(), tokenizers.normalizers.Lowercase()]
    )
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "removed", invert=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    made.post_processor = tokenizers.processors.RobertaProcessing(
        ("<|endoftext|>", 49407), ("<|startoftext|>", 49406), add_prefix_space=False
    )
    path = tmp_path_factory.mktemp("clip") / "tokenizer.json"
    made.save(str(path))
    return Tokenizer(path, TextRules(77, "<|endoftext|>"))


def test_clips_tokenizer_gives_the_token_ids_published_by_openai(clip_tokenizer: Tokenizer) -> None:
    numbers, mask = clip_tokenizer.encode(["a photo of a cat", "A  Photo of a CAT"])
    assert numbers.shape == (2, 77)
    assert numbers[0, :7].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert set(numbers[0, 7:].tolist()) == {49407}
    assert mask[0].tolist() == [1] * 7 + [0] * 70
    assert numbers[1].tolist() == numbers[0].tolist()


def test_a_text_too_long_for_clip_is_truncated_with_its_end_token(
    clip_tokenizer: Tokenizer,
) -> None:
    numbers, mask = clip_tokenizer.encode(["cat " * 200])
    assert numbers[0].tolist() == [49406, *[2368] * 75, 49407]
    assert mask.all()
