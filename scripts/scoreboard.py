"""Write a track's scoreboard, one self-contained HTML page, and its winners after the reveal."""

import json
from pathlib import Path

from mico.pages.scoreboard import REVEALED, announcement, read, render
from mico.support import argument_files, program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError


def main() -> None:
    parser = argument_files.parser(__doc__)
    parser.add_argument("--track", required=True)
    parser.add_argument("--entries", type=Path, nargs="*", required=True, help="JSON of score.py")
    parser.add_argument(
        "--challenges", nargs="+", required=True, help="the track's NAME=SCENARIO, in order"
    )
    parser.add_argument(
        "--reveal", choices=REVEALED, required=True, help="the phase whose results are shown"
    )
    parser.add_argument("--synthetic", action="store_true", help="the data are a stand-in")
    parser.add_argument("--public-seeds", action="store_true", help="anyone may know the seeds")
    parser.add_argument("--output", type=Path, required=True, help="the page to write, HTML")
    parser.add_argument("--winners", type=Path, required=True, help="the winners to write, JSON")
    args = parser.parse_args()

    challenges = {}
    for text in args.challenges:
        name, separator, scenario = text.partition("=")
        if not separator:
            raise InputError(f"--challenges {text}: expected NAME=SCENARIO")
        challenges[name] = scenario
    contenders = read(args.entries, args.track, challenges, args.reveal)
    page = render(
        args.track, challenges, args.reveal, contenders, args.synthetic, args.public_seeds
    )
    places = announcement(args.track, challenges, args.reveal, contenders)
    with atomic_file(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")
    with atomic_file(args.winners) as temporary:
        temporary.write_text(json.dumps(places, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
