"""The pages' figures: inline SVG whose text and colours are the page's own, so that they follow
its font, its dark mode and its print style.
"""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mico.scoring.metrics import COMPARED, FPRS, HEADLINE, HEADLINE_FPR, RATES, TITLES

HIGHLIGHTED = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼"}  # markers of the best participants
# Okabe and Ito's colour-blind-safe palette; the page maps these to variables with a dark variant.
PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
INK, MUTED, RULE, PALE = "#101010", "#707070", "#e0e0e0", "#b8b8b8"
PAGE_COLOURS = {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)"}
PAGE_COLOURS |= {PALE: "var(--pale)"} | {c: f"var(--c{i})" for i, c in enumerate(PALETTE)}
WIDTH = 360  # units of a figure, about CSS pixels on a telephone
SVG_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "text.parse_math": False, "font.size": 10.5}
SVG_STYLE |= {"path.simplify_threshold": 0.6}  # pixels: points that nobody sees are left out
SVG_STYLE |= dict.fromkeys(["text.color", "axes.labelcolor"], INK)
SVG_STYLE |= dict.fromkeys(["xtick.labelcolor", "ytick.labelcolor"], MUTED)
SVG_STYLE |= {"grid.color": RULE, "grid.linewidth": 0.7}

Marks = Mapping[str, tuple[str, str]]  # participant -> colour, marker
Estimate = tuple[float, float, float]  # with the ends of its interval
Ceiling = Mapping[str, Sequence[float]]  # fpr, bound, heuristic; all empty without DP
# Beginnings of ids: of a participant's curve, and of what is shown while the page is at an FPR.
CURVE, AT = "curve of ", "at "
ENDS = ("", "_low", "_high")  # of a column's name: the estimate and its interval


def scenario_figures(
    setting: Mapping[str, Any],
    best: Sequence[Mapping[str, Any]],
    curves: Mapping[str, Any],
    participants: Sequence[str],
    ceiling: Ceiling,
) -> dict[str, Any]:
    """A scenario's figures as SVG, their legend and their data.

    Those `at` an FPR come once for each of `COMPARED`.
    """
    scenario = setting["id"]
    marks: dict[str, tuple[str, str]] = {}  # a colour, over scenarios the same where that can be
    names = [row["participant"] for row in best if row["participant"] in curves]
    for name, marker in zip(names, HIGHLIGHTED, strict=False):
        start = participants.index(name) % len(PALETTE)
        taken = [colour for colour, _ in marks.values()]
        marks[name] = next(c for c in PALETTE[start:] + PALETTE if c not in taken), marker
    figures: dict[str, Any] = {"legend": []}
    with matplotlib.rc_context(SVG_STYLE):
        if marks:
            lowest = smallest_fpr(setting, best[0]["models"], curves)
            figures["roc"] = roc(scenario, curves, marks, lowest, ceiling)
        figures["at"] = [_at(metric, scenario, best, curves, marks) for metric in COMPARED]
    for name, (colour, marker) in marks.items():
        figures["legend"].append((name, HIGHLIGHTED[marker], PAGE_COLOURS[colour]))
    figures["roc_table"] = roc_table(curves)
    return figures


def _at(
    metric: str,
    scenario: str,
    best: Sequence[Mapping[str, Any]],
    curves: Mapping[str, Any],
    marks: Marks,
) -> dict[str, Any]:
    """A scenario's figures and data at the FPR of a metric."""
    title = TITLES[metric]
    rows = sorted(best, key=lambda row: (-row[metric], row["participant"]))
    columns = {"participant": "participant"} | {metric + end: "tpr" + end for end in ENDS}
    per_model = {name: curve["models"][metric] for name, curve in curves.items()}
    found = {
        "fpr": RATES[metric],
        "intervals": _svg(_draw_intervals(rows, marks, metric), f"{title} of all, {scenario}"),
        "intervals_table": pd.DataFrame(rows)[list(columns)].rename(columns=columns),
        "strip_table": pd.DataFrame(per_model).rename_axis("model").reset_index(),
    }
    if marks:
        tprs = {name: per_model[name] for name in marks}
        colours = [colour for colour, _ in marks.values()]
        drawn = _draw_strip(tprs, colours, metric)
        found["strip"] = _svg(drawn, f"{title} by model, {scenario}")
    return found


