"""The scoreboard: ranks, which neighbours really differ, what stays hidden, a page that works."""

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import browser
import numpy as np
import programs
import pytest

from mico.pages.scoreboard import (
    Contender,
    announcement,
    difference,
    read,
    render,
    standings,
    visible,
)
from mico.scoring.curves import roc
from mico.scoring.entries import order as in_time
from mico.scoring.metrics import HEADLINE, METRICS, metrics
from mico.support.errors import InputError

SCRIPT = Path(__file__).parents[1] / "scripts" / "scoreboard.py"
CHALLENGES = {"purchase100_hi": "T2", "purchase100_inf": "T1"}
HOSTILE = [
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "\"'><img src=x onerror=window.pwned=1>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "bell\x07 nul\x00 \u2028 turned\u202etxt.exe lone\ud800",
]

Content = dict[str, Any]


def at(hour: int, minute: int = 0) -> int:
    """A time of 2026-11-24, in ns since 1970."""
    return 10**9 * int(datetime(2026, 11, 24, hour, minute, tzinfo=UTC).timestamp())


def content(participant: str, tprs: tuple[float, ...], hour: int = 12, **changes: Any) -> Content:
    """A scored submission whose every metric is its challenge's TPR, a little less on dev."""
    entry = {
        "participant": participant,
        "track": "purchase100",
        "builtin": False,
        "file": "first.zip",
        "submitted": at(hour),
        "problems": [],
        "scores": [],
        "curves": {},
        "replicates": {},
        "audit": {},
    }
    for (challenge, scenario), tpr in zip(CHALLENGES.items(), tprs, strict=True):
        about = {"scenario": scenario, "challenge": challenge, "participant": participant}
        for phase in ("dev", "final", "both"):
            value = tpr - 0.001 * (phase == "dev")
            row = about | {"track": "purchase100", "phase": phase, "models": 50}
            for name in (metric.name for metric in METRICS):
                row |= {name: value, f"{name}_low": value / 2, f"{name}_high": value + 0.1}
            entry["scores"].append(row)
            curve = {"fpr": [0.0, 0.001, 0.1, 1.0], "tpr": [0.0, value / 10, value, 1.0]}
            entry["curves"].setdefault(challenge, {})[phase] = curve
            noise = np.random.default_rng(1).normal(0, 0.02, 200)  # the same models for all
            replicates = {HEADLINE: (value + noise).tolist()}
            entry["replicates"].setdefault(challenge, {})[phase] = replicates
    return entry | changes


def builtin(participant: str, tprs: tuple[float, ...]) -> Content:
    return content(participant, tprs, builtin=True, file=None, submitted=None)


def rejected(participant: str, hour: int, *problems: str) -> Content:
    nothing = {"scores": [], "curves": {}, "replicates": {}, "audit": {}}
    return content(participant, (0, 0), hour, file="bad.zip", problems=list(problems), **nothing)


def scored(
    participant: str, predictions: np.ndarray, membership: np.ndarray, resamples: np.ndarray
) -> Content:
    """A submission of these predictions (challenges, models, records), really scored."""
    entry = content(participant, (0, 0))
    counts = np.array([np.bincount(drawn, minlength=predictions.shape[1]) for drawn in resamples])
    for challenge, own, members in zip(CHALLENGES, predictions, membership, strict=True):
        value, *replicates = [
            float(metrics(roc(own, members, weights))[HEADLINE])
            for weights in [np.ones(len(own)), *counts]
        ]
        for row in entry["scores"]:
            if row["challenge"] == challenge:
                row[HEADLINE] = value
        entry["replicates"][challenge] = {"dev": {HEADLINE: replicates}}
    return entry


Load = Callable[..., list[Contender]]


