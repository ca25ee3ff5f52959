"""CV, SC, SP: the reference convolutions against sums taken position by position."""

from dataclasses import dataclass
from math import prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_conformance.compare import bitwise, exact, sum_bound, within
from subpixel_core import (
    ORDERS,
    conv,
    conv_transpose,
    depthwise_conv,
    nearest_upsample,
    padding_widths,
    phase_shift,
    separable_subpixel_conv,
    subpixel_conv,
)

SUM_DTYPES = ["float16", "float32", "float64", "bfloat16"]


def dtype_of(name):
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


@dataclass(frozen=True)
class Problem:
    """A convolution: ``x`` is the shape of the input, ``kernel`` that of the kernel."""

    x: tuple[int, ...]
    kernel: tuple[int, ...]
    padding: object
    bias: bool

    def integers(self, seed=0, dtype=np.int64):
        rng = np.random.default_rng(seed)
        shapes = [self.x, self.kernel, *([self.kernel[-1:]] if self.bias else [])]
        return [rng.integers(-9, 10, shape).astype(dtype) for shape in shapes]

    def floats(self, seed=0, dtype=np.float64):
        rng = np.random.default_rng(seed)
        shapes = [self.x, self.kernel, *([self.kernel[-1:]] if self.bias else [])]
        return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@st.composite
def problems(draw, outputs=None):
    ndim = draw(st.integers(1, 3))
    spatial = draw(st.permutations([4, 3, 5, 2]))[:ndim]
    taps = draw(st.lists(st.integers(1, 4 if ndim < 3 else 3), min_size=ndim, max_size=ndim))
    pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=ndim, max_size=ndim).map(tuple)
    padding = draw(st.one_of(st.sampled_from(["same", "same", "valid"]), pairs))
    if draw(st.integers(0, 5)) == 0:
        spatial[draw(st.integers(0, ndim - 1))] = 0
    widths = padding_widths(padding, taps)
    spatial = [max(extent, k - before - after) for extent, k, (before, after) in zip(spatial, taps, widths, strict=True)]
    inputs = draw(st.sampled_from([2, 3, 1]))
    if outputs is None:
        outputs = draw(st.sampled_from([2, 4, 1]))
    return Problem((draw(st.sampled_from([1, 2, 0])), *spatial, inputs), (*taps, inputs, outputs), padding, draw(st.booleans()))


@given(k=st.integers(1, 12))
def test_same_puts_half_of_the_taps_before_and_the_rest_after_and_keeps_the_extent(k):
    ((before, after),) = padding_widths("same", (k,))
    assert before == (k - 1) // 2
    assert before + after == k - 1
    assert padding_widths("valid", (k,)) == ((0, 0),)
    assert padding_widths([(before, after)], (k,)) == ((before, after),)


@given(problem=problems())
def test_a_convolution_of_integers_is_exactly_its_sum(problem):
    operands = problem.integers()
    assert bitwise(conv(*operands, padding=problem.padding), oracle.conv(*operands, padding=problem.padding)) is None


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "bool"])
def test_integers_of_any_width_are_summed_without_overflow(dtype):
    operands = [np.ones((1, 300, 3), dtype), np.ones((300, 3, 2), dtype), np.ones(2, dtype)]
    if dtype != "bool":
        operands[0] *= np.iinfo(dtype).max
    expected = oracle.conv(*(operand.astype(np.int64) for operand in operands))
    assert bitwise(conv(*operands), expected) is None


def test_unsigned_integers_of_64_bits_are_summed_in_their_own_dtype():
    x, kernel, bias = (np.array(values, np.uint64) for values in ([[[2**63, 1]]], [[[1, 1], [5, 7]]], [3, 2**62]))
    expected = [2**63 + 5 + 3, 2**63 + 7 + 2**62]
    for y in (conv(x, kernel, bias), conv_transpose(x, kernel, bias, stride=1)):
        assert (y.dtype, y.ravel().tolist()) == (np.uint64, expected)
    y = depthwise_conv(x, kernel[..., :1] * np.uint64(0) + np.uint64(1))
    assert (y.dtype, y.ravel().tolist()) == (np.uint64, [2**63, 1])


