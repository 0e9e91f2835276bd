"""What the site of the documentation consists of: a hook that mkdocs calls, see mkdocs.yml.

Files have the paths that they have in the repository, so that a link works on the site as it does
there. Examples that pages link to are shown as pages, and so is a run: `make site RUN=tiny`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[1]
# A link to a file that is shown as a page: the way up to the repository, and the file.
SHOWN = re.compile(r"\]\(((?:\.\./)+)((?:config|examples)/[\w.-]+\.(?:py|yaml))\)")
# What a run's pages are, and what they link to, by the title that leads to them.
RUN_PAGES = {
    "The report": "report.html",
    "An attack's page": "attack_pages/*.html",
    "Which records are at risk": "records/*/records.html",
    "A scoreboard": "scoreboard/*.html",
    "": "records/*/records.csv",
}


def on_config(config: MkDocsConfig) -> None:
    if name := config.extra["run"]:
        if not (ROOT / "results" / name / "report.html").is_file():
            raise PluginError(f"results/{name}/report.html: not there, expected a finished run")
        config.nav.append({"Example": "docs/example.md"})
    if address := config.extra["repository"]:
        config.nav.append({"Repository": address})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """All files by their paths in the repository, in place of those of docs/ by theirs in docs/."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    return Files([*theme, *_documentation(config), *_run(config)])


def on_page_markdown(markdown: str, **_: Any) -> str:
    """With links to the pages that show examples."""
    return SHOWN.sub(r"](\1\2.md)", markdown)


def _documentation(config: MkDocsConfig) -> Iterator[File]:
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "config/README.md"]
    pages += [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
    for path in pages:
        yield _file(config, path)
        for _, name in SHOWN.findall(path.read_text(encoding="utf-8")):
            yield _shown(config, name)
    for pattern in "docs/*.svg", "docs/*.png", "docs/site.css", "examples/*.ipynb":
        for path in ROOT.glob(pattern):
            yield _file(config, path)


def _file(config: MkDocsConfig, path: Path) -> File:
    """A file of the repository; what is in docs/ lies at the top of the site."""
    file = File(str(path.relative_to(ROOT)), str(ROOT), config.site_dir, use_directory_urls=False)
    file.dest_uri = file.dest_uri.removeprefix("docs/")
    return file


def _shown(config: MkDocsConfig, name: str) -> File:
    code = (ROOT / name).read_text(encoding="utf-8")
    content = f"# {name}\n\n```{Path(name).suffix[1:]}\n{code}```\n"
    not_in_nav = InclusionLevel.NOT_IN_NAV
    return File.generated(config, f"{name}.md", content=content, inclusion=not_in_nav)


def _run(config: MkDocsConfig) -> Iterator[File]:
    """The pages of a finished run as they are, and one that leads to them."""
    if not (name := config.extra["run"]):
        return
    results = ROOT / "results" / name
    content = f"# An example\n\nThe pages of a finished run, `{name}`:\n\n"
    for title, pattern in RUN_PAGES.items():
        for path in sorted(results.glob(pattern)):
            place = f"example/{path.relative_to(results)}"
            yield File.generated(config, place, abs_src_path=str(path))
            if title:
                content += f"- {title}: [{path.relative_to(results)}](../{place})\n"
    page = File.generated(config, "docs/example.md", content=content)
    page.dest_uri = "example.html"
    yield page
