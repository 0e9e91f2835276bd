"""What `snakemake --report` makes of a finished run: pages, tables and a caption for each."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from workflow_runs import ROOT, TINY, planned, snakemake

RULES = "\n".join(
    path.read_text(encoding="utf-8")
    for path in [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
)
PRIVATE = ("private", "records", "detailed_results", "submissions")


def test_every_caption_is_used_and_is_there() -> None:
    named = re.findall(r'"(?:\.\./)?report/(\w+\.rst)"', RULES)
    assert sorted(named) == sorted(path.name for path in (ROOT / "workflow/report").iterdir())
    reported = re.findall(r"\breport\(\n.*\n", RULES)
    assert len(reported) == RULES.count("caption=") == RULES.count("category=")


def marked(results: Path) -> dict[str, bytes]:
    """What the report is to hold, by the path."""
    patterns = ("report.html", "scores.csv", "comparisons.csv", "audit.json", "attack_pages/*.html")
    patterns += ("scoreboard/*.html", "privacy/*.json", "ceilings/*.json")
    found = [path for pattern in patterns for path in results.glob(pattern)]
    assert len(found) > 16
    return {str(path.relative_to(results)): path.read_bytes() for path in found}


@pytest.mark.slow
def test_report_holds_the_pages_and_tables_as_they_are(tiny: Path, tmp_path: Path) -> None:
    checkout = tiny.parents[1]
    snakemake(checkout, "--report", str(tmp_path / "run.zip"), *TINY)
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        page = archive.read("run/report.html").decode("utf-8")
        found = re.search(r"^    var results = (\{.*\});$", page, re.M)
        assert found
        results = json.loads(found[1])
        held = {
            path.removeprefix("results/tiny/"): archive.read(f"run/{one['data_uri']}")
            for path, one in results.items()
        }
    assert held == marked(tiny)
    assert not any(path.startswith(PRIVATE) for path in held)
    assert all(one["caption"] and one["labels"] for one in results.values())
    assert "limits" in results["results/tiny/ceilings/SD.json"]["caption"].lower()
    assert "Membership inference: tiny" in page
    assert (tiny / "private/master_seed").read_text().strip() not in page


@pytest.mark.slow
def test_a_single_page_holds_them_too(tiny: Path, tmp_path: Path) -> None:
    checkout = tiny.parents[1]
    snakemake(checkout, "--report", str(tmp_path / "run.html"), *TINY)
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    assert page.count("data:text/html;") == sum(name.endswith(".html") for name in marked(tiny))


@pytest.mark.slow
def test_captions_run_nothing_again(tiny: Path) -> None:
    checkout = tiny.parents[1]
    captions = checkout / "workflow/report"
    for path in captions.iterdir():
        path.write_text(path.read_text(encoding="utf-8") + "More.\n", encoding="utf-8")
    try:
        assert not planned(snakemake(checkout, "--dry-run", *TINY))
    finally:
        shutil.copytree(ROOT / "workflow/report", captions, dirs_exist_ok=True)
