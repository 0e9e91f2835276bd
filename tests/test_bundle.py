"""A track's bundle and solutions hold what participants and scorers need, and no secret."""

import hashlib
import json
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from released_tracks import (
    NAMES,
    PHASES,
    TRACK,
    described,
    image_challenges,
    pack,
    packing,
    scenario,
    text_challenges,
)

from mico.challenge import layout
from mico.challenge.phases import Phases
from mico.challenge.seeds import SPLIT_SEEDS
from mico.networks import model_files
from mico.privacy.budget import Privacy
from mico.release import bundle, writer
from mico.release.bundle import Challenge, Track
from mico.support.errors import InputError

MODELS = PHASES.named()


@pytest.fixture(scope="module")
def packed(
    tmp_path_factory: pytest.TempPathFactory, run_script: Callable, challenges: dict
) -> tuple[Path, Path]:
    return pack(run_script, challenges, tmp_path_factory.mktemp("packed"))


@pytest.fixture(scope="module")
def public(packed: tuple[Path, Path]) -> Path:
    return packed[0]


# What is in them


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_bundle_is_the_released_directories_and_a_few_files(challenges: dict, public: Path) -> None:
    expected = {
        f"{TRACK}/{name}/{path.relative_to(challenges[name].directory).as_posix()}"
        for name in NAMES
        for path in challenges[name].directory.rglob("*")
        if path.is_file()
    }
    found = contents(public)
    assert len(expected) == 3 * 5 * 2 + 4 * 2 + 4 * 3
    extra = ["README.md", "SHA256SUMS", "track.json"]
    extra += ["starter_kit/README.md", "starter_kit/starter_kit.py"]
    assert found.keys() == expected | {*extra}
    for name in expected:
        relative = name.removeprefix(f"{TRACK}/")
        assert found[name] == (challenges["plain"].directory.parent / relative).read_bytes()


