"""Outputs appear whole or not at all, and what a killed process left goes away."""

import argparse
import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mico.support import atomic, program
from mico.support.atomic import atomic_directory, atomic_file
from mico.support.errors import InputError
from mico.support.private import TIMESTAMP

HERE = socket.gethostname()


class Stop(Exception):
    """Stands for whatever interrupts a program."""


def write_file(path, content="new") -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(content)


def write_directory(path, content="new") -> None:
    with atomic_directory(path) as temporary:
        (temporary / "inside").write_text(content)


def fail_file(path) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text("half")
        raise Stop


def fail_directory(path) -> None:
    with atomic_directory(path) as temporary:
        (temporary / "inside").write_text("half")
        raise Stop


def content_of(path) -> str:
    return (path / "inside" if path.is_dir() else path).read_text()


WRITERS = [(write_file, fail_file), (write_directory, fail_directory)]
parametrise = pytest.mark.parametrize(("write", "fail"), WRITERS, ids=["file", "directory"])


def dead_process() -> int:
    """The id of a process that has ended and been waited for."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


@parametrise
def test_output_and_nothing_else_appears(tmp_path, write, fail) -> None:
    path = tmp_path / "deep" / "folder" / "output.csv"
    write(path)
    assert content_of(path) == "new"
    assert list(path.parent.iterdir()) == [path]


@parametrise
def test_output_replaces_an_older_one(tmp_path, write, fail) -> None:
    path = tmp_path / "output"
    write(path, "old")
    write(path, "new")
    assert content_of(path) == "new"
    assert [file.name for file in tmp_path.rglob("*")] in (["output"], ["output", "inside"])


def test_a_folder_of_somebodys_own_is_not_replaced(tmp_path) -> None:
    path = tmp_path / "own"
    path.mkdir()
    (path / "thesis.tex").write_text("mine")
    with (
        pytest.raises(InputError, match=r"own: not replaced, since it holds 'thesis\.tex'"),
        atomic_directory(path) as temporary,
    ):
        (temporary / "scores.txt").write_text("new")
    assert (path / "thesis.tex").read_text() == "mine"
    assert os.listdir(tmp_path) == ["own"]


def test_what_is_no_plain_file_is_not_replaced(tmp_path) -> None:
    """As /dev/null is not, which root may rename a file to."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "folder"):
        with (
            pytest.raises(InputError, match=f"{path.name}: is no plain file, expected one"),
            atomic_file(path) as temporary,
        ):
            temporary.write_text("new")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_folder_that_is_made_again_stays_as_marked(tmp_path) -> None:
    """By a job that was left alone when its run was killed, after the next run has made it."""
    output = tmp_path / "output"

    def make() -> list[str]:
        with atomic_directory(output) as temporary:
            (temporary / "file").touch()
        return sorted(os.listdir(output))

    assert [make(), make()] == [["file"], ["file"]]
    (output / TIMESTAMP).touch()
    assert make() == [TIMESTAMP, "file"]


@parametrise
def test_output_is_not_there_before_the_end(tmp_path, write, fail) -> None:
    path = tmp_path / "output"
    context = atomic_file if write is write_file else atomic_directory
    with context(path) as temporary:
        assert temporary.parent == path.parent  # a rename between file systems is not atomic
        assert temporary.name.startswith(".")
        assert not path.exists()
        if context is atomic_file:
            temporary.touch()
    assert path.exists()


@parametrise
def test_exception_leaves_nothing(tmp_path, write, fail) -> None:
    with pytest.raises(Stop):
        fail(tmp_path / "output")
    assert list(tmp_path.iterdir()) == []


@parametrise
def test_exception_keeps_an_older_output(tmp_path, write, fail) -> None:
    path = tmp_path / "output"
    write(path, "old")
    with pytest.raises(Stop):
        fail(path)
    assert content_of(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_file_that_was_not_written_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "output"):
        pass
    assert list(tmp_path.iterdir()) == []


def leave(folder, process, directory, machine=HERE) -> None:
    """What a process of this id that was killed leaves of `output`."""
    leftover = folder / f".output.{machine}.{process}.partial"
    if directory:
        leftover.mkdir()
        (leftover / "half").touch()
    else:
        leftover.touch()


@parametrise
@pytest.mark.parametrize("directory", [False, True])
def test_leftovers_of_dead_processes_go(tmp_path, write, fail, directory) -> None:
    leave(tmp_path, dead_process(), directory)
    write(tmp_path / "output")
    assert list(tmp_path.iterdir()) == [tmp_path / "output"]


@parametrise
@pytest.mark.parametrize("directory", [False, True])
def test_leftovers_of_running_processes_stay(tmp_path, write, fail, directory) -> None:
    leave(tmp_path, os.getppid(), directory)
    write(tmp_path / "output")
    names = {f".output.{HERE}.{os.getppid()}.partial", "output"}
    assert {path.name for path in tmp_path.iterdir()} == names


