"""The metrics of the model card, by hand on tiny cases."""

from pathlib import Path

import numpy as np
import pytest
from tools.distill.evaluate import evaluate, read_labels
from tools.distill.release import reweight

from lookalike.vectors.similarity import normalise


def test_every_image_is_a_query_for_the_others_and_never_finds_itself() -> None:
    # On the circle at 0, 10, 30 and 90 degrees. Rankings: a: b c d, b: a c d, c: b a d, d: c b a.
    angles = np.deg2rad([0, 10, 30, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    metrics = evaluate(vectors * 7, ["x", "x", "y", "y"])
    # Relevant at rank 1, 1, 3, 1.
    assert metrics.mean_average_precision == pytest.approx((1 + 1 + 1 / 3 + 1) / 4)
    assert metrics.precision_at_1 == pytest.approx(3 / 4)
    # One relevant image among the first ten, of which there are three: divided by ten all the same.
    assert metrics.precision_at_10 == pytest.approx(1 / 10)
    assert metrics.queries == 4


def test_an_image_alone_with_its_label_is_no_query() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert evaluate(vectors, ["x", "x", "alone"]).queries == 2


def test_labels_are_read_from_the_manifest_or_the_table_of_a_catalogue(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("path,kind\nc.jpg,mug\n")
    assert read_labels(tmp_path, label="kind") == ([tmp_path / "c.jpg"], ["mug"])
    (tmp_path / "manifest.csv").write_text("path,label\na.jpg,cat\nb.jpg,dog\n")
    assert read_labels(tmp_path) == ([tmp_path / "a.jpg", tmp_path / "b.jpg"], ["cat", "dog"])


def test_parts_can_be_reweighted_even_if_one_is_gated() -> None:
    network, color = (
        normalise(np.array([[3.0, 4.0], [1.0, 0.0]])),
        normalise(np.array([[0.0, 1.0], [1.0, 1.0]])),
    )
    color[1] *= 0.25  # a nearly grey image
    dims = {"network": 2, "color": 2}

    def joined(weights: dict[str, float]) -> np.ndarray:
        first, second = weights["network"] ** 0.5, weights["color"] ** 0.5
        return normalise(np.concatenate([network * first, color * second], axis=1))

    old, new = {"network": 0.6, "color": 0.4}, {"network": 0.9, "color": 0.1}
    np.testing.assert_allclose(reweight(joined(old), dims, old, new), joined(new), rtol=1e-5)
