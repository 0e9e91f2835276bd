"""The data formats by name, found by their files.

`formats/labelled_bits.py` is the format `labelled-bits`. See `mico.data.formats` for what such a
module has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from mico.data import formats as package
from mico.data.options import DataOptions
from mico.data.raw import Raw


@dataclass(frozen=True)
class Format:
    """What a format's module says of it."""

    file: Path
    summary: str
    kinds: tuple[str, ...]  # of the stored data, of mico.data.store.KINDS: the file decides
    generated: bool  # from a seed, without a file
    files: str | None  # how the names of its official files end, where there are several
    folder: bool  # it may be given a folder
    features: int | None  # of every record, where there is no choice
    options: tuple[str, ...]  # which of mico.data.options.OF_SOME it takes
    read: Callable[[DataOptions, Path | None], Raw]


@cache
def formats() -> dict[str, Format]:
    """All formats, by name."""
    return {
        path.stem.replace("_", "-"): _format(path)
        for path in sorted(Path(package.__path__[0]).glob("[a-z]*.py"))
    }


def _format(path: Path) -> Format:
    module = import_module(f"{package.__name__}.{path.stem}")
    return Format(
        file=path,
        summary=module.SUMMARY,
        kinds=module.KINDS,
        generated=getattr(module, "GENERATED", False),
        files=getattr(module, "FILES", None),
        folder=hasattr(module, "FILES") or getattr(module, "FOLDER", False),
        features=getattr(module, "FEATURES", None),
        options=getattr(module, "OPTIONS", ()),
        read=module.read,
    )
