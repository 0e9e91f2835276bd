"""Shared reference models: as shadow models, what they are trained on, their program and files.

Statistical tests have fixed seeds, so they give the same answer every time. Under a fresh seed a
right program would fail each with a chance of at most 1e-4.
"""

import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import simulated_models
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
from simulated_models import Simulated
from simulated_signals import Setting, describe, gaussian, run

import shared_references as program
from mico.attacks import reference_training, registry
from mico.attacks.computing import outputs
from mico.attacks.formulas import auto, stacked
from mico.attacks.formulas import target_references as of_targets
from mico.attacks.given import shared_references
from mico.attacks.given.shared_references import SharedReferences
from mico.attacks.given.signals import Signals
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.reference_training import shared_training_set, train_shared
from mico.challenge.phases import Phases
from mico.challenge.recipe import TrainingOptions
from mico.data import store
from mico.networks.build import build
from mico.networks.mlp import MLP
from mico.release import prediction_files
from mico.scoring import metrics
from mico.scoring.curves import roc
from mico.support import arrays
from mico.support.errors import InputError
from mico.training import engine
from mico.training.engine import Records, load

# ---- A shared reference model is a shadow model like any other.

TRAIN, SHARED, TARGETS = 30, 10, 20
PHASES = Phases(3, 2, 2)
ATTACKS: list[Setting] = [
    ("threshold", {"signal": "loss"}),
    ("centred", {"centre": "mid", "signal": "conf"}),
    ("centred", {"centre": "in", "signal": "loss"}),
    ("centred", {"centre": "standardised", "signal": "margin"}),
    ("centred", {"centre": "one", "signal": "loss"}),
    ("lira", {"variant": "online"}),
    ("lira", {"variant": "offline"}),
    ("lira", {"variant": "fixed-variance"}),
    ("rmia", {"variant": "online"}),
    ("rmia", {"variant": "offline", "a": 0.3, "gamma": 1.3}),
    ("base", {"variant": "base1"}),
    ("base", {"variant": "base3"}),
    ("bavaria", {"variant": "n"}),
    ("bavaria", {"variant": "t"}),
    ("effect", {"signal": "margin"}),
]
REMAINING = [*range(TRAIN), *range(TRAIN + SHARED, TRAIN + SHARED + TARGETS)]


@pytest.fixture(scope="module")
def all_train() -> Signals:
    """Of 40 train models and 20 others."""
    return gaussian(1, shadows=TRAIN + SHARED, targets=TARGETS, points=60).signals


def moved(given: Signals, count: int = SHARED) -> Signals:
    """The last train models as shared reference models instead, which nobody attacks."""
    train = len(given.trained)
    last = np.arange(train - count, train)
    rows = [*np.delete(np.arange(len(given.loss)), last), *last]
    challenge = np.delete(given.challenge, last, axis=0)
    return Signals(given.loss[rows], given.margin[rows], given.trained, challenge)


def without(given: Signals, count: int = SHARED) -> Signals:
    """The last train models left out."""
    last = np.arange(len(given.trained) - count, len(given.trained))
    loss, margin, challenge = (
        np.delete(values, last, axis=0) for values in (given.loss, given.margin, given.challenge)
    )
    return Signals(loss, margin, given.trained[:-count], challenge)


def test_rows_of_signals(all_train: Signals) -> None:
    """Train models, others, shared reference models; `trained` is of the first and the last."""
    assert all_train.train_models == 40
    np.testing.assert_array_equal(all_train.shadows, range(40))
    given = moved(all_train)
    assert given.train_models == 30
    np.testing.assert_array_equal(given.shadows, [*range(30), *range(50, 60)])
    for shadow, row in enumerate(given.shadows):
        np.testing.assert_array_equal(given.margin[row], all_train.margin[shadow])


@pytest.mark.parametrize("setting", ATTACKS, ids=describe)
def test_scores_are_those_with_a_train_model_instead(setting: Setting, all_train: Signals) -> None:
    """Of train models and targets alike; and they are others without it."""
    expected = run(setting, all_train)[REMAINING]
    found = run(setting, moved(all_train))
    assert found.shape == (TRAIN + TARGETS, 60)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    unaware = setting[0] == "threshold" or setting[1].get("centre") == "one"
    fewer = run(setting, without(all_train))
    for part in slice(0, TRAIN), slice(TRAIN, None):
        assert np.allclose(fewer[part], expected[part]) == unaware


@pytest.mark.parametrize("signal", ["margin", "loss"])
def test_a_targets_own_reference_models_are_compared_with_all_shadow_models(
    signal: str, all_train: Signals
) -> None:
    """Of a train model and all targets."""
    rng = np.random.default_rng(2)
    shape = (1 + TARGETS, 6, 60)
    margin = rng.normal(2, 2, shape)
    rest = np.zeros((len(margin), 60))  # what it is does not matter
    own = -np.logaddexp(0, -margin), margin, rng.random(shape) < 0.5, rest, rest
    options = registry.options("target-references", {"count": 5, "signal": signal})

    def scores(given: Signals) -> np.ndarray:
        targets = np.array([2, *range(given.train_models, len(given.challenge))])
        return of_targets.scores(given, TargetReferences(targets, *own), options)

    expected = scores(all_train)[REMAINING]
    found = scores(moved(all_train))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    attacked = ~np.isnan(found).any(axis=1)
    assert np.flatnonzero(attacked).tolist() == [2, *range(TRAIN, TRAIN + TARGETS)]
    fewer = scores(without(all_train))
    assert not np.isclose(fewer[attacked], expected[attacked]).all(axis=1).any()


