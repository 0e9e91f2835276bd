"""Small released challenges of each track, to be bundled."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mico.challenge import seeds, split_file, splits
from mico.challenge.phases import Phases
from mico.challenge.recipe import TrainingOptions
from mico.challenge.scenario import Scenario
from mico.data import store
from mico.data.formats.cifar10_binary import MEAN, SHAPE, STD
from mico.data.store import Description
from mico.networks.build import build
from mico.privacy import budget as privacy_file
from mico.privacy.budget import Privacy
from mico.release import writer
from mico.release.bundle import Challenge, content_digest
from mico.training import engine

TRACK = "tiny"
PHASES = Phases(train=3, dev=2, final=2)
NAMES = ("plain", "private")


def scenario(name: str, disclosed: tuple[str, ...], sigma: float | None) -> Scenario:
    return Scenario(
        id=f"S-{name}",
        challenge=name,
        track=TRACK,
        data="tiny",
        architecture="mlp",
        n=150,
        m=10,
        epochs=6,
        batch_size=16,
        shuffle=False,
        optimizer="adam",
        learning_rate=0.01,
        lr_decay=0.9,
        lr_decay_epochs=2,
        max_gradient_norm=None,
        clipping_norm=sigma and 2.6,
        epsilon=None,
        delta=sigma and 1e-5,
        noise_multiplier=sigma,
        disclosed=disclosed,
        null_run=False,
    )


def described(challenges: dict, name: str) -> Challenge:
    """A challenge of the fixture as the bundle's module takes it."""
    one = challenges[name]
    return Challenge(
        scenario(name, one.disclosed, 0.7 if one.private else None),
        one.directory,
        one.checksums,
        privacy_file.read(one.organiser / "privacy.json"),
        split_file.read(one.organiser / "splits.npz"),
        store.describe(one.data.directory),
        content_digest(store.read(one.data.directory)),
    )


def image_challenges(root: Path) -> dict[str, Challenge]:
    """Two challenges on random images, with networks of different width; the second private."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (60, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, 60, dtype=np.uint8)
    about = {"shape": SHAPE, "mean": MEAN, "std": STD}
    description = Description("pictures", 60, 3072, 10, True, "test", kind="images", **about)
    store.write(root / "pictures", description, pixels, labels)
    return {
        "image": _challenge(root, "image", "pictures", "cnn/32", None),
        "image-private": _challenge(root, "image-private", "pictures", "cnn/64", 0.7),
    }


def text_challenges(root: Path) -> dict[str, Challenge]:
    """Two challenges on random sentences; the second private, from a BERT in a folder."""
    transformers = pytest.importorskip("transformers", reason="the text track's package")
    rng = np.random.default_rng(2)
    ids = rng.integers(2, 40, (60, 12), dtype=np.uint16)
    ids[np.arange(12) >= rng.integers(2, 13, (60, 1))] = 1
    labels = rng.integers(0, 2, 60, dtype=np.uint8)
    description = Description("reviews", 60, 12, 2, True, "test", "tokens", 40, padding=1)
    store.write(root / "reviews", description, ids, labels)
    settings = {"vocab_size": 40, "hidden_size": 24, "num_hidden_layers": 2, "pad_token_id": 1}
    settings |= {"num_attention_heads": 3, "intermediate_size": 36, "max_position_embeddings": 32}
    bert = root / "secret place" / "small-bert"
    torch.manual_seed(1)
    transformers.BertModel(transformers.BertConfig(**settings)).save_pretrained(bert)
    return {
        "text": _challenge(root, "text", "reviews", "roberta-tiny", None),
        "text-private": _challenge(root, "text-private", "reviews", f"transformers/{bert}", 0.7),
    }


def _challenge(
    root: Path, name: str, of_data: str, architecture: str, sigma: float | None
) -> Challenge:
    one = replace(
        scenario(name, (), sigma), data=of_data, architecture=architecture, n=30, epochs=2
    )
    data = store.read(root / of_data)
    drawn = seeds.derive(6, name, PHASES.models)
    known = splits.split_all(data.description.records, one.n, one.m, drawn)
    network = build(architecture, data.description)
    options = TrainingOptions(
        one.epochs, one.batch_size, "adam", 0.01, 0.9, 2, one.clipping_norm, sigma
    )
    with torch.no_grad():
        trained = engine.train(
            network,
            engine.load(network, data, torch.device("cpu")),
            [splits.split(60, one.n, one.m, own).training_set for own in drawn],
            [own["seed_model"] for own in drawn],
            options,
        )
    folders = [root / "trained" / name / f"model_{model}" for model in range(PHASES.models)]
    for folder, state_dict in zip(folders, network.to_state_dicts(trained), strict=True):
        folder.mkdir(parents=True)
        network.write_model(folder, state_dict, one.private)
    directory = root / "challenge" / name
    writer.write(directory, PHASES, drawn, known.membership, folders, one.disclosed)
    checksums = root / "checksums" / f"{name}.sha256"
    writer.write_checksums(directory, checksums)
    privacy = Privacy(1 / 2, 4, sigma)
    content = content_digest(data)
    return Challenge(one, directory, checksums, privacy, known, data.description, content)


def packing(
    run_script: Callable, challenges: dict, folder: Path, *seeds: str
) -> tuple[subprocess.CompletedProcess, tuple[Path, Path]]:
    """Run the program on both challenges; `seeds` are the flags that say what is known of them."""
    ones = [challenges[name] for name in NAMES]
    scenarios = [asdict(described(challenges, name).scenario) for name in NAMES]
    paths = folder / "tiny.zip", folder / "tiny-solutions.zip"
    result = run_script(
        "bundle",
        *("--track", TRACK, "--phases", 3, 2, 2, "--max-bytes", 1_234_567),
        *("--challenges", *(one.directory for one in ones)),
        *("--checksums", *(one.checksums for one in ones)),
        *("--scenarios", json.dumps(scenarios)),
        *("--privacy", *(one.organiser / "privacy.json" for one in ones)),
        *("--splits", *(one.organiser / "splits.npz" for one in ones)),
        *("--data", *(one.data.directory for one in ones)),
        *("--output", paths[0], "--solutions", paths[1]),
        *seeds,
    )
    return result, paths


def pack(run_script: Callable, challenges: dict, folder: Path) -> tuple[Path, Path]:
    """The bundle and the solutions of both challenges, of random seeds."""
    result, paths = packing(run_script, challenges, folder, "--seeds", "random")
    assert result.returncode == 0, result.stderr
    return paths
