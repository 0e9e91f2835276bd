"""Whole runs of memberships as given, and of halves of all records."""

import subprocess
import sys
import zipfile
from pathlib import Path

import membership_page
import numpy as np
import pandas as pd
import published_program
import pytest
import yaml
from test_memberships import of_seeds
from workflow_runs import files, planned, products, snakemake

import mico
from mico.challenge import membership_files, memberships, seeds, split_file
from mico.challenge.phases import Phases
from mico.release import intake
from mico.scoring import metrics
from mico.support.private import TIMESTAMP

CHALLENGES = {"S1": "shopping/shopping_inf", "SD": "ddp/shopping_ddp"}
GIVEN = ("--cores", "2", "--configfile", "given.yaml")
TOLD = ("challenge.csv", "training.csv", "seed_challenge", "seed_training", "seed_membership")


@pytest.fixture(scope="module")
def given(checkout: Path, tiny: Path) -> Path:
    """The results of a run whose lists are what the tiny run's seeds give."""
    config = yaml.safe_load((checkout / "tiny.yaml").read_text()) | {"run": "given"}
    for scenario in config["scenarios"]:
        scenario["memberships"] = f"{scenario['id']}.npz"
        every = seeds.read(tiny / "private" / scenario["id"] / "seeds.csv")
        memberships.write(checkout / scenario["memberships"], of_seeds(every, 300, 150, 10))
    (checkout / "given.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(checkout, *GIVEN)
    return checkout / "results" / "given"


def made(results: Path) -> dict[str, bytes]:
    """All that must be the same to the byte, but for what tells the splits."""
    models = {f"private/{name}": one for name, one in files(results / "private").items()}
    models = {name: one for name, one in models.items() if name.endswith(".pt")}
    # Entries say when they were made.
    others = {
        name: one
        for name, one in products(results).items()
        if Path(name).name not in TOLD and not name.startswith("entries/")
    }
    return models | others


def test_lists_give_the_models_and_scores_of_their_seeds(tiny: Path, given: Path) -> None:
    """To the byte, whatever attacks are given; a release has lists in the place of seeds."""
    expected, found = made(tiny), made(given)
    assert len([name for name in expected if name.endswith("model.pt")]) == 28
    assert len([name for name in expected if name.endswith("prediction.csv")]) > 50
    assert {"scores.csv", "private/SD/splits.npz"} <= expected.keys()
    assert [name for name in expected | found if expected.get(name) != found.get(name)] == []
    for name, where in CHALLENGES.items():
        disclosed = name == "SD"
        for phase, model in Phases(4, 2, 1).named():
            folder = given / "challenge" / where / phase / f"model_{model}"
            names = {"model.pt", "challenge.csv"}
            names |= {"training.csv"} if disclosed or phase == "train" else set()
            names |= {"solution.csv"} if phase == "train" else set()
            assert {path.name for path in folder.iterdir()} == names
    report = (given / "report.html").read_text()
    assert "as given in a file: S1, SD" in report
    assert "S1.npz" not in report + (given / "run.json").read_text()


def test_a_release_of_lists_in_a_notebook(given: Path, tiny: Path) -> None:
    folders = (one / "challenge" / CHALLENGES["S1"] for one in (given, tiny))
    data = given / "data" / "shopping"
    one, other = (mico.load_release(folder, data, "mlp", 150, "cpu") for folder in folders)
    scores = one.attack("lira", variant="online")
    assert scores.tolist() == other.attack("lira", variant="online").tolist()


def test_the_starter_kit_on_a_bundle_of_lists(checkout: Path, given: Path, tmp_path: Path) -> None:
    public = ("--config", "seeds_are_public=true")
    snakemake(checkout, "results/given/bundles/ddp.zip", *GIVEN, *public)
    with zipfile.ZipFile(given / "bundles" / "ddp.zip") as opened:
        opened.extractall(tmp_path / "bundle")
    kit = tmp_path / "bundle" / "starter_kit" / "starter_kit.py"
    command = [sys.executable, "-I", "-W", "error", kit, "--release", tmp_path / "bundle"]
    command += ["--data", given / "data" / "shopping", "--output", tmp_path / "mine.zip"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    [rows] = intake.read(
        tmp_path / "mine.zip", "ddp", {"shopping_ddp": 20}, Phases(4, 2, 1)
    ).values()
    # The kit's attack is the built-in one by the loss, which has the same ranks.
    folder = given / "predictions" / "threshold" / CHALLENGES["SD"]
    theirs = [
        np.loadtxt(folder / phase / f"model_{model}" / "prediction.csv", delimiter=",")
        for phase, model in (("dev", 4), ("dev", 5), ("final", 6))
    ]
    np.testing.assert_array_equal(np.argsort(rows, axis=None), np.argsort(theirs, axis=None))


def test_a_release_of_lists_is_attacked_by_another_run(
    checkout: Path, given: Path, tmp_path: Path
) -> None:
    """Its memberships are those of its lists; nothing but the places of its files is known."""
    config = yaml.safe_load((checkout / "tiny.yaml").read_text())
    one = config["scenarios"][0] | {"released": str(given / "challenge" / CHALLENGES["S1"])}
    kinds = {kind: config[kind] | {"scenarios": []} for kind in ("target_references",)}
    config |= {"run": "again", "scenarios": [one], "attacks": config["attacks"][:1], **kinds}
    config["shared_references"]["scenarios"] = []
    (checkout / "again.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(checkout, "--cores", "2", "--configfile", "again.yaml")
    found, expected = (
        pd.read_csv(checkout / "results" / run / "scores.csv").query(
            "scenario == 'S1' and participant == 'threshold' and phase == 'train'"
        )
        for run in ("again", "given")
    )
    assert found[metrics.HEADLINE].tolist() == expected[metrics.HEADLINE].tolist()


def test_an_edit_changes_its_own_model_alone(checkout: Path, given: Path) -> None:
    """A touch does nothing; of another list only its own model is another."""
    path = checkout / "S1.npz"
    path.touch()
    assert not planned(snakemake(checkout, "--dry-run", "--configfile", "given.yaml"))
    before = files(given / "private")
    known = memberships.read([path], 7)
    changed = known.training.copy()
    changed[4, -1] = np.setdiff1d(np.arange(300), [*changed[4], *known.challenge[4]])[0]
    memberships.write(path, memberships.Memberships(known.challenge, known.membership, changed))
    jobs = planned(snakemake(checkout, "--dry-run", "--configfile", "given.yaml"))
    assert jobs["memberships"] == 1
    assert "seeds" not in jobs
    snakemake(checkout, "results/given/private/S1/splits.npz", *GIVEN)
    shards = [f"results/given/private/S1/models/{shard}" for shard in ("0-2", "3-5", "6-6")]
    snakemake(checkout, *shards, *GIVEN)
    after = files(given / "private")
    models = [name for name in before if name.endswith("model.pt")]
    assert [name for name in models if before[name] != after[name]] == [
        "S1/models/3-5/model_4/model.pt"
    ]


def test_a_bad_file_is_one_line_of_the_run(checkout: Path, given: Path) -> None:
    path = checkout / "SD.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    output = snakemake(checkout, *GIVEN, fails=True)
    path.write_bytes(whole)
    assert "error: SD.npz: not a whole .npz" in output
    assert "Traceback" not in output


def test_halves_of_all_records(checkout: Path, tmp_path: Path) -> None:
    """In the published layout; where all are challenge points, all attacks still work."""
    config = yaml.safe_load((checkout / "tiny.yaml").read_text())
    config |= {"run": "halves", "design": "half"}
    for scenario in config["scenarios"]:
        del scenario["n"]
    config["scenarios"][0]["m"] = 150
    (checkout / "halves.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(checkout, "--cores", "2", "--configfile", "halves.yaml")
    results = checkout / "results" / "halves"
    for name, points in ("S1", 300), ("SD", 20):
        known = split_file.read(results / "private" / name / "splits.npz")
        assert known.challenge.shape == known.membership.shape == (7, points)
        assert (known.trained.sum(axis=1) == 150).all()
        assert (known.membership.sum(axis=1) == points // 2).all()
        for challenge, membership, trained in zip(*vars(known).values(), strict=True):
            assert trained[challenge].tolist() == membership.tolist()
    scores = pd.read_csv(results / "scores.csv").query("phase == 'both'")
    found = {name: set(rows.participant) for name, rows in scores.groupby("scenario")}
    every = {"threshold", "centred", "lira", "rmia", "stacked", "auto"}
    assert found == {"S1": every | {"effect-shared"}, "SD": every | {"references"}}
    assert "training sets are random halves of all records" in (results / "report.html").read_text()
    track = results / "challenge" / "shopping"
    published_program.attack(track, tmp_path / "mine.zip", hidden=[TIMESTAMP])
    [rows] = intake.read(
        tmp_path / "mine.zip", "shopping", {"shopping_inf": 300}, Phases(4, 2, 1)
    ).values()
    assert rows.shape == (3, 300)


def test_the_pages_blocks_are_runs(checkout: Path) -> None:
    """Of halves one was run above; of canaries here is one, with one attack."""
    membership_page.write(checkout)
    jobs = planned(snakemake(checkout, "--dry-run", "--configfile", "half.yaml"))
    assert (jobs["splits"], jobs["release"]) == (1, 1)
    config = yaml.safe_load((checkout / "canaries.yaml").read_text())
    config["attacks"] = [{"name": "threshold", "attack": "threshold", "signal": "loss"}]
    (checkout / "page.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(checkout, "--cores", "2", "--configfile", "page.yaml")
    scores = pd.read_csv(checkout / "results/canaries/scores.csv").query("phase == 'both'")
    # Trained on four times an epoch, they are found.
    assert (scores[metrics.HEADLINE] > 0.5).all()


def test_the_pages_table_is_a_file(tmp_path: Path) -> None:
    """It begins one: its first model is of one point and one more, trained on three records."""
    content = membership_page.table()
    rows = pd.read_csv(pd.io.common.StringIO(content))
    first = rows[rows.model == 0]
    (tmp_path / "a.csv").write_text(first.to_csv(index=False))
    sizes = membership_files.Sizes(1, 300, 3, 1)
    found = membership_files.read(tmp_path / "a.csv", sizes)
    assert found.training.tolist() == [[17, 17, 202]]
    assert found.challenge.tolist() == [[5, 17]]
