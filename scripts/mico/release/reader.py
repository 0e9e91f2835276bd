"""A released challenge as a participant reads it: what its seeds say, and its models.

Where its checksums are given, every file is verified before it is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mico.challenge import splits
from mico.challenge.layout import model_folder, seed_files
from mico.challenge.phases import Phases
from mico.challenge.seeds import SPLIT_SEEDS, parse_seed
from mico.networks.architecture import Architecture, Parameters, read_parameters
from mico.support import digests
from mico.support.errors import InputError


@dataclass(frozen=True)
class Disclosed:
    """The splits of M models as released seeds tell them; the first S are train models."""

    challenge: np.ndarray  # (M, 2m) int64, data-set indices
    trained: np.ndarray  # (S, N) bool: the train model's training set holds the record
    # By model, where seed_training is given away: the (n - m,) records that it trained on besides
    # challenge points, in order.
    training: dict[int, np.ndarray]


def read_seeds(
    directory: Path, phases: Phases, records: int, n: int, m: int, checksums: Path | None = None
) -> Disclosed:
    """Read a challenge's seed files, and split the data set as they say.

    Args:
        records: of the data set; n, m: of a training set, and of its challenge points.
        checksums: the challenge's, as `mico.release.writer` writes them; None verifies nothing.

    Raises:
        InputError: a seed file is missing, is not as its checksum says, or holds no seed.
    """
    listing = _Checksums(directory, checksums)
    challenge = np.empty((phases.models, 2 * m), np.int64)
    trained = np.zeros((phases.train, records), bool)
    training = {}
    for phase, model in phases.named():
        folder = directory / model_folder(phase, model)
        needed = seed_files(phase)
        seeds = {
            kind: _read_seed(listing.verified(folder / kind))
            for kind in SPLIT_SEEDS
            if kind in needed or (folder / kind).exists()
        }
        if phase == "train":
            trained[model, splits.split(records, n, m, seeds).training_set] = True
        challenge[model] = splits.challenge_order(records, seeds["seed_challenge"])[: 2 * m]
        if "seed_training" in seeds:
            training[model] = splits.training_order(records, m, seeds)[: n - m]
    return Disclosed(challenge, trained, training)


def models(
    directory: Path,
    phases: Phases,
    architecture: Architecture,
    device: torch.device,
    checksums: Path | None = None,
) -> Iterator[Parameters]:
    """All released models in order, each as parameters with a leading dimension of 1.

    Args:
        checksums: as for `read_seeds`.

    Raises:
        InputError: a released file is missing, corrupt, of another architecture, or not as its
            checksum says.
    """
    listing = _Checksums(directory, checksums)
    for phase, model in phases.named():
        folder = directory / model_folder(phase, model)
        for name in architecture.facts.found(folder):
            listing.verified(folder / name)
        parameters = read_parameters(folder, architecture)
        yield {name: value.to(device) for name, value in parameters.items()}


class _Checksums:
    """The listing of a released challenge, if there is one."""

    def __init__(self, directory: Path, path: Path | None) -> None:
        self._directory, self._path = directory, path
        self._sums = digests.read_listing(path) if path else {}

    def verified(self, path: Path) -> Path:
        """The path of a file that is as listed.

        Raises:
            InputError: it is another, or is missing.
        """
        if self._path:
            name = path.relative_to(self._directory.parent).as_posix()
            remedy = f"delete {self._directory} and {self._path}, and run again"
            digests.verify(path, self._sums.get(name), self._path, remedy)
        return path


def _read_seed(path: Path) -> int:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    return parse_seed(text, str(path))
