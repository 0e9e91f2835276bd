"""Damaged outputs: the next stage names the file and what to delete, and writes nothing."""

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_files import results_of, write_run

from mico.challenge import model_table, seeds, split_file, splits
from mico.challenge.phases import Phases
from mico.data import store
from mico.data.store import Description
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.release import prediction_files, reader, writer
from mico.scoring import entries
from mico.scoring.entries import Entry
from mico.support import arrays, digests, json_files, tables
from mico.support.errors import InputError

PHASES = Phases(3, 2, 2)
DATA = Path(__file__).parent / "data"
AGAIN = "and run again"


def flip(path: Path, offset: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1 << bit
    path.write_bytes(content)


def one_line(error: object, *parts: object) -> None:
    text = str(error)
    assert len(text.splitlines()) == 1, text
    for part in parts:
        assert str(part) in text, text


# The forms that outputs have


def test_every_flipped_byte_of_a_table_is_found(tmp_path: Path) -> None:
    path = tmp_path / "seeds.csv"
    drawn = seeds.derive(3, "T1", 3)
    seeds.write(path, drawn)
    whole = path.read_bytes()
    for offset in range(len(whole)):
        flip(path, offset)
        try:
            assert seeds.read(path) == drawn, offset  # as in the name of the last column
        except InputError as error:
            one_line(error, path)
        path.write_bytes(whole)


def test_every_flipped_byte_of_a_master_seed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "master_seed"
    seeds.write_master(path, 20221110)
    whole = path.read_bytes()
    for offset in range(len(whole)):
        flip(path, offset)
        with pytest.raises(InputError) as caught:
            seeds.read_master(path)
        one_line(caught.value, path)
        assert "20221110" not in str(caught.value)
        path.write_bytes(whole)
    assert seeds.read_master(path) == 20221110
    # As a person writes it.
    path.write_text("7\n")
    assert seeds.read_master(path) == 7


def test_a_changed_digit_of_a_seed(tmp_path: Path) -> None:
    path = tmp_path / "seeds.csv"
    seeds.write(path, seeds.derive(3, "T1", 3))
    text = path.read_text()
    row = text.splitlines()[2]
    digit = row[-70 - 5]
    changed = row[: -70 - 5] + ("1" if digit != "1" else "2") + row[-70 - 4 :]
    path.write_text(text.replace(row, changed))
    with pytest.raises(InputError, match=r"seeds.csv: damaged") as caught:
        seeds.read(path)
    one_line(caught.value, "row 2", "restore a copy", AGAIN)


def test_a_table_that_a_person_made_needs_no_checksums(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("model,name\n0,a\n")
    assert tables.read(path, ["name"]) == [{"model": "0", "name": "a"}]


def test_every_flipped_byte_of_an_object_is_found(tmp_path: Path) -> None:
    path = tmp_path / "privacy.json"
    spent = Privacy(0.125, 640, 0.54156, 10.04, 1e-5)
    budget.write(path, spent)
    assert json.loads(path.read_text())["noise_multiplier"] == 0.54156
    whole = path.read_bytes()
    for offset in range(len(whole)):
        for bit in 0, 3:
            flip(path, offset, bit)
            try:
                assert budget.read(path) == spent, offset
            except InputError as error:
                one_line(error, path)
            path.write_bytes(whole)


def test_objects_of_every_form_are_read_as_they_were_written(tmp_path: Path) -> None:
    content = {"a": [1, 0.1, None, True, "é"], "b": {"10": {}, "9": [{}]}}
    for indent in None, 2:
        for one in ({}, content, {"a": {"b": {}}}, {"nan": float("inf")}):
            json_files.write(tmp_path / "x.json", one, indent)
            assert json_files.read(tmp_path / "x.json") == one
    json_files.write(tmp_path / "x.json", {"a": {3: (1, 2)}})
    assert json_files.read(tmp_path / "x.json") == {"a": {"3": [1, 2]}}


def known_splits() -> split_file.Splits:
    return splits.split_all(60, 30, 5, seeds.derive(3, "T1", 4))


def same(one: split_file.Splits, other: split_file.Splits) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in fields(split_file.Splits)
    )


def test_flipped_bytes_of_the_splits_are_found(tmp_path: Path) -> None:
    path, known = tmp_path / "splits.npz", known_splits()
    split_file.write(path, known)
    whole = path.read_bytes()
    refused = 0
    offsets = range(0, len(whole), 2)
    for offset in offsets:
        flip(path, offset, offset // 2 % 8)
        try:
            assert same(split_file.read(path), known), offset  # a time, say
        except InputError as error:
            one_line(error, path)
            refused += 1
        path.write_bytes(whole)
    assert refused > len(offsets) / 2


def npz(path: Path, change: Callable[[dict], object]) -> None:
    """Whole again, with other arrays."""
    with np.load(path) as file:
        stored = dict(file)
    change(stored)
    np.savez(path, **stored)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes()[100:]),
        lambda path: path.write_bytes(b"\0" * 1000),
        lambda path: path.write_text("splits"),
        lambda path: path.write_bytes(json.dumps({}).encode()),
        lambda path: np.savez(path, challenge=np.zeros(3)),
        lambda path: shutil.copy(DATA / "splits.json", path),
        lambda path: np.savez(path, **dict.fromkeys(("challenge", "membership"), np.zeros(2))),
        lambda path: npz(path, lambda all: all.update(records=np.array(10**6))),
        lambda path: npz(path, lambda all: all.update(records=np.array([60, 60]))),
        lambda path: npz(path, lambda all: all.update(records=np.array("sixty"))),
        lambda path: npz(path, lambda all: all.update(membership=all["membership"][:3])),
        lambda path: npz(path, lambda all: all.update(membership=all["membership"].astype(float))),
        lambda path: npz(path, lambda all: all.update(trained=all["trained"][:, 1:])),
        lambda path: npz(path, lambda all: all.update(trained=all["trained"].astype(float))),
        lambda path: npz(path, lambda all: all.update(challenge=all["challenge"] + 60)),
        lambda path: npz(path, lambda all: all.update(challenge=all["challenge"] - 60)),
        lambda path: npz(path, lambda all: all.update(challenge=np.array(None))),
        lambda path: npz(path, lambda all: all.pop("trained")),
        lambda path: npz(path, lambda all: all.update(more=np.zeros(1))),
    ],
)
def test_damaged_splits(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "splits.npz"
    split_file.write(path, known_splits())
    damage(path)
    with pytest.raises(InputError) as caught:
        split_file.read(path)
    one_line(caught.value, path, "delete it and run again")


def test_missing_splits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"splits.npz: not a file of splits \(No such file") as one:
        split_file.read(tmp_path / "splits.npz")
    one_line(one.value)


