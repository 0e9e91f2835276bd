"""The tests' tiny run as a checked configuration, with other keys: for tests of plans."""

from pathlib import Path

import yaml

from mico.workflow.configuration import Run, check

ROOT = Path(__file__).parents[1]
TINY = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
DEFAULTS = yaml.safe_load((ROOT / "config/config.yaml").read_text())


def configuration(**changes: object) -> dict:
    """The tests' tiny run with other keys, over the defaults."""
    datasets = DEFAULTS["datasets"] | TINY["datasets"]
    return {**DEFAULTS, **TINY, "datasets": datasets, **changes}


def run(**changes: object) -> Run:
    return check(configuration(**changes), [], ROOT / "config/scenarios.yaml")
