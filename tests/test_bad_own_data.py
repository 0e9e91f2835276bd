"""Bad data of one's own: each gives one line that says where and why, and leaves nothing behind."""

import gzip
import io
import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from mico.data.options import DataOptions
from mico.data.registry import formats
from mico.support.errors import InputError

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
IMAGES = np.stack([GREY, 255 - GREY, GREY // 2, GREY])
ONES = np.array([0, 1, 0, 1])

Make = Callable[[Path], object]  # writes a file, or a folder, at a path


def text(content: str | bytes) -> Make:
    encoded = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(encoded)


def npz(**arrays: object) -> Make:
    def write(path: Path) -> None:
        with path.open("wb") as file:  # else numpy changes the name
            np.savez(file, **arrays)

    return write


def columns(**values: object) -> Make:
    return lambda path: parquet.write_table(pyarrow.table(values), path)


def image(content: Image.Image | np.ndarray = GREY, form: str = "PNG", **more: object) -> bytes:
    whole = content if isinstance(content, Image.Image) else Image.fromarray(content)
    buffer = io.BytesIO()
    whole.save(buffer, form, **more)
    return buffer.getvalue()


def folder(files: Mapping[str, bytes | str]) -> Make:
    """A folder of these files; a text is where a link leads to."""

    def make(root: Path) -> None:
        root.mkdir()
        for name, content in files.items():
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.symlink_to(content)
            else:
                path.write_bytes(content)

    return make


def cut(make: Make, end: int) -> Make:
    def write(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[:end])

    return write


def changed(make: Make, old: bytes, new: bytes) -> Make:
    def write(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))

    return write


def zipped(**members: bytes) -> Make:
    """A .zip, packed, of members named so."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(f"{name}.npy", content)

    return write


def header(shape: str, kind: str = "|u1") -> bytes:
    """The beginning of an .npy of this shape and type."""
    said = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    said = said.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(said).to_bytes(2, "little") + said.encode()


def saved(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


GOOD = "x,label\n1,a\n2,b\n3,a\n"
Y = saved(ONES)
TWO = {"a/1.png": image(), "b/1.png": image(255 - GREY)}

# By the name of a file: what makes it, the options, and what is said after its path.
TABLES: list[tuple[str, Make, dict[str, object], str]] = [
    ("a.csv", text(""), {}, "the file is empty"),
    ("a.csv", text("\n"), {}, "the first line is empty"),
    ("a.csv", text("x,label\n"), {}, "no rows, expected one for each record"),
    ("a.csv", text("x,label\n1,a\n2,b\n"), {}, "2 records, expected 3 at least"),
    ("a.csv", text(GOOD), {"label": "lable"}, "no column 'lable', found 'x', 'label'; did you"),
    ("a.csv", text(GOOD.replace("label", "y")), {}, "no column 'label', found 'x', 'y'"),
    ("a.csv", text(GOOD), {"label": 3}, "no column 3: there are 2, from 1"),
    ("a.csv", text(GOOD), {"label": 0}, "no column 0: there are 2, from 1"),
    ("a.csv", text(GOOD), {"label": -3}, "no column -3: there are 2, from 1"),
    ("a.csv", text(GOOD + "4,b,c\n"), {}, "row 4: 3 fields, expected 2: '4,b,c'"),
    ("a.csv", text(GOOD + "4\n5,b\n"), {}, "row 4: 1 fields, expected 2: '4'"),
    ("a.csv", text(GOOD + "4" * 500 + "\n"), {}, r"row 4: 1 fields, expected 2: '4{76}\.\.\."),
    ("a.csv", text(GOOD.replace("x", "label")), {}, "the column 'label' is there twice"),
    ("a.csv", text(GOOD.replace("x", "")), {}, "the header has no name for column 1"),
    ("a.csv", text("1,0\n2,1\n3,0\n"), {}, "the header has numbers alone: a file without a head"),
    ("a.csv", text("70,2.5,a\n71,3.5,b\n"), {"label": -1}, "the header has the number 2.5: a file"),
    (
        "a.csv",
        text('x,label\n"1,5",a\n"2,5",b\n'),
        {},
        "row 1, column 'x': '1,5': numbers have a decimal comma",
    ),
    ("a.csv", text(GOOD.replace(",", ";")), {}, "this looks like a semicolon-separated file"),
    ("a.csv", text(GOOD.replace(",", "\t")), {}, "this looks like a tab-separated file"),
    ("a.tsv", text(GOOD), {}, "this looks like a comma-separated file"),
    ("a.csv", text(gzip.compress(GOOD.encode())), {}, "this looks like a gzip file: unpack it"),
    ("a.csv", npz(x=ONES, y=ONES), {}, "not a table as text: this looks like a zip file"),
    ("a.csv", columns(x=[1], label=["a"]), {}, "not a table as text: this looks like a parquet"),
    ("a.csv", text(GOOD.encode("utf-16")), {}, "this looks like text in UTF-16: save it as UTF-8"),
    ("a.csv", text(b"x,label\n1,a\n2,caf\xe9\n"), {}, "line 3: byte 0xe9: expected text in UTF-8"),
    ("a.csv", text(GOOD + "\0,a\n"), {}, "not a table as text: it holds a NUL byte"),
    ("a.csv", text("<!DOCTYPE html>404"), {}, "this looks like a web page and not the file"),
    ("a.csv", text("version https://git-lfs.github.com/spec/v1\n"), {}, "a pointer of Git LFS"),
    ("a.csv", text(pickle.dumps({"x": 1})), {}, "this looks like a pickle, which is never read"),
    ("a.csv", text('x,label\n1,"a\n2,b\n3\n'), {}, "line 2: a quotation mark is not closed, or"),
    ("a.csv", text('x,label\n1,"a\n2,"b\n3,a\n'), {}, "line 2: .* not doubled within quotation"),
    ("a.csv", text(GOOD + "inf,a\n"), {}, "row 4, column 'x': inf, expected a finite number"),
    ("a.csv", text(GOOD + "-Infinity,a\n"), {}, "row 4, column 'x': -inf, expected a finite"),
    ("a.csv", text(GOOD + "nan,a\n"), {}, "row 4, column 'x': missing: expected a value, or `miss"),
    ("a.csv", text(GOOD + ",a\n"), {}, "row 4, column 'x': missing: expected a value, or `missing"),
    ("a.csv", text(GOOD + "4,\n"), {}, "row 4, column 'label': missing: expected a value"),
    ("a.csv", text(GOOD + "4,\n"), {"missing": "mean"}, "row 4, column 'label': missing: a label"),
    (
        "a.csv",
        text("x,town,label\n1,A,a\n2,,b\n3,B,a\n"),
        {"missing": "mean"},
        "row 2, column 'town': missing: a text has no mean, expected `missing: drop`",
    ),
    ("a.csv", text("x,label\n,a\n?,b\nNA,a\n"), {}, "column 'x': all values are missing"),
    (
        "a.csv",
        text("x,label\n,a\n?,b\nNA,a\n"),
        {"missing": "drop"},
        "no row in which",
    ),
    ("a.csv", text(GOOD + "1_000,a\n"), {}, "row 4, column 'x': '1_000', but row 1 has '1'"),
    ("a.csv", text(GOOD + "\u0661,a\n"), {}, "row 4, column 'x': '\u0661', but row 1 has '1'"),
    ("a.csv", text(GOOD + "0x1,a\n"), {}, "row 4, column 'x': '0x1', but row 1 has '1'"),
    ("a.csv", text(GOOD + "1e999,a\n"), {}, "row 4, column 'x': inf, expected a finite number"),
    ("a.csv", text(GOOD + "4,?\n"), {}, "row 4, column 'label': missing: expected a value"),
    (
        "a.csv",
        text(GOOD + "four,a\n"),
        {},
        "row 4, column 'x': 'four', but row 1 has '1'",
    ),
    ("a.csv", text('x,label\n"1,5",a\n2,b\n3,a\n'), {}, "row 1, column 'x': '1,5', but row 2 has"),
    ("a.csv", text(GOOD.replace(",b", ",a")), {}, "column 'label': only the label 'a', expected 2"),
    (
        "a.csv",
        text("x,label\n" + "".join(f"{row},{row / 7}\n" for row in range(300))),
        {},
        "column 'label': 300 different labels, '0' to '42.71[0-9]*', expected at most 256: is this",
    ),
    (
        "a.csv",
        text("name,label\n" + "".join(f"n{row},{row % 2}\n" for row in range(300))),
        {},
        "column 'name': 300 different texts, such as 'n0', expected at most 256: is this a name",
    ),
    ("a.csv", text("label\na\nb\na\n"), {}, "no column besides the labels, expected features"),
    (
        "a.csv",
        text(GOOD + "1e39,a\n"),
        {"scale": "none"},
        r"column 'x': 1e\+39 is too large for si",
    ),
    (
        "a.csv",
        text(GOOD + "1e308,a\n-1e308,b\n"),
        {},
        r"column 'x': 1e\+308 is too large for",
    ),
    ("a.csv", text(GOOD), {"records": 4}, "3 records found, expected 4, as the configuration says"),
    ("a.csv", text(GOOD), {"features": 2}, "1 features found, expected 2, as the configuration"),
    ("a.csv", text(GOOD), {"classes": 3}, "2 classes found, expected 3, as the configuration says"),
    ("a.csv", text(GOOD), {"sha256": "0" * 64}, "sha256 is [0-9a-f]{64}, expected 000"),
    ("a.csv", text(GOOD), {"array": "x"}, "array: expected only of an .npz"),
    ("a.xlsx", zipped(x=b""), {}, "expected a name that ends in one of .csv, .* a spreadsheet"),
    ("a.csv", folder({}), {}, "expected a file|Is a directory"),
    ("absent.csv", lambda path: None, {}, "expected a file|No such file"),
    ("a.parquet", text(GOOD), {}, "not a whole parquet file|not a parquet file"),
    ("a.parquet", cut(columns(x=[1, 2], label=[1, 2]), 200), {}, "not a whole parquet file"),
    ("a.parquet", text(b"PAR1" + b"\0" * 90 + b"PAR1"), {}, "not a whole parquet file"),
    ("a.parquet", columns(x=[1, 2, 3], y=[1, 2, 1]), {}, "no column 'label', found 'x', 'y'"),
    (
        "a.parquet",
        columns(x=[1, 2], label=[1, 2]),
        {"header": False},
        "header: expected only",
    ),
    (
        "a.parquet",
        columns(x=[[1], [2]], label=[1, 2]),
        {},
        r"column 'x': list<.*>, expected",
    ),
    (
        "a.parquet",
        columns(x=[b"a", b"b"], label=[1, 2]),
        {},
        "column 'x': binary, expected",
    ),
    ("a.parquet", columns(x=[1, None, 2], label=[1, 2, 1]), {}, "row 2, column 'x': missing"),
    ("a.npz", text(b""), {}, "the file is empty"),
    ("a.npz", text("x"), {}, "not a whole .npz"),
    ("a.npz", text(saved(ONES)), {}, "this looks like an .npy file: expected an .npz with labels"),
    ("a.npz", cut(npz(x=IMAGES[:, 0], y=ONES), 300), {}, "not a whole .npz"),
    ("a.npz", changed(npz(x=IMAGES[:, 0], y=ONES), b"\x01\x02\x03", b"\x01\x02\x04"), {}, "CRC"),
    ("a.npz", npz(x=IMAGES[:, 0]), {}, "'x' in it, expected y, Y, labels, .* or the key `label`"),
    ("a.npz", npz(a=ONES, y=ONES), {}, "'a', 'y' in it, expected x, X, .* or the key `array`"),
    ("a.npz", npz(x=IMAGES[:, 0], y=ONES), {"array": "z"}, "'x', 'y' in it, expected 'z'"),
    (
        "a.npz",
        npz(x=IMAGES, y=ONES),
        {},
        r"shape \(4, 8, 8\), .*: images have a format",
    ),
    ("a.npz", npz(x=ONES, y=ONES), {}, r"x: shape \(4,\), expected \(records, ...\)"),
    ("a.npz", npz(x=IMAGES[:3, 0], y=ONES), {}, "y: 4 labels of 3 records"),
    (
        "a.npz",
        npz(x=IMAGES[:, 0], y=np.eye(4)),
        {},
        r"y: shape \(4, 4\), .*looks one-hot",
    ),
    (
        "a.npz",
        npz(x=IMAGES[:, 0], y=np.array([0, 1, np.nan, 1])),
        {},
        "row 3",
    ),
    (
        "a.npz",
        npz(x=IMAGES[:, 0], y=np.array(["a", "", "b", "a"])),
        {},
        "y: row 2: the label is em",
    ),
    ("a.npz", npz(x=IMAGES[:, 0], y=np.array([b"a", b"\xff", b"b", b"a"])), {}, "expected text in"),
    ("a.npz", npz(x=IMAGES[:, 0], y=ONES * 1j), {}, "y: complex128, expected numbers or strings"),
    ("a.npz", npz(x=IMAGES[:, 0] * 1j, y=ONES), {}, "complex128, expected numbers or booleans"),
    ("a.npz", npz(x=IMAGES[:, 0], y=ONES), {"label": 2}, "label 2: expected an array's name"),
    (
        "a.npz",
        npz(x=np.array([[1, "a"], [2, None]], object), y=ONES[:2]),
        {},
        "x: an array of objects, which is a pickle and never read",
    ),
    (
        "a.npz",
        zipped(x=header("(1000000000000, 8)"), y=Y),
        {},
        "x: 0 bytes, but its header says 8,000,000,000,000: shape",
    ),
    ("a.npz", zipped(x=header("(-4, -8)") + b"\0" * 32, y=Y), {}, "x: shape|negative|not a whole"),
    ("a.npz", zipped(x=header("(4, 8)") + b"\0" * 31, y=Y), {}, "x: 31 bytes, but its header says"),
    ("a.npz", zipped(x=b"\x93NUMPY\x09\x00", y=Y), {}, "not a whole .npz"),
    ("a.npz", zipped(x=header("(" + "1, " * 9000 + ")"), y=Y), {}, "not a whole .npz"),
]

PICTURES: list[tuple[str, Make, dict[str, object], str]] = [
    ("in", folder({}), {}, "nothing in it, expected a folder of images for each class"),
    ("in", folder({"a/1.png": image(), "b/": b""}), {}, "b: an empty class: expected PNG or JPEG"),
    (
        "in",
        folder({"a/1.png": image(), "a/2.png": image(), "a/3.png": image()}),
        {},
        "only the",
    ),
    ("in", folder({"1.png": image()}), {}, "1.png: a file in in: expected only folders there"),
    ("in", folder(TWO | {"a/2.txt": b"x"}), {}, "2.txt: expected a PNG or JPEG file"),
    ("in", folder(TWO | {"a/c/1.png": image()}), {}, "a/c: expected a PNG or JPEG file"),
    ("in", folder(TWO | {"a/2.png": b""}), {}, "a/2.png: the file is empty"),
    ("in", folder(TWO | {"a/2.png": b"x" * 99}), {}, "a/2.png: not a PNG or JPEG file"),
    (
        "in",
        folder(TWO | {"a/2.png": b"GIF89a" + b"\0" * 99}),
        {},
        "a/2.png: not a PNG or JPEG file",
    ),
    ("in", folder(TWO | {"a/2.png": image()[:60]}), {}, "a/2.png: not a whole image"),
    ("in", folder(TWO | {"a/2.png": image()[:40]}), {}, "a/2.png: not a whole image"),
    ("in", folder(TWO | {"a/2.png": image()[:-5] + b"x" * 5}), {}, "a/2.png: not a whole image"),
    (
        "in",
        folder(TWO | {"a/2.png": image().replace(b"IDAT", b"IDAX")}),
        {},
        "a/2.png: not a whole",
    ),
    ("in", folder(TWO | {"a/2.jpg": image(form="JPEG")[:-90]}), {}, "a/2.jpg: not a whole image"),
    (
        "in",
        folder(TWO | {"b/2.png": image(GREY[:4])}),
        {},
        r"b/2.png: 4 x 8 x 1, expected 8 x 8 x 1 \(rows, columns, channels\) as a/1.png",
    ),
    (
        "in",
        folder(TWO | {"b/2.png": image(np.stack([GREY] * 3, -1))}),
        {},
        r"b/2.png: 8 x 8 x 3, expected 8 x 8 x 1",
    ),
    ("in", folder(TWO | {"b/2.png": image(GREY.astype(np.uint16))}), {}, "of the mode 'I;16', exp"),
    (
        "in",
        folder(TWO | {"b/2.jpg": image(Image.new("CMYK", (8, 8)), "JPEG")}),
        {},
        "of the mode 'CMYK', expected grey or colours of 8 bits",
    ),
    (
        "in",
        folder(TWO | {"b/2.png": image(Image.new("1", (9_000, 9_000)))}),
        {},
        "9,000 x 9,000",
    ),
    ("in", folder(TWO | {"b/2.png": image(Image.new("1", (10_000, 9_000)))}), {}, "10,000 x 9,000"),
    ("in", folder(TWO | {"b/2.png": "/etc/passwd"}), {}, "b/2.png: a link that leads out of"),
    ("in", folder(TWO | {"c": "/etc"}), {}, "c: a link that leads out of"),
    ("in", folder(TWO | {"b/2.png": "2.png"}), {}, "b/2.png: .*link|symbolic|expected a PNG"),
    ("in", folder(TWO), {"label": "x"}, "label: expected only of an .npz"),
    ("in", folder(TWO), {"array": "x"}, "array: expected only of an .npz"),
    ("in", folder(TWO), {"md5": "0" * 32}, "md5=0{32}: a folder has no checksum, expected none"),
    (
        "in",
        folder(TWO),
        {"mean": [0.5, 0.5], "std": [1, 1]},
        "mean: 2 numbers, expected 1",
    ),
    ("in", folder(TWO), {"mean": [0.5]}, "images: expected both mean and std, or none of them"),
    (
        "in",
        folder({f"{name}/{at}.png": image(GREY * 0) for name in "ab" for at in range(2)}),
        {},
        "channel 1 is 0 everywhere: expected other values too, or `mean` and `std`",
    ),
    ("in", folder(TWO), {}, "2 records, expected 3 at least"),
    ("in", folder(TWO | {"a/2.png": image()}), {"features": 63}, "64 features found, expected 63"),
    ("a.npz", npz(x=IMAGES / 255, y=ONES), {}, r"float64, expected uint8 .*\[0, 1\]\? Take their"),
    ("a.npz", npz(x=IMAGES.astype(int), y=ONES), {}, "int64, expected uint8 from 0 to 255"),
    ("a.npz", npz(x=IMAGES[:, 0], y=ONES), {}, r"shape \(4, 8, 1\)|shape \(4, 8\), expected"),
    ("a.npz", npz(x=IMAGES[:, None], y=ONES), {}, r"shape \(4, 1, 8, 8\), .* their channels first"),
    ("a.npz", npz(x=IMAGES[..., None, None], y=ONES), {}, r"shape \(4, 8, 8, 1, 1\), expected"),
    ("a.npz", npz(x=IMAGES, y=ONES * 0), {}, "labels: only the label '0', expected 2 at least"),
    ("a.npz", npz(x=IMAGES[:0], y=ONES[:0]), {}, r"x: shape \(0, 8, 8\), expected"),
    ("a.png", text(image()), {}, "not an .npz: this looks like a PNG image"),
]

BPE = {"tokenizer": "bpe", "vocabulary": 300}
SAID = "text,label\nfine,1\nbad,0\ngood,1\n"
WORDS: list[tuple[str, Make, dict[str, object], str]] = [
    ("a.csv", text(SAID.replace("bad", "  ")), {}, "row 2, column 'text': the text is empty"),
    ("a.csv", text(SAID.replace("bad", "")), {}, "row 2, column 'text': the text is empty"),
    ("a.csv", text(SAID.replace(",0", ",")), {}, "row 2, column 'label': the label is missing"),
    ("a.csv", text(SAID), {"text": "sentence"}, "no column 'sentence', found 'text', 'label'"),
    ("a.csv", text(SAID), {"text": 2}, "column 'label': expected text or labels"),
    ("a.csv", text(SAID + "so, so,1\n"), {}, "row 4: 3 fields, expected 2: 'so, so,1'"),
    ("a.csv", text(SAID.replace("0", "1")), {}, "column 'label': only the label '1', expected 2"),
    (
        "a.csv",
        text(SAID),
        {"features": 3},
        "record [13]: [67] tokens, more than any",
    ),
    (
        "a.csv",
        text(SAID),
        {"features": 2, "truncate": True},
        "`features` is 2: expected more",
    ),
    ("a.csv", text(SAID), {"truncate": True}, "text: truncate: expected with 'features'"),
    ("a.csv", text(SAID), {"scale": "range"}, "text: scale: expected only of the format table"),
    ("a.csv", text(SAID), {"tokenizer": None}, "text: missing key 'tokenizer'"),
    ("a.jsonl", text(SAID), {}, "row 1: not JSON"),
    (
        "a.jsonl",
        text('{"text": "a", "label": 1}\n["b", 0]\n'),
        {},
        r"row 2: \['b', 0\], expected",
    ),
    (
        "a.jsonl",
        text('{"text": "a", "label": 1}\n{"text": "b"}\n'),
        {},
        "row 2: key 'label'",
    ),
    (
        "a.jsonl",
        text('{"text": "a", "label": 1}\n{"text": 2, "label": 1}\n'),
        {},
        "row 2, key 'text': 2, but row 1 has 'a': expected values of one kind",
    ),
    ("a.jsonl", text('{"text": 1, "label": 1}\n'), {}, "column 'text': int64, expected texts"),
    ("a.jsonl", text("[" * 100_000), {}, "row 1: not JSON"),
    ("a.parquet", columns(text=["a", None], label=[1, 0]), {}, "row 2, column 'text': the text is"),
    ("a.npz", npz(x=ONES, y=ONES), {}, "expected a name that ends in one of .csv, .* a zip file"),
]

CASES = [("table", *one) for one in TABLES]
CASES += [("images", *one) for one in PICTURES]
CASES += [("text", one[0], one[1], BPE | one[2], one[3]) for one in WORDS]


def test_there_are_many() -> None:
    assert len(CASES) > 100


@pytest.mark.parametrize(("form", "name", "make", "options", "message"), CASES)
def test_one_line_says_where_and_why(
    tmp_path: Path,
    call: Callable[..., None],
    form: str,
    name: str,
    make: Make,
    options: dict[str, object],
    message: str,
) -> None:
    (tmp_path / "given").mkdir()
    raw = tmp_path / "given" / name
    make(raw)
    before = {path: path.lstat().st_mtime_ns for path in raw.parent.rglob("*")}
    options = {"format": form} | {key: one for key, one in options.items() if one is not None}
    given = ("--name", "d", "--options", json.dumps(options), "--raw", raw)
    with pytest.raises(InputError) as caught:
        call("dataset", *given, "--output", tmp_path / "out" / "data")
    told = str(caught.value)
    assert re.search(message, told), told
    assert told.startswith((str(raw), "dataset d: ", f"{form}: ")), told
    assert "\n" not in told
    assert len(told.replace(str(tmp_path), "")) < 400
    assert not (tmp_path / "out").exists()
    assert {path: path.lstat().st_mtime_ns for path in raw.parent.rglob("*")} == before


def test_a_pickle_is_not_run(tmp_path: Path, call: Callable[..., None]) -> None:
    """Whatever an array of objects says."""

    class Harm:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "harm"),)

    np.savez(tmp_path / "a.npz", x=np.array([[Harm()], [Harm()]], object), y=np.array([0, 1]))
    for form in "table", "images":
        given = ("--name", "d", "--options", json.dumps({"format": form}), "--raw")
        with pytest.raises(InputError, match="a pickle and never read"):
            call("dataset", *given, tmp_path / "a.npz", "--output", tmp_path / "out")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("form", "name", "make"),
    [
        ("table", "a.csv", text('x,town,label\n1.5,"A",a\n2,B,b\n3,"C, D",a\n')),
        ("table", "a.tsv", text('x\ttown\tlabel\n1.5\t"A"\ta\n2\tB\tb\n3\tC\ta\n')),
        ("table", "a.parquet", columns(x=[1.5, 2, 3], town=["A", "B", "C"], label=["a", "b", "a"])),
        ("table", "a.npz", npz(x=IMAGES[:, 0], y=np.array(["a", "b", "a", "b"]))),
        ("images", "a.npz", npz(x=IMAGES, y=ONES)),
        ("images", "in/a/1.png", None),
        ("images", "in/a/1.jpg", None),
    ],
)
def test_noise_in_a_file_is_an_error_or_does_not_matter(
    tmp_path: Path, form: str, name: str, make: Make | None
) -> None:
    """Bytes changed, cut off or put in: never another exception than that of bad input."""
    rng = np.random.default_rng(1)
    path = tmp_path / name
    if make is None:
        colours = np.stack([GREY] * 3, -1)
        kind = "PNG" if name.endswith("png") else "JPEG"
        given = {"b/2.png": image(colours), name[3:]: image(colours, kind)}
        folder(given)(tmp_path / "in")
    else:
        make(path)
    whole, refused = path.read_bytes(), 0
    for kind in rng.integers(0, 3, 100):
        noisy = bytearray(whole)
        place = int(rng.integers(1, len(whole)))
        if kind == 0:
            noisy[place] ^= int(rng.integers(1, 256))
        elif kind == 1:
            del noisy[place:]
        else:
            noisy[place:place] = rng.bytes(3)
        path.write_bytes(noisy)
        raw = path if make else tmp_path / "in"
        try:
            formats()[form].read(DataOptions(format=form), raw)
        except InputError:
            refused += 1
    assert refused > 10
