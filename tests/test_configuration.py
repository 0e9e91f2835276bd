"""The configuration: the published set-ups, and errors that say where to look."""

import copy
import functools
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from mico.attacks import registry
from mico.challenge.scenario import Scenario
from mico.support.errors import InputError
from mico.workflow import scenarios
from mico.workflow.configuration import Run, check

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config"
BASE = CONFIG / "config.yaml"
PUBLISHED = CONFIG / "scenarios.yaml"


# The defaults are read hundreds of times.
_parsed = functools.cache(yaml.safe_load)


def check_files(*files, command_line=None) -> Run:
    """Check files laid over each other by Snakemake's own function, the command line on top."""
    config = {}
    for layer in (*(_parsed(file.read_text()) for file in files), command_line or {}):
        update_config(config, copy.deepcopy(layer))
    return check(config, files, PUBLISHED)


def check_own(tmp_path, text) -> Run:
    """Check own.yaml, with this text, over the defaults."""
    (tmp_path / "own.yaml").write_text(text)
    return check_files(BASE, tmp_path / "own.yaml")


# The published set-ups; the columns are FIELDS.
SET_UPS = {
    "T1": ("purchase100_inf", "purchase100", 150_000, 30, 512, "adam", 1e-3, 0.9, 5, None, None),
    "T2": ("purchase100_hi", "purchase100", 150_000, 30, 512, "adam", 1e-3, 0.9, 5, 2.6, 10),
    "T3": ("purchase100_lo", "purchase100", 150_000, 30, 512, "adam", 1e-3, 0.9, 5, 2.6, 4),
    "D3": ("purchase100_ddp", "ddp", 150_000, 30, 512, "adam", 1e-3, 0.9, 5, 2.6, 4),
    "I1": ("cifar10_inf", "cifar10", 50_000, 50, 32, "sgd", 0.005, 0.96, 1, None, None),
    "I2": ("cifar10_hi", "cifar10", 50_000, 50, 512, "sgd", 0.5, 0.96, 1, 2.6, 10),
    "I3": ("cifar10_lo", "cifar10", 50_000, 50, 512, "sgd", 0.5, 0.96, 1, 2.6, 4),
    "D1": ("cifar10_ddp", "ddp", 50_000, 50, 512, "sgd", 0.5, 0.96, 1, 2.6, 4),
    "X1": ("sst2_inf", "sst2", 67_349, 3, 96, "adamw", 5e-5, 1, 1, None, None),
    "X2": ("sst2_hi", "sst2", 67_349, 3, 1024, "adamw", 5e-4, 1, 1, 6.4, 10),
    "X3": ("sst2_lo", "sst2", 67_349, 3, 1024, "adamw", 5e-4, 1, 1, 6.4, 4),
    "D2": ("sst2_ddp", "ddp", 67_349, 3, 1024, "adamw", 5e-4, 1, 1, 6.4, 4),
}
FIELDS = (
    *("challenge", "track", "n", "epochs", "batch_size", "optimizer"),
    *("learning_rate", "lr_decay", "lr_decay_epochs", "clipping_norm", "epsilon"),
)
# The competition's, as published to five places: for epsilon 10 and 4.
SIGMAS = {
    "purchase100": {10: 0.54156, 4: 0.70670},
    "cifar10": {10: 0.69859, 4: 1.04396},
    "sst2": {10: 0.50222, 4: 0.68915},
}
ARCHITECTURES = {"purchase100": "mlp", "cifar10": "cnn", "sst2": "roberta-base"}


def test_published_scenarios_have_the_published_values(monkeypatch) -> None:
    """Whatever data are in the configuration."""
    monkeypatch.setattr(scenarios, "check_buildable", lambda scenario, datasets: None)
    published = yaml.safe_load(PUBLISHED.read_text())
    resolved = scenarios.resolve(list(SET_UPS), published, {})
    assert list(published) == list(resolved) == list(SET_UPS)
    for name, values in SET_UPS.items():
        found = vars(resolved[name])
        assert {field: found[field] for field in FIELDS} == dict(zip(FIELDS, values, strict=True))
        data = values[0].split("_")[0]
        assert (found["id"], found["data"], found["m"]) == (name, data, 100)
        assert found["architecture"] == ARCHITECTURES[data]
        assert found["delta"] == (None if values[-1] is None else 1e-5)
        sigma = found["noise_multiplier"]
        assert (sigma and round(sigma, 5)) == SIGMAS[data].get(found["epsilon"])
        assert found["drop_last"] == (name in ("X2", "X3", "D2"))
        # What the library that fine-tuned X1 does by itself.
        assert found["shuffle"] == (name == "X1")
        assert found["max_gradient_norm"] == (1.0 if name == "X1" else None)
        assert found["disclosed"] == (("seed_training",) if name[0] == "D" else ())
        assert resolved[name].private == (values[-1] is not None)


def test_noise_found_for_a_target_is_not_that_of_another() -> None:
    published = yaml.safe_load(PUBLISHED.read_text())
    sigma = published["T2"]["noise_multiplier"]
    datasets = check_files(BASE).configuration.datasets
    # So few records that the made-up data have them.
    published["T1"] |= {"n": 3040, "data": "purchase100-synthetic"}

    def noise(base: str = "T2", **changes: object) -> float | None:
        own = {"from": base, "id": "A", "challenge": "a"} | changes
        return scenarios.resolve([own], published, datasets)["A"].noise_multiplier

    for same in {}, {"epsilon": 10.0}, {"clipping_norm": 1.0}, {"learning_rate": 0.1}, {"m": 50}:
        assert noise(**same) == sigma, same
    others = {"n": 3000, "epochs": 3, "batch_size": 64, "epsilon": 9, "delta": 1e-6}
    for key, value in (others | {"drop_last": True}).items():
        assert noise(**{key: value}) is None, key
        assert noise(**{key: value, "noise_multiplier": 0.7}) == 0.7
    assert noise(epsilon=None, noise_multiplier=0.7) == 0.7
    # Noise without a target holds for any size, until there is a target.
    published["B"] = {"from": "T2", "challenge": "b", "epsilon": None, "noise_multiplier": 0.7}
    assert noise("B", n=3000, epochs=3) == 0.7
    assert noise("B", epsilon=4) is None


def test_defaults() -> None:
    checked = check_files(BASE)
    assert list(checked.scenarios) == ["T1", "T2", "T3", "D3"]
    assert vars(checked.configuration.models) == {"train": 100, "dev": 50, "final": 50}
    assert checked.configuration.models.models == 200
    for name, scenario in checked.scenarios.items():
        found = vars(scenario)
        reduced = {"n": 3040, "epochs": 10, "batch_size": 128}
        expected = dict(zip(FIELDS, SET_UPS[name], strict=True)) | reduced
        assert {field: found[field] for field in FIELDS} == expected
        assert (found["id"], found["data"], found["m"]) == (name, "purchase100-synthetic", 100)
    assert len(checked.attacks) == 38
    attack = checked.attacks["rmia-offline"]
    assert (attack.attack, attack.options) == ("rmia", {"variant": "offline", "gamma": 1, "a": 0.3})


