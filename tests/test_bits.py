"""Products of bits and numbers against the same products of numbers in double precision."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mico.networks import bits

# Models, rows and bits: none, fewer than a table's four, whole words, more than share tables.
SHAPES = [(1, 0, 5), (1, 1, 1), (2, 7, 3), (1, 32, 32), (3, 33, 64), (1, 5, 101), (2, 1030, 601)]


def draw(shape: tuple[int, int, int]) -> tuple[np.ndarray, Tensor]:
    """Random bits (M, B, D), and the same packed."""
    rng = np.random.default_rng(list(shape))
    drawn = rng.integers(0, 2, shape, dtype=np.uint8)
    return drawn, torch.from_numpy(np.stack([bits.pack(one) for one in drawn]))


def test_words_are_read_from_the_lowest_bit() -> None:
    row = [0, 1, 1, *[0] * 28, 1, 1]
    words = bits.pack(np.array([row], np.uint8))
    assert words.dtype == np.int32
    assert words.tolist() == [[2**1 + 2**2 - 2**31, 1]]
    assert bits.unpack(torch.from_numpy(words), 33).tolist() == [row]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_packed_is_unpacked_counted_and_transposed(shape: tuple[int, int, int]) -> None:
    drawn, words = draw(shape)
    _, rows, count = shape
    assert (bits.unpack(words, count).numpy() == drawn).all()
    assert (bits.ones(words).numpy() == drawn.sum(-1)).all()
    turned = bits.transpose(words, count)
    assert (bits.unpack(turned, rows).numpy() == drawn.swapaxes(1, 2)).all()
    # Of what fills up the last word, nothing is set.
    assert (bits.ones(turned).numpy() == drawn.sum(1)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_product_equals_that_of_numbers(shape: tuple[int, int, int]) -> None:
    """And is added to what is there: of models whose parameters lie side by side in memory."""
    drawn, words = draw(shape)
    models, rows, count = shape
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randn(models, count, 128, generator=generator)
    whole = torch.randn(models, rows * 128 + 5, generator=generator)
    before = whole.clone()
    out = whole[:, : rows * 128].view(models, rows, 128)
    expected = out.double() + torch.from_numpy(drawn).double() @ numbers.double()
    assert bits.add_product_(out, words, numbers) is out
    # 19 sums of sums for 601 bits: their roundings add up to some of the last bits of the largest.
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=4e-5)
    assert torch.equal(whole[:, rows * 128 :], before[:, rows * 128 :])


def test_a_rows_product_does_not_depend_on_other_rows() -> None:
    _, words = draw((1, 1030, 601))
    numbers = torch.randn(1, 601, 64, generator=torch.Generator().manual_seed(2))
    every = bits.add_product_(torch.zeros(1, 1030, 64), words, numbers)
    for some in slice(0, 1), slice(500, 540), slice(1029, 1030):
        rows = words[:, some]
        alone = bits.add_product_(torch.zeros(1, rows.shape[1], 64), rows, numbers)
        assert torch.equal(alone, every[:, some])


def test_numbers_of_rows_that_no_bit_chooses_do_not_matter() -> None:
    words = torch.from_numpy(bits.pack(np.array([[1, 0, 1]], np.uint8)))[None]
    numbers = torch.ones(1, 3, 64)
    numbers[0, 1] = torch.nan
    assert (bits.add_product_(torch.zeros(1, 1, 64), words, numbers) == 2).all()


@pytest.mark.parametrize(
    "numbers",
    [
        torch.zeros(1, 3, 64, dtype=torch.double),
        torch.zeros(1, 3, 128)[..., ::2],
        torch.zeros(1, 3, 65),
    ],
    ids=["doubles", "not contiguous", "no whole block"],
)
def test_other_types_and_layouts_are_refused(numbers: Tensor) -> None:
    """Rather than read as if they were the right ones."""
    words = torch.from_numpy(bits.pack(np.ones((2, 3), np.uint8)))[None]
    with pytest.raises(ValueError, match="expected contiguous float32, 64 columns a block"):
        bits.add_product_(torch.zeros(1, 2, 64), words, numbers)
