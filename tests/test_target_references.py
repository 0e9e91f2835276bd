"""Reference models: the formula that compares them, and the files that hold them.

Statistical tests have fixed seeds, so they give the same answer every time. Under a fresh seed a
right program would fail each with a chance of 1e-4, if nothing else is said.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from mico.attacks import registry
from mico.attacks.formulas import lira, rest_reference
from mico.attacks.formulas import target_references as attack
from mico.attacks.given import target_references
from mico.attacks.given.signals import Signals
from mico.attacks.given.target_references import TargetReferences
from mico.attacks.scaling import unit_interval
from mico.attacks.shadows import Target
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.scoring import metrics
from mico.scoring.curves import roc
from mico.support import arrays
from mico.support.errors import InputError

# ---- The formula.


def naive_log_ratio(shadows: Target, references: Target) -> list[float]:
    """Point by point, as the attack's docstring has it."""

    def values(models: Target, point: int, inside: bool) -> list[float]:
        return models.shadow[models.trained[:, point] == inside, point].tolist()

    def squares(one: list[float]) -> float:
        return sum((x - np.mean(one)) ** 2 for x in one)

    def pooled(models: Target, inside: bool) -> float:
        points = [values(models, point, inside) for point in range(len(models.own))]
        return sum(map(squares, points)) / sum(max(len(one) - 1, 0) for one in points)

    result = []
    for point, s in enumerate(references.own):
        densities = []
        for inside in (True, False):
            v, v0 = pooled(references, inside), pooled(shadows, inside)
            # A side without shadow models takes the other's mean, and counts as one.
            prior = values(shadows, point, inside)
            prior_mean = np.mean(prior or values(shadows, point, not inside))
            kappa = v / (max(v0 - v, 0) + v0 / (len(prior) or 1))
            own = values(references, point, inside)
            k = len(own)
            mean = (kappa * prior_mean + sum(own)) / (kappa + k)
            variance = (squares(own) + 8 * v) / (max(k - 1, 0) + 8) * (1 + 1 / (kappa + k))
            densities.append(norm.logpdf(s, mean, variance**0.5))
        result.append(densities[0] - densities[1])
    return result


def made(
    seed: int, models: int, share: float, spread: float, points: int = 12
) -> tuple[np.ndarray, np.ndarray]:
    """Signals of models at points, some higher where the model trained on the point, and masks.

    The first four points have no, one, all and all but one IN models.
    """
    rng = np.random.default_rng(seed)
    trained = rng.random((models, points)) < share
    trained[:, 0], trained[:, 2] = False, True
    trained[:, 1], trained[:, 3] = np.arange(models) == 1, np.arange(models) != 1
    signal = np.linspace(-3, 3, points) + spread * rng.normal(size=trained.shape) + 2 * trained
    return signal, trained


def pair(spread: float, spread0: float, count: int = 7) -> tuple[Target, Target]:
    """Shadow models and reference models of a target."""
    own = np.linspace(-4, 4, 12)
    return Target(own, *made(1, 30, 0.7, spread0)), Target(own, *made(2, count, 0.5, spread))


@pytest.mark.parametrize(("spread", "spread0"), [(0.3, 2), (1, 1.2), (2, 0.4)])
@pytest.mark.parametrize("count", [4, 7])
def test_log_ratio_is_that_of_a_loop_over_points(spread: float, spread0: float, count: int) -> None:
    """With reference models that vary less than shadow models, about as much, and more."""
    shadows, references = pair(spread, spread0, count)
    found = attack.log_ratio(shadows, references)
    expected = naive_log_ratio(shadows, references)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def naive_centred(shadows: Target, references: Target) -> list[float]:
    """Point by point, of points that have shadow and reference models on both sides."""

    def pooled(models: Target, inside: bool) -> float:
        sides = [
            models.shadow[models.trained[:, point] == inside, point]
            for point in range(len(models.own))
        ]
        return sum(((one - one.mean()) ** 2).sum() for one in sides if len(one)) / sum(
            len(one) - 1 for one in sides if len(one)
        )

    result = []
    for point, s in enumerate(references.own):
        means, squares = [], 0.0
        for inside in (True, False):
            prior, own = (
                models.shadow[models.trained[:, point] == inside, point]
                for models in (shadows, references)
            )
            v, v0 = pooled(references, inside), pooled(shadows, inside)
            kappa = v / (max(v0 - v, 0) + v0 / len(prior))
            means.append((kappa * prior.mean() + own.sum()) / (kappa + len(own)))
            squares += sum(((one - one.mean()) ** 2).sum() for one in (prior, own))
        std = math.sqrt(squares / (len(shadows.shadow) + len(references.shadow)))
        result.append((s - sum(means) / 2) / std)
    return result