def smallest_fpr(setting: Mapping[str, Any], models: int, curves: Mapping[str, Any]) -> float:
    """That of a single non-member of so many models; of given outputs, the first in any curve."""
    if setting["m"] is None:
        return min((rate for one in curves.values() for rate in one["fpr"] if rate > 0), default=1)
    return 1 / (models * float(setting["m"]))


def roc(
    scenario: str, curves: Mapping[str, Any], marks: Marks, smallest: float, ceiling: Ceiling
) -> Markup:
    """A scenario's ROC curves, down to the smallest FPR above 0."""
    lowest = min(0.1, max(0.001, smallest))
    with matplotlib.rc_context(SVG_STYLE):
        axes = _draw_roc(curves, marks, lowest, ceiling)
        # By these the page's program finds rates.
        about = {"lowest": f"{lowest:.6g}", "box": _place(axes), "scored": f"{HEADLINE_FPR:g}"}
        about |= {"rates": " ".join(f"{rate:g}" for rate in FPRS if rate >= lowest)}
        return _svg(axes, f"ROC curves, {scenario}", about)


def roc_table(curves: Mapping[str, Any]) -> pd.DataFrame:
    """A row per FPR at which any curve rises, a column per participant: the TPR there."""
    tprs = {
        name: pd.Series(curve["tpr"], curve["fpr"]).groupby(level=0).last()
        for name, curve in curves.items()
    }
    # A curve keeps its TPR until it rises again.
    return pd.DataFrame(tprs).sort_index().ffill().rename_axis("fpr").reset_index()


def gain(
    title: str, label: str, lines: Sequence[Mapping[int, Estimate]], level: Estimate | None
) -> Markup:
    """A metric against the number of reference models, a line for each kind of them.

    Args:
        level: the best that shadow models alone give, as a horizontal line.
    """
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(280, left=38, top=26)
        counts = sorted({count for line in lines for count in line})
        axes.set_xscale("log", base=2)
        axes.set(xticks=counts, xlim=(counts[0] / 1.3, counts[-1] * 1.3))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("Reference models per target")
        axes.set_title(label, loc="left", fontsize=10.5)
        axes.minorticks_off()
        axes.grid(axis="y")
        if level:
            axes.axhspan(*level[1:], color=RULE, alpha=0.6, linewidth=0)
            axes.axhline(level[0], color=MUTED, linewidth=1.2, dashes=(5, 2))
        for line, colour, marker in zip(lines, cycle(PALETTE), cycle(HIGHLIGHTED), strict=False):
            values = np.array([line[count] for count in sorted(line)])
            axes.plot(sorted(line), values[:, 0], color=colour, linewidth=1.4)
            _whiskers(axes, sorted(line), values, colour, marker)
        return _svg(axes, title)


def budgets(
    title: str, lines: Sequence[Sequence[Mapping[str, Any]]], metric: str = HEADLINE
) -> Markup:
    """The highest TPR against the epsilon spent, with the ceilings, a line for each group.

    Args:
        lines: scenarios with epsilon_spent (None without DP, which has its place at the right), the
            metric with its interval, bound and heuristic (None without DP).
    """
    sides = [side for line in lines for side in line]
    spent = sorted({side["epsilon_spent"] for side in sides if side["epsilon_spent"] is not None})
    without = 3 * spent[-1] if spent else 1.0
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(WIDTH, left=38, top=26)
        axes.set(xscale="log", xlim=((spent or [without])[0] / 1.6, without * 1.6), ylim=(0, 1.02))
        labelled = _apart(spent, (without / (spent or [without])[0]) ** 0.15)
        axes.set(xticks=[*labelled, without])
        axes.set_xticklabels([*(f"{one:.3g}" for one in labelled), "no DP"])
        axes.set_xlabel("ε spent")
        axes.set_title(TITLES[metric], loc="left", fontsize=10.5)
        axes.minorticks_off()
        axes.grid(axis="y")
        axes.axhline(RATES[metric], color=MUTED, linewidth=1, dashes=(3, 3))
        for line, colour, marker in zip(lines, cycle(PALETTE), cycle(HIGHLIGHTED), strict=False):
            at = [without if one["epsilon_spent"] is None else one["epsilon_spent"] for one in line]
            order = np.argsort(at, kind="stable")
            values = np.array([[one[metric + end] for end in ENDS] for one in line])[order]
            axes.plot(np.array(at)[order], values[:, 0], color=colour, linewidth=1.4)
            _whiskers(axes, np.array(at)[order], values, colour, marker)
            limited = [
                (x, one) for x, one in zip(at, line, strict=True) if one["bound"] is not None
            ]
            for kind, look in ("bound", INK), ("heuristic", MUTED):
                tops = [one[kind] for _, one in limited]
                axes.plot([x for x, _ in limited], tops, "_", color=look, markersize=14)
        return _svg(axes, title)


