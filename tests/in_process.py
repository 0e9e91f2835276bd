"""A stage's program in this process: what is wrong with its input is found without another."""

import io
import runpy
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

SCRIPTS = Path(__file__).parents[1] / "scripts"


def run_here(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a program as the fixture `run_script` does, but without a process of its own."""
    path = str(SCRIPTS / f"{name}.py")
    command = [path, *map(str, arguments)]
    code = 0
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())
