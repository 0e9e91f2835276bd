"""How many models fit into a GPU's memory together, planned before any is trained.

A step is run on tensors that have shapes and no numbers (torch's device `meta`), and the largest
sum of what is there at a time is what it takes. No GPU is needed to plan for one.
"""

import math
from dataclasses import fields, replace
from typing import Any

import torch

from mico.challenge.recipe import TrainingOptions
from mico.networks.architecture import Architecture, Clipping
from mico.networks.made import peak_of
from mico.support.errors import InputError
from mico.training.engine import Records
from mico.training.optimizers import slots

# Of the memory that is free: the rest is for what an allocator cannot use, and for cuDNN's and
# cuBLAS's own.
SHARE = 0.8
# Beside weights, gradient and optimizer state: what an update and the published form hold.
SPARE_COPIES = 2
# Of a record: where it is in the data set, where in an epoch's samples, that in the data set, its
# label, its bound.
RECORD_BYTES = 4 * 8 + 4


def together(
    architecture: Architecture, records: Records, options: TrainingOptions, n: int, count: int
) -> int:
    """How many of `count` models are trained together, on the device that the records are on.

    On a CPU, and of a network that computes one model after the other, it is one: a model's bits
    then do not depend on which others share its products.

    Args:
        n: the size of a training set.

    Raises:
        InputError: not one fits into a GPU's free memory; the line says what would.
    """
    device = records.features.device
    if device.type == "cpu" or not architecture.batched:
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    return min(count, fitting(architecture, records, options, n, free))


def fitting(
    architecture: Architecture, records: Records, options: TrainingOptions, n: int, free: int
) -> int:
    """How many models of a network fit into so many bytes that are free, at least one.

    Raises:
        InputError: not one fits; the line says what would.
    """
    own = model_bytes(architecture, records, options, n)
    if own <= SHARE * free:
        return int(SHARE * free / own)
    found = f"a model takes {own / 2**20:.0f} MiB, and {free / 2**20:.0f} MiB are free"
    smaller = _smaller(architecture, records, options, n, free)
    expected = f"physical_batch_size: {smaller}, which fits, or " if smaller else ""
    raise InputError(f"device: cuda: {found}: expected {expected}device: cpu")


def _smaller(
    architecture: Architecture, records: Records, options: TrainingOptions, n: int, free: int
) -> int | None:
    """The largest half, quarter, ... of the physical batch with which one model fits."""
    network: Any = architecture  # a frozen dataclass; one that computes on a batch at once has none
    if "physical_batch_size" not in {field.name for field in fields(network)}:
        return None
    size = architecture.physical_batch_size // 2
    while size:
        other = replace(network, physical_batch_size=size)
        if model_bytes(other, records, options, n) <= SHARE * free:
            return size
        size //= 2
    return None


def model_bytes(
    architecture: Architecture, records: Records, options: TrainingOptions, n: int
) -> int:
    """The bytes that a model takes at most while it is trained, but for the data set's."""
    weights = 4 * sum(map(math.prod, architecture.shapes.values()))
    kept = (2 + slots(options) + SPARE_COPIES) * weights + RECORD_BYTES * n
    size = min(n, options.batch_size)
    if options.clipping_norm is not None:  # a Poisson sample, at its largest
        size = min(n, math.ceil(size + 6 * math.sqrt(size)))
    return kept + _step_bytes(architecture, records, options, size)


def _step_bytes(
    architecture: Architecture, records: Records, options: TrainingOptions, size: int
) -> int:
    shapes = architecture.shapes.items()
    parameters, out = (
        {name: torch.empty(1, *shape, device="meta") for name, shape in shapes} for _ in range(2)
    )
    encoded = records.features.new_empty(1, size, records.features.shape[1], device="meta")
    y = torch.empty(1, size, dtype=torch.int64, device="meta")

    def step() -> None:
        x = architecture.inputs(encoded)
        if options.clipping_norm is None:
            architecture.mean_gradient(parameters, x, y, out)
        else:
            bound = torch.empty(1, size, device="meta")
            clipping = Clipping(options.clipping_norm, options.clipping == "automatic")
            architecture.add_clipped_gradients(parameters, x, y, bound, clipping, out)

    with torch.no_grad():
        return peak_of(step)
