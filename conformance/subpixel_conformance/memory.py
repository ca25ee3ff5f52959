"""How much memory there is, and how much a process takes together with everything that it has started."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

GIB = 2**30
SHARE = 0.75
"""The part of this machine's memory that one process that judges may take, where nothing else is said."""
_PROC = Path("/proc")


def available() -> int | None:
    """Return the memory of this machine in bytes, or of the control group that this process may use; None where it cannot be found out."""
    found = []
    with contextlib.suppress(AttributeError, ValueError, OSError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def default_limit() -> float | None:
    """Return the limit for one process in GiB, or None where the machine's memory cannot be found out."""
    total = available()
    return None if total is None else SHARE * total / GIB


def resident(group: int) -> int:
    """Return the resident memory, in bytes, of all processes of a process group or a session; 0 where there is none."""
    return sum(size for process_group, session, size in _processes() if group in (process_group, session))


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield (process group, session, resident bytes) of every process."""
    if not (_PROC / "self" / "stat").exists():
        yield from _told_by_ps()
        return
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            try:
                text = (_PROC / entry.name / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it has ended
            fields = text[text.rindex(")") + 2 :].split()
            yield int(fields[2]), int(fields[3]), int(fields[21]) * page


def _told_by_ps() -> Iterator[tuple[int, int, int]]:
    try:
        told = subprocess.run(["ps", "-A", "-o", "pgid=,rss="], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in told.splitlines():
        group, size = line.split()
        yield int(group), int(group), int(size) * 1024
