"""Reading and writing ONNX models, weights beside them in a file of their own included."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx.external_data_helper import uses_external_data

from .refusal import UnsuitableError, one_line

LARGEST = 2**31 - 2**20
"""Bytes of weights beyond which a model no longer fits one protocol buffer, with room for its nodes."""


def load(path: Path) -> tuple[onnx.ModelProto, bool]:
    """Return the model, with all weights in memory, and whether some of them were in a file beside it.

    Raises
    ------
    UnsuitableError
        If the file is no ONNX model, or a damaged one.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        beside = any(uses_external_data(tensor) for tensor in model.graph.initializer)
        if not model.graph.node and not model.graph.output:
            raise UnsuitableError(f"{path} is no ONNX model: it has no graph")
        if beside:
            onnx.load_external_data_for_model(model, str(path.parent))
    except UnsuitableError:
        raise
    except Exception as error:  # of protobuf, and of what damaged bytes lead to
        raise UnsuitableError(f"{path} is damaged or no ONNX model: {one_line(error)}") from error
    return model, beside


def is_large(model: onnx.ModelProto) -> bool:
    """Return whether the weights are too many for one protocol buffer."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST


def save(model: onnx.ModelProto, path: Path, *, beside: bool = False) -> None:
    """Write a model, its weights beside it in ``path.data`` where that is wanted or they are too many. The model is changed by that."""
    options = {"save_as_external_data": True, "location": f"{path.name}.data", "size_threshold": 1024} if beside or is_large(model) else {}
    onnx.save(model, str(path), **options)


def write(model: onnx.ModelProto, path: Path, *, beside: bool) -> list[Path]:
    """Write a model all at once: into a folder next to its place, and from there into it. An interruption leaves nothing behind."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        save(model, Path(folder) / path.name, beside=beside)
        parts = sorted(Path(folder).iterdir(), key=lambda part: part.name == path.name)  # the model last
        new = [path.parent / part.name for part in parts if not (path.parent / part.name).exists()]
        try:
            for part in parts:
                os.replace(part, path.parent / part.name)
        except BaseException:
            for place in new:
                place.unlink(missing_ok=True)
            raise
    return [path.parent / part.name for part in parts]