@pytest.mark.parametrize(("spread", "spread0"), [(0.3, 2), (1, 1.2), (2, 0.4)])
def test_centred_is_that_of_a_loop_over_points(spread: float, spread0: float) -> None:
    shadows, references = pair(spread, spread0)
    for one in (shadows, references):  # so that every point has models on both sides
        one.trained[:] = (np.arange(len(one.shadow))[:, None] + np.arange(12)) % 3 == 0
    found = attack.centred(shadows, references)
    np.testing.assert_allclose(found, naive_centred(shadows, references), rtol=1e-9, atol=1e-9)


def with_masks(target: Target, trained: np.ndarray | bool) -> Target:
    return replace(target, trained=np.broadcast_to(trained, target.trained.shape).copy())


def with_signal(target: Target, signal: np.ndarray | float) -> Target:
    return replace(target, shadow=np.broadcast_to(signal, target.shadow.shape).astype(float))


DEGENERATE: dict[str, Callable[[Target, Target], tuple[Target, Target]]] = {
    "references all in": lambda s, r: (s, with_masks(r, True)),
    "references all out": lambda s, r: (s, with_masks(r, False)),
    "shadows all in": lambda s, r: (with_masks(s, True), r),
    "shadows all out": lambda s, r: (with_masks(s, False), r),
    "all in": lambda s, r: (with_masks(s, True), with_masks(r, True)),
    "opposite sides": lambda s, r: (with_masks(s, True), with_masks(r, False)),
    "references agree": lambda s, r: (s, with_signal(r, -0.7)),
    "shadows agree": lambda s, r: (with_signal(s, -0.7), r),
    "all agree": lambda s, r: (with_signal(s, -0.7), with_signal(r, -0.7)),
    "far": lambda s, r: (replace(s, own=1e6 * s.own), replace(r, own=1e6 * r.own)),
    "huge": lambda s, r: (with_signal(s, 1e3 * s.shadow), with_signal(r, 1e3 * r.shadow)),
    "two references": lambda s, r: (s, Target(r.own, r.shadow[:2], r.trained[:2])),
    "one reference": lambda s, r: (s, Target(r.own, r.shadow[:1], r.trained[:1])),
    "two shadows": lambda s, r: (Target(s.own, s.shadow[:2], s.trained[:2]), r),
    "one shadow": lambda s, r: (Target(s.own, s.shadow[:1], s.trained[:1]), r),
    "one of each": lambda s, r: (
        Target(s.own, s.shadow[:1], s.trained[:1]),
        Target(r.own, r.shadow[:1], ~s.trained[:1]),
    ),
}


@pytest.mark.parametrize("score", attack.SCORES)
@pytest.mark.parametrize("name", DEGENERATE)
def test_score_is_always_a_number(name: str, score: str) -> None:
    shadows, references = DEGENERATE[name](*pair(0.5, 1))
    with np.errstate(all="raise", under="ignore"):
        assert np.isfinite(attack.SCORES[score](shadows, references)).all()


