"""The layers of an exported program that upsample: transposed convolutions, and resizes to the nearest neighbour with a convolution behind.

Here the operators of ATen are read, in torch's own layout: weights (Ci, Co / groups, *K) and (Co, Ci / groups, *k), tensors
(N, C, *spatial). What they are equal to, the core says.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from subpixel_core import Conversion, check
from subpixel_core._conversion import NOT_ADJACENT, SHARED_PARAMETERS
from subpixel_core._upsampling import Pairs

from .layers import DTYPES, Layer, Place, Resized, Transposed
from .refusal import LeftError

HELD = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
Axes = tuple[int, ...]


class Program:
    """What a conversion asks of an exported program: which tensors it holds, and who reads them."""

    def __init__(self, program: ExportedProgram) -> None:
        self.graph = program.graph
        signature = program.graph_signature
        changed = {*signature.buffers_to_mutate.values(), *getattr(signature, "parameters_to_mutate", {}).values()}
        self.states: Mapping[str, Tensor] = {**program.constants, **program.state_dict}
        specs = [spec for spec in signature.input_specs if spec.kind in HELD]
        self.targets = {spec.arg.name: str(spec.target) for spec in specs if spec.target not in changed}
        self._owners = Counter(_storage(tensor) for tensor in self.states.values() if isinstance(tensor, Tensor))

    def constant(self, node: Any, what: str) -> Tensor | None:
        """Return a tensor that the program holds, under one name alone; otherwise say why it is not so."""
        if node is None:
            return None
        if node.name not in self.targets:
            raise LeftError(f"{what} is no constant: {_operator(node) or 'an input'} computes it")
        tensor = self.states[self.targets[node.name]]
        if self._owners[_storage(tensor)] > 1:
            raise LeftError(SHARED_PARAMETERS)
        if str(tensor.dtype).removeprefix("torch.") not in DTYPES:
            raise LeftError(f"{what} is {str(tensor.dtype).removeprefix('torch.')}; {', '.join(DTYPES)} are converted")
        return tensor


def layers(program: ExportedProgram) -> Iterator[Layer | Conversion]:
    """Yield what upsamples, in the order of the nodes: as a layer, or as the row that says why it is left."""
    read = Program(program)
    found: list[Layer | Conversion] = []
    for node in program.graph.nodes:
        kind = _kind(node)
        if kind is not None:
            try:
                found.append(kind(read, node))
            except (ValueError, TypeError) as error:  # from here or, for what has no exact equal, from the core
                found.append(Conversion(node.name, _operator(node), reason=str(error)))
    real = [one for one in found if isinstance(one, Layer)]
    for one in found:
        shared = isinstance(one, Layer) and not _alone(sharing(one, real))
        yield Conversion(one.place.name, one.place.kind, reason=SHARED_PARAMETERS) if isinstance(one, Layer) and shared else one
    for path, inside in program.graph_module.named_modules():
        for node in inside.graph.nodes if path and isinstance(inside, fx.GraphModule) else ():
            if _kind(node) is not None:
                yield Conversion(f"{path}.{node.name}", _operator(node), reason=f"it is in a graph inside another ({path})")


def sharing(layer: Layer, layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers that have the weight of one of them, which is among them: calls of one module, most likely."""
    return [other for other in layers if given(other.nodes[-1])["weight"] is given(layer.nodes[-1])["weight"]]


def _alone(group: Sequence[Layer]) -> bool:
    """Whether nothing but these layers reads their weights, and they do the same with them."""
    readers = {layer.nodes[-1] for layer in group}
    weights = [weight for weight in (given(group[0].nodes[-1])[key] for key in ("weight", "bias")) if weight is not None]
    calls = {
        (type(layer), layer.padding, layer.dilation, layer.groups, layer.scale, getattr(layer, "output_padding", None)) for layer in group
    }
    return len(calls) == 1 and all(set(weight.users) == readers for weight in weights)


