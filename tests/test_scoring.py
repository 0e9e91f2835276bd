"""Metrics are those of the definition, intervals are those of resampled models, and the program
writes both.

The references count with integers and fractions over all thresholds, or are scikit-learn's.
"""

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from programs import run
from scipy.stats import norm
from scored_run import (
    LABELS,
    METRICS,
    PARTICIPANTS,
    RATES,
    Data,
    M,
    bootstrap,
    make_memberships,
    write_inputs,
)
from sklearn.metrics import roc_auc_score, roc_curve

from mico.challenge.phases import Phases
from mico.release import intake, prediction_files
from mico.scoring import audit, curves, entries, metrics, scorer
from mico.scoring.entries import Entry

SCRIPTS = Path(__file__).parents[1] / "scripts"
AUC, HEADLINE = METRICS.index("auc"), METRICS.index("tpr_at_fpr_0.1")


def make(kind: str, models: int = 5, m: int = 20, seed: int = 1) -> Data:
    """Predictions (models, 2m) of a kind, and memberships."""
    rng = np.random.default_rng(seed)
    membership = make_memberships(rng, models, m)
    noise = rng.normal(0, 1, membership.shape)
    scores = {
        "random": noise,
        "good": noise + 1.5 * membership,
        "tied": (noise + membership).round(0),
        "two values": (noise + membership > 0.5).astype(float),
        "tied at the top": np.minimum(noise + membership, 0.5),
        "tied at the bottom": np.maximum(noise + membership, 0.5),
        "constant": np.full(membership.shape, 0.3),
        "perfect": membership + 0.4 * rng.random(membership.shape),
        "perfect and tied": membership.astype(float),
        "inverted": 1.0 - membership,
        "one ulp apart": 0.5 + np.finfo(float).eps * np.round(2 * noise + membership),
    }[kind]
    return scores, membership


