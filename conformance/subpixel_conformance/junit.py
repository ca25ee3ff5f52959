"""A JUnit file, for the tools that show one: a suite per run, a test case per case."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from subpixel_conformance.report import replace_file
from subpixel_conformance.runner import Outcome

TAGS = {
    "fail": "failure",
    "unexpected_pass": "failure",
    "error": "error",
    "crash": "error",
    "known_failure": "skipped",
    "not_claimed": "skipped",
    "unavailable": "skipped",
    "not_run": "skipped",
}


def write_junit(path: Path, outcome: Outcome) -> None:
    """Write a JUnit file: one suite per run, the clauses of a case as properties of the test case."""
    root = ElementTree.Element("testsuites", name="subpixel")
    for run in outcome.runs:
        counts = Counter(run.counts)
        suite = ElementTree.SubElement(root, "testsuite", name=_xml(f"{run.adapter} ({run.device})"), time=f"{run.seconds:.3f}")
        suite.set("tests", str(len(run.results)))
        suite.set("failures", str(counts["fail"] + counts["unexpected_pass"]))
        suite.set("errors", str(counts["error"] + counts["crash"] + bool(run.error)))
        suite.set("skipped", str(sum(counts[status] for status, tag in TAGS.items() if tag == "skipped")))
        for result in run.results:
            case = ElementTree.SubElement(suite, "testcase", name=_xml(result.case), time=f"{result.seconds:.6f}")
            case.set("classname", _xml(f"{run.adapter}.{run.device}.{result.conformance_class}"))
            properties = ElementTree.SubElement(case, "properties")
            for clause in result.clauses:
                ElementTree.SubElement(properties, "property", name="clause", value=_xml(clause))
            tag = TAGS.get(result.status)
            if tag is not None:
                detail = ElementTree.SubElement(case, tag, type=result.status, message=_xml(result.message or result.known))
                detail.text = _xml(result.reproduction)
        if run.error:
            case = ElementTree.SubElement(suite, "testcase", name="the run as a whole", classname=_xml(f"{run.adapter}.{run.device}"))
            ElementTree.SubElement(case, "error", message=_xml(run.error))
    ElementTree.indent(root)
    replace_file(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _xml(text: str) -> str:
    """Return ``text`` without the characters that XML 1.0 cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "\N{REPLACEMENT CHARACTER}", text)
