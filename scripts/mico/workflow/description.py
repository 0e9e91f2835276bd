"""What a run says of itself: how it was made, without paths of this machine and secrets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mico.challenge.scenario import GivenOutputs
from mico.networks import pretrained
from mico.workflow.plan import Plan, public

# Keys of a scenario that say where files lie.
PLACES = ("released", "solutions", "memberships", "outputs", "weights", "members")
# What is told of the records of given outputs, of which there is no data set.
RECORDS = {
    "synthetic": False,
    **dict.fromkeys(["records", "features", "classes"]),
    "source": "records of one's own, of which only outputs of models are given",
}


def description(plan: Plan, config: Mapping[str, Any]) -> str:
    """What the report says about how the run was made, as JSON.

    Args:
        config: the configuration as it was given, whose hash is in it.
    """
    shareable = json.loads(json.dumps(config))
    shareable["seeds"] = seed_source(plan.configuration.seeds)  # nobody may try seeds on the hash
    for attack in [*shareable["attacks"], *shareable["extra_attacks"]]:
        attack["attack"] = Path(attack["attack"]).name
    for dataset in shareable["datasets"].values():
        dataset.pop("path", None)
        if "tokenizer" in dataset:
            dataset["tokenizer"] = pretrained.without_place(dataset["tokenizer"])
    for scenario in shareable["scenarios"]:
        if isinstance(scenario, dict):
            for key in PLACES:
                scenario.pop(key, None)
    text = json.dumps(shareable, sort_keys=True)
    given = plan.run.given.values()
    told = {
        "run": plan.configuration.run,
        "about": plan.configuration.about,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        **_memberships(plan),
        "seeds_are_public": plan.configuration.seeds_are_public,
        "scenarios": [public(scenario) for scenario in plan.challenges.values()],
        "datasets": {one.data: RECORDS for one in given if isinstance(one, GivenOutputs)},
        "attacks": [
            {"name": name, "attack": Path(attack.attack).name, **attack.options}
            for name, attack in plan.run.attacks.items()
            if plan.run.entered[name]
        ],
        "models": asdict(plan.configuration.models),
    }
    return json.dumps(told)


def _memberships(plan: Plan) -> dict[str, str]:
    """Where the memberships of the models come from."""
    if plan.run.given:
        return {"seeds": "not known"}
    if len(plan.released) == len(plan.run.scenarios):
        return {"seeds": "those of the release"}
    configuration = plan.configuration
    return {"seeds": seed_source(configuration.seeds), "design": configuration.design}


def seed_source(seeds: int | str) -> str:
    """Where the seeds come from, in words; a master seed is a secret, and the report is not."""
    if seeds == "random":
        return "the operating system's entropy"
    if isinstance(seeds, str):
        return "given in a file"
    return "a master seed in the configuration"
