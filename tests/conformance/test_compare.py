"""The comparisons: each accepts what it must and rejects what it must, on both sides of its limit."""

import numpy as np
import pytest

from subpixel_conformance import compare, identify, oracle

QUIET = np.array([0x7FC00000, 0x7FC00001], dtype=np.uint32).view(np.float32)


def test_bitwise_accepts_the_same_bits():
    special = np.array([0.0, -0.0, np.nan, np.inf, 1e-45], dtype=np.float32)
    assert compare.bitwise(special.copy(), special) is None


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (np.array([1.0, 0.0]), np.array([1.0, -0.0])),
        (QUIET[[0, 0]], QUIET[[0, 1]]),
        (np.array([1, 2], dtype=np.int32), np.array([1, 3], dtype=np.int32)),
        (np.array([1j, 1 + 1j]), np.array([1j, 1 - 1j])),
    ],
)
def test_bitwise_names_the_first_wrong_index(actual, expected):
    difference = compare.bitwise(actual, expected)
    assert difference is not None
    assert difference.index == (1,)


def test_bitwise_rejects_another_shape_or_dtype():
    x = np.zeros((2, 3), dtype=np.float32)
    assert "shape (3, 2)" in str(compare.bitwise(x.T.copy(), x))
    assert "dtype float64" in str(compare.bitwise(x.astype(np.float64), x))
    assert compare.bitwise(np.zeros((0, 3)), np.zeros((0, 3))) is None
    assert compare.bitwise(np.zeros((0, 3)), np.zeros((0, 2))) is not None


def test_bitwise_looks_at_values_in_their_order_whatever_the_memory():
    x = np.arange(6.0).reshape(2, 3)
    assert compare.bitwise(np.asfortranarray(x), x) is None
    assert compare.bitwise(np.asfortranarray(x)[::-1], x) is not None


def test_exact_takes_minus_zero_for_zero_but_no_half():
    assert compare.exact(np.array([-0.0, 3.0]), np.array([0, 3])) is None
    assert compare.exact(np.array([0.0, 3.0000002], dtype=np.float32), np.array([0, 3])) is not None
    assert compare.exact(np.array([np.nan]), np.array([0])) is not None


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(("share", "accepted"), [(0.9, True), (1.1, False)])
def test_a_sum_is_judged_at_its_bound(dtype, share, accepted):
    exact, absolute = np.array([0.5, -2.0], dtype=np.longdouble), np.array([3.0, 9.0], dtype=np.longdouble)
    bound = compare.sum_bound(exact, absolute, 10, dtype)
    ratio, difference = compare.within(exact + share * bound, exact, bound)
    assert (difference is None) is accepted
    assert ratio == pytest.approx(share, rel=1e-4)


def test_the_bound_is_that_of_the_clause():
    bound = compare.sum_bound(np.array([4.0]), np.array([8.0]), 19, "bfloat16")
    assert bound[0] == 19 * 2.0**-24 * 8 + 2.0**-8 * 4


def test_cancellation_is_judged_by_the_terms_and_not_by_the_result():
    bound = compare.sum_bound(np.array([0.0]), np.array([1e6]), 100, "float32")
    assert compare.within(np.array([1.0]), np.array([0.0]), bound)[1] is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_outside_every_bound(value):
    assert compare.within(np.array([value]), np.array([0.0]), np.array([1.0]))[1] is not None


def test_a_bound_of_zero_asks_for_the_exact_value():
    assert compare.within(np.array([2.0]), np.array([2.0]), np.zeros(1)) == (0.0, None)
    assert compare.within(np.array([2.0 + 2**-50]), np.array([2.0]), np.zeros(1))[1] is not None


def test_a_message_names_clause_case_index_and_both_values():
    difference = compare.bitwise(np.array([[1, 2], [3, 5]]), np.array([[1, 2], [3, 4]]))
    assert difference is not None
    assert difference.message("PS-001", "PS-001/some-case") == "PS-001 (PS-001/some-case): y[1, 1] must be 4; got 5"


@pytest.mark.parametrize("order", ["DCR", "CRD", "DRC", "RCD"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_an_order_is_identified(order, data_format, ndim):
    def shift(x, scale):
        return oracle.phase_shift(x, scale, order=order, data_format=data_format)

    assert identify.identify_order(shift, ndim=ndim, data_format=data_format) == order


def test_an_order_is_identified_of_a_function_that_takes_one_factor():
    def shift(x, scale):
        if not isinstance(scale, int):
            raise TypeError("upscale_factor must be an int")
        return oracle.phase_shift(x, (scale, scale), order="DRC")

    assert identify.identify_order(shift) == "DRC"


@pytest.mark.parametrize(
    ("when", "shape", "factors"),
    [
        (lambda x, scale: len(x) == 8, "(8, 2, 3, 18)", "(2, 3)"),
        (lambda x, scale: x.shape[1] == 8, "(2, 8, 9, 18)", "(2, 3)"),
        (lambda x, scale: x.shape[-1] == 48, "(2, 2, 3, 48)", "(2, 3)"),
        (lambda x, scale: scale == (3, 2), "(2, 2, 3, 18)", "(3, 2)"),
    ],
)
def test_a_function_with_two_faces_has_no_one_order(when, shape, factors):
    def shift(x, scale):
        return oracle.phase_shift(x, scale, order="CRD" if when(x, scale) else "DCR")

    found = identify.identify(shift)
    assert found.order is None
    assert (
        found.answer == f"no one order: DCR for a tensor of shape (2, 2, 3, 18) under the factors (2, 3), CRD for {shape} under {factors}"
    )


def test_what_is_refused_of_other_sizes_has_no_say():
    def shift(x, scale):
        if x.shape != (2, 2, 3, 18):
            raise ValueError
        return oracle.phase_shift(x, scale, order="RCD")

    assert identify.identify_order(shift) == "RCD"


def test_no_order_is_identified_where_there_is_none():
    assert identify.identify_order(lambda x, scale: oracle.phase_shift(x, scale, order="DCR")[:, ::-1]) is None
    with pytest.raises(KeyError):
        identify.identify_order(lambda x, scale: {}[0])


def test_an_output_is_described():
    x = np.arange(48.0).reshape(1, 2, 2, 12)
    y = oracle.phase_shift(x, (2, 3), order="RCD")
    assert identify.describe(x, y, (2, 3), "channels_last") == "it matches RCD"
    assert identify.describe(x, y[:, ::-1].copy(), (2, 3), "channels_last") == "a permutation, but of none of the four orders"
    assert identify.describe(x, y + 1, (2, 3), "channels_last") == "not a permutation"
    assert identify.matching_order(y, x, (2, 3), "channels_last", inverse=True) == "RCD"
