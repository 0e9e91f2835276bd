"""SST-2's files: read as they are, in either form, or refused with one clear line."""

import hashlib
import json
import re
import stat
import subprocess
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import programs
import pyarrow
import pytest
import yaml
from pyarrow import parquet

from mico.data import store
from mico.data.formats import sst2
from mico.data.formats.sst2 import PARQUET
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]
CONFIGURED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["datasets"]

Result = subprocess.CompletedProcess

ROWS = {
    "train.tsv": [
        ("hide new secretions ", 0),
        ('a " quoted word , and one quotation mark " more \' ', 1),
        ("a caf\u00e9 ", 1),
    ],
    "dev.tsv": [("a caf\u00e9 ", 0), ("it 's charming . ", 1)],
}
NAMES = list(ROWS)
SENTENCES = [sentence for rows in ROWS.values() for sentence, _ in rows]
LABELS = [label for rows in ROWS.values() for _, label in rows]


def tsv(rows) -> bytes:
    return "".join(f"{a}\t{b}\n" for a, b in [("sentence", "label"), *rows]).encode()


FILES = {name: tsv(rows) for name, rows in ROWS.items()}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}


def write_folder(path, files=FILES) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def write_parquet(path, rows=ROWS) -> Path:
    """In the form of the usual hub, which has a third column."""
    path.mkdir()
    for name, pairs in rows.items():
        sentences, labels = zip(*pairs, strict=True)
        numbers = pyarrow.array(range(len(labels)), pyarrow.int32())
        table = pyarrow.table({"sentence": sentences, "label": labels, "idx": numbers})
        parquet.write_table(table, path / PARQUET[name])
    return path


def write_zip(path, files=FILES, folder="SST-2/", kind=zipfile.ZIP_DEFLATED) -> Path:
    """As GLUE's, in which there is more."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("SST-2/", b"")
        for name, content in reversed(files.items()):
            archive.writestr(folder + name, content)
        archive.writestr("SST-2/test.tsv", "index\tsentence\n")
        archive.writestr("SST-2/original/README.txt", "words")
    return path


def write(tmp_path, place, files=FILES) -> Path:
    if place == "directory":
        return write_folder(tmp_path / "files", files)
    return write_zip(tmp_path / "files.zip", files)


def read(path, files=MD5, records=5) -> tuple[list[str], np.ndarray]:
    return sst2.read_files(path, records, 2, files)


def assert_read(found, sentences=SENTENCES, labels=LABELS) -> None:
    assert found[0] == sentences
    assert found[1].dtype == np.uint8
    assert found[1].tolist() == labels


PLACES = pytest.mark.parametrize("place", ["directory", "zip"])


@PLACES
def test_training_comes_first_and_nothing_is_changed(tmp_path, place) -> None:
    """Quotation marks, the space at the end and letters beyond ASCII included."""
    path = write(tmp_path, place)
    assert_read(read(path))
    assert_read(read(path, dict.fromkeys(NAMES)))
    assert list(tmp_path.iterdir()) == [path]  # nothing is extracted


@PLACES
def test_order_of_the_files_is_that_asked_for(tmp_path, place) -> None:
    files = {name: MD5[name] for name in reversed(NAMES)}
    assert_read(read(write(tmp_path, place), files), SENTENCES[3:] + SENTENCES[:3], [0, 1, 0, 1, 1])


def test_form_of_the_hub(tmp_path) -> None:
    """Whose rows have the checksums of GLUE's files."""
    path = write_parquet(tmp_path / "files")
    assert_read(read(path))
    (path / "dev.tsv").write_bytes(FILES["dev.tsv"])
    assert_read(read(path))
    other = ROWS | {"dev.tsv": [*ROWS["dev.tsv"][:1], ("it 's charming .", 1)]}
    path = write_parquet(tmp_path / "other", other)
    where = re.escape(f"{path}: {PARQUET['dev.tsv']}, as dev.tsv: md5 is ")
    with pytest.raises(InputError, match=f"^{where}.*expected {MD5['dev.tsv']}"):
        read(path)


