"""IC: which channels are equal at the start, what the base initializer sees, and what that makes of the output."""

from functools import reduce
from math import prod, sqrt

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_conformance.compare import bitwise
from subpixel_core import (
    ORDERS,
    base_shape,
    conv,
    fans,
    icnr,
    icnr_bias,
    icnr_residual,
    icnr_weight_norm,
    nearest_upsample,
    plan_stages,
    subpixel_conv,
)

every_order = pytest.mark.parametrize("order", ORDERS)
every_scale = pytest.mark.parametrize("scale", [(3,), (2, 3), (3, 1), (2, 1, 3), (2, 1, 2, 3)])
orders = st.sampled_from(ORDERS)
scales = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def random_base(scale, seed=0, taps=None):
    """Return (base kernel, base bias) of integers, with Ci = 2 and C = 3."""
    rng = np.random.default_rng(seed)
    taps = taps or (3, 2, 1, 2)[: len(scale)]
    return rng.integers(-9, 10, (*taps, 2, 3)), rng.integers(-9, 10, 3)


@every_order
@every_scale
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "int8", "bool", ml_dtypes.bfloat16])
def test_every_channel_of_a_block_holds_the_bits_of_its_base_channel(order, scale, dtype):
    shape = (*(3, 2, 1, 2)[: len(scale)], 2, 3)
    if dtype == "bool":
        base = np.arange(prod(shape)).reshape(shape) % 3 == 0
    else:
        base = np.frombuffer(np.random.default_rng(0).bytes(prod(shape) * np.dtype(dtype).itemsize), dtype).reshape(shape)
    assert bitwise(icnr(base, scale, order=order), oracle.icnr(base, scale, order=order)) is None
    bias = base.reshape(-1)[:3]
    assert bitwise(icnr_bias(bias, scale, order=order), oracle.icnr_bias(bias, scale, order=order)) is None


@pytest.mark.parametrize("scale", [1, (1, 1)])
def test_icnr_by_one_is_a_copy(scale):
    base, bias = random_base((1, 1))
    for given_, made in [(base, icnr(base, scale, order="DCR")), (bias, icnr_bias(bias, scale, order="CRD"))]:
        assert bitwise(made, given_) is None
        assert not np.shares_memory(made, given_)


@every_order
@every_scale
def test_a_fresh_layer_upsamples_its_base_convolution_by_nearest_neighbour(order, scale):
    base, bias = random_base(scale)
    x = np.random.default_rng(1).integers(-9, 10, (2, *(3, 4, 2, 2)[: len(scale)], 2))
    y = subpixel_conv(x, icnr(base, scale, order=order), icnr_bias(bias, scale, order=order), scale=scale, order=order)
    assert (y == oracle.nearest_upsample(oracle.conv(x, base, bias), scale)).all()


def test_a_bias_of_independent_values_breaks_the_law_by_itself():
    base, _ = random_base((2, 2))
    x = np.random.default_rng(1).integers(-9, 10, (1, 3, 4, 2))
    bias = np.arange(12)
    y = subpixel_conv(x, icnr(base, 2, order="DCR"), bias, scale=2, order="DCR")
    nearest = nearest_upsample(conv(x, base), 2)
    assert (y - nearest == np.tile(oracle.phase_shift(bias.reshape(1, 1, 12), (2, 2), order="DCR"), (1, 3, 4, 1))).all()


# --- the base shape and its fans ---


@given(scale=scales, data=st.data())
def test_the_base_shape_divides_the_channels_and_the_fans_are_its_own(scale, data):
    taps = tuple(data.draw(st.lists(st.integers(1, 5), min_size=len(scale), max_size=len(scale))))
    inputs, outputs = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    whole = (*taps, inputs, outputs * prod(scale))
    assert base_shape(whole, scale) == (*taps, inputs, outputs)
    assert fans(whole, scale) == (prod(taps) * inputs, prod(taps) * outputs)


def test_glorots_deviation_of_the_whole_kernel_would_be_two_point_nine_times_too_small_at_scale_four():
    fan_in, fan_out = fans((3, 3, 64, 64 * 16), 4)
    assert (fan_in, fan_out) == (576, 576)
    whole = sqrt(2 / (9 * 64 + 9 * 64 * 16))
    assert round(sqrt(2 / (fan_in + fan_out)) / whole, 1) == 2.9


# --- the residual ---


@given(scale=scales, order=orders, seed=st.integers(0, 99))
def test_the_residual_is_zero_for_icnr_and_the_change_for_one_changed_channel(scale, order, seed):
    base, base_bias = random_base(scale)
    kernel, bias = icnr(base, scale, order=order), icnr_bias(base_bias, scale, order=order)
    assert icnr_residual(kernel, scale, order=order, bias=bias) == 0.0
    if prod(scale) == 1:
        return
    rng = np.random.default_rng(seed)
    for array in (kernel, bias):
        place = tuple(rng.integers(0, extent) for extent in array.shape)
        array[place] += 5
        assert icnr_residual(kernel, scale, order=order, bias=bias) == 5.0
        array[place] -= 5


@given(scale=scales, order=orders, made_for=orders, seed=st.integers(0, 9))
def test_the_residual_is_the_largest_difference_to_the_channel_at_offset_zero(scale, order, made_for, seed):
    base, base_bias = random_base(scale, seed)
    kernel, bias = icnr(base, scale, order=made_for), icnr_bias(base_bias, scale, order=made_for)
    assert icnr_residual(kernel, scale, order=order, bias=bias) == oracle.icnr_residual(kernel, scale, order=order, bias=bias)
    noise = np.random.default_rng(seed).integers(-9, 10, kernel.shape)
    assert icnr_residual(noise, scale, order=order) == oracle.icnr_residual(noise, scale, order=order)


