"""Splits: those of the published code, bit for bit."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, random_split

from mico.challenge import seeds, split_file, splits
from mico.data import store
from mico.data.store import Description
from mico.support.errors import InputError

GOLDEN = Path(__file__).parent / "data" / "splits.json"
SEEDS = {"seed_challenge": 11, "seed_training": 12, "seed_membership": 13}


def golden_cases() -> list:
    cases = json.loads(GOLDEN.read_text())["cases"]
    return [pytest.param(case, id=f"{case['dataset']}-{i}") for i, case in enumerate(cases)]


def digest(indices) -> str:
    """As the file of golden splits has it: of the comma-joined decimal indices, in order."""
    return hashlib.sha256(",".join(map(str, indices)).encode()).hexdigest()[:24]


def positions(indices, within) -> np.ndarray:
    """Where each of `indices` stands in the array `within`."""
    place = np.full(within.max() + 1, -1)
    place[within] = np.arange(len(within))
    return place[indices]


@pytest.mark.parametrize("case", golden_cases())
def test_split_is_that_of_the_published_code(case) -> None:
    records, n, m = case["len_dataset"], case["len_training"], case["len_challenge"]
    one = splits.split(records, n, m, case)
    rest = splits.challenge_order(records, case["seed_challenge"])[2 * m :]
    membership = one.membership
    expected = case["sha256_24"]

    assert one.challenge[:5].tolist() == case["challenge_first5"]
    assert "".join(str(int(bit)) for bit in membership) == case["solution"]
    found = {
        "challenge": digest(one.challenge),
        "rest": digest(rest),
        "training": digest(positions(one.training_set[m:], rest)),
        "evaluation": digest(positions(one.evaluation, rest)),
        "member": digest(positions(one.training_set[:m], one.challenge)),
        "train_items": digest(one.training_set[:20_000]),
    }
    # The order of the non-members is used nowhere, and so not kept; the set of them is in the
    # solution, and their order the first half of the permutation that the members end.
    order = torch.randperm(2 * m, generator=torch.Generator().manual_seed(case["seed_membership"]))
    assert sorted(order[:m].tolist()) == np.flatnonzero(~membership).tolist()
    found["nonmember"] = digest(order[:m].tolist())
    assert found == expected


class Records(Dataset):
    """A data set of which record i is the number i."""

    def __init__(self, length) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index) -> int:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return index


def generator(seed) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("records", "n", "m"),
    [(1000, 600, 50), (301, 150, 10), (200, 100, 99), (12, 7, 5), (40, 20, 20), (41, 20, 20)],
)
@pytest.mark.parametrize("seed", [0, 2**31, 2**32 - 1, 2**63 - 3])
@pytest.mark.filterwarnings("ignore:Length of split")  # of one record, none of which is trained on
def test_split_is_three_random_splits(records, n, m, seed) -> None:
    """Built once more from torch's own pieces, and read through them as training would."""
    chosen = dict(zip(seeds.SPLIT_SEEDS, (seed, seed // 3, seed + 2), strict=True))
    challenge, rest = random_split(
        Records(records), [2 * m, records - 2 * m], generator(chosen["seed_challenge"])
    )
    training, evaluation = random_split(
        rest, [n - m, records - n - m], generator(chosen["seed_training"])
    )
    nonmember, member = random_split(challenge, [m, m], generator(chosen["seed_membership"]))

    one = splits.split(records, n, m, chosen)
    assert one.challenge.tolist() == list(challenge)
    assert one.training_set.tolist() == list(member) + list(training)
    assert one.evaluation.tolist() == list(evaluation)
    assert one.challenge[one.membership].tolist() == sorted(
        member, key=one.challenge.tolist().index
    )
    assert set(one.challenge[~one.membership].tolist()) == set(nonmember)


@pytest.mark.parametrize(
    ("records", "n", "m"),
    [(1000, 600, 50), (110, 60, 50), (3, 2, 1), (100, 50, 50), (101, 50, 50), (60, 20, 20)],
)
def test_every_record_is_in_its_place_once(records, n, m) -> None:
    one = splits.split(records, n, m, SEEDS)
    assert len(one.challenge) == len(one.membership) == 2 * m
    assert one.membership.sum() == m
    assert len(one.training_set) == n
    assert len(one.evaluation) == records - n - m
    outside = one.challenge[~one.membership]
    everything = np.concatenate([one.training_set, outside, one.evaluation])
    assert sorted(everything.tolist()) == list(range(records))
    assert set(one.training_set[:m].tolist()) == set(one.challenge[one.membership].tolist())
    assert not set(one.challenge.tolist()) & set(one.training_set[m:].tolist())
    assert not set(one.challenge.tolist()) & set(one.evaluation.tolist())


def arrays(one) -> list[list[int]]:
    return [
        array.tolist()
        for array in (one.challenge, one.membership, one.training_set, one.evaluation)
    ]


@pytest.mark.parametrize("kind", seeds.SPLIT_SEEDS)
def test_low_32_bits_of_a_seed_decide(kind) -> None:
    ours = arrays(splits.split(1000, 600, 50, SEEDS | {kind: 42}))
    assert arrays(splits.split(1000, 600, 50, SEEDS | {kind: 2**32 + 42})) == ours
    assert arrays(splits.split(1000, 600, 50, SEEDS | {kind: 2**31 + 42})) != ours


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        ("seed_challenge", ["membership"]),  # permutes the records, not the challenge's places
        ("seed_training", ["challenge", "membership"]),
        ("seed_membership", ["challenge", "evaluation"]),
    ],
)
def test_each_seed_decides_its_own_step(kind, same) -> None:
    ours, other = splits.split(1000, 600, 50, SEEDS), splits.split(1000, 600, 50, SEEDS | {kind: 9})
    equal = [name for name, array in vars(ours).items() if (array == vars(other)[name]).all()]
    assert equal == same


def test_challenge_order_starts_with_the_challenge() -> None:
    one = splits.split(1000, 600, 50, SEEDS)
    order = splits.challenge_order(1000, SEEDS["seed_challenge"])
    assert order[:100].tolist() == one.challenge.tolist()
    assert sorted(order.tolist()) == list(range(1000))


@pytest.mark.parametrize(
    ("records", "n", "m"),
    [(100, 50, 0), (100, 50, -1), (100, 51, 51), (100, 9, 10), (100, 91, 10), (100, 0, 1)],
)
def test_sizes_that_cannot_be(records, n, m) -> None:
    with pytest.raises(InputError, match=f"n = {n}, m = {m}: .*{records} records"):
        splits.split(records, n, m, SEEDS)


def test_split_all_holds_every_models_split() -> None:
    drawn = seeds.derive(3, "T1", 5)
    every = splits.split_all(301, 150, 10, drawn)
    for model, row in enumerate(drawn):
        one = splits.split(301, 150, 10, row)
        assert every.challenge[model].tolist() == one.challenge.tolist()
        assert every.membership[model].tolist() == one.membership.tolist()
        assert np.flatnonzero(every.trained[model]).tolist() == sorted(one.training_set.tolist())


def test_write_and_read(tmp_path) -> None:
    """301 records: not whole bytes of packed bits."""
    every = splits.split_all(301, 150, 10, seeds.derive(3, "T1", 5))
    path = tmp_path / "private" / "splits.npz"
    split_file.write(path, every)
    again = split_file.read(path)
    for name, array in vars(every).items():
        assert vars(again)[name].dtype == array.dtype
        np.testing.assert_array_equal(vars(again)[name], array)
    assert list(path.parent.iterdir()) == [path]


def test_same_splits_are_the_same_bytes(tmp_path) -> None:
    for name in ("a", "b"):
        split_file.write(tmp_path / name, splits.split_all(301, 150, 10, seeds.derive(3, "T1", 5)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def describe(directory, records) -> None:
    empty = np.zeros((records, 1), np.uint8)
    description = Description("d", records, 8, 2, synthetic=True, source="test")
    store.write(directory, description, empty, empty[:, 0])


def test_program(run_script, tmp_path) -> None:
    describe(tmp_path / "data", 301)
    seeds.write(tmp_path / "seeds.csv", seeds.derive(3, "T1", 2))
    inputs = ("--seeds", tmp_path / "seeds.csv", "--data", tmp_path / "data")
    result = run_script(
        "splits", *inputs, "--n", 150, "--m", 10, "--output", tmp_path / "out" / "splits.npz"
    )
    assert (result.returncode, result.stderr) == (0, "")
    one = splits.split(301, 150, 10, seeds.derive(3, "T1", 2)[1])
    written = split_file.read(tmp_path / "out" / "splits.npz")
    assert written.challenge[1].tolist() == one.challenge.tolist()


def test_program_says_what_is_wrong_and_writes_nothing(run_script, tmp_path) -> None:
    describe(tmp_path / "data", 301)
    seeds.write(tmp_path / "seeds.csv", seeds.derive(3, "T1", 2))
    inputs = ("--seeds", tmp_path / "seeds.csv", "--data", tmp_path / "data")
    result = run_script(
        "splits", *inputs, "--n", 292, "--m", 10, "--output", tmp_path / "out" / "splits.npz"
    )
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "n = 292, m = 10" in result.stderr
    assert not (tmp_path / "out").exists()
