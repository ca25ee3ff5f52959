"""The backend as the conformance suite judges it.

Importing this module turns on JAX's 64-bit types for the whole process, and JAX has no way back: it belongs into the suite's child process.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from math import gcd
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

import subpixel_jax as backend
from subpixel_core import ResidualUNetConfig, check, parameter_shapes
from subpixel_jax.unet import _divided

jax.config.update("jax_enable_x64", True)


class JaxAdapter:
    """`subpixel_jax` on NumPy arrays."""

    name = "subpixel_jax"
    versions: Mapping[str, str] = {"jax": jax.__version__}
    claims: Mapping[str, Any] = {
        "operations": (
            *("phase_shift", "inverse_phase_shift", "vjp", "icnr", "box_blur", "layer"),
            *("unet", "unet_mixed", "unet_gradients", "save_weights", "load_weights"),
            *("from_conv_transpose", "from_resize_conv"),
            *(("unet_steps",) if find_spec("optax") else ()),  # JAX has no optimizer of its own
        ),
        "orders": ("DCR", "CRD", "DRC", "RCD"),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (1, 2, 3, 4),
        "batch_ndims": (0, 1, 2, 3),
        "dtypes": (
            *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
            *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        ),
        "modes": ("eager", "jit", "jit-dynamic", "vmap"),
        "devices": ("cpu", "cuda"),
        "refusals": ("ER-001", "ER-002", "ER-003", "ER-004", "ER-005", "ER-006", "ER-007", "UN-014", "UN-015"),
    }

    def __init__(self) -> None:
        # A process that judges float32 computes in float32, not in TensorFloat-32.
        self.reduced_precision("cuda", False)

    def devices(self) -> Mapping[str, str | None]:
        try:
            jax.devices("cuda")
        except RuntimeError as error:
            return {"cpu": None, "cuda": str(error)}
        return {"cpu": None, "cuda": None}

    def modes(self, device: str) -> Mapping[str, str | None]:
        return dict.fromkeys(self.claims["modes"])

    def reduced_precision(self, device: str, allowed: bool | None) -> Mapping[str, bool]:
        if allowed is not None:
            jax.config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "highest")
        return {"jax_default_matmul_precision": jax.config.values["jax_default_matmul_precision"] not in ("highest", "float32")}

    def reduces_precision(self, device: str) -> str | None:
        if device != "cuda":
            return f"float32 is float32 on {device}"
        capability = jax.devices("cuda")[0].compute_capability
        return None if float(capability) >= 8 else f"TensorFloat-32 needs compute capability 8.0; this GPU has {capability}"

    def to_native(self, array: np.ndarray, device: str) -> Array:
        return jax.device_put(array, jax.devices(device)[0])

    def to_numpy(self, value: Array) -> np.ndarray:
        return np.asarray(value)

    def device_of(self, value: Array) -> str:
        (device,) = value.devices()
        return {"gpu": "cuda"}.get(device.platform, device.platform)

    def compile(self, function: Callable[..., Array], mode: str) -> Callable[..., Array]:
        modes: dict[str, Callable[..., Any]] = {"jit": jax.jit, "jit-dynamic": _exported, "vmap": jax.vmap}
        return function if mode == "eager" else modes[mode](function)

    def phase_shift(self, x: Array, scale: Any, *, order: Any, data_format: Any) -> Array:
        return backend.phase_shift(x, scale, order=order, data_format=data_format)

    def inverse_phase_shift(self, x: Array, scale: Any, *, order: Any, data_format: Any) -> Array:
        return backend.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        call = f"subpixel_jax.{operation}(x, {scale}, order={order!r}, data_format={data_format!r})"
        return f'import jax, subpixel_jax\njax.config.update("jax_enable_x64", True)\ny = np.asarray({call})'

    def vjp(self, function: Callable[[Array], Array], x: Array, cotangent: Array) -> Array:
        return jax.vjp(function, x)[1](cotangent)[0]

    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: Any, dtype: str = "float32"
    ) -> np.ndarray:
        def initializer(key: Array, shape: Any, dtype: Any = None) -> Array:
            return jnp.asarray(base(tuple(shape)))

        return np.asarray(backend.icnr(initializer, scale, order)(jax.random.key(0), shape, dtype))

    def box_blur(self, x: Array, scale: Any) -> Array:
        return backend.box_blur(x, scale)

    def layer(self, config: Any, device: str, parameters: list[dict[str, np.ndarray]] | None = None) -> "_JudgedLayer":
        plain = config.factors is None
        if parameters is None:
            options = {name: getattr(config, name) for name in ("ndim", "order", "bias", "separable", "dtype")}
            shape = (jax.random.key(0), config.in_channels, config.out_channels, config.kernel_size, config.scale)
            drawn: Any = (
                [backend.init_subpixel_conv(*shape, **options)]
                if plain
                else backend.init_chained_subpixel_conv(*shape, factors=config.factors, width=config.width, **options)
            )
        else:
            drawn = parameters
        activation = {None: None, "relu": jax.nn.relu}[config.activation]
        apply = _one_stage if plain else partial(backend.chained_subpixel_conv, factors=config.factors, activation=activation)
        given = {name: getattr(config, name) for name in ("scale", "order", "padding", "blur")}
        return _JudgedLayer(partial(apply, **given), jax.device_put(drawn, jax.devices(device)[0]))

    def unet(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> "_JudgedNetwork":
        return _JudgedNetwork(ResidualUNetConfig(**config), jax.devices(device)[0], params, dtype)

    def from_conv_transpose(
        self, x: Array, kernel: np.ndarray, bias: np.ndarray | None, *, device: str, stride: Any, padding: Any, output_padding: Any
    ) -> Array:
        taps = kernel.shape[:-2]
        zeros = [(k - 1 - p, k - 1 - p + more) for k, p, more in zip(taps, padding, output_padding, strict=True)]
        return backend.from_conv_transpose(np.flip(kernel, tuple(range(len(taps)))), bias, strides=stride, padding=zeros)(x)

    def from_resize_conv(self, x: Array, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, device: str) -> Array:
        zeros = padding.upper() if isinstance(padding, str) else padding
        return backend.from_resize_conv(kernel, bias, scale=scale, padding=zeros)(x)

    def save_weights(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        given = ResidualUNetConfig(**config)
        backend.save_weights(path, _divided(params, given), given)

    def load_weights(self, path: str, *, order: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        params, config = backend.load_weights(path, order=order)
        return _canonical(params), config.as_dict()


def _canonical(params: Mapping[str, Mapping[str, Array]]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for part in params.values() for name, value in part.items()}


def _one_stage(params: list[dict[str, Array]], x: Array, **options: Any) -> Array:
    (stage,) = params
    return backend.subpixel_conv(stage, x, **options)


def _exported(function: Callable[..., Array]) -> Callable[..., Array]:
    """Return ``function`` traced once, at the first call, with every extent unknown.

    Extents of one axis, of the inputs and the output, are multiples of one unknown; by how much, the shapes of the first call tell. The
    channels of a layer, which come last, are those of its kernel: they are known.
    """
    traced: list[export.Exported] = []

    def call(*tensors: Array) -> Array:
        if not traced:
            shapes = [*(x.shape for x in tensors), jax.eval_shape(function, *tensors).shape]
            units = [gcd(*extents) for extents in zip(*shapes, strict=True)]
            scope = export.SymbolicScope()

            def unknown(x: Array, channels: bool) -> jax.ShapeDtypeStruct:
                names = [f"{n // unit} * extent_{axis}" for axis, (n, unit) in enumerate(zip(x.shape, units, strict=True))]
                names[-1] = names[-1] if channels else str(x.shape[-1])
                return jax.ShapeDtypeStruct(export.symbolic_shape(", ".join(names), scope=scope), x.dtype)

            exported = export.export(jax.jit(function), platforms=("cpu", "cuda"))
            try:
                traced.append(exported(*(unknown(x, True) for x in tensors)))
            except ValueError:
                traced.append(exported(*(unknown(x, False) for x in tensors)))
        return traced[0].call(*tensors)

    return call


@partial(jax.jit, static_argnums=0)
def _pulled_back(apply: Callable[..., Array], arrays: Any, x: Array, cotangent: Array) -> tuple[Any, Any]:
    """Return the gradients of a layer, compiled at once: one program for each geometry instead of one for each operation in it."""
    for_arrays, for_x = jax.vjp(apply, arrays, x)[1](cotangent)
    return for_arrays, for_x


class _JudgedLayer:
    """A function of parameters and input, with the parameters it is judged with; their layout is the canonical one."""

    def __init__(self, apply: Callable[[list[dict[str, Array]], Array], Array], arrays: list[dict[str, Array]]) -> None:
        self.apply, self.arrays = apply, arrays

    def __call__(self, x: Array) -> Array:
        return self.apply(self.arrays, x)

    def parameters(self) -> list[dict[str, np.ndarray]]:
        return jax.tree.map(np.asarray, self.arrays)

    def gradients(self, x: Array, cotangent: Array) -> tuple[Any, list[dict[str, np.ndarray]]]:
        for_arrays, for_x = _pulled_back(self.apply, self.arrays, x, cotangent)
        return for_x, jax.tree.map(np.asarray, for_arrays)


class _JudgedNetwork:
    """A network with its parameters, which a call in training and a step replace."""

    def __init__(self, config: ResidualUNetConfig, device: Any, params: Mapping[str, np.ndarray] | None, dtype: str) -> None:
        drawn = backend.init_residual_unet(jax.random.key(0), config) if params is None else _divided(params, config)
        check.tensors("params", {name: np.shape(value) for name, value in _canonical(drawn).items()}, parameter_shapes(config))
        kept, computed = ("float32", "bfloat16") if dtype == "mixed" else (dtype, dtype)
        self.params = jax.device_put(jax.tree.map(lambda value: np.asarray(value).astype(jnp.dtype(kept)), drawn), device)
        self.forward = partial(backend.residual_unet, config=config, dtype=computed)
        self.apply = jax.jit(self._apply, static_argnames="training")
        # Without the option XLA passes on what it has not rounded to bfloat16 yet, and one layer is not given what the trace shows.
        self.traced = jax.jit(self._traced, compiler_options={"xla_allow_excess_precision": False})
        self.asked: tuple[str, float] | None = None
        self.state: Any = None
        self.advance: Callable[..., Any]

    def _apply(self, learned: Any, x: Array, statistics: Any, *, training: bool) -> tuple[Array, Any]:
        """Return the output, and the running statistics after it."""
        y = self.forward({"parameters": learned, "statistics": statistics}, x, training=training)
        return y if training and statistics else (y, statistics)

    def __call__(self, x: Array, *, training: bool = False) -> Array:
        y, statistics = self.apply(self.params["parameters"], x, self.params["statistics"], training=training)
        if training:
            self.params["statistics"] = statistics
        return y

    def parameters(self) -> dict[str, np.ndarray]:
        return _canonical(self.params)

    def trace(self, x: Array) -> dict[str, np.ndarray]:
        return {name: np.asarray(value) for name, value in self.traced(self.params, x).items()}

    def _traced(self, params: Any, x: Array) -> dict[str, Array]:
        found: dict[str, Array] = {}
        self.forward(params, x, trace=found)
        return found

    def gradients(self, x: Array, cotangent: Array, *, training: bool = False) -> dict[str, np.ndarray]:
        def output(learned: Any) -> Array:
            return self.apply(learned, x, self.params["statistics"], training=training)[0]

        (gradient,) = jax.vjp(output, self.params["parameters"])[1](cotangent)
        return jax.tree.map(np.asarray, gradient)

    def step(self, x: Array, target: Array, optimizer: str, learning_rate: float) -> None:
        if self.asked != (optimizer, learning_rate):
            self.asked = optimizer, learning_rate
            self.state, self.advance = self._training(optimizer, learning_rate)
        self.params, self.state = self.advance(self.params, self.state, x, target)

    def _training(self, optimizer: str, learning_rate: float) -> tuple[Any, Callable[..., Any]]:
        """Return the first state of the optimizer, and a step from parameters and state to the next."""
        import optax

        transformation = {"sgd": optax.sgd, "adam": optax.adam}[optimizer](learning_rate)

        def advance(params: Any, state: Any, x: Array, target: Array) -> Any:
            def loss(learned: Any) -> tuple[Array, Any]:
                y, statistics = self._apply(learned, x, params["statistics"], training=True)
                return ((y - target) ** 2).mean(), statistics

            gradient, statistics = jax.grad(loss, has_aux=True)(params["parameters"])
            updates, state = transformation.update(gradient, state)
            return {"parameters": optax.apply_updates(params["parameters"], updates), "statistics": statistics}, state

        return transformation.init(self.params["parameters"]), jax.jit(advance)


adapter = JaxAdapter()
