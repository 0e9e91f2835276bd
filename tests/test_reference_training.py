"""Training reference models: guesses of training sets, what is trained on what, and the program.

Statistical tests have fixed seeds, so they give the same answer every time. Under a fresh seed a
right program would fail each with a chance of 1e-4, if nothing else is said.
"""

import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from recipes import recipe
from reference_programs import (
    LISTEN,
    NETWORK,
    OPTIONS,
    SCRIPTS,
    TRAINING,
    Engine,
    arguments_of,
    organisers,
)
from scipy import stats
from torch import Tensor, nn

import target_references as program
from mico.attacks import reference_training
from mico.attacks.computing import outputs
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.reference_training import sample, train_inferred, train_known, train_rest
from mico.attacks.shadows import Target
from mico.challenge import splits
from mico.challenge.recipe import TrainingOptions
from mico.networks.mlp import MLP
from mico.support import arrays
from mico.support.errors import InputError
from mico.training.engine import Records

# ---- Drawing a guess of a training set.


def probabilities(odds: np.ndarray, size: int) -> np.ndarray:
    """The logistic function of odds and a prior, by bisection, such that they add up to `size`."""
    low, high = -100.0, 100.0
    for _ in range(200):
        prior = (low + high) / 2
        values = [1 / (1 + math.exp(-(one + prior))) for one in odds]
        low, high = (prior, high) if sum(values) < size else (low, prior)
    return np.array(values)


def draws(odds: np.ndarray, size: int, count: int) -> np.ndarray:
    generator = np.random.default_rng(6)
    return np.stack([sample(odds, size, generator) for _ in range(count)])


def test_each_record_is_drawn_with_its_probability() -> None:
    odds = np.random.default_rng(7).normal(4, 3, 60)
    expected = probabilities(odds, 15)
    assert expected.min() < 0.01
    assert expected.max() > 0.9
    drawn = draws(odds, 15, 4000)
    counts = np.bincount(drawn.ravel(), minlength=60)
    tests = [stats.binomtest(int(n), 4000, p) for n, p in zip(counts, expected, strict=True)]
    assert min(test.pvalue for test in tests) > 1e-4 / 60
    # More odds, more draws: nothing is upside down.
    assert stats.spearmanr(odds, counts).statistic > 0.99


def test_a_draw_has_the_size_and_no_record_twice() -> None:
    rng = np.random.default_rng(8)
    for scale in (0, 1e-3, 1, 30, 1e3, 1e6):
        for size in (1, 2, 29, 58, 59, 60):
            for odds in scale * rng.normal(size=60), scale * np.sign(rng.normal(size=60)):
                drawn = sample(odds, size, rng)
                assert len(drawn) == len(set(drawn.tolist())) == size
                assert 0 <= drawn.min() <= drawn.max() < 60


@pytest.mark.parametrize("odds", [700.0, 1e4, 1e9])
def test_a_record_that_is_certain_is_always_drawn_and_one_that_is_impossible_never(
    odds: float,
) -> None:
    values = np.full(60, -odds)
    values[10:30] = odds
    for size, certain, possible in (20, range(10, 30), range(10, 30)), (5, [], range(10, 30)):
        for drawn in draws(values, size, 50):
            assert set(certain) <= set(drawn.tolist()) <= set(possible)
    for drawn in draws(values, 40, 50):
        assert set(range(10, 30)) <= set(drawn.tolist())


@pytest.mark.slow
def test_equal_odds_are_a_simple_random_sample_in_random_order() -> None:
    """Whatever the odds are: the prior takes care of it. Of pairs, neighbours too."""
    records, size, count = 20, 5, 6000
    for odds in (np.zeros(records), np.full(records, 40.0)):
        drawn = draws(odds, size, count)
        # Each record at each place of the order.
        table = np.array([np.bincount(column, minlength=records) for column in drawn.T])
        statistic = ((table - count / records) ** 2 / (count / records)).sum()
        # Nearly: that no record is at two places makes a hundredth of difference.
        assert stats.chi2(size * (records - 1)).sf(statistic) > 1e-4
        inside = np.zeros((count, records), bool)
        np.put_along_axis(inside, drawn, True, axis=1)
        together = inside & np.roll(inside, 1, axis=1)
        share = size * (size - 1) / (records * (records - 1))
        tests = [stats.binomtest(int(n), count, share) for n in together.sum(axis=0)]
        assert min(test.pvalue for test in tests) > 1e-4 / records


