"""Configuration files and `--config`, read as people mean them.

Snakemake reads both, and takes more than it should: the last of equal keys, and on the command line
every number inside a mapping as text.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mico.support.errors import InputError, shown

# The one in C, where PyYAML has it, takes a tenth of the time.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE = "tag:yaml.org,2002:merge"
TEXT = "tag:yaml.org,2002:str"
INTEGER = "tag:yaml.org,2002:int"
# YAML 1.1 reads 010 as 8 and 1:30 as 90, which nobody means.
NOT_AS_IT_LOOKS = re.compile("[-+]?(0[0-9_]+|[0-9_]+:.*)")


def read(file: Path) -> Any:
    """What a configuration file holds.

    Raises:
        InputError: it cannot be read; a key is there twice, or an integer is not what it looks
            like. The message names the file and the line.
    """
    name = os.path.relpath(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{name}: expected UTF-8") from None
    if file.suffix == ".json":
        return _json(text, f"{name}: ")
    return _yaml(text, f"{name}: ", numbered=True)


def command_line(entries: Iterable[str]) -> dict[str, Any]:
    """The keys that `--config key=value ...` sets, each value read as YAML.

    Raises:
        InputError: as for `read`; it names the key.
    """
    found: dict[str, Any] = {}
    for entry in entries:
        key, _, text = entry.partition("=")
        if key in found:
            raise InputError(f"command line: key {shown(key)} is there twice")
        found[key] = _yaml(text, f"command line: {key}: ")
    return found


def _json(text: str, where: str) -> Any:
    def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{where}key {shown(name)} is there twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=distinct)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, a thousand brackets
        raise InputError(f"{where}not JSON ({error})") from None


def _yaml(text: str, where: str, numbered: bool = False) -> Any:
    """What a text says; errors begin with `where`, and perhaps the number of the line."""

    def refused(mark: yaml.Mark | None, reason: object) -> InputError:
        line = f"line {mark.line + 1 if mark else 1}: " if numbered else ""
        return InputError(f"{where}{line}{reason}")

    content = None
    try:
        loader = LOADER(text)
        document = loader.get_single_node()
        node, reason = next(_wrong(document, set()), (None, None))
        if node is None and document is not None:
            content = loader.construct_document(document)
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "a character that is none of text"
        raise refused(getattr(error, "problem_mark", None), f"not YAML: {problem}") from None
    except (ValueError, RecursionError) as error:  # a date such as 2022-13-01, a thousand brackets
        raise refused(None, f"not YAML: {error}") from None
    if node is not None:
        raise refused(node.start_mark, reason)
    return content


def _wrong(
    node: yaml.Node | None, seen: set[int], around: frozenset[int] = frozenset()
) -> Iterator[tuple[yaml.Node, str]]:
    """The nodes that would be read otherwise than they are meant, and why.

    Args:
        seen: nodes that were looked at; around: those that this one is in.
    """
    if node is not None and id(node) in around:
        yield node, "holds itself, by an alias of its own anchor"
    if node is None or id(node) in seen:  # an anchor's
        return
    seen.add(id(node))
    around |= {id(node)}
    if isinstance(node, yaml.ScalarNode):
        if node.tag == INTEGER and NOT_AS_IT_LOOKS.fullmatch(node.value):
            yield node, f"{shown(node.value)} is not written as an integer"
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _wrong(item, seen, around)
    elif isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                if key.value in names:
                    yield key, f"key {shown(key.value)} is there twice"
                if key.tag != TEXT:
                    yield key, f"key {shown(key.value)}: expected a text, in quotation marks"
                names.add(key.value)
            yield from _wrong(value, seen, around)
