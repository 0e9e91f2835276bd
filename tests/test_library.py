"""`import mico` in a notebook: runs, releases and arrays, by loops and by what runs wrote."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scored_run import METRICS
from sklearn.metrics import roc_auc_score

import library_page
import mico
from mico import library
from mico.challenge.layout import SOLUTION
from mico.data import store
from mico.data.formats.purchase100_synthetic import purchase100
from mico.data.store import Description
from mico.library import release
from mico.training import device

ROOT = Path(__file__).parents[1]
RELEASE = Path(__file__).parent / "data" / "original_release"
MODELS, RECORDS, CLASSES = 12, 80, 3


def made(seed: int = 1, effect: float = 1.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of models that fit what they trained on better, labels, and who trained on what.

    Every record is in half of the training sets, and these are of different sizes.
    """
    rng = np.random.default_rng(seed)
    trained = rng.random((MODELS, RECORDS)).argsort(axis=0) < MODELS // 2
    labels = rng.integers(0, CLASSES, RECORDS)
    logits = rng.normal(0, 1, (MODELS, RECORDS, CLASSES))
    logits += rng.normal(0, 2, (RECORDS, CLASSES))
    logits[:, np.arange(RECORDS), labels] += effect * trained
    return logits, labels, trained


def naive_margins(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    margins = np.empty(logits.shape[:2])
    for model, of_model in enumerate(logits):
        for record, values in enumerate(of_model):
            shares = np.exp(values) / np.exp(values).sum()
            own = shares[labels[record]]
            margins[model, record] = np.log(own / (1 - own))
    return margins


# ---- Arrays.


def test_three_forms_of_the_same_models_are_one_challenge() -> None:
    logits, labels, trained = made()
    shares = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    margins = naive_margins(logits, labels)
    forms = (
        mico.from_logits(logits, labels, trained),
        mico.from_probabilities(shares, labels, trained),
        mico.from_margins(margins, trained),
    )
    for one in forms:
        np.testing.assert_allclose(one.signals.margin, margins, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(one.signals.loss, -np.log1p(np.exp(-margins)), rtol=1e-8)
        np.testing.assert_array_equal(one.membership, trained)
        assert one.signals.challenge.tolist() == [list(range(RECORDS))] * MODELS


def naive_lira(margins: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Online, each model against all others (Carlini et al. 2022, Algorithm 1)."""
    scores = np.empty(margins.shape)
    for target in range(len(margins)):
        others = [model for model in range(len(margins)) if model != target]
        for record in range(margins.shape[1]):
            sides = [
                [margins[model, record] for model in others if trained[model, record] == inside]
                for inside in (True, False)
            ]
            inside, outside = (
                norm.logpdf(margins[target, record], np.mean(side), np.std(side)) for side in sides
            )
            scores[target, record] = inside - outside
    return scores


def naive_rmia(margins: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """Online with gamma 1, on the population of all records (Zarifzadeh et al. 2024, eq. 3)."""
    shares = 1 / (1 + np.exp(-margins))
    scores = np.empty(margins.shape)
    for target in range(len(margins)):
        ratios = []
        for record in range(margins.shape[1]):
            sides = ([], [])
            for model in range(len(margins)):
                if model != target:
                    sides[int(trained[model, record])].append(shares[model, record])
            reference = (np.mean(sides[0]) + np.mean(sides[1])) / 2
            ratios.append(shares[target, record] / reference)
        scores[target] = [np.mean([own / other > 1 for other in ratios]) for own in ratios]
    return scores


@pytest.mark.parametrize(
    ("attack", "naive"), [("lira", naive_lira), ("rmia", naive_rmia)], ids=["lira", "rmia"]
)
def test_tprs_are_those_of_an_independent_computation(attack: str, naive: Callable) -> None:
    logits, labels, trained = made()
    challenge = mico.from_logits(logits, labels, trained)
    expected = naive(naive_margins(logits, labels), trained)
    scores = challenge.attack(attack)
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)
    found = challenge.score(scores).loc["all"]
    assert found["auc"] == pytest.approx(roc_auc_score(trained.ravel(), expected.ravel()))
    ranked = np.sort(expected[~trained])[::-1]
    for rate in (0.01, 0.1):
        threshold = ranked[int(rate * len(ranked))]
        tpr = (expected[trained] > threshold).mean()
        assert found[f"tpr_at_fpr_{rate:g}"] == pytest.approx(tpr, abs=1e-12)


@pytest.mark.slow
def test_intervals_are_those_of_resampled_models_of_unequal_halves() -> None:
    """By the definition, resample by resample: models are drawn whole."""
    logits, labels, trained = made(effect=1)
    challenge = mico.from_logits(logits, labels, trained, name="halves")
    assert len({*trained.sum(axis=1)}) > 3
    scores = challenge.attack("threshold", signal="loss")
    found = challenge.score(scores).loc["all"]
    rng = np.random.default_rng([MODELS, *b"halves"])
    draws = rng.multinomial(MODELS, np.full(MODELS, 1 / MODELS), size=1000)
    values: dict[str, list[float]] = {"auc": [], "advantage": [], "tpr_at_fpr_0.1": []}
    for counts in draws:
        models = np.repeat(np.arange(MODELS), counts)
        truth, own = trained[models].ravel(), scores[models].ravel()
        values["auc"].append(roc_auc_score(truth, own))
        thresholds = np.unique(own)
        tprs, fprs = (
            1 - np.searchsorted(np.sort(own[side]), thresholds) / side.sum()
            for side in (truth, ~truth)
        )
        values["advantage"].append(max(0, (tprs - fprs).max()))
        values["tpr_at_fpr_0.1"].append(tprs[fprs <= 0.1 + 1e-12].max(initial=0))
    for name, replicates in values.items():
        expected = np.quantile(replicates, [0.025, 0.975])
        np.testing.assert_allclose(
            [found[f"{name}_low"], found[f"{name}_high"]], expected, rtol=1e-5, atol=1e-6
        )


def test_differences_are_paired() -> None:
    logits, labels, trained = made()
    challenge = mico.from_logits(logits, labels, trained)
    strong, weak = challenge.attack("lira"), challenge.attack("threshold", signal="loss")
    table = challenge.compare(strong, weak)
    assert list(table.columns) == ["difference", "low", "high"]
    for metric, row in table.iterrows():
        both = [challenge.score(one).loc["all", metric] for one in (strong, weak)]
        assert row["difference"] == pytest.approx(both[0] - both[1])
        assert row["low"] <= row["difference"] <= row["high"]
    assert (challenge.compare(strong, strong) == 0).all(axis=None)
    other_way = challenge.compare(weak, strong)
    np.testing.assert_allclose(other_way["low"], -table["high"], atol=1e-9)


def test_every_attack_on_outputs_works_on_arrays() -> None:
    """`stacked` too, with the classes alone; those that need more say what."""
    logits, labels, trained = made()
    challenge = mico.from_logits(logits, labels, trained)
    needed = {"centred": {"centre": "in", "signal": "loss"}, "threshold": {"signal": "conf"}}
    needed |= {"base": {"variant": "base1"}, "target-references": {"count": 2}}
    attacked = []
    for name in mico.attack_names():
        options = needed.get(name, {})
        if name in ("auto", "target-references", "rest-reference", "seed-search"):
            with pytest.raises(mico.InputError, match=f"^attack {name}: needs .*, arrays has sig"):
                challenge.attack(name, **options)
            continue
        scores = challenge.attack(name, **options)
        assert np.isfinite(scores).all()
        assert challenge.score(scores).loc["all", "auc"] > 0.55
        attacked.append(name)
    assert len(attacked) >= 8


def test_curves_are_drawn() -> None:
    logits, labels, trained = made()
    challenge = mico.from_logits(logits, labels, trained)
    curve = challenge.roc(challenge.attack("lira"))
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]
    axes = mico.plot_roc({"LiRA": curve})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["LiRA", "a guess"]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    equal = pd.DataFrame({"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]})
    for curves in {"equal scores": equal}, {}:
        assert mico.plot_roc(curves).get_xlim() == (0.1, 1)


X, Y, T = made()


@pytest.mark.parametrize(
    ("logits", "labels", "trained", "message"),
    [
        (X[0], Y, T, "logits: shape (80, 3) of float64, expected numbers (models, records, cl"),
        (X.astype(str), Y, T, "logits: shape (12, 80, 3) of <U"),
        (X[..., :1], Y * 0, T, "logits: 1 classes, expected at least 2"),
        (np.where(X.max() == X, np.nan, X), Y, T, "logits: nan at ("),
        (X[:0], Y, T, "logits: shape (0, 80, 3) of float64"),
        (X, Y[1:], T, "labels: shape (79,) of int64, expected shape (80,) of integers"),
        (X, Y + 0.5, T, "labels: shape (80,) of float64, expected shape (80,) of integers"),
        (X, Y + 1, T, "labels: 3 of record "),
        (X, Y - 1, T, "labels: -1 of record "),
        (X, Y, T.T, "trained: shape (80, 12) of bool, expected shape (12, 80) of bool"),
        (X, Y, T * 1, "trained: shape (12, 80) of int64, expected shape (12, 80) of bool"),
        (X, Y, T | True, "trained: model 0 trained on all of the records"),
        (X, Y, T & False, "trained: model 0 trained on none of the records"),
        (X[:2], Y, T[:2], "2 models: expected at least 3, two of them shadow models"),
    ],
)
def test_bad_arrays_are_told_in_a_line(
    logits: np.ndarray, labels: np.ndarray, trained: np.ndarray, message: str
) -> None:
    with pytest.raises(mico.InputError) as caught:
        mico.from_logits(logits, labels, trained)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_arrays_of_no_regular_shape_or_with_a_mask_are_refused() -> None:
    logits, labels, trained = made()
    for arguments in (([[[1, 2], [1]]], labels, trained), (logits, [[1], [1, 2]], trained)):
        with pytest.raises(mico.InputError, match=r"^(logits|labels): no array "):
            mico.from_logits(*arguments)
    margins = np.ma.masked_less(naive_margins(logits, labels), 0)
    with pytest.raises(mico.InputError, match=r"^margins: some are masked, expected an array"):
        mico.from_margins(margins, trained)
    challenge = mico.from_logits(logits, labels, trained)
    for scores, reason in (
        ([[1], [1, 2]], "scores: no array "),
        (margins, "scores: some are masked"),
        (margins.data + 1j, "scores: of type complex128, expected numbers"),
        (np.full(margins.shape, None), "scores: of type object, expected numbers"),
    ):
        with pytest.raises(mico.InputError, match=f"^{reason}"):
            challenge.score(scores)


def test_scores_that_leave_every_model_out_are_refused() -> None:
    challenge = mico.from_logits(*made())
    nothing, some = np.full((MODELS, RECORDS), np.nan), np.zeros((MODELS, RECORDS))
    for call in (
        lambda: challenge.score(nothing),
        lambda: challenge.compare(some, nothing),
        lambda: challenge.roc(nothing),
    ):
        with pytest.raises(mico.InputError, match=r"^scores: those of every model .*are left out$"):
            call()


@pytest.mark.parametrize(
    "about",
    [
        {"scenarios": [], "models": [4, 2, 1]},
        {"scenarios": [1], "models": {"train": 4, "dev": 2, "final": 1}},
        {"scenarios": [{"id": "A"}], "models": {"train": 4, "dev": 2, "final": 1}},
        {"scenarios": [], "models": {"train": "4", "dev": 2, "final": 1}},
        {"scenarios": [], "models": {"train": 4, "dev": 2, "final": 1, "more": 1}},
    ],
)
def test_a_run_of_another_form_is_named(tmp_path: Path, about: dict) -> None:
    (tmp_path / "run.json").write_text(json.dumps(about))
    expected = re.escape(f"{tmp_path / 'run.json'}: expected models and scenarios of a run (")
    with pytest.raises(mico.InputError, match=expected):
        mico.load_run(tmp_path)


def test_tables_of_a_run_are_verified_and_damage_is_named(tmp_path: Path) -> None:
    about = {"scenarios": [{"id": "A", "challenge": "a", "track": "t", "m": 2}]}
    about |= {"models": {"train": 4, "dev": 2, "final": 1}}
    (tmp_path / "run.json").write_text(json.dumps(about))
    run, path = mico.load_run(tmp_path), tmp_path / "scores.csv"
    for content in (b"", b"\xff\xfe\x00", b"a,b\n1,2,3\n1,2,3,4\n"):
        path.write_bytes(content)
        with pytest.raises(mico.InputError, match=r"scores\.csv: cannot be read as a table \("):
            _ = run.scores
    path.write_text("participant,tpr\nauto,0.25\n")
    listing = tmp_path / "scores.sha256"
    listing.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  scores.csv\n")
    assert run.scores.tpr.tolist() == [0.25]
    path.write_text(path.read_text().replace("0.25", "0.95"))
    with pytest.raises(mico.InputError, match=r"scores\.csv: damaged \(another SHA-256"):
        _ = run.scores
    (tmp_path / "ceilings").mkdir()
    (tmp_path / "ceilings" / "A.json").write_text("[]")
    with pytest.raises(mico.InputError, match="ceilings of a: expected an object"):
        run.ceilings("a")


def test_a_device_that_there_is_not_and_a_folder_without_models(tmp_path: Path) -> None:
    with pytest.raises(mico.InputError, match=r"^device 'gpu': expected one of auto, cpu, cuda$"):
        device.available("gpu")
    with pytest.raises(mico.InputError, match=r"train: cannot be read"):
        release._phases(tmp_path)


def test_probabilities_that_are_logits_are_refused() -> None:
    with pytest.raises(mico.InputError, match=r"^probabilities: expected numbers in"):
        mico.from_probabilities(X, Y, T)


def test_scores_of_another_shape_or_that_are_no_numbers_are_refused() -> None:
    challenge = mico.from_logits(X, Y, T)
    with pytest.raises(mico.InputError, match=r"^scores of shape \(12, 79\), expected \(12, 80\)"):
        challenge.score(np.zeros((12, 79)))
    scores = np.zeros((12, 80))
    scores[3, 4] = np.nan
    with pytest.raises(mico.InputError, match=r"^scores: a score is not a number"):
        challenge.score(scores)
    with pytest.raises(mico.InputError, match=r"^phase 'dev': expected one of all$"):
        challenge.roc(np.zeros((12, 80)), "dev")


# ---- The names, and the page.


def test_the_reference_is_what_the_docstrings_say() -> None:
    text = library_page.PAGE.read_text(encoding="utf-8")
    assert library_page.page_text(text) == text
    assert text.count("\n### ") == len(library.__all__)


def test_the_package_has_the_names_of_its_library_and_stub() -> None:
    stub = (ROOT / "scripts/mico/__init__.pyi").read_text().splitlines()
    assert sorted(line.split()[-1] for line in stub) == sorted(library.__all__)
    assert all(getattr(mico, name) is getattr(library, name) for name in library.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = mico.nothing


@pytest.mark.slow
def test_importing_the_package_imports_no_library() -> None:
    code = "import mico, sys; print([name for name in sys.modules if name.startswith('numpy')])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT / "scripts"
    )
    assert result.stdout == "[]\n"


# ---- The original release.


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data that the models of tests/data were trained on."""
    folder = tmp_path_factory.mktemp("stand-in") / "data"
    bits, labels = purchase100(4000, seed=1)
    description = Description("purchase100-synthetic", 4000, 600, 100, True, "test")
    store.write(folder, description, np.packbits(bits, axis=1), labels)
    return folder


def released(folder: Path) -> Path:
    """A release of three train models and one of each other phase, of the original's files."""
    source = RELEASE / "purchase100_inf"
    train = sorted(source.glob("train/model_*"))
    others = sorted(source.glob("dev/model_*")) + sorted(source.glob("final/model_*"))
    for number in range(3):
        shutil.copytree(train[number % len(train)], folder / f"train/model_{number}")
    for number, phase in ((3, "dev"), (4, "final")):
        target = folder / phase / f"model_{number}"
        shutil.copytree(others[0] if others else train[0], target)
        for secret in "solution.csv", "seed_training", "seed_membership":
            (target / secret).unlink(missing_ok=True)
    return folder


def test_a_release_is_attacked_and_train_models_are_scored(stand_in: Path, tmp_path: Path) -> None:
    folder = released(tmp_path / "purchase100_inf")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    challenge = mico.load_release(folder, stand_in, "mlp", 3040, device="cpu")
    assert list(challenge.phases) == ["train"]
    for model in range(3):
        text = (folder / f"train/model_{model}/solution.csv").read_text()
        assert challenge.membership[model].astype(int).tolist() == [*map(int, text.split(","))]
    scores = challenge.attack("threshold", signal="loss")
    table = challenge.score(scores)
    assert list(table.index) == ["train"]
    assert table.loc["train", "auc"] > 0.6  # without DP it overfits
    shutil.copy(folder / "train/model_0/solution.csv", folder / "dev/model_3/solution.csv")
    again = mico.load_release(folder, stand_in, "mlp", 3040, device="cpu")
    assert list(again.phases) == ["train", "dev"]
    (folder / "dev/model_3/solution.csv").unlink()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "train/model_0" / SOLUTION).unlink(),
            r"model_0/solution\.csv: cannot be read \(No such file",
        ),
        (lambda f: (f / "train/model_1").rename(f / "train/model_9"), "train: model_1 is missing"),
        (lambda f: shutil.rmtree(f / "final"), "final: cannot be read"),
        (lambda f: (f / "train/model_1" / SOLUTION).write_text("0,2\n"), "a row of 0 and 1$"),
        (
            lambda f: (f / "train/model_1" / SOLUTION).write_text("0,1\n"),
            "1 members among 2, expected 100 among 200",
        ),
        (lambda f: (f / "dev/model_3/model.pt").write_bytes(b"x"), r"dev/model_3/model\.pt: "),
        (lambda f: (f / "dev/model_3/seed_challenge").write_text("-1"), "seed_challenge"),
    ],
)
def test_a_release_that_is_not_whole_is_named(
    stand_in: Path, tmp_path: Path, damage: Callable, message: str
) -> None:
    folder = released(tmp_path / "purchase100_inf")
    damage(folder)
    with pytest.raises(mico.InputError, match=message) as caught:
        mico.load_release(folder, stand_in, "mlp", 3040, device="cpu")
    assert "\n" not in str(caught.value)


