"""What a model is made from: its backbone, its head and its preprocessing, by name and number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from vtsearch._ranges import Range, whole
from vtsearch._validate import WIDEST
from vtsearch.models.heads import HeadInit

HeadName = Literal["auto", "published", "tokens", "cls", "cls+patches", "dual", "pooled"]


@dataclass(frozen=True)
class ModelConfig:
    """The configuration of a model."""

    backbone: str = "vit_base_patch16_224.orig_in21k"
    """vts16, vts32, vit_l16, vit_l32, resnet50 or alexnet as published, or a timm model with or without a tag of
    weights."""
    bits: int = 64
    """Length of the features and of the codes, at least 1."""
    head: HeadName = "auto"
    """"tokens" sees all tokens, at one image size; "cls" the class token alone; "cls+patches" the class token and
    the mean of the patch tokens; "dual" the class token for half of the bits and groups of patches for the others, a
    reconstruction of TransHash's head; "pooled" the pooled features of a CNN, or the mean of all tokens but registers;
    "published" is tokens for a Vision Transformer and pooled for anything else; "auto" is the same for one that starts
    from random weights, and after pretraining cls where there is a class token, else pooled."""
    image_size: int | None = None
    """Side of the input in pixels; None is the backbone's own."""
    weights: str | None = None
    """A local file with the backbone's weights (.safetensors, .pth or .npz); used instead of ``pretrained``."""
    pretrained: bool = True
    """Fetch timm's weights for the backbone; False starts from random ones."""
    head_init: HeadInit = "fan_in"
    """How the head starts: "fan_in" near scale 1, "published" as the authors' code, several times larger."""
    head_norm: Literal["none", "batch"] = "none"
    """"batch" ends the head with batch normalization of each feature, and no bias before it, as OrthoHash's authors."""
    dropout: float = 0.5
    """Share of the flattened tokens that training zeroes (head "tokens")."""
    hidden: int = 1024
    """Width of the inner layer (head "tokens")."""
    groups: int = 4
    """Groups of patches, at most as many as there are patches (head "dual")."""
    backbone_dropout: float = 0.0
    """Dropout inside a Vision Transformer; the published training has 0.1."""
    drop_path: float = 0.0
    """Stochastic depth: the share of images for which training leaves out the last block, growing with depth from 0
    (Huang et al., Deep Networks with Stochastic Depth, ECCV 2016)."""
    preprocessing: Literal["backbone", "published"] = "backbone"
    """"backbone" is what its weights were trained with; "published" ImageNet's mean and std, bilinear, for all."""

    def __post_init__(self) -> None:
        """Validate the values.

        Raises:
            ValueError: a value outside its range, NaN included, or none of the choices.
            TypeError: a value of another kind than the field's.
        """
        for name, allowed in RANGES.items():
            if not (name == "image_size" and self.image_size is None):
                allowed.check(name, getattr(self, name))
        texts: tuple[object, object] = self.backbone, self.weights
        if not isinstance(texts[0], str) or not isinstance(texts[1], str | None):
            raise TypeError(f"backbone, weights: expected text, got {self.backbone!r} and {self.weights!r}")
        if not isinstance(self.pretrained, bool):
            raise TypeError(f"pretrained: expected true or false, got {self.pretrained!r}")
        choices = {"head": get_args(HeadName), "head_init": get_args(HeadInit), "head_norm": ("none", "batch")}
        for name, known in (choices | {"preprocessing": ("backbone", "published")}).items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")


RANGES = {
    "bits": whole(1, 8 * WIDEST),
    "hidden": whole(1, 65_536),
    "groups": whole(1, 65_536),
    "image_size": whole(1, 8_192),
    "dropout": Range(most=1, below=True),
    "backbone_dropout": Range(most=1, below=True),
    "drop_path": Range(most=1, below=True),
}
"""Name of each number of a model -> its range: no more bits than the engine compares, no size beyond any real model."""
