"""Frozen records that validate themselves, built from values that come from outside.

A record is a pydantic dataclass with `CONFIG`: types are strict, unknown keys are refused, numbers
are finite. `build` says in one line what is wrong with a value, and where. Numbers may be written
as people write them: 4.0 is the integer 4, and 1e-3, which is text in YAML 1.1, a number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from mico.support.errors import InputError, shown, unknown_key
from mico.support.numbers import whole_numbers, written_number

CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

# Of a path: Snakemake takes braces and angle brackets for its own, programs take what begins with a
# hyphen for an option, and no path holds a NUL.
PATH = r"^[^-{}<>\x00-\x1f\x7f][^{}<>\x00-\x1f\x7f]*$"

Place = tuple[str | int, ...]
T = TypeVar("T")

# By the type of an error: what its input is not, and its limit in words.
TYPES = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "bool_type": "boolean",
    "list_type": "list",
    "tuple_type": "list",
    "dict_type": "mapping",
    "model_type": "mapping",
    "dataclass_type": "mapping",
    "dataclass_exact_type": "mapping",
}
LIMITS = {
    "greater_than_equal": ("ge", "is less than the minimum of {}"),
    "greater_than": ("gt", "is less than or equal to the minimum of {}"),
    "less_than_equal": ("le", "is greater than the maximum of {}"),
    "less_than": ("lt", "is greater than or equal to the maximum of {}"),
    "string_pattern_mismatch": ("pattern", "does not match {!r}"),
    "too_short": ("min_length", "is shorter than {}"),
    "string_too_short": ("min_length", "is shorter than {}"),
    "string_too_long": ("max_length", "is longer than {} characters"),
}
NUMBERS = ("int_type", "int_from_float", "float_type")
MISSING = ("missing", "missing_argument", "missing_keyword_only_argument")
UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a value: the path to it, and the reason in words."""

    place: Place
    reason: str
    unknown: str | None = None  # the key that there is not

    def __str__(self) -> str:
        return "".join(f"{key}: " for key in self.place) + self.reason


def read(kind: type[T], text: str, where: str) -> T:
    """A record of this kind from JSON; see `build`."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"{where}expected JSON ({error})") from None
    return build(kind, values, where)


def build(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """A record of this kind.

    Args:
        where: the beginning of an error's line, which names the file or what is described.

    Raises:
        InputError: a value that the record does not take; the message names its key.
    """
    try:
        return parse(kind, values)
    except Refused as refused:
        raise InputError(f"{where}{refused.wrong}") from None


def dump(record: Any) -> str:
    """A record as JSON, which `build` makes a record of again."""
    return json.dumps(asdict(record))


class Refused(ValueError):
    """Values that a record does not take."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(str(wrong))
        self.wrong = wrong


def parse(kind: type[T], values: Any) -> T:
    """A record of this kind; JSON's types are Python's here, and a list may be a tuple.

    Raises:
        Refused: the first value that the record does not take.
    """
    own = whole_numbers(json.loads(json.dumps(values, default=str)))
    while True:
        try:
            found: T = _adapter(kind).validate_json(json.dumps(own))
            return found
        except ValidationError as error:
            errors = error.errors()
        if not _read_numbers(errors, own):
            raise Refused(_first(errors, kind, own)) from None


def _read_numbers(errors: Sequence[ErrorDetails], values: Any) -> bool:
    """Put numbers in place of texts that are some, where one was expected; whether there were."""
    changed = False
    for error in errors:
        number = written_number(error["input"])
        *way, last = _in_values(error["loc"], values) or (None,)
        if error["type"] in NUMBERS and number is not error["input"]:
            inside = values
            for key in way:
                inside = inside[key]
            inside[last] = number
            changed = True
    return changed


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """What checks values of a kind; it takes a while to make."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _first(errors: Sequence[ErrorDetails], kind: type[Any], values: Any) -> Wrong:
    """The first error, one of a key that there is not before others.

    Where a value may be of several types, that of the closest.
    """
    # A key that is written wrong is missing as well.
    error = next((error for error in errors if error["type"] in UNKNOWN), errors[0])
    place = _in_values(error["loc"], values)
    alike = [other for other in errors if _in_values(other["loc"], values)[: len(place)] == place]
    error = min(alike, key=_distance)
    place = _in_values(error["loc"], values)
    if error["type"] == "value_error":
        return Wrong(place, str(error["ctx"]["error"]))
    if error["type"] in MISSING:
        return Wrong(place[:-1], f"missing key {place[-1]!r}")
    if error["type"] in UNKNOWN:
        key = str(place[-1])
        return Wrong(place[:-1], unknown_key(key, _keys(kind, place[:-1])), key)
    return Wrong(place, _reason(error))


def _distance(error: ErrorDetails) -> int:
    """How far an input is from a type: the type fits, one of other values, another type."""
    return 2 if error["type"] in TYPES else error["type"] == "literal_error"


def _in_values(location: Place, values: Any) -> Place:
    """An error's path without the names of types, which pydantic puts between keys."""
    place: list[str | int] = []
    if location[-1:] == ("[key]",):  # the key itself is wrong
        location = location[:-2]
    for key in location:
        inside = isinstance(values, Mapping) and key in values
        if inside or (isinstance(values, list) and isinstance(key, int)):
            values = values[key]
            place.append(key)
        elif isinstance(values, Mapping) and key == location[-1]:  # a key that is missing
            place.append(key)
    return tuple(place)


def _reason(error: ErrorDetails) -> str:
    given, context = error["input"], error.get("ctx", {})
    if error["type"] in TYPES:
        return f"{shown(given)} is not of type {TYPES[error['type']]!r}"
    if error["type"] in LIMITS:
        key, words = LIMITS[error["type"]]
        if context[key] == PATH:
            none = "braces, angle brackets, invisible characters and a hyphen at its beginning"
            return f"{shown(given)}: expected a path without {none}"
        limit = context[key]
        if isinstance(limit, float) and limit.is_integer():
            limit = int(limit)
        return f"{shown(given)} {words.format(limit)}"
    if error["type"] == "finite_number":
        return f"{given}: expected a finite number"
    if error["type"] == "literal_error":
        return f"{shown(given)} is not one of {context['expected']}"
    return f"{shown(given)}: {error['msg']}"


def _keys(kind: type[Any], place: Place) -> list[str]:
    """The keys that there are at a place of a record."""
    whole = _adapter(kind).json_schema()
    schema = _resolved(whole, whole)
    for key in place:
        of_any_name = [*schema.get("patternProperties", {}).values(), schema.get("items", {})]
        schema = _resolved(schema.get("properties", {}).get(key) or of_any_name[0], whole)
    return list(schema["properties"])


def _resolved(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema where it is defined; of several, the one with properties."""
    for one in [schema, *schema.get("anyOf", [])]:
        if "$ref" in one:
            one = whole["$defs"][one["$ref"].rpartition("/")[2]]
        if "properties" in one:
            found: Mapping[str, Any] = one
            return found
    return schema
