"""The base class of training objectives, validation of their options, and labels of single-label losses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass(frozen=True)
class NoOptions:
    """Options of a framework that has none."""


class Framework(nn.Module, ABC):
    """A training objective: features, labels and positions in, a scalar loss out.

    All of its state (centers, bank, scale) is in buffers and parameters, so that ``.to()``, ``state_dict`` and
    an exact resume come from torch. The loss is computed in float32 (or float64, if the features are), outside any
    autocast: half-precision features would lose small differences of large sums.

    A subclass implements ``loss``; if it has options, it names their dataclass as ``Options``, with a default for each.
    The defaults are the form we consider correct; in the frameworks of vtsearch the classmethod ``published()`` returns
    the options of the published code, flaws included.

    Args:
        bits: length of the codes.
        classes: number of classes (label columns).
        train_size: number of training images; positions are 0 to ``train_size - 1``.
        options: an instance of the class's ``Options``; None means their defaults.
        seed: of the random numbers drawn at construction.

    Raises:
        TypeError: options of another framework.
        ValueError: bits, classes or train_size below 1.
    """

    Options: ClassVar[type[Any]] = NoOptions
    trains_on: ClassVar[Literal["train", "database"]] = "train"
    """The images to train on: the split's training images, or the whole database, in its order."""
    learns_codes: ClassVar[bool] = False
    """Whether it learns a code of each image from the image's features, which every epoch then has to bring."""
    is_supervised: ClassVar[bool] = True
    """Whether the loss depends on labels."""
    views: ClassVar[int] = 1
    """Views of each image in a batch, each with a random augmentation of its own: the features of all first views, then
    those of all second ones, and so on, with labels and positions repeated."""
    compares_inputs: ClassVar[bool] = False
    """Whether ``loss`` takes one more argument, ``inputs``, the features of the backbone that the codes are made of:
    float (b, width), without gradient."""

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__()
        options = self.Options() if options is None else options
        if not isinstance(options, self.Options):
            raise TypeError(f"options: expected {self.Options.__name__}, got {type(options).__name__}")
        for name, value in (("bits", bits), ("classes", classes), ("train_size", train_size)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.bits = bits
        self.classes = classes
        self.train_size = train_size
        self.options = options
        self.seed = seed

    def forward(self, features: Tensor, labels: Tensor, positions: Tensor, inputs: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            features: (b, bits), before any activation; b counts views.
            labels: int64 (b,) class numbers, or 0/1 (b, classes) of any dtype.
            positions: int64 (b,), rows in the training set.
            inputs: (b, width), the backbone's features; only if the class compares them, which then needs them.

        Raises:
            ValueError: shapes that do not fit, inputs that are missing, or (on the CPU) a class number outside 0 to
                ``classes - 1``.
            TypeError: ``loss`` returns something else than a scalar tensor.
        """
        if features.ndim != 2 or features.shape[1] != self.bits:
            raise ValueError(f"features: expected shape (b, {self.bits}), got {tuple(features.shape)}")
        if len(features) % self.kind.views:
            raise ValueError(f"features: expected {self.kind.views} views of each image, got {len(features)} rows")
        if positions.shape != features.shape[:1]:
            raise ValueError(f"positions: expected shape ({len(features)},), got {tuple(positions.shape)}")
        with torch.autocast(features.device.type, enabled=False):
            features = features if features.dtype == torch.float64 else features.float()
            more = {"inputs": self._inputs(inputs, features)} if self.kind.compares_inputs else {}
            loss: Any = self.loss(features, self._columns(labels, features), positions, **more)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
            raise TypeError(f"{type(self).__name__}.loss: expected a scalar tensor, got {got}")
        return loss

    @abstractmethod
    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The loss of checked input: labels are 0/1 (b, classes) of the features' dtype."""

    def set_train_labels(self, labels: Tensor) -> None:
        """Hook once before training, with the labels of all training images; does nothing by default."""

    @property
    def kind(self) -> type[Framework]:
        """The framework's class; of nested codes that of every length."""
        return type(self)

    @property
    def is_pointwise(self) -> bool:
        """Whether the loss is a mean over images that are neither compared with each other nor remembered.

        Then an image may be the mix of two.
        """
        return False

    def share_bits(self, shorter: Sequence[Framework]) -> None:
        """Hook once for nested codes: give the frameworks of the first bits what belongs to single bits of this one.

        Nothing does by default; where a class has a code, its first bits must be the class's code for them.
        """

    def sample_positions(self, epoch: int) -> Tensor | None:  # noqa: ARG002 (for frameworks that sample)
        """Rows of the training set in an epoch, int64 (n,), a function of the seed; None for all rows."""
        return None

    def start_epoch(self, epoch: int) -> None:
        """Hook before each epoch, counted from 0, for schedules; does nothing by default."""

    def end_epoch(self, epoch: int) -> None:
        """Hook after the last batch of each epoch, before any evaluation, called by all processes."""

    def database_codes(self) -> Tensor | None:
        """Learned codes (train_size, bits) of the training images; only the sign matters; None if it learns none.

        Only if the framework trains on the database; they replace the model's codes of the database.
        """
        return None

    def _inputs(self, inputs: Tensor | None, like: Tensor) -> Tensor:
        """The backbone's features (b, width) without gradient, for the b rows of `like` and of its dtype."""
        if inputs is None or inputs.ndim != 2 or len(inputs) != len(like):
            got = None if inputs is None else tuple(inputs.shape)
            raise ValueError(f"inputs: expected shape ({len(like)}, width), got {got}")
        return inputs.detach().to(like.dtype)

    def _columns(self, labels: Tensor, like: Tensor) -> Tensor:
        """Labels as 0/1 columns (b, classes), for the b rows of `like` and of its dtype."""
        if labels.ndim == 1:
            # A check on the device would force a synchronization; the data set has checked the labels already.
            on_host = labels.device.type == "cpu"
            if on_host and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                raise ValueError(f"labels: expected 0 to {self.classes - 1}, got {labels.min()} to {labels.max()}")
            labels = nn.functional.one_hot(labels, self.classes)
        if labels.shape != (len(like), self.classes):
            raise ValueError(
                f"labels: expected shape ({len(like)},) or ({len(like)}, {self.classes}), got {tuple(labels.shape)}"
            )
        return labels.to(like.dtype)


def first_label(labels: Tensor) -> Tensor:
    """The first label of each item alone, (b, classes) -> the same shape; class 0 for an item without labels.

    Published code applies ``argmax`` to multi-label rows; kept to reproduce its numbers.
    """
    return nn.functional.one_hot(labels.argmax(dim=1), labels.shape[1]).to(labels.dtype)


def label_shares(labels: Tensor) -> Tensor:
    """Each item's labels with equal shares of 1: (b, classes) of 0 and 1 -> the same shape; no labels, no shares."""
    return labels / labels.sum(dim=1, keepdim=True).clamp(min=1)


def check_options(
    options: Any,
    above_zero: tuple[str, ...] = (),
    at_least_one: tuple[str, ...] = (),
    below_one: tuple[str, ...] = (),
) -> None:
    """Refuse negative numbers, NaN, infinity, fractions of whole numbers and choices that a field's type does not list.

    Args:
        options: a dataclass whose fields are numbers, true or false, a ``Literal`` of strings, or a number or such a
            string; a number beside a string must be above 0.
        above_zero: names of the other fields that must be above 0.
        at_least_one: names of the fields that must be 1 or more.
        below_one: names of the other fields that must be below 1.

    Raises:
        ValueError: names the first field with another value.
    """
    for name, kind in get_type_hints(type(options)).items():
        value, choices = getattr(options, name), _choices(kind)
        if isinstance(value, str) and value in choices:
            continue
        if get_origin(kind) is Literal:
            raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        if kind is bool:
            if not isinstance(value, bool):
                raise ValueError(f"{name}: expected true or false, got {value!r}")
        elif not _is_allowed(value, kind, positive := bool(choices) or name in above_zero, name in at_least_one):
            least = "at least 1" if name in at_least_one else "a number above 0" if positive else "at least 0"
            whole = "a whole number, " if kind is int and isinstance(value, float) else ""
            alternatives = "".join(f" or {choice!r}" for choice in choices)
            raise ValueError(f"{name}: expected {whole}{least}{alternatives}, got {value!r}")
        elif name in below_one and value >= 1:
            raise ValueError(f"{name}: expected a number below 1, got {value!r}")


def _is_allowed(value: Any, kind: Any, positive: bool, from_one: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return math.isfinite(value) and (value > 0 if positive else value >= int(from_one))


class RunFacts(NamedTuple):
    """What decides, beside the options, whether an option has an effect."""

    epochs: int
    single_labels: bool
    """Whether each image has one class, rather than a row of labels."""


def ignored_options(options: Any, facts: RunFacts) -> dict[str, str]:
    """Options without effect in a run -> the reason, such as "pairs is 'batch'".

    Options at their default or at their published value are left out: nobody asked for them.
    """
    usual = [type(options)(), *([type(options).published()] if hasattr(options, "published") else [])]
    found: dict[str, str] = options.without_effect(facts) if hasattr(options, "without_effect") else {}
    return {
        name: reason
        for name, reason in found.items()
        if getattr(options, name) not in [getattr(each, name) for each in usual]
    }


def _choices(kind: Any) -> tuple[str, ...]:
    """The strings of a Literal, or of the Literal in a union."""
    literals = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
    return tuple(choice for part in literals for choice in get_args(part))
