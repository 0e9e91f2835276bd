"""Attack every challenge of a track and write a submission. README.md beside this says more.

pip install numpy torch (and transformers, for text)
python starter_kit.py --release <unzipped bundle> --data <data set> --output submission.zip
"""

import argparse
import hashlib
import importlib.util
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import random_split

Track = dict[str, Any]  # what track.json says
PACKED = (tarfile.TarError, zlib.error)  # what a damaged archive raises besides
Predictions = dict[str, np.ndarray]  # by the model's folder: <challenge>/<phase>/model_<i>

IMAGE = (3, 32, 32)  # channels, rows, columns of CIFAR-10


def attack(model: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """Score the challenge points of a model in [0, 1], higher for members: yours to improve.

    This one takes the loss, which is lower on records that a model was trained on.
    """
    loss = nn.functional.cross_entropy(model(x).double(), y, reduction="none")
    return torch.exp(-loss).numpy()


class MLP(nn.Module):
    """The network for records of bits or numbers."""

    def __init__(self, features: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.mlp(x)
        return logits


class CNN(nn.Module):
    """The network for images; the published one has 128, 256 and 256 channels."""

    def __init__(self, first: int, second: int, third: int, classes: int) -> None:
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(3, first, kernel_size=8, stride=2, padding=3),
            nn.Tanh(),
            nn.MaxPool2d(kernel_size=3, stride=1),
            nn.Conv2d(first, second, kernel_size=3),
            nn.Tanh(),
            nn.Conv2d(second, third, kernel_size=3),
            nn.Tanh(),
            nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(),
            nn.Linear(25 * third, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.cnn(x)
        return logits


class Encoder(nn.Module):
    """The network for sentences, of the library transformers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import AutoModelForSequenceClassification

        self.encoder = AutoModelForSequenceClassification.from_pretrained(folder)

    def forward(self, x: Tensor) -> Tensor:
        there = x != self.encoder.config.pad_token_id
        longest = int(there.sum(1).max())
        output = self.encoder(x[:, :longest], attention_mask=there[:, :longest])
        logits: Tensor = output.logits
        return logits


def load_model(folder: Path, network: nn.Module | None = None) -> nn.Module:
    """Load a model; those trained with differential privacy have a prefix in their keys.

    Args:
        network: takes its weights, where the network is code of the organiser's.
    """
    if (folder / "config.json").exists():
        return Encoder(folder).eval()
    loaded = torch.load(folder / "model.pt", weights_only=True)
    state_dict = {name.removeprefix("_module."): value for name, value in loaded.items()}
    model: nn.Module
    if network is not None:
        model = network
    elif "cnn.0.weight" in state_dict:
        model = CNN(*(len(state_dict[f"cnn.{layer}.bias"]) for layer in (0, 3, 5, 9)))
    elif "mlp.0.weight" in state_dict:
        hidden, features = state_dict["mlp.0.weight"].shape
        model = MLP(features, hidden, len(state_dict["mlp.2.bias"]))
    else:
        raise SystemExit(f"{folder}: parameters {', '.join(state_dict)}: of no network known here")
    model.load_state_dict(state_dict)
    return model.eval()


def make_network(release: Path, challenge: Track) -> nn.Module | None:
    """Run the organiser's code of a challenge's network, and make it; None if it has none.

    Args:
        challenge: what track.json says of it.
    """
    made = challenge.get("network")
    if made is None:
        return None
    if "module" in made:
        code = importlib.import_module(made["module"])
    else:
        spec = importlib.util.spec_from_file_location("organisers_network", release / made["file"])
        assert spec is not None  # as of every .py file
        assert spec.loader is not None
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
    network: nn.Module = getattr(code, made["make"])(**made["arguments"])
    return network


@cache
def load_data(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels (N,) from 0.

    Bits are (N, d) of 0/1, numbers (N, d), images (N, channels, rows, columns) of 0 to 255,
    sentences (N, d) token ids. They are read from the organiser's directory, CIFAR-10's official
    binary files, or Shokri et al.'s CSV.
    """
    try:
        return read_data(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, *PACKED) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SystemExit(f"{path}: not a data set ({reason})") from None


def read_data(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `load_data` gives, with the errors of whatever is wrong with the files."""
    if (path / "dataset.json").exists():
        description = json.loads((path / "dataset.json").read_text(encoding="utf-8"))
        features = np.load(path / "features.npy")
        labels = np.load(path / "labels.npy").astype(np.int64)
        if description.get("kind") == "images":
            return features.reshape(-1, *description["shape"]), labels
        if description.get("kind") in ("tokens", "numbers"):
            return features, labels
        return np.unpackbits(features, axis=1, count=description["features"]), labels
    if path.is_dir() or path.name.endswith((".bin", ".tar.gz")):
        records = cifar10(path)
        return records[:, 1:].reshape(-1, *IMAGE), records[:, 0].astype(np.int64)
    return shokri(path)


def shokri(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, d) of 0/1 and labels (N,) from 0 of Shokri et al.'s CSV, or of a .tgz of it.

    In the file a row's label comes first, from 1; fields may be quoted.
    """
    if path.name.endswith(".tgz"):
        with tarfile.open(path) as archive:
            content = b"".join(in_archive(archive).values())
    else:
        content = path.read_bytes()
    labels: list[int] = []
    features: list[np.ndarray] = []
    lines = content.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()
    for number, line in enumerate(lines, 1):
        label, _, bits = line.replace(b'"', b"").replace(b" ", b"").partition(b",")
        row = np.frombuffer(bits + b",", np.uint8).reshape(-1, 2) if len(bits) % 2 else None
        if (
            row is None
            or not (label.isdigit() and len(label) < 4)
            or not 1 <= int(label) <= 256
            or ((row[:, 0] | 1) != ord("1")).any()
            or (row[:, 1] != ord(",")).any()
            or (features and len(row) != len(features[0]))
        ):
            raise SystemExit(f"{path}: row {number}: expected a label from 1 and then only 0 or 1")
        labels.append(int(label) - 1)
        features.append(row[:, 0] - ord("0"))
    if not features:
        raise SystemExit(f"{path}: empty, expected a row per record")
    return np.stack(features), np.array(labels)


def in_archive(archive: tarfile.TarFile) -> dict[str, bytes]:
    """An archive's files by their paths, without those that macOS adds."""
    members = [one for one in archive if not Path(one.name).name.startswith(".")]
    opened = {one.name: archive.extractfile(one) for one in members if one.isfile()}
    return {name: file.read() for name, file in opened.items() if file}


def check_data(path: Path, expected: Track, features: np.ndarray, labels: np.ndarray) -> None:
    """Stop unless the records are the published ones, in their order.

    Args:
        expected: what track.json says of the data set.
    """
    if not len(features) == len(labels) > 0:
        raise SystemExit(f"{path}: {len(features):,} records and {len(labels):,} labels")
    found = f"{len(labels):,} records of {features[0].size:,} features"
    published = f"{expected['records']:,} records of {expected['features']:,} features"
    if found != published:
        raise SystemExit(f"{path}: {found}, expected {published}")
    if labels.min() < 0 or labels.max() > 255:
        raise SystemExit(f"{path}: labels {labels.min()} to {labels.max()}, expected 0 to 255")
    digest = hashlib.sha256(labels.astype(np.uint8).tobytes())
    digest.update(features.astype(features.dtype.newbyteorder("<")).tobytes())
    if digest.hexdigest() != expected["sha256"]:
        raise SystemExit(f"{path}: {found}, but not the published ones in their order")


def cifar10(path: Path) -> np.ndarray:
    """Records (N, 3073), a label and the pixels, of an official file, directory or .tar.gz."""
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            found = in_archive(archive)
            files = {name: found[name] for name in found if name.endswith(".bin")}
    else:
        paths = path.glob("[!.]*.bin") if path.is_dir() else [path]
        files = {file.name: file.read_bytes() for file in paths}
    if not files:
        raise SystemExit(f"{path}: no dataset.json in it, and no .bin files of CIFAR-10")
    in_order = sorted(files)  # data_batch_1 to 5, test_batch
    parts = [np.frombuffer(files[name], np.uint8).reshape(-1, 3073) for name in in_order]
    return np.concatenate(parts)


def to_input(features: np.ndarray, data: Track) -> Tensor:
    """The inputs of a model: bits, numbers and token ids as they are, images normalised.

    Args:
        data: what track.json says of the data set.
    """
    if features.dtype == np.uint16:
        return torch.from_numpy(features.astype(np.int64))
    x = torch.from_numpy(features).float()
    if x.ndim == 2:
        return x
    mean, std = (torch.tensor(data[name]).view(-1, 1, 1) for name in ("mean", "std"))
    return (x / 255 - mean) / std


def challenge_points(folder: Path, records: int, m: int) -> list[int]:
    """The positions in the data set of a model's 2m challenge points, in challenge order."""
    if (folder / "challenge.csv").exists():  # in the place of a seed
        text = (folder / "challenge.csv").read_text(encoding="utf-8")
        return [int(position) for position in text.split(",")]
    generator = torch.Generator().manual_seed(
        int((folder / "seed_challenge").read_text(encoding="utf-8"))
    )
    positions: Any = range(records)  # of a data set only the length matters here
    challenge, _ = random_split(positions, [2 * m, records - 2 * m], generator)
    return list(challenge.indices)


def read_track(release: Path) -> Track:
    """What track.json says, if all files of the track's challenges are the published ones."""
    if not (release / "track.json").exists():
        raise SystemExit(
            f"{release}: no track.json in it, expected the folder of the unzipped bundle"
        )
    problems = []
    for name, digest in checksums(release).items():
        file = release / name
        if name.startswith(("starter_kit/", "README.md")):
            continue  # yours to change
        if not file.is_file():
            problems.append(f"{file}: missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            problems.append(f"{file}: not the published file")
    if problems:
        raise SystemExit(
            "\n".join([*problems[:10], f"{len(problems):,} files: unzip the bundle again"])
        )
    track: Track = json.loads((release / "track.json").read_text(encoding="utf-8"))
    return track


@cache
def checksums(release: Path) -> dict[str, str]:
    """The published files' SHA-256 sums, by their names below the bundle's folder."""
    listing = release / "SHA256SUMS"
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise SystemExit(f"{listing}: cannot be read ({error}); unzip the bundle again") from None
    if "track.json" not in sums:
        raise SystemExit(f"{listing}: does not list track.json; unzip the bundle again")
    return sums


def challenges(release: Path) -> list[Path]:
    """The challenges of a track, by name."""
    folders = {(release / name).parent for name in checksums(release) if "/model_" in name}
    return sorted({folder.parents[1] for folder in folders})


def models(challenge: Path, *phases: str) -> Iterator[Path]:
    """The folders of a challenge's models, by number."""
    release = challenge.parents[1]
    folders = {(release / name).parent for name in checksums(release) if "/model_" in name}
    own = [folder for folder in folders if folder.parents[1] == challenge]
    for phase in phases:
        of_phase = [folder for folder in own if folder.parent.name == phase]
        yield from sorted(of_phase, key=lambda folder: int(folder.name.removeprefix("model_")))


def memberships(challenge: Path) -> np.ndarray:
    """Who is a member, for all train models: (models, 2m) bool."""
    files = [folder / "solution.csv" for folder in models(challenge, "train")]
    members: np.ndarray = np.stack([np.loadtxt(file, delimiter=",") for file in files]) == 1
    return members


@torch.no_grad()
def predict(
    challenge: Path,
    features: np.ndarray,
    labels: np.ndarray,
    data: Track,
    network: nn.Module | None = None,
) -> Predictions:
    """Attack all models of a challenge.

    Args:
        data: what track.json says of the data set.
        network: as `make_network` makes it.
    """
    m = memberships(challenge).shape[1] // 2
    predictions = {}
    for folder in models(challenge, "train", "dev", "final"):
        points = challenge_points(folder, len(labels), m)
        x, y = to_input(features[points], data), torch.from_numpy(labels[points])
        name = folder.relative_to(challenge.parent).as_posix()
        predictions[name] = attack(load_model(folder, network), x, y)
    return predictions


def tpr_at_fpr(predictions: np.ndarray, members: np.ndarray, fpr: float = 0.1) -> float:
    """The share of members found when at most a share `fpr` of non-members is called members.

    Points whose prediction reaches a threshold are called members. The smallest threshold that
    will do is just above the first non-member that would be one too many.
    """
    nonmembers = np.sort(predictions[~members])[::-1]
    one_too_many = nonmembers[int(fpr * len(nonmembers) + 1e-9)]
    return float((predictions[members] > one_too_many).mean())


def write(path: Path, track: str, predictions: Predictions) -> None:
    """Write the predictions for dev and final models as a submission."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in predictions.items():
            if "/train/" not in name:
                row = ",".join(repr(float(value)) for value in values)
                info = zipfile.ZipInfo(f"{track}/{name}/prediction.csv")
                info.external_attr = 0o644 << 16
                archive.writestr(info, row + "\n", zipfile.ZIP_DEFLATED)


def check(path: Path, release: Path, track: Track) -> list[str]:
    """What is wrong with a submission to a track, one line each."""
    expected = {
        f"{folder.relative_to(release).as_posix()}/prediction.csv": one["points"]
        for name, one in track["challenges"].items()
        for folder in models(release / track["track"] / name, "dev", "final")
    }
    problems, max_bytes = [], track["max_bytes"]
    if path.stat().st_size > max_bytes:
        problems.append(f"{path}: {path.stat().st_size:,} bytes, expected at most {max_bytes:,}")
    with zipfile.ZipFile(path) as archive:
        found = {name for name in archive.namelist() if not name.endswith("/")}
        problems += [f"{name}: missing" for name in sorted(expected.keys() - found)]
        problems += [f"{name}: not expected" for name in sorted(found - expected.keys())]
        for name in sorted(found & expected.keys()):
            try:
                rows = archive.read(name).decode().splitlines()
                values = [float(text) for row in rows for text in row.split(",")]
            except ValueError as error:
                problems.append(f"{name}: {error}")
                continue
            if len(rows) != 1 or len(values) != expected[name]:
                problems.append(f"{name}: expected one row of {expected[name]} numbers")
            if not all(0 <= value <= 1 for value in values):
                problems.append(f"{name}: expected numbers in [0, 1]")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description="Attack a track and write a submission.")
    parser.add_argument("--release", type=Path, required=True, help="the unzipped bundle")
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        help="a data set for all challenges, or one for each, by the challenges' names",
    )
    parser.add_argument("--output", type=Path, required=True, help="submission.zip to write")
    parser.add_argument(
        "--run-network-code",
        action="store_true",
        help="run the files in networks/, code of the organiser's: read them first",
    )
    args = parser.parse_args()

    if args.output.is_dir() or not args.output.absolute().parent.is_dir():
        raise SystemExit(f"{args.output}: expected a file in a folder that is there")
    release = args.release.resolve()
    track = read_track(release)
    found = challenges(release)
    paths = args.data * len(found) if len(args.data) == 1 else args.data
    if len(paths) != len(found):
        raise SystemExit(f"--data: {len(paths)} given, expected one, or {len(found)}")
    predictions: Predictions = {}
    for challenge, path in zip(found, paths, strict=True):
        described = track["challenges"][challenge.name]
        if "network" in described and not args.run_network_code:
            file = release / described["network"]["file"]
            raise SystemExit(
                f"{challenge.name}: its network is code of the organiser's: read {file}, and if you"
                " trust it, run again with --run-network-code"
            )
        features, labels = load_data(path)
        data = track["data"][described["data"]]
        check_data(path, data, features, labels)
        print(f"{challenge.name}: {len(labels):,} records of {features[0].size:,} features")
        network = make_network(release, described)
        own = predict(challenge, features, labels, data, network)
        train = np.stack([values for name, values in own.items() if "/train/" in name])
        tpr = tpr_at_fpr(train, memberships(challenge))
        print(f"{challenge.name}: {len(own)} models attacked, TPR @ 0.1 FPR on train {tpr:.4f}")
        predictions |= own
    write(args.output, track["track"], predictions)
    problems = check(args.output, release, track)
    if problems:
        raise SystemExit("\n".join(problems))
    print(f"{args.output}: {args.output.stat().st_size:,} bytes, checked")


if __name__ == "__main__":
    main()
