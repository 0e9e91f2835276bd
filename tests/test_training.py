"""The training engine against Opacus, plain PyTorch and naive per-example gradients.

Statistical tests have fixed seeds, so they give the same answer every time. Under a fresh seed a
right engine would fail a p-value (held to 1e-4) with that chance, a mean or correlation (held to
4.5 standard deviations) with a chance of 7e-6.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from recipes import recipe
from scipy import stats
from torch import Tensor, nn

import train as program
from mico.challenge import seeds, splits
from mico.challenge.recipe import Optimisation, Recipe, TrainingOptions
from mico.data import store
from mico.networks import model_files, randomness
from mico.networks.architecture import Clipping
from mico.networks.bits import unpack
from mico.networks.facts import networks
from mico.networks.mlp import MLP
from mico.networks.randomness import RandomStream, poisson_sample
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.support.errors import InputError
from mico.support.records import build
from mico.training import engine as training
from mico.training.engine import Records, State, accuracy, train

FEATURES, CLASSES, RECORDS = 12, 6, 80
NETWORK = MLP(FEATURES, CLASSES)
SEEDS = [11, 12, 13]
StateDict = dict[str, Tensor]

# Forty steps of float32 (rounding 6e-8) on weights below 1 were measured to differ by at most 1e-7;
# a wrong factor, batch, order or schedule moves weights by a good part of the learning rate, 0.01.
ROUNDING = 1e-6

OPTIMISATION = [field.name for field in fields(Optimisation)]
PLAIN = TrainingOptions(
    epochs=5,
    batch_size=5,
    optimizer="adam",
    learning_rate=0.01,
    lr_decay=0.5,
    lr_decay_epochs=2,
)
# n = 23 and L = 3: q = 1/8 where L/n = 0.130; a Poisson batch is empty with a chance of 5 %.
PRIVATE = replace(PLAIN, batch_size=3, clipping_norm=4.0, noise_multiplier=0.6)


@pytest.fixture(scope="module")
def records() -> Records:
    rng = np.random.default_rng(1)
    features = rng.integers(0, 2, (RECORDS, FEATURES), dtype=np.uint8)
    return Records(packed(features), torch.from_numpy(rng.integers(0, CLASSES, RECORDS)))


@pytest.fixture(scope="module")
def training_sets() -> list[np.ndarray]:
    """23 records each: neither a multiple of a batch nor in the data set's order."""
    rng = np.random.default_rng(2)
    return [rng.permutation(RECORDS)[:23] for _ in SEEDS]


def with_ones(features: Tensor) -> Tensor:
    """Numbers (..., d) as the engine takes them, with a last column of ones."""
    return nn.functional.pad(features, (0, 1), value=1)


def packed(features: np.ndarray) -> Tensor:
    """Bits (N, d) as the engine takes them, with a last column of ones."""
    return torch.from_numpy(MLP(features.shape[1], CLASSES).encode(features))


def plain(records: Records) -> Tensor:
    """The features (N, d) as the published network takes them."""
    return unpack(records.features, FEATURES)


def initial_state_dict(seed: int, network: MLP = NETWORK) -> StateDict:
    """A model's weights after one step with a learning rate that float32 does not feel."""
    one = Records(packed(np.ones((1, network.features), np.uint8)), torch.zeros(1).long())
    options = TrainingOptions(1, 1, "sgd", learning_rate=1e-30, lr_decay=1, lr_decay_epochs=1)
    return network.to_state_dicts(train(network, one, [np.zeros(1, int)], [seed], options))[0]


def largest_difference(first: StateDict, second: StateDict) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def flatten(state_dict: StateDict) -> np.ndarray:
    return torch.cat([value.flatten() for value in state_dict.values()]).double().numpy()


# Opacus


def noise_layout(flat: Tensor) -> list[Tensor]:
    """A model's normals as the engine hands them out: the first weight (d, 128), bias, ..."""
    sizes = [FEATURES * 128, 128, CLASSES * 128, CLASSES]
    first, bias1, second, bias2 = flat.split(sizes)
    return [first.view(FEATURES, 128).T, bias1, second.view(CLASSES, 128), bias2]


@pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing when gradients are computed with respect to module "
    "outputs since no inputs require gradients:UserWarning"
)
@pytest.mark.parametrize("sigma", [0.0, 0.6])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_private_training_equals_opacus(
    records: Records,
    training_sets: list[np.ndarray],
    published_mlp: type[nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    sigma: float,
    optimizer: str,
) -> None:
    """The published loop (GradSampleModule, DPOptimizer, StepLR) on the same batches and noise."""
    from opacus.grad_sample import GradSampleModule
    from opacus.optimizers import DPOptimizer
    from opacus.optimizers import optimizer as opacus_optimizer

    options = replace(PRIVATE, noise_multiplier=sigma, optimizer=optimizer)
    trained = train(NETWORK, records, training_sets, SEEDS, options)
    x, y = plain(records), records.labels
    for seed, training_set, engine in zip(
        SEEDS, training_sets, NETWORK.to_state_dicts(trained), strict=True
    ):
        model = published_mlp(FEATURES, CLASSES)
        model.load_state_dict(initial_state_dict(seed))
        start = flatten(model.state_dict())
        wrapped = GradSampleModule(model)
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
        inner = kind(wrapped.parameters(), lr=0.01)
        outer = DPOptimizer(inner, noise_multiplier=sigma, max_grad_norm=4.0, expected_batch_size=3)
        schedule = torch.optim.lr_scheduler.StepLR(inner, step_size=2, gamma=0.5)
        queue: list[Tensor] = []

        def given(
            std: float, reference: Tensor, queue: list[Tensor] = queue, **_: object
        ) -> Tensor:
            return std * queue.pop(0).reshape(reference.shape) if std else torch.zeros(())

        monkeypatch.setattr(opacus_optimizer, "_generate_noise", given)
        empty = mixed = 0
        for epoch in range(5):
            sampling, noise = (
                RandomStream(seed, f"{name}/{epoch}") for name in ("sampling", "noise")
            )
            normals = torch.empty(len(start))
            fill = noise.normals(normals, 1.0)
            drawn = poisson_sample(sampling, 8 * 23, 1 / 8)
            for step in range(8):
                batch = training_set[drawn[drawn // 23 == step] % 23]
                if sigma:
                    fill()
                    queue += noise_layout(normals.clone())
                outer.zero_grad()
                nn.CrossEntropyLoss()(wrapped(x[batch]), y[batch]).backward()
                squares = sum(p.grad_sample.flatten(1).square().sum(1) for p in model.parameters())
                empty += len(batch) == 0
                mixed += bool((squares > 4.0**2).any() and (squares < 4.0**2).any())
                outer.step()
            schedule.step()
        assert queue == []
        # The draws of all three seeds have both kinds of step.
        assert empty > 0
        assert mixed > 5
        assert largest_difference(engine, model.state_dict()) < ROUNDING
        assert np.abs(flatten(engine) - start).max() > 0.01


# Gradients


def naive_gradients(
    model: nn.Module, x: Tensor, y: Tensor, smoothing: float = 0.0
) -> list[StateDict]:
    """Each example's own gradient by autograd in double precision."""
    model = model.double()
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    gradients = []
    for one_x, one_y in zip(x.double(), y, strict=True):
        model.zero_grad()
        criterion(model(one_x.unsqueeze(0)), one_y.unsqueeze(0)).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    return gradients


def norm(gradient: StateDict) -> float:
    return math.sqrt(sum(float(value.square().sum()) for value in gradient.values()))


def factor(clipping: Clipping, gradient: StateDict) -> float:
    """What is left of an example's gradient."""
    if clipping.automatic:
        return clipping.norm / (norm(gradient) + 0.01)
    return min(1.0, clipping.norm / norm(gradient))


@pytest.fixture
def models(published_mlp: type[nn.Module]) -> list[nn.Module]:
    """Three published networks, the second and third with larger weights (saturated, certain)."""
    made = []
    for seed, factor in (1, 1), (2, 3), (3, 30):
        torch.manual_seed(seed)
        made.append(published_mlp(FEATURES, CLASSES))
        with torch.no_grad():
            for parameter in made[-1].parameters():
                parameter.mul_(factor)
    return made


def held(models: list[nn.Module]) -> dict[str, Tensor]:
    return NETWORK.from_state_dicts([model.state_dict() for model in models])


def gradient_sums(
    parameters: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    weight: Tensor,
    clipping: Clipping,
    smoothing: float = 0.0,
) -> list[StateDict]:
    """The engine's, less what was in `out` before."""
    out = {name: torch.ones_like(value) for name, value in parameters.items()}
    bound = weight * clipping.norm
    NETWORK.add_clipped_gradients(
        parameters, with_ones(x), y, bound, clipping, out, smoothing=smoothing
    )
    return NETWORK.to_state_dicts({name: value - 1 for name, value in out.items()})


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mean_gradient_equals_the_mean_of_naive_per_example_gradients(
    models: list[nn.Module], smoothing: float
) -> None:
    torch.manual_seed(3)
    x, y = torch.randn(3, 9, FEATURES), torch.randint(CLASSES, (3, 9))
    parameters = held(models)
    # What is not a number must not stay either.
    out = {name: torch.full_like(value, math.nan) for name, value in parameters.items()}
    NETWORK.mean_gradient(parameters, with_ones(x), y, out, smoothing=smoothing)
    for model, engine, own_x, own_y in zip(models, NETWORK.to_state_dicts(out), x, y, strict=True):
        examples = naive_gradients(model, own_x, own_y, smoothing)
        for name, value in engine.items():
            expected = sum(one[name] for one in examples) / 9
            torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    "clipping", [Clipping(0.05), Clipping(4.0), Clipping(1e6), Clipping(4.0, automatic=True)]
)
def test_clipped_sum_equals_naive_per_example_gradients(
    models: list[nn.Module], clipping: Clipping, smoothing: float
) -> None:
    """Real-valued inputs, unequal weights (some 0), several models with their own batches."""
    torch.manual_seed(4)
    x, y = torch.randn(3, 9, FEATURES), torch.randint(CLASSES, (3, 9))
    weight = torch.rand(3, 9) * torch.tensor([1.0, 2.0, 0.0]).repeat(3)
    sums = gradient_sums(held(models), x, y, weight, clipping, smoothing)
    for model, engine, own_x, own_y, own_weight in zip(models, sums, x, y, weight, strict=True):
        examples = naive_gradients(model, own_x, own_y, smoothing)
        factors = [factor(clipping, one) for one in examples]
        for name, value in engine.items():
            expected = sum(
                float(w) * f * one[name]
                for w, f, one in zip(own_weight, factors, examples, strict=True)
            )
            # A gradient below rounding, of an example that a model is certain of, has no direction.
            torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("automatic", [False, True])
def test_an_examples_clipped_gradient_keeps_its_direction_and_never_exceeds_the_bound(
    models: list[nn.Module], automatic: bool
) -> None:
    """A batch of one for each of many models, all with the same weights: per-example gradients."""
    torch.manual_seed(5)
    count, bound = 40, 4.8
    x, y = torch.randn(count, FEATURES), torch.randint(CLASSES, (count,))
    parameters = held([models[0]] * count)
    batch = (x.unsqueeze(1), y.unsqueeze(1), torch.ones(count, 1))
    clipping = Clipping(bound, automatic)
    clipped = gradient_sums(parameters, *batch, clipping)
    over = 0
    for engine, naive in zip(clipped, naive_gradients(models[0], x, y), strict=True):
        # What automatic clipping adds, 0.01, is above all rounding.
        assert norm(engine) < bound if automatic else norm(engine) <= bound * (1 + 1e-6)
        over += norm(naive) > bound
        for name, value in engine.items():
            expected = naive[name] * factor(clipping, naive)
            torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-6)
    assert 5 < over < 35


def test_padding_contributes_nothing(models: list[nn.Module]) -> None:
    torch.manual_seed(6)
    x, y, weight = torch.randn(3, 6, FEATURES), torch.randint(CLASSES, (3, 6)), torch.ones(3, 6)
    weight[:, 4:] = 0
    x[:, 4:] *= 1000
    for clipping in Clipping(1.0), Clipping(1.0, automatic=True):
        padded = gradient_sums(held(models), x, y, weight, clipping)
        bare = gradient_sums(held(models), x[:, :4], y[:, :4], weight[:, :4], clipping)
        for one, other in zip(padded, bare, strict=True):
            assert largest_difference(one, other) < 1e-6 * max(1, norm(other))
            assert norm(other) > 0.1


def test_an_empty_batch_has_the_gradient_zero(models: list[nn.Module]) -> None:
    empty = (torch.empty(3, 0, FEATURES), torch.empty(3, 0).long(), torch.empty(3, 0))
    for gradient in gradient_sums(held(models), *empty, Clipping(1.0)):
        assert norm(gradient) == 0


def test_state_dicts_round_trip_and_name_what_is_wrong(models: list[nn.Module]) -> None:
    state_dicts = [model.state_dict() for model in models]
    returned = NETWORK.to_state_dicts(NETWORK.from_state_dicts(state_dicts))
    for one, other in zip(state_dicts, returned, strict=True):
        assert largest_difference(one, other) == 0
    with pytest.raises(ValueError, match=r"'mlp\.0\.weight': \(128, 13\)"):
        MLP(FEATURES + 1, CLASSES).from_state_dicts(state_dicts)
    with pytest.raises(ValueError, match=r"mlp\.2\.bias"):
        NETWORK.from_state_dicts([{k: v for k, v in state_dicts[0].items() if k != "mlp.2.bias"}])


# Without DP


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_plain_training_equals_a_pytorch_loop(
    records: Records,
    training_sets: list[np.ndarray],
    published_mlp: type[nn.Module],
    optimizer: str,
) -> None:
    """Batches in the given order every epoch; the last of 23 records in fives holds three."""
    options = replace(PLAIN, optimizer=optimizer)
    trained = train(NETWORK, records, training_sets, SEEDS, options)
    x, y = plain(records), records.labels
    for seed, training_set, engine in zip(
        SEEDS, training_sets, NETWORK.to_state_dicts(trained), strict=True
    ):
        model = published_mlp(FEATURES, CLASSES)
        model.load_state_dict(initial_state_dict(seed))
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer]
        loop = kind(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(loop, step_size=2, gamma=0.5)
        for _ in range(5):
            for batch in torch.from_numpy(training_set).split(5):
                loop.zero_grad()
                nn.CrossEntropyLoss()(model(x[batch]), y[batch]).backward()
                loop.step()
            schedule.step()
        assert largest_difference(engine, model.state_dict()) < ROUNDING
        assert largest_difference(engine, initial_state_dict(seed)) > 0.01


# All that goes together without DP, and with it.
RECIPE = replace(
    PLAIN,
    epochs=6,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=0.01,
    lr_schedule="cosine",
    lr_decay=1.0,
    warmup_epochs=1.4,
    label_smoothing=0.2,
)
PRIVATE_RECIPE = replace(
    RECIPE,
    epochs=3,
    batch_size=3,
    learning_rate=0.02,
    clipping_norm=4.0,
    noise_multiplier=0.0,
    clipping="automatic",
)


def loop_of(model: nn.Module, options: TrainingOptions, steps: int) -> tuple[Any, Any]:
    """torch's optimizer and schedule of a recipe, with so many steps an epoch."""
    loop = torch.optim.SGD(
        model.parameters(), lr=options.learning_rate, momentum=0.9, weight_decay=0.01, nesterov=True
    )
    rising = round(1.4 * steps)
    parts = [
        torch.optim.lr_scheduler.LinearLR(loop, 1 / rising, 1, rising - 1),
        torch.optim.lr_scheduler.CosineAnnealingLR(loop, options.epochs * steps - rising),
    ]
    return loop, torch.optim.lr_scheduler.SequentialLR(loop, parts, [rising])


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
def test_a_recipe_of_all_options_equals_a_pytorch_loop(
    records: Records, training_sets: list[np.ndarray], published_mlp: type[nn.Module]
) -> None:
    """Thirty steps, of which seven are the warm-up's."""
    trained = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, RECIPE))
    x, y = plain(records), records.labels
    criterion = nn.CrossEntropyLoss(label_smoothing=0.2)
    for seed, training_set, engine in zip(SEEDS, training_sets, trained, strict=True):
        model = published_mlp(FEATURES, CLASSES)
        model.load_state_dict(initial_state_dict(seed))
        loop, schedule = loop_of(model, RECIPE, 5)
        for _ in range(6):
            for batch in torch.from_numpy(training_set).split(5):
                loop.zero_grad()
                criterion(model(x[batch]), y[batch]).backward()
                loop.step()
                schedule.step()
        # Momentum of .9 makes ten times as much of a rounding.
        assert largest_difference(engine, model.state_dict()) < 10 * ROUNDING
        assert largest_difference(engine, initial_state_dict(seed)) > 0.1


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
def test_a_private_recipe_of_all_options_equals_a_naive_loop(
    records: Records, training_sets: list[np.ndarray], published_mlp: type[nn.Module]
) -> None:
    """Per-example gradients in double precision, each scaled by C / (norm + 0.01); no noise."""
    options = PRIVATE_RECIPE
    trained = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, options))
    x, y = plain(records), records.labels
    clipping = Clipping(4.0, automatic=True)
    for seed, training_set, engine in zip(SEEDS, training_sets, trained, strict=True):
        model = published_mlp(FEATURES, CLASSES).double()
        model.load_state_dict(initial_state_dict(seed))
        loop, schedule = loop_of(model, options, 8)
        for epoch in range(3):
            drawn = poisson_sample(RandomStream(seed, f"sampling/{epoch}"), 8 * 23, 1 / 8)
            for step in range(8):
                batch = training_set[drawn[drawn // 23 == step] % 23]
                gradients = naive_gradients(model, x[batch], y[batch], 0.2)
                for name, parameter in model.named_parameters():
                    terms = [factor(clipping, one) * one[name] for one in gradients]
                    parameter.grad = sum(terms, torch.zeros_like(parameter)) / 3
                loop.step()
                schedule.step()
        assert largest_difference(engine, model.state_dict()) < 10 * ROUNDING
        assert largest_difference(engine, initial_state_dict(seed)) > 0.1


def test_a_shuffled_epoch_is_an_order_of_each_models_own(
    records: Records, training_sets: list[np.ndarray], published_mlp: type[nn.Module]
) -> None:
    """A PyTorch loop in the orders of the models' streams, and another order in every epoch."""
    options = replace(PLAIN, shuffle=True, lr_decay=1, optimizer="sgd", learning_rate=0.1)
    trained = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, options))
    x, y = plain(records), records.labels
    orders = []
    for seed, training_set, engine in zip(SEEDS, training_sets, trained, strict=True):
        model = published_mlp(FEATURES, CLASSES)
        model.load_state_dict(initial_state_dict(seed))
        loop = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(5):
            words = np.empty(23, np.uint64)
            RandomStream(seed, f"order/{epoch}").bits(words)()
            orders.append(tuple(words.argsort()))
            for batch in torch.from_numpy(training_set[words.argsort()]).split(5):
                loop.zero_grad()
                nn.CrossEntropyLoss()(model(x[batch]), y[batch]).backward()
                loop.step()
        assert largest_difference(engine, model.state_dict()) < ROUNDING
    assert len(set(orders)) == len(orders) == 15
    assert all(sorted(order) == list(range(23)) for order in orders)
    ordered = NETWORK.to_state_dicts(
        train(NETWORK, records, training_sets, SEEDS, replace(options, shuffle=False))
    )
    assert largest_difference(ordered[0], trained[0]) > 0.01


