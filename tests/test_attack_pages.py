"""The pages on attacks: right numbers, what the attack's source says, nothing from outside."""

import html
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import browser
import numpy as np
import pandas as pd
import pytest
from run_files import (
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

from mico.attacks import docstrings, formulas
from mico.attacks.formulas import lira, rmia
from mico.pages.attack_pages import render
from mico.scoring.metrics import FPRS, METRICS
from mico.support.errors import InputError

SCRIPT = Path(__file__).parents[1] / "scripts" / "attack_pages.py"
EVIL = "<b onclick='alert(1)'>bold & \"quoted\""
NAMES = ["references-8", "lira-online", EVIL, "auto", "rmia", "visitor", "coin"]


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, list[Path]]:
    return write_run(tmp_path, NAMES)


def page(paths: dict[str, list[Path]], name: str = "lira-online") -> str:
    results = results_of(paths)
    (attack,) = (attack for attack in results.run["attacks"] if attack["name"] == name)
    return render(results, attack)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page on lira-online of `paths` as they are."""
    return page(write_run(tmp_path_factory.mktemp("run"), NAMES))


def plain(text: str) -> str:
    return " ".join(html.unescape(re.sub("<.*?>", " ", text)).split())


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_program_writes_a_page_for_each_built_in_attack(paths: dict, tmp_path: Path) -> None:
    done = run_program(paths, tmp_path / "attacks", SCRIPT)
    assert (done.returncode, done.stderr) == (0, "")
    written = {path.name: path.read_text() for path in (tmp_path / "attacks").iterdir()}
    assert set(written) == {f"{name}.html" for name in NAMES if name != "visitor"}
    for name in "lira-online", EVIL:
        assert written[f"{name}.html"] == page(paths, name)


def test_what_the_attack_says_of_itself(text: str) -> None:
    shown = plain(text)
    for source in lira.__doc__, lira.Options.__doc__:
        for line in source.splitlines():
            assert " ".join(line.split()) in shown
    assert "<dt>attack</dt><dd>lira</dd>" in text
    assert "<dt>signal</dt><dd>margin</dd>" in text


@pytest.mark.usefixtures("undrawn")
def test_formulas_keep_their_lines(paths: dict) -> None:
    edit_run(paths, lambda run: run["attacks"][0].update(attack="rmia", gamma=1))
    blocks = re.findall("<pre>(.*?)</pre>", page(paths, "references-8"), re.DOTALL)
    (variants,) = (html.unescape(block).splitlines() for block in blocks if "offline" in block)
    said = [line.strip() for line in rmia.Options.__doc__.splitlines()]
    assert variants == [line for line in said if re.match("(on|off)line:", line)]


@pytest.mark.usefixtures("undrawn")
def test_each_option_has_a_paragraph_of_its_own(
    paths: dict, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lira.py").write_text(
        '"""About `it`.\n\nprior: one that\nprior: is two lines.\n"""\n\nclass Options:\n'
        '    """All.\n\n    a: first\n    words\n    b: second\n        c < d\n    """\n'
    )
    monkeypatch.setattr(formulas, "__path__", [str(tmp_path)])
    text = page(paths)
    assert '<p class="lede">About <code>it</code>.</p>' in text
    section = text[text.index('aria-label="How it works"') :].partition("</section>")[0]
    assert re.findall("<(p|pre)>(.*?)</", section) == [
        ("p", "prior: one that prior: is two lines."),
        ("p", "All."),
        ("p", "a: first words"),
        ("p", "b: second"),
        ("pre", "c &lt; d"),
    ]


@pytest.mark.usefixtures("undrawn")
def test_an_attack_without_a_module_has_a_page_that_says_so(paths: dict) -> None:
    edit_run(paths, lambda run: run["attacks"][1].update(attack="../report"))
    assert "There is no description of this attack." in page(paths)


def test_fingerprint_is_that_of_the_words(tmp_path: Path) -> None:
    source = '"""Some words."""\n\nclass Options:\n    """More."""\n'
    new, old = tmp_path / "new.py", tmp_path / "old.py"
    new.write_text(source)
    old.write_text("CODE = 1\n")
    assert docstrings.docstrings(new) == {"module": "Some words.", "Options": "More."}
    assert docstrings.docstrings(old) == {}
    before = docstrings.fingerprint([new, old])
    new.write_text(source + "\nCODE = 1  # a comment\n")
    assert docstrings.fingerprint([old, new, new]) == before
    new.write_text(source.replace("More", "Less"))
    assert docstrings.fingerprint([new, old]) != before


@pytest.mark.usefixtures("undrawn")
def test_what_the_attack_noted_and_whose_predictions_are_the_same(paths: dict, text: str) -> None:
    curves = json.loads(paths["curves"][0].read_text())
    curves["T1"]["auto"] = curves["T1"]["lira-online"]
    paths["curves"][0].write_text(json.dumps(curves))
    edit_json(paths["notes"][0], lambda notes: notes.update(T2={"auto": "chose rmia"}))
    sections = page(paths, "auto").split("<h2 id=")
    (first,) = (plain(one) for one in sections if one.startswith('"scenario-1"'))
    (second,) = (plain(one) for one in sections if one.startswith('"scenario-2"'))
    assert "Its predictions rank records as those of lira-online ." in first
    assert "It chose rmia." in second
    assert "rank records as" not in second
    assert "rank records as those of auto ." in plain(page(paths))
    assert "rank records" not in plain(text)
    assert "It chose" not in plain(text)


def test_place_and_difference_from_the_highest(paths: dict, text: str) -> None:
    rows = table_rows(text, 'aria-label="Place in every scenario"')
    pairs = pd.read_csv(paths["comparisons"][0])
    for scenario, epsilon in ("T1", "∞"), ("T2", "3.97"):
        tprs = headline_rows(paths, scenario).set_index("participant")["tpr_at_fpr_0.1"]
        cells = rows[scenario]
        assert cells[0].split()[0] == f"{tprs['lira-online']:.3f}"
        assert cells[1].split() == [str((tprs > tprs["lira-online"]).sum() + 1), "of", "7"]
        best = max(sorted(tprs.index), key=tprs.get)
        pair = pairs[(pairs.scenario == scenario) & (pairs.metric == "tpr_at_fpr_0.1")]
        pair = pair[(pair.participant == best) & (pair.other == "lira-online")].iloc[0]
        numbers = [signed(-pair[column]) for column in ("difference", "high", "low")]
        assert cells[2].split() == [numbers[0], numbers[1], "to", numbers[2]]
        assert cells[3:5] == [f"{1.3 * 0.8:.2f}", epsilon]


@pytest.mark.parametrize(("phase", "label"), [("both", "dev + final"), ("train", "train")])
def test_every_metric_in_every_scenario(paths: dict, text: str, phase: str, label: str) -> None:
    scores = pd.read_csv(paths["scores"][0])
    scores = scores[(scores.participant == "lira-online") & (scores.phase == phase)]
    rows = table_rows(text, f'aria-label="Metrics, {label}"')
    assert len(scores) == len(rows) == 2
    for row in scores.to_dict("records"):
        for metric, cell in zip(
            (metric.name for metric in METRICS), rows[row["scenario"]], strict=False
        ):
            value, low, high = (f"{row[metric + end]:.3f}" for end in ("", "_low", "_high"))
            assert cell.split() == [value, f"{low}–{high}"]  # noqa: RUF001


def test_calibration(paths: dict, text: str) -> None:
    rows = table_rows(text, 'aria-label="Calibration in numbers, T2"')
    assert list(rows) == [f"{fpr:g}" for fpr in FPRS]
    for fpr in FPRS:
        ends = f"{0.8 * fpr:.3f}–{1.5 * fpr:.3f}"  # noqa: RUF001
        assert rows[f"{fpr:g}"][0].split() == [f"{1.1 * fpr:.3f}", ends]
        assert rows[f"{fpr:g}"][1].split()[0] == f"{2 * fpr:.3f}"
    table = pd.read_csv(io.StringIO(downloads(text)["T2-calibration.csv"]))
    audit = json.loads(paths["audit"][0].read_text())["T2"]["lira-online"]
    assert np.allclose(table.fpr_high, [rates["fpr_high"] for rates in audit["calibration"]])


def test_classes_from_the_highest_to_the_lowest(text: str) -> None:
    rows = table_rows(text, 'aria-label="Classes in numbers, T1"')
    assert list(rows) == ["1", "2", "0", "3"]  # the last has no members
    assert rows["1"][0].split() == ["0.470", "0.420–0.530"]  # noqa: RUF001
    assert rows["1"][1:4] == ["0.110", "60", "56"]
    assert rows["3"][:4] == ["–", "0.000", "0", "7"]  # noqa: RUF001
    assert "from 0.470 in class 1 to 0.210 in class 0" in plain(text)
    assert list(pd.read_csv(io.StringIO(downloads(text)["T1-classes.csv"]))["class"]) == [
        1,
        2,
        0,
        3,
    ]


@pytest.mark.usefixtures("undrawn")
def test_epsilon_above_the_accountants_is_a_warning(paths: dict, text: str) -> None:
    assert "That cannot be" not in text
    edit_json(paths["audit"][0], lambda audit: audit["T2"]["lira-online"].update(epsilon_lower=5))
    shown = page(paths)
    assert "ε is at least 5.00 , and the accountant says 3.97. ⚠ That cannot be" in plain(shown)


@pytest.mark.usefixtures("undrawn")
def test_scenario_without_the_attack(paths: dict) -> None:
    drop(paths, "lira-online", "T2")
    text = page(paths)
    assert table_rows(text, 'aria-label="Place in every scenario"')["T2"][0] == "not scored"
    assert 'aria-label="Calibration, T1"' in text
    assert 'aria-label="Calibration, T2"' not in text
    drop(paths, "lira-online", "T1")
    assert "Not scored in any scenario." in page(paths)


@pytest.mark.usefixtures("undrawn")
def test_attack_scored_on_one_phase_only(paths: dict) -> None:
    """Without dev and final together there is no audit and no comparison."""
    scores = pd.read_csv(paths["scores"][0])
    scores[scores.phase == "dev"].to_csv(paths["scores"][0], index=False)
    for kind in "audit", "curves":
        paths[kind][0].write_text("{}")
    comparisons = pd.read_csv(paths["comparisons"][0])
    comparisons[:0].to_csv(paths["comparisons"][0], index=False)
    text = page(paths)
    assert 'aria-label="Metrics, dev"' in text
    assert "<svg" not in text


@pytest.mark.usefixtures("undrawn")
def test_banner_only_for_synthetic_data(paths: dict, text: str) -> None:
    assert "<strong>Synthetic data.</strong>" in text
    edit_run(paths, lambda run: run["datasets"]["purchase100-synthetic"].update(synthetic=False))
    assert "synthetic data" not in page(paths).lower()


@pytest.mark.usefixtures("undrawn")
def test_names_from_outside_are_escaped(paths: dict) -> None:
    text = page(paths, EVIL)
    assert EVIL not in text
    assert "<b onclick" not in text
    assert text.count("<script") == 1  # of all pages
    assert f"<h1>{html.escape(EVIL, quote=False)}</h1>" in text.replace("&#39;", "'").replace(
        "&#34;", '"'
    )


def test_nothing_is_loaded_from_outside(text: str) -> None:
    targets = re.findall(r'(?:src|srcset|href|action|poster|data)="([^"]*)"', text)
    targets += re.findall(r"url\(([^)]*)\)", text)
    assert "../report.html" in targets
    assert all(target.startswith(("#", "data:", "../report.html")) for target in targets)
    assert "@import" not in text
    assert all(name.startswith("www.w3.org/") for name in re.findall(r"https?://(\S+)", text))


def test_ids_are_unique_and_links_lead_somewhere(text: str) -> None:
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(ids)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda run: run["attacks"][0].pop("attack"), r"attacks\[0\]: 'attack' is missing"),
        (lambda run: run["attacks"][0].update(name="a/b"), "attack 'a/b': expected a file name"),
        (lambda run: run["attacks"][0].update(name="rmia"), "attack 'rmia': expected one"),
    ],
)
def test_program_reports_bad_input_in_one_line(
    paths: dict, tmp_path: Path, edit: Callable[[dict], object], message: str
) -> None:
    edit_run(paths, edit)
    done = run_program(paths, tmp_path / "attacks", SCRIPT)
    assert done.returncode == 1
    assert re.fullmatch(f"error: {re.escape(str(paths['run'][0]))}: .*{message}.*\n", done.stderr)
    assert not (tmp_path / "attacks").exists()


def test_audit_that_lacks_an_attack_is_named(paths: dict) -> None:
    edit_json(paths["audit"][0], lambda audit: audit["T1"].pop("lira-online"))
    with pytest.raises(InputError, match="audit: T1: participant 'lira-online' is missing"):
        page(paths)


PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
addEventListener("load", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const page = document.documentElement;
  parent.postMessage({
    width: page.clientWidth, needed: page.scrollWidth, errors,
    figures: [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().width),
  }, "*");
});
</script>"""


@pytest.mark.slow
def test_page_in_a_browser_as_narrow_as_a_telephone(text: str, tmp_path: Path) -> None:
    probed, found = re.subn("script-src 'sha256-[^']*'", "script-src 'unsafe-inline'", text)
    assert found == 1  # no other script may run, but for the probe's
    seen = browser.show(probed.replace("<head>", "<head>" + PROBE, 1), tmp_path, 390, 844)
    assert seen["errors"] == []
    assert seen["needed"] == seen["width"] == 390
    assert len(seen["figures"]) == 1 + 2 * 3
    assert all(250 < width <= 390 for width in seen["figures"])
