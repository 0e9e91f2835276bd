"""The path of a GPU, on tensors that have shapes and a device but no numbers: none is needed.

torch's device `meta` stands for the GPU: what mixes it with tensors of the host fails, and what is
sent to it can be counted.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from mico.challenge.recipe import TrainingOptions
from mico.networks.architecture import Architecture
from mico.networks.cnn import CNN
from mico.networks.mlp import MLP
from mico.training import engine
from mico.training.engine import Records

MODELS, N, BATCH, EPOCHS = 3, 40, 10, 2
PLAIN = TrainingOptions(EPOCHS, BATCH, "adam", 0.01, 0.5, 1)
RECIPES = {
    "plain": PLAIN,
    "shuffled, with momentum": replace(PLAIN, optimizer="sgd", momentum=0.9, shuffle=True),
    "scaled down": replace(PLAIN, max_gradient_norm=1.0, label_smoothing=0.1),
    "private": replace(PLAIN, clipping_norm=1.0, noise_multiplier=1.0),
    "without noise": replace(PLAIN, clipping_norm=1.0, noise_multiplier=0.0),
    "automatic": replace(PLAIN, clipping_norm=1.0, noise_multiplier=1.0, clipping="automatic"),
}
NETWORKS = {
    "bits": (MLP(33, 4), np.zeros((60, 33), np.uint8)),
    "numbers": (MLP(33, 4), np.zeros((60, 33), np.float32)),
    "images": (CNN(10, (4, 8, 8)), np.zeros((60, 3072), np.uint8)),
}


class Sent(TorchFunctionMode):
    """Counts what is sent from the host: tensors, and lists of numbers that become some."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        made = isinstance(found, torch.Tensor) and found.device.type == "meta"
        of_numbers = func in (torch.tensor, torch.Tensor.new_tensor)
        self.count += made and (of_numbers or any(one.device.type == "cpu" for one in given))
        return found


class Generator:
    """In the place of a GPU's, which there is none of."""

    def __init__(self, device: torch.device) -> None:
        assert device.type == "meta"

    def manual_seed(self, seed: int) -> None:
        """Have the noise be normals without a generator of their own."""


def sent_by_step(
    network: Architecture, features: np.ndarray, options: TrainingOptions
) -> list[int]:
    """How often something is sent in each step, and before it since the last."""
    encoded = torch.from_numpy(network.encode(features)).to("meta")
    labels = torch.zeros(len(features), dtype=torch.int64, device="meta")
    sets = [np.arange(start, start + N) for start in range(MODELS)]
    counts: list[int] = []
    with torch.no_grad(), Sent() as sent:

        def after(state: engine.State) -> None:
            counts.append(sent.count)
            sent.count = 0

        found = engine.train(
            network, Records(encoded, labels), sets, range(MODELS), options, after_step=after
        )
    assert {one.device.type for one in found.values()} == {"meta"}
    assert {len(one) for one in found.values()} == {MODELS}
    return counts


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("data", NETWORKS)
def test_a_step_sends_nothing_from_the_host(
    data: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch does, before its first step."""
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(
        torch.Tensor, "normal_", lambda self, mean, std, generator: self.fill_(mean * std)
    )
    counts = sent_by_step(*NETWORKS[data], RECIPES[recipe])
    assert len(counts) == EPOCHS * N // BATCH
    an_epoch = N // BATCH
    assert not any(count for step, count in enumerate(counts) if step % an_epoch)
    # An epoch's order or samples are drawn by the host.
    drawn = RECIPES[recipe].shuffle or RECIPES[recipe].clipping_norm is not None
    assert (counts[an_epoch] > 0) == drawn
