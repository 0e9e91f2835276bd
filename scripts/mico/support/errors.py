"""The error of bad input, which every room raises and every program turns into one line."""

from pathlib import Path


class InputError(ValueError):
    """Bad input from outside: the message names the file, row or key and what was expected."""


AGAIN = "delete it and run again"


def damaged(path: Path, reason: object, remedy: str = AGAIN) -> InputError:
    """The error of a file of the run that is not as it was written.

    Args:
        remedy: what to do about it.
    """
    return InputError(f"{path}: damaged ({reason}); {remedy}")
