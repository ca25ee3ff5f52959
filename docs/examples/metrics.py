"""What the results are judged by."""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def psnr(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio in dB, over all pixels and the three colours."""
    return float(peak_signal_noise_ratio(truth, image))


def ssim(image: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Return the structural similarity with the Gaussian window of Wang et al. 2004, mean of the three colours."""
    return float(structural_similarity(truth, image, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False))


def iou(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return the intersection over the union of two masks, 1 where both are empty."""
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else 1.0


def spread(losses: dict[str, list[float]], steps: int) -> float:
    """Return how far the losses of the frameworks lie apart in the first steps.

    That is the largest difference of a step, divided by the smallest loss of that step.

    >>> spread({"one": [1.0, 0.5], "other": [1.0, 0.6]}, 2)
    0.2
    """
    table = np.array([values[:steps] for values in losses.values()])
    return round(float(np.max(np.ptp(table, axis=0) / np.min(table, axis=0))), 12)
