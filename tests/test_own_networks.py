"""Networks of one's own: any torch module, named by what makes it."""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mico.challenge.recipe import TrainingOptions
from mico.data.store import Description
from mico.networks import factory, pretrained
from mico.networks.architecture import Clipping, Parameters, StateDict, read_parameters
from mico.networks.build import build
from mico.networks.own import OwnNetwork
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError
from mico.training.engine import Records, State, train

ROOT = Path(__file__).parents[1]
MODULES = ROOT / "tests/own_modules.py"
RESNET = f"{ROOT}/examples/resnet.py:make(width=8)"
ATTENTION = f"{ROOT}/examples/attention.py:make(width=16, blocks=1)"
RECORDS, CLASSES = 40, 3
DATA = {
    "bits": Description("bits", RECORDS, 10, CLASSES, synthetic=True, source="test"),
    "numbers": Description("numbers", RECORDS, 10, CLASSES, True, "test", kind="numbers"),
    "images": Description(
        *("images", RECORDS, 192, CLASSES, True, "test"),
        kind="images",
        shape=(3, 8, 8),
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
    ),
    "tokens": Description(
        *("tokens", RECORDS, 9, CLASSES, True, "test"), kind="tokens", vocabulary=30, padding=1
    ),
}
# Each network, its data, and how many layers' gradients need not be formed.
NETWORKS = {
    RESNET: ("images", 17),
    ATTENTION: ("tokens", 10),
    f"{MODULES}:table(width=6)": ("numbers", 2),
    f"{MODULES}:recurrent": ("bits", 3),
    f"{MODULES}:convolutions": ("images", 6),
    f"{MODULES}:unknown": ("bits", 2),
    f"{MODULES}:unknown(dropout=0.5)": ("bits", 0),
    f"{MODULES}:gru": ("tokens", 2),
    f"{MODULES}:tied": ("tokens", 1),
    f"{MODULES}:by_hand": ("bits", 1),
    f"{MODULES}:patches": ("images", 3),
    f"{MODULES}:patches(dropout=0.3)": ("images", 0),
    f"{MODULES}:frozen": ("bits", 1),
    f"{MODULES}:linear": ("bits", 0),  # the whole module is a layer
    f"{MODULES}:old_weight_norm": ("bits", 1),
}
NORMED = f"{MODULES}:batch_normed"


def network_of(name: str) -> OwnNetwork:
    found = build(name, DATA["bits" if name == NORMED else NETWORKS[name][0]], 8)
    assert isinstance(found, OwnNetwork)
    return found


@pytest.fixture(params=NETWORKS, ids=lambda name: name.rpartition("/")[2])
def network(request: pytest.FixtureRequest) -> OwnNetwork:
    return network_of(request.param)


def records_of(network: OwnNetwork) -> Records:
    rng, data = np.random.default_rng(1), network.data
    features = {
        "bits": rng.integers(0, 2, (RECORDS, data.features), dtype=np.uint8),
        "numbers": rng.normal(size=(RECORDS, data.features)).astype(np.float32),
        "images": rng.integers(0, 256, (RECORDS, data.features), dtype=np.uint8),
        "tokens": rng.integers(2, 30, (RECORDS, data.features)).astype(np.uint16),
    }[data.kind]
    if data.kind == "tokens":
        features[::2, 5:] = data.padding
    labels = torch.from_numpy(rng.integers(0, CLASSES, RECORDS))
    return Records(torch.from_numpy(network.encode(features)), labels)


def batch_of(network: OwnNetwork, models: int) -> tuple[Tensor, Tensor]:
    records = records_of(network)
    x = records.features.expand(models, -1, -1)
    return network.inputs(x), records.labels.expand(models, -1)


def weights_of(network: OwnNetwork, models: int) -> Parameters:
    each = [network.initial_weights(RandomStream(seed, "weights")) for seed in range(models)]
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.stack([one[name] for one in each])
        + 0.1 * torch.randn(models, *shape, generator=generator) * (name in network.trained)
        for name, shape in network.shapes.items()
    }


