"""Components of a run, built from its configuration: data, model, framework, sampler, optimizer, loader, logs."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate.utils import DistributedType, set_seed

from vtsearch.data import load_split, open_dataset
from vtsearch.data.given import is_given
from vtsearch.data.loading.loader import build_loader
from vtsearch.data.loading.torch_dataset import ImageDataset
from vtsearch.frameworks import framework_class, own
from vtsearch.frameworks.nested import Nested
from vtsearch.models import build_model
from vtsearch.models.freezing import freeze, recompute_activations
from vtsearch.reports.saved_run import dotted
from vtsearch.tensors.distributed import synchronize
from vtsearch.training import run_folder as files
from vtsearch.training.averaging import WeightAverage
from vtsearch.training.config import flat
from vtsearch.training.coordination import by_main, first_on_each_node, require_same, together
from vtsearch.training.devices import accelerator_for
from vtsearch.training.evaluator import ModelEvaluator
from vtsearch.training.image_cache import cache_training_images
from vtsearch.training.image_identity import Identity, image_identity
from vtsearch.training.metrics_log import MetricsLog
from vtsearch.training.optimization import build_optimizer
from vtsearch.training.sampler import HOLD_OUT_SEED, MODEL_SEED, EpochSampler, derived_seed, rows_of_classes
from vtsearch.training.start import start
from vtsearch.training.trackers import Trackers
from vtsearch.training.train_module import Classifier, TrainModule

if TYPE_CHECKING:
    from accelerate import Accelerator
    from numpy.typing import NDArray
    from torch.utils.data import DataLoader

    from vtsearch.data import RetrievalData, Split
    from vtsearch.data.given import GivenImages
    from vtsearch.data.loading.torch_dataset import ImageBatch
    from vtsearch.frameworks.base import Framework
    from vtsearch.models import HashModel
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.progress import Progress


TRIED = 8
"""Images of the batch on which a framework of the user's own is tried."""
TRIED_WIDTH = 16
"""Width of its backbone's features."""
LEAST_HELD_OUT = 50
"""Fewest held-out images that select an epoch; the choice of fewer is mostly chance."""


@dataclass(frozen=True)
class RunComponents:
    """Components of a run, in the order in which they are built."""

    config: TrainConfig
    data: RetrievalData
    fit: NDArray[np.int64]
    """Positions of the training images in the source."""
    held_out: NDArray[np.int64]
    """Positions of training images that are held out to select the best epoch."""
    images: Identity
    """Identity of the images, to be compared at a resume; empty in all processes but the main one."""
    model: HashModel
    """The model that is evaluated and saved: the one in `train_module`, or a whole copy of it where that is sharded, or
    the average of its weights."""
    framework: Framework
    train_module: TrainModule
    parallel_module: torch.nn.Module
    """`train_module` wrapped by accelerate for its devices and processes."""
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    """Keeps the average in `model`; None if that has the weights of the last step."""
    train_images: ImageDataset
    sampler: EpochSampler
    loader: DataLoader[ImageBatch]
    accelerator: Accelerator
    evaluator: ModelEvaluator
    metrics_log: MetricsLog
    progress: Progress


