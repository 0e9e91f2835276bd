"""A run's configuration: its keys, and what is checked of it as a whole.

An error names the file that set the key, the scenario, attack or data set, and the key.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic.dataclasses
from pydantic import Field

from mico.attacks import registry
from mico.attacks.computing import array_files, weights
from mico.challenge.phases import Phases
from mico.challenge.recipe import Precision
from mico.challenge.scenario import Design, Given, GivenOutputs, GivenWeights, Name, Scenario
from mico.data import check as data_check
from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.release import folders, names
from mico.support.errors import InputError, did_you_mean, shown
from mico.support.records import CONFIG, PATH, Place, Refused, parse
from mico.workflow import scenarios, submissions, yaml_files

MISSING = object()
# A path, in which `{scenario}` may stand for a scenario's id.
SEEDS_FILE = r"^([^{}<>\x00-\x1f\x7f]|\{scenario\})+[.]csv$"
# An option of any attack that looks at models: how many shared references are shadow models too.
SHARED = registry.SHARED
OF_EVERY = ("name", "attack", SHARED)
# Beside the folders of scenarios lies a file of this name.
MASTER_SEED = "master_seed"
# In a bundle, a folder and a file of these names lie beside the track's; some systems do not tell
# capitals from small letters.
OF_BUNDLE = ("starter_kit", "sha256sums")

Ids = Annotated[
    list[Name],
    Field(
        description="ids of the scenarios that get some", json_schema_extra={"uniqueItems": True}
    ),
]
Scalar = str | bool | int | float


@pydantic.dataclasses.dataclass(frozen=True, config=CONFIG)
class TargetReferences:
    """Reference models that are trained for every single target."""

    scenarios: Ids
    count: Annotated[
        int, Field(ge=2, description="how many for each target; attacks may use fewer")
    ]
    train_models: Annotated[
        int,
        Field(ge=0, description="for how many train models too, by which `auto` judges them"),
    ]
    shard_size: Annotated[int, Field(ge=1, description="targets of one job")]


@pydantic.dataclasses.dataclass(frozen=True, config=CONFIG)
class SharedReferences:
    """Reference models that all targets of a scenario share."""

    scenarios: Ids
    count: Annotated[int, Field(ge=2, description="how many; an attack may use fewer")]
    shard_size: Annotated[
        int, Field(ge=1, description="models of one job, which if killed begins again")
    ]


@pydantic.dataclasses.dataclass(frozen=True, config=CONFIG)
class Submissions:
    """Where submissions of participants lie."""

    path: Annotated[
        str,
        Field(pattern=PATH, description="the folder of `<track>/<participant>/*.zip`"),
    ]
    max_bytes: Annotated[int, Field(ge=1, description="how large a submission may be")]


class Attack(pydantic.BaseModel):
    """A participant: a name for the results, an attack, and the attack's options."""

    model_config = pydantic.ConfigDict(**{**CONFIG, "extra": "allow"}, frozen=True)
    __pydantic_extra__: dict[str, Scalar]

    name: Annotated[Name, Field(description="the participant's name in results")]
    attack: Annotated[
        str,
        Field(
            pattern=PATH,
            description="a module of `mico.attacks.formulas`, with hyphens for underscores, or the "
            "path of a `.py` file of your own",
        ),
    ]
    shared_references: Annotated[
        int | None,
        Field(
            description="how many shared references are shadow models too; refused where that "
            "has no effect"
        ),
    ] = None

    @property
    def options(self) -> dict[str, Scalar]:
        """The attack's options."""
        shared = self.shared_references
        return self.__pydantic_extra__ | ({} if shared is None else {SHARED: shared})


