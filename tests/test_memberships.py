"""Who is what, as given: files against naive loops, and what is released of them."""

import csv
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import programs
import pytest
import torch
from conftest import StoredData
from recipes import recipe
from released_tracks import PHASES, TRACK, scenario
from test_bad_own_data import cut, header, npz, saved, text, zipped

import train as training_program
from mico.attacks import reference_training
from mico.attacks.computing import gradients, outputs
from mico.challenge import membership_files, memberships, seeds, split_file, splits
from mico.challenge.layout import model_folder
from mico.challenge.membership_files import Sizes
from mico.challenge.memberships import Memberships
from mico.challenge.recipe import Recipe, TrainingOptions
from mico.data import store
from mico.networks.build import build
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.release import bundle, reader, writer
from mico.release.bundle import Challenge, Track, content_digest
from mico.release.reader import Disclosed
from mico.support import records
from mico.support.errors import LONGEST, InputError
from mico.training import engine

N, n, m = 300, 150, 10
SIZES = Sizes(PHASES.models, N, n, m)


@dataclass(frozen=True)
class Roles:
    """Who is what in one model, as people think of it."""

    members: list[int]
    non_members: list[int]
    training: list[int]  # all that is trained on, in order, as often as it is

    def rows(self, model: int, rng: np.random.Generator) -> list[list[object]]:
        """Of a CSV, in which rows of non-members stand anywhere."""
        role = dict.fromkeys(self.members, "member")
        found = [[model, record, role.get(record, "training")] for record in self.training]
        for record in self.non_members:
            found.insert(int(rng.integers(len(found) + 1)), [model, record, "non-member"])
        return found


def made(rng: np.random.Generator, members: int) -> Roles:
    """A model of so many members, of which the first is trained on three times."""
    points, rest = np.split(rng.permutation(N), [2 * m])
    inside = points[:members].tolist()
    training = [*inside, inside[0], inside[0], rest[0]]
    training += rest[: n - len(training)].tolist()
    return Roles(inside, points[members:].tolist(), rng.permutation(training).tolist())


@pytest.fixture(scope="module")
def roles() -> list[Roles]:
    """Of seven models, with 1 to 19 members."""
    rng = np.random.default_rng(5)
    return [made(rng, count) for count in (1, 19, 10, 12, 3, 10, 8)]


def write_csv(path: Path, roles: list[Roles], mixed: bool = False) -> Path:
    """Models one after the other, or all mixed, each in its order."""
    rng = np.random.default_rng(6)
    lines = [one.rows(model, rng) for model, one in enumerate(roles)]
    if mixed:
        turns = rng.permutation([model for model, rows in enumerate(lines) for _ in rows])
        left = [iter(rows) for rows in lines]
        lines = [[next(left[model]) for model in turns]]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "record", "role"])
        for rows in lines:
            writer.writerows(rows)
    return path


def arrays_of(roles: list[Roles]) -> dict[str, np.ndarray]:
    """Of an .npz, challenge points in a random order."""
    rng = np.random.default_rng(7)
    challenge = np.array([rng.permutation(one.members + one.non_members) for one in roles])
    membership = np.array(
        [
            [record in one.members for record in row]
            for one, row in zip(roles, challenge, strict=True)
        ]
    )
    return {
        "challenge": challenge,
        "membership": membership,
        "training": np.array([one.training for one in roles]),
    }


def check(found: Memberships, roles: list[Roles]) -> None:
    """Every model against its roles, one record at a time."""
    assert (found.challenge.dtype, found.membership.dtype) == (np.int32, np.bool_)
    assert found.training.dtype == np.int32
    lists = zip(roles, found.challenge, found.membership, found.training, strict=True)
    for model, (one, challenge, membership, training) in enumerate(lists):
        assert sorted(challenge.tolist()) == sorted([*one.members, *one.non_members])
        for record, is_member in zip(challenge.tolist(), membership.tolist(), strict=True):
            assert is_member == (record in one.members)
        assert training.tolist() == one.training
        points = {*one.members, *one.non_members}
        besides = [record for record in one.training if record not in points]
        assert found.besides(model).tolist() == besides


# Files


@pytest.mark.parametrize("mixed", [False, True])
def test_a_csv_is_read_as_a_loop_would(tmp_path: Path, roles: list[Roles], mixed: bool) -> None:
    found = membership_files.read(write_csv(tmp_path / "a.csv", roles, mixed), SIZES)
    check(found, roles)
    # A participant sees the order, in which a file may have all members first.
    assert (np.diff(found.challenge) > 0).all()