def set_up(config: TrainConfig, folder: Path, progress: Progress, given: GivenImages | None = None) -> RunComponents:
    """Build the components; the folder is created only after the user's input has been validated.

    Args:
        config: the complete run.
        folder: of the run.
        progress: for messages.
        given: the images, if the configuration's protocol is one of images that are given in Python.

    Raises:
        ValueError: an unknown framework, protocol or backbone; options or images that do not fit; an arithmetic that
            the device does not have; a held-out share with a framework that trains on the database; no augmentation
            with one that compares views; a file of the user's whose framework cannot be built; averaged weights of
            sharded parameters.
        FileNotFoundError: no data, no weights.
        VtsearchError: another process failed, or opened other data or another framework.
    """
    accelerator = accelerator_for(config.precision)
    is_sharded = accelerator.distributed_type == DistributedType.FSDP
    if is_sharded and config.ema:
        raise ValueError(f"ema: expected 0 where parameters are sharded over processes, got {config.ema}")
    if config.tf32 and accelerator.device.type != "cuda":
        raise ValueError(f"tf32: expected false on a {accelerator.device.type} device, got true")
    split, has_weights = by_main(lambda: (_saved_split(folder), (folder / files.LAST).is_dir()))
    data, train_module, train_images, (fit, held_out) = first_on_each_node(lambda: _build(config, split, given))
    if config.start_from is not None and not has_weights:  # the last checkpoint has them
        progress.note(first_on_each_node(lambda: start(train_module.model, config)))
    require_same(data.fingerprint, f"{config.protocol}: split and labels")
    model, framework = train_module.model, train_module.framework
    source = own.source_of(framework.kind)
    require_same(source, f"framework: {config.framework}: its file")
    if source is not None:
        together(lambda: try_loss(framework, train_images.labels, accelerator.device))
    by_main(lambda: files.claim(folder, config, data.split, source))
    sampler = EpochSampler(
        len(fit),
        config.batch_size,
        seed=config.seed,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
        visited=framework.sample_positions,
        classes=rows_of_classes(train_images.labels) if config.sampling == "balanced" else None,
    )
    together(lambda: cache_training_images(train_images, config, accelerator.device, progress))
    # random weights may differ by rounding between kinds of CPUs
    synchronize(train_module.to(accelerator.device).state_dict().values())
    whole_model = copy.deepcopy(model) if is_sharded or config.ema else model
    if config.compile:
        model.backbone.compile()
    parallel_module, optimizer = _prepare(accelerator, train_module, config)
    return RunComponents(
        config=config,
        data=data,
        fit=fit,
        held_out=held_out,
        images=together(lambda: image_identity(data) if accelerator.is_main_process else {}),
        model=whole_model,
        framework=framework,
        train_module=train_module,
        parallel_module=parallel_module,
        optimizer=optimizer,
        average=WeightAverage(whole_model, config.ema) if config.ema else None,
        train_images=train_images,
        sampler=sampler,
        loader=build_loader(train_images, sampler, device=accelerator.device, workers=config.workers),
        accelerator=accelerator,
        evaluator=ModelEvaluator(whole_model, data, accelerator, progress, config.precision),
        metrics_log=_metrics_log(config, folder, progress) if accelerator.is_main_process else MetricsLog(None),
        progress=progress,
    )


