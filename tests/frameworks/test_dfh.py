from __future__ import annotations

import numpy as np
import pytest
import torch
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference, batches, likelihood, rows_of

from vtsearch.frameworks.dfh import DFH, DFHOptions


class Reference:
    """The method step by step: codes, 200 steps of the centers (V, by finite differences), then the loss."""

    def __init__(self, pull=0.1, separation=1.0, nearness=1.0):
        self.centers = np.zeros((BITS, CLASSES))
        self.pull, self.separation, self.nearness = pull, separation, nearness

    def __call__(self, features, rows, pairs):
        rows = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
        codes = np.sign(self.pull * np.sign(self.centers) @ rows.T + features.T)
        for step in range(1, 201):
            rate = 0.03 if step < 150 else 0.003 if step < 180 else 0.0003
            self.centers = self.centers - rate * self.slope(rows, codes)
        losses = [likelihood(u @ v / 2 + (-3 if (y * z).any() else 3), (y * z).any()) for u, y, v, z in pairs]
        return np.mean(losses) + 0.5 * ((codes.T - features) ** 2).mean()

    def objective(self, centers, rows, codes):
        target = BITS * (2 * np.eye(CLASSES) - np.ones((CLASSES, CLASSES)))
        return (
            ((centers @ rows.T - codes) ** 2).mean()
            + self.separation * ((centers.T @ centers - target) ** 2).mean()
            + self.nearness * ((centers - np.sign(self.centers)) ** 2).mean()
        )

    def slope(self, rows, codes, step=1e-5):
        slope = np.empty_like(self.centers)
        for index in np.ndindex(slope.shape):
            shift = np.zeros_like(slope)
            shift[index] = step
            up = self.objective(self.centers + shift, rows, codes)
            slope[index] = (up - self.objective(self.centers - shift, rows, codes)) / (2 * step)
        return np.where(np.abs(slope) > 1e-8, slope, 0)  # the sign of a center that stays at 0 is no noise's


# Two classes that only come together have one center, until rounding parts them.
DECIDED = [("apart" if kind == "multi" else kind, seed) for kind, seed in KINDS]


@pytest.mark.parametrize(("kind", "seed"), DECIDED)
def test_the_loss_is_the_papers(kind, seed):
    framework, reference = DFH(BITS, CLASSES, IMAGES), Reference()
    assert_like_reference(framework, reference, kind, seed)
    np.testing.assert_allclose(framework.centers.T, reference.centers, atol=1e-6)


@pytest.mark.parametrize(("kind", "seed"), DECIDED[::3])
def test_weights_of_the_centers_are_options(kind, seed):
    options = DFHOptions(pull=2.0, separation=0.3, center_quantization=4.0)
    framework, reference = DFH(BITS, CLASSES, IMAGES, options), Reference(2.0, 0.3, 4.0)
    assert_like_reference(framework, reference, kind, seed)
    np.testing.assert_allclose(framework.centers.T, reference.centers, atol=1e-6)


def test_sums_of_centers_pull_images_with_several_labels():
    """With a strong pull the codes are the signs of the summed centers; the mean has the same signs."""
    for several in ("sum", "mean"):
        framework = DFH(BITS, CLASSES, IMAGES, DFHOptions(pull=1e6, several_labels=several)).double()
        (features, labels, positions), (second, second_labels, _) = batches("multi", 1)
        framework(features, labels, positions)
        votes = rows_of(second_labels) @ framework.centers.sign().numpy()
        codes = framework._codes(second, second_labels.double()).numpy()
        decided = votes != 0
        np.testing.assert_array_equal(codes[decided], np.sign(votes)[decided])
        np.testing.assert_array_equal(codes[~decided], np.sign(second.numpy())[~decided])


@pytest.mark.parametrize(("classes", "bits"), [(1, 64), (2, 64), (4, 256), (10, 256)])
def test_few_classes_with_many_bits_need_a_smaller_rate(classes, bits):
    centers = {}
    for rate in ("stable", "published"):
        framework = DFH(bits, classes, 20, DFHOptions(center_rate=rate))
        random = torch.Generator().manual_seed(0)
        for _ in range(5):
            features = torch.randn(20, bits, generator=random)
            framework(features, torch.randint(classes, (20,), generator=random), torch.arange(20))
        centers[rate] = framework.centers
    assert centers["stable"].isfinite().all()
    assert 0.5 < centers["stable"].abs().mean() < 1.5
    assert not centers["published"].isfinite().all()


def test_the_published_products_lose_the_gradient_of_far_pairs():
    gradients = {}
    for form in ("exact", "clamped"):
        features = torch.tensor([[20.0, 20.0], [20.0, 20.0]], requires_grad=True)
        options = DFHOptions(pairs="distinct", products=form, quantization=0.0)
        DFH(2, 2, 2, options)(features, torch.tensor([0, 1]), torch.arange(2)).backward()
        gradients[form] = features.grad
    assert (gradients["exact"] > 1).all()
    assert (gradients["clamped"] == 0).all()
