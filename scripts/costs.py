"""Measure what a network takes of time and memory: it trains a few steps, and is run."""

import argparse
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mico.challenge.recipe import Recipe
from mico.data import store
from mico.networks.build import build
from mico.networks.costs import Costs
from mico.support import program, records
from mico.support.atomic import atomic_file
from mico.training import engine
from mico.training.device import choose
from mico.training.engine import State

STEPS = 3  # of an epoch; the first epoch is not counted
RUN = 512  # records whose outputs are computed


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--recipe", required=True, help="JSON of mico.challenge.recipe.Recipe")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help="the .json to write")
    args = parser.parse_args()
    recipe = records.read(Recipe, args.recipe, "--recipe: ")
    found = _measure(store.read(args.data), recipe, choose(args.device))
    with atomic_file(args.output) as temporary:
        temporary.write_text(records.dump(found) + "\n", encoding="utf-8")


def _measure(dataset: store.Dataset, recipe: Recipe, device: torch.device) -> Costs:
    """Train a model that nobody keeps on the first records."""
    sizes = recipe.physical_batch_size, recipe.precision
    architecture = build(recipe.architecture, dataset.description, *sizes)
    held = engine.load(architecture, dataset, device)
    options = recipe.options(None if recipe.optimisation.clipping_norm is None else 1.0)
    short = replace(options, epochs=2, lr_schedule="constant", lr_decay=1.0, warmup_epochs=0.0)
    count = min(recipe.n, STEPS * recipe.optimisation.batch_size, len(dataset.labels))
    times = []

    def note(state: State) -> None:
        if not state.steps:  # at the end of an epoch
            times.append(_now(device))

    parameters = engine.train(architecture, held, [np.arange(count)], [0], short, after_step=note)
    start = _now(device)
    run = np.arange(min(RUN, len(dataset.labels)))
    engine.accuracy(architecture, parameters, held, run)
    forward = _now(device) - start
    return Costs((times[1] - times[0]) / count, forward / len(run), _peak_mb())


def _peak_mb() -> int:
    """MiB of this process at its largest."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says is on Linux at least what the process took that started this one.
        lines = status.read_text(encoding="utf-8").splitlines()
        (peak_kb,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(peak_kb) // 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def _now(device: torch.device) -> float:
    """The time when the device has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


if __name__ == "__main__":
    program.run(main)
