"""Data of one's own: what is stored is what arrays, written in each form, held."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from sklearn.datasets import load_breast_cancer, load_digits

from mico.data import store
from mico.data.store import Dataset

Call = Callable[..., None]
CANCER = load_breast_cancer()
DIGITS = load_digits()
PIXELS = (DIGITS.images * 15).astype(np.uint8)  # (1797, 8, 8), of 0 to 240
COLOURED = np.stack([PIXELS, PIXELS[:, ::-1], 255 - PIXELS], axis=-1)  # (1797, 8, 8, 3)


@pytest.fixture
def stored(call: Call, tmp_path: Path) -> Callable[..., Dataset]:
    """Store a file or a folder by the program, with these options, and read it back."""

    def run(raw: Path, form: str, **options: object) -> Dataset:
        folder = tmp_path / "stored"
        text = json.dumps({"format": form} | options)
        call("dataset", "--name", "d", "--options", text, "--raw", raw, "--output", folder)
        return store.read(folder)

    return run


def write_rows(path: Path, rows: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def standard(column: np.ndarray) -> np.ndarray:
    return (column - column.mean()) / column.std()


# Tables


def cancer(path: Path) -> tuple[Path, dict[str, object]]:
    """The breast-cancer data in the form that a file's name says; and the options it needs."""
    names = [str(name) for name in CANCER.feature_names]
    diagnoses = CANCER.target_names[CANCER.target]  # malignant is class 0, and comes last
    if path.suffix == ".npz":
        np.savez(path, x=CANCER.data, y=diagnoses)
        return path, {}
    if path.suffix == ".parquet":
        columns = {name: CANCER.data[:, at] for at, name in enumerate(names)}
        parquet.write_table(pyarrow.table({"label": diagnoses, **columns}), path)
        return path, {}
    delimiter = "\t" if path.suffix == ".tsv" else ","
    rows = [
        [*map(repr, map(float, row)), name]
        for row, name in zip(CANCER.data, diagnoses, strict=True)
    ]
    if path.stem == "headless":
        return write_rows(path, rows, delimiter), {"header": False, "label": -1}
    return write_rows(path, [[*names, "diagnosis"], *rows], delimiter), {"label": "diagnosis"}


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.npz", "headless.csv"])
def test_a_table_is_what_was_written(tmp_path: Path, stored: Callable, name: str) -> None:
    path, options = cancer(tmp_path / name)
    found = stored(path, "table", **options)
    about = found.description
    assert (about.records, about.features, about.classes) == (569, 30, 2)
    assert (about.kind, about.synthetic, about.source) == ("numbers", False, name)
    # In sorted order: scikit-learn has malignant first, which is of as many records.
    assert about.class_names == ["benign", "malignant"]
    np.testing.assert_array_equal(found.labels, 1 - CANCER.target)
    expected = (CANCER.data - CANCER.data.mean(0)) / CANCER.data.std(0)
    assert found.features().dtype == np.float32
    np.testing.assert_allclose(found.features(), expected, rtol=1e-6, atol=1e-6)
    scales = [(one["subtract"], one["divide"]) for one in about.columns]
    np.testing.assert_allclose(scales, np.c_[CANCER.data.mean(0), CANCER.data.std(0)])


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("standard", (CANCER.data - CANCER.data.mean(0)) / CANCER.data.std(0)),
        ("range", (CANCER.data - CANCER.data.min(0)) / np.ptp(CANCER.data, axis=0)),
        ("none", CANCER.data),
    ],
)
def test_numbers_are_scaled_as_asked(
    tmp_path: Path, stored: Callable, scale: str, expected: np.ndarray
) -> None:
    path, options = cancer(tmp_path / "a.npz")
    found = stored(path, "table", scale=scale, **options)
    np.testing.assert_allclose(found.features(), expected, rtol=1e-6, atol=1e-6)


