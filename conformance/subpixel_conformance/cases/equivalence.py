"""EQ: the same layer in another form. What a conversion returns is applied by the oracle, and must give what it was made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .. import compare, oracle
from .. import oracle_equivalence as equal
from ..adapter import ORDERS, AdapterProtocol
from ..case import Case, Evidence, Mismatch, Needs
from .arrays import normal, small_integers
from .refusals import refused

FORMS = ("minimal", "aligned")
SPATIAL = {1: (5,), 2: (4, 5), 3: (3, 4, 2)}
Axes = tuple[int, ...]


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution to convert."""

    kernel: Axes
    stride: Axes
    padding: Axes
    output_padding: Axes
    dilation: Axes | None = None
    groups: int = 1
    after: Axes | None = None
    """The padding at the end, where it differs from that at the start."""

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    @property
    def spread(self) -> Axes:
        """The dilation on every axis."""
        return self.dilation or (1,) * self.ndim

    @property
    def slug(self) -> str:
        """The part of an id that names it."""
        parts = [("k", self.kernel), ("s", self.stride), ("p", self.padding), ("o", self.output_padding)]
        parts += [("d", self.dilation)] if self.dilation else []
        parts += [("e", self.after)] if self.after else []
        return "-".join(f"{letter}{'x'.join(map(str, values))}" for letter, values in parts) + (
            f"-g{self.groups}" if self.groups > 1 else ""
        )

    def options(self) -> dict[str, Any]:
        """Return what a transposed convolution is told."""
        padding = self.padding if self.after is None else tuple(zip(self.padding, self.after, strict=True))
        return {"stride": self.stride, "padding": padding, "output_padding": self.output_padding}

    def exact(self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """Return its output: of different paddings, that of the smaller, cropped."""
        ends = list(zip(self.padding, self.after or self.padding, strict=True))
        both = tuple(min(pair) for pair in ends)
        options = {"stride": self.stride, "padding": both, "output_padding": self.output_padding}
        y: np.ndarray = equal.grouped_conv_transpose(x, kernel, bias, self.spread, self.groups, **options)
        return equal.cropped(y, tuple((first - p, last - p) for (first, last), p in zip(ends, both, strict=True)))


EVERY_AXIS = tuple(
    Transposed((k,), (s,), (p,), (o,))
    for k, s, p, o in product(range(1, 8), range(1, 5), range(4), range(4))
    if o < s and 4 * s - 2 * p + k + o > 0 and (o == 0 or k + p > 2)
)
"""Every kernel below 8 with every stride below 5, padding below 4 and output padding below the stride, on one axis."""

SOME = (
    Transposed((4, 4), (2, 2), (1, 1), (0, 0)),
    Transposed((2, 2), (2, 2), (0, 0), (0, 0)),
    Transposed((3, 3), (2, 2), (1, 1), (1, 1)),
    Transposed((5, 2), (2, 3), (2, 0), (1, 2)),
    Transposed((3, 6), (1, 4), (1, 3), (0, 2)),
    Transposed((2, 3, 5), (3, 2, 1), (0, 1, 2), (2, 0, 0)),
    Transposed((7,), (3,), (5,), (2,)),
    Transposed((1,), (4,), (0,), (3,)),
)
DILATED = (
    Transposed((3, 2), (2, 3), (1, 0), (1, 2), (2, 3)),
    Transposed((3, 2), (2, 2), (1, 0), (2, 1), (3, 2)),  # an output padding between stride and dilation
    Transposed((3,), (1,), (1,), (1,), (2,)),
)
UNEVEN = (
    Transposed((3, 4), (2, 2), (0, 1), (1, 0), after=(1, 2)),
    Transposed((5,), (3,), (3,), (0,), after=(0,)),
)
GROUPED = (Transposed((4, 3), (2, 2), (1, 1), (0, 1), None, 2), Transposed((3,), (2,), (0,), (1,), None, 3))


# --- transposed convolutions ---


def tensors(layer: Transposed, inputs: int = 3, outputs: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return integers for it: input, kernel and a bias without two equal values."""
    inputs, outputs = inputs * layer.groups, outputs * layer.groups
    x = small_integers((2, *SPATIAL[layer.ndim], inputs), "float32")
    kernel = small_integers((*layer.kernel, inputs // layer.groups, outputs), "float32", start=300, modulus=7)
    return x, kernel, (np.arange(outputs) * 5 - 3).astype(np.float32)


def differs(actual: np.ndarray, expected: np.ndarray, clause: str, case: str) -> None:
    """Raise where what a rewritten layer gives is not what it was made from, exactly."""
    difference = compare.exact(actual, expected)
    if difference is not None:
        raise Mismatch(difference.message(clause, case))


def deconv_as_subpixel(adapter: AdapterProtocol, device: str, *, layer: Transposed, order: str, form: str, bias: bool, case: str) -> None:
    """Demand that the sub-pixel convolution gives what the transposed one does, and only holds values of its kernel."""
    x, kernel, term = tensors(layer)
    own = term if bias else None
    options: dict[str, Any] = layer.options() | {"dilation": layer.spread, "groups": layer.groups, "order": order, "form": form}
    made = adapter.deconv_to_subpixel(kernel, own, **options)
    differs(equal.apply(made, x), layer.exact(x, kernel, own), "EQ-001", case)
    distinct = (np.arange(kernel.size, dtype=np.uint32) + 1).view(np.float32).reshape(kernel.shape)  # subnormal, every one its own
    held = np.asarray(adapter.deconv_to_subpixel(distinct, None, **options).kernel)
    if held.dtype != distinct.dtype or not np.array_equal(np.sort(held[held != 0]), distinct.reshape(-1)):
        raise Mismatch(f"EQ-001 ({case}): kernel must hold the {distinct.size} values that it was made from, bit for bit, and zeros")


def form_of_deconv(adapter: AdapterProtocol, device: str, *, layer: Transposed, form: str, case: str) -> None:
    """Demand the taps, the crop at the start and the MACs of a form."""
    _, kernel, _ = tensors(layer)
    made = adapter.deconv_to_subpixel(kernel, None, **layer.options(), dilation=layer.spread, groups=1, order="DCR", form=form)
    axes = zip(layer.kernel, layer.stride, layer.padding, strict=True)
    wanted = tuple(equal.taps_of(form, k, s, p) for k, s, p in axes)
    taps = tuple(np.shape(made.kernel)[:-2])
    if taps != wanted:
        raise Mismatch(f"EQ-002 ({case}): the {form} form must have {wanted} taps; got {taps}")
    for k, s, p, (first, _) in zip(layer.kernel, layer.stride, layer.padding, made.crop, strict=True):
        limit = s if form == "minimal" else 1
        if p < k and first >= limit:
            raise Mismatch(f"EQ-002 ({case}): the {form} form must crop fewer than {limit} positions at the start; got {first}")
    spatial = (7, 5, 6)[: layer.ndim]
    if not compare.same_counts(made.macs(spatial), equal.macs(made, spatial)):
        raise Mismatch(f"EQ-002 ({case}): macs({spatial}) must be {equal.macs(made, spatial)}; got {made.macs(spatial)}")


def chosen(adapter: AdapterProtocol, device: str, *, layer: Transposed, spatial: Axes | None, case: str) -> None:
    """Demand that the choice goes to the fewest MACs, or without extents to the fewest taps; then to the smaller crop."""
    _, kernel, _ = tensors(layer)
    forms = [
        adapter.deconv_to_subpixel(kernel, None, **layer.options(), dilation=layer.spread, groups=1, order="DCR", form=f) for f in FORMS
    ]

    def cost(made: Any) -> tuple[int, int]:
        return made.kernel.size if spatial is None else equal.macs(made, spatial), sum(first + last for first, last in made.crop)

    for given in (forms, forms[::-1]):
        found = adapter.choose_form(given, spatial)
        if cost(found) != min(map(cost, forms)):
            raise Mismatch(
                f"EQ-011 ({case}): of (MACs or taps, crop) {[cost(one) for one in given]} the smallest must be chosen; got {cost(found)}"
            )


def subpixel_as_deconv(
    adapter: AdapterProtocol, device: str, *, kernel: Axes, scale: Axes, order: str, padding: Any, bias: bool, case: str
) -> None:
    """Demand that the transposed convolution gives what the sub-pixel one does, and holds V of the table."""
    x = small_integers((2, *SPATIAL[len(kernel)], 3), "float32")
    weights = small_integers((*kernel, 3, 2 * prod(scale)), "float32", start=300, modulus=7)
    term = oracle.icnr_bias(np.array([4, -7], np.float32), scale, order=order) if bias else None
    made = adapter.subpixel_to_deconv(weights, term, scale=scale, order=order, padding=padding)
    expected = oracle.stage(x, {"kernel": weights} | ({"bias": term} if term is not None else {}), scale, order=order, padding=padding)
    differs(equal.apply_deconvolution(made, x), expected, "EQ-003", case)
    distinct = (np.arange(weights.size) + 1).astype(np.float32).reshape(weights.shape)
    held = np.asarray(adapter.subpixel_to_deconv(distinct, None, scale=scale, order=order, padding=padding).kernel)
    zeros = tuple(oracle.padding_pairs(padding, kernel))
    spread = equal.spread_of_subpixel(distinct, None, scale, order, zeros)
    wanted = equal.deconvolution(spread, np.float32).kernel
    if held.shape == wanted.shape:
        differs(held, wanted, "EQ-003", case)
    elif sorted(held[held != 0].tolist()) != sorted(wanted[wanted != 0].tolist()):
        raise Mismatch(f"EQ-003 ({case}): kernel must hold the values that it was made from, and zeros")


def between_zeros(adapter: AdapterProtocol, device: str, *, layer: Transposed, bias: bool, case: str) -> None:
    """Demand that the convolution between zeros gives what the transposed one does."""
    x, kernel, term = tensors(layer)
    own = term if bias else None
    native = [None if value is None else adapter.to_native(value, device) for value in (x, kernel, own)]
    actual = adapter.to_numpy(adapter.fractionally_strided_conv(*native, **layer.options()))
    differs(actual, layer.exact(x, kernel, own), "EQ-004", case)


def native_deconv(adapter: AdapterProtocol, device: str, *, layer: Transposed, bias: bool, case: str) -> None:
    """Demand that the framework's own transposed convolution, converted by the implementation, gives what it gave."""
    x, kernel, term = tensors(layer)
    own = term if bias else None
    native = adapter.to_native(x, device)
    actual = adapter.to_numpy(adapter.from_conv_transpose(native, kernel, own, device=device, **layer.options()))
    differs(actual, layer.exact(x, kernel, own), "EQ-001", case)


# --- resize and convolution, shift and convolution ---


def _kernel_and_bias(kernel: Axes, inputs: int = 3, outputs: int = 2) -> tuple[np.ndarray, np.ndarray]:
    weights = small_integers((*kernel, inputs, outputs), "float32", start=300, modulus=7)
    return weights, (np.arange(outputs) * 5 - 3).astype(np.float32)


def resized(x: np.ndarray, weights: np.ndarray, bias: np.ndarray | None, scale: Axes, padding: Any) -> np.ndarray:
    """Return the convolution of what is enlarged to the nearest neighbour."""
    return oracle.conv(oracle.nearest_upsample(x, scale), weights, bias, padding=padding)


def resize_as_subpixel(
    adapter: AdapterProtocol,
    device: str,
    *,
    kernel: Axes,
    scale: Axes,
    padding: Any,
    order: str,
    form: str,
    case: str,
    dilation: Axes | None = None,
    groups: int = 1,
    bias: bool = True,
) -> None:
    """Demand that the sub-pixel convolution gives what resize and convolution do, borders included."""
    weights, term = _kernel_and_bias(kernel, 3, 2 * groups)
    own = term if bias else None
    x = small_integers((2, *SPATIAL[len(kernel)], 3 * groups), "float32")
    more: dict[str, Any] = {} if dilation is None and groups == 1 else {"dilation": dilation or (1,) * len(kernel), "groups": groups}
    made = adapter.resize_conv_to_subpixel(weights, own, scale=scale, padding=padding, order=order, form=form, **more)
    apart = weights if dilation is None else equal.dilated(weights, dilation)
    parts = [
        resized(x[..., 3 * group : 3 * group + 3], apart[..., 2 * group : 2 * group + 2], None, scale, padding) for group in range(groups)
    ]
    y = np.concatenate(parts, axis=-1)
    differs(equal.apply(made, x), y if own is None else y + own.astype(y.dtype), "EQ-005", case)


def native_resize(adapter: AdapterProtocol, device: str, *, kernel: Axes, scale: Axes, padding: Any, case: str, bias: bool = True) -> None:
    """Demand that the framework's own resize and convolution, converted by the implementation, give what they gave."""
    weights, term = _kernel_and_bias(kernel)
    own = term if bias else None
    x = small_integers((2, *SPATIAL[len(kernel)], 3), "float32")
    native = adapter.to_native(x, device)
    actual = adapter.to_numpy(adapter.from_resize_conv(native, weights, own, scale=scale, padding=padding, device=device))
    differs(actual, resized(x, weights, own, scale, padding), "EQ-005", case)


def shift_as_subpixel(
    adapter: AdapterProtocol,
    device: str,
    *,
    kernel: Axes,
    scale: Axes,
    padding: Any,
    order: str,
    form: str,
    case: str,
    bias: bool = True,
) -> None:
    """Demand that the sub-pixel convolution gives what shift and convolution do, borders included."""
    weights, term = _kernel_and_bias(kernel)
    own = term if bias else None
    x = small_integers((2, *SPATIAL[len(kernel)], 3 * prod(scale)), "float32")
    made = adapter.shift_conv_to_subpixel(weights, own, scale=scale, order=order, padding=padding, form=form)
    expected = oracle.conv(oracle.phase_shift(x, scale, order=order), weights, own, padding=padding)
    differs(equal.apply(made, x), expected, "EQ-006", case)


def strided(
    adapter: AdapterProtocol,
    device: str,
    *,
    first: str,
    kernel: Axes,
    scale: Axes,
    padding: Any,
    order: str,
    case: str,
    bias: bool = True,
) -> None:
    """Demand that the strided convolution gives what a convolution and an inverse shift do, whichever comes ``first``."""
    blocks = prod(scale)
    before = first == "conv"
    weights, term = _kernel_and_bias(kernel, 3 if before else 3 * blocks)
    own = term if bias else None
    lost = (
        [k - 1 - sum(pair) for k, pair in zip(kernel, oracle.padding_pairs(padding, kernel), strict=True)] if before else [0] * len(kernel)
    )
    spatial = tuple(r * n + less for r, n, less in zip(scale, SPATIAL[len(kernel)], lost, strict=True))
    x = small_integers((2, *spatial, 3), "float32")
    convert = adapter.conv_unshift_to_strided if before else adapter.unshift_conv_to_strided
    made = convert(weights, own, scale=scale, order=order, padding=padding)
    if before:
        expected = oracle.inverse_phase_shift(oracle.conv(x, weights, own, padding=padding), scale, order=order)
    else:
        expected = oracle.conv(oracle.inverse_phase_shift(x, scale, order=order), weights, own, padding=padding)
    differs(equal.apply_strided(made, x), expected, "EQ-007", case)


# --- chains and orders ---

Stages = tuple[tuple[Axes, Axes], ...]
CHAINS: tuple[tuple[str, Stages, Any, bool], ...] = (
    ("3-3", (((3, 3), (2, 2)), ((3, 3), (2, 3))), "same", True),
    ("3-3-no-bias", (((3, 2), (2, 2)), ((2, 3), (2, 1))), "same", False),
    ("1-3", (((1, 1), (2, 3)), ((3, 3), (2, 2))), "same", True),
    ("1-3-no-bias", (((1, 1), (2, 3)), ((3, 2), (2, 2))), "same", False),
    ("3-1", (((3, 2), (2, 2)), ((1, 1), (3, 2))), "same", True),
    ("valid", (((3, 2), (2, 2)), ((3, 3), (1, 2))), "valid", True),
    ("pairs", (((3, 3), (2, 1)), ((3, 3), (2, 2))), ((2, 0), (0, 1)), True),
    ("three", (((3,), (2,)), ((2,), (3,)), ((3,), (2,))), "same", True),
    ("3d", (((2, 1, 3), (1, 2, 2)), ((1, 3, 1), (2, 1, 1))), "same", True),
)


def stages_of(chain: Stages, bias: bool | Sequence[bool]) -> list[tuple[np.ndarray, np.ndarray | None, Axes]]:
    """Return integers for the stages of a chain: 3 channels in, 4 between, 2 out. ``bias`` says it of all stages, or of each."""
    has = [bias] * len(chain) if isinstance(bias, bool) else bias
    widths = [3, *[4] * (len(chain) - 1), 2]
    stages: list[tuple[np.ndarray, np.ndarray | None, Axes]] = []
    for number, (kernel, scale) in enumerate(chain):
        channels = widths[number + 1] * prod(scale)
        weights = small_integers((*kernel, widths[number], channels), "float32", start=101 * (number + 1), modulus=3)
        stages.append((weights, (np.arange(channels) - channels // 2).astype(np.float32) if has[number] else None, scale))
    return stages


def applied(x: np.ndarray, stages: Any, order: str, padding: Any) -> np.ndarray:
    """Return what the stages of a chain give, one after another."""
    for kernel, bias, scale in stages:
        x = oracle.stage(x, {"kernel": kernel} | ({} if bias is None else {"bias": bias}), scale, order=order, padding=padding)
    return x


def collapsed(
    adapter: AdapterProtocol,
    device: str,
    *,
    chain: Stages,
    padding: Any,
    bias: bool | Sequence[bool],
    order: str,
    form: str,
    case: str,
    shape: Axes | None = None,
) -> None:
    """Demand that the one layer has the extents of the chain, and its values but where the border is felt, and no further."""
    stages = stages_of(chain, bias)
    x = small_integers((*(shape or {1: (2, 8), 2: (2, 7, 6), 3: (2, 5, 4, 3)}[len(chain[0][0])]), 3), "float32")
    made = adapter.collapse_stages(stages, order=order, padding=padding, form=form)
    actual, expected = equal.apply(made, x), applied(x, stages, order, padding)
    difference = compare.kind(actual, expected.shape)
    if difference is not None:
        raise Mismatch(difference.message("EQ-008", case))
    spreads = [equal.spread_of_subpixel(k, b, s, order, tuple(oracle.padding_pairs(padding, k.shape[:-2]))) for k, b, s in stages]
    whole = spreads[0]
    for (kernel, _, _), spread in zip(stages[1:], spreads[1:], strict=True):
        whole = equal.followed(whole, spread, tuple(oracle.padding_pairs(padding, kernel.shape[:-2])))
    interior = tuple(tuple(pair) for pair in made.interior)
    if any(a > b for pair, limit in zip(interior, whole.interior, strict=True) for a, b in zip(pair, limit, strict=True)):
        raise Mismatch(f"EQ-008 ({case}): interior must be within {whole.interior}; got {interior}")
    differs(equal.cropped(actual, interior), equal.cropped(expected, interior), "EQ-008", case)


def reordered(
    adapter: AdapterProtocol,
    device: str,
    *,
    source: str,
    target: str,
    case: str,
    scale: Axes = (2, 3),
    kernel: Axes = (3, 2),
    outputs: int = 2,
) -> None:
    """Demand that a sub-pixel convolution converted to another order gives the same."""
    channels = outputs * prod(scale)
    weights, bias = _kernel_and_bias(kernel, 3, channels)
    x = small_integers((2, *SPATIAL[len(kernel)], 3), "float32")
    permuted, term = adapter.reorder(weights, bias, scale=scale, source=source, target=target)
    made = {"kernel": np.asarray(permuted), "bias": np.asarray(term)}
    expected = oracle.stage(x, {"kernel": weights, "bias": bias}, scale, order=source)
    differs(oracle.stage(x, made, scale, order=target), expected, "EQ-009", case)


# --- numerics ---


def impulses(spatial: Axes, channels: int) -> np.ndarray:
    """Return one sample per input channel that is 1 in its middle and 0 elsewhere: the answer of a linear layer is its taps."""
    x = np.zeros((channels, *spatial, channels), np.float32)
    for channel in range(channels):
        x[(channel, *(extent // 2 for extent in spatial), channel)] = 1
    return x


def summed_taps(adapter: AdapterProtocol, device: str, *, what: str, case: str) -> Evidence:
    """Demand that taps that were added up are within the bound of their sum, in float32."""
    if what == "resize":
        kernel, scale = normal((5, 3, 3, 2), "float32", seed=1), (3, 2)
        made = adapter.resize_conv_to_subpixel(kernel, None, scale=scale, padding="same", order="DCR", form="minimal")
        x = impulses((5, 6), 3)
        exact, size = (resized(x, values, None, scale, "same") for values in (kernel, np.abs(kernel)))
        terms = prod(scale)
    else:
        stages = [(normal((3, 3, 3, 16), "float32", seed=2), None, (2, 2)), (normal((3, 3, 4, 8), "float32", seed=3), None, (2, 2))]
        made = adapter.collapse_stages(stages, order="DCR", padding="same", form="minimal")
        x = impulses((7, 8), 3)
        exact, size = (applied(x, [(f(k), b, s) for k, b, s in stages], "DCR", "same") for f in (lambda value: value, np.abs))
        terms = 9 * 4
    bound = terms * compare.unit_roundoff("float32") * size
    ratio, difference = compare.within(equal.apply(made, x), exact, bound)
    if difference is not None:
        raise Mismatch(difference.message("EQ-012", case), ratio=ratio)
    return Evidence(ratio)


def native_bounded(adapter: AdapterProtocol, device: str, *, layer: Transposed, dtype: str, case: str) -> Evidence:
    """Demand that a converted transposed convolution on real numbers is within the bound of its sums."""
    x, kernel, bias = normal((2, *SPATIAL[layer.ndim], 6), dtype, 5), normal((*layer.kernel, 6, 2), dtype, 6), normal((2,), dtype, 7)
    exact, size = layer.exact(x, kernel, bias), layer.exact(np.abs(x), np.abs(kernel), np.abs(bias))
    bound = compare.sum_bound(exact, size, prod(kernel.shape[:-1]) + 1, dtype, bias)
    actual = adapter.from_conv_transpose(adapter.to_native(x, device), kernel, bias, device=device, **layer.options())
    ratio, difference = compare.within(adapter.to_numpy(actual), exact, bound)
    if difference is not None:
        raise Mismatch(difference.message("EQ-012", case), ratio=ratio)
    return Evidence(ratio)


# --- refusals ---


def attempted(operation: str, *arguments: Any, **options: Any) -> Any:
    """Return an attempt at a conversion."""

    def attempt(adapter: AdapterProtocol, device: str) -> Any:
        getattr(adapter, operation)(*arguments, **options)
        return operation

    return attempt


def refusals() -> Iterator[tuple[str, str, str, Any, str]]:
    """Yield (clause, slug, operation, attempt, what is asked)."""
    kernel = small_integers((3, 3, 3, 2), "float32")
    resize: dict[str, Any] = {"scale": (2, 2), "padding": "same", "order": "DCR", "form": "minimal"}
    inexact: list[tuple[str, dict[str, Any]]] = [
        ("bilinear", {"mode": "bilinear"}),
        ("bicubic", {"mode": "bicubic"}),
        ("area", {"mode": "area"}),
        ("align-corners", {"align_corners": True}),
    ]
    for slug, more in inexact:
        attempt = attempted("resize_conv_to_subpixel", kernel, None, **resize, **more)
        yield "EQ-010", slug, "resize_conv_to_subpixel", attempt, f"a resize with {more}"
    stages = [(small_integers((3, 3, 3, 16), "float32"), None, (2, 2)), (small_integers((3, 3, 4, 8), "float32"), None, (2, 2))]
    attempt = attempted("collapse_stages", stages, order="DCR", padding="same", form="minimal", activation="relu")
    yield "EQ-010", "activation", "collapse_stages", attempt, "a chain with a nonlinearity"
    deconv: dict[str, Any] = {"stride": (2, 2), "padding": (1, 1), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}
    for order in ("DCR", "DRC"):
        attempt = attempted("deconv_to_subpixel", kernel, None, **{**deconv, "groups": 2}, order=order, form="minimal")
        yield "EQ-010", f"groups-{order}", "deconv_to_subpixel", attempt, f"groups in {order}"
    attempt = attempted("deconv_to_subpixel", kernel, None, **{**deconv, "output_padding": (2, 0)}, order="DCR", form="minimal")
    yield "EQ-010", "output-padding", "deconv_to_subpixel", attempt, "an output padding as large as the stride"
    apart = {**deconv, "dilation": (3, 1), "output_padding": (3, 0)}
    attempt = attempted("deconv_to_subpixel", kernel, None, **apart, order="DCR", form="minimal")
    yield "EQ-010", "output-padding-dilated", "deconv_to_subpixel", attempt, "an output padding as large as the dilation"
    for order, bias in product(ORDERS, ([1, 1, 1, 1, 5, 5, 6, 5], [1, 2, 3, 4, 5, 6, 7, 8])):
        uneven = np.asarray(bias, np.float32)
        attempt = attempted(
            "subpixel_to_deconv", small_integers((3, 3, 3, 8), "float32"), uneven, scale=(2, 2), order=order, padding="same"
        )
        yield "EQ-003", f"bias-{order}-{bias[1]}", "subpixel_to_deconv", attempt, "a bias that differs within a block"


# --- the cases ---


def _slug(*parts: Any) -> str:
    return "-".join(
        "x".join(map(str, part)) if isinstance(part, tuple) and part and isinstance(part[0], int) else _word(part) for part in parts
    )


def _word(part: Any) -> str:
    return part if isinstance(part, str) else "pairs"


def _needs(operation: str, ndim: int, scale: Axes, **more: Any) -> Needs:
    return Needs((operation,), ndim=ndim, anisotropic=len(set(scale)) > 1, scale_one=1 in scale, **more)


def cases(profile: str) -> Iterator[Case]:
    """Yield the cases of EQ."""
    exhaustive = profile == "exhaustive"
    yield from _deconv_cases(exhaustive)
    yield from _native_cases(exhaustive)
    yield from _block_cases(exhaustive)
    yield from _chain_cases(exhaustive)
    for what, operation in [("resize", "resize_conv_to_subpixel"), ("chain", "collapse_stages")]:
        case = f"EQ-012/{what}"
        yield Case(case, ("EQ-012",), "equivalence", Needs((operation,), ndim=2), partial(summed_taps, what=what, case=case))
    for clause, slug, operation, attempt, asked in refusals():
        case = f"{clause}/refused-{slug}"
        check = partial(refused, attempt=attempt, asked=asked, clause=clause, case=case)
        yield Case(case, (clause,), "equivalence", Needs((operation,), ndim=2, refusal=clause), check)


def _deconv_cases(exhaustive: bool) -> Iterator[Case]:
    operation = "deconv_to_subpixel"
    for layer, form in product((*SOME, *(EVERY_AXIS if exhaustive else EVERY_AXIS[::23])), FORMS):
        needs = _needs(operation, layer.ndim, layer.stride)
        case = f"EQ-002/{layer.slug}-{form}"
        yield Case(case, ("EQ-002",), "equivalence", needs, partial(form_of_deconv, layer=layer, form=form, case=case))
    rows = [(layer, order, form) for layer in SOME for order in ORDERS for form in FORMS]
    rows += [(layer, "DCR", form) for layer in (EVERY_AXIS if exhaustive else EVERY_AXIS[::11]) for form in FORMS]
    rows += [(layer, order, form) for layer in UNEVEN for order in ("DCR", "CRD") for form in FORMS]
    rows += [(layer, order, form) for layer in DILATED for order in ("DCR", "CRD") for form in FORMS]
    rows += [(layer, order, form) for layer in GROUPED for order in ("CRD", "RCD") for form in FORMS]
    for layer, order, form in rows:
        case = f"EQ-001/{order}-{layer.slug}-{form}"
        check = partial(deconv_as_subpixel, layer=layer, order=order, form=form, bias=True, case=case)
        yield Case(case, ("EQ-001",), "equivalence", _needs(operation, layer.ndim, layer.stride, order=order), check)
    for layer in (SOME[0], SOME[3]):
        case = f"EQ-001/CRD-{layer.slug}-no-bias"
        check = partial(deconv_as_subpixel, layer=layer, order="CRD", form="minimal", bias=False, case=case)
        yield Case(case, ("EQ-001",), "equivalence", _needs(operation, layer.ndim, layer.stride, order="CRD"), check)
    for layer, bias in [*((layer, True) for layer in SOME), (SOME[3], False)]:
        case = f"EQ-004/{layer.slug}{'' if bias else '-no-bias'}"
        needs = _needs("fractionally_strided_conv", layer.ndim, layer.stride)
        yield Case(case, ("EQ-004",), "equivalence", needs, partial(between_zeros, layer=layer, bias=bias, case=case))
    for layer, extent in product((SOME[0], SOME[1], SOME[2], SOME[4]), (None, 1, 2, 3, 16)):
        spatial = None if extent is None else (extent, extent + 1)
        case = f"EQ-011/{layer.slug}-{'taps' if spatial is None else 'x'.join(map(str, spatial))}"
        needs = Needs(("deconv_to_subpixel", "choose_form"), ndim=layer.ndim, anisotropic=True, scale_one=1 in layer.stride)
        yield Case(case, ("EQ-011",), "equivalence", needs, partial(chosen, layer=layer, spatial=spatial, case=case))
    kernels: list[tuple[Axes, Axes, Any]] = [
        ((3, 3), (2, 2), "same"),
        ((2, 3), (3, 2), "same"),
        ((1, 1), (2, 3), "same"),
        ((3, 2), (2, 2), "valid"),
    ]
    kernels += [((2, 3), (2, 3), ((4, 0), (0, 5))), ((4,), (3,), "same"), ((2, 1, 3), (2, 1, 2), "same")]
    for (kernel, scale, padding), order in product(kernels, ORDERS):
        case = f"EQ-003/{order}-{_slug(kernel, scale, padding)}"
        check = partial(subpixel_as_deconv, kernel=kernel, scale=scale, order=order, padding=padding, bias=order != "RCD", case=case)
        yield Case(case, ("EQ-003",), "equivalence", _needs("subpixel_to_deconv", len(scale), scale, order=order), check)


def _native_cases(exhaustive: bool) -> Iterator[Case]:
    for layer, bias in [*((layer, True) for layer in (*SOME, *(EVERY_AXIS[::17] if exhaustive else EVERY_AXIS[::85]))), (SOME[0], False)]:
        case = f"EQ-001/native-{layer.slug}{'' if bias else '-no-bias'}"
        needs = _needs("from_conv_transpose", layer.ndim, layer.stride)
        yield Case(case, ("EQ-001",), "equivalence", needs, partial(native_deconv, layer=layer, bias=bias, case=case))
    for layer in (SOME[0], SOME[2], SOME[5]):
        case = f"EQ-012/native-{layer.slug}"
        needs = _needs("from_conv_transpose", layer.ndim, layer.stride, dtype="float32")
        yield Case(case, ("EQ-012",), "equivalence", needs, partial(native_bounded, layer=layer, dtype="float32", case=case))
    for kernel, scale, padding in BLOCKS:
        case = f"EQ-005/native-{_slug(kernel, scale, padding)}"
        needs = _needs("from_resize_conv", len(scale), scale)
        yield Case(case, ("EQ-005",), "equivalence", needs, partial(native_resize, kernel=kernel, scale=scale, padding=padding, case=case))


BLOCKS: tuple[tuple[Axes, Axes, Any], ...] = (
    ((3, 3), (2, 2), "same"),
    ((3, 2), (2, 3), "same"),
    ((5, 1), (2, 4), "same"),
    ((4, 3), (3, 2), "valid"),
    ((3, 3), (2, 3), ((2, 0), (0, 3))),
    ((7,), (3,), "same"),
    ((3, 1, 2), (2, 3, 1), "same"),
)


def _block_cases(exhaustive: bool) -> Iterator[Case]:
    for (kernel, scale, padding), form in product(BLOCKS, FORMS):
        for order in ORDERS if exhaustive or len(scale) == 2 else ("DCR", "RCD"):
            rest: dict[str, Any] = {"kernel": kernel, "scale": scale, "padding": padding, "order": order, "form": form}
            slug = f"{order}-{_slug(kernel, scale, padding)}-{form}"
            case = f"EQ-005/{slug}"
            needs = _needs("resize_conv_to_subpixel", len(scale), scale, order=order)
            yield Case(case, ("EQ-005",), "equivalence", needs, partial(resize_as_subpixel, case=case, **rest))
            case = f"EQ-006/{slug}"
            needs = _needs("shift_conv_to_subpixel", len(scale), scale, order=order)
            yield Case(case, ("EQ-006",), "equivalence", needs, partial(shift_as_subpixel, case=case, **rest))
    for (dilation, groups), order, form in product([((2, 1), 1), ((1, 3), 1), ((1, 1), 2), ((2, 2), 3)], ("CRD", "RCD"), FORMS):
        case = f"EQ-005/{order}-d{_slug(dilation)}-g{groups}-{form}"
        more: dict[str, Any] = {"kernel": (3, 2), "scale": (2, 3), "padding": ((2, 1), (0, 3)), "dilation": dilation, "groups": groups}
        check = partial(resize_as_subpixel, order=order, form=form, case=case, **more)
        yield Case(case, ("EQ-005",), "equivalence", _needs("resize_conv_to_subpixel", 2, (2, 3), order=order), check)
    for (kernel, scale, padding), order in product(BLOCKS, ORDERS):
        for first, operation in [("conv", "conv_unshift_to_strided"), ("unshift", "unshift_conv_to_strided")]:
            case = f"EQ-007/{first}-first-{order}-{_slug(kernel, scale, padding)}"
            check = partial(strided, first=first, kernel=kernel, scale=scale, padding=padding, order=order, case=case)
            yield Case(case, ("EQ-007",), "equivalence", _needs(operation, len(scale), scale, order=order), check)


def _chain_cases(exhaustive: bool) -> Iterator[Case]:
    for (name, chain, padding, bias), form in product(CHAINS, FORMS):
        for order in ORDERS if exhaustive else ("DCR", "RCD"):
            case = f"EQ-008/{order}-{name}-{form}"
            check = partial(collapsed, chain=chain, padding=padding, bias=bias, order=order, form=form, case=case)
            needs = Needs(("collapse_stages",), order=order, ndim=len(chain[0][0]), anisotropic=True, scale_one=True)
            yield Case(case, ("EQ-008",), "equivalence", needs, check)
    for source, target in product(ORDERS, ORDERS):
        if source != target:
            case = f"EQ-009/{source}-to-{target}"
            needs = Needs(("reorder",), order=source, target=target, ndim=2, anisotropic=True)
            yield Case(case, ("EQ-009",), "equivalence", needs, partial(reordered, source=source, target=target, case=case))
