"""Outputs that appear whole or not at all: written beside their place, then renamed."""

import errno
import glob
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mico.support.errors import InputError, shown
from mico.support.private import TIMESTAMP

ROOM = 1 << 20  # bytes; where fewer are free, a disk counts as full


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write a file to; it is renamed to `path` if the block succeeds.

    Raises:
        InputError: it cannot be written there: the disk is full, or the folder read-only, or what
            is there is no plain file, such as a device, which a name for it would put an end to.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no plain file, expected one, or none")
    temporary: Path | None = None
    try:
        temporary = _temporary(path)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        _explain(error, path, temporary)
        raise
    finally:
        if temporary:
            with suppress(OSError):  # of which another error tells
                temporary.unlink()


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a new temporary directory; it is renamed to `path` if the block succeeds.

    Raises:
        InputError: as for `atomic_file`.
    """
    temporary: Path | None = None
    try:
        temporary = _temporary(path)
        temporary.mkdir()
        yield temporary
        move_directory(temporary, path)
    except (OSError, RuntimeError) as error:
        _explain(error, path, temporary)
        raise
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def move_directory(source: Path, target: Path) -> None:
    """Rename a directory to `target`, in place of an earlier one that is there, as marked as it.

    Raises:
        InputError: what is there holds something that the new one does not: it is somebody's own.
    """
    if target.exists():
        strange = set(os.listdir(target)) - {TIMESTAMP, *os.listdir(source)}
        if strange:
            raise InputError(
                f"{target}: not replaced, since it holds {shown(min(strange))}; expected a folder "
                "that is not there, or an earlier output"
            )
        if (target / TIMESTAMP).exists():
            # A job that a killed run left alone ends after the next run has made its output.
            (source / TIMESTAMP).touch()
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


def _explain(error: OSError | RuntimeError, path: Path, temporary: Path | None) -> None:
    """Say of an error of writing an output which one it is, and why; others are let alone.

    A failed write names no file. numpy and torch do not even say that the disk is full: what was
    written until then still lies there.
    """
    reason = None
    if not isinstance(error, OSError) or error.errno is None:
        reason = _full(path)
    elif isinstance(error, FileNotFoundError):
        pass  # the block wrote nothing, or something else is missing
    elif error.filename is None:
        reason = error.strerror
    else:
        about = Path(os.fsdecode(error.filename))
        if path.is_relative_to(about) or (temporary and about.is_relative_to(temporary)):
            reason = error.strerror
    if reason:
        raise InputError(f"{path}: cannot be written ({reason})") from None


def _full(path: Path) -> str | None:
    """What the system says of a full disk, if that of an output is."""
    try:
        full = shutil.disk_usage(path.parent).free < ROOM
    except OSError:
        return None
    return os.strerror(errno.ENOSPC) if full else None


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
