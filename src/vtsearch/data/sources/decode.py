"""From image files to RGB pixels: two rules, one bound on the size, and no exception of Pillow's own.

The rule "upright" is for your own images: the orientation that a camera stored is applied, grey values of more than
8 bits are scaled to 8, transparent pixels are laid on white. The rule "published" is for the published protocols:
Pillow's conversion of the stored pixels, as in the programs that published their numbers.
"""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.Image import Image

PixelRule = Literal["upright", "published"]

MOST_PIXELS = 2**28
"""Pixels of the largest image that is read: 16,384 x 16,384; a camera of 200 megapixels stays below."""
HALVED_ABOVE = 2**26
"""Above this number of pixels the rule "upright" reads an image at half its width and height, to save memory."""
EXECUTED = frozenset({"EPS"})
"""Formats that Pillow reads by running another program; they are refused."""
WHITE_POINTS = (255, 1_023, 4_095, 16_383, 65_535)
"""Largest grey values of 8, 10, 12, 14 and 16 bits."""
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation -> the transposition that undoes it."""
TURNED = frozenset({5, 6, 7, 8})
"""Orientations that exchange width and height."""
ORIENTATION = 0x0112
_opening = threading.Lock()


def read_image(path: Path, where: str, rule: PixelRule = "upright", least_side: int | None = None) -> Image:
    """The RGB image in a file.

    Args:
        path: the file.
        where: its entry (a list with its line, a folder), for messages.
        rule: "upright" for your own images, "published" for those of a published protocol.
        least_side: pixels of the shorter side that are enough, by the rule "upright": a JPEG decoder then gives a half,
            a quarter or an eighth of the size, the smallest that has them. None for the whole image.

    Raises:
        FileNotFoundError: no such file.
        PermissionError: a file that may not be read.
        VtsearchError: a damaged file, not an image, or more than ``MOST_PIXELS`` pixels.
    """
    with open_image(path, where) as image:
        return _decoded(image, rule, least_side)


def read_encoded(encoded: bytes, name: str, rule: PixelRule = "upright", least_side: int | None = None) -> Image:
    """The RGB image in the bytes of a file; ``name`` is for messages, otherwise as ``read_image``."""
    with open_encoded(encoded, name) as image:
        return _decoded(image, rule, least_side)


def read_opened(image: Image, where: str, rule: PixelRule = "upright", least_side: int | None = None) -> Image:
    """The RGB image of a Pillow image, whose size and mode stay; if it is not decoded yet, as ``read_image`` its file.

    Raises:
        VtsearchError: an image that cannot be decoded.
    """
    with faults_named(f"{where}: cannot read image"):
        encoded = _reducible_bytes(image, least_side) if rule == "upright" else None
        if encoded is None:
            return rgb_of(image, rule)
        with _opened(io.BytesIO(encoded)) as again:
            return _decoded(again, rule, least_side)


@contextmanager
def open_image(path: Path, where: str) -> Iterator[Image]:
    """The image in a file, of which the header is read and no pixel; arguments and errors as of ``read_image``."""
    with faults_named(f"{where}: cannot read image {path}"), _open_file(path) as file, _opened(file) as image:
        yield image


@contextmanager
def open_encoded(encoded: bytes, name: str, most_pixels: float = MOST_PIXELS) -> Iterator[Image]:
    """The image in the bytes of a file, of which no pixel is decoded; errors as of ``read_image``."""
    with faults_named(f"images: cannot read image {name}"), _opened(io.BytesIO(encoded), most_pixels) as image:
        yield image


def check_header(path: Path, where: str) -> None:
    """Read the header of an image file, not its pixels; errors as of ``read_image``."""
    with open_image(path, where):
        pass


@contextmanager
def faults_named(name: str) -> Iterator[None]:
    """Turn every exception of Pillow and its decoders into a ``VtsearchError`` that begins with ``name``.

    Decoders of damaged files raise nearly anything: ValueError, EOFError, struct.error, zlib.error, OverflowError,
    MemoryError, RecursionError, SyntaxError.

    Raises:
        VtsearchError: as described; FileNotFoundError, PermissionError and a missing extra pass unchanged.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError, ModuleNotFoundError, VtsearchError):
        raise
    except Exception as reason:
        raise VtsearchError(f"{name}: {_explained(reason)}") from reason


def rgb_of(image: Image, rule: PixelRule) -> Image:
    """A new RGB image of an opened one of any mode, without its metadata: what was applied is not applied twice.

    Raises:
        Exception: whatever Pillow raises for a damaged file; see ``faults_named``.
    """
    image.load()
    if rule == "published":
        rgb: Image = image.convert("RGB")
    else:
        turn = TURNS.get(orientation(image))
        rgb = _halved(_opaque(_eight_bits(_halved(image))))
        rgb = rgb if turn is None else rgb.transpose(getattr(require_extra("PIL.Image").Transpose, turn))
    rgb.info = {}
    return rgb


# ---------------------------------------------------------------------------------------------------------------------
# Opening


def _open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (IsADirectoryError, ValueError) as reason:  # ValueError: a null character in the name
        raise VtsearchError(f"cannot read image {path}: {reason}") from reason


