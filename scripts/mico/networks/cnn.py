"""The published CIFAR-10 network, for several models at once, with a clipped gradient.

Conv(3, 128, k8 s2 p3), Tanh, MaxPool(k3 s1), Conv(128, 256, k3), Tanh, Conv(256, 256, k3), Tanh,
AvgPool(k2 s2), Flatten, Linear(6400, 10): 973,962 parameters. Every parameter has a leading
dimension M, the models that are computed together.

Activations have their channels last. The first convolution and the last layer are products of a
matrix of patches, laid out as rows, and their weight, held as a matrix (patch, channels out). The
3 x 3 convolutions, 19 of 20 multiplications, are done by Winograd's method, and the norms of their
examples' gradients follow from inner products of pixels: clipping forms no gradient but the first
layer's. docs/performance.md has the measurements.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mico.data.store import Description
from mico.networks import winograd
from mico.networks.architecture import (
    SMALLEST,
    Clipping,
    ExampleGradients,
    Parameters,
    smooth_,
    uniform_weights,
)
from mico.networks.facts import PHYSICAL_BATCH_SIZE, Facts, networks, parse
from mico.networks.kernels import tanh_
from mico.networks.model_files import StateDictFile
from mico.networks.randomness import RandomStream
from mico.support.errors import InputError

FACTS = {
    "cnn": {
        "data": ("images",),
        "summary": "for images: the published network of 973,962 parameters; `cnn/8`: an eighth of "
        "its channels (2 to 128, a power of 2)",
        "layers": "`cnn`, or `cnn/k` with k times fewer channels: Conv2d (kernel 8, stride 2,"
        " padding 3), Tanh, MaxPool2d (kernel 3, stride 1), Conv2d (kernel 3), Tanh, Conv2d"
        " (kernel 3), Tanh, AvgPool2d (kernel 2), Flatten, Linear, on images (3, 32, 32) normalised"
        " channel by channel: `(value / 255 - mean) / std`, with the data set's mean and std.",
        "record_seconds": 4.4e-3,
        "step_seconds": 1.5e-2,
        "forward": 0.3333333333333333,  # 1 / 3, as a literal
        "feature_mb": 2e-3,
        "divisors": (2, 4, 8, 16, 32, 64, 128),
        "narrower": 0.8,
        "accuracy_records": 1_000_000,
        "white_box_records": 1_000,
        "white_box_shadows": 20,
    }
}
IMAGE = (32, 32, 3)  # rows, columns, channels
CHANNELS = (128, 256, 256)  # out of each convolution

KERNELS = (8, 3, 3)
PADDING = 3  # of the first convolution
SIDES = (16, 12, 10)  # rows and columns out of each convolution
POOLED_SIDE = 14  # of the first convolution's output
FLAT_SIDE = 5  # of what the last layer takes
LAYERS = ("cnn.0", "cnn.3", "cnn.5", "cnn.9")  # their places in the published nn.Sequential


@dataclass(frozen=True)
class _Product:
    """A layer's part in a backward pass, that multiplies patches (or whole inputs, T = 1).

    The gradient of an example's loss by the layer's weight is the sum over positions T of the outer
    products of `inputs` and `deltas`, and by its bias that of `deltas`.
    """

    name: str
    inputs: Tensor  # (M, B, T, K)
    deltas: Tensor  # (M, B, T, O) the loss's derivative by what the layer gives

    def squared_norms(self) -> Tensor:
        """Those (M, B) of the examples' gradients by the weight."""
        if self.inputs.shape[2] == 1:
            return _square(self.inputs.squeeze(2)) * _square(self.deltas.squeeze(2))
        return _square(self.gradients().flatten(2))

    def gradients(self) -> Tensor:
        """The examples' gradients (M, B, K, O) by the weight."""
        inputs, deltas = self.inputs.flatten(0, 1), self.deltas.flatten(0, 1)
        product = torch.bmm(inputs.transpose(1, 2), deltas)
        return product.view(*self.inputs.shape[:2], *product.shape[1:])

    def gradient(self) -> Tensor:
        """The sum (M, K, O) of the examples' gradients by the weight."""
        return torch.bmm(self.inputs.flatten(1, 2).transpose(1, 2), self.deltas.flatten(1, 2))

    def scale_(self, scale: Tensor) -> None:
        """Scale the examples' gradients, by numbers (M, B)."""
        self.deltas.mul_(scale.view(*scale.shape, 1, 1))

    def by_direction(self, direction: Tensor) -> Tensor:
        """The inner products (M, B) of the gradients by the weight with a direction (M, K, O)."""
        along = torch.bmm(self.inputs.flatten(1, 2), direction).view(self.deltas.shape)
        return along.mul_(self.deltas).flatten(2).sum(-1)


