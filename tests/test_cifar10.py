"""CIFAR-10's binary files: read right, wherever they lie, or refused with one clear line."""

import gzip
import hashlib
import io
import json
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import programs
import pytest
import yaml

from mico.data import store
from mico.data.formats import cifar10_binary
from mico.data.formats.cifar10_binary import MEAN, PIXELS, RECORD, SHAPE, STD
from mico.support.errors import InputError

ROOT = Path(__file__).parents[1]
CONFIGURED = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["datasets"]

Result = subprocess.CompletedProcess

CLASSES = 10
NAMES = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]
SIZES = [5, 2, 3]  # records of each
FOLDER = "cifar-10-batches-bin"


def batch(name: str) -> bytes:
    """A small file of random records; among its labels are the least and the greatest."""
    number = NAMES.index(name)
    rng = np.random.default_rng(number)
    rows = rng.integers(0, 256, (SIZES[number], RECORD), dtype=np.uint8)
    rows[:, 0] = rng.integers(0, CLASSES, SIZES[number])
    rows[:2, 0] = 0, CLASSES - 1
    return rows.tobytes()


BATCHES = {name: batch(name) for name in NAMES}
MD5 = {name: hashlib.md5(content).hexdigest() for name, content in BATCHES.items()}


def naive(names) -> tuple[list[list[int]], list[int]]:
    """Pixels and labels, byte by byte."""
    pixels, labels = [], []
    for content in (BATCHES[name] for name in names):
        for first in range(0, len(content), RECORD):
            labels.append(content[first])
            pixels.append(list(content[first + 1 : first + RECORD]))
    return pixels, labels


def special(name, kind, size=0, content=b"") -> tuple[tarfile.TarInfo, bytes]:
    """A member that is not a regular file, and what follows its header."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, "/etc/passwd", size
    return member, content


def regular(name, content) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member, content


def tar(*members, form=tarfile.USTAR_FORMAT) -> bytes:
    """A .tar of (member, content)."""
    packed = io.BytesIO()
    for member, content in members:
        packed.write(member.tobuf(form))
        packed.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
    packed.write(bytes(2 * tarfile.BLOCKSIZE))
    return packed.getvalue()


def official(batches=BATCHES, folder=f"{FOLDER}/") -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members as in the official archive: other files among them, in no particular order."""
    return [
        special(folder, tarfile.DIRTYPE),
        *(regular(folder + name, content) for name, content in reversed(batches.items())),
        regular(f"{folder}batches.meta.txt", b"airplane\n"),
    ]


def write_archive(path, members, form=tarfile.USTAR_FORMAT) -> Path:
    path.write_bytes(gzip.compress(tar(*members, form=form)))
    return path


def write_folder(path, batches=BATCHES) -> Path:
    path.mkdir()
    for name, content in batches.items():
        (path / name).write_bytes(content)
    return path


def write(tmp_path, place, batches=BATCHES) -> Path:
    """The files in a directory or in an archive."""
    if place == "directory":
        return write_folder(tmp_path / "files", batches)
    return write_archive(tmp_path / "files.tar.gz", official(batches))


def read(path, files=MD5, records=None) -> tuple[np.ndarray, np.ndarray]:
    if records is None:
        records = sum(SIZES[NAMES.index(name)] for name in files)
    return cifar10_binary.read_files(path, records, PIXELS, CLASSES, files)


def chosen(*names) -> dict[str, str]:
    return {name: MD5[name] for name in names}


def assert_read(found, names) -> None:
    pixels, labels = found
    assert pixels.dtype == labels.dtype == np.uint8
    expected = naive(names)
    assert pixels.tolist() == expected[0]
    assert labels.tolist() == expected[1]


PLACES = pytest.mark.parametrize("place", ["directory", "archive"])


@PLACES
@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], NAMES[1:], NAMES[:1]])
def test_files_are_read_in_the_order_asked_for(tmp_path, place, names) -> None:
    """The archive holds them in another; nothing is extracted."""
    path = write(tmp_path, place)
    assert_read(read(path, chosen(*names)), names)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["files.tar.gz", "files.tgz"])
