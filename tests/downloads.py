"""Real data, which others may not hand on: found beside the checkout, or downloaded once.

Downloads go where the workflow puts its own, are checked as it checks them, and stay.
"""

import functools
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import programs
import pytest
import yaml

from mico.data.checksums import CHECKS

ROOT = Path(__file__).parents[1]


def folder(name: str) -> Path:
    """The folder that holds the files of a data set of the configuration, or a skipped test."""
    found = _find(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@functools.cache
def _find(name: str) -> Path | str:
    """That folder, or why there is none: a missing network is waited for once."""
    beside = ROOT.parent / "shared" / "data" / name
    if beside.is_dir():
        return beside
    entry = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["datasets"][name]
    url = entry["url"]
    archive = ROOT / "resources" / name / url.rsplit("/", 1)[-1]
    if not archive.exists():
        try:
            request = urllib.request.Request(url, method="HEAD")
            urllib.request.urlopen(request, timeout=5).close()
        except OSError as error:
            return f"{name} is not at {beside} and cannot be downloaded: {error}"
        checks = [f"{kind}={entry[kind]}" for kind in CHECKS if kind in entry]
        given = ("--name", name, "--url", url, "--check", *checks)
        done = programs.run("download", *given, "--output", archive)
        assert done.returncode == 0, done.stderr
    _unpack(archive, entry.get("files", ()))
    return archive.parent


def _unpack(archive: Path, names: tuple[str, ...]) -> None:
    """Put the files of these names beside an archive that holds them in a folder."""
    missing = [name for name in names if not (archive.parent / name).exists()]
    if not missing:
        return
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            contents = {Path(one).name: opened.read(one) for one in opened.namelist()}
    else:
        with tarfile.open(archive) as opened:
            members = [member for member in opened.getmembers() if Path(member.name).name in names]
            contents = {Path(one.name).name: opened.extractfile(one).read() for one in members}
    for name in missing:
        (archive.parent / name).write_bytes(contents[name])
