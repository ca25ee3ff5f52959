"""What an exported model may differ by from the model, and how a difference is said."""

import re

import numpy as np
import pytest

from subpixel_core.check import same_answer

WANTED = np.array([[1.0, -2.0], [np.nan, 4.0]], np.float32)
HALF = 4 * np.sqrt(np.finfo(np.float32).eps)


def changed(value):
    got = WANTED.copy()
    got[0, 1] += np.float32(value)
    return got


@pytest.mark.parametrize(
    ("wanted", "got", "allowed"),
    [
        (WANTED, WANTED.copy(), 0.0),
        (WANTED, changed(0.99 * HALF), None),
        (WANTED, changed(0.25), np.full(WANTED.shape, 0.25)),
        (np.array([1, 2]), np.array([1, 2]), None),
        (np.array([1, 2**53]), np.array([2, 2**53]), 1),
        (WANTED * np.complex64(1j), changed(0.99 * HALF) * np.complex64(1j), None),
        (np.array([np.inf, 1.0]), np.array([np.inf, 1.0]), None),
        (np.zeros((0, 2)), np.zeros((0, 2)), None),
    ],
)
def test_the_same_and_what_is_allowed_pass(wanted, got, allowed):
    same_answer("a runtime", (1, 2), wanted, got, allowed)


@pytest.mark.parametrize(
    ("wanted", "got", "allowed", "fault"),
    [
        (WANTED, WANTED.T, None, "nan instead of -2.0 at (0, 1)"),
        (WANTED, changed(1e-6), 0.0, "-1.9999990463256836 instead of -2.0 at (0, 1)"),
        (WANTED, changed(1.01 * HALF), None, "instead of -2.0 at (0, 1)"),
        (WANTED, changed(0.26), np.full(WANTED.shape, 0.25), "instead of -2.0 at (0, 1)"),
        (WANTED, np.nan_to_num(WANTED), None, "0.0 instead of nan at (1, 0)"),
        (1e-3 * WANTED, 1e-3 * WANTED + np.float32(2e-3 * HALF), None, "instead of 0.0010000000474974513 at (0, 0)"),
        (WANTED, np.vstack([WANTED, WANTED]), None, "float32 of shape (4, 2) instead of float32 of shape (2, 2)"),
        (WANTED, WANTED.astype(np.float16), None, "float16 of shape (2, 2) instead of float32 of shape (2, 2)"),
        (WANTED, WANTED[0], None, "float32 of shape (2,) instead of float32 of shape (2, 2)"),
        (WANTED, WANTED.astype(np.float64), None, "float64 of shape (2, 2) instead of float32 of shape (2, 2)"),
        (np.array([1, 2]), np.array([1, 3]), None, "3 instead of 2 at (1,)"),
        *[(np.array([1, 2**53]), np.array([1, 2**53 + 1]), allowed, f"{2**53 + 1} instead of {2**53} at (1,)") for allowed in (None, 0.0)],
        (np.array([1, 2j]), np.array([1, 1 + 2j]), None, "(1+2j) instead of 2j at (1,)"),
        (np.array([np.inf, 1.0]), np.array([1.0, 1.0]), None, "1.0 instead of inf at (0,)"),
    ],
)
def test_everything_else_is_refused_with_the_first_value_that_differs(wanted, got, allowed, fault):
    with pytest.raises(RuntimeError) as caught:
        same_answer("a runtime", (1, 2), wanted, got, allowed)
    assert re.match(r"the exported model must compute what the model does; got (nan|[-\d(]|float)", str(caught.value))
    assert str(caught.value).endswith(f"{fault} from a runtime, for an input of shape (1, 2). Nothing was written")
