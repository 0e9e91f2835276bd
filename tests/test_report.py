"""The report: right numbers, nothing loaded from outside, and a page that works in a browser."""

import html
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

import browser
import numpy as np
import pandas as pd
import pytest
from run_files import (
    EVIL,
    HALF,
    PRIVATE,
    downloads,
    drop,
    edit_json,
    edit_run,
    headline_rows,
    results_of,
    run_program,
    signed,
    table_rows,
    write_run,
)

from mico.pages import attack_pages
from mico.pages.report import marks, render
from mico.pages.run_results import PAIR_NUMBERS
from mico.privacy import budget
from mico.scoring import f_dp
from mico.scoring.f_dp import Guesses
from mico.scoring.metrics import COMPARED, METRICS, TITLES
from mico.support.errors import InputError

COST = r"cost $\frac{1}$ & 鍵"
NAMES = ["references-8", "references-2", "auto", "lira-online", EVIL, COST, "rmia", "loss"]
NAMES += ["visitor", "gap", "coin"]


def page(paths: dict[str, list[Path]]) -> str:
    return render(results_of(paths))


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, list[Path]]:
    return write_run(tmp_path, NAMES)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of `paths` as they are."""
    return page(write_run(tmp_path_factory.mktemp("run"), NAMES))


def test_program_writes_the_same_bytes_every_time(paths: dict, text: str, tmp_path: Path) -> None:
    done = run_program(paths, tmp_path / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "report.html").read_text() == text


@pytest.mark.usefixtures("undrawn")
def test_banner_only_for_public_seeds(paths: dict) -> None:
    assert "public seeds" not in page(paths).lower()
    edit_run(paths, lambda run: run.update(seeds_are_public=False))
    assert "public seeds" not in page(paths).lower()
    edit_run(paths, lambda run: run.update(seeds_are_public=True))
    assert "<strong>Public seeds.</strong>" in page(paths)


def test_banner_only_for_synthetic_data(paths: dict) -> None:
    assert "<strong>Synthetic data.</strong>" in page(paths)
    edit_run(paths, lambda run: run["datasets"]["purchase100-synthetic"].update(synthetic=False))
    assert "synthetic data" not in page(paths).lower()


@pytest.mark.parametrize("metric", COMPARED)
def test_headline_numbers_are_those_of_the_table(paths: dict, text: str, metric: str) -> None:
    scores = pd.read_csv(paths["scores"][0])
    rows = table_rows(text, f'aria-label="Scores: {TITLES[metric]}"')
    means = scores[scores.phase == "both"].groupby("participant")[metric].mean()
    assert [means[name] for name in rows] == sorted(means, reverse=True)
    for i, scenario in enumerate(["T1", "T2"]):
        for row in headline_rows(paths, scenario).to_dict("records"):
            value, low, high = (row[metric + end] for end in ("", "_low", "_high"))
            expected = [f"{value:.3f}", f"{low:.3f}–{high:.3f}"]  # noqa: RUF001
            assert rows[row["participant"]][i].removeprefix("≈").split() == expected


@pytest.mark.usefixtures("undrawn")
def test_submissions_and_what_is_beside_them_are_the_organisers_to_see(paths: dict) -> None:
    assert 'id="submissions"' not in page(paths)
    about = {"track": "shopping", "participant": EVIL, "file": "a\u202eb\udcff.zip"}
    about |= {
        "time": "after the year 9999, to come",
        "outcome": "counts",
        "details": "x/zip-1/d.html",
        "id": "2bd8",
    }
    edit_json(
        paths["submissions"][0],
        lambda told: told.update(submissions=[about], passed_over=[f"shopping/{EVIL}: a link"]),
    )
    text = page(paths)
    section = text[text.index('id="submissions"') : text.index('id="made"')]
    assert section.count("&lt;script&gt;alert(1)") == 2
    assert "<script" not in section
    assert "a\ufffdb\ufffd.zip" in section
    assert "after the year 9999, to come" in section
    assert 'href="x/zip-1/d.html"' in section
    assert "<small>id 2bd8</small>" in section
    edit_json(paths["submissions"][0], lambda told: told["submissions"][0].pop("outcome"))
    with pytest.raises(InputError, match=r"submissions\[0\]: 'outcome' is missing"):
        page(paths)


@pytest.mark.usefixtures("undrawn")
def test_who_is_not_scored_everywhere_is_ranked_by_its_lead(paths: dict, text: str) -> None:
    """A participant gains nothing by leaving out the scenario where all are low."""
    before = list(table_rows(text, "sortable headline"))
    drop(paths, "gap", "T2")
    rows = table_rows(page(paths), "sortable headline")
    assert rows["gap"][1] == "not scored"
    assert list(rows).index("gap") >= before.index("loss")


def test_marks_say_what_is_more_than_chance() -> None:
    def marked(*leads: tuple[float, float]) -> dict[str, str]:
        """Participants a, b, ... from the highest, with the interval of a's lead over each."""
        rows = [{"participant": name, "auc": 1 - i} for i, name in enumerate("abcd")]
        pairs = {("a", b): (0.1, *lead) for b, lead in zip("bcd", leads, strict=True)}
        return marks(rows[::-1], pairs, "auc")

    clear, unclear = (0.01, 0.2), (-0.01, 0.2)
    assert marked(clear, clear, clear) == {"a": "highest"}
    assert marked(unclear, clear, unclear) == {"a": "alike", "b": "alike", "d": "alike"}
    assert marked((0.0, 0.0), clear, clear) == {"a": "alike", "b": "alike"}
    assert marked(clear, unclear, clear) == {"a": "highest", "c": "alike"}
    assert marks([{"participant": "a", "auc": 1}], {}, "auc") == {"a": "highest"}
    assert marks([{"participant": name, "auc": 1} for name in "ab"], {}, "auc") == {}


