"""The suite from pytest: a class in the user's own tests, and the module that needs none; each in a pytest of its own."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ADAPTER = """
from subpixel_conformance import Adapter, oracle

def shift(x, scale):
    return oracle.phase_shift(x, (scale, scale), order=ORDER, data_format="channels_first")

adapter = Adapter.from_callables(phase_shift=shift, order="CRD", data_format="channels_first", ndim=2, integer_scale=True, name="mine")
"""
TESTS = """
from subpixel_conformance import ConformanceTests
from mine import adapter

class TestMine(ConformanceTests):
    adapter = adapter
"""
EDITABLE = "  ignore:Module already imported so cannot be rewritten; _editable_impl:pytest.PytestAssertRewriteWarning\n"
KNOWN = """
[[known]]
clause = "PS-001"
reason = "it has another order"
link = "https://example.org/1"
"""


@pytest.fixture
def folder(tmp_path):
    """A user's folder with an adapter that conforms, one that does not, and pytest as strict as it can be."""
    strict = "[pytest]\naddopts = --strict-markers --strict-config\npythonpath = .\nfilterwarnings =\n  error\n"
    (tmp_path / "pytest.ini").write_text(strict + EDITABLE)
    for name, order in (("mine", "CRD"), ("wrong", "DCR")):
        (tmp_path / f"{name}.py").write_text(ADAPTER.replace("ORDER", repr(order)))
    return tmp_path


