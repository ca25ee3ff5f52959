"""Cases, claims and verdicts."""

import re
from dataclasses import replace

import numpy as np
import pytest

from subpixel_conformance import Adapter, oracle
from subpixel_conformance.adapter import Claims, LayerConfig
from subpixel_conformance.adapters.reference import adapter as reference
from subpixel_conformance.case import MODES, Case, Evidence, Mismatch, Needs, claims_of
from subpixel_conformance.cases import TOGETHER, all_cases, cases_for
from subpixel_conformance.cases.arrays import labelled, special_bits
from subpixel_conformance.cases.shift import DTYPES
from subpixel_conformance.clauses import clauses
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants.honest import Honest
from subpixel_conformance.result import PROFILES


def must_clauses():
    return {clause.id for clause in clauses().values() if clause.level == "MUST"}


def case_of(check, **needs):
    return Case("PS-001/some-case", ("PS-001",), "shift", Needs(**needs), check)


# --- the cases ---


def test_every_must_clause_is_the_primary_clause_of_a_case():
    assert must_clauses() - {case.clauses[0] for case in all_cases()} == set()


def test_cases_cite_clauses_that_exist():
    assert {clause for case in all_cases("exhaustive") for clause in case.clauses} <= must_clauses()


@pytest.mark.parametrize("profile", ["full", "exhaustive"])
def test_ids_are_unique_slugs_that_begin_with_the_primary_clause(profile):
    cases = all_cases(profile)
    assert len({case.id for case in cases}) == len(cases)
    for case in cases:
        assert re.fullmatch(r"[A-Z]{2}-\d{3}/[A-Za-z0-9._-]+", case.id), case.id
        assert case.id.startswith(case.clauses[0] + "/")


CLAIMED = [Claims(), Claims(dtypes=("uint8",), orders=("CRD",), ndims=(3,)), claims_of(reference)]


@pytest.mark.parametrize("claims", CLAIMED, ids=["default", "few", "all"])
def test_each_profile_holds_the_one_before(claims):
    quick, full, exhaustive = ([case.id for case in cases_for(claims, profile)] for profile in PROFILES)
    assert set(quick) < set(full) < set(exhaustive)
    assert quick == [case for case in full if case in quick]


@pytest.mark.parametrize("claims", CLAIMED, ids=["default", "few", "all"])
@pytest.mark.parametrize("field", ["order", "data_format", "ndim", "batch_ndim", "dtype", "anisotropic", "strided", "mode"])
def test_the_quick_profile_shows_all_that_is_claimed(claims, field):
    """Under every clause, but for the modes, which it shows once."""

    def shown(profile):
        claimed = [case for case in cases_for(claims, profile) if case.needs.missing(claims) is None and case.id not in others]
        return {("" if field == "mode" else case.clauses[0], getattr(case.needs, field)) for case in claimed}

    others = {case.id for area in TOGETHER for case in area.cases("full")} | {case.id for case in all_cases() if "/sampled" in case.id}
    assert shown("quick") == shown("full")


def test_what_is_not_claimed_is_said_in_the_quick_profile_too():
    claims = Claims(orders=("CRD",))
    assert {case.needs.order for case in cases_for(claims, "quick")} == {None, "DCR", "CRD", "DRC", "RCD"}


def test_an_unknown_profile_is_refused():
    with pytest.raises(ValueError, match="profile must be one of quick, full, exhaustive; got 'slow'"):
        cases_for(Claims(), "slow")


