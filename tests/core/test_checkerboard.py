"""BL and CB: the box blur and the measure of the checkerboard, against means taken position by position."""

from math import lcm, prod

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_conformance.compare import unit_roundoff, within
from subpixel_core import ORDERS, box_blur, checkerboard, nearest_upsample, subpixel_conv


@st.composite
def problems(draw):
    """(batch extents, spatial extents, channels, scale); boxes may be larger than the image."""
    ndim = draw(st.integers(1, 3))
    batch = draw(st.sampled_from([(2,), (1,), (), (2, 3), (0,)]))
    spatial = draw(st.permutations([4, 3, 5, 2, 1]))[:ndim]
    scale = tuple(draw(st.permutations([2, 3, 1, 4, 5]))[:ndim])
    return (*batch, *spatial, draw(st.sampled_from([2, 3, 1, 0]))), scale


@given(problem=problems())
def test_the_blur_is_exactly_the_mean_over_the_positions_that_exist(problem):
    shape, scale = problem
    # Multiples of everything that a mean may divide by: sums and means are integers, exact in float64.
    x = np.arange(prod(shape)).reshape(shape) * lcm(*range(1, max(scale) + 1)) ** len(scale)
    y = box_blur(x.astype(np.float64), scale)
    assert y.shape == x.shape
    assert y.dtype == np.float64
    assert (y == oracle.box_blur(x, scale)).all()
    assert (box_blur(x, scale) == y).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@given(problem=problems())
def test_the_blur_lies_within_the_bound_of_a_mean_and_keeps_the_dtype(dtype, problem):
    shape, scale = problem
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = np.random.default_rng(0).normal(size=shape).astype(kind)
    exact = oracle.box_blur(x, scale)
    bound = (prod(scale) + 1) * unit_roundoff(dtype, accumulation=True) * oracle.box_blur(np.abs(x), scale) + unit_roundoff(dtype) * np.abs(
        exact
    )
    assert within(box_blur(x, scale), exact, bound, kind)[1] is None


def test_the_box_has_half_of_the_rest_before_and_the_other_half_after():
    impulse = np.array([0.0, 0, 0, 60, 0, 0, 0, 0]).reshape(8, 1)
    assert box_blur(impulse, (4,))[:, 0].tolist() == [0, 15, 15, 15, 15, 0, 0, 0]
    assert box_blur(impulse, (5,))[:, 0].tolist() == [0, 15, 12, 12, 12, 12, 0, 0]


@pytest.mark.parametrize("scale", [2, 3, (2, 3), (5, 4)])
def test_the_border_of_a_map_of_ones_is_not_dark(scale):
    assert (box_blur(np.ones((2, 4, 5, 3)), scale) == 1).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", [(2, 3), (3, 3), (4, 2)])
def test_after_the_blur_a_constant_input_gives_a_constant_interior_for_any_weights(order, scale):
    rng = np.random.default_rng(0)
    kernel = rng.integers(-9, 10, (3, 3, 2, 2 * prod(scale))) * prod(scale)
    y = subpixel_conv(np.ones((1, 6, 7, 2), int), kernel, scale=scale, order=order)
    inside = tuple(slice(2 * r, -2 * r) for r in scale)
    blurred = box_blur(y.astype(np.float64), scale)[0][inside]
    assert (blurred == blurred[0, 0]).all()
    assert (y[0][inside] != y[0][inside][0, 0]).any()


def test_a_two_by_two_box_leaves_the_checkerboard_of_scale_three():
    kernel = np.random.default_rng(0).integers(-9, 10, (1, 1, 2, 18)) * 36
    y = subpixel_conv(np.ones((1, 6, 7, 2), int), kernel, scale=3, order="DCR").astype(np.float64)
    inside = (0, slice(3, -3), slice(3, -3))
    assert np.ptp(box_blur(y, 2)[inside], axis=(0, 1)).min() > 0
    assert np.ptp(box_blur(y, 3)[inside], axis=(0, 1)).max() == 0


# --- the measure ---


@given(data=st.data())
def test_the_checkerboard_is_the_root_mean_square_over_offsets_and_channels(data):
    ndim = data.draw(st.integers(1, 3))
    scale = tuple(data.draw(st.permutations([2, 3, 1]))[:ndim])
    blocks = data.draw(st.permutations([2, 3, 1]))[:ndim]
    batch = data.draw(st.sampled_from([(2,), (), (1, 3)]))
    y = np.random.default_rng(0).normal(size=(*batch, *(r * b for r, b in zip(scale, blocks, strict=True)), 2))
    # Sums of at most n terms of this size, each rounded: n * u * max|y| bounds what either side may be off by.
    assert abs(checkerboard(y, scale) - oracle.checkerboard(y, scale)) <= 4 * y.size * 2.0**-53 * np.abs(y).max()


@pytest.mark.parametrize("scale", [(3,), (2, 3), (2, 1, 2)])
def test_constant_blocks_measure_exactly_zero(scale):
    x = np.random.default_rng(0).normal(size=(2, *(3, 4, 2)[: len(scale)], 3))
    assert checkerboard(nearest_upsample(x, scale), scale) == 0.0
    assert checkerboard(np.full((*scale, 1), 0.1), scale) == 0.0  # whose mean is not 0.1, rounded


def test_the_measure_is_in_the_unit_of_y_and_a_constant_added_does_not_change_it():
    y = np.random.default_rng(0).integers(-9, 10, (2, 4, 8, 2)) * 64
    measured = checkerboard(y, 2)
    assert measured > 0
    assert checkerboard(y + 2**20, 2) == measured
    assert checkerboard(y * 4, 2) == 4 * measured


def test_a_pattern_of_one_and_minus_one_measures_one():
    y = np.tile([[1.0, -1.0], [-1.0, 1.0]], (3, 4))[..., None]
    assert checkerboard(y, 2) == 1.0
    assert checkerboard(y, (1, 1)) == 0.0


@pytest.mark.parametrize("shape", [(0, 4, 6, 2), (2, 0, 6, 2), (2, 4, 6, 0)])
def test_nothing_has_no_checkerboard(shape):
    assert checkerboard(np.zeros(shape), (2, 3)) == 0.0
