"""Checks the configuration and gives the rules what they look up in it. Reads no data."""

import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from shlex import quote

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

# Another workflow may use this one as a module.
IS_MODULE = not workflow.modifier.is_main_snakefile()


def repository():
    """The folder of this repository: that of a local file, or a copy of what GitHub has.

    Snakemake fetches only the files that rules name, and the programs share a library.
    """
    here = workflow.current_basedir
    if here.is_local:
        # Relative to the working directory, so that a checkout that is moved is not run again.
        path = Path(here.get_path_or_uri(secret_free=True))
        return Path(os.path.relpath(path.parents[1]))
    commit = here.hosted_repo.repo.commit(here.ref)
    copy = Path(f".snakemake/mico/{commit.hexsha}")
    if not copy.exists():
        archive = io.BytesIO()
        commit.repo.archive(archive, commit.hexsha)
        archive.seek(0)
        partial = copy.with_suffix(".partial")
        with tarfile.open(fileobj=archive) as files:
            files.extractall(partial, filter="data")
        partial.rename(copy)
    return copy


REPOSITORY = repository()
SCRIPTS = REPOSITORY / "scripts"
sys.path.insert(0, str(SCRIPTS.resolve()))

from mico.data.format_names import GENERATED, TEXT
from mico.networks import pretrained
from mico.release.names import UNUSABLE_NAME
from mico.support.errors import InputError
from mico.support.source_hash import source_hash
from mico.workflow import configuration, estimate

# Jobs run side by side: none may start threads of its own. Huge pages save training 3 %.
ENVIRONMENT = (
    "OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false"
    " GLIBC_TUNABLES=glibc.malloc.hugetlb=1"
)
if not IS_MODULE:
    # It is every rule's, also of the workflow that uses a module.
    shell.prefix(f"export {ENVIRONMENT}; ")

# Snakemake does not read the configuration file of a module that is given a configuration.
defaults = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
update_config(defaults, config)
config = defaults

try:
    checked = configuration.check(
        config,
        files=[
            Path(file)
            for file in [*workflow.configfiles, *workflow.overwrite_configfiles]
        ],
        schema=REPOSITORY / "workflow/schemas/config.schema.yaml",
        published=REPOSITORY / "config/scenarios.yaml",
    )
except InputError as error:
    message = str(error)
    if IS_MODULE:
        # Its configuration may be a section of a file, which the check does not look into.
        given = [*map(os.path.relpath, workflow.configfiles), f"module {__name__}"]
        message = message.replace("command line", ", ".join(given), 1)
    raise WorkflowError(message)


pathvars:
    results=f"results/{config['run']}",
    logs="<results>/logs",
    benchmarks="<results>/benchmarks",


wildcard_constraints:
    scenario="[^/]+",
    data="[^/]+",
    track="[^/]+",
    challenge="[^/]+",
    participant="[^/]+",
    entry="[^/]+",
    file="[^/]+",
    first="[0-9]+",
    last="[0-9]+",


PHASES = [checked.phases.train, checked.phases.dev, checked.phases.final]
SCENARIOS = {name: vars(scenario) for name, scenario in checked.scenarios.items()}
CHALLENGES = {scenario["challenge"]: scenario for scenario in SCENARIOS.values()}
USED_DATA = sorted({scenario["data"] for scenario in SCENARIOS.values()})
# GPUs of a job that trains or runs models. With the device `auto` it also does without.
GPU = 0 if config["device"] == "cpu" else 1


def of(wildcards):
    """The scenario of a job, by its id or by the name of its challenge."""
    challenge = wildcards.get("challenge")
    return CHALLENGES[challenge] if challenge else SCENARIOS[wildcards.scenario]


def field(name):
    """A function: this field of the job's scenario. (`lookup()` would search all scenarios.)"""

    def value(wildcards):
        return of(wildcards)[name]

    return value


def data_of(scenario):
    """What the configuration says of a scenario's data set."""
    return config["datasets"][scenario["data"]]


def program(name):
    """The command that runs a stage's program."""
    command = f"python {SCRIPTS / name}.py"
    return f"{ENVIRONMENT} {command}" if IS_MODULE else command


def fingerprint(name):
    """A hash of what that program runs, as a parameter: an edit of it runs the stage again."""
    return source_hash(SCRIPTS / f"{name}.py")


def checks(dataset):
    """The known checksums of a data set's raw file, as `kind=digest`."""
    return [
        f"{kind}={dataset[kind]}"
        for kind in ("sha256", "md5", "git_blob")
        if kind in dataset
    ]


def known_checks(wildcards):
    """The known checksums of the data set that is downloaded."""
    return checks(config["datasets"][wildcards.data])


