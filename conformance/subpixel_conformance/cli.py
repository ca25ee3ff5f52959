"""The command ``subpixel``: judge implementations, check reports, read and cite the specification, identify an order, convert models.

Exit status: 0 conforming, or nothing wrong but known failures; 1 not conforming, or what would be 0 with a list of known failures that is
out of date; 2 usage; 3 an adapter or the suite itself broke; 4 incomplete.
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
import threading
import traceback
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any, NoReturn

from subpixel_conformance import badge, clauses, difference, json_lines, junit, known, memory, page, registry, report, runner, terminal
from subpixel_conformance import cite as citation
from subpixel_conformance import verify as verification
from subpixel_conformance.convert import command as conversion
from subpixel_conformance.result import PROFILES
from subpixel_conformance.terminal import Cell, Screen, counting_display, progress_display
from subpixel_conformance.vectors import command as vectors

STYLES = {"conforming": "green", "non-conforming": "red", "incomplete": "yellow"}
PLANS_SHOWN = 24
CASES_SHOWN = 24
CHANGES_SHOWN = 40


class UsageError(Exception):
    """The command cannot be carried out as it was given. The text is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit status."""
    parser = _arguments()
    options = parser.parse_args(arguments)
    commands: dict[str, Callable[[argparse.Namespace, Screen], int]] = {
        "conform": conform,
        "selftest": selftest,
        "explain": explain,
        "verify": verify,
        "diff": diff,
        "cite": cite,
        "identify": identify,
        "plan": plan,
        "vectors": vectors.command,
        "convert": conversion.command,
    }
    try:
        return commands[options.command](options, Screen())
    except KeyboardInterrupt:
        sys.stderr.write(f"subpixel {options.command}: interrupted\n")
        return 3
    except UsageError as error:
        sys.stderr.write(f"subpixel {options.command}: {' '.join(str(error).split())}\n")
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 3
    except Exception as error:  # 1 would say that an implementation does not conform
        traceback.print_exc()
        sys.stderr.write(f"subpixel {options.command}: the suite itself broke: {' '.join(str(error).split()) or type(error).__name__}\n")
        return 3


def _arguments() -> argparse.ArgumentParser:
    parser = _Parser(prog="subpixel", description="The conformance suite of the sub-pixel convolution specification.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser(
        "conform",
        help="judge implementations against the specification",
        description="Judge implementations. With none named, those of this distribution count, and all others are shown beside them.",
        epilog="Exit status: 0 conforming, or nothing wrong but the known failures; 1 not conforming, or the list of known failures is "
        "out of date; 2 usage; 3 an adapter or the suite broke; 4 incomplete: nothing, or not everything that was asked for, was judged.",
    )
    names = ", ".join(registry.registry())
    command.add_argument("--backend", action="append", default=[], metavar="NAME", help=f"by name: {names}")
    command.add_argument("--adapter", action="append", default=[], metavar="SPEC", help="your own: pkg.mod:attr or file.py:attr")
    command.add_argument("--peer", action="append", default=[], metavar="NAME", help="judged and shown, but not counted in the exit status")
    command.add_argument(
        "--device", action="append", default=[], metavar="D", help="cpu, cuda, …: required; every device present by default"
    )
    command.add_argument("--profile", choices=PROFILES, default="full", help="quick is a first look, exhaustive takes long (%(default)s)")
    command.add_argument(
        "--jobs",
        type=_positive(int),
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="processes at a time; where there are fewer adapters and devices, several share the cases of one (%(default)s)",
    )
    command.add_argument("--timeout", type=_positive(float), default=300.0, metavar="S", help="seconds that a case may take (%(default)g)")
    command.add_argument(
        "--memory",
        type=_positive(float),
        metavar="GIB",
        help="memory that a process may take with all that it starts, else its case is a crash; by default "
        f"{memory.SHARE:.0%} of the machine's".replace("%", "%%"),
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="what the sampled cases draw (%(default)s)")
    command.add_argument(
        "--precision",
        choices=runner.PRECISIONS,
        default="strict",
        help="strict, the default: TensorFloat-32 and the like are switched off, and a switch that reads otherwise is an error; "
        "as-is: the switches stay as they come, and are shown",
    )
    command.add_argument(
        "--known-failures",
        type=Path,
        metavar="FILE",
        help="TOML with [[known]] entries: case or clause; adapter, device, mode, dtype where wanted; reason; link. Stale ones fail",
    )
    command.add_argument("--json", type=Path, metavar="FILE", help="the report as one document")
    command.add_argument("--jsonl", type=Path, metavar="FILE", help="the same as JSON Lines, written as the results come")
    command.add_argument("--junit", type=Path, metavar="FILE", help="for tools that show test results")
    command.add_argument("--badge", type=Path, metavar="FILE", help="what shields.io's endpoint badge reads")
    command.add_argument("--html", type=Path, metavar="FILE", help="a page for readers, in one file")
    command.add_argument("--no-photograph", action="store_true", help="leave the exhibits out")

    command = commands.add_parser("selftest", help="the suite against mutants that it must reject")
    command.add_argument("--jobs", type=_positive(int), default=min(2, os.cpu_count() or 1), metavar="N", help="processes (%(default)s)")

    command = commands.add_parser("explain", help="show a clause of the specification")
    command.add_argument("clause", metavar="CLAUSE")

    command = commands.add_parser(
        "verify",
        help="is a report whole, and does its verdict follow from its results?",
        description="Check a JSON or JSON Lines report. This finds damage, not forgery.",
        epilog="Exit status: 0 whole; 1 refused; 2 usage, or a file that cannot be read.",
    )
    command.add_argument("report", type=Path, metavar="REPORT")

    command = commands.add_parser(
        "diff",
        help="what changed between two reports, and did anything get worse?",
        description="Compare two JSON or JSON Lines reports by adapter, device and case.",
        epilog="Exit status: 0 nothing got worse; 1 something did; 2 usage, or a report that cannot be read or is refused; "
        "4 nothing got worse that can be compared, but OLD has an adapter that counts and NEW has not.",
    )
    command.add_argument("old", type=Path, metavar="OLD")
    command.add_argument("new", type=Path, metavar="NEW")

    command = commands.add_parser("cite", help="how to cite the specification and the suite")
    command.add_argument("--format", choices=("both", "bibtex", "text"), default="both", help="%(default)s by default")

    command = commands.add_parser("identify", help="which order does a function follow?")
    command.add_argument("function", metavar="pkg.mod:callable", help="called with (x, scale); file.py:callable works too")
    command.add_argument("--data-format", choices=("channels_last", "channels_first"), help="both are tried by default")
    command.add_argument("--ndim", type=_positive(int), default=2, metavar="N")

    vectors.add_arguments(commands.add_parser("vectors", help="golden vectors: check, make, publish"))

    conversion.add_arguments(
        commands.add_parser(
            "convert",
            help="a trained model with sub-pixel convolutions for what they are equal to",
            description="Replace every layer of a model in a file that a sub-pixel convolution is exactly equal to, run both, and write "
            "the result if it computes the same.",
            epilog=conversion.EPILOG,
        )
    )

    command = commands.add_parser("plan", help="the direct layer against every chain of stages")
    command.add_argument("scale", metavar="SCALE", help='one factor for all axes ("8") or one per axis ("2,3")')
    command.add_argument("--in", dest="in_channels", type=_positive(int), required=True, metavar="CI")
    command.add_argument("--out", dest="out_channels", type=_positive(int), required=True, metavar="CO")
    command.add_argument("--ndim", type=_positive(int), metavar="N", help="number of spatial axes: 2, or as many as SCALE has factors")
    command.add_argument("--kernel-size", type=_positive(int), default=3, metavar="K")
    command.add_argument("--width", type=_positive(int), metavar="C", help="channels between stages; CO by default")
    command.add_argument("--no-bias", action="store_true")
    command.add_argument("--separable", action="store_true")
    command.add_argument("--spatial", type=_positive(int), nargs="+", metavar="H", help="input extents; 64 on every axis by default")
    return parser


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise ValueError
        return value

    convert.__name__ = f"positive {kind.__name__}"
    return convert


# --- conform ---


def conform(options: argparse.Namespace, screen: Screen) -> int:
    """Judge, show the scoreboard, and write the reports."""
    specs = chosen(options.backend, options.adapter, options.peer)
    _writable(options)
    try:
        listed = known.read(options.known_failures) if options.known_failures is not None else ()
    except ValueError as error:
        raise UsageError(str(error)) from error
    folders = _folders_to_make(options)
    cancelled = threading.Event()
    with runner.interruption_sets(cancelled):
        live = _live_report(options)
        try:
            screen.line(f"profile {options.profile}, seed {options.seed}, precision {options.precision}")
            display, shown = progress_display(screen)
            with shown:
                outcome = runner.conform(
                    specs,
                    required=options.backend,
                    devices=tuple(dict.fromkeys(options.device)),
                    profile=options.profile,
                    jobs=options.jobs,
                    timeout=options.timeout,
                    memory=options.memory,
                    seed=options.seed,
                    precision=options.precision,
                    known=listed,
                    photograph=not options.no_photograph,
                    progress=display if live is None else runner.Together(live, display),
                    cancelled=cancelled,
                )
            for run in outcome.runs:
                if run.absent:
                    raise UsageError(run.error)
            written, failed = write_reports(options, outcome, live)
        except (KeyboardInterrupt, UsageError):
            if live is not None:
                live.abandon()
            raise
    scoreboard(outcome, screen)
    for path in written:
        screen.line(f"wrote {path}{f', and made the folder {folders[path]}' if path in folders else ''}")
    if failed:
        raise UsageError("; ".join(failed))
    return outcome.exit_code


def _folders_to_make(options: argparse.Namespace) -> dict[Path, Path]:
    """Return the folders of reports that are not there yet."""
    paths = [path for path in (getattr(options, name) for name in (*REPORTS, "jsonl")) if path is not None]
    return {path: path.parent for path in paths if not path.parent.exists()}


def _live_report(options: argparse.Namespace) -> json_lines.LiveReport | None:
    """Begin the report that is written as the results come."""
    if options.jsonl is None:
        return None
    try:
        return json_lines.LiveReport(options.jsonl, options.profile, options.seed, options.precision)
    except OSError as error:
        raise UsageError(f"{options.jsonl} cannot be written: {error.strerror}") from error


REPORTS: dict[str, Callable[[Path, runner.Outcome], None]] = {
    "json": report.write_json,
    "junit": junit.write_junit,
    "badge": badge.write_badge,
    "html": page.write_html,
}
"""What `conform` can write at the end, by the option that asks for it."""


def write_reports(
    options: argparse.Namespace, outcome: runner.Outcome, live: json_lines.LiveReport | None = None
) -> tuple[list[Path], list[str]]:
    """Write every report that was asked for, and return those written, and why others were not: one line each."""
    written: list[Path] = []
    failed: list[str] = []
    finish = {} if live is None else {"jsonl": lambda _, outcome: live.finish(outcome)}
    for name, write in {**finish, **REPORTS}.items():
        path = getattr(options, name)
        if path is not None:
            try:
                write(path, outcome)
            except OSError as error:
                failed.append(f"{path} cannot be written: {error.strerror}")
            else:
                written.append(path)
    return written, failed


def chosen(backends: Sequence[str], adapters: Sequence[str], peers: Sequence[str]) -> list[tuple[registry.Spec, bool]]:
    """Return the adapters to judge, each with whether its verdict counts.

    With backends or adapters named, those count, and the peers are shown beside them. With none named, the implementations of this
    distribution count, and without peers named either, everything else in the registry is a peer.
    """
    try:
        counted = [registry.find(name) for name in backends] + [registry.located(target) for target in adapters]
        beside = [registry.find(name) for name in peers]
    except ValueError as error:
        raise UsageError(str(error)) from error
    known = registry.registry().values()
    if not counted:
        counted = [spec for spec in known if spec.ours]
        beside = beside or [spec for spec in known if not spec.ours]
    together = {spec.name: (spec, False) for spec in beside} | {spec.name: (spec, True) for spec in counted}
    return sorted(together.values(), key=lambda pair: not pair[1])


def _writable(options: argparse.Namespace) -> None:
    """Refuse now what could not be written after minutes of work, and what would replace a file that is read or another report."""
    paths = [path for path in (getattr(options, name) for name in (*REPORTS, "jsonl")) if path is not None]
    places = [path.resolve() for path in paths]
    for path, place in zip(paths, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"each report must have a file of its own; got {path} more than once")
        if place.suffix.lower() == ".py":
            raise UsageError(f"a report must not replace a Python file, which may be an adapter's; got {path}")
        listed = options.known_failures
        if listed is not None and listed.resolve() in (place, json_lines.kept(place)):
            raise UsageError(f"a report must not replace the list of known failures; got {path}")
        if path.is_dir():
            raise UsageError(f"{path} is a folder, not a file")
        existing = next(parent for parent in place.parents if parent.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK):
            raise UsageError(f"{path} cannot be written: {existing} is not a folder that can be written to")
    if options.html is not None:
        try:
            import jinja2  # noqa: F401  only to know whether it is there
        except ImportError as error:
            raise UsageError("--html needs Jinja2; pip install 'subpixel-spec[conformance]'") from error


def scoreboard(outcome: runner.Outcome, screen: Screen) -> None:
    """Show the verdicts, the clauses that are not met, the failures with a reproduction, the photograph, and what is missing."""
    classes = report.conformance_classes(outcome.runs)
    for title, counted in (("Passed of judged, by conformance class", True), ("Peers: judged and shown, not counted", False)):
        rows = [_score(run, classes) for run in outcome.runs if run.counted is counted]
        if rows:
            screen.table(title, ["adapter", "device", *classes, "verdict", "not judged"], rows)
    _clauses_not_met(outcome, screen)
    _failures(outcome, screen)
    _known(outcome, screen)
    _precision(outcome, screen)
    _exhibits(outcome, screen)
    _deviations(outcome, screen)
    _not_judged(outcome, screen)
    names = ", ".join(dict.fromkeys(run.adapter for run in outcome.runs if run.counted)) or "nothing was judged"
    against = f"specification {clauses.specification_version()}, profile {outcome.profile}, seed {outcome.seed}"
    for line in outcome.amiss:
        screen.line(line, "red")
    style = "red" if outcome.exit_code == 1 else STYLES[outcome.verdict]
    screen.line(f"{outcome.verdict}: {names}; {against}{_of_known(outcome)}{_lacking(outcome)}", style)


def _lacking(outcome: runner.Outcome) -> str:
    """Return what was to be judged and is not here or not claimed, with the reasons, where that alone leaves the verdict open."""
    if outcome.verdict != "incomplete":
        return ""
    judged = {run.adapter for run in outcome.runs}
    lacking = [missing for missing in outcome.missing if missing.required or (missing.counted and missing.adapter not in judged)]
    said = [f"; {missing.adapter}{f' on {missing.device}' if missing.device else ''}: {missing.reason}" for missing in lacking]
    said += [
        f"; {run.adapter} claims nothing that the suite judges: name its operations in its claims"
        for run in outcome.runs
        if run.planned and run.counts.get("not_claimed") == len(run.planned)
    ]
    return "".join(said)


def _of_known(outcome: runner.Outcome) -> str:
    """Return what the verdict owes to the list of known failures."""
    said = ""
    if outcome.known:
        said = f"; {outcome.known} known {'failure' if outcome.known == 1 else 'failures'}{' and no other' if outcome.only_known else ''}"
    if outcome.amiss:
        said += f"; the list of known failures is out of date{', which makes the exit status 1' if outcome.exit_code == 1 else ''}"
    return said


def _score(run: runner.Run, classes: Sequence[str]) -> list[Cell]:
    found = run.by_class()
    cells: list[Cell] = []
    for name in classes:
        counts = found.get(name, {})
        cells.append(_passed(counts.get("pass", 0), sum(counts.get(status, 0) for status in runner.JUDGED)))
    return [run.adapter, run.device or "–", *cells, (run.verdict, STYLES[run.verdict]), (terminal.unjudged(run), "dim")]


def _passed(passed: int, judged: int) -> Cell:
    return (f"{passed}/{judged}", "green" if passed == judged else "red") if judged else ("–", "dim")


def _clauses_not_met(outcome: runner.Outcome, screen: Screen) -> None:
    """Show, for every clause that someone breaks, how everyone does on it."""
    broken = sorted(
        {clause for run in outcome.runs for result in run.results if result.status in runner.WRONG for clause in result.clauses}
    )
    at_a_time = max(1, (screen.width - 26) // 8)
    for start in range(0, len(broken), at_a_time):
        shown = broken[start : start + at_a_time]
        rows: list[list[Cell]] = []
        for run in outcome.runs:
            row: list[Cell] = [run.adapter, run.device or "–"]
            for clause in shown:
                statuses = [result.status for result in run.results if clause in result.clauses and result.status in runner.JUDGED]
                row.append(_passed(statuses.count("pass"), len(statuses)))
            rows.append(row)
        screen.table("Clauses that not all meet", ["adapter", "device", *shown], rows)


def _not_judged(outcome: runner.Outcome, screen: Screen) -> None:
    """Show what was claimed or asked for and could not be judged here, and why."""
    rows: list[list[Cell]] = []
    for missing in outcome.missing:
        rows.append([missing.adapter, missing.device or "–", ("absent" if missing.device is None else "device", "yellow"), missing.reason])
    for run in outcome.runs:
        left = len(run.planned) - run.ran
        if left:
            rows.append([run.adapter, run.device or "–", (terminal.cases(left), "red"), f"not run: {run.error or run.note or 'no result'}"])
    for run, reason, count in report.unavailable(outcome.runs):
        rows.append([run.adapter, run.device or "–", (terminal.cases(count), "yellow"), reason])
    if rows:
        screen.table("Not judged here", ["adapter", "device", "what", "reason"], rows)


def _precision(outcome: runner.Outcome, screen: Screen) -> None:
    """Show the switches of reduced precision as they were read."""
    for run in outcome.runs:
        if run.precision:
            read = ", ".join(f"{name} {'allowed' if value else 'forbidden'}" for name, value in run.precision.items())
            screen.line(f"{run.adapter} on {run.device}, reduced precision as read back: {read}", "dim")


def _known(outcome: runner.Outcome, screen: Screen) -> None:
    """Show what is wrong and known to be."""
    rows: list[list[Cell]] = [
        [run.adapter, run.device or "–", result.case, result.known]
        for run in outcome.runs
        for result in run.results
        if result.status == "known_failure"
    ]
    if rows:
        screen.table("Known failures", ["adapter", "device", "case", "reason"], rows)


def _failures(outcome: runner.Outcome, screen: Screen) -> None:
    for run in outcome.runs:
        if run.error:
            screen.line(f"{run.adapter} on {run.device or 'no device'}: {run.error}", "red")
        if run.note:
            screen.line(f"{run.adapter} on {run.device}: {run.note}", "yellow")
    texts = clauses.clauses()
    reproduced: set[int] = set()
    for group in report.failures(outcome.runs):
        run, clause, first = group["run"], group["clause"], group["results"][0]
        statuses = ", ".join(sorted({result.status for result in group["results"]}))
        orders = f"; what came out is in order {' or '.join(group['orders'])}" if group["orders"] else ""
        screen.line(
            f"{clause}  {run.adapter} on {run.device}: {len(group['results'])} of {group['judged']} cases {statuses}{orders}", "bold red"
        )
        if clause in texts:
            screen.line(textwrap.shorten(texts[clause].text, 240, placeholder=" …"), "dim")
        screen.line(f"first: {first.message}")
        if group["reproduction"] and id(run) not in reproduced:
            reproduced.add(id(run))
            screen.line("to see it:")
            screen.code(group["reproduction"])
        screen.line()


def _exhibits(outcome: runner.Outcome, screen: Screen) -> None:
    rows: list[list[Cell]] = []
    for run in outcome.runs:
        photograph, checkerboard = (run.exhibits.get(name, {}) for name in ("photograph", "checkerboard"))
        cells = [cell for row in photograph.get("cells", []) for cell in row]
        shown: list[Cell] = [(f"{sum(cells)}/{len(cells)}", "green" if all(cells) else "red") if cells else ("–", "dim")]
        measures = [checkerboard.get("constructed"), *(checkerboard.get("variants", {}).get(name) for name in page.VARIANTS)]
        shown += [(f"{measure:.1e}" if measure else "0") if isinstance(measure, (int, float)) else ("–", "dim") for measure in measures]
        problems = [f"{name}: {exhibit['error']}" for name, exhibit in run.exhibits.items() if "error" in exhibit]
        if cells or problems or any(isinstance(measure, (int, float)) for measure in measures):
            rows.append([run.adapter, run.device or "–", *shown, (", ".join(problems), "red")])
    if rows:
        columns = ["adapter", "device", "photo", "as built", "ICNR", "own bias", "own kernel", "both own", ""]
        screen.table("The photograph under 4 × 4 orders; the checkerboard of a layer as built, and with seeded parameters", columns, rows)


def _deviations(outcome: runner.Outcome, screen: Screen) -> None:
    """Show how far the outputs of whole networks are from the exact ones."""
    found = report.deviations(outcome.runs)
    shown = [number for number in range(len(outcome.runs)) if any(row[number] is not None for row in found.values())]
    rows: list[list[Cell]] = [[name, *(_scientific(row[number]) for number in shown)] for name, row in found.items()]
    if rows:
        columns = ["network", *(f"{outcome.runs[number].adapter} {outcome.runs[number].device}" for number in shown)]
        screen.table("Residual U-Nets: largest error over largest output, reported and not judged", columns, rows)


def _scientific(value: float | None) -> Cell:
    return ("–", "dim") if value is None else f"{value:.1e}"


# --- the other commands ---


def selftest(options: argparse.Namespace, screen: Screen) -> int:
    """Run the suite against its mutants, which it must reject, and against null mutants, which it must pass."""
    from subpixel_conformance import selftest as suite

    display, tell = counting_display(screen)
    with display:
        found = suite.selftest(tell, options.jobs)
    for title, findings in (("Wrong on purpose, to be rejected", found.mutants), ("Right in another way, to be passed", found.nulls)):
        screen.table(
            title,
            ["implementation", "", "judged", "violates", "what is amiss, or history"],
            [_found(finding) for finding in findings],
            right=(2,),
        )
    caught, clean = (sum(finding.passed for finding in findings) for findings in (found.mutants, found.nulls))
    if found.rearranged is not None:
        screen.line(f"{found.rearranged.rejected} wrong rearrangements rejected, {len(found.rearranged.survivors)} passed")
    for line in found.amiss:
        screen.line(line, "red")
    summary = f"{caught} of {len(found.mutants)} mutants rejected for the right clauses, {clean} of {len(found.nulls)} null mutants passed"
    screen.line(summary, "green" if found.passed else "red")
    return 0 if found.passed else 1


def _found(finding: Any) -> list[Cell]:
    amiss = [f"{clause} found nothing" for clause in sorted(finding.missed)]
    amiss += [f"{clause} fails too: {finding.failing[clause]}" for clause in sorted(finding.unexpected)]
    amiss += [] if finding.judged else ["nothing was judged"]
    status: Cell = ("as it must", "green") if finding.passed else ("NOT", "red")
    return [finding.name, status, str(finding.judged), ", ".join(sorted(finding.violates)) or "–", "; ".join(amiss) or finding.history]


def explain(options: argparse.Namespace, screen: Screen) -> int:
    """Show one clause."""
    try:
        texts = clauses.clauses()
    except FileNotFoundError as error:
        raise UsageError(str(error)) from error
    wanted = options.clause.strip().upper()
    if wanted not in texts:
        near = [name for name in texts if name[:2] == wanted[:2]] or sorted({name[:2] for name in texts})
        raise UsageError(f"clause must be one of the specification's; got {options.clause!r}; there are {', '.join(near)}")
    clause = texts[wanted]
    screen.line(f"{clause.id}  {clause.level}  ({clause.file}, specification {clauses.specification_version()})", "bold")
    screen.line(clause.text)
    _judged_by(wanted, screen)
    return 0


def _judged_by(clause: str, screen: Screen) -> None:
    """Show the cases that judge a clause, those that judge it first before those that only touch it, and the mutants that break it."""
    from subpixel_conformance.cases import all_cases
    from subpixel_conformance.mutants import all_mutants

    full = {case.id for case in all_cases("full")}
    judging = sorted((case for case in all_cases("exhaustive") if clause in case.clauses), key=lambda case: case.clauses[0] != clause)
    rows: list[list[Cell]] = [
        [case.id, case.conformance_class, "first" if case.clauses[0] == clause else "too", "full" if case.id in full else "exhaustive"]
        for case in judging
    ]
    if rows:
        counted = ("1 case judges it" if len(rows) == 1 else f"{len(rows)} cases judge it") + (
            f", {CASES_SHOWN} of them:" if len(rows) > CASES_SHOWN else ":"
        )
        screen.table(counted, ["case", "class", "judged", "profile"], rows[:CASES_SHOWN])
    else:
        screen.line("No case judges it.")
    broken: list[list[Cell]] = [[mutant.name, mutant.history or "–"] for mutant in all_mutants() if clause in mutant.violates]
    if broken:
        screen.table(
            f"{'1 mutant breaks' if len(broken) == 1 else f'{len(broken)} mutants break'} it, and must be caught",
            ["mutant", "seen in the wild"],
            broken,
        )
    else:
        screen.line("No mutant breaks it.")


def verify(options: argparse.Namespace, screen: Screen) -> int:
    """Say whether a report is whole."""
    try:
        document = verification.verified(options.report)
    except OSError as error:
        raise UsageError(f"{options.report} cannot be read: {error.strerror}") from error
    except verification.ReportError as error:
        sys.stderr.write(f"subpixel verify: {options.report} is refused: {' '.join(str(error).split())}\n")
        return 1
    counts = ", ".join(f"{number} {status.replace('_', ' ')}" for status, number in document["counts"].items()) or "nothing was judged"
    names = ", ".join(dict.fromkeys(run["adapter"] for run in document["runs"] if run["counted"])) or "nothing"
    screen.line(f"{options.report} is whole: {document['ran']} results of {len(document['runs'])} runs: {counts}")
    said = f"{document['verdict']}: {names}; specification {document['spec']}, suite {document['suite']}, profile {document['profile']}"
    screen.line(f"it says {said}, {document['created']}", STYLES[document["verdict"]])
    return 0


def diff(options: argparse.Namespace, screen: Screen) -> int:
    """Show what changed between two reports."""
    documents = []
    for path in (options.old, options.new):
        try:
            documents.append(verification.consistent(path, unfinished=True))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except verification.ReportError as error:
            raise UsageError(f"{path} is refused: {error}") from error
    found = difference.changes(*documents)
    for kind in difference.KINDS:
        here = sorted((change for change in found if change.kind == kind), key=lambda change: not change.worse)
        rows: list[list[Cell]] = [
            [change.run or "–", change.subject, change.old, (change.new, "red" if change.worse else ""), change.message] for change in here
        ]
        if rows:
            screen.table(f"{kind}: {len(rows)}", ["run", "what", "old", "new", "why"], rows[:CHANGES_SHOWN])
            if len(rows) > CHANGES_SHOWN:
                screen.line(f"and {len(rows) - CHANGES_SHOWN} more")
    worse = sum(change.worse for change in found)
    summary = ", ".join(f"{number} {kind}" for kind in difference.KINDS if (number := sum(change.kind == kind for change in found)))
    only, compared = difference.alone(*documents), difference.comparable(*documents)
    said = {
        "all": "nothing got worse",
        "some": "nothing got worse in what both have",
        "nothing": "nothing was compared, for the two have no adapter on a device in common",
    }[compared]
    said = f"{worse} got worse" if worse else said
    beside = "".join(f"; only in {side}: {', '.join(names)}" for side, names in only.items() if names)
    style = "red" if worse else "green" if compared == "all" else "yellow"
    screen.line(f"{said}{f': {summary}' if summary else ''}{beside}", style)
    return 1 if worse else 0 if compared == "all" else 4


def cite(options: argparse.Namespace, screen: Screen) -> int:
    """Show how to cite the specification and the suite."""
    try:
        texts = {"text": citation.sentence(), "bibtex": citation.bibtex()}
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(str(error)) from error
    wanted = texts if options.format == "both" else (options.format,)
    sys.stdout.write("\n\n".join(texts[name] for name in wanted) + "\n")
    return 0


def identify(options: argparse.Namespace, screen: Screen) -> int:
    """Say which order a function follows, in each data format."""
    try:
        spec = registry.located(options.function)
    except ValueError as error:
        raise UsageError(str(error).replace("adapter must", "function must").replace(":attr", ":callable")) from error
    formats = [options.data_format] if options.data_format else ["channels_last", "channels_first"]
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    mistaken: list[str] = []
    with tempfile.TemporaryDirectory(prefix="subpixel-") as temporary:
        job, records, log = (Path(temporary, name) for name in ("job.json", "records.jsonl", "log"))
        description = {"action": "identify", "target": spec.target, "ndim": options.ndim, "data_formats": formats, "records": str(records)}
        job.write_text(json.dumps(description), encoding="utf-8")

        def take(record: Any) -> None:
            if record["type"] == "identified":
                found.append(record)
            elif record["type"] == "error":
                (mistaken if record["absent"] else broken).append(record["message"])

        ending = runner.follow(job, records, log, {}, take, 300, threading.Event(), memory.default_limit())
        if mistaken:
            raise UsageError(mistaken[0].replace("adapter must", "function must"))
        if len(found) < len(formats) and not broken:
            broken.append(f"the process {ending}{runner.last_words(log)}")
    if broken:
        sys.stderr.write(f"subpixel identify: {terminal.visible(broken[0])}\n")
        return 3
    for record in found:
        screen.line(f"{record['data_format']}: {record['answer']}")
    return 0 if any(record["order"] for record in found) else 1


def plan(options: argparse.Namespace, screen: Screen) -> int:
    """Show what the direct layer and every chain of stages cost."""
    from subpixel_core import factorizations, plan_stages

    try:
        factors = tuple(int(part) for part in options.scale.split(","))
    except ValueError as error:
        raise UsageError(f"SCALE must be integers with commas between them; got {options.scale!r}") from error
    ndim = options.ndim or (2 if len(factors) == 1 else len(factors))
    scale = factors * ndim if len(factors) == 1 else factors
    spatial = tuple(options.spatial or (64,))
    spatial = spatial * ndim if len(spatial) == 1 else spatial
    if len(spatial) != ndim:
        raise UsageError(f"--spatial must have one extent, or {ndim}; got {len(spatial)}")
    if prod(scale) > 2**20:
        raise UsageError(f"SCALE must have a product of at most {2**20}; got {options.scale}")

    def planned(steps: Any) -> Any:
        return plan_stages(
            scale,
            options.in_channels,
            options.out_channels,
            kernel_size=options.kernel_size,
            ndim=ndim,
            factors=steps,
            width=options.width,
            bias=not options.no_bias,
            separable=options.separable,
        )

    try:
        plans = {steps: planned(steps) for steps in factorizations(scale)}
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    direct = plans.pop((scale,))
    chains = sorted(plans.items(), key=lambda pair: (pair[1].parameters, pair[1].macs(spatial)))
    rows: list[list[Cell]] = [_planned("direct", direct, direct, spatial)]
    rows += [_planned(_stages(steps), chain, direct, spatial) for steps, chain in chains[:PLANS_SHOWN]]
    what = (
        f"scale {'×'.join(map(str, scale))}, {options.in_channels} → {options.out_channels} channels, input {' × '.join(map(str, spatial))}"
    )
    columns = ["stages", "parameters", "fewer by", "MACs", "more by", "receptive field"]
    screen.table(what, columns, rows, right=(1, 2, 3, 4))
    if len(chains) > PLANS_SHOWN:
        screen.line(f"{len(chains) - PLANS_SHOWN} more chains have more parameters than these")
    screen.line("Fewer by: parameters of direct / chain. More by: MACs of chain / direct.")
    screen.line("A chain is another class of functions than the direct layer, not a cheaper way to compute the same one (stages.md).")
    return 0


def _stages(steps: Sequence[Sequence[int]]) -> str:
    return " · ".join(str(step[0]) if len(set(step)) == 1 else "×".join(map(str, step)) for step in steps)


def _planned(name: str, plan: Any, direct: Any, spatial: Sequence[int]) -> list[Cell]:
    fewer, more = direct.parameters / plan.parameters, plan.macs(spatial) / direct.macs(spatial)
    return [
        name,
        f"{plan.parameters:,}",
        (f"{fewer:.2f}", "green" if fewer > 1 else "red" if fewer < 1 else ""),
        f"{plan.macs(spatial):,}",
        (f"{more:.2f}", "green" if more < 1 else "red" if more > 1 else ""),
        " × ".join(map(str, plan.receptive_field)),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
