"""The residual U-Net as a `torch.nn.Module`, channels first, built from the core's list of its layers.

References
----------
He et al. 2016, "Identity Mappings in Deep Residual Networks", Fig. 4(e): the pre-activation block.
Zhang et al. 2018, "Road Extraction by Deep Residual U-Net", §II: residual blocks in a U-Net, strided instead of pooled.
Shi et al. 2016, §3.2, and Aitken et al. 2017, §3: the upsampling and how it starts.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

import subpixel_core as core
from subpixel_core import Order, ResidualUNetConfig, network, padding_widths, parameter_shapes
from subpixel_core._unet import EPSILON, MOMENTUM, Block, Convolution, Normalization, Upsampling
from subpixel_core.check import arrays, batch_values, in_place, instance, unet_input
from subpixel_torch.initializers import icnr_
from subpixel_torch.layers import convolve
from subpixel_torch.ops import box_blur, in_native_order, phase_shift

_transposed_convolutions: dict[int, Callable[..., Tensor]] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


# --- the layers ---


class _Convolution(nn.Module):
    """A convolution, padding "same", then every ``stride``-th value from the first."""

    def __init__(self, layer: Convolution) -> None:
        super().__init__()
        self.layer, self.widths = layer, padding_widths("same", layer.kernel_size)
        self.weight = _kernel(layer.out_channels, layer.in_channels, *layer.kernel_size)
        self.bias = nn.Parameter(torch.empty(layer.out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.layer.std)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return convolve(x, self.weight, self.bias, self.widths, stride=self.layer.stride)

    def extra_repr(self) -> str:
        layer = self.layer
        return f"{layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size}, stride={layer.stride}"


class _Upsampling(nn.Module):
    """A layer that enlarges by ``scale``: sub-pixel convolution, resize and convolution, or transposed convolution."""

    def __init__(self, layer: Upsampling) -> None:
        super().__init__()
        self.layer = layer
        *taps, in_channels, channels = layer.kernel_shape
        first = (in_channels, channels) if layer.upsample == "deconv" else (channels, in_channels)
        self.weight = _kernel(*first, *taps)
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        layer = self.layer
        normal = partial(nn.init.normal_, std=layer.std)
        if layer.upsample == "subpixel":
            icnr_(self.weight, layer.scale, order=layer.order, initializer=normal)
        else:
            normal(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.layer
        y = _upsamplings[layer.upsample](layer, x, self.weight, self.bias)  # (N, C, *(spatial * scale))
        return box_blur(y, layer.scale) if layer.blur and prod(layer.scale) > 1 else y

    def extra_repr(self) -> str:
        layer = self.layer
        return (
            f"{layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size}, scale={layer.scale}, "
            f"upsample={layer.upsample!r}, order={layer.order!r}, blur={layer.blur}"
        )


def _kernel(*shape: int) -> nn.Parameter:
    """Return a kernel that lies in memory with the channels last: torch then computes the whole network in that layout."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(len(shape), torch.contiguous_format)
    return nn.Parameter(torch.empty(shape, memory_format=layout))