def run(folder, *arguments):
    """Run pytest there as a user would, and return its exit status, its output and the counts of its JUnit file."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "--junitxml", "junit.xml", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    report = folder / "junit.xml"
    suite = ElementTree.parse(report).getroot().find("testsuite") if report.exists() else None
    counts = {} if suite is None else {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    return done.returncode, done.stdout + done.stderr, counts


def test_a_class_in_the_users_tests_is_one_test_per_claimed_case(folder):
    (folder / "test_mine.py").write_text(TESTS)
    status, output, counts = run(folder)
    assert status == 0, output
    assert counts["tests"] > 20
    assert counts["failures"] == counts["errors"] == 0
    clauses = {element.get("value") for element in ElementTree.parse(folder / "junit.xml").iter("property")}
    assert {"PS-002", "PS-006"} <= clauses


def test_a_failure_names_the_clause_and_says_how_to_see_it(folder):
    (folder / "test_mine.py").write_text(TESTS.replace("from mine", "from wrong"))
    status, output, counts = run(folder)
    assert status == 1
    assert counts["failures"] > 5
    assert "it matches DCR" in output
    assert "To see it:" in output
    assert "Traceback" not in output


def test_workers_share_the_cases(folder):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    (folder / "test_mine.py").write_text(TESTS)
    _, _, alone = run(folder)
    status, output, counts = run(folder, "-n", "2")
    assert status == 0, output
    assert counts == alone


def test_known_failures_are_expected_to_fail_and_nothing_else_is(folder):
    (folder / "known.toml").write_text(KNOWN.replace('clause = "PS-001"', 'case = "PS-002/CRD-channels_first-2d-2x2-float32"'))
    (folder / "test_mine.py").write_text(TESTS.replace("from mine", "from wrong") + '    known_failures = "known.toml"\n')
    (folder / "test_other.py").write_text(TESTS.replace("from mine", "from wrong"))
    _, _, every = run(folder, "test_other.py")
    status, _, counts = run(folder, "test_mine.py")
    assert status == 1
    assert counts["skipped"] == 1
    assert counts["failures"] + counts["skipped"] == every["failures"]
    assert "it has another order (https://example.org/1)" in (folder / "junit.xml").read_text()


CASE = "PS-002/CRD-channels_first-2d-2x2-float32"


@pytest.mark.parametrize(
    ("module", "fields", "said"),
    [
        ("mine", {"case": CASE}, f"passes unexpectedly: {CASE} on mine, cpu"),
        ("mine", {"clause": "PS-007"}, "passes unexpectedly: PS-007/"),
        ("mine", {"case": "PS-002/no-such-case"}, "is stale: there is no such case"),
        ("mine", {"clause": "PS-999"}, "is stale: no case judges this clause"),
        ("wrong", {"clause": "IC-001"}, "is stale: what it names is not claimed"),
        ("wrong", {"case": CASE, "mode": "jit"}, "is stale: what it names is judged in no such mode or dtype"),
        ("wrong", {"clause": "PS-999", "adapter": "other"}, "is stale: no case judges this clause"),
        ("wrong", {"case": CASE}, ""),
        ("wrong", {"clause": "PS-002", "device": "cpu"}, ""),
        ("wrong", {"clause": "PS-002", "device": "cuda"}, ""),
        ("mine", {"clause": "PS-007", "adapter": "other"}, ""),
    ],
)
def test_an_entry_that_is_out_of_date_is_one_test_that_fails_as_in_the_command(folder, module, fields, said):
    text = "".join(f'{name} = "{value}"\n' for name, value in {"reason": "it is so", **fields}.items())
    (folder / "known.toml").write_text(f"[[known]]\n{text}")
    (folder / "test_mine.py").write_text(TESTS.replace("from mine", f"from {module}") + '    known_failures = "known.toml"\n')
    status, output, counts = run(folder, "-k", "known-failures")
    assert (status, counts["tests"], counts["failures"]) == (int(bool(said)), 1, int(bool(said))), output
    assert said in output


def test_an_entry_for_another_device_excuses_nothing(folder):
    (folder / "known.toml").write_text(KNOWN.replace('"PS-001"', '"PS-002"\ndevice = "cuda"'))
    (folder / "test_mine.py").write_text(TESTS.replace("from mine", "from wrong") + '    known_failures = "known.toml"\n')
    _, _, counts = run(folder, "-k", CASE)
    assert (counts["failures"], counts["skipped"]) == (1, 0)


@pytest.mark.parametrize("body", ["raise OSError('no licence')", "raise SystemExit('no licence')"])
def test_an_adapter_that_cannot_be_made_is_one_test_that_fails(folder, body):
    (folder / "test_mine.py").write_text(f"{TESTS}\ndef broken():\n    {body}\n\nclass TestBroken(TestMine):\n    adapter = broken\n")
    (folder / "test_other.py").write_text("def test_other():\n    pass\n")
    status, output, counts = run(folder)
    assert (status, counts["failures"], counts["errors"]) == (1, 1, 0)
    assert counts["tests"] > 20
    assert "TestBroken cannot be judged: " in output
    assert "no licence" in output


def test_no_file_of_tests_is_needed(folder):
    named = ("--pyargs", "subpixel_conformance.suite", "--subpixel-adapter", "mine.py:adapter")
    status, output, counts = run(folder, *named)
    assert status == 0, output
    assert counts["tests"] > 20
    if importlib.util.find_spec("xdist") is not None:
        assert run(folder, "-n", "2", *named)[::2] == (0, counts)
    status, output, counts = run(folder, "--pyargs", "subpixel_conformance.suite", "--subpixel-adapter", "wrong.py:adapter")
    assert (status, counts["failures"] > 5) == (1, True)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (None, "--subpixel-adapter must name an adapter"),
        ("absent.py:adapter", "adapter must name a file that exists; got 'absent.py'"),
        ("mine.py:absent", "adapter must name something in .*mine.py; there is no 'absent'"),
        ("pixel_shuffle", "backend must be one of .*; got .pixel_shuffle"),
    ],
)
def test_an_adapter_that_is_not_there_is_said_in_one_line(folder, target, message):
    given = [] if target is None else ["--subpixel-adapter", target]
    status, output, _ = run(folder, "--pyargs", "subpixel_conformance.suite", *given)
    assert status == 2, output
    assert re.search(message, output)


def test_an_adapter_that_claims_nothing_is_said_in_one_line(folder):
    (folder / "test_mine.py").write_text(TESTS + "    adapter.claims = {**adapter.claims, 'operations': ()}\n")
    status, output, _ = run(folder)
    assert status == 1, output
    assert "TestMine cannot be judged: ValueError: the adapter claims nothing that the suite judges" in output


def test_pytest_itself_loads_nothing_of_the_suite_but_the_options(folder):
    (folder / "test_other.py").write_text(
        "import sys\n\ndef test_modules():\n    loaded = {name for name in sys.modules if name.startswith('subpixel')}\n"
        "    assert loaded <= {'subpixel_conformance', 'subpixel_conformance.pytest_plugin'}\n    assert 'numpy' not in sys.modules\n"
    )
    status, output, _ = run(folder, "-p", "no:hypothesispytest")
    assert status == 0, output


def test_the_plugin_is_registered():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'subpixel = "subpixel_conformance.pytest_plugin"' in text
