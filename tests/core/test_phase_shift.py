"""PS and IP: the phase shift and its inverse against the index loop, bit for bit."""

from dataclasses import dataclass
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_conformance.compare import bitwise
from subpixel_core import DATA_FORMATS, ORDERS, inverse_phase_shift, phase_shift

BOTH = pytest.mark.parametrize("operation", ["phase_shift", "inverse_phase_shift"])
core = {"phase_shift": phase_shift, "inverse_phase_shift": inverse_phase_shift}
loop = {"phase_shift": oracle.phase_shift, "inverse_phase_shift": oracle.inverse_phase_shift}


@dataclass(frozen=True)
class Problem:
    """A tensor at low resolution, described: ``low`` and ``high`` are the shapes on both sides of the shift."""

    batch: tuple[int, ...]
    spatial: tuple[int, ...]
    channels: int
    scale: tuple[int, ...]
    order: str
    data_format: str

    @property
    def options(self):
        return {"order": self.order, "data_format": self.data_format}

    @property
    def low(self):
        return self._shape(self.spatial, self.channels * prod(self.scale))

    @property
    def high(self):
        return self._shape(tuple(r * extent for r, extent in zip(self.scale, self.spatial, strict=True)), self.channels)

    def input_shape(self, operation):
        return self.low if operation == "phase_shift" else self.high

    def _shape(self, spatial, channels):
        return (*self.batch, *spatial, channels) if self.data_format == "channels_last" else (*self.batch, channels, *spatial)


@st.composite
def problems(draw):
    """Spatial extents differ from each other, and so do the factors, mostly; now and then an extent is 0 or 1."""
    ndim, batch_ndim = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    spatial = draw(st.permutations(range(1, ndim + 2)))[:ndim]
    batch = draw(st.permutations([2, 3, 1]))[:batch_ndim]
    scale = draw(st.permutations([2, 3, 1, 2] if ndim > 2 else [2, 3, 1, 4, 5]))[:ndim]
    channels = draw(st.sampled_from([2, 3, 4, 1]))
    extents = [*batch, *spatial, channels]
    emptied = draw(st.sampled_from([None, None, None, None, *range(len(extents))]))
    if emptied is not None:
        extents[emptied] = 0
    return Problem(
        tuple(extents[:batch_ndim]),
        tuple(extents[batch_ndim:-1]),
        extents[-1],
        tuple(scale),
        draw(st.sampled_from(ORDERS)),
        draw(st.sampled_from(DATA_FORMATS)),
    )


def iota(shape):
    return np.arange(prod(shape)).reshape(shape)


def random_bits(shape, dtype, seed=0):
    """Return values of any bit pattern: NaNs with payloads, -0, subnormals, what a datetime or a string may hold."""
    dtype = np.dtype(dtype)
    bits = np.random.default_rng(seed).bytes(prod(shape) * dtype.itemsize)
    if dtype == np.bool_:
        bits = bytes(value & 1 for value in bits)
    return np.frombuffer(bits, dtype).reshape(shape)


# --- which value goes where ---


@BOTH
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(3,), (2, 3), (3, 2), (2, 3, 1), (1, 4, 3), (2, 1, 3, 2)])
def test_every_value_is_where_the_index_formula_of_its_order_puts_it(operation, scale, order, data_format):
    problem = Problem((2,), (3, 5, 2, 4)[: len(scale)], 3, scale, order, data_format)
    x = iota(problem.input_shape(operation))
    assert bitwise(core[operation](x, scale, **problem.options), loop[operation](x, scale, **problem.options)) is None


@BOTH
@given(problem=problems())
def test_any_shape_and_scale_is_moved_as_the_index_formula_says(operation, problem):
    x = iota(problem.input_shape(operation))
    assert bitwise(core[operation](x, problem.scale, **problem.options), loop[operation](x, problem.scale, **problem.options)) is None


@given(problem=problems())
def test_the_inverse_undoes_the_shift_and_the_shift_undoes_the_inverse(problem):
    low, high = iota(problem.low), iota(problem.high)
    there = phase_shift(low, problem.scale, **problem.options)
    assert bitwise(inverse_phase_shift(there, problem.scale, **problem.options), low) is None
    back = inverse_phase_shift(high, problem.scale, **problem.options)
    assert bitwise(phase_shift(back, problem.scale, **problem.options), high) is None


@given(problem=problems())
def test_the_inverse_is_the_transpose_of_the_shift(problem):
    x, cotangent = iota(problem.low), iota(problem.high)[::-1] * 3 - 7
    pulled_back = inverse_phase_shift(cotangent, problem.scale, **problem.options)
    assert (phase_shift(x, problem.scale, **problem.options) * cotangent).sum() == (x * pulled_back).sum()


@BOTH
@given(problem=problems())
def test_channels_first_is_channels_last_with_the_channel_axis_moved(operation, problem):
    first = Problem(problem.batch, problem.spatial, problem.channels, problem.scale, problem.order, "channels_first")
    axis = len(problem.batch)
    x = iota(first.input_shape(operation))
    last = core[operation](np.moveaxis(x, axis, -1), problem.scale, order=problem.order)
    assert bitwise(core[operation](x, problem.scale, **first.options), np.moveaxis(last, -1, axis)) is None


@BOTH
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (5, 2, 3, 4), (0, 2, 3, 4), (2, 3, 0)])
def test_with_factors_of_one_the_shift_is_the_identity(operation, shape, order):
    x = iota(shape)
    assert bitwise(core[operation](x, (1, 1), order=order), x) is None


