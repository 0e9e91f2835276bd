"""The blocks of docs/membership.md, as files."""

import contextlib
import re
import runpy
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "membership.md"


def write(folder: Path) -> None:
    """Put what the page shows into a folder: configurations, and what its program makes."""
    blocks = re.findall(r"^```(?:yaml|python)\n# (\S+)\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    assert [name for name, _ in blocks] == ["half.yaml", "canaries.py", "canaries.yaml"]
    for name, content in blocks:
        (folder / name).write_text(content)
    with contextlib.chdir(folder):
        runpy.run_path("canaries.py")


def table() -> str:
    """The CSV that the page shows."""
    found = re.search(r"^```\n(model,record,role\n.*?)^```", PAGE.read_text(), re.M | re.S)
    assert found
    return found[1]
