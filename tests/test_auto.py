"""The choice of an attack: by the train models alone, and the same that an honest person would."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mico.attacks import registry
from mico.attacks.formulas import auto
from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import arrays
from mico.support.errors import InputError

TRAIN, OTHERS, POINTS = 6, 4, 20
PHASES = Phases(TRAIN, 2, 2)
NOTHING = np.full((TRAIN, POINTS), np.nan)


@pytest.fixture
def signals() -> Signals:
    """Of models whose challenge points are half members; no two have a point in common."""
    rng = np.random.default_rng(1)
    models = TRAIN + OTHERS
    challenge = rng.permutation(models * POINTS).reshape(models, POINTS)
    trained = rng.random((TRAIN, models * POINTS)) < 0.5
    for row, columns in zip(trained, challenge, strict=False):
        row[columns] = rng.permutation(np.arange(POINTS) % 2 == 0)
    outputs = np.zeros((models, models * POINTS))
    return Signals(outputs, outputs, trained, challenge)


def membership(signals: Signals) -> np.ndarray:
    """Of the train models' challenge points (S, 2m)."""
    return np.array([[signals.trained[i, x] for x in signals.challenge[i]] for i in range(TRAIN)])


def predictions(signals: Signals, quality: float, seed: int) -> np.ndarray:
    """Predictions in [0, 1] that are higher for members of train models by so much noise."""
    noise = np.random.default_rng(seed).normal(0, 1, signals.challenge.shape)
    noise[:TRAIN] += quality * membership(signals)
    return prediction_files.to_predictions(noise)


def naive_tpr(signals: Signals, rows: np.ndarray, fpr: float) -> float:
    """The largest share of members above any threshold that at most so many of the others pass."""
    members = membership(signals)
    best = 0.0
    for threshold in rows[:TRAIN].ravel():
        called = rows[:TRAIN] >= threshold
        if called[~members].mean() <= fpr + 1e-9:
            best = max(best, float(called[members].mean()))
    return best


def naive_merit(signals: Signals, rows: np.ndarray) -> float:
    """What attacks are compared by."""
    return round(sum(naive_tpr(signals, rows, fpr) for fpr in (0.05, 0.1, 0.15, 0.2)) / 4, 9)


def choose(signals: Signals, **others: np.ndarray) -> str:
    return auto.choose(signals, others)


def test_the_highest_mean_tpr_on_train_is_chosen(signals: Signals) -> None:
    """Of several sets of attacks about as good as each other."""
    chosen = set()
    for seed in range(20):
        others = {f"{i}": predictions(signals, 1, 100 * seed + i) for i in range(5)}
        merits = {name: naive_merit(signals, rows) for name, rows in others.items()}
        best = auto.choose(signals, others)
        chosen.add(best)
        assert merits[best] == max(merits.values())
        assert best == next(name for name, merit in merits.items() if merit == merits[best])
    assert len(chosen) == 5


def curve(signals: Signals, *tprs: float, rest: float = 0, first: float = 0) -> np.ndarray:
    """Predictions that have these TPRs at FPRs of .05, .1, .15 and .2.

    Args:
        rest: what the other members get; the other non-members have 0.8, from an FPR of .25 on 0.5.
        first: how many of the members are above all non-members.
    """
    members = membership(signals)
    count = members.sum()
    rank = (np.arange(count) + 0.5) / count
    fprs = (0.05, 0.1, 0.15, 0.2, 0.25)
    of_others = np.select([rank < fpr for fpr in fprs], [8, 6, 4, 2, 0.8], 0.5)
    levels = [rank < first, *(rank < tpr for tpr in tprs)]
    rows = np.zeros(signals.challenge.shape)
    rows[:TRAIN][members] = np.select(levels, [9, 7, 5, 3, 1], rest)
    rows[:TRAIN][~members] = of_others
    found = [naive_tpr(signals, rows, fpr) for fpr in (0.001, 0.05, 0.1, 0.15, 0.2)]
    np.testing.assert_allclose(found, [first, *tprs])
    return rows


