"""Released challenges as a participant reads them, knowing only the published layout and torch."""

import errno
import hashlib
import math
import os
import re
import shutil
import struct
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import random_split

from mico.challenge.phases import Phases
from mico.challenge.seeds import SPLIT_SEEDS
from mico.networks import model_files
from mico.release import writer
from mico.support import private
from mico.support.errors import InputError

PHASES = {"train": range(3), "dev": range(3, 5), "final": range(5, 7)}
NAMES = ("plain", "private")
KEYS = ["mlp.0.weight", "mlp.0.bias", "mlp.2.weight", "mlp.2.bias"]


# What a participant does


@dataclass(frozen=True)
class Split:
    challenge: list[int]
    membership: list[int]
    training_set: list[int]


def split(folder: Path, records: int, n: int, m: int) -> Split:
    """The published construction from a train model's three seed files."""
    generators = {
        kind: torch.Generator().manual_seed(int((folder / f"seed_{kind}").read_text()))
        for kind in ("challenge", "training", "membership")
    }
    challenge, rest = random_split(
        range(records), [2 * m, records - 2 * m], generators["challenge"]
    )
    training, _ = random_split(rest, [n - m, records - n - m], generators["training"])
    nonmember, member = random_split(challenge, [m, m], generators["membership"])
    assert not set(nonmember) & set(member)
    return Split(list(challenge), [int(i in set(member)) for i in challenge], [*member, *training])


def load_model(path: Path, model: nn.Module) -> nn.Module:
    """As the starter kits do: strictly, after taking Opacus's prefix off the keys."""
    state_dict = torch.load(path, weights_only=True)
    stripped = OrderedDict((k.replace("_module.", ""), v) for k, v in state_dict.items())
    model.load_state_dict(stripped, strict=True)
    return model


def folders(directory: Path, *phases: str) -> Iterator[tuple[int, Path]]:
    for phase in phases or PHASES:
        for model in PHASES[phase]:
            yield model, directory / phase / f"model_{model}"


# The released directory


