"""What a mutant declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .honest import Honest


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation. Cases of every clause in ``violates`` must fail, and of no clause but those and ``also``.

    ``history`` names where the mistake was seen, if it was.
    """

    name: str
    adapter: Any
    violates: frozenset[str]
    also: frozenset[str] = frozenset()
    history: str = ""


def mutant(
    name: str,
    violates: str,
    also: str = "",
    *,
    history: str = "",
    operations: str = "",
    claims: dict[str, Any] | None = None,
    **replaced: Callable[..., Any],
) -> Mutant:
    """Return the honest implementation with ``replaced`` in it. ``violates``, ``also`` and ``operations`` are words separated by spaces.

    It claims only ``operations`` where some are given, and no refusals unless ``claims`` say so: what it is right about is not of interest.
    """
    claimed = {"refusals": (), **({"operations": tuple(operations.split())} if operations else {}), **(claims or {})}
    adapter = Honest(name, claims=claimed, **replaced)
    return Mutant(name, adapter, frozenset(violates.split()), frozenset(also.split()), history)