def write(folder: Path, contents: list[Content]) -> list[Path]:
    paths = [folder / f"{i}.json" for i in range(len(contents))]
    for path, entry in zip(paths, contents, strict=True):
        path.write_text(json.dumps(entry))
    return paths


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Entries read back from files: `load(content, ..., phase="dev")`."""

    def load(*contents: Content, phase: str = "dev") -> list[Contender]:
        return read(write(tmp_path, list(contents)), "purchase100", CHALLENGES, phase)

    return load


def page(
    entries: list[Contender],
    phase: str = "dev",
    synthetic: bool = False,
    public_seeds: bool = False,
) -> str:
    return render("purchase100", CHALLENGES, phase, entries, synthetic, public_seeds)


def ranks(entries: list[Contender]) -> list[tuple[int, str]]:
    board = standings(entry for entry in entries if entry.counts)
    return [(place.rank, place.contender.participant) for place in board]


def test_ranks_by_the_mean_over_challenges_of_the_phase(load: Load) -> None:
    contents = [content("alice", (0.2, 0.2)), content("bob", (0.1, 0.5)), builtin("lira", (0, 0.5))]
    assert ranks(load(*contents)) == [(1, "bob"), (2, "lira"), (3, "alice")]
    for row in contents[0]["scores"]:
        if row["phase"] == "final":
            row[HEADLINE] = 0.9
    assert ranks(load(*contents)) == [(1, "bob"), (2, "lira"), (3, "alice")]
    assert ranks(load(*contents, phase="final")) == [(1, "alice"), (2, "bob"), (3, "lira")]
    first = standings(load(*contents, phase="final"))[0].contender
    assert first.mean == pytest.approx(0.9)
    assert first.dev == pytest.approx(0.199)


def test_the_means_interval_is_that_of_the_replicates_means(load: Load) -> None:
    entry = content("alice", (0.2, 0.4))
    replicates = [phases["dev"][HEADLINE] for phases in entry["replicates"].values()]
    means = np.mean(replicates, axis=0)
    assert load(entry)[0].interval == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_ties_share_a_rank_and_show_no_difference(load: Load) -> None:
    contents = [content("a", (0.1, 0.7)), content("b", (0.7, 0.1)), content("c", (0.3, 0.3))]
    contents += [builtin("attack", (0.4, 0.4 + 1e-13)), content("d", (0.4, 0.5))]
    board = standings(load(*contents))
    assert [(place.rank, place.contender.participant) for place in board] == [
        (1, "d"),
        (2, "a"),
        (2, "b"),
        (2, "attack"),
        (5, "c"),
    ]
    assert [place.lead.real for place in board[:-1]] == [True, False, False, True]
    assert board[1].lead.p == 1
    assert board[-1].lead is None


def test_only_the_latest_valid_submission_counts(load: Load) -> None:
    contents = [
        content("alice", (0.9, 0.9), file="first.zip"),
        content("alice", (0.1, 0.1), submitted=at(13), file="second.zip"),
        content("alice", (0.5, 0.5), submitted=at(12, 30), file="third.zip"),
        content("bob", (0.2, 0.2), file="b.zip"),
        content("bob", (0.3, 0.3), file="a.zip"),
        rejected("bob", 23, "bad.zip: not a zip"),
        rejected("carol", 1, "bad.zip: not a zip"),
    ]
    for order in contents, contents[::-1]:
        counted = [(entry.participant, entry.file) for entry in load(*order) if entry.counts]
        assert sorted(counted) == [("alice", "second.zip"), ("bob", "b.zip")]
        assert ranks(load(*order)) == [(1, "bob"), (2, "alice")]


def test_of_equal_times_the_larger_number_in_the_name_counts(load: Load) -> None:
    """And names without numbers, or with very long ones, have an order too."""
    names = ["submission9.zip", "submission10.zip", "submission010a.zip", f"{'9' * 250}.zip", "b9"]
    contents = [content("alice", (0.1 * i, 0.1 * i), file=one) for i, one in enumerate(names[:2])]
    for order in contents, contents[::-1]:
        assert [entry.file for entry in load(*order) if entry.counts] == ["submission10.zip"]
    assert sorted(reversed(names), key=lambda name: in_time(0, name)) == [
        names[3],
        names[4],
        *names[:3],
    ]
    later = content("alice", (0.5, 0.5), submitted=at(12) + 1, file="a.zip")
    assert [one.file for one in load(*contents, later) if one.counts] == ["a.zip"]


ANY_TIME = {
    -(2**63): "1677-09-21 00:12",
    -(10**20): "before the year 1",
    0: "1970-01-01 00:00",
    253402300799 * 10**9: "9999-12-31 23:59",
    253402300800 * 10**9: "after the year 9999",
    10**30: "after the year 9999",
}


def test_a_time_may_be_anything_and_is_shown_as_the_file_says_it(load: Load) -> None:
    contents = [
        content("alice", (0.1, 0.1), submitted=time, file=f"{i}.zip", future=time > at(12))
        for i, time in enumerate(ANY_TIME)
    ]
    found = load(*contents)
    assert [one.submitted for one in found if one.counts] == [10**30]
    text = page(found)
    history = text[text.index('id="submissions"') :]
    body = history.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [" ".join(re.sub("<.*?>", " ", row).split()) for row in body.split("</tr>")[:-1]]
    latest_first = sorted(ANY_TIME, reverse=True)
    for time, row in zip(latest_first, rows, strict=True):
        assert f"alice {ANY_TIME[time]}{' in the future' * (time > at(12))} " in row
    assert "s time</button>" in text
    assert "they decide nothing but the order" in text


def test_names_that_look_alike_are_told_apart(load: Load) -> None:
    alike = ["alice", "Alice", "\N{CYRILLIC SMALL LETTER A}lice", "a\u200dlice"]
    contents = [content(name, (0.1 * i, 0.1 * i)) for i, name in enumerate([*alike, "bob"])]
    contents.append(rejected("ALICE ", 7, "participant name: a blank at an end"))
    found = load(*contents, phase="final")
    ids = {one.participant: one.id for one in found}
    assert ids.pop("bob") == ""
    assert len(set(ids.values())) == 5
    text = page(found, "final")
    for name, id in ids.items():
        assert text.count(f">id {id}</span>") >= (1 if name == "ALICE " else 2)
        assert (f"{name} ({id})" in json.dumps(data(text), ensure_ascii=False)) == (
            name != "ALICE "
        )
    told = announcement("purchase100", CHALLENGES, "final", found)
    assert "id" not in told["winner"][0]
    assert told["runner_up"][0]["id"] == ids["a\u200dlice"]


def data(text: str) -> dict[str, Any]:
    """What the page's program draws."""
    return json.loads(re.search('id="data">(.*?)</script>', text, re.DOTALL)[1])


