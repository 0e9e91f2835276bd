"""Run one attack on a challenge, as a participant would, and write its submission."""

import argparse
import json
from pathlib import Path

from mico import attacks, command_line, signals, submissions
from mico.command_line import InputError
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

    try:
        values = json.loads(args.options)
    except ValueError as error:
        raise InputError(f"--options {args.options!r}: expected JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"--options {args.options!r}: expected a JSON object")
    options = attacks.options(args.attack, values)
    phases = Phases(*args.phases)
    given = signals.read(args.signals)
    if (phases.train, phases.models) != (len(given.trained), len(given.challenge)):
        raise InputError(f"{args.signals}: not of {phases.models} models, {phases.train} of train")
    scores = attacks.ATTACKS[args.attack].scores(given, options)
    submissions.write(args.output, phases, submissions.to_predictions(scores))


if __name__ == "__main__":
    command_line.run(main)
