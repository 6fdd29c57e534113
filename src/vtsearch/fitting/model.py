"""A model whose head is fitted: a frozen backbone's features of the training images, and the map found from them."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vtsearch.encoding.encoder import Encoder
from vtsearch.encoding.evaluation import Sides, evaluate_codes
from vtsearch.encoding.progress import counting
from vtsearch.fitting.affine import ITERATIONS, check_options, fit_affine
from vtsearch.models import ModelConfig, build_model, save_model
from vtsearch.models.backbones import on_meta_device
from vtsearch.models.fitted import Fitted
from vtsearch.models.folder import check_replaceable
from vtsearch.models.hash_model import linear_head
from vtsearch.models.heads import ClassTokenAndPatchesHead, ClassTokenHead, PooledHead
from vtsearch.tensors.devices import usable_device

if TYPE_CHECKING:
    from os import PathLike
    from typing import TextIO

    from torch import Tensor

    from vtsearch.data import RetrievalData
    from vtsearch.encoding.encoder import Images, Positions, Progress
    from vtsearch.encoding.precision import Precision
    from vtsearch.evaluation import Evaluation
    from vtsearch.fitting.affine import Method
    from vtsearch.models import HashModel


HEADS = ("auto", "cls", "cls+patches", "pooled")
"""Heads of one linear layer, which can be fitted."""
LinearHead = ClassTokenHead | ClassTokenAndPatchesHead | PooledHead


@dataclass(frozen=True)
class FitResult:
    """A fitted model, what it took, and how good its codes are."""

    model: HashModel
    """As it was written."""
    images: int
    """To whose features it was fitted."""
    feature_seconds: float
    """Reading these images, and the backbone."""
    fit_seconds: float
    """Fitting the head to the features."""
    evaluation: Evaluation | None
    """Scores on the protocol, if they were asked for."""


def fit(
    method: Method,
    data: RetrievalData,
    folder: str | PathLike[str],
    *,
    model: ModelConfig,
    seed: int = 0,
    iterations: int | None = None,
    evaluate: bool = True,
    overwrite: bool = False,
    device: str | None = None,
    precision: Precision = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    progress: TextIO | None = None,
) -> FitResult:
    """Fit the head of a model to the training images of a protocol, without their labels, and write the model.

    Args:
        method: "pca", "itq", "rotation" or "lsh", as of ``vtsearch.fitting.fit_affine``.
        data: from ``open_dataset`` and its like.
        folder: of the new model.
        model: backbone, bits and head: one of ``HEADS``.
        seed: of random directions, rotations and weights.
        iterations: of "itq", 50 by default.
        evaluate: encode the protocol's query and database too, and score their codes.
        overwrite: replace a model in the folder.
        device: as of ``Encoder``, like the three that follow.
        precision: also of the features that the head is fitted to.
        batch_size: images loaded at a time.
        workers: loading processes.
        progress: stream for a bar, if that is a terminal.

    Raises:
        ValueError: the errors of ``fit_head``, ``build_model`` and ``Encoder``, most of them before an image is read;
            a head of another kind; a folder of something else than a model.
        FileExistsError: a model in the folder, without `overwrite`.
    """
    path = Path(folder)
    check_options(method, None, model.bits, seed=seed, iterations=iterations)
    _check_folder(path, overwrite=overwrite)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # of a backbone without weights
        built = build_model(_fittable(model)).eval()
    encoder = Encoder(built, device=usable_device(device), precision=precision, batch_size=batch_size, workers=workers)
    train = data.split.train
    with counting("encoding train", len(train), progress) as count:
        seconds = fit_head(encoder, method, data.source, train, seed=seed, iterations=iterations, progress=count)
    assert built.fitted is not None
    built.fitted = replace(built.fitted, protocol=data.protocol.name, split=data.fingerprint)
    save_model(built, path)
    return FitResult(built, len(train), *seconds, _evaluate(encoder, data, progress) if evaluate else None)


def fit_head(
    encoder: Encoder,
    method: Method,
    images: Images,
    positions: Positions | None = None,
    *,
    seed: int = 0,
    iterations: int | None = None,
    progress: Progress | None = None,
) -> tuple[float, float]:
    """Replace weight and bias of a model's linear head by those fitted to the features of images.

    Args:
        encoder: of a model with the head "cls", "cls+patches" or "pooled" and no norm.
        method: as of ``vtsearch.fitting.fit_affine``, like ``seed`` and ``iterations``.
        images: as of ``Encoder.encode``, like ``positions`` and ``progress``.
        positions: which of them.
        seed: of random directions and rotations.
        iterations: of "itq".
        progress: called with the number of images in each batch.

    Returns:
        Seconds that the features took, and the fit.

    Raises:
        ValueError: another head; otherwise as ``fit_affine``.
    """
    model, head = encoder.model, _linear_head(encoder.model)
    width = head.outer.in_features
    check_options(method, width, model.bits, seed=seed, iterations=iterations)

    def pooled(batch: Tensor) -> Tensor:
        return head.pool(model.backbone_outputs(batch))

    began = time.monotonic()
    features = encoder.outputs(pooled, width, images, positions, progress=progress)
    encoded = time.monotonic()
    found = fit_affine(method, features, model.bits, seed=seed, iterations=iterations)
    with torch.no_grad():
        head.outer.weight.copy_(torch.from_numpy(found.weight))
        head.outer.bias.copy_(torch.from_numpy(found.bias))
    steps = ITERATIONS if iterations is None and method == "itq" else iterations
    model.fitted = Fitted(method, seed, len(features), encoder.arithmetic, steps)
    return encoded - began, time.monotonic() - encoded


def _linear_head(model: HashModel) -> LinearHead:
    head = model.head
    if isinstance(head, LinearHead):
        return head
    raise ValueError(f"head: expected 'cls', 'cls+patches' or 'pooled' without a norm, got {model.config.head!r}")


def _fittable(config: ModelConfig) -> ModelConfig:
    """The configuration with a head that can be fitted.

    Raises:
        ValueError: another head, or a norm.
    """
    if config.head_norm != "none":
        raise ValueError(f"head_norm: expected none for a fitted head, got {config.head_norm}")
    if config.head not in HEADS:
        raise ValueError(f"head: expected one of {', '.join(HEADS)} for a fitted head, got {config.head}")
    if config.head == "auto":  # which for random weights is a head of two layers
        return replace(config, head=linear_head(on_meta_device(config.backbone)))
    return config


def _check_folder(folder: Path, *, overwrite: bool) -> None:
    check_replaceable(folder)
    if folder.exists() and any(folder.iterdir()) and not overwrite:
        raise FileExistsError(f"output: {folder} is a model; choose another --output, or --overwrite it")


def _evaluate(encoder: Encoder, data: RetrievalData, progress: TextIO | None) -> Evaluation:
    """Scores on the protocol's query and database."""
    codes = []
    for label, positions in (("query", data.split.query), ("database", data.split.database)):
        with counting(f"encoding {label}", len(positions), progress) as count:
            codes.append(encoder.encode(data.source, positions, progress=count))
    return evaluate_codes(Sides(codes[0], codes[1], encoder.bits), data)