def accuracies(title: str, lines: Sequence[Sequence[Mapping[str, Any]]]) -> Markup:
    """The highest TPR against the accuracy on records that were not trained on, a dot each.

    Args:
        lines: as of `budgets`, with evaluation_accuracy, None where it is not known.
    """
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(WIDTH, left=38, top=26)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="Evaluation accuracy")
        axes.set_title(TITLES[HEADLINE], loc="left", fontsize=10.5)
        axes.grid(axis="y")
        axes.axhline(HEADLINE_FPR, color=MUTED, linewidth=1, dashes=(3, 3))
        placed: list[tuple[float, float, float, float]] = []
        for line, colour, marker in zip(lines, cycle(PALETTE), cycle(HIGHLIGHTED), strict=False):
            known = [one for one in line if one["evaluation_accuracy"] is not None]
            values = np.array([[one[HEADLINE + end] for end in ENDS] for one in known])
            if known:
                at = [one["evaluation_accuracy"] for one in known]
                _whiskers(axes, at, values, colour, marker)
                for x, y, one in zip(at, values[:, 0], known, strict=True):
                    _label(axes, one["scenario"], (x, y), placed)
        return _svg(axes, title)


def line_legend(labels: Sequence[str]) -> list[tuple[str, str, str]]:
    """Label, marker and colour of each line, as `gain`, `budgets` and `accuracies` have them."""
    looks = zip(labels, cycle(HIGHLIGHTED.values()), cycle(PALETTE), strict=False)
    return [(label, marker, PAGE_COLOURS[colour]) for label, marker, colour in looks]


def calibration(title: str, rates: Sequence[Mapping[str, float]]) -> Markup:
    """The FPR that happened on final against the one that the threshold has on dev."""
    wanted = [rate["fpr"] for rate in rates]
    values = np.array([[rate[f"fpr_{end}"] for end in ("final", "low", "high")] for rate in rates])
    lowest, highest = min(wanted) / 2.5, max(values.max() * 1.2, 0.4)
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(WIDTH, left=38, top=26)
        axes.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest))
        ticks = [fpr for fpr in FPRS if fpr != 0.15]  # no room for it between its neighbours
        axes.set(xticks=ticks, yticks=ticks, xlabel="FPR wanted: that of the threshold on dev")
        axes.set_title("FPR on final", loc="left", fontsize=10.5)
        for axis in axes.xaxis, axes.yaxis:
            axis.set_major_formatter("{x:g}")
        axes.grid(axis="y")
        axes.minorticks_off()
        axes.plot([lowest, highest], [lowest, highest], color=MUTED, linewidth=1, dashes=(3, 3))
        _whiskers(axes, wanted, np.maximum(values, lowest), PALETTE[0], "o")
        return _svg(axes, title)


