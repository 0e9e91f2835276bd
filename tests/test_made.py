"""The bytes of tensors that a computation makes."""

import torch
from torch import nn

from mico.networks.made import bytes_of, peak_of


def test_what_operations_put_out_is_counted_and_no_views() -> None:
    x, layer = torch.zeros(5, 6), nn.Linear(6, 7)

    def compute() -> None:
        out = layer(x.view(5, 2, 3).flatten(1)).relu()
        out[:2].double()

    assert bytes_of(compute) == 2 * 5 * 7 * 4 + 2 * 7 * 8
    assert bytes_of(lambda: x.T) == 0


def test_a_pass_back_counts_too() -> None:
    x, layer = torch.zeros(50, 6), nn.Linear(6, 7)
    forward = bytes_of(lambda: layer(x))
    both = bytes_of(lambda: layer(x).tanh().sum().backward())
    # Besides: the hyperbolic tangent, the derivative by what it takes, and the layer's gradient.
    assert both >= forward + 2 * 50 * 7 * 4 + 7 * 7 * 4
    assert both < forward + 4 * 50 * 7 * 4


def test_the_largest_sum_of_what_is_there_at_a_time_counts() -> None:
    """Views count once, and what is gone does not count."""

    def compute() -> None:
        for _ in range(3):
            first = torch.empty(1000, device="meta")
            second = first.view(10, 100) + 1
            del first
            third = second * 2
            del second, third

    assert peak_of(compute) == 2 * 4000
