"""A scenario's field is one place: a throw-away one reaches the engine, the schema and the page."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
FIELD = """    clipping_norm: Annotated[
"""
ADDED = """    patience: Annotated[int, Field(ge=0, description="epochs without progress")] = 0
"""
PROGRAM = """
import json, sys
from dataclasses import asdict
from pathlib import Path
import yaml
from mico.challenge.recipe import Recipe
from mico.support.errors import InputError
from mico.support.records import dump, read
from mico.workflow import plan
from mico.workflow.configuration import check
import configuration_pages

def planned(**changes):
    config = yaml.safe_load(Path("config/config.yaml").read_text())
    scenario = {"id": "T1", "from": "T1", "data": "purchase100-synthetic", "n": 3000}
    config["scenarios"] = [scenario | changes]
    return plan.make(check(config, [], Path("config/scenarios.yaml")))

found = {}
for name, changes in {"default": {}, "given": {"patience": 7}}.items():
    one = planned(**changes)
    (scenario,) = one.run.scenarios.values()
    recipe = read(Recipe, dump(one.recipe(scenario)), "")
    found[name] = [asdict(recipe.options(None))["patience"], plan.public(scenario)["patience"]]
try:
    planned(patience=-1)
except InputError as error:
    found["wrong"] = str(error)
scenario = configuration_pages.schema()["$defs"]["Scenario"]["properties"]["patience"]
found["schema"] = scenario
page = configuration_pages.page_text(Path("config/README.md").read_text())
found["page"] = "| `patience` |" in page
print(json.dumps(found))
"""


def test_one_line_is_a_field(tmp_path: Path) -> None:
    """With its limits, default and description; what it does is the engine's to add."""
    for part in "scripts", "config", "tools":
        shutil.copytree(
            ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    recipe = tmp_path / "scripts/mico/challenge/recipe.py"
    text = recipe.read_text()
    assert text.count(FIELD) == 1
    recipe.write_text(text.replace(FIELD, ADDED + FIELD))
    path = os.pathsep.join(str(tmp_path / part) for part in ("scripts", "tools"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["default"] == [0, 0]
    assert found["given"] == [7, 7]
    assert found["wrong"].endswith("scenario T1: patience: -1 is less than the minimum of 0")
    assert found["schema"]["default"] == 0
    assert found["schema"]["description"] == "epochs without progress"
    assert found["page"]
