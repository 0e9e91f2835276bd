"""The stand-in for Purchase-100 looks like shopping, and its labels are clusters of it."""

import numpy as np
import pytest

from mico.data.formats import purchase100_synthetic
from mico.data.formats.purchase100_synthetic import purchase100

# Its library starts a process to count cores.
pytestmark = pytest.mark.slow

RECORDS, FEATURES, CLASSES = 4000, 600, 100
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Data:
    return purchase100(RECORDS, seed=1)


def test_shapes_types_and_values(data: Data) -> None:
    bought, labels = data
    assert bought.shape == (RECORDS, FEATURES)
    assert labels.shape == (RECORDS,)
    assert bought.dtype == labels.dtype == np.uint8
    assert set(np.unique(bought)) == {0, 1}


def test_same_arguments_give_the_same_bytes(data: Data) -> None:
    for first, again in zip(data, purchase100(RECORDS, seed=1), strict=True):
        assert first.tobytes() == again.tobytes()


def test_another_seed_gives_other_data(data: Data) -> None:
    bought, labels = purchase100(RECORDS, seed=2)
    assert (bought != data[0]).any()
    assert (labels != data[1]).any()


def test_chunks_cover_every_record_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is left unwritten or unlabelled, and chunks are drawn independently."""
    monkeypatch.setattr(
        purchase100_synthetic, "CHUNK", 300
    )  # 1000 records: three full chunks and a rest
    monkeypatch.setattr(
        purchase100_synthetic, "FIT_RECORDS", 700
    )  # so some are assigned without being fitted
    bought, labels = purchase100(1000, seed=1, classes=20)
    # Tens of purchases each: equal records would be a repeated or unwritten chunk.
    assert len(np.unique(bought, axis=0)) == 1000
    # Records at the same place of two chunks agree on no more items than any others. A pair's
    # agreement spreads by about 0.04, so the mean of 300 by 0.0025; four times that is allowed.
    first, second = bought[:300], bought[300:600]
    aligned, shifted = ((first == other).mean() for other in (second, np.roll(second, 1, axis=0)))
    assert aligned == pytest.approx(shifted, abs=0.01)
    assert set(labels[700:]) <= set(range(20))
    assert len(set(labels[700:])) > 10  # 300 records over 20 classes: most are met


def test_popularity_has_a_long_tail(data: Data) -> None:
    """The top tenth of items has three times a uniform share of purchases, the last half a half."""
    sold = np.sort(data[0].sum(axis=0, dtype=np.int64))[::-1]
    # Times the uniform share, over three seeds: 3.7 and 0.45; with POPULARITY_EXPONENT = 0, at
    # most 1.3 and at least 0.89.
    assert sold[: FEATURES // 10].sum() >= 3 * 0.1 * sold.sum()
    assert sold[FEATURES // 2 :].sum() <= 0.5 * 0.5 * sold.sum()
    assert sold[-1] > 0


def test_records_differ_widely_in_size(data: Data) -> None:
    """The 95th percentile is over three times the 5th, and the mean is some tens of items."""
    sizes = data[0].sum(axis=1, dtype=np.int64)
    small, large = np.percentile(sizes, [5, 95])
    # 4.4 to 4.7 measured over six seeds; 1.7 with ACTIVITY_SPREAD = 0.
    assert large >= 3 * small
    assert 20 <= sizes.mean() <= 90


def test_every_class_occurs_and_sizes_are_unequal(data: Data) -> None:
    sizes = np.bincount(data[1])
    assert len(sizes) == CLASSES
    assert sizes.min() >= 1
    # At least 2.8 times over eight seeds; labels drawn evenly gave at most 1.6 in fifty draws.
    assert sizes.max() >= 2 * np.median(sizes)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_class_is_absurdly_small(seed: int) -> None:
    """At 10,000 records at least ten a class; 26 was the least over twenty seeds."""
    assert np.bincount(purchase100(10_000, seed)[1], minlength=CLASSES).min() >= 10


def test_labels_are_a_clustering(data: Data) -> None:
    """Records lie nearer to their class's mean, found without them, than to other classes'."""
    bought, labels = data
    unit = bought / np.linalg.norm(bought, axis=1, keepdims=True)
    half = RECORDS // 2
    means = np.stack([unit[:half][labels[:half] == c].mean(axis=0) for c in range(CLASSES)])
    distance = 1 - 2 * unit[half:] @ means.T + (means**2).sum(axis=1)  # squared; records are unit
    own = labels[half:]
    # Over three seeds at most 0.87 and at least 0.52;
    # with the labels shuffled at least 0.97 and at most 0.02.
    assert distance[np.arange(half), own].mean() < 0.92 * distance.mean()
    assert (distance.argmin(axis=1) == own).mean() > 0.4


def test_too_few_records_is_an_error() -> None:
    with pytest.raises(ValueError, match="records = 999: 100 classes need at least 1000 records"):
        purchase100(999, seed=1)
    assert len(set(purchase100(1000, seed=1)[1])) == CLASSES


@pytest.mark.parametrize("classes", [0, 257])
def test_classes_must_fit_the_labels(classes: int) -> None:
    with pytest.raises(ValueError, match=f"classes = {classes}"):
        purchase100(10_000, seed=1, classes=classes)
