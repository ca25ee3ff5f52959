"""One exported program of PyTorch: load, find, run, choose, replace, write, read back, run both."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from .choice import Replaced, chosen
from .command import Converted
from .layers import DTYPES, Layer
from .pt2_file import load, write, written
from .pt2_layers import given, layers, sharing
from .pt2_nodes import rewrite
from .refusal import DiffersError, UnsuitableError, one_line
from .rounding import apart, used
from .trial import Arrays, Declared, trials

Run = tuple[list[Any], dict[str, Any], list[Any]]
"""The inputs of a program, what its nodes make by name, and its outputs."""


def convert(path: Path, options: argparse.Namespace, example: Mapping[str, Any] | None) -> Converted:
    """Return what the file became; nothing is written yet."""
    original, archive = load(path).program, load(path)  # the one is run, which may change it, and the other converted
    candidates = list(layers(original))
    real = [layer for layer in candidates if isinstance(layer, Layer)]
    if not real:
        return Converted(chosen(candidates, {})[1])
    seen = _runs(original, [layer.input for layer in real], example)
    own = {layer.output: [tuple(nodes[layer.input].shape[-len(layer.scale) :]) for _, nodes, _ in seen] for layer in real}
    extents = {layer.output: _together(layer, real, own) for layer in real}
    replaced, report = chosen(candidates, extents, form=options.form, everything=options.all)
    if not replaced:
        return Converted(report)
    rewrite(archive.program, replaced)
    content, result = written(archive, path.name)
    _untouched(original, result, replaced)
    again = load(path).program
    runs = []
    for inputs, _, before in seen:
        try:
            _, nodes, after = _run(result, inputs, [name for one in replaced for name in (one.layer.input, one.layer.output)])
        except Exception as error:
            raise DiffersError(f"what came out does not run where the original does: {one_line(error)}") from error
        judged = {one.layer.name: _used(one, again, nodes[one.layer.input], nodes[one.layer.output]) for one in replaced}
        outputs = {f"output {n}": apart(str(n), *map(_array, pair)) for n, pair in enumerate(_pairs(after, before))}
        shapes = {name: tuple(x.shape) for name, x in zip(_names(original), inputs, strict=True) if isinstance(x, Tensor)}
        runs.append({"inputs": shapes, "layers": judged, "outputs": outputs})
    return Converted(report, runs, partial(write, content))


def _together(layer: Layer, layers: Sequence[Layer], own: Mapping[str, list[tuple[int, ...]]]) -> list[tuple[int, ...]]:
    """Return the extents on which a layer is judged, its own last: with those of other calls of it, for all get the same weights."""
    others = [other for other in sharing(layer, layers) if other is not layer]
    return [*(extents for other in others for extents in own[other.output]), *own[layer.output]]


class _Recording(fx.Interpreter):
    """Runs a program and keeps what some of its nodes make, before anything may change it in place."""

    def __init__(self, module: fx.GraphModule, names: Sequence[str]) -> None:
        super().__init__(module)
        self.names = set(names)
        self.kept: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node."""
        result = super().run_node(n)
        if n.name in self.names and n.name not in self.kept:
            self.kept[n.name] = result.detach().clone() if isinstance(result, Tensor) else result
        return result


def _run(program: ExportedProgram, inputs: Sequence[Any], names: Sequence[str]) -> Run:
    """Run a program as it is written, with the same random numbers every time."""
    states = {**program.constants, **program.state_dict}
    fed, specs = iter(inputs), program.graph_signature.input_specs
    arguments = [next(fed) if spec.kind is InputKind.USER_INPUT else states.get(str(spec.target)) for spec in specs]
    held = [value.clone() if isinstance(value, Tensor) else value for value in arguments]  # a program may change its inputs and states
    recording = _Recording(program.graph_module, names)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        outputs = recording.run(*held)
    return list(inputs), recording.kept, pytree.tree_leaves(outputs)


def _runs(program: ExportedProgram, names: Sequence[str], example: Mapping[str, Any] | None) -> list[Run]:
    """Return what the program makes of its own example, and of inputs drawn for its extents; or of those that are given."""
    own = pytree.tree_leaves(program.example_inputs) if program.example_inputs is not None else None
    kept = [_run(program, own, names)] if own is not None and example is None and _tells(own) else []

    def run(feeds: Arrays) -> Run:
        inputs: list[Any] = []
        for number, (name, node) in enumerate(zip(_names(program), _inputs(program), strict=True)):
            value = node.meta.get("val")
            if isinstance(value, Tensor):
                inputs.append(torch.from_numpy(np.array(feeds[name])).to(value.device, value.dtype))
            else:
                inputs.append(value if own is None else own[number])
        return _run(program, inputs, names)

    declared = list(_declared(program)) if example is None else []
    if kept and not any(isinstance(extent, str) for _, _, shape in declared for extent in shape):
        return kept
    try:
        return [*trials(run, declared, example), *kept]
    except UnsuitableError:
        if kept:
            return kept
        raise


