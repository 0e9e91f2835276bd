"""The workflow itself, run for real on a tiny configuration in a copy of the checkout."""

import io
import json
import os
import re
import shutil
import signal
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from workflow_runs import TINY, files, planned, products, snakemake, start

from mico.attacks.given import signals as stored_signals
from mico.challenge import splits
from mico.challenge.phases import Phases
from mico.data import store

ATTACKS = (
    *("threshold", "centred", "lira", "rmia", "stacked", "references", "effect-shared", "auto"),
)


def test_run_makes_everything(tiny: Path) -> None:
    names = files(tiny)
    assert {"report.html", "scores.csv", "run.json"} <= set(names)
    assert {"comparisons.csv", "audit.json"} <= set(names)
    pages = {name for name in names if re.fullmatch("attacks/.*html", name)}
    assert pages == {f"attacks/{name}.html" for name in ATTACKS}
    predictions = [name for name in names if name.endswith("prediction.csv")]
    # Scenarios, models. The references attack two of the four train models of SD; what has shared
    # reference models, those of S1.
    expected = dict.fromkeys(ATTACKS, 2 * 7) | {"references": 5, "effect-shared": 7}
    assert Counter(name.split("/")[1] for name in predictions) == expected
    shared = [name for name in names if name.startswith("shared/")]
    assert shared == [f"shared/shopping/shopping_inf/{shard}.npz" for shard in ("0-1", "2-2")]
    scores = (tiny / "scores.csv").read_text().splitlines()
    assert len(scores) == 1 + (6 * 2 + 2) * 4  # header; participants, scenarios, phases
    assert b"synthetic data" in names["report.html"].lower()
    for track in "shopping", "ddp":
        assert b"synthetic data" in names[f"scoreboard/{track}.html"].lower()
        assert json.loads(names[f"scoreboard/{track}-winners.json"])["revealed"] is False
    assert not [name for name in names if name.endswith(".partial")]


def test_the_image_track_is_like_any_other(checkout: Path) -> None:
    """The whole chain; and the same released bytes from other shards on one core."""
    snakemake(checkout, "--cores", "2", "--configfile", "images.yaml")
    made = checkout / "results" / "images"
    # Participants, scenarios, phases; the references attack one scenario.
    assert len((made / "scores.csv").read_text().splitlines()) == 1 + (3 * 2 + 1) * 4
    for page in "report.html", "scoreboard/pictures.html":
        assert "synthetic data" in (made / page).read_text().lower()

    again = ("--config", "run=images-again", "shard_size=2", "--configfile", "images.yaml")
    challenges = ("challenge/pictures/pictures_inf", "challenge/ddp/pictures_ddp")
    released = [f"results/images-again/{name}" for name in challenges]
    snakemake(checkout, "--cores", "1", *again, "--until", "release", "--", *released)
    for name in challenges:
        first, second = (
            {file: content for file, content in files(run / name).items() if file[0] != "."}
            for run in (made, checkout / "results" / "images-again")
        )
        assert first == second
        assert len([file for file in first if file.endswith("model.pt")]) == 7


