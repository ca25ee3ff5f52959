"""Wrong arithmetic of chains, and wrong choices."""

from collections.abc import Callable, Iterator
from math import log2
from typing import Any

from . import honest
from .mutant import Mutant, mutant


class _BiasesNotCounted(honest.Plan):
    """Counts no biases."""

    @property
    def parameters(self) -> int:
        return honest.oracle.chain_parameters(self.chain, self.kernel, bias=False, separable=self.separable)


class _SameExtents(honest.Plan):
    """Lets every stage work at the extents of the first."""

    def macs(self, spatial: tuple[int, ...]) -> int:
        return sum(honest.oracle.stage_weights(stage, self.kernel, self.separable) for stage in self.chain) * honest.prod(spatial)


class _OutputExtents(honest.Plan):
    """Counts activations one stage too late."""

    def activations(self, spatial: tuple[int, ...]) -> list[int]:
        extents = tuple(extent * r for extent, r in zip(spatial, self.chain[0][2], strict=True))
        return honest.oracle.chain_activations(self.chain, extents, separable=self.separable)


class _Floats(honest.Plan):
    """Gives MACs as a float, which is exact to 2^53."""

    def macs(self, spatial: tuple[int, ...]) -> Any:
        return float(super().macs(spatial))


class _AsIfNotEnlarged(honest.Plan):
    """Adds up the kernels as if no stage enlarged."""

    @property
    def receptive_field(self) -> tuple[int, ...]:
        return tuple(1 + len(self.factors) * (k - 1) for k in self.kernel)


class _ListedBackwards(honest.Plan):
    """Counts a chain as it was asked for, and lists its stages from the last."""

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name)[::-1] if name == "stages" else super().__getattribute__(name)


def _counting(plan: type[honest.Plan]) -> Callable[..., honest.Plan]:
    def plan_stages(*arguments: Any, **options: Any) -> honest.Plan:
        right = honest.plan_stages(*arguments, **options)
        wrong = plan.__new__(plan)
        wrong.__dict__.update(right.__dict__)
        return wrong

    return plan_stages


def _reversed(*arguments: Any, factors: Any = None, **options: Any) -> honest.Plan:
    """Return the stages in the other sequence."""
    return honest.plan_stages(*arguments, factors=None if factors is None else factors[::-1], **options)


def _direct(*arguments: Any, factors: Any = None, **options: Any) -> honest.Plan:
    """Return the direct stage where no factors are given."""
    return honest.plan_stages(*arguments, factors=(arguments[0],) if factors is None else factors, **options)


def _any_objective(*arguments: Any, objective: str = "parameters", max_parameters: int | None = None, **options: Any) -> honest.Plan:
    """Return the plan with the fewest parameters, whatever the objective and the budget."""
    return honest.plan_stages(*arguments, **options)


def _over_budget(*arguments: Any, max_parameters: int | None = None, **options: Any) -> honest.Plan:
    """Return a plan even if none is within the budget."""
    return honest.plan_stages(*arguments, **options)


def _rounded(scale: Any, *arguments: Any, factors: Any = None, **options: Any) -> honest.Plan:
    """Return int(log2(scale)) doublings where the factors do not reach the scale."""
    try:
        return honest.plan_stages(scale, *arguments, factors=factors, **options)
    except ValueError:
        if factors is None:
            raise
        largest = max(scale) if isinstance(scale, tuple) else scale
        doublings = max(1, int(log2(largest)))
        return honest.plan_stages(2**doublings, *arguments, factors=(2,) * doublings, **options)


def _none_or_a_plan(*arguments: Any, factors: Any = None, **options: Any) -> honest.Plan | None:
    """Return None where the factors do not reach the scale."""
    try:
        return honest.plan_stages(*arguments, factors=factors, **options)
    except ValueError:
        if factors is None:
            raise
        return None


def wrong_plans() -> Iterator[Mutant]:
    """Yield plans that are counted or chosen wrongly."""
    rows: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("biases not counted", "ST-001", "", _counting(_BiasesNotCounted)),
        ("every stage at the extents of the first", "ST-002", "", _counting(_SameExtents)),
        ("MACs as a float", "ST-002", "", _counting(_Floats)),
        ("activations one stage too late", "ST-003", "", _counting(_OutputExtents)),
        ("the receptive field as if nothing were enlarged", "ST-004", "", _counting(_AsIfNotEnlarged)),
        ("the stages listed backwards", "ST-005 ST-006 ST-007", "", _counting(_ListedBackwards)),
        ("the stages reversed", "ST-005", "ST-001 ST-002 ST-003 ST-004", _reversed),
        ("always direct", "ST-006 ST-007", "", _direct),
        ("the objective ignored", "ST-007", "", _any_objective),
        ("the budget ignored", "ST-007", "", _over_budget),
    ]
    for name, violates, also, plan_stages in rows:
        yield mutant(name, violates, also, operations="plan_stages", plan_stages=plan_stages)
    yield mutant(
        "rounded to doublings",
        "ER-007",
        operations="plan_stages",
        claims={"refusals": ("ER-007",)},
        history="int(log2(scale)) stages",
        plan_stages=_rounded,
    )
    yield mutant(
        "None for a plan that cannot be", "ER-007", operations="plan_stages", claims={"refusals": ("ER-007",)}, plan_stages=_none_or_a_plan
    )


def mutants() -> tuple[Mutant, ...]:
    """Return all mutants of the arithmetic."""
    return tuple(wrong_plans())
