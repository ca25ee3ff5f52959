"""The cases, by area of the specification."""

from functools import cache

from ..case import Case
from . import equivalence, execution, gradient, init, layer, precision, refusals, sampled, shift, stages, unet, weights

PROFILES = ("quick", "full")


@cache
def all_cases(profile: str = "quick", seed: int = 0) -> tuple[Case, ...]:
    """Return every case of a profile, in the order of the specification. "full" holds all of "quick".

    ``seed`` chooses what the sampled cases draw; their ids, and all other cases, are the same for every seed.

    Raises
    ------
    ValueError
        For a profile other than "quick" and "full".
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be quick or full; got {profile!r}")
    areas = (shift, refusals, execution, gradient, init, layer, precision, stages, equivalence, unet, weights)
    return (*(case for area in areas for case in area.cases(profile)), *sampled.cases(profile, seed))
