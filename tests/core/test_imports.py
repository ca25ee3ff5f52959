"""`import subpixel_core` brings in NumPy and the standard library, and nothing else."""

import importlib
import os
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType

import pytest

import subpixel_core

# Run in a fresh interpreter: what a site puts into every interpreter, and what NumPy itself brings in, are there before.
CHECK = """
import importlib, sys
import numpy
before = set(sys.modules)
importlib.import_module(sys.argv[1])
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(names - set(sys.stdlib_module_names) - {"numpy", sys.argv[1]}))
"""


def strangers(module, folder=None):
    """Return the top-level names that importing ``module`` brings in besides itself, NumPy and the standard library."""
    path = os.pathsep.join(filter(None, [str(folder or ""), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-c", CHECK, module],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )
    return ran.stdout.split()


def test_importing_the_core_imports_no_framework_and_nothing_but_numpy():
    assert strangers("subpixel_core") == []


@pytest.mark.parametrize(
    "line", ["import torch_like", "from torch_like import anything", "import torch_like.deeper", "import numpy, json, torch_like"]
)
def test_the_check_sees_a_package_that_is_imported(tmp_path, line):
    package = tmp_path / "torch_like"
    package.mkdir()
    (package / "__init__.py").write_text("anything = 1\n")
    (package / "deeper.py").write_text("")
    (tmp_path / "offender.py").write_text(f"{line}\n")
    assert strangers("offender", tmp_path) == ["torch_like"]


def test_the_check_sees_a_package_that_is_imported_on_the_way(tmp_path):
    (tmp_path / "innocent.py").write_text("import offender\n")
    (tmp_path / "offender.py").write_text("import ml_dtypes\n")
    assert strangers("innocent", tmp_path) == ["ml_dtypes", "offender"]


def test_the_check_is_content_with_the_standard_library_and_numpy(tmp_path):
    (tmp_path / "innocent.py").write_text("import json, numpy.linalg, xml.dom, numpy.fft\n")
    assert strangers("innocent", tmp_path) == []


def test_the_public_names_are_those_that_the_package_imports():
    imported = {name for name, value in vars(subpixel_core).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert set(subpixel_core.__all__) == imported | {"__version__"}
    assert sorted(subpixel_core.__all__) == sorted(set(subpixel_core.__all__))


def test_the_first_two_numbers_of_the_version_are_those_of_the_specification():
    assert subpixel_core.SPEC_VERSION == "1.0"
    assert re.fullmatch(r"1\.0\.\d+", subpixel_core.__version__)


def test_what_the_core_keeps_and_hands_out_cannot_be_changed():
    for path in sorted(Path(subpixel_core.__file__).parent.glob("*.py")):
        module = importlib.import_module(f"subpixel_core.{path.stem}" if path.stem != "__init__" else "subpixel_core")
        for name, value in vars(module).items():
            if isinstance(value, type) and is_dataclass(value):
                assert value.__dataclass_params__.frozen or name == "_Forward", name  # one forward pass, which nobody else sees
