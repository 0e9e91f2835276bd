"""What every stage's program shares: one clear line for bad input, plain progress lines."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class InputError(ValueError):
    """Bad input from outside: the message names the file, row or key and what was expected."""


def run(main: Callable[[], None]) -> None:
    """Run a program; an `InputError` becomes one line on standard error and exit status 1."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def progress(items: Iterable[T], total: int, what: str, every: float = 10.0) -> Iterator[T]:
    """Yield `items`, printing how far it is about every `every` seconds."""
    start = last = time.monotonic()
    done = 0
    for item in items:
        now = time.monotonic()
        if done and now - last >= every:
            left = (now - start) / done * (total - done)
            print(f"{what}: {done} of {total}, {left:.0f} s left", file=sys.stderr, flush=True)
            last = now
        yield item
        done += 1
    seconds = time.monotonic() - start
    print(f"{what}: {done} of {total} in {seconds:.1f} s", file=sys.stderr, flush=True)