def test_a_batchs_gradient_is_clipped_as_torch_clips_it(
    records: Records, training_sets: list[np.ndarray], published_mlp: type[nn.Module]
) -> None:
    """Of some steps and not of others."""
    bound = 1.8
    options = replace(
        PLAIN, optimizer="sgd", learning_rate=0.1, lr_decay=1, max_gradient_norm=bound
    )
    trained = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, options))
    x, y = plain(records), records.labels
    over = 0
    for seed, training_set, engine in zip(SEEDS, training_sets, trained, strict=True):
        model = published_mlp(FEATURES, CLASSES)
        model.load_state_dict(initial_state_dict(seed))
        loop = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(5):
            for batch in torch.from_numpy(training_set).split(5):
                loop.zero_grad()
                nn.CrossEntropyLoss()(model(x[batch]), y[batch]).backward()
                over += float(nn.utils.clip_grad_norm_(model.parameters(), bound)) > bound
                loop.step()
        assert largest_difference(engine, model.state_dict()) < ROUNDING
    assert 10 < over < 65


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shuffle": True}, "shuffle: expected false with DP"),
        ({"max_gradient_norm": 1.0}, "max_gradient_norm: 1.0: expected null with DP"),
    ],
)
def test_options_that_do_not_go_with_dp(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PRIVATE, **changes)


