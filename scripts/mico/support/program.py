"""How every stage's program begins and ends: numbers checked, bad input told in one clear line."""

import argparse
import math
import sys
from collections.abc import Callable

from mico.support.errors import InputError, shown
from mico.support.progress import clear_line


def run(main: Callable[[], None]) -> None:
    """Run a program; bad input and a failing disk become a line on standard error and status 1."""
    try:
        main()
    except InputError as error:
        _end(str(error))
    except MemoryError as error:
        _end(f"not enough memory ({error})" if str(error) else "not enough memory")
    except OSError as error:  # a disk that is full or read-only, a file that is not there
        where = "" if error.filename is None else f"{error.filename}: "
        _end(f"{where}{error.strerror or error}")


def _end(reason: str) -> None:
    print(f"error: {reason}{clear_line()}", file=sys.stderr)
    sys.exit(1)


def as_many(args: argparse.Namespace, first: str, *others: str) -> None:
    """Refuse arguments of which there are to be as many as of the first, and are not.

    Raises:
        InputError: names the argument.
    """
    expected = len(getattr(args, first))
    for name in others:
        found = len(getattr(args, name))
        if found != expected:
            raise InputError(f"--{name}: {found} given, expected {expected}, as many as --{first}")


def from_1(text: str) -> int:
    """The type of an argument that is an integer from 1."""
    return _from(1, text)


def from_0(text: str) -> int:
    """The type of an argument that is an integer from 0."""
    return _from(0, text)


def above_0(text: str) -> float:
    """The type of an argument that is a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected a number above 0")
    return number


def _from(least: int, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < least:
        raise argparse.ArgumentTypeError(f"{shown(text)}: expected an integer from {least}")
    return int(text)
