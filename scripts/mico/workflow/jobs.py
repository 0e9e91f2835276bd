"""What a single job is given: files, flags and the sources of what its program finds by itself.

Every function takes the plan of the run and the job's wildcards.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from shlex import quote
from typing import cast

from mico.attacks import docstrings, registry
from mico.challenge import seeds
from mico.challenge.layout import ATTACKED
from mico.challenge.scenario import GivenOutputs, GivenWeights
from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.networks import facts, pretrained
from mico.release import folders, names
from mico.support import argument_files
from mico.support.records import dump
from mico.workflow import outside
from mico.workflow.configuration import Attack
from mico.workflow.plan import Attacked, Plan, Wildcards
from mico.workflow.submissions import Submission

TOKENIZER = (".json", ".txt", ".model")  # how the names of a tokenizer's files end

# Lists of files that may be long


def listed_entries(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The scored entries that a job reads, as arguments."""
    return _listed(plan, files["entries"])


def other_runs(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The last file of each run that this one is compared with."""
    return [f"<results>/../{name}/scores.sha256" for name in wildcards["others"].split(",")]


def compared_folders(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The folders of this run and of those that it is compared with, as arguments."""
    last = [str(files["checksums"]), *_paths(files["others"])]
    own, *others = (quote(os.path.normpath(Path(file).parent)) for file in last)
    return f"--runs {own} {' '.join(others)} --baseline {own}"


def listed_models(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The tables of the models that a job reads, as arguments."""
    return _listed(plan, files["models"])


def listed_shards(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The shards of models that a job reads, as arguments."""
    return _listed(plan, files["shards"])


def _listed(plan: Plan, files: object) -> str:
    return argument_files.listed(plan.configuration.run, _paths(files))


def _paths(files: object) -> list[str]:
    """The files of a job's input of one name, which may be one or several."""
    return [files] if isinstance(files, str) else list(cast(Iterable[str], files))


def one_of(field: str, scenarios: Mapping[str, Attacked]) -> str:
    """A wildcard's pattern: this field of any of them."""
    return any_of(getattr(one, field) for one in scenarios.values())


def any_of(names: Iterable[str]) -> str:
    """A wildcard's pattern: any of these names; of none, one that nothing matches."""
    return "|".join(names) or "(?!)"


# Data


def data_options(plan: Plan, wildcards: Wildcards) -> DataOptions:
    """What the configuration says of a data set."""
    return plan.configuration.datasets[wildcards["data"]]


def data_json(plan: Plan, wildcards: Wildcards) -> str:
    """A data set's options as JSON, without the place of its file, which makes no difference."""
    return dump(replace(data_options(plan, wildcards), path=None, url=None))


def data_url(plan: Plan, wildcards: Wildcards) -> str:
    """Where a data set's file can be downloaded from."""
    return str(data_options(plan, wildcards).url)


def data_checks(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The known checksums of a data set's file, as `kind=digest`."""
    return data_options(plan, wildcards).checks


def data_sources(plan: Plan, wildcards: Wildcards) -> list[Path]:
    """The module of a data set's format."""
    return [formats()[data_options(plan, wildcards).format].file]


def given_file(plan: Plan, wildcards: Wildcards) -> list[str]:
    """A data set's raw file, or folder, where the configuration says where it lies."""
    options = data_options(plan, wildcards)
    if formats()[options.format].generated or options.path is None:
        return []
    return [options.path]


def data_files(plan: Plan, wildcards: Wildcards) -> list[str]:
    """All files that a data set is made of and that somebody gives."""
    files = given_file(plan, wildcards)
    name = data_options(plan, wildcards).tokenizer
    if name is not None and os.path.isdir(name):
        files += sorted(str(one) for end in TOKENIZER for one in Path(name).glob(f"*{end}"))
    return files


def download(plan: Plan, wildcards: Wildcards) -> list[str]:
    """A data set's raw file, where it is to be downloaded."""
    options = data_options(plan, wildcards)
    if formats()[options.format].generated or options.path is not None:
        return []
    return [f"<resources>/{wildcards['data']}/{str(options.url).rsplit('/', 1)[-1]}"]


def raw_flag(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The flag that hands the raw file to the program, if there is one."""
    given = given_file(plan, wildcards)
    if given:
        return f"--raw {quote(given[0])}"
    return f"--raw {quote(str(files['download']))}" if download(plan, wildcards) else ""


def scenario_data(plan: Plan, wildcards: Wildcards) -> str:
    """The stored data set of a scenario, which is public."""
    return f"<results>/data/{plan.of(wildcards).data}"


# Training


def scenario_privacy(plan: Plan, wildcards: Wildcards) -> str:
    """What training a scenario's models spends of privacy, which is public."""
    return f"<results>/privacy/{plan.of(wildcards).id}.json"


def released(plan: Plan, wildcards: Wildcards) -> str:
    """The folder of a release that is given."""
    return str(plan.of(wildcards).released)


def released_challenge(plan: Plan, wildcards: Wildcards) -> str:
    """A scenario's challenge as a participant gets it."""
    scenario = plan.of(wildcards)
    return f"<results>/challenge/{scenario.track}/{scenario.challenge}"


def released_state(plan: Plan, wildcards: Wildcards) -> str:
    """A digest that changes with the files of a release."""
    return outside.state(Path(released(plan, wildcards)))


def solutions_state(plan: Plan, wildcards: Wildcards) -> str:
    """A digest that changes with the files of a release's solutions, if they are known."""
    folder = plan.of(wildcards).solutions
    return "" if folder is None else outside.state(Path(folder))


def solutions_flag(plan: Plan, wildcards: Wildcards) -> str:
    """The flag that names the folder of a release's solutions, if they are known."""
    folder = plan.of(wildcards).solutions
    return "" if folder is None else f"--solutions {quote(folder)}"


def made_outputs(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The file of outputs that a job makes, where weights are given."""
    one = plan.given_of(wildcards)
    return [f"<results>/outputs/{one.id}.npz"] if isinstance(one, GivenWeights) else []


def outputs_flag(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The flag that names the outputs of models: those that are given, or that file."""
    one = plan.given_of(wildcards)
    path = one.outputs if isinstance(one, GivenOutputs) else str(files["made"])
    return f"--outputs {quote(path)}"


def given_state(plan: Plan, wildcards: Wildcards) -> list[str]:
    """Digests that change with the files that are given."""
    one = plan.given_of(wildcards)
    paths = [one.outputs] if isinstance(one, GivenOutputs) else [one.weights, one.members]
    return [outside.state(Path(path)) for path in paths]


def weights_flags(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that name the weights that are given, and who trained on what."""
    one = plan.weights[wildcards["scenario"]]
    return f"--weights {quote(one.weights)} --members {quote(one.members)}"


def weights_data(plan: Plan, wildcards: Wildcards) -> str:
    """The data set that models whose weights are given are run on."""
    return f"<results>/data/{plan.weights[wildcards['scenario']].data}"


def weights_architecture(plan: Plan, wildcards: Wildcards) -> str:
    """The network that weights which are given are those of."""
    return plan.weights[wildcards["scenario"]].architecture


def private_seeds(plan: Plan, wildcards: Wildcards) -> str:
    """The organiser's seeds of a challenge."""
    return f"<results>/private/{plan.of(wildcards).id}/seeds.csv"


def private_splits(plan: Plan, wildcards: Wildcards) -> str:
    """The organiser's splits of a challenge."""
    return f"<results>/private/{plan.of(wildcards).id}/splits.npz"


def budget_flags(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that set a scenario's noise, or the privacy budget that it is found for."""
    scenario = plan.of(wildcards)
    if not scenario.private:
        return ""
    target = f"--epsilon {scenario.epsilon}"
    if scenario.noise_multiplier is not None:
        target = f"--noise-multiplier {scenario.noise_multiplier}"
    return f"{target} --delta {scenario.delta}" + " --drop-last" * scenario.drop_last


def master_seed(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The file of the master seed, if there is one."""
    is_one = isinstance(plan.configuration.seeds, int)
    return ["<results>/private/master_seed"] if is_one else []


def source_of_seeds(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """Where the seeds come from, as `scripts/seeds.py` takes it: the master seed's by its file."""
    source = plan.configuration.seeds
    return str(files["master"]) if isinstance(source, int) else source


def master_seed_fingerprint(plan: Plan, wildcards: Wildcards) -> str:
    """What shows that the master seed is another, without telling it."""
    master = plan.configuration.seeds
    assert isinstance(master, int)  # else no rule asks for its file
    return seeds.fingerprint(master, plan.configuration.run)


def shard_seeds(plan: Plan, wildcards: Wildcards) -> str:
    """A CSV with the seeds of a shard's models: of all where they are random or given."""
    source, scenario = plan.configuration.seeds, wildcards["scenario"]
    if isinstance(source, str):
        return f"<results>/private/{scenario}/seeds.csv"
    return f"<results>/private/{scenario}/seeds/{wildcards['first']}-{wildcards['last']}.csv"


def draws_file(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The file of a scenario's draws, where memberships come from no seed."""
    if plan.configuration.design != "full-entropy":
        return []
    return [f"<results>/private/{wildcards['scenario']}/draws.npz"]


def given_memberships(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The file that says who is what in a scenario, where one is given."""
    path = plan.of(wildcards).memberships
    return [] if path is None else [path]


def memberships_file(plan: Plan, wildcards: Wildcards) -> list[str]:
    """What is kept of that file, where one is given."""
    scenario = plan.of(wildcards)
    if scenario.memberships is None:
        return []
    return [f"<results>/private/{scenario.id}/memberships.npz"]


def draws_flags(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that say what is drawn, and for which models."""
    scenario = plan.of(wildcards)
    sizes = f"--n {scenario.n} --m {scenario.m}"
    members_only = " --members-only" if "seed_training" in scenario.disclosed else ""
    return f"--first {plan.phases[0]} --last {plan.models - 1} {sizes}{members_only}"


def recipe_json(plan: Plan, wildcards: Wildcards) -> str:
    """How the organiser trains a scenario's models, as JSON."""
    return dump(plan.recipe(plan.of(wildcards)))


def participant_recipe_json(plan: Plan, wildcards: Wildcards) -> str:
    """How a participant trains the like of a scenario's models, as JSON."""
    return dump(plan.participant_recipe(plan.of(wildcards)))


def costs_file(plan: Plan, wildcards: Wildcards) -> list[str]:
    """What was measured of a scenario's network, if that is somebody's own and is trained here.

    It says what jobs are asked a scheduler for; nothing that they make depends on it.
    """
    one = plan.of(wildcards)
    if one.id not in plan.timed:
        return []
    return [f"<results>/costs/{one.id}.json"]


def physical_batch_flag(plan: Plan, wildcards: Wildcards) -> str:
    """The flag that says the examples that a network computes at a time, if configured."""
    size = plan.physical_batch_size
    return "" if size is None else f"--physical-batch-size {size}"


def network_sources(plan: Plan, wildcards: Wildcards) -> list[Path]:
    """The module of a scenario's network; for a track those of all its scenarios."""
    if one := plan.weights.get(wildcards.get("scenario", "")):
        return facts.sources(one.architecture)
    if wildcards.get("challenge") or wildcards.get("scenario"):
        scenarios = [plan.of(wildcards)]
    else:
        scenarios = plan.of_track(wildcards["track"])
    return sorted({file for one in scenarios for file in facts.sources(one.architecture)})


def own_networks(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The files of a track's networks that are somebody's own, which a bundle carries whole."""
    names = {scenario.architecture for scenario in plan.of_track(wildcards["track"])}
    own = {str(file) for name in names for file in facts.sources(name)[1:]}
    return sorted(own)


def pretrained_files(plan: Plan, wildcards: Wildcards) -> list[str]:
    """What training begins with, if that is a checkpoint in a folder."""
    return list(map(str, pretrained.files(plan.of(wildcards).architecture)))


def given_seeds(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The CSV of a scenario's seeds, where they are given."""
    source = plan.configuration.seeds
    if isinstance(source, int) or source == "random":
        return []
    return [seeds.of_scenario(source, wildcards["scenario"])]


def track_json(plan: Plan, wildcards: Wildcards) -> str:
    """The scenarios of a track, as JSON."""
    return json.dumps([asdict(scenario) for scenario in plan.of_track(wildcards["track"])])


def bundle_seeds(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that say what is known of the seeds, and whether memberships come from them."""
    source = "random" if plan.configuration.seeds == "random" else "known"
    design = plan.configuration.design
    return f"--seeds {source} --design {design} {public_seeds_flag(plan, wildcards)}"


def public_seeds_flag(plan: Plan, wildcards: Wildcards) -> str:
    """Whether anyone may know the seeds, as a flag."""
    return "--public-seeds" if plan.configuration.seeds_are_public else ""


# Attacks


def attack(plan: Plan, wildcards: Wildcards) -> Attack:
    """A participant's attack."""
    return plan.run.attacks[wildcards["participant"]]


def attack_name(plan: Plan, wildcards: Wildcards) -> str:
    """The name of a participant's attack."""
    return attack(plan, wildcards).attack


def attack_json(plan: Plan, wildcards: Wildcards) -> str:
    """The options of a participant's attack, as JSON."""
    return json.dumps(attack(plan, wildcards).options)


def attack_sources(plan: Plan, wildcards: Wildcards) -> list[Path]:
    """The modules of an attack and of the inputs that it asks for."""
    own = attack(plan, wildcards)
    return registry.sources(own.attack, own.options)


def attack_words(plan: Plan, wildcards: Wildcards) -> str:
    """A hash of what the run's attacks say of themselves."""
    return docstrings.fingerprint(registry.source(one.attack) for one in plan.run.attacks.values())


def own_attacks(plan: Plan, wildcards: Wildcards) -> str:
    """The flag that names the files of attacks that are none of the built-in ones."""
    own = [
        quote(f"{name}={one.attack}")
        for name, one in plan.run.attacks.items()
        if registry.is_file(one.attack)
    ]
    return f"--own {' '.join(own)}" if own else ""


def attack_inputs(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The flags that hand an attack its files, by the kind of input."""
    kinds = {kind: files[kind] for kind in plan.inputs(wildcards)}
    return " ".join(f"--input {kind} {_listed(plan, found)}" for kind, found in kinds.items())


# Entries


def predictions(plan: Plan, wildcards: Wildcards) -> list[str]:
    """What a built-in attack's entry consists of."""
    track, entry = wildcards["track"], wildcards["entry"]
    return [
        f"<results>/predictions/{entry}/{track}/{scenario.challenge}"
        for scenario in plan.entered(track, entry)
    ]


def predictions_flags(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The flags that say whose an attack's entry is and where it lies."""
    return f"--participant {wildcards['entry']} --predictions {files['predictions']}"


def submission_flags(plan: Plan, wildcards: Wildcards, files: Mapping[str, object]) -> str:
    """The flags that say whose a submission is, where it lies and what was found there."""
    one = _submission(plan, wildcards)
    name, path, state = map(quote, (one.path.parent.name, str(one.path), one.state))
    return (
        f"--participant={name} --submission={path} --state {state} --modified={one.modified}"
        f" --taken {' '.join(taken_names(plan, wildcards))}"
    )


def submission_times(plan: Plan, wildcards: Wildcards) -> list[int]:
    """When a submission was written, and its file changed: one that was gone and is back has."""
    one = _submission(plan, wildcards)
    return [one.modified, one.changed]


def taken_names(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The built-in attacks whose names look like that of a submission's participant."""
    return names.alike(_submission(plan, wildcards).path.parent.name, plan.run.attacks)


def passed_over_json(plan: Plan, wildcards: Wildcards) -> str:
    """What lies among the submissions and is not taken, a line each, as JSON."""
    return json.dumps(plan.passed_over, ensure_ascii=False)


def _submission(plan: Plan, wildcards: Wildcards) -> Submission:
    return plan.submissions[wildcards["track"]][wildcards["entry"]]


def entry_columns(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that name the challenges of an entry."""
    scenarios = plan.entered(wildcards["track"], wildcards["entry"])
    columns = {"challenges": "challenge", "scenarios": "id", "data": "data"}
    flags = [
        f"--{flag} {' '.join(getattr(scenario, field) for scenario in scenarios)}"
        for flag, field in columns.items()
    ]
    if unknown := [scenario.challenge for scenario in scenarios if not scenario.solved]:
        flags.append(f"--unsolved {' '.join(unknown)}")
    return " ".join(flags)


def signals_file(plan: Plan, wildcards: Wildcards) -> str:
    """What a scenario's models put out."""
    one = plan.attacked(wildcards)
    return f"<results>/signals/{one.track}/{one.challenge}.npz"


def scenario_predictions(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The predictions of all built-in attacks on a scenario."""
    one = plan.attacked(wildcards)
    return [
        f"<results>/predictions/{name}/{one.track}/{one.challenge}"
        for name in plan.run.attacks
        if one.id in plan.run.entered[name]
    ]


def known_data(plan: Plan, wildcards: Wildcards) -> list[str]:
    """The stored data set of a scenario; none where outputs alone are given."""
    one = plan.attacked(wildcards)
    return [] if isinstance(one, GivenOutputs) else [f"<results>/data/{one.data}"]


def records_flags(plan: Plan, wildcards: Wildcards) -> str:
    """The flags that say of which models the page on records may tell, and what it is about.

    Of final models it tells nothing before they are revealed. Of models that somebody else trained,
    training sets are known where they are released.
    """
    one = plan.attacked(wildcards)
    revealed = ATTACKED[: 1 + ATTACKED.index(plan.configuration.reveal)]
    traced = ["train", *(revealed if one.id in plan.trained else [])]
    attacked = revealed if one.solved else ["train"]
    return (
        f"--challenge {one.challenge} --traced {' '.join(traced)} --attacked {' '.join(attacked)}"
        f" {public_seeds_flag(plan, wildcards)}"
    )


def numbers_json(plan: Plan, wildcards: Wildcards) -> str:
    """The numbers of a track's dev and final models by challenge, as they are published: JSON."""
    found = {}
    for scenario in plan.of_track(wildcards["track"]):
        if scenario.released is None:
            models = {phase: list(plan.configuration.models.of(phase)) for phase in ATTACKED}
        else:
            models = folders.models(Path(scenario.released))
        found[scenario.challenge] = {phase: models[phase] for phase in ATTACKED}
    return json.dumps(found)


def track_predictions(plan: Plan, wildcards: Wildcards) -> list[str]:
    """A built-in attack's predictions for all challenges of a track."""
    return predictions(plan, {"entry": wildcards["participant"], "track": wildcards["track"]})


def named_challenges(plan: Plan, wildcards: Wildcards) -> list[str]:
    """A track's challenges and their scenarios' ids, the easiest to attack first.

    That is without DP, then by falling epsilon, and last what has its noise in place of an epsilon.
    """

    def difficulty(one: Attacked) -> tuple[bool, bool, float]:
        epsilon, noise = getattr(one, "epsilon", None), getattr(one, "noise_multiplier", None)
        return epsilon is None and noise is not None, epsilon is not None, -(epsilon or 0.0)

    ordered = sorted(plan.in_track(wildcards["track"]), key=difficulty)
    return [f"{one.challenge}={one.id}" for one in ordered]


def synthetic_flag(plan: Plan, wildcards: Wildcards) -> str:
    """Whether some of a track's data are synthetic, as a flag."""
    return "--synthetic" if plan.is_synthetic(wildcards["track"]) else ""
