"""Judge adapters, each (adapter, device) in its own process, and survive whatever such a process does.

This process imports no framework. A child that dies, hangs or takes too much memory costs the case that it was in, which is a *crash*;
what was judged before is kept, and a new child goes on with the rest, at most `RESTARTS` times. What is left then, or when the run breaks
off for another reason, is *not run*.

Where there are more processes to be had than adapters and devices to judge, several judge the cases of one, from both ends: each takes the
next case that none has taken. The results are those of one process, in the same sequence.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from subpixel_conformance.known import KnownFailure, apply
from subpixel_conformance.memory import GIB, default_limit, resident
from subpixel_conformance.registry import Spec, absence
from subpixel_conformance.result import WRONG, Result

RESTARTS = 3
CLASSES = ("shift", "gradient", "init", "layer", "stages", "equivalence", "unet")
JUDGED = ("pass", "fail", "error", "crash", "known_failure", "unexpected_pass")
PRECISIONS = ("strict", "as-is")
_ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
_POLL = 0.05
_MEMORY_POLL = 0.2
_LOG_LIMIT = 2**26
_RECORDS = ("header", "start", "result", "exhibit", "error", "footer", "identified")
_WORTH_HELP = 2.0
"""How many times the seconds of its start a process must have left to do for another one to help it."""


@dataclass(frozen=True)
class Case:
    """What the report needs to know of a case, judged or not."""

    id: str
    clauses: tuple[str, ...]
    conformance_class: str


@dataclass
class Run:
    """One adapter on one device.

    ``error`` is what kept it from being judged to the end, ``absent`` whether that is a name in the command that leads nowhere, ``counted``
    whether its verdict is asked for, ``pictures`` how the names of the files begin that hold the pictures of its exhibits. ``seconds`` are
    those of the whole run, ``suite_seconds`` those from the start of its first case to its last result: without what comes before, the
    start of a process and the import of a framework.
    """

    adapter: str
    target: str
    counted: bool
    device: str | None = None
    name: str = ""
    hardware: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    devices: dict[str, str | None] = field(default_factory=dict)
    modes: dict[str, str | None] = field(default_factory=dict)
    precision: dict[str, bool] = field(default_factory=dict)
    planned: list[Case] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    exhibits: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    absent: bool = False
    note: str = ""
    pictures: str = ""
    seconds: float = 0.0
    suite_seconds: float = 0.0
    processes: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many results have each status."""
        return dict(Counter(result.status for result in self.results))

    @property
    def ran(self) -> int:
        """How many of the planned cases were gone through."""
        return sum(result.status != "not_run" for result in self.results)

    @property
    def judged(self) -> int:
        """How many cases were judged: neither not claimed nor unavailable."""
        return sum(result.status in JUDGED for result in self.results)

    @property
    def exhibit_wrong(self) -> bool:
        """Whether the photograph came out wrong in any of the orders."""
        cells = self.exhibits.get("photograph", {}).get("cells", [])
        return not all(all(row) for row in cells)

    @property
    def verdict(self) -> str:
        """*non-conforming* where anything is wrong, known or not; *incomplete* where nothing or not everything ran; else *conforming*."""
        if self.wrong or any(result.status == "known_failure" for result in self.results):
            return "non-conforming"
        if self.error or self.judged == 0 or self.ran != len(self.planned):
            return "incomplete"
        return "conforming"

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong that is not known to be."""
        return any(result.status in WRONG for result in self.results) or self.exhibit_wrong

    @property
    def only_known(self) -> bool:
        """Whether everything was judged, and what is wrong is known to be."""
        known = any(result.status == "known_failure" for result in self.results)
        return known and not self.wrong and not self.error and self.ran == len(self.planned)

    def by_class(self) -> dict[str, dict[str, int]]:
        """Return the statuses and their counts for each conformance class."""
        found: dict[str, Counter[str]] = {}
        for result in self.results:
            found.setdefault(result.conformance_class, Counter())[result.status] += 1
        known = [name for name in CLASSES if name in found]
        return {name: dict(found[name]) for name in (*known, *(name for name in found if name not in CLASSES))}


@dataclass(frozen=True)
class Missing:
    """An adapter, or one of its devices, that was not judged, and why. ``required`` makes the whole incomplete."""

    adapter: str
    device: str | None
    reason: str
    counted: bool
    required: bool


@dataclass(frozen=True)
class Outcome:
    """Everything that one call of `conform` found. ``pictures`` are the arrays of the exhibits, from the first adapter that gave them.

    ``amiss`` says, one line each, which entries of the list of known failures are stale, or name what is right.
    """

    profile: str
    runs: tuple[Run, ...]
    missing: tuple[Missing, ...]
    pictures: Mapping[str, Any] = field(default_factory=dict)
    exhibit_absent: str = ""
    seed: int = 0
    precision: str = "strict"
    amiss: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The verdict on the counted runs together."""
        verdicts = {run.verdict for run in self.runs if run.counted}
        if "non-conforming" in verdicts:
            return "non-conforming"
        lacking = any(missing.required for missing in self.missing)
        return "conforming" if verdicts == {"conforming"} and not lacking else "incomplete"

    @property
    def known(self) -> int:
        """How many counted results are wrong and known to be."""
        return sum(result.status == "known_failure" for run in self.runs if run.counted for result in run.results)

    @property
    def only_known(self) -> bool:
        """Whether the counted runs are complete, and what is wrong in them is known to be."""
        counted = [run for run in self.runs if run.counted]
        lacking = any(missing.required for missing in self.missing)
        return self.known > 0 and not lacking and all(run.only_known or run.verdict == "conforming" for run in counted)

    @property
    def exit_code(self) -> int:
        """0 conforming, or nothing wrong that is not known; 1 not conforming; 3 a counted adapter or the suite broke; 4 incomplete.

        The verdict is about the implementations alone. A list of known failures that is out of date makes 1 of what would be 0.
        """
        if any(run.error for run in self.runs if run.counted):
            return 3
        if self.verdict == "conforming" or self.only_known:
            return 1 if self.amiss else 0
        return {"non-conforming": 1, "incomplete": 4}[self.verdict]


