"""A release that somebody else made: read as it is, numbered through, and never written to."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from tiny_configuration import configuration
from tiny_configuration import run as checked
from workflow_runs import files

from mico.challenge import split_file
from mico.challenge.layout import ATTACKED, MODEL, PREDICTION, SOLUTION, model_folder
from mico.challenge.phases import PHASES, Phases
from mico.networks.facts import networks
from mico.networks.model_files import read_state_dict
from mico.networks.transformer import BUFFERS
from mico.release import folders, given_release, prediction_files, writer
from mico.scoring import scorer
from mico.scoring.entries import Entry
from mico.support.errors import InputError
from mico.workflow import jobs, outside
from mico.workflow.plan import make, public

MLP = networks()["mlp"]
TEXT = Path(__file__).parent / "data/text_model"
# Where the numbers of a part of a release begin.
GAPS = {"train": 3, "dev": 100, "final": 150}


@pytest.fixture
def release(challenges: dict, tmp_path: Path) -> Path:
    """A challenge of 3, 2 and 2 models as somebody else has it: some of its models are missing."""
    folder = tmp_path / "theirs/challenge"
    phases = challenges["plain"].phases
    for phase in PHASES:
        for place, model in enumerate(phases.of(phase)):
            source = challenges["plain"].directory / model_folder(phase, model)
            shutil.copytree(source, folder / model_folder(phase, GAPS[phase] + 2 * place))
    return folder


def test_models_are_found_by_their_numbers(release: Path) -> None:
    (release / "README.md").touch()
    (release / "train/notes.txt").touch()
    (release / "train/.ipynb_checkpoints").mkdir()
    found = folders.models(release)
    assert found == {"train": [3, 5, 7], "dev": [100, 102], "final": [150, 152]}
    assert folders.counts(found) == Phases(3, 2, 2)
    # By their numbers, and not by their names.
    (release / "train/model_7").rename(release / "train/model_70")
    (release / "train/model_5").rename(release / "train/model_9")
    assert folders.models(release)["train"] == [3, 9, 70]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "train: cannot be read (No such file"),
        (lambda folder: shutil.rmtree(folder / "dev"), "dev: cannot be read (No such file"),
        (
            lambda folder: [shutil.rmtree(path) for path in folder.glob("final/*")],
            "final=0): expected at least 1 dev and 1 final model",
        ),
        (
            lambda folder: (folder / "dev/model_100").rename(folder / "dev/model_5"),
            "model_5 is in two phases",
        ),
        *(
            (
                lambda folder, name=name: (folder / "dev/model_100").rename(folder / "dev" / name),
                f"dev/{name}: expected model_0 or another number",
            )
            for name in ("model_", "model_01", "model_-1", "model_x", "model_²", "other")
        ),
    ],
)
def test_what_is_no_release_is_refused(
    release: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(release)
    with pytest.raises(InputError) as refused:
        folders.models(release)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_challenge_of_links(
    release: Path,
    challenges: dict,
    absolute: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds what our own does, and what a participant must not see is left out."""
    monkeypatch.chdir(tmp_path)
    (release / "dev/model_100" / SOLUTION).write_text("1,0\n")
    (release / "dev/model_100/seed_membership").write_text("5\n")
    (release / "dev/model_100/seed_training").write_text("5\n")
    before = files(release), outside.state.__wrapped__(release)
    given = release if absolute else release.relative_to(tmp_path)
    made = Path("results/run/challenge/track/challenge")
    given_release.link(given, made, MLP, ())
    assert files(made) == {
        name: content
        for name, content in files(challenges["plain"].directory).items()
        if not name.startswith(".")
    }
    links = [path for path in made.rglob("*") if path.is_symlink()]
    assert len(links) == len(files(made))
    assert all(os.path.isabs(os.readlink(path)) == absolute for path in links)
    # What is moved together stays together.
    if not absolute:
        (tmp_path / "moved").mkdir()
        for part in "theirs", "results":
            shutil.move(part, "moved")
        assert files(Path("moved") / made)
        shutil.move("moved/theirs", "theirs")
        shutil.move("moved/results", "results")
    # To make it again, or to delete it, leaves the release alone.
    given_release.link(given, made, MLP, ())
    shutil.rmtree(made)
    assert (files(release), outside.state.__wrapped__(release)) == before


