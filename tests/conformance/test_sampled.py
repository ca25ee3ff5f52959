"""Sampled cases: the same for the same seed, within the claims, and shrunk to the smallest geometry that is wrong."""

import subprocess
import sys

import pytest

from subpixel_conformance import oracle
from subpixel_conformance.case import Unavailable
from subpixel_conformance.cases import all_cases, sampled
from subpixel_conformance.judge import judge
from subpixel_conformance.mutants.honest import Honest


def drawn(adapter, seed, order="DRC"):
    seen = []
    sampled.searched(seen.append, sampled.calls(adapter, "phase_shift", order, "float32"), 15, seed)
    return seen


def test_a_seed_draws_the_same_calls_again_and_another_seed_others():
    pytest.importorskip("hypothesis")
    adapter = Honest("right")
    assert drawn(adapter, 3) == drawn(adapter, 3)
    assert drawn(adapter, 3) != drawn(adapter, 4)


def test_ids_are_the_same_for_every_seed():
    assert [case.id for case in all_cases("full", 0)] == [case.id for case in all_cases("full", 7)]


def test_what_is_drawn_is_claimed():
    pytest.importorskip("hypothesis")
    claims = {"anisotropic": False, "scale_one": False, "data_formats": ("channels_first",), "ndims": (2, 3), "batch_ndims": (1,)}
    calls = [call for seed in range(8) for call in drawn(Honest("modest", claims=claims), seed)]
    assert {call.data_format for call in calls} == {"channels_first"}
    assert {len(call.scale) for call in calls} == {2, 3}
    assert all(len(set(call.scale)) == 1 and min(call.scale) > 1 and len(call.batch) == 1 for call in calls)


def test_a_failing_call_is_shrunk_to_the_smallest_and_can_be_pasted():
    pytest.importorskip("hypothesis")

    def wrong(x, scale, *, order, data_format):
        other = {"CRD": "DCR"}.get(order, order) if min(scale) > 1 else order
        return oracle.phase_shift(x, scale, order=other, data_format=data_format)

    (case,) = [case for case in all_cases() if case.id == "PS-002/sampled-CRD"]
    found = judge(case, Honest("wrong", phase_shift=wrong), "cpu")
    assert (found.status, found.order_found) == ("fail", "DCR")
    assert 'x = np.r_[:3, -1:0].astype("float32").reshape((1, 4))' in found.reproduction  # one position, two channels, one factor of 2


def test_without_hypothesis_the_cases_are_unavailable_with_the_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    cases = [case for case in all_cases() if "/sampled-" in case.id]
    results = [judge(case, Honest("right"), "cpu") for case in cases]
    assert {result.status for result in results} == {"unavailable"}
    assert all("pip install" in result.message for result in results)
    with pytest.raises(Unavailable):
        sampled.searched(print, lambda st: st.none(), 1, 0)


def test_nothing_is_left_in_the_folder_of_whoever_runs_the_suite(tmp_path):
    pytest.importorskip("hypothesis")
    (tmp_path / "mine.py").write_text("VALUE = 123456\n", encoding="utf-8")  # hypothesis would keep the constants of such a module
    (tmp_path / "test_mine.py").write_text(
        "import mine\n"
        "from subpixel_conformance.cases.sampled import searched\n\n\n"
        "def test_search():\n"
        "    searched(lambda value: None, lambda st: st.lists(st.integers()), 20, 0)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["mine.py", "test_mine.py"]
