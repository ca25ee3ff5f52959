"""Implementations that are wrong on purpose: the suite must reject each, by the clauses that it violates."""

from . import (
    combined,
    combined_equivalence,
    combined_kinds,
    combined_layers,
    combined_unet,
    corners,
    dishonest,
    equivalence,
    init,
    layer,
    sampled,
    shift,
    stages,
    unet,
    weights,
)
from .mutant import Mutant


def all_mutants() -> tuple[Mutant, ...]:
    """Return every mutant."""
    areas = (shift, init, layer, stages, equivalence, unet, weights, sampled, dishonest, corners)
    together = (combined, combined_layers, combined_kinds, combined_equivalence, combined_unet)
    return tuple(mutant for area in (*areas, *together) for mutant in area.mutants())
