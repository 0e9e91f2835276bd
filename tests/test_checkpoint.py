"""A training that was stopped goes on where it was, and ends with the same bits.

Kills and stops happen at a given checkpoint, not at a given time, so every run is the same.
"""

import csv
import json
import math
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import train as program
from mico import checkpoint, datasets, privacy, seeds
from mico.checkpoint import Checkpoint
from mico.mlp import MLP
from mico.privacy import Privacy
from mico.training import Records, State, TrainingOptions, train

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


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_training_goes_on_after_any_step_with_the_same_bits(
    options: TrainingOptions, optimizer: str
) -> None:
    """Three models at once, through two decays of the learning rate; 23 records are no multiple."""
    rng = np.random.default_rng(1)
    features = torch.from_numpy(rng.integers(0, 2, (80, 13), dtype=np.uint8))
    features[:, -1] = 1
    records = Records(features, torch.from_numpy(rng.integers(0, 6, 80)))
    sets = [rng.permutation(80)[:23] for _ in range(3)]
    options = replace(options, optimizer=optimizer)
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


# The file


def example(optimizer: str = "adam") -> Checkpoint:
    """Two finished models, and a third and fourth in training."""
    rng = np.random.default_rng(2)

    def random(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    finished = [{"mlp.0.weight": random(3, 2), "mlp.0.bias": random(3)} for _ in range(2)]
    rows = [
        {"model": 4, "training_accuracy": 1 / 3, "evaluation_accuracy": math.nan, "device": "cpu"},
        {"model": 5, "training_accuracy": 1.0, "evaluation_accuracy": 0.25, "device": "cpu"},
    ]
    state = State(7, random(2, 10), random(2 if optimizer == "adam" else 0, 2, 10), 3)
    return Checkpoint(finished, rows, state, 0.1 + 0.2)


def contents(saved: Checkpoint) -> tuple[object, ...]:
    """All that a checkpoint holds, to the bit, in a form that can be compared."""

    def bits(value: torch.Tensor) -> tuple[object, ...]:
        return value.dtype, tuple(value.shape), value.numpy().tobytes()

    models = [{name: bits(value) for name, value in one.items()} for one in saved.state_dicts]
    state = saved.state
    where = state and (state.epochs, state.steps, bits(state.weights), bits(state.optimizer))
    return models, repr(saved.rows), where, saved.seconds


@pytest.mark.parametrize(
    "written",
    [
        example("adam"),
        example("sgd"),
        replace(example(), state=None, seconds=0.0),
        replace(example(), state_dicts=[], rows=[]),
        Checkpoint(),
    ],
    ids=["adam", "sgd", "between models", "in the first model", "empty"],
)
def test_a_checkpoint_is_read_as_it_was_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, written: Checkpoint
) -> None:
    path = tmp_path / "0-9.checkpoint.npz"
    checkpoint.write(path, "an older job", example())
    checkpoint.write(path, "job", written)
    assert contents(checkpoint.read(path, "job", CPU)) == contents(written)
    assert list(tmp_path.iterdir()) == [path]
    assert capsys.readouterr().err == ""


