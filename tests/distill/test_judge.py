"""The figures of the model card, by hand on tiny cases."""

from pathlib import Path

import numpy as np
import pytest
from tools.distill.evaluate import average_precision, judge, labelled, unit
from tools.distill.release import reweighed


def test_average_precision_is_the_step_sum() -> None:
    # Relevant at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert average_precision(np.array([True, False, True, False])) == pytest.approx(5 / 6)


def test_average_precision_of_nothing_relevant_is_zero() -> None:
    assert average_precision(np.array([False, False])) == 0.0


def test_every_picture_asks_for_the_others_and_never_finds_itself() -> None:
    # On the circle at 0, 10, 30 and 90 degrees. Rankings: a: b c d, b: a c d, c: b a d, d: c b a.
    angles = np.deg2rad([0, 10, 30, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    figures = judge(vectors * 7, ["x", "x", "y", "y"])
    # Relevant at rank 1, 1, 3, 1.
    assert figures.mean_average_precision == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)
    assert figures.precision_at_1 == pytest.approx(3 / 4)
    assert figures.precision_at_10 == pytest.approx(1 / 3)
    assert figures.queries == 4


def test_a_label_that_occurs_once_asks_nothing() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert judge(vectors, ["x", "x", "alone"]).queries == 2


def test_unit_leaves_zeros_alone() -> None:
    scaled = unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    np.testing.assert_allclose(scaled, np.array([[0.6, 0.8], [0, 0]]), rtol=1e-6)


def test_the_manifest_gives_paths_and_labels_of_the_wanted_rows(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,label,split\na.jpg,cat,train\nb.jpg,dog,val\n")
    paths, labels = labelled(tmp_path, only=("split", "val"))
    assert (paths, labels) == ([tmp_path / "b.jpg"], ["dog"])


def test_parts_can_be_weighed_anew_also_where_one_has_faded() -> None:
    network, color = (
        unit(np.array([[3.0, 4.0], [1.0, 0.0]])),
        unit(np.array([[0.0, 1.0], [1.0, 1.0]])),
    )
    color[1] *= 0.25  # a nearly grey picture
    dims = {"network": 2, "color": 2}

    def joined(weights: dict[str, float]) -> np.ndarray:
        first, second = weights["network"] ** 0.5, weights["color"] ** 0.5
        return unit(np.concatenate([network * first, color * second], axis=1))

    old, new = {"network": 0.6, "color": 0.4}, {"network": 0.9, "color": 0.1}
    np.testing.assert_allclose(reweighed(joined(old), dims, old, new), joined(new), rtol=1e-5)