@PLACES
def test_last_line_may_lack_its_end(tmp_path, place) -> None:
    files = {name: content.rstrip(b"\n") for name, content in FILES.items()}
    assert_read(read(write(tmp_path, place, files), dict.fromkeys(NAMES)))


@pytest.mark.parametrize("folder", ["", "SST-2/", "a/b/"])
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_in_any_folder_of_an_archive(tmp_path, folder, kind) -> None:
    assert_read(read(write_zip(tmp_path / "files.zip", folder=folder, kind=kind)))


BAD_ROWS = [
    ("no tab ", "1 fields, expected 2"),
    ("", "1 fields, expected 2"),
    ("a tab\tmore \t1", "3 fields, expected 2"),
    ("\t1", "the sentence is empty"),
    ("  \t1", "the sentence is empty"),
    ("fine \t2", "label '2', expected 0 to 1"),
    ("fine \t-1", "label '-1', expected 0 to 1"),
    ("fine \t01", "label '01', expected 0 to 1"),
    ("fine \t1 ", "label '1 ', expected 0 to 1"),
    ("fine \t1\r\r", r"label '1\r', expected 0 to 1"),
    ("fine \t", "label '', expected 0 to 1"),
    ("fine \t\u0661", r"label '\u0661', expected 0 to 1"),  # an Arabic digit one
    ("fine \t" + "1" * 99, "label '1111111111', expected 0 to 1"),
]


@PLACES
@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_bad_row_is_named(tmp_path, place, row, message) -> None:
    bad = b"sentence\tlabel\nfine \t1\n" + f"{row}\nfine \t0\n".encode()
    path = write(tmp_path, place, FILES | {"dev.tsv": bad})
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: dev.tsv: row 2: {message}')}$"):
        read(path, dict.fromkeys(NAMES), 6)


def test_bad_row_of_the_hubs_form_is_named(tmp_path) -> None:
    for number, (pair, message) in enumerate(
        [
            ((" ", 1), "row 2: the sentence is empty"),
            (("fine ", -1), "row 2: label '-1', expected 0 to 1"),
            (("a\tb ", 1), "row 2: 3 fields, expected 2"),
            (("a\nb ", 1), "row 2: 1 fields, expected 2"),
        ]
    ):
        rows = ROWS | {"dev.tsv": [ROWS["dev.tsv"][0], pair]}
        path = write_parquet(tmp_path / str(number), rows)
        expected = f"{path}: {PARQUET['dev.tsv']}, as dev.tsv: {message}"
        with pytest.raises(InputError, match=f"^{re.escape(expected)}$"):
            read(path, dict.fromkeys(NAMES))


@PLACES
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the header sentence, label"),
        (FILES["dev.tsv"].partition(b"\n")[2], "expected the header sentence, label"),
        (FILES["dev.tsv"].replace(b"\t", b","), "expected the header sentence, label"),
        (FILES["dev.tsv"].replace("\u00e9".encode(), b"\xe9"), "row 1: expected UTF-8"),
        (FILES["dev.tsv"] + bytes(200_000), "expected at most 105,000"),
    ],
)
def test_other_file(tmp_path, place, content, message) -> None:
    path = write(tmp_path, place, FILES | {"dev.tsv": content})
    with pytest.raises(InputError, match=re.escape(f"{path}: dev.tsv: ") + f".*{message}"):
        read(path, dict.fromkeys(NAMES))


@PLACES
def test_checksum(tmp_path, place) -> None:
    path = write(tmp_path, place, FILES | {"dev.tsv": FILES["dev.tsv"].replace(b"charm", b"alarm")})
    expected = f"{re.escape(str(path))}: dev.tsv: md5 is [0-9a-f]+, expected {MD5['dev.tsv']}"
    with pytest.raises(InputError, match=expected):
        read(path)


@PLACES
@pytest.mark.parametrize("records", [4, 6])
def test_other_number_of_records(tmp_path, place, records) -> None:
    path = write(tmp_path, place)
    expected = re.escape(f"{path}: 5 records in all, expected {records}")
    with pytest.raises(InputError, match=expected):
        read(path, records=records)


