"""Runs side by side: what is said to differ, by how much, and on which page."""

import json
from pathlib import Path

import browser
import numpy as np
import pandas as pd
import pytest
import yaml
from programs import run as run_program
from run_files import downloads, edit_json, write_run
from scipy.stats import binom
from scored_run import make_memberships
from workflow_runs import TINY, snakemake

from mico.pages import budgets, comparison
from mico.scoring import curves, entries
from mico.scoring.entries import Entry
from mico.scoring.metrics import COMPARED
from mico.support.errors import InputError

NAMES = ["lira", "auto"]
PROBE = """<script>addEventListener("load", () => parent.postMessage({
  wide: document.documentElement.scrollWidth,
  figures: document.querySelectorAll("figure svg").length,
  rows: document.querySelectorAll("section .metrics tbody tr").length,
}, "*"));</script>"""


def write(folder: Path, seed: int) -> Path:
    """A finished run whose participants have these resamples."""
    folder.mkdir(parents=True)
    paths = write_run(folder, NAMES)
    for path in paths["models"]:
        place = folder / "private" / path.name[:2] / "models" / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    rng = np.random.default_rng(seed)
    table = pd.read_csv(folder / "scores.csv")
    for name in NAMES:
        own = table[table.participant == name]
        replicates = {metric: rng.random(1000).tolist() for metric in COMPARED}
        entry = Entry(
            name,
            "purchase100",
            builtin=True,
            scores=own.to_dict("records"),
            curves={one: {"both": {}, "dev": {}} for one in own.challenge.unique()},
            replicates={one: {"both": replicates} for one in own.challenge.unique()},
        )
        (folder / "entries" / "purchase100").mkdir(parents=True, exist_ok=True)
        entries.write(folder / "entries" / "purchase100" / f"{name}.json", entry)
    return folder


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return write(tmp_path / "one", 1)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Another, with T1 trained for longer and challenges of its own in T2."""
    folder = write(tmp_path / "two", 2)

    def edit(run: dict) -> None:
        run["scenarios"][0]["epochs"] = 40
        run["scenarios"][1]["challenge"] = "another"
        run["attacks"][0]["signal"] = "loss"

    edit_json(folder / "run.json", edit)
    return folder


def test_differences_are_those_of_resamples(one: Path, two: Path) -> None:
    baseline, other = comparison.read(one), comparison.read(two)
    rows = comparison.differences(baseline, other, ["purchase100_inf"])
    assert [(row["participant"], row["metric"]) for row in rows] == [
        (name, metric) for name in ("auto", "lira") for metric in COMPARED
    ]
    for row in rows:
        values = []
        for folder in one, two:
            table = pd.read_csv(folder / "scores.csv").query("phase == 'both' and scenario == 'T1'")
            value = table.set_index("participant").loc[row["participant"], row["metric"]]
            path = folder / "entries" / "purchase100" / f"{row['participant']}.json"
            content = json.loads(path.read_text())
            drawn = content["replicates"]["purchase100_inf"]["both"][row["metric"]]
            values.append((value, np.array(drawn)))
        assert row["difference"] == values[1][0] - values[0][0]
        expected = np.quantile(values[1][1] - values[0][1], [0.025, 0.975])
        np.testing.assert_allclose((row["low"], row["high"]), expected)


def test_what_differs_is_said(one: Path, two: Path) -> None:
    found = comparison.compare(comparison.read(one), comparison.read(two))
    assert found["shared"] == ["purchase100_inf"]
    assert found["settings"] == [("purchase100_inf: epochs", 20, 40)]
    ((name, before, after),) = found["attacks"]
    assert (name, before["signal"], after["signal"]) == ("lira", "margin", "loss")
    same = comparison.compare(comparison.read(one), comparison.read(one))
    assert (same["settings"], same["attacks"], same["beyond_chance"]) == ([], [], 0)
    assert all(row["low"] == row["high"] == 0 for rows in same["rows"].values() for row in rows)


def test_scenarios_that_differ_in_their_budget_alone_are_a_line(one: Path, two: Path) -> None:
    runs = [comparison.read(path) for path in (one, two)]
    sides = [side for run in runs for side in budgets.scenarios(run.results, run.name)]
    assert list(map(budgets.named, budgets.groups(sides))) == ["T1, T2", "T1", "T2"]
    sides[1]["setting"]["clipping"] = "automatic"  # which is more than another budget
    assert list(map(budgets.named, budgets.groups(sides[:2]))) == ["T1", "T2"]
    assert [side["epsilon_spent"] for side in sides] == [None, 3.97, None, 3.97]
    assert [side["bound"] for side in sides] == [None, pytest.approx(0.1**0.5)] * 2
    assert [side["evaluation_accuracy"] for side in sides] == pytest.approx([0.61, 0.38] * 2)


def test_the_program_writes_the_same_page_every_time(one: Path, two: Path, tmp_path: Path) -> None:
    given = ("--runs", one, two, "--baseline", one)
    pages = [tmp_path / "pages" / name for name in ("a.html", "b.html")]
    for page in pages:
        assert run_program("compare", *given, "--output", page).returncode == 0
    text = pages[0].read_text()
    assert text == pages[1].read_text()
    assert 'href="../two/report.html"' in text
    table = downloads(text)["two-differences.csv"]
    assert len(table.splitlines()) == 1 + 2 * len(COMPARED)
    listed = run_program("compare", "--runs", one, two, "--output", pages[0])
    assert listed.returncode == 0
    assert "<section" not in pages[0].read_text().partition("<main>")[2]


@pytest.mark.parametrize("missing", ["run.json", "scores.csv", "audit.json"])
def test_an_unfinished_run_is_named(one: Path, missing: str) -> None:
    (one / missing).unlink()
    with pytest.raises(InputError, match=f"{one}: not a finished run: {missing} is missing"):
        comparison.read(one)


def test_the_program_names_what_is_wrong(one: Path, two: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for given, message in (
        (("--runs", one, "--baseline", two), f"--baseline {two}: expected one of the runs"),
        (("--runs", one, write(tmp_path / "x" / "one", 1)), "--runs: two are called 'one'"),
        (("--runs", tmp_path), "not a finished run"),
    ):
        ended = run_program("compare", *given, "--output", page)
        assert ended.returncode == 1
        assert message in ended.stderr
        assert not page.exists()


@pytest.mark.slow
@pytest.mark.parametrize("same_points", [True, False])
def test_intervals_hold_the_truth_of_models_of_one_run_and_of_two(same_points: bool) -> None:
    """Two attacks that are alike, on models whose points they share or not; 5 % may miss 0.

    Percentiles miss more with so few models: 8 % at most. Under fresh seeds this fails with a
    chance of 1e-3 where that is so.
    """
    rng, runs, misses = np.random.default_rng(5), 150, 0
    for _ in range(runs):
        memberships = [make_memberships(rng, 20, 20) for _ in range(2)]
        if same_points:
            memberships[1] = memberships[0]
        hardness = [rng.normal(size=(20, 1)) for _ in range(2)]
        if same_points:
            hardness[1] = hardness[0]
        found = []
        for truth, level in zip(memberships, hardness, strict=True):
            values = rng.normal(level, 1, truth.shape) + 0.8 * truth
            parts = curves.resampled(values, truth, "same")
            found.append(np.concatenate([part.tpr_at(0.1) for part in parts]))
        low, high = np.quantile(found[1] - found[0], [0.025, 0.975])
        misses += not low <= 0 <= high
    assert misses <= binom.isf(1e-3, runs, 0.08)


def test_a_run_beside_another_that_was_trained_for_longer(checkout: Path, tiny: Path) -> None:
    config = yaml.safe_load((checkout / "tiny.yaml").read_text()) | {"run": "longer"}
    config["attacks"] = config["attacks"][:2]
    for kind in "target_references", "shared_references":
        config[kind]["scenarios"] = []
    for scenario in config["scenarios"]:
        scenario["epochs"] = 4
    (checkout / "longer.yaml").write_text(yaml.safe_dump(config))
    snakemake(checkout, "--cores", "2", "--configfile", "longer.yaml")
    snakemake(checkout, "results/tiny/compare/longer.html", "--cores", "1", *TINY)
    text = (tiny / "compare" / "longer.html").read_text()
    assert "shopping_inf: epochs" in text
    rows = downloads(text)["longer-differences.csv"].splitlines()[1:]
    assert len(rows) == 2 * 2 * len(COMPARED)  # challenges, attacks
    assert 'href="../../longer/report.html"' in text
    output = snakemake(
        checkout, "results/tiny/compare/none.html", "--cores", "1", *TINY, fails=True
    )
    assert "none/scores.sha256" in output


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_the_page_in_a_browser(one: Path, two: Path, tmp_path: Path, width: int) -> None:
    page = tmp_path / "page.html"
    given = ("--runs", one, two, "--baseline", one, "--output", page)
    assert run_program("compare", *given).returncode == 0
    text = page.read_text().replace("script-src 'none'", "script-src 'unsafe-inline'")
    seen = browser.show(text.replace("<head>", "<head>" + PROBE, 1), tmp_path, width, 844)
    assert seen == {"wide": width, "figures": 2, "rows": 4}
