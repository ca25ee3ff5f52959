"""Phase shift, its inverse and the blur: the core's plans on JAX arrays."""

from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export, lax
from jax.extend.core import InconclusiveDimensionOperation
from jax.sharding import NamedSharding, PartitionSpec
from jax.typing import ArrayLike

from subpixel_core import DataFormat, Order, Rearrangement, channel_permutation, few_axes, padding_widths, rearrangement
from subpixel_core._phase_shift import DEPLOYED_AXES
from subpixel_core.check import Scale, per_axis, rank


def phase_shift(x: ArrayLike, scale: Scale, *, order: Order = "DCR", data_format: DataFormat = "channels_last") -> Array:
    """Rearrange channels into blocks of pixels. By default this is `tf.nn.depth_to_space`, in any number of dimensions.

    Parameters
    ----------
    x : Array, shape (*batch, *spatial, C * prod(scale))
        Any dtype, any number of batch axes. ``(*batch, C * prod(scale), *spatial)`` for ``channels_first``. Without ``jax_enable_x64``,
        JAX itself makes a 64-bit NumPy array a 32-bit one on its way in.
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair. Like order and format it is static under `jax.jit`.
    order : {"DCR", "CRD", "DRC", "RCD"}
    data_format : {"channels_last", "channels_first"}

    Returns
    -------
    Array, shape (*batch, *(spatial * scale), C)
        Sharded as ``x`` is: over batch and spatial axes that takes no communication.

    Raises
    ------
    ValueError, TypeError
        As `subpixel_core.phase_shift`, with the same text.

    Examples
    --------
    >>> phase_shift(jnp.arange(8).reshape(1, 1, 8), 2)[..., 0]
    Array([[0, 2],
           [4, 6]], dtype=int32)
    """
    return _carry_out(x, scale, order, data_format, inverse=False)


def inverse_phase_shift(x: ArrayLike, scale: Scale, *, order: Order = "DCR", data_format: DataFormat = "channels_last") -> Array:
    """Rearrange blocks of pixels into channels: the inverse of `phase_shift`, by default `tf.nn.space_to_depth`.

    Parameters
    ----------
    x : Array, shape (*batch, *spatial, C)
        Every spatial extent a multiple of its factor.
    scale, order, data_format
        As in `phase_shift`.

    Returns
    -------
    Array, shape (*batch, *(spatial / scale), C * prod(scale))

    Examples
    --------
    >>> inverse_phase_shift(jnp.array([[[0], [1]], [[2], [3]]]), 2)
    Array([[[0, 1, 2, 3]]], dtype=int32)
    """
    return _carry_out(x, scale, order, data_format, inverse=True)


def _carry_out(x: ArrayLike, scale: Scale, order: Order, data_format: DataFormat, *, inverse: bool) -> Array:
    x = jnp.asarray(x)
    plan = rearrangement(x.ndim, scale, order=order, data_format=data_format, inverse=inverse)
    if len(plan.axes) > DEPLOYED_AXES and in_a_program(x):
        return in_few_axes(x, scale, order=order, data_format=data_format, inverse=inverse)
    return _moved(x, plan)


for_a_runtime = jax.make_user_context(False)
"""True while `to_stablehlo` traces: where all extents are known, JAX gives no sign that it exports. Nothing traced otherwise is taken."""


def in_a_program(x: Array) -> bool:
    """Whether this is traced to leave JAX: by `to_stablehlo`, or by `jax.export` for extents that are not known.

    Then transposes have at most five axes. Where a mesh has explicit axes, which are never joined, all stays as it is.
    """
    return (for_a_runtime.value or any(map(export.is_symbolic_dim, x.shape))) and jax.typeof(x).sharding.mesh.empty


