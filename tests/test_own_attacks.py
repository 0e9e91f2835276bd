"""Attacks that are files of somebody's own: found, checked, shown and run as the built-in ones."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from each import each
from run_files import edit_run, run_program, write_run
from simulated_signals import gaussian
from workflow_runs import ROOT

import mico
from mico.attacks import docstrings, registry
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import arrays
from mico.support.errors import InputError
from mico.support.source_hash import source_hash
from mico.workflow import jobs, plan, start
from mico.workflow.description import description

ATTACK = '''"""Words on it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """power: of the signal."""

    power: int = 1

    def __post_init__(self) -> None:
        if self.power < 1:
            raise ValueError(f"power {self.power}\\n is too small")


def scores(signals, options):
    return signals.loss[: len(signals.challenge), :20] ** options.power
'''
PHASES = Phases(8, 2, 2)
PROGRAM = ROOT / "scripts" / "attack.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `rank.py` in a folder of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rank.py").write_text(ATTACK)
    return tmp_path


def planned(*layers: str) -> plan.Plan:
    """The plan of configurations that are laid over the defaults, each in a file of its own."""
    files = []
    for number, text in enumerate(layers):
        files.append(Path(f"{number}.yaml"))
        files[-1].write_text(text)
    given: dict = {}
    for file in files:
        given |= yaml.safe_load(file.read_text())
    return start.planned(given, list(map(str, files)), [], ROOT, look=False)[1]


def test_a_file_is_an_attack_by_its_path(folder: Path) -> None:
    assert registry.inputs("own/rank.py") == ["signals"]
    assert registry.options("own/rank.py", {"power": 2.0}).power == 2
    module = registry.load("own/rank.py")
    assert registry.load("own/rank.py") is module
    # It stands in the way of no module of its name, nor leaves anything beside it.
    assert "rank" not in sys.modules
    assert module.__name__.startswith("_")
    assert os.listdir("own") == ["rank.py"]
    assert "rank" not in " ".join(mico.attack_names())

    (folder / "own/rank.py").write_text(ATTACK.replace("power: int = 1", "power: int = 5"))
    assert registry.options("own/rank.py", {}).power == 5


def test_an_edit_of_the_file_changes_its_hash_alone(folder: Path) -> None:
    def hashes() -> list[str]:
        return [source_hash(PROGRAM, *registry.sources(one)) for one in ("own/rank.py", "rmia")]

    before = hashes()
    (folder / "own/rank.py").write_text(ATTACK + "# A comment.\n")
    assert hashes() == before
    (folder / "own/rank.py").write_text(ATTACK + "EDITED = True\n")
    after = hashes()
    assert after[0] != before[0]
    assert after[1] == before[1]


BAD_FILES = [
    ("def scores", "def score", "own/rank.py: there is no 'scores', expected it of an attack"),
    (
        "class Options",
        "class Other",
        "own/rank.py: there is no 'Options', expected",
    ),
    ("(frozen=True)", "", "own/rank.py: Options: expected a frozen dataclass"),
    ("@dataclass(frozen=True)", "", "own/rank.py: Options: expected a frozen dataclass"),
    (
        "def scores(signals, options):\n    return",
        "scores =",
        "line 19: NameError: name",
    ),
    ("def scores(signals, options):\n    return signals.loss", "scores =", "not Python"),
    ("def scores(", "scores = 3\ndef other(", "own/rank.py: scores: expected a function"),
    ("(signals, options)", "(signals, colours, options)", "there is no input 'colours' in mico"),
    ("(signals, options)", "(others, options)", "attack own/rank.py: expected 'signals' among"),
    ("(signals, options)", "(signals)", "attack own/rank.py: expected 'options' among"),
    ("def scores", "def", "own/rank.py: line 19: not Python ("),
    ("def scores", "\0", "own/rank.py: not Python (source code string cannot contain null"),
    ("dataclasses", "daftaclasses", "own/rank.py: line 5: ModuleNotFoundError: No module named"),
    ("import dataclass\n", "import dataclass\n1 / 0\n", "line 6: ZeroDivisionError: division by"),
    ("import dataclass\n", "import dataclass\nexit(3)\n", "own/rank.py: line 6: SystemExit: 3"),
    ("power: int", "power: Integer", "own/rank.py: NameError: name 'Integer' is not defined"),
    ("int = 1", "int = -1", "own/rank.py: line 16: ValueError: power -1 is too small"),
    ("int = 1", "int", "missing key 'power'"),
    ("power", "factor", "unknown key 'power'"),
]


@each(case=BAD_FILES)
def test_what_is_wrong_with_a_file_is_one_line_that_names_it(
    case: tuple[str, str, str], folder: Path
) -> None:
    old, new, message = case
    assert old in ATTACK
    (folder / "own/rank.py").write_text(ATTACK.replace(old, new))
    options = ", power: 1" if old == "power" else ""
    attack = f"{{name: mine, attack: own/rank.py{options}}}"
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        planned(f"attacks: [{attack}]")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("0.yaml: attacks: mine: ")


def test_a_file_that_cannot_be_read_is_named(folder: Path) -> None:
    text = "extra_attacks: [{name: mine, attack: own/rank.py}]"
    (folder / "own/rank.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(InputError, match=r"^0\.yaml: extra_attacks: mine: own/rank\.py: expected "):
        planned(text)
    (folder / "own/rank.py").unlink()
    for _ in range(2):
        with pytest.raises(InputError, match=r"own/rank\.py: there is no such file, expected an"):
            planned(text)
        (folder / "own/rank.py").mkdir(exist_ok=True)


def test_more_attacks_join_the_list_that_is_there(folder: Path) -> None:
    defaults = list(planned("run: demo").run.attacks)
    mine = "{name: mine, attack: own/rank.py, power: 2}"
    assert list(planned(f"extra_attacks: [{mine}]").run.attacks) == [*defaults, "mine"]
    found = planned("attacks: [{name: a, attack: rmia}]", f"extra_attacks: [{mine}]")
    assert list(found.run.attacks) == ["a", "mine"]
    assert found.run.attacks["mine"].options == {"power": 2}
    assert found.entries("purchase100") == ["a", "mine"]


@each(
    case=[
        ("auto, attack: rmia", "extra_attacks: auto: this name is there twice"),
        ("Auto, attack: rmia", "extra_attacks: Auto: looks like the name auto"),
        ("mine, attack: rmiaa", "extra_attacks: mine: unknown attack 'rmiaa', did you mean 'rmia'"),
        ("mine, attack: rmia, gamma: [1]", "extra attack mine: gamma: "),
        ("mine", "extra attack mine: missing key 'attack'"),
        ('mine, attack: "a\\n.py"', "extra attack mine: attack: "),
    ]
)
def test_an_error_names_the_file_and_the_list(case: tuple[str, str], folder: Path) -> None:
    item, message = case
    with pytest.raises(InputError) as caught:
        planned("run: other", f"extra_attacks: [{{name: {item}}}]", "secure: false")
    assert str(caught.value).startswith(f"1.yaml: {message}")
    assert "\n" not in str(caught.value)


def test_an_attack_that_needs_others_is_told_in_its_own_list(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^1\.yaml: extra_attacks: chooser: expected another "):
        planned(
            "target_references: {scenarios: [T1]}\n"
            "attacks: [{name: a, attack: target-references, count: 2}]",
            "extra_attacks: [{name: chooser, attack: auto}]",
        )


def test_the_program_runs_a_file(folder: Path, call: Callable) -> None:
    signals = gaussian(13, shadows=8, targets=4, points=20, records=60).signals
    arrays.write(folder / "signals.npz", signals)
    arguments = ["--attack", "own/rank.py", "--phases", 8, 2, 2]
    arguments += ["--input", "signals", folder / "signals.npz", "--output", folder / "out"]
    call("attack", *arguments, "--options", '{"power": 3}')
    found = prediction_files.read(folder / "out", PHASES, 20)
    expected = prediction_files.to_predictions(signals.loss[:12, :20] ** 3)
    np.testing.assert_array_equal(found, expected)


NOT_SCORES = [
    ("[0.5, 0.5]", r"scores of shape \(2,\), expected \(12, 20\)"),
    ("signals.loss", r"scores of shape \(12, 60\), expected \(12, 20\)"),
    ("[[1], [2, 3]]", "its scores are no numbers"),
    ("'high'", "its scores are no numbers"),
    ("signals.margin[:, :20] * 1j", "its scores are no numbers"),
    ("[[10**400] * 20] * 12", "its scores are no numbers"),
    ("signals.margin[:, :20] * ([[1]] * 11 + [[float('nan')]])", "a score of model 11 is not a"),
    ("signals.margin[:, :20] * ([1] * 19 + [float('nan')])", "a score of model 0 is not a number"),
]


@each(case=NOT_SCORES)
def test_scores_that_are_none_are_named(
    case: tuple[str, str], folder: Path, call: Callable
) -> None:
    returned, message = case
    source = re.sub(r"return .*", f"return {returned}", ATTACK)
    (folder / "own/rank.py").write_text(source)
    signals = gaussian(13, shadows=8, targets=4, points=20, records=60).signals
    arrays.write(folder / "signals.npz", signals)
    arguments = ["--attack", "own/rank.py", "--phases", 8, 2, 2]
    arguments += ["--input", "signals", folder / "signals.npz", "--output", folder / "out"]
    with pytest.raises(InputError, match=f"^attack own/rank.py: {message}"):
        call("attack", *arguments)
    assert not (folder / "out").exists()


def test_an_attack_that_leaves_out_every_model_is_named(folder: Path, call: Callable) -> None:
    """Where outputs are given, all are train models, each of which may be left out."""
    source = re.sub(r"return .*", "return signals.margin[:, :20] * float('nan')", ATTACK)
    (folder / "own/rank.py").write_text(source)
    signals = gaussian(8, shadows=8, targets=0, points=20, records=60).signals
    arrays.write(folder / "signals.npz", signals)
    arguments = ["--attack", "own/rank.py", "--phases", 8, 0, 0]
    arguments += ["--input", "signals", folder / "signals.npz", "--output", folder / "out"]
    with pytest.raises(InputError, match=r"^attack own/rank\.py: no model has scores"):
        call("attack", *arguments)
    assert not (folder / "out").exists()


def test_a_file_may_begin_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "own/rank.py").write_text(ATTACK, encoding="utf-8-sig")
    assert registry.inputs("own/rank.py") == ["signals"]
    (folder / "own/plain.py").write_text(ATTACK)
    marked, plain = folder / "own/rank.py", folder / "own/plain.py"
    assert docstrings.docstrings(marked) == docstrings.docstrings(plain)
    assert source_hash(marked) == source_hash(plain)


def test_a_notebook_takes_a_file(folder: Path) -> None:
    signals = gaussian(13, shadows=8, targets=4, points=20, records=60).signals
    challenge = mico.from_margins(signals.margin[:8], signals.trained)
    for path in "own/rank.py", folder / "own/rank.py":
        found = challenge.attack(path, power=3)
        np.testing.assert_array_equal(found, challenge.signals.loss[:, :20] ** 3)
    with pytest.raises(InputError, match=r"^nowhere/rank\.py: there is no such file"):
        challenge.attack("nowhere/rank.py")


def test_what_a_job_is_given(folder: Path) -> None:
    """The path goes to the programs, and not into what the run says of itself."""
    path = folder / "own/odd name's.py"
    path.write_text(ATTACK)
    made = planned(f'extra_attacks: [{{name: mine, attack: "{path}"}}]')
    job = {"participant": "mine"}
    assert jobs.attack_name(made, job) == str(path)
    assert jobs.attack_sources(made, job)[0] == path
    assert jobs.own_attacks(made, {}) == f"--own 'mine={folder}/own/odd name'\"'\"'s.py'"
    before = jobs.attack_words(made, {})
    path.write_text(ATTACK.replace("Words on it", "Other words"))
    assert jobs.attack_words(made, {}) != before
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    config["extra_attacks"] = [{"name": "mine", "attack": str(path)}]
    told = description(made, config)
    assert str(folder) not in told
    assert json.loads(told)["attacks"][-1] == {"name": "mine", "attack": "odd name's.py"}
    config["extra_attacks"][0]["attack"] = f"elsewhere/{path.name}"
    assert description(made, config) == told
    assert jobs.own_attacks(planned("run: demo"), {}) == ""


@pytest.mark.usefixtures("undrawn")
def test_the_page_on_a_file_shows_its_docstrings(folder: Path) -> None:
    paths = write_run(folder, ["mine", "other"])
    edit_run(paths, lambda run: run["attacks"][0].update(attack="rank.py"))
    edit_run(paths, lambda run: run["attacks"][1].update(attack="silent.py"))
    (folder / "silent.py").write_text(ATTACK.replace('"""', "#"))
    own = {"own": ["mine=own/rank.py", "other=silent.py"]}
    script = ROOT / "scripts" / "attack_pages.py"
    done = run_program(paths | own, folder / "pages", script)
    assert (done.returncode, done.stderr) == (0, "")
    shown = (folder / "pages/mine.html").read_text()
    assert '<p class="lede">Words on it.</p>' in shown
    assert "<p>power: of the signal.</p>" in shown
    assert "<dt>attack</dt><dd>rank.py</dd>" in shown
    silent = (folder / "pages/other.html").read_text()
    assert "There is no description of this attack." in silent
    # Nothing is read that no flag names.
    done = run_program(paths, folder / "pages", script)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Words on it" not in (folder / "pages/mine.html").read_text()
    for wrong in "mine", "mine=nowhere.py", "nobody=silent.py":
        done = run_program(paths | {"own": [wrong]}, folder / "pages", script)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: --own {wrong}: expected NAME=PATH, an ")
