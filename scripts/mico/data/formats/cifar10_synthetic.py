"""A synthetic stand-in for CIFAR-10, for when the original may not be had."""

from pathlib import Path

import numpy as np

from mico.data.formats.cifar10_binary import MEAN, SHAPE, STD
from mico.data.options import DataOptions
from mico.data.raw import Raw
from mico.support.errors import InputError

SUMMARY = (
    "a stand-in for CIFAR-10, generated, see [docs/synthetic-data.md](../docs/synthetic-data.md)"
)
KINDS = ("images",)
GENERATED = True

SIDE = 32  # pixels
FEATURES = 3 * SIDE * SIDE
MARGIN = 4  # pixels that a scene is shifted by at most, either way
SCENES = 4  # typical backdrops of a class
WAVES = 8  # a smooth field is a sum of cosines of up to so many half periods, less one, a side
ROUGHNESS = 1.2  # a cosine of so many half periods weighs (1 + their number) ** -this
COLOUR = 0.4  # spread of a field's channels about what they share, whose spread is 1
SCENE = 0.65  # share of the backdrop's variance that is the scene's, the rest is the image's own
OBJECTS = 3  # blobs in front of the backdrop
RADII = (4.0, 12.0)  # of a blob, in pixels
EDGE = 4.0  # sharpness of a blob's edge
TEXTURE = 0.7  # contrast of a blob's stripes
STRIPES = (4.0, 9.0)  # pixels from one stripe to the next
TURN = 0.6  # radians that stripes are turned from their class's direction, a standard deviation
CONTRAST = 0.25  # log-scale spread of contrast between images
BRIGHTNESS = 25.0  # spread of brightness between images
GRAIN = 5.0  # spread of each pixel
COLOURS = (125, 123, 114)  # of red, green and blue on average, as in CIFAR-10
SPREAD = 52.0  # of the backdrop
CHUNK = 2_000  # images drawn at once, to bound memory


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Generate the data set from its seed.

    Raises:
        InputError: there are too few records, or a number of classes that cannot be drawn.
    """
    assert options.records is not None
    assert options.classes is not None
    assert options.seed is not None
    try:
        pixels, labels = cifar10(options.records, options.seed, options.classes)
    except ValueError as error:
        raise InputError(f"{options.format}: {error}") from None
    source = f"generated, seed {options.seed}"
    return Raw(
        pixels, labels, source, "images", options.classes, FEATURES, shape=SHAPE, mean=MEAN, std=STD
    )


def cifar10(records: int, seed: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Draw pictures; return pixels (records, 3072), in CIFAR-10's order, and labels, both uint8.

    Each class has a few scenes, which are smooth fields of colour, and a direction and a width of
    stripes. A picture's backdrop is one of its class's scenes, shifted and perhaps mirrored, and a
    field of its own; before it are blobs of any colour and place, with stripes near its class's
    direction. Contrast, brightness and grain differ. Classes are as large as each other, or one
    record larger, in random order.

    The same arguments give the same bytes, whatever the number of threads.
    """
    if not 1 <= classes <= 256:
        raise ValueError(f"classes = {classes}: uint8 labels hold from 1 to 256 classes")
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(np.random.SeedSequence(seed))
    scenes = _fields(classes * SCENES, SIDE + 2 * MARGIN, rng)
    scenes = scenes.reshape(classes, SCENES, *scenes.shape[1:])
    scenes = np.stack([scenes, scenes[..., ::-1]])  # as they are, and mirrored
    stripes = rng.permutation(classes) * np.pi / classes, rng.uniform(*STRIPES, classes)
    labels = rng.permutation(np.arange(records) % classes).astype(np.uint8)
    pixels = np.empty((records, 3, SIDE, SIDE), np.uint8)
    with threadpool_limits(1):  # sums over threads aren't associative, so not reproducible
        for first in range(0, records, CHUNK):
            chunk = slice(first, first + CHUNK)
            pixels[chunk] = _pictures(labels[chunk], scenes, stripes, rng)
    return pixels.reshape(records, -1), labels


def _pictures(
    labels: np.ndarray,
    scenes: np.ndarray,
    stripes: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """A picture of each label, (N, 3, SIDE, SIDE) uint8."""
    count = len(labels)
    windows = np.lib.stride_tricks.sliding_window_view(scenes, (SIDE, SIDE), axis=(-2, -1))
    mirrored, scene = rng.integers(2, size=count), rng.integers(SCENES, size=count)
    down, right = rng.integers(2 * MARGIN + 1, size=(2, count))
    picture = windows[mirrored, labels, scene, :, down, right] * np.float32(SCENE**0.5)
    picture += _fields(count, SIDE, rng) * np.float32((1 - SCENE) ** 0.5)
    for _ in range(OBJECTS):
        _add_blob(picture, labels, stripes, rng)
    picture *= SPREAD * rng.lognormal(0, CONTRAST, (count, 1, 1, 1)).astype(np.float32)
    picture += np.array(COLOURS, np.float32).reshape(3, 1, 1)
    picture += BRIGHTNESS * _normal(rng, count, 1, 1, 1)
    picture += GRAIN * _normal(rng, *picture.shape)
    return np.clip(np.rint(picture, out=picture), 0, 255).astype(np.uint8)


def _add_blob(
    picture: np.ndarray,
    labels: np.ndarray,
    stripes: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Lay an ellipse of one colour, with stripes across, over each picture."""
    count = len(labels)
    x, y = (
        np.arange(SIDE, dtype=np.float32) - rng.uniform(0, SIDE, (count, 1)).astype(np.float32)
        for _ in range(2)
    )
    along, across = _turned(x, y, rng.uniform(0, np.pi, count))
    radii = rng.uniform(*RADII, (2, count, 1, 1)).astype(np.float32)
    inside = np.clip(EDGE * (1 - (along / radii[0]) ** 2 - (across / radii[1]) ** 2), 0, 1)
    direction, width = (each[labels] for each in stripes)
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 1)).astype(np.float32)
    _, across = _turned(x, y, direction + TURN * rng.standard_normal(count))
    wave = np.cos(across * (2 * np.pi / width).astype(np.float32)[:, None, None] + phase)
    colour = _normal(rng, count, 1, 1, 1) + COLOUR * _normal(rng, count, 3, 1, 1)
    picture += inside[:, None] * (colour + TEXTURE * wave[:, None] - picture)


def _turned(x: np.ndarray, y: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (N, SIDE, SIDE) float32 along and across a direction, from those (N, SIDE)."""
    cos, sin = (f(angle).astype(np.float32)[:, None, None] for f in (np.cos, np.sin))
    x, y = x[:, None, :], y[:, :, None]
    return x * cos + y * sin, y * cos - x * sin


def _fields(count: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth random fields of three like channels, (count, 3, side, side) float32 of spread 1."""
    number = np.arange(WAVES)
    weight = np.add.outer(number, number) + 1.0
    weight = weight**-ROUGHNESS
    waves = np.cos(np.pi * np.outer(np.arange(side) + 0.5, number) / side).astype(np.float32)
    weight[0, 0] = 0  # brightness is drawn apart
    mean_square = np.einsum("iu,jv,uv->", waves**2, waves**2, weight**2) / side**2
    weight /= np.sqrt(mean_square * (1 + COLOUR**2))
    shares = _normal(rng, count, 1, WAVES, WAVES) + COLOUR * _normal(rng, count, 3, WAVES, WAVES)
    return waves @ (shares * weight.astype(np.float32)) @ waves.T


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Standard normal numbers in float32."""
    return rng.standard_normal(shape, dtype=np.float32)
