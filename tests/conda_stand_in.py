"""The part of conda that Snakemake calls, on py-rattler, with a channel of only Python and pip.

Environment files are really parsed, solved, linked and activated. The channel is called conda-forge
and is packed from the Python that runs this. What `pip:` sections pin, and what that needs, is
linked from the same Python, which must have just what is pinned.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import shlex
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

import pyarrow
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import Channel, ChannelConfig, Gateway, Subdir, install, solve
from rattler.index import index_fs

# As conda's own, to be sourced with the path of an environment.
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'
# What lies among the files of Python or pip and is no part of a package.
OMITTED = {"..", "REQUESTED", "__pycache__", "site-packages", "test"}


def set_up(root: Path) -> None:
    """Make a folder that is as conda's own base environment, and its channel."""
    (root / "bin").mkdir(parents=True)
    command = shlex.join([sys.executable, __file__, str(root)])
    (root / "bin" / "conda").write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    (root / "bin" / "conda").chmod(0o755)
    (root / "bin" / "activate").write_text(ACTIVATE)
    channel = root / "conda-forge"
    version = platform.python_version()
    pack(channel / str(Subdir.current()), "python", version, python_files())
    pip = metadata.distribution("pip")
    files = {
        f"site-packages/{file}": Path(pip.locate_file(file))
        for file in pip.files or ()
        if not OMITTED & {*file.parts}
    }
    pack(channel / "noarch", "pip", pip.version, files, depends=["python"], noarch="python")
    asyncio.run(index_fs(channel))


def python_files() -> dict[str, Path]:
    """What a Python of its own needs, by its path in an environment."""
    base, library = Path(sys.base_prefix), Path(sysconfig.get_path("stdlib"))
    executable = f"python{sys.version_info.major}.{sys.version_info.minor}"
    files = {f"bin/{name}": base / "bin" / executable for name in ("python", "python3", executable)}
    shared = sysconfig.get_config_var("INSTSONAME")
    if shared and (base / "lib" / shared).suffix != ".a":
        files[f"lib/{shared}"] = base / "lib" / shared
    for path in library.rglob("*"):
        name = path.relative_to(library)
        if path.is_file() and path.suffix != ".a" and not OMITTED & {*name.parts}:
            files[f"lib/{library.name}/{name}"] = path
    return files


def pack(folder: Path, name: str, version: str, files: Mapping[str, Path], **more: object) -> None:
    """Write a conda package."""
    folder.mkdir(parents=True)
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": []}
    link = {"noarch": {"type": "python"}, "package_metadata_version": 1}
    about = {
        "info/index.json": json.dumps(index | {"subdir": folder.name} | more).encode(),
        "info/link.json": json.dumps(link).encode(),
        "info/files": "\n".join(files).encode(),
    }
    stem = f"{name}-{version}-0"
    contents = {file: path.read_bytes() for file, path in files.items()}
    executable = {file for file, path in files.items() if os.access(path, os.X_OK)}
    with zipfile.ZipFile(folder / f"{stem}.conda", "w") as package:
        package.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        package.writestr(f"info-{stem}.tar.zst", tar_zst(about, set()))
        package.writestr(f"pkg-{stem}.tar.zst", tar_zst(contents, executable))


def tar_zst(contents: Mapping[str, bytes], executable: set[str]) -> bytes:
    """An archive of files by their names."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name in executable else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return pyarrow.compress(plain.getvalue(), codec="zstd", asbytes=True)


async def create(root: Path, file: Path, prefix: Path) -> None:
    """Solve for an environment file and install what that gives."""
    content = yaml.safe_load(file.read_text())
    channels = ChannelConfig(f"{root.as_uri()}/")
    records = await solve(
        [Channel(name, channels) for name in content["channels"] if name != "nodefaults"],
        [part for part in content["dependencies"] if isinstance(part, str)],
        Gateway(cache_dir=root / "cache"),
    )
    await install(records, prefix, cache_dir=root / "packages", show_progress=False)
    for part in content["dependencies"]:
        if isinstance(part, dict):
            link(part["pip"], prefix)


def link(pins: Iterable[str], prefix: Path) -> None:
    """Give an environment these packages, and what they need, as links to those of this Python."""
    site_packages = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(prefix)}))
    pinned = [Requirement(pin) for pin in pins]
    waiting, seen = list(pinned), set[tuple[str, str]]()
    while waiting:
        wanted = waiting.pop()
        found = metadata.distribution(wanted.name)
        if not wanted.specifier.contains(found.version, prereleases=True):
            sys.exit(f"wanted {wanted}, found {found.version}: see requirements.txt")
        for extra in {"", *wanted.extras}:
            if (canonicalize_name(wanted.name), extra) in seen:
                continue
            seen.add((canonicalize_name(wanted.name), extra))
            needs = [Requirement(line) for line in found.requires or ()]
            waiting += [
                one for one in needs if one.marker is None or one.marker.evaluate({"extra": extra})
            ]
        for file in {Path(file.parts[0]) for file in found.files or ()} - {Path("..")}:
            place = site_packages / file
            if file.name not in OMITTED and not place.exists():
                place.symlink_to(found.locate_file(file))


def main(root: Path, arguments: list[str]) -> None:
    match arguments:
        case ["--version"]:
            print("conda 25.1.0")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(root), "platform": str(Subdir.current())}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["clean", "-y", "--tarballs"]:
            pass
        case ["env", "create", *options]:
            parser = argparse.ArgumentParser()
            for flag in "--quiet", "--no-default-packages":
                parser.add_argument(flag, action="store_true")
            for option in "--file", "--prefix":
                parser.add_argument(option, type=Path, required=True)
            given = parser.parse_args(options)
            asyncio.run(create(root, given.file, given.prefix))
            # A Python that ends while rattler's threads do may crash (pyo3-async-runtimes #40).
            os._exit(0)
        case _:
            sys.exit(f"not a command of this stand-in: conda {shlex.join(arguments)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
