"""Numbers as people write them, and as JSON and YAML read them."""

import re
from typing import Any

# What YAML 1.2 calls a number and YAML 1.1 does not: it wants a point, and a sign after the e.
WRITTEN = re.compile(r"[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)[eE][-+]?[0-9]+")
LARGEST = 2**63  # a greater float is left as it is


def whole_numbers(values: Any) -> Any:
    """A copy of JSON's values in which a float that is an integer is one: 4.0 is 4."""
    if isinstance(values, dict):
        return {key: whole_numbers(value) for key, value in values.items()}
    if isinstance(values, list):
        return [whole_numbers(value) for value in values]
    if isinstance(values, float) and values.is_integer() and abs(values) < LARGEST:
        return int(values)
    return values


def written_number(value: Any) -> Any:
    """The number that a text like 1e-3 is; anything else is given back."""
    is_number = isinstance(value, str) and WRITTEN.fullmatch(value)
    return whole_numbers(float(value)) if is_number else value
