"""Models of one's own, from their outputs: every model is attacked with all others.

M models and U records; `trained` says who trained on what. Every record is asked about of every
model, and a model is not among its own shadow models.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from mico.attacks.given.signals import Signals
from mico.attacks.given.whitebox import WhiteBox
from mico.library.challenge import Challenge, plain_array
from mico.support.arrays import Floats, Ints
from mico.support.errors import InputError


def from_logits(
    logits: ArrayLike, labels: ArrayLike, trained: ArrayLike, name: str = "arrays"
) -> Challenge:
    """A challenge from what the models' last layers put out.

    Args:
        logits: (M, U, classes) numbers; labels: (U,) integers from 0.
        trained: (M, U) bool, the model's training set holds the record.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _outputs("logits", logits)
    classes = _labels(labels, values.shape[1], values.shape[2])
    own = values[:, np.arange(len(classes)), classes]
    others = values.copy()
    others[:, np.arange(len(classes)), classes] = -np.inf
    margin: Floats = own - logsumexp(others, axis=2)
    return _challenge(name, margin, trained, classes)


def from_probabilities(
    probabilities: ArrayLike, labels: ArrayLike, trained: ArrayLike, name: str = "arrays"
) -> Challenge:
    """A challenge from the models' probabilities; `from_logits` is more exact near 1.

    Args:
        probabilities: (M, U, classes) in [0, 1], each record's adding up to 1 to three digits.
        labels: (U,) integers from 0; trained: (M, U) bool.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _outputs("probabilities", probabilities)
    if values.min() < 0 or values.max() > 1 or np.abs(values.sum(axis=2) - 1).max() > 1e-3:
        raise InputError("probabilities: expected numbers in [0, 1] that add up to 1 for a record")
    with np.errstate(divide="ignore"):
        # Of a probability of 0 a double holds no logarithm: the smallest number stands for it.
        logits = np.log(np.maximum(values, np.finfo(float).tiny))
    return from_logits(logits, labels, trained, name)


def from_margins(margins: ArrayLike, trained: ArrayLike, name: str = "arrays") -> Challenge:
    """A challenge from log(p / (1 - p)) of the right label's probability p, LiRA's `scores`.

    Args:
        margins: (M, U) numbers; trained: (M, U) bool, LiRA's `keep`.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    values = _numbers("margins", margins, 2, "(models, records)")
    return _challenge(name, values, trained, None)


def _challenge(name: str, margin: Floats, trained: ArrayLike, classes: Ints | None) -> Challenge:
    members = plain_array("trained", trained)
    if members.dtype != np.bool_ or members.shape != margin.shape:
        found = f"shape {members.shape} of {members.dtype}"
        raise InputError(f"trained: {found}, expected shape {margin.shape} of bool")
    models, records = margin.shape
    if models < 3:
        raise InputError(f"{models} models: expected at least 3, two of them shadow models")
    counts = members.sum(axis=1)
    for model in np.flatnonzero((counts == 0) | (counts == records)):
        which = "all" if counts[model] else "none"
        raise InputError(f"trained: model {model} trained on {which} of the records")
    loss: Floats = -np.logaddexp(0, -margin)
    challenge = np.tile(np.arange(records), (models, 1))
    signals = Signals(loss, margin, members, challenge)
    given = {}
    if classes is not None:
        # Of the weights nothing is known; `stacked` also looks at how a model does on a class.
        nothing = WhiteBox(np.array([], str), np.empty((models, records, 0), np.float32), classes)
        given["whitebox"] = lambda: nothing
    return Challenge(str(name), signals, members, {"all": np.arange(models)}, given)


def _outputs(what: str, values: ArrayLike) -> Floats:
    found = _numbers(what, values, 3, "(models, records, classes)")
    if found.shape[2] < 2:
        raise InputError(f"{what}: {found.shape[2]} classes, expected at least 2")
    return found


def _numbers(what: str, values: ArrayLike, dimensions: int, shape: str) -> Floats:
    found = plain_array(what, values)
    if found.ndim != dimensions or found.dtype.kind not in "fiu" or not found.size:
        raise InputError(f"{what}: shape {found.shape} of {found.dtype}, expected numbers {shape}")
    doubles: Floats = found.astype(np.float64)
    if not np.isfinite(doubles).all():
        place = tuple(int(one) for one in np.argwhere(~np.isfinite(doubles))[0])
        raise InputError(f"{what}: {doubles[place]} at {place}, expected finite numbers")
    return doubles


def _labels(labels: ArrayLike, records: int, classes: int) -> Ints:
    found = plain_array("labels", labels)
    if found.shape != (records,) or found.dtype.kind not in "iu":
        wanted = f"expected shape ({records},) of integers"
        raise InputError(f"labels: shape {found.shape} of {found.dtype}, {wanted}")
    if found.min() < 0 or found.max() >= classes:
        wrong = int(np.flatnonzero((found < 0) | (found >= classes))[0])
        expected = f"expected 0 to {classes - 1}"
        raise InputError(f"labels: {found[wrong]} of record {wrong}, {expected}")
    return found.astype(np.int64)
