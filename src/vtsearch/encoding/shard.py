"""One index from images, whole or not at all: the work of ``vtsearch encode``, or of one worker of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch._atomic_io import replaced_folder
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data.locate import ImageSelection
    from vtsearch.encoding.encoder import Encoder


def encode_shard(
    encoder: Encoder,
    images: ImageSelection,
    output: Path,
    *,
    description: Mapping[str, str] | None = None,
    progress: Callable[[int], object] | None = None,
) -> int:
    """Encode images into a new index, or in the place of an index, and return its number of items.

    Args:
        encoder: makes the codes; its fingerprints go into the index.
        images: which images, and how to find them again.
        output: folder of the index; after an error or a crash it is as it was before.
        description: more metadata for the index, such as the model's folder.
        progress: called after each batch with the number of images in it.

    Raises:
        FileNotFoundError: an image file that does not exist.
        VtsearchError: an image file that cannot be read.
    """
    codes = encoder.encode(images.source, images.positions, progress=progress)
    fingerprints = encoder.fingerprints_of(images.source) | ({} if images.split is None else {"split": images.split})
    with replaced_folder(output) as fresh:
        write_index(
            fresh,
            codes,
            images,
            bits=encoder.bits,
            fingerprints=fingerprints,
            description={**images.description, **(description or {})},
        )
    return len(codes)


def write_index(
    folder: Path,
    codes: NDArray[np.uint8],
    images: ImageSelection,
    *,
    bits: int,
    fingerprints: Mapping[str, str],
    description: Mapping[str, str],
) -> None:
    """Create an index of codes (n, bytes) with the ids, labels and classes of their n images."""
    source, positions = images.source, images.positions
    with Index.create(
        folder, bits, fingerprints=fingerprints, classes=source.classes, description=description
    ) as index:
        ids = [source.id(int(position)) for position in positions]
        index.add(codes, ids, source.labels[positions] if images.labelled else None)


def refuse_existing(output: Path, *, overwrite: bool) -> None:
    """Check before hours of work that an index may be written to ``output``.

    Raises:
        FileExistsError: a folder with content, unless it is an index and ``overwrite`` is true.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not overwrite:
        raise FileExistsError(f"output: {output} exists; choose another folder, or --overwrite it")
    if not (output / "index.sqlite").is_file():
        raise FileExistsError(f"output: expected an index to overwrite, got {output}, which is none")
