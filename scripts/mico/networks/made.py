"""How many bytes of tensors a computation makes: what decides how many records go at a time."""

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


def bytes_of(compute: Callable[[], object]) -> int:
    """The bytes of all tensors together that operations of a computation make.

    They depend on the operations and their shapes alone, not on the machine. All of them are never
    there at once.
    """
    meter = _Meter()
    with meter:
        compute()
    return meter.bytes
