"""A page on one attack: its formula and source, and all that a run found of it.

The same inputs give the same bytes.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

from mico.attacks import registry
from mico.attacks.docstrings import docstrings
from mico.pages import figures
from mico.pages.rendering import environment
from mico.pages.run_results import PHASES, Results, csv_uri, rows_of
from mico.scoring.entries import Row
from mico.scoring.metrics import HEADLINE, HEADLINE_FPR, METRICS, TITLES

OPTION = r"\w+:( |$)"  # in a docstring of options, what begins the words on one


def render(results: Results, attack: Mapping[str, Any], file: Path | None = None) -> str:
    """The page on one of the run's attacks, as HTML.

    Args:
        file: that of an attack that is no built-in one.
    """
    file = file or registry.attacks().get(attack["attack"])
    name, said = attack["name"], docstrings(file) if file else {}
    own = results.scores[results.scores.participant == name]
    scenarios = [
        _scenario(results, setting, name)
        for setting in results.run["scenarios"]
        if setting["id"] in set(own.scenario)
    ]
    tables = {phase: rows_of(own[own.phase == phase]) for phase in PHASES}
    per_model = {
        one["id"]: one["curve"]["models"][HEADLINE] for one in scenarios if one["curve"] is not None
    }
    return (
        environment()
        .get_template("attack_page.html.j2")
        .render(
            run=results.run,
            synthetic=[data for data in results.synthetic if data in set(own.data)],
            public_seeds=results.public_seeds,
            attack=attack,
            options={key: attack[key] for key in attack if key not in ("name", "attack")},
            documentation={
                "module": _blocks(said.get("module", ""), None),
                "options": _blocks(said.get("Options", ""), OPTION),
            },
            scenarios=scenarios,
            not_scored=[id for id in results.ids if id not in set(own.scenario)],
            tables={phase: rows for phase, rows in tables.items() if rows},
            strip=figures.strip(f"TPR per model, {name}", per_model) if per_model else None,
            strip_table=pd.DataFrame(per_model).rename_axis("model").reset_index(),
            scores=own,
            metrics=METRICS,
            title=TITLES[HEADLINE],
            phase_labels=PHASES,
            headline=HEADLINE,
            guess=HEADLINE_FPR,
            csv_uri=csv_uri,
        )
    )


def _blocks(text: str, item: str | None) -> list[tuple[str, Markup]]:
    """A docstring as (tag, text): paragraphs with their lines joined, formulas as they are.

    Args:
        item: a pattern of lines that begin a paragraph of their own.
    """
    if item:
        text = re.sub(rf"^(?={item})", "\n", text, flags=re.M)
    blocks = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        for indented, lines in groupby(paragraph.splitlines(), lambda line: line.startswith(" ")):
            if indented:
                blocks.append(("pre", escape(dedent("\n".join(lines)))))
            elif joined := " ".join(lines):
                coded = re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(joined)))
                blocks.append(("p", Markup(coded)))
    return blocks


def _scenario(results: Results, setting: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values that a scenario's section shows, by name."""
    scenario = setting["id"]
    rows = next(iter(results.phases(scenario).values()))
    row = next((row for row in rows if row["participant"] == name), None)
    curves = results.curves.get(scenario, {})
    curve = curves.get(name)
    shown: dict[str, Any] = dict.fromkeys(["roc", "by_class"]) | {
        "id": scenario,
        "setting": setting,
        "epsilon_spent": results.epsilon_spent(scenario),
        "note": results.notes.get(scenario, {}).get(name),
        "row": row,
        "place": row and _place(rows, row),
        "participants": len(rows),
        "lead": results.pairs.get((scenario, HEADLINE), {}).get((name, rows[0]["participant"])),
        "curve": curve,
        "alike": [other for other, one in curves.items() if one == curve and other != name],
        "audit": results.audit.get(scenario, {}).get(name),
    }
    if curve and row:
        marks = {name: (figures.PALETTE[0], "o")}
        smallest = figures.smallest_fpr(setting, row["models"], curves)
        ceiling = results.ceilings[scenario]
        shown["roc"] = figures.roc(scenario, {name: curve}, marks, smallest, ceiling)
        shown["roc_table"] = figures.roc_table({name: curve})
    if shown["audit"]:
        rates = shown["audit"]["calibration"]
        shown["calibration"] = figures.calibration(f"Calibration, {scenario}", rates)
        shown["calibration_table"] = pd.DataFrame(rates)
        found = shown["audit"]["classes"]
        known = [rate for rate in found if rate["tpr"] is not None]
        known.sort(key=lambda rate: (-rate["tpr"], rate["class"]))
        shown["classes"] = known + [rate for rate in found if rate["tpr"] is None]
        shown["class_table"] = pd.DataFrame(shown["classes"])
        if known:
            members = sum(rate["members"] for rate in known)
            overall = sum(rate["tpr"] * rate["members"] for rate in known) / members
            shown["by_class"] = figures.classes(f"Classes, {scenario}", known, overall)
            shown["extremes"] = known[0], known[-1]
    return shown


def _place(rows: Sequence[Row], row: Row) -> int:
    """One more than the number of participants with a higher estimate."""
    return 1 + len([other for other in rows if other[HEADLINE] > row[HEADLINE]])