def test_the_text_track_is_like_any_other(checkout: Path) -> None:
    """The whole chain; the same released bytes from other shards; and models for the library."""
    transformers = pytest.importorskip("transformers", reason="the text track's package")
    snakemake(checkout, "--cores", "2", "--configfile", "text.yaml")
    made = checkout / "results" / "text"
    assert len((made / "scores.csv").read_text().splitlines()) == 1 + (3 * 2 + 2) * 4
    for page in "report.html", "scoreboard/reviews.html":
        assert "synthetic data" in (made / page).read_text().lower()
    assert {"transformers", "tokenizers"} <= json.loads((made / "run.json").read_text())[
        "versions"
    ].keys()

    again = ("--config", "run=text-again", "shard_size=7", "--configfile", "text.yaml")
    challenges = ("challenge/reviews/reviews_inf", "challenge/ddp/reviews_ddp")
    released = [f"results/text-again/{name}.sha256" for name in challenges]
    snakemake(checkout, "--cores", "1", *again, "--", *released)
    for name in challenges:
        first, second = (
            {file: content for file, content in files(run / name).items() if file[0] != "."}
            for run in (made, checkout / "results" / "text-again")
        )
        assert first == second
        assert len([file for file in first if file.endswith("model.safetensors")]) == 7
    trained = made / "private/SX/models/4-6/model_6/model.safetensors"
    assert trained.samefile(made / challenges[0] / "final/model_6/model.safetensors")

    data = store.read(made / "data" / "reviews")
    labels = torch.from_numpy(data.labels.astype(int))
    for name in challenges:
        path = made / f"{name.replace('challenge', 'signals', 1)}.npz"
        signals = stored_signals.read([path], Phases(4, 2, 1))
        for phase, model in (("train", 0), ("dev", 5), ("final", 6)):
            folder = made / name / phase / f"model_{model}"
            classifier = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
            seed = int((folder / "seed_challenge").read_text())
            points = splits.challenge_order(len(labels), seed)[:20]
            ids = torch.from_numpy(data.features(points).astype(int))
            with torch.no_grad():
                logits = classifier.eval()(ids, attention_mask=ids != data.description.padding)
            expected = logits.logits.double().log_softmax(1)[range(20), labels[points]]
            found = signals.loss[model, signals.challenge[model]]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_changed_weights_of_a_checkpoint_run_training_again(checkout: Path, tmp_path: Path) -> None:
    """They are inputs of what trains, and of nothing else."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for name in "config.json", "model.safetensors", "tokenizer.json":
        (folder / name).touch()
    text = (checkout / "text.yaml").read_text()
    text = text.replace("architecture: roberta-tiny", f"architecture: transformers/{folder}")
    text = text.replace("tokenizer: bpe\n    vocabulary: 800", f"tokenizer: {folder}")
    (checkout / "own.yaml").write_text(text)
    plan = snakemake(checkout, "--dry-run", "--configfile", "own.yaml", "--config", "run=text-own")
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n +input: (.*)\n", plan, re.M))
    training = {"train", "references", "shared_references"}
    assert training | {"signals", "whitebox", "release", "dataset"} <= set(inputs)
    weights = f"{folder}/config.json, {folder}/model.safetensors"
    assert {rule for rule, files in inputs.items() if weights in files} == training
    assert [rule for rule, files in inputs.items() if "tokenizer.json" in files] == []


def submit(checkout: Path, participant: str, content: bytes, name: str = "entry.zip") -> Path:
    path = checkout / "submissions" / "shopping" / participant / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def archive(submission: Path, challenge: str) -> bytes:
    """A built-in attack's predictions for a challenge as a participant would hand them in."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for phase in ("dev", "final"):
            for path in sorted((submission / phase).rglob("prediction.csv")):
                inside = path.relative_to(submission).as_posix()
                file.writestr(f"shopping/{challenge}/{inside}", path.read_text())
    return packed.getvalue()


def test_archives_take_part_and_bad_ones_stop_nobody(checkout: Path, tiny: Path) -> None:
    """A copy of a built-in attack's predictions scores as it does; only the new entry is scored."""
    before = products(tiny)
    good = archive(tiny / "submissions/lira/shopping/shopping_inf", "shopping_inf")
    bad = {
        "mallory": b"PK not a zip",
        "<b>bold & 'quoted' {braces}": good,
        "lira": good,
        "$(touch pwned)`touch pwned`;\n": good,
        os.fsdecode(b"\xff\xfe"): good,
    }
    earlier = submit(checkout, "alice", b"", "a first try.zip")
    os.utime(earlier, (10**9, 10**9))
    submit(checkout, "alice", good)
    for name, content in bad.items():
        submit(checkout, name, content)
    assert planned(snakemake(checkout, "--dry-run", *TINY)) == {
        "score": 7,
        "collect_scores": 1,
        "scoreboard": 1,
        "detailed_results": 1,
        "report": 1,
        "attack_pages": 1,
        "all": 1,
        "total": 13,
    }
    snakemake(checkout, "--cores", "2", *TINY)
    assert not list(checkout.rglob("pwned"))
    after = products(tiny)
    assert {name: after[name] for name in before if name != "scores.csv"} == {
        name: content for name, content in before.items() if name != "scores.csv"
    }
    rows = (tiny / "scores.csv").read_text().splitlines()
    assert set(before["scores.csv"].decode().splitlines()) < set(rows)
    of_lira = [row for row in rows if ",shopping,shopping,lira," in row and ",train," not in row]
    of_alice = [row for row in rows if ",alice," in row]
    assert of_alice == [row.replace(",lira,", ",alice,") for row in of_lira]
    assert len(rows) == len(before["scores.csv"].decode().splitlines()) + 3

    entries = [json.loads(path.read_text()) for path in tiny.glob("entries/shopping/zip-*.json")]
    problems = {(one["participant"], one["file"]): one["problems"] for one in entries}
    assert problems.pop(("alice", "entry.zip")) == []
    assert len(problems) == 6
    assert all(problems.values())
    assert problems["lira", "entry.zip"] == ["participant name lira: is that of a built-in attack"]
    board = (tiny / "scoreboard" / "shopping.html").read_text()
    assert "alice" in board
    assert "mallory" in board  # rejected, and says so
    for page in board, (tiny / "report.html").read_text():
        assert "<b>bold" not in page
    shutil.rmtree(checkout / "submissions")
    snakemake(checkout, "--cores", "2", *TINY)
    assert products(tiny)["scores.csv"] == before["scores.csv"]
    for path in tiny.glob("entries/shopping/zip-*.json"):
        path.unlink()


