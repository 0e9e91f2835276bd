"""Random streams that belong to a model: AES-128 in counter mode, keyed by the model's seed.

Every purpose (initial weights, Poisson sampling, noise) and every epoch has its own key, so that
nothing a model draws depends on its shard, on other models or on order, and training can go on from
the end of any epoch. The cipher is also the fastest source of random bits that Python can reach
(10 GB/s on AES-NI), and drawing normals from it by Box-Muller takes a third of the time of torch's
Mersenne Twister.
"""

import hashlib
import math
import os

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# What is encrypted: small, so that it stays in a CPU's nearest cache.
_ZEROS = np.zeros(1 << 16, np.uint8)
# A Python number as an operand costs 4 microseconds more than a tensor that holds it.
_HALF, _PER_RADIUS, _PER_ANGLE = torch.tensor([0.5, 2.0**-31, math.pi * 2.0**-31])


class RandomStream:
    """One model's draws for one purpose, or without a seed draws that nobody can repeat."""

    def __init__(self, seed: int | None, purpose: str) -> None:
        if seed is None:
            key = os.urandom(16)
        else:
            key = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:16]
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()

    def fill_(self, out: np.ndarray) -> None:
        """Fill a contiguous array with random bits."""
        out = out.view(np.uint8).reshape(-1)
        for start in range(0, len(out), len(_ZEROS)):
            part = out[start : start + len(_ZEROS)]
            self._cipher.update_into(_ZEROS[: len(part)], part)

    def uniform(self, count: int) -> np.ndarray:
        """Uniforms (count,) float64 in (0, 1], multiples of 2^-53."""
        words = np.empty(count, np.uint64)
        self.fill_(words)
        return ((words >> np.uint64(11)) + np.uint64(1)) * 2.0**-53

    def normal_(self, out: torch.Tensor, std: float) -> torch.Tensor:
        """Fill a contiguous float32 CPU tensor of even size with normals of mean 0.

        Box and Muller 1958; the radius comes from 31 bits: |z| <= 6.66 std, which cuts off 3e-11
        of the mass.
        """
        radius, angle = out.view(2, -1)
        words = out.view(torch.int32)
        self.fill_(words.numpy())
        out.copy_(words)
        radius.add_(_HALF).abs_().mul_(_PER_RADIUS).log_().mul_(-2 * std**2).sqrt_()
        angle.mul_(_PER_ANGLE)
        sine = angle.sin()
        angle.cos_().mul_(radius)
        radius.mul_(sine)
        return out


def poisson_sample(stream: RandomStream, records: int, sample_rate: float) -> np.ndarray:
    """Positions (int64, increasing) of a Poisson sample: each of `records` with probability q.

    The gaps between chosen positions are geometric, so only about `records` * q numbers are drawn.
    """
    if sample_rate == 1:
        return np.arange(records)
    expected = records * sample_rate
    chosen = np.empty(0, np.int64)
    end = -1
    while end < records:
        u = stream.uniform(int(expected + 6 * math.sqrt(expected)) + 8)
        # A gap of over `records` ends the sample whatever its length.
        gaps = 1 + np.minimum(np.log(u) // math.log1p(-sample_rate), records)
        positions = end + np.cumsum(gaps.astype(np.int64))
        chosen = np.concatenate([chosen, positions])
        end = int(positions[-1])
    return chosen[: np.searchsorted(chosen, records)]