def test_seeds_that_are_disclosed_are_linked(release: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(InputError, match="dev/model_100/seed_training: missing"):
        given_release.link(release, made, MLP, ("seed_training",))
    assert not made.exists()
    for phase, numbers in folders.models(release).items():
        for number in numbers:
            (release / model_folder(phase, number) / "seed_training").write_text("7\n")
    given_release.link(release, made, MLP, ("seed_training",))
    assert {path.parts[-3] for path in made.rglob("seed_training")} == set(PHASES)


@pytest.mark.parametrize("name", [MODEL, "seed_challenge", SOLUTION, "seed_membership"])
def test_a_missing_file_is_named(release: Path, tmp_path: Path, name: str) -> None:
    (release / "train/model_5" / name).unlink()
    with pytest.raises(InputError, match=f"theirs/challenge/train/model_5/{name}: missing"):
        given_release.link(release, tmp_path / "made", MLP, ())
    assert not (tmp_path / "made").exists()


def test_splits_are_those_of_the_organiser(
    release: Path, challenges: dict, call: Callable[..., None], tmp_path: Path
) -> None:
    own = challenges["plain"]
    theirs = split_file.read(own.organiser / "splits.npz")
    made, written = tmp_path / "made", tmp_path / "splits.npz"
    call(
        "given_challenge",
        *("--release", release, "--architecture", "mlp", "--disclosed"),
        *("--output", made, "--checksums", tmp_path / "made.sha256"),
    )
    arguments = (
        *("--challenge", made, "--data", own.data.directory, "--n", own.n, "--m", own.m),
        *("--phases", *astuple(own.phases), "--release", release, "--output", written),
    )
    call("given_splits", *arguments)
    ours = split_file.read(written)
    train = own.phases.train
    assert np.array_equal(ours.challenge, theirs.challenge)
    assert np.array_equal(ours.membership[:train], theirs.membership[:train])
    assert np.array_equal(ours.trained[:train], theirs.trained[:train])
    assert not ours.membership[train:].any()
    # With solutions, which have the numbers of the release.
    numbers = folders.models(release)
    solutions = tmp_path / "solutions"
    for phase in ATTACKED:
        for number, model in zip(numbers[phase], own.phases.of(phase), strict=True):
            folder = solutions / model_folder(phase, number)
            folder.mkdir(parents=True)
            (folder / SOLUTION).write_bytes(writer.row(theirs.membership[model]))
    call("given_splits", *arguments, "--solutions", solutions)
    assert np.array_equal(split_file.read(written).membership, theirs.membership)
    (solutions / "final/model_152" / SOLUTION).unlink()
    with pytest.raises(InputError, match=r"final/model_152/solution\.csv: cannot be read"):
        call("given_splits", *arguments, "--solutions", solutions)
    # Solutions that are of other seeds.
    swapped = ",".join(
        "10"[value == "1"]
        for value in (made / "train/model_1" / SOLUTION).read_text().strip().split(",")
    )
    (release / "train/model_5" / SOLUTION).write_text(swapped)
    with pytest.raises(InputError, match=r"train/model_1/solution\.csv: not the members that"):
        call("given_splits", *arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a row of 0 and 1"),
        ("0,1,2", "expected a row of 0 and 1"),
        ("é", "cannot be read"),
        ("0,1,1", "2 members among 3, expected 2 among 4"),
        ("0,1,1,1", "3 members among 4, expected 2 among 4"),
    ],
)
def test_solutions_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / SOLUTION).write_text(text)
    with pytest.raises(InputError, match=said):
        given_release.solution(tmp_path, 2)
    (tmp_path / SOLUTION).write_text("1,0,0,1\r\n")
    assert given_release.solution(tmp_path, 2).tolist() == [True, False, False, True]


