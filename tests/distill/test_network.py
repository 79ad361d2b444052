"""The network, its training loop and its exported file; these tests need PyTorch."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip(
    "torch", reason="training needs PyTorch: pip install 'lookalike[training]'"
)
cv2 = pytest.importorskip("cv2")

from tools.distill.color import ColorHistograms, hsv  # noqa: E402
from tools.distill.losses import LabelHeads, losses, proxy_loss, similarity_loss  # noqa: E402
from tools.distill.network import Architecture, Student  # noqa: E402
from tools.distill.parts import Part, Unit, channels_first, fit_projection  # noqa: E402
from tools.distill.schedule import Schedule, learning_rate, side  # noqa: E402
from tools.distill.trainer import Source, distill, initialise_proxies, make_batch  # noqa: E402

SMALL = Architecture(widths=(8, 16), depths=(1, 1), head=24, dim=12)


def noise(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def source() -> Source:
    targets = np.random.default_rng(1).normal(size=(24, 12)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    return Source(noise(24, 32), targets, np.arange(24) % 3, np.arange(24) // 4, 1.0)


def test_hue_saturation_and_value_are_those_of_opencv() -> None:
    pixels = noise(1, 16)
    hue, saturation, value = (
        x.numpy().reshape(16, 16) for x in hsv(channels_first(pixels).flatten(2) / 255)
    )
    theirs = cv2.cvtColor((pixels[0] / 255).astype(np.float32), cv2.COLOR_RGB2HSV)
    np.testing.assert_allclose(hue * 360, theirs[..., 0], atol=0.05)
    np.testing.assert_allclose(saturation, theirs[..., 1], atol=1e-4)
    np.testing.assert_allclose(value, theirs[..., 2], atol=1e-4)


def test_a_plain_image_fills_the_bins_around_its_colour() -> None:
    red = np.zeros((1, 9, 9, 3), np.uint8)
    red[..., 0] = 255
    bins = ColorHistograms(9)(channels_first(red))[0, :192].numpy().reshape(12, 4, 4)
    # Hue 0 lies between the last and the first bin; saturation and value are at their top.
    filled = np.argwhere(bins > 0.1)
    assert filled.tolist() == [[0, 3, 3], [11, 3, 3]]
    np.testing.assert_allclose(bins[0, 3, 3], 0.5**0.35, rtol=1e-4)


def test_every_image_gives_one_vector() -> None:
    with torch.no_grad():
        assert Student(SMALL).eval()(channels_first(noise(3, 32))).shape == (3, 12)


def test_the_similarity_loss_is_zero_for_the_teachers_own_vectors() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    assert float(similarity_loss(vectors, vectors, 0.1)) == pytest.approx(0, abs=1e-6)
    assert float(similarity_loss(vectors.flip(0), vectors, 0.1)) > 0.01


def test_the_proxy_loss_is_the_cross_entropy_of_cosines() -> None:
    vectors = torch.tensor([[1.0, 0.0]])
    proxies = torch.tensor([[5.0, 0.0], [0.0, 2.0]])
    # Cosines 1 and 0 at temperature 0.5: -log(e^2 / (e^2 + e^0)).
    expected = np.log(1 + np.exp(-2))
    loss = float(proxy_loss(vectors, proxies, torch.tensor([0]), 0.5))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_images_without_labels_use_only_the_teachers_vectors() -> None:
    schedule = Schedule(hours=1, batch=8, threads=1)
    unknown = np.full(24, -1)
    blank = Source(source().pixels, source().targets, unknown, unknown, 1.0)
    student, heads = Student(SMALL), LabelHeads(24, 12, 3, 6)
    _, parts = losses(student, heads, make_batch([blank], 0, size=32, schedule=schedule), schedule)
    assert set(parts) == {"vector", "similarity"}
    _, parts = losses(
        student, heads, make_batch([source()], 0, size=32, schedule=schedule), schedule
    )
    assert set(parts) == {"vector", "similarity", "label", "label_proxy", "instance_proxy"}


def test_proxies_start_at_the_mean_of_the_teachers_vectors() -> None:
    heads = LabelHeads(24, 12, 5, 6)
    before = heads.labels.detach().clone()
    initialise_proxies(heads, [source()])
    targets = source().targets
    mean = targets[:4].mean(0)  # instances are four images in a row
    cosine = heads.instances[0].detach().numpy() @ mean / np.linalg.norm(mean)
    assert cosine == pytest.approx(12**0.5, rel=1e-5)
    # Labels 3 and 4 have no image: their proxies stay.
    np.testing.assert_array_equal(heads.labels[3:].detach().numpy(), before[3:].numpy())


def test_the_rate_rises_and_ends_at_zero_while_images_grow() -> None:
    schedule = Schedule(hours=1)
    assert (
        learning_rate(0.0, schedule)
        < learning_rate(0.05, schedule)
        == pytest.approx(schedule.rate, rel=1e-2)
    )
    assert learning_rate(1.0, schedule) < schedule.rate / 100
    assert [side(spent, schedule) for spent in (0.0, 0.79, 0.8, 1.0)] == [64, 64, 96, 96]


def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    schedule = Schedule(hours=1, batch=8, threads=1, sizes=((1.0, 16),))
    first = list(
        itertools.islice(distill([source()], SMALL, schedule, tmp_path, save_every=0.0), 3)
    )
    assert [run.step for run in first][-1] == 3
    resumed = next(distill([source()], SMALL, schedule, tmp_path, save_every=0.0))
    assert resumed.step == 4
    assert resumed.seconds > first[-1].seconds - 1e-6
    curves = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curves] == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own
def test_the_exported_file_gives_the_networks_vectors_at_length_one(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tools.distill.export import Extractor, export, open_session

    torch.manual_seed(0)
    histograms = ColorHistograms(24)
    projection = fit_projection(histograms, noise(400, 24), dim=16, whitening=0.3)
    color = Part(histograms, projection)
    extractor = Extractor([(Unit(Student(SMALL)), 0.7), (color, 0.3)]).eval()
    export(extractor, tmp_path / "m.onnx", side=24, metadata={"side": 24})
    opened = open_session(tmp_path / "m.onnx")
    pixels = noise(5, 24)
    (vectors,) = opened.run(None, {"pixels": pixels})
    assert vectors.shape == (5, 12 + 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :12], axis=1), 0.7**0.5, rtol=1e-4)
    with torch.no_grad():
        expected = extractor(torch.from_numpy(pixels)).numpy()
    # Weights are rounded to 8 bits.
    assert (expected * vectors).sum(1).min() > 0.999
    assert opened.get_modelmeta().custom_metadata_map["side"] == "24"
