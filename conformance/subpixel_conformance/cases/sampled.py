"""PS, IP, SC on shapes, factors and layouts that nobody has chosen: sampled within the claims, and shrunk to the smallest that is wrong.

What is sampled is geometry; the values are labelled integers, so one example is a complete test of its geometry. Empty tensors, bit
patterns and separable layers have clauses, and so cases, of their own. The same seed samples the same examples, on every machine with the
same version of hypothesis; without hypothesis these cases are unavailable.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import product
from math import prod
from typing import Any

from ..adapter import ORDERS, AdapterProtocol, LayerConfig
from ..case import Case, Needs, Unavailable, claims_of
from .layer import exact_layer, needs_layer
from .shift import CLAUSE_OF_ORDER, OPERATIONS, Call, matches_formula

EXAMPLES = {"full": 10, "exhaustive": 60}
LAYERS = {"full": 3, "exhaustive": 20}
SIZE = 4096
"""The most values in a tensor that is sampled."""


def searched(property_: Callable[[Any], None], strategy: Callable[[Any], Any], examples: int, seed: int) -> None:
    """Call ``property_`` with ``examples`` values of ``strategy(hypothesis.strategies)``, and raise what it raises for the smallest.

    Raises
    ------
    Unavailable
        Without hypothesis.
    """
    try:
        import hypothesis
        from hypothesis import configuration
    except ImportError as error:
        raise Unavailable(f"{error}; pip install 'subpixel-spec[conformance]'") from error
    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        print_blob=False,
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def test(value: Any) -> None:
        property_(value)

    with tempfile.TemporaryDirectory(prefix="subpixel-") as folder, _stored_in(folder, configuration):
        hypothesis.seed(seed)(settings(hypothesis.given(strategy(hypothesis.strategies))(test)))()


@contextmanager
def _stored_in(folder: str, configuration: Any) -> Iterator[None]:
    """Let hypothesis keep its files in a folder, not in ``.hypothesis`` of whoever runs the suite, and again where it did afterwards."""
    before = getattr(configuration, "__hypothesis_home_directory", None)
    configuration.set_hypothesis_home_dir(folder)
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


def calls(adapter: AdapterProtocol, operation: str, order: str, dtype: str) -> Callable[[Any], Any]:
    """Return the strategy for calls of ``operation`` that the adapter claims. Simple ones come first."""
    claims = claims_of(adapter)

    def strategy(st: Any) -> Any:
        @st.composite
        def call(draw: Any) -> Call:
            data_format = draw(st.sampled_from([*claims.data_formats]))
            ndim = draw(st.sampled_from(sorted(claims.ndims)))
            factor = st.integers(1 if claims.scale_one else 2, {1: 7, 2: 5, 3: 3}.get(ndim, 2))
            scale = tuple(draw(factor) for _ in range(ndim)) if claims.anisotropic else (draw(factor),) * ndim
            extent = st.integers(1, 5 if ndim < 3 else 3)
            batch = tuple(draw(extent) for _ in range(draw(st.sampled_from(sorted(claims.batch_ndims)))))
            spatial = tuple(draw(extent) for _ in range(ndim))
            return Call(operation, scale, order, data_format, batch, spatial, draw(st.sampled_from([1, 2, 3, 6])), dtype)

        return call().filter(lambda call: prod(call.shape) <= SIZE)

    return strategy


def sampled_calls(
    adapter: AdapterProtocol, device: str, *, operation: str, order: str, dtype: str, clause: str, examples: int, seed: int, case: str
) -> None:
    """Demand the formula of sampled calls."""

    def holds(call: Call) -> None:
        matches_formula(adapter, device, call=call, clause=clause, case=case)

    searched(holds, calls(adapter, operation, order, dtype), examples, seed)


def layers(adapter: AdapterProtocol, order: str, dtype: str) -> Callable[[Any], Any]:
    """Return the strategy for (layer, shape of the input without its channels) that the adapter claims."""
    claims = claims_of(adapter)

    def strategy(st: Any) -> Any:
        @st.composite
        def layer(draw: Any) -> tuple[LayerConfig, tuple[int, ...]]:
            ndim = draw(st.sampled_from([n for n in sorted(claims.ndims) if n <= 3]))
            factor = st.integers(1 if claims.scale_one else 2, 4 if ndim < 3 else 2)
            scale = tuple(draw(factor) for _ in range(ndim)) if claims.anisotropic else (draw(factor),) * ndim
            kernel = tuple(draw(st.integers(1, 4 if ndim < 3 else 2)) for _ in range(ndim))
            spatial = tuple(draw(st.integers(1, 5 if ndim < 3 else 3)) for _ in range(ndim))
            inputs, outputs = draw(st.sampled_from([1, 2, 3, 4, 8, 16])), draw(st.integers(1, 4))
            config = LayerConfig(ndim, inputs, outputs, kernel, scale, order, bias=draw(st.booleans()), dtype=dtype)
            return config, (draw(st.integers(1, 4)), *spatial)

        return layer().filter(lambda drawn: needs_layer(drawn[0]).missing(claims) is None)

    return strategy


def sampled_layers(adapter: AdapterProtocol, device: str, *, order: str, dtype: str, examples: int, seed: int, case: str) -> None:
    """Demand the formula of sampled layers, on integers."""

    def holds(drawn: tuple[LayerConfig, tuple[int, ...]]) -> None:
        config, (batch, *spatial) = drawn
        named = f"{case}, {config} on {batch} of extents {tuple(spatial)}"
        exact_layer(adapter, device, config=config, spatial=tuple(spatial), clause="SC-001", case=named, batch=batch)

    searched(holds, layers(adapter, order, dtype), examples, seed)


def cases(profile: str, seed: int, dtype: str, real: str) -> Iterator[Case]:
    """Yield the sampled cases: one for every order of every operation, in ``dtype``, and of the layer, in ``real``."""
    for order, operation in product(ORDERS, OPERATIONS):
        clause = CLAUSE_OF_ORDER[order] if operation == "phase_shift" else "IP-001"
        case = f"{clause}/sampled-{'' if operation == 'phase_shift' else 'inverse-'}{order}"
        options: dict[str, Any] = {"operation": operation, "order": order, "dtype": dtype, "clause": clause}
        check = partial(sampled_calls, examples=EXAMPLES[profile], seed=seed, case=case, **options)
        yield Case(case, (clause,), "shift", Needs((operation,), order=order, dtype=dtype), check)
    for order in ORDERS:
        case = f"SC-001/sampled-{order}"
        check = partial(sampled_layers, order=order, dtype=real, examples=LAYERS[profile], seed=seed, case=case)
        needs = Needs(("layer",), order=order, dtype=real)
        yield Case(case, ("SC-001",), "layer", needs, check)
