"""Programs that are called by hand with what they cannot use end with one clear line."""

import argparse
import json
from pathlib import Path

import numpy as np
import programs
import pytest

from mico.challenge.phases import Phases
from mico.support import program
from mico.support.errors import InputError

ACCOUNT = {"n": 100, "batch-size": 10, "epochs": 1, "noise-multiplier": 1, "delta": 1e-5}
SPLIT = {"seeds": "absent.csv", "data": "absent", "n": 20, "m": 10}
SIGNALS = {"challenge": "absent", "data": "absent", "architecture": "mlp", "n": 20, "m": 10}
TRAIN = {"scenario": "S", "seeds": "a", "data": "a", "privacy": "a", "recipe": "{}"}
TRAIN |= {"first": 0, "last": 1, "models": "a", "rows": "a"}
FROM_1, FROM_0 = "expected an integer from 1", "expected an integer from 0"


@pytest.mark.parametrize(
    ("program", "arguments", "change", "reason"),
    [
        ("accountant", ACCOUNT, {"n": 0}, FROM_1),
        ("accountant", ACCOUNT, {"batch-size": 0}, FROM_1),
        ("accountant", ACCOUNT, {"epochs": -1}, FROM_1),
        ("accountant", ACCOUNT, {"n": "1e5"}, FROM_1),
        ("accountant", ACCOUNT, {"noise-multiplier": "nan"}, "expected a number above 0"),
        ("accountant", ACCOUNT, {"delta": 0}, "expected a number above 0"),
        ("splits", SPLIT, {"n": 0}, FROM_1),
        ("splits", SPLIT, {"m": 0}, FROM_1),
        ("splits", SPLIT, {}, "absent"),
        ("signals", SIGNALS, {"n": 0}, FROM_1),
        ("signals", SIGNALS, {"physical-batch-size": 0}, FROM_1),
        ("train", TRAIN, {"first": -1}, FROM_0),
        ("train", TRAIN, {"last": "x"}, FROM_0),
        ("seeds", {"scenario": "S", "last": -1, "source": "random"}, {}, FROM_0),
        ("attack", {"attack": "lirra"}, {}, "unknown attack 'lirra', did you mean 'lira'?"),
        ("attack", {"attack": "lira", "options": "x" * 10**5}, {}, "expected JSON"),
    ],
)
def test_numbers_and_names_that_cannot_be_used(
    tmp_path: Path, program: str, arguments: dict, change: dict, reason: str
) -> None:
    flags: list[object] = []
    if program in ("signals", "attack"):
        flags += ["--phases", 4, 2, 1]
    if program != "train":
        flags += ["--output", tmp_path / "out"]
    for name, value in (arguments | change).items():
        flags += [f"--{name}"] if value is None else [f"--{name}={value}"]
    result = programs.run(program, *flags)
    last = result.stderr.splitlines()[-1]
    assert result.returncode in (1, 2)
    assert "error: " in last
    assert reason in last
    assert len(last) < 500
    assert list(tmp_path.iterdir()) == []


def test_lists_of_different_lengths() -> None:
    args = argparse.Namespace(challenges=["a", "b"], splits=["x", "y"], privacy=["z"])
    program.as_many(args, "challenges", "splits")
    expected = "--privacy: 1 given, expected 2, as many as --challenges"
    with pytest.raises(InputError, match=f"^{expected}$"):
        program.as_many(args, "challenges", "splits", "privacy")


def test_memory_that_there_is_not_is_told(capsys: pytest.CaptureFixture) -> None:
    def main() -> None:
        np.empty(2**62, np.uint8)

    with pytest.raises(SystemExit, match="1"):
        program.run(main)
    told = capsys.readouterr().err
    assert told.startswith("error: not enough memory (Unable to allocate ")
    assert told.count("\n") == 1


def test_phases_of_a_trillion_models() -> None:
    with pytest.raises(InputError, match="expected at most 1,000,000 of each"):
        Phases(2, 1, 10**12)


@pytest.mark.parametrize("text", ["nope", "[]", '"x"'])
def test_description_that_is_none(tmp_path: Path, stored_data, text: str) -> None:
    flags = ("--data", stored_data.directory, "--run", text, "--output", tmp_path / "run.json")
    result = programs.run("describe", *flags)
    assert result.returncode == 1
    assert result.stderr.startswith("error: --run: expected ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "many"}, "steps: 'many' is not of type 'integer'"),
        ({"steps": 1.5}, "steps: 1.5 is not of type 'integer'"),
        ({"sample_rate": None}, "sample_rate: None is not of type 'number'"),
        (
            {"noise_multiplier": -1},
            "noise_multiplier: -1 is less than or equal to the minimum of 0",
        ),
        ({"epsilon": 4}, "unknown key 'epsilon', did you mean 'epsilon_spent'?"),
    ],
)
def test_what_training_spends_is_checked(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "privacy.json"
    path.write_text(json.dumps({"sample_rate": 0.1, "steps": 9, "noise_multiplier": 1.0} | change))
    result = programs.run("ceilings", "--privacy", path, "--output", tmp_path / "out.json")
    assert result.returncode == 1
    start = f"error: {path}: expected what training spends: {message}"
    assert result.stderr.startswith(start), result.stderr
    assert len(result.stderr.splitlines()) == 1
