"""Models that the competition's own code released are read, and know the data that we make.

They were trained on the stand-in for Purchase-100 of the default configuration; see data/README.md.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mico.challenge import splits
from mico.challenge.layout import MODEL, SOLUTION, seed_files
from mico.data.formats.purchase100_synthetic import purchase100
from mico.data.store import Description
from mico.networks.build import build
from mico.networks.mlp import MLP
from mico.networks.model_files import OPACUS_PREFIX
from mico.support.errors import InputError

DATA = Path(__file__).parent / "data"
RELEASE = DATA / "original_release"
FOLDERS = [path.parent for path in sorted(RELEASE.rglob(MODEL))]
TRAIN = [folder for folder in FOLDERS if folder.parent.name == "train"]
RECORDS, N, M = 4000, 3040, 100
NETWORK = MLP(600, 100)
by_name = {"ids": lambda path: str(path.relative_to(RELEASE))}


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    return purchase100(RECORDS, seed=1)


def split_of(folder: Path) -> splits.Split:
    seeds = {kind: int((folder / kind).read_text()) for kind in seed_files("train")}
    return splits.split(RECORDS, N, M, seeds)


@pytest.mark.parametrize("folder", FOLDERS, **by_name)
def test_keys_and_shapes_are_ours(folder: Path, tmp_path: Path) -> None:
    """Written again, a model holds what it held, under the names that its loader expects."""
    private = folder.parents[1].name == "purchase100_hi"
    NETWORK.write_model(tmp_path, NETWORK.read_model(folder), private)
    theirs, ours = (
        torch.load(path / MODEL, weights_only=True, map_location="cpu")
        for path in (folder, tmp_path)
    )
    assert list(ours) == list(theirs)
    assert all(name.startswith(OPACUS_PREFIX) == private for name in theirs)
    for name, value in theirs.items():
        assert torch.equal(ours[name], value)
    read = NETWORK.from_state_dicts([NETWORK.read_model(folder)])
    assert {name: tuple(value.shape[1:]) for name, value in read.items()} == NETWORK.shapes


@pytest.mark.parametrize("folder", TRAIN, **by_name)
def test_solution_is_what_the_seeds_give(folder: Path) -> None:
    solution = (folder / SOLUTION).read_text().strip()
    assert solution == ",".join(str(int(bit)) for bit in split_of(folder).membership)


@pytest.mark.parametrize("challenge", ["purchase100_inf", "purchase100_hi"])
def test_model_knows_the_data(challenge: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    """Without DP it also knows what it was trained on: 76 % of it, and 45 % of the rest."""
    folder = RELEASE / challenge / "train" / "model_0"
    features, labels = data
    parameters = NETWORK.from_state_dicts([NETWORK.read_model(folder)])
    inputs = NETWORK.inputs(torch.from_numpy(NETWORK.encode(features))[None])
    correct = NETWORK.logits(parameters, inputs)[0].argmax(1).numpy() == labels
    split = split_of(folder)
    trained, rest = correct[split.training_set].mean(), correct[split.evaluation].mean()
    if challenge == "purchase100_inf":
        assert trained > 0.7 > 0.5 > rest > 0.4
        assert correct[split.challenge[split.membership]].mean() > 0.7
        assert correct[split.challenge[~split.membership]].mean() < 0.55
    else:
        # DP with so few records leaves little, and one in a hundred is chance.
        assert min(trained, rest) > 0.04


def test_pickled_text_model_is_refused_and_runs_when_converted(tmp_path: Path) -> None:
    """With the library's logits, and without the buffer that its older versions saved."""
    transformers = pytest.importorskip("transformers", reason="the text track's package")
    from safetensors.torch import save_file

    folder = DATA / "text_model"
    data = Description("reviews", 60, 8, 2, True, "test", "tokens", 300, padding=1)
    with pytest.raises(InputError, match="cannot be loaded from safetensors"):
        build(f"transformers/{folder}", data)

    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    assert weights.pop("roberta.embeddings.position_ids").dtype == torch.int64
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(folder / "config.json", tmp_path)
    network = build(f"transformers/{tmp_path}", data)
    library = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[0, 5, 6, 7, 2, 1, 1, 1], [0, 299, 8, 3, 4, 5, 6, 2]])
    with torch.no_grad():
        found = network.logits(network.from_state_dicts([weights]), ids[None])[0]
        expected = library(ids, attention_mask=ids != 1).logits
    torch.testing.assert_close(found, expected)