def test_a_csv_as_people_write_it(tmp_path: Path, roles: list[Roles]) -> None:
    """A mark before it, another order of columns, blanks, quotation marks, CR LF."""
    plain = membership_files.read(write_csv(tmp_path / "a.csv", roles), SIZES)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    lines = [f'"{role}", {record} ,{model}' for model, record, role in rows]
    (tmp_path / "b.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    again = membership_files.read(tmp_path / "b.csv", SIZES)
    for name, array in vars(plain).items():
        np.testing.assert_array_equal(vars(again)[name], array)


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.int16, ">i4"])
def test_an_npz_is_read_as_it_is(tmp_path: Path, roles: list[Roles], kind: object) -> None:
    given = arrays_of(roles)
    typed = {name: array.astype(kind) for name, array in given.items()}
    np.savez(tmp_path / "a.npz", **typed)
    found = membership_files.read(tmp_path / "a.npz", SIZES)
    check(found, roles)
    assert found.challenge.tolist() == given["challenge"].tolist()
    np.savez_compressed(tmp_path / "b.npz", **given)
    check(membership_files.read(tmp_path / "b.npz", SIZES), roles)


def test_what_is_kept_is_read_again_and_may_be_given(tmp_path: Path, roles: list[Roles]) -> None:
    given = membership_files.read(write_csv(tmp_path / "a.csv", roles), SIZES)
    path = tmp_path / "private" / "memberships.npz"
    memberships.write(path, given)
    kept = memberships.read([path], PHASES.models)
    assert kept is not None
    for again in kept, membership_files.read(path, SIZES):
        for name, array in vars(given).items():
            np.testing.assert_array_equal(vars(again)[name], array)
    assert memberships.read([], PHASES.models) is None
    with pytest.raises(InputError, match=r"b.npz: expected one file"):
        memberships.read([path, tmp_path / "b.npz"], 1)
    with pytest.raises(InputError, match=r"memberships.npz: 7 models, expected 8"):
        memberships.read([path], 8)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:400], whole.replace(b"(7, 20)", b"(7, 19)")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"memberships.npz: .*delete it and run again"):
            memberships.read([path], 7)
    for name, wrong in (
        ("challenge", given.challenge[:3]),
        ("membership", given.membership[0]),
        ("membership", np.array(True)),
        ("training", given.training.astype(np.int64)),
        ("training", given.training[0]),
    ):
        with path.open("wb") as file:
            np.savez(file, **vars(given) | {name: wrong})
        with pytest.raises(InputError, match=r"memberships.npz: damaged"):
            memberships.read([path], 7)


def test_splits_are_those_of_a_loop(roles: list[Roles]) -> None:
    found = Memberships(*(np.array(one) for one in arrays_of(roles).values()))
    every = found.splits(N)
    for model, one in enumerate(roles):
        trained = [record in one.training for record in range(N)]
        assert every.trained[model].tolist() == trained
        split = splits.as_given(N, found, model)
        points = [*one.members, *one.non_members]
        left = [record for record in range(N) if not trained[record] and record not in points]
        assert split.evaluation.tolist() == left
        assert split.training_set.tolist() == one.training
        assert split.challenge.tolist() == found.challenge[model].tolist()
        assert split.membership.tolist() == found.membership[model].tolist()


def of_seeds(every: list[dict[str, int]], records: int, n: int, m: int) -> Memberships:
    """What seeds say, as lists."""
    each = [splits.split(records, n, m, row) for row in every]
    return Memberships(
        np.array([one.challenge for one in each], np.int32),
        np.array([one.membership for one in each]),
        np.array([one.training_set for one in each], np.int32),
    )


def test_lists_that_seeds_give_are_the_same_splits(tmp_path: Path) -> None:
    every = seeds.derive(3, "T1", 7)
    expected = splits.split_all(N, n, m, every)
    split_file.write(tmp_path / "seeds.npz", expected)
    split_file.write(tmp_path / "lists.npz", of_seeds(every, N, n, m).splits(N))
    assert (tmp_path / "seeds.npz").read_bytes() == (tmp_path / "lists.npz").read_bytes()


