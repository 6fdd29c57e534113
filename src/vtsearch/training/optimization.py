"""Tables of optimizers and learning rate schedules by name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from vtsearch.training.config import OptimizerConfig, ScheduleConfig
    from vtsearch.training.train_module import TrainModule

Group = dict[str, Any]

OPTIMIZERS: dict[str, Callable[[list[Group], float], torch.optim.Optimizer]] = {
    "adamw": lambda groups, _: torch.optim.AdamW(groups, fused=True),
    "adam": lambda groups, _: torch.optim.Adam(groups, fused=True),
    "sgd": lambda groups, momentum: torch.optim.SGD(groups, momentum=momentum, nesterov=momentum > 0),
}
"""Name -> constructor from parameter groups and momentum (unused by adam and adamw)."""


def build_optimizer(train_module: TrainModule, config: OptimizerConfig) -> torch.optim.Optimizer:
    """An optimizer over the model's and the framework's parameters; each group stores its highest rate as `peak_lr`."""
    model = train_module.model
    groups: list[Group] = param_groups_layer_decay(
        model.backbone,
        weight_decay=config.weight_decay,
        no_weight_decay_list=_undecayed(model.backbone),
        layer_decay=config.layer_decay,
    )
    in_backbone = {id(parameter) for parameter in model.backbone.parameters()}
    rest = [parameter for parameter in train_module.parameters() if id(parameter) not in in_backbone]
    groups += [
        {"params": parameters, "weight_decay": decay, "lr_scale": config.head_factor}
        for parameters, decay in (
            ([p for p in rest if p.ndim > 1], config.weight_decay),
            ([p for p in rest if p.ndim <= 1], 0.0),
        )
    ]
    chosen: list[Group] = []
    for group in groups:
        peak = config.lr * group.get("lr_scale", 1.0)
        parameters = [p for p in group["params"] if p.requires_grad]
        if parameters:
            chosen.append({"params": parameters, "weight_decay": group["weight_decay"], "lr": peak, "peak_lr": peak})
    return OPTIMIZERS[config.name](chosen, config.momentum)


def set_learning_rate(optimizer: torch.optim.Optimizer, schedule: ScheduleConfig, share: float) -> float:
    """Set the learning rate at a share of the run, from 0 to below 1; returns the factor of the peak rate.

    The curve is a function of the share alone, so checkpoints need no scheduler state.
    """
    factor = SCHEDULES[schedule.name](share, schedule.warmup)
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
    return factor


def one_cycle(share: float, warmup: float) -> float:
    """Half a cosine from 1/25 up to 1, then half a cosine down to 1e-5.

    Source: Smith and Topin, Super-convergence, 2018, with the curve of torch's OneCycleLR.
    """
    if share < warmup:
        return _half_cosine(1 / 25, 1.0, share / warmup)
    return _half_cosine(1.0, 1e-5, (share - warmup) / (1 - warmup))


def cosine(share: float, warmup: float) -> float:
    """A straight line from 0 up to 1, then half a cosine down to 0."""
    return share / warmup if share < warmup else _half_cosine(1.0, 0.0, (share - warmup) / (1 - warmup))


def constant(share: float, warmup: float) -> float:  # noqa: ARG001 (the table's signature)
    """Always 1."""
    return 1.0


SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "one_cycle": one_cycle,
    "cosine": cosine,
    "constant": constant,
}


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _undecayed(backbone: nn.Module) -> tuple[str, ...]:
    """Names of parameters without weight decay (class token, position embedding)."""
    names = getattr(backbone, "no_weight_decay", None)
    return tuple(names()) if callable(names) else ()
