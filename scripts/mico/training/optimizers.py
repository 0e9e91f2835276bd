"""How weights are moved: the optimizers of torch.optim, and the learning rate of every step."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mico.challenge.recipe import Optimisation

# The kernels of torch.optim.Adam(fused=True) and AdamW, called directly: torch.optim itself would
# add two seconds of imports to every process and, for networks this small, a tenth to every step.
ADAM = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}


def slots(options: Optimisation) -> int:
    """How many tensors like the weights an optimizer keeps between steps."""
    return 2 if options.optimizer in ADAM else int(options.momentum > 0)


def update(
    options: Optimisation,
    weights: Tensor,
    gradient: Tensor,
    state: Sequence[Tensor],
    step: Tensor,
    learning_rate: float,
) -> None:
    """Move weights by a step, in place, as the optimizer of torch.optim with its defaults does.

    Adam of Kingma and Ba 2015, Algorithm 1; AdamW of Loshchilov and Hutter 2019, Algorithm 2.

    Args:
        gradient: of the shape of the weights; it may be overwritten.
        state: `slots` tensors of that shape, 0 before the first step; overwritten.
        step: the number of the step, from 1, as a float32 tensor; learning_rate: its own.
    """
    if options.optimizer == "sgd":
        _sgd(options, weights, gradient, state, learning_rate)
        return
    mean, square = state
    ADAM[options.optimizer](
        [weights],
        [gradient],
        [mean],
        [square],
        [],
        [step],
        lr=learning_rate,
        beta1=0.9,
        beta2=0.999,
        weight_decay=options.weight_decay,
        eps=1e-8,
        amsgrad=False,
        maximize=False,
    )


def _sgd(
    options: Optimisation,
    weights: Tensor,
    gradient: Tensor,
    state: Sequence[Tensor],
    learning_rate: float,
) -> None:
    if options.weight_decay:
        gradient.add_(weights, alpha=options.weight_decay)
    if options.momentum:
        (velocity,) = state
        velocity.mul_(options.momentum).add_(gradient)
        if options.nesterov:
            gradient.add_(velocity, alpha=options.momentum)
        else:
            gradient = velocity
    weights.add_(gradient, alpha=-learning_rate)


def learning_rate(options: Optimisation, steps: int, done: int) -> float:
    """The learning rate of a step.

    Args:
        steps: of an epoch; done: before this one, of the whole training.
    """
    rate = options.learning_rate
    if options.lr_schedule == "step":
        rate *= options.lr_decay ** (done // steps // options.lr_decay_epochs)
    rising = round(options.warmup_epochs * steps)
    if done < rising:
        return rate * (done + 1) / rising
    left = 1 - (done - rising) / (options.epochs * steps - rising)
    if options.lr_schedule == "linear":
        rate *= left
    elif options.lr_schedule == "cosine":
        rate *= (1 - math.cos(math.pi * left)) / 2
    return rate
