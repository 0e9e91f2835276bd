"""The page on records: right numbers, records as they look, nothing of models not revealed."""

import base64
import html
import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import browser
import numpy as np
import pandas as pd
import programs
import pytest
from PIL import Image
from run_files import table_rows
from tiny_configuration import run as checked

from mico.attacks.given.signals import Signals
from mico.challenge.phases import Phases
from mico.challenge.scenario import GivenOutputs
from mico.challenge.split_file import Splits, write
from mico.data import store, tokens
from mico.data.store import Description
from mico.pages import records as page
from mico.pages.looks import looks
from mico.release import prediction_files
from mico.scoring import records
from mico.scoring.curves import roc, threshold
from mico.support import arrays
from mico.workflow import jobs, plan

PHASES = Phases(20, 6, 6)
RECORDS, POINTS = 90, 20
EVIL = "<script>alert(1)</script>"
CLASSES = [EVIL, "b", "c"]
ATTACKS = ("strong", "other", "weak")
TRACED, ATTACKED = 26, range(20, 26)  # train and dev models; dev models


def write_run(folder: Path) -> dict[str, np.ndarray]:
    """The files that the program reads, of records of which the first ten are at risk."""
    rng = np.random.default_rng(4)
    challenge = np.stack([rng.permutation(80)[:POINTS] for _ in range(PHASES.models)])
    membership = np.stack([rng.permutation(np.arange(POINTS) % 2 > 0) for _ in challenge])
    trained = rng.random((PHASES.models, RECORDS)) < 0.5
    np.put_along_axis(trained, challenge, membership, axis=1)
    points, columns = np.unique(challenge, return_inverse=True)
    columns = columns.reshape(challenge.shape)
    effect = np.where(points < 10, 6.0, 0.0)
    margin = rng.normal(size=(PHASES.models, len(points))) + effect * trained[:, points]
    loss = -np.logaddexp(0, -margin)
    signals = Signals(loss, margin, trained[: PHASES.train][:, points], columns)
    arrays.write(folder / "signals.npz", signals)
    write(folder / "splits.npz", Splits(challenge.astype(np.int32), membership, trained))
    labels = (np.arange(RECORDS) % 3).astype(np.uint8)
    about = Description("made-up", RECORDS, 8, 3, True, "test", class_names=CLASSES)
    store.write(folder / "data", about, np.arange(RECORDS, dtype=np.uint8)[:, None], labels)
    found = {"trained": trained, "challenge": challenge, "membership": membership}
    for strength, name in zip((3.0, 2.0, 0.0), ATTACKS, strict=True):
        scores = rng.normal(size=membership.shape) + strength * membership
        found[name] = prediction_files.to_predictions(scores)
        prediction_files.write(folder / name / "t" / "c", PHASES, found[name])
    return found | {"margin": margin, "points": points, "labels": labels}