def test_a_model_is_what_its_lists_and_its_own_seed_say(
    stored_data: StoredData, roles: list[Roles]
) -> None:
    """Another list is another model; the seeds of splits are none of its business."""
    options = {"epochs": 1, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
    one = records.read(Recipe, recipe(n, m, **options), "")
    own = dict(enumerate(seeds.derive(3, "T1", 7)))
    given = Memberships(*(np.array(one) for one in arrays_of(roles).values()))
    data = store.read(stored_data.directory)
    job = training_program.Job(data, one, None, own, torch.device("cpu"), given=given)
    for model, role in enumerate(roles):
        assert job.split(model).training_set.tolist() == role.training
    others = {model: row | {"seed_membership": 1, "seed_training": 2} for model, row in own.items()}
    assert replace(job, seeds=others).identities == job.identities
    reseeded = {model: row | {"seed_model": model} for model, row in own.items()}
    for name, array in vars(given).items():
        changed = array.copy()
        changed[3, 5:7] = changed[3, 6:4:-1] if name != "membership" else ~changed[3, 5:7]
        again = replace(job, given=replace(given, **{name: changed})).identities
        assert [model for model in range(7) if again[model] != job.identities[model]] == [3], name
    again = replace(job, seeds=reseeded).identities
    assert not set(again.values()) & set(job.identities.values())


# Bad files

GOOD = """\
model,record,role
0,1,member
0,2,non-member
0,3,training
1,4,member
1,5,non-member
1,6,training
"""
SMALL = Sizes(2, 8, 2, 1)
ARRAYS = {
    "challenge": np.array([[1, 2], [4, 5]]),
    "membership": np.array([[1, 0], [1, 0]]),
    "training": np.array([[1, 3], [4, 6]]),
}


def lines(old: str = "", new: str = "") -> Callable[[Path], object]:
    """The good CSV, or another."""
    assert old in GOOD
    return text(GOOD.replace(old, new, 1))


def stored(**changes: object) -> Callable[[Path], object]:
    """The good .npz with other arrays; without one that is None."""
    given = {name: array for name, array in (ARRAYS | changes).items() if array is not None}
    return npz(**given)


def pickled(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **ARRAYS | {"challenge": np.array([{}, 1], object)})


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    # No table
    ("a.csv", lambda path: None, "a.csv: expected a file"),
    ("a.csv", lambda path: path.mkdir(), "a.csv: expected a file"),
    ("a.csv", text(""), "a.csv: the file is empty"),
    ("a.csv", text("model,record,role\n"), "a.csv: no rows"),
    ("a.csv", text(b"model,record,role\n0,1,m\xe9mber\n"), "a.csv: line 2: byte 0xe9: expected"),
    ("a.csv", text("model,record,role\n0,1,\0\n"), "a.csv: not a table as text: it holds a NUL"),
    ("a.csv", text(GOOD.replace(",", ";")), "a.csv: this looks like a semicolon-separated file"),
    ("a.csv", stored(), "a.csv: not a table as text: this looks like a zip file"),
    ("a.txt", lines(), "a.txt: expected a name that ends in .csv or .npz"),
    # Columns
    ("a.csv", lines("model,record,role\n"), "a.csv: columns '0', '1', 'member', expected model, "),
    ("a.csv", lines("role", "kind"), "a.csv: columns 'model', 'record', 'kind', expected model,"),
    ("a.csv", lines("role", "model"), "a.csv: the column 'model' is there twice"),
    ("a.csv", lines("record,role", "record"), "a.csv: row 1: 3 fields, expected 2: '0,1,member'"),
    ("a.csv", lines("0,3,training", "0,3"), "a.csv: row 3: 2 fields, expected 3: '0,3'"),
    ("a.csv", lines("0,3,training", "0,3,training,x"), "a.csv: row 3: 4 fields, expected 3"),
    # Values
    ("a.csv", lines("1,4", "2,4"), "a.csv: row 4, column 'model': '2', expected 0 to 1"),
    ("a.csv", lines("1,4", "-1,4"), "a.csv: row 4, column 'model': '-1', expected 0 to 1"),
    ("a.csv", lines("1,4", ",4"), "a.csv: row 4, column 'model': '', expected 0 to 1"),
    ("a.csv", lines("1,4", "one,4"), "a.csv: row 4, column 'model': 'one', expected 0 to 1"),
    ("a.csv", lines("1,4", "1,8"), "a.csv: row 4, column 'record': '8', expected 0 to 7"),
    ("a.csv", lines("1,4", "1,4.0"), "a.csv: row 4, column 'record': '4.0', expected 0 to 7"),
    ("a.csv", lines("1,4", "1,1e0"), "a.csv: row 4, column 'record': '1e0', expected 0 to 7"),
    ("a.csv", lines("1,4", "1,²"), "a.csv: row 4, column 'record': '²', expected 0 to 7"),
    ("a.csv", lines("1,4", "1," + "9" * 5000), "a.csv: row 4, column 'record': '9999"),
    ("a.csv", lines("1,4,member", "1,4,Member"), "row 4, column 'role': 'Member', expected one of"),
    ("a.csv", lines("1,4,member", "1,4,"), "a.csv: row 4, column 'role': '', expected one of mem"),
    # Roles
    (
        "a.csv",
        lines("0,3,training", "0,2,training"),
        "a.csv: row 3: record 2 of model 0 is 'training', and in row 2 'non-member': expected one",
    ),
    (
        "a.csv",
        lines("0,3,training", "0,1,training"),
        "a.csv: row 3: record 1 of model 0 is 'training', and in row 1 'member': expected one role",
    ),
    (
        "a.csv",
        lines("0,3,training", "0,2,non-member"),
        "row 3: record 2 of model 0 is 'non-member', and in row 2 'non-member': expected one role",
    ),
    ("a.csv", lines("1,4,member", "0,7,member"), "model 0: 3 challenge points, expected 2m = 2"),
    ("a.csv", lines("1,5,non-member\n"), "a.csv: model 1: 1 challenge points, expected 2m = 2"),
    ("a.csv", lines("1,6,training\n"), "a.csv: model 1: 1 records that are trained on, expected n"),
    (
        "a.csv",
        text(GOOD + "1,7,training"),
        "model 1: 3 records that are trained on, expected n = 2",
    ),
    (
        "a.csv",
        text(GOOD + "1,6,training"),
        "model 1: 3 records that are trained on, expected n = 2",
    ),
    ("a.csv", text(GOOD[: GOOD.index("1,4")]), "a.csv: model 1: 0 challenge points, expected 2m"),
    (
        "a.csv",
        lines("1,5,non-member\n1,6,training", "1,5,member"),
        "a.csv: model 1: 2 members among 2 challenge points, expected both kinds",
    ),
    (
        "a.csv",
        text(GOOD.replace("1,4,member", "1,4,non-member") + "1,7,training"),
        "a.csv: model 1: 0 members among 2 challenge points, expected both kinds",
    ),
    # No .npz
    ("a.npz", lambda path: None, "a.npz: expected a file"),
    ("a.npz", lines(), "a.npz: not a whole .npz"),
    ("a.npz", text(saved(ARRAYS["challenge"])), "a.npz: not an .npz: this looks like an .npy file"),
    ("a.npz", cut(stored(), 300), "a.npz: not a whole .npz"),
    ("a.npz", text(b"\x80\x04K\x01."), "a.npz: not an .npz: this looks like a pickle"),
    ("a.npz", pickled, "a.npz: challenge: an array of objects, which is a pickle and never read"),
    (
        "a.npz",
        zipped(
            challenge=header("(1000000000000, 2)", "<i8"),
            membership=saved(ARRAYS["membership"]),
            training=saved(ARRAYS["training"]),
        ),
        "a.npz: challenge: 0 bytes, but its header says",
    ),
    # Arrays
    (
        "a.npz",
        stored(training=None),
        "a.npz: 'challenge', 'membership' in it, expected challenge, ",
    ),
    ("a.npz", stored(more=np.ones(2)), "'training', 'more' in it, expected challenge, membership"),
    (
        "a.npz",
        stored(challenge=np.array([[1.0, 2], [4, 5]])),
        "a.npz: challenge: shape (2, 2) of f",
    ),
    ("a.npz", stored(challenge=np.array([[True, False]] * 2)), "challenge: shape (2, 2) of bool"),
    ("a.npz", stored(membership=np.array([["a", "b"]] * 2)), "membership: shape (2, 2) of <U1, ex"),
    (
        "a.npz",
        stored(challenge=np.ones((2, 3), int)),
        "challenge: shape (2, 3) of int64, expected (2",
    ),
    ("a.npz", stored(challenge=np.ones(4, int)), "a.npz: challenge: shape (4,) of int64, expected"),
    (
        "a.npz",
        stored(training=np.ones((3, 2), int)),
        "training: shape (3, 2) of int64, expected (2,",
    ),
    (
        "a.npz",
        stored(training=np.ones((2, 0), int)),
        "training: shape (2, 0) of int64, expected (2,",
    ),
    (
        "a.npz",
        stored(challenge=np.array([[1, 2], [4, 8]])),
        "a.npz: challenge: 8 in model 1 at place 1, expected 0 to 7",
    ),
    (
        "a.npz",
        stored(training=np.array([[1, -3], [4, 6]])),
        "a.npz: training: -3 in model 0 at place 1, expected 0 to 7",
    ),
    (
        "a.npz",
        stored(membership=np.array([[1, 0], [2, 0]])),
        "a.npz: membership: 2 in model 1 at place 0, expected 0 to 1",
    ),
    # Who is what
    (
        "a.npz",
        stored(challenge=np.array([[1, 2], [4, 4]])),
        "a.npz: challenge: record 4 is there twice in model 1",
    ),
    (
        "a.npz",
        stored(training=np.array([[1, 3], [7, 6]])),
        "a.npz: model 1: record 4 is a member, but not in training",
    ),
    (
        "a.npz",
        stored(training=np.array([[1, 2], [4, 6]])),
        "a.npz: model 0: record 2 is no member, but in training",
    ),
    (
        "a.npz",
        stored(membership=np.array([[1, 1], [1, 0]]), training=np.array([[1, 2], [4, 6]])),
        "a.npz: model 0: 2 members among 2 challenge points, expected both kinds",
    ),
    (
        "a.npz",
        stored(challenge=np.array([[2, 1], [4, 5]]), training=np.array([[2, 3], [4, 6]])),
        "a.npz: challenge: the members stand at the same end, or the same places, in every model",
    ),
]


