"""A network is one file: put among the others, it is known by name wherever networks are."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
# Run in a copy of the package that has one more network.
PROGRAM = """
import json
from pathlib import Path

import numpy as np
import torch
import yaml

import mico
from mico.attacks.computing import gradients, outputs
from mico.challenge.phases import Phases
from mico.challenge.recipe import TrainingOptions
from mico.data.options import DataOptions
from mico.data.store import Description
from mico.networks.build import build
from mico.networks.facts import networks, parse
from mico.release import reader, writer
from mico.support.errors import InputError
from mico.training.engine import Records, train
from mico.workflow import estimate
from mico.workflow.scenarios import resolve

data = Description("tiny", 40, 6, 3, synthetic=True, source="test")
network = build("softmax", data)
rng = np.random.default_rng(1)
bits = rng.integers(0, 2, (40, 6), dtype=np.uint8)
encoded = network.encode(np.packbits(bits, axis=1))
records = Records(torch.from_numpy(encoded), torch.from_numpy(bits.argmax(1) % 3))
sets = [np.arange(start, start + 20) for start in (0, 5, 10, 20)]
accuracies = []
with torch.no_grad():
    for private in ({}, {"clipping_norm": 1.0, "noise_multiplier": 0.1}):
        options = TrainingOptions(20, 5, "sgd", 0.5, 1.0, 1, **private)
        trained = train(network, records, sets, [1, 2, 3, 4], options)
        predicted = network.logits(trained, network.inputs(records.features.expand(4, -1, -1)))
        accuracies.append(float((predicted.argmax(-1) == records.labels).float().mean()))
for model, state_dict in enumerate(network.to_state_dicts(trained)):
    folder = Path("shard") / f"model_{model}"
    folder.mkdir(parents=True)
    network.write_model(folder, state_dict, True)
phases = Phases(2, 1, 1)
seeds = [dict.fromkeys(("seed_challenge", "seed_training", "seed_membership"), 7)] * 4
membership = np.zeros((4, 4), bool)
writer.write(
    Path("challenge"), phases, seeds, membership, writer.trained([Path("shard")], 4), ()
)
with torch.no_grad():
    given = Path("challenge"), phases, network, records, 20, 2
    signals, features = outputs.compute(*given), gradients.compute(*given)
finite = [bool(np.isfinite(signals.loss).all()), bool(np.isfinite(features.features).any())]
models = reader.models(Path("challenge"), phases, network, torch.device("cpu"))
errors = [
    float((value - trained[name][model : model + 1]).abs().max())
    for model, parameters in enumerate(models)
    for name, value in parameters.items()
]
try:
    parse("softmax/2")
except InputError as error:
    refusal = str(error)
size = DataOptions(format="labelled-bits", records=40, features=6, classes=3)
derived = {"id": "S", "from": "T1", "architecture": "softmax", "data": "tiny", "n": 20, "m": 2}
derived |= {"epochs": 3, "batch_size": 5}
library = yaml.safe_load(Path("config/scenarios.yaml").read_text())
scenario = resolve([derived], library, {"tiny": size})["S"]
facts = networks()["softmax"]
taken = estimate.rates(scenario, size, gpu=False)
print(json.dumps({
    "package": mico.__file__,
    "module": facts.module,
    "row": f"`softmax`, {facts.summary}",
    "layers": facts.layers,
    "describe": network.describe(Path("challenge/dev/model_2")),
    "accuracies": accuracies,
    "models": len(errors) // 2,
    "error": max(errors),
    "finite": finite,
    "refusal": refusal,
    "training": estimate.training_seconds(scenario, taken),
    "signals": estimate.signals_seconds(scenario, size, 4, taken),
    "white_box": estimate.white_box_seconds(scenario, size, 4, taken),
}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for part in "scripts", "config":
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "tests/throwaway/softmax.py", folder / "scripts/mico/networks")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "scripts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout) | {"folder": str(folder)}


def test_it_is_the_copy_that_knows_the_network(found: dict) -> None:
    assert found["package"].startswith(found["folder"])
    assert found["module"] == "mico.networks.softmax"


def test_it_trains_with_and_without_privacy(found: dict) -> None:
    assert min(found["accuracies"]) > 0.6  # three classes


def test_its_models_are_released_and_read(found: dict) -> None:
    assert (found["models"], found["error"]) == (4, 0)


def test_its_models_can_be_attacked(found: dict) -> None:
    assert found["finite"] == [True, True]


def test_it_is_described_to_users_and_participants(found: dict) -> None:
    assert found["row"] == "`softmax`, for bits: Linear(d, classes)"
    assert found["layers"].startswith("`softmax`: Linear")
    assert found["describe"] == "21 parameters: `weight` (6, 3), `bias` (1, 3)"
    assert "softmax" in found["refusal"].partition("expected")[2]


def test_what_it_takes_is_known(found: dict) -> None:
    assert found["training"] == pytest.approx(60 * 1e-6 + 12 * 1e-5)
    assert found["signals"] > 0
    assert found["white_box"] > found["signals"]