KINDS = ["random", "good", "tied", "two values", "tied at the top", "tied at the bottom"]
KINDS += ["constant", "perfect", "perfect and tied", "inverted", "one ulp apart"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def library(
    predictions: np.ndarray, membership: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    weights = np.ones(len(predictions)) if weights is None else weights
    """The metrics (..., len(METRICS))."""
    found = metrics.metrics(curves.roc(predictions, membership, weights))
    return np.stack([found[name] for name in METRICS], axis=-1)


def all_points(predictions: np.ndarray, membership: np.ndarray) -> list[tuple[float, int, int]]:
    """(threshold, false positives, true positives) at infinity and every distinct prediction."""
    pairs = list(zip(predictions.ravel().tolist(), membership.ravel().tolist(), strict=True))
    points = []
    for threshold in [float("inf"), *sorted({one for one, _ in pairs}, reverse=True)]:
        called = [member for one, member in pairs if one >= threshold]
        points.append((threshold, called.count(False), called.count(True)))
    return points


def smallest_threshold(points: list[tuple[float, int, int]], others: int, rate: str) -> tuple:
    """The point of the smallest threshold with at most this rate of non-members called members."""
    return min(point for point in points if Fraction(point[1], others) <= Fraction(rate))


def by_definition(predictions: np.ndarray, membership: np.ndarray) -> list[float]:
    points = all_points(predictions, membership)
    members, others = int(membership.sum()), int((~membership).sum())
    values = [smallest_threshold(points, others, rate)[2] / members for rate in RATES]
    values.append(roc_auc_score(membership.ravel(), predictions.ravel()))
    rates = [(Fraction(fp, others), Fraction(tp, members)) for _, fp, tp in points]
    values.append(float(max(tpr - fpr for fpr, tpr in rates)))
    values.append(float(max(1 - (fpr + 1 - tpr) / 2 for fpr, tpr in rates)))
    return values


# ---- Metrics. The rates are ratios of small integers and the AUC a sum of at most some hundred
# products of them: 1e-12.


def test_the_metrics_are_the_published_ones() -> None:
    assert [metric.name for metric in metrics.METRICS] == METRICS
    assert metrics.HEADLINE == "tpr_at_fpr_0.1"


@every_kind
@pytest.mark.parametrize(("models", "m", "seed"), [(5, 20, 1), (1, 1, 2), (3, 7, 3), (2, 50, 4)])
def test_metrics_follow_the_definition(kind: str, models: int, m: int, seed: int) -> None:
    data = make(kind, models, m, seed)
    np.testing.assert_allclose(library(*data), by_definition(*data), rtol=0, atol=1e-12)


@every_kind
def test_the_curve_is_scikit_learns(kind: str) -> None:
    predictions, membership = make(kind)
    curve = curves.roc(predictions, membership, np.ones(len(predictions)))
    fpr, tpr, thresholds = roc_curve(
        membership.ravel(), predictions.ravel(), drop_intermediate=False
    )
    np.testing.assert_array_equal(curve.thresholds, thresholds)
    np.testing.assert_allclose(curve.fpr, fpr, rtol=0, atol=1e-15)
    np.testing.assert_allclose(curve.tpr, tpr, rtol=0, atol=1e-15)


@pytest.mark.parametrize("others", [1, 5, 6, 7, 10, 20, 30, 49, 60, 70, 90, 100, 300, 999, 1000])
@pytest.mark.parametrize("models", [1, 5, 7])
def test_the_number_of_false_positives_allowed_is_exact(others: int, models: int) -> None:
    """10 non-members at FPR 0.1 allow exactly 1, 1000 allow exactly 100: no rounding.

    Non-members and members take turns from the top, so k non-members allowed give a TPR of k / n.
    With weights each model counts as often, and the rates are the same.
    """
    predictions = np.tile(np.linspace(1, 0, 2 * others), (models, 1))
    membership = np.tile(np.arange(2 * others) % 2 == 1, (models, 1))
    allowed = [int(Fraction(rate) * others) for rate in RATES]
    expected = np.array(allowed) / others
    for weights in (np.ones(models), np.arange(models) + 1):
        np.testing.assert_allclose(
            library(predictions, membership, weights)[: len(RATES)], expected, rtol=0, atol=1e-12
        )
    curve = curves.roc(predictions, membership, np.ones(models))
    called = predictions[0] >= curves.threshold(curve, 0.1)
    assert (called & ~membership[0]).sum() == allowed[RATES.index("0.1")]
    assert (called & membership[0]).sum() == allowed[RATES.index("0.1")]


@pytest.mark.parametrize("others", [30, 41, 1000])
def test_one_false_positive_more_is_one_too_many(others: int) -> None:
    """The non-members that tie just beyond the boundary are called together or not at all."""
    allowed = int(Fraction("0.1") * others)
    predictions = np.zeros((1, 2 * others))
    membership = np.arange(2 * others)[None] >= others
    predictions[0, : allowed + 1] = 0.5
    predictions[0, others : others + 3] = 0.5  # members at the same tie
    predictions[0, others + 3 : others + 5] = 0.9
    assert library(predictions, membership)[HEADLINE] == pytest.approx(2 / others, abs=1e-12)
    predictions[0, 0] = 0
    assert library(predictions, membership)[HEADLINE] == pytest.approx(5 / others, abs=1e-12)


@every_kind
@pytest.mark.parametrize(
    "increasing",
    [prediction_files.to_predictions, lambda x: 7 * x + 1024, np.arctan, lambda x: np.cbrt(x) / 9],
    ids=["ranks", "linear", "arctan", "cube root"],
)
def test_increasing_maps_change_nothing(kind: str, increasing: Callable) -> None:
    predictions, membership = make(kind)
    if kind == "one ulp apart":
        predictions = prediction_files.to_predictions(predictions)  # or rounding makes other ties
    mapped = increasing(predictions)
    np.testing.assert_array_equal(library(mapped, membership), library(predictions, membership))


def test_a_decreasing_map_mirrors_the_auc() -> None:
    predictions, membership = make("good")
    assert library(-predictions, membership)[AUC] == pytest.approx(
        1 - library(predictions, membership)[AUC], abs=1e-12
    )


@every_kind
@pytest.mark.parametrize("rate", RATES)
def test_the_threshold_at_a_rate_is_that_of_its_tpr(kind: str, rate: str) -> None:
    for seed in range(5):
        predictions, membership = make(kind, models=3, seed=seed)
        curve = curves.roc(predictions, membership, np.ones(3))
        threshold = curves.threshold(curve, float(rate))
        points = all_points(predictions, membership)
        others = int((~membership).sum())
        assert threshold == smallest_threshold(points, others, rate)[0]
        tpr = (predictions[membership] >= threshold).mean()
        assert metrics.metrics(curve)[f"tpr_at_fpr_{rate}"] == pytest.approx(tpr, abs=1e-12)


def published_rule(points: list[tuple[float, int, int]], others: int) -> tuple[int, int]:
    """True positives by the competition's program, and at the end of the next step of its curve.

    It drops the points of the curve (without its start) between two equal steps, as scikit-learn
    does by default, and takes the last of the rest with an FPR below 0.1, or the start.
    """
    counts = [(fp, tp) for _, fp, tp in points]
    start, curve = counts[0], counts[1:]
    kept = [start, curve[0]]
    for before, here, after in zip(curve, curve[1:], curve[2:], strict=False):
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in ((before, here), (here, after))]
        if steps[0] != steps[1]:
            kept.append(here)
    if len(curve) > 1:
        kept.append(curve[-1])
    last = max(i for i, (fp, _) in enumerate(kept) if 10 * fp < others)
    beyond = min(fp for fp, _ in kept if 10 * fp >= others)
    return kept[last][1], max(tp for fp, tp in kept if fp == beyond)


@every_kind
def test_the_published_programs_tpr_is_at_most_one_step_of_its_curve_lower(kind: str) -> None:
    """Its strict comparison and thinned curve lose at most the step of the curve, in FPR, that
    reaches or passes 0.1. Without ties, and with 0.1 no multiple of one non-member, nothing.
    """
    lower = 0
    for seed in range(20):
        for models, m in (3, 10), (3, 11), (2, 25):
            predictions, membership = make(kind, models, m, seed)
            members = others = models * m
            points = all_points(predictions, membership)
            published, next_step = published_rule(points, others)
            tpr = library(predictions, membership)[HEADLINE]
            fpr, program_tpr, _ = roc_curve(membership.ravel(), predictions.ravel())
            assert published / members == pytest.approx(program_tpr[fpr < 0.1][-1], abs=1e-12)
            assert published / members - 1e-12 <= tpr <= next_step / members + 1e-12
            lower += published / members < tpr - 1e-12
            if kind in ("random", "good") and others % 10:
                assert tpr == pytest.approx(published / members, abs=1e-12)
    # The rules are meant to differ somewhere, but not where nothing ends at an FPR of 0.1.
    if kind in ("random", "good"):
        assert lower > 0
    if kind in ("perfect", "perfect and tied", "constant"):
        assert lower == 0


# ---- Resampled models.


@every_kind
@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [0, 3, 1, 0, 1], [0, 0, 0, 5, 0]])
def test_weights_repeat_models(kind: str, weights: list[int]) -> None:
    predictions, membership = make(kind)
    rows = np.repeat(np.arange(5), weights)
    expected = by_definition(predictions[rows], membership[rows])
    np.testing.assert_allclose(
        library(predictions, membership, np.array(weights)), expected, rtol=0, atol=1e-12
    )


