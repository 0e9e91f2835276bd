"""A fingerprint of what a program runs, so that editing it, and nothing else, runs it again."""

import ast
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

# What parsing found, by the text that was parsed: to parse all takes half of the time of a plan.
KEPT = Path(__file__).parent / "__pycache__" / "source_hash.json"


def source_hash(program: Path, *more: Path) -> str:
    """A hash of a program in scripts/ and of the `mico` modules that it imports, all the way down.

    Args:
        more: modules that the program imports by a name that it is given.

    Comments, docstrings and layout do not count: two hundred models are not trained again for a
    sentence. Other files of the package that a module reads, such as a template, are not seen.
    """
    digest = hashlib.sha256()
    known = len(_kept())
    for path in sorted(imported_files(program, *more)):
        digest.update(_parsed(path)[1].encode())
    if len(_kept()) > known and not sys.dont_write_bytecode:
        _keep()
    return digest.hexdigest()[:16]


def imported_files(program: Path, *more: Path) -> set[Path]:
    """A program, more modules, and the files of the package that they import all the way down."""
    found = {program, *more}
    for path in (program, *more):
        _with_imports(path, found)
    return found


def _with_imports(path: Path, found: set[Path]) -> set[Path]:
    """Add to `found` the files of the package that a file imports, and those that they import."""
    for name in _parsed(path)[0]:
        for file in _files(name) - found:
            found.add(file)
            _with_imports(file, found)
    return found


def _parsed(path: Path) -> tuple[list[str], str]:
    """The dotted names that a source file imports, and a hash of its code without docstrings."""
    text = path.read_text(encoding="utf-8-sig")
    key = hashlib.sha256(text.encode()).hexdigest()
    if key not in _kept():
        _kept()[key] = _parse(text)
    return _kept()[key]


@cache
def _kept() -> dict[str, tuple[list[str], str]]:
    """What this process and those before it have parsed, if it was with this very module."""
    found: dict[str, tuple[list[str], str]] = {}
    with suppress(OSError, ValueError):
        by, kept = json.loads(KEPT.read_text(encoding="utf-8"))
        found = kept if by == _own_text() else {}
    return found


def _keep() -> None:
    """Leave it to later processes, as Python leaves them compiled code; or not, where it cannot."""
    temporary = KEPT.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        temporary.write_text(json.dumps([_own_text(), _kept()]), encoding="utf-8")
        temporary.replace(KEPT)


def _own_text() -> str:
    return Path(__file__).read_text(encoding="utf-8")


def _parse(text: str) -> tuple[list[str], str]:
    tree = ast.parse(text)
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return names, hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all statements in it, which takes a quarter of the time of all nodes in it."""
    yield node
    for block in "body", "orelse", "finalbody", "handlers", "cases":
        for statement in getattr(node, block, ()):
            yield from _statements(statement)


@cache
def _files(name: str) -> frozenset[Path]:
    """The files that importing mico.a.b runs: each package on the way, and the module itself."""
    parts = name.split(".")
    package = Path(__file__).parents[1]
    if parts[0] != package.name:
        return frozenset()
    files = {package / "__init__.py"}
    for depth in range(2, len(parts) + 1):
        module = package.joinpath(*parts[1:depth])
        files |= {module / "__init__.py", module.with_suffix(".py")}
    return frozenset(file for file in files if file.is_file())
