"""Training and prediction in JAX: pure functions, jitted, trained with optax."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from numpy.typing import NDArray

import subpixel_jax
from subpixel_jax import subpixel_conv

Images = NDArray[np.float32]
Batches = Iterable[tuple[Images, Images]]

LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "absolute": lambda y, target: jnp.mean(jnp.maximum(y - target, target - y)),  # derivative 0 at 0, as elsewhere; that of jnp.abs is 1
    "squared": lambda y, target: jnp.mean((y - target) ** 2),
    "cross entropy": lambda y, target: jnp.mean(optax.sigmoid_binary_cross_entropy(y, target)),
}


def train_unet(
    start: Path, end: Path, batches: Batches, *, loss: str, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> None:
    """Train the network of one file and write it to another: Adam, the learning rate falling to 0 along half a cosine."""
    params, config = subpixel_jax.load_weights(start)

    def apply(parameters: Any, x: Array) -> Array:
        return subpixel_jax.residual_unet({**params, "parameters": parameters}, x, config)  # no batch norm: one function for both modes

    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    trained = fit(apply, params["parameters"], optimizer, batches, LOSSES[loss], each_step)
    subpixel_jax.save_weights(end, {**params, "parameters": trained}, config)


residual_unet = jax.jit(subpixel_jax.residual_unet, static_argnames="config")


def predict_unet(weights: Path, images: Sequence[Images]) -> list[Images]:
    """Apply the network of a file to images (H, W, C), one by one: each may have other extents."""
    params, config = subpixel_jax.load_weights(weights)
    return [np.asarray(residual_unet(params, image[np.newaxis], config=config)[0]) for image in images]


def train_autoencoder(
    params: Mapping[str, Mapping[str, Images]], batches: Batches, *, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> Callable[[Images], Images]:
    """Train the autoencoder from these parameters; returns it as a function of images (n, 28, 28, 1)."""
    trained = fit(autoencoder, params, optax.adam(learning_rate), batches, LOSSES["squared"], each_step)
    return lambda images: np.asarray(jax.jit(autoencoder)(trained, images))


def fit(
    apply: Callable[[Any, Array], Array],
    params: Any,
    optimizer: optax.GradientTransformation,
    batches: Batches,
    loss: Callable[[Array, Array], Array],
    each_step: Callable[[float], None],
) -> Any:
    """Train a function of parameters and input, one step for each batch; returns the trained parameters."""

    @jax.jit
    def step(params: Any, state: Any, x: Array, target: Array) -> tuple[Any, Any, Array]:
        value, gradients = jax.value_and_grad(lambda p: loss(apply(p, x), target))(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    for x, target in batches:
        params, state, value = step(params, state, x, target)
        each_step(float(value))
    return params


def autoencoder(params: Any, x: Array) -> Array:
    """Apply the article's model, with the bottleneck that it leaves open."""
    y = pool(jax.nn.relu(conv(params["conv1"], x)))  # (N, 14, 14, 16)
    y = pool(jax.nn.relu(conv(params["conv2"], y)))  # (N, 7, 7, 32)
    y = dense(params["code"], y.reshape(len(y), -1))  # (N, 32)
    y = jax.nn.relu(dense(params["dense"], y)).reshape(-1, 7, 7, 32)
    y = jax.nn.relu(subpixel_conv(params["subpixel1"], y, scale=2, order="DRC"))  # (N, 14, 14, 32)
    return jax.nn.relu(subpixel_conv(params["subpixel2"], y, scale=2, order="DRC"))  # (N, 28, 28, 1)


def conv(params: Any, x: Array) -> Array:
    """Convolve with padding "same"."""
    return lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + params["bias"]


def pool(x: Array) -> Array:
    """Return the maximum of every block of 2 x 2 pixels."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def dense(params: Any, x: Array) -> Array:
    """Apply a dense layer."""
    return x @ params["kernel"] + params["bias"]
