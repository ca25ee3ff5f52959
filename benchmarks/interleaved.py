"""Timing side by side: every competitor once per round, so that what slows the machine slows them all.

A ratio is the median of the rounds' ratios, with the quartiles beside it; times are medians in milliseconds.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from os import sched_getaffinity
from pathlib import Path
from statistics import median, quantiles

from rich.progress import Progress

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}
"""That of the processor is for a machine that others share, with one thread."""


@dataclass(frozen=True)
class Timing:
    """The times of one competitor in seconds, one per round, and those of the competitor that it is compared with."""

    name: str
    seconds: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def milliseconds(self) -> float:
        return 1e3 * median(self.seconds)

    @property
    def speed(self) -> tuple[float, float, float]:
        """How many times faster than the other: lower quartile, median, upper quartile of the rounds."""
        return _spread(self.floor, self.seconds)

    def ratio(self, other: "Timing") -> tuple[float, float, float]:
        """How many times the other's time: lower quartile, median, upper quartile of the rounds."""
        return _spread(self.seconds, other.seconds)

    def speed_over(self, other: "Timing") -> tuple[float, float, float]:
        """How many times faster than the other."""
        return _spread(other.seconds, self.seconds)


def _spread(above: tuple[float, ...], below: tuple[float, ...]) -> tuple[float, float, float]:
    low, middle, high = quantiles([one / other for one, other in zip(above, below, strict=True)], n=4)
    return low, middle, high


def interleaved(
    competitors: Mapping[str, Callable[[], None]],
    against: str,
    *,
    rounds: int,
    warmup: int = 3,
    shortest: float = 0.02,
    clock: Callable[[], float] = time.perf_counter,
    shown: bool = True,
) -> list[Timing]:
    """Time the competitors in turn. Each waits for its own result; one measurement repeats until it lasts ``shortest`` seconds."""
    repeats = {}
    for name, run in competitors.items():
        for _ in range(warmup):
            run()
        repeats[name] = max(1, round(shortest / _once(run, 1, clock)))
    seconds: dict[str, list[float]] = {name: [] for name in competitors}
    with Progress(transient=True, disable=not shown) as progress:
        for _ in progress.track(range(rounds), description="rounds"):
            for name, run in competitors.items():
                seconds[name].append(_once(run, repeats[name], clock))
    return [Timing(name, tuple(times), tuple(seconds[against])) for name, times in seconds.items()]


def _once(run: Callable[[], None], repeats: int, clock: Callable[[], float]) -> float:
    started = clock()
    for _ in range(repeats):
        run()
    return (clock() - started) / repeats


def machine(*packages: str) -> dict[str, object]:
    """Return what the figures depend on: processor, cores, system and versions."""
    return {
        "processor": _processor(),
        "cores": len(sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in packages},
    }


def written(
    report: Mapping[str, object], json_path: Path | None, plot: Callable[[Path], None] | None = None, plot_path: Path | None = None
) -> None:
    """Write a report as JSON, a line for each row, and its plot, where a path is given; folders that are not there are made."""
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        fields = (f"{json.dumps(name)}: {_in_lines(value)}" for name, value in report.items())
        json_path.write_text("{\n " + ",\n ".join(fields) + "\n}\n", encoding="utf-8")
    if plot and plot_path:
        plot_path.parent.mkdir(parents=True, exist_ok=True)
        plot(plot_path)


def _in_lines(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(json.dumps(row) for row in value) + "\n ]"
    return json.dumps(value)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    models = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    )
    return models[0] if models else platform.processor()
