"""The report holds what was found, is written whole or not at all, and reads nothing as markup."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from subpixel_conformance import junit, page, report
from subpixel_conformance.runner import Case, Missing, Outcome, Run

from .fakes import outcome_of, result

HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} "&\x00\x1b[31m\ud7ff'


def test_the_document_has_what_it_promises_and_is_strict_json(tmp_path):
    outcome = outcome_of(result("pass", ratio=float("nan")), result("fail", order_found="CRD"), result("not_claimed"), planned=5)
    outcome.runs[0].exhibits = {"checkerboard": {"constructed": float("inf")}}
    report.write_json(tmp_path / "folder" / "r.json", outcome)
    text = (tmp_path / "folder" / "r.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert (document["schema"], document["spec"], document["verdict"], document["exit_code"]) == (1, "1.0", "non-conforming", 1)
    assert set(document["machine"]) == {"platform", "processor", "cores", "memory_gib", "python"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["created"])
    (run,) = document["runs"]
    assert run["counts"] == {"pass": 1, "fail": 1, "not_claimed": 1}
    assert (run["planned"], run["ran"], run["judged"]) == (5, 3, 2)
    assert run["classes"] == {"shift": {"pass": 1, "fail": 1, "not_claimed": 1}}
    assert run["results"][0]["ratio"] == "nan"
    assert run["results"][1]["order_found"] == "CRD"


def test_a_report_that_cannot_be_written_leaves_the_old_one_and_no_half_one(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(report.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        report.replace_file(path, "new")
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [("r.json", "old")]


def test_junit_counts_names_clauses_and_survives_control_characters(tmp_path):
    outcome = outcome_of(result("pass"), result("fail", message=HOSTILE), result("crash"), result("unavailable"), adapter=HOSTILE)
    junit.write_junit(tmp_path / "r.xml", outcome)
    (suite,) = ElementTree.parse(tmp_path / "r.xml").getroot()
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "1", "1"]
    assert [child.tag for case in suite for child in case] == [
        *("properties", "properties", "failure", "properties", "error", "properties", "skipped"),
    ]
    assert suite.find("testcase/properties/property").attrib == {"name": "clause", "value": "PS-001"}
    assert "alert(1)" in suite.find("testcase/failure").get("message")


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.buttons, self.ids, self.options = [], [], [], [], {}

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("src", "href", "action", "srcset", "data") if name in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []
        if tag == "select":
            self.options[attributes["id"]] = []
        if tag == "option":
            list(self.options.values())[-1].append(attributes.get("value"))
        if tag == "button":
            self.buttons.append(attributes)
        assert not [name for name in attributes if name.startswith("on")]

    def handle_data(self, data):
        if self.options and self.get_starttag_text() == "<option>" and list(self.options.values())[-1][-1:] == [None]:
            list(self.options.values())[-1][-1] = data


def page_of(outcome, path):
    page.write_html(path, outcome)
    text = path.read_text(encoding="utf-8")
    parsed = Page()
    parsed.feed(text)
    return parsed, text


def test_the_page_reads_nothing_as_markup_and_asks_for_nothing(tmp_path):
    clean, _ = page_of(outcome_of(result("fail", message="m", reproduction="r"), result("error")), tmp_path / "clean.html")
    hostile = result("fail", message=HOSTILE, reproduction=HOSTILE, order_found=HOSTILE, case=HOSTILE)
    outcome = outcome_of(hostile, result("error"), adapter=HOSTILE)
    outcome.runs[0].versions, outcome.runs[0].hardware = {HOSTILE: HOSTILE}, HOSTILE
    found, text = page_of(outcome, tmp_path / "hostile.html")
    assert found.tags.count("script") == clean.tags.count("script") == 2
    assert found.tags.count("img") == clean.tags.count("img")
    assert "{{ 7 * 7 }}" in text
    assert not [link for link in found.links if not link.startswith(("data:", "#"))]
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", text)
    assert "@import" not in text


def test_the_page_has_a_cell_for_every_clause_and_run(tmp_path):
    outcome = outcome_of(result("pass"), result("fail", clauses=("PS-002",)), result("not_claimed", clauses=("PS-003",)))
    found, _ = page_of(outcome, tmp_path / "r.html")
    cells = {button["data-clause"]: button for button in found.buttons if "data-run" in button}
    assert len(cells) == len(report.clauses.clauses())
    assert [cells[name]["class"] for name in ("PS-001", "PS-002", "PS-003", "PS-004")] == [
        "cell pass",
        "cell fail",
        "cell not_claimed",
        "cell none",
    ]
    assert cells["PS-002"]["aria-label"] == "PS-002, fake on cpu: fail, 0 of 1 pass"


def test_the_page_holds_what_its_cells_open(tmp_path):
    outcome = outcome_of(result("fail", message="the message", reproduction="the lines", order_found="CRD"))
    _, text = page_of(outcome, tmp_path / "r.html")
    data = data_of(text)
    assert data["cases"] == [["PS-001/case", ["PS-001"], "shift"]]
    (run,) = data["runs"]
    assert page.WORST_FIRST[page.LETTERS.index(run["statuses"])] == "fail"
    message, order, reproduction, known = run["details"]["0"]
    assert [data["texts"][number] for number in (message, reproduction, known)] == ["the message", "the lines", ""]
    assert order == "CRD"
    assert data["clauses"]["PS-001"][0] == "MUST"


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def test_the_page_tells_runs_with_other_cases_apart(tmp_path):
    one = outcome_of(result("pass", case="a", ratio=0.25), result("crash", case="b"))
    two = outcome_of(result("unavailable", case="c", message="no GPU"), result("known_failure", case="a", known="because"), adapter="two")
    three = outcome_of(result("fail", case="a", clauses=("PS-001", "EX-001")), adapter="three")
    data = data_of(page_of(Outcome("quick", (*one.runs, *two.runs, *three.runs), ()), tmp_path / "r.html")[1])
    assert [case[0] for case in data["cases"]] == ["a", "b", "c", "a"]
    assert [case[1] for case in data["cases"]] == [["PS-001"]] * 3 + [["PS-001", "EX-001"]]
    letters = dict(zip(page.LETTERS, page.WORST_FIRST, strict=True))
    assert [[letters.get(letter) for letter in run["statuses"]] for run in data["runs"]] == [
        ["pass", "crash"],
        ["known_failure", None, "unavailable"],
        [None, None, None, "fail"],
    ]
    assert data["runs"][0]["details"]["0"] == "0.25"
    assert [data["texts"][data["runs"][1]["details"][number][place]] for number, place in (("0", 3), ("2", 0))] == ["because", "no GPU"]


def test_known_failures_unexpected_passes_seed_and_precision_are_in_the_page(tmp_path):
    outcome = outcome_of(
        result("known_failure", known="the reason"),
        result("known_failure", case="other", known="the reason"),
        result("unexpected_pass", clauses=("PS-002",)),
    )
    outcome.runs[0].precision = {"cudnn_tf32": False, "matmul_tf32": True}
    outcome = Outcome("quick", outcome.runs, (), seed=4711, precision="as-is", amiss=("known.toml, entry 3 is stale",))
    found, text = page_of(outcome, tmp_path / "r.html")
    cells = {button["data-clause"]: button for button in found.buttons if "data-run" in button}
    assert [cells[name]["class"] for name in ("PS-001", "PS-002")] == ["cell known_failure", "cell unexpected_pass"]
    assert cells["PS-001"]["aria-label"] == "PS-001, fake on cpu: known failure, 0 of 2 pass"
    for said in ("quick, 4711", "as-is: switches stay", "cudnn_tf32 forbidden, matmul_tf32 allowed", "known.toml, entry 3 is stale"):
        assert said in text
    assert re.search(r"2 known failures</span>: the reason", text)
    assert "Nothing but what is known to be." in text


def test_the_filters_offer_what_occurs_and_no_more(tmp_path):
    outcome = outcome_of(result("pass"), result("fail", conformance_class="layer"), adapter='a "b"')
    peer = outcome_of(result("pass"), adapter="peer", counted=False)
    found, _ = page_of(Outcome("quick", (*outcome.runs, *peer.runs), ()), tmp_path / "r.html")
    assert found.options == {
        "filter-adapter": ["", "counted", 'is a "b"', "is peer"],
        "filter-class": ["", "shift", "layer"],
        "filter-status": ["", "trouble", "fail", "pass"],
        "filter-area": ["", *dict.fromkeys(clause.file.removesuffix(".md") for clause in report.clauses.clauses().values())],
    }


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js on this machine")
def test_the_script_of_the_page_is_javascript(tmp_path):
    _, text = page_of(outcome_of(result("pass")), tmp_path / "r.html")
    (tmp_path / "r.js").write_text(text.rpartition("<script>")[2].partition("</script>")[0], encoding="utf-8")
    subprocess.run([shutil.which("node"), "--check", str(tmp_path / "r.js")], check=True, timeout=60)


def test_the_page_has_no_id_twice_and_every_label_a_control(tmp_path):
    found, text = page_of(outcome_of(result("fail"), result("known_failure")), tmp_path / "r.html")
    assert len(found.ids) == len(set(found.ids))
    assert set(re.findall(r'aria-labelledby="([^"]+)"', text)) <= {*found.ids, "detail-title"}
    assert set(re.findall(r'getElementById\("([a-z-]+)"\)', text)) <= set(found.ids)
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
    assert "prefers-color-scheme: dark" in text
    assert ":focus-visible" in text


def test_the_page_can_be_made_of_nothing(tmp_path):
    missing = Missing("torch", None, "torch is not installed", True, True)
    _, text = page_of(Outcome("quick", (), (missing,)), tmp_path / "r.html")
    assert "torch is not installed" in text
    assert "incomplete" in text


def test_exhibits_are_in_the_page_as_images(tmp_path):
    outcome = outcome_of(result("pass"))
    outcome.runs[0].exhibits = {
        "photograph": {"cells": [[True] * 4] * 4},
        "checkerboard": {"constructed": 0.0, "variants": dict.fromkeys(page.VARIANTS, 0.25)},
    }
    cells = {f"cell_{taken}_{put}": np.zeros((160, 216, 3), np.uint8) for taken in page.ORDERS for put in page.ORDERS}
    layers = {f"layer_{name}": np.random.default_rng(0).normal(size=(192, 256, 3)) for name in page.VARIANTS}
    found, text = page_of(Outcome("quick", outcome.runs, (), cells | layers), tmp_path / "r.html")
    assert found.tags.count("img") == 16 + 4
    assert "16 of 16" in text
    assert "checkerboard 0.250" in text


def test_deviations_of_networks_are_in_the_page_by_network_precision_and_run(tmp_path):
    found = [
        result("pass", case=f"UN-012/real-group-2d-{name}", deviation=value) for name, value in (("float32", 1.5e-7), ("mixed", 0.0042))
    ]
    outcome = outcome_of(*found, result("pass"))
    outcome = Outcome("quick", (*outcome_of(result("pass")).runs, *outcome.runs), ())
    assert report.deviations(outcome.runs) == {"group-2d float32": [None, 1.5e-7], "group-2d mixed": [None, 0.0042]}
    assert report.document(outcome)["runs"][1]["results"][1]["deviation"] == 0.0042
    _, text = page_of(outcome, tmp_path / "r.html")
    section = re.search(r'<section aria-labelledby="deviations">(.*?)</section>', text, re.DOTALL).group(1)
    assert re.findall(r"<th scope=\"row\">(.*?)</th><td class=\"number\">(.*?)</td></tr>", section) == [
        ("group-2d float32", "1.5e-07"),
        ("group-2d mixed", "4.2e-03"),
    ]
    assert section.count('<th scope="col" class="number">') == 1
    assert 'id="deviations"' not in page_of(outcome_of(result("pass")), tmp_path / "none.html")[1]


def test_an_image_is_the_same_after_the_page():
    from base64 import b64decode
    from io import BytesIO

    Image = pytest.importorskip("PIL.Image")
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    kind, _, text = page.data_uri(image).partition(",")
    assert kind == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(BytesIO(b64decode(text)))), image)


@pytest.mark.parametrize(
    ("order", "grids"),
    [
        ("DCR", [[[0, 2, 4], [6, 8, 10]], [[1, 3, 5], [7, 9, 11]]]),
        ("CRD", [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]),
        ("DRC", [[[0, 4, 8], [2, 6, 10]], [[1, 5, 9], [3, 7, 11]]]),
        ("RCD", [[[0, 2, 4], [1, 3, 5]], [[6, 8, 10], [7, 9, 11]]]),
    ],
)
def test_the_figure_of_an_order(order, grids):
    assert page.order_figure(order) == grids


def test_failures_are_grouped_by_run_and_clause_with_their_denominator():
    outcome = outcome_of(
        result("fail", order_found="CRD"), result("fail", order_found="CRD"), result("pass"), result("error", clauses=("IP-001",))
    )
    groups = report.failures(outcome.runs)
    assert [(group["clause"], len(group["results"]), group["judged"], group["orders"]) for group in groups] == [
        ("IP-001", 1, 1, []),
        ("PS-001", 2, 3, ["CRD"]),
    ]


def test_planned_cases_that_did_not_run_are_counted():
    run = Run("fake", "", True, "cpu", planned=[Case("a", (), "shift")] * 3, results=[result("pass")])
    assert report.document(Outcome("quick", (run,), ()))["runs"][0]["verdict"] == "incomplete"


def test_a_link_stays_a_link_and_a_pipe_is_written_to(tmp_path):
    target, link, pipe = tmp_path / "target.json", tmp_path / "link.json", tmp_path / "pipe"
    target.write_text("old")
    link.symlink_to(target)
    report.replace_file(link, "new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    report.replace_file(pipe, "through")
    assert (os.read(reader, 100), pipe.is_fifo()) == (b"through", True)
    os.close(reader)
