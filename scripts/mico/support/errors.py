"""The error of bad input, which every room raises and every program turns into one line."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

LONGEST = 80  # characters of a value that a message shows
LONGEST_MESSAGE = 2_000  # what is longer holds what somebody's file holds
AGAIN = "delete it and run again"


class InputError(ValueError):
    """Bad input from outside: the message names the file, row or key and what was expected."""

    def __str__(self) -> str:
        # The name of a file may hold new lines, and what a terminal obeys.
        whole = super().__str__()
        text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in whole)
        half = LONGEST_MESSAGE // 2
        # It begins with the place and ends with what was expected.
        return text if len(text) <= LONGEST_MESSAGE else f"{text[:half]} ... {text[-half:]}"


def shown(value: object) -> str:
    """A value from outside as messages show it: on one line, and of bounded length."""
    # A text may be far longer than what is shown of it.
    text = repr(value[: LONGEST + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """The name that somebody may have meant, or else all that there are."""
    names = list(known)
    close = get_close_matches(str(name)[:LONGEST], names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """What is said of a key that there is not."""
    return f"unknown key {shown(key)}, {did_you_mean(key, known)}"


def damaged(path: Path, reason: object, remedy: str = AGAIN) -> InputError:
    """The error of a file of the run that is not as it was written.

    Args:
        remedy: what to do about it.
    """
    return InputError(f"{path}: damaged ({reason}); {remedy}")
