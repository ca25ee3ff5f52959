"""Reports that others read: the schema holds them, damage is found and named, differences are told, and citing needs no checkout."""

import copy
import json
import re
import shutil
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from subpixel_conformance import badge, cite, difference, json_lines, report, schema, verify
from subpixel_conformance.runner import Missing, Outcome, Run

from .fakes import outcome_of, result, write_fake
from .test_cli import run

SCHEMA = json.loads(report.SCHEMA_FILE.read_text(encoding="utf-8"))


def many():
    """An outcome with every status, an unjudged peer, a broken run, exhibits and hostile text."""
    outcome = outcome_of(
        result("pass", case="a", ratio=float("nan")),
        result("fail", case="b", message="two\nlines\u2028\x85 \x00", order_found="CRD", reproduction="x"),
        result("error", case="c", conformance_class="layer"),
        result("crash", case="d", conformance_class="mine"),
        result("known_failure", case="e", known="because"),
        result("unexpected_pass", case="f", known="not so"),
        result("not_claimed", case="g"),
        result("unavailable", case="h", message="no GPU"),
        result("not_run", case="i", message="given up"),
        adapter='a "name"',
    )
    outcome.runs[0].exhibits = {"photograph": {"cells": [[True, False]]}, "checkerboard": {"constructed": float("inf")}}
    outcome.runs[0].versions = {"numpy": "2.4"}
    peer = outcome_of(result("pass", case="a"), adapter="peer", counted=False).runs[0]
    broken = Run("broken", "", True, None, error="ImportError: no such luck")
    missing = Missing("torch", None, "not installed", True, True)
    return Outcome("quick", (*outcome.runs, peer, broken), (missing,), seed=7, precision="as-is", amiss=("k.toml, entry 1 is stale",))


def written(folder, outcome=None):
    outcome = outcome or many()
    paths = folder / "r.json", folder / "r.jsonl"
    report.write_json(paths[0], outcome)
    json_lines.write_json_lines(paths[1], outcome)
    return paths


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewritten(path, values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


# --- JSON Lines and the schema ---


def test_json_lines_are_a_header_runs_with_a_line_for_every_result_and_a_footer(tmp_path):
    _, path = written(tmp_path)
    lines = lines_of(path)
    assert [line["type"] for line in lines] == ["header", "run", *["result"] * 9, "run", "result", "run", "footer"]
    header, footer = lines[0], lines[-1]
    assert (header["spec"], header["suite"], header["profile"], header["seed"], header["precision"]) == (
        *("1.0", report.suite_version(), "quick"),
        *(7, "as-is"),
    )
    assert [(line["run"], line["adapter"], line["versions"], line["planned"]) for line in lines if line["type"] == "run"] == [
        (0, 'a "name"', {"numpy": "2.4"}, 9),
        (1, "peer", {}, 1),
        (2, "broken", {}, 0),
    ]
    found = [(line["run"], line["case"]) for line in lines if line["type"] == "result"]
    assert found == [*((0, case) for case in "abcdefghi"), (1, "a")]
    assert (footer["planned"], footer["ran"], footer["verdict"], footer["exit_code"]) == (10, 9, "non-conforming", 3)
    assert footer["counts"]["pass"] == 2
    assert footer["classes"]["layer"] == {"error": 1}


def test_json_and_json_lines_hold_the_same(tmp_path):
    whole, lines = (verify.read(path) for path in written(tmp_path, many()))
    moments = whole.pop("created"), lines.pop("created")
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moment) for moment in moments)
    del whole["checksum"], lines["checksum"]
    assert whole == lines


def test_the_schema_is_one_and_holds_every_line_and_the_document(tmp_path):
    Draft202012Validator.check_schema(SCHEMA)
    whole, lines = written(tmp_path)
    validator = Draft202012Validator(SCHEMA)
    for value in (json.loads(whole.read_text(encoding="utf-8")), *lines_of(lines), REVISED):
        validator.validate(value)


