"""Numbers as features: the perceptron's gradients are those of autograd, and the kit reads them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

import mico.release
from mico.data import store
from mico.data.store import Dataset, Description
from mico.networks.architecture import Clipping
from mico.networks.build import build
from mico.training import engine

COUNT, WIDTH, CLASSES, CLIPPING_NORM = 40, 7, 3, 6.0
OF_IMAGES = {"shape": (2, 3, 4), "mean": (0.5, 0.25), "std": (0.2, 0.1)}


@pytest.fixture
def stored(tmp_path: Path) -> Dataset:
    """Of every size, so that some gradients are clipped and some are not."""
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(COUNT, WIDTH)) * rng.uniform(0.01, 5, (COUNT, 1))
    labels = rng.integers(0, CLASSES, COUNT, dtype=np.uint8)
    about = Description("d", COUNT, WIDTH, CLASSES, False, "test", "numbers")
    store.write(tmp_path / "d", about, numbers.astype(np.float32), labels)
    return store.read(tmp_path / "d")


@pytest.fixture(scope="module")
def kit() -> ModuleType:
    path = Path(mico.release.__file__).parent / "starter_kit" / "starter_kit.py"
    spec = importlib.util.spec_from_file_location("starter_kit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gradients_are_those_of_autograd(stored: Dataset, published_mlp: type[nn.Module]) -> None:
    torch.manual_seed(1)
    model = published_mlp(WIDTH, CLASSES)
    network = build("mlp", stored.description)
    records = engine.load(network, stored, torch.device("cpu"))
    assert records.features.dtype == torch.float32
    parameters = network.from_state_dicts([model.state_dict()])
    x, y = network.inputs(records.features[None]), records.labels[None]
    torch.testing.assert_close(x[0, :, :-1], torch.from_numpy(stored.features()))

    exact, names = model.double(), list(dict(model.named_parameters()))
    logits = exact(torch.from_numpy(stored.features().astype(np.float64)))
    torch.testing.assert_close(
        network.logits(parameters, x)[0].double(), logits, rtol=1e-5, atol=1e-5
    )
    losses = nn.functional.cross_entropy(logits, records.labels, reduction="none")
    gradients = [
        torch.autograd.grad(loss, list(exact.parameters()), retain_graph=True) for loss in losses
    ]
    norms = torch.stack([torch.cat([part.flatten() for part in one]).norm() for one in gradients])
    assert 5 < (norms > CLIPPING_NORM).sum() < COUNT - 5

    def check(found: dict, factors: torch.Tensor) -> None:
        """Against the sum of the examples' gradients, each times its factor."""
        for name, value in network.to_state_dicts(found)[0].items():
            parts = [one[names.index(name)] for one in gradients]
            expected = sum(part * factor for part, factor in zip(parts, factors, strict=True))
            torch.testing.assert_close(value.double(), expected, rtol=1e-4, atol=1e-5)

    out = {name: torch.zeros_like(value) for name, value in parameters.items()}
    network.mean_gradient(parameters, x, y, out)
    check(out, torch.full((COUNT,), 1 / COUNT))
    out = {name: torch.zeros_like(value) for name, value in parameters.items()}
    bound = torch.full((1, COUNT), CLIPPING_NORM)
    network.add_clipped_gradients(parameters, x, y, bound, Clipping(CLIPPING_NORM), out)
    check(out, (CLIPPING_NORM / norms).clamp(max=1))


def test_the_kit_takes_numbers_as_they_are(
    kit: ModuleType, stored: Dataset, tmp_path: Path
) -> None:
    features, labels = kit.load_data(tmp_path / "d")
    np.testing.assert_array_equal(features, stored.features())
    np.testing.assert_array_equal(labels, stored.labels)
    found = kit.to_input(features, {"records": COUNT, "features": WIDTH})
    torch.testing.assert_close(found, torch.from_numpy(stored.features()), rtol=0, atol=0)


def test_the_kit_takes_images_of_any_shape(kit: ModuleType, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (5, 24), dtype=np.uint8)
    about = Description("d", 5, 24, 2, False, "test", "images", **OF_IMAGES)
    store.write(tmp_path / "d", about, pixels, np.array([0, 1, 0, 1, 1], np.uint8))
    features, _ = kit.load_data(tmp_path / "d")
    assert features.shape == (5, 2, 3, 4)
    found = kit.to_input(features, OF_IMAGES)
    for image, channel, row, column in (0, 0, 0, 0), (1, 1, 2, 3), (4, 0, 1, 2), (3, 1, 0, 1):
        value = pixels[image, 12 * channel + 4 * row + column] / 255
        expected = (value - OF_IMAGES["mean"][channel]) / OF_IMAGES["std"][channel]
        assert float(found[image, channel, row, column]) == pytest.approx(expected, abs=1e-5)