@pytest.mark.parametrize(("bias", "dtype"), [(None, "float32"), ("float32", "float32"), ("float64", "float64")])
def test_the_bias_is_an_operand_like_the_others(bias, dtype):
    x, kernel, bias = np.ones((1, 3, 2), "float32"), np.ones((1, 2, 2), "float32"), None if bias is None else np.full(2, 2.0**-40, bias)
    for y in (conv(x, kernel, bias), conv_transpose(x, kernel, bias, stride=1)):
        assert y.dtype == dtype
        assert y[0, 1, 0] == (2 if dtype == "float32" else 2 + 2.0**-40)


def test_a_transposed_convolution_may_crop_all_there_is():
    x, kernel = np.ones((1, 3, 2)), np.ones((2, 2, 4))
    assert conv_transpose(x, kernel, stride=1, padding=2).shape == (1, 0, 4)
    assert conv_transpose(x[:, :0], kernel[:1], stride=1).shape == (1, 0, 4)


@given(problem=problems(), seed=st.integers(0, 9))
def test_a_convolution_of_float64_lies_within_the_bound_of_its_sum(problem, seed):
    operands = problem.floats(seed)
    check_bound(conv(*operands, padding=problem.padding), operands, problem, "float64")


@pytest.mark.parametrize("dtype", SUM_DTYPES)
@given(problem=problems(), seed=st.integers(0, 3))
def test_a_convolution_of_every_precision_lies_within_the_bound_of_its_sum_and_keeps_the_dtype(dtype, problem, seed):
    operands = problem.floats(seed, dtype_of(dtype))
    check_bound(conv(*operands, padding=problem.padding), operands, problem, dtype)


def check_bound(y, operands, problem, dtype):
    exact_result = oracle.conv(*operands, padding=problem.padding)
    absolute = oracle.conv(*(np.abs(operand) for operand in operands), padding=problem.padding)
    bound = sum_bound(exact_result, absolute, prod(problem.kernel[:-1]) + 1, dtype)
    assert within(y, exact_result, bound, dtype_of(dtype))[1] is None


@pytest.mark.parametrize(("dtype", "terms"), [("float16", 4096), ("bfloat16", 512)])
def test_low_precision_is_summed_in_float32(dtype, terms):
    # A sum of ones kept in the dtype itself stops growing at 2048 (float16) or 256 (bfloat16).
    ones = np.ones(terms, dtype_of(dtype))
    assert conv(ones.reshape(1, 1, terms), ones.reshape(1, terms, 1)).item() == terms
    assert conv(ones.reshape(1, terms, 1), ones.reshape(terms, 1, 1), padding="valid").item() == terms
    assert depthwise_conv(ones.reshape(1, terms, 1), ones.reshape(terms, 1, 1), padding="valid").item() == terms
    assert conv_transpose(ones.reshape(1, 1, terms), ones.reshape(1, terms, 1), stride=1).item() == terms


def test_float64_is_summed_in_float64():
    x = np.array([1.0, 2.0**-40, -1.0]).reshape(1, 1, 3)
    assert conv(x, np.ones((1, 3, 1))).item() == 2.0**-40


@given(problem=problems())
def test_a_complex_convolution_is_the_sum_of_its_real_ones(problem):
    x, kernel, *bias = problem.integers()
    turned = conv(x * (1 + 2j), kernel * (3 - 1j), *(b * 1j for b in bias), padding=problem.padding)
    plain = conv(x, kernel, padding=problem.padding)
    expected = plain * ((1 + 2j) * (3 - 1j)) + (bias[0] * 1j if bias else 0)
    assert (turned == expected).all()
    assert turned.dtype == np.complex128


