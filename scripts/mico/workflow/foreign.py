"""What lies where the run makes a folder, and is not the run's: somebody's release, notes, a link.

Before a job starts, Snakemake deletes the folder that the job makes, with all that is in it. So
this is looked for before any job starts. What a folder may hold is known by its names, and that the
run made it by a mark of Snakemake's: in a finished one lies a file, and of one that was begun there
is a note elsewhere. While jobs run, a note of ours says which were finished, since a run that is
killed while it deletes one leaves half of it, perhaps without its mark.
"""

import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from mico.challenge.layout import (
    ATTACKED,
    PREDICTION,
    SOLUTION,
    list_files,
    model_name,
    seed_files,
)
from mico.challenge.phases import PHASES
from mico.challenge.scenario import Disclosable
from mico.data.original_form import BATCHES
from mico.networks.facts import networks
from mico.release.prediction_files import NOTE
from mico.support.atomic import atomic_file
from mico.support.digests import LISTING
from mico.support.errors import shown
from mico.support.private import TIMESTAMP
from mico.workflow.plan import Plan
from mico.workflow.submissions import ENTRY

BEGUN = ".snakemake/incomplete"  # where Snakemake notes the outputs of jobs that it has started
NOTED = ".finished_folders"  # in the folder of a run while its jobs run, and after it was killed


def found(plan: Plan, results: str) -> str | None:
    """A line on the first folder of the run's that holds something foreign; None if none does.

    Nothing is followed, changed or deleted. Folders without a file in them do not count.

    Args:
        results: the folder of the run, from the working directory.
    """
    noted = _noted(results)
    others = plan.released.values()
    given = {f"{results}/challenge/{one.track}/{one.challenge}" for one in others}
    released = {os.path.realpath(str(one.released)) for one in others}
    for folder, files in folders(plan, results):
        if os.path.realpath(folder) in released:  # by a link above it, and marked as another run's
            return f"{folder}: is a release that is given, expected it elsewhere than in the run"
        try:
            # A release that is given is kept as links to it.
            reason = _reason(folder, re.compile(files), folder in noted, folder in given)
        except FileNotFoundError:
            continue
        except OSError as error:
            return f"{error.filename}: cannot be read ({error.strerror})"
        if reason:
            return (
                f"{folder}: {reason}, expected only what this run has made, since it deletes the "
                "folder to make it anew: move it elsewhere"
            )
    return None


def note(plan: Plan, results: str) -> None:
    """Note which folders the run has finished, before its jobs delete any to make it anew."""
    every = [folder for folder, _ in folders(plan, results)]
    marked = {folder for folder in every if os.path.exists(f"{folder}/{TIMESTAMP}")}
    if own := sorted(marked | _noted(results)):
        with atomic_file(Path(results, NOTED)) as temporary:
            temporary.write_text("".join(f"{folder}\n" for folder in own), encoding="utf-8")


def forget(results: str) -> None:
    """Delete the note, when no job runs any more: what was made anew is marked."""
    Path(results, NOTED).unlink(missing_ok=True)


def _noted(results: str) -> set[str]:
    try:
        return set(Path(results, NOTED).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()


def folders(plan: Plan, results: str) -> Iterator[tuple[str, str]]:
    """Every folder that a job of the run makes, and a pattern of the paths of files in it."""
    for data in plan.datasets:
        yield f"{results}/data/{data}", STORED
    for data in plan.exported:
        yield f"{results}/exports/{data}", EXPORTED
    for scenario in plan.trained.values():
        for shard, path in zip(plan.shards(scenario), plan.shard_paths(scenario), strict=True):
            first, last = map(int, shard.split("-"))
            models = _one_of(map(model_name, range(first, last + 1)))
            yield path.replace("<results>", results), f"{models}/{_one_of(_model_files())}"
    for scenario in plan.run.scenarios.values():
        yield f"{results}/challenge/{scenario.track}/{scenario.challenge}", _released()
    for attacked in plan.challenges.values():
        where = f"{attacked.track}/{attacked.challenge}"
        for participant, scenarios in plan.run.entered.items():
            if attacked.id in scenarios:
                yield f"{results}/predictions/{participant}/{where}", PREDICTED
    attacks = _one_of({*plan.run.attacks, *_earlier(f"{results}/predictions")})
    yield f"{results}/attack_pages", rf"{attacks}\.html"
    for track in plan.tracks:
        yield f"{results}/detailed_results/{track}", f"(?:{ENTRY}|{attacks})/{DETAILED}"


# What lies in the folders, as patterns of paths


def _one_of(names: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, sorted(names)))})"


TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
STORED = _one_of(["features.npy", "labels.npy", "dataset.json", LISTING, *TOKENIZER])
BATCH = _one_of([*BATCHES, "batches.meta"])
EXPORTED = rf"README\.md|purchase100/dataset_purchase|cifar10/cifar-10-batches-py/{BATCH}"
MODEL = "model_[0-9]+"  # of a run with more models, too
PREDICTED = f"{_one_of(PHASES)}/{MODEL}/{re.escape(PREDICTION)}|{_one_of([NOTE, LISTING])}"
DETAILED = r"(?:detailed_results\.html|scores_(?:dev|final)\.txt)"


def _model_files() -> set[str]:
    """The files of a trained model, of whatever network."""
    every = networks().values()
    return {file for facts in every for file in [*facts.files, *facts.older.values()]}


def _released() -> str:
    disclosed, weights = get_args(Disclosable), _model_files()
    train = _one_of([*seed_files("train"), *list_files("train"), SOLUTION, *weights])
    told = [*seed_files(ATTACKED[0], disclosed), *list_files(ATTACKED[0], disclosed)]
    attacked = _one_of([*told, *weights])
    return f"train/{MODEL}/{train}|{_one_of(ATTACKED)}/{MODEL}/{attacked}"


def _earlier(predictions: str) -> list[str]:
    """Attacks that have predictions: the configuration may no longer have them, but pages do."""
    try:
        return os.listdir(predictions)
    except OSError:  # no run yet, or somebody's file: no job makes this folder
        return []


# What is foreign


def _reason(folder: str, files: re.Pattern[str], noted: bool, may_hold_links: bool) -> str | None:
    """Why what lies at a folder's place is not the run's; None if it is.

    Args:
        noted: it was the run's before the run was killed.

    Raises:
        FileNotFoundError: nothing lies there, or it has gone.
    """
    if os.path.islink(folder):
        return "is a link"
    if os.path.exists(folder) and not os.path.isdir(folder):
        return "is a file"
    is_empty, is_finished = True, False
    below = [""]
    while below:
        inside = below.pop()
        with os.scandir(f"{folder}/{inside}") as entries:
            for entry in entries:
                name = inside + entry.name
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{name}/")
                    continue
                is_empty = False
                if name == TIMESTAMP:
                    is_finished = True
                elif not files.fullmatch(name) or (entry.is_symlink() and not may_hold_links):
                    return f"holds {shown(name)}"
    if is_empty or is_finished or noted or _is_begun(folder):
        return None
    return f"holds no {TIMESTAMP}, by which Snakemake marks what it has made"


def _is_begun(folder: str) -> bool:
    """Whether Snakemake has started a job that makes a folder, and has not seen it end."""
    try:
        most = os.pathconf(BEGUN, "PC_NAME_MAX") - 1
    except OSError:
        return False
    # The name of Snakemake's note: in parts where it is too long for a file's, all but the last of
    # which are folders and begin with @.
    name = urlsafe_b64encode(folder.encode()).decode()
    *parts, last = (name[start : start + most] for start in range(0, len(name), most))
    return os.path.exists("/".join([BEGUN, *(f"@{part}" for part in parts), last]))
