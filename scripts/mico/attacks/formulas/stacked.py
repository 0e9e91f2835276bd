"""A classifier over the other formulas' scores and white-box features.

The idea of the competition's second place, who fitted a classifier to features of the released
models. Here a logistic regression learns from the train models, at their own challenge points, who
trained on what. Its features of a model and a record, all black-box but the last:

    the standardised loss and margin, LiRA with fixed variance, BaVarIA-n, shrunk effects
    the class's mean standardised loss over other records: how much the model fits the class anyway
    white-box features (`mico.attacks.computing.gradients`), standardised over shadow models

A train model is scored by a classifier that was fitted to other train models (five folds).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mico.attacks.formulas import bavaria, centred, effect, lira
from mico.attacks.given.signals import Signals
from mico.attacks.given.whitebox import WhiteBox
from mico.attacks.shadows import target
from mico.support.arrays import Bools, Floats, Ints
from mico.support.errors import InputError

FOLDS = 5
# Log ratios of a point with hardly any variance have no bounds.
LARGEST = 50.0


@dataclass(frozen=True)
class Options:
    """white_box: whether to use what the outputs do not show."""

    white_box: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.white_box, bool):
            raise InputError(f"white_box {self.white_box!r}: expected true or false")


def scores(signals: Signals, whitebox: WhiteBox, options: Options) -> Floats:
    """The classifier's log odds at each model's own challenge points."""
    train = signals.train_models
    standardised = _standardised(signals.loss, signals.shadows)
    extra = [_class_means(standardised, signals.challenge, whitebox.classes)]
    if options.white_box:
        extra += [
            _standardised(whitebox.features[..., column], np.arange(train))
            for column in range(len(whitebox.names))
        ]

    def features(model: int, columns: Ints) -> Floats:
        values = [*_formulas(signals, model, columns), *(value[model, columns] for value in extra)]
        found: Floats = np.clip(np.stack(values, -1), -LARGEST, LARGEST)
        return found

    rows = [features(model, columns) for model, columns in enumerate(signals.challenge)]
    labels = np.take_along_axis(signals.trained[:train], signals.challenge[:train], axis=1)
    result = np.empty(signals.challenge.shape)
    # Fold -1 leaves nobody out and scores everybody else.
    for fold in range(-1, min(FOLDS, train)):
        used = [model for model in range(train) if model % FOLDS != fold]
        classify = _fit(np.concatenate([rows[i] for i in used]), labels[used].ravel())
        scored = range(train, len(result)) if fold < 0 else range(fold, train, FOLDS)
        for model in scored:
            result[model] = classify(rows[model])
    return result


def _formulas(signals: Signals, model: int, columns: Ints) -> list[Floats]:
    """Other attacks' scores (columns,) of a model at any columns."""
    loss, margin = (
        target(signals.signal(name), signals.shadows, signals.trained, model, columns)
        for name in ("loss", "margin")
    )
    return [
        centred.CENTRES["standardised"](loss),
        centred.CENTRES["standardised"](margin),
        lira.VARIANTS["fixed-variance"](margin),
        bavaria.log_ratio(margin, "n"),
        effect.score(loss),
        effect.score(margin),
    ]


def _standardised(values: NDArray[np.floating], shadows: Ints) -> Floats:
    """(value - mean) / deviation over shadow models but the row's own, (R, U) -> (R, U).

    Only shadow models, which the rows `shadows` are, count of which all values are known.
    """
    doubles = values.astype(np.float64)
    result = np.empty_like(doubles)
    complete = shadows[~np.isnan(doubles[shadows]).any(axis=1)]
    for model, row in enumerate(doubles):
        others = doubles[complete[complete != model]]
        deviation = others.std(axis=0)
        deviation = np.maximum(deviation, 1e-6 * deviation.mean() or 1.0)
        result[model] = (row - others.mean(axis=0)) / deviation
    return np.clip(result, -LARGEST, LARGEST)


def _class_means(values: Floats, challenge: Ints, classes: Ints) -> Floats:
    """Each row's mean (M, U) over the records of a column's class.

    A model's own challenge points are left out of the means, since they are what is asked.
    """
    result = np.empty_like(values)
    for model, columns in enumerate(challenge):
        counted = np.ones(len(classes), bool)
        counted[columns] = False
        sums, counts = np.bincount(classes, values[model] * counted), np.bincount(classes, counted)
        result[model] = (sums / np.maximum(counts, 1))[classes]
    return result


def _fit(features: Floats, labels: Bools) -> Callable[[Floats], Floats]:
    """The log odds (B,) of features (B, F) after learning from rows (R, F)."""
    from sklearn.linear_model import LogisticRegression  # not needed to check options

    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 0, scale, 1)
    model = LogisticRegression(max_iter=1000)
    model.fit((features - centre) / scale, labels)
    return lambda rows: model.decision_function((rows - centre) / scale)
