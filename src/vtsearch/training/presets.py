"""Complete configurations by name: `modern` is recommended, `paper` repeats the published code.

`transhash` reconstructs a method without published code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vtsearch.data import PROTOCOLS
from vtsearch.frameworks import FRAMEWORKS, framework_class, own
from vtsearch.models import ModelConfig
from vtsearch.training.config import DEFAULTS, OptimizerConfig, ScheduleConfig, TrainConfig, config_of, flat
from vtsearch.training.effects import without_idle_values

if TYPE_CHECKING:
    from collections.abc import Callable


SMALL_BACKBONE = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"
"""The backbone that `modern` begins with."""

THUMBNAILS = frozenset({"cifar10", "digits"})
"""Data sets of small square images, which the published code only enlarges; it crops and mirrors photographs."""

KNOWN_MULTI_LABEL = frozenset({"nuswide21@5000", "mscoco@5000"})
"""Multi-label protocols of the published code, by name; in others it uses the first label."""

ASYMMETRIC_SAMPLE = {"cifar10": 5000, "nuswide": 2100}
"""Images of a sample, by data set, in the code of He and Wei."""

COLLAPSING = ("dbdh", "dfh", "dhn", "dpsh", "dsdh", "idhn")
"""Frameworks that tend to give all images one code unless similar and dissimilar pairs weigh the same and each feature
is normalized over the batch."""

NORMALIZED = (*COLLAPSING, "dpn", "dsh", "hashnet")
"""Frameworks whose features are normalized over the batch; nothing else keeps those of HashNet from saturating tanh,
and those of DSH at a scale at which the backbone learns."""

MODERN_OPTIONS: dict[str, dict[str, Any]] = {
    "dpn": {"shrinkage": 0.5},  # the least hinge and u^2 / 2 together are at the expected target, not at its sign
    "dsh": {"margin": 1.5},  # mAP 0.804 (0.776 to 0.825), and 0.797 with the paper's 2, 0.777 with 2.5
    "hashnet": {"alpha": "10/bits", "continuation": 2},  # in twenty epochs, the paper's 20 never take a step
    "idhn": {"scale": 0.5},
}
"""Options beside the batch norm that differ from a framework's defaults."""


THRESHOLDS = {"csq": 0.75, "dpn": 1.0, "dsh": 0.75, "greedyhash": 0.5, "hashnet": 0.5, "idhn": 0.75}
"""Frameworks whose codes gain by a threshold for each bit: docs/recipe.md has the measurements."""


def modern(framework: str, protocol: str) -> TrainConfig:
    """AdamW, one cycle, layer decay, bf16, crops and flips, stochastic depth, averaged weights, the class token.

    Digits stay as they are: a mirrored one is not that digit, nor is a part of one.

    All training images are trained on, and the last epoch counts. docs/recipe.md has the measurements.
    """
    kind = framework_class(framework)
    if not kind.is_supervised:
        return _without_labels(framework)
    options, model = kind.Options(), ModelConfig(backbone=SMALL_BACKBONE, bits=64, drop_path=0.1)
    if framework in COLLAPSING:
        # 600 photographs with several labels, IDHN: mAP 0.634, and 0.377 without the norm
        options = replace(options, weights="balanced")
    if framework in NORMALIZED:
        # cifar10@54000, 64 bits, 96 pixels: HashNet 0.755, and 0.677 without the norm; DSH 0.795 and 0.517
        model = replace(model, head_norm="batch")
    # the same with its options: HashNet 0.784, and IDHN 0.776, which has 0.648 with 5 / bits and no norm
    options = replace(options, **MODERN_OPTIONS.get(framework, {}))
    return TrainConfig(
        framework=framework,
        options=options,
        model=model,
        augment="none" if protocol == "digits" else "flip+resized_crop",
        # cifar10@54000, 8 epochs: mAP 0.745, and 0.679 with 2e-4 for all layers
        optimizer=OptimizerConfig(name="adamw", lr=5e-4, layer_decay=0.75),
        schedule=ScheduleConfig(name="one_cycle", warmup=0.2),
        epochs=20,
        ema=0.99,
        thresholds=THRESHOLDS.get(framework, 0.0),
    )


def _without_labels(framework: str) -> TrainConfig:
    """`modern` for an unsupervised framework: the head learns fast, the backbone little, no labels choose an epoch."""
    kind = framework_class(framework)
    return TrainConfig(
        framework=framework,
        options=kind.Options(),
        model=ModelConfig(backbone=SMALL_BACKBONE, bits=64, head="cls", head_norm="batch"),
        augment="flip+crop" if kind.views == 1 else "flip+resized_crop",  # views have to differ
        # 600 photographs, 6 epochs: mAP 0.464, and 0.443 with 1e-5 and a factor of 100; 0.425 untrained
        optimizer=OptimizerConfig(name="adamw", lr=1e-4, head_factor=50, layer_decay=0.75),
        schedule=ScheduleConfig(name="one_cycle", warmup=0.2),
        epochs=10,
    )