def damaged(value):
    """Yield copies of a JSON value, each with one key or item gone, or one leaf of another type."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: changed} for changed in damaged(item))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from ([*value[:number], changed, *value[number + 1 :]] for changed in damaged(item))
    for other in ("?", -1, 10**9, 0.5, True, None, [], {}):
        if type(other) is not type(value):
            yield other


REVISED = {"type": "revised", "run": 0, "adapter": "fake", "case": "PS-001/case", "status": "known_failure", "known": "k"}


@pytest.mark.parametrize("definition", ["header", "run_line", "result_line", "revised_line", "footer", "document"])
def test_our_reading_of_the_schema_is_that_of_jsonschema(tmp_path, definition):
    outcome = outcome_of(result("fail", ratio=0.5, known="k"))
    outcome.runs[0].exhibits, outcome.runs[0].precision = {"photograph": {"cells": [[True]]}}, {"tf32": False}
    whole, lines = written(tmp_path, Outcome("full", outcome.runs, (Missing("m", "cuda", "r", True, False),)))
    values = {"document": json.loads(whole.read_text(encoding="utf-8")), "revised_line": REVISED}
    values |= dict(zip(("header", "run_line", "result_line", "footer"), lines_of(lines), strict=True))
    validator = Draft202012Validator({"$ref": f"#/$defs/{definition}", "$defs": SCHEMA["$defs"]})
    found = [
        (schema.problem(value, SCHEMA["$defs"][definition], SCHEMA) is None, value)
        for value in (values[definition], *damaged(values[definition]))
    ]
    assert [ours for ours, value in found] == [validator.is_valid(value) for _, value in found]
    assert {ours for ours, _ in found} == {True, False}


def test_the_schema_uses_no_keyword_that_we_pass_over():
    def keywords(part):
        for name, value in part.items():
            yield name
            if name in ("properties", "$defs"):
                for member in value.values():
                    yield from keywords(member)
            elif name in ("items", "additionalProperties", "propertyNames"):
                yield from keywords(value)
            elif name in ("allOf", "anyOf"):
                for member in value:
                    yield from keywords(member)

    assert set(keywords(SCHEMA)) - {"$schema", "$defs", "title", "description"} == schema.KEYWORDS


def test_reading_a_report_imports_no_jsonschema(tmp_path):
    path = written(tmp_path)[0]
    code = f"import sys; from subpixel_conformance import cli; print(cli.main(['verify', {str(path)!r}]), 'jsonschema' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("0 False\n")


# --- verify ---


@pytest.mark.parametrize("kind", [0, 1])
def test_a_whole_report_is_whole_whatever_it_says(capsys, tmp_path, kind):
    path = written(tmp_path)[kind]
    status, out, err = run(capsys, "verify", str(path))
    assert (status, err) == (0, "")
    assert "9 results of 3 runs" in out
    assert "non-conforming" in out


def set_status(lines):
    lines[3]["status"] = "pass"


def set_status_and_counts(lines):
    set_status(lines)
    for counts in (lines[-1]["runs"][0]["counts"], lines[-1]["runs"][0]["classes"]["shift"], lines[-1]["counts"]):
        counts["pass"] += 1
        del counts["fail"]
    lines[-1]["classes"]["shift"]["pass"] += 1
    del lines[-1]["classes"]["shift"]["fail"]


EDITS = {
    "a status": (set_status, 'runs[0] (a "name" on cpu): counts.pass is 1; from the results follows 2'),
    "a status and all that follows": (set_status_and_counts, "checksum"),
    "a result dropped": (lambda lines: lines.pop(4), 'runs[0] (a "name" on cpu): ran is 8; from the results follows 7'),
    "a result twice": (lambda lines: lines.insert(4, lines[3]), "b is there 2 times"),
    "a result of no run": (lambda lines: lines[3].update(run=9), "line 4 must name a run that began before it; got run 9"),
    "a result before its run": (lambda lines: lines.insert(1, lines.pop(2)), "line 2 must name a run that began before it; got run 0"),
    "a run dropped": (lambda lines: lines.pop(11), "line 12 must name a run that began before it; got run 1 of peer"),
    "runs in another sequence": (lambda lines: lines.insert(1, lines.pop(11)), "line 2 must begin run 0; got run 1"),
    "another plan": (lambda lines: lines[1].update(planned=10), "the footer must plan the 10 cases of run 0; got 9"),
    "a revision of nothing": (lambda lines: lines.insert(2, REVISED | {"adapter": 'a "name"', "case": "z"}), "line 3 must revise a result"),
    "a revision": (
        lambda lines: lines.insert(4, REVISED | {"adapter": 'a "name"', "case": "b"}),
        "counts.fail is 1; from the results follows 0",
    ),
    "a result of another adapter": (lambda lines: lines[3].update(adapter="peer"), "line 4 must name a run"),
    "a result moved": (lambda lines: lines.insert(12, lines.pop(3) | {"run": 1, "adapter": "peer"}), "ran is 8"),
    "the verdict": (lambda lines: lines[-1].update(verdict="conforming"), "verdict is conforming; from the results follows non-conforming"),
    "the verdict of a run": (lambda lines: lines[-1]["runs"][0].update(verdict="conforming"), '(a "name" on cpu): verdict is conforming'),
    "the exit code": (lambda lines: lines[-1].update(exit_code=0), "exit_code is 0; from the results follows 3"),
    "a broken run mended": (lambda lines: lines[-1]["runs"][2].update(error=""), "exit_code is 3; from the results follows 1"),
    "a message": (lambda lines: lines[3].update(message="all is well"), "checksum"),
    "a version": (lambda lines: lines[1]["versions"].update(numpy="9"), "checksum"),
    "the date": (lambda lines: lines[0].update(created="2001-01-01T00:00:00Z"), "checksum"),
    "an unknown status": (lambda lines: lines[3].update(status="fine"), "line 4: status must be one of pass"),
    "no footer": (lambda lines: lines.pop(), "has no footer"),
    "no header": (lambda lines: lines.pop(0), "line 1 must be the header; got run"),
    "a second header": (lambda lines: lines.insert(1, lines[0]), "line 2 is a header, and line 1 is one already"),
    "a line of an unknown type": (lambda lines: lines[3].update(type="remark"), "line 4: type must be 'result'; got 'remark'"),
    "lines after the footer": (lambda lines: lines.append(lines[1]), "line 15 is the footer, and must be the last of 16 lines"),
    "a key missing": (lambda lines: lines[3].pop("mode"), "line 4: it must have 'mode'"),
    "a run missing from the footer": (lambda lines: lines[-1]["runs"].pop(), "the footer must have the 3 runs that began; got 2"),
    "another schema": (lambda lines: lines[0].update(schema=2), "line 1: schema must be 1; got 2"),
    "no object": (lambda lines: lines.insert(2, [1]), "line 3: it must be object"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_report_is_refused_in_one_line_that_names_the_edit(capsys, tmp_path, name):
    edit, said = EDITS[name]
    path = written(tmp_path)[1]
    lines = lines_of(path)
    edit(lines)
    status, out, err = run(capsys, "verify", str(rewritten(path, lines)))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert said in err


def test_an_edited_document_is_refused_too(capsys, tmp_path):
    path = written(tmp_path)[0]
    document = json.loads(path.read_text(encoding="utf-8"))
    edits = {
        "counts.pass": lambda document: document["runs"][0]["results"][1].update(status="pass"),
        "ran is 8": lambda document: document["runs"][0]["results"].pop(0),
        "verdict is incomplete": lambda document: document.update(verdict="incomplete"),
        "checksum": lambda document: document.update(checksum="sha256:" + "0" * 64),
        "must have 'checksum'": lambda document: document.pop("checksum"),
        "runs[0].results[1].status must be one of": lambda document: document["runs"][0]["results"][1].update(status=True),
    }
    for said, edit in edits.items():
        changed = copy.deepcopy(document)
        edit(changed)
        path.write_text(json.dumps(changed), encoding="utf-8")
        status, _, err = run(capsys, "verify", str(path))
        assert (status, err.count("\n")) == (1, 1)
        assert said in err


@pytest.mark.parametrize(
    ("form", "old", "new", "said"),
    [
        (
            0,
            '"verdict": "non-conforming"',
            '"verdict": "conforming", "verdict": "non-conforming"',
            "it: a key must be there once; 'verdict'",
        ),
        (1, '"status": "fail"', '"status": "pass", "status": "fail"', "line 4: a key must be there once; 'status'"),
        (1, '"exit_code": 3', '"exit_code": 0, "exit_code": 3', "line 15: a key must be there once; 'exit_code'"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_for_readers_take_one_or_the_other(capsys, tmp_path, form, old, new, said):
    path = written(tmp_path)[form]
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    status, _, err = run(capsys, "verify", str(path))
    assert (status, err.count("\n")) == (1, 1)
    assert said in err


def test_every_single_change_of_a_report_is_refused_in_one_line(tmp_path):
    outcome = outcome_of(result("pass", ratio=0.5), result("not_claimed", case="other"))
    outcome.runs[0].exhibits = {"photograph": {"cells": [[True]]}}
    path = written(tmp_path, Outcome("full", outcome.runs, (Missing("m", "cuda", "r", True, False),)))[0]
    refused = 0
    for value in damaged(json.loads(path.read_text(encoding="utf-8"))):
        path.write_text(json.dumps(value), encoding="utf-8")
        with pytest.raises(verify.ReportError) as error:
            verify.verified(path)
        assert "\n" not in str(error.value)
        refused += 1
    assert refused > 500


@pytest.mark.parametrize("kind", [0, 1])
def test_a_report_cut_anywhere_is_refused(tmp_path, kind):
    path = written(tmp_path)[kind]
    data = path.read_bytes()
    for length in (*range(0, len(data) - 2, 211), len(data) - 2):
        path.write_bytes(data[:length])
        with pytest.raises(verify.ReportError, match=r"cut short|empty|no footer|UTF-8"):
            verify.verified(path)
    path.write_bytes(data)
    verify.verified(path)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"[]", b"3", b"null", b"{}", b'{"type": 3}', b"\xff\xfe", b"[" * 100_000, b'{"seed": NaN}', b"report"]
)
def test_what_is_no_report_is_refused_in_one_line(capsys, tmp_path, text):
    path = tmp_path / "r.json"
    path.write_bytes(text)
    status, out, err = run(capsys, "verify", str(path))
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert str(path) in err


def test_planned_cases_without_a_result_are_refused_though_nothing_was_changed(capsys, tmp_path):
    path = written(tmp_path, outcome_of(result("pass"), planned=3))[1]
    status, _, err = run(capsys, "verify", str(path))
    assert status == 1
    assert "every planned case must have a result; 3 were planned, and 1 have one" in err


@pytest.mark.parametrize(
    ("results", "verdict", "counts"),
    [
        (("pass", "not_run"), "incomplete", (2, 1, 1)),
        (("not_run", "not_run"), "incomplete", (2, 0, 0)),
        (("crash", "not_run", "pass"), "non-conforming", (3, 2, 2)),
    ],
)
def test_cases_that_were_not_run_make_a_whole_report_and_no_conforming_one(capsys, tmp_path, results, verdict, counts):
    outcome = outcome_of(*(result(status, case=f"PS-001/{number}") for number, status in enumerate(results)))
    for path in written(tmp_path, outcome):
        status, out, _ = run(capsys, "verify", str(path))
        assert status == 0
        assert f"it says {verdict}: " in out
    judged = report.document(outcome)["runs"][0]
    assert (judged["planned"], judged["ran"], judged["judged"]) == counts


def test_a_run_that_was_given_up_is_a_whole_report(capsys, tmp_path):
    paths = [tmp_path / "r.json", tmp_path / "r.jsonl", tmp_path / "r.xml", tmp_path / "r.html"]
    options = [text for path in paths for text in (f"--{ {'.xml': 'junit'}.get(path.suffix, path.suffix[1:]) }", str(path))]
    status, out, _ = run(capsys, "conform", "--adapter", write_fake(tmp_path, body="os._exit(1)"), "--no-photograph", *options)
    assert status == 1
    assert "not run: given up after 4 lost processes" in out
    for path in paths[:2]:
        status, out, _ = run(capsys, "verify", str(path))
        assert (status, "not run" in out, "it says non-conforming" in out) == (0, True, True)
    assert 'type="not_run" message="given up after 4 lost processes"' in paths[2].read_text(encoding="utf-8")
    assert " not run</td>" in paths[3].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [["verify", "no-such.json"], ["verify", "."], ["verify"], ["diff", "no-such.json", "no-such.json"], ["diff", "a"]]
)
def test_reports_that_are_not_there_are_a_mistake_in_the_command(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_a_report_that_cannot_be_written_keeps_no_other_from_it(capsys, tmp_path, monkeypatch):
    from subpixel_conformance import cli

    monkeypatch.setattr(cli.runner, "conform", lambda *_, **__: outcome_of(result("pass")))  # none of it told as it came
    monkeypatch.setitem(cli.REPORTS, "json", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    status, out, err = run(
        capsys, "conform", "--backend", "numpy", "--json", str(tmp_path / "r.json"), "--jsonl", str(tmp_path / "r.jsonl")
    )
    assert status == 2
    assert "r.json cannot be written: No space left" in err
    assert "r.jsonl" in out
    verify.verified(tmp_path / "r.jsonl")


def test_a_whole_run_writes_reports_that_are_whole_and_a_badge(capsys, tmp_path):
    paths = {name: tmp_path / "new" / f"r.{name}" for name in ("json", "jsonl", "badge")}
    options = [text for name, path in paths.items() for text in (f"--{name}", str(path))]
    status, out, _ = run(capsys, "conform", "--adapter", write_fake(tmp_path), "--no-photograph", "--seed", "3", *options)
    assert (status, out.count("wrote ")) == (0, 3)
    assert [run(capsys, "verify", str(paths[name]))[0] for name in ("json", "jsonl")] == [0, 0]
    assert lines_of(paths["jsonl"])[0]["seed"] == 3
    assert json.loads(paths["badge"].read_text(encoding="utf-8"))["message"] == "shift · cpu"
    assert run(capsys, "diff", str(paths["json"]), str(paths["jsonl"]))[1] == "nothing got worse\n"


@pytest.mark.parametrize("option", ["--json", "--jsonl", "--junit", "--badge", "--html"])
@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("fake.py", "a report must not replace a Python file"),
        ("link", "a report must not replace a Python file"),
        ("known.toml", "a report must not replace the list of known failures"),
        ("new/../known.toml", "a report must not replace the list of known failures"),
        ("r.json", "each report must have a file of its own"),
    ],
)
def test_a_report_over_what_is_read_or_another_report_is_refused_before_anything_is_written(capsys, tmp_path, option, place, said):
    target = write_fake(tmp_path)
    (tmp_path / "known.toml").write_text("", encoding="utf-8")
    (tmp_path / "new").mkdir()
    (tmp_path / "link").symlink_to("fake.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    other = "--badge" if option == "--json" else "--json"
    given = ["--known-failures", str(tmp_path / "known.toml"), other, str(tmp_path / "r.json"), option, str(tmp_path / place)]
    status, out, err = run(capsys, "conform", "--adapter", target, *given)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_the_place_of_the_older_report_is_no_place_for_the_list_of_known_failures(capsys, tmp_path):
    known = tmp_path / "r.jsonl.previous"
    known.write_text("", encoding="utf-8")
    given = ["--known-failures", str(known), "--jsonl", str(tmp_path / "r.jsonl")]
    assert run(capsys, "conform", "--adapter", write_fake(tmp_path), *given)[0] == 2
    assert known.exists()


# --- diff ---


def compared(old, new):
    """Return the changes between two runs of the same adapter, given as {case: status}, as (kind, subject, worse)."""
    outcomes = [outcome_of(*(result(status, case=case) for case, status in cases.items())) for cases in (old, new)]
    return [(change.kind, change.subject, change.worse) for change in difference.changes(*map(report.document, outcomes))]


@pytest.mark.parametrize(
    ("old", "new", "kind", "worse"),
    [
        ("pass", "fail", "broken", True),
        ("pass", "crash", "broken", True),
        ("pass", "known_failure", "broken", True),
        ("fail", "pass", "fixed", False),
        ("known_failure", "unexpected_pass", "fixed", False),
        ("known_failure", "fail", "changed", True),
        ("fail", "known_failure", "changed", False),
        ("fail", "crash", "changed", True),
        ("crash", "fail", "changed", False),
        ("pass", "unavailable", "unjudged", True),
        ("pass", "not_claimed", "unjudged", True),
        ("fail", "not_claimed", "unjudged", False),
        ("not_claimed", "pass", "judged", False),
        ("not_claimed", "fail", "judged", True),
        ("not_claimed", "unavailable", "changed", False),
        ("pass", "not_run", "unjudged", True),
        ("not_run", "pass", "judged", False),
    ],
)
def test_a_change_of_status_has_its_kind(old, new, kind, worse):
    found = [change for change in compared({"x": old, "y": "pass"}, {"x": new, "y": "pass"}) if change[1] != "the verdict"]
    assert found == [(kind, "x", worse)]


def test_cases_that_are_new_and_gone():
    assert compared({"x": "pass", "y": "pass"}, {"y": "pass", "z": "pass"}) == [("gone", "x", False), ("new", "z", False)]
    assert ("new", "z", True) in compared({"x": "pass"}, {"x": "pass", "z": "fail"})
    assert compared({"x": "pass"}, {"x": "pass"}) == []


def test_a_run_cut_short_got_worse():
    old = report.document(outcome_of(result("pass", case="a"), result("pass", case="b")))
    new = report.document(outcome_of(result("pass", case="a"), planned=2))
    assert [(change.kind, change.subject, change.new, change.worse) for change in difference.changes(old, new)] == [
        ("gone", "b", "not run", True),
        ("verdict", "the verdict", "incomplete", True),
    ]


def test_runs_are_told_apart_by_adapter_and_device_and_missing_ones_by_whether_they_were_asked_for():
    old = outcome_of(result("pass"))
    old.runs[0].versions = {"torch": "2.12", "gone": "1"}
    other = outcome_of(result("fail"), adapter="other")
    gpu = outcome_of(result("pass"))
    gpu.runs[0].device = "cuda"
    new = outcome_of(result("pass"))
    new.runs[0].versions = {"torch": "2.13"}
    before = report.document(Outcome("quick", (*old.runs, *other.runs, *gpu.runs), ()))
    after = report.document(Outcome("full", new.runs, (Missing("fake", "cuda", "no driver", True, True),)))
    assert [(change.kind, change.run, change.subject, change.worse) for change in difference.changes(before, after)] == [
        ("setting", "", "profile", False),
        ("version", "fake on cpu", "torch", False),
        ("version", "fake on cpu", "gone", False),
        ("gone", "other on cpu", "the whole run", False),
        ("gone", "fake on cuda", "the whole run", True),
    ]
    assert [(change.kind, change.run) for change in difference.changes(after, before)][-2:] == [
        ("new", "other on cpu"),
        ("new", "fake on cuda"),
    ]


def test_a_photograph_that_came_out_wrong_is_seen_in_the_verdict():
    old, new = (outcome_of(result("pass")) for _ in range(2))
    old.runs[0].exhibits, new.runs[0].exhibits = ({"photograph": {"cells": [[right]]}} for right in (True, False))
    (change,) = difference.changes(report.document(old), report.document(new))
    assert (change.kind, change.old, change.new, change.worse) == ("verdict", "conforming", "non-conforming", True)


@pytest.mark.parametrize(
    ("old", "new", "status", "said"), [("pass", "fail", 1, "2 got worse"), ("fail", "pass", 0, "nothing got worse: 1 fixed")]
)
def test_diff_says_what_got_worse(capsys, tmp_path, old, new, status, said):
    paths = [tmp_path / "old.json", tmp_path / "new.jsonl"]
    report.write_json(paths[0], outcome_of(result(old, message="the message")))
    json_lines.write_json_lines(paths[1], outcome_of(result(new, message="the message")))
    code, out, _ = run(capsys, "diff", *map(str, paths))
    assert code == status
    assert said in out
    assert "PS-001/case" in out


def test_diff_refuses_a_damaged_report(capsys, tmp_path):
    paths = written(tmp_path)
    paths[1].write_text(paths[1].read_text(encoding="utf-8")[40:], encoding="utf-8")
    status, _, err = run(capsys, "diff", *map(str, paths))
    assert (status, err.count("\n")) == (2, 1)
    assert "r.jsonl is refused" in err
    paths[0].write_text(paths[0].read_text(encoding="utf-8").replace('"seed": 7', '"seed": 8'), encoding="utf-8")
    assert "the checksum does not fit" in run(capsys, "diff", str(paths[0]), str(paths[0]))[2]


def test_diff_takes_a_report_that_was_not_finished(capsys, tmp_path):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, planned in zip(paths, (1, 3), strict=True):
        report.write_json(path, outcome_of(result("pass"), planned=planned))
    status, out, _ = run(capsys, "diff", *map(str, paths))
    assert status == 1
    assert "1 got worse: 1 verdict" in out


def broken_off(path, outcome, lines, then=""):
    """Write the first lines of a report as JSON Lines."""
    json_lines.write_json_lines(path, outcome)
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines]) + then, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("then", ["", '{"type": "resu'], ids=["between lines", "in a line"])
@pytest.mark.parametrize(
    ("lines", "worse", "said"),
    [
        (5, 1, "1 got worse: 1 verdict"),  # everything but the footer
        (4, 2, "2 got worse: 1 gone, 1 verdict"),  # a result less
        (1, 1, "1 got worse: 1 gone; only in OLD: fake on cpu"),  # nothing but the header
    ],
)
def test_diff_takes_json_lines_without_a_footer(capsys, tmp_path, lines, worse, said, then):
    outcome = outcome_of(*(result("pass", case=f"PS-001/{number}") for number in range(3)))
    whole = written(tmp_path, outcome)[0]
    cut = broken_off(tmp_path / "cut.jsonl", outcome, lines, then)
    status, out, err = run(capsys, "diff", str(whole), cut)
    assert (status, err) == (1, "")
    assert said in out
    assert "the report was not finished" in out
    assert run(capsys, "diff", cut, str(whole))[0] == (0 if lines > 1 else 4)
    assert run(capsys, "verify", cut)[0] == 1


@pytest.mark.parametrize("damage", [lambda lines: lines[::-1], lambda lines: [*lines[:2], lines[3]], lambda lines: [lines[0], lines[2]]])
def test_diff_refuses_what_no_command_that_broke_off_can_have_left(capsys, tmp_path, damage):
    outcome = outcome_of(*(result("pass", case=f"PS-001/{number}") for number in range(2)))
    json_lines.write_json_lines(tmp_path / "r.jsonl", outcome)
    lines = damage((tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:-1])
    (tmp_path / "r.jsonl").write_text("".join(lines) + "{}\n", encoding="utf-8")
    status, _, err = run(capsys, "diff", str(tmp_path / "r.jsonl"), str(tmp_path / "r.jsonl"))
    assert (status, err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("old", "new", "status", "said"),
    [
        (["mine"], ["other"], 4, "nothing was compared, for the two have no adapter on a device in common: 1 new, 1 gone"),
        (["mine"], ["other"], 4, "; only in OLD: mine on cpu; only in NEW: other on cpu"),
        (["mine", "other"], ["mine"], 4, "nothing got worse in what both have: 1 gone; only in OLD: other on cpu"),
        (["mine"], ["mine", "other"], 0, "nothing got worse: 1 new; only in NEW: other on cpu"),
        (["mine", "a peer"], ["mine"], 0, "nothing got worse: 1 gone; only in OLD: a peer on cpu (a peer)"),
    ],
)
def test_diff_names_the_adapters_that_only_one_report_has(capsys, tmp_path, old, new, status, said):
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, names in zip(paths, (old, new), strict=True):
        runs = [outcome_of(result("pass"), adapter=name, counted=name != "a peer").runs[0] for name in names]
        report.write_json(path, Outcome("quick", tuple(runs), ()))
    code, out, _ = run(capsys, "diff", *map(str, paths))
    assert code == status
    assert said in out


# --- badge, explain, cite ---


def test_a_badge_names_classes_that_all_were_judged_by_and_devices():
    one = outcome_of(result("pass"), result("pass", conformance_class="layer"), result("not_claimed", conformance_class="unet")).runs
    two = outcome_of(result("pass", conformance_class="layer"), result("pass"), result("pass", conformance_class="unet")).runs
    two[0].device = "cuda"
    peer = outcome_of(result("fail"), counted=False).runs
    assert badge.badge(Outcome("quick", (*one, *two, *peer), ())) == {
        "schemaVersion": 1,
        "label": "subpixel 1.0",
        "message": "shift layer · cpu cuda",
        "color": "brightgreen",
    }


@pytest.mark.parametrize(
    ("status", "message", "colour"), [("fail", "non-conforming · cpu", "red"), ("unavailable", "incomplete · cpu", "yellow")]
)
def test_a_badge_of_what_does_not_conform_says_so(tmp_path, status, message, colour):
    badge.write_badge(tmp_path / "b.json", outcome_of(result("pass") if status == "fail" else result("unavailable"), result(status)))
    found = json.loads((tmp_path / "b.json").read_text(encoding="utf-8"))
    assert (found["message"], found["color"]) == (message, colour)
    assert "%" not in str(found)


def test_a_badge_of_nothing():
    assert badge.badge(Outcome("quick", (), ()))["message"] == "incomplete"


def test_explain_lists_cases_and_mutants(capsys):
    status, out, _ = run(capsys, "explain", "ps-002")
    assert status == 0
    assert "PS-002/" in out
    assert re.search(r"\d+ mutants break it", out)


def test_the_citation_has_the_facts_of_the_file_and_the_versions(capsys):
    status, out, _ = run(capsys, "cite")
    assert status == 0
    known = cite.facts()
    for fact in ("{{The Subpixel authors}}", f"{{{{{known['title']}}}}}", f"{{{known['date-released'][:4]}}}", f"{{{known['version']}}}"):
        assert fact in out
    assert out.count(f"Specification 1.0, suite {report.suite_version()}") == 2
    assert run(capsys, "cite", "--format", "text")[1] + "\n" + run(capsys, "cite", "--format", "bibtex")[1] == out


def test_authors_with_given_names_and_a_doi(tmp_path, monkeypatch):
    folder = tmp_path / "spec"
    shutil.copytree(cite.clauses.specification_folder(), folder)
    (folder / "CITATION.cff").write_text(
        'title: "T"\nversion: 2\ndate-released: 2027-01-02\ndoi: 10.5/x\nauthors:\n  - family-names: Shi\n    given-names: "Wenzhe"\n'
        "  - name: A Group\nreferences:\n  - title: other\n    authors:\n      - family-names: Nobody\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(cite.clauses, "specification_folder", lambda: folder)
    assert cite.facts()["authors"] == "Shi, Wenzhe and A Group"
    assert "  author  = {Shi, Wenzhe and A Group},\n" in cite.bibtex()
    assert "  month   = jan,\n" in cite.bibtex()
    assert cite.sentence().endswith(" 10.5/x.")
    (folder / "CITATION.cff").write_text("title: T\n", encoding="utf-8")
    with pytest.raises(ValueError, match="authors, version, date-released"):
        cite.facts()
