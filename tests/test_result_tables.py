"""The tables of results in README.md and under docs/ are those of the reference results."""

import re
from pathlib import Path

import pandas as pd
import pytest

import result_tables
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]
RUNS = sorted(path.parent.name for path in (ROOT / "reference").glob("*/run.json"))
PLACE = Path("page.md")


def shown(what: str) -> list[str]:
    """The lines that such a comment becomes, without the comments."""
    page = f"<!-- results: {what} -->\nold\n<!-- end of results -->"
    return result_tables.page_text(page, PLACE).splitlines()[1:-1]


@pytest.mark.parametrize("page", result_tables.pages(), ids=lambda path: path.name)
def test_tables_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert result_tables.page_text(text, page) == text, "make tables"
    # Each comment that begins a table is one that is written.
    assert len(re.findall(r"<!-- (?:end of )?results", text)) == 2 * len(
        result_tables.BLOCK.findall(text)
    )


@pytest.mark.parametrize("run", RUNS)
def test_all_that_is_kept_is_shown(run: str) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in result_tables.pages())
    for kind in ("made", "settings", "scores"):
        assert f"<!-- results: {kind} {run}" in pages


def test_a_score_is_the_one_that_is_kept() -> None:
    table = pd.read_csv(ROOT / "reference" / "demo" / "scores.csv").query("phase == 'both'")
    row = table[(table.scenario == "T2") & (table.participant == "lira-online")].iloc[0]
    numbers = [row[f"tpr_at_fpr_{name}"] for name in ("0.1", "0.1_low", "0.1_high", "0.01")]
    rate, low, high, lower = (f"{number:.3f}".removeprefix("0") for number in numbers)
    lines = shown("scores demo T1 T2")
    assert lines[0] == "| | T1, no DP, synthetic | T2, ε = 10, synthetic |"
    (found,) = (line for line in lines if line.startswith("| lira-online |"))
    assert found.endswith(f"| {rate} ({low}–{high}) / {lower} |")  # noqa: RUF001
    assert len(lines) == 2 + table.participant.nunique()
    highest = table[table.scenario == "T1"]["tpr_at_fpr_0.1"].max()
    assert f"| **{highest:.3f}** (".replace("**0.", "**.") in lines[2]


def test_a_difference_is_the_one_that_is_kept() -> None:
    pairs = pd.read_csv(ROOT / "reference" / "demo" / "comparisons.csv")
    mine = pairs[(pairs.scenario == "T3") & (pairs.metric == "tpr_at_fpr_0.1")]
    chosen = mine[(mine.participant == "standardised-loss") & (mine.other == "auto")]
    difference, low, high = -chosen.iloc[0][["difference", "high", "low"]].astype(float)
    line = shown("winners demo T3=standardised-loss")[2]
    texts = [
        f"{number:.3f}".replace("-", "−").replace("0.", ".", 1)  # noqa: RUF001
        for number in (difference, low, high)
    ]
    assert "| {} ({} to {}) |".format(*texts) in line
    above = mine[((mine.other == "auto") & (mine.low > 0))]
    above_too = mine[((mine.participant == "auto") & (mine.high < 0))]
    assert re.search(rf"\| {len(above) + len(above_too)}, \d+ of 26 \|$", line)


def test_pairs_are_those_that_are_asked_for() -> None:
    pairs = pd.read_csv(ROOT / "reference" / "demo" / "comparisons.csv")
    chosen = pairs[(pairs.participant == "base1") & (pairs.other == "bavaria-n")]
    at = {row.metric: row for row in chosen[chosen.scenario == "T1"].itertuples()}
    lines = shown("less demo T1 | base1 bavaria-n | base1 auto")
    for line, name in zip(lines[2:4], ("0.1", "0.01"), strict=True):
        row = at[f"tpr_at_fpr_{name}"]
        texts = [
            f"{number:.3f}".replace("-", "−").replace("0.", ".", 1)  # noqa: RUF001
            for number in (row.difference, row.low, row.high)
        ]
        assert line == "| base1 less bavaria-n, at {} | {} ({} to {}) |".format(name[1:], *texts)
    assert len(lines) == 6


def test_rates_are_those_of_scores() -> None:
    cells = [line.split(" (")[0] + " |" for line in shown("scores demo T3")[2:]]
    assert shown("rates demo T3")[2:] == cells


def test_words_stand_for_participants() -> None:
    lines = shown("lines demo T1 T2 | a guess at losses = threshold-loss | both = auto lira-online")
    assert lines[2].startswith("| a guess at losses | ")
    t1, t2 = (shown(f"lines demo {one} | x = {name}")[2].split("|")[2] for one, name in
              (("T1", "auto"), ("T2", "lira-online")))  # fmt: skip
    assert lines[3] == f"| both |{t1}|{t2}|"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("pictures demo", "expected one of made, settings, scores, rates, winners, less, lines"),
        ("scores nowhere", "not reference results: run.json is missing"),
        ("settings demo T9", "has no 'T9'"),
        ("lines demo T1 | x = nobody", r"has no \('T1', 'nobody'\)"),
    ],
)
def test_what_is_not_there_is_named(what: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shown(what)
