"""A training that was stopped goes on where it was, and ends with the same bits.

Kills and stops happen at a given checkpoint, not at a given time, so every run is the same.
"""

import csv
import json
import math
import pickle
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from recipes import recipe

import train as program
from mico.challenge import seeds
from mico.challenge.recipe import Optimisation, Recipe, TrainingOptions
from mico.data import store
from mico.networks import model_files
from mico.networks.mlp import MLP
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.support import tables
from mico.support.errors import InputError
from mico.support.private import TIMESTAMP
from mico.training import checkpoint
from mico.training.checkpoint import Checkpoint
from mico.training.engine import Records, State, train

SCRIPTS = Path(__file__).parents[1] / "scripts"
CPU = torch.device("cpu")
PLAIN = TrainingOptions(
    epochs=5,
    batch_size=5,
    optimizer="adam",
    learning_rate=0.01,
    lr_decay=0.5,
    lr_decay_epochs=2,
)
PRIVATE = replace(PLAIN, batch_size=3, clipping_norm=4.0, noise_multiplier=0.6)


# Training from a state


def copy(state: State) -> State:
    return replace(state, weights=state.weights.clone(), optimizer=state.optimizer.clone())


RECIPES: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"optimizer": "sgd"},
    "momentum": {
        "optimizer": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
        "lr_schedule": "cosine",
        "lr_decay": 1.0,
        "warmup_epochs": 1.5,
        "label_smoothing": 0.1,
    },
    "adamw": {
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "lr_schedule": "linear",
        "lr_decay": 1.0,
    },
}


@pytest.mark.parametrize("changes", RECIPES.values(), ids=list(RECIPES))
@pytest.mark.parametrize(
    "options",
    [PLAIN, PRIVATE, replace(PRIVATE, clipping="automatic")],
    ids=["plain", "private", "automatic"],
)
def test_training_goes_on_after_any_step_with_the_same_bits(
    options: TrainingOptions, changes: dict[str, Any]
) -> None:
    """Three models at once, through two decays of the learning rate; 23 records are no multiple."""
    rng = np.random.default_rng(1)
    features = rng.integers(0, 2, (80, 12), dtype=np.uint8)
    records = Records(
        torch.from_numpy(MLP(12, 6).encode(features)), torch.from_numpy(rng.integers(0, 6, 80))
    )
    sets = [rng.permutation(80)[:23] for _ in range(3)]
    options = replace(options, **changes)
    # 23 records in fives, and sampled by threes.
    steps = 8 if options.clipping_norm else 5

    def run(state: State | None) -> tuple[dict[str, torch.Tensor], list[State]]:
        states: list[State] = []

        def keep(state: State) -> None:
            states.append(copy(state))

        return train(MLP(12, 6), records, sets, [11, 12, 13], options, state, keep), states

    whole, states = run(None)
    places = [divmod(done, steps) for done in range(1, 5 * steps + 1)]
    assert [(state.epochs, state.steps) for state in states] == places
    for number, start in enumerate(states):
        resumed, rest = run(copy(start))
        assert [(state.epochs, state.steps) for state in rest] == places[number + 1 :]
        for name, value in whole.items():
            assert torch.equal(resumed[name], value), (places[number], name)
    for one, other in pairwise(states):
        assert not torch.equal(one.weights, other.weights)


# The folder

NETWORK = MLP(3, 2)


