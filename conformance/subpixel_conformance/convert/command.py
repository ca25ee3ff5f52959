"""The command line: ``subpixel convert MODEL``.

Exit status: 0 converted, or nothing to do; 1 what came out differs, and nothing was written; 2 usage; 3 a file that is damaged or of a kind
that is not converted.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from subpixel_conformance.terminal import Cell, Screen
from subpixel_core import ConversionReport

from .refusal import MisusedError, RefusalError, UnsuitableError

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".h5", ".hdf5")
NEEDED = {
    ".onnx": ("onnx and onnxruntime", "onnx", "onnx_command"),
    ".keras": ("Keras on TensorFlow", "tensorflow", "keras_model"),
    ".pt2": ("PyTorch", "torch", "pt2_command"),
}
"""For every kind of file, what must be installed, the extra that installs it, and the module that converts."""
EPILOG = (
    "Exit status: 0 converted, or nothing to do; 1 what came out differs, and nothing was written; 2 usage; 3 a file that is damaged or of "
    "a kind that is not converted."
)


@dataclass(frozen=True)
class Converted:
    """What one file became: the report, what every run of both showed, and how to write it (None where nothing was converted)."""

    report: ConversionReport
    runs: list[dict[str, Any]] = field(default_factory=list)
    write: Callable[[Path], list[Path]] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file: .onnx, .keras, or .pt2 of torch.export")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="beside MODEL by default: MODEL.subpixel.onnx, .keras or .pt2")
    parser.add_argument("--force", action="store_true", help="overwrite FILE, and the weights beside it (FILE.data), if they are there")
    parser.add_argument(
        "--form", choices=("best", "minimal", "aligned"), default="best", help="best, the default: the one with the fewest MACs, by layer"
    )
    parser.add_argument("--all", action="store_true", help="also replace layers that then take more MACs")
    parser.add_argument("--inputs", type=Path, metavar="FILE", help="inputs to run both models on, by name, as numpy.savez writes them")
    parser.add_argument("--report", choices=("table", "json"), default="table", help="what to print (%(default)s)")


def command(options: argparse.Namespace, screen: Screen) -> int:
    """Convert one file, check it, write it, and return the exit status."""
    try:
        path, output = _places(options)
        converted = _kind(path)(path, options, _example(options.inputs))
        written = [] if converted.write is None else _written(converted.write, output)
    except RefusalError as refusal:
        sys.stderr.write(f"subpixel convert: {refusal}\n")
        return refusal.status
    if options.report == "json":
        sys.stdout.write(json.dumps(_document(path, written, converted), indent=1) + "\n")
    else:
        _show(path, written, converted, screen)
    return 0


def _places(options: argparse.Namespace) -> tuple[Path, Path]:
    """Return what to read and where to write; refuse now what could not be written after minutes of work."""
    path: Path = options.model
    if not path.is_file():
        raise MisusedError(f"{path} is {'a folder, not a file' if path.is_dir() else 'not there'}")
    output: Path = options.output or path.with_name(f"{path.stem}.subpixel{path.suffix}")
    if output.suffix != path.suffix:
        raise MisusedError(f"{output} must end in {path.suffix}, as {path.name} does")
    if output.is_dir():
        raise MisusedError(f"{output} is a folder, not a file")
    if output.exists() and output.samefile(path):
        raise MisusedError(f"{output} is the model itself")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise MisusedError(f"{output} cannot be written: {output.parent} is not a folder that can be written to")
    for there in (output, output.with_name(f"{output.name}.data")):
        if there.exists() and not options.force:
            raise MisusedError(f"{there} is there already; --force overwrites it")
    return path, output


def _kind(path: Path) -> Callable[[Path, argparse.Namespace, Mapping[str, Any] | None], Converted]:
    """Return what converts files of this kind."""
    suffix = path.suffix.lower()
    if suffix in PICKLED:
        raise UnsuitableError(
            f"{path} is not loaded: a {suffix} file can run any code when it is; "
            "export the model to ONNX or by torch.export, or save it as .keras"
        )
    if suffix not in NEEDED:
        raise UnsuitableError(f"{path} is of no kind that is converted: {', '.join(NEEDED)}")
    needed, extra, module = NEEDED[suffix]
    try:
        return import_module(f"subpixel_conformance.convert.{module}").convert
    except ImportError as error:
        raise MisusedError(f"{path} needs {needed}; pip install 'subpixel-spec[{extra}]' ({error})") from error


def _example(path: Path | None) -> Mapping[str, Any] | None:
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            example = dict(archive)
    except (OSError, ValueError, TypeError) as error:
        raise MisusedError(f"{path} must be an archive that numpy.savez has written; {' '.join(str(error).split())}") from error
    _tells_something(example)
    return example


def _tells_something(example: Mapping[str, np.ndarray]) -> None:
    """Refuse inputs that every conversion would be equal on, a wrong one too."""
    for name, x in example.items():
        if not x.size:
            raise MisusedError(f"--inputs must have at least one value for every input, or nothing is compared; got {name} {x.shape}")
    floating = {name: x for name, x in example.items() if x.dtype.kind == "f"}
    for name, x in (floating or example).items():
        if x.dtype.kind in "biuf" and not x.any():
            raise MisusedError(f"--inputs must have values other than 0, on which wrong kernels are equal too; got {name} of zeros only")


def _written(write: Callable[[Path], list[Path]], output: Path) -> list[Path]:
    try:
        return write(output)
    except OSError as error:
        raise MisusedError(f"{output} cannot be written: {error.strerror or error}") from error


def _document(path: Path, written: list[Path], converted: Converted) -> dict[str, Any]:
    return {
        "model": str(path),
        "written": [str(place) for place in written],
        "layers": [asdict(row) for row in converted.report.rows],
        "runs": converted.runs,
    }


def _show(path: Path, written: list[Path], converted: Converted, screen: Screen) -> None:
    rows: list[list[Cell]] = []
    for row in converted.report.rows:
        form = (row.form, "green") if row.form else ("left", "yellow")
        macs = ["–" if count is None else f"{count:,}" for count in (row.macs_before, row.macs_after)]
        rows.append([row.layer, row.kind, form, *macs, row.reason])
    if rows:
        screen.table(str(path), ["layer", "kind", "form", "MACs before", "after", "why"], rows, right=(3, 4))
    for run in converted.runs:
        inputs = ", ".join(f"{name} {tuple(shape)}" for name, shape in run["inputs"].items())
        outputs = ", ".join(f"{name} by {far:.1e} at values to {large:.1e}" for name, (far, large) in run["outputs"].items())
        screen.line(f"run on {inputs}: layers at most {max(run['layers'].values()):.2g} of what rounding allows; outputs differ: {outputs}")
    if written:
        screen.line(f"wrote {', '.join(map(str, written))}", "green")
    else:
        screen.line("nothing to convert: nothing written", "yellow")
