"""ST: the arithmetic of chained stages, counted one by one."""

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from subpixel_conformance import oracle
from subpixel_core import Stage, conv, factorizations, phase_shift, plan_stages


@st.composite
def problems(draw):
    """A scale of up to three axes, isotropic or not, primes and mixed radix included, with everything else that a plan depends on."""
    ndim = draw(st.integers(1, 3))
    if draw(st.booleans()):
        scale = (draw(st.sampled_from([1, 2, 3, 4, 6, 7, 8, 12, 16, 30])),) * ndim
    else:
        scale = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=ndim, max_size=ndim)))
    options = {
        "kernel_size": tuple(draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim))),
        "width": draw(st.one_of(st.none(), st.integers(1, 20))),
        "bias": draw(st.booleans()),
        "separable": draw(st.booleans()),
    }
    return scale, draw(st.integers(1, 24)), draw(st.integers(1, 24)), options


def scales_of(plan):
    return tuple(stage.scale for stage in plan.stages)


# --- the quantities, against counting ---


@given(problem=problems(), data=st.data())
def test_parameters_macs_and_activations_of_given_factors_are_those_counted(problem, data):
    scale, inputs, outputs, options = problem
    factors = data.draw(st.sampled_from(list(oracle.factorizations(scale))[:40] or [(scale,)])) or (scale,)
    spatial = tuple(data.draw(st.lists(st.integers(0, 9), min_size=len(scale), max_size=len(scale))))
    plan = plan_stages(scale, inputs, outputs, ndim=len(scale), factors=factors, **options)
    counted = oracle.chain_shapes(factors, inputs, outputs, options["width"])
    assert scales_of(plan) == factors
    assert plan.scale == scale
    assert [(stage.in_channels, stage.out_channels) for stage in plan.stages] == [(i, o) for i, o, _ in counted]
    costs = {"separable": options["separable"]}
    assert plan.parameters == oracle.chain_parameters(counted, options["kernel_size"], bias=options["bias"], **costs)
    assert plan.macs(spatial) == oracle.chain_macs(counted, options["kernel_size"], spatial, **costs)
    assert list(plan.activations(spatial)) == oracle.chain_activations(counted, spatial, **costs)


@given(data=st.data())
def test_the_receptive_field_is_the_largest_number_of_inputs_seen_by_one_output(data):
    ndim = data.draw(st.integers(1, 2))
    factors = data.draw(st.lists(st.lists(st.integers(1, 4), min_size=ndim, max_size=ndim).map(tuple), min_size=1, max_size=3))
    taps = tuple(data.draw(st.lists(st.integers(1, 5), min_size=ndim, max_size=ndim)))
    scale = tuple(prod(axis) for axis in zip(*factors, strict=True))
    plan = plan_stages(scale, 4, 4, ndim=ndim, factors=factors, kernel_size=taps)
    assert plan.receptive_field == oracle.chain_receptive_field(factors, taps)


@pytest.mark.parametrize("factors", [(6,), (2, 3), (3, 2)])
@pytest.mark.parametrize("taps", [2, 3, 4])
def test_the_receptive_field_is_what_a_chain_of_ones_lights_up(factors, taps):
    plan = plan_stages(6, 1, 1, kernel_size=taps, ndim=1, factors=factors)
    seen = set()
    for position in range(25):
        y = np.zeros((1, 25, 1), int)
        y[0, position] = 1
        for stage in plan.stages:
            y = phase_shift(conv(y, np.ones(stage.kernel_shape, int)), stage.scale, order="DCR")
        seen |= {(position, output) for output in np.flatnonzero(y)}
    middle = range(6 * 12, 6 * 13)
    assert plan.receptive_field == (max(len({i for i, o in seen if o == output}) for output in middle),)