# Models and shards


@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_a_model_does_not_depend_on_those_trained_with_it(
    records: Records, training_sets: list[np.ndarray], options: TrainingOptions
) -> None:
    """Alone, among others, and in another order; Poisson samples are padded to the longest."""
    options = replace(options, batch_size=8)
    together = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, options))
    turned = train(NETWORK, records, training_sets[::-1], SEEDS[::-1], options)
    turned = NETWORK.to_state_dicts(turned)[::-1]
    for i, seed in enumerate(SEEDS):
        alone = train(NETWORK, records, training_sets[i : i + 1], [seed], options)
        alone = NETWORK.to_state_dicts(alone)[0]
        assert largest_difference(alone, together[i]) < ROUNDING
        assert largest_difference(alone, turned[i]) < ROUNDING
    assert largest_difference(together[0], together[1]) > 0.1


def test_a_model_alone_may_draw_an_empty_sample(records: Records) -> None:
    """n = 4, L = 1: a sample is empty with a chance of 32 %, of three models with one of 3 %."""
    options = replace(PRIVATE, batch_size=1)
    order = np.arange(4)
    together = train(NETWORK, records, [order] * 3, SEEDS, options)
    alone = train(NETWORK, records, [order], SEEDS[:1], options)
    pair = (NETWORK.to_state_dicts(parameters)[0] for parameters in (alone, together))
    assert largest_difference(*pair) < ROUNDING


def test_program_trains_the_same_bits_in_any_shard(
    run_script: Callable, stored_data: object, tmp_path: Path
) -> None:
    seeds.write(tmp_path / "seeds.csv", seeds.derive(3, "S", 4))
    budget.write(tmp_path / "privacy.json", Privacy(0.1, 20, 0.5))
    options = {"epochs": 2, "batch_size": 10, "optimizer": "adam", "learning_rate": 0.01}
    options |= {"lr_decay": 0.9, "lr_decay_epochs": 1, "clipping_norm": 1.0}
    base = ["--scenario", "S", "--seeds", tmp_path / "seeds.csv", "--data", stored_data.directory]
    base += ["--privacy", tmp_path / "privacy.json", "--recipe", recipe(100, 20, **options)]
    base += ["--device", "cpu"]

    def run(name: str, first: int, last: int) -> int:
        outputs = ["--models", tmp_path / name, "--rows", tmp_path / f"{name}.csv"]
        result = run_script("train", *base, "--first", first, "--last", last, *outputs)
        return result.returncode or result.stderr.count("Traceback")

    for name, first, last in ("all", 0, 3), ("again", 0, 3), ("low", 0, 1), ("high", 2, 3):
        assert run(name, first, last) == 0
    whole, again, low, high = (
        {path.parent.name: path.read_bytes() for path in (tmp_path / name).glob("*/*")}
        for name in ("all", "again", "low", "high")
    )
    assert whole == again == low | high
    assert sorted(whole) == [f"model_{model}" for model in range(4)]
    assert len(set(whole.values())) == 4
    state_dict = model_files.read_state_dict(tmp_path / "all/model_0/model.pt")
    assert set(state_dict) == {"mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"}
    rows = [(tmp_path / f"{name}.csv").read_text().splitlines() for name in ("all", "low", "high")]
    timed = rows[0][0].split(",").index("seconds")
    # Nor the last column, the row's checksum.
    cut = [
        [[*r.split(",")[:timed], *r.split(",")[timed + 1 : -1]] for r in table] for table in rows
    ]
    assert cut[0] == cut[1] + cut[2][1:]