def test_marks_are_shown(paths: dict, text: str) -> None:
    rows = table_rows(text, "sortable headline")
    for i, scenario in enumerate(["T1", "T2"]):
        tprs = headline_rows(paths, scenario).set_index("participant")["tpr_at_fpr_0.1"]
        pairs = pd.read_csv(paths["comparisons"][0])
        pairs = pairs[(pairs.scenario == scenario) & (pairs.metric == "tpr_at_fpr_0.1")]
        best = tprs.idxmax()
        near = pairs[((pairs.participant == best) | (pairs.other == best))]
        near = near[near.difference.abs() <= HALF]
        expected = ({*near.participant, *near.other} | {best}) if len(near) else set()
        assert {name for name, cells in rows.items() if cells[i].startswith("≈")} == expected
    assert "not distinguishable from the highest" in text


@pytest.mark.usefixtures("undrawn")
def test_a_highest_that_is_scored_on_fewer_models_is_compared_with_nobody(paths: dict) -> None:
    """As references are, which are trained for some train models, where no others are known."""
    highest = headline_rows(paths, "T1").set_index("participant")["tpr_at_fpr_0.1"].idxmax()
    table = pd.read_csv(paths["scores"][0])
    table = table[(table.scenario == "T2") | (table.phase == "both")]
    table.loc[table.scenario == "T1", "phase"] = "train"
    table.loc[(table.scenario == "T1") & (table.participant == highest), "models"] -= 1
    table.to_csv(paths["scores"][0], index=False)
    pairs = pd.read_csv(paths["comparisons"][0])
    with_it = (pairs.participant == highest) | (pairs.other == highest)
    pairs[~((pairs.scenario == "T1") & with_it)].to_csv(paths["comparisons"][0], index=False)
    text = page(paths)
    assert f"<strong>{highest}</strong> with" in text
    alike = [part.count("Not distinguishable from it") for part in text.split('<h2 id="scenario-')]
    assert alike == [0, 0, 2]  # in T2, at either FPR


@pytest.mark.usefixtures("undrawn")
def test_clear_lead_is_bold(paths: dict) -> None:
    table = pd.read_csv(paths["comparisons"][0])
    table["low"], table["high"] = table.difference - 1e-9, table.difference + 1e-9
    table.to_csv(paths["comparisons"][0], index=False)
    bold = re.findall(r'data-value="([^"]*)" class="highest"', page(paths))
    expected = [
        headline_rows(paths, scenario)[metric].max()
        for metric in COMPARED
        for scenario in ("T1", "T2")
        if headline_rows(paths, scenario)[metric].nlargest(2).nunique() == 2
    ]
    assert len(expected) >= 3
    assert sorted(map(float, bold)) == pytest.approx(sorted(expected), abs=1e-6)


@pytest.mark.parametrize(("phase", "label"), [("both", "dev + final"), ("train", "train")])
def test_every_metric_of_every_phase(paths: dict, text: str, phase: str, label: str) -> None:
    scores = pd.read_csv(paths["scores"][0])
    rows = table_rows(text, f'aria-label="Metrics of T2, {label}"')
    for row in scores[(scores.scenario == "T2") & (scores.phase == phase)].to_dict("records"):
        shown = [cell.split()[0] for cell in rows[row["participant"]] if cell]
        assert shown == [f"{row[metric.name]:.3f}" for metric in METRICS]


def test_downloads_carry_the_inputs(paths: dict, text: str) -> None:
    links = downloads(text)
    table = pd.read_csv(paths["scores"][0])
    (paths["scores"][0].parent / "copy.csv").write_text(links["scores.csv"])
    copy = pd.read_csv(paths["scores"][0].parent / "copy.csv")
    pd.testing.assert_frame_equal(copy, table, check_dtype=False)
    curves = json.loads(paths["curves"][0].read_text())["T1"]
    roc = pd.read_csv(io.StringIO(links["T1-roc.csv"])).set_index("fpr")
    per_model = {
        f"tpr_at_fpr_{fpr}": pd.read_csv(io.StringIO(links[f"T1-models-{fpr}.csv"])).set_index(
            "model"
        )
        for fpr in ("0.1", "0.01")
    }
    for name, curve in curves.items():
        ends = pd.Series(curve["tpr"], np.array(curve["fpr"])).groupby(level=0).last()
        reached = np.interp(ends.index, roc.index, roc[name])
        assert np.allclose(reached, ends)
        assert roc[name].is_monotonic_increasing
        for metric, table in per_model.items():
            expected = {int(k): v for k, v in curve["models"][metric].items()}
            assert table[name].to_dict() == expected
    pairs = pd.read_csv(io.StringIO(links["T2-comparisons.csv"]))
    assert len(pairs) == 2 * len(curves) * (len(curves) - 1) / 2
    assert len(pd.read_csv(io.StringIO(links["T2-ceilings.csv"]))) == len(
        json.loads(paths["ceilings"][1].read_text())["fpr"]
    )
    assert "T1-ceilings.csv" not in links
    assert links["models.csv"].count("\n") == 1 + 2 * 12
    assert json.loads(links["run.json"]) == json.loads(paths["run"][0].read_text())


