"""Simulate a run on a cluster: its wall time by number of GPUs and by length of the shards.

Training is taken to need a given number of GPU hours in all, shared among the models as
mico.workflow.estimate has it; the other stages take what was measured (docs/cluster.md).
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import yaml
from matplotlib import pyplot
from snakemake.utils import update_config

from cluster import Job, schedule
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError
from mico.workflow import configuration, estimate
from mico.workflow.configuration import Run

ROOT = Path(__file__).parents[1]

# Seconds of stages that do not grow with training: the longest ones measured, and more.
PREPARE = 30  # the data set, seeds, splits and the noise
RELEASE = 30
ATTACKS = 60  # all on a challenge, side by side
SCORE = 10
REPORT = 30
# What SLURM and starting Snakemake in every job take, and how seldom Snakemake may ask for states.
OVERHEAD = 7.0
UNTIL_SEEN = 180.0

GPUS = (1, 2, 4, 8, 16, 32, 64)
MINUTES = (0, 5, 15, 45, 120, 360)  # of a shard; 0 is one model


@dataclass(frozen=True)
class Plan:
    """The jobs of a run, and how long those that train compute, in seconds."""

    jobs: list[Job]
    training: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, required=True, help="the run's configuration")
    parser.add_argument(
        "--gpu-hours", type=float, nargs="+", required=True, help="what all training may take"
    )
    parser.add_argument("--figure", type=Path, help=".svg to write: wall time by number of GPUs")
    args = parser.parse_args()
    if not all(hours > 0 for hours in args.gpu_hours):
        raise InputError(f"gpu-hours {args.gpu_hours}: expected positive numbers")

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    try:
        update_config(config, yaml.safe_load(args.configfile.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{args.configfile}: cannot be read ({error})") from None
    run = configuration.check(config, [args.configfile], ROOT / "config/scenarios.yaml")
    measure = [
        [_hours(_plan(run, hours, 45 * 60), gpus) for gpus in GPUS] for hours in args.gpu_hours
    ]
    _print_by_gpus(args.gpu_hours, measure)
    _print_by_shard(run, args.gpu_hours)
    if args.figure:
        _draw(args.gpu_hours, [[hours for hours, _ in row] for row in measure], args.figure)


def _plan(run: Run, gpu_hours: float, shard_seconds: float) -> Plan:
    """The jobs of a run whose shards take up to so many seconds, or one model."""
    scenarios, models = list(run.scenarios.values()), run.configuration.models.models
    data = [run.configuration.datasets[scenario.data] for scenario in scenarios]
    rates = [
        estimate.rates(scenario, one, gpu=True)
        for scenario, one in zip(scenarios, data, strict=True)
    ]
    per_model = [
        estimate.training_seconds(scenario, taken)
        for scenario, taken in zip(scenarios, rates, strict=True)
    ]
    # The faster the GPUs train, the faster they run models.
    factor = gpu_hours * 3600 / (models * sum(per_model))
    jobs: list[Job] = []

    def add(seconds: float, gpu: bool, *after: int) -> int:
        jobs.append(Job(seconds, gpu, after))
        return len(jobs) - 1

    scores = []
    for scenario, one, taken, seconds in zip(scenarios, data, rates, per_model, strict=True):
        prepared = add(PREPARE, False)
        size = estimate.shard_size(seconds * factor, models, shard_seconds)
        shards = [
            add(min(size, models - first) * seconds * factor, True, prepared)
            for first in range(0, models, size)
        ]
        released = add(RELEASE, False, *shards)
        inputs = [
            add(compute(scenario, one, models, taken) * factor, True, released)
            for compute in (estimate.signals_seconds, estimate.white_box_seconds)
        ]
        scores.append(add(SCORE, False, add(ATTACKS, False, *inputs)))
    add(REPORT, False, *scores)
    return Plan(jobs, models * factor * sum(per_model))


def _hours(plan: Plan, gpus: int) -> tuple[float, float]:
    """The wall time in hours, and the share of the GPUs' time in which they do not train."""
    seconds = max(end for _, end in schedule(plan.jobs, gpus, OVERHEAD, UNTIL_SEEN))
    return seconds / 3600, 1 - plan.training / (gpus * seconds)


def _print_by_gpus(gpu_hours: Sequence[float], rows: list[list[tuple[float, float]]]) -> None:
    print("Wall time in hours, and the share of the GPUs' time outside training programs:\n")
    print("| GPUs |" + "".join(f" {hours:g} GPU hours |" for hours in gpu_hours))
    print("|---|" + "---|" * len(gpu_hours))
    for gpus, *cells in zip(GPUS, *rows, strict=True):
        print(f"| {gpus} |" + "".join(f" {hours:.2f} ({share:.1%}) |" for hours, share in cells))


def _print_by_shard(run: Run, gpu_hours: Sequence[float]) -> None:
    print("\nThe same on 8 GPUs, by the longest that a shard may take, with the number of jobs:\n")
    print("| shard |" + "".join(f" {hours:g} GPU hours |" for hours in gpu_hours))
    print("|---|" + "---|" * len(gpu_hours))
    for minutes in MINUTES:
        cells = []
        for hours in gpu_hours:
            plan = _plan(run, hours, minutes * 60)
            wall, share = _hours(plan, 8)
            cells.append(f" {wall:.2f} ({share:.1%}), {len(plan.jobs)} jobs |")
        print(f"| {f'{minutes} min' if minutes else 'one model'} |" + "".join(cells))


def _draw(gpu_hours: Sequence[float], hours: list[list[float]], path: Path) -> None:
    # Text stays text, and nothing says when it was drawn.
    matplotlib.rcParams["svg.fonttype"] = "none"
    matplotlib.rcParams["svg.hashsalt"] = "mico"
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for total, row in zip(gpu_hours, hours, strict=True):
        (line,) = axes.loglog(GPUS, row, marker="o", label=f"{total:g} GPU hours of training")
        axes.loglog(GPUS, [total / n for n in GPUS], color=line.get_color(), ls=":", lw=1)
    axes.set_xticks(GPUS, [str(n) for n in GPUS])
    axes.minorticks_off()
    axes.set_xlabel("GPUs")
    axes.set_ylabel("wall time (hours)")
    axes.legend(title="dotted: training alone, shared equally", loc="upper right")
    axes.grid(alpha=0.3)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    program.run(main)
