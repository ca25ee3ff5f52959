"""What the oracle answers to the inputs and arguments of a vector, and which argument the rules of refusal find at fault."""

from collections.abc import Callable, Iterator
from math import ceil, floor, log10, prod
from typing import Any

import numpy as np

from .. import oracle
from ..oracle_unet import Unet
from .tensor import EXACT

Arguments = dict[str, Any]
Arrays = dict[str, np.ndarray]
Shape = tuple[int, ...]

ORDERS = ("DCR", "CRD", "DRC", "RCD")
FORMATS = ("channels_last", "channels_first")


COUNTS = ("in_channels", "out_channels", "width", "max_parameters", "spatial")
"""Arguments of a plan that may be of any size: the oracle only multiplies them."""


def answer(operation: str, arguments: Arguments, inputs: Arrays) -> Arrays:
    """Return the outputs of an operation by name, in the dtypes of the specification.

    Raises ValueError for arguments that would keep the oracle, which counts in plain loops, busy for minutes.
    """
    _within_reach(arguments, inputs)
    return OPERATIONS[operation](arguments, inputs)


def _within_reach(arguments: Arguments, inputs: Arrays) -> None:
    scale = arguments.get("scale", [1])
    largest = max((values.size for values in inputs.values()), default=1)
    small = [value for name, argument in arguments.items() if name not in (*COUNTS, "channels") for value in _integers(argument)]
    searched = "in_channels" in arguments and "factors" not in arguments and len(set(scale)) > 1
    if (
        any(value > 64 for value in small)
        or arguments.get("channels", 1) > 4096
        or prod(scale) > (64 if searched else 512)
        or largest * prod(scale) > 2**20
    ):
        raise ValueError(f"arguments must be small enough for plain loops; got {arguments}")


def _integers(argument: Any) -> Iterator[int]:
    """Yield every integer in nested lists."""
    if isinstance(argument, list):
        for entry in argument:
            yield from _integers(entry)
    elif isinstance(argument, int):
        yield argument


def bounds(operation: str, arguments: Arguments, inputs: Arrays) -> dict[str, float]:
    """Return, by output, how far a result may be from the exact one where the specification allows that: BL-003, CB-001."""
    if operation == "box_blur":
        y, scale = inputs["y"].astype(np.float64), _scale(arguments)
        u = _roundoff(inputs["y"].dtype)
        allowed = (prod(scale) + 1) * u * oracle.box_blur(np.abs(y), scale) + u * np.abs(oracle.box_blur(y, scale))
        return {"blurred": _upwards(float(allowed.max(initial=0.0)))}
    if operation == "checkerboard":
        y = inputs["y"]
        return {"measure": _upwards(float((y.size + 3 * prod(arguments["scale"])) * 2.0**-53 * np.abs(y).max(initial=0.0)))}
    return {}