def test_settings_and_training_are_shown(text: str) -> None:
    rows = table_rows(text, 'aria-label="Scenario settings"')
    assert rows["Target ε"][:2] == ["–", "4"]  # noqa: RUF001
    assert rows["Clipping norm"][:2] == ["–", "2.6"]  # noqa: RUF001
    assert rows["Training records, n"][:2] == ["7,600", "7,600"]
    assert rows["Models"][:2] == ["12", "12"]
    assert rows["Steps"][:2] == ["78,100", "78,100"]
    assert rows["ε spent"][:2] == ["–", "3.97"]  # noqa: RUF001
    assert rows["Noise multiplier, σ"][:2] == ["–", "0.54"]  # noqa: RUF001
    assert rows["δ"][:2] == ["–", "1e-05"]  # noqa: RUF001
    assert rows["Evaluation accuracy"][:2] == ["0.61", "0.38"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.usefixtures("undrawn")
def test_the_recipe_is_shown_as_far_as_there_is_one(paths: dict) -> None:
    def edit(run: dict) -> None:
        run["scenarios"][0] |= {"optimizer": "adamw", "weight_decay": 0.01, "nesterov": False}
        run["scenarios"][1] |= {"optimizer": "adam", "weight_decay": 0.0, "clipping": "automatic"}

    edit_run(paths, edit)
    rows = table_rows(page(paths), 'aria-label="Scenario settings"')
    assert rows["Optimizer"][:2] == ["adamw", "adam"]
    assert rows["Weight decay"][:2] == ["0.01", "0"]
    assert rows["Clipping"][:2] == ["–", "automatic"]  # noqa: RUF001
    assert "Nesterov" not in rows
    assert "Label smoothing" not in rows


@pytest.mark.usefixtures("undrawn")
def test_few_models_and_a_large_delta_are_pointed_out(paths: dict) -> None:
    assert "too narrow" not in page(paths)
    assert "larger than 1 / n" not in page(paths)
    table = pd.read_csv(paths["scores"][0])
    table.loc[table.scenario == "T2", "models"] = 9
    table.to_csv(paths["scores"][0], index=False)
    edit_run(paths, lambda run: run["scenarios"][1].update(n=50_000))
    spent = budget.read(paths["privacy"][1])
    budget.write(paths["privacy"][1], replace(spent, delta=1e-4))
    text = page(paths)
    assert text.count("Intervals from so few models are too narrow") == 1
    assert "δ is larger than 1 / n" in verdict_of(text, "T2")


def test_what_an_attack_noted_is_said_where_it_was(paths: dict, text: str) -> None:
    sections = text.split("<h2 id=")
    said = f"<p><strong>auto</strong> chose {html.escape(EVIL)}.</p>"
    assert [said in section for section in sections[1:]] == [True, False, False]
    edit_json(paths["notes"][0], lambda notes: notes["T1"].update(auto=3))
    with pytest.raises(InputError, match=r"notes.json: T1.auto: 3: expected a text"):
        page(paths)


def test_names_from_outside_are_escaped(paths: dict) -> None:
    edit_run(paths, lambda run: run.update(versions={EVIL: EVIL}))
    text = page(paths)
    assert EVIL not in text
    assert text.count("<script>") == 2  # of all pages, and the report's own
    assert html.escape(EVIL) in text
    assert html.escape(COST) in text
    assert f'href="attack_pages/{quote(EVIL, safe="")}.html"' in text


def test_only_built_in_attacks_have_a_page(paths: dict, text: str) -> None:
    linked = set(re.findall(r'<a href="attack_pages/([^"]*)\.html">', text))
    run = json.loads(paths["run"][0].read_text())
    assert {unquote(name) for name in linked} == {attack["name"] for attack in run["attacks"]}


def test_nothing_is_loaded_from_outside(text: str) -> None:
    targets = re.findall(r'(?:src|srcset|href|action|poster|data)="([^"]*)"', text)
    targets += re.findall(r"url\(([^)]*)\)", text)
    assert targets
    assert all(target.startswith(("#", "data:", "attack_pages/", "records/")) for target in targets)
    assert "@import" not in text
    assert all(name.startswith("www.w3.org/") for name in re.findall(r"https?://(\S+)", text))


def test_ids_are_unique_and_links_lead_somewhere(text: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)


def verdict_of(text: str, scenario: str) -> str:
    """The text of a scenario's verdict."""
    found = re.search(rf'id="privacy-{scenario}">(.*?)<p class="note">', text, re.DOTALL)
    return " ".join(html.unescape(re.sub("<.*?>", " ", found[1])).split())


def test_verdict_shows_what_attacks_found_beside_what_they_could(paths: dict, text: str) -> None:
    assert 'id="privacy-T1"' not in text  # no DP
    assert 'role="alert"' not in text
    assert verdict_of(text, "T2").startswith("✓ Consistent with ε = 3.97. No score is above")
    rows = table_rows(text, 'id="privacy-T2"')
    for fpr in 0.1, 0.01:
        metric = f"tpr_at_fpr_{fpr:g}"
        best = headline_rows(paths, "T2").sort_values(metric).iloc[-1]
        ends = f"{best[metric + '_low']:.3f}–{best[metric + '_high']:.3f}"  # noqa: RUF001
        (cells,) = (cells for name, cells in rows.items() if name.startswith(TITLES[metric]))
        assert cells[0].split() == [f"{best[metric]:.3f}", ends]
        assert cells[1:3] == [f"{fpr**0.8:.3f}", f"{fpr**0.5:.3f}"]
    for label, shown in ("rates", "1.30"), ("guesses", "0.65"), ("guesses, of Gaussian DP", "1.43"):
        cells = rows[f"ε at least, by {label}references-8"]
        assert (cells[0], cells[2].split()) == (shown, ["3.97", "accountant"])
    audit = json.loads(paths["audit"][0].read_text())["T2"]
    found = Guesses(**audit["references-8"]["guesses"])
    curve = results_of(paths).allowed_from("T2")
    chance = min(1, len(audit) * f_dp.p_value(found, curve))
    assert rows["Chance of so many right guessesreferences-8"][0] == f"{chance:.2g}"
    assert text.count("bound: all steps seen") == 1  # in a ROC's legend


@pytest.mark.usefixtures("undrawn")
def test_score_above_the_bound_is_a_warning(paths: dict) -> None:
    ceiling = json.loads(paths["ceilings"][1].read_text())
    ceiling["bound"] = [1.02 * rate for rate in ceiling["fpr"]]
    paths["ceilings"][1].write_text(json.dumps(ceiling))
    text = page(paths)
    row = headline_rows(paths, "T2").set_index("participant").loc["references-8"]
    assert row["tpr_at_fpr_0.1_low"] > 0.1 * 1.02
    verdict = verdict_of(text, "T2")
    assert verdict.startswith("⚠ Exceeds what ε = 3.97 allows. Something is wrong")
    assert f"references-8 has a TPR of {row['tpr_at_fpr_0.1']:.3f} (" in verdict
    assert "at FPR 0.1, where the bound is 0.102" in verdict
    assert 'class="banner" role="alert"' in text
    assert '<a href="#privacy-T2">T2</a>' in text


def test_the_claimed_curve_is_taken_at_its_lower_listed_rate(paths: dict) -> None:
    curve = json.loads(paths["ceilings"][1].read_text())
    allowed_from = results_of(paths).allowed_from("T2")
    for i, (fpr, bound) in enumerate(zip(curve["fpr"], curve["bound"], strict=True)):
        below = curve["fpr"][i - 1] if i else 0.0
        assert allowed_from(bound) == below < fpr
        assert allowed_from(bound + 1e-9) == fpr


@pytest.mark.usefixtures("undrawn")
def test_more_right_guesses_than_the_claimed_curve_allows_are_a_warning(paths: dict) -> None:
    said = "as many right guesses as those of references-8 have a chance of"
    ceiling = json.loads(paths["ceilings"][1].read_text())
    ceiling["bound"] = [min(1.0, 2 * rate) for rate in ceiling["fpr"]]
    paths["ceilings"][1].write_text(json.dumps(ceiling))
    assert said not in verdict_of(page(paths), "T2")
    many = {"points": 10_000, "guesses": 5000, "right": 4900}
    edit_json(paths["audit"][0], lambda one: one["T2"]["references-8"].update(guesses=many))
    assert said in verdict_of(page(paths), "T2")


@pytest.mark.usefixtures("undrawn")
def test_lower_bound_above_epsilon_is_a_warning(paths: dict) -> None:
    edit_json(paths["audit"][0], lambda audit: audit["T2"]["rmia"].update(epsilon_lower=4.25))
    verdict = verdict_of(page(paths), "T2")
    assert "Exceeds what ε = 3.97 allows" in verdict
    assert "of rmia show that ε is at least 4.25, where the accountant says 3.97" in verdict


@pytest.mark.usefixtures("undrawn")
def test_gain_curves_show_reference_models_that_differ_in_number_only(
    paths: dict, text: str
) -> None:
    files = downloads(text)
    for scenario in "T1", "T2":
        rows = headline_rows(paths, scenario).set_index("participant")
        for fpr in "0.1", "0.01":
            table = pd.read_csv(io.StringIO(files[f"{scenario}-gain-{fpr}.csv"]))
            assert list(table["count"]) == [2, 8]
            for ours, theirs in ("tpr", ""), ("low", "_low"), ("high", "_high"):
                column = f"tpr_at_fpr_{fpr}{theirs}"
                expected = rows.loc[["references-2", "references-8"], column]
                assert np.allclose(table[ours], expected)
            assert f'aria-label="Gain from reference models at FPR {fpr}, {scenario}"' in text
        others = rows.drop(["references-2", "references-8", "auto", "visitor"])
        best = others["tpr_at_fpr_0.1"].sort_values()
        note = f"<strong>{html.escape(best.index[-1])}</strong> with {best.iloc[-1]:.3f}, the best"
        assert note in text
    edit_run(paths, lambda run: run["attacks"][0].update(signal="margin"))
    assert "Gain from reference models" not in page(paths)


@pytest.mark.usefixtures("undrawn")
def test_what_has_shared_reference_models_has_more_than_shadow_models(paths: dict) -> None:
    """The best of those to compare with is one that has the train models alone."""
    rows = headline_rows(paths, "T1").set_index("participant")["tpr_at_fpr_0.1"]
    best, second = rows.drop(["references-2", "references-8", "auto", "visitor"]).nlargest(2).index

    def share(run: dict) -> None:
        (attack,) = (attack for attack in run["attacks"] if attack["name"] == best)
        attack.update(shared_references=32)

    edit_run(paths, share)
    assert f"<strong>{html.escape(second)}</strong> with {rows[second]:.3f}, the best" in page(
        paths
    )


@pytest.mark.usefixtures("undrawn")
def test_two_kinds_of_reference_models_are_two_lines(tmp_path: Path) -> None:
    names = [f"references-{count}" for count in (2, 4, 8, 16)]
    paths = write_run(tmp_path, [*names, "lira"])
    edit_run(paths, lambda run: [attack.update(signal="conf") for attack in run["attacks"][:2]])
    text = page(paths)
    legend = text[text.index('aria-label="Kinds of reference models"') :].partition("</ul>")[0]
    assert re.findall("</span> (.*)</li>", legend) == ["signal conf", "signal loss"]
    table = pd.read_csv(io.StringIO(downloads(text)["T1-gain-0.1.csv"]))
    assert list(table["kind"]) == ["signal conf"] * 2 + ["signal loss"] * 2


def test_differences_from_the_highest(paths: dict, text: str) -> None:
    rows = table_rows(text, 'aria-label="Differences from the highest, T1"')
    pairs = pd.read_csv(paths["comparisons"][0])
    pairs = pairs[pairs.scenario == "T1"]
    for i, metric in enumerate(COMPARED):
        tprs = headline_rows(paths, "T1").set_index("participant")[metric]
        best = max(sorted(tprs.index), key=lambda name: tprs[name])
        assert rows[best][i] == "the highest"
        for name in set(tprs.index) - {best}:
            lead = tprs[name] - tprs[best]
            expected = [signed(value) for value in (lead - HALF, lead + HALF)]
            number, *interval = rows[name][i].replace("to", "").split()
            assert number == signed(lead)
            assert interval == expected


@pytest.mark.slow
def test_size_of_a_large_run(tmp_path: Path) -> None:
    paths = write_run(tmp_path, [f"attack-{i}" for i in range(28)], models=100, m=100)
    assert len(page(paths).encode()) < 2 * 5_000_000 / 12  # twelve scenarios in 5 MB


@pytest.mark.usefixtures("undrawn")
def test_a_run_with_one_phase_and_no_curves(paths: dict) -> None:
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[
        (scores.phase == "dev") & (scores.participant != "gap") | (scores.scenario == "T1")
    ]
    scores.to_csv(paths["scores"][0], index=False)
    curves = json.loads(paths["curves"][0].read_text())
    paths["curves"][0].write_text(json.dumps({"T1": curves["T1"]}))
    edit_json(paths["audit"][0], lambda audit: audit.pop("T2"))
    text = page(paths)
    assert "ε at least" not in text
    assert "dev + final, 12 models" in text
    assert "<small>dev, 6 models</small>" in text
    assert text.count("There are no ROC curves for this scenario.") == 1
    assert table_rows(text, "sortable headline")["gap"][1] == "not scored"


@pytest.mark.parametrize(
    ("which", "column"),
    [
        ("scores", "tpr_at_fpr_0.1_low"),
        ("scores", "participant"),
        ("models", "seconds"),
        ("comparisons", "other"),
        ("comparisons", "low"),
    ],
)
def test_missing_column_is_named(paths: dict, which: str, column: str) -> None:
    path = paths[which][0]
    pd.read_csv(path).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"{path.name}: header: '{column}' is missing"):
        page(paths)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda run: run.pop("seeds"), "run.json: 'seeds' is missing"),
        (lambda run: run["scenarios"][1].pop("m"), r"run.json: scenarios\[1\]: 'm' is missing"),
        (lambda run: run["attacks"][0].pop("name"), r"run.json: attacks\[0\]: 'name' is missing"),
        (lambda run: run["attacks"][0].pop("count"), r"attacks\[0\]: 'count' is missing"),
        (lambda run: run["attacks"][0].update(count="8"), r"count '8': expected at least 1"),
        (
            lambda run: run["datasets"].clear(),
            "run.json: datasets: 'purchase100-synthetic' is missing",
        ),
        (lambda run: run["scenarios"].pop(), "scores: scenario 'T2': the run only has T1"),
    ],
)
def test_missing_key_is_named(paths: dict, edit: Callable[[dict], object], message: str) -> None:
    edit_run(paths, edit)
    with pytest.raises(InputError, match=message):
        page(paths)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("auc", "high", "scores.csv: column auc: expected numbers"),
        ("auc", "", "scores.csv: column auc: expected numbers"),
        ("auc", "nan", "scores.csv: column auc: expected finite numbers"),
        ("phase", "test", "scores.csv: phase 'test': expected one of both"),
        ("phase", "final", "scores.csv: more than one row for"),
    ],
)
def test_bad_value_is_named(paths: dict, column: str, value: str, message: str) -> None:
    scores = pd.read_csv(paths["scores"][0], dtype=str)
    scores.loc[0, column] = value
    scores.to_csv(paths["scores"][0], index=False)
    with pytest.raises(InputError, match=message):
        page(paths)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("low", "", "comparisons.csv: column low: expected numbers"),
        ("metric", "auc", "metric 'auc': expected tpr_at_fpr_0.1 or tpr_at_fpr_0.01"),
        ("scenario", "T9", "comparisons: scenario 'T9': the run only has T1, T2"),
        ("other", "references-8", "'references-8' and 'references-8': expected two participants"),
        ("other", "auto", "more than one row for"),
        ("other", "nobody", "comparisons: T1: tpr_at_fpr_0.1 of 'references-8' and "),
    ],
)
def test_bad_comparison_is_named(paths: dict, column: str, value: str, message: str) -> None:
    table = pd.read_csv(paths["comparisons"][0], dtype=str)
    table.loc[0, column] = value
    table.to_csv(paths["comparisons"][0], index=False)
    with pytest.raises(InputError, match=re.escape(message)):
        page(paths)


