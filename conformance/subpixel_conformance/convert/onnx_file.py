"""Reading and writing ONNX models, weights beside them in a file of their own included."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx.external_data_helper import ExternalDataInfo, set_external_data, uses_external_data

from .onnx_graph import subgraphs
from .refusal import MisusedError, UnsuitableError, one_line

LARGEST = 2**31 - 2**20
"""Bytes of weights beyond which a model no longer fits one protocol buffer, with room for its nodes."""
SMALL = 1024
"""Bytes of a tensor up to which it stays in the model where the others are beside it."""


def load(path: Path) -> tuple[onnx.ModelProto, set[Path]]:
    """Return the model, with all weights in memory, and the files beside it that some of them were in.

    Raises
    ------
    UnsuitableError
        If the file is no ONNX model, or a damaged one.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
        outside = [tensor for tensor in _initializers(model.graph) if uses_external_data(tensor)]
        beside = {path.parent / ExternalDataInfo(tensor).location for tensor in outside}
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
    if beside or is_large(model):  # not by onnx.save, which takes a file of that name in the working directory for the one it would write
        for tensor in _initializers(model.graph):
            if len(tensor.raw_data) > SMALL:
                set_external_data(tensor, data(path).name)
    onnx.save(model, str(path))


def data(path: Path) -> Path:
    """Return where the weights of a model are that are not in it."""
    return path.with_name(f"{path.name}.data")


def write(model: onnx.ModelProto, path: Path, *, beside: set[Path]) -> list[Path]:
    """Write a model all at once: into a folder next to its place, and from there into it. An interruption leaves nothing behind.

    Its weights are beside it where those of the original were, in the files ``beside``. Where they are not, a file of weights that an
    earlier model has left at that place is removed.

    Raises
    ------
    MisusedError
        If the weights would overwrite those of the original.
    """
    for place in (path, data(path)):
        if place.exists() and any(place.samefile(weights) for weights in beside):
            raise MisusedError(f"{place} holds the weights of the model itself; -o FILE writes another")
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        save(model, Path(folder) / path.name, beside=bool(beside))
        parts = sorted(Path(folder).iterdir(), key=lambda part: part.name == path.name)  # the model last
        new = [path.parent / part.name for part in parts if not (path.parent / part.name).exists()]
        try:
            for part in parts:
                os.replace(part, path.parent / part.name)
        except BaseException:
            for place in new:
                place.unlink(missing_ok=True)
            raise
    written = [path.parent / part.name for part in parts]
    if data(path) not in written:
        data(path).unlink(missing_ok=True)
    return written


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Yield the weights of a graph and of those inside it."""
    yield from graph.initializer
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _initializers(inner)
