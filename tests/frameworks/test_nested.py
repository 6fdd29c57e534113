"""Nested codes: every length has the framework's loss, and the bits of a shorter code are those of the longer ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from center_distances import minimum_distance
from framework_calls import loss_of

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.frameworks.centers import nested_centers
from vtsearch.frameworks.nested import Nested

LENGTHS = (4, 8, 12)
TRAINED = [name for name in FRAMEWORKS if framework_class(name).trains_on == "train"]


def build(name, lengths=LENGTHS, classes=5, options=None, **more):
    return Nested(framework_class(name), lengths, classes, 9, options, **more).double()


def batch(seed=0):
    features = torch.randn(9, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return features, torch.arange(9) % 5, torch.arange(9)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_is_the_mean_over_the_lengths(name):
    options = framework_class(name).Options.published() if name == "cibhash" else None  # its defaults draw codes
    nested, (features, labels, positions) = build(name, options=options), batch()
    each = build(name, options=options).parts
    parts = [loss_of(part, features[:, : part.bits], labels, positions).item() for part in each]
    assert [part.bits for part in nested.parts] == list(LENGTHS)
    assert loss_of(nested, features, labels, positions).item() == pytest.approx(np.mean(parts), rel=1e-12)


def test_the_longest_teaches_how_similar_images_are():
    features, labels, positions = batch()
    plain, taught = build("csq"), build("csq", teaching=0.7)
    t = np.tanh(features.numpy())
    similarity = {bits: t[:, :bits] @ t[:, :bits].T / bits for bits in LENGTHS}
    expected = 0.7 * np.mean([((similarity[bits] - similarity[12]) ** 2).mean() for bits in (4, 8)])
    difference = taught(features, labels, positions) - plain(features, labels, positions)
    assert difference.item() == pytest.approx(expected, rel=1e-12)
    features.requires_grad_()
    (taught(features, labels, positions) - plain(features, labels, positions)).backward()
    assert not features.grad[:, 8:].any()  # the bits of the longest alone learn nothing of it
    assert features.grad[:, :8].any()


@pytest.mark.parametrize("name", ["csq", "dpn", "orthohash"])
def test_a_class_has_one_code_and_its_beginnings(name):
    nested = build(name)
    for part in nested.parts:
        assert torch.equal(part.centers, nested.parts[-1].centers[:, : part.bits])


@pytest.mark.parametrize(("classes", "share"), [(10, 0.5), (21, 0.25), (100, 0.12)])
def test_centers_are_far_apart_in_every_prefix(classes, share):
    lengths = (8, 16, 32, 64, 128)
    centers = nested_centers("distant", classes, lengths)
    assert set(centers.unique().tolist()) == {-1.0, 1.0}
    for bits in lengths:
        assert minimum_distance(centers[:, :bits]) >= share * bits
    assert torch.equal(centers, nested_centers("distant", classes, lengths))


def test_a_step_of_few_bits_has_random_ones():
    centers = nested_centers("distant", 10, (8, 9, 12))
    assert centers.shape == (10, 12)
    assert minimum_distance(centers[:, :9]) >= 4


def test_hooks_reach_every_length():
    nested = build("hashnet", options=framework_class("hashnet").Options(continuation=1))
    nested.set_train_labels(torch.arange(9) % 5)
    nested.start_epoch(3)
    nested.end_epoch(3)
    assert [part.scale.item() for part in nested.parts] == [2.0, 2.0, 2.0]
    assert nested.database_codes() is None
    assert nested.kind is framework_class("hashnet")
    assert nested.sample_positions(0) is None


def test_the_gradient_is_that_of_finite_differences():
    nested, (features, labels, positions) = build("csq"), batch()
    assert torch.autograd.gradcheck(lambda each: nested(each, labels, positions), (features.requires_grad_(),))


@pytest.mark.parametrize(
    ("name", "lengths", "message"),
    [
        ("csq", (12,), "lengths: expected two or more, ascending, got 12"),
        ("csq", (8, 4), "lengths: expected two or more, ascending, got 8, 4"),
        ("csq", (0, 4), "lengths: expected two or more, ascending, got 0, 4"),
        ("csq", (2, 8), r"classes: expected at most 2\*\*bits = 4 different centers, got 5"),
        ("adsh", (4, 8), "nested: expected none with ADSH, which learns the codes of the database"),
    ],
)
def test_what_cannot_be_nested_is_refused(name, lengths, message):
    with pytest.raises(ValueError, match=message):
        build(name, lengths)
