"""The pages' figures: labels that keep clear of each other, and curves that keep their names."""

import html
import re

from mico.pages import figures
from mico.scoring.metrics import COMPARED


def side(scenario: str, accuracy: float, epsilon: float | None, tpr: float = 0.4) -> dict:
    values = {metric + end: tpr for metric in COMPARED for end in figures.ENDS}
    limits = dict.fromkeys(["bound", "heuristic"], None if epsilon is None else 0.9)
    about = {"scenario": scenario, "evaluation_accuracy": accuracy, "epsilon_spent": epsilon}
    return {**values, **limits, **about}


def texts(svg: str) -> list[tuple[str, float, float]]:
    """Each text with the place where it begins."""
    found = re.findall(r'<text[^>]* x="([^"]*)" y="([^"]*)"[^>]*>([^<]*)<', svg)
    return [(html.unescape(text), float(x), float(y)) for x, y, text in found]


def test_scenarios_at_one_place_have_labels_that_can_be_read() -> None:
    names = [f"S{i}" for i in range(6)]
    lines = [[side(name, 0.5 + i / 1000, None)] for i, name in enumerate(names)]
    placed = [one for one in texts(figures.accuracies("All", lines)) if one[0] in names]
    assert len(placed) == len(names)
    for i, (_, x, y) in enumerate(placed):
        for _, other_x, other_y in placed[:i]:
            assert abs(x - other_x) > 11 or abs(y - other_y) > 10


def test_budgets_that_are_close_share_a_label() -> None:
    spent = [3.97, 4.0, 4.05, 9.9, None]
    lines = [[side(f"T{i}", 0.5, epsilon) for i, epsilon in enumerate(spent)]]
    labels = [text for text, _, y in texts(figures.budgets("All", lines)) if y > 330]
    assert labels == ["3.97", "9.9", "no DP", "ε spent"]


def test_a_curve_keeps_its_name_and_others_have_no_markers() -> None:
    curve = {"fpr": [0.0, 0.05, 0.1, 1.0], "tpr": [0.0, 0.2, 0.3, 1.0]}
    name = 'a "b" <c>'
    nothing = {"fpr": [], "bound": [], "heuristic": []}
    marks = {name: (figures.PALETTE[0], "o")}
    svg = str(figures.roc("T1", {name: curve, "plain": curve}, marks, 0.001, nothing))
    named = [html.unescape(one) for one in re.findall('data-curve="([^"]*)"', svg)]
    assert named == ["plain", name, name]  # a line each, and the markers of one
    assert 'data-box="38 320 352 26"' in svg
    # A line at each FPR, and a text beside it.
    assert sorted(re.findall('<g class="(at-[12])"', svg)) == ["at-1", "at-1", "at-2", "at-2"]


def test_labels_of_both_axes_keep_clear_in_the_corner() -> None:
    curve = {"fpr": [0.0, 0.05, 0.1, 1.0], "tpr": [0.0, 0.2, 0.3, 1.0]}
    nothing = {"fpr": [], "bound": [], "heuristic": []}
    svg = str(figures.roc("T1", {"plain": curve}, {}, 0.001, nothing))
    (left, below) = (y for text, _, y in texts(svg) if text == "0.001")
    assert abs(left - below) > 10.5  # the size of the letters