@dataclass(frozen=True)
class _Convolution:
    """A 3 x 3 convolution's part in a backward pass, that multiplies transformed tiles."""

    name: str
    images: Tensor  # (M, B, rows + 2, columns + 2, C) what the layer takes
    tiles: Tensor  # (16, M, B, h, w, C), the same transformed
    deltas: Tensor  # (M, B, T, O) the loss's derivative by what the layer gives
    by_products: Tensor  # (16, M, B, h, w, O), the same by the products of tiles

    def squared_norms(self) -> Tensor:
        """Those (M, B) of the examples' gradients by the weight."""
        side = self.images.shape[2] - 2
        deltas = _images(self.deltas, side)
        return winograd.squared_norms(self.images, self.tiles, deltas, self.by_products)

    def gradient(self) -> Tensor:
        """The sum (M, 9 C, O) of the examples' gradients by the weight."""
        return winograd.gradient(self.tiles, self.by_products)

    def scale_(self, scale: Tensor) -> None:
        """Scale the examples' gradients, by numbers (M, B)."""
        self.deltas.mul_(scale.view(*scale.shape, 1, 1))
        self.by_products.mul_(scale.view(*scale.shape, 1, 1, 1))

    def by_direction(self, direction: Tensor) -> Tensor:
        """The inner products (M, B) of the gradients by the weight with a direction (M, 9 C, O)."""
        along = winograd.multiply(self.tiles, winograd.kernels(direction))
        return along.mul_(self.by_products).flatten(3).sum((0, 3))


_Layer = _Product | _Convolution


@dataclass(frozen=True)
class _Forward:
    """The parts of a forward pass that the backward pass needs."""

    patches: Tensor  # (M, B, T, K), of the first layer
    hidden: tuple[Tensor, ...]  # what each convolution gives, after tanh (M, B, T, O)
    winners: Tensor  # where the maxima were
    images: tuple[Tensor, ...]  # that the second and third take, (M, B, rows, columns, C) ...
    tiles: tuple[Tensor, ...]  # ... and the same transformed
    flat: Tensor  # (M, B, 1, K), of the last
    logits: Tensor  # (M, B, classes)


