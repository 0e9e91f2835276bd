"""The report: right numbers, nothing loaded from outside, and a page that works in a browser."""

import html
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest

from mico.command_line import InputError
from mico.report import METRICS, read_curves, read_models, read_run, read_scores, render
from mico.scoring import FPRS

SCRIPT = Path(__file__).parents[1] / "scripts" / "report.py"
EVIL = "<script>alert(1)</script>"
COST = r"cost $\frac{1}$ & 鍵"
PHASES = {"train": (0, 1), "dev": (0, 2), "final": (1, 2), "both": (0, 1)}


def write_run(
    folder: Path, participants: list[str], models: int = 12, m: int = 20, synthetic: bool = True
) -> dict[str, list[Path]]:
    """A small run's files with plausible numbers: a plain scenario T1 and a private one T2.

    Attacks are ordered as in `participants`, from strong to weak.
    """
    rng = np.random.default_rng(7)
    rows, settings, all_curves, model_paths = [], [], {}, []
    for scenario, epsilon, strength in ("T1", None, 1.2), ("T2", 4.0, 0.15):
        challenge = "purchase100_inf" if epsilon is None else "purchase100_lo"
        curves = {}
        for i, participant in enumerate(participants):
            members = rng.normal(strength * 0.85**i, 1 + 0.4 * strength, (models, m))
            others = rng.normal(0, 1, (models, m))
            curves[participant] = _curve(members, others)
            for phase in PHASES:
                row = {"scenario": scenario, "challenge": challenge, "track": "purchase100"}
                row |= {"data": "purchase100-synthetic", "participant": participant, "phase": phase}
                row |= {"models": models if phase == "both" else models // 2}
                for metric, value in _metrics(curves[participant]).items():
                    value = min(1, max(0, value + (phase != "both") * rng.normal(0, 0.005)))
                    half = 0.5 / np.sqrt(row["models"] * m)
                    row |= {metric: value, f"{metric}_low": max(0, value - half)}
                    row |= {f"{metric}_high": min(1, value + half)}
                rows.append(row)
        all_curves[scenario] = curves
        for shard, numbers in enumerate(np.array_split(np.arange(models), 2)):
            table = pd.DataFrame({"scenario": scenario, "model": numbers})
            table["training_accuracy"] = 0.99 if epsilon is None else 0.41
            table["evaluation_accuracy"] = 0.61 if epsilon is None else 0.38
            table["epsilon"], table["delta"] = epsilon, epsilon and 1e-5
            table["noise_multiplier"] = epsilon and 0.54
            table["sample_rate"], table["steps"] = 128 / 7600, 78100
            table["seconds"], table["device"] = rng.uniform(15, 18, len(table)), "cpu"
            model_paths.append(folder / f"{scenario}-{shard}.csv")
            table.to_csv(model_paths[-1], index=False)
        settings.append(
            {"id": scenario, "challenge": challenge, "track": "purchase100", "m": m, "n": 7600}
            | {"data": "purchase100-synthetic", "architecture": "mlp", "epochs": 20}
            | {"batch_size": 128, "epsilon": epsilon, "delta": epsilon and 1e-5}
            | {"noise_multiplier": epsilon and 0.54, "clipping_norm": epsilon and 2.6}
            | {"disclosed": ["seed_training"], "an extra key": 1}
        )
    pd.DataFrame(rows).to_csv(folder / "scores.csv", index=False)
    data = {"synthetic": synthetic, "records": 10000, "features": 600, "classes": 100}
    run = {
        "run": "demo",
        "config_sha256": "9f2c" * 16,
        "seeds": "master seed 20221110 in the configuration",
        "versions": {"python": "3.11.7", "torch": "2.13.0", "numpy": "2.4.6"},
        "datasets": {"purchase100-synthetic": data | {"source": "generated, seed 1"}},
        "scenarios": settings,
        "attacks": [{"name": name, "attack": "lira", "signal": "margin"} for name in participants],
        "created": "2026-11-24",
    }
    (folder / "run.json").write_text(json.dumps(run))
    scores = [folder / "scores.csv"]
    run_json = [folder / "run.json"]
    curves_json = folder / "curves.json"
    curves_json.write_text(json.dumps(all_curves))
    return {"scores": scores, "curves": [curves_json], "models": model_paths, "run": run_json}


def _curve(members: np.ndarray, others: np.ndarray) -> dict:
    """The thinned ROC curve and the TPR of each model at the pooled threshold of FPR 0.1."""
    falling = np.sort(others, axis=None)[::-1]
    counts = np.unique(np.geomspace(1, others.size, 300).astype(int))
    thresholds = falling[counts - 1]
    tpr = [(members >= threshold).mean() for threshold in thresholds]
    at = (members > falling[int(0.1 * others.size)]).mean(axis=1)
    return {
        "fpr": [0.0, *(counts / others.size)],
        "tpr": [0.0, *tpr],
        "models": {str(100 + i): float(value) for i, value in enumerate(at)},
    }


def _metrics(curve: dict) -> dict[str, float]:
    fpr, tpr = np.array(curve["fpr"]), np.array(curve["tpr"])
    advantage = float((tpr - fpr).max())
    values = {f"tpr_at_fpr_{rate}": float(tpr[fpr <= rate].max()) for rate in FPRS}
    auc = float(np.trapezoid(tpr, fpr))
    return values | {"auc": auc, "advantage": advantage, "accuracy": (1 + advantage) / 2}


def page(paths: dict[str, list[Path]]) -> str:
    return render(
        read_scores(paths["scores"][0]),
        read_curves(paths["curves"][0]),
        read_models(paths["models"]),
        read_run(paths["run"][0]),
    )


def run_program(paths: dict[str, list[Path]], output: Path) -> subprocess.CompletedProcess:
    flags = [text for name, files in paths.items() for text in (f"--{name}", *map(str, files))]
    command = [sys.executable, "-W", "error", str(SCRIPT), *flags, "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50)


def edit_run(paths: dict[str, list[Path]], edit: Callable[[dict], object]) -> None:
    run = json.loads(paths["run"][0].read_text())
    edit(run)
    paths["run"][0].write_text(json.dumps(run))


def table_rows(text: str, start: str) -> dict[str, list[str]]:
    """Row name -> the cells' text of the first table after `start`."""
    body = text[text.index(start) :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r'<th scope="row"[^>]*>(.*?)</th>(.*?)</tr>', body, re.DOTALL)
    return {
        html.unescape(name): [re.sub("<.*?>", " ", cell).strip() for cell in cells.split("</td>")]
        for name, cells in rows
    }


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, list[Path]]:
    return write_run(tmp_path, ["lira-online", EVIL, COST, "rmia", "loss", "gap", "coin"])


def test_program_writes_the_same_bytes_every_time(paths: dict, tmp_path: Path) -> None:
    done = run_program(paths, tmp_path / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "report.html").read_text() == page(paths)


def test_banner_only_for_synthetic_data(paths: dict) -> None:
    assert "<strong>Synthetic data.</strong>" in page(paths)
    edit_run(paths, lambda run: run["datasets"]["purchase100-synthetic"].update(synthetic=False))
    assert "synthetic data" not in page(paths).lower()


def test_headline_numbers_are_those_of_the_table(paths: dict) -> None:
    scores = pd.read_csv(paths["scores"][0])
    rows = table_rows(page(paths), "sortable headline")
    means = scores[scores.phase == "both"].groupby("participant")["tpr_at_fpr_0.1"].mean()
    assert list(rows) == list(means.sort_values(ascending=False).index)
    for i, scenario in enumerate(["T1", "T2"]):
        own = scores[(scores.scenario == scenario) & (scores.phase == "both")]
        for row in own.to_dict("records"):
            value, low, high = (row["tpr_at_fpr_0.1" + end] for end in ("", "_low", "_high"))
            expected = [f"{value:.3f}", f"{low:.3f}–{high:.3f}"]  # noqa: RUF001
            assert rows[row["participant"]][i].split() == expected


def test_only_the_highest_estimate_is_emphasised(paths: dict) -> None:
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[scores.phase == "both"]
    emphasised = re.findall(r'data-value="([^"]*)" class="highest"', page(paths))
    highest = scores.groupby("scenario")["tpr_at_fpr_0.1"].transform("max")
    assert sorted(map(float, emphasised)) == sorted(
        scores["tpr_at_fpr_0.1"][scores["tpr_at_fpr_0.1"] == highest]
    )


@pytest.mark.parametrize(("phase", "label"), [("both", "dev + final"), ("train", "train")])
def test_every_metric_of_every_phase(paths: dict, phase: str, label: str) -> None:
    scores = pd.read_csv(paths["scores"][0])
    rows = table_rows(page(paths), f'aria-label="Metrics of T2, {label}"')
    for row in scores[(scores.scenario == "T2") & (scores.phase == phase)].to_dict("records"):
        shown = [cell.split()[0] for cell in rows[row["participant"]] if cell]
        assert shown == [f"{row[metric]:.3f}" for metric in METRICS]


def test_downloads_carry_the_inputs(paths: dict) -> None:
    text = page(paths)
    links = dict(re.findall(r'<a download="([^"]*)" href="([^"]*)"', text))
    links = {name: unquote(html.unescape(uri).partition(",")[2]) for name, uri in links.items()}
    table = pd.read_csv(paths["scores"][0])
    (paths["scores"][0].parent / "copy.csv").write_text(links["scores.csv"])
    copy = pd.read_csv(paths["scores"][0].parent / "copy.csv")
    pd.testing.assert_frame_equal(copy, table, check_dtype=False)
    curves = json.loads(paths["curves"][0].read_text())["T1"]
    points = sum(len(curve["fpr"]) for curve in curves.values())
    assert links["T1-roc.csv"].count("\n") == 1 + points
    assert links["T1-models.csv"].count("\n") == 1 + 12 * len(curves)
    assert links["models.csv"].count("\n") == 1 + 2 * 12
    assert json.loads(links["run.json"]) == json.loads(paths["run"][0].read_text())


def test_settings_and_training_are_shown(paths: dict) -> None:
    rows = table_rows(page(paths), 'aria-label="Scenario settings"')
    assert rows["Target ε"][:2] == ["–", "4"]  # noqa: RUF001
    assert rows["Clipping norm"][:2] == ["–", "2.6"]  # noqa: RUF001
    assert rows["Training records, n"][:2] == ["7,600", "7,600"]
    assert rows["Models"][:2] == ["12", "12"]
    assert rows["Steps"][:2] == ["78,100", "78,100"]
    assert rows["Evaluation accuracy"][:2] == ["0.61", "0.38"]


def test_names_from_outside_are_escaped(paths: dict) -> None:
    edit_run(paths, lambda run: run.update(versions={EVIL: EVIL}))
    text = page(paths)
    assert EVIL not in text
    assert text.count("<script>") == 1
    assert html.escape(EVIL) in text
    assert html.escape(COST) in text


def test_nothing_is_loaded_from_outside(paths: dict) -> None:
    text = page(paths)
    targets = re.findall(r'(?:src|srcset|href|action|poster|data)="([^"]*)"', text)
    targets += re.findall(r"url\(([^)]*)\)", text)
    assert targets
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert "@import" not in text
    assert all(name.startswith("www.w3.org/") for name in re.findall(r"https?://(\S+)", text))


def test_ids_are_unique_and_links_lead_somewhere(paths: dict) -> None:
    text = page(paths)
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)


