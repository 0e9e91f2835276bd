"""The released models' outputs against a plain PyTorch network in double precision."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mico.attacks.computing import outputs
from mico.attacks.given import signals
from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.networks.cnn import CNN
from mico.networks.mlp import MLP
from mico.support import arrays
from mico.support.errors import InputError
from mico.training.engine import Records

NAMES = ("plain", "private")
NETWORK, PHASES = MLP(37, 4), Phases(3, 2, 2)


@pytest.fixture(scope="module")
def records(stored_data: object) -> Records:
    labels = torch.from_numpy(stored_data.labels.astype(np.int64))
    features = NETWORK.encode(stored_data.features)
    return Records(torch.from_numpy(features), labels)


def compute(directory: Path, records: Records, network: MLP = NETWORK) -> Signals:
    return outputs.compute(directory, PHASES, network, records, n=150, m=10)


@pytest.fixture(scope="module")
def computed(challenges: dict, records: Records) -> dict[str, Signals]:
    return {name: compute(challenges[name].directory, records) for name in NAMES}


def challenge_points(challenges: dict, name: str) -> np.ndarray:
    """The data-set indices (7, 2m) that the organiser's splits hold."""
    with np.load(challenges[name].organiser / "splits.npz") as file:
        return file["challenge"]


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_the_challenge_points_of_any_model(
    challenges: dict, computed: dict, name: str
) -> None:
    """In order of their data-set index; `challenge` maps back to each model's own order."""
    points = challenge_points(challenges, name)
    columns = sorted(set(points.ravel().tolist()))
    found = computed[name]
    assert found.loss.shape == found.margin.shape == (7, len(columns))
    assert found.challenge.shape == (7, 20)
    np.testing.assert_array_equal(np.array(columns)[found.challenge], points)


@pytest.mark.parametrize("name", NAMES)
def test_trained_is_the_organisers_record_of_training_sets(
    challenges: dict, computed: dict, name: str
) -> None:
    """For train models only; a model's own challenge points give its membership row."""
    columns = np.unique(challenge_points(challenges, name))
    with np.load(challenges[name].organiser / "splits.npz") as file:
        trained = np.unpackbits(file["trained"], axis=1, count=300).astype(bool)
        membership = file["membership"]
    found = computed[name]
    assert found.trained.dtype == bool
    np.testing.assert_array_equal(found.trained, trained[:3, columns])
    for model in range(3):
        own = found.trained[model, found.challenge[model]]
        np.testing.assert_array_equal(own, membership[model])


def naive(
    path: Path, published_mlp: type[nn.Module], x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability and margin from the state dict's network, all in double precision."""
    network = published_mlp(x.shape[1], 4)
    state_dict = torch.load(path, weights_only=True)
    network.load_state_dict({k.replace("_module.", ""): v for k, v in state_dict.items()})
    with torch.no_grad():
        log_p = network.double()(torch.from_numpy(x).double()).log_softmax(1).numpy()
    own = log_p[np.arange(len(y)), y]
    others = [
        np.logaddexp.reduce(np.delete(row, label)) for row, label in zip(log_p, y, strict=True)
    ]
    return own, own - others


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at_once", [32 * 128, 7])
def test_loss_and_margin_equal_a_naive_softmax(
    challenges: dict,
    records: Records,
    published_mlp: type[nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    at_once: int,
) -> None:
    """Also where the records are passed through in several parts, the last of them short."""
    monkeypatch.setattr(MLP, "physical_batch_size", 1 if at_once == 7 else 32)
    monkeypatch.setattr(outputs, "PHYSICAL_BATCHES", 7 if at_once == 7 else 128)
    challenge = challenges[name]
    found = compute(challenge.directory, records)
    columns = np.unique(challenge_points(challenges, name))
    x, y = challenge.data.features[columns], challenge.data.labels[columns]
    for phase, models in ("train", range(3)), ("dev", range(3, 5)), ("final", range(5, 7)):
        for model in models:
            path = challenge.directory / phase / f"model_{model}" / "model.pt"
            loss, margin = naive(path, published_mlp, x, y)
            # Logits of about 10 in float32 are known to 1e-5.
            np.testing.assert_allclose(found.loss[model], loss, rtol=1e-5, atol=2e-5)
            np.testing.assert_allclose(found.margin[model], margin, rtol=1e-5, atol=2e-5)
    assert (found.loss <= 0).all()
    assert found.loss.std() > 0.1


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        (NETWORK, [4096, 904]),
        (CNN(4), [4096, 904]),
        (CNN(4, physical_batch_size=10), [1280, 1280, 1280, 1160]),
        (CNN(4, physical_batch_size=64), [4096, 904]),
    ],
    ids=["mlp", "cnn", "smaller", "larger"],
)
def test_a_smaller_physical_batch_takes_fewer_records_at_a_time(
    network: MLP | CNN, sizes: list[int]
) -> None:
    """What goes into a network and comes out of it takes memory for all that it is given."""
    records = Records(torch.arange(15_000).view(1, 5000, 3), torch.arange(5000)[None])
    parts = list(outputs.parts(network, records))
    assert [part.labels.shape[1] for part in parts] == sizes
    assert torch.equal(torch.cat([part.features for part in parts], 1), records.features)
    assert torch.equal(torch.cat([part.labels for part in parts], 1), records.labels)


