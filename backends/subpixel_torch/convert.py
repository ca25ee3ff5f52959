"""Layers and whole models turned into sub-pixel convolutions that compute the same: the core's equivalences on modules of torch."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from subpixel_core import (
    Conversion,
    ConversionReport,
    SubpixelKernel,
    choose_form,
    collapse_stages,
    deconv_to_subpixel,
    resize_conv_to_subpixel,
)
from subpixel_core._conversion import LISTED, NOT_ADJACENT, NOT_REACHED, READ_ELSEWHERE, SHARED_PARAMETERS, SLOWER
from subpixel_core._upsampling import FORMS, Form, Pairs
from subpixel_core.check import (
    exact_everywhere,
    exact_resize,
    example_runs,
    instance,
    layer_kind,
    linear,
    neighbours_found,
    nothing_attached,
    one_kernel,
    one_of,
    padding_widths,
    sums_held,
    unit_steps,
    values_at_hand,
    whole_factors,
    zeros_around,
)
from subpixel_torch.graphs import CHAINS, CONVOLUTIONS, RESIZES, copy_of, graphs_of, pairs_of, paths_of, undisturbed
from subpixel_torch.layers import (
    ChainedSubpixelConv2d,
    ExactSubpixelConv,
    SubpixelConv1d,
    SubpixelConv2d,
    SubpixelConv3d,
    memory_format,
)

_transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_stages = (SubpixelConv1d, SubpixelConv2d, SubpixelConv3d)


# --- one layer ---


def from_conv_transpose(module: nn.Module, *, form: Form | None = None) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that a transposed convolution is: `subpixel_core.deconv_to_subpixel`.

    Parameters
    ----------
    module : ConvTranspose1d, ConvTranspose2d or ConvTranspose3d
        Any kernel size, stride, padding, output padding, dilation and groups. It is not changed.
    form : {"minimal", "aligned"}, optional
        Without it, the one with fewer taps.

    Returns
    -------
    ExactSubpixelConv
        With parameters of its own on the same device, of the same dtype, trainable where the module's are. It takes ``output_size`` as the
        module does.

    Raises
    ------
    ValueError, TypeError
        For another type of module, also a derived one, and for a module with hooks, parametrizations or other things attached to it.

    Examples
    --------
    >>> layer = nn.ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1)
    >>> same = from_conv_transpose(layer)
    >>> same
    ExactSubpixelConv(8, 3, kernel_size=(2, 2), scale=(2, 2), padding=((1, 1), (1, 1)), crop=((1, 1), (1, 1)), groups=1, bias=True)
    >>> x = torch.randn(1, 8, 5, 6)
    >>> torch.allclose(same(x), layer(x), atol=1e-6)
    True
    """
    return _of_conv_transpose(module).build(form)


def from_resize_conv(upsample: nn.Module, conv: nn.Module, *, form: Form | None = None) -> ExactSubpixelConv:
    """Return the sub-pixel convolution that a resize to the nearest neighbour with a convolution behind it is.

    Parameters
    ----------
    upsample : Upsample or UpsamplingNearest2d
        Of mode "nearest" or "nearest-exact", which differ for broken factors only, with a whole ``scale_factor``.
    conv : Conv1d, Conv2d or Conv3d
        Stride 1, any kernel size, dilation, groups and padding with zeros.
    form : {"minimal", "aligned"}, optional
        Without it, the one with fewer taps.

    Returns
    -------
    ExactSubpixelConv
        As `from_conv_transpose`. Its taps are sums of those of ``conv``: exact but for their rounding.

    Raises
    ------
    ValueError, TypeError
        For another resize (bilinear, bicubic, with aligned corners, to a size), another convolution, other types, also derived ones, and
        for modules with hooks, parametrizations or other things attached to them.

    Examples
    --------
    >>> same = from_resize_conv(nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1))
    >>> same.weight.shape                                       # 2 x 2 taps at low resolution instead of 3 x 3 at high
    torch.Size([12, 8, 2, 2])
    """
    return _of_resize_conv(upsample, conv).build(form)


