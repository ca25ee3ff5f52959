"""A sub-pixel convolution as ONNX nodes: Conv, then DepthToSpace, then Slice where positions are cropped.

DepthToSpace moves channels into blocks of two axes, by one factor. So that is what a 2-D layer with equal factors gets. Every other is
shifted axis by axis, by Reshape and Transpose of at most five axes; two axes of three with an equal factor go through DepthToSpace, the
first axis being folded into the second, because rows of blocks stay rows ::

    (n, C * r1 * r2 * r3, d, h, w)
        -> (n, C * r1 * r2 * r3, d * h, w)                    Reshape
        -> (n, C * r1, d * h * r2, w * r3)                    DepthToSpace, r2 = r3
        -> (n, C, r1, d, h * r2 * w * r3)                     Reshape
        -> (n, C, d, r1, h * r2 * w * r3)                     Transpose
        -> (n, C, d * r1, h * r2, w * r3)                     Reshape

The extents of the reshapes are computed from those of the tensor, so they need not be known.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from subpixel_core import SubpixelKernel

END = np.iinfo(np.int64).max


class Nodes:
    """Nodes and initializers in the making; every name begins with that of the layer and is new in the model."""

    def __init__(self, prefix: str, taken: set[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._taken = taken

    def constant(self, what: str, values: Any) -> str:
        """Add an initializer and return its name; integers are 64 bits wide, as operators want them."""
        name = self._new(what)
        array = np.ascontiguousarray(values if isinstance(values, np.ndarray) else np.asarray(values, np.int64))
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **given: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = self._new(operator)
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **given))
        return name

    def _new(self, what: str) -> str:
        name, number = f"{self._prefix}/{what}", 1
        while name in self._taken:
            number += 1
            name = f"{self._prefix}/{what}_{number}"
        self._taken.add(name)
        return name


def subpixel_nodes(layer: SubpixelKernel, weights: Sequence[str], x: str, y: str, making: Nodes) -> None:
    """Add the nodes of a layer from ``x`` to ``y``; ``weights`` are the names of its kernel and, if it has one, its bias."""
    before, after = zip(*layer.padding, strict=True)
    low = making.add("Conv", x, *weights, kernel_shape=layer.kernel_size, pads=(*before, *after), group=layer.groups)
    high = _shifted(low, layer, making)
    if any(map(any, layer.crop)):
        axes = [axis for axis, cut in enumerate(layer.crop) if any(cut)]
        starts = [layer.crop[axis][0] for axis in axes]
        ends = [-layer.crop[axis][1] or END for axis in axes]
        bounds = (making.constant(*pair) for pair in (("starts", starts), ("ends", ends), ("axes", [2 + axis for axis in axes])))
        making.add("Slice", high, *bounds)
    making.nodes[-1].output[0] = y


def onnx_kernel(layer: SubpixelKernel) -> np.ndarray:
    """Return the kernel (*k, Ci / groups, C * prod(scale)) as Conv has it: (C * prod(scale), Ci / groups, *k)."""
    return np.moveaxis(layer.kernel, (-1, -2), (0, 1))


def _shifted(low: str, layer: SubpixelKernel, making: Nodes) -> str:
    scale, ndim = layer.scale, len(layer.scale)
    if ndim == 2 and scale[0] == scale[1]:
        return making.add("DepthToSpace", low, blocksize=scale[0], mode=layer.order)
    if layer.order != "CRD":
        raise ValueError(f"order must be 'CRD' to shift axis by axis; got {layer.order!r}")
    extents = making.add("Shape", low)
    if ndim == 3 and scale[1] == scale[2] > 1:
        return _planes_first(low, extents, layer, making)
    done, high = [1] * ndim, low
    for axis in reversed(range(ndim)):  # the last axis varies fastest
        if scale[axis] > 1:
            done[axis] = scale[axis]
            split = making.add("Reshape", high, making.constant("split", [-1, scale[axis], *[0] * ndim]))
            block = [0, *range(2, axis + 3), 1, *range(axis + 3, ndim + 2)]  # (n, i, *a, h, *b) -> (n, *a, h, i, *b)
            high = making.add("Reshape", making.add("Transpose", split, perm=block), _enlarged(extents, done, making))
    return high


def _planes_first(low: str, extents: str, layer: SubpixelKernel, making: Nodes) -> str:
    first, r = layer.scale[:2]

    def extent(*axes: int) -> str:
        return making.add("Gather", extents, making.constant("which", axes))

    d, h, w = (extent(axis) for axis in (2, 3, 4))
    flat = making.add("Reshape", low, making.add("Concat", extent(0, 1), making.add("Mul", d, h), w, axis=0))
    high = making.add("DepthToSpace", flat, blocksize=r, mode="CRD")
    if first > 1:  # no extent is -1, which cannot be told where the batch is empty
        plane = making.add("Mul", making.add("Mul", h, w), making.constant("block", [r * r]))
        split = making.add("Concat", making.constant("channels", [0, layer.channels, first]), d, plane, axis=0)
        high = making.add("Transpose", making.add("Reshape", high, split), perm=[0, 1, 3, 2, 4])
    return making.add("Reshape", high, _enlarged(extents, layer.scale, making))


def _enlarged(extents: str, scale: Sequence[int], making: Nodes) -> str:
    """Add what computes (n, c / prod(scale), *(r * h)) from (n, c, *h)."""
    larger = making.add("Mul", extents, making.constant("factors", [1, 1, *scale]))
    return making.add("Div", larger, making.constant("divisors", [1, prod(scale), *[1] * len(scale)]))
