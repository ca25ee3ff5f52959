"""Judge every mutation of the core by the cases of the suite, and what those let pass by the tests of the core and the examples in it.

``python -m tests.mutation.run docs/evidence/mutation.json --out docs/mutation.md`` writes the record, and from it the page.

This process imports all but the core. Every mutation is judged in a fork of it, whose `subpixel_core` has that one module changed, by what
reaches the changed statement: seen before, line by line, in one fork with nothing changed.
"""

import argparse
import datetime
import gc
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import json
import os
import platform
import random
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import pytest

from subpixel_conformance.cases import all_cases
from subpixel_conformance.judge import Watched, judge

from . import page
from .mutations import Mutation, mutations

ROOT = Path(__file__).parents[2]
CORE = ROOT / "subpixel_core"
PYTEST = ("-q", "-x", "--disable-plugin-autoload", "-p", "no:cacheprovider")
CASES_FIRST = 2.0
"""Seconds of cases that are asked before the tests."""
TESTS = ("tests/core", "subpixel_core")
FORK = get_context("fork")
BEFORE = ("hypothesis.strategies", "ml_dtypes", "safetensors.numpy", "scipy.signal", "subpixel_conformance.oracle_unet")
"""What the tests import besides the core: here once, and not in every fork."""

Lines = set[tuple[str, int]]


@dataclass
class Reach:
    """What reaches which lines of the core: cases by id, tests by node id, each with its seconds; the quickest are asked first."""

    seconds: dict[str, float] = field(default_factory=dict)
    by_line: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, name: str, seconds: float, lines: Lines) -> None:
        """Note what one case or test reaches."""
        self.seconds[name] = seconds
        for line in lines:
            self.by_line[line].add(name)

    def of(self, mutation: Mutation) -> list[str]:
        """Return what reaches the changed statement; everything, for one that runs at import or that nothing is seen to reach."""
        first, last = mutation.reached_by
        found: set[str] = set().union(*(self.by_line.get((mutation.file, line), set()) for line in range(first, last + 1)))
        return sorted(found or self.seconds, key=self.seconds.__getitem__)


class Changed(importlib.machinery.SourceFileLoader):
    """Loads one module of the core from the text of a mutation."""

    def __init__(self, mutation: Mutation) -> None:
        self.text = mutation.source
        self.stem = mutation.file.removesuffix(".py")
        name = "subpixel_core" if self.stem == "__init__" else f"subpixel_core.{self.stem}"
        super().__init__(name, str(CORE / mutation.file))

    def get_code(self, fullname: str) -> Any:
        return compile(self.text, self.path, "exec", dont_inherit=True)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of that module, and of no other."""
        if name != self.name:
            return None
        package = [str(CORE)] if self.stem == "__init__" else None
        return importlib.util.spec_from_file_location(name, self.path, loader=self, submodule_search_locations=package)


def reached() -> Reach:
    """Run everything once, with nothing changed, and see what reaches what. It must all pass."""
    reach, lines = Reach(), set()
    core = str(CORE) + os.sep

    def local(frame: Any, event: str, argument: Any) -> Any:
        lines.add((frame.f_code.co_filename.removeprefix(core), frame.f_lineno))
        return local

    def begin() -> float:
        from subpixel_core import _phase_shift

        _phase_shift._cached_plan.cache_clear()
        lines.clear()
        return time.process_time()

    class Watch:
        def __init__(self) -> None:
            self.collected: dict[str, Lines] = {}

        @pytest.hookimpl(wrapper=True)
        def pytest_make_collect_report(self, collector: Any) -> Any:
            begin()
            report = yield
            self.collected[collector.nodeid] = set(lines)
            return report

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(self, item: Any) -> Any:
            started = begin()
            done = yield
            reach.add(item.nodeid, time.process_time() - started, lines | self.collected[item.nodeid.partition("::")[0]])
            return done

    adapter = _adapter()
    sys.settrace(lambda frame, event, argument: local(frame, event, argument) if frame.f_code.co_filename.startswith(core) else None)
    for case in all_cases():
        started = begin()
        result = judge(case, adapter, "cpu")
        if result.status in ("fail", "error"):
            raise SystemExit(f"nothing is changed, and {result.message}")
        if result.status == "pass":
            reach.add(case.id, time.process_time() - started, lines)
    code = pytest.main([*PYTEST, *TESTS], plugins=[Watch()])
    sys.settrace(None)
    if code:
        raise SystemExit("nothing is changed, and the tests of the core do not pass")
    return reach


def verdict(mutation: Mutation, found: list[str], seconds: dict[str, float], enough: float) -> str:
    """Return what rejects a mutation: ``import``, ``case ID`` or ``test ID``; nothing if all that reach it pass.

    The quickest cases come first, for a few seconds; then the tests, by files; then the other cases. Of either no more are asked than take
    ``enough`` seconds.
    """
    sys.meta_path.insert(0, Changed(mutation))
    try:
        adapter = _adapter()
    except BaseException:
        return "import"
    cases = {case.id: case for case in all_cases()}
    asked = _within(enough, seconds, [name for name in found if name in cases])
    quick = _within(CASES_FIRST, seconds, asked)
    for name in quick:
        if judge(cases[name], adapter, "cpu").status in ("fail", "error"):
            return f"case {name}"
    files: dict[str, list[str]] = defaultdict(list)
    for name in _within(enough, seconds, [name for name in found if name not in cases]):
        files[name.partition("::")[0]].append(name)
    for file, names in sorted(files.items(), key=lambda item: sum(seconds[name] for name in item[1])):
        failing = _failing(file, names)
        if failing:
            return f"test {failing}"
    for name in asked[len(quick) :]:
        if judge(cases[name], adapter, "cpu").status in ("fail", "error"):
            return f"case {name}"
    return ""


def _within(enough: float, seconds: dict[str, float], names: list[str]) -> list[str]:
    """Return the first names, of which all but the last take less than so many seconds together."""
    spent = accumulate((seconds[name] for name in names), initial=0.0)
    return [name for name, before in zip(names, spent, strict=False) if before < enough]


def _failing(file: str, names: list[str]) -> str:
    """Return the first of these tests of a file that fails, in this order, or nothing."""
    order = {name: i for i, name in enumerate(names)}
    failed: list[str] = []

    class Chosen:
        def pytest_collection_modifyitems(self, items: list[Any]) -> None:
            items[:] = sorted((item for item in items if item.nodeid in order), key=lambda item: order[item.nodeid])

        def pytest_runtest_logreport(self, report: Any) -> None:
            failed.extend([report.nodeid] if report.failed else [])

        def pytest_collectreport(self, report: Any) -> None:
            failed.extend([report.nodeid] if report.failed else [])

    pytest.main([*PYTEST, file], plugins=[Chosen()])
    return failed[0] if failed else ""


def _adapter() -> Any:
    from subpixel_conformance.adapters import reference

    return Watched(reference.adapter, "cpu")


def in_a_fork(seconds: float, function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Start a function in a fork without a voice, with so many seconds of a processor and 4 GiB; return process and connection."""
    ours, theirs = FORK.Pipe(duplex=False)

    def work() -> None:
        os.setsid()
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 1))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        theirs.send(function(*arguments))

    process = FORK.Process(target=work)
    process.start()
    theirs.close()
    return process, ours


