"""Stored data sets are read by the original kit's loaders, which are written down again here."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mico.data import original_form, store
from mico.data.formats.cifar10_binary import MEAN, SHAPE, STD
from mico.data.store import Description
from mico.support.errors import InputError

if TYPE_CHECKING:
    from conftest import StoredData


def purchase100(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """As microsoft/MICO's class Purchase100 reads it: features and labels."""
    dataset = np.loadtxt(folder / "purchase100" / "dataset_purchase", dtype=int, delimiter=",")
    return dataset[:, 1:], dataset[:, 0] - 1


def cifar10(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """As torchvision's CIFAR10 reads both its parts: pixels (N, 3, 32, 32) and labels."""
    pixels, labels = [], []
    for name in [*(f"data_batch_{i}" for i in (1, 2, 3, 4, 5)), "test_batch"]:
        with (folder / "cifar10" / "cifar-10-batches-py" / name).open("rb") as file:
            entry = pickle.load(file, encoding="latin1")
        pixels.append(entry["data"])
        labels.extend(entry["labels"])
    return np.vstack(pixels).reshape(-1, 3, 32, 32), np.array(labels)


def test_bits_are_what_the_original_loader_reads(stored_data: "StoredData", tmp_path: Path) -> None:
    original_form.write(tmp_path / "out", store.read(stored_data.directory))
    features, labels = purchase100(tmp_path / "out")
    np.testing.assert_array_equal(features, stored_data.features)
    np.testing.assert_array_equal(labels, stored_data.labels)
    assert "# tiny, 300 synthetic records" in (tmp_path / "out" / "README.md").read_text()
    first = (tmp_path / "out/purchase100/dataset_purchase").read_text().splitlines()[0]
    assert first == f"{labels[0] + 1},{','.join(map(str, features[0]))}"


def test_bits_of_several_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With labels of one to three digits."""
    monkeypatch.setattr(original_form, "ROWS", 7)
    rng = np.random.default_rng(1)
    bits, expected = (
        rng.integers(0, 2, (30, 9), dtype=np.uint8),
        np.arange(100, 130, dtype=np.uint8),
    )
    expected[:12] = range(12)
    description = Description("many", 30, 9, 130, synthetic=True, source="test")
    store.write(tmp_path / "data", description, np.packbits(bits, axis=1), expected)
    original_form.write(tmp_path / "out", store.read(tmp_path / "data"))
    features, labels = purchase100(tmp_path / "out")
    np.testing.assert_array_equal(features, bits)
    np.testing.assert_array_equal(labels, expected)


def test_images_are_what_torchvision_reads(tmp_path: Path) -> None:
    """Training batches and then the test batch, as the original joins them; 20 are not sixths."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
    expected = rng.integers(0, 10, 20, dtype=np.uint8)
    about = {"shape": SHAPE, "mean": MEAN, "std": STD}
    description = Description("pictures", 20, 3072, 10, True, "test", kind="images", **about)
    store.write(tmp_path / "data", description, pixels, expected)
    original_form.write(tmp_path / "out", store.read(tmp_path / "data"))
    found, labels = cifar10(tmp_path / "out")
    np.testing.assert_array_equal(found, pixels.reshape(20, 3, 32, 32))
    np.testing.assert_array_equal(labels, expected)
    with (tmp_path / "out/cifar10/cifar-10-batches-py/batches.meta").open("rb") as file:
        assert len(pickle.load(file, encoding="latin1")["label_names"]) == 10
    assert "CIFAR10.train_list" in (tmp_path / "out" / "README.md").read_text()


def test_numbers_and_other_images_are_refused(tmp_path: Path) -> None:
    numbers = Description("sizes", 4, 3, 2, True, "test", "numbers")
    store.write(tmp_path / "sizes", numbers, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))
    about = {"shape": (1, 2, 3), "mean": (0.5,), "std": (0.25,)}
    digits = Description("digits", 4, 6, 2, True, "test", kind="images", **about)
    store.write(tmp_path / "digits", digits, np.ones((4, 6), np.uint8), np.zeros(4, np.uint8))
    for name, what in ("sizes", "numbers"), ("digits", "images of 1 x 2 x 3"):
        message = f"^data set {name} holds {what}: expected bits, or images of 3 x 32 x 32"
        with pytest.raises(InputError, match=message):
            original_form.write(tmp_path / "out", store.read(tmp_path / name))
        assert not (tmp_path / "out").exists()


def test_text_is_refused(tmp_path: Path) -> None:
    tokens = np.ones((4, 3), np.uint16)
    description = Description("reviews", 4, 3, 2, True, "test", "tokens", vocabulary=9, padding=0)
    store.write(tmp_path / "data", description, tokens, np.zeros(4, np.uint8), {})
    with pytest.raises(InputError, match=r"^data set reviews is text: expected bits or images"):
        original_form.write(tmp_path / "out", store.read(tmp_path / "data"))
    assert not (tmp_path / "out").exists()
