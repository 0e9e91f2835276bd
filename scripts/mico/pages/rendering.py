"""How HTML pages are made from the templates in templates/."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

TEMPLATES = Path(__file__).with_name("templates")


@cache
def environment() -> jinja2.Environment:
    """The templates; all values are escaped, and a missing one is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"script": script, "allowed": allowed}
    return made


@cache
def script(name: str) -> Markup:
    """A script of templates/, for a page to hold."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def allowed(name: str) -> Markup:
    """By this a page's policy lets a script of templates/ run, and no other."""
    digest = hashlib.sha256(script(name).encode()).digest()
    return Markup(f"'sha256-{base64.b64encode(digest).decode()}'")
