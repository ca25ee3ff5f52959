"""The normative text can be read, clause by clause."""

import re

import pytest

from subpixel_conformance import clauses

TEXT = """# Title

A paragraph that only names **XX-001** is not a clause.

**XX-001** A thing MUST be
so, on two lines, and SHOULD be more.

**XX-002** A thing SHOULD be so.

    **XX-003** indented is a listing

**XX-004** A thing MAY be so.
"""


def test_every_clause_in_the_files_is_found_once():
    folder = clauses.specification_folder()
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.name != "README.md"}
    starts = [(name, clause) for name, text in texts.items() for clause in re.findall(r"^\*\*([A-Z]{2}-\d{3})\*\*", text, re.MULTILINE)]
    found = clauses.clauses()
    assert sorted(clause for _, clause in starts) == sorted(found)
    assert all(found[clause].file == name for name, clause in starts)
    assert len(found) > 50


def test_a_clause_has_its_whole_paragraph_and_its_strongest_word(tmp_path):
    (tmp_path / "x.md").write_text(TEXT, encoding="utf-8")
    found = clauses.read_clauses(tmp_path)
    assert {name: clause.level for name, clause in found.items()} == {"XX-001": "MUST", "XX-002": "SHOULD", "XX-004": "MAY"}
    assert found["XX-001"].text == "A thing MUST be\nso, on two lines, and SHOULD be more."
    assert found["XX-001"].file == "x.md"


def test_an_id_that_occurs_twice_is_refused(tmp_path):
    (tmp_path / "a.md").write_text("**XX-001** MUST.", encoding="utf-8")
    (tmp_path / "b.md").write_text("**XX-001** MUST too.", encoding="utf-8")
    with pytest.raises(ValueError, match=r"XX-001 is in a\.md and in b\.md"):
        clauses.read_clauses(tmp_path)


def test_a_missing_specification_is_named_with_the_places_that_were_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(clauses, "__file__", str(tmp_path / "a" / "b" / "clauses.py"))
    with pytest.raises(FileNotFoundError, match="docs/spec"):
        clauses.specification_folder()


def test_package_data_comes_before_the_checkout(tmp_path, monkeypatch):
    for folder in (tmp_path / "docs" / "spec", tmp_path / "a" / "subpixel_specification"):
        folder.mkdir(parents=True)
        (folder / "README.md").write_text(f"# {folder}, version 7.3\n", encoding="utf-8")
    monkeypatch.setattr(clauses, "__file__", str(tmp_path / "a" / "b" / "clauses.py"))
    assert clauses.specification_folder() == tmp_path / "a" / "subpixel_specification"
    assert clauses.specification_version() == "7.3"
