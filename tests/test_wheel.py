"""The package as `pip install .` installs it, by a wheel that is unzipped where nothing else is."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "scripts")
# Imports every module that was installed, and finds what is no module.
IMPORT = """
import importlib, sys
from pathlib import Path
installed = Path(sys.argv[1])
sys.path.insert(0, str(installed))
import mico
assert Path(mico.__file__).is_relative_to(installed)
for path in sorted((installed / "mico").rglob("*.py")):
    parts = path.relative_to(installed).with_suffix("").parts
    importlib.import_module(".".join(part for part in parts if part != "__init__"))
from mico.pages import rendering
from mico.release import bundle
assert "report.html.j2" in rendering.environment().list_templates()
assert all((bundle.KIT / name).is_file() for name in bundle.KIT_FILES)
assert bundle.CARD.is_file()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the wheel's files are."""
    # A copy, as what an earlier build left beside the source would get into the wheel.
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part)
        else:
            shutil.copy(ROOT / part, folder / part)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist"]
    command += ["--no-build-isolation", "."]
    subprocess.run(command, cwd=folder, check=True)
    [wheel] = (folder / "dist").iterdir()
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "installed")
    return folder / "installed"


@pytest.mark.slow
def test_it_holds_the_package_and_nothing_else(installed: Path) -> None:
    def files(folder: Path) -> set[str]:
        found = (folder / "mico").rglob("*")
        kept = (path for path in found if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(folder)) for path in kept}

    assert files(installed) == files(ROOT / "scripts")
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {
        "mico",
        "mico_benchmark",
    }


@pytest.mark.slow
def test_every_module_is_imported_from_it(installed: Path) -> None:
    """By an interpreter that looks neither at the checkout nor at the environment's variables."""
    subprocess.run([sys.executable, "-I", "-c", IMPORT, str(installed)], check=True)
