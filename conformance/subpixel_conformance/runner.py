"""Judge adapters, each (adapter, device) in its own process, and survive whatever such a process does.

This process imports no framework. A child that dies or hangs costs the case that it was in, which is a *crash*; what was judged before is
kept, and a new child goes on with the rest, at most `RESTARTS` times.
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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from subpixel_conformance.registry import Spec, absence
from subpixel_conformance.result import Result

RESTARTS = 3
CLASSES = ("shift", "gradient", "init", "layer", "stages", "unet")
JUDGED = ("pass", "fail", "error", "crash")
WRONG = ("fail", "error", "crash")
_ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
_POLL = 0.05


@dataclass(frozen=True)
class Case:
    """What the report needs to know of a case, judged or not."""

    id: str
    clauses: tuple[str, ...]
    conformance_class: str


@dataclass
class Run:
    """One adapter on one device.

    ``error`` is what kept it from being judged to the end, ``counted`` whether its verdict is asked for, ``pictures`` how the names of the
    files begin that hold the pictures of its exhibits.
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
    planned: list[Case] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    exhibits: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    note: str = ""
    pictures: str = ""
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        """How many results have each status."""
        return dict(Counter(result.status for result in self.results))

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
        """*non-conforming* where anything is wrong, *incomplete* where nothing or not everything ran, else *conforming*."""
        if any(result.status in WRONG for result in self.results) or self.exhibit_wrong:
            return "non-conforming"
        if self.error or self.judged == 0 or len(self.results) != len(self.planned):
            return "incomplete"
        return "conforming"

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
    """Everything that one call of `conform` found. ``pictures`` are the arrays of the exhibits, from the first adapter that gave them."""

    profile: str
    runs: tuple[Run, ...]
    missing: tuple[Missing, ...]
    pictures: Mapping[str, Any] = field(default_factory=dict)
    exhibit_absent: str = ""

    @property
    def verdict(self) -> str:
        """The verdict on the counted runs together."""
        verdicts = {run.verdict for run in self.runs if run.counted}
        if "non-conforming" in verdicts:
            return "non-conforming"
        lacking = any(missing.required for missing in self.missing)
        return "conforming" if verdicts == {"conforming"} and not lacking else "incomplete"

    @property
    def exit_code(self) -> int:
        """0 conforming, 1 not conforming, 3 a counted adapter or the suite itself broke, 4 incomplete."""
        if any(run.error for run in self.runs if run.counted):
            return 3
        return {"conforming": 0, "non-conforming": 1, "incomplete": 4}[self.verdict]


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


@dataclass(frozen=True)
class _Setting:
    """What all runs share."""

    profile: str
    wanted: tuple[str, ...]
    timeout: float
    folder: Path
    exhibit: Path | None
    progress: Progress
    cancelled: threading.Event