def test_location30() -> None:
    checked = check_files(BASE, CONFIG / "location30.yaml").scenarios
    expected = {
        "L1": ("location30_inf", "location30", None, None, []),
        "L2": ("location30_hi", "location30", 10, 1e-5, []),
        "L3": ("location30_lo", "location30", 4, 1e-5, []),
        "LD": ("location30_ddp", "ddp", 4, 1e-5, ["seed_training"]),
    }
    assert list(checked) == list(expected)
    for name, (challenge, track, epsilon, delta, disclosed) in expected.items():
        one = checked[name]
        assert (one.id, one.challenge, one.track, one.data) == (
            name,
            challenge,
            track,
            "location30",
        )
        assert (one.n, one.m, one.epochs, one.batch_size) == (3808, 100, 30, 64)
        assert (one.epsilon, one.delta, list(one.disclosed)) == (epsilon, delta, disclosed)
        assert one.clipping_norm == (2.6 if epsilon else None)
        assert (one.optimizer, one.learning_rate, one.lr_decay) == ("adam", 0.001, 0.9)


def test_published_run() -> None:
    """All twelve scenarios, on the real data."""
    checked = check_files(BASE, CONFIG / "published.yaml").scenarios
    assert {name: (one.data, one.n) for name, one in checked.items()} == (
        dict.fromkeys(["T1", "T2", "T3", "D3"], ("purchase100", 150_000))
        | dict.fromkeys(["I1", "I2", "I3", "D1"], ("cifar10", 50_000))
        | dict.fromkeys(["X1", "X2", "X3", "D2"], ("sst2", 67_349))
    )


def test_small_run_of_the_image_track() -> None:
    """As published but for the data, the network's width, n, epochs, batches and one rate."""
    checked = check_files(BASE, CONFIG / "cifar10-small.yaml").scenarios
    published = yaml.safe_load(PUBLISHED.read_text())
    assert list(checked) == ["I1", "I2", "I3", "D1"]
    for name, one in checked.items():
        assert (one.data, one.architecture, one.n, one.m) == ("cifar10-batch-1", "cnn/8", 1000, 100)
        assert one.epsilon == {"I1": None, "I2": 10, "I3": 4, "D1": 4}[name]
        assert one.learning_rate == (0.1 if name == "I1" else published["I2"]["learning_rate"])
    assert checked["D1"].disclosed == ("seed_training",)


def test_run_of_the_tests() -> None:
    checked = check_files(BASE, Path(__file__).with_name("tiny.yaml")).scenarios
    assert list(checked) == ["S1", "SD"]
    assert (checked["SD"].noise_multiplier, checked["SD"].epsilon) == (1.0, None)
    assert checked["SD"].private


def test_scenario_from_one_earlier_in_the_list(tmp_path) -> None:
    text = """
scenarios:
  - {id: A, from: T2, challenge: a, n: 3000, data: purchase100-synthetic}
  - {id: B, from: A, challenge: b, epochs: 2}
  - {id: C, from: B, challenge: c, epsilon: null, noise_multiplier: 0.5}
"""
    one = check_own(tmp_path, text).scenarios
    assert [(s.n, s.epochs, s.epsilon) for s in one.values()] == [
        (3000, 30, 10),
        (3000, 2, 10),
        (3000, 2, None),
    ]


def test_scenario_from_one_later_in_the_list(tmp_path) -> None:
    text = "scenarios: [{id: B, from: A, challenge: b}, {id: A, from: T1}]"
    with pytest.raises(InputError, match=r"own\.yaml: scenario B: from 'A' is unknown"):
        check_own(tmp_path, text)


def test_scenario_without_a_base_needs_every_key_that_has_no_default(tmp_path) -> None:
    base = yaml.safe_load(PUBLISHED.read_text())["T1"]
    optional = {field.name for field in fields(Scenario) if field.default is not MISSING}
    assert len(check_own(tmp_path, yaml.safe_dump({"scenarios": [{"id": "A", **base}]})).scenarios)
    for key in base.keys() - optional:
        item = {"id": "A", **{name: value for name, value in base.items() if name != key}}
        with pytest.raises(InputError, match=rf"own\.yaml: scenario A: missing key '{key}'"):
            check_own(tmp_path, yaml.safe_dump({"scenarios": [item]}))