@pytest.mark.parametrize("folder", ["", "./", "a/b/", f"./{FOLDER}/"])
def test_folder_inside_the_archive_does_not_matter(tmp_path, name, folder) -> None:
    assert_read(read(write_archive(tmp_path / name, official(folder=folder))), NAMES)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_other_programs(tmp_path, form) -> None:
    """Times with fractions and long names bring extended headers, which are skipped."""
    with tarfile.open(tmp_path / "files.tgz", "w:gz", format=form) as archive:
        for name in ["a" * 90 + "/" + "b" * 60, *(f"{FOLDER}/{name}" for name in NAMES)]:
            member, content = regular(name, BATCHES.get(Path(name).name, b"other"))
            member.mtime = 1e9 + 0.5
            archive.addfile(member, io.BytesIO(content))
    assert_read(read(tmp_path / "files.tgz"), NAMES)


@pytest.mark.parametrize("count", [1, 2])
def test_content_of_whole_blocks(tmp_path, count) -> None:
    """512 records of 3,073 bytes fill the blocks of a .tar to the last byte."""
    content = b"\1" + bytes(PIXELS)
    members = [regular(f"{i}.bin", content * 512) for i in range(count)]
    path = write_archive(tmp_path / "files.tgz", members)
    pixels, labels = read(path, dict.fromkeys(f"{i}.bin" for i in range(count)), 512 * count)
    assert len(pixels) == 512 * count
    assert set(labels) == {1}


def test_one_file_by_itself(tmp_path) -> None:
    path = write_folder(tmp_path / "files") / NAMES[1]
    assert_read(read(path, chosen(NAMES[1])), [NAMES[1]])


def test_file_by_itself_where_another_or_more_are_wanted(tmp_path) -> None:
    folder = write_folder(tmp_path / "files")
    path = folder / NAMES[1]
    for files in (chosen(NAMES[0]), MD5):
        message = f"{path}: expected a directory or a .tar.gz of {', '.join(files)}"
        with pytest.raises(InputError, match=re.escape(message)):
            read(path, files)


@PLACES
def test_file_without_a_checksum_is_not_checked(tmp_path, place) -> None:
    other = BATCHES | {NAMES[1]: BATCHES[NAMES[1]][:-1] + b"x"}
    path = write(tmp_path, place, other)
    pixels, _ = read(path, MD5 | {NAMES[1]: None})
    assert pixels[6, -1] == ord("x")
    with pytest.raises(InputError, match=re.escape(f"{path}: {NAMES[1]}: md5 is ")):
        read(path)


def damaged(name, change) -> dict[str, bytes]:
    return BATCHES | {name: change(BATCHES[name])}


def with_label(record, label) -> Callable[[bytes], bytes]:
    def change(content) -> bytes:
        at = record * RECORD
        return content[:at] + bytes([label]) + content[at + 1 :]

    return change


@PLACES
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (NAMES[0], lambda content: content[:-1], "15,364 bytes, expected a multiple of 3,073"),
        (NAMES[2], lambda content: content + b"x", "9,220 bytes, expected a multiple of 3,073"),
        (NAMES[1], with_label(0, 10), "record 1: label 10, expected 0 to 9"),
        (NAMES[0], with_label(4, 255), "record 5: label 255, expected 0 to 9"),
    ],
)
def test_bad_file_is_named(tmp_path, place, name, change, message) -> None:
    path = write(tmp_path, place, damaged(name, change))
    with pytest.raises(InputError, match=re.escape(f"{path}: {name}: {message}")):
        read(path, dict.fromkeys(NAMES))


@PLACES
def test_first_bad_label_is_named(tmp_path, place) -> None:
    content = with_label(1, 10)(with_label(3, 11)(BATCHES[NAMES[0]]))
    path = write(tmp_path, place, BATCHES | {NAMES[0]: content})
    with pytest.raises(InputError, match="record 2: label 10, expected 0 to 9"):
        read(path, dict.fromkeys(NAMES))


@PLACES
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[RECORD:], "9 records in all, expected 10"),
        (lambda content: b"", "7 records in all, expected 10"),
        (lambda content: content + content[:RECORD], "records up to here, expected 10"),
    ],
)
def test_number_of_records(tmp_path, place, change, message) -> None:
    """Whole records are missing or too many."""
    path = write(tmp_path, place, damaged(NAMES[2], change))
    with pytest.raises(InputError, match=re.escape(f"{path}: ") + ".*" + message):
        read(path, dict.fromkeys(NAMES))


