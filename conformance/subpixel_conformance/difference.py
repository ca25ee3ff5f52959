"""What changed between two reports, per adapter, device and case, and whether anything got worse.

Worse is: a case that was right and is wrong, or is judged no more though its run is there; a case that is new in a run that both have, and
wrong; a failure that turned into a graver one; a run that broke off, or that NEW was asked for and lacks; a verdict that fell. A case that
NEW did not plan, because the profile or the suite is another one, is *gone* and no worse. A run that nobody asked for is gone and no worse
either; but then nothing is known of it, and `alone` says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from subpixel_conformance.verify import UNFINISHED

GRAVITY = {"pass": 0, "unexpected_pass": 0, "known_failure": 1, "fail": 2, "error": 3, "crash": 4}
"""What was judged, from right to worst."""
VERDICTS = {"conforming": 0, "incomplete": 1, "non-conforming": 2}
KINDS = ("broken", "unjudged", "changed", "fixed", "judged", "new", "gone", "verdict", "version", "setting")


@dataclass(frozen=True)
class Change:
    """One difference. ``kind`` is one of `KINDS`; ``subject`` a case, or what of the run or of the report differs."""

    kind: str
    run: str
    subject: str
    old: str
    new: str
    worse: bool = False
    message: str = ""


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the differences between two documents, the settings and versions first."""
    found = [Change("setting", "", name, str(old[name]), str(new[name])) for name in _SETTINGS if old[name] != new[name]]
    before, after = _runs(old), _runs(new)
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            lost = _asked(new, before[name])
            found.append(Change("gone", name, "the whole run", before[name]["verdict"], lost or "not asked for", bool(lost), lost))
        elif name not in before:
            found.append(Change("new", name, "the whole run", "–", after[name]["verdict"]))
        else:
            found += _of_run(name, before[name], after[name])
    return found


def alone(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return which runs have nothing to be compared with, by "OLD" and "NEW"; those that are not counted are called peers."""
    runs = {"OLD": _runs(old), "NEW": _runs(new)}
    shared = runs["OLD"].keys() & runs["NEW"].keys()
    return {
        side: [name if run["counted"] else f"{name} (a peer)" for name, run in found.items() if name not in shared]
        for side, found in runs.items()
    }


def comparable(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return how much of OLD can be compared: "all" that counts, "some" of it, or "nothing" at all."""
    before, after = _runs(old), _runs(new)
    if not before.keys() & after.keys():
        return "nothing"
    return "some" if any(run["counted"] and name not in after for name, run in before.items()) else "all"


_SETTINGS = ("spec", "suite", "profile", "seed", "precision")


def _runs(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {f"{run['adapter']} on {run['device']['name'] or 'no device'}": run for run in document["runs"]}


def _asked(document: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return why a run is not in a document that was asked for it, or nothing where nobody asked."""
    for missing in document["missing"]:
        if missing["adapter"] == run["adapter"] and missing["device"] in (None, run["device"]["name"]):
            return str(missing["reason"])
    if document["exhibit_absent"] == UNFINISHED:
        return UNFINISHED
    broken = [other["error"] for other in document["runs"] if other["adapter"] == run["adapter"] and other["device"]["name"] is None]
    return next(filter(None, broken), "")


def _of_run(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for package in dict.fromkeys((*old["versions"], *new["versions"])):
        versions = [run["versions"].get(package, "–") for run in (old, new)]
        if versions[0] != versions[1]:
            yield Change("version", name, package, *versions)
    for what, first, second in (
        ("hardware", old["device"]["hardware"], new["device"]["hardware"]),
        ("claims", old["claims"], new["claims"]),
    ):
        if first != second:
            shown = (first, second) if isinstance(first, str) else ("as they were", "others")
            yield Change("setting", name, what, *shown)
    before, after = ({result["case"]: result for result in run["results"]} for run in (old, new))
    for case in dict.fromkeys((*before, *after)):
        change = _of_case(name, case, before.get(case), after.get(case), bool(new["error"]) or new["planned"] != new["ran"])
        if change is not None:
            yield change
    if old["verdict"] != new["verdict"] or (new["error"] and not old["error"]):
        fell = VERDICTS[new["verdict"]] > VERDICTS[old["verdict"]] or bool(new["error"] and not old["error"])
        yield Change("verdict", name, "the verdict", old["verdict"], new["verdict"], fell, new["error"])


def _of_case(name: str, case: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, cut_short: bool) -> Change | None:
    """Return what became of one case, or None where nothing did. ``cut_short``: the new run did not come to its end."""
    first, second = (result["status"] if result else "–" for result in (old, new))
    message = new["message"] if new else ""
    if first == second:
        return None
    before, after = GRAVITY.get(first), GRAVITY.get(second)
    if old is None:
        return Change("new", name, case, first, second, bool(after and after > 1), message)
    if new is None:
        return Change("gone", name, case, first, "not run" if cut_short else "not planned", cut_short and before == 0)
    if before is None or after is None:
        if before is None and after is None:
            return Change("changed", name, case, first, second, False, message)
        if after is None:
            return Change("unjudged", name, case, first, second, before == 0, message)
        return Change("judged", name, case, first, second, after > 1, message)
    if (before == 0) == (after == 0):
        return Change("changed", name, case, first, second, after > before, message)
    return Change("fixed" if after == 0 else "broken", name, case, first, second, after > before, message)