@pytest.mark.parametrize("name", NAMES)
def test_tree_has_exactly_the_published_names(challenges: dict, name: str) -> None:
    challenge = challenges[name]
    secret = ["seed_challenge", "model.pt"] + ["seed_training"] * (name == "private")
    public = ["seed_challenge", "seed_training", "seed_membership", "model.pt", "solution.csv"]
    expected = {
        f"{phase}/model_{model}/{file}"
        for phase, models in PHASES.items()
        for model in models
        for file in (public if phase == "train" else secret)
    }
    everything = list(challenge.directory.rglob("*"))
    files = {str(p.relative_to(challenge.directory)) for p in everything if p.is_file()}
    assert files == expected
    assert len(everything) == len(expected) + 3 + 7  # no empty folder besides
    assert not any(p.is_symlink() for p in everything)
    assert {p.name for p in challenge.directory.parent.iterdir()} == {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_seed_files_hold_a_decimal_number_and_a_newline(challenges: dict, name: str) -> None:
    for model, folder in folders(challenges[name].directory):
        for path in folder.glob("seed_*"):
            assert path.read_bytes() == b"%d\n" % challenges[name].seeds[model][path.name]


@pytest.mark.parametrize("name", NAMES)
def test_seeds_give_the_solution_by_the_published_construction(challenges: dict, name: str) -> None:
    """solution.csv is one row in challenge order that ends with CR LF; half of it is ones."""
    challenge = challenges[name]
    for _, folder in folders(challenge.directory, "train"):
        membership = split(folder, 300, 150, 10).membership
        assert sum(membership) == 10
        text = (folder / "solution.csv").read_bytes().decode("ascii")
        assert text == ",".join(map(str, membership)) + "\r\n"


@pytest.mark.parametrize("name", NAMES)
def test_state_dicts_load_into_the_published_network(
    challenges: dict, name: str, published_mlp: type[nn.Module]
) -> None:
    """In torch's own order of keys, with Opacus's prefix if trained privately."""
    prefix = "_module." if name == "private" else ""
    for _, folder in folders(challenges[name].directory):
        raw = torch.load(folder / "model.pt", weights_only=True)
        assert list(raw) == [prefix + key for key in KEYS]
        load_model(folder / "model.pt", published_mlp(37, 4))


@pytest.mark.parametrize("name", NAMES)
def test_models_are_as_accurate_on_their_members_as_the_organiser_says(
    challenges: dict, name: str, published_mlp: type[nn.Module]
) -> None:
    """A model, its seeds and its training set belong together: other sets give other accuracies."""
    challenge = challenges[name]
    header, *rows = (challenge.organiser / "0-4.csv").read_text().splitlines()
    column = header.split(",").index("training_accuracy")
    reported = [float(row.split(",")[column]) for row in rows]
    x = torch.from_numpy(challenge.data.features).float()
    y = torch.from_numpy(challenge.data.labels).long()
    measured = {}
    for model, folder in folders(challenge.directory, "train"):
        network = load_model(folder / "model.pt", published_mlp(37, 4))
        for other, own_folder in folders(challenge.directory, "train"):
            chosen = split(own_folder, 300, 150, 10).training_set
            right = (network(x[chosen]).argmax(1) == y[chosen]).sum().item()
            measured[model, other] = right / 150
        assert measured[model, model] == reported[model]
    if name == "plain":  # overfitted: a set that is half another's is met worse
        assert all(measured[i, i] > measured[i, j] for i in range(3) for j in range(3) if i != j)


# Nothing but that


def secrets(challenge: object) -> Iterator[tuple[str, int, bytes]]:
    """What each model's dev or final folder must not say, in the forms it could be written in."""
    rows = {}
    for shard in ("0-4", "5-6"):
        header, *lines = (challenge.organiser / f"{shard}.csv").read_text().splitlines()
        for line in lines:
            row = dict(zip(header.split(","), line.split(","), strict=True))
            rows[int(row["model"])] = row
    membership = np.load(challenge.organiser / "splits.npz")["membership"]
    for model, row in enumerate(challenge.seeds):
        for kind in ("seed_training", "seed_membership", "seed_model"):
            if kind not in challenge.disclosed:
                yield kind, model, str(row[kind]).encode()
                yield kind, model, b"%x" % row[kind]
                yield kind, model, struct.pack("<q", row[kind])
                yield kind, model, struct.pack(">q", row[kind])
        for separator in (",", ", ", " ", "\n", ""):
            yield (
                "membership",
                model,
                separator.join(str(int(v)) for v in membership[model]).encode(),
            )
        yield "membership", model, membership[model].tobytes()
        yield "membership", model, membership[model].astype("<i8").tobytes()
        yield "membership", model, membership[model].astype("<f4").tobytes()
        for kind in ("training_accuracy", "evaluation_accuracy"):
            value = rows[model][kind]
            yield kind, model, value.encode()
            yield kind, model, struct.pack("<d", float(value))


@pytest.mark.parametrize("name", NAMES)
def test_dev_and_final_say_nothing_that_is_withheld(challenges: dict, name: str) -> None:
    """Not of their own models, nor of others; zip entries are stored, so bytes can be searched."""
    challenge = challenges[name]
    withheld = list(secrets(challenge))
    assert len({model for _, model, _ in withheld}) == 7
    for model, folder in folders(challenge.directory, "dev", "final"):
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            for kind, owner, value in withheld:
                # A short accuracy such as 0.7 is no secret that a search could show.
                if len(value) > 3:
                    assert value not in content, (path, kind, owner)
        assert (folder / "seed_challenge").read_bytes() == b"%d\n" % (
            challenge.seeds[model]["seed_challenge"]
        )


def test_the_search_for_secrets_finds_those_of_train_models(challenges: dict) -> None:
    """What train folders disclose is found by the same search that finds nothing in the others."""
    challenge = challenges["plain"]
    found = set()
    for _, folder in folders(challenge.directory, "train"):
        content = b"".join(path.read_bytes() for path in folder.iterdir())
        found |= {(kind, model) for kind, model, value in secrets(challenge) if value in content}
    expected = ("seed_training", "seed_membership", "membership")
    assert found == {(kind, model) for kind in expected for model in range(3)}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_file_holds_its_own_tensors_and_nothing_else(challenges: dict, name: str) -> None:
    """Not the storage of its whole shard, no comments, and the same entries in every file."""
    entries = set()
    for _, folder in folders(challenges[name].directory):
        for value in torch.load(folder / "model.pt", weights_only=True).values():
            assert value.dtype == torch.float32
            assert value.untyped_storage().nbytes() == 4 * value.numel()
            assert not value.requires_grad
        with zipfile.ZipFile(folder / "model.pt") as archive:
            assert archive.comment == b""
            assert archive.testzip() is None
            infos = archive.infolist()
            assert all(i.compress_type == zipfile.ZIP_STORED and i.comment == b"" for i in infos)
            entries.add(tuple((i.filename, i.file_size, i.date_time) for i in infos))
    assert len(entries) == 1


# Checksums and repetition


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_checksums_pass_and_a_flipped_bit_fails(challenges: dict, tmp_path: Path) -> None:
    challenge = challenges["private"]
    shutil.copytree(challenge.directory, tmp_path / "private")
    shutil.copy(challenge.checksums, tmp_path)

    def check() -> subprocess.CompletedProcess[str]:
        command = ["sha256sum", "--check", "--strict", "private.sha256"]
        environment = os.environ | {"LC_ALL": "C"}
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert check().returncode == 0
    files = {str(p.relative_to(tmp_path)) for p in (tmp_path / "private").rglob("*") if p.is_file()}
    assert {line.removesuffix(": OK") for line in check().stdout.splitlines()} == files
    path = tmp_path / "private/final/model_6/model.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    result = check()
    assert result.returncode == 1
    assert "private/final/model_6/model.pt: FAILED" in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_releasing_again_gives_the_same_bytes(
    challenges: dict, name: str, run_script: Callable, tmp_path: Path
) -> None:
    """Into another folder, and over what was there before: nothing stale is left."""
    challenge = challenges[name]
    directory, checksums = tmp_path / name, tmp_path / f"{name}.sha256"
    (directory / "dev" / "model_9").mkdir(parents=True)
    (directory / "dev" / "model_9" / "seed_membership").write_text("1\n")
    written = ("--output", directory, "--checksums", checksums)
    result = run_script("release", *challenge.release_arguments, *written)
    assert result.returncode == 0, result.stderr
    for root in challenge.directory, directory:
        sums = {
            str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in root.rglob("*")
            if p.is_file()
        }
        listed = "".join(f"{sums[path]}  {name}/{path}\n" for path in sorted(sums, key=Path))
        assert checksums.read_text() == listed
        assert challenge.checksums.read_text() == listed
    assert {p.name for p in tmp_path.iterdir()} == {name, f"{name}.sha256"}


def test_program_refuses_phases_that_are_not_the_seeds(
    challenges: dict, run_script: Callable, tmp_path: Path
) -> None:
    arguments = list(challenges["plain"].release_arguments)
    at = arguments.index("--phases")
    arguments[at + 1 : at + 4] = 4, 2, 2
    written = ("--output", tmp_path / "out", "--checksums", tmp_path / "out.sha256")
    result = run_script("release", *arguments, *written)
    assert result.returncode == 1
    assert re.fullmatch(r"error: \S+seeds\.csv: 7 models, expected 8\n", result.stderr)
    assert not (tmp_path / "out").exists()


# Trained models and released ones


def shard(challenge: object, model: int) -> Path:
    return challenge.organiser / ("0-4" if model < 5 else "5-6")


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_stored_once(challenges: dict, name: str) -> None:
    for model, folder in folders(challenges[name].directory):
        trained = shard(challenges[name], model) / f"model_{model}" / "model.pt"
        assert (folder / "model.pt").samefile(trained)


def copy_shards(challenge: object, folder: Path) -> dict[Path, Path]:
    """Copy the shards to a folder's `trained`: where each is copied to."""
    shards = [challenge.organiser / name for name in ("0-4", "5-6")]
    return {path: Path(shutil.copytree(path, folder / "trained" / path.name)) for path in shards}


def release_copies(
    challenges: dict, run_script: Callable, tmp_path: Path, change: Callable[[Path], object]
) -> subprocess.CompletedProcess[str]:
    """Release to `out` from copies of the shards after a change of these."""
    challenge = challenges["plain"]
    copies = copy_shards(challenge, tmp_path)
    change(tmp_path / "trained")
    for table in challenge.organiser.glob("*-*.csv"):
        shutil.copy(table, tmp_path / "trained")
    arguments = [copies.get(given, given) for given in challenge.release_arguments]
    written = ("--output", tmp_path / "out" / "plain", "--checksums", tmp_path / "out/plain.sha256")
    return run_script("release", *arguments, *written)


def test_snakemakes_mark_in_a_shard_is_not_released(
    challenges: dict, run_script: Callable, tmp_path: Path
) -> None:
    result = release_copies(
        challenges,
        run_script,
        tmp_path,
        lambda trained: (trained / "0-4" / private.TIMESTAMP).touch(),
    )
    assert result.returncode == 0, result.stderr
    expected = challenges["plain"].checksums.read_text()
    assert (tmp_path / "out" / "plain.sha256").read_text() == expected
    assert not list((tmp_path / "out").rglob(private.TIMESTAMP))


def replaced_by(make: Callable[[Path, Path], object]) -> Callable[[Path], None]:
    """Put what `make` makes in the place of a file or folder, which is moved beside the shards."""

    def change(path: Path) -> None:
        elsewhere = path.parents[len(path.parts) - path.parts.index("trained") - 2] / "moved"
        path.rename(elsewhere)
        make(path, elsewhere)

    return change


link = replaced_by(lambda path, elsewhere: path.symlink_to(elsewhere))
gone = replaced_by(lambda path, _: None)
NO_PART = "no part of a model, not to be released"
NO_MODEL = "not one of 7 models, not to be released"
REFUSED = {
    "missing file": ("0-4/model_3/model.pt", gone, "missing"),
    "missing shard": ("5-6", gone, r"cannot be read \(No such file or directory\)"),
    "file for a shard": (
        "5-6",
        replaced_by(lambda path, _: path.touch()),
        r"cannot be read \(Not a directory\)",
    ),
    "file for a model": (
        "5-6/model_6",
        replaced_by(lambda path, _: path.touch()),
        r"cannot be read \(Not a directory\)",
    ),
    "folder for a file": (
        "0-4/model_3/model.pt",
        replaced_by(lambda path, _: path.mkdir()),
        NO_PART,
    ),
    "pipe for a file": (
        "0-4/model_3/model.pt",
        replaced_by(lambda path, _: os.mkfifo(path)),
        NO_PART,
    ),
    "link to a file": ("0-4/model_3/model.pt", link, NO_PART),
    "link to nothing": (
        "0-4/model_3/model.pt",
        replaced_by(lambda path, _: path.symlink_to("nowhere")),
        NO_PART,
    ),
    "link to a folder": ("0-4/model_3", link, "a link, not to be released"),
    "link to a shard": ("0-4", link, "a link, not to be released"),
    "file in a model": ("0-4/model_3/seed_membership", Path.touch, NO_PART),
    "files of another network": ("0-4/model_3/config.json", Path.touch, NO_PART),
    "folder in a model": ("5-6/model_5/.more", Path.mkdir, NO_PART),
    "file in a shard": ("5-6/splits.npz", Path.touch, NO_MODEL),
    "link in the place of Snakemake's mark": (
        f"5-6/{private.TIMESTAMP}",
        replaced_by(lambda path, _: path.symlink_to("/etc/hostname")),
        NO_MODEL,
    ),
    "number of no model": ("5-6/model_7", Path.mkdir, NO_MODEL),
    "number with a zero": ("5-6/model_06", Path.mkdir, NO_MODEL),
    "model that is there twice": ("5-6/model_4", Path.mkdir, NO_MODEL),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_shard_that_is_not_just_its_models_is_refused(
    challenges: dict, tmp_path: Path, kind: str
) -> None:
    place, change, message = REFUSED[kind]
    shards = copy_shards(challenges["plain"], tmp_path).values()
    assert len(writer.trained(shards, 7)) == 7
    change(tmp_path / "trained" / place)
    with pytest.raises(InputError, match=rf"^\S*{re.escape(place)}: {message}$"):
        writer.trained(shards, 7)


def test_a_missing_model_is_named(challenges: dict, run_script: Callable, tmp_path: Path) -> None:
    result = release_copies(
        challenges, run_script, tmp_path, lambda trained: gone(trained / "0-4/model_3")
    )
    assert result.returncode == 1
    assert result.stderr == "error: model_3: missing, in none of the shards\n"
    assert not (tmp_path / "out").exists()


def write_models(folder: Path, count: int) -> list[Path]:
    """Models of different weights, each in a folder."""
    paths = [folder / f"model_{model}" for model in range(count)]
    for model, path in enumerate(paths):
        path.mkdir(parents=True)
        model_files.write_state_dict(path / "model.pt", state_dict(model), False)
    return paths


def test_models_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Not of their names, in which model_10 comes before model_2, nor of the shards."""
    models = write_models(tmp_path / "0-11", 12)
    (tmp_path / "12-12").mkdir()
    models.append(write_models(tmp_path / "other", 1)[0].rename(tmp_path / "12-12/model_12"))
    for shards in ("0-11", "12-12"), ("12-12", "0-11"):
        assert writer.trained([tmp_path / shard for shard in shards], 13) == models


def write_release(directory: Path, models: list[Path]) -> None:
    """Write a challenge of four models."""
    rows = [dict.fromkeys(SPLIT_SEEDS, 1)] * 4
    writer.write(directory, Phases(2, 1, 1), rows, np.zeros((4, 2), bool), models, [])


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_weights_are_copied_where_there_can_be_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    models = write_models(tmp_path / "trained", 4)
    write_release(tmp_path / "linked", models)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    write_release(tmp_path / "copied", models)
    for path in (tmp_path / "linked").rglob("*.*"):
        copied = tmp_path / "copied" / path.relative_to(tmp_path / "linked")
        assert copied.read_bytes() == path.read_bytes()
        assert not copied.samefile(path)
    assert not list(tmp_path.rglob("*.partial"))


def test_releasing_again_leaves_what_was_trained(tmp_path: Path) -> None:
    models = write_models(tmp_path / "trained", 4)
    before = [(path / "model.pt").read_bytes() for path in models]
    for _ in range(2):
        write_release(tmp_path / "released", models)
    shutil.rmtree(tmp_path / "released")
    assert [(path / "model.pt").read_bytes() for path in models] == before


def test_nothing_appears_if_a_model_is_missing(tmp_path: Path) -> None:
    """The directory is renamed into place when it is whole."""
    models = write_models(tmp_path / "trained", 3)
    with pytest.raises(ValueError, match="shorter"):
        write_release(tmp_path / "released", models)
    with pytest.raises(InputError, match=r"model_9: cannot be read"):
        write_release(tmp_path / "released", [*models, tmp_path / "trained/model_9"])
    assert [path.name for path in tmp_path.iterdir()] == ["trained"]


# Weights on disk


def state_dict(seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    shapes = [(128, 5), (128,), (4, 128), (4,)]
    return {name: torch.randn(shape) for name, shape in zip(KEYS, shapes, strict=True)}


@pytest.mark.parametrize("private", [False, True])
def test_model_files_are_the_same_bytes_whatever_their_name(tmp_path: Path, private: bool) -> None:
    """Also when the tensors are views, or transposed in memory."""
    whole = state_dict()
    views = {name: torch.stack([value, value + 1])[0] for name, value in whole.items()}
    turned = {name: value.t().contiguous().t() for name, value in whole.items()}
    for name, one in ("model.pt", whole), ("other.pt", whole), ("x.bin", views), ("t.pt", turned):
        model_files.write_state_dict(tmp_path / name, one, private)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("private", [False, True])
def test_model_files_carry_opacus_prefix_only_on_disk(tmp_path: Path, private: bool) -> None:
    path = tmp_path / "model.pt"
    model_files.write_state_dict(path, state_dict(), private)
    raw = torch.load(path, weights_only=True)
    assert list(raw) == [("_module." if private else "") + key for key in KEYS]
    returned = model_files.read_state_dict(path)
    assert list(returned) == KEYS
    assert all(torch.equal(returned[name], value) for name, value in state_dict().items())


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_models_pickle_is_not_executed(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "executed", tmp_path / "model.pt"
    payload = state_dict() | {"mlp.0.weight": Payload(f"touch {marker}")}
    torch.save(payload, path, _use_new_zipfile_serialization=zipped)
    said = (
        r"model\.pt: cannot be read as a state dict \((other than tensors in it|File is not a zip)"
    )
    with pytest.raises(InputError, match=said):
        model_files.read_state_dict(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)  # the payload works
    assert marker.exists()


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95, 0.999])
def test_truncated_models_are_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "model.pt"
    model_files.write_state_dict(path, state_dict(), True)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=r"model\.pt: cannot be read as a state dict"):
        model_files.read_state_dict(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02."], ids=["empty", "text", "pickle"])
def test_files_that_are_no_models_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: cannot be read as a state dict"):
        model_files.read_state_dict(path)


def test_a_flipped_bit_in_a_weight_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    model_files.write_state_dict(path, state_dict(), False)
    content = bytearray(path.read_bytes())
    content[content.index(state_dict()["mlp.0.weight"].numpy().tobytes()) + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: cannot be read as a state dict"):
        model_files.read_state_dict(path)


@pytest.mark.parametrize(
    "strange",
    [
        lambda value: value.to_sparse(),
        lambda value: value.to("meta"),
        lambda value: torch.zeros(1).expand(10**12),  # a file of a number that fills any memory
        lambda value: value.half(),
        lambda value: value * math.inf,
    ],
    ids=["sparse", "meta", "expanded", "half", "infinite"],
)
def test_tensors_that_are_no_plain_numbers_are_named(
    tmp_path: Path, strange: Callable[[Tensor], Tensor]
) -> None:
    path = tmp_path / "model.pt"
    state = state_dict()
    torch.save(state | {"mlp.0.weight": strange(state["mlp.0.weight"])}, path)
    with pytest.raises(InputError, match=r"mlp\.0\.weight: expected finite float32 numbers$"):
        model_files.read_state_dict(path)


def test_weights_with_and_without_the_prefix_of_opacus_are_two(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    state = state_dict()
    torch.save(state | {"_module.mlp.0.weight": state["mlp.0.weight"] + 1}, path)
    with pytest.raises(InputError, match=r"_module\.mlp\.0\.weight: expected it once"):
        model_files.read_state_dict(path)


def test_missing_models_and_other_content_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match=r"model\.pt: cannot be read as a state dict"):
        model_files.read_state_dict(path)
    for content in torch.zeros(3), [torch.zeros(3)], {1: torch.zeros(3)}, {"epoch": 3}:
        torch.save(content, path)
        with pytest.raises(InputError, match=r"model\.pt: expected a state dict"):
            model_files.read_state_dict(path)


# Phases


def test_phases_number_models_on_from_train_to_final() -> None:
    phases = Phases(3, 2, 2)
    assert phases.models == 7
    assert {phase: phases.of(phase) for phase in PHASES} == PHASES
    assert phases.named() == [(phase, i) for phase, models in PHASES.items() for i in models]


@pytest.mark.parametrize("numbers", [(1, 1, 1), (0, 1, 1), (2, 1, -1), (2, -1, 3)])
def test_phases_refuse_too_few_models(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="at least 2 train models, and no fewer than 0"):
        Phases(*numbers)
