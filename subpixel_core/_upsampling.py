"""The form that every linear upsampling layer can be brought to, and the kernels that are read off it.

An `Upsampling` says what a position of the input adds to the output around it. On one axis ::

    y[n] = sum over h of V[n - s * h + p] * x[h],      0 <= n < s * H + e

with K taps V, stride s, shift p and excess e. A transposed convolution is written so already. A sub-pixel convolution, and a resize to the
nearest neighbour with a convolution behind it, are brought there by moving their taps; a chain of two is the transposed convolution of the
first kernel with the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from subpixel_core import check
from subpixel_core._convolution import accumulator, conv, conv_transpose
from subpixel_core._order import ORDERS, Order, channel_permutation
from subpixel_core._phase_shift import phase_shift

Form = Literal["minimal", "aligned"]
FORMS: tuple[Form, ...] = ("minimal", "aligned")
Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SubpixelKernel:
    """A sub-pixel convolution with its padding before and its crop behind: ``kernel`` (*k, Ci / groups, C * prod(scale)).

    ``padding`` are the zeros (before, after) at low resolution and ``crop`` the positions (first, last) to leave out at high resolution,
    on every axis. ``interior`` are the positions at both ends of the output where what it was made from had another border: (0, 0) where
    it is equal everywhere.
    """

    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    scale: tuple[int, ...]
    order: Order
    padding: Pairs
    crop: Pairs
    groups: int = 1
    interior: Pairs = ()

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps on every axis."""
        return self.kernel.shape[:-2]

    @property
    def channels(self) -> int:
        """Output channels C."""
        return self.kernel.shape[-1] // prod(self.scale)

    def extents(self, spatial: int | Sequence[int]) -> tuple[int, ...]:
        """Return the extents of the output for an input with these; refuse those of which nothing is left."""
        low = check.per_axis("spatial", spatial, len(self.scale), minimum=0)
        positions = self._positions(low)
        high = tuple(r * n - sum(cut) for r, n, cut in zip(self.scale, positions, self.crop, strict=True))
        check.something_left(low, high)
        return high

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents."""
        return self.kernel.size * prod(self._positions(check.per_axis("spatial", spatial, len(self.scale), minimum=0)))

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Return the output for ``x`` (N, *spatial, Ci)."""
        x = np.asarray(x)
        check.layer_input(x.shape, len(self.scale), self.kernel.shape[-2] * self.groups)
        extents = self.extents(x.shape[1:-1])
        if 0 in extents:
            return np.zeros((len(x), *extents, self.channels), np.result_type(x, self.kernel))
        parts = zip(np.split(x, self.groups, axis=-1), np.split(self.kernel, self.groups, axis=-1), strict=True)
        low = np.concatenate([conv(part, kernel, padding=self.padding) for part, kernel in parts], axis=-1)
        y = phase_shift(low if self.bias is None else low + self.bias, self.scale, order=self.order)
        return y[cropping(self.crop, y.shape[1:-1])]

    def reordered(self, order: Order) -> "SubpixelKernel":
        """Return the same layer for another order, its kernel and bias permuted once."""
        # EQ-009, CP-002
        check.grouped_order(order, self.groups)
        p = channel_permutation(self.kernel.shape[-1], self.scale, source=self.order, target=order)
        return replace(self, kernel=self.kernel[..., p], bias=None if self.bias is None else self.bias[p], order=order)

    def _positions(self, low: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(h + sum(zeros) - k + 1 for h, zeros, k in zip(low, self.padding, self.kernel_size, strict=True))


@dataclass(frozen=True)
class TransposedKernel:
    """A transposed convolution, ``kernel`` (*K, Ci, Co), with the positions (first, last) to leave out of its output on every axis."""

    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    crop: Pairs

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents."""
        return self.kernel.size * prod(check.per_axis("spatial", spatial, len(self.stride), minimum=0))

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Return the output for ``x`` (N, *spatial, Ci)."""
        options = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        y = conv_transpose(x, self.kernel, self.bias, **options)
        return y[cropping(self.crop, y.shape[1:-1])]


@dataclass(frozen=True)
class StridedKernel:
    """A convolution with a stride: ``kernel`` (*k, Ci, Co), ``padding`` zeros (before, after) on every axis."""

    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    stride: tuple[int, ...]
    padding: Pairs

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents."""
        extents = check.per_axis("spatial", spatial, len(self.stride), minimum=0)
        axes = zip(extents, self.padding, self.kernel.shape[:-2], self.stride, strict=True)
        return self.kernel.size * prod((h + sum(zeros) - k) // s + 1 for h, zeros, k, s in axes)

    def apply(self, x: ArrayLike) -> NDArray[Any]:
        """Return the output for ``x`` (N, *spatial, Ci), every extent a multiple of its stride after padding and taps."""
        dense = conv(x, self.kernel, self.bias, padding=self.padding)
        return np.ascontiguousarray(dense[(slice(None), *(slice(None, None, s) for s in self.stride))])


@dataclass(frozen=True)
class Upsampling:
    """The common form of the module's formula: ``kernel`` (*K, Ci / groups, Co), ``stride``, ``shift`` and ``excess`` on every axis.

    ``bias`` (*stride, Co) is what every output position gets besides, by its offset inside a block; ``interior`` is as in
    `SubpixelKernel`.
    """

    kernel: NDArray[Any]
    bias: NDArray[Any] | None
    stride: tuple[int, ...]
    shift: tuple[int, ...]
    excess: tuple[int, ...]
    groups: int = 1
    interior: Pairs = ()

    @property
    def is_zero_outside(self) -> bool:
        """Whether what the formula gives outside the output is 0, so that zeros put around it change nothing."""
        axes = zip(self.kernel.shape[:-2], self.stride, self.shift, self.excess, strict=True)
        silent = self.bias is None or not self.bias.any()
        return silent and all(p <= 0 and e >= k - s - p for k, s, p, e in axes)

    def subpixel(self, order: Order, form: Form) -> SubpixelKernel:
        """Return the sub-pixel convolution: phase i of an axis is a correlation with the taps V[s * m + rho_i]."""
        check.grouped_order(order, self.groups)
        axes = [_axis(*numbers, form) for numbers in zip(self.kernel.shape[:-2], self.stride, self.shift, self.excess, strict=True)]
        taps = tuple(axis.taps for axis in axes)
        inputs, outputs = self.kernel.shape[-2:]
        split = np.zeros((*taps, *self.stride, inputs, outputs), self.kernel.dtype)  # (*t, *i, p, q)
        for moves in product(*(axis.moves for axis in axes)):
            tap, phase, source = zip(*moves, strict=True)
            split[(*tap, *phase)] = self.kernel[source]
        to_channels = np.moveaxis(split, -2, len(taps))  # (*t, *i, p, q) -> (*t, p, *i, q)
        if self.bias is not None:
            bias = np.roll(self.bias, [axis.first for axis in axes], axis=tuple(range(len(axes))))
        return SubpixelKernel(
            channels_of(to_channels, self.stride, order),
            None if self.bias is None else channels_of(bias, self.stride, order),
            self.stride,
            order,
            tuple(axis.padding for axis in axes),
            tuple(axis.crop for axis in axes),
            self.groups,
            self.interior,
        )

    def transposed(self) -> TransposedKernel:
        """Return the transposed convolution."""
        # EQ-003
        axes = zip(self.kernel.shape[:-2], self.stride, self.shift, self.excess, strict=True)
        kernel, padding, crop = self.kernel, [], []
        for axis, (taps, s, p, e) in enumerate(axes):
            first, last = p, taps - s - p - e  # to leave out of the whole output; what is negative is missing there
            grown = max(-first, 0), max(-last, 0)  # zeros, where no tap reaches
            kernel = np.pad(kernel, [grown if a == axis else (0, 0) for a in range(kernel.ndim)])
            first, last = max(first, 0), max(last, 0)
            padding.append(min(first, last))
            crop.append((first - padding[-1], last - padding[-1]))
        return TransposedKernel(kernel, self.plain_bias(), self.stride, tuple(padding), (0,) * len(padding), tuple(crop))

    def plain_bias(self) -> NDArray[Any] | None:
        """Return the bias (Co,) of a layer that has the same for every offset; refuse one that has not."""
        if self.bias is None:
            return None
        blocks = self.bias.reshape(-1, self.bias.shape[-1])
        check.block_constant(bool((blocks == blocks[0]).all()), float(np.abs(blocks - blocks[0]).max()))
        return blocks[0]


@dataclass(frozen=True)
class _Axis:
    """What becomes of one axis: its number of taps, padding, crop, and the tap V[source] for each (tap, phase)."""

    taps: int
    padding: tuple[int, int]
    crop: tuple[int, int]
    first: int
    moves: tuple[tuple[int, int, int], ...]


def _axis(taps: int, s: int, p: int, e: int, form: str) -> _Axis:
    # EQ-001, EQ-002
    first = p % s if form == "minimal" else 0  # y is then the rest of an output that begins so many positions earlier
    p, e = p - first, e + first
    sources = [(i, m, (i + p) // s - m, s * m + (i + p) % s) for i in range(s) for m in range(-(-taps // s))]
    sources = [(i, m, offset, source) for i, m, offset, source in sources if source < taps]
    low, high = (pick(offset for _, _, offset, _ in sources) for pick in (min, max))
    more = -(-e // s)  # positions of the convolution beyond those of the input
    padding = max(-low, 0), max(more + high, 0)
    start = first + s * max(low, 0)
    # positions of the convolution, beyond those of the input, times the stride, less what is wanted
    end = s * (sum(padding) - (high - low)) - (e - first) - start
    return _Axis(high - low + 1, padding, (start, end), first, tuple((offset - low, i, source) for i, _, offset, source in sources))


def channels_of(values: NDArray[Any], scale: tuple[int, ...], order: Order) -> NDArray[Any]:
    """Return (..., *scale, C) as (..., C * prod(scale)), the channels in an order."""
    lead = values.ndim - len(scale) - 1
    flat = values.reshape(*values.shape[:lead], -1)  # (..., m * C + c): row-major DCR
    return flat[..., channel_permutation(flat.shape[-1], scale, source="DCR", target=order)]


def phases_of(values: NDArray[Any], scale: tuple[int, ...], order: Order) -> NDArray[Any]:
    """Return (..., C * prod(scale)) as (..., *scale, C)."""
    flat = values[..., channel_permutation(values.shape[-1], scale, source=order, target="DCR")]
    return flat.reshape(*values.shape[:-1], *scale, values.shape[-1] // prod(scale))


def cropping(crop: Pairs, extents: Sequence[int]) -> tuple[slice, ...]:
    """Return the index that leaves out the first and the last positions of every spatial axis of (N, *extents, C)."""
    return (slice(None), *(slice(first, extent - last) for (first, last), extent in zip(crop, extents, strict=True)))


# --- to the common form ---


def of_deconv(kernel: NDArray[Any], bias: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: Any) -> Upsampling:
    """Return a transposed convolution: it is of this form as it is."""
    # EQ-001
    check.kernel_shape(kernel.shape)
    ndim = kernel.ndim - 2
    s = check.per_axis("stride", stride, ndim)
    cuts = check.cuts(padding, ndim)
    more = check.per_axis("output_padding", output_padding, ndim, minimum=0)
    spread = check.per_axis("dilation", dilation, ndim)
    check.output_padding(more, s, spread)
    parts = check.integer("groups", groups, minimum=1)
    check.multiple("output channels", kernel.shape[-1], parts, f"groups={parts}")
    kernel = _dilated(kernel, spread)
    taps = kernel.shape[:-2]
    excess = tuple(k - step - sum(cut) + a for k, step, cut, a in zip(taps, s, cuts, more, strict=True))
    shift = tuple(before for before, _ in cuts)
    return Upsampling(kernel, _for_every_offset(bias, s, kernel.shape[-1]), s, shift, excess, parts, ((0, 0),) * ndim)


def _dilated(kernel: NDArray[Any], dilation: tuple[int, ...]) -> NDArray[Any]:
    """Return the kernel with ``dilation - 1`` zeros between its taps."""
    if max(dilation) == 1:
        return kernel
    dilated = np.zeros((*(d * (k - 1) + 1 for d, k in zip(dilation, kernel.shape[:-2], strict=True)), *kernel.shape[-2:]), kernel.dtype)
    dilated[tuple(slice(None, None, d) for d in dilation)] = kernel
    return dilated


def of_fractionally_strided(kernel: NDArray[Any], stride: Any, zeros: Pairs, dilation: Any) -> Upsampling:
    """Return a convolution between zeros, with ``zeros`` (before, after) around them: negative ones leave positions out."""
    # EQ-004: the kernel turned around, and K - 1 zeros before are no shift
    check.kernel_shape(kernel.shape)
    ndim = kernel.ndim - 2
    s = check.per_axis("stride", stride, ndim)
    turned = np.flip(_dilated(kernel, check.per_axis("dilation", dilation, ndim)), axis=tuple(range(ndim)))
    taps = turned.shape[:-2]
    shift = tuple(k - 1 - before for k, (before, _) in zip(taps, zeros, strict=True))
    excess = tuple(before + after - k + 2 - step for k, step, (before, after) in zip(taps, s, zeros, strict=True))
    return Upsampling(turned, None, s, shift, excess, interior=((0, 0),) * ndim)


def _for_every_offset(bias: Any, stride: tuple[int, ...], channels: int) -> NDArray[Any] | None:
    if bias is None:
        return None
    check.bias_shape(np.shape(bias), channels)
    return np.broadcast_to(np.asarray(bias), (*stride, channels)).copy()


def of_subpixel(kernel: NDArray[Any], bias: Any, scale: Any, order: Any, padding: Any) -> Upsampling:
    """Return a sub-pixel convolution: its taps, the last first, each spread over the offsets of a block."""
    # EQ-003
    check.kernel_shape(kernel.shape)
    ndim, taps = kernel.ndim - 2, kernel.shape[:-2]
    r = check.per_axis("scale", scale, ndim)
    check.one_of("order", order, ORDERS)
    check.multiple("channels", kernel.shape[-1], prod(r), f"the product of scale={r}")
    zeros = check.padding_widths(padding, taps)
    if bias is not None:
        check.bias_shape(np.shape(bias), kernel.shape[-1])
    split = np.flip(phases_of(kernel, r, order), axis=tuple(range(ndim)))  # (*t, p, *i, q), the last tap first: V[r * (k - 1 - t) + i]
    axes = [axis for t in range(ndim) for axis in (t, ndim + 1 + t)]  # (*t, p, *i, q) -> (t, i, t, i, ..., p, q)
    spread = split.transpose(*axes, ndim, split.ndim - 1).reshape(*(s * k for s, k in zip(r, taps, strict=True)), kernel.shape[-2], -1)
    return Upsampling(
        spread,
        None if bias is None else phases_of(np.asarray(bias), r, order),
        r,
        tuple(s * (k - 1 - before) for s, k, (before, _) in zip(r, taps, zeros, strict=True)),
        tuple(s * (before + after - k + 1) for s, k, (before, after) in zip(r, taps, zeros, strict=True)),
        interior=((0, 0),) * ndim,
    )


def _behind_a_block(kernel: NDArray[Any], bias: Any, scale: Any, padding: Any) -> Upsampling:
    """Return what a convolution makes of every pixel of an enlarged block: its kernel is (*K, *offset, p, q) still."""
    check.kernel_shape(kernel.shape)
    ndim, taps = kernel.ndim - 2, kernel.shape[:-2]
    r = check.per_axis("scale", scale, ndim)
    zeros = check.padding_widths(padding, taps)
    spread = np.zeros((*(k + s - 1 for k, s in zip(taps, r, strict=True)), *r, *kernel.shape[-2:]), kernel.dtype)
    for offset in np.ndindex(*r):
        spread[(*(slice(i, i + k) for i, k in zip(offset, taps, strict=True)), *offset)] = np.flip(kernel, axis=tuple(range(ndim)))
    shift = tuple(k - 1 - before for k, (before, _) in zip(taps, zeros, strict=True))
    excess = tuple(before + after - k + 1 for k, (before, after) in zip(taps, zeros, strict=True))
    return Upsampling(spread, _for_every_offset(bias, r, kernel.shape[-1]), r, shift, excess, interior=((0, 0),) * ndim)


def of_resize_conv(kernel: NDArray[Any], bias: Any, scale: Any, padding: Any, dilation: Any, groups: Any) -> Upsampling:
    """Return a resize to the nearest neighbour with a convolution behind it: every pixel of a block is the same, so their taps add up."""
    # EQ-005, EQ-012
    check.kernel_shape(kernel.shape)
    ndim = kernel.ndim - 2
    parts = check.integer("groups", groups, minimum=1)
    check.multiple("output channels", kernel.shape[-1], parts, f"groups={parts}")
    block = _behind_a_block(_dilated(kernel, check.per_axis("dilation", dilation, ndim)), bias, scale, padding)
    wide, dtype = accumulator(kernel)
    with np.errstate(over="ignore"):  # told in the next line
        summed = block.kernel.sum(axis=tuple(range(ndim, 2 * ndim)), dtype=wide).astype(dtype)
    check.sums_held(bool(np.isfinite(summed).all() or not np.isfinite(kernel).all()), dtype)
    return replace(block, kernel=summed, groups=parts)


def of_shift_conv(kernel: NDArray[Any], bias: Any, scale: Any, order: Any, padding: Any) -> Upsampling:
    """Return a phase shift with a convolution behind it: the pixels of a block are channels of the input."""
    # EQ-006
    block, ndim = _behind_a_block(kernel, bias, scale, padding), kernel.ndim - 2
    check.one_of("order", order, ORDERS)
    outputs_first = np.moveaxis(block.kernel, -1, ndim)  # (*K, *i, p, q) -> (*K, q, *i, p)
    return replace(block, kernel=np.moveaxis(channels_of(outputs_first, block.stride, order), -2, -1))


def then(first: Upsampling, second: Upsampling, zeros: Pairs) -> Upsampling:
    """Return two in a row as one: the second puts ``zeros`` around the output of the first."""
    # EQ-008: conv_transpose(V_1, V_2), for what V_1 spreads the second spreads again
    moved = np.moveaxis(first.kernel, -2, 0)  # (*K, p, q) -> (p, *K, q): every input channel is a sample
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # told in the next line
        kernel = np.moveaxis(conv_transpose(moved, second.kernel, stride=second.stride), 0, -2)
    check.sums_held(_products_held(moved, second, kernel), kernel.dtype)
    factors = list(zip(first.stride, second.stride, strict=True))
    return Upsampling(
        kernel,
        _bias_of_both(first, second),
        tuple(s * t for s, t in factors),
        tuple(p * t + q for p, (_, t), q in zip(first.shift, factors, second.shift, strict=True)),
        tuple(e * t + f for e, (_, t), f in zip(first.excess, factors, second.excess, strict=True)),
        interior=_interior_of_both(first, second, zeros),
    )


def _products_held(moved: NDArray[Any], second: Upsampling, made: NDArray[Any]) -> bool:
    """Whether sums of products of taps are finite, where the taps are, and none is of products too small for the digits of its dtype."""
    # EQ-010, EQ-012
    if made.dtype.kind != "f" or not (np.isfinite(moved).all() and np.isfinite(second.kernel).all()):
        return True
    if not np.isfinite(made).all():
        return False
    wide, dtype = accumulator(moved, second.kernel)
    sizes = [np.abs(kernel).astype(wide) for kernel in (moved, second.kernel)]
    with np.errstate(under="ignore", over="ignore"):
        total, count = (conv_transpose(*pair, stride=second.stride) for pair in (sizes, [np.sign(size) for size in sizes]))
    return bool((total[count > 0] >= np.finfo(dtype).tiny).all())


def _interior_of_both(first: Upsampling, second: Upsampling, zeros: Pairs) -> Pairs:
    """Return how far from each end the zeros that the second puts around the output of the first are felt."""
    rows = zip(first.interior, zeros, second.stride, strict=True)
    unfelt = first.is_zero_outside
    return tuple((t * (a + (b if a or not unfelt else 0)), t * (c + (d if c or not unfelt else 0))) for (a, c), (b, d), t in rows)


def _bias_of_both(first: Upsampling, second: Upsampling) -> NDArray[Any] | None:
    """Return what the biases of both add, by offset, away from the border: a whole block of the output for an input of zeros."""
    if first.bias is None and second.bias is None:
        return None
    strides = tuple(s * t for s, t in zip(first.stride, second.stride, strict=True))
    wide, dtype = accumulator(*(part for part in (first.bias, second.kernel, second.bias) if part is not None))
    total = np.zeros((*strides, second.kernel.shape[-1]), wide)
    finite = all(np.isfinite(part).all() for part in (first.bias, second.kernel, second.bias) if part is not None)
    if first.bias is not None:
        for n in np.ndindex(*strides):
            for tap in np.ndindex(*second.kernel.shape[:-2]):
                places = [divmod(a + q - t, step) for a, q, t, step in zip(n, second.shift, tap, second.stride, strict=True)]
                if all(rest == 0 for _, rest in places):
                    offset = tuple(h % s for (h, _), s in zip(places, first.stride, strict=True))
                    with np.errstate(over="ignore", invalid="ignore"):
                        total[n] += first.bias[offset].astype(wide) @ second.kernel[tap].astype(wide)
    if second.bias is not None:
        total += np.tile(second.bias, (*first.stride, 1))
    with np.errstate(over="ignore"):  # told in the next line
        made = total.astype(dtype)
    check.sums_held(bool(np.isfinite(made).all()) or not finite, dtype)
    return made
