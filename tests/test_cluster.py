"""The cluster on paper: hand-made schedules, and the bounds that hold for any."""

import numpy as np
import pytest

from cluster import Job, schedule


def makespan(jobs, gpus, overhead=0.0, until_seen=0.0) -> float:
    return max(end for _, end in schedule(jobs, gpus, overhead, until_seen))


@pytest.mark.parametrize(("gpus", "expected"), [(1, 40), (2, 20), (3, 20), (4, 10), (9, 10)])
def test_equal_jobs_fill_the_gpus(gpus, expected) -> None:
    assert makespan([Job(10, True)] * 4, gpus) == expected


def test_jobs_without_a_gpu_go_side_by_side() -> None:
    assert makespan([Job(10, False)] * 7, 1) == 10


def test_chain_waits_for_what_is_before_it_and_until_that_is_seen() -> None:
    chain = [Job(10, False), Job(20, True, (0,)), Job(5, False, (1,))]
    assert schedule(chain, 1, 6, 100) == [(0, 16), (116, 142), (242, 253)]


def test_job_after_several_waits_for_the_last_of_them() -> None:
    jobs = [Job(10, True), Job(30, True), Job(1, False, (0, 1))]
    assert schedule(jobs, 2, 0, 0)[2] == (30, 31)


def test_gpu_goes_to_the_job_that_could_start_first() -> None:
    """The second has waited for the GPU since 0, the third only since 5."""
    jobs = [Job(10, True), Job(50, True), Job(5, False), Job(1, True, (2,))]
    assert [start for start, _ in schedule(jobs, 1, 0, 0)] == [0, 10, 0, 60]


def test_bounds_of_list_scheduling() -> None:
    """Graham 1966: at most the work per GPU and the longest chain one after the other."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        jobs = []
        for position in range(40):
            before = rng.choice(position, min(position, rng.integers(3)), replace=False)
            after = tuple(int(one) for one in before)
            jobs.append(Job(float(rng.uniform(1, 9)), True, after))
        chain = [0.0] * len(jobs)
        for position, job in enumerate(jobs):
            chain[position] = job.seconds + max((chain[one] for one in job.after), default=0)
        for gpus in (1, 3, 8):
            work = sum(job.seconds for job in jobs) / gpus
            time = makespan(jobs, gpus)
            assert max(work, *chain) <= time + 1e-9
            assert time <= work + max(chain) + 1e-9
            times = schedule(jobs, gpus, 0, 0)
            for start, _ in times:
                assert sum(other <= start < end for other, end in times) <= gpus