def judged(work: Iterator[Mutation], reach: Reach, jobs: int, enough: Callable[[Mutation], float]) -> Iterator[tuple[Mutation, str]]:
    """Yield every mutation with what rejects it; ``time or memory`` where the fork that judges it ended without a word."""
    running: dict[Any, tuple[Mutation, Any, float]] = {}
    waiting = True
    while waiting or running:
        while waiting and len(running) < jobs:
            mutation = next(work, None)
            if mutation is None:
                waiting = False
                break
            found = reach.of(mutation)
            limit = 20 + 5 * min(sum(reach.seconds[name] for name in found), 2 * enough(mutation))
            process, ours = in_a_fork(limit, verdict, mutation, found, reach.seconds, enough(mutation))
            running[ours] = mutation, process, time.monotonic() + 10 * limit
        for ours in connection.wait(list(running), timeout=1):
            mutation, process, _ = running.pop(ours)
            try:
                rejected = ours.recv()
            except EOFError:
                rejected = "time or memory"
            _end(process)
            yield mutation, rejected
        for ours, (mutation, process, until) in list(running.items()):
            if time.monotonic() > until:
                del running[ours]
                _end(process)
                yield mutation, "time or memory"


def _end(process: Any) -> None:
    """End a fork and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def drawn(path: Path, every: int) -> tuple[int, list[Mutation]]:
    """Return how many mutations a module has, and one in so many of them, in an order drawn with the name of the module as seed."""
    made = list(mutations(path))
    return len(made), random.Random(path.name).sample(made, -(-len(made) // every))


def until(moment: float, chosen: list[Mutation]) -> Iterator[Mutation]:
    """Yield mutations until a moment of the monotonic clock: the first of an order that was drawn are a sample too."""
    for mutation in chosen:
        if time.monotonic() > moment:
            return
        yield mutation


def record(path: Path, made: int, found: list[tuple[Mutation, str]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what is kept of a module: its text, the day, how many changes it has, how many of those judged fell by what; the survivors."""
    counts = Counter(rejected.partition(" ")[0] or "survived" for _, rejected in found)
    survivors = sorted((m for m, rejected in found if not rejected), key=lambda m: (m.line, m.operator, m.after))
    kept = {
        "sha256": _text(path),
        "date": datetime.date.today().isoformat(),
        "changes": made,
        **{what: counts[what] for what in page.COLUMNS},
    }
    return kept, [{name: getattr(m, name) for name in ("file", "line", "where", "operator", "before", "after")} for m in survivors]


