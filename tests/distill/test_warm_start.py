"""A student that starts from an exported file computes what the file does."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip(
    "torch", reason="training needs PyTorch: pip install 'lookalike[training]'"
)
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tools.distill.export import Extractor, export  # noqa: E402
from tools.distill.losses import Batch  # noqa: E402
from tools.distill.network import Architecture, Student  # noqa: E402
from tools.distill.parts import Unit  # noqa: E402
from tools.distill.warm_start import fit_ridge, load_weights  # noqa: E402

SMALL = Architecture(widths=(8, 16), depths=(1, 1), head=24, dim=12)


def trained() -> Student:
    """Return a student whose batch norms are no longer in their initial state."""
    torch.manual_seed(0)
    student = Student(SMALL)
    student.train()
    for _ in range(5):
        student(torch.rand(16, 3, 32, 32) * 255)
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    student.eval()
    return student


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter's own
def test_a_new_student_computes_what_the_file_does(tmp_path: Path) -> None:
    old = trained()
    export(Extractor([(Unit(old), 1.0)]), tmp_path / "m.onnx", side=32, metadata={}, quantise=False)
    pixels = torch.rand(32, 3, 32, 32) * 255
    nothing = torch.full((32,), -1)
    with torch.no_grad():
        targets = old(pixels)
        new = Student(SMALL)
        load_weights(new, tmp_path / "m.onnx", [Batch(pixels, targets, nothing, nothing)] * 4)
        assert new.training
        # In training mode the batch's own statistics count, which are those it was set to.
        np.testing.assert_allclose(new.pooled(pixels), old.pooled(pixels), atol=1e-3)
        made = torch.nn.functional.normalize(new.eval()(pixels), dim=1)
    cosines = (made * torch.nn.functional.normalize(targets, dim=1)).sum(1)
    assert float(cosines.min()) > 0.99


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_of_another_architecture_is_refused(tmp_path: Path) -> None:
    export(Extractor([(Unit(trained()), 1.0)]), tmp_path / "m.onnx", side=32, metadata={})
    wider = Student(Architecture(widths=(8, 24), depths=(1, 1), head=24, dim=12))
    with pytest.raises(ValueError, match="another architecture"):
        load_weights(wider, tmp_path / "m.onnx", [])
    with pytest.raises(FileNotFoundError, match="no model at"):
        load_weights(wider, tmp_path / "none.onnx", [])


def test_ridge_regression_finds_a_linear_map() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 6)).astype(np.float32)
    true = rng.normal(size=(3, 6))
    weight, offset = fit_ridge(rows, (rows @ true.T + 2.0).astype(np.float32))
    np.testing.assert_allclose(weight, true, atol=0.03)
    np.testing.assert_allclose(offset, 2.0, atol=0.03)