def test_a_stage_counts_what_numpy_would_hold_and_multiply():
    plain = Stage((2, 3), 5, 4, (3, 2))
    assert plain.kernel_shape == (3, 2, 5, 24)
    assert plain.depthwise_shape is None
    assert plain.terms == 3 * 2 * 5 + 1
    assert plain.parameters == np.ones(plain.kernel_shape).size + 24
    assert plain.macs((7, 9)) == 63 * 3 * 2 * 5 * 24
    assert plain.activations((7, 9)) == 63 * 24

    separable = Stage((2, 3), 5, 4, (3, 2), separable=True)
    assert separable.kernel_shape == (1, 1, 5, 24)
    assert separable.depthwise_shape == (3, 2, 5, 1)
    assert separable.terms == 3 * 2 + 5 + 1
    assert separable.parameters == 3 * 2 * 5 + 5 * 24 + 24
    assert separable.macs((7, 9)) == 63 * (3 * 2 * 5 + 5 * 24)
    assert separable.activations((7, 9)) == 63 * (5 + 24)


def test_integers_of_any_size_are_exact():
    huge = 10**15
    plan = plan_stages(8, np.int32(7), huge, factors=(2, 4))
    assert plan.parameters == 9 * 7 * huge * 4 + 4 * huge + 9 * huge * huge * 16 + 16 * huge
    assert plan.macs(10**9) == (9 * 7 * huge * 4 + 9 * huge * huge * 16 * 4) * 10**18


# --- the choice, against trying everything ---


@given(problem=problems(), objective=st.sampled_from(["parameters", "macs"]))
def test_the_plan_is_the_best_of_all_factorizations(problem, objective):
    scale, inputs, outputs, options = problem
    others = {name: options[name] for name in ("width", "bias", "separable")}
    best = oracle.best_plan(scale, inputs, outputs, options["kernel_size"], objective=objective, **others)
    assert scales_of(plan_stages(scale, inputs, outputs, ndim=len(scale), objective=objective, **options)) == best


@given(problem=problems(), objective=st.sampled_from(["parameters", "macs"]), data=st.data())
def test_within_a_budget_the_plan_is_the_best_that_fits_and_without_one_it_is_refused(problem, objective, data):
    scale, inputs, outputs, options = problem
    others = {name: options[name] for name in ("width", "bias", "separable")}
    candidates = [factors or (scale,) for factors in oracle.factorizations(scale)] or [(scale,)]
    costs = sorted(
        oracle.chain_parameters(
            oracle.chain_shapes(factors, inputs, outputs, options["width"]),
            options["kernel_size"],
            bias=options["bias"],
            separable=options["separable"],
        )
        for factors in candidates
    )
    budget = max(data.draw(st.sampled_from(costs)) + data.draw(st.sampled_from([-1, 0, 1])), 0)
    best = oracle.best_plan(scale, inputs, outputs, options["kernel_size"], objective=objective, max_parameters=budget, **others)
    arguments = {"ndim": len(scale), "objective": objective, "max_parameters": budget, **options}
    if best is None:
        with pytest.raises(ValueError, match=rf"^max_parameters must be {costs[0]} or more to reach scale=.*; got {budget}$"):
            plan_stages(scale, inputs, outputs, **arguments)
    else:
        plan = plan_stages(scale, inputs, outputs, **arguments)
        assert scales_of(plan) == best
        assert plan.parameters <= budget


@given(scale=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple))
def test_factorizations_are_every_ordered_way_to_multiply_to_the_scale_once(scale):
    assume(prod(scale) <= 64 or len(set(scale)) == 1)
    ways = list(factorizations(scale))
    assert sorted(ways) == sorted(factors or (scale,) for factors in oracle.factorizations(scale))
    assert len(set(ways)) == len(ways)
    assert ways[-1] == (scale,)


def test_the_number_of_ways_is_that_of_ordered_factorizations():
    # OEIS A074206, the number of ordered factorizations of n, for n = 1 ... 16.
    known = [1, 1, 1, 2, 1, 3, 1, 4, 2, 3, 1, 8, 1, 3, 3, 8]
    assert [len(list(factorizations((n,)))) for n in range(1, 17)] == known


