"""A fingerprint of what a program runs, so that editing it, and nothing else, runs it again."""

import ast
import hashlib
from pathlib import Path


def source_hash(program: Path) -> str:
    """A hash of a program in scripts/ and of the `mico` modules that it imports, all the way down.

    Comments, docstrings and layout do not count: two hundred models are not trained again for a
    sentence. Other files of the package that a module reads, such as a template, are not seen.
    """
    digest = hashlib.sha256()
    for path in sorted(_with_imports(program, {program})):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
                and ast.get_docstring(node, clean=False) is not None
            ):
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()[:16]


def _with_imports(path: Path, found: set[Path]) -> set[Path]:
    package = Path(__file__).parent
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "mico":
            continue
        folder = package.joinpath(*node.module.split(".")[1:])
        for module in (folder, *(folder / alias.name for alias in node.names)):
            for file in (module.with_suffix(".py"), module / "__init__.py"):
                if file.is_file() and file not in found:
                    found.add(file)
                    _with_imports(file, found)
    return found
