"""The error of bad input, which every room raises and every program turns into one line."""


class InputError(ValueError):
    """Bad input from outside: the message names the file, row or key and what was expected."""
