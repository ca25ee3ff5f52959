"""An implementation made of the oracle. It is right; every mutant is this one with something replaced."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from .. import oracle
from ..adapter import DATA_FORMATS, ORDERS, REFUSALS, LayerConfig
from ..case import dtype_of
from . import rewriting

Parameters = list[dict[str, np.ndarray]]

OPERATIONS = (
    *("phase_shift", "inverse_phase_shift", "channel_permutation", "vjp"),
    *("icnr", "icnr_bias", "icnr_residual", "icnr_weight_norm"),
    *("conv", "conv_transpose", "nearest_upsample", "box_blur", "checkerboard", "layer", "plan_stages"),
    *("deconv_to_subpixel", "subpixel_to_deconv", "resize_conv_to_subpixel", "shift_conv_to_subpixel"),
    *("conv_unshift_to_strided", "unshift_conv_to_strided", "collapse_stages", "choose_form", "reorder"),
    *("fractionally_strided_conv", "from_conv_transpose", "from_resize_conv"),
)
DTYPES = ("int64", "float16", "float32", "float64")


def factors_of(scale: Any) -> tuple[int, ...]:
    """Return the scale as a tuple of factors; refuse what ER-001 and ER-002 name."""
    if not isinstance(scale, tuple) or not scale or any(type(factor) is not int for factor in scale):
        raise TypeError(f"scale must be a tuple of integers; got {scale!r}")
    if min(scale) < 1:
        raise ValueError(f"scale must have factors of 1 or more; got {scale}")
    return scale


def admitted(x: np.ndarray, scale: Any, order: Any, data_format: Any, *, inverse: bool) -> None:
    """Refuse what errors.md names."""
    factors = factors_of(scale)
    if order not in ORDERS or data_format not in DATA_FORMATS:
        raise ValueError(f"order and data_format must be known; got {order!r}, {data_format!r}")
    if x.ndim <= len(factors):
        raise ValueError(f"x must have {len(factors) + 1} axes or more; got {x.ndim}")
    channels_last = data_format == "channels_last"
    rest = x.shape[x.ndim - len(factors) - 1 :]
    channels, spatial = (rest[-1], rest[:-1]) if channels_last else (rest[0], rest[1:])
    if not inverse and channels % prod(factors):
        raise ValueError(f"channels must be a multiple of {prod(factors)}; got {channels}")
    if inverse and any(extent % r for extent, r in zip(spatial, factors, strict=True)):
        raise ValueError(f"extents must be multiples of {factors}; got {spatial}")


def phase_shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Return the oracle's shift, after the checks."""
    admitted(x, scale, order, data_format, inverse=False)
    return oracle.phase_shift(x, scale, order=order, data_format=data_format)


