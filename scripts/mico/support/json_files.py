"""Objects as JSON files that carry their checksums."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mico.support.atomic import atomic_file
from mico.support.errors import AGAIN

CHECK = "sha256"  # the last key: of all others


def write(path: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Write an object, and one more key for its checksum."""
    content = json.loads(json.dumps(content))  # as it will be read
    whole = {**content, CHECK: _sum(content)}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(whole, indent=indent) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read an object, verified if it carries a checksum, which is taken away.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object, or not as its checksum says.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    check = content.pop(CHECK, None)
    if check is not None and check != _sum(content):
        raise ValueError(f"not as its checksum says; {AGAIN}")
    return content


def _sum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
