"""Published networks converted: layers, multiply-accumulates and time before and after, and how far the outputs are apart.

    python benchmarks/convert_models.py --json docs/evidence/convert-models-torch-cpu.json

MONAI's networks as published, at a common size, in float32, contiguous, one sample. "Everything" is ``convert(model)``, "example" is
``convert(model, example=x)``. Original and conversions run in turn; a time is the fastest run, with ``--threads 1`` processor time.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from equivalence import fastest
from interleaved import machine
from monai.networks import nets
from rich.console import Console
from rich.progress import track
from rich.table import Table

from subpixel_torch import convert

NETWORKS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "UNet 2-D": (lambda: nets.UNet(2, 1, 2, (16, 32, 64, 128), (2, 2, 2), num_res_units=2), (1, 1, 128, 128)),
    "UNet 3-D": (lambda: nets.UNet(3, 1, 2, (16, 32, 64), (2, 2), num_res_units=2), (1, 1, 32, 32, 32)),
    "BasicUNet 2-D": (lambda: nets.BasicUNet(2, 1, 2, upsample="deconv"), (1, 1, 128, 128)),
    "BasicUNet 3-D": (lambda: nets.BasicUNet(3, 1, 2, upsample="deconv"), (1, 1, 32, 32, 32)),
    "BasicUNet 2-D, nontrainable": (lambda: nets.BasicUNet(2, 1, 2, upsample="nontrainable"), (1, 1, 128, 128)),
    "DynUNet 2-D": (lambda: nets.DynUNet(2, 1, 2, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2]), (1, 1, 128, 128)),
    "SegResNet 2-D": (lambda: nets.SegResNet(2, init_filters=16, upsample_mode="deconv"), (1, 1, 128, 128)),
    "VNet 2-D": (lambda: nets.VNet(spatial_dims=2, in_channels=1, out_channels=2), (1, 1, 128, 128)),
    "AttentionUnet 2-D": (lambda: nets.AttentionUnet(2, 1, 2, (16, 32, 64), (2, 2)), (1, 1, 128, 128)),
}


def measured(name: str, threads: int, seconds: float) -> dict[str, Any]:
    make, shape = NETWORKS[name]
    torch.manual_seed(0)
    model, x = make().eval(), torch.randn(shape)
    everything, report = convert(model)
    chosen, decided = convert(model, example=x)

    def run(network: torch.nn.Module) -> Callable[[], None]:
        def forward() -> None:
            with torch.inference_mode():
                network(x)

        return forward

    with torch.inference_mode():
        apart = float((everything(x) - model(x)).abs().max() / model(x).abs().max())
    clock = time.thread_time if threads == 1 else time.perf_counter
    times = fastest({"original": run(model), "everything": run(everything), "example": run(chosen)}, seconds, clock)
    return {
        "network": name,
        "layers": len(report.rows),
        "everything": len(report.converted),
        "example": len(decided.converted),
        "macs_before": sum(row.macs_before or 0 for row in decided.converted),
        "macs_after": sum(row.macs_after or 0 for row in decided.converted),
        "apart": apart,
        "reasons": sorted({row.reason for row in (*report.left, *decided.left)}),
        "milliseconds": times,
    }


def show(rows: list[dict[str, Any]]) -> None:
    heads = (
        "network",
        "layers",
        "converted",
        "with example",
        "their MACs before",
        "after",
        "output apart",
        "ms before",
        "everything",
        "example",
    )
    table = Table(*heads, title="published networks, converted")
    for row in rows:
        table.add_row(
            row["network"],
            *(str(row[key]) for key in ("layers", "everything", "example")),
            *(f"{row[key]:,}" for key in ("macs_before", "macs_after")),
            f"{row['apart']:.0e}",
            *(f"{row['milliseconds'][key]:.1f}" for key in ("original", "everything", "example")),
        )
    Console(width=160).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2, help="at least, per network")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [measured(name, options.threads, options.seconds) for name in track(NETWORKS, transient=True)]
    show(rows)
    if options.json:
        versions = machine("torch", "monai")
        options.json.write_text(json.dumps({"machine": versions, "threads": options.threads, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