def again(counts: dict[str, Any], survivors: list[dict[str, Any]], found: list[tuple[Mutation, str]]) -> list[dict[str, Any]]:
    """Return which survivors survive still, those now rejected counted under what does it: what was rejected is not asked again."""
    gone = {(mutation.line, page.key(vars(mutation))): rejected.partition(" ")[0] for mutation, rejected in found if rejected}
    left = []
    for entry in survivors:
        what = gone.get((entry["line"], page.key(entry)))
        if what is None:
            left.append(entry)
        else:
            counts[what] += 1
            counts["survived"] -= 1
    return left


def _text(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Judge, and write record and page, anew after every module."""
    parser = argparse.ArgumentParser(prog="tests.mutation.run", description="Which mutations of the core survive.")
    parser.add_argument("record", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", metavar="FILE", help="these modules of the core; the record keeps what it has of the others")
    parser.add_argument("--every", type=int, default=1, help="one mutation in so many; the record says of how many")
    parser.add_argument("--minutes", type=float, default=inf, help="so long for each module, and no new mutation after that")
    parser.add_argument("--survivors", action="store_true", help="only what survived in the record, of modules that have not changed since")
    parser.add_argument("--seconds", type=float, default=1.0, help="of cases, and of tests, that an explained survivor has to pass")
    parser.add_argument("--quick", action="store_true", help="the others too: finds more survivors than there are")
    options = parser.parse_args(arguments)
    kept = json.loads(options.record.read_text(encoding="utf-8")) if options.record.exists() else {"files": {}, "survivors": []}
    for name in BEFORE:
        importlib.import_module(name)
    all_cases()
    gc.freeze()
    process, ours = in_a_fork(3600, reached)
    try:
        reach = ours.recv()
    except EOFError:
        raise SystemExit("nothing is changed, and the suite or the tests of the core do not pass") from None
    process.join()
    explained = page.explanations()

    def enough(mutation: Mutation) -> float:
        return options.seconds if options.quick or page.key(vars(mutation)) in explained else inf

    survivors = {page.key(entry) for entry in kept["survivors"]}
    kept["tool"] = {name: importlib.metadata.version(name) for name in ("cosmic-ray", "numpy", "hypothesis", "pytest")}
    kept["tool"]["python"] = platform.python_version()
    modules = sorted(CORE.glob("*.py"))
    kept["files"] = {path.name: kept["files"][path.name] for path in modules if path.name in kept["files"]}
    for path in modules:
        if options.only and path.name not in options.only:
            continue
        before = [entry for entry in kept["survivors"] if entry["file"] == path.name]
        if options.survivors and (not before or kept["files"][path.name]["sha256"] != _text(path)):
            sys.stderr.write(f"{path.name}: none in the record, or another text\n")
            continue
        made, chosen = drawn(path, 1 if options.survivors else options.every)
        chosen = [mutation for mutation in chosen if not options.survivors or page.key(vars(mutation)) in survivors]
        work = until(time.monotonic() + 60 * options.minutes, chosen)
        found = list(_told(judged(work, reach, options.jobs, enough)))
        if options.survivors:
            after = again(kept["files"][path.name], before, found)
        elif found:
            kept["files"][path.name], after = record(path, made, found)
        else:
            continue
        others = [entry for entry in kept["survivors"] if entry["file"] in kept["files"] and entry["file"] != path.name]
        kept["survivors"] = sorted([*others, *after], key=lambda entry: entry["file"])
        kept["files"] = dict(sorted(kept["files"].items()))
        kept["not judged yet"] = [path.name for path in modules if path.name not in kept["files"] and path.name != "__init__.py"]
        options.record.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return page.main([str(options.record), "--out", str(options.out)])


def _told(found: Iterator[tuple[Mutation, str]]) -> Iterator[tuple[Mutation, str]]:
    """Yield what comes, and say how many, and what survives, on standard error."""
    number = survived = 0
    for mutation, rejected in found:
        number, survived = number + 1, survived + (not rejected)
        if not rejected:
            sys.stderr.write(f"\r{mutation.file}:{mutation.line} {mutation.before!r} -> {mutation.after!r}\n")
        sys.stderr.write(f"\r{mutation.file}: {number} judged, {survived} survived ")
        sys.stderr.flush()
        yield mutation, rejected
    sys.stderr.write("\n")


if __name__ == "__main__":
    raise SystemExit(main())
