"""What a participant is told: scores in the published form, nothing of final before its time."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mico.challenge.phases import Phases
from mico.pages import detailed_results
from mico.scoring import entries, metrics, scorer
from mico.scoring.entries import Entry
from mico.scoring.scorer import Challenge

RunScript = Callable[..., subprocess.CompletedProcess[str]]
CHALLENGES = {"toys_lo": "T3", "toys_hi": "T2", "toys_inf": "T1"}
EVIL = "<script>window.pwned=1</script>"


def entry() -> Entry:
    """An entry with scores from random predictions for three challenges."""
    rng = np.random.default_rng(1)
    membership = np.tile([True, False], (10, 20))
    made = Entry("alice", "toys", builtin=False, file="a.zip")
    made = replace(made, submitted=1764000000 * 10**9)
    for name, scenario in CHALLENGES.items():
        classes = np.zeros(membership.shape, int)
        challenge = Challenge(name, scenario, "data", membership, classes, None)
        predictions = rng.random(membership.shape) + 0.3 * membership
        predictions[:2] = np.nan  # train models are left out
        made = scorer.score(made, Phases(2, 4, 4), challenge, predictions)
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, run_script: RunScript) -> Path:
    """The outputs before (dev) and after (final) the reveal, for a good and a rejected entry."""
    folder = tmp_path_factory.mktemp("detailed_results")
    bad = Entry(EVIL, "toys", builtin=False, file="b.zip", problems=[f"{EVIL}: unknown file"])
    paths = [folder / "zip-good.json", folder / "zip-bad.json"]
    for path, content in zip(paths, (entry(), bad), strict=True):
        entries.write(path, content)
    for reveal in "dev", "final":
        arguments = ("--reveal", reveal, "--output", folder / reveal, "--synthetic")
        done = run_script("detailed_results", "--entries", *paths, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_scores_are_in_the_published_form(written: Path) -> None:
    """Scenarios in the order of their challenges' names: hi, inf, lo."""
    content = json.loads((written / "zip-good.json").read_text())
    rows = {row["challenge"]: row for row in content["scores"] if row["phase"] == "final"}
    text = (written / "final/zip-good/scores_final.txt").read_text()
    found = {name: float(value) for name, value in (line.split(": ") for line in text.splitlines())}
    assert len(found) == 4 * len(metrics.METRICS)
    names = {"tpr_at_fpr_0.1": "TPR_FPR_1000", "tpr_at_fpr_0.001": "TPR_FPR_10", "auc": "AUC"}
    names |= {"advantage": "MIA", "accuracy": "accuracy"}
    for metric, name in names.items():
        values = [rows[challenge][metric] for challenge in ("toys_hi", "toys_inf", "toys_lo")]
        assert [found[f"scenario{number}_{name}"] for number in (1, 2, 3)] == values
        assert found[f"average_{name}"] == pytest.approx(np.mean(values), rel=1e-12)


def test_nothing_of_final_is_told_before_the_reveal(written: Path) -> None:
    names = {path.name for path in (written / "dev/zip-good").iterdir()}
    assert names == {"detailed_results.html", "scores_dev.txt"}
    rows = json.loads((written / "zip-good.json").read_text())["scores"]
    shown = {
        phase: (written / phase / "zip-good/detailed_results.html").read_text()
        for phase in ("dev", "final")
    }
    for row in (row for row in rows if row["phase"] != "both"):
        for metric in ("tpr_at_fpr_0.1", "auc"):
            number = f"{row[metric]:.4f}"
            assert number in shown["final"]
            if row["phase"] == "dev":
                assert number in shown["dev"]
    assert "final models" in shown["final"]
    assert "final" not in shown["dev"]


def test_a_rejected_entry_is_told_why_and_names_stay_text(written: Path) -> None:
    folder = written / "final/zip-bad"
    assert [path.name for path in folder.iterdir()] == ["detailed_results.html"]
    text = (folder / "detailed_results.html").read_text()
    assert "unknown file" in text
    assert text.count("<script") == 1  # of all pages
    assert EVIL not in text
    assert "Synthetic data." in text


def test_equal_predictions_have_a_page() -> None:
    membership = np.tile([True, False], (10, 20))
    challenge = Challenge("toys_lo", "T3", "data", membership, np.zeros((10, 40), int), None)
    made = Entry("alice", "toys", builtin=False, file="a.zip", submitted=0)
    scored = scorer.score(made, Phases(2, 4, 4), challenge, np.full((10, 40), 0.5))
    text = detailed_results.page(scored, ["dev", "final"], synthetic=False)
    assert "toys_lo" in text
    assert "nan" not in text.partition("<main>")[2].lower()


def test_what_was_ignored_and_a_time_to_come_are_told() -> None:
    made = replace(entry(), submitted=10**30, future=True, ignored=[f"{EVIL}: no predictions"])
    text = detailed_results.page(made, ["dev"], synthetic=False)
    assert "written after the year 9999 UTC, as the file says, which was still to come" in text
    assert "&lt;script&gt;window.pwned=1&lt;/script&gt;: no predictions" in text
    plain = detailed_results.page(entry(), ["dev"], synthetic=False)
    assert "written 2025-11-24 16:00 UTC, as the file says</p>" in plain
    assert "Beyond what was asked for" not in plain
