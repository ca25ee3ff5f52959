"""Models for other runtimes: ONNX. `torch.export` takes every module of this package as it is."""

import copy
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from subpixel_core import Stage
from subpixel_core._weights import replace_file
from subpixel_core.check import flag, instance, one_file, opset, real_example, runnable, same_answer, shown
from subpixel_torch.layers import PhaseShift, _ChainedSubpixelConv, _SubpixelConv
from subpixel_torch.ops import inverse_phase_shift, phase_shift

_axes = {3: ("length",), 4: ("height", "width"), 5: ("depth", "height", "width")}


def to_onnx(
    model: nn.Module | Callable[..., Tensor],
    example: Tensor | Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    dynamic_shapes: Any = None,
    opset_version: int = 18,
    verify: bool = True,
) -> None:
    """Write a model as one ONNX file, through `torch.onnx.export`, and run it in onnxruntime before it is there.

    A 2-D shift by one factor is ``DepthToSpace``, the inverse ``SpaceToDepth``; every other shift is transposes of at most five axes. In
    layers the channel order is folded into the kernel.

    Parameters
    ----------
    model : Module or callable
        Of this package, or any that has such layers. It is exported as it computes in evaluation.
    example : Tensor or sequence of Tensor
        The inputs, for their shapes and dtypes and to verify the file on.
    path : path-like
        What it names is replaced in one step, once everything is done.
    dynamic_shapes : optional
        As in `torch.onnx.export`. By default every axis but the second, the channels, may have any extent.
    opset_version : int
        18 or more.
    verify : bool
        Run the file in onnxruntime on the example, and on the example twice along every axis that may have any extent. A shift must be
        equal bit for bit, a layer within CV-003, any other model to half of the digits.

    Raises
    ------
    ValueError
        If onnxruntime has no operator for the dtype, the model is too large for one file, or the example is the same value everywhere.
    RuntimeError
        If the file does not compute what the model does.

    Examples
    --------
    >>> to_onnx(PhaseShift(2), torch.randn(1, 12, 4, 5), "shift.onnx")  # doctest: +SKIP
    """
    opset(opset_version)
    flag("verify", verify)
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    for tensor in inputs:
        instance("example", tensor, Tensor)
        real_example(tensor.is_complex(), tensor.dtype, "ONNX")
        shown(not verify or tensor.numel() == 0 or bool((tensor != tensor.flatten()[0]).any()))
    inputs = tuple(tensor.detach().contiguous() for tensor in inputs)  # the strides of an example are no part of a graph
    module = model if isinstance(model, nn.Module) else _Function(model)
    one_file(sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values()), "ONNX", "torch.onnx.export")
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        content = _written(module, inputs, dynamic_shapes or tuple(map(_any_extents, range(len(inputs)), inputs)), opset_version)
        if verify:
            _verify(module, inputs, content)
    finally:
        for part in training:
            part.training = True
    replace_file(path, content)


class _Function(nn.Module):
    """A function as a module, which is what torch exports."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


def _any_extents(number: int, x: Tensor) -> dict[int, str]:
    """Return a name for every axis but the channels."""
    names = ("batch", "", *_axes.get(x.ndim, tuple(f"axis_{axis}" for axis in range(2, x.ndim))))
    return {axis: names[axis] + (f"_{number}" if number else "") for axis in range(x.ndim) if axis != 1}


def _written(module: nn.Module, inputs: tuple[Tensor, ...], dynamic_shapes: Any, opset_version: int) -> bytes:
    from onnxscript import optimizer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch, to itself
        shapes: Any = (tuple(dynamic_shapes),) if isinstance(module, _Function) else dynamic_shapes
        program: Any = torch.onnx.export(
            module, inputs, dynamo=True, dynamic_shapes=shapes, opset_version=opset_version, external_data=False, verbose=False
        )
    optimizer.optimize(program.model, input_size_limit=2**31, output_size_limit=2**31)  # folds the order into kernels of any size
    return program.model_proto.SerializeToString()


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
        fed = {node.name: x.detach().cpu().numpy() for node, x in zip(session.get_inputs(), values, strict=True)}
        for tensor, got in zip((wanted,) if isinstance(wanted, Tensor) else wanted, session.run(None, fed), strict=True):
            same_answer("onnxruntime", values[0].shape, tensor.detach().cpu().numpy(), got, allowed)


def _allowed(module: nn.Module, inputs: tuple[Tensor, ...], y: Any) -> Any:
    """Return how far a runtime may be from the model: not at all for a shift; for a layer twice the bound of CV-003.

    ::

        2 (n u S + u |y|)        n terms of all stages, S the layer with the absolute values of its parameters and of its input
    """
    function = getattr(module, "function", module)
    if isinstance(function, partial):
        function = function.func
    if isinstance(function, PhaseShift) or function in (phase_shift, inverse_phase_shift):
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