def test_many_weightings_at_once_are_each_of_them_alone() -> None:
    predictions, membership = make("tied")
    weights = np.random.default_rng(5).integers(1, 4, (6, 5))
    together = library(predictions, membership, weights)
    assert together.shape == (6, len(METRICS))
    for values, one in zip(together, weights, strict=True):
        np.testing.assert_array_equal(values, library(predictions, membership, one))


@pytest.mark.parametrize("kind", ["good", "tied", "constant"])
@pytest.mark.parametrize("replicates", [1, 7, 120])
def test_the_bootstrap_is_a_loop_over_resampled_models(kind: str, replicates: int) -> None:
    """Resamples are a multinomial of as many models, seeded with their number and the challenge."""
    predictions, membership = make(kind, models=6, m=10)
    counts = np.random.default_rng([6, ord("x"), ord("y")]).multinomial(
        6, [1 / 6] * 6, size=replicates
    )
    rows = [np.repeat(np.arange(6), one) for one in counts]
    values = [by_definition(predictions[one], membership[one]) for one in rows]
    found = bootstrap(predictions, membership, "xy", replicates)
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-12)
    expected = np.quantile(values, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(curves.interval(found), expected, rtol=0, atol=1e-12)


def test_all_participants_are_compared_on_the_same_resamples() -> None:
    """One whose predictions rank alike gets the same values, and so does any repetition."""
    predictions, membership = make("good")
    values = bootstrap(predictions, membership, "a", 50)
    assert values.shape == (50, len(METRICS))
    np.testing.assert_array_equal(values, bootstrap(predictions, membership, "a", 50))
    alike = bootstrap(np.arctan(predictions), membership, "a", 50)
    np.testing.assert_array_equal(values, alike)
    # Another challenge has other models.
    assert (values != bootstrap(predictions, membership, "b", 50)).any()


def test_intervals_of_the_published_size_enclose_the_estimate() -> None:
    predictions, membership = make("good", models=30)
    low, high = curves.interval(bootstrap(predictions, membership, "a"))
    estimate = library(predictions, membership)
    assert (low < estimate).all()
    assert (estimate < high).all()


def simulate(rng: np.random.Generator) -> tuple[Data, dict[int, float]]:
    """A competition of 40 models whose members' scores share an effect of their model, and the
    metrics of infinitely many: non-members N(0, 1), members N(1 + effect, 1), effect N(0, 1).
    """
    membership = make_memberships(rng, models=40, m=20)
    shift = 1 + rng.normal(size=(40, 1))
    predictions = rng.normal(0, 1, membership.shape) + shift * membership
    true = {AUC: norm.cdf(1 / np.sqrt(3)), HEADLINE: norm.cdf((1 - norm.isf(0.1)) / np.sqrt(2))}
    return (predictions, membership), true


def interval_of_points(rng: np.random.Generator, data: Data) -> np.ndarray:
    """The 95 % interval of the headline TPR, resampling the 800 members and 800 others."""
    predictions, membership = data
    members = rng.choice(predictions[membership], (120, 800))
    others = rng.choice(predictions[~membership], (120, 800))
    highest_but_80 = np.sort(others, axis=1)[:, 800 - 81, None]
    return np.quantile((members > highest_but_80).mean(axis=1), [0.025, 0.975])


@pytest.mark.slow
def test_intervals_cover_the_true_value_as_often_as_they_say() -> None:
    """In 200 competitions. Percentile intervals of 40 models are known to be a little short: for a
    coverage of .92 to .95, less than 174 or more than 198 are covered with a chance of at most
    .0054 + .0004 per metric (binomial).

    Intervals that resample points miss the models' effects: standard deviations of the headline
    are about half, so some 70 % are covered; with a chance of 2e-5 more than 165.
    """
    rng = np.random.default_rng(7)
    covered = {AUC: 0, HEADLINE: 0, "points": 0}
    widths = {"models": 0.0, "points": 0.0}
    for _ in range(200):
        data, true = simulate(rng)
        low, high = curves.interval(bootstrap(*data, "a", replicates=120))
        for metric, value in true.items():
            covered[metric] += low[metric] <= value <= high[metric]
        widths["models"] += high[HEADLINE] - low[HEADLINE]
        low, high = interval_of_points(rng, data)
        covered["points"] += low <= true[HEADLINE] <= high
        widths["points"] += high - low
    assert 174 <= covered[AUC] <= 198
    assert 174 <= covered[HEADLINE] <= 198
    assert covered["points"] <= 165
    assert widths["points"] < 0.7 * widths["models"]


# ---- scripts/score.py and scripts/collect.py

COLUMNS = ["scenario", "challenge", "track", "data", "participant", "phase", "models"]
COLUMNS += [metric + end for metric in METRICS for end in ("", "_low", "_high")]


def score(folder: Path, name: str, source: str = "predictions") -> subprocess.CompletedProcess:
    about = ("--challenges=purchase100_inf", "--scenarios=T1", "--data=made-up")
    about += ("--track=purchase100", f"--participant={name}", f"--splits={folder}/splits.npz")
    about += (f"--privacy={folder}/privacy.json", f"--datasets={folder}/made-up")
    about += ("--phases", 3, 10, 10, f"--{source}={folder / name}")
    return run("score", *about, f"--output={folder}/entries/{name}.json")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Data]]:
    """The folder of the programs' outputs, and what they were given."""
    folder = tmp_path_factory.mktemp("score")
    data = write_inputs(folder)
    for name in PARTICIPANTS:
        done = score(folder, name)
        assert done.returncode == 0, done.stderr
    paths = [folder / "entries" / f"{name}.json" for name in PARTICIPANTS]
    names = ["scores.csv", "comparisons.csv", "curves.json", "audit.json", "notes.json"]
    names += ["submissions.json"]
    outputs = [f"--{name.partition('.')[0]}={folder}/out/{name}" for name in names]
    names.append("scores.sha256")
    outputs.append(f"--checksums={folder}/out/scores.sha256")
    outputs += ["--passed-over", json.dumps(["--scores=x/: no track of this run"])]
    done = run("collect", "--entries", *paths, "--challenges=purchase100_inf", *outputs)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.glob("out/*")} == set(names)
    told = json.loads((folder / "out/submissions.json").read_text())
    assert told == {"submissions": [], "passed_over": ["--scores=x/: no track of this run"]}
    return folder / "out", data