@PLACES
@pytest.mark.parametrize("name", NAMES)
def test_missing_file_is_named_and_what_was_found(tmp_path, place, name) -> None:
    rest = {other: content for other, content in BATCHES.items() if other != name}
    path = write(tmp_path, place, rest)
    with pytest.raises(InputError, match=re.escape(f"{path}: {name} is missing, found ")) as caught:
        read(path)
    for other in rest:
        assert f"'{other}'" in str(caught.value)


def test_directory_in_the_place_of_a_file(tmp_path) -> None:
    path = write_folder(tmp_path / "files", {NAMES[0]: BATCHES[NAMES[0]]})
    (path / NAMES[1]).mkdir()
    with pytest.raises(InputError, match=re.escape(f"{path}: {NAMES[1]} is missing")):
        read(path, chosen(*NAMES[:2]))


def test_empty_directory_or_archive(tmp_path) -> None:
    (tmp_path / "files").mkdir()
    write_archive(tmp_path / "files.tgz", [])
    for name in "files", "files.tgz":
        message = f"{tmp_path / name}: {NAMES[0]} is missing, found no such files"
        with pytest.raises(InputError, match=re.escape(message)):
            read(tmp_path / name)


def test_path_that_is_not_there(tmp_path) -> None:
    for name in "absent", "absent.bin", "absent.tar.gz":
        with pytest.raises(InputError, match=re.escape(f"{tmp_path / name}: cannot be read")):
            read(tmp_path / name)


def test_other_number_of_features(tmp_path) -> None:
    with pytest.raises(InputError, match="3071 features expected, but CIFAR-10 has 3072"):
        cifar10_binary.read_files(write_folder(tmp_path / "files"), 10, 3071, CLASSES, MD5)


# What an archive may hold besides, or instead.


HOSTILE = [
    *(
        special(f"{FOLDER}/{NAMES[0]}", kind)
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE)
    ),
    special(NAMES[0], tarfile.FIFOTYPE),
    special(f"{NAMES[0]}/", tarfile.DIRTYPE),
    special(NAMES[0], tarfile.LNKTYPE, size=1000),  # says so, but no content follows
    special(NAMES[0], b"V", size=len(b"label"), content=b"label"),  # a kind that nobody knows
    regular(f"/{FOLDER}/{NAMES[0]}", b"evil"),
    regular(f"../{NAMES[0]}", b"evil"),
    regular(f"{FOLDER}/../../{NAMES[0]}", b"evil"),
    regular(f"{NAMES[0]}.bak", b"evil"),
    regular(f"._{NAMES[0]}", b"evil"),
    regular("data_batch_1.pkl", pickle.dumps(print)),
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda pair: f"{pair[0].type}{pair[0].name}")
def test_hostile_member_is_not_used(tmp_path, hostile, first) -> None:
    members = [hostile, *official()] if first else [*official(), hostile]
    path = write_archive(tmp_path / "files.tgz", members)
    assert_read(read(path), NAMES)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda pair: f"{pair[0].type}{pair[0].name}")
def test_hostile_member_does_not_stand_for_the_file(tmp_path, hostile) -> None:
    rest = {name: content for name, content in BATCHES.items() if name != NAMES[0]}
    path = write_archive(tmp_path / "files.tgz", [hostile, *official(rest)])
    with pytest.raises(InputError, match=re.escape(f"{path}: {NAMES[0]} is missing")):
        read(path, dict.fromkeys(NAMES))


def test_file_that_is_there_twice(tmp_path) -> None:
    again = regular(f"other/{NAMES[0]}", BATCHES[NAMES[0]])
    for members in [again, *official()], [*official(), again]:
        path = write_archive(tmp_path / "files.tgz", members)
        with pytest.raises(InputError, match=re.escape(f"{path}: {NAMES[0]} is there twice")):
            read(path, chosen(NAMES[0]))


def test_names_that_an_extended_header_gives_are_not_followed(tmp_path) -> None:
    record = f" path={NAMES[0]}\n"
    text = f"{len(record) + 2}{record}".encode()
    extended = special("header", tarfile.XHDTYPE, len(text), text)
    long = special("././@LongLink", tarfile.GNUTYPE_LONGNAME, 17, NAMES[0].encode() + b"\0")
    for header in extended, long:
        packed = tar(header, regular("harmless", BATCHES[NAMES[0]]))
        with tarfile.open(fileobj=io.BytesIO(packed)) as understood:
            assert understood.getnames() == [NAMES[0]]
        (tmp_path / "files.tgz").write_bytes(gzip.compress(packed))
        with pytest.raises(InputError, match=f"{NAMES[0]} is missing, found 'harmless'"):
            read(tmp_path / "files.tgz", chosen(NAMES[0]))