def naive_gradients(network: OwnNetwork, own: StateDict, x: Tensor, y: Tensor) -> list[StateDict]:
    """Each example's gradient, by a module of its own that torch loads the weights into."""
    torch.manual_seed(0)
    module = network.make().eval()
    parameters = dict(module.named_parameters())
    state = parameters | dict(module.named_buffers())
    with torch.no_grad():
        for name, value in {**network.constants, **own}.items():
            state[name].copy_(value)
    found = []
    for one, label in zip(x.split(1), y.split(1), strict=True):
        module.zero_grad()
        torch.nn.functional.cross_entropy(module(one), label).backward()
        found.append(
            {
                name: torch.zeros_like(parameters[name])
                if parameters[name].grad is None
                else parameters[name].grad.clone()
                for name in network.trained
            }
        )
    return found


def flat(one: StateDict) -> Tensor:
    return torch.cat([value.flatten() for value in one.values()]).double()


def test_as_few_gradients_as_possible_are_formed(network: OwnNetwork) -> None:
    assert len(network.by_example.layers) == NETWORKS[network.name][1]
    assert network.by_example.in_a_loop == ("gru" in network.name)


@pytest.mark.parametrize("clipping", [Clipping(0.5), Clipping(0.5, automatic=True)])
def test_clipped_sum_equals_that_of_each_examples_gradient(
    network: OwnNetwork, clipping: Clipping
) -> None:
    (x, y), parameters = batch_of(network, 2), weights_of(network, 2)
    bound = torch.linspace(0, 2, RECORDS).repeat(2, 1)  # of which the first is padding
    out = {name: torch.ones_like(value) for name, value in parameters.items()}
    network.add_clipped_gradients(parameters, x, y, bound, clipping, out)
    for model in range(2):
        own = {name: value[model] for name, value in parameters.items()}
        gradients = naive_gradients(network, own, x[model], y[model])
        expected = torch.ones_like(flat(gradients[0]))
        for one, most in zip(gradients, bound[model].tolist(), strict=True):
            norm = float(flat(one).norm())
            expected += flat(one) * most / (norm + 0.01 if clipping.automatic else max(norm, 0.5))
        found = flat({name: out[name][model] for name in network.trained})
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("private", [False, True])
def test_the_physical_batch_makes_no_difference(network: OwnNetwork, private: bool) -> None:
    (x, y), parameters = batch_of(network, 1), weights_of(network, 1)
    found = []
    for size in 40, 7:
        one = build(network.name, network.data, size)
        out = {name: torch.zeros_like(value) for name, value in parameters.items()}
        if private:
            bound = torch.linspace(0, 2, RECORDS)[None]
            one.add_clipped_gradients(parameters, x, y, bound, Clipping(0.5), out)
        else:
            one.mean_gradient(parameters, x, y, out)
        found.append(flat(out))
    torch.testing.assert_close(*found, rtol=1e-5, atol=2e-5)


def test_a_batch_is_cut_into_parts_of_about_the_same_size() -> None:
    x = torch.arange(80.0).view(40, 2)
    parts = list(build(f"{MODULES}:table", DATA["bits"], 17).parts(x))
    assert [len(chosen) for chosen, _ in parts] == [14, 13, 13]
    assert torch.equal(torch.cat([chosen for chosen, _ in parts]), torch.arange(40))
    assert torch.equal(torch.cat([inputs for _, inputs in parts]), x)
    assert not list(build(NORMED, DATA["bits"], 17).parts(x[:0]))