def test_ties_go_to_fewer_macs_then_fewer_stages_then_smaller_factors_first():
    plan = plan_stages(6, 16, 16, bias=False)
    assert scales_of(plan) == ((2, 2), (3, 3))
    swapped = plan_stages(6, 16, 16, bias=False, factors=(3, 2))
    assert plan.parameters == swapped.parameters
    assert plan.macs(1) < swapped.macs(1)
    assert scales_of(plan_stages(4, 1, 1, kernel_size=1, ndim=1, bias=False)) == ((4,),)  # 4 weights either way, 4 MACs or 6
    # Equal parameters and equal MACs, the shorter chain with the larger first factor: the fewest stages come first.
    for scale, channels, parameters, macs, tied in [
        (24, (1, 3), 17, 80, [((8,), (3,)), ((2,), (3,), (4,))]),
        (144, (2, 2), 28, 312, [((3,), (6,), (8,)), ((2,), (2,), (4,), (9,))]),
    ]:
        options = {"kernel_size": 1, "ndim": 1, "width": 1, "bias": False}
        plans = [plan_stages(scale, *channels, factors=factors, **options) for factors in tied]
        assert [(plan.parameters, plan.macs(1)) for plan in plans] == [(parameters, macs)] * 2
        assert scales_of(plan_stages(scale, *channels, objective="macs", max_parameters=parameters, **options)) == tied[0]
    # (1, 2, 2) twice, or one axis after the other: three plans of equal parameters, MACs and stages; the smaller factors come first.
    assert scales_of(plan_stages((1, 4, 4), 8, 8, ndim=3)) == ((1, 1, 4), (1, 4, 1))


def test_the_budget_that_would_do_is_that_of_the_plan_with_fewest_parameters():
    fewest = plan_stages(8, 16, 16)
    assert fewest.parameters < plan_stages(8, 16, 16, objective="macs").parameters
    for objective in ("parameters", "macs"):
        with pytest.raises(ValueError, match=rf"^max_parameters must be {fewest.parameters} or more to reach scale=\(8, 8\); got 7$"):
            plan_stages(8, 16, 16, objective=objective, max_parameters=7)


def test_extents_below_0_are_refused_as_they_were_given():
    for cost in (plan_stages(8, 2, 3).macs, plan_stages(8, 2, 3).activations):
        with pytest.raises(ValueError, match=r"^spatial must be 0 or more; got -1$"):
            cost(-1)


def test_a_prime_is_reached_in_one_stage():
    for prime in (2, 3, 5, 7, 11, 13):
        assert scales_of(plan_stages(prime, 16, 16)) == ((prime, prime),)


# --- facts: the tables, exactly ---

COSTS = [
    ((8,), 64, 64, 512, 512),
    ((2, 2, 2), 12, 84, 24, 584),
    ((2, 4), 20, 68, 72, 520),
    ((4, 2), 20, 80, 72, 576),
    ((6,), 36, 36, 216, 216),
    ((2, 3), 13, 40, 35, 224),
    ((3, 2), 13, 45, 35, 243),
]


@pytest.mark.parametrize(("factors", "parameters_2d", "macs_2d", "parameters_3d", "macs_3d"), COSTS)
@pytest.mark.parametrize(("kernel_size", "channels"), [(3, 16), (1, 5), (2, 3)])
def test_a_chain_of_equal_widths_costs_these_units(factors, parameters_2d, macs_2d, parameters_3d, macs_3d, kernel_size, channels):
    for ndim, parameters, macs in [(2, parameters_2d, macs_2d), (3, parameters_3d, macs_3d)]:
        unit = kernel_size**ndim * channels**2
        plan = plan_stages(prod(factors), channels, channels, kernel_size=kernel_size, ndim=ndim, factors=factors, bias=False)
        assert plan.parameters == parameters * unit
        assert plan.macs((5,) * ndim) == macs * unit * 5**ndim


