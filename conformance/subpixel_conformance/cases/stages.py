"""ST: the arithmetic of chains, against counting and against every factorization."""

from collections.abc import Iterator
from functools import partial
from itertools import product
from math import prod
from typing import Any

from .. import compare, oracle
from ..adapter import AdapterProtocol
from ..case import Case, Mismatch, Needs

Factors = tuple[tuple[int, ...], ...]

CHAINS: tuple[tuple[str, Factors, int, int, int | tuple[int, ...], int | None], ...] = (
    ("direct", ((8, 8),), 7, 5, 3, None),
    ("doublings", ((2, 2), (2, 2), (2, 2)), 7, 5, 3, None),
    ("mixed", ((2, 2), (3, 3)), 4, 3, 3, 6),
    ("mixed-reversed", ((3, 3), (2, 2)), 4, 3, 3, 6),
    ("uneven", ((2, 1), (3, 4)), 3, 2, (3, 5), 4),
    ("even-kernel", ((2, 2), (2, 2)), 3, 2, (2, 4), None),
    ("one-tap", ((2, 3), (3, 2)), 3, 2, 1, None),
    ("prime", ((7, 7),), 3, 2, 5, None),
    ("1d", ((2,), (5,), (3,)), 3, 2, 4, 5),
    ("3d", ((2, 2, 2), (2, 2, 2), (2, 2, 2)), 16, 16, 3, None),
    ("3d-uneven", ((1, 2, 1), (1, 1, 3)), 3, 2, (3, 2, 5), 4),
    ("large", ((16, 16), (9, 9), (2, 2)), 65536, 131072, 31, 262144),
)
"""(name, factors, channels in, channels out, kernel size, width)"""

WANTED: tuple[tuple[tuple[int, ...], int, int, int, int | None], ...] = (
    ((6, 6), 16, 16, 3, None),
    ((8, 8), 16, 16, 3, None),
    ((8, 8), 2, 16, 3, None),
    ((7, 7), 3, 2, 3, None),
    ((12, 12), 5, 3, 3, 4),
    ((12, 12), 2, 40, 1, 8),
    ((4, 6), 3, 2, 3, 5),
    ((1, 4, 4), 8, 8, 3, None),
    ((30,), 4, 2, 5, 3),
    ((16,), 2, 9, 3, None),
    ((1, 1), 3, 2, 3, None),
)
"""(scale, channels in, channels out, kernel size, width)"""


def counted(adapter: AdapterProtocol, device: str, *, chain: Any, bias: bool, separable: bool, clause: str, case: str) -> None:
    """Demand that the numbers of a given chain are those that counting gives, as integers."""
    _, factors, inputs, outputs, kernel_size, width = chain
    ndim = len(factors[0])
    kernel = (kernel_size,) * ndim if isinstance(kernel_size, int) else kernel_size
    scale = tuple(prod(stage[axis] for stage in factors) for axis in range(ndim))
    options = {"kernel_size": kernel_size, "ndim": ndim, "factors": factors, "width": width, "bias": bias, "separable": separable}
    plan = adapter.plan_stages(scale, inputs, outputs, **options)
    stages = oracle.chain_shapes(factors, inputs, outputs, width)
    spatial = (5, 7, 3)[:ndim]
    what: str
    actual: Any
    expected: Any
    if clause == "ST-001":
        what, actual = "parameters", plan.parameters
        expected = oracle.chain_parameters(stages, kernel, bias=bias, separable=separable)
    elif clause == "ST-002":
        what, actual = f"macs({spatial})", plan.macs(spatial)
        expected = oracle.chain_macs(stages, kernel, spatial, separable=separable)
    elif clause == "ST-003":
        what, actual = f"activations({spatial})", list(plan.activations(spatial))
        expected = oracle.chain_activations(stages, spatial, separable=separable)
    elif clause == "ST-004":
        what, actual = "receptive_field", tuple(plan.receptive_field)
        expected = oracle.chain_receptive_field(factors, kernel)
    else:
        what, actual, expected = "the stages", tuple(tuple(stage.scale) for stage in plan.stages), factors
    if not compare.same_counts(actual, expected):
        raise Mismatch(f"{clause} ({case}): {what} must be {expected}; got {actual}")


def chosen(
    adapter: AdapterProtocol,
    device: str,
    *,
    wanted: Any,
    bias: bool,
    separable: bool,
    objective: str,
    budget: float | None,
    clause: str,
    case: str,
) -> None:
    """Demand that the plan that is chosen is the best of all factorizations; where the budget allows none, it is refused."""
    scale, inputs, outputs, kernel_size, width = wanted
    ndim, kernel = len(scale), (kernel_size,) * len(scale)
    options: dict[str, Any] = {"width": width, "bias": bias, "separable": separable}
    smallest = oracle.best_plan(scale, inputs, outputs, kernel, **options)
    if smallest is None:
        raise ValueError(f"scale must have a factorization; got {scale}")
    chain = oracle.chain_shapes(smallest, inputs, outputs, width)
    limit = None if budget is None else int(budget * oracle.chain_parameters(chain, kernel, bias=bias, separable=separable))
    expected = oracle.best_plan(scale, inputs, outputs, kernel, objective=objective, max_parameters=limit, **options)
    asked: dict[str, Any] = {"kernel_size": kernel_size, "ndim": ndim, **options}
    if clause == "ST-007":
        asked |= {"objective": objective}
    if limit is not None:
        asked |= {"max_parameters": limit}
    try:
        plan = adapter.plan_stages(scale, inputs, outputs, **asked)
    except Exception:
        if expected is None:
            return
        raise
    actual = tuple(tuple(stage.scale) for stage in plan.stages)
    if actual != expected:
        best = "be refused" if expected is None else f"have the stages {expected}"
        raise Mismatch(f"{clause} ({case}): the plan must {best}; got {actual}")


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases of ST."""
    kinds = [(True, False), (False, False), (True, True)]
    for chain, (bias, separable), clause in product(CHAINS, kinds, ("ST-001", "ST-002", "ST-003", "ST-004", "ST-005")):
        if clause in ("ST-004", "ST-005") and (not bias or separable):
            continue
        slug = f"{chain[0]}{'' if bias else '-no-bias'}{'-separable' if separable else ''}"
        case = f"{clause}/{slug}"
        needs = Needs(("plan_stages",))
        yield Case(
            case, (clause,), "stages", needs, partial(counted, chain=chain, bias=bias, separable=separable, clause=clause, case=case)
        )
    for wanted, (bias, separable) in product(WANTED, kinds):
        scale, inputs, outputs, kernel, width = wanted
        slug = f"{'x'.join(map(str, scale))}-{inputs}-to-{outputs}-k{kernel}-w{width or outputs}"
        slug = f"{slug}{'' if bias else '-no-bias'}{'-separable' if separable else ''}"
        options: dict[str, Any] = {"wanted": wanted, "bias": bias, "separable": separable}
        case = f"ST-006/{slug}"
        check = partial(chosen, objective="parameters", budget=None, clause="ST-006", case=case, **options)
        yield Case(case, ("ST-006",), "stages", Needs(("plan_stages",)), check)
        budgets = [("macs", None), ("macs", 1.5), ("parameters", 0.9)]
        for objective, budget in budgets if profile == "exhaustive" or (bias and not separable) else ():
            case = f"ST-007/{slug}-{objective}{'' if budget is None else f'-within-{budget}'}"
            check = partial(chosen, objective=objective, budget=budget, clause="ST-007", case=case, **options)
            yield Case(case, ("ST-007",), "stages", Needs(("plan_stages",)), check)
