"""The site of the documentation has every page, and the navigation leads to each.

mkdocs checks all links when `make site` builds it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from environments import requirements

ROOT = Path(__file__).parents[1]
BESIDE = ["CHANGELOG.md", "CONTRIBUTING.md", "config/README.md"]


class Loader(yaml.SafeLoader):
    """Reads the names of Python and of the environment that only mkdocs understands as nothing."""


Loader.add_multi_constructor("", lambda *_: None)
CONFIGURATION = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)


def pages(entry: object) -> Iterator[str]:
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        assert isinstance(entry, (list, dict))
        for one in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(one)


def documentation() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def test_navigation_has_every_page_once() -> None:
    assert sorted(pages(CONFIGURATION["nav"])) == sorted([*documentation(), *BESIDE])


def test_first_page_leads_to_all_others_as_the_navigation_does() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", text, re.M))
    _, *groups = CONFIGURATION["nav"]
    for group in groups:
        [(title, _)] = group.items()
        linked = re.findall(r"\]\(([^)#]+\.md)\)", parts[title])
        found = [str((ROOT / "docs" / one).resolve().relative_to(ROOT)) for one in linked]
        assert found == list(pages(group))


def test_nothing_of_the_site_comes_from_elsewhere() -> None:
    assert CONFIGURATION["theme"]["font"] is False
    for key in "extra_css", "extra_javascript":
        assert not any("//" in name for name in CONFIGURATION.get(key, []))


def test_broken_links_stop_the_build() -> None:
    assert set(CONFIGURATION["validation"].values()) == {"warn"}
    # With --quiet, mkdocs overlooks warnings.
    assert "mkdocs build --strict\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_its_builder_is_pinned() -> None:
    assert {"mkdocs", "mkdocs-material"} <= set(requirements("requirements-docs.txt"))
