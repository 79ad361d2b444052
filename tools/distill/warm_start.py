"""A second stage: training that begins with the weights of an exported file instead of random ones.

An exported file holds no batch norms, for they are folded into the convolutions. They are put back
so that the network computes what the file does: each gets the mean and spread that its own input
has on training pictures, as its running numbers and, turned round, as its scale and shift. The last
linear layer is solved anew by least squares, for the teacher's axes may be others now.
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

# The network is the file's first part; its convolutions are the first of the graph.
PART = "/parts.0/"
# Of the least squares, as a share of the features' mean variance: a few thousand pictures decide
# 768 numbers for each of 256 outputs.
RIDGE = 0.01


def begin_with(student: Student, file: Path, batches: Iterable[Batch]) -> None:
    """Give a new student the weights of `file` (an export of a student of the same shape).

    The first of `batches` sets the batch norms, all of them together the last layer. Raises
    ValueError where the shapes do not agree.
    """
    found = convolutions(file)
    mine = [module for module in student.modules() if isinstance(module, nn.Conv2d)]
    shapes = [tuple(m.weight.shape) for m in mine], [tuple(w.shape) for w, _ in found]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{file} holds a network of another shape: begin without it")
    modules = list(student.modules())
    hooks = []
    with torch.no_grad():
        for convolution, (weight, bias) in zip(mine, found, strict=True):
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
        weight, offset = ridge(torch.cat(rows).numpy(), torch.cat(targets).numpy())
        student.vector.weight.copy_(torch.from_numpy(weight))
        student.vector.bias.copy_(torch.from_numpy(offset))
    student.train()


def _unfold(norm: Any, inputs: tuple[torch.Tensor], shift: torch.Tensor) -> None:
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((variance + norm.eps).sqrt())
    norm.bias.copy_(mean + shift)


def ridge(
    rows: NDArray[np.float32], targets: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight `(outputs, inputs)` and offset `(outputs,)` of the linear map with the least squared
    error, slightly held back (ridge regression).
    """
    mean, aim = rows.mean(0, dtype=np.float64), targets.mean(0, dtype=np.float64)
    inside, outside = rows - mean, targets - aim
    square = inside.T @ inside
    square += RIDGE * np.trace(square) / len(square) * np.eye(len(square))
    weight = np.linalg.solve(square, inside.T @ outside).T
    return weight.astype(np.float32), (aim - weight @ mean).astype(np.float32)


def convolutions(file: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
    """Weights and biases of the network's convolutions in the order of the graph; biases where a
    batch norm was folded in.
    """
    import onnx
    from onnx import numpy_helper

    if not file.is_file():
        raise FileNotFoundError(f"no model at {file}: give an exported file, or begin without it")
    graph = onnx.load(file).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}

    def value(name: str) -> NDArray[np.float32]:
        if name in stored:
            return np.array(stored[name], dtype=np.float32)
        scale = np.asarray(stored[f"{name}.scale"], dtype=np.float32)
        return np.asarray(stored[f"{name}.int8"] * scale, dtype=np.float32)

    found = []
    for node in graph.node:
        if node.op_type == "Conv" and node.output[0].startswith(PART):
            bias = value(node.input[2]) if len(node.input) > 2 else None
            found.append((value(node.input[1]), bias))
    return found
