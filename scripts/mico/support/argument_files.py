"""Arguments that are too many for a command, in a file that the program reads them from.

A job's command is a single argument of a shell, and Linux takes none of 128 KiB or more.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from mico.support.atomic import atomic_file, remove

PREFIX = "@"
FOLDER = Path(".snakemake/mico/arguments")
LONGEST = 20_000  # characters of a list in a command, which may have several lists


def parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of a program for which `@FILE` stands for the arguments that are in a file."""
    more = f"{PREFIX}FILE stands for the arguments in a file, one on each line."
    return argparse.ArgumentParser(
        description=description, epilog=more, fromfile_prefix_chars=PREFIX
    )


def listed(run: str, arguments: Sequence[str]) -> str:
    """Arguments as a command has them: themselves, or `@FILE` if they are many.

    The file is named for its content. So a plan that is made while a run goes on, and that may
    find other submissions, changes no command of the run.
    """
    text = " ".join(map(quote, arguments))
    if len(text) <= LONGEST:
        return text
    content = "".join(f"{argument}\n" for argument in arguments)
    name = hashlib.sha256(content.encode()).hexdigest()[:16]
    path = FOLDER / run / f"{name}.txt"
    if not path.exists():
        with atomic_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return f"{PREFIX}{path}"


def forget(run: str) -> None:
    """Remove the files of a run that is done."""
    remove(FOLDER / run)
