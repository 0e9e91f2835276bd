"""Reference results: what is kept of a run, and when another run agrees with it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from programs import run as run_program
from run_files import edit_json
from scipy.stats import binom
from test_comparison import NAMES, write

import check_run
import keep_reference
from mico.pages import comparison, reference
from mico.pages.reference import Agreement, Pair
from mico.scoring.metrics import COMPARED, HEADLINE
from mico.support import program
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]


def tool(
    main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *given: object
) -> tuple[int, str, str]:
    """A tool's status, and what it printed and said of errors."""
    monkeypatch.setattr(sys, "argv", ["tool", *map(str, given)])
    try:
        program.run(main)
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, *capsys.readouterr()


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A finished run, with the benchmarks of three jobs."""
    folder = write(tmp_path / "results" / "demo", 1)
    for name, seconds in ("train/T1/0-5.tsv", 7.0), ("train/T2/0-5.tsv", 2.5), ("report.tsv", 0.5):
        path = folder / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        memory = "-" if name == "report.tsv" else "123.4"
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:07\t{memory}\n")
    return folder


@pytest.fixture
def kept(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is kept of it."""
    folder = tmp_path / "reference"
    monkeypatch.setattr(keep_reference, "FOLDER", folder)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if commit.returncode:
        pytest.skip("no repository")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        sys, "argv",
        ["keep", "--run", str(finished), "--machine", "a machine", "--commit", "HEAD"],
    )  # fmt: skip
    keep_reference.main()
    return folder / "demo"


def changed(folder: Path, participant: str, by: float) -> None:
    """Move a participant's TPR at FPR .1 on T1, with its interval."""
    path = folder / "scores.csv"
    table = pd.read_csv(path)
    rows = (table.scenario == "T1") & (table.participant == participant) & (table.phase == "both")
    for end in ("", "_low", "_high"):
        table.loc[rows, HEADLINE + end] += by
    table.to_csv(path, index=False)
    (folder / "scores.sha256").unlink(missing_ok=True)


def test_a_run_agrees_with_itself(finished: Path, kept: Path) -> None:
    found = reference.agreement(comparison.read(finished).results, reference.read(kept))
    # Two accuracies, and two attacks by two metrics, of two scenarios.
    assert len(found.pairs) == 2 * (2 + len(NAMES) * len(COMPARED))
    assert found.within
    assert found.settings == []
    assert found.verdict == "within the intervals (none of 12 numbers outside, 12 equal)"


def test_scenarios_are_told_as_counted_by_hand(finished: Path, kept: Path) -> None:
    table = reference.read(kept).scenarios.set_index("scenario")
    models = pd.concat(
        pd.read_csv(path) for path in (finished / "private" / "T2" / "models").glob("*.csv")
    )
    audit = json.loads((finished / "audit.json").read_text())["T2"]
    row = table.loc["T2"]
    assert row.models == len(models) == 12
    assert row.evaluation_accuracy == pytest.approx(models.evaluation_accuracy.mean(), rel=1e-5)
    assert row.seconds_median == pytest.approx(np.median(models.seconds), rel=1e-5)
    assert row.noise_multiplier == 0.54
    assert row.epsilon == 3.97
    assert row.bound == pytest.approx(0.1**0.5, rel=1e-5)
    assert row.epsilon_lower == pytest.approx(max(one["epsilon_lower"] for one in audit.values()))
    assert np.isnan(table.loc["T1", ["noise_multiplier", "epsilon", "bound"]].astype(float)).all()


def test_what_the_run_took_is_counted(kept: Path) -> None:
    made = reference.read(kept).made
    assert made["process_seconds"] == {"train": 9.5, "report": 0.5}
    assert made["peak_mb"] == 123
    assert made["span_seconds"] in (7, 8)  # from the start of the longest, which all end with
    assert len(made["commit"]) == 10


def test_numbers_may_be_as_far_apart_as_their_intervals_say(finished: Path, kept: Path) -> None:
    results = comparison.read(finished).results
    rows = results.scores.query("scenario == 'T1' and phase == 'both' and participant == 'lira'")
    (row,) = rows.to_dict("records")
    half = row[f"{HEADLINE}_high"] - row[HEADLINE]
    # Twelve numbers, all of which agree 99 times in 100.
    widened = NormalDist().inv_cdf(1 - 0.01 / 24) / NormalDist().inv_cdf(0.975)
    allowed = 2**0.5 * half * widened
    for by, outside in ((allowed - 1e-4, 0), (allowed + 1e-4, 1)):
        other = kept.parent / f"moved-{outside}"
        shutil.copytree(kept, other)
        changed(other, "lira", by if row[HEADLINE] + by < 1 else -by)
        found = reference.agreement(results, reference.read(other))
        assert len(found.outside) == outside
        if outside:
            (pair,) = found.outside
            assert (pair.scenario, pair.what) == ("T1", "lira, TPR at FPR 0.1")
            assert pair.allowed == pytest.approx(allowed, abs=1e-9)
            assert found.verdict == "not within the intervals (1 of 12 numbers outside, 11 equal)"


