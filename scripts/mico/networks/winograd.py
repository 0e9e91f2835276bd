"""Convolutions with 3 x 3 kernels by Winograd's minimal filtering, forward and back.

F(2 x 2, 3 x 3) of Lavin and Gray 2016 (arXiv 1509.09308, section 4.1): an image is cut into tiles
of 4 x 4 that overlap by two; tiles and kernels are transformed, are multiplied place by place, 16
products of matrices, and the products are transformed into the 2 x 2 results of each tile. That
takes 16 multiplications where a product of patches takes 36, for the two gradients too, which are
the exact adjoints of these transforms.

Images are (M, B, rows, columns, channels), of M models, with an even number of rows and columns;
tiles and products (16, M, B, rows / 2, columns / 2, channels), of as many tiles.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

_TILE = 4  # rows and columns
# G of the paper: what makes four places of three weights.
_KERNEL = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))


def tiles(images: Tensor) -> Tensor:
    """The transformed tiles of images that are two rows and columns larger than the results."""
    models, count, rows, columns, channels = images.shape
    rows, columns = rows - 2, columns - 2
    out = images.new_empty(_TILE, _TILE, models, count, rows // 2, columns // 2, channels)
    of_rows = [images[:, :, place : place + rows : 2] for place in range(_TILE)]
    tall = images.new_empty(_TILE, models, count, rows // 2, columns + 2, channels)
    _differences(of_rows, tall)
    of_columns = [tall[:, :, :, :, place : place + columns : 2] for place in range(_TILE)]
    _differences(of_columns, out.transpose(0, 1))
    return out.flatten(0, 1)


def kernels(weight: Tensor) -> Tensor:
    """The transformed kernels (16, M, C, O) of a weight (M, 9 C, O)."""
    models, _, out = weight.shape
    places = weight.view(models, 9, -1, out).transpose(0, 1)
    product = torch.mm(_kernel_transform(weight.device, weight.dtype), places.reshape(9, -1))
    return product.view(_TILE**2, *places.shape[1:])


def multiply(tiles: Tensor, kernels: Tensor) -> Tensor:
    """The products (16, M, B, h, w, O) of tiles (16, M, B, h, w, C) and kernels (16, M, C, O)."""
    product = torch.bmm(tiles.flatten(0, 1).flatten(1, 3), kernels.flatten(0, 1))
    return product.view(*tiles.shape[:-1], -1)


def results(products: Tensor) -> Tensor:
    """The convolution's results, images (M, B, 2 h, 2 w, O), of products (16, M, B, h, w, O)."""
    _, models, count, rows, columns, channels = products.shape
    tall = products.new_empty(2, _TILE, models, count, rows, columns, channels)
    _pairs(products.view(_TILE, _TILE, *products.shape[1:]), tall)
    out = products.new_empty(models, count, rows, 2, columns, 2, channels)
    _pairs(tall.transpose(0, 1), out.permute(5, 3, 0, 1, 2, 4, 6))
    return out.view(models, count, 2 * rows, 2 * columns, channels)


def results_adjoint(deltas: Tensor) -> Tensor:
    """The derivative (16, M, B, h, w, O) by the products, from that by the results."""
    models, count, rows, columns, channels = deltas.shape
    rows, columns = rows // 2, columns // 2
    of_rows = deltas.view(models, count, rows, 2, 2 * columns, channels).unbind(3)
    tall = deltas.new_empty(_TILE, models, count, rows, 2 * columns, channels)
    _spread(of_rows, tall)
    of_columns = tall.view(_TILE, models, count, rows, columns, 2, channels).unbind(5)
    out = deltas.new_empty(_TILE, _TILE, models, count, rows, columns, channels)
    _spread(of_columns, out.transpose(0, 1))
    return out.flatten(0, 1)


def tiles_adjoint(deltas: Tensor) -> Tensor:
    """The derivative by the images, from that (16, M, B, h, w, C) by the transformed tiles."""
    _, models, count, rows, columns, channels = deltas.shape
    tall = deltas.new_zeros(_TILE, models, count, rows, 2 * columns + 2, channels)
    of_columns = deltas.view(_TILE, _TILE, *deltas.shape[1:]).unbind(1)
    for place, part in enumerate(_sums(of_columns)):
        tall[:, :, :, :, place : place + 2 * columns : 2] += part
    out = deltas.new_zeros(models, count, 2 * rows + 2, 2 * columns + 2, channels)
    for place, part in enumerate(_sums(tall.unbind())):
        out[:, :, place : place + 2 * rows : 2] += part
    return out


