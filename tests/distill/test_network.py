"""The network, its training loop and its exported file; these tests need PyTorch."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip(
    "torch", reason="training needs PyTorch: pip install 'lookalike[training]'"
)
cv2 = pytest.importorskip("cv2")

from tools.distill import release  # noqa: E402
from tools.distill.color import ColorHistograms, hsv  # noqa: E402
from tools.distill.network import Architecture, DepthwiseConvolution, Student  # noqa: E402
from tools.distill.parts import Part, Unit, channels_first, fit_projection  # noqa: E402
from tools.distill.projection import fit_teacher  # noqa: E402
from tools.distill.teacher import TaughtViews  # noqa: E402
from tools.distill.trainer import (  # noqa: E402
    START,
    Lessons,
    Run,
    Schedule,
    distill,
    fit_vector,
    losses,
    similarity_loss,
)

SMALL = Architecture(blocks=(1, 1, 1, 1, 1, 1, 1), dim=12, classes=5)


def noise(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def lessons() -> Lessons:
    """Return noise, and what a teacher with 20 features may have said."""
    rng = np.random.default_rng(1)
    features = rng.normal(size=(40, 20)).astype(np.float16)
    logits = rng.normal(size=(40, 5)).astype(np.float16)
    projection = fit_teacher(features.astype(np.float32), dim=12)
    return Lessons(TaughtViews(noise(40, 40), features, logits), projection)


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


def test_a_student_that_says_what_the_teacher_says_has_no_loss() -> None:
    class Parrot:
        def pooled(self, pixels: Any) -> Any:
            return pixels

        def vector(self, pooled: Any) -> Any:
            return batch.targets * 3  # of any length

        def classes(self, pooled: Any) -> Any:
            return batch.logits + 1  # a common shift changes no probability

    batch = lessons().batch(0, size=8, side=32)
    for loss in losses(Parrot(), batch, 0.1).values():  # type: ignore[arg-type]
        assert float(loss) == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        found = losses(Student(SMALL).eval(), batch, 0.1)
    assert all(float(loss) > 0.01 for loss in found.values())


def test_the_rate_rises_and_ends_at_zero_while_images_grow() -> None:
    schedule = Schedule(hours=1)
    assert schedule.rate_at(0, 0) < schedule.rate / 100
    assert schedule.rate_at(0.3, 500) == pytest.approx(schedule.rate, rel=1e-2)
    assert schedule.rate_at(1.0, 500) < schedule.rate / 100
    assert [schedule.side(spent) for spent in (0.0, 0.84, 0.85, 1.0)] == [112, 112, 128, 128]


@pytest.mark.parametrize(
    ("side", "stride", "size"), [(3, 1, 12), (5, 1, 12), (3, 2, 13), (5, 2, 15)]
)
def test_the_gradient_of_a_depthwise_convolution_is_the_librarys(
    side: int, stride: int, size: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, size, size, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(6, 1, side, side, dtype=torch.float64)
    theirs = torch.nn.functional.conv2d(x, kernel, None, stride, groups=6)
    weights = torch.randn_like(theirs)
    ours = DepthwiseConvolution.apply(x, kernel, stride)
    np.testing.assert_allclose(ours.detach(), theirs.detach())
    expected, found = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (theirs, ours))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_frozen_parts_do_not_change_and_the_answers_stay_the_same() -> None:
    torch.manual_seed(0)
    student = Student(SMALL).eval()
    pixels = channels_first(noise(2, 32))
    before = student(pixels).detach()
    student.freeze(2)
    np.testing.assert_allclose(student(pixels).detach(), before, rtol=1e-4, atol=1e-4)
    student.train()
    loss = student(pixels).square().sum()
    weights = {name: w for name, w in student.named_parameters() if w.requires_grad}
    torch.autograd.grad(loss, [w for n, w in weights.items() if not n.startswith("classes")])
    assert not any(name.startswith(("stem", "blocks.0", "blocks.1")) for name in weights)
    assert not any("depthwise.conv" in name for name in weights)
    assert not student.stem.norm.training
    assert student.top.norm.training


def test_the_first_vectors_are_a_regression_onto_the_teachers() -> None:
    torch.manual_seed(0)
    taught = lessons()
    student = Student(SMALL)
    fit_vector(student, taught)
    with torch.no_grad():
        found = student(channels_first(taught.views.pixels)).numpy()
    mean = taught.batch(0, size=40, side=32).targets.numpy().mean(0)
    assert found.shape == (40, 12)
    assert np.linalg.norm(found.mean(0) - mean) < 0.3


def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    schedule = Schedule(hours=1, batch=8, threads=1, sides=((1.0, 32),))

    def go_on() -> Iterator[Run]:
        return distill(lessons(), SMALL, schedule, tmp_path, save_every=0.0, pretrained=False)

    first = list(itertools.islice(go_on(), 3))
    assert [run.step for run in first][-1] == 3
    resumed = next(go_on())
    assert resumed.step == 4
    assert resumed.seconds > first[-1].seconds - 1e-6
    curves = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curves] == [1, 2, 3, 4]


def test_the_exported_weights_lie_between_start_and_end(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start, end = Student(SMALL), Student(SMALL)
    stored = {"averaged": end.state_dict(), "architecture": SMALL.as_dict()}
    torch.save(stored, tmp_path / "checkpoint.pt")
    for learned in (1.0, release.LEARNED):  # without a start there is nothing to mix
        student, _ = release.load_student(tmp_path)
        for mixed, before, after in zip(
            student.parameters(), start.parameters(), end.parameters(), strict=True
        ):
            expected = (1 - learned) * before + learned * after
            np.testing.assert_allclose(mixed.detach(), expected.detach(), rtol=1e-4, atol=1e-6)
        torch.save(start.state_dict(), tmp_path / START)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own
def test_the_exported_file_gives_the_networks_vectors_at_length_one(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tools.distill.export import Extractor, export, open_session

    torch.manual_seed(0)
    histograms = ColorHistograms(24)
    projection = fit_projection(histograms, noise(400, 24), dim=16, whitening=0.3)
    color = Part(histograms, projection)
    student = Student(SMALL)
    extractor = Extractor([(Unit(student), 0.7), (color, 0.3)]).eval()
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
    import onnx

    # Padding is part of the convolutions.
    assert all(node.op_type != "Pad" for node in onnx.load(tmp_path / "m.onnx").graph.node)
    assert opened.get_modelmeta().custom_metadata_map["side"] == "24"