@pytest.fixture
def null_job(stored_data: object) -> program.Job:
    """Of two models with the same seeds but for who of the challenge points is a member."""
    own, other = seeds.derive(3, "S", 2)
    own_seeds = {0: own, 1: own | {"seed_membership": other["seed_membership"]}}
    dataset = store.read(stored_data.directory)
    device = torch.device("cpu")
    recipe = Recipe("mlp", 32, "float32", 100, 20, optimisation_of(PLAIN), null_run=True)
    return program.Job(dataset, recipe, None, own_seeds, device)


def optimisation_of(options: TrainingOptions) -> Optimisation:
    return Optimisation(**{name: getattr(options, name) for name in OPTIMISATION})


def normal(job: program.Job) -> program.Job:
    """The same job with members in the training sets."""
    return replace(job, recipe=replace(job.recipe, null_run=False))


def train_models(job: program.Job, shard: Path) -> tuple[list[StateDict], list[dict]]:
    """State dicts of a shard's models, and the rows on them."""
    saved, rows = program._train(job, job.architecture(), shard)
    paths = [saved / f"models/model_{model}/model.pt" for model in job.seeds]
    return [model_files.read_state_dict(path) for path in paths], rows


@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_a_null_run_does_not_see_members(
    null_job: program.Job, tmp_path: Path, options: TrainingOptions
) -> None:
    """Who is a member makes no difference, and training is on the other records in their order."""
    recipe = replace(null_job.recipe, optimisation=optimisation_of(options))
    null_job = replace(null_job, recipe=recipe, noise_multiplier=options.noise_multiplier)
    models, rows = train_models(null_job, tmp_path / "0-1")
    assert largest_difference(*models) == 0
    normal_job = normal(null_job)
    with_members, _ = train_models(normal_job, tmp_path / "0-1")
    assert largest_difference(*with_members) > 0.01
    assert null_job.identity != normal_job.identity

    architecture = MLP(37, 4)
    records = training.load(architecture, null_job.dataset, null_job.device)
    for model, job in (with_members, normal_job), (models, null_job):
        split = splits.split(300, 100, 20, null_job.seeds[1])
        rest = split.training_set[20 * job.recipe.null_run :]
        assert set(split.challenge) & set(rest) == (
            set() if job.recipe.null_run else set(split.challenge[split.membership])
        )
        seed = job.seeds[1]["seed_model"]
        expected = train(architecture, records, [rest], [seed], options)
        assert largest_difference(model[1], architecture.to_state_dicts(expected)[0]) == 0
    # The measured accuracies are of what was trained on, and of what nobody asks about.
    assert rows[1]["training_accuracy"] == accuracy(architecture, expected, records, rest)
    evaluated = accuracy(architecture, expected, records, split.evaluation)
    assert rows[1]["evaluation_accuracy"] == evaluated


