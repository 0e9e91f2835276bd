"""A fingerprint of what a program runs, so that editing it, and nothing else, runs it again."""

import ast
import hashlib
from functools import cache
from pathlib import Path


def source_hash(program: Path) -> str:
    """A hash of a program in scripts/ and of the `mico` modules that it imports, all the way down.

    Comments, docstrings and layout do not count: two hundred models are not trained again for a
    sentence. Other files of the package that a module reads, such as a template, are not seen.
    """
    digest = hashlib.sha256()
    for path in sorted(imported_files(program)):
        digest.update(_parse(path.read_text())[1].encode())
    return digest.hexdigest()[:16]


def imported_files(program: Path) -> set[Path]:
    """A program and the files of the package that it imports, and that those import."""
    return _with_imports(program, {program})


def _with_imports(path: Path, found: set[Path]) -> set[Path]:
    """Add to `found` the files of the package that a file imports, and those that they import."""
    for name in _parse(path.read_text())[0]:
        for file in _files(name.split(".")) - found:
            found.add(file)
            _with_imports(file, found)
    return found


# Every program imports many of the same files, and a workflow asks for every program's hash.
@cache
def _parse(text: str) -> tuple[list[str], str]:
    """The dotted names that a source file imports, and its code without docstrings."""
    tree = ast.parse(text)
    names = []
    for node in ast.walk(tree):
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


def _files(parts: list[str]) -> set[Path]:
    """The files that importing mico.a.b runs: each package on the way, and the module itself."""
    package = Path(__file__).parents[1]
    if parts[0] != package.name:
        return set()
    files = {package / "__init__.py"}
    for depth in range(2, len(parts) + 1):
        module = package.joinpath(*parts[1:depth])
        files |= {module / "__init__.py", module.with_suffix(".py")}
    return {file for file in files if file.is_file()}
