"""Checkpoints of the transformers library, by a folder or their name on the hub."""

import os
from pathlib import Path

from mico.networks import factory
from mico.networks.facts import networks, parse


def files(architecture: str) -> list[Path]:
    """The configuration and the weights that training begins with, if they are in a folder."""
    checkpoint = _checkpoint(architecture)
    if not checkpoint or not (folder := Path(checkpoint)).is_dir():
        return []
    return sorted([*folder.glob("config.json"), *folder.glob("*.safetensors*")])


def public(architecture: str) -> str:
    """An architecture as others are told it: without the folder that a file of it lies in."""
    if parse(architecture)[0] == factory.FORM:
        return factory.parse(architecture).public
    checkpoint = _checkpoint(architecture)
    return architecture.removesuffix(checkpoint) + without_place(checkpoint)


def without_place(checkpoint: str) -> str:
    """A checkpoint's name; of a folder only its own, not where it lies on this machine."""
    if not os.path.isdir(checkpoint):
        return checkpoint
    return os.path.basename(os.path.realpath(checkpoint))


def _checkpoint(architecture: str) -> str:
    """The folder or name of the checkpoint that a network is given by; empty without one."""
    name, _, checkpoint = architecture.partition("/")
    facts = networks().get(name)
    return checkpoint if facts and facts.checkpoint else ""
