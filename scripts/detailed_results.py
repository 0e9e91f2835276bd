"""Write for every entry of a track what its participant is told: scores.txt and a page."""

from pathlib import Path

from mico.pages import detailed_results
from mico.scoring import entries
from mico.support import argument_files, program
from mico.support.atomic import atomic_directory


def main() -> None:
    parser = argument_files.parser(__doc__)
    parser.add_argument("--entries", type=Path, nargs="*", required=True, help="JSON of score.py")
    parser.add_argument(
        "--reveal", choices=["dev", "final"], required=True, help="the last phase to be told of"
    )
    parser.add_argument("--synthetic", action="store_true", help="the data are a stand-in")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    phases = ["dev"] if args.reveal == "dev" else ["dev", "final"]
    with atomic_directory(args.output) as temporary:
        for path in args.entries:
            entry = entries.read(path)
            folder = temporary / path.stem
            folder.mkdir()
            text = detailed_results.page(entry, phases, args.synthetic)
            (folder / "detailed_results.html").write_text(text, encoding="utf-8")
            for phase in phases:
                if not entry.problems:
                    text = detailed_results.scores_text(entry, phase)
                    (folder / f"scores_{phase}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