def test_bundles_of_the_tracks_are_made_on_demand(checkout: Path, tiny: Path) -> None:
    snakemake(checkout, "--cores", "2", "bundles", *TINY)
    for track, challenge in ("shopping", "shopping_inf"), ("ddp", "shopping_ddp"):
        with zipfile.ZipFile(tiny / "bundles" / f"{track}.zip") as bundle:
            assert f"{track}/{challenge}/final/model_6/model.pt" in bundle.namelist()
            assert f"{track}/starter_kit/starter_kit.py" in bundle.namelist()
        with zipfile.ZipFile(tiny / "private/bundles" / f"{track}-solutions.zip") as solutions:
            assert f"{track}/{challenge}/final/model_6/solution.csv" in solutions.namelist()


def test_second_run_does_nothing(checkout: Path, tiny: Path) -> None:
    assert "Nothing to be done" in snakemake(checkout, "--cores", "1", *TINY)


def test_changed_attack_runs_attacks_scores_and_report_only(checkout: Path, tiny: Path) -> None:
    text = (checkout / "tiny.yaml").read_text()
    (checkout / "changed.yaml").write_text(text.replace("gamma: 1}", "gamma: 2}"))
    plan = planned(snakemake(checkout, "--dry-run", "--configfile", "changed.yaml"))
    # One participant in two scenarios of two tracks, and `auto`, which chooses among all.
    assert plan == {
        "attack": 4,
        "score": 4,
        "collect_scores": 1,
        "scoreboard": 2,
        "detailed_results": 2,
        "describe": 1,
        "report": 1,
        "attack_pages": 1,
        "all": 1,
        "total": 17,
    }


def test_edited_program_runs_again_and_nothing_before_it(checkout: Path, tiny: Path) -> None:
    source = checkout / "scripts" / "mico" / "attacks" / "formulas" / "rmia.py"
    before = source.read_text()
    try:
        source.write_text(before + "\n# a comment changes nothing\n")
        assert not planned(snakemake(checkout, "--dry-run", *TINY))
        source.write_text(before + "\nEDITED = True\n")
        jobs = planned(snakemake(checkout, "--dry-run", *TINY))
    finally:
        source.write_text(before)
    rules = set(jobs)
    # That attack on both challenges, and auto, which looks at its predictions.
    assert jobs["attack"] == 4
    assert not rules & {"seeds", "dataset", "splits", "train", "release", "signals"}
    assert not rules & {"whitebox", "references", "shared_references"}


def test_attacks_see_nothing_private(checkout: Path) -> None:
    """Walk the job graph back from every attack: only the release may read private files."""
    output = snakemake(checkout, "--dry-run", "--printshellcmds", *TINY, "--config", "run=graph")
    jobs = re.findall(
        r"^rule (\w+):\n(?:    input: (.*)\n)?    output: (.*)\n"
        r"(?:.*\n)*?(?=Shell command: (.*)\n|\n)",
        output,
        re.M,
    )
    makes = {name: job for job in jobs for name in job[2].split(", ")}
    rules = {job[0] for job in jobs}
    assert {"seeds", "train", "release", "signals", "whitebox", "references"} <= rules
    assert {"shared_references", "attack", "score"} <= rules

    def ancestors(job: tuple) -> set[tuple]:
        """What the job reads, and what made that, stopping at the released challenge."""
        if job[0] == "release":
            return {job}
        read = {name for name in job[1].split(", ") if name}
        assert not [name for name in read if "/private/" in name], job
        found = {job}
        for name in read:
            if name in makes:
                found |= ancestors(makes[name])
        return found

    attacks = [job for job in jobs if job[0] == "attack"]
    assert len(attacks) == 6 * 2 + 2
    public = {"signals", "whitebox", "references", "shared_references"}
    public |= {"accountant", "attack", "dataset", "release"}
    for attack in attacks:
        found = ancestors(attack)
        assert {"attack", "signals", "release", "dataset"} <= {job[0] for job in found} <= public
        for job in found:
            if job[0] != "release":
                assert "/private/" not in job[3]
    with_shared = {
        attack[2]
        for attack in attacks
        if "shared_references" in {job[0] for job in ancestors(attack)}
    }
    # One asks for them, and one chooses among all.
    assert with_shared == {
        f"results/graph/submissions/{name}/shopping/shopping_inf"
        for name in ("effect-shared", "auto")
    }


