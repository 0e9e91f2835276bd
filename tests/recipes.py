"""Recipes as the programs take them."""

import json


def recipe(n: int, m: int, architecture: str = "mlp", **changes: object) -> str:
    """JSON of a recipe: those of an optimisation, and of the recipe itself, from keywords."""
    whole: dict[str, object] = {"architecture": architecture, "physical_batch_size": 32}
    whole |= {"precision": "float32", "n": n, "m": m}
    own = {key: changes.pop(key) for key in ("null_run", "secure") if key in changes}
    whole |= own
    return json.dumps({**whole, "optimisation": changes})
