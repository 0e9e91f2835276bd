"""Lists of files that are too long for a command: 3,000 entries, 1,000 shards."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from workflow_runs import ROOT

from mico.scoring import entries
from mico.scoring.entries import Entry
from mico.support import argument_files
from mico.workflow import jobs, start
from mico.workflow.plan import Plan

LINUX = 128 * 1024  # bytes of an argument, which a job's whole command is
SCENARIOS = """
scenarios:
  - {id: A, from: T1, data: purchase100-synthetic, n: 3040}
  - {id: B, from: T2, data: purchase100-synthetic, n: 3040}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(text: str) -> Plan:
    Path("own.yaml").write_text(text)
    return start.planned(yaml.safe_load(text), ["own.yaml"], [], ROOT, look=True)[1]


def arguments(text: str) -> list[str]:
    """The arguments that a part of a command gives to a program."""
    assert len(text) < LINUX / 4
    parser = argument_files.parser("")
    parser.add_argument("all", nargs="*")
    found: list[str] = parser.parse_args(shlex.split(text)).all
    return found


def test_a_short_list_is_in_the_command_and_a_long_one_in_a_file(folder: Path) -> None:
    few = ["a.json", "it's b.json"]
    assert argument_files.listed("mine", few) == "a.json 'it'\"'\"'s b.json'"
    assert argument_files.listed("mine", []) == ""
    assert not list(folder.iterdir())
    many = [f"it's {i}.json" for i in range(10_000)]
    text = argument_files.listed("mine", many)
    assert text == argument_files.listed("mine", many)
    assert arguments(text) == many
    # Another list changes nothing of it.
    other = argument_files.listed("mine", many[1:])
    assert (arguments(text), arguments(other)) == (many, many[1:])
    argument_files.listed("other", many)
    argument_files.forget("mine")
    argument_files.forget("nothing")
    [kept] = folder.rglob("*.txt")
    assert kept.parent.name == "other"


def test_a_thousand_shards_and_names_as_long_as_there_are() -> None:
    name = "n" * 100
    made = planned(
        f"run: {'r' * 100}\nmodels: {{train: 500, dev: 250, final: 250}}\nshard_size: 1\n"
        "target_references: {scenarios: [A], train_models: 500, shard_size: 1}\n"
        + f"extra_attacks: [{{name: {name}, attack: target-references, count: 2}}]"
        + SCENARIOS
    )
    tables, shards = made.model_rows({}), made.shard_paths(made.run.scenarios["A"])
    assert (len(tables), len(shards)) == (2000, 1000)
    assert arguments(jobs.listed_models(made, {}, {"models": tables})) == tables
    assert arguments(jobs.listed_shards(made, {}, {"shards": shards})) == shards
    job = {"participant": name, "track": "purchase100", "challenge": "purchase100_inf"}
    text = jobs.attack_inputs(made, job, made.inputs(job))
    signals = "<results>/signals/purchase100/purchase100_inf.npz"
    assert text.startswith(f"--input signals '{signals}' --input target_references @")
    files = arguments(text.rpartition(" ")[2])
    assert files == made.inputs(job)["target_references"]
    assert len(files) == 1000


@pytest.mark.slow
def test_three_thousand_submissions(folder: Path, call: Callable) -> None:
    """Planned as they are found, and collected and shown by what the plan says."""
    for number in range(3000):
        path = folder / f"submissions/purchase100/participant-{number % 40}/{number}.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"no archive {number}")
    made = planned("run: many\nattacks: [{name: rmia, attack: rmia}]\n" + SCENARIOS)
    track = {"track": "purchase100"}
    paths = made.whole_entries(track)
    assert len(paths) == 3001
    assert paths == made.all_entries({})
    names = [path.replace("<results>", "results") for path in paths]
    (folder / "results/entries/purchase100").mkdir(parents=True)
    for number, name in enumerate(names):
        about = {"participant": f"participant-{number}", "file": f"{number}.zip", "submitted": 1}
        # As written by hand, which takes less time.
        content = vars(Entry(track="purchase100", builtin=False, problems=["no archive"], **about))
        Path(name).write_text(json.dumps(content))
    assert entries.read(Path(names[-1])).file == "3000.zip"

    text = jobs.listed_entries(made, track, {"entries": names})
    assert len(text) < 100
    kinds = ("scores", "comparisons", "audit", "curves", "notes", "submissions", "checksums")
    outputs = [part for kind in kinds for part in (f"--{kind}", f"out/{kind}")]
    call("collect", "--entries", text, "--challenges", "purchase100_inf", *outputs)
    told = json.loads((folder / "out/submissions").read_text())["submissions"]
    assert {row["file"] for row in told} == {f"{number}.zip" for number in range(3001)}
    shown = ["--challenges", "purchase100_inf=A", "--reveal", "dev"]
    shown += ["--output", "out/board.html", "--winners", "out/winners.json"]
    call("scoreboard", "--entries", text, "--track", "purchase100", *shown)
    assert "2999.zip" in (folder / "out/board.html").read_text()
    call("detailed_results", "--entries", text, "--reveal", "dev", "--output", "out/details")
    assert len(list((folder / "out/details").iterdir())) == 3001


def test_a_track_that_nobody_enters_whole_has_no_details(folder: Path, call: Callable) -> None:
    made = planned(
        "attacks: [{name: a, attack: target-references, count: 2}]\n"
        "target_references: {scenarios: [A], count: 2}" + SCENARIOS
    )
    assert made.whole_entries({"track": "purchase100"}) == []
    text = jobs.listed_entries(made, {}, {"entries": []})
    call("detailed_results", "--entries", *text.split(), "--reveal", "dev", "--output", "out")
    assert list((folder / "out").iterdir()) == []