def test_the_reference_passes_the_quick_cases_and_nothing_else_is_unavailable_or_not_claimed():
    """`test_ours` judges it by all that it claims."""
    claims = claims_of(reference)
    quick = {case.id for case in cases_for(claims, "quick")} | {"SC-003/control-reduced-precision"}
    chosen = [case for case in all_cases() if case.id in quick or case.needs.missing(claims) is not None]
    results = [judge(case, reference, "cpu") for case in chosen]
    assert {result.status for result in results} == {"pass", "not_claimed", "unavailable"}
    assert [result.message for result in results if result.status not in ("pass", "not_claimed", "unavailable")] == []
    assert [result.case for result in results if result.status == "unavailable"] == ["SC-003/control-reduced-precision"]
    not_claimed = [result for result in results if result.status == "not_claimed"]
    assert {result.mode for result in not_claimed} - {"eager"} == set(MODES) - {"eager"}
    assert all("unet_" in result.message or "from_" in result.message for result in not_claimed if result.mode == "eager")


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_tell_every_position_apart_and_their_source_builds_them(dtype):
    import ml_dtypes

    arrays = labelled((2, 3, 5, 12), dtype)
    seen = {
        tuple(row)
        for row in np.stack([values.array.reshape(-1).view(np.uint8).reshape(360, -1) for values in arrays], axis=1).reshape(360, -1)
    }
    assert len(seen) == 360
    for values in arrays:
        built = eval(values.source, {"np": np, "ml_dtypes": ml_dtypes})
        assert built.dtype == values.array.dtype
        assert built.tobytes() == values.array.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_special_values_hold_what_they_are_meant_to(dtype):
    values = special_bits(dtype, 180)
    with np.errstate(invalid="ignore"):  # a signalling NaN signals
        wide = values.astype(np.float64)
    assert np.isnan(wide).any()
    assert np.isinf(wide).any()
    assert (np.signbit(wide) & (wide == 0)).any()
    tiny = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}[dtype]
    assert ((np.abs(wide) < tiny) & (wide != 0)).any()


# --- verdicts ---


def test_a_check_that_returns_passes_and_keeps_its_evidence():
    result = judge(case_of(lambda adapter, device: Evidence(0.25, deviation=1e-7)), Honest("right"), "cpu")
    assert (result.status, result.ratio, result.deviation) == ("pass", 0.25, 1e-7)


def test_a_mismatch_fails_with_all_it_says():
    def check(adapter, device):
        raise Mismatch("y is wrong", order_found="DRC", ratio=3.0, reproduction="print(y)")

    result = judge(case_of(check), Honest("wrong"), "cpu")
    assert (result.status, result.message, result.order_found, result.ratio, result.reproduction) == (
        "fail",
        "PS-001 (PS-001/some-case): y is wrong",
        "DRC",
        3.0,
        "print(y)",
    )


def test_what_the_implementation_raises_is_an_error_with_its_text():
    def check(adapter, device):
        raise RuntimeError("no kernel for this dtype")

    result = judge(case_of(check), Honest("raises"), "cpu")
    assert result.status == "error"
    assert "RuntimeError: no kernel for this dtype" in result.message


@pytest.mark.parametrize(
    ("needs", "claims"),
    [
        ({"operations": ("icnr",)}, {"operations": ("phase_shift",)}),
        ({"order": "DRC"}, {"orders": ("DCR",)}),
        ({"target": "DRC"}, {"orders": ("DCR",)}),
        ({"data_format": "channels_first"}, {"data_formats": ("channels_last",)}),
        ({"second_format": "channels_first"}, {"data_formats": ("channels_last",)}),
        ({"ndim": 3}, {"ndims": (2,)}),
        ({"batch_ndim": 0}, {"batch_ndims": (1,)}),
        ({"anisotropic": True}, {"anisotropic": False}),
        ({"scale_one": True}, {"scale_one": False}),
        ({"empty": True}, {"empty": False}),
        ({"dtype": "bfloat16"}, {"dtypes": ("float32",)}),
        ({"mode": "jit"}, {"modes": ("eager",)}),
        ({"refusal": "ER-005"}, {"refusals": ("ER-001",)}),
    ],
)
def test_what_is_not_claimed_is_not_judged(needs, claims):
    def check(adapter, device):
        raise AssertionError("it was judged")

    result = judge(case_of(check, **needs), Honest("modest", claims=claims), "cpu")
    assert result.status == "not_claimed"
    assert result.message


def test_an_absent_device_or_mode_is_unavailable_with_the_reason():
    adapter = Honest("away", claims={"modes": ("eager", "compile")})
    adapter.devices = lambda: {"cpu": None, "cuda": "no GPU"}
    adapter.modes = lambda device: {"eager": None, "compile": "no compiler"}
    away = judge(case_of(lambda adapter, device: None), adapter, "cuda")
    assert (away.status, away.message) == ("unavailable", "cuda: no GPU")
    absent = judge(case_of(lambda adapter, device: None, mode="compile"), adapter, "cpu")
    assert (absent.status, absent.message) == ("unavailable", "compile: no compiler")


