"""What is told at the end of a run in which jobs failed: which they are, and how their logs end."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

LINES = 10  # of a log's end
WIDTH = 500  # characters of a line
JOBS = 5  # whose logs are shown
NAMED = 20  # jobs that are named
BYTES = 1 << 16  # of a log's end that are read


def summary(jobs: Iterable[Any]) -> str:
    """What is said of failed jobs, which are Snakemake's; SLURM runs some in groups."""
    lines = ["Failed:"]
    single = [one for job in jobs for one in (job.jobs if job.is_group() else [job])]
    failed = sorted((one.rule.name, list(map(str, one.log))) for one in single)
    for number, (rule, logs) in enumerate(failed[:NAMED]):
        lines.append(f"  {rule}: {', '.join(logs) or 'it has no log'}")
        if number < JOBS:
            lines += [f"    {line}" for log in logs for line in tail(Path(log))]
    if len(failed) > NAMED:
        lines.append(f"  and {len(failed) - NAMED} more")
    return "\n".join(lines)


def tail(log: Path) -> list[str]:
    """The last lines of a log, which may not be there or hold anything."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return [f"(cannot be read: {error.strerror})"]
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line[-WIDTH:] for line in lines if line][-LINES:] or ["(empty)"]
