"""The residual U-Net of ``unet.md`` as a list of steps, each with its formula, its derivative and what rounding can do to it.

It is written from the text, in extended precision, and shares nothing with the implementations that it judges. A convolution is a sum over
its taps, one product of matrices for each; whatever is read from the text (names, shapes, counts) is read once, while the list is written.

The same steps serve three times: on values they are the network; on absolute values they are its majorant, which bounds every partial sum;
and on absolute values with and without the errors that came in, they say how far a result may be from the exact one. This last works since
a step is linear in its input and its kernel, each apart: what errors ``e`` can change is ``f(|x| + e, |k|, |b|) - f(|x|, |k|, |b|)``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod, sqrt
from typing import Any

import numpy as np

from .oracle import best_plan, chain_shapes, channel_index, offsets

Shape = tuple[int, ...]
Arrays = dict[str, np.ndarray]

EPSILON = np.longdouble(1) / 100000


def wide(values: Any) -> np.ndarray:
    """Return the values in extended precision; bfloat16 takes the way through float64, which holds it."""
    values = np.asarray(values)
    return values if values.dtype == np.longdouble else values.astype(np.float64).astype(np.longdouble)


# --- sums over taps. Every function with a kernel is linear in each argument, and so is its transpose ---


def _part(first: Shape, extents: Shape, step: Shape | None = None) -> Any:
    """Return the index of all samples and channels at ``extents`` positions from ``first`` in steps."""
    step = step or (1,) * len(first)
    return (slice(None), *(slice(a, a + s * (n - 1) + 1, s) for a, n, s in zip(first, extents, step, strict=True)), slice(None))


def _taps(extents: Shape) -> Iterator[Shape]:
    return product(*(range(extent) for extent in extents))


def conv(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return ``y[i] = sum over t of x[i + t - (k - 1)//2] @ kernel[t]``, x being 0 outside: stride 1, padding "same"."""
    taps, spatial = kernel.shape[:-2], x.shape[1:-1]
    padded = np.pad(x, ((0, 0), *(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in taps), (0, 0)))
    y = np.zeros((*x.shape[:-1], kernel.shape[-1]), np.longdouble)
    for t in _taps(taps):
        y += padded[_part(t, spatial)] @ kernel[t]
    return y


