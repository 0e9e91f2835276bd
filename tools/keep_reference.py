"""Keep a finished run's scores as reference results, with the machine and the commit."""

import argparse
import csv
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from mico.pages import comparison, reference
from mico.support import json_files, program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError

FOLDER = Path(__file__).parents[1] / "reference"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="results/<run>, finished")
    parser.add_argument("--machine", required=True, help='such as "two cores of an AMD EPYC"')
    parser.add_argument("--commit", required=True, help="of the code that made the run")
    args = parser.parse_args()

    results = comparison.read(args.run).results
    folder = FOLDER / results.run["run"]
    folder.mkdir(parents=True, exist_ok=True)
    for name in reference.COPIED:
        shutil.copyfile(args.run / name, folder / name)
    with atomic_file(folder / reference.TABLE) as temporary:
        reference.scenarios(results).to_csv(
            temporary, index=False, float_format="%.6g", lineterminator="\n"
        )
    made = {"machine": args.machine, "commit": _commit(args.commit), "date": results.run["created"]}
    json_files.write(folder / reference.MADE, made | _costs(args.run / "benchmarks"), indent=2)
    print(f"wrote {folder}")


def _commit(name: str) -> str:
    """A commit's hash, short."""
    command = ["git", "rev-parse", "--short=10", "--verify", "--quiet", f"{name}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        raise InputError(f"--commit {name}: expected a commit of this repository")
    return found.stdout.strip()


def _costs(folder: Path) -> dict[str, object]:
    """Process seconds of each rule, the largest memory of a process, and the span of the run.

    The span is from the start of the first job to the end of the last one, pauses included.
    """
    seconds: dict[str, float] = defaultdict(float)
    peak, starts, ends = 0.0, [], []
    for path in sorted(folder.rglob("*.tsv")):
        rule = path.relative_to(folder).parts[0].removesuffix(".tsv")
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                took = float(row["s"])
                seconds[rule] += took
                if row["max_rss"] != "-":  # too short to be looked at
                    peak = max(peak, float(row["max_rss"]))
        ends.append(path.stat().st_mtime)
        starts.append(ends[-1] - took)
    if not ends:
        raise InputError(f"{folder}: expected the benchmarks of a run")
    return {
        "process_seconds": {
            rule: round(took, 1) for rule, took in sorted(seconds.items(), key=lambda one: -one[1])
        },
        "peak_mb": round(peak),
        "span_seconds": round(max(ends) - min(starts)),
    }


if __name__ == "__main__":
    program.run(main)
