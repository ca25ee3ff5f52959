"""What the commands show: headings, lines, tables and progress, through rich where it is installed and as plain text where it is not."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from subpixel_conformance.runner import Progress, Run

try:
    import rich  # noqa: F401  only to know whether it is there

    HAS_RICH = True
except ImportError:
    HAS_RICH = False

PIPE_WIDTH = 160
"""The width of what is written to a file or a pipe, where nothing should be cut off."""

Cell = str | tuple[str, str]
"""A text, or a text with its style ("green", "red", "yellow", "dim", "bold")."""


def visible(text: str) -> str:
    """Return ``text`` with control characters as their escapes, line ends apart: an implementation's words must not steer the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else letter.encode("unicode_escape").decode() for letter in text)


class Screen:
    """Standard output. Nothing that is shown is read as markup or as control of the terminal."""

    def __init__(self) -> None:
        self.console: Any = None
        if HAS_RICH:
            from rich.console import Console

            self.console = Console(highlight=False, markup=False, emoji=False)
            if not self.console.is_terminal:
                self.console.width = PIPE_WIDTH

    @property
    def is_terminal(self) -> bool:
        """Whether a person is watching, rather than a file or a pipe."""
        return self.console is not None and bool(self.console.is_terminal)

    @property
    def width(self) -> int:
        """The number of characters in a line."""
        return PIPE_WIDTH if self.console is None else int(self.console.width)

    def line(self, text: str = "", style: str = "") -> None:
        """Show one paragraph."""
        text = visible(text)
        if self.console is None:
            sys.stdout.write(f"{text}\n")
        else:
            self.console.print(text, style=style or None, soft_wrap=not self.is_terminal)

    def code(self, text: str) -> None:
        """Show lines to be pasted, never wrapped."""
        indented = "\n".join(f"    {visible(line)}" for line in text.splitlines())
        if self.console is None:
            sys.stdout.write(f"{indented}\n")
        else:
            self.console.print(indented, style="dim", soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], right: Sequence[int] = ()) -> None:
        """Show a table; the columns with the numbers in ``right`` are aligned to the right."""
        cells = [
            [(visible(text), style) for text, style in (cell if isinstance(cell, tuple) else (cell, "") for cell in row)] for row in rows
        ]
        if self.console is None:
            sys.stdout.write(plain_table(title, columns, [[text for text, _ in row] for row in cells], right) + "\n")
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for number, column in enumerate(columns):
            table.add_column(Text(column), justify="right" if number in right else "left", no_wrap=number < len(columns) - 1)
        for row in cells:
            table.add_row(*(Text(text, style=style) for text, style in row))
        self.console.print(table)


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table in characters alone."""
    widths = [max(len(row[number]) for row in [columns, *rows]) for number in range(len(columns))]
    lines = [title] if title else []
    for row in [columns, ["-" * width for width in widths], *rows]:
        aligned = (text.rjust(width) if n in right else text.ljust(width) for n, (text, width) in enumerate(zip(row, widths, strict=True)))
        lines.append("  ".join(aligned).rstrip())
    return "\n".join(lines) + "\n"


class PlainProgress(Progress):
    """Progress as lines, for a pipe or a log: one at the start and the end of each run, and one every ten seconds."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._lock = threading.Lock()
        self._told: dict[int, float] = {}

    def _say(self, text: str) -> None:
        with self._lock:
            self.screen.line(text)

    def prepare(self, text: str) -> None:
        """Say what is prepared."""
        self._say(f"preparing {text}")

    def started(self, run: Run) -> None:
        """Say that a run has started."""
        self._told[id(run)] = time.monotonic()
        self._say(f"{label(run)}: started")

    def advanced(self, run: Run) -> None:
        """Say how far a run is, at most every ten seconds."""
        if time.monotonic() - self._told[id(run)] > 10:
            self._told[id(run)] = time.monotonic()
            self._say(f"{label(run)}: {len(run.results)} of {len(run.planned)} cases gone through, {run.judged} of them judged")

    def finished(self, run: Run) -> None:
        """Say what became of a run."""
        passed = f"{run.counts.get('pass', 0)} of {cases(run.judged, 'judged case')} passed" if run.judged else "nothing was judged"
        besides = f"; {unjudged(run)}" if unjudged(run) else ""
        self._say(
            f"{label(run)}: {run.verdict}, {passed} in {run.suite_seconds:.1f} s, {run.seconds:.1f} s with what is not the suite{besides}"
        )


class RichProgress(Progress):
    """Progress as one bar per run."""

    def __init__(self, screen: Screen) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        self.bars = Bars(*columns, TextColumn("{task.fields[doing]}", markup=False), console=screen.console, transient=True)
        self._tasks: dict[int, Any] = {}

    def prepare(self, text: str) -> None:
        """Show what is prepared."""
        self._tasks[0] = self.bars.add_task(f"preparing {text}", total=None, doing="")

    def started(self, run: Run) -> None:
        """Add the bar of a run."""
        if 0 in self._tasks:
            self.bars.remove_task(self._tasks.pop(0))
        self._tasks[id(run)] = self.bars.add_task(label(run), total=None, doing="starting")

    def advanced(self, run: Run) -> None:
        """Move the bar of a run."""
        wrong = sum(count for status, count in run.counts.items() if status in ("fail", "error", "crash"))
        exhibit = "photograph" if run.planned and len(run.results) == len(run.planned) else ""
        doing = f"{wrong} not right" if wrong else exhibit
        done, planned = len(run.results), len(run.planned) or None
        self.bars.update(self._tasks[id(run)], description=label(run), completed=done, total=planned, doing=doing)

    def finished(self, run: Run) -> None:
        """Show the verdict."""
        doing = f"{run.verdict}, {cases(run.judged, 'judged case')}"
        self.bars.update(self._tasks[id(run)], description=label(run), total=max(1, len(run.planned)), doing=doing)


def progress_display(screen: Screen) -> tuple[Progress, AbstractContextManager[Any]]:
    """Return a progress display for the screen, and the context in which it is shown."""
    if screen.is_terminal:
        display = RichProgress(screen)
        return display, display.bars
    return PlainProgress(screen), nullcontext()


def counting_display(screen: Screen) -> tuple[AbstractContextManager[Any], Callable[[str, int, int], None]]:
    """Return a progress display for things that are counted, as a context, and the function that is told (name, done, total)."""
    if not screen.is_terminal:
        return nullcontext(), lambda name, done, total: None
    from rich.progress import Progress as Bars

    bars = Bars(console=screen.console, transient=True)
    task = bars.add_task("", total=None)
    return bars, lambda name, done, total: bars.update(task, description=name, completed=done, total=total)


def label(run: Run) -> str:
    """Return the name of a run: the adapter and, once known, the device."""
    return f"{run.adapter} on {run.device}" if run.device else run.adapter


def cases(number: int, word: str = "case") -> str:
    """Return "1 case", "2 cases"."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def unjudged(run: Run) -> str:
    """Return how many of the suite's cases a run leaves out, and why: they are no part of what is counted."""
    counts = {
        "not claimed": run.counts.get("not_claimed", 0),
        "unavailable": run.counts.get("unavailable", 0),
        "not run": len(run.planned) - run.ran,
    }
    return ", ".join(f"{number} {why}" for why, number in counts.items() if number)
