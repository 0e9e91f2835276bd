"""A Python file of somebody's own, run as a module; whatever goes wrong in it is one line."""

import hashlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType

from mico.support.errors import InputError


def module(path: Path) -> ModuleType:
    """The module of a file, run once for each content that the file has.

    Its name is a private one, so that it stands in the way of no other module of the file's name.

    Raises:
        InputError: it is not there, is no Python, or cannot be run; the message names the line.
    """
    with told(path):
        return _run(path)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Make of whatever goes wrong in a file's code one line that names the file and its line."""
    try:
        yield
    except InputError:
        raise
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected UTF-8") from None
    except SyntaxError as error:
        line = f": line {error.lineno}" if error.lineno else ""
        raise InputError(f"{error.filename or path}{line}: not Python ({error.msg})") from None
    except (Exception, SystemExit) as error:
        steps = traceback.extract_tb(error.__traceback__)
        lines = [step.lineno for step in steps if step.filename == str(path)]
        where = f"{path}: line {lines[-1]}" if lines else str(path)
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: {type(error).__name__}{reason and f': {reason}'}") from None


def _run(path: Path) -> ModuleType:
    text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    digest = hashlib.sha256(f"{path}\0{text}".encode()).hexdigest()
    name = f"_own_{digest[:16]}"
    if name not in sys.modules:
        found = ModuleType(name)
        found.__file__ = str(path)
        sys.modules[name] = found  # where dataclasses look for what annotations mean
        try:
            exec(_compiled(text, path), vars(found))
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _compiled(text: str, path: Path) -> CodeType:
    try:
        return compile(text, path, "exec", dont_inherit=True)
    except ValueError as error:  # of a NUL, before Python 3.11.4
        raise InputError(f"{path}: not Python ({error})") from None
