"""A made-up run's results as files, and what a page says of them."""

import base64
import gzip
import html
import json
import re
import subprocess
from argparse import Namespace
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import programs

from mico.pages.run_results import Results, read
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.scoring.metrics import COMPARED, FPRS, RATES

SCRIPT = Path(__file__).parents[1] / "scripts" / "report.py"
EVIL = "<script>alert(1)</script>"
PHASES = {"train": (0, 1), "dev": (0, 2), "final": (1, 2), "both": (0, 1)}
HALF = 0.02  # of a paired difference's interval
# What T2 spends, which is less than its target of 4.
PRIVATE = {"noise_multiplier": 0.54, "epsilon_spent": 3.97, "delta": 1e-5}
SEVERAL = ("models", "privacy", "ceilings")  # inputs of more than one file


def write_run(
    folder: Path, participants: list[str], models: int = 12, m: int = 20, synthetic: bool = True
) -> dict[str, list[Path]]:
    """A small run's files with plausible numbers: a plain scenario T1 and a private one T2.

    Attacks are ordered as in `participants`, from strong to weak; "visitor" is none of the run's.
    """
    rng = np.random.default_rng(7)
    rows, settings, all_curves, model_paths, pairs, audits = [], [], {}, [], [], {}
    for scenario, epsilon, strength in ("T1", None, 1.2), ("T2", 4.0, 0.15):
        challenge = "purchase100_inf" if epsilon is None else "purchase100_lo"
        curves, metrics = {}, {}
        for i, participant in enumerate(participants):
            members = rng.normal(strength * 0.85**i, 1 + 0.4 * strength, (models, m))
            others = rng.normal(0, 1, (models, m))
            curves[participant] = _curve(members, others)
            metrics[participant] = _metrics(curves[participant])
            for phase in PHASES:
                row = {"scenario": scenario, "challenge": challenge, "track": "purchase100"}
                row |= {"data": "purchase100-synthetic", "participant": participant, "phase": phase}
                row |= {"models": models if phase == "both" else models // 2}
                for metric, value in metrics[participant].items():
                    value = min(1, max(0, value + (phase != "both") * rng.normal(0, 0.005)))
                    half = 0.5 / np.sqrt(row["models"] * m)
                    row |= {metric: value, f"{metric}_low": max(0, value - half)}
                    row |= {f"{metric}_high": min(1, value + half)}
                rows.append(row)
        all_curves[scenario] = curves
        audits[scenario] = {name: _audit(i) for i, name in enumerate(participants)}
        for metric in COMPARED:
            for one, other in combinations(participants, 2):
                lead = metrics[one][metric] - metrics[other][metric]
                pairs.append((scenario, metric, one, other, lead, lead - HALF, lead + HALF))
        spent = {} if epsilon is None else PRIVATE
        path = folder / "privacy" / f"{scenario}.json"
        path.parent.mkdir(exist_ok=True)
        budget.write(path, Privacy(128 / 7600, 78100, **spent))
        path = folder / "ceilings" / f"{scenario}.json"
        path.parent.mkdir(exist_ok=True)
        fpr = [] if epsilon is None else sorted({*np.geomspace(1e-5, 1, 40).round(6), *FPRS})
        ceiling = {"fpr": fpr, "bound": [r**0.5 for r in fpr], "heuristic": [r**0.8 for r in fpr]}
        path.write_text(json.dumps(ceiling))
        for shard, numbers in enumerate(np.array_split(np.arange(models), 2)):
            table = pd.DataFrame({"scenario": scenario, "model": numbers})
            table["training_accuracy"] = 0.99 if epsilon is None else 0.41
            table["evaluation_accuracy"] = 0.61 if epsilon is None else 0.38
            table["seconds"], table["device"] = rng.uniform(15, 18, len(table)), "cpu"
            model_paths.append(folder / f"{scenario}-{shard}.csv")
            table.to_csv(model_paths[-1], index=False)
        settings.append(
            {"id": scenario, "challenge": challenge, "track": "purchase100", "m": m, "n": 7600}
            | {"data": "purchase100-synthetic", "architecture": "mlp", "epochs": 20}
            | {"batch_size": 128, "epsilon": epsilon, "clipping_norm": epsilon and 2.6}
            | {"disclosed": ["seed_training"], "an extra key": 1}
        )
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    columns = ["scenario", "metric", "participant", "other", "difference", "low", "high"]
    pd.DataFrame(pairs, columns=columns).to_csv(folder / "comparisons.csv", index=False)
    (folder / "audit.json").write_text(json.dumps(audits))
    data = {"synthetic": synthetic, "records": 10000, "features": 600, "classes": 100}
    run = {
        "run": "demo",
        "config_sha256": "9f2c" * 16,
        "seeds": "master seed 20221110 in the configuration",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"},
        "datasets": {"purchase100-synthetic": data | {"source": "generated, seed 1"}},
        "scenarios": settings,
        "attacks": [_attack(name) for name in participants if name != "visitor"],
        "created": "2026-11-24",
    }
    (folder / "run.json").write_text(json.dumps(run))
    scores = [folder / "scores.csv"]
    run_json = [folder / "run.json"]
    curves_json = folder / "curves.json"
    curves_json.write_text(json.dumps(all_curves))
    paths = {"scores": scores, "curves": [curves_json], "models": model_paths, "run": run_json}
    paths["ceilings"] = [folder / "ceilings" / f"{scenario}.json" for scenario in all_curves]
    paths["privacy"] = [folder / "privacy" / f"{scenario}.json" for scenario in all_curves]
    paths["notes"] = [folder / "notes.json"]
    paths["notes"][0].write_text(json.dumps({"T1": {"auto": f"chose {EVIL}"}}))
    paths["submissions"] = [folder / "submissions.json"]
    paths["submissions"][0].write_text(json.dumps({"submissions": [], "passed_over": []}))
    return paths | {"comparisons": [folder / "comparisons.csv"], "audit": [folder / "audit.json"]}


def _attack(name: str) -> dict:
    kind, _, count = name.partition("-")
    if kind == "references":
        return {"name": name, "attack": "target-references", "count": int(count), "signal": "loss"}
    if kind == "loss":
        return {"name": name, "attack": "threshold", "signal": "loss"}
    return {"name": name, "attack": "auto" if kind == "auto" else "lira", "signal": "margin"}


def _audit(rank: int) -> dict:
    """The audit of the attack of this rank; of its four classes one has no members."""
    calibration = [
        {"fpr": fpr, "fpr_final": 1.1 * fpr, "fpr_low": 0.8 * fpr, "fpr_high": 1.5 * fpr}
        | {"tpr_final": 2 * fpr, "tpr_low": 1.7 * fpr, "tpr_high": 2.2 * fpr}
        for fpr in FPRS
    ]
    classes = [
        {"class": i, "members": 60, "nonmembers": 55 + i, "tpr": tpr, "fpr": 0.1 + 0.01 * i}
        | {"tpr_low": tpr - 0.05, "tpr_high": tpr + 0.06}
        for i, tpr in enumerate((0.21, 0.47, 0.33))
    ]
    empty = {"class": 3, "members": 0, "nonmembers": 7, "tpr": None, "fpr": 0.0}
    classes.append(empty | {"tpr_low": 0.0, "tpr_high": 1.0})
    precision = [
        {"fpr": fpr, "prior": prior, "precision": value, "low": 0.8 * value, "high": 1.1 * value}
        for fpr in (0.1, 0.01)
        for prior, value in ((0.01, 0.02), (0.1, 0.18), (0.5, 0.67))
    ]
    lower = round(1.3 * 0.8**rank, 6)
    found = {"epsilon_lower": lower, "epsilon_lower_one_run": lower / 2}
    found |= {"epsilon_lower_f_dp": 1.1 * lower, "calibration": calibration}
    found |= {"guesses": {"points": 240, "guesses": 48, "right": 28 - rank}}
    return found | {"precision": precision, "classes": classes}


def _curve(members: np.ndarray, others: np.ndarray) -> dict:
    """The thinned ROC curve and the TPR of each model at pooled thresholds."""
    falling = np.sort(others, axis=None)[::-1]
    counts = np.unique(np.geomspace(1, others.size, 300).astype(int))
    thresholds = falling[counts - 1]
    tpr = (members.reshape(1, -1) >= thresholds[:, None]).mean(axis=1).tolist()
    models = {}
    for metric in COMPARED:
        tprs = (members > falling[int(RATES[metric] * others.size)]).mean(axis=1)
        models[metric] = {str(100 + i): float(value) for i, value in enumerate(tprs)}
    return {
        "fpr": [0.0, *(counts / others.size)],
        "tpr": [0.0, *tpr],
        "models": models,
    }


def _metrics(curve: dict) -> dict[str, float]:
    fpr, tpr = np.array(curve["fpr"]), np.array(curve["tpr"])
    advantage = float((tpr - fpr).max())
    values = {f"tpr_at_fpr_{rate}": float(tpr[fpr <= rate].max()) for rate in FPRS}
    auc = float(np.trapezoid(tpr, fpr))
    return values | {"auc": auc, "advantage": advantage, "accuracy": (1 + advantage) / 2}


def results_of(paths: dict[str, list[Path]]) -> Results:
    """What the program reads."""
    inputs = {name: files if name in SEVERAL else files[0] for name, files in paths.items()}
    return read(Namespace(**inputs))


def run_program(
    paths: dict[str, list[Path]], output: Path, script: Path = SCRIPT
) -> subprocess.CompletedProcess:
    flags = [text for name, files in paths.items() for text in (f"--{name}", *map(str, files))]
    return programs.run(script.stem, *flags, "--output", output)


def edit_json(path: Path, edit: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    content.pop("sha256", None)  # as a person who edits it does
    edit(content)
    path.write_text(json.dumps(content))


def edit_run(paths: dict[str, list[Path]], edit: Callable[[dict], object]) -> None:
    edit_json(paths["run"][0], edit)


def drop(paths: dict[str, list[Path]], participant: str, scenario: str) -> None:
    """Take a participant out of a scenario, as if it had not been scored there."""
    for kind in "scores", "comparisons":
        table = pd.read_csv(paths[kind][0])
        theirs = (table == participant).any(axis=1)
        table[~theirs | (table.scenario != scenario)].to_csv(paths[kind][0], index=False)
    for kind in "curves", "audit":
        edit_json(paths[kind][0], lambda content: content[scenario].pop(participant))


def downloads(text: str) -> dict[str, str]:
    """The name and content of each file that the page carries."""
    found = {}
    for name, uri in re.findall(r'<a download="([^"]*)" href="([^"]*)"', text):
        content = unquote(html.unescape(uri).partition(",")[2])
        if name.endswith(".csv.gz"):
            content = gzip.decompress(base64.b64decode(content)).decode()
        found[name.removesuffix(".gz")] = content
    return found


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")  # noqa: RUF001


def headline_rows(paths: dict[str, list[Path]], scenario: str) -> pd.DataFrame:
    scores = pd.read_csv(paths["scores"][0])
    return scores[(scores.scenario == scenario) & (scores.phase == "both")]


def table_rows(text: str, start: str) -> dict[str, list[str]]:
    """Row name -> the cells' text of the first table after `start`."""
    body = text[text.index(start) :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r'<th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', body, re.DOTALL)
    return {
        html.unescape(re.sub("<.*?>", "", name)): [
            html.unescape(re.sub("<.*?>", " ", cell)).strip() for cell in cells.split("</td>")
        ]
        for name, cells in rows
    }