def test_older_files_of_weights_stand_in(tmp_path: Path) -> None:
    facts = networks()["roberta-tiny"]
    assert facts.found(TEXT) == ["config.json", "pytorch_model.bin"]
    assert facts.found(tmp_path) == ["config.json", "model.safetensors"]
    shutil.copytree(TEXT, tmp_path / "both")
    (tmp_path / "both/model.safetensors").touch()
    assert facts.found(tmp_path / "both") == ["config.json", "model.safetensors"]
    weights = read_state_dict(TEXT / "pytorch_model.bin", BUFFERS)
    assert "roberta.embeddings.word_embeddings.weight" in weights
    assert not any("position_ids" in name for name in weights)
    with pytest.raises(InputError, match="position_ids: expected finite float"):
        read_state_dict(TEXT / "pytorch_model.bin")


def test_counts_are_those_of_the_release(release: Path, tmp_path: Path) -> None:
    first = configuration()["scenarios"][0] | {"released": str(release)}
    references = {"count": 4, "train_models": 2, "shard_size": 2, "scenarios": []}
    plan = make(checked(scenarios=[first], target_references=references), look=False)
    assert plan.phases == [3, 2, 2]
    assert plan.ranked == plan.packed == []
    assert plan.model_rows({}) == []
    names = [name for name, attack in plan.run.attacks.items() if plan.run.entered[name]]
    assert plan.handed_in == [(name, "shopping") for name in names]
    wildcards = {"track": "shopping", "participant": "threshold", "entry": "threshold"}
    assert json.loads(jobs.numbers_json(plan, wildcards)) == {
        "shopping_inf": {"dev": [100, 102], "final": [150, 152]}
    }
    assert "--unsolved shopping_inf" in jobs.entry_columns(plan, wildcards)
    told = public(plan.run.scenarios["S1"])
    assert told["released"] is True
    assert told["solved"] is False
    assert str(tmp_path) not in json.dumps(told)
    # With solutions there is a board.
    for model in release.glob("[df]*/*"):
        (model / SOLUTION).touch()
    solved = first | {"solutions": str(release)}
    plan = make(checked(scenarios=[solved], target_references=references), look=False)
    assert plan.ranked == ["shopping"]
    assert plan.handed_in == plan.packed == []
    assert "--unsolved" not in jobs.entry_columns(plan, wildcards)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"released": "{}/nowhere"}, "scenario S1: released: {}/nowhere/train: cannot be read"),
        ({"released": "{}"}, "train=3, dev=2, final=2), but the others of the run have"),
        ({"solutions": "{}"}, "scenario S1: solutions: expected null without released"),
        (
            {"released": "{}", "solutions": "{}"},
            "scenario S1: solutions: {}/dev/model_100/solution.csv: missing",
        ),
        (
            {"released": "{}", "solutions": "{}/.."},
            "scenario S1: solutions: {}/../dev/model_100/solution.csv: missing",
        ),
        ({"released": "{}", "null_run": True}, "null_run: expected false with released"),
        ({"released": 3}, "released: 3 is not of type 'string'"),
        ({"released": "a{b"}, "released: 'a{b': expected a path without braces"),
    ],
)
def test_configurations_that_are_refused(
    release: Path, fields: dict[str, object], said: str
) -> None:
    def filled(value: object) -> object:
        return value.replace("{}", str(release)) if isinstance(value, str) else value

    first, second = configuration()["scenarios"]
    own = first | {name: filled(value) for name, value in fields.items()}
    with pytest.raises(InputError) as refused:
        checked(scenarios=[own, second])
    assert said.replace("{}", str(release)) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_run_is_made_elsewhere(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does a release lie in the run's results, nor do these in a release."""
    first, second = configuration()["scenarios"]
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "results/tiny/challenge/shopping/shopping_inf"
    place.parent.mkdir(parents=True)
    (tmp_path / "link").symlink_to(place)
    release.rename(place)
    before = files(place)
    for given in place, place.relative_to(tmp_path), "link":
        with pytest.raises(InputError, match="the run is made in results/tiny, expected what lies"):
            checked(scenarios=[first | {"released": str(given)}, second])
    # Nor do solutions, nor what is given as outputs.
    theirs = first | {"released": str(tmp_path / "theirs"), "solutions": "results"}
    shutil.copytree(place, tmp_path / "theirs", dirs_exist_ok=True)
    with pytest.raises(InputError, match="solutions: results: the run is made in results/tiny"):
        checked(scenarios=[theirs])
    with pytest.raises(InputError, match="outputs: results/tiny: the run is made in results/tiny"):
        checked(scenarios=[{"id": "S1", "outputs": "results/tiny"}])
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop/train: cannot be read"):
        checked(scenarios=[first | {"released": "loop"}])
    monkeypatch.chdir(place)
    with pytest.raises(InputError, match=r"\.: the run is made in results/tiny"):
        checked(scenarios=[first | {"released": "."}, second])
    assert files(place) == before


def test_whatever_changes_in_a_release_is_seen(release: Path) -> None:
    state = outside.state.__wrapped__
    before = state(release)
    assert state(release) == before
    weights = release / "train/model_3" / MODEL
    about = weights.stat()
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns))
    changed = state(release)
    assert changed != before
    (release / "train/model_3/more").touch()
    assert state(release) not in (before, changed)


