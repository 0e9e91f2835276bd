"""Train a shard of a scenario's models, and measure their accuracy."""

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mico import checkpoint, command_line, datasets, privacy, seeds, splits, training, weights
from mico.atomic import atomic_file
from mico.command_line import InputError, Meter
from mico.datasets import Dataset
from mico.device import choose
from mico.mlp import MLP
from mico.source_hash import source_hash
from mico.training import State, TrainingOptions

# What a killed job loses at most, when an epoch takes no longer.
CHECKPOINT_SECONDS = 20.0


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--seeds", type=Path, required=True, help="the scenario's seeds.csv")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument("--first", type=int, required=True, help="the shard's first model")
    parser.add_argument("--last", type=int, required=True, help="the shard's last model")
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
    parser.add_argument(
        "--options", required=True, help="JSON of mico.training.TrainingOptions without the noise"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--weights", type=Path, required=True, help=".npz to write")
    parser.add_argument("--rows", type=Path, required=True, help=".csv to write, a row per model")
    args = parser.parse_args()

    device = choose(args.device)
    dataset = datasets.read(args.data)
    spent = asdict(privacy.read(args.privacy))
    options = TrainingOptions(
        **json.loads(args.options), noise_multiplier=spent["noise_multiplier"]
    )
    all_seeds = seeds.read(args.seeds)
    if not 0 <= args.first <= args.last < len(all_seeds):
        raise InputError(f"models {args.first} to {args.last}: expected 0 to {len(all_seeds) - 1}")
    own_seeds = {model: all_seeds[model] for model in range(args.first, args.last + 1)}
    saved = args.weights.with_suffix(".checkpoint.npz")
    state_dicts, rows = _train(dataset, own_seeds, args.n, args.m, options, device, saved)

    weights.write_shard(args.weights, state_dicts)
    rows = [{"scenario": args.scenario} | row | spent for row in rows]
    with atomic_file(args.rows) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    saved.unlink(missing_ok=True)


def _train(
    dataset: Dataset,
    own_seeds: Mapping[int, Mapping[str, int]],
    n: int,
    m: int,
    options: TrainingOptions,
    device: torch.device,
    saved: Path,
) -> tuple[Sequence[weights.StateDict], Sequence[Mapping[str, Any]]]:
    """The models' weights and what is reported of each; `saved` is the job's checkpoint."""
    job = _identity(dataset, own_seeds, n, m, options, device)
    done = checkpoint.read(saved, job, device)
    records = training.load(dataset, device)
    architecture = MLP(dataset.description.features, dataset.description.classes)
    count, names = len(own_seeds), list(own_seeds)
    what = f"models {names[0]}-{names[-1]}"
    per_model = options.epochs * n
    meter = Meter(what, count * per_model, _records(done, per_model, n))
    last_saved = time.monotonic()

    # A GPU advances a whole shard in batched products; on a CPU a model goes alone, so that its
    # bits do not depend on which others share its products.
    size = 1 if device.type == "cpu" else count
    while len(done.rows) < count:
        group = names[len(done.rows) :][:size]
        start = time.monotonic() - done.seconds
        sets = [
            splits.split(dataset.description.records, n, m, own_seeds[model]) for model in group
        ]

        def keep(state: State, start: float = start) -> None:
            nonlocal last_saved
            done.state, done.seconds = state, time.monotonic() - start
            if time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                checkpoint.write(saved, job, done)
                last_saved = time.monotonic()
            meter.update(
                _records(done, per_model, n),
                lambda rate: f"{len(done.rows)} of {count}, {rate:,.0f} records/s",
            )

        parameters = training.train(
            architecture,
            records,
            [split.training_set for split in sets],
            [own_seeds[model]["seed_model"] for model in group],
            options,
            done.state,
            keep,
        )
        for number, (model, split) in enumerate(zip(group, sets, strict=True)):
            one = {name: value[number : number + 1] for name, value in parameters.items()}
            row = {"model": model}
            for name, indices in (
                ("training_accuracy", split.training_set),
                ("evaluation_accuracy", split.evaluation),
            ):
                row[name] = training.accuracy(architecture, one, records, indices)
            row["seconds"] = round(done.seconds / len(group), 3)
            done.rows.append(row | {"device": device.type})
        done.state_dicts += architecture.to_state_dicts(parameters)
        done.state, done.seconds = None, 0.0
    meter.finish(f"{count} of {count}")
    return done.state_dicts, done.rows


def _records(done: checkpoint.Checkpoint, per_model: int, n: int) -> int:
    """How many records have been trained on."""
    finished = len(done.rows) * per_model
    return finished + len(done.state.weights) * done.state.epochs * n if done.state else finished


def _identity(
    dataset: Dataset,
    own_seeds: Mapping[int, Mapping[str, int]],
    n: int,
    m: int,
    options: TrainingOptions,
    device: torch.device,
) -> str:
    """A hash of all that decides what the models become."""
    data = hashlib.sha256(dataset.packed)
    data.update(dataset.labels)
    decisive = [asdict(dataset.description), data.hexdigest()]
    decisive += [dict(own_seeds), n, m, asdict(options)]
    decisive += [str(device), torch.__version__, source_hash(Path(__file__))]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


if __name__ == "__main__":
    command_line.run(main)
