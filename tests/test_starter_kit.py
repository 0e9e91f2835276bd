"""The starter kit of a bundle works with nothing but the bundle, the data, numpy, torch.

What it computes equals what the library does, which it never imports.
"""

import ast
import hashlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

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
    text_challenges,
)
from torch import nn

from mico.attacks.computing import outputs
from mico.attacks.formulas import threshold
from mico.challenge import split_file, splits
from mico.data import store
from mico.data.formats import cifar10_binary
from mico.networks.build import build
from mico.release import bundle, intake, reader
from mico.release.bundle import Track
from mico.scoring import metrics
from mico.scoring.curves import roc
from mico.training import engine


@pytest.fixture(scope="module")
def unzipped(
    tmp_path_factory: pytest.TempPathFactory, run_script: Callable, challenges: dict
) -> Path:
    """The bundle as a participant has it."""
    folder = tmp_path_factory.mktemp("participant")
    public, _ = pack(run_script, challenges, tmp_path_factory.mktemp("packed"))
    with zipfile.ZipFile(public) as opened:
        opened.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def kit(unzipped: Path) -> ModuleType:
    """The program as a module."""
    path = unzipped / "starter_kit" / "starter_kit.py"
    spec = importlib.util.spec_from_file_location("starter_kit", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(release: Path, *arguments: object, code: int = 0) -> str:
    """Run the program where the library cannot be imported; what it printed."""
    program = release / "starter_kit" / "starter_kit.py"
    command = [sys.executable, "-I", "-W", "error", program, "--release", release, *arguments]
    result = subprocess.run(
        list(map(str, command)), cwd=release.parent, capture_output=True, text=True, check=False
    )
    assert result.returncode == code, result.stderr
    return result.stderr if code else result.stdout


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, unzipped: Path, challenges: dict
) -> tuple[Path, str]:
    """The submission of the program, and what it printed."""
    path = tmp_path_factory.mktemp("submission") / "submission.zip"
    data = challenges["plain"].data.directory
    return path, run(unzipped, "--data", data, "--output", path)


def library_scores(one: bundle.Challenge, data: Path) -> np.ndarray:
    """The built-in attack by the loss: log-probabilities (models, 2m)."""
    network = build(one.scenario.architecture, one.data)
    records = engine.load(network, store.read(data), torch.device("cpu"))
    n, m = one.scenario.n, one.scenario.m
    with torch.no_grad():
        signals = outputs.compute(one.directory, PHASES, network, records, n, m)
    return threshold.scores(signals, threshold.Options("loss"))


def tabular_scores(challenges: dict, name: str) -> np.ndarray:
    return library_scores(described(challenges, name), challenges[name].data.directory)


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names)


def test_it_imports_numpy_and_torch_and_for_text_transformers(unzipped: Path) -> None:
    tree = ast.parse((unzipped / "starter_kit" / "starter_kit.py").read_text())
    assert imported(tree.body) == {"numpy", "torch"}
    assert imported(ast.walk(tree)) == {"numpy", "torch", "transformers"}


@pytest.mark.slow
def test_submission_is_accepted_and_holds_the_attack_by_the_loss(
    written: tuple[Path, str], challenges: dict
) -> None:
    accepted = intake.read(written[0], TRACK, dict.fromkeys(NAMES, 20), PHASES)
    for name in NAMES:
        expected = np.exp(tabular_scores(challenges, name))[PHASES.train :]
        np.testing.assert_allclose(accepted[name], expected, rtol=1e-6)


@pytest.mark.slow
def test_submission_has_the_published_names(written: tuple[Path, str]) -> None:
    with zipfile.ZipFile(written[0]) as opened:
        names = opened.namelist()
    assert sorted(names) == [
        f"{TRACK}/{name}/{phase}/model_{model}/prediction.csv"
        for name in NAMES
        for phase, model in PHASES.named()
        if phase != "train"
    ]


