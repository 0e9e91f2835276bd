"""What the engine, the attacks and the release ask of a scenario's network, and which there are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mico.command_line import InputError
from mico.datasets import Description
from mico.randomness import RandomStream

# By name, each with a leading dimension M: the models that are computed together.
Parameters = dict[str, Tensor]

# A CNN computes on so many examples of each model at a time: on a CPU as fast as any number.
PHYSICAL_BATCH_SIZE = 32
PRECISIONS = ("float32", "bfloat16")
# Smaller norms count as this: in float32, the squares of what is much smaller are 0.
SMALLEST = 1e-15


@dataclass(frozen=True)
class ExampleGradients:
    """About the gradients of M models' losses on B examples each, one gradient per example."""

    hidden: Tensor  # (M, B, H) the activations that the last layer takes
    log_norms: list[Tensor]  # for each layer (M, B): the logarithm of the gradient's norm
    products: dict[str, Tensor]  # by direction (M, B): the gradient's inner product with it


@dataclass(frozen=True)
class Cost:
    """How much is computed besides training, of a network that costs more, less."""

    accuracy: int  # records that a model's accuracy is measured on, at most
    # For white-box features:
    records: int  # of which a model's mean gradient and mean activations are taken, at most
    shadows: int  # train models whose features at every challenge point are compared, at most


class Architecture(Protocol):
    """A network's shape, and its arithmetic as methods that hold no state."""

    @property
    def classes(self) -> int:
        """Of the data."""

    @property
    def cost(self) -> "Cost":
        """How much one can afford to compute with it."""

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models; else they only share the memory."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape as held here."""

    @property
    def dropout(self) -> bool:
        """Whether gradients in training are random: the engine then gives each model a seed."""

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """One model's parameters before training, of `shapes`, in their order."""

    def to_state_dicts(self, parameters: Parameters) -> list[dict[str, Tensor]]:
        """One published state dict per model, on the CPU."""

    def from_state_dicts(self, state_dicts: Sequence[dict[str, Tensor]]) -> Parameters:
        """The inverse of `to_state_dicts`.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """

    def encode(self, features: np.ndarray) -> np.ndarray:
        """A data set's features (N, d) in the form that is kept on the device."""

    def inputs(self, encoded: Tensor) -> Tensor:
        """What the methods below take as x, from encoded features (M, B, ...)."""

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes)."""

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The activations (M, B, H) that the last layer takes."""

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Write the gradient of the batch's mean cross-entropy into `out`.

        Args:
            y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: a word for each model that its dropout is drawn from; None is without dropout.
        """

    def add_clipped_gradients(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        bound: Tensor,
        clipping_norm: float,
        out: Parameters,
        seeds: Sequence[int] | None = None,
    ) -> None:
        """Add the weighted sum of the examples' cross-entropy gradients, each clipped, to `out`.

        Args:
            y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding.
            clipping_norm: C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds: as above.
        """

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """What an attacker who has the weights can see of single examples.

        Args:
            directions: by a name, each of the shapes of `parameters`.
        """


def log_norm(x: Tensor) -> Tensor:
    """The logarithm of the norms along the last dimension."""
    return torch.linalg.vector_norm(x, dim=-1).clamp_(min=SMALLEST).log()


def uniform_weights(
    shapes: Mapping[str, tuple[int, ...]], bound: Callable[[str], float], stream: RandomStream
) -> Parameters:
    """Parameters that start uniform in +- a bound, which their name decides."""
    weights = {}
    for name, shape in shapes.items():
        uniform = torch.from_numpy(stream.uniform(math.prod(shape)))
        weights[name] = ((2 * uniform - 1) * bound(name)).float().view(shape)
    return weights


def build(
    name: str,
    data: Description,
    physical_batch_size: int = PHYSICAL_BATCH_SIZE,
    precision: str = PRECISIONS[0],
) -> Architecture:
    """The network of this name for a data set.

    Args:
        name: `mlp`; `cnn`, or `cnn/k` for one with k times fewer channels; `roberta-base`,
            `roberta-tiny` or `transformers/` and a checkpoint's folder or name on the hub.
        physical_batch_size: on how many examples of each model a CNN computes at a time, and a
            transformer on as many tokens as so many sentences of the greatest length have.
        precision: one of `PRECISIONS`, in which a transformer passes forward and back in training.

    Raises:
        InputError: the name is unknown, or the network does not take such data.
    """
    from mico.cnn import CHANNELS, CNN, IMAGE
    from mico.mlp import MLP

    kind, slash, divisor = name.partition("/")
    if physical_batch_size < 1:
        raise InputError(f"physical batch size {physical_batch_size}: expected at least 1")
    if name in ("roberta-base", "roberta-tiny") or kind == "transformers":
        from mico import transformer

        return transformer.load(name, data, physical_batch_size, precision)
    if name == "mlp":
        if data.kind != "bits":
            raise InputError(f"architecture 'mlp': data set {data.name} does not hold bits")
        return MLP(data.features, data.classes)
    if kind != "cnn" or (slash and not divisor.isdecimal()):
        raise InputError(
            f"architecture {name!r}: expected mlp, cnn, cnn/<divisor>, roberta-base, roberta-tiny "
            "or transformers/<checkpoint>"
        )
    k = int(divisor or 1)
    if k < 1 or any(channels % k for channels in CHANNELS):
        raise InputError(f"architecture {name!r}: {k} does not divide the channels {CHANNELS}")
    if data.kind != "images" or data.features != np.prod(IMAGE):
        raise InputError(f"architecture {name!r}: data set {data.name} does not hold such images")
    channels = tuple(channels // k for channels in CHANNELS)
    return CNN(data.classes, channels, physical_batch_size)
