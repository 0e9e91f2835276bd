"""Checkpoints of the transformers library, by a folder or their name on the hub."""

import os
from pathlib import Path

KIND = "transformers/"  # of an architecture that is given by its checkpoint


def files(architecture: str) -> list[Path]:
    """The configuration and the weights that training begins with, if they are in a folder."""
    folder = Path(architecture.removeprefix(KIND))
    if not architecture.startswith(KIND) or not folder.is_dir():
        return []
    return sorted([*folder.glob("config.json"), *folder.glob("*.safetensors*")])


def public(architecture: str) -> str:
    """An architecture as others are told of it."""
    if not architecture.startswith(KIND):
        return architecture
    return KIND + without_place(architecture.removeprefix(KIND))


def without_place(checkpoint: str) -> str:
    """A checkpoint's name; of a folder only its own, not where it lies on this machine."""
    if not os.path.isdir(checkpoint):
        return checkpoint
    return os.path.basename(os.path.realpath(checkpoint))