@pytest.mark.slow
def test_it_prints_the_score_on_train(written: tuple[Path, str], challenges: dict) -> None:
    for name in NAMES:
        known = split_file.read(challenges[name].organiser / "splits.npz").membership
        train = slice(PHASES.train)
        scores = tabular_scores(challenges, name)[train]
        curve = roc(scores, known[train], np.ones(PHASES.train))
        tpr = metrics.metrics(curve)[metrics.HEADLINE]
        assert f"{name}: 7 models attacked, TPR @ 0.1 FPR on train {tpr:.4f}\n" in written[1]
    assert "plain: 300 records of 37 features\n" in written[1]
    size = written[0].stat().st_size
    assert written[1].splitlines()[-1] == f"{written[0]}: {size:,} bytes, checked"


def test_challenge_points_are_those_of_the_splits(
    kit: ModuleType, unzipped: Path, challenges: dict
) -> None:
    for name in NAMES:
        known = split_file.read(challenges[name].organiser / "splits.npz")
        folders = list(kit.models(unzipped / TRACK / name, "train", "dev", "final"))
        assert [folder.name for folder in folders] == [f"model_{i}" for i in range(7)]
        for model, folder in enumerate(folders):
            points = kit.challenge_points(folder, 300, 10)
            np.testing.assert_array_equal(points, known.challenge[model])
            order = splits.challenge_order(300, challenges[name].seeds[model]["seed_challenge"])
            np.testing.assert_array_equal(points, order[:20])
        train = slice(PHASES.train)
        np.testing.assert_array_equal(
            kit.memberships(unzipped / TRACK / name), known.membership[train]
        )


def test_models_are_read_with_and_without_prefix(
    kit: ModuleType, unzipped: Path, challenges: dict, published_mlp: type[nn.Module]
) -> None:
    x = torch.from_numpy(challenges["plain"].data.features).float()
    for name in NAMES:
        for folder in kit.models(unzipped / TRACK / name, "train", "final"):
            expected = published_mlp(37, 4)
            state = torch.load(folder / "model.pt", weights_only=True)
            expected.load_state_dict({k.replace("_module.", ""): v for k, v in state.items()})
            with torch.no_grad():
                assert torch.equal(kit.load_model(folder)(x), expected(x))


def test_model_of_an_unknown_network(kit: ModuleType, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(SystemExit, match=rf"{tmp_path}: parameters weight, bias: of no network"):
        kit.load_model(tmp_path)


def write_csv(path: Path, data: object, quote: str, inner: str = "") -> None:
    """With quotes around the labels, and around the bits."""
    rows = zip(data.labels, data.features, strict=True)
    between = f"{inner},{inner}"
    text = "".join(
        f"{quote}{label + 1}{quote},{inner}{between.join(map(str, bits))}{inner}\n"
        for label, bits in rows
    )
    path.write_text(text)


@pytest.mark.parametrize(("quote", "inner"), [("", ""), ('"', ""), ('"', '"'), ("", " ")])
def test_data_are_read_from_all_forms(
    kit: ModuleType, challenges: dict, tmp_path: Path, quote: str, inner: str
) -> None:
    data = challenges["plain"].data
    write_csv(tmp_path / "data", data, quote, inner)
    content = (tmp_path / "data").read_bytes()
    windows = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") + b"\r\n"
    (tmp_path / "windows.csv").write_bytes(windows)
    with tarfile.open(tmp_path / "data.tgz", "w:gz") as opened:
        add(opened, "data", content)
    names = ["data", "data.tgz", "windows.csv"]
    for path in *(tmp_path / name for name in names), data.directory:
        features, labels = kit.load_data(path)
        np.testing.assert_array_equal(features, data.features)
        np.testing.assert_array_equal(labels, data.labels)
        assert labels.dtype == np.int64


@pytest.mark.parametrize(
    ("rows", "number"),
    [
        ("1,0,1\n0,1,1\n", 2),  # labels from 0
        ("1,0,1\n2,1\n", 2),
        ("x,0,1\n", 1),
        ("1,0,2\n", 1),
        ("1,0;1\n", 1),
        ("1,00\n", 1),
        ("1\n", 1),
        ("1,0,1\n\n1,0,1\n", 2),
    ],
)
def test_a_row_of_something_else_is_named(
    kit: ModuleType, tmp_path: Path, rows: str, number: int
) -> None:
    (tmp_path / "data").write_text(rows)
    with pytest.raises(SystemExit, match=rf"data: row {number}: expected a label from 1 and then"):
        kit.shokri(tmp_path / "data")


@pytest.mark.slow
def test_data_for_each_challenge_give_the_same_bytes(
    unzipped: Path, written: tuple[Path, str], challenges: dict, tmp_path: Path
) -> None:
    data = challenges["plain"].data
    write_csv(tmp_path / "data", data, '"')
    again = tmp_path / "again.zip"
    run(unzipped, "--data", data.directory, tmp_path / "data", "--output", again)
    assert again.read_bytes() == written[0].read_bytes()


@pytest.mark.slow
def test_what_it_cannot_use_is_said(unzipped: Path, challenges: dict, tmp_path: Path) -> None:
    data = challenges["plain"].data.directory
    output = ("--output", tmp_path / "x.zip")
    message = run(unzipped, "--data", *[data] * 3, *output, code=1)
    assert message == "--data: 3 given, expected one, or 2\n"
    folder = unzipped / TRACK
    message = run(unzipped, "--release", folder, "--data", data, *output, code=1)
    assert message.startswith(f"{folder}: no track.json in it")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["continuous", "tied", "constant", "two values", "perfect"])
