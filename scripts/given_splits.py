"""Write who trained on what of a release that is given, as far as it tells or solutions say."""

import argparse
from pathlib import Path

from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.data import store
from mico.release import given_release
from mico.support import private, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument("--data", type=Path, required=True, help="the scenario's stored data set")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--n", type=program.from_1, required=True, help="records in a training set")
    parser.add_argument(
        "--m", type=program.from_1, required=True, help="challenge points that are members"
    )
    parser.add_argument(
        "--solutions", type=Path, help="the folder of the memberships of dev and final, if known"
    )
    parser.add_argument("--release", type=Path, required=True, help="what the challenge is made of")
    parser.add_argument("--output", type=Path, required=True, help="splits.npz to write")
    args = parser.parse_args()

    records = store.describe(args.data).records
    phases = Phases(*args.phases)
    splits = given_release.splits(args.challenge, phases, records, args.n, args.m)
    if args.solutions:
        solutions = given_release.solutions(args.solutions, args.release, args.m)
        splits.membership[phases.train :] = solutions
    with private.only_for_owner(args.output):
        split_file.write(args.output, splits)


if __name__ == "__main__":
    program.run(main)
