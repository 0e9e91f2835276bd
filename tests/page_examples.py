"""Examples of a page: code that writes a file, a configuration, and the command that runs it."""

import re
from dataclasses import dataclass
from pathlib import Path
from shlex import split

import yaml
from workflow_runs import ROOT

BLOCKS = re.compile(r"```python\n(.*?)```\n\n```yaml\n(.*?)```\n\n```\n(.*?)```", re.S)


@dataclass(frozen=True)
class Example:
    """Three blocks of a page that belong together."""

    page: str
    code: str
    configuration: str
    command: str

    def write(self, folder: Path) -> Path:
        """Run the code in the working directory, and write the configuration into a folder."""
        path = folder / f"{yaml.safe_load(self.configuration)['run']}.yaml"
        assert self.configuration.startswith(f"# {path.name}\n")
        assert split(self.command) == ["snakemake", "--cores", "all", "--configfile", path.name]
        exec(compile(self.code, self.page, "exec"), {})
        path.write_text(self.configuration)
        return path


def examples(page: str) -> dict[str, Example]:
    """All examples of a page of docs/, by the names of their runs."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [Example(page, *blocks) for blocks in BLOCKS.findall(text)]
    assert text.count("```python") == text.count("```yaml") == len(found)
    return {yaml.safe_load(one.configuration)["run"]: one for one in found}
