"""CP: the permutation that carries weights from one order to another."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_core import ORDERS, channel_permutation, phase_shift, subpixel_conv

scales = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple).filter(lambda scale: prod(scale) <= 48)
orders = st.sampled_from(ORDERS)


@given(scale=scales, outputs=st.integers(0, 5), source=orders, target=orders)
def test_the_permutation_takes_the_index_of_one_order_to_that_of_another(scale, outputs, source, target):
    channels = outputs * prod(scale)
    expected = oracle.channel_permutation(channels, scale, source=source, target=target)
    actual = channel_permutation(channels, scale, source=source, target=target)
    assert actual.dtype == np.intp
    assert actual.tolist() == expected.tolist()


@given(scale=scales, outputs=st.integers(1, 4), source=orders, target=orders)
def test_permuted_channels_shifted_by_the_target_are_the_channels_shifted_by_the_source(scale, outputs, source, target):
    channels = outputs * prod(scale)
    x = np.arange(2 ** len(scale) * channels).reshape(*(2,) * len(scale), channels)
    p = channel_permutation(channels, scale, source=source, target=target)
    assert (oracle.phase_shift(x, scale, order=source) == phase_shift(x[..., p], scale, order=target)).all()


@given(scale=scales, outputs=st.integers(1, 4), source=orders, target=orders)
def test_the_way_back_is_the_inverse_permutation(scale, outputs, source, target):
    channels = outputs * prod(scale)
    there = channel_permutation(channels, scale, source=source, target=target)
    back = channel_permutation(channels, scale, source=target, target=source)
    assert there[back].tolist() == list(range(channels))


@pytest.mark.parametrize("source", ORDERS)
@pytest.mark.parametrize("target", ORDERS)
def test_everything_held_per_channel_between_convolution_and_shift_moves_with_the_kernel(source, target):
    rng = np.random.default_rng(0)
    x, kernel = rng.integers(-4, 5, (2, 3, 5, 3)), rng.integers(-4, 5, (3, 2, 3, 12))
    bias, gain, offset, slope = rng.integers(-4, 5, (4, 12))
    p = channel_permutation(12, (2, 3), source=source, target=target)
    assert (
        subpixel_conv(x, kernel, bias, scale=(2, 3), order=source) == subpixel_conv(x, kernel[..., p], bias[p], scale=(2, 3), order=target)
    ).all()

    def between(y, gain, offset, slope):
        y = y * gain + offset
        return np.where(y < 0, slope * y, y)

    y = oracle.conv(x, kernel, bias)
    permuted = oracle.conv(x, kernel[..., p], bias[p])
    assert (
        phase_shift(between(y, gain, offset, slope), (2, 3), order=source)
        == phase_shift(between(permuted, gain[p], offset[p], slope[p]), (2, 3), order=target)
    ).all()