def random_models(count: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(2)
    shapes = NETWORK.shapes.items()
    drawn = {name: torch.randn(count, *shape, generator=generator) for name, shape in shapes}
    return NETWORK.to_state_dicts(drawn)


def example(optimizer: str = "adam", finished: int = 2) -> tuple[Checkpoint, list]:
    """A checkpoint without the finished models, two more of which are in training; and those."""
    rng = np.random.default_rng(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    rows = [
        {"model": 4, "training_accuracy": 1 / 3, "evaluation_accuracy": math.nan, "device": "cpu"},
        {"model": 5, "training_accuracy": 1.0, "evaluation_accuracy": 0.25, "device": "cpu"},
    ]
    state = State(7, random(2, 10), random(2 if optimizer == "adam" else 0, 2, 10), 3)
    models = list(zip(rows, random_models(2), strict=True))[:finished]
    return Checkpoint(state=state, seconds=0.1 + 0.2), models


def put(folder: Path, job: str, written: tuple[Checkpoint, list]) -> Checkpoint:
    """Write an example."""
    done, models = written
    for row, state_dict in models:
        checkpoint.add(folder, done, row, NETWORK, state_dict, private=True)
    checkpoint.write(folder, job, done)
    return done


def contents(saved: Checkpoint) -> tuple[object, ...]:
    """All that a checkpoint holds, to the bit, in a form that can be compared."""

    def bits(value: torch.Tensor) -> tuple[object, ...]:
        return value.dtype, tuple(value.shape), value.numpy().tobytes()

    state = saved.state
    where = state and (state.epochs, state.steps, bits(state.weights), bits(state.optimizer))
    return repr(saved.rows), where, saved.seconds


def files(folder: Path) -> dict[str, bytes]:
    """The contents of a folder, by path, without Snakemake's mark."""
    paths = sorted(folder.rglob("*"))
    paths = [path for path in paths if path.is_file() and path.name != TIMESTAMP]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def shard_path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "4-9"


def other_process(shard: Path, name: str = "elsewhere.77") -> Path:
    """The folder of another process."""
    return shard.with_name(f".4-9.{name}.checkpoint")


def leave(shard: Path, job: str = "job", name: str = "elsewhere.77", **changes: Any) -> Path:
    """What another process left: an example under its name."""
    folder, _ = checkpoint.take(shard, "nothing", CPU)
    put(folder, job, example(**changes))
    return folder.rename(other_process(shard, name))


@pytest.mark.parametrize(
    "written",
    [
        example("adam"),
        example("sgd"),
        (Checkpoint(), example()[1]),
        example(finished=0),
        (Checkpoint(), []),
    ],
    ids=["adam", "sgd", "between models", "in the first model", "empty"],
)
def test_a_checkpoint_is_read_as_it_was_written(
    capsys: pytest.CaptureFixture[str],
    shard_path: Path,
    written: tuple[Checkpoint, list],
) -> None:
    folder, nothing = checkpoint.take(shard_path, "job", CPU)
    assert nothing == Checkpoint()
    done = put(folder, "job", (replace(written[0], rows=[]), written[1]))
    before = files(folder)
    moved = folder.rename(other_process(shard_path))
    taken, found = checkpoint.take(shard_path, "job", CPU)
    assert contents(found) == contents(done)
    assert not moved.exists()
    assert taken == folder
    assert files(taken) == before
    names = {f"models/model_{row['model']}/model.pt" for row, _ in written[1]}
    assert before.keys() == {"state.npz", *names}
    assert capsys.readouterr().err == ""


def test_finished_models_are_in_their_published_form_and_become_the_shard(
    shard_path: Path, tmp_path: Path
) -> None:
    folder, _ = checkpoint.take(shard_path, "job", CPU)
    put(folder, "job", example())
    expected = {}
    for row, state_dict in example()[1]:
        model_files.write_state_dict(tmp_path / "model.pt", state_dict, True)
        expected[f"model_{row['model']}/model.pt"] = (tmp_path / "model.pt").read_bytes()
    assert files(folder / "models") == expected
    shard_path.mkdir()
    (shard_path / ".snakemake_timestamp").touch()
    checkpoint.finish(folder, shard_path)
    assert files(shard_path) == expected
    assert list(shard_path.parent.iterdir()) == [shard_path]


def test_no_checkpoint_or_one_of_another_job_is_an_empty_one_without_a_word(
    capsys: pytest.CaptureFixture[str], shard_path: Path
) -> None:
    for before in (
        lambda: None,
        lambda: leave(shard_path, "another job"),
        # Killed before the first.
        lambda: (leave(shard_path) / "state.npz").unlink(),
        # Of other models.
        lambda: leave(shard_path).rename(shard_path.with_name(".14-9.elsewhere.77.checkpoint")),
    ):
        before()
        folder, found = checkpoint.take(shard_path, "job", CPU)
        assert found == Checkpoint()
        assert files(folder) == {}
        assert not other_process(shard_path).exists()
    assert capsys.readouterr().err == ""


def test_of_several_checkpoints_one_is_taken_and_none_is_left(shard_path: Path) -> None:
    leave(shard_path, "another job", "a.1")
    left = leave(shard_path, "job", "b.2")
    # As it is while another job is at work.
    left.rename(shard_path.with_name("b"))
    leave(shard_path, "job", "c.3", finished=1)
    shard_path.with_name("b").rename(left)
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert [row["model"] for row in found.rows] == [4, 5]
    assert list(shard_path.parent.iterdir()) == [folder]


def test_what_did_not_count_yet_is_removed(shard_path: Path) -> None:
    """A model that was written but not noted, and one that was being written elsewhere."""
    folder = leave(shard_path)
    before = files(folder)
    for name in "model_6", ".model_7.elsewhere.77.partial":
        (folder / "models" / name).mkdir()
        (folder / "models" / name / "model.pt").touch()
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert files(folder) == before
    assert {path.name for path in (folder / "models").iterdir()} == {"model_4", "model_5"}
    assert len(found.rows) == 2


def test_a_job_whose_checkpoint_was_taken_over_stops(shard_path: Path) -> None:
    folder, done = checkpoint.take(shard_path, "job", CPU)
    put(folder, "job", example())
    folder.rename(other_process(shard_path))
    row, state_dict = example()[1][0]
    for action in (
        lambda: checkpoint.write(folder, "job", done),
        lambda: checkpoint.add(folder, done, row, NETWORK, state_dict, private=True),
        lambda: checkpoint.finish(folder, shard_path),
    ):
        with pytest.raises(InputError, match=f"^{folder}: gone, a later job trains the same"):
            action()
    assert list(shard_path.parent.iterdir()) == [other_process(shard_path)]


def write_text(path: Path) -> None:
    path.write_text("a text\n")


def write_nothing(path: Path) -> None:
    path.touch()


def write_directory(path: Path) -> None:
    path.mkdir()


def write_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"about": "{}"}))


