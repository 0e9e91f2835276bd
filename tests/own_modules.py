"""Modules as people write them, for tests of networks of one's own: `own_modules.py:table`."""

import random
import warnings

import torch
from torch import Tensor, nn


class Scale(nn.Module):
    """A layer of a kind that nobody knows."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gain + self.shift


class Recurrent(nn.Module):
    """A layer that is called several times, on its own output."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, 8)
        self.again = nn.Linear(8, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).tanh()
        for _ in range(3):
            hidden = self.again(hidden).tanh()
        return self.head(hidden)


class Gru(nn.Module):
    """Two layers that torch's vmap cannot run."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, 6)
        self.gru = nn.GRU(6, 7, 2, batch_first=True)
        self.head = nn.Linear(7, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.gru(self.tokens(ids))[0][:, -1])


class Tied(nn.Module):
    """An embedding that is the weight of another layer, too."""

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, 6)
        self.back = nn.Linear(6, vocabulary, bias=False)
        self.back.weight = self.tokens.weight
        self.head = nn.Linear(vocabulary, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.back(self.tokens(ids).mean(1)).tanh())


class ByHand(nn.Module):
    """A layer's weight that is used without calling the layer as well."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, features)
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).tanh() @ self.first.weight)


class Convolutions(nn.Module):
    """Strides, groups, dilation, changes in place, and layers called on images and on rows."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 6, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(3, 6)
        self.second = nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=2, bias=False)
        self.rows = nn.Conv1d(6, 8, 3, padding=1)
        self.norms = nn.RMSNorm(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.norm(self.first(x)).relu_()
        second = self.second(hidden)
        second += hidden
        rows = self.rows(second.flatten(2)).transpose(1, 2)
        return self.head(self.norms(rows).tanh().mean(1))


class Patches(nn.Module):
    """A parameter of the module itself, and torch's own attention, which calls no layer of its."""

    def __init__(self, channels: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, 8, 4, 4)
        self.start = nn.Parameter(torch.randn(1, 1, 8))
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(len(tokens), -1, -1), tokens], 1)
        mixed = tokens + self.drop(self.mix(tokens, tokens, tokens, need_weights=False)[0])
        return self.head(self.norm(mixed)[:, 0])


class BatchNormed(nn.Module):
    """A norm over the batch."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, 8, bias=False)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.first(x)).relu())


class Frozen(nn.Module):
    """A layer that is not trained, and a mask."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(features, 8).requires_grad_(False)
        self.head = nn.Linear(8, classes)
        self.register_buffer("mask", torch.arange(8) % 3 > 0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x).tanh() * self.mask)


class Mixing(nn.Module):
    """What it says of a record depends on the others of a batch: always, or in training."""

    def __init__(self, features: int, classes: int, always: bool) -> None:
        super().__init__()
        self.head = nn.Linear(features, classes)
        self.always = always

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x - x.mean(0) if self.always or self.training else x)


def table(features: int, classes: int, width: int = 8) -> nn.Module:
    layers = nn.Linear(features, width), nn.ReLU(inplace=True), nn.Linear(width, classes)
    return nn.Sequential(*layers)


def unknown(features: int, classes: int, dropout: float = 0.0) -> nn.Module:
    layers = nn.Linear(features, 8), nn.Dropout(dropout), Scale(8), nn.Linear(8, classes)
    return nn.Sequential(*layers)


def recurrent(features: int, classes: int) -> nn.Module:
    return Recurrent(features, classes)


def gru(vocabulary: int, classes: int) -> nn.Module:
    return Gru(vocabulary, classes)


def tied(vocabulary: int, classes: int) -> nn.Module:
    return Tied(vocabulary, classes)


def by_hand(features: int, classes: int) -> nn.Module:
    return ByHand(features, classes)


def convolutions(shape: tuple[int, int, int], classes: int) -> nn.Module:
    return Convolutions(shape[0], classes)


def patches(shape: tuple[int, int, int], classes: int, dropout: float = 0.0) -> nn.Module:
    return Patches(shape[0], classes, dropout)


def batch_normed(features: int, classes: int) -> nn.Module:
    return BatchNormed(features, classes)


def normed_images(shape: tuple[int, int, int], classes: int) -> nn.Module:
    side = (shape[1] - 3) // 2 + 1
    first = nn.Conv2d(shape[0], 6, 3, stride=2)
    head = nn.Linear(6 * side**2, classes)
    return nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), head)


def frozen(features: int, classes: int) -> nn.Module:
    return Frozen(features, classes)


def mixing(features: int, classes: int, always: bool) -> nn.Module:
    return Mixing(features, classes, always)


def without_parameters(features: int) -> nn.Module:
    return nn.Softmax(1)


def lazy(classes: int) -> nn.Module:
    return nn.LazyLinear(classes)


def in_float64(features: int, classes: int) -> nn.Module:
    return nn.Linear(features, classes).double()


def random_in_its_own_way(features: int, classes: int) -> nn.Module:
    layer = nn.Linear(features, classes)
    nn.init.constant_(layer.bias, random.random())
    return layer


def one_class_too_many(features: int, classes: int) -> nn.Module:
    return nn.Linear(features, classes + 1)


def no_tensor(features: int, classes: int) -> nn.Module:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(features, classes)

        def forward(self, x: Tensor) -> tuple[Tensor, None]:
            return self.layer(x), None

    return Pair()


def not_a_number(features: int, classes: int) -> nn.Module:
    layer = nn.Linear(features, classes)
    nn.init.constant_(layer.weight, float("inf"))
    return layer


def raises(features: int) -> nn.Module:
    raise KeyError("no such layer")


def needs_more(features: int, classes: int, depth: int) -> nn.Module:
    return nn.Linear(features, classes + depth - depth)


def no_module(features: int) -> int:
    return features


def deviation(features: int, classes: int) -> nn.Module:
    """Divides by 0 where a batch is of one."""
    return Wrapped(nn.Linear(features, classes), lambda x: x / (len(x) - 1))


def counting(features: int, classes: int) -> nn.Module:
    calls = []

    def count(x: Tensor) -> Tensor:
        calls.append(1)
        return x / len(calls)

    return Wrapped(nn.Linear(features, classes), count)


def changing_its_input(features: int, classes: int) -> nn.Module:
    return Wrapped(nn.Linear(features, classes), lambda x: x.mul_(0.5))


def without_batches(features: int, classes: int) -> nn.Module:
    return Wrapped(nn.Linear(features, classes), lambda x: x, torch.squeeze)


class Wrapped(nn.Module):
    def __init__(self, layer: nn.Module, before, after=lambda x: x) -> None:
        super().__init__()
        self.layer, self.before, self.after = layer, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x)))


def seeded(features: int, classes: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(features, classes)


def untracked(features: int, classes: int) -> nn.Module:
    norm = nn.BatchNorm1d(features, affine=False, track_running_stats=False)
    return nn.Sequential(norm, nn.Linear(features, classes))


def spectral(features: int, classes: int) -> nn.Module:
    first = nn.utils.parametrizations.spectral_norm(nn.Linear(features, 4))
    return nn.Sequential(first, nn.Linear(4, classes))


def linear(features: int, classes: int) -> nn.Module:
    return nn.Linear(features, classes)


def old_weight_norm(features: int, classes: int) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(features, 4)), nn.Linear(4, classes))


not_callable = 3
