"""One GPU for one process: of several on a machine, each job takes one that nobody holds.

A lease is the name of a socket, which the kernel gives to one process at a time, whoever's it is.
It is no file: no folder has to be shared, and no other user's permissions or umask matter.
Containers share these names where they share the machine's network.
"""

import errno
import socket
import sys
import time
from collections.abc import Sequence

SECONDS = 2.0  # between looks at who holds what

# Names are held as long as their sockets are open: until the process ends, however it does.
_held: list[socket.socket] = []


def take(names: Sequence[str]) -> int:
    """Wait for a device that no other process has taken, and take it until this process ends.

    Args:
        names: of the devices, the same for all processes of the machine; at least one.

    Returns:
        the device's position in `names`.
    """
    told = False
    while True:
        for position, name in enumerate(names):
            # Nobody listens to it. A name that begins with a zero byte is in no folder.
            lease = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                lease.bind(f"\0mico-{name}")
            except OSError as error:
                lease.close()
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                _held.append(lease)
                return position
        if not told:
            print(f"waiting for one of {len(names)} GPUs, all are taken", file=sys.stderr)
            told = True
        time.sleep(SECONDS)
