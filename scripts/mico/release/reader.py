"""A released challenge as a participant reads it: what its seeds or lists say, and its models.

Where its checksums are given, every file is verified before it is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from mico.challenge import splits
from mico.challenge.layout import LISTS, model_folder
from mico.challenge.phases import Phases
from mico.challenge.seeds import SPLIT_SEEDS, parse_seed
from mico.networks.architecture import Architecture, Parameters, read_parameters
from mico.support import digests
from mico.support.errors import InputError, shown


@dataclass(frozen=True)
class Disclosed:
    """The splits of M models as a release tells them; the first S are train models."""

    challenge: np.ndarray  # (M, 2m) int64, data-set indices
    trained: np.ndarray  # (S, N) bool: the train model's training set holds the record
    # By model, train models first, where that is given away: the records that it trained on besides
    # challenge points, in order; by seeds (n - m,), by lists any number.
    training: dict[int, np.ndarray]

    @cached_property
    def others(self) -> np.ndarray:
        """How many different records each of `training` has."""
        return np.array([len(np.unique(one)) for one in self.training.values()])


def read_splits(
    directory: Path, phases: Phases, records: int, n: int, m: int, checksums: Path | None = None
) -> Disclosed:
    """Read a challenge's seed files, or the lists in their place: who is what, as far as they say.

    Args:
        records: of the data set; n, m: of a training set, and of its challenge points.
        checksums: the challenge's, as `mico.release.writer` writes them; None verifies nothing.

    Raises:
        InputError: a file is missing, is not as its checksum says, or holds no seed, or no list.
    """
    listing = _Checksums(directory, checksums)
    challenge = np.empty((phases.models, 2 * m), np.int64)
    trained = np.zeros((phases.train, records), bool)
    training = {}
    for phase, model in phases.named():
        folder = directory / model_folder(phase, model)
        read = _by_lists if has_lists(folder) else _by_seeds
        challenge[model], own, others = read(listing, folder, phase == "train", records, n, m)
        if own is not None:
            trained[model, own] = True
        if others is not None:
            training[model] = others
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
        checksums: as for `read_splits`.

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


def has_lists(folder: Path) -> bool:
    """Whether a model comes with lists in the place of seeds."""
    return (folder / LISTS["seed_challenge"]).exists()


# Of a model its challenge points, of a train model all that it was trained on, and what it was
# trained on besides challenge points, as far as a release tells.
_Told = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def _by_seeds(
    listing: _Checksums, folder: Path, is_train: bool, records: int, n: int, m: int
) -> _Told:
    needed = SPLIT_SEEDS if is_train else ("seed_challenge",)
    seeds = {
        kind: parse_seed(_text(listing.verified(folder / kind)), str(folder / kind))
        for kind in SPLIT_SEEDS
        if kind in needed or (folder / kind).exists()
    }
    own = splits.split(records, n, m, seeds).training_set if is_train else None
    disclosed = "seed_training" in seeds
    others = splits.training_order(records, m, seeds)[: n - m] if disclosed else None
    return splits.challenge_order(records, seeds["seed_challenge"])[: 2 * m], own, others


def _by_lists(
    listing: _Checksums, folder: Path, is_train: bool, records: int, n: int, m: int
) -> _Told:
    points, trained = (folder / LISTS[kind] for kind in ("seed_challenge", "seed_training"))
    challenge = read_list(listing.verified(points), records)
    if len(np.unique(challenge)) != len(challenge) or len(challenge) != 2 * m:
        raise InputError(f"{points}: expected 2m = {2 * m} different positions")
    if not is_train and not trained.exists():
        return challenge, None, None
    training = read_list(listing.verified(trained), records)
    if is_train and len(training) != n:
        raise InputError(f"{trained}: {len(training)} positions, expected n = {n}")
    others = training[~np.isin(training, challenge)]
    return challenge, training if is_train else None, others


def read_list(path: Path, records: int) -> np.ndarray:
    """A row of positions in a data set of so many records, int64.

    Raises:
        InputError: it is missing or no such row.
    """
    values = [text for text in _text(path).split(",") if text]
    for text in values:
        if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < records):
            expected = f"expected positions from 0 to {records - 1}, and commas"
            raise InputError(f"{path}: {shown(text)}: {expected}")
    return np.array(values, np.int64)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
