"""What a run found, as its pages show it: read strictly, so that no page is made of half a run."""

import argparse
import base64
import gzip
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mico.challenge import model_table
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.scoring.entries import Row
from mico.scoring.metrics import COMPARED, FPRS, HEADLINE, METRICS
from mico.support import digests, json_files, tables
from mico.support.errors import InputError

PHASES = {"both": "dev + final", "final": "final", "dev": "dev", "train": "train"}  # headline first

SCORE_TEXTS = ["scenario", "challenge", "track", "data", "participant", "phase"]
SCORE_NUMBERS = ["models", *(m.name + end for m in METRICS for end in ("", "_low", "_high"))]
MODEL_NUMBERS = ["model", "training_accuracy", "evaluation_accuracy", "seconds"]
PAIR_TEXTS = ["scenario", "metric", "participant", "other"]
PAIR_NUMBERS = ["difference", "low", "high"]
RUN_KEYS = ["run", "config_sha256", "seeds", "versions", "datasets", "scenarios"]
SCENARIO_KEYS = ["id", "challenge", "track", "data", "architecture", "n", "m", "epochs"]
SCENARIO_KEYS += ["batch_size", "epsilon", "clipping_norm", "disclosed"]
DATASET_KEYS = ["synthetic", "records", "features", "classes", "source"]
RATE_KEYS = ["fpr", *(f"{r}_{end}" for r in ("fpr", "tpr") for end in ("final", "low", "high"))]
BOUNDS = ("epsilon_lower", "epsilon_lower_one_run", "epsilon_lower_f_dp")
GUESS_KEYS = ["points", "guesses", "right"]
PRECISION_KEYS = ["fpr", "prior", "low", "high"]
CLASS_KEYS = ["class", "members", "nonmembers", "tpr_low", "tpr_high"]
CLASS_RATES = ["tpr", "fpr"]  # null in a class without members, or without non-members
SUBMISSION_KEYS = ["track", "participant", "id", "file", "time", "outcome", "details"]
CEILINGS = {"bound": "Bound", "heuristic": "Heuristic"}
NO_LIMIT: dict[str, list[float]] = {"fpr": [], **{name: [] for name in CEILINGS}}

