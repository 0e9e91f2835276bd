"""The stand-in for `python` is one: arguments, environment, streams, status, and its end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import warm_python

pytestmark = pytest.mark.slow
PROGRAM = """
import os, sys
sys.path.insert(0, "")
print(sys.argv[1:], os.environ["GIVEN"], os.getcwd(), sys.stdin.read(), "torch" in sys.modules)
print("to stderr", file=sys.stderr)
if sys.argv[1] == "wait":
    open("started", "w").write(str(os.getpid()))
    import time
    time.sleep(600)
if sys.argv[1] == "raise":
    raise KeyError("reason")
sys.exit("a word" if sys.argv[1] == "word" else int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with warm_python.running(tmp_path_factory.mktemp("warm")) as folder:
        yield folder / "python"


def run(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(PROGRAM)
    return subprocess.run(
        [python, "program.py", *arguments],
        **{"cwd": folder, "env": {**os.environ, "GIVEN": "a=b"}, "input": "typed"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("argument", "status"), [("0", 0), ("3", 3), ("word", 1), ("raise", 1)])
def test_it_runs_a_program(python: Path, tmp_path: Path, argument: str, status: int) -> None:
    ended = run(python, tmp_path, argument, "two words")
    assert ended.returncode == status
    assert ended.stdout == f"{[argument, 'two words']} a=b {tmp_path} typed True\n"
    assert ended.stderr.startswith("to stderr\n")
    assert ("a word\n" in ended.stderr) == (argument == "word")
    assert ("KeyError: 'reason'" in ended.stderr) == (argument == "raise")


def test_it_runs_a_module(python: Path, tmp_path: Path) -> None:
    """With its name as `python -m` has it, and what lies in the folder at hand."""
    (tmp_path / "nearby.py").write_text("WORD = 'found'\n")
    (tmp_path / "module.py").write_text("import nearby, sys\nprint(nearby.WORD, sys.argv)\n")
    command = [python, "-m", "module", "given"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout == f"found {[str(tmp_path / 'module.py'), 'given']}\n"


def test_other_uses_are_pythons_own(python: Path) -> None:
    ended = subprocess.run([python, "-c", "print(3)"], capture_output=True, text=True, check=True)
    assert ended.stdout == "3\n"


def test_a_program_whose_caller_is_killed_is_killed(python: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    given = {"cwd": tmp_path, "env": {**os.environ, "GIVEN": ""}, "stdin": subprocess.DEVNULL}
    caller = subprocess.Popen([python, "program.py", "wait"], **given)
    started, deadline = tmp_path / "started", time.monotonic() + 60
    while not (started.exists() and started.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(started.read_text())
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("it lives on")