def test_no_checkpoint_or_one_of_another_job_is_an_empty_one_without_a_word(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "0-9.checkpoint.npz"
    assert checkpoint.read(path, "job", CPU) == Checkpoint()
    checkpoint.write(path, "another job", example())
    assert checkpoint.read(path, "job", CPU) == Checkpoint()
    assert capsys.readouterr().err == ""


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
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "0-9.checkpoint.npz"
    write(path)
    assert checkpoint.read(path, "job", CPU) == Checkpoint()
    assert_one_line(capsys, path)


def assert_one_line(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    line = capsys.readouterr().err
    assert line.startswith(f"{path}: not a checkpoint (")
    assert line.endswith("), starting anew\n")
    assert line.count("\n") == 1


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_checkpoint_is_never_taken_for_another(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, damage: str
) -> None:
    """Whichever byte is wrong or missing, what is read is what was written, or nothing."""
    path = tmp_path / "0-9.checkpoint.npz"
    written = example()
    checkpoint.write(path, "job", written)
    whole = path.read_bytes()
    intact, places = 0, range(0, len(whole), 3)
    for place in places:
        rest = bytes([whole[place] ^ 255]) + whole[place + 1 :] if damage == "flipped" else b""
        path.write_bytes(whole[:place] + rest)
        found = checkpoint.read(path, "job", CPU)
        if contents(found) == contents(written):
            intact += 1
            assert capsys.readouterr().err == ""
        else:
            assert found == Checkpoint(), place
            assert_one_line(capsys, path)
    # Times, attributes, padding and the like do not matter; what was cut off always does.
    assert intact < len(places) / 2
    assert (intact > 0) == (damage == "flipped")


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["about", "weights", "model/0/mlp.0.bias"])
def test_a_checkpoint_is_never_unpickled(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    path, trace = tmp_path / "0-9.checkpoint.npz", tmp_path / "trace"
    checkpoint.write(path, "job", example())
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | {name: np.array([Malicious(trace)], dtype=object)})
    assert checkpoint.read(path, "job", CPU) == Checkpoint()
    assert_one_line(capsys, path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as file:
        file[name]
    assert trace.exists()


# The program

# Runs train.py's main with a checkpoint after every step, and says of each what is finished. The
# process kills itself after the given number of them, or in the middle of writing the last.
TRAIN = """
import os, signal, sys
scripts, moment, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.argv[:] = ["train.py", *sys.argv[4:]]
sys.path.insert(0, scripts)
import numpy as np
import train
from mico import checkpoint, command_line

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def write_half(file, **arrays):
    file.write(b"half")
    file.flush()
    kill()

def counted(path, job, done):
    global last
    print(len(done.rows), done.state.epochs, done.state.steps, flush=True)
    last -= 1
    if not last and moment == "during":
        np.savez = write_half
    write(path, job, done)
    if not last:
        kill()

train.CHECKPOINT_SECONDS = train.CHECKPOINT_PAUSE = -1
write, checkpoint.write = checkpoint.write, counted
command_line.run(train.main)
"""
MODELS, EPOCHS, STEPS = 3, 3, 4
# Of each checkpoint of a whole run: the finished models, and the epochs and steps of the one in
# training.
ALL = [
    (model, *divmod(done, STEPS))
    for model in range(MODELS)
    for done in range(1, EPOCHS * STEPS + 1)
]


@dataclass(frozen=True)
class Job:
    """Arguments of train.py but for its outputs, and what it writes if nothing stops it."""

    arguments: tuple[object, ...]
    weights: bytes
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
        privacy.write(directory / "privacy.json", Privacy(1 / STEPS, STEPS * EPOCHS, sigma))
        options = {"epochs": EPOCHS, "batch_size": 25, "optimizer": "adam", "learning_rate": 0.01}
        options |= {"lr_decay": 0.9, "lr_decay_epochs": 2, "clipping_norm": sigma and 1.0}
        arguments = ("--scenario", "S", "--seeds", directory / "seeds.csv")
        arguments += ("--data", stored_data.directory, "--privacy", directory / "privacy.json")
        arguments += ("--architecture", "mlp", "--physical-batch-size", 32)
        arguments += ("--options", json.dumps(options), "--n", 100, "--m", 20, "--device", "cpu")
        arguments += ("--first", 1, "--last", MODELS)
        paths = directory / "1-3.npz", directory / "1-3.csv"
        result = run_script("train", *arguments, "--weights", paths[0], "--rows", paths[1])
        assert result.returncode == 0, result.stderr
        made[name] = Job(arguments, paths[0].read_bytes(), read_rows(paths[1]))
    return made


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "moment", "number", "saved"),
    [
        ("plain", "after", 18, 18),
        # A model's last step, before it is evaluated.
        ("private", "after", EPOCHS * STEPS, EPOCHS * STEPS),
        ("private", "during", 19, 18),
    ],
)
def test_program_goes_on_after_a_kill(
    jobs: dict[str, Job], tmp_path: Path, name: str, moment: str, number: int, saved: int
) -> None:
    """Killed by its `number`th checkpoint with `saved` of them on disk, then started again."""
    job = jobs[name]
    paths = {kind: tmp_path / f"1-3{kind}" for kind in (".npz", ".csv", ".checkpoint.npz")}

    def run(last: int) -> tuple[int, list[tuple[int, ...]]]:
        outputs = ("--weights", paths[".npz"], "--rows", paths[".csv"])
        arguments = (SCRIPTS, moment, last, *job.arguments, *outputs)
        command = [sys.executable, "-c", TRAIN, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Traceback" not in result.stderr
        written = [tuple(map(int, line.split())) for line in result.stdout.splitlines()]
        return result.returncode, written

    assert run(number) == (-signal.SIGKILL, ALL[:number])
    partial = list(tmp_path.glob(".*.partial"))
    assert len(partial) == (moment == "during")
    assert set(tmp_path.iterdir()) == {paths[".checkpoint.npz"], *partial}
    with np.load(paths[".checkpoint.npz"]) as file:
        finished = json.loads(str(file["about"]))["rows"]
    assert len(finished) == ALL[saved - 1][0]

    assert run(0) == (0, ALL[saved:])
    assert set(tmp_path.iterdir()) == {paths[".npz"], paths[".csv"]}
    assert paths[".npz"].read_bytes() == job.weights
    rows = read_rows(paths[".csv"])
    # The times of what was finished stay: nobody trained it again.
    assert [float(row["seconds"]) for row in rows][: len(finished)] == [
        row["seconds"] for row in finished
    ]
    assert [row | {"seconds": ""} for row in rows] == [row | {"seconds": ""} for row in job.rows]


# What a checkpoint belongs to


class StoppedError(Exception):
    """Stands in for a kill."""


@pytest.fixture
def shard(stored_data: object) -> program.Job:
    own_seeds = dict(enumerate(seeds.derive(3, "S", MODELS)))
    options = replace(PRIVATE, epochs=EPOCHS, batch_size=25)
    dataset = datasets.read(stored_data.directory)
    return program.Job(dataset, "mlp", 32, own_seeds, 100, 20, False, options, CPU)


def train_shard(
    shard: program.Job, saved: Path, monkeypatch: pytest.MonkeyPatch, last: int = 0
) -> tuple[list[tuple[int, int, int]], Sequence[Mapping[str, torch.Tensor]]]:
    """What checkpoints it wrote, (finished models, epochs, steps) each, and the models.

    It is stopped after `last` of them.
    """
    written = []

    def write(path: Path, job: str, done: Checkpoint) -> None:
        original(path, job, done)
        written.append((len(done.rows), done.state.epochs, done.state.steps))
        if len(written) == last:
            raise StoppedError

    with monkeypatch.context() as patch:
        original = checkpoint.write
        patch.setattr(checkpoint, "write", write)
        patch.setattr(program, "CHECKPOINT_SECONDS", -1)
        patch.setattr(program, "CHECKPOINT_PAUSE", -1)
        models, _ = program._train(shard, saved)
    return written, models


def same_models(
    one: Sequence[Mapping[str, torch.Tensor]], other: Sequence[Mapping[str, torch.Tensor]]
) -> bool:
    return all(torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


def with_options(**changes: Any) -> Callable[[program.Job], program.Job]:
    return lambda shard: replace(shard, options=replace(shard.options, **changes))


def with_another_seed(shard: program.Job) -> program.Job:
    """Of the last model, which has not been begun."""
    changed = {name: seed + 1 for name, seed in shard.seeds[MODELS - 1].items()}
    return replace(shard, seeds=dict(shard.seeds) | {MODELS - 1: changed})


def with_another_label(shard: program.Job) -> program.Job:
    """Data that have changed though their description has not."""
    labels = np.array(shard.dataset.labels)
    labels[:150] = (labels[:150] + 1) % 4
    return replace(shard, dataset=replace(shard.dataset, labels=labels))


def with_another_feature(shard: program.Job) -> program.Job:
    stored = np.array(shard.dataset.stored)
    stored[:, 0] ^= 255
    return replace(shard, dataset=replace(shard.dataset, stored=stored))


def with_another_class(shard: program.Job) -> program.Job:
    description = replace(shard.dataset.description, classes=5)
    return replace(shard, dataset=replace(shard.dataset, description=description))


CHANGES = {
    "n": lambda shard: replace(shard, n=99),
    "m": lambda shard: replace(shard, m=21),
    "physical batch size": lambda shard: replace(shard, physical_batch_size=16),
    "null_run": lambda shard: replace(shard, null_run=True),
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
    "noise_multiplier": with_options(noise_multiplier=0.7),
    "secure": with_options(secure=True),
}


def test_a_stopped_shard_goes_on_if_nothing_has_changed(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written, whole = train_shard(shard, tmp_path / "whole.npz", monkeypatch)
    assert written == ALL
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped.npz", monkeypatch, 18)
    written, models = train_shard(shard, tmp_path / "stopped.npz", monkeypatch)
    assert written == ALL[18:]
    assert same_models(models, whole)


def test_a_checkpoint_belongs_to_an_architecture(shard: program.Job) -> None:
    assert replace(shard, architecture="cnn").identity != shard.identity


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_of_anything_else_is_not_used(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    changed = CHANGES[name](shard)
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped.npz", monkeypatch, 5)
    written, models = train_shard(changed, tmp_path / "stopped.npz", monkeypatch)
    assert written[:2] == ALL[:2]
    if name != "secure":  # which nobody can repeat
        assert same_models(models, train_shard(changed, tmp_path / "new.npz", monkeypatch)[1])


def test_a_checkpoint_of_other_code_is_not_used(
    shard: program.Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(StoppedError):
        train_shard(shard, tmp_path / "stopped.npz", monkeypatch, 5)
    monkeypatch.setattr(program, "source_hash", lambda path: f"other code of {path}")
    written, _ = train_shard(shard, tmp_path / "stopped.npz", monkeypatch)
    assert written == ALL
