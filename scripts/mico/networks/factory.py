"""A network of somebody's own by its name: `path/to/net.py:make(width=16)`.

What stands before the colon is a file, or a module that is installed; behind it stand a function or
class that makes the network, and perhaps keyword arguments for it. Nothing is imported here, since
a workflow that is planned must not wait for torch.
"""

import ast
import os
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from mico.support.errors import InputError, did_you_mean, shown

FORM = "net.py:make"  # which stands for all of them
ENDING = ".py"
_NAME = re.compile(r"(?P<place>[^:]*):(?P<name>[^:(]*)(?:\((?P<arguments>.*)\))?", re.DOTALL)
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Factory:
    """What makes a network."""

    place: str  # a path that ends in .py, or a module's dotted name
    name: str  # of the function or class
    arguments: dict[str, Any]
    written: str  # the arguments in their parentheses, as they were written

    @property
    def is_file(self) -> bool:
        """Whether it is in a file that is named by its path."""
        return self.place.endswith(ENDING)

    @property
    def source(self) -> Path:
        """Its file.

        Raises:
            InputError: there is none.
        """
        if self.is_file:
            if not Path(self.place).is_file():
                raise InputError(f"{self.place}: there is no such file, expected a network's")
            return Path(self.place)
        found = _module_file(self.place)
        if found is None:
            raise InputError(
                f"there is no module {self.place}, expected one that is installed, or a path that "
                f"ends in {ENDING}"
            )
        return found

    @property
    def public(self) -> str:
        """Its name as others are told it: without the folder that its file lies in."""
        place = os.path.basename(self.place) if self.is_file else self.place
        return f"{place}:{self.name}{self.written}"


def parse(architecture: str) -> Factory:
    """The factory that an architecture names.

    Raises:
        InputError: it is of another form.
    """
    found = _NAME.fullmatch(architecture)
    place, name, written = found.group("place", "name", "arguments") if found else ("", "", None)
    if not (place.endswith(ENDING) or _MODULE.fullmatch(place)) or not name.isidentifier():
        raise InputError(
            f"architecture {shown(architecture)}: expected a file or a module, a colon, and what "
            f"makes the network: {FORM} or {FORM}(width=16)"
        )
    arguments = {} if written is None else _arguments(architecture, written)
    return Factory(place, name, arguments, "" if written is None else f"({written.strip()})")


def check(architecture: str) -> None:
    """Look for the factory in its file, without running it.

    Raises:
        InputError: there is no such file, or none of that name in it.
    """
    factory = parse(architecture)
    path = factory.source
    try:
        tree = ast.parse(path.read_bytes(), path)
    except (SyntaxError, ValueError) as error:
        line = f": line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise InputError(f"{path}{line}: not Python ({reason})") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    names = [*_names(tree.body)]
    # What a star brings is not seen.
    if factory.name not in names and "*" not in names:
        imports = ast.Import | ast.ImportFrom
        own = [*_names([one for one in tree.body if not isinstance(one, imports)])]
        hint = f", {did_you_mean(factory.name, own)}" if own else ""
        raise InputError(f"{path}: there is no {factory.name!r}{hint}")


def _arguments(architecture: str, written: str) -> dict[str, Any]:
    """The keyword arguments between the parentheses, plain values all."""
    try:
        call = ast.parse(f"make({written})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or ast.unparse(call.func) != "make":
            raise ValueError
        if any(one.arg is None for one in call.keywords):  # two stars
            raise ValueError
        return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InputError(
            f"architecture {shown(architecture)}: expected keyword arguments with plain values in "
            f"the parentheses, texts in quotes: {FORM}(width=16, kind='small')"
        ) from None


def _names(body: list[ast.stmt]) -> list[str]:
    """The names that a module's statements define, also below an `if` or a `try`."""
    found: list[str] = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [one.id for one in targets if isinstance(one, ast.Name)]
        for block in "body", "orelse", "handlers", "finalbody":
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                found += _names(getattr(node, block, []))
    return found


def _module_file(name: str) -> Path | None:
    """The file of a module, found without importing the packages that it is in."""
    places: list[str] | None = sys.path
    for depth in range(1, name.count(".") + 2):
        dotted = ".".join(name.split(".")[:depth])
        spec = PathFinder.find_spec(dotted, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec is not None and spec.origin else None
