"""What a person sees of Snakemake where something is wrong, and what it takes as it is meant."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workflow_runs import ROOT, TINY, copy_checkout, snakemake

pytestmark = pytest.mark.slow
SEEDS = [f"results/tiny/private/{scenario}/seeds.csv" for scenario in ("S1", "SD")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, with spaces and quotes on the way to it."""
    path = tmp_path_factory.mktemp("bad") / "a copy (1)"
    copy_checkout(path)
    return path


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("shard_size=0", "command line: shard_size: 0 is less than the minimum of 1"),
        ("models={train: 4, train: 5}", "command line: models: key 'train' is there twice"),
        ("scenarios=[{id: A, epocs: 3}]", "unknown key 'epocs', did you mean 'epochs'?"),
    ],
)
def test_bad_configuration_is_one_line(folder: Path, setting: str, message: str) -> None:
    output = snakemake(folder, "--dry-run", *TINY, "--config", setting, fails=True)
    last = output.splitlines()[-1]
    assert last.startswith("error: command line: ")
    assert last.endswith(message)
    assert ".smk" not in output
    assert "Error" not in output


def test_key_that_is_there_twice_in_a_file(folder: Path) -> None:
    (folder / "twice.yaml").write_text("run: a\nshard_size: 3\nrun: b\n")
    output = snakemake(folder, "--dry-run", "--configfile", "twice.yaml", fails=True)
    assert output.splitlines()[-1] == "error: twice.yaml: line 3: key 'run' is there twice"


def test_numbers_inside_mappings_of_the_command_line(folder: Path) -> None:
    settings = ("models={train: 5, dev: 2, final: 1.0}", "secure=true", "shard_size=1e1")
    output = snakemake(folder, "--dry-run", *TINY, "--config", *settings, "--", *SEEDS)
    assert "seeds" in output
    output = snakemake(folder, "--dry-run", *TINY, "--config", *settings)
    assert re.search(r"models/0-7\b", output)


def test_failed_job_ends_with_its_cause(folder: Path) -> None:
    """Where the rules are quiet, as in the demo."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    quiet = re.search(r"demo:.*\n\tsnakemake --cores all (.*)", makefile)
    assert quiet
    (folder / "bad.csv").write_text("1,0,1\n")
    (folder / "bad.yaml").write_text(
        "datasets: {shopping: {format: labelled-bits, path: bad.csv, seed: null}}"
    )
    flags = [*quiet[1].split(), "--configfile", "tiny.yaml", "bad.yaml"]
    target = "results/tiny/data/shopping"
    output = snakemake(folder, "--cores", "1", *flags, "--", target, fails=True)
    last = output.splitlines()[-8:]
    log = "results/tiny/logs/dataset/shopping.log"
    start = last.index(f"  dataset: {log}")
    assert last[start - 1 : start + 2] == [
        "Failed:",
        f"  dataset: {log}",
        "    error: bad.csv: row 1: 3 fields, expected 41",
    ]


def test_seeds_of_a_run_are_given_back_to_another(folder: Path) -> None:
    snakemake(folder, "--cores", "1", *TINY, "--", *SEEDS)
    again = [path.replace("tiny", "again") for path in SEEDS]
    given = ("run=again", "seeds=results/tiny/private/{scenario}/seeds.csv")
    snakemake(folder, "--cores", "1", *TINY, "--config", *given, "--", *again)
    for one, other in zip(SEEDS, again, strict=True):
        assert (folder / one).read_bytes() == (folder / other).read_bytes()
    assert len({(folder / path).read_bytes() for path in SEEDS}) == 2


def unpacked(results: Path) -> Path:
    """A release in a run's folder, of somebody else."""
    model = results / "challenge/shopping/shopping_inf/train/model_0/model.pt"
    model.parent.mkdir(parents=True)
    model.write_text("theirs")
    return model


def noted(results: Path) -> Path:
    """Somebody's notes in a folder that the run has made."""
    pages = results / "attack_pages"
    pages.mkdir(parents=True)
    for name in ".snakemake_timestamp", "lira.html":
        (pages / name).touch()
    (pages / "notes.txt").write_text("mine")
    return pages / "notes.txt"


def linked(results: Path) -> Path:
    """A data set that lies elsewhere."""
    elsewhere = results / "elsewhere"
    elsewhere.mkdir(parents=True)
    (elsewhere / "dataset.json").write_text("another's")
    (results / "data").mkdir()
    (results / "data/shopping").symlink_to("../elsewhere")
    return elsewhere / "dataset.json"


@pytest.mark.parametrize("how", [["--dry-run"], ["--cores", "1", "--forceall"]])
@pytest.mark.parametrize(
    ("put", "place", "reason"),
    [
        (unpacked, "challenge/shopping/shopping_inf", "holds no .snakemake_timestamp, by which "),
        (noted, "attack_pages", "holds 'notes.txt', "),
        (linked, "data/shopping", "is a link, "),
    ],
)
def test_what_is_not_the_runs_stops_it_before_it_is_deleted(
    folder: Path, put: Callable[[Path], Path], place: str, reason: str, how: list[str]
) -> None:
    results = folder / "results" / "mine"
    kept = put(results)
    before = {path: path.lstat().st_mtime_ns for path in results.rglob("*")}
    try:
        flags = [*TINY, "--config", "run=mine"]
        output = snakemake(folder, *how, *flags, fails=True)
        assert {path: path.lstat().st_mtime_ns for path in results.rglob("*")} == before
        assert kept.read_text()
        # Another run has nothing to do with it.
        if "--dry-run" in how:
            snakemake(folder, *how, *TINY, "--config", "run=other")
    finally:
        shutil.rmtree(results)
    last = output.splitlines()[-1]
    assert last.startswith(f"error: results/mine/{place}: {reason}")
    assert last.endswith(": move it elsewhere")
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["a {x}", "a <results>", "it's", 'a "copy"'])
def test_checkout_in_a_path_that_snakemake_takes_for_a_pattern(tmp_path: Path, name: str) -> None:
    copy_checkout(tmp_path / name)
    output = snakemake(tmp_path / name, "--dry-run", *TINY, fails=True)
    last = output.splitlines()[-1]
    assert last.startswith(f"error: {tmp_path / name}: Snakemake takes braces")


def test_folder_that_cannot_be_written_to(folder: Path) -> None:
    """Where Snakemake itself would end in a traceback."""
    write = "os.access = lambda path, mode: False\n"
    rules = folder / "workflow" / "rules" / "common.smk"
    before = rules.read_text(encoding="utf-8")
    rules.write_text(before.replace("try:\n    config, plan", f"{write}\n\ntry:\n    config, plan"))
    try:
        output = snakemake(folder, "--dry-run", *TINY, fails=True)
    finally:
        rules.write_text(before)
    expected = f"error: {folder}: cannot be written to, expected a folder for results"
    assert output.splitlines()[-1] == expected
