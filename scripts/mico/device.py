"""Where tensors live, and how a process that uses one thread should compute."""

import torch

from mico.command_line import InputError


def choose(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, and this process set up for reproducible work.

    One thread: jobs run side by side, and a sum's rounding must not depend on how many threads
    share it. Denormals are flushed to zero: an overfitted model's gradients are full of them, and
    each costs a CPU a hundred ordinary operations.

    Raises:
        InputError: `cuda` on a machine without one.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no GPU on this machine; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