@PLACES
def test_missing_file(tmp_path, place) -> None:
    path = write(tmp_path, place, {"train.tsv": FILES["train.tsv"]})
    with pytest.raises(InputError, match=rf"^{re.escape(str(path))}: dev\.tsv is missing, found '"):
        read(path)


def test_path_that_is_not_one(tmp_path) -> None:
    for name in "absent", "absent.zip":
        with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: cannot be read")):
            read(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"train\.tsv is missing, found no such files"):
        read(tmp_path / "empty")
    (tmp_path / "train.tsv").write_bytes(FILES["train.tsv"])
    with pytest.raises(InputError, match=r"expected a directory or a \.zip of train.tsv, dev.tsv"):
        read(tmp_path / "train.tsv")


# What an archive may hold besides, or instead.


@pytest.mark.parametrize("name", ["/train.tsv", "../train.tsv", "a/../../train.tsv", "train.tsv/"])
def test_hostile_name_does_not_stand_for_the_file(tmp_path, name) -> None:
    path = write_zip(tmp_path / "files.zip", {"dev.tsv": FILES["dev.tsv"]})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"" if name.endswith("/") else FILES["train.tsv"])
    with pytest.raises(InputError, match=r"train\.tsv is missing"):
        read(path)
    assert list(tmp_path.iterdir()) == [path]


def test_link_in_an_archive_is_not_followed(tmp_path) -> None:
    """What it points to is its content."""
    path = write_zip(tmp_path / "files.zip", {"dev.tsv": FILES["dev.tsv"]})
    (tmp_path / "train.tsv").write_bytes(FILES["train.tsv"])
    link = zipfile.ZipInfo("train.tsv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, str(tmp_path / "train.tsv"))
    with pytest.raises(InputError, match=r"train\.tsv: md5 is"):
        read(path)


def test_file_that_is_there_twice(tmp_path) -> None:
    path = write_zip(tmp_path / "files.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/dev.tsv", FILES["dev.tsv"])
    with pytest.raises(InputError, match=re.escape(f"{path}: dev.tsv is there twice")):
        read(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_to_pack(tmp_path, kind) -> None:
    """Of which zipfile unpacks as much as there is."""
    path = write_zip(tmp_path / "files.zip", kind=kind)
    with pytest.raises(InputError, match=r"dev\.tsv: encrypted or packed in another way"):
        read(path)


def flagged(content: bytes, places: tuple[bytes, ...] = (b"PK\x01\x02", b"PK\x03\x04")) -> bytes:
    """An archive all of whose members say that they are encrypted."""
    damaged = bytearray(content)
    for signature, offset in zip(places, (8, 6), strict=True):
        for match in re.finditer(signature, content):
            damaged[match.start() + offset] |= 1
    return bytes(damaged)


def test_encrypted_archive(tmp_path) -> None:
    path = write_zip(tmp_path / "files.zip")
    path.write_bytes(flagged(path.read_bytes()))
    with pytest.raises(InputError, match=r"dev\.tsv: encrypted or packed in another way"):
        read(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SST-2/train.tsv", "train.tsv: 83,886,080 bytes, expected at most 105,000"),
        ("SST-2/other.tsv", "train.tsv is missing"),
    ],
)
def test_member_that_is_very_large(tmp_path, name, message) -> None:
    """Zeros pack well; they are refused, or not looked at, and in no case unpacked."""
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(80 << 20))
        archive.writestr("SST-2/dev.tsv", FILES["dev.tsv"])
    tracemalloc.start()
    with pytest.raises(InputError, match=re.escape(message)):
        read(path, dict.fromkeys(NAMES))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_member_that_is_larger_than_it_says(tmp_path) -> None:
    path = tmp_path / "files.zip"
    content = tsv([("fine ", 1)] * 1000)
    write_zip(path, FILES | {"dev.tsv": content}, kind=zipfile.ZIP_DEFLATED)
    size, claimed = (number.to_bytes(4, "little") for number in (len(content), 100))
    path.write_bytes(path.read_bytes().replace(size, claimed))
    with pytest.raises(InputError, match=re.escape(f"{path}: not a whole archive")):
        read(path, dict.fromkeys(NAMES))


