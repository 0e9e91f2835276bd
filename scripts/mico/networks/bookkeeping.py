"""Single examples' gradients by a layer's parameters, from what it takes and what comes back to it.

`inputs` is what a layer was called with on B examples, `deltas` the derivative of each example's
loss by what it put out. With these two the norm of each example's gradient comes from products of
positions (Goodfellow 2015, arXiv 1510.01799; Li et al. 2021, arXiv 2110.05679; of convolutions
Bu et al. 2022, arXiv 2205.10683), and the sum of clipped gradients from the products that a plain
gradient takes, of derivatives scaled example by example (the book-keeping of Bu et al. 2022,
arXiv 2210.00038). Where a layer has many positions and few weights, such as a first convolution,
the gradients themselves are smaller, and are formed.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from mico.networks.architecture import StateDict

Norm = nn.LayerNorm | nn.RMSNorm
Convolution = nn.Conv1d | nn.Conv2d
Layer = nn.Linear | nn.Embedding | Norm | nn.GroupNorm | Convolution
# A class that inherits from one of these may compute something else.
KINDS = (
    *(nn.Linear, nn.Embedding, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
    *(nn.Conv1d, nn.Conv2d),
)
Call = tuple[Tensor, Tensor]  # inputs and deltas


def is_known(layer: nn.Module) -> bool:
    """Whether gradients by a layer's own parameters can be had from its inputs and deltas."""
    if isinstance(layer, nn.Embedding) and (layer.max_norm or layer.scale_grad_by_freq):
        return False
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and (
        layer.padding_mode != "zeros" or isinstance(layer.padding, str)
    ):
        return False
    return type(layer) in KINDS


@dataclass(frozen=True)
class Kept:
    """The gradients of B examples by a layer's parameters, as their two factors.

    Inputs are (B, T, K) and deltas (B, T, O) for T positions; of an embedding, inputs are its
    indices (B, T); of a convolution, both are as the layer has them.
    """

    name: str
    layer: Layer
    inputs: Tensor
    deltas: Tensor

    @property
    def _biased(self) -> bool:
        return getattr(self.layer, "bias", None) is not None

    def squared_norm(self) -> Tensor:
        """The squared norm (B,) of each example's gradient."""
        inputs, deltas = self.inputs, self.deltas
        if isinstance(self.layer, nn.Embedding):
            same = inputs.unsqueeze(1) == inputs.unsqueeze(2)
            return (_gram(deltas) * same).sum((1, 2))
        if isinstance(self.layer, Convolution):
            columns, deltas = _columns(self.layer, inputs, deltas)
            grams = [_gram(each.transpose(1, 2)) for each in (columns, deltas)]
            total = (grams[0] * grams[1]).sum((1, 2)).view(len(inputs), -1).sum(1)
            deltas = self.deltas.flatten(2).transpose(1, 2)
        elif isinstance(self.layer, Norm):
            total = (inputs * deltas).sum(1).square().sum(1)
        elif _is_shorter(inputs.shape[1], inputs.shape[2], deltas.shape[2]):
            total = (_gram(inputs) * _gram(deltas)).sum((1, 2))
        else:  # of long sentences the gradients themselves are smaller
            gradient = torch.bmm(deltas.transpose(1, 2), inputs)
            total = gradient.square().sum(2).sum(1)
        return total + deltas.sum(1).square().sum(1) if self._biased else total

    def add(self, scale: Tensor, sums: StateDict) -> None:
        """Add the sum of each example's gradient times its scale (B,) to `sums`."""
        weight = sums[f"{self.name}.weight"]
        deltas = self.deltas * scale.view(-1, *[1] * (self.deltas.ndim - 1))
        if isinstance(self.layer, nn.Embedding):
            add_tokens(weight, self.inputs, deltas)
            return
        if isinstance(self.layer, Convolution):
            shape, groups = self.layer.weight.shape, self.layer.groups
            weight.add_(_weight_gradient(self.layer, self.inputs, deltas, shape, groups))
            deltas = deltas.flatten(2).transpose(1, 2).flatten(0, 1)
        else:
            inputs, deltas = self.inputs.flatten(0, 1), deltas.flatten(0, 1)
            if isinstance(self.layer, Norm):
                weight.add_((inputs * deltas).sum(0).view_as(weight))
            else:
                weight.addmm_(deltas.T, inputs)
        if self._biased:
            bias = sums[f"{self.name}.bias"]
            bias.add_(deltas.sum(0).view_as(bias))

    def product(self, direction: StateDict) -> Tensor:
        """The product (B,) of each example's gradient with a direction."""
        weight = direction[f"{self.name}.weight"]
        if isinstance(self.layer, nn.Embedding):
            output = weight[self.inputs]
        else:
            bias = direction[f"{self.name}.bias"] if self._biased else None
            if isinstance(self.layer, Norm):
                output = self.inputs * weight.flatten()
                output = output if bias is None else output + bias.flatten()
            elif isinstance(self.layer, Convolution):
                output = _convolved(self.layer, self.inputs, weight, bias)
            else:
                output = functional.linear(self.inputs, weight, bias)
        return (output * self.deltas).sum(tuple(range(1, output.ndim)))