# ---- Runs.


def test_a_run_gives_what_its_tables_say(tiny: Path) -> None:
    """Every attack of the run again, in memory: the predictions and the scores of the files."""
    run = mico.load_run(tiny)
    assert not run.comparisons.empty
    attacks = json.loads((tiny / "run.json").read_text())["attacks"]
    seen = 0
    for name, scenario in run.challenges.items():
        challenge = run.challenge(name)
        rows = run.scores[run.scores["challenge"] == name]
        for one in attacks:
            options = {key: value for key, value in one.items() if key not in ("name", "attack")}
            participant = one["name"]
            if one["attack"] == "auto" or participant not in set(rows["participant"]):
                continue
            scores = challenge.attack(one["attack"], **options)
            expected = run.predictions(participant, name)
            np.testing.assert_array_equal(np.isnan(scores), np.isnan(expected))
            there = ~np.isnan(expected[:, 0])
            np.testing.assert_array_equal(
                pd.Series(scores[there].ravel()).rank().to_numpy(),
                pd.Series(expected[there].ravel()).rank().to_numpy(),
            )
            own = rows[rows["participant"] == participant].set_index("phase")
            found = challenge.score(scores)
            assert list(found.index) == list(own.index)
            for metric in METRICS:
                for column in (metric, f"{metric}_low", f"{metric}_high"):
                    np.testing.assert_array_equal(found[column], own[column])
            seen += 1
        assert run.ceilings(name) or scenario["clipping_norm"] is None
    assert seen >= 8


