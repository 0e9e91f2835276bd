"""White-box features of released models: their examples' gradients and hidden activations.

The gradient of an example's loss is never formed: for a linear layer it is the outer product of
the back-propagated d and the input a, with norm |d| |a| and product d . (G a) with a matrix G.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mico import released
from mico.command_line import progress
from mico.mlp import MLP, Parameters
from mico.outputs import RECORDS_AT_ONCE
from mico.phases import Phases
from mico.released import Disclosed
from mico.training import Records
from mico.whitebox import WhiteBox

# Of how many records a model's mean gradient and mean activations are taken at most.
SAMPLE = 10_000
# Smaller norms count as this: in float32, the squares of what is much smaller are 0.
SMALLEST = 1e-15


def compute(
    directory: Path, phases: Phases, architecture: MLP, records: Records, n: int, m: int
) -> WhiteBox:
    """The features of every released model on every challenge point of the challenge.

    For each layer the logarithm of the norm of the example's gradient; the cosine of its gradient
    with the mean gradient of records that were trained on and of records that were not, where
    those are given away, else of all records (but for the model's own challenge points); the
    distance of the hidden activations from their mean over that class.

    Raises:
        InputError: a released file is missing, corrupt or of another architecture.
    """
    disclosed = released.read_seeds(directory, phases, len(records.labels), n, m)
    points = np.unique(disclosed.challenge)
    own = records.take(points[None])
    models = released.models(directory, phases, architecture, records.features.device)
    features, names = [], []
    for model, parameters in enumerate(progress(models, phases.models, "models")):
        compared = {
            name: records.take(indices[None])
            for name, indices in _compared(disclosed, model, phases, len(records.labels)).items()
        }
        directions = {
            name: _mean_gradient(architecture, parameters, of_name)
            for name, of_name in compared.items()
        }
        means = _class_means(architecture, parameters, next(iter(compared.values())))
        parts = [
            _features(architecture, parameters, Records(*part), directions, means)
            for part in zip(
                own.features.split(RECORDS_AT_ONCE, 1),
                own.labels.split(RECORDS_AT_ONCE, 1),
                strict=True,
            )
        ]
        names = list(parts[0])
        of_model = [torch.cat([part[name] for part in parts]) for name in names]
        features.append(torch.stack(of_model, -1).cpu().numpy())
    return WhiteBox(np.array(names), np.stack(features), own.labels[0].cpu().numpy())


def _compared(
    disclosed: Disclosed, model: int, phases: Phases, count: int
) -> Mapping[str, np.ndarray]:
    """Records that a model's challenge points are compared with, by name; a sample of each."""
    rest = np.setdiff1d(np.arange(count), disclosed.challenge[model])
    sets = {"all": rest}
    if len(disclosed.training) == phases.models:  # of every model, so that features are alike
        training = disclosed.training[model]
        sets = {"members": training, "nonmembers": np.setdiff1d(rest, training)}
    rng = np.random.default_rng(model)
    return {
        name: rng.permutation(indices)[:SAMPLE] for name, indices in sets.items() if len(indices)
    }


def _mean_gradient(architecture: MLP, parameters: Parameters, records: Records) -> Parameters:
    """The mean of the records' gradients, scaled to a norm of 1."""
    mean = {name: torch.empty_like(value) for name, value in parameters.items()}
    architecture.mean_gradient(parameters, records.inputs(), records.labels, mean)
    norm = torch.cat([value.flatten() for value in mean.values()]).norm().clamp_(min=SMALLEST)
    return {name: value / norm for name, value in mean.items()}


def _class_means(architecture: MLP, parameters: Parameters, records: Records) -> Tensor:
    """The mean hidden activations (classes, 128) of the records of each class."""
    hidden, labels = architecture.hidden(parameters, records.inputs())[0], records.labels[0]
    sums = hidden.new_zeros(architecture.classes, hidden.shape[1]).index_add_(0, labels, hidden)
    return sums / torch.bincount(labels, minlength=architecture.classes).clamp_(min=1).unsqueeze(1)


def _features(
    architecture: MLP,
    parameters: Parameters,
    part: Records,
    directions: Mapping[str, Parameters],
    means: Tensor,
) -> dict[str, Tensor]:
    """Each feature (B,) of one model at some records (1, B)."""
    x = part.inputs()
    hidden, delta1, delta2 = architecture.backward(parameters, x, part.labels)
    norms = [
        part.norms.log() + _log_norm(delta1),
        torch.linalg.vector_norm(hidden, dim=-1).square().add(1).log().div(2) + _log_norm(delta2),
    ]
    features = {f"log_gradient_norm_{layer}": norm for layer, norm in enumerate(norms, start=1)}
    norm = torch.logaddexp(*(2 * norm for norm in norms)).div(2).exp()
    for name, direction in directions.items():
        product = (torch.bmm(x, direction["mlp.0"]) * delta1).sum(-1)
        second = torch.bmm(hidden, direction["mlp.2.weight"].transpose(1, 2))
        product += ((second + direction["mlp.2.bias"]) * delta2).sum(-1)
        features[f"alignment_{name}"] = product / norm
    features["activation_distance"] = torch.linalg.vector_norm(hidden - means[part.labels], dim=-1)
    return {name: value[0] for name, value in features.items()}


def _log_norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1).clamp_(min=SMALLEST).log()
