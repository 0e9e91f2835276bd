"""Data sets: read right or refused, with the file and the row named; downloads are checked."""

import codecs
import functools
import gzip
import hashlib
import http.server
import io
import json
import re
import shutil
import socket
import subprocess
import tarfile
import threading
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import programs
import pytest
import yaml

from mico.data import store
from mico.data.checksums import CHECKS, verify
from mico.data.formats import cifar10_binary, cifar10_synthetic, purchase100_synthetic
from mico.data.formats.labelled_bits import read_csv
from mico.data.registry import formats
from mico.data.store import Description
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]

Result = subprocess.CompletedProcess

# Three records of ten features (not a whole number of bytes) in four classes.
ROWS = ["1,0,1,1,0,0,0,0,1,0,1", "4,1,1,1,1,1,1,1,1,1,1", "2,0,0,0,0,0,0,0,0,0,1"]
SHAPE = (3, 10, 4)
LABELS = [0, 3, 1]


def text_of(rows) -> bytes:
    return "".join(f"{row}\n" for row in rows).encode()


def tgz(*members) -> bytes:
    """An archive of (name, content); a content that is a str is the type of a special member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = content.encode(), "elsewhere"
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def naive(rows) -> list[list[int]]:
    return [[int(field) for field in row.replace('"', "").split(",")[1:]] for row in rows]


def quoted_label(row) -> str:
    label, rest = row.split(",", 1)
    return f'"{label}",{rest}'


def quoted(row) -> str:
    return ",".join(f'"{field}"' for field in row.split(","))


@pytest.mark.parametrize("quote", [str, quoted_label, quoted])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["data.csv", "data", "data.tgz", "data.tar.gz"])
def test_file_is_read(tmp_path, name, quote, end) -> None:
    content = "".join(quote(row) + end for row in ROWS).encode()
    path = tmp_path / name
    path.write_bytes(tgz(("dataset", content)) if "gz" in name else content)
    packed, labels, _ = read_csv(path, *SHAPE)
    assert packed.shape == (3, 2)
    assert packed.dtype == labels.dtype == np.uint8
    assert np.unpackbits(packed, axis=1)[:, :10].tolist() == naive(ROWS)
    assert not (packed[:, 1] & 0b111111).any()  # the bits beyond the last feature
    assert labels.tolist() == LABELS
    assert list(tmp_path.iterdir()) == [path]  # nothing is extracted


@pytest.mark.parametrize("features", [1, 7, 8, 9, 64, 65])
def test_bits_survive_storing(tmp_path, features) -> None:
    rng = np.random.default_rng(features)
    rows = [
        f"{rng.integers(1, 257)}," + ",".join(map(str, rng.integers(0, 2, features)))
        for _ in range(50)
    ]
    (tmp_path / "data.csv").write_bytes(text_of(rows))
    packed, labels, _ = read_csv(tmp_path / "data.csv", 50, features, 256)
    description = Description("d", 50, features, 256, synthetic=False, source="data.csv")
    store.write(tmp_path / "stored", description, packed, labels)
    stored = store.read(tmp_path / "stored")
    assert stored.description == store.describe(tmp_path / "stored") == description
    assert stored.features().tolist() == naive(rows)
    chosen = np.array([30, 2, 2])
    assert stored.features(chosen).tolist() == [naive(rows)[i] for i in chosen]
    assert stored.labels.tolist() == [int(row.split(",")[0]) - 1 for row in rows]


def test_last_line_may_lack_its_end(tmp_path) -> None:
    (tmp_path / "data.csv").write_bytes(text_of(ROWS).rstrip(b"\n"))
    assert read_csv(tmp_path / "data.csv", *SHAPE)[1].tolist() == LABELS


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("4,1,1,1,1,1,1,1,1,1", "10 fields, expected 11"),
        ("4,1,1,1,1,1,1,1,1,1,1,1", "12 fields, expected 11"),
        ("", "0 fields, expected 11"),
        ("4;1;1", "1 fields, expected 11"),
        ("4,1,2,1,1,1,1,1,1,1,1", "field 3: '2', expected 0 or 1"),
        ("4,1,,1,1,1,1,1,1,1,1", "field 3: '', expected 0 or 1"),
        ("4,1,01,1,1,1,1,1,1,1,1", "field 3: '01', expected 0 or 1"),
        ("4,1,10,1,1,1,1,1,1,1,1", "field 3: '10', expected 0 or 1"),
        ("4,1, 1,1,1,1,1,1,1,1,1", "field 3: ' 1', expected 0 or 1"),
        ("4,1,1,1,1,1,1,1,1,1,1 ", "field 11: '1 ', expected 0 or 1"),
        ("4,1,-,1,1,1,1,1,1,1,1", "field 3: '-', expected 0 or 1"),
        # As long as ten features, but not ten features.
        ("4,1,,01,1,1,1,1,1,1,1", "field 3: '', expected 0 or 1"),
        ("4,1,10,,1,1,1,1,1,1,1", "field 3: '10', expected 0 or 1"),
        ("0,1,1,1,1,1,1,1,1,1,1", "label '0', expected 1 to 4"),
        ("5,1,1,1,1,1,1,1,1,1,1", "label '5', expected 1 to 4"),
        ("-1,1,1,1,1,1,1,1,1,1,1", "label '-1', expected 1 to 4"),
        ("2.0,1,1,1,1,1,1,1,1,1,1", "label '2.0', expected 1 to 4"),
        (",1,1,1,1,1,1,1,1,1,1", "label '', expected 1 to 4"),
        ("four,1,1,1,1,1,1,1,1,1,1", "label 'four', expected 1 to 4"),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "data.tgz"])
def test_bad_row_is_named(tmp_path, name, row, message) -> None:
    content = text_of([ROWS[0], row, ROWS[2]])
    path = tmp_path / name
    path.write_bytes(tgz(("dataset", content)) if "gz" in name else content)
    with pytest.raises(InputError, match=re.escape(f"{path}: row 2") + ".*" + re.escape(message)):
        read_csv(path, *SHAPE)


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("name", ["data.csv", "data.tgz"])
def test_file_with_too_few_rows(tmp_path, capsys, name, count) -> None:
    content = text_of(ROWS[:count])
    path = tmp_path / name
    path.write_bytes(tgz(("dataset", content)) if "gz" in name else content)
    with pytest.raises(InputError, match=f"{re.escape(str(path))}: {count} rows, expected 3"):
        read_csv(path, *SHAPE)
    assert "3 of 3" not in capsys.readouterr().err  # nor does the progress claim them


@pytest.mark.parametrize("extra", [ROWS[0], "junk"])
def test_file_with_too_many_rows(tmp_path, extra) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text_of([*ROWS, extra]))
    with pytest.raises(InputError, match=re.escape(f"{path}: row 4: expected 3 rows")):
        read_csv(path, *SHAPE)


def test_file_cut_within_a_row(tmp_path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(text_of(ROWS)[:-5])
    with pytest.raises(InputError, match=re.escape(f"{path}: row 3: 9 fields, expected 11")):
        read_csv(path, *SHAPE)


@pytest.mark.parametrize("name", ["data.csv", "data.tgz"])
@pytest.mark.parametrize("byte", ["\u00e9", "\u0661"])  # Latin; an Arabic digit one
def test_text_that_is_not_ascii(tmp_path, name, byte) -> None:
    content = text_of([ROWS[0], ROWS[1].replace("4", byte), ROWS[2]])
    path = tmp_path / name
    path.write_bytes(tgz(("dataset", content)) if "gz" in name else content)
    with pytest.raises(InputError, match=re.escape(f"{path}: row 2: ")):
        read_csv(path, *SHAPE)


GOOD = text_of(ROWS)
BIG_SHAPE = (2000, 20, 9)


def big_tgz() -> bytes:
    """So many random bits that gzip needs several blocks, the rows of a file of BIG_SHAPE."""
    bits = np.random.default_rng(1).integers(0, 2, BIG_SHAPE[:2])
    return tgz(("dataset", text_of("1," + ",".join(map(str, row)) for row in bits)))


@pytest.mark.parametrize(
    "content",
    [
        tgz(("folder", tarfile.DIRTYPE.decode())),
        tgz(("link", tarfile.SYMTYPE.decode())),
        tgz(("link", tarfile.LNKTYPE.decode())),
        tgz(("device", tarfile.CHRTYPE.decode())),
        tgz(),
        tgz(("dataset", GOOD), ("another", GOOD)),
        GOOD,
        b"",
        b"PK\x03\x04",
    ],
    ids=["folder", "symlink", "link", "device", "none", "two", "csv", "", "zip"],
)
def test_archive_that_is_not_of_one_file(tmp_path, content) -> None:
    path = tmp_path / "data.tgz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{path}: ")):
        read_csv(path, *SHAPE)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_archive_that_is_cut_off(tmp_path, part) -> None:
    path = tmp_path / "data.tgz"
    content = big_tgz()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match=re.escape(f"{path}: ")):
        read_csv(path, *BIG_SHAPE)


def test_archive_with_a_flipped_bit(tmp_path) -> None:
    """Wherever the bit is, the file is refused: gzip ends in a check of what it holds."""
    path = tmp_path / "data.tgz"
    content = big_tgz()
    places = np.linspace(10, len(content) - 1, 60).astype(int)  # 10: the header says little
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=re.escape(f"{path}: ")):
            read_csv(path, *BIG_SHAPE)


def test_file_that_is_missing(tmp_path) -> None:
    for name in ("absent.csv", "absent.tgz"):
        with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: cannot be read")):
            read_csv(tmp_path / name, *SHAPE)
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}: cannot be read")):
        read_csv(tmp_path, *SHAPE)


# Known answers: "abc" of FIPS 180 and RFC 1321, and `printf abc | git hash-object --stdin`.
ABC = {
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "git_blob": "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f",
}


@pytest.mark.parametrize("kind", ABC)
def test_checksum(tmp_path, kind) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    verify(path, [f"{kind}={ABC[kind]}"])
    path.write_bytes(b"abd")
    expected = f"{re.escape(str(path))}: {kind} is [0-9a-f]+, expected {ABC[kind]}"
    with pytest.raises(InputError, match=expected):
        verify(path, [f"{kind}={ABC[kind]}"])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, (1 << 20) + 1])
def test_git_blob_is_gits(tmp_path, size) -> None:
    """Also of files that are read in several blocks."""
    path = tmp_path / "file"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    command = ["git", "hash-object", "--no-filters", str(path)]
    expected = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    verify(path, [f"git_blob={expected}"])


def test_every_checksum_counts(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    checks = [f"{kind}={digest}" for kind, digest in ABC.items()]
    verify(path, checks)
    verify(path, [])
    for place, kind in enumerate(ABC):
        wrong = [*checks[:place], checks[place][:-1] + "0", *checks[place + 1 :]]
        with pytest.raises(InputError, match=f"a name: {kind} is"):
            verify(path, wrong, name="a name")


@pytest.mark.parametrize("check", ["sha1=a9993e364706816aba3e25717850c26c9cd0d89d", "", "abc"])
def test_unknown_kind_of_checksum(tmp_path, check) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    with pytest.raises(InputError, match=f"'{check}'.*sha256, md5, git_blob"):
        verify(tmp_path / "file", [check])


def test_checksum_of_a_missing_file(tmp_path) -> None:
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'absent'}: cannot be read")):
        verify(tmp_path / "absent", [f"md5={ABC['md5']}"])


def truncate(path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def set_content(path, content) -> None:
    path.write_bytes(content)


def set_array(path, shape, kind) -> None:
    np.save(path, np.zeros(shape, kind))


def set_kind(path, kind) -> None:
    path.write_text(path.read_text().replace('"bits"', f'"{kind}"'))


@pytest.mark.parametrize(
    ("name", "damage", "arguments"),
    [
        ("features.npy", Path.unlink, ()),
        ("features.npy", truncate, ()),
        ("features.npy", set_content, (b"",)),
        ("features.npy", set_content, (b"no array",)),
        ("features.npy", set_array, ((2, 2), "uint8")),
        ("features.npy", set_array, ((3, 3), "uint8")),
        ("features.npy", set_array, ((3, 2), "float64")),
        ("labels.npy", Path.unlink, ()),
        ("labels.npy", truncate, ()),
        ("labels.npy", set_content, (b"",)),
        ("labels.npy", set_array, ((2,), "uint8")),
        ("labels.npy", set_array, ((3,), "float64")),
        ("dataset.json", Path.unlink, ()),
        ("dataset.json", set_content, (b"",)),
        ("dataset.json", set_content, (b"[]",)),
        ("dataset.json", set_content, (b'{"name": "d"}',)),
        ("dataset.json", set_content, (b"\xff\xfe",)),
        ("dataset.json", set_kind, ("images",)),  # then features.npy is too narrow
        ("dataset.json", set_kind, ("words",)),
    ],
)
def test_damaged_stored_data_set(tmp_path, name, damage, arguments) -> None:
    description = Description("d", 3, 10, 4, synthetic=False, source="data.csv")
    arrays = np.zeros((3, 2), np.uint8), np.zeros(3, np.uint8)
    store.write(tmp_path / "stored", description, *arrays)
    store.read(tmp_path / "stored")
    damage(tmp_path / "stored" / name, *arguments)
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "stored"))) as caught:
        store.read(tmp_path / "stored")
    if name.endswith("npy"):  # not the other file, which is as it should be
        assert name in str(caught.value)


@pytest.mark.parametrize("features", [1, 8, 12])
def test_images_survive_storing(tmp_path, features) -> None:
    """As they are, a byte each; what is read is the reader's own, to write to."""
    pixels = np.random.default_rng(features).integers(0, 256, (50, features), dtype=np.uint8)
    labels = np.arange(50, dtype=np.uint8) % 3
    about = {"shape": (1, 1, features), "mean": (0.5,), "std": (0.25,)}
    description = Description("d", 50, features, 3, True, "s", kind="images", **about)
    store.write(tmp_path / "stored", description, pixels, labels)
    stored = store.read(tmp_path / "stored")
    assert stored.description == description
    assert stored.stored.tolist() == pixels.tolist()
    chosen = np.array([30, 2, 2])
    for indices in slice(None), slice(5, 9), chosen:
        found = stored.features(indices)
        assert found.dtype == np.uint8
        assert found.tolist() == pixels[indices].tolist()
        found += 1
    assert stored.features().tolist() == pixels.tolist()
    wider = np.zeros((50, features + 1), np.uint8)
    np.save(tmp_path / "stored" / "features.npy", wider)
    (tmp_path / "stored" / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=re.escape(f"expected shape {(50, features)} of uint8")):
        store.read(tmp_path / "stored")


