"""Train reference models for some of a challenge's models, as a participant would."""

import numpy as np
import torch

from mico.attacks import reference_training
from mico.attacks.computing import arguments, outputs
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.shadows import target
from mico.challenge.phases import Phases
from mico.data import store
from mico.networks.build import build
from mico.privacy import budget
from mico.release import reader
from mico.support import arrays, program
from mico.support.errors import InputError
from mico.support.progress import progress
from mico.training import arguments as training_arguments
from mico.training import engine
from mico.training.device import choose


@torch.no_grad()
def main() -> None:
    parser = arguments.parser(__doc__, "references .npz")
    training_arguments.add(parser, "target")
    parser.add_argument(
        "--count", type=program.from_1, required=True, help="reference models of each target"
    )
    args = parser.parse_args()

    device, phases = choose(args.device), Phases(*args.phases)
    if not 0 <= args.first <= args.last < phases.models:
        raise InputError(f"models {args.first} to {args.last}: expected 0 to {phases.models - 1}")
    if args.count < 2:
        raise InputError(f"count {args.count}: expected at least 2, with and without each point")
    targets = range(args.first, args.last + 1)
    recipe = training_arguments.recipe(args)
    options = recipe.options(budget.read(args.privacy).noise_multiplier)
    dataset = store.read(args.data)
    architecture = build(
        recipe.architecture, dataset.description, recipe.physical_batch_size, recipe.precision
    )
    records = engine.load(architecture, dataset, device)
    size = len(records.labels)
    seeds = reader.read_splits(args.challenge, phases, size, recipe.n, recipe.m, args.checksums)
    points = seeds.challenge.shape[1]
    if size - points < 2:
        found = f"{points} challenge points of {size} records"
        raise InputError(f"{args.challenge}: {found}, expected 2 others at least, to train on")
    # How many records a model is trained on that are no challenge points.
    others = round(seeds.others[: phases.train].mean())
    given_away = len(seeds.training) == phases.models or others == 0
    if not given_away:
        every = records.take(np.arange(size)[None])
        margin = np.zeros((phases.models, size), np.float32)
        models = reader.models(args.challenge, phases, architecture, device, args.checksums)
        for model, parameters in enumerate(models):
            if model < phases.train or model in targets:
                margin[model] = outputs.on_labels(architecture, parameters, every)[1, 0]

    values, trained, rest = [], [], []
    for model in progress(targets, len(targets), "targets"):
        challenge = seeds.challenge[model]
        about = (architecture, records, f"{args.challenge.name}/{model}", challenge)
        if given_away:
            known = seeds.training.get(model, np.empty(0, np.int64))
            found = reference_training.train_known(*about, known, args.count, options)
        else:
            shadows = target(margin, np.arange(phases.train), seeds.trained, model, np.arange(size))
            found = reference_training.train_inferred(*about, shadows, others, args.count, options)
        values.append(found[0])
        trained.append(found[1])
        rest.append(reference_training.train_rest(*about, options))
    loss, margin = np.stack(values, axis=1)
    rest_loss, rest_margin = np.stack(rest, axis=1)
    found = TargetReferences(
        np.array(targets), loss, margin, np.stack(trained), rest_loss, rest_margin
    )
    arrays.write(args.output, found)


if __name__ == "__main__":
    program.run(main)
