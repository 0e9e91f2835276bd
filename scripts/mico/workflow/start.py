"""How the workflow starts: the configuration put together and checked, and what is told at once."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mico.support.errors import InputError
from mico.workflow import configuration, foreign, yaml_files
from mico.workflow.plan import Plan, make
from mico.workflow.submissions import shortened

TOLD = 10  # lines on what is not taken for a submission


def planned(
    given: Mapping[str, Any],
    files: Sequence[str],
    entries: Sequence[str],
    repository: Path,
    look: bool,
) -> tuple[dict[str, Any], Plan]:
    """The configuration but for the seeds, and the plan of the run that it gives.

    Snakemake logs a fast hash of its configuration, on which a master seed could be tried.

    Args:
        given: what Snakemake, or the workflow that uses this one as a module, made of the files.
        files: configuration files in the order in which they were laid over each other.
        entries: of `--config`, as they were written.
        repository: where the defaults and the published scenarios are.
        look: whether to look for submissions.

    Raises:
        InputError: one line on a key or a file.
    """
    if not os.access(".", os.W_OK):  # where Snakemake keeps its own files
        raise InputError(f"{os.getcwd()}: cannot be written to, expected a folder for results")
    # Snakemake does not read the configuration file of a module that is given a configuration.
    merged = yaml_files.read(repository / "config/config.yaml")
    for layer in given, yaml_files.command_line(entries):
        _lay_over(merged, layer)
    published = repository / "config/scenarios.yaml"
    plan = make(configuration.check(merged, list(map(Path, files)), published), look)
    del merged["seeds"]
    return merged, plan


def _lay_over(config: dict[str, Any], layer: Mapping[str, Any]) -> None:
    """Key by key, as Snakemake does: a mapping is merged, and anything else replaced."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _lay_over(config[key], value)
        else:
            config[key] = value


def refusal(error: InputError, files: Sequence[str], module: str) -> str:
    """The line that says what is wrong with the configuration.

    Args:
        files: the configuration files; module: this workflow's name in one that uses it, or "".
            Its configuration may be a section of a file, which the check does not look into.
    """
    message = str(error)
    if module:
        given = ", ".join([*map(os.path.relpath, files), f"module {module}"])
        message = message.replace("command line", given, 1)
    return f"error: {message}"


def strange(plan: Plan, results: str, look: bool) -> str:
    """The line that says what is not the run's where it makes a folder; empty if nothing is.

    Args:
        results: the folder of the run; look: whether to look, which SLURM's jobs need not.
    """
    found = foreign.found(plan, results) if look else None
    return f"error: {found}" if found else ""


def not_taken(plan: Plan) -> str:
    """What lies among the submissions and is not taken, to be told when a run begins."""
    if not plan.passed_over:
        return ""
    lines = shortened(plan.passed_over, TOLD, ", see submissions.json")
    folder = plan.configuration.submissions.path
    return "\n  ".join([f"Not taken as submissions, in {folder}/:", *lines])
