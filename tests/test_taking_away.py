"""Figures and tables taken from pages: by a browser, and into a folder; both say the same."""

import io
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import browser
import matplotlib
import numpy as np
import pandas as pd
import programs
import pytest
from PIL import Image
from run_files import EVIL, results_of, write_run

from mico.pages import finished_pages, svg_drawing, table_texts
from mico.pages.rendering import TEMPLATES
from mico.pages.report import render
from mico.pages.table_texts import Cell, Table

NAMES = ["references-8", "loss", EVIL, r"cost_50% $\frac{1}$ & [鍵]", "lira-online", "gap", "coin"]
SVG = "{http://www.w3.org/2000/svg}"
MINUS = "\u2212"

TABLE = Table(
    "Scores",
    "Scores in % of #1",
    [Cell("Name"), Cell("T_1", ["no DP"]), Cell("Gain")],
    [
        [Cell("a_b & 50%"), Cell("0.5", ["0.4–0.6"], strong=True), Cell(f"{MINUS}0.1")],  # noqa: RUF001
        [Cell("[x|y], ε"), Cell("not scored"), Cell("0.2", ["≈", "^~"])],
    ],
)


def test_a_table_as_csv_is_for_programs() -> None:
    text = table_texts.as_csv(TABLE)
    table = pd.read_csv(io.StringIO(text))
    assert list(table) == ["Name", "T_1", "T_1, beside", "Gain", "Gain, beside"]
    assert table["Gain"].tolist() == [-0.1, 0.2]
    assert table["Name"].tolist() == ["a_b & 50%", "[x|y], ε"]
    assert table["Gain, beside"].tolist()[1] == "≈, ^~"


def test_a_table_as_latex_escapes_what_latex_takes_for_commands() -> None:
    assert table_texts.as_latex(TABLE).splitlines() == [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        r"\caption{Scores in \% of \#1}",
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Name & \shortstack[r]{T\_1\\\footnotesize no DP} & Gain \\",
        r"\midrule",
        r"a\_b \& 50\% & \textbf{0.5} {\footnotesize 0.4--0.6} & $-$0.1 \\",
        r"{[}x\textbar{}y], $\varepsilon$ & not scored & 0.2 {\footnotesize $\approx$} "
        r"{\footnotesize \textasciicircum{}\textasciitilde{}} \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    assert table_texts.tex(r"\$ {x} <y>") == (
        r"\textbackslash{}\$ \{x\} \textless{}y\textgreater{}"
    )


