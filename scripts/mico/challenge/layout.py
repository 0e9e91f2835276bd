"""The published layout: which folder a model has, and which files lie in it.

    <track>/<challenge>/<phase>/model_<i>/
        model.pt or other files     the model, as its network writes it
        seed_challenge, ...         the seeds that its phase discloses; where no seed gives its
                                    split, challenge.csv and training.csv, lists in their place
        solution.csv                the memberships, in train only
        prediction.csv              in a submission, and instead of all the others

Paths are strings with slashes, which are names in a .zip too.
"""

from collections.abc import Collection

from mico.challenge.phases import PHASES
from mico.challenge.seeds import SPLIT_SEEDS

MODEL = "model.pt"
SOLUTION = "solution.csv"
PREDICTION = "prediction.csv"
# What stands in the place of a seed where no seed gives the split: a row of positions in the data
# set. That of the members is in the solution, and has none.
LISTS = {"seed_challenge": "challenge.csv", "seed_training": "training.csv"}
# The phases whose models are attacked: their memberships are secret, and submissions hold them.
ATTACKED = PHASES[1:]


def model_name(model: int) -> str:
    """The name of a model's folder, wherever it is."""
    return f"model_{model}"


def model_folder(phase: str, model: int) -> str:
    """A model's folder below that of its challenge."""
    return f"{phase}/{model_name(model)}"


def seed_files(phase: str, disclosed: Collection[str] = ()) -> list[str]:
    """The seed files of a phase: all three in train, else the challenge's and those disclosed."""
    return [
        kind
        for kind in SPLIT_SEEDS
        if phase == "train" or kind == "seed_challenge" or kind in disclosed
    ]


def list_files(phase: str, disclosed: Collection[str] = ()) -> list[str]:
    """The lists that stand in the place of a phase's seed files."""
    return [LISTS[kind] for kind in seed_files(phase, disclosed) if kind in LISTS]
