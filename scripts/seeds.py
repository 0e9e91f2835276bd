"""Draw or copy the seeds of a scenario's models: the organiser's secret."""

import argparse
from pathlib import Path

from mico.challenge import seeds
from mico.support import private, program
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--first", type=program.from_0, default=0, help="the first model's number")
    parser.add_argument(
        "--last", type=program.from_0, required=True, help="the last model's number"
    )
    parser.add_argument(
        "--source", required=True, help="`random`, a .csv of given seeds, or a master seed's file"
    )
    parser.add_argument("--output", type=Path, required=True, help="seeds.csv to write")
    args = parser.parse_args()

    models = args.last + 1
    if not 0 <= args.first < models:
        raise InputError(f"models {args.first} to {args.last}: expected the first not after it")
    if args.source == "random":
        drawn = seeds.random(models)
    elif args.source.endswith(".csv"):
        drawn = seeds.read_given(Path(args.source), args.scenario, models)
    else:
        drawn = seeds.derive(seeds.read_master(Path(args.source)), args.scenario, models)
    with private.only_for_owner(args.output):
        seeds.write(args.output, drawn[args.first :], args.first)


if __name__ == "__main__":
    program.run(main)
