"""The image track and the text track, run whole on tiny configurations."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from workflow_runs import files, planned, snakemake

from mico.attacks.given import signals as stored_signals
from mico.challenge import splits
from mico.challenge.phases import Phases
from mico.data import store


def check_other_shards(folder: Path, run: str) -> None:
    """Models that another shard trains are the same bytes; and nothing else is made for it."""
    made = folder / "results" / run
    shards = [made / "private" / scenario / "models" for scenario in ("SI", "SD")]
    targets = [str((shard / "4-6").relative_to(folder)) for shard in shards]
    again = ("--configfile", f"{run}.yaml", "--config", "shard_size=4", "--", *targets)
    output = snakemake(folder, "--cores", "1", *again)
    assert planned(output)["train"] == 2
    for shard in shards:
        other = {file: content for file, content in files(shard / "4-6").items() if file[0] != "."}
        assert {file.split("/")[0] for file in other} == {"model_4", "model_5", "model_6"}
        whole = files(shard / "0-6")
        assert other == {file: whole[file] for file in other}


def test_the_image_track_is_like_any_other(checkout: Path) -> None:
    snakemake(checkout, "--cores", "2", "--configfile", "images.yaml")
    made = checkout / "results" / "images"
    # Participants, scenarios, phases; the references attack one scenario.
    assert len((made / "scores.csv").read_text().splitlines()) == 1 + (3 * 2 + 1) * 4
    for page in "report.html", "scoreboard/pictures.html":
        assert "synthetic data" in (made / page).read_text().lower()
    for name in "pictures/pictures_inf", "ddp/pictures_ddp":
        released = files(made / "challenge" / name)
        assert len([file for file in released if file.endswith("model.pt")]) == 7
    check_other_shards(checkout, "images")


def test_the_text_track_is_like_any_other(checkout: Path) -> None:
    """And its released models are the library's, which finds in them what the signals say."""
    transformers = pytest.importorskip("transformers", reason="the text track's package")
    snakemake(checkout, "--cores", "2", "--configfile", "text.yaml")
    challenges = ("challenge/reviews/reviews_inf", "challenge/ddp/reviews_ddp")
    made = checkout / "results" / "text"
    assert len((made / "scores.csv").read_text().splitlines()) == 1 + (3 * 2 + 2) * 4
    for page in "report.html", "scoreboard/reviews.html":
        assert "synthetic data" in (made / page).read_text().lower()
    assert {"transformers", "tokenizers"} <= json.loads((made / "run.json").read_text())[
        "versions"
    ].keys()

    for name in challenges:
        released = files(made / name)
        assert len([file for file in released if file.endswith("model.safetensors")]) == 7
    trained = made / "private/SI/models/0-6/model_6/model.safetensors"
    assert trained.samefile(made / challenges[0] / "final/model_6/model.safetensors")
    assert (made / "data/reviews/tokenizer.json").exists()
    assert store.describe(made / "data" / "reviews").kind == "tokens"

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

    check_other_shards(checkout, "text")


def test_files_of_a_checkpoint_run_again_what_reads_them(checkout: Path) -> None:
    """Its weights run training again, its tokenizer the data set, and nothing else.

    A rule's parameter `code` has the content of the files that the named function of `jobs` lists.
    """
    found: dict[str, set[str]] = {}
    for file in (checkout / "workflow" / "rules").glob("*.smk"):
        for block in re.split(r"^(?=(?:use )?rule )", file.read_text(), flags=re.M):
            name = re.match(r"(?:use rule \w+ as|rule) (\w+)", block)
            for function in re.findall(r"code=code\(.*jobs\.(\w+_files)", block):
                found.setdefault(function, set()).add(name[1])
    training = {"train", "target_references", "shared_references"}
    assert found == {"pretrained_files": training, "data_files": {"dataset"}}
