"""Progress lines: plain and rare in a log, renewed in place at a terminal; durations in words."""

import io
from itertools import pairwise
from types import SimpleNamespace

import pytest

from mico.support import progress as of_progress
from mico.support.progress import Meter, duration, progress


class Clock:
    """Stands in for the module `time`: its time passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A terminal: keeps what is written to it."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """The lines as a person sees them: \\r returns, \\x1b[K erases what is to the right."""
        lines, column = [""], 0
        text = self.getvalue().replace("\x1b[K", "\x1b")
        for character in text:
            if character == "\n":
                lines.append("")
            elif character == "\x1b":
                lines[-1] = lines[-1][:column]
            elif character != "\r":
                lines[-1] = lines[-1][:column] + character + lines[-1][column + 1 :]
            column = 0 if character in "\r\n" else column + (character != "\x1b")
        return lines


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(of_progress, "time", clock)
    return clock


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    log = io.StringIO()
    monkeypatch.setattr(of_progress, "sys", SimpleNamespace(stderr=log))
    return log


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    terminal = Terminal()
    monkeypatch.setattr(of_progress, "sys", SimpleNamespace(stderr=terminal))
    return terminal


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (4.21, "4.2 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (60, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (3600, "1 h 0 min"),
        (7199.6, "2 h 0 min"),
        (2 * 3600 + 5 * 60 + 59, "2 h 5 min"),
        (100 * 3600, "100 h 0 min"),
    ],
)
def test_duration_is_said_as_a_person_would(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_log_gets_a_plain_line_every_ten_seconds(clock: Clock, log: io.StringIO) -> None:
    meter = Meter("models", 100)
    for second in range(1, 101):
        clock.now += 1
        meter.update(second, lambda rate: f"{second} of 100, {rate:.2f}/s")  # noqa: B023
    meter.finish("100 of 100")
    lines = log.getvalue().split("\n")
    assert lines[0] == "models: 10 of 100, 1.00/s, 1 min 30 s left"
    assert lines[8] == "models: 90 of 100, 1.00/s, 10 s left"
    assert lines[-2:] == ["models: 100 of 100 in 1 min 40 s", ""]
    # One each for 10, 20, ..., 100 s, and the last.
    assert len(lines) == 10 + 2
    assert log.getvalue().replace("\n", "").isprintable()


@pytest.mark.parametrize("step", [0.01, 3.0, 9.0, 25.0])
def test_lines_in_a_log_are_ten_seconds_apart_whatever_happens_between(
    clock: Clock, log: io.StringIO, step: float
) -> None:
    """And none is later than it must be: at the first update after ten seconds."""
    meter = Meter("rows", 1e9)
    times, written, count = [clock.now], 0, 0
    while clock.now < 1100:
        clock.now += step
        count += 1
        meter.update(count, lambda rate: "")
        if len(log.getvalue()) > written:
            written = len(log.getvalue())
            times.append(clock.now)
    gaps = [after - before for before, after in pairwise(times)]
    assert len(gaps) >= 4
    # The sums of steps are rounded by less than 1e-6.
    assert min(gaps) >= 10 - 1e-6
    assert max(gaps) < 10 + step + 1e-6


def test_a_terminal_gets_one_line_that_renews_itself(clock: Clock, terminal: Terminal) -> None:
    meter = Meter("models", 100)
    assert terminal.getvalue() == ""
    clock.now += 1
    meter.update(25, lambda rate: f"25 of 100, {rate:,.0f} records/s")
    assert terminal.screen() == ["models: 25 of 100, 25 records/s, 3.0 s left"]
    assert terminal.getvalue().endswith("\r")
    clock.now += 0.1  # too early
    meter.update(26, lambda rate: "26 of 100")
    assert terminal.screen() == ["models: 25 of 100, 25 records/s, 3.0 s left"]
    clock.now += 0.9
    meter.update(50, lambda rate: "50")
    assert terminal.screen() == ["models: 50, 2.0 s left"]
    clock.now += 1
    meter.finish("100 of 100")
    assert terminal.screen() == ["models: 100 of 100 in 3.0 s", ""]
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().endswith("\n")


def test_a_terminal_is_written_to_at_most_five_times_a_second(
    clock: Clock, terminal: Terminal
) -> None:
    meter = Meter("rows", 1000)
    for count in range(1, 1000):
        clock.now += 1 / 128  # a sum without rounding
        meter.update(count, lambda rate: "")
    # Every 26th update, the first later than 0.2 s after the one before.
    assert terminal.getvalue().count("\r") == 999 // 26


def test_what_was_done_before_says_nothing_of_the_rate(clock: Clock, log: io.StringIO) -> None:
    meter = Meter("models", 100, done=60)
    clock.now += 30
    meter.update(60, lambda rate: "nothing yet")
    assert log.getvalue() == ""
    clock.now += 10
    meter.update(80, lambda rate: f"80 of 100, {rate:.2f}/s")
    # Twenty in forty seconds.
    assert log.getvalue() == "models: 80 of 100, 0.50/s, 40 s left\n"
    clock.now += 40
    meter.finish("100 of 100")
    assert log.getvalue().splitlines()[1:] == ["models: 100 of 100 in 1 min 20 s"]


def test_progress_hands_on_every_item_and_counts_those_that_are_done(
    clock: Clock, log: io.StringIO
) -> None:
    seen = []
    for item in progress("abcd", 4, "letters"):
        seen.append(item)
        clock.now += 6
    assert seen == list("abcd")
    assert log.getvalue().splitlines() == [
        "letters: 2 of 4, 12 s left",
        "letters: 4 of 4, 0.0 s left",
        "letters: 4 of 4 in 24 s",
    ]


def test_progress_of_nothing(clock: Clock, terminal: Terminal) -> None:
    assert list(progress([], 0, "letters")) == []
    assert terminal.screen() == ["letters: 0 of 0 in 0.0 s", ""]
