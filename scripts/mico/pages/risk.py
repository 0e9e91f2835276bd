"""A scenario's risk in words: how often the best attack is right about whom it calls members."""

from typing import Any

import pandas as pd

from mico.pages.run_results import Results
from mico.scoring.metrics import COMPARED, RATES
from mico.scoring.priors import PRIORS, posterior


def risk(results: Results, scenario: str) -> dict[str, Any] | None:
    """What the report says of the attack that is best on dev; None without dev and final models.

    Both it and its thresholds are chosen on dev, so final models tell what they are worth.
    """
    phases = results.phases(scenario)
    if scenario not in results.audit or not {"dev", "final"} <= phases.keys():
        return None
    first = phases["dev"][0]["participant"]
    audit = results.audit[scenario][first]
    rates = {row["fpr"]: row for row in audit["calibration"]}
    precision = {(row["fpr"], row["prior"]): row for row in audit["precision"]}
    bounds = {RATES[name]: results.ceiling(scenario, "bound", RATES[name]) for name in COMPARED}
    (final,) = (row for row in phases["final"] if row["participant"] == first)
    return {
        "participant": first,
        "participants": len(phases["dev"]),
        "models": final["models"],
        "rates": [rates[RATES[name]] for name in COMPARED],
        "rows": [
            {"prior": prior, "cells": [precision[RATES[name], prior] for name in COMPARED]}
            | {"at_most": [bound and posterior(prior, bound, fpr) for fpr, bound in bounds.items()]}
            for prior in PRIORS
        ],
        "table": pd.DataFrame(
            [
                {"participant": name} | row
                for name, found in results.audit[scenario].items()
                for row in found["precision"]
            ]
        ),
    }