def test_the_physical_batch_is_larger_where_a_record_takes_less() -> None:
    sizes = {}
    for side in 8, 32, 64:
        data = replace(DATA["images"], features=3 * side**2, shape=(3, side, side))
        network = build(f"{ROOT}/examples/resnet.py:make", data)
        assert isinstance(network, OwnNetwork)
        network.prepare(private=True)
        x = torch.zeros(4000, *data.shape)
        sizes[side] = [len(next(network.parts(x, private))[0]) for private in (False, True)]
    # Of 8 x 8 images single examples' gradients, which only DP needs, take most.
    assert sizes[8][0] == 667  # 4000 in 6 parts
    assert sizes[8][1] == 334  # in 12
    assert sizes[32] == [45, 32]
    assert sizes[64] == [32, 32]
    small = build(f"{MODULES}:table", DATA["bits"])
    assert small.physical_batch_size == 1024
    assert build(f"{MODULES}:table", DATA["bits"], 5).physical_batch_size == 5


def test_a_plain_pass_makes_as_many_bytes_as_its_layers_put_out() -> None:
    network = build(f"{MODULES}:convolutions", DATA["images"])
    assert isinstance(network, OwnNetwork)
    image, rows = 6 * 4 * 4, 8 * 16
    # first, norm, relu_, second, its sum; the rows, whose copy follows; norm, tanh and mean; logits
    assert network.record_bytes > 2 * 4 * (5 * image + 4 * rows + 8 + CLASSES)
    assert network.record_bytes < 2 * 4 * (9 * image + 12 * rows)


def test_mean_gradient_equals_autograd(network: OwnNetwork) -> None:
    (x, y), parameters = batch_of(network, 2), weights_of(network, 2)
    out = {name: torch.ones_like(value) for name, value in parameters.items()}
    network.mean_gradient(parameters, x, y, out)
    for model in range(2):
        own = {name: value[model] for name, value in parameters.items()}
        gradients = naive_gradients(network, own, x[model], y[model])
        expected = torch.stack([flat(one) for one in gradients]).mean(0)
        found = flat({name: out[name][model] for name in network.trained})
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)


def test_an_attacker_sees_norms_of_blocks_and_products(network: OwnNetwork) -> None:
    (x, y), parameters = batch_of(network, 1), weights_of(network, 1)
    direction = {name: torch.ones_like(value) for name, value in parameters.items()}
    found = network.example_gradients(parameters, x, y, {"ones": direction})
    own = {name: value[0] for name, value in parameters.items()}
    gradients = naive_gradients(network, own, x[0], y[0])
    sums = torch.stack([flat(one).sum() for one in gradients]).float()
    torch.testing.assert_close(found.products["ones"][0], sums, rtol=1e-4, atol=1e-4)
    norms = torch.stack([flat(one).square().sum() for one in gradients]).float()
    total = torch.stack([(2 * each[0]).exp() for each in found.log_norms]).sum(0)
    torch.testing.assert_close(total, norms, rtol=1e-4, atol=1e-6)
    hidden = network.hidden(parameters, x)
    torch.testing.assert_close(found.hidden, hidden)
    if network.last is not None:
        weight, bias = (own[f"{head_of(network)}.{kind}".strip(".")] for kind in ("weight", "bias"))
        logits = network.logits(parameters, x)
        torch.testing.assert_close(hidden @ weight.T + bias, logits)


def head_of(network: OwnNetwork) -> str:
    (head,) = (name for name, one in network.module.named_modules() if one is network.last)
    return head


