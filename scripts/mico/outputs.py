"""Running a challenge's released models on all its challenge points, as any participant could."""

from pathlib import Path

import numpy as np
import torch

from mico import splits, weights
from mico.command_line import InputError, progress
from mico.mlp import MLP
from mico.phases import Phases
from mico.seeds import SPLIT_SEEDS, parse_seed
from mico.signals import Signals
from mico.training import Records

RECORDS_AT_ONCE = 4096


def compute(
    directory: Path, phases: Phases, architecture: MLP, records: Records, n: int, m: int
) -> Signals:
    """Run every released model on every challenge point of the challenge in `directory`.

    Raises:
        InputError: a released file is missing, corrupt or of another architecture.
    """
    count = len(records.labels)
    order = np.empty((phases.models, 2 * m), np.int64)
    trained = np.zeros((phases.train, count), bool)
    for phase, model in phases.named():
        folder = directory / phase / f"model_{model}"
        if phase == "train":
            seeds = {kind: _read_seed(folder / kind) for kind in SPLIT_SEEDS}
            split = splits.split(count, n, m, seeds)
            order[model] = split.challenge
            trained[model, split.training_set] = True
        else:
            seed = _read_seed(folder / "seed_challenge")
            order[model] = splits.challenge_order(count, seed)[: 2 * m]
    points, challenge = np.unique(order, return_inverse=True)
    own = records.take(points[None])
    x, y = own.inputs(), own.labels

    loss = np.empty((phases.models, len(points)))
    margin = np.empty_like(loss)
    for phase, model in progress(phases.named(), phases.models, "models"):
        path = directory / phase / f"model_{model}" / "model.pt"
        try:
            parameters = architecture.from_state_dicts([weights.read_model(path)])
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        parameters = {name: value.to(x.device) for name, value in parameters.items()}
        outputs = [
            _log_probabilities(architecture.logits(parameters, x_part)[0], y_part[0])
            for x_part, y_part in zip(
                x.split(RECORDS_AT_ONCE, dim=1), y.split(RECORDS_AT_ONCE, dim=1), strict=True
            )
        ]
        loss[model], margin[model] = torch.cat(outputs, dim=1).cpu().numpy()
    return Signals(loss, margin, trained[:, points], challenge.reshape(order.shape))


def _log_probabilities(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """log p_y and the margin, stacked (2, B), from logits (B, classes) in double precision."""
    logits = logits.double()
    own = logits.gather(1, y.unsqueeze(1)).squeeze(1)
    others = logits.scatter(1, y.unsqueeze(1), -torch.inf).logsumexp(1)
    return torch.stack([own - torch.logaddexp(own, others), own - others])


def _read_seed(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    return parse_seed(text, str(path))
