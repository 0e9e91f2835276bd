"""The choice of an attack: by the train models alone, and the same that an honest person would."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mico import arrays, submissions
from mico.attacks import auto, registry
from mico.command_line import InputError
from mico.phases import Phases
from mico.signals import Signals

SCRIPT = Path(__file__).parents[1] / "scripts" / "attack.py"
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
    return submissions.to_predictions(noise)


def naive_tpr(signals: Signals, rows: np.ndarray) -> float:
    """The largest share of members above any threshold that at most a tenth of the others pass."""
    members = membership(signals)
    best = 0.0
    for threshold in rows[:TRAIN].ravel():
        called = rows[:TRAIN] >= threshold
        if called[~members].mean() <= 0.1 + 1e-9:
            best = max(best, float(called[members].mean()))
    return best


def choose(signals: Signals, **others: np.ndarray) -> str:
    return auto.choose(signals, others)


def test_the_highest_tpr_on_train_is_chosen(signals: Signals) -> None:
    """Of several sets of attacks about as good as each other."""
    chosen = set()
    for seed in range(20):
        others = {f"{i}": predictions(signals, 1, 100 * seed + i) for i in range(5)}
        tprs = {name: naive_tpr(signals, rows) for name, rows in others.items()}
        best = auto.choose(signals, others)
        chosen.add(best)
        assert tprs[best] == max(tprs.values())
        assert best == next(name for name, tpr in tprs.items() if tpr == tprs[best])
    assert len(chosen) == 5


def test_what_counts_is_the_tpr_at_a_tenth_of_false_positives(signals: Signals) -> None:
    """Not the AUC, nor the TPR at another FPR."""
    members = membership(signals)
    count = members.sum()
    rank = np.arange(count) / count

    def from_ranks(of_members: np.ndarray, of_others: np.ndarray) -> np.ndarray:
        rows = np.zeros(signals.challenge.shape)
        rows[:TRAIN][members], rows[:TRAIN][~members] = of_members, of_others
        return rows

    # Six in ten members above all others, the rest below; and all but a fifth of the others below.
    high = from_ranks(np.where(rank < 0.6, 1, 0), 0.1 + 0.8 * rank)
    wide = from_ranks(0.2 + 0.7 * rank, np.where(rank < 0.2, 1, 0.1 * rank))
    assert (naive_tpr(signals, high), naive_tpr(signals, wide)) == (0.6, 0)
    assert choose(signals, wide=wide, high=high) == "high"
    # Half the members above one in 20 others, all above one in 5.
    strict = from_ranks(np.where(rank < 0.5, 0.9, 0), np.where(rank < 0.05, 1, 0.1 + 0.1 * rank))
    lax = from_ranks(np.where(rank < 0.4, 1, 0.8), np.where(rank < 0.2, 0.9, 0))
    assert (naive_tpr(signals, strict), naive_tpr(signals, lax)) == (0.5, 0.4)
    assert choose(signals, lax=lax, strict=strict) == "strict"


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
    assert naive_tpr(signals, perfect) > naive_tpr(signals, fair) > naive_tpr(signals, wrong)
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
    np.testing.assert_array_equal(auto.scores(signals, others, options), part)


def test_it_takes_no_options() -> None:
    with pytest.raises(InputError, match=r"^attack auto: .*'signal'"):
        registry.options("auto", {"signal": "loss"})
    assert registry.inputs("auto") == ["signals", "others"]


# ---- scripts/attack.py


def run_program(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", str(SCRIPT), "--attack=auto", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def test_the_program_reads_other_submissions(signals: Signals, tmp_path: Path) -> None:
    given = {
        "bad": predictions(signals, 0, 2),
        "good": only(predictions(signals, 3, 1), [0, 2, 3]),
        "worse": predictions(signals, -1, 3),
    }
    for name, rows in given.items():
        submissions.write(tmp_path / name, PHASES, rows)
    arrays.write(tmp_path / "signals.npz", signals)
    base = [f"--signals={tmp_path}/signals.npz", "--phases", TRAIN, 2, 2]
    base.append(f"--output={tmp_path}/auto")

    done = run_program(*base)
    assert (done.returncode, done.stderr) == (1, "error: attack auto: expected --others\n")
    assert not (tmp_path / "auto").exists()

    done = run_program(*base, "--others", *(tmp_path / name for name in given))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"chosen: {tmp_path / 'good'}\n"
    read = submissions.read(tmp_path / "auto", PHASES, POINTS)
    np.testing.assert_array_equal(np.isnan(read), np.isnan(given["good"]))
    kept = ~np.isnan(read)
    assert (np.argsort(read[kept]) == np.argsort(given["good"][kept])).all()
