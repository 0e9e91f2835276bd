"""Gradients of single examples from a layer's inputs and derivatives, against Opacus's."""

import pytest
import torch
from opacus.grad_sample import GradSampleModule
from torch import Tensor, nn

from mico.networks import bookkeeping

BATCH = 4
IMAGES = (BATCH, 6, 9, 8)
LAYERS = {
    "linear": (nn.Linear(6, 5), (BATCH, 6)),
    "linear of few positions": (nn.Linear(6, 5), (BATCH, 2, 6)),
    "linear of many positions": (nn.Linear(6, 5), (BATCH, 3, 11, 6)),
    "linear without bias": (nn.Linear(6, 5, bias=False), (BATCH, 6)),
    "embedding": (nn.Embedding(7, 5), (BATCH, 9)),
    "embedding with padding": (nn.Embedding(7, 5, padding_idx=2), (BATCH, 9)),
    "embedding of one index": (nn.Embedding(7, 5), (BATCH,)),
    "layer norm": (nn.LayerNorm(6), (BATCH, 3, 6)),
    "layer norm of two dimensions": (nn.LayerNorm([9, 8]), IMAGES),
    "layer norm without bias": (nn.LayerNorm(6, bias=False), (BATCH, 6)),
    "group norm": (nn.GroupNorm(3, 6), IMAGES),
    "group norm of vectors": (nn.GroupNorm(2, 6), (BATCH, 6)),
    "rms norm": (nn.RMSNorm(6), (BATCH, 3, 6)),
    "convolution": (nn.Conv2d(6, 4, 3), IMAGES),
    "convolution of few positions": (nn.Conv2d(6, 40, 5), (BATCH, 6, 6, 6)),
    "convolution with all": (
        nn.Conv2d(6, 8, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        IMAGES,
    ),
    "depthwise convolution": (nn.Conv2d(6, 12, 3, padding=1, groups=6, bias=False), IMAGES),
    "few positions in groups": (nn.Conv2d(6, 32, 5, groups=2), (BATCH, 6, 6, 6)),
    "convolution of rows": (nn.Conv1d(6, 8, 3, stride=2, padding=2, dilation=2), (BATCH, 6, 15)),
    "few positions of rows": (nn.Conv1d(6, 40, 7, groups=2, padding=1), (BATCH, 6, 7)),
}


@pytest.fixture(params=LAYERS)
def layer_and_inputs(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    layer, shape = LAYERS[request.param]
    torch.manual_seed(len(request.param))
    for value in layer.parameters():
        nn.init.normal_(value)
    if isinstance(layer, nn.Embedding):
        return layer, torch.randint(0, 7, shape)
    return layer.double(), torch.randn(shape, dtype=torch.float64)


def test_norms_sums_and_products_are_those_of_opacus(
    layer_and_inputs: tuple[nn.Module, Tensor],
) -> None:
    layer, inputs = layer_and_inputs
    assert bookkeeping.is_known(layer)
    deltas = torch.randn_like(layer(inputs))
    expected = opacus_gradients(layer, inputs, deltas)
    found = bookkeeping.of_calls("layer", layer, [(inputs, deltas)])
    check(found, expected)


def test_a_layer_that_is_called_twice(layer_and_inputs: tuple[nn.Module, Tensor]) -> None:
    layer, inputs = layer_and_inputs
    calls = []
    for given in inputs, inputs.flip(0):
        calls.append((given, torch.randn_like(layer(given))))
    each = [opacus_gradients(layer, *call) for call in calls]
    expected = {name: each[0][name] + each[1][name] for name in each[0]}
    check(bookkeeping.of_calls("layer", layer, calls), expected)


def opacus_gradients(layer: nn.Module, inputs: Tensor, deltas: Tensor) -> dict[str, Tensor]:
    """Each example's gradient (B, *shape) by the layer's parameters."""
    if (  # which Opacus does not take, or whose padding it gives a gradient
        isinstance(layer, nn.RMSNorm)
        or inputs.ndim == 1
        or getattr(layer, "bias", True) is None
        or getattr(layer, "padding_idx", None) is not None
    ):
        leaves = dict(layer.named_parameters())
        rows = [
            torch.autograd.grad(layer(one), [*leaves.values()], delta)
            for one, delta in zip(inputs.split(1), deltas.split(1), strict=True)
        ]
        return {
            name: torch.stack(column)
            for name, column in zip(leaves, zip(*rows, strict=True), strict=True)
        }
    sampler = GradSampleModule.GRAD_SAMPLERS[type(layer)]
    by_parameter = sampler(layer, [inputs], deltas)
    return {name: by_parameter[value] for name, value in layer.named_parameters()}


def check(found: bookkeeping.Gradients, expected: dict[str, Tensor]) -> None:
    expected = {f"layer.{name}": value for name, value in expected.items()}
    squares = sum(value.flatten(1).square().sum(1) for value in expected.values())
    torch.testing.assert_close(found.squared_norm(), squares)
    assert bookkeeping.total_norm([found, found]).allclose((2 * squares).sqrt())
    scale = torch.rand(BATCH, dtype=squares.dtype)
    sums = {name: torch.ones_like(value[0]) for name, value in expected.items()}
    found.add(scale, sums)
    for name, value in expected.items():
        torch.testing.assert_close(sums[name], 1 + torch.tensordot(scale, value, 1))
    direction = {name: torch.randn_like(value[0]) for name, value in expected.items()}
    product = sum((value * direction[name]).flatten(1).sum(1) for name, value in expected.items())
    torch.testing.assert_close(found.product(direction), product)


def test_both_ways_to_a_convolutions_norm_are_taken() -> None:
    kinds = set()
    for layer, shape in LAYERS.values():
        if isinstance(layer, nn.Conv2d):
            inputs = torch.randn(shape, dtype=layer.weight.dtype)
            call = inputs, torch.randn_like(layer(inputs))
            kinds.add(type(bookkeeping.of_calls("layer", layer, [call])))
    assert kinds == {bookkeeping.Kept, bookkeeping.Formed}


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, padding_mode="reflect", padding=1),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv3d(3, 4, 3),
        nn.Embedding(5, 4, max_norm=1.0),
        nn.Embedding(5, 4, scale_grad_by_freq=True),
        nn.BatchNorm1d(4),
        nn.Bilinear(2, 3, 4),
        type("Other", (nn.Linear,), {})(2, 3),
    ],
)
def test_what_is_not_known(layer: nn.Module) -> None:
    assert not bookkeeping.is_known(layer)
