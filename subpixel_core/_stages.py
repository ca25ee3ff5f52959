"""The arithmetic of sub-pixel layers and chains of them: parameters, MACs, activations, receptive field, and the choice of a plan."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import isqrt, prod
from typing import Any, Literal, NamedTuple

from subpixel_core import check

Factors = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Stage:
    """One sub-pixel convolution: ``in_channels`` to ``out_channels``, ``scale`` times larger.

    >>> stage = Stage(scale=(2, 2), in_channels=16, out_channels=8, kernel_size=(3, 3))
    >>> stage.kernel_shape, stage.parameters, stage.macs((10, 20))
    ((3, 3, 16, 32), 4640, 921600)
    """

    scale: tuple[int, ...]
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    bias: bool = True
    separable: bool = False

    def __post_init__(self) -> None:
        check.per_axis("scale", self.scale)
        check.per_axis("kernel_size", self.kernel_size, len(self.scale))
        check.integer("in_channels", self.in_channels, minimum=1)
        check.integer("out_channels", self.out_channels, minimum=1)

    @property
    def channels(self) -> int:
        """Channels between convolution and shift: ``out_channels * prod(scale)``."""
        return self.out_channels * prod(self.scale)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """(*k, Ci, C * prod(scale)); of a separable stage the pointwise kernel, (1, ..., 1, Ci, C * prod(scale))."""
        taps = (1,) * len(self.kernel_size) if self.separable else self.kernel_size
        return (*taps, self.in_channels, self.channels)

    @property
    def depthwise_shape(self) -> tuple[int, ...] | None:
        """(*k, Ci, 1), or None where the stage is not separable."""
        return (*self.kernel_size, self.in_channels, 1) if self.separable else None

    @property
    def weights(self) -> int:
        """Number of kernel values, depthwise and pointwise for a separable stage."""
        return prod(self.kernel_shape) + prod(self.depthwise_shape or (0,))

    @property
    def terms(self) -> int:
        """Number of terms that a value is the sum of, with the bias; of a separable stage those of both sums."""
        terms = prod(self.kernel_shape[:-1]) + 1  # CV-003
        return terms + prod(self.kernel_size) if self.separable else terms  # SP-002

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return self.weights + (self.channels if self.bias else 0)  # ST-001

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents, with padding "same"."""
        return self.weights * self._positions(spatial)  # ST-002

    def activations(self, spatial: int | Sequence[int]) -> int:
        """Return the number of values written for one sample: the convolution's, and the depthwise result of a separable stage."""
        return (self.channels + (self.in_channels if self.separable else 0)) * self._positions(spatial)  # ST-003

    def _positions(self, spatial: int | Sequence[int]) -> int:
        return prod(check.per_axis("spatial", spatial, len(self.scale), minimum=0))


@dataclass(frozen=True)
class StagePlan:
    """A scale reached in one stage or in several."""

    stages: tuple[Stage, ...]

    @property
    def scale(self) -> tuple[int, ...]:
        """The scale of the whole chain, one factor per axis."""
        return tuple(prod(factors) for factors in zip(*(stage.scale for stage in self.stages), strict=True))

    @property
    def parameters(self) -> int:
        """Number of weights and biases of all stages."""
        return sum(stage.parameters for stage in self.stages)  # ST-001

    def macs(self, spatial: int | Sequence[int]) -> int:
        """Return the multiply-accumulates for one sample whose input has these extents; later stages work on larger ones."""
        return sum(stage.macs(extents) for stage, extents in self._with_extents(spatial))  # ST-002

    def activations(self, spatial: int | Sequence[int]) -> tuple[int, ...]:
        """Return, for every stage, the number of values it writes for one sample."""
        return tuple(stage.activations(extents) for stage, extents in self._with_extents(spatial))  # ST-003

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """The largest number of input positions, per axis, that one output position can depend on."""
        return tuple(self._receptive_field(axis) for axis in range(len(self.scale)))  # ST-004

    def _receptive_field(self, axis: int) -> int:
        widest = 0
        for position in range(self.scale[axis]):
            first = last = position
            for stage in reversed(self.stages):
                before = (stage.kernel_size[axis] - 1) // 2
                first = first // stage.scale[axis] - before
                last = last // stage.scale[axis] + stage.kernel_size[axis] - 1 - before
            widest = max(widest, last - first + 1)
        return widest

    def _with_extents(self, spatial: int | Sequence[int]) -> Iterator[tuple[Stage, tuple[int, ...]]]:
        extents = check.per_axis("spatial", spatial, len(self.scale), minimum=0)
        for stage in self.stages:
            yield stage, extents
            extents = tuple(extent * factor for extent, factor in zip(extents, stage.scale, strict=True))


