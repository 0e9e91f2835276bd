"""Write the configuration's JSON schema and the tables of its keys, from its models."""

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from mico.challenge.scenario import GivenOutputs, GivenWeights, Scenario
from mico.data.registry import formats
from mico.networks.facts import networks
from mico.support.records import PATH
from mico.workflow.configuration import SEEDS_FILE, Configuration

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/config.schema.yaml"
PAGE = ROOT / "config/README.md"
HEAD = "# Written by `make schema` from mico.workflow.configuration. Do not edit.\n"
LONGEST = 70  # a default that a table shows
TABLE = re.compile(r"(<!-- keys of (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Schema = dict[str, Any]


class Dumper(yaml.SafeDumper):
    """Writes what is there twice in full, without YAML's anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def schema_text() -> str:
    """The schema as YAML."""
    text: str = yaml.dump(schema(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return HEAD + text


def schema() -> Schema:
    """The schema of a configuration, with the defaults of config/config.yaml."""
    found = TypeAdapter(Configuration).json_schema()
    definitions = found["$defs"]
    scenario = TypeAdapter(Scenario).json_schema()
    definitions |= scenario.pop("$defs", {})
    base = {"type": "string", "description": "the scenario that it is derived from"}
    scenario["properties"] = {"id": scenario["properties"].pop("id"), "from": base} | scenario[
        "properties"
    ]
    scenario["required"] = ["id"]
    definitions["Scenario"] = scenario
    of_scenarios = found["properties"]["scenarios"]["items"]["anyOf"]
    for kind in GivenOutputs, GivenWeights:
        given = definitions[kind.__name__] = TypeAdapter(kind).json_schema()
        for key in "challenge", "track":  # which are by default its id
            given["required"].remove(key)
    of_scenarios[1:] = [
        {"$ref": f"#/$defs/{name}"} for name in ("Scenario", "GivenOutputs", "GivenWeights")
    ]
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    _add_defaults(found, defaults, definitions)
    _drop_titles(found)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **{key: value for key, value in found.items() if key != "$defs"},
        "$defs": definitions,
    }


def _add_defaults(part: Schema, defaults: Mapping[str, Any], definitions: Schema) -> None:
    """Give every property the default that a mapping has for it, nested records too."""
    for name, property_ in part["properties"].items():
        if name in defaults:
            property_["default"] = defaults[name]
            inside = definitions.get(property_.get("$ref", "").rpartition("/")[2], {})
            if "properties" in inside:
                _add_defaults(inside, defaults[name], definitions)


def _drop_titles(part: Any) -> None:
    """Without titles, which only repeat the keys; a property may be called so."""
    if isinstance(part, dict):
        if isinstance(part.get("title"), str):
            del part["title"]
        for value in part.values():
            _drop_titles(value)
    elif isinstance(part, list):
        for value in part:
            _drop_titles(value)


def page_text(text: str) -> str:
    """The page with its tables written anew."""
    whole = schema()
    return TABLE.sub(lambda match: f"{match[1]}{_table(match[2], whole)}{match[3]}", text)


def _table(name: str, whole: Schema) -> str:
    """The rows of a record's keys, or of the networks or the formats."""
    if name in ("networks", "formats"):
        there = networks() if name == "networks" else formats()
        rows = [f"| `{key}` | {one.summary} |" for key, one in there.items()]
        return "\n".join([f"| {name[:-1]} | |", "|---|---|", *rows]) + "\n"
    part = whole if name == "Configuration" else whole["$defs"][name]
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for key, property_ in part["properties"].items():
        default = _default(property_, required=key in part.get("required", []))
        meaning = property_.get("description", "")
        lines.append(f"| `{key}` | {_values(property_, whole)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(part: Schema, required: bool) -> str:
    if "default" not in part:
        return "needed" if required else ""
    default = part["default"]
    text = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=1000)
    line = text.splitlines()[0]  # of a scalar, YAML's end of a document follows
    return f"`{line}`" if len(line) <= LONGEST else "see `config.yaml`"


def _values(part: Schema, whole: Schema) -> str:
    """What a key may be, in words."""
    if "$ref" in part:
        inside = whole["$defs"][part["$ref"].rpartition("/")[2]]
        if "properties" in inside:
            return f"`{{{', '.join(inside['properties'])}}}`"
        return _values(inside, whole)
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_values(one, whole) for one in part["anyOf"]))
    if "const" in part:
        return f"`{part['const']}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if part.get("type") == "null":
        return "`null`"
    if part.get("type") == "boolean":
        return "`false`, `true`"
    if part.get("type") == "array":
        return "list"
    if part.get("type") == "object":
        return "mapping"
    if part.get("type") == "string":
        return _text(part.get("pattern"))
    return " ".join([str(part.get("type", "")), *_limits(part)])


def _text(pattern: str | None) -> str:
    """What a string may be, by its pattern."""
    if pattern is None:
        return "text"
    digits = re.fullmatch(r"\^\[0-9a-f\]\{(\d+)\}\$", pattern)
    if digits:
        return f"{digits[1]} hexadecimal digits"
    known = {SEEDS_FILE: "a `.csv`", "^https://": "an `https://` address", PATH: "text"}
    return known.get(pattern, "a name")


def _limits(part: Schema) -> Iterator[str]:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    for key, word in words.items():
        if key in part:
            yield f"{word} {part[key]:g}" if part[key] < 2**53 else f"{word} 2^63"


if __name__ == "__main__":
    main()
