"""ADSH: a network for codes of queries, and database codes as unknowns of a discrete optimization.

Papers: Jiang and Li, Asymmetric Deep Supervised Hashing, AAAI 2018, https://arxiv.org/abs/1707.08325; He and Wei, Image
retrieval combining Transformer and asymmetric learning strategy, Journal of Image and Graphics 2023, which adds the
classification term and a Vision Transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from vtsearch.frameworks import discrete_descent
from vtsearch.frameworks.base import Framework, check_options
from vtsearch.tensors.distributed import average, from_first, gather_batch

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from vtsearch.frameworks.base import RunFacts

SAMPLE_SEED = 0xAD54  # makes the samples independent of other draws from the seed of a run


@dataclass(frozen=True)
class ADSHOptions:
    """Options of ADSH."""

    quantization: float = 200.0
    """Weight of the distance between a sampled image's code and its output, the papers' gamma; at least 0."""
    classification: float = 1.0
    """Weight of the least squares fit of the labels by the codes, He and Wei's mu; 0 is ADSH without it."""
    ridge: float = 1.0
    """Weight of the classifier's square, He and Wei's nu; above 0."""
    classification_scale: Literal["sample", "absolute"] = "sample"
    """"sample" multiplies classification and ridge by the number of sampled images, in proportion to the other terms;
    "absolute" does not, as published, and changes almost no bit of a large sample."""
    sample: int = 5000
    """Database images per sample, at most all; a new sample is drawn after each update of the codes."""
    epochs_per_sample: int = 3
    """Epochs per sample, before an update of the codes. The epochs of a run should be a multiple of it."""
    start: Literal["signs", "zeros", "normal"] = "signs"
    """Codes before the first update: coin flips or, as published, zeros (ADSH) or normal numbers (He and Wei)."""
    code_step: Literal["exact", "published"] = "exact"
    """"exact" minimizes the objective over each bit; "published" omits the quantization term in the presence of a
    classification term, as in He and Wei's byte code."""

    def __post_init__(self) -> None:
        check_options(self, above_zero=("ridge",), at_least_one=("sample", "epochs_per_sample"))

    def without_effect(self, facts: RunFacts) -> dict[str, str]:
        """Options that do nothing beside the others -> the reason."""
        found = {}
        if not self.classification:
            found = dict.fromkeys(("ridge", "classification_scale", "code_step"), "classification is 0")
        if facts.epochs < self.epochs_per_sample:
            found["epochs_per_sample"] = f"the run ends after {facts.epochs} epochs, before any update of the codes"
        return found

    @classmethod
    def published(cls) -> ADSHOptions:
        """The options of He and Wei's code on CIFAR-10 (on NUS-WIDE: with a sample of 2,100)."""
        return cls(classification=10.0, classification_scale="absolute", start="normal", code_step="published")


