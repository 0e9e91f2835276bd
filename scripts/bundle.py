"""Pack a track for participants, if nothing secret is in it, and its solutions for a scorer."""

import argparse
import json
from pathlib import Path
from typing import get_args

from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.challenge.scenario import Design, Scenario
from mico.data import store
from mico.privacy import budget
from mico.release import bundle
from mico.release.bundle import Challenge, Track
from mico.support import private, program
from mico.support.errors import InputError
from mico.support.records import build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", required=True)
    several = {"type": Path, "nargs": "+", "required": True}
    parser.add_argument("--challenges", **several, help="the track's released directories")
    parser.add_argument("--checksums", **several, help="their .sha256 files, in the same order")
    parser.add_argument("--scenarios", required=True, help="JSON list of their scenarios")
    parser.add_argument("--privacy", **several, help="their privacy.json files")
    parser.add_argument("--splits", **several, help="their splits.npz files")
    parser.add_argument("--data", **several, help="their stored data sets")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument(
        "--max-bytes", type=program.from_1, required=True, help="limit of a submission's size"
    )
    parser.add_argument(
        "--seeds",
        choices=["random", "known"],
        required=True,
        help="drawn from the operating system's entropy, or of a master seed or a file",
    )
    parser.add_argument("--public-seeds", action="store_true", help="anyone may know the seeds")
    parser.add_argument(
        "--design",
        choices=get_args(Design),
        default="published",
        help="of the run: with full-entropy memberships of dev and final come from no seed",
    )
    parser.add_argument("--output", type=Path, required=True, help="the bundle, a .zip, to write")
    parser.add_argument(
        "--solutions", type=Path, required=True, help="the organiser's .zip to write"
    )
    args = parser.parse_args()

    if args.seeds != "random" and not args.public_seeds:
        raise InputError(
            f"{args.output}: not made: whoever knows or guesses the master seed, or has the file "
            "of seeds, computes every membership; expected seeds: random in the configuration, or "
            "for an exercise seeds_are_public: true"
        )
    contents = {path: bundle.content_digest(store.read(path)) for path in set(args.data)}
    columns = {
        "scenarios": [
            build(Scenario, fields, "--scenarios: ") for fields in json.loads(args.scenarios)
        ],
        "challenges": args.challenges,
        "checksums": args.checksums,
        "privacy": [budget.read(path) for path in args.privacy],
        "splits": [split_file.read(path) for path in args.splits],
        "data": [store.describe(path) for path in args.data],
        "content": [contents[path] for path in args.data],
    }
    for name, column in columns.items():
        if len(column) != len(args.challenges):
            raise InputError(f"--{name}: {len(column)} given, expected {len(args.challenges)}")
    challenges = [Challenge(*values) for values in zip(*columns.values(), strict=True)]
    track = Track(
        *(args.track, challenges, Phases(*args.phases), args.max_bytes),
        public_seeds=args.public_seeds,
        full_entropy=args.design == "full-entropy",
    )
    bundle.write(args.output, track)
    with private.only_for_owner(args.solutions):
        bundle.write_solutions(args.solutions, track)


if __name__ == "__main__":
    program.run(main)
