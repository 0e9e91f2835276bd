"""Models of anybody's, from their outputs as arrays: every model is attacked with all others.

M models and U records; `trained` says who trained on what. Every record is asked about of every
model, and a model is not among its own shadow models.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mico.attacks.given.signals import Signals
from mico.attacks.given.whitebox import WhiteBox
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError

LARGEST = 1e100


@dataclass(frozen=True)
class Outputs:
    """What attacks are given of such models."""

    signals: Signals
    classes: Ints | None  # (U,), of the records; None if they are not known

    @property
    def membership(self) -> Bools:
        """(M, U): the model's training set holds the record."""
        return self.signals.trained

    @property
    def whitebox(self) -> WhiteBox:
        """No features, since nothing is known of weights; where no classes are, all are of one."""
        models, records = self.membership.shape
        classes = np.zeros(records, np.int64)
        if self.classes is not None:
            # A label may be any number, and attacks count the records of each up to the largest.
            classes = np.unique(self.classes, return_inverse=True)[1]
        return WhiteBox(np.array([], str), np.empty((models, records, 0), np.float32), classes)


def from_logits(logits: ArrayLike, labels: ArrayLike, trained: ArrayLike) -> Outputs:
    """From what the models' last layers put out.

    Args:
        logits: (M, U, classes) numbers; labels: (U,) integers from 0; trained: (M, U) bool.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _outputs("logits", logits)
    classes = _labels(labels, values.shape[1], values.shape[2])
    return _from_logits(values, classes, trained)


def from_probabilities(probabilities: ArrayLike, labels: ArrayLike, trained: ArrayLike) -> Outputs:
    """From the models' probabilities; `from_logits` is more exact near 1.

    Args:
        probabilities: (M, U, classes) in [0, 1], each record's adding up to 1 to three digits.
        labels: (U,) integers from 0; trained: (M, U) bool.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _outputs("probabilities", probabilities)
    if values.min() < 0 or values.max() > 1 or np.abs(values.sum(axis=2) - 1).max() > 1e-3:
        raise InputError("probabilities: expected numbers in [0, 1] that add up to 1 for a record")
    classes = _labels(labels, values.shape[1], values.shape[2])
    # Of a probability of 0 a double holds no logarithm: the smallest number stands for it.
    doubles = values.astype(np.float64)
    return _from_logits(np.log(np.maximum(doubles, np.finfo(float).tiny)), classes, trained)


def from_margins(
    margins: ArrayLike, trained: ArrayLike, labels: ArrayLike | None = None
) -> Outputs:
    """From log(p / (1 - p)) of the right label's probability p, LiRA's `scores`.

    Args:
        margins: (M, U) numbers; trained: (M, U) bool, LiRA's `keep`.
        labels: (U,) integers from 0, where they are known.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _numbers("margins", margins, 2, "(models, records)").astype(np.float64)
    classes = None if labels is None else _labels(labels, values.shape[1], None)
    return _made(values, trained, classes)


def check_models(number: int) -> None:
    """Refuse too few models.

    Raises:
        InputError: there are no two shadow models for each.
    """
    if number < 3:
        raise InputError(f"{number} models: expected at least 3, two of them shadow models")


def plain_array(what: str, values: ArrayLike) -> np.ndarray:
    """Values as an array.

    Raises:
        InputError: they are of no regular shape, or some are masked, which no array here can be.
    """
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise InputError(f"{what}: no array ({error})") from None
    if np.ma.is_masked(values):
        raise InputError(f"{what}: some are masked, expected an array of which all are known")
    return found


def _from_logits(values: np.ndarray, classes: Ints, trained: ArrayLike) -> Outputs:
    """Model by model, since what is computed on the way is as large as the model's outputs."""
    # A workflow that is planned counts the models of a file, and must not wait for SciPy.
    from scipy.special import logsumexp

    rows = np.arange(len(classes))
    margin = np.empty(values.shape[:2])
    for model, of_model in enumerate(values):
        others = of_model.astype(np.float64)
        margin[model] = others[rows, classes]
        others[rows, classes] = -np.inf
        with np.errstate(over="ignore"):  # what is too large is told of as inf
            margin[model] -= logsumexp(others, axis=1)
    return _made(margin, trained, classes)


def _made(margin: Floats, trained: ArrayLike, classes: Ints | None) -> Outputs:
    members = plain_array("trained", trained)
    if members.dtype != np.bool_ or members.shape != margin.shape:
        found = f"shape {members.shape} of {members.dtype}"
        raise InputError(f"trained: {found}, expected shape {margin.shape} of bool")
    models, records = margin.shape
    check_models(models)
    # Attacks square differences.
    for model, record in np.argwhere(~(np.abs(margin) <= LARGEST))[:1].tolist():
        found = f"{margin[model, record]:g} at {(model, record)}"
        raise InputError(f"margins: {found}, expected numbers between {-LARGEST:g} and {LARGEST:g}")
    counts = members.sum(axis=1)
    for model in np.flatnonzero((counts == 0) | (counts == records)):
        which = "all" if counts[model] else "none"
        raise InputError(f"trained: model {model} trained on {which} of the records")
    loss: Floats = -np.logaddexp(0, -margin)
    challenge = np.tile(np.arange(records), (models, 1))
    return Outputs(Signals(loss, margin, members, challenge), classes)


def _outputs(what: str, values: ArrayLike) -> np.ndarray:
    found = _numbers(what, values, 3, "(models, records, classes)")
    if found.shape[2] < 2:
        raise InputError(f"{what}: {found.shape[2]} classes, expected at least 2")
    return found


def _numbers(what: str, values: ArrayLike, dimensions: int, shape: str) -> np.ndarray:
    found = plain_array(what, values)
    if found.ndim != dimensions or found.dtype.kind not in "fiu" or not found.size:
        raise InputError(f"{what}: shape {found.shape} of {found.dtype}, expected numbers {shape}")
    if found.dtype.itemsize > np.dtype(np.float64).itemsize:
        with np.errstate(over="ignore"):  # what is too large is told of as inf
            found = found.astype(np.float64)
    for first, part in enumerate(found):
        if not np.isfinite(part).all():
            place = (first, *(int(one) for one in np.argwhere(~np.isfinite(part))[0]))
            raise InputError(f"{what}: {found[place]} at {place}, expected finite numbers")
    return found


def _labels(labels: ArrayLike, records: int, classes: int | None) -> Ints:
    found = plain_array("labels", labels)
    if found.shape != (records,) or found.dtype.kind not in "iu":
        wanted = f"expected shape ({records},) of integers"
        raise InputError(f"labels: shape {found.shape} of {found.dtype}, {wanted}")
    if found.min() < 0 or (classes is not None and found.max() >= classes):
        wrong = int(np.flatnonzero((found < 0) | (found >= (classes or np.inf)))[0])
        expected = f"expected 0 to {classes - 1}" if classes else "expected numbers from 0"
        raise InputError(f"labels: {found[wrong]} of record {wrong}, {expected}")
    return found.astype(np.int64)
