"""Requirements on every extractor, tested on all of them; families that need a model get a tiny one."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.extractors.networks import write_clip, write_onnx

from lookalike.extractors import EXTRACTORS, load
from lookalike.extractors.interface import Extractor, FittedExtractor, Vectors, space_key
from lookalike.images.pixel_spec import Pixels
from lookalike.images.resize import fit
from lookalike.vectors.similarity import cosine

NAMES = [
    name for name, offer in EXTRACTORS.items() if not offer.argument and name != "text"
]  # slow


def drawn(seed: int, height: int = 150, width: int = 200) -> Pixels:
    """Return an image with large patches of colour, edges and texture, different for every seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    image = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    for _ in range(8):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        tall, wide = rng.integers(8, 40, 2)
        image[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)
    image += rng.integers(-12, 13, image.shape, dtype=np.int16)
    return image.clip(0, 255).astype(np.uint8)


def plain(level: int, height: int = 90, width: int = 120) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


IMAGES: list[Pixels] = [drawn(seed) for seed in range(6)]
ODD: dict[str, Pixels] = {
    "black": plain(0),
    "white": plain(255),
    "grey": plain(127),
    "one pixel": drawn(0)[:1, :1].copy(),
    "one black pixel": plain(0, 1, 1),
    "a line": drawn(1)[:1, :3].copy(),
    "tall": drawn(2, 240, 80),
}


MODELS: dict[str, Callable[[Path], Path]] = {"onnx": write_onnx, "clip": write_clip}


def random_timm(monkeypatch: pytest.MonkeyPatch) -> Extractor:
    """Return a timm network with random weights; tests cannot download the trained ones."""
    timm, torch = pytest.importorskip("timm"), pytest.importorskip("torch")
    make = timm.create_model

    def untrained(name: str, pretrained: bool) -> Any:
        torch.manual_seed(0)
        return make(name, pretrained=False)

    monkeypatch.setattr(timm, "create_model", untrained)
    return load("timm:mobilenetv3_small_050.lamb_in1k")


@pytest.fixture(
    scope="module",
    params=[*NAMES, "color+regions", "lookalike+regions", "color+pca32", *MODELS, "timm", "toy"],
)
def extractor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Extractor]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("models")
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        if request.param == "toy":
            made: Extractor = request.getfixturevalue("toy_class")()
        elif request.param == "timm":
            made = random_timm(patch)
        elif request.param in MODELS:
            made = load(f"{request.param}:{MODELS[request.param](home / request.param)}")
        else:
            made = load(request.param)
        if isinstance(made, FittedExtractor) and made.fitted is None:
            sample = [drawn(seed, 240, 320) for seed in range(100, 140)]
            made = made.fit([fit(image, made.pixels) for image in sample])
        yield made


def vectors_of(extractor: Extractor, images: Sequence[Pixels]) -> Vectors:
    fitted = [fit(image, extractor.pixels) for image in images]
    for pixels in fitted:
        pixels.flags.writeable = False
    return extractor.extract(fitted)


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_agrees_with_the_extractor(name: str) -> None:
    extractor, offer = load(name), EXTRACTORS[name]
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.dim, extractor.similarity) == (
        name,
        offer.dim,
        offer.similarity,
    )
    assert offer.summary and not offer.summary.endswith(".")


def test_a_batch_gives_one_finite_float32_row_for_each_image(extractor: Extractor) -> None:
    vectors = vectors_of(extractor, IMAGES)
    assert vectors.shape == (len(IMAGES), extractor.dim)
    assert vectors.dtype == np.float32 and vectors.flags.c_contiguous
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(IMAGES)


def test_no_images_give_no_rows(extractor: Extractor) -> None:
    assert extractor.extract([]).shape == (0, extractor.dim)


def test_one_by_one_and_in_a_batch_the_numbers_agree(extractor: Extractor) -> None:
    batch = vectors_of(extractor, IMAGES)
    single = np.vstack([vectors_of(extractor, [image]) for image in IMAGES])
    np.testing.assert_allclose(batch, single, atol=1e-5 * np.abs(batch).max())


def test_the_same_image_gives_the_same_numbers(extractor: Extractor) -> None:
    np.testing.assert_array_equal(vectors_of(extractor, IMAGES), vectors_of(extractor, IMAGES))


@pytest.mark.parametrize("kind", ODD)
def test_odd_images_give_finite_vectors(extractor: Extractor, kind: str) -> None:
    vectors = vectors_of(extractor, [ODD[kind], IMAGES[0]])
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(vectors[1:], vectors_of(extractor, IMAGES[:1]), atol=1e-4)


def test_workers_can_be_sent_to_another_process(extractor: Extractor) -> None:
    if extractor.runs_in != "worker":
        pytest.skip("runs in the main process")
    other: Extractor = pickle.loads(pickle.dumps(extractor))
    assert space_key(other) == space_key(extractor)
    np.testing.assert_array_equal(vectors_of(other, IMAGES), vectors_of(extractor, IMAGES))


@pytest.mark.parametrize("name", ["pixels", "dhash", "phash", "shape"])
def test_an_all_black_image_is_the_zero_vector(name: str) -> None:
    assert not vectors_of(load(name), [ODD["black"]]).any()


def as_jpeg(image: Pixels) -> Pixels:
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=50)
    return np.array(Image.open(file))


def brighter(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda image: (image * factor).clip(0, 255).astype(np.uint8)


def half_size(image: Pixels) -> Pixels:
    return np.array(Image.fromarray(image).reduce(2))


def cropped(image: Pixels) -> Pixels:
    high, wide = image.shape[0] // 20, image.shape[1] // 20
    return image[high:-high, wide:-wide].copy()


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "jpeg": as_jpeg,
    "darker": brighter(0.8),
    "half size": half_size,
    "crop": cropped,
    "mirror": lambda image: image[:, ::-1].copy(),
    "turn": lambda image: np.rot90(image).copy(),
}

# The least cosine of a changed image to the original, over six images: 1 where the invariance is exact, else
# what was measured when the extractor was written, minus a margin.
INVARIANCES: dict[str, dict[str, float]] = {
    "pixels": {"jpeg": 0.999, "darker": 0.9999, "half size": 0.999, "crop": 0.95},
    "histogram": {"jpeg": 0.95, "mirror": 1, "turn": 1, "crop": 0.97},
    "color": {"jpeg": 0.97, "mirror": 1, "turn": 1, "half size": 0.97, "crop": 0.95},
    "dhash": {"jpeg": 0.9, "darker": 0.9, "half size": 0.9},
    "phash": {"jpeg": 0.9, "darker": 0.9, "half size": 0.9},
}


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, least in INVARIANCES.items() for change in least]
)
def test_vectors_are_invariant_to_the_stated_changes(name: str, change: str) -> None:
    extractor = load(name)
    before = vectors_of(extractor, IMAGES)
    after = vectors_of(extractor, [CHANGES[change](image) for image in IMAGES])
    cosines = [cosine(a, b) for a, b in zip(before, after, strict=True)]
    assert min(cosines) >= INVARIANCES[name][change] - 1e-6, cosines


def test_unrelated_images_are_below_the_stated_cosines() -> None:
    """The cosines above mean something only because unrelated images do not reach them."""
    for name, least in INVARIANCES.items():
        vectors: NDArray[np.float32] = vectors_of(load(name), IMAGES)
        assert cosine(vectors[0], vectors[1]) < min(least.values())