@given(problem=problems().filter(lambda problem: min(problem.x) > 0))
def test_a_convolution_is_the_correlation_of_scipy(problem):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    x, kernel, *bias = problem.integers(dtype=np.float64)
    padded = np.pad(x, ((0, 0), *padding_widths(problem.padding, kernel.shape[:-2]), (0, 0)))
    y = conv(x, kernel, *bias, padding=problem.padding)
    for n, q in np.ndindex(len(x), kernel.shape[-1]):
        channels = range(x.shape[-1])
        expected = sum(signal.correlate(padded[n, ..., p], kernel[..., p, q], mode="valid", method="direct") for p in channels)
        assert (y[n, ..., q] == expected + (bias[0][q] if bias else 0)).all()


@given(problem=problems(outputs=1))
def test_a_depthwise_convolution_is_a_convolution_of_every_channel_by_itself(problem):
    x, depthwise, *_ = problem.integers()
    y = depthwise_conv(x, depthwise, padding=problem.padding)
    assert bitwise(y, oracle.depthwise_conv(x, depthwise, padding=problem.padding)) is None
    for p in range(x.shape[-1]):
        alone = conv(x[..., p : p + 1], depthwise[..., p : p + 1, :], padding=problem.padding)
        assert bitwise(y[..., p : p + 1], alone) is None


# --- transposed convolution, nearest-neighbour ---


