"""Run a stage's program: in this process, which takes no time, or in one of its own."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mico.support import program

SCRIPTS = Path(__file__).parents[1] / "scripts"
Result = subprocess.CompletedProcess[str]


def run_here(name: str, *arguments: object) -> Result:
    """A program's exit status and what it wrote, `run_here("train", "--first", 0, ...)`."""
    main = importlib.import_module(name).main
    command = [str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
    output, errors = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", command)
        try:
            program.run(main)
        except SystemExit as ended:
            status = ended.code
    assert status is None or isinstance(status, int)
    return Result(command, status or 0, output.getvalue(), errors.getvalue())


def run_process(name: str, *arguments: object, scripts: Path = SCRIPTS) -> Result:
    """The same in a process of its own, perhaps of a copy of the programs; see `slow`."""
    command = [sys.executable, str(scripts / f"{name}.py"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(scripts)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
