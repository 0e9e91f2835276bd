"""Draws the SVG of a page's figure, so that it can be saved as PDF, whose paths stay paths, or PNG.

Only what this package's figures are made of is known: groups, paths, rectangles, lines, texts and
markers, with styles in the elements and rectangles to clip by.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.patheffects import Stroke
from matplotlib.transforms import Affine2D, Transform

STEPS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "Q": 4, "Z": 0}
ANCHORS = {"start": "left", "middle": "center", "end": "right"}
INHERITED = {"fill": "#000", "stroke": "none", "stroke-width": "1", "font-size": "16px"}
# Fonts in files as they are, and dashes in units, not in widths of the line.
STYLE: dict[Any, Any] = {"pdf.fonttype": 42, "lines.scale_dashes": False, "text.parse_math": False}

Style = Mapping[str, str]


def draw(svg: Element) -> Figure:
    """The figure, a point for each of its units. It is to be saved with `STYLE`, too."""
    x, y, width, height = map(float, svg.get("viewBox", "").split())
    figure = Figure(figsize=(width / 72, height / 72))
    place = Affine2D().translate(-x, -y - height).scale(1 / 72, -1 / 72) + figure.dpi_scale_trans
    with matplotlib.rc_context(STYLE):
        _Drawing(figure, svg).add(svg, INHERITED, Affine2D(), place, None)
    return figure


class _Drawing:
    """A figure, and what its SVG refers to by name."""

    def __init__(self, figure: Figure, svg: Element) -> None:
        self.figure = figure
        self.named = {f"#{one.get('id')}": one for one in svg.iter() if one.get("id")}

    def add(
        self, element: Element, style: Style, own: Transform, place: Transform, clip: Path | None
    ) -> None:
        """Draw an element and what is in it.

        Args:
            own: its transformation to the whole SVG's units; place: from there to the figure.
        """
        if element.tag in ("defs", "title", "style"):
            return
        style = {**style, **styled(element)}
        # What is not inherited belongs to the element.
        style["opacity"] = styled(element).get("opacity", "1")
        if moved := re.match(r"translate\((\S+) (\S+)\)", element.get("transform", "")):
            own = Affine2D().translate(float(moved[1]), float(moved[2])) + own
        if cut := element.get("clip-path"):
            (box,) = self.named[cut[4:-1]]
            clip = outline(box)
        if element.tag == "use":
            marker = self.named[element.get("xlink:href", "")]
            at = Affine2D().translate(float(element.get("x", 0)), float(element.get("y", 0)))
            self.add(marker, style, at + own, place, clip)
        elif element.tag == "text":
            self._write(element, style, own + place)
        elif element.tag in ("path", "rect", "line"):
            self._paint(element, style, own + place, place, clip)
        for child in element:
            self.add(child, style, own, place, clip)

    def _write(self, element: Element, style: Style, place: Transform) -> None:
        words = " ".join((element.text or "").split())
        # Paper around the letters is below them, as what has an effect is no text any more.
        for effects in [Stroke(linewidth=3, foreground="white")], None:
            self.figure.text(
                float(element.get("x", 0)),
                float(element.get("y", 0)),
                words,
                transform=place,
                fontsize=float(style["font-size"].removesuffix("px")),
                color=style["fill"],
                ha=ANCHORS[style.get("text-anchor", "start")],
                va="baseline",
                path_effects=effects,
            )

    def _paint(
        self,
        element: Element,
        style: Style,
        place: Transform,
        whole: Transform,
        clip: Path | None,
    ) -> None:
        fill = "none" if element.tag == "line" else style["fill"]
        stroke = style["stroke"]
        if fill == stroke == "none":
            return
        dashes = [float(one) for one in re.findall(r"[\d.]+", style.get("stroke-dasharray", ""))]
        faint = float(style["opacity"])
        patch: Artist = PathPatch(
            outline(element),
            transform=place,
            facecolor=(fill, faint * float(style.get("fill-opacity", 1))),
            edgecolor=(stroke, faint * float(style.get("stroke-opacity", 1))),
            linewidth=float(style["stroke-width"]) if stroke != "none" else 0,
            linestyle=(0, dashes) if dashes else "solid",
            capstyle={"square": "projecting"}.get(cap := style.get("stroke-linecap", "butt"), cap),
            joinstyle=style.get("stroke-linejoin", "round"),
        )
        self.figure.add_artist(patch)
        if clip is not None:
            patch.set_clip_path(clip, whole)


def styled(element: Element) -> dict[str, str]:
    """The styles in an element."""
    parts = (part.partition(":") for part in element.get("style", "").split(";"))
    return {name.strip(): value.strip() for name, _, value in parts if value}


def outline(element: Element) -> Path:
    """The path of a path, a rectangle or a line."""
    if element.tag == "rect":
        x, y, width, height = (float(element.get(key, 0)) for key in ("x", "y", "width", "height"))
        return Path([(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)])
    if element.tag == "line":
        x1, y1, x2, y2 = (float(element.get(key, 0)) for key in ("x1", "y1", "x2", "y2"))
        return Path([(x1, y1), (x2, y2)])
    points: list[tuple[float, float]] = []
    codes: list[Any] = []
    at = start = (0.0, 0.0)
    for command, rest in re.findall("([A-Za-z])([^A-Za-z]*)", element.get("d", "")):
        numbers = [float(one) for one in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", rest)]
        step = STEPS[command.upper()]
        for i in range(0, len(numbers) or 1, step or 1):
            now = numbers[i : i + step]
            if command == "H":
                now = [now[0], at[1]]
            elif command == "V":
                now = [at[0], now[0]]
            elif not step:
                now = list(start)
            kind = {2: Path.LINETO, 4: Path.CURVE3, 6: Path.CURVE4}[len(now)]
            if command == "M" and i == 0:
                kind, start = Path.MOVETO, (now[0], now[1])
            if not step:
                kind = Path.CLOSEPOLY
            pairs = list(zip(now[::2], now[1::2], strict=True))
            points += pairs
            codes += [kind] * len(pairs)
            at = pairs[-1]
    return Path(points, codes)