LIMITED = """
import resource, sys
from pathlib import Path
from mico.data.formats import cifar10_binary
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
cifar10_binary.read_files(Path(sys.argv[1]), 5, 3072, 10, {"data_batch_1.bin": None})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("header", tarfile.XHDTYPE),
        ("././@LongLink", tarfile.GNUTYPE_LONGNAME),
        (NAMES[0], tarfile.REGTYPE),
    ],
)
def test_member_that_is_larger_than_memory(tmp_path, name, kind) -> None:
    """Zeros pack well; they are skipped or refused, and never held."""
    size = RECORD * 200_000
    member, _ = special(name, kind, size)
    zeros = gzip.compress(bytes(1 << 24), 1) * (1 + size // (1 << 24))
    (tmp_path / "files.tgz").write_bytes(gzip.compress(member.tobuf()) + zeros)
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "files.tgz")]
    scripts = {"PYTHONPATH": str(ROOT / "scripts"), "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(command, env=scripts, capture_output=True, text=True, check=False)
    expected = "200,000 records up to here" if kind == tarfile.REGTYPE else "is missing"
    assert "InputError" in result.stderr.splitlines()[-1]
    assert expected in result.stderr.splitlines()[-1]


def test_many_headers_in_a_row(tmp_path) -> None:
    """tarfile would follow them one inside the other, until Python gives up."""
    headers = [special("././@LongLink", tarfile.GNUTYPE_LONGNAME, 2, b"a\0")] * 5000
    path = write_archive(tmp_path / "files.tgz", [*headers, *official()])
    assert_read(read(path), NAMES)


def test_member_of_negative_size(tmp_path) -> None:
    """It would lead back to an earlier member, without end."""
    member, _ = regular("back", b"")
    member.size = -2 * tarfile.BLOCKSIZE
    header = member.tobuf(tarfile.GNU_FORMAT)
    path = tmp_path / "files.tgz"
    path.write_bytes(gzip.compress(header + tar(*official())))
    with pytest.raises(InputError, match=re.escape(f"{path}: not a whole .tar.gz")):
        read(path)


def test_names_of_strangers_are_escaped(tmp_path) -> None:
    path = write_archive(tmp_path / "files.tgz", [regular("a\nb\x1b[2J\u202e.bin", b"")])
    with pytest.raises(InputError, match="is missing") as caught:
        read(path)
    assert re.fullmatch(r"[ -~]+", str(caught.value).removeprefix(str(path)))


def test_only_some_of_many_names_are_shown(tmp_path) -> None:
    others = [regular(f"{i}.bin", b"") for i in range(99)]
    path = write_archive(tmp_path / "files.tgz", others)
    with pytest.raises(InputError, match=r"found '0\.bin', .*, '9\.bin'$"):
        read(path)
    assert_read(read(write_archive(path, [*others, *official()])), NAMES)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"".join(BATCHES.values()),
        gzip.compress(b"".join(BATCHES.values())),
        gzip.compress(tar(*official())) + b"more",
    ],
    ids=["nothing", "zip", "records", "gzip of records", "something after it"],
)
def test_file_that_is_not_an_archive(tmp_path, content) -> None:
    path = tmp_path / "files.tar.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"{path}: ")):
        read(path)


def test_archive_that_is_cut_off(tmp_path) -> None:
    """Wherever that is, also after the last of the wanted files."""
    path = tmp_path / "files.tar.gz"
    whole = gzip.compress(tar(*official()))
    for part in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:part])
        with pytest.raises(InputError, match=re.escape(f"{path}: ")):
            read(path, dict.fromkeys(NAMES))


def test_archive_cut_off_before_it_was_packed(tmp_path) -> None:
    """Where gzip finds nothing wrong."""
    path = tmp_path / "files.tar.gz"
    whole = tar(*official())
    end = len(whole) - 3 * tarfile.BLOCKSIZE  # within the last member, which is not wanted
    for part in np.linspace(0, end - 2 * tarfile.BLOCKSIZE, 40).astype(int):
        path.write_bytes(gzip.compress(whole[:part]))
        with pytest.raises(InputError, match=re.escape(f"{path}: ")):
            read(path, dict.fromkeys(NAMES))


def test_archive_with_a_flipped_bit(tmp_path) -> None:
    path = tmp_path / "files.tar.gz"
    whole = gzip.compress(tar(*official()))
    for place in np.linspace(10, len(whole) - 1, 60).astype(int):  # 10: the header says little
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=re.escape(f"{path}: ")):
            read(path, dict.fromkeys(NAMES))


def test_noise_in_the_headers_is_an_error_or_does_not_matter(tmp_path) -> None:
    """Never another exception, and never other pixels: the files have checksums."""
    path = tmp_path / "files.tgz"
    rng = np.random.default_rng(1)
    whole = tar(*official())
    errors = []
    for _ in range(200):
        noisy = bytearray(whole)
        for place in rng.integers(0, tarfile.BLOCKSIZE, 3):
            noisy[place] = rng.integers(256)
        noisy[148:156] = b" " * 8  # where the header's own sum is, which is made right
        noisy[148:156] = b"%06o\0 " % sum(noisy[: tarfile.BLOCKSIZE])
        path.write_bytes(gzip.compress(noisy, 1))
        try:
            assert_read(read(path), NAMES)
        except InputError as error:
            errors.append(str(error))
    assert 10 < len(errors) < 190
    assert all(error.startswith(f"{path}: ") for error in errors)


# The program


def run_dataset(tmp_path, raw, files=MD5, **options) -> Result:
    base = {"format": "cifar10-binary", "records": 10, "features": PIXELS, "classes": CLASSES}
    text = json.dumps(base | {"files": files} | options)
    output = ("--output", tmp_path / "out" / "data")
    return programs.run("dataset", "--name", "d", "--options", text, "--raw", raw, *output)


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("place", "names", "source"),
    [
        ("archive", NAMES, f"files.tar.gz: {', '.join(NAMES)}"),
        ("archive", NAMES[:1], f"files.tar.gz: {NAMES[0]}"),
        ("directory", NAMES, ", ".join(NAMES)),
        ("directory", NAMES[2:], NAMES[2]),
    ],
)
def test_program_stores_images_and_says_of_which_files(tmp_path, place, names, source) -> None:
    raw = write(tmp_path, place)
    check = {"sha256": sha256(raw)} if place == "archive" else {}
    records = sum(SIZES[NAMES.index(name)] for name in names)
    result = run_dataset(tmp_path, raw, chosen(*names), records=records, **check)
    assert result.returncode == 0, result.stderr
    stored = store.read(tmp_path / "out" / "data")
    assert_read((stored.features(), stored.labels), names)
    picked = np.array([records - 1, 0])
    assert stored.features(picked).tolist() == [naive(names)[0][i] for i in picked]
    assert stored.description == store.Description(
        *("d", records, PIXELS, CLASSES),
        **{"synthetic": False, "source": source, "kind": "images"},
        **{"shape": SHAPE, "mean": MEAN, "std": STD},
    )
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "data"]


def test_checksums_of_the_archive_are_not_of_its_files(tmp_path) -> None:
    """A directory or a file has no archive, but each file's own checksum is always checked."""
    folder = write_folder(tmp_path / "files")
    md5 = "c32a1d4ab5d03f1284b67883e8d87530"
    for raw, names, records in (folder, NAMES, 10), (folder / NAMES[2], NAMES[2:], 3):
        result = run_dataset(tmp_path, raw, chosen(*names), records=records, md5=md5)
        assert result.returncode == 0, result.stderr
    archive = write_archive(tmp_path / "files.tgz", official())
    assert_one_line(run_dataset(tmp_path, archive, md5=md5), str(archive), "md5 is", md5)


