"""Export of trained weights to the ONNX file that ships: pixels in, unit vectors out.

The graph contains preprocessing, the network, the colour part and their weights, so that nothing can be
paired wrongly. Weights are stored in 8 bits with a scale for each output channel; ONNX Runtime converts
them to floats when it loads the file, so they cost no speed.
"""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tools.distill.class_vectors import ClassVectors, quantised, store_class_vectors
from tools.distill.pytorch import nn, torch

# Opset 17 is read by every ONNX Runtime since 1.12.
OPSET = 17
# Smaller tensors (biases, the centres of the colour bins) stay float32: they take no space, and errors in
# them shift everything.
MIN_QUANTISED_SIZE = 1024


class Extractor(nn.Module):  # type: ignore[misc]
    """Maps (n, side, side, 3) uint8 RGB to (n, dims) float32 of length 1.

    Each part has length 1 and is scaled by the root of its weight, so that the cosine of two vectors is
    the weighted mean of the parts' cosines. Weights sum to 1.
    """

    def __init__(self, parts: Sequence[tuple[Any, float]]) -> None:
        super().__init__()
        self.parts = nn.ModuleList([part for part, _ in parts])
        self.scales = [weight**0.5 for _, weight in parts]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        image = pixels.permute(0, 3, 1, 2).float()
        vectors = [part(image) * scale for part, scale in zip(self.parts, self.scales, strict=True)]
        # A gated part leaves its share of the length to the others.
        return nn.functional.normalize(torch.cat(vectors, 1), dim=1)


def export(
    extractor: Extractor,
    path: Path,
    *,
    side: int,
    metadata: dict[str, Any],
    classes: ClassVectors | None = None,
    quantise: bool = True,
) -> None:
    """Write the ONNX file.

    metadata  stored in the file; values that are not text are stored as JSON
    classes   stored beside the graph
    quantise  store the weights in 8 bits
    """
    import onnx

    extractor.eval()
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    exported = path.with_suffix(".float.onnx")
    axes = {"pixels": {0: "n"}, "vectors": {0: "n"}}
    with warnings.catch_warnings():
        # The size of the images is fixed, so what is computed from it is constant.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            extractor, (example,), str(exported), input_names=["pixels"], output_names=["vectors"],
            dynamic_axes=axes, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    model = onnx.load(exported)
    exported.unlink()
    fold_padding(model)
    if quantise:
        quantise_weights(model)
    if classes is not None:
        store_class_vectors(model, classes)
    for name, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, value if isinstance(value, str) else json.dumps(value)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def fold_padding(model: Any) -> None:
    """Make zero padding before a convolution an attribute of it, in place. ONNX Runtime keeps a padding apart
    and reorders the whole image around it, which takes a quarter of the time."""
    from onnx import helper

    graph = model.graph
    paddings = {node.output[0]: node for node in graph.node if node.op_type == "Pad"}
    for node in graph.node:
        padding = paddings.get(node.input[0]) if node.op_type == "Conv" else None
        if padding is None:
            continue
        before_after = [int(x) for x in _constant(model, padding.input[1])]
        attribute = next(a for a in node.attribute if a.name == "pads")
        pads = [
            x + y
            for x, y in zip(attribute.ints, before_after[2:4] + before_after[6:8], strict=True)
        ]
        node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute("pads", pads))
        node.input[0] = padding.input[0]
    remove_unread(graph)


def _constant(model: Any, name: str) -> Any:
    """Return the value of a tensor that depends on no input: the exporter computes constants by chains of
    nodes."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    wanted, nodes = {name}, list[Any]()
    for node in reversed(model.graph.node):
        if not wanted.isdisjoint(node.output):
            nodes.insert(0, node)
            wanted.update(node.input)
    weights = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    output = helper.make_tensor_value_info(name, TensorProto.INT64, None)
    graph = helper.make_graph(nodes, "constant", [], [output], weights)
    part = helper.make_model(graph, opset_imports=model.opset_import)
    return ReferenceEvaluator(part).run(None, {})[0]


def remove_unread(graph: Any) -> None:
    """Remove nodes whose outputs nothing reads, in place."""
    read = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):  # a node comes after those that it reads
        if read.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            read.update(node.input)


def quantise_weights(model: Any) -> None:
    """Replace every large weight by int8 numbers and a scale for each output channel, in place."""
    from onnx import helper, numpy_helper

    nodes, tensors = [], []
    for tensor in model.graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if weight.dtype != np.float32 or weight.size < MIN_QUANTISED_SIZE or weight.ndim < 2:
            tensors.append(tensor)
            continue
        numbers, scale = quantised(weight)
        tensors.append(numpy_helper.from_array(numbers, f"{tensor.name}.int8"))
        tensors.append(numpy_helper.from_array(scale, f"{tensor.name}.scale"))
        nodes.append(
            helper.make_node("Cast", [f"{tensor.name}.int8"], [f"{tensor.name}.float"], to=1)
        )
        nodes.append(
            helper.make_node("Mul", [f"{tensor.name}.float", f"{tensor.name}.scale"], [tensor.name])
        )
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def open_session(path: Path, *, threads: int = 1) -> Any:
    """Open an exported file with ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
