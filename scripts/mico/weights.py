"""Trained models on disk as published: a folder of a model.pt, or of what transformers loads."""

import zipfile
from pathlib import Path

import torch
from torch import Tensor

from mico.architecture import Architecture, Parameters
from mico.command_line import InputError

StateDict = dict[str, Tensor]
OPACUS_PREFIX = "_module."
STATE_DICT = ("model.pt",)
TRANSFORMER = ("config.json", "model.safetensors")
FORMS = (STATE_DICT, TRANSFORMER)  # a model's files, sorted


def files(architecture: Architecture) -> tuple[str, ...]:
    """The files of a model of this network: one of `FORMS`."""
    from mico.transformer import Transformer

    return TRANSFORMER if isinstance(architecture, Transformer) else STATE_DICT


def write_model(
    folder: Path, architecture: Architecture, state_dict: StateDict, private: bool
) -> None:
    """Write a model's files into a folder that is there; the same weights give the same bytes.

    Args:
        private: the model was trained with DP.
    """
    if files(architecture) == TRANSFORMER:
        from mico import transformer

        transformer.write_model(folder, architecture, state_dict)
    else:
        write_state_dict(folder / "model.pt", state_dict, private)


def read_model(folder: Path, architecture: Architecture) -> Parameters:
    """Read a model as parameters with a leading dimension of 1.

    Raises:
        InputError: the file is missing, corrupt or of another architecture.
    """
    if files(architecture) == TRANSFORMER:
        from mico import transformer

        path, state_dict = folder / "model.safetensors", transformer.read_model(folder)
    else:
        path = folder / "model.pt"
        state_dict = read_state_dict(path)
    try:
        return architecture.from_state_dicts([state_dict])
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def write_state_dict(path: Path, state_dict: StateDict, private: bool) -> None:
    """Write a published model.pt: DP models carry the prefix that Opacus gave their keys.

    The file is opened here, so that torch does not write its name, and thus always the same bytes.
    """
    prefix = OPACUS_PREFIX if private else ""
    whole = {
        prefix + name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in state_dict.items()
    }
    with path.open("wb") as file:
        torch.save(whole, file)


def read_state_dict(path: Path) -> StateDict:
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