def write_array(path: Path) -> None:
    """A whole .npy file."""
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def write_other_archive(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))


def write_other_about(path: Path) -> None:
    np.savez(path, about=np.arange(3))


@pytest.mark.parametrize(
    "write",
    [
        write_text,
        write_nothing,
        write_directory,
        write_pickle,
        write_array,
        write_other_archive,
        write_other_about,
    ],
)
def test_what_is_not_a_checkpoint_is_an_empty_one_with_a_line_that_says_so(
    capsys: pytest.CaptureFixture[str], shard_path: Path, write: Callable[[Path], None]
) -> None:
    path = leave(shard_path) / "state.npz"
    path.unlink()
    write(path)
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert found == Checkpoint()
    assert files(folder) == {}
    assert_one_line(capsys, folder)


def test_a_file_in_the_place_of_a_checkpoint_is_none(
    capsys: pytest.CaptureFixture[str], shard_path: Path
) -> None:
    shard_path.parent.mkdir()
    other_process(shard_path).write_text("a text\n")
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert found == Checkpoint()
    assert folder.is_dir()
    assert_one_line(capsys, folder)


def assert_one_line(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    line = capsys.readouterr().err
    assert line.startswith(f"{folder / 'state.npz'}: not a checkpoint (")
    assert line.endswith("), starting anew\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("damage", ["flipped", "cut"])
@pytest.mark.parametrize(
    "name", [pytest.param("state.npz", marks=pytest.mark.slow), "models/model_5/model.pt"]
)
def test_a_damaged_checkpoint_is_never_taken_for_another(
    capsys: pytest.CaptureFixture[str], shard_path: Path, damage: str, name: str
) -> None:
    """Whichever byte is wrong or missing, what is read is what was written, or nothing."""
    folder, _ = checkpoint.take(shard_path, "job", CPU)
    written = contents(put(folder, "job", example()))
    source = folder.rename(shard_path.with_name("kept"))
    whole = (source / name).read_bytes()
    # Each costs a copy: of the model, which has one digest, fewer.
    intact, places = 0, range(0, len(whole), 7 if name == "state.npz" else 101)
    for place in places:
        folder = Path(shutil.copytree(source, other_process(shard_path)))
        rest = bytes([whole[place] ^ 255]) + whole[place + 1 :] if damage == "flipped" else b""
        (folder / name).write_bytes(whole[:place] + rest)
        taken, found = checkpoint.take(shard_path, "job", CPU)
        if contents(found) == written:
            intact += 1
            assert capsys.readouterr().err == ""
        else:
            assert found == Checkpoint(), place
            assert_one_line(capsys, taken)
        shutil.rmtree(taken)
    # In the archive times, attributes, padding and the like do not matter; what was cut off always
    # does.
    assert intact < len(places) / 2
    assert (intact > 0) == (damage == "flipped" and name == "state.npz")


@pytest.mark.parametrize("name", ["model_4", "model_5/model.pt"])
def test_a_checkpoint_without_one_of_its_models_is_none(
    capsys: pytest.CaptureFixture[str], shard_path: Path, name: str
) -> None:
    path = leave(shard_path) / "models" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert found == Checkpoint()
    assert_one_line(capsys, folder)


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["about", "weights", "optimizer"])
def test_a_checkpoint_is_never_unpickled(
    capsys: pytest.CaptureFixture[str], shard_path: Path, tmp_path: Path, name: str
) -> None:
    path, trace = leave(shard_path) / "state.npz", tmp_path / "trace"
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {name: np.array([Malicious(trace)], dtype=object)})
    content = path.read_bytes()
    folder, found = checkpoint.take(shard_path, "job", CPU)
    assert found == Checkpoint()
    assert_one_line(capsys, folder)
    assert not trace.exists()
    (tmp_path / "copy.npz").write_bytes(content)
    with np.load(tmp_path / "copy.npz", allow_pickle=True) as file:
        file[name]
    assert trace.exists()


