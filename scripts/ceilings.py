"""Limit what any attack on a scenario can reach, by what its training spends."""

import argparse
import json
from pathlib import Path

from mico.privacy import budget
from mico.scoring.ceilings import ceilings
from mico.support import program
from mico.support.atomic import atomic_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--privacy", type=Path, required=True, help="the scenario's privacy.json")
    parser.add_argument("--output", type=Path, required=True, help="the limits' .json to write")
    args = parser.parse_args()

    curves = ceilings(budget.read(args.privacy))
    with atomic_file(args.output) as temporary:
        temporary.write_text(json.dumps(curves) + "\n", encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
