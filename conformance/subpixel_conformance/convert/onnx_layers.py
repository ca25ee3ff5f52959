"""The layers of an ONNX graph that upsample: ConvTranspose, and Resize (or Upsample) with a Conv behind it.

Here their attributes are read, as https://onnx.ai/onnx/operators/ defines them, in ONNX's own layout: kernels (Ci, Co / groups, *K) and
(Co, Ci / groups, *k), tensors (N, C, *spatial). What they are equal to, the core says.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
import onnx

from subpixel_core import Conversion, Order, check
from subpixel_core._upsampling import Pairs

from .layers import DTYPES, Layer, Place, Resized, Transposed
from .onnx_graph import Graph, attributes, subgraphs
from .refusal import LeftError

RESIZES = ("Resize", "Upsample")
UPSAMPLING = ("ConvTranspose", *RESIZES)
OPSET = 11
"""The first in which DepthToSpace has a mode."""

NEAREST = {
    "asymmetric": ("floor",),  # n / r
    "half_pixel": ("round_prefer_floor", "round_prefer_ceil"),  # (n + 1/2) / r - 1/2, which is never halfway between two pixels
    "half_pixel_symmetric": ("round_prefer_floor", "round_prefer_ceil"),
    "pytorch_half_pixel": ("round_prefer_floor", "round_prefer_ceil"),
    "tf_half_pixel_for_nn": ("floor",),  # (n + 1/2) / r
}
"""The coordinates and roundings that give pixel floor(n / r) to position n, for every whole factor r."""


def layers(graph: Graph) -> Iterator[Layer | Conversion]:
    """Yield what upsamples, in the order of the nodes: as a layer, or as the row that says why it is left."""
    for node in graph.nodes:
        for inner in subgraphs(node):
            for found in _inside(inner):
                yield Conversion(named(found), found.op_type, reason=f"it is in a graph inside {node.op_type} ({named(node)})")
        if node.domain not in ("", "ai.onnx") or node.op_type not in UPSAMPLING:
            continue
        try:
            if graph.opset < OPSET:
                raise LeftError(f"opset {graph.opset} is older than {OPSET}; onnx.version_converter raises it")
            yield _transposed(graph, node) if node.op_type == "ConvTranspose" else _resized(graph, node)
        except (ValueError, TypeError) as error:  # from here or, for what has no exact equal, from the core
            yield Conversion(named(node), node.op_type, reason=str(error))
    for function in graph.model.functions:
        for node in function.node:
            if node.op_type in UPSAMPLING:
                yield Conversion(named(node), node.op_type, reason=f"it is in the function {function.name}")


def named(node: onnx.NodeProto) -> str:
    """Return the name of a node, or where it has none that of what it makes."""
    return str(node.name or next(iter(node.output), node.op_type))


def _place(*nodes: onnx.NodeProto) -> Place:
    name, kind = " + ".join(map(named, nodes)), " + ".join(node.op_type for node in nodes)
    return Place(nodes, name, kind, nodes[0].input[0], nodes[-1].output[0])


def _order(groups: int, scale: tuple[int, ...]) -> Order:
    """Return the order to convert to: ONNX's default, and CRD where that alone is exact or can be shifted axis by axis."""
    return "DCR" if groups == 1 and len(scale) == 2 and scale[0] == scale[1] else "CRD"