def test_data_set_stored_before_there_were_images(tmp_path) -> None:
    description = Description("d", 3, 10, 4, synthetic=False, source="data.csv")
    store.write(tmp_path / "stored", description, np.zeros((3, 2), np.uint8), np.zeros(3, np.uint8))
    path = tmp_path / "stored" / "dataset.json"
    fields = json.loads(path.read_text())
    assert fields.pop("kind") == "bits"
    path.write_text(json.dumps(fields))
    (tmp_path / "stored" / "SHA256SUMS").unlink()
    assert store.read(tmp_path / "stored").features().shape == (3, 10)


def test_data_set_stored_before_there_was_text(tmp_path) -> None:
    """Of bits, the description has stayed what it was."""
    description = Description("d", 3, 10, 4, synthetic=False, source="data.csv")
    store.write(tmp_path / "d", description, np.zeros((3, 2), np.uint8), np.zeros(3, np.uint8))
    assert (tmp_path / "d" / "dataset.json").read_text() == (
        '{\n  "name": "d",\n  "records": 3,\n  "features": 10,\n  "classes": 4,\n'
        '  "synthetic": false,\n  "source": "data.csv",\n  "kind": "bits"\n}\n'
    )
    assert store.describe(tmp_path / "d") == description


@pytest.mark.parametrize(
    ("shape", "mean", "std"),
    [
        (None, None, None),
        ((1, 2, 5), None, None),
        ((1, 2, 6), (0.5,), (0.25,)),
        ((10,), (0.5,), (0.25,)),
        ((2, 1, 5), (0.5,), (0.25,)),
        ((1, 2, 5), (0.5, 0.5), (0.25,)),
        ((1, 2, 5), (0.5,), (0.0,)),
        ((1, 2, 5), (float("nan"),), (0.25,)),
        ((1, 2, 5), ("a",), (0.25,)),
        ((-1, 2, -5), (0.5,), (0.25,)),
    ],
)
def test_images_without_their_shape_or_normalisation(tmp_path, shape, mean, std) -> None:
    about = {"shape": shape, "mean": mean, "std": std}
    description = Description("d", 3, 10, 4, False, "s", kind="images", **about)
    store.write(tmp_path / "d", description, np.zeros((3, 10), np.uint8), np.zeros(3, np.uint8))
    with pytest.raises(InputError, match=r"dataset.json: shape, .*: expected those of images"):
        store.read(tmp_path / "d")


