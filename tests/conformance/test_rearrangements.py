"""Of all ways to split, transpose and merge a tensor, the suite passes only the order that was asked for."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from subpixel_conformance.cases import all_cases
from subpixel_conformance.mutants import rearrangements
from subpixel_conformance.mutants.honest import Honest
from subpixel_conformance.mutants.rearrangements import Rearrangement, all_rearrangements, extents, geometries, tally
from subpixel_conformance.selftest import SelftestReport, examine

RECORD = Path(__file__).resolve().parents[2] / "docs" / "evidence" / "kill-matrix.json"
DCR = Rearrangement("nhwijc", "nhiwjc")


@pytest.fixture(scope="module")
def found():
    return tally(all_cases())


def test_every_wrong_rearrangement_is_rejected(found):
    assert found.survivors == ()
    assert found.passed
    assert found.rejected + found.claimed == 720 * 720 * 8


def test_the_numbers_are_those_of_the_record(found):
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["rearrangements"]
    assert recorded == {"at_once": found.at_once, "later": found.later, "claimed": found.claimed}


def test_there_are_as_many_as_two_permutations_of_six_axes():
    assert len(set(all_rearrangements())) == 720 * 720


def test_the_textbook_form_of_dcr_is_a_rearrangement():
    (call, *_) = geometries(all_cases())["DCR", "channels_last"]
    x = np.arange(np.prod(call.shape))
    assert np.array_equal(DCR.of(call, x).reshape(call.output_shape), call.expected(x.reshape(call.shape)))


def adapter(rearrangement):
    """Return an adapter whose shift is the rearrangement, whatever is claimed."""

    def shift(x, scale, *, order, data_format):
        channels = x.shape[-1] // (scale[0] * scale[1])
        sizes = dict(zip("nhwijc", (x.shape[0], x.shape[1], x.shape[2], *scale, channels), strict=True))
        return rearrangement.flat(sizes, x).reshape(x.shape[0], x.shape[1] * scale[0], x.shape[2] * scale[1], channels)

    claims = {"operations": ("phase_shift",), "orders": ("DCR",), "data_formats": ("channels_last",), "ndims": (2,), "batch_ndims": (1,)}
    return Honest("a rearrangement", claims={**claims, "dtypes": ("float32",), "refusals": (), "empty": False}, phase_shift=shift)


@pytest.mark.parametrize(("split", "merged"), [("nhwijc", "nhjwic"), ("nhwcij", "nhiwjc"), ("nwhijc", "nhiwjc"), ("hnwijc", "nhiwjc")])
def test_the_suite_itself_rejects_what_the_tally_counts_as_wrong(split, merged):
    finding = examine(adapter(Rearrangement(split, merged)), all_cases())
    assert finding.first == "PS-001"


def test_the_suite_itself_passes_the_order():
    finding = examine(adapter(DCR), all_cases())
    assert dict(finding.failing) == {}
    assert finding.judged > 5


# --- the tally can fail ---


def test_a_rearrangement_that_no_case_tells_from_the_order_survives():
    """With square factors alone in the cases, those that take the factors for each other pass them all."""
    square = tuple(case for case in all_cases() if case.needs.ndim == 2 and not case.needs.anisotropic)
    found = tally(square, lambda: iter([Rearrangement("nhwjic", "nhjwic"), Rearrangement("nhwijc", "nhjwic")]))
    assert [(order, one.split) for (order, _), one in found.survivors] == [("DCR", "nhwjic"), ("DRC", "nhwijc")]
    assert not found.passed
    report = SelftestReport((), frozenset(), found)
    assert any("nhwjic -> nhjwic" in line for line in report.amiss)


def test_an_order_that_does_not_pass_its_own_cases_is_noticed():
    assert not tally(all_cases(), lambda: iter([Rearrangement("nhwijc", "nhjwic")])).passed


def test_cases_that_begin_with_other_extents_are_refused():
    cases = all_cases()
    with pytest.raises(ValueError, match="begin with the same extents"):
        tally(tuple(case for case in cases if case.needs.order != "DCR"))


def test_extents_have_the_names_of_the_axes():
    (call, *_) = geometries(all_cases())["CRD", "channels_first"]
    wide = replace(call, batch=(2,), spatial=(3, 5), scale=(7, 11), channels=13)
    assert extents(wide) == {"n": 2, "h": 3, "w": 5, "i": 7, "j": 11, "c": 13}
    assert rearrangements.AXES == "nhwijc"
