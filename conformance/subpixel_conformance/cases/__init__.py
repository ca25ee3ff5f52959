"""The cases, by area of the specification."""

from functools import cache

from ..case import Case
from . import (
    combined,
    combined_layers,
    equivalence,
    execution,
    gradient,
    init,
    layer,
    precision,
    refusals,
    sampled,
    shift,
    stages,
    unet,
    weights,
)

PROFILES = ("quick", "full")
REAL = ("float32", "float64", "float16", "bfloat16")


@cache
def all_cases(profile: str = "quick", seed: int = 0, dtype: str = "float32") -> tuple[Case, ...]:
    """Return every case of a profile, in the order of the specification. "full" holds all of "quick".

    ``seed`` chooses what the sampled cases draw; their ids, and all other cases, are the same for every seed. Most cases are in ``dtype``,
    for which `bulk_dtype` of the claims is best; layers and gradients need a floating-point dtype, and are in float32 where it is none.

    Raises
    ------
    ValueError
        For a profile other than "quick" and "full".
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be quick or full; got {profile!r}")
    real = dtype if dtype in REAL else "float32"
    return (
        *shift.cases(profile, dtype),
        *refusals.cases(dtype, real),
        *execution.cases(profile, dtype, real),
        *gradient.cases(profile, real),
        *init.cases(profile, real),
        *layer.cases(profile, real),
        *(case for area in (precision, stages, equivalence, unet, weights) for case in area.cases(profile)),
        *combined.cases(profile),
        *combined_layers.cases(profile),
        *sampled.cases(profile, seed, dtype, real),
    )
