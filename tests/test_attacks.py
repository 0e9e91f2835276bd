"""Every attack is its published formula, leaves the target out of its own statistics, and always
gives numbers.

The references are loops over single points with `scipy.stats`, written from the papers. Shadow
models are the train models but the target itself; IN ones trained on the point, OUT ones did not.
A side of a point with no shadow model takes the other side's mean, and a side with fewer than two
the variance pooled within the points of the target.
"""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from each import each
from scipy.stats import norm, spearmanr
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from mico.attacks import formulas, registry
from mico.attacks import given as kinds
from mico.attacks.given.shared_references import SharedReferences, add
from mico.attacks.given.signals import Signals
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.given.whitebox import WhiteBox
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import arrays
from mico.support.errors import InputError
from mico.support.source_hash import source_hash

PROGRAM = Path(__file__).parents[1] / "scripts" / "attack.py"
TRAIN, OTHERS, POINTS, RECORDS = 7, 5, 12, 60
NAMES = ("loss", "conf", "margin")
Setting = tuple[str, dict]

THRESHOLD = [("threshold", {"signal": name}) for name in NAMES]
SCALED = [("threshold", {"signal": name, "scaled": True}) for name in NAMES]
CENTRED = [
    ("centred", {"centre": centre, "signal": name})
    for centre, name in itertools.product(("mid", "in", "standardised"), NAMES)
]
LIRA = [
    ("lira", {"variant": variant, "signal": name})
    for variant, name in itertools.product(
        ("online", "offline", "offline-global-variance", "fixed-variance"), NAMES
    )
]
RMIA = [("rmia", {"variant": "online", "gamma": gamma}) for gamma in (1, 1.3, 2)] + [
    ("rmia", {"variant": "offline", "gamma": gamma, "a": a})
    for gamma, a in itertools.product((1, 1.3, 2), (0, 0.3, 1))
]
BASE = [("base", {"variant": "base1"}), ("base", {"variant": "base3"})] + [
    ("base", {"variant": "base3", "signal": name}) for name in ("loss", "conf")
]
BAVARIA = [
    ("bavaria", {"variant": variant, "signal": name, "strength": strength})
    for variant, name, strength in itertools.product("nt", NAMES, (2, 7.5))
]
BAVARIA += [("bavaria", {**values, "prior": "total"}) for _, values in BAVARIA[2::4]]
EFFECT = [("effect", {"signal": name}) for name in NAMES]
WITH_DEVIATIONS = LIRA + BASE + BAVARIA + EFFECT
SETTINGS = THRESHOLD + SCALED + CENTRED + RMIA + WITH_DEVIATIONS


def run(setting: Setting, given: Signals) -> np.ndarray:
    name, values = setting
    scores = registry.load(name).scores(given, registry.options(name, values))
    assert scores.shape == given.challenge.shape
    assert scores.dtype == np.float64
    return scores


def make_signals(seed: int, train: int = TRAIN, digits: int | None = None) -> Signals:
    """Outputs of random four-class models that fit what they trained on a little better.

    The first four records have 0, 1, all and all but one IN shadow models, and are challenge
    points of the first and the last model.

    Args:
        digits: round the signals, so that shadow models often agree to the last bit.
    """
    rng = np.random.default_rng(seed)
    models = train + OTHERS
    challenge = np.stack([rng.permutation(RECORDS)[:POINTS] for _ in range(models)])
    for row in (challenge[0], challenge[-1]):
        rest = row[row >= 4]
        row[:] = rng.permutation([*range(4), *rest[: POINTS - 4]])
    trained = rng.random((models, RECORDS)) < 0.6
    trained[:, 0], trained[:, 2] = False, True
    trained[:, 1], trained[:, 3] = np.arange(models) == 1, np.arange(models) != 1

    logits = rng.normal(0, 1, (models, RECORDS, 4)) + rng.normal(0, 2, (RECORDS, 4))
    logits[:, :, 0] += 1.5 * trained  # class 0 is the label
    others = np.log(np.exp(logits[:, :, 1:]).sum(axis=2))
    margin = logits[:, :, 0] - others
    loss = -np.log1p(np.exp(-margin))
    if digits is not None:
        margin, loss = margin.round(digits), loss.round(digits)

    used, columns = np.unique(challenge, return_inverse=True)
    columns = columns.reshape(challenge.shape)
    return Signals(loss[:, used], margin[:, used], trained[:train, used], columns)


def value(given: Signals, name: str, model: int, record: int) -> float:
    if name == "conf":
        return float(np.exp(given.loss[model, record]))
    return float(getattr(given, name)[model, record])


def sides(given: Signals, name: str, target: int, record: int) -> tuple[list, list]:
    """The signal at a record under the IN and under the OUT shadow models of a target."""
    inside, outside = [], []
    for shadow in range(len(given.trained)):
        if shadow != target:
            side = inside if given.trained[shadow, record] else outside
            side.append(value(given, name, shadow, record))
    return inside, outside


