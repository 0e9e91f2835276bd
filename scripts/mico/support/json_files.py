"""Objects as JSON files that carry their checksums: the last key is that of the text before it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mico.support.atomic import atomic_file
from mico.support.errors import AGAIN

CHECK = "sha256"


def write(path: Path, content: Mapping[str, Any], indent: int | None = None) -> None:
    """Write an object, and one more key for its checksum."""
    text = json.dumps(content, indent=indent).removesuffix("}").rstrip()
    gap, end = (" ", "") if indent is None else (f"\n{' ' * indent}", "\n")
    separator = f",{gap}" if content else ""
    with atomic_file(path) as temporary:
        whole = f'{text}{separator}"{CHECK}": "{_sum(text)}"{end}}}\n'
        temporary.write_text(whole, encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read an object, verified if it carries a checksum, which is taken away.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON object, or not as its checksum says.
    """
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    check = content.pop(CHECK, None)
    if check is not None:
        summed = text.rpartition(f'"{CHECK}"')[0].rstrip().removesuffix(",")
        if check != _sum(summed):
            raise ValueError(f"not as its checksum says; {AGAIN}")
    return content


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
