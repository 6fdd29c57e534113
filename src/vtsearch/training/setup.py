"""The parts of a run, built from its configuration: data, model, framework, optimizer, loader, journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from accelerate.utils import set_seed

from vtsearch.data import load_split, open_dataset
from vtsearch.data.loading.loader import build_loader
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.frameworks import framework_class
from vtsearch.models import build_model
from vtsearch.training import run_folder as files
from vtsearch.training.devices import accelerator_for
from vtsearch.training.evaluator import ModelEvaluator
from vtsearch.training.image_cache import cache_training_images
from vtsearch.training.metrics_log import MetricsLog
from vtsearch.training.optimization import build_optimizer
from vtsearch.training.sampler import HOLD_OUT_SEED, MODEL_SEED, EpochSampler, derived_seed
from vtsearch.training.train_module import TrainModule

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch.utils.data import DataLoader

    from vtsearch.data import RetrievalData, Split
    from vtsearch.data.loading.torch_dataset import ImageBatch
    from vtsearch.frameworks.base import Framework
    from vtsearch.models import HashModel
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.progress import Progress


LEAST_HELD_OUT = 50
"""Held-out images below which chance decides which epoch they find the best."""


@dataclass(frozen=True)
class RunComponents:
    """What a run works with."""

    config: TrainConfig
    data: RetrievalData
    fit: NDArray[np.int64]
    """Positions of the images that are trained on."""
    held_out: NDArray[np.int64]
    """Positions of training images that only choose the best epoch."""
    model: HashModel
    framework: Framework
    objective: TrainModule
    prepared: torch.nn.Module
    """The objective as accelerate runs it."""
    optimizer: torch.optim.Optimizer
    items: ImageDataset
    batches: EpochSampler
    loader: DataLoader[ImageBatch]
    accelerator: Accelerator
    judge: ModelEvaluator
    journal: MetricsLog
    progress: Progress


def set_up(config: TrainConfig, folder: Path, progress: Progress) -> RunComponents:
    """Build the parts; the folder is claimed as soon as everything that a user may have got wrong has been read.

    Raises:
        ValueError: an unknown framework, protocol or backbone, options that do not fit, images that do not, a held-out
            share where the framework trains on the database.
        FileNotFoundError: no data, no weights.
    """
    framework_type = framework_class(config.framework)
    accelerator = accelerator_for(config.precision)
    data = _data(config, folder)
    fit, held_out = _training_images(config, framework_type, data.split)
    set_seed(derived_seed(config.seed, MODEL_SEED))
    model = build_model(config.model)
    options = config.options if config.options is not None else framework_type.Options()
    framework = framework_type(config.model.bits, len(data.source.classes), len(fit), options, seed=config.seed)
    items = ImageDataset(data.source, fit, model.preprocessing, augment=config.augment, seed=config.seed)
    framework.set_train_labels(items.labels)
    objective = TrainModule(model, framework)
    if accelerator.is_main_process:
        files.claim(folder, config, data.split)
    accelerator.wait_for_everyone()
    batches = EpochSampler(
        len(fit),
        config.batch_size,
        seed=config.seed,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        visited=framework.sample_positions,
    )
    cache_training_images(items, config, accelerator.device, progress)
    if config.compile:
        model.backbone.compile()
    prepared, optimizer = accelerator.prepare(objective, build_optimizer(objective, config.optimizer))
    return RunComponents(
        config=config,
        data=data,
        fit=fit,
        held_out=held_out,
        model=model,
        framework=framework,
        objective=objective,
        prepared=prepared,
        optimizer=optimizer,
        items=items,
        batches=batches,
        loader=build_loader(items, batches, device=accelerator.device, workers=config.workers),
        accelerator=accelerator,
        judge=ModelEvaluator(model, data, accelerator, progress, config.precision),
        journal=MetricsLog(folder / files.METRICS if accelerator.is_main_process else None),
        progress=progress,
    )


def _training_images(
    config: TrainConfig, framework: type[Framework], split: Split
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions to train on and positions held out."""
    if framework.trains_on == "train":
        return divide(split.train, config.validation, seed=config.seed)
    if config.validation:
        raise ValueError(
            f"validation: expected 0 with {config.framework}, which learns the code of every database image, "
            f"got {config.validation}"
        )
    return divide(split.database, 0.0, seed=config.seed)


def divide(train: NDArray[np.int64], share: float, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Training positions to train on, and those held out; both keep their order.

    None are held out if the share makes fewer than LEAST_HELD_OUT.

    Raises:
        ValueError: a share that leaves none to train on.
    """
    held = round(share * len(train))
    if held == len(train):
        raise ValueError(f"validation: expected a share that leaves images to train on, got {share} of {len(train)}")
    if held < LEAST_HELD_OUT:
        held = 0
    order = np.random.Generator(np.random.PCG64(derived_seed(seed, HOLD_OUT_SEED))).permutation(len(train))
    return train[np.sort(order[held:])], train[np.sort(order[:held])]


def _data(config: TrainConfig, folder: Path) -> RetrievalData:
    """The data with the split of the run if it was begun already, else with a newly drawn one."""
    file = folder / files.SPLIT
    split = load_split(file) if file.exists() else None
    return open_dataset(config.protocol, Path(config.data) if config.data else None, seed=config.seed, split=split)
