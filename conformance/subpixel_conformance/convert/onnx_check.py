"""Whether a converted model computes the same, found out by running both in onnxruntime.

Every node that was not replaced must be in both models byte for byte. Every layer that was replaced is judged on the input that it gets in
the converted model, against its original on that very input. Both are sums of the same products, and CV-003 bounds the error of each: so
their distance is at most the sum of the two bounds ::

    |original - converted| <= (n_o + n_c) * u * S + (4 + n_a) * v * S

with u the unit roundoff of the accumulation and v that of the result, n_o and n_c the terms of the two sums, n_a the taps that were added
up to one (EQ-012), and S the sum of the absolute values, which no result exceeds. S is computed by the original layer too, from absolute
values, and corrected by its own error. No number here is chosen: where S is 0, both must be 0.

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

from subpixel_conformance.compare import unit_roundoff

from .onnx_file import is_large, save
from .onnx_graph import Graph
from .onnx_layers import Layer, named
from .onnx_model import Replaced
from .refusal import DiffersError, UnsuitableError, one_line

Arrays = dict[str, np.ndarray]
MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
UNEQUAL = ((5, 7, 6, 9, 4, 11, 8, 13), (6, 5, 7, 4, 11, 8, 13, 9))
"""Extents that are not declared are the one times the other, until the original takes two: networks want multiples of powers of two."""
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
    if example is not None:
        try:
            return [session.run(dict(example))]
        except Exception as error:
            raise UnsuitableError(f"the model does not run on these inputs: {one_line(error)}") from error
    sizes = [(multiple, which) for multiple in MULTIPLES for which in range(len(UNEQUAL))] if symbols(model) else [(1, 0)]
    seen, last = [], ""
    for multiple, which in sizes:
        try:
            seen.append(session.run(drawn(model, multiple, which)))
        except Exception as error:
            last = one_line(error)
        if len(seen) == len(UNEQUAL):
            break
    if not seen:
        raise UnsuitableError(f"the model runs on no input that was drawn for it; give one with --inputs FILE.npz: {last}")
    return seen


def symbols(model: onnx.ModelProto) -> list[str]:
    """Return the extents of the inputs that are not declared as numbers, each once."""
    return list(dict.fromkeys(extent for _, _, shape in _inputs(model) for extent in shape if isinstance(extent, str)))


def drawn(model: onnx.ModelProto, multiple: int, which: int) -> Arrays:
    """Return inputs of the declared shapes: normal numbers, or 0 and 1 where they are integers. Unknown extents are all different."""
    rng = np.random.default_rng((multiple, which))
    batches = {shape[0] for _, _, shape in _inputs(model) if shape}
    sizes: dict[str, int] = {}
    for name in symbols(model):
        number = len([known for known in sizes if known not in batches])
        more, place = divmod(number, len(UNEQUAL[which]))
        sizes[name] = 2 + which if name in batches else multiple * (UNEQUAL[which][place] + 13 * more)
    feeds = {}
    for name, dtype, declared in _inputs(model):
        shape = tuple(sizes.get(str(extent), extent) for extent in declared)
        feeds[name] = (rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(0, 2, shape)).astype(dtype)
    return feeds


def _inputs(model: onnx.ModelProto) -> Iterator[tuple[str, np.dtype[Any], list[Any]]]:
    """Yield name, dtype and extents of what a caller gives; an extent that is not declared is a str."""
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
    judged = []
    for before in seen:
        feeds = {name: before[name] for name in fed if name in before}
        try:
            after = session.run(feeds)
        except Exception as error:
            raise DiffersError(f"what came out does not run where the original does: {one_line(error)}") from error
        ratios = {one.layer.name: _ratio(one, originals[one.layer.name], after) for one in replaced}
        outputs = {value.name: _distance(value.name, before[value.name], after[value.name]) for value in original.graph.output}
        judged.append(Judged({name: value.shape for name, value in feeds.items()}, ratios, outputs))
    return judged


def _ratio(one: Replaced, originals: tuple[Session, Session], after: Arrays) -> float:
    """Return the largest distance of a layer from its original, in terms of the bound."""
    layer = one.layer
    x, actual = after[layer.input], after[layer.output]
    wide = np.float64 if x.dtype == np.float64 else np.float32
    expected = originals[0].run({layer.input: x})[layer.output]
    total = originals[1].run({layer.input: np.abs(x).astype(wide)})[layer.output].astype(np.float64)
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        raise DiffersError(f"{layer.name} makes {actual.dtype} {actual.shape}, and its original {expected.dtype} {expected.shape}")
    if not np.isfinite(expected).all():
        raise UnsuitableError(
            f"{layer.name} is not finite on these inputs, so that nothing can be said; give others with --inputs FILE.npz"
        )
    name = str(x.dtype)
    u, v, biased = unit_roundoff(name, accumulation=True), unit_roundoff(name), layer.bias is not None
    terms = layer.products + prod(one.subpixel.kernel.shape[:-1]) + 2 * biased
    total /= 1 - (layer.products + biased) * unit_roundoff(str(np.dtype(wide)))
    smallest = float(np.finfo(x.dtype).smallest_subnormal)
    bound = (terms * u + (4 + layer.added) * v) * total / (1 - terms * u) + np.where(total > 0, terms * smallest, 0.0)
    distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    ratio = np.where(distance == 0, 0.0, np.divide(distance, bound, out=np.full_like(distance, np.inf), where=bound > 0))
    largest = float(np.nan_to_num(ratio, nan=np.inf).max(initial=0.0))
    if largest > 1:
        place = np.unravel_index(int(np.nan_to_num(ratio, nan=np.inf).argmax()), ratio.shape)
        where = ", ".join(str(int(n)) for n in place)
        raise DiffersError(
            f"{layer.name}: [{where}] must be {expected[place]}; got {actual[place]}, {largest:.3g} times what rounding allows"
        )
    return largest


def _distance(name: str, expected: Any, actual: Any) -> tuple[float, float]:
    """Return the largest distance of an output from the original's, and the original's largest value."""
    if not isinstance(expected, np.ndarray) or not isinstance(actual, np.ndarray):
        return 0.0, 0.0  # a sequence or a map of a model with such outputs
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise DiffersError(f"output {name} is {actual.dtype} {actual.shape}, and the original's {expected.dtype} {expected.shape}")
    if expected.dtype.kind not in "fiub":
        return 0.0, 0.0
    before, after = expected.astype(np.float64), actual.astype(np.float64)
    if (np.isfinite(before) != np.isfinite(after)).any():
        raise DiffersError(f"output {name} is finite in other places than the original's")
    finite = np.isfinite(before)
    return float(np.abs(before - after)[finite].max(initial=0.0)), float(np.abs(before)[finite].max(initial=0.0))


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
