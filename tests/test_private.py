"""What is the organiser's alone: modes of files and folders, and where a master seed is written."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipes import recipe
from released_tracks import pack
from workflow_runs import TINY, planned, snakemake

from mico.challenge import seeds
from mico.support import private
from mico.support.errors import InputError

MASTER = 20221110  # of the tests' own run, which takes the demo's


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder and all that is in it, by path."""
    return {
        path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }


def open_folder(path: Path) -> Path:
    """A folder as Snakemake makes it before a job, under a umask of 0."""
    before = os.umask(0)
    path.mkdir(parents=True)
    os.umask(before)
    return path


def test_what_is_written_is_the_owners_alone(tmp_path: Path, umask: int) -> None:
    scenario = open_folder(tmp_path / "run" / "private" / "T1")
    with private.only_for_owner(scenario / "seeds.csv"):
        (scenario / "seeds.csv").write_text("secret")
        (scenario / "models").mkdir()
        (scenario / "models" / "model.pt").write_text("secret")
    assert modes(scenario.parent) == {
        ".": 0o700,
        "T1": 0o700,
        "T1/seeds.csv": 0o600,
        "T1/models": 0o700,
        "T1/models/model.pt": 0o600,
    }
    # The folder around it is not ours to close, and the umask is as before.
    assert modes(tmp_path / "run")["."] == 0o777
    assert os.umask(umask) == umask


def test_a_folder_of_another_name_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with private.only_for_owner(tmp_path / "seeds.csv"):
        (tmp_path / "seeds.csv").write_text("secret")
    assert modes(tmp_path) == {".": 0o755, "seeds.csv": 0o600}


def test_the_nearest_folder_of_that_name_is_closed(tmp_path: Path) -> None:
    """A user's own folder that is called so too stays open."""
    run = open_folder(tmp_path / "private" / "run" / "private")
    (tmp_path / "private").chmod(0o755)
    with private.only_for_owner(run / "master_seed"):
        pass
    assert modes(tmp_path / "private") == {".": 0o755, "run": 0o777, "run/private": 0o700}


def test_a_folder_that_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is another user's, say: nothing secret is written into it."""
    folder = open_folder(tmp_path / "run" / "private" / "T1")

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    expected = "private/T1: open to others and cannot be closed .*expected a folder of this user$"
    with (
        pytest.raises(InputError, match=expected),
        private.only_for_owner(folder / "seeds.csv"),
    ):
        (folder / "seeds.csv").write_text("secret")
    assert not list(folder.iterdir())


def test_stages_write_for_their_owner_alone(run_script, tmp_path: Path, stored_data, umask) -> None:
    scenario = open_folder(tmp_path / "run" / "private" / "S1")
    seeds.write_master(tmp_path / "run/private/master_seed", 7)
    paths = {name: scenario / name for name in ("seeds.csv", "splits.npz")}
    given = ("--scenario", "S1", "--last", 3, "--source", tmp_path / "run/private/master_seed")
    assert run_script("seeds", *given, "--output", paths["seeds.csv"]).returncode == 0
    given = ("--seeds", paths["seeds.csv"], "--data", stored_data.directory, "--n", 150, "--m", 10)
    assert run_script("splits", *given, "--output", paths["splits.npz"]).returncode == 0
    assert modes(tmp_path / "run" / "private") == {
        ".": 0o700,
        "S1": 0o700,
        "S1/seeds.csv": 0o600,
        "S1/splits.npz": 0o600,
        "master_seed": 0o600,
    }


