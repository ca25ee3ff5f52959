"""Residual U-Nets under circumstances that come together: which are judged, and that a verdict names the network."""

from itertools import combinations, product

import pytest

from subpixel_conformance.adapter import Claims
from subpixel_conformance.adapters import reference
from subpixel_conformance.case import claims_of
from subpixel_conformance.cases import cases_for
from subpixel_conformance.cases import combined_unet as combined
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants import combined_unet as mutants
from subpixel_conformance.selftest import examine

CLAIMS = claims_of(reference.adapter)


def taps_of(net):
    return next(name for name, taps in combined.KERNELS.items() if taps[: net.config["ndim"]] == net.config["kernel_size"])


def test_the_full_profile_has_every_pair_of_what_a_network_is_made_of():
    nets = combined.nets(CLAIMS, "full")
    made = [(net.config["norm"], net.config["upsample"], net.config["ndim"], taps_of(net)) for net in nets]
    levels = (("none", "group", "batch"), ("subpixel", "resize", "deconv"), (1, 2, 3), tuple(combined.KERNELS))
    for one, other in combinations(range(4), 2):
        assert {(net[one], net[other]) for net in made} == set(product(levels[one], levels[other]))
    assert {net.config["order"] for net in nets} == set(CLAIMS.orders)
    assert len(nets) < 12


def test_the_full_profile_has_what_other_networks_have_least_of():
    for net in combined.nets(CLAIMS, "full"):
        assert (len(net.config["widths"]), net.samples, net.config["in_channels"]) == (3, 3, 1)
        assert net.unet.padded(net.spatial) == net.spatial


def test_the_exhaustive_profile_has_every_pair():
    nets = [dict(pair.split("=") for pair in net.name.split(", ") if "=" in pair) for net in combined.nets(CLAIMS, "exhaustive")]
    levels = {name: values for name, values in combined.circumstances(CLAIMS).items() if name != "blocks"}
    for one, other in combinations(levels, 2):
        wanted = {(str(a), str(b)) for a, b in product(levels[one], levels[other])}
        assert wanted <= {(net[one], net[other]) for net in nets}


def test_nothing_is_asked_that_is_not_claimed():
    claims = Claims(orders=("RCD",), ndims=(2,), anisotropic=False)
    for net in combined.nets(claims, "exhaustive"):
        assert net.needs().missing(Claims(operations=("unet",), orders=("RCD",), ndims=(2,), anisotropic=False)) is None


@pytest.mark.parametrize("when", [("groups", "deconv"), ("batch norm", "resize"), ("three samples", "no norm")])
def test_only_these_cases_see_a_mutant_and_they_name_the_network(when):
    (mutant,) = (one for one in mutants.mutants() if one.name.endswith(": " + " and ".join(when)))
    finding = examine(mutant.adapter, cases_for(claims_of(mutant.adapter)), mutant)
    ((clause, message),) = finding.failing.items()
    assert message.startswith(f"{clause}/combined: ")
    assert "; wrong in the network of norm=" in message


def test_what_is_right_passes():
    results = {case.id: judge(case, reference.adapter, "cpu") for case in combined.cases("full")}
    assert {result.status for result in results.values()} == {"pass"}
    assert list(results) == ["UN-012/combined", "UN-005/combined", "UN-006/combined", "UN-010/combined"]
