"""Entries of a track: what was submitted, whether it was accepted, and all its scores, as JSON.

An entry is a built-in attack, or one submission of a participant. Its file holds

    participant, track, builtin
    file, submitted    the archive's name and time (UTC); null for a built-in attack
    problems           why it was rejected, a line each; then the rest is empty
    scores             a row per challenge and phase: every metric with its interval
    curves             challenge -> phase -> ROC: fpr, tpr; for `both` also each model's TPR
    replicates         challenge -> phase -> the headline metric on each bootstrap resample
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mico import scoring
from mico.atomic import atomic_file
from mico.command_line import InputError

CURVE_POINTS = 400
# No participant or file may be called so: the workflow and terminals would take it for their own.
UNUSABLE_NAME = re.compile("[<>{}\x00-\x1f\x7f\ud800-\udfff]")
Entry = dict[str, Any]


def score(
    about: Mapping[str, str],
    phases: Mapping[str, np.ndarray],
    predictions: np.ndarray,
    membership: np.ndarray,
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, list[float]]]:
    """An entry's rows, curves and replicates for one challenge.

    Args:
        about: the first columns of each row; must hold `challenge`.
        phases: the models of each phase to score, as rows of the next two.
        predictions: (models, 2m); membership: (models, 2m) bool.
    """
    rows, curves, replicates = [], {}, {}
    for phase, models in phases.items():
        chosen, truth = predictions[models], membership[models]
        curve = scoring.roc(chosen, truth, np.ones(len(models)))
        values = scoring.metrics(curve)
        resampled = scoring.bootstrap(chosen, truth, about["challenge"])
        low, high = scoring.interval(resampled)
        row: dict[str, Any] = {**about, "phase": phase, "models": len(models)}
        for number, metric in enumerate(scoring.METRICS):
            row[metric] = float(values[number])
            row[f"{metric}_low"], row[f"{metric}_high"] = float(low[number]), float(high[number])
        rows.append(row)
        curves[phase] = _thinned(curve, (~truth).sum())
        if phase == "both":
            called = chosen >= scoring.headline_threshold(curve)
            tprs = (called & truth).sum(axis=1) / truth.sum(axis=1)
            curves[phase]["models"] = {
                str(model): round(float(tpr), 6) for model, tpr in zip(models, tprs, strict=True)
            }
        headline = resampled[:, scoring.METRICS.index(scoring.HEADLINE)]
        replicates[phase] = headline.round(6).tolist()
    return rows, curves, replicates


def _thinned(curve: scoring.Curves, nonmembers: int) -> dict[str, list[float]]:
    """The ROC thinned evenly on a logarithmic FPR axis, with each published FPR."""
    even = np.geomspace(1 / nonmembers, 1, CURVE_POINTS - 2 - len(scoring.FPRS))
    wanted = np.concatenate([[0.0], even, scoring.FPRS])
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
            entry["participant"], entry["track"], entry["problems"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not an entry ({error})") from None
        entries.append(entry)
    return entries


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """Of each participant in each track the latest entry that was accepted, in the given order."""
    latest: dict[tuple[str, str], Entry] = {}
    for entry in sorted(entries, key=lambda entry: (entry["submitted"] or "", entry["file"] or "")):
        if not entry["problems"]:
            latest[entry["track"], entry["participant"]] = entry
    return [
        entry for entry in entries if latest.get((entry["track"], entry["participant"])) is entry
    ]
