"""A layer of a graph that upsamples, whatever the graph is of: what the core is asked, and what is counted of it."""

from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np

from subpixel_core import Order, SubpixelKernel, deconv_to_subpixel, resize_conv_to_subpixel
from subpixel_core._upsampling import Form, Pairs

DTYPES = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Place:
    """Where a layer stands in a graph: its nodes, how a report calls them, the tensor it reads and the one it makes."""

    nodes: tuple[Any, ...]
    name: str
    kind: str
    input: str
    output: str


@dataclass(frozen=True)
class Layer:
    """One layer: where it stands, its kernel (*K, Ci / groups, Co) and what it does with it; ``order`` is that of its equal."""

    place: Place
    kernel: np.ndarray
    bias: np.ndarray | None
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    order: Order

    @property
    def nodes(self) -> tuple[Any, ...]:
        """Its nodes, in the order in which they run."""
        return self.place.nodes

    @property
    def name(self) -> str:
        """What a reader of the report finds it by."""
        return self.place.name

    @property
    def kind(self) -> str:
        """The operators."""
        return self.place.kind

    @property
    def input(self) -> str:
        """The tensor it reads."""
        return self.place.input

    @property
    def output(self) -> str:
        """The tensor it makes."""
        return self.place.output

    @property
    def scale(self) -> tuple[int, ...]:
        """Positions of the output to one of the input."""
        raise NotImplementedError

    def subpixel(self, form: Form) -> SubpixelKernel:
        """Return the sub-pixel convolution that this is."""
        raise NotImplementedError

    def macs(self, spatial: tuple[int, ...]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents."""
        raise NotImplementedError

    @property
    def macs_per_position(self) -> int:
        """The multiply-accumulates that one more position of the input adds."""
        raise NotImplementedError

    @property
    def products(self) -> int:
        """The largest number of products that one value of the output is the sum of."""
        raise NotImplementedError

    @property
    def added(self) -> int:
        """The largest number of taps that become one when it is converted; 0 where none are added up."""
        raise NotImplementedError


@dataclass(frozen=True)
class Transposed(Layer):
    """A transposed convolution; ``padding`` are the positions cropped at both ends."""

    stride: tuple[int, ...]
    output_padding: tuple[int, ...]

    @property
    def scale(self) -> tuple[int, ...]:
        """The stride."""
        return self.stride

    def subpixel(self, form: Form) -> SubpixelKernel:
        """Return the sub-pixel convolution that this is."""
        return deconv_to_subpixel(
            self.kernel,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=self.groups,
            order=self.order,
            form=form,
        )

    def macs(self, spatial: tuple[int, ...]) -> int:
        """Return one for each value of the kernel and position of the input."""
        return self.kernel.size * prod(spatial)

    @property
    def macs_per_position(self) -> int:
        """One for each value of the kernel."""
        return self.kernel.size

    @property
    def products(self) -> int:
        """The taps that reach one position, of one group's channels."""
        axes = zip(self.kernel.shape[:-2], self.stride, self.dilation, strict=True)
        return self.kernel.shape[-2] * prod(-(-k // (s // gcd(s, d))) for k, s, d in axes)

    @property
    def added(self) -> int:
        """None are: the taps are moved."""
        return 0


@dataclass(frozen=True)
class Resized(Layer):
    """A resize to the nearest neighbour by ``factors`` with a convolution behind it, ``padding`` zeros (before, after)."""

    factors: tuple[int, ...]

    @property
    def scale(self) -> tuple[int, ...]:
        """The factors."""
        return self.factors

    def subpixel(self, form: Form) -> SubpixelKernel:
        """Return the sub-pixel convolution that this is."""
        return resize_conv_to_subpixel(
            self.kernel,
            self.factors,
            bias=self.bias,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            order=self.order,
            form=form,
        )

    def macs(self, spatial: tuple[int, ...]) -> int:
        """Return one for each value of the kernel and position of the output."""
        axes = zip(self.factors, spatial, self.padding, self.dilation, self.kernel.shape[:-2], strict=True)
        return self.kernel.size * prod(r * n + sum(zeros) - d * (k - 1) for r, n, zeros, d, k in axes)

    @property
    def macs_per_position(self) -> int:
        """One for each value of the kernel, on every position of a block."""
        return self.kernel.size * prod(self.factors)

    @property
    def products(self) -> int:
        """All taps, of one group's channels."""
        return prod(self.kernel.shape[:-1])

    @property
    def added(self) -> int:
        """The taps that fall on one pixel of the input."""
        return prod(map(min, self.kernel.shape[:-2], self.factors))