def paper(framework: str, protocol: str) -> TrainConfig:
    """The configuration of the authors' code, each of its flaws a field here.

    Source: Dubey et al., Vision Transformer Hashing for Image Retrieval, ICME 2022, and its public code; for
    frameworks that another publication brought to Vision Transformers, that one: ``PAPERS``.

    Raises:
        ValueError: a framework of the user's own, which has no published code, or an unsupervised one, which no
            publication brought to Vision Transformers.
    """
    kind = framework_class(framework)  # an unknown name or a broken file has a message of its own
    if framework not in FRAMEWORKS:
        raise ValueError(
            f"preset: expected 'modern' with {own.short_name(framework)}: 'paper' repeats published code, and a "
            "framework of your own has none"
        )
    if not kind.is_supervised:
        raise ValueError(
            f"preset: expected 'modern' with {framework}: 'paper' repeats code for Vision Transformers, and the code "
            "published with this framework is for another network"
        )
    if framework in PAPERS:
        return PAPERS[framework](protocol)
    return TrainConfig(
        framework=framework,
        options=_published_options(framework, protocol),
        model=ModelConfig(
            backbone="vit_base_patch16_224.orig_in21k",
            bits=64,
            head="published",
            head_init="published",  # drawn by fan-out, so that tanh starts saturated
            backbone_dropout=0.1,
            preprocessing="published",  # ImageNet's, although these weights were trained with mean = deviation = 0.5
        ),
        augment="none" if _dataset(protocol) in THUMBNAILS else "flip+crop",
        optimizer=OptimizerConfig(name="adam", lr=1e-5, weight_decay=0.0, clip=0.0),
        schedule=ScheduleConfig(name="constant"),
        epochs=150,
        batch_size=32,
        precision="fp32",
        evaluate_every=30,
        validation=0.0,  # the best epoch is chosen on the test queries
    )


def transhash(framework: str, protocol: str) -> TrainConfig:
    """A reconstruction of TransHash: its two streams and DCH's likelihood of pairs, with all else as in `modern`.

    Source: Chen et al., TransHash, ICMR 2022, https://arxiv.org/abs/2105.01823, of which the abstract alone is certain.

    Raises:
        ValueError: another framework than DCH.
    """
    if framework != "dch":
        raise ValueError(f"preset: expected the framework dch with 'transhash', got {own.short_name(framework)}")
    config = modern(framework, protocol)
    return replace(config, model=replace(config.model, head="dual"))


def asymmetric_paper(protocol: str) -> TrainConfig:
    """The configuration of the authors' code.

    Source: He and Wei, Image retrieval combining Transformer and asymmetric learning strategy, Journal of Image and
    Graphics 2023, and its public code.
    """
    options = framework_class("adsh").Options.published()
    return TrainConfig(
        framework="adsh",
        options=replace(options, sample=ASYMMETRIC_SAMPLE.get(_dataset(protocol), options.sample)),
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


PAPERS: dict[str, Callable[[str], TrainConfig]] = {"adsh": asymmetric_paper}
PRESETS: dict[str, Callable[[str, str], TrainConfig]] = {
    "modern": modern,
    "paper": paper,
    "transhash": transhash,
}


def preset(name: str, framework: str, protocol: str) -> TrainConfig:
    """The complete configuration of a preset for a framework on a protocol, or on a folder of your own images.

    Raises:
        ValueError: an unknown preset or framework, with the choices; `paper` with a framework of the user's own,
            `transhash` with another than DCH.
    """
    if name not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {name!r}")
    return replace(PRESETS[name](framework, protocol), protocol=protocol)


def completed(tree: dict[str, Any], supplied: TrainConfig) -> TrainConfig:
    """The configuration of a tree that began as another one, of which what would do nothing now gives way.

    Args:
        tree: as `flat` gives it, with some values changed.
        supplied: what it began as, such as a preset.

    Raises:
        ValueError: a value that no run can have, or that was asked for and would do nothing.
        TypeError: a value of another kind than the field's.
    """
    return config_of(without_idle_values(tree, flat(supplied), DEFAULTS))


def _dataset(protocol: str) -> str:
    """The data set behind a protocol; a folder of one's own stands for itself."""
    return PROTOCOLS[protocol].source if protocol in PROTOCOLS else protocol


def _published_options(framework: str, protocol: str) -> Any:
    """The options of Dubey et al.'s code on a protocol."""
    options = framework_class(framework).Options.published()
    if framework in ("csq", "dpn") and protocol not in KNOWN_MULTI_LABEL:
        return replace(options, multi_label="first")  # of single labels the only one
    return options