def test_track_json_says_what_the_data_sets_hold(challenges: dict, public: Path) -> None:
    """The sum is of the labels and then the bits, a byte each."""
    data = challenges["plain"].data
    expected = hashlib.sha256(data.labels.tobytes() + data.features.tobytes()).hexdigest()
    assert json.loads(contents(public)["track.json"]) == {
        "track": TRACK,
        "max_bytes": 1_234_567,
        "challenges": {name: {"data": "tiny", "points": 20} for name in NAMES},
        "data": {"tiny": {"records": 300, "features": 37, "sha256": expected}},
    }


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_sums_check_inside_the_unzipped_folder(public: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(public) as opened:
        opened.extractall(tmp_path)

    def check() -> subprocess.CompletedProcess[str]:
        command = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (check().returncode, check().stdout) == (0, "")
    listed = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert len(listed) == len(contents(public)) - 1  # all but itself
    (tmp_path / "README.md").write_text("other")
    assert check().returncode == 1


def test_solutions_equal_the_memberships(challenges: dict, packed: tuple[Path, Path]) -> None:
    found = contents(packed[1])
    attacked = [(phase, model) for phase, model in MODELS if phase != "train"]
    assert list(found) == [
        f"{TRACK}/{name}/{phase}/model_{model}/solution.csv"
        for name in NAMES
        for phase, model in attacked
    ]
    for name in NAMES:
        known = np.load(challenges[name].organiser / "splits.npz")["membership"]
        for phase, model in attacked:
            content = found[f"{TRACK}/{name}/{phase}/model_{model}/solution.csv"]
            assert re.fullmatch(rb"[01](,[01]){19}\r\n", content)
            np.testing.assert_array_equal([int(v) for v in content.split(b",")], known[model])


def test_solutions_are_written_as_those_of_train(challenges: dict) -> None:
    known = described(challenges, "plain").splits
    path = challenges["plain"].directory / "train/model_1/solution.csv"
    assert bundle.row(known.membership[1]) == path.read_bytes()


def test_packing_again_elsewhere_and_later_gives_the_same_bytes(
    run_script: Callable, challenges: dict, packed: tuple[Path, Path], tmp_path: Path
) -> None:
    moved = {}
    for name in NAMES:
        directory = tmp_path / "elsewhere" / name
        shutil.copytree(challenges[name].directory, directory, copy_function=shutil.copyfile)
        for path in directory.rglob("*"):
            path.chmod(0o700)
        shutil.copy(challenges[name].checksums, directory.with_suffix(".sha256"))
        checksums = directory.with_suffix(".sha256")
        moved[name] = replace(challenges[name], directory=directory, checksums=checksums)
    again = pack(run_script, moved, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in packed]


def test_order_of_the_challenges_does_not_reach_the_solutions(
    challenges: dict, packed: tuple[Path, Path], tmp_path: Path
) -> None:
    ones = [described(challenges, name) for name in reversed(NAMES)]
    bundle.write_solutions(tmp_path / "other.zip", Track(TRACK, ones, PHASES, 1))
    assert (tmp_path / "other.zip").read_bytes() == packed[1].read_bytes()


# The data card


@pytest.fixture(scope="module")
def card(public: Path) -> str:
    return contents(public)["README.md"].decode()


def row(card: str, name: str) -> list[str]:
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_card_says_how_each_challenge_was_made(card: str) -> None:
    expected = {
        "": ["plain", "private"],
        "scenario": ["S-plain", "S-private"],
        "data set": ["tiny", "tiny"],
        "its records, N": ["300", "300"],
        "records in a training set, n": ["150", "150"],
        "challenge points, 2m": ["20", "20"],
        "models": ["3 train, 2 dev, 2 final"] * 2,
        "network": ["mlp", "mlp"],
        "optimizer": ["adam", "adam"],
        "epochs": ["6", "6"],
        "batch size": ["16", "16 expected"],
        "steps": ["60", "60"],
        "learning rate": ["0.01, times 0.9 after every 2 epochs"] * 2,
        "differential privacy": ["none", "DP-SGD"],
        "sample rate": ["", "0.1"],
        "noise multiplier": ["", "0.7"],
        "clipping norm": ["", "2.6"],
    }
    assert {name: row(card, name) for name in expected} == expected
    assert "train 0 to 2, dev 3 to 4, final 5 to 6" in card
    assert "in train; private: in dev and final too" in card
    assert "at most 1,234,567 bytes" in card
    assert "`mlp.0.weight` (128, 37)" in card
    assert "5,380 parameters" in card
    assert "$" not in card


def test_card_says_all_of_a_recipe(challenges: dict) -> None:
    changes = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    changes |= {"lr_schedule": "cosine", "lr_decay": 1.0, "warmup_epochs": 2.5}
    changes |= {"label_smoothing": 0.1, "horizontal_flip": True, "crop_padding": 4}
    known = described(challenges, "private")
    changed = replace(known.scenario, clipping="automatic", **changes)
    facts = bundle._facts([replace(known, scenario=changed)], PHASES)
    expected = {
        "optimizer": ["sgd, Nesterov momentum 0.9, weight decay 0.0005"],
        "learning rate": ["0.01, along half a cosine to 0, after a warm-up of 2.5 epochs"],
        "label smoothing": ["0.1"],
        "augmentation": ["horizontal flip, random crop with 4 black pixels around"],
        "clipping norm": ["2.6, automatic: every gradient times 2.6 / (its norm + 0.01)"],
    }
    assert {name: row(facts, name) for name in expected} == expected


def test_seeds_that_are_known_make_no_bundle_without_a_word(
    run_script: Callable, challenges: dict, tmp_path: Path
) -> None:
    result, paths = packing(run_script, challenges, tmp_path, "--seeds", "known")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    for part in ("tiny.zip: not made", "seeds: random", "seeds_are_public: true"):
        assert part in result.stderr
    assert not list(tmp_path.iterdir())
    given = ("--seeds", "known", "--public-seeds")
    result, paths = packing(run_script, challenges, tmp_path, *given)
    assert result.returncode == 0, result.stderr
    card = contents(paths[0])["README.md"].decode()
    assert card.splitlines()[4].startswith("> **PUBLIC SEEDS**: anyone can compute")


def test_the_card_says_where_memberships_come_from(challenges: dict, card: str) -> None:
    assert "No seed gives them" not in " ".join(card.split())
    ones = [described(challenges, "plain")]
    text = bundle.data_card(Track(TRACK, ones, PHASES, 1, full_entropy=True))
    assert "Of dev and final models this is so for the seeds" in text
    assert "No seed gives them." in " ".join(text.split())
    assert "$" not in text


def test_the_card_of_secret_seeds_does_not_call_them_public(card: str) -> None:
    assert "PUBLIC SEEDS" not in card


def test_card_gives_the_budget(challenges: dict) -> None:
    one = described(challenges, "private")
    one = replace(one, privacy=Privacy(1 / 10, 60, 0.7071234, 3.97, 1e-5))
    one = replace(one, scenario=replace(one.scenario, epsilon=4))
    text = bundle.data_card(Track(TRACK, [one], PHASES, 1))
    assert row(text, "ε, the target") == ["4"]
    assert row(text, "ε spent") == ["3.97"]
    assert row(text, "δ") == ["1e-05"]
    assert row(text, "noise multiplier") == ["0.707123"]


def test_card_says_at_the_top_that_data_are_synthetic(challenges: dict, card: str) -> None:
    assert card.splitlines()[2].startswith("> **SYNTHETIC DATA** (tiny)")
    one = described(challenges, "plain")
    one = replace(one, data=replace(one.data, synthetic=False, source="real.tgz"))
    text = bundle.data_card(Track(TRACK, [one], PHASES, 1))
    assert "synthetic" not in text.lower()
    assert "from real.tgz" in text
    assert text.splitlines()[2].startswith("A membership-inference challenge")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Challenge]:
    return image_challenges(tmp_path_factory.mktemp("images"))


