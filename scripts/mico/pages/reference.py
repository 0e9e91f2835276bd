"""Reference results: what is kept of a run, and whether another run agrees with it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pandas as pd

from mico.pages import run_results
from mico.pages.budgets import ACCURACIES
from mico.pages.run_results import BOUNDS, CEILINGS, Pairs, Results, rows_of
from mico.scoring import curves
from mico.scoring.entries import Row
from mico.scoring.metrics import COMPARED, RATES, TITLES
from mico.support.errors import InputError

# What is copied of a run's folder, and what is made of it.
COPIED = ("run.json", "scores.csv", "comparisons.csv", "notes.json")
TABLE = "scenarios.csv"
MADE = "made.json"  # machine, date and commit, and what the run took
MADE_KEYS = ["machine", "date", "commit", "process_seconds", "peak_mb", "span_seconds"]
CONFIDENCE = 0.99  # that all scores of two runs of the same settings agree
SINGLE = NormalDist().inv_cdf((1 + curves.CONFIDENCE) / 2)  # half of an interval's width


@dataclass(frozen=True, eq=False)
class Reference:
    """What is kept of a run."""

    run: dict[str, Any]  # how it was configured, run.json
    made: dict[str, Any]  # on which machine, when, by which commit, and what it took
    scores: pd.DataFrame  # a row per (scenario, participant, phase)
    pairs: dict[tuple[str, str], Pairs]  # (scenario, metric) -> paired differences
    notes: dict[str, dict[str, str]]  # scenario -> participant -> what it did, after its name
    scenarios: pd.DataFrame  # a row per scenario, of `scenarios`


@dataclass(frozen=True)
class Pair:
    """A number of a run, and the same one in the reference."""

    scenario: str
    what: str
    here: float
    reference: float
    allowed: float  # how far apart they may be


@dataclass(frozen=True)
class Agreement:
    """How a run compares with reference results."""

    settings: list[str]  # what differs in how the two were made
    pairs: list[Pair]  # of scenarios and attacks that are the same

    @property
    def outside(self) -> list[Pair]:
        """The numbers that are further apart than their intervals allow."""
        return [pair for pair in self.pairs if not abs(pair.here - pair.reference) <= pair.allowed]

    @property
    def within(self) -> bool:
        """Whether there is something to compare, and nothing is outside."""
        return bool(self.pairs) and not self.outside

    @property
    def verdict(self) -> str:
        """The same in a sentence."""
        if not self.pairs:
            return "no scenario has the settings of the reference"
        equal = sum(abs(pair.here - pair.reference) < 5e-7 for pair in self.pairs)
        found = f"{len(self.outside) or 'none'} of {len(self.pairs)} numbers outside, {equal} equal"
        return f"{'within' if self.within else 'not within'} the intervals ({found})"


def scenarios(results: Results) -> pd.DataFrame:
    """What each scenario of a run came to, beside its scores: a row each.

    Noise and ceilings are missing without DP, accuracies and seconds where nothing was trained. A
    ceiling is at FPR .1, an accuracy's error its standard error over the models, and a bound of
    epsilon the largest that any participant proves.
    """
    rows = []
    for name in results.ids:
        models = results.models[results.models.scenario == name]
        audits = results.audit.get(name, {}).values()
        row: Row = {"scenario": name, "models": len(models)}
        if name in results.privacy:
            spent = results.privacy[name]
            row |= {"noise_multiplier": spent.noise_multiplier, "epsilon": spent.epsilon_spent}
        for accuracy in ACCURACIES:
            row[accuracy] = models[accuracy].mean()
            row[f"{accuracy}_error"] = models[accuracy].sem()
        row |= {"seconds_median": models.seconds.median(), "seconds_least": models.seconds.min()}
        row |= {kind: results.ceiling(name, kind, RATES[COMPARED[0]]) for kind in CEILINGS}
        row |= {bound: max((one[bound] for one in audits), default=None) for bound in BOUNDS}
        rows.append(row)
    return pd.DataFrame(rows)


def read(folder: Path) -> Reference:
    """Read reference results, `reference/<run>`.

    Raises:
        InputError: a file is missing or not of its form.
    """
    for name in (*COPIED, TABLE, MADE):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: not reference results: {name} is missing")
    table = run_results.read_table(folder / TABLE, ["scenario"], ["models"], ["scenario"])
    for column in table.columns.drop("scenario"):
        table[column] = pd.to_numeric(table[column])
    return Reference(
        run_results.read_run(folder / "run.json"),
        run_results.read_json(folder / MADE, MADE_KEYS),
        run_results.read_scores(folder / "scores.csv"),
        run_results.read_comparisons(folder / "comparisons.csv"),
        run_results.read_notes(folder / "notes.json"),
        table,
    )


def agreement(results: Results, reference: Reference) -> Agreement:
    """Compare a run with reference results, where settings are the same.

    Two scores may be as far apart as the root of the sum of the squares of their half intervals,
    and two mean accuracies as that of their standard errors, widened until all numbers of two
    independent runs agree with a probability of `CONFIDENCE` or more (Bonferroni). Runs of the same
    seeds have more in common, and are nearer to each other.
    """
    same, settings = _settings(results.run, reference.run)
    attacks = [{one["name"]: one for one in run["attacks"]} for run in (results.run, reference.run)]
    other_attacks = [
        name for name in attacks[0] if name in attacks[1] and attacks[0][name] != attacks[1][name]
    ]
    settings += [f"attack {name}: other options" for name in other_attacks]
    pairs = [
        *_accuracies(scenarios(results), reference.scenarios, same),
        *_scores(results.scores, reference.scores, same, other_attacks),
    ]
    widened = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(len(pairs), 1)) / SINGLE
    return Agreement(settings, [replace(pair, allowed=pair.allowed * widened) for pair in pairs])


def _settings(run: Mapping[str, Any], reference: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The scenarios whose settings are the same, and what differs in the others."""
    ours, theirs = ({one["id"]: one for one in each["scenarios"]} for each in (run, reference))
    differing = [
        f"{name}: {key} {ours[name].get(key)}, and {theirs[name].get(key)} in the reference"
        for name in ours
        if name in theirs
        for key in {**ours[name], **theirs[name]}
        if ours[name].get(key) != theirs[name].get(key)
    ]
    ours_models, theirs_models = run.get("models"), reference.get("models")
    if ours_models != theirs_models:
        differing.append(f"models: {ours_models}, and {theirs_models} in the reference")
        return [], differing
    same = [name for name in ours if ours[name] == theirs.get(name)]
    return same, differing


