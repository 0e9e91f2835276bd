"""A shard's training so far, on disk, so that a job that was killed goes on where it was."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mico.atomic import atomic_file
from mico.training import State
from mico.weights import StateDict


@dataclass
class Checkpoint:
    """Models that are finished, in order, and where those that come next stand."""

    state_dicts: list[StateDict] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)  # what is reported of each
    state: State | None = None
    seconds: float = 0.0  # spent on the models in `state`


def write(path: Path, job: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; `job` identifies what is trained and how, to the last detail."""
    arrays = {
        f"model/{number}/{name}": value.numpy()
        for number, state_dict in enumerate(checkpoint.state_dicts)
        for name, value in state_dict.items()
    }
    state = checkpoint.state
    if state:
        arrays |= {
            "weights": state.weights.cpu().numpy(),
            "optimizer": state.optimizer.cpu().numpy(),
        }
    about = {
        "job": job,
        "rows": checkpoint.rows,
        "epochs": state.epochs if state else None,
        "steps": state.steps if state else None,
        "seconds": checkpoint.seconds,
    }
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, about=np.array(json.dumps(about)), **arrays)


def read(path: Path, job: str, device: torch.device) -> Checkpoint:
    """Read what `write` wrote; an empty checkpoint where there is none of this very job."""
    if not path.exists():
        return Checkpoint()
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = {name: torch.from_numpy(file[name]) for name in file.files if name != "about"}
        return _decoded(about, arrays, device) if about["job"] == job else Checkpoint()
    except Exception as error:  # what zip and numpy raise depends on which bytes are wrong
        reason = (str(error) or type(error).__name__).splitlines()[0]
        print(f"{path}: not a checkpoint ({reason}), starting anew", file=sys.stderr)
        return Checkpoint()


def _decoded(
    about: Mapping[str, Any], arrays: Mapping[str, Tensor], device: torch.device
) -> Checkpoint:
    state_dicts: list[StateDict] = [{} for _ in about["rows"]]
    for name, value in arrays.items():
        if name.startswith("model/"):
            _, number, parameter = name.split("/")
            state_dicts[int(number)][parameter] = value
    state = None
    if about["epochs"] is not None:
        weights, optimizer = (arrays[name].to(device) for name in ("weights", "optimizer"))
        state = State(about["epochs"], weights, optimizer, about["steps"])
    return Checkpoint(state_dicts, about["rows"], state, about["seconds"])
