"""The workflow itself, run for real on a tiny configuration in a copy of the checkout."""

import io
import json
import os
import re
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_runs import TINY, files, planned, products, snakemake

SOURCE = "scripts/mico/attacks/formulas/rmia.py"
ATTACKS = (
    *("threshold", "centred", "lira", "rmia", "stacked", "references", "effect-shared", "auto"),
)


def test_run_makes_everything(tiny: Path) -> None:
    names = files(tiny)
    assert {"report.html", "scores.csv", "run.json"} <= set(names)
    assert {"comparisons.csv", "audit.json"} <= set(names)
    pages = {name for name in names if re.fullmatch("attack_pages/.*html", name)}
    assert pages == {f"attack_pages/{name}.html" for name in ATTACKS}
    tables = {name for name in names if name.endswith("records.csv")}
    assert tables == {f"records/{scenario}/records.csv" for scenario in ("S1", "SD")}
    for name in tables:
        page = names[name.replace("csv", "html")].decode()
        assert "6 models whose training sets are known (train and dev)" in page
    predictions = [name for name in names if name.endswith("prediction.csv")]
    # Scenarios, models. The references attack two of the four train models of SD; what has shared
    # reference models, those of S1.
    expected = dict.fromkeys(ATTACKS, 2 * 7) | {"references": 5, "effect-shared": 7}
    assert Counter(name.split("/")[1] for name in predictions) == expected
    shared = [name for name in names if name.startswith("shared_references/")]
    where = "shared_references/shopping/shopping_inf"
    assert shared == [f"{where}/{shard}.npz" for shard in ("0-1", "2-2")]
    scores = (tiny / "scores.csv").read_text().splitlines()
    assert len(scores) == 1 + (6 * 2 + 2) * 4  # header; participants, scenarios, phases
    assert b"synthetic data" in names["report.html"].lower()
    for track in "shopping", "ddp":
        assert b"synthetic data" in names[f"scoreboard/{track}.html"].lower()
        assert json.loads(names[f"scoreboard/{track}-winners.json"])["revealed"] is False
    assert not [name for name in names if name.endswith(".partial")]


@contextmanager
def edited(path: Path, addition: str) -> Iterator[None]:
    """A source file that has something more at its end."""
    before = path.read_text()
    path.write_text(f"{before}\n{addition}")
    try:
        yield
    finally:
        path.write_text(before)


def test_second_run_does_nothing_also_after_a_comment(checkout: Path, tiny: Path) -> None:
    with edited(checkout / SOURCE, "# A comment changes nothing.\n"):
        assert "Nothing to be done" in snakemake(checkout, "--cores", "1", *TINY)


