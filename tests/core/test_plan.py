"""The plan: made from the rank alone, safe for symbolic extents and for sharded arrays, as short as that allows."""

from itertools import pairwise, product

import numpy as np
import pytest

from subpixel_core import DATA_FORMATS, ORDERS, few_axes, inverse_phase_shift, phase_shift, rearrangement
from subpixel_core._phase_shift import _cached_plan

SCALES = [(2,), (1,), (2, 3), (3, 1), (1, 1), (2, 2, 2), (2, 1, 3), (1, 2, 1), (2, 3, 2, 3)]
EVERY_PLAN = [
    pytest.param(rank, scale, order, data_format, inverse, id=f"{scale}-{order}-{data_format}-{'inverse' if inverse else 'shift'}")
    for scale, order, data_format, inverse in product(SCALES, ORDERS, DATA_FORMATS, [False, True])
    for rank in [len(scale) + 3]
]
every_plan = pytest.mark.parametrize(("rank", "scale", "order", "data_format", "inverse"), EVERY_PLAN)


class Symbol:
    """An extent that is unknown: it can be multiplied and divided by an integer, and remembers; anything else raises."""

    def __init__(self, axis, divided_by=1, times=1):
        self.axis, self.divided_by, self.times = axis, divided_by, times

    def __floordiv__(self, divisor):
        assert self.times == 1
        assert divisor > 1, "dividing by 1 makes a new symbol of a known one"
        return Symbol(self.axis, self.divided_by * divisor)

    def __mul__(self, factor):
        assert factor > 1, "multiplying by 1 makes a new symbol of a known one"
        return Symbol(self.axis, self.divided_by, self.times * factor)

    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("a plan must not compare unknown extents")

    def of(self, shape):
        return shape[self.axis] // self.divided_by * self.times


def axes_of(rank, scale, data_format):
    """Return (batch axes, spatial axes, channel axis)."""
    batch = rank - len(scale) - 1
    if data_format == "channels_last":
        return list(range(batch)), list(range(batch, rank - 1)), rank - 1
    return list(range(batch)), list(range(batch + 1, rank)), batch


@every_plan
def test_unknown_extents_pass_through_and_those_neither_divided_nor_multiplied_untouched(rank, scale, order, data_format, inverse):
    plan = rearrangement(rank, scale, order=order, data_format=data_format, inverse=inverse)
    batch, spatial, _ = axes_of(rank, scale, data_format)
    symbols = [Symbol(axis) for axis in range(rank)]
    split, merged = plan.split(symbols), plan.merged(symbols)
    untouched = [*batch, *(axis for axis, r in zip(spatial, scale, strict=True) if r == 1)]
    for axis in untouched:
        assert merged[axis] is symbols[axis]
        assert sum(extent is symbols[axis] for extent in split) == 1

    shape = [3 + axis for axis in range(rank)]
    for axis in range(rank):
        shape[axis] *= int(np.prod(scale))
    for symbolic, known in zip((*split, *merged), (*plan.split(shape), *plan.merged(shape)), strict=True):
        assert (symbolic.of(shape) if isinstance(symbolic, Symbol) else symbolic) == known


@every_plan
def test_batch_and_spatial_axes_are_never_joined_to_a_neighbour(rank, scale, order, data_format, inverse):
    plan = rearrangement(rank, scale, order=order, data_format=data_format, inverse=inverse)
    batch, spatial, channel = axes_of(rank, scale, data_format)
    split = plan.split([Symbol(axis) for axis in range(rank)])
    for axis in batch:
        assert [(s.divided_by, s.times) for s in split if isinstance(s, Symbol) and s.axis == axis] == [(1, 1)]
    for axis, r in zip(spatial, scale, strict=True):
        assert [(s.divided_by, s.times) for s in split if isinstance(s, Symbol) and s.axis == axis] == [(r if inverse else 1, 1)]
    in_order = [split[axis].axis for axis in plan.axes if isinstance(split[axis], Symbol) and split[axis].axis != channel]
    assert in_order == [*batch, *spatial]


@every_plan
def test_parts_of_the_channel_axis_that_stay_neighbours_are_one_axis(rank, scale, order, data_format, inverse):
    plan = rearrangement(rank, scale, order=order, data_format=data_format, inverse=inverse)
    _, _, channel = axes_of(rank, scale, data_format)
    split = plan.split([Symbol(axis) for axis in range(rank)])
    part = [not isinstance(extent, Symbol) or extent.axis == channel for extent in split]
    assert not [(a, b) for a, b in pairwise(plan.axes) if b == a + 1 and part[a] and part[b]]


@pytest.mark.parametrize(
    ("order", "data_format", "split_rank"),
    [
        *[("DCR", "channels_last", 5), ("CRD", "channels_last", 6), ("DRC", "channels_last", 6), ("RCD", "channels_last", 6)],
        *[("DCR", "channels_first", 6), ("CRD", "channels_first", 6), ("DRC", "channels_first", 6), ("RCD", "channels_first", 6)],
    ],
)
def test_two_dimensional_dcr_channels_last_transposes_five_axes_and_the_others_six(order, data_format, split_rank):
    assert len(rearrangement(4, 2, order=order, data_format=data_format).axes) == split_rank


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize("order", ORDERS)
def test_factors_of_one_make_a_plan_that_moves_nothing(order, data_format, inverse):
    plan = rearrangement(4, (1, 1), order=order, data_format=data_format, inverse=inverse)
    assert plan.axes == (0, 1, 2, 3)
    assert plan.split((2, 3, 4, 5)) == plan.merged((2, 3, 4, 5)) == (2, 3, 4, 5)