def test_a_shorter_array_than_was_written_is_found(tmp_path: Path) -> None:
    """Of the zip format's checksum numpy alone comes to none that it has not read up to."""
    path = tmp_path / "splits.npz"
    split_file.write(path, splits.split_all(3000, 1000, 500, seeds.derive(3, "T1", 9)))
    content = path.read_bytes()
    assert content.count(b"(9, 1000)") == 2
    path.write_bytes(content.replace(b"(9, 1000)", b"(1, 1000)"))
    with np.load(path) as file:
        assert file["membership"].shape == (1, 1000)
    with pytest.raises(InputError, match="checksum"):
        split_file.read(path)


# Stored data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    rng = np.random.default_rng(1)
    about = Description("tiny", 30, 16, 4, synthetic=True, source="test")
    bits = rng.integers(0, 256, (30, 2), dtype=np.uint8)
    store.write(directory, about, bits, rng.integers(0, 4, 30, dtype=np.uint8))
    return directory


@pytest.mark.parametrize("name", ["features.npy", "labels.npy", "dataset.json"])
def test_every_flipped_byte_of_stored_data_is_found(data: Path, name: str) -> None:
    whole = (data / name).read_bytes()
    for offset in range(len(whole)):
        flip(data / name, offset)
        with pytest.raises(InputError) as caught:
            store.read(data)
        one_line(caught.value, data / name, f"delete {data} {AGAIN}")
        (data / name).write_bytes(whole)
    store.read(data)


