"""Write a run's report: one self-contained HTML page out of its scores, curves and models."""

from pathlib import Path

from mico.pages import run_results
from mico.pages.report import render
from mico.support import argument_files, program
from mico.support.atomic import atomic_file


def main() -> None:
    parser = argument_files.parser(__doc__)
    run_results.add_inputs(parser)
    parser.add_argument("--output", type=Path, required=True, help="the page to write, HTML")
    args = parser.parse_args()

    page = render(run_results.read(args))
    with atomic_file(args.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
