"""Published networks converted: layers, multiply-accumulates and time before and after, and how far the outputs are apart.

    python benchmarks/convert_models.py --json docs/evidence/convert-models-torch-cpu.json

Networks of MONAI, and of further packages where they are installed (`make peers`), as published, at a common size, in float32,
contiguous, one sample. "Everything" is ``convert(model)``, "example" is ``convert(model, example=x)``. Original and conversions run in
turn; a time is the fastest run, with ``--threads 1`` processor time.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
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


def u_net_of_nnu_net(ndim: int) -> Any:
    nn = torch.nn
    conv, norm = {2: (nn.Conv2d, nn.InstanceNorm2d), 3: (nn.Conv3d, nn.InstanceNorm3d)}[ndim]
    widths, strides = (32, 64, 128, 256), (1, 2, 2, 2)
    return import_module("dynamic_network_architectures.architectures.unet").PlainConvUNet(
        1, len(widths), widths, conv, 3, strides, 2, 2, 2, conv_bias=True, norm_op=norm, nonlin=nn.LeakyReLU
    )


def u_net_that_resizes() -> Any:
    apex = import_module("a_unet.apex")
    blocks = [apex.XBlock(channels=channels, factor=2, items=[apex.ResnetItem]) for channels in (32, 64, 128)]
    return apex.XUNet(dim=2, in_channels=3, blocks=blocks, resnet_groups=8, upsample_mode="nearest")


PACKAGES = {"nnU-Net": "dynamic_network_architectures", "LinkNet": "unet3d", "a-unet": "a_unet"}  # of the networks that begin so
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
    "nnU-Net's PlainConvUNet 2-D": (lambda: u_net_of_nnu_net(2), (1, 1, 128, 128)),
    "nnU-Net's PlainConvUNet 3-D": (lambda: u_net_of_nnu_net(3), (1, 1, 32, 32, 32)),
    "LinkNet 3-D": (lambda: import_module("unet3d.linknet3d").LinkNet3d(), (1, 1, 64, 64, 64)),
    "a-unet 2-D, nearest": (u_net_that_resizes, (1, 3, 128, 128)),
}


def absent(name: str) -> list[str]:
    """Return the package that a network would need, if it is not installed."""
    return [package for start, package in PACKAGES.items() if name.startswith(start) and find_spec(package) is None]


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
    rows = [measured(name, options.threads, options.seconds) for name in track(NETWORKS, transient=True) if not absent(name)]
    show(rows)
    for name in filter(absent, NETWORKS):
        print(f"skipped: {name}, for {absent(name)[0]} is not installed")
    if options.json:
        versions = machine("torch", "monai", "dynamic-network-architectures", "unet3d", "a-unet")
        options.json.write_text(json.dumps({"machine": versions, "threads": options.threads, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
