"""Simulated models with all that the stacked attack looks at."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mico.attacks import registry
from mico.attacks.formulas import stacked
from mico.attacks.given.signals import Signals
from mico.attacks.given.whitebox import WhiteBox
from mico.release import prediction_files
from mico.scoring import metrics
from mico.scoring.curves import roc

TRAIN, OTHERS, POINTS, RECORDS, CLASSES = 22, 8, 40, 200, 5
FORMULAS = {
    "standardised-loss": ("centred", {"centre": "standardised", "signal": "loss"}),
    "standardised-margin": ("centred", {"centre": "standardised", "signal": "margin"}),
    "lira": ("lira", {"variant": "fixed-variance"}),
    "bavaria": ("bavaria", {}),
    "effect-loss": ("effect", {"signal": "loss"}),
    "effect-margin": ("effect", {"signal": "margin"}),
}
WITH, WITHOUT = (registry.options("stacked", {"white_box": value}) for value in (True, False))


@dataclass(frozen=True)
class Simulated:
    """Signals and white-box features, and who trained on what."""

    signals: Signals
    whitebox: WhiteBox
    membership: np.ndarray  # (models, 2m)

    @property
    def shadows(self) -> int:
        return len(self.signals.trained)

    def scores(self, options: stacked.Options) -> np.ndarray:
        return stacked.scores(self.signals, self.whitebox, options)

    def tpr(self, scores: np.ndarray, models: slice) -> float:
        """At FPR .1."""
        rows = prediction_files.to_predictions(scores)[models]
        curve = roc(rows, self.membership[models], np.ones(len(rows)))
        return float(metrics.metrics(curve)[metrics.HEADLINE])


def simulate(
    seed: int,
    *,
    effect: float = 0.0,
    informative: float = 0.0,
    train: int = TRAIN,
    others: int = OTHERS,
) -> Simulated:
    """Margins, and one white-box feature, higher by so many deviations where trained on a record.

    The other feature is noise. Both are far from 0, by record.
    """
    rng = np.random.default_rng(seed)
    models = train + others
    challenge = np.stack([rng.permutation(RECORDS)[:POINTS] for _ in range(models)])
    trained = rng.random((models, RECORDS)) < 0.5
    for row, columns in zip(trained, challenge, strict=True):
        row[columns] = rng.permutation(np.arange(POINTS) % 2 == 0)
    margin = rng.normal(0, 2, RECORDS) + rng.normal(size=trained.shape) + effect * trained
    features = rng.normal(0, 10, (RECORDS, 2)) + rng.normal(size=(*trained.shape, 2))
    features[..., 1] += informative * trained
    return Simulated(
        Signals(-np.logaddexp(0, -margin), margin, trained[:train], challenge),
        WhiteBox(
            np.array(["noise", "feature"]),
            features.astype(np.float32),
            rng.integers(0, CLASSES, RECORDS),
        ),
        np.take_along_axis(trained, challenge, axis=1),
    )


@dataclass
class Fits:
    """Stands in for the fit: remembers what is learned from, and what each fit is asked."""

    learned: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    asked: list[list[np.ndarray]] = field(default_factory=list)

    def __call__(self, rows: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        number = len(self.learned)
        self.learned.append((rows, labels))
        self.asked.append([])

        def classify(rows: np.ndarray) -> np.ndarray:
            self.asked[number].append(rows)
            return np.arange(len(rows)) + 1000.0 * number

        return classify

    def rows_of_models(self, scores: np.ndarray) -> list[np.ndarray]:
        """The rows (2m, F) of each model, told apart by the scores that its fit gave it.

        A model asks its fit after those with smaller numbers.
        """
        numbers = (scores[:, 0] // 1000).astype(int)
        taken = [iter(asked) for asked in self.asked]
        return [next(taken[number]) for number in numbers]


def as_set(rows: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in rows}