def test_numbers_survive_storing(tmp_path) -> None:
    """To the bit; what is read is the reader's own, to write to, and none is infinite."""
    numbers = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    description = Description("d", 5, 3, 2, False, "s", kind="numbers")
    labels = np.array([0, 1, 1, 0, 1], np.uint8)
    store.write(tmp_path / "d", description, numbers, labels)
    stored = store.read(tmp_path / "d")
    assert stored.description == description
    for indices in slice(None), slice(1, 3), np.array([4, 0, 0]):
        found = stored.features(indices)
        assert found.dtype == np.float32
        assert found.tolist() == numbers[indices].tolist()
        found += 1
    numbers[3, 1] = np.inf
    store.write(tmp_path / "e", description, numbers, labels)
    with pytest.raises(InputError, match=r"features.npy: expected finite numbers$"):
        store.read(tmp_path / "e")


TOKENS = np.array([[0, 70, 65_000, 2], [0, 300, 2, 1], [0, 2, 1, 1]], np.uint16)


def store_tokens(directory, ids=TOKENS, vocabulary=65_001, padding=1) -> Description:
    settings = {"kind": "tokens", "vocabulary": vocabulary, "padding": padding}
    description = Description("d", 3, 4, 2, synthetic=True, source="s", **settings)
    labels = np.array([1, 0, 1], np.uint8)
    store.write(directory, description, ids, labels, {"tokenizer.json": '"\u00e9"'})
    return description


