"""A run that attacks a release as somebody else made it: the scores are those of its own run."""

import hashlib
import os
import shutil
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from workflow_runs import files, planned, snakemake, start, warm

import mico
from mico.challenge import split_file
from mico.challenge.layout import ATTACKED, SOLUTION, model_folder
from mico.challenge.phases import Phases
from mico.release import writer
from mico.scoring import entries

PHASES = Phases(4, 2, 1)
KEY = ["scenario", "participant", "phase"]
CHALLENGES = {"S1": "shopping/shopping_inf", "SD": "ddp/shopping_ddp"}


def state(folder: Path) -> str:
    """A hash of all that is in a folder, with times and the number of names of each file."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found.update(f"{path} {about.st_mode} {about.st_mtime_ns} {about.st_ctime_ns}".encode())
        found.update(f"{about.st_ino} {about.st_nlink}".encode())
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest()


@pytest.fixture(scope="module")
def theirs(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny run's challenges as published, and its solutions, in a folder of somebody else."""
    folder = tmp_path_factory.mktemp("theirs")
    hidden = shutil.ignore_patterns(".*")
    for id, challenge in CHALLENGES.items():
        shutil.copytree(tiny / "challenge" / challenge, folder / challenge, ignore=hidden)
        membership = split_file.read(tiny / f"private/{id}/splits.npz").membership
        for phase in ATTACKED:
            for model in PHASES.of(phase):
                of_model = folder / "solutions" / id / model_folder(phase, model)
                of_model.mkdir(parents=True)
                (of_model / SOLUTION).write_bytes(writer.row(membership[model]))
    return folder


def configured(checkout: Path, theirs: Path, run: str, solved: bool = False) -> str:
    """A configuration of the tiny run with its challenges as they were released."""
    config = yaml.safe_load((checkout / "tiny.yaml").read_text())
    config["run"] = run
    # Only what is needed to train models would tell them.
    config["models"] = {"train": 9, "dev": 9, "final": 9}
    for scenario in config["scenarios"]:
        scenario["released"] = str(theirs / CHALLENGES[scenario["id"]])
        if solved:
            scenario["solutions"] = str(theirs / "solutions" / scenario["id"])
    path = checkout / f"{run}.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path.name


def scores(results: Path) -> pd.DataFrame:
    """The scores of built-in attacks."""
    found = pd.read_csv(results / "scores.csv")
    return found[found.participant != "Ann"].set_index(KEY).sort_index()


