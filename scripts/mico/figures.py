"""The report's figures: inline SVG whose text and colours are the page's own, so that they follow
its font, its dark mode and its print style.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mico.scoring import FPRS, HEADLINE, HEADLINE_FPR

HIGHLIGHTED = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼"}  # markers of the best participants
# Okabe and Ito's colour-blind-safe palette; the page maps these to variables with a dark variant.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
INK, MUTED, RULE, PALE = "#101010", "#707070", "#e0e0e0", "#b8b8b8"
PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}
PAGE_COLOURS |= {PALE: "var(--pale)"} | {c: f"var(--c{i})" for i, c in enumerate(PALETTE)}
WIDTH = 360  # units of a figure, about CSS pixels on a telephone
SVG_STYLE = {"svg.fonttype": "none", "text.parse_math": False, "font.size": 10.5}
SVG_STYLE |= dict.fromkeys(["text.color", "axes.labelcolor"], INK)
SVG_STYLE |= dict.fromkeys(["xtick.labelcolor", "ytick.labelcolor"], MUTED)
SVG_STYLE |= {"grid.color": RULE, "grid.linewidth": 0.7}


def scenario_figures(
    setting: Mapping[str, Any],
    best: Sequence[Mapping[str, Any]],
    curves: Mapping[str, Any],
    participants: Sequence[str],
) -> dict[str, Any]:
    """A scenario's figures as SVG, their legend and their data."""
    scenario = setting["id"]
    marks: dict[str, tuple[str, str]] = {}  # a colour, over scenarios the same where that can be
    names = [row["participant"] for row in best if row["participant"] in curves]
    for name, marker in zip(names, HIGHLIGHTED, strict=False):
        start = participants.index(name) % len(PALETTE)
        taken = [colour for colour, _ in marks.values()]
        marks[name] = next(c for c in PALETTE[start:] + PALETTE if c not in taken), marker
    figures: dict[str, Any] = {"legend": []}
    with matplotlib.rc_context(SVG_STYLE):
        figures["intervals"] = _svg(_draw_intervals(best, marks), f"Intervals, {scenario}")
        if marks:
            lowest = min(0.1, max(0.001, 1 / (best[0]["models"] * setting["m"])))
            figures["roc"] = _svg(_draw_roc(curves, marks, lowest), f"ROC curves, {scenario}")
            figures["strip"] = _svg(_draw_strip(curves, marks), f"TPR per model, {scenario}")
    for name, (colour, marker) in marks.items():
        figures["legend"].append((name, HIGHLIGHTED[marker], PAGE_COLOURS[colour]))
    points = [(n, *xy) for n, c in curves.items() for xy in zip(c["fpr"], c["tpr"], strict=True)]
    per_model = [(n, *item) for n, c in curves.items() for item in c["models"].items()]
    figures["roc_table"] = pd.DataFrame(points, columns=["participant", "fpr", "tpr"])
    figures["strip_table"] = pd.DataFrame(per_model, columns=["participant", "model", HEADLINE])
    return figures


def _canvas(height: float, left: float, top: float) -> Axes:
    """Axes with these margins in a figure of `height`, in units of the figure."""
    axes = Figure(figsize=(WIDTH / 72, height / 72)).add_axes(
        (left / WIDTH, 40 / height, 1 - (left + 8) / WIDTH, 1 - (40 + top) / height)
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=5)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return axes


