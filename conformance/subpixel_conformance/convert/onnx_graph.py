"""What a conversion asks of an ONNX graph: which tensors are constants, who makes a tensor and who reads it."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from .refusal import LeftError


class Graph:
    """The main graph of a model, indexed. The model is not changed."""

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.model = model
        self.nodes = list(graph.node)
        self.inputs = {value.name for value in graph.input}
        self.outputs = {value.name for value in graph.output}
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output if name}
        self.readers = Counter(name for node in self.nodes for name in read_by(node))
        self._places: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self._places.setdefault(name, []).append(node)
        self._shapes = {value.name: value.type.tensor_type for value in (*graph.input, *_inferred(model))}

    @property
    def opset(self) -> int:
        """The version of the operators that every runtime has."""
        return max((entry.version for entry in self.model.opset_import if entry.domain in ("", "ai.onnx")), default=1)

    def constant(self, name: str, what: str) -> np.ndarray:
        """Return a tensor that is the same in every run; otherwise say why it is not."""
        while name in self.makers and self.makers[name].op_type == "Identity":
            name = self.makers[name].input[0]
        if name in self.initializers:
            if name in self.inputs:
                raise LeftError(f"{what} is an input of the model too, so that a caller may replace it")
            return numpy_helper.to_array(self.initializers[name])
        maker = self.makers.get(name)
        if maker is None:
            raise LeftError(f"{what} is no constant: it is an input of the model")
        if maker.op_type == "Constant":
            values = {attribute.name: attribute for attribute in maker.attribute}
            if "value" in values:
                return numpy_helper.to_array(values["value"].t)
            for kind in ("value_float", "value_floats", "value_int", "value_ints"):
                if kind in values:
                    return np.asarray(onnx.helper.get_attribute_value(values[kind]))
        if maker.op_type == "DequantizeLinear":
            raise LeftError(f"{what} is quantized (DequantizeLinear): its taps have a grid of their own that other taps do not lie on")
        raise LeftError(f"{what} is no constant: {maker.op_type} computes it")

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """Return the one node of this graph that reads a tensor, and reads it once; None where there is none, or more than one."""
        places = self._places.get(name, [])
        return places[0] if len(places) == self.readers[name] == 1 and name not in self.outputs else None

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Return the extents that are declared for a tensor, or follow from what is; None for each, or for all, that are not."""
        kind = self._shapes.get(name)
        if kind is None or not kind.HasField("shape"):
            return None
        return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node that are given, texts as str."""
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs inside a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def read_by(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what a node reads, and what the graphs inside it may read from outside."""
    yield from (name for name in node.input if name)
    for graph in subgraphs(node):
        for inner in graph.node:
            yield from read_by(inner)
        yield from (value.name for value in graph.output)


def _inferred(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the shapes that follow from those declared; those declared where the model is too large to infer any."""
    try:
        return list(onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info)
    except (ValueError, RuntimeError, onnx.shape_inference.InferenceError):
        return list(model.graph.value_info)
