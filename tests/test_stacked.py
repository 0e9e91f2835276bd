"""The classifier over other attacks' scores: what it uses, what it gains, and whom it learns from.

On simulated signals with fixed seeds; under a fresh seed a right program would fail a statistical
test with a chance of at most 1e-4.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from simulated_models import (
    CLASSES,
    FORMULAS,
    OTHERS,
    POINTS,
    RECORDS,
    TRAIN,
    WITH,
    WITHOUT,
    Fits,
    Simulated,
    as_set,
    simulate,
)

from mico.attacks import registry
from mico.attacks.formulas import stacked
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import arrays
from mico.support.errors import InputError


@pytest.fixture(scope="module")
def single() -> Callable[[Simulated, slice], dict[str, float]]:
    """The TPRs of the formulas that the classifier is given."""

    def tprs(simulated: Simulated, models: slice) -> dict[str, float]:
        return {
            name: simulated.tpr(
                registry.load(attack).scores(
                    simulated.signals, options=registry.options(attack, values)
                ),
                models,
            )
            for name, (attack, values) in FORMULAS.items()
        }

    return tprs


# ---- What it gains.

PARTS = pytest.mark.parametrize("part", ["train", "targets"])
# Of 2,000 members and as many others, s.e. .015 at most.
LARGE = {"train": 100, "others": 100}


def models_of(part: str) -> slice:
    return slice(0, 100) if part == "train" else slice(100, None)


@pytest.mark.slow
@PARTS
@pytest.mark.parametrize(("effect", "informative"), [(1.0, 1.5), (0.3, 1.5), (2.0, 1.0)])
def test_an_informative_white_box_feature_is_used(
    single: Callable, part: str, effect: float, informative: float
) -> None:
    """As well as can be: the sum of two independent Gaussians' log ratios, less .06 for estimates.

    Without it, the classifier is as good as the best of what it stands on.
    """
    models = models_of(part)
    simulated = simulate(1, effect=effect, informative=informative, **LARGE)
    best = max(single(simulated, models).values())
    found = {
        options.white_box: simulated.tpr(simulated.scores(options), models)
        for options in (WITH, WITHOUT)
    }
    known = norm.cdf(math.hypot(effect, informative) - norm.isf(0.1))
    assert found[True] == pytest.approx(known, abs=0.06)
    assert found[True] > best + 0.05
    assert found[False] == pytest.approx(best, abs=0.045)


@pytest.mark.slow
@PARTS
def test_a_feature_of_noise_costs_nothing(single: Callable, part: str) -> None:
    simulated, models = simulate(2, effect=1.0, **LARGE), models_of(part)
    best = max(single(simulated, models).values())
    assert simulated.tpr(simulated.scores(WITH), models) > best - 0.045


def test_without_white_box_features_they_change_nothing() -> None:
    simulated = simulate(3, effect=1.0, informative=2.0)
    features = np.random.default_rng(3).normal(size=simulated.whitebox.features.shape)
    changed = replace(simulated, whitebox=replace(simulated.whitebox, features=features))
    np.testing.assert_array_equal(changed.scores(WITHOUT), simulated.scores(WITHOUT))
    assert (changed.scores(WITH) != simulated.scores(WITH)).any()


@pytest.mark.slow
@pytest.mark.parametrize("options", [WITH, WITHOUT], ids=["white-box", "outputs"])
def test_where_nobody_can_know_train_and_targets_are_at_chance(options: stacked.Options) -> None:
    """Ten challenges of 20 train models and as many targets: 4,000 members and others each.

    A TPR of .1 has a standard error of sqrt(2 * .1 * .9 / 4000) = .0067; on train models, which are
    compared with each other, .0077 was measured. What leaks memberships, .1 more than chance or
    less, is far outside of 4.5 of the former.
    """
    tprs = []
    for seed in range(10):
        simulated = simulate(100 + seed, train=20, others=20)
        scores = simulated.scores(options)
        tprs.append([simulated.tpr(scores, slice(0, 20)), simulated.tpr(scores, slice(20, None))])
    for found in np.mean(tprs, axis=0):
        assert found == pytest.approx(0.1, abs=4.5 * 0.0067)


# ---- Whom it learns from.


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    made = Fits()
    monkeypatch.setattr(stacked, "_fit", made)
    return made


@pytest.mark.parametrize("train", [2, 4, 5, TRAIN])
def test_a_train_model_is_scored_by_a_fit_without_it(fits: Fits, train: int) -> None:
    """Targets by one to all train models; a train model's fit has at least four in five others."""
    simulated = simulate(4, effect=1.0, train=train)
    scores = simulated.scores(WITH)
    rows = fits.rows_of_models(scores)
    assert sum(map(len, fits.asked)) == train + OTHERS  # everybody once
    for model, own in enumerate(rows):
        learned, labels = fits.learned[int(scores[model, 0] // 1000)]
        np.testing.assert_array_equal(scores[model], scores[model, 0] + np.arange(POINTS))
        taught_by = [i for i in range(train) if as_set(rows[i]) <= as_set(learned)]
        assert len(learned) == len(as_set(learned)) == POINTS * len(taught_by)
        expected = [simulated.membership[i] for i in taught_by]
        order = [row.tobytes() for i in taught_by for row in rows[i]]
        truth = dict(zip(order, np.concatenate(expected), strict=True))
        assert [truth[row.tobytes()] for row in learned] == labels.tolist()
        if model >= train:
            assert taught_by == list(range(train))
        else:
            assert model not in taught_by
            assert not as_set(own) & as_set(learned)
            assert len(taught_by) >= train - -(-train // 5)


def test_a_train_models_own_memberships_do_not_change_its_scores() -> None:
    """At a record that it alone is asked about; those of other folds learn from it."""
    simulated = simulate(5, effect=1.0)
    signals = replace(simulated.signals, challenge=simulated.signals.challenge.copy())
    place, another = signals.challenge[0, :2]
    signals.challenge[1:][signals.challenge[1:] == place] = another
    flipped = replace(signals, trained=signals.trained.copy())
    flipped.trained[0, place] ^= True
    before, after = (stacked.scores(one, simulated.whitebox, WITH) for one in (signals, flipped))
    for model in range(TRAIN + OTHERS):
        same_fold = model < TRAIN and model % stacked.FOLDS == 0
        assert (after[model] == before[model]).all() == same_fold


# ---- What it is given.


def naive_standardised(values: np.ndarray, model: int, record: int, shadows: int) -> float:
    others = [values[other, record] for other in range(shadows) if other != model]
    return float(np.clip((values[model, record] - np.mean(others)) / np.std(others), -50, 50))


@pytest.mark.slow
def test_features_are_formulas_class_means_and_the_white_box(fits: Fits) -> None:
    """Column by column; a class's mean leaves out all that is asked of the model."""
    simulated = simulate(6, effect=1.0)
    signals, box = simulated.signals, simulated.whitebox
    found = np.stack(fits.rows_of_models(simulated.scores(WITH)))
    assert found.shape == (TRAIN + OTHERS, POINTS, 9)
    for column, (attack, values) in enumerate(FORMULAS.values()):
        expected = registry.load(attack).scores(signals, registry.options(attack, values))
        np.testing.assert_allclose(found[..., column], expected.clip(-50, 50), rtol=1e-9)
    for model, columns in enumerate(signals.challenge):
        own = set(columns.tolist())
        for point, record in enumerate(columns):
            others = [
                naive_standardised(signals.loss, model, other, TRAIN)
                for other in range(RECORDS)
                if box.classes[other] == box.classes[record] and other not in own
            ]
            assert found[model, point, 6] == pytest.approx(np.mean(others), rel=1e-9, abs=1e-9)
            for column in (0, 1):
                expected = naive_standardised(box.features[..., column], model, record, TRAIN)
                # The features are in single precision, and far from 0.
                assert found[model, point, 7 + column] == pytest.approx(expected, abs=1e-3)


def test_features_may_be_known_of_some_shadow_models_only(fits: Fits) -> None:
    """Of the first five at all records, of all others at their own points; loss as before."""
    simulated = simulate(6, effect=1.0)
    signals, features = simulated.signals, simulated.whitebox.features.copy()
    for model in range(5, TRAIN + OTHERS):
        features[model, np.setdiff1d(np.arange(RECORDS), signals.challenge[model])] = np.nan
    box = replace(simulated.whitebox, features=features)
    scores = stacked.scores(signals, box, WITH)
    assert np.isfinite(scores).all()
    found = np.stack(fits.rows_of_models(scores))
    whole = np.stack(fits.rows_of_models(simulated.scores(WITH)))
    np.testing.assert_array_equal(found[..., :7], whole[..., :7])
    for model, columns in enumerate(signals.challenge):
        for point, record in enumerate(columns):
            expected = naive_standardised(features[..., 1], model, record, 5)
            assert found[model, point, 8] == pytest.approx(expected, abs=1e-3)


def test_a_class_without_other_records_has_a_mean_of_0(fits: Fits) -> None:
    simulated = simulate(7)
    classes = simulated.whitebox.classes.copy()
    classes[simulated.signals.challenge[0, 0]] = CLASSES
    whitebox = replace(simulated.whitebox, classes=classes)
    found = fits.rows_of_models(stacked.scores(simulated.signals, whitebox, WITHOUT))
    assert found[0][0, 6] == 0
    assert np.count_nonzero(found[0][:, 6]) == POINTS - 1


# ---- Numbers, whatever it is given.


def _ragged(given: Simulated, rng: np.random.Generator) -> Simulated:
    """Records with no, one, all and all but one IN models, all of them challenge points."""
    signals = replace(given.signals, challenge=given.signals.challenge.copy())
    trained = signals.trained
    for row in signals.challenge:
        rest = row[row >= 4]
        row[:] = rng.permutation([*range(4), *rest[: POINTS - 4]])
    trained[:, 0], trained[:, 2] = False, True
    trained[:, 1] = np.arange(len(trained)) == 1
    trained[:, 3] = ~trained[:, 1]
    return replace(given, signals=signals)


def _extreme(given: Simulated, rng: np.random.Generator) -> Simulated:
    certain = rng.random(given.signals.loss.shape) < 0.5
    loss, margin = np.where(certain, 0, -1e3), np.where(certain, 1e3, -1e3)
    return replace(given, signals=replace(given.signals, loss=loss, margin=margin))


def _constant(given: Simulated, rng: np.random.Generator) -> Simulated:
    loss = np.full_like(given.signals.loss, -0.7)
    features = np.ones_like(given.whitebox.features)
    return replace(
        given,
        signals=replace(given.signals, loss=loss, margin=np.zeros_like(loss)),
        whitebox=replace(given.whitebox, features=features),
    )


def _some_constant(given: Simulated, rng: np.random.Generator) -> Simulated:
    features = given.whitebox.features.copy()
    features[:, ::2] = -69.0
    return replace(given, whitebox=replace(given.whitebox, features=features))


def _huge(given: Simulated, rng: np.random.Generator) -> Simulated:
    features = given.whitebox.features * 1e30
    return replace(given, whitebox=replace(given.whitebox, features=features))


def _agreeing_shadows(given: Simulated, rng: np.random.Generator) -> Simulated:
    """Shadow models are all alike; targets are far from them."""
    margin = given.signals.margin.copy()
    margin[: given.shadows] = 0
    margin[given.shadows :] *= 30
    signals = replace(given.signals, margin=margin, loss=-np.logaddexp(0, -margin))
    return replace(given, signals=signals)


@pytest.mark.parametrize("train", [2, 3, pytest.param(TRAIN, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "change", [_ragged, _extreme, _constant, _some_constant, _huge, _agreeing_shadows]
)
def test_scores_are_finite(change: Callable, train: int) -> None:
    given = change(simulate(8, effect=1.0, train=train), np.random.default_rng(8))
    for options in (WITH, WITHOUT):
        scores = given.scores(options)
        assert scores.shape == given.signals.challenge.shape
        assert np.isfinite(scores).all()


# ---- Options and the program.


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"white_box": 1}, "white_box 1: expected true or false"),
        ({"white_box": "true"}, "white_box 'true'"),
        ({"white_box": None}, "white_box None"),
        ({"signal": "loss"}, "signal"),
    ],
)
def test_bad_options_are_named(values: dict, named: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.options("stacked", values)
    assert named in str(caught.value)


def test_the_program_reads_white_box_features(call: Callable, tmp_path: Path) -> None:
    simulated = simulate(9, effect=1.0, informative=1.0)
    arrays.write(tmp_path / "signals.npz", simulated.signals)
    arrays.write(tmp_path / "whitebox.npz", simulated.whitebox)
    arguments = ["--attack", "stacked", "--phases", TRAIN, 5, 3]
    arguments += ["--input", "signals", tmp_path / "signals.npz", "--output", tmp_path / "out"]
    with pytest.raises(InputError, match=r"^attack stacked: expected --input whitebox$"):
        call("attack", *arguments)

    call("attack", *arguments, "--input", "whitebox", tmp_path / "whitebox.npz")
    found = prediction_files.read(tmp_path / "out", Phases(TRAIN, 5, 3), POINTS)
    expected = prediction_files.to_predictions(simulated.scores(WITH))
    np.testing.assert_array_equal(found, expected)