@pytest.mark.parametrize("score", attack.SCORES)
@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_unit_of_the_signal_does_not_matter(scale: float, count: int, score: str) -> None:
    """Two reference models, one on each side, show no variance: it is the shadow models'."""
    shadows, references = pair(0.5, 1, count)
    references.trained[:, :] = np.arange(count)[:, None] % 2 == 0
    scaled = [replace(one, own=scale * one.own, shadow=scale * one.shadow) for one in pair(0.5, 1)]
    scaled[1] = Target(scaled[0].own, scale * references.shadow, references.trained)
    found = attack.SCORES[score](scaled[0], scaled[1])
    np.testing.assert_allclose(found, attack.SCORES[score](shadows, references), rtol=1e-9)


# ---- The attack.

TRAIN, OTHERS, POINTS, RECORDS, COUNT = 9, 3, 12, 40, 6
TARGETS = [2, 9, 10, 11]


def example() -> tuple[Signals, TargetReferences]:
    """Signals of all models, and reference models of one train model and all others."""
    rng = np.random.default_rng(3)
    challenge = np.stack([rng.permutation(RECORDS)[:POINTS] for _ in range(TRAIN + OTHERS)])
    margin, trained = made(4, TRAIN + OTHERS, 0.6, 1.5, RECORDS)
    own = [made(10 + target, COUNT, 0.5, 0.6) for target in TARGETS]
    margins, masks = (np.stack(part) for part in zip(*own, strict=True))
    signals = Signals(-np.logaddexp(0, -margin), margin, trained[:TRAIN], challenge)
    rest = rng.normal(size=(len(TARGETS), POINTS))
    return signals, TargetReferences(
        np.array(TARGETS),
        -np.logaddexp(0, -margins),
        margins,
        masks,
        -np.logaddexp(0, -rest),
        rest,
    )


SIGNALS: dict[str, Callable[[Signals | TargetReferences], np.ndarray]] = {
    "margin": lambda given: given.margin,
    "loss": lambda given: given.loss,
    "conf": lambda given: np.exp(given.loss),
}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("count", [4, COUNT])
def test_scores_are_those_of_the_loop(signal: str, count: int) -> None:
    """Of the first `count` reference models and all shadow models but the target itself."""
    signals, references = example()
    options = registry.options("target-references", {"count": count, "signal": signal})
    scores = attack.scores(signals, references, options)
    assert scores.shape == signals.challenge.shape
    given, own = SIGNALS[signal](signals), SIGNALS[signal](references)
    for row, target in enumerate(TARGETS):
        columns = signals.challenge[target]
        shadows = [model for model in range(TRAIN) if model != target]
        expected = naive_log_ratio(
            Target(
                given[target, columns],
                given[np.ix_(shadows, columns)],
                signals.trained[np.ix_(shadows, columns)],
            ),
            Target(given[target, columns], own[row, :count], references.trained[row, :count]),
        )
        np.testing.assert_allclose(scores[target], expected, rtol=1e-9, atol=1e-9)
    others = np.setdiff1d(np.arange(TRAIN + OTHERS), TARGETS)
    assert np.isnan(scores[others]).all()


def test_the_score_can_be_chosen() -> None:
    signals, references = example()
    options = registry.options("target-references", {"count": COUNT, "score": "centred"})
    scores = attack.scores(signals, references, options)
    for row, target in enumerate(TARGETS):
        columns = signals.challenge[target]
        shadows = [model for model in range(TRAIN) if model != target]
        own = signals.margin[target, columns]
        expected = attack.centred(
            Target(
                own, signals.margin[np.ix_(shadows, columns)], signals.trained[:, columns][shadows]
            ),
            Target(own, references.margin[row], references.trained[row]),
        )
        np.testing.assert_array_equal(scores[target], expected)


def test_only_the_first_reference_models_count() -> None:
    """Whatever the others are."""
    signals, references = example()
    options = registry.options("target-references", {"count": 4})
    before = attack.scores(signals, references, options)
    rng = np.random.default_rng(5)
    references.margin[:, 4:] = rng.normal(size=references.margin[:, 4:].shape)
    references.trained[:, 4:] ^= True
    np.testing.assert_array_equal(attack.scores(signals, references, options), before)
    whole = attack.scores(
        signals, references, registry.options("target-references", {"count": COUNT})
    )
    assert (whole[TARGETS] != before[TARGETS]).all()


