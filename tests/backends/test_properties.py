"""Every backend against the core, bit for bit: any shape, scale, order, format, dtype, stride; eager and compiled; forward and gradient."""

from dataclasses import dataclass
from importlib import import_module
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import subpixel_core as core
from subpixel_conformance.compare import bitwise
from subpixel_core import DATA_FORMATS, ORDERS

OPERATIONS = ("phase_shift", "inverse_phase_shift")
INVERSE = {"phase_shift": "inverse_phase_shift", "inverse_phase_shift": "phase_shift"}


@pytest.fixture(scope="module", params=["torch", "tensorflow", "jax"])
def backend(request, x64_in_jax):
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return import_module(f"subpixel_{request.param}.adapter").adapter


@pytest.fixture(scope="module", params=["cpu", "accelerator"])
def device(request, backend):
    """The CPU, or the first other device that the backend claims, where it is present."""
    devices = backend.devices()
    if request.param == "cpu":
        return "cpu"
    others = {name: reason for name, reason in devices.items() if name != "cpu"}
    present = [name for name, reason in others.items() if reason is None]
    if not present:
        pytest.skip("; ".join(others.values()) or f"{backend.name} claims the CPU alone")
    return present[0]


@dataclass(frozen=True)
class Problem:
    """One call: an operation, the shape of its input and of its output, and the rest of its arguments."""

    operation: str
    shape: tuple[int, ...]
    shifted: tuple[int, ...]
    scale: tuple[int, ...]
    order: str
    data_format: str

    @property
    def options(self):
        return {"order": self.order, "data_format": self.data_format}

    def of(self, implementation, inverse=False):
        function = getattr(implementation, INVERSE[self.operation] if inverse else self.operation)
        return lambda x: function(x, self.scale, **self.options)


@st.composite
def problems(draw, min_batch=0, max_ndim=4, max_batch=3):
    """Extents and factors that differ from each other, mostly; now and then an extent is 0 or 1."""
    ndim = draw(st.integers(1, max_ndim))
    batch_ndim = draw(st.integers(min_batch, max_batch))
    spatial = draw(st.permutations(range(1, ndim + 2)))[:ndim]
    batch = draw(st.permutations([2, 3, 1]))[:batch_ndim]
    scale = draw(st.permutations([2, 3, 1, 2] if ndim > 2 else [2, 3, 1, 4, 5]))[:ndim]
    extents = [*batch, *spatial, draw(st.sampled_from([2, 3, 1]))]
    emptied = draw(st.sampled_from([None, None, None, None, *range(min_batch, len(extents))]))
    if emptied is not None:
        extents[emptied] = 0
    return problem(
        tuple(extents[:batch_ndim]),
        tuple(extents[batch_ndim:-1]),
        extents[-1],
        tuple(scale),
        operation=draw(st.sampled_from(OPERATIONS)),
        order=draw(st.sampled_from(ORDERS)),
        data_format=draw(st.sampled_from(DATA_FORMATS)),
    )


def problem(batch, spatial, channels, scale, *, operation, order, data_format):
    def shape(spatial, channels):
        return (*batch, *spatial, channels) if data_format == "channels_last" else (*batch, channels, *spatial)

    low = shape(spatial, channels * prod(scale))
    high = shape(tuple(r * extent for r, extent in zip(scale, spatial, strict=True)), channels)
    shapes = (low, high) if operation == "phase_shift" else (high, low)
    return Problem(operation, *shapes, scale, order, data_format)


