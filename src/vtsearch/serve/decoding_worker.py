"""The program of a process that decodes images for a server: ``python -m vtsearch.serve.decoding_worker``.

Decoders are C code that meets files of strangers. In a process of its own a crash, an endless loop or an image that
takes all memory costs one request.
"""

from __future__ import annotations

import io
import json
import math
import os
import resource
import signal
import sys
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vtsearch.data.locate import ImageLocator
from vtsearch.data.sources.decode import MOST_PIXELS, open_encoded, read_encoded
from vtsearch.errors import VtsearchError, require_extra
from vtsearch.serve.channel import Channel
from vtsearch.serve.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

LOCATORS = 16
"""Indexes whose images are kept open."""
GRACE = 5
"""Seconds after which a request that nobody ends any more ends the process."""
FINE_BELOW = 128
"""Pixels of the longer side up to which a thumbnail is stored nearly without loss: it is shown enlarged."""
QUALITY, FINE_QUALITY = 85, 95


def main(memory: int, most_pixels: int) -> None:
    """Answer requests until there are no more.

    Args:
        memory: bytes that the process may allocate.
        most_pixels: of an upload.
    """
    channel = _taken_over()
    for number in (signal.SIGINT, signal.SIGTERM):  # the server's to receive; it ends this process when it is done
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with suppress(ModuleNotFoundError):  # the first request says what is missing
        _load_decoders()
    _limit(resource.RLIMIT_DATA, memory)
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold images
    try:
        while True:
            fields, content = channel.receive(sys.maxsize)
            channel.send({"taken": True})
            signal.alarm(math.ceil(fields["seconds"]) + GRACE)
            channel.send(*_answer(fields, content, most_pixels))
            signal.alarm(0)
    except (EOFError, BrokenPipeError):
        return


def _taken_over() -> Channel:
    """A channel over the standard input and output, which are not for anything else to read or write."""
    channel = Channel(os.dup(0), os.dup(1))
    with open(os.devnull, "r+b", buffering=0) as nothing:  # noqa: PTH123 (a device)
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    return channel


def _load_decoders() -> None:
    """Load Pillow and its decoders, so that the first request takes no longer than another."""
    pillow = require_extra("PIL.Image")
    pillow.init()
    warnings.simplefilter("error", pillow.DecompressionBombWarning)


def _limit(what: int, most: int) -> None:
    """Lower a limit of this process for good, where the system has it."""
    _, hard = resource.getrlimit(what)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (bound, bound))


def _answer(fields: Mapping[str, Any], content: bytearray, most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """The fields and the content of the answer to a request, or the fields of an error."""
    name, side = fields["name"], fields.get("side")
    try:
        pillow = require_extra("PIL.Image")
        if side is not None:
            pillow.MAX_IMAGE_PIXELS = MOST_PIXELS
            return {}, thumbnail(_locator(fields["source"]).load_reduced(name, side), side)
        pillow.MAX_IMAGE_PIXELS = most_pixels  # of images within the image, which its header does not tell
        image = decoded(bytes(content), name, fields["least_side"], most_pixels)
        return {"shape": [image.height, image.width, 3]}, image.tobytes()
    except Exception as error:  # noqa: BLE001 (whatever it is, the next request is another one)
        return {"error": _fields_of(error)}, b""


@lru_cache(LOCATORS)
def _locator(source: str) -> ImageLocator:
    """The locator of a source, as ``PictureSource`` writes it."""
    described = json.loads(source)
    index, root = described["index"], described["root"]
    return ImageLocator(described["description"], root=root, index=index, confined=True)


def thumbnail(image: Image, side: int) -> bytes:
    """The JPEG of an image, reduced so that its longer side has at most that many pixels."""
    pillow = require_extra("PIL.Image")
    image.thumbnail((side, side), pillow.Resampling.BICUBIC, reducing_gap=2.0)
    file = io.BytesIO()
    if max(image.size) <= FINE_BELOW:
        image.save(file, "JPEG", quality=FINE_QUALITY, subsampling=0)
    else:
        image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def decoded(upload: bytes, name: str, least_side: int | None, most_pixels: int) -> Image:
    """The RGB image in an upload, as encoding reads that of a file; refused by its header if it is too large."""
    with open_encoded(upload, name, math.inf) as header:
        width, height = header.size
    if width * height > most_pixels:
        size = f"{width:,} x {height:,}"
        raise TooLarge(f"images: cannot read image {name}: expected at most {most_pixels:,} pixels, got {size}")
    return read_encoded(upload, name, "upright", least_side)


def _fields_of(error: Exception) -> dict[str, Any]:
    """An error as JSON values, of which ``decoding_process`` makes one again."""
    if isinstance(error, OSError) and error.errno is not None:
        filename = None if error.filename is None else str(error.filename)
        return {"kind": "OSError", "errno": error.errno, "strerror": error.strerror, "filename": filename}
    text = "not enough memory" if isinstance(error, MemoryError) else " ".join(str(error).split())
    kind = next((kind.__name__ for kind in (TooLarge, ModuleNotFoundError) if isinstance(error, kind)), None)
    is_ours = isinstance(error, (VtsearchError, ValueError, MemoryError))
    return {"kind": kind or "VtsearchError", "text": text if kind or is_ours else f"{type(error).__name__}: {text}"}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
