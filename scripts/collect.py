"""Gather the standing entries of all tracks: a table of scores, and ROC curves for the report."""

import argparse
import json
from pathlib import Path

import pandas as pd

from mico import command_line, entries
from mico.atomic import atomic_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=Path, nargs="+", required=True, help="JSON of score.py")
    parser.add_argument("--challenges", nargs="+", required=True, help="in the order of the table")
    parser.add_argument("--scores", type=Path, required=True, help=".csv to write")
    parser.add_argument("--curves", type=Path, required=True, help=".json to write")
    args = parser.parse_args()

    standing = entries.standing(entries.read(args.entries))
    rows = [row for entry in standing for row in entry["scores"]]
    rows.sort(key=lambda row: args.challenges.index(row["challenge"]))
    curves: dict[str, dict[str, object]] = {}
    for entry in standing:
        scenarios = {row["challenge"]: row["scenario"] for row in entry["scores"]}
        for challenge, scenario in scenarios.items():
            of_scenario = curves.setdefault(scenario, {})
            of_scenario[entry["participant"]] = entry["curves"][challenge]["both"]

    with atomic_file(args.scores) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    with atomic_file(args.curves) as temporary:
        temporary.write_text(json.dumps(curves) + "\n", encoding="utf-8")


if __name__ == "__main__":
    command_line.run(main)