def test_the_table_has_a_row_per_participant_and_phase(
    scored: tuple[Path, dict[str, Data]],
) -> None:
    table = pd.read_csv(scored[0] / "scores.csv")
    assert list(table.columns) == COLUMNS
    sizes = {"train": 3, "dev": 10, "final": 10, "both": 20}
    rows = [(name, phase, models) for name in PARTICIPANTS for phase, models in sizes.items()]
    found = table[["participant", "phase", "models"]].itertuples(index=False, name=None)
    assert list(found) == rows
    about = table[["scenario", "challenge", "track", "data"]].drop_duplicates().to_numpy().tolist()
    assert about == [["T1", "purchase100_inf", "purchase100", "made-up"]]


@pytest.mark.slow
def test_the_table_holds_the_librarys_values(scored: tuple[Path, dict[str, Data]]) -> None:
    table = pd.read_csv(scored[0] / "scores.csv", dtype=str)
    sets = {"train": range(3), "dev": range(3, 13), "final": range(13, 23), "both": range(3, 23)}
    for row in table.to_dict("records"):
        models = list(sets[row["phase"]])
        predictions, membership = (array[models] for array in scored[1][row["participant"]])
        values = library(predictions, membership)
        resampled = bootstrap(predictions, membership, "purchase100_inf")
        low, high = curves.interval(resampled)
        for number, metric in enumerate(METRICS):
            assert float(row[metric]) == values[number]
            assert float(row[f"{metric}_low"]) == low[number]
            assert float(row[f"{metric}_high"]) == high[number]
        np.testing.assert_allclose(
            values, by_definition(predictions, membership), rtol=0, atol=1e-12
        )


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_the_curves_are_whole_and_monotone(scored: tuple[Path, dict[str, Data]], name: str) -> None:
    content = json.loads((scored[0] / "curves.json").read_text())
    assert list(content) == ["T1"]
    assert list(content["T1"]) == PARTICIPANTS
    curve = content["T1"][name]
    points = list(zip(curve["fpr"], curve["tpr"], strict=True))
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(points))


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_the_curves_pass_through_the_published_rates(
    scored: tuple[Path, dict[str, Data]], name: str
) -> None:
    """As a step function, at every published FPR; values are rounded to six digits."""
    curve = json.loads((scored[0] / "curves.json").read_text())["T1"][name]
    table = pd.read_csv(scored[0] / "scores.csv").set_index(["participant", "phase"])
    expected = [table.loc[(name, "both"), f"tpr_at_fpr_{rate}"] for rate in RATES]
    points = list(zip(curve["fpr"], curve["tpr"], strict=True))
    found = [max(tpr for fpr, tpr in points if fpr <= float(rate)) for rate in RATES]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rate", ["0.1", "0.01"])
