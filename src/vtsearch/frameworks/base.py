"""The base class of training objectives: features, labels and positions to a scalar loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Framework(nn.Module, ABC):
    """A training objective: features, labels and positions in, a scalar loss out.

    Everything it remembers (centers, bank, scale) is a buffer or a parameter, so that ``.to()``, ``state_dict`` and
    an exact resume come from torch. The loss is computed in float32 (or float64, if the features are), outside any
    autocast: half-precision features would lose small differences of large sums.

    A subclass names its options dataclass as ``Options`` and implements ``loss``. The defaults of ``Options`` are the
    form we consider correct; its classmethod ``published()`` gives the options that do what the published code
    does, flaws included.

    Args:
        bits: length of the codes.
        classes: number of classes (label columns).
        train_size: number of training images; positions are 0 to ``train_size - 1``.
        options: an instance of the class's ``Options``; None means their defaults.
        seed: of whatever is drawn once, at construction.

    Raises:
        TypeError: options of another framework.
        ValueError: bits, classes or train_size below 1.
    """

    Options: ClassVar[type[Any]]
    trains_on: ClassVar[Literal["train", "database"]] = "train"
    """Whose images are the training images: the split's training images, or the whole database, in its order."""

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

    def forward(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            features: (b, bits), before any activation.
            labels: int64 (b,) class numbers, or 0/1 (b, classes) of any dtype.
            positions: int64 (b,), rows in the training set.

        Raises:
            ValueError: shapes that do not fit, or (on the CPU) a class number outside 0 to ``classes - 1``.
        """
        if features.ndim != 2 or features.shape[1] != self.bits:
            raise ValueError(f"features: expected shape (b, {self.bits}), got {tuple(features.shape)}")
        if positions.shape != features.shape[:1]:
            raise ValueError(f"positions: expected shape ({len(features)},), got {tuple(positions.shape)}")
        with torch.autocast(features.device.type, enabled=False):
            features = features if features.dtype == torch.float64 else features.float()
            return self.loss(features, self._columns(labels, features), positions)

    @abstractmethod
    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The loss of checked input: labels are 0/1 (b, classes) of the features' dtype."""

    def set_train_labels(self, labels: Tensor) -> None:
        """Called once, before training, with the labels of all training images. Most frameworks see them by batch."""

    def sample_positions(self, epoch: int) -> Tensor | None:  # noqa: ARG002 (for those who choose)
        """Rows of the training set, int64 (n,), that an epoch visits, a function of the seed; None: all of them."""
        return None

    def start_epoch(self, epoch: int) -> None:
        """Hook before each epoch, counted from 0, for schedules; does nothing by default."""

    def end_epoch(self, epoch: int) -> None:
        """Called after the last batch of each epoch, before any evaluation; in all processes alike."""

    def database_codes(self) -> Tensor | None:
        """Codes that were learned for the training images, (train_size, bits), above 0 or not; None: there are none.

        Only where the framework trains on the database: there they take the place of what the model encodes.
        """
        return None

    def _columns(self, labels: Tensor, like: Tensor) -> Tensor:
        """Labels as 0/1 columns (b, classes), for the b rows of `like` and of its dtype."""
        if labels.ndim == 1:
            on_host = labels.device.type == "cpu"  # to look at them on a device is to wait for it; the data set did
            if on_host and len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.classes:
                raise ValueError(f"labels: expected 0 to {self.classes - 1}, got {labels.min()} to {labels.max()}")
            labels = nn.functional.one_hot(labels, self.classes)
        if labels.shape != (len(like), self.classes):
            raise ValueError(
                f"labels: expected shape ({len(like)},) or ({len(like)}, {self.classes}), got {tuple(labels.shape)}"
            )
        return labels.to(like.dtype)