def test_labels_alone_are_verified_too(data: Path) -> None:
    assert np.array_equal(store.read_labels(data), store.read(data).labels)
    flip(data / "labels.npy", -1)
    with pytest.raises(InputError, match=r"labels.npy: damaged"):
        store.read_labels(data)


@pytest.mark.parametrize("read", [store.read, store.read_labels])
def test_a_label_of_no_class(data: Path, read: Callable[[Path], object]) -> None:
    """Of a data set that somebody else wrote, whose checksums say so too or are missing."""
    labels = np.load(data / "labels.npy")
    labels[3] = 4
    np.save(data / "labels.npy", labels)
    (data / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"labels.npy: label 4: expected labels below 4"):
        read(data)


def test_a_damaged_listing_of_stored_data(data: Path) -> None:
    text = (data / "SHA256SUMS").read_text()
    assert {line.split()[1] for line in text.splitlines()} == {
        path.name for path in data.iterdir() if path.name != "SHA256SUMS"
    }
    for change in (
        text.replace("labels.npy", "lapels.npy"),
        text[:50],
        "",
        f"x{text[1:]}",
        "\n".join(text.splitlines()[1:]),
    ):
        (data / "SHA256SUMS").write_text(change)
        with pytest.raises(InputError, match="SHA256SUMS") as caught:
            store.read(data)
        one_line(caught.value)


# Models and what is released


def copied(challenge: object, folder: Path) -> tuple[Path, ...]:
    """The organiser's files in a folder of their own; the shards."""
    shutil.copytree(challenge.organiser, folder)
    return folder / "0-4", folder / "5-6"


def release(
    run_script: Callable, folder: Path, shards: tuple[Path, ...], scenario: str = "plain"
) -> object:
    return run_script(
        "release",
        *("--scenario", scenario, "--seeds", folder / "seeds.csv"),
        *("--splits", folder / "splits.npz"),
        *("--shards", *shards, "--phases", 3, 2, 2),
        *("--output", folder / "out", "--checksums", folder / "out.sha256"),
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:1000]),
        lambda path: flip(path, path.stat().st_size // 2),
        lambda path: path.write_bytes((path.parents[1] / "model_3" / "model.pt").read_bytes()),
    ],
    ids=["empty", "cut", "truncated", "flipped", "of another model"],
)
def test_a_damaged_model_is_not_released(
    run_script, challenges: dict, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    damage(shards[0] / "model_2" / "model.pt")
    result = release(run_script, folder, shards)
    assert result.returncode == 1
    one_line(result.stderr, shards[0] / "model_2", f"delete {shards[0]} and 0-4.csv beside it")
    assert not (folder / "out").exists()
    assert not (folder / "out.sha256").exists()


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda path: path.unlink(), ["0-4.csv: cannot be read"]),
        (lambda path: path.write_text(""), ["0-4.csv: missing column model"]),
        (lambda path: flip(path, 200), ["0-4.csv: damaged"]),
        (lambda path: flip(path, path.stat().st_size - 5), ["0-4.csv: damaged"]),
        (
            lambda path: path.write_text("\n".join(path.read_text().splitlines()[:-1])),
            ["model_4: in none of the tables"],
        ),
    ],
)
def test_a_damaged_table_of_models(
    run_script, challenges: dict, tmp_path: Path, change: Callable[[Path], object], parts: list
) -> None:
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    change(folder / "0-4.csv")
    result = release(run_script, folder, shards)
    assert result.returncode == 1
    one_line(result.stderr, *parts)
    assert not (folder / "out").exists()


