"""Sub-pixel convolution as `torch.nn` modules, channels first."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from math import prod, sqrt
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subpixel_core import ORDERS, Order, fans, padding_widths, plan_stages
from subpixel_core.check import Padding, Scale, flag, kernel_fits, layer_input, one_of, per_axis, something_left
from subpixel_torch.initializers import icnr_, replicate
from subpixel_torch.ops import box_blur, in_native_order, phase_shift

Pairs = tuple[tuple[int, int], ...]
_convolutions: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_uniform = partial(nn.init.kaiming_uniform_, a=sqrt(5))  # what torch's own convolutions start from


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    widths: Sequence[tuple[int, int]],
    *,
    stride: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve with any zeros ``(before, after)`` per spatial axis; torch's own argument knows only the same at both ends."""
    convolution = _convolutions[len(widths)]
    if all(before == after for before, after in widths):
        return convolution(x, weight, bias, stride=stride, padding=tuple(before for before, _ in widths), groups=groups)
    last_axis_first = [width for pair in reversed(widths) for width in pair]
    return convolution(F.pad(x, last_axis_first), weight, bias, stride=stride, groups=groups)


def _keeping_format(x: Tensor, scale: tuple[int, ...]) -> Tensor:
    """Return the phase shift in order CRD, in the memory format of ``x``."""
    if torch.compiler.is_exporting() or memory_format(x) == torch.contiguous_format:
        return phase_shift(x, scale)
    if len(scale) == 2 and scale[0] == scale[1]:
        return F.pixel_shuffle(x, scale[0])
    return phase_shift(x.movedim(1, -1), scale, order="CRD", data_format="channels_last").movedim(-1, 1)