def test_scores_are_those_of_the_run_that_released_it(
    checkout: Path, tiny: Path, theirs: Path
) -> None:
    """Train to the last digit by solution.csv; dev and final once a participant hands them in."""
    before = state(theirs)
    given = configured(checkout, theirs, "given")
    output = snakemake(checkout, "--cores", "2", "--configfile", given)
    assert "rule train:" not in output
    results = checkout / "results/given"
    ours, known = scores(results), scores(tiny)
    train = known[known.index.get_level_values("phase") == "train"]
    assert len(train) == 14  # of eight attacks, two in one scenario each
    pd.testing.assert_frame_equal(ours, train, check_exact=True)
    assert not planned(snakemake(checkout, "-n", "--configfile", given))
    assert state(theirs) == before
    report = (results / "report.html").read_text()
    assert report.count("Somebody else released its models") == 2
    assert "<strong>not known</strong>" in report
    assert str(theirs) not in report
    assert str(theirs) not in (results / "run.json").read_text()
    assert list(mico.load_run(results).challenge("shopping_inf").phases) == ["train"]
    assert not (results / "scoreboard").exists()
    # What would tell of memberships that are not known is not made on demand either.
    for file in "scoreboard/shopping.html", "detailed_results/shopping", "bundles/shopping.zip":
        asked = snakemake(checkout, "-n", f"{results}/{file}", "--configfile", given, fails=True)
        assert "MissingRuleException" in asked
    # What an attack predicts is taken as a submission to the run that knows the solutions.
    packed = results / "submissions/stacked/shopping.zip"
    inbox = checkout / "inbox/shopping/Ann"
    inbox.mkdir(parents=True)
    shutil.copy(packed, inbox)
    arguments = ("--configfile", "tiny.yaml", "--config", "submissions={path: inbox}")
    snakemake(checkout, "--cores", "2", *arguments)
    (path,) = (tiny / "entries/shopping").glob("zip-*.json")
    submitted, own = entries.read(path), entries.read(tiny / "entries/shopping/stacked.json")
    assert not submitted.problems
    assert not submitted.ignored
    attacked = [row | {"participant": "Ann"} for row in own.scores if row["phase"] != "train"]
    assert submitted.scores == attacked

    # With the solutions all scores are equal. What was attacked is not attacked again.
    given = configured(checkout, theirs, "given", solved=True)
    jobs = planned(snakemake(checkout, "--dry-run", "--configfile", given))
    assert not {"attack", "signals", "given_challenge"} & jobs.keys()
    snakemake(checkout, "--cores", "2", "--configfile", given)
    pd.testing.assert_frame_equal(scores(results), scores(tiny), check_exact=True)
    for track, attack in ("shopping", "stacked"), ("ddp", "references"):
        entry = f"entries/{track}/{attack}.json"
        assert (results / entry).read_bytes() == (tiny / entry).read_bytes()
    assert (results / "scoreboard/shopping.html").exists()
    assert state(theirs) == before
    # A solution that changes is another score, and the attacks are not run again.
    path = theirs / "solutions/S1/final/model_6" / SOLUTION
    path.write_text(",".join(reversed(path.read_text().strip().split(","))) + "\r\n")
    jobs = planned(snakemake(checkout, "-n", "--configfile", given))
    assert jobs["given_splits"] == 1
    assert jobs["score"] == 7
    path.write_text(",".join(reversed(path.read_text().strip().split(","))) + "\r\n")


@pytest.mark.parametrize("seconds", [4, 8, 12])
def test_a_kill_leaves_a_release_as_it_is(
    checkout: Path, tiny: Path, theirs: Path, seconds: float
) -> None:
    before = state(theirs)
    given = configured(checkout, theirs, "killed")
    process = start(checkout, "--cores", "2", "--configfile", given, jobs=warm())
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert state(theirs) == before
    snakemake(checkout, "--unlock", "--configfile", given)


def test_what_is_damaged_is_named_and_left(checkout: Path, tiny: Path, theirs: Path) -> None:
    """Weights, seeds and folders that are wrong, and a configuration that is: one line each."""
    own = theirs.parent / "damaged"
    shutil.copytree(theirs, own)
    given = configured(checkout, own, "damaged")
    weights = own / "shopping/shopping_inf/dev/model_4/model.pt"
    weights.write_bytes(weights.read_bytes()[:-100])
    before = state(own)
    target = ("results/damaged/signals/shopping/shopping_inf.npz", "--cores", "2")
    output = snakemake(checkout, *target, "--configfile", given, fails=True)
    assert "dev/model_4/model.pt: cannot be read as a state dict" in output
    assert state(own) == before
    weights.unlink()
    before = state(own)
    output = snakemake(checkout, *target, "--configfile", given, fails=True)
    assert "dev/model_4/model.pt: missing" in output
    assert state(own) == before
    # The release in the place of the pipeline's own challenges.
    place = checkout / "results/damaged/challenge/shopping"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(theirs / "shopping", place)
    content = yaml.safe_load((checkout / given).read_text())
    content["scenarios"][0]["released"] = str(place / "shopping_inf")
    (checkout / given).write_text(yaml.safe_dump(content, sort_keys=False))
    before = files(place)
    output = snakemake(checkout, "--cores", "2", "--configfile", given, fails=True)
    assert "the run is made in results/damaged, expected what lies elsewhere" in output
    assert files(place) == before
