"""A track as one download: its released challenges, a data card, a starter kit, checksums.

The track's folder holds its challenges alone, as programs expect that walk it; the rest is beside.

The bundle is refused unless every file in it is, to the byte, as the published form wants it: no
name beyond those of the phase, seeds or lists that give the splits they are released for, models
that hold the network's parameters and nothing besides. The solutions, which stay with the
organiser, hold the memberships of dev and final, for a scorer elsewhere.
"""

# ruff: noqa: RUF001 - a minus is what formulas have

import filecmp
import hashlib
import json
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from string import Template

import numpy as np

from mico.challenge import splits
from mico.challenge.layout import (
    ATTACKED,
    LISTS,
    MODEL,
    SOLUTION,
    list_files,
    model_folder,
    seed_files,
)
from mico.challenge.phases import PHASES, Phases
from mico.challenge.scenario import Scenario
from mico.challenge.seeds import SPLIT_SEEDS, parse_seed
from mico.challenge.split_file import Splits
from mico.data.store import OF_IMAGES, Dataset, Description
from mico.networks import factory, pretrained
from mico.networks.architecture import STABILITY, Architecture, read_parameters
from mico.networks.build import build
from mico.networks.facts import of, parse
from mico.networks.model_files import OPACUS_PREFIX
from mico.networks.own import SOURCES, OwnNetwork
from mico.privacy.budget import Privacy
from mico.release.reader import read_list
from mico.release.writer import row
from mico.support import digests
from mico.support.atomic import atomic_file
from mico.support.errors import InputError
from mico.support.private import TIMESTAMP

KIT = Path(__file__).parent / "starter_kit"
KIT_FILES = ("README.md", "starter_kit.py")
CARD = Path(__file__).with_name("data_card.md")


@dataclass(frozen=True)
class Challenge:
    """A released challenge, and the organiser's knowledge of it."""

    scenario: Scenario
    directory: Path  # as `mico.release.writer.write` wrote it
    checksums: Path
    privacy: Privacy
    splits: Splits
    data: Description
    content: str  # `content_digest` of the data set


@dataclass(frozen=True)
class Track:
    """A track to be handed out."""

    name: str
    challenges: Sequence[Challenge]
    phases: Phases
    max_bytes: int  # the largest packed submission that is taken
    public_seeds: bool = False  # anyone may know the seeds, and the data card says it
    full_entropy: bool = False  # memberships of dev and final come from none, as the card says