def test_history_holds_every_submission_and_why_it_was_rejected(load: Load) -> None:
    contents = [
        content("alice", (0.9, 0.9), 8, file="old.zip"),
        content("alice", (0.8, 0.8), 9, file="new.zip"),
        rejected("alice", 10, "model_104: missing", "model_105: row 1: value 3 is 'nan'"),
        rejected("carol", 7, "bad.zip: <b>3 MB</b>"),
        builtin("lira", (0.1, 0.1)),
    ]
    text = page(load(*contents))
    history = text[text.index('id="submissions"') :]
    body = history.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [" ".join(re.sub("<.*?>", " ", row).split()) for row in body.split("</tr>")[:-1]]
    assert rows == [
        "alice 2026-11-24 10:00 bad.zip rejected 2 problems model_104: missing "
        "model_105: row 1: value 3 is &#39;nan&#39;",
        "alice 2026-11-24 09:00 new.zip 0.799 counts",
        "alice 2026-11-24 08:00 old.zip 0.899 replaced by a later one",
        "carol 2026-11-24 07:00 bad.zip rejected 1 problem bad.zip: &lt;b&gt;3 MB&lt;/b&gt;",
    ]
    assert text.count("latest rejected") == 1
    assert "<dt>Participants</dt><dd>2</dd>" in text
    assert "<dt>Submissions</dt><dd>4</dd>" in text
    assert '<dd><time datetime="2026-11-24T10:00:00+00:00">2026-11-24 10:00</time> UTC</dd>' in text


def test_a_participant_called_like_a_built_in_attack_is_another_one(load: Load) -> None:
    entries = load(builtin("lira", (0.5, 0.5)), content("lira", (0.4, 0.4)))
    assert ranks(entries) == [(1, "lira"), (2, "lira")]
    assert page(entries).count(">built-in attack<") == 1


