"""The page of published implementations: made from its JSON alone, with a reproduction and a draft for whatever is red."""

import ast
import copy
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from subpixel_conformance import registry, runner, scoreboard

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REPORT = DOCS / "evidence" / "scoreboard.json"
DRAFTS = DOCS / "peers"


@pytest.fixture(scope="module")
def document():
    return json.loads(REPORT.read_text(encoding="utf-8"))


def red_cells(document):
    """Return the primary clauses that are broken, and all that are, by adapter and class."""
    found = {}
    for run in document["runs"]:
        for result in run["results"]:
            if result["status"] in runner.WRONG:
                primary, named = found.setdefault((run["adapter"], result["conformance_class"]), (set(), set()))
                primary.add(result["clauses"][0])
                named.update(result["clauses"])
    return found


def lacking(document):
    """Return every red cell, with its clauses that no finding explains, and every finding that explains none."""
    cells = red_cells(document)
    explained = {}
    for finding in document["findings"]:
        explained.setdefault((finding["adapter"], finding["conformance_class"]), set()).update(finding["clauses"])
    missing = [(cell, sorted(primary - explained.get(cell, set()))) for cell, (primary, _) in cells.items()]
    idle = [(cell, sorted(named)) for cell, named in explained.items() if not named & cells.get(cell, (set(), set()))[1]]
    return [(cell, what) for cell, what in (*missing, *idle) if what]


def test_the_page_is_what_the_report_gives(document):
    assert (DOCS / "scoreboard.md").read_text(encoding="utf-8") == scoreboard.page(document)


def test_every_red_cell_is_explained_and_nothing_else_is(document):
    assert len(red_cells(document)) >= 5
    assert lacking(document) == []


def test_a_red_cell_without_an_explanation_is_found(document):
    less = copy.deepcopy(document)
    less["findings"] = [finding for finding in less["findings"] if finding["adapter"] != "fastai"]
    assert sorted(lacking(less)) == [(("fastai", "init"), ["IC-004"]), (("fastai", "layer"), ["SC-001"])]
    more = copy.deepcopy(document)
    next(run for run in more["runs"] if run["adapter"] == "fastai")["results"].clear()
    assert sorted(lacking(more)) == [(("fastai", "init"), ["IC-001", "IC-004"]), (("fastai", "layer"), ["SC-001"])]


def test_reproductions_are_short_and_stand_in_a_draft(document):
    drafts = {(each.adapter, each.reproduction, each.printed): each.draft for each in scoreboard.findings(DRAFTS)}
    for finding in document["findings"]:
        assert drafts[finding["adapter"], finding["reproduction"], finding["printed"]] == finding["draft"]
        assert len([line for line in finding["reproduction"].splitlines() if line.strip()]) <= scoreboard.LONGEST
        assert "subpixel" not in finding["reproduction"]
        ast.parse(finding["reproduction"])
        assert finding["printed"].strip()


def test_every_draft_says_what_is_expected_and_suggests_something():
    for path in sorted(DRAFTS.glob("*.md")):
        if path.name != "README.md":
            text = path.read_text(encoding="utf-8")
            count = text.count("**Title.**")
            assert count >= 1
            promised, inferred = text.count("**Expected by the documentation.**"), text.count("**What is inferred.**")
            assert promised + inferred == text.count("**Suggestion.**") == count, path.name
            assert text.count("**What the documentation says.**") == inferred, path.name
            assert "Seen with" in text


def test_ten_projects_are_judged_and_nothing_is_a_percentage(document):
    assert len({run["project"] for run in document["runs"] if run["judged"]}) >= 10
    assert all(run["versions"] for run in document["runs"])
    assert "%" not in scoreboard.page(document)


def test_every_peer_is_on_the_page_judged_or_with_the_reason(document):
    named = {run["adapter"] for run in document["runs"]} | {missing["adapter"] for missing in document["missing"]}
    assert named == {spec.name for spec in registry.PEERS}
    assert all(missing["reason"] for missing in document["missing"])
    assert not [run["adapter"] for run in document["runs"] if run["error"]]


def test_the_page_shows_what_a_changed_report_says(document):
    changed = copy.deepcopy(document)
    run = next(run for run in changed["runs"] if run["adapter"] == "einops")
    judged = run["classes"]["shift"]["pass"]
    result = copy.deepcopy(next(each for other in changed["runs"] for each in other["results"] if each["status"] == "fail"))
    result |= {"conformance_class": "shift", "clauses": ["PS-001"], "message": "a | bar\nand a line"}
    run["results"].append(result)
    run["classes"]["shift"] = {"pass": judged - 1, "fail": 1}
    page = scoreboard.page(changed)
    assert f"**1 of {judged} wrong**](#einops-shift)" in page
    assert '<a id="einops-shift"></a>' in page
    assert "a | bar and a line" in page


def installed(run):
    """Whether this environment has exactly the versions that were judged."""
    names = {"dm-pix": "dm_pix", "paddlepaddle": "paddlepaddle"}
    try:
        return all(
            version(names.get(name, name)) == found for name, found in run["versions"].items() if name in ("monai", "fastai", "keras")
        )
    except PackageNotFoundError:
        return False


@pytest.mark.parametrize("finding", scoreboard.findings(DRAFTS), ids=lambda finding: f"{finding.adapter}-{finding.clauses[0]}")
def test_a_reproduction_prints_what_the_page_says(finding, document):
    run = next(run for run in document["runs"] if run["adapter"] == finding.adapter)
    absent = registry.absence(registry.find(finding.adapter))
    if absent or not installed(run):
        pytest.skip(absent or f"other versions than {run['versions']}")
    assert scoreboard.reproduce(finding) == finding.printed


def test_a_reproduction_that_fails_is_an_error():
    finding = scoreboard.Finding("mine", "shift", ("PS-001",), "raise ValueError('so')\n", "", "mine.md")
    with pytest.raises(RuntimeError, match=r"mine\.md for mine failed: (?s:.)*so"):
        scoreboard.reproduce(finding)


def test_the_page_is_written_and_a_wrong_report_is_one_line(tmp_path, capsys):
    assert scoreboard.main([str(REPORT), "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == (DOCS / "scoreboard.md").read_text(encoding="utf-8")
    (tmp_path / "wrong.json").write_text('{"runs": []}', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        scoreboard.main([str(tmp_path / "wrong.json"), "--out", str(tmp_path / "other.md")])
    assert ended.value.code == 2
    assert "wrong.json must be a report" in capsys.readouterr().err
    assert not (tmp_path / "other.md").exists()
