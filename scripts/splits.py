"""Split the data set for every model of a scenario, as the competition did, or as it is given."""

import argparse
from pathlib import Path

from mico.challenge import draws, memberships, seeds, split_file, splits
from mico.data import store
from mico.support import private, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=Path, required=True, help="the scenario's seeds.csv")
    parser.add_argument(
        "--draws", type=Path, nargs="*", default=[], help="draws.npz, for what no seed says"
    )
    parser.add_argument(
        "--memberships", type=Path, nargs="*", default=[], help="memberships.npz, in place of seeds"
    )
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--n", type=program.from_1, required=True, help="records in a training set")
    parser.add_argument(
        "--m", type=program.from_1, required=True, help="challenge points that are members"
    )
    parser.add_argument("--output", type=Path, required=True, help="splits.npz to write")
    args = parser.parse_args()

    records = store.describe(args.data).records
    every_seed = seeds.read(args.seeds)
    if given := memberships.read(args.memberships, len(every_seed)):
        every = given.splits(records)
    else:
        drawn = draws.read(args.draws, records)
        every = splits.split_all(records, args.n, args.m, every_seed, drawn)
    with private.only_for_owner(args.output):
        split_file.write(args.output, every)


if __name__ == "__main__":
    program.run(main)
