"""A whole ONNX model: which layers are replaced, by which form, and the model that comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np
import onnx

from subpixel_core import Conversion, ConversionReport, SubpixelKernel, choose_form
from subpixel_core._upsampling import FORMS

from .onnx_graph import Graph, read_by, subgraphs
from .onnx_layers import Layer, layers, named
from .onnx_nodes import Nodes, onnx_kernel, subpixel_nodes

Wanted = Literal["best", "minimal", "aligned"]
Extents = tuple[int, ...]


@dataclass(frozen=True)
class Replaced:
    """A layer, and the sub-pixel convolution that takes its place."""

    layer: Layer
    subpixel: SubpixelKernel


def found(model: onnx.ModelProto) -> list[Layer | Conversion]:
    """Return the layers that have an exact equal, and for the others that upsample a row that says why not."""
    return list(layers(Graph(model)))


def chosen(
    candidates: Sequence[Layer | Conversion], seen: Mapping[str, Sequence[Extents]], *, form: Wanted = "best", everything: bool = False
) -> tuple[list[Replaced], ConversionReport]:
    """Return which layers are replaced by what, and the report.

    Parameters
    ----------
    candidates
        What `found` returned.
    seen : mapping of tensor to extents
        The spatial extents that the input of every layer had, run by run. Where they are the same in all runs they decide about the form;
        the report counts on the last.
    form
        One for all layers, or for each the one with the fewest multiply-accumulates.
    everything : bool
        Also replace what takes more multiply-accumulates on every position, not counting those that the minimal form adds at the border.
    """
    replaced, rows = [], []
    for layer in candidates:
        if isinstance(layer, Conversion):
            rows.append(layer)
            continue
        runs = seen[layer.input]
        spatial = runs[0] if len(set(runs)) == 1 else None
        forms = {name: layer.subpixel(name) for name in FORMS if form in ("best", name)}
        best = choose_form(*forms.values(), spatial=spatial)
        name = next(name for name, candidate in forms.items() if candidate is best)
        before, after = layer.macs(runs[-1]), best.macs(runs[-1])
        growth = best.kernel.size / layer.macs_per_position
        if growth > 1 and not everything:
            reason = f"the {name} form takes {growth:.2f} times the MACs; --all replaces it nevertheless"
            rows.append(Conversion(layer.name, layer.kind, None, before, None, reason))
        else:
            replaced.append(Replaced(layer, best))
            rows.append(Conversion(layer.name, layer.kind, name, before, after))
    return replaced, ConversionReport(tuple(rows))


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