def test_largest_training_set(tmp_path) -> None:
    """n + m may be all records, and no more."""
    item = "{id: A, from: T1, data: purchase100-synthetic, n: %d}"
    assert check_own(tmp_path, f"scenarios: [{item % 3900}]").scenarios["A"].n == 3900
    with pytest.raises(InputError, match=r"own\.yaml: scenario A: n \+ m = 4001, .* 4000 rec"):
        check_own(tmp_path, f"scenarios: [{item % 3901}]")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("from: T1, epocs: 3", "unknown key 'epocs', did you mean 'epochs'?"),
        ("from: T1, sigma: 3", "unknown key 'sigma'"),
        ("from: T1, epochs: many", "epochs: 'many' is not of type 'integer'"),
        ("from: T1, epochs: 1.5", "epochs: 1.5 is not of type 'integer'"),
        ("from: T1, epochs: true", "epochs: True is not of type 'integer'"),
        ("from: T1, epochs: null", "epochs: None is not of type 'integer'"),
        ("from: T1, epochs: 0", "epochs: 0 "),
        ("from: T1, batch_size: 0", "batch_size: 0 "),
        ("from: T1, n: 150000.5", "n: 150000.5 is not of type 'integer'"),
        ("from: T1, m: 0", "m: 0 "),
        ("from: T1, m: -1", "m: -1 "),
        ("from: T1, n: 99", "n: 99: expected at least m = 100"),
        ("from: T1, n: 100, null_run: true", "null_run: expected false with n = m = 100: nothing"),
        ("from: T1, n: 197225", "n + m = 197325, but purchase100 has 197324 records"),
        ("from: T1, learning_rate: 0", "learning_rate: 0 "),
        ("from: T1, learning_rate: .nan", "learning_rate: nan"),
        ("from: T1, learning_rate: .inf", "learning_rate: inf"),
        ("from: T1, optimizer: adm", "optimizer: 'adm' is not one of"),
        ("from: X1, optimizer: adm", "optimizer: 'adm' is not one of"),
        ("from: X1, architecture: roberta", "architecture 'roberta': expected cnn, cnn/k"),
        ("from: X1, architecture: roberta-base/2", "architecture 'roberta-base/2': expected"),
        ("from: X1, architecture: transformers", "architecture 'transformers': expected cnn"),
        ("from: X1, architecture: transformers/", "architecture 'transformers/': expected cnn"),
        (
            "from: X1, architecture: transformers//absent/checkpoint",
            "architecture 'transformers//absent/checkpoint': /absent/checkpoint is not a folder",
        ),
        ("from: X1, data: purchase100", "data 'purchase100': roberta-base takes data of the fo"),
        ("from: T1, data: sst2", "data 'sst2': mlp takes data of the format labelled-bits or"),
        (
            "from: X1, data: sst2-bpe",
            "data 'sst2-bpe': roberta-base knows the tokens of its own tokenizer, expected a data "
            "set with that and not bpe",
        ),
        (
            "from: X1, data: sst2-bpe, architecture: transformers/a/b",
            "data 'sst2-bpe': transformers/a/b knows the tokens of its own tokenizer",
        ),
        ("from: X1, n: 68122", "n + m = 68222, but sst2 has 68221 records"),
        ("from: T1, shuffle: 1", "shuffle: 1 is not of type 'boolean'"),
        ("from: T2, shuffle: true", "shuffle: expected false with DP, which draws Poisson"),
        ("from: X2, shuffle: true", "shuffle: expected false with DP, which draws Poisson"),
        ("from: T1, max_gradient_norm: 0", "max_gradient_norm: 0 "),
        ("from: T1, max_gradient_norm: .inf", "max_gradient_norm: inf: expected a finite number"),
        ("from: X2, max_gradient_norm: 1.0", "max_gradient_norm: 1.0: expected null with DP"),
        ("from: T1, momentum: 0.9", "momentum: 0.9: expected 0 with adam"),
        ("from: I1, momentum: 1", "momentum: 1 is greater than or equal to the maximum of 1"),
        ("from: I1, nesterov: true", "nesterov: expected false without momentum"),
        ("from: T1, weight_decay: -1", "weight_decay: -1 is less than the minimum of 0"),
        ("from: T1, lr_schedule: cosin", "lr_schedule: 'cosin' is not one of"),
        ("from: T1, lr_schedule: linear", "lr_decay: 0.9: expected 1 with lr_schedule 'linear'"),
        ("from: T1, warmup_epochs: 30", "warmup_epochs: 30: expected fewer than epochs = 30"),
        ("from: T1, label_smoothing: 1", "label_smoothing: 1 is greater than or equal to the"),
        ("from: T1, clipping: automatic", "clipping: 'automatic': expected 'flat' without DP"),
        ("from: T1, horizontal_flip: true", "horizontal_flip: expected a network for images, no"),
        ("from: X2, crop_padding: 4", "crop_padding: expected a network for images, not roberta"),
        ("from: I1, crop_padding: -1", "crop_padding: -1 is less than the minimum of 0"),
        ("from: T1, architecture: vgg", "architecture 'vgg': expected cnn, cnn/k with"),
        ("from: T1, architecture: mlp/2", "architecture 'mlp/2': expected cnn, cnn/k with"),
        ("from: I1, architecture: cnn/3", "architecture 'cnn/3': expected cnn, cnn/k with"),
        ("from: I1, architecture: cnn/", "architecture 'cnn/': expected cnn, cnn/k with"),
        ("from: T1, architecture: cnn", "data 'purchase100': cnn takes data of the format c"),
        ("from: I1, architecture: mlp", "data 'cifar10': mlp takes data of the format labelled-"),
        ("from: T1, disclosed: [seed_membership]", "disclosed: 0: 'seed_membership'"),
        ("from: T1, disclosed: seed_training", "disclosed: 'seed_training' is not of type"),
        ("from: T2, epsilon: 0", "epsilon: 0 "),
        ("from: T2, epsilon: -4", "epsilon: -4 "),
        ("from: T2, epsilon: 101", "epsilon: 101: "),  # what the accountant would refuse later
        ("from: T2, epsilon: ten", "epsilon: 'ten' is not of type 'number'"),
        ("from: T2, delta: 0", "delta: 0 "),
        ("from: T2, delta: 1", "delta: 1 "),
        ("from: T1, drop_last: true", "drop_last: expected false without DP"),
        ("from: T2, drop_last: true, n: 500", "batch_size: 512: expected at most n = 500 with"),
        ("from: T2, delta: null", "delta: None: expected a number"),
        ("from: T2, clipping_norm: null", "clipping_norm: None: expected a number"),
        ("from: T2, clipping_norm: 0", "clipping_norm: 0 "),
        ("from: T1, clipping_norm: 1.0", "clipping_norm: 1.0: expected null without epsilon"),
        ("from: T1, delta: 1.0e-5", "delta: 1e-05: expected null without epsilon"),
        ("from: T1, noise_multiplier: 1.0, delta: 1.0e-5", "clipping_norm: None: expected a num"),
        ("from: T4", "from 'T4' is unknown"),
        ("from: T1, data: purchas100", "data 'purchas100' is not among the datasets, did you mean"),
        ("from: T1, data: mnist", "data 'mnist' is not among the datasets, known: "),
        ("from: T1, track: a b", "track: 'a b' does not match"),
        ("from: T1, track: ../up", "track: '../up' does not match"),
        ("from: T1, null_run: 1", "null_run: 1 is not of type 'boolean'"),
        ("from: T1, memberships: a.txt", "memberships: 'a.txt': expected .csv or .npz"),
        ("from: T1, memberships: 7", "memberships: 7 is not of type 'string'"),
        ("from: T1, memberships: '{a}.csv'", "memberships: '{a}.csv': expected a path without"),
        (
            "from: T1, memberships: a.csv, null_run: true",
            "memberships: expected null with null_run",
        ),
        ("from: T1, memberships: a.csv, released: b", "memberships: expected null with released"),
        ("from: T1, memberships: a.csv, m: 98663", "2m = 197326, but purchase100 has 197324 rec"),
        (
            "from: T1, memberships: results/demo/private/T1/memberships.npz",
            "memberships: results/demo/private/T1/memberships.npz: the run is made in results/demo",
        ),
    ],
)
def test_bad_scenario(tmp_path, changes, message) -> None:
    """The file, the scenario and the key."""
    with pytest.raises(InputError, match=r"own\.yaml: scenario A: " + re.escape(message)) as caught:
        check_own(tmp_path, f"scenarios: [T1, {{id: A, challenge: a, {changes}}}]")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("base", ["X1", "X2"])