def test_archive_of_very_many_members(tmp_path) -> None:
    """Their list alone would fill memory."""
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2000):
            archive.writestr(f"{number}.txt", b"")
    with pytest.raises(InputError, match=r"bytes, expected at most 105,000"):
        read(path)


def test_names_of_strangers_are_escaped(tmp_path) -> None:
    path = tmp_path / "files.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\nb\x1b[2J\u202e.tsv", b"")
    with pytest.raises(InputError, match="is missing") as caught:
        read(path)
    assert re.fullmatch(r"[ -~]+", str(caught.value).removeprefix(str(path)))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", FILES["train.tsv"], b"\x1f\x8b"])
def test_file_that_is_not_an_archive(tmp_path, content) -> None:
    (tmp_path / "files.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"files\.zip: not a whole archive"):
        read(tmp_path / "files.zip")


def test_archive_that_is_cut_off_or_damaged(tmp_path) -> None:
    """Never another exception, and never other sentences."""
    path = write_zip(tmp_path / "files.zip")
    whole = path.read_bytes()
    for part in range(0, len(whole), 11):
        path.write_bytes(whole[:part])
        with pytest.raises(InputError, match=re.escape(f"{path}: ")):
            read(path)
    errors = []
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert_read(read(path))
        except InputError as error:
            errors.append(str(error))
    assert len(errors) > len(whole) / 12
    assert all(error.startswith(str(path)) for error in errors)


def test_file_that_is_not_parquet(tmp_path) -> None:
    path = write_parquet(tmp_path / "files") / PARQUET["dev.tsv"]
    whole = path.read_bytes()
    for content in b"", b"PAR1", whole[:-9], whole[:100] + whole[101:]:
        path.write_bytes(content)
        with pytest.raises(InputError, match=f"{path.name}, as dev.tsv: "):
            read(path.parent)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sentence": ["a "]}, "'sentence string', expected the columns sentence, of str"),
        ({"text": ["a "], "label": [1]}, "'text string, label int64', expected the columns"),
        ({"sentence": [1], "label": [1]}, "'sentence int64, label int64', expected"),
        ({"sentence": ["a "], "label": ["1"]}, "label string', expected the columns"),
        ({"sentence": ["a ", None], "label": [1, 0]}, "a value is missing"),
        ({"sentence": ["a ", "b "], "label": [1, None]}, "a value is missing"),
        ({"sentence": ["a "] * 6, "label": [1] * 6}, "6 rows, expected at most 5"),
        ({"sentence": ["a" * 200_000], "label": [1]}, "bytes, expected at most 105,000"),
    ],
)
def test_other_columns(tmp_path, columns, message) -> None:
    path = write_parquet(tmp_path / "files")
    parquet.write_table(pyarrow.table(columns), path / PARQUET["dev.tsv"])
    with pytest.raises(InputError, match=re.escape(message)):
        read(path)


# The program