def test_splits_of_other_models_are_not_released(
    run_script, challenges: dict, tmp_path: Path
) -> None:
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    drawn = challenges["plain"].seeds[:6]
    split_file.write(folder / "splits.npz", splits.split_all(300, 150, 10, drawn))
    result = release(run_script, folder, shards)
    assert result.returncode == 1
    one_line(result.stderr, folder / "splits.npz", "6 models, expected 7")


def test_splits_of_another_scenario_are_not_released(
    run_script, challenges: dict, tmp_path: Path
) -> None:
    """Of the same sizes, from other seeds."""
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    shutil.copy(challenges["private"].organiser / "splits.npz", folder)
    result = release(run_script, folder, shards)
    assert result.returncode == 1
    one_line(result.stderr, folder / "splits.npz", "model 0: not the challenge points that ", AGAIN)
    assert not (folder / "out").exists()


def test_models_of_another_scenario_are_not_released(
    run_script, challenges: dict, tmp_path: Path
) -> None:
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    other = challenges["private"].organiser
    shutil.rmtree(shards[1])
    shutil.copytree(other / "5-6", shards[1])
    shutil.copy(other / "5-6.csv", folder)
    result = release(run_script, folder, shards)
    assert result.returncode == 1
    one_line(result.stderr, "5-6.csv: models of scenario 'private', expected of plain")
    assert not (folder / "out").exists()


def test_a_released_model_lists_what_was_trained(challenges: dict) -> None:
    """The sums of the models are those that were found when they were verified."""
    one = challenges["private"]
    listed = digests.read_listing(one.checksums)
    assert len(listed) == 7 * 2 + 3 * 3 + 4
    for name, expected in listed.items():
        assert digests.of_file(one.directory.parent / name) == expected