def test_other_shards_and_cores_give_the_same_bytes(checkout: Path, tiny: Path) -> None:
    snakemake(
        checkout, "--cores", "1", *TINY, "--config", "run=other", "shard_size=2", "device=cpu"
    )
    assert products(checkout / "results" / "other") == products(tiny)


def test_other_master_seed_gives_other_models(checkout: Path, tiny: Path) -> None:
    target = "results/reseeded/challenge/shopping/shopping_inf"
    snakemake(checkout, "--cores", "2", target, *TINY, "--config", "run=reseeded", "seeds=7")
    ours = files(checkout / target)
    theirs = files(tiny / "challenge" / "shopping" / "shopping_inf")
    assert ours.keys() == theirs.keys()
    assert not [name for name in ours if name.endswith("model.pt") and ours[name] == theirs[name]]


def test_killed_at_any_moment_and_started_again(checkout: Path, tiny: Path) -> None:
    run = ("--cores", "2", *TINY, "--config", "run=killed")
    results = checkout / "results" / "killed"
    # Kill where it hurts: while the first models, the release, the attacks, the scores are made.
    moments = (
        ("private/S1/models", False),
        ("private/SD/models", True),
        ("challenge", True),
        ("submissions", False),
        ("entries", True),
    )
    for place, group in moments:
        process = start(checkout, *run)
        deadline = time.monotonic() + 120
        while not (results / place).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if group:  # the jobs die with it
            os.killpg(process.pid, signal.SIGKILL)
        else:  # its jobs live on for a while, unattended
            process.kill()
        process.communicate()
        snakemake(checkout, "--unlock", *TINY)
    snakemake(checkout, *run)
    assert products(results) == products(tiny)
    assert not list(results.rglob("*.partial"))


def test_seeds_from_a_file_give_the_same_bytes(checkout: Path, tiny: Path) -> None:
    rows = ["scenario,model,seed_challenge,seed_training,seed_membership,seed_model"]
    for scenario in ("S1", "SD"):
        seeds = (tiny / "private" / scenario / "seeds.csv").read_text().splitlines()
        rows += [f"{scenario},{row}" for row in seeds[1:]]
    (checkout / "given.csv").write_text("\n".join(rows) + "\n")
    target = "results/given/challenge/ddp/shopping_ddp.sha256"
    snakemake(checkout, "--cores", "2", target, *TINY, "--config", "run=given", "seeds=given.csv")
    assert (checkout / target).read_bytes() == (
        tiny / "challenge" / "ddp" / "shopping_ddp.sha256"
    ).read_bytes()


def test_corrupt_released_model_is_named(checkout: Path, tiny: Path) -> None:
    shutil.copytree(tiny, checkout / "results" / "corrupt")
    folder = checkout / "results" / "corrupt"
    model = folder / "challenge" / "ddp" / "shopping_ddp" / "final" / "model_6" / "model.pt"
    model.write_bytes(model.read_bytes()[:1000])
    (folder / "signals" / "ddp" / "shopping_ddp.npz").unlink()
    target = "results/corrupt/signals/ddp/shopping_ddp.npz"
    run = ("--cores", "1", target, *TINY, "--config", "run=corrupt")
    output = snakemake(checkout, *run, "--rerun-triggers", "mtime", fails=True)
    lines = [line for line in output.splitlines() if line.strip().startswith("error: ")]
    assert len(lines) == 1, output
    assert "final/model_6/model.pt" in lines[0]
    assert not (folder / "signals" / "ddp" / "shopping_ddp.npz").exists()


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("id: S1", "id: S1\n    epoch: 3"), "tiny.yaml: scenario S1: unknown key 'epoch'"),
        (("from: T1", "from: T9"), "tiny.yaml: scenario S1: from 'T9' is unknown"),
        (("attack: rmia", "attack: rmiaa"), "tiny.yaml: attacks: rmia: attack 'rmiaa'"),
        (("gamma: 1", "gama: 1"), "tiny.yaml: attacks: rmia: attack rmia: "),
        (("n: 150", "n: 295"), "tiny.yaml: scenario S1: n + m = 305"),
        (("m: 10", "m: 0"), "tiny.yaml: scenario S1: m: 0 is less"),
        (("run: tiny", "run: tiny\nseeds: -1"), "tiny.yaml: seeds: "),
        (("run: tiny", "run: tiny\nseeds: 9223372036854775808"), "tiny.yaml: seeds: "),
        (("epsilon: null", "epsilon: 0"), "tiny.yaml: scenario SD: epsilon: 0"),
    ],
)
def test_bad_configuration_is_one_clear_line(
    checkout: Path, edit: tuple[str, str], expected: str
) -> None:
    text = (checkout / "tiny.yaml").read_text()
    assert edit[0] in text
    folder = checkout / "bad"
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(text.replace(*edit).replace("run: tiny", "run: bad"))
    output = snakemake(checkout, "--dry-run", "--configfile", "bad/tiny.yaml", fails=True)
    lines = [line for line in output.splitlines() if expected in line]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    assert not (checkout / "results" / "bad").exists()


