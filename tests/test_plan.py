"""What the rules look up: shards, entries, inputs, recipes, time and memory; without Snakemake."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import packages_distributions
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from tiny_configuration import DEFAULTS, TINY, configuration, run

from mico.challenge.recipe import Recipe
from mico.support.records import build, dump
from mico.workflow import estimate, jobs, outside, plan, resources
from mico.workflow.configuration import check
from mico.workflow.description import description, seed_source
from mico.workflow.plan import Plan, make, ranges

ROOT = Path(__file__).parents[1]


@pytest.fixture
def small(tmp_path: Path) -> Plan:
    """The plan of the tiny run, with two submissions to a track and things that are none."""
    inbox = tmp_path / "inbox"
    for name in (
        "shopping/Ann/one.zip",
        "shopping/Ann/two.zip",
        "other/Bob/one.zip",
        "shopping/a.zip",
    ):
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).touch()
    (inbox / "shopping/Bob").mkdir()
    (inbox / "shopping/Bob/link.zip").symlink_to(inbox / "shopping/Ann/one.zip")
    (inbox / "shopping/Bob/folder.zip").mkdir()
    return make(run(submissions={"path": str(inbox), "max_bytes": 1000}))


def test_ranges() -> None:
    assert ranges(0, 7, 3) == ["0-2", "3-5", "6-6"]
    assert ranges(4, 7, 2) == ["4-5", "6-6"]
    assert ranges(0, 0, 5) == []
    assert ranges(0, 6, 6) == ["0-5"]


def test_scenarios_of_jobs(small: Plan) -> None:
    assert small.tracks == ["ddp", "shopping"]
    assert small.datasets == ["shopping"]
    assert small.phases == [4, 2, 1]
    assert small.models == 7
    assert small.of({"scenario": "SD"}).challenge == "shopping_ddp"
    assert small.of({"challenge": "shopping_inf", "track": "shopping"}).id == "S1"
    assert [one.id for one in small.of_track("ddp")] == ["SD"]
    pattern = "<results>/{track}/{id}/{challenge}/{data}"
    assert small.for_track(pattern)({"track": "ddp"}) == ["<results>/ddp/SD/shopping_ddp/shopping"]


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("cuda", 1), ("auto", 1)])
def test_gpus_of_a_job(device: str, gpus: int) -> None:
    assert make(run(device=device)).gpu == gpus


def test_shards_cover_all_models_in_order(small: Plan) -> None:
    scenario = small.of({"scenario": "S1"})
    assert small.shards(scenario) == ["0-2", "3-5", "6-6"]
    folder = "<results>/private/S1/models"
    assert small.shard_paths(scenario) == [f"{folder}/{shard}" for shard in ("0-2", "3-5", "6-6")]
    rows = small.model_rows({})
    assert len(rows) == 6
    assert rows[0] == f"{folder}/0-2.csv"
    assert rows[-1] == "<results>/private/SD/models/6-6.csv"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_automatic_shards_are_those_of_the_estimate(device: str) -> None:
    one = make(run(shard_size="auto", device=device, models={"train": 100, "dev": 50, "final": 50}))
    for scenario in one.run.scenarios.values():
        size = estimate.shard_size(one.model_seconds(scenario), 200)
        assert one.shards(scenario) == ranges(0, 200, size)


def test_recipes_hold_all_that_training_is_told(small: Plan) -> None:
    scenario = small.of({"scenario": "SD"})
    recipe = small.recipe(scenario)
    assert (recipe.n, recipe.m, recipe.architecture) == (150, 10, "mlp")
    assert (recipe.physical_batch_size, recipe.precision) == (None, "float32")
    shared = asdict(recipe.optimisation)
    assert shared == {name: getattr(scenario, name) for name in shared}
    assert shared["clipping_norm"] == 2.6
    # As it reaches the programs.
    assert build(Recipe, json.loads(dump(recipe))) == recipe
    options = recipe.options(1.0)
    assert (options.noise_multiplier, options.secure, options.epochs) == (1.0, False, 3)


def test_only_the_organiser_trains_securely_or_without_members() -> None:
    """And securely only with DP. What participants train is not told of either."""
    null = [{**TINY["scenarios"][0], "null_run": True}, TINY["scenarios"][1]]
    one = make(run(secure=True, scenarios=null, target_references=DEFAULTS["target_references"]))
    found = {
        name: (one.recipe(scenario).secure, one.recipe(scenario).null_run)
        for name, scenario in one.run.scenarios.items()
    }
    assert found == {"S1": (False, True), "SD": (True, False)}
    for scenario in one.run.scenarios.values():
        recipe = one.participant_recipe(scenario)
        assert (recipe.secure, recipe.null_run) == (False, False)
        same = replace(one.recipe(scenario), secure=False, null_run=False)
        assert recipe == same


def test_inputs_of_attacks(small: Plan) -> None:
    where = {"track": "ddp", "challenge": "shopping_ddp"}
    assert small.inputs({**where, "participant": "lira"}) == {
        "signals": "<results>/signals/ddp/shopping_ddp.npz"
    }
    folder = "<results>/target_references/ddp/shopping_ddp"
    references = [f"{folder}/{shard}.npz" for shard in ("0-1", "4-5", "6-6")]
    assert small.inputs({**where, "participant": "references"})["target_references"] == references
    others = small.inputs({**where, "participant": "auto"})["others"]
    names = [path.split("/")[2] for path in others]
    # Not auto itself, nor what asks for shared references, of which this scenario has none.
    assert names == ["threshold", "centred", "lira", "rmia", "stacked", "references"]
    assert others[0] == "<results>/predictions/threshold/ddp/shopping_ddp"
    shared = {"track": "shopping", "challenge": "shopping_inf", "participant": "effect-shared"}
    folder = "<results>/shared_references/shopping/shopping_inf"
    assert small.inputs(shared)["shared_references"] == [f"{folder}/0-1.npz", f"{folder}/2-2.npz"]


def test_entries_are_attacks_and_submissions(small: Plan) -> None:
    found = small.submissions["shopping"]
    assert [one.path.name for one in found.values()] == ["one.zip", "two.zip"]
    assert small.submissions["ddp"] == {}
    assert all(name.startswith("zip-") for name in found)
    entries = small.entries("shopping")
    assert entries[-2:] == list(found)
    assert "references" not in entries
    assert "effect-shared" in entries
    assert "effect-shared" not in small.entries("ddp")
    first = f"<results>/entries/shopping/{entries[0]}.json"
    assert small.whole_entries({"track": "shopping"})[0] == first
    assert set(small.all_entries({})) == {
        f"<results>/entries/{track}/{entry}.json"
        for track in small.tracks
        for entry in small.entries(track)
    }
    columns = jobs.entry_columns(small, {"track": "ddp", "entry": "lira"})
    assert columns == "--challenges shopping_ddp --scenarios SD --data shopping"


def test_jobs_of_a_cluster_look_for_no_submissions(small: Plan) -> None:
    """So nothing that arrives or goes while the run goes on can stop them."""
    there = make(small.run, look=False)
    assert there.submissions == {"ddp": {}, "shopping": {}}
    assert there.passed_over == []
    assert small.passed_over


def test_a_new_attack_of_a_participants_name_changes_the_entrys_job(tmp_path: Path) -> None:
    for name in "LIRA", "Ann":
        (tmp_path / "shopping" / name).mkdir(parents=True)
        (tmp_path / "shopping" / name / "a.zip").touch()
    one = make(run(submissions={"path": str(tmp_path), "max_bytes": 1000}))
    found = {
        submission.path.parent.name: jobs.taken_names(one, {"track": "shopping", "entry": name})
        for name, submission in one.submissions["shopping"].items()
    }
    assert found == {"LIRA": ["lira"], "Ann": []}


def test_the_content_of_files_from_outside_is_known(tmp_path: Path) -> None:
    file, folder = tmp_path / "a", tmp_path / "b"
    file.write_text("one")
    folder.mkdir()
    (folder / "x").write_text("one")

    def now() -> tuple[str, str]:
        outside.content.cache_clear()
        return outside.content(file), outside.content(folder)

    first = now()
    assert len(set(first)) == 2
    file.touch()
    (folder / ".DS_Store").touch()
    (folder / "inner").mkdir()
    (folder / "inner" / ".hidden").touch()
    (folder / "link").symlink_to(tmp_path)
    assert now() == first
    (folder / "inner" / "z").touch()
    assert now()[1] != first[1]
    (folder / "inner" / "z").unlink()
    assert now() == first
    file.write_text("two")
    (folder / "x").rename(folder / "y")
    assert not set(now()) & set(first)
    file.unlink()
    assert now()[0] == "no file"
    os.mkfifo(file)
    os.mkfifo(folder / "pipe")
    assert now()[0] == "no file"


def test_an_entry_to_some_challenges_of_a_track_is_not_on_its_board() -> None:
    both = [TINY["scenarios"][0], {**TINY["scenarios"][1], "track": "shopping"}]
    one = make(run(scenarios=both))
    whole = one.whole_entries({"track": "shopping"})
    assert "<results>/entries/shopping/lira.json" in whole
    assert "<results>/entries/shopping/references.json" not in whole
    assert "<results>/entries/shopping/references.json" in one.all_entries({})
    assert [s.id for s in one.entered("shopping", "references")] == ["SD"]


def test_ids_of_submissions_depend_on_their_paths(small: Plan) -> None:
    one, two = small.submissions["shopping"]
    assert one != two
    assert list(make(small.run).submissions["shopping"]) == [one, two]


def test_text_and_synthetic_data_are_known() -> None:
    text = yaml.safe_load((ROOT / "tests/text.yaml").read_text())
    mixed = {**DEFAULTS, **text, "datasets": DEFAULTS["datasets"] | text.get("datasets", {})}
    one = make(check(mixed, [], ROOT / "config/scenarios.yaml"))
    scenario = next(iter(one.run.scenarios.values()))
    for wildcards in (
        {"scenario": scenario.id},
        {"challenge": scenario.challenge, "track": scenario.track},
        {"track": scenario.track},
        {"data": scenario.data},
        {},
    ):
        assert one.has_text(MappingProxyType(wildcards))
    assert one.is_synthetic(scenario.track)
    assert not make(run()).has_text({})
    assert not one.mixes_text
    assert not make(run()).mixes_text
    mixed["scenarios"] = [*text["scenarios"], TINY["scenarios"][0]]
    mixed["datasets"] |= TINY["datasets"]
    both = make(check(mixed, [], ROOT / "config/scenarios.yaml"))
    assert both.mixes_text
    assert not both.has_text({"scenario": TINY["scenarios"][0]["id"]})
    real = [{**TINY["scenarios"][0], "data": "location30", "n": 100}]
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    assert not make(run(scenarios=real, target_references=nothing)).is_synthetic("shopping")


def test_files_of_a_scenario_by_its_id_or_its_challenge(small: Plan) -> None:
    for job in {"scenario": "S1"}, {"challenge": "shopping_inf", "track": "shopping"}:
        assert jobs.scenario_data(small, job) == "<results>/data/shopping"
        assert jobs.scenario_privacy(small, job) == "<results>/privacy/S1.json"
        assert jobs.private_seeds(small, job) == "<results>/private/S1/seeds.csv"
        assert jobs.private_splits(small, job) == "<results>/private/S1/splits.npz"


def test_what_the_original_kit_reads_is_exported(small: Plan) -> None:
    assert small.exported == small.datasets == ["shopping"]
    words = yaml.safe_load((ROOT / "tests/text.yaml").read_text())
    words["datasets"] |= DEFAULTS["datasets"]
    with_text = make(check({**DEFAULTS, **words}, [], ROOT / "config/scenarios.yaml"))
    assert with_text.datasets
    assert with_text.exported == []


def test_data_of_ones_own_are_planned_without_their_counts(tmp_path: Path) -> None:
    """And are not exported: whether the original kit reads them is only known with the file."""
    path = tmp_path / "mine.csv"
    path.write_text("x,label\n" + 900 * "1,a\n")
    mine = {"format": "table", "path": str(path)}
    scenario = {**TINY["scenarios"][0], "data": "mine"}
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    one = make(run(scenarios=[scenario], datasets={"mine": mine}, target_references=nothing))
    assert (one.datasets, one.exported) == (["mine"], [])
    (known,) = one.run.scenarios.values()
    # Twice a training set, and a byte of the file for each feature.
    assert estimate.records(known, one.data(known)) == 300
    assert estimate.features(known, one.data(known)) == path.stat().st_size // 300
    job = {"scenario": known.id, "first": "0", "last": "2"}
    assert resources.training_minutes(one, job) >= 10
    assert resources.compute_mb(one, job) > 600
    assert jobs.draws_flags(one, job) == "--first 4 --last 6 --n 150 --m 10"
    assert resources.dataset_mb(one, {"data": "mine"}) == 2000


def test_time_and_memory_grow_with_the_work(small: Plan) -> None:
    job = {"scenario": "S1", "first": "0", "last": "2"}
    seconds = small.model_seconds(small.of(job))
    assert resources.training_minutes(small, job) == estimate.minutes(3 * seconds)
    count = small.configuration.target_references.count
    scenario = small.of(job)
    count += (small.data(scenario).records - 2 * scenario.m) / scenario.n
    assert resources.target_reference_minutes(small, job) == estimate.minutes(3 * count * seconds)
    challenge = {"track": "shopping", "challenge": "shopping_inf"}
    assert resources.signals_minutes(small, challenge) >= 10
    assert resources.white_box_minutes(small, challenge) >= 10
    assert resources.attack_mb(small, challenge) >= estimate.PROCESS_MB
    assert resources.bundle_mb(small, {"track": "shopping"}) == 2000
    small, large = (make(run(physical_batch_size=size, **images())) for size in (32, 3200))
    images_job = {"scenario": "S1"}
    assert resources.compute_mb(large, images_job) > 2 * resources.compute_mb(small, images_job)


def images() -> dict[str, object]:
    """A run of one scenario on images."""
    scenario = {"id": "S1", "from": "I1", "data": "cifar10-synthetic", "n": 1000}
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    kinds = {"target_references": nothing}
    kinds["shared_references"] = {"scenarios": [], "count": 3, "shard_size": 2}
    return {"scenarios": [scenario], **kinds}


def test_the_description_tells_no_secret_and_no_place(tmp_path: Path) -> None:
    raw = tmp_path / "secret-place.csv"
    raw.touch()
    mine = {"format": "labelled-bits", "records": 300, "features": 5, "classes": 3}
    mine["path"] = str(raw)
    scenario = {**TINY["scenarios"][0], "data": "mine"}
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    config = configuration(
        scenarios=[scenario], target_references=nothing, seeds=123456789, datasets={"mine": mine}
    )
    one = make(check(config, [], ROOT / "config/scenarios.yaml"))
    text = description(one, config)
    told = json.loads(text)
    assert "secret-place" not in text
    assert "123456789" not in text
    assert told["scenarios"][0]["id"] == "S1"
    assert told["models"] == TINY["models"]
    # Attacks that take part nowhere are left out.
    assert "references" not in [attack["name"] for attack in told["attacks"]]
    moved = {**config, "datasets": {"mine": {**mine, "path": "elsewhere"}}}
    assert json.loads(description(one, moved))["config_sha256"] == told["config_sha256"]
    # Nobody may try master seeds on the hash.
    reseeded = {**config, "seeds": 123456780}
    one = make(check(reseeded, [], ROOT / "config/scenarios.yaml"))
    assert json.loads(description(one, reseeded))["config_sha256"] == told["config_sha256"]
    other = {**config, "shard_size": 4}
    assert json.loads(description(one, other))["config_sha256"] != told["config_sha256"]


def test_seed_sources_in_words() -> None:
    assert seed_source(5) == "a master seed in the configuration"
    assert seed_source("random") == "the operating system's entropy"
    assert seed_source("given/seeds.csv") == "given in a file"


def test_a_pretrained_folder_is_told_by_its_name_alone(tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    folder.mkdir()
    scenario = next(iter(run().scenarios.values()))
    told = plan.public(replace(scenario, architecture=f"transformers/{folder}"))
    assert told["architecture"] == "transformers/minilm"


def test_a_shards_seeds_come_from_where_they_are(tmp_path: Path) -> None:
    job = {"scenario": "S1", "first": "3", "last": "5"}
    expected = {
        5: "<results>/private/S1/seeds/3-5.csv",
        "random": "<results>/private/S1/seeds.csv",
        "given/seeds.csv": "<results>/private/S1/seeds.csv",
        "given/{scenario}/seeds.csv": "<results>/private/S1/seeds.csv",
    }
    assert {source: jobs.shard_seeds(make(run(seeds=source)), job) for source in expected} == (
        expected
    )


def test_seeds_come_from_a_file_or_the_system() -> None:
    job = {"scenario": "S1"}
    expected = {
        5: (["<results>/private/master_seed"], []),
        "random": ([], []),
        "given/seeds.csv": ([], ["given/seeds.csv"]),
        "given/{scenario}/seeds.csv": ([], ["given/S1/seeds.csv"]),
    }
    plans = {one: make(run(seeds=one)) for one in expected}
    found = {
        one: (jobs.master_seed(plan, job), jobs.given_seeds(plan, job))
        for one, plan in plans.items()
    }
    assert found == expected


def test_a_bundle_is_told_what_is_known_of_the_seeds() -> None:
    job = {"track": "shopping"}
    for seeds, public, expected in (
        (5, False, ["--seeds", "known"]),
        ("given/seeds.csv", True, ["--seeds", "known", "--public-seeds"]),
        ("random", False, ["--seeds", "random"]),
    ):
        one = make(run(seeds=seeds, seeds_are_public=public))
        found = jobs.bundle_seeds(one, job).replace("--design published ", "").split()
        assert found == expected
        assert (jobs.public_seeds_flag(one, job) == "--public-seeds") == public


def test_memberships_may_come_from_no_seed(small: Plan) -> None:
    job = {"scenario": "SD", "track": "ddp"}
    assert jobs.draws_file(small, job) == []
    one = make(run(seeds="random", design="full-entropy"))
    assert jobs.draws_file(one, job) == ["<results>/private/SD/draws.npz"]
    sizes = "--first 4 --last 6 --n 150 --m 10"
    # Its seed_training is given away.
    assert jobs.draws_flags(one, job) == f"{sizes} --members-only"
    assert jobs.draws_flags(one, {"scenario": "S1"}) == sizes
    assert "--design full-entropy" in jobs.bundle_seeds(one, job)


def test_budgets_are_flags(small: Plan) -> None:
    assert jobs.budget_flags(small, {"scenario": "S1"}) == ""
    flags = jobs.budget_flags(small, {"scenario": "SD"})
    assert flags == "--noise-multiplier 1.0 --delta 1e-05"
    targeted = {"id": "A", "from": "T2", "data": "shopping", "n": 150, "m": 10, "batch_size": 30}
    for more, expected in (
        ({}, "--epsilon 10.0 --delta 1e-05"),
        ({"noise_multiplier": 0.7}, "--noise-multiplier 0.7 --delta 1e-05"),
        ({"drop_last": True}, "--epsilon 10.0 --delta 1e-05 --drop-last"),
    ):
        one = make(run(scenarios=[*TINY["scenarios"], targeted | more]))
        assert jobs.budget_flags(one, {"scenario": "A"}) == expected


def test_sources_are_the_files_that_programs_find_by_themselves(small: Plan) -> None:
    def names(paths: list[Path]) -> list[str]:
        return [path.relative_to(ROOT / "scripts/mico").as_posix() for path in paths]

    challenge = {"challenge": "shopping_inf", "track": "shopping"}
    for job in {"scenario": "S1"}, challenge, {"track": "ddp"}:
        assert names(jobs.network_sources(small, job)) == ["networks/mlp.py"]
    data = {"data": "shopping"}
    assert names(jobs.data_sources(small, data)) == ["data/formats/purchase100_synthetic.py"]
    attack = {"participant": "effect-shared", "track": "shopping", "challenge": "shopping_inf"}
    assert names(jobs.attack_sources(small, attack)) == [
        *("attacks/formulas/effect.py", "attacks/given/signals.py"),
        "attacks/given/shared_references.py",
    ]


def test_a_bundle_depends_on_the_whole_files_of_networks_that_are_somebodys_own() -> None:
    path = f"{ROOT}/examples/resnet.py"
    own = {"id": "A", "challenge": "a", "track": "a", "architecture": f"{path}:make(width=4)"}
    one = make(run(scenarios=[*TINY["scenarios"], TINY["scenarios"][0] | own]))
    assert jobs.own_networks(one, {"track": "a"}) == [path]
    assert jobs.own_networks(one, {"track": "ddp"}) == []
    assert [file.name for file in jobs.network_sources(one, {"track": "a"})] == [
        *("resnet.py", "own.py")
    ]


def test_where_a_data_sets_file_is_comes_from_its_options(tmp_path: Path) -> None:
    given = {"format": "labelled-bits", "records": 300, "features": 5, "classes": 3}
    mine = {"path": "a b.csv", "md5": "0" * 32, **given}
    other = {"url": "https://example.org/x/data.tgz", **given}
    one = make(run(datasets={**TINY["datasets"], "mine": mine, "other": other}))
    for function, own in (
        (jobs.given_file, "mine"),
        (jobs.data_files, "mine"),
        (jobs.download, "other"),
    ):
        found = {name: function(one, {"data": name}) for name in ("shopping", "mine", "other")}
        files = {"mine": "a b.csv", "other": "<resources>/other/data.tgz"}
        assert found == {name: [files[name]] if name == own else [] for name in found}
    assert jobs.raw_flag(one, {"data": "mine"}, {}) == "--raw 'a b.csv'"
    downloaded = {"download": "place/data.tgz"}
    assert jobs.raw_flag(one, {"data": "other"}, downloaded) == "--raw place/data.tgz"
    assert jobs.data_checks(one, {"data": "mine"}) == [f"md5={'0' * 32}"]
    assert "a b" not in jobs.data_json(one, {"data": "mine"})


def test_flags_of_entries(small: Plan) -> None:
    built_in = {"track": "shopping", "entry": "lira"}
    assert jobs.predictions(small, built_in) == ["<results>/predictions/lira/shopping/shopping_inf"]
    flags = jobs.predictions_flags(small, built_in, {"predictions": "a b"})
    assert flags == "--participant lira --predictions a b"
    (name, one), _ = small.submissions["shopping"].items()
    own = {"track": "shopping", "entry": name}
    flags = jobs.submission_flags(small, own, {})
    assert flags.startswith(f"--participant=Ann --submission={one.path} --state {one.state} ")
    assert f" --modified={one.modified} --taken" in flags
    assert jobs.submission_times(small, own) == [one.modified, one.changed]
    odd = replace(one, path=Path("in/{x}/a;b.zip"), modified=-1)
    hostile = replace(small, submissions={"shopping": {"zip-1": odd}, "ddp": {}})
    flags = jobs.submission_flags(hostile, {**own, "entry": "zip-1"}, {})
    assert "--participant='{x}' --submission='in/{x}/a;b.zip'" in flags
    assert "--modified=-1" in flags


def test_flags_of_attacks(small: Plan) -> None:
    job = {"participant": "stacked", "track": "ddp", "challenge": "shopping_ddp"}
    flags = jobs.attack_inputs(small, job, {"signals": "s.npz", "whitebox": "w.npz"})
    assert flags == "--input signals s.npz --input whitebox w.npz"
    job["participant"] = "effect-shared"
    assert json.loads(jobs.attack_json(small, job)) == {"signal": "margin", "shared_references": 3}
    assert jobs.attack_name(small, job) == "effect"


@pytest.mark.slow
def test_nothing_large_is_imported_for_a_plan() -> None:
    """Snakemake starts anew in each job of a cluster, and everybody waits for it."""
    code = "import sys, mico.workflow.start, mico.workflow.jobs; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # What Snakemake itself needs, and numpy, as docs/snakemake.md says.
    small = {"numpy", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"}
    small |= {"typing_inspection", "yaml", "mico"}
    installed = {name for name in packages_distributions() if not name.startswith("_")}
    assert installed & {name.partition(".")[0] for name in printed.stdout.split()} <= small


def test_a_board_begins_with_what_is_easiest_to_attack() -> None:
    first = {**TINY["scenarios"][0], "track": "shopping"}
    private = {"clipping_norm": 1.0, "delta": 1e-5}
    budgets = {"lo": {"epsilon": 4, **private}, "dd": {"noise_multiplier": 1.0, **private}}
    budgets |= {"inf": {}, "hi": {"epsilon": 10, **private}}
    scenarios = [{**first, "id": one, "challenge": f"toys_{one}"} | budgets[one] for one in budgets]
    nothing = {"scenarios": [], "count": 4, "train_models": 2, "shard_size": 2}
    shared = {"scenarios": [], "count": 3, "shard_size": 2}
    made = make(run(scenarios=scenarios, target_references=nothing, shared_references=shared))
    named = jobs.named_challenges(made, {"track": "shopping"})
    assert named == ["toys_inf=inf", "toys_hi=hi", "toys_lo=lo", "toys_dd=dd"]


def test_the_description_says_what_the_run_is() -> None:
    config = configuration(about="Shops, twice as many.")
    one = make(check(config, [], ROOT / "config/scenarios.yaml"))
    assert json.loads(description(one, config))["about"] == "Shops, twice as many."