def test_tokens_survive_storing(tmp_path) -> None:
    """With the tokenizer; what is read is the reader's own, to write to."""
    description = store_tokens(tmp_path / "stored")
    stored = store.read(tmp_path / "stored")
    assert stored.description == store.describe(tmp_path / "stored") == description
    for indices in slice(None), slice(1, 3), np.array([2, 0, 0]):
        found = stored.features(indices)
        assert found.dtype == np.uint16
        assert found.tolist() == TOKENS[indices].tolist()
        found += 1
    assert stored.labels.tolist() == [1, 0, 1]
    assert (tmp_path / "stored" / "tokenizer.json").read_bytes() == '"\u00e9"'.encode()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TOKENS, 65_000), "features.npy: expected tokens below 65000, as dataset.json says"),
        ((TOKENS, 0), "features.npy: expected tokens below 0"),
        ((TOKENS, 65_001, 65_001), "features.npy: expected tokens below 65001"),
        ((TOKENS[:, :3], 65_001), "shape (3, 3) of uint16, expected shape (3, 4) of uint16"),
        ((TOKENS.astype(np.int64), 65_001), "of int64, expected shape (3, 4) of uint16"),
        ((TOKENS.astype(np.uint8), 65_001), "of uint8, expected shape (3, 4) of uint16"),
    ],
)
def test_damaged_tokens(tmp_path, arguments, message) -> None:
    store_tokens(tmp_path / "stored", *arguments)
    with pytest.raises(InputError, match=re.escape(message)):
        store.read(tmp_path / "stored")


