"""A page's table as CSV, LaTeX and Markdown, as templates/taking_away.js writes it in a browser."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MATHS = {"−": "-", "ε": r"\varepsilon", "δ": r"\delta", "σ": r"\sigma", "≈": r"\approx"}  # noqa: RUF001
MATHS |= {"≤": r"\le", "≥": r"\ge", "∞": r"\infty", "→": r"\rightarrow"}
MATHS |= {"×": r"\times", "²": "^2", "±": r"\pm"}  # noqa: RUF001
TEXTS = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
TEXTS |= {"–": "--", "…": r"\ldots{}", "’": "'", "[": "{[}"}  # noqa: RUF001
TEXTS |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
TEXTS |= {letter: f"\\{letter}" for letter in "{}$&#_%"}


@dataclass(frozen=True)
class Cell:
    """What a cell says, what stands beside it in small letters, and whether it is bold."""

    main: str
    beside: Sequence[str] = ()
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """What it is called, what is said above it, and its cells, in rows of one length."""

    label: str
    caption: str
    head: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]


def as_csv(table: Table) -> str:
    """A column of its own for what stands beside the numbers of another one."""
    wide = [any(row[i].beside for row in table.rows) for i in range(len(table.head))]

    def line(row: Sequence[Cell], beside: Callable[[Cell], str]) -> list[str]:
        cells = []
        for cell, more in zip(row, wide, strict=True):
            cells += [cell.main, beside(cell)] if more else [cell.main]
        return [text.replace("−", "-") for text in cells]  # noqa: RUF001

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(line(table.head, lambda cell: f"{cell.main}, beside"))
    writer.writerows(line(row, lambda cell: ", ".join(cell.beside)) for row in table.rows)
    return text.getvalue()


def as_latex(table: Table) -> str:
    """A floating table, which needs the package booktabs."""

    def heading(cell: Cell) -> str:
        if not cell.beside:
            return tex(cell.main)
        lines = [tex(cell.main), *(rf"\footnotesize {tex(text)}" for text in cell.beside)]
        return r"\shortstack[r]{" + r"\\".join(lines) + "}"

    def shown(cell: Cell) -> str:
        main = rf"\textbf{{{tex(cell.main)}}}" if cell.strong else tex(cell.main)
        beside = [rf"{{\footnotesize {tex(text)}}}" for text in cell.beside]
        return " ".join(filter(None, [main, *beside]))

    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        r"\toprule",
        rf"{' & '.join(map(heading, table.head))} \\",
        r"\midrule",
        *(rf"{' & '.join(map(shown, row))} \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "".join(f"{line}\n" for line in lines)


def as_markdown(table: Table) -> str:
    """The caption and the table."""

    def shown(cell: Cell) -> str:
        main = f"**{plain(cell.main)}**" if cell.strong else plain(cell.main)
        beside = f"({'; '.join(map(plain, cell.beside))})" if cell.beside else ""
        return " ".join(filter(None, [main, beside]))

    rule = ["---", *["---:"] * (len(table.head) - 1)]
    rows = [list(map(shown, table.head)), rule, *(list(map(shown, row)) for row in table.rows)]
    lines = [plain(table.caption), "", *(f"| {' | '.join(row)} |" for row in rows)]
    return "".join(f"{line}\n" for line in lines)


def tex(text: str) -> str:
    """A text as LaTeX shows it; letters that its default fonts lack stay as they are."""
    return "".join(
        f"${MATHS[letter]}$" if letter in MATHS else TEXTS.get(letter, letter) for letter in text
    )


def plain(text: str) -> str:
    """A text as Markdown shows it."""
    return re.sub(r"[\\`*_|<>\[\]]", r"\\\g<0>", text)
