"""What is timed beside what in `shift.py`: per framework our shift, the copy of the same bytes, and everyone else's for the same case.

einops and dm-pix, which a machine with a GPU may lack, are left out where they are not installed. Every competitor is a function without
arguments that waits for its own result. Before it is handed out, its output (backward: the gradient)
is compared with the reference, bit for bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

import subpixel_core as core

Run = Callable[[], Any]
COPY, OURS, COMPILED, NATIVE, RUNS = "copy", "ours", "ours, compiled", "native", "ours, DCR"


@dataclass(frozen=True)
class Case:
    """One point of the grid. ``data_format`` is torch's memory format there, and which axis holds the channels elsewhere."""

    framework: str
    ndim: int
    scale: int
    channels: int
    dtype: str
    data_format: str
    direction: str
    batch: int
    size: str | int
    what: str

    @property
    def order(self) -> str:
        """The order of the framework."""
        return "CRD" if self.framework == "torch" else "DCR"

    @property
    def elements(self) -> int:
        """About how many values: so many, or few, so that the call is what takes time, or more than a cache holds."""
        return self.size if isinstance(self.size, int) else {"small": 2**12, "medium": 2**18, "large": 2**23}[self.size]

    @property
    def low(self) -> tuple[int, ...]:
        """(batch, *spatial, C * prod(scale)), the spatial extents unequal."""
        channels = self.channels * self.scale**self.ndim
        positions = max(1, self.elements // (channels * self.batch))
        extent = max(2, round(positions ** (1 / self.ndim)))
        rest = max(2, positions // extent ** (self.ndim - 1) + 1)
        return (self.batch, *(extent,) * (self.ndim - 1), rest, channels)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return an input, channels last, and what the reference makes of it."""
        values = np.random.default_rng(0).integers(0, 256, prod(self.low)).reshape(self.low)
        low = values.astype(_numpy_dtype(self.dtype))
        factors = (self.scale,) * self.ndim
        high = core.phase_shift(low, factors, order=self.order)
        return (low, high) if self.direction == "shift" else (high, low)


def _numpy_dtype(name: str) -> Any:
    if name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return name


def _must_equal(name: str, actual: np.ndarray, expected: np.ndarray) -> None:
    if actual.shape != expected.shape or actual.tobytes() != np.ascontiguousarray(expected).tobytes():
        raise AssertionError(f"{name} is wrong")


def competitors(case: Case, device: str = "cpu", *, compiled: bool = False) -> dict[str, Run]:
    """Return the competitors for a case, each shown to be right; with ``compiled``, ours under `torch.compile` is one."""
    if case.framework == "torch":
        return _torch(case, device, compiled)
    return {"tensorflow": _tensorflow, "jax": _jax, "numpy": _numpy}[case.framework](case, device)


# --- NumPy ---


def _pattern(case: Case, channels_last: bool) -> tuple[str, dict[str, int]]:
    """Return the shift, or its inverse, as einops writes it."""
    axes = "hwd"[: case.ndim]
    parts = [f"{axis}{axis}" for axis in axes]
    inside = ["c", *parts] if case.order == "CRD" else [*parts, "c"]
    low, high = f"({' '.join(inside)})", " ".join(f"({axis} {axis}{axis})" for axis in axes)
    spread = " ".join(axes)
    source, target = (f"n {spread} {low}", f"n {high} c") if channels_last else (f"n {low} {spread}", f"n c {high}")
    if case.direction == "inverse":
        source, target = target, source
    return f"{source} -> {target}", dict.fromkeys(parts, case.scale)


def _numpy(case: Case, device: str) -> dict[str, Run]:
    from einops import rearrange

    x, y = case.arrays()
    last = case.data_format == "channels_last"
    if not last:
        x, y = np.ascontiguousarray(np.moveaxis(x, -1, 1)), np.ascontiguousarray(np.moveaxis(y, -1, 1))
    operation = core.phase_shift if case.direction == "shift" else core.inverse_phase_shift
    factors, options = (case.scale,) * case.ndim, {"order": case.order, "data_format": case.data_format}
    pattern, lengths = _pattern(case, last)

    found: dict[str, Run] = {COPY: lambda: y.copy(), OURS: lambda: operation(x, factors, **options)}

    def einops() -> np.ndarray:
        made = np.ascontiguousarray(rearrange(x, pattern, **lengths))
        return made.copy() if np.shares_memory(made, x) else made  # ours never shares memory

    found["einops"] = einops
    for name, run in found.items():
        _must_equal(name, run(), y)
    return found


# --- torch ---


def _torch(case: Case, device: str, compiled: bool) -> dict[str, Run]:
    import torch

    import subpixel_torch

    def tensor(array: np.ndarray) -> Any:
        first = np.ascontiguousarray(np.moveaxis(array, -1, 1))
        made = torch.from_numpy(first.view(np.int16)).view(torch.bfloat16) if case.dtype == "bfloat16" else torch.from_numpy(first)
        made = made.to(device)
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        if case.data_format == "channels_last" and made.ndim in formats:
            return made.contiguous(memory_format=formats[made.ndim])
        return made.contiguous()

    def array(made: Any) -> np.ndarray:
        raw = made.detach().cpu().contiguous()
        return raw.view(torch.int16).numpy() if case.dtype == "bfloat16" else raw.numpy()

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    x, y = map(tensor, case.arrays())
    operation = subpixel_torch.phase_shift if case.direction == "shift" else subpixel_torch.inverse_phase_shift
    factors = (case.scale,) * case.ndim
    pattern, lengths = _pattern(case, channels_last=False)
    functions: dict[str, Callable[[Any], Any]] = {OURS: lambda t: operation(t, factors)}
    if find_spec("einops"):
        from einops import rearrange

        functions["einops"] = lambda t: rearrange(t, pattern, **lengths)
    if compiled:
        functions[COMPILED] = torch.compile(functions[OURS])
    if case.ndim == 2:
        native = torch.nn.functional.pixel_shuffle if case.direction == "shift" else torch.nn.functional.pixel_unshuffle
        functions[NATIVE] = lambda t: native(t, case.scale)
    found: dict[str, Run] = {}

    def timed(function: Callable[[], Any]) -> Run:
        def run() -> Any:
            result = function()
            wait()
            return result

        return run

    if case.what == "forward":
        found[COPY] = timed(lambda: y.clone())
        for name, function in functions.items():
            found[name] = timed(lambda function=function: function(x))
            _must_equal(name, array(found[name]()), array(y))
        if case.data_format == "channels_last":  # an order that moves runs of channels: what a layer is worth whose kernel has it
            high = case.arrays()[case.direction == "shift"]
            low = tensor(core.inverse_phase_shift(high, factors, order="DCR"))
            u, v = (low, y) if case.direction == "shift" else (x, low)
            found[RUNS] = timed(lambda: operation(u, factors, order="DCR"))
            _must_equal(RUNS, array(found[RUNS]()), array(v))
        return found
    found[COPY] = timed(lambda: x.clone())  # of the gradient, which is as large as the input
    for name, function in functions.items():
        leaf = x.clone().requires_grad_()
        out = function(leaf)
        found[name] = timed(lambda leaf=leaf, out=out: torch.autograd.grad(out, leaf, y, retain_graph=True)[0])
        _must_equal(name, array(found[name]()), array(x))
    return found


# --- TensorFlow ---


def _tensorflow(case: Case, device: str) -> dict[str, Run]:
    import tensorflow as tf

    import subpixel_tensorflow

    arrays = case.arrays()
    if case.data_format == "channels_first":
        arrays = tuple(np.ascontiguousarray(np.moveaxis(a, -1, 1)) for a in arrays)  # type: ignore[assignment]
    x, y = map(tf.constant, arrays)
    operation = subpixel_tensorflow.phase_shift if case.direction == "shift" else subpixel_tensorflow.inverse_phase_shift
    factors = (case.scale,) * case.ndim
    functions: dict[str, Callable[[Any], Any]] = {OURS: lambda t: operation(t, factors, data_format=case.data_format)}
    if case.ndim == 2 and case.data_format == "channels_last":
        native = tf.nn.depth_to_space if case.direction == "shift" else tf.nn.space_to_depth
        functions[NATIVE] = lambda t: native(t, case.scale)
    backward = case.what == "backward"
    goal, source = (x, y) if backward else (y, x)

    def differentiated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def gradient(cotangent: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                out = function(x)
            return tape.gradient(out, x, cotangent)

        return gradient

    found: dict[str, Run] = {}
    copied = tf.function(lambda t: tf.raw_ops.DeepCopy(x=t))
    found[COPY] = lambda: copied(goal)
    for name, function in functions.items():
        compiled = tf.function(differentiated(function) if backward else function)
        found[name] = lambda compiled=compiled: compiled(source)
        _must_equal(name, found[name]().numpy(), goal.numpy())
    return found


# --- JAX ---


def _jax(case: Case, device: str) -> dict[str, Run]:
    import jax
    import jax.numpy as jnp

    import subpixel_jax

    arrays = case.arrays()
    last = case.data_format == "channels_last"
    if not last:
        arrays = tuple(np.ascontiguousarray(np.moveaxis(a, -1, 1)) for a in arrays)  # type: ignore[assignment]
    place = jax.devices({"cpu": "cpu"}.get(device, "cuda"))[0]
    x, y = (jax.device_put(a, place) for a in arrays)
    operation = subpixel_jax.phase_shift if case.direction == "shift" else subpixel_jax.inverse_phase_shift
    factors = (case.scale,) * case.ndim
    pattern, lengths = _pattern(case, last)
    functions: dict[str, Callable[[Any], Any]] = {OURS: lambda t: operation(t, factors, data_format=case.data_format)}
    if find_spec("einops"):
        from einops import rearrange

        functions["einops"] = lambda t: rearrange(t, pattern, **lengths)
    if case.ndim == 2 and last and find_spec("dm_pix"):
        import dm_pix

        native = dm_pix.depth_to_space if case.direction == "shift" else dm_pix.space_to_depth
        functions["dm-pix"] = lambda t: native(t, case.scale)
    backward = case.what == "backward"
    goal, source = (x, y) if backward else (y, x)

    def transposed(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda cotangent: jax.linear_transpose(function, x)(cotangent)[0]

    found: dict[str, Run] = {}
    copied = jax.jit(jnp.copy)
    found[COPY] = lambda: copied(goal).block_until_ready()
    for name, function in functions.items():
        compiled = jax.jit(transposed(function) if backward else function)
        found[name] = lambda compiled=compiled: compiled(source).block_until_ready()
        _must_equal(name, np.asarray(found[name]()), np.asarray(goal))
    return found
