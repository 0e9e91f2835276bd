"""Made-up predictions and memberships, and a naive bootstrap to compare with."""

from pathlib import Path

import numpy as np

from mico.challenge.phases import Phases
from mico.challenge.split_file import Splits, write
from mico.data import store
from mico.privacy import budget
from mico.privacy.budget import Privacy
from mico.release import prediction_files
from mico.scoring import metrics

RATES = ["0.001", "0.01", "0.05", "0.1", "0.15", "0.2"]
METRICS = [f"tpr_at_fpr_{rate}" for rate in RATES] + ["auc", "advantage", "accuracy"]
Data = tuple[np.ndarray, np.ndarray]


def make_memberships(rng: np.random.Generator, models: int, m: int) -> np.ndarray:
    return rng.permuted(np.tile(np.repeat([False, True], m), (models, 1)), axis=1)


def bootstrap(
    predictions: np.ndarray, membership: np.ndarray, challenge: str, replicates: int = 1000
) -> np.ndarray:
    """The metrics (replicates, len(METRICS)) of resamples."""
    found = metrics.bootstrap(predictions, membership, challenge, replicates)
    return np.stack([found[name] for name in METRICS], axis=-1)


PHASES = Phases(3, 10, 10)
M = 50
PARTICIPANTS = ["strong", "weak", "tied", "constant"]
LABELS = np.arange(10, dtype=np.uint8) % 3


def write_inputs(folder: Path) -> dict[str, Data]:
    """The organiser's files, and the submissions; gives predictions and memberships."""
    rng = np.random.default_rng(8)
    membership = make_memberships(rng, PHASES.models, M)
    shape = membership.shape
    nothing = np.zeros((len(membership), 10), bool)
    challenge = np.tile(np.arange(shape[1], dtype=np.int32) % 10, (len(membership), 1))
    write(folder / "splits.npz", Splits(challenge, membership, nothing))
    budget.write(folder / "privacy.json", Privacy(0.1, 30, 1.0, 4.0, delta=0.01))
    about = store.Description("made-up", 10, 8, 3, synthetic=True, source="test")
    store.write(folder / "made-up", about, np.zeros((10, 1), np.uint8), LABELS)
    scores = {
        "strong": rng.normal(0, 1, shape) + 1.5 * membership,
        "weak": rng.normal(0, 1, shape) + 0.2 * membership,
        "tied": (rng.normal(0, 1, shape) + membership).round(0),
        "constant": np.zeros(shape),
    }
    data = {}
    for name in PARTICIPANTS:
        data[name] = prediction_files.to_predictions(scores[name]), membership
        prediction_files.write(folder / name, PHASES, data[name][0])
    return data
