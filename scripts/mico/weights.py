"""Trained models on disk: a shard's .npz on the organiser's side, a model.pt as published."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError

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
        with np.load(path, allow_pickle=False) as file:
            stacked = {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a shard of models ({error})") from None
    models = len(next(iter(stacked.values())))
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
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as a state dict ({reason})") from None
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in loaded.items()
    ):
        raise InputError(f"{path}: expected a state dict, names to tensors")
    return {name.removeprefix(OPACUS_PREFIX): value for name, value in loaded.items()}