def predictions(models: int, points: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    membership = np.tile(np.arange(points) % 2 == 0, (models, 1))
    return (rng.random((models, points)) + membership) / 2, membership


def test_what_is_not_known_has_no_score() -> None:
    """The memberships of dev and final may be anything: only train is scored, as it always is."""
    scores, membership = predictions(7)
    phases = Phases(4, 2, 1)
    unknown = membership.copy()
    unknown[4:] = False
    found = {}
    for name, truth, solved in (("all", membership, True), ("train", unknown, False)):
        classes = np.zeros(truth.shape, int)
        challenge = scorer.Challenge("c", "s", "d", truth, classes, None, solved)
        found[name] = scorer.score(Entry("p", "t", builtin=True), phases, challenge, scores)
    rows = {name: {row["phase"]: row for row in one.scores} for name, one in found.items()}
    assert list(rows["all"]) == ["train", "dev", "final", "both"]
    assert list(rows["train"]) == ["train"]
    assert rows["train"]["train"] == rows["all"]["train"]
    assert found["train"].audit == {}
    by_model = found["train"].curves["c"]["train"]["models"]
    assert [list(tprs) for tprs in by_model.values()] == [["0", "1", "2", "3"]] * 2
    assert "models" not in found["all"].curves["c"]["train"]


def test_train_is_compared_where_it_is_all_that_is_known() -> None:
    scores, membership = predictions(7)
    phases = Phases(4, 2, 1)
    given = {"one": scores, "two": 1 - scores, "some": scores.copy()}
    given["some"][1] = np.nan
    entries = []
    for name, of_name in given.items():
        challenge = scorer.Challenge("c", "s", "d", membership, membership * 0, None, False)
        entry = Entry(name, "t", builtin=True)
        entries.append(scorer.score(entry, phases, challenge, of_name))
    pairs = scorer.comparisons(entries, ["c"])
    assert {row[2:4] for row in pairs} == {("one", "two")}  # who leaves out models is not compared
    for _, metric, _, _, difference, low, high in pairs:
        own = [next(iter(entry.scores))[metric] for entry in entries[:2]]
        assert difference == pytest.approx(own[0] - own[1], abs=1e-6)
        assert low <= difference <= high


def test_predictions_are_packed_under_published_numbers(tmp_path: Path) -> None:
    phases, (scores, _) = Phases(2, 2, 1), predictions(5)
    folder = tmp_path / "predictions/challenge"
    prediction_files.write(folder, phases, scores)
    numbers = {"challenge": {"dev": [100, 102], "final": [150]}}
    for name in "one.zip", "two.zip":
        prediction_files.pack(tmp_path / name, [folder], phases, numbers)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    expected = {"dev/model_100": 2, "dev/model_102": 3, "final/model_150": 4}
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        assert packed.namelist() == [f"challenge/{model}/{PREDICTION}" for model in expected]
        for model, row in expected.items():
            text = packed.read(f"challenge/{model}/{PREDICTION}").decode()
            assert [float(value) for value in text.split(",")] == scores[row].tolist()
    (folder / "dev/model_2" / PREDICTION).write_text("0.5\n")
    with pytest.raises(InputError, match="another SHA-256"):
        prediction_files.pack(tmp_path / "three.zip", [folder], phases, numbers)
    assert not (tmp_path / "three.zip").exists()