@dataclass(frozen=True)
class Call:
    """One call of a layer: the spatial extents of its input, and whether its channels are last in memory."""

    extents: tuple[int, ...]
    channels_last: bool


def is_measured_faster(
    original: str, kernel_size: Sequence[int], scale: Sequence[int], inputs: int, outputs: int, call: Call, *, groups: int
) -> bool:
    """Return whether a sub-pixel convolution is measured to be no slower than the original, "transposed" or "resize", on one call.

    Read off the 2-D layers in ``docs/evidence/equivalence-torch-cpu.json``, cautiously. A resize is worth replacing where the kernel gets
    smaller by more than the shift copies: not for 2 taps, nor for many more channels out than in. A transposed convolution is where the
    stride divides the kernel, so that no taps are zeros, or where torch's own is slow: few channels in or out. With more taps than the
    stride and many channels in, its time is in the products, of which both layers have as many: few channels out are then no gain. With
    channels last it is fast.
    """
    if groups > 1:
        return False  # not measured
    taps = min(kernel_size)
    if original == "resize":
        return outputs <= 4 or outputs < inputs or (taps >= 3 and outputs == inputs) or (taps >= 5 and inputs >= 16)
    steps = list(zip(kernel_size, scale, strict=True))
    columns = prod(kernel_size) * outputs * prod(call.extents)  # what torch's own keeps before it adds them up
    if columns * inputs < 2**18 or any(k < s for k, s in steps):
        return False  # small, and the call itself is what it costs; or most taps of the replacement are zeros
    if call.channels_last:
        return outputs <= 4 and inputs >= 16
    fits = all(k == s for k, s in steps) or all(k % s == 0 and (inputs <= 16 or (k <= 3 * s and outputs >= 64)) for k, s in steps)
    few = inputs <= (16 if columns >= 2**21 else 4) and all(k > s for k, s in steps)
    return fits or outputs <= 4 or few


@dataclass(frozen=True)
class _Equal:
    """What some layers are equal to: one kernel for each form, and what their replacement takes over from them."""

    original: str
    forms: Mapping[Form, SubpixelKernel]
    layers: Sequence[nn.Module]
    macs: Callable[[Sequence[int]], int]  # of the layers, by the extents of their input
    ends: Callable[..., tuple[Pairs, Pairs]] | None = None

    def build(self, form: Form | None = None) -> ExactSubpixelConv:
        """Return the replacement, in the form with fewer taps if none is given."""
        form = self.smallest() if form is None else one_of("form", form, FORMS)
        kernel = self.forms[form]
        weights = [cast(Tensor, layer.weight) for layer in self.layers]
        layout = memory_format(weights[0])

        def parameter(name: str, values: NDArray[Any]) -> nn.Parameter:
            trained = any(tensor is not None and tensor.requires_grad for tensor in (getattr(layer, name) for layer in self.layers))
            tensor = _tensor(values).to(weights[0].device, weights[0].dtype)
            return nn.Parameter(tensor.clone(memory_format=layout if name == "weight" else torch.contiguous_format), requires_grad=trained)

        ends = None if self.ends is None else partial(self.ends, form)
        module = ExactSubpixelConv(
            parameter("weight", np.moveaxis(kernel.kernel, (-1, -2), (0, 1))),
            None if kernel.bias is None else parameter("bias", kernel.bias),
            kernel.scale,
            kernel.padding,
            kernel.crop,
            groups=kernel.groups,
            ends=ends,
            batched=self.ends is None,
        )
        return module.train(self.layers[0].training)

    def faster(self, call: Call) -> Form | None:
        """Return the form to take for one call, if it is no slower than the layers."""
        form = self.smallest(call.extents)
        if self.original == "chain":
            return form if self.forms[form].macs(call.extents) <= self.macs(call.extents) else None
        kernel, layer = self.forms[form], cast(nn.Conv2d, self.layers[0])
        channels = layer.in_channels, layer.out_channels
        return form if is_measured_faster(self.original, layer.kernel_size, kernel.scale, *channels, call, groups=layer.groups) else None

    def smallest(self, extents: Sequence[int] | None = None) -> Form:
        """Return the form with the fewest multiply-accumulates on these extents, without them the one with the fewest taps."""
        chosen = choose_form(*self.forms.values(), spatial=extents)
        return next(form for form, kernel in self.forms.items() if kernel is chosen)


