"""Dropout: its rate, its scale, its gradient and its independence, from fixed seeds.

Under a fresh seed a right program would fail each statistical test with a chance of 1e-4.
"""

import pytest
import torch
from scipy import stats
from torch import nn

from mico.networks import dropout
from mico.networks.dropout import Dropout

ROWS, COLUMNS = 1000, 203  # not a multiple of what is drawn at a time


def of_ones(layer: nn.Module, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return layer(torch.ones(ROWS, COLUMNS))


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.9])
def test_values_are_dropped_at_the_rate_and_the_rest_is_scaled(rate: float) -> None:
    found = of_ones(Dropout(rate), 1)
    dropped = int((found == 0).sum())
    assert stats.binomtest(dropped, found.numel(), rate).pvalue > 1e-4
    assert found.unique().tolist() == pytest.approx([0, 1 / (1 - rate)], rel=1e-3)
    # The mean is exactly kept by the rate that there is.
    steps = round(rate * 2**16) / 2**16
    assert found.max().item() == pytest.approx(1 / (1 - steps), rel=1e-6)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, COLUMNS])
def test_values_are_dropped_independently(lag: int) -> None:
    """Also of those that come from the same word: pairs of dropped values at a distance."""
    dropped = (of_ones(Dropout(0.1), 2) == 0).flatten()
    pairs, count = int((dropped[lag:] & dropped[:-lag]).sum()), len(dropped) - lag
    rate = float(dropped.double().mean())
    # Nearly normal, of a variance that overlapping pairs make hardly greater.
    z = (pairs - count * rate**2) / (count * rate**2 * (1 - rate**2)) ** 0.5
    assert abs(z) < stats.norm.isf(0.5e-4)


def test_masks_belong_to_torchs_generator_and_differ() -> None:
    layer = Dropout(0.3)
    torch.manual_seed(3)
    first, second = (layer(torch.ones(ROWS, COLUMNS)) for _ in range(2))
    assert torch.equal(first, of_ones(layer, 3))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_gradients_pass_where_values_do(dtype: torch.dtype) -> None:
    x = torch.randn(50, 7, dtype=dtype, requires_grad=True)
    with torch.enable_grad():
        out = Dropout(0.25)(x)
        (gradient,) = torch.autograd.grad(out.sum(), x)
    assert out.dtype == gradient.dtype == dtype
    assert set(gradient.unique().tolist()) == {0.0, float(torch.tensor(4 / 3, dtype=dtype))}
    torch.testing.assert_close(out, x.detach() * gradient)


def test_nothing_is_dropped_in_evaluation_or_at_the_ends() -> None:
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros(5, 3))


def test_it_takes_the_place_of_torchs_alone() -> None:
    inner = nn.Sequential(nn.Dropout(0.2), nn.AlphaDropout(0.2))
    model = nn.Sequential(nn.Linear(3, 3), inner, nn.Dropout(0.4))
    inner.eval()
    dropout.replace(model)
    kinds = [type(layer) for layer in model.modules() if isinstance(layer, nn.Module)]
    assert kinds.count(Dropout) == 2
    assert kinds.count(nn.AlphaDropout) == 1
    assert (model[1][0].p, model[2].p) == (0.2, 0.4)
    assert (model[1][0].training, model[2].training) == (False, True)
