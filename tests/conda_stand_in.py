"""The part of conda that Snakemake calls, on py-rattler, with a channel of only Python and pip.

Environment files are really parsed, solved, linked and activated. What their `pip:` sections need
is found by the environment's own pip, and linked too: each package is unpacked once, as torch takes
a gigabyte. The channel is called conda-forge and is packed from the Python that runs this.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import yaml
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
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2", compresslevel=1) as archive:
        for file, content in {
            "index.json": json.dumps(index | {"subdir": folder.name} | more),
            "files": "\n".join(files),
            "link.json": json.dumps({"noarch": {"type": "python"}, "package_metadata_version": 1}),
        }.items():
            entry = tarfile.TarInfo(f"info/{file}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content.encode()))
        for file, path in files.items():
            archive.add(path.resolve(), file)


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
            link(root / "unpacked", prefix, part["pip"])


def link(unpacked: Path, prefix: Path, pins: list[str]) -> None:
    """Install these pins, and what they need, as links to folders that hold a package each."""

    def pip(*arguments: str, text: str | None = None) -> str:
        command = [prefix / "bin" / "python", "-Im", "pip", "install", "--quiet", *arguments]
        return subprocess.run(
            command, input=text, text=True, check=True, stdout=subprocess.PIPE
        ).stdout

    chosen = ("--dry-run", "--report", "-", "--requirement", "/dev/stdin")
    report = json.loads(pip(*chosen, text="\n".join(pins)))
    places = {"base": str(prefix)}
    site_packages = Path(sysconfig.get_path("purelib", "posix_prefix", places))
    for package in report["install"]:
        about = package["metadata"]
        folder = unpacked / f"{about['name']}-{about['version']}"
        if not folder.exists():
            exact = f"{about['name']}=={about['version']}"
            # Most of what is installed is never imported: to compile it takes longer.
            pip("--no-deps", "--no-compile", "--target", str(folder), exact)
        for entry in folder.iterdir():
            if entry.suffix == ".dist-info":
                own = shutil.copytree(entry, site_packages / entry.name)
                if not package["requested"]:
                    (own / "REQUESTED").unlink()
            elif entry.name != "bin":
                (site_packages / entry.name).symlink_to(entry)


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
