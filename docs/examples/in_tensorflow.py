"""Training and prediction in TensorFlow with Keras: compile and fit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

import subpixel_tensorflow
from subpixel_tensorflow import SubpixelConv2D

Array = NDArray[np.float32]
Batches = Iterable[tuple[Array, Array]]

LOSSES: dict[str, Callable[[], keras.losses.Loss]] = {
    "absolute": keras.losses.MeanAbsoluteError,
    "squared": keras.losses.MeanSquaredError,
    "cross entropy": lambda: keras.losses.BinaryCrossentropy(from_logits=True),
}


def adam(learning_rate: Any) -> keras.optimizers.Optimizer:
    """Return Adam with the epsilon of Kingma and Ba. Keras adds its own before it corrects the bias, so this is exact in the first step."""
    return keras.optimizers.Adam(learning_rate, epsilon=1e-8 * sqrt(1 - 0.999))


def train_unet(
    start: Path, end: Path, batches: Batches, *, loss: str, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> None:
    """Train the network of one file and write it to another: Adam, the learning rate falling to 0 along half a cosine."""
    model = subpixel_tensorflow.load_weights(start)
    model.compile(adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)), LOSSES[loss]())
    fit(model, batches, steps, each_step)
    subpixel_tensorflow.save_weights(end, model)


def predict_unet(weights: Path, images: Sequence[Array]) -> list[Array]:
    """Apply the network of a file to images (H, W, C), one by one: each may have other extents."""
    model = subpixel_tensorflow.load_weights(weights)
    return [model(image[np.newaxis], training=False).numpy()[0] for image in images]


def train_autoencoder(
    params: Mapping[str, Mapping[str, Array]], batches: Batches, *, learning_rate: float, steps: int, each_step: Callable[[float], None]
) -> Callable[[Array], Array]:
    """Train the autoencoder from these parameters; returns it as a function of images (n, 28, 28, 1)."""
    model = autoencoder()
    for name, values in params.items():
        model.get_layer(name).set_weights([values["kernel"], values["bias"]])
    model.compile(adam(learning_rate), LOSSES["squared"]())
    fit(model, batches, steps, each_step)
    return lambda images: model(images, training=False).numpy()


def fit(model: keras.Model, batches: Batches, steps: int, each_step: Callable[[float], None]) -> None:
    """Train a compiled model, one step for each batch."""
    model.fit(iter(batches), steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False, callbacks=[EachStep(each_step)])


class EachStep(keras.callbacks.Callback):
    """Reports the loss of every batch. Keras' own log is the mean since the last reset."""

    def __init__(self, report: Callable[[float], None]) -> None:
        super().__init__()
        self.report = report

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: D102 - Keras calls it
        self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: D102 - Keras calls it
        self.report(float(logs["loss"]))


def autoencoder() -> keras.Model:
    """Return the article's model, with the bottleneck that it leaves open."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(2),  # (N, 14, 14, 16)
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(2),  # (N, 7, 7, 32)
            layers.Flatten(),
            layers.Dense(32, name="code"),
            layers.Dense(7 * 7 * 32, activation="relu", name="dense"),
            layers.Reshape((7, 7, 32)),
            SubpixelConv2D(32, 2, 2, order="DRC", activation="relu", name="subpixel1"),  # (N, 14, 14, 32)
            SubpixelConv2D(1, 2, 2, order="DRC", activation="relu", name="subpixel2"),  # (N, 28, 28, 1)
        ]
    )