class Progress:
    """What `conform` tells while it works, from several threads. This one is silent."""

    def prepare(self, text: str) -> None:
        """Take note that something is prepared before the first run."""

    def started(self, run: Run) -> None:
        """Take note that a child was started for ``run``; its device may not be known yet."""

    def advanced(self, run: Run) -> None:
        """Take note that the header or a result of ``run`` came in."""

    def finished(self, run: Run) -> None:
        """Take note that ``run`` is over."""


class Together(Progress):
    """Tells several what is told to it."""

    def __init__(self, *parts: Progress) -> None:
        self.parts = parts

    def prepare(self, text: str) -> None:
        """Tell each."""
        for part in self.parts:
            part.prepare(text)

    def started(self, run: Run) -> None:
        """Tell each."""
        for part in self.parts:
            part.started(run)

    def advanced(self, run: Run) -> None:
        """Tell each."""
        for part in self.parts:
            part.advanced(run)

    def finished(self, run: Run) -> None:
        """Tell each."""
        for part in self.parts:
            part.finished(run)


@dataclass(frozen=True)
class _Setting:
    """What all runs share."""

    profile: str
    seed: int
    precision: str
    wanted: tuple[str, ...]
    timeout: float
    memory: float | None
    folder: Path
    exhibit: Path | None
    progress: Progress
    cancelled: threading.Event