def classes(title: str, rates: Sequence[Mapping[str, float | None]], overall: float) -> Markup:
    """TPR with its interval, and FPR, of every class; classes in the order of their TPR.

    Args:
        rates: sorted, the highest TPR first; with none of a class without members.
        overall: the TPR over all classes.
    """
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(WIDTH, left=38, top=26)
        values = np.array([[rate["tpr" + end] for end in ENDS] for rate in rates])
        fprs = np.array([rate["fpr"] for rate in rates], dtype=float)  # NaN for none
        highest = np.nanmax([*values[:, 2], *fprs]) or 1  # there may be nothing but 0
        axes.set(xlim=(0, len(rates) + 1), ylim=(0, 1.04 * highest), xticks=[])
        axes.set_xlabel("Classes, from the highest TPR to the lowest")
        axes.set_title("TPR, and FPR, of a class", loc="left", fontsize=10.5)
        axes.grid(axis="y")
        axes.axhline(overall, color=MUTED, linewidth=1, dashes=(5, 2))
        at = np.arange(1, len(rates) + 1)
        size = float(np.clip(120 / len(rates), 2, 5))
        axes.plot(at, fprs, "o", color="none", markeredgecolor=MUTED, markersize=size)
        _whiskers(axes, at, values, PALETTE[0], "o", size)
        return _svg(axes, title)


def effects(title: str, found: np.ndarray, chance: np.ndarray, marked: np.ndarray) -> Markup:
    """How many records have which effect, and how many would by chance.

    Args:
        found: (U,); chance: those of many draws of as many records; marked: a few of the first.
    """
    ends = min(found.min(), chance.min()), max(found.max(), chance.max())
    edges = np.linspace(*ends, 61) if ends[0] < ends[1] else np.array([ends[0] - 1, ends[0] + 1])
    with matplotlib.rc_context(SVG_STYLE):
        axes = _canvas(240, left=38, top=26)
        axes.set_xlabel("Effect, in standard deviations")
        axes.set_title("Share of records", loc="left", fontsize=10.5)
        axes.grid(axis="y")
        shares = [np.histogram(one, edges)[0] / len(one) for one in (found, chance)]
        axes.stairs(shares[0], edges, fill=True, color=PALETTE[0], alpha=0.5)
        axes.stairs(shares[1], edges, color=INK, linewidth=1.4)
        axes.vlines(marked, 0, 0.05 * max(map(max, shares)), color=PALETTE[1], linewidth=1.4)
        return _svg(axes, title)


def strip(title: str, tprs: Mapping[str, Mapping[str, float]]) -> Markup:
    """A row per scenario: a dot for each model, its TPR at the headline's FPR."""
    with matplotlib.rc_context(SVG_STYLE):
        return _svg(_draw_strip(tprs, [PALETTE[0]] * len(tprs), HEADLINE), title)


def _canvas(height: float, left: float, top: float) -> Axes:
    """Axes with these margins in a figure of `height`, in units of the figure."""
    axes = Figure(figsize=(WIDTH / 72, height / 72)).add_axes(
        (left / WIDTH, 40 / height, 1 - (left + 8) / WIDTH, 1 - (40 + top) / height)
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=5)
    axes.tick_params(axis="x", pad=9)  # below the lowest label at the left
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    return axes


def _place(axes: Axes) -> str:
    """Left, bottom, right and top of axes in a square figure, from its upper left corner."""
    box = axes.get_position()
    return " ".join(f"{WIDTH * at:g}" for at in (box.x0, 1 - box.y0, box.x1, 1 - box.y1))


def _svg(axes: Axes, title: str, data: Mapping[str, str] | None = None) -> Markup:
    """The axes' figure as an SVG element in the page's own font and colours.

    The browser sets the text, so a glyph that matplotlib's font lacks needs no warning. A curve
    keeps its name, by which the page's program finds it; other ids are not unique on a page.

    Args:
        data: attributes of the element, for that program.
    """
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        nothing = dict.fromkeys(["Creator", "Date", "Format", "Type"])
        figure = axes.get_figure(root=True)
        assert figure is not None  # `_canvas` makes it
        figure.savefig(text, format="svg", metadata=nothing, transparent=True)
    ((box, body),) = re.findall(r'<svg [^>]*viewBox="([^"]*)"[^>]*>(.*)', text.getvalue(), re.S)
    # A name with double quotes stands between single ones.
    body = re.sub("<g id='([^']*)'", lambda id: f'<g id="{escape(Markup(id[1]).unescape())}"', body)
    body = body.replace(f'<g id="{CURVE}', '<g data-curve="')
    body = re.sub(rf'<g id="{AT}(\d)"', r'<g class="at-\1"', body)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"font-family: [^;\"]*; ", "", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r' (d|x|y)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), body)
    body = re.sub(r' d="([^"]*)"', lambda path: f' d="{_short(path[1])}"', body)
    body = re.sub(r"<g([^>]*)>((?:\s*<use [^>]*/>)+)\s*</g>", _dots, body)
    for colour, variable in PAGE_COLOURS.items():
        body = body.replace(f": {colour}", f": {variable}")
    label = escape(title)
    attributes = "".join(f' data-{key}="{value}"' for key, value in (data or {}).items())
    head = (
        f'<svg viewBox="{box}" role="img" aria-label="{label}"{attributes}><title>{label}</title>'
    )
    body = re.sub(r">\s+<", "><", body).replace("<g/>", "").replace("text-anchor: start; ", "")
    return Markup(head + body)


