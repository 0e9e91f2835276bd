"""Check who is what in every model, as a file says it, and keep it: the organiser's secret."""

import argparse
from pathlib import Path

from mico.challenge import membership_files, memberships
from mico.challenge.membership_files import Sizes
from mico.data import store
from mico.support import private, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--given", type=Path, required=True, help="the .csv or .npz")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--models", type=program.from_1, required=True, help="how many models")
    parser.add_argument("--n", type=program.from_1, required=True, help="records in a training set")
    parser.add_argument(
        "--m", type=program.from_1, required=True, help="half of a model's challenge points"
    )
    parser.add_argument("--output", type=Path, required=True, help="memberships.npz to write")
    args = parser.parse_args()

    sizes = Sizes(args.models, store.describe(args.data).records, args.n, args.m)
    found = membership_files.read(args.given, sizes)
    with private.only_for_owner(args.output):
        memberships.write(args.output, found)


if __name__ == "__main__":
    program.run(main)
