"""Images that are flipped and shifted at random, whenever a model is trained on them.

A record counts once in a step whatever is done to it, so that clipping and what training spends
are as without.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mico.challenge.recipe import Optimisation
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError

Shape = tuple[int, int, int]  # of an image: channels, rows, columns

# Of a word, a bit says whether an image is flipped, 31 others its shift along either side: each
# shift has its share of 2^31 numbers, to within one of them.
FLIP, DOWN, RIGHT = 0, 1, 32
SHIFT_BITS = 31
SHIFT_MASK = (1 << SHIFT_BITS) - 1


def check(options: Optimisation, shape: Shape | None) -> None:
    """Refuse what cannot be done to records.

    Args:
        shape: of their images; None if they are none.

    Raises:
        InputError: they are no images, or of so few pixels that a crop could hold none of them.
    """
    if not options.augmentations:
        return
    if shape is None:
        raise InputError(f"{options.augmentations[0]}: expected a data set of images")
    _, rows, columns = shape
    if options.crop_padding >= min(rows, columns):
        raise InputError(
            f"crop_padding: {options.crop_padding}: expected less than each side of the images, "
            f"which have {rows} x {columns} pixels"
        )


def draw(seeds: Sequence[int | None], epoch: int, valid: np.ndarray) -> Tensor:
    """What an epoch's augmentation is drawn from: a word for each record of each step.

    Args:
        seeds: of M models, each with a stream of its own; None: of entropy that nobody has.
        valid: (M, N), step by step; False where there is padding, which draws nothing.

    Returns:
        (M, N) int64.
    """
    words = np.zeros(valid.shape, np.int64)
    for row, own, seed in zip(words, valid, seeds, strict=True):
        drawn = np.empty(np.count_nonzero(own), np.int64)
        RandomStream(seed, f"augmentation/{epoch}").bits(drawn)()
        row[own] = drawn
    return torch.from_numpy(words)


def augment(images: Tensor, words: Tensor, shape: Shape, options: Optimisation) -> Tensor:
    """Images as torchvision's RandomCrop and RandomHorizontalFlip make them of these.

    Args:
        images: (..., d) uint8, channel by channel and row by row; words: (...) int64.
    """
    channels, rows, columns = shape
    padding, words, device = options.crop_padding, words.flatten(), images.device
    padded = functional.pad(images.reshape(-1, *shape), [padding] * 4)
    down, right = (
        (((words >> at) & SHIFT_MASK) * (2 * padding + 1) >> SHIFT_BITS).unsqueeze(1)
        for at in (DOWN, RIGHT)
    )
    row = down + torch.arange(rows, device=device)
    column = right + torch.arange(columns, device=device)
    if options.horizontal_flip:
        flipped = ((words >> FLIP) & 1).bool().unsqueeze(1)
        column = torch.where(flipped, column.flip(1), column)
    # Where each pixel lies in a padded channel; the same in all of an image.
    pixels = row.unsqueeze(2) * padded.shape[-1] + column.unsqueeze(1)
    pixels = pixels.flatten(1).unsqueeze(1).expand(-1, channels, -1)
    return padded.flatten(2).gather(2, pixels).view(images.shape)
