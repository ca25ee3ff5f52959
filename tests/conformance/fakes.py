"""Small adapters in files of their own, honest and hostile, for the tests of the runner and of the command."""

from pathlib import Path
from typing import Any

from subpixel_conformance.result import Result
from subpixel_conformance.runner import Case, Outcome, Run

SOURCE = '''
import os, sys, time
from pathlib import Path
import numpy as np

MARKER = Path(__file__).with_suffix(".marker")


def once():
    """Whether this is the first call in any process."""
    if MARKER.exists():
        return False
    MARKER.touch()
    return True


class Fake:
    name = "fake"
    versions = {"fake": os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE", "unset")}
    claims = {
        "operations": ("phase_shift",), "orders": ("DCR",), "data_formats": ("channels_last",), "ndims": (2,), "batch_ndims": (1,),
        "anisotropic": False, "scale_one": False, "empty": False, "devices": tuple(DEVICES),
    }

    def devices(self): return DEVICES
    def modes(self, device): return {"eager": None}
    def to_native(self, array, device): return array.copy()
    def to_numpy(self, value): return value
    def device_of(self, value): return self.device
    def compile(self, function, mode): return function

    def phase_shift(self, x, scale, *, order, data_format):
        BODY
        r = scale if isinstance(scale, int) else scale[0]
        n, h, w, c = x.shape
        return x.reshape(n, h, w, r, r, c // r**2).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * r, w * r, c // r**2)


class Tracking(Fake):
    """Remembers the device it was given, which is where its results are."""

    def to_native(self, array, device):
        self.device = device
        return array.copy()


adapter = Tracking()
'''


def write_fake(
    folder: Path, *, name: str = "fake", body: str = "pass", devices: str = '{"cpu": None}', before: str = "", after: str = ""
) -> str:
    """Write a fake adapter: ``before`` runs at import, ``body`` in every shift, ``after`` at the end of the import. Return its spec."""
    path = folder / f"{name}.py"
    source = SOURCE.replace("DEVICES", devices).replace("        BODY", "\n".join(f"        {line}" for line in body.splitlines()))
    path.write_text(f"{before}\n{source}\n{after}\n", encoding="utf-8")
    return f"{path}:adapter"


def result(status: str, **fields: Any) -> Result:
    """Return a result of that status, of a case of PS-001 unless ``fields`` say otherwise."""
    return Result(**{"case": "PS-001/case", "clauses": ("PS-001",), "conformance_class": "shift", "status": status} | fields)


def outcome_of(*results: Result, adapter: str = "fake", counted: bool = True, planned: int | None = None) -> Outcome:
    """Return the outcome of one run on the CPU with these results."""
    cases = [Case(found.case, found.clauses, found.conformance_class) for found in results]
    cases += [Case("PS-001/not run", ("PS-001",), "shift")] * ((planned or len(cases)) - len(cases))
    return Outcome("quick", (Run(adapter, "", counted, "cpu", planned=cases, results=list(results)),), ())