def test_blocks_are_named_parts_and_numbers() -> None:
    network = network_of(RESNET)
    (x, y), parameters = batch_of(network, 1), weights_of(network, 1)
    found = network.example_gradients(parameters, x, y, {})
    assert len(found.log_norms) == len(
        ["first", "norm", "blocks.0", "blocks.1", "blocks.2", "head"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [ATTENTION, f"{MODULES}:unknown(dropout=0.5)", f"{MODULES}:gru"])
@pytest.mark.parametrize("private", [False, True])
def test_training_goes_on_after_any_step_with_the_same_bytes(name: str, private: bool) -> None:
    check_resumption(network_of(name), private)


def test_statistics_are_trained_and_kept() -> None:
    network = network_of(NORMED)
    assert network.statistics == (
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    )
    check_resumption(network, private=False)
    options = TrainingOptions(2, 8, "adamw", 0.05, weight_decay=0.1)
    trained = train(network, records_of(network), [np.arange(20)], [5], options)
    torch.manual_seed(0)
    module = network.make().train()
    with torch.no_grad():
        own = dict(module.named_parameters())
        for name, value in network.initial_weights(RandomStream(5, "weights")).items():
            if name in own:
                own[name].copy_(value)
    optimizer = torch.optim.AdamW(module.parameters(), 0.05, weight_decay=0.1)
    records = records_of(network)
    for _ in range(2):
        for rows in torch.arange(20).split(8):
            optimizer.zero_grad()
            logits = module(records.features[rows].float())
            torch.nn.functional.cross_entropy(logits, records.labels[rows]).backward()
            optimizer.step()
    (state_dict,) = network.to_state_dicts(trained)
    expected = module.state_dict()
    assert state_dict["norm.num_batches_tracked"].dtype == torch.int64
    assert state_dict.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(state_dict[name], value, rtol=1e-4, atol=1e-5)


def check_resumption(network: OwnNetwork, private: bool) -> None:
    records, sets = records_of(network), [np.arange(30)]
    noisy = {"clipping_norm": 1.0, "noise_multiplier": 0.5} if private else {}
    options = TrainingOptions(2, 8, "adam", 0.01, **noisy)
    states: list[State] = []

    def keep(state: State) -> None:
        copied = state.weights.clone(), state.optimizer.clone()
        states.append(replace(state, weights=copied[0], optimizer=copied[1]))

    whole = train(network, records, sets, [3], options, None, keep)
    again = build(network.name, network.data, 8)
    for stop in 1, len(states) // 2 + 1:
        state = replace(
            states[stop],
            weights=states[stop].weights.clone(),
            optimizer=states[stop].optimizer.clone(),
        )
        resumed = train(again, records, sets, [3], options, state)
        assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    other = train(network, records, sets, [4], options)
    assert any(not torch.equal(value, other[name]) for name, value in whole.items())


@pytest.mark.parametrize("private", [False, True])
def test_released_models_are_read_as_they_were(
    network: OwnNetwork, private: bool, tmp_path: Path
) -> None:
    parameters = weights_of(network, 1)
    (state_dict,) = network.to_state_dicts(parameters)
    network.write_model(tmp_path, state_dict, private)
    module = network.make()
    loaded = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(name.startswith("_module.") for name in loaded) == private
    module.load_state_dict({name.removeprefix("_module."): one for name, one in loaded.items()})
    (x, _), read = batch_of(network, 1), read_parameters(tmp_path, network)
    logits = network.logits(read, x)
    assert torch.equal(logits, network.logits(parameters, x))
    torch.testing.assert_close(logits[0], module.eval()(x[0]))


def test_state_dicts_name_what_is_wrong(tmp_path: Path) -> None:
    network = network_of(f"{MODULES}:frozen")
    (state_dict,) = network.to_state_dicts(weights_of(network, 1))
    changes: list[tuple[dict[str, Tensor | None], str]] = [
        ({"head.bias": None}, r"parameter head.bias: missing, expected \(3,\) torch.float32"),
        ({"more": torch.ones(2)}, r"parameter more: \(2,\) torch.float32, expected none"),
        ({"head.bias": torch.ones(4)}, r"head.bias: \(4,\) torch.float32, expected \(3,\)"),
        ({"mask": torch.ones(8)}, r"mask: \(8,\) torch.float32, expected \(8,\) torch.bool"),
        ({"first.bias": torch.ones(8)}, "first.bias, which is not trained: other values than"),
    ]
    for change, message in changes:
        changed = {name: one for name, one in {**state_dict, **change}.items() if one is not None}
        with pytest.raises(ValueError, match=message):
            network.from_state_dicts([changed])
    tied = network_of(f"{MODULES}:tied")
    (state_dict,) = tied.to_state_dicts(weights_of(tied, 1))
    with pytest.raises(ValueError, match=r"back.weight: other values than tokens.weight, which"):
        tied.from_state_dicts([state_dict | {"back.weight": torch.zeros(30, 6)}])
    network.write_model(tmp_path, state_dict | {"head.bias": torch.full((3,), math.nan)}, False)
    with pytest.raises(InputError, match=r"head.bias: expected finite float32 numbers"):
        network.read_model(tmp_path)


def test_initial_weights_are_the_modules_own() -> None:
    network = network_of(RESNET)
    first, again, other = (
        network.initial_weights(RandomStream(seed, "weights")) for seed in (1, 1, 2)
    )
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["head.weight"], other["head.weight"])
    state = torch.random.get_rng_state()
    network.initial_weights(RandomStream(1, "weights"))
    assert torch.equal(state, torch.random.get_rng_state())
    assert (first["norm.weight"] == 1).all()
    spread = float(first["blocks.0.conv1.weight"].std())
    assert spread == pytest.approx((1 / (3 * 72)) ** 0.5, rel=0.1)  # uniform in +- 1 / sqrt(72)


