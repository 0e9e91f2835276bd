"""White-box features against autograd's per-example gradients of the published network.

Those are in double precision; the weights are the released ones.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mico.attacks.computing import gradients, outputs
from mico.attacks.given import whitebox
from mico.attacks.given.whitebox import WhiteBox
from mico.challenge.phases import Phases
from mico.networks.facts import networks
from mico.networks.mlp import MLP
from mico.release.reader import Disclosed
from mico.support import arrays
from mico.support.errors import InputError
from mico.training.engine import Records

NAMES = ("plain", "private")
NORMS = ["log_gradient_norm_1", "log_gradient_norm_2"]
ALIGNMENTS = {
    "plain": ["alignment_all"],
    "private": ["alignment_members", "alignment_nonmembers"],
}
NETWORK, PHASES, COUNT = MLP(37, 4), Phases(3, 2, 2), 300


@pytest.fixture(scope="module")
def records(stored_data: object) -> Records:
    features = NETWORK.encode(stored_data.features)
    labels = torch.from_numpy(stored_data.labels.astype(np.int64))
    return Records(torch.from_numpy(features), labels)


def compute(directory: Path, records: Records) -> WhiteBox:
    return gradients.compute(directory, PHASES, NETWORK, records, n=150, m=10)


@pytest.fixture(scope="module")
def computed(challenges: dict, records: Records) -> dict[str, WhiteBox]:
    return {name: compute(challenges[name].directory, records) for name in NAMES}


@dataclass(frozen=True)
class Secret:
    """What the organiser knows of a challenge."""

    challenge: np.ndarray  # (7, 2m)
    trained: np.ndarray  # (7, 300) bool

    @property
    def columns(self) -> np.ndarray:
        return np.unique(self.challenge)

    def computed(self, model: int) -> np.ndarray:
        """Which columns have features: a train model's all, another's own challenge points."""
        return np.isin(self.columns, self.challenge[model]) | (model < PHASES.train)

    def compared(self, name: str, model: int) -> dict[str, np.ndarray]:
        """Records that a model's points are compared with, none of them a point of its own."""
        rest = np.setdiff1d(np.arange(COUNT), self.challenge[model])
        if name == "plain":
            return {"all": rest}
        inside = self.trained[model, rest]
        return {"members": rest[inside], "nonmembers": rest[~inside]}


@pytest.fixture(scope="module")
def secrets(challenges: dict) -> dict[str, Secret]:
    read = {}
    for name in NAMES:
        with np.load(challenges[name].organiser / "splits.npz") as file:
            trained = np.unpackbits(file["trained"], axis=1, count=COUNT).astype(bool)
            read[name] = Secret(file["challenge"], trained)
    return read


