"""The training engine: plain and differentially private training of several models at once.

DP-SGD (Abadi et al. 2016, arXiv 1607.00133, Algorithm 1) as the competition ran it on Opacus:
Poisson sampling with q = 1 / ceil(n / L), per-example clipping to C, Gaussian noise of standard
deviation sigma C on the sum, division by the expected batch size L. Without DP every epoch walks
the training set in its given order, members first, and averages over each batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mico.command_line import InputError
from mico.datasets import Dataset
from mico.mlp import MLP, Parameters
from mico.privacy import sampling
from mico.randomness import RandomStream, poisson_sample

EVALUATION_BATCH = 4096

Update = Callable[[Tensor, float], None]


def adam(weights: Tensor) -> Update:
    """Adam (Kingma and Ba 2015, Algorithm 1) with torch.optim.Adam's defaults, for one tensor.

    torch.optim itself would add two seconds of imports to every process and, for networks this
    small, a tenth to every step.
    """
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    mean, square, scratch = (torch.zeros_like(weights) for _ in range(3))
    steps = 0

    def update(gradient: Tensor, learning_rate: float) -> None:
        nonlocal steps
        steps += 1
        mean.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        # Both bias corrections go into the step size, which saves a pass over the weights.
        correction = math.sqrt(1 - beta2**steps)
        torch.sqrt(square, out=scratch).add_(epsilon * correction)
        step_size = learning_rate * correction / (1 - beta1**steps)
        weights.addcdiv_(mean, scratch, value=-step_size)

    return update


def sgd(weights: Tensor) -> Update:
    """Stochastic gradient descent without momentum."""

    def update(gradient: Tensor, learning_rate: float) -> None:
        weights.add_(gradient, alpha=-learning_rate)

    return update


OPTIMIZERS = {"adam": adam, "sgd": sgd}


@dataclass(frozen=True)
class TrainingOptions:
    """How a scenario's models are trained."""

    epochs: int
    batch_size: int  # under DP the expected size L of a Poisson sample
    optimizer: str
    learning_rate: float
    lr_decay: float  # the learning rate is multiplied by this ...
    lr_decay_epochs: int  # ... every so many epochs
    clipping_norm: float | None = None  # C; None trains without DP
    noise_multiplier: float | None = None  # sigma

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer {self.optimizer!r}: expected {' or '.join(OPTIMIZERS)}")
        for name in ("epochs", "batch_size", "learning_rate", "lr_decay", "lr_decay_epochs"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} {getattr(self, name)}: expected a positive number")
        if (self.clipping_norm is None) != (self.noise_multiplier is None):
            raise InputError("clipping_norm and noise_multiplier: expected both or neither")
        if self.clipping_norm is not None and not self.clipping_norm > 0:
            raise InputError(f"clipping_norm {self.clipping_norm}: expected a positive number")
        if self.noise_multiplier is not None and not self.noise_multiplier >= 0:
            raise InputError(f"noise_multiplier {self.noise_multiplier}: expected at least 0")


