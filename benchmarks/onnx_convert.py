"""Models as PyTorch exports them to ONNX against what `subpixel convert` makes of them, in onnxruntime on the CPU.

    python benchmarks/onnx_convert.py --threads 1 --json docs/evidence/onnx-convert-cpu.json

A ratio is the median over rounds in which original and converted take turns. `--all` is given, so that the table also shows what the
command leaves by default: layers that take more multiply-accumulates.
"""

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from interleaved import interleaved, machine
from monai.networks.nets import BasicUNet, UNet
from torch import nn

from subpixel_conformance import cli


def deconvolutions(width=64, kernel_size=4):
    """The article's decoder: three transposed convolutions, from 8 x 8 to 64 x 64."""
    layers = []
    for channels in (4 * width, 2 * width, width):
        padding, more = divmod(kernel_size - 2, 2)
        layers += [nn.ConvTranspose2d(channels, channels // 2, kernel_size, 2, padding + more, output_padding=more), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width // 2, 3, 3, padding=1))


def resizes(width=64):
    """The same by resize and convolution."""
    layers = []
    for channels in (4 * width, 2 * width, width):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels // 2, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(width // 2, 3, 3, padding=1))


FEATURES = (16, 16, 32, 64, 128, 16)
MODELS = {
    "decoder, transposed 4 × 4": (deconvolutions, (4, 256, 8, 8)),
    "decoder, transposed 3 × 3": (lambda: deconvolutions(kernel_size=3), (4, 256, 8, 8)),
    "decoder, resize and 3 × 3": (resizes, (4, 256, 8, 8)),
    "MONAI BasicUNet, deconv, 2-D": (lambda: BasicUNet(2, 1, 2, features=FEATURES, upsample="deconv"), (4, 1, 96, 128)),
    "MONAI BasicUNet, deconv, 3-D": (lambda: BasicUNet(3, 1, 2, features=FEATURES, upsample="deconv"), (1, 1, 32, 48, 64)),
    "MONAI UNet, 2-D": (lambda: UNet(2, 1, 2, (16, 32, 64, 128), (2, 2, 2), num_res_units=2), (4, 1, 96, 128)),
}


def measured(name, rounds, threads, folder):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    path, converted, report = folder / "m.onnx", folder / "m.subpixel.onnx", folder / "report.json"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(make().eval(), (torch.zeros(shape),), path, dynamo=True, external_data=False, verbose=False)
    with report.open("w") as out:
        kept, sys.stdout = sys.stdout, out
        try:
            status = cli.main(["convert", str(path), "-o", str(converted), "--force", "--all", "--report", "json"])
        finally:
            sys.stdout = kept
    if status:
        raise SystemExit(status)
    layers = json.loads(report.read_text())["layers"]
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {label: onnxruntime.InferenceSession(str(file), options) for label, file in (("original", path), ("converted", converted))}
    runs = {label: lambda session=session: session.run(None, {session.get_inputs()[0].name: x}) for label, session in sessions.items()}
    timings = {timing.name: timing for timing in interleaved(runs, "original", rounds=rounds)}
    low, middle, high = timings["converted"].speed
    return {
        "model": name,
        "input": shape,
        "converted": len([layer for layer in layers if layer["form"]]),
        "layers": len(layers),
        "macs": sum(layer["macs_after"] for layer in layers) / sum(layer["macs_before"] for layer in layers),
        "original_ms": timings["original"].milliseconds,
        "converted_ms": timings["converted"].milliseconds,
        "speed": middle,
        "quartiles": [low, high],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0, help="of onnxruntime; 0, the default: as many as there are cores")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS:
            row = measured(name, options.rounds, options.threads, Path(folder))
            rows.append(row)
            print(
                f"{name:30}  {row['converted']} of {row['layers']} layers  MACs × {row['macs']:.2f}  "
                f"{row['original_ms']:8.2f} ms -> {row['converted_ms']:8.2f} ms  speed {row['speed']:.2f} "
                f"({row['quartiles'][0]:.2f} to {row['quartiles'][1]:.2f})",
                flush=True,
            )
    if options.json:
        command = f"python benchmarks/onnx_convert.py --rounds {options.rounds} --threads {options.threads}"
        document = {"command": command, "machine": machine("onnxruntime", "onnx", "torch", "monai", "numpy"), "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
