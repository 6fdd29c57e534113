"""Fitted maps against plain transcriptions of their papers, and what holds of each."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from vtsearch import distances, pack
from vtsearch.fitting import METHODS, fit_affine
from vtsearch.fitting.rotations import iterative_quantization, quantization_loss, random_rotation

WIDTH, BITS = 24, 10


@pytest.fixture(scope="module")
def features():
    """(400, 24) correlated floats far from 0."""
    random = np.random.default_rng(0)
    spread = random.normal(size=(WIDTH, WIDTH)) * np.geomspace(4, 0.1, WIDTH)
    return (random.normal(size=(400, WIDTH)) @ spread.T + random.normal(size=WIDTH) * 5).astype(np.float32)


def principal(features, bits=BITS):
    """(bits, width) directions by the singular value decomposition; the largest entry of each is positive."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    rows = np.linalg.svd(centered, full_matrices=False)[2][:bits]
    return np.array([row if row[np.abs(row).argmax()] > 0 else -row for row in rows])


def projected(features):
    return (features - features.mean(axis=0, dtype=np.float64)) @ principal(features).T


def test_pca_is_the_singular_value_decomposition_of_centered_features(features):
    found = fit_affine("pca", features, BITS)
    np.testing.assert_allclose(found.weight, principal(features), atol=1e-5)
    np.testing.assert_allclose(found(features), projected(features), atol=2e-4)


def test_itq_is_the_alternation_of_its_paper(features):
    values = projected(features)
    expected = random_rotation(BITS, np.random.Generator(np.random.PCG64(3)))
    for _ in range(7):
        signs = np.where(values @ expected > 0, 1, -1)
        left, _, right = np.linalg.svd(signs.T @ values)  # the paper's S and S-hat
        expected = right.T @ left.T
    found = fit_affine("itq", features, BITS, seed=3, iterations=7)
    np.testing.assert_allclose(found(features), values @ expected, atol=2e-4)


def test_the_loss_of_itq_never_rises_and_its_rotation_is_orthogonal(features):
    values, rotation = projected(features), random_rotation(BITS, np.random.default_rng(1))
    losses = [quantization_loss(values, rotation)]
    for _ in range(30):
        rotation = iterative_quantization(values, rotation, 1)
        losses.append(quantization_loss(values, rotation))
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(BITS), atol=1e-12)
    assert all(after <= before + 1e-9 for before, after in pairwise(losses))
    assert losses[-1] < losses[0]


def test_itq_without_steps_is_the_random_rotation_that_it_begins_with(features):
    begun = fit_affine("itq", features, BITS, seed=5, iterations=0)
    assert (begun.weight == fit_affine("rotation", features, BITS, seed=5).weight).all()


def test_itq_takes_fifty_steps_by_default(features):
    default, fifty = (fit_affine("itq", features, BITS, iterations=steps) for steps in (None, 50))
    assert (default.weight == fifty.weight).all()


def test_a_random_rotation_keeps_distances_in_the_principal_subspace(features):
    weight = fit_affine("rotation", features, BITS, seed=2).weight.astype(np.float64)
    directions = principal(features)
    np.testing.assert_allclose(weight.T @ weight, directions.T @ directions, atol=1e-5)
    assert np.abs(weight - directions).max() > 0.1


def test_random_rotations_are_uniform():
    """The mean of each entry is 0 and of its square 1 / size; without the signs of R the diagonal would be negative."""
    random = np.random.default_rng(0)
    drawn = np.array([random_rotation(3, random) for _ in range(4_000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose((drawn**2).mean(axis=0), 1 / 3, atol=0.03)


def test_bits_of_lsh_agree_as_often_as_the_angle_says():
    """Charikar, section 3: with probability 1 - angle / pi."""
    angles = np.linspace(0.1, np.pi - 0.1, 9)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([[[1.0, 0.0]], points])
    points = np.concatenate([points, -points])  # so that their mean is 0
    codes = pack(fit_affine("lsh", points, 20_000, seed=1)(points))
    differing = distances(codes[:1], codes[1:10])[0] / 20_000
    np.testing.assert_allclose(differing, angles / np.pi, atol=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_features_are_centered(features, method):
    found = fit_affine(method, features, BITS)
    np.testing.assert_allclose(found(features).mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(fit_affine(method, features + 100, BITS)(features + 100), found(features), atol=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_decides_the_map(features, method):
    one, again, other = (fit_affine(method, features, BITS, seed=seed) for seed in (1, 1, 2))
    assert (one.weight == again.weight).all()
    assert (one.bias == again.bias).all()
    assert (one.weight == other.weight).all() == (method == "pca")
    assert (one.weight.dtype, one.weight.shape, one.bias.shape) == (np.float32, (BITS, WIDTH), (BITS,))


def test_lsh_has_more_bits_than_features_are_wide_and_needs_one_image():
    assert fit_affine("lsh", np.ones((1, 4), np.float32), 100).weight.shape == (100, 4)


@pytest.mark.parametrize("method", ["pca", "itq", "rotation"])
def test_more_bits_than_directions_are_refused(features, method):
    with pytest.raises(ValueError, match=f"bits: expected at most 24 for {method}, the width of the features, got 25"):
        fit_affine(method, features, 25)
    with pytest.raises(ValueError, match=f"bits: expected at most 9 for {method}, as the features of 10 images vary"):
        fit_affine(method, features[:10], 10)
    assert fit_affine(method, features[:10], 9).weight.shape == (9, WIDTH)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"method": "sdh"}, ValueError, "method: expected one of pca, itq, rotation, lsh, got 'sdh'"),
        ({"bits": 0}, ValueError, "bits: expected at least 1, got 0"),
        ({"bits": 2.0}, TypeError, "bits: expected an int, got 2.0"),
        ({"bits": 10**6, "method": "lsh"}, ValueError, "bits: expected at most 65528, got 1000000"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"iterations": -1}, ValueError, "iterations: expected at least 0, got -1"),
        ({"iterations": 1.5}, TypeError, "iterations: expected an int, got 1.5"),
        (
            {"iterations": 5, "method": "pca"},
            ValueError,
            "iterations: expected the method itq beside it, got pca",
        ),
        ({"features": np.ones((3, 4), int)}, TypeError, "features: expected floats, got int64"),
        ({"features": np.ones(4)}, ValueError, r"features: expected \(n, width\) of at least one image, got \(4,\)"),
        ({"features": np.ones((0, 4))}, ValueError, r"features: expected \(n, width\) .* got \(0, 4\)"),
        ({"features": np.full((3, 4), np.nan)}, ValueError, "features: expected finite numbers, got NaN or infinity"),
        ({"features": np.ones((3, 4))}, ValueError, "bits: expected at most 0 for itq, as the features of 3 images"),
    ],
    ids=str,
)
def test_what_cannot_be_fitted_is_named(features, changes, kind, message):
    with pytest.raises(kind, match=message):
        fit_affine(**{"method": "itq", "features": features, "bits": 2} | changes)


@pytest.mark.slow
def test_fitting_features_imports_no_torch():
    code = "import sys, vtsearch.fitting; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
