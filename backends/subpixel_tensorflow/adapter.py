"""The backend as the conformance suite judges it."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import subpixel_tensorflow as backend
from subpixel_core import ResidualUNetConfig, network
from subpixel_tensorflow.unet import variables

_layers = {
    1: (backend.SubpixelConv1D, backend.ChainedSubpixelConv1D),
    2: (backend.SubpixelConv2D, backend.ChainedSubpixelConv2D),
    3: (backend.SubpixelConv3D, backend.ChainedSubpixelConv3D),
}
_placements = {"cpu": "/CPU:0", "cuda": "/GPU:0"}


class TensorFlowAdapter:
    """`subpixel_tensorflow` on NumPy arrays."""

    name = "subpixel_tensorflow"
    versions: Mapping[str, str] = {"tensorflow": tf.__version__, "keras": keras.__version__}
    claims: Mapping[str, Any] = {
        "operations": (
            *("phase_shift", "inverse_phase_shift", "vjp", "icnr", "box_blur", "layer"),
            *("unet", "unet_mixed", "unet_gradients", "unet_steps", "save_weights", "load_weights"),
            *("from_conv_transpose", "from_resize_conv"),
        ),
        "orders": ("DCR", "CRD", "DRC", "RCD"),
        "data_formats": ("channels_last", "channels_first"),
        "ndims": (1, 2, 3, 4),
        "batch_ndims": (0, 1, 2, 3),
        "dtypes": (
            *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
            *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
        ),
        "modes": ("eager", "function", "function-dynamic", "function-xla"),
        "devices": ("cpu", "cuda"),
        "refusals": ("ER-001", "ER-002", "ER-003", "ER-004", "ER-005", "ER-006", "ER-007", "UN-014", "UN-015"),
    }

    def __init__(self) -> None:
        # A process that judges float32 computes in float32, not in TensorFloat-32.
        self.reduced_precision("cuda", False)

    def devices(self) -> Mapping[str, str | None]:
        return {"cpu": None, "cuda": None if tf.config.list_physical_devices("GPU") else "TensorFlow finds no GPU"}

    def modes(self, device: str) -> Mapping[str, str | None]:
        return dict.fromkeys(self.claims["modes"])

    def reduced_precision(self, device: str, allowed: bool | None) -> Mapping[str, bool]:
        if allowed is not None:
            tf.config.experimental.enable_tensor_float_32_execution(allowed)
        return {"tensor_float_32_execution_enabled": tf.config.experimental.tensor_float_32_execution_enabled()}

    def reduces_precision(self, device: str) -> str | None:
        if device != "cuda":
            return f"float32 is float32 on {device}"
        details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
        capability = details.get("compute_capability", (0, 0))
        return (
            None if capability >= (8, 0) else f"TensorFloat-32 needs compute capability 8.0; this GPU has {capability[0]}.{capability[1]}"
        )

    def to_native(self, array: np.ndarray, device: str) -> tf.Tensor:
        with tf.device(_placements[device]):
            return tf.identity(tf.constant(array))

    def to_numpy(self, value: tf.Tensor) -> np.ndarray:
        return np.asarray(value)

    def device_of(self, value: tf.Tensor) -> str:
        return "cuda" if "GPU" in value.device else "cpu"

    def compile(self, function: Callable[..., tf.Tensor], mode: str) -> Callable[..., tf.Tensor]:
        if mode == "eager":
            return function
        compiled = tf.function(function, jit_compile=mode == "function-xla")
        if mode != "function-dynamic":
            return compiled

        def dynamic(*tensors: tf.Tensor) -> tf.Tensor:
            nothing_known = [tf.TensorSpec([None] * tensor.shape.rank, tensor.dtype) for tensor in tensors]  # not the channels either
            return compiled.get_concrete_function(*nothing_known)(*tensors)

        return dynamic

    def phase_shift(self, x: tf.Tensor, scale: Any, *, order: Any, data_format: Any) -> tf.Tensor:
        return backend.phase_shift(x, scale, order=order, data_format=data_format)

    def inverse_phase_shift(self, x: tf.Tensor, scale: Any, *, order: Any, data_format: Any) -> tf.Tensor:
        return backend.inverse_phase_shift(x, scale, order=order, data_format=data_format)

    def snippet(self, operation: str, scale: Any, *, order: str, data_format: str) -> str:
        call = f"subpixel_tensorflow.{operation}(x, {scale}, order={order!r}, data_format={data_format!r})"
        return f"import subpixel_tensorflow\ny = {call}.numpy()"

    def vjp(self, function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, cotangent: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, output_gradients=cotangent)

    def icnr(
        self, base: Callable[[tuple[int, ...]], np.ndarray], shape: tuple[int, ...], scale: Any, *, order: Any, dtype: str = "float32"
    ) -> np.ndarray:
        def initializer(shape: tuple[int, ...], dtype: Any = None) -> tf.Tensor:
            return tf.constant(base(shape))

        return backend.ICNR(initializer, scale, order)(shape, dtype).numpy()

    def box_blur(self, x: tf.Tensor, scale: Any) -> tf.Tensor:
        return backend.box_blur(x, scale)

    def layer(self, config: Any, device: str, parameters: list[dict[str, np.ndarray]] | None = None) -> "_JudgedLayer":
        plain, chained = _layers[config.ndim]
        options = {name: getattr(config, name) for name in ("padding", "order", "separable", "blur", "dtype")} | {"use_bias": config.bias}
        shape = (config.out_channels, config.kernel_size, config.scale)
        with tf.device(_placements[device]):
            if config.factors is None:
                layer = plain(*shape, **options)
            else:
                layer = chained(*shape, factors=config.factors, width=config.width, activation=config.activation, **options)
            layer.build((None,) * (config.ndim + 1) + (config.in_channels,))
            stages = [layer] if config.factors is None else [*layer.stages]
            for stage, arrays in zip(stages, parameters or [{} for _ in stages], strict=True):
                for name, array in arrays.items():
                    getattr(stage, name).assign(array)
        return _JudgedLayer(layer, stages)

    def from_conv_transpose(
        self, x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray | None, *, stride: Any, padding: Any, output_padding: Any, device: str
    ) -> tf.Tensor:
        # Keras has no padding in numbers: the layer leaves out nothing, and its output is cropped.
        made = {1: keras.layers.Conv1DTranspose, 2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}[len(stride)]
        layer = made(kernel.shape[-1], kernel.shape[:-2], stride, output_padding=output_padding, use_bias=bias is not None)
        y = backend.from_conv_transpose(_holding(layer, kernel.swapaxes(-1, -2), bias, kernel.shape[-2]))(x)
        return y[(slice(None), *(slice(p, extent - p) for p, extent in zip(padding, y.shape[1:-1], strict=True)))]

    def from_resize_conv(
        self, x: tf.Tensor, kernel: np.ndarray, bias: np.ndarray | None, *, scale: Any, padding: Any, device: str
    ) -> tf.Tensor:
        # Nor has its convolution: of pairs, zeros are put around the input, whole pixels of them, and what is then too much is cropped.
        ndim, taps = len(scale), kernel.shape[:-2]
        resize = {1: keras.layers.UpSampling1D, 2: keras.layers.UpSampling2D, 3: keras.layers.UpSampling3D}[ndim]
        convolution = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[ndim]
        given = padding if isinstance(padding, str) else "valid"
        layer = convolution(kernel.shape[-1], taps, padding=given, use_bias=bias is not None)
        converted = backend.from_resize_conv(resize(scale if ndim > 1 else scale[0]), _holding(layer, kernel, bias, kernel.shape[-2]))
        if isinstance(padding, str):
            return converted(x)
        whole = [(-(-before // r), -(-after // r)) for (before, after), r in zip(padding, scale, strict=True)]
        y = converted(tf.pad(x, [(0, 0), *whole, (0, 0)]))
        ends = [(r * a - before, r * b - after) for (a, b), (before, after), r in zip(whole, padding, scale, strict=True)]
        return y[(slice(None), *(slice(first, extent - last) for (first, last), extent in zip(ends, y.shape[1:-1], strict=True)))]

    def unet(self, config: Mapping[str, Any], device: str, params: Mapping[str, np.ndarray] | None, dtype: str) -> "_JudgedNetwork":
        described, policy = ResidualUNetConfig(**config), {"mixed": "mixed_bfloat16"}.get(dtype, dtype)
        with tf.device(_placements[device]):
            return _JudgedNetwork(
                backend.residual_unet(described, dtype=policy) if params is None else self._given(described, policy, params)
            )

    def _given(self, config: ResidualUNetConfig, dtype: str, params: Mapping[str, np.ndarray]) -> Any:
        """Return the one model of this configuration with these parameters, statistics too: Keras takes a tenth of a second to build it."""
        model = _built(config, dtype, tf.constant(0).device)
        backend.set_parameters(model, params)
        return model

    def save_weights(self, path: str, params: Mapping[str, np.ndarray], config: Mapping[str, Any]) -> None:
        backend.save_weights(path, self._given(ResidualUNetConfig(**config), np.result_type(*params.values()).name, params))

    def load_weights(self, path: str, *, order: Any = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        model = backend.load_weights(path, order=order)
        return backend.get_parameters(model), model.config.as_dict()


@lru_cache(maxsize=64)
def _built(config: ResidualUNetConfig, dtype: str, device: str) -> Any:
    """Build a model on ``device``, which is the current one."""
    return backend.residual_unet(config, dtype=dtype)


def _holding(layer: Any, kernel: np.ndarray, bias: np.ndarray | None, inputs: int) -> Any:
    """Return a Keras layer, built for so many input channels, with these weights."""
    layer.build((None, *(None for _ in kernel.shape[:-2]), inputs))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


class _JudgedLayer:
    """A layer and the parameters of its stages, whose layout is the canonical one."""

    def __init__(self, layer: Any, stages: list[Any]) -> None:
        self.layer, self.stages = layer, stages

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.layer(x)

    def parameters(self) -> list[dict[str, np.ndarray]]:
        return [{variable.name: variable.numpy() for variable in stage.trainable_variables} for stage in self.stages]

    def gradients(self, x: tf.Tensor, cotangent: tf.Tensor) -> tuple[tf.Tensor, list[dict[str, np.ndarray]]]:
        variables = [{variable.name: variable.value for variable in stage.trainable_variables} for stage in self.stages]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = self(x)
        d_x, d_variables = tape.gradient(y, (x, variables), output_gradients=cotangent)
        return d_x, [{name: gradient.numpy() for name, gradient in stage.items()} for stage in d_variables]


class _JudgedNetwork:
    """A model by the canonical names of its parameters and layers."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.learned = {name: variable.value for name, variable in variables(model).items() if variable.trainable}

    def parameters(self) -> dict[str, np.ndarray]:
        return backend.get_parameters(self.model)

    def __call__(self, x: tf.Tensor, *, training: bool = False) -> tf.Tensor:
        return self.model(x, training=training)

    def trace(self, x: tf.Tensor) -> dict[str, np.ndarray]:
        outputs = {name: self.model.get_layer(name).output for name in _traced(self.model)}
        return {name: y.numpy() for name, y in keras.Model(self.model.input, outputs)(x, training=False).items()}

    def gradients(self, x: tf.Tensor, cotangent: tf.Tensor, *, training: bool = False) -> dict[str, np.ndarray]:
        with tf.GradientTape() as tape:
            y = self.model(x, training=training)
        gradients = tape.gradient(y, self.learned, output_gradients=tf.cast(cotangent, y.dtype))
        return {name: gradient.numpy() for name, gradient in gradients.items()}

    def step(self, x: tf.Tensor, target: tf.Tensor, optimizer: str, learning_rate: float) -> None:
        with tf.GradientTape() as tape:
            y = self.model(x, training=True)
            loss = tf.reduce_mean(tf.square(tf.cast(y, target.dtype) - target))
        gradients = tape.gradient(loss, self.learned)
        made = _optimizers[optimizer](learning_rate, self.learned["stem.bias"].dtype)
        made.apply([*gradients.values()], [variables(self.model)[name] for name in gradients])