def _short(path: str) -> str:
    """Path data with lines to a tenth of a unit, and none to where the pen is already."""
    if re.search("[CQ]", path):
        return " ".join(path.split())
    steps, at = [], ("", "")
    for command, *point in re.findall(r"([MLz])(?: (\S+) (\S+))?", path):
        x, y = (f"{float(value):.1f}".removesuffix(".0") if value else "" for value in point)
        if command != "L":
            steps.append(f"{command}{x} {y}".rstrip())
        elif (x, y) != at:
            steps.append(f"V{y}" if x == at[0] else f"H{x}" if y == at[1] else f"L{x} {y}")
        at = x, y
    return "".join(steps)


def _dots(group: re.Match[str]) -> str:
    """A group of markers with their style stated once."""
    styles = set(re.findall(' style="[^"]*"', group[2]))
    if len(styles) != 1:
        return group[0]
    (style,) = styles
    return f"<g{group[1]}{style}>{group[2].replace(style, '')}</g>"


def _draw_roc(curves: Mapping[str, Any], marks: Marks, lowest: float, ceiling: Ceiling) -> Axes:
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
    for number, fpr in enumerate((RATES[metric] for metric in COMPARED), 1):
        if fpr > lowest:
            axes.axvline(fpr, color=MUTED, linewidth=0.8, gid=f"{AT}{number}")
            room = np.log(fpr / lowest) > 0.25 * np.log(1 / lowest)  # at the left of the line
            side: dict[str, Any] = {"ha": "right" if room else "left", "gid": f"{AT}{number}"}
            place = fpr * (0.93 if room else 1.07), lowest * 1.15
            axes.text(*place, "scored here", color=MUTED, **side)
    _draw_ceilings(axes, ceiling, lowest)
    unmarked = [name for name in curves if name not in marks]
    for name in [*reversed(unmarked), *reversed(list(marks))]:
        fpr = np.maximum(curves[name]["fpr"], lowest / 2)  # 0 has no place on a logarithmic axis
        tpr = np.array(curves[name]["tpr"])
        colour, marker = marks.get(name, (PALE, ""))
        width = 1.6 if marker else 0.8
        axes.step(fpr, tpr, where="post", color=colour, linewidth=width, gid=CURVE + name)
        rates = np.array([fpr for fpr in FPRS if fpr >= lowest])
        reached = tpr[np.searchsorted(curves[name]["fpr"], rates, side="right") - 1]
        if marker:
            axes.plot(rates, reached, marker, color=colour, markersize=5, gid=CURVE + name)
    return axes


def _apart(values: Sequence[float], factor: float) -> list[float]:
    """Of rising values those that are apart by a factor, so that their labels are."""
    kept: list[float] = []
    for value in values:
        if not kept or value >= factor * kept[-1]:
            kept.append(value)
    return kept


def _label(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    placed: list[tuple[float, float, float, float]],
) -> None:
    """Write a text beside a point of linear axes, where it meets none of those `placed` so far."""
    width, height = 6.0 * len(text), 12.0
    x, y = (float(one) for one in axes.transData.transform(at) * 72 / axes.figure.dpi)
    sides = [(5.0, 4.0), (5.0, -13.0), (-5 - width, 4.0), (-5 - width, -13.0)]
    sides += [(5.0, 4 + height * step) for step in range(1, 9)]
    for right, up in sides:
        box = x + right, y + up, x + right + width, y + up + height
        if not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in placed
        ):
            break
    placed.append(box)
    axes.annotate(text, at, (right, up), textcoords="offset points")


