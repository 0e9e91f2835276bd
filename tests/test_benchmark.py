"""The benchmark's program at a tiny size, and that its contestants do the work they stand for."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from mico import baselines
from mico.baselines import PHYSICAL_BATCH
from mico.mlp import MLP, Parameters
from mico.training import Records, State, TrainingOptions, train

SCRIPTS = Path(__file__).parents[1] / "scripts"
FEATURES, CLASSES, RECORDS = 12, 6, 300
NETWORK = MLP(FEATURES, CLASSES)
CPU = torch.device("cpu")
Data = tuple[torch.Tensor, torch.Tensor]
PLAIN = TrainingOptions(
    epochs=2,
    batch_size=70,
    optimizer="adam",
    learning_rate=0.01,
    lr_decay=1,
    lr_decay_epochs=1,
)
# q = 1 and no noise: nothing is left to chance, and Opacus too divides by 300.
SURE = replace(PLAIN, batch_size=RECORDS, clipping_norm=4.0, noise_multiplier=0.0)
# Samples of a third of the records.
PRIVATE = replace(PLAIN, batch_size=100, clipping_norm=4.0, noise_multiplier=0.6)
# As in test_training.py: rounding in a few steps is below 1e-7, a wrong step moves weights by 0.01.
ROUNDING = 1e-6


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Opacus draws its samples and noise from torch's own generator."""
    torch.manual_seed(1)


@pytest.fixture(scope="module")
def data() -> Data:
    """Features (300, 12) float32 and labels."""
    rng = np.random.default_rng(1)
    features = rng.integers(0, 2, (RECORDS, FEATURES)).astype(np.float32)
    return torch.from_numpy(features), torch.from_numpy(rng.integers(0, CLASSES, RECORDS))


@dataclass(frozen=True)
class Made:
    """A model that a contestant made, and its first weights."""

    model: nn.Module
    start: Parameters


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Made]:
    """The models that the contestants make, which they keep to themselves."""
    made = []
    original = baselines._parts

    def parts(*arguments: object) -> tuple[nn.Module, torch.optim.Optimizer, DataLoader]:
        model, optimizer, loader = original(*arguments)
        made.append(Made(model, weights(model)))
        return model, optimizer, loader

    monkeypatch.setattr(baselines, "_parts", parts)
    return made


def weights(model: nn.Module) -> Parameters:
    """A copy, as the engine has them, with a leading dimension of one model."""
    return NETWORK.from_state_dicts([{f"mlp.{k}": v for k, v in model.state_dict().items()}])


def engine(data: Data, start: Parameters, options: TrainingOptions) -> Parameters:
    """What training from these weights, on the records in their order, ends with."""
    x, y = data
    records = Records(nn.functional.pad(x, (0, 1), value=1).to(torch.uint8), y)
    flat = torch.cat([value.flatten(1) for value in start.values()], 1)
    state = State(0, flat, flat.new_zeros(2, *flat.shape))
    return train(NETWORK, records, [np.arange(RECORDS)], [1], options, state)


def largest_difference(one: Parameters, other: Parameters) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in NETWORK.shapes)


def test_published_loop_without_dp_trains_what_the_engine_trains(
    data: Data, made: list[Made]
) -> None:
    """Batches of 70 in the given order, the last of 300 short, epoch after epoch."""
    steps = baselines.published_loop(*data, CLASSES, PLAIN, CPU)
    assert list(islice(steps, 10)) == [70, 70, 70, 70, 20] * 2
    found = weights(made[0].model)
    assert largest_difference(found, engine(data, made[0].start, PLAIN)) < ROUNDING
    assert largest_difference(found, made[0].start) > 0.01


@pytest.mark.parametrize("name", ["published_loop", "ghost_clipping"])
def test_contestants_with_dp_train_what_the_engine_trains(
    data: Data, made: list[Made], name: str
) -> None:
    """The published loop takes a sample in physical batches and moves only after the last."""
    steps = getattr(baselines, name)(*data, CLASSES, SURE, CPU)
    largest = {"published_loop": PHYSICAL_BATCH, "ghost_clipping": RECORDS}[name]
    taken, before = 0, None
    while taken < SURE.epochs * RECORDS:
        size = next(steps)
        assert 0 < size <= largest
        taken += size
        found = weights(made[0].model)
        moved = largest_difference(found, before or made[0].start) > 0
        assert moved == (taken % RECORDS == 0)
        before = found
    assert taken == SURE.epochs * RECORDS
    assert largest_difference(found, engine(data, made[0].start, SURE)) < ROUNDING
    assert largest_difference(found, made[0].start) > 0.01