@st.composite
def transposed(draw):
    ndim = draw(st.integers(1, 3))
    stride = tuple(draw(st.permutations([2, 3, 1]))[:ndim])
    taps = draw(st.lists(st.integers(1, 5 if ndim == 1 else 3), min_size=ndim, max_size=ndim))
    spatial = draw(st.permutations([3, 2, 4]))[:ndim]
    output_padding = tuple(draw(st.integers(0, s - 1)) for s in stride)
    full = [(h - 1) * s + k + more for h, s, k, more in zip(spatial, stride, taps, output_padding, strict=True)]
    padding = tuple(draw(st.integers(0, min(3, extent // 2))) for extent in full)
    inputs, outputs = draw(st.sampled_from([2, 3])), draw(st.sampled_from([2, 1]))
    problem = Problem((2, *spatial, inputs), (*taps, inputs, outputs), None, draw(st.booleans()))
    return problem, {"stride": stride, "padding": padding, "output_padding": output_padding}


@given(case=transposed())
def test_a_transposed_convolution_is_exactly_its_sum(case):
    problem, options = case
    operands = problem.integers()
    assert bitwise(conv_transpose(*operands, **options), oracle.conv_transpose(*operands, **options)) is None


@given(case=transposed())
def test_a_transposed_convolution_is_the_transpose_of_a_strided_one(case):
    problem, options = case
    x, kernel, *_ = problem.integers()
    y = conv_transpose(x, kernel, **options)
    cotangent = np.random.default_rng(1).integers(-9, 10, y.shape)
    # The strided convolution that it transposes: crop becomes zeros around, the kernel is read from Co to Ci.
    around = [(p, max(p - more, 0)) for p, more in zip(options["padding"], options["output_padding"], strict=True)]
    ahead = oracle.conv(cotangent, np.swapaxes(kernel, -1, -2), padding=around)
    strided = ahead[(slice(None), *(slice(None, h * s, s) for h, s in zip(x.shape[1:-1], options["stride"], strict=True)))]
    assert (y * cotangent).sum() == (x * strided[tuple(slice(extent) for extent in x.shape)]).sum()


@pytest.mark.parametrize("dtype", ["int16", "float16", "float32", "complex64", "bool", "M8[s]", "S2"])
@pytest.mark.parametrize(("shape", "scale"), [((2, 3, 4, 2), (2, 3)), ((3, 2), (4,)), ((2, 3, 1, 2, 2), (1, 2, 3)), ((0, 3, 2), (2,))])
def test_nearest_neighbour_repeats_every_value_over_its_block_bit_for_bit(shape, scale, dtype):
    x = np.frombuffer(np.random.default_rng(0).bytes(prod(shape) * np.dtype(dtype).itemsize), dtype if dtype != "bool" else "u1").reshape(
        shape
    )
    assert bitwise(nearest_upsample(x, scale), oracle.nearest_upsample(x, scale)) is None


def test_nearest_neighbour_by_one_is_a_copy():
    x = np.arange(24).reshape(2, 3, 4)
    y = nearest_upsample(x, 1)
    assert bitwise(y, x) is None
    assert not np.shares_memory(x, y)


# --- the sub-pixel layer ---


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(3,), (2, 3), (1, 2, 3)])
@given(data=st.data())
def test_a_subpixel_convolution_is_the_convolution_then_the_shift(order, scale, data):
    ndim = len(scale)
    taps = tuple(data.draw(st.lists(st.integers(1, 3), min_size=ndim, max_size=ndim)))
    problem = Problem((2, *(3, 2, 4)[:ndim], 2), (*taps, 2, 2 * prod(scale)), "same", data.draw(st.booleans()))
    operands = problem.integers()
    expected = oracle.phase_shift(oracle.conv(*operands), scale, order=order)
    assert bitwise(subpixel_conv(*operands, scale=scale, order=order), expected) is None


@pytest.mark.parametrize("padding", ["valid", ((2, 0), (1, 3))])
def test_the_padding_of_a_subpixel_convolution_is_that_of_its_convolution(padding):
    x, kernel, bias = Problem((2, 4, 5, 3), (3, 2, 3, 12), None, True).integers()
    expected = oracle.phase_shift(oracle.conv(x, kernel, bias, padding=padding), (2, 3), order="CRD")
    assert bitwise(subpixel_conv(x, kernel, bias, scale=(2, 3), order="CRD", padding=padding), expected) is None


def test_an_integer_scale_holds_on_every_axis_of_the_kernel():
    x, kernel = Problem((1, 2, 3, 2, 2), (1, 2, 3, 2, 16), None, False).integers()
    expected = oracle.phase_shift(oracle.conv(x, kernel), (2, 2, 2), order="DCR")
    assert bitwise(subpixel_conv(x, kernel, scale=2, order="DCR"), expected) is None


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("padding", ["same", "valid", ((2, 0), (1, 3))])
def test_a_separable_one_is_depthwise_then_pointwise_with_the_bias_then_the_shift(order, padding):
    rng = np.random.default_rng(0)
    x, depthwise, pointwise, bias = (rng.integers(-9, 10, shape) for shape in [(2, 4, 5, 3), (3, 2, 3, 1), (1, 1, 3, 12), (12,)])
    z = oracle.depthwise_conv(x, depthwise, padding=padding)
    expected = oracle.phase_shift(oracle.conv(z, pointwise, bias), (2, 3), order=order)
    actual = separable_subpixel_conv(x, depthwise, pointwise, bias, scale=(2, 3), order=order, padding=padding)
    assert bitwise(actual, expected) is None
    assert exact(subpixel_conv(x, depthwise * pointwise, bias, scale=(2, 3), order=order, padding=padding), expected) is None


@pytest.mark.parametrize("function", [conv, depthwise_conv])
def test_a_kernel_as_large_as_the_padded_input_gives_one_value_and_a_larger_one_is_refused(function):
    assert function(np.ones((1, 2, 1)), np.ones((2, 1, 1)), padding="valid").shape == (1, 1, 1)
    for taps in (3, 4):
        with pytest.raises(ValueError, match=rf"kernel must not be larger than the padded input \(2,\); got \({taps},\)"):
            function(np.ones((1, 2, 1)), np.ones((taps, 1, 1)), padding="valid")
    with pytest.raises(ValueError, match=r"kernel must not be larger than the padded input \(2,\); got \(3,\)"):
        function(np.ones((1, 0, 1)), np.ones((3, 1, 1)))


def test_the_operands_stay_as_they_were():
    operands = Problem((2, 4, 5, 3), (3, 2, 3, 12), None, True).integers()
    before = [operand.copy() for operand in operands]
    for function in (conv, lambda *arrays: conv_transpose(*arrays, stride=2), lambda *arrays: subpixel_conv(*arrays, scale=2, order="DCR")):
        y = function(*operands)
        y[...] = 0
    assert all((operand == unchanged).all() for operand, unchanged in zip(operands, before, strict=True))
    assert phase_shift(operands[0], (1, 1), order="DCR").shape == operands[0].shape