def gradient(tiles: Tensor, products: Tensor) -> Tensor:
    """The derivative (M, 9 C, O) by a weight, from tiles and the derivative by the products."""
    return _by_place(tiles, products).transpose(0, 1).flatten(1, 2)


def _by_place(tiles: Tensor, products: Tensor) -> Tensor:
    """The derivative (9, M, C, O) by a weight."""
    own, deltas = (each.flatten(0, 1).flatten(1, 3) for each in (tiles, products))
    by_kernels = torch.bmm(own.transpose(1, 2), deltas)
    product = torch.mm(
        _kernel_transform(tiles.device, tiles.dtype).T, by_kernels.view(_TILE**2, -1)
    )
    return product.view(9, tiles.shape[1], *by_kernels.shape[1:])


@cache
def _kernel_transform(device: torch.device, dtype: torch.dtype) -> Tensor:
    """What makes 16 places of nine weights (16, 9); it is sent to a device once."""
    g = torch.tensor(_KERNEL, dtype=dtype, device=device)
    return torch.kron(g, g)


def squared_norms(images: Tensor, tiles: Tensor, deltas: Tensor, products: Tensor) -> Tensor:
    """The squared norms (M, B) of the examples' gradients by a weight.

    By forming the gradients, or from inner products: in the way that takes fewer multiplications.

    Args:
        images: (M, B, rows + 2, columns + 2, C); tiles: (16, M, B, rows / 2, columns / 2, C).
        deltas: (M, B, rows, columns, O), the derivatives by the results; products: the same by the
            products, (16, M, B, rows / 2, columns / 2, O).
    """
    channels, out = images.shape[-1], deltas.shape[-1]
    pixels, positions = images[0, 0, ..., 0].numel(), deltas[0, 0, ..., 0].numel()
    # A gradient's multiplications count twice, as it passes through memory.
    if 2 * 4 * positions * channels * out < pixels**2 * channels + positions**2 * out:
        return _of_formed_gradients(tiles, products)
    return _of_inner_products(images, deltas)


def _of_formed_gradients(tiles: Tensor, products: Tensor) -> Tensor:
    _, models, count, *_ = tiles.shape
    alone = (each.reshape(_TILE**2, -1, 1, *each.shape[3:]) for each in (tiles, products))
    return _by_place(*alone).square_().flatten(2).sum((0, 2)).view(models, count)


def _of_inner_products(images: Tensor, deltas: Tensor) -> Tensor:
    """As a gradient is a sum over positions of outer products of a patch and a derivative.

    Its squared norm is the sum over pairs of positions of the patches' inner product times that of
    the derivatives (Li et al. 2022, arXiv 2110.05679, section 4). The patches' is a sum of nine
    inner products of pixels, whose places differ by as much as the positions do: each pair of
    pixels is multiplied once.
    """
    models, count, rows, columns, _ = deltas.shape
    of_pixels, of_deltas = (_inner_products(each) for each in (images, deltas))
    wide = torch.zeros_like(of_pixels[:, :, :columns, :, :columns])
    for place in range(3):
        wide += of_pixels[:, :, place : place + columns, :, place : place + columns]
    patches = torch.zeros_like(of_deltas)
    for place in range(3):
        patches += wide[:, place : place + rows, :, place : place + rows]
    return patches.mul_(of_deltas).flatten(1).sum(1).clamp_(min=0).view(models, count)


def _inner_products(images: Tensor) -> Tensor:
    """Those of all pairs of an image's pixels: (M B, rows, columns, rows, columns)."""
    _, _, rows, columns, channels = images.shape
    pixels = images.reshape(-1, rows * columns, channels)
    return torch.bmm(pixels, pixels.transpose(1, 2)).view(-1, rows, columns, rows, columns)


# One dimension of each transform: the paper's B^T, A^T, A and B.


def _differences(x: Sequence[Tensor], out: Tensor) -> None:
    torch.sub(x[0], x[2], out=out[0])
    torch.add(x[1], x[2], out=out[1])
    torch.sub(x[2], x[1], out=out[2])
    torch.sub(x[1], x[3], out=out[3])


def _pairs(x: Tensor, out: Tensor) -> None:
    torch.add(x[0], x[1], out=out[0]).add_(x[2])
    torch.sub(x[1], x[2], out=out[1]).sub_(x[3])


def _spread(x: Sequence[Tensor], out: Tensor) -> None:
    out[0] = x[0]
    torch.add(x[0], x[1], out=out[1])
    torch.sub(x[0], x[1], out=out[2])
    torch.neg(x[1], out=out[3])


def _sums(x: Sequence[Tensor]) -> list[Tensor]:
    return [x[0], (x[1] - x[2]).add_(x[3]), (x[1] + x[2]).sub_(x[0]), -x[3]]