def _subpixel(layer: Upsampling, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    kernel, offset, order = in_native_order(weight, bias, layer.scale, layer.order)
    y = convolve(x, kernel, offset, layer.padding)  # (N, C * prod(scale), *spatial)
    if prod(layer.scale) == 1:
        return y
    if torch.compiler.is_exporting() or y.is_contiguous():
        return phase_shift(y, layer.scale, order=order)
    # Memory with the channels last stays so: the same values, between tensors of that layout.
    return phase_shift(y.movedim(1, -1), layer.scale, order=order, data_format="channels_last").movedim(-1, 1)


def _resized(layer: Upsampling, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    if prod(layer.scale) > 1:
        size = [extent * r for extent, r in zip(x.shape[2:], layer.scale, strict=True)]
        x = F.interpolate(x, size, mode="nearest-exact")  # "nearest" rounds to a neighbour for some factors, 41 the first
    return convolve(x, weight, bias, layer.padding)


def _transposed(layer: Upsampling, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    # torch itself crops what is the same at both ends; an even kernel has a block more to crop at the start.
    both = tuple(min(crop) for crop in layer.crop)
    y = _transposed_convolutions[len(both)](x, weight, bias, stride=layer.scale, padding=both)
    if all(before == after for before, after in layer.crop):
        return y
    return F.pad(y, [cut - number for crop, cut in zip(reversed(layer.crop), reversed(both), strict=True) for number in crop])


_upsamplings: dict[str, Callable[..., Tensor]] = {"subpixel": _subpixel, "resize": _resized, "deconv": _transposed}


class _GroupNorm(nn.Module):
    """Group normalization. `torch.group_norm` also takes one value per group, which `torch.nn.functional.group_norm` refuses."""

    def __init__(self, layer: Normalization) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(torch.ones(layer.channels))
        self.bias = nn.Parameter(torch.zeros(layer.channels))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.group_norm(x, self.layer.groups, self.weight, self.bias, EPSILON)

    def extra_repr(self) -> str:
        return f"{self.layer.groups}, {self.layer.channels}"


class _BatchNorm(_GroupNorm):
    """Batch normalization whose running variance is the biased one, that the batch was normalized by."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: Normalization) -> None:
        super().__init__(layer)
        self.register_buffer("running_mean", torch.zeros(layer.channels))
        self.register_buffer("running_var", torch.ones(layer.channels))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.zeros_(self.running_mean)
        nn.init.ones_(self.running_var)

    def forward(self, x: Tensor) -> Tensor:
        wide = torch.promote_types(self.weight.dtype, torch.float32)
        weight, bias = self.weight.to(wide), self.bias.to(wide)
        if not self.training:
            return F.batch_norm(x, self.running_mean.to(wide), self.running_var.to(wide), weight, bias, eps=EPSILON)
        values = x.numel() // x.shape[1]
        batch_values(values)
        # With momentum 1 the one fused pass leaves the batch's own mean and unbiased variance.
        mean, variance = torch.zeros_like(weight), torch.zeros_like(weight)
        y = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0, eps=EPSILON)
        for running, batch in ((self.running_mean, mean), (self.running_var, variance * ((values - 1) / values))):
            running.copy_((1 - MOMENTUM) * running + MOMENTUM * batch)
        return y

    def extra_repr(self) -> str:
        return f"{self.layer.channels}"


class _Block(nn.Module):
    """A pre-activation residual block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1 = _norm(block.norm1)
        self.conv1 = _Convolution(block.conv1)
        self.norm2 = _norm(block.norm2)
        self.conv2 = _Convolution(block.conv2)
        self.shortcut = nn.Identity() if block.shortcut is None else _Convolution(block.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return y + self.shortcut(x)


def _norm(layer: Normalization | None) -> nn.Module:
    if layer is None:
        return nn.Identity()
    return _GroupNorm(layer) if layer.groups else _BatchNorm(layer)


# --- the network ---


class ResidualUNet(nn.Module):
    r"""The residual U-Net of the specification.

    ::

        stem - level 0 ------------------------- concat - level 0 - norm, ReLU - head
                 \ stride                     / up
               level 1 ------------ concat - level 1
                     \ stride     / up
                      ... level L - 1

    Its submodules have the canonical names of their parameters (``stem``, ``encoder.0.0.conv1``, ``decoder.0.up``, ``head.0``), so a
    forward hook on them sees what the reference records under that name.

    Parameters
    ----------
    config : ResidualUNetConfig

    Shape
    -----
    ``(N, in_channels, *spatial)`` with any extents from 1 to ``(N, out_channels, *(spatial * output_scale))``. The kernels lie in memory
    with the channels last (`torch.channels_last`), and so does what is computed; ``model.to(memory_format=torch.contiguous_format)``
    computes in the other layout, which is slower on a CPU.

    Raises
    ------
    ValueError, TypeError
        If the input has not the channels and axes it must have, or batch normalization has fewer than two values per channel to train on.

    Examples
    --------
    >>> model = ResidualUNet(ResidualUNetConfig(in_channels=1, out_channels=2, widths=(8, 16), output_scale=2))
    >>> model(torch.zeros(1, 1, 5, 7)).shape
    torch.Size([1, 2, 10, 14])
    """

    def __init__(self, config: ResidualUNetConfig) -> None:
        super().__init__()
        net = network(config)
        self.config = config
        self.stem = _Convolution(net.stem)
        self.encoder: Any = nn.ModuleList(nn.Sequential(*map(_Block, blocks)) for blocks in net.encoder)
        self.decoder: Any = nn.ModuleList(_numbered(map(_Block, blocks), up=_Upsampling(up)) for up, blocks in reversed(net.decoder))
        self.head: Any = _numbered(map(_Upsampling, net.head), norm=_norm(net.norm))

    def reset_parameters(self) -> None:
        """Draw new parameters: normal kernels, ICNR where the channels are shifted, zero biases, and norms that change nothing else."""
        modules: Iterable[Any] = self.modules()
        for module in modules:
            if module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        instance("x", x, Tensor)
        unet_input(x.shape, self.config.ndim, self.config.in_channels, "channels_first")
        if self.config.norm == "batch" and all(module.training for module in self.modules()):
            self.config.check_batch(x.shape[0], x.shape[2:])  # before any layer has changed its statistics
        zeros = self.config.padding(x.shape[2:])
        y = self.stem(_lengthened(x, zeros))  # (N, w_0, *padded)
        skips = []
        for level in self.encoder:
            y = level(y)  # (N, w_i, *(padded / scales))
            skips.append(y)
        y = skips.pop()
        for level in reversed(self.decoder):
            up, *blocks = level.values()
            y = torch.cat([up(y), skips.pop()], dim=1)  # (N, 2 * w_i, *(padded / scales))
            for block in blocks:
                y = block(y)
        norm, *stages = self.head.values()
        y = norm(y)
        for stage in stages:
            y = stage(F.relu(y))
        return _lengthened(y, [-number for number in self.config.output_extents(zeros)])  # (N, Co, *(spatial * output_scale))

    def extra_repr(self) -> str:
        return f"{self.config}"


def _lengthened(x: Tensor, numbers: Sequence[Any]) -> Tensor:
    """Return x with so many zeros after the end of every spatial axis, or as many values less as a negative number says.

    In both directions torch.export can reason about F.pad for unknown extents; it cannot about a slice that may be all of the axis.
    """
    if all(isinstance(number, int) and number == 0 for number in numbers):
        return x
    return F.pad(x, [width for number in reversed(numbers) for width in (0, number)])


def _numbered(modules: Iterable[nn.Module], **named: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict(named | {str(i): module for i, module in enumerate(modules)})


# --- the parameters ---

_names = {"kernel": "weight", "bias": "bias", "scale": "weight", "mean": "running_mean", "variance": "running_var"}


def canonical(model: ResidualUNet, read: Callable[[Tensor], Any] = Tensor.detach) -> dict[str, Any]:
    """Return what ``read`` gives of every parameter and running statistic, by canonical name, with kernels seen as (*k, Ci, Co)."""
    instance("model.config", getattr(model, "config", None), ResidualUNetConfig)
    values = {}
    for name in parameter_shapes(model.config):
        path, _, what = name.rpartition(".")
        module: Any = model.get_submodule(path)
        value = read(getattr(module, _names[what]))
        if what == "kernel":
            in_and_out = (0, 1) if getattr(module.layer, "upsample", None) == "deconv" else (1, 0)
            value = value.movedim(in_and_out, (-2, -1))
        values[name] = value
    return values


def get_parameters(model: ResidualUNet) -> dict[str, NDArray[Any]]:
    """Return the parameters and running statistics of a model as arrays of their own.

    Parameters
    ----------
    model : ResidualUNet
        On any device, compiled or not.

    Returns
    -------
    dict of ndarray
        As `subpixel_core.parameter_shapes`; float64 from a float64 model, else float32.
    """
    return {
        name: np.array(value.to("cpu", torch.promote_types(value.dtype, torch.float32)).numpy(), order="C")
        for name, value in canonical(model).items()
    }


def set_parameters(model: ResidualUNet, params: Mapping[str, ArrayLike]) -> None:
    """Write arrays into the parameters and running statistics of a model, which keeps its device and dtype.

    Parameters
    ----------
    model : ResidualUNet
        On any device, compiled or not.
    params : mapping of array_like
        As `subpixel_core.parameter_shapes`.

    Raises
    ------
    ValueError, TypeError
        If a parameter is missing, unknown, of another shape or no real number, or a weight of the model is computed from others, as under a
        parametrization. Then nothing is written.
    """
    in_place(not any(map(parametrize.is_parametrized, model.modules())))
    values = arrays("params", params, parameter_shapes(model.config))
    for name, held in canonical(model).items():
        held.copy_(torch.from_numpy(values[name]))


def save_weights(path: str | os.PathLike[str], model: ResidualUNet) -> None:
    """Write the model into a file that every backend reads: `subpixel_core.save_weights`.

    Parameters
    ----------
    path : path-like
        Any name. What it names is replaced in one step, once everything is written.
    model : ResidualUNet

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    core.save_weights(path, get_parameters(model), model.config)


def load_weights(path: str | os.PathLike[str], *, order: Order | None = None) -> ResidualUNet:
    """Read a model from a file that any of the backends wrote.

    Parameters
    ----------
    path : path-like
    order : {"CRD", "DCR", "DRC", "RCD"}, optional
        The channel order of the model; without it, that of the file. The model computes the same in every order.

    Returns
    -------
    ResidualUNet
        On the CPU, in the dtype of the file, in training mode like every new module.

    Raises
    ------
    ValueError, OSError
        As `subpixel_core.load_weights`, with the same text.
    """
    params, config = core.load_weights(path, order=order)
    with torch.device("meta"):
        model = ResidualUNet(config)  # draws nothing
    model.to(torch.from_numpy(params["stem.bias"]).dtype).to_empty(device="cpu")
    set_parameters(model, params)
    return model
