"""Models for other runtimes: ONNX. `torch.export` takes every module of this package as it is."""

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import getclosurevars
from math import prod
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subpixel_core import DATA_FORMATS, DataFormat, Stage
from subpixel_core._weights import replace_file
from subpixel_core.check import (
    answered,
    file_path,
    flag,
    of_kind,
    one_file,
    one_of,
    opset,
    opset_written,
    real_example,
    runnable,
    same_answer,
    same_format,
    several,
    telling,
    traceable,
)
from subpixel_torch.layers import PhaseShift, _ChainedSubpixelConv, _SubpixelConv
from subpixel_torch.ops import inverse_phase_shift, phase_shift

_axes = {3: ("length",), 4: ("height", "width"), 5: ("depth", "height", "width")}


def to_onnx(
    model: nn.Module | Callable[..., Tensor],
    example: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    dynamic_shapes: Any = None,
    data_format: DataFormat = "channels_first",
    opset_version: int = 18,
    verify: bool = True,
) -> None:
    """Write a model as one ONNX file, through `torch.onnx.export`, and run it in onnxruntime before it is there.

    A 2-D shift by one factor is ``DepthToSpace``, the inverse ``SpaceToDepth``; every other shift is transposes of at most five axes. In
    layers the channel order is folded into the kernel.

    Parameters
    ----------
    model : Module or callable
        Of this package, or any that has such layers. It is exported as it computes in evaluation, and so are the modules that a function
        holds: in its closure, in a `functools.partial`, by the name of a global, or as an attribute of an object
        among these.
    example : Tensor or sequence of Tensor
        The inputs, for their shapes and dtypes and to verify the file on: finite, and different along every axis.
    path : path-like
        What it names is replaced in one step, once everything is done.
    dynamic_shapes : optional
        As in `torch.onnx.export`. By default every axis but the channels may have any extent.
    data_format : {"channels_first", "channels_last"}
        Where that axis is, the second or the last.
    opset_version : int
        18 or more, as far as `torch.onnx.export` writes it.
    verify : bool
        Run the file in onnxruntime on the example, and on the example twice along every axis that may have any extent. A shift must be
        equal bit for bit, a layer within CV-003, any other model to half of the digits.

    Raises
    ------
    ValueError
        If `torch.export` or onnxruntime cannot take the model, it is too large for one file, the example tells nothing, the format is not
        that of the function, the operator set is not written, or the path is in no folder that can be written to.
    RuntimeError
        If the file does not compute what the model does.

    Examples
    --------
    >>> to_onnx(PhaseShift(2), torch.randn(1, 12, 4, 5), "shift.onnx")  # doctest: +SKIP
    """
    opset(opset_version)
    flag("verify", verify)
    one_of("data_format", data_format, DATA_FORMATS)
    file_path("path", path)
    of_kind("model", callable(model), "a Module or a function", model)
    of_kind("dynamic_shapes", isinstance(dynamic_shapes, (tuple, list, dict, type(None))), "a tuple, a list or a dict", dynamic_shapes)
    inputs = several("example", example, Tensor)
    for tensor in inputs:
        real_example(tensor.is_complex(), tensor.dtype, "ONNX")
        if verify:
            telling(tensor.shape, *_constant_axes(tensor))
    inputs = tuple(tensor.detach().contiguous() for tensor in inputs)  # the strides of an example are no part of a graph
    module = model if isinstance(model, nn.Module) else _Function(model)
    if _function(module) in (phase_shift, inverse_phase_shift):
        same_format(data_format, getattr(module.function, "keywords", {}).get("data_format", "channels_first"))
    held = (module, *_held(model, set()))
    values = {tensor for each in held for tensor in (*each.parameters(), *each.buffers())}
    one_file(sum(tensor.numel() * tensor.element_size() for tensor in values), "ONNX", "torch.onnx.export")
    training = [part for each in held for part in each.modules() if part.training]
    for each in held:
        each.eval()
    try:
        free = dynamic_shapes or tuple(_any_extents(number, x, data_format) for number, x in enumerate(inputs))
        content = _written(module, inputs, free, opset_version)
        if verify:
            _verify(module, inputs, content)
    finally:
        for part in training:
            part.training = True
    replace_file(path, content)


def _constant_axes(x: Tensor) -> tuple[bool, list[int]]:
    """Return whether all values are finite, and the axes along which nothing changes."""
    wide = x.double() if x.is_floating_point() else x
    axes = [axis for axis in range(x.ndim) if x.shape[axis] > 1 and bool((wide == wide.narrow(axis, 0, 1)).all())]
    return bool(torch.isfinite(wide).all()), axes