@pytest.mark.parametrize("name", PARTICIPANTS)
def test_the_tprs_of_models_average_to_that_of_all(
    scored: tuple[Path, dict[str, Data]], name: str, rate: str
) -> None:
    curve = json.loads((scored[0] / "curves.json").read_text())["T1"][name]
    table = pd.read_csv(scored[0] / "scores.csv").set_index(["participant", "phase"])
    models = curve["models"][f"tpr_at_fpr_{rate}"]
    assert list(models) == [str(model) for model in range(3, 23)]
    predictions, membership = (array[3:] for array in scored[1][name])
    points = all_points(predictions, membership)
    threshold = smallest_threshold(points, 20 * M, rate)[0]
    tprs = [
        (one[member] >= threshold).mean()
        for one, member in zip(predictions, membership, strict=True)
    ]
    assert list(models.values()) == pytest.approx(tprs, abs=1e-6)
    # rounded to six digits
    mean = np.mean(list(models.values()))
    assert mean == pytest.approx(table.loc[(name, "both"), f"tpr_at_fpr_{rate}"], abs=1e-6)


def test_every_two_participants_are_compared_on_the_same_resamples(
    scored: tuple[Path, dict[str, Data]],
) -> None:
    """Once each, in the order of the entries; values and replicates are rounded to six digits."""
    table = pd.read_csv(scored[0] / "comparisons.csv")
    columns = ["scenario", "metric", "participant", "other", "difference", "low", "high"]
    assert list(table.columns) == columns
    compared = ["tpr_at_fpr_0.1", "tpr_at_fpr_0.01"]
    pairs = [(metric, *pair) for metric in compared for pair in combinations(PARTICIPANTS, 2)]
    assert list(table[["metric", "participant", "other"]].itertuples(index=False, name=None)) == (
        pairs
    )
    assert set(table.scenario) == {"T1"}
    both = {name: [array[3:] for array in arrays] for name, arrays in scored[1].items()}
    values = {name: library(*arrays) for name, arrays in both.items()}
    resampled = {name: bootstrap(*arrays, "purchase100_inf") for name, arrays in both.items()}
    for row in table.itertuples():
        column = METRICS.index(row.metric)
        difference = values[row.participant][column] - values[row.other][column]
        assert row.difference == pytest.approx(difference, abs=1e-6)
        replicates = (resampled[row.participant] - resampled[row.other])[:, column]
        expected = np.quantile(replicates, [0.025, 0.975])
        assert (row.low, row.high) == pytest.approx(tuple(expected), abs=2e-6)
    strong = table[(table.participant == "strong") & (table.other == "weak")]
    assert (strong.low > 0).all()


