"""Models of one's own, from their outputs: every model is attacked with all others."""

from numpy.typing import ArrayLike

from mico.attacks.computing import from_arrays
from mico.attacks.computing.from_arrays import Outputs
from mico.library.challenge import Challenge
from mico.support.arrays import Ints


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
    return _challenge(name, from_arrays.from_logits(logits, labels, trained))


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
    return _challenge(name, from_arrays.from_probabilities(probabilities, labels, trained))


def from_margins(margins: ArrayLike, trained: ArrayLike, name: str = "arrays") -> Challenge:
    """A challenge from log(p / (1 - p)) of the right label's probability p, LiRA's `scores`.

    Args:
        margins: (M, U) numbers; trained: (M, U) bool, LiRA's `keep`.

    Raises:
        InputError: a shape, a type or a value is not such.
    """
    return _challenge(name, from_arrays.from_margins(margins, trained))


def _challenge(name: str, outputs: Outputs) -> Challenge:
    models: Ints = outputs.signals.shadows
    # `stacked` also looks at how a model does on a class.
    given = {"whitebox": lambda: outputs.whitebox}
    return Challenge(str(name), outputs.signals, outputs.membership, {"all": models}, given)