def test_pair_in_both_orders_is_named(paths: dict) -> None:
    table = pd.read_csv(paths["comparisons"][0])
    table.loc[0, ["participant", "other"]] = ["lira-online", "auto"]
    table.to_csv(paths["comparisons"][0], index=False)
    with pytest.raises(InputError, match="T1: 'auto' and 'lira-online': expected two participants"):
        page(paths)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda audit: audit["T1"].pop("rmia"), "audit: T1: participant 'rmia' is missing"),
        (lambda audit: audit.update(T9={}), "audit: scenario 'T9': the run only has T1, T2"),
        (
            lambda audit: audit["T1"]["rmia"].update(epsilon_lower=None),
            "T1.rmia: epsilon_lower None: expected a number",
        ),
        (
            lambda audit: audit["T1"]["rmia"]["calibration"][2].pop("fpr_low"),
            "T1.rmia: calibration[2]: 'fpr_low' is missing",
        ),
        (
            lambda audit: audit["T1"]["rmia"]["calibration"].pop(),
            "T1.rmia: calibration: expected one of each FPR 0.001, 0.01, 0.05, 0.1, 0.15, 0.2",
        ),
        (
            lambda audit: audit["T1"]["rmia"]["classes"][1].update(tpr="high"),
            "T1.rmia: classes[1]: tpr 'high': expected a number",
        ),
        (
            lambda audit: audit["T1"]["rmia"]["classes"][1].pop("fpr"),
            "T1.rmia: classes[1]: 'fpr' is missing",
        ),
    ],
)
def test_bad_audit_is_named(paths: dict, edit: Callable[[dict], object], message: str) -> None:
    edit_json(paths["audit"][0], edit)
    with pytest.raises(InputError, match=re.escape(message)):
        page(paths)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda curve: curve.pop("bound"), "T2.json: 'bound' is missing"),
        (lambda curve: curve["bound"].pop(), "expected fpr, bound and heuristic of one length"),
        (lambda curve: curve["bound"].append("1"), "T2.json: expected lists of numbers"),
        (lambda curve: curve["fpr"].reverse(), "T2.json: fpr: expected increasing rates, up to"),
    ],
)
def test_bad_ceiling_is_named(paths: dict, edit: Callable[[dict], object], message: str) -> None:
    edit_json(paths["ceilings"][1], edit)
    with pytest.raises(InputError, match=re.escape(message)):
        page(paths)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda spent: spent.pop("steps"), "T2.json: expected what training spends: "),
        (lambda spent: spent.update(epsilon=4), "T2.json: expected what training spends: "),
        (
            lambda spent: spent.update(delta=None),
            "T2.json: noise_multiplier, epsilon_spent, delta ",
        ),
        (
            lambda spent: spent.update(dict.fromkeys(PRIVATE)),
            "ceilings: scenario 'T2': expected none without DP, as privacy says",
        ),
    ],
)
def test_bad_privacy_is_named(paths: dict, edit: Callable[[dict], object], message: str) -> None:
    edit_json(paths["privacy"][1], edit)
    with pytest.raises(InputError, match=re.escape(message)):
        page(paths)


