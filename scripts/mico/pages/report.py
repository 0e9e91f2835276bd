"""One self-contained page out of a run's scores: headline tables, verdicts on privacy, ROC curves,
comparisons, and how it was made.

The same inputs give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup

from mico.pages import figures
from mico.pages.budgets import groups, named, scenarios
from mico.pages.rendering import environment
from mico.pages.risk import risk
from mico.pages.run_results import PHASES, Pairs, Results, csv_uri, rows_of
from mico.pages.scoreboard import visible
from mico.scoring import f_dp
from mico.scoring.entries import Row
from mico.scoring.f_dp import Guesses
from mico.scoring.metrics import COMPARED, HEADLINE, HEADLINE_FPR, METRICS, RATES, TITLES

ENDS = figures.ENDS
# Settings of training that not every run has.
RECIPE = {
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate",
    "lr_schedule": "Schedule of the learning rate",
    "lr_decay": "Decay of the learning rate",
    "lr_decay_epochs": "Epochs between decays",
    "warmup_epochs": "Epochs of warm-up",
    "momentum": "Momentum",
    "nesterov": "Nesterov",
    "weight_decay": "Weight decay",
    "label_smoothing": "Label smoothing",
    "horizontal_flip": "Random flips",
    "crop_padding": "Padding of random crops",
    "clipping": "Clipping",
}
# Lower bounds of epsilon in an audit. The last one takes a curve for granted that training need not
# have, so only the first two show a fault.
BOUNDS = {
    "epsilon_lower": "by rates",
    "epsilon_lower_one_run": "by guesses",
    "epsilon_lower_f_dp": "by guesses, of Gaussian DP",
}
FAULT_BOUNDS = list(BOUNDS)[:2]
TOO_SMALL = 0.001  # a chance, of all participants together, that is taken for a fault


def render(results: Results) -> str:
    """The report on a run, as HTML."""
    run, best = results.run, results.best()
    scored = [setting for setting in run["scenarios"] if setting["id"] in best]
    headline = pd.DataFrame([row for rows in best.values() for row in rows])
    participants = _by_mean(headline, HEADLINE)
    verdicts = {name: verdict(results, name, rows) for name, rows in best.items()}
    compared = {name: _compared(results, name, rows) for name, rows in best.items()}
    templates = environment()
    templates.filters["visible"] = visible
    return templates.get_template("report.html.j2").render(
        run=run,
        synthetic=results.synthetic,
        public_seeds=results.public_seeds,
        scored=scored,
        phases={name: results.phases(name) for name in best},
        best=best,
        cells={name: {row["participant"]: row for row in rows} for name, rows in best.items()},
        participants=participants,
        tables=[_headline_table(results, headline, best, metric) for metric in COMPARED],
        notes=results.notes,
        privacy=results.privacy,
        submissions=results.submissions,
        verdicts=verdicts,
        risks={name: risk(results, name) for name in best},
        broken=[name for name, found in verdicts.items() if found and found["exceeding"]],
        figures={
            setting["id"]: figures.scenario_figures(
                setting,
                best[setting["id"]],
                results.curves.get(setting["id"], {}),
                participants,
                results.ceilings[setting["id"]],
            )
            for setting in scored
        },
        budgets=[
            (number, metric, named(group), _budgets(group, metric))
            for number, metric in enumerate(COMPARED, 1)
            for group in groups(scenarios(results, run["run"], metric))
            if len(group) > 1
        ],
        recipe=[
            (label, key)
            for key, label in RECIPE.items()
            if any(setting.get(key) not in (None, 0, False) for setting in run["scenarios"])
        ],
        ceilings={name: pd.DataFrame(results.ceilings[name]) for name in best},
        gains={name: gains(results.run["attacks"], name, rows) for name, rows in best.items()},
        compared=compared,
        pairs_data={name: found["data"] for name, found in compared.items() if found},
        pages={attack["name"]: page_address(attack["name"]) for attack in run["attacks"]},
        guess=HEADLINE_FPR,
        metrics=METRICS,
        titles=TITLES,
        phase_labels=PHASES,
        training=_training(results.models),
        training_seconds=results.models.seconds.sum(),
        csv_uri=csv_uri,
        scores=results.scores,
        models=results.models,
        run_json=f"data:application/json,{quote(json.dumps(run, indent=1))}",
    )


def page_address(attack: str) -> str:
    """Where an attack's page lies, seen from the report."""
    return f"attack_pages/{quote(attack, safe='')}.html"


def marks(rows: Sequence[Row], pairs: Pairs, metric: str) -> dict[str, str]:
    """What can be said of the highest estimate: participant -> `highest` or `alike`.

    `highest` is it where the interval of its lead over the second highest excludes 0. `alike` are
    those whose interval with it does not, and it itself where the second highest is among them.
    """
    names = [row["participant"] for row in _highest_first(rows, metric)]
    first, others = names[0], names[1:]
    alike = [name for name in others if (first, name) in pairs and pairs[first, name][1] <= 0]
    if others and (first, others[0]) not in pairs:
        return {}
    first_mark = "alike" if others and others[0] in alike else "highest"
    return {first: first_mark} | dict.fromkeys(alike, "alike")


