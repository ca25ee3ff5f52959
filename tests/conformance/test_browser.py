"""The page in a real browser: its script runs, it fits a phone, and it follows the reader's preference for dark or light."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from subpixel_conformance import clauses
from subpixel_conformance import page as pages
from subpixel_conformance.photograph import ORDERS, VARIANTS
from subpixel_conformance.runner import Outcome

from . import webdriver
from .fakes import outcome_of, result

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine; Debian: apt-get install chromium")

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--allow-file-access-from-files"),
)


def browse(tmp_path, *arguments):
    command = [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    long = result(
        "fail",
        case="PS-001/DCR-channels_first",
        message="y[0, 0, 0, 1] must be 45.0; got 15.0 " + "and so on " * 40,
        reproduction="x = 1  # " + "x" * 200,
        order_found="CRD",
    )
    outcome = outcome_of(
        result("pass", clauses=("PS-002",)),
        long,
        result("not_claimed", clauses=("PS-003",)),
        result("known_failure", case="k", clauses=("PS-004",), conformance_class="layer", known="the reason"),
        adapter="a-rather-long-adapter-name",
    )
    run = outcome.runs[0]
    run.exhibits = {
        "photograph": {"cells": [[True] * 4] * 4},
        "checkerboard": {"constructed": 0.0, "variants": dict.fromkeys(VARIANTS, 0.25)},
    }
    rng = np.random.default_rng(0)
    pictures = {f"cell_{taken}_{put}": rng.integers(0, 256, (160, 216, 3)).astype(np.uint8) for taken in ORDERS for put in ORDERS}
    pictures |= {f"layer_{name}": rng.normal(size=(192, 256, 3)) for name in VARIANTS}
    path = tmp_path_factory.mktemp("page") / "report.html"
    pages.write_html(path, Outcome("quick", (run, *outcome_of(result("pass"), adapter="peer", counted=False).runs), (), pictures))
    return path


def probe(page, tmp_path, script, fragment="", width=1200):
    """Return what ``script`` evaluates to in the page, in a frame of that width."""
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="{page.as_uri()}{fragment}" style="width:{width}px;height:900px;border:0"></iframe>'
        f'<script>f.onload = () => {{ const page = f.contentWindow; document.title = "[" + ({script}) + "]"; }}</script>',
        encoding="utf-8",
    )
    shown = browse(tmp_path, "--dump-dom", "--window-size=1400,1000", frame.as_uri())
    return re.search(r"<title>\[(.*?)\]</title>", shown).group(1)


def test_the_script_runs_and_counts_the_clauses(page, tmp_path):
    expected = len(clauses.clauses())
    assert probe(page, tmp_path, "page.document.getElementById('filter-count').textContent") == f"{expected} clauses"


def test_every_picture_is_shown(page, tmp_path):
    loaded = "[...page.document.images].filter((i) => i.complete && i.naturalWidth > 0).length"
    assert probe(page, tmp_path, loaded) == "20"


def test_a_cell_opens_by_keyboard_and_shows_text_message_figures_and_reproduction(page, tmp_path):
    opened = """(() => {
      const cell = page.document.querySelector('#matrix .cell.fail'); cell.focus();
      const focused = page.document.activeElement === cell; cell.click();
      const dialog = page.document.querySelector('dialog');
      return [focused, dialog.open, dialog.querySelectorAll('.order').length, /MUST equal/.test(dialog.textContent),
        /must be 45.0/.test(dialog.textContent), dialog.querySelectorAll('pre').length].join();
    })()"""
    assert probe(page, tmp_path, opened) == "true,true,2,true,true,1"


def test_a_link_opens_a_cell(page, tmp_path):
    assert probe(page, tmp_path, "page.document.querySelector('dialog').open", "#open=PS-001,0") == "true"
    assert probe(page, tmp_path, "page.document.querySelector('dialog').open", "#open=nonsense") == "false"


def test_filters_leave_what_is_wrong(page, tmp_path):
    assert probe(page, tmp_path, filtered(status="trouble")) == "PS-001,PS-004"
    assert probe(page, tmp_path, filtered(status="known_failure")) == "PS-004"
    assert probe(page, tmp_path, filtered(status="not_claimed")) == "PS-003"
    assert probe(page, tmp_path, filtered(adapter="is peer", status="pass")) == "PS-001"
    assert probe(page, tmp_path, filtered(**{"class": "layer"})) == "PS-004"
    assert probe(page, tmp_path, filtered(text="ps-003", area="phase-shift")).startswith("PS-003")


def filtered(**values):
    """Return a script that sets filters and tells which clauses are left to be seen."""
    chosen = "".join(f"page.document.getElementById('filter-{name}').value = '{value}';" for name, value in values.items())
    return f"""(() => {{
      {chosen} page.document.getElementById('filters').dispatchEvent(new page.Event('input'));
      const rows = [...page.document.querySelectorAll('tr[data-clause]')];
      return rows.filter((row) => row.offsetParent).map((row) => row.dataset.clause).join();
    }})()"""


def test_the_table_is_one_stop_of_the_tab_key_and_arrows_move_in_it(page, tmp_path):
    moved = """(() => {
      const stops = () => page.document.querySelectorAll('#matrix button[tabindex="0"]');
      const before = stops().length, cell = page.document.querySelector('.cell[data-clause="PS-002"][data-run="0"]');
      cell.focus();
      const at = ['ArrowRight', 'ArrowDown', 'Home', 'ArrowLeft', 'End', 'ArrowUp'].map((key) => {
        const now = page.document.activeElement;
        now.dispatchEvent(new page.KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
        return page.document.activeElement.dataset.clause + (page.document.activeElement.dataset.run || '-');
      });
      const now = page.document.activeElement;
      return [before, stops().length, stops()[0] === now, page.getComputedStyle(now).outlineStyle, ...at].join();
    })()"""
    assert probe(page, tmp_path, moved) == "1,1,true,solid,PS-0021,PS-0031,PS-003-,PS-003-,PS-0031,PS-0021"


def test_a_known_failure_opens_with_its_reason(page, tmp_path):
    opened = "/In the list of known failures: the reason/.test(page.document.querySelector('dialog').textContent)"
    assert probe(page, tmp_path, opened, "#open=PS-004,0") == "true"
    assert probe(page, tmp_path, opened, "#open=PS-001,0") == "false"


def test_the_open_dialog_fits_a_phone(page, tmp_path):
    widths = """(() => {
      const box = page.document.querySelector('dialog').getBoundingClientRect();
      return [box.left >= 0, box.right <= 390, page.document.documentElement.scrollWidth].join();
    })()"""
    assert probe(page, tmp_path, widths, "#open=PS-001,0", width=390) == "true,true,390"


@pytest.mark.parametrize("width", [360, 390, 1200])
def test_the_page_is_never_wider_than_its_window(page, tmp_path, width):
    assert probe(page, tmp_path, "page.document.documentElement.scrollWidth", width=width) == str(width)


@pytest.mark.parametrize(("scheme", "darker"), [(0, True), (1, False)])
def test_the_page_follows_the_preference_for_dark_or_light(page, tmp_path, scheme, darker):
    Image = pytest.importorskip("PIL.Image")
    browse(
        tmp_path,
        f"--blink-settings=preferredColorScheme={scheme}",
        "--window-size=800,600",
        f"--screenshot={tmp_path / 'page.png'}",
        page.as_uri(),
    )
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"), int)
    background = np.median(pixels)
    assert (background < 60) == darker
    assert (background > 200) != darker
    assert np.abs(pixels - background).max() > 150


# --- a reader without a mouse ---


@pytest.fixture(scope="module")
def keyboard(page, tmp_path_factory):
    if webdriver.DRIVER is None:
        pytest.skip("no chromedriver on this machine; Debian: apt-get install chromium-driver")
    flags = [*QUIET, "--force-prefers-reduced-motion", f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]
    with webdriver.browser(BROWSER, flags) as browser:
        yield browser


FOCUSED = "const at = document.activeElement; return [at.dataset.clause ?? at.id ?? '', at.dataset.run ?? '-'].join()"
DIALOG = "const box = document.querySelector('dialog'); return box.open && /%s/.test(box.textContent)"


def test_the_tab_key_goes_through_the_filters_into_the_table_and_out_again(keyboard, page):
    keyboard.open(page.as_uri())
    keyboard.run("document.getElementById('filter-text').focus()")
    stops = []
    for _ in range(8):
        keyboard.press("Tab")
        stops.append(keyboard.run("const at = document.activeElement; return at.id || at.dataset.clause || at.type || at.className"))
    filters = [f"filter-{name}" for name in ("adapter", "class", "status", "area")]
    assert stops == [*filters, "reset", "scroll tall", "BL-001", ""]
    assert keyboard.run("return document.activeElement.tagName") == "SUMMARY"


def test_keys_filter_move_open_and_close_and_the_focus_comes_back(keyboard, page):
    keyboard.open(page.as_uri())
    keyboard.run("document.getElementById('filter-area').focus()")
    keyboard.press(*"phase")
    left = sum(clause.file == "phase-shift.md" for clause in clauses.clauses().values())
    assert keyboard.run("return document.getElementById('filter-count').textContent") == f"{left} clauses"
    keyboard.press("Tab", "Tab", "Tab")
    assert keyboard.run(FOCUSED) == "PS-001,0"
    keyboard.press("Enter")
    assert keyboard.run(DIALOG % "PS-001, a-rather-long-adapter-name on cpu")
    assert keyboard.run("return document.querySelector('dialog').contains(document.activeElement)")
    keyboard.press("Escape")
    assert not keyboard.run("return document.querySelector('dialog').open")
    assert keyboard.run(FOCUSED) == "PS-001,0"
    keyboard.press("Down", "Down", "Down", "Enter")
    assert keyboard.run(DIALOG % "the reason")
    keyboard.press("Escape", "Right", "Left", "Left", "Enter")
    assert (
        keyboard.run(FOCUSED.replace("document.activeElement", "[...document.querySelectorAll('#matrix [tabindex=\"0\"]')][0]"))
        == "PS-004,-"
    )
    assert keyboard.run(DIALOG % "PS-004")


def test_whatever_cell_has_the_focus_it_and_the_names_above_it_are_in_sight(keyboard, page):
    keyboard.open(page.as_uri())
    keyboard.run("document.querySelector('#matrix .cell').focus()")
    for keys in (["Down"] * 45, ["Down"] * 300, ["Up"] * 20):
        keyboard.press(*keys)
        cell, names, height = keyboard.run(
            "const box = (one) => { const { top, bottom } = one.getBoundingClientRect(); return [top, bottom]; };"
            "return [box(document.activeElement), box(document.querySelector('#matrix thead th')), innerHeight]"
        )
        assert 0 <= names[0] < names[1] <= cell[0] < cell[1] <= height


def test_every_cell_opens_its_clause_and_what_is_wrong_its_message_and_reproduction(keyboard, page):
    keyboard.open(page.as_uri())
    told = keyboard.run("""
      const dialog = document.querySelector('dialog'), body = document.getElementById('detail-body');
      return [...document.querySelectorAll('#matrix button')].map((cell) => {
        cell.click();
        const shown = [cell.dataset.clause, cell.dataset.run ?? '-', cell.className, dialog.open, body.querySelector('h2').textContent,
          body.querySelector('blockquote').textContent.length, body.querySelectorAll('pre').length];
        dialog.close();
        return shown;
      });""")
    assert len(told) == 3 * len(clauses.clauses())
    for clause, run, _, shown, title, text, _ in told:
        assert shown
        assert title == clause if run == "-" else title.startswith(f"{clause}, ")
        assert text > 10
    assert [(clause, run, lines) for clause, run, style, *_, lines in told if style == "cell fail"] == [("PS-001", "0", 1)]
