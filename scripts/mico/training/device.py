"""The device that tensors live on, and how a process of one thread computes."""

import ctypes
import gc

import torch

from mico.support.errors import InputError
from mico.training import lease


def choose(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`, and this process set up for reproducible work.

    One thread: jobs run side by side, and a sum's rounding must not depend on how many threads
    share it. Denormals are flushed to zero: an overfitted model's gradients are full of them, and
    each costs a CPU a hundred ordinary operations. Memory that a step frees is kept for the next.

    A GPU is taken for this process alone: the first free one of those that it may see
    (CUDA_VISIBLE_DEVICES), for which it waits if need be.

    Raises:
        InputError: `cuda` on a machine without one.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _keep_freed_memory()
    # What torch's import leaves behind lives as long as the process: no use looking for garbage.
    gc.freeze()
    device = available(name)
    if device.type == "cpu":
        return device
    gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return torch.device("cuda", lease.take([str(gpu.uuid) for gpu in gpus]))


def available(name: str) -> torch.device:
    """Whether `auto`, `cpu` or `cuda` means the CPU or a GPU.

    Raises:
        InputError: another name, or `cuda` on a machine without one.
    """
    if name not in (known := ("auto", "cpu", "cuda")):
        raise InputError(f"device {name!r}: expected one of {', '.join(known)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: torch sees no GPU on this machine; use auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _keep_freed_memory() -> None:
    """Have glibc reuse blocks of megabytes rather than return them to the system.

    Otherwise a step's tensors are fresh pages every time, and clearing those costs a tenth of it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        trim_threshold, mmap_threshold = -1, -3  # of malloc.h
        mallopt(trim_threshold, 1 << 30)
        mallopt(mmap_threshold, 32 << 20)