def test_missing_stored_data_set(tmp_path) -> None:
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "absent"))):
        store.read(tmp_path / "absent")


def run_dataset(run, tmp_path, raw=None, **options) -> Result:
    """Store a data set of so many records of bits, or what else the options say."""
    base = {"format": "labelled-bits", "records": 3, "features": 10, "classes": 4}
    given = ("--options", json.dumps(base | options), *(("--raw", raw) if raw else ()))
    return run("dataset", "--name", "d", *given, "--output", tmp_path / "out" / "data")


@pytest.mark.slow
def test_program_stores_a_file(tmp_path) -> None:
    raw = tmp_path / "data.tgz"
    raw.write_bytes(tgz(("dataset", GOOD)))
    sha256 = hashlib.sha256(raw.read_bytes()).hexdigest()
    result = run_dataset(programs.run_process, tmp_path, raw, sha256=sha256)
    assert result.returncode == 0, result.stderr
    stored = store.read(tmp_path / "out" / "data")
    expected = Description("d", 3, 10, 4, synthetic=False, source="data.tgz")
    assert stored.description == expected
    assert stored.features().tolist() == naive(ROWS)
    assert stored.labels.tolist() == LABELS
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "data"]


DOTTED = '''"""Lines of a label, a dot and bits."""

import numpy as np

from mico.data.raw import Raw

SUMMARY = "a line for each record: its label, a dot, its bits"
KINDS = ("bits",)


def read(options, raw):
    pairs = [line.split(".") for line in raw.read_text().splitlines()]
    bits = np.array([[int(bit) for bit in text] for _, text in pairs], np.uint8)
    labels = np.array([int(label) for label, _ in pairs], np.uint8)
    return Raw(np.packbits(bits, axis=1), labels, raw.name, "bits", 4, features=10)
'''


@pytest.mark.slow
def test_one_file_is_a_format(tmp_path) -> None:
    """A checkout with one more module stores a data set of the new format."""
    copy = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "mico" / "data" / "formats" / "dotted_lines.py").write_text(DOTTED)
    raw = tmp_path / "data.txt"
    raw.write_text("0.0110000101\n3.1111111111\n1.0000000001\n")

    run_copy = functools.partial(programs.run_process, scripts=copy)
    result = run_dataset(run_copy, tmp_path, raw, format="dotted-lines")
    assert (result.returncode, result.stderr) == (0, "")
    stored = store.read(tmp_path / "out" / "data")
    assert stored.description == Description("d", 3, 10, 4, False, source="data.txt")
    assert stored.features().tolist() == [
        [0, 1, 1, 0, 0, 0, 0, 1, 0, 1],
        [1] * 10,
        [0] * 9 + [1],
    ]
    assert stored.labels.tolist() == [0, 3, 1]
    unknown = run_dataset(programs.run, tmp_path, raw, format="dotted-lines")
    assert "expected one of" in unknown.stderr