def plan_stages(
    scale: check.Scale,
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int | Sequence[int] = 3,
    ndim: int = 2,
    factors: Sequence[check.Scale] | None = None,
    width: int | None = None,
    bias: bool = True,
    separable: bool = False,
    objective: Literal["parameters", "macs"] = "parameters",
    max_parameters: int | None = None,
) -> StagePlan:
    """Plan how to reach a scale: in the stages given, or in those that cost least.

    A chain has fewer parameters than the direct stage in most cases, and more MACs unless it is narrower than its input; and it is another
    function, not a cheaper way to compute the same one.

    Parameters
    ----------
    scale : int or tuple of int
        An int is that factor on every one of the ``ndim`` axes.
    in_channels, out_channels : int
    kernel_size : int or tuple of int
        Of every stage.
    ndim : int
        Number of spatial axes.
    factors : sequence of int or of tuples, optional
        The scales of the stages. Without them every factorization is considered, the direct one included; a scale that is equal on all axes
        is factored into stages that are equal on all axes.
    width : int, optional
        Channels between the stages; ``out_channels`` if None.
    bias, separable : bool
    objective : {"parameters", "macs"}
        What to have fewest of. Ties go to the fewest of the other, then to the fewest stages, then to the smaller factors first.
    max_parameters : int, optional
        Consider only plans with at most so many parameters.

    Returns
    -------
    StagePlan

    Raises
    ------
    ValueError, TypeError
        If the factors do not multiply to the scale, no plan is within the budget, the scale has a product above 2**20 and no factors are
        given, or an argument is not of its kind.

    Examples
    --------
    >>> [stage.scale for stage in plan_stages(6, 16, 16).stages]
    [(2, 2), (3, 3)]
    >>> direct, chain = plan_stages(8, 2, 16, factors=(8,), bias=False), plan_stages(8, 2, 16, factors=(2, 2, 2), bias=False)
    >>> direct.parameters, chain.parameters       # from few channels to many, the chain costs more
    (18432, 19584)
    """
    # ST-001 to ST-007
    ndim = check.integer("ndim", ndim, minimum=1)
    total = check.per_axis("scale", scale, ndim)
    in_channels = check.integer("in_channels", in_channels, minimum=1)
    out_channels = check.integer("out_channels", out_channels, minimum=1)
    taps = check.per_axis("kernel_size", kernel_size, ndim)
    between = out_channels if width is None else check.integer("width", width, minimum=1)
    check.one_of("objective", objective, ("parameters", "macs"))
    budget = None if max_parameters is None else check.integer("max_parameters", max_parameters, minimum=0)
    has_bias, is_separable = check.flag("bias", bias), check.flag("separable", separable)

    def stage(step: tuple[int, ...], first: bool, last: bool) -> Stage:
        channels = in_channels if first else between, out_channels if last else between
        return Stage(step, *channels, taps, has_bias, is_separable)

    def plan(steps: Factors) -> StagePlan:
        return StagePlan(tuple(stage(step, i == 0, i == len(steps) - 1) for i, step in enumerate(steps)))

    isotropic = len(set(total)) == 1
    here = (1,) * ndim

    @cache
    def candidates(rest: tuple[int, ...], first: bool) -> tuple[Cost, ...]:
        """Return what the best chains that reach ``rest`` cost: those that no other beats in parameters and in MACs."""
        last_stage = stage(rest, first, last=True)
        found = [Cost(last_stage.parameters, last_stage.macs(here), 1, (rest,))]
        for step in _first_steps(rest, isotropic):
            own, positions = stage(step, first, last=False), prod(step)
            for chain in candidates(_divided(rest, step), first=False):
                macs = own.macs(here) + positions * chain.macs
                found.append(Cost(own.parameters + chain.parameters, macs, 1 + chain.length, (step, *chain.steps)))
        unbeaten: list[Cost] = []
        for cost in sorted(found):
            if not unbeaten or cost.macs < unbeaten[-1].macs:
                unbeaten.append(cost)
        return tuple(unbeaten)

    if factors is None:
        check.plannable("scale", total)
        choices = candidates(total, first=True)
    else:
        steps = _given(factors, total, ndim)  # ST-005
        choices = (Cost(plan(steps).parameters, plan(steps).macs(here), len(steps), steps),)
    affordable = [cost for cost in choices if budget is None or cost.parameters <= budget]
    if not affordable:
        raise ValueError(f"max_parameters must be {choices[0].parameters} or more to reach scale={total}; got {budget}")
    return plan(affordable[0 if objective == "parameters" else -1].steps)  # ST-006, ST-007


class Cost(NamedTuple):
    """What a chain costs, in the order in which chains are preferred: parameters, MACs per input position, number of stages, factors."""

    parameters: int
    macs: int
    length: int
    steps: Factors


def _given(factors: Any, scale: tuple[int, ...], ndim: int) -> Factors:
    """Return the stages asked for, refusing those that do not multiply to the scale."""
    if not isinstance(factors, (tuple, list)):
        raise TypeError(f"factors must be a tuple with the scale of every stage; got {factors!r}")
    steps = tuple(check.per_axis("factors", factor, ndim) for factor in factors)
    reached = tuple(prod(step[axis] for step in steps) for axis in range(ndim))
    if not steps or reached != scale:
        raise ValueError(f"factors must multiply to scale={scale}; got {tuple(factors)}, which multiply to {reached}")  # ER-007
    return steps


def factorizations(scale: check.Scale) -> Iterator[Factors]:
    """Yield every way to reach a scale in stages, in order, the direct one last. An int is the pair.

    >>> list(factorizations((6, 6)))
    [((2, 2), (3, 3)), ((3, 3), (2, 2)), ((6, 6),)]
    >>> list(factorizations((1, 4)))
    [((1, 2), (1, 2)), ((1, 4),)]
    """
    total = check.per_axis("scale", scale)
    yield from _chains(total, isotropic=len(set(total)) == 1)


def _chains(rest: tuple[int, ...], isotropic: bool) -> Iterator[Factors]:
    for step in _first_steps(rest, isotropic):
        yield from ((step, *steps) for steps in _chains(_divided(rest, step), isotropic))
    yield (rest,)


def _first_steps(scale: tuple[int, ...], isotropic: bool) -> list[tuple[int, ...]]:
    """Return the scales that the first of several stages may have."""
    if isotropic:
        return [(factor,) * len(scale) for factor in _divisors(scale[0])[1:-1]]
    steps = product(*(_divisors(r) for r in scale))
    return [step for step in steps if max(step) > 1 and step != scale]


def _divided(scale: tuple[int, ...], step: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(r // s for r, s in zip(scale, step, strict=True))


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