@pytest.mark.parametrize("models", [1, 3, 10])
def test_score_is_that_of_the_definition_and_of_the_scorer(
    kit: ModuleType, kind: str, models: int
) -> None:
    rng = np.random.default_rng(models)
    known = rng.permuted(np.tile(np.repeat([False, True], 10), (models, 1)), axis=1)
    noise = rng.random(known.shape)
    predictions = {
        "continuous": noise,
        "tied": noise.round(1),
        "constant": np.full(known.shape, 0.5),
        "two values": noise.round(),
        "perfect": known.astype(float),
    }[kind]
    tpr = kit.tpr_at_fpr(predictions, known)
    curve = roc(predictions, known, np.ones(models))
    assert tpr == pytest.approx(metrics.metrics(curve)[metrics.HEADLINE], abs=1e-12)
    nonmembers, members = predictions[~known], predictions[known]
    allowed = [
        limit for limit in [np.inf, *predictions.flat] if (nonmembers >= limit).sum() <= models
    ]
    assert tpr == (members >= min(allowed)).mean()


# The check


def damaged(source: Path, target: Path, changes: dict[str, str | None]) -> Path:
    """A copy of a submission with files changed, added, or (None) left out."""
    with zipfile.ZipFile(source) as opened:
        rows = {name: opened.read(name).decode() for name in opened.namelist()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, row in (rows | changes).items():
            if row is not None:
                opened.writestr(name, row)
    return target


ROW = ",".join(["0.5"] * 20)
MODEL = f"{TRACK}/plain/dev/model_3/prediction.csv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({MODEL: ROW}, None),
        ({MODEL: ROW + "\r\n"}, None),
        ({MODEL: None}, f"{MODEL}: missing"),
        ({"plain/extra.csv": ROW}, "plain/extra.csv: not expected"),
        ({MODEL: ROW + ",0.5"}, f"{MODEL}: expected one row of 20 numbers"),
        ({MODEL: ROW.replace(",", "\n", 1)}, f"{MODEL}: expected one row of 20 numbers"),
        ({MODEL: ROW.replace("0.5", "1.5", 1)}, f"{MODEL}: expected numbers in [0, 1]"),
        ({MODEL: ROW.replace("0.5", "nan", 1)}, f"{MODEL}: expected numbers in [0, 1]"),
        ({MODEL: ROW.replace("0.5", "inf", 1)}, f"{MODEL}: expected numbers in [0, 1]"),
        ({MODEL: "yes," + ROW}, f"{MODEL}: could not convert string to float: 'yes'"),
        ({MODEL: ""}, f"{MODEL}: expected one row of 20 numbers"),
    ],
)
def test_check_says_what_is_wrong_and_agrees_with_the_intake(
    kit: ModuleType,
    unzipped: Path,
    written: tuple[Path, str],
    tmp_path: Path,
    changes: dict[str, str | None],
    problem: str | None,
) -> None:
    path = damaged(written[0], tmp_path / "x.zip", changes)
    assert kit.check(path, unzipped, kit.read_track(unzipped)) == ([problem] if problem else [])
    if problem:
        with pytest.raises(intake.Rejected):
            intake.read(path, TRACK, dict.fromkeys(NAMES, 20), PHASES)
    else:
        intake.read(path, TRACK, dict.fromkeys(NAMES, 20), PHASES)


