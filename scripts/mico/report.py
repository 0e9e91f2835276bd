"""One self-contained page out of a run's scores: headline table, ROC curves, and how it was made.

The same inputs give the same bytes.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from mico.command_line import InputError
from mico.figures import scenario_figures
from mico.pages import environment
from mico.scoring import FPRS, HEADLINE, HEADLINE_FPR

METRICS = {f"tpr_at_fpr_{fpr:g}": f"TPR @ {fpr:g}" for fpr in FPRS} | {
    "auc": "AUC",
    "advantage": "Advantage",
    "accuracy": "Accuracy",
}
PHASES = {"both": "dev + final", "final": "final", "dev": "dev", "train": "train"}  # headline first

SCORE_TEXTS = ["scenario", "challenge", "track", "data", "participant", "phase"]
SCORE_NUMBERS = ["models", *(m + end for m in METRICS for end in ("", "_low", "_high"))]
MODEL_NUMBERS = ["model", "training_accuracy", "evaluation_accuracy", "steps", "seconds"]
MAY_BE_EMPTY = ["epsilon", "delta", "noise_multiplier", "sample_rate"]  # in a table of models
RUN_KEYS = ["run", "config_sha256", "seeds", "versions", "datasets", "scenarios"]
SCENARIO_KEYS = ["id", "challenge", "track", "data", "architecture", "n", "m", "epochs"]
PRIVACY_KEYS = ["batch_size", "epsilon", "delta", "noise_multiplier", "clipping_norm", "disclosed"]
DATASET_KEYS = ["synthetic", "records", "features", "classes", "source"]


def read_scores(path: Path) -> pd.DataFrame:
    """The scorer's table: a row per (scenario, participant, phase)."""
    scores = _read_csv(path, SCORE_TEXTS, SCORE_NUMBERS, ["scenario", "participant", "phase"])
    for phase in scores.phase:
        if phase not in PHASES:
            raise InputError(f"{path}: phase {phase!r}: expected one of {', '.join(PHASES)}")
    return scores


def read_models(paths: Iterable[Path]) -> pd.DataFrame:
    """A row per trained model, from all shards of all scenarios."""
    texts, key = ["scenario", "device"], ["scenario", "model"]
    tables = [_read_csv(path, texts, MODEL_NUMBERS + MAY_BE_EMPTY, key) for path in paths]
    models = pd.concat(tables, ignore_index=True)
    for row in models[models.duplicated(key)].itertuples():
        raise InputError(f"model {row.model:g} of {row.scenario} is in two of the models files")
    return models


def read_curves(path: Path) -> dict[str, dict[str, Any]]:
    """ROC curves and per-model TPRs: scenario -> participant -> fpr, tpr, models."""
    curves = _read_json(path, [])
    for scenario, participants in curves.items():
        _require(participants, [], f"{path}: {scenario}")
        for name, curve in participants.items():
            where = f"{path}: {scenario}.{name}"
            _require(curve, ["fpr", "tpr", "models"], where)
            if not len(curve["fpr"]) == len(curve["tpr"]) > 0:
                raise InputError(f"{where}: expected fpr and tpr of one length")
    return curves


def read_run(path: Path) -> dict[str, Any]:
    """What was run: configuration, data sets, scenarios, attacks, versions."""
    run = _read_json(path, [*RUN_KEYS, "attacks", "created"])
    for name, data in run["datasets"].items():
        _require(data, DATASET_KEYS, f"{path}: datasets.{name}")
    for i, scenario in enumerate(run["scenarios"]):
        _require(scenario, SCENARIO_KEYS + PRIVACY_KEYS, f"{path}: scenarios[{i}]")
        _require(run["datasets"], [scenario["data"]], f"{path}: datasets")
    for i, attack in enumerate(run["attacks"]):
        _require(attack, ["name"], f"{path}: attacks[{i}]")
    return run