def given(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of an operator by their names, those that are not given as they are by default."""
    schema = node.target._schema.arguments  # type: ignore[union-attr]
    values = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    return values | dict(zip((argument.name for argument in schema), node.args, strict=False)) | node.kwargs


def _kind(node: fx.Node) -> Any:
    """Return what reads a node as a layer; None where it upsamples nothing."""
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return None
    name = node.target._schema.name.removeprefix("aten::")
    if name.startswith("conv_transpose") or (name == "convolution" and given(node)["transposed"]):
        return _transposed
    if name.startswith(("_upsample", "upsample")):
        return None if name.endswith("_backward") else partial(_resized, name)
    return None


def _operator(node: fx.Node) -> str:
    return getattr(node.target, "__name__", "") if node.op == "call_function" else ""


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _transposed(program: Program, node: fx.Node) -> Transposed:
    values = given(node)
    weight, bias = _weights(program, values)
    groups = values["groups"]
    inputs, outputs, *taps = weight.shape  # (g * p, q, *K) -> (*K, p, g * q)
    parts = weight.reshape(groups, inputs // groups, outputs, *taps)
    kernel = np.moveaxis(parts, (1, 0, 2), (-3, -2, -1)).reshape(*taps, inputs // groups, groups * outputs)
    stride, padding, more, dilation = (_axes(values[key], len(taps)) for key in ("stride", "padding", "output_padding", "dilation"))
    if prod(stride) == 1:
        raise LeftError("its stride is 1: it enlarges nothing")
    cut = tuple((p, p) for p in padding)
    layer = Transposed(_place(node), kernel, bias, cut, dilation, groups, "CRD", stride, more)
    layer.subpixel("minimal")  # refuses what has no equal
    return layer


def _resized(name: str, program: Program, node: fx.Node) -> Resized:
    values = given(node)
    mode = "nearest" if "_nearest" in name else name.removeprefix("_").removeprefix("upsample_").rstrip("123d")
    check.exact_resize(mode, bool(values.get("align_corners")))
    factors = _factors(node, values, exact="_exact" in name)
    if prod(factors) == 1:
        raise LeftError("its factors are 1: it enlarges nothing")
    users = list(node.users)
    if len(users) != 1 or not _convolves(users[0]) or users[0].all_input_nodes.count(node) != 1 or users[0].args[0] is not node:
        raise LeftError(NOT_ADJACENT)
    (conv,) = users
    behind = given(conv)
    weight, bias = _weights(program, behind)
    kernel = np.moveaxis(weight, (1, 0), (-2, -1))  # (q, p, *k) -> (*k, p, q)
    taps = kernel.shape[:-2]
    check.unit_steps(_axes(behind["stride"], len(taps)))
    dilation = _axes(behind["dilation"], len(taps))
    around = _around(behind["padding"], taps, dilation)
    layer = Resized(_place(node, conv), kernel, bias, around, dilation, behind["groups"], "CRD", factors)
    layer.subpixel("minimal")
    return layer


def _convolves(node: fx.Node) -> bool:
    if not isinstance(node.target, torch._ops.OpOverload) or node.target.namespace != "aten":
        return False
    name = node.target._schema.name.removeprefix("aten::")
    return name in ("conv1d", "conv2d", "conv3d") or (name == "convolution" and not given(node)["transposed"])


def _place(*nodes: fx.Node) -> Place:
    name, kind = " + ".join(node.name for node in nodes), " + ".join(map(_operator, nodes))
    return Place(nodes, name, kind, nodes[0].all_input_nodes[0].name, nodes[-1].name)


def _weights(program: Program, values: Mapping[str, Any]) -> tuple[Any, Any]:
    weight, bias = program.constant(values["weight"], "its kernel"), program.constant(values["bias"], "its bias")
    return _array(weight), _array(bias)


def _array(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().cpu().numpy()


def _axes(value: Any, ndim: int) -> Axes:
    """Return one integer per axis: ATen lets one stand for all."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * ndim if len(values) == 1 else values


def _around(padding: Any, taps: Axes, dilation: Axes) -> Pairs:
    """Return the zeros (before, after) around the input of a convolution of stride 1."""
    if isinstance(padding, str):
        totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(taps, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    return tuple((p, p) for p in _axes(padding, len(taps)))


def _factors(node: fx.Node, values: Mapping[str, Any], *, exact: bool) -> Axes:
    """Return the factor of every spatial axis of a resize to the nearest neighbour; refuse one that misses a pixel."""
    extents = tuple(node.all_input_nodes[0].meta["val"].shape[2:])
    scales = values.get("scale_factors") or [values[key] for key in ("scales", "scales_d", "scales_h", "scales_w") if values.get(key)]
    if len(scales) == len(extents):
        factors = check.whole_factors(tuple(scales), None, len(extents))
        found = all(np.float32(1 / factor) * np.float32(factor) >= 1 for factor in factors)
    else:
        size = tuple(values["output_size"])
        if not all(isinstance(extent, int) for extent in (*extents, *size)):
            check.whole_factors(None, tuple(map(str, size)), len(extents))
        factors = check.whole_factors(tuple(out / n for out, n in zip(size, extents, strict=True)), None, len(extents))
        found = all(_finds(n, factor) for n, factor in zip(extents, factors, strict=True))
    check.neighbours_found(factors, found or exact)
    if not all(r * n == out for r, n, out in zip(factors, extents, node.meta["val"].shape[2:], strict=True)):
        raise LeftError("its output has other extents than its factors give")
    return factors


def _finds(extent: int, factor: int) -> bool:
    """Whether torch's "nearest" finds every pixel of an axis, whose position it computes in float32 from both extents."""
    positions = np.arange(extent * factor)
    step = np.float32(extent) / np.float32(extent * factor)
    return bool((np.floor(positions.astype(np.float32) * step) == positions // factor).all())