@pytest.mark.parametrize("raised", range(4))
def test_tprs_at_moderate_fprs_count_alike(signals: Signals, raised: int) -> None:
    tprs = [0.2, 0.3, 0.4, 0.5]
    usual = curve(signals, *tprs)
    tprs[raised] += 0.05
    assert choose(signals, usual=usual, better=curve(signals, *tprs)) == "better"
    # Higher at three of the four, by less together.
    spread = curve(signals, *(0.2 + 0.1 * i + (i != raised) / 60 for i in range(4)))
    tprs[raised] += 0.05
    assert choose(signals, spread=spread, better=curve(signals, *tprs)) == "better"


def test_neither_lower_nor_higher_fprs_count(signals: Signals) -> None:
    usual = curve(signals, 0.2, 0.3, 0.4, 0.5)
    strict = curve(signals, 0.2, 0.3, 0.4, 0.45, first=0.2)
    lax = curve(signals, 0.2, 0.3, 0.4, 0.45, rest=0.7)
    assert choose(signals, strict=strict, lax=lax, usual=usual) == "usual"


def test_predictions_of_dev_and_final_never_change_the_choice(signals: Signals) -> None:
    rng = np.random.default_rng(2)
    others = {f"{i}": predictions(signals, quality, i) for i, quality in enumerate((0, 1, 2))}
    assert auto.choose(signals, others) == "2"
    for name in others:
        for values in (0.0, 1.0, rng.random((OTHERS, POINTS))):
            changed = others[name].copy()
            changed[TRAIN:] = values
            assert auto.choose(signals, others | {name: changed}) == "2"
    # And what is known of dev and final models' outputs does not either.
    outputs = rng.normal(size=signals.loss.shape)
    assert auto.choose(replace(signals, loss=outputs, margin=outputs), others) == "2"