def test_images_are_normalised_as_the_data_say() -> None:
    network, data = network_of(RESNET), DATA["images"]
    pixels = torch.arange(192, dtype=torch.uint8).view(1, 1, -1)
    images = pixels.view(3, 8, 8).numpy() / 255
    mean, std = (np.array(each).reshape(3, 1, 1) for each in (data.mean, data.std))
    torch.testing.assert_close(
        network.inputs(pixels)[0, 0].double(),
        torch.from_numpy((images - mean) / std),
        atol=1e-6,
        rtol=0,
    )


def test_dp_refuses_what_mixes_the_examples_of_a_batch() -> None:
    mixing, spectral = (
        build(f"{MODULES}:{name}", DATA["bits"]) for name in ("mixing(always=False)", "spectral")
    )
    with pytest.raises(InputError, match=r"with DP 0\.parametrizations.* is a buffer .* is kept"):
        spectral.prepare(private=True)
    for network, reason in (
        (network_of(NORMED), "with DP norm is a BatchNorm1d, which mixes the examples of a batch"),
        (mixing, "with DP the logits of an example depend on the others of its batch"),
    ):
        assert isinstance(network, OwnNetwork)
        (x, y), parameters = batch_of(network, 1), weights_of(network, 1)
        out = {name: torch.zeros_like(value) for name, value in parameters.items()}
        with pytest.raises(InputError, match=f"{reason}; expected a norm .* such as GroupNorm"):
            network.add_clipped_gradients(parameters, x, y, torch.ones(y.shape), Clipping(1.0), out)
        assert network.example_gradients(parameters, x, y, {}).log_norms  # as it is used


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.py", "expected cnn, .* or a network of your own: net.py:make"),
        ("net.py:", "expected a file or a module, a colon, and what makes the network"),
        ("net.py:make(3)", "expected keyword arguments with plain values"),
        ("net.py:make(width=print())", "expected keyword arguments with plain values"),
        ("net.py:make(**x)", "expected keyword arguments with plain values"),
        ("net.py:make)", "a colon, and what makes the network"),
        ("net.py:make(a=1)(b=2)", "expected keyword arguments"),
        ("no/net.py:make", "no/net.py: there is no such file, expected a network's"),
        (
            "no_such.module:make",
            "there is no module no_such.module, expected one that is installed",
        ),
        ("mico.networks.no_such:make", "there is no module mico.networks.no_such"),
        ("{0}:tabel", "there is no 'tabel', did you mean 'table'"),
        ("{0}:not_callable", "there is no 'not_callable'"),
        ("{0}:table(widht=3)", "table takes no 'widht', did you mean 'width'"),
        ("{0}:table(width='x')", "own_modules.py: line [0-9]+: TypeError"),
        (
            "{0}:needs_more",
            "needs_more needs 'depth', which neither the name nor data set bits gives",
        ),
        ("{0}:gru", r"called with \(3, 10\) float32: .*own_modules.py: line [0-9]+: RuntimeError"),
        ("{0}:convolutions", "convolutions needs 'shape'"),
        ("{0}:raises", "own_modules.py: line [0-9]+: KeyError: 'no such layer'"),
        ("{0}:no_module", "makes 10, expected a torch.nn.Module"),
        ("{0}:without_parameters", "has no parameters to train"),
        ("{0}:lazy", "weight has no shape yet, expected no lazy layers"),
        ("{0}:in_float64", "weight is torch.float64, expected torch.float32"),
        ("{0}:random_in_its_own_way", "gives other weights each time it is called"),
        ("{0}:one_class_too_many", r"puts out \(3, 4\), expected logits \(3, 3\)"),
        ("{0}:no_tensor", r"puts out tuple, expected logits \(3, 3\)"),
        ("{0}:not_a_number", "no finite numbers, expected logits"),
        ("{0}:mixing(always=True)", "logits of a record depend on the others of its batch"),
        ("{0}:deviation", "logits of a record depend on the others of its batch"),
        ("{0}:counting", "puts out other logits when it is called with the same records again"),
        ("{0}:changing_its_input", "changes the records that it is called with"),
        ("{0}:without_batches", r"of one record puts out \(3,\), expected \(1, 3\)"),
        ("{0}:seeded", "calls torch.manual_seed when it is made, so that all models would begin"),
        ("{0}:untracked", "0 is a BatchNorm1d without running statistics, which mixes"),
        ("{0}:table(width=x)", "with plain values in the parentheses, texts in quotes"),
    ],
)
def test_what_is_no_network_is_said_in_a_line(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        build(name.format(MODULES), DATA["bits"])
    assert "\n" not in str(refusal.value)


def test_what_does_not_take_the_data_is_said_with_its_shape() -> None:
    with pytest.raises(InputError, match=r"called with \(3, 3, 8, 8\) float32: .*cannot be multip"):
        build(f"{MODULES}:table", DATA["images"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(:\n", "line 1: not Python"),
        (
            "import no_such_module\ndef make(): ...\n",
            "line 1: ModuleNotFoundError: No module named",
        ),
        ("raise SystemExit(0)\ndef make(): ...\n", "line 1: SystemExit"),
    ],
)
def test_files_that_cannot_be_run(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=f"net.py: {message}"):
        build(f"{path}:make", DATA["bits"])


def test_planning_looks_for_the_factory_without_running_it(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("raise SystemExit\nif True:\n    make = 3\nfrom x import other\n")
    factory.check(f"{path}:make")
    factory.check(f"{path}:other(width=3)")
    with pytest.raises(InputError, match="there is no 'maek', did you mean 'make'"):
        factory.check(f"{path}:maek")
    path.write_bytes(b"def make(:\n")
    with pytest.raises(InputError, match=r"net.py: line 1: not Python"):
        factory.check(f"{path}:make")


def test_others_are_not_told_where_the_file_lies() -> None:
    assert pretrained.public(RESNET) == "resnet.py:make(width=8)"
    assert pretrained.public("torchvision.models:resnet18") == "torchvision.models:resnet18"
    assert pretrained.public("cnn/8") == "cnn/8"


def test_a_module_that_is_installed_is_found_without_importing_it() -> None:
    found = factory.parse("mico.networks.cnn:build").source
    assert found == ROOT / "scripts/mico/networks/cnn.py"
    assert factory.parse(f"{MODULES}:table(width=1, names=['a', 'b'])").arguments == {
        "width": 1,
        "names": ["a", "b"],
    }
    assert re.fullmatch(
        r"own_modules.py:table\(width=2\)", factory.parse(f"{MODULES}:table( width=2 )").public
    )
