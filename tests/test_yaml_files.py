"""Configuration files and `--config`, read as people mean them, or refused with the line."""

import re
from pathlib import Path
from typing import Any

import pytest

from mico.support.errors import InputError
from mico.workflow import yaml_files


def read(tmp_path: Path, text: str, name: str = "own.yaml") -> Any:
    (tmp_path / name).write_bytes(text.encode())
    return yaml_files.read(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run: a\nshard_size: 3\nrun: b", "line 3: key 'run' is there twice"),
        ("models:\n  train: 4\n  dev: 2\n  train: 5", "line 4: key 'train' is there twice"),
        ("models: {train: 4, 'train': 5}", "line 1: key 'train' is there twice"),
        ("a: [{b: 1}, {c: 1, c: 1}]", "line 1: key 'c' is there twice"),
        ("a: &x {b: 1, b: 2}\nc: *x", "line 1: key 'b' is there twice"),
        ("seeds: 010", "line 1: '010' is not written as an integer"),
        ("a:\n  seeds: 1:30", "line 2: '1:30' is not written as an integer"),
        ("run: {a: 1}}", "line 1: not YAML: "),
        ("run: a\n\tb: c", "line 2: not YAML: "),
        ("run: a\x00b", "line 1: not YAML: "),
        ("created: 2022-13-45", "line 1: not YAML: month must be in 1..12"),
        ("a: " + "[" * 5000, "line 2: not YAML: "),
        (
            "models: {2022-01-01: 3}",
            "line 1: key '2022-01-01': expected a text",
        ),
        ("datasets:\n  2024: {}", "line 2: key '2024': expected a text, in quotation marks"),
        ("datasets: {yes: {}}", "line 1: key 'yes': expected a text, in quotation marks"),
        ("attacks: &a [b, *a]", "line 1: holds itself, by an alias of its own anchor"),
        ("a: &a {b: [*a]}", "line 1: holds itself, by an alias of its own anchor"),
    ],
)
def test_what_would_be_read_otherwise_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"own\.yaml: {re.escape(message)}") as caught:
        read(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", None),
        ("a: 0\nb: 10\nc: '010'\nd: 0x10", {"a": 0, "b": 10, "c": "010", "d": 16}),
        ("a: &x {b: 1}\nc: {<<: *x, b: 2}", {"a": {"b": 1}, "c": {"b": 2}}),
        ("a: &x {b: 1}\nc: [*x, *x]", {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: \u00e4", {"a": "\u00e4"}),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, content: Any) -> None:
    assert read(tmp_path, text) == content


def test_json(tmp_path: Path) -> None:
    assert read(tmp_path, '{\n\t"a": {"b": 1}}', "own.json") == {"a": {"b": 1}}
    with pytest.raises(InputError, match=r"own\.json: key 'b' is there twice"):
        read(tmp_path, '{"a": {"b": 1, "b": 2}}', "own.json")
    with pytest.raises(InputError, match=r"own\.json: not JSON"):
        read(tmp_path, '{"a"}', "own.json")
    for text in ("[" * 100_000, '{"a": 1' + "0" * 5000 + "}"):
        with pytest.raises(InputError, match=r"own\.json: not JSON"):
            read(tmp_path, text, "own.json")


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: cannot be read \(No such file"):
        yaml_files.read(tmp_path / "absent.yaml")
    with pytest.raises(InputError, match=r": cannot be read \(Is a directory"):
        yaml_files.read(tmp_path)
    (tmp_path / "own.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match=r"own\.yaml: expected UTF-8"):
        yaml_files.read(tmp_path / "own.yaml")


def test_command_line_has_numbers_and_booleans_in_mappings() -> None:
    entries = ["models={train: 4, dev: 2}", "secure=true", "shard_size=auto", "empty="]
    assert yaml_files.command_line(entries) == {
        "models": {"train": 4, "dev": 2},
        "secure": True,
        "shard_size": "auto",
        "empty": None,
    }
    text = "scenarios=[{id: A, epsilon: null, delta: '1', n: 3}]"
    expected = {"scenarios": [{"id": "A", "epsilon": None, "delta": "1", "n": 3}]}
    assert yaml_files.command_line([text]) == expected
    assert yaml_files.command_line(["path=a=b"]) == {"path": "a=b"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["a=1", "a=2"], "command line: key 'a' is there twice"),
        (["models={train: 4, train: 5}"], "command line: models: key 'train' is there twice"),
        (["seeds=007"], "command line: seeds: '007' is not written as an integer"),
        (["models={train: 4"], "command line: models: not YAML: "),
    ],
)
def test_command_line_that_is_refused(entries: list[str], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        yaml_files.command_line(entries)
