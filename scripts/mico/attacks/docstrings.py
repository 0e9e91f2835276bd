"""What the attacks say of themselves. Their sources are read, not imported: an attack may need
packages that its page does not.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

MODULES = Path(__file__).parent / "formulas"


def docstrings(attack: str) -> dict[str, str]:
    """Those of an attack's `module` and its `Options`; none if it has no module of its own."""
    path = {path.stem: path for path in MODULES.glob("*.py")}.get(attack)
    if path is None:
        return {}
    module = ast.parse(path.read_text(encoding="utf-8"))
    documented = {"module": module} | {
        node.name: node
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.name == "Options"
    }
    return {name: text for name, node in documented.items() if (text := ast.get_docstring(node))}


def fingerprint(attacks: Iterable[str]) -> str:
    """A hash of what they say: a page is made again when it changes."""
    text = json.dumps([docstrings(attack) for attack in sorted(set(attacks))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