def test_solutions_are_the_owners_and_a_bundle_is_not(
    run_script, challenges: dict, tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        public, solutions = pack(run_script, challenges, tmp_path)
    finally:
        os.umask(before)
    assert modes(public)["."] == 0o644
    assert modes(solutions)["."] == 0o600


def test_a_trained_shard_is_the_owners(run_script, challenges: dict, tmp_path: Path) -> None:
    """Weights, their table and Snakemake's mark, in folders as Snakemake makes them."""
    one = challenges["plain"]
    models = open_folder(tmp_path / "run" / "private" / "S1" / "models")
    options = {"epochs": 1, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}
    result = run_script(
        *("train", "--scenario", "plain", "--seeds", one.organiser / "seeds.csv"),
        *("--data", one.data.directory, "--privacy", one.organiser / "privacy.json"),
        *("--recipe", recipe(one.n, one.m, **options), "--first", 0, "--last", 1),
        *("--device", "cpu", "--models", models / "0-1", "--rows", models / "0-1.csv"),
    )
    assert result.returncode == 0, result.stderr
    assert modes(tmp_path / "run" / "private") == {
        **dict.fromkeys((".", "S1", "S1/models", "S1/models/0-1"), 0o700),
        **{f"S1/models/0-1/model_{model}": 0o700 for model in range(2)},
        **{f"S1/models/0-1/model_{model}/model.pt": 0o600 for model in range(2)},
        "S1/models/0-1/.snakemake_timestamp": 0o600,
        "S1/models/0-1.csv": 0o600,
    }


# Secrets travel by file, and no hash of one can be searched


def test_the_same_master_seed_gives_another_file(tmp_path: Path) -> None:
    """Snakemake writes down the SHA-256 of small files, which would give a master seed away."""
    paths = [tmp_path / name for name in ("a", "b")]
    for path in paths:
        seeds.write_master(path, MASTER)
        assert seeds.read_master(path) == MASTER
        rest = path.read_text().splitlines()[1]
        assert len(rest) == 64
        assert int(rest, 16)
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_a_fingerprint_tells_seeds_and_runs_apart() -> None:
    one = seeds.fingerprint(5, "demo")
    assert one == seeds.fingerprint(5, "demo")
    assert len({one, seeds.fingerprint(6, "demo"), seeds.fingerprint(5, "other")}) == 3
    assert one == hashlib.scrypt(b"5", salt=b"master seed of demo", n=2**14, r=8, p=1).hex()[:32]


@pytest.mark.parametrize("content", ["", "one\n", "-5\n", f"{2**63}\n", "7.0\n", " 7\n", "\xe9\n"])
def test_a_file_that_begins_with_no_master_seed(run_script, tmp_path: Path, content: str) -> None:
    path = tmp_path / "master_seed"
    path.write_text(content, encoding="latin-1")
    arguments = ("--scenario", "T1", "--last", 4, "--source", path)
    result = run_script("seeds", *arguments, "--output", tmp_path / "seeds.csv")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert str(path) in result.stderr
    assert not (tmp_path / "seeds.csv").exists()


def test_an_error_does_not_show_a_seed(tmp_path: Path) -> None:
    """Logs of the run are for everybody who may read the folder of results."""
    path = tmp_path / "given.csv"
    secret = "1234567890123456789"
    for other in secret, f"{secret}9", f"{secret} ", f"{secret}.0":
        rows = [["A", "0", *[secret] * 4], ["A", "1", *[other] * 4]]
        path.write_text(
            "\n".join(",".join(row) for row in [["scenario", "model", *seeds.KINDS], *rows])
        )
        with pytest.raises(InputError, match="model 1, seed_challenge: ") as caught:
            seeds.read_given(path, "A", 2)
        assert secret not in str(caught.value)


def test_a_run_leaks_no_seed(checkout: Path, tiny: Path) -> None:
    """Not in a log, not in what Snakemake keeps, not in a page, not in a hash of itself."""
    alone = modes(tiny / "private")
    # By their contents: the run may be a copy, in which they are no links.
    released = {path.read_bytes() for path in (tiny / "challenge").rglob("model.pt")}
    for name, mode in alone.items():
        path = tiny / "private" / name
        if path.is_dir():
            assert mode == 0o700, name
        elif path.read_bytes() not in released:
            assert mode == 0o600, name
    for path in (tiny / "challenge").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path

    drawn = seeds.read(tiny / "private/S1/seeds.csv")
    secrets = {str(MASTER)} | {str(row[kind]) for row in drawn[4:] for kind in seeds.KINDS[1:]}
    secrets |= {hashlib.sha256(form.encode()).hexdigest() for form in (f"{MASTER}", f"{MASTER}\n")}
    looked = 0
    for folder in (tiny, checkout / ".snakemake"):
        for path in folder.rglob("*"):
            if path.is_file() and tiny / "private" not in path.parents:
                content = path.read_bytes()
                looked += 1
                assert not [one for one in secrets if one.encode() in content], path
    assert looked > 100


def test_another_master_seed_runs_all_that_it_decides(checkout: Path, tiny: Path) -> None:
    text = (checkout / "tiny.yaml").read_text()
    (checkout / "other.yaml").write_text(f"{text}\nseeds: {MASTER + 1}\n")
    plan = planned(snakemake(checkout, "--dry-run", "--configfile", "other.yaml"))
    decided = {"master_seed": 1, "seeds": 2, "shard_seeds": 6, "train": 6}
    assert {name: plan[name] for name in decided} == decided
    assert "dataset" not in plan
    same = planned(snakemake(checkout, "--dry-run", *TINY))
    assert not decided.keys() & same.keys()


def test_the_hash_that_snakemake_logs_says_nothing_of_a_master_seed(checkout: Path) -> None:
    outputs = [
        snakemake(checkout, "--dry-run", *TINY, "--config", f"seeds={seed}") for seed in (1, 2)
    ]
    hashes = [re.findall("Config MD5: ([0-9a-f]{32})", output) for output in outputs]
    assert hashes[0] == hashes[1]
    assert len(hashes[0]) == 1


def test_a_trained_model_is_its_owners_until_it_is_released(
    run_script, challenges: dict, tmp_path: Path
) -> None:
    """From then on the file is public, under both of its names; before, its folder is closed."""
    one = challenges["plain"]
    weights = one.organiser / "0-4" / "model_0" / "model.pt"
    weights.chmod(0o600)
    output = ("--output", tmp_path / "plain", "--checksums", tmp_path / "plain.sha256")
    before = os.umask(0o027)
    try:
        result = run_script("release", *one.release_arguments, *output)
    finally:
        os.umask(before)
    assert result.returncode == 0, result.stderr
    released = tmp_path / "plain" / "train" / "model_0" / "model.pt"
    assert modes(released)["."] == 0o640
    assert modes(released.with_name("seed_challenge"))["."] == 0o640
    assert released.samefile(weights)
    weights.chmod(0o644)
