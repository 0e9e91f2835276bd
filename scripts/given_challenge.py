"""Make a challenge of links to a release that is given, and is only read."""

import argparse
from pathlib import Path

from mico.networks import facts
from mico.release import given_release, writer
from mico.support import program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, required=True, help="the given challenge's folder")
    parser.add_argument("--architecture", required=True, help="a network's name and variant")
    parser.add_argument("--disclosed", nargs="*", default=[], help="seeds given away everywhere")
    parser.add_argument("--output", type=Path, required=True, help="the directory to write")
    parser.add_argument("--checksums", type=Path, required=True, help="its SHA-256 sums, beside it")
    args = parser.parse_args()

    network = facts.of(args.architecture)
    given_release.link(args.release, args.output, network, args.disclosed)
    writer.write_checksums(args.output, args.checksums)


if __name__ == "__main__":
    program.run(main)
