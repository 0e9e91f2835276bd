"""Write the tables of results in README.md and under docs/ from the reference results.

A table stands between two comments. The first one says what it shows:

    <!-- results: scores location30 L1 L2 -->
    <!-- end of results -->
"""

# ruff: noqa: RUF001 - what looks like Latin letters is what tables have

import argparse
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mico.pages import reference, run_results
from mico.pages.reference import Reference
from mico.scoring.entries import Row
from mico.scoring.metrics import HEADLINE, RATES, tpr_at
from mico.support import program
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"<!-- results: (.*?) -->\n(.*?)<!-- end of results -->", re.DOTALL)
LOW = tpr_at(0.01).name
LARGEST = {
    "epsilon_lower": "by rates",
    "epsilon_lower_one_run": "by guesses",
    "epsilon_lower_f_dp": "if Gaussian",
}
STAGES = {"train": "training", "whitebox": "white-box features", "score": "scores"}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (written := page_text(text, page)) != text:
            page.write_text(written, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")


def pages() -> list[Path]:
    """The pages that may have such tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page_text(page: str, path: Path) -> str:
    """A page with its tables written anew.

    Raises:
        InputError: a comment asks for what is not there.
    """

    def written(match: re.Match[str]) -> str:
        kind, _, rest = match[1].partition(" ")
        if kind not in KINDS:
            raise InputError(f"{path}: {match[1]!r}: expected one of {', '.join(KINDS)}")
        run, _, rest = rest.partition(" ")
        folder = ROOT / "reference" / run
        try:
            text = KINDS[kind](_reference(folder), rest)
        except LookupError as error:
            raise InputError(f"{path}: {match[1]!r}: {folder} has no {error}") from None
        return f"<!-- results: {match[1]} -->\n{text}\n<!-- end of results -->"

    return BLOCK.sub(written, page)


def made(kept: Reference, _: str) -> str:
    """Where, when and by what the run was made, and what it took."""
    about = kept.made
    stages = list(about["process_seconds"].items())
    first = ", ".join(f"{STAGES.get(rule, rule)} {took:,.0f}" for rule, took in stages[:5])
    rest = sum(took for _, took in stages[5:])
    whole = sum(took for _, took in stages)
    machine = about["machine"][0].upper() + about["machine"][1:]
    return (
        f"*{machine}, {about['date']}, commit {about['commit']}.* From the first job to the last:"
        f" {_minutes(about['span_seconds'])}, and {whole:,.0f} process seconds ({first}, all else"
        f" {rest:,.0f}). No process needed more than {about['peak_mb']:,} MB."
    )


def settings(kept: Reference, chosen: str) -> str:
    """What models came to, beside what attacks find: a row each, a column per scenario."""
    ids = chosen.split() or _ids(kept)
    rows = {row["scenario"]: row for row in run_results.rows_of(kept.scenarios)}
    shown: list[tuple[str, Callable[[Row], str]]] = [
        ("σ", lambda row: _number(row["noise_multiplier"], ".3f")),
        ("training → evaluation accuracy", _accuracies),
        (
            "seconds a model: median, least",
            lambda row: f"{row['seconds_median']:.2f}, {row['seconds_least']:.2f}",
        ),
        (
            "bound on the TPR at FPR .1; last-iterate heuristic",
            lambda row: "–" if row["bound"] != row["bound"] else _rates(row, "bound", "heuristic"),
        ),
        (
            f"largest ε that an attack proves: {', '.join(LARGEST.values())}",
            lambda row: ", ".join(f"{row[key]:.2f}" for key in LARGEST),
        ),
    ]
    body = [[title, *(show(rows[name]) for name in ids)] for title, show in shown]
    return _table(["", *(_heading(kept, name) for name in ids)], body)


def scores(kept: Reference, chosen: str) -> str:
    """The TPR at FPR .1 with its interval, then at .01, of everybody, the highest in bold."""

    def cell(row: Row, rate: str) -> str:
        interval = f"{_rate(row[f'{HEADLINE}_low'])}–{_rate(row[f'{HEADLINE}_high'])}"
        return f"{rate} ({interval}) / {_rate(row[LOW])}"

    return _scored(kept, chosen, cell)


def rates(kept: Reference, chosen: str) -> str:
    """The TPR at FPR .1 of everybody, the highest in bold."""
    return _scored(kept, chosen, lambda _, rate: rate)


def winners(kept: Reference, chosen: str) -> str:
    """`auto` beside the winner's formula of each scenario, L1=centred-mid-conf, paired by models.

    And how many attacks are significantly above `auto`.
    """
    found = _scores(kept)
    body = []
    for part in chosen.split():
        scenario, _, formula = part.partition("=")
        others = [name for one, name in found if one == scenario and name != "auto"]
        best = max(others, key=lambda name: found[scenario, name][HEADLINE])
        above = [
            sum(kept.pairs[scenario, metric][name, "auto"][1] > 0 for name in others)
            for metric in (HEADLINE, LOW)
        ]
        body.append(
            [
                _heading(kept, scenario),
                f"{formula}, {_rate(found[scenario, formula][HEADLINE])}",
                kept.notes[scenario]["auto"],
                _difference(kept, scenario, HEADLINE, "auto", formula),
                _difference(kept, scenario, LOW, "auto", formula),
                best,
                _difference(kept, scenario, HEADLINE, best, formula),
                f"{above[0]}, {above[1]} of {len(others)}",
            ]
        )
    return _table(
        [
            "",
            "winner's formula, TPR at .1",
            "`auto`",
            "`auto` less the formula: at .1",
            "at .01",
            "highest other attack",
            "it less the formula, at .1",
            "significantly above `auto`: at .1, .01",
        ],
        body,
    )


def lines(kept: Reference, chosen: str) -> str:
    """The TPR at FPR .1 of some participants, in words: T1 T2 | words = name for T1, for T2."""
    first, *others = chosen.split("|")
    ids = first.split()
    found = _scores(kept)
    body = []
    for line in others:
        words, _, names = line.partition("=")
        each = names.split() * (len(ids) if len(names.split()) == 1 else 1)
        rates = [_rate(found[one, name][HEADLINE]) for one, name in zip(ids, each, strict=True)]
        body.append([words.strip(), *rates])
    return _table(["", *(_heading(kept, name) for name in ids)], body)


def less(kept: Reference, chosen: str) -> str:
    """Differences of two participants' TPR, paired by models: L1 | stacked base1 | auto base1."""
    first, *others = chosen.split("|")
    ids = first.split()
    body = []
    for one, other in (part.split() for part in others):
        for metric in (HEADLINE, LOW):
            cells = [_difference(kept, scenario, metric, one, other) for scenario in ids]
            body.append([f"{one} less {other}, at {RATES[metric]:g}".replace("0.", "."), *cells])
    return _table(["", *(_heading(kept, name) for name in ids)], body)


KINDS = {
    "made": made,
    "settings": settings,
    "scores": scores,
    "rates": rates,
    "winners": winners,
    "less": less,
    "lines": lines,
}


@cache
def _reference(folder: Path) -> Reference:
    return reference.read(folder)


def _scored(kept: Reference, chosen: str, cell: Callable[[Row, str], str]) -> str:
    """A row per participant, from the highest in the first scenario down."""
    ids = chosen.split() or _ids(kept)
    found = _scores(kept)
    names = {name for scenario, name in found if scenario in ids}
    columns = [{name: found[one, name] for name in names if (one, name) in found} for one in ids]
    highest = [max(row[HEADLINE] for row in column.values()) for column in columns]

    def place(name: str) -> tuple[list[float], str]:
        return [-column[name][HEADLINE] if name in column else 0 for column in columns], name

    body = []
    for name in sorted(names, key=place):
        cells = [name]
        for column, most in zip(columns, highest, strict=True):
            if row := column.get(name):
                bold = "**" if row[HEADLINE] == most else ""
                cells.append(cell(row, f"{bold}{_rate(row[HEADLINE])}{bold}"))
            else:
                cells.append("–")
        body.append(cells)
    return _table(["", *(_heading(kept, name) for name in ids)], body)


def _ids(kept: Reference) -> list[str]:
    return [scenario["id"] for scenario in kept.run["scenarios"]]


def _scores(kept: Reference) -> dict[tuple[str, str], Row]:
    """(scenario, participant) -> its row on dev and final together."""
    rows = run_results.rows_of(kept.scores[kept.scores.phase == "both"])
    return {(row["scenario"], row["participant"]): row for row in rows}


def _heading(kept: Reference, name: str) -> str:
    """A scenario with its budget, and what is special about its data."""
    setting = {scenario["id"]: scenario for scenario in kept.run["scenarios"]}[name]
    budget = f"ε = {setting['epsilon']:g}" if setting["epsilon"] else "no DP"
    synthetic = kept.run["datasets"][setting["data"]]["synthetic"]
    return f"{name}, {budget}{', synthetic' if synthetic else ''}"


def _accuracies(row: Row) -> str:
    return f"{row['training_accuracy']:.3f} → {row['evaluation_accuracy']:.3f}"


def _difference(kept: Reference, scenario: str, metric: str, one: str, other: str) -> str:
    if one == other:
        return "–"
    return "{} ({} to {})".format(*map(_rate, kept.pairs[scenario, metric][one, other]))


def _rates(row: Row, *keys: str) -> str:
    return "; ".join(_rate(row[key]) for key in keys)


def _rate(value: float) -> str:
    """A rate or a difference of two, with three digits after the point and no zero before it."""
    text = f"{value:.3f}"
    return text.replace("-", "−").replace("0.", ".", 1)


def _number(value: Any, form: str) -> str:
    return "–" if value != value else format(value, form)


def _minutes(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    rule = ["---"] * len(header)
    rows = [header, rule, *body]
    return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)


if __name__ == "__main__":
    program.run(main)
