"""Download a data set's raw file, check it, and only then give it its name."""

import argparse
import http.client
import shutil
import urllib.request
from pathlib import Path

from mico.data.checksums import verify
from mico.support import program
from mico.support.atomic import atomic_file
from mico.support.errors import InputError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="the data set's name in the configuration")
    parser.add_argument("--url", required=True)
    parser.add_argument(
        "--check", nargs="*", default=[], help="sha256=..., md5=... or git_blob=..."
    )
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()

    with atomic_file(args.output) as temporary:
        try:
            with (
                urllib.request.urlopen(args.url, timeout=60) as response,
                temporary.open("wb") as file,
            ):
                shutil.copyfileobj(response, file)
                if response.length:  # what was announced and did not come
                    raise http.client.IncompleteRead(b"", response.length)
        except (http.client.HTTPException, OSError, ValueError) as error:
            raise InputError(
                f"{args.url}: cannot be downloaded ({error}); get the file elsewhere and set "
                f"datasets: {args.name}: path in the configuration"
            ) from None
        verify(temporary, args.check, name=args.url)


if __name__ == "__main__":
    program.run(main)
