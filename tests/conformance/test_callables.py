"""Adapters made of functions, and of a class that derives from ours."""

import math
from types import MappingProxyType

import numpy as np
import pytest

from subpixel_conformance import Adapter, oracle
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import all_cases
from subpixel_conformance.judge import judge


def verdicts(adapter):
    """Return the results that are neither passes nor outside the claims, and how many passed."""
    results = [judge(case, adapter, "cpu") for case in all_cases()]
    rest = [f"{result.status}: {result.message}" for result in results if result.status not in ("pass", "not_claimed")]
    return rest, sum(result.status == "pass" for result in results)


def crd(x, scale):
    return oracle.phase_shift(x, (scale, scale), order="CRD", data_format="channels_first")


def crd_inverse(x, scale):
    return oracle.inverse_phase_shift(x, (scale, scale), order="CRD", data_format="channels_first")


SQUARE = {"order": "CRD", "data_format": "channels_first", "ndim": 2, "integer_scale": True}


def test_functions_of_an_integer_scale_are_judged_on_equal_factors():
    adapter = Adapter.from_callables(phase_shift=crd, inverse_phase_shift=crd_inverse, **SQUARE)
    rest, passed = verdicts(adapter)
    assert rest == []
    assert passed > 20


def test_a_function_that_lies_about_its_order_is_found():
    adapter = Adapter.from_callables(phase_shift=crd, **SQUARE | {"order": "DCR"})
    found = [judge(case, adapter, "cpu") for case in all_cases()]
    assert {result.order_found for result in found if result.status == "fail" and result.clauses == ("PS-001",)} == {"CRD"}


def test_functions_are_told_what_they_can_be_told():
    adapter = Adapter.from_callables(
        phase_shift=oracle.phase_shift, inverse_phase_shift=oracle.inverse_phase_shift, claims={"dtypes": ("float32", "int8")}
    )
    rest, passed = verdicts(adapter)
    assert rest == []
    assert passed > 200


def test_name_and_version_are_those_of_the_function_and_its_distribution():
    adapter = Adapter.from_callables(phase_shift=crd, **SQUARE)
    assert adapter.name == f"{__name__}.crd"
    assert Adapter.from_callables(phase_shift=np.moveaxis, **SQUARE).versions == {"numpy": np.__version__}
    assert Adapter.from_callables(phase_shift=crd, name="mine", versions={"mine": "3"}, **SQUARE).versions == {"mine": "3"}


def test_tensors_of_the_framework_reach_its_functions():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    F = torch.nn.functional  # its functions are built in, and do not tell what they take
    adapter = Adapter.from_callables(
        phase_shift=F.pixel_shuffle, inverse_phase_shift=F.pixel_unshuffle, **SQUARE | {"claims": {"empty": False}}
    )
    assert (adapter.name, adapter.framework) == ("torch.pixel_shuffle", "torch")
    rest, passed = verdicts(adapter)
    assert rest == []
    assert passed > 20
    assert verdicts(Adapter.from_callables(phase_shift=lambda x, r: F.pixel_shuffle(x, r), framework="torch", **SQUARE))[0] == []
    assert "error" in verdicts(Adapter.from_callables(phase_shift=lambda x, r: F.pixel_shuffle(x, r), **SQUARE))[0][0]


def test_the_scale_of_an_initializer_is_an_integer_too():
    def icnr(base, shape, scale):
        assert type(scale) is int
        *taps, inputs, channels = shape
        return np.tile(base((*taps, inputs, channels // scale**2)), scale**2)

    rest, passed = verdicts(Adapter.from_callables(icnr=icnr, **SQUARE | {"order": "DCR"}))
    assert rest == []
    assert passed > 0


def test_a_list_is_no_tensor():
    rest, passed = verdicts(Adapter.from_callables(phase_shift=lambda x, r: [crd(x, r)], **SQUARE))
    assert passed <= 1  # EX-003, which looks at the place alone
    assert len(rest) > 20
    assert all("the result must be an array of numbers; got list" in line for line in rest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "operations must be among .*phase_shift.*; got none"),
        ({"pixel_shuffle": crd}, "operations must be among .*; got pixel_shuffle"),
        ({"phase_shift": crd}, "phase_shift must take order to be claimed for more than one; got DCR, CRD, DRC, RCD"),
        ({"phase_shift": lambda x, scale, order: x}, "phase_shift must take data_format to be claimed for more than one; got"),
        ({"phase_shift": math.floor, "order": ("DCR", "CRD")}, "phase_shift must take order to be claimed for more than one; got DCR, CRD"),
        ({"phase_shift": crd, **SQUARE, "framework": "caffe"}, "framework must be one of torch, .*; got 'caffe'"),
    ],
)
def test_an_adapter_that_could_not_be_judged_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Adapter.from_callables(**options)


def test_a_claim_that_no_case_could_judge_is_refused_when_it_is_judged():
    with pytest.raises(ValueError, match="orders must be among DCR, CRD, DRC, RCD; got XYZ"):
        claims_of(Adapter.from_callables(phase_shift=crd, **SQUARE | {"order": "XYZ"}))


class Mine(Adapter):
    claims = MappingProxyType({"data_formats": ("channels_last",), "ndims": (2,)})

    def phase_shift(self, x, scale, *, order, data_format):
        return oracle.phase_shift(x, scale, order=order, data_format=data_format)


def test_a_class_claims_the_operations_that_it_defines():
    adapter = Mine()
    assert (adapter.name, adapter.claims["operations"]) == ("Mine", ("phase_shift",))
    rest, passed = verdicts(adapter)
    assert rest == []
    assert passed > 20