def assert_one_line(result, *parts) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


CUT = BATCHES | {NAMES[2]: BATCHES[NAMES[2]][:-1]}
SHORT = BATCHES | {NAMES[2]: BATCHES[NAMES[2]][:-RECORD]}
OTHER = BATCHES | {NAMES[2]: BATCHES[NAMES[2]][:-1] + b"x"}
ABSENT = {name: BATCHES[name] for name in NAMES[:2]}


@PLACES
@pytest.mark.parametrize(
    ("batches", "parts"),
    [
        (CUT, [NAMES[2], "9,218 bytes, expected a multiple of 3,073"]),
        (OTHER, [NAMES[2], "md5 is", MD5[NAMES[2]]]),
        (ABSENT, [f"{NAMES[2]} is missing, found", NAMES[0], NAMES[1]]),
    ],
)
def test_program_says_what_is_wrong_and_writes_nothing(tmp_path, place, batches, parts) -> None:
    raw = write(tmp_path, place, batches)
    assert_one_line(run_dataset(tmp_path, raw), str(raw), *parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("batches", "parts"),
    [
        (SHORT, ["9 records in all, expected 10"]),
        (damaged(NAMES[0], with_label(2, 10)), [NAMES[0], "record 3: label 10, expected 0 to 9"]),
    ],
)
def test_program_on_files_without_checksums(tmp_path, batches, parts) -> None:
    raw = write(tmp_path, "archive", batches)
    assert_one_line(run_dataset(tmp_path, raw, dict.fromkeys(NAMES)), str(raw), *parts)
    assert not (tmp_path / "out").exists()