def test_the_good_files_are_good(tmp_path: Path) -> None:
    """Else what is wrong with the bad ones is something else."""
    lines()(tmp_path / "a.csv")
    stored()(tmp_path / "a.npz")
    one, other = (membership_files.read(tmp_path / name, SMALL) for name in ("a.csv", "a.npz"))
    for name, array in vars(one).items():
        np.testing.assert_array_equal(vars(other)[name], array)


@pytest.mark.parametrize(("name", "make", "message"), BAD)
def test_a_bad_file_is_one_line(
    tmp_path: Path,
    small_data: Path,
    name: str,
    make: Callable[[Path], object],
    message: str,
) -> None:
    make(tmp_path / name)
    output = tmp_path / "private" / "memberships.npz"
    sizes = ("--models", 2, "--n", 2, "--m", 1)
    given = ("--given", tmp_path / name, "--data", small_data)
    result = programs.run("memberships", *given, *sizes, "--output", output)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert message in line
    assert len(line) < len(str(tmp_path)) + 200 + LONGEST
    assert not output.parent.exists()


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight records."""
    folder = tmp_path_factory.mktemp("data") / "small"
    description = store.Description("small", 8, 8, 2, True, "test")
    store.write(folder, description, np.zeros((8, 1), np.uint8), np.zeros(8, np.uint8))
    return folder


def test_an_order_that_tells_nothing_is_taken(tmp_path: Path) -> None:
    """Sorted rows, whoever the members are; members at the same end in some models alone."""
    rng = np.random.default_rng(8)
    sizes = Sizes(4, 100, 10, 5)
    points = np.array([rng.choice(100, 10, replace=False) for _ in range(4)])
    first = np.arange(10) < 5

    def given(challenge: np.ndarray, membership: np.ndarray) -> Memberships:
        training = np.array(
            [
                [*row[mask], *np.setdiff1d(np.arange(100), row)[: 10 - mask.sum()]]
                for row, mask in zip(challenge, membership, strict=True)
            ]
        )
        np.savez(tmp_path / "a.npz", challenge=challenge, membership=membership, training=training)
        return membership_files.read(tmp_path / "a.npz", sizes)

    all_first, all_last = np.tile(first, (4, 1)), np.tile(~first, (4, 1))
    given(np.sort(points), all_first)
    other = all_first.copy()
    other[2] = ~first
    given(points, other)
    numbers = np.arange(10) < np.array([[5], [3], [7], [5]])  # first, and never as many
    for tells in all_first, all_last, numbers, ~numbers, np.tile(rng.permutation(first), (4, 1)):
        with pytest.raises(InputError, match="the members stand at the same end"):
            given(points, tells)


# What is released


@dataclass(frozen=True)
class Released:
    """A challenge of lists, and what its organiser knows."""

    challenge: Challenge
    given: Memberships
    records: engine.Records
    data: Path


@pytest.fixture(scope="module")
def released(
    tmp_path_factory: pytest.TempPathFactory, stored_data: StoredData, roles: list[Roles]
) -> Released:
    """Seven models, of which a participant learns all but dev's and final's members."""
    root = tmp_path_factory.mktemp("lists")
    given = membership_files.read(write_csv(root / "given.csv", roles), SIZES)
    one = replace(scenario("lists", ("seed_training",), None), memberships=str(root / "given.csv"))
    data = store.read(stored_data.directory)
    network = build("mlp", data.description)
    loaded = engine.load(network, data, torch.device("cpu"))
    options = TrainingOptions(one.epochs, 16, "adam", 0.01, 0.9, 2)
    own = list(range(PHASES.models))
    with torch.no_grad():
        trained = engine.train(network, loaded, [*given.training.astype(np.int64)], own, options)
    folders = [root / "trained" / f"model_{model}" for model in own]
    for folder, state_dict in zip(folders, network.to_state_dicts(trained), strict=True):
        folder.mkdir(parents=True)
        network.write_model(folder, state_dict, one.private)
    directory, checksums = root / "challenge" / "lists", root / "lists.sha256"
    writer.write(directory, PHASES, given, given.membership, folders, one.disclosed)
    writer.write_checksums(directory, checksums)
    described = Challenge(
        *(one, directory, checksums, Privacy(1 / 10, 60), given.splits(N)),
        *(data.description, content_digest(data)),
    )
    return Released(described, given, loaded, stored_data.directory)


def numbers(path: Path) -> list[int]:
    content = path.read_bytes().decode("ascii")
    assert content.endswith("\r\n")
    return [int(text) for text in content.removesuffix("\r\n").split(",") if text]


def test_lists_stand_in_the_place_of_seeds(released: Released, roles: list[Roles]) -> None:
    for phase, model in PHASES.named():
        one, folder = roles[model], released.challenge.directory / model_folder(phase, model)
        points = numbers(folder / "challenge.csv")
        assert points == sorted([*one.members, *one.non_members])
        names = {"model.pt", "challenge.csv", "training.csv"}
        if phase == "train":
            assert numbers(folder / "training.csv") == one.training
            solution = [int(record in one.members) for record in points]
            assert numbers(folder / "solution.csv") == solution
            names |= {"solution.csv"}
        else:
            besides = [record for record in one.training if record not in points]
            assert numbers(folder / "training.csv") == besides
        assert {path.name for path in folder.iterdir()} == names


@pytest.fixture
def undisclosed(released: Released, tmp_path: Path) -> Path:
    """The same challenge, of which dev and final tell less."""
    plain = []
    for phase, model in PHASES.named():
        plain.append(tmp_path / "models" / f"model_{model}")
        plain[-1].mkdir(parents=True)
        weights = released.challenge.directory / model_folder(phase, model) / "model.pt"
        shutil.copy(weights, plain[-1])
    given = released.given
    writer.write(tmp_path / "made", PHASES, given, given.membership, plain, ())
    return tmp_path / "made"


def test_without_disclosure_dev_and_final_have_their_points_alone(undisclosed: Path) -> None:
    for phase, model in PHASES.named():
        found = {path.name for path in (undisclosed / model_folder(phase, model)).iterdir()}
        more = {"training.csv", "solution.csv"} if phase == "train" else set()
        assert found == {"model.pt", "challenge.csv"} | more
    told = reader.read_splits(undisclosed, PHASES, N, n, m)
    assert list(told.training) == [0, 1, 2]


def test_a_guess_is_as_large_as_training_sets_of_train_models(
    released: Released,
    undisclosed: Path,
    roles: list[Roles],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    call: Callable[..., None],
) -> None:
    """But for their challenge points, on average, since nobody knows how many are members."""
    sizes = []

    def guess(*about: object) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(about[5])
        return np.zeros((2, 4, 2 * m)), np.zeros((4, 2 * m), bool)

    monkeypatch.setattr(reference_training, "train_inferred", guess)
    monkeypatch.setattr(reference_training, "train_rest", lambda *about: np.zeros((2, 2 * m)))
    budget.write(tmp_path / "privacy.json", released.challenge.privacy)
    options = {"epochs": 1, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
    call(
        "target_references",
        *("--challenge", undisclosed, "--data", released.data, "--phases", 3, 2, 2),
        *("--recipe", recipe(n, m, **options), "--privacy", tmp_path / "privacy.json"),
        *("--first", 3, "--last", 4, "--count", 4, "--device", "cpu"),
        *("--output", tmp_path / "out.npz"),
    )
    besides = [
        len(set(one.training) - {*one.members, *one.non_members}) for one in roles[: PHASES.train]
    ]
    assert len(set(besides)) == 3
    assert sizes == [round(sum(besides) / 3)] * 2


def test_a_participant_learns_what_is_released(released: Released, roles: list[Roles]) -> None:
    one = released.challenge
    told = reader.read_splits(one.directory, PHASES, N, n, m, one.checksums)
    assert told.challenge.tolist() == released.given.challenge.tolist()
    assert len(told.trained) == PHASES.train
    for model, role in enumerate(roles):
        if model < PHASES.train:
            assert set(np.flatnonzero(told.trained[model])) == set(role.training)
        points = {*role.members, *role.non_members}
        besides = [record for record in role.training if record not in points]
        assert told.training[model].tolist() == besides
        assert told.others[model] == len(set(besides))


def test_seeds_and_the_lists_that_they_give_tell_the_same(challenges: dict, tmp_path: Path) -> None:
    """To attacks, of all phases, disclosed or not."""
    for name in "plain", "private":
        one = challenges[name]
        given = of_seeds(one.seeds, N, n, m)
        folders = []
        for phase, model in PHASES.named():
            folder = tmp_path / name / "models" / f"model_{model}"
            folder.mkdir(parents=True)
            shutil.copy(one.directory / model_folder(phase, model) / "model.pt", folder)
            folders.append(folder)
        directory = tmp_path / name / "challenge"
        writer.write(directory, PHASES, given, given.membership, folders, one.disclosed)
        expected = reader.read_splits(one.directory, PHASES, N, n, m)
        found = reader.read_splits(directory, PHASES, N, n, m)
        assert found.challenge.tolist() == expected.challenge.tolist()
        assert found.trained.tolist() == expected.trained.tolist()
        assert list(found.training) == list(expected.training)
        for model, training in expected.training.items():
            assert found.training[model].tolist() == training.tolist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train/model_0/challenge.csv", "1,2", "expected 2m = 20 different positions"),
        ("dev/model_3/challenge.csv", ",".join("5" * 20), "expected 2m = 20 different positions"),
        ("dev/model_3/challenge.csv", "300", "'300': expected positions from 0 to 299"),
        ("dev/model_3/challenge.csv", "1;2", "'1;2': expected positions from 0 to 299"),
        ("final/model_5/training.csv", "-1,2", "'-1': expected positions from 0 to 299"),
        ("train/model_2/training.csv", "7,8,9", "3 positions, expected n = 150"),
        ("train/model_2/training.csv", "\xe9", "'é': expected positions"),
        ("train/model_2/training.csv", None, "cannot be read"),
    ],
)
def test_bad_lists_are_named(
    released: Released, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    copied = Path(shutil.copytree(released.challenge.directory, tmp_path / "lists"))
    if content is None:
        (copied / name).unlink()
    else:
        (copied / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        reader.read_splits(copied, PHASES, N, n, m)
    assert str(caught.value).startswith(str(copied / name))
    assert message in str(caught.value)
    with pytest.raises(InputError, match=r"damaged|cannot be read"):
        reader.read_splits(copied, PHASES, N, n, m, released.challenge.checksums)


def test_features_are_of_every_model_or_of_none() -> None:
    """Though one was trained on challenge points alone, or on all that are none."""
    facts = build("mlp", store.Description("d", 50, 8, 2, True, "test")).facts
    challenge = np.tile(np.arange(10), (7, 1))
    rest = np.arange(10, 50)

    def compared(training: dict[int, np.ndarray], count: int = 50) -> list[set[str]]:
        told = Disclosed(challenge, np.zeros((3, count), bool), training)
        found = [gradients._compared(told, one, PHASES, count, facts) for one in range(7)]
        assert all(len(indices) for sets in found for indices in sets.values())
        return [set(sets) for sets in found]

    some = dict.fromkeys(range(7), np.array([20, 20, 30]))
    assert compared(some) == [{"members", "nonmembers"}] * 7
    assert compared(some | {4: rest[:0]}) == [{"all"}] * 7
    assert compared(some | {4: np.concatenate([rest, rest])}) == [{"members"}] * 7
    # In the half design, where each record is a challenge point.
    none = dict.fromkeys(range(7), rest[:0])
    for count in 10, 11:
        assert compared(none, count) == [{"all"}] * 7
        told = Disclosed(challenge, np.zeros((3, count), bool), none)
        (found,) = gradients._compared(told, 0, PHASES, count, facts).values()
        assert sorted(found.tolist()) == list(range(count))


def test_a_bundle_of_lists(released: Released, tmp_path: Path) -> None:
    public, solutions = tmp_path / "lists.zip", tmp_path / "solutions.zip"
    track = Track(TRACK, [released.challenge], PHASES, 1_000_000)
    bundle.write(public, track)
    bundle.write_solutions(solutions, track)
    with zipfile.ZipFile(public) as opened:
        card = opened.read("README.md").decode()
        names = set(opened.namelist())
    assert f"{TRACK}/lists/dev/model_3/challenge.csv" in names
    assert not [name for name in names if "seed_" in name]
    flat = " ".join(card.split())
    assert "No seed gives the split of lists" in flat
    assert "it was trained on some of them and not on the others" in flat
    assert "in train; lists: in dev and final too" in flat
    assert "seed" not in card.replace("No seed gives", "").replace("starter", "")
    assert not {"$", "{"} & set(card)
    with zipfile.ZipFile(solutions) as opened:
        for phase, model in PHASES.named()[3:]:
            row = opened.read(f"{TRACK}/lists/{model_folder(phase, model)}/solution.csv")
            assert row == writer.row(released.given.membership[model])


def test_a_card_of_seeds_and_lists_tells_them_apart(released: Released) -> None:
    by_seeds = replace(released.challenge.scenario, memberships=None, challenge="plain")
    ones = [released.challenge, replace(released.challenge, scenario=by_seeds)]
    flat = " ".join(bundle.data_card(Track(TRACK, ones, PHASES, 1)).split())
    assert "No seed gives the split of lists:" in flat
    assert "Three calls of `torch.utils.data.random_split`" in flat


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # All that a dev model was trained on: its members too.
        ("dev/model_3/training.csv", lambda one: writer.row(one.given.training[3])),
        ("dev/model_3/training.csv", lambda one: writer.row(one.given.besides(4))),
        ("dev/model_3/training.csv", lambda one: writer.row(one.given.besides(3)[1:])),
        ("dev/model_3/challenge.csv", lambda one: writer.row(one.given.challenge[3][::-1])),
        ("dev/model_3/challenge.csv", lambda one: writer.row(one.given.challenge[4])),
        ("dev/model_3/challenge.csv", lambda one: writer.row(one.given.challenge[3]) + b"\n"),
        ("dev/model_3/challenge.csv", lambda one: writer.row(one.given.challenge[3])[:-2]),
        ("train/model_0/training.csv", lambda one: writer.row(one.given.besides(0))),
        ("train/model_0/training.csv", lambda one: writer.row(np.unique(one.given.training[0]))),
        ("train/model_0/solution.csv", lambda one: writer.row(one.given.membership[1])),
    ],
)
def test_a_bundle_with_other_lists_is_refused(
    released: Released, tmp_path: Path, name: str, change: Callable[[Released], bytes]
) -> None:
    copied = Path(shutil.copytree(released.challenge.directory, tmp_path / "lists"))
    (copied / name).write_bytes(change(released))
    checksums = tmp_path / "lists.sha256"
    writer.write_checksums(copied, checksums)
    one = replace(released.challenge, directory=copied, checksums=checksums)
    with pytest.raises(InputError, match=r"not the (list|memberships) of the organiser's splits"):
        bundle.write(tmp_path / "lists.zip", Track(TRACK, [one], PHASES, 1_000_000))
    assert not (tmp_path / "lists.zip").exists()


def test_signals_of_lists(released: Released) -> None:
    """What attacks are given: who was trained on what in train, of the points of any model."""
    network = build("mlp", released.challenge.data)
    one = released.challenge
    with torch.no_grad():
        found = outputs.compute(one.directory, PHASES, network, released.records, n, m)
    points = np.unique(released.given.challenge)
    for model in range(PHASES.models):
        own = points[found.challenge[model]]
        assert own.tolist() == released.given.challenge[model].tolist()
    trained = one.splits.trained[: PHASES.train, points]
    assert found.trained.tolist() == trained.tolist()
