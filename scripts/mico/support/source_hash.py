"""A fingerprint of what a program runs, so that editing it, and nothing else, runs it again."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def source_hash(program: Path, *more: Path) -> str:
    """A hash of a program in scripts/ and of the `mico` modules that it imports, all the way down.

    Args:
        more: modules that the program imports by a name that it is given.

    Comments, docstrings and layout do not count: two hundred models are not trained again for a
    sentence. Other files of the package that a module reads, such as a template, are not seen.
    """
    digest = hashlib.sha256()
    for path in sorted(imported_files(program, *more)):
        digest.update(_parse(path.read_text(encoding="utf-8-sig"))[1].encode())
    return digest.hexdigest()[:16]


def imported_files(program: Path, *more: Path) -> set[Path]:
    """A program, more modules, and the files of the package that they import all the way down."""
    found = {program, *more}
    for path in (program, *more):
        _with_imports(path, found)
    return found


def _with_imports(path: Path, found: set[Path]) -> set[Path]:
    """Add to `found` the files of the package that a file imports, and those that they import."""
    for name in _parse(path.read_text(encoding="utf-8-sig"))[0]:
        for file in _files(name) - found:
            found.add(file)
            _with_imports(file, found)
    return found


# Every program imports many of the same files, and a workflow asks for every program's hash.
@cache
def _parse(text: str) -> tuple[list[str], str]:
    """The dotted names that a source file imports, and its code without docstrings."""
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
    return names, ast.unparse(tree)


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
