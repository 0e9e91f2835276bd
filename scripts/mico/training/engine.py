"""The training engine: plain and differentially private training of several models at once.

DP-SGD (Abadi et al. 2016, arXiv 1607.00133, Algorithm 1) as the competition ran it on Opacus:
Poisson sampling with q = 1 / ceil(n / L), per-example clipping to C, Gaussian noise of standard
deviation sigma C on the sum, division by the expected batch size L. Without DP every epoch walks
the training set in its given order, members first, or in a new one, and averages over each batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from mico.challenge.recipe import TrainingOptions
from mico.data.store import Dataset
from mico.networks.architecture import Architecture, Clipping, Parameters
from mico.networks.randomness import RandomStream, poisson_sample
from mico.privacy.budget import sampling
from mico.training import augmentation
from mico.training.augmentation import Shape
from mico.training.optimizers import learning_rate, slots, update

EVALUATION_BATCH = 4096


@dataclass(frozen=True)
class Records:
    """Records on the device that trains on them; S is empty for a data set."""

    features: Tensor  # (*S, N, D), as the architecture encodes them
    labels: Tensor  # (*S, N) int64
    shape: Shape | None = None  # of images

    def take(self, indices: np.ndarray) -> "Records":
        """The records of a data set (N,) at these indices of any shape."""
        rows = torch.from_numpy(indices).to(self.features.device)
        features = self.features.index_select(0, rows.flatten())
        return Records(features.view(*rows.shape, -1), self.labels[rows], self.shape)


def load(architecture: Architecture, dataset: Dataset, device: torch.device) -> Records:
    """A whole stored data set, encoded for the architecture, on a device."""
    features = architecture.encode(dataset.features())
    labels = torch.from_numpy(dataset.labels.astype(np.int64))
    shape = dataset.description.shape
    return Records(torch.from_numpy(features).to(device), labels.to(device), shape)


@dataclass(frozen=True)
class State:
    """Where the training of M models stands after some steps: all that is needed to go on."""

    epochs: int
    weights: Tensor  # (M, P)
    optimizer: Tensor  # (slots of the optimizer, M, P)
    steps: int = 0  # of the epoch after those


def train(
    architecture: Architecture,
    records: Records,
    training_sets: Sequence[np.ndarray],
    seeds: Sequence[int],
    options: TrainingOptions,
    state: State | None = None,
    after_step: Callable[[State], None] = lambda state: None,
) -> Parameters:
    """Train one model per seed, all together.

    What a model becomes depends on its seed, training set and options, not on the others. (On a
    GPU, matrix products of another batch count may round differently.)

    Args:
        training_sets: data-set indices (n,) for each model, in training order.
        seeds: each model's own seed, from which all that it draws is drawn: its weights, samples or
            orders, noise, dropout and augmentation.
        state: where to go on, as given to `after_step` by an earlier call with the same arguments;
            its tensors are updated.
        after_step: called with the state after every step; it must copy what it keeps.

    Returns:
        parameters as the architecture holds them, with a leading dimension of len(seeds).

    Raises:
        InputError: the records are no images, or too small for the augmentation that is asked for.
    """
    augmentation.check(options, records.shape)
    device = records.features.device
    # A batch is gathered from the data set, which is held once, however many models there are.
    sets = torch.from_numpy(np.stack(training_sets)).to(device)
    if state is None:
        weights = torch.stack([_initial_weights(architecture, seed) for seed in seeds]).to(device)
        state = State(0, weights, weights.new_zeros(slots(options), *weights.shape))
    weights, optimizer_state = state.weights, state.optimizer.unbind()
    parameters = _views(architecture, weights)
    gradient = torch.zeros_like(weights)
    moved = _moved(architecture, [weights, gradient, *optimizer_state])
    gradients = _plain_gradients if options.clipping_norm is None else _private_gradients
    keys = [None if options.secure else seed for seed in seeds]
    given = architecture, records, sets, options, parameters, keys, gradient
    epoch_gradients = partial(gradients, *given)

    n = sets.shape[1]
    _, steps = sampling(n, options.batch_size, 1, options.drop_last)  # as many without DP
    before = state.epochs * steps + state.steps
    step, one = torch.tensor([before, 1], dtype=torch.float32, device=device)
    for epoch in range(state.epochs, options.epochs):
        skipped = state.steps if epoch == state.epochs else 0
        for done, _ in enumerate(epoch_gradients(epoch, skipped), skipped + 1):
            if options.max_gradient_norm is not None:
                norms = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
                gradient.mul_((options.max_gradient_norm / (norms + 1e-6)).clamp_(max=1))
            step += one
            rate = learning_rate(options, steps, epoch * steps + done - 1)
            for own_weights, own_gradient, *own_state in moved:
                update(options, own_weights, own_gradient, own_state, step, rate)
            after_step(State(epoch + done // steps, weights, state.optimizer, done % steps))
    return parameters


def _plain_gradients(
    architecture: Architecture,
    records: Records,
    sets: Tensor,
    options: TrainingOptions,
    parameters: Parameters,
    seeds: Sequence[int | None],
    gradient: Tensor,
    epoch: int,
    skipped: int,
) -> Iterator[None]:
    """Write a batch's mean gradient, then yield, for each batch of an epoch after those skipped."""
    out = _views(architecture, gradient)
    if options.shuffle:
        sets = _shuffled(sets, seeds, epoch)
    batches = torch.split(sets, options.batch_size, 1)
    widths = [rows.shape[1] for rows in batches]
    everywhere = np.ones(sets.shape, bool)
    turned = _augmented(records, options, seeds, epoch, everywhere, widths)
    words = _dropout(architecture, seeds, epoch, len(widths))
    labels = torch.split(_labels(records, sets), options.batch_size, 1)
    steps = islice(zip(batches, labels, turned, words, strict=True), skipped, None)
    for rows, y, turn, own_words in steps:
        x = architecture.inputs(turn(_features(records, rows)))
        architecture.mean_gradient(parameters, x, y, out, own_words, options.label_smoothing)
        yield