def conform(
    specs: Sequence[tuple[Spec, bool]],
    *,
    required: Sequence[str] = (),
    devices: Sequence[str] = (),
    profile: str = "quick",
    jobs: int = 1,
    timeout: float = 300.0,
    photograph: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Judge every adapter of ``specs``, pairs with whether it is counted, on ``devices`` or, without any, on every device present.

    The adapters named in ``required`` must be installed, and every one of ``devices`` that a counted adapter claims must be present.
    ``timeout`` is how many seconds a child may go without progress. After KeyboardInterrupt what was judged so far is returned.
    """
    progress = progress or Progress()
    missing: list[Missing] = []
    present: list[tuple[Spec, bool]] = []
    for spec, counted in specs:
        reason = absence(spec)
        if reason is None:
            present.append((spec, counted))
        else:
            missing.append(Missing(spec.name, None, reason, counted, counted and spec.name in required))
    with tempfile.TemporaryDirectory(prefix="subpixel-") as temporary:
        folder = Path(temporary)
        exhibit, exhibit_absent = _prepare_exhibit(folder, progress) if photograph else (None, "not asked for")
        setting = _Setting(profile, tuple(devices), timeout, folder, exhibit, progress, threading.Event())
        runs = _run_all(present, jobs, setting)
        missing += _devices_missing(runs, devices)
        order = [spec.name for spec, _ in specs]
        judged = [run for run in runs if run.device is not None or run.error]
        judged.sort(key=lambda run: (order.index(run.adapter), list(run.devices).index(run.device) if run.device in run.devices else 0))
        return Outcome(profile, tuple(judged), tuple(missing), _pictures(judged, folder), exhibit_absent)


def _prepare_exhibit(folder: Path, progress: Progress) -> tuple[Path | None, str]:
    from subpixel_conformance import photograph

    progress.prepare("the photograph")
    path = folder / "exhibit.npz"
    try:
        photograph.prepare(path)
    except ImportError as error:
        return None, f"{error}; pip install 'subpixel-spec[conformance]'"
    return path, ""


def _run_all(present: Sequence[tuple[Spec, bool]], jobs: int, setting: _Setting) -> list[Run]:
    """Run every adapter on its first device, which tells what other devices there are, then on those."""
    runs: list[Run] = []
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        pending: dict[Future[Run], tuple[Spec, bool]] = {}
        for spec, counted in present:
            pending[pool.submit(_supervise, spec, counted, None, setting)] = (spec, counted)
        while pending:
            try:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                setting.cancelled.set()
                continue
            for future in done:
                spec, counted = pending.pop(future)
                run = future.result()
                first = not any(other.adapter == spec.name for other in runs)
                runs.append(run)
                if first and not setting.cancelled.is_set():
                    for device in setting.wanted or run.devices:
                        if device in run.devices and run.devices[device] is None and device != run.device:
                            pending[pool.submit(_supervise, spec, counted, device, setting)] = (spec, counted)
    return runs


def _devices_missing(runs: Sequence[Run], wanted: Sequence[str]) -> list[Missing]:
    found: dict[tuple[str, str], Missing] = {}
    for run in runs:
        if run.error and not run.devices:
            continue
        for device in wanted or run.devices:
            if device not in run.devices:
                reason, required = f"it does not claim {device}", False
            elif run.devices[device] is not None:
                reason, required = str(run.devices[device]), run.counted and device in wanted
            else:
                continue
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


def _stem(adapter: str, device: str | None) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in f"{adapter}-{device}")


def _supervise(spec: Spec, counted: bool, device: str | None, setting: _Setting) -> Run:
    """Judge one adapter on one device to the end, in as many children as it takes."""
    run = Run(spec.name, spec.target, counted, device)
    began = time.monotonic()
    setting.progress.started(run)
    for attempt in range(RESTARTS + 1):
        if setting.cancelled.is_set():
            run.error = run.error or "interrupted"
            break
        if _attempt(run, spec, attempt, setting):
            break
    else:
        run.note = f"given up after {RESTARTS + 1} processes"
    run.seconds = time.monotonic() - began
    setting.progress.finished(run)
    return run


class _Reader:
    """Takes the child's records in as they come, and remembers what it was doing."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self.run, self.progress = run, progress
        self.case: str | None = None
        self.exhibit: str | None = None
        self.headed = self.ended = False

    def take(self, record: Mapping[str, Any]) -> None:
        run = self.run
        match record.get("type"):
            case "header":
                self.headed = True
                if not run.planned:
                    run.name, run.device = record["name"], record["device"]
                    run.versions, run.claims, run.modes = record["versions"], record["claims"], record["modes"]
                    run.devices = record["devices"]
                    run.planned = [Case(name, tuple(clauses), group) for name, clauses, group in record["planned"]]
                    run.hardware = hardware(run.device)
            case "start":
                self.case, self.exhibit = record.get("case"), record.get("exhibit")
            case "result":
                fields = {name: value for name, value in record.items() if name not in ("type", "harness_error")}
                run.results.append(Result(**fields | {"clauses": tuple(fields["clauses"])}))
                if record["harness_error"]:
                    run.error = run.error or f"{record['case']}: {record['message']}"
                self.case = None
            case "exhibit":
                run.exhibits[record["exhibit"]] = record["shown"]
                self.exhibit = None
            case "error":
                run.error, self.ended = record["message"], True
            case "footer":
                self.ended = True
        self.progress.advanced(run)


def _attempt(run: Run, spec: Spec, attempt: int, setting: _Setting) -> bool:
    """Start one child and follow it to its end. Return whether the run is over."""
    stem = f"{_stem(spec.name, run.device)}.{attempt}"
    records, job, log = (setting.folder / f"{stem}.{kind}" for kind in ("jsonl", "json", "log"))
    run.pictures = f"{_stem(spec.name, run.device or 'first')}.pictures"
    description = {
        "action": "judge",
        "target": spec.target,
        "device": run.device,
        "wanted": setting.wanted,
        "profile": setting.profile,
        "skip": [result.case for result in run.results],
        "exhibit": str(setting.exhibit) if setting.exhibit else None,
        "pictures": str(setting.folder / run.pictures),
        "records": str(records),
    }
    job.write_text(json.dumps(description), encoding="utf-8")
    reader = _Reader(run, setting.progress)
    code = follow(job, records, log, spec.environment, reader.take, setting.timeout, setting.cancelled)
    if reader.ended:
        return True
    ending = f"did nothing for {setting.timeout:g} seconds" if code is None else describe_exit(code)
    if setting.cancelled.is_set():
        run.error = "interrupted"
        return True
    if not reader.headed:
        run.error = f"the process {ending} while the adapter was loaded{last_words(log)}"
        return True
    if reader.exhibit is not None:
        run.exhibits[reader.exhibit] = {"error": f"the process {ending}"}
        return True
    lost = next((case for case in run.planned if case.id == reader.case), None)
    if lost is not None:
        message = f"the process {ending} in this case{last_words(log)}"
        run.results.append(Result(lost.id, lost.clauses, lost.conformance_class, "crash", str(run.device), message=message))
        setting.progress.advanced(run)
    return len(run.results) == len(run.planned)


def follow(
    job: Path,
    records: Path,
    log: Path,
    environment: Mapping[str, str],
    take: Callable[[Mapping[str, Any]], None],
    timeout: float,
    cancelled: threading.Event,
) -> int | None:
    """Run the child for ``job`` and hand each of its records to ``take``. Return its exit status, None if it had to be killed."""
    records.touch()
    with open(log, "wb") as output, open(records, encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "subpixel_conformance.child", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ENVIRONMENT, **environment},
            start_new_session=True,
        )
        try:
            last, pending = time.monotonic(), ""
            while True:
                running = process.poll() is None
                pending += stream.read()
                *lines, pending = pending.split("\n")
                for line in lines:
                    take(json.loads(line))
                    last = time.monotonic()
                if not running:
                    return process.returncode
                if time.monotonic() - last > timeout or cancelled.is_set():
                    return None
                time.sleep(_POLL)
        finally:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it has started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()


def describe_exit(code: int) -> str:
    """Return how a process ended, as the end of a sentence that begins with "the process"."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name if -code in signal.valid_signals() else -code}"
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
