"""What the engine is measured against: the published loop, ghost clipping, bare products.

Each function yields, step by step, how many records it has just trained on, without end.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
import torch
from opacus import PrivacyEngine
from opacus.utils.batch_memory_manager import BatchMemoryManager
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from mico.challenge.recipe import TrainingOptions
from mico.data.formats.cifar10_binary import MEAN, STD
from mico.networks.architecture import Architecture
from mico.networks.cnn import FLAT_SIDE, IMAGE, KERNELS, PADDING
from mico.networks.mlp import HIDDEN
from mico.networks.randomness import RandomStream
from mico.networks.transformer import Transformer

PHYSICAL_BATCH = 128  # of the published DP loop
TEXT_PHYSICAL_BATCH = 16  # of the text track's
# What Opacus and its use of torch warn of every time.
HARMLESS = ("Secure RNG turned off", "Full backward hook is firing", "Optimal order is the")
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": partial(torch.optim.AdamW, weight_decay=0),  # as published
    "sgd": torch.optim.SGD,
}

Network = Callable[[], nn.Module]
Steps = Generator[int, None, None]  # how many records each step trained on
Data = Dataset[Any]  # of pairs: a record as the network takes it, and its label


def mlp(features: int, classes: int) -> nn.Module:
    """The published Purchase-100 network."""
    layers = nn.Linear(features, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, classes)
    return nn.Sequential(OrderedDict(mlp=nn.Sequential(*layers)))


def cnn(channels: tuple[int, int, int], classes: int) -> nn.Module:
    """The published CIFAR-10 network."""
    first, second, third = channels
    layers = (
        nn.Conv2d(IMAGE[2], first, KERNELS[0], stride=2, padding=PADDING),
        nn.Tanh(),
        nn.MaxPool2d(3, stride=1),
        nn.Conv2d(first, second, KERNELS[1]),
        nn.Tanh(),
        nn.Conv2d(second, third, KERNELS[2]),
        nn.Tanh(),
        nn.AvgPool2d(2, stride=2),
        nn.Flatten(),
        nn.Linear(third * FLAT_SIDE**2, classes),
    )
    return nn.Sequential(OrderedDict(cnn=nn.Sequential(*layers)))


class Sentences(nn.Module):
    """The library's own model on token ids, each sentence padded to the greatest length.

    With dropout, and the attention of its configuration: torch's fused one was no faster.
    """

    def __init__(self, make: Callable[[], Architecture]) -> None:
        """Take the network that `make` makes, a Transformer, with its initial weights."""
        super().__init__()
        network = make()
        assert isinstance(network, Transformer)
        self._padding = network.padding
        config: Any = network.skeleton.config
        self.model: Any = type(network.skeleton)(config)
        self.model.load_state_dict(network.initial_weights(RandomStream(0, "weights")))

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, classes) for token ids (B, L)."""
        given = {"attention_mask": ids != self._padding}
        if self.model.base_model_prefix == "bert":  # whose positions Opacus needs of each sentence
            given["position_ids"] = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
            given["token_type_ids"] = torch.zeros_like(ids)
        logits: Tensor = self.model(ids, **given).logits
        return logits


def tokens(features: np.ndarray, labels: np.ndarray) -> Data:
    """Token ids (n, L) and labels (n,) int64 as the published loop has them."""
    return TensorDataset(torch.from_numpy(features).long(), torch.from_numpy(labels))


def bits(features: np.ndarray, labels: np.ndarray) -> Data:
    """Features (n, d) uint8 and labels (n,) int64 as the published loop has them: ready floats."""
    return TensorDataset(torch.from_numpy(features).float(), torch.from_numpy(labels))


class Images(Dataset[tuple[Tensor, int]]):
    """Images as the published loop has them from torchvision: made floats when asked for.

    They are computed as by ToTensor and Normalize, without the checks.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Take images (n, 3072) uint8, channels first, and labels (n,) int64."""
        rows, columns, channels = IMAGE
        images = features.reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1)
        self._images, self._labels = np.ascontiguousarray(images), labels.tolist()
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (MEAN, STD))

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = torch.from_numpy(self._images[index]).permute(2, 0, 1).contiguous()
        return pixels.float().div(255).sub_(self._mean).div_(self._std), self._labels[index]


def published_loop(
    network: Network,
    data: Data,
    options: TrainingOptions,
    device: torch.device,
    physical_batch: int = PHYSICAL_BATCH,
) -> Steps:
    """The published loop: a loader over records, accuracy and loss fetched at every step.

    With DP as the competition ran it: GradSampleModule, Poisson sampling, BatchMemoryManager.

    Args:
        network: makes the published network.
        data: of records as the network takes them and labels.
        physical_batch: how many records of a sample are computed at once with DP.
    """
    model, optimizer, loader = _parts(network, data, options, device)
    criterion = nn.CrossEntropyLoss()
    if options.clipping_norm is None:
        while True:
            yield from _published_epoch(
                model, criterion, optimizer, loader, device, options.max_gradient_norm
            )
    model, optimizer, loader = PrivacyEngine().make_private(
        module=model,
        optimizer=optimizer,
        data_loader=loader,
        noise_multiplier=options.noise_multiplier,
        max_grad_norm=options.clipping_norm,
    )
    while True:
        with BatchMemoryManager(
            data_loader=loader, max_physical_batch_size=physical_batch, optimizer=optimizer
        ) as physical:
            yield from _published_epoch(model, criterion, optimizer, physical, device)


def ghost_clipping(
    network: Network, data: Data, options: TrainingOptions, device: torch.device
) -> Steps:
    """Opacus's ghost clipping (Li et al. 2022, arXiv 2110.05679) on whole Poisson samples.

    Arguments as for `published_loop`.
    """
    model, optimizer, loader = _parts(network, data, options, device)
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
) -> Steps:
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
    network: Network, data: Data, options: TrainingOptions, device: torch.device
) -> tuple[nn.Module, torch.optim.Optimizer, DataLoader[Any]]:
    model = network().to(device)
    optimizer = OPTIMIZERS[options.optimizer](model.parameters(), lr=options.learning_rate)
    loader: DataLoader[Any] = DataLoader(data, batch_size=options.batch_size)
    for harmless in HARMLESS:
        warnings.filterwarnings("ignore", harmless)
    return model, optimizer, loader


def _published_epoch(
    model: nn.Module,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: DataLoader[Any],
    device: torch.device,
    max_gradient_norm: float | None = None,
) -> Steps:
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
        if max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), max_gradient_norm)
        optimizer.step()
        yield len(y)
