"""The organiser's way out: what a participant may see, in the published form, and nothing else."""

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from mico.challenge.layout import SOLUTION, model_folder, model_name, seed_files
from mico.challenge.phases import Phases
from mico.challenge.seeds import Seeds
from mico.networks.facts import networks
from mico.support.atomic import atomic_directory, atomic_file, link_or_copy
from mico.support.errors import InputError

TIMESTAMP = ".snakemake_timestamp"  # Snakemake leaves it in a directory; it is nobody's business


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
    seeds: Seeds,
    membership: np.ndarray,
    models: Sequence[Path],
    disclosed: Collection[str],
) -> None:
    """Write a challenge: {train,dev,final}/model_i with its weights and what the phase discloses.

    Files of weights are links to those that were trained, or copies where there can be none.

    Args:
        seeds: of all models; membership: (models, 2m) bool; models: their folders, in order.
        disclosed: seeds that dev and final give away besides seed_challenge.
    """
    with atomic_directory(directory) as temporary:
        for (phase, model), source in zip(phases.named(), models, strict=True):
            folder = temporary / model_folder(phase, model)
            folder.mkdir(parents=True)
            for name in _files(source):
                link_or_copy(source / name, folder / name)
            for kind in seed_files(phase, disclosed):
                (folder / kind).write_text(f"{seeds[model][kind]}\n", encoding="utf-8")
            if phase == "train":
                (folder / SOLUTION).write_bytes(solution(membership[model]))


def solution(membership: np.ndarray) -> bytes:
    """A model's memberships (2m,) as the competition wrote them: one row of 0 and 1, CR LF."""
    return (",".join(str(int(value)) for value in membership) + "\r\n").encode()


def write_checksums(directory: Path, path: Path) -> None:
    """Write the SHA-256 of every file, as `sha256sum --check` reads it beside the directory."""
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8") as sums:
        for name in files:
            with name.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            sums.write(f"{digest}  {name.relative_to(path.parent).as_posix()}\n")
