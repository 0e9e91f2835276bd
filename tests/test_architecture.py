"""Which network a name stands for, and what is said where it stands for none."""

import re
from dataclasses import replace

import pytest

from mico.data.store import Description
from mico.networks.build import build
from mico.networks.cnn import CHANNELS, CNN, MEAN, STD
from mico.networks.facts import PHYSICAL_BATCH_SIZE, networks
from mico.networks.mlp import MLP
from mico.support.errors import InputError

IMAGES = Description("pictures", 80, 3072, 7, synthetic=True, source="test", kind="images")
BITS = Description("purchases", 80, 3072, 7, synthetic=True, source="test", kind="bits")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("mlp", replace(BITS, features=600, classes=100), MLP(600, 100)),
        ("cnn", IMAGES, CNN(7, (128, 256, 256))),
        ("cnn/16", replace(IMAGES, classes=10), CNN(10, (8, 16, 16))),
        ("cnn/128", IMAGES, CNN(7, (1, 2, 2))),
    ],
)
def test_names(name: str, data: Description, expected: object) -> None:
    assert build(name, data) == expected


def test_physical_batch_size_is_the_networks() -> None:
    assert build("cnn/16", IMAGES, 5) == CNN(7, (8, 16, 16), physical_batch_size=5)
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
        "roberta-tiny, roberta-base or transformers/ and a checkpoint's folder or name"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        build(name, IMAGES)


def test_divisors_divide_the_channels() -> None:
    for divisor in networks()["cnn"].divisors:
        assert all(channels % divisor == 0 for channels in CHANNELS)


def test_a_perceptron_does_not_take_images() -> None:
    with pytest.raises(InputError) as caught:
        build("mlp", IMAGES)
    assert str(caught.value) == f"architecture 'mlp': data set {IMAGES.name} does not hold bits"


@pytest.mark.parametrize(
    ("data", "what"), [(BITS, "images"), (replace(IMAGES, features=784), "such images")]
)
@pytest.mark.parametrize("name", ["cnn", "cnn/16"])
def test_data_that_a_cnn_does_not_take(name: str, data: Description, what: str) -> None:
    message = f"architecture '{name}': data set {data.name} does not hold {what}"
    with pytest.raises(InputError, match=f"^{message}$"):
        build(name, data)


@pytest.mark.parametrize(("name", "data"), [("mlp", BITS), ("cnn", IMAGES)])
@pytest.mark.parametrize("size", [0, -1])
def test_physical_batch_sizes_below_one(name: str, data: Description, size: int) -> None:
    with pytest.raises(InputError, match=f"^physical batch size {size}: expected at least 1$"):
        build(name, data, size)


def test_the_data_card_says_how_images_are_normalised() -> None:
    assert f"mean = {MEAN}, std = {STD}" in networks()["cnn"].layers