@dataclass(frozen=True)
class Records:
    """A data set on the device that trains on it."""

    features: Tensor  # (N, d) uint8
    labels: Tensor  # (N,) int64

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (M, B, d) float32 and labels (M, B) of the records at `indices` (M, B)."""
        rows = indices.to(self.features.device).flatten()
        x = self.features.index_select(0, rows).float().view(*indices.shape, self.features.shape[1])
        return x, self.labels.index_select(0, rows).view(indices.shape)


def load(dataset: Dataset, device: torch.device) -> Records:
    """Put a whole stored data set on a device."""
    return Records(
        torch.from_numpy(dataset.features()).to(device),
        torch.from_numpy(dataset.labels.astype(np.int64)).to(device),
    )


def train(
    architecture: MLP,
    records: Records,
    training_sets: Sequence[np.ndarray],
    seeds: Sequence[int],
    options: TrainingOptions,
) -> Parameters:
    """Train one model per seed, all together.

    What a model becomes depends on its seed, training set and options, not on the others. (On a
    GPU, matrix products of another batch count may round differently.)

    Args:
        training_sets: data-set indices (n,) for each model, in training order.
        seeds: each model's own seed, from which its weights, samples and noise are drawn.

    Returns:
        parameters under their state-dict keys, with a leading dimension of len(seeds).
    """
    device = records.features.device
    order = np.stack(training_sets)
    weights = torch.stack([_initial_weights(architecture, seed) for seed in seeds]).to(device)
    gradient = torch.empty_like(weights)
    parameters, gradients = _views(architecture, weights), _views(architecture, gradient)
    update = OPTIMIZERS[options.optimizer](weights)
    noise_std = (options.noise_multiplier or 0) * (options.clipping_norm or 0) / options.batch_size
    noise = [_noise_stream(seed, device) for seed in seeds] if noise_std else []
    count = weights.shape[1]
    # Normals come in pairs: of an odd number of parameters' the last is not used.
    drawn = weights.new_empty(count + count % 2)
    if options.clipping_norm is None:
        epoch_batches = partial(_ordered_batches, order, options.batch_size)
    else:
        samples = [RandomStream(seed, "sampling") for seed in seeds]
        epoch_batches = partial(_poisson_batches, order, options.batch_size, samples)

    for epoch in range(options.epochs):
        decays = epoch // options.lr_decay_epochs
        learning_rate = options.learning_rate * options.lr_decay**decays
        for indices, weight in epoch_batches():
            x, y = records.batch(torch.from_numpy(indices))
            weight = torch.from_numpy(weight).to(device)
            architecture.gradient_sum(parameters, x, y, weight, options.clipping_norm, gradients)
            for model, draw in enumerate(noise):
                gradient[model].add_(draw(drawn)[:count], alpha=noise_std)
            update(gradient, learning_rate)
    return parameters


def _initial_weights(architecture: MLP, seed: int) -> Tensor:
    """One model's initial parameters, flat (P,)."""
    stream = RandomStream(seed, "weights")
    parts = []
    for name, shape in architecture.shapes.items():
        uniform = torch.from_numpy(stream.uniform(math.prod(shape)))
        parts.append((2 * uniform - 1) * architecture.init_bound(name))
    return torch.cat(parts).float()


def _views(architecture: MLP, flat: Tensor) -> Parameters:
    """The parameters (M, *shape) as views of a flat tensor (M, P)."""
    views, start = {}, 0
    for name, shape in architecture.shapes.items():
        end = start + math.prod(shape)
        views[name] = flat[:, start:end].view(len(flat), *shape)
        start = end
    return views


Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def _ordered_batches(order: np.ndarray, batch_size: int) -> Batches:
    """An epoch of batches in the given order: indices (M, B) and weights 1 / B (M, B)."""
    for start in range(0, order.shape[1], batch_size):
        indices = order[:, start : start + batch_size]
        yield indices, np.full(indices.shape, 1 / indices.shape[1], np.float32)


def _poisson_batches(
    order: np.ndarray, batch_size: int, samples: Sequence[RandomStream]
) -> Batches:
    """An epoch of Poisson samples: indices (M, largest sample) and weights 1 / L, 0 for padding."""
    models, n = order.shape
    sample_rate, steps = sampling(n, batch_size, epochs=1)
    for _ in range(steps):
        chosen = [poisson_sample(sample, n, sample_rate) for sample in samples]
        width = max(len(positions) for positions in chosen)
        indices = np.zeros((models, width), np.int64)
        weight = np.zeros((models, width), np.float32)
        for model, positions in enumerate(chosen):
            indices[model, : len(positions)] = order[model, positions]
            weight[model, : len(positions)] = 1 / batch_size
        yield indices, weight


def _noise_stream(seed: int, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function that fills a tensor on `device` with the model's next standard normals."""
    stream = RandomStream(seed, "noise")
    if device.type == "cpu":
        return stream.normal_
    generator = torch.Generator(device).manual_seed(int(stream.bits(1)[0]))
    return lambda out: out.normal_(generator=generator)


def accuracy(
    architecture: MLP, parameters: Parameters, records: Records, indices: np.ndarray
) -> float:
    """The share of the records at `indices` that one model (M = 1) classifies correctly."""
    if not len(indices):
        return math.nan
    correct = 0
    for rows in torch.from_numpy(indices).split(EVALUATION_BATCH):
        x, y = records.batch(rows.unsqueeze(0))
        correct += int((architecture.logits(parameters, x).argmax(-1) == y).sum())
    return correct / len(indices)
