"""Images of one's own: an .npz of pixels, or a folder for each class with PNG or JPEG files."""

import os
import warnings
from pathlib import Path

import numpy as np

from mico.data import numpy_files, tables
from mico.data.appearance import likely
from mico.data.archives import LITTER
from mico.data.checksums import verify
from mico.data.options import DataOptions
from mico.data.pixels import normalisation
from mico.data.raw import Raw
from mico.support.errors import InputError, shown
from mico.support.progress import progress

SUMMARY = (
    "images of your own: an `.npz`, or folders of PNG or JPEG files, "
    "see [docs/your-data.md](../docs/your-data.md)"
)
KINDS = ("images",)
FOLDER = True
OPTIONS = ("array", "label", "mean", "std")

ENDINGS = (".png", ".jpg", ".jpeg")
FORMS = ("PNG", "JPEG")
# The forms of an image that are taken, by Pillow's names, and those of one, three or four channels
# that they become.
MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"}
LARGEST = 1 << 24  # values of an image
FEW = 4  # channels that an image has at most where there is a doubt


def read(options: DataOptions, raw: Path | None) -> Raw:
    """Read the images, all of one size.

    Raises:
        InputError: names the file, what was found, and what was expected.
    """
    assert raw is not None
    if raw.is_dir():
        for key in "array", "label":
            if getattr(options, key) is not None:
                raise InputError(f"{raw}: {key}: expected only of an .npz")
        if options.checks:
            raise InputError(f"{raw}: {options.checks[0]}: a folder has no checksum, expected none")
        images, values = _from_folder(raw)
    else:
        verify(raw, options.checks)
        if isinstance(options.label, int):
            raise InputError(f"{raw}: label {options.label}: expected an array's name")
        images, values = numpy_files.read(raw, options.array, options.label)
        images = _checked(images, raw)
    labels, class_names = tables.labels(values, f"{raw}: labels")
    shape = (images.shape[3], images.shape[1], images.shape[2])
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    mean, std = normalisation(options, pixels, shape[0], raw)
    return Raw(
        *(pixels, labels, raw.name, "images", len(class_names), pixels.shape[1]),
        shape=shape,
        mean=mean,
        std=std,
        class_names=class_names,
    )


def _checked(images: np.ndarray, path: Path) -> np.ndarray:
    """An array's images as (N, rows, columns, channels) uint8."""
    if images.dtype != np.uint8:
        cause = " of values in [0, 1]? Take their 255 times" if images.dtype.kind == "f" else ""
        raise InputError(f"{path}: {images.dtype}, expected uint8 from 0 to 255{cause}")
    if images.ndim == 3:
        images = images[..., None]
    expected = "expected (records, rows, columns) or (records, rows, columns, channels)"
    if images.ndim != 4:
        raise InputError(f"{path}: shape {images.shape}, {expected}")
    if images.shape[1] <= FEW < images.shape[3]:
        cause = "these have their channels first: transpose(0, 2, 3, 1)"
        raise InputError(f"{path}: shape {images.shape}, {expected}: {cause}")
    return images


def _from_folder(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, rows, columns, channels) and the names (N,) of their folders, in sorted order."""
    files: list[Path] = []
    labels: list[str] = []
    for folder in _listed(root, root):
        if not folder.is_dir():
            expected = "expected only folders there, one for each class"
            raise InputError(f"{folder}: a file in {root.name}: {expected}")
        found = _listed(folder, root)
        if not found:
            raise InputError(f"{folder}: an empty class: expected PNG or JPEG files in it")
        files += found
        labels += [folder.name] * len(found)
    if not files:
        raise InputError(f"{root}: nothing in it, expected a folder of images for each class")
    images: list[np.ndarray] = []
    for file in progress(files, len(files), f"{root.name} images"):
        image = _image(file)
        if images and image.shape != images[0].shape:
            sizes = [" x ".join(map(str, one.shape)) for one in (image, images[0])]
            expected = f"{sizes[1]} (rows, columns, channels) as {files[0].relative_to(root)}"
            raise InputError(f"{file}: {sizes[0]}, expected {expected}")
        images.append(image)
    is_number = all(label.isascii() and label.isdigit() for label in labels)
    return np.stack(images), np.array(labels, np.float64 if is_number else None)


def _listed(folder: Path, root: Path) -> list[Path]:
    """What lies in a folder, sorted by name; what leads out of the data set's is refused."""
    try:
        found = sorted(
            one for one in folder.iterdir() if one.name not in LITTER and one.name[0] != "."
        )
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    # Not `resolve` of pathlib, which does not take a link to itself.
    inside = os.path.realpath(root)
    for one in found:
        if one.is_symlink() and not Path(os.path.realpath(one)).is_relative_to(inside):
            raise InputError(f"{one}: a link that leads out of {root}")
    return found


def _image(path: Path) -> np.ndarray:
    """An image (rows, columns, channels) uint8."""
    from PIL import UnidentifiedImageError

    if not path.is_file() or path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: expected a PNG or JPEG file")
    try:
        with warnings.catch_warnings(action="ignore"):  # what is wrong is told below
            return _decoded(path)
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError:
        hint = likely(path)
        is_other = "PNG" not in hint and "JPEG" not in hint
        what = f"a PNG or JPEG file{hint}" if is_other else "a whole image"
        raise InputError(f"{path}: not {what}") from None
    except Exception as error:  # what Pillow raises depends on which bytes are wrong
        reason = " ".join((str(error) or type(error).__name__).split())
        raise InputError(f"{path}: not a whole image ({shown(reason)})") from None


def _decoded(path: Path) -> np.ndarray:
    """An image (rows, columns, channels) uint8, with the errors of whatever is wrong with it."""
    from PIL import Image

    with Image.open(path, formats=FORMS) as image:
        image.verify()  # the checksums of a PNG's parts, to which reading it does not come
    with Image.open(path, formats=FORMS) as image:
        bands, (columns, rows) = len(image.getbands()), image.size
        if rows * columns * bands > LARGEST:
            found = f"{columns:,} x {rows:,} pixels"
            raise InputError(f"{path}: {found}, expected at most {LARGEST:,} values")
        if image.mode not in MODES:
            found = f"an image of the mode {shown(image.mode)}"
            raise InputError(f"{path}: {found}, expected grey or colours of 8 bits")
        mode = MODES[image.mode]
        if mode == "RGB" and "transparency" in image.info:
            mode = "RGBA"
        pixels = np.array(image.convert(mode))
    return pixels.reshape(rows, columns, -1)
