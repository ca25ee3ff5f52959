"""Layers, convolutions, gradients and ICNRs that are wrong only where circumstances come together: an effect, and when it is seen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np

from ..adapter import LayerConfig
from . import honest
from .layer import _flipped
from .mutant import Mutant, mutant

LAYERS = "SC-001 SC-002 SC-003 SC-004 SP-001 SP-002 BL-001 BL-002 BL-003 BL-004 IC-002 IC-004 IC-007 IC-008 IC-009 IC-010 CP-002"

# --- when ---


@dataclass(frozen=True)
class Seen:
    """What the implementation sees of one call: ``kernel`` without its channels, ``blocks`` the factors or the stride."""

    shape: tuple[int, ...]
    dtype: Any
    outputs: int
    kernel: tuple[int, ...]
    blocks: tuple[int, ...]
    padding: Any
    bias: bool
    config: LayerConfig | None = None
    gaps: bool = False


@dataclass(frozen=True)
class When:
    """A circumstance: ``of`` says which it is a level of, so that two of the same never come together."""

    of: str
    holds: Callable[[Seen], bool]


def _of_layer(holds: Callable[[LayerConfig], bool]) -> Callable[[Seen], bool]:
    return lambda seen: seen.config is not None and holds(seen.config)


WHEN: Mapping[str, When] = {
    "1-D": When("ndim", lambda seen: len(seen.kernel) == 1),
    "3-D": When("ndim", lambda seen: len(seen.kernel) == 3),
    "one sample": When("batch", lambda seen: seen.shape[0] == 1),
    "eight samples": When("batch", lambda seen: seen.shape[0] == 8),
    "one channel in": When("inputs", lambda seen: seen.shape[-1] == 1),
    "eight channels in": When("inputs", lambda seen: seen.shape[-1] == 8),
    "one channel out": When("outputs", lambda seen: seen.outputs == 1),
    "one tap": When("kernel", lambda seen: prod(seen.kernel) == 1),
    "even taps": When("kernel", lambda seen: all(k % 2 == 0 for k in seen.kernel)),
    "valid": When("padding", lambda seen: seen.padding == "valid"),
    "padded by hand": When("padding", lambda seen: not isinstance(seen.padding, str)),
    "no bias": When("bias", lambda seen: not seen.bias),
    "float16": When("dtype", lambda seen: seen.dtype == np.float16),
    "float64": When("dtype", lambda seen: seen.dtype == np.float64),
    "factors above 2": When("scale", lambda seen: min(seen.blocks) > 2),
    "unequal factors": When("scale", lambda seen: len(set(seen.blocks)) > 1),
    "order RCD": When("order", _of_layer(lambda config: config.order == "RCD")),
    "separable": When("separable", _of_layer(lambda config: config.separable)),
    "a chain": When("stages", _of_layer(lambda config: config.factors is not None)),
    "a blur": When("blur", _of_layer(lambda config: config.blur)),
    "a cotangent with gaps": When("memory", lambda seen: seen.gaps),
}
IMPOSSIBLE = ({"1-D", "unequal factors"},)
"""One axis has one factor."""

OF_A_LAYER = [name for name in WHEN if name != "a cotangent with gaps"]
OF_A_CONVOLUTION = [name for name in WHEN if WHEN[name].of not in ("scale", "order", "separable", "stages", "blur", "memory")]
OF_A_TRANSPOSED = [*(name for name in OF_A_CONVOLUTION if WHEN[name].of != "padding"), "factors above 2", "unequal factors"]
_NOT_QUICK = ("eight samples", "eight channels in", "even taps", "float16", "factors above 2")
OF_A_GRADIENT = [name for name in WHEN if WHEN[name].of not in ("outputs", "blur") and name not in _NOT_QUICK]
OF_AN_INITIALIZER = [
    *("1-D", "3-D", "one channel in", "eight channels in", "one channel out", "one tap", "float64", "factors above 2", "unequal factors")
]


def pairs(names: list[str], part: int) -> list[tuple[str, str]]:
    """Return one pair of ``part`` of those that can come together, each circumstance in several."""
    found = [pair for pair in combinations(names, 2) if WHEN[pair[0]].of != WHEN[pair[1]].of]
    found = [pair for pair in found if not any(impossible <= set(pair) for impossible in IMPOSSIBLE)]
    return [(a, b) for a, b in found if (names.index(a) + 2 * names.index(b)) % part == 0]


# --- what ---


def _rolled(y: np.ndarray) -> np.ndarray:
    return np.roll(y.reshape(-1), 1).reshape(y.shape)


def _last_zero(y: np.ndarray) -> np.ndarray:
    y = y.copy()
    y[..., -1] = 0
    return y


EFFECTS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "one place further": _rolled,
    "turned around": lambda y: np.flip(y, 1),
    "the last channel of zeros": _last_zero,
}
WEIGHTS: Mapping[str, Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]] = {
    "the kernel flipped": lambda held: {name: values if name == "bias" else _flipped(values) for name, values in held.items()},
    "the bias twice": lambda held: {name: 2 * values if name == "bias" else values for name, values in held.items()},
}


def _effect(number: int, when: tuple[str, ...], weights: bool = True) -> str:
    """Return the next effect that can be seen."""
    names = [*EFFECTS, *(WEIGHTS if weights else ())]
    unseen = {"the kernel flipped": "one tap" in when, "the bias twice": "no bias" in when}
    return next(name for name in names[number % len(names) :] + names if not unseen.get(name))


def _all(when: tuple[str, ...], seen: Seen) -> bool:
    return all(WHEN[name].holds(seen) for name in when)


def _claims(*when: str, layer: bool = True) -> dict[str, Any]:
    """Return claims that are narrow, and have what the circumstances take."""
    ndims = {1 if "1-D" in when else 3 if "3-D" in when else 2, 2}
    dtypes = ("float32", *(name for name in ("float16", "float64") if name in when))
    return {"ndims": tuple(sorted(ndims)), "dtypes": dtypes, **({"orders": ("DCR", "RCD")} if layer else {})}


def _seen(layer: honest.HonestLayer, shape: tuple[int, ...], gaps: bool = False) -> Seen:
    config = layer.config
    scale = (config.factors or (config.scale,))[0]
    return Seen(shape, np.dtype(config.dtype), config.out_channels, layer.kernel_size, scale, config.padding, config.bias, config, gaps)


def _layered(name: str, clause: str, also: str, operations: str, layer: type[honest.HonestLayer], when: tuple[str, ...]) -> Mutant:
    def construct(config: LayerConfig, device: str, parameters: Any = None) -> honest.HonestLayer:
        return layer(config, parameters)

    named = f"{name}: {' and '.join(when)}"
    return mutant(named, clause, also, operations=operations, claims=_claims(*when), layer=construct)


# --- layers ---


def layer_together(effect: str, *when: str) -> Mutant:
    """Return the layer that has the effect where all of ``when`` hold, and nowhere else."""

    class Layer(honest.HonestLayer):
        def __call__(self, x: np.ndarray) -> np.ndarray:
            if not _all(when, _seen(self, x.shape)):
                return super().__call__(x)
            if effect in WEIGHTS:
                return honest.HonestLayer(self.config, [WEIGHTS[effect](held) for held in self.held])(x)
            return EFFECTS[effect](super().__call__(x))

    kinds = {"a blur": "BL-001", "a chain": "SC-004", "separable": "SP-001"}
    clause = next((clause for kind, clause in kinds.items() if kind in when), "SC-001")
    clause = "BL-004" if {"a blur", "a chain"} <= set(when) else clause
    return _layered(f"a layer, {effect}", clause, LAYERS, "layer", Layer, when)


def start_together(what: str, *when: str) -> Mutant:
    """Return the layer whose kernel or bias does not start as ICNR where all of ``when`` hold."""

    class Layer(honest.HonestLayer):
        def drawn(self, number: int) -> dict[str, np.ndarray]:
            held = super().drawn(number)
            if what in held and _all(when, _seen(self, (0, *self.kernel_size, self.config.in_channels))):
                held[what] = held[what] + np.arange(held[what].shape[-1], dtype=held[what].dtype) / 8
            return held

    return _layered(f"a layer whose {what} starts uneven", "IC-002" if what == "bias" else "IC-004", LAYERS, "layer", Layer, when)


def gradient_together(what: str, *when: str) -> Mutant:
    """Return the layer whose gradient, for the input or for a parameter, is twice what it is where all of ``when`` hold."""

    class Layer(honest.HonestLayer):
        def gradients(self, x: np.ndarray, cotangent: np.ndarray) -> Any:
            d_x, held = super().gradients(x, cotangent)
            if not _all(when, _seen(self, x.shape, cotangent.strides[-1] > cotangent.itemsize)):
                return d_x, held
            if what == "input":
                return 2 * d_x, held
            return d_x, [{name: 2 * values if name == what else values for name, values in stage.items()} for stage in held]

    return _layered(f"twice the gradient for the {what} of a layer", "GR-003", "", "layer vjp", Layer, when)


# --- functions ---


def conv_together(effect: str, *when: str) -> Mutant:
    """Return the convolution that has the effect where all of ``when`` hold."""

    def conv(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, padding: Any = "same") -> np.ndarray:
        if not _all(when, Seen(x.shape, x.dtype, kernel.shape[-1], kernel.shape[:-2], (1,), padding, bias is not None)):
            return honest.conv(x, kernel, bias, padding=padding)
        held = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
        held = WEIGHTS[effect](held) if effect in WEIGHTS else held
        y = honest.conv(x, held["kernel"], held.get("bias"), padding=padding)
        return EFFECTS[effect](y) if effect in EFFECTS else y

    clause = "CV-002" if set(when) & {"even taps", "valid", "padded by hand"} else "CV-001"
    name = f"a convolution, {effect}: {' and '.join(when)}"
    return mutant(name, clause, "CV-001 CV-002 CV-003", operations="conv", claims=_claims(*when, layer=False), conv=conv)


def transposed_together(effect: str, *when: str) -> Mutant:
    """Return the transposed convolution that has the effect where all of ``when`` hold."""

    def conv_transpose(x: np.ndarray, kernel: np.ndarray, bias: Any = None, *, stride: Any, **options: Any) -> np.ndarray:
        seen = Seen(x.shape, x.dtype, kernel.shape[-1], kernel.shape[:-2], tuple(stride), options["padding"], bias is not None)
        y = honest.conv_transpose(x, kernel, bias, stride=stride, **options)
        return EFFECTS[effect](y) if _all(when, seen) else y

    claims = _claims(*when, layer=False)
    name = f"a transposed convolution, {effect}: {' and '.join(when)}"
    return mutant(name, "CV-004", "CV-003", operations="conv_transpose", claims=claims, conv_transpose=conv_transpose)


def icnr_together(effect: str, *when: str) -> Mutant:
    """Return the initializer that has the effect where all of ``when`` hold."""

    def icnr(base: Any, shape: tuple[int, ...], scale: Any, *, order: str, dtype: str = "float32") -> np.ndarray:
        kernel = honest.icnr(base, shape, scale, order=order)
        seen = Seen((0, *shape[:-1]), np.dtype(dtype), shape[-1] // prod(scale), shape[:-2], tuple(scale), "same", True)
        return EFFECTS[effect](kernel) if _all(when, seen) else kernel

    claims = _claims(*when, layer=False)
    return mutant(f"ICNR, {effect}: {' and '.join(when)}", "IC-001", operations="icnr", claims=claims, icnr=icnr)


def all_together(part: int = 1) -> Iterator[Mutant]:
    """Yield a mutant for one pair of circumstances in ``part``, of every operation."""
    for number, when in enumerate(pairs(OF_A_LAYER, part)):
        yield layer_together(_effect(number, when), *when)
    for number, when in enumerate(pairs(OF_A_CONVOLUTION, part)):
        yield conv_together(_effect(number, when), *when)
    for number, when in enumerate(pairs(OF_A_TRANSPOSED, part)):
        yield transposed_together(_effect(number, when, weights=False), *when)
    for number, when in enumerate(pairs(OF_A_GRADIENT, part)):
        whats = [what for what in ("input", "kernel", "bias") if what != "bias" or "no bias" not in when]
        yield gradient_together(whats[number % len(whats)], *when)
    for number, when in enumerate(pairs(OF_AN_INITIALIZER, part)):
        yield icnr_together([*EFFECTS][2 * (number % 2)], *when)


STARTS = (("bias", "3-D", "order RCD"), ("kernel", "1-D", "factors above 2"), ("bias", "a blur", "separable"), ("kernel", "no bias", "3-D"))


def mutants() -> tuple[Mutant, ...]:
    """Return those that the kill matrix holds."""
    return (*all_together(part=7), *(start_together(*start) for start in STARTS))