def flags(folder: Path) -> list[object]:
    given = ["--run", "demo", "--scenario", "T1", "--challenge", "c", "--phases", 20, 6, 6]
    given += ["--signals", folder / "signals.npz", "--splits", folder / "splits.npz"]
    given += ["--data", folder / "data", "--predictions"]
    given += [folder / name / "t" / "c" for name in ATTACKS]
    given += ["--traced", "train", "dev", "--attacked", "dev"]
    return [*given, "--page", folder / "records.html", "--table", folder / "records.csv"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    folder = tmp_path_factory.mktemp("records")
    data = write_run(folder)
    done = programs.run("records", *flags(folder))
    assert (done.returncode, done.stderr) == (0, "")
    return folder, data


def test_table_has_every_record_by_a_loop(made: tuple) -> None:
    folder, data = made
    table = pd.read_csv(folder / "records.csv")
    points = data["points"].tolist()
    assert sorted(table.record) == points
    known = table[table.effect.notna()]
    assert known.place.tolist() == list(range(1, len(known) + 1))
    assert known.effect_low.is_monotonic_decreasing
    assert set(known.record[:10]) == set(range(10))
    assert known.false_any[9] < 0.01
    assert known.false_more[9] < 0.01
    assert known.false_more.min() >= 0
    assert table.record[10:].min() >= 10
    calls = {}
    for name in ATTACKS:
        own = data[name][list(ATTACKED)], data["membership"][list(ATTACKED)]
        cut = threshold(roc(*own, np.ones(len(ATTACKED))), 0.1)
        calls[name] = data[name] >= cut
    for row in table.to_dict("records"):
        record, column = row["record"], points.index(row["record"])
        signal = data["margin"][:TRACED, column]
        inside = data["trained"][:TRACED, record]
        assert row["class"] == data["labels"][record]
        assert (row["in_models"], row["out_models"]) == (inside.sum(), (~inside).sum())
        assert row["mean_in"] == pytest.approx(signal[inside].mean(), rel=1e-5)
        assert row["mean_out"] == pytest.approx(signal[~inside].mean(), rel=1e-5)
        variances = signal[inside].var(ddof=1), signal[~inside].var(ddof=1)
        effect = (signal[inside].mean() - signal[~inside].mean()) / np.mean(variances) ** 0.5
        assert row["effect"] == pytest.approx(effect, rel=1e-4)
        where = [
            (m, p) for m in ATTACKED for p in range(POINTS) if data["challenge"][m, p] == record
        ]
        assert row["challenge_models"] == len(where)
        for name in ATTACKS:
            right = [calls[name][at] == data["membership"][at] for at in where]
            expected = pytest.approx(np.mean(right) if right else np.nan, nan_ok=True)
            assert row[f"right_{name}"] == expected


def test_nothing_of_models_that_are_not_revealed(made: tuple, tmp_path: Path) -> None:
    """Final models' signals, memberships and predictions make no difference."""
    folder, _ = made
    data = write_run(tmp_path)
    final = list(PHASES.of("final"))
    splits = Splits(data["challenge"].astype(np.int32), data["membership"], data["trained"])
    splits.membership[final] ^= True
    splits.trained[final] ^= True
    write(tmp_path / "splits.npz", splits)
    data["margin"][final] += 100
    columns = np.searchsorted(data["points"], data["challenge"])
    trained = data["trained"][: PHASES.train][:, data["points"]]
    arrays.write(
        tmp_path / "signals.npz", Signals(data["margin"], data["margin"], trained, columns)
    )
    for name in ATTACKS:
        data[name][final] = 1 - data[name][final]
        prediction_files.write(tmp_path / name / "t" / "c", PHASES, data[name])
    assert programs.run("records", *flags(tmp_path)).returncode == 0
    for file in "records.csv", "records.html":
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()


def flag(text: str, name: str) -> list[str]:
    return re.search(rf"--{name}((?: \w+)+)", text)[1].split()


def test_whose_models_the_page_tells_of() -> None:
    job = {"scenario": "S1"}
    before, after = (plan.make(checked(reveal=phase), look=False) for phase in ("dev", "final"))
    told = jobs.records_flags(before, job)
    assert (flag(told, "traced"), flag(told, "attacked")) == (["train", "dev"], ["dev"])
    assert "--public-seeds" not in told
    told = jobs.records_flags(after, job)
    assert flag(told, "traced") == ["train", "dev", "final"]
    assert flag(told, "attacked") == ["dev", "final"]
    assert flag(told, "challenge") == ["shopping_inf"]
    # Of somebody else's, solutions say who is a member, and nothing says who else was trained on.
    run = after.run
    for solutions, attacked in (None, ["train"]), ("there", ["dev", "final"]):
        theirs = replace(run.scenarios["S1"], released="here", solutions=solutions)
        given = plan.Plan(replace(run, scenarios={"S1": theirs}), {})
        told = jobs.records_flags(given, job)
        assert (flag(told, "traced"), flag(told, "attacked")) == (["train"], attacked)
    outputs = GivenOutputs(id="A", challenge="a", track="t", outputs="a.npz")
    given = plan.Plan(replace(run, scenarios={}, given={"A": outputs}, entered={}), {})
    job = {"scenario": "A"}
    told = jobs.records_flags(given, job)
    assert (flag(told, "traced"), flag(told, "attacked")) == (["train"], ["train"])
    assert jobs.known_data(given, job) == []
    assert jobs.signals_file(given, job) == "<results>/signals/t/a.npz"
    assert not given.has_text(job)


def test_files_of_a_job() -> None:
    made = plan.make(checked(), look=False)
    job = {"scenario": "SD"}
    assert jobs.signals_file(made, job) == "<results>/signals/ddp/shopping_ddp.npz"
    assert jobs.known_data(made, job) == ["<results>/data/shopping"]
    found = jobs.scenario_predictions(made, job)
    names = ("threshold", "centred", "lira", "rmia", "stacked", "references", "auto")
    assert found == [f"<results>/predictions/{name}/ddp/shopping_ddp" for name in names]


def test_page_says_which_ten_and_how_sure(made: tuple) -> None:
    folder, data = made
    text = (folder / "records.html").read_text()
    table = pd.read_csv(folder / "records.csv")
    shown = re.findall(r'<h3><button type="button" data-show="(\d+)">', text)
    assert [int(one) for one in shown[:10]] == table.record[:10].tolist()
    known = table[table.effect.notna()]
    lowest = known.sort_values("effect_high", kind="stable").record[:10].tolist()
    assert [int(one) for one in shown[10:]] == lowest
    plain = " ".join(html.unescape(re.sub("<.*?>", " ", text)).split())
    assert "✓ These 10 are more at risk than other records." in plain
    assert "✓ It does leave a trace on them." in plain
    assert plain.count("less than 0.1 of 10 would be expected here") == 2
    assert f"an effect of +{known.effect.mean():.2f}, less than 0.1 of 10" in plain
    more, some = (known[name] <= 0.05 for name in ("false_more", "false_any"))
    assert f"{more.sum()} of {len(known)} records lie above" in plain
    assert f"{some.sum()} of {len(known)} records have an effect" in plain
    again = records.again(data["margin"][:TRACED], data["trained"][:TRACED][:, data["points"]])
    assert f"mean effect of +{again.chosen:.2f} there, and of +{again.other:.2f} in the" in plain
    row = table.iloc[0]
    cells = table_rows(text, 'aria-label="Records in numbers"')[str(int(row.record))]
    ends = f"+{row.effect_low:.2f} to +{row.effect_high:.2f}"
    assert cells[2].split() == [f"+{row.effect:.2f}", *ends.split()]
    assert cells[0].split() == ["1", str(int(row.place_first)), "to", str(int(row.place_last))]
    assert cells[4:7] == [
        str(int(row[key])) for key in ("in_models", "out_models", "challenge_models")
    ]
    right = row[[f"right_{name}" for name in ATTACKS]].mean()
    assert cells[7] == (f"{100 * right:.1f}%" if row.challenge_models else "–")  # noqa: RUF001
    assert EVIL not in text
    assert html.escape(EVIL) in text
    targets = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert {one for one in targets if not one.startswith(("#", "data:"))} == {
        *("../../report.html", "records.csv")
    }


def evidence(effect: np.ndarray | float, size: int = 600) -> page.Evidence:
    """Signals of 80 models, and no attack."""
    rng = np.random.default_rng(6)
    trained = rng.random((80, size)) < 0.6
    signal = rng.normal(size=trained.shape) + effect * trained
    nothing = np.zeros((1, 2), int)
    return page.Evidence(np.arange(size), None, signal, trained, nothing, nothing > 0, {})


@pytest.mark.parametrize(
    ("effect", "more", "some"),
    [
        (0.0, "⚠ Which 10 come first is mostly chance.", "⚠ It need not leave any trace."),
        (1.5, "⚠ Which 10 come first is mostly chance.", "✓ It does leave a trace on them."),
        (
            1.5 + 4.0 * (np.arange(600) < 10),
            "✓ These 10 are more at risk than other records.",
            "✓ It does leave a trace on them.",
        ),
    ],
)
def test_an_effect_on_all_records_puts_none_ahead(
    effect: np.ndarray | float, more: str, some: str
) -> None:
    given = evidence(effect)
    found = page.study("c", given)
    about = page.About("run", "T1", "c", ["train"], ["train"], False, None)
    text = page.render(about, given, found, page.table(given, found), {})
    assert more in text
    assert some in text


def test_overlap_of_attacks(made: tuple) -> None:
    folder, data = made
    text = (folder / "records.html").read_text()
    truth = data["membership"][list(ATTACKED)]
    for fpr in 0.1, 0.01:
        rows = table_rows(text, f'aria-label="Overlap of attacks at FPR {fpr}"')
        found = []
        for name in ATTACKS:
            own = data[name][list(ATTACKED)]
            cut = threshold(roc(own, truth, np.ones(len(own))), fpr)
            found.append(set(zip(*np.nonzero((own >= cut) & truth), strict=True)))
        assert list(rows) == [f"{i} {name}" for i, name in enumerate(ATTACKS, 1)]
        for one, cells in zip(found, rows.values(), strict=True):
            assert cells[0] == f"{100 * len(one) / truth.sum():.1f}%"
            shares = [100 * len(one & other) / len(one | other) for other in found]
            assert [int(cell) for cell in cells[1:4]] == pytest.approx(shares, abs=0.51)


def test_without_known_effects_attacks_or_data(made: tuple, tmp_path: Path) -> None:
    """Of three models, no record has two on each side."""
    rng = np.random.default_rng(1)
    trained = rng.permuted(np.tile(np.arange(12) < 6, (3, 1)), axis=1)
    challenge = np.tile(np.arange(12), (3, 1))
    margin = rng.normal(size=trained.shape)
    arrays.write(tmp_path / "signals.npz", Signals(margin, margin, trained, challenge))
    write(tmp_path / "splits.npz", Splits(challenge.astype(np.int32), trained, trained))
    given = ["--run", "r", "--scenario", "A", "--challenge", "a", "--phases", 3, 0, 0]
    given += ["--signals", tmp_path / "signals.npz", "--splits", tmp_path / "splits.npz"]
    given += ["--traced", "train", "--attacked", "train", "--page", tmp_path / "records.html"]
    done = programs.run("records", *given, "--table", tmp_path / "records.csv")
    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "records.html").read_text()
    assert "No effect is known" in text
    assert "Overlap" not in text
    table = pd.read_csv(tmp_path / "records.csv")
    assert table.effect.isna().all()
    assert table.place.isna().all()
    assert "class" not in table
    assert table.challenge_models.tolist() == [3] * 12


