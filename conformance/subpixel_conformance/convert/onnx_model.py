"""A whole ONNX model: its layers, and the model in which some of them are replaced."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import onnx

from subpixel_core import Conversion

from .choice import Replaced
from .layers import Layer
from .onnx_graph import Graph, read_by, subgraphs
from .onnx_layers import layers, named
from .onnx_nodes import Nodes, onnx_kernel, subpixel_nodes


def found(model: onnx.ModelProto) -> list[Layer | Conversion]:
    """Return the layers that have an exact equal, and for the others that upsample a row that says why not."""
    return list(layers(Graph(model)))


def rewritten(model: onnx.ModelProto, replaced: Sequence[Replaced]) -> onnx.ModelProto:
    """Return a model in which these layers are replaced; the one given is not changed. Equal weights are kept once."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    kept: dict[str, str] = {}
    taken = _names(model.graph)
    by_output = {one.layer.output: one for one in replaced}
    gone = {name for one in replaced for node in one.layer.nodes for name in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        one = next((by_output[name] for name in node.output if name in by_output), None)
        if one is not None:
            making = Nodes(f"{named(node)}/subpixel", taken)
            arrays = [("kernel", onnx_kernel(one.subpixel))]
            if one.subpixel.bias is not None:
                arrays.append(("bias", one.subpixel.bias))
            weights = [_once(what, array, kept, making) for what, array in arrays]
            subpixel_nodes(one.subpixel, weights, one.layer.input, one.layer.output, making)
            nodes += making.nodes
            result.graph.initializer.extend(making.initializers)
        elif not gone.intersection(node.output):
            nodes.append(node)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    _sweep(result.graph, {name for one in replaced for node in one.layer.nodes for name in node.input}, gone - set(by_output))
    return result


def _once(what: str, array: np.ndarray, kept: dict[str, str], making: Nodes) -> str:
    key = f"{array.shape} {array.dtype} {sha256(array.tobytes()).hexdigest()}"
    if key not in kept:
        kept[key] = making.constant(what, array)
    return kept[key]


def _sweep(graph: onnx.GraphProto, suspects: set[str], gone: set[str]) -> None:
    """Remove constants that nothing reads any more, of those that the replaced nodes read, and the shapes of tensors that are gone."""
    needed = {value.name for value in graph.output}
    for node in reversed(graph.node):
        if node.op_type not in ("Constant", "Identity") or not suspects.intersection(node.output) or needed.intersection(node.output):
            needed.update(read_by(node))
        else:
            suspects.update(node.input)
    unread = suspects - needed
    _remove(graph.initializer, lambda tensor: tensor.name in unread)
    _remove(graph.node, lambda node: node.op_type in ("Constant", "Identity") and unread.issuperset(node.output))
    _remove(graph.value_info, lambda value: value.name in gone | unread)


def _remove(entries: Any, unwanted: Callable[[Any], bool]) -> None:
    for number in reversed(range(len(entries))):
        if unwanted(entries[number]):
            del entries[number]


def _names(graph: onnx.GraphProto) -> set[str]:
    """Return every name in a graph and in those inside it."""
    names = {entry.name for field in (graph.input, graph.output, graph.initializer, graph.value_info, graph.node) for entry in field}
    for node in graph.node:
        names.update(node.output)
        for inner in subgraphs(node):
            names |= _names(inner)
    return names