def _traced(model: Any) -> Iterator[str]:
    """Yield the names that the reference records, in its sequence."""
    net = network(model.config)

    def inside(blocks: Any) -> Iterator[str]:
        for block in blocks:
            yield from (layer.name for layer in block.layers)
            yield block.name

    yield net.stem.name
    for blocks in net.encoder:
        yield from inside(blocks)
    for up, blocks in net.decoder:
        yield up.name
        yield from inside(blocks)
    yield from (layer.name for layer in (net.norm, *net.head) if layer is not None)


def _sgd(rate: float, dtype: Any) -> Any:
    return keras.optimizers.SGD(lambda: tf.constant(rate, dtype))  # a number would be kept as float32


def _adam(rate: float, dtype: Any) -> Any:
    betas = {"beta_1": tf.constant(0.9, dtype), "beta_2": tf.constant(0.999, dtype)}  # numbers would be rounded to float32 for their powers
    # Keras adds epsilon before it corrects the bias of the first step.
    return keras.optimizers.Adam(lambda: tf.constant(rate, dtype), epsilon=1e-8 * (1 - 0.999) ** 0.5, **betas)


_optimizers: dict[str, Callable[[float, Any], Any]] = {"sgd": _sgd, "adam": _adam}

adapter = TensorFlowAdapter()
