"""Say how much attacks know of the seeds of a finished run's memberships and training sets.

No search is made: the organiser knows who is a member, and a search of all seeds finds what has log
odds above 0. Of each search a part is timed. Training sets are those of tables and images.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mico.attacks import seed_search
from mico.attacks.computing import outputs
from mico.attacks.formulas.seed_search import evidence_of, strongest
from mico.attacks.given import signals as signals_kind
from mico.attacks.shadows import in_out_moments, pooled_variances, target
from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.challenge.split_file import Splits
from mico.data import store
from mico.networks.build import build
from mico.pages import run_results
from mico.release import prediction_files, reader
from mico.support import program
from mico.support.arrays import Bools, Floats
from mico.support.errors import InputError
from mico.support.progress import progress
from mico.training import engine

JUDGED = 25  # train models whose training sets say what scores are worth
TIMED = (1 << 12, 1 << 14)  # numbers of seeds that are timed
COLUMNS = (
    "what",
    "deviations above chance",
    "log odds: least, median",
    "found",
    "draws of a seed",
    "core hours for all seeds",
    "core minutes a model",
)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="results/<run>, finished")
    args = parser.parse_args()

    run = run_results.read_run(args.run / "run.json")
    phases = Phases(*(run["models"][phase] for phase in ("train", "dev", "final")))
    print(f"| {' | '.join(COLUMNS)} |\n| {' | '.join(['---'] * len(COLUMNS))} |", flush=True)
    for scenario in run["scenarios"]:
        splits = split_file.read(args.run / "private" / scenario["id"] / "splits.npz")
        name, evidence, chosen = _members(args.run, scenario, phases, splits)
        m = evidence.shape[1] // 2
        search: Callable[[int], object] = partial(_members_search, evidence)
        _print(f"{scenario['id']}, members, by {name}", evidence, chosen, m, search)
        if scenario["n"] > m and "seed_training" not in scenario["disclosed"]:
            evidence, chosen = _training_sets(args.run, scenario, phases, splits)
            size = scenario["n"] - m
            draws = seed_search.head_length(evidence, size)
            search = partial(seed_search.training_sets, evidence, size, 0)
            _print(f"{scenario['id']}, training sets", evidence, chosen, draws, search)


def _print(
    what: str, evidence: Floats, chosen: Bools, draws: int, search: Callable[[int], object]
) -> None:
    """A row: how sure the right seeds are, and how long a search of all would take."""
    odds = seed_search.log_odds(evidence, chosen, seed_search.SEED_BITS)
    above = np.median(seed_search.above_chance(evidence, chosen))
    # Both begin with the same preparations.
    less, more = (_seconds(search, seeds) for seeds in TIMED)
    rate = (TIMED[1] - TIMED[0]) / (more - less)
    hours = 2.0**seed_search.SEED_BITS / rate / 3600
    cells = (
        what,
        f"{above:.1f}",
        f"{odds.min():.1f}, {np.median(odds):.1f}",
        f"{(odds > 0).sum()} of {len(odds)}",
        f"{draws:,}",
        f"{hours:.1f}",
        f"{60 * hours / len(odds):.1f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def _members_search(evidence: Floats, seeds: int) -> object:
    """Try so many seeds, a power of 2."""
    return seed_search.members(evidence, seeds.bit_length() - 1)


def _seconds(search: Callable[[int], object], seeds: int) -> float:
    """Seconds of a processor that so many seeds take, the least of three times."""
    found = []
    for _ in range(3):
        start = time.process_time()
        search(seeds)
        found.append(time.process_time() - start)
    return min(found)


def _members(
    folder: Path, scenario: Mapping[str, Any], phases: Phases, splits: Splits
) -> tuple[str, Floats, Bools]:
    """The attack that says most of points, its evidence of dev and final models', and the truth."""
    place = Path(scenario["track"]) / scenario["challenge"]
    signals = signals_kind.read([folder / "signals" / f"{place}.npz"], phases)
    others = {
        path.name: prediction_files.read(path / place, phases, splits.membership.shape[1])
        for path in sorted((folder / "predictions").iterdir())
        if path.name != "auto" and (path / place).is_dir()
    }
    if not others:
        raise InputError(f"{folder}: no predictions for {place}")
    name, evidence = strongest(signals, others)
    return name, evidence[phases.train :], splits.membership[phases.train :]


def _training_sets(
    folder: Path, scenario: Mapping[str, Any], phases: Phases, splits: Splits
) -> tuple[Floats, Bools]:
    """Evidence of all records but the challenge points, of dev and final models, and the truth.

    The score is how far a record's margin is above the middle of its IN and OUT models', in their
    standard deviations pooled over records.
    """
    dataset = store.read(folder / "data" / scenario["data"])
    architecture = build(scenario["architecture"], dataset.description, 32, "float32")
    records = engine.load(architecture, dataset, torch.device("cpu"))
    everything = np.arange(len(records.labels))
    every = records.take(everything[None])
    place = folder / "challenge" / scenario["track"] / scenario["challenge"]
    sums = folder / "checksums" / scenario["track"] / f"{scenario['challenge']}.sha256"
    models = reader.models(place, phases, architecture, torch.device("cpu"), sums)
    margin = np.stack(
        [
            outputs.on_labels(architecture, parameters, every)[1, 0]
            for parameters in progress(models, phases.models, f"{scenario['id']}: models")
        ]
    )
    shadows = np.arange(phases.train)
    rows, truth = [], []
    for model in [*range(min(JUDGED, phases.train)), *range(phases.train, phases.models)]:
        one = target(margin, shadows, splits.trained[shadows], model, everything)
        inside, outside = in_out_moments(one)
        deviation = np.sqrt(np.mean(pooled_variances(inside, outside)))
        rest = np.delete(everything, splits.challenge[model])
        rows.append(((one.own - (inside.mean + outside.mean) / 2) / deviation)[rest])
        truth.append(splits.trained[model, rest])
    judged = min(JUDGED, phases.train)
    evidence = evidence_of(np.stack(rows), np.stack(truth)[:judged])
    return evidence[judged:], np.stack(truth)[judged:]


if __name__ == "__main__":
    program.run(main)
