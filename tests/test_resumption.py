"""A run that is killed and started again, and all that must make no difference to its bytes."""

import os
import shutil
import signal
import time
from pathlib import Path

from workflow_runs import TINY, products, snakemake, start, warm

# Kill where it hurts: while the first models, the release, the attacks, the scores are made; with
# its jobs, or so that these live on for a while, unattended.
MOMENTS = (
    ("private/S1/models", False),
    ("private/SD/models", True),
    ("challenge", True),
    ("predictions", False),
    ("entries", True),
)


def given_seeds(run: Path) -> str:
    """The seeds of a run, as a file that another may be given."""
    rows = ["scenario,model,seed_challenge,seed_training,seed_membership,seed_model"]
    for scenario in ("S1", "SD"):
        seeds = (run / "private" / scenario / "seeds.csv").read_text().splitlines()
        # Without the rows' checksums.
        rows += [f"{scenario},{row.rpartition(',')[0]}" for row in seeds[1:]]
    return "\n".join(rows) + "\n"


def test_killed_at_any_moment_and_started_again(checkout: Path, tiny: Path) -> None:
    """In other shards, on one core in the end, on a named device, with the seeds from a file."""
    (checkout / "given.csv").write_text(given_seeds(tiny))
    changes = ("run=killed", "seeds=given.csv", "shard_size=2", "device=cpu")
    run = (*TINY, "--config", *changes)
    results = checkout / "results" / "killed"
    for place, with_jobs in MOMENTS:
        process = start(checkout, "--cores", "2", *run, jobs=warm())
        deadline = time.monotonic() + 600
        while not (results / place).exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        if with_jobs:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
        # What `snakemake --unlock` removes; the test of SLURM calls that.
        shutil.rmtree(checkout / ".snakemake" / "locks", ignore_errors=True)
    snakemake(checkout, "--cores", "1", *run)
    assert products(results) == products(tiny)
    assert not list(results.rglob("*.partial"))
    # What killed jobs have left, or those that lived on, is not taken for somebody's own.
    snakemake(checkout, "--dry-run", *run)


def test_other_master_seed_gives_other_models(checkout: Path, tiny: Path) -> None:
    target = "results/reseeded/private/S1/models/0-2"
    snakemake(checkout, "--cores", "2", target, *TINY, "--config", "run=reseeded", "seeds=7")
    ours, theirs = checkout / target, tiny / "private/S1/models/0-2"
    names = [f"model_{model}/model.pt" for model in range(3)]
    assert sorted(str(path.relative_to(ours)) for path in ours.rglob("*.pt")) == names
    assert not [
        name for name in names if (ours / name).read_bytes() == (theirs / name).read_bytes()
    ]
