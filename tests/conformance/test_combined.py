"""Circumstances that go wrong together: which are judged, that the verdict names them, and that the full profile finds three of them."""

from itertools import combinations, product
from math import prod

import numpy as np
import pytest

from subpixel_conformance import Adapter, compare
from subpixel_conformance.adapter import DATA_FORMATS, ORDERS, Claims
from subpixel_conformance.adapters import reference
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import all_cases, combined
from subpixel_conformance.cases.arrays import labelled
from subpixel_conformance.cases.shift import LAYOUTS, OPERATIONS, Call, laid_out
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants.combined import together

CLAIMS = claims_of(reference.adapter)
FEW = Claims(orders=("CRD",), data_formats=("channels_first",), ndims=(2, 3), batch_ndims=(1,), dtypes=("float32", "int8"))


def failures(adapter, profile="full", clauses=None):
    cases = [case for case in combined.cases(profile) if clauses is None or clauses & set(case.clauses)]
    found = {case.id: judge(case, adapter, "cpu") for case in cases}
    return {case: result for case, result in found.items() if result.status in ("fail", "error")}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("data_format", DATA_FORMATS)
@pytest.mark.parametrize(("scale", "batch", "spatial"), [((3,), (), (4,)), ((2, 3), (2,), (3, 5)), ((1, 3, 2), (2, 3), (2, 1, 3))])
def test_what_is_expected_is_the_oracles(operation, data_format, scale, batch, spatial):
    for order in ORDERS:
        call = Call(operation, scale, order, data_format, batch, spatial, 2, "int32")
        x = labelled(call.shape, "int32")[0].array
        assert compare.bitwise(combined.expected(call, x), call.expected(x)) is None


@pytest.mark.parametrize(("claims", "strength"), [(CLAIMS, 2), (FEW, 3)], ids=["every pair", "every triple"])
def test_every_combination_of_what_is_claimed_is_in_some_row(claims, strength):
    levels = combined.circumstances(claims)
    found = combined.rows(levels, claims, strength)
    calls = [combined.call_of(row) for row in found]
    for names in combinations(levels, strength):
        asked = {values for values in product(*(levels[name] for name in names)) if possible(dict(zip(names, values, strict=True)))}
        assert asked <= {tuple(row[name] for name in names) for row in found}
    assert max(prod(call.scale) for call in calls) <= combined.BLOCK
    assert max(prod(call.shape) for call in calls) <= 200_000


def possible(some):
    return prod(combined.factors(some.get("scale", "2"), some.get("ndim", 2))) <= combined.BLOCK


def test_one_of_something_is_combined_with_everything_else():
    levels = combined.circumstances(CLAIMS)
    found = combined.rows(levels, CLAIMS, 2)
    for one in combined.ONES:
        (name,) = one
        for other in set(levels) - {name}:
            with_one = {row[other] for row in found if row[name] == one[name]}
            assert {level for level in levels[other] if possible({name: one[name], other: level})} <= with_one


