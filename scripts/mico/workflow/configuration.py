"""A run's configuration, checked as a whole; an error names the file, the scenario and the key."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mico.attacks import registry
from mico.challenge import scenarios
from mico.challenge.phases import Phases
from mico.challenge.scenarios import Scenario
from mico.data.format_names import GENERATED, TEXT
from mico.data.formats.cifar10_binary import PIXELS
from mico.data.tokens import BPE
from mico.support.errors import InputError

MISSING = object()
SHARED = registry.SHARED


@dataclass(frozen=True)
class Configuration:
    """What the workflow needs of a checked configuration."""

    scenarios: dict[str, Scenario]  # by id
    phases: Phases
    attacks: dict[str, dict[str, Any]]  # by participant: `attack` and its options
    inputs: dict[str, list[str]]  # by participant: what its attack asks for
    entered: dict[str, list[str]]  # by participant: the scenarios that it attacks


def check(
    config: Mapping[str, Any], files: Sequence[Path], schema: Path, published: Path
) -> Configuration:
    """Check a merged configuration and resolve its scenarios.

    Args:
        files: the configuration files in the order in which they were laid over each other.
        schema: the JSON schema of a configuration.
        published: the library of scenarios that those of the run are taken or derived from.

    Raises:
        InputError: one line with the file that set the key, the scenario and the key.
    """
    validator = jsonschema.Draft202012Validator(yaml.safe_load(schema.read_text()))
    errors = sorted(validator.iter_errors(config), key=lambda error: str(error.absolute_path))
    if errors:
        # The first of several, and of the ways to be right the one that it came closest to.
        error = jsonschema.exceptions.best_match(errors[:1])
        path = list(error.absolute_path)
        key = [_unknown_key(error)] if error.validator == "additionalProperties" else []
        where = _origin(config, path + key, files)
        raise InputError(f"{where}: {_place(config, path)}{_reason(error)}")
    try:
        library = yaml.safe_load(published.read_text())
        resolved = scenarios.resolve(config["scenarios"], library, config["datasets"])
    except InputError as failure:
        raise InputError(f"{_origin(config, ['scenarios'], files)}: {failure}") from None
    try:
        participants = _attacks(config)
    except InputError as failure:
        raise InputError(f"{_origin(config, ['attacks'], files)}: attacks: {failure}") from None
    phases = Phases(**config["models"])
    for kind, key, wrong in _wrong_references(config, resolved, phases):
        where = _origin(config, [kind, key], files)
        raise InputError(f"{where}: {kind}: {key}: {wrong}")
    for name in sorted({scenario.data for scenario in resolved.values()}):
        try:
            _check_dataset(config["datasets"][name])
        except InputError as failure:
            where = _origin(config, ["datasets", name], files)
            raise InputError(f"{where}: dataset {name}: {failure}") from None
    inputs = {name: registry.inputs(item["attack"], item) for name, item in participants.items()}
    trained = {"target_references": config["references"], SHARED: config["shared_references"]}
    entered = {
        name: [
            scenario
            for scenario in resolved
            if all(scenario in trained[kind]["scenarios"] for kind in trained if kind in wanted)
        ]
        for name, wanted in inputs.items()
    }
    attacked = {
        scenario
        for name, own in entered.items()
        if "others" not in inputs[name]
        for scenario in own
    }
    for name, wanted in inputs.items():
        if "others" in wanted and not attacked.issuperset(resolved):
            where = _origin(config, ["attacks"], files)
            raise InputError(f"{where}: attacks: {name}: expected another attack in every scenario")
    return Configuration(resolved, phases, participants, inputs, entered)


def _attacks(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    by_name: dict[str, dict[str, Any]] = {}
    for item in config["attacks"]:
        name = item["name"]
        if name in by_name:
            raise InputError(f"{name}: this name is there twice")
        by_name[name] = {key: value for key, value in item.items() if key != "name"}
        options = {key: value for key, value in by_name[name].items() if key != "attack"}
        try:
            checked = registry.options(item["attack"], options)
            most = config["references"]["count"]
            if item["attack"] == "target-references" and checked.count > most:
                raise InputError(f"count {checked.count}: expected at most references.count")
            if item.get(SHARED, 2) > config["shared_references"]["count"]:
                raise InputError(f"{SHARED} {item[SHARED]}: expected at most {SHARED}.count")
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    return by_name


def _wrong_references(
    config: Mapping[str, Any], known: Mapping[str, Scenario], phases: Phases
) -> Iterator[tuple[str, str, str]]:
    """A kind of reference models, its keys, and what is wrong with their values."""
    for kind in ("references", "shared_references"):
        for name in config[kind]["scenarios"]:
            if name not in known:
                yield kind, "scenarios", f"{name!r} is not among the run's scenarios"
    references = config["references"]
    if references["scenarios"] and references["train_models"] > phases.train:
        wrong = f"{references['train_models']}: expected at most {phases.train}"
        yield "references", "train_models", wrong


def _check_dataset(dataset: Mapping[str, Any]) -> None:
    if dataset["format"].startswith("cifar10-") and dataset["features"] != PIXELS:
        raise InputError(f"features {dataset['features']}: expected the {PIXELS} of an image")
    _check_tokenizer(dataset)
    official = dataset["format"] in ("cifar10-binary", "sst2")
    if official and "files" not in dataset:
        raise InputError("missing key 'files'")
    if dataset["format"] in GENERATED:
        if "seed" not in dataset:
            raise InputError("missing key 'seed'")
    elif "path" in dataset:
        path = Path(dataset["path"])
        if not path.is_file() and not (official and path.is_dir()):
            raise InputError(f"path {path} is not a file{' or a directory' if official else ''}")
    elif "url" not in dataset:
        raise InputError("missing key 'path' or 'url'")


def _check_tokenizer(dataset: Mapping[str, Any]) -> None:
    """Text needs one, and only a vocabulary that is made here has a size that can be chosen."""
    text, tokenizer = dataset["format"] in TEXT, dataset.get("tokenizer")
    if text != (tokenizer is not None):
        raise InputError("missing key 'tokenizer'" if text else "tokenizer: expected only of text")
    if (tokenizer == BPE) != ("vocabulary" in dataset):
        missing = "missing key 'vocabulary'"
        raise InputError(missing if tokenizer == BPE else f"vocabulary: expected only with {BPE}")
    if text and not scenarios.is_checkpoint(tokenizer):
        raise InputError(f"tokenizer {tokenizer} is not a folder")


def _origin(config: Mapping[str, Any], path: Sequence[str | int], files: Sequence[Path]) -> str:
    """The last file that sets a key to its value, or the command line."""
    value = _at(config, path)
    for file in reversed(files):
        content = _at(yaml.safe_load(file.read_text()), path)
        # A mapping is merged from several files.
        if content is not MISSING and (content == value or isinstance(value, Mapping)):
            return os.path.relpath(file)
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
    """The key's place in words: `scenario L1: epochs: `."""
    words, content = "", config
    rest = list(path)
    if rest[:1] in (["scenarios"], ["attacks"], ["datasets"]) and len(rest) > 1:
        kind = {"attacks": "attack", "datasets": "dataset"}.get(rest[0], "scenario")
        content = config[rest[0]][rest[1]]
        label = rest[1]
        if isinstance(label, int) and isinstance(content, dict):
            label = content.get("id") or content.get("name") or f"number {label + 1}"
        words, rest = f"{kind} {label}: ", rest[2:]
    return words + "".join(f"{key}: " for key in rest)


def _reason(error: jsonschema.ValidationError) -> str:
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        extra = _unknown_key(error)
        close = get_close_matches(str(extra), known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        return f"unknown key {extra!r}, {hint}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"missing key {missing!r}"
    return error.message


def _unknown_key(error: jsonschema.ValidationError) -> str:
    return next(key for key in error.instance if key not in error.schema["properties"])