def _upwards(value: float) -> float:
    """Return the value rounded up to two digits, the same on every machine."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{ceil(value / unit) * unit:.1e}")


def _roundoff(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).eps) / 2


def _scale(arguments: Arguments) -> Shape:
    return tuple(arguments["scale"])


def _exact(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return integers in the dtype of the inputs. Raises ValueError where it cannot hold one."""
    integers = values.astype(np.int64)
    largest = int(np.abs(integers).max(initial=0))
    if not np.array_equal(integers, values) or largest > EXACT.get(dtype.name, 2**53):
        raise ValueError(f"results must be integers that {dtype} holds; got {values.ravel()[:5]}, at most {largest}")
    return integers.astype(dtype)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return means or roots as the integers that they are but for the rounding of the oracle. Raises ValueError where they are none."""
    integers = np.rint(values)
    if (np.abs(values - integers) > 1e-9).any():
        raise ValueError(f"results must be integers; got {values.ravel()[:5]}")
    return integers


def _whole(values: np.ndarray) -> np.ndarray:
    """Return floating-point values that are integers in int64, in which the oracle adds without rounding."""
    return values.astype(np.int64)


def _shift(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"y": oracle.phase_shift(inputs["x"], _scale(arguments), order=arguments["order"], data_format=arguments["data_format"])}


def _inverse(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"x": oracle.inverse_phase_shift(inputs["y"], _scale(arguments), order=arguments["order"], data_format=arguments["data_format"])}


def _shift_vjp(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"x": _inverse(arguments, {"y": inputs["cotangent"]})["x"]}


def _inverse_vjp(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"y": _shift(arguments, {"x": inputs["cotangent"]})["y"]}


def _permutation(arguments: Arguments, inputs: Arrays) -> Arrays:
    wanted = {"source": arguments["source"], "target": arguments["target"]}
    return {"permutation": oracle.channel_permutation(arguments["channels"], _scale(arguments), **wanted)}


def _icnr(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {name: oracle.icnr(base, _scale(arguments), order=arguments["order"]) for name, base in inputs.items()}


def _weight_norm(arguments: Arguments, inputs: Arrays) -> Arrays:
    base = inputs["kernel"]
    squares = (_whole(base) ** 2).reshape(-1, base.shape[-1]).sum(axis=0)
    norms = np.sqrt(squares.astype(np.longdouble))
    scale, order = _scale(arguments), arguments["order"]
    return {"g": oracle.icnr_bias(_exact(norms, base.dtype), scale, order=order), "v": oracle.icnr(base, scale, order=order)}


def _residual(arguments: Arguments, inputs: Arrays) -> Arrays:
    residual = oracle.icnr_residual(inputs["kernel"], _scale(arguments), order=arguments["order"], bias=inputs.get("bias"))
    return {"residual": np.array(residual, np.float64)}


def _padding(arguments: Arguments) -> Any:
    padding = arguments["padding"]
    return padding if isinstance(padding, str) else [tuple(pair) for pair in padding]


def _optional(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else _whole(values)


def _conv(arguments: Arguments, inputs: Arrays) -> Arrays:
    x, kernel, bias = _whole(inputs["x"]), _whole(inputs["kernel"]), _optional(inputs.get("bias"))
    return {"y": _exact(oracle.conv(x, kernel, bias, padding=_padding(arguments)), inputs["x"].dtype)}


def _conv_transpose(arguments: Arguments, inputs: Arrays) -> Arrays:
    geometry = {name: tuple(arguments[name]) for name in ("stride", "padding", "output_padding")}
    y = oracle.conv_transpose(_whole(inputs["x"]), _whole(inputs["kernel"]), _optional(inputs.get("bias")), **geometry)
    return {"y": _exact(y, inputs["x"].dtype)}


def _nearest(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"y": oracle.nearest_upsample(inputs["x"], _scale(arguments))}


def _subpixel(arguments: Arguments, inputs: Arrays) -> Arrays:
    parameters = {name: _whole(values) for name, values in inputs.items() if name != "x"}
    y = oracle.stage(_whole(inputs["x"]), parameters, _scale(arguments), order=arguments["order"], padding=_padding(arguments))
    return {"y": _exact(y, inputs["x"].dtype)}


def _separable(arguments: Arguments, inputs: Arrays) -> Arrays:
    renamed = {"pointwise": "kernel"}
    return _subpixel(arguments, {renamed.get(name, name): values for name, values in inputs.items()})


def _subpixel_vjp(arguments: Arguments, inputs: Arrays) -> Arrays:
    shifted = oracle.inverse_phase_shift(_whole(inputs["cotangent"]), _scale(arguments), order=arguments["order"])
    gradients = oracle.conv_gradients(_whole(inputs["x"]), _whole(inputs["kernel"]), shifted, padding=_padding(arguments))
    return {name: _exact(values, inputs["x"].dtype) for name, values in zip(("x", "kernel", "bias"), gradients, strict=True)}


def _blur(arguments: Arguments, inputs: Arrays) -> Arrays:
    y = inputs["y"]
    return {"blurred": _exact(_rounded(oracle.box_blur(y, _scale(arguments))), y.dtype)}


def _checkerboard(arguments: Arguments, inputs: Arrays) -> Arrays:
    return {"measure": _rounded(np.array(oracle.checkerboard(inputs["y"], _scale(arguments)), np.float64))}


def _plan(arguments: Arguments, inputs: Arrays) -> Arrays:
    scale, spatial = _scale(arguments), tuple(arguments["spatial"])
    inputs_, outputs, kernel = arguments["in_channels"], arguments["out_channels"], tuple(arguments["kernel_size"])
    kinds: dict[str, Any] = {"bias": arguments["bias"], "separable": arguments["separable"]}
    factors: Any = [tuple(stage) for stage in arguments["factors"]] if "factors" in arguments else None
    if factors is None:
        search = {name: arguments[name] for name in ("width", "objective", "max_parameters") if name in arguments}
        factors = oracle.best_plan(scale, inputs_, outputs, kernel, **kinds, **search)
    chain = oracle.chain_shapes(factors, inputs_, outputs, arguments.get("width"))
    found: dict[str, Any] = {
        "factors": [list(stage) for stage in factors],
        "parameters": oracle.chain_parameters(chain, kernel, **kinds),
        "macs": oracle.chain_macs(chain, kernel, spatial, separable=arguments["separable"]),
        "activations": oracle.chain_activations(chain, spatial, separable=arguments["separable"]),
        "receptive_field": oracle.chain_receptive_field(factors, kernel),
    }
    return {name: np.array(value, np.int64) for name, value in found.items()}


def _unet(arguments: Arguments, inputs: Arrays) -> Arrays:
    parameters = {name: values for name, values in inputs.items() if name != "x"}
    return {"y": _exact(Unet(arguments).forward(parameters, inputs["x"]).y, inputs["x"].dtype)}


OPERATIONS: dict[str, Callable[[Arguments, Arrays], Arrays]] = {
    "phase_shift": _shift,
    "inverse_phase_shift": _inverse,
    "channel_permutation": _permutation,
    "icnr": _icnr,
    "icnr_weight_norm": _weight_norm,
    "icnr_residual": _residual,
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "nearest_upsample": _nearest,
    "subpixel_conv": _subpixel,
    "separable_subpixel_conv": _separable,
    "box_blur": _blur,
    "checkerboard": _checkerboard,
    "plan_stages": _plan,
    "phase_shift_vjp": _shift_vjp,
    "inverse_phase_shift_vjp": _inverse_vjp,
    "subpixel_conv_vjp": _subpixel_vjp,
    "residual_unet": _unet,
}


# --- refusals ---

NO_BATCH = {"icnr", "icnr_weight_norm", "icnr_residual", "channel_permutation", "plan_stages"}
"""Operations without a tensor that has batch and spatial axes."""


def fault(operation: str, arguments: Arguments, inputs: Arrays) -> str:
    """Return the argument or input that errors.md says must be refused, the first in its sequence, or "" where there is none."""
    if operation in ("conv", "residual_unet"):
        return ""
    scale = arguments.get("scale", arguments.get("stride"))
    if not isinstance(scale, list) or not scale or not all(isinstance(r, int) and not isinstance(r, bool) for r in scale):  # ER-002
        return "scale"
    if any(r < 1 for r in scale):  # ER-001
        return "scale"
    for name in ("order", "source", "target"):
        if name in arguments and arguments[name] not in ORDERS:  # ER-005
            return name
    data_format = arguments.get("data_format", "channels_last")
    if data_format not in FORMATS:
        return "data_format"
    if operation == "plan_stages":
        reached = [prod(axis) for axis in zip(*arguments["factors"], strict=True)] if "factors" in arguments else scale
        return "factors" if reached != scale else ""  # ER-007
    if operation == "channel_permutation":
        return "channels" if arguments["channels"] % prod(scale) else ""
    if operation not in NO_BATCH:
        name = next(name for name in ("cotangent", "x", "y") if name in inputs)
        shape = inputs[name].shape
        if len(shape) < len(scale) + 1:  # ER-006
            return name
        _, spatial, channels = oracle.split(shape, len(scale), data_format)
        if operation == "phase_shift" and channels % prod(scale):  # ER-003
            return name
        if operation in ("inverse_phase_shift", "checkerboard") and any(n % r for n, r in zip(spatial, scale, strict=True)):  # ER-004
            return name
    folded = {"subpixel_conv": "kernel", "icnr_residual": "kernel", "separable_subpixel_conv": "pointwise"}.get(operation)
    if folded is not None and inputs[folded].shape[-1] % prod(scale):
        return folded
    return ""
