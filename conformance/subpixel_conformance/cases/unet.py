"""UN: the residual U-Net, layer by layer on its own trace, end to end on integers, and its gradients, steps and fresh parameters."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import product
from math import log, prod, sqrt
from statistics import NormalDist
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from .. import compare, oracle
from ..adapter import ORDERS, AdapterProtocol, Network
from ..case import Case, Evidence, Mismatch, Needs, dtype_of
from ..oracle_unet import Arrays, Rounding, Step, Unet, wide
from .arrays import small_integers
from .refusals import refused

Shape = tuple[int, ...]


# --- the networks ---


@dataclass(frozen=True, eq=False)
class Net:
    """A configuration by a name, and the extents and the number of samples of its input."""

    name: str
    spatial: Shape
    given: Mapping[str, Any] = field(default_factory=dict)
    samples: int = 2

    @property
    def config(self) -> dict[str, Any]:
        """All fields of the configuration."""
        fields: dict[str, Any] = {
            "ndim": 2,
            "in_channels": 2,
            "out_channels": 3,
            "widths": (2, 3),
            "blocks": 1,
            "kernel_size": 3,
            "scales": 2,
        }
        fields |= {"output_scale": 1, "norm": "none", "groups": 1, "upsample": "subpixel", "blur": False, "order": "DCR"}
        return fields | dict(self.given)

    @property
    def unet(self) -> Unet:
        """The network of the oracle."""
        return _unet(self)

    def needs(self, *operations: str, **more: Any) -> Needs:
        """Return what an implementation has to claim for this network."""
        factors = [step.factors for step in self.unet.steps if step.factors]
        return Needs(
            ("unet", *operations),
            order=self.config["order"],
            ndim=self.config["ndim"],
            anisotropic=any(len(set(scale)) > 1 for scale in factors),
            **more,
        )


@lru_cache(maxsize=256)
def _unet(net: Net) -> Unet:
    return Unet(net.config)


SUBPIXEL = Net(
    "subpixel-2d", (5, 7), {"widths": (2, 3, 4), "blocks": (1, 2, 1), "kernel_size": (3, 2), "scales": ((2, 3), (1, 2)), "order": "CRD"}
)
RESIZE = Net("resize-1d", (7,), {"ndim": 1, "blocks": (2, 1), "scales": 3, "output_scale": 6, "upsample": "resize"})
DECONV = Net(
    "deconv-3d", (2, 3, 5), {"ndim": 3, "kernel_size": (1, 2, 3), "scales": ((1, 2, 2),), "output_scale": (1, 2, 1), "upsample": "deconv"}
)
DECONV_EVEN = Net("deconv-2d", (5, 4), {"kernel_size": (3, 4), "scales": ((2, 3),), "output_scale": (2, 3), "upsample": "deconv"})
BLURRED = Net("subpixel-blur-2d", (5, 3), {"kernel_size": (4, 3), "output_scale": 2, "blur": True, "order": "RCD"})
RESIZE_BLURRED = Net("resize-blur-2d", (3, 5), {"blocks": 2, "kernel_size": (2, 3), "upsample": "resize", "blur": True})
DEEP = Net(
    "subpixel-1d", (11,), {"ndim": 1, "widths": (2, 3, 4), "blocks": (1, 1, 2), "scales": ((2,), (3,)), "output_scale": 3, "order": "DRC"}
)
FOUR_LEVELS = Net("four-levels-1d", (19,), {"ndim": 1, "widths": (2, 3, 2, 3), "blocks": (3, 1, 1, 1)})
"""As deep as a network is by default; its integers need float64."""
COMBINED = (
    Net("subpixel-blur-1d", (7,), {"ndim": 1, "blur": True, "order": "CRD"}),
    Net("subpixel-blur-3d", (2, 3, 3), {"ndim": 3, "kernel_size": (1, 2, 3), "scales": ((1, 2, 2),), "blur": True, "order": "RCD"}),
    Net("deconv-blur-2d", (3, 4), {"kernel_size": (3, 2), "scales": ((2, 1),), "upsample": "deconv", "blur": True}),
    Net(
        "resize-blur-unequal-2d",
        (3, 4),
        {"kernel_size": (2, 4), "scales": ((1, 2),), "upsample": "resize", "blur": True, "output_scale": (2, 1)},
    ),
    Net("resize-41-1d", (5,), {"ndim": 1, "widths": (2,), "upsample": "resize", "output_scale": 41, "kernel_size": 1}),
)
"""What goes wrong only where options meet: the blur in every dimension and way, a factor that float32 misses."""

NETS = (SUBPIXEL, RESIZE, DECONV, DECONV_EVEN, BLURRED)
"""Without normalization. One to three axes, unequal factors, even kernels, extents that are padded, all three ways, two stages."""

GROUP = Net(
    "group-2d", (5, 7), {"widths": (4, 8), "groups": 2, "kernel_size": (3, 2), "scales": ((2, 3),), "norm": "group", "order": "RCD"}
)
GROUP_RESIZE = Net(
    "group-resize-1d",
    (7,),
    {"ndim": 1, "widths": (4, 8), "groups": 2, "scales": 3, "output_scale": 6, "norm": "group", "upsample": "resize"},
)
BATCH = Net("batch-2d", (5, 3), {"widths": (3, 4), "blocks": (1, 2), "norm": "batch", "blur": True, "order": "DRC", "output_scale": 2})
BATCH_DECONV = Net("batch-deconv-3d", (2, 3, 3), {"ndim": 3, "scales": ((1, 2, 2),), "norm": "batch", "upsample": "deconv"})
SHALLOW = Net("batch-1-level-2d", (5, 3), {"widths": (3,), "norm": "batch", "order": "DRC"})
REAL = (SUBPIXEL, GROUP, BATCH)

SMALL = Net("small-2d", (5, 3), {"scales": ((2, 1),), "kernel_size": (2, 3), "order": "CRD", "output_scale": 2})

ORDERED = {
    order: Net(f"order-{order}-2d", (3, 5), {"kernel_size": (2, 3), "scales": ((2, 3),), "output_scale": 6, "order": order})
    for order in ORDERS
}
"""Unequal factors in the decoder and two stages in the head, in every order."""


# --- parameters and inputs ---

EXACT = {"float64": 2**53, "float32": 2**24, "bfloat16": 2**8}
"""Up to here every integer is a value of the dtype."""


def _integers(net: Net, seed: int, per_output: int) -> tuple[Arrays, np.ndarray]:
    """Return an input and parameters of integers: kernels of -1 and 1 with ``per_output`` of them for every output, biases of -1, 0 and 1.

    With less than three weights for every output, most biases are 0.
    """
    rng = np.random.default_rng(seed)
    params: Arrays = {}
    for name, shape in net.unet.learned.items():
        if name.endswith(".kernel"):
            rows = prod(shape[:-1])
            flat = np.zeros((rows, shape[-1]))
            for column in range(shape[-1]):
                places = rng.choice(rows, size=min(per_output, rows), replace=False)
                flat[places, column] = rng.choice([-1, 1], size=places.size)
            params[name] = flat.reshape(shape)
        else:
            params[name] = np.where(rng.random(shape) < (0.3 if per_output < 3 else 1), rng.integers(-1, 2, size=shape), 0).astype(
                np.float64
            )
    return params, small_integers(
        (net.samples, *net.spatial, net.config["in_channels"]), "float64", start=seed, modulus=5 if per_output > 2 else 3
    )


@lru_cache(maxsize=256)
def integers(net: Net, dtype: str, backwards: bool = False) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """Return parameters, input and cotangent, integers whose sums are all exact in ``dtype``: the densest kernels for which that holds.

    It holds where the majorant network, the same network of absolute values, stays within the integers of the dtype: every partial sum of
    every layer, in any sequence, is at most that. With ``backwards`` the same is asked of the way back. A blur by powers of 2 makes
    fractions; they are counted as so many bits.
    """
    unet = net.unet
    fraction = prod(prod(step.factors) for step in unet.steps if step.blurred)
    if fraction & (fraction - 1):
        raise ValueError(f"a blur of {net.name} must be over powers of 2 to be exact; got {fraction}")
    limit = EXACT[dtype] / fraction ** (2 if backwards else 1)
    for per_output, seed in [(weights, seed) for weights in (12, 6, 4, 3, 2, 1) for seed in range(3 if weights > 2 else 24)]:
        params, x = _integers(net, seed, per_output)
        absolute = {name: np.abs(values) for name, values in params.items()}
        majorant = unet.forward(absolute, np.abs(x))
        largest = max(float(values.max()) for values in majorant.values.values())
        cotangent = small_integers(majorant.y.shape, "float64", start=seed + 7, modulus=3)
        if backwards and largest <= limit:
            pulled = unet.input_gradient(absolute, majorant, np.abs(cotangent), net.spatial)
            back = (*unet.backward(absolute, majorant, np.abs(cotangent)).values(), pulled)
            largest = max(float(values.max()) for values in back)
        if largest <= limit and all(np.unique(values).size > 1 for values in unet.forward(params, x).values.values()):
            kind = np.float64 if dtype == "float64" else np.float32
            narrow = {name: values.astype(kind) for name, values in params.items()}
            return narrow, x.astype(dtype_of(dtype)), cotangent.astype(dtype_of(dtype))
    raise ValueError(f"{net.name} must have exact integers in {dtype}; none were found")


@lru_cache(maxsize=256)
def reals(net: Net, dtype: str, seed: int = 0, sparse: bool = False) -> tuple[Arrays, np.ndarray]:
    """Return parameters and an input that are normal, rounded to ``dtype``; ``sparse`` kernels have two weights for every output."""
    rng = np.random.default_rng(seed)
    params: Arrays = {}
    for step in net.unet.steps:
        for name, shape in (step.learned | step.statistics).items():
            values = rng.normal(size=shape)
            what = name.rpartition(".")[2]
            if what == "kernel" and sparse:
                rank = rng.permuted(np.arange(prod(shape)).reshape(-1, shape[-1]) // shape[-1], axis=0).reshape(shape)
                values = np.where(rank < 2 * (prod(step.factors) if step.way == "deconv" else 1), values * 0.7, 0)
            elif what == "kernel":
                values *= step.std
            else:
                values = {"bias": 0.3 * values, "scale": 1 + 0.3 * values, "mean": 0.3 * values, "variance": np.exp(0.4 * values)}[what]
            params[name] = _representable(values, dtype)
    x = rng.normal(size=(net.samples, *net.spatial, net.config["in_channels"]))
    return params, _representable(x, dtype).astype(dtype_of("float32" if dtype == "mixed" else dtype))


def _representable(values: np.ndarray, dtype: str) -> np.ndarray:
    """Return the values as float32, or as float64 for that dtype, rounded to the dtype of the parameters."""
    if dtype == "float64":
        return values
    return values.astype(dtype_of("float32" if dtype == "mixed" else dtype)).astype(np.float32)


U = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8}
ROUNDING = {
    "float64": Rounding(U["float64"], U["float64"]),
    "float32": Rounding(U["float32"], U["float32"]),
    "bfloat16": Rounding(U["bfloat16"], U["float32"]),
    "mixed": Rounding(U["bfloat16"], U["float32"], inputs=U["bfloat16"]),
}


# --- layers, each given its own input ---


@dataclass(frozen=True)
class Traced:
    """What an implementation gave: the output, the trace, and the parameters and the input that it was given."""

    params: Mapping[str, np.ndarray]
    x: np.ndarray
    y: np.ndarray
    trace: Mapping[str, np.ndarray]


def applied(adapter: AdapterProtocol, device: str, network: Network, params: Mapping[str, np.ndarray], x: np.ndarray) -> Traced:
    """Return output and trace of a network outside training."""
    y = adapter.to_numpy(network(adapter.to_native(x.copy(), device)))
    trace = network.trace(adapter.to_native(x.copy(), device))
    return Traced(params, x, y, {name: np.asarray(values) for name, values in trace.items()})


_traces: WeakKeyDictionary[Any, dict[Any, Traced]] = WeakKeyDictionary()


def traced(adapter: AdapterProtocol, device: str, net: Net, data: str, dtype: str) -> Traced:
    """Return output and trace of one network, made once for every implementation: several clauses are judged by the same ones."""
    known = _traces.setdefault(adapter, {})
    key = (device, net, data, dtype)
    if key not in known:
        params, x = integers(net, dtype)[:2] if data == "integers" else reals(net, dtype)
        known[key] = applied(adapter, device, adapter.unet(net.config, device, _copies(params), dtype), params, x)
    return known[key]


def _copies(params: Mapping[str, np.ndarray]) -> Arrays:
    return {name: values.copy() for name, values in params.items()}


def clause_of(net: Net, step: Step) -> str:
    """Return the clause that a layer is judged by, given its own input: where it stands says what can go wrong."""
    name = step.name
    if step.kind == "norm":
        return "UN-005" if step.groups else "UN-006"
    if name == "stem":
        return "UN-007"
    if step.kind == "up":
        return "UN-008" if name.startswith("head") else "UN-004"
    level = name.split(".")
    if name.endswith("shortcut") and level[0] == "encoder":
        return "UN-001"
    if level[0] == "decoder" and level[2] == "0" and name.endswith(("conv1", "shortcut")):
        return "UN-003"
    return "UN-002" if step.kind == "conv" and any(s > 1 for s in step.factors) else "UN-001"


def judge_layers(
    net: Net, found: Traced, rounding: Rounding | None, clause: str, case: str, only: Callable[[Step], bool] = lambda step: True
) -> float:
    """Demand of every layer that it gives what its formula gives for its own input, taken from the trace.

    Exactly without ``rounding``, else within the bound of UN-012. Return the largest error over its bound.
    """
    unet, ratio = net.unet, 0.0
    missing = [step.name for step in unet.steps if step.recorded and step.name not in found.trace]
    if missing:
        raise Mismatch(f"{clause} ({case}): the trace must have {missing[0]!r}; got {', '.join(map(repr, found.trace))}")
    values = {"x": unet.enter(found.x)}
    for step in unet.steps[1:-1]:
        inputs = [values[name] for name in step.reads]
        if not step.recorded:
            values[step.name] = unet.apply(step, inputs, found.params)
            continue
        values[step.name] = wide(found.trace[step.name])
        if not only(step):
            continue
        exact = unet.apply(step, inputs, found.params)
        bound = np.zeros(1) if rounding is None else np.asarray(unet.bound(step, inputs, found.params, rounding))
        largest, difference = compare.within(found.trace[step.name], exact, bound)
        if difference is not None:
            raise Mismatch(difference.message(clause, case, step.name), ratio=largest)
        ratio = max(ratio, largest)
    return ratio


def layers_of_clause(adapter: AdapterProtocol, device: str, *, net: Net, clause: str, case: str) -> None:
    """On integers, demand exactly the formula of the layers that the clause is about, each given its own input."""
    found = traced(adapter, device, net, "integers", "float32")
    judge_layers(net, found, None, clause, case, lambda step: clause_of(net, step) == clause)
    if clause == "UN-008":
        demand_first_positions(net, found, clause, case)


def demand_first_positions(net: Net, found: Traced, clause: str, case: str) -> None:
    """Demand that the output is the first positions of the last layer: exactly, on integers."""
    last = net.unet.steps[-1].reads[0]
    difference = compare.exact(found.y, net.unet.leave(wide(found.trace[last]), found.x.shape[1:-1]), found.x.dtype)
    if difference is not None:
        raise Mismatch(difference.message(clause, case, "y, the first positions of the last layer"))


def extents(adapter: AdapterProtocol, device: str, *, net: Net, spatial: Shape, case: str) -> None:
    """Demand the padding, the extents of every level and the crop of UN-007 for an input of these extents: exactly, on integers."""
    found = traced(adapter, device, net, "integers", "float32")
    if spatial != net.spatial:
        x = small_integers((1, *spatial, net.config["in_channels"]), "float32", start=3)
        network = adapter.unet(net.config, device, _copies(found.params), "float32")
        found = applied(adapter, device, network, found.params, x)
    judge_layers(net, found, None, "UN-007", case, lambda step: step.name == "stem")
    run = net.unet.forward(found.params, found.x)
    for step in net.unet.steps:
        difference = compare.kind(found.trace[step.name], run.values[step.name].shape) if step.recorded else None
        if difference is not None:
            raise Mismatch(difference.message("UN-007", case, step.name))
    demand_first_positions(net, found, "UN-007", case)


def exact_network(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, mode: str, case: str) -> None:
    """Demand exactly the integers of the formulas, end to end."""
    params, x, _ = integers(net, dtype)
    if mode == "eager" and dtype == "float32":
        y = traced(adapter, device, net, "integers", dtype).y  # the trace is judged by other clauses
    else:
        network = adapter.unet(net.config, device, _copies(params), dtype)

        def call(value: Any) -> Any:
            return network(value)

        function = call if mode == "eager" else adapter.compile(call, mode)
        if mode != "eager":  # whose values a compiled network must not keep
            function(adapter.to_native(x[::-1].copy(), device))
        y = adapter.to_numpy(function(adapter.to_native(x.copy(), device)))
    difference = compare.exact(y, net.unet.forward(params, x).y, x.dtype)
    if difference is not None:
        raise Mismatch(difference.message("UN-012", case))


def bounded_network(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, case: str) -> Evidence:
    """Demand of every layer that it lies within its bound, given its own input; report how far the output is from the formulas' own."""
    found = traced(adapter, device, net, "normal", dtype)
    exact = net.unet.forward(found.params, found.x).y
    difference = compare.kind(found.y, exact.shape, None if dtype == "mixed" else found.x.dtype)
    if difference is not None:
        raise Mismatch(difference.message("UN-012", case))
    y = wide(found.y)
    if not np.isfinite(y).all():
        raise Mismatch(f"UN-012 ({case}): every value of y must be finite; {int((~np.isfinite(y)).sum())} of {y.size} are not")
    ratio = judge_layers(net, found, ROUNDING[dtype], "UN-012", case)
    return Evidence(ratio, float(np.abs(y - exact).max() / np.abs(exact).max()))


