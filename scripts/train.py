"""Train a shard of a scenario's models, and measure their accuracy."""

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mico.challenge import draws, memberships, model_table, seeds, splits
from mico.challenge.draws import Draw
from mico.challenge.memberships import Memberships
from mico.challenge.recipe import Recipe, TrainingOptions
from mico.challenge.splits import Split
from mico.data import store
from mico.data.store import Dataset
from mico.networks import pretrained
from mico.networks.architecture import Architecture
from mico.networks.build import build
from mico.networks.facts import sources
from mico.privacy import budget
from mico.support import private, program
from mico.support.errors import InputError
from mico.support.progress import Meter
from mico.support.source_hash import source_hash
from mico.training import arguments, checkpoint, engine, memory
from mico.training.device import choose
from mico.training.engine import State

# What a killed job loses at most, when a step takes no longer ...
CHECKPOINT_SECONDS = 20.0
# ... and the checkpoint of large models not either: it may cost a twentieth of the time.
CHECKPOINT_PAUSE = 20.0  # times as long as it takes to write


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument(
        "--seeds", type=Path, required=True, help="a CSV with the seeds of its models"
    )
    parser.add_argument(
        "--draws", type=Path, nargs="*", default=[], help="draws.npz, for what no seed says"
    )
    parser.add_argument(
        "--memberships", type=Path, nargs="*", default=[], help="memberships.npz, in place of seeds"
    )
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    arguments.add(parser, "model")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--models", type=Path, required=True, help="the directory to write")
    parser.add_argument("--rows", type=Path, required=True, help=".csv to write, a row per model")
    args = parser.parse_args()

    device = choose(args.device)
    if not 0 <= args.first <= args.last:
        raise InputError(f"models {args.first} to {args.last}: expected the first not after it")
    dataset = store.read(args.data)
    job = Job(
        dataset,
        arguments.recipe(args),
        budget.read(args.privacy).noise_multiplier,
        seeds.read_shard(args.seeds, args.scenario, args.first, args.last),
        device,
        draws.read(args.draws, dataset.description.records),
        memberships.read(args.memberships, args.last + 1),
    )
    architecture = job.architecture()  # a checkpoint that it downloads is everybody's
    # Weights are secret until they are released, and so is what is reported of them.
    with private.only_for_owner(args.models):
        saved, rows = _train(job, architecture, args.models)
        model_table.write(args.rows, [row | {"scenario": args.scenario} for row in rows])
        checkpoint.finish(saved, args.models)
        # Else Snakemake makes it, as the umask wants it.
        (args.models / private.TIMESTAMP).touch()


@dataclass(frozen=True)
class Job:
    """All that decides what a shard's models become."""

    dataset: Dataset
    recipe: Recipe
    noise_multiplier: float | None
    seeds: Mapping[int, Mapping[str, int]]  # by model
    device: torch.device
    draws: Mapping[int, Draw] = field(default_factory=dict)  # by model, in the place of seeds
    given: Memberships | None = None  # in the place of all seeds but seed_model

    def architecture(self) -> Architecture:
        """The network that is trained."""
        recipe = self.recipe
        return build(
            *(recipe.architecture, self.dataset.description),
            *(recipe.physical_batch_size, recipe.precision),
        )

    def split(self, model: int) -> Split:
        """Who is in a model's training set and who is not."""
        recipe, records = self.recipe, self.dataset.description.records
        if self.given is not None:
            return splits.as_given(records, self.given, model)
        drawn = self.draws.get(model)
        split = splits.split(records, recipe.n, recipe.m, self.seeds[model], drawn)
        return replace(split, training_set=split.training_set[recipe.m * recipe.null_run :])

    @property
    def identities(self) -> dict[int, str]:
        """For each model a hash of all that decides what it becomes."""
        common: list[object] = [asdict(self.dataset.description), self.dataset.sums]
        common += [asdict(self.recipe), self.noise_multiplier, self.device.type]
        for file in pretrained.files(self.recipe.architecture):
            with file.open("rb") as opened:
                common += [file.name, hashlib.file_digest(opened, "sha256").hexdigest()]
        common += [
            torch.__version__,
            source_hash(Path(__file__), *sources(self.recipe.architecture)),
        ]
        return {
            model: hashlib.sha256(json.dumps([*common, self._own(model)]).encode()).hexdigest()
            for model in self.seeds
        }

    def _own(self, model: int) -> dict[str, object]:
        """What decides what a model becomes that others do not have."""
        if self.given is not None:
            seed = self.seeds[model]["seed_model"]
            return {"seed_model": seed, "memberships": self.given.digest(model)}
        drawn = self.draws.get(model)
        return {**self.seeds[model], **({} if drawn is None else {"draw": drawn.digest})}

    @property
    def identity(self) -> str:
        """A hash of all that decides what the shard becomes."""
        return _together(self.identities)


