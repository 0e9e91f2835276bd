"""A participant's predictions as published: model_i/prediction.csv, one row of 2m numbers."""

import csv
from pathlib import Path

import numpy as np

from mico.atomic import atomic_directory
from mico.command_line import InputError
from mico.phases import Phases


def to_predictions(scores: np.ndarray) -> np.ndarray:
    """Scores (M, 2m) mapped to [0, 1] by rank among all: one increasing map, ties stay ties.

    Raises:
        ValueError: a score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("a score is not a number")
    distinct, rank = np.unique(scores, return_inverse=True)
    return rank.reshape(scores.shape) / max(len(distinct) - 1, 1)


def write(directory: Path, phases: Phases, predictions: np.ndarray) -> None:
    """Write {train,dev,final}/model_i/prediction.csv for all models.

    Args:
        predictions: (models, 2m) in [0, 1], in challenge order.
    """
    with atomic_directory(directory) as temporary:
        for phase, model in phases.named():
            folder = temporary / phase / f"model_{model}"
            folder.mkdir(parents=True)
            row = ",".join(repr(float(value)) for value in predictions[model])
            (folder / "prediction.csv").write_text(row + "\n")


def read(directory: Path, phases: Phases, count: int) -> np.ndarray:
    """Read the predictions (models, count) of all models.

    Raises:
        InputError: a missing file, or one that is not one row of `count` numbers in [0, 1].
    """
    return np.stack(
        [
            _read_row(directory / phase / f"model_{model}" / "prediction.csv", count)
            for phase, model in phases.named()
        ]
    )


def _read_row(path: Path, count: int) -> np.ndarray:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    if len(rows) != 1 or len(rows[0]) != count:
        found = f"one row of {len(rows[0])}" if len(rows) == 1 else f"{len(rows)} rows"
        raise InputError(f"{path}: {found}, expected one row of {count} numbers")
    values = np.empty(count)
    for column, text in enumerate(rows[0]):
        try:
            values[column] = float(text)
        except ValueError:
            values[column] = np.nan
        if not 0 <= values[column] <= 1:
            raise InputError(f"{path}: value {column + 1} is {text!r}, expected a number in [0, 1]")
    return values
