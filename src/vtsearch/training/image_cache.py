"""Where training images wait: in their files, or decoded on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vtsearch._validate import available_cpus

if TYPE_CHECKING:
    from vtsearch.data.loading.torch_dataset import ImageDataset
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.progress import Progress

GIB = 2**30
SHARE_OF_DEVICE = 0.25  # of what is free there: the rest is for the model and its gradients


def cache_training_images(items: ImageDataset, config: TrainConfig, device: torch.device, progress: Progress) -> None:
    """Decode all training images now and hold them on the device, if `images` says so or lets it.

    Raises:
        ValueError: they are to be held and take more than `cache_gib`.
    """
    if config.images == "loader" or (config.images == "auto" and items.is_decoded and device.type == "cpu"):
        return
    needed = items.decoded_bytes()
    if config.images == "device" and needed > config.cache_gib * GIB:
        raise ValueError(
            f"cache_gib: expected at least {needed / GIB:.2g}, what the training images take decoded, "
            f"got {config.cache_gib:g}; or choose --images loader"
        )
    if config.images == "auto" and needed > min(config.cache_gib * GIB, _room(device)):
        return
    threads = config.workers or min(8, available_cpus())
    with progress.counting("decoding training images", len(items)) as count:
        items.hold(device, threads=threads, progress=count)


def _room(device: torch.device) -> float:
    """Bytes that images may take there without being asked for."""
    return SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