def content_digest(dataset: Dataset) -> str:
    """The SHA-256 of all labels and then all features, as bytes or little-endian words.

    It is the same for every form of file that the starter kit reads the records from.
    """
    digest = hashlib.sha256(dataset.labels.tobytes())
    features = dataset.features()
    digest.update(features.astype(features.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def write(path: Path, track: Track) -> None:
    """Write the bundle of a track.

    Raises:
        InputError: a challenge is not exactly in the published form, or not as its checksums say.
    """
    files: dict[str, Path] = {}
    sums: dict[str, str] = {}
    for challenge in track.challenges:
        names = _check(challenge, track)
        listed = digests.read_listing(challenge.checksums)
        name = challenge.scenario.challenge
        own = {f"{name}/{file}": challenge.directory / file for file in names}
        if unlike := own.keys() ^ listed.keys():
            raise InputError(f"{challenge.checksums}: {min(unlike)}: released or listed, not both")
        files |= {f"{track.name}/{name}": file for name, file in own.items()}
        sums |= {f"{track.name}/{name}": digest for name, digest in listed.items()}
    texts = {f"{KIT.name}/{name}": (KIT / name).read_bytes() for name in KIT_FILES}
    texts |= _sources(track)
    texts["README.md"] = data_card(track).encode()
    texts["track.json"] = _track_json(track).encode()
    sums |= {name: hashlib.sha256(content).hexdigest() for name, content in texts.items()}
    texts[digests.LISTING] = digests.listing(sums).encode()

    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for name in sorted([*files, *texts]):
            content = texts[name] if name in texts else files[name].read_bytes()
            if name in files and hashlib.sha256(content).hexdigest() != sums[name]:
                raise InputError(f"{files[name]}: not the file that its checksum is of")
            _add(packed, name, content)


def _sources(track: Track) -> dict[str, bytes]:
    """The files of the networks that are somebody's own, by their names in the bundle."""
    found: dict[str, bytes] = {}
    for name in dict.fromkeys(one.scenario.architecture for one in track.challenges):
        if parse(name)[0] == factory.FORM:
            path = factory.parse(name).source
            content = path.read_bytes()
            if found.setdefault(f"{SOURCES}/{path.name}", content) != content:
                raise InputError(f"{path}: another network's file has the same name")
    return found


def _network_code(challenge: Challenge) -> dict[str, object]:
    """What the starter kit makes a network by, if it is somebody's own."""
    name = challenge.scenario.architecture
    if parse(name)[0] != factory.FORM:
        return {}
    network, made = build(name, challenge.data), factory.parse(name)
    assert isinstance(network, OwnNetwork)
    code: dict[str, object] = {"file": f"{SOURCES}/{made.source.name}", "make": made.name}
    if not made.is_file:
        code["module"] = made.place
    return {"network": code | {"arguments": network.make.keywords}}


def _track_json(track: Track) -> str:
    """What the starter kit checks a participant's files by, besides the checksums."""
    return json.dumps(
        {
            "track": track.name,
            "max_bytes": track.max_bytes,
            "challenges": {
                one.scenario.challenge: {
                    "data": one.data.name,
                    "points": 2 * one.scenario.m,
                    **_network_code(one),
                }
                for one in track.challenges
            },
            "data": {
                one.data.name: {
                    "records": one.data.records,
                    "features": one.data.features,
                    "sha256": one.content,
                    **{name: value for name in OF_IMAGES if (value := getattr(one.data, name))},
                }
                for one in track.challenges
            },
        },
        indent=2,
    )


def write_solutions(path: Path, track: Track) -> None:
    """Write the organiser's .zip: the memberships of dev and final, laid out as in the bundle."""
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for challenge in sorted(track.challenges, key=lambda one: one.scenario.challenge):
            top = f"{track.name}/{challenge.scenario.challenge}"
            for phase, model in track.phases.named():
                if phase in ATTACKED:
                    folder = f"{top}/{model_folder(phase, model)}"
                    _add(packed, f"{folder}/{SOLUTION}", row(challenge.splits.membership[model]))


def _add(packed: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file under zip's first date and mode 644, whoever and wherever we are.

    It is not compressed: weights hardly can be, and another zlib would give other bytes.
    """
    info = zipfile.ZipInfo(name)
    info.create_system = 3  # Unix, which the mode needs
    info.external_attr = 0o100644 << 16
    packed.writestr(info, content)


# What may be in a bundle


def _names(challenge: Challenge, phases: Phases, files: Sequence[str]) -> list[str]:
    """The files of a released challenge, below its directory, with those of each model."""
    scenario = challenge.scenario
    told = seed_files if scenario.memberships is None else list_files
    return [
        f"{model_folder(phase, model)}/{file}"
        for phase, model in phases.named()
        for file in (
            *told(phase, scenario.disclosed),
            *files,
            *([] if phase in ATTACKED else [SOLUTION]),
        )
    ]


def _check(challenge: Challenge, track: Track) -> list[str]:
    """Refuse a challenge that is not, to the byte, in the published form.

    Returns:
        its files, below its directory.
    """
    scenario, directory, known = challenge.scenario, challenge.directory, challenge.splits
    for what, found, expected in (
        ("track", scenario.track, track.name),
        ("challenge", directory.name, scenario.challenge),
        ("data", challenge.data.name, scenario.data),
        ("models", len(known.membership), track.phases.models),
    ):
        if found != expected:
            raise InputError(f"{directory}: {what} is {found}, expected {expected}")
    if scenario.null_run:
        raise InputError(f"{directory}: a null run has no members to find, and is not handed out")
    network = build(scenario.architecture, challenge.data)
    names = _names(challenge, track.phases, tuple(network.facts.files))
    _check_names(directory, set(names))
    for phase, model in track.phases.named():
        folder = directory / model_folder(phase, model)
        if scenario.memberships is None:
            _check_seeds(folder, seed_files(phase, scenario.disclosed), challenge, model)
        else:
            _check_lists(folder, phase, challenge, model)
        answer = folder / SOLUTION
        if phase not in ATTACKED and answer.read_bytes() != row(known.membership[model]):
            raise InputError(f"{answer}: not the memberships of the organiser's splits")
        _check_model(folder, network, scenario.private)
    return names


def _check_names(directory: Path, files: set[str]) -> None:
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    for entry in sorted(set(directory.rglob("*")) - {directory / TIMESTAMP}):
        name = entry.relative_to(directory).as_posix()
        expected = name in files if entry.is_file() else name in folders and entry.is_dir()
        if entry.is_symlink() or not expected:
            raise InputError(f"{entry}: no part of the published form, not to be given away")
    for file in sorted(files):
        if not (directory / file).is_file():
            raise InputError(f"{directory / file}: missing")


def _check_seeds(folder: Path, kinds: Sequence[str], challenge: Challenge, model: int) -> None:
    """Refuse a seed that gives another split: it may be a secret one under a harmless name."""
    scenario, known = challenge.scenario, challenge.splits
    seeds = {kind: _read_seed(folder / kind) for kind in kinds}
    withheld = dict.fromkeys(SPLIT_SEEDS, 0)
    one = splits.split(challenge.data.records, scenario.n, scenario.m, withheld | seeds)
    right = {
        "seed_challenge": np.array_equal(one.challenge, known.challenge[model]),
        "seed_training": known.trained[model, one.training_set[scenario.m :]].all(),
        "seed_membership": np.array_equal(one.membership, known.membership[model]),
    }
    for kind in kinds:
        if not right[kind]:
            raise InputError(f"{folder / kind}: not the seed of the organiser's splits")


def _check_lists(folder: Path, phase: str, challenge: Challenge, model: int) -> None:
    """Refuse a list that is another than the splits give, or tells more."""
    scenario, known = challenge.scenario, challenge.splits
    trained = known.trained[model].copy()
    if phase in ATTACKED:
        trained[known.challenge[model]] = False
    for name in list_files(phase, scenario.disclosed):
        found = read_list(folder / name, challenge.data.records)
        if name == LISTS["seed_challenge"]:
            right = np.array_equal(found, known.challenge[model])
        else:  # in any order, and some more than once
            right = np.array_equal(np.unique(found), np.flatnonzero(trained))
            right &= len(found) == scenario.n or phase in ATTACKED
        if not right or (folder / name).read_bytes() != row(found):
            raise InputError(f"{folder / name}: not the list of the organiser's splits")


def _read_seed(path: Path) -> int:
    content = path.read_bytes()
    seed = parse_seed(content.decode("ascii", "replace").strip(), str(path))
    if content != b"%d\n" % seed:
        raise InputError(f"{path}: expected a decimal number and a newline")
    return seed


def _check_model(folder: Path, network: Architecture, private: bool) -> None:
    """Refuse files of a model that differ from those that its parameters alone give."""
    (state_dict,) = network.to_state_dicts(read_parameters(folder, network))
    with tempfile.TemporaryDirectory() as plain:
        network.write_model(Path(plain), state_dict, private)
        for name in network.facts.files:
            if not filecmp.cmp(Path(plain) / name, folder / name, shallow=False):
                found = folder / name
                raise InputError(f"{found}: holds more than the parameters, not to be given away")


# The data card

SEEDS = (
    "| `…/seed_challenge` | a decimal number that gives the challenge points |\n"
    "| `…/seed_training` | gives the rest of the training set: {disclosing} |\n"
    "| `…/seed_membership` | gives the memberships: only in train |"
)
BY_SEEDS = (
    "Three calls of `torch.utils.data.random_split`, each with "
    "`torch.Generator().manual_seed(seed)`:\n\n"
    "| seed | splits | into |\n"
    "|---|---|---|\n"
    "| `seed_challenge` | all N records | `challenge` (2m), `rest` (N − 2m) |\n"
    "| `seed_training` | `rest` | `training` (n − m), `evaluation` (N − n − m) |\n"
    "| `seed_membership` | `challenge` | `nonmember` (m), `member` (m) |\n"
    "\n"
    "The training set is `member` followed by `training`. Challenge order is that of `challenge`."
)
LISTS_OF = (
    "| `…/challenge.csv` | the challenge points: one row of positions in the data set, from 0 |\n"
    "| `…/training.csv` | such a row of what it was trained on, in order: {disclosing} |"
)
BY_LISTS = (
    "No seed gives the split of {names}: `challenge.csv` and `training.csv` say it. Challenge\n"
    "order is that of `challenge.csv`. How many challenge points are members may differ from one\n"
    "model to another. In train, `training.csv` holds all n records, the members among them, and\n"
    "a record as often as an epoch has it; elsewhere the challenge points are left out of it."
)
DRAWN = (
    "\n\nOf dev and final models this is so for the seeds that they come with. Their other lists "
    "are\ndrawn from the operating system's entropy: `member`, and `training` where "
    "`seed_training` is not\ngiven. No seed gives them."
)
RECORDS = {
    "bits": "records of {features:,} binary features",
    "numbers": "records of {features:,} numbers",
    "images": "images of {shape} values from 0 to 255 (channels, rows, columns), mean = {mean}, "
    "std = {std}",
    "tokens": "sentences of at most {features:,} tokens, special ones included",
}


def data_card(track: Track) -> str:
    """The Markdown page that tells participants all they have to know, with this run's facts."""
    challenges, phases = track.challenges, track.phases
    datasets = {one.data.name: one.data for one in challenges}.values()
    synthetic = ", ".join(data.name for data in datasets if data.synthetic)
    used = [of(one.scenario.architecture) for one in challenges]
    by_seeds = [one.scenario for one in challenges if one.scenario.memberships is None]
    by_lists = [one.scenario for one in challenges if one.scenario.memberships is not None]
    warnings = []
    if synthetic:
        warnings.append(
            f"> **SYNTHETIC DATA** ({synthetic}): generated by a program, so nobody's records;"
            " results say nothing about a real data set.\n\n"
        )
    if track.public_seeds:
        warnings.append(
            "> **PUBLIC SEEDS**: anyone can compute the memberships of all models, dev and final"
            " too. This is an exercise; no score in it is proof of an attack.\n\n"
        )
    return Template(CARD.read_text(encoding="utf-8")).substitute(
        track=track.name,
        warnings="".join(warnings),
        models=phases.models,
        facts=_facts(challenges, phases),
        datasets="\n".join(_describe_data(data) for data in datasets),
        layers="\n\n".join(sorted({facts.layers for facts in used})),
        networks="\n".join(_describe_network(one) for one in challenges),
        files="\n".join(
            f"| `…/{name}` | {what} |"
            for name, what in sorted({file for facts in used for file in facts.files.items()})
        ),
        sources="".join(
            f"\n| `{name}` | a network's code: read it before you run it |"
            for name in _sources(track)
        ),
        numbers=", ".join(f"{phase} {span[0]} to {span[-1]}" for phase, span in _spans(phases)),
        members="some of them and not on the others"
        if by_lists
        else "m of them and not on the other m",
        told="\n".join(
            text.format(disclosing=_disclosing(some))
            for text, some in ((SEEDS, by_seeds), (LISTS_OF, by_lists))
            if some
        ),
        split="\n\n".join(
            [BY_SEEDS + DRAWN * track.full_entropy] * bool(by_seeds)
            + [BY_LISTS.format(names=_names_of(by_lists))] * bool(by_lists)
        ),
        max_bytes=f"{track.max_bytes:,}",
    )


def _names_of(scenarios: Sequence[Scenario]) -> str:
    return ", ".join(one.challenge for one in scenarios)


def _disclosing(scenarios: Sequence[Scenario]) -> str:
    """In which phases these say what models were trained on besides challenge points."""
    everywhere = _names_of([one for one in scenarios if one.disclosed])
    return f"in train; {everywhere}: in dev and final too" if everywhere else "only in train"


def _spans(phases: Phases) -> list[tuple[str, range]]:
    return [(phase, phases.of(phase)) for phase in PHASES]


def _facts(challenges: Sequence[Challenge], phases: Phases) -> str:
    """The Markdown table of facts, with a column for each challenge."""
    columns = []
    for one in challenges:
        scenario, spent = one.scenario, one.privacy
        columns.append(
            {
                "": scenario.challenge,
                "---": "---",
                "scenario": scenario.id,
                "data set": scenario.data,
                "its records, N": f"{one.data.records:,}",
                "records in a training set, n": f"{scenario.n:,}",
                "challenge points, 2m": f"{2 * scenario.m:,}",
                "models": ", ".join(f"{len(span)} {phase}" for phase, span in _spans(phases)),
                "network": pretrained.public(scenario.architecture),
                "optimizer": _optimizer(scenario),
                "epochs": scenario.epochs,
                "batch size": f"{scenario.batch_size}{' expected' if scenario.private else ''}",
                "order of the records": _order(scenario),
                "steps": f"{spent.steps:,}",
                "learning rate": _learning_rate(scenario),
                "label smoothing": _number(scenario.label_smoothing or None),
                "augmentation": _augmentation(scenario),
                "differential privacy": "DP-SGD" if scenario.private else "none",
                "ε, the target": _number(scenario.epsilon),
                "ε spent": _number(spent.epsilon_spent),
                "δ": _number(spent.delta),
                "sample rate": _number(spent.sample_rate if scenario.private else None),
                "noise multiplier": _number(spent.noise_multiplier),
                "clipping norm": _clipping(scenario),
                "largest norm of a batch's gradient": _number(scenario.max_gradient_norm),
            }
        )
    rows = [[name, *(str(column[name]) for column in columns)] for name in columns[0]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _optimizer(scenario: Scenario) -> str:
    found: str = scenario.optimizer
    if scenario.momentum:
        found += f", {'Nesterov ' if scenario.nesterov else ''}momentum {scenario.momentum:g}"
    if scenario.weight_decay:
        found += f", weight decay {scenario.weight_decay:g}"
    return found


def _learning_rate(scenario: Scenario) -> str:
    after = {
        "step": f", times {scenario.lr_decay:g} after every {scenario.lr_decay_epochs} epochs",
        "constant": "",
        "cosine": ", along half a cosine to 0",
        "linear": ", linearly to 0",
    }
    found = f"{scenario.learning_rate:g}{after[scenario.lr_schedule]}"
    rising = scenario.warmup_epochs
    return found + (f", after a warm-up of {rising:g} epochs" if rising else "")


def _augmentation(scenario: Scenario) -> str:
    found = ["horizontal flip"] if scenario.horizontal_flip else []
    if scenario.crop_padding:
        found.append(f"random crop with {scenario.crop_padding} black pixels around")
    return ", ".join(found)


def _clipping(scenario: Scenario) -> str:
    bound = _number(scenario.clipping_norm)
    automatic = f"{bound}, automatic: every gradient times {bound} / (its norm + {STABILITY:g})"
    return automatic if scenario.clipping == "automatic" else bound


def _order(scenario: Scenario) -> str:
    if scenario.private:
        return "Poisson samples"
    return "a new one every epoch" if scenario.shuffle else "the same every epoch"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _describe_data(data: Description) -> str:
    kind = "**synthetic**" if data.synthetic else "from"
    what = vars(data) | {"shape": " x ".join(map(str, data.shape or ()))}
    return (
        f"- {data.name}: {data.records:,} {RECORDS[data.kind].format(**what)}, {data.classes}"
        f" classes; {kind} {data.source}"
    )


def _describe_network(challenge: Challenge) -> str:
    """A line on a challenge's network and its parameters, as found in a released model."""
    network = build(challenge.scenario.architecture, challenge.data)
    name = pretrained.public(challenge.scenario.architecture)
    found = network.describe(_first(challenge))
    prefixed = challenge.scenario.private and MODEL in network.facts.files
    prefix = f"; keys begin with `{OPACUS_PREFIX}`" if prefixed else ""
    return f"- {challenge.scenario.challenge}: {name}, {found}{prefix}"


def _first(challenge: Challenge) -> Path:
    """The folder of a released model."""
    return challenge.directory / model_folder(PHASES[0], 0)
