"""Conversions that are wrong on purpose, each as a function of a right one."""

from dataclasses import replace

import numpy as np


def wrong_tap(layer):
    kernel = layer.kernel.copy()
    kernel.flat[np.abs(kernel).argmax()] *= 1.0001
    return replace(layer, kernel=kernel)


WRONG = {
    "a tap is wrong by one in ten thousand": wrong_tap,
    "the channels are in another order": lambda layer: replace(
        layer.reordered("DRC" if layer.order == "DCR" else "RCD"), order=layer.order
    ),
    "one position too many is cropped at the start": lambda layer: replace(layer, crop=tuple((a + 1, b - 1) for a, b in layer.crop)),
    "the output is smaller": lambda layer: replace(layer, crop=tuple((a, b + 1) for a, b in layer.crop)),
    "the padding is at the other end": lambda layer: replace(layer, padding=tuple((a - 1, b + 1) for a, b in layer.padding)),
    "the bias is doubled": lambda layer: replace(layer, bias=None if layer.bias is None else 2 * layer.bias),
    "the kernel is that of a correlation": lambda layer: replace(layer, kernel=np.flip(layer.kernel, (0, 1)).copy()),
}
