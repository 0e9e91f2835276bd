"""Train some of a challenge's shared reference models, as a participant would."""

import numpy as np
import torch

from mico import (
    arrays,
    command_line,
    datasets,
    participant,
    recipe,
    reference_training,
    released,
    training,
)
from mico.architecture import build
from mico.command_line import InputError
from mico.device import choose
from mico.phases import Phases
from mico.shared_references import SharedReferences


@torch.no_grad()
def main() -> None:
    parser = participant.parser(__doc__, "shared references .npz")
    recipe.add_arguments(parser, "reference model")
    args = parser.parse_args()

    if not 0 <= args.first <= args.last:
        raise InputError(f"models {args.first} to {args.last}: expected the first not after it")
    options = recipe.options(args)
    dataset = datasets.read(args.data)
    architecture = build(
        args.architecture, dataset.description, args.physical_batch_size, args.precision
    )
    records = training.load(architecture, dataset, choose(args.device))
    size = len(records.labels)
    seeds = released.read_seeds(args.challenge, Phases(*args.phases), size, args.n, args.m)
    (loss, margin), trained = reference_training.train_shared(
        architecture,
        records,
        args.challenge.name,
        np.unique(seeds.challenge),
        args.n,
        range(args.first, args.last + 1),
        options,
    )
    arrays.write(args.output, SharedReferences(loss, margin, trained))


if __name__ == "__main__":
    command_line.run(main)
