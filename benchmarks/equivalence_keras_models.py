"""Keras models of others, described in its published examples, before and after `subpixel_tensorflow.convert`.

    python benchmarks/equivalence_keras_models.py --json docs/evidence/equivalence-keras-models-cpu.json

Written here from what those examples describe, with random weights, biases and statistics. A row per model: layers converted and left, the
multiply-accumulates of what was converted, the largest difference in float64, and the time of one prediction (tf.function, two threads,
medians of interleaved rounds) as it is, with everything converted, and with what the measured rule converts for this input.
"""

import argparse
import json
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from interleaved import interleaved, machine
from keras import layers as L

from subpixel_tensorflow import convert


def xception_unet(side=64, classes=3, widths=(32, 64, 128, 256)):
    """The segmentation network of Keras' examples: a residual U-Net of separable convolutions, without skips from encoder to decoder.

    Its decoder has transposed convolutions of stride 1, and resizes on the way and on the shortcut, there with a 1x1 convolution behind.
    """
    inputs = keras.Input((side, side, 3))
    x = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(widths[0], 3, strides=2, padding="same")(inputs)))
    shortcut = x
    for width in widths[1:]:
        for _ in range(2):
            x = L.BatchNormalization()(L.SeparableConv2D(width, 3, padding="same")(L.Activation("relu")(x)))
        x = L.MaxPooling2D(3, strides=2, padding="same")(x)
        shortcut = x = x + L.Conv2D(width, 1, strides=2, padding="same")(shortcut)
    for width in reversed(widths):
        for _ in range(2):
            x = L.BatchNormalization()(L.Conv2DTranspose(width, 3, padding="same")(L.Activation("relu")(x)))
        shortcut = x = L.UpSampling2D(2)(x) + L.Conv2D(width, 1, padding="same")(L.UpSampling2D(2)(shortcut))
    return keras.Model(inputs, L.Conv2D(classes, 3, activation="softmax", padding="same")(x))


def unet(up, side=64, classes=3, widths=(16, 32, 64, 128)):
    """The U-Net with skips, its way up as ``up`` makes it."""

    def block(x, width):
        for _ in range(2):
            x = L.Conv2D(width, 3, padding="same", activation="relu")(x)
        return x

    x = inputs = keras.Input((side, side, 3))
    skips = []
    for width in widths[:-1]:
        skips.append(block(x, width))
        x = L.Dropout(0.3)(L.MaxPooling2D(2)(skips[-1]))
    x = block(x, widths[-1])
    for width, skip in zip(widths[-2::-1], reversed(skips), strict=True):
        x = block(L.Concatenate()([up(width, x), skip]), width)
    return keras.Model(inputs, L.Conv2D(classes, 1, activation="softmax")(x))


def transposed_unet(side=64):
    """With transposed convolutions of three taps and stride 2."""
    return unet(lambda width, x: L.Conv2DTranspose(width, 3, strides=2, padding="same")(x), side)


def resizing_unet(side=64):
    """With a resize and a convolution of two taps, the "up-convolution" of the paper."""
    return unet(lambda width, x: L.Conv2D(width, 2, padding="same", activation="relu")(L.UpSampling2D(2)(x)), side)


def bilinear_unet(side=64):
    """With a bilinear resize, which has no equal and is left."""
    return unet(lambda width, x: L.Conv2D(width, 3, padding="same")(L.UpSampling2D(2, interpolation="bilinear")(x)), side)


def autoencoder(side=28):
    """The convolutional autoencoder for digits: pooled down twice, and up by transposed convolutions."""
    x = inputs = keras.Input((side, side, 1))
    for _ in range(2):
        x = L.MaxPooling2D(2, padding="same")(L.Conv2D(32, 3, activation="relu", padding="same")(x))
    for _ in range(2):
        x = L.Conv2DTranspose(32, 3, strides=2, activation="relu", padding="same")(x)
    return keras.Model(inputs, L.Conv2D(1, 3, activation="sigmoid", padding="same")(x))


def variational_decoder(latent=2):
    """The decoder of the variational autoencoder for digits; the last transposed convolution has stride 1."""
    x = inputs = keras.Input((latent,))
    x = L.Reshape((7, 7, 64))(L.Dense(7 * 7 * 64, activation="relu")(x))
    for width in (64, 32):
        x = L.Conv2DTranspose(width, 3, strides=2, activation="relu", padding="same")(x)
    return keras.Model(inputs, L.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x))


