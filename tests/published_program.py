"""A participant's program, as those of the competition are: it knows the published form only.

It walks a track with `os.listdir` and takes whatever it finds there for a challenge, a model or a
model's file. So it stops at anything else.
"""

import csv
import os
import zipfile
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

PHASES = ("train", "dev", "final")
OF_ALL = {"model.pt", "seed_challenge"}
OF_TRAIN = OF_ALL | {"seed_training", "seed_membership", "solution.csv"}


class Unexpected(Exception):
    """Something in a folder that is not as published."""


def attack(track: Path, submission: Path, hidden: Collection[str] = ()) -> list[str]:
    """Write a prediction.csv beside each model, pack those of dev and final; the challenges.

    Args:
        hidden: names that are passed over in a challenge's folder.
    """
    challenges = sorted(os.listdir(track))
    folders = []
    for challenge in challenges:
        phases = set(os.listdir(track / challenge)) - set(hidden)
        _expect(track / challenge, phases, [set(PHASES)])
        number = 0
        for phase in PHASES:
            top = track / challenge / phase
            for name in sorted(os.listdir(top), key=_number):
                if name != f"model_{number}":
                    raise Unexpected(top / name)
                number += 1
                _predict(top / name, phase)
                if phase != "train":
                    folders.append(f"{challenge}/{phase}/{name}")
    with zipfile.ZipFile(submission, "w", zipfile.ZIP_DEFLATED) as packed:
        for folder in folders:
            packed.write(track / folder / "prediction.csv", f"{track.name}/{folder}/prediction.csv")
    return challenges


def _number(name: str) -> int:
    kind, _, number = name.partition("_")
    if kind != "model" or not number.isdecimal():
        raise Unexpected(name)
    return int(number)


def _expect(folder: Path, found: set[str], expected: list[set[str]]) -> None:
    if found not in expected:
        raise Unexpected(folder, found)


def _predict(folder: Path, phase: str) -> None:
    """Read all that is given of a model, and write as many numbers as a model has points."""
    # The DP distinguisher's models give their training sets away.
    expected = [OF_TRAIN] if phase == "train" else [OF_ALL, OF_ALL | {"seed_training"}]
    _expect(folder, set(os.listdir(folder)), expected)
    state = torch.load(folder / "model.pt", weights_only=True)
    if not all(name.removeprefix("_module.").startswith("mlp.") for name in state):
        raise Unexpected(folder / "model.pt")
    seed = int((folder / "seed_challenge").read_text())
    first = folder.parents[1] / "train" / "model_0" / "solution.csv"
    points = len(next(csv.reader(first.read_text().splitlines())))
    with (folder / "prediction.csv").open("w", newline="") as file:
        csv.writer(file).writerow(np.random.default_rng(seed).random(points))
