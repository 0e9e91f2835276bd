"""What the attacks say of themselves. Their sources are read, not imported: an attack may need
packages that its page does not.
"""

import ast
import hashlib
import json
from collections.abc import Iterable

from mico.attacks import registry


def docstrings(attack: str) -> dict[str, str]:
    """Those of an attack's `module` and its `Options`; empty if there is no such attack."""
    path = registry.attacks().get(attack)
    if path is None:
        return {}
    module = ast.parse(path.read_text(encoding="utf-8"))
    documented: dict[str, ast.Module | ast.ClassDef] = {"module": module}
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == "Options":
            documented[node.name] = node
    return {name: text for name, node in documented.items() if (text := ast.get_docstring(node))}


def fingerprint(attacks: Iterable[str]) -> str:
    """A hash of what they say: a page is made again when it changes."""
    text = json.dumps([docstrings(attack) for attack in sorted(set(attacks))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