def test_bits_are_packed(tmp_path: Path, stored: Callable) -> None:
    """Of 0 and 1, of booleans and of one-hot texts, unless a scaling is asked for."""
    rows = [["a", "label", "flag", "colour"]]
    rows += [[1, "no", "true", "red"], [0, "yes", "False", "blue"], [1, "no", "TRUE", "red"]]
    rows += [["1.0", "yes", "false", "green"]]
    path = write_rows(tmp_path / "a.csv", rows)
    found = stored(path, "table")
    #            a  flag  blue green red
    expected = [[1, 1, 0, 0, 1], [0, 0, 1, 0, 0], [1, 1, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert found.description.kind == "bits"
    assert found.stored.shape == (4, 1)
    assert found.features().tolist() == expected
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert found.description.columns == [
        {"name": "a", "subtract": 0.0, "divide": 1.0},
        {"name": "flag", "subtract": 0.0, "divide": 1.0},
        {"name": "colour", "texts": ["blue", "green", "red"]},
    ]
    for scale in "standard", "range":
        other = stored(path, "table", scale=scale)
        assert other.description.kind == "numbers"
        scaled = np.array(expected, np.float64)
        if scale == "standard":  # numbers are, texts are not
            scaled[:, :2] = np.stack([standard(scaled[:, at]) for at in (0, 1)], axis=1)
        np.testing.assert_allclose(other.features(), scaled, rtol=1e-6)


def test_columns_of_several_kinds(tmp_path: Path, stored: Callable) -> None:
    """Integers, floats, booleans and texts of a parquet file, by hand."""
    table = {
        "size": [3, 1, 2, 2],
        "price": [0.5, -1.0, 2.5, 2.0],
        "new": [True, False, False, True],
        "town": ["B", "a", "B", "a"],
        "label": [10, 9, 10, 11],
    }
    texts = pyarrow.array(table["town"]).dictionary_encode()
    parquet.write_table(pyarrow.table(table | {"town": texts}), tmp_path / "a.parquet")
    found = stored(tmp_path / "a.parquet", "table")
    columns = [standard(np.array(table[name], np.float64)) for name in ("size", "price", "new")]
    columns += [np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1])]  # B before a
    np.testing.assert_allclose(found.features(), np.stack(columns, axis=1), rtol=1e-6)
    # As numbers, of which 9 comes before 10.
    assert found.description.class_names == ["9", "10", "11"]
    assert found.labels.tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize(
    ("values", "names", "labels"),
    [
        ([0, 1, 2, 1], ["0", "1", "2"], [0, 1, 2, 1]),
        ([1, 2, 3, 1], ["1", "2", "3"], [0, 1, 2, 0]),
        ([-1, 1, 1, -1], ["-1", "1"], [0, 1, 1, 0]),
        ([100, 20, 3, 20], ["3", "20", "100"], [2, 1, 0, 1]),
        ([0.5, 0.25, 0.5, 1.0], ["0.25", "0.5", "1"], [1, 0, 1, 2]),
        (["true", "false", "true", "true"], ["0", "1"], [1, 0, 1, 1]),
        (["b", "B", "a", "b"], ["B", "a", "b"], [2, 0, 1, 2]),
        # Among texts a number is one, and what stands for nothing in other columns is a class.
        (["None", 5, "NA", "None"], ["5", "NA", "None"], [2, 0, 1, 2]),
    ],
)
def test_labels_are_mapped_in_sorted_order(
    tmp_path: Path, stored: Callable, values: list, names: list, labels: list
) -> None:
    rows = [["x", "label"], *zip([1, 2, 3, 4], values, strict=True)]
    found = stored(write_rows(tmp_path / "a.csv", rows), "table")
    assert found.description.class_names == names
    assert found.labels.tolist() == labels


@pytest.mark.parametrize(("label", "others"), [(1, [1, 2]), (2, [0, 2]), (-1, [0, 1]), ("3", None)])
def test_the_label_is_found_by_its_place(
    tmp_path: Path, stored: Callable, label: int | str, others: list[int]
) -> None:
    """From 1, or from the end; where the header has a number, by that as a name."""
    numbers = np.array([[1, 5, 2], [2, 7, 1], [2, 6, 3]])
    rows = numbers.tolist()
    if isinstance(label, str):
        options, rows, others = {}, [["a", "b", "3"], *rows], [0, 1]
    else:
        options = {"header": False}
    path = write_rows(tmp_path / "a.csv", rows)
    found = stored(path, "table", label=label, scale="none", **options)
    assert found.features().tolist() == numbers[:, others].tolist()


ODD = "x,label,town\n1.5,1,a\n,2,b\nNA,1,a\n4.5,2,?\n9,2,b\n3,1,a\n"