def naive_tpr(predictions: np.ndarray, membership: np.ndarray) -> float:
    """TPR at the smallest threshold that calls at most 10 % of the non-members members."""
    members, others = predictions[membership], predictions[~membership]
    thresholds = [np.inf, *predictions.ravel()]
    return float((members >= min(t for t in thresholds if (others >= t).mean() <= 0.1)).mean())


@pytest.fixture(scope="module")
def simulated() -> dict[str, Any]:
    """Predictions (challenges, models, records) that share most of their noise, and resamples."""
    rng = np.random.default_rng(5)
    shape = (2, 20, 20)
    membership = rng.random(shape).argsort(-1) < 10
    hard = rng.normal(size=(2, 20, 1)) + 0.1 * rng.normal(size=shape)  # models differ a lot
    weak = hard + 0.5 * membership
    strong = weak + 0.4 * membership + 0.02 * rng.normal(size=shape)
    other = weak + 0.3 * rng.normal(size=shape)
    return {
        "membership": membership,
        "predictions": {"weak": weak, "strong": strong, "other": other, "copy": weak.copy()},
        "resamples": rng.integers(0, 20, (81, 20)),
    }


@pytest.mark.slow
def test_paired_bootstrap_against_a_naive_one(simulated: dict, load: Load) -> None:
    truth, resamples = simulated["membership"], simulated["resamples"]
    chosen = {name: simulated["predictions"][name] for name in ("other", "weak")}
    above, below = load(*[scored(name, own, truth, resamples) for name, own in chosen.items()])

    def mean_difference(models: np.ndarray) -> float:
        tprs = {
            name: np.mean([naive_tpr(own[c, models], truth[c, models]) for c in range(2)])
            for name, own in chosen.items()
        }
        return round(tprs["other"] - tprs["weak"], 12)

    differences = sorted(mean_difference(drawn) for drawn in resamples)
    found = difference(above, below)
    assert found.mean == pytest.approx(mean_difference(np.arange(20)))
    assert (found.low, found.high) == pytest.approx((differences[2], differences[78]))
    at_most = sum(value <= 0 for value in differences)
    at_least = sum(value >= 0 for value in differences)
    assert 0 < min(at_most, at_least) < 40
    assert found.p == pytest.approx(2 * min(at_most, at_least) / 81)


def test_identical_predictions_do_not_differ_and_better_ones_do(
    simulated: dict, load: Load
) -> None:
    resamples = simulated["resamples"]
    names = ["strong", "weak", "copy"]
    contents = [
        scored(name, simulated["predictions"][name], simulated["membership"], resamples)
        for name in names
    ]
    entries = dict(zip(names, load(*contents), strict=True))
    same = difference(entries["weak"], entries["copy"])
    assert (same.mean, same.low, same.high, same.p, same.real) == (0, 0, 0, 1, False)
    better = difference(entries["strong"], entries["weak"])
    assert better.real
    assert better.low > 0
    assert better.p == pytest.approx(2 / 81)
    worse = difference(entries["weak"], entries["strong"])
    assert worse.real
    assert worse.high == pytest.approx(-better.low)
    assert entries["strong"].interval[0] < entries["weak"].interval[1], "only pairs tell them apart"


def test_neighbours_that_may_differ_by_chance_are_marked(load: Load) -> None:
    apart, level = content("apart", (0.5, 0.5)), content("level", (0.2, 0.2))
    close = content("close", (0.199, 0.2))
    for phases in close["replicates"].values():
        phases["dev"][HEADLINE].reverse()
    text = page(load(apart, level, close))
    rows = re.findall(r'<tr class="(.*?)" data-name="(.*?)"', text)
    assert [(name, "alike" in mark) for mark, name in rows] == [
        ("apart", False),
        ("level", True),
        ("close", False),
    ]
    assert text.count(">clear<") == text.count(">≈ could be chance<") == 1