# --- normalization ---


def normalizations(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, clause: str, case: str) -> Evidence:
    """Demand of every normalization that it is that of its clause, within UN-012, given its own input."""
    found = traced(adapter, device, net, "normal", dtype)
    return Evidence(judge_layers(net, found, ROUNDING[dtype], clause, case, lambda step: step.kind == "norm"))


def trained(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, case: str) -> Evidence:
    """Demand outputs and running statistics of two calls in training, then evaluation with what was gathered.

    The bound is that of all roundings before it, carried through layer by layer (``Unet.forward``).
    """
    params, first = reals(net, dtype)
    _, second = reals(net, dtype, seed=1)
    u, unet, ratio = U[dtype], net.unet, 0.0
    network = adapter.unet(net.config, device, _copies(params), dtype)
    running: dict[str, tuple[np.ndarray, Any]] = {name: (wide(params[name]), 0.0) for name in unet.statistics}
    for call, x in enumerate((first, second), start=1):
        run = unet.forward(params, x, training=True, u=u)
        y = adapter.to_numpy(network(adapter.to_native(x.copy(), device), training=True))
        checks = [(f"y of call {call} in training", y, run.y, run.errors["y"])]
        held = network.parameters()
        for name, (old, error) in running.items():
            new = (9 * old + run.batch[name]) / 10
            off = (9 * error + run.batch_errors[name]) / 10 + 4 * u * (
                np.abs(old) + error + np.abs(run.batch[name]) + run.batch_errors[name]
            )
            running[name] = (new, off)
            checks.append((f"{name} after call {call}", np.asarray(held[name]), new, off))
        for name in unet.learned:
            checks.append((f"{name} after call {call}", np.asarray(held[name]), wide(params[name]), np.zeros(1)))
        for what, actual, exact, bound in checks:
            largest, difference = compare.within(actual, exact, bound)
            if difference is not None:
                raise Mismatch(difference.message("UN-006", case, what), ratio=largest)
            ratio = max(ratio, largest)
    found = replace(applied(adapter, device, network, held, first), params=network.parameters())
    ratio = max(ratio, judge_layers(net, found, ROUNDING[dtype], "UN-006", f"{case}, evaluated", lambda step: step.kind == "norm"))
    for name, values in found.params.items():
        if name in running and not np.array_equal(values, np.asarray(held[name])):
            raise Mismatch(f"UN-006 ({case}): {name} must not change outside training")
    return Evidence(ratio)


