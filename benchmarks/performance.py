"""Writes the tables of docs/performance.md from the reports of the benchmarks in docs/evidence/.

    python benchmarks/performance.py            # from the reports that are there
    make performance                            # measures anew, and then writes: about half an hour

Between them stands what people wrote: the page is its own template.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from growth import OTHER
from layers import NATIVE, RESIZE, TRANSPOSED
from layers import OURS as LAYER
from shift import geometric
from shift_competitors import OURS, RUNS

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, EVIDENCE = DOCS / "performance.md", DOCS / "evidence"
BLOCK = re.compile(r"(<!-- (\w+) of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
"""What is between these comments comes from here: the table, and the report that it is made from."""

Report = Mapping[str, Any]
GOALS: Mapping[tuple[str, str], Sequence[tuple[str, float]]] = {
    ("torch", "channels_first"): (("native", 2.0), ("copy", 2.0)),
    ("torch", "channels_last"): (("native", 1.0),),
    ("tensorflow", "channels_last"): (("native", 1.5), ("copy", 1.5)),
    ("jax", "channels_last"): (("einops", 0.97), ("dm-pix", 0.97), ("copy", 1.5)),
    ("numpy", "channels_last"): (("einops", 0.95),),
}
"""Speed over another's, geometric mean, at least; time over that of a copy, at most. None is to be worse than `WORST`."""
WORST = 0.9


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def machine(report: Report) -> str:
    """Return what the figures were measured on, in one line."""
    found = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    clock = f"{report.get('clock', 'wall')} time"
    threads = f", {report['threads']} thread{'s' if report['threads'] > 1 else ''}" if "threads" in report else ""
    return f"`{report['command']}`: {found['processor']}, {found['cores']} cores, {clock}{threads}; Python {found['python']}, {versions}."


def goals(report: Report) -> str:
    """Return every goal beside what was measured."""
    lines = []
    for (framework, data_format), wanted in GOALS.items():
        for what, direction in product(("forward", "backward"), ("shift", "inverse")):
            key = {"framework": framework, "data_format": data_format, "direction": direction, "what": what}
            own = [row for row in report["rows"] if key.items() <= row.items()]
            for other, goal in wanted:
                if own and (other == "copy" or any(other in row["speed"] for row in own)):
                    lines.append([framework, data_format, f"{direction}, {what}", *_compared(own, other, goal)])
    return table(["", "format", "", "", "goal", "geometric mean", "", "worst case", ""], lines)


def _compared(rows: Sequence[Report], other: str, goal: float) -> list[str]:
    """Return what is compared, the goal, the geometric mean, whether that meets it, the worst case, and how many lose."""
    if other == "copy":
        times = [row["of_copy"][OURS][1] for row in rows if row["size"] != "small"]
        mean, beyond = geometric(times), geometric([row["of_copy"][OURS][1] for row in rows if row["size"] == "large"])
        verdict = "met" if mean <= goal else "**missed**"
        return ["time over a copy's", f"≤ {goal:g}", f"{mean:.2f}", verdict, f"{max(times):.1f}", f"{beyond:.2f} of 2²³ values"]
    speeds = [row["speed"][other][1] for row in rows if other in row["speed"]]
    mean, lost = geometric(speeds), sum(speed < WORST for speed in speeds)
    verdict = "met" if mean >= goal else "**missed**"
    return [f"speed over {other}", f"≥ {goal:g}", f"{mean:.2f}", verdict, f"{min(speeds):.2f}", f"{lost} of {len(speeds)} below {WORST}"]


def losses(report: Report) -> str:
    """Return the cases in which another was clearly faster, the largest losses first."""
    lost = []
    against = [row for row in report["rows"] if row["speed"]]
    for row in against:
        name, speed = min(((name, speed[1]) for name, speed in row["speed"].items()), key=lambda found: found[1])
        if speed < WORST:
            lost.append((speed, name, row))
    lost.sort(key=lambda found: found[0])
    rows = [
        [
            *(row["framework"], row["data_format"], f"{row['direction']}, {row['what']}", f"{row['ndim']}-D × {row['scale']}"),
            *(str(row["channels"]), row["dtype"], f"{row['batch']}, {row['size']}", name, f"{speed:.2f}", f"{row['of_copy'][OURS][1]:.1f}"),
        ]
        for speed, name, row in lost
    ]
    header = ["", "format", "", "scale", "C", "dtype", "batch, size", "against", "speed", "copies"]
    return f"{len(lost)} of {len(against)} cases.\n\n" + table(header, rows)


def runs(report: Report) -> str:
    """Return what an order with the channels last gives in torch, where they lie last in memory."""
    rows = []
    for what, direction in product(("forward", "backward"), ("shift", "inverse")):
        key = {"direction": direction, "what": what}
        own = [row["of_copy"] for row in report["rows"] if key.items() <= row.items() and RUNS in row["of_copy"] and row["size"] != "small"]
        if own:
            rows.append([f"{direction}, {what}", str(len(own)), *(f"{geometric([of[n][1] for of in own]):.2f}" for n in (OURS, RUNS))])
    return table(["", "cases", "CRD, time over a copy's", "DCR"], rows)


