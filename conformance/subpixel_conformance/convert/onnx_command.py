"""One ONNX file: load, find, run, choose, replace, run both."""

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from .choice import chosen
from .command import Converted
from .layers import Layer
from .onnx_check import judge, loaded, runs
from .onnx_file import load, write
from .onnx_model import found, rewritten


def convert(path: Path, options: argparse.Namespace, example: Mapping[str, Any] | None) -> Converted:
    """Return what the file became; nothing is written yet."""
    model, beside = load(path)
    loaded(model)  # which finds what is damaged, before anything else reads it
    candidates = found(model)
    real = [layer for layer in candidates if isinstance(layer, Layer)]
    seen = runs(model, real, example)
    extents = {layer.output: [run[layer.input].shape[2:] for run in seen] for layer in real}
    replaced, report = chosen(candidates, extents, form=options.form, everything=options.all)
    if not replaced:
        return Converted(report)
    result = rewritten(model, replaced)
    judged = judge(model, result, replaced, seen)
    return Converted(report, [asdict(run) for run in judged], partial(write, result, beside=beside))