def _of_conv_transpose(module: nn.Module) -> _Equal:
    _plain("module", module, _transposed)
    layer = cast(nn.ConvTranspose2d, module)
    zeros_around(layer.padding_mode)
    inputs, outputs, *taps = layer.weight.shape
    parts = _array(layer.weight).reshape(layer.groups, inputs // layer.groups, outputs, *taps)  # (g, p, q, *K)
    kernel = np.moveaxis(parts, (1, 0, 2), (-3, -2, -1)).reshape(*taps, inputs // layer.groups, -1)  # (*K, p, g * q)
    geometry = {"stride": tuple(layer.stride), "padding": cast(tuple[int, ...], layer.padding), "dilation": tuple(layer.dilation)}
    forms = {
        form: deconv_to_subpixel(
            kernel,
            _array(layer.bias),
            output_padding=tuple(layer.output_padding),
            groups=layer.groups,
            order="CRD",
            form=form,
            **geometry,
        )
        for form in FORMS
    }
    return _Equal(
        "transposed", forms, (layer,), lambda extents: layer.weight.numel() * prod(extents), partial(_ends, tuple(taps), geometry)
    )


def _ends(
    taps: tuple[int, ...], geometry: dict[str, tuple[int, ...]], form: Form, x: Tensor, output_size: list[int]
) -> tuple[Pairs, Pairs]:
    """Return padding and crop for one output size: torch says which output padding that is, and the taps are the same for all of them."""
    stride, padding, dilation = geometry["stride"], geometry["padding"], geometry["dilation"]
    torchs_own: Any = nn.ConvTranspose2d._output_padding
    added = torchs_own(None, x, output_size, stride, padding, taps, len(taps), dilation)
    none = np.zeros((*taps, 1, 1))
    layer = deconv_to_subpixel(none, stride=stride, padding=padding, dilation=dilation, output_padding=tuple(added), order="CRD", form=form)
    return layer.padding, layer.crop


def _of_resize_conv(upsample: nn.Module, conv: nn.Module) -> _Equal:
    _resizes_exactly(upsample)
    _plain("conv", conv, CONVOLUTIONS)
    resize, layer = cast(nn.Upsample, upsample), cast(nn.Conv2d, conv)
    zeros_around(layer.padding_mode)
    unit_steps(layer.stride)
    taps = tuple(d * (k - 1) + 1 for k, d in zip(layer.kernel_size, layer.dilation, strict=True))
    scale = whole_factors(resize.scale_factor, resize.size, len(taps))
    padding = layer.padding if isinstance(layer.padding, str) else tuple((p, p) for p in layer.padding)
    kernel = _kernel(layer.weight)
    options: dict[str, Any] = {"bias": _array(layer.bias), "padding": padding, "dilation": layer.dilation, "groups": layer.groups}
    forms = {form: resize_conv_to_subpixel(kernel, scale, order="CRD", form=form, **options) for form in FORMS}

    weight = layer.weight.detach()
    summed = _tensor(forms["minimal"].kernel).to(weight.dtype)  # they were added up in float32
    sums_held(bool(summed.isfinite().all() or not weight.isfinite().all()), str(weight.dtype).removeprefix("torch."))

    def macs(extents: Sequence[int]) -> int:
        widths = zip(extents, scale, taps, padding_widths(padding, taps), strict=True)
        return layer.weight.numel() * prod(r * h + sum(zeros) - k + 1 for h, r, k, zeros in widths)

    return _Equal("resize", forms, (layer,), macs)


def _resizes_exactly(upsample: nn.Module) -> None:
    """Refuse a resize that is none to the nearest neighbour by whole factors, bit for bit."""
    _plain("upsample", upsample, RESIZES)
    resize = cast(nn.Upsample, upsample)
    mode = "nearest" if resize.mode == "nearest-exact" else resize.mode  # the same where every factor is whole
    exact_resize(mode, bool(resize.align_corners))
    axes = len(resize.scale_factor) if isinstance(resize.scale_factor, tuple) else 1
    factors = whole_factors(resize.scale_factor, resize.size, axes)
    # torch multiplies the position with the reciprocal, rounded: at 41 it then finds pixel 0 for the first position of pixel 1
    found = all(np.float32(1 / factor) * np.float32(factor) >= 1 for factor in factors)
    neighbours_found(factors, found or resize.mode == "nearest-exact")


def _of_chain(module: nn.Module) -> _Equal:
    """Return what a chain of sub-pixel convolutions without activation is, where it is one layer up to the border."""
    _plain("module", module, CHAINS, children={"stages"})
    chain = cast(ChainedSubpixelConv2d, module)
    stages = [cast(SubpixelConv2d, stage) for stage in chain.stages]
    for stage in stages:
        _plain("every stage", stage, _stages)
        one_kernel(blur=stage.blur, separable=stage.stage.separable)
    linear(chain.activation)
    links = [(_kernel(stage.weight), _array(stage.bias), stage.stage.scale) for stage in stages]
    first = stages[0]
    forms = {form: collapse_stages(links, order=first.order, padding=first.padding, form=form).reordered("CRD") for form in FORMS}
    exact_everywhere(forms["minimal"].interior)
    dtype = first.weight.dtype
    sizes = [(np.abs(kernel), None if bias is None else np.abs(bias), scale) for kernel, bias, scale in links]
    total = collapse_stages(sizes, order=first.order, padding=first.padding)  # in float32, where the weights are of half precision
    for values, least in ((total.kernel, torch.finfo(dtype).tiny), (total.bias, 0)):
        if values is not None and np.isfinite(values).all():
            held = _tensor(values[values != 0])
            sums_held(bool((held.to(dtype).isfinite() & (held >= least)).all()), str(dtype).removeprefix("torch."))

    def macs(extents: Sequence[int]) -> int:
        total = 0
        for stage in stages:
            low = [h + sum(zeros) - k + 1 for h, zeros, k in zip(extents, stage.widths, stage.stage.kernel_size, strict=True)]
            total += stage.weight.numel() * prod(low)
            extents = [r * h for r, h in zip(stage.stage.scale, low, strict=True)]
        return total

    return _Equal("chain", forms, stages, macs)


def _plain(name: str, module: nn.Module, types: tuple[type[nn.Module], ...], children: Collection[str] = ()) -> None:
    """Refuse a module that is not of one of these very types, or holds more than its parameters."""
    instance(name, module, nn.Module)
    kind, allowed = type(module), [known.__name__ for known in types]
    named = kind.__name__ if kind in types else f"{kind.__module__}.{kind.__qualname__}"
    if not isinstance(module, types):
        layer_kind(name, named, allowed)
    found = [key.strip("_") for key, value in vars(module).items() if "hooks" in key and value]
    found += ["hooks on every module"] if _has_any_global_hook() else []
    found += ["parametrizations"] if parametrize.is_parametrized(module) else []
    found += [f"a {key} of its own" for key, value in vars(module).items() if callable(value) and hasattr(kind, key)]
    known = {"weight", "bias", "parametrizations", *children}
    found += [repr(key) for key in {**module._buffers, **module._parameters, **module._modules} if key not in known]
    for key, tensor in module._parameters.items():
        found += [f"hooks on {key}"] if tensor is not None and (tensor._backward_hooks or tensor._post_accumulate_grad_hooks) else []
    nothing_attached(name, found)
    layer_kind(name, named, allowed)
    for key, tensor in module._parameters.items():
        if tensor is not None:
            layer_kind(key, type(tensor).__name__, ["Parameter"])
            values_at_hand(name, tensor.device)


def _array(tensor: Tensor | None) -> Any:
    """Return the values as an array, those of half precision in float32, which holds them all."""
    return None if tensor is None else tensor.detach().to("cpu", torch.promote_types(tensor.dtype, torch.float32)).numpy()


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))