@pydantic.dataclasses.dataclass(frozen=True, config=CONFIG)
class Configuration:
    """The keys of a run's configuration, after all files are laid over each other."""

    run: Annotated[
        Name,
        Field(
            description="everything is made under `results/<run>/`; runs never overwrite each other"
        ),
    ]
    about: Annotated[
        str,
        Field(max_length=500, description="what the run is, in a sentence, which its report says"),
    ]
    scenarios: Annotated[
        list[Name | dict[str, Any]], Field(min_length=1, description="see [Scenarios](#scenarios)")
    ]
    models: Annotated[
        Phases,
        Field(
            description="how many models of each phase; they are numbered through, train first: "
            "the published 100, 50, 50 give `model_0` … `model_199`"
        ),
    ]
    shard_size: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="models trained by one job; the result does not depend on it. `auto`: as "
            "many as take up to 45 minutes of a GPU, or of a core with the device `cpu`"
        ),
    ]
    physical_batch_size: Annotated[
        Annotated[int, Field(ge=1)] | Literal["auto"],
        Field(
            description="on how many examples of each model a CNN, or a network of your own, "
            "computes at a time, which decides its memory; models depend on it by rounding alone. A"
            " transformer computes on as many tokens as so many of the longest sentences have. "
            "Dropout depends on it. `auto`: 32, and for a network of your own from 32 to 1,024, "
            "more where a record takes little"
        ),
    ]
    precision: Annotated[
        Precision,
        Field(
            description="in which a transformer, or a network of your own, passes forward and back"
            " in training, `bfloat16` "
            "for GPUs that multiply it faster; weights, norms and sums of gradients are in float32 "
            "either way, so clipping is exact. No other network has the choice"
        ),
    ]
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(
            description="where models are trained and run; `auto` takes a GPU where there is one. "
            "A job has a GPU for itself, the first free one that it may see "
            "(`CUDA_VISIBLE_DEVICES`), and waits if there is none"
        ),
    ]
    seeds: Annotated[
        Annotated[int, Field(ge=0, lt=2**63)]
        | Literal["random"]
        | Annotated[str, Field(pattern=SEEDS_FILE)],
        Field(description="a master seed, `random`, or a `.csv`; see [Seeds](#seeds)"),
    ]
    seeds_are_public: Annotated[
        bool,
        Field(
            description="`true`: anyone may know the seeds, and with them every membership. Only "
            "then are bundles made of seeds that are not `random`, and they say so"
        ),
    ]
    design: Annotated[
        Design,
        Field(
            description="how training sets are drawn: `published`: by seeds, of which 32 bits "
            "count; `full-entropy`: those of dev and final by the operating system's entropy, kept "
            "as lists; `half`: by seeds, each a random half of all records, as LiRA and RMIA have "
            "them. See [Seeds](#seeds) and [docs/membership.md](../docs/membership.md)"
        ),
    ]
    secure: Annotated[
        bool,
        Field(
            description="whether DP training draws from the operating system's entropy; see "
            "[Secure mode](#secure-mode)"
        ),
    ]
    attacks: Annotated[list[Attack], Field(min_length=1, description="see [Attacks](#attacks)")]
    extra_attacks: Annotated[
        list[Attack],
        Field(description="attacks besides those of `attacks`, whose list stays as it is"),
    ]
    target_references: Annotated[
        TargetReferences, Field(description="see [Reference models](#reference-models)")
    ]
    shared_references: Annotated[
        SharedReferences, Field(description="see [Reference models](#reference-models)")
    ]
    submissions: Annotated[
        Submissions,
        Field(
            description="where submissions of participants lie, as "
            "`<path>/<track>/<participant>/*.zip`, and how large one may be"
        ),
    ]
    reveal: Annotated[
        Literal["dev", "final"],
        Field(
            description="what the scoreboards show: `dev` while a competition runs, then `final`; "
            "see [docs/organisers.md](../docs/organisers.md)"
        ),
    ]
    datasets: Annotated[dict[Name, DataOptions], Field(description="see [Data sets](#data-sets)")]


@dataclass(frozen=True)
class Run:
    """A checked configuration, and what follows from it."""

    configuration: Configuration
    scenarios: dict[str, Scenario]  # by id
    given: dict[str, Given]  # outputs or weights, by id; either these or the scenarios are none
    attacks: dict[str, Attack]  # by participant
    inputs: dict[str, list[str]]  # by participant: the kinds of input that its attack asks for
    entered: dict[str, list[str]]  # by participant: ids of the scenarios that it attacks


