"""Outputs that appear whole or not at all: written beside their place, then renamed."""

import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write a file to; it is renamed to `path` if the block succeeds."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a new temporary directory; it is renamed to `path` if the block succeeds."""
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        move_directory(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def move_directory(source: Path, target: Path) -> None:
    """Rename a directory to `target`, in place of one that is there."""
    if target.exists():
        shutil.rmtree(target)
    os.rename(source, target)


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a second name of a file, or a copy where there can be none."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another device, too many links, a file system without them
        shutil.copyfile(source, target, follow_symlinks=False)


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """A hidden name beside `path` with this machine's name and process id; leftovers go.

    Leftovers are those of this machine's dead processes. Where another machine shares the file
    system, nobody here can tell whether its processes are dead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.{socket.gethostname()}."
    for leftover in path.parent.glob(f"{glob.escape(prefix)}*.partial"):
        process = leftover.name.removeprefix(prefix).removesuffix(".partial")
        if process.isdecimal() and (int(process) == os.getpid() or not _is_running(int(process))):
            remove(leftover)
    return path.parent / f"{prefix}{os.getpid()}.partial"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
