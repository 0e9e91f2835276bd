"""Write the reference in docs/library.md from the library's docstrings."""

import argparse
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mico import library

PAGE = Path(__file__).parents[1] / "docs/library.md"
REFERENCE = re.compile(r"(<!-- reference -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def page_text(page: str) -> str:
    """The page with its reference written anew."""
    entries = "\n".join(_entry(name, getattr(library, name)) for name in library.__all__)
    return REFERENCE.sub(lambda match: f"{match[1]}{entries}{match[2]}", page)


def _entry(name: str, value: type | Callable[..., object]) -> str:
    """A heading, the signature of a function, the docstring, and the same of a class's methods."""
    text = f"### {name}\n\n"
    if inspect.isfunction(value):
        text += f"```\n{name}{_signature(value)}\n```\n\n"
    text += _docstring(value)
    if inspect.isclass(value) and not issubclass(value, Exception):
        text += "".join(_members(value))
    return text


def _members(kind: type) -> Iterator[str]:
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"\n`.{name}`\n\n{_docstring(member)}"
        elif inspect.isfunction(member):
            yield f"\n`.{name}{_signature(member)}`\n\n{_docstring(member)}"


def _signature(function: Callable[..., object]) -> str:
    """The parameters as they are called: without types, which the docstring has in words."""
    parameters = inspect.signature(function).parameters.values()
    kept = [one.replace(annotation=one.empty) for one in parameters if one.name != "self"]
    return str(inspect.Signature(kept))


def _docstring(value: object) -> str:
    return f"```text\n{inspect.getdoc(value)}\n```\n"


if __name__ == "__main__":
    main()
