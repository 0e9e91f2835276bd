"""Train some of a challenge's shared reference models, as a participant would."""

import numpy as np
import torch

from mico.attacks import reference_training
from mico.attacks.computing import arguments
from mico.attacks.given.shared_references import SharedReferences
from mico.challenge.phases import Phases
from mico.data import store
from mico.networks.build import build
from mico.privacy import budget
from mico.release import reader
from mico.support import arrays, program
from mico.support.errors import InputError
from mico.training import arguments as training_arguments
from mico.training import engine
from mico.training.device import choose


@torch.no_grad()
def main() -> None:
    parser = arguments.parser(__doc__, "shared references .npz")
    training_arguments.add(parser, "reference model")
    args = parser.parse_args()

    if not 0 <= args.first <= args.last:
        raise InputError(f"models {args.first} to {args.last}: expected the first not after it")
    recipe = training_arguments.recipe(args)
    options = recipe.options(budget.read(args.privacy).noise_multiplier)
    dataset = store.read(args.data)
    architecture = build(
        recipe.architecture, dataset.description, recipe.physical_batch_size, recipe.precision
    )
    records = engine.load(architecture, dataset, choose(args.device))
    size = len(records.labels)
    released = args.challenge, Phases(*args.phases)
    seeds = reader.read_splits(*released, size, recipe.n, recipe.m, args.checksums)
    (loss, margin), trained = reference_training.train_shared(
        architecture,
        records,
        args.challenge.name,
        np.unique(seeds.challenge),
        recipe.n,
        range(args.first, args.last + 1),
        options,
    )
    arrays.write(args.output, SharedReferences(loss, margin, trained))


if __name__ == "__main__":
    program.run(main)
