"""Outputs appear whole or not at all, and what a killed process left goes away."""

import os
import socket
import subprocess
import sys

import pytest

from mico.support.atomic import atomic_directory, atomic_file

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
    if path.is_dir():
        (path / "left over").touch()
    write(path, "new")
    assert content_of(path) == "new"
    assert [file.name for file in tmp_path.rglob("*")] in (["output"], ["output", "inside"])


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
