from __future__ import annotations

import numpy as np
import pytest
import torch
from golden_losses import CASES, INPUTS
from pair_batches import BITS, CLASSES, IMAGES, KINDS, assert_like_reference, batches, likelihood

from vtsearch.frameworks.base import RunFacts, ignored_options
from vtsearch.frameworks.dsdh import DSDH, DSDHOptions

ETA = 3.0


def reference(features, _, pairs):
    losses = [likelihood(u @ v / 2, (y * z).any()) for u, y, v, z in pairs]
    return np.mean(losses) + ETA / IMAGES * ((features - np.sign(features)) ** 2).sum(axis=1).mean()


@pytest.mark.parametrize(("kind", "seed"), KINDS)
def test_the_loss_before_the_first_codes_is_the_papers(kind, seed):
    assert_like_reference(DSDH(BITS, CLASSES, IMAGES, DSDHOptions(quantization=ETA)), reference, kind, seed)


def objective(codes, classifier, outputs, labels, options):
    """The terms of J that codes and classifier have a part in."""
    fit = options.classification * ((labels - codes @ classifier) ** 2).sum()
    return fit + options.ridge * (classifier**2).sum() + options.quantization * ((codes - outputs) ** 2).sum()


def after_an_epoch(kind="multi", seed=0, **options):
    framework = DSDH(BITS, CLASSES, IMAGES, DSDHOptions(quantization=0.5, **options)).double()
    random = torch.Generator().manual_seed(seed)
    framework.set_train_labels(torch.randint(2, (IMAGES, CLASSES), generator=random))
    for batch in batches(kind, seed):
        framework(*batch)
    framework.end_epoch(0)
    return framework


@pytest.mark.parametrize("seed", range(3))
def test_each_step_is_the_minimum_of_the_objective(seed):
    framework = after_an_epoch(seed=seed, sweeps=20)  # until nothing changes
    options = framework.options
    codes, classifier, outputs, labels = (
        getattr(framework, name).numpy() for name in ("codes", "classifier", "outputs", "labels")
    )
    least = objective(codes, classifier, outputs, labels, options)
    for place in np.ndindex(codes.shape):
        flipped = codes.copy()
        flipped[place] *= -1
        assert objective(flipped, classifier, outputs, labels, options) >= least
    solved = np.linalg.solve(codes.T @ codes + options.ridge * np.eye(BITS), codes.T @ labels)
    np.testing.assert_allclose(classifier, solved, rtol=1e-10, atol=1e-12)


def test_more_sweeps_do_not_raise_the_objective():
    values = []
    for sweeps in (1, 2, 5):
        framework = after_an_epoch(sweeps=sweeps)
        state = (getattr(framework, name).numpy() for name in ("codes", "classifier", "outputs", "labels"))
        values.append(objective(*state, framework.options))
    assert values == sorted(values, reverse=True)


def test_the_next_epoch_draws_features_to_the_codes():
    framework = after_an_epoch()
    codes = framework.codes.clone()
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    features, labels, positions = next(batches("multi", 7))
    pulled = framework(features, labels, positions)
    framework.options = DSDHOptions(quantization=0.0)
    alone = framework(features, labels, positions)
    distance = ((features - codes[positions]) ** 2).sum(dim=1).mean()
    assert (pulled - alone).item() == pytest.approx(0.5 / IMAGES * distance.item(), rel=1e-12)


def test_without_classification_the_codes_are_the_signs():
    framework = after_an_epoch(classification=0.0)
    assert torch.equal(framework.codes, torch.where(framework.outputs > 0, 1.0, -1.0).double())
    assert not framework.classifier.any()


@pytest.mark.parametrize("labels", ["single", "multi"])
def test_the_published_codes_classifier_and_gradient(labels):
    case = CASES["DSDH_deephash", labels]
    framework = DSDH(16, 4, 10, DSDHOptions.published()).double()
    features = torch.tensor(INPUTS["u_step1"], dtype=torch.float64, requires_grad=True)
    rows, positions = torch.tensor(INPUTS[f"y_{labels}_step1"]).double(), torch.tensor(INPUTS["ind_step1"])
    framework.labels[positions], framework.outputs[positions] = rows, features.detach()
    bits, images = torch.arange(16, dtype=torch.float64)[:, None], torch.arange(10)
    framework.codes.copy_((1.3 * bits + 2.1 * images + 0.5).sin().sign().T)
    framework.end_epoch(0)
    seen = framework.codes[positions].T  # sign(0) is 0 there, where features and labels are 0
    np.testing.assert_array_equal(seen, np.array(case["state"]["B_after_dcc"])[:, positions])
    np.testing.assert_allclose(framework.classifier, case["state"]["W_after_dcc"], rtol=0, atol=1e-10)
    (step,) = case["steps"]
    loss = framework(features, rows, positions)
    loss.backward()
    fit = (rows.T - framework.classifier.T @ framework.codes[positions].T).square().mean()
    constant = fit + framework.classifier.square().mean()  # published code adds it; nothing of it has a gradient
    assert (loss + constant).item() == pytest.approx(step["loss"], rel=1e-10)
    np.testing.assert_allclose(features.grad, step["grad"], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ({"codes_in_loss": False, "sweeps": 3}, ["sweeps"]),
        ({"quantization": 0.0, "sweeps": 3, "ridge": 2.0}, ["ridge", "sweeps"]),
        ({"classification": 0.0, "ridge": 2.0}, ["ridge"]),
        ({"sweeps": 3, "ridge": 2.0}, []),
    ],
)
def test_options_without_effect_are_named(options, ignored):
    assert sorted(ignored_options(DSDHOptions(**options), RunFacts(1, single_labels=True))) == ignored
