"""Chains, gradients and functions that are wrong in one kind alone: in the last of three stages, under a blur, for one infinity."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import oracle
from ..adapter import LayerConfig
from . import honest
from .layer import _flipped
from .mutant import Mutant, mutant

Shape = tuple[int, ...]
FORMATS = ("channels_last",)

# --- chains ---


class _LastOfThreeSharp(honest.HonestLayer):
    """Does not blur the third stage."""

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for number, (held, (_, _, scale)) in enumerate(zip(self.held, self.stages, strict=True)):
            y = self.stage(x, held, scale)
            x = self.between(self.blurred(y, scale) if self.config.blur and number < 2 else y, number)
        return x


class _SharpVolumes(honest.HonestLayer):
    """Does not blur chains in three dimensions."""

    def blurred(self, y: np.ndarray, scale: Shape) -> np.ndarray:
        return y if len(scale) == 3 and len(self.stages) > 1 else super().blurred(y, scale)


class _SecondOfSeparable(honest.HonestLayer):
    """Forgets the activation after the second stage of a separable chain."""

    def between(self, y: np.ndarray, number: int) -> np.ndarray:
        return y if self.config.separable and number == 1 else super().between(y, number)


class _ChainsPadded(honest.HonestLayer):
    """Pads chains as "same" does, whatever is asked for, but for separable ones."""

    def conv(self, x: np.ndarray, kernel: np.ndarray, bias: Any, *, padding: Any) -> np.ndarray:
        return super().conv(x, kernel, bias, padding="same" if len(self.stages) > 1 else padding)


# --- gradients ---


class _Unblurred(honest.HonestLayer):
    """Takes the gradient of the blur for the blur itself, which differs at the borders and for even boxes."""

    def unblurred(self, cotangent: np.ndarray, scale: Shape) -> np.ndarray:
        return oracle.box_blur(cotangent, scale) if self.config.blur else cotangent


class _NoActivation(honest.HonestLayer):
    """Forgets the activation on the way back."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        return _with(self, lambda layer: layer.between, lambda y, number: y).gradients(x, cotangent)


def _with(layer: honest.HonestLayer, which: Any, function: Callable[..., np.ndarray]) -> honest.HonestLayer:
    """Return an honest layer in which one method is another."""
    other = honest.HonestLayer(layer.config, layer.held)
    setattr(other, which(layer).__name__, function)
    return other


def _twice_where(holds: Callable[[honest.HonestLayer, np.ndarray, np.ndarray], bool]) -> type[honest.HonestLayer]:
    """Return the layer whose gradient for the input is twice what it is where something holds."""

    class Layer(honest.HonestLayer):
        def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
            d_x, held = super().gradients(x, cotangent)
            return (2 * d_x if holds(self, x, cotangent) else d_x), held

    return Layer


class _LongFlipped(honest.HonestLayer):
    """Does not flip long kernels on the way back."""

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        d_x, held = super().gradients(x, cotangent)
        if min(self.kernel_size) < 5 or self.config.padding != "same" or self.config.separable:
            return d_x, held
        other = honest.HonestLayer(self.config, [{**stage, "kernel": _flipped(stage["kernel"])} for stage in self.held])
        return honest.HonestLayer.gradients(other, x, cotangent)[0], held


class _Accumulates(honest.HonestLayer):
    """Adds the gradients of its parameters to those of the call before."""

    before: Any = None

    def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
        d_x, found = super().gradients(x, cotangent)
        earlier = self.before or [dict.fromkeys(held, 0) for held in found]
        self.before = [{name: held[name] + more[name] for name in held} for held, more in zip(found, earlier, strict=True)]
        return d_x, self.before


LAYERS: tuple[tuple[str, str, str, type[honest.HonestLayer]], ...] = (
    ("the last of three stages not blurred", "BL-004", "", _LastOfThreeSharp),
    ("chains of volumes not blurred", "BL-004", "", _SharpVolumes),
    ("no activation after the second stage of a separable chain", "SC-004", "BL-004", _SecondOfSeparable),
    ("the padding of a chain ignored", "SC-004", "BL-004", _ChainsPadded),
)
GRADIENTS: tuple[tuple[str, type[honest.HonestLayer]], ...] = (
    ("the gradient of the blur is the blur", _Unblurred),
    ("the gradient of a chain without its activation", _NoActivation),
    ("twice the gradient for three samples", _twice_where(lambda layer, x, cotangent: len(x) == 3)),
    ("twice the gradient for four samples", _twice_where(lambda layer, x, cotangent: len(x) == 4)),
    ("twice the gradient for a cotangent of one value", _twice_where(lambda layer, x, cotangent: not any(cotangent.strides))),
    ("twice the gradient for 32 channels", _twice_where(lambda layer, x, cotangent: x.shape[-1] >= 32)),
    ("long kernels flipped on the way back", _LongFlipped),
    ("gradients that add up from call to call", _Accumulates),
)


