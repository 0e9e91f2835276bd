"""The configuration's schema and the tables of its keys are those that the code says."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from configuration_pages import PAGE, ROOT, SCHEMA, TABLE, page_text, schema, schema_text
from mico.data.registry import formats
from mico.networks.facts import networks
from mico.workflow.configuration import Configuration

RECORDS = [
    "Configuration",
    "Scenario",
    "GivenOutputs",
    "GivenWeights",
    "TargetReferences",
    "SharedReferences",
    "DataOptions",
]


def test_committed_schema_is_what_the_tool_writes() -> None:
    assert SCHEMA.read_text() == schema_text()
    assert yaml.safe_load(schema_text()) == schema()


def test_committed_tables_are_what_the_tool_writes() -> None:
    text = PAGE.read_text()
    assert page_text(text) == text
    found = [match[2] for match in TABLE.finditer(text)]
    assert sorted(found) == sorted([*RECORDS, "networks", "formats"])


def test_tool_writes_a_table_anew_and_nothing_else() -> None:
    before = "words\n<!-- keys of SharedReferences -->\n| old |\n<!-- end -->\nmore words\n"
    written = page_text(before)
    assert written.startswith("words\n<!-- keys of SharedReferences -->\n| key | ")
    assert written.endswith("<!-- end -->\nmore words\n")
    assert "| `count` | integer from 2 | `32` | how many; " in written
    assert "old" not in written


def rows(name: str) -> list[str]:
    """The first cells of a table of the page."""
    table = next(match[0] for match in TABLE.finditer(PAGE.read_text()) if match[2] == name)
    return re.findall(r"^\| `([^`]+)` \|", table, re.M)


def test_tables_have_a_row_for_all_that_there_is() -> None:
    assert rows("networks") == list(networks())
    assert rows("formats") == list(formats())
    assert rows("Configuration") == list(schema()["properties"])
    assert {"id", "from", "epsilon", "shuffle"} < set(rows("Scenario"))


def keys(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a schema describes, by its path."""
    for name, inside in part.items():
        if name == "properties":
            for key, described in inside.items():
                yield f"{place}/{key}", described
        if isinstance(inside, dict):
            yield from keys(inside, f"{place}/{name}")


def test_every_key_has_a_description() -> None:
    found = dict(keys(schema()))
    assert len(found) > 60
    assert [key for key, described in found.items() if not described.get("description")] == []


def test_what_a_key_is_without_a_value_is_said() -> None:
    """It has a default, or is needed, or comes from another scenario, or the description says."""
    whole = schema()
    records = {"": whole, **whole["$defs"]}
    said = [
        key in part.get("required", []) or "default" in inside or "default" in inside["description"]
        for name, part in records.items()
        if name != "Scenario"  # whose keys `from` may give
        for key, inside in part.get("properties", {}).items()
    ]
    assert len(said) > 40
    assert all(said)


def test_every_top_level_key_has_the_default_of_the_configuration() -> None:
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    found = {key: described.get("default") for key, described in schema()["properties"].items()}
    assert found == defaults
    assert list(found) == list(Configuration.__dataclass_fields__)


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("run", "demo", True),
        ("run", "a b", False),
        ("rum", "demo", False),
        ("seeds", "random", True),
        ("seeds", "mine.csv", True),
        ("seeds", -1, False),
        ("models", {"train": 1, "dev": 1, "final": 1}, False),
        ("scenarios", ["T1", {"id": "T1", "from": "T1", "epochs": 0}], False),
        ("scenarios", [{"id": "mine", "outputs": "mine.npz"}], True),
        ("scenarios", [{"id": "mine", "outputs": "mine.npz", "n": 5}], False),
        ("datasets", {"d": {"format": "sst2", "records": 3, "features": 1}}, True),
        ("datasets", {"d": {"format": "sst2", "records": 2}}, False),
        ("datasets", {"d": {"format": "images", "mean": [0.5], "std": [0]}}, False),
    ],
)
def test_schema_takes_what_the_models_take(key: str, value: object, valid: bool) -> None:
    """An editor that reads it marks the same mistakes."""
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    validator = jsonschema.Draft202012Validator(schema())
    assert validator.is_valid(defaults)
    assert validator.is_valid(defaults | {key: value}) == valid
