"""A release that somebody else made, in the published layout: read, and never written to.

Its models may have any numbers: of a part of a release some are missing. The pipeline numbers them
through from 0, train first, in a tree of links.
"""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mico.challenge.layout import ATTACKED, SOLUTION, model_folder, seed_files
from mico.challenge.phases import PHASES, Phases
from mico.challenge.split_file import Splits
from mico.networks.facts import Facts
from mico.release import folders, reader
from mico.release.folders import Models
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError, shown


def link(folder: Path, directory: Path, facts: Facts, disclosed: Collection[str]) -> None:
    """Make a challenge of links to what a participant may see of a release, numbered through.

    Links are absolute if the release's path is, so that what is moved together stays together.

    Args:
        folder: of the release; directory: to write.
        facts: of the network, which say what the files of a model are called.
        disclosed: seeds that dev and final give away besides seed_challenge.

    Raises:
        InputError: a file is missing.
    """
    numbers = folders.models(folder)
    with atomic_directory(directory) as temporary:
        place = 0
        for phase in PHASES:
            for number in numbers[phase]:
                source = folder / model_folder(phase, number)
                target = Path(model_folder(phase, place))
                (temporary / target).mkdir(parents=True)
                wanted = [*seed_files(phase, disclosed), *facts.found(source)]
                for name in [*wanted, *([SOLUTION] if phase == "train" else [])]:
                    if not (source / name).is_file():
                        raise InputError(f"{source / name}: missing")
                    path = source / name
                    if not path.is_absolute():
                        path = Path(os.path.relpath(path, directory / target))
                    (temporary / target / name).symlink_to(path)
                place += 1


def solution(folder: Path, m: int | None = None) -> np.ndarray:
    """A model's memberships (2m,) bool from its solution.csv.

    Args:
        m: how many members there are among 2m points; None for any number.

    Raises:
        InputError: it is missing, or is no row of 0 and 1, or of other numbers of them.
    """
    path = folder / SOLUTION
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read ({reason})") from None
    values = text.split(",")
    if not {*values} <= {"0", "1"}:
        raise InputError(f"{path}: {shown(text)}: expected a row of 0 and 1")
    if m is not None and (len(values), values.count("1")) != (2 * m, m):
        reason = f"{values.count('1')} members among {len(values)}, expected {m} among {2 * m}"
        raise InputError(f"{path}: {reason}")
    return np.array([value == "1" for value in values])


def splits(directory: Path, phases: Phases, records: int, n: int, m: int) -> Splits:
    """Who trained on what, as a challenge tells it: nothing is a member of dev and final models.

    Args:
        directory: of the challenge; records: of the data set.

    Raises:
        InputError: a file is missing, or a train model's solution is not the one of its seeds.
    """
    told = reader.read_seeds(directory, phases, records, n, m)
    membership = np.zeros(told.challenge.shape, bool)
    for model in phases.of("train"):
        folder = directory / model_folder("train", model)
        membership[model] = solution(folder, m)
        if not np.array_equal(membership[model], told.trained[model, told.challenge[model]]):
            raise InputError(f"{folder / SOLUTION}: not the members that the seeds beside it give")
    trained = np.zeros((phases.models, records), bool)
    trained[: phases.train] = told.trained
    return Splits(told.challenge.astype(np.int32), membership, trained)


def solutions(folder: Path, numbers: Models, m: int) -> np.ndarray:
    """The memberships (dev + final models, 2m) bool of the models that are attacked.

    Args:
        folder: of `<phase>/model_<i>/solution.csv`; numbers: of the release's models.

    Raises:
        InputError: one is missing or is none.
    """
    return np.stack(
        [
            solution(folder / model_folder(phase, number), m)
            for phase in ATTACKED
            for number in numbers[phase]
        ]
    )