@pytest.mark.parametrize(
    ("content", "options", "parts"),
    [
        (
            GOOD,
            {"sha256": hashlib.sha256(b"another").hexdigest()},
            ["data.csv", "sha256 is", hashlib.sha256(b"another").hexdigest()],
        ),
        (GOOD, {"sha1": "0"}, ["--options: ", "'sha1'"]),
        (GOOD, {"md5": "0"}, ["--options: md5: '0' does not match"]),
        (text_of([ROWS[0], "4,x"]), {}, ["data.csv", "row 2"]),
        (None, {}, ["data.csv", "cannot be read"]),
    ],
)
def test_program_says_what_is_wrong_and_writes_nothing(tmp_path, content, options, parts) -> None:
    raw = tmp_path / "data.csv"
    if content is not None:
        raw.write_bytes(content)
    assert_one_line(run_dataset(programs.run, tmp_path, raw, **options), *parts)
    assert not (tmp_path / "out").exists()


def test_program_keeps_what_is_there_when_the_new_file_is_bad(tmp_path) -> None:
    raw = tmp_path / "data.csv"
    raw.write_bytes(GOOD)
    assert run_dataset(programs.run, tmp_path, raw).returncode == 0
    raw.write_bytes(GOOD + b"more\n")
    assert run_dataset(programs.run, tmp_path, raw).returncode == 1
    assert store.read(tmp_path / "out" / "data").labels.tolist() == LABELS


MADE = {"purchase100-synthetic": (1000, 20, 10), "cifar10-synthetic": (50, 3072, 3)}


def generate(tmp_path, form, shape, **options) -> Result:
    sizes = dict(zip(("records", "features", "classes"), shape, strict=True))
    return run_dataset(programs.run, tmp_path, format=form, **sizes, **options)


def test_every_generated_format_is_tried() -> None:
    generated = {name for name, form in formats().items() if form.generated}
    assert generated == {*MADE, "sst2-synthetic"}  # test_tokens.py


# Its library starts a process to count cores.
PURCHASE = pytest.param("purchase100-synthetic", marks=pytest.mark.slow)


@pytest.mark.parametrize("form", [PURCHASE, "cifar10-synthetic"])
def test_program_generates(tmp_path, form) -> None:
    records, features, classes = shape = MADE[form]
    result = generate(tmp_path, form, shape, seed=3)
    assert result.returncode == 0, result.stderr
    stored = store.read(tmp_path / "out" / "data")
    kind = "images" if form == "cifar10-synthetic" else "bits"
    about = {key: getattr(cifar10_binary, key.upper()) for key in store.OF_IMAGES}
    about = about if kind == "images" else {}
    expected = Description("d", *shape, True, "generated, seed 3", kind=kind, **about)
    assert stored.description == expected
    made = cifar10_synthetic.cifar10(records, 3, classes) if kind == "images" else None
    made = made or purchase100_synthetic.purchase100(records, 3, features, classes)
    assert stored.features().tolist() == made[0].tolist()
    assert stored.labels.tolist() == made[1].tolist()


@pytest.mark.parametrize(
    ("form", "shape", "message"),
    [
        ("purchase100-synthetic", (99, 20, 10), "purchase100-synthetic: records = 99: "),
        (
            "cifar10-synthetic",
            (50, 3071, 3),
            "cifar10-synthetic: features 3071: expected the 3072 of an image",
        ),
        ("cifar10-synthetic", (50, 3072, 257), "--options: classes: 257 is greater than the max"),
    ],
)
def test_program_cannot_generate(tmp_path, form, shape, message) -> None:
    assert_one_line(generate(tmp_path, form, shape, seed=3), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("form", "raw", "options", "message"),
    [
        ("labelled-bits", None, {"seed": 3}, "labelled-bits: needs --raw"),
        ("cifar10-binary", None, {"files": {"a.bin": None}}, "cifar10-binary: needs --raw"),
        ("cifar10-binary", "x", {}, "cifar10-binary: missing key 'files'"),
        ("cifar10-binary", "x", {"files": {}}, "--options: files: {} is shorter than 1"),
        ("cifar10-synthetic", "x", {}, "cifar10-synthetic: missing key 'seed'"),
        ("labelled_bits", "x", {}, "format 'labelled_bits': expected one of cifar100-binary, "),
    ],
)
def test_program_needs_what_the_format_does(tmp_path, form, raw, options, message) -> None:
    result = run_dataset(programs.run, tmp_path, raw, format=form, features=3072, **options)
    assert_one_line(result, f"error: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "--options: expected JSON ("),
        ("[]", "--options: [] is not of type 'mapping'"),
        ("{}", "--options: missing key 'format'"),
        ('{"format": "cifar10-synthetic"}', "cifar10-synthetic: missing key 'records'"),
    ],
)
def test_options_that_are_none(tmp_path, text, message) -> None:
    output = ("--output", tmp_path / "out" / "data")
    result = programs.run("dataset", "--name", "d", "--options", text, *output)
    assert_one_line(result, f"error: {message}")


