"""What a person sees at the end of a run in which jobs failed."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from mico.workflow import failures


@dataclass
class Job:
    """As Snakemake has a job, or a group of them."""

    name: str
    log: list[str]
    jobs: tuple["Job", ...] = ()

    @property
    def rule(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.name)

    def is_group(self) -> bool:
        return bool(self.jobs)


def test_ends_of_logs_are_shown(tmp_path: Path) -> None:
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("".join(f"line {i}\n" for i in range(100)) + "\n\nerror: bad.csv: row 1\n")
    second.write_text("progress 1\rprogress 2\rprogress 3\n")
    told = failures.summary(
        [Job("", [], (Job("train", [str(second)]),)), Job("dataset", [str(first)])]
    )
    assert told.splitlines() == [
        "Failed:",
        f"  dataset: {first}",
        *(f"    line {i}" for i in range(91, 100)),
        "    error: bad.csv: row 1",
        f"  train: {second}",
        "    progress 3",
    ]


def test_one_screen_however_much_failed(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    log.write_bytes(b"\xff" * 10**6 + b"\n" + b"x" * 10**6 + b"\n" + b"error: end\n")
    told = failures.summary([Job("train", [str(log)])] * 40)
    lines = told.splitlines()
    assert len(lines) == 1 + failures.NAMED + 2 * failures.JOBS + 1
    assert lines[-1] == "  and 20 more"
    assert max(map(len, lines)) < 600
    assert lines.count("    error: end") == failures.JOBS


def test_log_that_is_empty_or_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    assert failures.tail(tmp_path / "empty.log") == ["(empty)"]
    assert failures.tail(tmp_path / "absent") == ["(cannot be read: No such file or directory)"]
    assert failures.summary([Job("all", [])]).splitlines() == ["Failed:", "  all: it has no log"]
