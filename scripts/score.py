"""Score all submissions to a challenge: every published metric, phase by phase, with intervals."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from mico import command_line, scoring, submissions
from mico.atomic import atomic_file
from mico.command_line import progress
from mico.membership import read
from mico.phases import PHASES, Phases

CURVE_POINTS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--challenge", required=True, help="its published name")
    parser.add_argument("--track", required=True)
    parser.add_argument("--data", required=True, help="the name of its data set")
    parser.add_argument("--splits", type=Path, required=True, help="the scenario's splits.npz")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--participants", nargs="+", required=True, help="names, in order")
    parser.add_argument("--submissions", type=Path, nargs="+", required=True, help="directories")
    parser.add_argument("--scores", type=Path, required=True, help=".csv to write")
    parser.add_argument("--curves", type=Path, required=True, help=".json of ROC curves to write")
    args = parser.parse_args()

    phases = Phases(*args.phases)
    membership = read(args.splits).membership
    about = {name: getattr(args, name) for name in ("scenario", "challenge", "track", "data")}
    rows, curves = [], {}
    entries = list(zip(args.participants, args.submissions, strict=True))
    for participant, directory in progress(entries, len(entries), f"{args.scenario} submissions"):
        predictions = submissions.read(directory, phases, membership.shape[1])
        for phase, models in _model_sets(phases):
            values = _score(predictions[models], membership[models])
            rows.append(
                about | {"participant": participant, "phase": phase, "models": len(models)} | values
            )
        attacked = dict(_model_sets(phases))["both"]
        curves[participant] = _curve(attacked, predictions[attacked], membership[attacked])

    with atomic_file(args.scores) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    with atomic_file(args.curves) as temporary:
        content = {"scenario": args.scenario, "participants": curves}
        temporary.write_text(json.dumps(content) + "\n")


def _model_sets(phases: Phases) -> Iterator[tuple[str, np.ndarray]]:
    for phase in PHASES:
        yield phase, np.array(phases.of(phase))
    yield "both", np.concatenate([phases.of("dev"), phases.of("final")])


def _score(predictions: np.ndarray, membership: np.ndarray) -> dict[str, float]:
    values = scoring.metrics(scoring.roc(predictions, membership, np.ones(len(predictions))))
    low, high = scoring.bootstrap(predictions, membership)
    columns = {}
    for number, metric in enumerate(scoring.METRICS):
        columns |= {
            metric: values[number],
            f"{metric}_low": low[number],
            f"{metric}_high": high[number],
        }
    return columns


def _curve(models: np.ndarray, predictions: np.ndarray, membership: np.ndarray) -> dict:
    """The ROC thinned evenly on a logarithmic FPR axis, with each published FPR; models' TPRs."""
    curve = scoring.roc(predictions, membership, np.ones(len(models)))
    even = np.geomspace(1 / (~membership).sum(), 1, CURVE_POINTS - 2 - len(scoring.FPRS))
    wanted = np.concatenate([[0.0], even, scoring.FPRS])
    last = np.searchsorted(curve.fpr, wanted + 1e-12, side="right") - 1
    kept = np.unique(np.append(0, last))
    called = predictions >= scoring.headline_threshold(curve)
    tprs = (called & membership).sum(axis=1) / membership.sum(axis=1)
    return {
        "fpr": curve.fpr[kept].round(6).tolist(),
        "tpr": curve.tpr[kept].round(6).tolist(),
        "models": {
            str(model): round(tpr, 6) for model, tpr in zip(models, tprs.tolist(), strict=True)
        },
    }


if __name__ == "__main__":
    command_line.run(main)