def naive_threshold(
    given: Signals, target: int, record: int, signal: str, scaled: bool = False
) -> float:
    own = value(given, signal, target, record)
    if not scaled:
        return own
    of_all = [value(given, signal, target, point) for point in given.challenge[target]]
    return (own - min(of_all)) / (max(of_all) - min(of_all))


def naive_centred(given: Signals, target: int, record: int, centre: str, signal: str) -> float:
    inside, outside = sides(given, signal, target, record)
    own = value(given, signal, target, record)
    if centre == "in":
        return own - fmean(inside or outside)
    if centre == "mid":
        return own - (fmean(inside or outside) + fmean(outside or inside)) / 2
    return (own - fmean(inside + outside)) / np.std(inside + outside)


def naive_lira(given: Signals, target: int, record: int, variant: str, signal: str) -> float:
    own = value(given, signal, target, record)
    both = sides(given, signal, target, record)
    means = fmean(both[0] or both[1]), fmean(both[1] or both[0])
    deviations = []
    for number, side in enumerate(both):
        squares = freedom = 0
        for point in given.challenge[target]:
            values = sides(given, signal, target, point)[number]
            squares += sum((one - fmean(values)) ** 2 for one in values)
            freedom += max(len(values) - 1, 0)
        pooled = squares / freedom
        if variant == "fixed-variance" or len(side) < 2:
            deviations.append(pooled**0.5)
        else:  # shadow models that agree by chance leave a millionth of the pooled variance
            deviations.append(max(np.var(side), 1e-6 * pooled) ** 0.5)
    if variant == "offline-global-variance":
        of_all = [
            one for p in given.challenge[target] for one in sides(given, signal, target, p)[1]
        ]
        return -norm.logsf(own, means[1], np.std(of_all))
    if variant == "offline":
        return -norm.logsf(own, means[1], deviations[1])
    return norm.logpdf(own, means[0], deviations[0]) - norm.logpdf(own, means[1], deviations[1])


def naive_rmia(
    given: Signals, target: int, record: int, variant: str, gamma: float, a: float = 0.3
) -> float:
    def ratio(point: int) -> float:
        inside, outside = sides(given, "conf", target, point)
        if variant == "online":
            reference = (fmean(inside or outside) + fmean(outside or inside)) / 2
        else:
            reference = ((1 + a) * fmean(outside or inside) + (1 - a)) / 2
        return value(given, "conf", target, point) / reference

    population = set(range(given.loss.shape[1])) - set(given.challenge[target].tolist())
    own = ratio(record)
    return fmean([own / ratio(point) > gamma for point in sorted(population)])


def naive_base(
    given: Signals, target: int, record: int, variant: str, signal: str = "margin"
) -> float:
    if variant == "base1":
        inside, outside = sides(given, "conf", target, record)
        return np.log(value(given, "conf", target, record) / fmean(inside + outside))
    inside, outside = sides(given, signal, target, record)
    means = fmean(inside or outside), fmean(outside or inside)
    slope = (means[0] - means[1]) / naive_point_variance(given, target, record, signal)
    return slope * (value(given, signal, target, record) - sum(means) / 2)


def naive_point_variance(given: Signals, target: int, record: int, signal: str) -> float:
    """All shadow models about the mean of their side, at least a millionth of what is usual."""
    variances = {}
    for point in {record, *given.challenge[target].tolist()}:
        both = sides(given, signal, target, point)
        squares = [(one - fmean(side)) ** 2 for side in both for one in side]
        variances[point] = fmean(squares)
    usual = fmean([variances[point] for point in given.challenge[target]])
    return max(variances[record], 1e-6 * usual)


def naive_effect(given: Signals, target: int, record: int, signal: str) -> float:
    """The ratio of two densities whose means are the shrunk effect apart."""

    def one_effect(point: int) -> float:
        inside, outside = sides(given, signal, target, point)
        deviation = naive_point_variance(given, target, point, signal) ** 0.5
        return (fmean(inside) - fmean(outside)) / deviation

    counts = {p: [*map(len, sides(given, signal, target, p))] for p in given.challenge[target]}
    known = [point for point in given.challenge[target] if min(counts[point]) > 0]
    effects = [one_effect(point) for point in known]
    errors = [1 / counts[point][0] + 1 / counts[point][1] for point in known]
    effect, spread = fmean(effects), np.var(effects) - fmean(errors)
    if record in known and spread > 0:
        reliability = spread / (spread + errors[known.index(record)])
        effect = reliability * effects[known.index(record)] + (1 - reliability) * effect

    inside, outside = sides(given, signal, target, record)
    share_in = len(inside) / len(inside + outside)
    deviation = naive_point_variance(given, target, record, signal) ** 0.5
    mean_out = fmean(inside + outside) - share_in * effect * deviation
    mean_in = mean_out + effect * deviation
    own = value(given, signal, target, record)
    return norm.logpdf(own, mean_in, deviation) - norm.logpdf(own, mean_out, deviation)


