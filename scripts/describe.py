"""Write down how a run was made: configuration, data sets, versions."""

import argparse
import json
import platform
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from mico.data import store
from mico.data.store import Description
from mico.support import json_files, program
from mico.support.errors import InputError

PACKAGES = ("torch", "opacus", "cryptography", "numpy")
OF_TEXT = ("transformers", "tokenizers")


def _told(description: Description) -> dict[str, object]:
    """What is told of a data set: all but its columns, of which there may be many."""
    return {name: value for name, value in asdict(description).items() if name != "columns"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="*", required=True, help="stored data sets")
    parser.add_argument("--run", required=True, help="JSON of what the configuration says")
    parser.add_argument("--output", type=Path, required=True, help="run.json to write")
    args = parser.parse_args()

    described = [store.describe(directory) for directory in args.data]
    text = any(description.kind == "tokens" for description in described)
    try:
        run = json.loads(args.run)
    except ValueError as error:
        raise InputError(f"--run: expected JSON ({error})") from None
    if not isinstance(run, dict):
        raise InputError("--run: expected a JSON object")
    content = run | {
        "datasets": run.get("datasets", {})
        | {description.name: _told(description) for description in described},
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES + OF_TEXT * text},
        "created": date.today().isoformat(),
    }
    json_files.write(args.output, content, indent=2)


if __name__ == "__main__":
    program.run(main)
