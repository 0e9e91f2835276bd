"""One GPU for one process: of several on a machine, each job takes one that nobody holds."""

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS = 2.0  # between looks at who holds what

# Locks last as long as their files are open, which is until the process ends, however it does.
_held: list[int] = []


def take(names: Sequence[str], folder: Path | None = None) -> int:
    """Wait for a device that no other process has taken, and take it until this process ends.

    Args:
        names: of the devices, the same for all processes of the machine; at least one.
        folder: where their lock files are, by default the system's for temporary files.

    Returns:
        the device's position in `names`.
    """
    folder = folder or Path(tempfile.gettempdir())
    told = False
    while True:
        for position, name in enumerate(names):
            # To lock a file, somebody else's too, it is enough to read it.
            flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.open(folder / f"mico-{name}.lock", flags, 0o644)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
            else:
                _held.append(file)
                return position
        if not told:
            print(f"waiting for one of {len(names)} GPUs, all are taken", file=sys.stderr)
            told = True
        time.sleep(SECONDS)