def test_missing_ceiling_is_named(paths: dict) -> None:
    paths["ceilings"].pop()
    with pytest.raises(InputError, match="ceilings: scenario 'T2' is missing"):
        page(paths)


def test_program_reports_bad_input_in_one_line(paths: dict, tmp_path: Path) -> None:
    paths["curves"][0].write_text('{"T1": {"strong": {}}}')
    done = run_program(paths, tmp_path / "report.html")
    assert done.returncode == 1
    assert done.stderr == f"error: {paths['curves'][0]}: T1.strong: 'fpr' is missing\n"
    assert not (tmp_path / "report.html").exists()


PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
console.error = console.warn = alert = message => errors.push(message);
addEventListener("load", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const table = document.querySelector("table.headline");
  const click = column => {
    table.tHead.rows[0].cells[column].querySelector("button").click();
    return [...table.tBodies[0].rows].map(row => row.cells[0].textContent);
  };
  const page = document.documentElement;
  const box = document.querySelector('.compare[data-scenario="T2"]');
  const opened = [...document.querySelectorAll(".compare")].map(one =>
    [...one.querySelectorAll("select")].map(select => select.value));
  const compare = (...chosen) => {
    box.querySelectorAll("select").forEach((select, i) => {
      select.value = chosen[i];
      select.dispatchEvent(new Event("change"));
    });
    return [...box.querySelectorAll(".difference")].map(line => line.textContent.trim());
  };
  const tables = [...document.querySelectorAll("table.headline")];
  const visible = one => one.getBoundingClientRect().width > 0;
  const rate = one => one.textContent.match(/FPR 0[.][0-9]+/)?.[0];
  const places = "figcaption, figure text, [id^=scenario] ~ p";
  const atRate = [...document.querySelectorAll(places)].filter(rate);
  const scored = [...document.querySelectorAll("svg text")]
    .filter(one => one.textContent === "scored here");
  const rates = () => [...new Set(atRate.filter(visible).map(rate)), scored.filter(visible).length];
  const shown = () => [...tables.map(visible), ...rates()];
  const before = shown();
  document.getElementById("show-2").click();
  const after = shown();
  document.getElementById("show-1").click();
  parent.postMessage({
    width: page.clientWidth, needed: page.scrollWidth, wider: table.scrollWidth > page.clientWidth,
    compared: [compare("loss", "gap"), compare("gap", "loss"), compare("gap", "gap")],
    hidden: box.hidden, opened, shown: [before, after],
    falling: click(2), rising: click(2), names: click(0),
    sort: [...table.tHead.rows[0].cells].map(cell => cell.getAttribute("aria-sort")),
    figures: [...document.querySelectorAll("svg")].filter(visible)
      .map(svg => svg.getBoundingClientRect().width),
    errors,
  }, "*");
});
</script>"""


def check_comparison(paths: dict, seen: list[list[str]]) -> None:
    """What the page says of "loss" and "gap", and the other way round, and of one and the same."""
    for i, metric in enumerate(COMPARED):
        tprs = headline_rows(paths, "T2").set_index("participant")[metric]
        for lines, one, other in (seen[0], "loss", "gap"), (seen[1], "gap", "loss"):
            lead = tprs[one] - tprs[other]
            numbers = map(signed, (lead, lead - HALF, lead + HALF))
            said = "higher" if lead > HALF else "lower" if lead < -HALF else "not distinguishable"
            assert "{} ({} to {})".format(*numbers) in lines[i]
            assert lines[i].endswith(f"{tprs[one]:.3f} and {tprs[other]:.3f}: {said}")
        assert "Choose two participants." in seen[2][i]


@pytest.mark.slow
def test_page_in_a_browser_as_narrow_as_a_telephone(paths: dict, text: str, tmp_path: Path) -> None:
    seen = browser.show(text.replace("<head>", "<head>" + PROBE, 1), tmp_path, 390, 844)
    assert seen["errors"] == []
    assert seen["needed"] == seen["width"] == 390
    assert seen["wider"], "the table is meant to be wider than the screen and scroll on its own"
    assert len(seen["figures"]) == 9
    # All that is at an FPR follows the switch.
    assert seen["shown"] == [[True, False, "FPR 0.1", 2], [False, True, "FPR 0.01", 2]]
    scores = pd.read_csv(paths["scores"][0])
    dev = scores[scores.phase == "dev"].set_index("participant")
    best = [dev[dev.scenario == one]["tpr_at_fpr_0.1"].idxmax() for one in ("T1", "T2")]
    assert seen["opened"] == [[name, "loss"] for name in best]  # the best on dev, the baseline
    assert seen["hidden"] is False
    check_comparison(paths, seen["compared"])
    assert all(250 < width <= 390 for width in seen["figures"])
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[(scores.scenario == "T2") & (scores.phase == "both")]
    tprs = scores.set_index("participant")["tpr_at_fpr_0.1"]
    assert [tprs[name] for name in seen["falling"]] == sorted(tprs, reverse=True)
    assert [tprs[name] for name in seen["rising"]] == sorted(tprs)
    assert sorted(seen["names"]) == sorted(tprs.index)
    assert seen["names"].index("coin") < seen["names"].index("gap") < seen["names"].index("loss")
    assert seen["sort"] == ["ascending", None, None]


def nothing_found(paths: dict, participants: int) -> None:
    """Of some participants in one scenario, as if all their scores were equal: only zeros."""
    for name in NAMES[participants:]:
        for scenario in "T1", "T2":
            drop(paths, name, scenario)
    kept = {*NAMES[:participants]}
    edit_run(paths, lambda run: run["scenarios"].pop())
    edit_run(
        paths,
        lambda run: run.update(attacks=[one for one in run["attacks"] if one["name"] in kept]),
    )
    for kind in "privacy", "ceilings":
        paths[kind].pop()
    paths["models"] = paths["models"][:2]
    for kind in "scores", "comparisons":
        table = pd.read_csv(paths[kind][0])
        table = table[table.scenario == "T1"]
        numbers = [name for name in table.columns if "tpr" in name or name in PAIR_NUMBERS]
        table[numbers] = 0.0
        table.to_csv(paths[kind][0], index=False)
    nothing = {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0], "models": {}}
    nothing["models"] = {metric: {"100": 0.0, "101": 0.0} for metric in COMPARED}

    def of_audit(content: dict) -> None:
        del content["T2"]
        for found in content["T1"].values():
            found["epsilon_lower"] = 0.0
            for rates in found["calibration"]:
                rates |= {key: 0.0 for key in rates if key != "fpr"}
            for one in found["classes"]:
                one |= {"fpr": 0.0, "tpr_high": 0.0}
                one |= {"tpr": 0.0, "tpr_low": 0.0} if one["members"] else {}

    def of_curves(content: dict) -> None:
        del content["T2"]
        content["T1"] = dict.fromkeys(content["T1"], nothing)

    edit_json(paths["curves"][0], of_curves)
    edit_json(paths["audit"][0], of_audit)


@pytest.mark.slow
@pytest.mark.parametrize("participants", [1, 4])
def test_a_run_in_which_nothing_was_found(paths: dict, participants: int) -> None:
    """One attack, or several whose scores are all equal, in one scenario: every TPR is 0."""
    nothing_found(paths, participants)
    text = page(paths)
    for metric in COMPARED:
        rows = table_rows(text, f'aria-label="Scores: {TITLES[metric]}"')
        assert len(rows) == participants
        for cells in rows.values():
            assert cells[0].split()[-2:] == ["0.000", "0.000–0.000"]  # noqa: RUF001
    # Nothing is drawn at a place that is none, or beyond its bar.
    assert not re.search("nan|inf%", re.sub('data:[^"]*', "", text))
    places = [float(place) for place in re.findall(r"(?:left|width):([\d.]+)%", text)]
    assert set(places) == ({0.0, 100.0} if participants == 1 else {0.0, 50.0, 100.0})
    results = results_of(paths)
    for attack in results.run["attacks"]:
        own = attack_pages.render(results, attack)
        assert attack["name"] in own
        assert "nan" not in re.sub('data:[^"]*', "", own)


CURVES = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("load", () => {
  const svg = document.querySelector("svg[data-lowest]");
  const figure = svg.closest("figure");
  figure.querySelector(".curves").open = true;
  const legend = () => [...figure.querySelectorAll(".legend li")]
    .filter(item => !item.hidden).map(item => item.textContent.trim());
  const box = name => [...figure.querySelectorAll(".curves label")]
    .find(label => label.textContent.trim() === name).querySelector("input");
  const said = () => figure.querySelector("output").textContent;
  const width = name => {
    const path = svg.querySelector(`[data-curve="${name}"] path`);
    return getComputedStyle(path).strokeWidth;
  };
  const legends = [legend()];
  const widths = [width("coin")];
  box("coin").focus();
  const focused = said();
  for (const name of ["coin", "references-8"]) {
    box(name).click();
    legends.push(legend());
  }
  widths.push(width("references-8"));
  box("gap").focus();
  widths.push(width("coin"));
  const curve = [...svg.querySelectorAll('[data-curve="coin"] path')][0];
  const middle = curve.getPointAtLength(curve.getTotalLength() / 2);
  const place = new DOMPoint(middle.x, middle.y).matrixTransform(svg.getScreenCTM());
  const at = { clientX: place.x, clientY: place.y, bubbles: true };
  svg.dispatchEvent(new PointerEvent("pointermove", at));
  const fpr = 10 ** ((middle.x - 352) / 314 * -Math.log10(Number(svg.dataset.lowest)));
  parent.postMessage({ errors, legends, widths, focused, pointed: said(), fpr }, "*");
});
</script>"""