def test_a_participant_does_not_differ_from_a_copy_and_one_alone_from_nobody(
    scored: tuple[Path, dict[str, Data]],
) -> None:
    entry = entries.read(scored[0].parent / "entries" / "tied.json")
    rows = scorer.comparisons([entry, entry], ["purchase100_inf"])
    names = ("tied", "tied", 0, 0, 0)
    assert rows == [("T1", metric, *names) for metric in ("tpr_at_fpr_0.1", "tpr_at_fpr_0.01")]
    assert scorer.comparisons([entry], ["purchase100_inf"]) == []


def test_the_standing_entry_is_the_latest_of_a_participant_in_a_track() -> None:
    def entry(track: str, hour: int | None = None, **changes: Any) -> Entry:
        made = Entry("lira", track, builtin=hour is None)
        if hour:
            made = replace(made, file="a.zip", submitted=hour)
        return replace(made, **changes)

    latest = [entry("ddp", 8), entry("toys", 9), entry("toys")]
    others = [entry("toys", 8), entry("toys", 10, problems=["not a zip"])]
    for order in latest + others, others + latest:
        assert entries.standing(order) == latest


def test_the_history_says_what_became_of_each_submission() -> None:
    def entry(name: str, time: int, **changes: Any) -> Entry:
        return Entry(name, "toys", builtin=False, file="a.zip", submitted=time, **changes)

    told = entries.history(
        {
            "zip-2": entry("ann", 2 * 10**9),
            "zip-1": entry("ann", 10**9),
            "zip-3": entry("bob", 10**30, future=True, problems=["not a zip"]),
            "lira": Entry("lira", "toys", builtin=True),
        }
    )
    assert [(one["participant"], one["time"], one["outcome"]) for one in told] == [
        ("ann", "1970-01-01 00:00", "replaced"),
        ("ann", "1970-01-01 00:00", "counts"),
        ("bob", "after the year 9999, to come", "rejected"),
    ]
    assert told[0]["details"] == "detailed_results/toys/zip-1/detailed_results.html"


