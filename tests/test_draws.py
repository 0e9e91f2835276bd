"""Memberships that come from no seed: drawn from the system's entropy, and kept as lists."""

import hashlib
import json
import re
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from recipes import recipe
from workflow_runs import files, planned, snakemake

import train as program
from mico.challenge import draws, seeds, split_file, splits
from mico.challenge.draws import Draw
from mico.challenge.recipe import Recipe
from mico.data import store
from mico.support import records
from mico.support.errors import InputError

N, n, m = 300, 150, 10


def alike(one: np.ndarray, other: np.ndarray) -> list[bool]:
    """Of each model, whether its row is the same in both."""
    return [np.array_equal(*rows) for rows in zip(one, other, strict=True)]


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256(one).hexdigest() for name, one in files(folder).items()}


def seeded(models: int) -> list[dict[str, int]]:
    return seeds.derive(3, "T1", models)


@pytest.mark.parametrize("training", [True, False])
def test_a_draw_is_a_membership_and_a_training_set(training: bool) -> None:
    drawn = draws.draw(N, n, m, range(2, 5), training)
    assert list(drawn) == [2, 3, 4]
    for model, one in drawn.items():
        assert len(set(one.members.tolist())) == m
        assert set(one.members.tolist()) <= set(range(2 * m))
        split = splits.split(N, n, m, seeded(5)[model], one)
        published = splits.split(N, n, m, seeded(5)[model])
        assert split.challenge.tolist() == published.challenge.tolist()
        assert split.training_set[:m].tolist() == split.challenge[one.members].tolist()
        assert np.flatnonzero(split.membership).tolist() == sorted(one.members.tolist())
        rest = split.training_set[m:].tolist()
        if training:
            assert rest != published.training_set[m:].tolist()
        else:
            assert one.training is None
            assert rest == published.training_set[m:].tolist()
        # Challenge points, the rest of the training set and what evaluates are all records, once.
        every = [*split.challenge.tolist(), *rest, *split.evaluation.tolist()]
        assert sorted(every) == list(range(N))
        assert len(split.training_set) == n


def test_draws_are_uniform_and_of_no_generators_state() -> None:
    """Each place is a member in half of the draws; whatever seeds a generator changes nothing."""
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        found.append(draws.draw(N, n, m, range(2000), training=False))
    members = np.zeros((2, 2 * m))
    for i, drawn in enumerate(found):
        for one in drawn.values():
            members[i, one.members] += 1
    # Of 2,000 draws with the chance 1/2: six standard deviations are 134.
    assert (abs(members - 1000) < 134).all()
    assert found[0][0].digest != found[1][0].digest
    # The order is drawn too: the first member is anywhere.
    first = np.bincount([one.members[0] for one in found[0].values()], minlength=2 * m)
    assert (abs(first - 100) < 60).all()


def test_draws_use_the_systems_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    """More of it than a permutation has: log2(20! / 10!) = 39.3 bits for the members alone."""
    asked = []
    urandom = draws.SystemRandom.getrandbits

    def counted(self: object, bits: int) -> int:
        asked.append(bits)
        return urandom(self, bits)

    monkeypatch.setattr(draws.SystemRandom, "getrandbits", counted)
    draws.draw(N, n, m, range(1), training=True)
    assert sum(asked) > 1000


@pytest.mark.parametrize("training", [True, False])
def test_write_and_read(tmp_path: Path, training: bool) -> None:
    path = tmp_path / "draws.npz"
    drawn = draws.draw(N, n, m, range(3, 7), training)
    draws.write(path, drawn, N)
    again = draws.read([path], N)
    assert {model: one.digest for model, one in again.items()} == {
        model: one.digest for model, one in drawn.items()
    }
    assert {one.training is None for one in again.values()} == {not training}
    assert draws.read([], N) == {}


def test_damaged_draws(tmp_path: Path) -> None:
    path = tmp_path / "draws.npz"
    draws.write(path, draws.draw(N, n, m, range(3, 7), training=True), N)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole[:400], whole.replace(b"(4, 10)", b"(3, 10)")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"draws.npz: .*delete it and run again"):
            draws.read([path], N)
    path.write_bytes(whole)
    with np.load(path) as file:
        stored = dict(file)
    np.savez(path, **stored | {"members": stored["members"][:3]})
    with pytest.raises(InputError, match=r"draws.npz: damaged \(lists"):
        draws.read([path], N)
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"draws.npz: drawn of \[300\] records, expected the 301 "):
        draws.read([path], N + 1)
    with pytest.raises(InputError, match=r"b.npz: expected one file"):
        draws.read([path, tmp_path / "b.npz"], N)


@pytest.mark.parametrize(
    ("drawn", "message"),
    [
        (Draw(np.arange(9, dtype=np.int32), None), "members: 9 places, expected 10 among 20"),
        (Draw(np.arange(11, 21, dtype=np.int32), None), "members: 10 places, expected 10 among 20"),
        (Draw(np.arange(10, dtype=np.int32), np.arange(5, dtype=np.int32)), "training: 5 places"),
    ],
)
def test_a_draw_of_other_sizes(drawn: Draw, message: str) -> None:
    with pytest.raises(InputError, match=f"draws: {message}"):
        splits.split(N, n, m, seeded(1)[0], drawn)


