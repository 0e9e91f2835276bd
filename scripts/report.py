"""Write a run's report: one self-contained HTML page out of its scores, curves and models."""

import argparse
from pathlib import Path

from mico.atomic import atomic_file
from mico.command_line import run
from mico.report import read_curves, read_models, read_run, read_scores, render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of the run")
    parser.add_argument("--curves", type=Path, required=True, help="ROC curves, JSON")
    parser.add_argument(
        "--models", type=Path, nargs="+", required=True, help="tables of the trained models, CSV"
    )
    parser.add_argument("--run", type=Path, required=True, help="how the run was made, JSON")
    parser.add_argument("--output", type=Path, required=True, help="the page to write, HTML")
    arguments = parser.parse_args()

    page = render(
        read_scores(arguments.scores),
        read_curves(arguments.curves),
        read_models(arguments.models),
        read_run(arguments.run),
    )
    with atomic_file(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