def test_program_on_an_archive_that_is_cut_off_or_none(tmp_path) -> None:
    raw = write(tmp_path, "archive")
    whole = raw.read_bytes()
    for content in whole[: len(whole) // 2], b"no archive":
        raw.write_bytes(content)
        assert_one_line(run_dataset(tmp_path, raw), str(raw), "not a whole .tar.gz")
        assert not (tmp_path / "out").exists()


def test_program_keeps_what_is_there_when_the_new_files_are_bad(tmp_path) -> None:
    raw = write(tmp_path, "archive")
    assert run_dataset(tmp_path, raw).returncode == 0
    write_archive(raw, official(CUT))
    assert run_dataset(tmp_path, raw).returncode == 1
    stored = store.read(tmp_path / "out" / "data")
    assert_read((stored.features(), stored.labels), NAMES)


# The real files


def test_real_batch_is_what_the_configuration_says(real_data, tmp_path) -> None:
    batch = real_data("cifar10") / "data_batch_1.bin"
    result = run_dataset(tmp_path, batch, **CONFIGURED["cifar10-batch-1"])
    assert result.returncode == 0, result.stderr
    output = tmp_path / "out" / "data"
    stored = store.read(output)
    content = batch.read_bytes()
    pixels = stored.features()
    for record in range(10_000):
        at = record * 3073
        assert stored.labels[record] == content[at]
        assert pixels[record].tobytes() == content[at + 1 : at + 3073]
    assert json.loads((output / "dataset.json").read_text())["source"] == "data_batch_1.bin"
    # As others have counted them.
    sizes = [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert np.bincount(stored.labels).tolist() == sizes


def test_configured_files_are_the_official_ones() -> None:
    whole, part = CONFIGURED["cifar10"], CONFIGURED["cifar10-batch-1"]
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    assert list(whole["files"]) == names
    assert part["files"] == {names[0]: whole["files"][names[0]]}
    assert (whole["records"], part["records"]) == (60_000, 10_000)


@pytest.mark.parametrize("name", ["files.tgz", "files.TGZ", "files.tar", "files"])
@pytest.mark.parametrize("form", ["tar.gz", "tar", "zip"])
def test_what_an_archive_is_does_not_depend_on_its_name(tmp_path, name, form) -> None:
    """A browser may have unpacked it."""
    path = tmp_path / name
    content = tar(*official())
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"__MACOSX/{FOLDER}/._{NAMES[0]}", b"litter")
            for batch, records in BATCHES.items():
                archive.writestr(f"{FOLDER}/{batch}", records)
    else:
        path.write_bytes(gzip.compress(content) if form == "tar.gz" else content)
    assert_read(read(path), NAMES)


def test_one_packed_file(tmp_path) -> None:
    path = tmp_path / f"{NAMES[1]}.gz"
    path.write_bytes(gzip.compress(BATCHES[NAMES[1]]))
    assert_read(read(path, chosen(NAMES[1])), [NAMES[1]])
    path.write_bytes(gzip.compress(BATCHES[NAMES[1]] + bytes(1 << 20)))
    with pytest.raises(InputError, match=r"truncated|records up to here"):
        read(path, chosen(NAMES[1]))