@pytest.mark.slow
def test_a_submission_over_the_limit_is_told(
    kit: ModuleType, unzipped: Path, written: tuple[Path, str]
) -> None:
    track = kit.read_track(unzipped)
    assert track["max_bytes"] == 1_234_567
    [problem] = kit.check(written[0], unzipped, track | {"max_bytes": 99})
    assert re.fullmatch(
        rf"{re.escape(str(written[0]))}: [\d,]+ bytes, expected at most 99", problem
    )


# What a participant has may not be what was published.


@pytest.mark.slow
def test_the_folder_may_be_called_anything(
    unzipped: Path, written: tuple[Path, str], challenges: dict, tmp_path: Path
) -> None:
    renamed = tmp_path / "tiny (1)"
    shutil.copytree(unzipped, renamed)
    output = tmp_path / "x.zip"
    run(renamed, "--data", challenges["plain"].data.directory, "--output", output)
    assert output.read_bytes() == written[0].read_bytes()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("tiny/plain/dev/model_3/model.pt", "missing"),
        ("tiny/plain/train/model_0/solution.csv", "not the published file"),
        ("tiny/private/final/model_6", "missing"),
        ("track.json", "not the published file"),
    ],
)
def test_files_that_are_not_the_published_ones_are_named(
    kit: ModuleType, unzipped: Path, tmp_path: Path, name: str, problem: str
) -> None:
    release = tmp_path / "unzipped"
    shutil.copytree(unzipped, release)
    (release / "README.md").write_text("my notes")
    (release / "starter_kit" / "starter_kit.py").write_text("# better")
    (release / TRACK / "plain" / "dev" / "model_3 (copy)").mkdir()
    assert kit.read_track(release)["track"] == TRACK
    changed = release / name
    if problem != "missing":
        changed.write_text(changed.read_text() + " ")
    elif changed.is_dir():
        shutil.rmtree(changed)
    else:
        changed.unlink()
    with pytest.raises(SystemExit) as caught:
        kit.read_track(release)
    *lines, summary = str(caught.value).splitlines()
    assert all(re.fullmatch(rf"{re.escape(str(changed))}.*: {problem}", line) for line in lines)
    assert summary == f"{len(lines)} files: unzip the bundle again"


def test_a_folder_that_is_no_track_is_named(kit: ModuleType, unzipped: Path) -> None:
    with pytest.raises(SystemExit, match=rf"^{unzipped / TRACK}: no track.json in it, expected"):
        kit.read_track(unzipped / TRACK)


def test_other_records_are_refused(kit: ModuleType, unzipped: Path, challenges: dict) -> None:
    """Cut, in another order, or with one bit or label changed."""
    path = challenges["plain"].data.directory
    features, labels = kit.load_data(path)
    expected = kit.read_track(unzipped)["data"]["tiny"]
    kit.check_data(path, expected, features, labels)
    with pytest.raises(SystemExit, match="299 records of 37 features, expected 300 records of 37"):
        kit.check_data(path, expected, features[1:], labels[1:])
    flipped = features.copy()
    flipped[7, 3] ^= 1
    for other in ((features[::-1], labels[::-1]), (flipped, labels), (features, labels[::-1])):
        with pytest.raises(SystemExit, match="but not the published ones in their order"):
            kit.check_data(path, expected, *other)