def check(config: Mapping[str, Any], files: Sequence[Path], published: Path) -> Run:
    """Check a merged configuration and resolve its scenarios.

    Args:
        files: the configuration files in the order in which they were laid over each other.
        published: the library of scenarios that those of the run are taken or derived from.

    Raises:
        InputError: one line with the file that set the key, the scenario and the key.
    """

    def refuse(place: Place, reason: object) -> InputError:
        return InputError(f"{_origin(config, place, contents)}: {reason}")

    contents = [(file, yaml_files.read(file)) for file in files]
    try:
        checked = parse(Configuration, config)
    except Refused as refused:
        wrong = refused.wrong
        place = wrong.place if wrong.unknown is None else (*wrong.place, wrong.unknown)
        raise refuse(place, f"{_place(config, wrong.place)}{wrong.reason}") from None
    if checked.seeds == "random" and checked.seeds_are_public:
        reason = "true: expected false with random seeds, which nobody knows"
        raise refuse(("seeds_are_public",), f"seeds_are_public: {reason}")
    if checked.seeds != "random" and checked.design == "full-entropy":
        reason = f"{checked.design!r}: expected another unless seeds are random"
        raise refuse(("design",), f"design: {reason}")
    for name, options in checked.datasets.items():
        if options.format not in formats():
            hint = did_you_mean(options.format, formats())
            reason = f"dataset {name}: format: {shown(options.format)} is unknown, {hint}"
            raise refuse(("datasets", name, "format"), reason)
    library = yaml_files.read(published)
    try:
        given = scenarios.given(checked.scenarios, checked.datasets)
        others = [] if given else checked.scenarios
        resolved = scenarios.resolve(others, library, checked.datasets, checked.design)
        models = _given_models(checked, given) if given else _models(checked, resolved)
    except InputError as error:
        raise refuse(("scenarios",), error) from None
    checked = replace(checked, models=models)
    if MASTER_SEED in (ids := [*resolved, *given]):
        reason = "expected another id, since a file of the run has this name"
        raise refuse(("scenarios",), f"scenario {MASTER_SEED}: {reason}")
    for scenario in resolved.values():
        if scenario.track.lower() in OF_BUNDLE:
            reason = "expected another, since bundles have one of this name"
            raise refuse(
                ("scenarios",), f"scenario {scenario.id}: track {scenario.track}: {reason}"
            )
    attacks: dict[str, Attack] = {}
    for key, attack in _attacks(checked):
        try:
            if attack.name in attacks:
                raise InputError("this name is there twice")
            if re.fullmatch(submissions.ENTRY, attack.name):
                raise InputError("expected another name, since submissions are called so")
            if same := names.alike(attack.name, attacks):
                raise InputError(f"looks like the name {same[0]}")
            _check_attack(attack, checked)
        except InputError as error:
            raise refuse((key,), f"{key}: {attack.name}: {error}") from None
        attacks[attack.name] = attack
    for place, reason in _wrong_references(checked, resolved, given):
        raise refuse(place, f"{place[0]}: {place[1]}: {reason}")
    weighed = {one.data for one in given.values() if isinstance(one, GivenWeights)}
    for name in sorted({scenario.data for scenario in resolved.values()} | weighed):
        try:
            data_check.check(checked.datasets[name])
        except InputError as error:
            raise refuse(("datasets", name), f"dataset {name}: {error}") from None
    inputs = {
        name: registry.inputs(attack.attack, attack.options) for name, attack in attacks.items()
    }
    entered = _entered(checked, inputs, ids)
    attacked = {one for name in attacks if "others" not in inputs[name] for one in entered[name]}
    for name, wanted in inputs.items():
        if "others" in wanted and not attacked.issuperset(ids):
            reason = "expected another attack in every scenario"
            key = next(key for key, attack in _attacks(checked) if attack.name == name)
            raise refuse((key,), f"{key}: {name}: {reason}")
    return Run(checked, resolved, given, attacks, inputs, entered)


def _models(configuration: Configuration, known: Mapping[str, Scenario]) -> Phases:
    """How many models each phase has, in all scenarios: as released ones have, if there are any.

    Raises:
        InputError: a release or its solutions cannot be read, or they or memberships lie where the
            run is made, or the release has other numbers of models than another scenario.
    """
    found = {"the others": configuration.models}
    if all(scenario.released is not None for scenario in known.values()):
        found = {}
    run = Path("results") / configuration.run
    for name, scenario in known.items():
        if scenario.memberships is not None:
            try:
                _check_place(Path(scenario.memberships), run)
            except InputError as error:
                raise InputError(f"scenario {name}: memberships: {error}") from None
        if scenario.released is None:
            continue
        key, folder = "released", Path(scenario.released)
        try:
            _check_place(folder, run)
            numbers = folders.models(folder)
            found[name] = folders.counts(numbers)
            if scenario.solutions is not None:
                key, solutions = "solutions", Path(scenario.solutions)
                _check_place(solutions, run)
                folders.check_solutions(solutions, numbers)
        except InputError as error:
            raise InputError(f"scenario {name}: {key}: {error}") from None
        other, expected = next(iter(found.items()))
        if found[name] != expected:
            raise InputError(
                f"scenario {name}: released: {folder}: {found[name]}, but {other} of the run "
                f"{'has' if other in known else 'have'} {expected}"
            )
    return next(iter(found.values()))


