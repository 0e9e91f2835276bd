"""What scenarios came to, and which of them differ in their privacy budget alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from mico.pages.figures import ENDS
from mico.pages.run_results import Results
from mico.scoring.metrics import COMPARED, HEADLINE, RATES

# What a scenario is called, and what its privacy budget decides.
NAMES = ("id", "challenge", "track")
BUDGET = ("epsilon", "noise_multiplier", "delta", "clipping_norm")
ACCURACIES = ["training_accuracy", "evaluation_accuracy"]


def scenarios(results: Results, run: str, metric: str = HEADLINE) -> list[dict[str, Any]]:
    """What each scored scenario of a run came to, by its highest estimate of a metric.

    Ceilings are None without DP, accuracies where nothing was trained.

    Args:
        run: what the run is called where several are shown.
        metric: the TPR at an FPR, at which the ceilings are too.
    """
    means = results.models.groupby("scenario")[ACCURACIES].mean().to_dict("index")
    found = []
    for name, rows in results.best().items():
        first = max(rows, key=lambda row: row[metric])
        (setting,) = (one for one in results.run["scenarios"] if one["id"] == name)
        ceilings = {
            kind: results.ceiling(name, kind, RATES[metric]) for kind in ("bound", "heuristic")
        }
        found.append(
            {"run": run, "scenario": name, "data": setting["data"]}
            | {key: first[key] for key in ("participant", "phase", "models")}
            | {f"{one}{end}": first[one + end] for one in COMPARED for end in ENDS}
            | {"epsilon_spent": results.epsilon_spent(name)}
            | ceilings
            | means.get(name, dict.fromkeys(ACCURACIES))
            | {"setting": setting}
        )
    return found


def groups(sides: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Those of `scenarios` that differ in their privacy budget alone, together."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for side in sides:
        kept = {k: v for k, v in side["setting"].items() if k not in (*NAMES, *BUDGET)}
        found.setdefault(str((side["run"], sorted(kept.items()))), []).append(side)
    return list(found.values())


def named(group: Sequence[Mapping[str, Any]]) -> str:
    """The scenarios of a group."""
    return ", ".join(side["scenario"] for side in group)
