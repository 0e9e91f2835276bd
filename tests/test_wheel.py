"""The package, and the notebooks with it, as `pip install .` installs it, by a
wheel that is unzipped where nothing else is.
"""

import json
import os
import re
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


# The cells of a notebook one after the other, as a kernel runs them; shows a cell's last value.
NOTEBOOK = """
import ast, json, sys
from pathlib import Path
installed, notebook = sys.argv[1:]
sys.path.insert(0, installed)
import mico
assert Path(mico.__file__).is_relative_to(installed)
names = {}
for cell in json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, notebook, "exec"), names)
        if last:
            print(eval(compile(ast.Expression(last.value), notebook, "eval"), names))
"""


def shown(installed: Path, notebook: str, folder: Path, **environment: str) -> str:
    """What a notebook shows that is run outside the checkout."""
    command = [sys.executable, "-I", "-W", "error", "-c", NOTEBOOK]
    command += [str(installed), str(ROOT / "examples" / notebook)]
    variables = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"} | environment
    result = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow
def test_models_of_ones_own_are_attacked_in_a_notebook(installed: Path, tmp_path: Path) -> None:
    """Their training leaks, and more to LiRA than to a threshold."""
    text = shown(installed, "attack_your_own_models.ipynb", tmp_path)
    [lira] = re.findall(r"^LiRA, one variance +(\S+)", text, re.M)
    [difference] = re.findall(r"^tpr_at_fpr_0\.1 +(\S+)", text, re.M)
    assert float(lira) > 0.15
    assert 0 < float(difference) < float(lira)


def test_a_run_is_attacked_in_a_notebook(installed: Path, tiny: Path, tmp_path: Path) -> None:
    text = shown(installed, "attack_a_run.ipynb", tmp_path, RUN=str(tiny))
    assert re.search("^both ", text, re.M)
    assert len(re.findall(r"^tpr_at_fpr_0", text, re.M)) == 2


def test_notebooks_hold_no_output() -> None:
    """What they show depends on the machine."""
    for path in (ROOT / "examples").glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
