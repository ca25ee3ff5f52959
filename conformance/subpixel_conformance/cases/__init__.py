"""The cases, by area of the specification."""

from collections.abc import Iterable, Iterator
from functools import cache

from ..adapter import Claims
from ..case import Case, Needs, bulk_dtype
from ..result import PROFILES
from . import (
    combined,
    combined_equivalence,
    combined_functions,
    combined_layers,
    combined_unet,
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

REAL = ("float32", "float64", "float16", "bfloat16")
TOGETHER = (combined, combined_layers, combined_functions, combined_equivalence, combined_unet)
"""The areas whose cases put circumstances together, many calls in each."""


def cases_for(claims: Claims, profile: str = "full", seed: int = 0) -> tuple[Case, ...]:
    """Return the cases that an implementation is put to, in the order of the specification; each profile holds all of the one before.

    "quick" is a first look: few cases, chosen by what is claimed, and none that puts circumstances together or is drawn at random. "full"
    judges every pair of circumstances, "exhaustive" every triple. ``seed`` chooses what the sampled cases draw; their ids, and all
    other cases, are the same for every seed.

    Raises
    ------
    ValueError
        For any other profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile must be one of {', '.join(PROFILES)}; got {profile!r}")
    dtype = bulk_dtype(claims)
    if profile != "quick":
        return all_cases(profile, seed, dtype)
    alone = _alone("full", dtype)
    claimed = {case.id: case.needs.missing(claims) is None for case in alone}
    kept = {case.id for wanted in (True, False) for case in few(case for case in alone if claimed[case.id] is wanted)}
    return tuple(case for case in alone if case.id in kept)


@cache
def all_cases(profile: str = "full", seed: int = 0, dtype: str = "float32") -> tuple[Case, ...]:
    """Return every case of the full or the exhaustive profile.

    Most are in ``dtype``, for which `bulk_dtype` of the claims is best; layers and gradients need a floating-point dtype, and are in
    float32 where it is none.
    """
    return (
        *_alone(profile, dtype),
        *(case for area in TOGETHER for case in area.cases(profile)),
        *sampled.cases(profile, seed, dtype, _real(dtype)),
    )


@cache
def _alone(profile: str, dtype: str) -> tuple[Case, ...]:
    """Return the cases that judge one thing each."""
    real = _real(dtype)
    return (
        *shift.cases(profile, dtype),
        *refusals.cases(dtype, real),
        *execution.cases(profile, dtype, real),
        *gradient.cases(profile, real),
        *init.cases(profile, real),
        *layer.cases(profile, real),
        *(case for area in (precision, stages, equivalence, unet, weights) for case in area.cases(profile)),
    )


def _real(dtype: str) -> str:
    return dtype if dtype in REAL else "float32"


def few(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield those of ``cases`` that show something new: a clause, and under each clause an operation, order, format, or number of axes.

    Execution modes are counted over all clauses, for a compiler may take seconds.
    """
    shown: set[tuple[object, ...]] = set()
    for case in cases:
        shows = set(_shown(case.clauses[0], case.needs))
        if not shows <= shown:
            shown |= shows
            yield case


def _shown(clause: str, needs: Needs) -> Iterator[tuple[object, ...]]:
    for name, value in vars(needs).items():
        if name == "mode":
            yield name, value
        elif name == "layer" and value is not None:
            yield from ((clause, name, field, getattr(value, field)) for field in ("order", "separable", "blur", "activation"))
            yield clause, name, "chained", value.factors is not None
        else:
            yield clause, name, value
