"""A network that is not part of the package: softmax regression on bits, in one file.

tests/test_new_network.py puts it among the package's networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mico.data.store import Description
from mico.networks.architecture import (
    Clipping,
    ExampleGradients,
    Parameters,
    StateDict,
    log_norm,
    smooth_,
    uniform_weights,
)
from mico.networks.facts import PHYSICAL_BATCH_SIZE, Facts, networks
from mico.networks.model_files import StateDictFile
from mico.networks.randomness import RandomStream

FACTS = {
    "softmax": {
        "data": ("bits",),
        "summary": "for bits: Linear(d, classes)",
        "layers": "`softmax`: Linear, on features of 0 and 1.",
        "record_seconds": 1e-6,
        "step_seconds": 1e-5,
        "forward": 0.5,
        "accuracy_records": 1_000,
        "white_box_records": 1_000,
        "white_box_shadows": 10,
    }
}


@dataclass(frozen=True)
class Softmax(StateDictFile):
    """The network's shape, and its arithmetic as methods that hold no state."""

    features: int
    classes: int
    batched = True
    dropout = False
    statistics = ()
    physical_batch_size = PHYSICAL_BATCH_SIZE

    @property
    def facts(self) -> Facts:
        return networks()["softmax"]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.features, self.classes), "bias": (1, self.classes)}

    def initial_weights(self, stream: RandomStream) -> Parameters:
        return uniform_weights(self.shapes, lambda name: 0.1, stream)

    def to_state_dicts(self, parameters: Parameters) -> list[StateDict]:
        models = len(parameters["bias"])
        return [
            {name: value[model].cpu().clone() for name, value in parameters.items()}
            for model in range(models)
        ]

    def from_state_dicts(self, state_dicts: Sequence[StateDict]) -> Parameters:
        return {name: torch.stack([one[name] for one in state_dicts]) for name in self.shapes}

    def encode(self, features: np.ndarray) -> np.ndarray:
        return np.unpackbits(features, axis=1, count=self.features)

    def inputs(self, encoded: Tensor) -> Tensor:
        return encoded.float()

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        return x

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        return x @ parameters["weight"] + parameters["bias"]

    def _delta(
        self, parameters: Parameters, x: Tensor, y: Tensor, smoothing: float = 0.0
    ) -> Tensor:
        one_hot = torch.nn.functional.one_hot(y, self.classes)
        return smooth_(self.logits(parameters, x).softmax(-1) - one_hot, y, smoothing)

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        delta = self._delta(parameters, x, y, smoothing) / y.shape[1]
        out["weight"].copy_(x.transpose(1, 2) @ delta)
        out["bias"].copy_(delta.sum(1, keepdim=True))

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
        delta = self._delta(parameters, x, y, smoothing)
        norm = ((x.square().sum(-1) + 1) * delta.square().sum(-1)).sqrt()
        delta = delta * clipping.scale(bound, norm).unsqueeze(-1)
        out["weight"].add_(x.transpose(1, 2) @ delta)
        out["bias"].add_(delta.sum(1, keepdim=True))

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        delta = self._delta(parameters, x, y)
        products = {name: (self.logits(one, x) * delta).sum(-1) for name, one in directions.items()}
        with_one = torch.cat([x, torch.ones_like(x[..., :1])], -1)
        return ExampleGradients(x, [log_norm(with_one) + log_norm(delta)], products)


def build(name: str, data: Description, physical_batch_size: int, precision: str) -> Softmax:
    return Softmax(data.features, data.classes)