def _tells(inputs: Sequence[Any]) -> bool:
    """Whether the example of a program would show a difference: it has values, and not zeros alone."""
    floating = [x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
    return bool(floating) and all(bool(x.numel()) and bool(x.isfinite().all()) and bool(x.any()) for x in floating)


def _inputs(program: ExportedProgram) -> list[fx.Node]:
    wanted = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    nodes = {node.name: node for node in program.graph.nodes}
    return [nodes[name] for name in wanted]


def _names(program: ExportedProgram) -> list[str]:
    return [node.name for node in _inputs(program)]


def _declared(program: ExportedProgram) -> Iterator[Declared]:
    for node in _inputs(program):
        value = node.meta.get("val")
        if isinstance(value, Tensor):
            name = str(value.dtype).removeprefix("torch.")
            dtype = np.dtype("float32" if value.is_floating_point() and name not in DTYPES else name)  # of bfloat16 NumPy knows nothing
            yield node.name, dtype, [extent if isinstance(extent, int) else str(extent) for extent in value.shape]


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, Tensor):
        return np.asarray(value)
    wide = value.float() if value.dtype is torch.bfloat16 else value
    return wide.detach().cpu().numpy()


def _pairs(after: Sequence[Any], before: Sequence[Any]) -> list[tuple[Any, Any]]:
    if len(after) != len(before):
        raise DiffersError(f"what came out makes {len(after)} tensors, and the original {len(before)}")
    return list(zip(after, before, strict=True))


def _used(one: Replaced, original: ExportedProgram, x: Tensor, actual: Tensor) -> float:
    """Return the largest part of the bound that a layer uses on one input."""
    layer = one.layer
    states = {**original.constants, **original.state_dict}
    targets = {spec.arg.name: str(spec.target) for spec in original.graph_signature.input_specs if spec.kind is not InputKind.USER_INPUT}

    def alone(x: Tensor, *, absolute: bool = False) -> np.ndarray:
        made: dict[str, Any] = {layer.input: x}
        for node in layer.nodes:
            for weight in (argument for argument in given(node).values() if isinstance(argument, fx.Node) and argument.name not in made):
                held = states[targets[weight.name]].detach()
                made[weight.name] = held.abs().to(x.dtype) if absolute else held
            arguments, named = fx.map_arg((node.args, node.kwargs), lambda argument: made[argument.name])
            made[node.name] = node.target(*arguments, **named)
        return _array(made[layer.output])

    with torch.no_grad():
        wide = torch.promote_types(x.dtype, torch.float32)
        expected, total = alone(x), alone(x.abs().to(wide), absolute=True)
    biased = layer.bias is not None
    terms = layer.products + biased, prod(one.subpixel.kernel.shape[:-1]) + biased
    return used(layer.name, _array(actual), expected, total, terms=terms, added=layer.added)


def _untouched(original: ExportedProgram, result: ExportedProgram, replaced: Sequence[Replaced]) -> None:
    """Refuse a program in which anything but the replaced layers and their weights was changed."""
    gone = {node.name for one in replaced for node in one.layer.nodes}
    before, after = ({node.name: f"{node.target}{node.args}{node.kwargs}" for node in each.graph.nodes} for each in (original, result))
    for name, text in before.items():
        if name not in gone and after.get(name) != text:
            raise DiffersError(f"{name} was not to be replaced, and is another node in what came out")
    weights = {
        spec.target
        for spec in original.graph_signature.input_specs
        for one in replaced
        if spec.arg.name in {node.name for node in one.layer.nodes[-1].all_input_nodes}
    }
    states = ({**each.constants, **each.state_dict} for each in (original, result))
    old, new = states
    for target in old.keys() | new.keys():
        if target not in weights and not _same(old.get(target), new.get(target)):
            raise DiffersError(f"{target} was not to be changed, and has other values in what came out")


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    return one.dtype == other.dtype and one.shape == other.shape and _bytes(one) == _bytes(other)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