def conv_transposed(x: np.ndarray, kernel: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of ``<conv(x, kernel), g>`` for x and the kernel."""
    taps, spatial = kernel.shape[:-2], x.shape[1:-1]
    before = tuple((k - 1) // 2 for k in taps)
    padded = np.pad(x, ((0, 0), *((b, k - 1 - b) for b, k in zip(before, taps, strict=True)), (0, 0)))
    d_padded, d_kernel = np.zeros_like(padded), np.zeros_like(kernel)
    rows = g.reshape(-1, g.shape[-1])
    for t in _taps(taps):
        d_padded[_part(t, spatial)] += g @ kernel[t].T
        d_kernel[t] = padded[_part(t, spatial)].reshape(-1, x.shape[-1]).T @ rows
    return d_padded[_part(before, spatial)], d_kernel


def _full(spatial: Shape, taps: Shape, stride: Shape) -> Shape:
    return tuple(s * (n - 1) + k for n, k, s in zip(spatial, taps, stride, strict=True))


def _cut(taps: Shape, stride: Shape) -> Shape:
    """Return how many values UN-004 cuts off before, for a kernel of ``k * r`` taps."""
    return tuple(r * (k - 1 - (k - 1) // 2) for k, r in ((n // r, r) for n, r in zip(taps, stride, strict=True)))


def scatter(x: np.ndarray, kernel: np.ndarray, stride: Shape) -> np.ndarray:
    """Return ``y[r*i + t] += x[i] @ kernel[t]``, cut to ``r`` times the extents as UN-004 says."""
    taps, spatial = kernel.shape[:-2], x.shape[1:-1]
    y = np.zeros((x.shape[0], *_full(spatial, taps, stride), kernel.shape[-1]), np.longdouble)
    for t in _taps(taps):
        y[_part(t, spatial, stride)] += x @ kernel[t]
    return y[_part(_cut(taps, stride), tuple(r * n for r, n in zip(stride, spatial, strict=True)))]


def scatter_transposed(x: np.ndarray, kernel: np.ndarray, stride: Shape, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of ``<scatter(x, kernel), g>`` for x and the kernel."""
    taps, spatial = kernel.shape[:-2], x.shape[1:-1]
    full = np.zeros((x.shape[0], *_full(spatial, taps, stride), kernel.shape[-1]), np.longdouble)
    full[_part(_cut(taps, stride), g.shape[1:-1])] = g
    d_x, d_kernel = np.zeros_like(x), np.zeros_like(kernel)
    columns = x.reshape(-1, x.shape[-1]).T
    for t in _taps(taps):
        at = full[_part(t, spatial, stride)]
        d_x += at @ kernel[t].T
        d_kernel[t] = columns @ at.reshape(-1, at.shape[-1])
    return d_x, d_kernel


def _places(scale: Shape, channels: int, order: str) -> Iterator[tuple[int, Any]]:
    """Yield every low-resolution channel k(c, o) and the index of its values in the high-resolution tensor."""
    for o in offsets(scale):
        for c in range(channels):
            yield channel_index(order, c, o, scale, channels), (slice(None), *(slice(a, None, r) for a, r in zip(o, scale, strict=True)), c)


def shift(x: np.ndarray, scale: Shape, order: str) -> np.ndarray:
    """Return ``y[r*i + o, c] = x[i, k(c, o)]``."""
    channels = x.shape[-1] // prod(scale)
    y = np.zeros((x.shape[0], *(r * n for r, n in zip(scale, x.shape[1:-1], strict=True)), channels), np.longdouble)
    for k, place in _places(scale, channels, order):
        y[place] = x[..., k]
    return y


def shift_transposed(g: np.ndarray, scale: Shape, order: str) -> np.ndarray:
    """Return ``x[i, k(c, o)] = g[r*i + o, c]``."""
    x = np.zeros((g.shape[0], *(n // r for r, n in zip(scale, g.shape[1:-1], strict=True)), g.shape[-1] * prod(scale)), np.longdouble)
    for k, place in _places(scale, g.shape[-1], order):
        x[..., k] = g[place]
    return x


def nearest(x: np.ndarray, scale: Shape) -> np.ndarray:
    """Return ``y[r*i + o] = x[i]`` for every offset."""
    y = np.zeros((x.shape[0], *(r * n for r, n in zip(scale, x.shape[1:-1], strict=True)), x.shape[-1]), np.longdouble)
    for o in offsets(scale):
        y[_part(o, x.shape[1:-1], scale)] = x
    return y


def nearest_transposed(g: np.ndarray, scale: Shape) -> np.ndarray:
    """Return the sum over every block."""
    spatial = tuple(n // r for r, n in zip(scale, g.shape[1:-1], strict=True))
    return sum((g[_part(o, spatial, scale)] for o in offsets(scale)), np.zeros((), np.longdouble))


def blur(y: np.ndarray, scale: Shape, *, transposed: bool = False) -> np.ndarray:
    """Return the mean of ``y[i - (r - 1)//2 + t]`` over ``0 <= t < r``, over the positions that exist; or the transpose of this."""
    for axis, r in enumerate(scale, start=1):
        extent = y.shape[axis]
        matrix = np.zeros((extent, extent), np.longdouble)
        for i in range(extent):
            window = [at for at in range(i - (r - 1) // 2, i - (r - 1) // 2 + r) if 0 <= at < extent]
            matrix[i, window] = np.longdouble(1) / len(window)
        y = np.moveaxis(np.moveaxis(y, axis, -1) @ (matrix if transposed else matrix.T), -1, axis)
    return y


# --- the steps ---


@dataclass(frozen=True)
class Step:
    """One step. Those with ``recorded`` are the layers and blocks that a trace has, under their canonical names.

    ``factors`` are the stride of a convolution, and the scale of an upsampling in the way ``way``; ``groups`` is 0 for batch normalization.
    """

    name: str
    kind: str
    reads: tuple[str, ...]
    channels: tuple[int, int] = (0, 0)
    taps: Shape = ()
    factors: Shape = ()
    way: str = ""
    order: str = ""
    blurred: bool = False
    groups: int = 0
    gain: float = 0.0

    @property
    def recorded(self) -> bool:
        """Whether a trace has it."""
        return self.kind in ("conv", "up", "norm", "sum")

    @property
    def kernel(self) -> Shape:
        """The shape of its kernel: UN-011."""
        inputs, outputs = self.channels
        if self.kind == "up" and self.way == "subpixel":
            return (*self.taps, inputs, outputs * prod(self.factors))
        if self.kind == "up" and self.way == "deconv":
            return (*(k * r for k, r in zip(self.taps, self.factors, strict=True)), inputs, outputs)
        return (*self.taps, inputs, outputs)

    @property
    def learned(self) -> dict[str, Shape]:
        """The shapes of what is learned."""
        if self.kind in ("conv", "up"):
            return {f"{self.name}.kernel": self.kernel, f"{self.name}.bias": self.kernel[-1:]}
        return {f"{self.name}.scale": self.channels[1:], f"{self.name}.bias": self.channels[1:]} if self.kind == "norm" else {}

    @property
    def statistics(self) -> dict[str, Shape]:
        """The shapes of the running statistics."""
        batch = self.kind == "norm" and not self.groups
        return {f"{self.name}.mean": self.channels[1:], f"{self.name}.variance": self.channels[1:]} if batch else {}

    @property
    def std(self) -> float:
        """The standard deviation of a fresh kernel: UN-009."""
        return sqrt(self.gain / (prod(self.taps) * self.channels[0]))

    @property
    def terms(self) -> int:
        """How many terms a sum of this layer has, its bias included: every tap of ``deconv`` that meets an output."""
        return prod(self.taps) * self.channels[0] + 1


def linear(step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what a convolution or an upsampling gives: UN-002, UN-004."""
    if step.kind == "conv":
        return conv(x, kernel)[(slice(None), *(slice(None, None, s) for s in step.factors))] + bias
    if step.way == "subpixel":
        y = shift(conv(x, kernel) + bias, step.factors, step.order)
    elif step.way == "resize":
        y = conv(nearest(x, step.factors), kernel) + bias
    else:
        y = scatter(x, kernel, step.factors) + bias
    return blur(y, step.factors) if step.blurred else y


def linear_transposed(step: Step, x: np.ndarray, kernel: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of ``<linear(x, kernel, bias), g>`` for x, kernel and bias."""
    if step.blurred:
        g = blur(g, step.factors, transposed=True)
    if step.kind == "conv":
        every = np.zeros((*x.shape[:-1], g.shape[-1]), np.longdouble)
        every[(slice(None), *(slice(None, None, s) for s in step.factors))] = g
        g = every
    elif step.way == "subpixel":
        g = shift_transposed(g, step.factors, step.order)
    d_bias = g.sum(axis=tuple(range(g.ndim - 1)))
    if step.kind == "up" and step.way == "deconv":
        return *scatter_transposed(x, kernel, step.factors, g), d_bias
    if step.kind == "up" and step.way == "resize":
        d_x, d_kernel = conv_transposed(nearest(x, step.factors), kernel, g)
        return nearest_transposed(d_x, step.factors), d_kernel, d_bias
    return *conv_transposed(x, kernel, g), d_bias


def pools(step: Step, shape: Shape) -> Iterator[tuple[Any, slice]]:
    """Yield, for every set of values that share their statistics, its index in the tensor and its channels: UN-005, UN-006."""
    channels, every = shape[-1], (slice(None),) * (len(shape) - 2)
    if step.groups:
        run = channels // step.groups
        for n in range(shape[0]):
            for group in range(step.groups):
                members = slice(group * run, (group + 1) * run)
                yield (slice(n, n + 1), *every, members), members
    else:
        for c in range(channels):
            yield (slice(None), *every, slice(c, c + 1)), slice(c, c + 1)


def _statistics(step: Step, values: np.ndarray, members: slice, params: Mapping[str, Any], training: bool) -> tuple[Any, Any]:
    """Return mean and variance for one pool."""
    if step.groups or training:
        mean = values.mean()
        return mean, ((values - mean) ** 2).mean()
    return wide(params[f"{step.name}.mean"])[members], wide(params[f"{step.name}.variance"])[members]


def _affine(step: Step, params: Mapping[str, Any], members: slice) -> tuple[np.ndarray, np.ndarray]:
    return wide(params[f"{step.name}.scale"])[members], wide(params[f"{step.name}.bias"])[members]


def norm(step: Step, x: np.ndarray, params: Mapping[str, Any], training: bool) -> np.ndarray:
    """Return ``(x - mean)/sqrt(variance + 1e-5) * scale + bias``."""
    y = np.zeros_like(x)
    for at, members in pools(step, x.shape):
        mean, variance = _statistics(step, x[at], members, params, training)
        scale, bias = _affine(step, params, members)
        y[at] = (x[at] - mean) / np.sqrt(variance + EPSILON) * scale + bias
    return y


def norm_transposed(step: Step, x: np.ndarray, params: Mapping[str, Any], training: bool, g: np.ndarray) -> tuple[np.ndarray, Any, Any]:
    """Return the gradients of ``<norm(x), g>`` for x, scale and bias."""
    d_x, d_scale, d_bias = np.zeros_like(x), np.zeros(x.shape[-1], np.longdouble), np.zeros(x.shape[-1], np.longdouble)
    rest = tuple(range(x.ndim - 1))
    for at, members in pools(step, x.shape):
        mean, variance = _statistics(step, x[at], members, params, training)
        sigma = np.sqrt(variance + EPSILON)
        scale, _ = _affine(step, params, members)
        normalized, pulled = (x[at] - mean) / sigma, g[at] * scale
        d_scale[members] += (g[at] * normalized).sum(axis=rest)
        d_bias[members] += g[at].sum(axis=rest)
        if step.groups or training:
            pulled = pulled - pulled.mean() - normalized * (pulled * normalized).mean()
        d_x[at] = pulled / sigma
    return d_x, d_scale, d_bias


# --- what rounding can do to one step ---


@dataclass(frozen=True)
class Rounding:
    """Unit roundoffs: ``u`` of results, ``sums`` of what they are accumulated in, ``inputs`` of what is rounded before it enters, or 0."""

    u: float
    sums: float
    inputs: float = 0.0


def linear_bound(step: Step, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, rounding: Rounding) -> np.ndarray:
    """Return CV-003 for a convolution or an upsampling, and BL-003 after it where it is blurred.

    Where input, kernel and bias are rounded first, at most ``(1 + inputs)**2 - 1`` times the sum of absolute values is added.
    """
    plain = replace(step, blurred=False)
    size = linear(plain, np.abs(x), np.abs(kernel), np.abs(bias))
    exact, without = linear(plain, x, kernel, bias), linear(plain, x, kernel, np.zeros_like(bias))
    more = (1 + np.longdouble(rounding.inputs)) ** 2 - 1
    size, carried = size * (1 + more), size * more
    bound = step.terms * rounding.sums * size + rounding.u * (np.abs(exact) + np.abs(without) + 2 * carried) + carried
    if not step.blurred:
        return bound
    n = prod(step.factors) + 1
    mean = np.abs(blur(exact, step.factors))
    return blur(bound, step.factors) + n * rounding.sums * blur(np.abs(exact) + bound, step.factors) + rounding.u * mean


def norm_bound(step: Step, x: np.ndarray, params: Mapping[str, Any], training: bool, rounding: Rounding) -> np.ndarray:
    """Return UN-012 for a normalization.

    Where the input is rounded first, by a factor within ``inputs`` of 1, it moves by ``inputs·|x|``, the mean by ``inputs·M`` and the
    variance by ``2·inputs·Q``: together what ``inputs`` times the first summand allows. Scale, quotient and product may be rounded, too.
    """
    bound, y = np.zeros_like(x), norm(step, x, params, training)
    for at, members in pools(step, x.shape):
        values = x[at]
        mean, variance = _statistics(step, values, members, params, training)
        scale, bias = _affine(step, params, members)
        count, M, Q = values.size, np.abs(values).mean(), (values**2).mean()
        if not step.groups and not training:
            count, M, Q = 0, np.abs(mean), np.longdouble(0)
        sigma = np.sqrt(variance + EPSILON)
        steps = (count + 8) * rounding.sums + 4 * rounding.inputs
        bound[at] = steps * (np.abs(values) + M) * np.abs(scale) / sigma * (1 + Q / sigma**2)
        bound[at] += (rounding.u + rounding.inputs) * np.abs(bias) + rounding.u * np.abs(y[at])
    return bound


def norm_carried(step: Step, x: np.ndarray, e: np.ndarray, params: Mapping[str, Any], training: bool) -> np.ndarray:
    """Return how far an error within ``e`` of the input can move a normalization; infinite where it could empty the variance.

    The mean moves by ``mean e`` and the variance by ``D = 2 mean(|x - mean| e) + mean e²`` at most, so ``1/σ`` grows by ``1/√(1 - D/σ²)``.
    """
    moved = np.zeros_like(x)
    for at, members in pools(step, x.shape):
        mean, variance = _statistics(step, x[at], members, params, training)
        scale, _ = _affine(step, params, members)
        sigma, distance = np.sqrt(variance + EPSILON), np.abs(x[at] - mean)
        if not step.groups and not training:
            moved[at] = e[at] / sigma * np.abs(scale)
            continue
        share = (2 * (distance * e[at]).mean() + (e[at] ** 2).mean()) / sigma**2
        grown = 1 / np.sqrt(1 - share) if share < 1 else np.longdouble(np.inf)
        moved[at] = ((e[at] + e[at].mean()) * grown + distance * (grown - 1)) / sigma * np.abs(scale)
    return moved


# --- the network ---


@dataclass
class Run:
    """One forward pass: the value of every step, the statistics of the batch, and how far each may be off where that was asked for."""

    values: Arrays
    batch: Arrays
    errors: Arrays = field(default_factory=dict)
    batch_errors: Arrays = field(default_factory=dict)

    @property
    def y(self) -> np.ndarray:
        """The output."""
        return self.values["y"]


class Unet:
    """The network of a configuration, a mapping with the fields of `ResidualUNetConfig`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = dict(config)
        self.ndim: int = config["ndim"]
        self.widths: Shape = tuple(config["widths"])
        levels = len(self.widths)
        blocks = config["blocks"]
        self.blocks: Shape = (blocks,) * levels if isinstance(blocks, int) else tuple(blocks)
        scales = config["scales"]
        self.scales = [self._axes(scale) for scale in ([scales] * (levels - 1) if isinstance(scales, int) else scales)]
        self.taps = self._axes(config["kernel_size"])
        self.output_scale = self._axes(config["output_scale"])
        self.steps: list[Step] = []
        self._write()

    def _axes(self, value: Any) -> Shape:
        return (value,) * self.ndim if isinstance(value, int) else tuple(value)

    # the list

    def _write(self) -> None:
        """Write the steps down, in the sequence of the text."""
        config, w, ones = self.config, self.widths, (1,) * self.ndim
        self._add("x", "pad")
        y = self._conv("stem", "x", config["in_channels"], w[0], self.taps, ones, 1)
        skips = []
        for i in range(len(w)):
            for b in range(self.blocks[i]):
                enters = b == 0 and i > 0
                y = self._block(f"encoder.{i}.{b}", y, w[i - 1] if enters else w[i], w[i], self.scales[i - 1] if enters else ones)
            skips.append(y)
        for i in reversed(range(len(w) - 1)):
            up = self._up(f"decoder.{i}.up", y, w[i + 1], w[i], self.scales[i], 1)
            y = self._add(f"decoder.{i}.concat", "concat", up, skips[i])
            for b in range(self.blocks[i]):
                y = self._block(f"decoder.{i}.{b}", y, w[i] if b else 2 * w[i], w[i], ones)
        y = self._add("head.relu", "relu", self._norm("head.norm", y, w[0]))
        plan = best_plan(self.output_scale, w[0], config["out_channels"], self.taps, width=w[0])
        for s, (inputs, outputs, scale) in enumerate(chain_shapes(plan or (), w[0], config["out_channels"], w[0])):
            y = self._up(f"head.{s}", self._add(f"head.{s}.relu", "relu", y) if s else y, inputs, outputs, scale, 2)
        self._add("y", "crop", y)

    def _add(self, name: str, kind: str, *reads: str, **more: Any) -> str:
        self.steps.append(Step(name, kind, reads, **more))
        return name

    def _conv(self, name: str, read: str, inputs: int, outputs: int, taps: Shape, stride: Shape, gain: float) -> str:
        return self._add(name, "conv", read, channels=(inputs, outputs), taps=taps, factors=stride, gain=gain)

    def _up(self, name: str, read: str, inputs: int, outputs: int, scale: Shape, gain: float) -> str:
        kinds: dict[str, Any] = {"way": self.config["upsample"], "order": self.config["order"], "blurred": self.config["blur"]}
        return self._add(name, "up", read, channels=(inputs, outputs), taps=self.taps, factors=scale, gain=gain, **kinds)

    def _norm(self, name: str, read: str, channels: int) -> str:
        if self.config["norm"] == "none":
            return read
        groups = self.config["groups"] if self.config["norm"] == "group" else 0
        return self._add(name, "norm", read, channels=(channels, channels), groups=groups)

    def _block(self, name: str, x: str, inputs: int, outputs: int, stride: Shape) -> str:
        ones, branches = (1,) * self.ndim, sum(self.blocks) + sum(self.blocks[:-1])
        y = self._add(f"{name}.relu1", "relu", self._norm(f"{name}.norm1", x, inputs))
        y = self._conv(f"{name}.conv1", y, inputs, outputs, self.taps, stride, 2)
        y = self._add(f"{name}.relu2", "relu", self._norm(f"{name}.norm2", y, outputs))
        y = self._conv(f"{name}.conv2", y, outputs, outputs, self.taps, ones, 2 / branches)
        if stride != ones or inputs != outputs:
            x = self._conv(f"{name}.shortcut", x, inputs, outputs, ones, stride, 1)
        return self._add(name, "sum", y, x)

    # what follows from it

    @property
    def learned(self) -> dict[str, Shape]:
        """The shapes of what is learned, by name: UN-011."""
        return {name: shape for step in self.steps for name, shape in step.learned.items()}

    @property
    def statistics(self) -> dict[str, Shape]:
        """The shapes of the running statistics, by name."""
        return {name: shape for step in self.steps for name, shape in step.statistics.items()}

    @property
    def parameters(self) -> int:
        """The number of learned values: UN-010."""
        return sum(prod(shape) for shape in self.learned.values())

    def padded(self, spatial: Shape) -> Shape:
        """Return the extents with the zeros of UN-007."""
        total = [prod(scale[axis] for scale in self.scales) for axis in range(self.ndim)]
        return tuple(next(m for m in range(extent, extent + t) if m % t == 0) for extent, t in zip(spatial, total, strict=True))

    def macs(self, spatial: Shape) -> int:
        """Return weights times positions, summed over all convolutions: UN-010."""
        extents, total = {"x": self.padded(spatial)}, 0
        for step in self.steps[1:]:
            before = after = extents[step.reads[0]]
            if step.kind == "conv":
                after = tuple(len(range(0, n, s)) for n, s in zip(before, step.factors, strict=True))
                total += prod(step.kernel) * prod(after)
            elif step.kind == "up":
                after = tuple(n * r for n, r in zip(before, step.factors, strict=True))
                total += prod(step.kernel) * prod(after if step.way == "resize" else before)
            extents[step.name] = after
        return total

    # values

    def apply(self, step: Step, inputs: list[np.ndarray], params: Mapping[str, Any], training: bool = False) -> np.ndarray:
        """Return the value of one step but the first and the last."""
        if step.kind in ("conv", "up"):
            return linear(step, inputs[0], wide(params[f"{step.name}.kernel"]), wide(params[f"{step.name}.bias"]))
        if step.kind == "norm":
            return norm(step, inputs[0], params, training)
        if step.kind == "relu":
            return np.where(inputs[0] > 0, inputs[0], 0)
        return inputs[0] + inputs[1] if step.kind == "sum" else np.concatenate(inputs, axis=-1)

    def bound(
        self, step: Step, inputs: list[np.ndarray], params: Mapping[str, Any], rounding: Rounding, training: bool = False
    ) -> np.ndarray | float:
        """Return how far the value of one step may be from the exact value for the same inputs: UN-012."""
        if step.kind in ("conv", "up"):
            return linear_bound(step, inputs[0], wide(params[f"{step.name}.kernel"]), wide(params[f"{step.name}.bias"]), rounding)
        if step.kind == "norm":
            return norm_bound(step, inputs[0], params, training, rounding)
        if step.kind == "sum":
            return rounding.u * np.abs(inputs[0] + inputs[1]) + rounding.inputs * (np.abs(inputs[0]) + np.abs(inputs[1]))
        return 0.0

    def enter(self, x: Any) -> np.ndarray:
        """Return the input followed by the zeros of UN-007."""
        x = wide(x)
        spatial = x.shape[1:-1]
        return np.pad(x, ((0, 0), *((0, m - n) for n, m in zip(spatial, self.padded(spatial), strict=True)), (0, 0)))

    def leave(self, y: np.ndarray, spatial: Shape) -> np.ndarray:
        """Return the positions of ``y`` that UN-007 keeps."""
        return y[_part((0,) * self.ndim, tuple(r * n for r, n in zip(self.output_scale, spatial, strict=True)))]

    def forward(self, params: Mapping[str, Any], x: Any, *, training: bool = False, u: float = 0.0) -> Run:
        """Return all values for the input; with ``u`` also how far a computation with that unit roundoff may be from each of them."""
        run = Run({"x": self.enter(x)}, {})
        run.errors["x"] = np.zeros_like(run.values["x"])
        for step in self.steps[1:]:
            inputs = [run.values[name] for name in step.reads]
            if step.kind == "crop":
                for of in (run.values, run.errors) if u else (run.values,):
                    of["y"] = self.leave(of[step.reads[0]], np.shape(x)[1:-1])
                continue
            run.values[step.name] = self.apply(step, inputs, params, training)
            if u:
                run.errors[step.name] = self._error(step, inputs, [run.errors[name] for name in step.reads], params, training, u)
            if step.statistics and training:
                rest, values = tuple(range(inputs[0].ndim - 1)), inputs[0]
                run.batch[f"{step.name}.mean"], run.batch[f"{step.name}.variance"] = values.mean(axis=rest), values.var(axis=rest)
                if u:
                    self._batch_errors(step, values, run.errors[step.reads[0]], run.batch_errors, u)
        return run

    @staticmethod
    def _batch_errors(step: Step, x: np.ndarray, e: np.ndarray, errors: Arrays, u: float) -> None:
        """Add how far computed means and variances may be off: what was carried in, and ``(n + 8)·u`` of the means of |x| and x²."""
        rest, n = tuple(range(x.ndim - 1)), x[..., 0].size
        size = np.abs(x) + e
        distance = np.abs(x - x.mean(axis=rest))
        errors[f"{step.name}.mean"] = e.mean(axis=rest) + (n + 8) * u * size.mean(axis=rest)
        errors[f"{step.name}.variance"] = (2 * distance * e + e**2).mean(axis=rest) + 2 * (n + 8) * u * (size**2).mean(axis=rest)

    def _error(
        self, step: Step, inputs: list[np.ndarray], errors: list[np.ndarray], params: Mapping[str, Any], training: bool, u: float
    ) -> np.ndarray:
        if step.kind in ("conv", "up"):
            kernel, bias = (np.abs(wide(params[f"{step.name}.{what}"])) for what in ("kernel", "bias"))
            size = np.abs(inputs[0])
            larger = linear(step, size + errors[0], kernel, bias)
            return larger - linear(step, size, kernel, bias) + (step.terms + 2 + _of_blur(step)) * u * larger
        if step.kind == "norm":
            # the local bound is that of the exact input; that of the computed one is larger by less than the factor 2
            local = norm_bound(step, inputs[0], params, training, Rounding(u, u))
            return norm_carried(step, inputs[0], errors[0], params, training) + 2 * local
        if step.kind == "relu":
            return errors[0]
        if step.kind == "sum":
            return errors[0] + errors[1] + u * sum(np.abs(value) + e for value, e in zip(inputs, errors, strict=True))
        return np.concatenate(errors, axis=-1)

    # gradients

    def backward(self, params: Mapping[str, Any], run: Run, cotangent: Any, *, training: bool = False) -> Arrays:
        """Return the gradient of ``<y, cotangent>`` for everything learned."""
        gradients, _ = self._back(params, run, cotangent, training)
        return {name: gradients[name] for name in self.learned}

    def input_gradient(self, params: Mapping[str, Any], run: Run, cotangent: Any, spatial: Shape) -> np.ndarray:
        """Return the gradient of ``<y, cotangent>`` for the input, whose extents are ``spatial``, outside training."""
        _, pulled = self._back(params, run, cotangent, False)
        return pulled["x"][_part((0,) * self.ndim, spatial)]

    def _back(self, params: Mapping[str, Any], run: Run, cotangent: Any, training: bool) -> tuple[Arrays, Arrays]:
        """Go back through the steps: return the gradients for what is learned, and for the value of every step."""
        gradients: Arrays = {}
        pulled: dict[str, np.ndarray] = {}

        def give(name: str, g: np.ndarray) -> None:
            pulled[name] = pulled[name] + g if name in pulled else g

        for step in reversed(self.steps[1:]):
            inputs = [run.values[name] for name in step.reads]
            if step.kind == "crop":
                give(step.reads[0], _placed(wide(cotangent), inputs[0].shape))
                continue
            g = pulled[step.name]
            if step.kind in ("conv", "up"):
                d_x, d_kernel, d_bias = linear_transposed(step, inputs[0], wide(params[f"{step.name}.kernel"]), g)
                gradients |= {f"{step.name}.kernel": d_kernel, f"{step.name}.bias": d_bias}
                give(step.reads[0], d_x)
            elif step.kind == "norm":
                d_x, d_scale, d_bias = norm_transposed(step, inputs[0], params, training, g)
                gradients |= {f"{step.name}.scale": d_scale, f"{step.name}.bias": d_bias}
                give(step.reads[0], d_x)
            elif step.kind == "relu":
                give(step.reads[0], np.where(inputs[0] > 0, g, 0))
            elif step.kind == "sum":
                give(step.reads[0], g)
                give(step.reads[1], g)
            else:
                first = inputs[0].shape[-1]
                give(step.reads[0], g[..., :first])
                give(step.reads[1], g[..., first:])
        return gradients, pulled

    def gradient_errors(self, params: Mapping[str, Any], run: Run, cotangent: Any, u: float, cotangent_error: Any = 0.0) -> Arrays:
        """Return how far each gradient may be off in a computation with unit roundoff ``u``, for a network without normalization.

        ``run`` must have its errors, and no input of a ReLU within its own of 0. On the way back every step is linear in its cotangent and
        in what it kept: with the majorant ``D`` of the exact arguments and ``D'`` of those with errors, ``D' - D + n·u·D'`` is allowed.
        """
        if not self.clear(run):
            raise ValueError("run must have no input of a ReLU within its error of 0")
        errors: Arrays = {}
        pulled: dict[str, tuple[np.ndarray, np.ndarray]] = {}

        def give(name: str, size: np.ndarray, larger: np.ndarray) -> None:
            """Add absolute values, without and with their errors; every addition rounds once."""
            if name in pulled:
                before = pulled[name]
                size, larger = size + before[0], larger + before[1]
                larger = larger + u * larger
            pulled[name] = size, larger

        for step in reversed(self.steps[1:]):
            inputs = [np.abs(run.values[name]) for name in step.reads]
            larger = [value + run.errors[name] for value, name in zip(inputs, step.reads, strict=True)]
            if step.kind == "crop":
                size = np.abs(wide(cotangent))
                give(step.reads[0], _placed(size, inputs[0].shape), _placed(size + cotangent_error, inputs[0].shape))
                continue
            g, g_larger = pulled[step.name]
            if step.kind in ("conv", "up"):
                kernel = np.abs(wide(params[f"{step.name}.kernel"]))
                small = linear_transposed(step, inputs[0], kernel, g)
                large = linear_transposed(step, larger[0], kernel, g_larger)
                positions = prod(inputs[0].shape[:-1]) * (prod(step.factors) if step.kind == "up" else 1)
                back = prod(step.kernel[:-2]) * step.kernel[-1] * (prod(step.factors) if step.way == "resize" else 1)
                for name, less, more in zip(("kernel", "bias"), small[1:], large[1:], strict=True):
                    errors[f"{step.name}.{name}"] = more - less + (positions + 2 + _of_blur(step)) * u * more
                give(step.reads[0], small[0], large[0] * (1 + (back + 2 + _of_blur(step)) * u))
            elif step.kind == "relu":
                passed = run.values[step.reads[0]] > 0
                give(step.reads[0], np.where(passed, g, 0), np.where(passed, g_larger, 0))
            elif step.kind == "sum":
                give(step.reads[0], g, g_larger)
                give(step.reads[1], g, g_larger)
            else:
                first = inputs[0].shape[-1]
                give(step.reads[0], g[..., :first], g_larger[..., :first])
                give(step.reads[1], g[..., first:], g_larger[..., first:])
        return errors

    def masks(self, run: Run) -> list[np.ndarray]:
        """Return which inputs of every ReLU are positive."""
        return [run.values[step.reads[0]] > 0 for step in self.steps if step.kind == "relu"]

    def clear(self, run: Run) -> bool:
        """Whether no input of a ReLU is within its error of 0, those apart that are 0 in every computation."""
        reads = [step.reads[0] for step in self.steps if step.kind == "relu"]
        return all(
            ((np.abs(run.values[name]) > run.errors[name]) | (np.abs(run.values[name]) + run.errors[name] == 0)).all() for name in reads
        )


def _placed(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Return zeros of ``shape`` with the values at the first positions."""
    whole = np.zeros(shape, np.longdouble)
    whole[tuple(slice(0, n) for n in values.shape)] = values
    return whole


def _of_blur(step: Step) -> int:
    """Return the roundings that a blur adds."""
    return prod(step.factors) + 2 if step.blurred else 0
