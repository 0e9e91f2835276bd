"""Time and memory of a job, for schedulers: from its wildcards and the plan of the run."""

import math
from pathlib import Path

from mico.attacks import registry
from mico.challenge.scenario import GivenOutputs
from mico.workflow import estimate
from mico.workflow.plan import Plan, Wildcards, shard_of


def training_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that trains a shard of models."""
    return estimate.minutes(_shard_size(wildcards) * plan.model_seconds(plan.of(wildcards)))


def target_reference_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that trains the reference models of some targets."""
    scenario = plan.of(wildcards)
    # One more is trained on all records but the challenge points.
    rest = (estimate.records(scenario, plan.data(scenario)) - 2 * scenario.m) / scenario.n
    models = _shard_size(wildcards) * (plan.configuration.target_references.count + rest)
    return estimate.minutes(models * plan.model_seconds(scenario))


def signals_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that runs all models of a challenge."""
    scenario = plan.of(wildcards)
    size = (scenario, plan.data(scenario), plan.models, plan.rates(scenario))
    return estimate.minutes(estimate.signals_seconds(*size))


def white_box_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that computes white-box features of all models of a challenge."""
    scenario = plan.of(wildcards)
    size = (scenario, plan.data(scenario), plan.models, plan.rates(scenario))
    return estimate.minutes(estimate.white_box_seconds(*size))


def outputs_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that runs models whose weights are given on a whole data set."""
    one = plan.weights[wildcards["scenario"]]
    size = (one, plan.data(one), plan.models, plan.rates(one))
    return estimate.minutes(estimate.outputs_seconds(*size))


def attack_minutes(plan: Plan, wildcards: Wildcards) -> int:
    """Minutes of a job that runs an attack on a challenge."""
    attack = plan.run.attacks[wildcards["participant"]]
    if attack.attack != "seed-search":
        return estimate.ATTACK_MINUTES
    bits = registry.options(attack.attack, attack.options).bits
    return estimate.minutes(estimate.seed_search_seconds(bits))


def dataset_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that reads a data set."""
    return estimate.dataset_mb(plan.configuration.datasets[wildcards["data"]])


def memberships_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that reads who is what in all models of a scenario."""
    return estimate.array_mb(Path(str(plan.of(wildcards).memberships)))


def compute_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that trains or runs a scenario's models."""
    if plan.costs is not None:
        measured = plan.of(wildcards)
        return estimate.measured_mb(measured, plan.data(measured), plan.costs.mb)
    scenario = plan.weights.get(wildcards.get("scenario", "")) or plan.of(wildcards)
    return estimate.compute_mb(scenario, plan.data(scenario), plan.physical_batch_size)


def training_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that trains a shard of models; lists are read of all models."""
    scenario = plan.of(wildcards)
    listed = 0 if scenario.memberships is None else 4 * plan.models * scenario.n
    return compute_mb(plan, wildcards) + math.ceil(2 * listed / 2**20)


def bundle_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that checks and packs the models of a track."""
    batch = plan.physical_batch_size
    track = plan.of_track(wildcards["track"])
    return max(2000, *(estimate.compute_mb(one, plan.data(one), batch) for one in track))


def attack_mb(plan: Plan, wildcards: Wildcards) -> int:
    """MiB of a job that computes on the signals of a challenge."""
    if plan.run.given:
        one = plan.given_of(wildcards)
        if isinstance(one, GivenOutputs):
            return estimate.array_mb(Path(one.outputs))
        return estimate.margins_mb(one, plan.data(one), plan.models)
    scenario = plan.of(wildcards)
    return estimate.attack_mb(scenario, plan.data(scenario), plan.models)


def _shard_size(wildcards: Wildcards) -> int:
    first, last = shard_of(wildcards)
    return last - first + 1