def test_final_results_are_nowhere_before_the_reveal(load: Load) -> None:
    contents = [content("alice", (0.25, 0.5)), builtin("lira", (0.125, 0.125))]
    secret = 0.87654321
    for entry in contents:
        for row in entry["scores"]:
            if row["phase"] != "dev":
                row.update({name: secret for name, x in row.items() if isinstance(x, float)})
                row["models"] = 876543
        for phases in entry["curves"].values():
            for phase in "final", "both":
                phases[phase] = {"fpr": [0, secret, 1], "tpr": [0, secret, 1]}
        for phases in entry["replicates"].values():
            phases["final"] = {HEADLINE: [secret] * 200}
    live = load(*contents)
    for text in page(live), json.dumps(announcement("purchase100", CHALLENGES, "dev", live)):
        assert "8765" not in text
        assert "0.877" not in text
        assert "winner" not in text
    final = load(*contents, phase="final")
    assert "0.87654321" in page(final, "final")
    assert "0.877" in page(final, "final")


def test_winners_are_announced_after_the_reveal_only(load: Load) -> None:
    contents = [
        builtin("lira", (0.9, 0.9)),
        content("alice", (0.5, 0.3)),
        content("bob", (0.3, 0.5)),
        content("carol", (0.2, 0.2), file="late.zip"),
        content("dave", (0.1, 0.1)),
    ]
    live = announcement("purchase100", CHALLENGES, "dev", load(*contents))
    assert live == {
        "track": "purchase100",
        "revealed": False,
        "note": "The results are not revealed yet.",
    }
    entries = load(*contents, phase="final")
    final = announcement("purchase100", CHALLENGES, "final", entries)
    assert [place["participant"] for place in final["winner"]] == ["alice", "bob"]
    low, high = entries[3].interval
    carol = {"participant": "carol", "file": "late.zip", "mean": 0.2, "low": low, "high": high}
    assert final["runner_up"] == [carol]
    assert "final models of purchase100_hi, purchase100_inf" in final["rule"]
    text = page(entries, "final")
    assert text.count(">winner<") == 2
    assert text.count(">runner-up<") == 1
    assert "Winners</p>" in text


def test_a_board_on_which_nobody_found_anything(load: Load) -> None:
    nothing = {name: 0.0 for metric in METRICS for name in (metric.name, f"{metric.name}_high")}
    entry = builtin("alone", (0, 0))
    for row in entry["scores"]:
        row |= nothing
    for curves in entry["curves"].values():
        curves.update({phase: {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]} for phase in curves})
    text = page(load(entry))
    assert "alone" in text
    assert "NaN" not in text


def test_a_track_without_participants(load: Load) -> None:
    for entries in load(), load(builtin("lira", (0.1, 0.1)), phase="final"):
        final = announcement("purchase100", CHALLENGES, "final", entries)
        assert (final["winner"], final["runner_up"]) == ([], [])
        assert "Nobody has submitted yet." in page(entries, "final")
    assert "There is no valid submission yet." in page(load(rejected("alice", 1, "not a zip")))


def test_banner_only_for_public_seeds(load: Load) -> None:
    entries = load(content("alice", (0.5, 0.4)))
    assert "public seeds" not in page(entries).lower()
    assert "<strong>Public seeds.</strong>" in page(entries, public_seeds=True)


def test_banner_only_for_synthetic_data(load: Load) -> None:
    entries = load(content("alice", (0.2, 0.2)))
    assert "synthetic" not in page(entries).lower()
    assert "<strong>Synthetic data.</strong>" in page(entries, synthetic=True)


def test_nothing_is_loaded_from_outside(load: Load) -> None:
    text = page(load(content("alice", (0.2, 0.2))))
    targets = re.findall(r'(?:src|srcset|href|action|poster|data)="([^"]*)"', text)
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert not re.search(r"url\(|@import|https?://(?!www.w3.org/)", text)
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)


def run_program(entries: list[Path], folder: Path, reveal: str) -> subprocess.CompletedProcess:
    challenges = [f"{name}={scenario}" for name, scenario in CHALLENGES.items()]
    command = ["--track", "purchase100", "--synthetic"]
    command += ["--entries", *entries, "--challenges", *challenges, "--reveal", reveal]
    command += ["--output", folder / "board.html", "--winners", folder / "winners.json"]
    return programs.run("scoreboard", *command)


