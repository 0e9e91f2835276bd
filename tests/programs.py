"""Running a stage's program in the process of the tests, or where that matters in its own.

The workflow's own runs start each as a process.
"""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import torch

from mico.support import program

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `scripts/<name>.py` with these arguments; anything but an `InputError` is raised."""
    command = [str(SCRIPTS / f"{name}.py"), *map(str, arguments)]
    main = importlib.import_module(name).main
    output, errors = io.StringIO(), io.StringIO()
    status: int | str | None = 0
    with (
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            program.run(main)
        except SystemExit as ended:
            status = ended.code
        finally:
            # What a program that trains sets for its process.
            torch.set_flush_denormal(False)
    assert status is None or isinstance(status, int)
    return subprocess.CompletedProcess(command, status or 0, output.getvalue(), errors.getvalue())


def run_process(
    name: str, *arguments: object, scripts: Path = SCRIPTS
) -> subprocess.CompletedProcess[str]:
    """Run it as a process, perhaps that of a copy of `scripts/`; such a test is slow."""
    command = [sys.executable, str(scripts / f"{name}.py"), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(scripts)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