def _held(value: Any, seen: set[int]) -> Iterator[nn.Module]:
    """Yield the modules that a function holds."""
    if id(value) in seen:
        return
    seen.add(id(value))
    held: list[Any] = []
    if isinstance(value, nn.Module):
        yield value
    elif isinstance(value, partial):
        held = [value.func, *value.args, *value.keywords.values()]
    elif isinstance(value, MethodType):
        held = [value.__self__, value.__func__]
    elif isinstance(value, FunctionType):
        known = getclosurevars(value)
        held = [*known.nonlocals.values(), *known.globals.values(), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    elif isinstance(value, (list, tuple, set)):
        held = [*value]
    elif isinstance(value, dict):
        held = [*value.values()]
    elif not isinstance(value, (type, ModuleType)):
        held = [each for each in getattr(value, "__dict__", {}).values() if isinstance(each, nn.Module)]
    for each in held:
        yield from _held(each, seen)


class _Function(nn.Module):
    """A function as a module, which is what torch exports."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def _function(module: nn.Module) -> Any:
    """Return the function that is exported as a module, without what is given to it beforehand."""
    function = getattr(module, "function", None)
    return function.func if isinstance(function, partial) else function


def _any_extents(number: int, x: Tensor, data_format: str) -> dict[int, str]:
    """Return a name for every axis but the channels."""
    spatial = _axes.get(x.ndim, tuple(f"axis_{axis}" for axis in range(2, x.ndim)))
    names = ("batch", "", *spatial) if data_format == "channels_first" else ("batch", *spatial, "")
    return {axis: name + (f"_{number}" if number else "") for axis, name in enumerate(names[: x.ndim]) if name}


def _written(module: nn.Module, inputs: tuple[Tensor, ...], dynamic_shapes: Any, opset_version: int) -> bytes:
    from onnxscript import optimizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, to itself
        shapes: Any = (tuple(dynamic_shapes),) if isinstance(module, _Function) else dynamic_shapes
        try:
            program: Any = torch.onnx.export(
                module, inputs, dynamo=True, dynamic_shapes=shapes, opset_version=opset_version, external_data=False, verbose=False
            )
        except (torch.onnx.errors.OnnxExporterError, IndexError) as error:  # the latter of axes that are not there
            traceable(error)
    opset_written(opset_version, program.model.opset_imports[""])
    optimizer.optimize(program.model, input_size_limit=2**31, output_size_limit=2**31)  # folds the order into kernels of any size
    _forget_the_source(program.model)
    return program.model_proto.SerializeToString()


def _forget_the_source(model: Any) -> None:
    """Take out what torch notes beside the graph: paths and lines of the code that it was traced from."""
    for graph in (model.graph, *model.functions.values()):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
        for value in (*graph.inputs, *getattr(graph, "initializers", {}).values()):
            value.metadata_props.clear()
    model.metadata_props.clear()


def _verify(module: nn.Module, inputs: tuple[Tensor, ...], content: bytes) -> None:
    """Refuse a file that onnxruntime cannot run, or computes otherwise, on the inputs and on larger ones."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    dtypes = ", ".join(sorted({str(tensor.dtype) for tensor in inputs}))
    if torch.bfloat16 in (tensor.dtype for tensor in inputs):
        runnable("onnxruntime", dtypes, "NumPy, which hands over the inputs, has no such dtype")
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of no common class
        runnable("onnxruntime", dtypes, str(error).splitlines()[0])
    free = [[not isinstance(extent, int) for extent in node.shape] for node in session.get_inputs()]
    larger = tuple(x.repeat([1 + grows for grows in axes]) for x, axes in zip(inputs, free, strict=True))
    for values in (inputs, larger) if any(map(any, free)) else (inputs,):
        with torch.no_grad():
            wanted = module(*values)
            allowed = _allowed(module, values, wanted)
        for tensor in (wanted,) if isinstance(wanted, Tensor) else wanted:
            answered(bool(torch.isfinite(tensor).any()))
        fed = {node.name: x.detach().cpu().numpy() for node, x in zip(session.get_inputs(), values, strict=True)}
        for tensor, got in zip((wanted,) if isinstance(wanted, Tensor) else wanted, session.run(None, fed), strict=True):
            same_answer("onnxruntime", values[0].shape, tensor.detach().cpu().numpy(), got, allowed)


def _allowed(module: nn.Module, inputs: tuple[Tensor, ...], y: Any) -> Any:
    """Return how far a runtime may be from the model: not at all for a shift; for a layer twice the bound of CV-003.

    ::

        2 (n u S + u |y|)        n terms of all stages, S the layer with the absolute values of its parameters and of its input
    """
    if isinstance(module, PhaseShift) or _function(module) in (phase_shift, inverse_phase_shift):
        return 0.0
    stages = _stages(module)
    if not stages or y.dtype not in (torch.float32, torch.float64):
        return None
    magnitudes = copy.deepcopy(module).double()
    for parameter in magnitudes.parameters():
        parameter.abs_()
    S = magnitudes(inputs[0].double().abs())
    terms = sum(stage.terms + (prod(stage.scale) + 1 if blur else 0) for stage, blur in stages) + len(stages) - 1
    return (torch.finfo(y.dtype).eps * (terms * S + y.abs())).cpu().numpy()


def _stages(module: nn.Module) -> list[tuple[Stage, bool]]:
    """Return the stages of a layer, each with whether it is blurred; none where something nonlinear other than ReLU lies between them."""
    if isinstance(module, _SubpixelConv):
        return [(module.stage, module.blur)]
    linear = (None, F.relu, torch.relu)
    if isinstance(module, _ChainedSubpixelConv) and (module.activation in linear or isinstance(module.activation, nn.ReLU)):
        return [stage for layer in module.stages for stage in _stages(layer)]
    return []
