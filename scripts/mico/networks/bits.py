"""Products of matrices of bits and of numbers, without multiplications.

A row of such a product is a sum of the rows of numbers where bits are set. The sums of all subsets
of four rows are written into a table of 16 first; every row of bits then adds one row of a table
for every four of its bits (the method of the four Russians: Arlazarov, Dinic, Kronrod and
Faradzhev 1970). The tables of 32 rows by 64 columns fill a processor's nearest cache. On a CPU this
takes about a third of the time of a matrix product of floats, and bits take a 32nd of the memory.
"""

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from mico.networks.compiled import compiled

WORD = 32  # bits of a word
_GROUP = 4  # bits whose subsets are in a table
_TABLES = WORD // _GROUP
_SUBSETS = 1 << _GROUP
_COLUMNS = 64
_ROW_BYTES = 4 * _COLUMNS
_TABLE_BYTES = _SUBSETS * _ROW_BYTES
# The rows of bits that share tables before the next are made, so that what they add to stays near.
_ROWS = 1024
_LANES = 16  # floats that are added at once; a processor with shorter registers takes several


def pack(bits: np.ndarray) -> np.ndarray:
    """Bits (N, d) of 0 and 1 as words (N, ceil(d / 32)) int32, the first bit lowest."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    whole = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    return np.ascontiguousarray(whole).view("<i4")


def unpack(words: Tensor, count: int) -> Tensor:
    """The first `count` bits of words (..., W), as floats (..., count)."""
    places = torch.arange(WORD, dtype=torch.int32, device=words.device)
    bits = (words.unsqueeze(-1) >> places) & 1
    return bits.flatten(-2)[..., :count].float()


def transpose(words: Tensor, count: int) -> Tensor:
    """Words (M, B, ceil(D / 32)) of the bits (M, B, D), as those (M, D, ceil(B / 32)) of (M, D, B).

    Args:
        count: D.
    """
    models, rows, _ = words.shape
    turned = words.new_empty(models, count, -(-rows // WORD))
    for own, out in zip(words.numpy(), turned.numpy(), strict=True):
        _transpose(own, out)
    return turned


def add_product_(out: Tensor, words: Tensor, numbers: Tensor) -> Tensor:
    """Add the product of bits and numbers to `out`, in place; on a CPU, in float32, by one thread.

    The order of the sums is the same on every processor.

    Args:
        out: (M, B, H), H a multiple of 64; words: (M, B, ceil(D / 32)) int32, of bits (M, B, D).
        numbers: (M, D, H). Each model's tensors are contiguous.

    Raises:
        ValueError: they are of another type or layout, which the loops would take for this one.
    """
    tables = torch.zeros(_TABLES * _SUBSETS * _COLUMNS).numpy()
    each = zip(out.numpy(), words.numpy(), numbers.numpy(), strict=True)
    for own_out, own_words, own_numbers in each:
        for array in (own_out, own_numbers):
            fits = array.dtype == np.float32 and array.flags.c_contiguous
            if not fits or array.shape[1] % _COLUMNS:
                found = f"{array.dtype} {array.shape}, strides {array.strides}"
                raise ValueError(
                    f"{found}: expected contiguous float32, {_COLUMNS} columns a block"
                )
        _add_product(own_out, own_words, own_numbers, tables)
    return out


def ones(words: Tensor) -> Tensor:
    """How many bits are set in words (..., W), as floats (...): their squared norm."""
    counts = torch.empty(words.shape[:-1])
    flat = words.reshape(counts.numel(), words.shape[-1])
    _ones(flat.numpy(), counts.view(-1).numpy())
    return counts


def _row_sum(rows: int, add: bool) -> Any:
    """A function that writes the sum of `rows` rows of a block of columns, or adds it to a row.

    It takes the row's address, and a tuple of theirs.
    """

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = ir.VectorType(ir.FloatType(), _LANES).as_pointer()
        out, addends = arguments[0], [builder.extract_value(arguments[1], i) for i in range(rows)]
        for start in range(0, _ROW_BYTES, 4 * _LANES):
            places = [
                builder.inttoptr(builder.add(row, ir.Constant(row.type, start)), lanes)
                for row in (out, *addends)
            ]
            values = [builder.load(place, align=4) for place in places[not add :]]
            while len(values) > 1:
                pairs = zip(values[::2], values[1::2], strict=False)
                odd = values[len(values) & ~1 :]
                values = [builder.fadd(*pair) for pair in pairs] + odd
            builder.store(values[0], places[0], align=4)
        return context.get_dummy_value()

    def typed(context: Any, out: Any, addends: Any) -> Any:
        return types.void(types.intp, types.UniTuple(types.intp, rows)), make

    return intrinsic(typed)


_write_sum_of_two = _row_sum(2, add=False)
_add_sum_of_eight = _row_sum(_TABLES, add=True)


@compiled
def _add_product(
    out: np.ndarray, words: np.ndarray, numbers: np.ndarray, tables: np.ndarray
) -> None:
    """The first row of each of the tables is 0, and stays so: it is of no bits."""
    table, of_out, of_numbers = tables.ctypes.data, out.ctypes.data, numbers.ctypes.data
    (rows, width), count = out.shape, len(numbers)
    for first in range(0, rows, _ROWS):
        for column in range(0, width, _COLUMNS):
            for word in range(words.shape[1]):
                for bit in range(min(WORD, count - word * WORD)):
                    number = of_numbers + ((word * WORD + bit) * width + column) * 4
                    own = table + bit // _GROUP * _TABLE_BYTES
                    subsets = 1 << bit % _GROUP
                    for subset in range(subsets):
                        without = own + subset * _ROW_BYTES
                        _write_sum_of_two(without + subsets * _ROW_BYTES, (without, number))
                for row in range(first, min(first + _ROWS, rows)):
                    bits = np.int64(words[row, word])
                    _add_sum_of_eight(
                        of_out + (row * width + column) * 4,
                        (
                            table + (bits & 15) * _ROW_BYTES,
                            table + _TABLE_BYTES + ((bits >> 4) & 15) * _ROW_BYTES,
                            table + 2 * _TABLE_BYTES + ((bits >> 8) & 15) * _ROW_BYTES,
                            table + 3 * _TABLE_BYTES + ((bits >> 12) & 15) * _ROW_BYTES,
                            table + 4 * _TABLE_BYTES + ((bits >> 16) & 15) * _ROW_BYTES,
                            table + 5 * _TABLE_BYTES + ((bits >> 20) & 15) * _ROW_BYTES,
                            table + 6 * _TABLE_BYTES + ((bits >> 24) & 15) * _ROW_BYTES,
                            table + 7 * _TABLE_BYTES + ((bits >> 28) & 15) * _ROW_BYTES,
                        ),
                    )


@compiled
def _transpose(words: np.ndarray, turned: np.ndarray) -> None:
    """Blocks of 32 by 32 bits: halves of words are exchanged, then quarters, down to bits."""
    rows, width = words.shape
    block = np.empty((WORD, width), np.uint32)
    for first in range(0, rows, WORD):
        for row in range(WORD):
            for word in range(width):
                inside = first + row < rows
                block[row, word] = np.uint32(words[first + row, word]) if inside else np.uint32(0)
        half, mask = 16, np.uint32(0xFFFF)
        while half:
            row = 0
            while row < WORD:
                for word in range(width):
                    low, high = block[row, word], block[row + half, word]
                    moved = np.uint32(((low >> np.uint32(half)) ^ high) & mask)
                    block[row, word] = low ^ np.uint32(moved << np.uint32(half))
                    block[row + half, word] = high ^ moved
                row = (row + half + 1) & ~half
            half >>= 1
            mask ^= np.uint32(mask << np.uint32(half))
        for place in range(len(turned)):
            turned[place, first // WORD] = np.int32(block[place % WORD, place // WORD])


@compiled
def _ones(words: np.ndarray, counts: np.ndarray) -> None:
    """Of pairs of bits, of fours and of eights together (Warren, Hacker's Delight, section 5-1)."""
    for row in range(len(words)):
        count = np.uint32(0)
        for word in range(words.shape[1]):
            x = np.uint32(words[row, word])
            x = np.uint32(x - ((x >> np.uint32(1)) & np.uint32(0x55555555)))
            x = np.uint32(
                (x & np.uint32(0x33333333)) + ((x >> np.uint32(2)) & np.uint32(0x33333333))
            )
            x = np.uint32((x + (x >> np.uint32(4))) & np.uint32(0x0F0F0F0F))
            count += np.uint32(np.uint32(x * np.uint32(0x01010101)) >> np.uint32(24))
        counts[row] = count
