"""Say how much attacks know of the seeds of memberships in a finished run, without a search.

The organiser knows the right memberships. A search of all seeds finds those whose odds are above 0.
"""

import argparse
from pathlib import Path

import numpy as np

from mico.attacks import seed_search
from mico.attacks.formulas.seed_search import strongest
from mico.attacks.given import signals as signals_kind
from mico.challenge import split_file
from mico.challenge.phases import Phases
from mico.pages import run_results
from mico.release import prediction_files
from mico.support import program
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="results/<run>, finished")
    parser.add_argument("--bits", type=int, default=seed_search.SEED_BITS, help="of a seed")
    args = parser.parse_args()

    run = run_results.read_run(args.run / "run.json")
    phases = Phases(*(run["models"][phase] for phase in ("train", "dev", "final")))
    print("| | by the scores of | deviations above chance | log odds: least, median | found |")
    print("| --- | --- | --- | --- | --- |")
    for scenario in run["scenarios"]:
        place = Path(scenario["track"]) / scenario["challenge"]
        signals = signals_kind.read([args.run / "signals" / f"{place}.npz"], phases)
        membership = split_file.read(
            args.run / "private" / scenario["id"] / "splits.npz"
        ).membership
        others = {
            folder.name: prediction_files.read(folder / place, phases, membership.shape[1])
            for folder in sorted((args.run / "predictions").iterdir())
            if folder.name != "auto" and (folder / place).is_dir()
        }
        if not others:
            raise InputError(f"{args.run}: no predictions for {place}")
        name, evidence = strongest(signals, others)
        attacked, truth = evidence[phases.train :], membership[phases.train :]
        odds = seed_search.log_odds(attacked, truth, args.bits)
        sure = np.median(seed_search.above_chance(attacked, truth))
        numbers = f"{sure:.1f} | {odds.min():.1f}, {np.median(odds):.1f}"
        print(f"| {scenario['id']} | {name} | {numbers} | {(odds > 0).sum()} of {len(odds)} |")


if __name__ == "__main__":
    program.run(main)