@dataclass(frozen=True)
class Formed:
    """The gradients of B examples by some parameters, (B, *shape) each, by their names."""

    name: str  # the layer's, or of what holds the parameters
    gradients: StateDict

    def squared_norm(self) -> Tensor:
        """The squared norm (B,) of each example's gradient."""
        # In rows first: a float32 sum of 600,000 squares in one run would come out too small.
        squares = [
            each.view(*each.shape[:2], -1).square().sum(2).sum(1)
            for each in self.gradients.values()
        ]
        return torch.stack(squares).sum(0)

    def add(self, scale: Tensor, sums: StateDict) -> None:
        """Add the sum of each example's gradient times its scale (B,) to `sums`."""
        for name, each in self.gradients.items():
            sums[name].view(1, -1).addmm_(scale.unsqueeze(0), each.flatten(1))

    def product(self, direction: StateDict) -> Tensor:
        """The product (B,) of each example's gradient with a direction."""
        products = [
            each.flatten(1) @ direction[name].flatten() for name, each in self.gradients.items()
        ]
        return torch.stack(products).sum(0)


Gradients = Kept | Formed


def of_calls(name: str, layer: Layer, calls: Sequence[Call]) -> Gradients:
    """The gradients by a layer's parameters, from all calls of it on the same B examples."""
    if isinstance(layer, Convolution):
        (inputs, deltas), *more = calls
        positions = math.prod(deltas.shape[2:])
        into, out = layer.weight[0].numel(), layer.out_channels // layer.groups
        if not more and _is_shorter(positions, into, out):
            return Kept(name, layer, inputs, deltas)
        return Formed(name, _sum(_formed(name, layer, *call) for call in calls))
    if isinstance(layer, nn.GroupNorm):
        return Formed(name, _sum(_formed_norm(name, layer, *call) for call in calls))
    both = [_by_position(layer, *call) for call in calls]
    inputs, deltas = (
        torch.cat(each, 1) if len(both) > 1 else each[0] for each in zip(*both, strict=True)
    )
    return Kept(name, layer, inputs, deltas)


def total_norm(gradients: Iterable[Gradients]) -> Tensor:
    """The norm (B,) of each example's gradient by all these parameters."""
    return torch.stack([one.squared_norm() for one in gradients]).sum(0).clamp_(min=0).sqrt_()


def add_tokens(weight: Tensor, indices: Tensor, deltas: Tensor) -> None:
    """Add an embedding's gradient to its weight's: indices (B, T), derivatives (B, T, O)."""
    # On a GPU index_add_ sums in any order.
    weight.index_put_((indices.long(),), deltas, accumulate=True)


def without_padding(layer: nn.Embedding, inputs: Tensor, deltas: Tensor) -> Call:
    """An embedding's indices (B, T) and derivatives (B, T, O), which are 0 by padding's."""
    inputs = inputs.reshape(len(inputs), -1)
    deltas = deltas.reshape(*inputs.shape, -1)
    if layer.padding_idx is not None:
        deltas = deltas * (inputs != layer.padding_idx).unsqueeze(-1)
    return inputs, deltas


