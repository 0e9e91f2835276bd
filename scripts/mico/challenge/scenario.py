"""A scenario: which data, how its models are trained, what a participant is told."""

from dataclasses import field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from mico.challenge.recipe import Optimisation
from mico.privacy.budget import LARGEST_EPSILON
from mico.support.errors import shown
from mico.support.records import CONFIG, PATH
from mico.support.tables import MISSING


def _not_missing(name: str) -> str:
    if name.casefold() in MISSING:
        raise ValueError(f"{name!r} is read as a missing value")
    return name


# It is the name of a file or a folder, of which most systems take 255 bytes, endings included.
Name = Annotated[
    str,
    Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=100),
    AfterValidator(_not_missing),
]
Disclosable = Literal["seed_training"]
# How a run draws training sets.
Design = Literal["published", "full-entropy", "half"]


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class _GivenModels:
    """One challenge of a run that attacks models by what they put out."""

    id: Annotated[Name, Field(description="its short name in results")]
    challenge: Annotated[Name, Field(description="a longer name; by default its id")]
    track: Annotated[
        Name, Field(description="the challenges that are shown together; by default its id")
    ]

    @property
    def solved(self) -> bool:
        """Every model is a train model, and no other is asked about."""
        return False


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class GivenOutputs(_GivenModels):
    """One of which the outputs alone are given."""

    outputs: Annotated[
        str,
        Field(
            pattern=PATH,
            description="an `.npz` or a folder of what models put out, of labels, and of who "
            "trained on what; see [docs/your-models.md](../docs/your-models.md)",
        ),
    ]

    @property
    def data(self) -> str:
        """The name of the records in results."""
        return self.id


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class GivenWeights(_GivenModels):
    """One of which the weights are given, and the data set that they are run on."""

    weights: Annotated[
        str,
        Field(
            pattern=PATH,
            description="a folder of `model_0.pt` and so on, or of `model_0/` with a released "
            "model's files; see [docs/your-models.md](../docs/your-models.md)",
        ),
    ]
    members: Annotated[
        str,
        Field(
            pattern=PATH,
            description="an `.npz`, `.npy` or `.csv` with a row for each model and a column for "
            "each record of the data set: whether the model was trained on it",
        ),
    ]
    data: Annotated[Name, Field(description="a name in `datasets`")]
    architecture: Annotated[
        str, Field(pattern=PATH, description="a network; see [below](#networks)")
    ]


Given = GivenOutputs | GivenWeights


@dataclass(frozen=True, config=CONFIG, kw_only=True)
class Scenario(Optimisation):
    """One challenge of a run."""

    id: Annotated[Name, Field(description="its short name in results")]
    challenge: Annotated[
        Name,
        Field(description="its published name, the folder of its released models; unique in a run"),
    ]
    track: Annotated[
        Name, Field(description="the folder of the challenges that are ranked together")
    ]
    data: Annotated[Name, Field(description="a name in `datasets`")]
    architecture: Annotated[
        str, Field(pattern=PATH, description="a network; see [below](#networks)")
    ]
    n: Annotated[
        int,
        Field(
            ge=2,
            description="records in each training set, members among them; with `design: half` "
            "half of all, and not needed",
        ),
    ]
    m: Annotated[
        int,
        Field(
            ge=1,
            description="challenge points that are members; as many others are not trained on",
        ),
    ]
    epsilon: Annotated[
        float | None,
        Field(
            gt=0,
            description="the target of the privacy budget, for which the noise is found unless "
            "`noise_multiplier` gives it; `null` without DP, or for a noise without a target",
        ),
    ] = None
    delta: Annotated[float | None, Field(gt=0, lt=1, description="δ, with DP; else `null`")] = None
    noise_multiplier: Annotated[
        float | None,
        Field(
            gt=0,
            description="the noise itself, in standard deviations of C, in place of `epsilon`, or "
            "beside it: the noise that was found for that target by another accountant, as the "
            "published ones. A scenario derived with another n, batch, epoch, ε or δ does not take "
            "it over from one with a target",
        ),
    ] = None
    disclosed: Annotated[
        tuple[Disclosable, ...],
        Field(
            description="seeds that dev and final models give away besides `seed_challenge`: `[]` "
            "or `[seed_training]`"
        ),
    ] = ()
    memberships: Annotated[
        str | None,
        Field(
            pattern=PATH,
            description="a `.csv` or `.npz` that says who is what in every model, in the place of "
            "seeds; see [docs/membership.md](../docs/membership.md)",
        ),
    ] = None
    released: Annotated[
        str | None,
        Field(
            pattern=PATH,
            description="the folder of its challenge, `train`, `dev` and `final` in it, where "
            "somebody else trained the models: they are attacked as they are, and nothing is "
            "written there; see [docs/original.md](../docs/original.md)",
        ),
    ] = None
    solutions: Annotated[
        str | None,
        Field(
            pattern=PATH,
            description="with `released`: the folder of the `solution.csv` of dev and final "
            "models, `dev` and `final` in it; `null`: they are not known, and are not scored",
        ),
    ] = None
    null_run: Annotated[
        bool,
        Field(
            description="`true` leaves the members out of training as well, so that nothing can "
            "tell them from non-members: a check that nothing leaks"
        ),
    ] = field(default=False)

    def __post_init__(self) -> None:
        if self.epsilon is not None and self.epsilon > LARGEST_EPSILON:
            raise ValueError(f"epsilon: {self.epsilon:g}: expected at most {LARGEST_EPSILON}")
        if self.n < self.m and self.memberships is None:
            raise ValueError(f"n: {self.n}: expected at least m = {self.m}")
        if self.null_run and self.n == self.m:
            raise ValueError(f"null_run: expected false with n = m = {self.n}: nothing is left")
        if self.drop_last and self.n < self.batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size}: expected at most n = {self.n} with drop_last"
            )
        for name in ("clipping_norm", "delta"):
            if self.private != (getattr(self, name) is not None):
                expected = "a number" if self.private else "null without epsilon"
                raise ValueError(f"{name}: {getattr(self, name)}: expected {expected}")
        if self.memberships is not None:
            if not self.memberships.endswith((".csv", ".npz")):
                raise ValueError(f"memberships: {shown(self.memberships)}: expected .csv or .npz")
            for key in ("released", "null_run"):
                if getattr(self, key):
                    raise ValueError(f"memberships: expected null with {key}")
        if self.solutions is not None and self.released is None:
            raise ValueError("solutions: expected null without released")
        if self.null_run and self.released is not None:
            raise ValueError("null_run: expected false with released, whose models are trained")
        if len(set(self.disclosed)) < len(self.disclosed):
            raise ValueError(f"disclosed: {list(self.disclosed)}: expected each once")
        super().__post_init__()

    @property
    def solved(self) -> bool:
        """Whether the memberships of dev and final models are known here."""
        return self.released is None or self.solutions is not None

    @property
    def private(self) -> bool:
        """Whether its models are trained with differential privacy."""
        return self.epsilon is not None or self.noise_multiplier is not None
