"""Element-wise steps of the engine, each in one pass over memory on a CPU.

torch needs ten passes for what `normals` does, and several times as long for a hyperbolic tangent.
Their exponential, logarithm, sine and cosine are polynomials with the coefficients of the Cephes
library (Moshier 1989, single precision), so that the compiler can work on eight numbers at a time.
Other devices and precisions do the same by torch's own operations.
"""

import math

import numpy as np
import torch
from torch import Tensor

from mico.networks.compiled import compiled, compiled_sums, inline, inline_sums

_ONE, _TWO, _HALF = np.float32(1), np.float32(2), np.float32(0.5)
_LOG_2 = np.float32(math.log(2))
_PER_LOG_2 = np.float32(1 / math.log(2))
# The logarithm of 2 in two parts, of which multiples of the first are exact.
_LOG_2_HIGH, _LOG_2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LEAST = np.float32(-87)  # exp of less is denormal
_E0, _E1, _E2, _E3, _E4, _E5 = np.array(
    [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5],
    np.float32,
)
_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = np.array(
    [
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    ],
    np.float32,
)
_S0, _S1, _S2 = np.array([-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1], np.float32)
_C0, _C1, _C2 = np.array(
    [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2], np.float32
)

# 32 random bits as a signed integer: a uniform in [-1, 1), or an angle in [-pi, pi), of which two
# bits are the quarter that is nearest.
_PER_WORD, _HALF_STEP = np.float32(2.0**-31), np.float32(2.0**-32)
_ANGLE_PER_WORD = np.float32(math.pi * 2.0**-31)
_HALF_QUARTER = np.int32(1 << 29)
_SQRT_HALF_BITS = np.float32(math.sqrt(0.5)).view(np.int32)


def normals_(pairs: np.ndarray, std: float) -> None:
    """Turn random bits into normals of mean 0, in place.

    Box and Muller 1958. A radius comes from 31 bits: |z| <= 6.66 std, which cuts off 3e-11 of the
    mass.

    Args:
        pairs: (2, H) float32, contiguous: 32 random bits each, of radii and of angles.
    """
    _normals(pairs, np.float32(-2 * std**2))


def tanh_(x: Tensor) -> Tensor:
    """The hyperbolic tangent of a contiguous tensor, in place; off by 1.2e-7 at most."""
    if not _fits(x):
        return x.tanh_()
    _tanh(x.view(-1).numpy())
    return x


def softmax_error_(logits: Tensor, y: Tensor) -> Tensor:
    """The softmax minus the label's one-hot vector, in place: the cross-entropy's derivative.

    Args:
        logits: (..., C), contiguous; y: labels (...) int64.
    """
    if not _fits(logits):
        torch.softmax(logits, -1, out=logits)
        return logits.scatter_(-1, y.unsqueeze(-1), -1.0, reduce="add")
    _softmax_error(logits.view(y.numel(), logits.shape[-1]).numpy(), y.reshape(-1).numpy())
    return logits


def clip_(
    squares: Tensor,
    delta1: Tensor,
    hidden: Tensor,
    delta2: Tensor,
    bound: Tensor,
    least: float,
    added: float,
) -> None:
    """Clip the gradients of two linear layers, example by example, by scaling delta1 and delta2.

    A layer's gradient is the outer product of its input and the derivative by its output, whose
    norm is the product of the two's. They are scaled by bound / (max(least, norm of both layers')
    + added).

    Args:
        squares: (...), the squared norm of the first layer's input with its 1 for the bias.
        delta1: (..., H), the loss's derivative by what the first layer puts out, contiguous.
        hidden: (..., H), the second's input without its 1; delta2: (..., K), contiguous.
        bound: (...); least, added: those of `mico.networks.architecture.Clipping`.
    """
    if _fits(delta1):
        rows = bound.numel()
        output1, input2, output2 = (
            each.view(rows, each.shape[-1]).numpy() for each in (delta1, hidden, delta2)
        )
        input1, bounds = (each.reshape(rows).numpy() for each in (squares, bound))
        _clip(input1, output1, input2, output2, bounds, np.float32(least), np.float32(added))
        return
    first, second, third = (each.square().sum(-1) for each in (delta1, hidden, delta2))
    norm = (squares * first + (second + 1) * third).sqrt()
    scale = (bound / norm.clamp_(min=least).add_(added)).unsqueeze(-1)
    delta1.mul_(scale)
    delta2.mul_(scale)


