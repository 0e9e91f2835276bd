"""The organiser's way out: what a participant may see, in the published form, and nothing else."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mico import weights
from mico.atomic import atomic_directory, atomic_file
from mico.phases import Phases
from mico.seeds import SPLIT_SEEDS, Seeds
from mico.weights import StateDict


def disclosed_seeds(phase: str, disclosed: Iterable[str]) -> list[str]:
    """The seed files of a phase: all three for train, else the challenge and what is disclosed."""
    return [
        kind
        for kind in SPLIT_SEEDS
        if phase == "train" or kind == "seed_challenge" or kind in disclosed
    ]


def write(
    directory: Path,
    phases: Phases,
    seeds: Seeds,
    membership: np.ndarray,
    state_dicts: Iterable[StateDict],
    disclosed: Iterable[str],
    private: bool,
) -> None:
    """Write a challenge: {train,dev,final}/model_i with a model.pt and what the phase discloses.

    Args:
        seeds: of all models; membership: (models, 2m) bool; state_dicts: of all models, in order.
        disclosed: seeds that dev and final give away besides seed_challenge.
        private: the models were trained with DP.
    """
    with atomic_directory(directory) as temporary:
        for (phase, model), state_dict in zip(phases.named(), state_dicts, strict=True):
            folder = temporary / phase / f"model_{model}"
            folder.mkdir(parents=True)
            weights.write_model(folder / "model.pt", state_dict, private)
            for kind in disclosed_seeds(phase, disclosed):
                (folder / kind).write_text(f"{seeds[model][kind]}\n")
            if phase == "train":
                (folder / "solution.csv").write_bytes(solution(membership[model]))


def solution(membership: np.ndarray) -> bytes:
    """A model's memberships (2m,) as the competition wrote them: one row of 0 and 1, CR LF."""
    return (",".join(str(int(value)) for value in membership) + "\r\n").encode()


def write_checksums(directory: Path, path: Path) -> None:
    """Write the SHA-256 of every file, as `sha256sum --check` reads it beside the directory."""
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    with atomic_file(path) as temporary, temporary.open("w") as sums:
        for file in files:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            sums.write(f"{digest}  {file.relative_to(path.parent).as_posix()}\n")