def generator(latent=128):
    """The generator of the DCGAN for faces, a sequence: three transposed convolutions of four taps and stride 2."""
    layers = [keras.Input((latent,)), L.Dense(8 * 8 * 128), L.Reshape((8, 8, 128))]
    for width in (128, 256, 512):
        layers += [L.Conv2DTranspose(width, 4, strides=2, padding="same"), L.LeakyReLU(negative_slope=0.2)]
    return keras.Sequential([*layers, L.Conv2D(3, 5, padding="same", activation="sigmoid")])


def super_resolution(side=32):
    """A network for super-resolution by resize and convolution, as answers to checkerboard artefacts have it: few channels at the end."""
    x = inputs = keras.Input((side, side, 3))
    for _ in range(3):
        x = L.Conv2D(64, 3, padding="same", activation="relu")(x)
    x = L.Conv2D(64, 3, padding="same", activation="relu")(L.UpSampling2D(2)(x))
    return keras.Model(inputs, L.Conv2D(3, 3, padding="same")(L.UpSampling2D(2)(x)))


MODELS = {
    builder.__name__: builder
    for builder in (
        *(xception_unet, transposed_unet, resizing_unet, bilinear_unet),
        *(autoencoder, variational_decoder, generator, super_resolution),
    )
}


def randomized(model, seed=0):
    """Return a model with random weights of the size that keeps activations as they are, random biases and statistics."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if "variance" in variable.path:
            values = rng.uniform(0.5, 2, variable.shape)
        else:
            values = rng.normal(size=variable.shape) * (1 / np.sqrt(np.prod(variable.shape[:-1])) if len(variable.shape) > 1 else 0.1)
        variable.assign(values)
    return model


def in_float64(build):
    """Return what ``build`` returns with Keras computing in float64."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        return build()
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def difference(builder):
    """Return the largest difference in float64, where another sequence of the same sums is hardly seen."""

    def run():
        model = randomized(builder())
        x = np.random.default_rng(1).normal(size=(1, *model.input_shape[1:]))
        return float(np.abs(convert(model)[0](x) - model(x)).max())

    return in_float64(run)


def measure(name, builder, rounds):
    model = randomized(builder())
    x = tf.random.stateless_normal((1, *model.input_shape[1:]), (0, 1))
    everything, report = convert(model)
    measured, chosen = convert(model, example=x)
    compiled = {key: tf.function(value) for key, value in {"original": model, "converted": everything, "chosen": measured}.items()}
    runs = {key: lambda function=function: function(x).numpy() for key, function in compiled.items()}
    timings = interleaved(runs, "original", rounds=rounds)
    known = [row for row in report.converted if row.macs_before is not None]
    return {
        "model": name,
        "converted": len(report.converted),
        "left": len(report.left),
        "chosen": len(chosen.converted),
        "macs_before": sum(row.macs_before for row in known),
        "macs_after": sum(row.macs_after for row in known),
        "difference": difference(builder),
        "ms": {timing.name: timing.milliseconds for timing in timings},
        "speed": {timing.name: timing.speed[1] for timing in timings},
        "report": str(report).splitlines(),
    }


def table(rows):
    """Yield the lines of the table in Markdown."""
    heads = [
        "model",
        "converted, left",
        "MACs of these, before → after",
        "difference, float64",
        "ms",
        "ms, all converted",
        "ms, by the rule (layers)",
    ]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        ms, macs = row["ms"], f"{row['macs_before']:,} → {row['macs_after']:,}"
        cells = [f"`{row['model']}`", f"{row['converted']}, {row['left']}", macs, f"{row['difference']:.0e}"]
        cells += [f"{ms['original']:.2f}", f"{ms['converted']:.2f}", f"{ms['chosen']:.2f} ({row['chosen']})"]
        yield f"| {' | '.join(cells)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    rows = [measure(name, builder, arguments.rounds) for name, builder in MODELS.items()]
    print(*table(rows), sep="\n")
    if arguments.json:
        about = {"machine": machine("tensorflow", "keras"), "load": os.getloadavg(), "rounds": arguments.rounds}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
