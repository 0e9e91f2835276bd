"""How every stage's program ends on bad input: with one clear line and exit status 1."""

import sys
from collections.abc import Callable

from mico.support.errors import InputError
from mico.support.progress import clear_line


def run(main: Callable[[], None]) -> None:
    """Run a program; an `InputError` becomes one line on standard error and exit status 1."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}{clear_line()}", file=sys.stderr)
        sys.exit(1)