@pytest.mark.parametrize("reveal", ["dev", "final"])
def test_program_writes_page_and_winners(tmp_path: Path, reveal: str) -> None:
    paths = write(tmp_path, [content(name, (0.2, 0.3)) for name in ("alice", *HOSTILE)])
    done = run_program(paths, tmp_path, reveal)
    assert (done.returncode, done.stderr) == (0, "")
    entries = read(reversed(paths), "purchase100", CHALLENGES, reveal)
    assert (tmp_path / "board.html").read_text() == page(entries, reveal, synthetic=True)
    written = json.loads((tmp_path / "winners.json").read_text())
    assert written == announcement("purchase100", CHALLENGES, reveal, entries)
    assert written["revealed"] == (reveal == "final")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"track": "cifar10"}, "0.json: track 'cifar10': expected 'purchase100'"),
        (
            {"submitted": "yesterday"},
            "0.json: expected an entry: submitted .*: expected an integer or null",
        ),
        ({"scores": []}, r"0.json: \('purchase100_hi', 'dev'\) is missing"),
        ({"replicates": {}}, "0.json: 'purchase100_hi' is missing"),
        ({"builtin": 1}, "0.json: expected an entry: builtin 1: expected true or false"),
        ({"unknown": 1}, "0.json: expected an entry: .*'unknown'"),
        ({"curves": None}, "0.json: expected an entry: curves None: expected an object"),
    ],
)
def test_bad_entry_is_named(load: Load, changes: Content, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(content("alice", (0.2, 0.2), **changes))


def test_program_reports_bad_input_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text("[")
    done = run_program([tmp_path / "0.json"], tmp_path, "dev")
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*0.json: expected an entry: .*\n", done.stderr)
    assert not (tmp_path / "board.html").exists()


PROBE = """
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
console.error = console.warn = alert = message => errors.push(message);
addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const rows = () => all("#board tbody tr").filter(row => row.checkVisibility());
  const names = () => rows().map(row => row.querySelector("bdi").textContent);
  const number = (row, column) => row.cells[column].querySelector(".number").textContent;
  const numbers = column => rows().map(row => number(row, column));
  const curves = () => all("#roc .curve").map(path => path.getAttribute("d"));
  const head = column => all("#board th[scope=col]")[column];
  const click = column => (head(column).querySelector("button").click(), names());
  const change = (element, value, type) => {
    element.value = value;
    element.dispatchEvent(new Event(type));
  };
  const [metric, scenario] = all("select");
  const [search, past] = all("input[type=search]");
  const seen = { first: names(), means: numbers(2), drawn: curves().length };
  seen.falling = click(4);
  seen.rising = click(4);
  seen.alphabet = click(1);
  seen.sort = [0, 1, 2, 3, 4].map(column => head(column).getAttribute("aria-sort"));
  click(2);
  change(metric, "auc", "change");
  seen.auc = [names(), numbers(2), numbers(3), document.querySelector("th .metric").textContent];
  change(metric, "tpr_at_fpr_0.1", "change");
  seen.back = numbers(2);
  change(search, " BO", "input");
  seen.found = [names(), search.parentElement.querySelector("output").textContent];
  change(search, "", "input");
  change(past, "bob", "input");
  seen.past = all("#submissions tbody tr").filter(row => row.checkVisibility()).length;
  seen.all = names().length;
  document.getElementById("clear").click();
  seen.cleared = curves().length;
  for (const row of rows().slice(1, 3)) row.querySelector("input").click();
  seen.two = curves();
  seen.legend = all("#legend bdi").map(name => name.textContent);
  change(scenario, "1", "change");
  seen.other = curves();
  document.querySelector("#legend button").click();
  seen.removed = [curves().length, all("#board input:checked").length];
  for (const box of all("#board input:not(:checked)")) box.click();
  const look = path => path.style.stroke + path.getAttribute("stroke-dasharray");
  seen.many = new Set(all("#roc .curve").map(look)).size;
  seen.keys = all("#board th button, #board input, #metric, #scenario").every(element => {
    element.focus();
    return document.activeElement === element;
  });
  const root = document.documentElement;
  seen.widths = [root.clientWidth, root.scrollWidth];
  seen.wider = document.getElementById("board").scrollWidth > root.clientWidth;
  seen.scripts = all("script").length;
  seen.images = all("img").length;
  seen.pwned = typeof window.pwned;
  seen.menus = document.querySelectorAll(".take").length;
  seen.links = [...document.querySelectorAll(".near:not([hidden]) a")]
    .map(link => link.getAttribute("href"));
  parent.postMessage({ ...seen, errors }, "*");
});
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser as narrow as a telephone shows of a page with hostile names, used a little."""
    folder = tmp_path_factory.mktemp("browser")
    contents = [content("alice", (0.4, 0.2)), content("bob", (0.2, 0.5))]
    contents += [builtin("lira", (0.35, 0.35)), content("bob", (0.1, 0.1), 8)]
    contents += [content(name, (0.1 - i / 100, 0.1), file=name) for i, name in enumerate(HOSTILE)]
    contents += [rejected("carol" * 50, 9, *HOSTILE)]
    for row in contents[0]["scores"]:
        row["auc"] = 0.9
    entries = read(write(folder, contents), "purchase100", CHALLENGES, "dev")
    text = page(entries)
    allowed = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    text = text.replace("script-src ", f"script-src 'sha256-{allowed}' ", 1)
    text = text.replace('<link rel="icon"', f'<script>{PROBE}</script><link rel="icon"', 1)
    return browser.show(text, folder, 360, 740)


@pytest.mark.slow
def test_no_errors_and_nothing_wider_than_a_telephone(seen: dict) -> None:
    assert seen["errors"] == []
    assert seen["widths"] == [360, 360]
    assert seen["wider"], "the board is meant to scroll on its own"
    assert seen["keys"]


@pytest.mark.slow
def test_hostile_names_stay_text(seen: dict) -> None:
    assert seen["pwned"] == "undefined"
    assert seen["images"] == 0
    assert seen["scripts"] == 4  # the probe, that of all pages, the data, the page's own
    assert seen["first"] == ["bob", "lira", "alice", *map(visible, HOSTILE)]
    assert visible(HOSTILE[-1]) == "bell\ufffd nul\ufffd \ufffd turned\ufffdtxt.exe lone\ufffd"


@pytest.mark.slow
def test_what_is_shown_can_be_taken_away(seen: dict) -> None:
    assert seen["menus"] == 3  # the board, its curves, the history


@pytest.mark.slow
def test_built_in_attacks_link_to_their_pages_on_a_disk(seen: dict) -> None:
    details = "../detailed_results/purchase100/lira/detailed_results.html"
    assert seen["links"] == ["../attack_pages/lira.html", details]


@pytest.mark.slow
def test_headers_sort(seen: dict) -> None:
    others = [visible(name) for name in HOSTILE]
    assert seen["falling"] == ["bob", "lira", "alice", *others]  # T1; ties keep their rank
    assert seen["rising"] == [*others, "alice", "lira", "bob"]
    assert seen["alphabet"].index("alice") < seen["alphabet"].index("bob")
    assert seen["sort"] == [None, "ascending", None, None, None]


@pytest.mark.slow
def test_metric_changes_the_columns_and_the_order_by_them(seen: dict) -> None:
    names, means, first, label = seen["auc"]
    assert names[0] == "alice"
    assert (means[0], first[0], label) == ("0.900", "0.900", "AUC")
    assert means == sorted(means, reverse=True)
    assert seen["back"] == seen["means"] == sorted(seen["means"], reverse=True)
    assert seen["means"][:3] == ["0.349", "0.349", "0.299"]


@pytest.mark.slow
def test_search_filters(seen: dict) -> None:
    assert seen["found"] == [["bob"], "1 of 9"]
    assert seen["past"] == 2
    assert seen["all"] == 9


@pytest.mark.slow
def test_curves_are_laid_over_each_other(seen: dict) -> None:
    assert (seen["drawn"], seen["cleared"]) == (3, 0)
    assert len(seen["two"]) == len(seen["other"]) == 2
    assert seen["two"] != seen["other"]
    assert seen["legend"] == ["lira", "alice"]
    assert seen["removed"] == [1, 1]
    assert seen["many"] == 9, "colour and dashes tell all curves apart"
