"""How the workflow starts: layers of configuration, and what is told at once."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mico.support.errors import InputError
from mico.workflow import start

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests/tiny.yaml"


def planned(*entries: str) -> start.Plan:
    given = yaml.safe_load(TINY.read_text())
    return start.planned(given, [str(TINY)], entries, ROOT, look=False)[1]


def test_the_command_line_is_laid_over_the_files_and_these_over_the_defaults() -> None:
    config, plan = start.planned(
        {"run": "mine", "submissions": {"path": "inbox"}, "shard_size": 3},
        [],
        ["submissions={max_bytes: 7}", "shard_size=5", "scenarios=[T1]"],
        ROOT,
        look=False,
    )
    assert (plan.configuration.run, plan.configuration.shard_size) == ("mine", 5)
    assert config["submissions"] == {"path": "inbox", "max_bytes": 7}
    assert list(plan.run.scenarios) == ["T1"]
    assert config["datasets"]["location30"]["records"] == 5010


def test_snakemake_is_not_left_a_master_seed_to_hash() -> None:
    config, plan = start.planned({"seeds": 5}, [], ["seeds=6"], ROOT, look=False)
    assert plan.configuration.seeds == 6
    assert "seeds" not in config


def test_a_wrong_key_is_one_line() -> None:
    with pytest.raises(InputError, match=r"^command line: shard_size: 'x' is not one of 'auto'$"):
        planned("shard_size=x")


def test_a_folder_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"cannot be written to, expected a folder for results$"):
        planned()


def test_in_a_module_the_line_names_its_users_file() -> None:
    error = InputError("command line: shard_size: 0")
    assert start.refusal(error, ["study.yaml"], "") == f"error: {error}"
    told = start.refusal(error, [os.path.abspath("study.yaml")], "mico")
    assert told == "error: study.yaml, module mico: shard_size: 0"


def test_what_is_not_the_runs_is_a_line_where_one_looks(tmp_path: Path) -> None:
    plan = planned()
    assert start.strange(plan, str(tmp_path), look=True) == ""
    (tmp_path / "attack_pages").mkdir()
    (tmp_path / "attack_pages" / "notes.txt").touch()
    told = start.strange(plan, str(tmp_path), look=True)
    assert told.startswith(f"error: {tmp_path}/attack_pages: holds 'notes.txt', expected")
    assert start.strange(plan, str(tmp_path), look=False) == ""


def test_what_is_not_taken_is_told_in_ten_lines() -> None:
    plan = planned()
    assert start.not_taken(plan) == ""
    told = start.not_taken(replace(plan, passed_over=[f"line {i}" for i in range(12)])).splitlines()
    assert told[0] == "Not taken as submissions, in submissions/:"
    assert told[1:11] == [f"  line {i}" for i in range(10)]
    assert told[11:] == ["  ... and 2 more, see submissions.json"]
