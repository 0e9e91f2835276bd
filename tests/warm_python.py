"""A Python that has the large libraries in memory already: for tests that start many programs.

Importing torch takes a program two seconds, most of a small job's time, and Snakemake takes itself
one. `serve` imports the libraries once and then forks for every program that the stand-in `python`
asks for; that has its own arguments, environment, folder and streams. Of this project nothing is
imported before, so that a test may edit it.
"""

import contextlib
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

# Without the accountants, whose libraries change how Snakemake logs.
LIBRARIES = (
    *("torch", "numba", "numpy", "pandas", "scipy.stats", "sklearn.linear_model", "pyarrow.csv"),
    *("pydantic", "cryptography", "jinja2", "matplotlib.figure", "matplotlib.backends.backend_svg"),
    "snakemake.cli",
)

# What stands for `python`: it hands over, and waits for the program's end. If it is killed, the
# server sees that its connection is closed, and kills the program.
STAND_IN = """
#!{python} -SEI
import os, socket, sys
if not (sys.argv[1:2] == ["-m"] or sys.argv[1:] and sys.argv[1].endswith(".py")):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
told = [os.getcwd(), str(len(sys.argv) - 1), *sys.argv[1:]]
told += [f"{{name}}={{value}}" for name, value in os.environ.items()]
content = "\\0".join(told).encode("utf-8", "surrogateescape")
socket.send_fds(connection, [len(content).to_bytes(8, "big")], [0, 1, 2])
connection.sendall(content)
status = connection.recv(1)
sys.exit(status[0] if status else 1)
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Path]:
    """Serve; gives the folder with the stand-in, for the front of PATH."""
    address = folder / "socket"
    stand_in = folder / "python"
    text = STAND_IN.format(python=sys.executable, address=str(address))
    stand_in.write_text(text.lstrip(), encoding="utf-8")
    stand_in.chmod(0o755)
    # What its libraries read when they are imported, as the rules set it for their jobs.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, __file__, str(address)]
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        while not address.exists():
            assert server.poll() is None
            time.sleep(0.05)
        yield folder
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def serve(address: str) -> None:
    """Fork a program for every connection, until killed."""
    for name in LIBRARIES:
        import_module(name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{address}.new")
    listening.listen(64)
    os.rename(f"{address}.new", address)
    ended, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    chosen = selectors.DefaultSelector()
    chosen.register(listening, selectors.EVENT_READ)
    chosen.register(ended, selectors.EVENT_READ)
    programs: dict[int, socket.socket] = {}
    while True:
        for key, _ in chosen.select():
            if key.fileobj is listening:
                connection, _ = listening.accept()
                child = _start(connection)
                programs[child] = connection
                chosen.register(connection, selectors.EVENT_READ, child)
            elif key.fileobj == ended:
                os.read(ended, 4096)
                while True:
                    try:
                        child, status = os.waitpid(-1, os.WNOHANG)
                    except ChildProcessError:
                        break
                    if not child:
                        break
                    connection = programs.pop(child)
                    chosen.unregister(connection)
                    with contextlib.suppress(OSError):
                        connection.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
                    connection.close()
            elif key.data in programs:  # the stand-in was killed
                with contextlib.suppress(ProcessLookupError):
                    os.kill(key.data, signal.SIGKILL)


def _start(connection: socket.socket) -> int:
    head, streams, *_ = socket.recv_fds(connection, 8, 3)
    size = int.from_bytes(head, "big")
    content = b""
    while len(content) < size:
        content += connection.recv(size - len(content))
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        return child
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    folder, count, *rest = content.decode("utf-8", "surrogateescape").split("\0")
    os.chdir(folder)
    sys.argv = rest[: int(count)]
    os.environ.clear()
    os.environ.update(pair.split("=", 1) for pair in rest[int(count) :])
    status = 0
    try:
        if sys.argv[0] == "-m":
            sys.path[0], module = folder, sys.argv.pop(1)
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        else:
            sys.path[0] = str(Path(sys.argv[0]).parent)
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