def _build(
    config: TrainConfig, split: Split | None, given: GivenImages | None
) -> tuple[RetrievalData, TrainModule, ImageDataset, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Data, model with framework, training images, and the positions to train on and to hold out."""
    framework_type = framework_class(config.framework)
    data = _data(config, split, given)
    fit, held_out = _training_images(config, framework_type, data.split)
    set_seed(derived_seed(config.seed, MODEL_SEED))
    model = build_model(config.model)
    freeze(model.backbone, config.freeze)
    if config.gradient_checkpointing:
        recompute_activations(model.backbone)
    framework = _framework(config, framework_type, len(data.source.classes), len(fit))
    views = framework.kind.views
    if views > 1 and config.augment == "none":
        name = framework.kind.__name__
        raise ValueError(f"augment: expected a random one with {name}, which compares {views} views, got 'none'")
    train_images = ImageDataset(
        data.source, fit, model.preprocessing, augment=config.augment, seed=config.seed, views=views
    )
    framework.set_train_labels(train_images.labels)
    if config.sampling != "shuffled" and (framework_type.learns_codes or framework.sample_positions(0) is not None):
        raise ValueError(
            f"sampling: expected shuffled with {own.short_name(config.framework)}, which needs each image of its "
            f"epochs once, got {config.sampling}"
        )
    return (
        data,
        TrainModule(model, framework, _classifier(config, len(data.source.classes)), mixup=config.mixup),
        train_images,
        (fit, held_out),
    )


def _framework(config: TrainConfig, kind: type[Framework], classes: int, train_size: int) -> Framework:
    """The framework of the run, at every length if its codes are nested."""
    options = config.options if config.options is not None else kind.Options()
    if not config.prefixes:
        return kind(config.model.bits, classes, train_size, options, seed=config.seed)
    lengths = (*config.prefixes, config.model.bits)
    return Nested(kind, lengths, classes, train_size, options, teaching=config.teaching, seed=config.seed)


def _classifier(config: TrainConfig, classes: int) -> Classifier | None:
    if not config.classification:
        return None
    return Classifier(config.model.bits, classes, weight=config.classification, smoothing=config.smoothing)


def try_loss(framework: Framework, labels: torch.Tensor, device: torch.device) -> None:
    """One small batch through a copy of a framework of the user's own, before the run folder is made.

    Raises:
        Exception: what its methods raise.
        ValueError: a loss without gradient.
    """
    trial = copy.deepcopy(framework).to(device)
    trial.start_epoch(0)
    positions = torch.arange(min(TRIED, len(labels))).repeat(trial.kind.views)
    features = torch.randn(len(positions), trial.bits, device=device).requires_grad_()
    inputs = (torch.randn(len(positions), TRIED_WIDTH, device=device),) if trial.kind.compares_inputs else ()
    loss = trial(features, labels[positions].to(device), positions.to(device), *inputs)
    if not loss.requires_grad:
        raise ValueError(f"{type(framework).__name__}.loss: expected a loss with a gradient, got one without")


def _metrics_log(config: TrainConfig, folder: Path, progress: Progress) -> MetricsLog:
    trackers = Trackers(config.trackers, folder, dotted(flat(config)), progress.note)
    return MetricsLog(folder / files.METRICS, trackers)


def _prepare(
    accelerator: Accelerator, train_module: TrainModule, config: TrainConfig
) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """The module for this process's device and the others, and its optimizer."""
    with warnings.catch_warnings():
        # torch is renaming broadcast_buffers, and accelerate does not know the new name yet
        warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
        parallel_module, optimizer = accelerator.prepare(train_module, build_optimizer(train_module, config.optimizer))
    return parallel_module, optimizer


def _training_images(
    config: TrainConfig, framework: type[Framework], split: Split
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the training images and of the held-out ones."""
    if framework.trains_on == "train":
        fit, held_out = hold_out(split.train, config.validation, seed=config.seed)
        if config.patience and config.validation and not len(held_out):
            raise ValueError(
                f"patience: expected 0 with a validation share of fewer than {LEAST_HELD_OUT} images, which choose no "
                f"epoch, got {config.patience}"
            )
        return fit, held_out
    for name in ("validation", "thresholds"):
        if value := getattr(config, name):
            raise ValueError(
                f"{name}: expected 0 with {config.framework}, which learns the code of every database image, "
                f"got {value}"
            )
    return hold_out(split.database, 0.0, seed=config.seed)


def hold_out(train: NDArray[np.int64], share: float, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the training positions at random into training and held-out ones; both keep their order.

    A share of fewer than LEAST_HELD_OUT images holds none out.

    Raises:
        ValueError: a share that leaves no training image.
    """
    held = round(share * len(train))
    if held == len(train):
        raise ValueError(f"validation: expected a share that leaves images to train on, got {share} of {len(train)}")
    if held < LEAST_HELD_OUT:
        held = 0
    order = np.random.Generator(np.random.PCG64(derived_seed(seed, HOLD_OUT_SEED))).permutation(len(train))
    return train[np.sort(order[held:])], train[np.sort(order[:held])]


def _saved_split(folder: Path) -> Split | None:
    """The split of the run, or None for a new run."""
    file = folder / files.SPLIT
    return load_split(file) if files.is_claimed(folder) and file.exists() else None


def _data(config: TrainConfig, split: Split | None, given: GivenImages | None) -> RetrievalData:
    """The data with the saved split of the run, or with a new one.

    Raises:
        ValueError: images that are given in Python and not here, or for another protocol.
    """
    if given is not None and given.protocol.name != config.protocol:
        raise ValueError(f"protocol: expected {given.protocol.name!r}, the name of the images, got {config.protocol!r}")
    if given is not None:
        return given.divided(config.seed, split)
    if is_given(config.protocol):
        raise ValueError(
            f"protocol: the images of {config.protocol!r} are given in Python: such a run is begun and continued with "
            "vtsearch.train(data=..., output=..., resume=True), not by a command"
        )
    return open_dataset(
        config.protocol,
        Path(config.data) if config.data else None,
        seed=config.seed,
        split=split,
        strip_prefix=config.strip_prefix or "",
    )
