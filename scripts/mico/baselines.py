"""What the engine is measured against: the published loop, ghost clipping, bare products.

Each function yields, step by step, how many records it has just trained on, without end.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import torch
from opacus import PrivacyEngine
from opacus.utils.batch_memory_manager import BatchMemoryManager
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mico.mlp import HIDDEN
from mico.training import TrainingOptions

PHYSICAL_BATCH = 128  # of the published DP loop
# What Opacus and its use of torch warn of every time.
HARMLESS = ("Secure RNG turned off", "Full backward hook is firing", "Optimal order is the")


def published_loop(
    features: Tensor, labels: Tensor, classes: int, options: TrainingOptions, device: torch.device
) -> Iterator[int]:
    """The published loop: a loader over records, accuracy and loss fetched at every step.

    With DP as the competition ran it: GradSampleModule, Poisson sampling, BatchMemoryManager.

    Args:
        features: (n, d) float32; labels: (n,) int64.
    """
    model, optimizer, loader = _parts(features, labels, classes, options, device)
    criterion = nn.CrossEntropyLoss()
    if options.clipping_norm is None:
        while True:
            yield from _published_epoch(model, criterion, optimizer, loader, device)
    model, optimizer, loader = PrivacyEngine().make_private(
        module=model,
        optimizer=optimizer,
        data_loader=loader,
        noise_multiplier=options.noise_multiplier,
        max_grad_norm=options.clipping_norm,
    )
    while True:
        with BatchMemoryManager(
            data_loader=loader, max_physical_batch_size=PHYSICAL_BATCH, optimizer=optimizer
        ) as physical:
            yield from _published_epoch(model, criterion, optimizer, physical, device)


def ghost_clipping(
    features: Tensor, labels: Tensor, classes: int, options: TrainingOptions, device: torch.device
) -> Iterator[int]:
    """Opacus's ghost clipping (Li et al. 2022, arXiv 2110.05679) on whole Poisson samples.

    Arguments as for `published_loop`.
    """
    model, optimizer, loader = _parts(features, labels, classes, options, device)
    model, optimizer, criterion, loader = PrivacyEngine().make_private(
        module=model,
        optimizer=optimizer,
        criterion=nn.CrossEntropyLoss(),
        data_loader=loader,
        noise_multiplier=options.noise_multiplier,
        max_grad_norm=options.clipping_norm,
        grad_sample_mode="ghost",
    )
    while True:
        for x, y in loader:
            optimizer.zero_grad()
            criterion(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
            yield len(y)


def matrix_products(
    features: int, classes: int, batch_size: int, models: int, published: bool, device: torch.device
) -> Iterator[int]:
    """Only the five matrix products of a step, for `models` at once, on the same numbers each time.

    Args:
        published: the first weight as torch.nn.Linear has it, (128, d); else as the engine holds
            it, (d + 1, 128).
    """
    shape = (models, HIDDEN, features) if published else (models, features + 1, HIDDEN)
    first = torch.rand(shape, device=device)
    second = torch.rand(models, classes, HIDDEN, device=device)
    x = torch.rand(models, batch_size, shape[2] if published else shape[1], device=device)
    hidden, delta1 = torch.rand(2, models, batch_size, HIDDEN, device=device)
    delta2 = torch.rand(models, batch_size, classes, device=device)
    out1, out2, outh = torch.empty_like(first), torch.empty_like(second), torch.empty_like(hidden)
    logits = torch.empty_like(delta2)
    while True:
        torch.bmm(x, first.transpose(1, 2) if published else first, out=outh)
        torch.bmm(hidden, second.transpose(1, 2), out=logits)
        torch.bmm(delta2, second, out=outh)
        torch.bmm(delta2.transpose(1, 2), hidden, out=out2)
        if published:
            torch.bmm(delta1.transpose(1, 2), x, out=out1)
        else:
            torch.bmm(x.transpose(1, 2), delta1, out=out1)
        yield models * batch_size


def _parts(
    features: Tensor, labels: Tensor, classes: int, options: TrainingOptions, device: torch.device
) -> tuple[nn.Module, torch.optim.Optimizer, DataLoader]:
    model = nn.Sequential(
        nn.Linear(features.shape[1], HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, classes)
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    loader = DataLoader(TensorDataset(features, labels), batch_size=options.batch_size)
    for harmless in HARMLESS:
        warnings.filterwarnings("ignore", harmless)
    return model, optimizer, loader


def _published_epoch(
    model: nn.Module,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: DataLoader,
    device: torch.device,
) -> Iterator[int]:
    losses, accuracies = [], []
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        output = model(x)
        loss = criterion(output, y)
        predicted = np.argmax(output.detach().cpu().numpy(), axis=1)
        accuracies.append((predicted == y.detach().cpu().numpy()).mean())
        losses.append(loss.item())
        loss.backward()
        optimizer.step()
        yield len(y)