@pytest.mark.parametrize("name", ["seed_challenge", "seed_membership", "model.pt"])
@pytest.mark.parametrize(
    "program", ["signals", "whitebox", "shared_references", "target_references"]
)
def test_a_participant_is_told_of_a_damaged_release(
    run_script, challenges: dict, tmp_path: Path, name: str, program: str
) -> None:
    one = challenges["plain"]
    directory = tmp_path / "plain"
    shutil.copytree(one.directory, directory)
    checksums = shutil.copy(one.checksums, tmp_path / "sums")
    path = directory / "train" / "model_1" / name
    flip(path, path.stat().st_size // 2)
    given = [
        "--challenge",
        directory,
        "--checksums",
        checksums,
        "--data",
        one.data.directory,
        "--phases",
        3,
        2,
        2,
    ]
    given += ["--device", "cpu", "--output", tmp_path / "out.npz"]
    if program in ("signals", "whitebox"):
        given += ["--architecture", "mlp", "--n", 150, "--m", 10]
    else:
        from recipes import recipe

        options = {"epochs": 1, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
        given += ["--recipe", recipe(150, 10, **options), "--first", 0, "--last", 0]
        given += ["--privacy", one.organiser / "privacy.json"]
        given += ["--count", 2] if program == "target_references" else []
    result = run_script(program, *given)
    if program == "shared_references" and name == "model.pt":
        assert result.returncode == 0  # it reads the seeds alone
        return
    assert result.returncode == 1
    one_line(result.stderr, path, f"delete {directory} and {checksums}, and run again")
    assert not (tmp_path / "out.npz").exists()


def test_a_release_without_checksums_is_read_as_it_is(challenges: dict, tmp_path: Path) -> None:
    """As a participant unpacks it."""
    one = challenges["plain"]
    shutil.copytree(one.directory, tmp_path / "plain")
    found = reader.read_splits(tmp_path / "plain", one.phases, 300, 150, 10)
    expected = reader.read_splits(one.directory, one.phases, 300, 150, 10)
    assert np.array_equal(found.challenge, expected.challenge)


@pytest.mark.parametrize("change", [lambda text: text[70:], lambda text: f"{text}x\n"])
def test_a_damaged_list_of_a_release(
    challenges: dict, tmp_path: Path, change: Callable[[str], str]
) -> None:
    one = challenges["plain"]
    shutil.copytree(one.directory, tmp_path / "plain")
    checksums = tmp_path / "plain.sha256"
    checksums.write_text(change(one.checksums.read_text()))
    with pytest.raises(InputError, match=r"plain.sha256"):
        reader.read_splits(tmp_path / "plain", one.phases, 300, 150, 10, checksums)


# Signals, predictions, entries, results


def test_flipped_bytes_of_arrays_are_found(tmp_path: Path) -> None:
    from mico.attacks.given.signals import Signals

    path = tmp_path / "signals.npz"
    known = Signals(np.ones((3, 4)), np.ones((3, 4)), np.ones((2, 4), bool), np.zeros((3, 2), int))
    arrays.write(path, known)
    whole = path.read_bytes()
    for offset in range(0, len(whole), 2):
        flip(path, offset, 4)
        try:
            found = arrays.read(path, Signals, "signals")
            for field in fields(Signals):
                assert np.array_equal(getattr(found, field.name), getattr(known, field.name))
        except InputError as error:
            one_line(error, path)
        path.write_bytes(whole)


def test_a_changed_prediction_is_found(tmp_path: Path) -> None:
    directory = tmp_path / "predictions"
    values = np.linspace(0, 1, 28).reshape(7, 4)
    prediction_files.write(directory, PHASES, values, "chose nothing")
    assert np.array_equal(prediction_files.read(directory, PHASES, 4), values)
    path = directory / "dev" / "model_3" / "prediction.csv"
    text = path.read_text()
    path.write_text(text.replace("0.5", "0.6"))
    assert path.read_text() != text
    with pytest.raises(InputError) as caught:
        prediction_files.read(directory, PHASES, 4)
    one_line(caught.value, path, f"delete {directory} {AGAIN}")
    path.write_text(text)
    # A train model that was left out has no file; one whose file is gone is not left out.
    shutil.rmtree(directory / "train" / "model_1")
    with pytest.raises(InputError, match=r"model_1/prediction.csv: cannot be read"):
        prediction_files.read(directory, PHASES, 4)


def test_a_changed_score_of_an_entry_is_found(tmp_path: Path) -> None:
    path = tmp_path / "auto.json"
    row = {"challenge": "a", "scenario": "A", "tpr_at_fpr_0.1": 0.25}
    entries.write(path, Entry("auto", "shopping", builtin=True, scores=[row]))
    assert entries.read(path).scores == [row]
    path.write_text(path.read_text().replace("0.25", "0.95"))
    with pytest.raises(InputError, match="not as its checksum says; delete it and run again"):
        entries.read(path)


@pytest.mark.parametrize("name", ["scores.csv", "comparisons.csv", "curves.json", "audit.json"])
def test_a_changed_result_is_not_reported(tmp_path: Path, name: str) -> None:
    paths = write_run(tmp_path, ["auto", "lira"])
    names = ("scores.csv", "comparisons.csv", "curves.json", "audit.json", "notes.json")
    names += ("submissions.json",)
    sums = {one: digests.of_file(tmp_path / one) for one in names}
    (tmp_path / "scores.sha256").write_text(digests.listing(sums))
    results_of(paths)
    flip(tmp_path / name, 40)
    with pytest.raises(InputError) as caught:
        results_of(paths)
    one_line(caught.value, tmp_path / name, f"delete {tmp_path / 'scores.sha256'} {AGAIN}")


@pytest.mark.parametrize("lines", [0, 1])
def test_a_listing_of_results_that_is_cut_off(tmp_path: Path, lines: int) -> None:
    paths = write_run(tmp_path, ["auto", "lira"])
    listing = tmp_path / "scores.sha256"
    sums = {"audit.json": digests.of_file(tmp_path / "audit.json")}
    listing.write_text("".join(digests.listing(sums).splitlines(keepends=True)[:lines]))
    with pytest.raises(InputError, match=r"\(not listed in ") as caught:
        results_of(paths)
    one_line(caught.value, listing, AGAIN)


@pytest.mark.parametrize("lines", [0, 3])
def test_a_listing_of_predictions_that_is_cut_off(tmp_path: Path, lines: int) -> None:
    directory = tmp_path / "predictions"
    prediction_files.write(directory, PHASES, np.linspace(0, 1, 28).reshape(7, 4))
    listing = directory / digests.LISTING
    listing.write_text("".join(listing.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(InputError, match=r"\(not listed in ") as caught:
        prediction_files.read(directory, PHASES, 4)
    one_line(caught.value, f"delete {directory} {AGAIN}")


def test_a_changed_accuracy_is_not_reported(tmp_path: Path) -> None:
    paths = write_run(tmp_path, ["auto", "lira"])
    path = paths["models"][0]
    rows = pd.read_csv(path, dtype=str).to_dict("records")
    whole = dict.fromkeys(model_table.COLUMNS, "x")
    model_table.write(path, [whole | {str(name): one for name, one in row.items()} for row in rows])
    results_of(paths)
    path.write_text(path.read_text().replace("0.99", "0.59", 1))
    with pytest.raises(InputError, match=r"damaged \(row 1 is not as its") as caught:
        results_of(paths)
    one_line(caught.value, path, "delete it and the folder of its name")


def test_a_challenge_may_be_the_working_directory(
    challenges: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = challenges["plain"]
    monkeypatch.chdir(one.directory)
    found = reader.read_splits(Path(), one.phases, 300, 150, 10)
    assert len(found.challenge) == 7


def test_collected_scores_are_listed(run_script, tmp_path: Path) -> None:
    row = {"challenge": "a", "scenario": "A", "participant": "auto"}
    entry = Entry("auto", "shopping", builtin=True, problems=["none"], scores=[row])
    entries.write(tmp_path / "auto.json", entry)
    kinds = {"scores": "csv", "comparisons": "csv", "curves": "json", "audit": "json"}
    kinds |= {"notes": "json", "submissions": "json"}
    flags = [part for one, end in kinds.items() for part in (f"--{one}", tmp_path / f"{one}.{end}")]
    listing = tmp_path / "scores.sha256"
    given = ("--entries", tmp_path / "auto.json", "--challenges", "a", "--checksums", listing)
    result = run_script("collect", *given, *flags)
    assert result.returncode == 0, result.stderr
    assert digests.read_listing(listing) == {
        f"{one}.{end}": digests.of_file(tmp_path / f"{one}.{end}") for one, end in kinds.items()
    }


# What does not change


def test_a_shards_table_keeps_its_columns(tmp_path: Path) -> None:
    """And can be read as any CSV."""
    row = dict.fromkeys(model_table.COLUMNS, 0.5) | {"model": 3, "scenario": "T1"}
    model_table.write(tmp_path / "3-3.csv", [row])
    table = pd.read_csv(tmp_path / "3-3.csv")
    assert list(table) == [*model_table.COLUMNS, "sha256"]
    assert table.training_accuracy.tolist() == [0.5]


def test_models_are_hashed_once_in_a_release(
    run_script, challenges: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "private"
    shards = copied(challenges["plain"], folder)
    hashed = []
    of_file = digests.of_file

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return of_file(path)

    monkeypatch.setattr(digests, "of_file", counted)
    assert release(run_script, folder, shards).returncode == 0
    assert hashed.count("model.pt") == 7
    assert writer.trained(shards, 7)