def dtype_of(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def random_bits(shape, name, seed=0):
    """Return values of any bit pattern, NaNs with payloads and -0 among them."""
    dtype = dtype_of(name)
    bits = np.random.default_rng(seed).bytes(prod(shape) * dtype.itemsize)
    if name == "bool":
        bits = bytes(value & 1 for value in bits)
    return np.frombuffer(bits, dtype).reshape(shape).copy()


def strided(x, stride):
    """Return ``x`` as a view of a larger array (2), of a reversed one (-1), or of one with its axes the other way round (0)."""
    if stride == 0 or not x.ndim:
        return np.asfortranarray(x)
    if stride < 0:
        return np.flip(np.flip(x).copy())
    return np.repeat(x, stride, axis=-1)[..., ::stride]


@given(data=st.data())
def test_forward_is_the_core_bit_for_bit_for_every_shape_and_dtype(backend, device, data):
    problem = data.draw(problems())
    x = random_bits(problem.shape, data.draw(st.sampled_from(backend.claims["dtypes"])))
    expected = problem.of(core)(x)
    x = strided(x, data.draw(st.sampled_from([1, 2, -1, 0])))
    y = problem.of(backend)(backend.to_native(x, device))
    assert backend.device_of(y) == device
    assert bitwise(backend.to_numpy(y), expected) is None


def test_every_dtype_claimed_is_moved_bit_for_bit(backend, device):
    for operation in OPERATIONS:
        for dtype in backend.claims["dtypes"]:
            call = problem((2,), (3, 5), 3, (2, 3), operation=operation, order="CRD", data_format="channels_last")
            x = random_bits(call.shape, dtype)
            assert bitwise(backend.to_numpy(call.of(backend)(backend.to_native(x, device))), call.of(core)(x)) is None, dtype


@given(data=st.data())
def test_the_gradient_is_the_other_operation_of_the_cotangent_bit_for_bit(backend, device, data):
    problem = data.draw(problems())
    dtype = data.draw(st.sampled_from([name for name in backend.claims["dtypes"] if name in ("float16", "bfloat16", "float32", "float64")]))
    x, cotangent = random_bits(problem.shape, dtype), random_bits(problem.shifted, dtype, seed=1)
    pulled_back = backend.vjp(problem.of(backend), backend.to_native(x, device), backend.to_native(cotangent, device))
    assert bitwise(backend.to_numpy(pulled_back), problem.of(core, inverse=True)(cotangent)) is None


def compiled_modes(backend, device):
    """Return the modes other than eager that the machine can run; skip with the reasons where there is none."""
    modes = {mode: reason for mode, reason in backend.modes(device).items() if mode != "eager"}
    available = [mode for mode, reason in modes.items() if reason is None]
    if not available:
        pytest.skip("; ".join(modes.values()))
    return available


@settings(max_examples=4, phases=[Phase.generate])
@given(data=st.data())
def test_compiled_is_the_core_bit_for_bit(backend, device, data):
    problem = data.draw(problems(min_batch=1, max_ndim=3, max_batch=2))
    x = random_bits(problem.shape, "float32")
    for mode in compiled_modes(backend, device):
        if mode.endswith("dynamic") and 0 in x.shape:
            continue  # a symbolic extent is 1 or more
        compiled = backend.compile(problem.of(backend), mode)
        assert bitwise(backend.to_numpy(compiled(backend.to_native(x, device))), problem.of(core)(x)) is None, mode


@settings(max_examples=3, phases=[Phase.generate])
@given(data=st.data())
def test_compiled_once_for_unknown_extents_it_serves_others_too(backend, device, data):
    modes = [mode for mode in compiled_modes(backend, device) if mode.endswith("dynamic")]
    if not modes:
        pytest.skip(f"{backend.name} has no mode for unknown extents here")
    operation, order, data_format = (data.draw(st.sampled_from(choices)) for choices in (OPERATIONS, ORDERS, DATA_FORMATS))
    first, second = (
        problem(batch, spatial, 2, (2, 3), operation=operation, order=order, data_format=data_format)
        for batch, spatial in [((2,), (3, 4)), ((3,), (5, 2))]
    )
    for mode in modes:
        compiled = backend.compile(first.of(backend), mode)
        for call in (first, second):
            x = random_bits(call.shape, "float32")
            assert bitwise(backend.to_numpy(compiled(backend.to_native(x, device))), call.of(core)(x)) is None, mode


@settings(max_examples=3, phases=[Phase.generate])
@given(data=st.data())
def test_the_compiled_gradient_is_the_same(backend, device, data):
    problem = data.draw(problems(min_batch=1, max_ndim=2, max_batch=1))
    x, cotangent = random_bits(problem.shape, "float32"), random_bits(problem.shifted, "float32", seed=1)
    native = backend.to_native(cotangent, device)
    for mode in compiled_modes(backend, device):
        if mode == "vmap" or mode.endswith("dynamic"):
            continue  # the cotangent is a constant of the compiled function: not mapped, its extents known
        pull_back = backend.compile(lambda x: backend.vjp(problem.of(backend), x, native), mode)
        assert bitwise(backend.to_numpy(pull_back(backend.to_native(x, device))), problem.of(core, inverse=True)(cotangent)) is None, mode


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 1, 2)])
def test_the_initializer_asks_for_the_base_shape_and_replicates_its_bits(backend, scale, order):
    asked = []

    def base(shape):
        asked.append(shape)
        return np.arange(prod(shape), dtype=np.float64).reshape(shape)

    taps = (3, 2, 1)[: len(scale)]
    kernel = np.asarray(backend.icnr(base, (*taps, 2, 3 * prod(scale)), scale, order=order))
    assert asked == [(*taps, 2, 3)]
    assert (kernel == core.icnr(np.arange(prod(asked[0])).reshape(asked[0]), scale, order=order)).all()


@given(data=st.data())
def test_the_blur_of_integers_is_the_mean_of_the_core(backend, device, data):
    ndim = data.draw(st.integers(1, 3))
    scale = tuple(data.draw(st.permutations([2, 3, 1, 4]))[:ndim])
    spatial = data.draw(st.permutations([4, 5, 6]))[:ndim]
    # Integers small enough for float32; the mean itself is rounded once per division, in either implementation.
    x = np.random.default_rng(0).integers(-99, 100, (2, *spatial, 3)).astype(np.float32)
    y = backend.to_numpy(backend.box_blur(backend.to_native(x, device), scale))
    expected = core.box_blur(x.astype(np.float64), scale)
    bound = 2.0**-24 * ((prod(scale) + 1) * core.box_blur(np.abs(x).astype(np.float64), scale) + np.abs(expected))
    assert y.dtype == np.float32
    assert (np.abs(y - expected) <= bound).all()