def test_card_of_images(images: dict[str, Challenge]) -> None:
    text = bundle.data_card(Track(TRACK, list(images.values()), PHASES, 1))
    assert row(text, "network") == ["cnn/32", "cnn/64"]
    assert "- pictures: 60 images of 3 x 32 x 32 values from 0 to 255 (channels, rows, c" in text
    weights = "`cnn.0.weight` (4, 3, 8, 8), `cnn.0.bias` (4,), `cnn.3.weight` (8, 4, 3, 3)"
    assert f"- image: cnn/32, 3,662 parameters: {weights}" in text
    assert "- image-private: cnn/64, 1,620 parameters: `cnn.0.weight` (2, 3, 8, 8)" in text
    assert "(10, 100), `cnn.9.bias` (10,); keys begin with `_module.`" in text
    assert "mean = (0.49139968, 0.48215841, 0.44653091)" in text
    assert "std = (0.24703223, 0.24348513, 0.26158784)" in text
    assert text.count("AvgPool2d") == 1
    assert "mlp" not in text
    assert "binary" not in text
    assert "$" not in text


def test_card_of_bits_and_images(challenges: dict, images: dict[str, Challenge]) -> None:
    ones = [images["image"], described(challenges, "plain")]
    text = bundle.data_card(Track(TRACK, ones, PHASES, 1))
    assert row(text, "data set") == ["pictures", "tiny"]
    assert row(text, "network") == ["cnn/32", "mlp"]
    assert "> **SYNTHETIC DATA** (pictures, tiny)" in text
    assert "- tiny: 300 records of 37 binary features, 4 classes" in text
    assert "- pictures: 60 images of " in text
    assert text.count("`cnn`, or `cnn/k`") == text.count("`mlp`: Linear") == 1


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Challenge]:
    return text_challenges(tmp_path_factory.mktemp("texts"))


def test_card_of_text(texts: dict[str, Challenge]) -> None:
    text = bundle.data_card(Track(TRACK, list(texts.values()), PHASES, 1))
    assert row(text, "network") == ["roberta-tiny", "transformers/small-bert"]
    assert "- reviews: 60 sentences of at most 12 tokens, special ones included, 2 classes;" in text
    assert (
        "- text: roberta-tiny, 289,026 parameters: RobertaForSequenceClassification, 2 layers of"
        " 128 features with 2 heads and 256 features between, 40 tokens, padding is token 1;"
        in text
    )
    assert "- text-private: transformers/small-bert, 11,042 parameters: BertForSequenceCl" in text
    assert "2 layers of 24 features with 3 heads and 36 features between, 40 tokens" in text
    assert text.count("`AutoModelForSequenceClassification.from_pretrained(<folder>)`") == 1
    assert "| `…/config.json` |" in text
    assert "| `…/model.safetensors` |" in text
    assert "model.pt" not in text
    assert "secret place" not in text
    assert "$" not in text


def test_card_of_bits_and_text(challenges: dict, texts: dict[str, Challenge]) -> None:
    ones = [texts["text"], described(challenges, "plain")]
    text = bundle.data_card(Track(TRACK, ones, PHASES, 1))
    for name in "model.pt", "config.json", "model.safetensors":
        assert text.count(f"| `…/{name}` |") == 1
    assert text.count("`AutoModelForSequence") == text.count("`mlp`: Linear") == 1


# Walking it for secrets


def test_all_entries_look_alike(packed: tuple[Path, Path]) -> None:
    """No times, owners, comments or extra fields that could tell one file from another."""
    for path in packed:
        with zipfile.ZipFile(path) as opened:
            infos = opened.infolist()
            assert opened.comment == b""
        assert [info.filename for info in infos] == sorted(info.filename for info in infos)
        looks = {
            (i.date_time, i.external_attr, i.create_system, i.compress_type, i.comment, i.extra)
            for i in infos
        }
        assert looks == {((1980, 1, 1, 0, 0, 0), 0o100644 << 16, 3, 0, b"", b"")}
        size = sum(30 + 46 + 2 * len(i.filename) + i.file_size for i in infos)
        assert path.stat().st_size == size + 22  # nothing between or after them


def test_model_files_look_alike_inside(public: Path, tmp_path: Path) -> None:
    for name in NAMES:
        looks = set()
        for path, content in contents(public).items():
            if path.startswith(f"{TRACK}/{name}/") and path.endswith("model.pt"):
                (tmp_path / "model.pt").write_bytes(content)
                with zipfile.ZipFile(tmp_path / "model.pt") as opened:
                    looks.add(
                        tuple((i.filename, i.date_time, i.file_size) for i in opened.infolist())
                    )
        assert len(looks) == 1


