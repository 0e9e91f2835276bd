"""Outputs of anybody's models in files: read as they are, and attacked by a run of the workflow."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_library import CLASSES, MODELS, RECORDS, made, naive_margins
from tiny_configuration import DEFAULTS, configuration
from tiny_configuration import run as checked
from workflow_runs import planned, snakemake

import mico
from mico.attacks.computing import array_files
from mico.attacks.given import signals, whitebox
from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.support.errors import InputError
from mico.workflow import jobs, outside, resources
from mico.workflow.plan import make, public

LOGITS, LABELS, TRAINED = made()
MARGINS = naive_margins(LOGITS, LABELS)
SHARES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)


def archive(folder: Path, **arrays: object) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / "outputs.npz", **arrays)
    return folder / "outputs.npz"


def loose(folder: Path, **arrays: np.ndarray) -> Path:
    """A folder of .npy."""
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "notes.txt").touch()
    return folder


def by_model(folder: Path, epochs: bool, labels: str = "labels", **arrays: np.ndarray) -> Path:
    """A folder for each model, with or without a folder of epochs, as LiRA's programs have it."""
    keep = arrays.pop("keep")
    for model in range(len(keep)):
        # The order of the names is not that of the numbers.
        own = folder / f"experiment-{model}_{len(keep)}"
        own.mkdir(parents=True)
        np.save(own / "keep.npy", keep[model])
        for name, array in arrays.items():
            if epochs:
                (own / name).mkdir()
                np.save(own / name / "0000000050.npy", np.zeros_like(array[model]))
                np.save(own / name / "0000000100.npy", array[model])
            else:
                np.save(own / f"{name}.npy", array[model])
    np.save(folder / f"{labels}.npy", LABELS)
    np.save(folder / "x_train.npy", np.zeros((RECORDS, 2)))
    return folder


def queries(array: np.ndarray) -> np.ndarray:
    """The array with two axes of queries after the records: one of 1, and one of 2 about a mean."""
    return np.stack([array - 0.25, array + 0.25], axis=2)[:, :, None]


