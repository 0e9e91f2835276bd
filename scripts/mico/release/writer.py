"""The organiser's way out: what a participant may see, in the published form, and nothing else."""

import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mico.challenge import model_table
from mico.challenge.layout import LISTS, SOLUTION, model_folder, model_name, seed_files
from mico.challenge.memberships import Memberships
from mico.challenge.model_table import DIGEST, SCENARIO
from mico.challenge.phases import Phases
from mico.challenge.seeds import Seeds
from mico.networks.facts import networks
from mico.support import digests
from mico.support.atomic import atomic_directory, atomic_file, link_or_copy
from mico.support.errors import InputError, damaged, shown
from mico.support.private import TIMESTAMP


def trained(shards: Iterable[Path], models: int) -> list[Path]:
    """The folders of all models, in order, in shards that hold them and nothing else.

    Raises:
        InputError: a model or a file of it is missing, or there is something else, a link too.
    """
    names = [model_name(model) for model in range(models)]
    found: dict[str, Path] = {}
    for shard in shards:
        for entry in _entries(shard):
            if entry.name == TIMESTAMP and entry.is_file(follow_symlinks=False):
                continue
            if entry.name not in names or entry.name in found:
                raise InputError(f"{entry.path}: not one of {models} models, not to be released")
            found[entry.name] = Path(entry.path)
    for name in names:
        if name not in found:
            raise InputError(f"{name}: missing, in none of the shards")
        _files(found[name])
    return [found[name] for name in names]


def _files(folder: Path) -> tuple[str, ...]:
    """The names of a trained model's files.

    Raises:
        InputError: a file is missing, or there is another.
    """
    entries = {entry.name: entry for entry in _entries(folder)}
    forms = sorted({tuple(facts.files) for facts in networks().values()}, reverse=True)
    form = next((form for form in forms if not entries.keys().isdisjoint(form)), forms[0])
    for name, entry in sorted(entries.items()):
        if name not in form or not entry.is_file(follow_symlinks=False):
            raise InputError(f"{entry.path}: no part of a model, not to be released")
    for name in form:
        if name not in entries:
            raise InputError(f"{folder / name}: missing")
    return form


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if folder.is_symlink():
        raise InputError(f"{folder}: a link, not to be released")
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None


def write(
    directory: Path,
    phases: Phases,
    source: Seeds | Memberships,
    membership: np.ndarray,
    models: Sequence[Path],
    disclosed: Collection[str],
) -> None:
    """Write a challenge: {train,dev,final}/model_i with its weights and what the phase discloses.

    Files of weights are links to those that were trained, or copies where there can be none. Their
    modes are then those of the files that are written here, under both names.

    Args:
        source: of all models their seeds, or the lists that stand in their place.
        membership: (models, 2m) bool; models: their folders, in order.
        disclosed: seeds that dev and final give away besides seed_challenge.
    """
    with atomic_directory(directory) as temporary:
        for (phase, model), trained_in in zip(phases.named(), models, strict=True):
            folder = temporary / model_folder(phase, model)
            folder.mkdir(parents=True)
            for told, content in _told(source, phase, model, disclosed).items():
                (folder / told).write_bytes(content)
            for name in _files(trained_in):
                link_or_copy(trained_in / name, folder / name)
                # It was its owner's alone. A link shares its mode, and is to be read by others.
                shutil.copymode(folder / told, folder / name)
            if phase == "train":
                (folder / SOLUTION).write_bytes(row(membership[model]))


def _told(
    source: Seeds | Memberships, phase: str, model: int, disclosed: Collection[str]
) -> dict[str, bytes]:
    """The files of a model that tell its split, as far as its phase discloses it."""
    kinds = seed_files(phase, disclosed)
    if not isinstance(source, Memberships):
        return {kind: b"%d\n" % source[model][kind] for kind in kinds}
    # Of a model that is attacked, all that it is trained on would give the members away.
    training = source.training[model] if phase == "train" else source.besides(model)
    lists = {"seed_challenge": source.challenge[model], "seed_training": training}
    return {LISTS[kind]: row(lists[kind]) for kind in kinds if kind in lists}


def row(values: np.ndarray) -> bytes:
    """A row of integers as the competition wrote a model's memberships (2m,) of 0 and 1: CR LF."""
    return (",".join(str(int(value)) for value in values) + "\r\n").encode()


def verified(models: Sequence[Path], tables: Iterable[Path], scenario: str) -> list[dict[str, str]]:
    """The SHA-256 of each model's files by name, refused if they are not those that were trained.

    Args:
        models: their folders, in order; tables: of their shards, with a hash of each one's files.
        scenario: the id of that which they were trained for.

    Raises:
        InputError: a model is in no table or another scenario's, or its files are others than its
            table says.
    """
    known: dict[int, tuple[str, Path]] = {}
    for table in tables:
        for model, row in model_table.read(table).items():
            if row.get(SCENARIO) != scenario:
                given = shown(row.get(SCENARIO))
                raise InputError(f"{table}: models of scenario {given}, expected of {scenario}")
            known[model] = row[DIGEST], table
    found = []
    for model, folder in enumerate(models):
        if model not in known:
            raise InputError(f"{folder}: in none of the tables of models")
        expected, table = known[model]
        sums = {name: digests.of_file(folder / name) for name in _files(folder)}
        if digests.of_folder(sums) != expected:
            shard = table.with_suffix("")
            remedy = f"delete {shard} and {table.name} beside it, and run again"
            raise damaged(folder, f"its files are not those that {table} lists", remedy)
        found.append(sums)
    return found


def write_checksums(directory: Path, path: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the SHA-256 of every file, as `sha256sum --check` reads it in the folder that holds it.

    Args:
        known: sums of files below the directory that are known already.
    """
    names = (file.relative_to(directory) for file in directory.rglob("*") if file.is_file())
    sums = {
        f"{directory.name}/{name.as_posix()}": (known or {}).get(name.as_posix())
        or digests.of_file(directory / name)
        for name in names
    }
    with atomic_file(path) as temporary:
        temporary.write_text(digests.listing(sums), encoding="utf-8")