def other_points(folder: Path) -> str:
    data = write_run(folder)
    signals = Signals(
        *(data["margin"], data["margin"], data["trained"][:20][:, data["points"]]),
        np.roll(np.searchsorted(data["points"], data["challenge"]), 1, axis=1),
    )
    arrays.write(folder / "signals.npz", signals)
    return f"{folder}/signals.npz: of other challenge points than {folder}/splits.npz says"


def few_records(folder: Path) -> str:
    write_run(folder)
    about = Description("made-up", 50, 8, 3, True, "test")
    store.write(folder / "small", about, np.zeros((50, 1), np.uint8), np.zeros(50, np.uint8))
    (folder / "data").rename(folder / "large")
    (folder / "small").rename(folder / "data")
    return f"{folder}/splits.npz: record 79, but {folder}/data has 50 records"


def no_prediction(folder: Path) -> str:
    write_run(folder)
    path = folder / "other/t/c/dev/model_21/prediction.csv"
    path.unlink()
    return f"{path}: cannot be read"


@pytest.mark.parametrize("spoil", [other_points, few_records, no_prediction])
def test_bad_input_is_one_line(spoil: Callable[[Path], str], tmp_path: Path) -> None:
    expected = spoil(tmp_path)
    done = programs.run("records", *flags(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {expected}")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("records.*"))


# How records look


def look(folder: Path, about: Description, stored: np.ndarray, **more: object) -> list[dict]:
    store.write(folder / "data", about, stored, np.zeros(len(stored), np.uint8), **more)
    return looks(folder / "data", store.read(folder / "data"), [2, 0])


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_a_picture_has_the_record_s_pixels(channels: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, 256, (3, channels, 5, 7), np.uint8)
    shape, ones = (channels, 5, 7), (1.0,) * channels
    about = Description(
        *("a", 3, channels * 35, 2, False, "test", "images"), shape=shape, mean=ones, std=ones
    )
    found = look(tmp_path, about, pixels.reshape(3, -1))
    for one, record in zip(found, (2, 0), strict=True):
        kind, _, content = one["picture"].partition(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            image.load()
            seen = np.array(image).reshape(5, 7, -1).transpose(2, 0, 1)
        assert np.array_equal(seen, pixels[record] if channels < 5 else pixels[record][:1])


def test_a_table_s_record_has_its_columns(tmp_path: Path) -> None:
    columns = [
        {"name": "age", "subtract": 40.0, "divide": 10.0},
        {"name": "town", "texts": ["Bath", "York", "Ely"]},
        {"name": "pay", "subtract": 0.0, "divide": 1.0},
        {"name": "owner", "subtract": 1 / 3, "divide": 0.4714045207910317},
    ]
    no, yes = -(0.5**0.5), 2**0.5  # 0 and 1 once they are scaled
    rows = [[-1, 0, 1, 0, 2.5, no], [0] * 6, [0.3, 0, 0, 1, 7, yes]]
    stored = np.array(rows, np.float32)
    about = Description("a", 3, 6, 2, False, "test", "numbers", columns=columns)
    found = look(tmp_path, about, stored)
    assert found[0] == {"items": ["age: 43", "town: Ely", "pay: 7", "owner: 1"], "left": 0}
    assert found[1]["items"] == ["age: 30", "town: York", "pay: 2.5", "owner: 0"]


def test_items_are_the_bits_that_are_set(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    bits = rng.random((3, 200)) < 0.5
    about = Description("a", 3, 200, 2, False, "test")
    found = look(tmp_path, about, np.packbits(bits, axis=1))
    for one, record in zip(found, (2, 0), strict=True):
        places = [str(place) for place in np.flatnonzero(bits[record])]
        assert one == {"items": places[:40], "left": len(places) - 40}


def test_a_text_is_the_sentence_that_it_was(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    sentences = ["it never rains , and <pad> is text", "“ dull ” — été", "a good film"]
    tokenizer = tokens.train(sentences, 400)
    ids = tokenizer.encode(sentences, None)
    sizes = {"vocabulary": tokenizer.vocabulary, "padding": tokenizer.padding}
    about = Description("a", 3, ids.shape[1], 2, False, "test", "tokens", **sizes)
    found = look(tmp_path, about, ids, tokenizer=tokenizer.files())
    assert found == [{"text": sentences[2]}, {"text": sentences[0]}]


# In a browser

PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("unhandledrejection", event => errors.push(`${event.reason}`));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const page = document.documentElement;
  const box = document.querySelector(".one");
  const bars = kind => [...box.querySelectorAll(`rect.${kind}`)]
    .map(one => one.getAttribute("height"));
  const ask = record => {
    document.querySelector("form.choose input").value = record;
    document.querySelector("form.choose button").click();
    return { text: box.innerText, inside: bars("in"), outside: bars("out") };
  };
  const seen = { first: box.innerText, asked: RECORDS.map(ask) };
  document.querySelector(".records button").click();
  parent.postMessage({
    ...seen, clicked: box.innerText,
    focused: document.activeElement === document.querySelector("form.choose input"),
    drawn: [...document.querySelectorAll(".records svg")]
      .map(one => one.querySelectorAll("rect").length),
    label: document.querySelector(".records svg").getAttribute("aria-label"),
    width: page.clientWidth, needed: page.scrollWidth, errors,
  }, "*");
}, 500));
</script>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_any_record_in_a_browser(made: tuple, tmp_path: Path, width: int) -> None:
    folder, data = made
    text = (folder / "records.html").read_text()
    table = pd.read_csv(folder / "records.csv").set_index("record")
    asked = [int(one) for one in table.index[[0, 15, -1]]]
    probe = PROBE.replace("RECORDS", str([*asked, RECORDS + 5]))
    seen = browser.show(text.replace("<head>", "<head>" + probe, 1), tmp_path, width, 844)
    assert seen["errors"] == []
    assert seen["needed"] == seen["width"] == width
    assert len(seen["drawn"]) == 20
    assert min(seen["drawn"]) > 2
    assert seen["focused"]
    first = seen["asked"][0]["text"]
    assert seen["first"].replace("Take awaySVG PDF PNG", "Take away") == seen["clicked"] == first
    assert f"{RECORDS + 5} is a challenge point of no model" in seen["asked"][-1]["text"]
    points = data["points"].tolist()
    signal, trained = data["margin"][:TRACED], data["trained"][:TRACED][:, data["points"]]
    shares = records.histograms(signal, trained)
    for record, shown in zip(asked, seen["asked"], strict=False):
        row, words = table.loc[record], " ".join(shown["text"].split())
        assert words.startswith(f"Record {record} Class {CLASSES[int(row['class'])]} Effect")
        assert f"{row.in_models:.0f} IN, {row.out_models:.0f} OUT" in words
        assert f"of {row.challenge_models:.0f} of 6 attacked models" in words
        effect = f"{row.effect:+.2f}".replace("-", "−")  # noqa: RUF001
        assert f"Effect {effect}, 95 % interval" in words
        for name in ATTACKS:
            right = f"{name} right {100 * row[f'right_{name}']:.0f}%"
            assert (right in words) == bool(row.challenge_models)
        column = points.index(record)
        own = [one[column] for one in shares]
        highest = max(map(max, own))
        for side, heights in zip(own, (shown["inside"], shown["outside"]), strict=True):
            expected = [50 * share / highest for share in side if share]
            assert [float(height) for height in heights] == pytest.approx(expected, abs=0.11)
    assert "models trained on it above the line" in seen["label"]


def test_what_the_page_carries_is_every_record(made: tuple) -> None:
    folder, _ = made
    text = (folder / "records.html").read_text()
    content = base64.b64decode(re.search(r'"content": "([^"]*)"', text)[1])
    table = pd.read_csv(folder / "records.csv")
    whole = zlib.decompress(content)
    size = len(table)
    assert len(whole) == size * (14 * 4 + 2 * records.BINS + len(ATTACKS))
    assert list(struct.unpack(f"<{size}i", whole[: 4 * size])) == table.record.tolist()
    effects = np.frombuffer(whole, "<f4", size, 7 * 4 * size)
    assert effects == pytest.approx(table.effect.to_numpy(), rel=1e-4, nan_ok=True)
    assert page.FPRS == (0.1, 0.01)
