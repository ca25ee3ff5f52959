"""Whether a converted model computes the same, found out by running both in onnxruntime.

Every node that was not replaced must be in both models byte for byte. Every layer that was replaced is judged on the input that it gets in
the converted model, against its original on that very input, within the bound of `rounding`.

So the outputs differ by what these roundings become in the layers behind. That is reported and not judged, save that an output must have
the same shape, and be finite where the original is.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from .choice import Replaced
from .layers import Layer
from .onnx_file import is_large, save
from .onnx_graph import Graph
from .onnx_layers import named
from .refusal import DiffersError, UnsuitableError, one_line
from .rounding import apart, used
from .trial import Arrays, Declared, trials

SILENT = 4


@dataclass(frozen=True)
class Judged:
    """What one run showed.

    The shapes of the inputs; of every layer the largest distance from its original, in terms of the bound; of every output the largest
    distance, and the largest value.
    """

    inputs: Mapping[str, tuple[int, ...]]
    layers: Mapping[str, float]
    outputs: Mapping[str, tuple[float, float]]


class Session:
    """A model in onnxruntime on the CPU, some of its inner tensors being outputs too."""

    def __init__(self, model: onnx.ModelProto, inner: Sequence[str] = ()) -> None:
        shown = {value.name for value in model.graph.output}
        fed = {value.name for value in model.graph.input}
        extended = onnx.ModelProto()
        extended.CopyFrom(model)
        extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(inner) if name not in shown | fed)
        self.outputs = [value.name for value in extended.graph.output]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = SILENT
        with TemporaryDirectory() if is_large(model) else nullcontext() as folder:
            source: str | bytes = extended.SerializeToString() if folder is None else str(Path(folder) / "model.onnx")
            if folder is not None:
                save(extended, Path(folder) / "model.onnx")
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def run(self, feeds: Arrays) -> Arrays:
        """Return all outputs, and the inputs with them."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = SILENT
        return feeds | dict(zip(self.outputs, self._session.run(self.outputs, feeds, options), strict=True))


def loaded(model: onnx.ModelProto, inner: Sequence[str] = ()) -> Session:
    """Return a session of the original model, refusing one that onnxruntime does not take."""
    try:
        return Session(model, inner)
    except Exception as error:
        raise UnsuitableError(f"onnxruntime does not load the model: {one_line(error)}") from error


def runs(model: onnx.ModelProto, candidates: Sequence[Layer], example: Mapping[str, Any] | None) -> list[Arrays]:
    """Return what the original model makes of some inputs: its outputs and the inputs of the layers.

    Raises
    ------
    UnsuitableError
        If onnxruntime cannot load it, or runs it on no input of the declared shapes.
    """
    session = loaded(model, [layer.input for layer in candidates])
    return trials(session.run, list(_declared(model)) if example is None else [], example)


def _declared(model: onnx.ModelProto) -> Iterator[Declared]:
    """Yield what a caller gives."""
    given = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in given:
            continue
        kind = value.type.tensor_type
        if not value.type.HasField("tensor_type") or not kind.HasField("shape") or kind.elem_type == onnx.TensorProto.STRING:
            raise UnsuitableError(f"input {value.name!r} declares no shape of numbers; give one with --inputs FILE.npz")
        shape = [
            axis.dim_value if axis.HasField("dim_value") else axis.dim_param or f"{value.name}[{number}]"
            for number, axis in enumerate(kind.shape.dim)
        ]
        yield value.name, helper.tensor_dtype_to_np_dtype(kind.elem_type), shape