def _accuracies(here: pd.DataFrame, reference: pd.DataFrame, same: list[str]) -> Iterator[Pair]:
    ours, theirs = ({row["scenario"]: row for row in rows_of(table)} for table in (here, reference))
    for name, accuracy in product(same, ACCURACIES):
        one, other = ours[name], theirs[name]
        if one["models"]:
            error = math.hypot(one[f"{accuracy}_error"], other[f"{accuracy}_error"])
            yield Pair(
                name, accuracy.replace("_", " "), one[accuracy], other[accuracy], error * SINGLE
            )


def _scores(
    here: pd.DataFrame, reference: pd.DataFrame, same: list[str], other_attacks: list[str]
) -> Iterator[Pair]:
    ours, theirs = (
        {
            (row["scenario"], row["participant"]): row
            for row in rows_of(table[table.phase == "both"])
        }
        for table in (here, reference)
    )
    for (name, participant), metric in product(ours, COMPARED):
        if name in same and participant not in other_attacks and (name, participant) in theirs:
            one, other = ours[name, participant], theirs[name, participant]
            low, high = sorted([one, other], key=lambda row: float(row[metric]))
            facing = low[f"{metric}_high"] - low[metric], high[metric] - high[f"{metric}_low"]
            what = f"{participant}, {TITLES[metric]}"
            yield Pair(name, what, one[metric], other[metric], math.hypot(*facing))