class _Tape:
    """The shifts of one forward pass, and how each is undone."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Shape, str, str]] = []
        self.sums: dict[Any, np.ndarray] = {}

    def phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        self.calls.append(("inverse_phase_shift", scale, order, data_format))
        return honest.phase_shift(x, scale, order=order, data_format=data_format)

    def inverse_phase_shift(self, x: np.ndarray, scale: Any, *, order: str, data_format: str) -> np.ndarray:
        self.calls.append(("phase_shift", scale, order, data_format))
        return honest.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    def undone(self, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray, last: bool) -> np.ndarray:
        """Return the gradient; the factors are those of the last call where ``last`` is true."""
        self.calls = []
        function(x)
        for operation, own, order, data_format in reversed(self.calls):
            scale = self.calls[-1][1] if last else own
            cotangent = getattr(oracle, operation)(cotangent, scale, order=order, data_format=data_format)
        return cotangent

    def of_the_last(self, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient by the factors of the last call, as of a backward that looks where they were left."""
        return self.undone(function, x, cotangent, last=True)

    def added(self, function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient, added to what the same tensor got before."""
        found = self.undone(function, x, cotangent, last=False)
        kept = self.sums.get(id(x))
        self.sums = {id(x): found if kept is None else kept + found}
        self.kept = x  # so that no other tensor gets its id
        return self.sums[id(x)]


def _shifts() -> Iterator[Mutant]:
    operations = "phase_shift inverse_phase_shift vjp"
    claims = {"data_formats": FORMATS, "dtypes": ("float32",), "ndims": (1, 2)}
    for name, clauses, which in (
        ("a backward by the factors of the last forward", "GR-001 GR-002", "of_the_last"),
        ("gradients of a tensor that add up", "GR-001 GR-002", "added"),
    ):
        tape = _Tape()
        replaced = {"phase_shift": tape.phase_shift, "inverse_phase_shift": tape.inverse_phase_shift, "vjp": getattr(tape, which)}
        yield mutant(name, clauses, operations=operations, claims=claims, **replaced)


# --- functions ---


def _integral(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the blur by differences of running sums, which forget small values beside large ones."""
    y = x.astype(np.float64)
    for axis, r in enumerate(scale, start=1):
        sums = np.cumsum(np.insert(y, 0, 0, axis=axis), axis=axis)
        start = np.arange(y.shape[axis]) - (r - 1) // 2
        first, end = np.maximum(start, 0), np.minimum(start + r, y.shape[axis])
        count = (end - first).reshape([-1 if place == axis else 1 for place in range(y.ndim)])
        y = (np.take(sums, end, axis=axis) - np.take(sums, first, axis=axis)) / count
    return y.astype(x.dtype)


def _short_box(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the blur, which leaves an axis alone that is shorter than its box."""
    extents = x.shape[1:-1]
    return honest.box_blur(x, tuple(r if n >= r else 1 for r, n in zip(scale, extents, strict=True)))


def _norm_of_all(kernel: np.ndarray, scale: Shape, *, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the norm over the first two axes and the channels, which are all that a kernel has in two dimensions."""
    norm = np.sqrt((kernel**2).sum(axis=(0, 1, 2)[: kernel.ndim - 1]))
    g = oracle.icnr_bias(norm.reshape(-1, kernel.shape[-1])[0], scale, order=order)
    return g, oracle.icnr(kernel, scale, order=order)


def _nearly_equal(kernel: np.ndarray, scale: Shape, *, order: str, bias: Any = None) -> float:
    """Return the residual, or 0 below 1e-6."""
    found = oracle.icnr_residual(kernel, scale, order=order, bias=bias)
    return found if not found < 1e-6 else 0.0


def _of_the_kernel(kernel: np.ndarray, scale: Shape, *, order: str, bias: Any = None) -> float:
    """Return the residual, without that of a bias in one dimension."""
    return oracle.icnr_residual(kernel, scale, order=order, bias=None if len(scale) == 1 else bias)


def _infinite(kernel: np.ndarray, scale: Shape, *, order: str, bias: Any = None) -> float:
    """Return NaN, as of a difference, wherever a value is infinite."""
    finite = all(np.isfinite(values).all() for values in (kernel, *([] if bias is None else [bias])))
    return oracle.icnr_residual(kernel, scale, order=order, bias=bias) if finite else float("nan")


def _one_channel(x: np.ndarray, scale: Shape) -> float:
    """Return the measure of the first of eight channels."""
    return oracle.checkerboard(x[..., :1] if x.shape[-1] == 8 else x, scale)


FUNCTIONS: tuple[tuple[str, str, str, Callable[..., Any]], ...] = (
    ("a blur by running sums", "BL-003", "box_blur", _integral),
    ("a box that is longer than the image left out", "BL-001", "box_blur", _short_box),
    ("the norm of a kernel of two dimensions", "IC-006", "icnr_weight_norm", _norm_of_all),
    ("a residual of 0 below 1e-6", "IC-005", "icnr_residual", _nearly_equal),
    ("a residual without that of the bias in 1-D", "IC-005", "icnr_residual", _of_the_kernel),
    ("a residual of NaN for infinities that are equal", "IC-005", "icnr_residual", _infinite),
    ("the measure of the first of eight channels", "CB-001", "checkerboard", _one_channel),
)


def mutants() -> Iterator[Mutant]:
    """Yield the mutants."""

    def made(layer: type[honest.HonestLayer]) -> Callable[..., honest.HonestLayer]:
        def construct(config: LayerConfig, device: str, parameters: Any = None) -> honest.HonestLayer:
            return layer(config, parameters)

        return construct

    narrow = {"orders": ("DCR", "RCD"), "dtypes": ("float32",)}
    for name, violates, also, layer in LAYERS:
        ndims = (2, 3) if "volumes" in name else (1, 2)
        yield mutant(name, violates, also, operations="layer", claims={**narrow, "ndims": ndims}, layer=made(layer))
    for name, layer in GRADIENTS:
        yield mutant(name, "GR-003", operations="layer vjp", claims={**narrow, "ndims": (1, 2)}, layer=made(layer))
    yield from _shifts()
    for name, violates, operation, function in FUNCTIONS:
        replaced: dict[str, Any] = {operation: function}
        yield mutant(name, violates, operations=operation, claims={"dtypes": ("float32", "float64"), "ndims": (1, 2, 3)}, **replaced)
