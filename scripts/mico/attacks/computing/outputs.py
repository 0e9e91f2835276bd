"""Running a challenge's released models on all its challenge points, as any participant could."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.networks.architecture import Architecture, Parameters
from mico.release import reader
from mico.support.arrays import Floats
from mico.support.progress import progress
from mico.training.engine import EVALUATION_BATCH, Records

# A network is given so many physical batches of records at a time, or so many records. It computes
# on one batch at once, but holds what goes in and what comes out of all.
PHYSICAL_BATCHES = 128


def compute(
    directory: Path,
    phases: Phases,
    architecture: Architecture,
    records: Records,
    n: int,
    m: int,
    checksums: Path | None = None,
) -> Signals:
    """Run every released model on every challenge point of the challenge in `directory`.

    Raises:
        InputError: a released file is missing, corrupt or of another architecture.
    """
    disclosed = reader.read_splits(directory, phases, len(records.labels), n, m, checksums)
    points, challenge = np.unique(disclosed.challenge, return_inverse=True)
    own = records.take(points[None])
    loss = np.empty((phases.models, len(points)))
    margin = np.empty_like(loss)
    device = records.features.device
    models = reader.models(directory, phases, architecture, device, checksums)
    for model, parameters in enumerate(progress(models, phases.models, "models")):
        loss[model], margin[model] = on_labels(architecture, parameters, own)[:, 0]
    trained = disclosed.trained[:, points]
    return Signals(loss, margin, trained, challenge.reshape(disclosed.challenge.shape))


def on_labels(architecture: Architecture, parameters: Parameters, records: Records) -> Floats:
    """log p_y and the margin (2, M, B) of M models on their records (M, B)."""
    outputs = [
        _log_probabilities(
            architecture.logits(parameters, architecture.inputs(part.features)), part.labels
        )
        for part in parts(architecture, records)
    ]
    found: Floats = torch.cat(outputs, -1).cpu().numpy()
    return found


def parts(architecture: Architecture, records: Records) -> Iterator[Records]:
    """Records (M, B) in parts that a network is given at a time."""
    size = min(PHYSICAL_BATCHES * architecture.physical_batch_size, EVALUATION_BATCH)
    for start in range(0, records.labels.shape[1], size):
        at = slice(start, start + size)
        yield Records(records.features[:, at], records.labels[:, at])


def _log_probabilities(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """log p_y and the margin, stacked (2, ..., B), from logits (..., B, classes), in doubles."""
    logits = logits.double()
    own = logits.gather(-1, y.unsqueeze(-1)).squeeze(-1)
    others = logits.scatter(-1, y.unsqueeze(-1), -torch.inf).logsumexp(-1)
    return torch.stack([own - torch.logaddexp(own, others), own - others])
