"""Write a stored data set in the files that the original kit reads."""

import argparse
from pathlib import Path

from mico.data import original_form, store
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    original_form.write(args.output, store.read(args.data))


if __name__ == "__main__":
    program.run(main)