@parametrise
@pytest.mark.parametrize("directory", [False, True])
def test_leftovers_under_our_own_id_go(tmp_path, write, fail, directory) -> None:
    """In a container every process may have the id of the one that was killed before it."""
    leave(tmp_path, os.getpid(), directory)
    write(tmp_path / "output")
    assert content_of(tmp_path / "output") == "new"
    assert list(tmp_path.iterdir()) == [tmp_path / "output"]


@parametrise
@pytest.mark.parametrize("directory", [False, True])
def test_leftovers_of_other_machines_stay(tmp_path, write, fail, directory) -> None:
    """Where machines share a file system, an id that is dead here may be alive there."""
    dead = dead_process()
    leave(tmp_path, dead, directory, "elsewhere")
    write(tmp_path / "output")
    names = {f".output.elsewhere.{dead}.partial", "output"}
    assert {path.name for path in tmp_path.iterdir()} == names


@parametrise
def test_other_outputs_are_left_alone(tmp_path, write, fail) -> None:
    """Names that begin alike, hidden files of the user's, and other outputs' leftovers."""
    dead = dead_process()
    names = [
        ".output.partial",
        ".output.notes.partial",
        f".input.{HERE}.{dead}.partial",
        "output.1",
    ]
    for name in names:
        (tmp_path / name).touch()
    write(tmp_path / "output")
    assert {path.name for path in tmp_path.iterdir()} == {*names, "output"}


@pytest.mark.slow
@parametrise
def test_killed_process_leaves_no_output(tmp_path, write, fail) -> None:
    """A process that ends without any cleaning up; the next one cleans up after it."""
    context = "atomic_file" if write is write_file else "atomic_directory"
    finish = "path.write_text('half')" if write is write_file else "(path / 'x').touch()"
    program = (
        "import os, sys; from pathlib import Path; from mico.support import atomic\n"
        f"with atomic.{context}(Path('output')) as path:\n    {finish}\n    os._exit(1)\n"
    )
    scripts = os.path.join(os.path.dirname(__file__), os.pardir, "scripts")
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(scripts)}
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode == 1
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".partial")
    write(tmp_path / "output")
    assert list(tmp_path.iterdir()) == [tmp_path / "output"]


def fill(path: Path, error: BaseException) -> None:
    """Fail as a library does when the disk is full, with something written."""
    path.write_bytes(b"some")
    raise error


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # of a write, which names no file


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError("8000000 requested and 1000 written"),  # numpy's
        RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
    ],
)
def test_full_disk_is_told_with_the_output(tmp_path, monkeypatch, error) -> None:
    usage = SimpleNamespace(free=1000)
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: usage)
    output = tmp_path / "sub" / "output"
    message = f"^{re.escape(str(output))}: cannot be written .No space left on device.$"
    with pytest.raises(InputError, match=message), atomic.atomic_file(output) as path:
        fill(path, error)
    with pytest.raises(InputError, match=message), atomic.atomic_directory(output) as path:
        fill(path / "file", error)
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError("a bug"), OSError("a bug"), KeyError("a bug")])
def test_other_errors_stay_what_they_are(tmp_path, error) -> None:
    with pytest.raises(type(error), match="a bug"), atomic.atomic_file(tmp_path / "a") as path:
        fill(path, error)
    missing = tmp_path / "absent"
    with pytest.raises(FileNotFoundError), atomic.atomic_file(tmp_path / "a"):
        missing.read_bytes()


def test_folder_that_cannot_be_made_or_written(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    message = r"file/sub/output: cannot be written \(Not a directory\)$"
    for kind in atomic.atomic_file, atomic.atomic_directory:
        with pytest.raises(InputError, match=message), kind(tmp_path / "file" / "sub" / "output"):
            pass

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    message = r"/output: cannot be written \(Read-only file system\)$"
    with pytest.raises(InputError, match=message), atomic.atomic_file(tmp_path / "output") as path:
        path.open("wb")


def test_program_ends_with_one_line_where_the_disk_fails(capsys) -> None:
    for error, line in (
        (FULL, "error: No space left on device\n"),
        (OSError(errno.EACCES, "Permission denied", "a.csv"), "error: a.csv: Permission denied\n"),
        (InputError("a.csv: row 3"), "error: a.csv: row 3\n"),
    ):

        def main(error: Exception = error) -> None:
            raise error

        with pytest.raises(SystemExit) as ended:
            program.run(main)
        assert ended.value.code == 1
        assert capsys.readouterr().err == line


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "1e3", "9" * 30, "\u0661"])
def test_arguments_that_are_no_number_of_things(text) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected an integer from 1"):
        program.from_1(text)
    assert program.from_0("0") == 0
    assert program.from_1("12") == 12


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_arguments_that_are_no_number_above_0(text) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number above 0"):
        program.above_0(text)
    assert program.above_0("1e-5") == 1e-5
