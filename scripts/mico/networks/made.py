"""How many bytes of tensors a computation makes, and how many of them are there at a time.

They decide how many records, and how many models, go together. They depend on the operations and
their shapes alone, not on the machine.
"""

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what every operation puts out, and no view of what there is."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.bytes += sum(one.nbytes for one in tree_leaves(found) if isinstance(one, Tensor))
        return found


class _Peak(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the largest number of bytes that the tensors made hold at a time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes: int = 0
        self._held: int = 0
        self._storages: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in tree_leaves(found):
            storage = one.untyped_storage() if isinstance(one, Tensor) else None
            if storage is not None and storage._cdata not in self._storages:
                self._storages.add(storage._cdata)
                self._held += storage.nbytes()
                self.bytes = max(self.bytes, self._held)
                weakref.finalize(storage, self._free, storage._cdata, storage.nbytes())
        return found

    def _free(self, key: int, size: int) -> None:
        self._storages.discard(key)
        self._held -= size


def bytes_of(compute: Callable[[], object]) -> int:
    """The bytes of all tensors together that operations of a computation make.

    All of them are never there at once.
    """
    meter = _Meter()
    with meter:
        compute()
    return meter.bytes


def peak_of(compute: Callable[[], object]) -> int:
    """The bytes of the tensors that a computation makes and has at a time, at most."""
    peak = _Peak()
    with peak:
        compute()
    return peak.bytes