def _shuffled(sets: Tensor, seeds: Sequence[int | None], epoch: int) -> Tensor:
    """Each model's training set (M, n) in the order that it draws for an epoch."""
    words = np.empty(sets.shape, np.uint64)
    for row, seed in zip(words, seeds, strict=True):
        RandomStream(seed, f"order/{epoch}").bits(row)()
    return sets.gather(1, torch.from_numpy(words.argsort(1)).to(sets.device))


def _features(records: Records, rows: Tensor) -> Tensor:
    """The features (M, B, D) at rows (M, B) of a data set."""
    features = records.features.index_select(0, rows.flatten())
    return features.view(*rows.shape, features.shape[1])


def _labels(records: Records, rows: Tensor) -> Tensor:
    """The labels (M, B) at rows (M, B) of a data set."""
    return records.labels.index_select(0, rows.flatten()).view(rows.shape)


def _private_gradients(
    architecture: Architecture,
    records: Records,
    sets: Tensor,
    options: TrainingOptions,
    parameters: Parameters,
    seeds: Sequence[int | None],
    gradient: Tensor,
    epoch: int,
    skipped: int,
) -> Iterator[None]:
    """Write a Poisson sample's noisy gradient, then yield, for each step after those skipped."""
    assert options.clipping_norm is not None
    assert options.noise_multiplier is not None
    n, device = sets.shape[1], gradient.device
    out = _views(architecture, gradient)
    std = options.noise_multiplier * options.clipping_norm / options.batch_size
    noise = [_noise(*pair, epoch, std) for pair in zip(seeds, gradient, strict=True)] if std else []
    for fill in noise * skipped:
        fill()
    sample_rate, steps_an_epoch = sampling(n, options.batch_size, 1, options.drop_last)
    chosen, valid, widths = _poisson_samples(n, sample_rate, steps_an_epoch, seeds, epoch)
    turned = _augmented(records, options, seeds, epoch, valid, widths)
    words = _dropout(architecture, seeds, epoch, len(widths))
    clipping = Clipping(options.clipping_norm, options.clipping == "automatic")
    # All of an epoch's look-ups at once: a call into torch takes as long as a thousand of them.
    rows = sets.gather(1, torch.from_numpy(chosen).to(device))
    bounds = torch.from_numpy(valid).to(device) * (options.clipping_norm / options.batch_size)

    samples = (torch.split(tensor, widths, 1) for tensor in (rows, _labels(records, rows), bounds))
    steps = islice(zip(*samples, turned, words, strict=True), skipped, None)
    for own_rows, y, bound, turn, own_words in steps:
        for fill in noise:
            fill()
        if not noise:
            gradient.zero_()
        x = architecture.inputs(turn(_features(records, own_rows)))
        architecture.add_clipped_gradients(
            parameters, x, y, bound, clipping, out, own_words, options.label_smoothing
        )
        yield


def _augmented(
    records: Records,
    options: TrainingOptions,
    seeds: Sequence[int | None],
    epoch: int,
    valid: np.ndarray,
    widths: Sequence[int],
) -> Sequence[Callable[[Tensor], Tensor]]:
    """What turns the encoded features of each step of an epoch into those that are trained on.

    Args:
        valid: (M, sum of widths), False where there is padding; widths: of the steps.
    """
    if not options.augmentations:
        return [lambda features: features] * len(widths)
    assert records.shape is not None
    words = augmentation.draw(seeds, epoch, valid).to(records.features.device)
    augment = partial(augmentation.augment, shape=records.shape, options=options)
    return [partial(augment, words=part) for part in torch.split(words, list(widths), 1)]