def inverse_phase_shift(x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
    """Return the oracle's inverse, after the checks."""
    admitted(x, scale, order, data_format, inverse=True)
    return oracle.inverse_phase_shift(x, scale, order=order, data_format=data_format)


def vjp(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
    """Return the product with the Jacobian of a permutation: labels say which input every output is. A network knows its own."""
    if hasattr(function, "input_gradient"):
        gradient: np.ndarray = function.input_gradient(x, cotangent)
        return gradient
    labels = function(np.arange(x.size).reshape(x.shape)).astype(np.int64)
    gradient = np.zeros(x.size, dtype=cotangent.dtype)
    for label, weight in zip(labels.reshape(-1), cotangent.reshape(-1), strict=True):
        gradient[label] = weight
    return gradient.reshape(x.shape)


def icnr(
    base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: str, dtype: str = "float32"
) -> np.ndarray:
    """Return the oracle's ICNR of what the base initializer returns for the base shape."""
    return oracle.icnr(base((*shape[:-1], shape[-1] // prod(scale))), scale, order=order)


def icnr_weight_norm(kernel: np.ndarray, scale: Any, *, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Return both factors, replicated."""
    norm = np.sqrt((kernel**2).sum(axis=tuple(range(kernel.ndim - 1))))
    return oracle.icnr(norm, scale, order=order), oracle.icnr(kernel, scale, order=order)


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, *, padding: Any = "same") -> np.ndarray:
    """Return the sum, rounded once."""
    return oracle.conv(x, kernel, bias, padding=padding).astype(x.dtype)


def conv_transpose(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None = None, **options: Any) -> np.ndarray:
    """Return the scattered sum, rounded once."""
    return oracle.conv_transpose(x, kernel, bias, **options).astype(x.dtype)


def box_blur(x: np.ndarray, scale: Any) -> np.ndarray:
    """Return the mean, rounded once."""
    if x.ndim <= len(factors_of(scale)):
        raise ValueError(f"x must have {len(scale) + 1} axes or more; got {x.ndim}")
    return oracle.box_blur(x, scale).astype(x.dtype)


def checkerboard(x: np.ndarray, scale: Any) -> float:
    """Return the measure."""
    admitted(x, scale, "DCR", "channels_last", inverse=True)
    return oracle.checkerboard(x, scale)


@dataclass(frozen=True)
class PlannedStage:
    """One stage of a plan."""

    scale: tuple[int, ...]


class Plan:
    """A chain, counted by the oracle."""

    def __init__(
        self, factors: Any, in_channels: int, out_channels: int, kernel: tuple[int, ...], width: Any, bias: bool, separable: bool
    ) -> None:
        self.factors = factors
        self.stages = [PlannedStage(scale) for scale in factors]
        self.chain = oracle.chain_shapes(factors, in_channels, out_channels, width)
        self.kernel, self.bias, self.separable = kernel, bias, separable

    @property
    def parameters(self) -> int:
        return oracle.chain_parameters(self.chain, self.kernel, bias=self.bias, separable=self.separable)

    def macs(self, spatial: tuple[int, ...]) -> int:
        return oracle.chain_macs(self.chain, self.kernel, spatial, separable=self.separable)

    def activations(self, spatial: tuple[int, ...]) -> list[int]:
        return oracle.chain_activations(self.chain, spatial, separable=self.separable)

    @property
    def receptive_field(self) -> tuple[int, ...]:
        return oracle.chain_receptive_field(self.factors, self.kernel)


def plan_stages(
    scale: Any,
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: Any = 3,
    ndim: int = 2,
    factors: Any = None,
    width: int | None = None,
    bias: bool = True,
    separable: bool = False,
    objective: str = "parameters",
    max_parameters: int | None = None,
) -> Plan:
    """Return the chain that is asked for, or the best one."""
    total = factors_of((scale,) * ndim if not isinstance(scale, tuple) else scale)
    kernel = (kernel_size,) * ndim if isinstance(kernel_size, int) else kernel_size
    if factors is None:
        options: dict[str, Any] = {"width": width, "bias": bias, "separable": separable}
        chosen = oracle.best_plan(total, in_channels, out_channels, kernel, objective=objective, max_parameters=max_parameters, **options)
        if chosen is None:
            raise ValueError(f"max_parameters must allow a plan; got {max_parameters}")
    else:
        chosen = tuple((stage,) * ndim if isinstance(stage, int) else stage for stage in factors)
        if not chosen or tuple(prod(stage[axis] for stage in chosen) for axis in range(ndim)) != total:
            raise ValueError(f"factors must multiply to {total}; got {factors}")
    return Plan(chosen, in_channels, out_channels, kernel, width, bias, separable)


class HonestLayer:
    """A layer of the oracle, its parameters ICNR as they come. The methods are the places where mutants differ."""

    def __init__(self, config: LayerConfig, parameters: Parameters | None) -> None:
        self.config = config
        kernel = config.kernel_size
        self.kernel_size = (kernel,) * config.ndim if isinstance(kernel, int) else tuple(kernel)
        self.stages = oracle.chain_shapes(config.factors or (config.scale,), config.in_channels, config.out_channels, config.width)
        self.held = [self.drawn(number) for number in range(len(self.stages))] if parameters is None else parameters

    def drawn(self, number: int) -> dict[str, np.ndarray]:
        """Return fresh parameters of one stage: kernel and bias ICNR."""
        config, (inputs, outputs, scale), rng = self.config, self.stages[number], np.random.default_rng(number)
        taps = (1,) * config.ndim if config.separable else self.kernel_size
        parameters = {"depthwise": rng.normal(size=(*self.kernel_size, inputs, 1))} if config.separable else {}
        parameters["kernel"] = self.replicated(rng.normal(size=(*taps, inputs, outputs)), scale)
        if config.bias:
            parameters["bias"] = self.replicated(rng.normal(size=outputs), scale)
        return {name: values.astype(dtype_of(config.dtype)) for name, values in parameters.items()}

    def replicated(self, base: np.ndarray, scale: tuple[int, ...]) -> np.ndarray:
        """Return the kernel or the bias of a fresh stage."""
        return oracle.icnr(base, scale, order=self.config.order)

    def parameters(self) -> Parameters:
        return self.held

    def stage(self, x: np.ndarray, held: Mapping[str, np.ndarray], scale: tuple[int, ...]) -> np.ndarray:
        """Return one stage, rounded to the dtype after each convolution."""
        if "depthwise" in held:
            x = self.rounded(oracle.depthwise_conv(x, held["depthwise"], padding=self.config.padding))
            return self.shift(self.conv(x, held["kernel"], held.get("bias"), padding="same"), scale)
        return self.shift(self.conv(x, held["kernel"], held.get("bias"), padding=self.config.padding), scale)

    def rounded(self, y: np.ndarray) -> np.ndarray:
        """Return ``y`` in the dtype of the layer."""
        return y.astype(dtype_of(self.config.dtype))

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, *, padding: Any) -> np.ndarray:
        """Return the convolution, rounded once."""
        return self.rounded(oracle.conv(x, kernel, bias, padding=padding))

    def shift(self, x: np.ndarray, scale: tuple[int, ...]) -> np.ndarray:
        """Return the shift."""
        return oracle.phase_shift(x, scale, order=self.config.order)

    def between(self, y: np.ndarray, number: int) -> np.ndarray:
        """Return the activation after stage ``number``."""
        return np.maximum(y, 0) if self.config.activation == "relu" and number < len(self.stages) - 1 else y

    def blurred(self, y: np.ndarray, scale: tuple[int, ...]) -> np.ndarray:
        """Return the blur of the output of a stage."""
        return self.rounded(oracle.box_blur(y, scale))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number, (held, (_, _, scale)) in enumerate(zip(self.held, self.stages, strict=True)):
            y = self.stage(x, held, scale)
            x = self.between(self.blurred(y, scale) if self.config.blur else y, number)
        return x

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, Parameters]:
        """Differentiate backwards through the stages."""
        padding, inputs, passed, found = self.config.padding, [x], [], []
        for number, (held, (_, _, scale)) in enumerate(zip(self.held, self.stages, strict=True)):
            y = self.stage(inputs[-1], held, scale)
            y = self.blurred(y, scale) if self.config.blur else y
            inputs.append(self.between(y, number))
            passed.append(inputs[-1] == y)
        for held, (_, _, scale), at, through in reversed(list(zip(self.held, self.stages, inputs, passed, strict=False))):
            cotangent = self.unblurred(cotangent * through, scale)
            cotangent = oracle.inverse_phase_shift(cotangent, scale, order=self.config.order)
            gradients: dict[str, np.ndarray] = {}
            if "depthwise" in held:
                z = oracle.depthwise_conv(at, held["depthwise"], padding=padding)
                cotangent, gradients["kernel"], gradients["bias"] = oracle.conv_gradients(z, held["kernel"], cotangent)
                whole = held["depthwise"] * np.eye(at.shape[-1])  # the depthwise kernel as (*k, Ci, Ci)
                cotangent, by_pair, _ = oracle.conv_gradients(at, whole, cotangent, padding=padding)
                gradients["depthwise"] = np.diagonal(by_pair, axis1=-2, axis2=-1)[..., None]
            else:
                cotangent, gradients["kernel"], gradients["bias"] = oracle.conv_gradients(at, held["kernel"], cotangent, padding=padding)
            found.append({name: self.rounded(gradients[name]) for name in held})
        return self.rounded(cotangent), found[::-1]

    def unblurred(self, cotangent: np.ndarray, scale: tuple[int, ...]) -> np.ndarray:
        """Return the gradient of the blur, where there is one."""
        return oracle.box_blur_gradient(cotangent, scale) if self.config.blur else cotangent


class Honest:
    """The oracle as an implementation, with ``replaced`` in place of what it is right about.

    ``claims`` narrow what it claims; operations are all, unless they are given.
    """

    def __init__(self, name: str, *, claims: Mapping[str, Any] | None = None, **replaced: Callable[..., Any]) -> None:
        self.name = name
        self.versions: Mapping[str, str] = {}
        self.claims = {
            "operations": OPERATIONS,
            "ndims": (1, 2, 3, 4),
            "batch_ndims": (0, 1, 2, 3),
            "dtypes": DTYPES,
            "refusals": REFUSALS,
            **(claims or {}),
        }
        operations: dict[str, Callable[..., Any]] = {
            "phase_shift": phase_shift,
            "inverse_phase_shift": inverse_phase_shift,
            "channel_permutation": oracle.channel_permutation,
            "vjp": vjp,
            "icnr": icnr,
            "icnr_bias": oracle.icnr_bias,
            "icnr_residual": oracle.icnr_residual,
            "icnr_weight_norm": icnr_weight_norm,
            "conv": conv,
            "conv_transpose": conv_transpose,
            "nearest_upsample": oracle.nearest_upsample,
            "box_blur": box_blur,
            "checkerboard": checkerboard,
            "plan_stages": plan_stages,
            **{name: getattr(rewriting, name) for name in rewriting.OPERATIONS},
            "layer": lambda config, device, parameters=None: HonestLayer(config, parameters),
            "compile": self._compile,
            "device_of": lambda value: "cpu",
        }
        for operation, function in (operations | replaced).items():
            setattr(self, operation, function)

    @staticmethod
    def _compile(function: Callable[..., np.ndarray], mode: str) -> Callable[..., np.ndarray]:
        if mode == "vmap":
            return lambda *tensors: np.stack([function(*samples) for samples in zip(*tensors, strict=True)])
        return function

    def devices(self) -> dict[str, str | None]:
        return dict.fromkeys(self.claims.get("devices", ("cpu",)))

    def modes(self, device: str) -> dict[str, str | None]:
        return dict.fromkeys(self.claims.get("modes", ("eager",)))

    def to_native(self, array: np.ndarray, device: str) -> np.ndarray:
        return array

    def to_numpy(self, value: Any) -> np.ndarray:
        return np.asarray(value)