def _draw_ceilings(axes: Axes, ceiling: Ceiling, lowest: float) -> None:
    """The bound, with nothing but errors above it, and the heuristic; nothing without DP."""
    if not ceiling["fpr"]:
        return
    fpr, bound, heuristic = (np.array(ceiling[key]) for key in ("fpr", "bound", "heuristic"))
    axes.fill([*fpr, lowest], [*bound, 1], color=RULE, alpha=0.6, linewidth=0)
    axes.plot(fpr, bound, color=INK, linewidth=1.4)
    axes.plot(fpr, heuristic, color=INK, linewidth=1.2, dashes=(5, 2))


def _draw_intervals(best: Sequence[Mapping[str, Any]], marks: Marks, metric: str) -> Axes:
    """Estimate and interval of every participant."""
    names = [_shortened(row["participant"], 24) for row in best]
    axes = _canvas(18 * len(best) + 44, left=20 + 5.4 * max(map(len, names)), top=4)
    axes.set(ylim=(len(best) - 0.5, -0.5), yticks=range(len(best)), xlabel=TITLES[metric])
    axes.set_yticklabels(names, color=INK)
    axes.axvline(RATES[metric], color=MUTED, linewidth=1, dashes=(3, 3))
    for i, row in enumerate(best):
        colour, marker = marks.get(row["participant"], (MUTED, "o"))
        interval = row[metric + "_low"], row[metric + "_high"]
        axes.plot(interval, [i, i], color=colour, linewidth=1.6)
        axes.plot(row[metric], i, marker, color=colour, markersize=5)
    return axes


def _draw_strip(
    tprs: Mapping[str, Mapping[str, float]], colours: Sequence[str], metric: str
) -> Axes:
    """A dot per model in each row, equal values side by side; a bar at their mean."""
    values = {name: pd.Series(models, dtype=float) for name, models in tprs.items()}
    notes = [f"{tpr.min():.2f} to {tpr.max():.2f}" for tpr in values.values()]
    axes = _rows(list(values), notes, metric, height=66)
    for i, (tpr, colour) in enumerate(zip(values.values(), colours, strict=True)):
        equal = tpr.groupby(tpr.round(2)).cumcount().to_numpy()
        side = np.where(equal % 2, 1, -1) * ((equal + 1) // 2)  # 0, 1, -1, 2, -2, ...
        y = i + side * min(0.056, 0.3 / max(1, np.abs(side).max()))
        axes.plot(tpr, y, "o", color=colour, markersize=3.6, alpha=0.6, markeredgewidth=0)
        axes.plot([tpr.mean()] * 2, [i - 0.32, i + 0.32], color=INK, linewidth=1.4)
    return axes


def _whiskers(
    axes: Axes,
    at: Sequence[float] | np.ndarray,
    values: np.ndarray,
    colour: str,
    marker: str,
    size: float = 5,
) -> None:
    """Estimates (len(at), 3) with their intervals as vertical lines."""
    axes.vlines(at, values[:, 1], values[:, 2], color=colour, linewidth=1.6)
    axes.plot(at, values[:, 0], marker, color=colour, markersize=size)


def _rows(names: Sequence[str], notes: Sequence[str], metric: str, height: float) -> Axes:
    """Axes with a row per name, from the top: name and note above, data at y = 0, 1, 2, ..."""
    axes = _canvas(height * len(names) + 44, left=8, top=4)
    above = 0.5 - 4 / height  # the middle of a line of text at a row's upper edge
    axes.set(ylim=(len(names) - 0.5, -0.5), yticks=[], xlabel=TITLES[metric])
    guess = RATES[metric]
    for i, (name, note) in enumerate(zip(names, notes, strict=True)):
        axes.plot([guess, guess], [i - 0.34, i + 0.4], color=MUTED, linewidth=1, dashes=(3, 3))
        at = axes.get_yaxis_transform()
        axes.text(0, i - above, _shortened(name, 40), transform=at, va="center")
        axes.text(1, i - above, note, transform=at, va="center", ha="right", color=MUTED)
    return axes


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"