def stored_data(text):
    """A pattern of the names of the data sets of text, or of all others."""
    return "|".join(
        name
        for name, dataset in config["datasets"].items()
        if (dataset["format"] in TEXT) == text
    )


def raw_file(wildcards):
    """A data set's raw file, if it is not generated: the configured path, or the download."""
    dataset = config["datasets"][wildcards.data]
    if dataset["format"] in GENERATED:
        return []
    return (
        dataset.get("path")
        or f"resources/{wildcards.data}/{dataset['url'].rsplit('/', 1)[-1]}"
    )


def dataset_source(wildcards, input):
    """The flags that say where a data set comes from."""
    dataset = config["datasets"][wildcards.data]
    if dataset["format"] in GENERATED:
        return f"--seed {dataset['seed']}"
    source = f"--raw {quote(input.raw)} --check {' '.join(checks(dataset))}"
    if "files" in dataset:
        files = [f"{name}={md5 or ''}" for name, md5 in dataset["files"].items()]
        source += f" --files {' '.join(files)}"
    return source


def tokenizer_folder(wildcards):
    """The folder of the checkpoint whose tokenizer it is, if it is in one."""
    name = config["datasets"][wildcards.data]["tokenizer"]
    return name if os.path.isdir(name) else []


def tokenizer_flags(wildcards):
    """The flags that say what turns sentences into tokens."""
    dataset = config["datasets"][wildcards.data]
    flags = f"--tokenizer {quote(dataset['tokenizer'])}"
    if "vocabulary" in dataset:
        flags += f" --vocabulary {dataset['vocabulary']}"
    return flags


def environment(name):
    """An input function: the conda environment of that name, or the one that does text as well."""

    def path(wildcards):
        if {"challenge", "scenario"}.isdisjoint(wildcards.keys()):
            track = wildcards.get("track")
            scenarios = scenarios_of(track) if track else SCENARIOS.values()
        else:
            scenarios = [of(wildcards)]
        formats = {config["datasets"][one["data"]]["format"] for one in scenarios}
        return f"../../envs/{name}{'-text' * (not formats.isdisjoint(TEXT))}.yaml"

    return path


def scenario_data(wildcards):
    """The stored data set of a scenario, which is public."""
    return f"<results>/data/{of(wildcards)['data']}"


def pretrained_files(wildcards):
    """What training begins with, if that is a checkpoint in a folder."""
    return pretrained.files(of(wildcards)["architecture"])


def challenge_privacy(wildcards):
    """What training spends of privacy, which the organiser publishes."""
    return f"<results>/privacy/{of(wildcards)['id']}.json"


def private(file):
    """An input function: one of the organiser's private files of the challenge."""

    def path(wildcards):
        return f"<results>/private/{of(wildcards)['id']}/{file}"

    return path


def seed_file(wildcards):
    """The CSV of given seeds, if that is the source."""
    return config["seeds"] if str(config["seeds"]).endswith(".csv") else []


def budget(wildcards):
    """The flags that set a scenario's privacy."""
    scenario = of(wildcards)
    names = ["epsilon", "noise_multiplier", "delta"]
    return " ".join(
        f"--{name.replace('_', '-')} {scenario[name]}"
        for name in names
        if scenario[name] is not None
    )


def training_options(scenario):
    """How a scenario's models are trained, but for the noise."""
    names = [
        "epochs",
        "batch_size",
        "shuffle",
        "optimizer",
        "learning_rate",
        "lr_decay",
        "lr_decay_epochs",
        "max_gradient_norm",
    ]
    return {name: scenario[name] for name in [*names, "clipping_norm"]}


def target_options(wildcards):
    """How the organiser trains a scenario's models, as JSON."""
    private = checked.scenarios[wildcards.scenario].private
    options = training_options(of(wildcards))
    return json.dumps(options | {"secure": config["secure"] and private})


def reference_options(wildcards):
    """How a participant trains the like of a challenge's models, as JSON."""
    return json.dumps(training_options(of(wildcards)))


def null_flag(wildcards):
    """Whether the members are left out of training as well, as a flag."""
    return "--null-run" if of(wildcards)["null_run"] else ""


def model_seconds(scenario):
    """How long it takes to train one of a scenario's models."""
    features = data_of(scenario)["features"]
    return estimate.training_seconds(scenario, features, GPU > 0)


def ranges(first, end, size):
    """Shards of so many models, as FIRST-LAST."""
    return [
        f"{start}-{min(start + size, end) - 1}" for start in range(first, end, size)
    ]


