"""One case of the suite: what it judges, what it needs of an implementation, and the check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .adapter import CLAIMABLE, DATA_FORMATS, ORDERS, REFUSALS, AdapterProtocol, Claims, LayerConfig

MODES = (
    "eager",
    "compile",
    "compile-dynamic",
    "function",
    "function-dynamic",
    "function-xla",
    "jit",
    "jit-dynamic",
    "vmap",
)
"""The execution modes that the suite has cases for. A claim of any other mode is refused, so that none goes unjudged."""


NDIMS = (1, 2, 3, 4)
BATCH_NDIMS = (0, 1, 2, 3)
DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "bfloat16", "complex64", "complex128"),
)
"""Numbers of axes and dtypes likewise."""


class Mismatch(Exception):  # noqa: N818 - a verdict, not an error of the suite
    """The implementation is wrong: what was asked, where it differs, and how to see it.

    ``order_found`` is the order that the output matches, ``ratio`` the error over its bound, ``reproduction`` Python to paste, ``clause``
    the clause that is broken where it is none of the case's own.
    """

    def __init__(
        self, message: str, order_found: str | None = None, ratio: float | None = None, reproduction: str = "", clause: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.order_found = order_found
        self.ratio = ratio
        self.reproduction = reproduction
        self.clause = clause


class Unavailable(Exception):  # noqa: N818 - a verdict, not an error of the suite
    """The case cannot be run on this machine, for the reason in the text."""


@dataclass(frozen=True)
class Evidence:
    """What a check that passed has measured: ``ratio``, the largest error over its bound.

    ``deviation`` is the largest error of a whole network over its largest output: reported, not judged.
    """

    ratio: float | None = None
    deviation: float | None = None


@dataclass(frozen=True)
class Needs:
    """What an implementation has to claim for a case to be put to it. None needs nothing of the kind.

    ``target`` is a second order and ``second_format`` a second data format, where a case needs two. A case whose values only travel through
    NumPy has no ``dtype``.
    """

    operations: tuple[str, ...] = ()
    order: str | None = None
    target: str | None = None
    data_format: str | None = None
    second_format: str | None = None
    ndim: int | None = None
    batch_ndim: int | None = None
    anisotropic: bool = False
    scale_one: bool = False
    empty: bool = False
    bit_patterns: bool = False
    strided: bool = False
    dtype: str | None = None
    mode: str = "eager"
    refusal: str | None = None
    layer: LayerConfig | None = None
    fresh: bool = False

    def missing(self, claims: Claims) -> str | None:
        """Return why ``claims`` do not cover this, or None when they do."""
        members: list[tuple[str, Any, Any]] = [("operation", operation, claims.operations) for operation in self.operations]
        members += [
            ("order", self.order, claims.orders),
            ("order", self.target, claims.orders),
            ("data format", self.data_format, claims.data_formats),
            ("data format", self.second_format, claims.data_formats),
            ("number of spatial axes", self.ndim, claims.ndims),
            ("number of batch axes", self.batch_ndim, claims.batch_ndims),
            ("dtype", self.dtype, claims.dtypes),
            ("execution mode", self.mode, claims.modes),
            ("refusal", self.refusal, claims.refusals),
        ]
        for what, needed, claimed in members:
            if needed is not None and needed not in claimed:
                return f"{what} {needed} is not claimed"
        flags = [
            ("unequal factors", self.anisotropic, claims.anisotropic),
            ("a factor of 1", self.scale_one, claims.scale_one),
            ("empty extents", self.empty, claims.empty),
            ("NaN payloads and the like", self.bit_patterns, claims.bit_patterns),
            ("views that are not contiguous", self.strided, claims.strided),
            ("how a layer starts", self.fresh, claims.fresh),
        ]
        for what, wanted, promised in flags:
            if wanted and not promised:
                return f"{what}: not claimed"
        if self.layer is not None and claims.layers is not None:
            fields = vars(self.layer)
            if not any(all(fields[name] == value for name, value in layer.items()) for layer in claims.layers):
                return "this layer is not claimed"
        return None


@dataclass(frozen=True)
class Case:
    """A case: ``clauses`` are exactly those it judges, the primary one first.

    ``check(adapter, device)`` returns None or `Evidence`, and raises `Mismatch` when the implementation is wrong.
    """

    id: str
    clauses: tuple[str, ...]
    conformance_class: str
    needs: Needs
    check: Callable[[AdapterProtocol, str], Evidence | None]


def claims_of(adapter: AdapterProtocol) -> Claims:
    """Return the claims of an adapter, the defaults filled in.

    Raises
    ------
    ValueError
        For a claim that no case could judge: an operation, order, data format, mode, dtype, refusal or number of axes that the suite does
        not know, or none where there must be one.
    TypeError
        For a claim that is not what `Claims` says: a sequence, or True or False.
    """
    unknown = sorted(str(name) for name in set(adapter.claims) - set(Claims.__dataclass_fields__))
    if unknown:
        raise ValueError(f"claims must have the fields {', '.join(Claims.__dataclass_fields__)}; got {', '.join(unknown)}")
    claims = Claims(**adapter.claims)
    for name in Claims.__dataclass_fields__:
        claimed, flag = getattr(claims, name), isinstance(getattr(Claims, name), bool)
        if flag and not isinstance(claimed, bool):
            raise TypeError(f"{name} must be True or False; got {claimed!r}")
        if not flag and claimed is not getattr(Claims, name) and not isinstance(claimed, (tuple, list, set, frozenset)):
            raise TypeError(f"{name} must be a sequence; got {claimed!r}")
    shifts = {"phase_shift", "inverse_phase_shift"} & set(claims.operations)
    for name in ("orders", "data_formats", "ndims", "batch_ndims", "modes", *(("dtypes",) if shifts else ())):
        if not getattr(claims, name):
            raise ValueError(
                f"{name} must have at least one value, or be left out for what the suite takes then; got {getattr(claims, name)!r}"
            )
    allowed: list[tuple[str, Sequence[Any], Sequence[Any]]] = [
        ("operations", claims.operations, CLAIMABLE),
        ("orders", claims.orders, ORDERS),
        ("data_formats", claims.data_formats, DATA_FORMATS),
        ("modes", claims.modes, MODES),
        ("ndims", claims.ndims, NDIMS),
        ("batch_ndims", claims.batch_ndims, BATCH_NDIMS),
        ("dtypes", claims.dtypes, DTYPES),
        ("refusals", claims.refusals, REFUSALS),
    ]
    for name, claimed, known in allowed:
        strange = [value for value in claimed if isinstance(value, bool) or value not in known]
        if strange:
            raise ValueError(f"{name} must be among {', '.join(map(str, known))}; got {', '.join(map(str, strange))}")
    strange = sorted({field for layer in claims.layers or () for field in layer} - set(LayerConfig.__dataclass_fields__))
    if strange:
        raise ValueError(f"layers must have fields of LayerConfig; got {', '.join(strange)}")
    return claims


_BULK = ("float32", "float64", "float16", "bfloat16", *(name for name in reversed(DTYPES) if name != "bool"), "bool")


def bulk_dtype(claims: Claims) -> str:
    """Return the dtype in which most cases are put to an implementation: float32 where it is claimed, else the next best that is."""
    return next((name for name in _BULK if name in claims.dtypes), "float32")


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the NumPy dtype of that name; "bfloat16" comes from ml_dtypes.

    Raises
    ------
    ImportError
        For "bfloat16" where ml_dtypes is not installed.
    """
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