def _dropout(
    architecture: Architecture, seeds: Sequence[int | None], epoch: int, steps: int
) -> Sequence[Sequence[int] | None]:
    """What dropout is drawn from, for each step of an epoch: a word of every model's stream."""
    if not architecture.dropout:
        return [None] * steps
    words = np.empty((len(seeds), steps), np.uint64)
    for row, seed in zip(words, seeds, strict=True):
        RandomStream(seed, f"dropout/{epoch}").bits(row)()
    return words.T.tolist()


def _poisson_samples(
    n: int, sample_rate: float, steps: int, seeds: Sequence[int | None], epoch: int
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """An epoch's Poisson samples of all models, those of a step padded to the longest.

    Returns:
        chosen: (M, sum of widths) int64 positions in the training sets, step by step; 0 is padding.
        valid: the same shape, False where there is padding.
        widths: of each step, its longest sample.
    """
    # One sample of steps * n positions is a sample of n positions for every step.
    drawn = [
        poisson_sample(RandomStream(seed, f"sampling/{epoch}"), steps * n, sample_rate)
        for seed in seeds
    ]
    boundaries = np.arange(steps + 1) * n
    ends = np.stack([np.searchsorted(positions, boundaries) for positions in drawn])
    widths = np.diff(ends).max(0)
    starts = np.cumsum(widths) - widths
    chosen = np.zeros((len(seeds), widths.sum()), np.int64)
    valid = np.zeros(chosen.shape, bool)
    for model, positions in enumerate(drawn):
        step, record = np.divmod(positions, n)
        column = starts[step] + np.arange(len(positions)) - ends[model, step]
        chosen[model, column] = record
        valid[model, column] = True
    return chosen, valid, widths.tolist()


def _initial_weights(architecture: Architecture, seed: int) -> Tensor:
    """One model's initial parameters, flat (P,)."""
    weights = architecture.initial_weights(RandomStream(seed, "weights"))
    flat = torch.cat([value.flatten() for value in weights.values()])
    # Normals come in pairs: an odd number of parameters is rounded up by one that is not used.
    return nn.functional.pad(flat, (0, len(flat) % 2))


def _views(architecture: Architecture, flat: Tensor) -> Parameters:
    """The parameters (M, *shape) as views of a flat tensor (M, P)."""
    views, start = {}, 0
    for name, shape in architecture.shapes.items():
        end = start + math.prod(shape)
        views[name] = flat[:, start:end].view(len(flat), *shape)
        start = end
    return views


def _moved(architecture: Architecture, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    """What an optimizer moves of tensors like the weights (M, P): all, but for statistics.

    These stand last, and the network itself brings them up to date; the rest is of each model.
    """
    statistics = architecture.statistics
    if not statistics:
        return [tensors]
    shapes = [shape for name, shape in architecture.shapes.items() if name not in statistics]
    end = sum(map(math.prod, shapes))
    return [[each[model, :end] for each in tensors] for model in range(len(tensors[0]))]


def _noise(seed: int | None, out: Tensor, epoch: int, std: float) -> Callable[[], object]:
    """A function that fills `out` with the epoch's next normals each time it is called."""
    stream = RandomStream(seed, f"noise/{epoch}")
    if seed is None:
        # A GPU's own generator is not made to withstand somebody who wants to predict it. Half the
        # sum of four normals does not tell by its last bits what it was added to (Holohan and
        # Braghin 2021, arXiv 2107.10138, with n = 2), as in Opacus's secure mode.
        four = torch.empty(4, *out.shape)
        fill = stream.normals(four, std)
        return lambda: (fill(), out.copy_(four.sum(0) / 2))
    if out.device.type == "cpu":
        return stream.normals(out, std)
    word = np.empty(1, np.int64)
    stream.bits(word)()
    generator = torch.Generator(out.device).manual_seed(int(word[0]))
    return lambda: out.normal_(0, std, generator=generator)


def accuracy(
    architecture: Architecture, parameters: Parameters, records: Records, indices: np.ndarray
) -> float:
    """The share of the records at `indices` that one model (M = 1) classifies correctly."""
    if not len(indices):
        return math.nan
    correct = 0
    for start in range(0, len(indices), EVALUATION_BATCH):
        batch = records.take(indices[None, start : start + EVALUATION_BATCH])
        predicted = architecture.logits(parameters, architecture.inputs(batch.features)).argmax(-1)
        correct += int((predicted == batch.labels).sum())
    return correct / len(indices)
