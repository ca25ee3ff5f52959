"""The smallest ways to write an adapter: a few functions, or a class that fills in what is the same for everyone.

Nothing of an adapter has to come from here; `AdapterProtocol` is all that the suite asks for.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, ClassVar

import numpy as np

from .adapter import DATA_FORMATS, OPERATIONS, ORDERS
from .adapters import tensors


class Adapter:
    """An adapter that computes on the CPU, as it is called, on NumPy arrays: derive from it, define operations, say what they claim.

    ``operations`` need not be claimed: they are those of `AdapterProtocol` that the class defines. Another framework's adapter overrides
    ``to_native`` and ``to_numpy``, or names the ``framework``; one for other devices or modes ``devices``, ``device_of``, ``modes`` and
    ``compile`` as well, and claims them.

    Examples
    --------
    >>> class Mine(Adapter):
    ...     claims = {"orders": ("CRD",), "data_formats": ("channels_first",), "ndims": (2,)}
    ...     def phase_shift(self, x, scale, *, order, data_format):
    ...         ...
    >>> Mine().claims["operations"]
    ('phase_shift',)
    """

    name: str = ""
    versions: Mapping[str, str] = {}
    claims: Mapping[str, Any] = {}
    framework: ClassVar[str | None] = None
    """One of `tensors.FRAMEWORKS`, or None for NumPy."""

    def __init__(self) -> None:
        self.name = self.name or type(self).__name__
        self.claims = {"operations": tuple(name for name in OPERATIONS if callable(getattr(self, name, None))), **self.claims}

    def devices(self) -> Mapping[str, str | None]:
        """Return the CPU, which is present."""
        return {"cpu": None}

    def modes(self, device: str) -> Mapping[str, str | None]:
        """Return eager execution, which every machine can do."""
        return {"eager": None}

    def to_native(self, array: np.ndarray, device: str) -> Any:
        """Return a tensor of the framework: of torch in the memory of the array, of the others, which have no strides, in their own."""
        if self.framework is None:
            return array
        return tensors.tensors_of(self.framework)(array if self.framework == "torch" else np.array(array, order="C"))

    def to_numpy(self, value: Any) -> Any:
        """Return the array behind a tensor. A list or a tuple is none, and stays what it is, to be refused."""
        return value if isinstance(value, (list, tuple)) else tensors.to_numpy(value)

    def device_of(self, value: Any) -> str:
        """Return the CPU."""
        return "cpu"

    def compile(self, function: Callable[..., Any], mode: str) -> Callable[..., Any]:
        """Return the function as it is."""
        return function

    @staticmethod
    def from_callables(
        *,
        order: str | Sequence[str] = ORDERS,
        data_format: str | Sequence[str] = DATA_FORMATS,
        ndim: int | Sequence[int] = (1, 2, 3),
        integer_scale: bool = False,
        name: str | None = None,
        framework: str | None = None,
        versions: Mapping[str, str] | None = None,
        claims: Mapping[str, Any] | None = None,
        **operations: Callable[..., Any],
    ) -> "Adapter":
        """Make an adapter of functions: each keyword that names a method of `AdapterProtocol` is an operation, and so is claimed.

        Parameters
        ----------
        order, data_format, ndim
            What the functions claim: one or several. Of several, a function must have a parameter of that name (``order``,
            ``data_format``), in which it is told.
        integer_scale : bool
            Call ``phase_shift(x, 2)`` instead of ``phase_shift(x, (2, 2))``; unequal factors are then not claimed.
        name : str, optional
            That of the first function, with its module.
        framework : {"torch", "tensorflow", "keras", "jax", "paddle", "tinygrad"}, optional
            Whose tensors the functions take; by default that of the module which the first function is from, else NumPy's.
        versions : mapping, optional
            What is judged; by default the version of the distribution that the first function is from.
        claims : mapping, optional
            Other fields of `Claims`: ``{"dtypes": ("float32", "int64"), "empty": False}``.
        **operations : callable
            ``phase_shift(x, scale)``, ``inverse_phase_shift(x, scale)``, ``icnr(base, shape, scale)`` and so on.

        Raises
        ------
        ValueError
            For a keyword that is no operation, for none at all, for a framework that is not known, and for several orders or formats
            claimed of a function that is not told which.

        Examples
        --------
        >>> from subpixel_core import phase_shift
        >>> Adapter.from_callables(phase_shift=phase_shift, ndim=2).name
        'subpixel_core._phase_shift.phase_shift'
        """
        strange = sorted(set(operations) - set(OPERATIONS))
        if strange or not operations:
            raise ValueError(f"operations must be among {', '.join(OPERATIONS)}; got {', '.join(strange) or 'none'}")
        several = {"order": _several(order), "data_format": _several(data_format)}
        for operation in sorted({"phase_shift", "inverse_phase_shift"} & set(operations)):
            accepted = _keywords(operations[operation])
            for option, claimed in several.items():
                if len(claimed) > 1 and accepted is not None and option not in accepted:
                    raise ValueError(f"{operation} must take {option} to be claimed for more than one; got {', '.join(claimed)}")
        first = next(iter(operations.values()))
        module = str(getattr(first, "__module__", None) or type(first).__module__)
        if framework is not None and framework not in tensors.FRAMEWORKS:
            raise ValueError(f"framework must be one of {', '.join(tensors.FRAMEWORKS)}; got {framework!r}")

        adapter = _Functions(name or f"{module}.{getattr(first, '__name__', type(first).__name__)}")
        adapter.integer_scale = integer_scale
        adapter.framework = framework or tensors.framework_of(module)
        adapter.versions = dict(versions) if versions is not None else _version(module)
        adapter.claims = {
            "operations": tuple(operations),
            "orders": several["order"],
            "data_formats": several["data_format"],
            "ndims": _several(ndim),
            "anisotropic": not integer_scale,
            **(claims or {}),
        }
        for operation, function in operations.items():
            adapter.functions[operation] = function
            scale_at = (2 if operation == "icnr" else 1) if integer_scale else None
            setattr(adapter, operation, _called(function, scale_at))
        return adapter


class _Functions(Adapter):
    framework: str | None  # type: ignore[misc] # of this adapter alone

    integer_scale: bool

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: dict[str, Callable[..., Any]] = {}

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        """Return lines that call the function where it can be imported from."""
        function = self.functions[operation]
        module, name = getattr(function, "__module__", None), getattr(function, "__name__", "")
        if not module or not name.isidentifier():
            return f"y = ...  # {operation} of {self.name}"
        importing, x = tensors.WRITTEN[self.framework] if self.framework else ("", "x")
        accepted = _keywords(function)
        told = {key: value for key, value in (("order", order), ("data_format", data_format)) if accepted is None or key in accepted}
        factors = scale[0] if self.integer_scale and isinstance(scale, tuple) else scale
        call = ", ".join([x, repr(factors), *(f"{key}={value!r}" for key, value in told.items())])
        return "\n".join(line for line in (importing, f"from {module} import {name}", f"y = {name}({call})") if line)


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, (str, int)) else tuple(value)


def _keywords(function: Callable[..., Any]) -> set[str] | None:
    """Return the names of the parameters of a function, none if it does not tell, None if it takes any."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a function that is not written in Python
        return set()
    return (
        None if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters) else {parameter.name for parameter in parameters}
    )


def _called(function: Callable[..., Any], scale_at: int | None) -> Callable[..., Any]:
    """Return ``function`` called without ``order`` and ``data_format`` where it does not take them, with an integer at ``scale_at``."""
    accepted = _keywords(function)
    dropped = set() if accepted is None else {"order", "data_format", "dtype"} - accepted

    def call(*given: Any, **options: Any) -> Any:
        values = list(given)
        if scale_at is not None and isinstance(values[scale_at], tuple):
            values[scale_at] = values[scale_at][0]
        return function(*values, **{name: value for name, value in options.items() if name not in dropped})

    return call


def _version(module: str) -> dict[str, str]:
    package = module.partition(".")[0]
    names = metadata.packages_distributions().get(package, [])
    return {name: metadata.version(name) for name in names[:1]}
