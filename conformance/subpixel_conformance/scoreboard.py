"""The scoreboard of published implementations: judge them all, keep what the page needs as JSON, and make the page from that JSON alone.

    python -m subpixel_conformance.scoreboard REPORT.json --out PAGE.md            the page of a report
    python -m subpixel_conformance.scoreboard REPORT.json --out PAGE.md --judge    judge first, and write the report

The drafts of issues hold a reproduction for every red cell. Judging runs them and keeps what they print.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from subpixel_conformance import clauses, registry, report, runner
from subpixel_conformance.adapter import Claims
from subpixel_conformance.child import plain

LONGEST = 8
"""Lines of a reproduction, empty ones not counted."""

_FINDING = re.compile(
    r"<!-- finding: (?P<adapter>\S+); (?P<group>\w+); (?P<clauses>[A-Z0-9\- ]+?) -->\n"
    r"```python\n(?P<code>.*?)```\n\n```text\n(?P<printed>.*?)```",
    re.DOTALL,
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: whose, in which conformance class, which clauses it breaks, how to see it, and what that prints."""

    adapter: str
    conformance_class: str
    clauses: tuple[str, ...]
    reproduction: str
    printed: str
    draft: str
    """The file with the draft of an issue, beside the page in ``peers/``."""


def findings(folder: Path) -> list[Finding]:
    """Return the findings of every draft in ``folder``."""
    found = []
    for path in sorted(folder.glob("*.md")):
        for match in _FINDING.finditer(path.read_text(encoding="utf-8")):
            found.append(
                Finding(match["adapter"], match["group"], tuple(match["clauses"].split()), match["code"], match["printed"], path.name)
            )
    return found


