"""A metric is a row: whoever adds one to the table finds it in every table and on every page."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_files import edit_run, table_rows, write_run
from scored_run import PARTICIPANTS, PHASES, bootstrap, write_inputs

from mico.scoring import curves, metrics

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[1] / "scripts"
NAME, TITLE, PUBLISHED = "accuracy_at_half", "Accuracy at 0.5", "ACC_HALF"
# A threshold that is fixed, which none of the others has.
ROW = f"""    Metric(
        "{NAME}",
        "{TITLE}",
        "{PUBLISHED}",
        0.5,
        lambda roc: (1 + (roc.tpr - roc.fpr)[..., (roc.thresholds >= 0.5).sum() - 1]) / 2,
    ),
"""
# Runs programs one after the other in one process, as main() with these arguments.
DRIVER = """
import json, runpy, sys
for program, arguments in json.loads(sys.stdin.read()):
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name="__main__")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of all programs that show scores, from a copy of the sources with that row."""
    folder = tmp_path_factory.mktemp("metric")
    scripts = folder / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    table = scripts / "mico/scoring/metrics.py"
    source = table.read_text()
    assert source.count('    Metric("auc"') == 1
    table.write_text(source.replace('    Metric("auc"', ROW + '    Metric("auc"'))
    write_inputs(folder)

    about = (
        f"--challenges purchase100_inf --scenarios T1 --data made-up --splits {folder}/splits.npz"
    )
    about += f" --track purchase100 --privacy {folder}/privacy.json --datasets {folder}/made-up"
    about += f" --phases {PHASES.train} {PHASES.dev} {PHASES.final}"
    entries = [f"{folder}/entries/{name}.json" for name in PARTICIPANTS]
    programs = [
        f"score {about} --participant {name} --predictions {folder}/{name} --output {entry}".split()
        for name, entry in zip(PARTICIPANTS, entries, strict=True)
    ]
    shown = write_run_of(folder / "run", PARTICIPANTS)
    collected = ["scores", "comparisons", "curves", "audit", "notes", "submissions"]
    flags = [text for name in collected for text in (f"--{name}", str(shown[name][0]))]
    flags += ["--checksums", str(folder / "run" / "scores.sha256")]
    programs.append(["collect", "--entries", *entries, "--challenges", "purchase100_inf", *flags])
    flags = [text for name, files in shown.items() for text in (f"--{name}", *map(str, files))]
    programs += [["report", *flags, "--output", f"{folder}/out/report.html"]]
    programs += [["attack_pages", *flags, "--output", f"{folder}/out/attack_pages"]]
    flags = ["--entries", *entries, "--reveal", "dev"]
    programs += [["detailed_results", *flags, "--output", f"{folder}/out/detailed_results"]]
    flags += ["--track", "purchase100", "--challenges", "purchase100_inf=T1"]
    flags += ["--output", f"{folder}/out/board.html", "--winners", f"{folder}/out/winners.json"]
    programs += [["scoreboard", *flags]]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVER],
        input=json.dumps([(str(scripts / f"{name}.py"), rest) for name, *rest in programs]),
        env={"PYTHONPATH": str(scripts), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return folder


def write_run_of(folder: Path, participants: list[str]) -> dict[str, list[Path]]:
    """What the pages read of a run that scored these in T1 alone, but for what is collected."""
    folder.mkdir()
    paths = write_run(folder, participants)
    edit_run(paths, lambda run: run.update(scenarios=run["scenarios"][:1]))
    edit_run(paths, lambda run: run["datasets"].update({"made-up": run["datasets"].popitem()[1]}))
    edit_run(paths, lambda run: run["scenarios"][0].update(data="made-up"))
    for name in "privacy", "ceilings", "models":
        paths[name] = [path for path in paths[name] if path.name.startswith("T1")]
    return paths


def scores(run: Path) -> pd.DataFrame:
    """The numbers of scores.csv, to the last bit, by participant and phase."""
    table = pd.read_csv(run / "run/scores.csv", dtype=str).set_index(["participant", "phase"])
    return table[table.columns[5:]].astype(float)


def predicted(run: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions on dev and final, and memberships."""
    with np.load(run / "splits.npz") as splits:
        membership = splits["membership"][3:]
    folders = [run / name / f"{'dev' if i < 13 else 'final'}/model_{i}" for i in range(3, 23)]
    rows = [np.loadtxt(folder / "prediction.csv", delimiter=",") for folder in folders]
    return np.array(rows), membership


def test_the_tables_hold_its_values(run: Path) -> None:
    """At a threshold of 0.5: (TPR + 1 - FPR) / 2 of the pooled points, and resampled."""
    table = scores(run)
    shown = [name + end for name in (NAME, "auc") for end in ("", "_low", "_high")]
    assert list(table.columns[-12:-6]) == shown
    rng = np.random.default_rng([20, *b"purchase100_inf"])
    counts = rng.multinomial(20, [1 / 20] * 20, size=1000)
    for name in PARTICIPANTS:
        predictions, membership = predicted(run, name)
        right = ((predictions >= 0.5) == membership).mean(axis=1)  # as many of either
        expected = [right.mean(), *np.quantile(counts @ right / 20, [0.025, 0.975])]
        found = [table.loc[(name, "both"), NAME + end] for end in ("", "_low", "_high")]
        assert found == pytest.approx(expected, abs=1e-12)


def test_the_others_do_not_change(run: Path) -> None:
    found = bootstrap(*predicted(run, "strong"), "purchase100_inf")
    row = scores(run).loc[("strong", "both")]
    for metric, resampled in zip(metrics.METRICS, found.T, strict=True):
        shown = row[metric.name + "_low"], row[metric.name + "_high"]
        assert shown == tuple(curves.interval(resampled))


def test_every_page_shows_it(run: Path) -> None:
    value = scores(run)[NAME]
    tables = {
        "report.html": ("Metrics of T1, dev + final", "strong"),
        "attack_pages/strong.html": ("Metrics, dev + final", "T1"),
    }
    for page, (table, name) in tables.items():
        text = (run / "out" / page).read_text()
        text = text[text.index(f'aria-label="{table}"') :]
        headings = re.findall('<span class="label">(.*?)</span>', text.partition("</thead>")[0])
        cell = table_rows(text, "<table")[name][headings.index(TITLE) - 1]
        assert cell.split()[0] == f"{value['strong', 'both']:.3f}"
    text = (run / "out/detailed_results/strong/detailed_results.html").read_text()
    row = re.search(f"{TITLE}</th>(.*?)</tr>", text, re.DOTALL)[1]
    assert f'<span class="number">{value["strong", "dev"]:.4f}</span><small>' in row


def test_the_scoreboard_offers_it_with_its_guess(run: Path) -> None:
    text = (run / "out/board.html").read_text()
    assert f'<option value="{NAME}">{TITLE}</option>' in text
    data = json.loads(re.search('id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert {scale["guess"] for scale in data["scales"][NAME]} == {0.5}
    shown = {row["name"]: row["values"][NAME][1][0] for row in data["rows"]}
    assert shown == {name: scores(run).loc[(name, "dev"), NAME] for name in PARTICIPANTS}


def test_participants_are_told_of_it(run: Path) -> None:
    value = scores(run)[NAME]
    text = (run / "out/detailed_results/strong/scores_dev.txt").read_text()
    assert f"scenario1_{PUBLISHED}: {value['strong', 'dev']}\n" in text
    assert f"average_{PUBLISHED}: {value['strong', 'dev']}\n" in text
