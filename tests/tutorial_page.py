"""The blocks of docs/tutorial.md, as files."""

import re
from pathlib import Path

from workflow_runs import ROOT

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.M | re.S)
COMMANDS = [block for language, block in BLOCKS if not language]
CONFIGURATION, LINE = [block for language, block in BLOCKS if language == "yaml"]
CODE, BETTER = [block for language, block in BLOCKS if language == "python"]


def write(folder: Path) -> None:
    """The configuration with the attack, and the attack."""
    (folder / "tutorial.yaml").write_text(CONFIGURATION + LINE)
    (folder / "gap.py").write_text(CODE)
