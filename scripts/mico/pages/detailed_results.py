"""What a participant is told of a submission, as the published scoring program told it.

scores.txt holds lines `scenario1_AUC: 0.5` and `average_AUC: 0.5`, scenarios in the order of their
challenges' names; detailed_results.html shows the same with intervals and ROC curves.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from mico.pages.rendering import environment
from mico.pages.scoreboard import visible
from mico.scoring import entries
from mico.scoring.entries import Entry, Row
from mico.scoring.metrics import HEADLINE, METRICS

LOWEST = 1e-4  # where the axes of a ROC begin
SIZE = 200  # of a ROC's drawing


def scores_text(entry: Entry, phase: str) -> str:
    """scores.txt for one phase; empty for an entry that was rejected."""
    rows = sorted(_rows(entry, phase), key=lambda row: row["challenge"])
    lines = [
        f"scenario{number}_{metric.published}: {row[metric.name]}"
        for number, row in enumerate(rows, 1)
        for metric in METRICS
    ]
    if rows:
        lines += [
            f"average_{metric.published}: {fmean(row[metric.name] for row in rows)}"
            for metric in METRICS
        ]
    return "".join(f"{line}\n" for line in lines)


def page(entry: Entry, phases: Sequence[str], synthetic: bool) -> str:
    """detailed_results.html for these phases; `synthetic`: the data are a generated stand-in."""
    rows = {phase: _rows(entry, phase) for phase in phases if not entry.problems}
    templates = environment()
    templates.filters["visible"] = visible
    ticks = [10.0**exponent for exponent in range(round(math.log10(LOWEST)), 1)]
    return templates.get_template("detailed_results.html.j2").render(
        name=entry.participant,
        track=entry.track,
        file=entry.file,
        said=None if entry.submitted is None else entries.said(entry.submitted),
        future=entry.future,
        problems=entry.problems,
        ignored=entry.ignored,
        headings=[_heading(row) for row in next(iter(rows.values()), [])],
        tables={phase: _table(of_phase) for phase, of_phase in rows.items()},
        curves={
            phase: [
                (_heading(row), _path(entry.curves[row["challenge"]][phase])) for row in of_phase
            ]
            for phase, of_phase in rows.items()
        },
        ticks=[{"at": _position(tick), "label": f"{tick:g}"} for tick in ticks],
        synthetic=synthetic,
        public_seeds=False,  # nothing but the participant's own is told
    )


def _rows(entry: Entry, phase: str) -> list[Row]:
    return [row for row in entry.scores if row["phase"] == phase]


def _heading(row: Row) -> tuple[str, str]:
    return row["scenario"], row["challenge"]


def _table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "metric": metric.title,
            "headline": metric.name == HEADLINE,
            "cells": [[row[metric.name + end] for end in ("", "_low", "_high")] for row in rows],
            "average": fmean(row[metric.name] for row in rows),
        }
        for metric in METRICS
    ]


def _position(rate: float) -> float:
    """Where a rate lies on a logarithmic axis from LOWEST to 1."""
    return round(SIZE * (1 - math.log(max(rate, LOWEST)) / math.log(LOWEST)), 2)


def _path(curve: Mapping[str, Sequence[float]]) -> str:
    """The curve as the steps it has: SVG path data."""
    points = [
        (_position(fpr), SIZE - _position(tpr))
        for fpr, tpr in zip(curve["fpr"], curve["tpr"], strict=True)
    ]
    return f"M{points[0][0]} {points[0][1]}" + "".join(f"H{x}V{y}" for x, y in points[1:])