def _svg(axes: Axes, title: str) -> Markup:
    """The axes' figure as an SVG element in the page's own font and colours.

    The browser sets the text, so a glyph that matplotlib's font lacks needs no warning.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        axes.figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    box, body = re.search(r'<svg [^>]*viewBox="([^"]*)"[^>]*>(.*)', text.getvalue(), re.S).groups()
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # ids that nothing refers to, not unique on a page
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    body = re.sub(r' (d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), body)
    for colour, variable in PAGE_COLOURS.items():
        body = body.replace(f": {colour}", f": {variable}")
    label = escape(title)
    head = f'<svg viewBox="{box}" role="img" aria-label="{label}"><title>{label}</title>'
    return Markup(head + body)


def _draw_roc(
    curves: Mapping[str, Any], marks: Mapping[str, tuple[str, str]], lowest: float
) -> Axes:
    """ROC curves on logarithmic axes: the marked participants over all others in grey."""
    axes = _canvas(WIDTH, left=38, top=26)
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1))
    axes.set_xlabel("False positive rate")
    axes.set_title("True positive rate", loc="left", fontsize=10.5)
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_formatter("{x:g}")
    axes.grid(axis="y")
    axes.minorticks_off()
    axes.plot([lowest, 1], [lowest, 1], color=MUTED, linewidth=1, dashes=(3, 3))
    axes.axvline(HEADLINE_FPR, color=MUTED, linewidth=0.8)
    axes.text(HEADLINE_FPR * 0.93, lowest * 1.15, "scored here", color=MUTED, ha="right")
    for name in [*(name for name in curves if name not in marks), *reversed(marks)]:
        fpr = np.maximum(curves[name]["fpr"], lowest / 2)  # 0 has no place on a logarithmic axis
        tpr = np.array(curves[name]["tpr"])
        colour, marker = marks.get(name, (PALE, ""))
        axes.step(fpr, tpr, where="post", color=colour, linewidth=1.6 if marker else 0.8)
        rates = np.array([fpr for fpr in FPRS if fpr >= lowest])
        reached = tpr[np.searchsorted(curves[name]["fpr"], rates, side="right") - 1]
        axes.plot(rates, reached, marker, color=colour, markersize=5)
    return axes


def _draw_intervals(
    best: Sequence[Mapping[str, Any]], marks: Mapping[str, tuple[str, str]]
) -> Axes:
    """Estimate and interval of every participant."""
    names = [row["participant"] for row in best]
    axes = _rows(names, [f"{row[HEADLINE]:.3f}" for row in best], height=32)
    for i, row in enumerate(best):
        colour, marker = marks.get(names[i], (MUTED, "o"))
        interval = row[HEADLINE + "_low"], row[HEADLINE + "_high"]
        axes.plot(interval, [i, i], color=colour, linewidth=1.6)
        axes.plot(row[HEADLINE], i, marker, color=colour, markersize=5)
    return axes


def _draw_strip(curves: Mapping[str, Any], marks: Mapping[str, tuple[str, str]]) -> Axes:
    """A dot per model and marked participant, equal values side by side; a bar at their mean."""
    tprs = {name: pd.Series(curves[name]["models"], dtype=float) for name in marks}
    notes = [f"{tpr.min():.2f} to {tpr.max():.2f}" for tpr in tprs.values()]
    axes = _rows(list(marks), notes, height=66)
    for i, (name, tpr) in enumerate(tprs.items()):
        equal = tpr.groupby(tpr.round(2)).cumcount()
        side = np.where(equal % 2, 1, -1) * ((equal + 1) // 2)  # 0, 1, -1, 2, -2, ...
        y = i + side * min(0.056, 0.3 / max(1, side.abs().max()))
        axes.plot(tpr, y, "o", color=marks[name][0], markersize=3.6, alpha=0.6, markeredgewidth=0)
        axes.plot([tpr.mean()] * 2, [i - 0.32, i + 0.32], color=INK, linewidth=1.4)
    return axes


def _rows(names: Sequence[str], notes: Sequence[str], height: float) -> Axes:
    """Axes with a row per name, from the top: name and note above, data at y = 0, 1, 2, ..."""
    axes = _canvas(height * len(names) + 44, left=8, top=4)
    above = 0.5 - 4 / height  # the middle of a line of text at a row's upper edge
    axes.set(ylim=(len(names) - 0.5, -0.5), yticks=[], xlabel=f"TPR at FPR {HEADLINE_FPR}")
    axes.axvline(HEADLINE_FPR, color=MUTED, linewidth=1, dashes=(3, 3))
    for i, (name, note) in enumerate(zip(names, notes, strict=True)):
        short = name if len(name) <= 40 else name[:39] + "…"
        at = axes.get_yaxis_transform()
        axes.text(0, i - above, short, transform=at, va="center")
        axes.text(1, i - above, note, transform=at, va="center", ha="right", color=MUTED)
    return axes
