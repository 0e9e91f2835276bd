"""Gather the standing entries of all tracks: scores, comparisons, ROC curves, audits and notes.

And what became of all submissions.
"""

import json
from pathlib import Path

import pandas as pd

from mico.release import names
from mico.scoring import entries, scorer
from mico.support import argument_files, digests, program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError


def main() -> None:
    parser = argument_files.parser(__doc__)
    parser.add_argument("--entries", type=Path, nargs="+", required=True, help="JSON of score.py")
    parser.add_argument("--challenges", nargs="+", required=True, help="in the order of the table")
    parser.add_argument("--scores", type=Path, required=True, help=".csv to write")
    parser.add_argument("--comparisons", type=Path, required=True, help=".csv to write")
    parser.add_argument("--curves", type=Path, required=True, help=".json to write")
    parser.add_argument("--audit", type=Path, required=True, help=".json to write")
    parser.add_argument("--notes", type=Path, required=True, help=".json to write")
    parser.add_argument("--checksums", type=Path, required=True, help="their SHA-256 sums, beside")
    parser.add_argument("--submissions", type=Path, required=True, help=".json to write")
    parser.add_argument(
        "--passed-over", default="[]", help="JSON of what is among submissions and not taken"
    )
    args = parser.parse_args()

    try:
        passed_over = json.loads(args.passed_over)
    except ValueError as error:
        raise InputError(f"--passed-over: expected JSON ({error})") from None
    found = {path: entries.read(path) for path in args.entries}
    for path, entry in found.items():
        for row in entry.scores:
            if row["challenge"] not in args.challenges:
                known = ", ".join(args.challenges)
                raise InputError(f"{path}: challenge {row['challenge']!r}: expected {known}")
    standing = entries.standing(list(found.values()))
    rows = [row for entry in standing for row in entry.scores]
    rows.sort(key=lambda row: args.challenges.index(row["challenge"]))
    comparisons = scorer.comparisons(standing, args.challenges)
    # Each scenario -> participant -> what is there.
    curves: dict[str, dict[str, object]] = {}
    audits: dict[str, dict[str, object]] = {}
    notes: dict[str, dict[str, object]] = {}
    for entry in standing:
        scenarios = {row["challenge"]: row["scenario"] for row in entry.scores}
        for challenge, scenario in scenarios.items():
            name = entry.participant
            of_phases = entry.curves[challenge]
            if drawn := entries.pooled(of_phases):
                curves.setdefault(scenario, {})[name] = of_phases[drawn]
            if challenge in entry.audit:
                audits.setdefault(scenario, {})[name] = entry.audit[challenge]
            if challenge in entry.notes:
                notes.setdefault(scenario, {})[name] = entry.notes[challenge]

    tables = {
        args.scores: pd.DataFrame(rows),
        args.comparisons: pd.DataFrame(comparisons, columns=scorer.COMPARISON),
    }
    for path, table in tables.items():
        with atomic_file(path) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    history = entries.history({path.stem: entry for path, entry in found.items()})
    ids = names.told_apart(entry.participant for entry in found.values())
    submissions = {
        "submissions": [row | {"id": ids.get(row["participant"])} for row in history],
        "passed_over": passed_over,
    }
    for path, content in (
        (args.curves, curves),
        (args.audit, audits),
        (args.notes, notes),
        (args.submissions, submissions),
    ):
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    written = (*tables, args.curves, args.audit, args.notes, args.submissions)
    sums = {path.name: digests.of_file(path) for path in written}
    with atomic_file(args.checksums) as temporary:
        temporary.write_text(digests.listing(sums), encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