def _kernel(weight: Tensor) -> NDArray[Any]:
    """Return the weight of a convolution (q, p, *k) as (*k, p, q)."""
    return np.moveaxis(_array(weight), (1, 0), (-2, -1))


# --- a whole model ---


def convert(model: nn.Module, *, example: Tensor | tuple[Any, ...] | None = None) -> tuple[nn.Module, ConversionReport]:
    """Return a copy of a model in which every layer with an exact sub-pixel equal is replaced, and a report of all that upsample.

    Transposed convolutions are replaced wherever they stand; a resize and the convolution behind it where they are proved adjacent: members
    of a `Sequential` that follow each other, or where `torch.fx` can trace the forward and nothing else reads what lies between. The resize
    then becomes an `Identity`. A module that stands at several places stays one module.

    Parameters
    ----------
    model : Module
        It is not changed.
    example : Tensor or tuple, optional
        Input of the model. With it a copy of the model is run once, in evaluation mode, to record extents, and what
        `is_measured_faster` does not say to be faster is left. Without it whatever is exact is replaced, also what may be slower:
        transposed convolutions with the channels last in memory.

    Returns
    -------
    model : Module
        The same type, training mode and places of modules; a replaced layer is an `ExactSubpixelConv`.
    report : ConversionReport

    Examples
    --------
    >>> decoder = nn.Sequential(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(8, 3, 3, padding=1))
    >>> converted, report = convert(decoder)
    >>> print(report)
    layer  kind               form     MACs before  MACs after  reason
    0      ConvTranspose2d    minimal            -           -
    2 + 3  Upsample + Conv2d  minimal            -           -
    """
    instance("model", model, nn.Module)
    layer_kind("model", "ScriptModule" if isinstance(model, torch.jit.ScriptModule) else "Module", ["Module"])
    if example is not None and not isinstance(example, tuple):
        instance("example", example, Tensor)
        example = (example,)
    converted = copy_of(model)
    calls = None if example is None else _calls(copy_of(model), example)
    before = graphs_of(model)
    pairs = dict(pairs_of(model, before))
    paths, owners, rows = paths_of(model), _owners(model), []
    listed, read, described = _listed(model), before.read(), before.described()
    for module, places in paths.items():
        if not _upsamples(module):
            continue
        behind = pairs.get(places[0])
        row, replacement = _judge(model, places[0], behind, owners, None if calls is None else calls[places[0]])
        if replacement is not None:
            conv = None if behind is None else model.get_submodule(behind)
            new: dict[str, nn.Module] = dict.fromkeys(places, replacement if conv is None else nn.Identity().train(module.training))
            new |= dict.fromkeys([] if conv is None else paths[conv], replacement)
            reason = LISTED if {module, conv} & listed else READ_ELSEWHERE if read & new.keys() else None
            if reason is None:
                old = {place: converted.get_submodule(place) for place in new}
                converted = _all_put(converted, new)
                if graphs_of(converted).described() != described:
                    converted, reason = _all_put(converted, old), READ_ELSEWHERE
            row = row if reason is None else replace(row, form=None, macs_after=None, reason=reason)
        rows.append(row)
    return converted, ConversionReport(tuple(rows))


