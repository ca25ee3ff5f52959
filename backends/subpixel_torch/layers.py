"""Sub-pixel convolution as `torch.nn` modules, channels first."""

from collections.abc import Callable, Sequence
from functools import partial
from math import sqrt
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subpixel_core import ORDERS, Order, fans, padding_widths, plan_stages
from subpixel_core.check import Padding, Scale, flag, kernel_fits, layer_input, one_of, per_axis
from subpixel_torch.initializers import icnr_, replicate
from subpixel_torch.ops import box_blur, phase_shift

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
        if self.stage.separable:
            x = convolve(x, self.depthwise, None, self.widths, groups=self.stage.in_channels)  # (N, Ci, *spatial')
            x = _convolutions[self.ndim](x, self.weight, self.bias)  # (N, C * prod(scale), *spatial')
        else:
            x = convolve(x, self.weight, self.bias, self.widths)
        x = phase_shift(x, self.stage.scale, order=self.order)  # (N, C, *(scale * spatial'))
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
