"""Layers under circumstances that come together: each pair has a row, the fast formulas are the oracle's, the verdict names them."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from subpixel_conformance import compare, oracle
from subpixel_conformance.adapter import Claims, LayerConfig
from subpixel_conformance.adapters import reference
from subpixel_conformance.case import Mismatch, claims_of
from subpixel_conformance.cases import combined_layers as combined
from subpixel_conformance.cases import exact, init
from subpixel_conformance.cases.arrays import small_integers
from subpixel_conformance.cases.layer import expected_layer, parameters_for
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants.combined_layers import gradient_together, layer_together, start_together
from subpixel_conformance.mutants.honest import Honest, HonestLayer

CLAIMS = claims_of(reference.adapter)
MODEST = Claims(
    operations=("layer",),
    orders=("CRD",),
    ndims=(2,),
    anisotropic=False,
    scale_one=False,
    layers=({"kernel_size": (3, 3), "padding": "same"},),
)


def gradient_rows():
    """Return the rows whose gradients are asked of the reference."""
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(combined, "judged", lambda levels, rows, check: asked.extend(rows))
        combined.gradients(reference.adapter, "cpu", profile="full", case="case")
    return asked


def failures(adapter, profile="full"):
    found = {case.id: judge(case, adapter, "cpu") for case in combined.cases(profile)}
    return {case: result for case, result in found.items() if result.status in ("fail", "error")}


@pytest.mark.parametrize("claims", [CLAIMS, MODEST], ids=["all that the reference claims", "few"])
def test_every_pair_of_what_is_claimed_and_can_be_is_in_some_row(claims):
    levels = combined.narrowed(combined.circumstances(claims), "full", combined.FEWER)
    (levels,) = combined.groups(levels, claims)
    rows = combined.rows(levels, claims, 2)
    simple = {name: values[0] for name, values in levels.items()}
    for one, other in combinations(levels, 2):
        possible = {
            pair
            for pair in product(levels[one], levels[other])
            if list(combined._possible({**simple, one: pair[0], other: pair[1]}, levels)) == [{**simple, one: pair[0], other: pair[1]}]
        }
        assert possible <= {(row[one], row[other]) for row in rows}
    assert all(combined.needs_layer(combined.config_of(row)).missing(claims) is None for row in rows)


SOME = [
    {},
    {"ndim": 1, "stages": "relu", "separable": True, "inputs": 32},
    {"ndim": 3, "padding": "pairs", "scale": "2x3"},
    {"separable": True, "padding": "valid", "kernel": "5x6", "scale": "3"},
]


@pytest.mark.parametrize("changed", SOME)
def test_what_is_expected_is_the_oracles(changed):
    row = {name: values[0] for name, values in combined.circumstances(CLAIMS).items()} | changed
    config = combined.config_of(row)
    x = small_integers((2, *(n + 4 for n in combined.EXTENTS["short"][config.ndim]), config.in_channels), "float32")
    parameters = parameters_for(config, integers=True)
    y = expected_layer(x, config, parameters)
    found, off = exact.layer(exact.wide(x), config, parameters, bounded=True)
    assert compare.exact(found, y) is None
    assert (off >= 0).all()
    assert off.mean() > 0
    scale = config.scale
    assert np.abs(exact.boxed(y.astype(np.longdouble), scale) - oracle.box_blur(y, scale)).max() < 1e-15 * np.abs(y).max()
    back = exact.boxed(y.astype(np.longdouble), scale, transposed=True)
    assert np.abs(back - oracle.box_blur_gradient(y, scale)).max() < 1e-15 * np.abs(y).max()


@pytest.mark.parametrize("blur", [False, True])
@pytest.mark.parametrize("changed", SOME)
def test_gradients_are_those_of_the_oracle(changed, blur):
    row = {name: values[0] for name, values in combined.circumstances(CLAIMS).items()} | changed
    config = replace(combined.config_of(row), blur=blur)
    x = exact.wide(small_integers((2, *(n + 4 for n in combined.EXTENTS["short"][config.ndim]), config.in_channels), "float32"))
    parameters = combined.clear_of_zero(x, config, parameters_for(config, integers=True))
    passed = exact.forward(x, config, parameters)
    cotangent = small_integers(passed[-1].y.shape, "float64", start=6)
    d_x, held = HonestLayer(config, parameters).gradients(x, cotangent)
    found = exact.backward(passed, cotangent, config, parameters)
    rows = [(d_x, found[0]["x"].values)] + [(held[n][name], stage[name].values) for n, stage in enumerate(found) for name in held[n]]
    for oracles, ours in rows:
        assert np.abs(ours - oracles).max() <= (1e-5 if blur else 0) * np.abs(oracles).max()


def test_no_activation_whose_gradient_is_asked_for_is_near_zero():
    """Where it is, a right implementation may round to the other side."""
    seen = 0
    for row in gradient_rows():
        config = combined.config_of(row)
        if config.activation is None:
            continue
        x, parameters = combined.gradient_data(row, config, integers=not config.blur and config.bias)
        before = exact.forward(x, config, parameters)[0].y
        _, off = exact.layer(
            x, replace(config, factors=None, scale=config.factors[0], out_channels=config.width), parameters[:1], bounded=True
        )
        assert (np.abs(before) > off).all()
        seen += 1
    assert seen > 5


@pytest.mark.parametrize(
    ("mutant", "case", "needed"),
    [
        (layer_together("the bias twice", "3-D", "separable"), "SP-001/combined-layers", "ndim=3, bias=True, separable=True"),
        (layer_together("turned around", "one sample", "float16"), "SC-001/combined-layers", "batch=1, dtype=float16"),
        (gradient_together("input", "1-D", "a cotangent with gaps"), "GR-003/combined", "ndim=1, cotangent=with gaps"),
        (start_together("bias", "a blur", "separable"), "IC-004/combined-layers", "bias=True, separable=True, blur=True"),
    ],
)
def test_the_message_names_the_circumstances(mutant, case, needed):
    found = failures(mutant.adapter)[case]
    assert set(found.clauses) == mutant.violates
    assert found.message.endswith(f"; wrong for {needed}")


def test_three_circumstances_are_found_by_the_full_profile():
    mutant = layer_together("one place further", "order RCD", "eight channels in", "unequal factors")
    found = failures(mutant.adapter, "exhaustive")
    assert {result.clauses for result in found.values()} == {("SC-001",), ("IC-004",)}
    told = [result.message for result in found.values() if result.clauses == ("SC-001",)]
    assert all(message.endswith("; wrong for order=RCD, inputs=8, scale=2x3") for message in told)


def test_without_floating_point_there_is_nothing_to_combine():
    found = {case.id: judge(case, Honest("integers", claims={"dtypes": ("uint8",)}), "cpu") for case in combined.cases("full")}
    assert {result.status for result in found.values()} == {"pass", "unavailable"}
    assert found["SC-001/combined-layers"].message == "no dtype that is claimed is among float32, float64, float16, bfloat16"


@pytest.mark.parametrize(
    "config", [LayerConfig(2, 1, 1, (3, 3), (2, 3), "CRD", separable=True), LayerConfig(2, 1, 1, (1, 1), (2, 2), "DCR")]
)
def test_icnr_of_a_base_of_one_value_is_one_value(config):
    """What any initializer draws for it."""
    init.constructed(reference.adapter, "cpu", config=config, case="case")


def test_a_kernel_of_one_value_whose_base_has_more_is_from_no_initializer(monkeypatch):
    config = LayerConfig(2, 2, 1, (1, 1), (2, 2), "DCR")
    layer = reference.adapter.layer(config, "cpu")
    monkeypatch.setattr(init, "constructed_layer", lambda *given: (layer, [{"kernel": np.ones((1, 1, 2, 4)), "bias": np.zeros(4)}]))
    with pytest.raises(Mismatch, match="the kernel must come from an initializer; every value is 1"):
        init.constructed(reference.adapter, "cpu", config=config, case="case")
