"""A cluster on paper: when a run would end on so many GPUs, from what its jobs take."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """A scheduler's job: how long it runs, on what, and after which others."""

    seconds: float
    gpu: bool
    after: tuple[int, ...] = ()  # the jobs that must have ended, by position


def schedule(
    jobs: Sequence[Job], gpus: int, overhead: float, until_seen: float
) -> list[tuple[float, float]]:
    """When each job starts and ends, in seconds.

    Jobs that use a GPU take the first that is free, in the order in which they can start; there are
    CPUs for all others.

    Args:
        overhead: of every job, in which it holds what it uses and computes nothing.
        until_seen: between the end of a job and the moment at which those after it can start.
    """
    waiting = [len(job.after) for job in jobs]
    followers: list[list[int]] = [[] for _ in jobs]
    for position, job in enumerate(jobs):
        for other in job.after:
            followers[other].append(position)
    # No job becomes ready before one that is taken from here, so the order is that of time.
    ready = [(0.0, position) for position, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    free = [0.0] * gpus
    times = [(0.0, 0.0)] * len(jobs)
    while ready:
        now, position = heapq.heappop(ready)
        job = jobs[position]
        start = max(now, heapq.heappop(free)) if job.gpu else now
        end = start + overhead + job.seconds
        if job.gpu:
            heapq.heappush(free, end)
        times[position] = (start, end)
        for follower in followers[position]:
            waiting[follower] -= 1
            if not waiting[follower]:
                seen = max(times[other][1] for other in jobs[follower].after) + until_seen
                heapq.heappush(ready, (seen, follower))
    return times
