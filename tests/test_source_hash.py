"""A stage runs again when code that it runs is edited, and for nothing else."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from mico.support.source_hash import _kept, imported_files, source_hash

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    """The hashes of the programs as they are."""
    return hashes(SCRIPTS)


@pytest.fixture
def scripts(tmp_path) -> Path:
    copy = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def hashes(scripts, only="*") -> dict[str, str]:
    """The hash of each program in that folder, by the folder's own source_hash."""
    spec = importlib.util.spec_from_file_location(
        "copy", scripts / "mico" / "support" / "source_hash.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module._kept = _kept  # what was parsed before
    # Imported by name: here all of them, in a workflow the one that is run.
    attacks = {"attack": (scripts / "mico" / "attacks" / "formulas").glob("*.py")}
    return {
        path.stem: module.source_hash(path, *attacks.get(path.stem, ()))
        for path in sorted(scripts.glob(f"{only}.py"))
    }


def changed(before, scripts, name, old, new) -> set[str]:
    """The programs whose hash changes when that text of a file is replaced."""
    path = scripts / name
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))
    after = hashes(scripts)
    return {program for program in after if after[program] != before[program]}


PROGRAMS = {path.stem for path in SCRIPTS.glob("*.py")}


def test_hash_is_the_same_every_time_and_everywhere(before, scripts) -> None:
    assert set(before) == PROGRAMS
    assert len(set(before.values())) == len(PROGRAMS)
    assert hashes(scripts) == before


@pytest.mark.parametrize(
    ("name", "old", "new", "programs"),
    [
        ("splits.py", "args.n,", "args.n + 0,", {"splits"}),  # the program itself
        ("mico/privacy/accountant.py", "EPS_ERROR = 0.1", "EPS_ERROR = 0.2", {"accountant"}),
        ("mico/pages/report.py", "import ", "import os\nimport ", {"report"}),
        # Reference models, which take hours, are trained again for no attack's sake.
        ("mico/attacks/formulas/rmia.py", "import ", "import os\nimport ", {"attack"}),
        # What a program finds by a name that it is given is no part of it.
        ("mico/data/formats/sst2_synthetic.py", "import ", "import os\nimport ", set()),
        ("mico/networks/cnn.py", "import ", "import os\nimport ", set()),
        # Imported by what every program imports.
        ("mico/support/program.py", "import sys\n", "import sys\nX = 1\n", PROGRAMS),
        ("mico/__init__.py", '"""\n', '"""\nX = 1\n', PROGRAMS),
    ],
)
def test_edited_code_changes_the_programs_that_run_it_and_no_others(
    before, scripts, name, old, new, programs
) -> None:
    assert changed(before, scripts, name, old, new) == programs


def test_what_a_program_finds_by_its_name_counts_where_it_is_named() -> None:
    program, modules = SCRIPTS / "attack.py", SCRIPTS / "mico" / "attacks" / "formulas"
    alone = source_hash(program)
    lira = source_hash(program, modules / "lira.py")
    assert len({alone, lira, source_hash(program, modules / "rmia.py")}) == 3
    # With all that it imports.
    found = imported_files(program, modules / "stacked.py")
    assert modules / "bavaria.py" in found
    assert modules / "rmia.py" not in found


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        ("mico/challenge/splits.py", {"splits", "train", "signals"}),
        ("mico/privacy/budget.py", {"accountant", "train", "signals", "report"}),
        # Imported by a package's module.
        ("mico/attacks/shadows.py", {"target_references", "shared_references"}),
        ("mico/attacks/__init__.py", {"target_references", "shared_references"}),
        ("mico/attacks/registry.py", {"attack"}),
    ],
)
def test_edited_module_changes_the_programs_that_import_it(before, scripts, name, programs) -> None:
    """And perhaps others, but none that has nothing to do with it."""
    found = changed(before, scripts, name, '"""\n', '"""\nX = 1\n')
    assert programs <= found
    assert not found & {"seeds", "download", "scoreboard"}


def add_comments(text) -> str:
    return "# A comment.\n" + text.replace("\n\n", "\n# Another.\n\n") + "\n\n\n# The last.\n"


def reword(text) -> str:
    return text.replace('"""', '"""Other words. ', 1)


def drop(text) -> str:
    return text.split('"""', 2)[2]


