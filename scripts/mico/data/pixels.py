"""Images as networks take them: (value / 255 - mean) / std, channel by channel."""

from pathlib import Path

import numpy as np

from mico.data.options import DataOptions
from mico.support.errors import InputError

CHUNK = 1_000  # images whose values are counted at once, to bound memory

Channels = tuple[float, ...]


def normalisation(
    options: DataOptions, pixels: np.ndarray, channels: int, path: Path
) -> tuple[Channels, Channels]:
    """The mean and the deviation of each channel, of values in [0, 1]: as given, or of all pixels.

    Args:
        pixels: (N, d) uint8, channel by channel; path: where they are from, for messages.

    Raises:
        InputError: they are of another number of channels, or a channel is the same everywhere.
    """
    if options.mean is not None and options.std is not None:
        for name, given in ("mean", options.mean), ("std", options.std):
            if len(given) != channels:
                expected = f"expected {channels}, one for each channel"
                raise InputError(f"{path}: {name}: {len(given)} numbers, {expected}")
        return options.mean, options.std
    counts = np.zeros((channels, 256), np.int64)  # of each value, which any order gives exactly
    for first in range(0, len(pixels), CHUNK):
        part = pixels[first : first + CHUNK].reshape(-1, channels, pixels.shape[1] // channels)
        for channel in range(channels):
            counts[channel] += np.bincount(part[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(1)
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1))
    for channel in range(channels):
        if np.count_nonzero(counts[channel]) < 2:
            found = f"channel {channel + 1} is {int(counts[channel].argmax())} everywhere"
            expected = "expected other values too, or `mean` and `std` in the configuration"
            raise InputError(f"{path}: {found}: {expected}")
    return tuple(mean.tolist()), tuple(std.tolist())
