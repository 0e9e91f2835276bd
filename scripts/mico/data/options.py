"""What the configuration says of a data set."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from mico.data.checksums import CHECKS
from mico.support.records import CONFIG, PATH

FILE_NAME = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
MD5 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class DataOptions:
    """An entry of `datasets`."""

    format: Annotated[str, Field(description="a data format; see [below](#formats)")]
    records: Annotated[
        int, Field(ge=3, description="how many the file must have, or how many to generate")
    ]
    features: Annotated[
        int,
        Field(
            ge=1,
            description="of a record: bits, an image's 3,072 pixels, or at most so many tokens of "
            "a sentence, special ones included",
        ),
    ]
    classes: Annotated[int, Field(ge=2, le=256, description="how many classes there are")]
    path: Annotated[
        str | None,
        Field(
            pattern=PATH,
            description="where the file lies, or the folder of the official files; without it, it "
            "is downloaded to `resources/`",
        ),
    ] = None
    url: Annotated[
        str | None, Field(pattern="^https://", description="where it can be downloaded from")
    ] = None
    sha256: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{64}$",
            description="a checksum of the file, or of the archive of official files; a file that "
            "differs is refused",
        ),
    ] = None
    md5: Annotated[MD5 | None, Field(description="another checksum of it")] = None
    git_blob: Annotated[
        str | None,
        Field(
            pattern="^[0-9a-f]{40}$",
            description="another: its id in a git repository, for which a commit vouches",
        ),
    ] = None
    files: Annotated[
        dict[FILE_NAME, MD5 | None] | None,
        Field(
            min_length=1,
            description="of a format with several official files: those used, each with its MD5, "
            "or `null` if it is not to be checked. Their order here is that of the records",
        ),
    ] = None
    seed: Annotated[int | None, Field(ge=0, description="a generated data set's seed")] = None
    tokenizer: Annotated[
        str | None,
        Field(
            pattern=PATH, description="of text: what turns sentences into tokens; see [Text](#text)"
        ),
    ] = None
    vocabulary: Annotated[
        int | None,
        Field(
            ge=300,
            le=65536,
            description="with `tokenizer: bpe` only: how many tokens there are at most",
        ),
    ] = None

    @property
    def checks(self) -> list[str]:
        """The known checksums of the file, as `kind=digest`."""
        known = {kind: getattr(self, kind) for kind in CHECKS}
        return [f"{kind}={digest}" for kind, digest in known.items() if digest]
