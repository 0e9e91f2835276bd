"""Convolutions by tiles against those of torch, and their gradients against autograd's."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mico.networks import winograd

# Models, examples, rows and columns of what goes in, channels in and out.
SHAPES = [(1, 1, 4, 4, 1, 1), (2, 3, 6, 8, 5, 4), (1, 2, 14, 12, 3, 7)]


@dataclass(frozen=True)
class Convolved:
    """A convolution, by torch and by autograd."""

    images: Tensor
    weight: Tensor
    results: Tensor
    deltas: Tensor
    by_images: Tensor
    by_weight: Tensor


@pytest.fixture(params=SHAPES, ids=str)
def convolved(request: pytest.FixtureRequest) -> Convolved:
    models, count, rows, columns, channels, out = request.param
    generator = torch.Generator().manual_seed(1)

    def normals(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.double)

    images = normals(models, count, rows, columns, channels).requires_grad_()
    weight = normals(models, 9 * channels, out).requires_grad_()
    results = torch.stack(
        [
            functional.conv2d(
                own.permute(0, 3, 1, 2), kernel.view(3, 3, channels, out).permute(3, 2, 0, 1)
            ).permute(0, 2, 3, 1)
            for own, kernel in zip(images, weight, strict=True)
        ]
    )
    deltas = normals(*results.shape)
    by_images, by_weight = torch.autograd.grad(results, (images, weight), deltas)
    return Convolved(
        images.detach(), weight.detach(), results.detach(), deltas, by_images, by_weight
    )


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_results_are_those_of_a_convolution(convolved: Convolved) -> None:
    products = winograd.multiply(
        winograd.tiles(convolved.images), winograd.kernels(convolved.weight)
    )
    close(winograd.results(products), convolved.results)


def test_gradients_are_those_of_autograd(convolved: Convolved) -> None:
    by_products = winograd.results_adjoint(convolved.deltas)
    kernels = winograd.kernels(convolved.weight).transpose(2, 3)
    close(winograd.tiles_adjoint(winograd.multiply(by_products, kernels)), convolved.by_images)
    close(winograd.gradient(winograd.tiles(convolved.images), by_products), convolved.by_weight)


def formed(images: Tensor, deltas: Tensor) -> Tensor:
    """The squared norms (M, B) of gradients that autograd forms, example by example."""
    models, count, *_, channels = images.shape
    weight = torch.zeros(9 * channels, deltas.shape[-1]).to(images).requires_grad_()
    kernel = weight.view(3, 3, channels, -1).permute(3, 2, 0, 1)
    squares = torch.empty(models, count).to(images)
    for model in range(models):
        for one in range(count):
            image, delta = (
                each[model, one].permute(2, 0, 1).unsqueeze(0) for each in (images, deltas)
            )
            (gradient,) = torch.autograd.grad(
                functional.conv2d(image, kernel), weight, delta, retain_graph=True
            )
            squares[model, one] = gradient.square().sum()
    return squares


def in_each_way(images: Tensor, deltas: Tensor) -> list[Tensor]:
    """The squared norms of formed gradients, from inner products, and as the network has them."""
    tiles, products = winograd.tiles(images), winograd.results_adjoint(deltas)
    return [
        winograd._of_formed_gradients(tiles, products),
        winograd._of_inner_products(images, deltas),
        winograd.squared_norms(images, tiles, deltas, products),
    ]


def test_squared_norms_are_those_of_formed_gradients(convolved: Convolved) -> None:
    expected = formed(convolved.images, convolved.deltas)
    for found in in_each_way(convolved.images, convolved.deltas):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("cancelling", [False, True])
def test_squared_norms_are_precise_in_single_precision(cancelling: bool) -> None:
    """Also where the derivatives' sum over positions is 0, and with it most of the gradient."""
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(1, 4, 14, 14, 32, generator=generator) + 0.5
    deltas = torch.randn(1, 4, 12, 12, 32, generator=generator)
    if cancelling:
        deltas -= deltas.mean((2, 3), keepdim=True)
    expected = formed(images.double(), deltas.double())
    for found in in_each_way(images, deltas):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


def test_the_way_with_fewer_multiplications_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 32 channels the gradients are formed, of 256 not."""
    taken = []
    for way in ("_of_formed_gradients", "_of_inner_products"):
        monkeypatch.setattr(winograd, way, lambda *_, way=way: taken.append(way))
    for channels in (32, 256):
        images, deltas = torch.zeros(1, 1, 12, 12, channels), torch.zeros(1, 1, 10, 10, channels)
        winograd.squared_norms(images, torch.empty(0), deltas, torch.empty(0))
    assert taken == ["_of_formed_gradients", "_of_inner_products"]


def test_a_gradient_of_nothing_has_no_norm() -> None:
    """Not one whose square is below 0 by rounding."""
    for found in in_each_way(torch.rand(1, 2, 6, 6, 3), torch.zeros(1, 2, 4, 4, 5)):
        assert found.eq(0).all()
