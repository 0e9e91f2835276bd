"""A release that somebody else made, in the published layout: read, and never written to.

Its models may have any numbers: of a part of a release some are missing. The pipeline numbers them
through from 0, train first, in a tree of links.
"""

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mico.challenge.layout import ATTACKED, SOLUTION, list_files, model_folder, seed_files
from mico.challenge.phases import PHASES, Phases
from mico.challenge.split_file import Splits
from mico.networks.facts import Facts
from mico.release import folders, reader
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
                told = list_files if reader.has_lists(source) else seed_files
                wanted = [*told(phase, disclosed), *facts.found(source)]
                for name in [*wanted, *([SOLUTION] if phase == "train" else [])]:
                    if not (source / name).is_file():
                        raise InputError(f"{source / name}: missing")
                    path = source / name
                    if not path.is_absolute():
                        path = Path(os.path.relpath(path, directory / target))
                    (temporary / target / name).symlink_to(path)
                place += 1


def solution(folder: Path, m: int | None = None, by_lists: bool = False) -> np.ndarray:
    """A model's memberships (2m,) bool from its solution.csv.

    Args:
        m: how many members there are among 2m points; None for any number of points.
        by_lists: the challenge comes with lists, and may have any number of members.

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
    members = values.count("1")
    possible = range(1, len(values)) if by_lists else [m]
    if m is not None and (len(values) != 2 * m or members not in possible):
        expected = f"expected {'some' if by_lists else m} among {2 * m}"
        raise InputError(f"{path}: {members} members among {len(values)}, {expected}")
    return np.array([value == "1" for value in values])


def splits(directory: Path, phases: Phases, records: int, n: int, m: int) -> Splits:
    """Who trained on what, as a challenge tells it: nothing is a member of dev and final models.

    Args:
        directory: of the challenge; records: of the data set.

    Raises:
        InputError: a file is missing, or a train model's solution is not the one of its seeds or
            lists.
    """
    told = reader.read_splits(directory, phases, records, n, m)
    membership = np.zeros(told.challenge.shape, bool)
    for model in phases.of("train"):
        folder = directory / model_folder("train", model)
        membership[model] = solution(folder, m, by_lists := reader.has_lists(folder))
        if not np.array_equal(membership[model], told.trained[model, told.challenge[model]]):
            reason = f"not the members that the {'lists' if by_lists else 'seeds'} beside it give"
            raise InputError(f"{folder / SOLUTION}: {reason}")
    trained = np.zeros((phases.models, records), bool)
    trained[: phases.train] = told.trained
    return Splits(told.challenge.astype(np.int32), membership, trained)


def solutions(folder: Path, release: Path, m: int) -> np.ndarray:
    """The memberships (dev + final models, 2m) bool of a release's models that are attacked.

    Args:
        folder: of `<phase>/model_<i>/solution.csv`.

    Raises:
        InputError: one is missing or is none.
    """
    numbers = folders.models(release)
    names = [model_folder(phase, number) for phase in ATTACKED for number in numbers[phase]]
    return np.stack(
        [solution(folder / name, m, reader.has_lists(release / name)) for name in names]
    )