def test_a_run_without_the_organisers_files_is_scored_on_train(tiny: Path, tmp_path: Path) -> None:
    for part in "run.json", "signals", "scores.csv":
        source = tiny / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / part)
    run = mico.load_run(tmp_path)
    name = next(iter(run.challenges))
    assert list(run.challenge(name).phases) == ["train"]
    with pytest.raises(mico.InputError, match=r"comparisons\.csv: missing"):
        _ = run.comparisons
    with pytest.raises(mico.InputError, match="challenge 'nothing': expected one of "):
        run.challenge("nothing")


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(mico.InputError, match=r"run\.json: cannot be read"):
        mico.load_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(mico.InputError, match=r"run\.json: expected 'scenarios' in it$"):
        mico.load_run(tmp_path)


# ---- Scores.


def csv_file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "lines",
    [
        ["0.5,1", "-1e3,0", "2,1", "0.25,0"],
        ["score,member", "0.5,1", "-1e3,0", "2,1", "0.25,0"],
        ["Is_Member,loss", "1,0.5", "0,-1e3", "1,2", "0,0.25"],
        ["1, 0.5", "0, -1e3", "1, 2", "0, 0.25"],
        ["a,b", "0.5,1", "-1e3,0", "2,1", "0.25,0"],
    ],
)
def test_a_csv_of_scores_is_read_as_it_is(tmp_path: Path, lines: list[str]) -> None:
    found = mico.load_scores(csv_file(tmp_path / "scores.csv", "\n".join(lines)))
    assert found.scores.tolist() == [0.5, -1000, 2, 0.25]
    assert found.members.tolist() == [True, False, True, False]
    # Both hold 0 and 1: the memberships are where the header says, and else the second.
    both = mico.load_scores(csv_file(tmp_path / "both.csv", "member,score\n1,0\n0,0\n1,1\n"))
    assert both.members.tolist() == [True, False, True]
    plain = mico.load_scores(csv_file(tmp_path / "plain.csv", "1,0\n0,0\n1,1\n"))
    assert plain.members.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"expected a CSV of two columns \(No columns"),
        ("1\n2\n", "1 columns, expected a score and a membership"),
        ("1,0,1\n", "3 columns, expected"),
        ("0.5,1\n0.2,2\n", "expected a column of 0 and 1, whether a record is a member"),
        ("score,member\n0.5,yes\n", "expected a column of 0 and 1"),
        ("member,keep\n1,0\n0,1\n", "expected a column of 0 and 1"),
        ("0.5,1\nnan,0\n", "row 2: 'nan', expected a number"),
        ("score,member\n0.5,1\n,0\n", "row 3: '', expected a number"),
        ("0.5,1\n0.2,1\n", "expected members and non-members, all 2 are alike"),
        ("score,member\n", "expected members and non-members, all 0 are alike"),
    ],
)
def test_scores_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(mico.InputError, match=said) as refused:
        mico.load_scores(csv_file(tmp_path / "scores.csv", text))
    assert "\n" not in str(refused.value)
    with pytest.raises(mico.InputError, match="No such file"):
        mico.load_scores(tmp_path / "nowhere.csv")


@pytest.mark.slow
def test_scores_are_scored_with_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By scikit-learn's AUC, and by intervals that hold the truth about as often as they say."""
    monkeypatch.setattr("mico.library.scores.REPLICATES", 200)
    rng = np.random.default_rng(7)
    truth, held = 0.7602, 0  # of normals a distance of 1 apart
    for number in range(20):
        members = np.arange(400) % 2 == 0
        table = pd.DataFrame({"score": rng.normal(members), "member": members.astype(int)})
        table.to_csv(tmp_path / f"{number}.csv", index=False)
        one = mico.load_scores(tmp_path / f"{number}.csv")
        found = one.score().loc["all"]
        assert found["auc"] == pytest.approx(roc_auc_score(members, table["score"]))
        assert found["auc_low"] < found["auc"] < found["auc_high"]
        held += found["auc_low"] <= truth <= found["auc_high"]
        curve = one.roc()
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(found["auc"])
    assert held >= 15  # of 20 at 95 %: fewer has a chance of 0.03 %
