"""Implementations that are wrong on purpose: the suite must reject each, by the clauses that it violates."""

from . import init, layer, sampled, shift, stages, unet, weights
from .mutant import Mutant


def all_mutants() -> tuple[Mutant, ...]:
    """Return every mutant."""
    return (*shift.mutants(), *init.mutants(), *layer.mutants(), *stages.mutants(), *unet.mutants(), *weights.mutants(), *sampled.mutants())
