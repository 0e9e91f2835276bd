"""Write a page on each built-in attack of a run: its formula, scores, calibration and classes."""

import argparse
from pathlib import Path

from mico.pages import run_results
from mico.pages.attack_pages import render
from mico.support import program
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    run_results.add_inputs(parser)
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    found = run_results.read(args)
    names = [attack["name"] for attack in found.run["attacks"]]
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{args.run}: attack {name!r}: expected a file name")
        if names.count(name) > 1:
            raise InputError(f"{args.run}: attack {name!r}: expected one of that name")
    with atomic_directory(args.output) as temporary:
        for attack in found.run["attacks"]:
            page = render(found, attack)
            (temporary / f"{attack['name']}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
