from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_losses import CASES, PRECISIONS, assert_golden, both_labels
from random_batches import BITS, CLASSES, ITEMS, KINDS, assert_finite_at_extremes, random_batch

from vtsearch.frameworks.base import RunFacts, ignored_options
from vtsearch.frameworks.centers import class_centers
from vtsearch.frameworks.hyp2 import HyP2, HyP2Options, largest_cosine


def build(**options):
    return HyP2(BITS, CLASSES, ITEMS, HyP2Options(**options)).double()


def cosine(one, other):
    return one @ other / np.sqrt((one @ one) * (other @ other))


def reference(features, labels, proxies, threshold, weight):
    """The paper's loss, pair by pair."""
    own, others, pairs = [], [], []
    for i, feature in enumerate(features):
        for proxy, label in zip(proxies, labels[i], strict=True):
            near = cosine(feature, proxy)
            own += [1 - near] if label else []
            others += [] if label else [max(near - threshold, 0.0)]
        for j, other in enumerate(features):
            several = labels[i].sum() > 1 and labels[j].sum() > 1
            if several and not labels[i] @ labels[j]:
                pairs.append(max(cosine(feature, other) - threshold, 0.0))
    terms = [np.mean(term) if term else 0.0 for term in (own, others, pairs)]
    return terms[0] + terms[1] + weight * terms[2]


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(("name", "labels"), both_labels("HyP2"))
def test_it_has_the_published_loss_and_gradient(name, labels, dtype, tolerance):
    case = CASES[name, labels]
    framework = HyP2(16, 4, 10, HyP2Options(threshold=case["config"]["threshold"])).to(dtype)
    with torch.no_grad():
        framework.proxies.copy_(torch.tensor(case["state"]["proxies"], dtype=dtype))
    assert_golden(framework, case, dtype, tolerance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_papers(kind, seed):
    framework = build(threshold=0.05, pair_weight=0.7)
    features, labels, positions = random_batch(kind, seed)
    proxies = framework.proxies.detach().numpy()
    expected = reference(features.numpy(), labels.numpy(), proxies, 0.05, 0.7)
    assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


def test_unrelated_images_of_several_labels_repel_each_other_and_images_of_one_do_not():
    features = torch.ones(2, BITS, dtype=torch.float64)
    for labels, term in (([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0]], 1 - 0.25), ([[1, 0, 0, 0, 0], [0, 0, 1, 1, 0]], 0.0)):
        with_pairs, without = (
            build(threshold=0.25, pair_weight=weight)(features, torch.tensor(labels), torch.arange(2))
            for weight in (1.0, 0.0)
        )
        assert (with_pairs - without).item() == pytest.approx(term)


def test_the_gradient_by_features_and_proxies_is_that_of_finite_differences():
    framework = build(threshold=0.05)
    features, labels, positions = random_batch("some without", 2)
    proxies = framework.proxies.detach().clone().requires_grad_()

    def loss(values, weights):
        return torch.func.functional_call(framework, {"proxies": weights}, (values, labels, positions))

    assert torch.autograd.gradcheck(loss, (features.requires_grad_(), proxies), atol=1e-7)


def test_the_threshold_is_that_of_codes_far_apart():
    codes = np.sign(class_centers(5, 12).numpy())
    expected = max(0.0, (codes @ codes.T - 100 * np.eye(5)).max() / 12)
    assert build().threshold == pytest.approx(expected)
    assert HyP2(3, 8, 4).threshold == pytest.approx(1 / 3)  # all 8 codes of 3 bits
    assert largest_cosine(torch.tensor([[1.0, 1.0], [-1.0, -1.0]])) == 0.0


def test_a_threshold_above_1_is_refused():
    with pytest.raises(ValueError, match=r"threshold: expected at most 1, got 1\.5"):
        HyP2Options(threshold=1.5)


def test_the_pair_weight_does_nothing_with_single_labels():
    options = HyP2Options(pair_weight=0.3)
    assert ignored_options(options, RunFacts(1, single_labels=True)) == {"pair_weight": "each image has one label"}
    assert ignored_options(options, RunFacts(1, single_labels=False)) == {}


def test_proxies_are_drawn_from_the_seed_and_learned():
    one, same, other = (HyP2(BITS, CLASSES, ITEMS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.proxies, same.proxies)
    assert not torch.equal(one.proxies, other.proxies)
    assert [name for name, _ in one.named_parameters()] == ["proxies"]


def test_extreme_features_give_a_finite_loss():
    assert_finite_at_extremes(HyP2(BITS, CLASSES, ITEMS))