def judge(original: onnx.ModelProto, converted: onnx.ModelProto, replaced: Sequence[Replaced], seen: Sequence[Arrays]) -> list[Judged]:
    """Return what was seen, run by run.

    Raises
    ------
    DiffersError
        If a layer is further from its original than the roundings allow, an output has another shape or dtype or is not finite where
        the original is, or something else was changed.
    UnsuitableError
        If a layer is not finite on these inputs, so that they show nothing.
    """
    _untouched(original, converted, replaced)
    names = [name for one in replaced for name in (one.layer.input, one.layer.output)]
    try:
        session = Session(converted, names)
        originals = {one.layer.name: (_alone(original, one.layer), _alone(original, one.layer, absolute=True)) for one in replaced}
    except Exception as error:
        raise DiffersError(f"onnxruntime does not load what came out: {one_line(error)}") from error
    fed = [value.name for value in original.graph.input]
    shown = [value.name for value in original.graph.output]
    judged = []
    for before in seen:
        feeds = {name: before[name] for name in fed if name in before}
        try:
            after = session.run(feeds)
        except Exception as error:
            raise DiffersError(f"what came out does not run where the original does: {one_line(error)}") from error
        ratios = {one.layer.name: _ratio(one, originals[one.layer.name], after) for one in replaced}
        outputs = {name: apart(name, after[name], before[name]) for name in shown if isinstance(before[name], np.ndarray)}
        judged.append(Judged({name: value.shape for name, value in feeds.items()}, ratios, outputs))
    return judged


def _ratio(one: Replaced, originals: tuple[Session, Session], after: Arrays) -> float:
    """Return the largest distance of a layer from its original, in terms of the bound."""
    layer = one.layer
    x, actual = after[layer.input], after[layer.output]
    wide = np.float64 if x.dtype == np.float64 else np.float32
    expected = originals[0].run({layer.input: x})[layer.output]
    total = originals[1].run({layer.input: np.abs(x).astype(wide)})[layer.output]
    terms = layer.products, prod(one.subpixel.kernel.shape[:-1])
    biased = layer.bias is not None
    return used(layer.name, actual, expected, total, terms=(terms[0] + biased, terms[1] + biased), added=layer.added)


def _alone(model: onnx.ModelProto, layer: Layer, *, absolute: bool = False) -> Session:
    """Return the nodes of a layer as a model; with ``absolute``, its weights without their signs, in float32 or more."""
    graph = Graph(model)
    constants = {}
    for node in layer.nodes:
        for name in node.input:
            if name and name not in (layer.input, *(made for other in layer.nodes for made in other.output)):
                constants[name] = graph.constant(name, name)
    weights = set(layer.nodes[-1].input[1:])
    dtype = layer.kernel.dtype
    if absolute:
        dtype = np.promote_types(dtype, np.float32)
        constants = {name: np.abs(value).astype(dtype) if name in weights else value for name, value in constants.items()}
    rank = layer.kernel.ndim
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x, y = (helper.make_tensor_value_info(name, kind, [None] * rank) for name in (layer.input, layer.output))
    initializers = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    alone = helper.make_graph(list(layer.nodes), "layer", [x], [y], initializers)
    return Session(helper.make_model(alone, opset_imports=model.opset_import, ir_version=model.ir_version))


def _untouched(original: onnx.ModelProto, converted: onnx.ModelProto, replaced: Sequence[Replaced]) -> None:
    """Refuse a model in which anything but the replaced layers, and what only they read, was changed."""
    before = [node.SerializeToString() for node in original.graph.node]
    after = {node.SerializeToString() for node in converted.graph.node}
    gone = {name for one in replaced for node in one.layer.nodes for name in node.output}
    made = {name for node in original.graph.node for name in node.output} - {one.layer.output for one in replaced}
    for node, text in zip(original.graph.node, before, strict=True):
        if text not in after and not gone.issuperset(node.output) and node.op_type not in ("Constant", "Identity"):
            raise DiffersError(f"{named(node)} was not to be replaced, and is another node in what came out")
    old = set(before)
    for node in converted.graph.node:
        if node.SerializeToString() not in old and made.intersection(node.output):
            raise DiffersError(f"{named(node)} makes a tensor that another node made")
    weights = {tensor.name: tensor for tensor in original.graph.initializer}
    for tensor in converted.graph.initializer:
        if tensor.name in weights and tensor != weights[tensor.name]:
            raise DiffersError(f"{tensor.name} was not to be changed, and has other values in what came out")