@pytest.mark.parametrize(
    ("architecture", "data"),
    [
        ("roberta-tiny", "sst2-synthetic"),
        ("roberta-tiny", "sst2-bpe"),
        ("roberta-tiny", "sst2"),
        ("roberta-base", "sst2"),
        ("transformers/distilroberta-base", "sst2"),
        ("transformers/sentence-transformers/all-MiniLM-L6-v2", "sst2"),
        ("transformers/.", "sst2"),
    ],
)
def test_text_scenarios(tmp_path, base, architecture, data) -> None:
    item = {"id": "A", "from": base, "architecture": architecture, "data": data, "n": 3000}
    for more in {}, {"optimizer": "sgd"}:
        text = yaml.safe_dump({"scenarios": [item | more]})
        one = check_own(tmp_path, text).scenarios["A"]
        assert (one.architecture, one.data, one.shuffle) == (architecture, data, base == "X1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shard_sise: 3", "unknown key 'shard_sise', did you mean 'shard_size'?"),
        ("shard_size: 0", "shard_size: 0 "),
        ("run: a/b", "run: 'a/b' does not match"),
        ("device: gpu", "device: 'gpu' is not one of 'auto', 'cpu' or 'cuda'"),
        ("models: {train: 1}", "models: train: 1 "),
        ("models: {dev: 0}", "models: dev: 0 "),
        ("models: {tran: 9}", "models: unknown key 'tran', did you mean 'train'?"),
        ("models: 200", "models: 200 is not of type 'mapping'"),
        ("seeds: -1", "seeds: -1 "),
        ("seeds: 9223372036854775808", "seeds: 9223372036854775808 "),
        ("seeds: 1.5", "seeds: 1.5 "),
        ("seeds: rndom", "seeds: 'rndom' "),
        ("scenarios: []", "scenarios: "),
        ("scenarios: T1", "scenarios: 'T1' is not of type 'list'"),
        ("scenarios: [T9]", "scenario T9: "),
        ("scenarios: [t1]", "scenario t1: "),
        ("scenarios: [T1, T1]", "scenario T1: its id is there twice"),
        ("scenarios: [T1, {id: T1, from: T2}]", "scenario T1: its id is there twice"),
        ("scenarios: [T1, {from: T1}]", "scenario number 2: missing key 'id'"),
        (
            "scenarios: [T1, {id: A, from: T1}]",
            "scenario A: challenge 'purchase100_inf' is that of T1 too",
        ),
    ],
)
def test_bad_key(tmp_path, text, message) -> None:
    """The file and the key."""
    with pytest.raises(InputError, match=r"own\.yaml: " + re.escape(message)) as caught:
        check_own(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("attack: thresold, signal: loss", "unknown attack 'thresold', did you mean 'threshold'?"),
        ("attack: threshold", "signal"),
        ("attack: threshold, sgnal: loss", "'sgnal'"),
        ("attack: threshold, signal: los", "signal 'los': expected one of loss, conf, margin"),
        ("attack: threshold, signal: 3", "signal 3"),
        ("attack: centred, signal: loss, centre: out", "centre 'out'"),
        ("attack: lira, variant: both", "variant 'both'"),
        ("attack: rmia, gamma: 0.5", "gamma 0.5"),
        ("attack: rmia, gamma: two", "gamma 'two'"),
        ("attack: rmia, a: 2", "a 2"),
        ("attack: rmia, a: [0]", "a: [0] is not of type"),
        ("signal: loss", "missing key 'attack'"),
    ],
)
def test_bad_attack(tmp_path, attack, message) -> None:
    """The file, the participant and the option."""
    found = rf"own\.yaml: attacks?:? mine: .*{re.escape(message)}"
    with pytest.raises(InputError, match=found):
        check_own(tmp_path, f"attacks: [{{name: fine, attack: rmia}}, {{name: mine, {attack}}}]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("attacks: [{attack: rmia}]", "attack number 1: missing key 'name'"),
        (
            "attacks: [{name: a, attack: rmia}, {name: a, attack: lira}]",
            "attacks: a: this name is there twice",
        ),
        ("attacks: [{name: a/b, attack: rmia}]", "attack a/b: name: 'a/b' does not match"),
        (
            "attacks: [{name: Mine, attack: rmia}, {name: mine, attack: lira}]",
            "attacks: mine: looks like the name Mine",
        ),
        (
            "attacks: [{name: a1, attack: rmia}, {name: al, attack: lira}]",
            "attacks: al: looks like the name a1",
        ),
        ("attacks: [{name: NA, attack: rmia}]", "attack NA: name: 'NA' is read as a missing"),
        ("run: nan", "run: 'nan' is read as a missing value"),
        ('run: "a\\n"', r"run: 'a\n' does not match"),
        ('attacks: [{name: "a\\n", attack: rmia}]', r"attack a\n: name: 'a\n' does not match"),
        ("attacks: []", "attacks: "),
    ],
)
def test_bad_attack_name(tmp_path, text, message) -> None:
    with pytest.raises(InputError, match=r"own\.yaml: " + re.escape(message)):
        check_own(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "target_references: {scenarios: [T9]}",
            "references: scenarios: 'T9' is not among the run's",
        ),
        (
            "target_references: {scenarios: [T1, D2]}",
            "references: scenarios: 'D2' is not among the run's",
        ),
        ("target_references: {scenarios: [T1, T1]}", "references: scenarios: "),
        (
            "target_references: {scenarios: T1}",
            "references: scenarios: 'T1' is not of type 'list'",
        ),
        (
            "target_references: {scenarios: [T1], train_models: 101}",
            "references: train_models: 101: expected at most 100",
        ),
        (
            "target_references: {scenarios: [T1], train_models: 9}\nmodels: {train: 8}",
            "references: train_models: 9: expected at most 8",
        ),
        ("target_references: {train_models: -1}", "references: train_models: -1 "),
        ("target_references: {count: 1}", "references: count: 1 "),
        ("target_references: {count: 2.5}", "references: count: 2.5 "),
        ("target_references: {shard_size: 0}", "references: shard_size: 0 "),
        ("target_references: {cuont: 3}", "references: unknown key 'cuont', did you mean 'count'?"),
        (
            "target_references: {scenarios: [T1], count: 31}",
            "references-32: count 32: expected at most",
        ),
    ],
)
def test_bad_references(tmp_path, text, message) -> None:
    """Of no scenario, of models that there are not, or fewer than an attack wants."""
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        check_own(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1
    assert "references" in str(caught.value).partition("yaml: ")[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{scenarios: [T9]}", "scenarios: 'T9' is not among the run's"),
        ("{scenarios: [T1, D2]}", "scenarios: 'D2' is not among the run's"),
        ("{scenarios: [T1, T1]}", "scenarios: "),
        ("{scenarios: T1}", "scenarios: 'T1' is not of type 'list'"),
        ("{scenarios: [1]}", "scenarios: "),
        ("{count: 1}", "count: 1 "),
        ("{count: 2.5}", "count: 2.5 "),
        ("{count: many}", "count: 'many' is not of type 'integer'"),
        ("{shard_size: 0}", "shard_size: 0 "),
        ("{shard_size: auto}", "shard_size: 'auto' is not of type 'integer'"),
        ("{cuont: 3}", "unknown key 'cuont', did you mean 'count'?"),
        ("{train_models: 3}", "unknown key 'train_models', known: scenarios, count, shard_size"),
        ("[T1]", "['T1'] is not of type 'mapping'"),
    ],
)
def test_bad_shared_references(tmp_path, text, message) -> None:
    """Which are of the whole challenge: there is no choice of targets."""
    with pytest.raises(InputError) as caught:
        check_own(tmp_path, f"shared_references: {text}")
    assert f"own.yaml: shared_references: {message}" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_fewer_shared_references_than_an_attack_wants(tmp_path) -> None:
    """In the scenarios of the run or not."""
    for scenarios_of in "[T1]", "[]":
        text = f"shared_references: {{scenarios: {scenarios_of}, count: 31}}"
        message = "-shared: shared_references 32: expected at most shared_references.count"
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            check_own(tmp_path, text)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (
            "rmia, shared_references: 1",
            "mine: shared_references 1: expected an integer of at least 2",
        ),
        (
            "rmia, shared_references: 0",
            "mine: shared_references 0: expected an integer",
        ),
        (
            "rmia, shared_references: -3",
            "mine: shared_references -3: expected an integer",
        ),
        (
            "stacked, shared_references: 33",
            "mine: shared_references 33: expected at most shared_references.count",
        ),
        (
            "target-references, count: 4, shared_references: 33",
            "mine: shared_references 33: expected at most",
        ),
        ("rmia, shared_references: many", "shared_references: 'many' is not of type 'integer'"),
        ("rmia, shared_references: true", "shared_references: True is not of type 'integer'"),
        ("rmia, shared_references: 2.5", "shared_references: 2.5 is not of type 'integer'"),
        ("rmia, shard: 2", "'shard'"),
        ("auto, shared_references: 2", "mine: shared_references 2: has no effect on attack auto"),
        (
            "threshold, signal: loss, shared_references: 2",
            "mine: shared_references 2: has no effect",
        ),
        ("rest-reference, shared_references: 2", "mine: shared_references 2: has no effect"),
        (
            "centred, centre: one, signal: loss, shared_references: 2",
            "mine: shared_references 2: has no effect on attack centred with these options",
        ),
    ],
)
def test_bad_numbers_of_shared_references(tmp_path, attack, message) -> None:
    with pytest.raises(InputError, match=r"own\.yaml: attacks?:? ") as caught:
        check_own(tmp_path, f"attacks: [{{name: mine, attack: {attack}}}]")
    assert message in str(caught.value)
    assert "mine" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_as_many_shared_references_as_there_are(tmp_path) -> None:
    for count in 2, 32:
        text = f"attacks: [{{name: mine, attack: rmia, gamma: 2, shared_references: {count}}}]"
        mine = check_own(tmp_path, text).attacks["mine"]
        assert mine.options == {"gamma": 2, "shared_references": count}


