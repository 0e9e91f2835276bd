"""The scores of entries: rows, curves and audits of each, and comparisons of any two."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from mico.challenge.phases import PHASES, Phases
from mico.scoring import curves, metrics
from mico.scoring.audit import audit
from mico.scoring.curves import Curves
from mico.scoring.entries import Entry, Row, pooled

CURVE_POINTS = 400
# Metrics whose replicates are kept: scoreboards rank by dev or final, pairs are compared on both.
REPLICATED = {"dev": (metrics.HEADLINE,), "final": (metrics.HEADLINE,)}
COMPARISON = ("scenario", "metric", "participant", "other", "difference", "low", "high")


@dataclass(frozen=True)
class Challenge:
    """What predictions for a challenge are scored with."""

    name: str
    scenario: str
    data: str
    membership: np.ndarray  # (models, 2m) bool
    classes: np.ndarray  # (models, 2m)
    delta: float | None  # the scenario's; None without DP
    solved: bool = True  # the memberships of dev and final models are known


def score(entry: Entry, phases: Phases, challenge: Challenge, predictions: np.ndarray) -> Entry:
    """The entry with its scores in this challenge as well.

    Args:
        predictions: (models, 2m); rows of train models that are left out are not a number.
    """
    models = {phase: np.array(phases.of(phase)) for phase in PHASES}
    models["both"] = np.concatenate([models["dev"], models["final"]])
    if not challenge.solved:
        models = {"train": models["train"]}
    attacked = given(models, predictions)
    about = {"scenario": challenge.scenario, "challenge": challenge.name, "track": entry.track}
    about |= {"data": challenge.data, "participant": entry.participant}
    found_rows, rocs, replicates = _score(about, attacked, predictions, challenge.membership)
    scored = replace(
        entry,
        scores=[*entry.scores, *found_rows],
        curves={**entry.curves, challenge.name: rocs},
        replicates={**entry.replicates, challenge.name: replicates},
    )
    if "both" not in attacked:  # it takes thresholds from dev and looks at them on final
        return scored
    found = audit(
        challenge.name,
        attacked,
        predictions,
        challenge.membership,
        challenge.classes,
        challenge.delta,
    )
    return replace(scored, audit={**entry.audit, challenge.name: found})


def given(phases: Mapping[str, np.ndarray], predictions: np.ndarray) -> dict[str, np.ndarray]:
    """The models of each phase that have predictions; a phase without any is left out."""
    there = ~np.isnan(predictions[:, 0])
    return {phase: own[there[own]] for phase, own in phases.items() if there[own].any()}


def rows(
    about: Mapping[str, str],
    phases: Mapping[str, np.ndarray],
    predictions: np.ndarray,
    membership: np.ndarray,
) -> list[Row]:
    """A row for each phase, of every metric with its interval; arguments as of `_score`."""
    return _score(about, phases, predictions, membership)[0]


def _score(
    about: Mapping[str, str],
    phases: Mapping[str, np.ndarray],
    predictions: np.ndarray,
    membership: np.ndarray,
) -> tuple[list[Row], dict[str, Any], dict[str, dict[str, list[float]]]]:
    """An entry's rows, curves and replicates for one challenge, as `Entry` has them.

    Args:
        about: the first columns of each row; must hold `challenge`.
        phases: the models of each phase to score, as rows of the next two.
        predictions: (models, 2m); membership: (models, 2m) bool.
    """
    rows: list[Row] = []
    rocs: dict[str, Any] = {}
    replicates: dict[str, dict[str, list[float]]] = {}
    drawn = pooled(phases)
    for phase, models in phases.items():
        chosen, truth = predictions[models], membership[models]
        roc = curves.roc(chosen, truth, np.ones(len(models)))
        resampled = metrics.bootstrap(chosen, truth, about["challenge"])
        row: Row = {**about, "phase": phase, "models": len(models)}
        for name, value in metrics.metrics(roc).items():
            row[name] = float(value)
            row[f"{name}_low"], row[f"{name}_high"] = curves.interval(resampled[name]).tolist()
        rows.append(row)
        rocs[phase] = _thinned(roc, (~truth).sum())
        if phase == drawn:
            rocs[phase]["models"] = {
                metric: _by_model(
                    chosen, truth, models, curves.threshold(roc, metrics.RATES[metric])
                )
                for metric in metrics.COMPARED
            }
        kept = metrics.COMPARED if phase == drawn else REPLICATED.get(phase)
        if kept:
            replicates[phase] = {metric: resampled[metric].round(6).tolist() for metric in kept}
    return rows, rocs, replicates


def _by_model(
    predictions: np.ndarray, membership: np.ndarray, models: np.ndarray, threshold: float
) -> dict[str, float]:
    """The TPR of each model at a threshold."""
    tprs = ((predictions >= threshold) & membership).sum(axis=1) / membership.sum(axis=1)
    return {str(model): round(float(tpr), 6) for model, tpr in zip(models, tprs, strict=True)}


def _thinned(roc: Curves, nonmembers: int) -> dict[str, list[float]]:
    """The ROC thinned evenly on a logarithmic FPR axis, with each published FPR."""
    even = np.geomspace(1 / nonmembers, 1, CURVE_POINTS - 2 - len(metrics.FPRS))
    wanted = np.concatenate([[0.0], even, metrics.FPRS])
    last = np.searchsorted(roc.fpr, wanted + curves.SLACK, side="right") - 1
    kept = np.unique(np.append(0, last))
    return {"fpr": roc.fpr[kept].round(6).tolist(), "tpr": roc.tpr[kept].round(6).tolist()}


def comparisons(entries: Sequence[Entry], challenges: Iterable[str]) -> list[tuple[Any, ...]]:
    """A row of `COMPARISON` for each challenge, metric and pair of entries, in the given order.

    Both of a pair are scored on the same models, and most of their ups and downs come from those:
    the 95 % interval of their difference, on dev and final together, or on train where these are
    not known, is one of differences resample by resample. Some attacks leave out train models, and
    are not compared there.
    """
    table = []
    for challenge in challenges:
        scored = [
            (row, entry.replicates[challenge][row["phase"]])
            for entry in entries
            for row in entry.scores
            if row["challenge"] == challenge and row["phase"] == pooled(entry.curves[challenge])
        ]
        for metric in metrics.COMPARED:
            sampled = [(row, np.array(replicates[metric])) for row, replicates in scored]
            for (row, replicates), (other, others) in combinations(sampled, 2):
                if row["models"] != other["models"]:
                    continue
                values = [row[metric] - other[metric], *curves.interval(replicates - others)]
                names = row["scenario"], metric, row["participant"], other["participant"]
                table.append((*names, *(round(float(value), 6) for value in values)))
    return table