def naive_bavaria(
    given: Signals,
    target: int,
    record: int,
    variant: str,
    signal: str,
    strength: float,
    prior: str = "within",
) -> float:
    """The prior updated by one shadow model after another (Murphy 2007, section 3)."""
    own = value(given, signal, target, record)
    both = sides(given, signal, target, record)
    densities = []
    for side, (centre, kappa, alpha, beta) in enumerate(
        naive_priors(given, target, signal, strength, prior)
    ):
        for one in both[side]:
            beta += kappa * (one - centre) ** 2 / (2 * (kappa + 1))
            centre = (kappa * centre + one) / (kappa + 1)
            kappa, alpha = kappa + 1, alpha + 0.5
        if variant == "t":
            scale = (beta * (kappa + 1) / (alpha * kappa)) ** 0.5
            densities.append(student.logpdf(own, 2 * alpha, centre, scale))
        else:
            mean = fmean(both[side] or both[1 - side])
            densities.append(norm.logpdf(own, mean, (beta / (alpha - 1)) ** 0.5))
    return densities[0] - densities[1]


def naive_priors(
    given: Signals, target: int, signal: str, strength: float, prior: str
) -> list[tuple[float, float, float, float]]:
    """Centre, kappa, alpha and beta of the IN and of the OUT side."""
    priors = []
    for side in (0, 1):
        points = [sides(given, signal, target, r)[side] for r in given.challenge[target]]
        everything = [one for values in points for one in values]
        squares = sum((one - fmean(values)) ** 2 for values in points for one in values)
        variance = squares / sum(max(len(values) - 1, 0) for values in points)
        if prior == "total":
            variance = np.var(everything)
        kappa = min(variance / np.var(everything), 1)
        priors.append((fmean(everything), kappa, 1 + strength / 2, variance * strength / 2))
    return priors


NAIVE = {
    "threshold": naive_threshold,
    "centred": naive_centred,
    "lira": naive_lira,
    "rmia": naive_rmia,
    "base": naive_base,
    "bavaria": naive_bavaria,
    "effect": naive_effect,
}


def naive(setting: Setting, given: Signals, targets: Iterable[int]) -> np.ndarray:
    attack, values = setting
    return np.array(
        [
            [NAIVE[attack](given, target, record, **values) for record in given.challenge[target]]
            for target in targets
        ]
    )


def outsider(given: Signals, model: int) -> Signals:
    """A train model moved behind all others: a target of the remaining shadow models."""
    order = [*(i for i in range(len(given.loss)) if i != model), model]
    trained = np.delete(given.trained, model, axis=0)
    return Signals(given.loss[order], given.margin[order], trained, given.challenge[order])


# ---- The formulas. Relative or absolute 1e-9: float64 with sums of at most a few hundred terms.


# A train model and one of the others; or all, which takes longer.
of_some_or_all_targets = pytest.mark.parametrize(
    "targets",
    [
        pytest.param([TRAIN - 1, TRAIN + OTHERS - 1], id="some"),
        pytest.param(list(range(TRAIN + OTHERS)), id="all", marks=pytest.mark.slow),
    ],
)


@of_some_or_all_targets
@each(setting=SETTINGS, seed=[1, 2])
def test_scores_are_those_of_a_loop_over_points(
    setting: Setting, seed: int, targets: list[int]
) -> None:
    given = make_signals(seed)
    expected = naive(setting, given, targets)
    np.testing.assert_allclose(run(setting, given)[targets], expected, rtol=1e-9, atol=1e-9)


@of_some_or_all_targets
@each(setting=CENTRED[:6] + WITH_DEVIATIONS)
def test_scores_are_those_of_a_loop_where_shadow_models_agree(
    setting: Setting, targets: list[int]
) -> None:
    given = make_signals(3, digits=1)
    expected = naive(setting, given, targets)
    np.testing.assert_allclose(run(setting, given)[targets], expected, rtol=1e-9, atol=1e-9)


