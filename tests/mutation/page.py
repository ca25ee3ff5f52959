"""The record of the mutations of the core, its explanations, and the page made from both."""

import argparse
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

EXPLANATIONS = Path(__file__).parent / "explained.toml"
COLUMNS = {
    "case": "a case of the suite",
    "test": "a test of the core",
    "import": "at import",
    "time": "by time or memory",
    "survived": "survived",
}
MISSING = "not explained yet"
INTRODUCTION = """\
`make mutation` changes `subpixel_core` in one place at a time and asks whether anything notices: first the cases of the suite (profile
`full`), put to the reference that is changed, then, for what they let pass, the tests in `tests/core` and the examples in docstrings;
where the cases that reach it take longer than two seconds, the slower ones come after the tests. A change is judged by all that reaches
the statement in which it lies; by everything, where it runs at import or nothing reaches it. The changes are those of
[cosmic-ray](https://pypi.org/project/cosmic-ray/), a few per operator, and four kinds of our own: letters put before or after a text (the
words of an error are part of its rule), a statement, a named argument or a `not in` taken away. Annotations, docstrings, imports and
aliases of types are left alone, and the `strict=True` of a `zip`, which asserts what the checks have seen to. Of a module that has very
many changes a part may be judged, drawn with a fixed seed: the columns "changes" and "judged" say so. What is explained as a survivor is
given a second of cases and a second of tests, the quickest; whatever else survives has passed all that reach it. The command writes
[evidence/mutation.json](evidence/mutation.json) and, from it and `tests/mutation/explained.toml`, this page. A module may have changed
since: its `sha256` there is that of the text that was judged.
"""


Key = tuple[str, str, str, str]


def key(entry: Mapping[str, Any]) -> Key:
    """Return what tells one survivor from another, wherever in its function it stands."""
    return entry["file"], entry["where"], entry["before"], entry["after"]


def judged(counts: Mapping[str, Any]) -> int:
    """Return how many changes of a module were judged."""
    return sum(counts[column] for column in COLUMNS)


def explanations() -> dict[Key, str]:
    """Return why survivors are no mistakes."""
    groups = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8")).get("survivors", [])
    return {
        (group["file"], group["where"], group["before"], after): " ".join(group["why"].split())
        for group in groups
        for after in group["after"]
    }


def explained(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with an explanation in every survivor."""
    why = explanations()
    return {**record, "survivors": [{**entry, "why": why.get(key(entry), MISSING)} for entry in record["survivors"]]}


def page(record: Mapping[str, Any]) -> str:
    """Return the page, in Markdown."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    files = record["files"]
    made, total = sum(counts["changes"] for counts in files.values()), sum(map(judged, files.values()))
    survived = len(record["survivors"])
    tool = record["tool"]
    yield "# Mutations of the core"
    yield ""
    yield INTRODUCTION
    yield f"{made} changes, {total} judged; {total - survived} are rejected. {survived} are not, and every one of those is explained below."
    yield ""
    whole = [name for name, counts in files.items() if judged(counts) == counts["changes"]]
    sampled = [f"{name} ({judged(counts)} of {counts['changes']})" for name, counts in files.items() if name not in whole]
    for what, names in {"whole": whole, "by a sample": sampled, "not at all": record["not judged yet"]}.items():
        yield f"Judged {what}: {', '.join(names) or 'none'}."
        yield ""
    last = max(counts["date"] for counts in files.values())
    yield f"Last made on {last}, with {', '.join(f'{name} {version}' for name, version in tool.items())}."
    yield ""
    yield f"| file | changes | judged | {' | '.join(COLUMNS.values())} |"
    yield f"|---|{'---|' * (len(COLUMNS) + 2)}"
    for name, counts in files.items():
        yield f"| {name} | {counts['changes']} | {judged(counts)} | {' | '.join(str(counts[column]) for column in COLUMNS)} |"
    yield f"| all | {made} | {total} | {' | '.join(str(sum(counts[column] for counts in files.values())) for column in COLUMNS)} |"
    yield ""
    yield "## What survives, and why"
    yield ""
    reasons: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in record["survivors"]:
        reasons.setdefault((entry["file"], entry["why"]), []).append(entry)
    for (file, why), entries in reasons.items():
        yield f"**{file}.** {why}"
        yield ""
        yield "```diff"
        for entry in entries:
            yield f"@@ {entry['where'] or 'the module'}, line {entry['line']} @@"
            yield from (f"- {line}" for line in entry["before"].splitlines())
            yield from (f"+ {line}" for line in entry["after"].splitlines())
        yield "```"
        yield ""


def main(arguments: list[str] | None = None) -> int:
    """Put the explanations into the record, and write the page; 1 where one is missing."""
    parser = argparse.ArgumentParser(prog="tests.mutation.page", description="The page of the mutations.")
    parser.add_argument("record", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    found = explained(json.loads(options.record.read_text(encoding="utf-8")))
    options.record.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    options.out.write_text(page(found), encoding="utf-8")
    return int(any(entry["why"] == MISSING for entry in found["survivors"]))


if __name__ == "__main__":
    raise SystemExit(main())