class Naive:
    """A released model in double precision."""

    def __init__(self, challenge: object, model: int, published_mlp: type[nn.Module]) -> None:
        path = next(challenge.directory.glob(f"*/model_{model}/model.pt"))
        state_dict = torch.load(path, weights_only=True)
        self.network = published_mlp(37, 4)
        self.network.load_state_dict({k.replace("_module.", ""): v for k, v in state_dict.items()})
        self.network.double()
        self.x = torch.from_numpy(challenge.data.features).double()
        self.y = torch.from_numpy(challenge.data.labels.astype(np.int64))

    def gradient(self, indices: np.ndarray) -> list[Tensor]:
        """Of the mean loss of these records, by layer, flat."""
        chosen = torch.from_numpy(indices)
        self.network.zero_grad()
        nn.functional.cross_entropy(self.network(self.x[chosen]), self.y[chosen]).backward()
        flat = [parameter.grad.flatten() for parameter in self.network.parameters()]
        return [torch.cat(flat[:2]), torch.cat(flat[2:])]

    def hidden(self, indices: np.ndarray) -> Tensor:
        with torch.no_grad():
            return self.network.mlp[:2](self.x[torch.from_numpy(indices)])


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_those_of_the_signals(
    challenges: dict,
    records: Records,
    computed: dict[str, WhiteBox],
    secrets: dict[str, Secret],
    name: str,
) -> None:
    found = computed[name]
    given = outputs.compute(challenges[name].directory, PHASES, NETWORK, records, 150, 10)
    assert found.names.tolist() == [*NORMS, *ALIGNMENTS[name], "activation_distance"]
    assert found.features.shape == (*given.loss.shape, len(found.names))
    assert found.features.dtype == np.float32
    assert found.classes.dtype == np.int64
    has = np.stack([secrets[name].computed(model) for model in range(7)])
    assert np.isfinite(found.features[has]).all()
    assert np.isnan(found.features[~has]).all()
    # A column's gradient of the last layer's bias, p - y, is smallest where the model is right.
    for models in range(1), range(1, 2), range(2, 3), range(3, 7):
        norms, loss = (
            values[models][has[models]] for values in (found.features[..., 1], given.loss)
        )
        assert np.corrcoef(norms, loss)[0, 1] < -0.5


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_autograds(
    challenges: dict,
    computed: dict[str, WhiteBox],
    secrets: dict[str, Secret],
    published_mlp: type[nn.Module],
    name: str,
) -> None:
    """The norms by layer, and the cosine with the mean gradient of all layers."""
    found, secret = computed[name], secrets[name]
    columns = secret.columns
    np.testing.assert_array_equal(found.classes, challenges[name].data.labels[columns])
    spread = []
    for model in range(7):
        naive = Naive(challenges[name], model, published_mlp)
        compared = secret.compared(name, model)
        means = {key: torch.cat(naive.gradient(one)) for key, one in compared.items()}
        has = secret.computed(model)
        for row, column in zip(found.features[model, has], columns[has], strict=True):
            layers = naive.gradient(np.array([column]))
            # p - y in float32 is known to 1e-7, and is multiplied by inputs of norm 4.
            norms = [float(layer.norm()) for layer in layers]
            np.testing.assert_allclose(np.exp(row[:2]), norms, rtol=1e-4, atol=2e-6)
            own = torch.cat(layers)
            cosines = [float(own @ mean / (own.norm() * mean.norm())) for mean in means.values()]
            np.testing.assert_allclose(row[2:-1], cosines, rtol=0, atol=1e-3)
            spread.append(row)
    assert (np.std(spread, axis=0) > 0.03).all()


@pytest.mark.parametrize("name", NAMES)
def test_activations_are_compared_with_their_class(
    challenges: dict,
    computed: dict[str, WhiteBox],
    secrets: dict[str, Secret],
    published_mlp: type[nn.Module],
    name: str,
) -> None:
    """Of members, where they are known, else of all records but the model's own points."""
    found, secret = computed[name], secrets[name]
    labels = challenges[name].data.labels
    for model in range(7):
        naive = Naive(challenges[name], model, published_mlp)
        compared = next(iter(secret.compared(name, model).values()))
        has = secret.computed(model)
        distances = found.features[model, has, -1]
        for distance, column in zip(distances, secret.columns[has], strict=True):
            same = compared[labels[compared] == labels[column]]
            own = naive.hidden(np.array([column]))[0]
            expected = float((own - naive.hidden(same).mean(0)).norm())
            assert distance == pytest.approx(expected, rel=1e-4)


def disclosed(model: int, training: np.ndarray, models: int = 7) -> Disclosed:
    """Where a model was trained on these records, and its challenge points are 0-9."""
    challenge = np.tile(np.arange(10), (7, 1))
    return Disclosed(challenge, np.zeros((3, 50), bool), dict.fromkeys(range(models), training))


def test_at_most_a_sample_is_compared_with() -> None:
    """Of each kind; the same every time, not the same records for every model."""
    facts = replace(networks()["mlp"], white_box_records=8)
    rest, training = np.arange(10, 50), np.arange(20, 40)
    for models, expected in (
        (7, {"members": training, "nonmembers": np.setdiff1d(rest, training)}),
        # Only train models' records are given away: nothing that all models could be asked.
        (3, {"all": rest}),
    ):
        given = disclosed(2, training, models)
        sets = [gradients._compared(given, model, PHASES, 50, facts) for model in (2, 3, 2)]
        for found in sets:
            assert list(found) == list(expected)
            for name, indices in found.items():
                assert len(set(indices.tolist())) == len(indices) == 8
                assert set(indices.tolist()) <= set(expected[name].tolist())
        for name in expected:
            assert set(sets[0][name]) != set(sets[1][name])
            np.testing.assert_array_equal(sets[0][name], sets[2][name])


def test_without_nonmembers_there_is_nothing_to_compare_with_them() -> None:
    found = gradients._compared(disclosed(2, np.arange(10, 50)), 2, PHASES, 50, NETWORK.facts)
    assert list(found) == ["members"]


