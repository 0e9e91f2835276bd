"""Write a run's report: one self-contained HTML page out of its scores, curves and models."""

import argparse
from pathlib import Path

from mico import command_line, results
from mico.atomic import atomic_file
from mico.report import render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    results.add_inputs(parser)
    parser.add_argument("--output", type=Path, required=True, help="the page to write, HTML")
    args = parser.parse_args()

    page = render(results.read(args))
    with atomic_file(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    command_line.run(main)