@pytest.mark.parametrize("imposter", [2.0, np.float64(2), True, (2, 2.0), (2.0, 2), "2"])
def test_the_cache_does_not_take_what_equals_an_integer_for_one(imposter):
    x = np.arange(24).reshape(1, 3, 8)
    phase_shift(x, 2, order="DCR")
    with pytest.raises(TypeError, match="scale must be an integer or a tuple of integers"):
        phase_shift(x, imposter, order="DCR")


def test_the_cache_does_not_take_true_for_one():
    x = np.arange(24).reshape(1, 3, 8)
    phase_shift(x, (1, 1), order="DCR")
    for imposter in [True, (True, 1), (1, True), np.True_]:
        with pytest.raises(TypeError, match="scale must be an integer or a tuple of integers"):
            phase_shift(x, imposter, order="DCR")


def test_a_refusal_is_not_remembered_as_an_answer_nor_an_answer_as_a_refusal():
    x = np.arange(24).reshape(1, 3, 8)
    for _ in range(2):
        with pytest.raises(TypeError):
            phase_shift(x, 2.0, order="DCR")
        assert phase_shift(x, 2, order="DCR").shape == (2, 6, 2)


@every_plan
def test_the_plan_from_the_cache_is_the_plan(rank, scale, order, data_format, inverse):
    options = {"order": order, "data_format": data_format, "inverse": inverse}
    plan = rearrangement(rank, scale, **options)
    anew = rearrangement(rank, scale, **options, cached=False)
    assert anew == plan
    assert anew is not plan
    assert plan is rearrangement(rank, scale, **options)


def test_one_plan_serves_every_extent():
    assert rearrangement(4, (2, 3), order="CRD", data_format="channels_first") is rearrangement(
        4, (2, 3), order="CRD", data_format="channels_first"
    )


# --- plans of few axes ---


def labelled(rank, scale, data_format, inverse):
    """Return labelled integers that the shift takes: unequal extents, two channels."""
    batch, spatial, channel = axes_of(rank, scale, data_format)
    shape = [0] * rank
    for i, axis in enumerate(batch):
        shape[axis] = 2 + i
    for i, axis in enumerate(spatial):
        shape[axis] = (2, 3, 1, 2)[i] * (scale[i] if inverse else 1)
    shape[channel] = 2 if inverse else 2 * int(np.prod(scale))
    return np.arange(np.prod(shape)).reshape(shape)


@every_plan
def test_plans_of_at_most_five_axes_carried_out_one_after_the_other_are_the_shift(rank, scale, order, data_format, inverse):
    x = labelled(rank, scale, data_format, inverse)
    expected = (inverse_phase_shift if inverse else phase_shift)(x, scale, order=order, data_format=data_format)
    plans = few_axes(rank, scale, order=order, data_format=data_format, inverse=inverse)
    for plan in plans:
        assert len(plan.axes) <= 5
        x = x.reshape(plan.split(x.shape)).transpose(plan.axes).reshape(plan.merged(x.shape))
    assert np.array_equal(x, expected)
    assert len(plans) <= max(1, sum(r > 1 for r in scale))


def test_one_plan_is_enough_up_to_two_axes_and_none_where_nothing_moves():
    for order, data_format, inverse in product(ORDERS, DATA_FORMATS, [False, True]):
        for scale, number in [((2,), 1), ((2, 3), 1), ((2, 1, 3), 1), ((1, 1), 0)]:
            assert len(few_axes(len(scale) + 2, scale, order=order, data_format=data_format, inverse=inverse)) == number


@pytest.mark.parametrize("inverse", [False, True])
def test_no_plan_is_of_an_axis_that_is_not_enlarged(inverse):
    assert len(few_axes(5, (2, 3, 1), order="DCR", data_format="channels_first", inverse=inverse)) == 2


def test_plans_of_few_axes_ask_no_cache_which_a_compiler_that_traces_them_cannot_follow():
    before = _cached_plan.cache_info()
    for scale in (2, (2, 2, 2)):
        few_axes(5, scale, order="CRD", data_format="channels_first")
    assert _cached_plan.cache_info() == before


@pytest.mark.parametrize(("inverse", "what"), [(False, "channels"), (True, "extent of spatial axis 1")])
def test_plans_of_few_axes_refuse_what_the_one_plan_refuses_and_in_its_words(inverse, what):
    shape = (1, 3, 4, 3, 5) if inverse else (1, 13, 4, 3, 5)
    messages = []
    for plan in (
        rearrangement(5, (2, 2, 5), order="CRD", data_format="channels_first", inverse=inverse),
        few_axes(5, (2, 2, 5), order="CRD", data_format="channels_first", inverse=inverse)[0],
    ):
        with pytest.raises(ValueError, match=f"{what} must be a multiple of") as caught:
            plan.split(shape)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