def test_accuracy_is_of_as_many_records_as_a_network_can_afford(
    null_job: program.Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here 7 of both kinds, the first."""
    monkeypatch.setattr(MLP, "facts", replace(networks()["mlp"], accuracy_records=7))
    models, rows = train_models(normal(null_job), tmp_path / "0-1")
    architecture = MLP(37, 4)
    records = training.load(architecture, null_job.dataset, null_job.device)
    for model, state_dict in enumerate(models):
        split = splits.split(300, 100, 20, null_job.seeds[model])
        parameters = architecture.from_state_dicts([state_dict])
        for kind, indices in (
            ("training", split.training_set),
            ("evaluation", split.evaluation),
        ):
            measured = accuracy(architecture, parameters, records, indices[:7])
            assert rows[model][f"{kind}_accuracy"] == measured
            assert (7 * measured) % 1 == pytest.approx(0, abs=1e-9)


def test_program_takes_a_null_run(
    null_job: program.Job, run_script: Callable, stored_data: object, tmp_path: Path
) -> None:
    seeds.write(tmp_path / "seeds.csv", seeds.derive(3, "S", 2))
    budget.write(tmp_path / "privacy.json", Privacy(0.1, 20))
    options = {name: value for name, value in asdict(PLAIN).items() if name in OPTIMISATION}
    arguments = ["--scenario", "S", "--seeds", tmp_path / "seeds.csv"]
    arguments += ["--data", stored_data.directory, "--privacy", tmp_path / "privacy.json"]
    arguments += ["--recipe", recipe(100, 20, null_run=True, **options)]
    arguments += ["--first", 0, "--last", 0, "--device", "cpu"]
    outputs = ["--models", tmp_path / "out", "--rows", tmp_path / "out.csv"]
    result = run_script("train", *arguments, *outputs)
    assert result.returncode == 0, result.stderr
    models, _ = train_models(null_job, tmp_path / "0-1")
    written = model_files.read_state_dict(tmp_path / "out/model_0/model.pt")
    assert largest_difference(written, models[0]) < ROUNDING


def test_program_refuses_models_that_have_no_seeds(
    run_script: Callable, stored_data: object, tmp_path: Path
) -> None:
    seeds.write(tmp_path / "seeds.csv", seeds.derive(3, "S", 4))
    budget.write(tmp_path / "privacy.json", Privacy(0.1, 20))
    options = {"epochs": 1, "batch_size": 10, "optimizer": "sgd", "learning_rate": 0.01}
    options |= {"lr_decay": 1, "lr_decay_epochs": 1, "clipping_norm": None}
    arguments = ["--scenario", "S", "--seeds", tmp_path / "seeds.csv"]
    arguments += ["--data", stored_data.directory, "--privacy", tmp_path / "privacy.json"]
    arguments += ["--recipe", recipe(100, 20, **options), "--first", 2, "--last", 4]
    outputs = ["--models", tmp_path / "out", "--rows", tmp_path / "out.csv"]
    result = run_script("train", *arguments, *outputs)
    assert result.returncode == 1
    path = tmp_path / "seeds.csv"
    assert result.stderr == f"error: {path}: model 4 is missing (2 to 4 are needed)\n"
    assert not (tmp_path / "out").exists()


# Initial weights


def test_initial_weights_are_those_of_torch_linear() -> None:
    """Uniform in +- 1 / sqrt(inputs of the layer), nothing shared between parameters or seeds."""
    network = MLP(features=300, classes=20)
    first, second = (initial_state_dict(seed, network) for seed in (1, 2))
    assert len(first) == 4
    for name, value in first.items():
        bound = 300**-0.5 if name.startswith("mlp.0") else 128**-0.5
        # The largest of k uniforms is below this share of the bound with a chance of 1e-4.
        assert bound * 1e-4 ** (1 / value.numel()) < float(value.abs().max()) <= bound
        law = stats.uniform(-bound, 2 * bound)
        assert stats.kstest(value.flatten().double(), law.cdf).pvalue > 1e-4
    one, other = flatten(first), flatten(second)
    for a, b in (one, other), (one[:-1], one[1:]), (one[: len(one) // 2], one[-(len(one) // 2) :]):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / math.sqrt(len(a))


# Accuracy


def test_accuracy_counts_right_records(
    records: Records, models: list[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several evaluation batches, the last of them short, with repeated records."""
    monkeypatch.setattr(training, "EVALUATION_BATCH", 7)
    indices = np.random.default_rng(1).integers(0, RECORDS, 40)
    for model in models:
        right = 0
        for index in indices:
            logits = model(plain(records)[index]).tolist()
            right += logits.index(max(logits)) == int(records.labels[index])
        assert 0 < right < 40
        assert accuracy(NETWORK, held([model]), records, indices) == right / 40


def test_accuracy_of_no_records_is_not_a_number(records: Records, models: list[nn.Module]) -> None:
    assert math.isnan(accuracy(NETWORK, held(models[:1]), records, np.empty(0, np.int64)))


# The mechanism


@pytest.mark.parametrize("secure", [False, True])
def test_noise_has_the_mechanisms_variance_and_is_independent(
    monkeypatch: pytest.MonkeyPatch, secure: bool
) -> None:
    """Three steps of plain SGD with learning rate 1 add noise of variance 3 (sigma C / L)^2.

    The clipped signal's squared norm is below 1e-6 of the noise's. With 89,828 parameters a
    variance is known to 0.5 %, so that C, L or sigma wrong by 2 % shows.
    """
    network = MLP(600, 100)
    rng = np.random.default_rng(1)
    features = rng.integers(0, 2, (21, 600), dtype=np.uint8)
    records = Records(packed(features), torch.from_numpy(rng.integers(0, 100, 21)))
    # What stands in for the operating system's entropy is the same every time.
    monkeypatch.setattr(randomness, "os", SimpleNamespace(urandom=rng.bytes))
    # 21 records and L = 7 are three steps an epoch.
    options = TrainingOptions(2, 7, "sgd", 1.0, 1.0, 1, 0.3, noise_multiplier=50.0, secure=secure)
    std = 50.0 * 0.3 / 7

    def weights(options: TrainingOptions) -> list[np.ndarray]:
        """Of both models (2, 89828), after each epoch."""
        after = []

        def keep(state: State) -> None:
            if not state.steps:
                after.append(state.weights.double().numpy())

        train(network, records, [np.arange(21)] * 2, [8, 9], options, after_step=keep)
        return after

    start = weights(replace(options, epochs=1, learning_rate=1e-30))
    after = start + weights(options)
    steps = {(e, m): after[e + 1][m] - after[e][m] for e in (0, 1) for m in (0, 1)}
    for update in steps.values():
        standard = update / (std * math.sqrt(3))
        assert standard.shape == (89_828,)
        assert abs(standard.mean()) < 4.5 / math.sqrt(len(standard))
        assert abs((standard**2).mean() - 1) < 4.5 * math.sqrt(2 / len(standard))
        assert stats.kstest(standard, "norm").pvalue > 1e-4
        assert abs(np.corrcoef(standard[1:], standard[:-1])[0, 1]) < 4.5 / math.sqrt(len(standard))
    names = list(steps)
    for i, one in enumerate(names):
        for other in names[:i]:
            r = np.corrcoef(steps[one], steps[other])[0, 1]
            assert abs(r) < 4.5 / math.sqrt(89_828), (one, other)


# Secure mode

SECURE = replace(PRIVATE, secure=True)


def test_secure_noise_is_half_the_sum_of_four_normals(monkeypatch: pytest.MonkeyPatch) -> None:
    """So often do the numbers that are added come from the stream; with a seed it is one."""
    monkeypatch.setattr(randomness, "os", SimpleNamespace(urandom=bytes))
    found, drawn = torch.empty(10), torch.empty(4, 10)
    stream = RandomStream(None, "noise/0")
    fill, draw = training._noise(None, found, 0, 0.3), stream.normals(drawn, 0.3)
    for _ in range(3):
        fill()
        draw()
        assert torch.equal(found, (drawn[0] + drawn[1] + drawn[2] + drawn[3]) / 2)
    one = torch.empty(10)
    RandomStream(7, "noise/0").normals(one, 0.3)()
    training._noise(7, found, 0, 0.3)()
    assert torch.equal(found, one)


@pytest.mark.parametrize(
    "options",
    [replace(SECURE, noise_multiplier=0.0), replace(SECURE, batch_size=23)],
    ids=["samples", "noise"],
)
def test_secure_training_cannot_be_repeated(records: Records, options: TrainingOptions) -> None:
    """Without noise only samples differ, with q = 1 only noise; a seed makes both the same.

    The chance that all of 40 samples of 23 records agree by themselves is (1 - 2q + 2q^2)^920,
    below 1e-90.
    """
    sets, same_seeds = [np.arange(23)] * 2, [11, 11]
    together = NETWORK.to_state_dicts(train(NETWORK, records, sets, same_seeds, options))
    again = NETWORK.to_state_dicts(train(NETWORK, records, sets, same_seeds, options))
    for one, other in combinations(together + again, 2):
        # Unrelated noise or samples in Adam's steps of 0.01 move weights apart by as much.
        assert largest_difference(one, other) > 0.01
    seeded = train(NETWORK, records, sets, same_seeds, replace(options, secure=False))
    one, other = NETWORK.to_state_dicts(seeded)
    assert largest_difference(one, other) < ROUNDING


def test_secure_training_starts_from_the_seeds_weights(
    records: Records, training_sets: list[np.ndarray]
) -> None:
    still = replace(SECURE, optimizer="sgd", learning_rate=1e-30)
    trained = NETWORK.to_state_dicts(train(NETWORK, records, training_sets, SEEDS, still))
    for seed, one in zip(SEEDS, trained, strict=True):
        assert largest_difference(one, initial_state_dict(seed)) == 0


# Poisson samples


@pytest.mark.parametrize(
    ("n", "batch_size", "count"),
    [(23, 3, 3), (4, 1, 3), (4, 1, 1), (1000, 7, 2), (100, 200, 2), (1, 1, 2)],
)
def test_samples_are_those_of_each_models_own_stream(n: int, batch_size: int, count: int) -> None:
    """Cut at multiples of n into steps, and padded at the end to the longest of a step."""
    steps = math.ceil(n / batch_size)
    padded = empty = 0
    for epoch in range(20):
        own = range(5, 5 + count)
        chosen, valid, widths = training._poisson_samples(
            n, *budget.sampling(n, batch_size, 1), own, epoch
        )
        assert len(widths) == steps
        expected: list[list[list[int]]] = [[[] for _ in own] for _ in range(steps)]
        for model, seed in enumerate(own):
            stream = RandomStream(seed, f"sampling/{epoch}")
            for position in poisson_sample(stream, steps * n, 1 / steps):
                expected[position // n][model].append(int(position % n))
        start = 0
        for width, samples in zip(widths, expected, strict=True):
            assert width == max(len(sample) for sample in samples)
            for model, sample in enumerate(samples):
                rest = width - len(sample)
                assert chosen[model, start : start + width].tolist() == sample + [0] * rest
                marks = valid[model, start : start + width].tolist()
                assert marks == [True] * len(sample) + [False] * rest
                padded += rest
                empty += not sample
            start += width
        assert chosen.shape == valid.shape == (count, start)
        assert chosen.dtype == np.int64
    # A model alone needs no padding, and has steps of width 0.
    assert (padded > 0) == (count > 1 and steps > 1)
    assert (empty > 0) == (steps > 1)


def test_without_the_last_batch_an_epoch_has_whole_batches(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 23 records in eights two are whole; a record is in a sample with the chance 8 / 23."""
    rates, places = [], []

    def keep(state: State) -> None:
        places.append((state.epochs, state.steps))

    def watched(stream: RandomStream, positions: int, rate: float) -> np.ndarray:
        rates.append((positions, rate))
        return poisson_sample(stream, positions, rate)

    monkeypatch.setattr(training, "poisson_sample", watched)
    options = replace(PRIVATE, epochs=2, batch_size=8, drop_last=True)
    train(MLP(FEATURES, CLASSES), records, [np.arange(23)], [5], options, after_step=keep)
    assert places == [(0, 1), (1, 0), (1, 1), (2, 0)]
    assert rates == [(46, 8 / 23)] * 2


@pytest.fixture(scope="module")
def included() -> np.ndarray:
    """Which record is in which sample (epochs, steps, models, records): q = 1/5, two models."""
    n, batch_size, epochs = 40, 8, 3000
    table = np.zeros((epochs, 5, 2, n), bool)
    for epoch in range(epochs):
        chosen, valid, widths = training._poisson_samples(
            n, *budget.sampling(n, batch_size, 1), [21, 22], epoch
        )
        step = np.repeat(np.arange(5), widths)
        for model in range(2):
            of_model = valid[model]
            table[epoch, step[of_model], model, chosen[model, of_model]] = True
    return table


def squared_correlations(one: np.ndarray, other: np.ndarray) -> float:
    """Of each column with the other's, times rows, added up: chi-square, a degree for each."""
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)]
    return float(np.square(r).sum() * len(one))


def test_every_record_is_in_every_steps_sample_with_the_sample_rate(included: np.ndarray) -> None:
    epochs, *_, n = included.shape
    counts = included.sum(0)  # (steps, models, records)
    squares = (counts - epochs / 5) ** 2 / (epochs / 5 * 4 / 5)
    # Of every step, model and record, and added up over each and all of these.
    for axes in (), (0,), (1,), (2,), (0, 1, 2):
        freedom = math.prod(counts.shape[axis] for axis in axes)
        values = np.ravel(squares.sum(axes))
        # Together they fail with a chance of 1e-4.
        assert stats.chi2(freedom).sf(values.max()) > 1e-4 / len(values)
    assert stats.chi2(counts.size).cdf(squares.sum()) > 1e-4  # not too even either
    assert counts.shape == (5, 2, n)


def test_sizes_of_every_steps_sample_are_binomial(included: np.ndarray) -> None:
    sizes = included.sum(-1).astype(float)  # (epochs, steps, models)
    epochs, *_, n = included.shape
    mean, variance, excess = stats.binom(n, 1 / 5).stats("mvk")
    assert (abs(sizes.mean(0) - mean) < 4.5 * math.sqrt(variance / epochs)).all()
    spread = variance * math.sqrt((excess + 2) / epochs)
    assert (abs(((sizes - mean) ** 2).mean(0) - variance) < 4.5 * spread).all()


def test_samples_of_steps_epochs_and_models_are_independent(included: np.ndarray) -> None:
    """Record by record, and of the records on either side of a step's end."""
    epochs, steps, models, n = included.shape
    in_order = included.transpose(2, 0, 1, 3).reshape(models, epochs * steps, n).astype(float)
    for own in in_order:
        pairs = {
            "consecutive steps": (own[:-1], own[1:]),
            "consecutive epochs": (own[:-steps], own[steps:]),
            "a step's end": (own[:-1, -1:], own[1:, :1]),
            "neighbours": (own[:, :-1], own[:, 1:]),
            "sizes": (own[:-1].sum(1, keepdims=True), own[1:].sum(1, keepdims=True)),
        }
        for name, (one, other) in pairs.items():
            value = squared_correlations(one, other)
            assert stats.chi2(one.shape[1]).sf(value) > 1e-4, name
    between = squared_correlations(in_order[0], in_order[1])
    assert stats.chi2(n).sf(between) > 1e-4


# Options and budget


@pytest.mark.parametrize(
    ("n", "batch_size", "epochs", "q", "steps"),
    [
        (150_000, 512, 30, 1 / 293, 8790),
        (50_000, 512, 50, 1 / 98, 4900),
        (100, 25, 3, 1 / 4, 12),
        (100, 200, 3, 1.0, 3),
    ],
)
def test_sample_rate_is_one_over_the_steps_of_an_epoch(
    n: int, batch_size: int, epochs: int, q: float, steps: int
) -> None:
    assert budget.sampling(n, batch_size, epochs) == (q, steps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "rmsprop"}, "optimizer: 'rmsprop' is not one of 'adam', 'sgd' or 'adamw'"),
        ({"epochs": 0}, "epochs: 0 is less than"),
        ({"learning_rate": math.nan}, "learning_rate: nan: expected a finite number"),
        ({"noise_multiplier": 1.0}, "clipping_norm and noise_multiplier: expected both or neither"),
        ({"clipping_norm": 1.0}, "clipping_norm and noise_multiplier: expected both or neither"),
        (
            {"clipping_norm": 0.0, "noise_multiplier": 1.0},
            "clipping_norm: 0 is less than or equal to the minimum of 0",
        ),
        (
            {"clipping_norm": 1.0, "noise_multiplier": -1.0},
            "noise_multiplier: -1 is less than the minimum of 0",
        ),
        ({"secure": True}, "secure: expected false without DP"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm: 0 is less than or equal to"),
        ({"momentum": 0.9}, "momentum: 0.9: expected 0 with adam"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum: 1 is greater than or equal to"),
        ({"optimizer": "sgd", "nesterov": True}, "nesterov: expected false without momentum"),
        ({"weight_decay": -0.1}, "weight_decay: -0.1 is less than the minimum of 0"),
        ({"lr_schedule": "exponential"}, "lr_schedule: 'exponential' is not one of 'step', "),
        ({"lr_schedule": "cosine"}, "lr_decay: 0.5: expected 1 with lr_schedule 'cosine'"),
        ({"warmup_epochs": 5.0}, "warmup_epochs: 5: expected fewer than epochs = 5"),
        ({"warmup_epochs": -1.0}, "warmup_epochs: -1 is less than the minimum of 0"),
        ({"label_smoothing": 1.0}, "label_smoothing: 1 is greater than or equal to the maximum"),
        ({"crop_padding": -1}, "crop_padding: -1 is less than the minimum of 0"),
        ({"clipping": "automatic"}, "clipping: 'automatic': expected 'flat' without DP"),
    ],
)
def test_bad_options_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(PLAIN, **changes)
    with pytest.raises(InputError, match=f"^--options: {message}"):
        build(TrainingOptions, asdict(PLAIN) | changes, "--options: ")