def test_a_very_certain_model_keeps_its_margins(
    challenges: dict, records: Records, published_mlp: type[nn.Module], tmp_path: Path
) -> None:
    """Where p_y rounds to 1 and the loss to 0, the margins still tell the records apart."""
    directory = tmp_path / "plain"
    shutil.copytree(challenges["plain"].directory, directory)
    path = directory / "train" / "model_0" / "model.pt"
    state_dict = torch.load(path, weights_only=True)
    torch.save({name: 40 * value for name, value in state_dict.items()}, path)
    found = compute(directory, records)
    columns = np.unique(challenge_points(challenges, "plain"))
    data = challenges["plain"].data
    loss, margin = naive(path, published_mlp, data.features[columns], data.labels[columns])
    certain = margin > 40
    assert certain.sum() > 20
    assert len(np.unique(found.margin[0, certain])) == certain.sum()
    # Logits of several hundreds in float32 are known to 1e-3.
    np.testing.assert_allclose(found.margin[0], margin, rtol=1e-5, atol=2e-3)
    np.testing.assert_allclose(found.loss[0], loss, rtol=1e-5, atol=2e-3)
    assert np.isfinite(found.loss).all()


def test_small_losses_are_not_lost_in_rounding(
    challenges: dict, records: Records, tmp_path: Path
) -> None:
    """Below float32's rounding of p_y, 6e-8, too: -log p_y = log(1 + e^-margin)."""
    directory = tmp_path / "plain"
    shutil.copytree(challenges["plain"].directory, directory)
    path = directory / "train" / "model_0" / "model.pt"
    state_dict = torch.load(path, weights_only=True)
    torch.save({name: 3 * value for name, value in state_dict.items()}, path)
    found = compute(directory, records)
    small = (found.margin[0] > 17) & (found.margin[0] < 25)
    assert small.sum() > 3
    # Logits of about 50 in double precision are known to 1e-14, the smallest such loss is 1e-11.
    expected = -np.log1p(np.exp(-found.margin[0, small]))
    np.testing.assert_allclose(found.loss[0, small], expected, rtol=0.01)


