"""A model that begins with the weights of a trained one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError, first_line
from vtsearch.models.weights import adapted

if TYPE_CHECKING:
    from vtsearch.models.hash_model import HashModel

HEAD_FIELDS = ("bits", "head", "head_norm")
"""Fields of a configuration in which two models with one head agree, beside the shapes of its weights."""


def take_weights(model: HashModel, trained: HashModel) -> str:
    """Fill a model with the weights of a trained one: its backbone, and its head if both heads are of one kind.

    Position embeddings are resampled to the model's image size.

    Args:
        model: of the same backbone; its head stays as it is where the other does not fit.
        trained: another model.

    Returns:
        Why the head was not taken: "bits is 32, not 64"; empty if it was.

    Raises:
        VtsearchError: another backbone, or other preprocessing than at another image size.
    """
    size = model.preprocessing.image_size
    if replace(trained.preprocessing, image_size=size) != model.preprocessing:
        raise VtsearchError(
            f"preprocessing: expected that of the trained model, {trained.preprocessing}, got {model.preprocessing}"
        )
    state = trained.backbone.state_dict()
    if trained.preprocessing.image_size != size:
        state = adapted(state, model.backbone)
    try:
        model.backbone.load_state_dict(state)
    except RuntimeError as reason:
        raise VtsearchError(
            f"backbone: expected weights of {model.config.backbone}, got those of {trained.config.backbone} "
            f"({first_line(reason)})"
        ) from reason
    if not (difference := head_difference(model, trained)):
        model.head.load_state_dict(trained.head.state_dict())
    return difference


def head_difference(model: HashModel, trained: HashModel) -> str:
    """In what the head of a model differs from that of a trained one, or "" if their weights are of one kind."""
    for name in HEAD_FIELDS:
        here, there = getattr(model.config, name), getattr(trained.config, name)
        if here != there:
            return f"{name} is {here}, not {there}"
    shapes = [{name: tuple(t.shape) for name, t in each.head.state_dict().items()} for each in (model, trained)]
    for name, shape in shapes[0].items():
        if shapes[1].get(name) != shape:
            return f"{name} has the shape {shape}, not {shapes[1].get(name)}"
    return ""
