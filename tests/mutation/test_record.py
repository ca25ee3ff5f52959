"""The record of the mutations, its explanations and its page are in step with each other and with the core."""

import json
from pathlib import Path

import pytest

from . import page

ROOT = Path(__file__).parents[2]
EVIDENCE = ROOT / "docs" / "evidence" / "mutation.json"
RECORD = json.loads(EVIDENCE.read_text(encoding="utf-8"))


def test_every_survivor_is_explained_and_nothing_else_is():
    survivors = {page.key(entry): entry["why"] for entry in RECORD["survivors"]}
    assert page.MISSING not in survivors.values()
    assert survivors == page.explanations()


@pytest.mark.parametrize("entry", RECORD["survivors"], ids=lambda entry: f"{entry['file']}-{entry['line']}-{entry['after']}")
def test_what_a_survivor_changes_is_still_in_the_core(entry):
    source = (ROOT / "subpixel_core" / entry["file"]).read_text(encoding="utf-8")
    assert entry["before"] in "\n".join(line.strip() for line in source.splitlines()), (
        f"make mutation ONLY={entry['file']} writes the record anew"
    )


def test_the_counts_are_those_of_the_survivors():
    for name, counts in RECORD["files"].items():
        assert counts["survived"] == sum(entry["file"] == name for entry in RECORD["survivors"])
        assert page.judged(counts) <= counts["changes"]


def test_every_module_of_the_core_is_in_the_record_or_named_as_not_judged():
    modules = {path.name for path in (ROOT / "subpixel_core").glob("*.py")} - {"__init__.py"}
    assert sorted([*RECORD["files"], *RECORD["not judged yet"]]) == sorted(modules)


def test_the_page_is_that_of_the_record(tmp_path):
    copy = tmp_path / "mutation.json"
    copy.write_text(EVIDENCE.read_text(encoding="utf-8"), encoding="utf-8")
    assert page.main([str(copy), "--out", str(tmp_path / "page.md")]) == 0
    assert copy.read_text(encoding="utf-8") == EVIDENCE.read_text(encoding="utf-8")
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == (ROOT / "docs" / "mutation.md").read_text(encoding="utf-8")


def test_a_survivor_without_an_explanation_is_seen(tmp_path):
    stranger = {"file": "check.py", "line": 1, "where": "", "operator": "", "before": "a", "after": "b"}
    copy = tmp_path / "mutation.json"
    copy.write_text(json.dumps({**RECORD, "survivors": [*RECORD["survivors"], stranger]}), encoding="utf-8")
    assert page.main([str(copy), "--out", str(tmp_path / "page.md")]) == 1
    assert page.MISSING in (tmp_path / "page.md").read_text(encoding="utf-8")
