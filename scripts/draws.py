"""Draw who is a member in the models that are attacked: the organiser's secret."""

import argparse
from pathlib import Path

from mico.challenge import draws
from mico.data import store
from mico.support import private, program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, required=True, help="the first model's number")
    parser.add_argument("--last", type=int, required=True, help="the last model's number")
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument("--n", type=int, required=True, help="records in a training set")
    parser.add_argument("--m", type=int, required=True, help="challenge points that are members")
    parser.add_argument(
        "--members-only",
        action="store_true",
        help="seed_training is given away, and says the rest of the training set",
    )
    parser.add_argument("--output", type=Path, required=True, help="draws.npz to write")
    args = parser.parse_args()

    models = range(args.first, args.last + 1)
    records = store.describe(args.data).records
    drawn = draws.draw(records, args.n, args.m, models, training=not args.members_only)
    with private.only_for_owner(args.output):
        draws.write(args.output, drawn, records)


if __name__ == "__main__":
    program.run(main)
