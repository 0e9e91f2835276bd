"""Draw or copy the seeds of a scenario's models: the organiser's secret."""

import argparse
from pathlib import Path

from mico.challenge import seeds
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", required=True, help="the scenario's id")
    parser.add_argument("--models", type=int, required=True, help="how many models")
    parser.add_argument(
        "--source", required=True, help="a master seed, `random`, or a CSV file of given seeds"
    )
    parser.add_argument("--output", type=Path, required=True, help="seeds.csv to write")
    args = parser.parse_args()

    if args.source == "random":
        drawn = seeds.random(args.models)
    elif args.source.endswith(".csv"):
        drawn = seeds.read_given(Path(args.source), args.scenario, args.models)
    else:
        drawn = seeds.derive(seeds.parse_seed(args.source, "--source"), args.scenario, args.models)
    seeds.write(args.output, drawn)


if __name__ == "__main__":
    program.run(main)