def shards(scenario, ending=""):
    """What is made of a scenario's shards of models, in model order."""
    models, size = sum(PHASES), config["shard_size"]
    if size == "auto":
        size = estimate.shard_size(model_seconds(SCENARIOS[scenario]), models)
    return [
        f"<results>/private/{scenario}/models/{shard}{ending}"
        for shard in ranges(0, models, size)
    ]


def shard_models(wildcards):
    """The trained models of a challenge."""
    return shards(of(wildcards)["id"])


def all_model_rows(wildcards):
    """The rows on all models of the run."""
    return [file for scenario in SCENARIOS for file in shards(scenario, ".csv")]


def archives(track):
    """The archives submitted to a track: an id for the file names of results, and the path.

    Names come from outside and may hold anything, so an id is a hash.
    """
    found = Path(config["submissions"]["path"]).glob(f"{track}/*/*.zip")
    return {
        f"zip-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}": path
        for path in sorted(found)
        if path.is_file() and not path.is_symlink()
    }


TRACKS = sorted({scenario["track"] for scenario in CHALLENGES.values()})
ARCHIVES = {track: archives(track) for track in TRACKS}


def scenarios_of(track):
    """The scenarios of a track, in order."""
    return [scenario for scenario in CHALLENGES.values() if scenario["track"] == track]


def of_whole_track(pattern):
    """An input function: one file for every challenge of a track, named with scenario fields."""

    def paths(wildcards):
        return [
            pattern.format(**scenario) for scenario in scenarios_of(wildcards.track)
        ]

    return paths


def public(scenario):
    """A scenario as others are told of it."""
    return scenario | {"architecture": pretrained.public(scenario["architecture"])}


def track_scenarios(wildcards):
    """The scenarios of a track, as JSON."""
    return json.dumps(scenarios_of(wildcards.track))


def entered(track, entry):
    """The scenarios of a track that an entry takes part in; an archive must in all."""
    return [
        scenario
        for scenario in scenarios_of(track)
        if entry in ARCHIVES[track] or scenario["id"] in checked.entered[entry]
    ]


def of_entry(pattern):
    """An input function: one file for every challenge of an entry, named with scenario fields."""

    def paths(wildcards):
        scenarios = entered(wildcards.track, wildcards.entry)
        return [pattern.format(**scenario) for scenario in scenarios]

    return paths


def entry_columns(wildcards):
    """The flags that name the challenges of an entry."""
    scenarios = entered(wildcards.track, wildcards.entry)
    fields = {"challenges": "challenge", "scenarios": "id", "data": "data"}
    return " ".join(
        f"--{flag} {' '.join(scenario[field] for scenario in scenarios)}"
        for flag, field in fields.items()
    )


def entry_files(wildcards):
    """What an entry consists of: a built-in attack's predictions, or somebody's archive."""
    archive = ARCHIVES[wildcards.track].get(wildcards.entry)
    if archive:
        # Snakemake would read <> and {} as its own; such a name is rejected, whatever it holds.
        return [] if UNUSABLE_NAME.search(str(archive)) else str(archive)
    return [
        f"<results>/submissions/{wildcards.entry}/{wildcards.track}/{scenario['challenge']}"
        for scenario in entered(wildcards.track, wildcards.entry)
    ]


def entry_flags(wildcards, input):
    """The flags that say whose an entry is and where it lies."""
    archive = ARCHIVES[wildcards.track].get(wildcards.entry)
    if archive:
        taken = " ".join(checked.attacks)
        name = quote(archive.parent.name)
        return (
            f"--participant={name} --submission={quote(str(archive))} --taken {taken}"
        )
    return f"--participant {wildcards.entry} --predictions {input.entry}"


def track_entries(wildcards):
    """The scores of all entries to a track that take part in all its challenges."""
    track = wildcards.track
    return [
        f"<results>/entries/{track}/{entry}.json"
        for entry in [*checked.attacks, *ARCHIVES[track]]
        if entered(track, entry) == scenarios_of(track)
    ]


def all_entries(wildcards):
    """The scores of all entries to all tracks."""
    return [
        f"<results>/entries/{track}/{entry}.json"
        for track in TRACKS
        for entry in [*checked.attacks, *ARCHIVES[track]]
        if entered(track, entry)
    ]


def named_challenges(wildcards):
    """A track's challenges and their scenarios' ids."""
    return [f"{one['challenge']}={one['id']}" for one in scenarios_of(wildcards.track)]


def synthetic_flag(wildcards):
    """Whether some of a track's data are synthetic, as a flag."""
    data = [config["datasets"][one["data"]] for one in scenarios_of(wildcards.track)]
    synthetic = any(dataset["format"] in GENERATED for dataset in data)
    return "--synthetic" if synthetic else ""


