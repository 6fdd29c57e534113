"""Whether to cache decoded training images on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vtsearch.data.loading.loader import cpu_share

if TYPE_CHECKING:
    from vtsearch.data.loading.torch_dataset import ImageDataset
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.progress import Progress

GIB = 2**30
SHARE_OF_DEVICE = 0.25  # of its free memory: the model and its gradients need the rest


def cache_training_images(items: ImageDataset, config: TrainConfig, device: torch.device, progress: Progress) -> None:
    """Decode all training images and cache them on the device, if `config.images` requires or allows it.

    Raises:
        ValueError: the cache is required and exceeds `cache_gib`.
    """
    if config.images == "loader" or (config.images == "auto" and items.is_decoded and device.type == "cpu"):
        return
    needed = items.decoded_bytes()
    if config.images == "device" and needed > config.cache_gib * GIB:
        raise ValueError(
            f"cache_gib: expected at least {needed / GIB:.2g}, the size of the decoded training images, "
            f"got {config.cache_gib:g}; or choose --images loader"
        )
    if config.images == "auto" and needed > min(config.cache_gib * GIB, _free_bytes(device)):
        return
    threads = config.workers or cpu_share()
    with progress.counting("decoding training images", len(items)) as count:
        items.hold(device, threads=threads, progress=count)


def _free_bytes(device: torch.device) -> float:
    """Bytes that an automatic cache may use on the device."""
    return SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
