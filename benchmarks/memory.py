"""How much memory a call takes, beyond what the process holds already (Linux)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def grown(run: Callable[[], Any]) -> int:
    """Return by how many bytes the resident memory of the process grew at most while ``run`` ran."""
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest value so far
    run()
    return _resident("VmHWM") - before


def _resident(what: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return 1024 * int(line.split()[1])