def test_the_made_signals_have_ragged_counts() -> None:
    given = make_signals(1)
    for target in (0, TRAIN + OTHERS - 1):
        counts = {
            tuple(map(len, sides(given, "loss", target, record)))
            for record in given.challenge[target]
        }
        assert {0, 1} <= {inside for inside, _ in counts}
        assert {0, 1} <= {outside for _, outside in counts}
    # and shadow models of one side that agree to the last bit, with rounding
    both = [sides(make_signals(3, digits=1), "loss", TRAIN, r) for r in range(RECORDS // 2)]
    assert any(len(side) > 1 and len(set(side)) == 1 for pair in both for side in pair)


def test_standardising_floors_the_deviation_where_shadow_models_agree() -> None:
    given = make_signals(1)
    target, point = TRAIN, given.challenge[TRAIN][0]
    given.loss[:TRAIN, point] = -0.5  # exact in binary: no rounding errors in their mean
    given.loss[target, point] = -0.25
    deviations = [
        np.std([*itertools.chain(*sides(given, "loss", target, r))])
        for r in given.challenge[target]
    ]
    assert deviations[0] == 0
    score = run(("centred", {"centre": "standardised", "signal": "loss"}), given)[target][0]
    assert score == pytest.approx(0.25 / (1e-6 * np.mean(deviations)), rel=1e-9)


# ---- A train model under attack is not among its own shadow models.


@pytest.mark.slow
@each(setting=SETTINGS, model=[0, 3, TRAIN - 1])
def test_a_train_model_is_scored_as_if_it_were_no_shadow_model(
    setting: Setting, model: int
) -> None:
    given = make_signals(4)
    moved = run(setting, outsider(given, model))[-1]
    np.testing.assert_allclose(run(setting, given)[model], moved, rtol=1e-9, atol=1e-9)


@each(setting=SETTINGS)
def test_a_train_models_memberships_do_not_change_its_own_scores(setting: Setting) -> None:
    given, model = make_signals(4), 0
    flipped = replace(given, trained=given.trained.copy())
    flipped.trained[model] ^= True
    before, after = run(setting, given), run(setting, flipped)
    np.testing.assert_array_equal(after[model], before[model])
    # They do change the others' where IN and OUT models are told apart.
    told_apart = setting[0] in ("lira", "rmia", "bavaria", "effect") or (
        setting[1].get("centre") in ("mid", "in") or setting[1].get("variant") == "base3"
    )
    assert (after[model + 1 :] != before[model + 1 :]).any() == told_apart


@each(setting=CENTRED[:6])
def test_a_train_models_outputs_do_not_change_its_own_centre(setting: Setting) -> None:
    given, model = make_signals(4), 2
    changed = replace(given, loss=given.loss.copy(), margin=given.margin.copy())
    changed.loss[model] = 3 * given.loss[model] - 1
    changed.margin[model] = 3 * given.margin[model] - 1
    plain = ("threshold", {"signal": setting[1]["signal"]})
    centres = [(run(plain, one) - run(setting, one))[model] for one in (given, changed)]
    np.testing.assert_allclose(centres[1], centres[0], rtol=1e-9, atol=1e-9)


@each(setting=RMIA[::5])
def test_rmia_leaves_out_a_model_that_is_far_more_confident_than_all_others(
    setting: Setting,
) -> None:
    """Not by subtraction: 1 + 1e-20 - 1 is 0."""
    given, model = make_signals(5), 1
    rng = np.random.default_rng(5)
    given.loss[:] = rng.uniform(-80, -40, given.loss.shape)  # probabilities 1e-35 to 1e-18
    given.loss[model] = rng.uniform(-0.5, 0, given.loss.shape[1])
    moved = run(setting, outsider(given, model))[-1]
    if setting[1]["variant"] == "online":
        assert len(np.unique(moved)) > POINTS / 2
    np.testing.assert_allclose(run(setting, given)[model], moved, rtol=1e-9, atol=1e-9)


# ---- What scores may and may not depend on.


@each(setting=SETTINGS)
def test_permuting_a_models_points_permutes_its_scores(setting: Setting) -> None:
    given = make_signals(6)
    orders = np.random.default_rng(6).permuted(
        np.tile(np.arange(POINTS), (len(given.loss), 1)), axis=1
    )
    shuffled = replace(given, challenge=np.take_along_axis(given.challenge, orders, axis=1))
    expected = np.take_along_axis(run(setting, given), orders, axis=1)
    np.testing.assert_allclose(run(setting, shuffled), expected, rtol=1e-9, atol=1e-9)
    assert (expected != run(setting, given)).any()


@each(setting=SETTINGS)
def test_the_order_of_the_records_does_not_matter(setting: Setting) -> None:
    given = make_signals(6)
    order = np.random.default_rng(7).permutation(given.loss.shape[1])
    shuffled = Signals(
        given.loss[:, order],
        given.margin[:, order],
        given.trained[:, order],
        np.argsort(order)[given.challenge],
    )
    np.testing.assert_allclose(run(setting, shuffled), run(setting, given), rtol=1e-9, atol=1e-9)


@each(setting=SETTINGS)
def test_scores_do_not_depend_on_how_many_other_targets_there_are(setting: Setting) -> None:
    given = make_signals(8)
    expected = run(setting, given)
    for kept in (TRAIN + 1, len(given.loss) - 1):
        fewer = Signals(
            given.loss[:kept], given.margin[:kept], given.trained, given.challenge[:kept]
        )
        np.testing.assert_array_equal(run(setting, fewer), expected[:kept])


@each(setting=THRESHOLD + CENTRED + WITH_DEVIATIONS)
def test_without_a_population_records_of_other_targets_do_not_matter(setting: Setting) -> None:
    given = make_signals(8)
    kept = TRAIN + 1
    used, challenge = np.unique(given.challenge[:kept], return_inverse=True)
    assert len(used) < given.loss.shape[1]
    fewer = Signals(
        given.loss[:kept, used],
        given.margin[:kept, used],
        given.trained[:, used],
        challenge.reshape(kept, POINTS),
    )
    np.testing.assert_array_equal(run(setting, fewer), run(setting, given)[:kept])


@each(setting=RMIA[::4], target=[0, TRAIN + 1])
def test_rmias_population_is_the_other_models_points_only(setting: Setting, target: int) -> None:
    given = make_signals(9)
    columns = given.challenge[target]
    before = run(setting, given)[target]

    own = replace(given, loss=given.loss.copy())
    own.loss[target, columns[0]] -= 10  # dominated by anything, were it in the population
    after = run(setting, own)[target]
    np.testing.assert_array_equal(after[1:], before[1:])
    assert after[0] <= before[0]

    others = replace(given, loss=given.loss.copy())
    outside = np.setdiff1d(np.arange(given.loss.shape[1]), columns)
    others.loss[target, outside] -= 50
    assert (run(setting, others)[target] == 1).all()
    assert (before < 1).any()


def test_rmia_counts_ratios_strictly_above_gamma() -> None:
    given = make_signals(9)
    given.loss[:] = 0  # every ratio is exactly 1
    assert (run(("rmia", {"gamma": 1}), given) == 0).all()
    target, column = TRAIN, given.challenge[TRAIN][0]
    given.loss[target] = np.log(0.5)
    given.loss[target, column] = 0  # a ratio of 2 to all the population
    assert run(("rmia", {"gamma": 1.99}), given)[target][0] == 1
    assert run(("rmia", {"gamma": 2.01}), given)[target][0] == 0


# ---- No NaN or infinity reaches a prediction, whatever the models put out.


def _extreme(given: Signals, rng: np.random.Generator) -> Signals:
    certain = rng.random(given.loss.shape) < 0.5
    return replace(given, loss=np.where(certain, 0, -1e3), margin=np.where(certain, 1e3, -1e3))


def _constant(given: Signals, rng: np.random.Generator) -> Signals:
    return replace(given, loss=np.full_like(given.loss, -0.7), margin=np.zeros_like(given.margin))


def _agreeing_shadows(given: Signals, rng: np.random.Generator) -> Signals:
    """Shadow models are all alike; targets are far from them."""
    given = replace(given, loss=given.loss.copy(), margin=given.margin.copy())
    given.loss[:TRAIN], given.margin[:TRAIN] = -0.7, 0
    given.loss[TRAIN:] -= rng.uniform(0, 30, given.loss[TRAIN:].shape)
    given.margin[TRAIN:] -= rng.uniform(0, 30, given.margin[TRAIN:].shape)
    return given


def _all_in(given: Signals, rng: np.random.Generator) -> Signals:
    return replace(given, trained=np.ones_like(given.trained))


def _all_out(given: Signals, rng: np.random.Generator) -> Signals:
    return replace(given, trained=np.zeros_like(given.trained))


def _one_out(given: Signals, rng: np.random.Generator) -> Signals:
    """No point has two OUT shadow models: nothing says how much they vary."""
    trained = np.ones_like(given.trained)
    trained[rng.integers(len(trained), size=trained.shape[1]), np.arange(trained.shape[1])] = False
    return replace(given, trained=trained, margin=10 * given.margin)


def _shared_points(given: Signals, rng: np.random.Generator) -> Signals:
    """All models have the same challenge points: RMIA has no population."""
    columns = np.tile(np.arange(POINTS), (len(given.loss), 1))
    kept = slice(0, POINTS)
    return Signals(given.loss[:, kept], given.margin[:, kept], given.trained[:, kept], columns)


def _far(given: Signals, rng: np.random.Generator) -> Signals:
    return replace(given, loss=30 * given.loss, margin=30 * given.margin)


DEGENERATE = [
    *(_extreme, _constant, _agreeing_shadows, _all_in, _all_out, _one_out, _shared_points, _far)
]


@pytest.mark.parametrize("train", [2, pytest.param(TRAIN, marks=pytest.mark.slow)])
@each(change=DEGENERATE, setting=SETTINGS)
def test_scores_and_predictions_are_finite(change: Callable, setting: Setting, train: int) -> None:
    given = change(make_signals(10, train=train), np.random.default_rng(11))
    scores = run(setting, given)
    assert np.isfinite(scores).all()
    predictions = prediction_files.to_predictions(scores)
    assert ((predictions >= 0) & (predictions <= 1)).all()


@each(setting=[*LIRA, *CENTRED[6:]])
def test_a_deviation_that_nobody_knows_still_leaves_a_ranking(setting: Setting) -> None:
    """With two train models a train model has one shadow model: scores still follow the signal.

    All points are OUT for the remaining shadow model, so more than its signal is more
    member-like; LiRA online compares equal means and is free to say nothing.
    """
    given = _all_out(make_signals(14, train=2), np.random.default_rng(14))
    scores = run(setting, given)[0]
    name = setting[1]["signal"]
    columns = given.challenge[0]
    excess = [value(given, name, 0, r) - value(given, name, 1, r) for r in columns]
    if setting[1].get("variant") in ("online", "fixed-variance"):
        assert len(np.unique(scores)) == 1
    else:
        assert spearmanr(scores, excess).statistic == pytest.approx(1)


# ---- LiRA on data whose likelihood ratio is known.


@pytest.mark.parametrize(
    ("variant", "spread"), [("online", 0.4), ("offline", 0.4), ("fixed-variance", 0)]
)
def test_lira_reaches_the_closed_form_on_gaussian_signals(variant: str, spread: float) -> None:
    """Signals N(mu, sigma) if OUT, N(mu + d sigma, sigma) if IN; mu and sigma differ by point.

    The log likelihood ratio is d (s - mu) / sigma - d^2 / 2 and the upper tail falls with
    (s - mu) / sigma: both optimal, with an AUC of Phi(d / sqrt(2)). A mean over about 100
    shadow models is off by sigma / 10, a standard deviation by 7 %.
    """
    rng = np.random.default_rng(15)
    shadows, points, d = 200, 150, 1.5
    mu, sigma = rng.normal(0, 3, points), 1.5 * np.exp(rng.normal(0, spread, points))
    trained = rng.random((shadows, points)) < 0.5
    margin = mu + sigma * (rng.normal(size=trained.shape) + d * trained)
    challenge = np.tile(np.arange(points), (shadows, 1))
    given = Signals(np.zeros_like(margin), margin, trained, challenge)
    scores = run(("lira", {"variant": variant}), given)

    z = (margin - mu) / sigma
    known = -norm.logsf(z) if variant == "offline" else d * z - d**2 / 2
    # The estimated and the known score share all but about 4 % of their variance.
    assert np.corrcoef(scores.ravel(), known.ravel())[0, 1] > 0.97
    # Scores are log ratios themselves, not only in their order: slope 1 and no shift.
    slope, shift = np.polyfit(known.ravel(), scores.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.05)
    assert shift == pytest.approx(0, abs=0.05)
    # 15,000 members and as many others: standard error .0025 at .856; 4 of them (6e-5), and
    # .005 that the estimated means and deviations cost.
    auc = roc_auc_score(trained.ravel(), scores.ravel())
    assert auc == pytest.approx(norm.cdf(d / np.sqrt(2)), abs=0.015)
    assert auc > roc_auc_score(trained.ravel(), margin.ravel()) + 0.1


# ---- Options.


BAD_OPTIONS = [
    ("nope", {}, "nope"),
    ("", {}, "attack"),
    ("threshold", {}, "signal"),
    ("threshold", {"signal": "logit"}, "logit"),
    ("threshold", {"signal": "loss", "depth": 3}, "depth"),
    ("threshold", {"signal": ["loss"]}, "signal"),
    ("threshold", {"signal": None}, "signal"),
    ("centred", {"centre": "mid"}, "signal"),
    ("centred", {"signal": "loss"}, "centre"),
    ("centred", {"centre": "out", "signal": "loss"}, "centre"),
    ("centred", {"centre": ["mid"], "signal": "loss"}, "centre"),
    ("centred", {"centre": "mid", "signal": "logit"}, "signal"),
    ("lira", {"variant": "both"}, "variant"),
    ("lira", {"variant": {}}, "variant"),
    ("lira", {"signal": "probability"}, "signal"),
    ("lira", {"gamma": 1}, "gamma"),
    ("base", {}, "variant"),
    ("base", {"variant": "base4"}, "variant"),
    ("base", {"variant": ["base1"]}, "variant"),
    ("base", {"variant": "base3", "signal": "logit"}, "signal"),
    ("base", {"variant": "base1", "signal": "loss"}, "signal"),
    ("base", {"variant": "base1", "signal": ["loss"]}, "signal"),
    ("bavaria", {"variant": "normal"}, "variant"),
    ("bavaria", {"variant": False}, "variant"),  # what n is in some dialects of YAML
    ("bavaria", {"signal": "logit"}, "signal"),
    ("bavaria", {"strength": 0.5}, "strength 0.5"),
    ("bavaria", {"strength": 1e7}, "strength 1"),
    ("bavaria", {"strength": float("nan")}, "strength nan"),
    ("bavaria", {"strength": "2"}, "strength '2'"),
    ("bavaria", {"strength": None}, "strength None"),
    ("bavaria", {"prior": "between"}, "prior"),
    ("effect", {"signal": "logit"}, "signal"),
    ("effect", {"signal": None}, "signal"),
    ("effect", {"strength": 2}, "strength"),
    ("rmia", {"variant": "fixed-variance"}, "variant"),
    ("rmia", {"signal": "loss"}, "signal"),
    ("rmia", {"gamma": 0.99}, "gamma"),
    ("rmia", {"gamma": float("nan")}, "gamma"),
    ("rmia", {"gamma": "2"}, "gamma"),
    ("rmia", {"gamma": None}, "gamma"),
    ("rmia", {"a": -0.1}, "a -0.1"),
    ("rmia", {"a": 1.1}, "a 1.1"),
    ("rmia", {"a": float("nan")}, "a nan"),
    ("rmia", {"a": "much"}, "a 'much'"),
]


@each(case=BAD_OPTIONS)
def test_bad_options_are_named(case: tuple[str, dict, str]) -> None:
    attack, values, named = case
    with pytest.raises(InputError) as caught:
        registry.options(attack, values)
    assert named in str(caught.value).removeprefix(f"attack {attack}:")
    assert "\n" not in str(caught.value)


@each(setting=SETTINGS)
def test_good_options_are_kept(setting: Setting) -> None:
    options = registry.options(*setting)
    for name, given in setting[1].items():
        assert getattr(options, name) == given


# ---- scripts/attack.py


@pytest.fixture
def arguments(tmp_path: Path) -> list[object]:
    """All but the attack."""
    arrays.write(tmp_path / "signals.npz", make_signals(16))
    given = ["--input", "signals", tmp_path / "signals.npz"]
    return [*given, "--phases", TRAIN, 3, 2, "--output", tmp_path / "out" / "attack"]


def test_the_program_writes_predictions(
    arguments: list[object], run_script: Callable, tmp_path: Path
) -> None:
    values = {"variant": "offline", "gamma": 1.3}
    done = run_script("attack", *arguments, "--attack", "rmia", "--options", json.dumps(values))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["attack"]
    predictions = prediction_files.read(tmp_path / "out/attack", Phases(TRAIN, 3, 2), POINTS)
    # Predictions rank all models' points as their scores do, ties included.
    scores = naive(("rmia", values), make_signals(16), range(TRAIN + OTHERS)).ravel()
    assert scores[np.argsort(predictions, axis=None)].tolist() == sorted(scores)
    assert len(np.unique(predictions)) == len(np.unique(scores))


def test_the_program_refuses_bad_input_in_one_line(
    arguments: list[object], run_script: Callable, tmp_path: Path
) -> None:
    done = run_script("attack", *arguments, "--attack", "nope")
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"error: unknown attack 'nope', known: {', '.join(registry.attacks())}\n"
    assert done.stderr == expected
    assert not (tmp_path / "out").exists()


@each(
    case=[
        (["--attack=lira", '--options={"variant": "both"}'], "variant 'both': expected one of "),
        (["--attack=lira", "--options={variant: online}"], "--options '{variant: online}': exp"),
        (["--attack=lira", "--options=[1]"], "--options '[1]': expected a JSON object"),
        (["--attack=lira", "--phases", 7, 2, 2], "signals.npz: 12 models, 7 of train; expected 11"),
        (["--attack=lira", "--phases", 6, 3, 3], "signals.npz: 12 models, 7 of train; expected 12"),
        (["--attack=lira", "--input", "signals", "x.npz"], "--input signals: expected once"),
        (["--attack=lira", "--input", "whitebox", "x.npz"], "--input whitebox: attack lira asks "),
        (["--attack=stacked", "--input", "whitebox"], "--input whitebox: expected once, with its"),
        (["--attack=stacked"], "attack stacked: expected --input whitebox"),
    ]
)
def test_the_program_says_what_is_wrong(
    case: tuple[list[object], str], arguments: list[object], call: Callable, tmp_path: Path
) -> None:
    more, message = case
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        call("attack", *arguments, *more)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*attack*"))
    assert not list(tmp_path.rglob("*.partial"))


# ---- Discovery.

MODULE = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Options:
    factor: float

def scores(signals, colours, options):
    return options.factor * colours[signals.challenge]
"""
KIND = """
import numpy as np

def read(paths, signals, phases):
    assert phases.models == len(signals.challenge)
    return np.concatenate([np.load(path) for path in paths])
"""


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder for more attacks, and one in it, `given`, for more kinds of input."""
    (tmp_path / "given").mkdir()
    # One file twice in a second is not to be taken for what was compiled first.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for package, folder in ((formulas, tmp_path), (kinds, tmp_path / "given")):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith((formulas.__name__, kinds.__name__)):
            del sys.modules[name]


def test_an_attack_and_a_kind_of_input_are_one_file_each(
    added: Path, arguments: list[object], call: Callable
) -> None:
    """Which are found, checked, run, and hashed with what runs them."""
    before = source_hash(PROGRAM, *registry.sources("rmia"))
    path = added / "of_colour.py"
    path.write_text(MODULE.replace("colours", "signals"))
    (added / "given" / "colours.py").write_text(KIND)
    assert registry.source("of-colour") == path
    path.write_text(MODULE)
    assert registry.inputs("of-colour") == ["signals", "colours"]
    with pytest.raises(InputError, match=r"^missing key 'factor'$"):
        registry.options("of-colour", {})

    rng = np.random.default_rng(1)
    given, halves = make_signals(16), rng.random((2, make_signals(16).loss.shape[1] // 2 + 1))
    for number, half in enumerate(halves):
        np.save(added / f"{number}.npy", half)
    call(
        *("attack", *arguments, "--attack", "of-colour", "--options", '{"factor": -2}'),
        *("--input", "colours", added / "0.npy", added / "1.npy"),
    )
    found = prediction_files.read(added / "out/attack", Phases(TRAIN, 3, 2), POINTS)
    scores = -2 * halves.ravel()[given.challenge]
    np.testing.assert_array_equal(found, prediction_files.to_predictions(scores))

    assert source_hash(PROGRAM, *registry.sources("rmia")) == before
    hashes = [source_hash(PROGRAM, *registry.sources("of-colour"))]
    for file in path, added / "given" / "colours.py":
        file.write_text(file.read_text() + "X = 1\n")
        hashes.append(source_hash(PROGRAM, *registry.sources("of-colour")))
    assert len({before, *hashes}) == 4


@each(
    case=[
        ("def scores", "def score", "new.py: there is no 'scores', expected"),
        (
            "class Options",
            "class Option",
            "new.py: there is no 'Options', expected",
        ),
        ("signals, colours", "signals, colour", "attack new: there is no input 'colour' in mico"),
        ("signals, colours", "colours", "attack new: expected 'signals' among what it asks for$"),
    ]
)
def test_what_is_no_attack_is_said(case: tuple[str, str, str], added: Path) -> None:
    old, new, message = case
    (added / "given" / "colours.py").write_text(KIND)
    (added / "new.py").write_text(MODULE.replace(old, new))
    sys.modules.pop("mico.attacks.formulas.new", None)
    with pytest.raises(InputError, match=message):
        registry.inputs("new")


@pytest.mark.slow
def test_planning_imports_what_is_asked_for_only() -> None:
    """No attack that is not configured, nor what an attack needs to be run."""
    code = (
        "import sys; from mico.attacks import registry;"
        "registry.attacks(); registry.options('stacked', {}); registry.inputs('stacked');"
        "registry.sources('auto');"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(PROGRAM.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(done.stdout.split())
    assert "mico.attacks.formulas.stacked" in found
    assert "mico.attacks.formulas.rmia" not in found
    assert found.isdisjoint({"torch", "sklearn", "scipy"})


# ---- Shared reference models.

# Each attack in the ways in which it looks at shadow models.
ONCE = [
    *((name, {"signal": "loss"}) for name in ("threshold", "lira", "bavaria", "effect")),
    *(("centred", {"centre": centre, "signal": "conf"}) for centre in ("mid", "in", "one")),
    *(("lira", {"variant": variant}) for variant in ("offline", "offline-global-variance")),
    *(("rmia", {"variant": variant}) for variant in ("online", "offline")),
    *(("base", {"variant": variant}) for variant in ("base1", "base3")),
    *(("stacked", {"white_box": value}) for value in (False, True)),
    *(("target-references", {"count": 2, "score": score}) for score in ("ratio", "centred")),
    *(("rest-reference", {}), ("auto", {}), ("seed-search", {"bits": 4})),
]


def test_no_attack_is_forgotten() -> None:
    assert {name for name, _ in ONCE} == set(registry.attacks())


@each(setting=ONCE)
def test_shared_references_are_refused_where_they_change_nothing(setting: Setting) -> None:
    name, values = setting
    alone, rng = make_signals(3), np.random.default_rng(4)
    size, (models, points) = alone.loss.shape[1], alone.challenge.shape
    loss, margin = -rng.random((2, 6, size))
    joined = add(alone, SharedReferences(loss, margin, rng.random((6, size)) < 0.5), 6)
    every = rng.random((4, models, 4, points))
    given = {
        "whitebox": WhiteBox(
            np.array(["a"]),
            rng.random((models, size, 1)).astype(np.float32),
            rng.integers(0, 3, size),
        ),
        "target_references": TargetReferences(
            np.arange(models), -every[0], every[1], every[2] < 0.5, -every[3, :, 0], every[3, :, 1]
        ),
        "others": {"one": rng.random((models, points)), "other": rng.random((models, points))},
    }
    asked = {kind: given[kind] for kind in registry.inputs(name) if kind != "signals"}
    options = registry.options(name, values)
    found = [
        registry.load(name).scores(signals=one, **asked, options=options) for one in (alone, joined)
    ]
    scores = [one[0] if isinstance(one, tuple) else one for one in found]
    if np.array_equal(*scores, equal_nan=True):
        with pytest.raises(InputError, match=f"^shared_references 6: has no effect on.* {name} "):
            registry.options(name, values | {"shared_references": 6})
    else:
        registry.options(name, values | {"shared_references": 6})
