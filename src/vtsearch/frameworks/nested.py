"""Nested codes: one model whose first bits are codes of their own, trained by any framework at every length.

Source: Kusupati et al., Matryoshka Representation Learning, NeurIPS 2022, https://arxiv.org/abs/2205.13147, the sum of
a loss over prefixes of the features; here over the framework's loss, whatever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from vtsearch.frameworks.base import Framework, check_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from torch import Tensor


@dataclass(frozen=True)
class NestedOptions:
    """Options of nested codes."""

    teaching: float = 0.0
    """Weight of mean((<t, t'> / b - <T, T'> / B)^2) over the pairs of a batch, averaged over the shorter lengths b: t
    and T are tanh of the first b and of all B features, and the second term has no gradient; at least 0."""

    def __post_init__(self) -> None:
        check_options(self)


class Nested(Framework):
    """L = mean over the lengths b of the framework's loss of the first b features, + teaching of the longest.

    Args:
        kind: the framework.
        lengths: of the codes, ascending; the last is that of the model.
        classes: number of classes.
        train_size: number of training images.
        options: of the framework.
        teaching: weight of the term that lets the longest teach the shorter ones.
        seed: of the random numbers drawn at construction.

    Raises:
        ValueError: fewer than two lengths, not ascending, below 1; a framework that learns codes of the database.
    """

    Options = NestedOptions

    def __init__(
        self,
        kind: type[Framework],
        lengths: Sequence[int],
        classes: int,
        train_size: int,
        options: Any = None,
        *,
        teaching: float = 0.0,
        seed: int = 0,
    ) -> None:
        if len(lengths) < 2 or min(lengths) < 1 or sorted(set(lengths)) != list(lengths):
            raise ValueError(f"lengths: expected two or more, ascending, got {', '.join(map(str, lengths))}")
        if kind.trains_on == "database":
            raise ValueError(f"nested: expected none with {kind.__name__}, which learns the codes of the database")
        super().__init__(lengths[-1], classes, train_size, NestedOptions(teaching), seed)
        parts = [kind(bits, classes, train_size, options, seed=seed) for bits in lengths]
        parts[-1].share_bits(parts[:-1])
        self.parts = nn.ModuleList(parts)

    @property
    def _parts(self) -> list[Framework]:
        return [part for part in self.parts if isinstance(part, Framework)]

    @property
    def kind(self) -> type[Framework]:
        """The class of the framework of every length."""
        return type(self._parts[-1])

    @property
    def is_pointwise(self) -> bool:
        """Whether the loss of every length is."""
        return all(part.is_pointwise for part in self._parts)

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor, **more: Tensor) -> Tensor:
        """The mean over lengths, and what the longest teaches; ``more`` is what the framework's own loss takes."""
        losses = [part.loss(features[:, : part.bits], labels, positions, **more) for part in self._parts]
        mean = sum(losses[1:], start=losses[0]) / len(losses)
        teaching: float = self.options.teaching
        return mean + teaching * self._difference(features) if teaching else mean

    def _difference(self, features: Tensor) -> Tensor:
        """How far the similarities of a batch by the first bits are from those by all."""
        activated = features.tanh()
        target = (activated @ activated.T / self.bits).detach()  # (b, b)
        shorter = [activated[:, : part.bits] for part in self._parts[:-1]]
        differences = [(part @ part.T / part.shape[1] - target).square().mean() for part in shorter]
        return sum(differences[1:], start=differences[0]) / len(differences)

    def set_train_labels(self, labels: Tensor) -> None:
        """The labels of all training images, for every length."""
        for part in self._parts:
            part.set_train_labels(labels)

    def start_epoch(self, epoch: int) -> None:
        """The framework's schedule, for every length."""
        for part in self._parts:
            part.start_epoch(epoch)

    def end_epoch(self, epoch: int) -> None:
        """The framework's end of an epoch, for every length."""
        for part in self._parts:
            part.end_epoch(epoch)
