"""What the configuration says of a data set."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mico.data.checksums import CHECKS
from mico.support.records import CONFIG, PATH

FILE_NAME = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
MD5 = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
# Keys that only some formats take, which say so.
OF_SOME = ("label", "text", "array", "header", "missing", "scale", "mean", "std", "truncate")
# What generated data have to say of themselves.
COUNTS = ("records", "features", "classes")


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class DataOptions:
    """An entry of `datasets`."""

    format: Annotated[str, Field(description="a data format; see [below](#formats)")]
    records: Annotated[
        int | None,
        Field(
            ge=3,
            description="how many to generate, or how many the file must have; without it, they "
            "are counted",
        ),
    ] = None
    features: Annotated[
        int | None,
        Field(
            ge=1,
            description="of a record: bits, numbers, an image's values, or at most so many tokens "
            "of a sentence, special ones included; without it, they are counted, and sentences may "
            "be of any length",
        ),
    ] = None
    classes: Annotated[
        int | None,
        Field(ge=2, le=256, description="how many there are; without it, they are counted"),
    ] = None
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

    label: Annotated[
        str | int | None,
        Field(
            description="the column of labels, by its name or its position, from 1, or -1 for the "
            "last; the array's name in an `.npz`. Without it, `label`, or an array's usual name"
        ),
    ] = None
    text: Annotated[
        str | int | None,
        Field(description="the column of texts, likewise; without it, `text`"),
    ] = None
    array: Annotated[
        str | None,
        Field(description="the name of the records' array in an `.npz`; without it, a usual one"),
    ] = None
    header: Annotated[
        bool | None,
        Field(description="`false`: the first line of a CSV or TSV is a record, no header"),
    ] = None
    missing: Annotated[
        Literal["mean", "drop"] | None,
        Field(
            description="what is done where a value is missing: its column's mean is taken, or the "
            "record is left out; without it, that is refused"
        ),
    ] = None
    scale: Annotated[
        Literal["standard", "range", "none"] | None,
        Field(
            description="how a column of numbers is scaled: to mean 0 and deviation 1, to [0, 1], "
            "or not; without it, `none` where all are 0 or 1, else `standard`"
        ),
    ] = None
    mean: Annotated[
        tuple[float, ...] | None,
        Field(
            min_length=1,
            description="of each channel of images, of values in [0, 1]: what is subtracted; "
            "without it, that of all pixels",
        ),
    ] = None
    std: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...] | None,
        Field(
            min_length=1, description="likewise the deviation, by which the difference is divided"
        ),
    ] = None
    truncate: Annotated[
        bool | None,
        Field(description="`true`: what is longer than `features` tokens is cut off, not refused"),
    ] = None

    @property
    def checks(self) -> list[str]:
        """The known checksums of the file, as `kind=digest`."""
        known = {kind: getattr(self, kind) for kind in CHECKS}
        return [f"{kind}={digest}" for kind, digest in known.items() if digest]
