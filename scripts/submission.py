"""Pack a built-in attack's predictions for a track as a participant hands them in."""

import argparse
import json
from pathlib import Path

from mico.challenge.phases import Phases
from mico.release import prediction_files
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--predictions", type=Path, nargs="+", required=True, help="a directory per challenge"
    )
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument(
        "--numbers",
        type=json.loads,
        required=True,
        help="JSON: challenge -> phase -> the published numbers of dev and final models",
    )
    parser.add_argument("--output", type=Path, required=True, help="the .zip to write")
    args = parser.parse_args()
    prediction_files.pack(args.output, args.predictions, Phases(*args.phases), args.numbers)


if __name__ == "__main__":
    program.run(main)