def forms(value: int) -> Iterator[bytes]:
    yield str(value).encode()
    yield b"%x" % value
    yield struct.pack("<q", value)
    yield struct.pack(">q", value)


def row_forms(members: np.ndarray) -> Iterator[bytes]:
    for separator in (",", ", ", " ", "\n", ""):
        yield separator.join(str(int(value)) for value in members).encode()
    for kind in ("?", "<i8", "<f4"):
        yield members.astype(kind).tobytes()


def test_nothing_withheld_is_in_the_bundle(challenges: dict, public: Path) -> None:
    """Entries are stored, those of model.pt too, so the bundle's own bytes can be searched."""
    content = public.read_bytes()
    told = 0
    for challenge in challenges.values():
        known = np.load(challenge.organiser / "splits.npz")["membership"]
        for phase, model in MODELS:
            given = layout.seed_files(phase, challenge.disclosed)
            for kind, value in challenge.seeds[model].items():
                found = any(form in content for form in forms(value))
                assert found == (kind in given), (kind, model)
                told += found
            found = any(form in content for form in row_forms(known[model]))
            assert found == (phase == "train"), model
    assert told == 2 * 3 * 3 + 4 * 1 + 4 * 2  # the search finds what is there


def test_nothing_of_this_machine_is_in_either_zip(
    challenges: dict, packed: tuple[Path, Path]
) -> None:
    root = challenges["plain"].directory.parents[1]
    words = {str(root), root.name, root.parents[0].name, str(Path.home()), str(Path.cwd())}
    words |= {str(path.parent) for path in packed} | {"/tmp/", "/home/", "organiser/", ".npz"}
    for path in packed:
        content = path.read_bytes()
        assert not [word for word in words if len(word) > 4 and word.encode() in content]


# Refusals


Plant = Callable[[Path, object], object]  # given the path, and the fixture's challenge


def put_seed(model: int, kind: str) -> Plant:
    """Write a seed of that model and kind."""
    return lambda path, challenge: path.write_text(f"{challenge.seeds[model][kind]}\n")


def append(content: bytes) -> Plant:
    return lambda path, _: path.write_bytes(path.read_bytes() + content)


def move_from(name: str) -> Plant:
    return lambda path, challenge: (path.parents[1] / name).rename(path)


def copy_of(name: str) -> Plant:
    """Overwrite with another file of the released challenge."""
    return lambda path, challenge: shutil.copy(challenge.directory / name, path)


def remove(path: Path, _: object) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def replace_by_folder(path: Path, _: object) -> None:
    path.unlink()
    path.mkdir()


def replace_by_link(path: Path, challenge: object) -> None:
    remove(path, challenge)
    (original,) = challenge.directory.rglob(str(Path(*path.parts[path.parts.index("dev") :])))
    path.symlink_to(original)


def save(change: Callable[[dict], dict]) -> Plant:
    """Save the model's changed state dict as `mico.networks.model_files` writes it."""

    def do(path: Path, _: object) -> None:
        changed = change(torch.load(path, weights_only=True))
        with path.open("wb") as file:
            torch.save(changed, file)

    return do


def save_all(change: Callable[[dict], dict]) -> Plant:
    """The same change in every model, so that none is unlike the others."""
    return lambda path, _: [save(change)(one, _) for one in path.parents[2].rglob("model.pt")]


def rezip(date: tuple[int, ...] | None = None, comment: bytes = b"") -> Plant:
    """Write a model's entries again, with other times or with a comment."""

    def do(path: Path, _: object) -> None:
        with zipfile.ZipFile(path) as opened:
            infos = [(info, opened.read(info)) for info in opened.infolist()]
        with zipfile.ZipFile(path, "w") as rewritten:
            for info, content in infos:
                rewritten.writestr(zipfile.ZipInfo(info.filename, date or info.date_time), content)
            rewritten.comment = comment

    return do


NOT_PUBLISHED = "no part of the published form"
NOT_ITS_SEED = "not the seed of the organiser's splits"
HOLDS_MORE = "holds more than the parameters"
BIAS = "mlp.2.bias"

