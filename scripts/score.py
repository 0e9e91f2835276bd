"""Check and score one entry of a track, a built-in attack or somebody's submission."""

import argparse
import time
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path

import numpy as np

from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.data import store
from mico.privacy import budget
from mico.release import intake, names, prediction_files
from mico.scoring import entries, scorer
from mico.scoring.entries import Entry
from mico.scoring.scorer import Challenge
from mico.support import program
from mico.support.errors import InputError
from mico.support.progress import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--track", required=True)
    parser.add_argument("--participant", required=True, help="whose entry it is")
    parser.add_argument("--challenges", nargs="+", required=True, help="the track's challenges")
    parser.add_argument("--scenarios", nargs="+", required=True, help="their scenarios' ids")
    parser.add_argument("--data", nargs="+", required=True, help="the names of their data sets")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="their splits.npz")
    parser.add_argument(
        "--privacy", type=Path, nargs="*", default=[], help="their privacy.json, if there is one"
    )
    parser.add_argument(
        "--datasets", type=Path, nargs="*", default=[], help="their stored data sets, if any"
    )
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument(
        "--unsolved", nargs="*", default=[], help="challenges of which only train is known"
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--predictions", type=Path, nargs="+", help="a built-in attack's directories"
    )
    source.add_argument("--submission", type=Path, help="a participant's .zip")
    parser.add_argument("--state", help="SHA-256 that the submission must have, if any")
    parser.add_argument(
        "--modified",
        type=int,
        help="when it was last written, ns since 1970 (default: its own time)",
    )
    parser.add_argument("--taken", nargs="*", default=[], help="names a participant can't have")
    parser.add_argument(
        "--max-bytes", type=program.from_1, default=intake.MAX_PACKED, help="of a submission"
    )
    parser.add_argument("--output", type=Path, required=True, help="the entry's .json to write")
    args = parser.parse_args()
    given = [name for name in ("privacy", "datasets", "predictions") if getattr(args, name)]
    program.as_many(args, "challenges", "scenarios", "data", "splits", *given)
    phases = Phases(*args.phases)
    splits = dict(zip(args.challenges, map(split_file.read, args.splits), strict=True))
    points = {name: one.membership.shape[1] for name, one in splits.items()}
    if args.submission:
        entry, predictions = _submitted(args, phases, points)
    else:
        folders = dict(zip(args.challenges, args.predictions, strict=True))
        notes = {name: prediction_files.read_note(folder) for name, folder in folders.items()}
        entry = Entry(
            args.participant,
            args.track,
            builtin=True,
            notes={name: note for name, note in notes.items() if note},
        )
        predictions = {
            name: prediction_files.read(folder, phases, points[name])
            for name, folder in folders.items()
        }
    if not entry.problems:
        columns = args.challenges, args.scenarios, args.data
        rows = zip_longest(*columns, args.datasets, args.privacy)
        for name, scenario, data, dataset, privacy in progress(
            rows, len(args.challenges), "challenges"
        ):
            split = splits[name]
            # Of outputs that are given there are neither.
            classes = store.read_labels(dataset) if dataset else np.zeros(split.trained.shape[1])
            labels = classes[split.challenge]
            delta = budget.read(privacy).delta if privacy else None
            solved = name not in args.unsolved
            challenge = Challenge(name, scenario, data, split.membership, labels, delta, solved)
            entry = scorer.score(entry, phases, challenge, predictions[name])
    entries.write(args.output, entry)


def _submitted(
    args: argparse.Namespace, phases: Phases, points: Mapping[str, int]
) -> tuple[Entry, Mapping[str, np.ndarray]]:
    """A submission's entry without scores, and its predictions (models, 2m) by challenge.

    Args:
        points: each challenge's 2m.
    """
    path = args.submission
    problems = names.problems(args.participant, args.taken)
    ignored: list[str] = []
    predictions = {}
    try:
        expected = args.track, points, phases
        found = intake.read(path, *expected, args.max_bytes, args.state, ignored)
        for challenge, attacked in found.items():
            # It leaves out the train models, whose memberships are public.
            left_out = np.full((phases.train, points[challenge]), np.nan)
            predictions[challenge] = np.concatenate([left_out, attacked])
    except intake.Rejected as rejected:
        problems += rejected.problems
    modified = args.modified
    if modified is None:
        try:
            modified = path.lstat().st_mtime_ns
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    entry = Entry(
        names.normal(args.participant),
        args.track,
        builtin=False,
        file=path.name,
        submitted=modified,
        future=modified > time.time_ns(),
        problems=problems,
        ignored=ignored,
    )
    return entry, predictions


if __name__ == "__main__":
    program.run(main)
