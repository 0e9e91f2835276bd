"""Train a shard of a scenario's models, and measure their accuracy."""

import argparse
import csv
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch

from mico import command_line, datasets, privacy, seeds, splits, training, weights
from mico.atomic import atomic_file
from mico.command_line import InputError, progress
from mico.device import choose
from mico.mlp import MLP
from mico.training import TrainingOptions


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
    spent = privacy.read(args.privacy)
    options = TrainingOptions(**json.loads(args.options), noise_multiplier=spent.noise_multiplier)
    all_seeds = seeds.read(args.seeds)
    if not 0 <= args.first <= args.last < len(all_seeds):
        raise InputError(f"models {args.first} to {args.last}: expected 0 to {len(all_seeds) - 1}")
    models = range(args.first, args.last + 1)
    records = training.load(dataset, device)
    architecture = MLP(dataset.description.features, dataset.description.classes)

    # A GPU advances a whole shard in batched products; on a CPU a model goes alone, so that its
    # bits do not depend on which others share its products.
    size = 1 if device.type == "cpu" else len(models)
    groups = [models[start : start + size] for start in range(0, len(models), size)]
    state_dicts, rows = [], []
    for group in progress(groups, len(groups), f"{args.scenario} models {args.first}-{args.last}"):
        start = time.perf_counter()
        own = [
            splits.split(dataset.description.records, args.n, args.m, all_seeds[model])
            for model in group
        ]
        parameters = training.train(
            architecture,
            records,
            [split.training_set for split in own],
            [all_seeds[model]["seed_model"] for model in group],
            options,
        )
        seconds = (time.perf_counter() - start) / len(group)
        state_dicts += architecture.to_state_dicts(parameters)
        for number, (model, split) in enumerate(zip(group, own, strict=True)):
            one = {name: value[number : number + 1] for name, value in parameters.items()}
            row = {
                "scenario": args.scenario,
                "model": model,
                "training_accuracy": training.accuracy(
                    architecture, one, records, split.training_set
                ),
                "evaluation_accuracy": training.accuracy(
                    architecture, one, records, split.evaluation
                ),
                "seconds": round(seconds, 3),
                "device": device.type,
            }
            rows.append(row | asdict(spent))

    weights.write_shard(args.weights, state_dicts)
    with atomic_file(args.rows) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    command_line.run(main)
