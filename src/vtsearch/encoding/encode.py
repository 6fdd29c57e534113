"""Images of a source through a model: packed codes, in the order of the positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vtsearch.codes import pack
from vtsearch.data.loading.loader import build_loader
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.encoding.precision import autocast, resolve_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from vtsearch.data import ImageSource
    from vtsearch.encoding.precision import Precision
    from vtsearch.models import HashModel


def encode_positions(
    model: HashModel,
    source: ImageSource,
    positions: Sequence[int] | NDArray[np.int64],
    *,
    batch_size: int = 128,
    device: torch.device | str | None = None,
    precision: Precision = "auto",
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> NDArray[np.uint8]:
    """Codes (n, bytes) uint8 of the images at n positions, in that order.

    If there is more than one batch, the last is filled up with repeats: the rounding of a matrix product depends on
    its shape, and so an image has the same code whatever else is encoded with it.

    Args:
        model: moved to `device` and left there; its mode (train or eval) is put back afterwards.
        source: the images.
        positions: (n,) positions in the source.
        batch_size: images at a time.
        device: by default where the model is.
        precision: arithmetic of the forward pass; auto takes bf16 where the device has it.
        workers: loading processes; by default none on a CPU.
        progress: called after each batch with the number of images in it.

    Raises:
        ValueError: batch_size below 1, positions outside the source.
    """
    codes = np.zeros((len(positions), -(-model.bits // 8)), dtype=np.uint8)
    for rows, features in forward_positions(
        model,
        model,
        source,
        positions,
        batch_size=batch_size,
        device=device,
        precision=precision,
        workers=workers,
        progress=progress,
    ):
        codes[rows] = pack(features)
    return codes


def forward_positions(
    function: Callable[[Tensor], Tensor],
    model: HashModel,
    source: ImageSource,
    positions: Sequence[int] | NDArray[np.int64],
    *,
    batch_size: int = 128,
    device: torch.device | str | None = None,
    precision: Precision = "auto",
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Batches of rows (b,) in `positions` with what a function of the model makes of their images, (b, ...) float32.

    Args:
        function: of preprocessed images (b, 3, h, w); the model itself, or one that uses its parts.
        model: prepares the images; moved and put back as `encode_positions` does.
        source: the images.
        positions: (n,) positions in the source.
        batch_size: images at a time.
        device: by default where the model is.
        precision: arithmetic of the forward pass.
        workers: loading processes.
        progress: called after each batch with the number of images in it.

    Raises:
        ValueError: batch_size below 1, positions outside the source.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    where = torch.device(device) if device is not None else next(model.parameters()).device
    items = ImageDataset(source, np.asarray(positions, dtype=np.int64), model.preprocessing)
    batches = _batches(len(items), batch_size)
    arithmetic = resolve_precision(precision, where)
    was_training = model.training
    model.to(where).eval()
    try:
        for images, _, rows in build_loader(items, batches, device=where, workers=workers):
            with torch.inference_mode(), autocast(where, arithmetic):
                values = function(images.to(where, non_blocking=True)).float().cpu().numpy()
            yield rows.numpy(), values
            if progress is not None:
                progress(len(rows.unique()))
    finally:
        model.train(was_training)


def _batches(n: int, batch_size: int) -> list[list[int]]:
    """Rows 0 to n - 1 in batches of one size; the last repeats rows of its own to reach it, unless it is the only."""
    batches = [list(range(start, min(start + batch_size, n))) for start in range(0, n, batch_size)]
    if len(batches) > 1:
        short = batches[-1]
        batches[-1] = (short * batch_size)[:batch_size]
    return batches
