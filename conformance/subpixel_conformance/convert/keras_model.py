"""One Keras model in a ``.keras`` file: load, convert by `subpixel_tensorflow.convert`, run both.

Every layer that was replaced is judged on the inputs that it gets in the converted model, against its original on the same, without the
activation behind it: within the bound of `rounding`. A copy of the model with nothing replaced must give its very
values, and what is read back those of what was written. The outputs of the models are shown.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import is_zipfile

import keras
import numpy as np

from subpixel_tensorflow import convert as convert_model
from subpixel_tensorflow.convert import copied_exactly, same_values

from .command import Converted
from .layers import DTYPES
from .refusal import DiffersError, MisusedError, UnsuitableError, one_line
from .rounding import apart, used
from .trial import Arrays, Declared, trials


def convert(path: Path, options: argparse.Namespace, example: Mapping[str, Any] | None) -> Converted:
    """Return what the file became; nothing is written yet."""
    if options.form != "best":
        raise MisusedError("--form is for ONNX models; of a Keras layer, the form with the fewest MACs is taken")
    model = _loaded(path)
    if not getattr(model, "inputs", None):  # code, or a Sequential that has never been called
        with _refused(path):
            return Converted(convert_model(model)[1])
    names = [x.name for x in model.inputs]
    if example is not None and set(example) != set(names):
        raise MisusedError(
            f"--inputs must have an array for each input of the model, {', '.join(names)}; got {', '.join(example) or 'none'}"
        )

    def run(feeds: Arrays) -> tuple[Arrays, list[np.ndarray]]:
        return feeds, _outputs(model, [feeds[name] for name in names])

    seen = trials(run, list(_declared(model)) if example is None else [], example)
    largest = [seen[-1][0][name] for name in names]
    with _refused(path):
        result, report = convert_model(model, example=None if options.all else _packed(model, largest))
    if not report.converted:
        return Converted(report)
    with _refused(path):
        for feeds, _ in seen:
            copied_exactly(model, _packed(model, [feeds[name] for name in names]))
    pairs = {row.layer: _pair(model, result, row.layer) for row in report.converted}
    runs = []
    for feeds, before in seen:
        with _recorded([new for _, new in pairs.values()]) as inputs:
            after = _outputs(result, [feeds[name] for name in names])
        layers = {name: max(_used(name, old, new, x) for x in inputs[id(new)]) for name, (old, new) in pairs.items()}
        outputs = {f"output {n}": apart(str(n), b, a) for n, (a, b) in enumerate(zip(before, after, strict=True))}
        runs.append({"inputs": {name: value.shape for name, value in feeds.items()}, "layers": layers, "outputs": outputs})
    given = [[feeds[name] for name in names] for feeds, _ in seen]
    return Converted(report, runs, lambda output: _write(result, output, given))


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Say in one line why a model is not converted."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise UnsuitableError(f"{path} is not converted: {one_line(error)}") from error


def _loaded(path: Path) -> keras.Model:
    if not is_zipfile(path):  # Keras says of one that it is not there
        raise UnsuitableError(f"{path} is damaged: it is no whole archive, as a .keras file is")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        if "safe_mode" in str(error) or "Lambda" in str(error):
            raise UnsuitableError(
                f"{path} holds Python code (a Lambda layer), which is not run; replace it by a layer of its own"
            ) from error
        raise UnsuitableError(f"{path} is damaged, or holds what is not installed: {one_line(error)[:300]}") from error


def _declared(model: keras.Model) -> Iterator[Declared]:
    for x in model.inputs:
        if x.dtype == "string":
            raise UnsuitableError(f"the model takes text as {x.name}, of which none is drawn; give some with --inputs FILE.npz")
        extents = ["batch" if axis == 0 else f"{x.name}[{axis}]" if extent is None else extent for axis, extent in enumerate(x.shape)]
        yield x.name, keras.ops.convert_to_numpy(keras.ops.zeros((), x.dtype)).dtype, extents


def _outputs(model: keras.Model, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    made = model(_packed(model, [keras.ops.convert_to_tensor(x) for x in inputs]), training=False)
    return [keras.ops.convert_to_numpy(y) for y in keras.tree.flatten(made)]


def _packed(model: keras.Model, inputs: Sequence[Any]) -> Any:
    """Return inputs in the structure that a model takes."""
    return keras.tree.pack_sequence_as(model.inputs[0] if isinstance(model, keras.Sequential) else model.input, list(inputs))


def _pair(model: keras.Model, result: keras.Model, path: str) -> tuple[list[Any], Any]:
    """Return the layers that a row of the report names, and the one that took their place under the name of the last."""
    places = path.split(" + ")
    return [_at(model, place) for place in places], _at(result, places[-1])


def _at(model: keras.Model, place: str) -> Any:
    """Return the layer of a name, with those of the models around it before: these may have dots in them too."""
    found = list(_every(model, place))
    if len(found) != 1:
        raise UnsuitableError(f"{len(found)} layers of the model are named {place!r}, so that what became of them cannot be checked")
    return found[0]


def _every(model: keras.Model, place: str) -> Iterator[Any]:
    for layer in model.layers:
        if layer.name == place:
            yield layer
        elif isinstance(layer, keras.Model) and place.startswith(f"{layer.name}."):
            yield from _every(layer, place.removeprefix(f"{layer.name}."))


@contextmanager
def _recorded(layers: Sequence[Any]) -> Iterator[dict[int, list[np.ndarray]]]:
    """Keep the inputs of layers while a model runs."""
    inputs: dict[int, list[np.ndarray]] = {id(layer): [] for layer in layers}

    def recording(layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(x: Any, *args: Any, **kwargs: Any) -> Any:
            inputs[id(layer)].append(keras.ops.convert_to_numpy(x))
            return call(x, *args, **kwargs)

        return recorded

    calls = [layer.call for layer in layers]
    try:
        for layer, call in zip(layers, calls, strict=True):
            object.__setattr__(layer, "call", recording(layer, call))
        yield inputs
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _used(name: str, old: Sequence[Any], new: Any, x: np.ndarray) -> float:
    """Return the largest part of the bound that a layer uses on one input."""
    if new.compute_dtype not in DTYPES:
        raise UnsuitableError(f"{name} computes in {new.compute_dtype}, in which no layer is judged here, only in {', '.join(DTYPES)}")
    resizes, kernels = old[:-1], [keras.ops.convert_to_numpy(layer.kernel) for layer in (old[-1], new)]

    def original(layer: Any, x: np.ndarray) -> np.ndarray:
        y = keras.ops.convert_to_tensor(x)
        for each in (*resizes, layer):
            y = each(y)
        return keras.ops.convert_to_numpy(y)

    with _linear(old[-1]), _linear(new):
        actual = keras.ops.convert_to_numpy(new(keras.ops.convert_to_tensor(x)))
        expected = original(old[-1], x)
        with _absolute(old[-1]):
            total = original(old[-1], np.abs(x))
    taps = prod(kernels[0].shape[:-2])
    channels = kernels[0].shape[-2] if resizes else kernels[0].shape[-1]  # of a transposed convolution, (*K, Co, Ci)
    biased = old[-1].bias is not None
    added = prod(map(min, kernels[0].shape[:-2], new.scale)) if resizes else 0
    terms = taps * channels + biased, prod(kernels[1].shape[:-1]) + biased
    return used(name, actual, expected, total, terms=terms, added=added)


@contextmanager
def _linear(layer: Any) -> Iterator[None]:
    activation = layer.activation
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation


@contextmanager
def _absolute(layer: Any) -> Iterator[None]:
    weights = layer.get_weights()
    layer.set_weights([np.abs(value) for value in weights])
    try:
        yield
    finally:
        layer.set_weights(weights)


def _write(model: keras.Model, path: Path, given: Sequence[Sequence[np.ndarray]]) -> list[Path]:
    """Write a model all at once, if what is read back gives the very values on these inputs."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        part = Path(folder) / path.name
        model.save(part)
        again = keras.models.load_model(part, compile=False, safe_mode=True)
        saved = all(np.array_equal(one, other) for one, other in zip(model.get_weights(), again.get_weights(), strict=True))
        made = [[y for inputs in given for y in _outputs(each, inputs)] for each in (model, again)]
        if not saved or not same_values(*made):
            raise DiffersError(f"{path.name} does not come back from its file as it was")
        os.replace(part, path)
    return [path]