def _given_models(configuration: Configuration, known: Mapping[str, Given]) -> Phases:
    """How many models there are in all scenarios, each of which is attacked with all others.

    Raises:
        InputError: outputs or weights cannot be read, or lie where the run is made, or two are of
            different numbers of models.
    """
    found: dict[str, int] = {}
    for name, scenario in known.items():
        is_outputs = isinstance(scenario, GivenOutputs)
        key = "outputs" if is_outputs else "weights"
        path = Path(getattr(scenario, key))
        try:
            _check_place(path, Path("results") / configuration.run)
            found[name] = array_files.models(path) if is_outputs else len(weights.models(path))
            other, expected = next(iter(found.items()))
            if found[name] != expected:
                raise InputError(f"{found[name]} models, but {other} has {expected}")
            models = Phases(found[name], 0, 0)
        except InputError as error:
            raise InputError(f"scenario {name}: {key}: {error}") from None
    return models


def _check_place(folder: Path, run: Path) -> None:
    """Refuse a folder, or a file, in which, or in a part of which, the run is made."""
    # Not `resolve` of pathlib, which does not take a link to itself.
    own, made = (Path(os.path.realpath(path)) for path in (folder, run))
    if own.is_relative_to(made) or made.is_relative_to(own):
        raise InputError(f"{folder}: the run is made in {run}, expected what lies elsewhere")


def _attacks(configuration: Configuration) -> Iterator[tuple[str, Attack]]:
    """Every attack, and the key that holds it."""
    for key in "attacks", "extra_attacks":
        yield from ((key, attack) for attack in getattr(configuration, key))


def _check_attack(attack: Attack, configuration: Configuration) -> None:
    options = registry.options(attack.attack, attack.options)
    most = configuration.target_references.count
    count = getattr(options, "count", 0)
    if "target_references" in registry.inputs(attack.attack) and count > most:
        raise InputError(f"count {count}: expected at most target_references.count")
    shared = attack.shared_references or 0
    if shared > configuration.shared_references.count:
        raise InputError(f"{SHARED} {shared}: expected at most shared_references.count")


def _wrong_references(
    configuration: Configuration, known: Mapping[str, Scenario], given: Mapping[str, Given]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Keys of reference models, and what is wrong with their values."""
    for kind in ("target_references", SHARED):
        names = getattr(configuration, kind).scenarios
        for name in names:
            if name in given:
                yield (
                    (kind, "scenarios"),
                    f"{name!r} is of given models, with no recipe to train by",
                )
            elif name not in known:
                yield (kind, "scenarios"), f"{name!r} is not among the run's scenarios"
            elif kind == "target_references":
                scenario = known[name]
                points, records = 2 * scenario.m, configuration.datasets[scenario.data].records
                if records is not None and records - points < 2:
                    found = f"{name!r} has {points} challenge points of {records} records"
                    yield (kind, "scenarios"), f"{found}, expected 2 others at least"
        if len(set(names)) < len(names):
            yield (kind, "scenarios"), f"{names}: expected each once"
    references = configuration.target_references
    if references.scenarios and references.train_models > configuration.models.train:
        reason = f"{references.train_models}: expected at most {configuration.models.train}"
        yield ("target_references", "train_models"), reason


def _entered(
    configuration: Configuration, inputs: Mapping[str, Sequence[str]], ids: Sequence[str]
) -> dict[str, list[str]]:
    """The scenarios of every participant: those that have the reference models it asks for."""
    trained = {
        kind: getattr(configuration, kind).scenarios for kind in ("target_references", SHARED)
    }
    return {
        name: [
            one for one in ids if all(one in trained[kind] for kind in trained if kind in wanted)
        ]
        for name, wanted in inputs.items()
    }


def _origin(
    config: Mapping[str, Any], path: Sequence[str | int], contents: Sequence[tuple[Path, Any]]
) -> str:
    """The last file that sets a key to its value, or the command line."""
    value = _at(config, path)
    for file, whole in reversed(contents):
        content = _at(whole, path)
        # A mapping is merged from several files, a list and what is in it comes from one.
        merged = isinstance(value, Mapping) and not any(isinstance(key, int) for key in path)
        if content is not MISSING and (content == value or merged):
            return str(os.path.relpath(file))
    return "command line"


def _at(content: Any, path: Sequence[str | int]) -> Any:
    """What lies at a path into nested mappings and lists, or MISSING."""
    for key in path:
        try:
            content = content[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
    return content


def _place(config: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """The key's place in words: `attack mine: signal: `."""
    if len(path) > 1 and path[0] in ("attacks", "extra_attacks", "datasets"):
        label = path[1]
        if isinstance(label, int):
            content = config[path[0]][label]
            named = isinstance(content, dict) and content.get("name")
            label = named or f"number {label + 1}"
        kind = str(path[0]).removesuffix("s").replace("_", " ")
        return f"{kind} {label}: " + "".join(f"{key}: " for key in path[2:])
    return "".join(f"{key}: " for key in path)