def test_what_is_missing_becomes_the_mean_or_is_left_out(tmp_path: Path, stored: Callable) -> None:
    path = tmp_path / "a.csv"
    path.write_text(ODD.replace("?", "c"))
    found = stored(path, "table", missing="mean", scale="none")
    assert found.features()[:, 0].tolist() == [1.5, 4.5, 4.5, 4.5, 9.0, 3.0]
    path.write_text(ODD)
    found = stored(path, "table", missing="drop", scale="none")
    assert found.features().tolist() == [[1.5, 1, 0], [9, 0, 1], [3, 1, 0]]
    assert found.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("\n", "\r\n").rstrip(),
        lambda text: text.replace(",", ", "),
        lambda text: text.replace("a\n", '"a"\n').replace("x", '"x"'),
    ],
)
def test_ends_of_lines_and_marks_do_not_matter(
    tmp_path: Path, stored: Callable, change: Callable[[str], str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(change("x,label\n1,a\n2,b\n3,a\n").encode())
    found = stored(path, "table", scale="none")
    assert found.features().tolist() == [[1], [2], [3]]
    assert found.description.class_names == ["a", "b"]


def test_a_large_table_is_read_in_one_go(tmp_path: Path, stored: Callable) -> None:
    """Of more than pyarrow's usual block of a megabyte, where a column's first rows look whole."""
    rng = np.random.default_rng(1)
    numbers = np.round(rng.normal(size=(20_000, 8)), 6)
    numbers[:15_000, 0] = np.arange(15_000)
    labels = rng.integers(0, 3, 20_000)
    rows = [[*row, label] for row, label in zip(numbers.tolist(), labels.tolist(), strict=True)]
    path = write_rows(tmp_path / "a.csv", [[*"abcdefgh", "label"], *rows])
    assert path.stat().st_size > 1 << 20
    found = stored(path, "table", scale="none")
    np.testing.assert_array_equal(found.features(), numbers.astype(np.float32))
    np.testing.assert_array_equal(found.labels, labels)


# Images


def save_images(root: Path, images: np.ndarray, labels: Sequence[object], ending: str) -> Path:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = root / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:04}.{ending}")
    return root


@pytest.mark.parametrize(("images", "channels"), [(PIXELS, 1), (COLOURED, 3)])
@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("arr_0", "arr_1"), None])
def test_images_of_an_array_are_what_was_written(
    tmp_path: Path, stored: Callable, images: np.ndarray, channels: int, names: tuple | None
) -> None:
    path, options = tmp_path / "a.npz", {}
    if names is None:
        names, options = ("mine", "theirs"), {"array": "mine", "label": "theirs"}
    np.savez(path, **dict(zip(names, (images, DIGITS.target[:, None]), strict=True)))
    found = stored(path, "images", **options)
    whole = images.reshape(len(images), 8, 8, channels)
    about = found.description
    assert (about.kind, about.shape, about.classes) == ("images", (channels, 8, 8), 10)
    assert about.class_names == [str(digit) for digit in range(10)]
    np.testing.assert_array_equal(
        found.features().reshape(-1, channels, 8, 8), np.moveaxis(whole, 3, 1)
    )
    np.testing.assert_array_equal(found.labels, DIGITS.target)
    np.testing.assert_allclose(about.mean, (whole / 255).mean((0, 1, 2)))
    np.testing.assert_allclose(about.std, (whole / 255).std((0, 1, 2)))


@pytest.mark.parametrize(("images", "channels"), [(PIXELS[:60], 1), (COLOURED[:60], 3)])
def test_images_of_folders_are_what_was_written(
    tmp_path: Path, stored: Callable, images: np.ndarray, channels: int
) -> None:
    """Class by class, of which 10 comes after 9; then by the files' names."""
    labels = DIGITS.target[:60] + 1
    root = save_images(tmp_path / "mine", images, labels, "png")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "1" / "Thumbs.db").write_bytes(b"x")
    found = stored(root, "images", mean=[0.5] * channels, std=[0.25] * channels)
    about = found.description
    assert (about.records, about.shape, about.source) == (60, (channels, 8, 8), "mine")
    assert (about.mean, about.std) == ((0.5,) * channels, (0.25,) * channels)
    assert about.class_names == [str(number) for number in range(1, 11)]
    order = sorted(range(60), key=lambda at: (str(labels[at]), at))
    expected = np.moveaxis(images.reshape(60, 8, 8, channels), 3, 1)[order]
    np.testing.assert_array_equal(found.features().reshape(expected.shape), expected)
    np.testing.assert_array_equal(found.labels, labels[order] - 1)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("RGBA", 4)]
)
def test_forms_of_images(tmp_path: Path, stored: Callable, mode: str, channels: int) -> None:
    """As Pillow turns them into grey or colours."""
    base = Image.fromarray(COLOURED[0]).resize((6, 5))
    for label in "ab":
        (tmp_path / "in" / label).mkdir(parents=True)
        for number in range(2):
            image = base.rotate(90 * number).convert(mode)
            image.save(tmp_path / "in" / label / f"{number}.png")
    found = stored(tmp_path / "in", "images", mean=[0] * channels, std=[1] * channels)
    assert found.description.shape == (channels, 5, 6)
    kept = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    expected = np.array(base.convert(mode).convert(kept)).reshape(5, 6, channels)
    np.testing.assert_array_equal(
        found.features()[0].reshape(channels, 5, 6), np.moveaxis(expected, 2, 0)
    )


