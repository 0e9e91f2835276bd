"""How the models of a challenge are trained: frozen records, in the words of the configuration."""

from dataclasses import asdict, field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mico.support.records import CONFIG

Positive = Annotated[int, Field(ge=1)]
Optimizer = Literal["adam", "sgd", "adamw"]
Schedule = Literal["step", "constant", "cosine", "linear"]
Clip = Literal["flat", "automatic"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, config=CONFIG)
class Optimisation:
    """How a model's weights are moved, but for the noise."""

    epochs: Annotated[
        int,
        Field(
            ge=1,
            description="passes over the training set; under DP one is ceil(n / L) samples, or "
            "see `drop_last`",
        ),
    ]
    batch_size: Annotated[
        int, Field(ge=1, description="records of a batch; under DP the expected size L of a sample")
    ]
    optimizer: Annotated[
        Optimizer,
        Field(description="`adam`, `sgd`, or `adamw`, which without weight decay is `adam`"),
    ]
    momentum: Annotated[
        float, Field(ge=0, lt=1, description="that of `sgd`; with the other optimizers 0")
    ] = field(default=0.0, kw_only=True)
    nesterov: Annotated[
        bool, Field(description="whether the momentum is Nesterov's; see [Recipes](#recipes)")
    ] = field(default=False, kw_only=True)
    weight_decay: Annotated[
        float,
        Field(
            ge=0,
            description="of all parameters: decoupled with `adamw`, otherwise added to the "
            "gradient (L2)",
        ),
    ] = field(default=0.0, kw_only=True)
    learning_rate: Annotated[
        float, Field(gt=0, description="the rate of the first epochs, or after the warm-up")
    ]
    lr_schedule: Annotated[
        Schedule,
        Field(
            description="`step`: see `lr_decay`; `constant`; `cosine` and `linear`: from step to "
            "step down to 0 at the end of training. See [Recipes](#recipes)"
        ),
    ] = field(default="step", kw_only=True)
    lr_decay: Annotated[
        float,
        Field(gt=0, description="the rate is multiplied by it every `lr_decay_epochs` epochs"),
    ] = 1.0
    lr_decay_epochs: Annotated[int, Field(ge=1, description="see `lr_decay`")] = 1
    warmup_epochs: Annotated[
        float,
        Field(
            ge=0,
            description="for so many epochs, of which parts count, the rate rises from step to "
            "step, by any schedule; fewer than `epochs`",
        ),
    ] = field(default=0.0, kw_only=True)
    label_smoothing: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="the share s of a label that is spread evenly over all classes, in "
            "training alone",
        ),
    ] = field(default=0.0, kw_only=True)
    horizontal_flip: Annotated[
        bool,
        Field(
            description="of images: whether each is mirrored with a chance of one half whenever it "
            "is trained on"
        ),
    ] = field(default=False, kw_only=True)
    crop_padding: Annotated[
        int,
        Field(
            ge=0,
            description="of images: each is padded by so many black pixels on every side, and cut "
            "to its size at random, whenever it is trained on; 0: none is",
        ),
    ] = field(default=0, kw_only=True)
    clipping_norm: Annotated[
        float | None,
        Field(gt=0, description="with DP the bound C on each example's gradient norm; else `null`"),
    ] = None
    clipping: Annotated[
        Clip,
        Field(
            description="with DP `flat`: a gradient longer than C is scaled down to C; "
            "`automatic`: every gradient g is scaled by C / (norm of g + 0.01)"
        ),
    ] = field(default="flat", kw_only=True)
    shuffle: Annotated[
        bool,
        Field(
            description="whether every epoch takes the training set in a new order, as X1 does; "
            "`false`: always in the same, the members first, as published for T1 and I1. With DP "
            "`false`: samples are Poisson"
        ),
    ] = field(default=False, kw_only=True)
    max_gradient_norm: Annotated[
        float | None,
        Field(
            gt=0,
            description="the norm that a batch's mean gradient is scaled down to where it is "
            "greater, 1 in X1; `null`: none, and always with DP",
        ),
    ] = field(default=None, kw_only=True)
    drop_last: Annotated[
        bool,
        Field(
            description="with DP `true`: an epoch has floor(n / L) steps with the sample rate "
            "L / n, as X2; `false`: ceil(n / L) with its inverse. Without DP `false`: the last "
            "batch is short"
        ),
    ] = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum: {self.momentum:g}: expected 0 with {self.optimizer}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: expected false without momentum")
        if self.lr_schedule != "step" and self.lr_decay != 1:
            raise ValueError(
                f"lr_decay: {self.lr_decay:g}: expected 1 with lr_schedule {self.lr_schedule!r}"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs: {self.warmup_epochs:g}: expected fewer than epochs = {self.epochs}"
            )
        if self.clipping_norm is None:
            if self.drop_last:
                raise ValueError(
                    "drop_last: expected false without DP, where the last batch is short"
                )
            if self.clipping != "flat":
                raise ValueError(f"clipping: {self.clipping!r}: expected 'flat' without DP")
        if self.clipping_norm is not None:
            if self.shuffle:
                raise ValueError("shuffle: expected false with DP, which draws Poisson samples")
            if self.max_gradient_norm is not None:
                raise ValueError(
                    f"max_gradient_norm: {self.max_gradient_norm}: expected null with DP"
                )

    @property
    def augmentations(self) -> list[str]:
        """The keys of what is done to images at random."""
        return [key for key in ("horizontal_flip", "crop_padding") if getattr(self, key)]


@dataclass(frozen=True, config=CONFIG)
class TrainingOptions(Optimisation):
    """How the engine trains a model, noise and all."""

    noise_multiplier: Annotated[
        float | None, Field(ge=0, description="sigma; with the clipping norm, or neither")
    ] = None
    secure: Annotated[
        bool,
        Field(
            description="samples, noise, dropout and augmentation come from the operating system's "
            "entropy, not from a seed"
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.clipping_norm is None) != (self.noise_multiplier is None):
            raise ValueError("clipping_norm and noise_multiplier: expected both or neither")
        if self.secure and self.clipping_norm is None:
            raise ValueError("secure: expected false without DP")


@dataclass(frozen=True, config=CONFIG)
class Recipe:
    """All that is decided about how a shard's models are trained, but for their seeds and noise."""

    architecture: str
    physical_batch_size: Positive | None  # None: what the network has by itself
    precision: Precision
    n: int  # records in a training set
    m: int  # challenge points that are members, and as many non-members
    optimisation: Optimisation
    null_run: bool = False  # members are left out of training as well
    secure: bool = False

    def options(self, noise_multiplier: float | None) -> TrainingOptions:
        """What the engine needs, with the noise that the privacy budget asks for."""
        return TrainingOptions(
            **asdict(self.optimisation), noise_multiplier=noise_multiplier, secure=self.secure
        )
