"""A shard's training so far, on disk, so that a job that was killed goes on where it was.

It is a folder beside the shard: in models/model_<i>/ the finished models, each written once and in
the form in which it is released; in state.npz all else. It bears the name of the process that
writes there. A job takes over what another left, and one that lives on unattended and has lost its
folder stops, so that no two write in the same.
"""

import glob
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mico.challenge import model_table
from mico.challenge.layout import model_name
from mico.challenge.model_table import DIGEST, IDENTITY
from mico.networks.architecture import Architecture, StateDict
from mico.support import digests
from mico.support.atomic import atomic_directory, atomic_file, link_or_copy, move_directory, remove
from mico.support.errors import InputError
from mico.training.engine import State

MODELS, STATE = "models", "state.npz"


@dataclass
class Checkpoint:
    """Models that are finished, and where those that come next stand."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # what is reported of each
    state: State | None = None
    seconds: float = 0.0  # spent on the models in `state`


def take(shard: Path, job: str, device: torch.device) -> tuple[Path, Checkpoint]:
    """The folder of this process, with what there is of this very job; else it is empty.

    Args:
        shard: the directory that the models will be; job: as `write` was given it.
    """
    own = shard.with_name(f".{shard.name}.{socket.gethostname()}.{os.getpid()}.checkpoint")
    found = shard.parent.glob(f".{glob.escape(shard.name)}.*.checkpoint")
    taken = None
    for folder in sorted(found, key=lambda folder: (folder != own, folder.name)):
        if taken:
            remove(folder)
            continue
        try:
            folder.rename(own)
        except FileNotFoundError:  # another process was faster
            continue
        taken = _read(own, job, device)
        if not taken:
            remove(own)
    (own / MODELS).mkdir(parents=True, exist_ok=True)
    return own, taken or Checkpoint()


def add(
    folder: Path,
    checkpoint: Checkpoint,
    row: dict[str, Any],
    architecture: Architecture,
    state_dict: StateDict,
    private: bool,
) -> None:
    """Write a finished model, which counts as soon as the checkpoint is written.

    Args:
        row: what is reported of it, its number as `model` and its identity; a hash of its files
            is added. private: it was trained with DP.
    """
    model = folder / MODELS / model_name(row["model"])
    with _held(folder), atomic_directory(model) as temporary:
        architecture.write_model(temporary, state_dict, private)
    checkpoint.rows.append(row | {DIGEST: _digest(model)})


def adopt(folder: Path, checkpoint: Checkpoint, shard: Path, wanted: Mapping[int, str]) -> None:
    """Take over finished models of other shards, which were other ranges of the same models.

    Args:
        folder: of this process, with nothing trained yet; shard: the directory that the models
            will be; wanted: the identity of each model.
    """
    for table in sorted(shard.parent.glob("*-*.csv")):
        if table.with_suffix("") == shard:
            continue
        for row in _rows(table):
            model, source = row["model"], table.with_suffix("") / model_name(row["model"])
            known = {one["model"] for one in checkpoint.rows}
            if model in known or row.get(IDENTITY) != wanted.get(model, ""):
                continue
            if source.is_dir() and _digest(source) == row.get(DIGEST):
                with _held(folder), atomic_directory(folder / MODELS / source.name) as temporary:
                    for file in source.iterdir():
                        link_or_copy(file, temporary / file.name)
                checkpoint.rows.append(row)


def _rows(table: Path) -> list[dict[str, Any]]:
    """The rows of a finished shard's models; none of a table that is not one, or is damaged."""
    try:
        return [{**row, "model": model} for model, row in model_table.read(table).items()]
    except InputError:
        return []


def write(folder: Path, job: str, checkpoint: Checkpoint) -> None:
    """Write all but the finished models.

    Args:
        job: identifies what is trained and how, to the last detail.
    """
    state = checkpoint.state
    arrays: dict[str, Any] = {}
    if state:
        arrays["weights"] = state.weights.cpu().numpy()
        arrays["optimizer"] = state.optimizer.cpu().numpy()
    about = {
        "job": job,
        "rows": checkpoint.rows,
        "epochs": state.epochs if state else None,
        "steps": state.steps if state else None,
        "seconds": checkpoint.seconds,
    }
    with _held(folder), atomic_file(folder / STATE) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)


def finish(folder: Path, shard: Path) -> None:
    """Make the models the shard, in one step; then the checkpoint is gone."""
    with _held(folder):
        move_directory(folder / MODELS, shard)
        shutil.rmtree(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Refuse to write where another job has taken over."""
    try:
        if not folder.is_dir():
            raise FileNotFoundError
        yield
    except FileNotFoundError:
        raise InputError(f"{folder}: gone, a later job trains the same models") from None


def _read(folder: Path, job: str, device: torch.device) -> Checkpoint | None:
    """What `write` and `add` wrote; nothing if it is not whole, or of another job."""
    path, models = folder / STATE, folder / MODELS
    if folder.is_dir() and not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "about"}
        if about["job"] != job:
            return None
        checkpoint = _decoded(about, arrays, device)
        kept = {model_name(row["model"]) for row in checkpoint.rows}
        for row in checkpoint.rows:
            if _digest(models / model_name(row["model"])) != row[DIGEST]:
                raise ValueError(f"model {row['model']} is damaged")
        for entry in models.iterdir():
            if entry.name not in kept:  # of a job that was killed before it counted
                remove(entry)
    except Exception as error:  # what zip and numpy raise depends on which bytes are wrong
        reason = (str(error) or type(error).__name__).splitlines()[0]
        print(f"{path}: not a checkpoint ({reason}), starting anew", file=sys.stderr)
        return None
    return checkpoint


def _decoded(
    about: Mapping[str, Any], arrays: Mapping[str, Tensor], device: torch.device
) -> Checkpoint:
    state = None
    if about["epochs"] is not None:
        held, optimizer = (arrays[name].to(device) for name in ("weights", "optimizer"))
        state = State(about["epochs"], held, optimizer, about["steps"])
    return Checkpoint(about["rows"], state, about["seconds"])


def _digest(folder: Path) -> str:
    """A hash of a folder's files and their names."""
    return digests.of_folder({path.name: digests.of_file(path) for path in folder.iterdir()})