def _fits(x: Tensor) -> bool:
    """Whether the loops are for such a tensor."""
    return x.device.type == "cpu" and x.dtype == torch.float32


@inline
def _exp(x: np.float32) -> np.float32:
    """exp of a float32 of at least `_LEAST`."""
    k = np.floor(x * _PER_LOG_2 + _HALF)
    x = x - k * _LOG_2_HIGH
    x = x - k * _LOG_2_LOW
    p = ((((_E0 * x + _E1) * x + _E2) * x + _E3) * x + _E4) * x + _E5
    p = p * x * x + x + _ONE
    power: np.float32 = p * np.int32(np.int32(np.int32(k) + np.int32(127)) << 23).view(np.float32)
    return power


@compiled
def _normals(pairs: np.ndarray, minus_two_variances: np.float32) -> None:
    words = pairs.view(np.int32)
    for column in range(pairs.shape[1]):
        # The radius: u = 2^k (1 + x), with 1 + x between the square roots of 1/2 and 2.
        u = np.float32(abs(np.float32(words[0, column]) * _PER_WORD + _HALF_STEP))
        bits = u.view(np.int32)
        k = np.int32(bits - _SQRT_HALF_BITS) >> 23
        x = np.int32(bits - np.int32(k << 23)).view(np.float32) - _ONE
        p = (((_L0 * x + _L1) * x + _L2) * x + _L3) * x + _L4
        p = (((p * x + _L5) * x + _L6) * x + _L7) * x + _L8
        logarithm = x + (x * p - _HALF) * (x * x) + np.float32(k) * _LOG_2
        radius = np.sqrt(minus_two_variances * logarithm)
        # The angle: some quarters of a circle, and t of at most an eighth on either side.
        word = words[1, column]
        quarter = np.int32(np.int32(word + _HALF_QUARTER) >> 30)
        t = np.float32(np.int32(word - np.int32(quarter << 30))) * _ANGLE_PER_WORD
        square = t * t
        sine = ((_S0 * square + _S1) * square + _S2) * square * t + t
        cosine = ((_C0 * square + _C1) * square + _C2) * square * square - _HALF * square + _ONE
        first = sine if quarter & 1 else cosine
        second = cosine if quarter & 1 else sine
        pairs[0, column] = (-radius if np.int32(quarter + 1) & 2 else radius) * first
        pairs[1, column] = (-radius if quarter & 2 else radius) * second


@compiled
def _tanh(x: np.ndarray) -> None:
    for i in range(x.shape[0]):
        exponent = -_TWO * abs(x[i])
        power = _exp(_LEAST if exponent < _LEAST else exponent)
        x[i] = math.copysign((_ONE - power) / (_ONE + power), x[i])


@compiled_sums
def _softmax_error(logits: np.ndarray, y: np.ndarray) -> None:
    for row in range(logits.shape[0]):
        values = logits[row]
        most = values[0]
        for i in range(values.shape[0]):
            most = max(most, values[i])
        total = np.float32(0)
        for i in range(values.shape[0]):
            exponent = values[i] - most
            values[i] = _exp(_LEAST if exponent < _LEAST else exponent)
            total += values[i]
        share = _ONE / total
        for i in range(values.shape[0]):
            values[i] *= share
        values[y[row]] -= _ONE


@inline_sums
def _square(values: np.ndarray) -> np.float32:
    total = np.float32(0)
    for i in range(values.shape[0]):
        total += values[i] * values[i]
    return total


@compiled_sums
def _clip(
    squares: np.ndarray,
    delta1: np.ndarray,
    hidden: np.ndarray,
    delta2: np.ndarray,
    bound: np.ndarray,
    least: np.float32,
    added: np.float32,
) -> None:
    for row in range(bound.shape[0]):
        first = squares[row] * _square(delta1[row])
        second = (_square(hidden[row]) + _ONE) * _square(delta2[row])
        norm = np.sqrt(first + second)
        scale = bound[row] / (max(norm, least) + added)
        for values in (delta1[row], delta2[row]):
            for i in range(values.shape[0]):
                values[i] *= scale
