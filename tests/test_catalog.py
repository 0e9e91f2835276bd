"""What the Snakemake workflow catalog and WorkflowHub read of this repository."""

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SVG = {"svg": "http://www.w3.org/2000/svg"}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_catalog_finds_what_standardized_usage_needs() -> None:
    for name in "workflow/Snakefile", "config/README.md", "config/config.yaml":
        assert (ROOT / name).is_file()
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    rules = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    deployment = usage["software-stack-deployment"]
    assert deployment["conda"] == any("    conda:\n" in text for text in rules)
    assert deployment["apptainer"] == any("    container:\n" in text for text in rules)
    assert usage["report"] == any(" report(" in text for text in rules)


def test_crate_describes_files_that_are_there() -> None:
    crate = json.loads((ROOT / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    assert len(entities) == len(crate["@graph"])
    root = entities["./"]
    parts = {part["@id"] for part in root["hasPart"]}
    files = {name for name, entity in entities.items() if "File" in entity["@type"]}
    folders = {name for name, entity in entities.items() if entity["@type"] == "Dataset"}
    assert parts == files | folders - {"./"}
    assert all((ROOT / name).is_file() for name in files)
    assert all((ROOT / name).is_dir() for name in folders)
    for entity in entities.values():
        for key, value in entity.items():
            references = value if isinstance(value, list) else [value]
            for reference in references:
                # A profile and the language's home are described elsewhere.
                if isinstance(reference, dict) and key not in ("conformsTo", "identifier", "url"):
                    assert reference["@id"] in entities


def test_versions_titles_and_licences_agree() -> None:
    crate = json.loads((ROOT / "ro-crate-metadata.json").read_text())
    entities = {entity["@id"]: entity for entity in crate["@graph"]}
    root = entities["./"]
    workflow = entities[root["mainEntity"]["@id"]]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert workflow["version"] == citation["version"] == VERSION
    assert workflow["license"] == root["license"] == citation["license"]
    assert workflow["name"] == root["name"] == citation["title"]
    authors = [author["name"] for author in citation["authors"]]
    assert [entities[root["author"]["@id"]]["name"]] == authors


def drawn_edges(picture: Path) -> set[tuple[str, str]]:
    """The pairs of rules that arrows in graphviz's SVG join."""
    groups = ElementTree.parse(picture).findall(".//svg:g", SVG)
    titles = [(group.get("class"), group.findtext("svg:title", None, SVG)) for group in groups]
    labels = {
        title: group.findtext("svg:text", None, SVG)
        for group, (kind, title) in zip(groups, titles, strict=True)
        if kind == "node"
    }
    edges = [title.split("->") for kind, title in titles if kind == "edge"]
    return {(labels[tail], labels[head]) for tail, head in edges}


@pytest.mark.slow
def test_picture_of_the_rules_is_of_today(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakemake", "--rulegraph"]
    command += ["--snakefile", str(ROOT / "workflow" / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(ROOT / "config" / "config.yaml")]
    graph = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    labels = dict(re.findall(r'^\s*(\d+)\[label = "(\w+)"', graph, re.M))
    edges = {
        (labels[tail], labels[head]) for tail, head in re.findall(r"(\d+) -> (\d+)", graph, re.M)
    }
    assert ("train", "release") in edges
    assert drawn_edges(ROOT / "docs" / "rulegraph.svg") == edges, "make rulegraph draws it anew"
