"""Models of anybody's as files of weights: found, run on all records, and attacked by a run."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_configuration import TINY
from tiny_configuration import run as checked
from torch import nn
from workflow_runs import planned, snakemake

import mico
from mico.attacks.computing import array_files, weights
from mico.challenge import split_file
from mico.data import store
from mico.support.errors import InputError
from mico.workflow import jobs, resources
from mico.workflow.plan import make

FOUR = {"count": 4, "train_models": 0, "shard_size": 2, "scenarios": []}


@pytest.fixture
def models(tmp_path: Path, stored_data, published_mlp: type[nn.Module]) -> list[nn.Module]:
    """Eleven networks as somebody else trained them, in files; a table of members beside them."""
    folder = tmp_path / "models"
    folder.mkdir()
    torch.manual_seed(4)
    made = [published_mlp(37, 4) for _ in range(11)]
    for number, model in enumerate(made):
        torch.save(model.state_dict(), folder / f"model_{number}.pt")
    members = np.random.default_rng(2).random((11, 300)) < 0.5
    np.savetxt(tmp_path / "members.csv", members, "%d", delimiter=",")
    np.save(tmp_path / "members.npy", members)
    np.savez(tmp_path / "members.npz", keep=members)
    return made


def arguments(folder: Path, stored_data, members: str = "members.csv") -> list[object]:
    given = ["--weights", folder / "models", "--members", folder / members, "--device", "cpu"]
    given += ["--data", stored_data.directory, "--architecture", "mlp"]
    return [*given, "--physical-batch-size", 32, "--output", folder / "outputs.npz"]


@pytest.mark.parametrize("members", ["members.csv", "members.npy", "members.npz"])
def test_outputs_are_what_torch_computes(
    tmp_path: Path, stored_data, models: list, call: Callable[..., None], members: str
) -> None:
    call("outputs", *arguments(tmp_path, stored_data, members))
    found = array_files.read(tmp_path / "outputs.npz")
    x = torch.from_numpy(stored_data.features).float()
    for row, model in zip(found.signals.loss, models, strict=True):
        with torch.no_grad():
            expected = -nn.functional.cross_entropy(
                model(x), torch.from_numpy(stored_data.labels).long(), reduction="none"
            )
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
    assert found.classes is not None
    assert found.classes.tolist() == stored_data.labels.tolist()
    np.testing.assert_array_equal(found.membership, np.load(tmp_path / "members.npy"))


def test_models_are_in_the_order_of_their_numbers(tmp_path: Path, models: list) -> None:
    folder = tmp_path / "models"
    assert [path.name for path in weights.models(folder)] == [f"model_{i}.pt" for i in range(11)]
    (folder / "notes.txt").touch()
    (folder / "model_3.pt").unlink()
    (folder / "model_12").mkdir()
    names = [path.name for path in weights.models(folder)]
    assert names == [*(f"model_{i}.pt" for i in range(11) if i != 3), "model_12"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("best.pt", "'best.pt': expected model_0.pt or model_0"),
        ("other_07.pt", "model_7.pt and other_07.pt have the same number"),
        ("model_²", "'model_²': expected model_0.pt or model_0"),
    ],
)
def test_names_that_have_no_number(tmp_path: Path, models: list, name: str, said: str) -> None:
    (tmp_path / "models" / name).mkdir()
    with pytest.raises(InputError) as refused:
        weights.models(tmp_path / "models")
    assert said in str(refused.value)
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        weights.models(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no models in it"):
        weights.models(tmp_path / "empty")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "shape (0, 1), expected (2, 3)"),
        ("1,0,1\n", "shape (1, 3), expected (2, 3)"),
        ("1,0\n1,0\n", "shape (2, 2), expected (2, 3)"),
        ("1,0,1\n0,1,2\n", "expected 0 and 1"),
        ("1,0,1\n0,1,nan\n", "expected 0 and 1"),
        ("1,0,1\n0,1\n", "expected rows of 0 and 1 (the number of columns changed"),
        ("a,b,c\n1,0,1\n", "expected rows of 0 and 1 (could not convert string 'a'"),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt. input contained no data")
def test_tables_of_members_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "members.csv"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        weights.read_members(path, 2, 3)
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(path))
    assert "\n" not in str(refused.value)
    path.write_text("1,0,1\n0,1,1\n")
    assert weights.read_members(path, 2, 3).tolist() == [[True, False, True], [False, True, True]]


def test_weights_of_another_network_are_refused(
    tmp_path: Path, stored_data, models: list, call: Callable[..., None]
) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "models/model_5.pt")
    with pytest.raises(InputError, match=r"model_5\.pt: (parameter|key) ?.*"):
        call("outputs", *arguments(tmp_path, stored_data))
    assert not (tmp_path / "outputs.npz").exists()


def weighted(tmp_path: Path, **changes: object) -> dict[str, object]:
    given = {"id": "mine", "weights": str(tmp_path / "models"), "data": "shopping"}
    given |= {"members": str(tmp_path / "members.csv"), "architecture": "mlp"}
    return given | changes


def test_a_plan_of_weights(tmp_path: Path, models: list) -> None:
    others = {"target_references": FOUR}
    others |= {"shared_references": {"scenarios": [], "count": 3, "shard_size": 2}}
    plan = make(checked(scenarios=[weighted(tmp_path)], **others), look=False)
    assert plan.phases == [11, 0, 0]
    assert plan.datasets == ["shopping"]
    job = {"track": "mine", "challenge": "mine", "scenario": "mine"}
    made = "results/tiny/outputs/mine.npz"
    assert jobs.made_outputs(plan, job) == ["<results>/outputs/mine.npz"]
    assert jobs.outputs_flag(plan, job, {"made": made}) == f"--outputs {made}"
    assert jobs.weights_data(plan, job) == "<results>/data/shopping"
    assert resources.compute_mb(plan, {"scenario": "mine"}) > 600
    assert resources.outputs_minutes(plan, {"scenario": "mine"}) >= 10
    assert not plan.has_text({"scenario": "mine"})
    before = jobs.given_state(plan, job)
    assert len(before) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "nlp"}, "scenario mine: architecture 'nlp': expected"),
        ({"architecture": "cnn"}, "scenario mine: data 'shopping': cnn takes data of the format"),
        ({"data": "shoping"}, "data 'shoping' is not among the datasets, did you mean"),
        ({"weights": "nowhere"}, "scenario mine: weights: nowhere: cannot be read"),
        ({"outputs": "mine.npz"}, "scenario mine: unknown key 'outputs'"),
        ({"members": None}, "scenario mine: members: None is not of type 'string'"),
    ],
)
def test_plans_that_are_refused(
    tmp_path: Path, models: list, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        checked(scenarios=[weighted(tmp_path, **changes)])
    assert said in str(refused.value)


@pytest.mark.slow
def test_a_run_on_weights_is_one_on_their_outputs(checkout: Path, tiny: Path) -> None:
    """Of a run's own released models, with the training sets that its organiser knows."""
    folder = checkout / "weights/models"
    for path in (tiny / "challenge/shopping/shopping_inf").glob("*/model_*"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path)
    trained = split_file.read(tiny / "private/S1/splits.npz").trained
    np.savez(checkout / "weights/members.npz", trained=trained)
    datasets = json.dumps(TINY["datasets"])
    (checkout / "weights.yaml").write_text(
        "run: weights\nscenarios:\n"
        "  - {id: mine, weights: weights/models, members: weights/members.npz, architecture: mlp,"
        f" data: shopping}}\ndatasets: {datasets}\nattacks:\n"
        "  - {name: lira-online, attack: lira, variant: online, signal: margin}\n"
        "  - {name: rmia-online, attack: rmia}\n"
    )
    given = ("--configfile", "weights.yaml")
    snakemake(checkout, "--cores", "2", *given)
    results = checkout / "results/weights"
    labels = store.read_labels(results / "data/shopping")
    outputs = array_files.read(results / "outputs/mine.npz")
    challenge = mico.from_margins(outputs.signals.margin, trained, name="mine")
    assert outputs.classes is not None
    assert outputs.classes.tolist() == labels.tolist()
    table = pd.read_csv(results / "scores.csv").set_index("participant")
    for attack, options in (("lira", {"variant": "online", "signal": "margin"}), ("rmia", {})):
        name = f"{attack}-online"
        found = challenge.score(challenge.attack(attack, **options)).loc["all"]
        assert table.loc[name, "tpr_at_fpr_0.1"] == found["tpr_at_fpr_0.1"]
        assert table.loc[name, "auc"] == found["auc"]
    assert "synthetic" in (results / "report.html").read_text()
    assert not planned(snakemake(checkout, "--dry-run", *given))
