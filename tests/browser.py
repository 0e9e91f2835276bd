"""Showing a page in a browser as narrow as a telephone, headless, where there is one."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

# Chromium makes no window as narrow as a telephone, but a frame can be.
FRAME = """<iframe src="probe.html" style="width: %dpx; height: %dpx; border: 0"></iframe>
<pre></pre><script>
onmessage = event => document.querySelector("pre").textContent = JSON.stringify(event.data);
</script>"""


def show(page: str, folder: Path, width: int, height: int, budget: int = 5000) -> Any:
    """Show a page with a script that posts what it finds to its parent, and give what it posted.

    The page must leave nothing on the console. Its clock runs for `budget` ms, faster than time.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        pytest.skip("no Chromium to show the page in")
    (folder / "probe.html").write_text(page)
    (folder / "frame.html").write_text(FRAME % (width, height))
    flags = "headless no-sandbox disable-gpu no-first-run disable-background-networking"
    flags += f" disable-component-update disable-sync user-data-dir={folder / 'profile'}"
    flags += f" enable-logging=stderr hide-scrollbars virtual-time-budget={budget} dump-dom"
    command = [browser, *(f"--{flag}" for flag in flags.split()), f"file://{folder}/frame.html"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert "CONSOLE" not in done.stderr
    return json.loads(html.unescape(re.search("<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1]))