# What is planted: where, how, and why the bundle is refused; the message begins with the place.
PLANTED: dict[str, tuple[str, Plant, str]] = {
    "solution of a dev model": (
        "plain/dev/model_3/solution.csv",
        copy_of("train/model_0/solution.csv"),
        NOT_PUBLISHED,
    ),
    "undisclosed seed": (
        "plain/final/model_5/seed_training",
        put_seed(5, "seed_training"),
        NOT_PUBLISHED,
    ),
    "membership where training is disclosed": (
        "private/dev/model_4/seed_membership",
        put_seed(4, "seed_membership"),
        NOT_PUBLISHED,
    ),
    "training's seed of a train model": (
        "plain/train/model_0/seed_model",
        put_seed(0, "seed_model"),
        NOT_PUBLISHED,
    ),
    "private file": (
        "plain/splits.npz",
        lambda path, challenge: shutil.copy(challenge.organiser / "splits.npz", path),
        NOT_PUBLISHED,
    ),
    "predictions": (
        "plain/train/model_1/prediction.csv",
        lambda path, _: path.write_text("0,1\n"),
        NOT_PUBLISHED,
    ),
    "hidden file": ("plain/dev/.members", lambda path, _: path.write_text("1\n"), NOT_PUBLISHED),
    "number of no model": ("plain/dev/model_7", move_from("dev/model_3"), NOT_PUBLISHED),
    "number of another phase": ("plain/train/model_4", move_from("dev/model_4"), NOT_PUBLISHED),
    "number with a zero": ("plain/dev/model_04", move_from("dev/model_4"), NOT_PUBLISHED),
    "empty folder": ("plain/test", lambda path, _: path.mkdir(), NOT_PUBLISHED),
    "folder for a file": ("plain/dev/model_3/model.pt", replace_by_folder, NOT_PUBLISHED),
    "link to a file": ("plain/dev/model_3/model.pt", replace_by_link, NOT_PUBLISHED),
    "link to a folder": ("plain/dev/model_3", replace_by_link, NOT_PUBLISHED),
    "missing model": ("plain/final/model_6", remove, "missing"),
    "missing file": ("plain/train/model_2/solution.csv", remove, "missing"),
    "missing challenge": ("plain", remove, "missing"),
    "membership under another name": (
        "plain/dev/model_3/seed_challenge",
        put_seed(3, "seed_membership"),
        NOT_ITS_SEED,
    ),
    "membership under a disclosed name": (
        "private/dev/model_3/seed_training",
        put_seed(3, "seed_membership"),
        NOT_ITS_SEED,
    ),
    "another model's membership": (
        "plain/train/model_0/seed_membership",
        put_seed(3, "seed_membership"),
        NOT_ITS_SEED,
    ),
    "another model's solution": (
        "plain/train/model_0/solution.csv",
        copy_of("train/model_1/solution.csv"),
        "not the memberships",
    ),
    "two numbers in a seed file": (
        "plain/dev/model_3/seed_challenge",
        append(b"1011\n"),
        "expected an integer",
    ),
    "blanks in a seed file": (
        "plain/dev/model_3/seed_challenge",
        append(b" \t \t\t"),
        "expected a decimal number and a newline",
    ),
    "number beside the tensors": (
        "plain/dev/model_3/model.pt",
        save(lambda state: {**state, "epoch": 3}),
        "expected a state dict",
    ),
    "tensor besides the parameters": (
        "plain/train/model_0/model.pt",
        save_all(lambda state: {**state, "members": torch.ones(20)}),
        "parameters .*members.*, expected",
    ),
    "double precision": (
        "plain/dev/model_3/model.pt",
        save(lambda state: {name: value.double() for name, value in state.items()}),
        "expected finite float32",
    ),
    "another order of parameters": (
        "plain/dev/model_3/model.pt",
        save(lambda state: dict(reversed(state.items()))),
        HOLDS_MORE,
    ),
    "another layout of a parameter": (
        "plain/dev/model_3/model.pt",
        save(lambda state: {name: value.t().contiguous().t() for name, value in state.items()}),
        HOLDS_MORE,
    ),
    "flag of a parameter": (
        "plain/dev/model_3/model.pt",
        save(lambda state: {**state, BIAS: state[BIAS].requires_grad_()}),
        HOLDS_MORE,
    ),
    "numbers behind a parameter": (
        "plain/dev/model_3/model.pt",
        save(lambda state: {**state, BIAS: torch.cat([state[BIAS], torch.ones(9)])[:4]}),
        HOLDS_MORE,
    ),
    "prefix of DP without DP": (
        "plain/train/model_0/model.pt",
        save_all(lambda state: {f"_module.{name}": value for name, value in state.items()}),
        HOLDS_MORE,
    ),
    "times in a model": (
        "plain/dev/model_3/model.pt",
        rezip((2022, 11, 10, 9, 8, 6)),
        HOLDS_MORE,
    ),
    "comment in a model": ("plain/dev/model_3/model.pt", rezip(comment=b"1011"), HOLDS_MORE),
    "bytes before a model": (
        "plain/dev/model_3/model.pt",
        lambda path, _: path.write_bytes(b"1011" + path.read_bytes()),
        f"{HOLDS_MORE}|cannot be read",
    ),
}


@pytest.fixture
def copied(challenges: dict, tmp_path: Path) -> Path:
    for name in NAMES:
        shutil.copytree(challenges[name].directory, tmp_path / "challenge" / name)
        shutil.copy(challenges[name].checksums, tmp_path / "challenge")
    return tmp_path / "challenge"


