"""The process that judges one adapter on one device. It imports the framework, so that nothing else has to.

    python -m subpixel_conformance.child job.json

What it finds it appends to the file ``records`` of the job, one JSON object per line, each flushed at once: a header, then for every case a
``start`` and a ``result``, the exhibits, and a footer. So nothing that an adapter prints can spoil a record, and when this process dies
the parent knows in which case. Where the footer is missing, the run is not finished.
"""

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
from subpixel_conformance.result import STATUSES, Result

Record = Callable[..., None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the job described in the JSON file named by the only argument."""
    faulthandler.enable()
    _end_with_the_parent()
    (path,) = sys.argv[1:] if arguments is None else arguments
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    actions = {"judge": judge_adapter, "identify": identify_function}
    with open(job["records"], "a", encoding="utf-8") as stream:

        def record(kind: str, **fields: Any) -> None:
            stream.write(json.dumps(plain({"type": kind, **fields})) + "\n")
            stream.flush()

        try:
            actions[job["action"]](job, record)
        except (Exception, SystemExit) as error:
            record("error", message=one_line(error))
            return 3
    return 0


def judge_adapter(job: Mapping[str, Any], record: Record) -> None:
    """Judge the adapter ``target`` on ``device`` by every case of ``profile`` that is not in ``skip``; then the exhibits.

    Without a ``device``, the first one present of those ``wanted`` (without those: of those claimed) is taken.
    """
    adapter = registry.load(job["target"])
    from subpixel_conformance.cases import all_cases
    from subpixel_conformance.judge import judge

    devices = dict(adapter.devices())
    device = job["device"]
    if device is None:
        device = next((name for name in job["wanted"] or devices if name in devices and devices[name] is None), None)
    cases = all_cases(job["profile"])
    record(
        "header",
        name=str(getattr(adapter, "name", job["target"])),
        versions={str(name): str(version) for name, version in dict(getattr(adapter, "versions", {})).items()},
        claims=dict(adapter.claims),
        devices=devices,
        device=device,
        modes=dict(adapter.modes(device)) if device is not None else {},
        planned=[(case.id, case.clauses, case.conformance_class) for case in cases],
    )
    if device is not None:
        skip = set(job["skip"])
        for case in cases:
            if case.id not in skip:
                record("start", case=case.id)
                record("result", **_judged(judge, case, adapter, device))
        if job["exhibit"] is not None:
            _exhibits(adapter, device, job["exhibit"], job["pictures"], record)
    record("footer")


def _judged(judge: Callable[..., Result], case: Any, adapter: Any, device: str) -> dict[str, Any]:
    began = time.perf_counter()
    try:
        result = judge(case, adapter, device)
        if result.status not in STATUSES:
            raise ValueError(f"status must be one of {STATUSES}; got {result.status!r}")
        return result.as_dict() | {"harness_error": False}
    except (Exception, SystemExit) as error:
        message = f"the judgement itself raised {one_line(error)}"
        failed = Result(case.id, tuple(case.clauses), case.conformance_class, "error", device, message=message)
        return failed.as_dict() | {"seconds": time.perf_counter() - began, "harness_error": True}


def _exhibits(adapter: Any, device: str, exhibit: str, pictures: str | None, record: Record) -> None:
    from subpixel_conformance import photograph

    for name, show in (("photograph", photograph.judge_photograph), ("checkerboard", photograph.judge_checkerboard)):
        record("start", exhibit=name)
        try:
            shown = show(adapter, device, Path(exhibit), Path(pictures) if pictures else None)
        except (Exception, SystemExit) as error:
            shown = {"error": one_line(error)}
        record("exhibit", exhibit=name, shown=shown)


def identify_function(job: Mapping[str, Any], record: Record) -> None:
    """Say which order the function ``target``, called with (x, scale), follows in each data format."""
    from subpixel_conformance.identify import identify_order

    function = registry.resolve_attribute(job["target"])
    if not callable(function):
        raise TypeError(f"{job['target']} must be a function of (x, scale); it is a {type(function).__name__}")
    to_native, to_numpy = _framework_of(job["target"])
    for data_format in job["data_formats"]:
        reason = ""

        def call(x: Any, scale: Any) -> Any:
            nonlocal reason
            try:
                return to_numpy(function(to_native(x), scale))
            except Exception as error:
                reason = one_line(error)
                raise

        try:
            order = identify_order(call, ndim=job["ndim"], data_format=data_format)
        except Exception as error:
            order, reason = None, reason or one_line(error)
        record("identified", data_format=data_format, order=order, reason=reason)
    record("footer")


def _framework_of(target: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return the conversions from NumPy and back for the framework that the target's module belongs to, NumPy itself by default."""
    import numpy as np

    package = target.partition(".")[0].partition(":")[0]
    if package in ("torch", "subpixel_torch", "torchvision"):
        import torch

        return torch.from_numpy, lambda value: value.numpy()
    if package in ("tensorflow", "subpixel_tensorflow"):
        import tensorflow as tf

        return tf.constant, lambda value: value.numpy()
    if package == "keras":
        import keras

        return keras.ops.convert_to_tensor, keras.ops.convert_to_numpy
    if package in ("jax", "subpixel_jax", "dm_pix"):
        import jax.numpy as jnp

        return jnp.asarray, np.asarray
    return lambda value: value, np.asarray


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
    """Return the type and the text of an exception on one line, at most 400 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:400] if text else type(error).__name__


def _end_with_the_parent() -> None:
    """Leave no orphan behind: end when the process that started this one is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    raise SystemExit(main())
