"""Say whether a finished run is within the intervals of the reference results."""

import argparse
import sys
from pathlib import Path

from mico.pages import comparison, reference
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="results/<run>, finished")
    parser.add_argument("--reference", type=Path, required=True, help="reference/<run>")
    args = parser.parse_args()

    found = reference.agreement(comparison.read(args.run).results, reference.read(args.reference))
    for line in found.settings:
        print(line)
    for pair in found.outside:
        print(
            f"{pair.scenario}: {pair.what}: {pair.here:.4f}, and {pair.reference:.4f} in the"
            f" reference: expected at most {pair.allowed:.4f} between them"
        )
    print(f"{args.run}: {found.verdict}")
    sys.exit(0 if found.within else 1)


if __name__ == "__main__":
    program.run(main)