def reproduce(finding: Finding) -> str:
    """Run the reproduction in a process of its own and return what it prints.

    Raises
    ------
    RuntimeError
        When it fails.
    """
    done = subprocess.run([sys.executable, "-c", finding.reproduction], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"the reproduction in {finding.draft} for {finding.adapter} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def judge(drafts: Path) -> dict[str, Any]:
    """Judge every peer that is installed, run the reproductions of the drafts, and return what the page needs as a document.

    The drafts are brought up to date with what their reproductions print; those for red cells go into the document.
    """
    specs = {spec.name: spec for spec in registry.PEERS}
    outcome = runner.conform([(spec, False) for spec in specs.values()], devices=("cpu",), jobs=1, photograph=False)
    document = report.document(outcome)
    judged = {run["adapter"]: run for run in document["runs"]}
    shown = []
    for finding in findings(drafts):
        if finding.adapter in judged:
            printed = reproduce(finding)
            _note(drafts / finding.draft, finding, printed)
            if _wrong(judged[finding.adapter], finding.conformance_class):
                shown.append({**vars(finding), "printed": printed})
    texts = clauses.clauses()
    named = {
        clause for run in document["runs"] for result in run["results"] if result["status"] in runner.WRONG for clause in result["clauses"]
    }
    for entry in (*document["runs"], *document["missing"]):
        entry["project"] = specs[entry["adapter"]].project
    for run in document["runs"]:
        run["claims"] = plain(asdict(Claims())) | run["claims"]
    return kept(document) | {"findings": shown, "clauses": {name: texts[name].file for name in sorted(named) if name in texts}}


def kept(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report without the bulk that the page does not need: results that passed or were not claimed, and exhibits."""
    wanted = (*runner.WRONG, "unavailable")
    runs = [
        {name: value for name, value in run.items() if name != "exhibits"}
        | {"results": [result for result in run["results"] if result["status"] in wanted]}
        for run in document["runs"]
    ]
    return {**{name: value for name, value in document.items() if name != "checksum"}, "runs": runs}


def _note(path: Path, finding: Finding, printed: str) -> None:
    old = f"```python\n{finding.reproduction}```\n\n```text\n{finding.printed}```"
    report.replace_file(
        path, path.read_text(encoding="utf-8").replace(old, f"```python\n{finding.reproduction}```\n\n```text\n{printed}```")
    )


# --- the page ---


def page(document: Mapping[str, Any]) -> str:
    """Return the page of a document that `judge` made, in Markdown."""
    classes = [name for name in runner.CLASSES if any(_judged(run, name) for run in document["runs"])]
    machine = document["machine"]
    projects = list(dict.fromkeys(run["project"] for run in document["runs"] if run["judged"] and run["project"] != registry.EXPORTED))
    lines = [
        "# Scoreboard",
        "",
        f"What {len(projects)} published projects make of the operations of this specification, judged by the conformance suite",
        "**on what each of them documents**, and on nothing else. The text at the head of each adapter in",
        "`conformance/subpixel_conformance/adapters/` says what that is and where it stands. What is not claimed is not judged: –.",
        "",
        f"Made by `make scoreboard` on {document['created'][:10]}: specification {document['spec']}, suite {document['suite']},",
        f"profile {document['profile']}, kept in [evidence/scoreboard.json](evidence/scoreboard.json). Machine: {machine['processor']},",
        f"{machine['cores']} cores, {machine['platform'].partition('-')[0]}, Python {machine['python']}; CPU only.",
        "",
        "A cell counts the cases that were judged, and those that are wrong. Two rows do not compare: who claims more is judged by more.",
        "A row that ends in `-crd` is the same operator in its other mode. Keras and transformers document no order: they are judged on",
        "the one that their default has, DCR, which trained weights depend on; what is red in Keras is that its backends differ.",
        "",
        _row(["project", "adapter", *classes, "verdict"]),
        _row(["---"] * (3 + len(classes))),
    ]
    for run in document["runs"]:
        cells = [_cell(run, name) for name in classes]
        lines.append(_row([run["project"], f"`{run['adapter']}`", *cells, run["verdict"] if run["judged"] else "could not be judged"]))
    lines += ["", "## Red cells", ""]
    for run in document["runs"]:
        for name in classes:
            if _wrong(run, name):
                lines += _red(document, run, name)
    lines += [
        "## Versions and claims",
        "",
        _row(["adapter", "versions", "operations", "orders", "axes", "formats", "modes"]),
        _row(["---"] * 7),
    ]
    lines += [_claims(run) for run in document["runs"]]
    lines += ["", "## Not judged", "", _row(["project", "adapter", "why"]), _row(["---"] * 3)]
    lines += [
        _row([entry["project"], f"`{entry['adapter']}`", entry["reason"]]) for entry in document["missing"] if entry["device"] is None
    ]
    lines += [_row([run["project"], f"`{run['adapter']}`", run["error"]]) for run in document["runs"] if run["error"]]
    lines += [_row([run["project"], f"`{run['adapter']}`", reason]) for run in document["runs"] for reason in _reasons(run)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _judged(run: Mapping[str, Any], name: str) -> int:
    return sum(run["classes"].get(name, {}).get(status, 0) for status in runner.JUDGED)


def _wrong(run: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [result for result in run["results"] if result["conformance_class"] == name and result["status"] in runner.WRONG]


def _cell(run: Mapping[str, Any], name: str) -> str:
    judged, wrong = _judged(run, name), len(_wrong(run, name))
    if not judged:
        return "–"
    return f"[**{wrong} of {judged} wrong**](#{_anchor(run, name)})" if wrong else f"{judged} right"


def _anchor(run: Mapping[str, Any], name: str) -> str:
    return f"{run['adapter']}-{name}"


def _red(document: Mapping[str, Any], run: Mapping[str, Any], name: str) -> list[str]:
    """Return the section of one red cell: the clauses, what differs, how to see it, and the draft of an issue."""
    wrong = _wrong(run, name)
    lines = [f'<a id="{_anchor(run, name)}"></a>', "", f"### {run['project']}: `{run['adapter']}`, {name}", ""]
    orders = sorted({result["order_found"] for result in wrong if result["order_found"]})
    if orders:
        lines += [f"What came out is in order {' or '.join(orders)}.", ""]
    by_clause: dict[str, list[Mapping[str, Any]]] = {}
    for result in wrong:
        by_clause.setdefault(result["clauses"][0], []).append(result)
    for clause, results in sorted(by_clause.items()):
        file = document["clauses"].get(clause)
        link = f"[{clause}](spec/{file})" if file else clause
        statuses = ", ".join(sorted({result["status"] for result in results}))
        lines.append(
            f"* {link}, {len(results)} {'case' if len(results) == 1 else 'cases'} ({statuses}); first: {_shortened(results[0]['message'])}"
        )
    broken = {clause for result in wrong for clause in result["clauses"]}
    for finding in findings_of(document, run["adapter"], name):
        shown = ", ".join(clause for clause in finding["clauses"] if clause in broken)
        lines += ["", f"{shown}: reproduction, and [draft of an issue](peers/{finding['draft']})", ""]
        lines += [
            "```python",
            finding["reproduction"].rstrip("\n"),
            "```",
            "",
            "It prints:",
            "",
            "```text",
            finding["printed"].rstrip("\n"),
            "```",
        ]
    return [*lines, ""]


def findings_of(document: Mapping[str, Any], adapter: str, name: str) -> list[Mapping[str, Any]]:
    """Return the findings for one cell."""
    return [finding for finding in document["findings"] if (finding["adapter"], finding["conformance_class"]) == (adapter, name)]


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return f"`{text if len(text) <= 220 else text[:219] + '…'}`"


def _claims(run: Mapping[str, Any]) -> str:
    claims = run["claims"]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    shown = {name: ", ".join(map(str, claims[name])) for name in ("operations", "orders", "ndims", "data_formats", "modes")}
    if not any("phase_shift" in operation for operation in claims["operations"]):
        shown["data_formats"] = "–"  # which only the shift is asked in
    return _row([f"`{run['adapter']}`", versions, *shown.values()])


def _reasons(run: Mapping[str, Any]) -> list[str]:
    return sorted({result["message"] for result in run["results"] if result["status"] == "unavailable"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the page, after judging if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m subpixel_conformance.scoreboard", description="The page of published implementations.")
    parser.add_argument("report", type=Path, metavar="REPORT.json")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    parser.add_argument("--judge", action="store_true", help="judge every peer that is installed and write the report first")
    parser.add_argument("--drafts", type=Path, metavar="FOLDER", help="drafts of issues; peers/ beside the page by default")
    options = parser.parse_args(arguments)
    if options.judge:
        document = judge(options.drafts or options.out.parent / "peers")
        report.replace_file(options.report, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    try:
        document = json.loads(options.report.read_text(encoding="utf-8"))
        text = page(document)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{options.report} must be a report that --judge wrote; {type(error).__name__}: {error}")
    report.replace_file(options.out, text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
