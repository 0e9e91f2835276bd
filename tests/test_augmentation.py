"""Flips and shifts against naive loops, and their distribution.

Statistical tests have fixed seeds, so they give the same answer every time. Under a fresh seed, a
right program would fail each p-value (held to 1e-4) with that chance.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from mico.challenge.recipe import TrainingOptions
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError
from mico.training.augmentation import augment, check, draw

NONE = TrainingOptions(epochs=1, batch_size=1, optimizer="sgd", learning_rate=0.1)
BOTH = replace(NONE, horizontal_flip=True, crop_padding=2)
SHAPES = [(1, 4, 4), (3, 5, 7), (3, 7, 5)]


def word(flip: bool, down: int, right: int, padding: int) -> int:
    """A word that says so: a shift of k has the k-th of as many equal parts of 31 bits."""
    parts = 2 * padding + 1
    shifts = [-(-(shift << 31) // parts) for shift in (down, right)]
    return int(flip) | shifts[0] << 1 | shifts[1] << 32


def naive(image: np.ndarray, flip: bool, down: int, right: int, padding: int) -> np.ndarray:
    """Pixel by pixel: cut from the padded image, and then mirrored."""
    channels, rows, columns = image.shape
    found = np.zeros_like(image)
    for channel in range(channels):
        for row in range(rows):
            for column in range(columns):
                y, x = row + down - padding, column + right - padding
                if 0 <= y < rows and 0 <= x < columns:
                    at = columns - 1 - column if flip else column
                    found[channel, row, at] = image[channel, y, x]
    return found


def random_images(shape: tuple[int, int, int], count: int) -> np.ndarray:
    """Without a black pixel."""
    return np.random.default_rng(1).integers(1, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [0, 1, 3])
@pytest.mark.parametrize("flips", [False, True])
def test_images_are_turned_as_the_words_say(
    shape: tuple[int, int, int], padding: int, flips: bool
) -> None:
    """Every flip and shift, of two models' images at once."""
    shifts = range(2 * padding + 1)
    wanted = [(flip, down, right) for flip in (False, True) for down in shifts for right in shifts]
    images = random_images(shape, len(wanted))
    words = torch.tensor([word(*one, padding) for one in wanted])
    options = replace(NONE, horizontal_flip=flips, crop_padding=padding)
    given = torch.from_numpy(images).view(2, len(wanted) // 2, -1)
    found = augment(given, words.view(2, -1), shape, options)
    assert found.shape == given.shape
    assert found.dtype == torch.uint8
    for image, turned, (flip, down, right) in zip(
        images, found.view(-1, *shape).numpy(), wanted, strict=True
    ):
        np.testing.assert_array_equal(turned, naive(image, flip and flips, down, right, padding))


def test_the_ends_of_words_are_the_ends_of_shifts() -> None:
    images = torch.from_numpy(random_images((1, 5, 5), 2))
    last = -1  # all bits are set
    found = augment(images.view(2, -1), torch.tensor([0, last]), (1, 5, 5), BOTH).view(2, 1, 5, 5)
    for image, turned, wanted in zip(images, found, [(False, 0, 0), (True, 4, 4)], strict=True):
        np.testing.assert_array_equal(turned, naive(image.numpy(), *wanted, 2))


def test_no_images_stay_none() -> None:
    """Poisson samples can be empty."""
    nothing = torch.empty(3, 0, 75, dtype=torch.uint8)
    words = torch.empty(3, 0, dtype=torch.int64)
    assert augment(nothing, words, (3, 5, 5), BOTH).shape == (3, 0, 75)


def test_every_model_draws_from_its_own_stream_for_its_own_records() -> None:
    """Whatever the padding, and whoever is trained with it."""
    valid = np.random.default_rng(2).random((3, 50)) < 0.6
    together = draw([5, 6, 7], 4, valid)
    for model, seed in enumerate((5, 6, 7)):
        words = np.empty(valid[model].sum(), np.int64)
        RandomStream(seed, "augmentation/4").bits(words)()
        assert together[model, valid[model]].tolist() == words.tolist()
        assert not together[model, ~valid[model]].any()
        alone = draw([seed], 4, valid[model : model + 1, valid[model]])
        assert alone[0].tolist() == words.tolist()


def test_draws_of_secure_training_cannot_be_repeated() -> None:
    everywhere = np.ones((2, 4), bool)
    (one, other), (again, _) = draw([None, None], 0, everywhere), draw([None, None], 0, everywhere)
    for pair in combinations((one, other, again), 2):
        assert not torch.equal(*pair)


def turns(seeds: list[int], epochs: int, records: int) -> np.ndarray:
    """Flip, shift down and shift right (epochs, models, records, 3) with a padding of 2.

    Read from an image whose pixels say where they are: that at the centre is never cut off.
    """
    place = torch.arange(25, dtype=torch.uint8).add(1).expand(len(seeds), records, 25)
    found = []
    for epoch in range(epochs):
        words = draw(seeds, epoch, np.ones((len(seeds), records), bool))
        turned = augment(place, words, (1, 5, 5), BOTH).view(len(seeds), records, 5, 5)
        centre = turned[..., 2, 2].long() - 1
        # The pixel on the right, or where that is cut off the one on the left, has the flip.
        right, left = turned[..., 2, 3].long() - 1, turned[..., 2, 1].long() - 1
        flip = torch.where(right >= 0, right < centre, left > centre)
        found.append(torch.stack([flip.long(), centre // 5, centre % 5], -1))
    return torch.stack(found).numpy()


def test_flips_and_shifts_are_uniform_and_independent() -> None:
    """Jointly: of an image, of its neighbour, of the next epoch and of another model."""
    found = turns([8, 9], epochs=4, records=5000)
    codes = found[..., 0] * 25 + found[..., 1] * 5 + found[..., 2]  # (epochs, models, records)
    counts = np.bincount(codes.ravel(), minlength=50)
    assert len(counts) == 50
    assert stats.chisquare(counts).pvalue > 1e-4
    flips = int(found[..., 0].sum())
    assert stats.binomtest(flips, codes.size, 0.5).pvalue > 1e-4
    pairs = {
        "neighbours": (codes[..., :-1], codes[..., 1:]),
        "epochs": (codes[:-1], codes[1:]),
        "models": (codes[:, 0], codes[:, 1]),
    }
    for name, (one, other) in pairs.items():
        table = np.zeros((50, 50))
        np.add.at(table, (one.ravel(), other.ravel()), 1)
        assert stats.chi2_contingency(table).pvalue > 1e-4, name


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({"horizontal_flip": True}, None, "horizontal_flip: expected a data set of images"),
        ({"crop_padding": 4}, None, "crop_padding: expected a data set of images"),
        (
            {"crop_padding": 5},
            (3, 9, 5),
            "crop_padding: 5: expected less than each side of the images, which have 9 x 5 pixels",
        ),
    ],
)
def test_what_cannot_be_augmented_is_refused(
    changes: dict[str, object], shape: tuple[int, int, int] | None, message: str
) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        check(replace(NONE, **changes), shape)


def test_without_augmentation_any_records_will_do() -> None:
    check(NONE, None)
    check(BOTH, (1, 3, 3))