def test_auto_needs_another_attack_in_every_scenario(tmp_path) -> None:
    alone = "attacks:\n  - {name: auto, attack: auto}\n"
    some = (
        "  - {name: r, attack: target-references, count: 2}\ntarget_references: {scenarios: [T1]}\n"
    )
    for text in alone, alone + some:
        with pytest.raises(InputError, match=r"own\.yaml: attacks: auto: expected another attack"):
            check_own(tmp_path, text)
    check_own(tmp_path, alone + "  - {name: base, attack: base, variant: base1}")
    shared = "  - {name: s, attack: rmia, shared_references: 2}\n"
    shared += "shared_references: {scenarios: [T1, T2]}\n"
    with pytest.raises(InputError, match=r"own\.yaml: attacks: auto: expected another attack"):
        check_own(tmp_path, alone + shared)
    check_own(tmp_path, (alone + shared).replace("[T1, T2]", "[T1, T2, T3, D3]"))


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("attack: target-references", "count"),
        ("attack: target-references, count: 1", "count 1: expected an integer of at least 2"),
        ("attack: target-references, count: 4.5", "count 4.5: expected an integer"),
        ("attack: target-references, count: true", "count True: expected a number"),
        (
            "attack: target-references, count: 33",
            "count 33: expected at most target_references.count",
        ),
        ("attack: target-references, count: 4, signal: logit", "signal 'logit'"),
        ("attack: stacked, white_box: 1", "white_box 1: expected true or false"),
        ("attack: stacked, whitebox: true", "'whitebox'"),
        ("attack: auto, signal: loss", "'signal'"),
    ],
)
def test_bad_options_of_attacks_that_ask_for_more(tmp_path, attack, message) -> None:
    with pytest.raises(InputError, match=rf"own\.yaml: attacks: mine: .*{re.escape(message)}"):
        check_own(tmp_path, f"attacks: [{{name: mine, {attack}}}]")


def test_who_attacks_what(tmp_path) -> None:
    """Attacks that ask for reference models enter where there are some; all others everywhere."""
    text = """
target_references: {scenarios: [D3, T1], count: 4, train_models: 100}
attacks:
  - {name: a, attack: rmia}
  - {name: b, attack: stacked}
  - {name: c, attack: target-references, count: 4}
  - {name: d, attack: auto}
"""
    checked = check_own(tmp_path, text)
    everywhere = ["T1", "T2", "T3", "D3"]
    entered = {name: sorted(scenarios) for name, scenarios in checked.entered.items()}
    expected = {"a": everywhere, "b": everywhere, "c": ["D3", "T1"], "d": everywhere}
    assert entered == {name: sorted(scenarios) for name, scenarios in expected.items()}
    assert checked.inputs == {
        "a": ["signals"],
        "b": ["signals", "whitebox"],
        "c": ["signals", "target_references"],
        "d": ["signals", "others"],
    }


def test_who_attacks_what_with_shared_references(tmp_path) -> None:
    """With both kinds of reference models, where there are both."""
    text = """
target_references: {scenarios: [D3, T1], count: 4, train_models: 100}
shared_references: {scenarios: [T2, T1], count: 4}
attacks:
  - {name: a, attack: rmia}
  - {name: b, attack: rmia, shared_references: 4}
  - {name: c, attack: stacked, shared_references: 2}
  - {name: d, attack: target-references, count: 4}
  - {name: e, attack: target-references, count: 4, shared_references: 3}
  - {name: f, attack: auto}
"""
    checked = check_own(tmp_path, text)
    everywhere = ["D3", "T1", "T2", "T3"]
    assert {name: sorted(scenarios) for name, scenarios in checked.entered.items()} == {
        "a": everywhere,
        "b": ["T1", "T2"],
        "c": ["T1", "T2"],
        "d": ["D3", "T1"],
        "e": ["T1"],
        "f": everywhere,
    }
    assert checked.inputs == {
        "a": ["signals"],
        "b": ["signals", "shared_references"],
        "c": ["signals", "whitebox", "shared_references"],
        "d": ["signals", "target_references"],
        "e": ["signals", "target_references", "shared_references"],
        "f": ["signals", "others"],
    }


def test_nothing_enters_with_shared_references_where_there_are_none() -> None:
    checked = check_files(BASE)
    with_shared = {name for name, item in checked.attacks.items() if item.shared_references}
    assert len(with_shared) == 4
    for name, scenarios_of in checked.entered.items():
        assert (scenarios_of == []) == (
            name in with_shared or name.startswith(("references-", "rest-reference"))
        )


def test_null_run(tmp_path) -> None:
    text = "scenarios: [T1, {id: A, from: T1, challenge: a, null_run: true}, {id: B, from: A"
    checked = check_own(tmp_path, f"{text}, challenge: b}}]").scenarios
    assert {name: one.null_run for name, one in checked.items()} == {
        "T1": False,
        "A": True,
        "B": True,
    }
    expected = {**vars(checked["T1"]), "id": "A", "challenge": "a", "null_run": True}
    assert vars(checked["A"]) == expected


def test_run_of_the_null_hypothesis() -> None:
    checked = check_files(BASE, CONFIG / "null.yaml").scenarios
    assert {name: (one.null_run, one.private) for name, one in checked.items()} == {
        "N1": (True, False),
        "N3": (True, True),
    }


