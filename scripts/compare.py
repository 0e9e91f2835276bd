"""Show finished runs side by side on one page, and compare all with one of them."""

import argparse
from pathlib import Path

from mico.pages import comparison, reference
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="results/<run> each")
    parser.add_argument("--baseline", type=Path, help="the one that the others are compared with")
    parser.add_argument(
        "--references",
        type=Path,
        help="a folder of reference results, which runs should agree with",
    )
    parser.add_argument("--output", type=Path, required=True, help="the page to write, HTML")
    args = parser.parse_args()

    folders = list(dict.fromkeys(args.runs))
    if args.baseline and args.baseline not in folders:
        raise InputError(f"--baseline {args.baseline}: expected one of the runs")
    runs = {folder: comparison.read(folder) for folder in folders}
    names = [run.name for run in runs.values()]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"--runs: two are called {twice[0]!r}: expected another name for each")
    kept = (
        [reference.read(path.parent) for path in sorted(args.references.glob("*/run.json"))]
        if args.references
        else []
    )
    page = comparison.render(list(runs.values()), runs.get(args.baseline), args.output, kept)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"wrote {args.output}")


if __name__ == "__main__":
    program.run(main)