def conform(
    specs: Sequence[tuple[Spec, bool]],
    *,
    required: Sequence[str] = (),
    devices: Sequence[str] = (),
    profile: str = "full",
    jobs: int = 1,
    timeout: float = 300.0,
    memory: float | None = None,
    seed: int = 0,
    precision: str = "strict",
    known: Sequence[KnownFailure] = (),
    photograph: bool = True,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
) -> Outcome:
    """Judge every adapter of ``specs``, pairs with whether it is counted, on ``devices`` or, without any, on every device present.

    The adapters named in ``required`` must be installed, every one of ``devices`` that a counted adapter claims must be present, and
    without any, one of those that it claims.
    ``jobs`` processes work at a time; ``timeout`` is how many seconds one may go without progress, ``memory`` how many GiB it may take with
    all that it starts (`subpixel_conformance.memory.default_limit` where None). ``seed`` chooses the sampled cases. Under ``precision``
    "strict" adapters forbid reduced precision, and a switch that reads otherwise is an error. ``known`` are failures that are known. After
    an adapter that was given by a name that leads nowhere, after Ctrl-C, and once ``cancelled`` is set, what was judged so far is returned.
    """
    progress, cancelled = progress or Progress(), cancelled or threading.Event()
    missing: list[Missing] = []
    present: list[tuple[Spec, bool]] = []
    for spec, counted in specs:
        reason = absence(spec)
        if reason is None:
            present.append((spec, counted))
        else:
            missing.append(Missing(spec.name, None, reason, counted, counted and spec.name in required))
    with interruption_sets(cancelled), tempfile.TemporaryDirectory(prefix="subpixel-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        exhibit, exhibit_absent = _prepare_exhibit(folder, progress) if photograph else (None, "not asked for")
        limit = default_limit() if memory is None else memory
        setting = _Setting(profile, seed, precision, tuple(devices), timeout, limit, folder, exhibit, progress, cancelled)
        runs = _Schedule(present, setting).carried_out(jobs)
        missing += _devices_missing(runs, devices)
        order = [spec.name for spec, _ in specs]
        judged = [run for run in runs if run.device is not None or run.error]
        judged.sort(key=lambda run: (order.index(run.adapter), list(run.devices).index(run.device) if run.device in run.devices else 0))
        amiss = apply(known, judged)
        return Outcome(profile, tuple(judged), tuple(missing), _pictures(judged, folder), exhibit_absent, seed, precision, amiss)


@contextlib.contextmanager
def interruption_sets(cancelled: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C set an event, so that nothing is left half done, and the second raise KeyboardInterrupt.

    Raised in the middle of `threading.Thread.join`, that would have a thread taken for ended that still works (CPython 3.11).
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # no Ctrl-C comes here, or someone else heeds it
        return

    def heed(number: int, frame: Any) -> None:
        if cancelled.is_set():
            signal.default_int_handler(number, frame)
        cancelled.set()

    signal.signal(signal.SIGINT, heed)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _prepare_exhibit(folder: Path, progress: Progress) -> tuple[Path | None, str]:
    from subpixel_conformance import photograph

    progress.prepare("the photograph")
    path = folder / "exhibit.npz"
    try:
        photograph.prepare(path)
    except ImportError as error:
        return None, f"{error}; pip install 'subpixel-spec[conformance]'"
    return path, ""


class _Work:
    """One run, and what its processes share."""

    def __init__(self, run: Run, spec: Spec, first: bool, number: int, folder: Path) -> None:
        self.run, self.spec, self.first, self.number = run, spec, first, number
        self.lock = threading.Lock()
        self.busy = self.attempts = 0
        self.over = False
        self.headed: float | None = None
        self.first_case: float | None = None
        self.began = time.monotonic()
        self.folder = folder / str(number)
        self.claims = self.folder / "claims"
        self.claims.mkdir(parents=True)

    @property
    def worth_help(self) -> float:
        """How many seconds each process would have left to do, were there one more, in starts of a process: unknown before the header."""
        if self.headed is None:
            return _WORTH_HELP
        start, done = max(0.2, self.headed - self.began), len(self.run.results) - self.run.counts.get("not_claimed", 0)
        if not done:
            return _WORTH_HELP if time.monotonic() - self.headed > start else 0.0
        each = (time.monotonic() - self.headed) * self.busy / done
        return each * (len(self.run.planned) - len(self.run.results)) / (self.busy + 1) / start


class _Schedule:
    """Hands runs to threads, each of which follows one process at a time. An idle one helps the run that has the most left to do."""

    def __init__(self, present: Sequence[tuple[Spec, bool]], setting: _Setting) -> None:
        self.setting = setting
        self.changed = threading.Condition()
        self.works: list[_Work] = []
        self.queued: list[_Work] = []
        self.broken: list[BaseException] = []
        for spec, counted in present:
            self._queue(spec, counted, None)

    def carried_out(self, jobs: int) -> list[Run]:
        """Carry everything out, on at most ``jobs`` processes at a time, and return the runs."""
        threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(max(1, jobs))]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
        if self.broken:
            raise self.broken[0]
        return [work.run for work in self.works]

    def headed(self, work: _Work) -> None:
        """Queue the other devices of an adapter, as soon as its first process has named them."""
        with self.changed:
            work.headed = time.monotonic()
            if work.first:
                work.first = False
                for device in self.setting.wanted or work.run.devices:
                    if device in work.run.devices and work.run.devices[device] is None and device != work.run.device:
                        self._queue(work.spec, work.run.counted, device)
            self.changed.notify_all()

    def _queue(self, spec: Spec, counted: bool, device: str | None) -> None:
        run = Run(spec.name, spec.target, counted, device)
        work = _Work(run, spec, device is None, len(self.works), self.setting.folder)
        run.pictures = f"{work.number}.pictures"
        self.works.append(work)
        self.queued.append(work)

    def _serve(self) -> None:
        try:
            while (work := self._next()) is not None:
                try:
                    _supervise(work, self)
                finally:
                    self._left(work)
        except BaseException as error:
            self.broken.append(error)
            self.setting.cancelled.set()

    def _next(self) -> _Work | None:
        """Return a run to work on: one that nobody works on, else the one that is most worth help, else None when all is done."""
        with self.changed:
            while True:
                if self.queued:
                    work = self.queued.pop(0)
                    work.began = time.monotonic()
                    self.setting.progress.started(work.run)
                else:
                    busy = [work for work in self.works if work.busy and not work.over]
                    if not busy:
                        return None
                    work = max(busy, key=lambda work: work.worth_help)
                    if work.worth_help < _WORTH_HELP or self.setting.cancelled.is_set():
                        self.changed.wait(0.2)
                        continue
                work.busy += 1
                return work

    def _left(self, work: _Work) -> None:
        with self.changed:
            work.busy -= 1
            if not work.busy:
                _concluded(work)
                self.setting.progress.finished(work.run)
            self.changed.notify_all()


def _devices_missing(runs: Sequence[Run], wanted: Sequence[str]) -> list[Missing]:
    """Return which devices were not judged, and why, with what can be had instead."""
    found: dict[tuple[str, str], Missing] = {}
    for run in runs:
        if run.error and not run.devices:
            continue
        present = [name for name, reason in run.devices.items() if reason is None]
        for device in wanted or run.devices:
            if device not in run.devices:
                reason, required = f"it does not claim {device}", False
            elif run.devices[device] is not None:
                reason, required = str(run.devices[device]), run.counted and (device in wanted or not present)
            else:
                continue
            if not present:
                reason += "; no device that it claims is here"
            elif wanted:
                reason += f"; with --device {' or '.join(present)} it can be judged here"
            found[run.adapter, device] = Missing(run.adapter, device, reason, run.counted, required)
    return list(found.values())


def _pictures(runs: Sequence[Run], folder: Path) -> dict[str, Any]:
    """Return the arrays of each exhibit from the first run that saved them."""
    pictures: dict[str, Any] = {}
    for run in runs:
        for path in sorted(folder.glob(f"{run.pictures}.*.npz")) if run.pictures else ():
            import numpy as np

            with np.load(path) as arrays:
                for name in arrays.files:
                    pictures.setdefault(name, arrays[name])
    return pictures


def _supervise(work: _Work, schedule: _Schedule) -> None:
    """Judge the cases of a run that nobody has taken, in as many processes, one after the other, as it takes."""
    for _ in range(RESTARTS + 1):
        if schedule.setting.cancelled.is_set():
            work.run.error = work.run.error or "interrupted"
            return
        try:
            done = _attempt(work, schedule)
        except OSError as error:
            work.run.error = work.run.error or f"what the suite had written for its process is gone: {error}"
            done = True
        if done:
            work.over = True  # nothing is left to take
            return
        if work.over:
            return
    work.run.note = f"given up after {RESTARTS + 1} lost processes"
    work.over = True


def _concluded(work: _Work) -> None:
    """Put the results of a run in their sequence, and say what became of a case without one: lost where it was begun, else not run."""
    run = work.run
    run.seconds = time.monotonic() - work.began
    run.processes = work.attempts
    places = {case.id: number for number, case in enumerate(run.planned)}
    found = {result.case for result in run.results}
    for case, number in zip(run.planned, places.values(), strict=True):
        if case.id in found:
            continue
        if not run.error and (work.claims / str(number)).exists():
            run.results.append(lost(case, run, f"{case.clauses[0]} ({case.id}): its process ended before it was judged"))
        else:
            run.results.append(replace(lost(case, run, run.error or run.note), status="not_run"))
    run.results.sort(key=lambda result: places.get(result.case, len(places)))


def lost(case: Case, run: Run, message: str) -> Result:
    """Return the result of a case whose process was lost."""
    return Result(case.id, case.clauses, case.conformance_class, "crash", str(run.device), message=message)


class _Reader:
    """Takes the records of one process in as they come, and remembers what it was doing."""

    def __init__(self, work: _Work, schedule: _Schedule) -> None:
        self.work, self.run, self.schedule = work, work.run, schedule
        self.case: str | None = None
        self.exhibit: str | None = None
        self.headed = self.ended = False

    def take(self, record: Mapping[str, Any]) -> None:
        """Take one record in. Raises whatever a record that the suite did not write makes it raise."""
        with self.work.lock:
            self._take(record)
        if record["type"] == "header":
            self.schedule.headed(self.work)
        self.schedule.setting.progress.advanced(self.run)

    def _take(self, record: Mapping[str, Any]) -> None:
        run = self.run
        match record["type"]:
            case kind if kind not in _RECORDS:
                raise ValueError(f"a record must be one of {', '.join(_RECORDS)}; got {kind!r}")
            case "header":
                if not run.planned:
                    run.name, run.device = record["name"], record["device"]
                    run.versions, run.claims, run.modes = record["versions"], record["claims"], record["modes"]
                    run.devices, run.precision = record["devices"], record["precision"]
                    run.hardware = hardware(run.device)
                    run.planned = [Case(name, tuple(clauses), group) for name, clauses, group in record["planned"]]
                    for number, mode, dtype, reason in record["not_claimed"]:
                        case = run.planned[number]
                        subject = (case.id, case.clauses, case.conformance_class)
                        run.results.append(Result(*subject, "not_claimed", str(run.device), mode, dtype, message=reason))
                self.headed = True
            case "start":
                self.case, self.exhibit = record.get("case"), record.get("exhibit")
                if self.work.first_case is None and self.case is not None:
                    self.work.first_case = time.monotonic()
            case "result":
                fields = {name: value for name, value in record.items() if name not in ("type", "harness_error")}
                result = Result(**fields | {"clauses": tuple(fields["clauses"])})
                if result.case != self.case:
                    raise ValueError(f"a result must be that of the case that was begun, {self.case}; got {result.case}")
                run.results.append(result)
                run.suite_seconds = time.monotonic() - (self.work.first_case or self.work.began)
                if record["harness_error"]:
                    run.error = run.error or result.message
                self.case = None
            case "exhibit":
                run.exhibits[record["exhibit"]] = record["shown"]
                self.exhibit = None
            case "error":
                run.error, self.ended = record["message"], True
                if record["absent"] and self.work.spec.located:
                    run.absent = True
                    self.schedule.setting.cancelled.set()
            case "footer":
                self.ended = True


def _attempt(work: _Work, schedule: _Schedule) -> bool:
    """Start one process and follow it to its end. Return whether it left nothing to be taken."""
    run, setting = work.run, schedule.setting
    with work.lock:
        backwards, stem, work.attempts = bool(work.attempts % 2), str(work.attempts), work.attempts + 1
    records, job, log = (work.folder / f"{stem}.{kind}" for kind in ("jsonl", "json", "log"))
    description = {
        "action": "judge",
        "target": work.spec.target,
        "device": run.device,
        "wanted": setting.wanted,
        "profile": setting.profile,
        "seed": setting.seed,
        "precision": setting.precision,
        "claims": str(work.claims),
        "backwards": backwards,
        "exhibit": str(setting.exhibit) if setting.exhibit else None,
        "pictures": str(setting.folder / run.pictures),
        "records": str(records),
    }
    job.write_text(json.dumps(description), encoding="utf-8")
    reader = _Reader(work, schedule)
    ending = follow(job, records, log, work.spec.environment, reader.take, setting.timeout, setting.cancelled, setting.memory)
    if reader.ended:
        return True
    with work.lock:
        if setting.cancelled.is_set():
            run.error = run.error or "interrupted"
            return True
        if not reader.headed:
            run.error = run.error or f"the process {ending} while the adapter was loaded{last_words(log)}"
            return True
        if reader.exhibit is not None:
            run.exhibits[reader.exhibit] = {"error": f"the process {ending}"}
            return True
        begun = next((case for case in run.planned if case.id == reader.case), None)
        if begun is not None:
            run.results.append(lost(begun, run, f"{begun.clauses[0]} ({begun.id}): the process {ending} in this case{last_words(log)}"))
        done = len(run.results) == len(run.planned)
    setting.progress.advanced(run)
    return done


def follow(
    job: Path,
    records: Path,
    log: Path,
    environment: Mapping[str, str],
    take: Callable[[Mapping[str, Any]], None],
    timeout: float,
    cancelled: threading.Event,
    memory: float | None = None,
) -> str:
    """Run the child for ``job`` and hand each of its records to ``take``. Return how it ended, to be put behind "the process".

    It is ended after ``timeout`` seconds without a record, with more than ``memory`` GiB in all its processes, and after a record that
    cannot be read.
    """
    records.touch()
    with open(log, "ab") as output, open(records, encoding="utf-8", errors="replace") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "subpixel_conformance.child", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**_defaults(), **os.environ, **_ENVIRONMENT, **environment},
            start_new_session=True,
        )
        try:
            last = weighed = time.monotonic()
            pending = ""
            while True:
                running = process.poll() is None
                pending += stream.read()
                *lines, pending = pending.split("\n")
                for line in lines:
                    try:
                        take(json.loads(line))
                    except (ValueError, TypeError, KeyError, AttributeError) as error:
                        return f"left a record that cannot be read ({type(error).__name__}: {error})"
                    last = time.monotonic()
                if not running:
                    return describe_exit(process.returncode)
                now = time.monotonic()
                if now - last > timeout:
                    return f"did nothing for {timeout:g} seconds"
                if cancelled.is_set():
                    return "was interrupted"
                if now - weighed > _MEMORY_POLL:
                    weighed = now
                    taken = resident(process.pid) / GIB
                    if memory is not None and taken > memory:
                        return f"took {taken:.2f} GiB of memory, more than the {memory:.2f} GiB allowed,"
                    if log.stat().st_size > _LOG_LIMIT:
                        os.truncate(log, 0)
                time.sleep(_POLL)
        finally:
            _kill(process)


def _defaults() -> dict[str, str]:
    """Return what is set for a child unless the user has set it: where compilers keep their work for the next time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subpixel"
    return {
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def describe_exit(code: int) -> str:
    """Return how a process ended, as the end of a sentence that begins with "the process"."""
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        return f"was killed by {name}{', as the system does where memory runs out,' if name == 'SIGKILL' else ''}"
    return f"ended with status {code}"


def last_words(log: Path, lines: int = 4) -> str:
    """Return the last lines that a child printed, to be put behind what became of it."""
    with open(log, "rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4000))
        text = stream.read().decode("utf-8", errors="replace")
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return f"; it last said: {' | '.join(said[-lines:])[:600]}" if said else ""


def hardware(device: str | None) -> str:
    """Return the name of the hardware behind a device, and its driver where there is one."""
    if device == "cpu":
        return processor()
    if device == "cuda":
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        try:
            answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.strip().splitlines()
        except (OSError, subprocess.SubprocessError):
            return "unknown"
        name, _, driver = answer[0].partition(", ") if answer else ("unknown", "", "")
        return f"{name}, driver {driver}"
    return ""


def processor() -> str:
    """Return the model of this machine's processor."""
    import platform

    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
