"""Images as networks take them: (value / 255 - mean) / std, channel by channel."""

import numpy as np

from mico.data.options import DataOptions
from mico.support.errors import InputError

Channels = tuple[float, ...]


def normalisation(
    options: DataOptions, pixels: np.ndarray, channels: int
) -> tuple[Channels, Channels]:
    """The mean and the deviation of each channel, of values in [0, 1]: as given, or of all pixels.

    Args:
        pixels: (N, d) uint8, channel by channel.

    Raises:
        InputError: they are of another number of channels, or a channel is the same everywhere.
    """
    if options.mean is not None and options.std is not None:
        for name, given in ("mean", options.mean), ("std", options.std):
            if len(given) != channels:
                expected = f"expected {channels}, one for each channel"
                raise InputError(f"{name}: {len(given)} numbers, {expected}")
        return options.mean, options.std
    split = pixels.reshape(len(pixels), channels, -1)
    counts = np.array(
        [np.bincount(split[:, channel].ravel(), minlength=256) for channel in range(channels)]
    )
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(1)
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1))
    for channel in range(channels):
        if np.count_nonzero(counts[channel]) < 2:
            found = (
                f"channel {channel + 1} has the value {int(counts[channel].argmax())} everywhere"
            )
            raise InputError(
                f"{found}: expected others too, or `mean` and `std` in the configuration"
            )
    return tuple(mean.tolist()), tuple(std.tolist())