def _together(identities: Mapping[int, str]) -> str:
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()


def _train(job: Job, architecture: Architecture, shard: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The checkpoint that holds the models of the shard, and what is reported of each, in order."""
    dataset, device, recipe = job.dataset, job.device, job.recipe
    options, n = recipe.options(job.noise_multiplier), recipe.n
    records = engine.load(architecture, dataset, device)
    identities = job.identities
    identity = _together(identities)
    saved, done = checkpoint.take(shard, identity, device)
    if not done.rows and not done.state:
        checkpoint.adopt(saved, done, shard, identities)
        if done.rows:
            count = len(job.seeds)
            print(f"{len(done.rows)} of {count} were trained before", file=sys.stderr)
    count, names = len(job.seeds), list(job.seeds)
    what = f"models {names[0]}-{names[-1]}"
    meter = Meter(what, count * options.epochs * n, _records(done, options, n))
    next_save = time.monotonic() + CHECKPOINT_SECONDS

    # A GPU advances a whole shard in batched products, if that fits into its memory.
    size = memory.together(architecture, records, options, n, count)
    while len(done.rows) < count:
        finished = {row["model"] for row in done.rows}
        group = [model for model in names if model not in finished][:size]
        start = time.monotonic() - done.seconds
        sets = [job.split(model) for model in group]

        def keep(state: State, start: float = start, group: list[int] = group) -> None:
            nonlocal next_save
            if not state.steps:  # at the end of an epoch
                _check_numbers(state, group)
            now = time.monotonic()
            done.state, done.seconds = state, now - start
            if now > next_save:
                checkpoint.write(saved, identity, done)
                written = time.monotonic()
                pause = max(CHECKPOINT_SECONDS, CHECKPOINT_PAUSE * (written - now))
                next_save = written + pause
            meter.update(
                _records(done, options, n),
                lambda rate: f"{len(done.rows)} of {count}, {rate:,.0f} records/s",
            )

        parameters = engine.train(
            architecture,
            records,
            [split.training_set for split in sets],
            [job.seeds[model]["seed_model"] for model in group],
            options,
            done.state,
            keep,
        )
        state_dicts = architecture.to_state_dicts(parameters)
        for number, (model, split) in enumerate(zip(group, sets, strict=True)):
            one = {name: value[number : number + 1] for name, value in parameters.items()}
            most = architecture.facts.accuracy_records
            # Where nearly all records are challenge points, the non-members are more.
            held_out = max(split.evaluation, split.challenge[~split.membership], key=len)
            row = {
                "model": model,
                "training_accuracy": engine.accuracy(
                    architecture, one, records, split.training_set[:most]
                ),
                "evaluation_accuracy": engine.accuracy(architecture, one, records, held_out[:most]),
                "seconds": round(done.seconds / len(group), 3),
                "device": device.type,
                model_table.IDENTITY: identities[model],
            }
            private = options.clipping_norm is not None
            checkpoint.add(saved, done, row, architecture, state_dicts[number], private)
        done.state, done.seconds = None, 0.0
        checkpoint.write(saved, identity, done)
    meter.finish(f"{count} of {count}")
    return saved, sorted(done.rows, key=lambda row: row["model"])


def _check_numbers(state: State, models: Sequence[int]) -> None:
    """Refuse a model whose training has gone astray.

    Raises:
        InputError: names it.
    """
    for model, weights in zip(models, state.weights, strict=True):
        if not weights.isfinite().all():
            raise InputError(
                f"model {model}: its weights are infinite or not a number after epoch "
                f"{state.epochs}: expected a lower learning rate, or a network without such a step"
            )


def _records(done: checkpoint.Checkpoint, options: TrainingOptions, n: int) -> float:
    """How many records have been trained on."""
    trained = len(done.rows) * options.epochs
    if done.state:
        of_epoch = done.state.steps / math.ceil(n / options.batch_size)
        trained += len(done.state.weights) * (done.state.epochs + of_epoch)
    return trained * n


if __name__ == "__main__":
    program.run(main)