def run_dataset(output, raw, **options) -> Result:
    base = {"format": "sst2", "records": 5, "features": 60, "classes": 2, "files": MD5}
    text = json.dumps(base | {"tokenizer": "bpe", "vocabulary": 300} | options)
    given = ("--options", text, "--raw", raw, "--output", output)
    return programs.run("dataset", "--name", "d", *given)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_both_forms_are_stored_as_the_same_bytes(tmp_path) -> None:
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    raw = [
        write_folder(tmp_path / "tsv"),
        write_parquet(tmp_path / "parquet"),
        write_zip(tmp_path / "files.zip"),
    ]
    stored = []
    for number, path in enumerate(raw):
        result = run_dataset(tmp_path / "out" / str(number), path)
        assert result.returncode == 0, result.stderr
        stored.append(contents(tmp_path / "out" / str(number)))
    assert stored[0] == stored[1]
    for name in "dataset.json", "SHA256SUMS":  # names the archive
        assert stored[0].pop(name) != stored[2].pop(name)
    assert stored[0] == stored[2]
    assert len(list((tmp_path / "out").iterdir())) == 3
    read_back = store.read(tmp_path / "out" / "2")
    assert read_back.labels.tolist() == LABELS
    source = "files.zip: train.tsv, dev.tsv; tokenizer bpe"
    vocabulary = read_back.description.vocabulary
    assert 261 <= vocabulary <= 300
    assert read_back.description == store.Description(
        "d", 5, 60, 2, False, source, "tokens", vocabulary=vocabulary, padding=1
    )


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"md5": "0" * 32}, ["files.zip", "md5 is"]),
        ({"records": 6}, ["files.zip: 5 records in all, expected 6"]),
        (
            {"files": dict.fromkeys(("train.tsv", "other.tsv"))},
            ["files.zip: other.tsv is missing"],
        ),
        ({"features": 12}, ["dataset d: record 2: ", "`features` is 12: raise it"]),
    ],
)
def test_program_says_what_is_wrong_and_writes_nothing(tmp_path, options, parts) -> None:
    pytest.importorskip("tokenizers", reason="requirements-text.txt is not installed")
    raw = write_zip(tmp_path / "files.zip")
    result = run_dataset(tmp_path / "out" / "data", raw, **options)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["sst2", "sst2-bpe"])
def test_configured_files_are_the_official_ones(kind) -> None:
    assert CONFIGURED[kind]["records"] == 68_221
    assert CONFIGURED[kind]["files"] == {
        "train.tsv": "da409a0a939379ed32a470bc0f7fe99a",
        "dev.tsv": "268856b487b2a31a28c0a93daaff7288",
    }


# The real files


def test_real_files(real_data) -> None:
    entry = CONFIGURED["sst2"]
    sentences, labels = sst2.read_files(
        real_data("sst2"), entry["records"], entry["classes"], entry["files"]
    )
    assert len(sentences) == 67_349 + 872
    assert np.bincount(labels[:67_349]).tolist() == [29_780, 37_569]
    assert np.bincount(labels[67_349:]).tolist() == [428, 444]
    assert sentences[0] == "hide new secretions from the parental units "
    assert sentences[67_349] == "it 's a charming and often affecting journey . "
    assert all(sentence.endswith(" ") and sentence.strip() for sentence in sentences)


def test_real_files_in_the_hubs_form(real_data, tmp_path) -> None:
    """Their rows make the official files again, to the byte."""
    entry = CONFIGURED["sst2"]
    sentences, labels = sst2.read_files(
        real_data("sst2"), entry["records"], entry["classes"], entry["files"]
    )
    rows = list(zip(sentences, labels.tolist(), strict=True))
    path = write_parquet(tmp_path / "files", {"train.tsv": rows[:67_349], "dev.tsv": rows[67_349:]})
    again = sst2.read_files(path, entry["records"], entry["classes"], entry["files"])
    assert_read(again, sentences, labels.tolist())


@PLACES
@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content + b"\n\n",
        lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n") + b"\r\n",
    ],
    ids=["CRLF", "BOM", "blank lines", "all"],
)
def test_marks_of_an_editor_do_not_matter(tmp_path, place, checked, change) -> None:
    """Nor to the checksum, which is that of GLUE's own file."""
    path = write(tmp_path, place, {name: change(content) for name, content in FILES.items()})
    assert_read(read(path, MD5 if checked else dict.fromkeys(NAMES)))


def test_other_archives(tmp_path) -> None:
    path = write_zip(tmp_path / "SST-2.ZIP")
    assert_read(read(path))
    assert_read(read(path.rename(tmp_path / "without an ending")))
    with tarfile.open(tmp_path / "SST-2.TGZ", "w:gz") as archive:
        archive.add(write_folder(tmp_path / "SST-2"), "SST-2")
    assert_read(read(tmp_path / "SST-2.TGZ"))
