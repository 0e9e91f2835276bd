"""Which network a name stands for, and what is said where it stands for none."""

import re
from dataclasses import replace

import pytest

from mico.data.store import Description
from mico.networks.build import build
from mico.networks.cnn import CHANNELS, CNN
from mico.networks.facts import PHYSICAL_BATCH_SIZE, networks
from mico.networks.mlp import MLP
from mico.support.errors import InputError

OF_IMAGES = {"mean": (0.5, 0.25, 0.125), "std": (0.1, 0.2, 0.3)}
IMAGES = Description(
    *("pictures", 80, 3072, 7, True, "test"), kind="images", shape=(3, 32, 32), **OF_IMAGES
)
BITS = Description("purchases", 80, 3072, 7, synthetic=True, source="test", kind="bits")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("mlp", replace(BITS, features=600, classes=100), MLP(600, 100)),
        ("mlp", replace(BITS, kind="numbers"), MLP(3072, 7)),
        ("cnn", IMAGES, CNN(7, (128, 256, 256), **OF_IMAGES)),
        ("cnn/16", replace(IMAGES, classes=10), CNN(10, (8, 16, 16), **OF_IMAGES)),
        ("cnn/128", IMAGES, CNN(7, (1, 2, 2), **OF_IMAGES)),
    ],
)
def test_names(name: str, data: Description, expected: object) -> None:
    assert build(name, data) == expected


def test_physical_batch_size_is_the_networks() -> None:
    assert build("cnn/16", IMAGES, 5) == CNN(7, (8, 16, 16), 5, **OF_IMAGES)
    assert build("cnn/16", IMAGES).physical_batch_size == PHYSICAL_BATCH_SIZE
    # An MLP has no use for it.
    assert build("mlp", BITS, 5) == build("mlp", BITS)


@pytest.mark.parametrize(
    "name",
    [
        *("", "vgg", "CNN", "cnn16", "cnn/", "cnn/x", "cnn/-2", "cnn/2.0", "cnn/²", "cnn/2/2"),
        *(
            "cnn/0",
            "cnn/1",
            "cnn/3",
            "cnn/256",
            "mlp/2",
            "roberta",
            "roberta-tiny/2",
            "roberta-large",
        ),
    ],
)
def test_unknown_names(name: str) -> None:
    message = (
        f"architecture '{name}': expected cnn, cnn/k with k one of 2, 4, 8, 16, 32, 64, 128, mlp, "
        "roberta-tiny, roberta-base, transformers/ and a checkpoint's folder or name, or a network "
        "of your own: net.py:make"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        build(name, IMAGES)


def test_divisors_divide_the_channels() -> None:
    for divisor in networks()["cnn"].divisors:
        assert all(channels % divisor == 0 for channels in CHANNELS)


def test_a_perceptron_does_not_take_images() -> None:
    with pytest.raises(InputError) as caught:
        build("mlp", IMAGES)
    expected = "architecture 'mlp': data set pictures holds images, expected bits or numbers"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (BITS, "bits, expected images"),
        (
            replace(IMAGES, features=784, shape=(1, 28, 28)),
            r"images of 1 x 28 x 28 \(channels, rows, columns\), expected 3 x 32 x 32",
        ),
    ],
)
@pytest.mark.parametrize("name", ["cnn", "cnn/16"])
def test_data_that_a_cnn_does_not_take(name: str, data: Description, what: str) -> None:
    message = f"architecture '{name}': data set {data.name} holds {what}"
    with pytest.raises(InputError, match=f"^{message}$"):
        build(name, data)


@pytest.mark.parametrize(("name", "data"), [("mlp", BITS), ("cnn", IMAGES)])
@pytest.mark.parametrize("size", [0, -1])
def test_physical_batch_sizes_below_one(name: str, data: Description, size: int) -> None:
    with pytest.raises(InputError, match=f"^physical batch size {size}: expected at least 1$"):
        build(name, data, size)


def test_the_data_card_says_how_images_are_normalised() -> None:
    assert "`(value / 255 - mean) / std`" in networks()["cnn"].layers
