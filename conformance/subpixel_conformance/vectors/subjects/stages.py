"""The arithmetic of chained stages."""

from collections.abc import Iterator
from typing import Any

from ..definition import Definition, Shape


def stages() -> Iterator[Definition]:
    """Yield plans with their factors given, and plans that choose them."""

    def plan(name: str, why: str, scale: Shape, ci: int, co: int, clauses: tuple[str, ...], **more: Any) -> Definition:
        ndim = len(scale)
        arguments = {
            "scale": list(scale),
            "in_channels": ci,
            "out_channels": co,
            "kernel_size": more.pop("kernel_size", [3] * ndim),
            "bias": more.pop("bias", True),
            "separable": more.pop("separable", False),
            "spatial": more.pop("spatial", [5, 7, 4][:ndim]),
        } | more
        return Definition(f"plan-{name}", "plan_stages", clauses, why, arguments, {})

    counted, chosen, by_macs = ("ST-001", "ST-002", "ST-003", "ST-004", "ST-005"), ("ST-006",), ("ST-007",)
    yield plan("direct-8", "The direct stage that chains are compared with.", (8, 8), 16, 16, counted, factors=[[8, 8]])
    yield plan(
        "chain-2-2-2", "Three doublings: 64/12 of the weights, and 84/64 of the work.", (8, 8), 16, 16, counted, factors=[[2, 2]] * 3
    )
    yield plan("chain-2-4", "The sequence counts: 2 · 4 computes less than 4 · 2.", (8, 8), 16, 16, counted, factors=[[2, 2], [4, 4]])
    yield plan("chain-4-2", "The sequence counts: 4 · 2 computes more than 2 · 4.", (8, 8), 16, 16, counted, factors=[[4, 4], [2, 2]])
    why = "Channels that change: the first stage reads 7, all others 5, so the ratio is not 64/12."
    yield plan("no-bias", why, (8, 8), 7, 5, counted, factors=[[2, 2]] * 3, bias=False)
    yield plan("wider-chain-costs-more", "From 2 to 16 channels the chain has more weights.", (8, 8), 2, 16, counted, factors=[[2, 2]] * 3)
    why = "A width between the stages that is not that of the output."
    yield plan("width", why, (6, 6), 8, 3, counted, factors=[[2, 2], [3, 3]], width=12)
    why = "Separable stages: depthwise weights, pointwise weights, and the values of both."
    yield plan("separable", why, (4, 4), 6, 5, counted, factors=[[2, 2], [2, 2]], separable=True)
    why = "Factors and kernels that differ by axis."
    yield plan("unequal", why, (6, 4), 3, 2, counted, factors=[[2, 1], [3, 4]], kernel_size=[3, 2])
    yield plan("1d", "One spatial axis.", (12,), 4, 4, counted, factors=[[2], [2], [3]], kernel_size=[5])
    yield plan("3d", "Three spatial axes: 512 units of weights against 24.", (8, 8, 8), 16, 16, counted, factors=[[2, 2, 2]] * 3)
    why = "The receptive field of even kernels under unequal factors."
    yield plan("receptive-field", why, (4, 9), 2, 2, ("ST-004",), factors=[[2, 3], [2, 3]], kernel_size=[4, 5])
    why = "More than 2³¹ multiply-accumulates: 32-bit counters overflow."
    yield plan("beyond-32-bits", why, (4, 4), 64, 64, ("ST-002", "ST-003"), factors=[[2, 2], [2, 2]], spatial=[1024, 768])
    yield plan("chosen-6", "With no factors given, 6 is 2 · 3 and never a power of two.", (6, 6), 16, 16, chosen)
    yield plan("chosen-3", "A prime is reached in one stage: three is not two.", (3, 3), 16, 16, chosen)
    yield plan("chosen-8", "With as many channels in as out the doublings have the fewest weights.", (8, 8), 16, 16, chosen)
    yield plan("chosen-direct", "The direct stage counts too, and wins where the output is wide.", (8, 8), 2, 16, chosen, bias=False)
    yield plan("chosen-by-axis", "A scale that differs by axis is factored axis by axis.", (1, 4, 4), 8, 8, chosen)
    yield plan("fewest-macs", "The fewest multiply-accumulates instead of the fewest weights.", (8, 8), 16, 16, by_macs, objective="macs")
    why = "The fewest multiply-accumulates within a budget of parameters."
    yield plan("fewest-macs-in-budget", why, (8, 8), 16, 16, by_macs, objective="macs", max_parameters=60000)
