"""Check and score one entry of a track, a built-in attack or somebody's archive."""

import argparse
import datetime
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mico.challenge import split_file
from mico.challenge.phases import PHASES, Phases
from mico.data import store
from mico.privacy import budget
from mico.release import intake, prediction_files
from mico.scoring import entries
from mico.scoring.audit import audit
from mico.support import program
from mico.support.progress import progress

PARTICIPANT = re.compile(r"[^\W_][\w .-]{0,63}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", required=True)
    parser.add_argument("--participant", required=True, help="whose entry it is")
    parser.add_argument("--challenges", nargs="+", required=True, help="the track's challenges")
    parser.add_argument("--scenarios", nargs="+", required=True, help="their scenarios' ids")
    parser.add_argument("--data", nargs="+", required=True, help="the names of their data sets")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="their splits.npz")
    parser.add_argument("--privacy", type=Path, nargs="+", required=True, help="their privacy.json")
    parser.add_argument(
        "--datasets", type=Path, nargs="+", required=True, help="their stored data sets"
    )
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--submissions", type=Path, nargs="+", help="a built-in attack's directories"
    )
    source.add_argument("--archive", type=Path, help="a participant's .zip")
    parser.add_argument("--taken", nargs="*", default=[], help="names a participant can't have")
    parser.add_argument("--max-bytes", type=int, default=intake.MAX_PACKED, help="of an archive")
    parser.add_argument("--output", type=Path, required=True, help="the entry's .json to write")
    args = parser.parse_args()

    phases = Phases(*args.phases)
    splits = [split_file.read(path) for path in args.splits]
    models = {phase: np.array(phases.of(phase)) for phase in PHASES}
    models["both"] = np.concatenate([models["dev"], models["final"]])
    entry: entries.Entry = {
        "participant": args.participant,
        "track": args.track,
        "builtin": args.archive is None,
        "file": None,
        "submitted": None,
        "problems": [],
        "scores": [],
        "curves": {},
        "replicates": {},
        "audit": {},
    }
    if args.archive:
        entry["file"], entry["submitted"] = args.archive.name, _modified(args.archive)
        entry["problems"] = _name_problems(args.participant, args.archive.name, args.taken)
        predictions = []
        try:
            size = splits[0].membership.shape[1]
            found = intake.read(
                args.archive, args.track, args.challenges, phases, size, args.max_bytes
            )
            for challenge in args.challenges:
                # Archives leave out the train models, whose memberships are public.
                predictions.append(np.full((phases.models, size), np.nan))
                predictions[-1][models["both"]] = found[challenge]
        except intake.Rejected as rejected:
            entry["problems"] += rejected.problems
    else:
        predictions = [
            prediction_files.read(directory, phases, split.membership.shape[1])
            for directory, split in zip(args.submissions, splits, strict=True)
        ]
    if not entry["problems"]:
        labels = [store.read(directory).labels for directory in args.datasets]
        deltas = [budget.read(path).delta for path in args.privacy]
        names = zip(args.challenges, args.scenarios, args.data, strict=True)
        parts = zip(names, predictions, splits, labels, deltas, strict=True)
        for (challenge, scenario, data), predicted, split, classes, delta in progress(
            parts, len(args.challenges), "challenges"
        ):
            about = {"scenario": scenario, "challenge": challenge, "track": args.track}
            about |= {"data": data, "participant": args.participant}
            given = ~np.isnan(predicted[:, 0])  # train models may be left out
            attacked = {phase: own[given[own]] for phase, own in models.items() if given[own].any()}
            scored = predicted, split.membership
            rows, curves, replicates = entries.score(about, attacked, *scored)
            entry["scores"] += rows
            entry["curves"][challenge] = curves
            entry["replicates"][challenge] = replicates
            entry["audit"][challenge] = audit(
                challenge, attacked, *scored, classes[split.challenge], delta
            )
    entries.write(args.output, entry)


def _modified(path: Path) -> str:
    """When a file was last written, which is when it was submitted."""
    modified = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return modified.isoformat(timespec="seconds")


def _name_problems(participant: str, file: str, taken: Sequence[str]) -> list[str]:
    if entries.UNUSABLE_NAME.search(file):
        return [f"file name {file[:80]!a}: expected plain text, without < > {{ }}"]
    if not PARTICIPANT.fullmatch(participant):
        return [
            f"participant name {participant[:80]!a}: expected a letter or digit, then up to 63 "
            "letters, digits, spaces, dots, hyphens or underscores"
        ]
    if participant in taken:
        return [f"participant name {participant}: is that of a built-in attack"]
    return []


if __name__ == "__main__":
    program.run(main)