FORMS = {
    "logits": lambda path: archive(path, logits=LOGITS, labels=LABELS, trained=TRAINED),
    "single precision": lambda path: archive(
        path, logits=LOGITS.astype(np.float32), labels=LABELS.astype(np.uint8), trained=TRAINED
    ),
    "probabilities": lambda path: archive(path, probabilities=SHARES, labels=LABELS, keep=TRAINED),
    "scores": lambda path: archive(path, scores=MARGINS, keep=TRAINED),
    "numbers for bool": lambda path: archive(path, scores=MARGINS, keep=TRAINED.astype(np.int8)),
    "more records kept": lambda path: archive(
        path, scores=MARGINS, keep=np.concatenate([TRAINED, ~TRAINED], axis=1)
    ),
    "queries": lambda path: archive(path, scores=queries(MARGINS), keep=TRAINED),
    "queries of logits": lambda path: archive(
        path, logits=np.stack([LOGITS, LOGITS], axis=2), y_train=LABELS, keep=TRAINED
    ),
    "folder": lambda path: loose(path, scores=MARGINS, keep=TRAINED, labels=LABELS),
    "folder of logits": lambda path: loose(path, logits=LOGITS, trained=TRAINED, labels=LABELS),
    "models": lambda path: by_model(path, False, scores=MARGINS[:, :, None], keep=TRAINED),
    "models, epochs": lambda path: by_model(
        path, True, "y_train", scores=queries(MARGINS), logits=LOGITS, keep=TRAINED
    ),
    "models, logits": lambda path: by_model(path, True, logits=LOGITS[:, :, None], keep=TRAINED),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_the_same_outputs_are_read(tmp_path: Path, form: str) -> None:
    path = FORMS[form](tmp_path / "outputs")
    assert array_files.models(path) == MODELS
    found = array_files.read(path)
    order = np.arange(MODELS)
    if form.startswith("models"):
        order = np.array(sorted(order, key=lambda model: f"experiment-{model}_{MODELS}"))
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(found.signals.margin, MARGINS[order], **close)
    np.testing.assert_allclose(found.signals.loss, -np.log1p(np.exp(-MARGINS[order])), **close)
    np.testing.assert_array_equal(found.membership, TRAINED[order])
    expected = LABELS if form not in FORMS or found.classes is not None else np.zeros(RECORDS)
    np.testing.assert_array_equal(found.whitebox.classes, expected)
    assert (found.classes is None) == (
        form in ("scores", "numbers for bool", "more records kept", "queries")
    )


def changed(name: str, place: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    arrays = {"logits": LOGITS, "labels": LABELS, "trained": TRAINED}
    arrays[name] = arrays[name].astype(type(value)) if name == "trained" else arrays[name].copy()
    arrays[name][place] = value
    return arrays


def header(shape: tuple[int, ...], kind: str) -> bytes:
    """An .npy of which there is the header alone."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def raw(folder: Path, trained: bytes, flags: int = 0) -> Path:
    """An archive with these bytes for an array, and these flags of zip's."""
    path = archive(folder, scores=MARGINS)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("trained.npy", trained)
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= flags
    content[content.rindex(b"PK\x03\x04") + 6] |= flags
    path.write_bytes(content)
    return path


def nested(folder: Path) -> Path:
    path = loose(folder, keep=TRAINED)
    archive(folder, scores=MARGINS).rename(folder / "scores.npy")
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


BAD = {
    "nothing": (lambda path: path / "nowhere", "nowhere: expected an .npz or a folder (No such"),
    "empty folder": (lambda path: loose(path), "nothing in it, expected one of"),
    "no outputs": (
        lambda path: archive(path, keep=TRAINED),
        "keep in it, expected one of scores, logits, probabilities",
    ),
    "no memberships": (
        lambda path: archive(path, scores=MARGINS),
        "scores in it, expected one of trained, keep",
    ),
    "no labels": (
        lambda path: archive(path, logits=LOGITS, keep=TRAINED),
        "labels or y_train: missing, which logits need",
    ),
    "pickles": (
        lambda path: archive(path, scores=np.array([{}], object), keep=TRAINED),
        "scores: expected an array (Object arrays cannot be loaded",
    ),
    "other models": (
        lambda path: archive(path, scores=MARGINS[1:], keep=TRAINED),
        "keep: shape (12, 80) of bool, expected shape (11, 80) of bool",
    ),
    "fewer records": (
        lambda path: archive(path, scores=MARGINS, keep=TRAINED[:, 1:]),
        "keep: shape (12, 79) of bool, expected shape (12, 80) of bool",
    ),
    "more records in memberships that are not LiRA's": (
        lambda path: archive(path, scores=MARGINS, trained=np.concatenate([TRAINED] * 2, axis=1)),
        "trained: shape (12, 160) of bool, expected shape (12, 80) of bool",
    ),
    "one axis": (
        lambda path: archive(path, scores=MARGINS[0], keep=TRAINED),
        "scores: shape (80,) of float64, expected numbers (models, records)",
    ),
    "one axis of memberships": (
        lambda path: archive(path, scores=MARGINS, keep=TRAINED[0]),
        "keep: shape (80,), expected (models, records)",
    ),
    "two models": (
        lambda path: archive(path, scores=MARGINS[:2], keep=TRAINED[:2]),
        "2 models: expected at least 3",
    ),
    "texts": (
        lambda path: archive(path, scores=MARGINS.astype(str), keep=TRAINED),
        "of <U32, expected numbers",
    ),
    "half a member": (
        lambda path: archive(path, scores=MARGINS, keep=TRAINED / 2),
        "keep: shape (12, 80) of float64, expected shape (12, 80) of bool",
    ),
    "a model of all": (
        lambda path: archive(path, **(changed("trained", (3,), True))),
        "trained: model 3 trained on all of the records",
    ),
    "not a number": (
        lambda path: archive(path, **changed("logits", (2, 7, 1), np.nan)),
        "logits: nan at (2, 7, 1), expected finite numbers",
    ),
    "a class too many": (
        lambda path: archive(path, **changed("labels", (5,), CLASSES)),
        "labels: 3 of record 5, expected 0 to 2",
    ),
    "labels of other records": (
        lambda path: archive(path, scores=MARGINS, keep=TRAINED, y_train=LABELS[1:]),
        "y_train: shape (79,) of int64, expected shape (80,) of integers",
    ),
    "no queries": (
        lambda path: archive(path, scores=MARGINS[:, :, None][:, :, :0], keep=TRAINED),
        "scores: shape (12, 80, 0), expected at least 1 on every axis",
    ),
    "more than a double holds": (
        lambda path: archive(path, scores=np.longdouble(10) ** (900 + MARGINS), keep=TRAINED),
        "scores: inf at (0, 0), expected finite numbers",
    ),
    "more than has a square": (
        lambda path: archive(path, scores=MARGINS * 1e200, keep=TRAINED),
        "at (0, 0), expected numbers between -1e+100 and 1e+100",
    ),
    "a difference that is more than a double holds": (
        lambda path: archive(
            path, logits=np.where(LOGITS > 0, 1.7e308, -1.7e308), labels=LABELS, keep=TRAINED
        ),
        "expected numbers between -1e+100 and 1e+100",
    ),
    "no arrays": (
        lambda path: raw(path, b"no array"),
        "trained: expected an array (the magic string is not correct",
    ),
    "negative numbers": (
        lambda path: raw(path, header((-12, -80), "|b1")),
        "-12 models: expected at least 3",
    ),
    "more than any memory": (
        lambda path: raw(path, header((12, 10**17), "|b1")),
        "trained: expected an array (Unable to allocate",
    ),
    "encrypted": (
        lambda path: raw(path, header((12, 80), "|b1"), flags=1),
        "trained: expected an array (File 'trained.npy' is encrypted",
    ),
    "an archive for an array": (
        lambda path: nested(path),
        "scores.npy: expected an array (not an .npy)",
    ),
    "a pipe": (lambda path: pipe(path), "expected an .npz or a folder (no plain file)"),
    "a pipe in a folder": (
        lambda path: pipe(loose(path, scores=MARGINS) / "keep.npy").parent,
        "keep: expected an array (no plain file)",
    ),
    "a folder for an array": (
        lambda path: (loose(path, keep=TRAINED) / "scores.npy").mkdir() or path,
        "scores.npy: expected an array (no plain file)",
    ),
    "a link to itself": (
        lambda path: path.symlink_to(path) or path,
        "expected an .npz or a folder (Too many levels of symbolic links)",
    ),
    "no probabilities": (
        lambda path: archive(path, probabilities=LOGITS, labels=LABELS, keep=TRAINED),
        "probabilities: expected numbers in [0, 1] that add up to 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_outputs_that_are_none_are_one_clear_line(tmp_path: Path, case: str) -> None:
    make_files, said = BAD[case]
    path = make_files(tmp_path / "outputs")

    def look() -> None:
        array_files.models(path)
        array_files.read(path)

    with pytest.raises(InputError) as refused:
        look()
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", ["no outputs", "no labels", "two models", "a pipe"])
def test_what_a_plan_can_tell_is_told_before_a_run(tmp_path: Path, case: str) -> None:
    make_files, said = BAD[case]
    with pytest.raises(InputError) as refused:
        array_files.models(make_files(tmp_path / "outputs"))
    assert said in str(refused.value)


def test_arrays_of_all_models_go_before_folders_of_single_ones(tmp_path: Path) -> None:
    """A folder that lies beside them may hold an older experiment."""
    path = loose(tmp_path / "outputs", scores=MARGINS, keep=TRAINED)
    np.save(loose(path / "old", scores=MARGINS[0]) / "keep.npy", TRAINED[0])
    assert array_files.models(path) == MODELS
    assert np.array_equal(array_files.read(path).signals.margin, MARGINS)


def test_labels_may_be_any_numbers_where_no_outputs_say_how_many_there_are(tmp_path: Path) -> None:
    """An attack counts the records of each class, and would count up to the largest."""
    path = archive(tmp_path, scores=MARGINS, keep=TRAINED, labels=LABELS * 10**15)
    found = array_files.read(path)
    assert np.array_equal(found.classes, LABELS * 10**15)
    assert np.array_equal(found.whitebox.classes, LABELS)


def test_files_behind_links_are_files_of_the_folder(tmp_path: Path) -> None:
    """Models' folders may lie elsewhere: what changes there is seen, and takes memory."""
    by_model(tmp_path / "elsewhere", False, scores=MARGINS, keep=TRAINED)
    path = tmp_path / "outputs"
    path.mkdir()
    for folder in (tmp_path / "elsewhere").iterdir():
        (path / folder.name).symlink_to(folder)
    (path / "back").symlink_to(tmp_path)
    (path / "broken").symlink_to("nowhere")
    state = outside.state.__wrapped__
    before = state(path)
    assert state(path) == before
    assert outside.size(path) > MARGINS.nbytes
    changed = next((tmp_path / "elsewhere").glob("*/scores.npy"))
    np.save(changed, np.load(changed) + 1)
    assert state(path) != before


def test_a_text_or_half_a_file_is_no_archive(tmp_path: Path) -> None:
    whole = archive(tmp_path, scores=MARGINS, keep=TRAINED)
    content = whole.read_bytes()
    for part in b"", b"models,records\n1,2\n", content[:1000], content[: len(content) // 2]:
        (tmp_path / "part.npz").write_bytes(part)
        for look in array_files.models, array_files.read:
            with pytest.raises(InputError, match=r"part\.npz: expected an \.npz or a folder"):
                look(tmp_path / "part.npz")
    # A flipped bit in an array.
    damaged = bytearray(content)
    damaged[500] ^= 1
    (tmp_path / "part.npz").write_bytes(damaged)
    with pytest.raises(InputError, match=r"part\.npz: scores: expected an array"):
        array_files.read(tmp_path / "part.npz")


def test_folders_of_models_must_be_alike(tmp_path: Path) -> None:
    folder = by_model(tmp_path / "models", False, scores=MARGINS, keep=TRAINED)
    own = folder / f"experiment-4_{MODELS}"
    np.save(own / "scores.npy", MARGINS[4, :10])
    with pytest.raises(InputError, match=r"4_12/scores\.npy: shape \(10,\), expected \(80,\) as"):
        array_files.read(folder)
    (own / "scores.npy").unlink()
    with pytest.raises(InputError, match=r"4_12/scores\.npy: expected an array \(No such file"):
        array_files.read(folder)


def test_the_program_writes_what_attacks_and_the_scorer_read(
    tmp_path: Path, call: Callable[..., None]
) -> None:
    path = archive(tmp_path, logits=LOGITS, labels=LABELS, trained=TRAINED)
    written = {name: tmp_path / f"{name}.npz" for name in ("signals", "whitebox", "splits")}
    for name, file in written.items():
        call("given_outputs", "--outputs", path, f"--{name}", file)
    phases = Phases(MODELS, 0, 0)
    found = signals.read([written["signals"]], phases)
    np.testing.assert_allclose(found.margin, MARGINS)
    assert found.train_models == MODELS
    read = whitebox.read([written["whitebox"]], found, phases)
    assert read.features.shape == (MODELS, RECORDS, 0)
    assert read.classes.tolist() == LABELS.tolist()
    splits = split_file.read(written["splits"])
    np.testing.assert_array_equal(splits.membership, TRAINED)
    assert splits.challenge.tolist() == [list(range(RECORDS))] * MODELS


def test_a_plan_of_outputs(tmp_path: Path) -> None:
    path = archive(tmp_path, scores=MARGINS, keep=TRAINED)
    second = archive(tmp_path / "more", scores=-MARGINS, keep=TRAINED)
    references = {"count": 4, "train_models": 0, "shard_size": 2, "scenarios": []}
    others = {"target_references": references}
    others |= {"shared_references": {"scenarios": [], "count": 3, "shard_size": 2}}
    items = [
        {"id": "A", "outputs": str(path)},
        {"id": "B", "outputs": str(second), "challenge": "long", "track": "A"},
    ]
    plan = make(checked(scenarios=items, **others), look=False)
    assert plan.phases == [MODELS, 0, 0]
    assert plan.tracks == ["A"]
    assert list(plan.challenges) == ["A", "long"]
    assert plan.ranked == plan.packed == plan.handed_in == plan.datasets == []
    assert plan.model_rows({}) == []
    job = {"track": "A", "challenge": "long", "participant": "lira", "entry": "lira"}
    assert plan.inputs(job) == {"signals": "<results>/signals/A/long.npz"}
    assert jobs.outputs_flag(plan, job, {}) == f"--outputs {second}"
    assert jobs.made_outputs(plan, job) == []
    assert "--unsolved A long" in jobs.entry_columns(plan, job)
    assert plan.for_entry("{id}")(job) == []
    assert plan.for_entry("{id}", with_outputs=True)(job) == ["A", "B"]
    assert resources.attack_mb(plan, job) > 600
    told = public(plan.challenges["long"])
    assert told["outputs"] is True
    assert told["n"] is told["epsilon"] is None
    assert str(tmp_path) not in json.dumps(told)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (
            [{"id": "A", "outputs": "{}"}, "T1"],
            "outputs or weights: expected in all scenarios of a run",
        ),
        ([{"outputs": "{}"}], "scenario number 1: missing key 'id'"),
        ([{"id": "A", "outputs": "{}"}] * 2, "scenario A: its id is there twice"),
        (
            [{"id": "A", "outputs": "{}"}, {"id": "B", "outputs": "{}", "challenge": "A"}],
            "scenario B: challenge 'A' is that of A too",
        ),
        ([{"id": "A", "outputs": "nowhere.npz"}], "scenario A: outputs: nowhere.npz: expected an"),
        (
            [{"id": "A", "outputs": "{}", "n": 5}],
            "scenario A: unknown key 'n', known: id, challenge, track, outputs",
        ),
        ([{"id": "A", "outputs": 5}], "scenario A: outputs: 5 is not of type 'string'"),
        (
            [{"id": "A", "outputs": "{}"}, {"id": "B", "outputs": "{few}"}],
            "scenario B: outputs: 11 models, but A has 12",
        ),
    ],
)
def test_plans_that_are_refused(tmp_path: Path, items: list, said: str) -> None:
    paths = {
        "{}": str(archive(tmp_path, scores=MARGINS, keep=TRAINED)),
        "{few}": str(archive(tmp_path / "few", scores=MARGINS[1:], keep=TRAINED[1:])),
    }
    given = [
        {key: paths.get(value, value) for key, value in item.items()}
        if isinstance(item, dict)
        else item
        for item in items
    ]
    with pytest.raises(InputError) as refused:
        checked(scenarios=given, **{key: configuration()[key] for key in ("datasets",)})
    assert said in str(refused.value)


def one_of_each() -> list[dict[str, object]]:
    """The first of the default attacks by each formula, and those of reference models."""
    found = {one["attack"]: one for one in reversed(DEFAULTS["attacks"])}
    return [*found.values(), {"name": "shared", "attack": "bavaria", "shared_references": 3}]


@pytest.mark.parametrize("kind", ["target_references", "shared_references"])
def test_no_reference_models_are_trained_for_outputs(tmp_path: Path, kind: str) -> None:
    given = [{"id": "A", "outputs": str(archive(tmp_path, scores=MARGINS, keep=TRAINED))}]
    kinds = ("target_references", "shared_references")
    references = {one: configuration()[one] | {"scenarios": ["A"] * (one == kind)} for one in kinds}
    with pytest.raises(
        InputError, match=f"{kind}: scenarios: 'A' is of given models, with no recipe"
    ):
        checked(scenarios=given, **references)


@pytest.mark.slow
def test_a_run_on_outputs_scores_as_the_library_does(checkout: Path) -> None:
    """Every attack that needs no training, to the last digit; the pages say what is not known."""
    logits = archive(checkout / "theirs", logits=LOGITS, labels=LABELS, trained=TRAINED)
    margins = by_model(checkout / "lira", True, scores=MARGINS[:, :, None], keep=TRAINED)
    (checkout / "outputs.yaml").write_text(
        "run: outputs\nscenarios:\n"
        f"  - {{id: mine, outputs: {logits}}}\n"
        f"  - {{id: lira, outputs: {margins.relative_to(checkout)}}}\n"
        f"attacks: {json.dumps(one_of_each())}\n"
    )
    arguments = ("--configfile", "outputs.yaml")
    snakemake(checkout, "--cores", "2", *arguments)
    results = checkout / "results/outputs"
    table = pd.read_csv(results / "scores.csv")
    assert set(table.phase) == {"train"}
    assert set(table.models) == {MODELS}
    attacks = {
        one["name"]: one for one in json.loads((results / "run.json").read_text())["attacks"]
    }
    trained = {name for name in attacks if "shared" in name or name.startswith("references")}
    challenge = mico.from_logits(LOGITS, LABELS, TRAINED, name="mine")
    mine = table[table.scenario == "mine"].set_index("participant")
    assert set(mine.index) == set(attacks) - trained
    for name, about in attacks.items():
        if name in trained or about["attack"] == "auto":
            continue
        options = {key: value for key, value in about.items() if key not in ("name", "attack")}
        found = challenge.score(challenge.attack(about["attack"], **options)).loc["all"]
        for metric, value in found.items():
            assert mine.loc[name, metric] == value, (name, metric)
    assert mine.loc["auto", "auc"] > 0.55
    # And the library takes the run.
    run = mico.load_run(results)
    again = run.challenge("mine")
    np.testing.assert_array_equal(again.membership, TRAINED)
    scores = run.predictions("lira-online", "mine")
    assert again.score(scores).loc["train", "auc"] == mine.loc["lira-online", "auc"]
    assert run.ceilings("mine") == {"fpr": [], "bound": [], "heuristic": []}
    report = (results / "report.html").read_text()
    said = f"Outputs of {MODELS} models, given as they are; each model is attacked with all the"
    assert report.count(said) == 2
    assert "ε not known" in report
    assert str(checkout) not in report
    assert not (results / "scoreboard").exists()
    of_records = pd.read_csv(results / "records/mine/records.csv").set_index("record").sort_index()
    assert of_records.in_models.tolist() == TRAINED.sum(axis=0).tolist()
    assert set(of_records.challenge_models) == {MODELS}
    assert not planned(snakemake(checkout, "--dry-run", *arguments))
    # Other contents run the attacks on them again, and no others.
    shutil.copy(archive(checkout / "other", scores=-MARGINS, keep=TRAINED), logits)
    jobs = planned(snakemake(checkout, "--dry-run", *arguments))
    assert jobs["given_signals"] == jobs["given_membership"] == 1
    assert jobs["attack"] == len(mine)
