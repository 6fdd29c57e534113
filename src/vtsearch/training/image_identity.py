"""The identity of the images of a run, compared at a resume: a changed image would change the numbers unnoticed."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vtsearch.data.sources.image_source import FileSource, PixelSource, SummedSource
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.data import RetrievalData
    from vtsearch.data.sources.image_source import ImageSource

MOST_BYTES = 2**30
"""Image files of at most so many bytes together are read and summed; of more, sizes and times of change count."""
BATCH = 4096

Identity = dict[str, Any]


def image_identity(data: RetrievalData, most_bytes: int = MOST_BYTES) -> Identity:
    """What identifies the images of a split, for ``compare_images``.

    Of image files: "sizes", "times" of the last change in nanoseconds and, if all together have at most `most_bytes`,
    "sums" (CRC-32 of the content), each int64 (n,). Of pixels in memory: "sha256". Of a data set in Python: "sums". Of
    other sources: nothing.

    Raises:
        OSError: an image file that cannot be read.
    """
    source, positions = data.source, used_positions(data)
    if isinstance(source, FileSource):
        status = [source.path(position).stat() for position in positions.tolist()]
        sizes = torch.tensor([each.st_size for each in status])
        identity = {"sizes": sizes, "times": torch.tensor([each.st_mtime_ns for each in status])}
        return identity | ({"sums": _sums(source, positions)} if int(sizes.sum()) <= most_bytes else {})
    if isinstance(source, SummedSource):
        return {"sums": torch.from_numpy(source.sums(positions))}
    return {"sha256": _pixel_hash(source, positions)} if isinstance(source, PixelSource) else {}


def compare_images(data: RetrievalData, saved: Identity, now: Identity) -> str:
    """Refuse images that are not those of the start of a run; returns a warning where that cannot be known, or "".

    Raises:
        VtsearchError: names the first image that differs.
    """
    for name, noun in (("sizes", "size"), ("sums", "content")):
        if name in saved and name in now and (differing := _differing(saved[name], now[name])):
            raise VtsearchError(
                f"{_file(data, differing[0])}: expected the image that this run was started with, got one of another "
                f"{noun} ({len(differing)} in all); restore it, or train in another --output"
            )
    if saved.get("sha256") != now.get("sha256") or ("sizes" in saved) != ("sizes" in now):
        raise VtsearchError(
            f"{data.protocol.name}: expected the images that this run was started with, got other pixels; "
            "restore them, or train in another --output"
        )
    if "sums" in saved or "times" not in saved or not (differing := _differing(saved["times"], now["times"])):
        return ""
    return (
        f"{len(differing)} image files were written again since this run began, first {_file(data, differing[0])};"
        " their sizes are the same, and their content was not compared"
    )


def used_positions(data: RetrievalData) -> NDArray[np.int64]:
    """Positions of the images of a split, each once, in order."""
    return np.unique(np.concatenate([data.split.query, data.split.train, data.split.database]))


def _differing(saved: torch.Tensor, now: torch.Tensor) -> list[int]:
    return [0] if saved.shape != now.shape else torch.nonzero(saved != now).flatten().tolist()


def _file(data: RetrievalData, number: int) -> str:
    position = int(used_positions(data)[number])
    return str(data.source.path(position)) if isinstance(data.source, FileSource) else data.source.id(position)


def _sums(source: FileSource, positions: NDArray[np.int64]) -> torch.Tensor:
    return torch.tensor([zlib.crc32(source.path(position).read_bytes()) for position in positions.tolist()])


def _pixel_hash(source: ImageSource, positions: NDArray[np.int64]) -> str:
    assert isinstance(source, PixelSource)
    digest = hashlib.sha256()
    for start in range(0, len(positions), BATCH):
        digest.update(np.ascontiguousarray(source.pixels(positions[start : start + BATCH])).tobytes())
    return digest.hexdigest()
