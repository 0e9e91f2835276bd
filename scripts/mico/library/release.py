"""A released challenge on disk, as the competition published it: its models are run here."""

from pathlib import Path

import numpy as np
import torch

from mico.attacks.computing import outputs
from mico.challenge.layout import ATTACKED, SOLUTION, model_folder, model_name
from mico.challenge.phases import PHASES, Phases
from mico.data import store
from mico.library.challenge import Challenge
from mico.networks.build import build
from mico.release import folders, given_release, reader
from mico.support.arrays import Ints
from mico.support.errors import InputError
from mico.training import engine
from mico.training.device import available


def load_release(
    folder: Path | str, data: Path | str, architecture: str, n: int, device: str = "auto"
) -> Challenge:
    """Run the models of a released challenge at all its challenge points.

    Nothing is written. Train models can be scored; dev and final ones too if their folders hold a
    `solution.csv`, which the published ones do not.

    Args:
        folder: of the challenge, with train, dev and final in it; data: a stored data set.
        architecture: as in a scenario's configuration; n: records in a training set.

    Raises:
        InputError: a file is missing, damaged or of another network or data set.
    """
    folder, dataset = Path(folder), store.read(Path(data))
    phases = _phases(folder)
    network = build(architecture, dataset.description)
    records = engine.load(network, dataset, torch.device(available(device)))
    m = len(given_release.solution(folder / model_folder("train", 0))) // 2
    with torch.no_grad():
        signals = outputs.compute(folder, phases, network, records, n, m)
    membership = np.zeros((phases.models, 2 * m), bool)
    known: dict[str, list[int]] = {}
    for phase, model in phases.named():
        of_model = folder / model_folder(phase, model)
        if phase in ATTACKED and not (of_model / SOLUTION).exists():
            continue
        membership[model] = given_release.solution(of_model, m, reader.has_lists(of_model))
        known.setdefault(phase, []).append(model)
    scored: dict[str, Ints] = {phase: np.array(models) for phase, models in known.items()}
    if {"dev", "final"} <= scored.keys():
        scored["both"] = np.concatenate([scored["dev"], scored["final"]])
    return Challenge(folder.name, signals, membership, scored)


def _phases(folder: Path) -> Phases:
    """How many models each phase has; they are numbered through."""
    numbers = folders.models(folder)
    found = folders.counts(numbers)
    for phase in PHASES:
        if missing := set(found.of(phase)) - set(numbers[phase]):
            there = f"{len(numbers[phase])} are there"
            raise InputError(f"{folder / phase}: {model_name(min(missing))} is missing, {there}")
    return found
