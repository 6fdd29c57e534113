"""DSDH: a pairwise likelihood on inner products, and codes of the training images that a linear classifier can read.

Paper: Li et al., Deep Supervised Discrete Hashing, NeurIPS 2017, https://papers.nips.cc/paper/6842.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vtsearch.frameworks import discrete_descent
from vtsearch.frameworks.base import check_options
from vtsearch.frameworks.pairs import PairwiseFramework, WeightedPairOptions
from vtsearch.frameworks.similarity import pairwise_loss
from vtsearch.tensors.distributed import from_first, gather_batch, mean

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts


@dataclass(frozen=True)
class DSDHOptions(WeightedPairOptions):
    """Options of DSDH."""

    classification: float = 1.0
    """Weight of the least squares fit of the labels by the codes, the paper's mu; 0 makes the codes the signs."""
    ridge: float = 0.1
    """Weight of the classifier's square, the paper's nu; above 0."""
    quantization: float = 55.0
    """Weight of the squared distance of codes and features, the paper's eta, beside sums over images and pairs."""
    sweeps: int = 10
    """Updates of classifier and codes after each epoch."""
    codes_in_loss: bool = True
    """Whether the loss of the network has the distance from the codes. Published code leaves it out, so that the
    codes and the classifier have no influence on the network."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("ridge",), at_least_one=("sweeps",))

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        found = super().without_effect(facts)
        of_codes = ("classification", "ridge", "quantization", "sweeps")
        if not self.codes_in_loss:
            return found | dict.fromkeys(of_codes, "codes_in_loss is false")
        if not self.quantization:
            return found | dict.fromkeys(("classification", "ridge", "sweeps"), "quantization is 0")
        return found if self.classification else found | dict.fromkeys(("ridge", "sweeps"), "classification is 0")

    @classmethod
    def published(cls) -> DSDHOptions:
        """As in the DeepHash-pytorch collection: no codes in the loss, unseen rows of the bank dissimilar."""
        return cls(ridge=1.0, codes_in_loss=False, unseen="dissimilar")


class DSDH(PairwiseFramework):
    """J = sum over pairs of log(1 + exp(x)) - s x + mu |Y - B W|^2 + nu |W|^2 + eta |B - U|^2, x = <u, u'> / 2.

    s is 1 where two images share a label, else 0. U (n, bits) are the features of the n training images, B their codes,
    Y (n, classes) their labels, W (bits, classes) the classifier. The network's loss is J / n^2, that is the mean over
    pairs plus eta * bits / n * mean((b - u)^2). After each epoch W is set to its minimum and each bit of B to its own,
    in turn. Before the first update an image's code is the signs of its features.
    """

    Options = DSDHOptions
    learns_codes = True
    codes: Tensor
    classifier: Tensor
    outputs: Tensor
    labels: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        self.register_buffer("codes", torch.zeros(train_size, bits))  # B; 0 before the first update
        self.register_buffer("classifier", torch.zeros(bits, classes))  # W
        self.register_buffer("outputs", torch.zeros(train_size, bits))  # U
        self.register_buffer("labels", torch.zeros(train_size, classes))  # Y

    def set_train_labels(self, labels: Tensor) -> None:
        """Store the labels of all training images."""
        self.labels.copy_(self._columns(labels, self.labels))

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The pair term plus the weighted distance from the codes."""
        self._store(features, positions)
        pair_term = self.pair_term(self.sides(features, labels, positions))
        if not self.options.codes_in_loss:
            return pair_term
        codes = self.codes[positions].to(features.dtype)
        targets = torch.where(codes == 0, signs(features), codes)
        return pair_term + self.quantization_weight() * mean((targets - features).square())

    def pair_losses(self, left: Tensor, right: Tensor, similarity: Tensor) -> Tensor:
        """The negative log-likelihood of the pairs."""
        return pairwise_loss(left @ right.T / 2, similarity)

    def quantization_weight(self) -> float:
        """Eta beside means: J has n^2 pairs and n images."""
        weight: float = self.options.quantization
        return weight * self.bits / self.train_size

    @torch.no_grad()
    def end_epoch(self, epoch: int) -> None:  # noqa: ARG002 (after every epoch)
        """W by least squares and one sweep over the bits of B, several times."""
        options, outputs = self.options, self.outputs
        codes = signs(outputs) if not options.classification else self.codes
        for _ in range(options.sweeps if options.classification else 0):
            ridge = options.ridge / options.classification
            self.classifier.copy_(discrete_descent.least_squares_classifier(codes, self.labels, ridge))
            weighted = options.classification * self.classifier.T
            pull = self.labels @ weighted + options.quantization * outputs
            codes = discrete_descent.coordinate_descent(codes, pull, self.classifier @ weighted)
        self.codes.copy_(from_first(codes))

    @torch.no_grad()
    def _store(self, features: Tensor, positions: Tensor) -> None:
        """Store the features of the batches of all processes."""
        self.outputs[gather_batch(positions)] = gather_batch(features.detach()).to(self.outputs.dtype)


def signs(features: Tensor) -> Tensor:
    """+1 for features above 0, else -1. Any shape."""
    return torch.where(features > 0, 1.0, -1.0).to(features.dtype)