@every_order
@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float16", 2.0**-24),
        ("float32", 2.0**-149),
        ("float64", 2.0**-1074),
        (ml_dtypes.bfloat16, 2.0**-133),
        ("complex64", 2.0**-149 * 1j),
    ],
)
def test_the_smallest_difference_there_is_is_not_zero(order, dtype, value):
    kernel = np.zeros((1, 2, 8), dtype)
    kernel[0, 1, 5] = value
    assert icnr_residual(kernel, 2, order=order) > 0.0


@pytest.mark.parametrize("dtype", ["int64", "uint64", "longdouble"])
def test_a_difference_that_float64_cannot_hold_is_not_zero(dtype):
    kernel = np.full((1, 2, 8), 2**53, dtype)
    kernel[0, 1, 5] += 1
    assert icnr_residual(kernel, 2, order="DCR") > 0.0


@every_order
@pytest.mark.parametrize("place", range(4))
def test_a_nan_in_kernel_or_bias_is_never_taken_for_icnr(order, place):
    kernel, bias = np.ones((1, 2, 4)), np.ones(4)
    kernel[0, 0, place] = np.nan
    assert np.isnan(icnr_residual(kernel, 2, order=order))
    assert np.isnan(icnr_residual(kernel, 2, order=order, bias=bias))
    bias[place] = np.nan
    assert np.isnan(icnr_residual(np.ones((1, 2, 4)), 2, order=order, bias=bias))
    assert np.isnan(icnr_residual(np.full((1, 2, 4), np.nan), 2, order=order))


@every_order
def test_infinities_that_are_replicated_are_icnr_and_others_are_not(order):
    base, _ = random_base((2, 2))
    base = np.where(base > 5, np.inf, np.where(base < -5, -np.inf, base))
    kernel = icnr(base, 2, order=order)
    assert np.isinf(kernel).any()
    assert icnr_residual(kernel, 2, order=order) == 0.0
    kernel[0, 0, 0, 0] = np.inf if np.isfinite(kernel[0, 0, 0, 0]) else 0.0
    assert icnr_residual(kernel, 2, order=order) == np.inf


@pytest.mark.parametrize("shape", [(3, 0, 12), (3, 2, 0)])
def test_an_empty_kernel_is_icnr(shape):
    assert icnr_residual(np.zeros(shape), 2, order="CRD") == 0.0


# --- weight normalization ---


@every_order
@every_scale
def test_magnitudes_and_directions_are_both_replicated(order, scale):
    base, _ = random_base(scale)
    g, v = icnr_weight_norm(base.astype(float), scale, order=order)
    axes = tuple(range(base.ndim - 1))
    assert bitwise(v, oracle.icnr(base.astype(float), scale, order=order)) is None
    # The squares are integers, so the sum is exact and one rounding, that of the root, is left.
    assert bitwise(g, oracle.icnr_bias(np.sqrt((base**2).sum(axis=axes)), scale, order=order)) is None
    product = g * v / np.sqrt((v**2).sum(axis=axes))
    assert icnr_residual(product, scale, order=order) == 0.0
    assert (np.abs(product - v) <= 2 * np.finfo(float).eps * np.abs(v)).all()  # a product and a quotient, each rounded once


# --- chains ---


def chain(x, factors, taps, *, order, seed=0):
    """Return the output of a chain of ICNR stages of integers, and the base kernels and biases of its stages."""
    bases = []
    for i, scale in enumerate(factors):
        rng = np.random.default_rng(seed + i)
        bases.append((rng.integers(-2, 3, (*taps, x.shape[-1], 2)), rng.integers(-2, 3, 2)))
        base, bias = bases[-1]
        x = subpixel_conv(x, icnr(base, scale, order=order), icnr_bias(bias, scale, order=order), scale=scale, order=order)
    return x, bases


@every_order
def test_a_chain_of_one_tap_stages_is_nearest_neighbour_over_the_whole_product(order):
    x = np.random.default_rng(9).integers(-5, 6, (1, 3, 4, 2))
    y, bases = chain(x, [(2, 3), (3, 1), (2, 2)], (1, 1), order=order)
    low = reduce(lambda z, stage: oracle.conv(z, *stage), bases, x)
    assert (y == oracle.nearest_upsample(low, (12, 6))).all()


@every_order
def test_a_chain_of_more_taps_is_constant_over_the_blocks_of_its_last_stage_and_not_of_the_product(order):
    x = np.random.default_rng(9).integers(-5, 6, (1, 3, 4, 2))
    y, _ = chain(x, [(2, 3), (3, 2)], (3, 3), order=order)
    assert (y == oracle.nearest_upsample(y[:, ::3, ::2], (3, 2))).all()
    assert (y != oracle.nearest_upsample(y[:, ::6, ::6], (6, 6))).any()


@every_order
@pytest.mark.parametrize("taps", [(1, 1), (3, 3), (2, 4)])
def test_a_constant_input_gives_a_constant_output_wherever_the_border_is_not_seen(order, taps):
    factors = [(2, 3), (3, 2)]
    x = np.ones((1, 9, 11, 2), int) * [3, -2]
    y, _ = chain(x, factors, taps, order=order)
    reach = plan_stages((6, 6), 2, 2, kernel_size=taps, factors=factors).receptive_field
    inside = y[0, 6 * reach[0] : -6 * reach[0], 6 * reach[1] : -6 * reach[1]]
    assert inside.size
    assert (inside == inside[:1, :1]).all()
    if prod(taps) > 1:
        assert (y != inside[0, 0]).any()
