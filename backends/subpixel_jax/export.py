"""Functions for other runtimes: StableHLO, the portable program that `jax.export` makes, for extents known and not known yet."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export
from jax.extend.core import InconclusiveDimensionOperation
from jax.typing import DTypeLike

from subpixel_core.check import decided, flag, integer, kept_dtype, known_dtype, of_kind, same_answer, several, verified_on, words
from subpixel_jax.ops import for_a_runtime, inverse_phase_shift, phase_shift

_FUNCTIONS = {"floordiv", "mod", "max", "min", "non_negative"}  # of jax's symbolic extents; every other word is an unknown


def to_stablehlo(
    function: Callable[..., Any],
    shapes: str | Sequence[str],
    *,
    dtype: DTypeLike = jnp.float32,
    platforms: Sequence[str] | None = None,
    verify: bool = True,
) -> bytes:
    """Return a function as StableHLO in the bytes of `jax.export`, called once with every unknown extent given before they are returned.

    `jax.export.deserialize` reads them, also in later versions of JAX, and needs neither this package nor the function.

    A shift is transposes of at most five axes, and in layers the channel order is folded into the kernel.

    Parameters
    ----------
    function : callable
        Of arrays. What else it needs, parameters too, it holds: ``partial(residual_unet, params, config=config)`` by name.
    shapes : str or sequence of str
        One per array, as `jax.export.symbolic_shape` reads it: words are unknown extents, the same word the same extent.
    dtype : dtype
        Of the arrays. One of 64 bits needs ``jax_enable_x64``.
    platforms : sequence of str, optional
        To lower for, ``("cpu", "cuda", "tpu")`` for example; without it, the one that JAX runs on, which must be among them to verify.
    verify : bool
        Read the bytes and call them, with two extents for every unknown. A shift must be equal bit for bit, anything else to half of the
        digits.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        If JAX cannot say what the function makes of unknown extents, or finds no such shape, would narrow the dtype, or does not run on
        the platforms.
    RuntimeError
        If the program does not compute what the function does.

    Examples
    --------
    >>> program = export.deserialize(to_stablehlo(partial(phase_shift, scale=2), "n, h, w, 8"))
    >>> program.call(jnp.zeros((3, 4, 5, 8), "float32")).shape
    (3, 8, 10, 2)
    """
    flag("verify", verify)
    of_kind("function", callable(function), "a function", function)
    texts = several("shapes", shapes, str)
    known_dtype(_is_dtype(dtype), dtype)
    kept_dtype("JAX", jnp.dtype(dtype), jax.dtypes.canonicalize_dtype(dtype), 'jax.config.update("jax_enable_x64", True)')
    if platforms is not None:
        words("platforms", platforms)
        verified_on(not verify or export.default_export_platform() in platforms, export.default_export_platform(), platforms)
    scope = export.SymbolicScope()
    arrays = [jax.ShapeDtypeStruct(export.symbolic_shape(text, scope=scope), dtype) for text in texts]
    for extent in (extent for array in arrays for extent in array.shape if isinstance(extent, int)):
        integer("every known extent in shapes", extent, minimum=0)
    try:
        with for_a_runtime(True):
            content = bytes(export.export(jax.jit(function), platforms=platforms)(*arrays).serialize())
    except InconclusiveDimensionOperation as error:
        decided(texts, str(error))
    if verify:
        for smallest in (8, 13) if _unknown(texts) else (8,):
            _verify(function, content, _known(texts, smallest), dtype)
    return content


def _is_dtype(dtype: Any) -> bool:
    try:
        return dtype is not None and bool(jnp.dtype(dtype))
    except TypeError:
        return False


def _unknown(texts: Sequence[str]) -> list[str]:
    """Return the unknown extents of shapes."""
    return sorted(set(re.findall(r"[A-Za-z_]\w*", " ".join(texts))) - _FUNCTIONS)


def _known(texts: Sequence[str], smallest: int) -> list[tuple[Any, ...]]:
    """Return the shapes with a different number for every unknown extent.

    >>> _known(["n, 2*h, w, 3"], 8)
    [(9, 16, 10, 3)]
    """
    numbers = {name: str(smallest + i) for i, name in enumerate(_unknown(texts))}
    told = [re.sub(r"[A-Za-z_]\w*", lambda word: numbers.get(word[0], word[0]), text) for text in texts]
    return [tuple(export.symbolic_shape(text)) for text in told]


def _verify(function: Callable[..., Any], content: bytes, shapes: Sequence[tuple[int, ...]], dtype: DTypeLike) -> None:
    """Refuse a program that computes something else than the function for arrays of these shapes."""
    rng = np.random.default_rng(0)
    drawn = [rng.random(shape) for shape in shapes]
    inputs = [jnp.asarray(values < 0.5 if jnp.dtype(dtype).kind == "b" else 64 * values, dtype) for values in drawn]
    moves = (function.func if isinstance(function, partial) else function) in (phase_shift, inverse_phase_shift)
    answers = (jax.tree.leaves(call(*inputs)) for call in (jax.jit(function), export.deserialize(bytearray(content)).call))
    for wanted, got in zip(*answers, strict=True):
        inexact = not moves and jnp.issubdtype(wanted.dtype, jnp.inexact)
        allowed = np.sqrt(float(jnp.finfo(wanted.dtype).eps)) * float(jnp.abs(wanted).max()) if inexact else 0.0
        same_answer("XLA", shapes[0], np.asarray(wanted), np.asarray(got), allowed)
