"""Starting a student from the weights of an exported file.

An exported file has no batch norms: they are folded into the convolutions. They are restored such that
the network computes what the file does: each gets the mean and variance of its own input on training
images, as its running statistics and, inverted, as its scale and shift. The last linear layer is fitted by
least squares, because the teacher's projection may be another now.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tools.distill.losses import Batch
from tools.distill.network import Student
from tools.distill.pytorch import nn, torch

# Prefix of the network's nodes in the file; its convolutions are the first of the graph.
PREFIX = "/parts.0/"
# Ridge of the least squares, as a share of the features' mean variance: a few thousand images determine 768
# coefficients for each of 256 outputs.
RIDGE = 0.01


def load_weights(student: Student, file: Path, batches: Iterable[Batch]) -> None:
    """Give a new student the weights of `file`, an exported student of the same architecture.

    The first of `batches` sets the batch norms, all of them together the last layer. Raises ValueError
    if the architectures differ.
    """
    found = convolution_weights(file)
    own = [module for module in student.modules() if isinstance(module, nn.Conv2d)]
    if [tuple(m.weight.shape) for m in own] != [tuple(weight.shape) for weight, _ in found]:
        raise ValueError(f"{file} has a network of another architecture: leave out --init-from")
    modules = list(student.modules())
    hooks = []
    with torch.no_grad():
        for convolution, (weight, bias) in zip(own, found, strict=True):
            convolution.weight.copy_(torch.from_numpy(weight))
            if bias is not None:
                norm = modules[modules.index(convolution) + 1]
                unfold = partial(_unfold, shift=torch.from_numpy(bias))
                hooks.append(norm.register_forward_pre_hook(unfold))
        rows, targets = [], []
        student.train()
        for number, batch in enumerate(batches):
            rows.append(student.pooled(batch.pixels))
            targets.append(batch.targets)
            if number == 0:
                for hook in hooks:
                    hook.remove()
                student.eval()
        weight, offset = fit_ridge(torch.cat(rows).numpy(), torch.cat(targets).numpy())
        student.vector.weight.copy_(torch.from_numpy(weight))
        student.vector.bias.copy_(torch.from_numpy(offset))
    student.train()


def _unfold(norm: Any, inputs: tuple[torch.Tensor], shift: torch.Tensor) -> None:
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + shift)


def fit_ridge(
    rows: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the weight (outputs, inputs) and offset (outputs,) of a linear map by ridge regression."""
    mean, target_mean = rows.mean(0, dtype=np.float64), targets.mean(0, dtype=np.float64)
    centred, centred_targets = rows - mean, targets - target_mean
    gram = centred.T @ centred
    gram += RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    weight = np.linalg.solve(gram, centred.T @ centred_targets).T
    return weight.astype(np.float32), (target_mean - weight @ mean).astype(np.float32)


def convolution_weights(
    file: Path,
) -> list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Return weights and biases of the network's convolutions in the order of the graph; a bias where a
    batch norm was folded in."""
    import onnx
    from onnx import numpy_helper

    if not file.is_file():
        raise FileNotFoundError(
            f"no model at {file}: name an exported file, or leave out --init-from"
        )
    graph = onnx.load(file).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}

    def value(name: str) -> NDArray[np.float32]:
        if name in stored:
            return np.array(stored[name], dtype=np.float32)
        scale = np.asarray(stored[f"{name}.scale"], dtype=np.float32)
        return np.asarray(stored[f"{name}.int8"] * scale, dtype=np.float32)

    found = []
    for node in graph.node:
        if node.op_type == "Conv" and node.output[0].startswith(PREFIX):
            bias = value(node.input[2]) if len(node.input) > 2 else None
            found.append((value(node.input[1]), bias))
    return found