def test_five_point_three_three_holds_only_for_equal_channels():
    def ratio(inputs, outputs):
        direct, chained = (plan_stages(8, inputs, outputs, factors=factors, bias=False) for factors in [(8,), (2, 2, 2)])
        return direct.parameters, chained.parameters

    assert ratio(16, 16) == (64 * 9 * 256, 12 * 9 * 256)
    assert ratio(7, 5) == (20160, 3060)
    assert round(20160 / 3060, 2) == 6.59


@given(inputs=st.integers(1, 40), outputs=st.integers(1, 400), kernel_size=st.integers(1, 5))
def test_three_doublings_cost_more_weights_once_the_output_has_over_seven_and_a_half_times_the_channels(inputs, outputs, kernel_size):
    direct, chained = (
        plan_stages(8, inputs, outputs, kernel_size=kernel_size, factors=factors, bias=False).parameters for factors in [(8,), (2, 2, 2)]
    )
    assert (chained > direct) == (2 * outputs > 15 * inputs)
    assert (chained == direct) == (2 * outputs == 15 * inputs)


def test_from_two_to_sixteen_channels_three_doublings_cost_more():
    direct, chained = (plan_stages(8, 2, 16, factors=factors, bias=False).parameters for factors in [(8,), (2, 2, 2)])
    assert (direct, chained) == (2048 * 9, 2176 * 9)


@given(problem=problems())
def test_with_equal_channels_no_chain_has_fewer_macs_than_the_direct_stage(problem):
    scale, channels, _, options = problem
    options = {**options, "width": None, "separable": False}
    direct = plan_stages(scale, channels, channels, ndim=len(scale), factors=(scale,), **options)
    for factors in list(oracle.factorizations(scale))[:40]:
        plan = plan_stages(scale, channels, channels, ndim=len(scale), factors=factors or (scale,), **options)
        assert plan.macs(1) > direct.macs(1) or len(plan.stages) == 1


def test_a_chain_is_not_the_same_function_it_sees_further():
    direct, chained = (plan_stages(8, 16, 16, factors=factors) for factors in [(8,), (2, 2, 2)])
    assert direct.receptive_field == (3, 3)
    assert chained.receptive_field == (5, 5)


# --- refusals ---


@pytest.mark.parametrize("scale", [3, 6])
def test_the_power_of_two_that_a_logarithm_suggests_is_refused(scale):
    stages = int(np.log2(scale))
    with pytest.raises(
        ValueError, match=rf"^factors must multiply to scale=\({scale}, {scale}\); got .*which multiply to \({2**stages}, {2**stages}\)$"
    ):
        plan_stages(scale, 16, 16, factors=(2,) * stages)


@given(scale=st.lists(st.integers(1, 9), min_size=1, max_size=3), steps=st.data())
def test_factors_that_do_not_multiply_to_the_scale_on_every_axis_are_refused_never_rounded(scale, steps):
    ndim = len(scale)
    factors = steps.draw(st.lists(st.lists(st.integers(1, 4), min_size=ndim, max_size=ndim).map(tuple), max_size=3))
    reached = tuple(prod(step[axis] for step in factors) for axis in range(ndim))
    if factors and reached == tuple(scale):
        assert plan_stages(tuple(scale), 2, 2, ndim=ndim, factors=factors).scale == reached
        return
    with pytest.raises(ValueError, match=r"^factors must multiply to scale="):
        plan_stages(tuple(scale), 2, 2, ndim=ndim, factors=factors)


@pytest.mark.parametrize("scale", [2**61, 2**61 - 1, (1, 2**20 + 1)])
def test_a_scale_with_too_many_factorizations_to_look_at_is_refused_at_once_unless_the_factors_are_given(scale):
    with pytest.raises(ValueError, match=rf"scale must have a product of at most 1048576 to be planned; got \(\d+, {np.max(scale)}\)"):
        plan_stages(scale, 2, 2)
    assert plan_stages(scale, 2, 2, factors=(scale,)).stages[0].scale[-1] == np.max(scale)


def test_a_scale_of_the_largest_product_is_planned():
    assert plan_stages(2**10, 2, 2).stages[0].scale == (2, 2)
