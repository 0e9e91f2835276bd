"""The plan of a GPU's memory, which needs no GPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mico.attacks import reference_training
from mico.challenge.recipe import TrainingOptions
from mico.networks.architecture import Architecture
from mico.networks.cnn import CNN
from mico.networks.mlp import MLP
from mico.support.errors import InputError
from mico.training import memory
from mico.training.engine import Records

PLAIN = TrainingOptions(1, 512, "adam", 0.001, 1.0, 1)
PRIVATE = replace(PLAIN, clipping_norm=1.0, noise_multiplier=1.0)
SMALL = replace(PRIVATE, batch_size=64)
MLP_600, CNN_FULL = MLP(600, 100), CNN(10)


def records(network: Architecture, features: np.ndarray) -> Records:
    return Records(torch.from_numpy(network.encode(features)), torch.zeros(len(features)).long())


BITS = records(MLP_600, np.zeros((4, 600), np.uint8))
IMAGES = records(CNN_FULL, np.zeros((4, 3072), np.uint8))


@pytest.mark.parametrize("options", [PLAIN, PRIVATE])
def test_a_perceptron_takes_at_least_its_inputs_and_weights(options: TrainingOptions) -> None:
    weights = 4 * (601 * 128 + 129 * 100)
    found = memory.model_bytes(MLP_600, BITS, options, 150_000)
    least = 6 * weights + 4 * 512 * (601 + 2 * 128 + 100) + 36 * 150_000
    assert least < found < 1.5 * least


def test_more_is_free_for_more_models_and_a_smaller_batch_takes_less() -> None:
    for network, given in ((MLP_600, BITS), (CNN_FULL, IMAGES)):
        fits = [memory.fitting(network, given, SMALL, 50_000, gib * 2**30) for gib in (8, 80)]
        assert 1 < fits[0] * 9 < fits[1] < fits[0] * 12
    sizes = [
        memory.model_bytes(CNN(10, physical_batch_size=size), IMAGES, SMALL, 50_000)
        for size in (8, 16, 32)
    ]
    assert sizes == sorted(sizes)


def test_what_does_not_fit_names_what_would() -> None:
    free = memory.model_bytes(CNN_FULL, IMAGES, SMALL, 50_000)
    with pytest.raises(InputError) as error:
        memory.fitting(CNN_FULL, IMAGES, SMALL, 50_000, free)
    size = int(str(error.value).split("physical_batch_size: ")[1].split(",")[0])
    assert "MiB are free: expected physical_batch_size: " in str(error.value)
    fits = CNN(10, physical_batch_size=size)
    assert memory.fitting(fits, IMAGES, SMALL, 50_000, free) == 1
    with pytest.raises(InputError):
        memory.fitting(CNN(10, physical_batch_size=2 * size), IMAGES, SMALL, 50_000, free)
    with pytest.raises(InputError, match=r"^device: cuda: a model takes 11 MiB, .*: expected d"):
        memory.fitting(MLP_600, BITS, PRIVATE, 150_000, 2**20)


def test_on_a_cpu_a_model_goes_alone() -> None:
    assert memory.together(MLP_600, BITS, PLAIN, 4, 200) == 1


def test_models_of_a_shard_and_shared_references_go_together_as_planned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = []
    monkeypatch.setattr(memory, "together", lambda *given: 2)

    def train(*given: object, **_: object) -> np.ndarray:
        groups.append(len(given[2]))
        return np.zeros((2, len(given[2]), 4))

    monkeypatch.setattr(reference_training, "_train", train)
    given = MLP_600, BITS, "c", np.arange(4), 2, range(5), PLAIN
    reference_training.train_shared(*given)
    assert groups == [2, 2, 1]
