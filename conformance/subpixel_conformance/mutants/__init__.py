"""Implementations that are wrong on purpose: the suite must reject each, by the clauses that it violates."""

from . import combined, combined_layers, corners, dishonest, equivalence, init, layer, sampled, shift, stages, unet, weights
from .mutant import Mutant


def all_mutants() -> tuple[Mutant, ...]:
    """Return every mutant."""
    areas = (shift, init, layer, stages, equivalence, unet, weights, sampled, dishonest, corners, combined, combined_layers)
    return tuple(mutant for area in areas for mutant in area.mutants())
