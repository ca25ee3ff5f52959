"""The adapter of ``subpixel_core``: the first implementation that must pass, and it claims everything."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

import subpixel_core as core

from ..adapter import DATA_FORMATS, ORDERS, REFUSALS, LayerConfig
from ..callables import Adapter
from ..case import dtype_of

Parameters = list[dict[str, np.ndarray]]


class ReferenceLayer:
    """A layer of NumPy functions. Its initializers are normal: kernel and bias ICNR, the depthwise kernel as it is drawn."""

    def __init__(self, config: LayerConfig, parameters: Parameters | None) -> None:
        self._config = config
        factors = config.factors or (config.scale,)
        plan = core.plan_stages(
            config.scale,
            config.in_channels,
            config.out_channels,
            kernel_size=config.kernel_size,
            ndim=config.ndim,
            factors=factors,
            width=config.width,
            bias=config.bias,
            separable=config.separable,
        )
        self._stages = plan.stages
        if parameters is None:
            parameters = [self._drawn(stage, np.random.default_rng(number)) for number, stage in enumerate(plan.stages)]
        self._parameters = parameters

    def _drawn(self, stage: core.Stage, rng: np.random.Generator) -> dict[str, np.ndarray]:
        config = self._config
        order: Any = config.order
        parameters = {}
        if stage.depthwise_shape is not None:
            parameters["depthwise"] = rng.normal(size=stage.depthwise_shape)
        base = rng.normal(size=core.base_shape(stage.kernel_shape, stage.scale))
        parameters["kernel"] = core.icnr(base, stage.scale, order=order)
        if config.bias:
            parameters["bias"] = core.icnr_bias(rng.normal(size=stage.out_channels), stage.scale, order=order)
        return {name: values.astype(dtype_of(config.dtype)) for name, values in parameters.items()}

    def parameters(self) -> Parameters:
        return self._parameters

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number in range(len(self._stages)):
            x = self._activated(number, self._blurred(number, self._convolved(number, x, self._parameters[number])))
        return x

    def _convolved(self, number: int, x: np.ndarray, held: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the sub-pixel convolution of a stage."""
        config = self._config
        options: dict[str, Any] = {"scale": self._stages[number].scale, "order": config.order, "padding": config.padding}
        if config.separable:
            return core.separable_subpixel_conv(x, held["depthwise"], held["kernel"], held.get("bias"), **options)
        return core.subpixel_conv(x, held["kernel"], held.get("bias"), **options)

    def _blurred(self, number: int, x: np.ndarray) -> np.ndarray:
        return core.box_blur(x, self._stages[number].scale) if self._config.blur else x  # BL-004

    def _activated(self, number: int, x: np.ndarray) -> np.ndarray:
        return np.maximum(x, 0) if self._between(number) else x

    def _between(self, number: int) -> bool:
        """Whether the activation follows a stage."""
        return self._config.activation == "relu" and number < len(self._stages) - 1

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, Parameters]:
        """Differentiate stage by stage, from the last: each is linear in each argument, so unit vectors give the derivative."""
        inputs, outputs = [x], []
        for number, held in enumerate(self._parameters):
            outputs.append(self._blurred(number, self._convolved(number, inputs[-1], held)))
            inputs.append(self._activated(number, outputs[-1]))
        found: Parameters = []
        for number, held in reversed(list(enumerate(self._parameters))):
            if self._between(number):
                cotangent = cotangent * (outputs[number] > 0)
            if self._config.blur:
                cotangent = self._unblurred(number, cotangent)
            kernels = {name: values for name, values in held.items() if name != "bias"}
            found.append({name: self._derivative(number, inputs[number], kernels, name, held[name], cotangent) for name in held})
            cotangent = by_sample(partial(self._convolved, number, held=kernels), inputs[number], cotangent)
        return cotangent, found[::-1]

    def _unblurred(self, number: int, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of the blur, which is the same in every channel."""
        channel_first = np.moveaxis(cotangent, -1, 1)
        images = channel_first.reshape(-1, *cotangent.shape[1:-1], 1)
        pulled_back = by_sample(partial(self._blurred, number), images, images)
        return np.moveaxis(pulled_back.reshape(channel_first.shape), 1, -1)

    def _derivative(
        self, number: int, x: np.ndarray, kernels: Mapping[str, np.ndarray], name: str, values: np.ndarray, cotangent: np.ndarray
    ) -> np.ndarray:
        """Return the gradient for one parameter. A low-resolution channel depends on its own values, so all channels are probed at once."""
        held = {other: np.zeros_like(kernel) for other, kernel in kernels.items()} if name == "bias" else kernels
        if name == "depthwise":
            return probed(lambda value: self._convolved(number, x, {**held, name: value}), values, cotangent)
        gradient, order = np.zeros(values.shape), self._config.order
        for place in np.ndindex(values.shape[:-1]):
            unit = np.zeros_like(values)
            unit[place] = 1
            products = self._convolved(number, x, {**held, name: unit}).astype(np.float64) * cotangent
            low = core.inverse_phase_shift(products, self._stages[number].scale, order=order)  # type: ignore[arg-type]
            gradient[place] = low.reshape(-1, values.shape[-1]).sum(axis=0)
        return gradient.astype(values.dtype)


class ReferenceNetwork:
    """The reference's residual U-Net, with parameters in one dtype."""

    def __init__(self, config: core.ResidualUNetConfig, params: Mapping[str, np.ndarray] | None, dtype: str) -> None:
        self._config = config
        given = core.init_parameters(config, np.random.default_rng(0)) if params is None else params
        self._params = {name: np.asarray(values).astype(dtype_of(dtype)) for name, values in given.items()}

    def parameters(self) -> dict[str, np.ndarray]:
        return dict(self._params)

    def __call__(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        y = core.residual_unet(self._params, x, self._config, training=training)
        if isinstance(y, tuple):
            y, statistics = y
            self._params |= statistics
        return y

    def trace(self, x: np.ndarray) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        core.residual_unet(self._params, x, self._config, trace=found)
        return found


def probed(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the vector-Jacobian product of a linear function: its values at the unit vectors, each against the cotangent."""
    gradient = np.zeros(x.size, dtype=np.float64)
    for j in range(x.size):
        unit = np.zeros(x.size, dtype=x.dtype)
        unit[j] = 1
        gradient[j] = (function(unit.reshape(x.shape)).astype(np.float64) * cotangent).sum()
    return gradient.astype(x.dtype).reshape(x.shape)


def by_sample(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the same where every sample is mapped by itself: one call, of every unit vector as a sample."""
    size = prod(x.shape[1:])
    values = function(np.eye(size, dtype=x.dtype).reshape(size, *x.shape[1:])).astype(np.float64)
    gradient = cotangent.reshape(len(x), -1).astype(np.float64) @ values.reshape(size, -1).T
    return gradient.astype(x.dtype).reshape(x.shape)


class ReferenceAdapter(Adapter):
    """NumPy functions as they are."""

    name = "subpixel_core"
    versions: Mapping[str, str] = {"subpixel_core": core.__version__, "numpy": np.__version__}
    claims: Mapping[str, Any] = {
        "operations": (
            *("phase_shift", "inverse_phase_shift", "channel_permutation", "vjp"),
            *("icnr", "icnr_bias", "icnr_residual", "icnr_weight_norm"),
            *("conv", "conv_transpose", "nearest_upsample", "box_blur", "checkerboard", "layer", "plan_stages"),
            *("deconv_to_subpixel", "subpixel_to_deconv", "resize_conv_to_subpixel", "shift_conv_to_subpixel"),
            *("conv_unshift_to_strided", "unshift_conv_to_strided", "collapse_stages", "choose_form", "reorder"),
            *("fractionally_strided_conv", "unet", "unet_arithmetic", "save_weights", "load_weights"),
        ),
        "orders": ORDERS,
        "data_formats": DATA_FORMATS,
        "ndims": (1, 2, 3, 4),
        "batch_ndims": (0, 1, 2, 3),
        "dtypes": (
            *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "bfloat16", "complex64", "complex128"),
        ),
        "refusals": REFUSALS,
    }

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        return f'from subpixel_core import {operation}\ny = {operation}(x, {scale}, order="{order}", data_format="{data_format}")'

    def phase_shift(self, x: Any, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        return core.phase_shift(x, scale, order=order, data_format=data_format)

    def inverse_phase_shift(self, x: Any, scale: Any, *, order: Any, data_format: Any) -> np.ndarray:
        return core.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    def channel_permutation(self, channels: int, scale: Any, *, source: Any, target: Any) -> np.ndarray:
        return core.channel_permutation(channels, scale, source=source, target=target)

    def vjp(self, function: Callable[[Any], Any], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Probe, since NumPy differentiates nothing: the functions of the suite are linear."""
        return probed(function, x, cotangent)

    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: Any, dtype: str = "float32"
    ) -> np.ndarray:
        return core.icnr(base(core.base_shape(shape, scale)), scale, order=order)

    def icnr_bias(self, bias: np.ndarray, scale: Any, *, order: Any) -> np.ndarray:
        return core.icnr_bias(bias, scale, order=order)

    def icnr_residual(self, kernel: np.ndarray, scale: Any, *, order: Any, bias: np.ndarray | None = None) -> float:
        return core.icnr_residual(kernel, scale, order=order, bias=bias)

    def icnr_weight_norm(self, kernel: np.ndarray, scale: Any, *, order: Any) -> tuple[np.ndarray, np.ndarray]:
        return core.icnr_weight_norm(kernel, scale, order=order)

    def conv(self, x: Any, kernel: Any, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
        return core.conv(x, kernel, bias, padding=padding)

    def conv_transpose(
        self, x: Any, kernel: Any, bias: Any = None, *, stride: Any, padding: Any = 0, output_padding: Any = 0
    ) -> np.ndarray:
        return core.conv_transpose(x, kernel, bias, stride=stride, padding=padding, output_padding=output_padding)

    def nearest_upsample(self, x: Any, scale: Any) -> np.ndarray:
        return core.nearest_upsample(x, scale)

    def box_blur(self, x: Any, scale: Any) -> np.ndarray:
        return core.box_blur(x, scale)

    def checkerboard(self, x: Any, scale: Any) -> float:
        return core.checkerboard(x, scale)

    def layer(self, config: LayerConfig, device: str, parameters: Parameters | None = None) -> ReferenceLayer:
        return ReferenceLayer(config, parameters)

    def plan_stages(self, scale: Any, in_channels: int, out_channels: int, **options: Any) -> core.StagePlan:
        return core.plan_stages(scale, in_channels, out_channels, **options)

    def deconv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> core.SubpixelKernel:
        return core.deconv_to_subpixel(kernel, bias, **options)

    def subpixel_to_deconv(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> core.TransposedKernel:
        return core.subpixel_to_deconv(kernel, bias, **options)

    def resize_conv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, **options: Any) -> core.SubpixelKernel:
        return core.resize_conv_to_subpixel(kernel, scale, bias=bias, **options)

    def shift_conv_to_subpixel(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> core.SubpixelKernel:
        return core.shift_conv_to_subpixel(kernel, bias, **options)

    def conv_unshift_to_strided(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> core.StridedKernel:
        return core.conv_unshift_to_strided(kernel, bias, **options)

    def unshift_conv_to_strided(self, kernel: np.ndarray, bias: np.ndarray | None, **options: Any) -> core.StridedKernel:
        return core.unshift_conv_to_strided(kernel, bias, **options)

    def collapse_stages(self, stages: Any, **options: Any) -> core.SubpixelKernel:
        return core.collapse_stages(stages, **options)

    def choose_form(self, layers: Sequence[core.SubpixelKernel], spatial: tuple[int, ...] | None) -> core.SubpixelKernel:
        return core.choose_form(*layers, spatial=spatial)

    def reorder(self, kernel: np.ndarray, bias: np.ndarray, *, scale: Any, source: Any, target: Any) -> tuple[np.ndarray, Any]:
        ends = ((0, 0),) * len(scale)
        layer = core.SubpixelKernel(kernel, bias, scale, source, ends, ends).reordered(target)
        return layer.kernel, layer.bias

    def fractionally_strided_conv(self, x: Any, kernel: Any, bias: Any = None, **options: Any) -> np.ndarray:
        return core.fractionally_strided_conv(x, kernel, bias, **options)

    def unet(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> ReferenceNetwork:
        return ReferenceNetwork(core.ResidualUNetConfig(**config), params, dtype)

    def unet_arithmetic(self, config: Mapping[str, Any]) -> core.ResidualUNetConfig:
        return core.ResidualUNetConfig(**config)

    def save_weights(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        core.save_weights(path, params, core.ResidualUNetConfig(**config))

    def load_weights(self, path: str, *, order: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        params, config = core.load_weights(path, order=order)
        return params, config.as_dict()


adapter = ReferenceAdapter()
