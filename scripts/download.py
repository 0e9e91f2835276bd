"""Download a data set's raw file, check it, and only then give it its name."""

import argparse
import codecs
import http.client
import shutil
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from mico.data import archives
from mico.data.checksums import verify
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError

# Of the network; a disk's own errors are others.
UNREACHED = (
    *(http.client.HTTPException, urllib.error.URLError, ssl.SSLError),
    *(ConnectionError, TimeoutError, ValueError),
)
START = 1_000  # bytes in which a page says that it is one
SHOWN = 200  # characters of a server's words in a message


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--url", required=True, help="an https:// or http:// address")
    parser.add_argument(
        "--check", nargs="*", default=[], help="sha256=..., md5=... or git_blob=..."
    )
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    with atomic_file(args.output) as temporary:
        try:
            with temporary.open("wb") as file:
                _fetch(args.url, file)
        except UNREACHED as error:
            raise _not_downloaded(args, error) from None
        verify(temporary, args.check, name=args.url)
        if not args.check:
            try:
                _check_form(temporary, args.output.name)
            except ValueError as error:
                raise _not_downloaded(args, error) from None


def _not_downloaded(args: argparse.Namespace, error: Exception) -> InputError:
    # A server's words may be many lines.
    reason = " ".join(str(error).split())[:SHOWN] or type(error).__name__
    return InputError(
        f"{args.url}: cannot be downloaded ({reason}); get the file elsewhere and set "
        f"datasets: {args.name}: path in the configuration"
    )


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a server to other addresses, but not from https to http or to anything else."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("https://", f"{req.type}://")):
            raise ValueError(f"it leads to {newurl}, expected {req.type}://")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str, file: IO[bytes]) -> None:
    """Write what an address answers to a file."""
    if not url.lower().startswith(("https://", "http://")):
        raise ValueError("expected an https:// address")
    opener = urllib.request.build_opener(_SameScheme)
    with opener.open(url, timeout=60) as response:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ValueError("the server packs it, although it was not asked to")
        shutil.copyfileobj(response, file)
        if response.length:  # what was announced and did not come
            raise http.client.IncompleteRead(b"", response.length)


def _check_form(path: Path, name: str) -> None:
    """Where there is no checksum: refuse nothing at all, a page, and what is no whole archive.

    Raises:
        ValueError: says what it is.
    """
    with path.open("rb") as file:
        start = file.read(START).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if not start:
        raise ValueError("the answer is empty")
    if start.startswith((b"<!", b"<html", b"<head", b"<body", b"<?xml")):
        raise ValueError("the answer is a page and not the file")
    if name.lower().endswith(archives.NAMES):
        try:
            for _, _, opened in archives.members(path):
                content = opened()
                while content.read(1 << 20):
                    pass
        except archives.NOT_THE_FORMAT as error:
            raise ValueError(f"the answer is not a whole archive: {error}") from None


if __name__ == "__main__":
    program.run(main)
