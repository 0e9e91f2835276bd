"""How a record looks to a person: a picture, a sentence, or a list of what it has."""

import base64
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mico.data import store, tokens
from mico.data.store import Dataset, Description

MOST_ITEMS = 40  # that are shown of one record
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # a PNG's colour type, by the number of channels

Look = dict[
    str, Any
]  # `picture`, an address; or `text`; or `items`, texts, and how many are `left`


def looks(folder: Path, dataset: Dataset, records: Sequence[int]) -> list[Look]:
    """How some records of a stored data set, which lies in a folder, look, in order.

    Raises:
        InputError: its tokenizer is missing, or is not as its checksum says.
    """
    about, features = dataset.description, dataset.features(np.array(records, np.int64))
    if about.kind == "images":
        return [{"picture": _picture(row, about)} for row in features]
    if about.kind == "tokens":
        return [{"text": text} for text in tokens.decode(store.tokenizer(folder), features)]
    found = []
    for row in features:
        items = _items(row, about)
        found.append({"items": items[:MOST_ITEMS], "left": max(len(items) - MOST_ITEMS, 0)})
    return found


def _items(row: np.ndarray, about: Description) -> list[str]:
    """What a record of a table has: its columns by name, or the numbers of its features.

    Of bits without names these are the numbers of those that are set, from 0.
    """
    if about.columns is None:
        if about.kind == "bits":
            return [str(place) for place in np.flatnonzero(row)]
        return [f"{place}: {value:.6g}" for place, value in enumerate(row)]
    items, place = [], 0
    for column in about.columns:
        texts = column.get("texts")
        if texts is None:
            number = float(row[place]) * column["divide"] + column["subtract"]
            # It was stored in float32: what is left of a 0 is not shown.
            noise = 1e-6 * max(abs(column["divide"]), abs(column["subtract"]))
            value = f"{0 if abs(number) < noise else number:.6g}"
        else:
            value = texts[int(row[place : place + len(texts)].argmax())]
        items.append(f"{column['name']}: {value}")
        place += 1 if texts is None else len(texts)
    return items


def _picture(row: np.ndarray, about: Description) -> str:
    """The address of a PNG that carries itself; of other than 1 to 4 channels it shows the first.

    Args:
        row: (d,) uint8, channel by channel and row by row.
    """
    assert about.shape is not None  # an image has one
    pixels = row.reshape(about.shape)
    if len(pixels) not in COLOURS:
        pixels = pixels[:1]
    channels, rows, columns = pixels.shape
    lines = pixels.transpose(1, 2, 0).reshape(rows, -1)
    # Each row of pixels begins with the filter that it went through: none.
    raw = np.concatenate([np.zeros((rows, 1), np.uint8), lines], axis=1).tobytes()
    head = struct.pack(">IIBBBBB", columns, rows, 8, COLOURS[channels], 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b"")
    content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check
