"""What is on a finished page: its tables, and its figures as SVG that stands alone."""

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from xml.etree.ElementTree import Element, SubElement, TreeBuilder

from mico.pages.table_texts import Cell, Table

VOID = ("meta", "link", "img", "input", "br", "hr")
SPELT = {"viewbox": "viewBox", "clippath": "clipPath"}  # names that HTML has without capitals
HIDDEN = ("at-2",)  # parts of a figure that belong to another FPR
# What stands for a line in a legend, about 0; templates/taking_away.js has the same.
SHAPES = {
    "●": "M4 0C4 2.2 2.2 4 0 4C-2.2 4 -4 2.2 -4 0C-4 -2.2 -2.2 -4 0 -4C2.2 -4 4 -2.2 4 0Z",
    "■": "M-3.6 -3.6H3.6V3.6H-3.6Z",
    "◆": "M0 -4.8L4.8 0L0 4.8L-4.8 0Z",
    "▲": "M0 -4.4L4.4 3.6H-4.4Z",
    "▼": "M0 4.4L4.4 -3.6H-4.4Z",
    "━": "M-6 -1H6V1H-6Z",
    "╍": "M-6 -1H-1V1H-6ZM1 -1H6V1H1Z",
}


class _Reader(HTMLParser):
    """Builds the tree of a page; its own pages close what they open."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = TreeBuilder()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.tree.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tree.start(tag, {name: value or "" for name, value in attrs})
        self.tree.end(tag)

    def handle_endtag(self, tag: str) -> None:
        self.tree.end(tag)

    def handle_data(self, data: str) -> None:
        self.tree.data(data)


def read(text: str) -> Element:
    """The tree of a page that this package made."""
    reader = _Reader()
    reader.feed(text[text.index("<html") :])
    return reader.tree.close()


def tables(page: Element) -> Iterator[Table]:
    """All tables of a page."""
    inside = {
        table: region.get("aria-label", "")
        for region in page.iter()
        if region.get("role") == "region"
        for table in region.iter("table")
    }
    for table in page.iter("table"):
        found = table.find("caption")
        caption = "" if found is None else _text(found)
        label = inside.get(table) or caption or "Table"
        (head,) = (_cells(row) for row in table.findall("thead/tr"))
        rows = [_cells(row) for part in ("tbody", "tfoot") for row in table.findall(f"{part}/tr")]
        yield Table(label, caption or label, head, rows)


def _cells(row: Element) -> list[Cell]:
    cells = []
    for one in row:
        small = [part for part in one.iter() if part.tag == "small" or "mark" in _classes(part)]
        beside = [said for part in small if (said := _text(part))]
        main = " ".join("".join(_words(one, set(small))).split())
        cells.append(Cell(main, beside, "highest" in _classes(one)))
        cells += [Cell("")] * (int(one.get("colspan", 1)) - 1)
    return cells


def _words(element: Element, without: set[Element]) -> Iterator[str]:
    """The text of an element, without that of some in it and of what is only to be seen."""
    yield element.text or ""
    for child in element:
        if child not in without and not child.get("aria-hidden") and "near" not in _classes(child):
            yield from _words(child, without)
        yield child.tail or ""


def _text(element: Element) -> str:
    return " ".join("".join(_words(element, set())).split())


def _classes(element: Element) -> list[str]:
    return element.get("class", "").split()


def figures(page: Element) -> Iterator[tuple[str, Element]]:
    """All figures that are drawn in the page, each with what it is called."""
    (style,) = (one.text or "" for one in page.iter("style") if "--paper" in (one.text or ""))
    colours: dict[str, str] = {}
    for name, value in re.findall(r"(--[a-z0-9]+): (#[0-9a-f]+)", style):
        colours.setdefault(name, value)  # the first are those of paper
    for figure in page.iter("figure"):
        legend = next((one for one in figure.iter("ul") if "legend" in _classes(one)), None)
        for svg in figure.iter("svg"):
            if len(svg):
                label = svg.get("aria-label", "Figure").partition(":")[0]
                yield label, _standalone(svg, legend, colours)


def _standalone(svg: Element, legend: Element | None, colours: Mapping[str, str]) -> Element:
    """A figure with its legend, and its colours in it."""
    x, y, width, height = map(float, svg.get("viewbox", "").split())
    lines: list[tuple[str, str, str]] = []  # shape, colour, words
    for item in [] if legend is None else legend:
        mark = next(part for part in item.iter() if part.get("aria-hidden"))
        found = re.search("color: ?([^;]+)", mark.get("style", ""))
        lines.append((mark.text or "", found[1] if found else "var(--ink)", _text(item)))
    height += 16 * len(lines) + 6 * bool(lines)
    whole = Element("svg", xmlns="http://www.w3.org/2000/svg")
    whole.attrib |= {"xmlns:xlink": "http://www.w3.org/1999/xlink", "font-family": "sans-serif"}
    whole.attrib |= {"width": f"{width:g}", "height": f"{height:g}"}
    whole.attrib |= {"viewBox": f"{x:g} {y:g} {width:g} {height:g}"}
    if svg.get("style"):
        whole.set("style", svg.get("style", ""))
    whole.extend(_visible(one) for one in svg if not _hidden(one))
    below = y + height - 16 * len(lines) - 6 * bool(lines)
    for shape, colour, words in lines:
        below += 16
        place = f"translate({x + 14:g} {below - 4:g})"
        SubElement(whole, "path", d=SHAPES[shape], transform=place, style=f"fill: {colour}")
        style = "font-size: 10.5px; fill: var(--ink)"
        SubElement(whole, "text", x=f"{x + 26:g}", y=f"{below:g}", style=style).text = words
    for one in whole.iter():
        if "style" in one.attrib:
            style = one.attrib["style"].replace("currentColor", "var(--ink)")
            one.set("style", re.sub(r"var\((--\w+)\)", lambda name: colours[name[1]], style))
    return whole


def _hidden(element: Element) -> bool:
    return any(name in HIDDEN for name in _classes(element))


def _visible(element: Element) -> Element:
    """A copy of what a figure shows, with the names that SVG has."""
    copy = Element(SPELT.get(element.tag, element.tag))
    copy.attrib |= {k: v for k, v in element.attrib.items() if k not in ("class", "data-curve")}
    copy.text, copy.tail = element.text, element.tail
    copy.extend(_visible(one) for one in element if not _hidden(one))
    return copy
