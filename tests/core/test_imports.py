"""`import subpixel_core` brings in NumPy and the standard library, and nothing else."""

import os
import subprocess
import sys

import pytest

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