def in_few_axes(x: Array, scale: Scale, *, order: Order, data_format: DataFormat = "channels_last", inverse: bool) -> Array:
    """Return the shift or its inverse as exported programs hold it."""
    y = x
    try:
        for plan in few_axes(x.ndim, scale, order=order, data_format=data_format, inverse=inverse):
            y = y.reshape(plan.split(y.shape)).transpose(plan.axes).reshape(plan.merged(y.shape))
    except InconclusiveDimensionOperation:  # of a difference, as n * (h - 1), JAX cannot tell that it is not negative
        return _stacked(x, rearrangement(x.ndim, scale, order=order, data_format=data_format, inverse=inverse))
    return y


def _stacked(x: Array, plan: Rearrangement) -> Array:
    """Carry out a plan without a transpose, and without joining axes: what lies at every offset is stacked where the offset belongs."""
    y, axes = x.reshape(plan.split(x.shape)), list(range(len(plan.axes)))
    for before, offset in zip((None, *plan.axes), plan.axes, strict=False):
        if plan.split_extents[offset].axis is None:
            here = axes.index(offset)
            axes.remove(offset)
            there = 0 if before is None else axes.index(before) + 1
            axes.insert(there, offset)
            y = jnp.stack([lax.index_in_dim(y, i, here, keepdims=False) for i in range(y.shape[here])], there)
    return y.reshape(plan.merged(x.shape))


def in_native_order(x: Array, kernel: Array, bias: Array | None, scale: tuple[int, ...], order: Order) -> tuple[Array, Array | None, Order]:
    """Return the parameters before a shift as they are; in an exported program in order DCR, whose transposes have the fewest axes."""
    if order == "DCR" or not in_a_program(x):
        return kernel, bias, order
    permutation = channel_permutation(kernel.shape[-1], scale, source=order, target="DCR")
    return _reordered(kernel, permutation), None if bias is None else _reordered(bias, permutation), "DCR"


def _reordered(values: Array, permutation: np.ndarray) -> Array:
    """Return parameters with their last axis permuted: at once where their values are known, so that the program holds the result."""
    with nullcontext() if isinstance(values, jax.core.Tracer) else jax.ensure_compile_time_eval():
        return jnp.asarray(values)[..., permutation]


@partial(jax.jit, static_argnums=1, inline=True)  # eager too: one program moves the values once, where three would do so twice
def _moved(x: Array, plan: Rearrangement) -> Array:
    whole = jax.typeof(x).sharding  # an array on a mesh with explicit axes is reshaped only if told where the parts go
    parts = PartitionSpec(*(None if extent.axis is None else whole.spec[extent.axis] for extent in plan.split_extents))
    split = x.reshape(plan.split(x.shape), out_sharding=NamedSharding(whole.mesh, parts))
    return split.transpose(plan.axes).reshape(plan.merged(x.shape), out_sharding=whole)


def box_blur(x: ArrayLike, scale: Scale) -> Array:
    """Average over a box of the size of the scale, leaving out what lies outside: `subpixel_core.box_blur`.

    Parameters
    ----------
    x : Array, shape (*batch, *spatial, C)
    scale : int or tuple of int
        One factor per spatial axis; an int is the pair.

    Returns
    -------
    Array, shape of ``x``
        In its dtype (JAX's default floating point for integers), averaged in float32 at least.
    """
    x, factors = jnp.asarray(x), per_axis("scale", scale)
    rank(x.ndim, len(factors), factors)
    dtype = jnp.result_type(x, float)
    accumulator = jnp.promote_types(dtype, jnp.float32)
    count = _box_sum(jnp.ones((*x.shape[-1 - len(factors) : -1], 1), accumulator), factors)
    return (_box_sum(x.astype(accumulator), factors) / count).astype(dtype)


def _box_sum(x: Array, factors: tuple[int, ...]) -> Array:
    """Return the sums over the box around every position, zeros outside, as of a convolution with padding "same"."""
    batch_ndim = x.ndim - 1 - len(factors)
    box = (*(1 for _ in range(batch_ndim)), *factors, 1)
    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, box, (1,) * x.ndim, padding_widths("same", box))
