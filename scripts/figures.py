"""Write all figures and tables of a finished run's pages into a folder.

Figures as SVG, PDF and PNG; tables as CSV, LaTeX and Markdown.
"""

import argparse
import re
import sys
import warnings
from itertools import chain, count
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pandas as pd

from mico.pages import finished_pages, svg_drawing, table_texts
from mico.support import program
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError

PAGES = ("report.html", "compare/*.html", "scoreboard/*.html", "records/*/records.html")
PAGES += ("attack_pages/*.html", "detailed_results/*/*/detailed_results.html")
TABLES = {"csv": table_texts.as_csv, "tex": table_texts.as_latex, "md": table_texts.as_markdown}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="results/<run>, finished")
    parser.add_argument(
        "--output", type=Path, required=True, help="the list to write, CSV; the rest lies beside it"
    )
    args = parser.parse_args()

    if not (args.run / "report.html").is_file():
        raise InputError(f"{args.run}: not a finished run: report.html is missing")
    listed = []
    with (
        atomic_directory(args.output.parent) as temporary,
        matplotlib.rc_context(svg_drawing.STYLE),
    ):
        for page in (page for pattern in PAGES for page in sorted(args.run.glob(pattern))):
            name = page.relative_to(args.run)
            alone = page.stem in ("records", "detailed_results")  # in its folder
            place = name.parent if alone else name.with_suffix("")
            listed += [
                {"page": name.as_posix(), "label": label, "file": f"{place.as_posix()}/{file}"}
                for label, file in write(page, temporary / place)
            ]
        pd.DataFrame(listed).to_csv(temporary / args.output.name, index=False)
    print(f"wrote {len(listed)} files, listed in {args.output}")


def write(page: Path, folder: Path) -> list[tuple[str, str]]:
    """Write what is on a page into a folder of its own; gives labels and names of the files.

    Raises:
        InputError: the page is not as this version makes it.
    """
    folder.mkdir(parents=True)
    written = []
    try:
        tree = finished_pages.read(page.read_text(encoding="utf-8"))
        tables, figures = list(finished_pages.tables(tree)), list(finished_pages.figures(tree))
    except (AssertionError, KeyError, StopIteration, ValueError) as error:
        expected = "a page that this version has made; run again, then make the figures"
        raise InputError(f"{page}: expected {expected}") from error
    used: set[str] = set()
    for table in tables:
        name = file_name(table.label, used)
        for ending, written_as in TABLES.items():
            (folder / f"{name}.{ending}").write_text(written_as(table), encoding="utf-8")
            written.append((table.label, f"{name}.{ending}"))
    for label, svg in figures:
        name = file_name(label, used)
        text = ElementTree.tostring(svg, encoding="unicode")
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
        figure = svg_drawing.draw(svg)
        with warnings.catch_warnings(record=True) as told:
            about = {"Title": label, "CreationDate": None}
            figure.savefig(folder / f"{name}.pdf", metadata=about, bbox_inches="tight")
            figure.savefig(folder / f"{name}.png", dpi=288, bbox_inches="tight")
        for message in sorted({str(one.message) for one in told}):
            print(f"{folder.name}/{name}.pdf, .png: {message}", file=sys.stderr)
        written += [(label, f"{name}.{ending}") for ending in ("svg", "pdf", "png")]
    return written


def file_name(label: str, used: set[str]) -> str:
    """A name of letters, digits and points for a label, which is used from then on."""
    plain = re.sub(r"[^\w.]+", "-", label).strip("-.")
    names = chain([plain], (f"{plain}-{number}" for number in count(2)))
    name = next(name for name in names if name not in used)
    used.add(name)
    return name


if __name__ == "__main__":
    program.run(main)
