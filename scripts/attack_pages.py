"""Write a page on each built-in attack of a run: its formula, scores, calibration and classes."""

from pathlib import Path

from mico.pages import run_results
from mico.pages.attack_pages import render
from mico.support import argument_files, program
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError


def main() -> None:
    parser = argument_files.parser(__doc__)
    run_results.add_inputs(parser)
    parser.add_argument(
        "--own",
        nargs="*",
        default=[],
        metavar="NAME=PATH",
        help="the files of attacks that are none of the built-in ones",
    )
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    args = parser.parse_args()

    found = run_results.read(args)
    names = [attack["name"] for attack in found.run["attacks"]]
    for name in names:
        if Path(name).name != name:
            raise InputError(f"{args.run}: attack {name!r}: expected a file name")
        if names.count(name) > 1:
            raise InputError(f"{args.run}: attack {name!r}: expected one of that name")
    own = {}
    for text in args.own:
        name, _, path = text.partition("=")
        own[name] = Path(path)
        if name not in names or not own[name].is_file():
            raise InputError(f"--own {text}: expected NAME=PATH, an attack of the run and its file")
    with atomic_directory(args.output) as temporary:
        for attack in found.run["attacks"]:
            page = render(found, attack, own.get(attack["name"]))
            (temporary / f"{attack['name']}.html").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    program.run(main)
