"""The process that judges one adapter on one device. It imports the framework, so that nothing else has to.

    python -m subpixel_conformance.child job.json

What it finds it appends to the file ``records`` of the job, one JSON object per line, each flushed at once: a header, which says what is
not claimed, then for every other case a ``start`` and a ``result``, the exhibits, and a footer. So nothing that an adapter prints can spoil
a record, and when this process dies the parent knows in which case. Where the footer is missing, the run is not finished.

Several such processes may share the cases of one adapter: each takes the next case that none of them has taken, which is a file that it is
the first to create in the folder ``claims`` of the job. Some go ``backwards``: neighbours share networks and compiled programs, which a
process then makes for itself alone.
"""

import contextlib
import faulthandler
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from subpixel_conformance import registry
from subpixel_conformance.result import STATUSES, Result, told

Record = Callable[..., None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the job described in the JSON file named by the only argument."""
    faulthandler.enable()
    _end_with_the_parent()
    _end_first_where_memory_runs_out()
    (path,) = sys.argv[1:] if arguments is None else arguments
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    actions = {"judge": judge_adapter, "identify": identify_function}
    process = os.getpid()
    with open(job["records"], "a", encoding="utf-8") as stream:

        def record(kind: str, **fields: Any) -> None:
            if os.getpid() != process:  # an adapter has forked, and its copy goes on as if it were the judge
                os._exit(1)
            stream.write(json.dumps(plain({"type": kind, **fields})) + "\n")
            stream.flush()

        try:
            actions[job["action"]](job, record)
        except BaseException as error:
            absent = isinstance(error, registry.AbsentError)
            record("error", message=one_line(error).removeprefix("AbsentError: ") if absent else one_line(error), absent=absent)
            return 3
    return 0


def judge_adapter(job: Mapping[str, Any], record: Record) -> None:
    """Judge the adapter ``target`` on ``device`` by the cases of ``profile`` that no other process has taken; then the exhibits.

    The suite is imported before the adapter, and must be the same after the last case. Without a ``device``, the first one present of
    those ``wanted`` (without those: of those claimed) is taken.
    """
    from subpixel_conformance import photograph, unchanged
    from subpixel_conformance.case import claims_of
    from subpixel_conformance.cases import cases_for
    from subpixel_conformance.judge import Watched, judge

    suite = unchanged.snapshot()
    adapter = registry.load(job["target"])
    claims = claims_of(adapter)
    cases = cases_for(claims, job["profile"], job["seed"])
    missing = [case.needs.missing(claims) for case in cases]
    devices = dict(adapter.devices())
    device = job["device"]
    if device is None:
        device = next((name for name in job["wanted"] or devices if name in devices and devices[name] is None), None)
    record(
        "header",
        name=str(getattr(adapter, "name", job["target"])),
        versions={str(name): str(version) for name, version in dict(getattr(adapter, "versions", {})).items()},
        claims=dict(adapter.claims),
        devices=devices,
        device=device,
        modes=dict(adapter.modes(device)) if device is not None else {},
        precision=_precision(adapter, device, job["precision"]) if device is not None else {},
        planned=[(case.id, case.clauses, case.conformance_class) for case in cases],
        not_claimed=[
            (number, case.needs.mode, case.needs.dtype or "", reason)
            for number, (case, reason) in enumerate(zip(cases, missing, strict=True))
            if reason is not None and device is not None
        ],
    )
    if device is not None:
        taken, watched = Path(job["claims"]), Watched(adapter, device)
        numbered = [(number, case) for number, case in enumerate(cases) if missing[number] is None]
        for number, case in reversed(numbered) if job["backwards"] else numbered:
            if _take(taken / str(number)):
                record("start", case=case.id)
                record("result", **_judged(judge, case, watched, device))
        if job["exhibit"] is not None and _take(taken / "exhibits"):
            _exhibits(photograph, adapter, device, job, record)
    changed = unchanged.changed(suite)
    if changed:
        raise RuntimeError(f"the adapter has changed the suite that judges it: {changed} is another than before, so no verdict can be had")
    record("footer")


def _precision(adapter: Any, device: str, wanted: str) -> dict[str, bool]:
    """Forbid reduced precision where it ``wanted`` is "strict", and return the switches as they read then.

    Raises
    ------
    RuntimeError
        Where a switch reads otherwise.
    """
    switch = getattr(adapter, "reduced_precision", None)
    if switch is None:
        return {}
    found = dict(switch(device, False if wanted == "strict" else None))
    if wanted == "strict" and any(value is not False for value in found.values()):
        still = ", ".join(f"{name} reads {value!r}" for name, value in found.items() if value is not False)
        raise RuntimeError(f"strict precision was asked for, and is not in force: {still}")
    return found


def _take(place: Path) -> bool:
    """Return whether this process is the first to take what the file stands for."""
    try:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _judged(judge: Callable[..., Result], case: Any, adapter: Any, device: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        result = judge(case, adapter, device)
        if result.status not in STATUSES:
            raise ValueError(f"status must be one of {STATUSES}; got {result.status!r}")
        return result.as_dict() | {"harness_error": False}
    except BaseException as error:
        own = isinstance(error, KeyboardInterrupt)  # no terminal reaches this process: the implementation has raised it
        message = f"{case.clauses[0]} ({case.id}): {'' if own else 'the judgement itself raised '}{one_line(error)}"
        failed = Result(case.id, tuple(case.clauses), case.conformance_class, "error", device, message=message)
        return failed.as_dict() | {"seconds": time.perf_counter() - began, "harness_error": not own}


def _exhibits(photograph: Any, adapter: Any, device: str, job: Mapping[str, Any], record: Record) -> None:
    exhibit, pictures = Path(job["exhibit"]), Path(job["pictures"]) if job["pictures"] else None
    for name, show in (("photograph", photograph.judge_photograph), ("checkerboard", photograph.judge_checkerboard)):
        record("start", exhibit=name)
        try:
            shown = show(adapter, device, exhibit, pictures)
        except BaseException as error:
            shown = {"error": one_line(error)}
        record("exhibit", exhibit=name, shown=shown)


def identify_function(job: Mapping[str, Any], record: Record) -> None:
    """Say which order the function ``target``, called with (x, scale), follows in each data format."""
    from subpixel_conformance.adapters import tensors
    from subpixel_conformance.identify import identify

    function = registry.resolve_attribute(job["target"])
    if not callable(function):
        raise registry.AbsentError(f"{job['target']} must be a function of (x, scale); it is a {type(function).__name__}")
    for data_format in job["data_formats"]:
        tried = []
        for to_native in tensors.conversions(job["target"].partition(":")[0]):
            tried.append(identify(function, ndim=job["ndim"], data_format=data_format, to_native=to_native, to_numpy=tensors.to_numpy))
            if tried[-1].refusal is None:
                break
        found = tried[-1] if tried[-1].refusal is None else tried[0]
        reason = "" if found.refusal is None else one_line(found.refusal)
        record("identified", data_format=data_format, order=found.order, answer=found.answer, reason=reason)
    record("footer")


def plain(value: Any) -> Any:
    """Return ``value`` as strict JSON can hold it: tuples as lists, numbers that are not finite as their names, the rest as text."""
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return plain(str(value))


def one_line(error: BaseException) -> str:
    """Return the type and the text of an exception on one line, at most 1000 characters."""
    return " ".join(told(error).split())[:1000]


def _end_with_the_parent() -> None:
    """Leave no orphan behind: end when the process that started this one is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _end_first_where_memory_runs_out() -> None:
    """Have Linux take this process, and what it starts, before all others where the machine's memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _end(status: int) -> None:
    """End at once, whatever threads an adapter has left behind and whatever it has asked to be done at the end."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _end(main())
