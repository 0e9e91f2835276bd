"""A participant's predictions in the published form: for each model one row of 2m numbers."""

import csv
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mico.challenge.layout import ATTACKED, PREDICTION, model_folder
from mico.challenge.phases import Phases
from mico.support import digests
from mico.support.atomic import atomic_directory, atomic_file
from mico.support.errors import InputError

NOTE = "note.txt"


def to_predictions(scores: np.ndarray) -> np.ndarray:
    """Scores (M, 2m) mapped to [0, 1] by rank among all: one increasing map, ties stay ties.

    The row of a model that is left out is not a number, and stays so.

    Raises:
        ValueError: some of a model's scores are not a number.
    """
    given = ~np.isnan(scores).all(axis=1)
    if np.isnan(scores[given]).any():
        raise ValueError("a score is not a number")
    distinct, rank = np.unique(scores[given], return_inverse=True)
    predictions = np.full(scores.shape, np.nan)
    predictions[given] = rank.reshape(-1, scores.shape[1]) / max(len(distinct) - 1, 1)
    return predictions


def write(directory: Path, phases: Phases, predictions: np.ndarray, note: str = "") -> None:
    """Write {train,dev,final}/model_i/prediction.csv for all models, the note if any, checksums.

    Args:
        predictions: (models, 2m) in [0, 1], in challenge order; rows of train models that are left
            out are not a number.
        note: what the attack did, as the end of a sentence that begins with its name.

    Raises:
        ValueError: a dev or final model is left out.
    """
    with atomic_directory(directory) as temporary:
        for phase, model in phases.named():
            if np.isnan(predictions[model]).all():
                if phase in ATTACKED:
                    raise ValueError(f"model {model} of {phase} has no predictions")
                continue
            folder = temporary / model_folder(phase, model)
            folder.mkdir(parents=True)
            row = ",".join(repr(float(value)) for value in predictions[model])
            (folder / PREDICTION).write_text(row + "\n", encoding="utf-8")
        if note:
            (temporary / NOTE).write_text(note + "\n", encoding="utf-8")
        digests.write_listing(temporary)


def read(directory: Path, phases: Phases, count: int) -> np.ndarray:
    """Read the predictions (models, count) of all models.

    A train model may be left out: its row is then not a number.

    Raises:
        InputError: a missing file, one that is not one row of `count` numbers in [0, 1], or one
            that is not as its checksum says.
    """
    digests.verify_folder(directory)
    rows = []
    for phase, model in phases.named():
        path = directory / model_folder(phase, model) / PREDICTION
        left_out = phase not in ATTACKED and directory.is_dir() and not path.parent.exists()
        rows.append(np.full(count, np.nan) if left_out else _read_row(path, count))
    return np.stack(rows)


def pack(
    path: Path,
    directories: Iterable[Path],
    phases: Phases,
    numbers: Mapping[str, Mapping[str, Sequence[int]]],
) -> None:
    """Write a submission: the predictions for the models that are attacked, as a .zip.

    Args:
        directories: of predictions, by the names of their challenges.
        numbers: challenge -> phase -> the numbers of its models in the submission, in order.

    Raises:
        InputError: a prediction is missing, or is not as its checksum says.
    """
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for directory in directories:
            digests.verify_folder(directory)
            for phase in ATTACKED:
                published = numbers[directory.name][phase]
                for model, number in zip(phases.of(phase), published, strict=True):
                    source = directory / model_folder(phase, model) / PREDICTION
                    name = f"{directory.name}/{model_folder(phase, number)}/{PREDICTION}"
                    # It has one time, so that equal predictions make equal bytes.
                    member = zipfile.ZipInfo(name)
                    packed.writestr(member, _content(source), zipfile.ZIP_DEFLATED)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def read_note(directory: Path) -> str:
    """The note beside the predictions; empty if there is none."""
    path = directory / NOTE
    return path.read_text(encoding="utf-8").removesuffix("\n") if path.exists() else ""


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