# The program

# Runs train.py's main with a checkpoint after every step, and says of each what is finished. The
# process kills itself at a moment, when it comes there for the given time.
TRAIN = """
import os, signal, sys
scripts, moment, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.argv[:] = ["train.py", *sys.argv[4:]]
sys.path.insert(0, scripts)
import numpy as np
import train
from mico.networks.mlp import MLP
from mico.support import program
from mico.training import checkpoint

def come(to):
    global times
    times -= to == moment
    if to == moment and not times:
        os.kill(os.getpid(), signal.SIGKILL)

def around(module, name, before, after):
    original = getattr(module, name)
    def instead(*arguments, **named):
        come(before)
        result = original(*arguments, **named)
        come(after)
        return result
    setattr(module, name, instead)

def say(folder, job, done):
    where = (done.state.epochs, done.state.steps) if done.state else (0, 0)
    print(len(done.rows), *where, flush=True)
    write(folder, job, done)

def write_half(file, **arrays):
    file.write(b"half")
    file.flush()
    come("state half written")
    file.seek(0)
    savez(file, **arrays)

train.CHECKPOINT_SECONDS = train.CHECKPOINT_PAUSE = -1
write, checkpoint.write = checkpoint.write, say
savez, np.savez = np.savez, write_half
around(checkpoint, "write", "", "state written")
around(MLP, "write_model", "model begun", "model half written")
around(checkpoint, "add", "", "model written")
around(checkpoint, "move_directory", "rows written", "shard there")
around(checkpoint, "finish", "", "done")
program.run(train.main)
"""
MODELS, EPOCHS, STEPS = 3, 3, 4
EACH = EPOCHS * STEPS + 1  # checkpoints: one after every step, and one with the finished model
# Of each checkpoint of a whole run: the finished models, and the epochs and steps of the one in
# training.
ALL = [
    (model, *divmod(done, STEPS)) if done < EACH else (model + 1, 0, 0)
    for model in range(MODELS)
    for done in range(1, EACH + 1)
]


