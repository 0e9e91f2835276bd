"""The compiled loops against torch's own operations in double precision, and at the edges."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mico.networks import kernels

SCRIPTS = Path(__file__).parents[1] / "scripts"
# The distance of two float32 numbers below 1, and of those at 1.
STEP = 2.0**-24


def spread(*shape: int) -> Tensor:
    """Numbers of all sizes and both signs, the same every time."""
    generator = torch.Generator().manual_seed(1)
    exponents = torch.empty(shape).uniform_(-9, 2, generator=generator)
    return torch.randn(shape, generator=generator) * 10**exponents


def box_muller(words: np.ndarray, std: float) -> np.ndarray:
    """The formula in double precision, but for the uniform, which is rounded to float32.

    Args:
        words: (2, H) int32.
    """
    u = np.abs(words[0].astype(np.float32) * np.float32(2.0**-31) + np.float32(2.0**-32))
    radius = std * np.sqrt(-2 * np.log(u.astype(np.float64)))
    angle = words[1] * (math.pi * 2.0**-31)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)])


@pytest.mark.parametrize("std", [1.0, 0.003, 40.0])
@pytest.mark.parametrize("count", [1, 7, 100_003])
def test_normals_are_box_and_mullers(std: float, count: int) -> None:
    """Of a radius up to 6.7 std, a single-precision product may be off by a few steps."""
    words = np.random.default_rng(2).integers(-(2**31), 2**31, (2, count)).astype(np.int32)
    pairs = words.copy().view(np.float32)
    kernels.normals_(pairs, std)
    np.testing.assert_allclose(pairs, box_muller(words, std), rtol=0, atol=20 * STEP * std)


def test_normals_are_box_and_mullers_at_the_edges() -> None:
    """The smallest and largest radius, and angles where the nearest quarter changes."""
    ends = np.array([-(2**31), -(2**31) + 1, -(2**30), -1, 0, 1, 2**30, 2**31 - 1])
    turns = np.array([k * 2**29 + d for k in range(-4, 4) for d in (-1, 0, 1)])
    angles = np.clip(np.concatenate([ends, turns]), -(2**31), 2**31 - 1)
    words = np.stack(np.meshgrid(ends, angles)).reshape(2, -1).astype(np.int32)
    pairs = words.copy().view(np.float32)
    kernels.normals_(pairs, 1.0)
    np.testing.assert_allclose(pairs, box_muller(words, 1.0), rtol=0, atol=20 * STEP)


@pytest.mark.parametrize("shape", [(1,), (3, 5, 7), (100_003,)])
def test_tanh_is_the_hyperbolic_tangent(shape: tuple[int, ...]) -> None:
    x = spread(*shape)
    expected = x.double().tanh()
    found = x.clone()
    assert kernels.tanh_(found) is found
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2 * STEP)
    assert (found.sign() * x.sign() >= 0).all()


def test_tanh_of_extremes() -> None:
    x = torch.tensor([0.0, -0.0, torch.inf, -torch.inf, 50.0, -1e30, 1e-30])
    expected = torch.tensor([0.0, 0.0, 1.0, -1.0, 1.0, -1.0, 0.0])
    torch.testing.assert_close(kernels.tanh_(x.clone()), expected, rtol=0, atol=2 * STEP)
    assert kernels.tanh_(torch.tensor([torch.nan])).isnan()


@pytest.mark.parametrize(("shape", "classes"), [((1, 1), 1), ((2, 3), 2), ((3, 50), 100)])
def test_softmax_error_is_the_derivative_of_the_cross_entropy(
    shape: tuple[int, ...], classes: int
) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = 20 * torch.randn(*shape, classes, generator=generator)
    y = torch.randint(classes, shape, generator=generator)
    at = logits.double().requires_grad_()
    torch.nn.functional.cross_entropy(at.view(-1, classes), y.view(-1), reduction="sum").backward()
    found = logits.clone()
    assert kernels.softmax_error_(found, y) is found
    # Logits of some 60 are rounded to a step of 2^-19 before the exponential.
    torch.testing.assert_close(found.double(), at.grad, rtol=0, atol=64 * STEP)


def test_softmax_error_of_logits_far_apart() -> None:
    found = kernels.softmax_error_(torch.tensor([[1e30, -1e30, 0.0]]), torch.tensor([1]))
    torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, 0.0]]), rtol=0, atol=STEP)


@pytest.mark.parametrize(("shape", "widths"), [((1, 1), (1, 1, 1)), ((2, 50), (601, 128, 100))])
@pytest.mark.parametrize(
    ("clipping_norm", "automatic"), [(1e-3, False), (30.0, False), (1e6, False), (30.0, True)]
)
def test_clipping_is_that_of_the_formed_gradients(
    shape: tuple[int, ...], widths: tuple[int, ...], clipping_norm: float, automatic: bool
) -> None:
    """Also of weighted examples and of padding, whose bound is 0."""
    generator = torch.Generator().manual_seed(4)
    d, h, k = widths
    x, hidden = (torch.randn(*shape, width, generator=generator) for width in (d, h))
    delta1, delta2 = (torch.randn(*shape, width, generator=generator) for width in (h, k))
    bound = clipping_norm * torch.rand(shape, generator=generator)
    bound[0, 0] = 0
    with_one = torch.cat([hidden, torch.ones(*shape, 1)], -1)
    formed = torch.cat(
        [
            (x.double().unsqueeze(-1) * delta1.double().unsqueeze(-2)).flatten(-2),
            (with_one.double().unsqueeze(-1) * delta2.double().unsqueeze(-2)).flatten(-2),
        ],
        -1,
    )
    norm = torch.linalg.vector_norm(formed, dim=-1)
    divisor = norm + 0.01 if automatic else norm.clamp(min=clipping_norm)
    scale = (bound / divisor).unsqueeze(-1)
    expected = delta1 * scale, delta2 * scale
    least, added = (0.0, 0.01) if automatic else (clipping_norm, 0.0)
    kernels.clip_(x.square().sum(-1), delta1, hidden, delta2, bound, least, added)
    for found, scaled in zip((delta1, delta2), expected, strict=True):
        torch.testing.assert_close(found.double(), scaled, rtol=32 * STEP, atol=0)


def test_double_precision_stays_double() -> None:
    """By torch's operations, which the loops are thereby compared with once more."""
    generator = torch.Generator().manual_seed(5)
    x, hidden = (torch.randn(2, 9, width, generator=generator) for width in (30, 20))
    delta1, logits = (torch.randn(2, 9, width, generator=generator) for width in (20, 7))
    y = torch.randint(7, (2, 9), generator=generator)
    bound = torch.rand(2, 9, generator=generator)

    def all_of_them(kind: torch.dtype) -> list[Tensor]:
        outputs = [tensor.to(kind) for tensor in (hidden, logits, delta1)]
        own_hidden, delta2, own_delta1 = (tensor.clone() for tensor in outputs)
        kernels.tanh_(own_hidden)
        kernels.softmax_error_(delta2, y)
        kernels.clip_(
            x.to(kind).square().sum(-1), own_delta1, own_hidden, delta2, bound.to(kind), 3.0, 0.01
        )
        return [own_hidden, own_delta1, delta2]

    for single, double in zip(all_of_them(torch.float32), all_of_them(torch.float64), strict=True):
        assert double.dtype == torch.float64
        torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=1e-7)
    assert abs(float(kernels.tanh_(torch.tensor([0.5]).double())) - math.tanh(0.5)) < 1e-15