def growth(report: Report) -> str:
    """Return time, ours and the other's over that of a copy, and memory, by the number of values."""
    exponents = sorted({row["exponent"] for row in report["rows"]})
    rows = []
    for key in dict.fromkeys((row["framework"], row["what"], row["threads"]) for row in report["rows"]):
        own = {r["exponent"]: r for r in report["rows"] if (r["framework"], r["what"], r["threads"]) == key}
        found = [f"{own[e]['of_copy'][1]:.1f} / {own[e]['other_of_copy'][1]:.1f}" if "ms" in own.get(e, {}) else "" for e in exponents]
        memory = max((row["memory"][OURS] for row in own.values() if "memory" in row and row["exponent"] >= 22), default=0)
        rows.append([key[0], f"{OTHER[key[0]]}", key[1], str(key[2]), *found, f"{memory:.2f}" if memory else ""])
    return table(["", "other", "", "threads", *(f"2^{e}" for e in exponents), "memory"], rows)


def beyond(report: Report) -> str:
    """Return how tensors of more than 2^31 values came out."""
    found = report["beyond"].items()
    return "\n".join(
        f"* {name}: {of.get('error') or format(of['values'], ',') + ' values, every one where it belongs'}" for name, of in found
    )


def layers(report: Report) -> str:
    """Return our speed over what else upsamples."""
    rows = []
    for framework, what in dict.fromkeys((row["framework"], row["what"]) for row in report["layers"]):
        own = [row for row in report["layers"] if (row["framework"], row["what"]) == (framework, what)]
        line = [framework, what, str(len(own))]
        for other in (NATIVE, TRANSPOSED, RESIZE):
            speeds = [row["speed"][other][1] for row in own if other in row["speed"]]
            line.append(f"{geometric(speeds):.2f} ({min(speeds):.2f} to {max(speeds):.2f})" if speeds else "")
        rows.append(line)
    return table(["", "", "layers", *(f"over {other}" for other in (NATIVE, TRANSPOSED, RESIZE))], rows)


def each_layer(report: Report) -> str:
    """Return every layer."""
    names = (NATIVE, TRANSPOSED, RESIZE)
    rows = [
        [
            *(row["framework"], row["what"], str(row["scale"]), "{} → {}".format(*row["channels"]), str(row["extent"])),
            *(f"{row['ms'][LAYER]:.2f}", *(f"{row['speed'][name][1]:.2f}" if name in row["speed"] else "" for name in names)),
        ]
        for row in report["layers"]
    ]
    return table(["", "", "scale", "channels", "extent", "ms", *(f"over {name}" for name in names)], rows)


def chains(report: Report) -> str:
    """Return what chains cost, predicted and measured, over a single stage."""
    rows = []
    for row in report["chains"]:
        whole = next(other for other in report["chains"] if other["layer"] == row["layer"])
        scale, inputs, outputs, extent = row["layer"]
        counts = (f"{row['parameters']:,}", f"{row['macs'] / 1e6:,.0f}", f"{row['macs'] / whole['macs']:.2f}")
        times = [f"{row[name]:.1f} ({row[name] / whole[name]:.2f})" for name in ("forward ms", "training ms")]
        memory = [f"{row[name]:.0f}" for name in ("forward MiB", "training MiB")]
        rows.append([f"×{scale}, {inputs} → {outputs}, {extent}", " · ".join(map(str, row["steps"])), *counts, *times, *memory])
    return table(["", "stages", "parameters", "M MACs", "of one stage", "forward ms", "training ms", "forward MiB", "training MiB"], rows)


def rules(report: Report) -> str:
    """Return, for each side of each rule of the torch backend, the time of the way that it takes over that of the other way."""
    rows = []
    for line in report["summary"]:
        spans = ["{:.2f}, {:.2f}, {:.2f}".format(*values) for values in (line["of_other"], *line["copies"])]
        rows.append([line["what"], f"{line['way']}, not {line['other']}", str(line["cases"]), *spans])
    return table(["where", "the way that is taken", "cases", "time over the other's", "over a copy's", "the other over a copy's"], rows)


TABLES: Mapping[str, Callable[[Report], str]] = {
    function.__name__: function for function in (machine, goals, losses, runs, growth, beyond, layers, each_layer, chains, rules)
}


def filled(page: str, evidence: Path) -> str:
    """Return the page with every table made anew from its report."""

    def made(match: re.Match[str]) -> str:
        start, name, report, end = match.groups()
        return f"{start}{TABLES[name](json.loads((evidence / report).read_text(encoding='utf-8')))}\n{end}"

    return BLOCK.sub(made, page)


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), EVIDENCE), encoding="utf-8")


if __name__ == "__main__":
    main()