@pytest.mark.parametrize("edit", [add_comments, reword, drop])
def test_comments_and_docstrings_do_not_count(before, scripts, edit) -> None:
    for path in scripts.rglob("*.py"):
        text = path.read_text()
        if path.name != "__init__.py":  # it may hold nothing but its docstring
            assert text.startswith('"""')
            path.write_text(edit(text))
            assert path.read_text() != text
    assert hashes(scripts) == before


PLAIN = '''"""Words."""

import mico


class Thing:
    """Words."""

    def method(self):
        """Words."""

    def other(self):
        """Words."""
        return 1


def function(a, b=(1, 2)):
    return f(a, b)
'''
LAID_OUT = '''# Words
import mico
class Thing:
  def method(self):
    pass  # nothing
  def other(self):
    """More
    words."""
    return (1)
def function(
    a,
    b = (1,
         2),
):
    "Words."

    return f(
        a, b
    )
'''


def test_layout_does_not_count(scripts) -> None:
    (scripts / "plain.py").write_text(PLAIN)
    first = hashes(scripts, "plain")["plain"]
    (scripts / "plain.py").write_text(LAID_OUT)
    assert hashes(scripts, "plain")["plain"] == first
    (scripts / "plain.py").write_text(LAID_OUT.replace("(1)", "(2)"))
    assert hashes(scripts, "plain")["plain"] != first


def test_strings_that_are_no_docstrings_count(scripts) -> None:
    (scripts / "plain.py").write_text('X = """Words."""\n')
    first = hashes(scripts, "plain")["plain"]
    (scripts / "plain.py").write_text('X = """Other words."""\n')
    assert hashes(scripts, "plain")["plain"] != first


@pytest.mark.parametrize(
    "line",
    [
        "from mico import added",
        "from mico.added import x",
        "from mico.added import x as y",
        "def f():\n    from mico import added",
        "from mico import seeds, added as other",
        "import mico.added",
        "import mico.added as other",
        "import os, mico.added",
    ],
)
def test_every_way_to_import_is_followed(scripts, line) -> None:
    (scripts / "plain.py").write_text(line + "\n")
    (scripts / "mico" / "added.py").write_text("x = 1\n")
    first = hashes(scripts, "plain")["plain"]
    (scripts / "mico" / "added.py").write_text("x = 2\n")
    assert hashes(scripts, "plain")["plain"] != first


def test_modules_that_import_each_other(scripts) -> None:
    (scripts / "plain.py").write_text("from mico import one\n")
    (scripts / "mico" / "one.py").write_text("from mico import two\n")
    (scripts / "mico" / "two.py").write_text("from mico import one\nx = 1\n")
    first = hashes(scripts, "plain")["plain"]
    (scripts / "mico" / "two.py").write_text("from mico import one\nx = 2\n")
    assert hashes(scripts, "plain")["plain"] != first


@pytest.mark.parametrize("spoil", [None, "", "{", '["another", {}]'])
def test_what_was_parsed_is_kept_and_a_damaged_file_of_it_does_no_harm(
    scripts, monkeypatch, spoil
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    kept = scripts / "mico" / "support" / "__pycache__" / "source_hash.json"
    kept.parent.mkdir()
    (scripts / "plain.py").write_text("x = 1\n")
    first = by_itself(scripts)
    by, found = json.loads(kept.read_text())
    ((names, _),) = found.values()
    assert names == []
    if spoil is None:
        # Another hash in the file is what comes out: nothing is parsed again.
        kept.write_text(json.dumps([by, {text: [[], "other"] for text in found}]))
        assert by_itself(scripts) != first
    else:
        kept.write_text(spoil)
        assert by_itself(scripts) == first
        assert json.loads(kept.read_text()) == [by, found]


def by_itself(scripts) -> str:
    """The hash of plain.py, by a source_hash that has looked at nothing before."""
    path = scripts / "mico" / "support" / "source_hash.py"
    spec = importlib.util.spec_from_file_location("copy", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.source_hash(scripts / "plain.py")


def test_where_nothing_can_be_kept_nothing_is(scripts, monkeypatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (scripts / "plain.py").write_text("x = 1\n")
    first = by_itself(scripts)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (scripts / "mico" / "support" / "__pycache__").write_text("no folder")
    assert by_itself(scripts) == first