@pytest.mark.parametrize("name", ["published_loop", "ghost_clipping"])
def test_contestants_with_dp_draw_poisson_samples(data: Data, made: list[Made], name: str) -> None:
    """Their sizes, physical batches added up, are binomial; the seed is fixed.

    Under a fresh seed the mean fails with a chance of 7e-6, the variance (of 4.5 standard
    deviations of a normal's) with one of about 1e-4.
    """
    steps = getattr(baselines, name)(*data, CLASSES, PRIVATE, CPU)
    samples, sizes = 60, []
    taken, before = next(steps), made[0].start
    while len(sizes) < samples:
        now = weights(made[0].model)
        if largest_difference(now, before) > 0:  # a step was taken: the sample is complete
            sizes.append(taken)
            taken, before = 0, now
        taken += next(steps)
    mean, variance = RECORDS / 3, RECORDS * 2 / 9
    assert abs(np.mean(sizes) - mean) < 4.5 * math.sqrt(variance / samples)
    squares = np.mean((np.array(sizes) - mean) ** 2)
    assert abs(squares - variance) < 4.5 * variance * math.sqrt(2 / samples)
    assert max(sizes) > 100 > min(sizes)


@pytest.mark.parametrize("published", [False, True])
def test_matrix_products_count_the_records_of_all_models(published: bool) -> None:
    steps = baselines.matrix_products(FEATURES, CLASSES, 7, 3, published, CPU)
    assert list(islice(steps, 2)) == [21, 21]


# What each ratio claims: records a second of one contestant over those of another.
CLAIMS = {
    "dp_vs_published": ("engine, DP", "published loop, DP"),
    "dp_vs_published_side_by_side": ("engine, DP", "published loop, DP, side by side"),
    "dp_vs_ghost": ("engine, DP", "Opacus ghost clipping, DP"),
    "sgd_vs_published": ("engine, no DP", "published loop, no DP"),
    "sgd_vs_published_side_by_side": ("engine, no DP", "published loop, no DP, side by side"),
    # Time over time is the inverse of rate over rate.
    "dp_time_vs_sgd": ("engine, no DP", "engine, DP"),
    "sgd_vs_floor": ("engine, no DP", "matrix products"),
    "sgd_vs_published_layout_floor": ("engine, no DP", "matrix products, published layout"),
}


def test_program_measures_all_contestants(run_script: Callable, tmp_path: Path) -> None:
    output = tmp_path / "benchmark.json"
    size = ("--records", 700, "--n", 512, "--seconds", 0.01, "--epochs", 1, "--repeats", 1)
    given = ("--device", "cpu", "--processes", 2, "--output", output)
    result = run_script("benchmark", *size, *given)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"(benchmark: .*\n)+", result.stderr)
    found = json.loads(output.read_text())
    assert found.keys() == {"machine", "rows", "ratios", "ratio_rows"}
    assert found["machine"]["processes"] == 2
    assert {"device", "cores", "torch", "opacus", "python", "date"} < found["machine"].keys()
    # With one turn each, the least, the median and the largest are the same.
    rates, ratios = ({row["name"]: row for row in found[key]} for key in ("rows", "ratio_rows"))
    for row in (*rates.values(), *ratios.values()):
        assert row["min"] == row["median"] == row["max"] > 0
        assert row["name"] in result.stdout
    assert set(rates) == {name for pair in CLAIMS.values() for name in pair}
    assert set(ratios) == set(CLAIMS)
    for name, (above, below) in CLAIMS.items():
        quotient = rates[above]["median"] / rates[below]["median"]
        assert found["ratios"][name] == ratios[name]["median"] == quotient


def test_program_ends_when_a_contestant_fails(tmp_path: Path) -> None:
    """With nothing to train on, the benchmark's only process dies, and is not waited for."""
    output = tmp_path / "benchmark.json"
    given = ("--device", "cpu", "--processes", "1", "--n", "0", "--records", "700")
    command = [sys.executable, SCRIPTS / "benchmark.py", *given, "--output", output]
    # It takes seconds, and would wait for ever.
    result = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert result.returncode == 1
    assert not output.exists()
