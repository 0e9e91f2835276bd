"""Train reference models for some of a challenge's models, as a participant would."""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from mico import (
    arrays,
    command_line,
    datasets,
    outputs,
    privacy,
    reference_training,
    released,
    training,
)
from mico.architecture import build
from mico.attacks.shadows import target
from mico.command_line import InputError, progress
from mico.device import choose
from mico.phases import Phases
from mico.references import References
from mico.training import TrainingOptions


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--architecture", required=True, help="mlp, cnn or cnn/<divisor>")
    parser.add_argument(
        "--physical-batch-size",
        type=int,
        required=True,
        help="on how many examples of each model a CNN computes at a time: its memory",
    )
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--first", type=int, required=True, help="the first target's number")
    parser.add_argument("--last", type=int, required=True, help="the last target's number")
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
    parser.add_argument(
        "--options", required=True, help="JSON of mico.training.TrainingOptions without the noise"
    )
    parser.add_argument("--count", type=int, required=True, help="reference models of each target")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help="references .npz to write")
    args = parser.parse_args()

    device, phases = choose(args.device), Phases(*args.phases)
    if not 0 <= args.first <= args.last < phases.models:
        raise InputError(f"models {args.first} to {args.last}: expected 0 to {phases.models - 1}")
    if args.count < 2:
        raise InputError(f"count {args.count}: expected at least 2, with and without each point")
    targets = range(args.first, args.last + 1)
    noise = privacy.read(args.privacy).noise_multiplier
    options = TrainingOptions(**json.loads(args.options), noise_multiplier=noise)
    dataset = datasets.read(args.data)
    architecture = build(args.architecture, dataset.description, args.physical_batch_size)
    records = training.load(architecture, dataset, device)
    size = len(records.labels)
    seeds = released.read_seeds(args.challenge, phases, size, args.n, args.m)
    given_away = len(seeds.training) == phases.models
    if not given_away:
        every = records.take(np.arange(size)[None])
        margin = np.zeros((phases.models, size), np.float32)
        models = released.models(args.challenge, phases, architecture, device)
        for model, parameters in enumerate(models):
            if model < phases.train or model in targets:
                margin[model] = outputs.on_labels(architecture, parameters, every)[1, 0]

    values, trained = [], []
    for model in progress(targets, len(targets), "targets"):
        challenge = seeds.challenge[model]
        about = (architecture, records, f"{args.challenge.name}/{model}", challenge)
        if given_away:
            known = seeds.training[model]
            found = reference_training.train_known(*about, known, args.count, options)
        else:
            shadows = target(margin, seeds.trained, model, np.arange(size))
            found = reference_training.train_inferred(
                *about, shadows, args.n - args.m, args.count, options
            )
        values.append(found[0])
        trained.append(found[1])
    loss, margin = np.stack(values, axis=1)
    arrays.write(args.output, References(np.array(targets), loss, margin, np.stack(trained)))


if __name__ == "__main__":
    command_line.run(main)