def test_a_run_with_one_phase_and_no_curves(paths: dict) -> None:
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[
        (scores.phase == "dev") & (scores.participant != "gap") | (scores.scenario == "T1")
    ]
    scores.to_csv(paths["scores"][0], index=False)
    curves = json.loads(paths["curves"][0].read_text())
    paths["curves"][0].write_text(json.dumps({"T1": curves["T1"]}))
    text = page(paths)
    assert "dev + final, 12 models" in text
    assert "<small>dev, 6 models</small>" in text
    assert text.count("There are no ROC curves for this scenario.") == 1
    assert table_rows(text, "sortable headline")["gap"][1] == "not scored"


@pytest.mark.parametrize(
    ("which", "column"),
    [("scores", "tpr_at_fpr_0.1_low"), ("scores", "participant"), ("models", "seconds")],
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
  parent.postMessage({
    width: page.clientWidth, needed: page.scrollWidth, wider: table.scrollWidth > page.clientWidth,
    falling: click(2), rising: click(2), names: click(0),
    sort: [...table.tHead.rows[0].cells].map(cell => cell.getAttribute("aria-sort")),
    figures: [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width),
    errors,
  }, "*");
});
</script>"""
FRAME = """<iframe src="probe.html" style="width: 390px; height: 844px; border: 0"></iframe>
<pre></pre><script>
onmessage = event => document.querySelector("pre").textContent = JSON.stringify(event.data);
</script>"""


def test_page_in_a_browser_as_narrow_as_a_telephone(paths: dict, tmp_path: Path) -> None:
    found = map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])
    browser = next(filter(None, found), None)
    if browser is None:
        pytest.skip("no Chromium to show the page in")
    (tmp_path / "probe.html").write_text(page(paths).replace("<head>", "<head>" + PROBE, 1))
    (tmp_path / "frame.html").write_text(FRAME)
    flags = "headless no-sandbox disable-gpu no-first-run disable-background-networking"
    flags += f" disable-component-update disable-sync user-data-dir={tmp_path / 'profile'}"
    flags += " enable-logging=stderr hide-scrollbars virtual-time-budget=5000 dump-dom"
    command = [browser, *(f"--{flag}" for flag in flags.split()), f"file://{tmp_path}/frame.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    seen = json.loads(html.unescape(re.search("<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1]))

    assert seen["errors"] == []
    assert "CONSOLE" not in done.stderr
    assert seen["needed"] == seen["width"] == 390
    assert seen["wider"], "the table is meant to be wider than the screen and scroll on its own"
    assert len(seen["figures"]) == 6
    assert all(250 < width <= 390 for width in seen["figures"])
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[(scores.scenario == "T2") & (scores.phase == "both")]
    tprs = scores.set_index("participant")["tpr_at_fpr_0.1"]
    assert [tprs[name] for name in seen["falling"]] == sorted(tprs, reverse=True)
    assert [tprs[name] for name in seen["rising"]] == sorted(tprs)
    assert sorted(seen["names"]) == sorted(tprs.index)
    assert seen["names"].index("coin") < seen["names"].index("gap") < seen["names"].index("loss")
    assert seen["sort"] == ["ascending", None, None]
