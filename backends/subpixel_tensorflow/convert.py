"""Keras layers as the sub-pixel convolutions that they are, and whole models with them."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from subpixel_core import Conversion, ConversionReport, SubpixelKernel, choose_form, deconv_to_subpixel, resize_conv_to_subpixel
from subpixel_core._conversion import BIAS_ALONG_WIDTH, NO_GRAPH, NOT_ADJACENT, SHARED_IN_MODEL, SHARED_PARAMETERS, SLOWER
from subpixel_core._upsampling import FORMS, Form
from subpixel_core.check import (
    exact_resize,
    example_inputs,
    example_runs,
    instance,
    is_built,
    layer_kind,
    nothing_attached,
    own_positions,
    per_axis,
    same_in_both,
    same_in_copy,
    same_when_rebuilt,
    sums_held,
    unit_steps,
)
from subpixel_tensorflow.layers import ExactSubpixelConv1D, ExactSubpixelConv2D, ExactSubpixelConv3D

_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
_RESIZES = (keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D)
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_CONVERTED = (ExactSubpixelConv1D, ExactSubpixelConv2D, ExactSubpixelConv3D)
ExactSubpixelConv = ExactSubpixelConv1D | ExactSubpixelConv2D | ExactSubpixelConv3D


# --- one layer ---


def from_conv_transpose(layer: keras.layers.Layer, *, form: Form | None = None) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that a transposed convolution is: `subpixel_core.deconv_to_subpixel`.

    With K taps on an axis (counted with the zeros of a dilation) and stride s, Keras's output has ``s * (H - 1) + e`` positions,
    and those before the first and behind the last are left out ::

        e = s                           padding="same"
        e = K % 2 + output_padding      padding="same" with an output padding
        e = max(K, s)                   padding="valid"
        e = K + output_padding          padding="valid" with an output padding

        before = max(K - e, 0) // 2,  after = max(K - e, 0) - before        (0 for "valid")

    Parameters
    ----------
    layer : keras.layers.Conv1DTranspose, Conv2DTranspose or Conv3DTranspose
        A built one. It is not modified.
    form : {"minimal", "aligned"}, optional
        As in `subpixel_core.deconv_to_subpixel`; without it, that with the fewest taps.

    Returns
    -------
    ExactSubpixelConv1D, ExactSubpixelConv2D or ExactSubpixelConv3D
        Of equal output, with the layer's name, data format, activation, dtype policy, trainability and activity regularizer. Its kernel
        holds the values of the layer's kernel, bit for bit, and zeros: so training it goes another way than training the layer.

    Raises
    ------
    TypeError
        If the layer is of another class; a class derived from these may compute another thing.
    ValueError
        If it is not built; if something hangs on its kernel or bias (a regularizer, a constraint, LoRA), for its replacement has others;
        if its output padding is one that Keras itself cannot run.

    Examples
    --------
    >>> layer = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same", bias_initializer="normal")
    >>> x = keras.random.normal((1, 5, 6, 3))
    >>> y, converted = layer(x), from_conv_transpose(layer)
    >>> tuple(converted.kernel.shape), converted.crop, bool(keras.ops.all(keras.ops.abs(converted(x) - y) < 1e-5))
    ((2, 2, 3, 8), ((1, 1), (1, 1)), True)
    """
    return _made(layer, _formed(partial(_transposed, layer), form))