def test_the_audit_is_the_librarys(scored: tuple[Path, dict[str, Data]]) -> None:
    """At the scenario's delta, with the labels of the records that the challenge points are."""
    content = json.loads((scored[0] / "audit.json").read_text())
    assert list(content) == ["T1"]
    assert list(content["T1"]) == PARTICIPANTS
    phases = {"dev": np.arange(3, 13), "final": np.arange(13, 23), "both": np.arange(3, 23)}
    for name, (predictions, membership) in scored[1].items():
        classes = LABELS[np.tile(np.arange(2 * M) % 10, (23, 1))]
        expected = audit.audit("purchase100_inf", phases, predictions, membership, classes, 0.01)
        assert content["T1"][name] == expected


def test_train_models_may_be_left_out(tmp_path: Path) -> None:
    """Scores of train are of those that are there; no other phase changes."""
    write_inputs(tmp_path)
    found = []
    for left_out in [], [1], [0, 2]:
        for model in left_out:
            shutil.rmtree(tmp_path / "weak" / "train" / f"model_{model}")
            (tmp_path / "weak" / "SHA256SUMS").unlink(missing_ok=True)
        done = score(tmp_path, "weak")
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / "entries" / "weak.json").read_text()))
    models = [{row["phase"]: row["models"] for row in entry["scores"]} for entry in found]
    attacked = {"dev": 10, "final": 10, "both": 20}
    assert models == [{"train": 3} | attacked, {"train": 2} | attacked, attacked]
    for entry in found[1:]:
        assert entry["audit"] == found[0]["audit"]
        assert entry["replicates"] == found[0]["replicates"]
        assert entry["scores"][-3:] == found[0]["scores"][-3:]


