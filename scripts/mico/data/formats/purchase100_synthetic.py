"""A synthetic stand-in for Purchase-100, for when the original may not be had."""

from pathlib import Path

import numpy as np

from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError

SUMMARY = (
    "a stand-in for Purchase-100, "
    "generated, see [docs/synthetic-data.md](../docs/synthetic-data.md)"
)
KINDS = ("bits",)
GENERATED = True

POPULARITY_EXPONENT = 0.8  # item of rank r sells like r ** -this
GROUPS = 40  # groups of similar items, which shoppers like or dislike as a whole
TYPES = 150  # latent types of shopper; more than the classes, so that a class isn't just a type
TYPE_EXPONENT = 0.5  # type of rank r is as frequent as r ** -this
GROUP_TASTE = 1.0  # log-scale spread of a type's preferences between groups
ITEM_TASTE = 0.7  # log-scale spread of a type's preferences between items of one group
SECOND_TYPE = 0.3  # a shopper's second type accounts for up to this share of the purchases
IDIOSYNCRATIC = 0.1  # share of purchases that follow overall popularity, whatever the type
PURCHASES = 50.0  # median number of purchases in the year, repeats included
ACTIVITY_SPREAD = 0.5  # log-scale spread of that number between shoppers
SPARE_CLUSTERS = 0.2  # clusters fitted beyond `classes`; as many of the smallest are dissolved
FIT_RECORDS = 20_000  # at most this many records place the cluster centres
CHUNK = 10_000  # records drawn or assigned at once, to bound memory


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Generate the data set from its seed.

    Raises:
        InputError: there are too few records, or a number of classes that cannot be drawn.
    """
    assert options.records is not None
    assert options.features is not None
    assert options.classes is not None
    assert options.seed is not None
    try:
        bits, labels = purchase100(options.records, options.seed, options.features, options.classes)
    except ValueError as error:
        raise InputError(f"{options.format}: {error}") from None
    packed, source = np.packbits(bits, axis=1), f"generated, seed {options.seed}"
    return Raw(packed, labels, source, "bits", options.classes, options.features)


def purchase100(
    records: int, seed: int, features: int = 600, classes: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `records` shoppers; return features (records, features) of 0/1 and labels, both uint8.

    Items have long-tailed popularity and belong to groups. Each latent type of shopper likes some
    groups, and some items within them, more than others. A shopper mixes a main and a second type,
    makes a log-normally distributed number of purchases, and buys some things regardless of type;
    feature j says whether item j was bought at least once. The labels are then found, as in the
    original (Shokri et al. 2017, arXiv 1610.05820, section VI-A), by k-means on the records, here
    scaled to unit length so that a class is what people buy and not how much.

    The same arguments give the same bytes, whatever the number of threads.
    """
    if not 1 <= classes <= 256:
        raise ValueError(f"classes = {classes}: uint8 labels hold from 1 to 256 classes")
    if records < 10 * classes:
        raise ValueError(
            f"records = {records}: {classes} classes need at least {10 * classes} records"
        )
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(np.random.SeedSequence(seed))
    bought = _shoppers(records, features, rng)
    with threadpool_limits(1):  # sums over threads aren't associative, so neither reproducible
        return bought, _cluster(bought, classes, random_state=int(rng.integers(2**32)))


def _shoppers(records: int, features: int, rng: np.random.Generator) -> np.ndarray:
    """What each shopper bought: independent Poisson counts per item, of which we keep 'any'."""
    popularity = rng.permutation(_power_law(features, POPULARITY_EXPONENT))
    group = rng.integers(GROUPS, size=features)
    taste = popularity * rng.lognormal(0, GROUP_TASTE, (TYPES, GROUPS))[:, group]
    taste *= rng.lognormal(0, ITEM_TASTE, (TYPES, features))
    taste /= taste.sum(axis=1, keepdims=True)
    share = ((1 - IDIOSYNCRATIC) * taste + IDIOSYNCRATIC * popularity).astype(np.float32)
    frequency = _power_law(TYPES, TYPE_EXPONENT)

    bought = np.empty((records, features), dtype=np.uint8)
    for chunk in np.split(bought, range(CHUNK, records, CHUNK)):
        shape = (len(chunk), 1)
        main, second = rng.choice(TYPES, p=frequency, size=(2, len(chunk)))
        mix = SECOND_TYPE * rng.random(shape, dtype=np.float32)
        purchases = PURCHASES * rng.lognormal(0, ACTIVITY_SPREAD, shape).astype(np.float32)
        expected = purchases * ((1 - mix) * share[main] + mix * share[second])
        chunk[:] = rng.random(expected.shape, dtype=np.float32) < -np.expm1(-expected)
    return bought


def _cluster(bought: np.ndarray, classes: int, random_state: int) -> np.ndarray:
    """Each record's nearest k-means centre; the spare, smallest clusters are mostly outliers."""
    from sklearn.cluster import KMeans  # takes a second

    clusters = classes + round(SPARE_CLUSTERS * classes)
    kmeans = KMeans(
        clusters, init="random", n_init=1, algorithm="lloyd", random_state=random_state
    ).fit(_unit_length(bought[:FIT_RECORDS]))
    largest = np.argsort(-np.bincount(kmeans.labels_, minlength=clusters), kind="stable")[:classes]
    centres = kmeans.cluster_centers_[np.sort(largest)]
    half_squares = (centres**2).sum(axis=1) / 2
    chunks = np.split(bought, range(CHUNK, len(bought), CHUNK))
    nearest = [(_unit_length(chunk) @ centres.T - half_squares).argmax(axis=1) for chunk in chunks]
    return np.concatenate(nearest).astype(np.uint8)


def _power_law(size: int, exponent: float) -> np.ndarray:
    """Probabilities that fall with rank as a power."""
    weight = np.arange(1, size + 1) ** -exponent
    share: np.ndarray = weight / weight.sum()
    return share


def _unit_length(bought: np.ndarray) -> np.ndarray:
    """Records of 0/1 scaled to length one; a record without purchases stays zero."""
    items = bought.sum(axis=1, keepdims=True, dtype=np.float32)
    unit: np.ndarray = bought / np.sqrt(np.maximum(items, 1))
    return unit
