"""White-box features of released models: their examples' gradients and hidden activations."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mico.attacks.computing.outputs import parts
from mico.attacks.given.whitebox import WhiteBox
from mico.challenge.phases import Phases
from mico.networks.architecture import SMALLEST, Architecture, Parameters
from mico.networks.facts import Facts
from mico.release import reader
from mico.release.reader import Disclosed
from mico.support.progress import progress
from mico.training.engine import Records


def compute(
    directory: Path,
    phases: Phases,
    architecture: Architecture,
    records: Records,
    n: int,
    m: int,
    checksums: Path | None = None,
) -> WhiteBox:
    """The features of every released model on every challenge point of the challenge.

    For each layer the logarithm of the norm of the example's gradient; the cosine of its gradient
    with the mean gradient of records that were trained on and of records that were not, where
    those are given away, else of all records (but for the model's own challenge points, if others
    are left); the distance of the hidden activations from their mean over that class. What
    the architecture's costs do not allow is left out.

    Raises:
        InputError: a released file is missing, corrupt or of another architecture.
    """
    disclosed = reader.read_splits(directory, phases, len(records.labels), n, m, checksums)
    points, challenge = np.unique(disclosed.challenge, return_inverse=True)
    challenge = challenge.reshape(disclosed.challenge.shape)
    facts = architecture.facts
    device = records.features.device
    models = reader.models(directory, phases, architecture, device, checksums)
    features, names = [], []
    for model, parameters in enumerate(progress(models, phases.models, "models")):
        compared = {
            name: records.take(indices[None])
            for name, indices in _compared(
                disclosed, model, phases, len(records.labels), facts
            ).items()
        }
        directions = {
            name: _mean_gradient(architecture, parameters, of_name)
            for name, of_name in compared.items()
        }
        means = _class_means(architecture, parameters, next(iter(compared.values())))
        every = model < min(facts.white_box_shadows, phases.train)
        columns = np.arange(len(points)) if every else challenge[model]
        own = records.take(points[columns][None])
        of_parts = [
            _features(architecture, parameters, part, directions, means)
            for part in parts(architecture, own)
        ]
        names = list(of_parts[0])
        of_model = [torch.cat([part[name] for part in of_parts]) for name in names]
        row = np.full((len(points), len(names)), np.nan, np.float32)
        row[columns] = torch.stack(of_model, -1).cpu().numpy()
        features.append(row)
    labels = records.labels.cpu().numpy()[points]
    return WhiteBox(np.array(names), np.stack(features), labels)


def _compared(
    disclosed: Disclosed, model: int, phases: Phases, count: int, facts: Facts
) -> Mapping[str, np.ndarray]:
    """Records that a model's challenge points are compared with, by name; a sample of each."""
    everything = np.arange(count)
    rest = np.setdiff1d(everything, disclosed.challenge[model])
    sets = {"all": rest if len(rest) > 1 else everything}
    # Of every model, so that features are alike.
    if len(disclosed.training) == phases.models and disclosed.others.min() > 0:
        training = disclosed.training[model]
        sets = {"members": training}
        if disclosed.others.max() < len(rest):
            sets["nonmembers"] = np.setdiff1d(rest, training)
    rng = np.random.default_rng(model)
    return {
        name: rng.permutation(indices)[: facts.white_box_records] for name, indices in sets.items()
    }


def _mean_gradient(
    architecture: Architecture, parameters: Parameters, records: Records
) -> Parameters:
    """The mean of the records' gradients, scaled to a norm of 1."""
    mean = {name: torch.empty_like(value) for name, value in parameters.items()}
    architecture.mean_gradient(
        parameters, architecture.inputs(records.features), records.labels, mean
    )
    norm = torch.cat([value.flatten() for value in mean.values()]).norm().clamp_(min=SMALLEST)
    return {name: value / norm for name, value in mean.items()}


def _class_means(architecture: Architecture, parameters: Parameters, records: Records) -> Tensor:
    """The mean hidden activations (classes, H) of the records of each class."""
    hidden = architecture.hidden(parameters, architecture.inputs(records.features))[0]
    labels = records.labels[0]
    sums = hidden.new_zeros(architecture.classes, hidden.shape[1]).index_add_(0, labels, hidden)
    return sums / torch.bincount(labels, minlength=architecture.classes).clamp_(min=1).unsqueeze(1)


def _features(
    architecture: Architecture,
    parameters: Parameters,
    part: Records,
    directions: Mapping[str, Parameters],
    means: Tensor,
) -> dict[str, Tensor]:
    """Each feature (B,) of one model at some records (1, B)."""
    examples = architecture.example_gradients(
        parameters, architecture.inputs(part.features), part.labels, directions
    )
    norms = examples.log_norms
    features = {f"log_gradient_norm_{layer}": norm for layer, norm in enumerate(norms, start=1)}
    norm = torch.logsumexp(2 * torch.stack(norms), 0).div(2).exp()
    for name, product in examples.products.items():
        features[f"alignment_{name}"] = product / norm
    distances = examples.hidden - means[part.labels]
    features["activation_distance"] = torch.linalg.vector_norm(distances, dim=-1)
    return {name: value[0] for name, value in features.items()}
