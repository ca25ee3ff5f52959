"""Errors of the reference name the argument, the rule and what was received; results have the types that are promised."""

import re

import numpy as np
import pytest

from subpixel_core import ORDERS, base_shape, channel_permutation, icnr_residual, icnr_weight_norm

KERNEL = np.ones((3, 3, 2, 12), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: channel_permutation(12, (2, 0), source="DCR", target="CRD"), "scale must "),
        (lambda: channel_permutation(-6, (2, 3), source="DCR", target="CRD"), "channels must "),
        (
            lambda: channel_permutation(10, (2, 3), source="DCR", target="CRD"),
            "channels must be a multiple of 6, the product of scale=(2, 3); got 10",
        ),
        (lambda: channel_permutation(6, (2, 3), source="dcr", target="CRD"), "source must "),
        (lambda: channel_permutation(6, (2, 3), source="DCR", target="crd"), "target must "),
        (lambda: base_shape((3, 3, 2, -12), (2, 3)), "kernel_shape must "),
        (lambda: base_shape((3, 3, 2, 12), (2, 0)), "scale must "),
        (lambda: base_shape((3, 3, 2, 12), (2, 3, 1)), "scale must "),
        (lambda: base_shape((3, 3, 2, 10), (2, 3)), "channels must be a multiple of 6, the product of scale=(2, 3); got 10"),
        (lambda: icnr_residual(KERNEL, (2, 0), order="DCR"), "scale must "),
        (lambda: icnr_residual(KERNEL, (2, 3, 1), order="DCR"), "scale must "),
        (lambda: icnr_residual(KERNEL, (2, 3), order="dcr"), "order must "),
        (lambda: icnr_weight_norm(KERNEL, (2, 0), order="DCR"), "scale must "),
        (lambda: icnr_weight_norm(KERNEL, (2, 3, 1), order="DCR"), "scale must "),
    ],
)
def test_an_error_begins_with_the_argument_and_the_rule(call, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        call()


def test_an_int_is_that_factor_on_every_axis_of_the_kernel():
    assert base_shape((3, 3, 3, 2, 16), 2) == (3, 3, 3, 2, 2)
    assert icnr_residual(np.repeat(np.arange(2.0), 8).reshape(1, 1, 1, 1, 16), 2, order="CRD") == 0
    g, _ = icnr_weight_norm(np.ones((3, 3, 3, 2, 2)), 2, order="CRD")
    assert g.shape == (16,)


def test_a_base_shape_is_made_of_integers():
    assert [type(extent) for extent in base_shape((3, 3, 2, 12), (2, 3))] == [int] * 4


@pytest.mark.parametrize(
    ("given", "norms"), [("int32", "float64"), ("float16", "float16"), ("float32", "float32"), ("complex64", "float32")]
)
def test_norms_have_the_real_dtype_of_the_kernel(given, norms):
    g, v = icnr_weight_norm(np.full((1, 1, 4, 2), 3).astype(given), (2, 2), order="DCR")
    assert (g.dtype, v.dtype) == (np.dtype(norms), np.dtype(given))
    assert g.tolist() == [6] * 8


@pytest.mark.parametrize("order", ORDERS)
def test_the_residual_of_integers_that_differ_is_their_difference(order):
    kernel = np.zeros((1, 1, 1, 8), np.uint8)
    kernel[..., 0] = 200
    assert icnr_residual(kernel, (2, 2), order=order) == 200