@dataclass(frozen=True)
class Job:
    """Arguments of train.py but for its outputs, and what it writes if nothing stops it."""

    arguments: tuple[object, ...]
    models: dict[str, bytes]
    rows: list[dict[str, str]]


@pytest.fixture(scope="module")
def jobs(
    tmp_path_factory: pytest.TempPathFactory, stored_data: object, run_script: Callable
) -> dict[str, Job]:
    """Three models without DP and three with it."""
    made = {}
    for name, sigma in ("plain", None), ("private", 0.5):
        directory = tmp_path_factory.mktemp(name)
        seeds.write(directory / "seeds.csv", seeds.derive(3, "S", 5))
        budget.write(directory / "privacy.json", Privacy(1 / STEPS, STEPS * EPOCHS, sigma))
        options = {"epochs": EPOCHS, "batch_size": 25, "optimizer": "adam", "learning_rate": 0.01}
        options |= {"lr_decay": 0.9, "lr_decay_epochs": 2, "clipping_norm": sigma and 1.0}
        arguments = ("--scenario", "S", "--seeds", directory / "seeds.csv")
        arguments += ("--data", stored_data.directory, "--privacy", directory / "privacy.json")
        arguments += ("--recipe", recipe(100, 20, **options), "--device", "cpu")
        arguments += ("--first", 1, "--last", MODELS)
        paths = directory / "1-3", directory / "1-3.csv"
        result = run_script("train", *arguments, "--models", paths[0], "--rows", paths[1])
        assert result.returncode == 0, result.stderr
        made[name] = Job(arguments, files(paths[0]), read_rows(paths[1]))
        names = [f"model_{model}/model.pt" for model in range(1, MODELS + 1)]
        assert list(made[name].models) == names
    return made