@pytest.mark.parametrize("claims", [{"orders": ("dcr",)}, {"modes": ("eager", "warp")}, {"data_formats": ("NHWC",)}, {"colour": True}])
def test_claims_that_no_case_could_judge_are_refused(claims):
    with pytest.raises(ValueError, match="got"):
        claims_of(Honest("misspelt", claims=claims))


# --- a failure says what is wrong ---


def test_a_wrong_order_is_found_and_reproduced():
    wrong = Adapter.from_callables(
        phase_shift=lambda x, scale: oracle.phase_shift(x, scale, order="CRD"), order="DCR", data_format="channels_last", ndim=2
    )
    case = next(case for case in all_cases() if case.id == "PS-001/DCR-channels_last-2d-2x3-float32")
    result = judge(case, wrong, "cpu")
    assert (result.status, result.order_found) == ("fail", "CRD")
    assert result.message.startswith("PS-001 (PS-001/DCR-channels_last-2d-2x3-float32): y[0, 0, 0, 1] must be 1.0; got 6.0")
    assert result.message.endswith("it matches CRD")
    assert 'x = np.r_[:480, -240:0].astype("float32").reshape((3, 4, 5, 12))' in result.reproduction


def test_a_reproduction_runs_and_shows_the_wrong_element(capsys):
    wrong = Honest(
        "swapped", phase_shift=lambda x, scale, order, data_format: oracle.phase_shift(x, scale, order="CRD", data_format=data_format)
    )
    wrong.snippet = lambda operation, scale, order, data_format: (
        f'from subpixel_conformance import oracle\ny = oracle.phase_shift(x, {scale}, order="CRD", data_format="{data_format}")'
    )
    for case in all_cases():
        if (
            case.clauses[0] == "PS-001"
            and case.needs.dtype in ("float32", "int8", "float16", "complex64")
            and case.needs.missing(claims_of(wrong)) is None
        ):
            result = judge(case, wrong, "cpu")
            assert result.status == "fail"
            assert len(result.reproduction.splitlines()) <= 6
            exec(result.reproduction, {})
            actual, _, expected = capsys.readouterr().out.strip().partition(" must be ")
            assert actual != expected
            assert f"must be {expected}; got {actual}" in result.message


def test_claimed_refusals_are_judged_by_whether_anything_is_returned():
    cases = [case for case in all_cases() if case.clauses[0] == "ER-005"]
    careless = Honest(
        "careless", phase_shift=lambda x, scale, order, data_format: x, inverse_phase_shift=lambda x, scale, order, data_format: x
    )
    assert {judge(case, careless, "cpu").status for case in cases} == {"fail"}
    assert {judge(case, Honest("careful"), "cpu").status for case in cases} == {"pass"}


@pytest.mark.parametrize("strict", [False, True], ids=["any value has a device", "None has no device"])
def test_none_is_a_value_and_no_refusal(strict):
    """Whether an adapter's own conversions choke on it must not matter."""

    def refusing(x, scale, **options):
        return None

    def device_of(value):
        return value.device if strict and value is None else "cpu"

    adapter = Honest("silent", phase_shift=refusing, device_of=device_of, plan_stages=lambda *_, **__: None, unet=lambda *_: None)
    adapter.claims = {**adapter.claims, "operations": (*adapter.claims["operations"], "unet")}
    cases = [case for case in all_cases() if case.needs.refusal and case.needs.operations[:1] != ("inverse_phase_shift",)]
    wanted = [case for case in cases if case.needs.operations[0] in ("phase_shift", "plan_stages", "unet")]
    results = [judge(case, adapter, "cpu") for case in wanted]
    assert len(results) > 60
    assert {(result.status, "must be refused; an exception refuses; got None" in result.message) for result in results} == {("fail", True)}


# --- the smallest adapter ---


def test_a_layer_of_the_reference_starts_as_icnr():
    config = LayerConfig(2, 3, 2, (3, 2), (2, 3), "CRD", separable=True)
    (stage,) = reference.layer(config, "cpu").parameters()
    assert {name: values.shape for name, values in stage.items()} == {"depthwise": (3, 2, 3, 1), "kernel": (1, 1, 3, 12), "bias": (12,)}
    assert oracle.icnr_residual(stage["kernel"], (2, 3), order="CRD", bias=stage["bias"]) == 0
    other = reference.layer(replace(config, order="DCR"), "cpu").parameters()[0]
    assert oracle.icnr_residual(other["kernel"], (2, 3), order="CRD") > 0
