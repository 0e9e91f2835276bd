"""What the programs ask for that a participant runs on a released challenge."""

import argparse
from pathlib import Path


def parser(description: str, output: str) -> argparse.ArgumentParser:
    """The arguments of every such program.

    Args:
        output: what it writes, for the help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--challenge", type=Path, required=True, help="the released directory")
    parser.add_argument(
        "--checksums", type=Path, help="its .sha256 file; without it, no file is verified"
    )
    parser.add_argument("--data", type=Path, required=True, help="a stored data set")
    parser.add_argument(
        "--phases", type=int, nargs=3, required=True, help="numbers of train, dev, final models"
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--output", type=Path, required=True, help=f"{output} to write")
    return parser