@dataclass(frozen=True)
class CNN(StateDictFile):
    """The network's shape, and its arithmetic as methods that hold no state."""

    classes: int
    channels: tuple[int, int, int] = CHANNELS
    # So many examples of each model have their patches and gradients in memory at a time. What a
    # model becomes depends on it by rounding alone.
    physical_batch_size: int = PHYSICAL_BATCH_SIZE
    # Of the data, by channel: what is subtracted from a value in [0, 1], and then divides it.
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    @property
    def facts(self) -> Facts:
        """What is known of the network without building it, such as its costs."""
        return networks()["cnn"]

    @property
    def batched(self) -> bool:
        """Whether one operation computes several models."""
        return True

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Each parameter's shape, by name, without the leading dimension M."""
        first, second, third = self.channels
        inputs = self._fan_in
        outputs = (first, second, third, self.classes)
        return {
            f"{layer}.{kind}": (inputs[layer] if kind == "weight" else 1, out)
            for layer, out in zip(LAYERS, outputs, strict=True)
            for kind in ("weight", "bias")
        }

    @property
    def _fan_in(self) -> dict[str, int]:
        """The number of inputs that an output of each layer has, by layer."""
        into = (IMAGE[2], *self.channels)
        area = (*(kernel**2 for kernel in KERNELS), FLAT_SIDE**2)
        return dict(zip(LAYERS, map(math.prod, zip(into, area, strict=True)), strict=True))

    @property
    def statistics(self) -> tuple[str, ...]:
        """Statistics of batches: there are none."""
        return ()

    @property
    def dropout(self) -> bool:
        """Whether gradients in training are random: not here, for there is no dropout."""
        return False

    def initial_weights(self, stream: RandomStream) -> Parameters:
        """torch's default: parameters uniform in +- 1 / sqrt(inputs of an output)."""
        return uniform_weights(self.shapes, self._init_bound, stream)

    def _init_bound(self, name: str) -> float:
        return math.pow(self._fan_in[name.rpartition(".")[0]], -0.5)

    def _published_shapes(self) -> dict[str, tuple[int, ...]]:
        first, second, third = self.channels
        weights = [
            (first, IMAGE[2], KERNELS[0], KERNELS[0]),
            (second, first, KERNELS[1], KERNELS[1]),
            (third, second, KERNELS[2], KERNELS[2]),
            (self.classes, third * FLAT_SIDE**2),
        ]
        return {
            f"{layer}.{kind}": weight if kind == "weight" else weight[:1]
            for layer, weight in zip(LAYERS, weights, strict=True)
            for kind in ("weight", "bias")
        }

    def to_state_dicts(self, parameters: Parameters) -> list[dict[str, Tensor]]:
        """One published state dict per model, on the CPU: weights as torch's layers have them."""
        shapes = self._published_shapes()
        published = {}
        for name, value in parameters.items():
            value = value.detach().cpu()
            if name.endswith("bias"):
                published[name] = value[:, 0]
                continue
            shape = shapes[name]
            # The last layer takes rows, columns and channels here, channels first as published.
            side = FLAT_SIDE if name.startswith(LAYERS[-1]) else shape[2]
            split = value.view(len(value), side, side, -1, shape[0])
            published[name] = split.permute(0, 4, 3, 1, 2).reshape(len(value), *shape)
        return [
            {
                name: value[model].clone(memory_format=torch.contiguous_format)
                for name, value in published.items()
            }
            for model in range(len(published["cnn.0.bias"]))
        ]

    def from_state_dicts(self, state_dicts: Sequence[dict[str, Tensor]]) -> Parameters:
        """Parameters with a leading dimension M from M published state dicts.

        Raises:
            ValueError: a key or shape that is not this network's; the message names it.
        """
        shapes = self._published_shapes()
        for state_dict in state_dicts:
            found = {name: tuple(value.shape) for name, value in state_dict.items()}
            if found != shapes:
                raise ValueError(f"parameters {found}, expected {shapes}")
        parameters = {}
        for name, held in self.shapes.items():
            value = torch.stack([one[name] for one in state_dicts])
            if name.endswith("weight"):
                side = FLAT_SIDE if name.startswith(LAYERS[-1]) else shapes[name][2]
                value = value.view(len(value), held[1], -1, side, side).permute(0, 3, 4, 2, 1)
            parameters[name] = value.reshape(len(value), *held)
        return parameters

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Images (N, 3072) uint8 as they are stored, channels first."""
        return features

    def inputs(self, encoded: Tensor) -> Tensor:
        """Images (M, B, 32, 32, 3) float32, normalised."""
        mean, std = (_by_channel(values, encoded.device) for values in (self.mean, self.std))
        rows, columns, channels = IMAGE
        images = encoded.view(*encoded.shape[:-1], channels, rows, columns)
        # Before the channels are moved, a CPU reads each number of a mean for a thousand pixels.
        return images.float().div_(255).sub_(mean).div_(std).movedim(-3, -1).contiguous()

    def logits(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Logits (M, B, classes) for images x (M, B, 32, 32, 3)."""
        return _affine(parameters, LAYERS[3], self.hidden(parameters, x).unsqueeze(2)).squeeze(2)

    def hidden(self, parameters: Parameters, x: Tensor) -> Tensor:
        """The flattened activations (M, B, 6400) that the last layer takes.

        By torch's own convolutions, which on a CPU are up to twice as fast as products of patches
        that nobody needs afterwards.
        """
        flat = []
        for model, images in enumerate(x):
            weights, biases = [], []
            for layer, size in zip(LAYERS, KERNELS, strict=False):
                weight, bias = (parameters[f"{layer}.{kind}"][model] for kind in ("weight", "bias"))
                weight = weight.view(size, size, -1, weight.shape[1]).permute(3, 2, 0, 1)
                weights.append(weight.contiguous(memory_format=torch.channels_last))
                biases.append(bias[0])
            parts = []
            for part in images.split(self.physical_batch_size):
                y = part.permute(0, 3, 1, 2)
                y = functional.conv2d(y, weights[0], biases[0], stride=2, padding=PADDING).tanh_()
                y = functional.conv2d(functional.max_pool2d(y, 3, 1), weights[1], biases[1]).tanh_()
                y = functional.conv2d(y, weights[2], biases[2]).tanh_()
                parts.append(functional.avg_pool2d(y, 2).permute(0, 2, 3, 1).flatten(1))
            flat.append(torch.cat(parts))
        return torch.stack(flat)

    def mean_gradient(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Write the gradient of the batch's mean cross-entropy into `out`.

        Args:
            x: images (M, B, 32, 32, 3); y: labels (M, B) int64.
            out: gradients, shapes as `parameters`; overwritten.
            seeds: not used, there is no dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """
        for value in out.values():
            value.zero_()
        weight = 1 / x.shape[1]
        for part_x, part_y in zip(self._parts(x), self._parts(y), strict=True):
            _add(out, self._backward(parameters, part_x, part_y, smoothing, weight))

    def add_clipped_gradients(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        bound: Tensor,
        clipping: Clipping,
        out: Parameters,
        seeds: Sequence[int] | None = None,
        smoothing: float = 0.0,
    ) -> None:
        """Add the weighted sum of the examples' cross-entropy gradients, each clipped, to `out`.

        Args:
            x: images (M, B, 32, 32, 3); y: labels (M, B) int64.
            bound: (M, B); what the norm of each example's contribution is at most: the clipping
                norm C times the example's weight, 0 for padding.
            clipping: with C.
            out: shapes as `parameters`; holds the noise, or zeros.
            seeds: not used, there is no dropout.
            smoothing: the share of a label that is spread evenly over all classes.
        """
        if not y.shape[1]:
            return
        parts = (self._parts(tensor) for tensor in (x, y, bound))
        for part_x, part_y, part_bound in zip(*parts, strict=True):
            first, *others = self._backward(parameters, part_x, part_y, smoothing)
            assert isinstance(first, _Product)
            # The first layer's are small: once formed for their norms, they are summed themselves.
            gradients = {
                f"{first.name}.weight": first.gradients().flatten(2),
                f"{first.name}.bias": first.deltas.sum(2),
            }
            squares = [_square(each) for each in gradients.values()]
            squares += [layer.squared_norms() + _square(layer.deltas.sum(2)) for layer in others]
            scale = clipping.scale(part_bound, torch.stack(squares).sum(0).sqrt())
            for layer in others:
                layer.scale_(scale)
            _add(out, others)
            for name, gradient in gradients.items():
                out[name].view(len(scale), 1, -1).baddbmm_(scale.unsqueeze(1), gradient)

    def example_gradients(
        self, parameters: Parameters, x: Tensor, y: Tensor, directions: Mapping[str, Parameters]
    ) -> ExampleGradients:
        """Measure single examples' gradients, as an attacker can who has the weights.

        Args:
            x: images (M, B, 32, 32, 3); y: labels (M, B) int64.
            directions: by a name, each of the shapes of `parameters`.
        """
        hidden, norms = [], []
        products: dict[str, list[Tensor]] = {name: [] for name in directions}
        for part_x, part_y in zip(self._parts(x), self._parts(y), strict=True):
            layers = self._backward(parameters, part_x, part_y)
            last = layers[-1]
            assert isinstance(last, _Product)
            hidden.append(last.inputs.squeeze(2))
            biases = [layer.deltas.sum(2) for layer in layers]
            squares = [
                layer.squared_norms() + _square(bias)
                for layer, bias in zip(layers, biases, strict=True)
            ]
            norms.append(torch.stack(squares).clamp_(min=SMALLEST**2).log().div_(2))
            for name, direction in directions.items():
                of_layers = [
                    layer.by_direction(direction[f"{layer.name}.weight"])
                    + (bias * direction[f"{layer.name}.bias"]).sum(-1)
                    for layer, bias in zip(layers, biases, strict=True)
                ]
                products[name].append(torch.stack(of_layers).sum(0))
        return ExampleGradients(
            torch.cat(hidden, 1),
            list(torch.cat(norms, 2)),
            {name: torch.cat(parts, 1) for name, parts in products.items()},
        )

    def _parts(self, tensor: Tensor) -> Sequence[Tensor]:
        """A tensor (M, B, ...) cut along B into physical batches, which are computed one by one."""
        return torch.split(tensor, self.physical_batch_size, 1)

    def _forward(self, parameters: Parameters, x: Tensor) -> _Forward:
        padded = functional.pad(x, (0, 0, PADDING, PADDING, PADDING, PADDING))
        first = _patches(padded, KERNELS[0], stride=2)
        hidden1 = tanh_(_affine(parameters, LAYERS[0], first))
        pooled, winners = functional.max_pool2d(
            _channels_first(hidden1, SIDES[0]), 3, stride=1, return_indices=True
        )
        images2 = _channels_last(pooled, x)
        tiles2, hidden2 = _convolve(parameters, LAYERS[1], images2)
        images3 = _images(hidden2, SIDES[1])
        tiles3, hidden3 = _convolve(parameters, LAYERS[2], images3)
        averaged = functional.avg_pool2d(_channels_first(hidden3, SIDES[2]), 2)
        flat = _channels_last(averaged, x).flatten(2).unsqueeze(2)
        logits = _affine(parameters, LAYERS[3], flat).squeeze(2)
        return _Forward(
            patches=first,
            hidden=(hidden1, hidden2, hidden3),
            winners=winners,
            images=(images2, images3),
            tiles=(tiles2, tiles3),
            flat=flat,
            logits=logits,
        )

    def _backward(
        self,
        parameters: Parameters,
        x: Tensor,
        y: Tensor,
        smoothing: float = 0.0,
        weight: float = 1.0,
    ) -> list[_Layer]:
        """The layers' parts in the backward pass of the sum of the examples' weighted losses."""
        forward = self._forward(parameters, x)
        hidden1, hidden2, hidden3 = forward.hidden
        weight4 = parameters[f"{LAYERS[3]}.weight"]
        delta4 = forward.logits.softmax(-1).scatter_(-1, y.unsqueeze(-1), -1.0, reduce="add")
        smooth_(delta4, y, smoothing).mul_(weight)
        averaged = torch.bmm(delta4, weight4.transpose(1, 2)).div_(4)
        # Every average goes back to the four positions that it was taken of.
        spread = averaged.view(*y.shape, FLAT_SIDE, 1, FLAT_SIDE, 1, -1)
        spread = spread.expand(-1, -1, -1, 2, -1, 2, -1).reshape(hidden3.shape)
        delta3 = _tanh_backward(spread, hidden3)
        by_images3, by_products3 = _convolve_back(parameters, LAYERS[2], delta3, SIDES[2])
        delta2 = _tanh_backward(by_images3, hidden2)
        pooled, by_products2 = _convolve_back(parameters, LAYERS[1], delta2, SIDES[1])
        unpooled = torch.ops.aten.max_pool2d_with_indices_backward(
            _channels_first(pooled, POOLED_SIDE),
            _channels_first(hidden1, SIDES[0]),
            [3, 3],
            [1, 1],
            [0, 0],
            [1, 1],
            False,
            forward.winners,
        )
        delta1 = _tanh_backward(_channels_last(unpooled, x).flatten(2, 3), hidden1)
        images, tiles = forward.images, forward.tiles
        return [
            _Product(LAYERS[0], forward.patches, delta1),
            _Convolution(LAYERS[1], images[0], tiles[0], delta2, by_products2),
            _Convolution(LAYERS[2], images[1], tiles[1], delta3, by_products3),
            _Product(LAYERS[3], forward.flat, delta4.unsqueeze(2)),
        ]


@cache
def _by_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A value for each channel (C, 1, 1), sent to a device once."""
    return torch.tensor(values, device=device).view(-1, 1, 1)


def _add(out: Parameters, layers: Sequence[_Layer]) -> None:
    """Add the sums of the examples' gradients to `out`."""
    for layer in layers:
        out[f"{layer.name}.weight"].add_(layer.gradient())
        out[f"{layer.name}.bias"].add_(layer.deltas.sum((1, 2)).unsqueeze(1))


def _affine(parameters: Parameters, layer: str, inputs: Tensor) -> Tensor:
    """A layer's output (M, B, T, O) for its input (M, B, T, K)."""
    product = torch.bmm(inputs.flatten(1, 2), parameters[f"{layer}.weight"])
    product.add_(parameters[f"{layer}.bias"])
    return product.view(*inputs.shape[:3], product.shape[-1])


def _patches(x: Tensor, size: int, stride: int = 1) -> Tensor:
    """The patches (M, B, T, size * size * C) of images (M, B, H, W, C)."""
    patches = x.unfold(2, size, stride).unfold(3, size, stride)  # (M, B, h, w, C, size, size)
    return patches.permute(0, 1, 2, 3, 5, 6, 4).flatten(4).flatten(2, 3)


def _convolve(parameters: Parameters, layer: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """The transformed tiles of images, and what a 3 x 3 layer gives for them (M, B, T, O)."""
    tiles = winograd.tiles(images)
    kernels = winograd.kernels(parameters[f"{layer}.weight"])
    given = winograd.results(winograd.multiply(tiles, kernels)).flatten(2, 3)
    return tiles, tanh_(given.add_(parameters[f"{layer}.bias"].unsqueeze(1)))


def _convolve_back(
    parameters: Parameters, layer: str, deltas: Tensor, side: int
) -> tuple[Tensor, Tensor]:
    """The derivatives by a 3 x 3 layer's images (M, B, (side + 2)^2, C) and products of tiles."""
    by_products = winograd.results_adjoint(_images(deltas, side))
    kernels = winograd.kernels(parameters[f"{layer}.weight"])
    by_tiles = winograd.multiply(by_products, kernels.transpose(2, 3))
    return winograd.tiles_adjoint(by_tiles).flatten(2, 3), by_products


def _tanh_backward(delta: Tensor, output: Tensor) -> Tensor:
    by_input: Tensor = torch.ops.aten.tanh_backward(delta, output)
    return by_input


def _images(x: Tensor, side: int) -> Tensor:
    """Images (M, B, side, side, C) of positions (M, B, side^2, C)."""
    return x.view(*x.shape[:2], side, side, -1)


def _channels_first(x: Tensor, side: int) -> Tensor:
    """Images (M, B, side^2, C) as torch's layers take them, (M B, C, side, side), not moved."""
    return x.view(-1, side, side, x.shape[-1]).permute(0, 3, 1, 2)


def _channels_last(images: Tensor, x: Tensor) -> Tensor:
    """Images (M B, C, side, side) as (M, B, side, side, C), with M and B of x; moved in memory."""
    moved = images.permute(0, 2, 3, 1).contiguous()
    return moved.view(*x.shape[:2], *moved.shape[1:])


def _square(x: Tensor) -> Tensor:
    """The squared norms along the last dimension."""
    return x.square().sum(-1)


def build(name: str, data: Description, physical_batch_size: int, precision: str) -> CNN:
    """The network `cnn`, or `cnn/k`, for a data set of 32 x 32 images of three channels.

    Raises:
        InputError: the images are of another shape.
    """
    rows, columns, channels = IMAGE
    if data.shape != (channels, rows, columns) or data.mean is None or data.std is None:
        found = "none" if data.shape is None else " x ".join(map(str, data.shape))
        raise InputError(
            f"architecture {name!r}: data set {data.name} holds images of {found} (channels, rows, "
            f"columns), expected {channels} x {rows} x {columns}"
        )
    divisor = int(parse(name)[1] or 1)
    first, second, third = CHANNELS
    widths = (first // divisor, second // divisor, third // divisor)
    return CNN(data.classes, widths, physical_batch_size, data.mean, data.std)
