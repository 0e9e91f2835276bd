"""What the engine, the attacks and the release ask of a network."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mico.networks.facts import Facts
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError

# By name, each with a leading dimension M: the models that are computed together.
Parameters = dict[str, Tensor]
# One model's, by its published names.
StateDict = dict[str, Tensor]

# Smaller norms count as this: in float32, the squares of what is much smaller are 0.
SMALLEST = 1e-15
# What automatic clipping adds to a norm, as published.
STABILITY = 0.01


@dataclass(frozen=True)
class Clipping:
    """How the gradients of examples are bounded: by a norm, and whether all are scaled to it."""

    norm: float  # C
    automatic: bool = False

    @property
    def least_and_added(self) -> tuple[float, float]:
        """What a norm counts as at least, and what is then added to it, before C is divided by it.

        Flat clipping scales a gradient of norm g by C / max(C, g), automatic clipping by
        C / (g + 0.01) (AUTO-S of Bu et al. 2023, arXiv 2206.07136): at most C is left of either.
        """
        return (0.0, STABILITY) if self.automatic else (self.norm, 0.0)

    def scale(self, bound: Tensor, norms: Tensor) -> Tensor:
        """What each example's gradient is multiplied by.

        Args:
            bound: C times the examples' weights, 0 for padding; norms: of their gradients, of the
                same shape.
        """
        least, added = self.least_and_added
        return bound / (norms.clamp(min=least) + added)


@dataclass(frozen=True)
class ExampleGradients:
    """Measurements of the gradients of M models' losses on B examples each, example by example."""

    hidden: Tensor  # (M, B, H) the activations that the last layer takes
    log_norms: list[Tensor]  # for each layer (M, B): the logarithm of the gradient's norm
    products: dict[str, Tensor]  # by direction (M, B): the gradient's inner product with it


class Architecture(Protocol):
    """A network's shape, and its arithmetic as methods that hold no state."""

    @property
    def classes(self) -> int:
        """The number of classes in the data."""

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""

    @property
    def physical_batch_size(self) -> int:
        """On how many examples of each model it computes at a time, if that is bounded."""

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models; otherwise they run one after the other."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape, by name, without the leading dimension M."""

    @property
    def statistics(self) -> tuple[str, ...]:
        """The last of `shapes` that a mean gradient brings up to date in place, and no optimizer.

        Such are a batch norm's means and variances; networks that have some cannot be clipped.
        """

    @property
    def dropout(self) -> bool:
        """Whether gradients in training are random: the engine then gives each model a seed."""

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """One model's parameters before training, of `shapes`, in their order."""

    def to_state_dicts(self, parameters: Parameters) -> list[StateDict]:
        """One published state dict per model, on the CPU."""

    def from_state_dicts(self, state_dicts: Sequence[StateDict]) -> Parameters:
        """Parameters with a leading dimension M from M published state dicts.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """

    def write_model(self, folder: Path, state_dict: StateDict, private: bool) -> None:
        """Write the files that the facts name into a folder; equal weights give equal bytes.

        Args:
            private: the model was trained with DP.
        """

    def read_model(self, folder: Path) -> StateDict:
        """Read the weights that `write_model` wrote, and run nothing that a file says.

        Raises:
            InputError: a file is missing or corrupt, or holds other than finite float32 numbers.
        """

    def describe(self, folder: Path) -> str:
        """A released model's layers and number of parameters in words, for the data card."""

    def encode(self, features: np.ndarray) -> np.ndarray:
        """A data set's features (N, d) in the form that is kept on the device.

        Images stay as they are stored, for augmentation turns them in this form.
        """

    def inputs(self, encoded: Tensor) -> Tensor:
        """The float inputs x that the methods below take, from encoded features (M, B, ...)."""

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The logits (M, B, classes) of each model for its inputs x."""

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The activations (M, B, H) that the last layer takes."""

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Write the gradient of the batch's mean cross-entropy into `out`.

        Args:
            y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: a word for each model that its dropout is drawn from; None is without dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """

    def add_clipped_gradients(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        bound: Tensor,
        clipping: Clipping,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Add the weighted sum of the examples' cross-entropy gradients, each clipped, to `out`.

        Args:
            y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding.
            clipping: with C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds, smoothing: as above.
        """

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """Measure single examples' gradients, as an attacker can who has the weights.

        Args:
            directions: by a name, each of the shapes of `parameters`.
        """


def read_parameters(folder: Path, architecture: Architecture) -> Parameters:
    """Read a released model as parameters with a leading dimension of 1.

    Raises:
        InputError: a file is missing, corrupt or of another architecture.
    """
    state_dict = architecture.read_model(folder)
    try:
        return architecture.from_state_dicts([state_dict])
    except ValueError as error:
        weights = max(architecture.facts.found(folder))
        raise InputError(f"{folder / weights}: {error}") from None


def smooth_(error: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """Turn the softmax minus one-hot labels into that minus smoothed labels, in place.

    A smoothed label is (1 - s) one-hot + s / classes, as torch.nn.functional.cross_entropy has it.

    Args:
        error: (..., classes); y: labels (...) int64; smoothing: s.
    """
    if smoothing:
        error.sub_(smoothing / error.shape[-1])
        error.scatter_(-1, y.unsqueeze(-1), smoothing, reduce="add")
    return error


def log_norm(x: Tensor) -> Tensor:
    """The logarithm of the norms along the last dimension."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1)
    return norm.clamp_(min=SMALLEST).log()


def uniform_weights(
    shapes: Mapping[str, tuple[int, ...]], bound: Callable[[str], float], stream: RandomStream
) -> Parameters:
    """One model's parameters, uniform in +- bound(name), drawn in the order of `shapes`."""
    weights = {}
    for name, shape in shapes.items():
        uniform = torch.from_numpy(stream.uniform(math.prod(shape)))
        weights[name] = ((2 * uniform - 1) * bound(name)).float().view(shape)
    return weights