def read_rows(path: Path) -> list[dict[str, str]]:
    """Without their checksums, which are of the times too."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key != tables.CHECK} for row in rows]


# By moment: which job; how many times it comes there, with that of the kill; after how many
# checkpoints it goes on.
KILLED = {
    "state written": ("plain", EACH + 5, EACH + 5),
    "state half written": ("private", EACH + 6, EACH + 5),
    # After a model's last step.
    "model begun": ("private", 1, EACH - 1),
    "model half written": ("plain", 2, 2 * EACH - 1),
    # It is there, but not noted.
    "model written": ("private", 2, 2 * EACH - 1),
    "rows written": ("plain", 1, 3 * EACH),
    # All is done, and the models are nobody's but Snakemake's, which will remove them.
    "shard there": ("private", 1, 0),
    "done": ("plain", 1, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLED)
def test_program_goes_on_after_a_kill(jobs: dict[str, Job], tmp_path: Path, moment: str) -> None:
    name, times, saved = KILLED[moment]
    job = jobs[name]
    models, of_rows = tmp_path / "1-3", tmp_path / "1-3.csv"

    def run(times: int) -> tuple[int, list[tuple[int, ...]], str]:
        outputs = ("--models", models, "--rows", of_rows)
        arguments = (SCRIPTS, moment, times, *job.arguments, *outputs)
        command = [sys.executable, "-c", TRAIN, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in result.stderr
        written = [tuple(map(int, line.split())) for line in result.stdout.splitlines()]
        return result.returncode, written, result.stderr

    code, written, _ = run(times)
    assert code == -signal.SIGKILL
    assert written == ALL[: len(written)]
    assert len(written) == (saved or len(ALL)) + (moment == "state half written")
    folders = list(tmp_path.glob(".1-3.*.checkpoint"))
    assert len(folders) == (moment != "done")
    finished = []
    for folder in folders:
        partial = moment in ("model begun", "model half written", "state half written")
        assert len(list(folder.rglob("*.partial"))) == partial
        with np.load(folder / "state.npz") as file:
            finished = json.loads(str(file["about"]))["rows"]
        assert len(finished) == ALL[saved - 1][0]
    outputs = [of_rows] * (moment == "rows written") if saved else [models, of_rows]
    assert {*tmp_path.iterdir()} == {*folders, *outputs}

    code, written, said = run(0)
    assert (code, written) == (0, ALL[saved:])
    assert said.count("starting anew") == (moment == "shard there")
    assert {*tmp_path.iterdir()} == {models, of_rows}
    assert files(models) == job.models
    rows = read_rows(of_rows)
    if saved:  # The times of what was finished stay: nobody trained it again.
        kept = [float(row["seconds"]) for row in rows][: len(finished)]
        assert kept == [row["seconds"] for row in finished]
    assert [row | {"seconds": ""} for row in rows] == [row | {"seconds": ""} for row in job.rows]


@pytest.mark.slow
def test_of_two_that_train_the_same_the_later_one_finishes(
    jobs: dict[str, Job], tmp_path: Path
) -> None:
    """As after a kill of Snakemake alone: its jobs live on, and are started again."""
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    assert TRAIN.count(kill) == 1
    wait = TRAIN.replace(kill, "print('here', flush=True); input()")
    arguments = (SCRIPTS, "state written", EACH + 5, *jobs["plain"].arguments)
    arguments += ("--models", tmp_path / "1-3", "--rows", tmp_path / "1-3.csv")
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    earlier = subprocess.Popen(
        [sys.executable, "-c", wait, *map(str, arguments)], **pipes, text=True
    )
    assert "here\n" in iter(earlier.stdout.readline, "")
    command = [sys.executable, str(SCRIPTS / "train.py"), *map(str, arguments[3:])]
    later = subprocess.run(command, capture_output=True, text=True, check=False)
    assert later.returncode == 0, later.stderr
    _, said = earlier.communicate("\n")
    assert earlier.returncode == 1
    # The shard's progress comes first where the earlier job has waited for long.
    error = r"error: \S+: gone, a later job trains the same models\n"
    assert re.fullmatch(rf"(models 1-3: .*\n)*{error}", said)
    assert files(tmp_path / "1-3") == jobs["plain"].models
    assert {path.name for path in tmp_path.iterdir()} == {"1-3", "1-3.csv"}


# What a checkpoint belongs to


class StoppedError(Exception):
    """Stands in for a kill."""


@pytest.fixture
def shard(stored_data: object) -> program.Job:
    own_seeds = dict(enumerate(seeds.derive(3, "S", MODELS)))
    options = replace(PRIVATE, epochs=EPOCHS, batch_size=25)
    dataset = store.read(stored_data.directory)
    recipe = Recipe("mlp", 32, "float32", 100, 20, optimisation_of(options))
    return program.Job(dataset, recipe, options.noise_multiplier, own_seeds, CPU)


def optimisation_of(options: TrainingOptions) -> Optimisation:
    names = [field.name for field in fields(Optimisation)]
    return Optimisation(**{name: getattr(options, name) for name in names})


def train_shard(
    shard: program.Job, path: Path, monkeypatch: pytest.MonkeyPatch, last: int = 0
) -> tuple[list[tuple[int, int, int]], dict[str, bytes]]:
    """What checkpoints it wrote, (finished models, epochs, steps) each, and the models.

    It is stopped after `last` of them.
    """
    written = []

    def write(folder: Path, job: str, done: Checkpoint) -> None:
        original(folder, job, done)
        where = (done.state.epochs, done.state.steps) if done.state else (0, 0)
        written.append((len(done.rows), *where))
        if len(written) == last:
            raise StoppedError

    with monkeypatch.context() as patch:
        original = checkpoint.write
        patch.setattr(checkpoint, "write", write)
        patch.setattr(program, "CHECKPOINT_SECONDS", -1)
        patch.setattr(program, "CHECKPOINT_PAUSE", -1)
        saved, _ = program._train(shard, shard.architecture(), path)
    return written, files(saved / "models")


def with_recipe(**changes: Any) -> Callable[[program.Job], program.Job]:
    return lambda shard: replace(shard, recipe=replace(shard.recipe, **changes))


def with_options(**changes: Any) -> Callable[[program.Job], program.Job]:
    def change(shard: program.Job) -> program.Job:
        optimisation = replace(shard.recipe.optimisation, **changes)
        return with_recipe(optimisation=optimisation)(shard)

    return change


def with_another_seed(shard: program.Job) -> program.Job:
    """Of the last model, which has not been begun."""
    changed = {name: seed + 1 for name, seed in shard.seeds[MODELS - 1].items()}
    return replace(shard, seeds=dict(shard.seeds) | {MODELS - 1: changed})


def with_another_label(shard: program.Job) -> program.Job:
    """Data that have changed though their description has not."""
    labels = np.array(shard.dataset.labels)
    labels[:150] = (labels[:150] + 1) % 4
    return with_data(shard, stored=shard.dataset.stored, labels=labels)


def with_data(shard: program.Job, stored: np.ndarray, labels: np.ndarray) -> program.Job:
    """As they are read when somebody stored other data under the same description."""
    with TemporaryDirectory() as folder:
        store.write(Path(folder) / "data", shard.dataset.description, stored, labels)
        sums = store.read(Path(folder) / "data").sums
    assert sums != shard.dataset.sums
    changed = replace(shard.dataset, stored=stored, labels=labels, sums=sums)
    return replace(shard, dataset=changed)


def with_another_feature(shard: program.Job) -> program.Job:
    stored = np.array(shard.dataset.stored)
    stored[:, 0] ^= 255
    return with_data(shard, stored, np.array(shard.dataset.labels))


def with_another_class(shard: program.Job) -> program.Job:
    description = replace(shard.dataset.description, classes=5)
    return replace(shard, dataset=replace(shard.dataset, description=description))


CHANGES = {
    "n": with_recipe(n=99),
    "m": with_recipe(m=21),
    "physical batch size": with_recipe(physical_batch_size=16),
    "precision": with_recipe(precision="bfloat16"),
    "null_run": with_recipe(null_run=True),
    "seed": with_another_seed,
    "labels": with_another_label,
    "features": with_another_feature,
    "classes": with_another_class,
    "fewer models": lambda shard: replace(
        shard, seeds={model: shard.seeds[model] for model in range(MODELS - 1)}
    ),
    "epochs": with_options(epochs=EPOCHS + 1),
    "batch_size": with_options(batch_size=26),
    "optimizer": with_options(optimizer="sgd"),
    "learning_rate": with_options(learning_rate=0.011),
    "lr_decay": with_options(lr_decay=0.6),
    "lr_decay_epochs": with_options(lr_decay_epochs=1),
    "clipping_norm": with_options(clipping_norm=4.1),
    "clipping": with_options(clipping="automatic"),
    "weight_decay": with_options(weight_decay=0.01),
    "label_smoothing": with_options(label_smoothing=0.1),
    "noise_multiplier": lambda shard: replace(shard, noise_multiplier=0.7),
    "secure": with_recipe(secure=True),
}


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "momentum": 0.9}])
def test_a_stopped_shard_goes_on_if_nothing_has_changed(
    shard: program.Job,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    shard = with_options(**changes)(shard)
    written, whole = train_shard(shard, tmp_path / "whole", monkeypatch)
    assert written == ALL
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped", monkeypatch, 18)
    written, models = train_shard(shard, tmp_path / "stopped", monkeypatch)
    assert written == ALL[18:]
    assert models == whole


def test_a_checkpoint_belongs_to_an_architecture(shard: program.Job) -> None:
    assert with_recipe(architecture="cnn")(shard).identity != shard.identity


def test_a_checkpoint_belongs_to_the_pretrained_weights_in_a_folder(
    shard: program.Job, tmp_path: Path
) -> None:
    """And to their configuration; not to what else lies there."""
    job = with_recipe(architecture=f"transformers/{tmp_path}")(shard)
    found = {job.identity}
    for name, content in (
        ("config.json", "{}"),
        ("config.json", "{ }"),
        ("model.safetensors", "1"),
        ("model.safetensors", "2"),
    ):
        (tmp_path / name).write_text(content)
        found.add(job.identity)
    (tmp_path / "README.md").touch()
    found.add(job.identity)
    assert len(found) == 5


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_of_anything_else_is_not_used(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    changed = CHANGES[name](shard)
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped", monkeypatch, 5)
    written, models = train_shard(changed, tmp_path / "stopped", monkeypatch)
    assert written[:2] == ALL[:2]
    if name != "secure":  # which nobody can repeat
        assert models == train_shard(changed, tmp_path / "new", monkeypatch)[1]


def test_a_checkpoint_of_other_code_is_not_used(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped", monkeypatch, 5)
    monkeypatch.setattr(program, "source_hash", lambda *paths: f"other code of {paths}")
    written, _ = train_shard(shard, tmp_path / "stopped", monkeypatch)
    assert written == ALL


# Models that other shards have finished


def finish_shard(shard: program.Job, path: Path) -> dict[str, bytes]:
    """Train a shard to its end, as the program does, and give what it holds."""
    saved, rows = program._train(shard, shard.architecture(), path)
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    checkpoint.finish(saved, path)
    return files(path)


def part(shard: program.Job, *models: int) -> program.Job:
    return replace(shard, seeds={model: shard.seeds[model] for model in models})


def test_a_shard_takes_over_what_others_have_finished(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And trains the rest, to the same bytes; in any place among them."""
    whole = finish_shard(shard, tmp_path / "all" / "0-2")
    for model in range(MODELS):
        finish_shard(part(shard, model), tmp_path / f"{model}" / f"{model}-{model}")
        train = Mock(wraps=program.engine.train)
        with monkeypatch.context() as patch:
            patch.setattr(program.engine, "train", train)
            assert finish_shard(shard, tmp_path / f"{model}" / "0-2") == whole
        assert train.call_count == MODELS - 1


@pytest.mark.parametrize("damage", ["file", "identity", "folder", "table"])
def test_what_is_not_the_same_is_trained_again(
    shard: program.Job, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that has changed, another recipe's models, no models, or no table of them."""
    other = part(shard, 0, 1)
    if damage == "identity":
        other = with_options(learning_rate=0.02)(other)
    whole = finish_shard(shard, tmp_path / "all" / "0-2")
    finish_shard(other, tmp_path / "0-1")
    if damage == "file":
        for model in tmp_path.glob("0-1/model_*/model.pt"):
            model.write_bytes(model.read_bytes()[:-1] + b"x")
    elif damage == "folder":
        shutil.rmtree(tmp_path / "0-1")
    elif damage == "table":
        (tmp_path / "0-1.csv").write_text("scenario,model\nS,zero\n")
    capsys.readouterr()
    assert finish_shard(shard, tmp_path / "0-2") == whole
    assert "trained before" not in capsys.readouterr().err
