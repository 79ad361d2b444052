"""The network, its loop and its file; these need PyTorch."""

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

from tools.distill.color import ColorNumbers, hsv  # noqa: E402
from tools.distill.distil import Material, batch_of, distil, point  # noqa: E402
from tools.distill.losses import Names, direction_loss, likeness_loss, losses  # noqa: E402
from tools.distill.network import Shape, Student  # noqa: E402
from tools.distill.parts import Axes, Part, Unit, channels_first  # noqa: E402
from tools.distill.plan import Plan, learning_rate, side  # noqa: E402

SMALL = Shape(widths=(8, 16), depths=(1, 1), head=24, dim=12)


def noise(count: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def material() -> Material:
    targets = np.random.default_rng(1).normal(size=(24, 12)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    return Material(noise(24, 32), targets, np.arange(24) % 3, np.arange(24) // 4, 1.0)


def test_hue_saturation_and_value_are_those_of_opencv() -> None:
    pixels = noise(1, 16)
    hue, saturation, value = (
        x.numpy().reshape(16, 16) for x in hsv(channels_first(pixels).flatten(2) / 255)
    )
    theirs = cv2.cvtColor((pixels[0] / 255).astype(np.float32), cv2.COLOR_RGB2HSV)
    np.testing.assert_allclose(hue * 360, theirs[..., 0], atol=0.05)
    np.testing.assert_allclose(saturation, theirs[..., 1], atol=1e-4)
    np.testing.assert_allclose(value, theirs[..., 2], atol=1e-4)


def test_a_plain_picture_fills_the_bins_around_its_colour() -> None:
    red = np.zeros((1, 9, 9, 3), np.uint8)
    red[..., 0] = 255
    numbers = ColorNumbers(9)(channels_first(red))[0, :192].numpy().reshape(12, 4, 4)
    # Hue 0 lies between the last and the first bin; saturation and value are at their top.
    filled = np.argwhere(numbers > 0.1)
    assert filled.tolist() == [[0, 3, 3], [11, 3, 3]]
    np.testing.assert_allclose(numbers[0, 3, 3], 0.5**0.35, rtol=1e-4)


def test_one_picture_gives_one_vector_of_the_promised_length() -> None:
    with torch.no_grad():
        assert Student(SMALL).eval()(channels_first(noise(3, 32))).shape == (3, 12)


def test_likeness_loss_is_nothing_for_the_teachers_own_vectors() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    assert float(likeness_loss(vectors, vectors, 0.1)) == pytest.approx(0, abs=1e-6)
    assert float(likeness_loss(vectors.flip(0), vectors, 0.1)) > 0.01


def test_the_direction_loss_is_the_cross_entropy_of_cosines() -> None:
    vectors = torch.tensor([[1.0, 0.0]])
    directions = torch.tensor([[5.0, 0.0], [0.0, 2.0]])
    # Cosines 1 and 0 at temperature 0.5: -log(e^2 / (e^2 + e^0)).
    expected = np.log(1 + np.exp(-2))
    loss = float(direction_loss(vectors, directions, torch.tensor([0]), 0.5))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_pictures_of_which_nothing_is_known_teach_by_the_teachers_word_alone() -> None:
    plan = Plan(hours=1, batch=8, threads=1)
    unknown = np.full(24, -1)
    blank = Material(material().pixels, material().targets, unknown, unknown, 1.0)
    student, names = Student(SMALL), Names(24, 12, 3, 6)
    _, parts = losses(student, names, batch_of([blank], 0, size=32, plan=plan), plan)
    assert set(parts) == {"vector", "likeness"}
    _, parts = losses(student, names, batch_of([material()], 0, size=32, plan=plan), plan)
    assert set(parts) == {"vector", "likeness", "label", "kind", "thing"}


def test_directions_begin_at_the_mean_of_the_teachers_word() -> None:
    names = Names(24, 12, 5, 6)
    before = names.labels.detach().clone()
    point(names, [material()])
    targets = material().targets
    mean = targets[:4].mean(0)  # things are four pictures in a row
    cosine = names.things[0].detach().numpy() @ mean / np.linalg.norm(mean)
    assert cosine == pytest.approx(12**0.5, rel=1e-5)
    # Labels 3 and 4 have no picture: theirs stay.
    np.testing.assert_array_equal(names.labels[3:].detach().numpy(), before[3:].numpy())


def test_the_rate_rises_and_ends_at_nothing_while_pictures_grow() -> None:
    plan = Plan(hours=1)
    assert (
        learning_rate(0.0, plan) < learning_rate(0.05, plan) == pytest.approx(plan.rate, rel=1e-2)
    )
    assert learning_rate(1.0, plan) < plan.rate / 100
    assert [side(spent, plan) for spent in (0.0, 0.79, 0.8, 1.0)] == [64, 64, 96, 96]


def test_a_cut_run_goes_on_where_it_was(tmp_path: Path) -> None:
    plan = Plan(hours=1, batch=8, threads=1, sizes=((1.0, 16),))
    first = list(itertools.islice(distil([material()], SMALL, plan, tmp_path, save_every=0.0), 3))
    assert [run.step for run in first][-1] == 3
    resumed = next(distil([material()], SMALL, plan, tmp_path, save_every=0.0))
    assert resumed.step == 4
    assert resumed.seconds > first[-1].seconds - 1e-6
    curves = [json.loads(line) for line in (tmp_path / "curves.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curves] == [1, 2, 3, 4]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own
def test_the_exported_file_gives_the_networks_vectors_with_length_one(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from tools.distill.export import Extractor, export, session

    torch.manual_seed(0)
    numbers = ColorNumbers(24)
    color = Part(numbers, Axes.fit(numbers, noise(400, 24), dim=16, evenness=0.3))
    extractor = Extractor([(Unit(Student(SMALL)), 0.7), (color, 0.3)]).eval()
    export(extractor, tmp_path / "m.onnx", side=24, facts={"side": 24})
    opened = session(tmp_path / "m.onnx")
    pixels = noise(5, 24)
    (vectors,) = opened.run(None, {"pixels": pixels})
    assert vectors.shape == (5, 12 + 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :12], axis=1), 0.7**0.5, rtol=1e-4)
    with torch.no_grad():
        ours = extractor(torch.from_numpy(pixels)).numpy()
    # Weights are rounded to 8 bits.
    assert (ours * vectors).sum(1).min() > 0.999
    assert opened.get_modelmeta().custom_metadata_map["side"] == "24"