def write_from(root: Path, challenges: dict, **changes: object) -> Path:
    """Write the bundle of the copied directories; the first described otherwise."""
    ones = [
        replace(
            described(challenges, name), directory=root / name, checksums=root / f"{name}.sha256"
        )
        for name in NAMES
    ]
    ones[0] = replace(ones[0], **changes)
    output = root.parent / "out" / "tiny.zip"
    output.parent.mkdir()
    bundle.write(output, Track(TRACK, ones, PHASES, 1_234_567))
    return output


def assert_refused(root: Path, challenges: dict, message: str, **changes: object) -> None:
    with pytest.raises(InputError, match=message) as refused:
        write_from(root, challenges, **changes)
    assert "\n" not in str(refused.value)
    assert list((root.parent / "out").iterdir()) == []


def test_undamaged_copies_are_packed(challenges: dict, public: Path, copied: Path) -> None:
    """Snakemake's own mark, which the rule leaves in its output, stays out."""
    (copied / "plain" / ".snakemake_timestamp").touch()
    assert write_from(copied, challenges).read_bytes() == public.read_bytes()


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_secrets_are_refused_whatever_the_checksums_say(
    challenges: dict, copied: Path, kind: str
) -> None:
    place, plant, message = PLANTED[kind]
    plant(copied / place, challenges[place.split("/")[0]])
    for name in NAMES:
        writer.write_checksums(copied / name, copied / f"{name}.sha256")
    assert_refused(copied, challenges, rf"{place}\b.*({message})")


def test_a_tampered_model_is_refused_by_its_checksum(challenges: dict, copied: Path) -> None:
    """The weights of another model are a model, but not this one's."""
    path = copied / "plain/dev/model_3/model.pt"
    shutil.copy(copied / "plain/dev/model_4/model.pt", path)
    assert_refused(copied, challenges, r"dev/model_3/model\.pt: not the file that its checksum")


def test_a_damaged_model_is_refused(challenges: dict, copied: Path) -> None:
    path = copied / "plain/dev/model_3/model.pt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert_refused(copied, challenges, r"dev/model_3/model\.pt: cannot be read")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.split("\n", 1)[1], r"plain\.sha256: plain/dev/model_3/model\.pt: "),
        (lambda text: text + "0" * 64 + "  plain/x\n", r"plain\.sha256: plain/x: "),
        (lambda text: text.upper(), r"plain\.sha256: damaged \(line 1: expected a SHA-256 sum"),
        (lambda text: "\n" + text, r"plain\.sha256: damaged \(line 1: expected a SHA-256 sum"),
        (lambda text: "", r"plain\.sha256: plain/dev/model_3/model\.pt: "),
    ],
)
def test_other_lists_of_checksums_are_refused(
    challenges: dict, copied: Path, change: Callable[[str], str], message: str
) -> None:
    path = copied / "plain.sha256"
    path.write_text(change(path.read_text()))
    assert_refused(copied, challenges, message)


def test_missing_checksums_are_refused(challenges: dict, copied: Path) -> None:
    (copied / "plain.sha256").unlink()
    assert_refused(copied, challenges, r"plain\.sha256: cannot be read")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"track": "other"}, "track is other, expected tiny"),
        ({"challenge": "other"}, "challenge is plain, expected other"),
        ({"data": "other"}, "data is tiny, expected other"),
        ({"disclosed": ("seed_training",)}, "dev/model_3/seed_training: missing"),
        ({"null_run": True}, "a null run has no members to find"),
    ],
)
def test_a_scenario_that_is_not_the_challenges_is_refused(
    challenges: dict, copied: Path, changes: dict, message: str
) -> None:
    other = replace(described(challenges, "plain").scenario, **changes)
    assert_refused(copied, challenges, message, scenario=other)


def test_what_is_disclosed_is_refused_where_it_is_not(challenges: dict, copied: Path) -> None:
    shutil.rmtree(copied / "plain")
    (copied / "private").rename(copied / "plain")
    one = described(challenges, "private")
    undisclosed = replace(one.scenario, challenge="plain", disclosed=())
    message = f"dev/model_3/seed_training: {NOT_PUBLISHED}"
    assert_refused(copied, challenges, message, scenario=undisclosed, splits=one.splits)


def test_other_numbers_of_models_are_refused(challenges: dict, tmp_path: Path) -> None:
    one = described(challenges, "plain")
    with pytest.raises(InputError, match="models is 7, expected 8"):
        bundle.write(tmp_path / "x.zip", Track(TRACK, [one], Phases(3, 3, 2), 1))
    with pytest.raises(InputError, match=f"train/model_3: {NOT_PUBLISHED}|dev/model_3"):
        bundle.write(tmp_path / "x.zip", Track(TRACK, [one], Phases(4, 1, 2), 1))
    assert list(tmp_path.iterdir()) == []