def test_signals_are_by_name_and_round_trip(computed: dict, tmp_path: Path) -> None:
    found = computed["plain"]
    np.testing.assert_array_equal(found.signal("loss"), found.loss)
    np.testing.assert_array_equal(found.signal("margin"), found.margin)
    np.testing.assert_allclose(np.log(found.signal("conf")), found.loss, rtol=1e-12, atol=1e-12)
    arrays.write(tmp_path / "a.npz", found)
    returned = signals.read([tmp_path / "a.npz"], PHASES)
    for name in ("loss", "margin", "trained", "challenge"):
        one, other = getattr(returned, name), getattr(found, name)
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())
    arrays.write(tmp_path / "b.npz", found)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_program_writes_what_is_computed(
    challenges: dict, computed: dict, run_script: Callable, tmp_path: Path
) -> None:
    challenge, path = challenges["private"], tmp_path / "signals.npz"
    arguments = ["--challenge", challenge.directory, "--data", challenge.data.directory]
    arguments += ["--architecture", "mlp"]
    arguments += ["--phases", 3, 2, 2, "--n", 150, "--m", 10, "--device", "cpu"]
    result = run_script("signals", *arguments, "--output", path)
    assert result.returncode == 0, result.stderr
    written, expected = signals.read([path], PHASES), computed["private"]
    np.testing.assert_allclose(written.loss, expected.loss, atol=1e-6)
    np.testing.assert_allclose(written.margin, expected.margin, atol=1e-5)
    np.testing.assert_array_equal(written.trained, expected.trained)
    np.testing.assert_array_equal(written.challenge, expected.challenge)


# Bad files


@pytest.fixture
def copied(challenges: dict, tmp_path: Path) -> Path:
    """A released challenge that a test may spoil."""
    return Path(shutil.copytree(challenges["plain"].directory, tmp_path / "plain"))


@pytest.mark.parametrize(
    "content",
    [b"", b"-1\n", b"1.5\n", b"9223372036854775808\n", b"12 13\n", "٣\n".encode(), b"\xff"],
)
@pytest.mark.parametrize("place", ["train/model_1/seed_membership", "dev/model_4/seed_challenge"])
def test_bad_seed_files_are_named(
    copied: Path, records: Records, content: bytes, place: str
) -> None:
    (copied / place).write_bytes(content)
    with pytest.raises(InputError, match=place) as caught:
        compute(copied, records)
    assert len(str(caught.value).splitlines()) == 1


def test_a_seed_of_thousands_of_digits_is_named(copied: Path, records: Records) -> None:
    (copied / "dev/model_4/seed_challenge").write_text("1" * 5000)
    with pytest.raises(InputError, match="dev/model_4/seed_challenge"):
        compute(copied, records)


@pytest.mark.parametrize(
    "place",
    ["train/model_0/seed_training", "final/model_6/seed_challenge", "final/model_5/model.pt"],
)
def test_missing_files_are_named(copied: Path, records: Records, place: str) -> None:
    (copied / place).unlink()
    with pytest.raises(InputError, match=place):
        compute(copied, records)


def test_models_of_another_shape_are_named(copied: Path, records: Records) -> None:
    path = copied / "dev/model_3/model.pt"
    state_dict = torch.load(path, weights_only=True)
    for name, wrong in ("mlp.2.bias", torch.zeros(5)), ("mlp.0.weight", torch.zeros(37, 128)):
        torch.save(state_dict | {name: wrong}, path)
        with pytest.raises(InputError, match=r"dev/model_3/model\.pt: .*expected .*mlp\.2\.bias"):
            compute(copied, records)


def test_models_of_other_keys_are_named(copied: Path, records: Records) -> None:
    path = copied / "train/model_2/model.pt"
    state_dict = torch.load(path, weights_only=True)
    renamed = {name.replace("mlp", "cnn"): value for name, value in state_dict.items()}
    for wrong in renamed, state_dict | {"extra": torch.zeros(1)}, {}:
        torch.save(wrong, path)
        with pytest.raises(InputError, match=r"train/model_2/model\.pt: parameters "):
            compute(copied, records)


@pytest.mark.parametrize("spoil", ["double", "nan"])
def test_models_of_other_numbers_are_named(copied: Path, records: Records, spoil: str) -> None:
    path = copied / "train/model_2/model.pt"
    state_dict = torch.load(path, weights_only=True)
    if spoil == "double":
        state_dict = {name: value.double() for name, value in state_dict.items()}
    else:
        state_dict["mlp.2.bias"][0] = torch.nan
    torch.save(state_dict, path)
    with pytest.raises(InputError, match=r"train/model_2/model\.pt"):
        compute(copied, records)


def test_corrupt_models_are_named(copied: Path, records: Records) -> None:
    path = copied / "final/model_6/model.pt"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"final/model_6/model\.pt: cannot be read"):
        compute(copied, records)
