"""Tests with ONNX graphs built here, so that every number can be computed in NumPy."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import MissingExtra, UnknownExtractor, UsageError
from lookalike.extractors import onnx_graph
from lookalike.extractors.interface import Extractor
from lookalike.extractors.onnx import OnnxExtractor, load_onnx
from lookalike.extractors.runtime import expected_runtime, import_runtime

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIZE = 8
PROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 10},
    "do_center_crop": True,
    "crop_size": {"height": SIZE, "width": SIZE},
    "resample": 3,
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}
RNG = np.random.default_rng(7)
WEIGHTS = {
    "w": RNG.normal(size=(6, 3, 1, 1)).astype(np.float32),
    "head": RNG.normal(size=(6, 5)).astype(np.float32),
    "bias": RNG.normal(size=5).astype(np.float32),
}

Images = list[NDArray[np.uint8]]
Make = Callable[..., Path]


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **numbers: Any) -> Any:
    return helper.make_node(op, list(inputs), list(outputs), **numbers)


BODY = [
    node("Conv", ["pixel_values", "w"], ["mixed"]),
    node("Relu", ["mixed"], ["seen"]),
    node("GlobalAveragePool", ["seen"], ["pool"]),
    node("Flatten", ["pool"], ["flat"]),
]
GEMM = [node("Gemm", ["flat", "head", "bias"], ["logits"])]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Return a function that writes a model folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOKALIKE_MODELS", str(tmp_path / "models"))

    def write(
        nodes: Sequence[Any],
        outputs: Sequence[str],
        *,
        name: str = "net",
        weights: dict[str, NDArray[Any]] | None = None,
        kind: int = TensorProto.FLOAT,
        batch: int | str = "n",
        model_type: str = "resnet",
        processor: dict[str, Any] | None = PROCESSOR,
        graph: str = "onnx/model.onnx",
    ) -> Path:
        folder = tmp_path / name
        (folder / graph).parent.mkdir(parents=True, exist_ok=True)
        model = helper.make_model(
            helper.make_graph(
                list(nodes),
                "g",
                [helper.make_tensor_value_info("pixel_values", kind, [batch, 3, SIZE, SIZE])],
                [helper.make_tensor_value_info(output, kind, None) for output in outputs],
                [
                    numpy_helper.from_array(value, key)
                    for key, value in {**WEIGHTS, **(weights or {})}.items()
                ],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=9,
        )
        onnx.save(model, folder / graph)
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        if processor is not None:
            (folder / "preprocessor_config.json").write_text(json.dumps(processor))
        return folder

    return write


def random_images(n: int, seed: int = 3) -> Images:
    return list(np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8))


def pooled(images: Images, weights: NDArray[np.float32] = WEIGHTS["w"]) -> NDArray[np.float64]:
    """Return the features of the network, computed in NumPy."""
    pixels = np.stack(images).astype(np.float64) / 255
    pixels = (pixels - PROCESSOR["image_mean"]) / PROCESSOR["image_std"]
    seen = np.maximum(np.einsum("nhwc,kc->nkhw", pixels, weights[:, :, 0, 0].astype(float)), 0)
    return np.asarray(seen.mean(axis=(2, 3)))


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_the_features_of_a_classifier_are_the_input_of_its_last_layer(make: Make) -> None:
    extractor = load_onnx(str(make(BODY + GEMM, ["logits"])))
    assert isinstance(extractor, Extractor)
    assert extractor.dim == 6
    images = random_images(5)
    np.testing.assert_allclose(extractor.extract(images), unit(pooled(images)), atol=1e-5)


HEADS: dict[str, tuple[list[Any], dict[str, NDArray[Any]]]] = {
    "gemm turned": (
        [node("Gemm", ["flat", "turned", "bias"], ["logits"], transB=1)],
        {"turned": np.ascontiguousarray(WEIGHTS["head"].T)},
    ),
    "matmul and add": (
        [node("MatMul", ["flat", "head"], ["raw"]), node("Add", ["bias", "raw"], ["logits"])],
        {},
    ),
    "a weight behind a transpose": (
        [
            node("Transpose", ["turned"], ["back"], perm=[1, 0]),
            node("MatMul", ["flat", "back"], ["logits"]),
        ],
        {"turned": np.ascontiguousarray(WEIGHTS["head"].T)},
    ),
    "softmax": (
        [
            *GEMM[:0],
            node("Gemm", ["flat", "head", "bias"], ["x"]),
            node("Softmax", ["x"], ["logits"]),
        ],
        {},
    ),
    "a convolution of one pixel": (
        [node("Conv", ["pool", "one", "bias"], ["c"]), node("Flatten", ["c"], ["logits"])],
        {"one": np.ascontiguousarray(WEIGHTS["head"].T[:, :, None, None])},
    ),
}


@pytest.mark.parametrize("head", HEADS)
def test_every_form_of_a_last_layer_is_found(make: Make, head: str) -> None:
    nodes, weights = HEADS[head]
    extractor = load_onnx(str(make(BODY + nodes, ["logits"], weights=weights)))
    images = random_images(3)
    np.testing.assert_allclose(extractor.extract(images), unit(pooled(images)), atol=1e-5)


def test_a_dynamically_quantised_last_layer_is_found_and_images_are_independent(
    make: Make,
) -> None:
    scale = np.float32(np.abs(WEIGHTS["head"]).max() / 127)
    weights = {
        "head_quantized": np.round(WEIGHTS["head"] / scale).astype(np.int8),
        "head_scale": scale.reshape(()),
        "head_zero_point": np.int8(0).reshape(()),
    }
    nodes = [
        node("DynamicQuantizeLinear", ["flat"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "head_quantized", "z", "head_zero_point"], ["whole"]),
        node("Cast", ["whole"], ["real"], to=TensorProto.FLOAT),
        node("Mul", ["s", "head_scale"], ["both"]),
        node("Mul", ["real", "both"], ["scaled"]),
        node("Add", ["scaled", "bias"], ["logits"]),
    ]
    extractor = load_onnx(str(make(BODY + nodes, ["logits"], weights=weights)))
    assert extractor.concurrency()[1] == 1
    images = random_images(3)
    np.testing.assert_allclose(extractor.extract(images), unit(pooled(images)), atol=1e-5)


def test_a_graph_without_a_last_layer_is_refused(make: Make) -> None:
    folder = make([*BODY, node("Tanh", ["flat"], ["logits"])], ["logits"])
    with pytest.raises(UsageError, match=r"model\.onnx has no output named image_embeds"):
        load_onnx(str(folder))


def test_features_that_do_not_give_the_logits_are_refused(make: Make) -> None:
    # A Mul between layer and output that is not undone: features × layer ≠ output.
    nodes = [
        node("Gemm", ["flat", "head", "bias"], ["x"]),
        node("Mul", ["x", "twice"], ["logits"]),
    ]
    folder = make(
        BODY + nodes, ["logits"], weights={"twice": np.array([1, 2, 3, 4, 5], np.float32)}
    )
    with pytest.raises(UsageError, match="do not give its output"):
        load_onnx(str(folder))


@pytest.mark.parametrize("output", ["embedding", "pooler_output", "image_embeds"])
def test_an_embedding_output_is_preferred_to_the_logits(make: Make, output: str) -> None:
    nodes = [*BODY, *GEMM, node("Neg", ["flat"], [output])]
    extractor = load_onnx(str(make(nodes, ["logits", output])))
    images = random_images(2)
    np.testing.assert_allclose(extractor.extract(images), -unit(pooled(images)), atol=1e-5)


TOKENS = [
    node("Conv", ["pixel_values", "w"], ["mixed"]),
    node("Reshape", ["mixed", "rows"], ["columns"]),
    node("Transpose", ["columns"], ["last_hidden_state"], perm=[0, 2, 1]),
]
ROWS = {"rows": np.array([0, 6, -1], np.int64)}


@pytest.mark.parametrize(
    ("model_type", "first"), [("dinov2", True), ("vit", True), ("swin", False), ("resnet", False)]
)
def test_the_last_hidden_state_is_pooled_as_the_kind_of_network_does(
    make: Make, model_type: str, first: bool
) -> None:
    folder = make(TOKENS, ["last_hidden_state"], weights=ROWS, model_type=model_type)
    extractor = load_onnx(str(folder))
    images = random_images(2)
    pixels = (np.stack(images) / 255 - PROCESSOR["image_mean"]) / PROCESSOR["image_std"]
    tokens = np.einsum("nhwc,kc->nhwk", pixels, WEIGHTS["w"][:, :, 0, 0]).reshape(2, -1, 6)
    expected = tokens[:, 0] if first else tokens.mean(axis=1)
    np.testing.assert_allclose(extractor.extract(images), unit(expected), atol=1e-5)


def test_an_untrained_pooler_is_skipped(make: Make) -> None:
    nodes = [*TOKENS, node("GlobalAveragePool", ["mixed"], ["pooler_output"])]
    outputs = ["last_hidden_state", "pooler_output"]
    vit = load_onnx(str(make(nodes, outputs, weights=ROWS, model_type="vit", name="vit")))
    net = load_onnx(str(make(nodes, outputs, weights=ROWS, model_type="resnet", name="net")))
    images = random_images(2)
    assert np.abs(vit.extract(images) - net.extract(images)).max() > 0.1


def test_float16_networks_are_supported(make: Make) -> None:
    halves = {name: value.astype(np.float16) for name, value in WEIGHTS.items()}
    folder = make(BODY + GEMM, ["logits"], weights=halves, kind=TensorProto.FLOAT16)
    extractor = load_onnx(str(folder))
    images = random_images(3)
    found = extractor.extract(images)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, unit(pooled(images)), atol=5e-3)


def test_a_network_that_gives_nan_is_refused_when_it_is_loaded(make: Make) -> None:
    nodes = [*BODY, node("Log", ["low"], ["nan"]), node("Add", ["flat", "nan"], ["embedding"])]
    folder = make(nodes, ["embedding"], weights={"low": np.array([-1], np.float32)})
    with pytest.raises(UsageError, match=r"onnx/model\.onnx gives NaN or infinity"):
        load_onnx(str(folder))


def test_one_by_one_and_in_a_batch_the_numbers_agree(make: Make) -> None:
    extractor = load_onnx(str(make(BODY + GEMM, ["logits"])))
    images = random_images(11)
    together = extractor.extract(images)
    alone = np.concatenate([extractor.extract([image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert extractor.extract([]).shape == (0, 6)


def test_a_graph_made_for_single_images_gets_single_images(make: Make) -> None:
    extractor = load_onnx(str(make(BODY + GEMM, ["logits"], batch=1)))
    images = random_images(3)
    np.testing.assert_allclose(extractor.extract(images), unit(pooled(images)), atol=1e-5)


def test_external_weights_are_used_and_named_when_missing(make: Make) -> None:
    folder = make(BODY + GEMM, ["logits"])
    model = onnx.load(folder / "onnx" / "model.onnx")
    onnx.save(
        model,
        folder / "onnx" / "model.onnx",
        save_as_external_data=True,
        location="model.onnx_data",
        size_threshold=0,
    )
    images = random_images(2)
    found = load_onnx(str(folder)).extract(images)
    np.testing.assert_allclose(found, unit(pooled(images)), atol=1e-5)
    (folder / "onnx" / "model.onnx_data").unlink()
    with pytest.raises(UsageError, match=r"onnx has no model\.onnx_data, which holds the weights"):
        load_onnx(str(folder))


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../secret", "a/../../secret", "..\\secret", "C:\\secret", "/dev/zero", ""],
)
def test_external_weights_in_another_folder_are_refused(make: Make, location: str) -> None:
    folder = make(BODY + GEMM, ["logits"])
    (folder / "secret").write_bytes(bytes(10_000))
    model = onnx.load(folder / "onnx" / "model.onnx")
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location
    (folder / "onnx" / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="weights would be in another folder"):
        load_onnx(str(folder))


@pytest.mark.parametrize("shape", [(-1, 4), (1 << 40, 1 << 40), (3, 4)])
def test_a_weight_of_an_absurd_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    tensor = onnx_graph.Tensor("w", shape, 1, memoryview(bytes(8)), packed=False, external={})
    with pytest.raises(UsageError, match=r"'w' of the model in .* cannot be read"):
        onnx_graph.values(tensor, tmp_path)


def test_an_endless_integer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 20_000_000)
    with pytest.raises(UsageError, match="more than 64 bits"):
        onnx_graph.read_graph(tmp_path / "model.onnx")


@pytest.mark.parametrize("missing", ["config.json", "preprocessor_config.json", "onnx/model.onnx"])
def test_the_missing_file_of_a_folder_is_named(make: Make, missing: str) -> None:
    folder = make(BODY + GEMM, ["logits"])
    (folder / missing).unlink()
    with pytest.raises(UsageError, match=f"{folder} has no {missing}"):
        load_onnx(str(folder))


def test_a_variant_is_another_file_and_a_missing_one_is_named(make: Make) -> None:
    folder = make(BODY + GEMM, ["logits"], graph="onnx/model_fp16.onnx")
    assert load_onnx(f"{folder}:fp16").dim == 6
    with pytest.raises(UsageError, match=r"has no onnx/model\.onnx; there are model_fp16\.onnx"):
        load_onnx(str(folder))


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.97])
def test_a_truncated_graph_is_refused_with_its_name(make: Make, keep: float) -> None:
    path = make(BODY + GEMM, ["logits"]) / "onnx" / "model.onnx"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if keep < 1 else int(keep)])
    with pytest.raises(UsageError, match=r"onnx/model\.onnx is not an ONNX model, or is truncated"):
        load_onnx(str(path.parent.parent))


def test_errors_of_the_runtime_name_the_file(make: Make) -> None:
    folder = make([*BODY, node("NoSuchOperation", ["flat"], ["embedding"])], ["embedding"])
    with pytest.raises(UsageError, match=r"model\.onnx cannot be loaded by ONNX Runtime") as caught:
        load_onnx(str(folder))
    assert "\n" not in str(caught.value)


def test_the_revision_follows_the_weights_and_the_preprocessing_not_the_folder(
    make: Make,
) -> None:
    one = load_onnx(str(make(BODY + GEMM, ["logits"], name="one"))).revision
    same = load_onnx(str(make(BODY + GEMM, ["logits"], name="two"))).revision
    retrained = {"w": WEIGHTS["w"] * np.float32(1.01)}
    other = load_onnx(str(make(BODY + GEMM, ["logits"], name="three", weights=retrained)))
    grown = {**PROCESSOR, "resample": 2}
    cut = load_onnx(str(make(BODY + GEMM, ["logits"], name="four", processor=grown)))
    assert one == same
    assert len({one, other.revision, cut.revision}) == 3


def test_the_margin_is_kept_without_crop(make: Make) -> None:
    folder = make(BODY + GEMM, ["logits"])
    whole, cut = load_onnx(str(folder)), load_onnx(f"{folder}:crop")
    assert (whole.pixels.shortest_edge, cut.pixels.shortest_edge) == (8, 10)
    assert whole.pixels.height == cut.pixels.height == 8
    assert cut.name == f"{whole.name}:crop"
    assert whole.revision != cut.revision


def test_another_image_size_than_the_networks_is_refused(make: Make) -> None:
    wrong = {**PROCESSOR, "crop_size": {"height": 9, "width": 9}}
    with pytest.raises(UsageError, match=r"takes \(3, 8, 8\), but preprocessor_config"):
        load_onnx(str(make(BODY + GEMM, ["logits"], processor=wrong)))


def test_memory_is_freed_by_close_and_with_the_last_reference(make: Make) -> None:
    folder = make(BODY + GEMM, ["logits"])
    extractor = load_onnx(str(folder))
    runtime = weakref.ref(extractor._session._session)
    extractor.close()
    gc.collect()
    assert runtime() is None
    with pytest.raises(UsageError, match="was closed"):
        extractor.extract(random_images(1))
    forgotten = load_onnx(str(folder))
    runtime = weakref.ref(forgotten._session._session)
    del forgotten
    gc.collect()
    assert runtime() is None


def test_without_onnx_runtime_the_message_says_how_to_get_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(BODY + GEMM, ["logits"])
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"pip install --force-reinstall onnxruntime"):
        load_onnx(str(folder))


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UnknownExtractor, match="onnx:dinov2-small"):
        load_onnx("dinov3-huge")


def test_a_network_with_few_weights_gets_one_image_per_pass(make: Make) -> None:
    small = str(make(BODY + GEMM, ["logits"]))
    unused = {"unused": np.zeros(9 << 20, np.float32)}
    large = str(make(BODY + GEMM, ["logits"], name="large", weights=unused))
    facts = expected_runtime()
    if facts is None or facts.provider != "CPUExecutionProvider":
        pytest.skip("batches are larger on a graphics card")
    images = [np.full((SIZE, SIZE, 3), level, np.uint8) for level in range(9)]
    found = []
    for folder, batch in ((small, 1), (large, 4)):
        extractor = load_onnx(folder)
        assert extractor.concurrency()[1] == batch
        found.append(extractor.extract(images))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)


def _shared() -> Path:
    named = os.environ.get("LOOKALIKE_SHARED")
    return Path(named) if named else Path(__file__).parents[3] / "shared"


@pytest.fixture
def mobilenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = _shared() / "models" / "mobilenet_v2_1.0_224"
    if not folder.is_dir():
        pytest.skip("shared/models/mobilenet_v2_1.0_224 is not on this machine")
    return folder


def test_a_real_network_agrees_with_the_runtime_on_its_own(mobilenet: Path) -> None:
    import onnxruntime
    from PIL import Image

    from lookalike.images.resize import fit

    extractor = load_onnx(f"{mobilenet}:crop")
    assert (extractor.dim, extractor.pixels.shortest_edge) == (1280, 256)
    ramp = np.linspace(0, 255, 300 * 400 * 3).reshape(300, 400, 3)
    image = np.asarray((ramp + 40 * np.sin(np.arange(400) / 9)[None, :, None]) % 256, np.uint8)
    found = extractor.extract([fit(image, extractor.pixels)])
    # Independently, in Pillow and NumPy: shorter side 256 bilinear, centre 224, to [-1, 1].
    small = Image.fromarray(image).resize((341, 256), Image.Resampling.BILINEAR)
    left, top = round((341 - 224) / 2), 16
    cut = np.asarray(small.crop((left, top, left + 224, top + 224)), np.float32)
    session = onnxruntime.InferenceSession(
        mobilenet / "onnx" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    ready = (cut / 127.5 - 1).transpose(2, 0, 1)[None]
    expected = unit(session.run(["embedding"], {"input": ready})[0])
    assert float((found * expected).sum()) > 0.9999


def test_the_last_layer_of_a_real_network_takes_its_own_embedding(
    mobilenet: Path, tmp_path: Path
) -> None:
    """The hub's exports of classifiers have no such output: remove it and find it again."""
    folder = tmp_path / "as-on-the-hub"
    (folder / "onnx").mkdir(parents=True)
    model = onnx.load(mobilenet / "onnx" / "model.onnx")
    kept = [output for output in model.graph.output if output.name == "prob"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    onnx.save(model, folder / "onnx" / "model.onnx")
    for name in ("config.json", "preprocessor_config.json"):
        (folder / name).write_text((mobilenet / name).read_text())
    images = list(np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3), np.uint8))
    own: OnnxExtractor = load_onnx(str(mobilenet))
    found: OnnxExtractor = load_onnx(str(folder))
    np.testing.assert_allclose(found.extract(images), own.extract(images), atol=1e-5)


def test_ctrl_c_while_the_runtime_is_loaded_stays_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        """Raises what pybind11 makes of Ctrl-C in its modules."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "onnxruntime":
                raise ImportError("initialization failed") from KeyboardInterrupt()

    modules = __import__("sys").modules
    monkeypatch.delitem(modules, "onnxruntime", raising=False)
    monkeypatch.setattr("sys.meta_path", [Interrupted()])
    with pytest.raises(KeyboardInterrupt):
        import_runtime()


def test_the_runtime_sends_no_telemetry(tmp_path: Path) -> None:
    """Telemetry would create files in the temporary folder as soon as the runtime is imported."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith("ORT_")  # where it would be silent by itself
    }
    subprocess.run(
        [sys.executable, "-c", "import lookalike, onnxruntime"],
        check=True,
        env=environment | {"TMPDIR": str(tmp_path)},
    )
    assert not list(tmp_path.iterdir())
