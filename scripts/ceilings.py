"""Limit what any attack on a scenario can reach, by what its training spends."""

import argparse
from pathlib import Path

from mico.privacy import budget
from mico.scoring.ceilings import ceilings
from mico.support import json_files, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument("--output", type=Path, required=True, help="the limits' .json to write")
    args = parser.parse_args()

    curves = ceilings(budget.read(args.privacy))
    json_files.write(args.output, curves)


if __name__ == "__main__":
    program.run(main)