def test_jpegs_are_what_pillow_reads(tmp_path: Path, stored: Callable) -> None:
    labels = ["dog", "cat"] * 4
    root = save_images(tmp_path / "in", COLOURED[:8], labels, "jpeg")
    found = stored(root, "images")
    assert found.description.class_names == ["cat", "dog"]
    expected = np.array(Image.open(root / "cat" / "0001.jpeg"))
    np.testing.assert_array_equal(found.features()[0].reshape(3, 8, 8), np.moveaxis(expected, 2, 0))


def test_cifar_100_has_fine_labels(tmp_path: Path, stored: Callable) -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 100, (30, 3074), dtype=np.uint8)
    (tmp_path / "test.bin").write_bytes(rows[20:].tobytes())
    (tmp_path / "train.bin").write_bytes(rows[:20].tobytes())
    files = {"train.bin": None, "test.bin": None}
    found = stored(tmp_path, "cifar100-binary", files=files)
    np.testing.assert_array_equal(found.labels, rows[:, 1])
    np.testing.assert_array_equal(found.features(), rows[:, 2:])
    about = found.description
    assert (about.shape, about.classes) == ((3, 32, 32), 100)
    values = rows[:, 2:].reshape(30, 3, 1024) / 255
    np.testing.assert_allclose(about.mean, values.mean((0, 2)))
    np.testing.assert_allclose(about.std, values.std((0, 2)))


# Text

SENTENCES = [
    "a fine film",
    'he said "go, now"',
    "  two\nlines, and a tab\t",
    "caf\u00e9 \U0001f600",
    "NA",
    "12 " + '"' * 3 + 30_000 * "long ",
]
OPINIONS = ["good", "bad", "good", "so-so", "bad", "good"]
BPE = {"tokenizer": "bpe", "vocabulary": 300}


def texts(path: Path) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.table({"text": SENTENCES, "label": OPINIONS}), path)
    elif path.suffix == ".jsonl":
        rows = zip(SENTENCES, OPINIONS, strict=True)
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        rows = [["text", "label"], *zip(SENTENCES, OPINIONS, strict=True)]
        write_rows(path, rows, "\t" if path.suffix == ".tsv" else ",")
    return path


def sentences_of(found: Dataset, folder: Path) -> list[str]:
    import tokenizers

    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return backend.decode_batch(found.features().tolist())


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.jsonl"])
def test_text_is_what_was_written(tmp_path: Path, stored: Callable, name: str) -> None:
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    found = stored(texts(tmp_path / name), "text", **BPE)
    about = found.description
    assert (about.kind, about.records, about.classes) == ("tokens", 6, 3)
    assert about.class_names == ["bad", "good", "so-so"]
    assert found.labels.tolist() == [1, 0, 1, 2, 0, 1]
    assert sentences_of(found, tmp_path / "stored") == SENTENCES
    # As long as the longest sentence, which fills it.
    lengths = (found.features() != about.padding).sum(1)
    assert lengths.max() == about.features
    assert lengths.min() < about.features


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", [True, False])
def test_text_in_lines_of_any_kind(
    tmp_path: Path, stored: Callable, end: str, mark: str, last: bool
) -> None:
    """In a TSV as GLUE writes them a quotation mark is a character like any other."""
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    lines = ["label\tquote", '1\t"an open one', "0\tfine", '1\t"bye" he said', '0\t"last']
    path = tmp_path / "a.tsv"
    path.write_bytes((mark + end.join(lines) + end * last).encode())
    found = stored(path, "text", text="quote", **BPE)
    expected = [line.partition("\t")[2] for line in lines[1:]]
    assert sentences_of(found, tmp_path / "stored") == expected
    assert found.labels.tolist() == [1, 0, 1, 0]


def test_long_text_is_cut_off_only_where_that_is_asked_for(
    tmp_path: Path, stored: Callable
) -> None:
    """After the first tokens, with the special ones at both ends."""
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    path = texts(tmp_path / "a.csv")
    whole = stored(path, "text", **BPE)
    cut = stored(path, "text", features=9, truncate=True, **BPE)
    assert cut.description.features == 9
    end = whole.features()[0][(whole.features()[0] != 1).sum() - 1]
    for long, short in zip(whole.features(), cut.features(), strict=True):
        there = (long != 1).sum()
        expected = long[:9] if there <= 9 else [*long[:8], end]
        assert short.tolist() == list(expected)
    tokenizer = json.loads((tmp_path / "stored" / "tokenizer.json").read_text())
    assert tokenizer["truncation"] is None
