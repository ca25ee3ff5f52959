"""A sub-pixel convolution as operators of ATen: the convolution, `pixel_shuffle` or reshapes in order CRD, and a crop.

`pixel_shuffle` moves channels into blocks of two axes, by one factor. Every other shift is three operators ::

    (n, C * r1 * r2, h, w) -> (n, C, r1, r2, h, w)         view
                           -> (n, C, h, r1, w, r2)         permute, clone
                           -> (n, C, h * r1, w * r2)       view

Extents that are symbols stay symbols.
"""

import operator as op
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch._dispatch.python import enable_python_dispatcher
from torch.export import ExportedProgram

from subpixel_core import SubpixelKernel

from .choice import Replaced
from .pt2_layers import Program, given
from .refusal import DiffersError

aten = torch.ops.aten
END = 2**63 - 1
CONVOLUTIONS = {1: aten.conv1d.default, 2: aten.conv2d.default, 3: aten.conv3d.default}


def rewrite(program: ExportedProgram, replaced: Sequence[Replaced]) -> None:
    """Put sub-pixel convolutions in the place of layers, and their weights in the place of the layers' weights.

    The node that makes the output of a layer has the name of the one that did.
    """
    nodes = {node.name: node for node in program.graph.nodes}
    for one in replaced:
        first, last = (nodes[place.name] for place in (one.layer.nodes[0], one.layer.nodes[-1]))
        _weights(program, last, one.subpixel)
        # where the first stood: what it reads may be changed in place before the last
        with program.graph.inserting_before(first):
            new = _Making(program.graph, last).layer(nodes[one.layer.input], one.subpixel)
        last.replace_all_uses_with(new)
        for place in reversed(one.layer.nodes):
            program.graph.erase_node(nodes[place.name])
        new.name = one.layer.output  # by which the signature names an output of the program
        nodes[new.name] = new
    program.graph.lint()
    program.graph_module.recompile()


def _weights(program: ExportedProgram, layer: fx.Node, subpixel: SubpixelKernel) -> None:
    """Replace what the placeholders of a layer's weights stand for: they, and their names, stay."""
    targets, values = Program(program).targets, given(layer)
    kernel = np.ascontiguousarray(np.moveaxis(subpixel.kernel, (-1, -2), (0, 1)))
    for node, array in ((values["weight"], kernel), (values["bias"], subpixel.bias)):
        if node is not None:
            where = program.state_dict if targets[node.name] in program.state_dict else program.constants
            old = where[targets[node.name]]
            new = torch.from_numpy(np.ascontiguousarray(array)).to(old.device, old.dtype)
            where[targets[node.name]] = torch.nn.Parameter(new, old.requires_grad) if isinstance(old, torch.nn.Parameter) else new
            node.meta["val"] = _fake(node.meta["val"]).from_tensor(new, static_shapes=True)


def _fake(value: Any) -> Any:
    return value.fake_mode


class _Making:
    """Nodes in the making, each with what it makes of the extents that are known; they are said to come from where the layer did."""

    def __init__(self, graph: fx.Graph, origin: fx.Node) -> None:
        self.graph = graph
        self.origin = origin
        self.values = given(origin)

    def add(self, operator: Any, *arguments: Any, **named: Any) -> Any:
        node = self.graph.call_function(operator, arguments, named)
        node.meta = {key: value for key, value in self.origin.meta.items() if key in ("stack_trace", "nn_module_stack", "torch_fn")}
        values, names = fx.map_arg((arguments, named), lambda argument: argument.meta["val"])
        with _fake(self.origin.meta["val"]), enable_python_dispatcher():  # without which some operators fix symbols to a number
            node.meta["val"] = operator(*values, **names)
        return node

    def layer(self, x: fx.Node, subpixel: SubpixelKernel) -> fx.Node:
        """Add a layer that reads ``x``, and return what makes its output."""
        ndim, wanted = len(subpixel.scale), self.origin.meta["val"]
        y = self.shifted(self.convolved(x, subpixel), subpixel.scale)
        for axis, (first, last) in enumerate(subpixel.crop, start=-ndim):
            if first or last:
                y = self.add(aten.slice.Tensor, y, wanted.ndim + axis, first, -last or END)
        layout = _layout(wanted)
        if not y.meta["val"].is_contiguous(memory_format=layout) or any(map(any, subpixel.crop)):
            y = self.add(aten.clone.default, y, memory_format=layout)
        made = y.meta["val"]
        if len(made.shape) != len(wanted.shape) or not all(a == b for a, b in zip(made.shape, wanted.shape, strict=True)):
            raise DiffersError(f"{self.origin.name} must have the extents {tuple(wanted.shape)}; got {tuple(made.shape)}")
        y.meta["val"] = wanted
        return y

    def convolved(self, x: fx.Node, subpixel: SubpixelKernel) -> fx.Node:
        ndim, zeros = len(subpixel.scale), subpixel.padding
        both = [before if before == after else 0 for before, after in zeros]
        if any(before != after for before, after in zeros):
            both = [0] * ndim
            x = self.add(aten.constant_pad_nd.default, x, [width for pair in reversed(zeros) for width in pair], 0.0)
        ones, weights = [1] * ndim, (self.values["weight"], self.values["bias"])
        if self.origin.target is aten.convolution.default:  # the program has no other
            return self.add(aten.convolution.default, x, *weights, ones, both, ones, False, [0] * ndim, subpixel.groups)
        return self.add(CONVOLUTIONS[ndim], x, *weights, ones, both, ones, subpixel.groups)

    def shifted(self, low: fx.Node, scale: tuple[int, ...]) -> fx.Node:
        ndim, value = len(scale), low.meta["val"]
        if ndim == 2 and scale[0] == scale[1]:
            return self.add(aten.pixel_shuffle.default, low, scale[0]) if scale[0] > 1 else low
        lead = value.ndim - ndim - 1  # no batch axis, or one
        extents = [self.extent(low, axis) for axis in range(value.ndim)]
        batch, channels, spatial = extents[:lead], int(value.shape[lead]) // prod(scale), extents[lead + 1 :]
        split = self.add(aten.view.default, low, [*batch, channels, *scale, *spatial])
        order = [lead + 1 + axis for i in range(ndim) for axis in (ndim + i, i)]
        moved = self.add(aten.permute.default, split, [*range(lead + 1), *order])
        dense = self.add(aten.clone.default, moved, memory_format=torch.contiguous_format)
        return self.add(aten.view.default, dense, [*batch, channels, *map(self.times, spatial, scale)])

    def extent(self, x: fx.Node, axis: int) -> Any:
        """Return an extent, or the node that asks for it where it is a symbol."""
        extent = x.meta["val"].shape[axis]
        return extent if isinstance(extent, int) else self.add(aten.sym_size.int, x, axis)

    def times(self, extent: Any, factor: int) -> Any:
        return extent * factor if isinstance(extent, int) else self.add(op.mul, extent, factor)


def _layout(value: Tensor) -> torch.memory_format:
    """Return the memory format that a tensor has, where it has another than it must."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(value.ndim)
    dense = value.is_contiguous() or last is None or not value.is_contiguous(memory_format=last)
    return torch.contiguous_format if dense else last  # type: ignore[return-value]