def test_programs_take_what_no_seed_says(run_script, tmp_path: Path, stored_data) -> None:
    """The splits of train models are those of their seeds, those of the others of the draws."""
    seeds.write(tmp_path / "seeds.csv", seeded(5))
    sizes = ("--n", n, "--m", m)
    path = tmp_path / "private" / "draws.npz"
    given = ("--first", 3, "--last", 4, "--data", stored_data.directory, *sizes, "--output", path)
    result = run_script("draws", *given)
    assert (result.returncode, result.stderr) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    drawn = draws.read([path], N)
    assert list(drawn) == [3, 4]
    base = ("--seeds", tmp_path / "seeds.csv", "--data", stored_data.directory, *sizes)
    outputs = {}
    for name, more in ("published", ()), ("drawn", (path,)):
        output = tmp_path / f"{name}.npz"
        result = run_script("splits", *base, "--draws", *more, "--output", output)
        assert result.returncode == 0, result.stderr
        outputs[name] = split_file.read(output)
    one, other = outputs["published"], outputs["drawn"]
    assert np.array_equal(one.challenge, other.challenge)
    for field in "membership", "trained":
        same = alike(getattr(one, field), getattr(other, field))
        assert same == [True, True, True, False, False]
    for model, own in drawn.items():
        assert np.flatnonzero(other.membership[model]).tolist() == sorted(own.members.tolist())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (("--n", 9, "--m", 10), "n = 9, m = 10: expected"),
        (("--n", 295, "--m", 10), "n [+] m <= 300 records"),
        (("--n", 5, "--m", 0), "expected m >= 1"),
        (("--n", n, "--m", m, "--last", 2), "models 3 to 2: expected some"),
    ],
)
def test_bad_sizes_are_one_line(
    run_script, tmp_path: Path, stored_data, sizes: tuple, message: str
) -> None:
    given = ("--first", 3, "--last", 4, "--data", stored_data.directory, *sizes)
    result = run_script("draws", *given, "--output", tmp_path / "draws.npz")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert re.search(message, result.stderr)
    assert not list(tmp_path.iterdir())


def job(data: Path, drawn: dict[int, Draw]) -> program.Job:
    options = {"epochs": 1, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
    one = records.read(Recipe, recipe(n, m, **options), "")
    own = dict(enumerate(seeded(2)))
    return program.Job(store.read(data), one, None, own, torch.device("cpu"), drawn)


def test_a_model_is_trained_on_what_was_drawn(stored_data) -> None:
    """And is another one than with another draw; a model without one is as it was."""
    drawn = draws.draw(N, n, m, range(1, 2), training=True)
    mine, other = (job(stored_data.directory, one) for one in (drawn, {}))
    assert mine.split(0).training_set.tolist() == other.split(0).training_set.tolist()
    expected = splits.split(N, n, m, seeded(2)[1], drawn[1]).training_set.tolist()
    assert mine.split(1).training_set.tolist() == expected
    assert mine.identities[0] == other.identities[0]
    assert mine.identities[1] != other.identities[1]
    again = draws.draw(N, n, m, range(1, 2), training=True)
    assert replace(mine, draws=again).identities[1] != mine.identities[1]


def test_a_run_whose_memberships_come_from_no_seed(checkout: Path) -> None:
    """The release has the published form; its seeds give train's memberships and no others."""
    config = yaml.safe_load((checkout / "tiny.yaml").read_text())
    config |= {"run": "drawn", "seeds": "random", "design": "full-entropy"}
    # Attacks have nothing to do with it.
    config["attacks"] = config["attacks"][:2]
    for kind in "target_references", "shared_references":
        config[kind]["scenarios"] = []
    (checkout / "drawn.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = ("--cores", "2", "--configfile", "drawn.yaml")
    snakemake(checkout, *run)
    snakemake(checkout, "bundles", *run)
    results = checkout / "results" / "drawn"
    for scenario, where in ("S1", "shopping/shopping_inf"), ("SD", "ddp/shopping_ddp"):
        known = split_file.read(results / "private" / scenario / "splits.npz")
        drawn = draws.read([results / "private" / scenario / "draws.npz"], N)
        assert list(drawn) == [4, 5, 6]
        assert {one.training is None for one in drawn.values()} == {scenario == "SD"}
        every = seeds.read(results / "private" / scenario / "seeds.csv")
        guesses = splits.split_all(N, n, m, every)
        right = alike(known.membership, guesses.membership)
        assert right == [True] * 4 + [False] * 3
        disclosed = ["seed_training"] * (scenario == "SD")
        for phase, model in ("dev", 4), ("dev", 5), ("final", 6):
            folder = results / "challenge" / where / phase / f"model_{model}"
            names = {path.name for path in folder.iterdir()}
            assert names == {"model.pt", "seed_challenge", *disclosed}
        modes = {stat.S_IMODE((results / "private" / scenario / "draws.npz").stat().st_mode)}
        assert modes == {0o600}
    told = json.loads((results / "run.json").read_text())
    assert told["design"] == "full-entropy"
    assert "drawn from the operating system" in (results / "report.html").read_text()
    # Nothing is drawn anew, and nothing trained again.
    before = hashes(results / "private")
    assert not planned(snakemake(checkout, "--dry-run", "--configfile", "drawn.yaml"))
    (results / "private" / "S1" / "splits.npz").unlink()
    snakemake(checkout, "results/drawn/private/S1/splits.npz", *run)
    assert hashes(results / "private") == before