def memory_format(x: Tensor) -> torch.memory_format:
    """Return the format that ``x`` has in memory: that with the channels last only where it is no other."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim, torch.contiguous_format)
    return last if not x.is_contiguous() and x.is_contiguous(memory_format=last) else torch.contiguous_format


def _faster_by_phases(low: Tensor, scale: tuple[int, ...]) -> bool:
    """Whether `_shift_and_crop` is taken for a shift and then a crop: in inference on a CPU, for few phases and channels first.

    A compiler makes one pass of both by itself, and a gradient would go back through every phase.
    """
    eager = not (low.requires_grad or torch.compiler.is_compiling() or torch.jit.is_tracing())
    return eager and low.device.type == "cpu" and low.is_contiguous() and prod(scale) <= 9


def _shift_and_crop(low: Tensor, scale: tuple[int, ...], first: Sequence[int], extents: Sequence[int]) -> Tensor:
    """Return the phase shift in order CRD without what is before ``first`` and behind that many positions, in one pass over the values.

    Phase i of an axis is every r-th position of it, and position p of the result is ``first + p`` of the shift ::

        y[(i - first) % r :: r] = low[ceil((first - i) / r) :]
    """
    axis, phases = -len(scale) - 1, prod(scale)
    split = low.unflatten(axis, (-1, phases))
    y = low.new_empty((*split.shape[:axis], *extents))
    for number, phase in enumerate(product(*map(range, scale))):
        axes = list(zip(phase, first, scale, strict=True))
        written: tuple[Any, ...] = (..., *(slice((i - f) % r, None, r) for i, f, r in axes))
        part = y[written]
        starts = [(f - i + r - 1) // r for i, f, r in axes]
        read: tuple[Any, ...] = (..., *(slice(start, start + n) for start, n in zip(starts, part.shape[axis + 1 :], strict=True)))
        part.copy_(split.select(axis, number)[read])
    return y


class PhaseShift(nn.Module):
    """The phase shift as a module: `torch.nn.PixelShuffle` for every order and dimension.

    Parameters
    ----------
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.
    order : {"CRD", "DCR", "DRC", "RCD"}

    Shape
    -----
    ``(*batch, C * prod(scale), *spatial)`` to ``(*batch, C, *(spatial * scale))``.
    """

    def __init__(self, scale: Scale, *, order: Order = "CRD") -> None:
        super().__init__()
        self.scale = per_axis("scale", scale)
        self.order = one_of("order", order, ORDERS)

    def forward(self, x: Tensor) -> Tensor:
        return phase_shift(x, self.scale, order=self.order)

    def extra_repr(self) -> str:
        return f"scale={self.scale}, order={self.order!r}"


class _SubpixelConv(nn.Module):
    """A convolution at low resolution followed by the phase shift (Shi et al. 2016, §3.2).

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the upsampled output.
    kernel_size : int or tuple of int
    scale : int or tuple of int
        An int is that factor on every axis.
    padding : "same", "valid" or one pair (before, after) per spatial axis
    bias : bool
    order : {"CRD", "DCR", "DRC", "RCD"}
    separable : bool
        Convolve depthwise, then pointwise.
    blur : bool
        Average the output over a box of the size of the scale, which keeps the checkerboard away for good.
    device, dtype
        Of the parameters.

    Shape
    -----
    ``(N, in_channels, *spatial)`` to ``(N, out_channels, *(scale * spatial'))``.

    Attributes
    ----------
    weight : Parameter, shape (out_channels * prod(scale), in_channels, *kernel_size)
        Starts as ICNR, so that the fresh layer upsamples by nearest neighbour. With 1 tap per axis if separable.
    bias : Parameter, shape (out_channels * prod(scale),)
        Replicated like the weight.
    depthwise : Parameter, shape (in_channels, 1, *kernel_size), only if separable

    Raises
    ------
    ValueError, TypeError
        If an argument is not of its kind, or the input has not the channels and axes it must have.
    """

    ndim: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        scale: Scale,
        *,
        padding: Padding = "same",
        bias: bool = True,
        order: Order = "CRD",
        separable: bool = False,
        blur: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        (self.stage,) = plan_stages(
            scale, in_channels, out_channels, kernel_size=kernel_size, ndim=self.ndim, factors=(scale,), bias=bias, separable=separable
        ).stages
        self.padding, self.order, self.blur = padding, one_of("order", order, ORDERS), flag("blur", blur)
        self.widths = padding_widths(padding, self.stage.kernel_size)

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        *taps, _, channels = self.stage.kernel_shape
        if separable:
            self.depthwise = parameter(in_channels, 1, *self.stage.kernel_size)
        self.weight = parameter(channels, in_channels, *taps)
        self.bias = parameter(channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new parameters as torch's convolutions do, replicated over the blocks."""
        if self.stage.separable:
            _uniform(self.depthwise)
        icnr_(self.weight, self.stage.scale, order=self.order, initializer=_uniform)
        if self.bias is not None:
            fan_in, _ = fans(self.stage.kernel_shape, self.stage.scale)
            base = self.bias.new_empty(self.stage.out_channels).uniform_(-1 / sqrt(fan_in), 1 / sqrt(fan_in))
            with torch.no_grad():
                self.bias.copy_(replicate(base, self.stage.scale, order=self.order))

    def forward(self, x: Tensor) -> Tensor:
        layer_input(x.shape, self.ndim, self.stage.in_channels, "channels_first")
        kernel_fits(x.shape[2:], self.stage.kernel_size, self.widths)
        weight, bias, order = in_native_order(self.weight, self.bias, self.stage.scale, self.order)
        if self.stage.separable:
            x = convolve(x, self.depthwise, None, self.widths, groups=self.stage.in_channels)  # (N, Ci, *spatial')
            x = _convolutions[self.ndim](x, weight, bias)  # (N, C * prod(scale), *spatial')
        else:
            x = convolve(x, weight, bias, self.widths)
        x = phase_shift(x, self.stage.scale, order=order)  # (N, C, *(scale * spatial'))
        return box_blur(x, self.stage.scale) if self.blur else x

    def extra_repr(self) -> str:
        stage = self.stage
        return (
            f"{stage.in_channels}, {stage.out_channels}, kernel_size={stage.kernel_size}, scale={stage.scale}, padding={self.padding!r}, "
            f"bias={stage.bias}, order={self.order!r}, separable={stage.separable}, blur={self.blur}"
        )


class SubpixelConv1d(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 1


class SubpixelConv2d(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 2


class SubpixelConv3d(_SubpixelConv):
    __doc__ = _SubpixelConv.__doc__
    ndim = 3


class ExactSubpixelConv(nn.Module):
    """A sub-pixel convolution with the zeros before it and the crop behind it that make it equal to another layer, in order CRD.

    Parameters
    ----------
    weight : Parameter, shape (out_channels * prod(scale), in_channels / groups, *kernel_size)
    bias : Parameter, shape (out_channels * prod(scale),), optional
    scale : tuple of int
    padding : tuple of (before, after)
        Zeros at low resolution, one pair per spatial axis.
    crop : tuple of (first, last)
        Positions to leave out at high resolution, one pair per spatial axis.
    groups : int
    ends : callable, optional
        From an input and the ``output_size`` of a call, as a transposed convolution takes it, to the padding and crop of that call.
    batched : bool
        Refuse an input without N, which a resize would take for one with an axis less.

    Shape
    -----
    ``(N, in_channels, *spatial)`` to ``(N, out_channels, *spatial')``, or both without N, in the memory format of the convolution.
    """

    def __init__(
        self,
        weight: nn.Parameter,
        bias: nn.Parameter | None,
        scale: tuple[int, ...],
        padding: Pairs,
        crop: Pairs,
        *,
        groups: int = 1,
        ends: Callable[[Tensor, list[int]], tuple[Pairs, Pairs]] | None = None,
        batched: bool = False,
    ) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.scale, self.padding, self.crop, self.groups, self.ends, self.batched = scale, padding, crop, groups, ends, batched

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.batched:
            layer_input(input.shape, len(self.scale), None, "channels_first")
        padding, crop = (self.padding, self.crop) if output_size is None or self.ends is None else self.ends(input, output_size)
        low = convolve(input, self.weight, self.bias, padding, groups=self.groups)  # (N, C * prod(scale), *spatial)
        if not any(map(any, crop)):
            return _keeping_format(low, self.scale)
        left = [r * h - sum(pair) for h, r, pair in zip(low.shape[-len(crop) :], self.scale, crop, strict=True)]
        something_left(input.shape[-len(crop) :], left)
        if _faster_by_phases(low, self.scale):
            return _shift_and_crop(low, self.scale, [first for first, _ in crop], left)
        y = _keeping_format(low, self.scale)
        index: tuple[Any, ...] = (..., *(slice(first, first + extent) for (first, _), extent in zip(crop, left, strict=True)))
        return y[index].contiguous(memory_format=memory_format(y))  # as the layer that it is equal to

    def extra_repr(self) -> str:
        channels, inputs, *taps = self.weight.shape
        return (
            f"{inputs * self.groups}, {channels // prod(self.scale)}, kernel_size={tuple(taps)}, scale={self.scale}, "
            f"padding={self.padding}, crop={self.crop}, groups={self.groups}, bias={self.bias is not None}"
        )


class _ChainedSubpixelConv(nn.Module):
    """Sub-pixel convolutions one after the other, which together reach the scale.

    A chain has fewer parameters than the direct layer in most cases, more multiply-accumulates unless it is narrower than its input, and is
    another function: see `subpixel_core.plan_stages`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, scale, padding, bias, order, separable, blur, device, dtype
        As in `SubpixelConv2d`; kernel size, padding and blur hold for every stage, each blurred by its own scale.
    factors : sequence of int or of tuples, optional
        The scales of the stages; without them, the plan with the fewest parameters.
    width : int, optional
        Channels between the stages; ``out_channels`` if None.
    activation : callable, optional
        A function or module applied between the stages, not after the last.

    Shape
    -----
    ``(N, in_channels, *spatial)`` to ``(N, out_channels, *(scale * spatial))`` with padding "same".

    Attributes
    ----------
    stages : ModuleList of SubpixelConv1d, SubpixelConv2d or SubpixelConv3d
    plan : StagePlan
        Parameters, multiply-accumulates and receptive field of the chain.
    """

    layer: ClassVar[type[_SubpixelConv]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        scale: Scale,
        *,
        factors: Sequence[Scale] | None = None,
        width: int | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
        padding: Padding = "same",
        bias: bool = True,
        order: Order = "CRD",
        separable: bool = False,
        blur: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.plan = plan_stages(
            scale,
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            ndim=self.layer.ndim,
            factors=factors,
            width=width,
            bias=bias,
            separable=separable,
        )
        self.activation = activation
        self.stages = nn.ModuleList(
            self.layer(
                stage.in_channels,
                stage.out_channels,
                stage.kernel_size,
                stage.scale,
                padding=padding,
                bias=bias,
                order=order,
                separable=separable,
                blur=blur,
                device=device,
                dtype=dtype,
            )
            for stage in self.plan.stages
        )

    def reset_parameters(self) -> None:
        """Draw new parameters for every stage."""
        for stage in self.stages:
            cast(_SubpixelConv, stage).reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        for i, stage in enumerate(self.stages):
            if i and self.activation is not None:
                x = self.activation(x)
            x = stage(x)
        return x


class ChainedSubpixelConv1d(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv1d


class ChainedSubpixelConv2d(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv2d


class ChainedSubpixelConv3d(_ChainedSubpixelConv):
    __doc__ = _ChainedSubpixelConv.__doc__
    layer = SubpixelConv3d
