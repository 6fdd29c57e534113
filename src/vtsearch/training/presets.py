"""Complete recipes by name: `modern` is what we recommend, `paper` repeats what the publication's code did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.frameworks import framework_class
from vtsearch.models import ModelConfig
from vtsearch.training.config import OptimizerConfig, ScheduleConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable


def modern(framework: str = "csq") -> TrainConfig:
    """AdamW with one cycle and layer decay, bf16, random crops and flips, pixels as the backbone knows them."""
    return TrainConfig(
        framework=framework,
        options=framework_class(framework).Options(),
        model=ModelConfig(backbone="vit_tiny_patch16_224.augreg_in21k_ft_in1k", bits=64),
        augment="flip+crop",
        # cifar10@54000, 8 epochs: mAP 0.745, and 0.679 with 2e-4 for all layers
        optimizer=OptimizerConfig(name="adamw", lr=5e-4, layer_decay=0.75),
        schedule=ScheduleConfig(name="one_cycle", warmup=0.2),
        epochs=10,
    )


def paper(framework: str = "csq") -> TrainConfig:
    """What the authors' code does, its flaws included, each of them one field here.

    Source: Dubey et al., Vision Transformer Hashing for Image Retrieval, ICME 2022, and its public code; for
    frameworks that another publication brought to Vision Transformers, that one: ``PAPERS``.
    """
    if framework in PAPERS:
        return PAPERS[framework]()
    return TrainConfig(
        framework=framework,
        options=framework_class(framework).Options.published(),
        model=ModelConfig(
            backbone="vit_base_patch16_224.orig_in21k",
            bits=64,
            head_init="published",  # drawn by fan-out, so that tanh starts saturated
            backbone_dropout=0.1,
            preprocessing="published",  # ImageNet's, although these weights were trained with mean = deviation = 0.5
        ),
        augment="none",
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=0.0, clip=0.0),
        schedule=ScheduleConfig(name="constant"),
        epochs=150,
        batch_size=32,
        precision="fp32",
        evaluate_every=30,
        validation=0.0,  # the best epoch is chosen on the test queries
    )


def asymmetric_paper() -> TrainConfig:
    """What the authors' code does on CIFAR-10; on NUS-WIDE its sample is 2,100.

    Source: He and Wei, Image retrieval combining Transformer and asymmetric learning strategy, Journal of Image and
    Graphics 2023, and its public code.
    """
    return TrainConfig(
        framework="adsh",
        options=framework_class("adsh").Options.published(),
        model=ModelConfig(
            backbone="vit_large_patch32_224.orig_in21k",
            bits=48,
            head="cls",
            backbone_dropout=0.1,
            preprocessing="published",
        ),
        augment="flip+resized_crop",
        optimizer=OptimizerConfig(name="sgd", momentum=0.0, lr=1e-3, weight_decay=1e-5, clip=0.0),
        schedule=ScheduleConfig(name="constant"),
        epochs=180,  # 60 samples, three epochs each
        batch_size=64,
    )


PAPERS: dict[str, Callable[[], TrainConfig]] = {"adsh": asymmetric_paper}
PRESETS: dict[str, Callable[[str], TrainConfig]] = {"modern": modern, "paper": paper}


def preset(name: str, framework: str) -> TrainConfig:
    """The complete configuration of a recipe for a framework.

    Raises:
        ValueError: an unknown preset or framework, with the choices.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name](framework)
