"""CIFAR-100 in its official binary form: the coarse label, the fine one and the pixels of each."""

from pathlib import Path

from mico.data.archives import is_archive
from mico.data.checksums import verify
from mico.data.formats.cifar10_binary import PIXELS, SHAPE, read_files
from mico.data.options import DataOptions
from mico.data.pixels import normalisation
from mico.data.raw import Raw

SUMMARY = "CIFAR-100's official files of records, with the fine labels, see below"
KINDS = ("images",)
FILES = ".bin"
FEATURES = PIXELS
OPTIONS = ("mean", "std")

CLASSES = 100


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the official files that `files` names, as those of CIFAR-10 are read."""
    assert raw is not None
    assert options.files is not None
    names = ", ".join(options.files)
    archive = is_archive(raw)
    if archive:  # whose checksums these are; each file has its own
        verify(raw, options.checks)
    classes = options.classes or CLASSES
    shape = (options.records, options.features, classes)
    pixels, labels = read_files(raw, *shape, options.files, labels_of=2)
    mean, std = normalisation(options, pixels, SHAPE[0], raw)
    source = f"{raw.name}: {names}" if archive else names
    return Raw(pixels, labels, source, "images", classes, PIXELS, shape=SHAPE, mean=mean, std=std)
