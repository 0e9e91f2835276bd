"""What a run says of itself: how it was made, without paths of this machine and secrets."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mico.networks import pretrained
from mico.workflow.plan import Plan, public


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
    text = json.dumps(shareable, sort_keys=True)
    told = {
        "run": plan.configuration.run,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "seeds": seed_source(plan.configuration.seeds),
        "design": plan.configuration.design,
        "seeds_are_public": plan.configuration.seeds_are_public,
        "scenarios": [public(scenario) for scenario in plan.run.scenarios.values()],
        "attacks": [
            {"name": name, "attack": Path(attack.attack).name, **attack.options}
            for name, attack in plan.run.attacks.items()
            if plan.run.entered[name]
        ],
        "models": asdict(plan.configuration.models),
    }
    return json.dumps(told)


def seed_source(seeds: int | str) -> str:
    """Where the seeds come from, in words; a master seed is a secret, and the report is not."""
    if seeds == "random":
        return "the operating system's entropy"
    if isinstance(seeds, str):
        return "given in a file"
    return "a master seed in the configuration"
