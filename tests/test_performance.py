"""docs/performance.md says what the reports in docs/evidence say, and what is timed is what is meant."""

import json
import sys
from itertools import combinations
from pathlib import Path

import pytest

for package in ("torch", "tensorflow", "jax", "einops", "dm_pix", "matplotlib", "rich"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install 'subpixel-spec[all,bench]'")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import performance  # noqa: E402  # after the path
import shift  # noqa: E402
from shift_competitors import COPY, OURS, RUNS, Case, competitors  # noqa: E402


def test_every_table_is_that_of_its_report():
    page = performance.PAGE.read_text(encoding="utf-8")
    assert performance.BLOCK.findall(page)
    assert performance.filled(page, performance.EVIDENCE) == page


def test_a_table_follows_its_report(tmp_path):
    report = json.loads((performance.EVIDENCE / "shift-cpu.json").read_text(encoding="utf-8"))
    for row in report["rows"]:
        row["speed"] = {name: [8.0, 8.0, 8.0] for name in row["speed"]}
    against = [row for row in report["rows"] if row["speed"]]
    against[-1]["speed"] = {"einops": [0.5, 0.5, 0.5]}
    (tmp_path / "shift-cpu.json").write_text(json.dumps(report), encoding="utf-8")
    page = "<!-- losses of shift-cpu.json -->\nold\n<!-- end -->\n"
    filled = performance.filled(page, tmp_path)
    assert f"1 of {len(against)} cases.\n" in filled
    assert "| einops | 0.50 |" in filled
    assert "old" not in filled


@pytest.mark.parametrize("strength", [1, 2])
def test_every_so_many_values_meet_in_some_case(strength):
    every = {pair for row in shift.every("torch") for pair in combinations(row.items(), strength)}
    assert {pair for row in shift.covering("torch", strength) for pair in combinations(row.items(), strength)} == every


@pytest.mark.parametrize("framework", shift.FRAMEWORKS)
@pytest.mark.parametrize("direction", ["shift", "inverse"])
def test_what_is_timed_is_compared_with_the_reference_before(framework, direction, monkeypatch):
    case = Case(framework, 2, 3, 2, "float32", "channels_last", direction, 2, 600, "forward")
    assert {COPY, OURS} < competitors(case).keys()
    right = case.arrays()
    monkeypatch.setattr(Case, "arrays", lambda self: (right[0], right[1][..., ::-1].copy()))
    with pytest.raises(AssertionError, match="is wrong"):
        competitors(case)


def test_in_torch_an_order_with_the_channels_last_is_timed_too():
    assert RUNS in competitors(Case("torch", 2, 2, 3, "uint8", "channels_last", "inverse", 1, 600, "forward"))