def test_more_reference_models_than_there_are_is_refused() -> None:
    options = registry.options("target-references", {"count": COUNT + 1})
    with pytest.raises(InputError, match=f"count {COUNT + 1}: there are {COUNT} reference models"):
        attack.scores(*example(), options)


def test_a_target_without_reference_models_is_named() -> None:
    """Train models may be left out, others may not."""
    signals, references = example()
    options = registry.options("target-references", {"count": 4})
    fewer = TargetReferences(*(value[[0, 1, 3]] for value in vars(references).values()))
    with pytest.raises(InputError, match="model 10 has no reference models"):
        attack.scores(signals, fewer, options)
    fewer = TargetReferences(*(value[1:] for value in vars(references).values()))
    scores = attack.scores(signals, fewer, options)
    assert np.flatnonzero(~np.isnan(scores).all(axis=1)).tolist() == TARGETS[1:]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "count"),
        ({"count": 1}, "count 1"),
        ({"count": True}, "count True"),
        ({"count": "4"}, "count '4'"),
        ({"count": 4.5}, "count"),
        ({"count": None}, "count None"),
        ({"count": 4, "signal": "logit"}, "signal 'logit'"),
        ({"count": 4, "score": "log"}, "score 'log'"),
        ({"count": 4, "variant": "online"}, "variant"),
    ],
)
def test_bad_options_are_named(values: dict, named: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.options("target-references", values)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- The model that was trained on the rest.


def test_rest_reference_is_the_runner_ups_for_text() -> None:
    """Differences of probabilities, scaled to [0, 1] for each model by itself."""
    signals, references = example()
    options = registry.options("rest-reference", {"scaled": True})
    scores = rest_reference.scores(signals, references, options)
    for row, target in enumerate(TARGETS):
        own = [math.exp(signals.loss[target, column]) for column in signals.challenge[target]]
        of_reference = [math.exp(one) for one in references.rest_loss[row]]
        found = np.array([a - b for a, b in zip(own, of_reference, strict=True)])
        expected = (found - found.min()) / (found.max() - found.min())
        np.testing.assert_allclose(scores[target], expected, rtol=1e-9, atol=1e-12)
    others = np.setdiff1d(np.arange(TRAIN + OTHERS), TARGETS)
    assert np.isnan(scores[others]).all()


@pytest.mark.parametrize("signal", SIGNALS)
def test_rest_reference_takes_any_signal_and_needs_every_target(signal: str) -> None:
    signals, references = example()
    options = registry.options("rest-reference", {"signal": signal})
    scores = rest_reference.scores(signals, references, options)
    own = np.take_along_axis(SIGNALS[signal](signals), signals.challenge, axis=1)[TARGETS]
    of_reference = {"margin": references.rest_margin, "loss": references.rest_loss}
    expected = own - of_reference.get(signal, np.exp(references.rest_loss))
    np.testing.assert_allclose(scores[TARGETS], expected, rtol=1e-12)
    fewer = TargetReferences(*(value[:-1] for value in vars(references).values()))
    with pytest.raises(InputError, match="model 11 has no reference models"):
        rest_reference.scores(signals, fewer, options)


@pytest.mark.parametrize("attack", ["rest-reference", "threshold"])
@pytest.mark.parametrize("value", [1, "yes", None])
def test_scaled_is_true_or_false(attack: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^scaled {value!r}: expected true or false$"):
        registry.options(attack, {"signal": "loss", "scaled": value})


def test_a_model_with_one_score_is_scaled_to_0() -> None:
    scores = np.array([[3.0, 3.0], [1.0, 5.0], [np.nan, np.nan]])
    np.testing.assert_array_equal(unit_interval(scores), [[0, 0], [0, 1], [np.nan, np.nan]])


# ---- What it is for.

EFFECT, NOISE, SHIFT = 1.5, 0.7, 1.5


@dataclass(frozen=True)
class Simulated:
    """Gaussian signals: of a point, of a model's other training records, and of chance."""

    signals: Signals
    references: TargetReferences
    membership: np.ndarray  # (targets, points)

    def tpr(self, scores: np.ndarray) -> float:
        """At FPR .1 over all targets."""
        rows = prediction_files.to_predictions(scores)[len(self.signals.trained) :]
        curve = roc(rows, self.membership, np.ones(len(rows)))
        return float(metrics.metrics(curve)[metrics.HEADLINE])

    def tpr_with(self, count: int) -> float:
        options = registry.options("target-references", {"count": count})
        return self.tpr(attack.scores(self.signals, self.references, options))


def simulate(seed: int, shift: float, count: int) -> Simulated:
    """30 targets with 100 points each, 60 shadow models; a target's references share its shifts."""
    rng = np.random.default_rng(seed)
    shadows, targets, points = 60, 30, 100
    place = rng.normal(0, 3, points)
    shifts = shift * rng.normal(size=(shadows + targets, points))
    trained = rng.random(shifts.shape) < 0.5
    signal = place + shifts + NOISE * rng.normal(size=shifts.shape) + EFFECT * trained
    first = rng.random((targets, count // 2, points)) < 0.5
    masks = np.stack([first, ~first], axis=2).reshape(targets, count, points)
    own = (place + shifts[shadows:])[:, None] + NOISE * rng.normal(size=masks.shape)
    own += EFFECT * masks
    challenge = np.tile(np.arange(points), (len(signal), 1))
    names = np.arange(shadows, shadows + targets)
    return Simulated(
        Signals(signal, signal, trained[:shadows], challenge),
        TargetReferences(names, own, own, masks, own[:, 0], own[:, 0]),
        trained[shadows:],
    )


def test_references_see_what_other_training_records_do_to_a_target() -> None:
    """TPRs of 1,500 members and 1,500 others: s.e. .017; 4 of them, 6e-5, and .03 for estimates."""
    simulated = simulate(1, SHIFT, 16)
    known = norm.cdf(EFFECT / NOISE - norm.isf(0.1))
    with_shadows = norm.cdf(EFFECT / math.hypot(NOISE, SHIFT) - norm.isf(0.1))
    assert known - with_shadows > 0.4
    found = simulated.tpr(lira.scores(simulated.signals, lira.Options("fixed-variance")))
    assert found == pytest.approx(with_shadows, abs=0.1)
    assert simulated.tpr_with(16) == pytest.approx(known, abs=0.1)
    # Means of two models on each side still leave more of the shifts than of anything else.
    assert simulated.tpr_with(4) > found + 0.2


def test_shadow_models_count_where_training_sets_make_no_difference() -> None:
    """Four reference models alone would know a mean to .5 NOISE: d' = d / sqrt(1.5)."""
    simulated = simulate(2, 0, 4)
    known = norm.cdf(EFFECT / NOISE - norm.isf(0.1))
    alone = norm.cdf(EFFECT / NOISE / math.sqrt(1.5) - norm.isf(0.1))
    assert known - alone > 0.12
    assert simulated.tpr_with(4) == pytest.approx(known, abs=0.1)
    assert simulated.tpr_with(4) > alone + 0.03
    assert simulated.tpr_with(2) == pytest.approx(known, abs=0.1)


# ---- Files.


PHASES = Phases(TRAIN, 2, 1)


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    signals, whole = example()
    paths = []
    for part in ([0], [1, 2], [3]):
        paths.append(tmp_path / f"{part[0]}.npz")
        arrays.write(paths[-1], TargetReferences(*(value[part] for value in vars(whole).values())))
    for order, expected in ((0, 1, 2), [0, 1, 2, 3]), ((1,), [1, 2]), ((2, 1, 0), [3, 1, 2, 0]):
        read = target_references.read([paths[i] for i in order], signals, PHASES)
        for name, value in vars(whole).items():
            found = getattr(read, name)
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value[expected])


def test_shards_of_different_counts_are_refused(tmp_path: Path) -> None:
    signals, whole = example()
    arrays.write(tmp_path / "a.npz", whole)
    fewer = {name: getattr(whole, name)[:, :4] for name in ("loss", "margin", "trained")}
    arrays.write(tmp_path / "b.npz", replace(whole, **fewer))
    found = r"b\.npz: loss of shape \(4, 4, 12\), .*a\.npz of \(4, 6, 12\)$"
    with pytest.raises(InputError, match=found):
        target_references.read([tmp_path / "a.npz", tmp_path / "b.npz"], signals, PHASES)


def test_other_models_and_points_than_the_signals_are_refused(tmp_path: Path) -> None:
    signals, whole = example()
    arrays.write(tmp_path / "a.npz", whole)
    fewer = replace(signals, challenge=signals.challenge[:, 1:])
    with pytest.raises(InputError, match=r"a\.npz: of 12 challenge points, signals of 11$"):
        target_references.read([tmp_path / "a.npz"], fewer, PHASES)
    with pytest.raises(InputError, match=r"a\.npz: model 11, there are 11$"):
        target_references.read([tmp_path / "a.npz"], signals, Phases(TRAIN, 1, 1))


def wrong_files(folder: Path) -> list[Path]:
    """No file, none of any kind that can be read, and one of something else."""
    signals, references = example()
    arrays.write(folder / "signals.npz", signals)
    arrays.write(folder / "whole.npz", references)
    content = (folder / "whole.npz").read_bytes()
    (folder / "empty.npz").touch()
    (folder / "cut.npz").write_bytes(content[:-100])
    (folder / "directory.npz").mkdir()
    (folder / "text.npz").write_text("targets\n")
    with (folder / "array.npz").open("wb") as file:
        np.save(file, references.loss)
    np.savez(folder / "object.npz", **vars(references) | {"loss": np.array([{}], object)})
    names = ("absent", "signals", "empty", "cut", "directory", "text", "array", "object")
    return [folder / f"{name}.npz" for name in names]


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    paths = wrong_files(tmp_path)
    for path in paths:
        for given in ([path], [tmp_path / "whole.npz", path]):
            with pytest.raises(InputError) as caught:
                target_references.read(given, example()[0], PHASES)
            assert str(caught.value).startswith(f"{path}: not a file of target references (")
            assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path: Path) -> None:
    """Whichever byte is wrong."""
    signals, whole = example()
    whole = TargetReferences(*(value[:1] for value in vars(whole).values()))
    path = tmp_path / "a.npz"
    arrays.write(path, whole)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        try:
            read = target_references.read([path], signals, PHASES)
        except InputError:
            refused += 1
        else:
            for name, value in vars(whole).items():
                np.testing.assert_array_equal(getattr(read, name), value)
    assert refused > len(content) / 7 / 2


# ---- scripts/attack.py


def test_the_attack_reads_all_shards(call: Callable, tmp_path: Path) -> None:
    signals, references = example()
    arrays.write(tmp_path / "signals.npz", signals)
    shards = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for path, part in zip(shards, (slice(0, 2), slice(2, 4)), strict=True):
        own = (value[part] for value in vars(references).values())
        arrays.write(path, TargetReferences(*own))
    arguments = ["--attack", "target-references", "--options", '{"count": 4}']
    arguments += ["--phases", TRAIN, 2, 1, "--output", tmp_path / "out"]
    arguments += ["--input", "signals", tmp_path / "signals.npz"]
    call("attack", *arguments, "--input", "target_references", *shards)
    options = registry.options("target-references", {"count": 4})
    scores = attack.scores(signals, references, options)
    found = prediction_files.read(tmp_path / "out", PHASES, POINTS)
    np.testing.assert_array_equal(found, prediction_files.to_predictions(scores))
    assert np.flatnonzero(~np.isnan(found).any(axis=1)).tolist() == TARGETS

    with pytest.raises(InputError, match=r"^model 10 has no reference models$"):
        call("attack", *arguments, "--input", "target_references", shards[0])
    with pytest.raises(InputError, match=r"^attack target-references: expected --input target_ref"):
        call("attack", *arguments)
