"""What a person sees of Snakemake where something is wrong, and what it takes as it is meant."""

import re
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