@contextmanager
def _opened(file: BinaryIO, most_pixels: float = MOST_PIXELS) -> Iterator[Image]:
    """The image in an open file, with this bound on its size in the place of Pillow's."""
    pillow = require_extra("PIL.Image")
    pillow.preinit()
    pillow.init()
    formats = [name for name in pillow.OPEN if name not in EXECUTED]
    with _opening:
        bound, pillow.MAX_IMAGE_PIXELS = pillow.MAX_IMAGE_PIXELS, None
        try:
            image = pillow.open(file, formats=formats)
        finally:
            pillow.MAX_IMAGE_PIXELS = bound
    with image:
        if image.width * image.height > most_pixels:
            size = f"{image.width:,} x {image.height:,}"
            raise ValueError(f"expected at most {most_pixels:,} pixels, got {size}; store it smaller")
        yield image


def _explained(reason: Exception) -> str:
    if isinstance(reason, require_extra("PIL").UnidentifiedImageError):
        return "not an image of a kind that Pillow opens, or damaged at its beginning"
    if isinstance(reason, MemoryError):
        return "not enough memory"
    return " ".join(str(reason).split()) or type(reason).__name__


# ---------------------------------------------------------------------------------------------------------------------
# The rule "upright"


def orientation(image: Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where the metadata cannot be read, as they are not needed for the pixels."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001 (damaged metadata raise anything)
        return 1


def _decoded(image: Image, rule: PixelRule, least_side: int | None) -> Image:
    """The RGB image of one that was just opened, of which no pixel is decoded."""
    if rule == "upright":
        _let_decoder_reduce(image, least_side)
    return rgb_of(image, rule)


def _let_decoder_reduce(image: Image, least_side: int | None) -> None:
    """Have a JPEG decoded at the smallest of its sizes that is enough, and at half its size if it is huge."""
    width, height = image.size
    wide, high = (width, height) if least_side is None else (least_side, least_side)
    if _is_huge(image):
        wide, high = min(wide, width // 2), min(high, height // 2)
    if (wide, high) != (width, height):
        image.draft(None, (wide, high))


def _reducible_bytes(image: Any, least_side: int | None) -> bytes | None:
    """The file of a JPEG that Pillow has opened, not decoded, and that may be decoded smaller; else None."""
    jpeg = require_extra("PIL.JpegImagePlugin").JpegImageFile
    if least_side is None or not isinstance(image, jpeg) or min(image.size) < 2 * least_side:
        return None
    is_untouched = image.tile and image.fp is not None and not image.decoderconfig and image.tell() == 0
    if not is_untouched:
        return None
    start = image.fp.tell()
    image.fp.seek(0)
    content: bytes = image.fp.read()
    image.fp.seek(start)
    return content


def _is_huge(image: Image) -> bool:
    return image.width * image.height > HALVED_ABOVE


def _halved(image: Image) -> Image:
    """The image at half its size if it is huge and of a mode that Pillow can average."""
    if not _is_huge(image) or image.mode not in ("L", "RGB", "CMYK", "YCbCr"):
        return image
    halved: Image = image.reduce(2)
    return halved


def _eight_bits(image: Image) -> Image:
    """An image of a mode that Pillow converts to RGB or RGBA without loss of grey values."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _grey(np.asarray(image), image.info.get("transparency"))
    if image.mode == "La":  # Pillow converts it to nothing else
        return image.convert("LA")
    return _from_lab(image) if image.mode == "LAB" else image


def _grey(values: NDArray[Any], transparent: object) -> Image:
    """Grey values (h, w) of any range as 8 bits; pixels of the transparent value get an alpha of 0.

    Integers are scaled by the largest value of 8, 10, 12, 14 or 16 bits that holds them all. Numbers from 0 to 1 are
    scaled by 1. Values beyond these ranges are stretched from the smallest to the largest. NaN is black.
    """
    grey = require_extra("PIL.Image").fromarray(scaled_to_8_bits(values))
    if isinstance(transparent, int):
        grey.putalpha(require_extra("PIL.Image").fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    image: Image = grey
    return image


def scaled_to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """uint8 (h, w) of grey values (h, w), integers or float32, by the rule of their range."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if values.dtype.kind == "f" and low >= 0 and 0 < high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= WHITE_POINTS[-1]:
        low, high = 0.0, float(next(white for white in WHITE_POINTS if high <= white))
    share = (values.astype(np.float32) - low) / max(high - low, 1e-30)
    scaled = np.rint(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255)
    eight: NDArray[np.uint8] = scaled.astype(np.uint8)
    return eight


def _from_lab(image: Image) -> Image:
    cms = require_extra("PIL.ImageCms")
    transform = cms.buildTransform(cms.createProfile("LAB"), cms.createProfile("sRGB"), "LAB", "RGB")
    converted: Image = cms.applyTransform(image, transform)
    return converted


def _opaque(image: Image) -> Image:
    """RGB with the transparent pixels on white, or on black if the image would be all white.

    An alpha channel of 0 everywhere is ignored: it would hide the whole image.
    """
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    least, most = rgba.getchannel("A").getextrema()
    if least == 255 or most == 0:
        return rgba.convert("RGB")
    on_white = _laid_on(rgba, "white")
    channels: Any = on_white.getextrema()  # least and most of each
    return _laid_on(rgba, "black") if all(low == 255 for low, _ in channels) else on_white


def _laid_on(rgba: Image, colour: str) -> Image:
    background: Image = require_extra("PIL.Image").new("RGB", rgba.size, colour)
    background.paste(rgba, mask=rgba.getchannel("A"))
    return background
