"""Entries of a track: what was submitted, whether it was accepted, and all its scores, as JSON.

An entry is a built-in attack, or one submission of a participant. Its file holds

    participant, track, builtin
    file, submitted    the archive's name and time (UTC); null for a built-in attack
    problems           why it was rejected, a line each; then the rest is empty
    scores             a row per challenge and phase: every metric with its interval
    curves             challenge -> phase -> ROC: fpr, tpr; for `both` also each model's TPR
    replicates         challenge -> phase -> metric -> its value on each bootstrap resample
    audit              challenge -> what `audit.audit` finds
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from mico.scoring import curves, metrics
from mico.scoring.curves import Curves
from mico.support.atomic import atomic_file
from mico.support.errors import InputError

CURVE_POINTS = 400
# Metrics whose replicates are kept: scoreboards rank by dev or final, pairs are compared on both.
REPLICATED = {"dev": (metrics.HEADLINE,), "final": (metrics.HEADLINE,), "both": metrics.COMPARED}
# No participant or file may be called so: the workflow and terminals would take it for their own.
UNUSABLE_NAME = re.compile("[<>{}\x00-\x1f\x7f\ud800-\udfff]")
COMPARISON = ("scenario", "metric", "participant", "other", "difference", "low", "high")
Entry = dict[str, Any]
Row = dict[str, Any]


def score(
    about: Mapping[str, str],
    phases: Mapping[str, np.ndarray],
    predictions: np.ndarray,
    membership: np.ndarray,
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, dict[str, list[float]]]]:
    """An entry's rows, curves and replicates for one challenge.

    Args:
        about: the first columns of each row; must hold `challenge`.
        phases: the models of each phase to score, as rows of the next two.
        predictions: (models, 2m); membership: (models, 2m) bool.
    """
    rows: list[Row] = []
    rocs: dict[str, Any] = {}
    replicates: dict[str, dict[str, list[float]]] = {}
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
        if phase == "both":
            called = chosen >= curves.threshold(roc, metrics.HEADLINE_FPR)
            tprs = (called & truth).sum(axis=1) / truth.sum(axis=1)
            rocs[phase]["models"] = {
                str(model): round(float(tpr), 6) for model, tpr in zip(models, tprs, strict=True)
            }
        if phase in REPLICATED:
            replicates[phase] = {
                metric: resampled[metric].round(6).tolist() for metric in REPLICATED[phase]
            }
    return rows, rocs, replicates


def _thinned(curve: Curves, nonmembers: int) -> dict[str, list[float]]:
    """The ROC thinned evenly on a logarithmic FPR axis, with each published FPR."""
    even = np.geomspace(1 / nonmembers, 1, CURVE_POINTS - 2 - len(metrics.FPRS))
    wanted = np.concatenate([[0.0], even, metrics.FPRS])
    last = np.searchsorted(curve.fpr, wanted + 1e-12, side="right") - 1
    kept = np.unique(np.append(0, last))
    return {"fpr": curve.fpr[kept].round(6).tolist(), "tpr": curve.tpr[kept].round(6).tolist()}


def write(path: Path, entry: Entry) -> None:
    """Write an entry."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(entry) + "\n", encoding="utf-8")


def read(paths: Iterable[Path]) -> list[Entry]:
    """Read entries.

    Raises:
        InputError: a file is not an entry.
    """
    entries = []
    for path in paths:
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            entry["participant"], entry["track"], entry["builtin"], entry["problems"]
            _time(entry)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not an entry ({error})") from None
        entries.append(entry)
    return entries


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """Of each participant in each track the latest entry that was accepted, in the given order.

    A participant may be called like a built-in attack, and is another one.
    """
    latest = {
        (entry["track"], entry["builtin"], entry["participant"]): entry
        for entry in sorted(entries, key=_time)
        if not entry["problems"]
    }
    kept = {id(entry) for entry in latest.values()}
    return [entry for entry in entries if id(entry) in kept]


def _time(entry: Entry) -> tuple[datetime, str]:
    """By this, one entry is later than another; built-in attacks have no time."""
    submitted = entry["submitted"] and datetime.fromisoformat(entry["submitted"])
    return submitted or datetime.min.replace(tzinfo=UTC), entry["file"] or ""


def comparisons(entries: Sequence[Entry], challenges: Iterable[str]) -> list[tuple[Any, ...]]:
    """A row of `COMPARISON` for each challenge, metric and pair of entries, in the given order.

    The difference of two metrics on dev and final together has a 95 % interval from differences
    resample by resample, as both are scored on the same models and most of their ups and downs
    come from those.
    """
    table = []
    for challenge in challenges:
        scored = [
            (row, entry["replicates"][challenge]["both"])
            for entry in entries
            for row in entry["scores"]
            if (row["challenge"], row["phase"]) == (challenge, "both")
        ]
        for metric in metrics.COMPARED:
            sampled = [(row, np.array(replicates[metric])) for row, replicates in scored]
            for (row, replicates), (other, others) in combinations(sampled, 2):
                values = [row[metric] - other[metric], *curves.interval(replicates - others)]
                names = row["scenario"], metric, row["participant"], other["participant"]
                table.append((*names, *(round(float(value), 6) for value in values)))
    return table