def test_a_table_as_markdown_has_one_cell_where_the_page_has_one() -> None:
    assert table_texts.as_markdown(TABLE).splitlines() == [
        "Scores in % of #1",
        "",
        r"| Name | T\_1 (no DP) | Gain |",
        "| --- | ---: | ---: |",
        rf"| a\_b & 50% | **0.5** (0.4–0.6) | {MINUS}0.1 |",  # noqa: RUF001
        r"| \[x\|y\], ε | not scored | 0.2 (≈; ^~) |",
    ]


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><style>
:root, .on-paper { --paper: #fff; --ink: #111; --c0: #0000ff; } :root { --c0: #ff00ff; }
</style></head><body>
<div class="scroll" role="region" aria-label="Some scores"><table>
<caption><span>All of <strong>them</strong>.</span></caption>
<thead><tr><th>Who</th><th><span class="label">TPR</span><small>no DP</small></th></tr></thead>
<tbody><tr><th>a &lt;b&gt;</th><td class="highest"><span class="mark">≈</span><span>0.5</span>
<small>0.4 to 0.6</small><span aria-hidden="true">bar</span></td></tr></tbody>
<tfoot><tr><th>guess</th><td>0.1</td></tr></tfoot></table></div>
<figure><svg viewBox="0 0 100 50" role="img" aria-label="Square: blue"><title>Square</title>
<defs><clipPath id="c"><rect x="0" y="0" width="60" height="50"/></clipPath></defs>
<g class="at-2"><path d="M0 0H100V50H0Z" style="fill: var(--ink)"/></g>
<g clip-path="url(#c)"><path d="M40 10H80V40H40Z" style="fill: var(--c0)"/></g>
<text x="2" y="30" style="font-size: 10px; fill: currentColor">Word</text></svg>
<ul class="legend"><li><span aria-hidden="true" style="color:var(--c0)">■</span> a square</li></ul>
</figure></body></html>"""


def test_a_page_is_read_as_it_is_seen() -> None:
    page = finished_pages.read(PAGE)
    (table,) = finished_pages.tables(page)
    assert (table.label, table.caption) == ("Some scores", "All of them.")
    assert table.head == [Cell("Who", []), Cell("TPR", ["no DP"])]
    first = [Cell("a <b>", []), Cell("0.5", ["≈", "0.4 to 0.6"], strong=True)]
    assert table.rows == [first, [Cell("guess", []), Cell("0.1", [])]]
    ((label, svg),) = finished_pages.figures(page)
    assert label == "Square"
    text = ElementTree.tostring(svg, encoding="unicode")
    assert "var(" not in text
    assert "#ff00ff" not in text  # what a dark screen has
    words = [one.text for one in ElementTree.fromstring(text).iter(f"{SVG}text")]
    assert words == ["Word", "a square"]


def test_the_program_writes_what_pages_show(tmp_path: Path) -> None:
    (tmp_path / "run/records/T1").mkdir(parents=True)
    (tmp_path / "run/report.html").write_text(PAGE)
    (tmp_path / "run/records/T1/records.html").write_text(PAGE)
    output = tmp_path / "run/figures/contents.csv"
    done = programs.run("figures", "--run", tmp_path / "run", "--output", output)
    assert (done.returncode, done.stderr) == (0, "")
    listed = pd.read_csv(output)
    names = [f"Some-scores.{one}" for one in ("csv", "tex", "md")]
    names += [f"Square.{one}" for one in ("svg", "pdf", "png")]
    assert listed.file.tolist() == [
        f"{where}/{name}" for where in ("report", "records/T1") for name in names
    ]
    found = {path.relative_to(output.parent).as_posix() for path in output.parent.rglob("*.*")}
    assert found == {*listed.file, "contents.csv"}
    content = (output.parent / "report/Square.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert b"/FontFile2" in content  # embedded
    assert b"/Subtype /Image" not in content
    pixels = np.array(Image.open(output.parent / "report/Square.png").convert("RGB"))
    # 20 of 40 columns are clipped, at 4 pixels a unit; the legend has a square of about 7.
    blue = (pixels == (0, 0, 255)).all(axis=2).sum() / 16
    assert blue == pytest.approx(20 * 30 + 7.2**2, rel=0.03)


def test_a_run_without_a_report_is_named(tmp_path: Path) -> None:
    done = programs.run("figures", "--run", tmp_path, "--output", tmp_path / "out/contents.csv")
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path}: not a finished run: report.html is missing\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        "no page",
        PAGE.replace("thead", "tbody"),
        PAGE.replace("--c0", "--d0", 1).replace("--c0: #ff00ff", ""),
    ],
)
def test_a_page_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.html").write_text(text)
    done = programs.run("figures", "--run", tmp_path, "--output", tmp_path / "out/contents.csv")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'report.html'}: expected a page that this")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_paths_are_drawn_as_svg_says() -> None:
    element = ElementTree.fromstring('<path d="M1 2L3 4H5V6Q7 8 9 10C1 2 3 4 5 6Z"/>')
    path = svg_drawing.outline(element)
    assert path.vertices[:4].tolist() == [[1, 2], [3, 4], [5, 4], [5, 6]]
    assert path.vertices[-1].tolist() == [1, 2]
    assert path.codes.tolist() == [1, 2, 2, 2, 3, 3, 4, 4, 4, 79]


def test_letters_of_the_browsers_pdf_are_as_wide_as_the_font_says() -> None:
    text = (TEMPLATES / "taking_away.js").read_text(encoding="utf-8")
    widths = list(map(int, re.search(r"WIDTHS = \[(.*?)\]", text, re.S)[1].split(",")))
    font = Path(matplotlib.get_data_path()) / "fonts/pdfcorefonts/Helvetica.afm"
    standard = dict(re.findall(r"^C (\d+) ; WX (\d+)", font.read_text(), re.M))
    differing = [i for i, width in enumerate(widths, 32) if width != int(standard[str(i)])]
    assert len(widths) == 95
    assert differing == [ord("'"), ord("`")]  # in the encoding of a PDF they are other letters
    found = re.findall(r"WX (\d+) ; N (\w+)", font.read_text())
    by_name = {name: int(width) for width, name in found}
    for code in range(0xC0, 0x100):
        base, *accent = unicodedata.normalize("NFD", chr(code))
        if accent:
            width = 278 if base == "i" else by_name[base]
            mark = unicodedata.name(chr(code)).partition(" WITH ")[2].lower()
            spelt = {"diaeresis": "dieresis", "ring above": "ring"}.get(mark, mark)
            assert by_name[base + spelt] == width


def test_both_draw_the_same_shapes() -> None:
    text = (TEMPLATES / "taking_away.js").read_text(encoding="utf-8")
    for shape, path in finished_pages.SHAPES.items():
        assert f'"{shape}": "{path}"' in text


PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("unhandledrejection", event => errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
addEventListener("load", () => {
  const made = {};
  save = (content, name) => { made[name] = content; };
  const tables = Array.from(document.querySelectorAll("table"), table => {
    const found = contentOf(table);
    return [named(table), asCsv(found), asLatex(found), asMarkdown(found)];
  });
  const svg = document.querySelectorAll("svg[data-lowest]")[1];
  const box = svg.closest("figure").querySelector(".take");
  box.querySelector("summary").click();
  const focused = [];
  for (const button of box.querySelectorAll("button")) {
    button.focus();
    focused.push(document.activeElement === button);
    button.click();
  }
  const links = [...document.querySelectorAll("a[download$='.csv.gz']")];
  links[0].click();
  const wait = () => {
    const names = Object.keys(made);
    if (names.length < 4) return setTimeout(wait, 10);
    const ending = one => made[names.find(name => name.endsWith(one))];
    parent.postMessage({
      errors, tables, focused, names, svg: ending("svg"), csv: ending("csv"),
      pdf: [...ending("pdf")], png: [...ending("png")],
      menus: document.querySelectorAll(".take").length,
      shown: document.querySelectorAll("svg, table").length,
    }, "*");
  };
  wait();
});
</script>"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(results_of(write_run(tmp_path_factory.mktemp("run"), NAMES)))


@pytest.fixture(scope="module")
def seen(text: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser takes away of a report."""
    folder = tmp_path_factory.mktemp("browser")
    page = text.replace("<head>", "<head>" + PROBE, 1)
    return browser.show(page, folder, 1200, 900, budget=60_000)


@pytest.mark.slow
def test_every_figure_and_table_has_a_menu_that_keys_reach(seen: dict) -> None:
    assert seen["errors"] == []
    assert seen["menus"] == seen["shown"] > 20
    assert seen["focused"] == [True] * 3
    files = [f"demo-ROC-curves-T2.{one}" for one in ("pdf", "png", "svg")]
    assert sorted(seen["names"]) == [*files, "scores.csv"]
    assert pd.read_csv(io.StringIO(seen["csv"])).participant.nunique() == len(NAMES)  # unpacked


@pytest.mark.slow
def test_a_browser_and_the_folder_write_the_same_tables(seen: dict, text: str) -> None:
    kinds = table_texts.as_csv, table_texts.as_latex, table_texts.as_markdown
    expected = [
        [table.label, *(kind(table) for kind in kinds)]
        for table in finished_pages.tables(finished_pages.read(text))
    ]
    assert seen["tables"] == expected
    scores = pd.read_csv(io.StringIO(seen["tables"][0][1])).set_index("Participant")
    assert EVIL in scores.index


@pytest.mark.slow
def test_a_figure_as_svg_stands_alone(seen: dict) -> None:
    tree = ElementTree.fromstring(seen["svg"])
    assert not re.search(r"var\(|class=|<use|url\((?!&quot;#|#)", seen["svg"])
    words = [one.text for one in tree.iter(f"{SVG}text")]
    assert words[-2:] == ["bound: all steps seen", "heuristic: last model seen"]  # the legend
    assert set(NAMES) & set(words) == set(words) & {*NAMES}
    assert len(set(NAMES) & set(words)) == 5
    assert words.count("scored here") == 1  # at the FPR that the page is at


def parts(content: bytes) -> dict[int, bytes]:
    """The objects of a PDF, by number, as its table says where they are."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)[1])
    assert content[start:].startswith(b"xref\n0 ")
    places = re.findall(rb"(\d{10}) \d{5} ([nf]) \n", content[start:])
    found = {}
    for number, (place, kind) in enumerate(places):
        if kind == b"n":
            head = f"{number} 0 obj\n".encode()
            rest = content[int(place) :]
            assert rest.startswith(head)
            found[number] = rest[len(head) : rest.index(b"\nendobj")]
    return found


@pytest.mark.slow
def test_a_figure_as_pdf_has_its_paths_and_its_text(seen: dict) -> None:
    content = bytes(seen["pdf"])
    assert content.startswith(b"%PDF-1.")
    objects = parts(content)
    for one in objects.values():
        if stream := re.match(rb"<< /Length (\d+) >>\nstream\n(.*)\nendstream$", one, re.S):
            assert int(stream[1]) == len(stream[2])
    assert b"/Subtype /Image" not in content
    drawn = objects[4].decode("latin-1")
    assert drawn.count("\nq\n") == drawn.count("\nQ")
    tree = ElementTree.fromstring(seen["svg"])
    solid = [
        one
        for kind in ("path", "line", "rect")
        for one in tree.iter(SVG + kind)
        if not re.search("fill: ?none; ?.*stroke: ?none;", one.get("style", ""))
    ]
    painted = re.findall(r" (?:S|f|B)$", drawn, re.M)
    hidden = len(list(tree.iter(f"{SVG}clipPath")))  # its rectangle is not painted
    assert len(painted) == len(solid) - hidden
    said = [
        bytes.fromhex(one).decode("cp1252")
        for one in re.findall("/F1 [0-9.]+ Tf 0 Tc <(.*?)>", drawn)
    ]
    assert {"True positive rate", "False positive rate", "bound: all steps seen"} <= set(said)
    assert EVIL in said
    letters = re.search(rb"beginbfchar <00> <(.*?)>", content)[1]
    assert bytes.fromhex(letters.decode()).decode("utf-16-be") == "鍵"


@pytest.mark.slow
def test_a_pdf_reader_opens_the_figure(seen: dict, tmp_path: Path) -> None:
    if not (shutil.which("pdftotext") and shutil.which("pdftoppm")):
        pytest.skip("no pdftotext and pdftoppm to open it with")
    path = tmp_path / "figure.pdf"
    path.write_bytes(bytes(seen["pdf"]))
    done = subprocess.run(["pdftotext", path, "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert NAMES[3] in done.stdout
    command = ["pdftoppm", "-r", "288", "-png", "-singlefile", path, tmp_path / "drawn"]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
    ours = Image.open(io.BytesIO(bytes(seen["png"]))).convert("L")
    theirs = Image.open(tmp_path / "drawn.png").convert("L")
    assert abs(np.subtract(ours.size, theirs.size)).max() <= 4
    # Blurred, as their fonts differ: where one is dark, so is the other.
    small = [np.array(one.resize((45, 60)), float) for one in (ours, theirs)]
    assert np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1] > 0.95


@pytest.mark.slow
def test_a_figure_as_png_has_288_dots_an_inch(seen: dict) -> None:
    image = Image.open(io.BytesIO(bytes(seen["png"])))
    assert image.width >= 4 * 360
    assert (np.array(image.convert("L")) < 128).mean() > 0.005