@pytest.mark.slow
def test_curves_are_chosen_and_pointed_at(paths: dict, text: str, tmp_path: Path) -> None:
    seen = browser.show(text.replace("<head>", "<head>" + CURVES, 1), tmp_path, 1200, 900)
    assert seen["errors"] == []
    before, one_more, one_less = seen["legends"]
    assert before[0] == "● references-8"
    assert before[-1] == "━ 6 others"
    assert one_more == [*before[:-1], "★ coin", "━ 5 others"]
    assert one_less == [*before[1:-1], "★ coin", "━ 6 others"]
    tpr = headline_rows(paths, "T1").set_index("participant")["tpr_at_fpr_0.1"]["coin"]
    name, _, rates = seen["focused"].partition(": TPR ")
    value, _, fpr = rates.partition(" at FPR ")
    assert (name, fpr) == ("coin", "0.10")
    assert float(value) == pytest.approx(tpr, abs=0.005)  # by its drawing
    assert seen["widths"] == ["0.8px", "0.8px", "1.6px"]
    assert float(seen["pointed"].rpartition(" ")[2]) == pytest.approx(seen["fpr"], rel=0.06)


@pytest.mark.usefixtures("undrawn")
def test_the_report_says_what_the_run_is(paths: dict) -> None:
    edit_run(paths, lambda run: run.update(about=f"Shops & {EVIL}"))
    text = page(paths)
    assert f'<p class="lede">Shops &amp; {html.escape(EVIL)}</p>' in text
    assert "in 2 scenarios: purchase100-synthetic (synthetic data)." in text
    assert "noise multiplier \u03c3 = 0.54" in text
