"""Trained models on disk as the competition published them: a folder of a model.pt."""

import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from mico.challenge.layout import MODEL
from mico.networks.architecture import StateDict
from mico.support.errors import InputError

OPACUS_PREFIX = "_module."


class StateDictFile:
    """Reads and writes a model.pt: a base of the networks that are released as one."""

    def write_model(self, folder: Path, state_dict: StateDict, private: bool) -> None:
        """Write a model's file into a folder that is there; equal weights give equal bytes.

        Args:
            private: the model was trained with DP.
        """
        write_state_dict(folder / MODEL, state_dict, private)

    def read_model(self, folder: Path) -> StateDict:
        """Read the weights that `write_model` wrote.

        Raises:
            InputError: the file is missing or corrupt, or holds other than finite float32 numbers.
        """
        return read_state_dict(folder / MODEL)

    def describe(self, folder: Path) -> str:
        """A released model's number of parameters and their shapes, for the data card."""
        parameters = read_state_dict(folder / MODEL)
        shapes = ", ".join(f"`{name}` {tuple(value.shape)}" for name, value in parameters.items())
        count = sum(value.numel() for value in parameters.values())
        return f"{count:,} parameters: {shapes}"


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


def read_state_dict(
    path: Path, skipped: Collection[str] = (), of_any_type: Collection[str] = ()
) -> StateDict:
    """Read a model.pt without unpickling anything but tensors; the prefix of Opacus is removed.

    Args:
        skipped: the last parts of the names of tensors that are no weights.
        of_any_type: the names of tensors that may be other than finite float32 numbers.

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
    loaded = {
        name: value for name, value in loaded.items() if name.rpartition(".")[2] not in skipped
    }
    found = {}
    for name, value in loaded.items():
        own = name.removeprefix(OPACUS_PREFIX)
        is_weight = own not in of_any_type
        if not _is_plain(value) or (
            is_weight and (value.dtype != torch.float32 or not value.isfinite().all())
        ):
            raise InputError(f"{path}: {name}: expected finite float32 numbers")
        if own in found:
            raise InputError(f"{path}: {name}: expected it once, with {OPACUS_PREFIX!r} or without")
        found[own] = value
    return found


def _is_plain(value: Tensor) -> bool:
    """Whether a tensor's numbers are all there: not a sparse one, and none that stands for many."""
    if value.layout != torch.strided or value.device.type != "cpu":
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):  # torch advises to let the file do what it likes
        return "other than tensors in it, or damaged"
    return (str(error) or type(error).__name__).splitlines()[0]
