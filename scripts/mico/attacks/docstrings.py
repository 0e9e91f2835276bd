"""What the attacks say of themselves. Their sources are read, not imported: an attack may need
packages that its page does not.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


def docstrings(path: Path) -> dict[str, str]:
    """Those of an attack's file: of its `module` and its `Options`, if they have any."""
    module = ast.parse(path.read_text(encoding="utf-8-sig"))
    documented: dict[str, ast.Module | ast.ClassDef] = {"module": module}
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == "Options":
            documented[node.name] = node
    return {name: text for name, node in documented.items() if (text := ast.get_docstring(node))}


def fingerprint(paths: Iterable[Path]) -> str:
    """A hash of what files say: a page is made again when it changes."""
    text = json.dumps([docstrings(path) for path in sorted(set(paths))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