def test_other_challenges_splits_are_refused(challenges: dict, copied: Path) -> None:
    splits = described(challenges, "private").splits
    assert_refused(
        copied, challenges, f"train/model_0/seed_challenge: {NOT_ITS_SEED}", splits=splits
    )


def test_program_refuses_in_one_line_and_writes_nothing(
    run_script: Callable, challenges: dict, tmp_path: Path
) -> None:
    one = challenges["plain"]
    right = asdict(scenario("plain", (), None))
    wrong = right | {"disclosed": ["seed_membership"]}
    arguments = ["--track", TRACK, "--challenges", one.directory, "--checksums", one.checksums]
    arguments += ["--splits", one.organiser / "splits.npz"]
    arguments += ["--data", one.data.directory, "--phases", 3, 2, 2, "--max-bytes", 9]
    arguments += ["--seeds", "random"]
    arguments += ["--output", tmp_path / "a.zip", "--solutions", tmp_path / "b.zip", "--privacy"]
    path = one.organiser / "privacy.json"
    for told, given, message in (
        (wrong, [path], r"--scenarios: disclosed: 0: 'seed_membership' is not one of"),
        (right | {"null_run": True}, [path], "a null run has no members to find"),
        (right, [path, path], "--privacy: 2 given"),
    ):
        result = run_script("bundle", *arguments, *given, "--scenarios", json.dumps([told]))
        assert result.returncode == 1
        assert re.fullmatch(rf"error: .*{message}.*\n", result.stderr)
    assert list(tmp_path.iterdir()) == []


# Models of images


@pytest.fixture
def copied_images(images: dict[str, Challenge], tmp_path: Path) -> dict[str, Challenge]:
    shutil.copytree(images["image"].directory.parent, tmp_path / "challenge")
    shutil.copytree(images["image"].checksums.parent, tmp_path / "checksums")
    return {
        name: replace(
            one,
            directory=tmp_path / "challenge" / name,
            checksums=tmp_path / "checksums" / f"{name}.sha256",
        )
        for name, one in images.items()
    }


def write_track(ones: dict[str, Challenge]) -> Path:
    path = next(iter(ones.values())).directory.parents[1] / "out" / "tiny.zip"
    path.parent.mkdir()
    bundle.write(path, Track(TRACK, list(ones.values()), PHASES, 1))
    return path


def test_models_of_images_are_packed(copied_images: dict[str, Challenge]) -> None:
    found = contents(write_track(copied_images))
    for name, one in copied_images.items():
        path = one.directory / "final/model_6/model.pt"
        assert found[f"{TRACK}/{name}/final/model_6/model.pt"] == path.read_bytes()


NOT_ITS_PARAMETERS = "parameters .*, expected .*cnn.0.weight"
IMAGES_PLANTED: dict[str, tuple[Plant, str]] = {
    "another width": (copy_of("../image-private/dev/model_3/model.pt"), NOT_ITS_PARAMETERS),
    "names of the other network": (
        save(lambda state: {k.replace("cnn", "mlp"): v for k, v in state.items()}),
        NOT_ITS_PARAMETERS,
    ),
    "missing bias": (
        save(lambda state: {k: v for k, v in state.items() if k != "cnn.5.bias"}),
        NOT_ITS_PARAMETERS,
    ),
    "tensor besides the parameters": (
        save(lambda state: {**state, "cnn.10.weight": torch.ones(20)}),
        NOT_ITS_PARAMETERS,
    ),
    "another shape": (
        save(lambda state: {**state, "cnn.9.weight": state["cnn.9.weight"].t().contiguous()}),
        NOT_ITS_PARAMETERS,
    ),
    "channels last in memory": (
        save(
            lambda state: {
                **state,
                "cnn.3.weight": state["cnn.3.weight"].to(memory_format=torch.channels_last),
            }
        ),
        HOLDS_MORE,
    ),
    "prefix of DP without DP": (
        save(lambda state: {f"_module.{name}": value for name, value in state.items()}),
        HOLDS_MORE,
    ),
}


@pytest.mark.parametrize("kind", IMAGES_PLANTED)
def test_what_are_not_the_parameters_for_images_is_refused(
    images: dict[str, Challenge], copied_images: dict[str, Challenge], kind: str
) -> None:
    plant, message = IMAGES_PLANTED[kind]
    one = copied_images["image"]
    plant(one.directory / "dev/model_3/model.pt", images["image"])
    writer.write_checksums(one.directory, one.checksums)
    with pytest.raises(InputError, match=rf"dev/model_3/model\.pt: .*{message}") as refused:
        write_track(copied_images)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("cnn/64", r"train/model_0/model\.pt: parameters .*, expected"),
        ("mlp", "architecture 'mlp': data set .* holds images, expected bits or numbers"),
    ],
)
def test_images_of_a_scenario_with_another_network_are_refused(
    copied_images: dict[str, Challenge], architecture: str, message: str
) -> None:
    one = copied_images["image"]
    other = replace(one.scenario, architecture=architecture)
    copied_images["image"] = replace(one, scenario=other)
    with pytest.raises(InputError, match=message):
        write_track(copied_images)