def reference_files(track, challenge):
    """The reference models of all targets: some of the train models, and all others."""
    known, size = (
        config["references"]["train_models"],
        config["references"]["shard_size"],
    )
    targets = ranges(0, known, size) + ranges(PHASES[0], sum(PHASES), size)
    return [
        f"<results>/references/{track}/{challenge}/{shard}.npz" for shard in targets
    ]


def shared_reference_files(track, challenge):
    """The reference models that all targets share."""
    count = config["shared_references"]["count"]
    return [
        f"<results>/shared/{track}/{challenge}/{shard}.npz"
        for shard in ranges(0, count, config["shared_references"]["shard_size"])
    ]


def attack_inputs(wildcards):
    """What a participant's attack asks for."""
    where = f"{wildcards.track}/{wildcards.challenge}"
    scenario = of(wildcards)["id"]
    files = {
        "signals": f"<results>/signals/{where}.npz",
        "whitebox": f"<results>/whitebox/{where}.npz",
        "references": reference_files(wildcards.track, wildcards.challenge),
        "shared": shared_reference_files(wildcards.track, wildcards.challenge),
        "others": [
            f"<results>/submissions/{name}/{where}"
            for name, wanted in checked.inputs.items()
            if "others" not in wanted and scenario in checked.entered[name]
        ],
    }
    return {name: files[name] for name in checked.inputs[wildcards.participant]}


def attack_flags(wildcards, input):
    """The flags that hand those files to the program."""
    shared = checked.attacks[wildcards.participant].get("shared")
    flags = [
        f"--{name} {input.get(name)}" for name in checked.inputs[wildcards.participant]
    ]
    return " ".join(flags + [f"--shared-count {shared}"] * (shared is not None))


def attack_options(wildcards):
    """A participant's options, as JSON."""
    attack = checked.attacks[wildcards.participant]
    return json.dumps(
        {
            name: value
            for name, value in attack.items()
            if name not in configuration.OF_EVERY
        }
    )


def growing(amount):
    """A resource of a job: so much, a number or what a function says, and with every attempt more."""

    def value(wildcards, attempt):
        return attempt * (amount(wildcards) if callable(amount) else amount)

    return value


def job_models(wildcards):
    """How many models a job trains."""
    return int(wildcards.last) - int(wildcards.first) + 1


def training_minutes(wildcards):
    """Of a job that trains models."""
    return estimate.minutes(job_models(wildcards) * model_seconds(of(wildcards)))


def reference_minutes(wildcards):
    """Of a job that trains the reference models of some targets."""
    models = job_models(wildcards) * config["references"]["count"]
    return estimate.minutes(models * model_seconds(of(wildcards)))


def signals_minutes(wildcards):
    """Of a job that runs all models of a challenge."""
    scenario = of(wildcards)
    size = (scenario, data_of(scenario), sum(PHASES), GPU > 0)
    return estimate.minutes(estimate.signals_seconds(*size))


def white_box_minutes(wildcards):
    """Of a job that computes white-box features."""
    scenario = of(wildcards)
    size = (scenario, data_of(scenario), sum(PHASES), GPU > 0)
    return estimate.minutes(estimate.white_box_seconds(*size))


def compute_mb(wildcards):
    """Of a job that trains or runs models."""
    scenario = of(wildcards)
    return estimate.compute_mb(scenario, data_of(scenario))


def archive_mb(wildcards):
    """Of a job that checks and packs the models of a track."""
    sizes = [
        estimate.compute_mb(one, data_of(one)) for one in scenarios_of(wildcards.track)
    ]
    return max(2000, *sizes)


def attack_mb(wildcards):
    """Of a job that computes on the signals of a challenge."""
    scenario = of(wildcards)
    return estimate.attack_mb(scenario, data_of(scenario), sum(PHASES))


def seed_source():
    """Where the seeds come from, in words; a master seed is a secret, and the report is not."""
    if config["seeds"] == "random":
        return "the operating system's entropy"
    if isinstance(config["seeds"], str):
        return "given in a file"
    return "a master seed in the configuration"


def run_description():
    """What the report says about how the run was made, as JSON; no paths of this machine."""
    shareable = json.loads(json.dumps(config))
    for dataset in shareable["datasets"].values():
        dataset.pop("path", None)
        if "tokenizer" in dataset:
            dataset["tokenizer"] = pretrained.without_place(dataset["tokenizer"])
    text = json.dumps(shareable, sort_keys=True)
    return json.dumps(
        {
            "run": config["run"],
            "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "seeds": seed_source(),
            "scenarios": [public(scenario) for scenario in SCENARIOS.values()],
            "attacks": [
                attack
                for attack in config["attacks"]
                if checked.entered[attack["name"]]
            ],
            "models": config["models"],
        }
    )