def test_a_draw_is_its_generators() -> None:
    odds = np.random.default_rng(9).normal(size=60)
    one, again, other = (sample(odds, 25, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert set(one.tolist()) != set(other.tolist())


# ---- Training, with the engine replaced.

SIZE, KNOWN, HALF = 200, 95, 5


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(reference_training.engine, "train", made.train)
    return made


@pytest.fixture(scope="module")
def records() -> Records:
    rng = np.random.default_rng(10)
    features = rng.integers(0, 2, (SIZE, 12), dtype=np.uint8)
    return Records(
        torch.from_numpy(NETWORK.encode(features)), torch.from_numpy(rng.integers(0, 4, SIZE))
    )


ORDER = np.random.default_rng(11).permutation(SIZE)
CHALLENGE, REST = ORDER[: 2 * HALF], ORDER[2 * HALF :]
Trained = tuple[np.ndarray, np.ndarray]


def uninformative() -> Target:
    """A target and 30 shadow models that say nothing of who trained on what."""
    rng = np.random.default_rng(12)
    return Target(
        rng.normal(size=SIZE), rng.normal(size=(30, SIZE)), rng.random((30, SIZE)) < KNOWN / SIZE
    )


def known(records: Records, count: int, name: str = "c/1") -> Trained:
    return train_known(NETWORK, records, name, CHALLENGE, REST[:KNOWN], count, OPTIONS)


def inferred(
    records: Records, count: int, name: str = "c/1", shadows: Target | None = None
) -> Trained:
    shadows = shadows or uninformative()
    return train_inferred(NETWORK, records, name, CHALLENGE, shadows, KNOWN, count, OPTIONS)


KINDS = pytest.mark.parametrize("train", [known, inferred])


@KINDS
@pytest.mark.parametrize("count", [2, 8, 19])
def test_each_reference_model_has_half_of_the_points_and_its_pair_the_others(
    engine: Engine, records: Records, train: Callable[..., Trained], count: int
) -> None:
    values, trained = train(records, count)
    assert values.shape == (2, count, 2 * HALF)
    assert trained.shape == (count, 2 * HALF)
    assert trained.dtype == bool
    assert len(engine.sets) == count
    halves = [training_set[:HALF].tolist() for training_set in engine.sets]
    for half, mask in zip(halves, trained, strict=True):
        assert len(set(half)) == HALF
        assert set(half) == set(CHALLENGE[mask].tolist())
    for even, odd in zip(halves[::2], halves[1::2], strict=False):
        assert set(even) | set(odd) == set(CHALLENGE.tolist())
    # Pairs differ, and the order is random: of 19 halves one in 120 is in any given order.
    assert len(set(map(frozenset, halves))) > count / 2
    places = [[CHALLENGE.tolist().index(one) for one in half] for half in halves]
    assert any(place != sorted(place) for place in places)


@KINDS
def test_values_are_each_models_at_the_challenge_points(
    engine: Engine, records: Records, train: Callable[..., Trained]
) -> None:
    values, _ = train(records, 19)
    for number, seed in enumerate(engine.seeds):
        parameters = Engine.weights(NETWORK, [seed])
        expected = outputs.on_labels(NETWORK, parameters, records.take(CHALLENGE[None]))[:, 0]
        np.testing.assert_allclose(values[:, number], expected, rtol=1e-5, atol=1e-5)


def test_known_records_are_trained_on_in_their_order(engine: Engine, records: Records) -> None:
    known(records, 19)
    for training_set in engine.sets:
        np.testing.assert_array_equal(training_set[HALF:], REST[:KNOWN])
    assert REST[:KNOWN].tolist() != sorted(REST[:KNOWN].tolist())


def test_inferred_records_are_as_many_and_no_challenge_points(
    engine: Engine, records: Records
) -> None:
    inferred(records, 19)
    guesses = [training_set[HALF:].tolist() for training_set in engine.sets]
    for guess in guesses:
        assert len(set(guess)) == len(guess) == KNOWN
        assert set(guess) <= set(REST.tolist())
    # Each model has its own guess, of shadow models that say nothing any record's.
    assert len(set(map(frozenset, guesses))) == 19
    assert set().union(*guesses) == set(REST.tolist())


def test_no_two_models_have_the_same_seed(engine: Engine, records: Records) -> None:
    """Nor the same points, of different targets and challenges."""
    for name in ("c/1", "c/2", "c/12", "c/121", "d/1"):
        known(records, 19, name)
    assert len(set(engine.seeds)) == 5 * 19
    halves = {frozenset(training_set[:HALF].tolist()) for training_set in engine.sets[::19]}
    assert len(halves) == 5
    inferred(records, 19)
    assert len(set(engine.seeds)) == 6 * 19
    assert all(0 <= seed < 2**63 for seed in engine.seeds)


@KINDS
def test_a_model_does_not_depend_on_how_many_there_are(
    engine: Engine, records: Records, train: Callable[..., Trained]
) -> None:
    values, trained = train(records, 8)
    more_values, more_trained = train(records, 16)
    assert engine.groups == [8, 8, 8]
    assert engine.seeds[:8] == engine.seeds[8:16]
    for one, other in zip(engine.sets[:8], engine.sets[8:16], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(more_values[:, :8], values)
    np.testing.assert_array_equal(more_trained[:8], trained)
    # A last group that is not full draws the same, too.
    train(records, 13)
    assert engine.groups[3:] == [8, 5]
    assert engine.seeds[24:] == engine.seeds[8:21]
    for one, other in zip(engine.sets[24:], engine.sets[8:21], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_rest_is_all_but_the_challenge_points(engine: Engine, records: Records) -> None:
    """In random order; the model differs from the target's others, and between targets."""
    known(records, 2)
    values = [train_rest(NETWORK, records, name, CHALLENGE, OPTIONS) for name in ("c/1", "c/2")]
    orders = [training_set.tolist() for training_set in engine.sets[2:]]
    assert [sorted(order) for order in orders] == [sorted(REST.tolist())] * 2
    assert orders[0] != orders[1]
    assert len(set(engine.seeds)) == 4
    at = records.take(CHALLENGE[None])
    for found, seed in zip(values, engine.seeds[2:], strict=True):
        expected = outputs.on_labels(NETWORK, Engine.weights(NETWORK, [seed]), at)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def overlaps(engine: Engine, secret: np.ndarray) -> list[float]:
    """Which share of a secret training set each model's guess holds."""
    return [float(np.isin(secret, training_set[HALF:]).mean()) for training_set in engine.sets]


def test_the_first_guess_is_what_shadow_models_say(engine: Engine, records: Records) -> None:
    """Here that records of a secret set were trained on, whether in or not in theirs."""
    rng, shadows, secret = np.random.default_rng(13), uninformative(), REST[50 : 50 + KNOWN]
    for records_in, sign in (secret, 1), (np.setdiff1d(REST, secret), -1):
        # Of both laws of a record, IN and OUT, the target's signal fits the one.
        shadows.own[records_in] = 5 * sign
    signal = np.where(shadows.trained, 5, -5) + rng.normal(size=shadows.shadow.shape)
    inferred(records, 2, shadows=replace(shadows, shadow=signal))
    assert min(overlaps(engine, secret)) > 0.98


def test_later_guesses_are_what_earlier_reference_models_say(
    engine: Engine, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shadow models say nothing, but reference models show who trained on what."""
    shadows, secret = uninformative(), REST[50 : 50 + KNOWN]
    shadows.own[:] = np.where(np.isin(np.arange(SIZE), secret), 5, -5)
    wide = replace(shadows, shadow=100 * shadows.shadow)  # both signals are nothing special
    noise = np.random.default_rng(14)

    def on_labels(_: MLP, parameters: dict[str, Tensor], at: Records) -> np.ndarray:
        sets = engine.sets[-len(parameters["mlp.0"]) :]
        inside = np.array([np.isin(np.arange(SIZE), one) for one in sets])
        assert at.labels.shape == inside.shape
        margin = np.where(inside, 5.0, -5.0) + noise.normal(size=inside.shape)
        return np.stack([np.zeros_like(margin), margin])

    monkeypatch.setattr(reference_training.outputs, "on_labels", on_labels)
    inferred(records, 24, shadows=wide)
    share = overlaps(engine, secret)
    # By chance half of the set is right: 95 of 190, of each model with a standard deviation of .05.
    assert 0.3 < min(share[:8]) < max(share[:8]) < 0.7
    assert min(share[8:]) > 0.95
    assert engine.groups == [8, 8, 8]


# ---- scripts/references.py


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """In this process, which stays as it is."""
    monkeypatch.setattr(program, "choose", torch.device)
    monkeypatch.setattr(sys, "argv", ["target_references.py", *map(str, arguments)])
    program.main()


@pytest.fixture(scope="module")
def two_targets(
    challenges: dict, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str], Path]:
    """Ten reference models each of a train and a dev model, what was opened, and the folder.

    All that the program is given is copied to a folder of its own.
    """
    challenge, folder = challenges["plain"], tmp_path_factory.mktemp("participant")
    shutil.copytree(challenge.directory, folder / "plain")
    shutil.copytree(challenge.data.directory, folder / "data")
    shutil.copy(challenge.organiser / "privacy.json", folder / "privacy.json")
    arguments = [*arguments_of(challenge), "--first", 2, "--last", 3, "--count", 10]
    arguments += ["--challenge", folder / "plain", "--data", folder / "data"]
    arguments += ["--privacy", folder / "privacy.json", "--output", folder / "2-3.npz"]
    command = [sys.executable, "-c", LISTEN, SCRIPTS, folder / "log", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "2-3.npz", (folder / "log").read_text().splitlines(), folder


def stored(path: Path) -> TargetReferences:
    """What the program wrote."""
    return arrays.read(path, TargetReferences, "target references")


@pytest.mark.slow
def test_the_program_trains_reference_models(
    challenges: dict, two_targets: tuple[Path, list[str], Path]
) -> None:
    found = stored(two_targets[0])
    assert found.targets.tolist() == [2, 3]
    assert found.loss.shape == found.margin.shape == found.trained.shape == (2, 10, 20)
    assert (found.loss.dtype, found.margin.dtype, found.trained.dtype) == (float, float, bool)
    # log p_y = -log(1 + e^-margin)
    np.testing.assert_allclose(found.loss, -np.logaddexp(0, -found.margin), rtol=1e-9)
    assert (found.trained.sum(axis=2) == 10).all()
    np.testing.assert_array_equal(found.trained[:, ::2], ~found.trained[:, 1::2])
    np.testing.assert_allclose(found.rest_loss, -np.logaddexp(0, -found.rest_margin), rtol=1e-9)
    # That one has seen none of the points: on them it is like the models without them.
    assert found.rest_margin.shape == (2, 20)
    assert found.rest_margin.mean() < found.margin[found.trained].mean()
    assert (found.trained[0] != found.trained[1]).any()
    # They were trained on what it says: by chance it would look so once in 4,000 times.
    inside = np.where(found.trained, found.margin, 0).sum(axis=1) / found.trained.sum(axis=1)
    outside = np.where(found.trained, 0, found.margin).sum(axis=1) / (~found.trained).sum(axis=1)
    difference = (inside - outside).ravel()
    assert difference.mean() > 3.5 * difference.std() / math.sqrt(len(difference))


@pytest.mark.slow
def test_the_program_reads_only_what_a_participant_has(
    challenges: dict, two_targets: tuple[Path, list[str], Path]
) -> None:
    """The released models, the data and the privacy, and no other file of these tests."""
    _, opened, folder = two_targets
    root = challenges["plain"].organiser.parents[2]
    assert root in folder.parents
    own = [path for path in map(Path, opened) if root in path.parents and path != folder]
    names = {path.relative_to(folder).parts[0] for path in own}
    read = {name for name in names if not name.startswith((".2-3.npz.", "log"))}
    assert read == {"plain", "data", "privacy.json"}
    model = folder / "plain/dev/model_3"
    assert {model / "model.pt", model / "seed_challenge"} <= {*own}


@pytest.mark.slow
def test_the_programs_output_depends_on_nothing_else(
    challenges: dict,
    two_targets: tuple[Path, list[str], Path],
    run_script: Callable,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """To the byte, from files at another place; nor do a target's models on its shard."""
    arguments = arguments_of(challenges["plain"])
    again = ["--first", 2, "--last", 3, "--count", 10, "--output", tmp_path / "again.npz"]
    result = run_script("target_references", *arguments, *again)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.npz").read_bytes() == two_targets[0].read_bytes()

    alone = ["--first", 3, "--last", 3, "--count", 8, "--output", tmp_path / "alone.npz"]
    run_here(monkeypatch, *arguments, *alone)
    found, expected = (
        stored(tmp_path / "alone.npz"),
        stored(two_targets[0]),
    )
    assert found.targets.tolist() == [3]
    np.testing.assert_array_equal(found.trained[0], expected.trained[1, :8])
    # This process does not flush denormals to zero.
    np.testing.assert_allclose(found.margin[0], expected.margin[1, :8], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.rest_margin[0], expected.rest_margin[1], rtol=1e-4, atol=1e-4)


@dataclass
class Asked:
    """Stands in for a function that trains a target's models, and remembers its arguments."""

    calls: list[tuple] = field(default_factory=list)

    def __call__(self, *arguments: object) -> Trained:
        self.calls.append(arguments)
        number, points = arguments[-2], len(arguments[3])
        values = np.full((2, number, points), float(len(self.calls)))
        values[1] *= -1
        return values, np.arange(points) % 2 == np.arange(number)[:, None] % 2


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Asked]:
    functions = {name: Asked() for name in ("train_known", "train_inferred")}
    for name, function in functions.items():
        monkeypatch.setattr(program.reference_training, name, function)

    def train_rest(*arguments: object) -> np.ndarray:
        return np.zeros((2, len(arguments[3])))

    monkeypatch.setattr(program.reference_training, "train_rest", train_rest)
    return functions


def test_known_records_are_those_that_were_trained_on(
    challenges: dict,
    asked: dict[str, Asked],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """All but the challenge points, of which the seeds of dev and final do not tell."""
    challenge = challenges["private"]
    output = tmp_path / "out.npz"
    targets = ["--first", 0, "--last", 6, "--count", 4, "--output", output]
    run_here(monkeypatch, *arguments_of(challenge), *targets)
    assert asked["train_inferred"].calls == []
    secret = organisers(challenge)
    names = set()
    for model, call in enumerate(asked["train_known"].calls):
        architecture, records, name, points, given, count, options = call
        np.testing.assert_array_equal(points, secret["challenge"][model])
        expected = np.flatnonzero(secret["trained"][model])
        assert set(given) == set(expected) - set(points.tolist())
        split = splits.split(300, 150, 10, challenge.seeds[model])
        np.testing.assert_array_equal(given, split.training_set[10:])
        assert (architecture, count) == (MLP(37, 4), 4)
        assert options == TrainingOptions(**TRAINING, clipping_norm=2.6, noise_multiplier=0.7)
        assert not options.secure
        np.testing.assert_array_equal(records.labels, challenge.data.labels)
        names.add(name)
    assert len(names) == len(asked["train_known"].calls) == 7
    assert all("private" in name for name in names)
    # Each target's models are in its row.
    found = stored(output)
    assert found.targets.tolist() == list(range(7))
    assert (found.loss == np.arange(1, 8)[:, None, None]).all()
    assert (found.margin == -found.loss).all()
    expected = np.arange(20) % 2 == np.arange(4)[:, None] % 2
    assert (found.trained == expected).all()


def test_where_records_are_not_given_away_shadow_models_are_asked(
    challenges: dict,
    asked: dict[str, Asked],
    published_mlp: type[nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """A train model as if it were none: what it trained on is not looked at."""
    challenge = challenges["plain"]
    targets = ["--first", 1, "--last", 3, "--count", 4, "--output", tmp_path / "out.npz"]
    run_here(monkeypatch, *arguments_of(challenge), *targets)
    assert asked["train_known"].calls == []
    secret = organisers(challenge)
    margins = np.array([naive_margins(challenge, model, published_mlp) for model in range(4)])
    for model, call in zip((1, 2, 3), asked["train_inferred"].calls, strict=True):
        architecture, _, name, points, shadows, size, count, options = call
        np.testing.assert_array_equal(points, secret["challenge"][model])
        others = [other for other in range(3) if other != model]
        np.testing.assert_allclose(shadows.own, margins[model], rtol=1e-5, atol=2e-5)
        np.testing.assert_allclose(shadows.shadow, margins[others], rtol=1e-5, atol=2e-5)
        np.testing.assert_array_equal(shadows.trained, secret["trained"][others])
        assert (architecture, size, count) == (MLP(37, 4), 140, 4)
        assert options == TrainingOptions(**TRAINING)
        assert name == f"plain/{model}"


def test_where_models_are_trained_on_challenge_points_alone_nothing_is_guessed(
    challenges: dict,
    asked: dict[str, Asked],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """n = m, with which a training set is its members."""
    arguments = [*arguments_of(challenges["plain"]), "--recipe", recipe(10, 10, **TRAINING)]
    targets = ["--first", 0, "--last", 6, "--count", 4, "--output", tmp_path / "out.npz"]
    run_here(monkeypatch, *arguments, *targets)
    assert asked["train_inferred"].calls == []
    assert [len(call[4]) for call in asked["train_known"].calls] == [0] * 7


def naive_margins(challenge: object, model: int, published_mlp: type[nn.Module]) -> np.ndarray:
    """Of a released model on all records, by its network in double precision."""
    path = next(challenge.directory.glob(f"*/model_{model}/model.pt"))
    network = published_mlp(37, 4)
    network.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        logits = network.double()(torch.from_numpy(challenge.data.features).double()).numpy()
    labels = challenge.data.labels
    others = [np.delete(row, label) for row, label in zip(logits, labels, strict=True)]
    return logits[np.arange(len(labels)), labels] - np.logaddexp.reduce(others, axis=1)


BAD = [
    (["--first", 3, "--last", 2], "models 3 to 2: expected 0 to 6"),
    (["--first", 5, "--last", 7], "models 5 to 7: expected 0 to 6"),
    (["--count", 1], "count 1: expected at least 2"),
    (["--recipe", recipe(9, 10, **TRAINING)], "n = 9, m = 10"),
    (["--recipe", recipe(291, 10, **TRAINING)], "n = 291, m = 10"),
    (["--recipe", recipe(150, 150, **TRAINING)], "300 challenge points of 300 records, expected 2"),
    (["--phases", 1, 2, 2], "expected at least 2 train"),
    (["--phases", 3, 2, 3], "seed_challenge"),
    (["--challenge", "absent"], "absent/train/model_0/seed_challenge"),
]


@pytest.mark.parametrize(("changes", "message"), BAD)
def test_bad_arguments_are_told(
    challenges: dict,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    changes: list[object],
    message: str,
) -> None:
    """The last of equal arguments counts."""
    arguments = [*arguments_of(challenges["plain"]), "--first", 0, "--last", 6, "--count", 4]
    with pytest.raises(InputError) as caught:
        run_here(monkeypatch, *arguments, "--output", tmp_path / "out.npz", *changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_program_says_it_in_one_line(
    challenges: dict, run_script: Callable, tmp_path: Path
) -> None:
    arguments = [*arguments_of(challenges["plain"]), "--first", 0, "--last", 7, "--count", 4]
    result = run_script("target_references", *arguments, "--output", tmp_path / "out.npz")
    assert result.returncode == 1
    assert result.stderr == "error: models 0 to 7: expected 0 to 6\n"