def test_a_target_without_reference_models_of_its_own_is_named(all_train: Signals) -> None:
    """Shared ones are no excuse; nor are as many targets as there are of them."""
    given = moved(all_train)
    options = registry.options("target-references", {"count": 2})
    for missing in TRAIN, TRAIN + SHARED - 1, TRAIN + TARGETS - 1:
        targets = np.setdiff1d(np.arange(TRAIN, TRAIN + TARGETS), missing)
        cube = np.random.default_rng(4).normal(size=(len(targets), 2, 60))
        own = TargetReferences(targets, cube, cube, cube > 0, cube[:, 0], cube[:, 0])
        with pytest.raises(InputError, match=f"^model {missing} has no reference models$"):
            of_targets.scores(given, own, options)


@pytest.mark.parametrize(("variant", "gamma"), [("online", 1.0), ("offline", 1.2)])
def test_rmia_leaves_out_a_train_models_own_row_and_no_shared_one(
    variant: str, gamma: float
) -> None:
    """Point by point, with fewer train models than there are shared ones."""
    given = moved(gaussian(3, shadows=9, targets=4, points=12, records=50).signals, 6)
    found = run(("rmia", {"variant": variant, "gamma": gamma}), given)
    conf = np.exp(given.loss)

    def ratio(model: int, record: int) -> float:
        sides: dict[bool, list[float]] = {True: [], False: []}
        # Train models are 0 to 2, targets 3 to 6, shared reference models 7 to 12.
        for mask, shadow in enumerate([0, 1, 2, 7, 8, 9, 10, 11, 12]):
            if shadow != model:
                sides[bool(given.trained[mask, record])].append(conf[shadow, record])
        inside, outside = (np.mean(sides[side] or sides[not side]) for side in (True, False))
        mean = (inside + outside) / 2 if variant == "online" else (1.3 * outside + 0.7) / 2
        return conf[model, record] / mean

    for model, columns in enumerate(given.challenge):
        population = [ratio(model, x) for x in range(50) if x not in columns]
        expected = [np.mean(np.array(population) < ratio(model, x) / gamma) for x in columns]
        np.testing.assert_allclose(found[model], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("signal", ["loss", "margin"])
def test_one_is_the_difference_from_the_first_other_shadow_model(
    signal: str, all_train: Signals
) -> None:
    given = moved(all_train)
    values = getattr(given, signal)
    found = run(("centred", {"centre": "one", "signal": signal}), given)
    for model, columns in enumerate(given.challenge):
        first = 1 if model == 0 else 0
        np.testing.assert_array_equal(found[model], values[model, columns] - values[first, columns])


# ---- The attacks that learn from train models.


def with_some_shared(
    count: int = 6,
) -> tuple[simulated_models.Simulated, simulated_models.Simulated]:
    """With the last train models as shared reference models, and without them."""
    whole = simulated_models.simulate(4, effect=1.0, informative=1.0)
    last = np.arange(simulated_models.TRAIN - count, simulated_models.TRAIN)
    box = replace(whole.whitebox, features=np.delete(whole.whitebox.features, last, axis=0))
    membership = np.delete(whole.membership, last, axis=0)
    return (
        Simulated(moved(whole.signals, count), box, membership),
        Simulated(without(whole.signals, count), box, membership),
    )


def test_stacked_learns_from_train_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each fit, the rows are some train models' and the labels are theirs."""
    fits = simulated_models.Fits()
    monkeypatch.setattr(stacked, "_fit", fits)
    simulated, _ = with_some_shared()
    train, points = simulated_models.TRAIN - 6, simulated_models.POINTS
    scores = simulated.scores(simulated_models.WITH)
    rows = fits.rows_of_models(scores)
    assert len(rows) == sum(map(len, fits.asked)) == train + simulated_models.OTHERS
    truth = {
        row.tobytes(): label
        for own, labels in zip(rows[:train], simulated.membership, strict=False)
        for row, label in zip(own, labels, strict=True)
    }
    assert len(truth) == train * points
    for learned, labels in fits.learned:
        assert [truth[row.tobytes()] for row in learned] == labels.tolist()
    # All of them for targets, and for a train model those of other folds.
    assert len(fits.learned[0][0]) == train * points
    for model, own in enumerate(rows[:train]):
        learned, _ = fits.learned[int(scores[model, 0] // 1000)]
        assert len(learned) >= (train - 4) * points
        assert not simulated_models.as_set(own) & simulated_models.as_set(learned)


def test_stackeds_features_compare_with_shared_reference_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The formulas and class means; white-box features, which those have not, as without them."""
    found = []
    simulated, fewer = with_some_shared()
    for one in simulated, fewer:
        fits = simulated_models.Fits()
        monkeypatch.setattr(stacked, "_fit", fits)
        found.append(np.stack(fits.rows_of_models(one.scores(simulated_models.WITH))))
    signals, classes = simulated.signals, simulated.whitebox.classes
    for column, setting in enumerate(simulated_models.FORMULAS.values()):
        expected = run(setting, signals).clip(-50, 50)
        np.testing.assert_allclose(found[0][..., column], expected, rtol=1e-9)
    shadows = [*range(16), *range(24, 30)]
    for model, columns in enumerate(signals.challenge):
        others = signals.loss[[shadow for shadow in shadows if shadow != model]]
        standardised = (signals.loss[model] - others.mean(axis=0)) / others.std(axis=0)
        standardised[columns] = np.nan
        for point, record in enumerate(columns):
            expected = np.nanmean(standardised.clip(-50, 50)[classes == classes[record]])
            assert found[0][model, point, 6] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert (found[0][..., :7] != found[1][..., :7]).mean() > 0.99
    np.testing.assert_array_equal(found[0][..., 7:], found[1][..., 7:])


@pytest.mark.parametrize("white_box", [True, False])
def test_stacked_scores_are_numbers_and_others_with_shared_reference_models(
    white_box: bool,
) -> None:
    options = registry.options("stacked", {"white_box": white_box})
    simulated, fewer = (one.scores(options) for one in with_some_shared())
    assert simulated.shape == fewer.shape == (16 + simulated_models.OTHERS, simulated_models.POINTS)
    assert np.isfinite(simulated).all()
    assert (simulated != fewer).all(axis=1).all()


@pytest.mark.slow
def test_auto_judges_by_train_models_only() -> None:
    """Of attacks about as good as each other, one of which leaves out most train models."""
    chosen = set()
    for seed in range(10):
        given = gaussian(seed, shadows=14, targets=6, points=20, records=80).signals
        simulated, fewer = moved(given, 6), without(given, 6)
        membership = np.stack([given.trained[i, given.challenge[i]] for i in range(8)])
        rng = np.random.default_rng(seed)
        others = {}
        for name in range(5):
            scores = rng.normal(size=simulated.challenge.shape)
            scores[:8] += membership
            others[str(name)] = prediction_files.to_predictions(scores)
        others["partial"] = others["4"].copy()
        others["partial"][2:8] = np.nan
        best = auto.choose(fewer, others)
        assert auto.choose(simulated, others) == best
        chosen.add(best)
        options = registry.options("auto", {})
        scores, note = auto.scores(simulated, others, options)
        np.testing.assert_array_equal(scores, others[best])
        assert note == f"chose {best}"
    assert len(chosen) > 2


# ---- What they are worth.


@dataclass(frozen=True)
class NearlyAllIn:
    """Signals of records that nearly all shadow models trained on, and who of 60 targets did."""

    signals: Signals
    shared: SharedReferences
    membership: np.ndarray  # (60, 250)

    def tpr(self, setting: Setting, count: int) -> float:
        """At FPR .1, over all targets, with so many shared reference models."""
        given = shared_references.add(self.signals, self.shared, count) if count else self.signals
        rows = prediction_files.to_predictions(run(setting, given))[given.train_models :]
        curve = roc(rows, self.membership, np.ones(len(rows)))
        return float(metrics.metrics(curve)[metrics.HEADLINE])


@pytest.fixture(scope="module")
def nearly_all_in() -> NearlyAllIn:
    """Two of 100 shadow models are OUT at each record, 16 of 32 shared reference models.

    Margins are N(a, b) if OUT and N(a + b d, b) if IN, where a, b and d differ by record.
    """
    rng = np.random.default_rng(5)
    records, points = 1000, 250
    parts = [(100, 98), (60, 30), (32, 16)]
    trained = np.concatenate(
        [rng.random((models, records)).argsort(axis=0) < inside for models, inside in parts]
    )
    centre, scale = rng.normal(2, 2, records), np.exp(0.3 * rng.normal(size=records))
    lift = 2 + 1.5 * rng.normal(size=records)
    margin = centre + scale * (rng.normal(size=trained.shape) + lift * trained)
    loss = -np.logaddexp(0, -margin)
    challenge = np.stack([rng.permutation(records)[:points] for _ in range(160)])
    return NearlyAllIn(
        Signals(loss[:160], margin[:160], trained[:100], challenge),
        SharedReferences(loss[160:], margin[160:], trained[160:]),
        np.take_along_axis(trained[:160], challenge, axis=1)[100:],
    )


@pytest.mark.parametrize(
    ("setting", "gain"),
    [(("effect", {}), 0.025), (("bavaria", {}), 0.045), (("bavaria", {"variant": "t"}), 0.03)],
    ids=describe,
)
def test_halves_tell_what_it_is_like_to_be_out(
    setting: Setting, gain: float, nearly_all_in: NearlyAllIn
) -> None:
    """Of 20 seeds, TPRs rose by .047, .073 and .058 with deviations of .006, .007 and .006.

    What is asked for is less by four deviations, those of one run.
    """
    before, after = (nearly_all_in.tpr(setting, count) for count in (0, 32))
    assert after > before + gain


# ---- What they are trained on.

POINTS = np.sort(np.random.default_rng(6).permutation(300)[:120])


def sets(
    count: int, points: np.ndarray = POINTS, *, size: int = 150, records: int = 300, name: str = "c"
) -> list[np.ndarray]:
    return [shared_training_set(name, number, points, records, size) for number in range(count)]


@pytest.mark.parametrize("count", [120, 119, 7, 2])
def test_half_of_the_points_are_trained_on(count: int) -> None:
    """Rounded down; the rest of the set is of other records, none of them twice."""
    points = POINTS[:count]
    training_sets = sets(12, points)
    for own in training_sets:
        assert len(own) == len(set(own.tolist())) == 150
        assert 0 <= own.min() <= own.max() < 300
        assert np.isin(points, own).sum() == count // 2
    for even, odd in zip(training_sets[::2], training_sets[1::2], strict=True):
        halves = set(points[np.isin(points, even)]), set(points[np.isin(points, odd)])
        assert not halves[0] & halves[1]
        assert len(halves[0] | halves[1]) == count // 2 * 2
    if count > 10:
        rests = {frozenset(own[~np.isin(own, points)].tolist()) for own in training_sets}
        halves = {frozenset(own[np.isin(own, points)].tolist()) for own in training_sets}
        assert len(rests) == len(halves) == 12


@pytest.mark.parametrize(("size", "expected"), [(239, 239), (240, 240), (241, 240), (280, 240)])
def test_a_set_is_smaller_where_too_many_points_are_left_out(size: int, expected: int) -> None:
    """Half of 120 points and all of 180 other records are 240."""
    for own in sets(4, size=size):
        assert len(own) == len(set(own.tolist())) == expected
        assert np.isin(POINTS, own).sum() == 60
    everything = np.arange(300)
    for own in sets(4, everything, size=size):
        assert len(own) == len(set(own.tolist())) == 150


@pytest.mark.parametrize("size", [1, 17, 40, 59])
def test_a_set_smaller_than_half_of_the_points_is_all_points(size: int) -> None:
    """Successive models share none, until fewer are left than a set holds."""
    turns = 120 // size
    training_sets = sets(2 * turns + 1, size=size)
    for own in training_sets:
        assert len(own) == len(set(own.tolist())) == size
        assert np.isin(own, POINTS).all()
    for first in 0, turns:
        together = np.concatenate(training_sets[first : first + turns])
        assert len(set(together.tolist())) == turns * size > 120 - size
    assert sorted(training_sets[0]) != sorted(training_sets[turns]) or size == 1


def test_points_are_never_more_than_half_at_the_edge() -> None:
    """A set that holds exactly half of the points holds nothing else."""
    for own, size in zip(sets(2, size=60) + sets(2, size=61), (60, 60, 61, 61), strict=True):
        assert len(own) == size
        assert np.isin(POINTS, own).sum() == 60


def test_a_set_is_its_challenges_and_its_numbers() -> None:
    """The same every time, and no two alike in their points or in the rest, but pairs' points."""
    one, again = sets(40), sets(40)
    for first, second in zip(one, again, strict=True):
        np.testing.assert_array_equal(first, second)
    everything = one + sets(40, name="d") + sets(40, name="c1")
    assert len({frozenset(own.tolist()) for own in everything}) == 120
    assert len({frozenset(np.intersect1d(own, POINTS).tolist()) for own in everything}) == 120
    assert len({frozenset(np.setdiff1d(own, POINTS).tolist()) for own in everything}) == 120


@pytest.mark.slow
def test_points_and_other_records_are_drawn_evenly_and_in_random_order() -> None:
    """Every point by half of the models, every other record by half; 60 points of 150 come first.

    Binomial tests, each of at most 1e-4 over their number: of 300 records, and of six places.
    """
    training_sets = np.stack(sets(2000))
    counts = np.bincount(training_sets.ravel(), minlength=300)
    # Of a pair of models, one has a point.
    assert (counts[POINTS] == 1000).all()
    of_one = np.bincount(training_sets[::2].ravel(), minlength=300)
    tests = [stats.binomtest(int(n), 1000, 60 / 120) for n in of_one[POINTS]]
    tests += [stats.binomtest(int(n), 2000, 90 / 180) for n in np.delete(counts, POINTS)]
    assert min(test.pvalue for test in tests) > 1e-4 / 300
    inside = np.isin(training_sets, POINTS)
    for place in 0, 1, 59, 60, 148, 149:
        assert stats.binomtest(int(inside[:, place].sum()), 2000, 60 / 150).pvalue > 1e-4 / 6
    # Nor are points in an order of their own.
    first = [own[np.isin(own, POINTS)][:2] for own in training_sets]
    ordered = sum(int(a < b) for a, b in first)
    assert stats.binomtest(ordered, 2000, 0.5).pvalue > 1e-4


# ---- Training.

SIZE, SHARED_POINTS = 200, np.sort(np.random.default_rng(7).permutation(200)[:50])
REAL = replace(OPTIONS, epochs=3, learning_rate=0.5)


@pytest.fixture(scope="module")
def records() -> Records:
    rng = np.random.default_rng(8)
    features = rng.integers(0, 2, (SIZE, 12), dtype=np.uint8)
    return Records(
        torch.from_numpy(NETWORK.encode(features)), torch.from_numpy(rng.integers(0, 4, SIZE))
    )


def shared(
    records: Records,
    numbers: range,
    options: TrainingOptions = REAL,
    architecture: MLP = NETWORK,
    name: str = "c",
) -> tuple[np.ndarray, np.ndarray]:
    return train_shared(architecture, records, name, SHARED_POINTS, 90, numbers, options)


@dataclass
class Spy:
    """Trains, and remembers what on."""

    sets: list[np.ndarray] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    def __call__(
        self, architecture: MLP, records: Records, sets: list, seeds: list, *rest: object, **more
    ) -> dict[str, torch.Tensor]:
        self.sets += sets
        self.seeds += seeds
        return TRAIN_REALLY(architecture, records, sets, seeds, *rest, **more)


TRAIN_REALLY = engine.train


@pytest.mark.parametrize(
    "options",
    [REAL, replace(REAL, clipping_norm=1.0, noise_multiplier=0.5)],
    ids=["plain", "private"],
)
def test_each_model_is_the_one_that_is_trained_alone(
    options: TrainingOptions, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit."""
    spy, numbers = Spy(), range(3, 14)
    monkeypatch.setattr(reference_training.engine, "train", spy)
    values, trained = shared(records, numbers, options)
    assert values.shape == (2, 11, 50)
    assert (values.dtype, trained.dtype, trained.shape) == (float, bool, (11, 50))
    at = records.take(SHARED_POINTS[None])
    assert len(set(spy.seeds)) == 11
    for row, number in enumerate(numbers):
        own = shared_training_set("c", number, SHARED_POINTS, SIZE, 90)
        np.testing.assert_array_equal(spy.sets[row], own)
        np.testing.assert_array_equal(trained[row], np.isin(SHARED_POINTS, own))
        alone = TRAIN_REALLY(NETWORK, records, [own], [spy.seeds[row]], options)
        expected = outputs.on_labels(NETWORK, alone, at)[:, 0]
        np.testing.assert_array_equal(values[:, row], expected)
    # And no two are alike.
    for one in range(11):
        for other in range(one):
            assert not np.allclose(values[:, one], values[:, other], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("numbers", [range(2, 4), range(7, 12), range(11, 12)])
def test_a_model_does_not_depend_on_which_others_are_trained(
    numbers: range, records: Records
) -> None:
    values, trained = shared(records, range(12))
    some, of_some = shared(records, numbers)
    own = slice(numbers.start, numbers.stop)
    np.testing.assert_array_equal(of_some, trained[own])
    np.testing.assert_array_equal(some, values[:, own])


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(reference_training.engine, "train", made.train)
    return made


def test_no_two_models_have_the_same_seed(engine: Engine, records: Records) -> None:
    """Nor one of a target's reference models."""
    for name in "c", "d", "c1":
        shared(records, range(20), OPTIONS, name=name)
    known = SHARED_POINTS[:10], SHARED_POINTS[10:]
    for name in "c/0", "c/1", "d/0":
        reference_training.train_known(NETWORK, records, name, *known, 20, OPTIONS)
    assert len(engine.seeds) == len(set(engine.seeds)) == 120
    assert all(0 <= seed < 2**63 for seed in engine.seeds)
    assert engine.groups == [1] * 60 + [8, 8, 4] * 3


class Large(MLP):
    """Of which one is computed at a time."""

    batched = False


def test_models_that_are_not_batched_are_trained_one_by_one(
    engine: Engine, records: Records
) -> None:
    known = SHARED_POINTS[:10], SHARED_POINTS[10:]
    (together, trained), (alone, of_alone) = (
        reference_training.train_known(network, records, "c/0", *known, 10, OPTIONS)
        for network in (NETWORK, Large(12, 4))
    )
    assert engine.groups == [8, 2] + [1] * 10
    assert engine.seeds[:10] == engine.seeds[10:]
    for one, other in zip(engine.sets[:10], engine.sets[10:], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(of_alone, trained)
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


def test_progress_is_from_nothing_to_all_models(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told after every step: 3 epochs of 9 steps, of each of 10 models."""
    told: list[float] = []

    class Meter:
        def __init__(self, what: str, total: float) -> None:
            assert (what, total) == ("reference models", 10)

        def update(self, done: float, detail: Callable[[float], str]) -> None:
            told.append(done)
            assert detail(1.0).endswith(" of 10")

        def finish(self, detail: str) -> None:
            assert detail == "10 of 10"

    monkeypatch.setattr(reference_training, "Meter", Meter)
    shared(records, range(4, 14))
    np.testing.assert_allclose(told, np.arange(1, 271) / 27, rtol=1e-9)


# ---- scripts/shared_references.py


def run_here(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    """In this process, which stays as it is."""
    monkeypatch.setattr(program, "choose", torch.device)
    monkeypatch.setattr(sys, "argv", ["shared_references.py", *map(str, arguments)])
    program.main()


@pytest.fixture(scope="module")
def made(challenges: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Models 0 to 9 of the plain challenge, and what was opened.

    All that the program is given is copied to a folder of its own.
    """
    challenge, folder = challenges["plain"], tmp_path_factory.mktemp("participant")
    shutil.copytree(challenge.directory, folder / "plain")
    shutil.copytree(challenge.data.directory, folder / "data")
    shutil.copy(challenge.organiser / "privacy.json", folder / "privacy.json")
    arguments = [*arguments_of(challenge), "--first", 0, "--last", 9]
    arguments += ["--challenge", folder / "plain", "--data", folder / "data"]
    arguments += ["--privacy", folder / "privacy.json", "--output", folder / "0-9.npz"]
    listen = LISTEN.replace("target_references.py", "shared_references.py")
    command = [sys.executable, "-c", listen, SCRIPTS, folder / "log", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("reference models: 10 of 10 in ")
    return folder / "0-9.npz", (folder / "log").read_text().splitlines()


def stored(path: Path) -> SharedReferences:
    """What the program wrote."""
    return arrays.read(path, SharedReferences, "shared reference models")


def check_models(path: Path, count: int, challenge: object) -> SharedReferences:
    """Shapes and what is true of any reference models."""
    found = stored(path)
    columns = len(np.unique(organisers(challenge)["challenge"]))
    assert found.loss.shape == found.margin.shape == found.trained.shape == (count, columns)
    assert (found.loss.dtype, found.margin.dtype, found.trained.dtype) == (float, float, bool)
    # log p_y = -log(1 + e^-margin)
    np.testing.assert_allclose(found.loss, -np.logaddexp(0, -found.margin), rtol=1e-9)
    assert (found.trained.sum(axis=1) == columns // 2).all()
    assert len(np.unique(found.margin, axis=0)) == count
    return found


@pytest.mark.slow
def test_the_program_trains_shared_reference_models(
    challenges: dict, made: tuple[Path, list[str]]
) -> None:
    found = check_models(made[0], 10, challenges["plain"])
    assert not (found.trained[::2] & found.trained[1::2]).any()
    # They were trained on what it says: by chance it would look so once in 4,000 times.
    own = [row[mask].mean() - row[~mask].mean() for row, mask in zip(*both(found), strict=True)]
    assert np.mean(own) > 3.5 * np.std(own) / math.sqrt(10)


def both(found: SharedReferences) -> tuple[np.ndarray, np.ndarray]:
    """Margins less a record's mean, which is lower for a difficult one, and masks."""
    return found.margin - found.margin.mean(axis=0), found.trained


@pytest.mark.slow
def test_columns_are_those_of_the_challenges_signals(
    challenges: dict, made: tuple[Path, list[str]], published_mlp: type[torch.nn.Module]
) -> None:
    """Which were computed from the released models; so an attack can have both."""
    challenge = challenges["plain"]
    data = store.read(challenge.data.directory)
    architecture = build("mlp", data.description, 32)
    records = load(architecture, data, torch.device("cpu"))
    signals = outputs.compute(challenge.directory, PHASES, architecture, records, 150, 10)
    found = shared_references.read(made[:1], signals, PHASES)
    joined = shared_references.add(signals, found, 10)
    assert joined.train_models == 3
    scores = run(("effect", {}), joined)
    assert scores.shape == (7, 20)
    assert np.isfinite(scores).all()
    # Records that are difficult for released models are so for these: other columns are not.
    means = signals.margin.mean(axis=0), found.margin.mean(axis=0)
    assert stats.pearsonr(*means).pvalue < 1e-6


@pytest.mark.slow
def test_the_program_reads_only_what_a_participant_has(
    challenges: dict, made: tuple[Path, list[str]]
) -> None:
    """Seeds, the data and the privacy, and no other file of these tests, nor a released model."""
    folder, root = made[0].parent, challenges["plain"].organiser.parents[2]
    assert root in folder.parents
    own = [path for path in map(Path, made[1]) if root in path.parents and path != folder]
    names = {path.relative_to(folder).parts[0] for path in own}
    assert {name for name in names if not name.startswith((".0-9.npz.", "log"))} == {
        *("plain", "data", "privacy.json")
    }
    assert folder / "plain/dev/model_3/seed_challenge" in own
    assert not [path for path in own if path.name == "model.pt"]


@pytest.mark.slow
def test_a_shard_depends_on_nothing_else(
    challenges: dict, made: tuple[Path, list[str]], run_script: Callable, tmp_path: Path
) -> None:
    """The same bytes from files at another place, and the same models from another shard."""
    arguments = arguments_of(challenges["plain"])
    shard = ["--first", 0, "--last", 9, "--output", tmp_path / "again.npz"]
    result = run_script("shared_references", *arguments, *shard)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "again.npz").read_bytes() == made[0].read_bytes()

    shard = ["--first", 3, "--last", 5, "--output", tmp_path / "3-5.npz"]
    assert run_script("shared_references", *arguments, *shard).returncode == 0
    found, expected = (
        stored(tmp_path / "3-5.npz"),
        stored(made[0]),
    )
    np.testing.assert_array_equal(found.trained, expected.trained[3:6])
    np.testing.assert_array_equal(found.margin, expected.margin[3:6])


def test_the_program_trains_with_the_noise_of_a_private_challenge(
    challenges: dict, run_script: Callable, tmp_path: Path
) -> None:
    """Other noise, other models, of the same training sets."""
    challenge, found = challenges["private"], []
    privacy = json.loads((challenge.organiser / "privacy.json").read_text())
    assert privacy["noise_multiplier"] == 0.7
    del privacy["sha256"]
    (tmp_path / "louder.json").write_text(json.dumps(privacy | {"noise_multiplier": 1.4}))
    for path in challenge.organiser / "privacy.json", tmp_path / "louder.json":
        shard = ["--first", 1, "--last", 2, "--output", tmp_path / "out.npz", "--privacy", path]
        result = run_script("shared_references", *arguments_of(challenge), *shard)
        assert result.returncode == 0, result.stderr
        found.append(check_models(tmp_path / "out.npz", 2, challenge))
    np.testing.assert_array_equal(found[0].trained, found[1].trained)
    assert (found[0].margin != found[1].margin).mean() > 0.99


@pytest.mark.parametrize("name", ["plain", "private"])
def test_what_the_program_asks_for(
    name: str, challenges: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    challenge, calls = challenges[name], []
    points = np.unique(organisers(challenge)["challenge"])

    def train(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        calls.append(arguments)
        values = np.arange(2 * 5 * len(points), dtype=float).reshape(2, 5, -1)
        return values, values[0] % 3 == 0

    monkeypatch.setattr(program.reference_training, "train_shared", train)
    output = tmp_path / "out.npz"
    run_here(monkeypatch, *arguments_of(challenge), "--first", 4, "--last", 8, "--output", output)
    [(architecture, records, named, given, size, numbers, options)] = calls
    assert (architecture, named, size, numbers) == (MLP(37, 4), name, 150, range(4, 9))
    np.testing.assert_array_equal(given, points)
    np.testing.assert_array_equal(records.labels, challenge.data.labels)
    own = {"clipping_norm": 2.6, "noise_multiplier": 0.7} if challenge.private else {}
    assert options == TrainingOptions(**TRAINING, **own)
    assert not options.secure
    found, (expected, trained) = stored(output), train()
    np.testing.assert_array_equal(found.loss, expected[0])
    np.testing.assert_array_equal(found.margin, expected[1])
    np.testing.assert_array_equal(found.trained, trained)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--first", 3, "--last", 2], "models 3 to 2: expected the first not after it"),
        (["--recipe", recipe(9, 10, **TRAINING)], "n = 9, m = 10"),
        (["--recipe", recipe(291, 10, **TRAINING)], "n = 291, m = 10"),
        (["--phases", 1, 2, 2], "expected at least 2 train"),
        (["--phases", 3, 2, 3], "seed_challenge"),
        (["--challenge", "absent"], "absent/train/model_0/seed_challenge"),
    ],
)
def test_bad_arguments_are_told(
    changes: list[object],
    message: str,
    challenges: dict,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The last of equal arguments counts."""
    arguments = [*arguments_of(challenges["plain"]), "--first", 0, "--last", 1]
    with pytest.raises(InputError) as caught:
        run_here(monkeypatch, *arguments, "--output", tmp_path / "out.npz", *changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_program_says_it_in_one_line(
    challenges: dict, run_script: Callable, tmp_path: Path
) -> None:
    arguments = [*arguments_of(challenges["plain"]), "--first", 3, "--last", 2]
    result = run_script("shared_references", *arguments, "--output", tmp_path / "out.npz")
    assert result.returncode == 1
    assert result.stderr == "error: models 3 to 2: expected the first not after it\n"
    assert not list(tmp_path.iterdir())


# ---- Files.


def some(seed: int, count: int, records: int) -> SharedReferences:
    rng = np.random.default_rng(seed)
    margin = rng.normal(2, 2, (count, records))
    return SharedReferences(-np.logaddexp(0, -margin), margin, rng.random(margin.shape) < 0.5)


def signals_of(records: int) -> Signals:
    """Of so many records, and of seven models, four of them train models."""
    values = np.ones((7, records))
    return Signals(values, values, values[:4] > 0, np.ones((7, 2), int))


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    """In the order in which they are named."""
    whole, paths, signals = some(10, 6, 9), [], signals_of(9)
    for part in ([0, 1], [2, 3, 4], [5]):
        paths.append(tmp_path / f"{part[0]}.npz")
        arrays.write(paths[-1], SharedReferences(*(value[part] for value in vars(whole).values())))
    for order, expected in (
        ((0, 1, 2), [0, 1, 2, 3, 4, 5]),
        ((1,), [2, 3, 4]),
        ((2, 0), [5, 0, 1]),
    ):
        read = shared_references.read([paths[i] for i in order], signals, PHASES)
        for name, value in vars(whole).items():
            found = getattr(read, name)
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value[expected])


def test_shards_of_other_records_are_refused(tmp_path: Path) -> None:
    arrays.write(tmp_path / "a.npz", some(11, 2, 9))
    arrays.write(tmp_path / "b.npz", some(12, 2, 8))
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    with pytest.raises(InputError, match=r"b\.npz: loss of shape \(2, 8\), .*a\.npz of \(2, 9\)$"):
        shared_references.read(paths, signals_of(9), PHASES)
    with pytest.raises(InputError, match=r"a\.npz: of 9 records, signals of 8$"):
        shared_references.read(paths[:1], signals_of(8), PHASES)


def whole_file(folder: Path) -> Path:
    arrays.write(folder / "whole.npz", some(13, 2, 9))
    return folder / "whole.npz"


def wrong_file(kind: str, folder: Path) -> Path:
    """No file, or of any kind that cannot be read."""
    path, whole = folder / f"{kind}.npz", whole_file(folder)
    margin = np.ones((4, 9))
    if kind == "empty":
        path.touch()
    elif kind == "cut":
        path.write_bytes(whole.read_bytes()[:-100])
    elif kind == "directory":
        path.mkdir()
    elif kind == "text":
        path.write_text("loss\n")
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, margin)
    elif kind == "object":
        np.savez(path, **vars(some(13, 2, 9)) | {"loss": np.array([{}], object)})
    elif kind == "signals":
        arrays.write(path, Signals(margin, margin, margin[:3] > 0, np.ones((4, 2), int)))
    elif kind == "references":
        cube = np.ones((3, 4, 9))
        own = TargetReferences(np.arange(3), cube, cube, cube > 0, cube[:, 0], cube[:, 0])
        arrays.write(path, own)
    return path


@pytest.mark.parametrize(
    "kind",
    ["absent", "empty", "cut", "directory", "text", "array", "object", "signals", "references"],
)
def test_a_file_of_something_else_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = wrong_file(kind, tmp_path)
    for given in ([path], [whole_file(tmp_path), path]):
        with pytest.raises(InputError) as caught:
            shared_references.read(given, signals_of(9), PHASES)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_first_are_added_after_all_models(all_train: Signals) -> None:
    given = without(all_train)
    extra = some(14, 5, 400)
    for count in 1, 3, 5:
        joined = shared_references.add(given, extra, count)
        assert joined.train_models == 30
        np.testing.assert_array_equal(joined.challenge, given.challenge)
        for name in "loss", "margin", "trained":
            before, found = getattr(given, name), getattr(joined, name)
            assert found.dtype == before.dtype
            assert len(found) == len(before) + count
            np.testing.assert_array_equal(found[: len(before)], before)
            np.testing.assert_array_equal(found[len(before) :], getattr(extra, name)[:count])
    assert len(given.loss) == 50


def test_more_than_there_are_is_refused(all_train: Signals) -> None:
    extra = some(15, 5, 400)
    with pytest.raises(InputError, match=r"^shared_references 6: there are 5 of them$"):
        shared_references.add(all_train, extra, 6)


# ---- scripts/attack.py


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of signals, white-box features and three shards of shared reference models."""
    folder = tmp_path_factory.mktemp("attack")
    simulated = simulated_models.simulate(16, effect=1.0, informative=1.0)
    arrays.write(folder / "signals.npz", simulated.signals)
    arrays.write(folder / "whitebox.npz", simulated.whitebox)
    for shard in range(3):
        extra = some(20 + shard, 2, simulated_models.RECORDS)
        arrays.write(folder / f"shared-{shard}.npz", extra)
    return folder


def attack_arguments(folder: Path, setting: Setting, count: int) -> list[object]:
    """All but the shared reference models."""
    name, values = setting
    options = json.dumps(values | {"shared_references": count})
    return [
        *("--attack", name, "--options", options, "--phases", simulated_models.TRAIN, 5, 3),
        *("--output", folder / "out", "--input", "signals", folder / "signals.npz"),
        *(("--input", "whitebox", folder / "whitebox.npz") if name == "stacked" else ()),
    ]


SHARDS = [f"shared-{shard}.npz" for shard in range(3)]


@pytest.mark.parametrize(
    ("setting", "count"),
    [
        (("effect", {"signal": "margin"}), 5),
        (("rmia", {}), 6),
        (("stacked", {"white_box": True}), 3),
    ],
    ids=describe,
)
def test_the_attack_program_adds_the_first_shared_reference_models(
    setting: Setting, count: int, files: Path, call: Callable
) -> None:
    """Of several shards, in all but the last."""
    shards = ["--input", "shared_references", *(files / shard for shard in SHARDS)]
    call("attack", *attack_arguments(files, setting, count), *shards)
    found = prediction_files.read(
        files / "out", Phases(simulated_models.TRAIN, 5, 3), simulated_models.POINTS
    )
    shutil.rmtree(files / "out")

    parts = [some(20 + shard, 2, simulated_models.RECORDS) for shard in range(3)]
    simulated = simulated_models.simulate(16, effect=1.0, informative=1.0)
    before = simulated.signals
    joined = Signals(
        np.concatenate([before.loss, *(part.loss for part in parts)])[: 30 + count],
        np.concatenate([before.margin, *(part.margin for part in parts)])[: 30 + count],
        np.concatenate([before.trained, *(part.trained for part in parts)])[: 22 + count],
        before.challenge,
    )
    name, values = setting
    more = {"whitebox": simulated.whitebox} if name == "stacked" else {}
    options = registry.options(name, values)
    scores = registry.load(name).scores(joined, **more, options=options)
    np.testing.assert_array_equal(found, prediction_files.to_predictions(scores))
    without_them = registry.load(name).scores(before, **more, options=options)
    assert (prediction_files.to_predictions(without_them) != found).any(axis=1).all()


def test_the_attack_program_says_what_is_wrong(files: Path, call: Callable) -> None:
    for shards, count, message in (
        (SHARDS, 7, "shared_references 7: there are 6 of them"),
        (SHARDS[:1], 3, "shared_references 3: there are 2 of them"),
        (SHARDS, 1, "shared_references 1: expected an integer of at least 2"),
        (SHARDS, None, "shared_references None: expected an integer of at least 2"),
        (["absent.npz"], 2, "absent.npz: not a file of shared ref"),
        (["whitebox.npz"], 2, "whitebox.npz: not a file of shared ref"),
    ):
        paths = ["--input", "shared_references", *(files / shard for shard in shards)]
        with pytest.raises(InputError, match=re.escape(message)) as caught:
            call("attack", *attack_arguments(files, ("effect", {}), count), *paths)
        assert "\n" not in str(caught.value)
        assert not (files / "out").exists()
    with pytest.raises(InputError, match=r"^attack effect: expected --input shared_references$"):
        call("attack", *attack_arguments(files, ("effect", {}), 2))


def test_no_option_of_the_attacks_own_is_needed_for_them() -> None:
    """They are an input beside the attack's own, and no value of its options."""
    assert registry.inputs("stacked", {"shared_references": 3}) == [
        *("signals", "whitebox", "shared_references")
    ]
    assert registry.options("stacked", {"shared_references": 3}) == registry.options("stacked", {})
