"""Pages out of the templates that lie beside this module."""

from pathlib import Path

import jinja2


def environment() -> jinja2.Environment:
    """Where templates are found; all values are escaped, and a missing one is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