def _inside(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        if node.op_type in UPSAMPLING:
            yield node
        for inner in subgraphs(node):
            yield from _inside(inner)


def _transposed(graph: Graph, node: onnx.NodeProto) -> Transposed:
    given = attributes(node)
    kernel, bias = _weights(graph, node)
    groups = given.get("group", 1)
    inputs, outputs, *taps = kernel.shape  # (g * p, q, *K) -> (*K, p, g * q)
    check.multiple("input channels", inputs, groups, f"groups={groups}")
    grouped = kernel.reshape(groups, inputs // groups, outputs, *taps)
    kernel = np.moveaxis(grouped, (1, 0, 2), (-3, -2, -1)).reshape(*taps, inputs // groups, groups * outputs)
    ones = (1,) * len(taps)
    stride, dilation = (tuple(given.get(name, ones)) for name in ("strides", "dilations"))
    output_padding = tuple(given.get("output_padding", (0,) * len(taps)))
    padding = _cropped(graph, node, given, taps, stride, dilation, output_padding)
    layer = Transposed(_place(node), kernel, bias, padding, dilation, groups, _order(groups, stride), stride, output_padding)
    if prod(stride) == 1:
        raise LeftError("its stride is 1: it enlarges nothing")
    layer.subpixel("minimal")  # refuses what has no equal
    return layer


def _cropped(
    graph: Graph,
    node: onnx.NodeProto,
    given: dict[str, Any],
    taps: list[int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    output_padding: tuple[int, ...],
) -> Pairs:
    """Return the positions that a ConvTranspose crops at both ends, also where it says so by its output."""
    where = given.get("auto_pad", "NOTSET")
    if where == "VALID":
        return ((0, 0),) * len(taps)
    wanted = given.get("output_shape")
    if where == "NOTSET" and not wanted:
        return _pairs(given.get("pads", (0,) * (2 * len(taps))))
    if wanted:
        extents = [extent for extent in (graph.shape(node.input[0]) or ())[2:] if extent is not None]
        if len(extents) != len(taps):
            raise LeftError("its output_shape is fixed, so that what it crops changes with extents that are not declared")
        beyond = [out - s * n for out, s, n in zip(wanted[-len(taps) :], stride, extents, strict=True)]
    else:
        beyond = [0] * len(taps)  # SAME: the extents times the stride
    rows = zip(taps, stride, dilation, output_padding, beyond, strict=True)
    totals = [d * (k - 1) + 1 - s + more - e for k, s, d, more, e in rows]
    if min(totals) < 0:
        raise LeftError("its taps do not reach all of the output that is asked for, on which runtimes differ")
    return tuple((t // 2, t - t // 2) if where == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals)


def _resized(graph: Graph, node: onnx.NodeProto) -> Resized:
    factors = _factors(graph, node)
    conv = graph.only_reader(node.output[0])
    if conv is None:
        raise LeftError("something else reads the resized tensor too, or nothing does")
    if conv.op_type != "Conv" or conv.input[0] != node.output[0]:
        raise LeftError(f"no convolution is behind it, but {conv.op_type}")
    given = attributes(conv)
    kernel, bias = _weights(graph, conv)
    kernel = np.moveaxis(kernel, (1, 0), (-2, -1))  # (q, p, *k) -> (*k, p, q)
    taps = kernel.shape[:-2]
    ones = (1,) * len(taps)
    check.unit_steps(given.get("strides", ones))
    if factors[:2] != (1, 1):
        raise LeftError(f"it repeats samples or channels too: factors {factors}")
    if prod(factors) == 1:
        raise LeftError("its factors are 1: it enlarges nothing")
    dilation, groups = tuple(given.get("dilations", ones)), given.get("group", 1)
    around, scale = _around(given, taps, dilation), factors[2:]
    layer = Resized(_place(node, conv), kernel, bias, around, dilation, groups, _order(groups, scale), scale)
    layer.subpixel("minimal")
    return layer


def _factors(graph: Graph, node: onnx.NodeProto) -> tuple[int, ...]:
    """Return the factor of every axis of a resize that repeats pixels; refuse every other."""
    given = attributes(node)
    coordinates = given.get("coordinate_transformation_mode", "half_pixel")
    check.exact_resize(given.get("mode", "nearest"), coordinates == "align_corners")
    rounding = given.get("nearest_mode", "round_prefer_floor")
    if rounding not in NEAREST.get(coordinates, ()):
        raise LeftError(f"coordinates {coordinates!r} with nearest_mode {rounding!r} do not give every pixel a block of its own")
    if len(node.input) > 1 and node.input[1]:
        graph.constant(node.input[1], "roi")  # which is read by no mode that is left here, and yet must be there to run
    scales, sizes = (node.input[n] if n < len(node.input) else "" for n in (2, 3))
    shown = graph.shape(node.input[0])
    if sizes:
        if given.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise LeftError("its sizes are limits (keep_aspect_ratio_policy), not extents")
        wanted = graph.constant(sizes, "sizes").tolist()
        axes = given.get("axes", range(len(wanted)))
        if shown is None or any(shown[axis] is None for axis in axes):
            raise LeftError("its output size is fixed, so that the factor changes with extents that are not declared")
        values = [out / shown[axis] for out, axis in zip(wanted, axes, strict=True)]
    else:
        values = graph.constant(scales, "scales").tolist()
        axes = given.get("axes", range(len(values)))
    if "axes" in given and shown is None:
        raise LeftError("it names axes of a tensor whose number of axes is not declared")
    every = [1.0] * (len(values) if shown is None else len(shown))
    for axis, value in zip(axes, values, strict=True):
        every[axis] = float(value)
    return check.whole_factors(tuple(every), None, len(every))


def _around(given: dict[str, Any], taps: tuple[int, ...], dilation: tuple[int, ...]) -> Pairs:
    """Return the zeros (before, after) around the input of a Conv of stride 1."""
    where = given.get("auto_pad", "NOTSET")
    if where == "NOTSET":
        return _pairs(given.get("pads", (0,) * (2 * len(taps))))
    totals = [0 if where == "VALID" else d * (k - 1) for d, k in zip(dilation, taps, strict=True)]
    return tuple((t // 2, t - t // 2) if where == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals)


def _pairs(pads: Any) -> Pairs:
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def _weights(graph: Graph, node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray | None]:
    kernel = graph.constant(node.input[1], "its kernel")
    if str(kernel.dtype) not in DTYPES:
        raise LeftError(f"its kernel is {kernel.dtype}; {', '.join(DTYPES)} are converted")
    if not 3 <= kernel.ndim <= 5:
        raise LeftError(f"it has {kernel.ndim - 2} spatial axes; 1 to 3 are converted")
    bias = graph.constant(node.input[2], "its bias") if len(node.input) > 2 and node.input[2] else None
    return kernel, bias
