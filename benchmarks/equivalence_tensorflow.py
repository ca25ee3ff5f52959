"""Transposed convolutions, and resizes with a convolution behind them, against the sub-pixel convolutions that they are, in Keras.

    python benchmarks/equivalence_tensorflow.py --json docs/evidence/equivalence-tensorflow-cpu.json

A sample of the grid of kernel sizes, strides, channels and extents, padding "same", 2-D, float32, two threads; each in a tf.function.
Medians of interleaved rounds in milliseconds. It also says what `convert(model, example=…)` chooses on each, and what that gains or costs.
"""

import argparse
import json
import os
from pathlib import Path
from statistics import geometric_mean

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from interleaved import interleaved, machine

from subpixel_tensorflow import convert, from_conv_transpose, from_resize_conv

TAPS, STRIDES = (2, 3, 4, 5, 6, 8, 9), (2, 3, 4)
CHANNELS, EXTENTS, BATCHES = (3, 8, 16, 32, 64, 128, 256), (16, 32, 64, 128, 256, 512), (1, 4)
WORK = 1e6, 3e8
"""Multiply-accumulates of the transposed convolution: less is lost in the call of the function, more takes too long."""
LARGEST = 2**23
"""Values of the output at most."""


def grid(each, seed):
    """Return ``each`` samples for every number of taps and stride: (K, s, Ci, Co, extent, batch)."""
    rng = np.random.default_rng(seed)
    chosen = []
    for taps in TAPS:
        for stride in STRIDES:
            found = []
            while len(found) < each:
                inputs, outputs, extent, batch = (int(rng.choice(values)) for values in (CHANNELS, CHANNELS, EXTENTS, BATCHES))
                work = taps**2 * inputs * outputs * extent**2 * batch
                fits = WORK[0] <= work <= WORK[1] and batch * outputs * (stride * extent) ** 2 <= LARGEST
                if fits and (inputs, outputs, extent, batch) not in found:
                    found.append((inputs, outputs, extent, batch))
            chosen += [(taps, stride, *sample) for sample in found]
    return chosen


def layers(taps, stride, inputs, outputs):
    """Return the layers by name: each of both originals, and the two forms of what it becomes."""
    original = keras.layers.Conv2DTranspose(outputs, taps, strides=stride, padding="same")
    original.build((None, None, None, inputs))
    resize, conv = keras.layers.UpSampling2D(stride), keras.layers.Conv2D(outputs, taps, padding="same")
    conv.build((None, None, None, inputs))
    return {
        "conv_transpose": original,
        "conv_transpose minimal": from_conv_transpose(original, form="minimal"),
        "conv_transpose aligned": from_conv_transpose(original, form="aligned"),
        "resize_conv": keras.Sequential([resize, conv]),
        "resize_conv minimal": from_resize_conv(resize, conv, form="minimal"),
        "resize_conv aligned": from_resize_conv(resize, conv, form="aligned"),
    }


def measure(taps, stride, inputs, outputs, extent, batch, rounds):
    x = tf.random.normal((batch, extent, extent, inputs))
    made = layers(taps, stride, inputs, outputs)
    compiled = {name: tf.function(layer) for name, layer in made.items()}
    for name, function in compiled.items():
        same_as = compiled[name.split()[0]]
        assert np.abs(function(x) - same_as(x)).max() < 1e-3, name
    runs = {name: lambda function=function: function(x).numpy() for name, function in compiled.items()}
    timings = interleaved(runs, "conv_transpose", rounds=rounds, warmup=1, shortest=0.004)
    chosen = {name: choice(made[name], x) for name in ("conv_transpose", "resize_conv")}
    return {
        "framework": "tensorflow",
        "K": taps,
        "s": stride,
        "Ci": inputs,
        "Co": outputs,
        "extent": extent,
        "batch": batch,
        "ms": {timing.name: timing.milliseconds for timing in timings},
        "chosen": chosen,
    }


def choice(layer, x):
    """Return the form that a model of this layer is converted to for an input; None where it is left."""
    _, report = convert(keras.Sequential([keras.Input(x.shape[1:]), *getattr(layer, "layers", [layer])]), example=x)
    return report.rows[0].form


def summary(rows):
    """Yield the lines of the table: speed against each original."""
    for name in ("conv_transpose", "resize_conv"):
        for form in ("minimal", "aligned", "chosen"):
            speeds = [row["ms"][name] / row["ms"][_column(row, name, form)] for row in rows]
            mean, slower = geometric_mean(speeds), sum(speed < 0.95 for speed in speeds)
            spread = f"worst {min(speeds):5.2f}×, best {max(speeds):6.2f}×"
            yield f"{name:15} {form:8} {mean:5.2f}× geometric mean, {spread}, slower by over 5 %: {slower} of {len(rows)}"
        replaced = [row["ms"][name] / row["ms"][_column(row, name, "chosen")] for row in rows if row["chosen"][name]]
        yield f"{name:15} replaced {geometric_mean(replaced):5.2f}× geometric mean of the {len(replaced)} that are replaced by choice"


def _column(row, name, form):
    form = row["chosen"][name] if form == "chosen" else form
    return name if form is None else f"{name} {form}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--each", type=int, default=5, help="samples for every number of taps and stride")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="print the summary of such a file, and measure nothing")
    arguments = parser.parse_args()
    if arguments.again:
        print(*summary(json.loads(arguments.again.read_text(encoding="utf-8"))["rows"]), sep="\n")
        return
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    rows = []
    for sample in grid(arguments.each, arguments.seed):
        rows.append(measure(*sample, arguments.rounds))
        print(*sample, *(f"{name} {ms:.2f}" for name, ms in rows[-1]["ms"].items()), sep="  ", flush=True)
    print(*summary(rows), sep="\n")
    if arguments.json:
        about = {"machine": machine("tensorflow", "keras"), "load": os.getloadavg(), "seed": arguments.seed, "rounds": arguments.rounds}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
