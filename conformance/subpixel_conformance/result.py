"""What became of one case."""

from dataclasses import asdict, dataclass
from typing import Any

WRONG = ("fail", "error", "crash")
PROFILES = ("quick", "full", "exhaustive")
"""How much is judged: each holds all of the one before."""
STATUSES = ("pass", "fail", "error", "crash", "known_failure", "unexpected_pass", "not_claimed", "unavailable", "not_run")
OUT_OF_MEMORY = ("OutOfMemoryError", "ResourceExhaustedError", "RESOURCE_EXHAUSTED", "out of memory", "Unable to allocate")


@dataclass(frozen=True)
class Result:
    """The verdict on one case for one adapter on one device.

    ``status``: *pass*; *fail*, the output is wrong; *error*, the implementation raised where it must not; *crash*, its process died,
    hung or took too much memory; *known_failure*, one of the first three, and listed as known with the reason in ``known``;
    *unexpected_pass*, listed, and right; *not_claimed*, outside the claims; *unavailable*, claimed, but this machine cannot run it, for
    the reason in ``message``; *not_run*, planned, and never judged, because the run ended before, for the reason in ``message``.
    ``ratio`` is the largest error over its bound where a bound was used, ``order_found`` the order that a wrong output matches,
    ``deviation`` the largest error of a whole network over its largest output.
    """

    case: str
    clauses: tuple[str, ...]
    conformance_class: str
    status: str
    device: str = "cpu"
    mode: str = "eager"
    dtype: str = ""
    message: str = ""
    known: str = ""
    order_found: str | None = None
    reproduction: str = ""
    ratio: float | None = None
    deviation: float | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them."""
        return asdict(self)


LONGEST = 4000
"""How many characters of an exception's text are kept."""


def told(error: BaseException) -> str:
    """Return type and text of an exception, the text cut where it is very long; one that means that memory ran out begins with that."""
    name = type(error).__name__
    try:
        said = str(error)
        said = said if len(said) <= LONGEST else f"{said[:LONGEST]}… ({len(said)} characters)"
        text = f"{name}: {said}" if said else name
    except Exception:  # an exception that cannot be told
        text = name
    short_of_memory = isinstance(error, MemoryError) or any(sign in text for sign in OUT_OF_MEMORY)
    return f"out of memory: {text}" if short_of_memory else text
