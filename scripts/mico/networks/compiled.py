"""Compilation of loops by numba, once for the processor they run on.

What is compiled is kept in NUMBA_CACHE_DIR, or else in __pycache__, or else in the user's folder
for caches. Where none of these can be written to, every process compiles its own.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding
from numba import njit

_settings: Any = numba.config


def _cache() -> str | None:
    """A folder for this version of the networks and this kind of processor, if one can be made.

    Of several in one folder, as on a cluster, numba could give a process that starts at the same
    time as another what is not for it. No folder for temporary files will do: others could put
    there what this process would run.
    """
    here = Path(__file__).parent
    kind = hashlib.sha256()
    for file in sorted(here.glob("*.py")):
        kind.update(file.read_bytes())
    processor = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    kind.update(processor.encode())
    places = [here / "__pycache__"]
    if _settings.CACHE_DIR:  # from NUMBA_CACHE_DIR
        places.insert(0, Path(_settings.CACHE_DIR))
    home = os.path.expanduser("~")
    if home != "~":
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
        places.append(Path(caches) / "mico" / "numba")
    for place in places:
        folder = place / kind.hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return str(folder)
        except OSError:
            continue
    return None


_folder = _cache()
_settings.CACHE_DIR = _folder or ""

# Products may be fused with sums; nothing else is taken for granted about numbers.
compiled = njit(cache=_folder is not None, error_model="numpy", fastmath={"contract"})
# Sums may be taken in any order, and a maximum as if there were no "not a number".
compiled_sums = njit(
    cache=_folder is not None,
    error_model="numpy",
    fastmath={"contract", "reassoc", "nnan", "nsz"},
)
inline = njit(inline="always", error_model="numpy", fastmath={"contract"})
inline_sums = njit(inline="always", error_model="numpy", fastmath={"contract", "reassoc"})