def verdict(results: Results, scenario: str, rows: Sequence[Row]) -> dict[str, Any] | None:
    """Whether a scenario's scores agree with its differential privacy; None without.

    `exceeding` holds what cannot be on a correct implementation, a sentence each: an interval above
    the bound at a published FPR, or a lower bound of epsilon above the accountant's.
    """
    spent = results.epsilon_spent(scenario)
    if spent is None:
        return None
    exceeding: list[str] = []
    rates: dict[str, dict[str, Any]] = {}
    for metric, fpr in RATES.items():
        bound, heuristic = (results.ceiling(scenario, kind, fpr) for kind in ("bound", "heuristic"))
        ordered = _highest_first(rows, metric)
        exceeding += [
            f"{row['participant']} has a TPR of {row[metric]:.3f} ({row[metric + '_low']:.3f} to "
            f"{row[metric + '_high']:.3f}) at FPR {fpr:g}, where the bound is {bound:.3f}"
            for row in ordered
            if row[metric + "_low"] > bound
        ]
        scale = 1.05 * max(bound, ordered[0][metric + "_high"])  # a bound is no lower than its FPR
        rates[metric] = {"fpr": fpr, "row": ordered[0], "bound": bound}
        rates[metric] |= {"heuristic": heuristic, "scale": scale}
    audit = results.audit.get(scenario, {})
    audited = [row["participant"] for row in rows if row["participant"] in audit]
    exceeding += [
        f"the predictions of {name} show that ε is at least {audit[name][kind]:.2f}, where the "
        f"accountant says {spent:.2f}"
        for kind in FAULT_BOUNDS
        for name in _by_bound(audit, audited, kind)
        if audit[name][kind] > spent
    ]
    shown = {metric: rates[metric] for metric in COMPARED}
    found: dict[str, Any] = {"epsilon_spent": spent, "rates": shown, "exceeding": exceeding}
    found |= {"lower": [], "chance": None}
    if audited:
        best = {kind: _by_bound(audit, audited, kind)[0] for kind in BOUNDS}
        found["lower"] = [
            (label, audit[best[kind]][kind], best[kind]) for kind, label in BOUNDS.items()
        ]
        first = best["epsilon_lower_f_dp"]
        one = f_dp.p_value(Guesses(**audit[first]["guesses"]), results.allowed_from(scenario))
        chance = min(1.0, one * len(audited))
        found["chance"] = chance, first
        if chance < TOO_SMALL:
            exceeding.append(
                f"as many right guesses as those of {first} have a chance of {chance:.1g} at most "
                "under the claimed trade-off curve"
            )
    return found


def _by_bound(audit: Mapping[str, Any], names: Sequence[str], kind: str) -> list[str]:
    """Participants by a lower bound of epsilon, the highest first."""
    return sorted(names, key=lambda name: (-audit[name][kind], name))


def gains(
    attacks: Iterable[Mapping[str, Any]], scenario: str, rows: Sequence[Row]
) -> list[dict[str, Any]]:
    """What reference models add, a figure per metric; none without two that differ in `count` only.

    The best attack on shadow models alone is to compare with.
    """
    scored = {row["participant"]: row for row in rows}
    kinds: dict[tuple[tuple[str, Any], ...], dict[int, Row]] = {}
    shadow_only = []
    for attack in attacks:
        row = scored.get(attack["name"])
        if row and attack["attack"] == "target-references":
            rest = {key: attack[key] for key in sorted(attack) if key not in ("name", "count")}
            kinds.setdefault(tuple(rest.items()), {})[attack["count"]] = row
        elif row and attack["attack"] != "auto" and "shared_references" not in attack:
            shadow_only.append(row)
    kinds = {kind: counts for kind, counts in kinds.items() if len(counts) > 1}
    if not kinds:
        return []
    shared = set.intersection(*map(set, kinds))
    labels = [
        ", ".join(f"{key} {value}" for key, value in kind if (key, value) not in shared)
        for kind in kinds
    ]
    found = []
    for metric in COMPARED:
        lines = [
            {count: _estimate(row, metric) for count, row in counts.items()}
            for counts in kinds.values()
        ]
        level = next(iter(_highest_first(shadow_only, metric)), None)
        title = f"Gain from reference models at FPR {RATES[metric]:g}, {scenario}"
        drawn = figures.gain(
            title, TITLES[metric], lines, _estimate(level, metric) if level else None
        )
        table = [
            {"kind": kind, "count": count}
            | dict(zip(["tpr", "low", "high"], line[count], strict=True))
            for kind, line in zip(labels, lines, strict=True)
            for count in sorted(line)
        ]
        found.append(
            {"fpr": RATES[metric], "svg": drawn, "table": pd.DataFrame(table), "level": level}
            | {
                "value": level and level[metric],
                "legend": figures.line_legend([label or "plain" for label in labels]),
            }
        )
    return found