def _by_position(layer: nn.Linear | nn.Embedding | Norm, inputs: Tensor, deltas: Tensor) -> Call:
    """A layer's input and derivative as (B, T, features); T = 1 where there are no positions."""
    if isinstance(layer, nn.Embedding):
        return without_padding(layer, inputs, deltas)
    features = inputs.shape[-1]
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        shape = list(layer.normalized_shape)
        if isinstance(layer, nn.LayerNorm):
            inputs = functional.layer_norm(inputs, shape, eps=layer.eps)
        else:
            inputs = functional.rms_norm(inputs, shape, eps=layer.eps)
        features = math.prod(shape)
        return inputs.reshape(len(inputs), -1, features), deltas.reshape(len(deltas), -1, features)
    return inputs.reshape(len(inputs), -1, features), deltas.reshape(
        len(deltas), -1, deltas.shape[-1]
    )


def _is_shorter(positions: int, into: int, out: int) -> bool:
    """Whether products of positions take less time than gradients of `into` times `out` weights."""
    return positions * (into + out) <= into * out


def _gram(x: Tensor) -> Tensor:
    return torch.bmm(x, x.transpose(1, 2))


def _columns(layer: Convolution, inputs: Tensor, deltas: Tensor) -> Call:
    """A convolution's patches (B G, K, T) and derivatives (B G, O / G, T), for G groups."""
    padding = cast(tuple[int, ...], layer.padding)
    kernel, dilation, stride = layer.kernel_size, layer.dilation, layer.stride
    sizes: tuple[tuple[int, ...], ...] = (kernel, dilation, padding, stride)
    if isinstance(layer, nn.Conv1d):  # an image of one row
        inputs = inputs.unsqueeze(2)
        sizes = (1, *kernel), (1, *dilation), (0, *padding), (1, *stride)
    patches = functional.unfold(inputs, *sizes)
    groups, positions = layer.groups, patches.shape[2]
    columns = patches.view(len(inputs) * groups, -1, positions)
    return columns, deltas.reshape(len(columns), -1, positions)


def _convolved(layer: Convolution, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    convolve = functional.conv1d if isinstance(layer, nn.Conv1d) else functional.conv2d
    padding = cast(tuple[int, ...], layer.padding)
    form = layer.stride, padding, layer.dilation, layer.groups
    output: Tensor = convolve(inputs, weight, bias, *form)
    return output


def _formed(name: str, layer: Convolution, inputs: Tensor, deltas: Tensor) -> StateDict:
    """Each example's gradient by a convolution's weight and bias.

    To torch, B examples are one with B times as many channels, in B times as many groups.
    """
    shape = (len(inputs) * layer.weight.shape[0], *layer.weight.shape[1:])
    x, delta = (each.reshape(1, -1, *each.shape[2:]) for each in (inputs, deltas))
    weight = _weight_gradient(layer, x, delta, shape, len(inputs) * layer.groups)
    gradients = {f"{name}.weight": weight.view(len(inputs), *layer.weight.shape)}
    if layer.bias is not None:
        gradients[f"{name}.bias"] = deltas.flatten(2).sum(2)
    return gradients


def _formed_norm(name: str, layer: nn.GroupNorm, inputs: Tensor, deltas: Tensor) -> StateDict:
    """Each example's gradient by a norm's weight and bias, one number for each channel."""
    inputs = functional.group_norm(inputs, layer.num_groups, eps=layer.eps)
    inputs, deltas = (each.reshape(*each.shape[:2], -1) for each in (inputs, deltas))
    return {f"{name}.weight": (inputs * deltas).sum(2), f"{name}.bias": deltas.sum(2)}


def _sum(gradients: Iterable[StateDict]) -> StateDict:
    first, *more = gradients
    for each in more:
        for name, value in each.items():
            first[name] += value
    return first


def _weight_gradient(
    layer: Convolution, inputs: Tensor, deltas: Tensor, shape: tuple[int, ...], groups: int
) -> Tensor:
    """A convolution's gradient by a weight of this shape, by torch's own routine."""
    only_its_shape = layer.weight.new_empty(1).expand(shape)
    no_shift, wanted = [0] * len(layer.kernel_size), [False, True, False]
    gradient: Tensor = torch.ops.aten.convolution_backward(
        deltas,
        inputs,
        only_its_shape,
        None,
        layer.stride,
        layer.padding,
        layer.dilation,
        False,
        no_shift,
        groups,
        wanted,
    )[1]
    return gradient