def test_a_rejected_archive_has_no_scores_and_no_audit(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (tmp_path / "eve.zip").write_bytes(b"PK not a zip")
    assert score(tmp_path, "eve.zip", "submission").returncode == 0
    entry = json.loads((tmp_path / "entries" / "eve.zip.json").read_text())
    assert len(entry["problems"]) == 1
    assert [entry[key] for key in ("scores", "curves", "replicates", "audit")] == [[], {}, {}, {}]


def submitted(folder: Path, *more: object, name: str = "eve") -> dict[str, Any]:
    """The entry of the submission eve.zip, scored as it is planned to be."""
    about = ("--challenges=purchase100_inf", "--scenarios=T1", "--data=made-up")
    about += ("--track=purchase100", f"--participant={name}", f"--splits={folder}/splits.npz")
    about += (f"--privacy={folder}/privacy.json", f"--datasets={folder}/made-up")
    about += ("--phases", 3, 10, 10, f"--submission={folder}/eve.zip")
    done = run("score", *about, *more, f"--output={folder}/eve.json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads((folder / "eve.json").read_text())


def test_a_submission_that_is_gone_or_replaced_ends_in_its_entry(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    planned = ("--state", "0" * 64, "--modified=-7")
    entry = submitted(tmp_path, *planned, name="Jose\u0301")
    assert entry["problems"] == ["the submission: no such file"]
    assert (entry["submitted"], entry["participant"]) == (-7, "Jos\xe9")
    assert "future" not in entry
    (tmp_path / "eve.zip").write_bytes(b"PK not a zip")
    entry = submitted(tmp_path, *planned)
    assert entry["problems"] == ["the submission: another than when the run began; start it again"]
    (tmp_path / "eve.zip").unlink()
    (tmp_path / "eve.zip").symlink_to("weak")
    assert submitted(tmp_path, *planned)["problems"] == [
        "the submission: a link, which is not followed"
    ]


def test_challenges_of_a_track_may_have_different_numbers_of_points(tmp_path: Path) -> None:
    """Each challenge's predictions are checked by its own 2m."""
    path, phases = tmp_path / "a.zip", Phases(2, 1, 1)
    with zipfile.ZipFile(path, "w") as packed:
        for name, points in (("one", 2), ("two", 4)):
            for folder in ("dev/model_2", "final/model_3"):
                row = ",".join(["0.5"] * points)
                packed.writestr(f"{name}/{folder}/prediction.csv", row)
    found = intake.read(path, "all", {"one": 2, "two": 4}, phases)
    assert {name: one.shape for name, one in found.items()} == {"one": (2, 2), "two": (2, 4)}
    with pytest.raises(intake.Rejected, match=r"two/dev/model_2.*: one row of 4, expected one row"):
        intake.read(path, "all", {"one": 2, "two": 2}, phases)


def test_a_submission_that_may_not_be_read_ends_in_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_inputs(tmp_path)
    (tmp_path / "eve.zip").write_bytes(b"PK not a zip")
    opened = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if Path(path).name == "eve.zip":
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    assert submitted(tmp_path, "--state", "cannot be read (Permission denied)")["problems"] == [
        "the submission: cannot be read (Permission denied)"
    ]


@pytest.mark.parametrize("time", [-(10**30), 2**62, 10**30])
def test_a_submissions_time_may_be_anything(tmp_path: Path, time: int) -> None:
    write_inputs(tmp_path)
    (tmp_path / "eve.zip").write_bytes(b"PK not a zip")
    entry = submitted(tmp_path, f"--modified={time}")
    assert (entry["submitted"], entry.get("future", False)) == (time, time > 0)
    assert entries.read(tmp_path / "eve.json").submitted == time


def test_by_hand_a_submission_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    done = score(tmp_path, "eve.zip", "submission")
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {tmp_path}/eve.zip: cannot be read (No such file or directory)\n"
    )
    assert not [*tmp_path.glob("entries/*")]


def test_a_bad_name_and_a_bad_archive_are_both_told(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    (tmp_path / "eve.zip").write_bytes(b"PK not a zip")
    told = submitted(tmp_path, "--taken", "auto", name="AUTO")["problems"]
    assert told[0] == "participant name AUTO: looks like that of a built-in attack"
    assert len(told) == 2


@pytest.mark.parametrize("problem", ["missing", "text"])
def test_a_bad_submission_is_one_line_and_no_output(tmp_path: Path, problem: str) -> None:
    write_inputs(tmp_path)
    path = tmp_path / "weak" / "final" / "model_22" / "prediction.csv"
    if problem == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text().replace(",", ",x", 1))
    done = score(tmp_path, "weak")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"error: {path}: ")
    assert done.stdout == ""
    assert not [*tmp_path.glob("entries/*"), *tmp_path.rglob("*.partial")]