SENTENCES = "format: sst2, records: 300, features: 67, classes: 2"
MADE = "format: sst2-synthetic, records: 300, features: 67, classes: 2, seed: 1"
LABELLED = "format: labelled-bits, records: 300, features: 5, classes: 3"
OFFICIAL = "format: cifar10-binary, records: 300, features: 3072, classes: 3"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (f"{LABELLED}, pth: x.csv", "unknown key 'pth', did you mean 'path'?"),
        (f"{LABELLED}, path: absent.csv", "path absent.csv is not a file"),
        (f"{LABELLED}, path: .", "path . is not a file"),
        (LABELLED, "missing key 'path' or 'url'"),
        (f"{LABELLED}, url: 'http://a.org/b'", "url: 'http://a.org/b' does not match"),
        (f"{LABELLED}, path: x.csv, md5: abc", "md5: 'abc' does not match"),
        (f"{LABELLED}, path: x.csv, classes: 257", "classes: 257 "),
        (f"{LABELLED}, path: x.csv, records: many", "records: 'many' is not of type 'integer'"),
        ("records: 300, features: 5, classes: 3", "missing key 'format'"),
        (
            "format: idx, records: 300, features: 5, classes: 3",
            "format: 'idx' is unknown, known: cifar100-binary",
        ),
        (
            "format: purchase100-synthetic, records: 300, features: 5, classes: 3",
            "missing key 'seed'",
        ),
        (
            "format: purchase100-synthetic, records: 300, features: 5, classes: 3, seed: -1",
            "seed: -1 ",
        ),
        (
            "format: cifar10-synthetic, records: 300, features: 3072, classes: 3",
            "missing key 'seed'",
        ),
        (
            "format: cifar10-synthetic, records: 300, features: 3071, classes: 3, seed: 1",
            "features 3071: expected the 3072 of an image",
        ),
        (f"{OFFICIAL}, url: 'https://a.org/b'", "missing key 'files'"),
        (f"{OFFICIAL}, files: {{a.bin: null}}", "missing key 'path' or 'url'"),
        (f"{OFFICIAL}, files: {{a.bin: null}}, path: x", "path x is not a file or a directory"),
        (f"{OFFICIAL}, files: {{}}, path: .", "files: "),
        (f"{OFFICIAL}, files: [a.bin], path: .", "files: ['a.bin'] is not of type 'mapping'"),
        (f"{OFFICIAL}, files: {{a.bin: abc}}, path: .", "files: a.bin: 'abc' does not match"),
        (f"{OFFICIAL}, files: {{a.bin: 1}}, path: .", "files: a.bin: 1 is not of type 'string'"),
        (f"{OFFICIAL}, files: {{../a.bin: null}}, path: .", "files: '../a.bin' does not match"),
        (f"{OFFICIAL}, files: {{/a.bin: null}}, path: .", "files: '/a.bin' does not match"),
        (f"{OFFICIAL}, files: {{-a.bin: null}}, path: .", "files: '-a.bin' does not match"),
        (f"{OFFICIAL}, files: {{a b.bin: null}}, path: .", "files: 'a b.bin' does not match"),
        (f"{OFFICIAL}, files: {{a.pkl: null}}, path: .", "files: 'a.pkl' does not match"),
        (
            "format: cifar10-binary, records: 300, features: 3073, classes: 3,"
            " files: {a.bin: null}, path: .",
            "features 3073: expected the 3072 of an image",
        ),
        (f"{SENTENCES}, tokenizer: a, path: .", "missing key 'files'"),
        (f"{SENTENCES}, tokenizer: a, files: {{a.tsv: null}}", "missing key 'path' or 'url'"),
        (
            f"{SENTENCES}, tokenizer: a, files: {{a.tsv: null}}, path: x",
            "path x is not a file or a directory",
        ),
        (f"{SENTENCES}, path: .", "missing key 'tokenizer'"),
        (MADE, "missing key 'tokenizer'"),
        (f"{MADE}, tokenizer: ''", "tokenizer: ''"),
        (f"{MADE}, tokenizer: 3", "tokenizer: 3 is not of type 'string'"),
        (f"{MADE}, tokenizer: bpe", "missing key 'vocabulary'"),
        (f"{MADE}, tokenizer: bpe, vocabulary: 299", "vocabulary: 299 "),
        (f"{MADE}, tokenizer: bpe, vocabulary: 65537", "vocabulary: 65537 "),
        (f"{MADE}, tokenizer: bpe, vocabulary: 1e2", "vocabulary: 100 is less than the minimum"),
        (f"{MADE}, tokenizer: bpe, vocabulary: e3", "vocabulary: 'e3' is not of type 'integer'"),
        (f"{MADE}, tokenizer: a, vocabulary: 300", "vocabulary: expected only with bpe"),
        (f"{MADE}, tokenizer: /absent/folder", "tokenizer /absent/folder is not a folder"),
        (f"{MADE}, tokenizer: a/b/c", "tokenizer a/b/c is not a folder"),
        ("format: sst2-synthetic, records: 300, features: 67, classes: 2, tokenizer: a", "missing"),
        (f"{LABELLED}, path: x.csv, tokenizer: a", "tokenizer: expected only of text"),
        (f"{LABELLED}, path: x.csv, vocabulary: 300", "vocabulary: expected only with bpe"),
        (
            f"{LABELLED}, path: x.csv, label: y",
            "label: expected only of the format images or table",
        ),
        (f"{LABELLED}, path: x.csv, truncate: true", "truncate: expected only of the format text"),
        ("format: table, path: .", "path . is not a file"),
        ("format: table, path: x.csv, scale: unit", "scale: 'unit' is not one of 'standard', "),
        ("format: table, path: x.csv, missing: true", "missing: True is not one of"),
        ("format: table, path: x.csv, label: 1.5", "label: 1.5 is not of type"),
        ("format: table, path: x.csv, mean: [1], std: [1]", "mean: expected only of the format "),
        ("format: purchase100-synthetic, seed: 1", "missing key 'records'"),
        ("format: purchase100-synthetic, seed: 1, records: 300", "missing key 'features'"),
    ],
)
def test_bad_dataset(tmp_path, entry, message) -> None:
    """The file, the data set and the key."""
    entry = yaml.safe_load(f"{{{entry}}}")
    base = {"ci": "I1", "ss": "X2"}.get(entry.get("format", "")[:2], "T1")
    item = {"id": "A", "from": base, "data": "mine", "n": 100, "m": 10}
    item |= {"architecture": "roberta-tiny", "batch_size": 10} if base == "X2" else {}
    text = yaml.safe_dump({"scenarios": [item], "datasets": {"mine": entry}})
    with pytest.raises(InputError, match=r"own\.yaml: dataset mine: " + re.escape(message)):
        check_own(tmp_path, text)