class ADSH(Framework):
    """J = |U V^T - bits S|^2 + gamma |V_sample - U|^2 + mu |Y - V W|^2 + nu |W|^2, U = tanh of a sample's features.

    S is the soft similarity of the sample (m) with the whole database (n): 1 where two images share a label, else
    -r, r chosen so that S sums to 0. The loss of a batch of b images is the first two terms, divided by b n; after
    the last epoch of a sample, W and then each bit of V are set to their exact minimum. U holds the outputs of the
    batches of that epoch.

    The samples are a function of the seed; V, W, U, r and the labels are buffers.
    """

    Options = ADSHOptions
    trains_on = "database"
    learns_codes = True
    codes: Tensor
    classifier: Tensor
    outputs: Tensor
    labels: Tensor
    ratio: Tensor

    def __init__(self, bits: int, classes: int, train_size: int, options: Any = None, seed: int = 0) -> None:
        super().__init__(bits, classes, train_size, options, seed)
        random = torch.Generator().manual_seed(seed)
        normal = torch.randn(train_size, bits, generator=random)
        starts = {"signs": torch.where(normal > 0, 1.0, -1.0), "zeros": torch.zeros_like(normal), "normal": normal}
        self.register_buffer("codes", starts[self.options.start])  # V
        self.register_buffer("classifier", torch.zeros(bits, classes))  # W
        self.register_buffer("outputs", torch.zeros(train_size, bits))  # U of the sample, 0 of all others
        self.register_buffer("labels", torch.zeros(train_size, classes))  # Y
        self.register_buffer("ratio", torch.zeros((), dtype=torch.float64))  # r
        self._labelled = False

    def set_train_labels(self, labels: Tensor) -> None:
        """Store the labels of the whole database."""
        self.labels.copy_(self._columns(labels, self.labels))
        self._labelled = bool(self.labels.any())

    def sample_positions(self, epoch: int) -> Tensor:
        """The sample of that epoch, in ascending order."""
        size, number = min(self.options.sample, self.train_size), epoch // self.options.epochs_per_sample
        random = np.random.Generator(np.random.PCG64((self.seed, number, SAMPLE_SEED)))
        return torch.from_numpy(np.sort(random.permutation(self.train_size)[:size]))

    def start_epoch(self, epoch: int) -> None:
        """Reset the outputs at the start of a new sample.

        Raises:
            ValueError: a database without any label.
        """
        if epoch % self.options.epochs_per_sample:
            return
        if not self._labelled:
            raise ValueError("labels: expected those of the database from set_train_labels, got none")
        self.outputs.zero_()
        sampled = self.labels[self.sample_positions(epoch).to(self.labels.device)]
        self.ratio.copy_(discrete_descent.similarity_ratio(sampled, self.labels))

    def loss(self, features: Tensor, labels: Tensor, positions: Tensor) -> Tensor:
        """The first two terms of J for a batch, per image of the batch and of the database."""
        outputs = features.tanh()  # (b, bits)
        self._store_outputs(outputs.detach(), positions)
        codes, ratio = self.codes.to(outputs.dtype), self.ratio.to(outputs.dtype)
        wanted = self.bits * discrete_descent.soft_similarity(labels, self.labels.to(labels.dtype), ratio)  # (b, n)
        similarity = (outputs @ codes.T - wanted).square().sum()
        gap = (codes[positions] - outputs).square().sum()
        quantization: float = self.options.quantization
        images = average(outputs.new_tensor(len(outputs)))  # of each process
        return (similarity + quantization * gap) / (images * len(codes))

    @torch.no_grad()
    def end_epoch(self, epoch: int) -> None:
        """After the last epoch of a sample: W by least squares, then one sweep over the bits of V."""
        if (epoch + 1) % self.options.epochs_per_sample:
            return
        sample = self.sample_positions(epoch).to(self.codes.device)
        outputs, ratio = self.outputs[sample], self.ratio.to(self.outputs.dtype)
        similarity = self.bits * discrete_descent.pulled_by_similarity(outputs, self.labels[sample], self.labels, ratio)
        pull, coupling = similarity, outputs.T @ outputs
        weight, ridge = self.weights()
        if not weight or self.options.code_step == "exact":
            pull = pull + self.options.quantization * self.outputs
        if weight:
            self.classifier.copy_(discrete_descent.least_squares_classifier(self.codes, self.labels, ridge / weight))
            pull = pull + weight * self.labels @ self.classifier.T
            coupling = coupling + weight * self.classifier @ self.classifier.T
        self.codes.copy_(from_first(discrete_descent.coordinate_descent(self.codes, pull, coupling)))

    def database_codes(self) -> Tensor:
        """V, the codes of the training images, which are the database."""
        return self.codes

    def weights(self) -> tuple[float, float]:
        """The weights mu and nu of J."""
        scale = 1
        if self.options.classification_scale == "sample":
            scale = min(self.options.sample, self.train_size)
        return scale * self.options.classification, scale * self.options.ridge

    def _store_outputs(self, outputs: Tensor, positions: Tensor) -> None:
        """Store the outputs of the batches of all processes; rows outside them stay 0 and do not change the sums."""
        outputs, positions = gather_batch(outputs), gather_batch(positions)
        self.outputs[positions] = outputs.to(self.outputs.dtype)
