"""Progress of a long task, on standard error."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def clear_line() -> str:
    """The characters that clear a terminal's line from here on; none where there is no terminal."""
    return "\x1b[K" if sys.stderr.isatty() else ""


class Meter:
    """Says how far a long task is: a line that renews itself at a terminal, else now and then one.

    Args:
        what: the task's name; total: its size in any unit.
        done: how much of it was done before, which says nothing about how fast it goes now.
    """

    def __init__(self, what: str, total: float, done: float = 0) -> None:
        self._what, self._total, self._before = what, total, done
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()
        self._every = 0.2 if self._terminal else 10.0
        self._next = self._start + self._every

    def update(self, done: float, detail: Callable[[float], str]) -> None:
        """Print if it is time to; `detail` is given how much was done a second."""
        now = time.monotonic()
        if now < self._next or done <= self._before:
            return
        self._next = now + self._every
        rate = (done - self._before) / (now - self._start)
        left = duration((self._total - done) / rate)
        self._print(f"{self._what}: {detail(rate)}, {left} left", "\r" if self._terminal else "\n")

    def finish(self, detail: str) -> None:
        """Print the last line, with the time it took."""
        self._print(f"{self._what}: {detail} in {duration(time.monotonic() - self._start)}", "\n")

    def _print(self, line: str, end: str) -> None:
        print(line + clear_line(), end=end, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as a person would say them: 4.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    minutes, hours = seconds // 60, seconds // 3600
    if not minutes:
        return f"{seconds} s"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {seconds % 60} s"


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `items`, saying how far it is."""
    meter = Meter(what, total)
    done = 0
    for item in items:
        yield item
        done += 1
        meter.update(done, lambda rate: f"{done} of {total}")  # noqa: B023
    meter.finish(f"{done} of {total}")
