"""The optimizers and learning rates against those of torch.optim."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler

from mico.challenge.recipe import TrainingOptions
from mico.training.optimizers import learning_rate, slots, update

STEPS, RATE = 30, 0.05
# Thirty steps of float32 (rounding 6e-8) on weights of about 1 were measured to differ by 4e-7; a
# wrong factor or order moves weights by a good part of the rate.
ROUNDING = 2e-6
BASE = TrainingOptions(epochs=1, batch_size=1, optimizer="sgd", learning_rate=RATE)


def moved(options: TrainingOptions, start: Tensor, gradients: Tensor) -> Tensor:
    """Weights after the steps of these gradients, with a rate that falls."""
    weights = start.clone()
    state = weights.new_zeros(slots(options), *weights.shape)
    for number, gradient in enumerate(gradients):
        step = torch.tensor(number + 1.0)
        update(options, weights, gradient.clone(), state.unbind(), step, RATE * 0.97**number)
    return weights


def moved_by_torch(options: TrainingOptions, start: Tensor, gradients: Tensor) -> Tensor:
    parameter = nn.Parameter(start.clone())
    given: dict[str, Any] = {"lr": RATE, "weight_decay": options.weight_decay}
    if options.optimizer == "sgd":
        given |= {"momentum": options.momentum, "nesterov": options.nesterov}
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = kinds[options.optimizer]([parameter], **given)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.97)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        schedule.step()
    return parameter.detach()


@pytest.fixture
def start() -> Tensor:
    return torch.randn(2, 40, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def gradients() -> Tensor:
    return torch.randn(STEPS, 2, 40, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        ("sgd", {}),
        ("sgd", {"weight_decay": 0.1}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "weight_decay": 0.1}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("adam", {}),
        ("adam", {"weight_decay": 0.1}),
        ("adamw", {}),
        ("adamw", {"weight_decay": 0.1}),
    ],
)
def test_weights_are_moved_as_by_torch(
    start: Tensor, gradients: Tensor, optimizer: str, changes: dict[str, Any]
) -> None:
    options = replace(BASE, optimizer=optimizer, **changes)
    found = moved(options, start, gradients)
    expected = moved_by_torch(options, start, gradients)
    assert float((found - expected).abs().max()) < ROUNDING
    # Each option matters.
    for name in changes.keys() - {"momentum" if "nesterov" in changes else ""}:
        without = replace(options, **{name: getattr(BASE, name)})
        assert float((moved(without, start, gradients) - found).abs().max()) > 1000 * ROUNDING


def test_weight_decay_is_decoupled_with_adamw_alone(start: Tensor, gradients: Tensor) -> None:
    """With the gradient 0, AdamW takes a share of each weight, and Adam a step of the rate."""
    options = replace(BASE, optimizer="adamw", weight_decay=0.1)
    nothing = torch.zeros(1, 2, 40)
    torch.testing.assert_close(moved(options, start, nothing), start * (1 - RATE * 0.1))
    coupled = moved(replace(options, optimizer="adam"), start, nothing)
    torch.testing.assert_close(coupled, start - RATE * start.sign(), atol=1e-5, rtol=0)


def test_adamw_without_weight_decay_is_adam(start: Tensor, gradients: Tensor) -> None:
    """To the bit."""
    found = (moved(replace(BASE, optimizer=one), start, gradients) for one in ("adam", "adamw"))
    assert torch.equal(*found)


# An epoch has 4 steps, a training 40; the warm-up of 1.75 epochs has 7.
PER_EPOCH, EPOCHS, RISING = 4, 10, 7


def rates(**changes: Any) -> list[float]:
    options = replace(BASE, epochs=EPOCHS, **changes)
    return [learning_rate(options, PER_EPOCH, done) for done in range(EPOCHS * PER_EPOCH)]


def rates_by_torch(schedule: str, rising: int, decay: float, decay_epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)
    left = EPOCHS * PER_EPOCH - rising
    after: dict[str, Any] = {
        "step": lambda: lr_scheduler.StepLR(optimizer, PER_EPOCH * decay_epochs, decay),
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, 1, 0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, left),
        "linear": lambda: lr_scheduler.LinearLR(optimizer, 1, 0, left),
    }
    own = after[schedule]()
    if rising:
        rise = lr_scheduler.LinearLR(optimizer, 1 / rising, 1, rising - 1)
        if schedule == "step":  # whose epochs count from the beginning
            own = lr_scheduler.ChainedScheduler([rise, own])
        else:
            own = lr_scheduler.SequentialLR(optimizer, [rise, own], [rising])
    found = []
    for _ in range(EPOCHS * PER_EPOCH):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        own.step()
    return found


@pytest.mark.filterwarnings("ignore:The epoch parameter in:UserWarning")
@pytest.mark.parametrize("rising", [0, RISING])
@pytest.mark.parametrize(
    ("schedule", "decay", "decay_epochs"),
    [
        ("step", 0.5, 3),
        ("step", 0.9, 1),
        ("constant", 1.0, 1),
        ("cosine", 1.0, 1),
        ("linear", 1.0, 1),
    ],
)
def test_learning_rates_are_torchs(
    schedule: str, decay: float, decay_epochs: int, rising: int
) -> None:
    found = rates(
        lr_schedule=schedule,
        lr_decay=decay,
        lr_decay_epochs=decay_epochs,
        warmup_epochs=rising / PER_EPOCH,
    )
    assert found == pytest.approx(rates_by_torch(schedule, rising, decay, decay_epochs), rel=1e-9)
    assert min(found) > 0
    assert max(found) == pytest.approx(RATE * (decay if rising and decay_epochs == 1 else 1))


def test_without_a_schedule_the_rate_is_the_published_one_to_the_bit() -> None:
    """Its steps are those of whole epochs."""
    found = rates(lr_decay=0.96, lr_decay_epochs=3)
    assert found == [RATE * 0.96 ** (done // PER_EPOCH // 3) for done in range(40)]


def test_a_warm_up_may_be_a_single_step() -> None:
    assert rates(warmup_epochs=0.25) == rates()
    assert rates(warmup_epochs=0.25, lr_schedule="linear")[:2] == [RATE, RATE]


def test_the_last_step_of_a_warm_up_that_fills_training_has_the_whole_rate() -> None:
    """9.99 epochs of 10 are all 40 steps."""
    found = rates(warmup_epochs=9.99, lr_schedule="cosine")
    assert found == pytest.approx([RATE * (done + 1) / 40 for done in range(40)])