def test_an_attack_on_fewer_train_models_has_to_be_clearly_better(signals: Signals) -> None:
    """A higher TPR is enough among attacks on the same models, not between few and all."""
    members = membership(signals)
    base = np.tile(np.arange(POINTS) / 100, (TRAIN + OTHERS, 1))
    base[:TRAIN][members] += np.tile([0, 1], members.sum() // 2)
    slightly = base.copy()
    row = int(np.flatnonzero(members[0])[0])
    assert slightly[0, row] < 1
    slightly[0, row] += 1  # one more member of the first model
    clearly = base.copy()
    clearly[:TRAIN][members] += 1
    some = [
        np.where(np.arange(TRAIN + OTHERS)[:, None] == 4, np.nan, x) for x in (slightly, clearly)
    ]
    assert choose(signals, all=base, slightly=slightly) == "slightly"
    assert choose(signals, all=base, slightly=some[0]) == "all"
    assert choose(signals, all=base, slightly=some[0], clearly=some[1]) == "clearly"


def test_memberships_decide(signals: Signals) -> None:
    """With the opposite memberships, the opposite attack."""
    good = predictions(signals, 3, 1)
    opposite = replace(signals, trained=~signals.trained)
    assert choose(signals, bad=1 - good, good=good) == "good"
    assert choose(opposite, bad=1 - good, good=good) == "bad"


def test_of_equals_the_first_is_chosen(signals: Signals) -> None:
    rows, worse = predictions(signals, 1, 1), predictions(signals, 0, 2)
    assert choose(signals, worse=worse, b=rows, a=rows) == "b"
    assert choose(signals, a=rows, worse=worse, b=rows) == "a"
    # An increasing map is the same attack.
    assert choose(signals, a=rows**3, b=rows) == "a"


def only(rows: np.ndarray, models: list[int]) -> np.ndarray:
    """The predictions without those of other train models."""
    kept = rows.copy()
    kept[np.setdiff1d(np.arange(TRAIN), models)] = np.nan
    return kept


def test_an_attack_is_compared_on_the_train_models_that_it_has(signals: Signals) -> None:
    """Where the other is perfect, or at a loss, on the rest."""
    fair = predictions(signals, 0.7, 1)
    perfect, wrong = fair.copy(), fair.copy()
    # The whole attacks are worse on models 0 and 1.
    perfect[:2], wrong[:2] = 0.5, 0.5
    perfect[2:TRAIN], wrong[2:TRAIN] = membership(signals)[2:], ~membership(signals)[2:]
    part = only(fair, [0, 1])
    merits = [naive_merit(signals, rows) for rows in (perfect, fair, wrong)]
    assert merits[0] > merits[1] > merits[2]
    assert choose(signals, part=part, whole=perfect) == "part"
    assert choose(signals, whole=wrong, part=part) == "part"
    # They are better on models 0 and 1.
    perfect[:2] = wrong[:2] = membership(signals)[:2]
    assert choose(signals, part=part, whole=perfect) == "whole"
    assert choose(signals, part=part, whole=wrong) == "whole"
    # Equal on models 0 and 1: the one with more of them.
    assert choose(signals, part=part, whole=fair) == "whole"


def test_attacks_without_a_train_model_in_common_cannot_be_compared(signals: Signals) -> None:
    """The one with more train models stays, and one without any is never chosen."""
    good, bad = predictions(signals, 3, 1), predictions(signals, 0, 2)
    none = np.concatenate([NOTHING, good[TRAIN:]])
    assert choose(signals, none=none, small=only(good, [5]), large=only(bad, [0, 1])) == "large"
    assert choose(signals, none=none, bad=bad) == "bad"


def test_one_attack_needs_no_comparison(signals: Signals) -> None:
    assert choose(signals, bad=predictions(signals, -3, 1)) == "bad"


def test_without_train_models_nothing_can_be_chosen(signals: Signals) -> None:
    none = np.concatenate([NOTHING, predictions(signals, 1, 1)[TRAIN:]])
    for others in ({}, {"a": none}, {"a": none, "b": none}):
        with pytest.raises(InputError, match="no other attack has predictions for train models"):
            auto.choose(signals, others)


def test_scores_are_the_chosen_attacks_predictions(signals: Signals) -> None:
    part = only(predictions(signals, 3, 1), [1, 4])
    others = {"bad": predictions(signals, 0, 2), "part": part}
    options = registry.options("auto", {})
    found, note = auto.scores(signals, others, options)
    np.testing.assert_array_equal(found, part)
    assert note == "chose part"


def test_it_takes_no_options() -> None:
    with pytest.raises(InputError, match=r"^unknown key 'signal', attack auto has no options$"):
        registry.options("auto", {"signal": "loss"})
    with pytest.raises(InputError, match=r"^shared_references 2: has no effect on attack auto"):
        registry.options("auto", {"shared_references": 2})
    assert registry.inputs("auto") == ["signals", "others"]


# ---- scripts/attack.py


def test_the_program_reads_other_predictions(
    signals: Signals, call: Callable, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    given = {
        "bad": predictions(signals, 0, 2),
        "good": only(predictions(signals, 3, 1), [0, 2, 3]),
        "worse": predictions(signals, -1, 3),
    }
    for name, rows in given.items():
        prediction_files.write(tmp_path / name / "toys" / "toys_lo", PHASES, rows)
    arrays.write(tmp_path / "signals.npz", signals)
    arguments = ["--attack", "auto", "--input", "signals", tmp_path / "signals.npz"]
    arguments += ["--phases", TRAIN, 2, 2, "--output", tmp_path / "auto"]
    with pytest.raises(InputError, match=r"^attack auto: expected --input others$"):
        call("attack", *arguments)
    assert not (tmp_path / "auto").exists()

    places = [tmp_path / name / "toys" / "toys_lo" for name in given]
    call("attack", *arguments, "--input", "others", *places)
    assert capsys.readouterr() == ("", "")
    assert prediction_files.read_note(tmp_path / "auto") == "chose good"
    read = prediction_files.read(tmp_path / "auto", PHASES, POINTS)
    np.testing.assert_array_equal(np.isnan(read), np.isnan(given["good"]))
    kept = ~np.isnan(read)
    assert (np.argsort(read[kept]) == np.argsort(given["good"][kept])).all()