def _headline_table(
    results: Results, headline: pd.DataFrame, best: Mapping[str, Sequence[Row]], metric: str
) -> dict[str, Any]:
    ceilings = {
        label: [results.ceiling(name, kind, RATES[metric]) for name in best]
        for label, kind in (
            ("Bound on any attack", "bound"),
            ("Heuristic for the last model", "heuristic"),
        )
    }
    return {
        "metric": metric,
        "fpr": RATES[metric],
        "participants": _by_mean(headline, metric),
        "first": {name: _highest_first(rows, metric)[0] for name, rows in best.items()},
        "guessing": {
            name: sum(
                row[metric + "_low"] <= RATES[metric] <= row[metric + "_high"] for row in rows
            )
            for name, rows in best.items()
        },
        "marks": {
            name: marks(rows, results.pairs.get((name, metric), {}), metric)
            for name, rows in best.items()
        },
        # No attack may have found anything. The guess has its place on the bar as well.
        "scales": {
            name: max(RATES[metric], *(row[metric + "_high"] for row in rows))
            for name, rows in best.items()
        },
        "ceilings": {k: v for k, v in ceilings.items() if any(value is not None for value in v)},
    }


def _budgets(group: Sequence[Mapping[str, Any]], metric: str) -> Markup:
    title = f"Highest {TITLES[metric]} against ε, {named(group)}"
    return figures.budgets(title, [group], metric)


def _compared(results: Results, scenario: str, rows: Sequence[Row]) -> dict[str, Any] | None:
    """All pairs for the page's program, and those with the highest of each metric as a table.

    A metric's pairs are those of the first participant with each later one, then of the second, ...
    Each is three whole numbers: its difference and the ends of its interval, times 100,000.
    """
    # Some may leave out train models, and are compared with nobody there.
    most = max(row["models"] for row in rows)
    rows = [row for row in rows if row["models"] == most]
    names = [row["participant"] for row in rows]
    pairs = {metric: results.pairs.get((scenario, metric), {}) for metric in COMPARED}
    if len(names) < 2 or (names[0], names[1]) not in pairs[HEADLINE]:
        return None
    highest = {metric: _highest_first(rows, metric)[0]["participant"] for metric in COMPARED}
    chosen = list(combinations(names, 2))
    metrics = [
        {"label": TITLES[metric], "values": [round(row[metric], 5) for row in rows]}
        | {"pairs": [round(1e5 * value) for pair in chosen for value in pairs[metric][pair]]}
        for metric in COMPARED
    ]
    table = [(metric, *pair, *pairs[metric][pair]) for metric in COMPARED for pair in chosen]
    columns = ["metric", "participant", "other", "difference", "low", "high"]
    return {
        "highest": highest,
        "with_highest": {
            name: [pairs[metric].get((name, highest[metric])) for metric in COMPARED]
            for name in names
        },
        "data": {"names": names, "metrics": metrics, "open": _telling(results, scenario, names)},
        "table": pd.DataFrame(table, columns=columns),
    }


def _telling(results: Results, scenario: str, names: Sequence[str]) -> list[int]:
    """The pair to open with, by their places: the best on dev models, and the baseline.

    The baseline is the first threshold on the loss, or else the lowest.
    """
    dev = [row["participant"] for row in results.phases(scenario).get("dev", [])]
    plain = [
        one["name"]
        for one in results.run["attacks"]
        if (one["attack"], one.get("signal")) == ("threshold", "loss")
    ]
    first = next((name for name in dev if name in names), names[0])
    wanted = [name for name in [*plain, *reversed(names)] if name in names and name != first]
    return [names.index(first), names.index(wanted[0])]


def _highest_first(rows: Sequence[Row], metric: str) -> list[Row]:
    return sorted(rows, key=lambda row: (-row[metric], row["participant"]))


def _by_mean(scores: pd.DataFrame, metric: str) -> list[str]:
    """Participants by their mean lead over all, in the scenarios they are scored in."""
    leads = scores[metric] - scores.groupby("scenario")[metric].transform("mean")
    means = leads.groupby(scores.participant).mean()
    return sorted(means.index, key=lambda name: (-means[name], name))


def _estimate(row: Row, metric: str) -> tuple[float, float, float]:
    value, low, high = (row[metric + end] for end in ENDS)
    return value, low, high


def _training(models: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Scenario -> what its models came to: means of accuracies, the sum and median of seconds."""
    table = models.groupby("scenario").agg(
        models=("model", "size"),
        training_accuracy=("training_accuracy", "mean"),
        evaluation_accuracy=("evaluation_accuracy", "mean"),
        seconds=("seconds", "sum"),
        seconds_per_model=("seconds", "median"),
        devices=("device", lambda devices: ", ".join(sorted(set(devices)))),
    )
    return {row.pop("scenario"): row for row in rows_of(table.reset_index())}