def test_stored_data_is_trained_on_as_it_was_stored(stored_data: object) -> None:
    network = MLP(37, 4)
    loaded = training.load(network, store.read(stored_data.directory), torch.device("cpu"))
    indices = np.array([[4, 299], [0, 4]])
    taken = loaded.take(indices)
    x = network.inputs(taken.features)
    assert taken.labels.dtype == torch.int64
    x = unpack(x, 38)
    np.testing.assert_array_equal(x[..., :-1], stored_data.features[indices])
    assert (x[..., -1] == 1).all()
    np.testing.assert_array_equal(taken.labels, stored_data.labels[indices])


def test_an_odd_number_of_parameters_can_be_trained_privately(records: Records) -> None:
    """128 (d + 1 + classes) + classes parameters are odd where the classes are."""
    odd = Records(records.features, records.labels % 3)
    trained = train(MLP(FEATURES, 3), odd, [np.arange(23)], [1], replace(PRIVATE, batch_size=23))
    assert all(value.isfinite().all() for value in trained.values())


def test_training_that_goes_astray_names_the_model() -> None:
    weights = torch.tensor([[1.0, 2.0], [math.inf, 1.0]])
    state = State(2, weights, torch.zeros(0, 2, 2))
    with pytest.raises(InputError, match=r"^model 7: its weights are infinite or .* after epoch 2"):
        program._check_numbers(state, [3, 7])
    program._check_numbers(State(2, weights[:1], torch.zeros(0, 1, 2)), [3])