def test_nothing_is_asked_that_is_not_claimed():
    claims = Claims(orders=("DCR",), data_formats=("channels_last",), ndims=(3,), batch_ndims=(0,), anisotropic=False, scale_one=False)
    rows = combined.rows(combined.circumstances(claims), claims, 2)
    calls = [combined.call_of(row) for row in rows]
    assert {(call.order, call.data_format, len(call.scale), call.batch, call.dtype) for call in calls} == {
        ("DCR", "channels_last", 3, (), "float32")
    }
    assert {call.scale for call in calls} == {(2, 2, 2), (3, 3, 3), (4, 4, 4)}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_one_shape_is_asked_for_in_both_formats_and_with_other_factors(operation, ndim):
    row = {"ndim": ndim, "batch": (2, 3), "order": "DRC", "dtype": "float32"}
    calls = combined.calls_of_one_shape(CLAIMS, row, operation)
    assert len({call.shape for call in calls}) == 1
    assert {call.data_format for call in calls} == set(DATA_FORMATS)
    assert len({call.scale for call in calls}) == (1 if ndim == 4 else 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_input_lies_in_memory_of_its_own(layout):
    for batch, spatial in product([(), (1,), (2,)], [(1,), (3, 2)]):
        call = Call("phase_shift", (2,) * len(spatial), "DCR", "channels_first", batch, spatial, 2)
        x = labelled(call.shape, call.dtype)[0].array
        view = laid_out(x, layout, call)
        assert np.array_equal(view, x)
        assert not np.shares_memory(view, x)


@pytest.mark.parametrize("axes", [(1,), (0, 2), (0, 1, 2)])
def test_a_repeated_view_has_strides_of_0_and_can_be_written_to(axes):
    view = combined.repeated(np.arange(24).reshape(2, 3, 4), axes)
    assert view.shape == (2, 3, 4)
    assert [stride == 0 for stride in view.strides] == [axis in axes for axis in range(3)]
    assert view.flags.writeable


@pytest.mark.parametrize("operation", OPERATIONS)
def test_views_are_judged_only_where_they_are_claimed(operation):
    adapter = together("memory misread", operation, "uint8", "apart in memory").adapter
    asked = {(case.id, case.needs.strided) for case in all_cases() if "PS-012" in case.clauses}
    assert {strided for _, strided in asked} == {True, False}
    assert failures(adapter)
    adapter.claims = {**adapter.claims, "strided": False}
    assert not failures(adapter)


# --- the verdict names what matters ---


@pytest.mark.parametrize(
    ("effect", "when", "case", "needed"),
    [
        ("one place further", ("3-D", "float16"), "PS-002/combined-CRD", "ndim=3, dtype=float16"),
        ("memory misread", ("uint8", "apart in memory"), "PS-012/combined-memory", "dtype=uint8, memory=fortran"),
        ("-0 made 0", ("two batch axes", "channels first"), "PS-010/combined-bits", "data_format=channels_first, batch=(2, 3)"),
        ("the input zeroed", ("1-D", "C by eight"), "PS-011/combined-input", "ndim=1, channels=8"),
    ],
)
def test_the_message_names_the_circumstances(effect, when, case, needed):
    found = failures(together(effect, "phase_shift", *when).adapter)
    assert set(found) == {case}
    assert found[case].message.endswith(f"; wrong for {needed}")


def test_what_is_wrong_for_a_size_is_not_said_to_be_of_the_axes_alone():
    found = failures(together("another order", "phase_shift", "width by eight").adapter)
    sizes = "where the channels are 2 or 3 in a tensor of shape (9, 32, 2, 1, 3, 48)"
    assert found["PS-002/one-shape-CRD"].message.endswith(f"; wrong for ndim=4, {sizes}")


def test_where_the_formula_fails_properties_and_empty_tensors_are_left_to_it():
    def phase_shift(x, scale, *, order, data_format):
        if len(scale) == 3 and x.dtype == np.float16:
            raise OverflowError("too many axes")
        return reference.adapter.phase_shift(x, scale, order=order, data_format=data_format)

    adapter = Adapter.from_callables(phase_shift=phase_shift, claims={"dtypes": ("float32", "float16")})
    assert {result.clauses for result in failures(adapter).values()} == {("PS-001",), ("PS-002",), ("PS-003",), ("PS-004",)}


def test_what_is_wrong_everywhere_is_said_to_be():
    def phase_shift(x, scale, *, order, data_format):
        raise OverflowError("never")

    found = failures(Adapter.from_callables(phase_shift=phase_shift))
    assert (
        found["PS-003/combined-DRC"].message
        == "PS-003 (PS-003/combined-DRC): RuntimeError: OverflowError: never; wrong for whatever is asked"
    )
    assert {"PS-009/combined-empty", "PS-011/combined-input"} <= set(found)


@pytest.mark.parametrize(
    ("effect", "operation", "when"),
    [
        ("another order", "inverse_phase_shift", ("1-D", "float16", "a tail of channels")),
        ("results in one place", "phase_shift", ("no batch axis", "channels first", "width by eight")),
        ("memory misread", "phase_shift", ("1-D", "samples by eight", "apart in memory")),
    ],
)
def test_three_circumstances_are_found_by_the_full_profile(effect, operation, when):
    mutant = together(effect, operation, *when)
    mutant.adapter.claims = {**mutant.adapter.claims, "ndims": (1, 2), "dtypes": ("float32", "float16")}
    found = failures(mutant.adapter, "exhaustive", mutant.violates)
    assert {result.clauses[0] for result in found.values()} == mutant.violates


def test_the_profiles_have_the_same_cases():
    for profile in ("full", "exhaustive"):
        assert {case.id for case in combined.cases("full")} <= {case.id for case in all_cases(profile)}


# --- the memory of torch ---


def test_functions_of_torch_are_given_the_memory_of_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def phase_shift(x, scale):
        if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous():
            x = x.flip(1)
        return torch.nn.functional.pixel_shuffle(x, scale)

    square = {"order": "CRD", "data_format": "channels_first", "ndim": 2, "integer_scale": True, "framework": "torch"}
    claims = {"dtypes": ("float32", "bfloat16")}
    assert failures(Adapter.from_callables(phase_shift=torch.nn.functional.pixel_shuffle, claims=claims, **square)) == {}
    found = failures(Adapter.from_callables(phase_shift=phase_shift, claims=claims, **square))
    assert set(found) == {"PS-012/combined-memory"}
    assert "wrong for memory=other-format" in found["PS-012/combined-memory"].message