@pytest.mark.slow
def test_independent_right_runs_agree_99_times_in_100(
    finished: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normal scores whose intervals are right; fails with a chance of 1e-3 where they do agree."""
    rng, runs, apart = np.random.default_rng(3), 400, 0
    results, known = comparison.read(finished).results, reference.read(kept)
    sizes = np.array([0.02, 0.005])

    def drawn(table: pd.DataFrame) -> pd.DataFrame:
        table = table[table.phase == "both"].copy()
        for metric, size in zip(COMPARED, sizes, strict=True):
            table[metric] = rng.normal(0.5, size, len(table))
            table[f"{metric}_low"] = table[metric] - 1.96 * size
            table[f"{metric}_high"] = table[metric] + 1.96 * size
        return table

    monkeypatch.setattr(reference, "_accuracies", lambda *_: [])
    for _ in range(runs):
        found = reference.agreement(
            replace(results, scores=drawn(results.scores)),
            replace(known, scores=drawn(known.scores)),
        )
        apart += not found.within
    assert apart <= binom.isf(1e-3, runs, 0.01)


def test_other_settings_are_not_compared(finished: Path, kept: Path) -> None:
    def other_epochs(run: dict[str, Any]) -> None:
        run["scenarios"][0]["epochs"] = 40

    def other_attack(run: dict[str, Any]) -> None:
        run["attacks"][0]["signal"] = "loss"

    results = comparison.read(finished).results
    edit_json(kept / "run.json", other_epochs)
    found = reference.agreement(results, reference.read(kept))
    assert found.settings == ["T1: epochs 20, and 40 in the reference"]
    assert {pair.scenario for pair in found.pairs} == {"T2"}
    edit_json(kept / "run.json", other_attack)
    found = reference.agreement(results, reference.read(kept))
    assert found.settings[1:] == ["attack lira: other options"]
    assert not any("lira" in pair.what for pair in found.pairs)
    edit_json(kept / "run.json", lambda run: run.update(models={"train": 3}))
    found = reference.agreement(results, reference.read(kept))
    assert not found.within
    assert found.verdict == "no scenario has the settings of the reference"
    assert found.settings[-2] == "models: None, and {'train': 3} in the reference"


def test_a_number_that_is_no_number_is_outside() -> None:
    assert not Agreement([], [Pair("T1", "accuracy", float("nan"), 0.5, 0.1)]).within


def test_checking_a_run(
    finished: Path,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ("--run", finished, "--reference", kept)
    status, output, _ = tool(check_run.main, monkeypatch, capsys, *given)
    assert (status, output) == (0, f"{finished}: within the intervals (none of 12 numbers outside,"
                                   " 12 equal)\n")  # fmt: skip
    changed(kept, "auto", -0.3)
    status, output, _ = tool(check_run.main, monkeypatch, capsys, *given)
    assert status == 1
    assert output.startswith("T1: auto, TPR at FPR 0.1: ")
    assert " in the reference: expected at most " in output
    (kept / "scenarios.csv").unlink()
    status, _, errors = tool(check_run.main, monkeypatch, capsys, *given)
    assert status == 1
    assert errors == f"error: {kept}: not reference results: scenarios.csv is missing\n"


def test_keeping_asks_for_a_commit(
    finished: Path,
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in kept.iterdir()}
    given = ("--run", finished, "--machine", "a machine", "--commit", "none")
    status, _, errors = tool(keep_reference.main, monkeypatch, capsys, *given)
    assert status == 1
    assert errors == "error: --commit none: expected a commit of this repository\n"
    assert {path: path.read_bytes() for path in kept.iterdir()} == before


def test_the_page_says_whether_runs_agree(finished: Path, kept: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    given = ("--runs", finished, "--references", kept.parent, "--output", page)
    assert run_program("compare", *given).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "demo against demo: <strong>within the intervals (none of 12" in text
    changed(kept, "auto", -0.3)
    assert run_program("compare", *given).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "<strong>not within the intervals (1 of 12 numbers outside, 11 equal)" in text
    assert "<td>auto, TPR at FPR 0.1</td>" in text
    edit_json(kept / "run.json", lambda run: run.update(models={"train": 3}))
    assert run_program("compare", *given).returncode == 0
    assert "Against the reference" not in page.read_text(encoding="utf-8")


def test_what_is_kept_is_refused_where_it_is_not_of_its_form(kept: Path) -> None:
    (kept / "made.json").write_text("{}")
    with pytest.raises(InputError, match=r"made\.json: 'machine' is missing"):
        reference.read(kept)
