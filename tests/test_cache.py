"""Workflows share downloads by Snakemake's cache, and nothing else of a run goes there."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import yaml
from workflow_runs import ROOT, snakemake

RECORDS = "".join(f"{1 + i % 3},{i % 2},{i // 2 % 2},{i // 4 % 2}\n" for i in range(60)).encode()
# In the place of the program: what a server would give, and a line for each time that it is asked.
STAND_IN = """
import sys
from pathlib import Path
Path(sys.argv[sys.argv.index("--output") + 1]).write_bytes({content!r})
with open({log!r}, "a") as log:
    print("asked", file=log)
"""


def test_no_other_rule_is_marked() -> None:
    rules = {path.name: path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")}
    marked = {
        name
        for text in rules.values()
        for name, body in re.findall(r"^rule (\w+):\n((?:(?:    .*)?\n)*)", text, re.M)
        if "    cache:" in body
    }
    assert marked == {"download"}


def test_a_file_is_downloaded_once(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each of three runs that begin without it; two want the same file."""
    log = tmp_path / "log"
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("SNAKEMAKE_OUTPUT_CACHE", str(cache))
    prepare(checkout, "first", log, RECORDS)
    assert "eligible for caching" not in snakemake(checkout, *command("first"), "--cache")
    (kept,) = cache.iterdir()
    assert kept.read_bytes() == RECORDS
    prepare(checkout, "second", log, RECORDS)
    snakemake(checkout, *command("second"), "--cache")
    assert log.read_text().splitlines() == ["asked"]
    assert (checkout / "resources/bits/bits.csv").resolve() == kept
    features = [checkout / f"results/{run}/data/bits/features.npy" for run in ("first", "second")]
    assert features[0].read_bytes() == features[1].read_bytes()
    assert "Nothing to be done" in snakemake(checkout, *command("second"))  # nor without the cache
    prepare(checkout, "third", log, RECORDS + b"\n")
    snakemake(checkout, *command("third"), "--cache")
    assert len(log.read_text().splitlines()) == len(list(cache.iterdir())) == 2


def test_without_the_option_nothing_is_said_or_kept(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNAKEMAKE_OUTPUT_CACHE", raising=False)
    prepare(checkout, "uncached", tmp_path / "log", RECORDS)
    assert "cach" not in snakemake(checkout, *command("uncached")).replace("uncached", "")
    assert not (checkout / "resources/bits/bits.csv").is_symlink()
    # Asked for without a folder, it is left out, and Snakemake says so.
    prepare(checkout, "homeless", tmp_path / "log", RECORDS)
    told = snakemake(checkout, *command("homeless"), "--cache")
    assert "no cache location specified" in told
    assert not (checkout / "resources/bits/bits.csv").is_symlink()


def prepare(checkout: Path, run: str, log: Path, content: bytes) -> None:
    """A run whose data set is to be downloaded, which is made up."""
    shutil.rmtree(checkout / "resources", ignore_errors=True)
    text = STAND_IN.format(content=content, log=str(log))
    (checkout / "scripts/download.py").write_text(text)
    bits = {"format": "labelled-bits", "records": 60, "features": 3, "classes": 3}
    bits |= {"url": "https://example.org/bits.csv", "sha256": hashlib.sha256(content).hexdigest()}
    scenario = {"id": "B", "from": "T1", "data": "bits", "n": 20, "m": 5}
    config = {"run": run, "scenarios": [scenario], "datasets": {"bits": bits}}
    (checkout / f"{run}.yaml").write_text(yaml.safe_dump(config))


def command(run: str) -> tuple[str, ...]:
    return (f"results/{run}/data/bits", "--cores", "1", "--configfile", f"{run}.yaml")