def one_value(adapter: AdapterProtocol, device: str) -> np.ndarray:
    """Attempt to train on one value per channel."""
    network = adapter.unet(SHALLOW.config, device, _copies(reals(SHALLOW, "float32")[0]), "float32")
    return adapter.to_numpy(network(adapter.to_native(np.ones((1, 1, 1, 2), np.float32), device), training=True))


def refusal_changes_nothing(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand that training on one value per channel of the deepest level alone is refused, and all parameters are as before."""
    params, _ = reals(net, "float32")
    network = adapter.unet(net.config, device, _copies(params), "float32")
    deepest = tuple(prod(scale[axis] for scale in net.unet.scales) for axis in range(net.unet.ndim))
    x = adapter.to_native(np.ones((1, *deepest, net.config["in_channels"]), np.float32), device)
    refused(
        adapter,
        device,
        attempt=lambda adapter, device: adapter.to_numpy(network(x, training=True)),
        asked=f"to train on extents {deepest}, which leave the deepest level one value per channel,",
        clause="UN-006",
        case=case,
    )
    for name, values in network.parameters().items():
        difference = compare.exact(np.asarray(values), params[name])
        if difference is not None:
            raise Mismatch(difference.message("UN-006", case, f"after the refusal, {name}"))


# --- parameters ---


def held_parameters(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand the names and shapes of a network as it comes, and of a loaded one every value as it was given."""
    wanted = net.unet.learned | net.unet.statistics
    given = reals(net, "float32")[0]
    for what, params in (("as it comes", None), ("loaded", given)):
        held = adapter.unet(net.config, device, None if params is None else _copies(params), "float32").parameters()
        shapes = {name: np.shape(values) for name, values in held.items()}
        if shapes != wanted:
            strange = [f"{name!r} {shapes.get(name)}" for name in {**wanted, **shapes} if shapes.get(name) != wanted.get(name)]
            raise Mismatch(
                f"UN-011 ({case}): the parameters of the network {what} must have {len(wanted)} names and shapes; got {strange[0]}"
            )
        for name, values in (params or {}).items():
            difference = compare.exact(np.asarray(held[name]), values)
            if difference is not None:
                raise Mismatch(difference.message("UN-011", case, name))


ALARM = 1e-7
"""The probability that a fresh network that is right fails one of the tests of UN-009, all kernels of a network together."""


def fresh(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> Evidence:
    """Demand fresh parameters: zeros and ones where they must be, ICNR, and kernels that are normal with the variance of UN-009.

    For a kernel of n values the sum of squares over the variance is chi-square: beyond ``n + 2√(nt) + 2t``, or under ``n - 2√(nt)``, with
    probability ``exp(-t)`` (Laurent and Massart 2000, Lemma 1); the mean is beyond ``√(2t/n)`` standard deviations with ``2·exp(-t)``. All
    kernels together leave the normal distribution by more than ``√(t/2n)`` with ``2·exp(-t)`` (Massart 1990, for Dvoretzky et al.), and
    reach 2.5 standard deviations but for ``0.98758**n``.
    """
    unet = net.unet
    held = {
        name: np.asarray(values).astype(np.float64)
        for name, values in adapter.unet(net.config, device, None, "float32").parameters().items()
    }
    kernels = [step for step in unet.steps if step.kind in ("conv", "up")]
    t, ratio, pooled = log(8 * len(kernels) / ALARM), 0.0, []
    for name in unet.learned | unet.statistics:
        wanted = float(name.endswith((".scale", ".variance")))
        if not name.endswith(".kernel") and (held[name] != wanted).any():
            raise Mismatch(f"UN-009 ({case}): every value of {name} must be {wanted:g}; got {held[name].tolist()}")
    for step in kernels:
        kernel = held[f"{step.name}.kernel"]
        if step.way == "subpixel":
            rest = oracle.icnr_residual(kernel, step.factors, order=step.order)
            if rest != 0:
                raise Mismatch(f"UN-009 ({case}): {step.name}.kernel must be ICNR; its residual is {rest:.3g}")
            outputs = step.channels[1]
            first = (0,) * len(step.factors)
            kernel = kernel[..., [oracle.channel_index(step.order, c, first, step.factors, outputs) for c in range(outputs)]]
        scaled = kernel.reshape(-1) / step.std
        n, squares = scaled.size, float((scaled**2).sum())
        if not n - 2 * sqrt(n * t) <= squares <= n + 2 * sqrt(n * t) + 2 * t:
            raise Mismatch(
                f"UN-009 ({case}): the standard deviation of {step.name}.kernel must be {step.std:.4g}; "
                f"got {step.std * sqrt(squares / n):.4g} over {n} values"
            )
        if abs(scaled.mean()) > sqrt(2 * t / n):
            raise Mismatch(f"UN-009 ({case}): the mean of {step.name}.kernel must be 0; got {step.std * scaled.mean():.3g} over {n} values")
        ratio = max(ratio, abs(squares - n) / (2 * sqrt(n * t)))
        pooled.append(scaled)
    values = np.sort(np.concatenate(pooled))
    ranks, normal = np.arange(values.size + 1) / values.size, np.array([NormalDist().cdf(value) for value in values])
    distance = float(np.maximum(np.abs(normal - ranks[1:]), np.abs(normal - ranks[:-1])).max())
    if distance > sqrt(t / (2 * values.size)) or np.abs(values).max() < 2.5:
        raise Mismatch(
            f"UN-009 ({case}): kernels must be normal; of {values.size} values the largest is {np.abs(values).max():.3g} standard "
            f"deviations, and their distribution is off by {distance:.3g}"
        )
    return Evidence(ratio)


FRESH = {"widths": (16, 24), "in_channels": 8, "out_channels": 8, "blocks": (2, 1), "scales": ((2, 3),), "output_scale": 6}
FRESH_NETS = (
    Net("subpixel-batch", (5, 7), FRESH | {"norm": "batch", "order": "DRC"}),
    Net("resize-group", (5, 7), FRESH | {"norm": "group", "groups": 8, "upsample": "resize"}),
    Net("deconv-none", (5, 7), FRESH | {"upsample": "deconv", "kernel_size": (3, 2)}),
)


def counted(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand the numbers that counting gives, as integers."""
    arithmetic = adapter.unet_arithmetic(net.config)
    rows: list[tuple[str, Any, int]] = [("parameters", arithmetic.parameters, net.unet.parameters)]
    for spatial in (net.spatial, tuple(2 * extent + 3 for extent in net.spatial), (1,) * len(net.spatial)):
        rows.append((f"macs({spatial})", arithmetic.macs(spatial), net.unet.macs(spatial)))
    for what, actual, wanted in rows:
        if not compare.same_counts(actual, wanted):
            raise Mismatch(f"UN-010 ({case}): {what} must be {wanted}; got {actual}")


COUNTED = (
    *(*NETS, RESIZE_BLURRED, DEEP),
    *(GROUP, GROUP_RESIZE, BATCH, BATCH_DECONV),
    Net("default", (37, 50), {"in_channels": 3, "widths": (32, 64, 128, 256), "norm": "group", "groups": 8}),
    Net("volume", (9, 32, 17), {"ndim": 3, "widths": (16, 32, 64), "blocks": (1, 2, 3), "scales": ((1, 2, 2), 2), "norm": "batch"}),
    Net("upscaling", (31, 33), {"widths": (24, 48), "output_scale": 8, "upsample": "resize", "norm": "group", "groups": 8}),
)


# --- gradients ---


def _gradients(
    adapter: AdapterProtocol, device: str, net: Net, params: Arrays, x: np.ndarray, cotangent: Any, dtype: str, **options: Any
) -> Arrays:
    network: Network = adapter.unet(net.config, device, _copies(params), dtype)
    native, weights = adapter.to_native(x.copy(), device), adapter.to_native(np.asarray(cotangent).astype(x.dtype), device)
    return {name: np.asarray(values) for name, values in network.gradients(native, weights, **options).items()}


def _all_named(found: Mapping[str, np.ndarray], net: Net, case: str) -> None:
    if set(found) != set(net.unet.learned):
        strange = sorted(set(found) ^ set(net.unet.learned))
        raise Mismatch(
            f"UN-013 ({case}): there must be a gradient for everything learned and nothing else; {strange[0]!r} is or is not there"
        )


def exact_gradients(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> None:
    """Demand exactly the gradients of the formulas on integers, where inputs of a ReLU may be 0."""
    params, x, cotangent = integers(net, "float32", backwards=True)
    found = _gradients(adapter, device, net, params, x, cotangent, "float32")
    _all_named(found, net, case)
    exact = net.unet.backward(params, net.unet.forward(params, x), cotangent)
    for name, values in exact.items():
        difference = compare.exact(found[name], values)
        if difference is not None:
            raise Mismatch(difference.message("UN-013", case, f"the gradient for {name}"))


def compiled_gradient(adapter: AdapterProtocol, device: str, *, net: Net, mode: str, case: str) -> None:
    """Demand of the compiled gradient for the input, which comes from all layers, exactly the integers of the formulas."""
    params, x, cotangent = integers(net, "float32", backwards=True)
    network = adapter.unet(net.config, device, _copies(params), "float32")

    def gradient(x: Any, cotangent: Any) -> Any:
        return adapter.vjp(network, x, cotangent)

    function = adapter.compile(gradient, mode)
    function(*(adapter.to_native(values[::-1].copy(), device) for values in (x, cotangent)))  # whose values it must not keep
    y = adapter.to_numpy(function(*(adapter.to_native(values.copy(), device) for values in (x, cotangent))))
    exact = net.unet.input_gradient(params, net.unet.forward(params, x), cotangent, net.spatial)
    difference = compare.exact(y, exact, x.dtype)
    if difference is not None:
        raise Mismatch(difference.message("EX-001", case, "the gradient, d_x"))


@lru_cache(maxsize=64)
def without_kinks(net: Net, dtype: str, sparse: bool) -> tuple[Arrays, np.ndarray, Any]:
    """Return parameters, an input and the run of the oracle in which no computation can take another side of a ReLU than the formulas.

    Every ReLU lets something through.
    """
    for seed in range(64):
        params, x = reals(net, dtype, seed, sparse)
        run = net.unet.forward(params, x, u=U[dtype])
        if net.unet.clear(run) and all(mask.any() for mask in net.unet.masks(run)):
            return params, x, run
    raise ValueError(f"{net.name} must have parameters without a kink in {dtype}; none were found")


def bounded_gradients(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, sparse: bool, case: str) -> Evidence:
    """Demand gradients within what the roundings of all sums, forward and back, allow: `Unet.gradient_errors`."""
    params, x, run = without_kinks(net, dtype, sparse)
    cotangent = np.random.default_rng(9).normal(size=run.y.shape).astype(dtype)
    found = _gradients(adapter, device, net, params, x, cotangent, dtype)
    _all_named(found, net, case)
    exact = net.unet.backward(params, run, cotangent)
    bounds = net.unet.gradient_errors(params, run, cotangent, U[dtype])
    return _within(found, exact, bounds, "the gradient for ", case)


def _within(found: Mapping[str, np.ndarray], exact: Arrays, bounds: Arrays, what: str, case: str) -> Evidence:
    ratio = 0.0
    for name, values in exact.items():
        largest, difference = compare.within(found[name], values, bounds[name])
        if difference is not None:
            raise Mismatch(difference.message("UN-013", case, f"{what}{name}"), ratio=largest)
        ratio = max(ratio, largest)
    return Evidence(ratio)


STEP = 2.0**-17
"""h of the central differences. What cutting off their series leaves falls with h², and rounding in extended precision grows with 1/h."""


@lru_cache(maxsize=64)
def differences(net: Net, seed: int) -> tuple[Arrays, np.ndarray, np.ndarray, list[tuple[Arrays, float, float]]]:
    """Return parameters, an input and a cotangent in training, and three directions, each with its derivative and what cutting off leaves.

    With D(h) the quotient of central differences of the oracle, ``D(h) = f' + h²·f‴/6 + …``: ``|D(2h) - D(h)|`` is three times the rest.
    Directions along which a ReLU changes sides between the ends are left out.
    """
    unet, rng = net.unet, np.random.default_rng(100 + seed)
    params, x = reals(net, "float64", seed)
    run = unet.forward(params, x, training=True)
    cotangent, sides = rng.normal(size=run.y.shape), unet.masks(run)
    found: list[tuple[Arrays, float, float]] = []
    for _ in range(24):
        direction = {name: rng.normal(size=shape) for name, shape in unet.learned.items()}
        quotients = []
        for h in (STEP, 2 * STEP):
            moved = [{**params, **{name: wide(params[name]) + sign * h * wide(v) for name, v in direction.items()}} for sign in (1, -1)]
            ends = [unet.forward(there, x, training=True) for there in moved]
            if any((a != b).any() for end in ends for a, b in zip(sides, unet.masks(end), strict=True)):
                break
            quotients.append(((ends[0].y - ends[1].y) * wide(cotangent)).sum() / (2 * np.longdouble(h)))
        else:
            found.append((direction, float(quotients[0]), float(abs(quotients[1] - quotients[0]))))
        if len(found) == 3:
            return params, x, cotangent, found
    raise ValueError(f"{net.name} must have three directions without a kink")


def along_directions(adapter: AdapterProtocol, device: str, *, net: Net, case: str) -> Evidence:
    """Demand of the gradient in training, through the statistics of normalization, that its products with directions are the derivatives.

    Allowed are what cutting off leaves, and ``2**-30`` of the sum of absolute products for rounding, which in float64 leaves 23 bits for
    what the way back can lose; a wrong derivative is off by parts of the whole.
    """
    params, x, cotangent, directions = differences(net, 0)
    found = _gradients(adapter, device, net, params, x, cotangent, "float64", training=True)
    _all_named(found, net, case)
    ratio = 0.0
    for number, (direction, derivative, cut_off) in enumerate(directions):
        products = np.concatenate([(np.asarray(found[name], np.float64) * v).reshape(-1) for name, v in direction.items()])
        allowed = cut_off + 2.0**-30 * float(np.abs(products).sum())
        share = abs(float(products.sum()) - derivative) / allowed
        if not share <= 1:
            raise Mismatch(
                f"UN-013 ({case}): the derivative along direction {number} must be {derivative}; got {products.sum()} "
                f"(error {share:.3g} times the bound)",
                ratio=share,
            )
        ratio = max(ratio, share)
    return Evidence(ratio)


# --- steps of the two optimizers ---

RATES = {"sgd": 0.125, "adam": 0.01}
ADAM_EPSILON = 1e-8


def stepped(adapter: AdapterProtocol, device: str, *, net: Net, dtype: str, optimizer: str, sparse: bool, case: str) -> Evidence:
    """Demand the parameters after one step on the mean squared error.

    The gradient is that of the oracle, within the bound of UN-013. Adam's first step is ``lr·s(g)``, where ``s(g) = g/(|g| + ε)`` grows
    with g, so it lies between its values at the ends of what g may be: at most ``2·lr`` apart where the sign of g is open. Adam rounds:
    ``1 - β`` has an error of u, so its quotients with itself (β1) and under the root (β2) are within ``2u/(1 - β)`` and half that of 1.
    """
    params, x, run = without_kinks(net, dtype, sparse)
    target = np.random.default_rng(10).normal(size=run.y.shape).astype(dtype)
    network = adapter.unet(net.config, device, _copies(params), dtype)
    network.step(adapter.to_native(x.copy(), device), adapter.to_native(target.copy(), device), optimizer, RATES[optimizer])
    held = network.parameters()
    u, rate = U[dtype], np.longdouble(RATES[optimizer])
    cotangent = 2 * (run.y - wide(target)) / run.y.size
    off = 2 * (run.errors["y"] + 4 * u * (np.abs(run.y) + run.errors["y"] + np.abs(wide(target)))) / run.y.size
    gradient = net.unet.backward(params, run, cotangent)
    errors = net.unet.gradient_errors(params, run, cotangent, u, off)
    exact, bounds = {}, {}
    for name, g in gradient.items():
        old, e = wide(params[name]), errors[name]
        if optimizer == "sgd":
            exact[name] = old - rate * g
            bounds[name] = rate * e + 2 * u * (np.abs(old) + rate * (np.abs(g) + e))
        else:
            low, middle, high = (value / (np.abs(value) + ADAM_EPSILON) for value in (g - e, g, g + e))
            exact[name] = old - rate * middle
            own = (2 / (1 - 0.9) + 1 / (1 - 0.999) + 16) * u
            bounds[name] = rate * (np.maximum(high - middle, middle - low) + own) + 2 * u * (np.abs(old) + rate)
    return _within({name: np.asarray(values) for name, values in held.items()}, exact, bounds, "after one step, ", case)


def statistics_of_step(adapter: AdapterProtocol, device: str, *, net: Net, optimizer: str, case: str) -> Evidence:
    """Demand that a step moves the running statistics by the rule of UN-006, and by nothing else."""
    params, x = reals(net, "float64")
    run = net.unet.forward(params, x, training=True, u=U["float64"])
    network = adapter.unet(net.config, device, _copies(params), "float64")
    target = np.zeros(run.y.shape)
    network.step(adapter.to_native(x.copy(), device), adapter.to_native(target, device), optimizer, RATES[optimizer])
    held, ratio = network.parameters(), 0.0
    for name in net.unet.statistics:
        old, batch, off = wide(params[name]), run.batch[name], run.batch_errors[name]
        bound = off / 10 + 4 * U["float64"] * (np.abs(old) + np.abs(batch) + off)
        largest, difference = compare.within(np.asarray(held[name]), (9 * old + batch) / 10, bound)
        if difference is not None:
            raise Mismatch(difference.message("UN-006", case, f"{name} after one step"), ratio=largest)
        ratio = max(ratio, largest)
    if all(np.array_equal(np.asarray(held[name]), params[name]) for name in net.unet.learned):
        raise Mismatch(f"UN-006 ({case}): a step must change what is learned; nothing was")
    return Evidence(ratio)


# --- refusals ---

WRONG_CONFIGURATIONS: tuple[tuple[str, Any], ...] = (
    *(("ndim", value) for value in (0, 4, -1, 2.0, True, "2", None)),
    *((name, value) for name in ("in_channels", "out_channels", "groups") for value in (0, -1, 1.5, True, None)),
    *(("widths", value) for value in ((), (4, 0), (4, -4), (4, 8.0), (4, True), 8, "48", None)),
    *(("blocks", value) for value in (0, -1, 1.0, True, (), (1,), (1, 1, 1), (1, 0), (1, 1.0), None)),
    *(("kernel_size", value) for value in (0, -3, 3.0, True, (), (3,), (3, 3, 3), (3, 0), (3, 3.0), None)),
    *(("scales", value) for value in (0, -2, 2.0, True, (), (2, 2), ((2, 2, 2),), ((2,),), ((2, 0),), ((2, 2.0),), (0,), None)),
    *(("output_scale", value) for value in (0, -1, 2.0, True, (), (2,), (2, 2, 2), (2, 0), None)),
    *(("norm", value) for value in ("instance", "Group", "", None, True, 0)),
    *(("upsample", value) for value in ("bilinear", "Subpixel", "", None, 2)),
    *(("order", value) for value in ("XYZ", "dcr", "", None, 3)),
    *(("blur", value) for value in (1, 0, "yes", None)),
    ("groups", 3),
    ("groups", 8),
)
"""Each is wrong by itself in the network `GROUP`, of widths (4, 8) in 2 groups."""


def attempted(config: Mapping[str, Any], shape: Shape, params: Any = None) -> Callable[[AdapterProtocol, str], Any]:
    """Return an attempt at a network and its output."""

    def attempt(adapter: AdapterProtocol, device: str) -> Any:
        network = adapter.unet(config, device, params, "float32")
        return adapter.to_numpy(network(adapter.to_native(np.ones(shape, np.float32), device)))

    return attempt


def _refusals() -> Iterator[Case]:
    def case(clause: str, slug: str, attempt: Any, asked: str) -> Case:
        name = f"{clause}/{slug}"
        check = partial(refused, attempt=attempt, asked=asked, clause=clause, case=name)
        return Case(name, (clause,), "unet", GROUP.needs(refusal=clause, dtype="float32"), check)

    for number, (name, value) in enumerate(WRONG_CONFIGURATIONS):
        attempt = attempted(GROUP.config | {name: value}, (1, 4, 6, 2))
        yield case("UN-014", f"{name.replace('_', '-')}-{number:03d}", attempt, f"{name}={value!r}")
    norm_free = GROUP.config | {"norm": "none", "groups": 0}
    yield case("UN-014", "groups-of-no-norm", attempted(norm_free, (1, 4, 6, 2)), "groups=0 with norm='none'")
    shapes = {
        "two-axes": (6, 2),
        "three-axes": (4, 6, 2),
        "five-axes": (1, 1, 4, 6, 2),
        "channels": (1, 4, 6, 3),
        "one-channel": (1, 4, 6, 1),
    }
    shapes |= {"no-rows": (1, 0, 6, 2), "no-columns": (1, 4, 0, 2)}
    for slug, shape in shapes.items():
        yield case("UN-015", slug, attempted(GROUP.config, shape), f"an input of shape {shape}")
    for slug, net, name, change in (
        ("kernel-missing", GROUP, "decoder.0.up.kernel", None),
        ("bias-missing", GROUP, "stem.bias", None),
        ("mean-missing", BATCH, "head.norm.mean", None),
        ("kernel-of-another-shape", GROUP, "encoder.1.0.conv1.kernel", (3, 2, 8, 4)),
        ("bias-of-one-value", GROUP, "head.0.bias", (1,)),
        ("scale-of-another-shape", GROUP, "head.norm.scale", (5,)),
        ("unknown", GROUP, "decoder.0.up.weight", (1,)),
    ):
        params = dict(reals(net, "float32")[0])
        if change is None:
            del params[name]
        else:
            params[name] = np.ones(change, np.float32)
        asked = f"{name} {'left out' if change is None else f'of shape {change}'}"
        yield case("UN-015", f"params-{slug}", attempted(net.config, (1, *net.spatial, 2), params), asked)


# --- the cases ---


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases of UN. A compiler takes seconds for each network, so the full profile has as few as tell every clause apart."""
    exhaustive = profile == "exhaustive"
    yield from _layer_cases(exhaustive)
    yield from _numeric_cases(exhaustive)
    yield from _norm_cases(exhaustive)
    for net in (SUBPIXEL, GROUP, BATCH, *((RESIZE, DECONV, GROUP_RESIZE, BATCH_DECONV) if exhaustive else ())):
        case = f"UN-011/{net.name}"
        yield Case(case, ("UN-011",), "unet", net.needs(dtype="float32"), partial(held_parameters, net=net, case=case))
    for net in FRESH_NETS:
        case = f"UN-009/{net.name}"
        yield Case(case, ("UN-009",), "unet", net.needs(dtype="float32"), partial(fresh, net=net, case=case))
    for net in COUNTED:
        case = f"UN-010/{net.name}"
        yield Case(case, ("UN-010",), "unet", Needs(("unet_arithmetic",)), partial(counted, net=net, case=case))
    yield from _gradient_cases(exhaustive)
    yield from _refusals()


MORE = tuple(
    Net(
        f"{way}-{order}-2d{'-blur' if blur else ''}",
        (3, 5),
        {"upsample": way, "order": order, "blur": blur, "kernel_size": (2, 3), "scales": ((1, 2),), "output_scale": 2, "blocks": (1, 2)},
    )
    for way, order, blur in [*product(("subpixel",), ORDERS, (False, True)), ("resize", "DCR", True), ("deconv", "DCR", True)]
)


def _layer_cases(exhaustive: bool) -> Iterator[Case]:
    nets = (*NETS, *((RESIZE_BLURRED, DEEP, *MORE) if exhaustive else ()))
    for net, clause in product(nets, ("UN-001", "UN-002", "UN-003", "UN-004", "UN-008")):
        if any(clause_of(net, step) == clause for step in net.unet.steps if step.recorded):
            case = f"{clause}/{net.name}"
            yield Case(case, (clause,), "unet", net.needs(dtype="float32"), partial(layers_of_clause, net=net, clause=clause, case=case))
    for net, clause in product(ORDERED.values(), ("UN-004", "UN-008")):
        case = f"{clause}/{net.name}"
        yield Case(case, (clause,), "unet", net.needs(dtype="float32"), partial(layers_of_clause, net=net, clause=clause, case=case))
    rows = [(net, net.spatial) for net in nets] + [(SUBPIXEL, (1, 1)), (RESIZE, (9,))]
    for net, spatial in rows + ([(SUBPIXEL, (4, 6)), (RESIZE, (2,)), (DECONV, (1, 3, 2)), (DECONV, (3, 4, 1))] if exhaustive else []):
        case = f"UN-007/{net.name}-{'x'.join(map(str, spatial))}"
        yield Case(case, ("UN-007",), "unet", net.needs(dtype="float32"), partial(extents, net=net, spatial=spatial, case=case))


def _numeric_cases(exhaustive: bool) -> Iterator[Case]:
    rows = [(net, "float32") for net in (*NETS, *COMBINED, *ORDERED.values())] + [
        *((SMALL, "float64"), (FOUR_LEVELS, "float64")),
        *((SUBPIXEL, "bfloat16"), (DECONV, "bfloat16")),
    ]
    if exhaustive:
        rows += [
            (net, dtype)
            for net in (*NETS, *COMBINED, RESIZE_BLURRED, DEEP, *MORE)
            for dtype in ("float32", "float64", "bfloat16")
            if (net, dtype) not in rows
        ]
    for net, dtype in rows:
        case = f"UN-012/exact-{net.name}-{dtype}"
        check = partial(exact_network, net=net, dtype=dtype, mode="eager", case=case)
        yield Case(case, ("UN-012",), "unet", net.needs(dtype=dtype), check)
    for mode in ("compile", "function", "jit"):
        case = f"UN-012/exact-{SMALL.name}-{mode}"
        check = partial(exact_network, net=SMALL, dtype="float32", mode=mode, case=case)
        yield Case(case, ("UN-012", "EX-001"), "unet", SMALL.needs(dtype="float32", mode=mode), check)
    for net, dtype in product((*REAL, *((GROUP_RESIZE, BATCH_DECONV) if exhaustive else ())), ("float32", "bfloat16", "mixed")):
        case = f"UN-012/real-{net.name}-{dtype}"
        needs = net.needs("unet_mixed") if dtype == "mixed" else net.needs(dtype=dtype)
        yield Case(case, ("UN-012",), "unet", needs, partial(bounded_network, net=net, dtype=dtype, case=case))
    if exhaustive:
        for net in (*REAL, *NETS[1:], RESIZE_BLURRED, DEEP, GROUP_RESIZE, BATCH_DECONV):
            case = f"UN-012/real-{net.name}-float64"
            yield Case(case, ("UN-012",), "unet", net.needs(dtype="float64"), partial(bounded_network, net=net, dtype="float64", case=case))


def _norm_cases(exhaustive: bool) -> Iterator[Case]:
    nets = (GROUP, BATCH, GROUP_RESIZE, BATCH_DECONV)
    for net, dtype in product(nets, ("float32", "bfloat16") if exhaustive else ("float32",)):
        clause = "UN-005" if net.config["norm"] == "group" else "UN-006"
        case = f"{clause}/{net.name}-{dtype}"
        check = partial(normalizations, net=net, dtype=dtype, clause=clause, case=case)
        yield Case(case, (clause,), "unet", net.needs(dtype=dtype), check)
    for net, dtype in ((BATCH, "float64"), (SHALLOW, "float32"), *(((BATCH_DECONV, "float64"),) if exhaustive else ())):
        case = f"UN-006/training-{net.name}-{dtype}"
        yield Case(case, ("UN-006",), "unet", net.needs(dtype=dtype), partial(trained, net=net, dtype=dtype, case=case))
    case = "UN-006/one-value-per-channel"
    refusal = partial(refused, attempt=one_value, asked="to train on one value per channel", clause="UN-006", case=case)
    yield Case(case, ("UN-006",), "unet", SHALLOW.needs(dtype="float32"), refusal)
    case = f"UN-006/refused-{BATCH.name}"
    unchanged = partial(refusal_changes_nothing, net=BATCH, case=case)
    yield Case(case, ("UN-006",), "unet", BATCH.needs(dtype="float32"), unchanged)
    for net, optimizer in [(SHALLOW, "adam"), *([(BATCH, "sgd"), (BATCH, "adam")] if exhaustive else [])]:
        case = f"UN-006/{optimizer}-step-{net.name}"
        check = partial(statistics_of_step, net=net, optimizer=optimizer, case=case)
        yield Case(case, ("UN-006",), "unet", net.needs("unet_steps", dtype="float64"), check)


def _gradient_cases(exhaustive: bool) -> Iterator[Case]:
    clauses = ("UN-013",)
    for net in (SMALL, DECONV_EVEN, *((SUBPIXEL, RESIZE, DECONV) if exhaustive else ())):
        case = f"UN-013/exact-{net.name}"
        needs = net.needs("unet_gradients", dtype="float32")
        yield Case(case, clauses, "unet", needs, partial(exact_gradients, net=net, case=case))
    modes = ("compile", "function", "jit") if exhaustive else ("function", "jit")
    for mode, net in product(modes, (SMALL, *((RESIZE, DECONV) if exhaustive else ()))):
        case = f"EX-001/{mode}-gradient-of-{net.name}"
        needs = net.needs("vjp", dtype="float32", mode=mode)
        yield Case(case, ("EX-001", "UN-013"), "unet", needs, partial(compiled_gradient, net=net, mode=mode, case=case))
    rows = [(BLURRED, "float64", False), (RESIZE, "float32", True)]
    if exhaustive:
        rows += [
            (SMALL, "float32", True),
            *((net, "float64", False) for net in (SUBPIXEL, RESIZE, DECONV, DECONV_EVEN, RESIZE_BLURRED, DEEP)),
        ]
    for net, dtype, sparse in rows:
        case = f"UN-013/bounded-{net.name}-{dtype}"
        check = partial(bounded_gradients, net=net, dtype=dtype, sparse=sparse, case=case)
        yield Case(case, clauses, "unet", net.needs("unet_gradients", dtype=dtype), check)
    for net in (GROUP, SHALLOW, *((BATCH, GROUP_RESIZE, BATCH_DECONV) if exhaustive else ())):
        case = f"UN-013/directions-{net.name}"
        needs = net.needs("unet_gradients", dtype="float64")
        yield Case(case, clauses, "unet", needs, partial(along_directions, net=net, case=case))
    steps = [("sgd", SMALL, "float64", False), ("adam", SMALL, "float64", False), ("adam", SMALL, "float32", True)]
    for optimizer, net, dtype, sparse in steps + (
        [("sgd", SUBPIXEL, "float64", False), ("adam", DECONV, "float64", False)] if exhaustive else []
    ):
        case = f"UN-013/{optimizer}-step-{net.name}-{dtype}"
        check = partial(stepped, net=net, dtype=dtype, optimizer=optimizer, sparse=sparse, case=case)
        yield Case(case, clauses, "unet", net.needs("unet_steps", dtype=dtype), check)