def render(
    scores: pd.DataFrame,
    curves: Mapping[str, Mapping[str, Any]],
    models: pd.DataFrame,
    run: Mapping[str, Any],
) -> str:
    """The whole page.

    Raises:
        InputError: a table or curve names a scenario or data set that the run does not have.
    """
    ids = [setting["id"] for setting in run["scenarios"]]
    for what, names, known in (
        ("scores: scenario", scores.scenario, ids),
        ("scores: data", scores.data, run["datasets"]),
        ("curves: scenario", curves, ids),
        ("models: scenario", models.scenario, ids),
    ):
        for name in names:
            if name not in known:
                raise InputError(f"{what} {name!r}: the run only has {', '.join(known)}")
    phases = {}  # scenario -> phase -> rows, the headline phase and the highest estimate first
    for name in ids:
        own = scores[scores.scenario == name]
        rows = {phase: _highest_first(own[own.phase == phase]) for phase in PHASES}
        if len(own):
            phases[name] = {phase: rows[phase] for phase in PHASES if rows[phase]}
    best = {name: next(iter(rows.values())) for name, rows in phases.items()}
    headline = pd.DataFrame([row for rows in best.values() for row in rows])
    means = headline.groupby("participant")[HEADLINE].mean()
    participants = sorted(means.index, key=lambda name: (-means[name], name))
    scored = [setting for setting in run["scenarios"] if setting["id"] in best]
    figures = {}
    for setting in scored:
        name = setting["id"]
        figures[name] = scenario_figures(setting, best[name], curves.get(name, {}), participants)
    low, high = HEADLINE + "_low", HEADLINE + "_high"
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            synthetic=[name for name, data in run["datasets"].items() if data["synthetic"]],
            scored=scored,
            phases=phases,
            best=best,
            overlapping={k: sum(row[high] >= v[0][low] for row in v[1:]) for k, v in best.items()},
            guessing={
                k: sum(row[low] <= HEADLINE_FPR <= row[high] for row in v) for k, v in best.items()
            },
            participants=participants,
            figures=figures,
            guess=HEADLINE_FPR,
            headline=HEADLINE,
            metrics=METRICS,
            phase_labels=PHASES,
            scale=max(row[high] for rows in best.values() for row in rows),
            training=_training(models),
            training_seconds=models.seconds.sum(),
            csv_uri=csv_uri,
            scores=scores,
            models=models,
            run_json=f"data:application/json,{quote(json.dumps(run, indent=1))}",
        )
    )


def csv_uri(table: pd.DataFrame) -> str:
    """A link's address that carries the table itself."""
    text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    return f"data:text/csv;charset=utf-8,{quote(text, safe=',')}"


def _highest_first(scores: pd.DataFrame) -> list[dict[str, Any]]:
    return scores.sort_values([HEADLINE, "participant"], ascending=[False, True]).to_dict("records")


def _training(models: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Each scenario's models in one line: means of accuracies, medians of what hardly varies."""
    return (
        models.groupby("scenario")
        .agg(
            models=("model", "size"),
            training_accuracy=("training_accuracy", "mean"),
            evaluation_accuracy=("evaluation_accuracy", "mean"),
            epsilon=("epsilon", "max"),
            sample_rate=("sample_rate", "median"),
            steps=("steps", "median"),
            seconds=("seconds", "sum"),
            seconds_per_model=("seconds", "median"),
            devices=("device", lambda devices: ", ".join(sorted(set(devices)))),
        )
        .to_dict("index")
    )


def _read_csv(path: Path, texts: list[str], numbers: list[str], key: list[str]) -> pd.DataFrame:
    """A CSV with these columns and at most one row for a key."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a CSV file: {error}") from error
    _require(table, texts + numbers, f"{path}: header")
    for column in numbers:
        empty = "nan" if column in MAY_BE_EMPTY else ""
        try:
            table[column] = table[column].map(lambda text, empty=empty: float(text or empty))
        except ValueError as error:
            raise InputError(f"{path}: column {column}: expected numbers: {error}") from error
    for row in table[table.duplicated(key)][key].to_dict("records"):
        raise InputError(f"{path}: more than one row for {row}")
    if table.empty:
        raise InputError(f"{path}: expected at least one row")
    return table


def _read_json(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a JSON file: {error}") from error
    _require(content, keys, str(path))
    return content


def _require(content: Any, keys: Iterable[str], where: str) -> None:
    if not hasattr(content, "keys"):
        raise InputError(f"{where}: expected a JSON object")
    for key in keys:
        if key not in content:
            raise InputError(f"{where}: {key!r} is missing")