def assert_one_line(result, *parts) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_location30_is_what_the_configuration_says(real_data) -> None:
    path = real_data("location30") / "dataset_location.tgz"
    entry = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["datasets"]["location30"]
    checks = [f"{kind}={entry[kind]}" for kind in CHECKS if kind in entry]
    assert len(checks) == 2
    verify(path, checks)
    packed, labels, _ = read_csv(path, *(entry[key] for key in ("records", "features", "classes")))
    sizes = Counter(labels.tolist())
    assert len(labels) == 5010
    assert set(sizes) == set(range(30))
    assert (min(sizes.values()), max(sizes.values())) == (97, 308)
    # Known to a decimal.
    assert np.bitwise_count(packed).sum() / 5010 == pytest.approx(53.7, abs=0.05)


# What servers should not answer, by the name that is asked for, and what is said of it.
ANSWERS = {
    "cut.tgz": b"not a thousand bytes",
    "garbage.csv": b"\xff" * 100_000,
    "leads-to-itself.csv": b"/leads-to-itself.csv",
    "leads-to-a-file.csv": b"file:///etc/passwd",
    "leads-to-ftp.csv": b"ftp://127.0.0.1/data.csv",
    "packed.csv": gzip.compress(b"abc"),
    "empty.csv": b"",
    "page.csv": b" <!DOCTYPE html><html>not found</html>",
    "marked-page.csv": b"\xef\xbb\xbf<!-- 404 --><html>not found</html>",
    "other.tgz": b"abc",
    "short.tgz": big_tgz()[:-100],
    "short.zip": b"PK\x03\x04",
}
SAID = {
    "garbage.csv": "",
    "leads-to-itself.csv": "infinite loop",
    "leads-to-a-file.csv": "file:///etc/passwd",
    "leads-to-ftp.csv": "leads to ftp:",
    "packed.csv": "packs it",
    "empty.csv": "the answer is empty",
    "page.csv": "a page and not the file",
    "marked-page.csv": "a page and not the file",
    "other.tgz": "not a whole archive",
    "short.tgz": "not a whole archive",
    "short.zip": "not a whole archive",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a directory, and what servers should not answer; nothing is logged."""

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        if name not in ANSWERS:
            super().do_GET()
        elif name == "garbage.csv":
            self.wfile.write(ANSWERS[name])
        else:
            self.send_response(301 if name.startswith("leads") else 200)
            if name.startswith("leads"):
                self.send_header("Location", ANSWERS[name].decode())
            if name == "packed.csv":
                self.send_header("Content-Encoding", "gzip")
            if name == "cut.tgz":
                self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(ANSWERS[name])

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(tmp_path, monkeypatch) -> str:
    """The address of a server that has /data.tgz, three bytes."""
    monkeypatch.setenv("no_proxy", "*")
    folder = tmp_path / "served"
    folder.mkdir()
    for name in "data.tgz", "data.csv":
        (folder / name).write_bytes(b"abc")
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def run_download(run, tmp_path, url, *checks) -> Result:
    check = ("--check", *checks) if checks else ()
    output = ("--output", tmp_path / "out" / Path(url).name)
    return run("download", "--name", "mine", "--url", url, *check, *output)


@pytest.mark.parametrize("kinds", [[], ["sha256"], pytest.param([*ABC], marks=pytest.mark.slow)])
def test_download(tmp_path, server, kinds) -> None:
    checks = [f"{kind}={ABC[kind]}" for kind in kinds]
    run = programs.run_process if len(kinds) == len(ABC) else programs.run
    name = "data.tgz" if checks else "data.csv"
    result = run_download(run, tmp_path, f"{server}/{name}", *checks)
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "out" / name).read_bytes() == b"abc"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / name]


def test_download_of_another_file_leaves_nothing(tmp_path, server) -> None:
    url = f"{server}/data.tgz"
    wrong = ABC["sha256"][:-1] + "0"
    result = run_download(programs.run, tmp_path, url, f"md5={ABC['md5']}", f"sha256={wrong}")
    assert_one_line(result, url, ABC["sha256"], wrong)
    assert list((tmp_path / "out").iterdir()) == []


ADVICE = "datasets: mine: path"


def test_download_of_a_file_that_is_not_there(tmp_path, server) -> None:
    result = run_download(programs.run, tmp_path, f"{server}/absent.tgz")
    assert_one_line(result, f"{server}/absent.tgz", "404", ADVICE)
    assert list((tmp_path / "out").iterdir()) == []


def test_download_that_breaks_off(tmp_path, server) -> None:
    """Also where no checksum is given."""
    result = run_download(programs.run, tmp_path, f"{server}/cut.tgz")
    assert_one_line(result, f"{server}/cut.tgz", ADVICE)
    assert list((tmp_path / "out").iterdir()) == []


def test_download_without_a_server(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:  # bound but not listening: connections are refused
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/data.tgz"
        result = run_download(programs.run, tmp_path, url)
    assert_one_line(result, url, "refused", ADVICE)
    assert list((tmp_path / "out").iterdir()) == []


def test_download_from_no_address(tmp_path) -> None:
    (tmp_path / "there.csv").write_bytes(b"abc")
    for url in "data.tgz", f"file://{tmp_path}/there.csv", "ftp://127.0.0.1/a.csv", "data:,abc":
        result = run_download(programs.run, tmp_path, url)
        assert_one_line(result, url, "expected an https:// address", ADVICE)
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", SAID)
def test_download_of_what_is_not_the_file(tmp_path, server, name) -> None:
    """Where no checksum is known either."""
    result = run_download(programs.run, tmp_path, f"{server}/{name}")
    assert_one_line(result, f"{server}/{name}", SAID[name], ADVICE)
    assert len(result.stderr) < 600
    assert list((tmp_path / "out").iterdir()) == []


def zipped(*members) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


LITTER = b"\0\5\x16\7 of macOS"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.TGZ", tgz(("dataset", GOOD))),
        ("data.tgz", tgz(("._dataset", LITTER), ("dataset", GOOD))),
        ("data.tgz", tgz(("folder", tarfile.DIRTYPE.decode()), ("folder/dataset", GOOD))),
        ("data.tgz", tgz(("dataset", GOOD), (".DS_Store", LITTER), ("._a", LITTER))),
        ("data.tgz", gzip.decompress(tgz(("dataset", GOOD)))),
        ("data.csv.gz", gzip.compress(GOOD)),
        ("data.tgz", gzip.compress(GOOD)),
        ("data.zip", zipped(("dataset", GOOD))),
        ("data.ZIP", zipped(("__MACOSX/._a", LITTER), ("folder/", b""), ("folder/a", GOOD))),
        ("data.csv", zipped(("dataset", GOOD))),
        ("data.csv", codecs.BOM_UTF8 + GOOD),
        ("data.zip", zipped(("dataset", codecs.BOM_UTF8 + GOOD))),
        ("data.csv", GOOD + b"\n"),
        ("data.csv", GOOD + b"\r\n\n"),
    ],
)
def test_what_is_read_as_it_is_meant(tmp_path, name, content) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    packed, labels, _ = read_csv(path, *SHAPE)
    assert np.unpackbits(packed, axis=1)[:, :10].tolist() == naive(ROWS)
    assert labels.tolist() == LABELS
    assert list(tmp_path.iterdir()) == [path]


def test_zip_that_is_cut_off(tmp_path) -> None:
    (tmp_path / "data.zip").write_bytes(zipped(("a", GOOD))[:-40])
    with pytest.raises(InputError, match=r"data\.zip: not a CSV file or an archive of one"):
        read_csv(tmp_path / "data.zip", *SHAPE)


def test_zip_with_a_flipped_bit(tmp_path) -> None:
    """Never another exception, and never other bits."""
    path, whole = tmp_path / "data.zip", zipped(("dataset", GOOD))
    for bit in range(0, 8 * len(whole), 3):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            packed, labels, _ = read_csv(path, *SHAPE)
        except InputError:
            continue
        assert np.unpackbits(packed, axis=1)[:, :10].tolist() == naive(ROWS)
        assert labels.tolist() == LABELS


@pytest.mark.parametrize("place", [0, 2])
def test_long_field_is_not_shown_whole(tmp_path, place) -> None:
    fields = ROWS[1].split(",")
    fields[place] = "1" * 100_000
    (tmp_path / "data.csv").write_bytes(text_of([ROWS[0], ",".join(fields), ROWS[2]]))
    with pytest.raises(InputError, match=r"row 2") as caught:
        read_csv(tmp_path / "data.csv", *SHAPE)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 200