def test_bad_data_file_is_one_clear_line_and_leaves_nothing(checkout: Path) -> None:
    (checkout / "shopping.csv").write_text("1,0,1\n2,1\n")
    (checkout / "file.yaml").write_text(
        (checkout / "tiny.yaml")
        .read_text()
        .replace("run: tiny", "run: badfile")
        .replace(
            "format: purchase100-synthetic, records: 300, features: 40, classes: 4, seed: 3",
            "format: labelled-bits, records: 300, features: 2, classes: 4, path: shopping.csv",
        )
    )
    target = "results/badfile/data/shopping"
    output = snakemake(checkout, target, "--cores", "1", "--configfile", "file.yaml", fails=True)
    assert "error: shopping.csv: row 2: 2 fields, expected 3" in output
    assert "Traceback" not in output
    assert not list((checkout / "results" / "badfile" / "data").glob("*"))


@pytest.mark.parametrize(
    ("arguments", "shards", "attacks"),
    [
        ((), 4 * 8, 4 * 25),
        (("--configfile", "config/location30.yaml"), 4 * 4, 4 * 25),
        (("--configfile", "config/laboratory.yaml"), 6 * 4, 6 * 25 + 4 * 6),
        (("--configfile", "config/null.yaml"), 2 * 4, 2 * 25),
        (("--configfile", "config/purchase-small.yaml"), 6 * 4, 6 * 14),
        (
            ("--configfile", "config/published.yaml", "--config", "scenarios=[T1, T2, T3, D3]"),
            4 * 20,
            4 * 25,
        ),
        (("--configfile", "config/published.yaml"), 12 * 20, 12 * 25),
    ],
)
def test_dry_run_of_every_configuration(
    checkout: Path, arguments: tuple, shards: int, attacks: int
) -> None:
    plan = planned(snakemake(checkout, "--dry-run", *arguments))
    assert plan["train"] == shards
    assert plan["attack"] == attacks


@pytest.mark.parametrize("option", ["--profile", "--workflow-profile"])
def test_profile_for_slurm_is_taken_either_way(checkout: Path, option: str) -> None:
    """As planned without SLURM; on a cluster with no GPU, none is asked for."""
    arguments = ("--dry-run", option, "profiles/slurm", *TINY)
    plan = snakemake(checkout, *arguments)
    assert planned(plan)["train"] == 2  # shards of all seven models
    asked = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: .*\bgpu=1\b", plan, re.M)
    assert set(asked) == {"train", "references", "shared_references", "signals", "whitebox"}
    on_cpus = snakemake(checkout, *arguments, "--config", "device=cpu", "shard_size=auto")
    assert planned(on_cpus) == planned(plan)
    assert "gpu=1" not in on_cpus


def test_text_is_stored_by_a_rule_of_its_own(checkout: Path) -> None:
    """A checkpoint's folder is an input, if the tokenizer is in one."""
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    target = "results/stored/data/sst2-synthetic"
    (checkout / "stored.yaml").write_text(
        "run: stored\ndatasets: {sst2-synthetic: {records: 50}}\n"
    )
    snakemake(checkout, target, "--cores", "1", "--configfile", "stored.yaml")
    assert json.loads((checkout / target / "dataset.json").read_text())["kind"] == "tokens"
    assert (checkout / target / "tokenizer.json").exists()
    again = snakemake(checkout, target, "--dry-run", "--configfile", "stored.yaml")
    assert "Nothing to be done" in again

    (checkout / "checkpoint").mkdir()
    entry = "format: sst2-synthetic, records: 50, features: 9, classes: 2, seed: 1"
    text = f"run: stored\ndatasets: {{own: {{{entry}, tokenizer: checkpoint}}}}\n"
    (checkout / "stored.yaml").write_text(text)
    own = "results/stored/data/own"
    plan = snakemake(checkout, own, "--dry-run", "--configfile", "stored.yaml")
    assert re.search(r"rule dataset:\n +input: checkpoint\n", plan)
