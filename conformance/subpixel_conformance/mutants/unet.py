"""Wrong residual U-Nets, each the oracle's with one thing replaced."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import prod, sqrt
from typing import Any

import numpy as np

from .. import oracle, oracle_unet
from ..case import dtype_of
from ..oracle_unet import Arrays, Run, Step, Unet, linear, wide
from .layer import _tf32
from .mutant import Mutant, mutant

Shape = tuple[int, ...]


# --- the honest network ---


def admitted(config: Mapping[str, Any]) -> None:
    """Refuse what UN-014 names."""

    def whole(*values: Any) -> bool:
        return all(type(value) is int and value >= 1 for value in values)

    def axes(value: Any) -> bool:
        return whole(value) or (isinstance(value, tuple) and len(value) == config["ndim"] and whole(*value))

    def one_each(value: Any, number: int, right: Callable[[Any], bool]) -> bool:
        return whole(value) or (isinstance(value, tuple) and len(value) == number and all(map(right, value)))

    widths = config["widths"]
    rules = [
        whole(config["ndim"], config["in_channels"], config["out_channels"], config["groups"]) and config["ndim"] <= 3,
        isinstance(widths, tuple) and len(widths) > 0 and whole(*widths),
    ]
    if all(rules):
        rules += [
            one_each(config["blocks"], len(widths), whole),
            one_each(config["scales"], len(widths) - 1, axes),
            axes(config["kernel_size"]) and axes(config["output_scale"]),
            config["norm"] != "group" or all(width % config["groups"] == 0 for width in widths),
            config["norm"] in ("group", "batch", "none"),
            config["upsample"] in ("subpixel", "resize", "deconv"),
            config["order"] in ("DCR", "CRD", "DRC", "RCD"),
            isinstance(config["blur"], bool),
        ]
    if not all(rules):
        raise ValueError(f"config must be a residual U-Net; got {config}")


class HonestNetwork:
    """The oracle's network, every layer rounded to the dtype. The methods are the places where mutants differ."""

    written: type[Unet] = Unet

    def __init__(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> None:
        config = self.taken(config)
        self.unet = self.written(config)
        self.dtype = dtype_of({"mixed": "bfloat16"}.get(dtype, dtype))
        self.mixed = dtype == "mixed"
        shapes = self.unet.learned | self.unet.statistics
        held = self.loaded(self.fresh() if params is None else params, shapes)
        kept = np.float32 if self.mixed else self.dtype
        self.held = {name: values.astype(kept) for name, values in held.items()}

    def taken(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration, after the checks."""
        admitted(config)
        return config

    def loaded(self, params: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Arrays:
        """Return the parameters, after the checks."""
        if {name: values.shape for name, values in params.items()} != dict(shapes):
            raise ValueError("params must have the names and shapes of the configuration")
        return dict(params)

    # fresh parameters

    def fresh(self) -> Arrays:
        """Return parameters as they come."""
        rng, params = np.random.default_rng(5), {}
        for step in self.unet.steps:
            for name, shape in (step.learned | step.statistics).items():
                what = name.rpartition(".")[2]
                params[name] = self.kernel(step, rng) if what == "kernel" else self.constant(what, shape, rng)
        return params

    def kernel(self, step: Step, rng: np.random.Generator) -> np.ndarray:
        """Return a fresh kernel."""
        base = self.drawn(step, (*step.kernel[:-1], step.channels[1]), rng)
        return self.replicated(base, step, rng) if step.way == "subpixel" else base

    def drawn(self, step: Step, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return normal values."""
        return rng.normal(scale=step.std, size=shape)

    def replicated(self, base: np.ndarray, step: Step, rng: np.random.Generator) -> np.ndarray:
        """Return ICNR of the base."""
        return oracle.icnr(base, step.factors, order=step.order)

    def constant(self, what: str, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        """Return zeros or ones."""
        return np.full(shape, float(what in ("scale", "variance")))

    def parameters(self) -> Arrays:
        return dict(self.held)

    # the forward pass

    def enter(self, x: np.ndarray) -> np.ndarray:
        """Return the input with its zeros."""
        return self.unet.enter(x)

    def leave(self, y: np.ndarray, spatial: Shape) -> np.ndarray:
        """Return what is kept of the output."""
        return self.unet.leave(y, spatial)

    def admits(self, x: np.ndarray) -> np.ndarray:
        """Refuse what UN-015 names."""
        if x.ndim != self.unet.ndim + 2 or x.shape[-1] != self.unet.config["in_channels"] or min(x.shape[1:-1]) < 1:
            raise ValueError(f"x must fit the configuration; got {x.shape}")
        return x

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        """Return the value of one step."""
        if step.statistics and training:
            self.enough(inputs[0])
        return self.unet.apply(step, inputs, params, training)

    def enough(self, x: np.ndarray) -> None:
        """Refuse to train on one value."""
        if x[..., 0].size < 2:
            raise ValueError(f"x must give 2 or more values per channel in training; got {x[..., 0].size}")

    def run(self, x: np.ndarray, training: bool = False) -> Run:
        """Return all values, rounded where a trace has them."""
        x = self.admits(x)
        params = {name: values.astype(self.dtype) for name, values in self.held.items()} if self.mixed else self.held
        run = Run({"x": wide(self.enter(x).astype(self.dtype))}, {})
        for step in self.unet.steps[1:]:
            inputs = [run.values[name] for name in step.reads]
            if step.kind == "crop":
                run.values["y"] = self.leave(inputs[0], x.shape[1:-1])
                continue
            value = self.apply(step, inputs, params, training)
            run.values[step.name] = wide(value.astype(self.dtype)) if step.recorded else value
            if step.statistics and training:
                rest = tuple(range(inputs[0].ndim - 1))
                run.batch[f"{step.name}.mean"] = inputs[0].mean(axis=rest)
                run.batch[f"{step.name}.variance"] = self.variance(inputs[0], rest)
        return run

    def variance(self, x: np.ndarray, rest: Shape) -> np.ndarray:
        """Return the variance that is gathered."""
        return x.var(axis=rest)

    def gathered(self, old: np.ndarray, batch: np.ndarray) -> np.ndarray:
        """Return new running statistics."""
        return (9 * wide(old) + batch) / 10

    def __call__(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        run = self.run(x, training)
        self.gather(run)
        return run.y.astype(self.dtype)

    def gather(self, run: Run) -> None:
        """Move the running statistics."""
        for name, batch in run.batch.items():
            self.held[name] = self.gathered(self.held[name], batch).astype(self.held[name].dtype)

    def trace(self, x: np.ndarray) -> Arrays:
        values = self.run(x).values
        return {step.name: values[step.name].astype(self.dtype) for step in self.unet.steps if step.recorded}

    # the way back

    def backward(self, run: Run, cotangent: np.ndarray, training: bool) -> Arrays:
        """Return the gradients."""
        return self.unet.backward(self.held, run, cotangent, training=training)

    def gradients(self, x: np.ndarray, cotangent: np.ndarray, *, training: bool = False) -> Arrays:
        run = self.unet.forward(self.held, x, training=training)
        return {name: values.astype(self.dtype) for name, values in self.backward(run, cotangent, training).items()}

    def input_gradient(self, x: np.ndarray, cotangent: np.ndarray) -> np.ndarray:
        """Return the gradient of <network(x), cotangent> for x."""
        run = self.unet.forward(self.held, x)
        return self.unet.input_gradient(self.held, run, cotangent, x.shape[1:-1]).astype(self.dtype)

    def loss_gradient(self, y: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return that of the mean squared error."""
        return 2 * (y - wide(target)) / y.size

    def moved(self, old: np.ndarray, gradient: np.ndarray, optimizer: str, rate: float) -> np.ndarray:
        """Return a parameter after the first step."""
        if optimizer == "sgd":
            return wide(old) - rate * gradient
        first, second = (1 - 0.9) * gradient, (1 - 0.999) * gradient**2
        return wide(old) - rate * (first / (1 - 0.9)) / (np.sqrt(second / (1 - 0.999)) + 1e-8)

    def step(self, x: np.ndarray, target: np.ndarray, optimizer: str, learning_rate: float) -> None:
        run = self.unet.forward(self.held, x, training=True)
        gradients = self.backward(run, self.loss_gradient(run.y, target), True)
        for name, gradient in gradients.items():
            self.held[name] = self.moved(self.held[name], gradient, optimizer, learning_rate).astype(self.held[name].dtype)
        self.gather(run)


# --- wrong layers ---


class _SkipFirst(HonestNetwork):
    """Reads the skip before the upsampled channels."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        return super().apply(step, inputs[::-1] if step.kind == "concat" else inputs, params, training)


class _UnetOfFirstBlock(Unet):
    """Takes the skip from the first block of a level."""

    def _add(self, name: str, kind: str, *reads: str, **more: Any) -> str:
        if kind == "concat":
            level = int(name.split(".")[1])
            reads = (reads[0], f"encoder.{level}.0")
        return super()._add(name, kind, *reads, **more)


class _SkipOfFirstBlock(HonestNetwork):
    """Takes the skip from the first block of a level, not the last."""

    written = _UnetOfFirstBlock


class _PostActivation(HonestNetwork):
    """Activates after the sum, as the first residual networks did."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.name.endswith(".relu1"):
            return inputs[0]
        y = super().apply(step, inputs, params, training)
        return np.maximum(y, 0) if step.kind == "sum" else y


class _UnetShortcutAfterNorm(Unet):
    """Gives the shortcut what conv1 reads."""

    def _add(self, name: str, kind: str, *reads: str, **more: Any) -> str:
        if name.endswith(".shortcut"):
            reads = (name.replace("shortcut", "relu1"),)
        return super()._add(name, kind, *reads, **more)


class _ShortcutAfterNorm(HonestNetwork):
    """Takes the shortcut from the normalized and activated input."""

    written = _UnetShortcutAfterNorm


class _NoSecondActivation(HonestNetwork):
    """Leaves out the ReLU before conv2."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        return inputs[0] if step.name.endswith(".relu2") else super().apply(step, inputs, params, training)


class _StrideFromElsewhere(HonestNetwork):
    """Strides as TensorFlow's "same" does: the zeros before are those of the stride."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.kind != "conv" or max(step.factors) == 1:
            return super().apply(step, inputs, params, training)
        x = inputs[0]
        every = oracle_unet.conv(x, wide(params[f"{step.name}.kernel"]))
        first = []
        for n, k, s in zip(x.shape[1:-1], step.taps, step.factors, strict=True):
            first.append((k - 1) // 2 - max((-(-n // s) - 1) * s + k - n, 0) // 2)
        return every[(slice(None), *(slice(a, None, s) for a, s in zip(first, step.factors, strict=True)))] + wide(
            params[f"{step.name}.bias"]
        )


class _StridedWithoutBias(HonestNetwork):
    """Has no bias where it strides."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        y = super().apply(step, inputs, params, training)
        return y - wide(params[f"{step.name}.bias"]) if step.kind == "conv" and max(step.factors) > 1 and step.taps != (1, 1) else y


class _Enlarging(HonestNetwork):
    """Enlarges in another way."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.kind == "up":
            return self.enlarged(step, inputs[0], wide(params[f"{step.name}.kernel"]), wide(params[f"{step.name}.bias"]))
        return super().apply(step, inputs, params, training)

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Return the layer."""
        return linear(step, x, kernel, bias)


class _NoBlur(_Enlarging):
    """Leaves the blur out."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return linear(replace(step, blurred=False), x, kernel, bias)


class _BiasTwice(_Enlarging):
    """Adds the bias of an upsampling twice."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return linear(step, x, kernel, 2 * bias)


class _OtherOrder(_Enlarging):
    """Shifts by another order."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return linear(replace(step, order={"DCR": "CRD", "CRD": "DCR"}[step.order]), x, kernel, bias)


class _CutOff(_Enlarging):
    """Cuts a transposed convolution one value too late."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        y = linear(step, x, kernel, bias)
        return np.roll(y, -1, axis=1) if step.way == "deconv" else y


class _ConvBeforeResize(_Enlarging):
    """Convolves before it resizes."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        if step.way != "resize":
            return linear(step, x, kernel, bias)
        y = oracle_unet.nearest(oracle_unet.conv(x, kernel) + bias, step.factors)
        return oracle_unet.blur(y, step.factors) if step.blurred else y


class _LastActivated(HonestNetwork):
    """Activates the output."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        y = super().apply(step, inputs, params, training)
        return np.maximum(y, 0) if step.name == self.unet.steps[-1].reads[0] else y


class _NotBetweenStages(HonestNetwork):
    """Has no activation between the stages of the head."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        between = step.kind == "relu" and step.name.startswith("head.") and step.name != "head.relu"
        return inputs[0] if between else super().apply(step, inputs, params, training)


class _PaddedBefore(HonestNetwork):
    """Puts the zeros before the input."""

    def enter(self, x: np.ndarray) -> np.ndarray:
        after = self.unet.enter(x)
        return np.roll(after, [m - n for n, m in zip(x.shape[1:-1], after.shape[1:-1], strict=True)], axis=tuple(range(1, x.ndim - 1)))


class _Replicated(HonestNetwork):
    """Repeats the border."""

    def enter(self, x: np.ndarray) -> np.ndarray:
        wanted = self.unet.padded(x.shape[1:-1])
        return wide(np.pad(x, ((0, 0), *((0, m - n) for n, m in zip(x.shape[1:-1], wanted, strict=True)), (0, 0)), mode="edge"))


class _KeepsTheEnd(HonestNetwork):
    """Cuts the output off at its start."""

    def leave(self, y: np.ndarray, spatial: Shape) -> np.ndarray:
        kept = [r * n for r, n in zip(self.unet.output_scale, spatial, strict=True)]
        return y[(slice(None), *(slice(m - n, None) for n, m in zip(kept, y.shape[1:-1], strict=True)))]


class _TF32(HonestNetwork):
    """Rounds what enters a convolution to TF32."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.kind not in ("conv", "up"):
            return super().apply(step, inputs, params, training)
        narrow = wide(_tf32(inputs[0])), wide(_tf32(params[f"{step.name}.kernel"])), wide(params[f"{step.name}.bias"])
        return linear(step, *narrow)


class _EightBits(HonestNetwork):
    """Computes mixed precision in a float of 8 bits."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        return _short(super().apply(step, inputs, params, training))


def _short(y: np.ndarray) -> np.ndarray:
    """Return the values with 3 bits of mantissa."""
    mantissa, exponent = np.frexp(y)
    return np.ldexp(np.rint(mantissa * 16) / 16, exponent)


# --- where options meet, and in the depth ---


class _NoBlurOf(_Enlarging):
    """Leaves the blur out of one way of enlarging."""

    way = "subpixel"

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return linear(replace(step, blurred=False) if step.way == self.way else step, x, kernel, bias)


class _NoBlurOfDeconv(_NoBlurOf):
    """Leaves the blur out after a transposed convolution."""

    way = "deconv"


class _SquareBlurOfResize(_Enlarging):
    """Blurs a resized map with the largest factor on every axis."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        y = linear(replace(step, blurred=False), x, kernel, bias)
        square = (max(step.factors),) * len(step.factors) if step.way == "resize" else step.factors
        return oracle_unet.blur(y, square) if step.blurred else y


class _BlurBeforeConv(_Enlarging):
    """Blurs a resized map before its convolution."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        if step.way != "resize" or not step.blurred:
            return linear(step, x, kernel, bias)
        return oracle_unet.conv(oracle_unet.blur(oracle_unet.nearest(x, step.factors), step.factors), kernel) + bias


class _IndicesInFloat32(_Enlarging):
    """Finds what a resized position is a copy of by a product with the reciprocal of the factor in float32."""

    def enlarged(self, step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
        if step.way != "resize":
            return linear(step, x, kernel, bias)
        for axis, r in enumerate(step.factors, start=1):
            index = np.floor(np.arange(r * x.shape[axis], dtype=np.float32) * (np.float32(1) / np.float32(r)))
            x = np.take(x, np.minimum(index.astype(int), x.shape[axis] - 1), axis=axis)
        y = oracle_unet.conv(x, kernel) + bias
        return oracle_unet.blur(y, step.factors) if step.blurred else y


class _UnetOfSecondBlock(Unet):
    """Takes the skip from the second block of a level that has three."""

    def _add(self, name: str, kind: str, *reads: str, **more: Any) -> str:
        if kind == "concat" and reads[1].endswith(".2"):
            reads = (reads[0], f"{reads[1][:-1]}1")
        return super()._add(name, kind, *reads, **more)


class _SkipOfSecondBlock(HonestNetwork):
    """Takes the skip from the second block, which is the last in all but the longest levels."""

    written = _UnetOfSecondBlock


class _NoDeepSkip(HonestNetwork):
    """Has no skip below the second level."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.kind == "concat" and int(step.name.split(".")[1]) > 1:
            inputs = [inputs[0], np.zeros_like(inputs[1])]
        return super().apply(step, inputs, params, training)


class _BatchNormNeverRefuses(HonestNetwork):
    """Gives the deepest level zeros where batch normalization has one value per channel, and goes on."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        alone = step.statistics and training and inputs[0][..., 0].size < 2
        return np.zeros_like(inputs[0]) if alone else super().apply(step, inputs, params, training)


def wrong_combinations() -> Iterator[Mutant]:
    """Yield networks that are wrong only where options meet, or only as deep as networks are by default."""
    yield _mutant("no blur in 1-D", "UN-012", "", _NoBlurOf, ndims=(1,), orders=("CRD",))
    yield _mutant("no blur in 3-D", "UN-012", "", _NoBlurOf, ndims=(3,), orders=("RCD",))
    yield _mutant("no blur after a transposed convolution", "UN-012", "", _NoBlurOfDeconv, orders=("DCR",))
    yield _mutant("a square blur after a resize", "UN-012", "", _SquareBlurOfResize, orders=("DCR",))
    yield _mutant("the blur of a resize before its convolution", "UN-012", "", _BlurBeforeConv, orders=("DCR",))
    indices = _mutant("positions of a resize in float32", "UN-012", "", _IndicesInFloat32, ndims=(1,), orders=("DCR",))
    yield replace(indices, history="1/41 in float32")
    deep: dict[str, Any] = {"ndims": (1,), "dtypes": ("float64",), "orders": ("DCR",)}
    yield _mutant("the skip of the second block of three", "UN-012", "", _SkipOfSecondBlock, **deep)
    yield _mutant("no skip below the second level", "UN-012", "", _NoDeepSkip, **deep)
    both: dict[str, Any] = {"dtypes": ("float32", "float64"), "orders": ("DRC", "DCR")}
    yield _mutant("one value per channel normalized to zero", "UN-006", "", _BatchNormNeverRefuses, **both)


def wrong_layers() -> Iterator[Mutant]:
    """Yield networks whose layers are wrong or wrongly joined."""
    rows: list[tuple[str, str, str, type[HonestNetwork]]] = [
        ("the skip before the upsampled channels", "UN-003", "UN-005 UN-006 UN-012", _SkipFirst),
        ("the skip of the first block", "UN-003", "UN-012", _SkipOfFirstBlock),
        ("activation after the sum", "UN-001", "UN-003 UN-012", _PostActivation),
        ("the shortcut from the activated input", "UN-001", "UN-003 UN-012", _ShortcutAfterNorm),
        ("no activation before conv2", "UN-001", "UN-012", _NoSecondActivation),
        ("a stride that starts elsewhere", "UN-002", "UN-012", _StrideFromElsewhere),
        ("no bias with a stride", "UN-002", "UN-012", _StridedWithoutBias),
        ("no blur in the U-Net", "UN-004 UN-008", "UN-012", _NoBlur),
        ("the bias of an upsampling twice", "UN-004 UN-008", "UN-012", _BiasTwice),
        ("another order in the U-Net", "UN-004 UN-008", "UN-012", _OtherOrder),
        ("a transposed convolution cut one off", "UN-004 UN-008", "UN-012", _CutOff),
        ("convolved, then resized", "UN-004 UN-008", "UN-012", _ConvBeforeResize),
        ("the output activated", "UN-008", "UN-012", _LastActivated),
        ("no activation between stages", "UN-008", "UN-012", _NotBetweenStages),
        ("zeros before the input", "UN-007", "UN-012", _PaddedBefore),
        ("the border of the input repeated", "UN-007", "UN-012", _Replicated),
        ("the end of the output kept", "UN-007", "UN-008 UN-012", _KeepsTheEnd),
        ("convolutions in TF32", "UN-012", "", _TF32),
    ]
    for name, violates, also, network in rows:
        orders = ("RCD",) if network is _NoBlur else ("DCR", "CRD")
        ndims = (1, 2) if network is _ConvBeforeResize else (2,)
        yield _mutant(name, violates, also, network, orders=orders, ndims=ndims)
    yield _mutant("mixed precision in 8 bits", "UN-012", "", _EightBits, "unet_mixed", dtypes=(), orders=("CRD",))


def _mutant(name: str, violates: str, also: str, network: type[HonestNetwork], *more: str, history: str = "", **claims: Any) -> Mutant:
    """Return a wrong network; ``more`` are operations beside "unet". It claims two axes and float32 unless told otherwise."""
    narrowed = {"ndims": (2,), "dtypes": ("float32",), **claims}
    return mutant(name, violates, also, operations=" ".join(("unet", *more)), claims=narrowed, history=history, unet=network)


# --- wrong normalization ---


class _Normalizing(HonestNetwork):
    """Normalizes in another way."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        if step.kind != "norm":
            return super().apply(step, inputs, params, training)
        if step.statistics and training:
            self.enough(inputs[0])
        return self.normalized(step, inputs[0], params, training)

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        """Return the layer."""
        return oracle_unet.norm(step, x, params, training)


class _LargerEpsilon(_Normalizing):
    """Adds 1e-3, as Keras does."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        y, wanted = np.zeros_like(x), oracle_unet.norm(step, x, params, training)
        for at, members in oracle_unet.pools(step, x.shape):
            variance = x[at].var() if step.groups or training else wide(params[f"{step.name}.variance"])[members]
            bias = wide(params[f"{step.name}.bias"])[members]
            y[at] = (wanted[at] - bias) * np.sqrt((variance + oracle_unet.EPSILON) / (variance + 1e-3)) + bias
        return y


class _InterleavedGroups(_Normalizing):
    """Puts every other channel into a group."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        if not step.groups:
            return oracle_unet.norm(step, x, params, training)
        p = np.arange(x.shape[-1]).reshape(-1, step.groups).T.reshape(-1)
        moved = {name: values[p] for name, values in params.items() if name.startswith(f"{step.name}.")}
        return oracle_unet.norm(step, x[..., p], moved, training)[..., np.argsort(p)]


class _GroupsOverSamples(_Normalizing):
    """Takes the statistics of a group over all samples."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        return oracle_unet.norm(step, x.reshape(1, -1, *x.shape[2:]), params, training).reshape(x.shape)


class _GroupsOfPositions(_Normalizing):
    """Takes the statistics of a group at each position by itself, as layer normalization does, where there is no second axis."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        if x.ndim > 3:
            return oracle_unet.norm(step, x, params, training)
        return oracle_unet.norm(step, x.reshape(-1, 1, x.shape[-1]), params, training).reshape(x.shape)


class _UnbiasedNormalization(_Normalizing):
    """Normalizes by the unbiased variance."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        y = oracle_unet.norm(step, x, params, training)
        n, bias = x[..., 0].size, wide(params[f"{step.name}.bias"])
        return (y - bias) * np.sqrt((n - 1) / n) + bias if training else y


class _BatchInEvaluation(_Normalizing):
    """Normalizes by the batch outside training, too."""

    def normalized(self, step: Step, x: np.ndarray, params: Arrays, training: bool) -> np.ndarray:
        return oracle_unet.norm(step, x, params, True)


class _UnbiasedGathered(HonestNetwork):
    """Gathers the unbiased variance."""

    def variance(self, x: np.ndarray, rest: Shape) -> np.ndarray:
        return x.var(axis=rest, ddof=1)


class _SlowerMomentum(HonestNetwork):
    """Keeps 0.99 of the old statistics."""

    def gathered(self, old: np.ndarray, batch: np.ndarray) -> np.ndarray:
        return (99 * wide(old) + batch) / 100


class _GathersInEvaluation(HonestNetwork):
    """Moves the running statistics in evaluation, too."""

    def __call__(self, x: np.ndarray, *, training: bool = False) -> np.ndarray:
        if not training:
            run = super().run(x, True)
            self.gather(run)
        return super().__call__(x, training=training)


class _TrainsOnOneValue(HonestNetwork):
    """Trains on one value per channel."""

    def enough(self, x: np.ndarray) -> None:
        """Let it pass."""


class _GathersOnTheWay(HonestNetwork):
    """Moves the running statistics of each layer at once, before a deeper one refuses the batch."""

    def apply(self, step: Step, inputs: list[np.ndarray], params: Arrays, training: bool) -> np.ndarray:
        y = super().apply(step, inputs, params, training)
        if step.statistics and training:
            rest = tuple(range(inputs[0].ndim - 1))
            batch = {f"{step.name}.mean": inputs[0].mean(axis=rest), f"{step.name}.variance": inputs[0].var(axis=rest)}
            super().gather(Run({}, batch))
        return y

    def gather(self, run: Run) -> None:
        """Do nothing more."""


class _DecayingStatistics(HonestNetwork):
    """Lets the optimizer shrink the running statistics."""

    def step(self, x: np.ndarray, target: np.ndarray, optimizer: str, learning_rate: float) -> None:
        super().step(x, target, optimizer, learning_rate)
        for name in self.unet.statistics:
            self.held[name] = self.held[name] * (1 - 0.01 * learning_rate)


def wrong_normalizations() -> Iterator[Mutant]:
    """Yield networks that normalize wrongly."""
    groups: list[tuple[str, type[HonestNetwork]]] = [
        ("groups of every other channel", _InterleavedGroups),
        ("groups over all samples", _GroupsOverSamples),
    ]
    for name, network in groups:
        yield _mutant(name, "UN-005", "UN-012", network, orders=("RCD",))
    yield _mutant("every position of a sequence by itself", "UN-005", "UN-012", _GroupsOfPositions, ndims=(1,), orders=("DCR",))
    yield _mutant("an epsilon of 1e-3", "UN-005 UN-006", "UN-012", _LargerEpsilon, history="Keras' default", orders=("RCD", "DRC"))
    both: dict[str, Any] = {"dtypes": ("float32", "float64"), "orders": ("DRC", "DCR")}
    yield _mutant("normalized by the unbiased variance", "UN-006", "", _UnbiasedNormalization, **both)
    yield _mutant("the unbiased variance gathered", "UN-006", "", _UnbiasedGathered, history="torch.nn.BatchNorm2d", **both)
    yield _mutant("a momentum of 0.99", "UN-006", "", _SlowerMomentum, history="Keras' default", **both)
    yield _mutant("the statistics of the batch in evaluation", "UN-006", "UN-012", _BatchInEvaluation, **both)
    yield _mutant("statistics gathered in evaluation", "UN-006", "UN-012", _GathersInEvaluation, **both)
    yield _mutant("one value per channel accepted", "UN-006", "", _TrainsOnOneValue, **both)
    yield _mutant("statistics gathered before a refusal", "UN-006", "", _GathersOnTheWay, **both)
    yield _mutant("statistics that decay with the weights", "UN-006", "", _DecayingStatistics, "unet_steps", **both)


# --- wrong parameters and arithmetic ---


class _NoICNR(HonestNetwork):
    """Draws every channel of a sub-pixel kernel by itself."""

    def replicated(self, base: np.ndarray, step: Step, rng: np.random.Generator) -> np.ndarray:
        return self.drawn(step, step.kernel, rng)


class _OwnOrder(HonestNetwork):
    """Replicates in one order, whatever was asked for."""

    def replicated(self, base: np.ndarray, step: Step, rng: np.random.Generator) -> np.ndarray:
        return oracle.icnr(base, step.factors, order="CRD")


class _FanOfAllTaps(HonestNetwork):
    """Counts the k·r taps of a transposed convolution into its fan."""

    def drawn(self, step: Step, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(scale=sqrt(step.gain / prod(shape[:-1])), size=shape)


class _EqualBranches(HonestNetwork):
    """Draws conv2 as it draws conv1."""

    def drawn(self, step: Step, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        gain = 2 if step.name.endswith("conv2") else step.gain
        return rng.normal(scale=sqrt(gain / (prod(step.taps) * shape[-2])), size=shape)


class _Uniform(HonestNetwork):
    """Draws from a uniform distribution of the right variance."""

    def drawn(self, step: Step, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-step.std * sqrt(3), step.std * sqrt(3), size=shape)


class _Truncated(HonestNetwork):
    """Draws from a normal distribution cut off at two standard deviations, scaled to the right variance."""

    def drawn(self, step: Step, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        values = rng.normal(size=shape)
        while (np.abs(values) > 2).any():
            values = np.where(np.abs(values) > 2, rng.normal(size=shape), values)
        return values * step.std / 0.87962566


class _RandomBias(HonestNetwork):
    """Draws biases."""

    def constant(self, what: str, shape: Shape, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(-0.1, 0.1, size=shape) if what == "bias" else super().constant(what, shape, rng)


class _TransposedKernels(HonestNetwork):
    """Reports kernels as (*k, Co, Ci)."""

    def parameters(self) -> Arrays:
        return {name: np.swapaxes(values, -1, -2) if name.endswith(".kernel") else values for name, values in self.held.items()}


class _OtherNames(HonestNetwork):
    """Calls a kernel a weight."""

    def parameters(self) -> Arrays:
        return {name.replace(".kernel", ".weight"): values for name, values in self.held.items()}


class _WithoutStatistics(HonestNetwork):
    """Reports no running statistics."""

    def parameters(self) -> Arrays:
        return {name: self.held[name] for name in self.unet.learned}


class _HalfLoaded(HonestNetwork):
    """Loads through float16."""

    def loaded(self, params: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Arrays:
        return {name: values.astype(np.float16) for name, values in super().loaded(params, shapes).items()}


def wrong_parameters() -> Iterator[Mutant]:
    """Yield networks that start wrongly, or report other parameters than those of UN-011."""
    rows: list[tuple[str, type[HonestNetwork]]] = [
        ("sub-pixel kernels not ICNR", _NoICNR),
        ("ICNR of one order for all", _OwnOrder),
        ("the fan of all k·r taps", _FanOfAllTaps),
        ("branches not divided by their number", _EqualBranches),
        ("uniform kernels", _Uniform),
        ("truncated normal kernels", _Truncated),
        ("random biases", _RandomBias),
    ]
    for name, network in rows:
        yield _mutant(name, "UN-009", "", network, orders=("DRC",) if network in (_NoICNR, _OwnOrder) else ("DRC", "DCR"))
    yield _mutant("kernels reported as (*k, Co, Ci)", "UN-011", "UN-009", _TransposedKernels, orders=("CRD",))
    yield _mutant("kernels called weights", "UN-011", "", _OtherNames, orders=("CRD",))
    yield _mutant("no running statistics reported", "UN-011", "UN-006 UN-009", _WithoutStatistics, orders=("DRC",))
    yield _mutant("loaded through float16", "UN-011", "UN-005 UN-006 UN-012", _HalfLoaded, orders=("RCD",))


class _Arithmetic:
    """The counts of the oracle."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.unet = Unet(config)

    @property
    def parameters(self) -> int:
        return self.unet.parameters

    def macs(self, spatial: Shape) -> int:
        return self.unet.macs(spatial)


class _StatisticsCounted(_Arithmetic):
    """Counts running statistics as parameters."""

    @property
    def parameters(self) -> int:
        return self.unet.parameters + sum(prod(shape) for shape in self.unet.statistics.values())


class _ShortcutsForgotten(_Arithmetic):
    """Leaves the shortcuts out."""

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for name, shape in self.unet.learned.items() if "shortcut" not in name)


class _Unpadded(_Arithmetic):
    """Counts without the padding, rounding down."""

    def macs(self, spatial: Shape) -> int:
        total = [prod(scale[axis] for scale in self.unet.scales) for axis in range(self.unet.ndim)]
        return self.unet.macs(tuple(n // t * t for n, t in zip(spatial, total, strict=True)))


class _LowResolution(_Arithmetic):
    """Counts a convolution after resizing at the extents before."""

    def macs(self, spatial: Shape) -> int:
        unet = Unet(self.unet.config)
        unet.steps = [
            replace(step, way="subpixel", channels=(step.channels[0], 0)) if step.way == "resize" else step for step in unet.steps
        ]
        return unet.macs(spatial)


def wrong_arithmetic() -> Iterator[Mutant]:
    """Yield wrong counts."""
    rows: list[tuple[str, type[_Arithmetic]]] = [
        ("running statistics counted", _StatisticsCounted),
        ("shortcuts not counted", _ShortcutsForgotten),
        ("MACs without the padding", _Unpadded),
        ("MACs of a resize not counted", _LowResolution),
    ]
    for name, arithmetic in rows:
        yield mutant(name, "UN-010", operations="unet_arithmetic", unet_arithmetic=arithmetic)


# --- wrong gradients and steps ---


class _HalfAtZero(HonestNetwork):
    """Takes 1/2 for the derivative of ReLU at 0, as the gradient of a maximum does."""

    def backward(self, run: Run, cotangent: np.ndarray, training: bool) -> Arrays:
        up, down = (self._with_zeros(run, sign) for sign in (1e-300, -1e-300))
        first, second = (self.unet.backward(self.held, moved, cotangent, training=training) for moved in (up, down))
        return {name: (first[name] + second[name]) / 2 for name in first}

    def _with_zeros(self, run: Run, value: float) -> Run:
        return Run({name: np.where(values == 0, np.longdouble(value), values) for name, values in run.values.items()}, run.batch)


class _DetachedStatistics(HonestNetwork):
    """Takes the statistics of a normalization for constants."""

    def backward(self, run: Run, cotangent: np.ndarray, training: bool) -> Arrays:
        params = dict(self.held)
        for step in self.unet.steps:
            if step.statistics:
                x = run.values[step.reads[0]]
                rest = tuple(range(x.ndim - 1))
                params |= {f"{step.name}.mean": x.mean(axis=rest), f"{step.name}.variance": x.var(axis=rest)}
        return self.unet.backward(params, run, cotangent, training=False)


class _SkipWithoutGradient(HonestNetwork):
    """Sends no gradient through the skips."""

    def backward(self, run: Run, cotangent: np.ndarray, training: bool) -> Arrays:
        unet = Unet(self.unet.config)
        cut, values = [], dict(run.values)
        for step in unet.steps:
            if step.kind == "concat":
                name = f"{step.reads[1]}.copy"
                values[name] = values[step.reads[1]]
                step = replace(step, reads=(step.reads[0], name))
            cut.append(step)
        unet.steps = cut
        return unet.backward(self.held, Run(values, run.batch), cotangent, training=training)


class _SummedLoss(HonestNetwork):
    """Steps on the sum of squares."""

    def loss_gradient(self, y: np.ndarray, target: np.ndarray) -> np.ndarray:
        return 2 * (y - wide(target))


class _KerasEpsilon(HonestNetwork):
    """Adds Adam's epsilon before the bias is corrected."""

    def moved(self, old: np.ndarray, gradient: np.ndarray, optimizer: str, rate: float) -> np.ndarray:
        if optimizer == "sgd":
            return super().moved(old, gradient, optimizer, rate)
        return wide(old) - rate * gradient / (np.abs(gradient) + 1e-4 / sqrt(1 - 0.999))


class _DecayingWeights(HonestNetwork):
    """Decays the weights with SGD."""

    def moved(self, old: np.ndarray, gradient: np.ndarray, optimizer: str, rate: float) -> np.ndarray:
        return super().moved(old, gradient + (1e-4 * wide(old) if optimizer == "sgd" else 0), optimizer, rate)


def wrong_gradients() -> Iterator[Mutant]:
    """Yield wrong derivatives and wrong steps."""
    both = ("float32", "float64")
    gradients: list[tuple[str, type[HonestNetwork], tuple[str, ...]]] = [
        ("half a gradient at 0", _HalfAtZero, ("CRD",)),
        ("statistics detached", _DetachedStatistics, ("DRC",)),
        ("no gradient through the skips", _SkipWithoutGradient, ("CRD",)),
    ]
    for name, network, orders in gradients:
        yield _mutant(name, "UN-013", "", network, "unet_gradients", dtypes=both, orders=orders)
    steps: list[tuple[str, type[HonestNetwork]]] = [
        ("a step on the sum of squares", _SummedLoss),
        ("Adam's epsilon before the correction", _KerasEpsilon),
        ("weights that decay", _DecayingWeights),
    ]
    for name, network in steps:
        history = "Keras' Adam" if network is _KerasEpsilon else ""
        yield _mutant(name, "UN-013", "", network, "unet_steps", dtypes=both, orders=("CRD",), history=history)


# --- wrong refusals ---


class _FallsBack(HonestNetwork):
    """Takes a word that it does not know for the default."""

    def taken(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        words = {"norm": ("group", "batch", "none"), "upsample": ("subpixel", "resize", "deconv"), "order": ("DCR", "CRD", "DRC", "RCD")}
        known = {name: config[name] if config[name] in allowed else allowed[0] for name, allowed in words.items()}
        return super().taken({**config, **known})


class _Rounds(HonestNetwork):
    """Makes integers of what is none."""

    def taken(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        def rounded(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(rounded, value))
            return max(1, int(value)) if isinstance(value, (bool, int, float)) else value

        return super().taken({name: value if name == "blur" else rounded(value) for name, value in config.items()})


class _FewerGroups(HonestNetwork):
    """Takes the largest number of groups that divides the widths."""

    def taken(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        fits = [n for n in (config["groups"], 2, 1) if isinstance(n, int) and n > 0 and all(width % n == 0 for width in config["widths"])]
        return super().taken({**config, "groups": fits[0]})


class _FirstChannels(HonestNetwork):
    """Reads as many channels as it needs."""

    def admits(self, x: np.ndarray) -> np.ndarray:
        return super().admits(x[..., : self.unet.config["in_channels"]])


class _LoadsWhatFits(HonestNetwork):
    """Leaves what is missing as it comes, and passes over what it does not know."""

    def loaded(self, params: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> Arrays:
        fits = {name: values for name, values in params.items() if shapes.get(name) == values.shape}
        return super().loaded({**self.fresh(), **fits}, shapes)


def wrong_refusals() -> Iterator[Mutant]:
    """Yield networks that accept what they must refuse."""
    rows: list[tuple[str, str, type[HonestNetwork]]] = [
        ("unknown words fall back", "UN-014", _FallsBack),
        ("numbers rounded", "UN-014", _Rounds),
        ("fewer groups than asked for", "UN-014", _FewerGroups),
        ("more channels than asked for", "UN-015", _FirstChannels),
        ("what fits is loaded", "UN-015", _LoadsWhatFits),
    ]
    for name, violates, network in rows:
        yield _mutant(name, violates, "", network, refusals=("UN-014", "UN-015"), orders=("RCD",))


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the residual U-Net."""
    return (
        *wrong_layers(),
        *wrong_combinations(),
        *wrong_normalizations(),
        *wrong_parameters(),
        *wrong_arithmetic(),
        *wrong_gradients(),
        *wrong_refusals(),
    )