@pytest.mark.parametrize("scale", [2, (2, 2), [2, 2], np.int64(2), (np.uint8(2), 2)])
def test_an_integer_is_the_pair_and_any_kind_of_integer_will_do(scale):
    x = iota((2, 3, 8))
    assert bitwise(phase_shift(x, scale, order="DCR"), oracle.phase_shift(x, (2, 2), order="DCR")) is None


@pytest.mark.parametrize(
    ("shape", "shifted"),
    [
        ((0, 2, 3, 12), (0, 4, 9, 2)),
        ((5, 0, 3, 12), (5, 0, 9, 2)),
        ((5, 2, 0, 12), (5, 4, 0, 2)),
        ((5, 2, 3, 0), (5, 4, 9, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_an_empty_extent_keeps_the_shapes_of_the_formula(shape, shifted):
    y = phase_shift(np.zeros(shape, np.float32), (2, 3), order="CRD")
    assert bitwise(y, np.zeros(shifted, np.float32)) is None
    assert bitwise(inverse_phase_shift(y, (2, 3), order="CRD"), np.zeros(shape, np.float32)) is None


# --- values: copied, bit for bit ---

DTYPES = [
    *np.typecodes["AllInteger"],
    *np.typecodes["AllFloat"],
    *("?", "S3", "U2", "V5", "M8[ns]", "m8[D]"),
    np.dtype([("red", "<u2"), ("alpha", "f8"), ("box", "i1", (2, 2))]),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.int4),
]


@BOTH
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_every_bit_of_every_dtype_is_kept(operation, dtype, order):
    problem = Problem((2,), (3, 5), 3, (2, 3), order, "channels_last")
    x = random_bits(problem.input_shape(operation), dtype)
    assert bitwise(core[operation](x, (2, 3), order=order), loop[operation](x, (2, 3), order=order)) is None


@BOTH
@pytest.mark.parametrize(("floating", "bits"), [("f2", "u2"), ("f4", "u4"), ("f8", "u8"), (ml_dtypes.bfloat16, "u2")])
def test_minus_zero_nan_payloads_and_subnormals_are_kept(operation, floating, bits):
    fraction = {"f2": 10, "f4": 23, "f8": 52}.get(floating, 7)
    sign = 1 << (np.dtype(bits).itemsize * 8 - 1)
    infinity = sign - (1 << fraction)
    special = [sign, infinity + 1, infinity + 5, sign + infinity + 3, 1, sign + 1, infinity, sign + infinity]
    x = np.resize(np.array(special, bits), (4, 6, 12)).view(floating)
    y = core[operation](x, (2, 3), order="CRD")
    assert y.dtype == np.dtype(floating)
    assert bitwise(y.view(bits), loop[operation](x.view(bits), (2, 3), order="CRD")) is None


@BOTH
@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()], ids=["object", "string"])
def test_objects_and_strings_of_any_length_are_moved_as_labels_are(operation, dtype):
    labels = iota((4, 6, 12))
    words = [f"label {'x' * (label % 40)} {label}" for label in range(labels.size)]
    x = np.array(words, dtype).reshape(labels.shape)
    expected = [words[label] for label in loop[operation](labels, (2, 3), order="DRC").ravel()]
    y = core[operation](x, (2, 3), order="DRC")
    assert y.dtype == x.dtype
    assert y.ravel().tolist() == expected


# --- memory ---


def unaligned(x):
    buffer = np.empty(x.nbytes + 1, np.uint8)
    view = buffer[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "strided": lambda x: np.repeat(np.repeat(x, 3, axis=1), 2, axis=-1)[:, ::3, :, ::2],
    "reversed": lambda x: x[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1],
    "Fortran-ordered": np.asfortranarray,
    "transposed": lambda x: x.transpose(2, 0, 3, 1).copy().transpose(1, 3, 0, 2),
    "read-only": read_only,
    "unaligned": unaligned,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
}


@BOTH
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_result_does_not_depend_on_how_the_input_lies_in_memory(operation, layout, order, data_format):
    problem = Problem((2,), (3, 5), 2, (2, 3), order, data_format)
    x = iota(problem.input_shape(operation))
    laid_out = LAYOUTS[layout](x)
    assert (laid_out == x).all()
    y = core[operation](laid_out, (2, 3), **problem.options)
    assert y.dtype == laid_out.dtype
    assert bitwise(y.astype(x.dtype), loop[operation](x, (2, 3), **problem.options)) is None


@BOTH
def test_a_broadcast_input_is_moved_as_if_it_were_written_out(operation):
    x = np.broadcast_to(iota((4, 1, 12)), (4, 6, 12))
    assert bitwise(core[operation](x, (2, 3), order="DCR"), loop[operation](x.copy(), (2, 3), order="DCR")) is None


@BOTH
@given(problem=problems())
def test_the_result_never_shares_memory_with_the_input_which_stays_as_it_was(operation, problem):
    x = iota(problem.input_shape(operation))
    before = x.copy()
    y = core[operation](x, problem.scale, **problem.options)
    assert y is not x
    assert not np.shares_memory(x, y)
    assert y.flags.writeable
    y[...] = -1
    assert bitwise(x, before) is None


@BOTH
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (2, 3, 4), (7, 1, 1, 2)])
def test_the_identity_is_a_copy_too(operation, shape):
    x = iota(shape)
    y = core[operation](x, (1, 1), order="DCR")
    assert not np.shares_memory(x, y)
    y[...] = -1
    assert bitwise(x, iota(shape)) is None
