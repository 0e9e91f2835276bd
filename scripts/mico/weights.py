"""Trained models on disk: a shard's .npz on the organiser's side, a model.pt as published."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mico.atomic import atomic_file
from mico.command_line import InputError

StateDict = dict[str, Tensor]
OPACUS_PREFIX = "_module."


def write_shard(path: Path, state_dicts: Sequence[StateDict]) -> None:
    """Write the models of a shard as stacked arrays (models, *shape), one per parameter."""
    names = state_dicts[0]
    stacked = {name: torch.stack([one[name] for one in state_dicts]).numpy() for name in names}
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **stacked)


def read_shard(path: Path) -> list[StateDict]:
    """Read what `write_shard` wrote.

    Raises:
        InputError: the file is not a whole shard.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            stacked = {name: torch.from_numpy(file[name]) for name in file.files}
        models = len(next(iter(stacked.values())))
    except Exception as error:  # what zip and numpy raise depends on which bytes are wrong
        raise InputError(f"{path}: not a shard of models ({_reason(error)})") from None
    return [{name: value[model] for name, value in stacked.items()} for model in range(models)]


def write_model(path: Path, state_dict: StateDict, private: bool) -> None:
    """Write a published model.pt: DP models carry the prefix that Opacus gave their keys.

    The file is opened here, so that torch does not write its name, and thus always the same bytes.
    """
    prefix = OPACUS_PREFIX if private else ""
    with path.open("wb") as file:
        torch.save({prefix + name: value.clone() for name, value in state_dict.items()}, file)


def read_model(path: Path) -> StateDict:
    """Read a model.pt without unpickling anything but tensors; the prefix of Opacus is removed.

    Raises:
        InputError: the file is missing, corrupt, or holds anything but named tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load compares no checksums
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what torch's unpickler raises depends on which bytes are wrong
        raise InputError(f"{path}: cannot be read as a state dict ({_reason(error)})") from None
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise InputError(f"{path}: expected a state dict, names to tensors")
    for name, value in loaded.items():
        if value.dtype != torch.float32 or not value.isfinite().all():
            raise InputError(f"{path}: {name}: expected finite float32 numbers")
    return {name.removeprefix(OPACUS_PREFIX): value for name, value in loaded.items()}


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
