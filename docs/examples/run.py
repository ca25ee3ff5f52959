"""What every run shares: its options, its progress bar and its record."""

import argparse
import json
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from itertools import repeat
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

FRAMEWORKS = ("torch", "tensorflow", "jax")
SEED = 0
FIRST_STEPS = 5
"""As long as this, the rounding of float32 has not yet grown: the losses of the three frameworks are one number."""

RESULTS = Path(__file__).resolve().parent / "results"

console = Console()


def parser(description: str, *, steps: int, frameworks: bool = True) -> argparse.ArgumentParser:
    """Return the options that every example has, and that of the framework where one can be chosen."""
    options = argparse.ArgumentParser(description=description)
    if frameworks:
        options.add_argument("--framework", choices=(*FRAMEWORKS, "all"), default="all")
    options.add_argument("--steps", type=_steps, default=steps, help=f"of training; {steps} by default")
    options.add_argument(
        "--out", type=Path, default=Path("reports/examples"), help="where the figures and pictures go; %(default)s by default"
    )
    options.add_argument(
        "--short", action="store_true", help="small data and a narrow network, as the tests run it: shows that it runs, not what it reaches"
    )
    return options


def _steps(text: str) -> int:
    steps = int(text)
    if steps < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {steps}")
    return steps


def chosen(framework: str) -> dict[str, Any]:
    """Return the modules that train in the frameworks asked for, by name. Nothing else is imported."""
    names = FRAMEWORKS if framework == "all" else (framework,)
    return {name: import_module(f"in_{name}") for name in names}


def lesson(batches: Iterator[Any], steps: int, *, short: bool) -> Iterator[Any]:
    """Yield what is trained on: all batches; in the short form the first again and again, so that its loss falls whatever is in it."""
    yield from repeat(next(batches), steps) if short else batches


@contextmanager
def watched(title: str, steps: int) -> Iterator[tuple[dict[str, Any], Callable[[float], None]]]:
    """Show a progress bar. Gives the record of a training, and the function that it calls with the loss of each step."""
    record: dict[str, Any] = {"loss": []}
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"))
    start = perf_counter()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
        bar = progress.add_task(title, total=steps, loss="")

        def each_step(loss: float) -> None:
            record["loss"].append(float(f"{loss:.7g}"))
            progress.update(bar, advance=1, loss=f"{loss:.5f}")

        yield record, each_step
    record["seconds"] = round(perf_counter() - start, 1)


def machine() -> dict[str, str]:
    """Return what the figures depend on: the machine, and the versions of what computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ("subpixel-spec", "numpy", "torch", "tensorflow", "keras", "jax", "optax", "scikit-image", "scikit-learn", "pillow")
    return {
        "machine": f"{cores}-core CPU, {platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def write(path: Path, record: dict[str, Any], arguments: Sequence[str]) -> None:
    """Write a record as JSON: the command, the machine, then everything else."""
    command = shlex.join(["python", f"docs/examples/{path.stem}.py", *arguments])
    text = json.dumps({"command": command, **machine(), **record}, indent=1)
    path.write_text(_flat_lists(text) + "\n", encoding="utf-8")
    console.print(f"Written: {path} and the pictures beside it")


def _flat_lists(text: str) -> str:
    """Put lists of numbers on one line."""
    return re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda found: "[" + " ".join(found[1].split()) + "]", text)


def arguments_of(arguments: Sequence[str] | None) -> Sequence[str]:
    """Return the arguments of the command line."""
    return sys.argv[1:] if arguments is None else arguments