@pytest.mark.parametrize("path", ["files", "files/a.bin"])
def test_official_cifar10_is_a_directory_or_a_file(tmp_path, monkeypatch, path) -> None:
    """Which is found, but not read: it is empty."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").touch()
    entry = f"{OFFICIAL}, files: {{a.bin: null}}, path: {path}"
    item = "{id: A, from: I1, data: mine, n: 100, m: 10}"
    text = f"scenarios: [{item}]\ndatasets: {{mine: {{{entry}}}}}"
    assert check_own(tmp_path, text).scenarios["A"].data == "mine"


@pytest.mark.parametrize("tokenizer", ["bpe, vocabulary: 300", "a", "a/b-c_d.e", "."])
def test_tokenizers(tmp_path, tokenizer) -> None:
    """What is not a folder may be on the hub, which is not asked before the run."""
    item = (
        "{id: A, from: X2, architecture: roberta-tiny, data: mine, n: 100, m: 10, batch_size: 10}"
    )
    text = f"scenarios: [{item}]\ndatasets: {{mine: {{{MADE}, tokenizer: {tokenizer}}}}}"
    assert check_own(tmp_path, text).scenarios["A"].data == "mine"


def test_data_that_no_scenario_uses_need_not_be_there(tmp_path) -> None:
    entry = f"datasets: {{mine: {{{LABELLED}, path: absent.csv}}}}"
    assert len(check_own(tmp_path, entry).scenarios) == 4


@pytest.mark.parametrize("seeds", ["7", "given/seeds.csv"])
def test_known_seeds_may_be_public(tmp_path, seeds) -> None:
    text = f"seeds: {seeds}\nseeds_are_public: true"
    assert check_own(tmp_path, text).configuration.seeds_are_public
    assert not check_own(tmp_path, f"seeds: {seeds}").configuration.seeds_are_public


def test_random_seeds_are_not_public(tmp_path) -> None:
    expected = r"own\.yaml: seeds_are_public: true: expected false with random seeds"
    with pytest.raises(InputError, match=expected):
        check_own(tmp_path, "seeds: random\nseeds_are_public: true")


@pytest.mark.parametrize("seeds", ["7", "given/seeds.csv"])
def test_memberships_of_full_entropy_need_random_seeds(tmp_path, seeds) -> None:
    expected = r"own\.yaml: design: 'full-entropy': expected another unless seeds are random"
    with pytest.raises(InputError, match=expected):
        check_own(tmp_path, f"seeds: {seeds}\ndesign: full-entropy")
    text = "seeds: random\ndesign: full-entropy"
    assert check_own(tmp_path, text).configuration.design == "full-entropy"


def test_half_of_all_records_need_not_be_counted(tmp_path) -> None:
    """In the place of an n that is derived; noise found for another n is not taken over."""
    text = """design: half
scenarios:
  - T2
  - {id: A, from: T2, challenge: a, m: 98662}
  - {id: B, from: A, challenge: b, n: 98662}
  - {id: C, from: B, challenge: c, data: location30, m: 2505, n: 2.505e3}
  - {id: D, from: C, challenge: d, data: purchase100-synthetic, m: 100, noise_multiplier: 0.7}
"""
    known = check_own(tmp_path, text).scenarios
    found = {name: (one.n, one.m, one.noise_multiplier) for name, one in known.items()}
    assert found == {
        "T2": (98662, 100, None),
        "A": (98662, 98662, None),
        "B": (98662, 98662, None),
        "C": (2505, 2505, None),
        "D": (2000, 100, 0.7),
    }


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (
            "from: T1, n: 98661",
            "n: 98661: expected 98662, half the records, with the design 'half'",
        ),
        ("from: T1, n: many", "n: 'many': expected 98662, half the records"),
        ("from: T1, n: null", "n: None: expected 98662"),
        ("from: T1, m: 98663", "n: 98662: expected at least m = 98663"),
        ("from: T1, m: 98662, null_run: true", "null_run: expected false with n = m = 98662"),
        ("from: T1, data: mine", "data 'mine': records: missing, of which the design 'half' takes"),
        ("from: T1, data: yours", "data 'yours' is not among the datasets"),
        ("from: T1, data: [a]", "data ['a'] is not among the datasets"),
        ("from: T1, memberships: a.csv", "memberships: expected null with the design 'half'"),
    ],
)
def test_halves_that_cannot_be(tmp_path, scenario, message) -> None:
    text = f"""design: half
scenarios: [{{id: A, challenge: a, {scenario}}}]
datasets: {{mine: {{format: labelled-bits, path: a.csv}}}}"""
    with pytest.raises(InputError, match=r"own\.yaml: scenario A: " + re.escape(message)) as caught:
        check_own(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1


def test_memberships_are_drawn_or_given(tmp_path) -> None:
    text = "seeds: random\nscenarios: [{id: A, from: T1, memberships: given/a.npz}]\n"
    assert check_own(tmp_path, text).scenarios["A"].memberships == "given/a.npz"
    with pytest.raises(InputError, match="null with the design 'full-entropy'"):
        check_own(tmp_path, f"{text}design: full-entropy\n")
    # Fewer are trained on than half the challenge points are, or more than there are records.
    for sizes in "n: 50, m: 80000", "n: 500000":
        given = f"scenarios: [{{id: A, from: T1, memberships: a.csv, {sizes}}}]"
        assert check_own(tmp_path, given).scenarios["A"].n in (50, 500000)


@pytest.mark.parametrize("points", [98661, 98662])
def test_target_references_need_records_that_are_no_challenge_points(tmp_path, points) -> None:
    text = f"""design: half
scenarios: [{{id: A, from: T1, m: {points}}}]
target_references: {{scenarios: [A]}}"""
    if points == 98661:
        assert check_own(tmp_path, text).entered["references-4"] == ["A"]
        return
    expected = r"target_references: scenarios: 'A' has 197324 challenge points of 197324 records"
    with pytest.raises(InputError, match=expected):
        check_own(tmp_path, text)


@pytest.mark.parametrize("seeds", ["0", "9223372036854775807", "random", "given/seeds.csv"])
def test_good_seeds(tmp_path, seeds) -> None:
    assert check_own(tmp_path, f"seeds: {seeds}").scenarios


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("shard_size: 0", "run: other"),
        ("models: {train: 1}", "models: {dev: 7}"),
        ("seeds: -1", "device: cpu"),
        ("shard_sise: 3", "run: other"),
        ("models: {tran: 3}", "models: {dev: 7}"),
        ("scenarios: [{id: A, from: T1, epocs: 3}]", "shard_size: 5"),
        (
            "datasets: {purchase100-synthetic: {sed: 5}}",
            "datasets: {purchase100-synthetic: {seed: 5}}",
        ),
    ],
)
def test_file_that_set_the_key_is_named_not_the_last(tmp_path, first, second) -> None:
    (tmp_path / "first.yaml").write_text(first)
    (tmp_path / "second.yaml").write_text(second)
    with pytest.raises(InputError, match=r"^[^ ]*first\.yaml: "):
        check_files(BASE, tmp_path / "first.yaml", tmp_path / "second.yaml")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("shard_size: 3", "shard_size: 0"),
        ("shard_size: -1", "shard_size: 0"),
        ("models: {train: 9}", "models: {train: 1}"),
        ("scenarios: [T1, T2]", "scenarios: [T1, {id: A, from: T1, epocs: 3}]"),
        ("attacks: [{name: a, attack: rmia}]", "attacks: [{name: a, attack: rmi}]"),
    ],
)
def test_last_file_that_set_the_key_is_named(tmp_path, first, second) -> None:
    (tmp_path / "first.yaml").write_text(first)
    (tmp_path / "second.yaml").write_text(second)
    with pytest.raises(InputError, match=r"^[^ ]*second\.yaml: "):
        check_files(BASE, tmp_path / "first.yaml", tmp_path / "second.yaml")


@pytest.mark.parametrize(
    "command_line",
    [
        {"shard_size": 0},
        {"shrd_size": 3},
        {"models": {"train": 1}},
        {"scenarios": ["T9"]},
        {"scenarios": [{"id": "A", "from": "T1", "epocs": 3}]},
        {"datasets": {"purchase100-synthetic": {"sed": 3}}},
        {"attacks": [{"name": "a", "attack": "rmi"}]},
        {"attacks": [{"name": "a"}]},
        {"models": {"train": 10**20}},
        {"scenarios": [{"id": "A", "from": ["T1"]}]},
        {"scenarios": [{"id": "A", "from": {"a": "b"}}]},
    ],
)
def test_no_file_is_named_for_what_the_command_line_set(command_line) -> None:
    with pytest.raises(InputError) as caught:
        check_files(BASE, command_line=command_line)
    assert "config.yaml" not in str(caught.value)


def test_first_of_several_errors_is_named(tmp_path) -> None:
    """One line, whichever it is."""
    with pytest.raises(InputError, match=r"own\.yaml: (shard_size|device): ") as caught:
        check_own(tmp_path, "shard_size: 0\ndevice: gpu")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("shard_size: 4.0", "shard_size", 4),
        ("shard_size: 1e1", "shard_size", 10),
        ("physical_batch_size: 16.0", "physical_batch_size", 16),
        ("seeds: 42.0", "seeds", 42),
        ("seeds: 1e6", "seeds", 1_000_000),
        ("submissions: {max_bytes: 2.0e+6}", "submissions.max_bytes", 2_000_000),
        ("submissions: {max_bytes: 2e6}", "submissions.max_bytes", 2_000_000),
        ("models: {train: 9.0}", "models.train", 9),
        ("target_references: {count: 64.0}", "target_references.count", 64),
        ("shared_references: {shard_size: 2.0}", "shared_references.shard_size", 2),
        ("datasets: {location30: {records: 5.01e3}}", "datasets.location30.records", 5010),
    ],
)
def test_whole_number_is_an_integer_however_it_is_written(tmp_path, text, key, value) -> None:
    """In every rule: none reads what was not checked."""
    found = check_own(tmp_path, text).configuration
    for name in key.split("."):
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    assert (type(found), found) == (int, value)


def test_rules_read_the_checked_configuration_alone() -> None:
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert not re.search(r"\bconfig\[", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("number", ["1e-3", "1.e-3", "0.1e-2", ".1E-2", "1.0e-03", "+1e-3"])
def test_small_number_however_it_is_written(tmp_path, number) -> None:
    """YAML 1.1 takes most of them for text."""
    item = f"{{id: A, from: T1, data: purchase100-synthetic, n: 2e3, learning_rate: {number}}}"
    one = check_own(tmp_path, f"scenarios: [{item}]").scenarios["A"]
    assert (one.learning_rate, one.n, type(one.n)) == (0.001, 2000, int)


def test_number_of_an_attack_however_it_is_written(tmp_path) -> None:
    attacks = """
