"""A released challenge on disk, as the competition published it: its models are run here."""

from pathlib import Path

import numpy as np
import torch

from mico.attacks.computing import outputs
from mico.challenge.layout import SOLUTION, model_folder, model_name
from mico.challenge.phases import PHASES, Phases
from mico.data import store
from mico.library.challenge import Challenge
from mico.networks.build import build
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
    first = _solution(folder / model_folder("train", 0))
    if first is None:
        raise InputError(f"{folder / model_folder('train', 0) / SOLUTION}: missing")
    m = len(first) // 2
    with torch.no_grad():
        signals = outputs.compute(folder, phases, network, records, n, m)
    membership = np.zeros((phases.models, 2 * m), bool)
    known: dict[str, list[int]] = {}
    for phase, model in phases.named():
        row = _solution(folder / model_folder(phase, model))
        if row is None:
            continue
        if len(row) != 2 * m or row.sum() != m:
            path = folder / model_folder(phase, model) / SOLUTION
            found = f"{len(row)} memberships, {row.sum()} members"
            raise InputError(f"{path}: {found}, expected {2 * m} and {m}")
        membership[model] = row
        known.setdefault(phase, []).append(model)
    scored: dict[str, Ints] = {phase: np.array(models) for phase, models in known.items()}
    if {"dev", "final"} <= scored.keys():
        scored["both"] = np.concatenate([scored["dev"], scored["final"]])
    return Challenge(folder.name, signals, membership, scored)


def _phases(folder: Path) -> Phases:
    """How many models each phase has, by the folders."""
    counts: list[int] = []
    for phase in PHASES:
        found = sorted(path.name for path in folder.glob(f"{phase}/model_*"))
        expected = [model_name(sum(counts) + number) for number in range(len(found))]
        if missing := set(expected) - set(found):
            raise InputError(f"{folder / phase}: {min(missing)} is missing, {len(found)} are there")
        counts.append(len(found))
    try:
        return Phases(*counts)
    except InputError as error:
        raise InputError(f"{folder}: no released challenge: {error}") from None


def _solution(folder: Path) -> np.ndarray | None:
    """A model's memberships (2m,), if they are given."""
    path = folder / SOLUTION
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    values = text.split(",")
    if not {*values} <= {"0", "1"}:
        raise InputError(f"{path}: expected a row of 0 and 1")
    return np.array([value == "1" for value in values])
