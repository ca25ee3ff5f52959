"""A ``.pt2`` file, as `torch.export.save` writes it: read without running what is in it, and written complete or not at all.

`torch.export.load` unpickles some entries, evaluates expressions in text, and looks up functions by their names. So all of that is
looked at before: what could be more than tensors, operators of ``torch.ops`` and arithmetic of extents is refused.
"""

import ast
import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.pt2_archive._package import PT2ArchiveReader, load_pt2

from .refusal import DiffersError, UnsuitableError, one_line

OPERATOR = re.compile(
    r"torch\.ops\.[a-zA-Z]\w*\.\w+(\.\w+)?|torch\._?sym_\w+|math\.\w+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|getitem|eq|ne|lt|le|gt|ge|and_|or_|xor|not_|inv|lshift|rshift)"
)
ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.BoolOp,
    ast.Compare,
    ast.operator,
    ast.unaryop,
    ast.boolop,
    ast.cmpop,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Call,
    ast.keyword,
    ast.Tuple,
)
FUNCTIONS = ("floor", "ceiling", "ceil", "sqrt", "log", "exp", "log2", "abs", "min", "max", "float", "int", "bool", "round", "trunc")
OF_INPUTS = ("size", "stride", "storage_offset", "dim")


@dataclass(frozen=True)
class Archive:
    """A program, and the texts that its author has put beside it."""

    program: ExportedProgram
    beside: dict[str, Any]


def load(path: Path) -> Archive:
    """Return what is in a file.

    Raises
    ------
    UnsuitableError
        If it is damaged, of a version of torch that this one does not read, or holds something that could run code.
    """
    return read(path.read_bytes(), path.name)


def read(content: bytes, name: str) -> Archive:
    """Return what is in an archive, as `load` does."""
    version = "an unknown torch"
    try:
        with _silent():
            version = _looked_at(content, name)
            found = load_pt2(io.BytesIO(content))
    except UnsuitableError:
        raise
    except Exception as error:  # of a damaged file, anything
        why = f"it was written by {version}, and this is torch {torch.__version__}"
        raise UnsuitableError(f"{name} is damaged, or does not fit this torch ({why}): {one_line(error)[:300]}") from error
    (program,) = found.exported_programs.values()
    return Archive(program, found.extra_files)


def write(content: bytes, output: Path) -> list[Path]:
    """Put a file in its place all at once."""
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        part = Path(folder) / output.name
        part.write_bytes(content)
        os.replace(part, output)
    return [output]


def written(archive: Archive, name: str) -> tuple[bytes, ExportedProgram]:
    """Return the bytes of a program's file, and the program that comes back from them."""
    buffer = io.BytesIO()
    try:
        with _silent():
            torch.export.save(archive.program, buffer, extra_files=archive.beside)
    except Exception as error:
        raise DiffersError(f"torch does not write what came out of {name}: {one_line(error)[:300]}") from error
    return buffer.getvalue(), read(buffer.getvalue(), f"what came out of {name}").program


@contextmanager
def _silent() -> Iterator[None]:
    """Keep back what torch tells in passing: whatever matters is in an exception."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _looked_at(content: bytes, name: str) -> str:
    """Return the version of torch that wrote an archive; refuse one that could run code when it is loaded, or when it runs."""
    with PT2ArchiveReader(io.BytesIO(content)) as archive:
        names = archive.get_file_names()
        if len(set(names)) < len(names):
            raise UnsuitableError(f"{name} holds two entries of one name")
        models = [entry for entry in names if entry.startswith("models/")]
        if any(entry.startswith("data/aotinductor/") for entry in names):
            raise UnsuitableError(f"{name} holds a compiled library, which is not run; export the model, and convert that")
        if models != ["models/model.json"]:
            raise UnsuitableError(f"{name} must hold one exported program, 'model'; got {', '.join(models) or 'none'}")
        model = json.loads(archive.read_bytes(models[0]))
        for config in (entry for entry in names if entry.endswith("_config.json")):
            for tensor, how in json.loads(archive.read_bytes(config))["config"].items():
                if how["use_pickle"] or not how["path_name"].startswith(("weight_", "tensor_")):
                    raise UnsuitableError(f"{name} is not loaded: {tensor} is pickled in it, and so can run any code")
        pickled = [entry for entry in names if entry.startswith(("data/weights/", "data/constants/")) and entry.endswith(".pt")]
        if pickled:
            raise UnsuitableError(f"{name} is not loaded: {pickled[0]} is pickled in it, and so can run any code")
        for entry in (entry for entry in names if entry.startswith("data/sample_inputs/")):
            _only_tensors(archive.read_bytes(entry), name)
    for text in _not_plain(model):
        raise UnsuitableError(f"{name} is not loaded: {text[:60]!r} in it is no operator and no arithmetic, and so can run any code")
    return f"torch {model.get('torch_version', 'of an unknown version')}"


def _only_tensors(content: bytes, name: str) -> None:
    """Refuse inputs that come back by running code only: `torch.export.load` would then do so."""
    if content:
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:
            raise UnsuitableError(f"{name} is not loaded: its example inputs are more than tensors, and so can run any code") from error


def _not_plain(value: Any, key: str = "") -> Iterator[str]:
    """Yield the texts in a program that torch looks up or evaluates and that are more than operators and arithmetic."""
    if isinstance(value, dict):
        for inner, entry in value.items():
            yield from _not_plain(entry, inner)
    elif isinstance(value, list):
        for entry in value:
            yield from _not_plain(entry, key)
    elif isinstance(value, str):
        if key in ("target", "as_operator") and value.startswith(("torch", "_operator", "math", "#")):
            if not OPERATOR.fullmatch(value) or "__" in value or ".from_file" in value:
                yield value
        elif (key == "expr_str" and not _is_arithmetic(value)) or (key == "guards_code" and not _is_arithmetic(value, guard=True)):
            yield value
        elif key in ("in_spec", "out_spec") and any(word in value for word in ("__enum__", "default_factory", r"\u")):
            yield value  # which imports a module by its name


def _is_arithmetic(text: str, *, guard: bool = False) -> bool:
    """Whether a text computes with numbers and extents alone; a guard may ask an input for its extents."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    allowed = (*ARITHMETIC, ast.Subscript, ast.Attribute) if guard else ARITHMETIC
    return all(isinstance(node, allowed) and _is_harmless(node, guard) for node in ast.walk(tree))


def _is_harmless(node: ast.AST, guard: bool) -> bool:
    if isinstance(node, ast.Call):
        of_input = guard and isinstance(node.func, ast.Attribute)
        return of_input or (isinstance(node.func, ast.Name) and _is_function(node.func.id))
    if isinstance(node, ast.Attribute):
        return node.attr in OF_INPUTS
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.isidentifier() or re.fullmatch(r"[-+.\de]+", node.value) is not None
    return not isinstance(node, ast.Name) or "__" not in node.id


def _is_function(name: str) -> bool:
    return name in FUNCTIONS or re.fullmatch(r"[A-Z]\w*", name) is not None
