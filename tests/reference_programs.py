"""What programs that train reference models are given, and what they open."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from recipes import recipe
from torch import Tensor

from mico.challenge.recipe import TrainingOptions
from mico.networks.mlp import MLP
from mico.training.engine import Records, State

SCRIPTS = Path(__file__).parents[1] / "scripts"
NETWORK = MLP(12, 4)
OPTIONS = TrainingOptions(
    epochs=1, batch_size=10, optimizer="sgd", learning_rate=0.1, lr_decay=1, lr_decay_epochs=1
)


@dataclass
class Engine:
    """Stands in for training.train: remembers what it is given, returns weights by the seed."""

    sets: list[np.ndarray] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)

    def train(
        self,
        architecture: MLP,
        records: Records,
        sets: list[np.ndarray],
        seeds: list[int],
        options: TrainingOptions,
        after_step: Callable[[State], None],
    ) -> dict[str, Tensor]:
        assert options == OPTIONS
        self.sets += sets
        self.seeds += seeds
        self.groups.append(len(seeds))
        return self.weights(architecture, seeds)

    @staticmethod
    def weights(architecture: MLP, seeds: list[int]) -> dict[str, Tensor]:
        own = [torch.Generator().manual_seed(seed) for seed in seeds]
        return {
            name: torch.stack([torch.randn(shape, generator=one) for one in own])
            for name, shape in architecture.shapes.items()
        }


TRAINING = {"epochs": 6, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
TRAINING |= {"lr_decay": 0.9, "lr_decay_epochs": 2}  # as conftest has it
# Runs the program, and writes down what it opens.
LISTEN = """
import runpy, sys
scripts, log = sys.argv[1:3]
sys.argv[:3] = ["references.py"]
sys.path.insert(0, scripts)
opened = []
def hear(event, arguments):
    if event in ("open", "os.open", "os.listdir", "os.scandir"):
        opened.append(str(arguments[0]))
sys.addaudithook(hear)
runpy.run_path(f"{scripts}/target_references.py", run_name="__main__")
with open(log, "w") as file:
    file.write("\\n".join(opened))
"""


def arguments_of(challenge: object) -> list[object]:
    """Of the program, but for the models and the output."""
    options = TRAINING | {"clipping_norm": 2.6 if challenge.private else None}
    return [
        *("--challenge", challenge.directory, "--data", challenge.data.directory),
        *(
            "--privacy",
            challenge.organiser / "privacy.json",
            "--recipe",
            recipe(150, 10, **options),
        ),
        *("--phases", 3, 2, 2, "--device", "cpu"),
    ]


def organisers(challenge: object) -> dict[str, np.ndarray]:
    """Who trained on what (models, N), and the challenge points (models, 2m)."""
    with np.load(challenge.organiser / "splits.npz") as file:
        trained = np.unpackbits(file["trained"], axis=1, count=300).astype(bool)
        return {"trained": trained, "challenge": file["challenge"]}