def submit(checkout: Path, participant: str, content: bytes, name: str = "entry.zip") -> Path:
    path = checkout / "submissions" / "shopping" / participant / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def packed(submission: Path, challenge: str) -> bytes:
    """A built-in attack's predictions for a challenge as a participant would hand them in."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for phase in ("dev", "final"):
            for path in sorted((submission / phase).rglob("prediction.csv")):
                inside = path.relative_to(submission).as_posix()
                file.writestr(f"shopping/{challenge}/{inside}", path.read_text())
    return content.getvalue()


def test_submissions_take_part_and_bad_ones_stop_nobody(checkout: Path, tiny: Path) -> None:
    """A copy of a built-in attack's predictions scores as it does; only the new entry is scored.

    Its time lies in the future, which changes nothing for anybody.
    """
    before = products(tiny)
    good = packed(tiny / "predictions/lira/shopping/shopping_inf", "shopping_inf")
    odd = "<b>bold & 'quoted' {braces}"
    bad = {
        "mallory": b"PK not a zip",
        "LIRA": good,
        "NA": good,
        "$(touch pwned)`touch pwned`;\n": good,
        os.fsdecode(b"\xff\xfe"): good,
    }
    earlier = submit(checkout, "alice", b"", "a first try.zip")
    os.utime(earlier, (10**9, 10**9))
    later = submit(checkout, "alice", good)
    os.utime(later, (2**33, 2**33))
    submit(checkout, odd, good, f"{odd}.ZIP")
    for name, content in bad.items():
        submit(checkout, name, content)
    inbox = checkout / "submissions"
    (inbox / "shopping/thief").symlink_to("alice")
    (inbox / "Shopping").mkdir()
    output = snakemake(checkout, "--cores", "2", *TINY)
    assert planned(output) == {
        "score_submission": 8,
        "collect_scores": 1,
        "scoreboard": 1,
        "detailed_results": 1,
        "report": 1,
        "attack_pages": 1,
        "all": 1,
        "total": 14,
    }
    passed_over = [
        "Shopping/: no track of this run, did you mean shopping?",
        "shopping/thief: a link, which is not followed",
    ]
    assert "\n  ".join(["Not taken as submissions, in submissions/:", *passed_over]) in output
    assert not list(checkout.rglob("pwned"))
    after = products(tiny)
    assert {name: after[name] for name in before if name != "scores.csv"} == {
        name: content for name, content in before.items() if name != "scores.csv"
    }
    rows = (tiny / "scores.csv").read_text().splitlines()
    assert set(before["scores.csv"].decode().splitlines()) < set(rows)
    of_lira = [row for row in rows if ",shopping,shopping,lira," in row and ",train," not in row]
    for name in "alice", odd:
        own = [row for row in rows if f",{name}," in row]
        assert own == [row.replace(",lira,", f",{name},") for row in of_lira]
    assert len(rows) == len(before["scores.csv"].decode().splitlines()) + 6

    entries = [json.loads(path.read_text()) for path in tiny.glob("entries/shopping/zip-*.json")]
    problems = {(one["participant"], one["file"]): one["problems"] for one in entries}
    assert problems.pop(("alice", "entry.zip")) == []
    assert problems.pop((odd, f"{odd}.ZIP")) == []
    assert len(problems) == 6
    assert all(problems.values())
    assert problems["LIRA", "entry.zip"] == [
        "participant name LIRA: looks like that of a built-in attack"
    ]
    board = (tiny / "scoreboard" / "shopping.html").read_text()
    assert "alice" in board
    assert "2242-03-16 12:56" in board
    assert "in the future" in board
    assert "mallory" in board  # rejected, and says so
    report = (tiny / "report.html").read_text()
    for page in board, report:
        assert "<b>bold" not in page
    for line in passed_over:
        assert line in report
        assert line not in board
    told = json.loads((tiny / "submissions.json").read_text())["submissions"]
    assert len(told) == 8
    for one in told:
        assert (tiny / one["details"]).is_file()
        assert one["details"] in report
    assert "Nothing to be done" in snakemake(checkout, "--cores", "1", *TINY)

    # Another content of an older date, which nothing but the content tells from what was there.
    old = packed(tiny / "predictions/threshold/shopping/shopping_inf", "shopping_inf")
    later.write_bytes(old)
    os.utime(later, (10**9 + 1, 10**9 + 1))
    shutil.rmtree(inbox / "shopping" / odd)
    (inbox / "shopping/thief").unlink()
    plan = planned(snakemake(checkout, "--cores", "2", *TINY))
    assert plan.keys() - {"report", "attack_pages", "all", "total"} == {
        *("score_submission", "collect_scores", "scoreboard", "detailed_results")
    }
    assert plan["score_submission"] == 1
    rows = (tiny / "scores.csv").read_text().splitlines()
    of_threshold = [row for row in rows if ",threshold," in row and "shopping_inf" in row]
    of_threshold = [row for row in of_threshold if ",train," not in row]
    own = [row for row in rows if ",alice," in row]
    assert own == [row.replace(",threshold,", ",alice,") for row in of_threshold]
    assert not [row for row in rows if odd in row]
    assert "2242-03-16" not in (tiny / "scoreboard" / "shopping.html").read_text()

    shutil.rmtree(inbox)
    # The pages are made anew as above.
    snakemake(checkout, "--cores", "2", "results/tiny/scores.csv", *TINY)
    assert products(tiny)["scores.csv"] == before["scores.csv"]
    for path in tiny.glob("entries/shopping/zip-*.json"):
        path.unlink()


def test_bundles_of_the_tracks_are_made_on_demand(checkout: Path, tiny: Path) -> None:
    output = snakemake(checkout, "--cores", "2", "bundles", *TINY, fails=True)
    assert "expected seeds: random in the configuration" in output
    assert "Traceback" not in output
    assert not list(tiny.glob("bundles/*.zip"))
    snakemake(checkout, "--cores", "2", "bundles", *TINY, "--config", "seeds_are_public=True")
    for track, challenge in ("shopping", "shopping_inf"), ("ddp", "shopping_ddp"):
        with zipfile.ZipFile(tiny / "bundles" / f"{track}.zip") as bundle:
            assert f"{track}/{challenge}/final/model_6/model.pt" in bundle.namelist()
            assert "starter_kit/starter_kit.py" in bundle.namelist()
        with zipfile.ZipFile(tiny / "private/bundles" / f"{track}-solutions.zip") as solutions:
            assert f"{track}/{challenge}/final/model_6/solution.csv" in solutions.namelist()


def test_changed_attack_runs_attacks_scores_and_report_only(checkout: Path, tiny: Path) -> None:
    text = (checkout / "tiny.yaml").read_text()
    (checkout / "changed.yaml").write_text(text.replace("gamma: 1}", "gamma: 2}"))
    plan = planned(snakemake(checkout, "--dry-run", "--configfile", "changed.yaml"))
    # One participant in two scenarios of two tracks, and `auto`, which chooses among all.
    assert plan == {
        "attack": 4,
        "score": 4,
        "collect_scores": 1,
        "scoreboard": 2,
        "detailed_results": 2,
        "describe": 1,
        "records": 2,
        "report": 1,
        "attack_pages": 1,
        "all": 1,
        "total": 19,
    }


def test_edited_program_runs_again_and_nothing_before_it(checkout: Path, tiny: Path) -> None:
    with edited(checkout / SOURCE, "EDITED = True\n"):
        jobs = planned(snakemake(checkout, "--dry-run", *TINY))
    # That attack on both challenges, and auto, which looks at its predictions.
    assert jobs["attack"] == 4
    before = {"seeds", "dataset", "splits", "train", "release", "signals", "whitebox"}
    assert not jobs.keys() & (before | {"target_references", "shared_references"})


def of_attacks(plan: dict[str, int]) -> dict[str, int]:
    """The jobs of a plan in which an attack is new or another; all others only show results."""
    shown = {"collect_scores", "scoreboard", "detailed_results", "describe"}
    shown |= {"records", "report", "attack_pages", "all", "total"}
    return {rule: count for rule, count in plan.items() if rule not in shown}


def test_added_attack_runs_alone(checkout: Path, tiny: Path) -> None:
    """A module, or a file of one's own: two jobs for each challenge.

    `auto` looks at the predictions of all others, and runs again.
    """
    added = checkout / "scripts/mico/attacks/formulas/added.py"
    own = checkout / "own.py"
    extra = "extra_attacks: [{name: new, attack: ATTACK, signal: margin}]\n"
    try:
        for path in added, own:
            shutil.copy(checkout / "examples/rank.py", path)
        assert of_attacks(planned(snakemake(checkout, "--dry-run", *TINY))) == {}
        for name, attack in ("module", "added"), ("own", "own.py"):
            (checkout / f"{name}.yaml").write_text(extra.replace("ATTACK", attack))
            plan = planned(snakemake(checkout, "--dry-run", *TINY, f"{name}.yaml"))
            assert of_attacks(plan) == {"attack": 2 + 2, "score": 2 + 2}
    finally:
        added.unlink()
        own.unlink()


def test_example_alone_and_an_edit_of_it(checkout: Path, tiny: Path, tmp_path: Path) -> None:
    """One attack, in a file of one's own, on one scenario of a finished run: to the report.

    Then it is edited.
    """
    copy = tmp_path / "copy"
    shutil.copytree(checkout, copy)
    text = (copy / "tiny.yaml").read_text()
    one, _, rest = text.partition("  - <<: *tiny\n")
    rest = rest[rest.index("models:") : rest.index("attacks:")] + rest[rest.index("datasets:") :]
    mine = "attacks: [{name: mine, attack: examples/rank.py, signal: conf}]\n"
    (copy / "alone.yaml").write_text(f"{one}\n{mine}\n{rest}")
    run = ("--configfile", "alone.yaml")
    plan = planned(snakemake(copy, "--cores", "2", *run))
    assert of_attacks(plan) == {"attack": 1, "score": 1}
    rows = (copy / "results/tiny/scores.csv").read_text().splitlines()
    assert len(rows) == 1 + 4  # phases
    assert ">mine</a>" in (copy / "results/tiny/report.html").read_text()
    page = (copy / "results/tiny/attack_pages/mine.html").read_text()
    assert "The share of a point" in page
    assert "<dt>attack</dt><dd>rank.py</dd>" in page
    with edited(copy / "examples/rank.py", "# A comment changes nothing.\n"):
        assert "Nothing to be done" in snakemake(copy, "--cores", "1", *run)
    with edited(copy / "examples/rank.py", "EDITED = True\n"):
        plan = planned(snakemake(copy, "--dry-run", *run))
    assert of_attacks(plan) == {"attack": 1, "score": 1}


def test_lists_that_are_too_long_for_a_command(checkout: Path, tiny: Path) -> None:
    """Here of a few characters: what is made of them is the same, and the lists do not stay."""
    before = products(tiny)
    source = checkout / "scripts/mico/support/argument_files.py"
    flags = (*TINY, "--rerun-triggers", "mtime", "--forcerun", "collect_scores", "scoreboard")
    flags += ("detailed_results",)
    with edited(source, "LONGEST = 9\n"):
        dry = snakemake(checkout, "--dry-run", "--printshellcmds", *flags)
        listed = re.findall(r" --(entries|models) @\S+/tiny/\w+[.]txt ", dry)
        # Those of all tracks and of each of two, twice; of the report and the attacks' pages.
        assert Counter(listed) == {"entries": 1 + 2 * 2, "models": 2}
        snakemake(checkout, "--cores", "2", *flags)
    assert products(tiny) == before
    assert not list((checkout / ".snakemake/mico/arguments").iterdir())


def test_three_thousand_submissions_can_be_planned(checkout: Path) -> None:
    for number in range(3000):
        submit(checkout, f"participant-{number % 40}", b"%d" % number, f"{number}.zip")
    try:
        flags = ("--dry-run", "--printshellcmds", *TINY, "--config", "run=many")
        output = snakemake(checkout, *flags)
    finally:
        shutil.rmtree(checkout / "submissions")
    assert planned(output)["score_submission"] == 3000
    # Linux takes no argument of 128 KiB.
    assert max(map(len, re.findall("^Shell command: (.*)", output, re.M))) < 10_000


def test_attacks_see_nothing_private(checkout: Path) -> None:
    """Walk the job graph back from every attack: only the release may read private files."""
    output = snakemake(checkout, "--dry-run", "--printshellcmds", *TINY, "--config", "run=graph")
    jobs = re.findall(
        r"^rule (\w+):\n(?:    input: (.*)\n)?    output: (.*)\n"
        r"(?:.*\n)*?(?=Shell command: (.*)\n|\n)",
        output,
        re.M,
    )
    makes = {name: job for job in jobs for name in job[2].split(", ")}
    rules = {job[0] for job in jobs}
    assert {"seeds", "train", "release", "signals", "whitebox", "target_references"} <= rules
    assert {"shared_references", "attack", "score"} <= rules

    def ancestors(job: tuple) -> set[tuple]:
        """What the job reads, and what made that, stopping at the released challenge."""
        if job[0] == "release":
            return {job}
        read = {name for name in job[1].split(", ") if name}
        assert not [name for name in read if "/private/" in name], job
        found = {job}
        for name in read:
            if name in makes:
                found |= ancestors(makes[name])
        return found

    attacks = [job for job in jobs if job[0] == "attack"]
    assert len(attacks) == 6 * 2 + 2
    public = {"signals", "whitebox", "target_references", "shared_references"}
    public |= {"accountant", "attack", "dataset", "release"}
    for attack in attacks:
        found = ancestors(attack)
        assert {"attack", "signals", "release", "dataset"} <= {job[0] for job in found} <= public
        for job in found:
            if job[0] != "release":
                assert "/private/" not in job[3]
    with_shared = {
        attack[2]
        for attack in attacks
        if "shared_references" in {job[0] for job in ancestors(attack)}
    }
    # One asks for them, and one chooses among all.
    assert with_shared == {
        f"results/graph/predictions/{name}/shopping/shopping_inf"
        for name in ("effect-shared", "auto")
    }


def test_corrupt_released_model_is_named(checkout: Path, tiny: Path) -> None:
    shutil.copytree(tiny, checkout / "results" / "corrupt")
    folder = checkout / "results" / "corrupt"
    model = folder / "challenge" / "ddp" / "shopping_ddp" / "final" / "model_6" / "model.pt"
    model.write_bytes(model.read_bytes()[:1000])
    (folder / "signals" / "ddp" / "shopping_ddp.npz").unlink()
    target = "results/corrupt/signals/ddp/shopping_ddp.npz"
    run = ("--cores", "1", target, *TINY, "--config", "run=corrupt")
    output = snakemake(checkout, *run, "--rerun-triggers", "mtime", fails=True)
    lines = [line for line in output.splitlines() if line.strip().startswith("error: ")]
    assert len(lines) == 1, output
    assert "final/model_6/model.pt" in lines[0]
    assert not (folder / "signals" / "ddp" / "shopping_ddp.npz").exists()


def test_bad_configuration_is_one_clear_line(checkout: Path) -> None:
    """What else may be wrong with one, test_configuration.py tries."""
    folder = checkout / "bad"
    folder.mkdir()
    text = (checkout / "tiny.yaml").read_text().replace("run: tiny", "run: bad")
    (folder / "tiny.yaml").write_text(text.replace("id: S1", "id: S1\n    epoch: 3"))
    output = snakemake(checkout, "--dry-run", "--configfile", "bad/tiny.yaml", fails=True)
    expected = "tiny.yaml: scenario S1: unknown key 'epoch'"
    lines = [line for line in output.splitlines() if expected in line]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    assert not (checkout / "results" / "bad").exists()


def test_bad_data_file_is_one_clear_line_and_leaves_nothing(checkout: Path) -> None:
    (checkout / "shopping.csv").write_text("1,0,1\n2,1\n")
    (checkout / "file.yaml").write_text(
        (checkout / "tiny.yaml")
        .read_text()
        .replace("run: tiny", "run: badfile")
        .replace(
            "format: purchase100-synthetic, records: 300, features: 40, classes: 4, seed: 3",
            "format: labelled-bits, records: 300, features: 2, classes: 4, path: shopping.csv",
        )
    )
    target = "results/badfile/data/shopping"
    output = snakemake(checkout, target, "--cores", "1", "--configfile", "file.yaml", fails=True)
    assert "error: shopping.csv: row 2: 2 fields, expected 3" in output
    assert "Traceback" not in output
    assert not list((checkout / "results" / "badfile" / "data").glob("*"))


def given(checkout: Path, run: str, keys: str) -> tuple[str, str]:
    """The flags of a run of files that are given."""
    text = (checkout / "tiny.yaml").read_text().replace("run: tiny", f"run: {run}\n{keys}")
    (checkout / f"{run}.yaml").write_text(
        text.replace(
            "format: purchase100-synthetic, records: 300, features: 40, classes: 4, seed: 3",
            f"format: labelled-bits, records: 300, features: 2, classes: 4, path: {run}-data.csv",
        )
    )
    return "--configfile", f"{run}.yaml"


def test_of_a_data_file_the_content_decides_and_not_its_time(checkout: Path) -> None:
    """Also of one that says it is yet to be written, and of seeds that are given."""
    flags = given(checkout, "given", "seeds: given-seeds.csv")
    rows = [f"{1 + i % 4},{i % 2},{i // 2 % 2}" for i in range(300)]
    data, seeds = checkout / "given-data.csv", checkout / "given-seeds.csv"
    kinds = ("seed_challenge", "seed_training", "seed_membership", "seed_model")
    table = [f"scenario,model,{','.join(kinds)}"]
    table += [f"S1,{i},{i + 1},{i + 11},{i + 21},{i + 31}" for i in range(7)]
    folder = checkout / "results/given"
    targets = ("results/given/data/shopping", "results/given/private/S1/seeds.csv")

    def run() -> dict[str, int]:
        return dict(planned(snakemake(checkout, "--cores", "1", *targets, *flags)))

    def stored() -> tuple[bytes, bytes]:
        return (
            (folder / "data/shopping/labels.npy").read_bytes(),
            (folder / "private/S1/seeds.csv").read_bytes(),
        )

    def write(path: Path, lines: list[str], time: int) -> None:
        path.write_text("\n".join(lines) + "\n")
        os.utime(path, (time, time))

    write(data, rows, 2**33)
    write(seeds, table, 2**33)
    assert run() == {"dataset": 1, "seeds": 1, "total": 2}
    first = stored()
    assert run() == {}
    for path in data, seeds:
        os.utime(path, (10**9, 10**9))
    assert run() == {}
    write(data, rows[::-1], 10**9)
    assert run() == {"dataset": 1, "total": 1}
    assert stored()[0] != first[0]
    write(seeds, [line.replace(",31", ",99") for line in table], 10**9)
    assert run() == {"seeds": 1, "total": 1}
    assert stored()[1] != first[1]
    for path in data, seeds:
        path.touch()
    assert run() == {}