def _judge(
    model: nn.Module, path: str, behind: str | None, owners: Mapping[int, int], calls: list[Call] | None
) -> tuple[Conversion, ExactSubpixelConv | None]:
    """Return what becomes of a layer, and its replacement if it has one."""
    module = model.get_submodule(path)
    places = [path] if behind is None else [path, behind]
    layers = [model.get_submodule(place) for place in places]
    row = Conversion(" + ".join(places), " + ".join(type(layer).__name__ for layer in layers))
    try:
        if isinstance(module, RESIZES):
            _resizes_exactly(module)
            if behind is None:
                return replace(row, reason=NOT_ADJACENT), None
            equal = _of_resize_conv(module, layers[1])
        else:
            equal = _of_chain(module) if isinstance(module, CHAINS) else _of_conv_transpose(module)
    except (ValueError, TypeError) as refusal:
        return replace(row, reason=str(refusal)), None
    if any(owners[_storage(tensor)] > 1 for layer in equal.layers for tensor in layer.parameters()):
        return replace(row, reason=SHARED_PARAMETERS), None
    if calls is None:
        form: Form | None = equal.smallest()
    elif calls:
        largest = max(calls, key=lambda call: prod(call.extents))
        form = None if any(equal.faster(call) is None for call in calls) else equal.faster(largest)
        row = replace(row, macs_before=sum(equal.macs(call.extents) for call in calls))
        if form is None:
            return replace(row, reason=SLOWER), None
        row = replace(row, macs_after=sum(equal.forms[form].macs(call.extents) for call in calls))
    else:
        return replace(row, reason=NOT_REACHED), None
    return replace(row, form=form), equal.build(form)


