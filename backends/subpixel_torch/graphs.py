"""Which convolution is all that reads a resize, and what a forward does with its layers beside calling them: read off graphs of `torch.fx`.

A forward is followed with symbols for values. Where that cannot be done, or where what it does may be another thing the next time, nothing
is known of it, and nothing in it is replaced.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from subpixel_torch.layers import ChainedSubpixelConv1d, ChainedSubpixelConv2d, ChainedSubpixelConv3d, ExactSubpixelConv

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
RESIZES = (nn.Upsample, nn.UpsamplingNearest2d)
CHAINS = (ChainedSubpixelConv1d, ChainedSubpixelConv2d, ChainedSubpixelConv3d)


@dataclass(frozen=True)
class Graphs:
    """What can be read of how a model calls its layers: for each path of a module that is only called whole, its forward's graphs.

    The model itself is called whole, and so are the members of a `Sequential` that is. Empty where a forward cannot be traced: what it does
    with its parts is then not known. ``changed`` are the paths of layers to which a forward does more than to call them.
    """

    of: Mapping[str, Sequence[fx.Graph]]
    changed: frozenset[str]

    def described(self) -> list[Any]:
        """Return all that the graphs say, to be compared."""
        return [(path, [_described(graph) for graph in graphs]) for path, graphs in self.of.items()]

    def read(self) -> set[str]:
        """Return the paths of the modules whose parameters a forward reads itself, and of those that it changes."""
        targets = ((path, node) for path, graphs in self.of.items() for graph in graphs for node in graph.nodes if node.op == "get_attr")
        return {f"{path}{str(node.target).rpartition('.')[0]}" for path, node in targets} | self.changed


def graphs_of(model: nn.Module) -> Graphs:
    """Return what can be read of how a model calls its layers."""
    of: dict[str, Sequence[fx.Graph]] = {}
    copied = copy_of(model)
    settings = {path: _settings(module) for path, module in copied.named_modules()}

    def search(prefix: str, module: nn.Module) -> None:
        of[prefix] = _traced(module)
        if type(module) is nn.Sequential:
            for name, child in module.named_children():
                if not _Tracer().is_leaf_module(child, name):
                    search(f"{prefix}{name}.", child)

    search("", copied)
    return Graphs(of, frozenset(path for path, module in copied.named_modules() if settings.get(path) != _settings(module)))


def _settings(module: nn.Module) -> dict[str, Any]:
    """Return what a layer was made with, as far as it is plain values; whether it trains is none of it."""
    plain = (bool, int, float, str, tuple, type(None))
    return {key: value for key, value in vars(module).items() if isinstance(value, plain) and key != "training"}


def _described(graph: fx.Graph) -> list[Any]:
    return [(node.op, str(node.target), str(node.args), str(node.kwargs)) for node in graph.nodes]


def pairs_of(model: nn.Module, graphs: Graphs) -> Iterator[tuple[str, str]]:
    """Yield the paths of each resize with that of the convolution that is proved to be all that reads its output."""
    paths = paths_of(model)
    for prefix, own in graphs.of.items():
        module = model.get_submodule(prefix.rstrip("."))
        for resize, conv in set.intersection(*map(_adjacent, own)) if own else set():
            both = [module.get_submodule(target) for target in (resize, conv)]
            inside = all(place.startswith(prefix) for layer in both for place in paths[layer])
            if inside and isinstance(both[0], RESIZES) and isinstance(both[1], CONVOLUTIONS):
                yield paths[both[0]][0], paths[both[1]][0]


def _traced(module: nn.Module) -> list[fx.Graph]:
    """Return what the forward does with symbols for values: in training and not, with gradients and without, each time three times.

    Nothing where it may do something else: also where it draws random numbers itself, on which a branch may hang that is taken once in a
    thousand times. A forward that hangs on more than that, on a flag that is set later say, is not seen through.
    """
    if type(module) is nn.Sequential:
        tracer: type[fx.Tracer] = _OfMembers
    elif any(parameter.default is not parameter.empty for parameter in signature(module.forward).parameters.values()):
        return []
    else:
        tracer = _Tracer
    graphs = []
    with undisturbed() as drawn:
        try:
            for training, gradients, _ in product((True, False), (True, False), range(3)):
                with torch.set_grad_enabled(gradients):
                    graphs.append(tracer().trace(module.train(training)))
        except Exception:  # a forward may raise anything when its values are no numbers
            return []
        if drawn():
            return []
    same = all(len({str(_described(graph)) for graph in graphs[first : first + 6]}) == 1 for first in (0, 6))
    kept = any(type(value) is _Symbol for part in module.modules() for value in vars(part).values())
    return [] if kept or not same else [graphs[0], graphs[6]]


class _Symbol(fx.Proxy):
    """Stands for a tensor also where a forward asks whether something is one."""

    __class__ = property(lambda self: Tensor)
    _is_param = _is_buffer = False


class _Tracer(fx.Tracer):
    """Follows a forward with symbols."""

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Symbol(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (ExactSubpixelConv, *CHAINS)) or super().is_leaf_module(m, module_qualified_name)

    def create_arg(self, a: Any) -> Any:
        return a.node if type(a) is _Symbol else super().create_arg(a)


class _OfMembers(_Tracer):
    """Follows the forward of a `Sequential` and of none of its members."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _adjacent(graph: fx.Graph) -> set[tuple[str, str]]:
    """Return the pairs of a resize and a convolution that stand together wherever one of them is called."""
    called: dict[str, list[fx.Node]] = defaultdict(list)
    for node in graph.nodes:
        if node.op == "call_module":
            called[node.target].append(node)

    def readers(node: fx.Node) -> list[Any]:
        return [user.target if user.op == "call_module" and user.args == (node,) and not user.kwargs else None for user in node.users]

    def source(node: fx.Node) -> Any:
        return node.args[0].target if node.args and isinstance(node.args[0], fx.Node) and node.args[0].op == "call_module" else None

    found = set()
    for target, nodes in called.items():
        read = {str(reader) for node in nodes for reader in readers(node)}
        if len(read) == 1 and all(len(node.users) == 1 for node in nodes):
            (conv,) = read
            if all(source(node) == target for node in called.get(conv, ())) and conv in called:
                found.add((target, conv))
    return found


def paths_of(model: nn.Module) -> dict[nn.Module, list[str]]:
    """Return for every module all the places at which it stands in a model."""
    paths: dict[nn.Module, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(module, []).append(path)
    return paths


def copy_of(model: nn.Module) -> nn.Module:
    """Return a copy; what a hook has computed from parameters, which torch refuses to copy, is computed again in its next forward."""
    computed = (value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor) and not value.is_leaf)
    return deepcopy(model, {id(value): value.detach().clone() for value in computed})


@contextmanager
def undisturbed() -> Iterator[Callable[[], bool]]:
    """Leave the random numbers of torch, of Python and of NumPy as they were; what is yielded says whether any was drawn."""
    before = _generators()
    legacy, numbers = np.random.get_state(), random.getstate()
    with torch.random.fork_rng():
        try:
            yield lambda: _generators() != before
        finally:
            np.random.set_state(legacy)
            random.setstate(numbers)


def _generators() -> tuple[Any, ...]:
    legacy: Any = np.random.get_state(legacy=False)
    return bytes(torch.get_rng_state().untyped_storage()), random.getstate(), legacy["state"]["key"].tobytes(), legacy["state"]["pos"]
