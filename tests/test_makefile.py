"""`make help` tells of every target, with no more than every system has."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_help_tells_of_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = re.search(r"^\.PHONY: (.*)", text, re.M)
    assert declared
    found = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    told = dict(re.findall(r"^([a-z-]+) {2,}(\S.*)$", found.stdout, re.M))
    assert sorted(told) == sorted(declared[1].split())
    assert "column" not in text  # which a small system has not