attacks:
  - {name: a, attack: bavaria, strength: 1e6}
  - {name: b, attack: target-references, count: 8.0}
  - {name: c, attack: rmia, gamma: 1e1, a: 1e-1, shared_references: 4.0}
"""
    for attack in check_own(tmp_path, attacks).attacks.values():
        registry.options(attack.attack, attack.options)
    options = registry.options("rmia", {"gamma": "1e1", "a": "1e-1"})
    assert (options.gamma, options.a) == (10, 0.1)
    assert registry.options("target-references", {"count": 8.0}).count == 8


def test_text_is_no_number_where_text_is_expected(tmp_path) -> None:
    assert check_own(tmp_path, "run: 1e3").configuration.run == "1e3"
    with pytest.raises(InputError, match=r"submissions: max_bytes: '4' is not of type 'integer'"):
        check_own(tmp_path, "submissions: {max_bytes: '4'}")


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("attack: rmia, gama: 2", "unknown key 'gama', did you mean 'gamma'?"),
        ("attack: threshold", "missing key 'signal'"),
        ("attack: lirra", "unknown attack 'lirra', did you mean 'lira'?"),
        ("attack: rmia, gamma: true", "gamma True: expected a number"),
        ("attack: bavaria, strength: false", "strength False: expected a number"),
    ],
)
def test_option_that_an_attack_does_not_have(tmp_path, attack, message) -> None:
    with pytest.raises(InputError) as caught:
        check_own(tmp_path, f"attacks: [{{name: mine, {attack}}}]")
    assert str(caught.value).endswith(f"own.yaml: attacks: mine: {message}")


def test_long_value_is_not_shown_whole(tmp_path) -> None:
    for text in f"device: {'x' * 10**5}", f"attacks: [{{name: a, attack: {'x' * 10**5}}}]":
        with pytest.raises(InputError) as caught:
            check_own(tmp_path, text)
        assert len(str(caught.value)) < 500


def test_key_that_is_there_twice(tmp_path) -> None:
    with pytest.raises(InputError, match=r"own\.yaml: line 3: key 'dev' is there twice"):
        check_own(tmp_path, "models:\n  dev: 4\n  dev: 5")


@pytest.mark.parametrize(
    "text",
    [
        "datasets: {location30: {path: 'a{x}.csv'}}",
        "datasets: {location30: {path: 'a<results>.csv'}}",
        "datasets: {location30: {path: -a.csv}}",
        "datasets: {sst2: {tokenizer: 'a{x}'}}",
        "submissions: {path: 'a{x}'}",
        "scenarios: [{id: A, from: X1, architecture: 'transformers/a{x}'}]",
        "seeds: 'a{x}.csv'",
        "seeds: '{scenario}/{x}.csv'",
    ],
)
def test_path_that_snakemake_would_take_for_a_pattern(tmp_path, text) -> None:
    with pytest.raises(InputError, match=r"expected a path without braces|does not match"):
        check_own(tmp_path, text)


def test_seeds_of_each_scenario_in_a_file_of_its_own(tmp_path) -> None:
    path = "results/old/private/{scenario}/seeds.csv"
    assert check_own(tmp_path, f"seeds: '{path}'").configuration.seeds == path


def test_file_that_is_read_first_and_last_is_the_last(tmp_path) -> None:
    """As Snakemake names the files of --configfile before and after those of the workflow."""
    own = tmp_path / "own.yaml"
    own.write_text("datasets: {purchase100-synthetic: {features: 601, format: labelled-bits}}")
    with pytest.raises(InputError, match=r"^[^ ]*own\.yaml: dataset purchase100-synthetic: "):
        check_files(own, BASE, own)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("submissions: {path: 'a\\0b'}".replace("'", '"'), "submissions: path: "),
        ('seeds: "a\\nb.csv"', "seeds: "),
        ("run: " + "a" * 101, "run: .* is longer than 100 characters"),
        (
            "attacks: [{name: zip-0123456789abcdef0123, attack: threshold, signal: loss}]",
            "attacks: zip-0123456789abcdef0123: expected another name, since submissions",
        ),
        (
            "scenarios: [{id: master_seed, from: T1}]",
            "scenario master_seed: expected another id, since a file of the run has this name",
        ),
        (
            "scenarios: [{id: T, from: T1, track: Starter_kit}]",
            "scenario T: track Starter_kit: expected another, since bundles have one of this name",
        ),
    ],
)
def test_names_and_paths_that_no_file_or_another_has(tmp_path, text, reason) -> None:
    with pytest.raises(InputError, match=rf"own\.yaml: {reason}") as caught:
        check_own(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 1