@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e3])
def test_features_are_numbers_whatever_the_weights(
    challenges: dict, records: Records, secrets: dict[str, Secret], tmp_path: Path, factor: float
) -> None:
    """Of models that are certain of all records, and that say the same of all."""
    directory = Path(shutil.copytree(challenges["plain"].directory, tmp_path / "plain"))
    for path in directory.glob("*/model_*/model.pt"):
        state_dict = torch.load(path, weights_only=True)
        torch.save({name: factor * value for name, value in state_dict.items()}, path)
    found = compute(directory, records)
    for model, row in enumerate(found.features):
        has = secrets["plain"].computed(model)
        assert np.isfinite(row[has]).all()
        assert (np.abs(row[has, 2]) <= 1 + 1e-5).all()


def test_of_a_costly_network_fewer_shadow_models_are_asked(
    challenges: dict,
    records: Records,
    computed: dict[str, WhiteBox],
    secrets: dict[str, Secret],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two of three; the third has features at its own challenge points, the same."""
    facts = replace(networks()["mlp"], white_box_records=COUNT, white_box_shadows=2)
    monkeypatch.setattr(MLP, "facts", facts)
    found, all_three = compute(challenges["plain"].directory, records), computed["plain"]
    own = np.isin(secrets["plain"].columns, secrets["plain"].challenge[2])
    assert np.isnan(found.features[2, ~own]).all()
    np.testing.assert_array_equal(found.features[:2], all_three.features[:2])
    np.testing.assert_allclose(found.features[2, own], all_three.features[2, own], rtol=1e-5)


def test_records_may_be_passed_through_in_parts(
    challenges: dict,
    records: Records,
    computed: dict[str, WhiteBox],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last of them short."""
    monkeypatch.setattr(MLP, "physical_batch_size", 3)
    monkeypatch.setattr(outputs, "PHYSICAL_BATCHES", 3)
    found, expected = compute(challenges["private"].directory, records), computed["private"]
    assert len(expected.classes) % 9
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-4)


# ---- Files.


def test_program_writes_what_is_computed(
    challenges: dict,
    records: Records,
    computed: dict[str, WhiteBox],
    run_script: Callable,
    tmp_path: Path,
) -> None:
    challenge, path = challenges["private"], tmp_path / "whitebox.npz"
    arguments = ["--challenge", challenge.directory, "--data", challenge.data.directory]
    arguments += ["--architecture", "mlp"]
    arguments += ["--phases", 3, 2, 2, "--n", 150, "--m", 10, "--device", "cpu"]
    result = run_script("whitebox", *arguments, "--output", path)
    assert result.returncode == 0, result.stderr
    given = outputs.compute(challenge.directory, PHASES, NETWORK, records, 150, 10)
    written, expected = whitebox.read([path], given, PHASES), computed["private"]
    assert written.names.tolist() == expected.names.tolist()
    np.testing.assert_array_equal(written.classes, expected.classes)
    np.testing.assert_allclose(written.features, expected.features, rtol=1e-4, atol=1e-4)

    arrays.write(tmp_path / "again.npz", written)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_features_of_other_models_or_records_are_refused(
    challenges: dict, records: Records, computed: dict[str, WhiteBox], tmp_path: Path
) -> None:
    path = tmp_path / "whitebox.npz"
    given = outputs.compute(challenges["plain"].directory, PHASES, NETWORK, records, 150, 10)
    found = computed["plain"]
    features = found.features
    for wrong in features[:-1], features[:, :-1]:
        arrays.write(path, replace(found, features=wrong))
        with pytest.raises(InputError, match=rf"^{path}: models and records .*, signals have "):
            whitebox.read([path], given, PHASES)
    with pytest.raises(InputError, match=r"other: expected one file of white-box features$"):
        whitebox.read([path, tmp_path / "other"], given, PHASES)


def test_missing_and_other_files_are_named(
    challenges: dict, records: Records, tmp_path: Path
) -> None:
    given = outputs.compute(challenges["plain"].directory, PHASES, NETWORK, records, 150, 10)
    splits = challenges["plain"].organiser / "splits.npz"
    for path in tmp_path / "absent.npz", tmp_path, splits:
        with pytest.raises(InputError, match=f"{path}: not a file of white-box features"):
            whitebox.read([path], given, PHASES)


def test_missing_models_are_named(challenges: dict, records: Records, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(challenges["plain"].directory, tmp_path / "plain"))
    (directory / "final/model_6/model.pt").unlink()
    with pytest.raises(InputError, match=r"final/model_6/model\.pt: cannot be read"):
        compute(directory, records)