@pytest.mark.slow
def test_steps_of_the_readme_run(unzipped: Path, challenges: dict, tmp_path: Path) -> None:
    """As written there, within its folder, but for the name of the data set."""
    text = (unzipped / "starter_kit" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert code.count("<data set>") == 1
    steps = code.replace("<data set>", str(challenges["plain"].data.directory))
    steps = steps.replace('"submission.zip"', repr(str(tmp_path / "x.zip")))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", steps],
        cwd=unzipped / "starter_kit",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    tpr, problems = result.stdout.splitlines()
    assert 0 <= float(tpr) <= 1
    assert problems.count("private/") == problems.count(": missing") == 4  # one challenge of two


# Images


@dataclass(frozen=True)
class Mixed:
    """A track as a participant has it, with challenges on images and one on bits."""

    release: Path
    challenges: dict[str, bundle.Challenge]  # in the order of their names
    data: list[Path]  # of each


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, challenges: dict) -> Mixed:
    root = tmp_path_factory.mktemp("mixed")
    ones = image_challenges(root) | {"plain": described(challenges, "plain")}
    bundle.write(root / "mixed.zip", Track(TRACK, list(ones.values()), PHASES, 2_000_000))
    with zipfile.ZipFile(root / "mixed.zip") as opened:
        opened.extractall(root / "participant")
    data = [root / "pictures", root / "pictures", challenges["plain"].data.directory]
    return Mixed(root / "participant", ones, data)


