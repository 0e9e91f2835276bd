"""Which models lie in the folder of a release; a workflow that is planned looks, too."""

import os
from collections import Counter
from pathlib import Path

from mico.challenge.layout import ATTACKED, SOLUTION, model_folder, model_name
from mico.challenge.phases import PHASES, Phases
from mico.support.errors import InputError

Models = dict[str, list[int]]


def models(folder: Path) -> Models:
    """The numbers of a release's models by phase, in order.

    Raises:
        InputError: a phase's folder is missing or holds too few models, or two models have the same
            number.
    """
    found: Models = {}
    for phase in PHASES:
        inside = folder / phase
        try:
            folders = [entry.name for entry in os.scandir(inside) if entry.is_dir()]
        except OSError as error:
            raise InputError(f"{inside}: cannot be read ({error.strerror})") from None
        names = [name for name in folders if not name.startswith(".")]  # notebooks leave some
        numbers = {name: name.removeprefix(model_name(0)[:-1]) for name in names}
        for name, number in numbers.items():
            if not (number.isascii() and number.isdecimal() and name == model_name(int(number))):
                raise InputError(f"{inside / name}: expected {model_name(0)} or another number")
        found[phase] = sorted(map(int, numbers.values()))
    every = Counter(number for numbers in found.values() for number in numbers)
    twice = next((number for number, times in every.items() if times > 1), None)
    if twice is not None:
        raise InputError(f"{folder}: {model_name(twice)} is in two phases")
    try:
        counts(found)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
    return found


def check_solutions(folder: Path, numbers: Models) -> None:
    """Look for the solution of every model that is attacked.

    Args:
        folder: of `<phase>/model_<i>/solution.csv`; numbers: of the release's models.

    Raises:
        InputError: one is missing.
    """
    for phase in ATTACKED:
        for number in numbers[phase]:
            path = folder / model_folder(phase, number) / SOLUTION
            if not path.is_file():
                raise InputError(f"{path}: missing")


def counts(numbers: Models) -> Phases:
    """How many models each phase has.

    Raises:
        InputError: too few.
    """
    found = Phases(*(len(numbers[phase]) for phase in PHASES))
    if min(found.dev, found.final) < 1:
        raise InputError(f"{found}: expected at least 1 dev and 1 final model")
    return found