def _transposed(layer: Any, form: Form) -> SubpixelKernel:
    _convertible("layer", layer, _TRANSPOSED)
    outer = [(k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    more = layer.output_padding or (None,) * len(outer)
    if layer.padding == "valid":
        excess = [max(k, s) if a is None else k + a for k, s, a in zip(outer, layer.strides, more, strict=True)]
        cuts = [(0, 0) for _ in outer]
    else:
        excess = [s if a is None else k % 2 + a for k, s, a in zip(outer, layer.strides, more, strict=True)]
        own_positions(excess, layer.output_padding)
        cuts = [((k - min(k, e)) // 2, -(-(k - min(k, e)) // 2)) for k, e in zip(outer, excess, strict=True)]
    kernel, bias = _array(layer.kernel), _array(layer.bias)
    return deconv_to_subpixel(
        kernel.swapaxes(-1, -2),  # (*K, Co, Ci) -> (*K, Ci, Co)
        bias,
        stride=layer.strides,
        padding=cuts,
        output_padding=[max(e - k, 0) for k, e in zip(outer, excess, strict=True)],
        dilation=layer.dilation_rate,
        form=form,
    )


def from_resize_conv(upsample: keras.layers.Layer, conv: keras.layers.Layer, *, form: Form | None = None) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that a resize, and a convolution behind it, are: `subpixel_core.resize_conv_to_subpixel`.

    Parameters
    ----------
    upsample : keras.layers.UpSampling1D, UpSampling2D or UpSampling3D
        To the nearest neighbour.
    conv : keras.layers.Conv1D, Conv2D or Conv3D
        A built one, with stride 1; any padding, dilation and groups.
    form : {"minimal", "aligned"}, optional
        As in `from_conv_transpose`.

    Returns
    -------
    ExactSubpixelConv1D, ExactSubpixelConv2D or ExactSubpixelConv3D
        Of equal output, borders included, with what `from_conv_transpose` keeps of ``conv``. With groups its order is "CRD".

    Raises
    ------
    TypeError
        As `from_conv_transpose`.
    ValueError
        As `from_conv_transpose`; for another interpolation than "nearest", another stride than 1, and where the layers differ in dimension,
        data format or dtype.

    Examples
    --------
    >>> upsample, conv = keras.layers.UpSampling2D(2), keras.layers.Conv2D(2, 3, padding="same", activation="relu")
    >>> x = keras.random.normal((1, 5, 6, 3))
    >>> y, converted = conv(upsample(x)), from_resize_conv(upsample, conv)
    >>> tuple(converted.kernel.shape), bool(keras.ops.all(keras.ops.abs(converted(x) - y) < 1e-5))
    ((2, 2, 3, 8), True)
    """
    return _made(conv, _formed(partial(_resized, upsample, conv), form))


def _formed(kernel: Callable[[Form], SubpixelKernel], form: Form | None) -> SubpixelKernel:
    return choose_form(*map(kernel, FORMS)) if form is None else kernel(form)


def _resized(upsample: Any, conv: Any, form: Form) -> SubpixelKernel:
    _nearest(upsample)
    _convertible("conv", conv, _CONVOLUTIONS)
    factors = per_axis("size", upsample.size, 1 if isinstance(upsample.size, int) else None)
    same_in_both("spatial axes", len(factors), conv.rank)
    same_in_both("data_format", getattr(upsample, "data_format", "channels_last"), conv.data_format)
    same_in_both("dtype", upsample.compute_dtype, conv.compute_dtype)
    unit_steps(conv.strides)
    finite = keras.ops.isfinite
    causal = tuple((d * (k - 1), 0) for k, d in zip(conv.kernel_size, conv.dilation_rate, strict=True))
    kernel, bias = _array(conv.kernel), _array(conv.bias)
    resized = resize_conv_to_subpixel(
        kernel,
        factors,
        bias=bias,
        padding=causal if conv.padding == "causal" else conv.padding,
        dilation=conv.dilation_rate,
        groups=conv.groups,
        order="DCR" if conv.groups == 1 else "CRD",
        form=form,
    )
    taps, summed = (keras.ops.cast(values, conv.compute_dtype) for values in (conv.kernel, resized.kernel))  # of which it makes products
    sums_held(bool(keras.ops.all(finite(summed))) or not bool(keras.ops.all(finite(taps))), conv.compute_dtype)
    return resized


def _nearest(upsample: Any) -> None:
    """Refuse what is no resize to the nearest neighbour, and one with something that would be lost."""
    _of_kind("upsample", upsample, _RESIZES)
    exact_resize(getattr(upsample, "interpolation", "nearest"), False)
    attached = ["activity_regularizer"] if upsample.activity_regularizer else []
    nothing_attached("upsample", [*attached, *(["a call of its own"] if "call" in vars(upsample) else [])])


def _convertible(name: str, layer: Any, kinds: tuple[type, ...]) -> None:
    """Refuse a layer of another class, one without a kernel yet, and one with something that its replacement would lose."""
    _of_kind(name, layer, kinds)
    is_built(name, layer.built)
    regular = [f"{weight}_{what}" for weight in ("kernel", "bias") for what in ("regularizer", "constraint")]
    attached = [what for what in regular if getattr(layer, what) or getattr(getattr(layer, what.split("_")[0]), what.split("_")[1], None)]
    attached += ["LoRA"] if getattr(layer, "lora_enabled", False) else []
    attached += [f"a {method} of its own" for method in ("call", "convolution_op") if method in vars(layer)]
    attached += ["an activation with variables"] if getattr(layer.activation, "variables", []) else []
    nothing_attached(name, attached)


def _of_kind(name: str, layer: Any, kinds: tuple[type, ...]) -> None:
    kind = type(layer)
    layer_kind(name, kind.__name__ if kind in kinds else f"{kind.__module__}.{kind.__qualname__}", [kind.__name__ for kind in kinds])


def _array(variable: Any) -> Any:
    """Return the values of a variable, if there is one, as an array."""
    return None if variable is None else variable.numpy()


def _made(layer: Any, kernel: SubpixelKernel) -> ExactSubpixelConv:
    """Return a layer with this kernel and everything else as in another."""
    made = _CONVERTED[layer.rank - 1](
        kernel.channels,
        kernel.kernel_size,
        kernel.scale,
        padding=kernel.padding,
        crop=kernel.crop,
        groups=kernel.groups,
        order=kernel.order,
        data_format=layer.data_format,
        activation=layer.activation,
        use_bias=kernel.bias is not None,
        activity_regularizer=layer.activity_regularizer,
        name=layer.name,
        dtype=layer.dtype_policy,
        trainable=layer.trainable,
    )
    channels, unknown = kernel.kernel.shape[-2] * kernel.groups, (None,) * layer.rank
    made.build((None, *unknown, channels) if layer.data_format == "channels_last" else (None, channels, *unknown))
    made.kernel.assign(kernel.kernel)
    made.kernel.trainable = layer.kernel.trainable
    if made.bias is not None:
        made.bias.assign(kernel.bias)
        made.bias.trainable = layer.bias.trainable
    return made


def is_measured_faster(layer: Any, kernel: SubpixelKernel) -> bool:
    """Return whether a form is measured to be faster than its original: a transposed convolution, or a convolution behind a resize.

    Measured by ``benchmarks/equivalence_tensorflow.py``: 2-D, one group, channels last, a processor with two cores; figures in
    ``docs/evidence/equivalence-tensorflow-cpu.json``. With Ci channels in, Co out, and taps counted over all axes ::

        Co <= 8 and a stride is above 1                              transposed convolutions
        (taps before - taps after) * Ci / 40 + 2 * Ci / Co >= 4      resizes

    The shift is another copy of the output. A transposed convolution of TensorFlow is slow on few channels only, which pays for that copy;
    a resize pays by the multiply-accumulates, and by the copies of its input, that it no longer needs.
    """
    inputs, outputs = kernel.kernel.shape[-2], kernel.channels
    if kernel.groups > 1 or layer.data_format != "channels_last":
        return False  # not measured
    if isinstance(layer, _TRANSPOSED):
        return outputs <= 8 and prod(kernel.scale) > 1
    return (prod(layer.kernel_size) - prod(kernel.kernel_size)) * inputs / 40 + 2 * inputs / outputs >= 4


def _faster(layer: Any, kernels: Mapping[Form, SubpixelKernel]) -> Form | None:
    """Return the form to take, if it is faster: aligned where its arithmetic is measured to cost less than the crop."""
    minimal, aligned = kernels["minimal"], kernels["aligned"]
    form: Form = "aligned" if (prod(aligned.kernel_size) - prod(minimal.kernel_size)) * minimal.kernel.shape[-2] <= 200 else "minimal"
    return form if is_measured_faster(layer, kernels[form]) else None


# --- a whole model ---


def convert(model: keras.Model, *, example: Any = None) -> tuple[keras.Model, ConversionReport]:
    """Return a model that computes the same values, with every upsampling layer that has an exact equal replaced by it.

    These are transposed convolutions, and resizes to the nearest neighbour with a convolution behind them, where in the graph of the model
    the convolution is all that reads what is resized. Models inside the model are converted too, and a layer that is called in several
    places stays one layer. The rest is copied by its configuration, as `keras.models.clone_model` does.

    Parameters
    ----------
    model : keras.Model
        Functional or Sequential; it is not modified. A model whose class has a ``call`` of its own comes back as it is: that is no graph.
        So does one of which a copy would untie layers or variables.
    example : array, or what the model takes, with an array for every tensor
        With it, what is slower on these extents by the measured rule (`is_measured_faster`) is left, and a copy of the model with nothing
        replaced must give the very values of the model for it.

    Returns
    -------
    model : keras.Model
        A copy with weights of its own. It is not compiled: what an optimizer has remembered belongs to the kernels that were replaced. Of a
        functional model of a class of its own it is a plain one.
    report : ConversionReport
        A row per upsampling layer: what it became, its multiply-accumulates where the extents are known, or why it was left.

    Raises
    ------
    TypeError, ValueError
        If ``model`` is no Keras model or is not built, ``example`` has not an array for each of its inputs, or a layer cannot be copied by
        its configuration and what Keras saves of it.

    Examples
    --------
    >>> inputs = keras.Input((8, 8, 16))
    >>> x = keras.layers.Conv2DTranspose(8, 4, strides=2, padding="same", activation="relu", name="up")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(keras.layers.UpSampling2D(interpolation="bilinear", name="resize")(x)))
    >>> converted, report = convert(model)
    >>> [(row.layer, row.form, row.macs_before, row.macs_after) for row in report.rows]
    [('up', 'minimal', 131072, 165888), ('resize', None, None, None)]
    >>> report.left[0].reason.startswith("mode must be 'nearest'")
    True
    """
    instance("model", model, keras.Model)
    if not _has_graph(model):
        return model, ConversionReport(tuple(_hidden(model, "")))
    is_built("model", model.built)
    run = _Run()
    specifications = _specifications(model, example)
    with nullcontext() if example is None else example_runs(keras.tree.flatten(example)):
        run.model(model, specifications, "")
    tied = _tied(model)
    rows: list[Conversion] = []
    owners = Counter(id(variable) for layer in model._flatten_layers() for variable in _variables(layer))
    made: dict[int, ExactSubpixelConv] = {}
    merged: set[int] = set()
    for site in run.sites():
        kernel, row = site.conversion(owners, measured=example is not None)
        if tied:
            kernel, row = None, replace(row, form=None, macs_after=None, reason=row.reason or SHARED_IN_MODEL)
        rows.append(row)
        if kernel is not None:
            *before, last = site.layers
            made[id(last)] = _made(last, kernel)
            merged.update(map(id, before))
    report = ConversionReport((*rows, *run.hidden))
    if tied:
        return model, report
    if example is not None:
        copied_exactly(model, keras.tree.pack_sequence_as(specifications, _arrays(example, specifications, [x.name for x in model.inputs])))
    return _Copies(made, merged).model(model), report


def _tied(model: Any) -> bool:
    """Whether a variable belongs to two layers, or a layer to two others: copies made from configurations would not have it in common."""
    leaves = {id(layer): layer for layer in _leaves(model)}.values()
    parts = [{id(layer): layer for layer in leaf._flatten_layers()} for leaf in leaves]
    owned = Counter(key for part in parts for key in {id(variable) for layer in part.values() for variable in _variables(layer)})
    held = Counter(key for part in parts for key, layer in part.items() if layer.variables)
    return max([*owned.values(), *held.values()], default=1) > 1


def _leaves(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, and of the models inside it, that are no graphs."""
    for layer in model.layers:
        yield from _leaves(layer) if _has_graph(layer) else [layer]


def copied_exactly(model: Any, inputs: Any) -> None:
    """Refuse a model of which a copy with nothing replaced has other values: something is neither in variables nor in configurations."""
    before = [_array(variable) for variable in model.variables]
    copy = _Copies({}, set()).model(model)

    def values(each: Any) -> list[Any]:
        with example_runs(keras.tree.flatten(inputs)):
            return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(each(inputs, training=False))]

    def own() -> list[Any]:
        try:
            return values(model)
        finally:
            for variable, value in zip(model.variables, before, strict=True):  # a run may change states and seeds
                variable.assign(value)

    wanted = own()
    same_in_copy(model.name, same_values(values(copy), wanted) or not same_values(own(), wanted))  # of one that varies nothing is known


def same_values(actual: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether arrays hold the same, NaN where NaN is."""
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(actual, expected, strict=True))


def _has_graph(layer: Any) -> bool:
    """Whether a layer is a model that computes what its graph, or its list of layers, says."""
    of_its_type = any(isinstance(layer, kind) and type(layer).call is kind.call for kind in (Functional, keras.Sequential))
    return of_its_type and "call" not in vars(layer)


def _variables(layer: Any) -> list[Any]:
    """Return the variables that a layer holds itself, not those of layers inside it."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def _specifications(model: Any, example: Any) -> Any:
    """Return the inputs of a model, with the extents of an example if there is one."""
    specifications = [_like(x) for x in model.inputs]
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    if example is not None:
        arrays = _arrays(example, structure, [x.name for x in model.inputs])
        example_inputs(arrays, [x.shape for x in specifications])
        specifications = [keras.KerasTensor(tuple(array.shape), x.dtype) for array, x in zip(arrays, specifications, strict=True)]
    return keras.tree.pack_sequence_as(structure, specifications)


def _arrays(example: Any, structure: Any, names: list[str]) -> list[Any]:
    """Return what an example has for each input of a model, which Keras takes by name too."""
    if isinstance(example, Mapping):
        wanted = structure if isinstance(structure, Mapping) else names
        example = {key: example.get(key) for key in wanted} if isinstance(structure, Mapping) else [example.get(key) for key in wanted]
    return keras.tree.flatten(example)


def _like(x: Any) -> keras.KerasTensor:
    return keras.KerasTensor(x.shape, x.dtype)


def _hidden(layer: Any, path: str) -> Iterator[Conversion]:
    """Yield a row for every upsampling layer that is called by the code of another layer."""
    for inner in layer._flatten_layers(include_self=False):
        if isinstance(inner, (*_TRANSPOSED, *_RESIZES)):
            yield Conversion(f"{path}{inner.name}", type(inner).__name__, reason=NO_GRAPH)


@dataclass(frozen=True)
class _Site:
    """An upsampling layer, or a resize and the convolution that is all that reads it, and the input and output of every call."""

    path: str
    layers: tuple[Any, ...]
    calls: list[tuple[keras.KerasTensor, keras.KerasTensor]]

    def conversion(self, owners: Mapping[int, int], *, measured: bool) -> tuple[SubpixelKernel | None, Conversion]:
        """Return the kernel to convert to, or none, and the row that says so."""
        row = Conversion(self.path, " + ".join(type(layer).__name__ for layer in self.layers))
        *_, last = self.layers
        if isinstance(last, _RESIZES):
            return None, replace(row, reason=_refusal(last) or NOT_ADJACENT)
        try:
            kernels = {form: self._kernel(form) for form in FORMS}
        except (TypeError, ValueError) as refusal:
            return None, replace(row, reason=str(refusal))
        if any(owners[id(variable)] > 1 for variable in _variables(last)):
            return None, replace(row, reason=SHARED_PARAMETERS)
        if any(_adds_bias_along_width(last, y) for _, y in self.calls):
            return None, replace(row, reason=BIAS_ALONG_WIDTH)
        low, high = ([_extents(call[end], last.data_format) for call in self.calls] for end in (0, 1))
        row = replace(row, macs_before=_total(prod(last.kernel.shape), low if isinstance(last, _TRANSPOSED) else high))
        fewest = choose_form(*kernels.values(), spatial=low[0])
        form = _faster(last, kernels) if measured else next(form for form in FORMS if kernels[form] is fewest)
        if form is None:
            return None, replace(row, reason=SLOWER)
        after = None if None in low else sum(kernels[form].macs(extents) for extents in low if extents is not None)
        return kernels[form], replace(row, form=form, macs_after=after)

    def _kernel(self, form: Form) -> SubpixelKernel:
        if isinstance(self.layers[0], _TRANSPOSED):
            return _transposed(self.layers[0], form)
        upsample, conv = self.layers
        return _resized(upsample, conv, form)


def _adds_bias_along_width(layer: Any, y: keras.KerasTensor) -> bool:
    """Whether Keras takes a bias by channel, which come first, for one along the width: it does where both are as many."""
    return layer.use_bias and layer.data_format == "channels_first" and y.shape[-1] == layer.filters > 1


def _extents(x: keras.KerasTensor, data_format: str) -> tuple[int, ...] | None:
    """Return the spatial extents of a tensor; None where one is not known."""
    extents = x.shape[1:-1] if data_format == "channels_last" else x.shape[2:]
    return None if None in extents else tuple(extents)


def _total(each: int, calls: list[tuple[int, ...] | None]) -> int | None:
    """Return the multiply-accumulates of all calls, of which there are so many for every position; None where extents are not known."""
    return None if None in calls else each * sum(prod(extents) for extents in calls if extents is not None)


def _refusal(resize: Any) -> str:
    """Return why a resize is not converted, whatever is behind it; nothing where it may be."""
    try:
        _nearest(resize)
    except (TypeError, ValueError) as refusal:
        return str(refusal)
    return ""


class _Run:
    """A model run on specifications of its tensors: which layers are called, on what, and which layer reads what another one makes."""

    def __init__(self) -> None:
        self.hidden: list[Conversion] = []
        self.paths: dict[Any, str] = {}
        self.calls: dict[Any, list[tuple[Any, Any]]] = {}  # by layer: input and output of every call
        self.made_by: dict[Any, Any] = {}  # by tensor
        self.readers: Counter[Any] = Counter()  # by tensor

    def model(self, model: Any, inputs: Any, path: str) -> Any:
        """Run a model. Its tensors are its own: what is outside neither makes nor reads them, and what it returns is read."""
        inputs = keras.tree.map_structure(_like, inputs)
        if isinstance(model, keras.Sequential):
            outputs = inputs
            for layer in model.layers:
                outputs = self.call(layer, path, outputs)
        else:
            outputs = model._run_through_graph(inputs, operation_fn=lambda operation: partial(self.call, operation, path))
        self.readers.update(keras.tree.flatten(outputs))
        return keras.tree.map_structure(_like, outputs)

    def call(self, operation: Any, path: str, *args: Any, **kwargs: Any) -> Any:
        """Run an operation of a graph: of a layer, a model inside, or a function of Keras."""
        if _has_graph(operation):
            return self.model(operation, args[0] if args else kwargs["inputs"], f"{path}{operation.name}.")
        outputs = operation.compute_output_spec(*args, **kwargs)
        if operation not in self.paths:
            self.paths[operation] = f"{path}{operation.name}"
            if isinstance(operation, keras.layers.Layer):
                self.hidden += _hidden(operation, f"{path}{operation.name}.")
        tensors = [x for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
        self.readers.update(tensors)
        self.made_by.update((y, operation) for y in keras.tree.flatten(outputs))
        self.calls.setdefault(operation, []).append((tensors[0] if tensors else None, outputs))
        return outputs

    def sites(self) -> Iterator[_Site]:
        """Yield what may be converted, in the sequence of the calls."""
        resizes = {layer: self._resize_before(layer) for layer in self.calls if isinstance(layer, keras.layers.Layer)}
        pairs = {layer: resize for layer, resize in resizes.items() if resize is not None}
        for layer, path in self.paths.items():
            if layer in pairs:
                resize = pairs[layer]
                low = {y: x for x, y in self.calls[resize]}
                yield _Site(f"{self.paths[resize]} + {path}", (resize, layer), [(low[x], y) for x, y in self.calls[layer]])
            elif isinstance(layer, _TRANSPOSED) or (isinstance(layer, _RESIZES) and layer not in pairs.values()):
                yield _Site(path, (layer,), self.calls[layer])

    def _resize_before(self, conv: Any) -> Any:
        """Return the resize of which a convolution reads every tensor, alone, and which it reads in every call; None where it is not so."""
        sources = [self.made_by.get(x) for x, _ in self.calls[conv]]
        resize = sources[0]
        if not isinstance(conv, _CONVOLUTIONS) or not isinstance(resize, _RESIZES) or _refusal(resize):
            return None
        read = [x for x, _ in self.calls[conv]]
        alone = set(read) == {y for _, y in self.calls[resize]} and all(self.readers[x] == 1 for x in read)
        return resize if alone else None


class _Copies:
    """The layers of a new model: those that were made for it, and copies of the others, by the old layer's id."""

    def __init__(self, made: dict[int, Any], merged: set[int]) -> None:
        self.new, self.merged = made, merged

    def model(self, model: Any) -> Any:
        """Return a model of these layers, with the variables and the frozen parts of another."""
        made = {*self.new}
        copy = self._graph(model)
        self._carry(model, copy, made)
        return copy

    def _graph(self, model: Any) -> Any:
        if isinstance(model, keras.Sequential):
            layers = [self._layer(layer) for layer in model.layers if id(layer) not in self.merged]
            return keras.Sequential([*map(_input, model.inputs), *layers], name=model.name)
        uncompiled = keras.Model(model.input, model.output, name=model.name)
        inputs = keras.tree.map_structure(_input, model.input)
        return keras.models.clone_model(uncompiled, input_tensors=inputs, clone_function=self._layer, call_function=self._call)

    def _layer(self, layer: Any) -> Any:
        if id(layer) in self.merged:
            return layer  # is not called
        if id(layer) not in self.new:
            self.new[id(layer)] = self._graph(layer) if _has_graph(layer) else _copy(layer)
        return self.new[id(layer)]

    def _call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if id(layer) not in self.merged and not isinstance(layer, _CONVERTED):
            return layer(*args, **kwargs)
        x = args[0] if args else kwargs["inputs" if "inputs" in kwargs else "x"]
        return x if id(layer) in self.merged else layer(x)

    def _carry(self, old: Any, new: Any, made: set[int]) -> None:
        """Carry what a configuration does not hold. To set a model's trainability sets that of its layers, so it goes first."""
        if new.trainable != old.trainable:
            new.trainable = old.trainable
        if _has_graph(old):
            for layer in old.layers:
                if id(layer) in self.new:
                    self._carry(layer, self.new[id(layer)], made)
        elif id(old) in made:
            for own, values in ((old.kernel, new.kernel), (old.bias, new.bias)):
                if own is not None:
                    values.trainable = own.trainable
        else:
            same_when_rebuilt(old.name, *([tuple(variable.shape) for variable in each.variables] for each in (old, new)))
            if isinstance(old, keras.layers.Layer):
                self._carry_own(old, new)
            for own, copied in zip(old.variables, new.variables, strict=True):
                copied.assign(own)
                if hasattr(own, "regularizer"):  # a seed's state has none
                    copied.trainable, copied.regularizer, copied.constraint = own.trainable, own.regularizer, own.constraint

    def _carry_own(self, old: Any, new: Any) -> None:
        """Carry what Keras saves of a layer and those inside it beside variables (statistics in use, vocabularies), and what is frozen."""
        parts = [each._flatten_layers() for each in (old, new)]
        same_when_rebuilt(old.name, *([type(part).__name__ for part in each] for each in parts))
        for part, copy in zip(*parts, strict=True):
            copy._trainable = part._trainable  # of it alone: what is inside has its own turn
            if type(part).load_own_variables is not keras.layers.Layer.load_own_variables:
                store: dict[str, Any] = {}
                part.save_own_variables(store)
                copy.load_own_variables(store)
            if hasattr(part, "save_assets"):
                with TemporaryDirectory() as folder:
                    part.save_assets(folder)
                    copy.load_assets(folder)


def _input(x: Any) -> Any:
    """Return an input like another, its layer being of the same name."""
    layer = x._keras_history.operation
    return keras.Input(batch_shape=x.shape, dtype=x.dtype, sparse=x.sparse, name=layer.name, optional=layer.optional)


def _copy(operation: Any) -> Any:
    """Return a layer, or a function of Keras, made from the configuration of another, which does not hold a call of its own."""
    nothing_attached(operation.name, ["a call of its own"] if "call" in vars(operation) else [])
    if type(operation) is keras.layers.Lambda:  # whose configuration Keras does not trust
        options = {"output_shape": operation._output_shape, "mask": getattr(operation, "mask", None), "arguments": operation.arguments}
        return keras.layers.Lambda(operation.function, name=operation.name, dtype=operation.dtype_policy, **options)
    return type(operation).from_config(operation.get_config())