# (participant, other) -> the paired difference and its interval; either of a pair may come first
Pairs = dict[tuple[str, str], tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Results:
    """All that is read of a run; its parts agree on scenarios and participants."""

    run: dict[str, Any]
    scores: pd.DataFrame  # a row per (scenario, participant, phase)
    curves: dict[str, dict[str, Any]]  # scenario -> participant -> fpr, tpr, models
    models: pd.DataFrame  # a row per trained model
    # (scenario, metric), on dev and final together, or on train where these are not known
    pairs: dict[tuple[str, str], Pairs]
    audit: dict[str, dict[str, Any]]  # scenario -> participant -> what `audit.audit` finds
    notes: dict[str, dict[str, str]]  # scenario -> participant -> what it did, after its name
    # Scenario -> what training spends; nothing is known where only outputs are given.
    privacy: dict[str, Privacy]
    ceilings: dict[str, dict[str, list[float]]]  # scenario -> fpr, bound, heuristic
    submissions: dict[str, Any]  # what became of each, and lines on what was passed over

    @property
    def ids(self) -> list[str]:
        """The scenarios' ids, in the run's order."""
        return [setting["id"] for setting in self.run["scenarios"]]

    def epsilon_spent(self, scenario: str) -> float | None:
        """What training spends of epsilon; None without DP, or if nothing is known."""
        return self.privacy[scenario].epsilon_spent if scenario in self.privacy else None

    @property
    def synthetic(self) -> list[str]:
        """The data sets that are generated stand-ins."""
        return [name for name, data in self.run["datasets"].items() if data["synthetic"]]

    @property
    def public_seeds(self) -> bool:
        """Whether anyone may know the seeds, and so the memberships."""
        return bool(self.run.get("seeds_are_public", False))

    def phases(self, scenario: str) -> dict[str, list[Row]]:
        """A scenario's rows by phase, those of the headline first; the highest estimate first."""
        return self._rows.get(scenario, {})

    def best(self) -> dict[str, list[Row]]:
        """Scenario that is scored -> the rows of its headline phase, the highest first."""
        scored = {name: self.phases(name) for name in self.ids}
        return {name: next(iter(phases.values())) for name, phases in scored.items() if phases}

    @cached_property
    def _rows(self) -> dict[str, dict[str, list[Row]]]:
        """Scenario -> phase -> its rows, in order."""
        ordered = self.scores.sort_values([HEADLINE, "participant"], ascending=[False, True])
        found: dict[str, dict[str, list[Row]]] = {}
        for row in rows_of(ordered):
            phases = found.setdefault(row["scenario"], {phase: [] for phase in PHASES})
            phases[row["phase"]].append(row)
        return {
            name: {phase: rows for phase, rows in phases.items() if rows}
            for name, phases in found.items()
        }

    def allowed_from(self, scenario: str) -> Callable[[float], float]:
        """The claimed trade-off curve: TPR -> an FPR at which the bound is not yet as high.

        Between two listed rates it is the lower one, so that the curve claims no more than is true.
        """
        bound, below = self.ceilings[scenario]["bound"], [0.0, *self.ceilings[scenario]["fpr"]]
        return lambda tpr: below[bisect_left(bound, tpr)]

    def ceiling(self, scenario: str, kind: str, fpr: float) -> float | None:
        """A ceiling at an FPR, or at the next one listed, where it is no lower; None without DP."""
        curve = self.ceilings[scenario]
        listed = zip(curve["fpr"], curve[kind], strict=True)
        return next((tpr for rate, tpr in listed if rate >= fpr - 1e-12), None)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The flags of a program that shows a run's results."""
    parser.add_argument("--run", type=Path, required=True, help="how the run was made, JSON")
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of the run")
    parser.add_argument("--curves", type=Path, required=True, help="ROC curves, JSON")
    parser.add_argument(
        "--models", type=Path, nargs="*", required=True, help="tables of the trained models, CSV"
    )
    parser.add_argument("--comparisons", type=Path, required=True, help="paired differences, CSV")
    parser.add_argument("--audit", type=Path, required=True, help="audits of all entries, JSON")
    parser.add_argument("--notes", type=Path, required=True, help="notes of attacks, JSON")
    parser.add_argument(
        "--privacy", type=Path, nargs="*", required=True, help="what is spent, <scenario>.json each"
    )
    parser.add_argument(
        "--ceilings", type=Path, nargs="*", required=True, help="limits, <scenario>.json each"
    )
    parser.add_argument("--submissions", type=Path, required=True, help="what became of them, JSON")


def read(inputs: argparse.Namespace) -> Results:
    """Read what the flags of `add_inputs` name.

    Raises:
        InputError: a file is not of its form, or two do not agree.
    """
    listing = inputs.scores.with_suffix(".sha256")
    listed = ("scores", "comparisons", "curves", "audit", "notes", "submissions")
    names = [getattr(inputs, name).name for name in listed]
    digests.verify_all(listing, names, f"delete {listing} and run again")
    run = read_run(inputs.run)
    unlimited = {setting["id"]: NO_LIMIT for setting in run["scenarios"] if setting.get("outputs")}
    results = Results(
        run,
        read_scores(inputs.scores),
        read_curves(inputs.curves),
        read_models(inputs.models),
        read_comparisons(inputs.comparisons),
        read_audit(inputs.audit),
        read_notes(inputs.notes),
        {path.stem: read_privacy(path) for path in inputs.privacy},
        unlimited | {path.stem: read_ceilings(path) for path in inputs.ceilings},
        read_submissions(inputs.submissions),
    )
    _check(results)
    return results


def _check(results: Results) -> None:
    """Every scenario is known, and what is scored on all models is compared and audited."""
    for what, names, known in (
        ("scores: scenario", results.scores.scenario, results.ids),
        ("scores: data", results.scores.data, results.run["datasets"]),
        ("curves: scenario", results.curves, results.ids),
        ("models: scenario", results.models.scenario, results.ids),
        ("comparisons: scenario", [scenario for scenario, _ in results.pairs], results.ids),
        ("audit: scenario", results.audit, results.ids),
        ("notes: scenario", results.notes, results.ids),
        ("privacy: scenario", results.privacy, results.ids),
        ("ceilings: scenario", results.ceilings, results.ids),
    ):
        for name in names:
            if name not in known:
                raise InputError(f"{what} {name!r}: the run only has {', '.join(known)}")
    for name in results.ids:
        if name not in results.privacy and results.ceilings.get(name) is not NO_LIMIT:
            raise InputError(f"privacy: scenario {name!r} is missing")
        if name not in results.ceilings:
            raise InputError(f"ceilings: scenario {name!r} is missing")
        private = results.epsilon_spent(name) is not None
        if private != bool(results.ceilings[name]["fpr"]):
            expected = "some with DP" if private else "none without DP"
            raise InputError(f"ceilings: scenario {name!r}: expected {expected}, as privacy says")
        scored = [row["participant"] for row in results.phases(name).get("both", [])]
        for i, one in enumerate(scored):
            if one not in results.audit.get(name, {}):
                raise InputError(f"audit: {name}: participant {one!r} is missing")
            for metric, other in ((metric, other) for metric in COMPARED for other in scored[:i]):
                if (one, other) not in results.pairs.get((name, metric), {}):
                    raise InputError(
                        f"comparisons: {name}: {metric} of {other!r} and {one!r} is missing"
                    )


def read_scores(path: Path) -> pd.DataFrame:
    """The scorer's table: a row per (scenario, participant, phase)."""
    scores = read_table(path, SCORE_TEXTS, SCORE_NUMBERS, ["scenario", "participant", "phase"])
    for phase in scores.phase:
        if phase not in PHASES:
            raise InputError(f"{path}: phase {phase!r}: expected one of {', '.join(PHASES)}")
    if scores.empty:
        raise InputError(f"{path}: expected at least one row")
    return scores


def read_models(paths: Iterable[Path]) -> pd.DataFrame:
    """A row per trained model, from all shards of all scenarios; none if nothing was trained."""
    texts, key = ["scenario", "device"], ["scenario", "model"]
    paths = list(paths)
    shards = [read_table(path, texts, MODEL_NUMBERS, key) for path in paths]
    for path in paths:
        tables.read(path, (), model_table.REMEDY)  # as they were written
    if not shards:
        return pd.DataFrame(columns=[*texts, *MODEL_NUMBERS])
    models = pd.concat(shards, ignore_index=True)
    for row in models[models.duplicated(key)].itertuples():
        raise InputError(f"model {row.model:g} of {row.scenario} is in two of the models files")
    if models.empty:
        raise InputError(f"{', '.join(map(str, paths))}: expected at least one row")
    return models


def read_curves(path: Path) -> dict[str, dict[str, Any]]:
    """ROC curves and per-model TPRs: scenario -> participant -> fpr, tpr, models."""
    curves = read_json(path, [])
    for scenario, participants in curves.items():
        _require(participants, [], f"{path}: {scenario}")
        for name, curve in participants.items():
            where = f"{path}: {scenario}.{name}"
            _require(curve, ["fpr", "tpr", "models"], where)
            if not len(curve["fpr"]) == len(curve["tpr"]) > 0:
                raise InputError(f"{where}: expected fpr and tpr of one length")
            _require(curve["models"], COMPARED, f"{where}.models")
    return curves


def read_run(path: Path) -> dict[str, Any]:
    """What was run: configuration, data sets, scenarios, attacks, versions."""
    run = read_json(path, [*RUN_KEYS, "attacks", "created"])
    for name, data in run["datasets"].items():
        _require(data, DATASET_KEYS, f"{path}: datasets.{name}")
    for i, scenario in enumerate(run["scenarios"]):
        _require(scenario, SCENARIO_KEYS, f"{path}: scenarios[{i}]")
        _require(run["datasets"], [scenario["data"]], f"{path}: datasets")
    for i, attack in enumerate(run["attacks"]):
        where = f"{path}: attacks[{i}]"
        _require(attack, ["name", "attack"], where)
        if attack["attack"] == "target-references":
            _require(attack, ["count"], where)
            if not _is_number(attack["count"]) or attack["count"] < 1:
                raise InputError(f"{where}: count {attack['count']!r}: expected at least 1")
    return run


def read_comparisons(path: Path) -> dict[tuple[str, str], Pairs]:
    """Paired differences: (scenario, metric) -> either order of two participants -> difference."""
    key = PAIR_TEXTS
    table = read_table(path, PAIR_TEXTS, PAIR_NUMBERS, key)
    comparisons: dict[tuple[str, str], Pairs] = {}
    for row in rows_of(table):
        scenario, metric, one, other = (row[name] for name in key)
        difference, low, high = (row[name] for name in PAIR_NUMBERS)
        if metric not in COMPARED:
            raise InputError(f"{path}: metric {metric!r}: expected {' or '.join(COMPARED)}")
        pairs = comparisons.setdefault((scenario, metric), {})
        if (one, other) in pairs or one == other:
            raise InputError(
                f"{path}: {scenario}: {one!r} and {other!r}: expected two participants, once"
            )
        pairs[one, other] = difference, low, high
        pairs[other, one] = -difference, -high, -low
    return comparisons


def read_audit(path: Path) -> dict[str, dict[str, Any]]:
    """Audits: scenario -> participant -> epsilon_lower, calibration, classes."""
    audit = read_json(path, [])
    for scenario, participants in audit.items():
        _require(participants, [], f"{path}: {scenario}")
        for name, found in participants.items():
            where = f"{path}: {scenario}.{name}"
            _require_numbers(found, BOUNDS, where)
            _require(found, ["guesses", "calibration", "precision", "classes"], where)
            _require_numbers(found["guesses"], GUESS_KEYS, f"{where}: guesses")
            for i, rates in enumerate(found["calibration"]):
                _require_numbers(rates, RATE_KEYS, f"{where}: calibration[{i}]")
            if [rates["fpr"] for rates in found["calibration"]] != list(FPRS):
                expected = ", ".join(f"{fpr:g}" for fpr in FPRS)
                raise InputError(f"{where}: calibration: expected one of each FPR {expected}")
            for i, row in enumerate(found["precision"]):
                known = [key for key in ("precision",) if row.get(key, "") is not None]
                _require_numbers(row, PRECISION_KEYS + known, f"{where}: precision[{i}]")
            for i, of_class in enumerate(found["classes"]):
                _require_numbers(of_class, CLASS_KEYS, f"{where}: classes[{i}]")
                known = [key for key in CLASS_RATES if of_class.get(key, "") is not None]
                _require_numbers(of_class, known, f"{where}: classes[{i}]")
    return audit


def read_notes(path: Path) -> dict[str, dict[str, str]]:
    """Notes: scenario -> participant -> what it did, as the end of a sentence."""
    notes = read_json(path, [])
    for scenario, participants in notes.items():
        _require(participants, [], f"{path}: {scenario}")
        for name, note in participants.items():
            if not isinstance(note, str):
                raise InputError(f"{path}: {scenario}.{name}: {note!r}: expected a text")
    return notes


def read_privacy(path: Path) -> Privacy:
    """What a scenario's training spends: noise, epsilon and delta, or none of them without DP."""
    spent = budget.read(path)
    values = spent.noise_multiplier, spent.epsilon_spent, spent.delta
    if values != (None,) * 3 and not all(map(_is_number, values)):
        raise InputError(
            f"{path}: noise_multiplier, epsilon_spent, delta {values}: expected three numbers, or "
            "three times null"
        )
    return spent


def read_ceilings(path: Path) -> dict[str, list[float]]:
    """A scenario's ceilings: fpr, bound, heuristic; all empty without DP."""
    curves = read_json(path, ["fpr", *CEILINGS])
    columns = [curves[key] for key in ("fpr", *CEILINGS)]
    if not all(isinstance(one, list) and all(map(_is_number, one)) for one in columns):
        raise InputError(f"{path}: expected lists of numbers")
    if not len(columns[0]) == len(columns[1]) == len(columns[2]):
        raise InputError(f"{path}: expected fpr, bound and heuristic of one length")
    if columns[0] and (sorted(columns[0]) != columns[0] or columns[0][-1] < max(FPRS)):
        raise InputError(f"{path}: fpr: expected increasing rates, up to {max(FPRS):g} at least")
    return curves


def read_submissions(path: Path) -> dict[str, Any]:
    """What became of each submission, and a line on each thing beside them that was not taken."""
    found = read_json(path, ["submissions", "passed_over"])
    for i, one in enumerate(found["submissions"]):
        _require(one, SUBMISSION_KEYS, f"{path}: submissions[{i}]")
    return found


def rows_of(table: pd.DataFrame) -> list[Row]:
    """A table's rows, each a dictionary by column."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def csv_uri(table: pd.DataFrame) -> str:
    """A link's address that carries the table itself, packed by gzip."""
    text = table.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    packed = gzip.compress(text.encode(), mtime=0)
    return f"data:application/gzip;base64,{base64.b64encode(packed).decode()}"


def read_table(path: Path, texts: list[str], numbers: list[str], key: list[str]) -> pd.DataFrame:
    """A CSV with these columns and at most one row for a key."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a CSV file: {error}") from error
    _require(table, texts + numbers, f"{path}: header")
    for column in numbers:
        try:
            table[column] = table[column].map(float)
        except ValueError as error:
            raise InputError(f"{path}: column {column}: expected numbers: {error}") from error
        if not all(map(math.isfinite, table[column])):
            raise InputError(f"{path}: column {column}: expected finite numbers")
    for row in rows_of(table[table.duplicated(key)][key]):
        raise InputError(f"{path}: more than one row for {row}")
    return table


def read_json(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    try:
        content = json_files.read(path)
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


def _require_numbers(content: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    keys = list(keys)
    _require(content, keys, where)
    for key in keys:
        if not _is_number(content[key]):
            raise InputError(f"{where}: {key} {content[key]!r}: expected a number")


def _is_number(value: Any) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(value)
