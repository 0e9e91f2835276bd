"""A stored data set in the files that the original kit reads (microsoft/MICO, challenge_datasets).

Bits are `purchase100/dataset_purchase`, Shokri et al.'s CSV. Images are the batches for Python of
CIFAR-10, under `cifar10/`. The kit's loader of text takes SST-2 from the hub by its name, and it
has none of other data.
"""

import pickle  # the form is one; none is ever read here
from pathlib import Path

import numpy as np

from mico.data.formats import cifar10_binary
from mico.data.registry import Format
from mico.data.store import Dataset
from mico.support.atomic import atomic_directory
from mico.support.errors import InputError
from mico.support.progress import progress

ROWS = 10_000  # of a CSV that are put together at once
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
# torchvision takes the published files only, by their checksums.
UNCHECKED = (
    "torchvision checks that the files are the published ones, so first run",
    """```python
from torchvision.datasets import CIFAR10
CIFAR10.train_list = [[name, None] for name, _ in CIFAR10.train_list]
CIFAR10.test_list = [[name, None] for name, _ in CIFAR10.test_list]
CIFAR10.meta = CIFAR10.meta | {"md5": None}
```""",
    "Its training batches and its test batch, one after the other, are the records in their order.",
)


def is_taken(form: Format) -> bool:
    """Whether all that a format gives is read by the original kit."""
    return form.kinds == ("bits",) or form.features == cifar10_binary.FEATURES


def write(directory: Path, dataset: Dataset) -> None:
    """Write a data set's records in their order; the directory appears whole or not at all.

    Raises:
        InputError: it is of a kind that the original kit does not read from files.
    """
    description = dataset.description
    if description.kind == "tokens":
        raise InputError(
            f"data set {description.name} is text: expected bits or images, since the original kit "
            "takes SST-2 from the hub by its name"
        )
    if description.kind != "bits" and description.shape != cifar10_binary.SHAPE:
        shape = " x ".join(map(str, description.shape or ()))
        found = f"images of {shape}" if description.shape else description.kind
        expected = "expected bits, or images of 3 x 32 x 32, which the original kit reads"
        raise InputError(f"data set {description.name} holds {found}: {expected}")
    synthetic = "synthetic " * description.synthetic
    paragraphs = (
        f"# {description.name}, {description.records:,} {synthetic}records, for the original kit",
        "Give this folder to the kit's loader as `dataset_dir`.",
        *(UNCHECKED if description.kind == "images" else ()),
    )
    with atomic_directory(directory) as temporary:
        text = "\n\n".join(paragraphs) + "\n"
        (temporary / "README.md").write_text(text, encoding="utf-8")
        if description.kind == "bits":
            _write_csv(temporary / "purchase100", dataset)
        else:
            _write_batches(temporary / "cifar10" / "cifar-10-batches-py", dataset)


def _write_csv(folder: Path, dataset: Dataset) -> None:
    """A row per record: the label, from 1, and the bits."""
    folder.mkdir()
    starts = range(0, len(dataset.labels), ROWS)
    with (folder / "dataset_purchase").open("wb") as file:
        for start in progress(starts, len(starts), f"times {ROWS:,} rows"):
            rows = slice(start, start + ROWS)
            bits = dataset.features(rows)
            text = np.full((len(bits), 2 * bits.shape[1]), ord(","), np.uint8)
            text[:, ::2] = bits + ord("0")
            text[:, -1] = ord("\n")
            for label, row in zip(dataset.labels[rows], text, strict=True):
                file.write(b"%d," % (int(label) + 1) + row.tobytes())


def _write_batches(folder: Path, dataset: Dataset) -> None:
    """Pickled dictionaries, the records in six parts of about the same size."""
    folder.mkdir(parents=True)
    names = [f"class {number}" for number in range(dataset.description.classes)]
    contents: dict[str, dict[str, object]] = {"batches.meta": {"label_names": names}}
    for name, part in zip(BATCHES, np.array_split(np.arange(len(dataset.labels)), 6), strict=True):
        labels = dataset.labels[part].tolist()
        contents[name] = {"data": dataset.features(part), "labels": labels}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