@pytest.mark.slow
def test_track_of_images_and_bits_is_attacked(mixed: Mixed, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    printed = run(mixed.release, "--data", *mixed.data, "--output", path)
    assert "image: 60 records of 3,072 features\n" in printed
    assert "plain: 300 records of 37 features\n" in printed
    accepted = intake.read(path, TRACK, dict.fromkeys(mixed.challenges, 20), PHASES)
    for (name, one), data in zip(mixed.challenges.items(), mixed.data, strict=True):
        expected = np.exp(library_scores(one, data))[PHASES.train :]
        np.testing.assert_allclose(accepted[name], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["image", "image-private"])
def test_logits_of_images_are_the_engines(kit: ModuleType, mixed: Mixed, name: str) -> None:
    one, data = mixed.challenges[name], store.read(mixed.data[0])
    network = build(one.scenario.architecture, one.data)
    encoded = engine.load(network, data, torch.device("cpu")).features[None]
    features, labels = kit.load_data(mixed.data[0])
    np.testing.assert_array_equal(labels, data.labels)
    folders = list(kit.models(mixed.release / TRACK / name, "train", "dev", "final"))
    models = reader.models(one.directory, PHASES, network, torch.device("cpu"))
    for folder, parameters in zip(folders, models, strict=True):
        with torch.no_grad():
            logits = kit.load_model(folder)(kit.to_input(features, vars(one.data)))
            expected = network.logits(parameters, network.inputs(encoded))[0]
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_published_network_of_full_width_is_built(kit: ModuleType, tmp_path: Path) -> None:
    state = kit.CNN(128, 256, 256, 10).state_dict()
    assert sum(value.numel() for value in state.values()) == 973_962
    torch.save(state, tmp_path / "model.pt")
    loaded = kit.load_model(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def batches(kit: ModuleType, mixed: Mixed) -> tuple[list[str], list[bytes]]:
    """The official names in their order, and the pictures as such files, ten in each."""
    features, labels = kit.load_data(mixed.data[0])
    rows = np.column_stack([labels.astype(np.uint8), features.reshape(60, -1)])
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    return names, [part.tobytes() for part in np.split(rows, 6)]


def add(opened: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    member.size = len(content)
    opened.addfile(member, io.BytesIO(content))


def test_official_files_are_read_in_their_order(
    kit: ModuleType, mixed: Mixed, tmp_path: Path
) -> None:
    names, contents = batches(kit, mixed)
    folder, packed = tmp_path / "batches", tmp_path / "cifar-10-binary.tar.gz"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("airplane")
    with tarfile.open(packed, "w:gz") as opened:
        add(opened, "batches.meta.txt", b"airplane")
        for name, content in reversed(list(zip(names, contents, strict=True))):
            add(opened, name, content)
            (folder / name).write_bytes(content)
    features, labels = kit.load_data(mixed.data[0])
    for path, chosen in (
        (folder, slice(None)),
        (packed, slice(None)),
        (folder / names[1], slice(10, 20)),
    ):
        found = kit.load_data(path)
        np.testing.assert_array_equal(found[0], features[chosen])
        np.testing.assert_array_equal(found[1], labels[chosen])
        assert (found[0].dtype, found[1].dtype) == (np.uint8, np.int64)


def test_official_file_is_read_as_the_library_does(
    kit: ModuleType, real_data: Callable[[str], Path]
) -> None:
    batch = real_data("cifar10") / "data_batch_1.bin"
    features, labels = kit.load_data(batch)
    pixels, expected = cifar10_binary.read_files(batch, 10_000, 3072, 10, {batch.name: None})
    np.testing.assert_array_equal(features.reshape(10_000, -1), pixels)
    np.testing.assert_array_equal(labels, expected)
    # The published mean and deviation are of five such batches.
    x = kit.to_input(features, {"mean": cifar10_binary.MEAN, "std": cifar10_binary.STD})
    assert x.mean((0, 2, 3)).abs().max() < 0.02
    assert (x.std((0, 2, 3)) - 1).abs().max() < 0.02


def test_pickled_form_is_not_read(kit: ModuleType, tmp_path: Path) -> None:
    folder, packed = tmp_path / "cifar-10-batches-py", tmp_path / "cifar-10-python.tar.gz"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(b"pickle")
    with tarfile.open(packed, "w:gz") as opened:
        add(opened, "data_batch_1", b"pickle")
    for path in folder, packed:
        with pytest.raises(SystemExit, match=re.escape(f"{path}: no dataset.json in it")):
            kit.load_data(path)


# Text


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    root = tmp_path_factory.mktemp("texts")
    ones = text_challenges(root)
    bundle.write(root / "texts.zip", Track(TRACK, list(ones.values()), PHASES, 2_000_000))
    with zipfile.ZipFile(root / "texts.zip") as opened:
        opened.extractall(root / "participant")
    return Mixed(root / "participant", ones, [root / "reviews"])


@pytest.mark.slow
def test_track_of_text_is_attacked(texts: Mixed, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    printed = run(texts.release, "--data", *texts.data, "--output", path)
    assert "text-private: 60 records of 12 features\n" in printed
    accepted = intake.read(path, TRACK, dict.fromkeys(texts.challenges, 20), PHASES)
    for name, one in texts.challenges.items():
        expected = np.exp(library_scores(one, texts.data[0]))[PHASES.train :]
        np.testing.assert_allclose(accepted[name], expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text", "text-private"])
def test_logits_of_text_are_the_engines(kit: ModuleType, texts: Mixed, name: str) -> None:
    one, data = texts.challenges[name], store.read(texts.data[0])
    network = build(one.scenario.architecture, one.data)
    encoded = engine.load(network, data, torch.device("cpu")).features[None]
    features, labels = kit.load_data(texts.data[0])
    np.testing.assert_array_equal(labels, data.labels)
    folders = kit.models(texts.release / TRACK / name, "train", "dev", "final")
    models = reader.models(one.directory, PHASES, network, torch.device("cpu"))
    for folder, parameters in zip(folders, models, strict=True):
        with torch.no_grad():
            logits = kit.load_model(folder)(kit.to_input(features, vars(one.data)))
            expected = network.logits(parameters, network.inputs(encoded))[0]
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def damaged_data(tmp_path: Path) -> dict[str, Path]:
    """Files and folders that are no data sets, by what is wrong."""
    made = {name: tmp_path / name for name in ("a.tgz", "a.tar.gz", "a.bin", "a.csv", "labels.csv")}
    for name in ("a.tgz", "a.tar.gz", "a.bin"):
        made[name].write_bytes(b"nothing of the kind")
    made["a.csv"].write_bytes(b"1" * 5000 + b",0,1\n")
    made["labels.csv"].write_text("257,0,1\n")
    for name, text in (("text", "{"), ("list", "[]"), ("empty", "{}")):
        folder = made[name] = tmp_path / name
        folder.mkdir()
        (folder / "dataset.json").write_text(text)
        np.save(folder / "features.npy", np.zeros((3, 1), np.uint8))
        np.save(folder / "labels.npy", np.zeros(3, np.uint8))
    return made | {"absent": tmp_path / "absent"}


def test_what_is_no_data_set_is_named(kit: ModuleType, tmp_path: Path) -> None:
    for path in damaged_data(tmp_path).values():
        with pytest.raises(SystemExit) as stopped:
            kit.load_data(path)
        assert str(stopped.value).startswith(f"{path}: ")
        assert len(str(stopped.value).splitlines()) == 1


def test_labels_that_a_byte_cannot_hold_are_not_the_published_ones(kit: ModuleType) -> None:
    """256 more is the same byte."""
    features, labels = np.zeros((2, 3), np.uint8), np.array([0, 1])
    sha256 = hashlib.sha256(labels.astype(np.uint8).tobytes() + features.tobytes()).hexdigest()
    expected = {"records": 2, "features": 3, "sha256": sha256}
    kit.check_data(Path("data"), expected, features, labels)
    with pytest.raises(SystemExit, match="labels 0 to 257, expected 0 to 255"):
        kit.check_data(Path("data"), expected, features, labels + np.array([0, 256]))
    with pytest.raises(SystemExit, match="2 records and 1 labels"):
        kit.check_data(Path("data"), expected, features, labels[:1])


def test_what_macos_adds_to_an_archive_is_passed_over(kit: ModuleType, tmp_path: Path) -> None:
    rows, record = b"2,0,1\n1,1,1\n", bytes([3]) + bytes(3072)
    for name, files in (
        ("a.tgz", {"._dataset": b"\0\5\x16\7", "dataset": rows}),
        ("a.tar.gz", {"b/._test_batch.bin": b"\0\5\x16\7", "b/test_batch.bin": record}),
    ):
        with tarfile.open(tmp_path / name, "w:gz") as archive:
            for inside, content in files.items():
                member = tarfile.TarInfo(inside)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    assert kit.load_data(tmp_path / "a.tgz")[1].tolist() == [1, 0]
    assert kit.load_data(tmp_path / "a.tar.gz")[1].tolist() == [3]


@pytest.mark.parametrize("text", [None, "", "no sum\n", "abc  other\n"])
def test_a_damaged_listing_of_a_track_is_named(
    kit: ModuleType, tmp_path: Path, text: str | None
) -> None:
    (tmp_path / "track.json").write_text("{}")
    if text is not None:
        (tmp_path / "SHA256SUMS").write_text(text)
    with pytest.raises(SystemExit, match=r"SHA256SUMS: .*; unzip the bundle again") as stopped:
        kit.read_track(tmp_path)
    assert len(str(stopped.value).splitlines()) == 1


@pytest.mark.slow
def test_a_submission_that_could_not_be_written_is_told_at_once(
    unzipped: Path, tmp_path: Path
) -> None:
    for output in (tmp_path, tmp_path / "absent" / "submission.zip"):
        told = run(unzipped, "--data", tmp_path, "--output", output, code=1)
        assert told == f"{output}: expected a file in a folder that is there\n"