def _upsamples(module: nn.Module) -> bool:
    """Whether a module has a row in the report: also those of other types that are named like a transposed convolution."""
    return isinstance(module, (*_transposed, *RESIZES, *CHAINS)) or "ConvTranspose" in type(module).__name__


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _owners(model: nn.Module) -> Counter[int]:
    """Return in how many places the memory of each parameter and buffer stands, each module counted once."""
    held = (tensor for module in model.modules() for tensor in (*module._parameters.values(), *module._buffers.values()))
    return Counter(_storage(tensor) for tensor in held if tensor is not None and not is_lazy(tensor))


def _all_put(model: nn.Module, modules: Mapping[str, nn.Module]) -> nn.Module:
    for path, module in modules.items():
        if not path:
            return module
        owner, _, name = path.rpartition(".")
        setattr(model.get_submodule(owner), name, module)
    return model


def _listed(model: nn.Module) -> set[nn.Module | None]:
    """Return the modules that lists, dicts and the like hold, where a model keeps them beside its modules."""

    def search(value: Any, depth: int) -> Iterator[nn.Module]:
        if isinstance(value, nn.Module):
            yield value
        elif isinstance(value, (list, tuple, set, frozenset, Mapping)) and depth < 4:
            for member in value.values() if isinstance(value, Mapping) else value:
                yield from search(member, depth + 1)

    held = ((key, value) for module in model.modules() for key, value in vars(module).items())
    return {found for key, value in held if key != "_modules" for found in search(value, 0)}


def _calls(model: nn.Module, example: tuple[Any, ...]) -> Mapping[str, list[Call]]:
    """Run the model, and return what goes into each module that upsamples, by the first of its paths."""
    calls: dict[str, list[Call]] = defaultdict(list)

    def record(path: str, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        x = arguments[0] if arguments else named.get("input")
        if isinstance(x, Tensor):
            axes = len(getattr(module, "kernel_size", x.shape[2:]))
            calls[path].append(Call(tuple(x.shape[-axes:]), memory_format(x) != torch.contiguous_format))

    for path, module in model.named_modules():
        if _upsamples(module):
            module.register_forward_pre_hook(partial(record, path), with_kwargs=True)
    with undisturbed(), torch.no_grad(), example_runs(example):
        model.eval()(*example)
    return calls
