"""The report holds what was found, is written whole or not at all, and reads nothing as markup."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from subpixel_conformance import report
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
    report.write_junit(tmp_path / "r.xml", outcome)
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
        self.tags, self.links, self.buttons = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("src", "href", "action", "srcset", "data") if name in attributes]
        if tag == "button":
            self.buttons.append(attributes)
        assert not [name for name in attributes if name.startswith("on")]


def page_of(outcome, path):
    report.write_html(path, outcome)
    text = path.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    return page, text


def test_the_page_reads_nothing_as_markup_and_asks_for_nothing(tmp_path):
    clean, _ = page_of(outcome_of(result("fail", message="m", reproduction="r"), result("error")), tmp_path / "clean.html")
    hostile = result("fail", message=HOSTILE, reproduction=HOSTILE, order_found=HOSTILE, case=HOSTILE)
    outcome = outcome_of(hostile, result("error"), adapter=HOSTILE)
    outcome.runs[0].versions, outcome.runs[0].hardware = {HOSTILE: HOSTILE}, HOSTILE
    page, text = page_of(outcome, tmp_path / "hostile.html")
    assert page.tags.count("script") == clean.tags.count("script") == 2
    assert page.tags.count("img") == clean.tags.count("img")
    assert "{{ 7 * 7 }}" in text
    assert not [link for link in page.links if not link.startswith(("data:", "#"))]
    assert not re.search(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", text)
    assert "@import" not in text


def test_the_page_has_a_cell_for_every_clause_and_run(tmp_path):
    outcome = outcome_of(result("pass"), result("fail", clauses=("PS-002",)), result("not_claimed", clauses=("PS-003",)))
    page, _ = page_of(outcome, tmp_path / "r.html")
    cells = {button["data-clause"]: button for button in page.buttons if "data-run" in button}
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
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))
    assert data["runs"][0]["cases"] == [["PS-001/case", ["PS-001"], "fail", "the message", "CRD", "the lines"]]
    assert data["clauses"]["PS-001"][0] == "MUST"


def test_the_page_can_be_made_of_nothing(tmp_path):
    missing = Missing("torch", None, "torch is not installed", True, True)
    _, text = page_of(Outcome("quick", (), (missing,)), tmp_path / "r.html")
    assert "torch is not installed" in text
    assert "incomplete" in text


def test_exhibits_are_in_the_page_as_images(tmp_path):
    outcome = outcome_of(result("pass"))
    outcome.runs[0].exhibits = {
        "photograph": {"cells": [[True] * 4] * 4},
        "checkerboard": {"constructed": 0.0, "variants": dict.fromkeys(report.VARIANTS, 0.25)},
    }
    cells = {f"cell_{taken}_{put}": np.zeros((160, 216, 3), np.uint8) for taken in report.ORDERS for put in report.ORDERS}
    layers = {f"layer_{name}": np.random.default_rng(0).normal(size=(192, 256, 3)) for name in report.VARIANTS}
    page, text = page_of(Outcome("quick", outcome.runs, (), cells | layers), tmp_path / "r.html")
    assert page.tags.count("img") == 16 + 4
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
    kind, _, text = report.data_uri(image).partition(",")
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
    assert report.order_figure(order) == grids


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
