"""Run one attack on a challenge, as a participant would, and write its submission."""

import argparse
import json
from pathlib import Path

from mico import attacks, command_line, signals, submissions
from mico.phases import Phases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=Path, required=True, help="the challenge's signals.npz")
    parser.add_argument("--attack", required=True, help=f"one of {', '.join(attacks.ATTACKS)}")
    parser.add_argument("--options", default="{}", help="JSON of the attack's options")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    options = attacks.options(args.attack, json.loads(args.options))
    scores = attacks.ATTACKS[args.attack].scores(signals.read(args.signals), options)
    predictions = submissions.to_predictions(scores)
    submissions.write(args.output, Phases(*args.phases), predictions)


if __name__ == "__main__":
    command_line.run(main)
