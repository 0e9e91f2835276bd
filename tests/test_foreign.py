"""What lies where a run makes a folder and is not its own is named before a job starts."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake.persistence.file import FilePersistence

from mico.challenge.phases import Phases
from mico.data import original_form, store
from mico.data.formats.cifar10_binary import MEAN, SHAPE, STD
from mico.data.store import Description
from mico.release import prediction_files
from mico.support.private import TIMESTAMP
from mico.workflow import foreign, start
from mico.workflow.plan import Plan

ROOT = Path(__file__).parents[1]
RESULTS = "results/tiny"
CHALLENGE = f"{RESULTS}/challenge/shopping/shopping_inf"
PREDICTIONS = f"{RESULTS}/predictions/lira/ddp/shopping_ddp"
SHARD = f"{RESULTS}/private/S1/models/3-5"
DATA, EXPORT = f"{RESULTS}/data/shopping", f"{RESULTS}/exports/shopping"
PAGES, DETAILED = f"{RESULTS}/attack_pages", f"{RESULTS}/detailed_results/shopping"
EVERY = (CHALLENGE, PREDICTIONS, SHARD, DATA, EXPORT, PAGES, DETAILED)


@pytest.fixture(scope="module")
def plan() -> Plan:
    given = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
    return start.planned(given, [], [], ROOT, look=False)[1]


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(*parts: str) -> None:
    path = Path(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


@pytest.fixture
def made(challenges: dict) -> None:
    """One folder of each kind as the programs write it, marked as Snakemake marks it."""
    shutil.copytree(challenges["plain"].directory, CHALLENGE)
    rows = np.full((7, 20), 0.5)
    prediction_files.write(Path(PREDICTIONS), Phases(3, 2, 2), rows, "a note")
    shutil.copytree(challenges["plain"].organiser / "0-4", SHARD)
    for model, now in ((0, None), (1, None), (2, None), (4, "5"), (3, "4")):
        folder = Path(SHARD, f"model_{model}")
        folder.rename(Path(SHARD, f"model_{now}")) if now else shutil.rmtree(folder)
    bits, labels = np.zeros((6, 2), np.uint8), np.zeros(6, np.uint8)
    description = Description("shopping", 6, 9, 2, True, "test")
    tokenizer = {"tokenizer.json": "{}", "tokenizer_config.json": "{}"}
    store.write(Path(DATA), description, bits, labels, tokenizer)
    original_form.write(Path(EXPORT), store.read(Path(DATA)))
    write(PAGES, "lira.html")
    write(DETAILED, "lira/detailed_results.html")
    write(DETAILED, "zip-0123456789abcdef0123/scores_dev.txt")
    write(DETAILED, "zip-0123456789abcdef0123/scores_final.txt")
    for folder in EVERY:
        Path(folder, TIMESTAMP).touch()


def contents() -> dict[str, bytes]:
    paths = [path for path in Path().rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths}


def refused(plan: Plan) -> str:
    """The line, for which nothing has changed."""
    before = contents()
    line = foreign.found(plan, RESULTS)
    assert line is not None
    assert len(line.splitlines()) == 1
    assert contents() == before
    return line


def test_every_folder_that_a_rule_makes_is_looked_at(plan: Plan) -> None:
    rules = [path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")]
    # A challenge is made by two rules: of models that are trained, and of a release that is given.
    assert sum(text.count("directory(") for text in rules) == len(EVERY) + 1
    patterns = [
        one for text in rules for one in re.findall(r'directory\("<results>/(.*?)"\)', text)
    ]
    assert len(set(patterns)) == len(EVERY)
    known = [re.compile(re.sub(r"\{\w+\}", "[^/]+", pattern)) for pattern in patterns]
    found = [folder.removeprefix(f"{RESULTS}/") for folder, _ in foreign.folders(plan, RESULTS)]
    assert len(found) == len(set(found))
    for pattern in known:
        assert any(pattern.fullmatch(folder) for folder in found), pattern
    for folder in found:
        assert any(pattern.fullmatch(folder) for pattern in known), folder
    # Scenarios' shards and challenges, participants' challenges, tracks.
    assert len(found) == 1 + 1 + 2 * 3 + 2 + (6 * 2 + 2) + 1 + 2


@pytest.mark.usefixtures("made")
def test_what_the_programs_write_is_the_runs(plan: Plan) -> None:
    assert foreign.found(plan, RESULTS) is None
    # What is of no folder that a job makes is nobody's business here, such as a killed job's.
    write(RESULTS, "notes.txt")
    write(CHALLENGE, "../.shopping_inf.host.12.partial/train/model_0/model.pt")
    assert foreign.found(plan, RESULTS) is None


def test_images_for_the_original_kit_are_the_runs(plan: Plan) -> None:
    pixels, labels = np.zeros((6, 3072), np.uint8), np.zeros(6, np.uint8)
    about = {"shape": SHAPE, "mean": MEAN, "std": STD}
    description = Description("p", 6, 3072, 2, True, "t", "images", **about)
    store.write(Path("pictures"), description, pixels, labels)
    original_form.write(Path(EXPORT), store.read(Path("pictures")))
    Path(EXPORT, TIMESTAMP).touch()
    assert foreign.found(plan, RESULTS) is None


def test_models_of_text_are_the_runs(plan: Plan) -> None:
    for file in "config.json", "model.safetensors":
        write(CHALLENGE, "dev/model_4", file)
        write(SHARD, "model_4", file)
    for folder in CHALLENGE, SHARD:
        Path(folder, TIMESTAMP).touch()
    assert foreign.found(plan, RESULTS) is None


def test_nothing_is_of_no_account(plan: Plan) -> None:
    assert foreign.found(plan, RESULTS) is None
    Path(CHALLENGE, "train", "model_0").mkdir(parents=True)
    assert foreign.found(plan, RESULTS) is None


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("folder", EVERY)
def test_a_folder_of_the_right_names_without_a_mark_is_foreign(plan: Plan, folder: str) -> None:
    """As a release that somebody unpacks there is."""
    Path(folder, TIMESTAMP).unlink()
    assert re.match(rf"{folder}: holds no \{TIMESTAMP}, .*: move it elsewhere$", refused(plan))


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        *((folder, "notes.txt") for folder in EVERY),
        *((folder, "mine/deep/notes.txt") for folder in EVERY),
        *((folder, ".notes") for folder in EVERY),
        (CHALLENGE, "prediction.csv"),
        (CHALLENGE, "dev/model_4/prediction.csv"),
        (CHALLENGE, "dev/model_4/solution.csv"),
        (CHALLENGE, "dev/model_4/seed_membership"),
        (CHALLENGE, "train/model_0/model.pt.bak"),
        (CHALLENGE, "train/model_x/model.pt"),
        (CHALLENGE, "train/model.pt"),
        (CHALLENGE, f"train/{TIMESTAMP}"),
        (CHALLENGE, "../shopping_inf/model_0/model.pt"),
        (SHARD, "model_6/model.pt"),
        (SHARD, "model_5/solution.csv"),
        (PREDICTIONS, "dev/model_4/note.txt"),
        (PREDICTIONS, "dev/model_4/line\nbreak"),
        (DATA, "features.csv"),
        (EXPORT, "cifar10/data_batch_1"),
        (PAGES, "notes.html"),
        (DETAILED, "alice/scores_dev.txt"),
        (DETAILED, "lira/scores.txt"),
        (DETAILED, "detailed_results.html"),
    ],
)
def test_a_file_of_another_name_is_foreign(plan: Plan, folder: str, name: str) -> None:
    write(folder, name)
    told = repr(name.removeprefix("../shopping_inf/"))
    assert refused(plan).startswith(f"{folder}: holds {told}, expected only what this run has made")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("folder", EVERY)
@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_link_in_the_place_of_a_folder_is_foreign(plan: Plan, folder: str, target: str) -> None:
    if target == "elsewhere":
        shutil.move(folder, target)
    else:
        shutil.rmtree(folder)
    Path(folder).symlink_to(Path(target).absolute())
    assert refused(plan).startswith(f"{folder}: is a link, expected")


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("name", ["dev", "dev/model_3", "dev/model_3/model.pt"])
def test_a_link_in_a_folder_is_foreign(plan: Plan, name: str) -> None:
    shutil.move(f"{CHALLENGE}/{name}", "elsewhere")
    Path(CHALLENGE, name).symlink_to(Path("elsewhere").absolute())
    assert refused(plan).startswith(f"{CHALLENGE}: holds '{name}', expected")


def test_results_may_lie_behind_a_link(plan: Plan) -> None:
    Path("scratch/tiny").mkdir(parents=True)
    Path("results").symlink_to("scratch")
    write(PAGES, "lira.html")
    Path(PAGES, TIMESTAMP).touch()
    assert foreign.found(plan, RESULTS) is None


def test_a_release_behind_a_link_is_not_the_runs_although_another_run_has_marked_it() -> None:
    theirs = "results/other/challenge/shopping"
    for model in "train/model_0", "train/model_1", "dev/model_2", "final/model_3":
        write(theirs, "shopping_inf", model, "model.pt")
    Path(theirs, "shopping_inf", TIMESTAMP).touch()
    Path(CHALLENGE).parent.parent.mkdir(parents=True)
    Path(CHALLENGE).parent.symlink_to(Path(theirs).absolute())
    given = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
    given["scenarios"] = [given["scenarios"][0] | {"released": f"{theirs}/shopping_inf"}]
    given |= {"target_references": {"scenarios": []}, "submissions": {"path": "inbox"}}
    plan = start.planned(given, [], [], ROOT, look=False)[1]
    assert foreign.found(plan, RESULTS) == (
        f"{CHALLENGE}: is a release that is given, expected it elsewhere than in the run"
    )


def test_a_file_in_the_place_of_a_folder_is_foreign(plan: Plan) -> None:
    write(CHALLENGE)
    assert refused(plan).startswith(f"{CHALLENGE}: is a file, expected")


def test_a_folder_that_cannot_be_read_is_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    write(PAGES, "lira.html")

    def scandir(path: str) -> Iterator[os.DirEntry]:
        if path.startswith(PAGES):
            raise PermissionError(13, "Permission denied", path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(foreign.os, "scandir", scandir)
    assert foreign.found(plan, RESULTS) == f"{PAGES}/: cannot be read (Permission denied)"


def test_pages_of_earlier_attacks_are_the_runs(plan: Plan) -> None:
    write(PAGES, "removed.html")
    Path(PAGES, TIMESTAMP).touch()
    assert "holds 'removed.html'" in refused(plan)
    Path(RESULTS, "predictions/removed").mkdir(parents=True)
    assert foreign.found(plan, RESULTS) is None


def test_what_a_run_that_was_killed_has_half_deleted_is_the_runs(plan: Plan) -> None:
    """Its mark may be what went first. Once jobs have ended, nothing is half deleted."""
    write(CHALLENGE, "train/model_0/model.pt")
    Path(CHALLENGE, TIMESTAMP).touch()
    write(PAGES, "lira.html")
    foreign.note(plan, RESULTS)
    Path(CHALLENGE, TIMESTAMP).unlink()
    for _ in range(2):  # the second run was killed as well, before it came so far
        assert f"{PAGES}: holds no {TIMESTAMP}" in refused(plan)
        Path(PAGES, TIMESTAMP).touch()
        assert foreign.found(plan, RESULTS) is None
        Path(PAGES, TIMESTAMP).unlink()
        foreign.note(plan, RESULTS)
    write(CHALLENGE, "notes.txt")
    assert "holds 'notes.txt'" in refused(plan)
    Path(CHALLENGE, "notes.txt").unlink()
    foreign.forget(RESULTS)
    assert f"{CHALLENGE}: holds no {TIMESTAMP}" in refused(plan)
    foreign.forget(RESULTS)


def test_a_first_run_has_nothing_to_note(plan: Plan) -> None:
    foreign.note(plan, RESULTS)
    assert not Path("results").exists()


@pytest.fixture
def begin() -> Callable[[str], None]:
    """Note an output as Snakemake itself does when its job starts."""

    def note(folder: str) -> None:
        persistence = FilePersistence.__new__(FilePersistence)
        persistence._max_len = persistence._incomplete_cache = None
        persistence._incomplete_path = os.path.abspath(foreign.BEGUN)
        os.makedirs(foreign.BEGUN, exist_ok=True)
        persistence._mark_incomplete(folder, None)

    return note


@pytest.mark.parametrize("run", ["tiny", "long" * 25])
def test_what_a_killed_job_left_is_the_runs(
    plan: Plan, begin: Callable[[str], None], run: str
) -> None:
    """It has no mark yet. A long name is noted in several parts."""
    results = f"results/{run}{'/x' * 40 if run != 'tiny' else ''}"
    folder = f"{results}/challenge/shopping/shopping_inf"
    write(folder, "train/model_0/model.pt")
    begin(f"{results}/challenge/ddp/shopping_ddp")
    assert foreign.found(plan, results) is not None
    begin(folder)
    assert foreign.found(plan, results) is None
    write(folder, "notes.txt")
    assert foreign.found(plan, results) is not None
