"""Text is UTF-8 wherever it is read and written, whatever the locale says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*(ROOT / "scripts").rglob("*.py"), *(ROOT / "tools").rglob("*.py")])
# What they open is read in bytes.
IN_BYTES = ("Image", "archive", "gzip", "opener", "os", "tarfile", "unzipped", "zipfile")


def without_encoding(text: str) -> Iterator[int]:
    """The lines that read or write text in the locale's encoding."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        owner = getattr(getattr(node.func, "value", None), "id", None)
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        given = {keyword.arg for keyword in node.keywords}
        modes = [
            one.value
            for one in [*node.args, *(keyword.value for keyword in node.keywords)]
            if isinstance(one, ast.Constant) and isinstance(one.value, str) and len(one.value) < 4
        ]
        texts = name in ("read_text", "write_text") and len(node.args) < 1 + (name == "write_text")
        opens = name == "open" and owner not in IN_BYTES and not any("b" in one for one in modes)
        if (texts or opens) and "encoding" not in given:
            yield node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_text_is_utf_8(path: Path) -> None:
    assert list(without_encoding(path.read_text(encoding="utf-8"))) == []


def test_what_would_depend_on_the_locale_is_found() -> None:
    found = ["p.read_text()", "p.write_text('x')", "p.open()", "open(p, 'w')", "p.open(mode='a')"]
    assert [list(without_encoding(line)) for line in found] == [[1]] * len(found)
    fine = ["p.open('rb')", "p.read_text(encoding='utf-8')", "zipfile.open(a)", "p.open('wb')"]
    assert [list(without_encoding(line)) for line in fine] == [[]] * len(fine)
