"""The stand-in for CIFAR-10 looks like pictures, and classes can be told apart, not easily."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mico.data.formats import cifar10_synthetic
from mico.data.formats.cifar10_synthetic import cifar10

RECORDS, CLASSES = 2000, 10
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Data:
    return cifar10(RECORDS, seed=1)


def planes(pixels: np.ndarray) -> np.ndarray:
    """Pictures (N, 3, 32, 32) about the mean of each channel."""
    pictures = pixels.reshape(-1, 3, 32, 32).astype(float)
    return pictures - pictures.mean((0, 2, 3), keepdims=True)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def accuracy(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Of taking the nearest of the classes' means: those of the first half, on the second."""
    half = len(labels) // 2
    means = np.stack([vectors[:half][labels[:half] == c].mean(0) for c in range(CLASSES)])
    nearest = (vectors[half:] @ means.T - (means**2).sum(1) / 2).argmax(1)
    return (nearest == labels[half:]).mean()


def test_shapes_and_types(data: Data) -> None:
    pixels, labels = data
    assert pixels.shape == (RECORDS, 3072)
    assert labels.shape == (RECORDS,)
    assert pixels.dtype == labels.dtype == np.uint8


def test_classes_are_as_large_as_each_other_and_mixed(data: Data) -> None:
    labels = data[1]
    assert np.bincount(labels).tolist() == [RECORDS // CLASSES] * CLASSES
    # A hypergeometric count of mean 100 and spread 7 of each class in the first half.
    assert np.abs(np.bincount(labels[: RECORDS // 2]) - 100).max() < 40
    assert sorted(np.bincount(cifar10(11, seed=1, classes=4)[1])) == [2, 3, 3, 3]


def test_same_arguments_give_the_same_bytes(data: Data) -> None:
    for first, again in zip(data, cifar10(RECORDS, seed=1), strict=True):
        assert first.tobytes() == again.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_change_the_bytes(data: Data, threads: int) -> None:
    program = "import sys; from mico.data.formats.cifar10_synthetic import cifar10"
    program += f"; sys.stdout.buffer.write(cifar10({RECORDS}, 1)[0].tobytes())"
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads))
    environment |= {"PYTHONPATH": str(Path(cifar10_synthetic.__file__).parents[3])}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert result.stdout == data[0].tobytes()


def test_another_seed_gives_other_data(data: Data) -> None:
    """Other scenes too, not only other pictures of the same."""
    other = cifar10(RECORDS, seed=2)
    assert (other[1] != data[1]).any()
    first, second = (class_means(*(each[half::2] for each in data)) for half in (0, 1))
    # Over five seeds 0.56 to 0.72, and between two of them at most 0.25.
    assert correlation(first, second) > 0.45
    assert abs(correlation(class_means(*data), class_means(*other))) < 0.35


def class_means(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean pictures (CLASSES, 3072) about the mean of all."""
    means = np.stack([pixels[labels == c].mean(0) for c in range(CLASSES)])
    return means - pixels.mean(0)


def test_chunks_cover_every_record_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is left unwritten, and none is drawn twice."""
    monkeypatch.setattr(cifar10_synthetic, "CHUNK", 30)  # 100: three full chunks and a rest
    pixels, _ = cifar10(100, seed=1)
    between = np.corrcoef(pixels.astype(float)) - np.eye(100)
    assert np.isfinite(between).all()  # an unwritten picture is of one colour
    # 0.74 at most over five seeds, for two pictures of one scene; of a picture repeated, 1.
    assert between.max() < 0.95


def test_brightness_and_contrast_are_like_cifar10s(data: Data) -> None:
    """Whose channels have the means 125, 123, 114 and spread by 62 to 67."""
    pictures = data[0].reshape(-1, 3, 32, 32)
    assert pictures.mean((0, 2, 3)) == pytest.approx([125, 123, 114], abs=6)
    assert pictures.std((0, 2, 3)) == pytest.approx([60, 60, 60], abs=6)
    assert np.isin(pictures, [0, 255]).mean() < 0.1  # 0.05 here, 0.01 in CIFAR-10
    assert pictures.mean((1, 2, 3)).std() > 15  # some are dark, some bright


@pytest.mark.slow
def test_pictures_are_smooth_and_coloured(data: Data) -> None:
    """In CIFAR-10, neighbours correlate by 0.93, pixels four apart 0.70, and red and green 0.91."""
    pictures = planes(data[0])
    for axis in (2, 3):
        for distance, low, high in (1, 0.9, 0.97), (4, 0.5, 0.8):
            here, there = (np.arange(32 - distance) + start for start in (0, distance))
            found = correlation(pictures.take(here, axis), pictures.take(there, axis))
            assert low < found < high
    for other in (1, 2):
        assert 0.75 < correlation(pictures[:, 0], pictures[:, other]) < 0.95


def test_classes_differ_and_overlap(data: Data) -> None:
    """The nearest mean of 100 pictures a class is right more often than chance, and often wrong."""
    pictures = planes(data[0])
    # 0.18 to 0.20 over five seeds; 0.08 with SCENE = 0.
    assert 0.14 < accuracy(pictures.reshape(RECORDS, -1), data[1]) < 0.5
    # Strength by direction and width of stripes: 0.22 to 0.30; 0.12 with TEXTURE = 0.
    spectra = np.log(np.abs(np.fft.rfft2(pictures.mean(1)))[:, :, 1:] + 1)
    assert 0.17 < accuracy(spectra.reshape(RECORDS, -1), data[1]) < 0.5


def test_pictures_of_a_class_have_their_own_pixels(data: Data) -> None:
    """Two of a class have little in common, so that a network has something to memorise."""
    pictures = planes(data[0])[data[1] == 0].reshape(RECORDS // CLASSES, -1)
    between = np.corrcoef(pictures)
    assert 0.01 < between[np.triu_indices_from(between, 1)].mean() < 0.3


def test_order_of_pixels_is_cifar10s() -> None:
    """Channel by channel: thirds of a record look like each other, single pixels' triples don't."""
    pixels = cifar10(200, seed=1)[0].astype(float)
    by_channel = pixels.reshape(-1, 3, 1024)
    by_pixel = pixels.reshape(-1, 1024, 3)
    assert correlation(by_channel[:, 0], by_channel[:, 1]) > 0.7
    # Triples of neighbours along a row are alike, too, but a row's end is not like the next one's.
    ends = by_channel.reshape(-1, 3, 32, 32)
    across = correlation(ends[..., :-1, -1], ends[..., 1:, 0])
    assert across < 0.6 < correlation(by_pixel[..., 0], by_pixel[..., 1])


@pytest.mark.parametrize("classes", [0, 257])
def test_classes_must_fit_the_labels(classes: int) -> None:
    with pytest.raises(ValueError, match=f"classes = {classes}"):
        cifar10(100, seed=1, classes=classes)


def test_as_many_classes_as_labels_hold() -> None:
    assert set(cifar10(256, seed=1, classes=256)[1]) == set(range(256))
