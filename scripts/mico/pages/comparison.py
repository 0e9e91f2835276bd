"""Runs side by side: what each found, what differs in how they were made, and in their scores.

The same inputs give the same bytes.
"""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from mico.pages import figures, run_results
from mico.pages.budgets import groups, named, scenarios
from mico.pages.reference import CONFIDENCE, Reference, agreement
from mico.pages.rendering import environment
from mico.pages.run_results import Results, csv_uri
from mico.scoring import curves, entries
from mico.scoring.entries import Entry
from mico.scoring.metrics import COMPARED, HEADLINE_FPR, TITLES
from mico.support.errors import InputError

FILES = ("run.json", "scores.csv", "curves.json", "comparisons.csv", "audit.json", "notes.json")


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its folder, what its pages show, and its standing entries.

    It is called like its folder, as somebody may keep copies of a run.
    """

    folder: Path
    results: Results
    entries: Sequence[Entry]

    @property
    def name(self) -> str:
        """What it is called on the page."""
        return self.folder.name


def read(folder: Path) -> Run:
    """Read a finished run, `results/<run>`.

    Raises:
        InputError: the folder is not one of a finished run, or a file is not of its form.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder}: not a finished run: {missing[0]} is missing")
    files = {name.partition(".")[0]: folder / name for name in (*FILES, "submissions.json")}
    ids = [setting["id"] for setting in run_results.read_run(files["run"])["scenarios"]]
    given = Namespace(
        **files,
        models=sorted(
            path for one in ids for path in (folder / "private" / one).glob("models/*.csv")
        ),
        privacy=[path for one in ids if (path := folder / "privacy" / f"{one}.json").is_file()],
        ceilings=[path for one in ids if (path := folder / "ceilings" / f"{one}.json").is_file()],
    )
    found = [entries.read(path) for path in sorted((folder / "entries").glob("*/*.json"))]
    return Run(folder, run_results.read(given), entries.standing(found))


def render(
    runs: Sequence[Run], baseline: Run | None, output: Path, references: Sequence[Reference] = ()
) -> str:
    """The page on these runs, as HTML.

    Args:
        baseline: the run that all others are compared with, if they are.
        output: where the page will lie, for its links.
        references: results that runs of the same settings should agree with.
    """
    sides = [side for run in runs for side in scenarios(run.results, run.name)]
    lines = groups(sides)
    others = [run for run in runs if baseline and run is not baseline]
    compared = [compare(baseline, run) for run in others] if baseline else []
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(
            runs=runs,
            links={
                run.name: quote(os.path.relpath(run.folder / "report.html", output.parent))
                for run in runs
            },
            baseline=baseline,
            sides=sides,
            synthetic=sorted({name for run in runs for name in run.results.synthetic}),
            public_seeds=any(run.results.public_seeds for run in runs),
            budgets=figures.budgets("Highest TPR against ε", lines),
            accuracies=figures.accuracies("Highest TPR against accuracy", lines),
            lines=figures.line_legend([f"{line[0]['run']}: {named(line)}" for line in lines]),
            compared=compared,
            agreements=[
                (run.name, kept.run["run"], found)
                for run in runs
                for kept in references
                if (found := agreement(run.results, kept)).pairs
            ],
            table=pd.DataFrame(sides).drop(columns="setting"),
            confidence=CONFIDENCE,
            titles=TITLES,
            metrics=COMPARED,
            guess=HEADLINE_FPR,
            csv_uri=csv_uri,
        )
    )


def compare(baseline: Run, other: Run) -> dict[str, Any]:
    """What differs between two runs, challenge by challenge, in settings and in scores."""
    settings = {
        run: {one["challenge"]: one for one in run.results.run["scenarios"]}
        for run in (baseline, other)
    }
    shared = [name for name in settings[baseline] if name in settings[other]]
    rows = differences(baseline, other, shared)
    return {
        "other": other,
        "shared": shared,
        "settings": [
            (f"{name}: {key}", one, two)
            for name in shared
            for key, one, two in changed(settings[baseline][name], settings[other][name])
        ],
        "attacks": changed(
            {one["name"]: one for one in baseline.results.run["attacks"]},
            {one["name"]: one for one in other.results.run["attacks"]},
        ),
        "rows": {name: [row for row in rows if row["challenge"] == name] for name in shared},
        "beyond_chance": sum(row["low"] > 0 or row["high"] < 0 for row in rows),
        "differences": len(rows),
        "table": pd.DataFrame(rows),
    }


def changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys that differ, with both values; None where a key is missing."""
    keys = [*one, *(key for key in other if key not in one)]
    return [(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]


def differences(baseline: Run, other: Run, challenges: Sequence[str]) -> list[dict[str, Any]]:
    """Scores of the other run less those of the baseline, with 95 % intervals.

    Resamples of a challenge draw the same models in every run that has as many, so where models
    have the same challenge points, what these have in common cancels; where models are others, the
    two draws are as good as independent, and the interval holds as well.
    """
    rows: list[dict[str, Any]] = []
    for challenge in challenges:
        ours, theirs = (_scored(run, challenge) for run in (baseline, other))
        for who, (row, replicates) in ours.items():
            if who not in theirs or theirs[who][0]["phase"] != row["phase"]:
                continue
            row_of_other, replicates_of_other = theirs[who]
            for metric in COMPARED:
                resampled = np.subtract(replicates_of_other[metric], replicates[metric])
                low, high = curves.interval(resampled).tolist()
                rows.append(
                    {"challenge": challenge, "participant": who[0], "metric": metric}
                    | {"baseline": row[metric], "other": row_of_other[metric]}
                    | {"difference": row_of_other[metric] - row[metric], "low": low, "high": high}
                )
    return rows


def _scored(
    run: Run, challenge: str
) -> dict[tuple[str, bool], tuple[entries.Row, Mapping[str, Any]]]:
    """(participant, whether it is built in) -> its row on the models drawn, and its replicates."""
    found = {}
    for entry in run.entries:
        if phase := entries.pooled(entry.curves.get(challenge, {})):
            (row,) = (
                row
                for row in entry.scores
                if row["challenge"] == challenge and row["phase"] == phase
            )
            found[entry.participant, entry.builtin] = row, entry.replicates[challenge][phase]
    return found