# Models of text


@pytest.fixture
def copied_texts(texts: dict[str, Challenge], tmp_path: Path) -> dict[str, Challenge]:
    shutil.copytree(texts["text"].directory.parent, tmp_path / "challenge")
    shutil.copytree(texts["text"].checksums.parent, tmp_path / "checksums")
    return {
        name: replace(
            one,
            directory=tmp_path / "challenge" / name,
            checksums=tmp_path / "checksums" / f"{name}.sha256",
        )
        for name, one in texts.items()
    }


def test_models_of_text_are_packed_without_the_place_of_their_checkpoint(
    copied_texts: dict[str, Challenge],
) -> None:
    path = write_track(copied_texts)
    found = contents(path)
    for name, one in copied_texts.items():
        for file in "config.json", "model.safetensors":
            expected = (one.directory / "final/model_6" / file).read_bytes()
            assert found[f"{TRACK}/{name}/final/model_6/{file}"] == expected
        assert f"{TRACK}/{name}/final/model_6/model.pt" not in found
    assert b"secret place" not in path.read_bytes()


def save_tensors(change: Callable[[dict], dict], **metadata: str) -> Plant:
    """Save a model's changed tensors as `mico.networks.transformer` writes them."""

    def do(path: Path, _: object) -> None:
        from safetensors.torch import load_file, save_file

        changed = change({name: value.clone() for name, value in load_file(path).items()})
        save_file(changed, path, metadata={"format": "pt", **metadata})

    return do


CLASSIFIER = "classifier.out_proj.bias"
TEXTS_PLANTED: dict[str, tuple[str, Plant, str]] = {
    "another number of the configuration": (
        "config.json",
        lambda path, _: path.write_text(path.read_text().replace("0.02", "0.03")),
        HOLDS_MORE,
    ),
    "entry of the configuration": (
        "config.json",
        lambda path, _: path.write_text(path.read_text().replace("{", '{"members": "1011",', 1)),
        HOLDS_MORE,
    ),
    "blanks in the configuration": ("config.json", append(b" \t\n"), HOLDS_MORE),
    "no configuration": ("config.json", remove, "missing"),
    "file of another form": ("model.pt", copy_of("train/model_0/config.json"), NOT_PUBLISHED),
    "pickled form": ("pytorch_model.bin", copy_of("train/model_0/config.json"), NOT_PUBLISHED),
    "metadata of the weights": (
        "model.safetensors",
        save_tensors(dict, members="1011"),
        HOLDS_MORE,
    ),
    "bytes after the weights": (
        "model.safetensors",
        append(b"1011"),
        "cannot be read as safetensors",
    ),
    "tensor besides the parameters": (
        "model.safetensors",
        save_tensors(lambda state: {**state, "members": torch.ones(20)}),
        r"parameter members: \(20,\), expected none",
    ),
    "missing parameter": (
        "model.safetensors",
        save_tensors(lambda state: {k: v for k, v in state.items() if k != CLASSIFIER}),
        f"parameter {CLASSIFIER}: missing",
    ),
    "no numbers": (
        "model.safetensors",
        save_tensors(lambda state: {**state, CLASSIFIER: state[CLASSIFIER] / 0}),
        "expected finite float32 numbers",
    ),
}


@pytest.mark.parametrize("kind", TEXTS_PLANTED)
def test_what_are_not_the_parameters_for_text_is_refused(
    texts: dict[str, Challenge], copied_texts: dict[str, Challenge], kind: str
) -> None:
    name, plant, message = TEXTS_PLANTED[kind]
    one = copied_texts["text"]
    plant(one.directory / "dev/model_3" / name, texts["text"])
    writer.write_checksums(one.directory, one.checksums)
    with pytest.raises(InputError, match=rf"dev/model_3/{name}: .*({message})") as refused:
        write_track(copied_texts)
    assert "\n" not in str(refused.value)


def test_weights_of_all_models_are_those_released(challenges: dict, public: Path) -> None:
    """The check of models is not too strict: what passes has DP's prefix or has not."""
    for name in NAMES:
        raw = torch.load(challenges[name].directory / "dev/model_3/model.pt", weights_only=True)
        assert all(key.startswith(model_files.OPACUS_PREFIX) == (name == "private") for key in raw)
    assert set(SPLIT_SEEDS) <= {name.rsplit("/", 1)[-1] for name in contents(public)}