def test_an_empty_batch_is_left_empty() -> None:
    """Poisson samples can be empty."""
    assert kernels.tanh_(torch.empty(1, 0, 5)).shape == (1, 0, 5)
    y = torch.empty(1, 0, dtype=torch.int64)
    assert kernels.softmax_error_(torch.empty(1, 0, 5), y).shape == (1, 0, 5)
    none = torch.empty(1, 0, 5)
    kernels.clip_(torch.empty(1, 0), none, none, none.clone(), torch.empty(1, 0), 1.0, 0.0)


def test_what_is_not_contiguous_is_refused() -> None:
    """Rather than copied, and the result lost."""
    with pytest.raises(RuntimeError, match="view"):
        kernels.tanh_(torch.zeros(4, 6, 3)[:, ::2])
    with pytest.raises(RuntimeError, match="view"):
        kernels.softmax_error_(torch.zeros(4, 3, 2).transpose(0, 1), torch.zeros(3, 4).long())


COMPILE = """
import numpy as np
from mico.networks import compiled, kernels
pairs = np.ones((2, 1), np.float32)
kernels.normals_(pairs, 1.0)
print(compiled._folder, pairs.sum())
"""
FOLDERS = ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME")


@pytest.mark.slow
@pytest.mark.parametrize("place", [*FOLDERS, None])
def test_compiled_loops_are_kept_where_they_can_be(tmp_path: Path, place: str | None) -> None:
    """Where they cannot be, each process compiles its own."""
    copy, kept = tmp_path / "scripts", tmp_path / "kept"
    ignored = shutil.ignore_patterns("__pycache__", "attacks", "pages", "release", "workflow")
    shutil.copytree(SCRIPTS / "mico", copy / "mico", ignore=ignored)
    # In the way of a folder, for root too.
    (copy / "mico" / "networks" / "__pycache__").touch()
    environment = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(FOLDERS, "/dev/null") | ({place: str(kept)} if place else {})
    if place == "HOME":
        del environment["XDG_CACHE_HOME"]
    command = [sys.executable, "-c", COMPILE]
    found = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    folder, total = found.stdout.split()
    assert math.isfinite(float(total))
    if place:
        assert Path(folder).is_relative_to(kept)
        assert list(Path(folder).rglob("*.nbc"))
    else:
        assert folder == "None"
