"""Conversions under circumstances that come together: each pair has a row, chains keep an inside, and the verdict names what matters."""

from itertools import combinations, product

import pytest

from subpixel_conformance import oracle
from subpixel_conformance.adapter import Claims
from subpixel_conformance.adapters import reference
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import cases_for, equivalence
from subpixel_conformance.cases import combined_equivalence as combined
from subpixel_conformance.cases.combined_layers import some_rows
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants import combined_equivalence as mutants
from subpixel_conformance.mutants import rewriting
from subpixel_conformance.selftest import examine

CLAIMS = claims_of(reference.adapter)
DEPTHWISE = Claims(orders=("DCR",), ndims=(1,), anisotropic=False, scale_one=False)


def rows_of(operation, claims, strength=2):
    (names,) = (names for _, name, names, _ in combined.CONVERSIONS if name == operation)
    levels = {name: values for name, values in combined.circumstances(claims).items() if name in names}
    return levels, some_rows(levels, strength, combined.possible)


@pytest.mark.parametrize("claims", [CLAIMS, DEPTHWISE], ids=["all that the reference claims", "few"])
@pytest.mark.parametrize("operation", [operation for _, operation, _, _ in combined.CONVERSIONS])
def test_every_pair_that_can_be_is_in_some_row(operation, claims):
    levels, rows = rows_of(operation, claims)
    simple = {name: values[0] for name, values in levels.items()}
    for one, other in combinations(levels, 2):
        found = {(row[one], row[other]) for row in rows}
        for pair in product(levels[one], levels[other]):
            row = {**simple, one: pair[0], other: pair[1]}
            if "order" in row and {one, other} != {"order", "groups"} and row.get("groups", 1) > 1:
                row["order"] = "CRD"
            assert pair in found or list(combined.possible(row, levels)) != [row]


def test_groups_are_asked_for_only_where_an_order_keeps_them():
    assert combined.circumstances(DEPTHWISE)["groups"] == (1,)
    _, rows = rows_of("deconv_to_subpixel", CLAIMS)
    assert {row["order"] for row in rows if row["groups"] > 1} == {"CRD", "RCD"}


def test_a_border_leaves_some_of_every_chain():
    _, rows = rows_of("collapse_stages", CLAIMS)
    assert {(row["ndim"], row["stages"]) for row in rows} == {*product((1, 2, 3), (2, 3)), (1, 4)}
    for row in rows:
        made = combined.chain_of(row)
        stages = equivalence.stages_of(made["chain"], made["bias"])
        whole = rewriting.collapse_stages(stages, order=row["order"], padding=made["padding"], form=row["form"])
        extents = made["shape"][1:]
        for taps, scale in made["chain"]:
            ends = oracle.padding_pairs(made["padding"], taps)
            extents = [(n + b + a - k + 1) * s for n, (b, a), k, s in zip(extents, ends, taps, scale, strict=True)]
        assert all(2 * sum(ends) < 2 * n - n // 2 for n, ends in zip(extents, whole.interior, strict=True))


@pytest.mark.parametrize(
    ("operation", "when", "needed"),
    [
        ("deconv_to_subpixel", ("groups", "a dilation"), "order=CRD, groups=2, dilation=unequal"),
        ("deconv_to_subpixel", ("uneven ends", "order RCD"), "order=RCD, ends=uneven, bias=True"),
        ("fractionally_strided_conv", ("no bias", "1-D"), "ndim=1, bias=False"),
        ("collapse_stages", ("three stages", "2-D"), "ndim=2, stages=3"),
        ("collapse_stages", ("four stages",), "ndim=1, stages=4"),
    ],
)
def test_only_these_cases_see_a_mutant_and_they_say_when(operation, when, needed):
    (mutant,) = (one for one in mutants.mutants() if one.name.startswith(f"{operation},") and one.name.endswith(": " + " and ".join(when)))
    finding = examine(mutant.adapter, cases_for(claims_of(mutant.adapter)), mutant)
    (message,) = finding.failing.values()
    assert message.startswith(f"{next(iter(mutant.violates))}/combined-")
    assert message.endswith(f"; wrong for {needed}")


def test_what_is_right_passes():
    results = [judge(case, reference.adapter, "cpu") for case in combined.cases("full")]
    assert {result.status for result in results} == {"pass", "not_claimed"}
    assert sum(result.status == "pass" for result in results) == 9
